"""One subprocessor as a list of them describes it, field by field.

Only what is known is filled: the empty value of a field says that nobody has said, never that there is none.
Sources of the fields: GDPR art. 28(2) and 28(4), EDPB Opinion 22/2024 (identity of the whole chain), HDS v2
requirements 12, 22 and 28 to 31 and its chapter 8, R.1111-11 7° of the Code de la santé publique.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where data is processed: a country (ISO 3166 alpha-2, or "" where only a wider area is known), a site or an area
    in words, and what happens there: production, backup, interconnection, support, or the operator's own word.
    """

    country: str = ""
    site: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Certificate:
    """What an auditor confirmed: the standard ("ISO 27001") with its edition ("2022"), and until when it holds."""

    standard: str
    edition: str = ""
    number: str = ""
    scope: str = ""
    issuer: str = ""
    expires_on: str = ""  # ISO 8601


class Shape(StrEnum):
    """What a field holds."""

    TEXT = "text"  # one line
    LIST = "list"  # several texts, whose order says nothing
    COUNTRY = "country"  # ISO 3166 alpha-2 in capitals
    COUNTRIES = "countries"
    PLACES = "places"
    CERTIFICATES = "certificates"
    DAY = "day"  # ISO 8601
    URL = "url"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    shape: Shape
    choices: tuple[str, ...] = ()

    @property
    def is_many(self) -> bool:
        return self.shape in {Shape.LIST, Shape.COUNTRIES, Shape.PLACES, Shape.CERTIFICATES}


TEXT, LIST = FieldSpec(Shape.TEXT), FieldSpec(Shape.LIST)
YES_OR_NO = FieldSpec(Shape.CHOICE, ("yes", "no"))

# Every field that is told of an entry, in the order of reading; `key` and `replaces` say which entry it is.
FIELDS: Mapping[str, FieldSpec] = MappingProxyType(
    {
        "name": TEXT,  # the legal name
        "trading_name": TEXT,
        "legal_form": TEXT,
        "registration_number": TEXT,
        "address": TEXT,  # street and number of the seat
        "postcode": TEXT,
        "town": TEXT,
        "country": FieldSpec(Shape.COUNTRY),
        "contact": TEXT,  # the person to write to, and how
        "website": FieldSpec(Shape.URL),
        "parent": TEXT,  # the key of the entry that engages this one; "" means that we do
        "activities": LIST,
        "hds_activities": FieldSpec(Shape.LIST),  # numbers 1 to 6 of R.1111-9
        "purposes": LIST,
        "data_categories": LIST,
        "persons": LIST,  # categories of persons concerned
        "access": FieldSpec(Shape.CHOICE, ("receives", "physical", "transit")),
        "places": FieldSpec(Shape.PLACES),
        "outside_access": YES_OR_NO,  # remote access from outside the EEA (HDS requirement 29)
        "outside_countries": FieldSpec(Shape.COUNTRIES),  # from which
        "transfer": FieldSpec(Shape.CHOICE, ("none", "adequacy", "scc", "bcr", "derogation")),
        "assessment": FieldSpec(Shape.URL),  # of the transfer
        "hds": FieldSpec(Shape.CHOICE, ("yes", "no", "exempt")),
        "secnumcloud": YES_OR_NO,
        "certificates": FieldSpec(Shape.CERTIFICATES),
        "third_country_law": YES_OR_NO,  # exposed to access imposed by it (HDS requirement 30)
        "third_country_laws": TEXT,  # which, what is done against it, and what risk stays
        "services": LIST,  # of ours that use it; none means every one
        "regions": LIST,
        "options": LIST,
        "engaged_since": FieldSpec(Shape.DAY),
        "engaged_until": FieldSpec(Shape.DAY),
        "security": FieldSpec(Shape.CHOICE, ("better", "equal", "lower")),  # compared with what was before
        "security_note": TEXT,
    }
)

SCOPE = ("services", "regions", "options")
HDS_ACTIVITIES = ("1", "2", "3", "4", "5", "6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One subprocessor. `key` says which one it is from version to version; every other field says what it is."""

    key: str
    name: str
    trading_name: str = ""
    legal_form: str = ""
    registration_number: str = ""
    address: str = ""
    postcode: str = ""
    town: str = ""
    country: str = ""
    contact: str = ""
    website: str = ""
    parent: str = ""
    activities: tuple[str, ...] = ()
    hds_activities: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    data_categories: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    access: str = ""
    places: tuple[Place, ...] = ()
    outside_access: str = ""
    outside_countries: tuple[str, ...] = ()
    transfer: str = ""
    assessment: str = ""
    hds: str = ""
    secnumcloud: str = ""
    certificates: tuple[Certificate, ...] = ()
    third_country_law: str = ""
    third_country_laws: str = ""
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    engaged_since: str = ""
    engaged_until: str = ""
    security: str = ""
    security_note: str = ""
    replaces: str = ""  # key of the entry it takes over from: the editor's statement, never deduced, never compared

    @property
    def activity(self) -> str:
        """What it does, in one line: its activities, or where none is said, what it is used for."""
        return "; ".join(self.activities or self.purposes)

    @property
    def countries(self) -> tuple[str, ...]:
        """Where it processes data: the countries of its places, or where no place is said, that of its seat.  A place
        in the town of the seat is in its country.
        """
        if not self.places:
            return (self.country,) if self.country else ()
        said = (one.country or (self.country if one.site == self.town else "") for one in self.places)
        return tuple(dict.fromkeys(filter(None, said)))


class CircularParents(ValueError):
    """A chain of subprocessors comes back to where it began; `keys` are those on the circle."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(f"these subprocessors engage each other in a circle: {' → '.join((*keys, keys[0]))}")
        self.keys = keys


class NoSuchParent(ValueError):
    def __init__(self, key: str, parent: str) -> None:
        super().__init__(f'"{key}" is engaged by "{parent}", which is not in the list: add it, or correct the key')
        self.key, self.parent = key, parent


def check_parents(entries: tuple[Entry, ...] | list[Entry]) -> None:
    """Refuse a list in which somebody is engaged by nobody known, or by itself along a chain of any length."""
    parents = {entry.key: entry.parent for entry in entries}
    for key, parent in parents.items():
        if parent and parent not in parents:
            raise NoSuchParent(key, parent)
    cleared: set[str] = set()
    for key in parents:
        path: dict[str, None] = {}
        here = key
        while here and here not in cleared:
            if here in path:
                walked = list(path)
                raise CircularParents(tuple(walked[walked.index(here) :]))
            path[here] = None
            here = parents[here]
        cleared.update(path)


def chain(entry: Entry, by_key: Mapping[str, Entry]) -> tuple[Entry, ...]:
    """Return who engages an entry, from the one that we engage ourselves down to the one above it."""
    above: list[Entry] = []
    here = by_key.get(entry.parent)
    while here is not None and here not in above:
        above.insert(0, here)
        here = by_key.get(here.parent)
    return tuple(above)


def is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def as_json(entry: Entry) -> dict[str, Any]:
    """Return what an entry says as JSON values; what nobody has said is left out."""
    return {name: _plain(value) for name, value in asdict(entry).items() if value}


def from_json(data: Mapping[str, Any]) -> Entry:
    """Return an entry from JSON values, also from those that an earlier edition of the product wrote."""
    known = {field.name for field in fields(Entry)}
    values = {name: value for name, value in _modern(data).items() if name in known}
    for name, spec in FIELDS.items():
        if name in values and spec.is_many:
            values[name] = tuple(_LIFTED.get(spec.shape, str)(one) for one in values[name])
    return Entry(**{"key": "", "name": "", **values})


def _modern(data: Mapping[str, Any]) -> dict[str, Any]:
    """Before places were listed, an entry had one activity, and one kind of site at its address."""
    values = dict(data)
    activity, kind = values.pop("activity", ""), values.pop("site_kind", "")
    if activity and not values.get("activities"):
        values["activities"] = [activity]
    if kind and not values.get("places"):
        values["places"] = [{"country": values.get("country", ""), "site": values.get("town", ""), "kind": kind}]
    return values


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return {name: part for name, part in value.items() if part} if isinstance(value, dict) else value


_LIFTED: Mapping[Shape, Any] = MappingProxyType(
    {Shape.PLACES: lambda one: Place(**one), Shape.CERTIFICATES: lambda one: Certificate(**one)}
)
