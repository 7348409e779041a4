"""What the law would still ask of a list of subprocessors, entry by entry.

A question is asked where it has a point (the safeguards of a transfer, once something lies outside the EEA) and counts
as answered when somebody has said something that fits, be it "no".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from notifier.rules.entries import Certificate, Entry, is_day
from notifier.rules.kinds import EEA

SOON = timedelta(days=60)
SAFEGUARDS = frozenset(
    {"scc", "bcr"}
)  # of GDPR art. 46, the only ones that HDS v2 takes where no decision of adequacy is


class Asks(StrEnum):
    """Whose questions a contract has answered."""

    GDPR = "gdpr"
    HDS_2018 = "hds-2018"  # the referential of 11 June 2018 ("v1")
    HDS_2024 = "hds-2024"  # that of 26 April 2024 ("v2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A field of an entry that nobody has filled in, or not so that it answers; and who asks for it, where."""

    field: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What is known of one entry: how many of the questions are answered, and which are not.

    `next` is what HDS v2 would ask besides, where the contract still follows the referential of 2018.
    """

    known: int
    missing: tuple[Missing, ...]
    next: tuple[Missing, ...]
    expired: tuple[Certificate, ...]
    ending: tuple[Certificate, ...]  # within 60 days

    @property
    def asked(self) -> int:
        return self.known + len(self.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCompleteness:
    """The same of a whole list, its entries by key."""

    entries: Mapping[str, Completeness]

    @property
    def known(self) -> int:
        return sum(one.known for one in self.entries.values())

    @property
    def asked(self) -> int:
        return sum(one.asked for one in self.entries.values())


def of_list(entries: Iterable[Entry], asks: Collection[Asks], *, today: date) -> ListCompleteness:
    """Report on every entry, for one contract pack: "known of asked"."""
    return ListCompleteness(entries=MappingProxyType({one.key: report(one, asks, today=today) for one in entries}))


def report(entry: Entry, asks: Collection[Asks], *, today: date) -> Completeness:
    """Say what is known of an entry, and what is still asked, each field once with all its sources."""
    asked = _asked(entry, asks)
    missing = _unanswered(entry, asked, today)
    later = _asked(entry, {Asks.HDS_2024}) if Asks.HDS_2018 in asks and Asks.HDS_2024 not in asks else []
    said = {one.field for one in missing}
    return Completeness(
        known=len({question.field for question in asked}) - len(missing),
        missing=missing,
        next=tuple(one for one in _unanswered(entry, later, today) if one.field not in said),
        expired=expired(entry.certificates, today=today),
        ending=tuple(one for one in _standing(entry.certificates) if _ends(one, today, today + SOON)),
    )


# --- certificates --------------------------------------------------------------------------------------------------


def standard(certificate: Certificate) -> str:
    """Return a standard in one way of writing: "SecNumCloud 3.2", "SecNum Cloud" and "secnumcloud" are one."""
    written = "".join(filter(str.isalnum, certificate.standard.casefold()))
    return next((known for known in ("secnumcloud", "hds") if written.startswith(known)), written)


def expired(certificates: Sequence[Certificate], *, today: date) -> tuple[Certificate, ...]:
    """Return those that hold no longer and have not been renewed."""
    return tuple(one for one in _standing(certificates) if _ends(one, date.min, today - timedelta(days=1)))


def _standing(certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """Return of each standard and scope what holds longest; a certificate without an end is not taken for a renewal."""
    last: dict[tuple[str, str], str] = {}
    for one in certificates:
        last[_what(one)] = max(one.expires_on, last.get(_what(one), ""))
    return tuple(one for one in certificates if one.expires_on == last[_what(one)])


def _what(certificate: Certificate) -> tuple[str, str]:
    return standard(certificate), certificate.scope


def _ends(certificate: Certificate, first: date, last: date) -> bool:
    return is_day(certificate.expires_on) and first <= date.fromisoformat(certificate.expires_on) <= last


# --- the questions -------------------------------------------------------------------------------------------------


def outside(entry: Entry) -> tuple[str, ...]:
    """Return the countries outside the EEA where data is said to be processed, or to be reached from."""
    said = (*(place.country for place in entry.places), *entry.outside_countries)
    return tuple(dict.fromkeys(code for code in said if code and code not in EEA))


@dataclass(frozen=True, slots=True)
class _Question:
    field: str
    source: str
    answered: Callable[[Entry, date], object] | None = None  # the field says something, unless written otherwise
    when: Callable[[Entry], object] = lambda _: True


def _has_place(entry: Entry, _today: date) -> bool:
    return bool(entry.places) and all(place.country for place in entry.places)


def _does(entry: Entry, _today: date) -> str:
    return entry.activity


def _leaves(entry: Entry) -> bool:
    """Whether data leaves the EEA, or may: where no place is said, the seat stands for it."""
    return entry.outside_access == "yes" or bool(outside(entry)) or not EEA.issuperset(entry.countries)


def _has_mechanism(entry: Entry, _today: date) -> bool:
    return entry.transfer not in {"", "none"}


def _has_safeguards(entry: Entry, _today: date) -> bool:
    return entry.transfer in SAFEGUARDS | {"adequacy"}


def _needs_assessment(entry: Entry) -> bool:
    return _leaves(entry) and entry.transfer != "adequacy"


def _is_certified(entry: Entry) -> bool:
    return entry.hds == "yes" or bool(entry.certificates)


def _proves(entry: Entry, today: date) -> bool:
    """Whether what is said to be certified is, by a certificate with its number and its end, and nothing has ended."""
    numbered = [one for one in entry.certificates if standard(one) == "hds" and one.number and one.expires_on]
    return not expired(entry.certificates, today=today) and (entry.hds != "yes" or bool(numbered))


_IDENTITY = "EDPB Opinion 22/2024, 31-32"
_V1 = "HDS v1 4.4.4.1"
_ACTOR = "HDS v2 ch. 8 (1)"

QUESTIONS: Mapping[Asks, tuple[_Question, ...]] = MappingProxyType(
    {
        Asks.GDPR: (
            _Question("name", _IDENTITY),
            _Question("address", _IDENTITY),
            _Question("town", _IDENTITY),
            _Question("country", _IDENTITY),
            _Question("contact", _IDENTITY),
            _Question("activities", "GDPR art. 28(3); EDPB Guidelines 07/2020", _does),
            _Question("places", "EDPB Guidelines 07/2020; EDPB Opinion 22/2024, 88", _has_place),
            _Question("transfer", "GDPR art. 44-49; EDPB Opinion 22/2024, 88", _has_mechanism, _leaves),
            _Question("assessment", "GDPR art. 46; EDPB Opinion 22/2024, 88", None, _needs_assessment),
        ),
        Asks.HDS_2018: (
            _Question("name", _V1),
            _Question("address", _V1),
            _Question("town", _V1),
            _Question("activities", "HDS v1 4.4.6.13", _does),
            _Question("places", "HDS v1 4.4.7.1", _has_place),
        ),
        Asks.HDS_2024: (
            _Question("name", _ACTOR),
            _Question("legal_form", _ACTOR),
            _Question("registration_number", _ACTOR),
            _Question("address", _ACTOR),
            _Question("town", _ACTOR),
            _Question("country", "HDS v2 30"),  # whose law an actor is under begins with its seat
            _Question("activities", "HDS v2 22", _does),
            _Question("hds_activities", "HDS v2 ch. 8 (5)"),
            _Question("access", "HDS v2 22"),
            _Question("places", "HDS v2 28", _has_place),
            _Question("outside_access", "HDS v2 29, ch. 8 (6)"),
            _Question("outside_countries", "HDS v2 29", None, lambda entry: entry.outside_access == "yes"),
            _Question("transfer", "HDS v2 29", _has_safeguards, _leaves),
            _Question("hds", "HDS v2 ch. 8 (3)"),
            _Question("certificates", "HDS v2 12", _proves, _is_certified),
            _Question("secnumcloud", "HDS v2 31, ch. 8 (4)"),
            _Question("third_country_law", "HDS v2 30, ch. 8 (7)"),
            _Question("third_country_laws", "HDS v2 30", None, lambda entry: entry.third_country_law == "yes"),
        ),
    }
)


def _asked(entry: Entry, asks: Collection[Asks]) -> list[_Question]:
    return [question for one in Asks if one in asks for question in QUESTIONS[one] if question.when(entry)]


def _unanswered(entry: Entry, asked: Sequence[_Question], today: date) -> tuple[Missing, ...]:
    sources: dict[str, list[str]] = {}
    for one in asked:
        if not (one.answered(entry, today) if one.answered else getattr(entry, one.field)):
            sources.setdefault(one.field, []).append(one.source)
    return tuple(Missing(field=field, source="; ".join(of)) for field, of in sources.items())
