from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.gate import Gate, Hold, Standing, Waits, gate, gate_of_all
from notifier.rules.notice_states import NoticeState

END = datetime(2026, 4, 3, 22, tzinfo=UTC)
JUST_BEFORE = END - timedelta(microseconds=1)
A_YEAR_LATER = END + timedelta(days=365)
QUIET = Standing(state=NoticeState.LAPSED, holds_until=END)
RUNNING = replace(QUIET, state=NoticeState.RUNNING)
ASKED = replace(RUNNING, waits=Waits.CONSENT)
EMERGENCY = replace(RUNNING, waits=Waits.EITHER)

COUNTS = st.integers(0, 2)
STANDINGS = st.builds(
    Standing,
    state=st.sampled_from(NoticeState),
    holds_until=st.integers(-2, 2).map(lambda days: END + timedelta(days=days)),
    waits=st.sampled_from(Waits),
    objections=COUNTS,
    terminations=COUNTS,
    consents=COUNTS,
    refusals=COUNTS,
    replies=COUNTS,
    unknown=COUNTS,
    excluded=st.booleans(),
)
WAITED_FOR = STANDINGS.filter(lambda standing: standing.waits is not Waits.NOTHING and not standing.excluded)


def test_the_gate_opens_with_the_first_instant_after_the_period() -> None:
    assert gate(RUNNING, JUST_BEFORE) == Gate(holds=(Hold.PERIOD,), opens_at=END)
    assert gate(RUNNING, END).is_open


@pytest.mark.parametrize(
    ("held", "hold"),
    [
        (replace(QUIET, objections=1), Hold.OBJECTION),
        (replace(QUIET, terminations=1), Hold.TERMINATION),
        (replace(QUIET, replies=1), Hold.REPLY),
        (replace(QUIET, unknown=1), Hold.UNKNOWN),
        (replace(QUIET, state=NoticeState.UNREACHED), Hold.UNREACHED),
        (replace(QUIET, state=NoticeState.RAISED), Hold.NOT_RECEIVED),
        (ASKED, Hold.CONSENT),
        (replace(ASKED, refusals=1), Hold.REFUSAL),
    ],
)
def test_time_alone_does_not_open_what_a_person_must_settle(held: Standing, hold: Hold) -> None:
    assert gate(held, A_YEAR_LATER) == Gate(holds=(hold,), opens_at=None)


def test_the_weightiest_hold_comes_first() -> None:
    everything = replace(
        QUIET, state=NoticeState.UNREACHED, objections=1, terminations=1, replies=1, unknown=1, refusals=1
    )

    assert gate(everything, JUST_BEFORE).holds == (
        Hold.OBJECTION,
        Hold.TERMINATION,
        Hold.REPLY,
        Hold.UNREACHED,
        Hold.UNKNOWN,
        Hold.PERIOD,
    )
    asked = gate(replace(everything, waits=Waits.CONSENT), JUST_BEFORE).holds
    assert asked[0] is Hold.REFUSAL
    assert list(asked) == sorted(asked, key=list(Hold).index)


# --- consent ---------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O4.2", "O5.5", "O19.1")
def test_silence_is_never_a_consent_however_long_it_lasts() -> None:
    for state in (NoticeState.RUNNING, NoticeState.LAPSED):
        assert gate(replace(ASKED, state=state), A_YEAR_LATER).holds == (Hold.CONSENT,)


def test_a_consent_opens_the_gate_without_waiting_for_the_period() -> None:
    assert gate(replace(ASKED, consents=1), JUST_BEFORE) == Gate(holds=(), opens_at=JUST_BEFORE)


def test_a_consent_is_a_receipt_whatever_became_of_the_mails() -> None:
    for state in NoticeState:
        assert gate(replace(ASKED, state=state, consents=1, unknown=1), JUST_BEFORE).is_open


def test_one_refusal_outweighs_a_consent_from_the_same_client() -> None:
    assert gate(replace(ASKED, consents=1, refusals=1), A_YEAR_LATER).holds == (Hold.REFUSAL,)


def test_a_consent_does_not_settle_an_objection_nor_a_letter_that_nobody_has_read() -> None:
    assert gate(replace(ASKED, consents=1, objections=1, replies=1), JUST_BEFORE).holds == (Hold.OBJECTION, Hold.REPLY)


def test_where_no_consent_is_asked_a_yes_shortens_nothing() -> None:
    assert gate(replace(RUNNING, consents=1), JUST_BEFORE) == Gate(holds=(Hold.PERIOD,), opens_at=END)


# --- an emergency ----------------------------------------------------------------------------------------------------


def test_in_an_emergency_a_consent_opens_at_once_and_else_the_period_does() -> None:
    assert gate(replace(EMERGENCY, consents=1), JUST_BEFORE).is_open
    assert gate(EMERGENCY, JUST_BEFORE) == Gate(holds=(Hold.PERIOD,), opens_at=END)
    assert gate(EMERGENCY, END).is_open


def test_in_an_emergency_a_refusal_leaves_the_client_its_whole_period() -> None:
    refused = replace(EMERGENCY, consents=1, refusals=1)

    assert gate(refused, JUST_BEFORE) == Gate(holds=(Hold.PERIOD,), opens_at=END)


def test_in_an_emergency_nobody_is_held_to_have_received_what_did_not_arrive() -> None:
    assert gate(replace(EMERGENCY, state=NoticeState.RAISED), A_YEAR_LATER).holds == (Hold.NOT_RECEIVED,)
    assert gate(replace(EMERGENCY, state=NoticeState.UNREACHED), A_YEAR_LATER).holds == (Hold.UNREACHED,)


# --- what is not waited for ------------------------------------------------------------------------------------------


@given(STANDINGS)
def test_a_client_for_whom_the_change_is_not_made_holds_nothing(standing: Standing) -> None:
    assert gate(replace(standing, excluded=True), JUST_BEFORE).is_open


@given(STANDINGS)
def test_what_is_only_told_is_not_waited_for(standing: Standing) -> None:
    assert gate(replace(standing, waits=Waits.NOTHING), JUST_BEFORE).is_open


# --- all clients together --------------------------------------------------------------------------------------------


def test_all_clients_together_wait_for_the_last_one() -> None:
    later = END + timedelta(days=10)
    running = [replace(RUNNING, holds_until=until) for until in (END, later)]

    assert gate_of_all(gate(one, END) for one in running) == Gate(holds=(Hold.PERIOD,), opens_at=later)


def test_one_client_who_objects_keeps_the_gate_closed_for_all_without_a_date() -> None:
    both = [gate(QUIET, END), gate(replace(QUIET, objections=1), END)]

    assert gate_of_all(both) == Gate(holds=(Hold.OBJECTION,), opens_at=None)


def test_one_client_who_has_not_agreed_keeps_the_gate_closed_for_all_unless_it_is_left_out() -> None:
    agreed, silent = replace(ASKED, consents=1), ASKED

    assert gate_of_all([gate(agreed, END), gate(silent, END)]).holds == (Hold.CONSENT,)
    assert gate_of_all([gate(agreed, END), gate(replace(silent, excluded=True), END)]).is_open


def test_where_nobody_is_affected_nothing_holds() -> None:
    assert gate_of_all([]).is_open


@given(STANDINGS, STANDINGS)
def test_one_more_reason_to_hold_never_opens_a_gate(standing: Standing, other: Standing) -> None:
    worse = replace(
        standing,
        objections=standing.objections + other.objections,
        terminations=standing.terminations + other.terminations,
        refusals=standing.refusals + other.refusals,
        replies=standing.replies + other.replies,
        unknown=standing.unknown + other.unknown,
        holds_until=max(standing.holds_until, other.holds_until),
    )
    before, after = gate(standing, END), gate(worse, END)

    assert set(after.holds) >= set(before.holds) - {Hold.CONSENT}  # a refusal takes the place of a missing consent
    assert before.is_open or not after.is_open


@given(st.lists(STANDINGS, max_size=4), STANDINGS)
def test_one_more_client_never_opens_a_gate(clients: list[Standing], another: Standing) -> None:
    few = gate_of_all(gate(one, END) for one in clients)
    more = gate_of_all(gate(one, END) for one in [*clients, another])

    assert set(more.holds) >= set(few.holds)


@given(st.lists(WAITED_FOR, min_size=1, max_size=4))
def test_a_closed_gate_that_says_when_it_opens_is_open_then_and_not_before(clients: list[Standing]) -> None:
    now = END - timedelta(days=9)
    together = gate_of_all(gate(one, now) for one in clients)

    if together.opens_at is None:
        assert not gate_of_all(gate(one, END + timedelta(days=9999)) for one in clients).is_open
    else:
        assert gate_of_all(gate(one, together.opens_at) for one in clients).is_open
        before = together.opens_at - timedelta(microseconds=1)
        assert together.is_open or gate_of_all(gate(one, before) for one in clients).holds == (Hold.PERIOD,)
