"""Two time lines of the registry: when something was published, and when it took effect.

Versions are numbered in the order of publishing, each on the one before.  A later one that is faster goes live first
with its own changes alone, so the list in force is composed of changes in the order in which they were made.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import inf
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Edition, Event, EventKind, Version
from notifier.models import Entry as Row
from notifier.rules.calendars import ONE_DAY
from notifier.rules.entries import Entry
from notifier.rules.periods import start_of_day, zone
from notifier.rules.registry_diff import Change, Misfit, apply
from notifier.rules.scope import Scope, concerns
from notifier.services import provider, registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list as it stood, or was going to stand, at an instant."""

    entries: tuple[Entry, ...]
    at: datetime
    version: Version | None  # the last one that it contains
    expected: bool  # something in it had been announced and not yet been made


@dataclass(frozen=True, slots=True)
class _Step:
    """One version and from when it holds."""

    version: Version
    number: int
    at: datetime


def in_force(session: Session, at: datetime) -> tuple[Entry, ...]:
    """Return the list that held at an instant for everybody."""
    held = select(Version).where(col(Version.live_at) <= at)
    steps = [_Step(one, one.number, one.live_at) for one in session.exec(held) if one.number and one.live_at]
    return _composed(session, steps)


def as_of(session: Session, *, on: date, now: datetime, known_on: date | None = None) -> Listed:
    """Return the list as it stood at the end of a day, as far as had been published and recorded by the end of
    `known_on` (until now, unless given); for a day after that, as it was announced to become.
    """
    tz = zone(provider.get(session).timezone)
    at = start_of_day(on + ONE_DAY, tz)
    known_at = min(start_of_day(known_on + ONE_DAY, tz), now) if known_on else now
    recorded = _recorded(session) if known_on else {}
    steps, expected = [], False
    for version in _known(session, known_at):
        made_at = version.live_at if recorded.get(version.id, known_at) <= known_at else None
        if made_at is None or made_at > known_at:
            made_at, is_expected = max(_announced_for(session, version, known_at), known_at), True
        else:
            is_expected = False
        if made_at < at and version.number:
            steps.append(_Step(version, version.number, made_at))
            expected |= is_expected
    announced = [step for step in steps if step.version.undoes is None]
    last = max(announced, key=lambda step: step.number).version if announced else None
    return Listed(entries=_composed(session, steps), at=at, version=last, expected=expected)


def known(session: Session, *, on: date, now: datetime) -> Listed:
    """Return the newest list published by the end of a day, whatever of it had taken effect."""
    at = min(start_of_day(on + ONE_DAY, zone(provider.get(session).timezone)), now)
    versions = _known(session, at)
    newest = versions[-1] if versions else None
    made = (one.live_at is not None and one.live_at < at for one in versions if one.undoes is None)
    return Listed(entries=tuple(registry.entries(session, newest)), at=at, version=newest, expected=not all(made))


def last_updated(session: Session, now: datetime) -> datetime | None:
    """Return when the list in force last became another: derived, never typed."""
    made = select(sa.func.max(Version.live_at)).where(col(Version.live_at) <= now)
    return session.exec(made.where(col(Version.undoes).is_(None))).one()  # what one of those takes out never held


def of_service(entries: Sequence[Entry], service: str) -> tuple[Entry, ...]:
    """Return the entries that a service of ours uses; one that names no service is used by all."""
    return tuple(entry for entry in entries if concerns(entry, Scope(services=(service,))))


def compose(changes: Sequence[Change], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Apply each change where it fits; what arrives is there also where what it takes the place of never was."""
    for change in changes:
        try:
            entries = apply([change], entries)
        except Misfit:
            kept = tuple(entry for entry in entries if change.after is None or entry.key != change.after.key)
            entries = (*kept, change.after) if change.after and not change.stays else kept
    return tuple(entries)


def changes_of(session: Session, version: Version) -> tuple[Change, ...]:
    """Return what a version changed against the one that it was built on."""
    return registry.changes(session, registry.before(session, version), version)


def is_ahead(session: Session, version: Version) -> bool:
    """Say whether the list of a version contains changes of an earlier one that have not been made."""
    waiting = select(Version.id).where(
        col(Version.number) < version.number, col(Version.live_at).is_(None), col(Version.withdrawn_at).is_(None)
    )
    return session.exec(waiting.limit(1)).first() is not None


def life_of(session: Session, key: str) -> list[tuple[Version, Change]]:
    """Return what became of one entry, version by version, the oldest first; a version that was withdrawn changed
    nothing.
    """
    bounds = select(Row.since, Row.until).where(Row.key == key)
    begun = {number for pair in session.exec(bounds) for number in pair if number is not None}
    kept = select(Version).where(col(Version.number).is_not(None), col(Version.withdrawn_at).is_(None))
    standing = {one.number: one for one in session.exec(kept) if one.number}
    numbers = sorted(standing)
    touching = {numbers[place] for one in begun if (place := bisect_left(numbers, one)) < len(numbers)}
    return [
        (standing[number], change)
        for number in sorted(touching)
        for change in changes_of(session, standing[number])
        if key in {entry.key for entry in (change.before, change.after) if entry}
    ]


def _composed(session: Session, steps: Sequence[_Step]) -> tuple[Entry, ...]:
    """Read the highest version that holds nothing that was not made, then make the changes of those above it, in the
    order in which they began to hold.  One that takes the changes of another out again changes nothing that was made.
    """
    there = {step.number for step in steps}
    blocked = _not_made(session, there)
    whole = [step for step in steps if not any(first < step.number < end for first, end in blocked)]
    base = max(whole, key=lambda step: step.number, default=None)
    entries: tuple[Entry, ...] = tuple(registry.entries(session, base.version)) if base else ()
    higher = (step for step in steps if base is None or step.number > base.number)
    above = [step for step in higher if step.version.undoes is None]
    for step in sorted(above, key=lambda step: (step.at, step.number)):
        entries = compose(changes_of(session, step.version), entries)
    return entries


def _not_made(session: Session, there: set[int]) -> list[tuple[int, float]]:
    """Return the numbers between which versions hold changes that have not been made: from each version that is missing
    to the one that takes its changes out again.
    """
    numbered = select(Version.number, Version.withdrawn_at, Version.undoes).where(col(Version.number).is_not(None))
    rows = session.exec(numbered).all()
    undone = {undoes: number for number, _, undoes in rows if undoes and number}
    return [
        (number, undone[number] if undone.get(number) in there else inf)
        for number, withdrawn_at, _ in rows
        if number and number not in there and (withdrawn_at is None or number in undone)
    ]


def _known(session: Session, at: datetime) -> list[Version]:
    """Return the versions published and not withdrawn by an instant, in their order."""
    published = select(Version).where(
        col(Version.published_at) <= at, sa.or_(col(Version.withdrawn_at).is_(None), col(Version.withdrawn_at) > at)
    )
    return list(session.exec(published.order_by(col(Version.number))))


def _recorded(session: Session) -> dict[UUID, datetime]:
    """Return version → when it was recorded that it is live, which may be after the fact; a past that was taken from
    elsewhere was known when it was.
    """
    events = select(Event.about_id, Event.at, Event.data).where(Event.kind == EventKind.VERSION_LIVE)
    return {about: at for about, at, data in session.exec(events) if "held_from" not in data}


def _announced_for(session: Session, version: Version, known_at: datetime) -> datetime:
    """Return the instant for which a version was announced, as it had been told by then."""
    tz = zone(provider.get(session).timezone)
    told = (
        select(col(Edition.effective_on))
        .where(Edition.version_id == version.id, col(Edition.made_at) <= known_at)
        .order_by(col(Edition.number).desc(), col(Edition.in_substance), col(Edition.made_at).desc())
    )
    day = session.exec(told.limit(1)).first()
    return start_of_day(day, tz) if day else (version.effective_at or known_at)
