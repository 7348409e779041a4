from __future__ import annotations

import json
import os
import time as system_time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.calendars import BadPeriod, Calendar
from notifier.rules.deadlines import Deemed, Method, Question, ask, deadline, from_case
from notifier.rules.periods import IN_WORKING_DAYS, Counting, Period, zone

MORE_CASES = Path(__file__).parents[2].parent / "shared" / "law" / "deadline-cases.json"

# Start, period, rule, calendar, zone unless Paris, and what else is said; then the deadline.
CUTOFF = {"cutoff": "18:00", "base": "FR_CAL"}
PARIS, BRUSSELS, AMSTERDAM, BERLIN = "Europe/Paris", "Europe/Brussels", "Europe/Amsterdam", "Europe/Berlin"
Case = tuple[str, str, str, str, str, Mapping[str, Any], str]
CASES: Mapping[str, Case] = {
    "a bridge day is a day like any other":
        ("2026-04-14T08:00+02:00", "30 days", "FR_CAL", "FR", PARIS, {}, "2026-05-15T23:59:59+02:00"),
    "Whit Monday is a holiday":
        ("2026-05-15T08:00+02:00", "10 days", "FR_CAL", "FR", PARIS, {}, "2026-05-26T23:59:59+02:00"),
    "the last second of a day":
        ("2026-06-30T23:59:59+02:00", "30 days", "FR_CAL", "FR", PARIS, {}, "2026-07-30T23:59:59+02:00"),
    "day zero is the day in Paris":
        ("2026-06-30T22:30+00:00", "30 days", "FR_CAL", "FR", PARIS, {}, "2026-07-31T23:59:59+02:00"),
    "a Sunday of 23 hours":
        ("2026-03-28T23:30+01:00", "1 day", "FR_CAL", "FR", PARIS, {}, "2026-03-30T23:59:59+02:00"),
    "29 February":
        ("2028-02-14T10:00+01:00", "15 days", "FR_CAL", "FR", PARIS, {}, "2028-02-29T23:59:59+01:00"),
    "26 December in Paris":
        ("2025-12-11T10:00+01:00", "15 days", "FR_CAL", "FR", PARIS, {}, "2025-12-26T23:59:59+01:00"),
    "26 December in Metz":
        ("2025-12-11T10:00+01:00", "15 days", "FR_CAL", "FR-57", PARIS, {}, "2025-12-29T23:59:59+01:00"),
    "clear days":
        ("2026-03-02T10:00+01:00", "8 days", "CLEAR", "FR", PARIS, {}, "2026-03-11T23:59:59+01:00"),
    "clear days carried off a weekend":
        ("2026-03-05T10:00+01:00", "8 days", "CLEAR", "FR", PARIS, {}, "2026-03-16T23:59:59+01:00"),
    "a holiday of either place":
        ("2026-03-04T09:30+01:00", "30 days", "FR_CAL", "FR", PARIS, {"calendars": "FR+DE"},
         "2026-04-07T23:59:59+02:00"),
    "the Belgian national day":
        ("2026-07-06T09:00+02:00", "15 days", "FR_CAL", "BE", BRUSSELS, {}, "2026-07-22T23:59:59+02:00"),
    "no carrying over":
        ("2026-06-19T10:00+02:00", "2 days", "CAL_STRICT", "FR", PARIS, {}, "2026-06-21T23:59:59+02:00"),
    "two weeks end on the same weekday":
        ("2026-06-01T10:00+02:00", "2 weeks", "FR_CAL", "FR", PARIS, {}, "2026-06-15T23:59:59+02:00"),
    "no 31 February":
        ("2026-01-31T10:00+01:00", "1 month", "CAL_STRICT", "FR", PARIS, {}, "2026-02-28T23:59:59+01:00"),
    "no 31 February, and a Saturday":
        ("2026-01-31T10:00+01:00", "1 month", "FR_CAL", "FR", PARIS, {}, "2026-03-02T23:59:59+01:00"),
    "no 31 February in a leap year":
        ("2028-01-31T10:00+01:00", "1 month", "FR_CAL", "FR", PARIS, {}, "2028-02-29T23:59:59+01:00"),
    "the same day-number, and not the end of the month":
        ("2026-02-28T10:00+01:00", "1 month", "FR_CAL", "FR", PARIS, {}, "2026-03-30T23:59:59+02:00"),
    "All Saints on a Sunday":
        ("2026-10-01T10:00+02:00", "1 month", "FR_CAL", "FR", PARIS, {}, "2026-11-02T23:59:59+01:00"),
    "three months from 30 November":
        ("2026-11-30T10:00+01:00", "3 months", "FR_CAL", "FR", PARIS, {}, "2027-03-01T23:59:59+01:00"),
    "thirteen months":
        ("2026-03-27T23:59:59+01:00", "13 months", "CAL_STRICT", "FR", PARIS, {}, "2027-04-27T23:59:59+02:00"),
    "months first, then days":
        ("2026-01-31T10:00+01:00", "1 month and 10 days", "CAL_STRICT", "FR", PARIS, {}, "2026-03-10T23:59:59+01:00"),
    "fifteen business days without a holiday":
        ("2026-03-06T15:00+01:00", "15 business days", "BUSINESS", "FR", PARIS, {}, "2026-03-27T23:59:59+01:00"),
    "business days across 8 May, from a Saturday":
        ("2026-05-02T10:00+02:00", "5 business days", "BUSINESS", "FR", PARIS, {}, "2026-05-11T23:59:59+02:00"),
    "one business day from a holiday":
        ("2026-05-14T10:00+02:00", "1 business day", "BUSINESS", "FR", PARIS, {}, "2026-05-15T23:59:59+02:00"),
    "Easter in Germany":
        ("2026-03-30T09:00+02:00", "5 business days", "BUSINESS", "DE", BERLIN, {}, "2026-04-08T23:59:59+02:00"),
    "Easter in France":
        ("2026-03-30T09:00+02:00", "5 business days", "BUSINESS", "FR", PARIS, {}, "2026-04-07T23:59:59+02:00"),
    "Corpus Christi in Bavaria":
        ("2026-06-03T09:00+02:00", "1 business day", "BUSINESS", "DE-BY", BERLIN, {}, "2026-06-05T23:59:59+02:00"),
    "5 May worked in the Netherlands":
        ("2026-04-20T09:00+02:00", "10 business days", "BUSINESS", "NL", AMSTERDAM, {}, "2026-05-05T23:59:59+02:00"),
    "5 May added":
        ("2026-04-20T09:00+02:00", "10 business days", "BUSINESS", "NL", AMSTERDAM,
         {"extra_holidays": ["2026-05-05"]}, "2026-05-06T23:59:59+02:00"),
    "5 May by the Dutch periods act":
        ("2026-04-20T09:00+02:00", "10 business days", "BUSINESS", "NL-ATW", AMSTERDAM, {},
         "2026-05-06T23:59:59+02:00"),
    "a holiday that is worked":
        ("2026-05-14T10:00+02:00", "7 business days", "BUSINESS", "FR", PARIS, {"removed_holidays": ["2026-05-25"]},
         "2026-05-25T23:59:59+02:00"),
    "jours ouvrables":
        ("2026-03-06T15:00+01:00", "15 business days", "OUVRABLE", "FR", PARIS, {}, "2026-03-24T23:59:59+01:00"),
    "two days hold two working days":
        ("2026-12-24T10:00+01:00", "2 days", "EU_1182", "FR", PARIS, {}, "2026-12-29T23:59:59+01:00"),
    "one day need not hold two":
        ("2026-05-22T10:00+02:00", "1 day", "EU_1182", "FR", PARIS, {}, "2026-05-26T23:59:59+02:00"),
    "an EU month ends on a Saturday that is Assumption":
        ("2026-07-15T10:00+02:00", "1 month", "EU_1182", "FR", PARIS, {}, "2026-08-17T23:59:59+02:00"),
    "an EU month ends on King's Day":
        ("2026-03-27T10:00+01:00", "1 month", "EU_1182", "NL", AMSTERDAM, {}, "2026-04-28T23:59:59+02:00"),
    "eight days before a hearing":
        ("2024-07-31T09:00+02:00", "8 days", "BACK_CLEAR", "FR", PARIS, {}, "2024-07-22T23:59:59+02:00"),
    "thirty days before an audit":
        ("2026-06-15T09:00+02:00", "30 days", "BACK_CLEAR", "FR", PARIS, {}, "2026-05-15T23:59:59+02:00"),
    "thirty days before, on a Saturday":
        ("2026-09-01T00:00+02:00", "30 days", "BACK_CLEAR", "FR", PARIS, {}, "2026-08-01T23:59:59+02:00"),
    "a month before 31 March":
        ("2026-03-31T09:00+02:00", "1 month", "BACK_CLEAR", "FR", PARIS, {}, "2026-02-28T23:59:59+01:00"),
    "a week before, off a holiday":
        ("2026-05-09T06:00+02:00", "1 week", "BACK_CLEAR_SAFE", "FR", PARIS, {}, "2026-04-30T23:59:59+02:00"),
    "fifteen business days before":
        ("2026-05-18T00:00+02:00", "15 business days", "BACK_BUSINESS", "FR", PARIS, {},
         "2026-04-21T23:59:59+02:00"),
    "accepted before the cut-off":
        ("2026-05-22T17:59+02:00", "30 days", "DEEMED_EMAIL", "FR", PARIS, CUTOFF, "2026-06-22T23:59:59+02:00"),
    "accepted after the cut-off, before Whit Monday":
        ("2026-05-22T18:01+02:00", "30 days", "DEEMED_EMAIL", "FR", PARIS, CUTOFF, "2026-06-25T23:59:59+02:00"),
    "the days to accept a registered e-letter":
        ("2026-06-01T10:00+02:00", "15 days", "LRE_WINDOW", "none", PARIS, {}, "2026-06-16T23:59:59+02:00"),
    "unclaimed, received at the end of its window":
        ("2026-06-01T10:00+02:00", "30 days", "LRE_UNCLAIMED", "FR", PARIS, {"deemed": "window_end"},
         "2026-07-16T23:59:59+02:00"),
    "unclaimed, received when first presented":
        ("2026-06-01T10:00+02:00", "30 days", "LRE_UNCLAIMED", "FR", PARIS, {"deemed": "first_presentation"},
         "2026-07-01T23:59:59+02:00"),
    "the change may start after fifteen business days":
        ("2026-06-01T10:00+02:00", "15 business days", "GO_LIVE", "FR", PARIS, {"base": "BUSINESS"},
         "2026-06-23T00:00:00+02:00"),
    "elapsed time does not know weekends":
        ("2027-04-28T00:00+02:00", "10 days and 2 hours", "ELAPSED", "none", PARIS, {}, "2027-05-08T02:00:00+02:00"),
    "elapsed time across the end of summer time":
        ("2026-10-20T00:00+02:00", "10 days and 2 hours", "ELAPSED", "none", PARIS, {}, "2026-10-30T01:00:00+01:00"),
    "wall clock across the beginning of summer time":
        ("2026-03-20T16:00+01:00", "10 days and 2 hours", "WALL", "none", PARIS, {}, "2026-03-30T18:00:00+02:00"),
    "wall clock at an hour that does not exist":
        ("2026-03-28T02:30+01:00", "24 hours", "WALL", "none", PARIS, {}, "2026-03-29T03:30:00+02:00"),
}  # fmt: skip


def asked(case: Case) -> Question:
    start, period, rule, calendar, timezone, params, _ = case
    written = Period.parse(period)
    return ask(start=start, timezone=timezone, period=written, calendar=calendar, rule=rule, params=params)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_worked_example_ends_to_the_second(case: Case) -> None:
    assert deadline(asked(case)).at.isoformat() == case[-1]


def test_every_recorded_case_ends_where_two_independent_engines_ended() -> None:
    if not MORE_CASES.exists():
        pytest.skip("MISSING SERVICE: the collection of deadline cases")
    cases = json.loads(MORE_CASES.read_text())

    found = {case["id"]: deadline(from_case(case)).at.isoformat() for case in cases}

    assert found == {case["id"]: case["expected_deadline"] for case in cases}
    assert len(cases) >= 49


# --- what holds for every input --------------------------------------------------------------------------------------

INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
PLACES = ("none", "FR", "FR-57", "BE", "NL", "NL-ATW", "DE", "DE-BY", "FR+DE", "FR+2026-05-15!05-14")
CALENDARS = st.sampled_from(PLACES).map(Calendar.named)
ZONES = st.sampled_from(("Europe/Paris", "Africa/Cairo", "America/Havana", "Pacific/Apia", "UTC")).map(zone)
IN_DAYS = st.builds(Period, days=st.integers(1, 60), weeks=st.integers(0, 9), months=st.integers(0, 14))
IN_BUSINESS_DAYS = st.builds(Period, business_days=st.integers(1, 60))
IN_HOURS = st.builds(Period, days=st.integers(0, 60), hours=st.integers(1, 99))
WITH_A_BASE = {Method.DEEMED_EMAIL, Method.LRE_UNCLAIMED, Method.GO_LIVE}
BACKWARD = {Method.BACK_CLEAR, Method.BACK_CLEAR_SAFE, Method.BACK_BUSINESS}
# Later by the world's time is not always later by the clock on the wall: it shows one hour twice a year.
FORWARD = tuple(method for method in Method if method not in BACKWARD and method is not Method.WALL)


def period_for(method: Method, base: Counting) -> st.SearchStrategy[Period]:
    counting = base.value if method in WITH_A_BASE else method.value
    if counting in {*IN_WORKING_DAYS, "BACK_BUSINESS"}:
        return IN_BUSINESS_DAYS
    return IN_HOURS if counting in {"ELAPSED", "WALL"} else IN_DAYS


@st.composite
def questions(draw: st.DrawFn, methods: tuple[Method, ...] = tuple(Method)) -> Question:
    method, base = draw(st.sampled_from(methods)), draw(st.sampled_from(Counting))
    return Question(
        start=draw(INSTANTS),
        tz=draw(ZONES),
        period=draw(period_for(method, base)),
        calendar=draw(CALENDARS),
        method=method,
        base=base,
        cutoff=draw(st.times().map(lambda at: at.replace(microsecond=0))),
        deemed=draw(st.sampled_from(Deemed)),
    )


@given(questions(FORWARD), st.timedeltas(timedelta(), timedelta(days=40)))
def test_a_later_receipt_never_gives_an_earlier_deadline(question: Question, later: timedelta) -> None:
    assert deadline(replace(question, start=question.start + later)).at >= deadline(question).at


@given(questions(tuple(BACKWARD)), st.timedeltas(timedelta(), timedelta(days=40)))
def test_a_later_event_never_asks_for_an_earlier_receipt(question: Question, later: timedelta) -> None:
    assert deadline(replace(question, start=question.start + later)).at >= deadline(question).at


@given(questions(FORWARD), st.integers(0, 90))
def test_a_holiday_never_brings_a_deadline_forward(question: Question, after: int) -> None:
    day = (question.day + timedelta(days=after)).isoformat()
    with_holiday = replace(question, calendar=question.calendar.adjusted(added=[day]))

    assert deadline(with_holiday).at >= deadline(question).at


@contextmanager
def server_in(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    system_time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        system_time.tzset()


@given(questions(), st.sampled_from(["UTC", "America/Los_Angeles", "Pacific/Kiritimati", "Europe/Paris"]))
def test_the_servers_time_zone_does_not_matter_to_any_rule(question: Question, name: str) -> None:
    here = deadline(question)

    with server_in(name):
        there = deadline(question)

    assert (there, there.at.isoformat()) == (here, here.at.isoformat())


@given(questions())
def test_the_same_inputs_written_down_and_read_back_give_the_same_deadline(question: Question) -> None:
    params = {"base": question.base.value, "cutoff": question.cutoff.isoformat(), "deemed": question.deemed}
    again = ask(
        start=question.start.isoformat(),
        timezone=question.tz.key,
        period=Period.parse(str(question.period)),
        calendar=question.calendar.name,
        rule=question.method.value,
        params=params,
    )

    assert again == question
    assert deadline(again) == deadline(question)


@given(questions())
def test_a_deadline_carries_the_offset_of_its_zone(question: Question) -> None:
    at = deadline(question).at

    assert at.utcoffset() == at.astimezone(question.tz).utcoffset()


# --- what is refused -------------------------------------------------------------------------------------------------

CASE: Mapping[str, Any] = {
    "id": "one",
    "start": "2026-04-14T08:00:00+02:00",
    "timezone": "Europe/Paris",
    "period": {"n": 30, "unit": "days"},
    "calendar": "FR",
    "rule": "FR_CAL",
}


@pytest.mark.parametrize(
    ("changed", "instead"),
    [
        ({"rule": "MOON"}, "write one of CAL_STRICT, FR_CAL"),
        ({"start": "2026-02-31T08:00+01:00"}, "write one such as 2026-03-02T10:00:00"),
        ({"start": "2026-02-11T08:00"}, "has no offset: write it with one"),
        ({"start": "2026-02-11"}, "has no offset: write it with one"),
        ({"calendar": "Atlantis"}, 'write a country such as "FR"'),
        ({"timezone": "Mars/Olympus"}, "write an IANA name"),
        ({"period": {"n": 0, "unit": "days"}}, 'such as "30 days"'),
        ({"period": {"n": -3, "unit": "days"}}, "write a whole number of days"),
        ({"period": {"n": 1.5, "unit": "days"}}, "write a whole number of days"),
        ({"period": {"n": 3, "unit": "moons"}}, "write a whole number of days, business_days, weeks, months, hours"),
        ({"period": {"n": 9999, "unit": "months"}, "start": "9500-01-01T00:00Z"}, "write a shorter period"),
        ({"period": {}}, "the key 'n' is missing: write it"),
        ({"period": "30 days"}, 'as {"n": 30, "unit": "days"}'),
        ({"params": ["FR"]}, "no parameter is called FR"),
        ({"params": {"cut-off": "18:00"}}, "write one of base, calendars, cutoff"),
        ({"params": {"cutoff": "6 pm"}}, "write one such as 18:00"),
        ({"params": {"base": "GO_LIVE"}}, "write one of CAL_STRICT"),
        ({"params": {"extra_holidays": ["2026-02-31"]}}, "05-05 for every year"),
        ({"rule": "LRE_UNCLAIMED"}, '"window_end" or "first_presentation"'),
        ({"rule": "LRE_UNCLAIMED", "params": {"deemed": "never"}}, "write one of window_end, first_presentation"),
        ({"rule": "ELAPSED", "period": {"n": 1, "unit": "months"}}, "write the period in weeks, days and hours"),
        ({"rule": "BACK_BUSINESS"}, 'such as "15 business days"'),
        ({"rule": "BACK_CLEAR", "params": {"plus_hours": 2}}, "write the rule ELAPSED or WALL"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_what_to_write(changed: Mapping[str, Any], instead: str) -> None:
    with pytest.raises(BadPeriod) as refused:
        deadline(from_case({**CASE, **changed}))

    assert instead in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["start", "timezone", "period", "calendar", "rule"])
def test_a_case_with_a_key_missing_is_refused(key: str) -> None:
    with pytest.raises(BadPeriod, match=f"the key '{key}' is missing: write it"):
        from_case({name: value for name, value in CASE.items() if name != key})


def test_days_and_hours_of_a_case_add_up() -> None:
    params = {"plus_days": 10, "plus_hours": 2}

    assert from_case({**CASE, "params": params}).period == Period(days=40, hours=2)
    assert from_case(CASE).cutoff == time(18)
