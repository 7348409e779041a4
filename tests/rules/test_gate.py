from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.gate import Gate, Hold, Standing, gate, gate_of_all
from notifier.rules.notice_states import NoticeState

END = datetime(2026, 4, 3, 22, tzinfo=UTC)
JUST_BEFORE = END - timedelta(microseconds=1)
QUIET = Standing(state=NoticeState.LAPSED, object_until=END)

COUNTS = st.integers(0, 2)
STANDINGS = st.builds(
    Standing,
    state=st.sampled_from(NoticeState),
    object_until=st.integers(-2, 2).map(lambda days: END + timedelta(days=days)),
    objections=COUNTS,
    terminations=COUNTS,
    unknown=COUNTS,
)


def test_the_gate_opens_with_the_first_instant_after_the_period() -> None:
    assert gate(replace(QUIET, state=NoticeState.RUNNING), JUST_BEFORE) == Gate(holds=(Hold.PERIOD,), opens_at=END)
    assert gate(replace(QUIET, state=NoticeState.RUNNING), END).is_open


@pytest.mark.parametrize(
    ("held", "hold"),
    [
        (replace(QUIET, objections=1), Hold.OBJECTION),
        (replace(QUIET, terminations=1), Hold.TERMINATION),
        (replace(QUIET, unknown=1), Hold.UNKNOWN),
        (replace(QUIET, state=NoticeState.UNREACHED), Hold.UNREACHED),
        (replace(QUIET, state=NoticeState.RAISED), Hold.NOT_RECEIVED),
    ],
)
def test_time_alone_does_not_open_what_a_person_must_settle(held: Standing, hold: Hold) -> None:
    assert gate(held, END + timedelta(days=365)) == Gate(holds=(hold,), opens_at=None)


def test_the_weightiest_hold_comes_first() -> None:
    everything = replace(QUIET, state=NoticeState.UNREACHED, objections=1, terminations=1, unknown=1)

    assert gate(everything, JUST_BEFORE).holds == (
        Hold.OBJECTION,
        Hold.TERMINATION,
        Hold.UNREACHED,
        Hold.UNKNOWN,
        Hold.PERIOD,
    )


def test_all_clients_together_wait_for_the_last_one() -> None:
    later = END + timedelta(days=10)
    running = [replace(QUIET, state=NoticeState.RUNNING, object_until=until) for until in (END, later)]

    assert gate_of_all(gate(one, END) for one in running) == Gate(holds=(Hold.PERIOD,), opens_at=later)


def test_one_client_who_objects_keeps_the_gate_closed_for_all_without_a_date() -> None:
    both = [gate(QUIET, END), gate(replace(QUIET, objections=1), END)]

    assert gate_of_all(both) == Gate(holds=(Hold.OBJECTION,), opens_at=None)


def test_where_nobody_is_affected_nothing_holds() -> None:
    assert gate_of_all([]).is_open


@given(STANDINGS, STANDINGS)
def test_one_more_reason_to_hold_never_opens_a_gate(standing: Standing, other: Standing) -> None:
    worse = replace(
        standing,
        objections=standing.objections + other.objections,
        terminations=standing.terminations + other.terminations,
        unknown=standing.unknown + other.unknown,
        object_until=max(standing.object_until, other.object_until),
    )

    assert set(gate(worse, END).holds) >= set(gate(standing, END).holds)


@given(st.lists(STANDINGS, max_size=4), STANDINGS)
def test_one_more_client_never_opens_a_gate(clients: list[Standing], another: Standing) -> None:
    few = gate_of_all(gate(one, END) for one in clients)
    more = gate_of_all(gate(one, END) for one in [*clients, another])

    assert set(more.holds) >= set(few.holds)


@given(st.lists(STANDINGS, min_size=1, max_size=4))
def test_a_gate_that_says_when_it_opens_is_open_then_and_not_before(clients: list[Standing]) -> None:
    together = gate_of_all(gate(one, END) for one in clients)

    if together.opens_at:
        assert gate_of_all(gate(one, together.opens_at) for one in clients).is_open
        before = together.opens_at - timedelta(microseconds=1)
        assert gate_of_all(gate(one, before) for one in clients).holds == (Hold.PERIOD,)
    else:
        assert not gate_of_all(gate(one, END + timedelta(days=9999)) for one in clients).is_open
