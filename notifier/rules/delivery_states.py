"""The life of a delivery: handing over one mail so that it is never lost and never sent twice.

Between the final dot of a mail and the server's 250 nobody can know whether it was taken (RFC 1047).  So HANDING_OVER
is committed before the dot leaves, and what breaks after it is UNKNOWN: the machine never re-sends that, evidence or a
person closes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType


class DeliveryState(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    HANDING_OVER = "handing_over"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    DROPPED = "dropped"  # what it tells has been corrected or withdrawn before it left


class DeliveryStep(StrEnum):
    CLAIM = "claim"
    HAND_OVER = "hand_over"  # the commit before the final dot
    ACCEPT = "accept"
    DEFER = "defer"  # certain: not taken; to be tried again
    REFUSE = "refuse"  # certain: never to be taken
    LOSE = "lose"  # the dot left and no answer came, or the worker's lease ended after that commit
    RETURN = "return"  # it came back after it had been accepted
    DROP = "drop"
    RELEASE = "release"  # the worker's lease ended before that commit: certain, nothing left


class IllegalDeliveryStep(Exception):
    """A step that this delivery cannot take now."""

    def __init__(self, state: DeliveryState, step: DeliveryStep) -> None:
        super().__init__(f"cannot {step} a delivery that is {state}")


STEPS: Mapping[tuple[DeliveryState, DeliveryStep], DeliveryState] = MappingProxyType(
    {
        (DeliveryState.WAITING, DeliveryStep.CLAIM): DeliveryState.CLAIMED,
        (DeliveryState.CLAIMED, DeliveryStep.HAND_OVER): DeliveryState.HANDING_OVER,
        (DeliveryState.CLAIMED, DeliveryStep.DEFER): DeliveryState.WAITING,
        (DeliveryState.CLAIMED, DeliveryStep.REFUSE): DeliveryState.REFUSED,
        (DeliveryState.CLAIMED, DeliveryStep.RELEASE): DeliveryState.WAITING,
        (DeliveryState.HANDING_OVER, DeliveryStep.ACCEPT): DeliveryState.ACCEPTED,
        (DeliveryState.HANDING_OVER, DeliveryStep.DEFER): DeliveryState.WAITING,
        (DeliveryState.HANDING_OVER, DeliveryStep.REFUSE): DeliveryState.REFUSED,
        (DeliveryState.HANDING_OVER, DeliveryStep.LOSE): DeliveryState.UNKNOWN,
        (DeliveryState.ACCEPTED, DeliveryStep.RETURN): DeliveryState.REFUSED,
        (DeliveryState.UNKNOWN, DeliveryStep.RETURN): DeliveryState.REFUSED,
        (DeliveryState.WAITING, DeliveryStep.DROP): DeliveryState.DROPPED,
        # The answer came after all, from a worker that was only slow, or evidence did (a fetch of the link, a person's
        # word).
        (DeliveryState.UNKNOWN, DeliveryStep.ACCEPT): DeliveryState.ACCEPTED,
        (DeliveryState.UNKNOWN, DeliveryStep.DEFER): DeliveryState.WAITING,
        (DeliveryState.UNKNOWN, DeliveryStep.REFUSE): DeliveryState.REFUSED,
        (DeliveryState.UNKNOWN, DeliveryStep.LOSE): DeliveryState.UNKNOWN,
        # It was to go again under the key by which its relay knows it, and the key's life has ended.
        (DeliveryState.WAITING, DeliveryStep.LOSE): DeliveryState.UNKNOWN,
    }
)


def next_delivery_state(state: DeliveryState, step: DeliveryStep) -> DeliveryState:
    """Return the state after a step; an illegal one raises."""
    try:
        return STEPS[state, step]
    except KeyError:
        raise IllegalDeliveryStep(state, step) from None


def retry_after(attempt: int, schedule: tuple[timedelta, ...]) -> timedelta:
    """Return how long to wait after the n-th attempt (from 1) was deferred.

    The last pause repeats for ever: a notice that is owed is not given up because a relay is down.
    """
    return schedule[min(attempt, len(schedule)) - 1]
