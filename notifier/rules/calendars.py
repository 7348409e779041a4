"""Which days are working days: weekends, the holidays of one place or of several, days added or taken away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType

import holidays

SATURDAY, SUNDAY = 5, 6
A_LEAP_YEAR = 2028
ONE_DAY = timedelta(days=1)
ADDED = "added holiday"  # why a day that was added by hand is no working day

# Where a law counts otherwise than the table of holidays: the Dutch general act on periods knows 5 May every year,
# the table every fifth year only, as most employers do.
_BY_LAW: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {"NL-ATW": ("NL", MappingProxyType({"05-05": "Liberation Day"}))}
)


class BadPeriod(ValueError):
    """A period, day, calendar or zone that cannot be counted with; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days on which nobody is expected to work: weekends, and the holidays of one place or of several together.

    `name` is "none" (weekends alone), a country ("FR"), a country and a subdivision ("FR-57"), the Dutch periods act
    ("NL-ATW"), or a union ("FR+BE"); then, in any number, days added ("+2026-12-24", every year "+12-24") and holidays
    taken away ("!2026-04-03", every year "!12-26").  A day both added and taken away is added.
    """

    name: str
    _holidays: tuple[Mapping[date, str], ...] = field(default=(), repr=False, compare=False)
    _yearly: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    _added: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    _removed: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    @classmethod
    def named(cls, name: str) -> Calendar:
        """Build the calendar of that name; an unknown place, or a day that does not exist, raises BadPeriod."""
        terms = re.findall(r"(^|[+!])([^+!]*)", name)
        removed = frozenset(_existing_day(day) for sign, day in terms if sign == "!")
        added = frozenset(_existing_day(day) for sign, day in terms if sign != "!" and day[:1].isdecimal())
        places = [place for sign, place in terms if sign != "!" and not place[:1].isdecimal()]
        if not places:
            raise _unknown(name)
        named = [_BY_LAW.get(place, (place, {})) for place in places if places != ["none"]]
        return cls(
            name=name,
            _holidays=tuple(_holidays_of(place) for place, _ in named),
            _yearly={day: holiday for _, by_law in named for day, holiday in by_law.items()},
            _added=added,
            _removed=removed,
        )

    def adjusted(self, *, added: Iterable[str] = (), removed: Iterable[str] = ()) -> Calendar:
        """Return this calendar with days ("2026-05-05", every year "05-05") added and holidays taken away."""
        marked = [*(f"+{_existing_day(day)}" for day in added), *(f"!{_existing_day(day)}" for day in removed)]
        return Calendar.named(self.name + "".join(marked))

    def holiday(self, day: date) -> str:
        """Return the name of the holiday, ADDED for a day added by hand, or the empty string."""
        every_year = day.isoformat()[5:]
        written = {day.isoformat(), every_year}
        if written & self._added:
            return ADDED
        if written & self._removed:
            return ""
        by_law = self._yearly.get(every_year, "")
        return by_law or next((table[day] for table in self._holidays if day in table), "")

    def why_not_working(self, day: date) -> str:
        """Return "saturday", "sunday" or the holiday's name; the empty string for a day worked (*jour ouvré*)."""
        return "saturday" if day.weekday() == SATURDAY else self.why_not_workable(day)

    def why_not_workable(self, day: date) -> str:
        """Return "sunday" or the holiday's name; the empty string for a *jour ouvrable*, which a Saturday may be."""
        return "sunday" if day.weekday() == SUNDAY else self.holiday(day)

    def next_working_day(self, day: date) -> date:
        """Return `day` itself when it is a working day, else the first one after it."""
        while self.why_not_working(day):
            day += ONE_DAY
        return day


def _existing_day(text: str) -> str:
    """Return a day as it is compared, "2026-05-05" or "05-05"; a day that does not exist raises BadPeriod."""
    spelt = re.fullmatch(r"(\d{4}-)?\d{2}-\d{2}", text)  # dates have other spellings, such as 20260505
    with suppress(ValueError):
        if spelt:
            date.fromisoformat(text if spelt[1] else f"{A_LEAP_YEAR}-{text}")
            return text
    raise BadPeriod(f'there is no day "{text}": write one such as 2026-05-05, or 05-05 for every year')


def _holidays_of(place: str) -> Mapping[date, str]:
    country, _, subdivision = place.partition("-")
    try:
        # One language for the names, or they would follow the server's locale and the kept arithmetic with them.
        return holidays.country_holidays(country, subdiv=subdivision or None, language="en_US")
    except NotImplementedError:
        raise _unknown(place) from None


def _unknown(name: str) -> BadPeriod:
    return BadPeriod(f'no calendar is called "{name}": write a country such as "FR", or "FR-57", or "none"')
