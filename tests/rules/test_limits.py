from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.limits import (
    AN_HOUR,
    Bucket,
    RelayPlan,
    Turns,
    burst_of,
    counted,
    domain_of,
    room_at,
    together,
    within_a_day,
)
from notifier.rules.pace import A_DAY, A_MINUTE, Limits

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GAPS = st.lists(st.timedeltas(timedelta(), timedelta(minutes=3)), max_size=60)


@pytest.mark.parametrize(
    ("address", "domain"), [("ana@Client.EXAMPLE", "client.example"), ('"a@b"@client.example', "client.example")]
)
def test_the_domain_of_an_address_is_in_small_letters(address: str, domain: str) -> None:
    assert domain_of(address) == domain


# --- a rate ----------------------------------------------------------------------------------------------------------


@given(per_minute=st.floats(0.5, 600), at_once=st.integers(1, 20), gaps=GAPS)
def test_in_no_stretch_of_time_do_more_leave_than_the_rate_and_one_burst(
    per_minute: float, at_once: int, gaps: list[timedelta]
) -> None:
    burst = burst_of(at_once, per_minute)
    bucket, now = Bucket(burst, NOON), NOON
    left: list[tuple[datetime, int]] = []
    for gap in gaps:
        now += gap
        bucket = bucket.filled(per_minute=per_minute, burst=burst, now=now)
        left.append((now, bucket.room))
        bucket = Bucket(bucket.mails - bucket.room, bucket.at)

    for number, (begun, _) in enumerate(left):
        total = 0
        for at, mails in left[number:]:
            total += mails
            assert total <= burst + per_minute * ((at - begun) / A_MINUTE) + 0.001


@given(per_minute=st.floats(0.5, 600), at_once=st.integers(1, 20))
def test_whoever_comes_back_when_told_to_gets_the_whole_rate(per_minute: float, at_once: int) -> None:
    burst = burst_of(at_once, per_minute)
    bucket, now, left = Bucket(0, NOON), NOON, 0
    while now < NOON + 10 * A_MINUTE:
        now = bucket.next_at(per_minute=per_minute)
        bucket = bucket.filled(per_minute=per_minute, burst=burst, now=now)
        left += bucket.room
        bucket = Bucket(bucket.mails - bucket.room, bucket.at)

    assert left >= 10 * per_minute - 1


def test_a_clock_that_goes_back_lets_nothing_leave_twice() -> None:
    empty = Bucket(0, NOON)

    assert empty.filled(per_minute=30, burst=3, now=NOON - AN_HOUR) == empty


@pytest.mark.parametrize(("at_once", "per_minute", "burst"), [(3, 30, 3), (10, 6000, 100), (None, 12, 1)])
def test_after_a_silence_a_round_leaves_or_what_a_second_brings(
    at_once: int | None, per_minute: float, burst: float
) -> None:
    assert burst_of(at_once, per_minute) == burst


# --- a day -----------------------------------------------------------------------------------------------------------


@given(
    per_day=st.integers(1, 50),
    asked=st.lists(st.tuples(st.timedeltas(timedelta(), timedelta(hours=9)), st.integers(1, 30)), max_size=60),
)
def test_in_no_24_hours_do_more_leave_than_the_cap(per_day: int, asked: list[tuple[timedelta, int]]) -> None:
    hours: dict[str, int] = {}
    now = NOON
    left: list[tuple[datetime, int]] = []
    for gap, wanted in asked:
        now += gap
        mails = min(wanted, max(per_day - within_a_day(hours, now), 0))
        hours = counted(hours, mails, now)
        left.append((now, mails))

    for number, (begun, _) in enumerate(left):
        assert sum(mails for at, mails in left[number:] if at - begun < A_DAY) <= per_day
    assert len(hours) <= 25


@given(per_day=st.integers(1, 20), gaps=st.lists(st.timedeltas(timedelta(), timedelta(hours=5)), max_size=40))
def test_when_the_cap_is_reached_it_is_said_when_a_mail_may_leave_again(per_day: int, gaps: list[timedelta]) -> None:
    hours: dict[str, int] = {}
    now = NOON
    for gap in gaps:
        now += gap
        if within_a_day(hours, now) < per_day:
            hours = counted(hours, 1, now)
    at = room_at(hours, per_day=per_day, now=now)

    assert now <= at <= now + A_DAY + AN_HOUR
    assert within_a_day(hours, at) < per_day
    assert at == now or within_a_day(hours, at - timedelta(seconds=1)) >= per_day


def test_what_was_given_back_was_not_sent() -> None:
    hours = counted(counted({}, 5, NOON), -2, NOON + timedelta(minutes=1))

    assert within_a_day(hours, NOON) == 3
    assert within_a_day(counted(hours, -9, NOON), NOON) == 0


# --- several relays --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plans", "limits"),
    [
        (
            [RelayPlan(name="a", per_minute=30, per_day=100), RelayPlan(name="b", per_minute=3.5, per_day=9)],
            (33.5, 109),
        ),
        ([RelayPlan(name="a", per_minute=30), RelayPlan(name="b")], (None, None)),
        ([], (None, None)),
    ],
)
def test_relays_together_take_the_sum_of_what_each_does(
    plans: list[RelayPlan], limits: tuple[float | None, int | None]
) -> None:
    assert together(plans) == Limits(per_minute=limits[0], per_day=limits[1])


def handed(turns: Turns, rounds: int, *, mails: int = 10, skipped: tuple[str, ...] = ()) -> dict[str, int]:
    had: dict[str, int] = {}
    for _ in range(rounds):
        name = next(name for name in turns.order() if name not in skipped)
        turns.took(name, mails, skipped=skipped)
        had[name] = had.get(name, 0) + mails
    return had


def test_each_relay_has_its_share_by_weight() -> None:
    turns = Turns([RelayPlan(name="heavy", weight=3), RelayPlan(name="light", weight=1)])

    assert handed(turns, 400) == {"heavy": 3000, "light": 1000}


def test_what_a_relay_missed_while_it_rested_is_not_made_up_for() -> None:
    turns = Turns([RelayPlan(name="a"), RelayPlan(name="b")])

    assert handed(turns, 100, skipped=("b",)) == {"a": 1000}
    after = handed(turns, 100)
    assert abs(after["a"] - after["b"]) <= 20
