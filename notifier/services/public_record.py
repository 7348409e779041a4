"""What everybody may know of the registry: lists that were published, and announcements of the kinds that are told to
everybody.  No client, no draft, no person, no reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from notifier.models import Announcement, AnnouncementKind, AnnouncementState, Edition, Event, EventKind, Version
from notifier.rules.entries import Entry
from notifier.rules.registry_diff import Change
from notifier.services import announcements, registry, timeline

# What everybody may know of before it is so; the rest is between the provider and its clients.
SHOWN = frozenset(
    {
        AnnouncementKind.SUBPROCESSOR,
        AnnouncementKind.EMERGENCY,
        AnnouncementKind.LOCATION,
        AnnouncementKind.SUPPORT,
    }
)
# What can make a public page read otherwise than before.
TELLING = (
    EventKind.PROVIDER_CHANGED,
    EventKind.VERSION_PUBLISHED,
    EventKind.VERSION_LIVE,
    EventKind.ANNOUNCEMENT_PUBLISHED,
    EventKind.ANNOUNCEMENT_LIVE,
    EventKind.ANNOUNCEMENT_BREACHED,
    EventKind.ANNOUNCEMENT_CORRECTED,
    EventKind.ANNOUNCEMENT_RESPELT,
    EventKind.ANNOUNCEMENT_POSTPONED,
    EventKind.ANNOUNCEMENT_WITHDRAWN,
)
PERSONAL = "contact"  # a field that names a person: clients are told it, everybody is not


@dataclass(frozen=True, slots=True)
class Mark:
    """Another one means that something public may have changed; `at` is when it last did."""

    count: int  # beside the last id: of two transactions at once, the one with the lower id may end last
    last_id: int
    at: datetime | None


class Step(StrEnum):
    ANNOUNCED = "announced"
    CORRECTED = "corrected"
    RESPELT = "respelt"
    POSTPONED = "postponed"
    WITHDRAWN = "withdrawn"
    LIVE = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One thing that became of an announcement; `day`: the day of effect as it was told from then on."""

    step: Step
    at: datetime
    day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A version, and what told of it: none for the first one, and for those of before this registry was kept."""

    version: Version
    announcement: Announcement | None


def mark(session: Session) -> Mark:
    """Return what stays the same as long as nothing public happens."""
    telling = col(Event.kind).in_(TELLING)
    count, last = session.exec(select(sa.func.count(), sa.func.max(Event.id)).where(telling)).one()
    at = session.exec(select(sa.func.max(Event.at)).where(telling)).one()
    return Mark(count, last or 0, at)


# --- entries and changes ---------------------------------------------------------------------------------------------


def for_everybody(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries without what names a person."""
    return tuple(replace(entry, contact="") for entry in entries)


def told(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return changes without what names a person; one of that alone keeps its sentence and says no more."""
    return tuple(
        replace(
            change,
            before=_bare(change.before),
            after=_bare(change.after),
            fields=tuple(field for field in change.fields if field.field != PERSONAL),
        )
        for change in changes
    )


def _bare(entry: Entry | None) -> Entry | None:
    return for_everybody([entry])[0] if entry else None


def by_chain(entries: Sequence[Entry]) -> tuple[tuple[int, Entry], ...]:
    """Return entries with their depth, each right after the one that engages it; one whose engager is not among them
    stands by itself.
    """
    keys = {entry.key for entry in entries}
    below: dict[str, list[Entry]] = {}
    for entry in entries:
        below.setdefault(entry.parent if entry.parent in keys else "", []).append(entry)
    ordered: list[tuple[int, Entry]] = []
    waiting = [(0, entry) for entry in reversed(below.get("", []))]
    while waiting:
        depth, entry = waiting.pop()
        ordered.append((depth, entry))
        waiting += [(depth + 1, one) for one in reversed(below.get(entry.key, []))]
    return tuple(ordered)


# --- announcements ---------------------------------------------------------------------------------------------------


def upcoming(session: Session) -> list[Announcement]:
    """Return what is announced to everybody and not live yet, the nearest first."""
    return [one for one in announcements.upcoming(session) if one.kind in SHOWN]


def announced(session: Session, *, limit: int) -> list[Announcement]:
    """Return what was ever announced to everybody, newest first."""
    return list(session.exec(_announced().order_by(col(Announcement.published_at).desc()).limit(limit)))


def by_reference(session: Session, reference: str) -> Announcement:
    """Return one of them; NoSuchAnnouncement also for what exists and is not everybody's."""
    found = session.exec(_announced().where(col(Announcement.reference) == reference)).first()
    if found is None:
        raise announcements.NoSuchAnnouncement
    return found


def _announced() -> SelectOfScalar[Announcement]:
    told_once = select(Edition.id).where(Edition.announcement_id == Announcement.id).exists()  # a draft has none
    shown = sa.and_(col(Announcement.kind).in_(SHOWN), col(Announcement.state) != AnnouncementState.DRAFT, told_once)
    return select(Announcement).where(shown)


def story(session: Session, announcement: Announcement) -> tuple[Happened, ...]:
    """Return what became of an announcement, oldest first."""
    happened: list[Happened] = []
    before: Edition | None = None
    for one in announcements.editions(session, announcement.id):
        happened.append(Happened(step=_step(one, before), at=one.made_at, day=one.effective_on))
        before = one
    if announcement.withdrawn_at:
        happened.append(Happened(step=Step.WITHDRAWN, at=announcement.withdrawn_at))
    if announcement.live_at:
        happened.append(Happened(step=Step.LIVE, at=announcement.live_at))
    return tuple(happened)


def _step(edition: Edition, before: Edition | None) -> Step:
    if before is None:
        return Step.ANNOUNCED
    if edition.in_substance:
        return Step.CORRECTED
    return Step.POSTPONED if edition.effective_on != before.effective_on else Step.RESPELT


# --- versions --------------------------------------------------------------------------------------------------------


def versions(session: Session, *, before: int | None, limit: int) -> list[Published]:
    """Return versions newest first; `before`: only those with a lower number."""
    query = _versions().order_by(col(Version.number).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Version.number) < min(before, registry.HIGHEST))
    return _with_announcements(session, list(session.exec(query)))


def _versions() -> SelectOfScalar[Version]:
    """What was never made changes nothing for anybody, nor does what takes it back."""
    return select(Version).where(col(Version.number).is_not(None), col(Version.undoes).is_(None))


def version(session: Session, number: int) -> Published:
    """Return one version; NoSuchVersion where there is none."""
    return _with_announcements(session, [registry.get(session, number)])[0]


def gone_live(session: Session, *, now: datetime, limit: int) -> list[Version]:
    """Return the versions that took effect, the last one first."""
    query = _versions().where(col(Version.live_at) <= now).order_by(col(Version.live_at).desc()).limit(limit)
    return list(session.exec(query))


def changes_of(session: Session, published: Version) -> tuple[Change, ...]:
    """Return what a version changed against the one that it was built on; nothing for the first."""
    return told(timeline.changes_of(session, published)) if registry.before(session, published) else ()


def _with_announcements(session: Session, found: Sequence[Version]) -> list[Published]:
    """A version that a correction put another in the place of is named by an earlier edition alone."""
    ids = [one.id for one in found]
    query = (
        select(Edition.version_id, Announcement)
        .join(Announcement, col(Announcement.id) == Edition.announcement_id)
        .where(col(Edition.version_id).in_(ids), col(Announcement.kind).in_(SHOWN))
    )
    telling: dict[UUID | None, Announcement] = dict(session.exec(query).all())
    return [Published(version=one, announcement=telling.get(one.id)) for one in found]
