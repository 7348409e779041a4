"""From an instant to a deadline, by every rule that a contract or a law may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from notifier.rules.calendars import BadPeriod, Calendar
from notifier.rules.periods import (
    Count,
    Counting,
    Period,
    Step,
    count,
    count_back,
    count_back_business,
    deemed_receipt,
    local_day,
    start_of_day,
    to_earlier_working_day,
    zone,
)

ONE_SECOND = timedelta(seconds=1)
LRE_WINDOW = Period(days=15)  # to accept a registered e-letter, from the day after being told of it (CPCE R.53-3)
SIX_PM = time(18)
Name = TypeVar("Name", bound=StrEnum)


class Method(StrEnum):
    """The rules by which an instant leads to a deadline; the first six count from the local day of the instant."""

    CAL_STRICT = "CAL_STRICT"
    FR_CAL = "FR_CAL"
    EU_1182 = "EU_1182"
    BUSINESS = "BUSINESS"
    OUVRABLE = "OUVRABLE"
    CLEAR = "CLEAR"
    BACK_CLEAR = "BACK_CLEAR"  # whole days before an event
    BACK_CLEAR_SAFE = "BACK_CLEAR_SAFE"  # the same, off non-working days to the working day before
    BACK_BUSINESS = "BACK_BUSINESS"  # whole working days before an event
    DEEMED_EMAIL = "DEEMED_EMAIL"  # from the day a mail is deemed received
    LRE_WINDOW = "LRE_WINDOW"  # the days in which a registered e-letter may be accepted
    LRE_UNCLAIMED = "LRE_UNCLAIMED"  # from the day an unclaimed registered e-letter is deemed received
    GO_LIVE = "GO_LIVE"  # the first instant after a period
    ELAPSED = "ELAPSED"  # days of 24 hours and hours, to an instant
    WALL = "WALL"  # days and hours as the clock on the wall shows them, to an instant


class Deemed(StrEnum):
    """When a registered e-letter that nobody claims is received, where the contract says so."""

    WINDOW_END = "window_end"
    FIRST_PRESENTATION = "first_presentation"


class Ending(StrEnum):
    """What the instant of a deadline is."""

    LAST_SECOND = "last_second"  # 23:59:59 of the last day, itself in time
    FIRST_SECOND = "first_second"  # 00:00 of the day after a period
    INSTANT = "instant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything a deadline is computed from.  `start` is aware; for counting back it is the event's instant."""

    start: datetime
    tz: ZoneInfo
    period: Period
    calendar: Calendar
    method: Method
    base: Counting = Counting.FR_CAL  # how the period is counted where the method says only from when
    cutoff: time = SIX_PM  # DEEMED_EMAIL
    deemed: Deemed | None = None  # LRE_UNCLAIMED

    @property
    def day(self) -> date:
        return local_day(self.start, self.tz)

    def counted_from(self, day_zero: date, rule: Counting | None = None) -> Count:
        return count(day_zero, self.period, rule=rule or self.base, calendar=self.calendar, tz=self.tz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """An answer: the instant, with the offset of its zone, what it is, and the arithmetic."""

    at: datetime
    ending: Ending
    steps: tuple[Step, ...]


def deadline(asked: Question) -> Deadline:
    """Compute a deadline; what cannot be counted raises BadPeriod."""
    try:
        local_day(asked.start, asked.tz)  # refuses an instant without an offset before anything is made of it
        return _ANSWERS[asked.method](asked)
    except OverflowError:
        raise BadPeriod(f'"{asked.period}" leads out of the years 1 to 9999: write a shorter period') from None


def _until(asked: Question, counted: Count, *before: Step) -> Deadline:
    last_second = (counted.until - ONE_SECOND).astimezone(asked.tz)
    return Deadline(at=last_second, ending=Ending.LAST_SECOND, steps=(*before, *counted.steps))


def _from_receipt(asked: Question) -> Deadline:
    return _until(asked, asked.counted_from(asked.day, Counting(asked.method.value)))


def _deemed_email(asked: Question) -> Deadline:
    received_on = deemed_receipt(asked.start, calendar=asked.calendar, tz=asked.tz, cutoff=asked.cutoff)
    accepted = Step("accepted", asked.day, why=f"{asked.start.astimezone(asked.tz):%H:%M:%S}")
    deemed = Step("deemed_received", received_on, why=asked.cutoff.isoformat("minutes"))
    return _until(asked, asked.counted_from(received_on), accepted, deemed)


def _lre_window(asked: Question) -> Deadline:
    return _until(asked, asked.counted_from(asked.day, Counting.CAL_STRICT), Step("informed", asked.day))


def _lre_unclaimed(asked: Question) -> Deadline:
    if asked.deemed is None:
        raise BadPeriod(
            "a registered e-letter that nobody claims is not received unless the contract says when: write deemed as "
            '"window_end" or "first_presentation"'
        )
    informed = Step("informed", asked.day)
    if asked.deemed is Deemed.FIRST_PRESENTATION:
        return _until(asked, asked.counted_from(asked.day), informed, Step("presented", asked.day))
    window_end = asked.day + timedelta(days=LRE_WINDOW.days)
    unclaimed = Step("unclaimed", window_end, why=str(LRE_WINDOW))
    return _until(asked, asked.counted_from(window_end), informed, unclaimed)


def _go_live(asked: Question) -> Deadline:
    counted = asked.counted_from(asked.day)
    at = counted.until.astimezone(asked.tz)
    return Deadline(at=at, ending=Ending.FIRST_SECOND, steps=(*counted.steps, Step("opened", at.date())))


def _back(asked: Question, steps: list[Step]) -> Deadline:
    after = start_of_day(steps[-1].day + timedelta(days=1), asked.tz)
    return Deadline(at=(after - ONE_SECOND).astimezone(asked.tz), ending=Ending.LAST_SECOND, steps=tuple(steps))


def _back_clear(asked: Question) -> Deadline:
    return _back(asked, count_back(asked.day, asked.period))


def _back_clear_safe(asked: Question) -> Deadline:
    return _back(asked, to_earlier_working_day(count_back(asked.day, asked.period), asked.calendar))


def _back_business(asked: Question) -> Deadline:
    return _back(asked, count_back_business(asked.day, asked.period, asked.calendar))


def _elapsed(asked: Question) -> Deadline:
    hours = timedelta(weeks=asked.period.weeks, days=asked.period.days, hours=asked.period.hours)
    return _at(asked, asked.start.astimezone(UTC) + hours, "elapsed")


def _wall(asked: Question) -> Deadline:
    days = timedelta(weeks=asked.period.weeks, days=asked.period.days, hours=asked.period.hours)
    # Python adds to a local time as the clock on the wall does; UTC makes real an hour that this clock leaps over.
    return _at(asked, (asked.start.astimezone(asked.tz) + days).astimezone(UTC), "on_the_clock")


def _at(asked: Question, at: datetime, did: str) -> Deadline:
    if asked.period.months or asked.period.business_days:
        raise BadPeriod(f'{asked.method} cannot count "{asked.period}": write the period in weeks, days and hours')
    started = Step("started", asked.day, why=f"{asked.start.astimezone(asked.tz):%H:%M:%S}")
    local = at.astimezone(asked.tz)
    return Deadline(at=local, ending=Ending.INSTANT, steps=(started, Step(did, local.date(), why=str(asked.period))))


_ANSWERS: Mapping[Method, Callable[[Question], Deadline]] = MappingProxyType(
    {
        **{Method(rule.value): _from_receipt for rule in Counting},
        Method.BACK_CLEAR: _back_clear,
        Method.BACK_CLEAR_SAFE: _back_clear_safe,
        Method.BACK_BUSINESS: _back_business,
        Method.DEEMED_EMAIL: _deemed_email,
        Method.LRE_WINDOW: _lre_window,
        Method.LRE_UNCLAIMED: _lre_unclaimed,
        Method.GO_LIVE: _go_live,
        Method.ELAPSED: _elapsed,
        Method.WALL: _wall,
    }
)


def ask(*, start: str, timezone: str, period: Period, calendar: str, rule: str, params: Mapping[str, Any]) -> Question:
    """Read a question from its written parts; what cannot be counted with raises BadPeriod.

    `params` may hold base, cutoff, deemed, calendars (a union, in the place of `calendar`), extra_holidays and
    removed_holidays.
    """
    named = Calendar.named(params.get("calendars", calendar))
    return Question(
        start=_instant(start),
        tz=zone(timezone),
        period=period,
        calendar=named.adjusted(added=params.get("extra_holidays", ()), removed=params.get("removed_holidays", ())),
        method=_one_of(Method, rule, "rule"),
        base=_one_of(Counting, params.get("base", Counting.FR_CAL), "rule to count from receipt by"),
        cutoff=_cutoff(params.get("cutoff", "18:00")),
        deemed=_one_of(Deemed, params["deemed"], "receipt of an unclaimed letter") if "deemed" in params else None,
    )


PARAMS = frozenset(
    {"plus_days", "plus_hours", "cutoff", "base", "deemed", "extra_holidays", "removed_holidays", "calendars"}
)


def from_case(case: Mapping[str, Any]) -> Question:
    """Read a question from a case: start, timezone, period {n, unit}, calendar, rule, and params where needed.

    What is missing, misspelt or of the wrong kind raises BadPeriod.
    """
    try:
        params = case.get("params") or {}
        _refuse_unknown(params)
        return ask(
            start=case["start"],
            timezone=case["timezone"],
            period=_period(case["period"], params),
            calendar=case["calendar"],
            rule=case["rule"],
            params=params,
        )
    except KeyError as missing:
        raise BadPeriod(f"the key {missing} is missing: write it") from None
    except (TypeError, AttributeError):
        raise BadPeriod('a value is of the wrong kind: write texts, and periods as {"n": 30, "unit": "days"}') from None


def _refuse_unknown(params: Mapping[str, Any]) -> None:
    if unknown := sorted(set(params) - PARAMS):
        raise BadPeriod(f"no parameter is called {', '.join(unknown)}: write one of {', '.join(sorted(PARAMS))}")


def _period(written: Mapping[str, Any], params: Mapping[str, Any]) -> Period:
    parts = [
        (written["n"], written["unit"]),
        (params.get("plus_days", 0), "days"),
        (params.get("plus_hours", 0), "hours"),
    ]
    amounts: dict[str, int] = {}
    for amount, unit in parts:
        if type(amount) is not int or amount < 0 or unit not in Period.__dataclass_fields__:
            units = ", ".join(Period.__dataclass_fields__)
            raise BadPeriod(f'cannot count "{amount} {unit}": write a whole number of {units}')
        amounts[unit] = amounts.get(unit, 0) + amount
    return Period(**amounts)


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BadPeriod(f'there is no instant "{text}": write one such as 2026-03-02T10:00:00+01:00') from None


def _cutoff(text: str) -> time:
    try:
        return time.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise BadPeriod(f'there is no time of day "{text}": write one such as 18:00') from None


def _one_of(names: type[Name], text: str, what: str) -> Name:
    try:
        return names(text)
    except ValueError:
        raise BadPeriod(f'no {what} is called "{text}": write one of {", ".join(names)}') from None
