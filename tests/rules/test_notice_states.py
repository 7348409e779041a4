from __future__ import annotations

from itertools import product

import pytest

from notifier.rules.notice_states import STEPS, IllegalNoticeStep, NoticeState, NoticeStep, next_notice_state

ILLEGAL = [pair for pair in product(NoticeState, NoticeStep) if pair not in STEPS]


@pytest.mark.parametrize(
    ("state", "step", "after"),
    [
        ("raised", "receive", "running"),
        ("unreached", "receive", "running"),
        ("running", "lapse", "lapsed"),
        ("raised", "fail", "unreached"),
        ("running", "fail", "unreached"),
    ],
)
def test_a_notice_takes_the_steps_of_its_life(state: str, step: str, after: str) -> None:
    assert next_notice_state(NoticeState(state), NoticeStep(step)) == after


@pytest.mark.parametrize(("state", "step"), ILLEGAL)
def test_any_other_step_is_refused_in_words(state: NoticeState, step: NoticeStep) -> None:
    with pytest.raises(IllegalNoticeStep, match=f"cannot {step} a notice that is {state}"):
        next_notice_state(state, step)


def test_only_a_notice_that_was_received_can_lapse() -> None:
    assert [state for state, step in STEPS if step is NoticeStep.LAPSE] == [NoticeState.RUNNING]


def test_nothing_follows_a_period_that_is_over() -> None:
    assert not [step for state, step in STEPS if state is NoticeState.LAPSED]
