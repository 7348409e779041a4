from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.delivery_states import (
    STEPS,
    DeliveryState,
    DeliveryStep,
    IllegalDeliveryStep,
    next_delivery_state,
    retry_after,
)

ILLEGAL = [pair for pair in product(DeliveryState, DeliveryStep) if pair not in STEPS]
PAUSES = st.lists(st.integers(1, 90_000).map(lambda seconds: timedelta(seconds=seconds)), min_size=1, max_size=9)


def walk(*steps: DeliveryStep) -> DeliveryState:
    state = DeliveryState.WAITING
    for step in steps:
        state = next_delivery_state(state, step)
    return state


@pytest.mark.parametrize(
    ("last", "after"),
    [
        (DeliveryStep.ACCEPT, DeliveryState.ACCEPTED),
        (DeliveryStep.DEFER, DeliveryState.WAITING),
        (DeliveryStep.REFUSE, DeliveryState.REFUSED),
        (DeliveryStep.LOSE, DeliveryState.UNKNOWN),
    ],
)
def test_a_mail_handed_over_ends_as_the_other_side_answers(last: DeliveryStep, after: DeliveryState) -> None:
    assert walk(DeliveryStep.CLAIM, DeliveryStep.HAND_OVER, last) is after


def test_a_mail_that_was_never_handed_over_cannot_be_accepted_nor_become_unknown() -> None:
    for step in (DeliveryStep.ACCEPT, DeliveryStep.LOSE):
        with pytest.raises(IllegalDeliveryStep):
            walk(DeliveryStep.CLAIM, step)


def test_a_lease_that_ends_gives_back_before_the_commit_and_is_unknown_after_it() -> None:
    assert walk(DeliveryStep.CLAIM, DeliveryStep.RELEASE) is DeliveryState.WAITING
    assert walk(DeliveryStep.CLAIM, DeliveryStep.HAND_OVER, DeliveryStep.LOSE) is DeliveryState.UNKNOWN
    with pytest.raises(IllegalDeliveryStep):
        walk(DeliveryStep.CLAIM, DeliveryStep.HAND_OVER, DeliveryStep.RELEASE)


def test_what_may_have_left_is_sent_again_only_after_a_certain_no() -> None:
    may_have_left = {DeliveryState.HANDING_OVER, DeliveryState.UNKNOWN}
    back = {step for (state, step), after in STEPS.items() if state in may_have_left and after is DeliveryState.WAITING}

    assert back == {DeliveryStep.DEFER}


@pytest.mark.parametrize("state", [DeliveryState.REFUSED, DeliveryState.DROPPED])
def test_nothing_follows_an_end_that_is_final(state: DeliveryState) -> None:
    assert not [step for known, step in STEPS if known is state]


def test_a_mail_that_was_accepted_may_still_come_back_and_is_then_refused() -> None:
    accepted = walk(DeliveryStep.CLAIM, DeliveryStep.HAND_OVER, DeliveryStep.ACCEPT)

    assert next_delivery_state(accepted, DeliveryStep.RETURN) is DeliveryState.REFUSED
    assert [step for state, step in STEPS if state is DeliveryState.ACCEPTED] == [DeliveryStep.RETURN]


def test_a_mail_that_comes_back_settles_that_it_did_not_arrive() -> None:
    lost = walk(DeliveryStep.CLAIM, DeliveryStep.HAND_OVER, DeliveryStep.LOSE)

    assert next_delivery_state(lost, DeliveryStep.RETURN) is DeliveryState.REFUSED


def test_only_what_no_worker_has_taken_is_dropped() -> None:
    assert walk(DeliveryStep.DROP) is DeliveryState.DROPPED
    assert [state for state, step in STEPS if step is DeliveryStep.DROP] == [DeliveryState.WAITING]


@pytest.mark.parametrize(("state", "step"), ILLEGAL)
def test_any_other_step_is_refused_in_words(state: DeliveryState, step: DeliveryStep) -> None:
    with pytest.raises(IllegalDeliveryStep, match=f"cannot {step} a delivery that is {state}"):
        next_delivery_state(state, step)


@given(PAUSES, st.integers(1, 500))
def test_pauses_follow_the_schedule_and_the_last_one_repeats_for_ever(pauses: list[timedelta], attempt: int) -> None:
    assert retry_after(attempt, tuple(pauses)) == [*pauses, *[pauses[-1]] * 500][attempt - 1]
