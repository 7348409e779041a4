"""Counting days: from the day a notice is received to the last day a client may object, and back from an event.

Sources: Code de procédure civile 640-642 (the day of the event is not counted; a period that would end on a Saturday, a
Sunday or a holiday is carried to the next working day), Regulation 1182/71 art. 3.  Everything is counted in local
dates of the contract's zone, never in 24-hour sums, so that the days on which clocks change are days like any other.
`docs/counting.md` says what each rule does, with an example.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from notifier.rules.calendars import ONE_DAY, BadPeriod, Calendar

MOST = 9999  # of any unit; more is a slip of the pen
LONGEST_MONTH = 31
MONTHS_IN_A_YEAR = 12


class Counting(StrEnum):
    """How the last day of a period is found, forward from the day of receipt."""

    CAL_STRICT = "CAL_STRICT"  # calendar days, no roll-over
    FR_CAL = "FR_CAL"  # calendar days, last day carried off Saturdays, Sundays and holidays (CPC 642)
    EU_1182 = "EU_1182"  # as FR_CAL, and two days or more hold two working days (Regulation 1182/71 art. 3)
    BUSINESS = "BUSINESS"  # jours ouvrés: Mondays to Fridays that are no holidays
    OUVRABLE = "OUVRABLE"  # jours ouvrables: Mondays to Saturdays that are no holidays
    CLEAR = "CLEAR"  # délai franc: the last day does not count either, then carried


IN_WORKING_DAYS = frozenset({Counting.BUSINESS, Counting.OUVRABLE})


class Backward(StrEnum):
    """How the latest day before an event is found, that leaves a whole period between them."""

    BACK_CLEAR = "BACK_CLEAR"  # whole days, no roll-over
    BACK_CLEAR_SAFE = "BACK_CLEAR_SAFE"  # the same, off days that are not worked to the working day before
    BACK_BUSINESS = "BACK_BUSINESS"  # whole working days


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time as a contract writes it: months first, then weeks and days, then hours; or business days alone.

    Nothing at all, less than nothing, more than 9,999 of a unit, or business days among others raise BadPeriod.
    """

    days: int = 0
    business_days: int = 0
    weeks: int = 0
    months: int = 0
    hours: int = 0

    def __post_init__(self) -> None:
        amounts = asdict(self)
        if not any(amounts.values()) or not all(0 <= amount <= MOST for amount in amounts.values()):
            raise _uncountable(str(self))
        if self.business_days and any(amounts[unit] for unit in amounts if unit != "business_days"):
            raise BadPeriod(f'business days stand alone, not with others as in "{self}": write "15 business days"')

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read "30 days", "15 business days", "1 month and 10 days"; what cannot be counted with raises BadPeriod."""
        written = [re.fullmatch(r"(\d{1,4}) (business day|day|week|month|hour)s?", part) for part in _parts(text)]
        amounts = {f"{part[2]}s".replace(" ", "_"): int(part[1]) for part in written if part}
        if len(amounts) < len(written) or not any(amounts.values()):
            raise _uncountable(text)
        return cls(**amounts)

    def parts(self) -> list[tuple[int, str]]:
        """Return what is written, in the order of counting: [(1, "months"), (10, "days")]."""
        units = ("months", "weeks", "days", "business_days", "hours")
        return [(getattr(self, unit), unit) for unit in units if getattr(self, unit)]

    def __str__(self) -> str:
        named = [(amount, unit.replace("_", " ")) for amount, unit in self.parts()]
        return " and ".join(f"{amount} {unit.removesuffix('s') if amount == 1 else unit}" for amount, unit in named)


def _parts(text: str) -> list[str]:
    return re.split(r" (?:and|\+) ", " ".join(text.split()))


def _uncountable(text: str) -> BadPeriod:
    return BadPeriod(
        f'cannot count with the period "{text}": write a number of days, such as "30 days", or "15 business days", '
        '"2 weeks", "1 month and 10 days", "48 hours"'
    )


def zone(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name; an unknown one raises BadPeriod."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadPeriod(f'no time zone is called "{name}": write an IANA name such as "Europe/Paris"') from None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the arithmetic, as data: what was done, the day it led to, and why."""

    did: str
    day: date
    why: str = ""

    def as_json(self) -> dict[str, str]:
        return {"did": self.did, "day": self.day.isoformat(), "why": self.why}

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> Step:
        return cls(did=data["did"], day=date.fromisoformat(data["day"]), why=data["why"])


@dataclass(frozen=True, slots=True)
class Count:
    """The end of a period: its last day, and the first instant (UTC) that is too late."""

    last_day: date
    until: datetime
    steps: tuple[Step, ...]


def local_day(instant: datetime, tz: ZoneInfo) -> date:
    """Return the date of an aware instant in a zone; a naive instant raises BadPeriod."""
    if instant.tzinfo is None:
        raise BadPeriod(f"the instant {instant.isoformat()} has no offset: write it with one, such as +01:00")
    return instant.astimezone(tz).date()


def start_of_day(day: date, tz: ZoneInfo) -> datetime:
    """Return 00:00 of that local day, in UTC."""
    return datetime.combine(day, time.min, tzinfo=tz).astimezone(UTC)


def first_day_from(instant: datetime, tz: ZoneInfo) -> date:
    """Return the first local day that begins at that instant or later."""
    day = local_day(instant, tz)
    return day if start_of_day(day, tz) >= instant else day + ONE_DAY


def deemed_receipt(accepted_at: datetime, *, calendar: Calendar, tz: ZoneInfo, cutoff: time) -> date:
    """Return the day on which a mail accepted by the recipient's relay is deemed received.

    On a working day, up to and including the cut-off: that day; otherwise the next working day.
    """
    day = local_day(accepted_at, tz)
    in_time = accepted_at.astimezone(tz).time().replace(tzinfo=None) <= cutoff
    return calendar.next_working_day(day if in_time else day + ONE_DAY)


def plus(day: date, period: Period) -> date:
    """Add months, then weeks and days: the same day-number, else the last day of the month (CPC 641)."""
    months = day.year * MONTHS_IN_A_YEAR + day.month - 1 + period.months
    year, month = divmod(months, MONTHS_IN_A_YEAR)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError("date value out of range")
    clamped = date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    return clamped + timedelta(weeks=period.weeks, days=period.days)


def refuse_misfit(period: Period, rule: Counting) -> None:
    """Raise BadPeriod where a rule and a period speak of different kinds of day, or of hours."""
    if period.hours:
        raise BadPeriod(f'{rule} ends with a day, "{period}" with an hour: write the rule ELAPSED or WALL')
    if bool(period.business_days) != (rule in IN_WORKING_DAYS):
        units = 'business days, such as "15 business days"' if rule in IN_WORKING_DAYS else "days, weeks or months"
        raise BadPeriod(f'{rule} cannot count "{period}": write the period in {units}, or another rule')


def count(day_zero: date, period: Period, *, rule: Counting, calendar: Calendar, tz: ZoneInfo) -> Count:
    """Count a period forward from the day of receipt, which is itself not counted (CPC 641).

    A period in a kind of day that the rule does not count raises BadPeriod.
    """
    refuse_misfit(period, rule)
    steps = (Step("day_zero", day_zero), *_COUNTED[rule](day_zero, period, calendar))
    last = steps[-1].day
    return Count(last_day=last, until=start_of_day(last + ONE_DAY, tz), steps=steps)


def _strict(day_zero: date, period: Period, _: Calendar) -> list[Step]:
    return [Step("added", plus(day_zero, period), why=str(period))]


def _carried(day_zero: date, period: Period, calendar: Calendar) -> list[Step]:
    return _carry(_strict(day_zero, period, calendar), calendar)


def _carry(steps: list[Step], calendar: Calendar) -> list[Step]:
    while why := calendar.why_not_working(steps[-1].day):
        steps.append(Step("rolled", steps[-1].day + ONE_DAY, why=why))
    return steps


def _with_two_working_days(day_zero: date, period: Period, calendar: Calendar) -> list[Step]:
    steps = _carried(day_zero, period, calendar)
    second = _walk(day_zero, 2, calendar.why_not_working)[-1].day
    if period != Period(days=1) and second > steps[-1].day:
        steps.append(Step("extended", second))
    return steps


def _clear(day_zero: date, period: Period, calendar: Calendar) -> list[Step]:
    steps = _strict(day_zero, period, calendar)
    return _carry([*steps, Step("cleared", steps[-1].day + ONE_DAY)], calendar)


def _business(day_zero: date, period: Period, calendar: Calendar) -> list[Step]:
    *left_out, last = _walk(day_zero, period.business_days, calendar.why_not_working)
    return [*left_out, Step("added", last.day, why=str(period))]


def _workable(day_zero: date, period: Period, calendar: Calendar) -> list[Step]:
    *left_out, last = _walk(day_zero, period.business_days, calendar.why_not_workable)
    return [*left_out, Step("added_with_saturdays", last.day, why=str(period))]


def _walk(day: date, days: int, why_not: Callable[[date], str], *, by: timedelta = ONE_DAY) -> list[Step]:
    """Walk that many days that count; keep the holidays passed (weekends go without saying), and the day reached."""
    passed = []
    while days:
        day += by
        why = why_not(day)
        days -= not why
        if why and why not in {"saturday", "sunday"}:
            passed.append(Step("skipped", day, why=why))
    return [*passed, Step("reached", day)]


_COUNTED: Mapping[Counting, Callable[[date, Period, Calendar], list[Step]]] = MappingProxyType(
    {
        Counting.CAL_STRICT: _strict,
        Counting.FR_CAL: _carried,
        Counting.EU_1182: _with_two_working_days,
        Counting.BUSINESS: _business,
        Counting.OUVRABLE: _workable,
        Counting.CLEAR: _clear,
    }
)


def count_back(event_on: date, period: Period) -> list[Step]:
    """Find the latest day whose period (CAL_STRICT) ends before the day of the event, with no roll-over.

    The exact inverse of counting forward (Com. 14 March 2018, 16-26.996; Civ. 2e, 4 February 1998, 96-13.391).
    """
    refuse_misfit(period, Counting.CAL_STRICT)
    at_most = timedelta(weeks=period.weeks, days=period.days + LONGEST_MONTH * period.months)
    day = event_on - ONE_DAY - at_most
    while plus(day + ONE_DAY, period) < event_on:  # months are mostly shorter than the longest
        day += ONE_DAY
    return [Step("event", event_on), Step("counted_back", day, why=str(period))]


def to_earlier_working_day(steps: list[Step], calendar: Calendar) -> list[Step]:
    """Move a day that is no working day to the one before: what the provider must do never moves later."""
    while why := calendar.why_not_working(steps[-1].day):
        steps = [*steps, Step("moved_back", steps[-1].day - ONE_DAY, why=why)]
    return steps


def count_back_business(event_on: date, period: Period, calendar: Calendar) -> list[Step]:
    """Find the latest working day that leaves that many whole working days before the day of the event."""
    refuse_misfit(period, Counting.BUSINESS)
    *left_out, day = _walk(event_on, period.business_days + 1, calendar.why_not_working, by=-ONE_DAY)
    return [Step("event", event_on), *left_out, Step("counted_back", day.day, why=str(period))]


def latest_before(event_on: date, period: Period, rule: Backward, calendar: Calendar) -> list[Step]:
    """Find the latest day for what must be done a whole period before an event; the last step holds it."""
    if rule is Backward.BACK_BUSINESS:
        return count_back_business(event_on, period, calendar)
    steps = count_back(event_on, period)
    return to_earlier_working_day(steps, calendar) if rule is Backward.BACK_CLEAR_SAFE else steps
