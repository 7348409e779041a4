"""The provider's profile: the one row in whose name everything is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlmodel import Session

from notifier.adapters.lists import is_address
from notifier.models import EventKind, Provider
from notifier.rules.calendars import BadPeriod
from notifier.rules.entries import Entry, as_json, from_json
from notifier.rules.periods import zone
from notifier.services import doorbell, events

FIELDS = (*Provider.REQUIRED, "languages")
# What the host of health data says of itself in the table of guarantees (HDS v2, chapter 8), as of any other actor.
HOST = (
    "hds",
    "secnumcloud",
    "certificates",
    "hds_activities",
    "places",
    "outside_access",
    "outside_countries",
    "transfer",
    "third_country_law",
    "third_country_laws",
)
ABOUT_PROVIDER = UUID(int=1)


class BadProfile(ValueError):
    """Fields of the profile that cannot be taken: field → a sentence that says what to write."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {sentence}" for name, sentence in problems.items()))
        self.problems = problems


class ProfileIncomplete(Exception):
    """Nothing can be sent before the profile is complete."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(f"the provider's profile is incomplete: fill in {', '.join(missing)}")
        self.missing = missing


def get(session: Session) -> Provider:
    """Return the profile; an empty one where none was saved yet."""
    return session.get(Provider, 1) or Provider()


def require_complete(session: Session) -> Provider:
    """Return the profile, or raise ProfileIncomplete."""
    provider = get(session)
    if provider.missing:
        raise ProfileIncomplete(provider.missing)
    return provider


def change(session: Session, values: dict[str, str], *, by: str, now: datetime) -> Provider:
    """Set some fields; anything that cannot be right raises BadProfile and changes nothing."""
    cleaned = {name: " ".join(text.split()) if name != "address" else text.strip() for name, text in values.items()}
    if problems := _problems(cleaned):
        raise BadProfile(problems)
    provider = session.get(Provider, 1) or Provider()
    if emptied := [name for name in Provider.REQUIRED if getattr(provider, name) and cleaned.get(name) == ""]:
        raise BadProfile(dict.fromkeys(emptied, "letters and pages need it: write another one, but do not empty it"))
    for name, text in cleaned.items():
        setattr(provider, name, text.rstrip("/") if name == "base_url" else text)
    session.add(provider)
    events.record(session, EventKind.PROVIDER_CHANGED, about=ABOUT_PROVIDER, by=by, now=now, fields=sorted(cleaned))
    doorbell.ring(session, doorbell.Bell.OUTBOX)
    return provider


def host(session: Session) -> Entry:
    """Return the provider as an actor of its own hosting; what nobody has said is empty."""
    own = get(session)
    return from_json({**own.host, "key": "", "name": own.legal_name, "address": " ".join(own.address.split())})


def change_host(session: Session, values: Mapping[str, Any], *, by: str, now: datetime) -> Entry:
    """Say some of what the provider is as a host: field (one of HOST) → value as rules/entries.FIELDS shapes it."""
    if unknown := sorted(values.keys() - set(HOST)):
        raise BadProfile(dict.fromkeys(unknown, f"there is no such field; there are {', '.join(HOST)}"))
    said = as_json(replace(host(session), **values))
    saved = session.get(Provider, 1) or Provider()
    saved.host = {name: said[name] for name in HOST if name in said}
    session.add(saved)
    events.record(session, EventKind.PROVIDER_CHANGED, about=ABOUT_PROVIDER, by=by, now=now, fields=sorted(values))
    return host(session)


def _problems(values: dict[str, str]) -> dict[str, str]:
    problems = dict.fromkeys(values.keys() - set(FIELDS), "there is no such field")
    for name in ("sender_address", "reply_to", "privacy_contact"):
        if (text := values.get(name)) and not is_address(text):
            problems[name] = "write one address, such as privacy@hosting.example"
    if (text := values.get("base_url")) and not _is_base_url(text):
        problems["base_url"] = (
            "write the address under which clients reach these pages, such as https://notices.hosting.example"
        )
    if any(ord(character) < ord(" ") for name, text in values.items() if name != "address" for character in text):
        problems["sender_name"] = "take the control characters out"
    if "timezone" in values:
        try:
            zone(values["timezone"])
        except BadPeriod as wrong:
            problems["timezone"] = str(wrong)
    if (text := values.get("languages")) is not None and set(text.split()) not in ({"en"}, {"fr"}, {"en", "fr"}):
        problems["languages"] = 'write "en fr", "fr" or "en"'
    return problems


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:  # half an IPv6 address
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and not (parts.query or parts.fragment or parts.username)
    )
