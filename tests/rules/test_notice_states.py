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
        ("lapsed", "fail", "unreached"),
        ("unreached", "restart", "raised"),
        ("running", "restart", "raised"),
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


def test_a_period_that_is_over_is_only_undone_by_a_failure_or_a_correction() -> None:
    steps = {step for state, step in STEPS if state is NoticeState.LAPSED}

    assert steps == {NoticeStep.FAIL, NoticeStep.RESTART}


def test_a_correction_in_substance_begins_anew_wherever_a_notice_stands() -> None:
    assert {next_notice_state(state, NoticeStep.RESTART) for state in NoticeState} == {NoticeState.RAISED}


def test_a_late_failure_takes_back_a_receipt_and_its_clock_begins_with_the_next_one() -> None:
    state = NoticeState.RAISED
    for step in ("receive", "lapse", "fail", "receive"):
        state = next_notice_state(state, NoticeStep(step))

    assert state is NoticeState.RUNNING
