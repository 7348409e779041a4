"""The life of a notice, as one table of states and steps."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class NoticeState(StrEnum):
    RAISED = "raised"  # in the outbox; nobody has received it yet
    RUNNING = "running"  # received: the client's period runs
    LAPSED = "lapsed"  # the period is over
    UNREACHED = "unreached"  # nobody at this client can be told by mail, or a mail failed: a person must act


class NoticeStep(StrEnum):
    RECEIVE = "receive"
    LAPSE = "lapse"
    FAIL = "fail"
    RESTART = "restart"  # a correction in substance: everybody is told anew


class IllegalNoticeStep(Exception):
    """A step that this notice cannot take now."""

    def __init__(self, state: NoticeState, step: NoticeStep) -> None:
        super().__init__(f"cannot {step} a notice that is {state}")


STEPS: Mapping[tuple[NoticeState, NoticeStep], NoticeState] = MappingProxyType(
    {
        (NoticeState.RAISED, NoticeStep.RECEIVE): NoticeState.RUNNING,  # the clock starts at receipt, not at sending
        (NoticeState.RAISED, NoticeStep.FAIL): NoticeState.UNREACHED,
        (NoticeState.UNREACHED, NoticeStep.RECEIVE): NoticeState.RUNNING,
        (NoticeState.RUNNING, NoticeStep.FAIL): NoticeState.UNREACHED,  # a late failure voids a deemed receipt
        (NoticeState.LAPSED, NoticeStep.FAIL): NoticeState.UNREACHED,  # however late, if the change has not been made
        (NoticeState.RUNNING, NoticeStep.LAPSE): NoticeState.LAPSED,
        **{(state, NoticeStep.RESTART): NoticeState.RAISED for state in NoticeState},
    }
)


def next_notice_state(state: NoticeState, step: NoticeStep) -> NoticeState:
    """Return the state after a step; an illegal one raises."""
    try:
        return STEPS[state, step]
    except KeyError:
        raise IllegalNoticeStep(state, step) from None
