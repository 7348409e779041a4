"""How fast mails leave, and when the last of many will have left."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.pace import FARTHEST, last_leaves_at, pace_of

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")


def rounds(*mails: int, every: float, since: datetime = NOON) -> list[datetime]:
    """One instant for each mail of rounds that follow each other."""
    return [since + timedelta(seconds=every * number) for number, some in enumerate(mails) for _ in range(some)]


def test_a_steady_pace_is_told_in_mails_a_minute() -> None:
    assert pace_of(rounds(3, 3, 3, 3, 3, 3, every=6)) == pytest.approx(30)


def test_the_order_in_which_instants_come_does_not_matter() -> None:
    taken = rounds(10, 10, 10, every=2)

    assert pace_of(reversed(taken)) == pace_of(taken) == pytest.approx(300)


def test_hours_with_nothing_to_send_do_not_slow_the_pace() -> None:
    yesterday = rounds(10, 10, every=6, since=NOON - timedelta(days=1))

    assert pace_of(yesterday + rounds(10, 10, every=6)) == pytest.approx(100)


@pytest.mark.parametrize("taken", [[], [NOON], rounds(500, every=1), rounds(1, 9, every=1)])
def test_few_mails_or_a_single_round_say_nothing_of_a_pace(taken: list[datetime]) -> None:
    assert pace_of(taken) is None


def test_the_last_of_many_leaves_after_the_others_at_the_pace() -> None:
    assert last_leaves_at(NOON, 900, per_minute=30) == NOON + timedelta(minutes=30)


def test_where_nothing_waits_all_have_left_now() -> None:
    assert last_leaves_at(NOON, 0, per_minute=30, per_day=10, sent_today=10) == NOON


def test_what_a_days_cap_leaves_over_goes_on_after_midnight() -> None:
    at = last_leaves_at(NOON, 1000, per_minute=10, per_day=700, sent_today=0)

    assert at == datetime(2026, 3, 3, 0, 30, tzinfo=UTC)


def test_what_has_been_sent_today_counts_against_the_cap() -> None:
    assert last_leaves_at(NOON, 600, per_minute=10, per_day=700, sent_today=0) == NOON + timedelta(hours=1)
    tomorrow = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)
    assert last_leaves_at(NOON, 600, per_minute=10, per_day=700, sent_today=700) == tomorrow


def test_whole_days_pass_at_the_cap() -> None:
    at = last_leaves_at(NOON, 100 + 3 * 100 + 50, per_minute=None, per_day=100)

    assert at == datetime(2026, 3, 6, 0, 0, tzinfo=UTC)


def test_the_days_of_a_cap_are_those_of_the_zone() -> None:
    late = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)  # half past midnight in Paris

    assert last_leaves_at(late, 20, per_minute=1, per_day=10, tz=PARIS) == datetime(2026, 3, 3, 23, 10, tzinfo=UTC)


def test_where_the_cap_is_out_of_reach_the_night_stops_nothing() -> None:
    assert last_leaves_at(NOON, 3000, per_minute=1, per_day=100_000) == NOON + timedelta(minutes=3000)


@pytest.mark.parametrize("limits", [{"per_minute": 0}, {"per_minute": -1}, {"per_minute": 1, "per_day": 0}])
def test_what_lets_nothing_leave_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        last_leaves_at(NOON, 1, **limits)  # type: ignore[arg-type] # a table of cases


@given(
    st.integers(0, 10**7),
    st.none() | st.floats(1e-9, 1e9),
    st.none() | st.integers(1, 10**7),
    st.integers(0, 10**7),
)
def test_more_mails_never_leave_earlier_and_every_forecast_is_a_day_of_the_calendar(
    mails: int, per_minute: float | None, per_day: int | None, sent_today: int
) -> None:
    at, one_more = (
        last_leaves_at(NOON, number, per_minute=per_minute, per_day=per_day, sent_today=sent_today)
        for number in (mails, mails + 1)
    )

    assert NOON <= at <= one_more <= NOON + FARTHEST + timedelta(days=FARTHEST.days)
