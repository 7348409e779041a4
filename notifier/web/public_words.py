"""What the public pages and feeds say of entries, announcements and versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from flask_babel import gettext as _

from notifier.adapters.countries import country_name
from notifier.models import Announcement, AnnouncementState
from notifier.rules.entries import Entry
from notifier.rules.registry_diff import Change
from notifier.services import announcements, entry_words, letter_words, public_record
from notifier.web.current import language

# What protects data that leaves, in the order of reading.
SAFEGUARDS = (
    "transfer",
    "outside_access",
    "outside_countries",
    "hds",
    "secnumcloud",
    "certificates",
    "third_country_law",
)


def labels() -> list[str]:
    """Return the labels of an entry's fields in the order of reading."""
    return list(entry_words.LABELS[language()].values())


def announcement(one: Announcement) -> dict[str, Any]:
    """Return an announcement in words: of the registry its changes, of another kind what was written of it."""
    of_the_registry, speech = bool(one.changes), language()
    return {
        "reference": one.reference,
        "day": one.effective_on,
        "is_live": one.state is AnnouncementState.LIVE,
        "is_withdrawn": one.state is AnnouncementState.WITHDRAWN,
        "kind": letter_words.title(one, speech),
        "what": letter_words.what(one, speech),
        "changes": changes(public_record.told(announcements.changes_of(one))),
        "facts": [] if of_the_registry else letter_words.facts_of(one, speech),
    }


def changes(made: Iterable[Change]) -> list[dict[str, Any]]:
    return [entry_words.describe(change, language()) for change in made]


def rows(entries: Sequence[Entry], listed: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return entries in words, each below the one that engages it; `listed` are all that may engage one."""
    names = {entry.key: entry.trading_name or entry.name for entry in listed}
    return [_row(entry, depth, names) for depth, entry in public_record.by_chain(entries)]


def _row(entry: Entry, depth: int, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "depth": min(depth, 3),  # deeper ones are indented no further: a phone is narrow
        "name": entry.name,
        "trading_name": entry.trading_name,
        "website": _as_link(entry.website),
        "seat": _seat(entry),
        "engaged_by": names.get(entry.parent, ""),
        "activities": entry.activities,
        "purposes": entry.purposes,
        "data": [*entry.data_categories, *_said(entry, ("access", "persons"))],
        "places": _places(entry),
        "safeguards": _said(entry, SAFEGUARDS),
        "since": _in_words(entry, "engaged_since"),
    }


def _places(entry: Entry) -> list[str]:
    if entry.places:
        return [entry_words.place_in_words(place, language()) for place in entry.places]
    return [_("%(country)s (seat)", country=country_name(entry.country, language()))] if entry.country else []


def _seat(entry: Entry) -> str:
    town = " ".join(filter(None, [entry.postcode, entry.town]))
    return ", ".join(filter(None, [entry.address, town, country_name(entry.country, language())]))


def _said(entry: Entry, names: Iterable[str]) -> list[str]:
    colon = letter_words.COLON[language()]
    texts = ((entry_words.LABELS[language()][name], _in_words(entry, name)) for name in names)
    return [f"{label}{colon} {text}" for label, text in texts if text]


def _in_words(entry: Entry, name: str) -> str:
    return entry_words.value_in_words(name, getattr(entry, name), language())


def _as_link(website: str) -> str:
    """An address that a browser may be sent to, else nothing: lists come from many hands."""
    try:
        parts = urlsplit(website)
    except ValueError:  # half an IPv6 address
        return ""
    return website if parts.scheme in {"http", "https"} and parts.hostname else ""
