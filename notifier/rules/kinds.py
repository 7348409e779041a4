"""The kinds of announcement: what each must say, and what it is refused for.

What is told about a change of the registry comes from the registry itself; every other kind is written by a person,
field by field, in both languages of the letters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType

# Where health data may be stored (HDS v2, requirement 28): the European Economic Area, with the territories that have
# codes of their own and belong to it as regions of France or of Finland.
EEA = frozenset(
    {
        "AT", "AX", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GF", "GP", "GR", "HR", "HU",
        "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MF", "MQ", "MT", "NL", "NO", "PL", "PT", "RE", "RO", "SE",
        "SI", "SK", "YT",
    }
)  # fmt: skip
LONGEST_TEXT = 5000
LANGUAGES = ("en", "fr")


class AnnouncementKind(StrEnum):
    """What an announcement is about.  Contract packs have a rule for each."""

    SUBPROCESSOR = "subprocessor"  # the registry changes
    EMERGENCY = "emergency"  # the registry must change at once: each client is asked for its consent
    SERVICE = "service"  # a new or modified service, or maintenance
    LOCATION = "location"  # a place of hosting, or access from a place
    SECURITY = "security"  # a level of security that becomes lower
    CERTIFICATION = "certification"  # lost, suspended or renewed
    DISCLOSURE = "disclosure"  # to an authority
    DOCUMENT = "document"  # a new certificate, statement of applicability or the like
    SUPPORT = "support"  # the entity that gives support


OF_THE_REGISTRY = frozenset({AnnouncementKind.SUBPROCESSOR, AnnouncementKind.EMERGENCY})


class Shape(StrEnum):
    """What may be written into a field."""

    TEXT = "text"  # in each language
    NAME = "name"  # one line, the same in every language
    COUNTRY = "country"  # ISO 3166 alpha-2
    DAY = "day"
    URL = "url"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    shape: Shape
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What announcements of one kind say.  `aspects` are what it may be of: the first is the one meant when none is."""

    prefix: str  # of its references
    aspects: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    at_once: bool = False  # it has happened already when it is told


class BadFacts(ValueError):
    """What is written cannot be announced; `problems` says of each field, in a code, what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        listed = "; ".join(f"{name}: {SENTENCES[code]}" for name, code in problems.items())
        super().__init__(f"this cannot be announced as it is written: {listed}")
        self.problems = dict(problems)


SENTENCES = MappingProxyType(
    {
        "missing": "write it",
        "too_long": f"shorten it to {LONGEST_TEXT} characters",
        "no_country": "write the two letters of a country, such as FR",
        "no_day": "write a day that exists, such as 2027-01-15",
        "no_url": "write an address that begins with https://",
        "no_aspect": "choose one of those listed",
        "outside_eea": (
            "health data is stored within the European Economic Area alone (HDS, requirement 28): choose a place there"
        ),
        "no_safeguards": (
            "say which adequacy decision or safeguards allow the access from outside the EEA (GDPR, articles 45 and 46)"
        ),
        "before_start": "the end lies before the beginning: correct one of them",
        "unknown": "there is no such field: correct the spelling",
    }
)

# What shows that another provider protects the data as well as the one before (R.1111-11 7°, GDPR art. 28(4)).
GUARANTEES = Field("guarantees", Shape.TEXT, required=False)

KINDS: Mapping[AnnouncementKind, Kind] = MappingProxyType(
    {
        AnnouncementKind.SUBPROCESSOR: Kind(prefix="SP", fields=(GUARANTEES,)),
        AnnouncementKind.EMERGENCY: Kind(prefix="EM", fields=(Field("measures", Shape.TEXT), GUARANTEES)),
        AnnouncementKind.SERVICE: Kind(
            prefix="SV",
            aspects=("new", "modified", "maintenance"),
            fields=(
                Field("service", Shape.NAME),
                Field("what", Shape.TEXT),
                Field("impact", Shape.TEXT),
                Field("window", Shape.TEXT, required=False),  # hours of a maintenance
            ),
        ),
        AnnouncementKind.LOCATION: Kind(
            prefix="LO",
            aspects=("storage", "access"),
            fields=(
                Field("place", Shape.NAME),
                Field("country", Shape.COUNTRY),
                Field("what", Shape.TEXT),
                Field("safeguards", Shape.TEXT, required=False),
            ),
        ),
        AnnouncementKind.SECURITY: Kind(
            prefix="SE",
            fields=(Field("measure", Shape.NAME), Field("before", Shape.TEXT), Field("after", Shape.TEXT)),
        ),
        AnnouncementKind.CERTIFICATION: Kind(
            prefix="CE",
            aspects=("lost", "suspended", "renewed"),
            fields=(
                Field("certificate", Shape.NAME),
                Field("holder", Shape.NAME),
                Field("since", Shape.DAY),
                Field("what", Shape.TEXT),
            ),
            at_once=True,
        ),
        AnnouncementKind.DISCLOSURE: Kind(
            prefix="DI",
            aspects=("notice", "consultation"),
            fields=(
                Field("authority", Shape.NAME),
                Field("basis", Shape.TEXT),
                Field("scope", Shape.TEXT),
                Field("prohibited_until", Shape.DAY, required=False),
            ),
            at_once=True,
        ),
        AnnouncementKind.DOCUMENT: Kind(
            prefix="DO",
            fields=(
                Field("document", Shape.NAME),
                Field("edition", Shape.NAME),
                Field("valid_from", Shape.DAY, required=False),
                Field("valid_until", Shape.DAY, required=False),
                Field("address", Shape.URL, required=False),
                Field("what", Shape.TEXT),
            ),
            at_once=True,
        ),
        AnnouncementKind.SUPPORT: Kind(
            prefix="SU",
            fields=(
                Field("before", Shape.NAME, required=False),
                Field("after", Shape.NAME),
                Field("country", Shape.COUNTRY),
                Field("what", Shape.TEXT),
            ),
        ),
    }
)


def checked(kind: AnnouncementKind, aspect: str, facts: Mapping[str, str]) -> dict[str, str]:
    """Return what an announcement says, trimmed and complete; BadFacts tells everything that is wrong with it.

    `facts`: field → text; a field that is written in each language has one key a language, such as "what_en".
    """
    known = KINDS[kind]
    problems = {"aspect": "no_aspect"} if known.aspects and aspect not in known.aspects else {}
    keys = {key: field for field in known.fields for key in keys_of(field)}
    problems |= {name: "unknown" for name in facts if name not in keys}
    written = {key: facts.get(key, "").strip() for key in keys}
    for key, field in keys.items():
        if code := _fault(field, written[key]):
            problems[key] = code
    problems = {**_together(kind, aspect, written), **problems}
    if problems:
        raise BadFacts(problems)
    return {key: text for key, text in written.items() if text}


def keys_of(field: Field) -> tuple[str, ...]:
    """Return the keys under which a field is written."""
    return tuple(f"{field.name}_{language}" for language in LANGUAGES) if field.shape is Shape.TEXT else (field.name,)


def rows(kind: AnnouncementKind, facts: Mapping[str, str], language: str) -> list[tuple[Field, str]]:
    """Return what is said in a language, field by field, in the order of reading."""
    return [(field, text) for field in KINDS[kind].fields if (text := said(field, facts, language))]


def said(field: Field, facts: Mapping[str, str], language: str) -> str:
    return facts.get(f"{field.name}_{language}" if field.shape is Shape.TEXT else field.name, "")


def _fault(field: Field, text: str) -> str:
    if not text:
        return "missing" if field.required else ""
    if len(text) > LONGEST_TEXT:
        return "too_long"
    return _FAULTS.get(field.shape, _nothing)(text)


def _nothing(_text: str) -> str:
    return ""


def _no_country(text: str) -> str:
    return "" if len(text) == len("FR") and text.isascii() and text.isupper() else "no_country"


def _no_day(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return "no_day"
    return "" if day.isoformat() == text else "no_day"  # days are compared as they are written


def _no_url(text: str) -> str:
    return "" if text.startswith("https://") and not any(sign.isspace() for sign in text) else "no_url"


_FAULTS: Mapping[Shape, Callable[[str], str]] = MappingProxyType(
    {Shape.COUNTRY: _no_country, Shape.DAY: _no_day, Shape.URL: _no_url}
)


def _together(kind: AnnouncementKind, aspect: str, written: Mapping[str, str]) -> dict[str, str]:
    """Say what is wrong with fields that are each well written."""
    if kind is AnnouncementKind.LOCATION and written["country"] and written["country"] not in EEA:
        if aspect == "storage":
            return {"country": "outside_eea"}
        return {f"safeguards_{one}": "no_safeguards" for one in LANGUAGES if not written[f"safeguards_{one}"]}
    if kind is AnnouncementKind.DOCUMENT and written["valid_from"] and written["valid_until"]:
        return {"valid_until": "before_start"} if written["valid_until"] < written["valid_from"] else {}
    return {}
