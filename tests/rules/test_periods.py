from __future__ import annotations

import time as system_time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.calendars import BadPeriod, Calendar
from notifier.rules.periods import (
    IN_WORKING_DAYS,
    Count,
    Counting,
    Period,
    Step,
    count,
    count_back,
    count_back_business,
    deemed_receipt,
    first_day_from,
    local_day,
    plus,
    start_of_day,
    to_earlier_working_day,
    zone,
)

PARIS = zone("Europe/Paris")
SIX_PM = time(18)
DEEMED = "DEEMED_EMAIL"

DAYS = st.dates(date(2000, 1, 1), date(2060, 12, 31))
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
PERIODS = st.integers(1, 400).map(Period)
BY_CALENDAR = st.sampled_from([rule for rule in Counting if rule not in IN_WORKING_DAYS])
LONG_PERIODS = st.builds(Period, days=st.integers(1, 60), weeks=st.integers(0, 9), months=st.integers(0, 14))
BUSINESS_DAYS = st.builds(Period, business_days=st.integers(1, 60))
CLOCKS = st.one_of(
    st.tuples(BY_CALENDAR, PERIODS | LONG_PERIODS), st.tuples(st.sampled_from(sorted(IN_WORKING_DAYS)), BUSINESS_DAYS)
)
PLACES = ("FR", "BE", "DE", "NL", "FR-57", "ES", "LU")
CALENDARS = st.sampled_from(("none", *PLACES)).map(Calendar.named)
ZONES = st.sampled_from(("Europe/Paris", "Africa/Cairo", "America/Havana", "Pacific/Apia", "UTC")).map(zone)


def counted(received_at: str, days: int, rule: str, calendar: str, timezone: str, cutoff: str = "18:00") -> Count:
    """Count as a contract does: from the day of receipt, or from the day on which a mail is deemed received."""
    instant, tz, place = datetime.fromisoformat(received_at), zone(timezone), Calendar.named(calendar)
    if rule == DEEMED:
        day_zero = deemed_receipt(instant, calendar=place, tz=tz, cutoff=time.fromisoformat(cutoff))
        return count(day_zero, Period(days), rule=Counting.FR_CAL, calendar=place, tz=tz)
    return count(local_day(instant, tz), Period(days), rule=Counting(rule), calendar=place, tz=tz)


FRANCE, METZ = ("FR", "Europe/Paris"), ("FR-57", "Europe/Paris")
BELGIUM, FRANCE_AND_GERMANY, NOWHERE = ("BE", "Europe/Brussels"), ("FR+DE", "Europe/Paris"), ("none", "Europe/Paris")

# Received at, days, rule, calendar and zone, the last day.
WORKED = {
    "a bridge day is a day like any other": ("2026-04-14T08:00+02:00", 30, "FR_CAL", FRANCE, "2026-05-15"),
    "Whit Monday is a holiday": ("2026-05-15T08:00+02:00", 10, "FR_CAL", FRANCE, "2026-05-26"),
    "the hour of receipt does not count": ("2026-06-30T23:59:59+02:00", 30, "FR_CAL", FRANCE, "2026-07-30"),
    "day zero is the day in Paris": ("2026-06-30T22:30+00:00", 30, "FR_CAL", FRANCE, "2026-07-31"),
    "a Sunday of 23 hours": ("2026-03-28T23:30+01:00", 1, "FR_CAL", FRANCE, "2026-03-30"),
    "29 February": ("2028-02-14T10:00+01:00", 15, "FR_CAL", FRANCE, "2028-02-29"),
    "26 December is no holiday in Paris": ("2025-12-11T10:00+01:00", 15, "FR_CAL", FRANCE, "2025-12-26"),
    "26 December is one in Metz": ("2025-12-11T10:00+01:00", 15, "FR_CAL", METZ, "2025-12-29"),
    "a holiday of either place": ("2026-03-04T09:30+01:00", 30, "FR_CAL", FRANCE_AND_GERMANY, "2026-04-07"),
    "the Belgian national day": ("2026-07-06T09:00+02:00", 15, "FR_CAL", BELGIUM, "2026-07-22"),
    "no carrying over": ("2026-06-30T22:30+02:00", 30, "CAL_STRICT", NOWHERE, "2026-07-30"),
    "a Sunday where nothing is carried": ("2026-06-19T10:00+02:00", 2, "CAL_STRICT", FRANCE, "2026-06-21"),
    "accepted before the cut-off": ("2026-05-22T17:59+02:00", 30, DEEMED, FRANCE, "2026-06-22"),
    "accepted at the cut-off": ("2026-05-22T18:00+02:00", 30, DEEMED, FRANCE, "2026-06-22"),
    "accepted late before a long weekend": ("2026-05-22T18:01+02:00", 30, DEEMED, FRANCE, "2026-06-25"),
}


@pytest.mark.parametrize("case", WORKED.values(), ids=WORKED.keys())
def test_a_worked_example_ends_on_its_day(case: tuple[str, int, str, tuple[str, str], str]) -> None:
    received_at, days, rule, place, last_day = case

    assert counted(received_at, days, rule, *place).last_day.isoformat() == last_day


def test_the_arithmetic_is_kept_step_by_step() -> None:
    day_zero, last_day = date(2026, 4, 1), date(2026, 4, 7)

    found = count(day_zero, Period(3), rule=Counting.FR_CAL, calendar=Calendar.named("FR"), tz=PARIS)

    assert found.steps == (
        Step("day_zero", day_zero),
        Step("added", date(2026, 4, 4), why="3 days"),
        Step("rolled", date(2026, 4, 5), why="saturday"),
        Step("rolled", date(2026, 4, 6), why="sunday"),
        Step("rolled", last_day, why="Easter Monday"),
    )
    assert (found.last_day, found.until) == (last_day, datetime(2026, 4, 7, 22, tzinfo=UTC))


@given(DAYS, st.integers(0, 40), CLOCKS, CALENDARS)
def test_a_later_receipt_never_gives_an_earlier_end(
    day: date, later: int, clock: tuple[Counting, Period], calendar: Calendar
) -> None:
    rule, period = clock
    first, second = (count(day + timedelta(days=n), period, rule=rule, calendar=calendar, tz=PARIS) for n in (0, later))

    assert second.until >= first.until


@given(INSTANTS, st.timedeltas(timedelta(), timedelta(days=10)), CALENDARS, ZONES, st.times())
def test_a_mail_accepted_later_is_never_deemed_received_earlier(
    accepted_at: datetime, later: timedelta, calendar: Calendar, tz: ZoneInfo, cutoff: time
) -> None:
    first, second = (
        deemed_receipt(instant, calendar=calendar, tz=tz, cutoff=cutoff)
        for instant in (accepted_at, accepted_at + later)
    )

    assert local_day(accepted_at, tz) <= first <= second
    assert not calendar.why_not_working(first)


@given(DAYS, CLOCKS, st.lists(st.sampled_from(PLACES), min_size=1, max_size=3), st.sampled_from(PLACES))
def test_another_place_never_shortens_a_period(
    day: date, clock: tuple[Counting, Period], places: list[str], another: str
) -> None:
    rule, period = clock
    fewer, more = (
        count(day, period, rule=rule, calendar=Calendar.named("+".join(names)), tz=PARIS)
        for names in (places, [*places, another])
    )

    assert more.until >= fewer.until


@given(DAYS, CLOCKS, CALENDARS, st.integers(0, 90))
def test_a_holiday_never_shortens_a_period(
    day: date, clock: tuple[Counting, Period], calendar: Calendar, after: int
) -> None:
    rule, period = clock
    with_holiday = calendar.adjusted(added=[(day + timedelta(days=after)).isoformat()])

    fewer, more = (count(day, period, rule=rule, calendar=one, tz=PARIS) for one in (calendar, with_holiday))

    assert more.until >= fewer.until


@given(DAYS, DAYS, PERIODS | LONG_PERIODS)
def test_counting_back_is_the_exact_inverse_of_counting_forward(event_on: date, day: date, period: Period) -> None:
    latest = count_back(event_on, period)[-1].day

    assert plus(latest, period) < event_on <= plus(latest + timedelta(days=1), period)
    assert (day <= latest) == (plus(day, period) < event_on)


@given(DAYS, PERIODS)
def test_days_counted_back_leave_one_more_than_their_number(event_on: date, period: Period) -> None:
    assert count_back(event_on, period)[-1].day == event_on - timedelta(days=period.days + 1)


@given(DAYS, BUSINESS_DAYS, CALENDARS)
def test_business_days_counted_back_are_the_exact_inverse_of_forward(
    event_on: date, period: Period, calendar: Calendar
) -> None:
    latest = count_back_business(event_on, period, calendar)[-1].day
    next_one = calendar.next_working_day(latest + timedelta(days=1))

    ends, too_late = (
        count(day, period, rule=Counting.BUSINESS, calendar=calendar, tz=PARIS).last_day for day in (latest, next_one)
    )

    assert not calendar.why_not_working(latest)
    assert ends < event_on <= too_late


@given(DAYS, PERIODS | LONG_PERIODS, CALENDARS)
def test_a_send_by_day_is_worked_and_never_later(event_on: date, period: Period, calendar: Calendar) -> None:
    steps = count_back(event_on, period)

    safe = to_earlier_working_day(steps, calendar)[-1].day

    assert not calendar.why_not_working(safe)
    assert calendar.next_working_day(safe + timedelta(days=1)) > steps[-1].day >= safe


@given(DAYS, PERIODS, st.sampled_from((Counting.CAL_STRICT, Counting.FR_CAL)), CALENDARS)
def test_a_period_is_never_shorter_than_its_days_and_is_carried_to_a_working_day(
    day: date, period: Period, rule: Counting, calendar: Calendar
) -> None:
    found = count(day, period, rule=rule, calendar=calendar, tz=PARIS)

    strict_end = day + timedelta(days=period.days)
    assert found.last_day == (strict_end if rule is Counting.CAL_STRICT else calendar.next_working_day(strict_end))
    assert found == count(day, period, rule=rule, calendar=calendar, tz=PARIS)


@given(DAYS, PERIODS, ZONES)
def test_the_last_instant_in_time_is_on_the_last_day_and_the_next_one_is_not(
    day: date, period: Period, tz: ZoneInfo
) -> None:
    found = count(day, period, rule=Counting.CAL_STRICT, calendar=Calendar.named("none"), tz=tz)

    assert local_day(found.until - timedelta(microseconds=1), tz) <= found.last_day < local_day(found.until, tz)
    assert found.until.tzinfo is UTC


@pytest.fixture
def servers_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def be_in(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        system_time.tzset()

    yield be_in
    monkeypatch.undo()
    system_time.tzset()


@pytest.mark.parametrize("name", ["UTC", "America/Los_Angeles", "Pacific/Kiritimati", "Europe/Paris"])
def test_the_servers_time_zone_does_not_matter(servers_zone: Callable[[str], None], name: str) -> None:
    servers_zone(name)

    found = counted("2026-05-22T18:01+02:00", 30, DEEMED, "FR", "Europe/Paris")

    assert (found.last_day, found.until) == (date(2026, 6, 25), datetime(2026, 6, 25, 22, tzinfo=UTC))


@pytest.mark.parametrize("language", ["C.UTF-8", "fr_FR.UTF-8", "de_DE.UTF-8"])
def test_the_servers_language_does_not_matter(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(name, language)

    names = {place: Calendar.named(place).why_not_working(date(2026, 4, 6)) for place in ("FR", "BE", "DE")}

    assert names == dict.fromkeys(("FR", "BE", "DE"), "Easter Monday")


def test_a_day_begins_at_midnight_of_its_zone_summer_and_winter() -> None:
    assert start_of_day(date(2026, 3, 29), PARIS) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert start_of_day(date(2026, 3, 30), PARIS) == datetime(2026, 3, 29, 22, tzinfo=UTC)


def test_an_instant_without_an_offset_is_refused() -> None:
    naive = datetime(2026, 3, 2, 12, 0)  # noqa: DTZ001 - what is refused

    with pytest.raises(BadPeriod, match="has no offset"):
        local_day(naive, PARIS)
    with pytest.raises(BadPeriod, match="has no offset"):
        deemed_receipt(naive, calendar=Calendar.named("FR"), tz=PARIS, cutoff=SIX_PM)


@pytest.mark.parametrize("name", ["", "Atlantis", "FR-XX", "FR+Atlantis", "FR+", "none+FR", "fr"])
def test_an_unknown_calendar_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(BadPeriod, match='write a country such as "FR"'):
        Calendar.named(name)


@pytest.mark.parametrize("name", ["", "Europe", "Europe/Atlantis", "../etc/passwd", "/etc/passwd", "a\0b"])
def test_an_unknown_time_zone_is_refused_with_what_to_write(name: str) -> None:
    with pytest.raises(BadPeriod, match="write an IANA name"):
        zone(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0 days",
        "00 days",
        "30",
        "-1 days",
        "30 years",
        "a month",
        "99999 days",
        "1 day and 2 days",
        "1 day and",
    ],
)
def test_a_period_that_cannot_be_counted_is_refused(text: str) -> None:
    with pytest.raises(BadPeriod, match='such as "30 days"'):
        Period.parse(text)


@given(PERIODS | LONG_PERIODS | BUSINESS_DAYS | st.builds(Period, days=st.integers(0, 9), hours=st.integers(1, 99)))
def test_a_period_is_read_as_it_is_written(period: Period) -> None:
    assert Period.parse(str(period)) == period


@given(INSTANTS, ZONES)
def test_the_first_day_from_an_instant_begins_no_sooner_and_the_day_before_it_does(
    instant: datetime, tz: ZoneInfo
) -> None:
    day = first_day_from(instant, tz)

    assert start_of_day(day, tz) >= instant > start_of_day(day - timedelta(days=1), tz)


def test_business_days_stand_alone() -> None:
    with pytest.raises(BadPeriod, match="business days stand alone"):
        Period.parse("1 month and 5 business days")


@pytest.mark.parametrize(
    ("rule", "period", "instead"),
    [
        ("FR_CAL", "15 business days", "write the period in days, weeks or months"),
        ("BUSINESS", "15 days", 'such as "15 business days"'),
        ("OUVRABLE", "1 month", 'such as "15 business days"'),
        ("EU_1182", "48 hours", "write the rule ELAPSED or WALL"),
    ],
)
def test_a_rule_counts_its_own_kind_of_day(rule: str, period: str, instead: str) -> None:
    with pytest.raises(BadPeriod, match=instead):
        count(date(2026, 3, 2), Period.parse(period), rule=Counting(rule), calendar=Calendar.named("FR"), tz=PARIS)


def test_the_dutch_periods_act_keeps_5_may_every_year() -> None:
    fifth_of_may = date(2026, 5, 5)

    names = {
        name: Calendar.named(name).holiday(fifth_of_may)
        for name in ("NL", "NL-ATW", "BE+NL-ATW", "NL-ATW!05-05", "NL+05-05")
    }

    assert names == {
        "NL": "", "NL-ATW": "Liberation Day", "BE+NL-ATW": "Liberation Day", "NL-ATW!05-05": "",
        "NL+05-05": "added holiday",
    }  # fmt: skip


def test_days_are_added_and_taken_away_once_or_every_year() -> None:
    metz = Calendar.named("FR-57").adjusted(added=["12-24", "2026-08-14"], removed=["2026-04-03"])

    assert metz == Calendar.named("FR-57+12-24+2026-08-14!2026-04-03")
    assert [day for day in (date(2026, 12, 24), date(2027, 12, 24), date(2026, 8, 14)) if not metz.holiday(day)] == []
    assert [bool(metz.holiday(day)) for day in (date(2026, 4, 3), date(2027, 3, 26), date(2027, 8, 14))] == [
        False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize("day", ["2026-02-31", "31-02", "02-30", "20260505", "FR", "", "5 May"])
def test_a_day_that_does_not_exist_is_refused_with_what_to_write(day: str) -> None:
    with pytest.raises(BadPeriod, match="05-05 for every year"):
        Calendar.named("FR").adjusted(added=[day])
