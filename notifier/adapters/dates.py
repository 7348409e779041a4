"""Dates as people read them, with the weekday and the name of the zone.

The figures and names come from Babel's CLDR; the turns of phrase are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from email.utils import format_datetime
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

from babel.dates import format_date, get_timezone_location

UNIVERSAL = ("UTC", "Etc/UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speech:
    day: Callable[[int], str]
    clock: str
    at: str
    zone: Callable[[str], str]


def _heure(city: str) -> str:
    """Return "heure de Paris", with the article and the elision that the name asks for."""
    if city.startswith("Le "):
        return f"heure du {city[3:]}"
    if city[0] in "AEIOUYÂÀÉÈÊÎÔ":
        return f"heure d\u2019{city}"
    return f"heure de {city}"


_SPEECH: Mapping[str, _Speech] = MappingProxyType(
    {
        "en": _Speech(day=str, clock="%H:%M", at="{day} at {clock} ({zone})", zone="{} time".format),
        "fr": _Speech(
            day=lambda number: "1er" if number == 1 else str(number),
            clock="%H\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}%M",
            at="{day} à {clock} ({zone})",
            zone=_heure,
        ),
    }
)


def plain_date(day: date, language: str) -> str:
    """Return "15 January 2027" or "15 janvier 2027"; another language raises KeyError."""
    return f"{_SPEECH[language].day(day.day)} {format_date(day, 'MMMM y', locale=language)}"


@lru_cache(1000)
def long_date(day: date, language: str) -> str:
    """Return "Monday 21 December 2026" or "lundi 21 décembre 2026"."""
    return f"{format_date(day, 'EEEE', locale=language)} {plain_date(day, language)}"


@lru_cache(1000)
def zone_name(tz: str, language: str) -> str:
    """Return "Paris time" or "heure de Paris" for an IANA name."""
    if tz in UNIVERSAL:
        return "UTC"
    return _SPEECH[language].zone(get_timezone_location(tz, locale=language, return_city=True))


def end_of_day(day: date, tz: str, language: str) -> str:
    """Return the last minute of a day: "Monday 21 December 2026 at 23:59 (Paris time)"."""
    return _at(datetime(day.year, day.month, day.day, 23, 59, tzinfo=ZoneInfo(tz)), tz, language)


def instant(at: datetime, tz: str, language: str) -> str:
    """Return an aware instant as the clocks of that zone show it, to the minute."""
    return _at(at.astimezone(ZoneInfo(tz)), tz, language)


def mail_date(at: datetime) -> str:
    """Return an aware instant for the Date header (RFC 5322)."""
    return format_datetime(at)


def _at(local: datetime, tz: str, language: str) -> str:
    speech = _SPEECH[language]
    return speech.at.format(
        day=long_date(local.date(), language),
        clock=local.strftime(speech.clock),
        zone=zone_name(tz, language),
    )
