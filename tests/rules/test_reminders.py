from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.reminders import BadSchedule, Schedule

LAST_DAY = date(2026, 4, 3)
LONG_AGO = date(2026, 3, 2)
TWICE = Schedule((14, 3))

SCHEDULES = st.lists(st.integers(0, 40), max_size=5, unique=True).map(
    lambda days: Schedule.of(sorted(days, reverse=True))
)
DAYS = st.dates(LAST_DAY - timedelta(days=50), LAST_DAY + timedelta(days=10))
TICKS = st.lists(DAYS, max_size=40)  # missed, repeated, and of clocks that jump back


def days_before(days: int) -> date:
    return LAST_DAY - timedelta(days=days)


def due(today: date, *sent: int, schedule: Schedule = TWICE, told_on: date = LONG_AGO) -> int | None:
    return schedule.due(last_day=LAST_DAY, told_on=told_on, sent=sent, answered=False, today=today)


# --- by the calendar -------------------------------------------------------------------------------------------------


def test_a_reminder_is_due_on_its_day_and_not_the_day_before() -> None:
    assert [due(days_before(15)), due(days_before(14))] == [None, 14]


def test_a_reminder_that_was_sent_is_not_due_again() -> None:
    assert [due(days_before(14), 14), due(days_before(9), 14), due(days_before(3), 14, 3)] == [None, None, None]


def test_a_reminder_whose_day_was_missed_is_due_until_the_next_one_is() -> None:
    assert [due(days_before(days)) for days in (13, 4, 3)] == [14, 14, 3]


def test_after_a_long_silence_only_the_latest_is_due_and_the_passed_ones_never_are() -> None:
    assert due(days_before(2)) == 3
    assert [due(days_before(2), 3), due(days_before(14), 3)] == [None, None]


def test_on_the_last_day_and_after_it_nothing_is_due() -> None:
    assert [due(LAST_DAY), due(LAST_DAY + timedelta(days=1))] == [None, None]


def test_a_reminder_for_the_last_day_itself_is_due_on_that_day_alone() -> None:
    on_the_day = Schedule((3, 0))

    assert [due(days_before(1), 3, schedule=on_the_day), due(LAST_DAY, 3, schedule=on_the_day)] == [None, 0]
    assert due(LAST_DAY + timedelta(days=1), schedule=on_the_day) is None


def test_an_empty_schedule_reminds_nobody() -> None:
    assert [due(days_before(days), schedule=Schedule(())) for days in range(20)] == [None] * 20
    assert Schedule(()).windows(LAST_DAY) == {}


def test_whoever_has_answered_is_not_reminded() -> None:
    assert TWICE.due(last_day=LAST_DAY, told_on=LONG_AGO, sent=(), answered=True, today=days_before(3)) is None


# --- being told ------------------------------------------------------------------------------------------------------


def test_a_reminder_does_not_come_on_the_day_of_the_notice_and_is_due_from_the_next_day_on() -> None:
    assert due(days_before(14), told_on=days_before(14)) is None
    assert due(days_before(14), told_on=days_before(15)) == 14


def test_in_a_short_period_the_reminders_of_days_before_the_notice_are_left_out() -> None:
    told_on = days_before(8)

    assert {day for day in range(15) if due(days_before(day), told_on=told_on)} == {1, 2, 3}
    assert due(days_before(3), told_on=told_on) == 3


def test_how_far_apart_notice_and_reminder_are_can_be_said() -> None:
    a_week_apart = Schedule((3,), apart=7)

    assert due(days_before(3), schedule=a_week_apart, told_on=days_before(9)) is None
    assert due(days_before(3), schedule=a_week_apart, told_on=days_before(10)) == 3


# --- what may be written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [[3, 14], [14, 14, 3], [3, -1], [99999]])
def test_a_schedule_that_repeats_itself_or_is_out_of_order_is_refused(written: list[int]) -> None:
    with pytest.raises(BadSchedule, match=r"such as \[14, 3\]"):
        Schedule.of(written)


# --- whatever the ticks ----------------------------------------------------------------------------------------------


@given(SCHEDULES, TICKS, DAYS)
def test_any_ticks_send_each_reminder_at_most_once_in_order_and_before_the_end(
    schedule: Schedule, ticks: list[date], told_on: date
) -> None:
    sent: list[int] = []
    for today in ticks:
        days = due(today, *sent, schedule=schedule, told_on=told_on)
        if days is not None:
            assert today < LAST_DAY or (today == LAST_DAY and days == 0)
            assert min(today, days_before(days)) > told_on
            sent.append(days)

    assert sent == sorted(set(sent), reverse=True)
    assert set(sent) <= set(schedule.days_before)


@given(SCHEDULES, TICKS, DAYS, st.integers(0, 40))
def test_whatever_the_ticks_nothing_is_sent_after_an_answer(
    schedule: Schedule, ticks: list[date], told_on: date, answered_at: int
) -> None:
    sent: list[int] = []
    for number, today in enumerate(ticks):
        answered = number >= answered_at
        days = schedule.due(last_day=LAST_DAY, told_on=told_on, sent=sent, answered=answered, today=today)
        assert days is None or not answered
        sent += [] if days is None else [days]


@given(SCHEDULES)
def test_ticks_every_day_send_every_reminder_on_its_own_day(schedule: Schedule) -> None:
    sent: dict[int, date] = {}
    told_on = days_before(60)
    for left in range(50, -5, -1):
        days = due(days_before(left), *sent, schedule=schedule, told_on=told_on)
        if days is not None:
            sent[days] = days_before(left)

    assert sent == {days: days_before(days) for days in schedule.days_before}


@given(SCHEDULES, DAYS)
def test_the_windows_of_a_day_hold_the_last_days_for_which_something_has_come_and_no_others(
    schedule: Schedule, today: date
) -> None:
    found = {last_day: days for days, last_days in schedule.windows(today).items() for last_day in last_days}

    for left in range(-5, 50):
        last_day = today + timedelta(days=left)
        assert found.get(last_day) == schedule.reached(last_day, today)
