"""Each client's own list of subprocessors as of any day: what really happened for it, not what was announced, and of
that only what it uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Announcement, Client, Edition, Event, EventKind, Notice, Version
from notifier.models import Entry as Row
from notifier.models.notice import CONCERNS_NO_MORE
from notifier.rules.calendars import ONE_DAY
from notifier.rules.entries import Entry
from notifier.rules.kinds import OF_THE_REGISTRY
from notifier.rules.periods import local_day, start_of_day, zone
from notifier.rules.registry_diff import Change
from notifier.rules.scope import EVERYBODYS, Reason, concerns, seen_of
from notifier.services import announcements, clients, provider, registry, timeline

MADE = (EventKind.NOTICE_LIVE, EventKind.ANNOUNCEMENT_LIVE, EventKind.ANNOUNCEMENT_BREACHED, EventKind.VERSION_LIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEntry:
    """One subprocessor of a client's list, since when it has been there, whether it began before the client's right had
    run, and why it concerns the client.  `expected`: it was announced, and not made yet as far as was known.
    """

    entry: Entry
    since: datetime
    began_early: bool
    expected: bool = False
    reason: Reason = EVERYBODYS


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnList:
    """A client's list at the end of a day.  `excluded`: what was announced and is not made for this client."""

    client: Client
    on: date
    entries: tuple[OwnEntry, ...]
    excluded: tuple[str, ...]  # references
    known_on: date | None = None
    expected: bool = False  # something in it had been announced and not been made


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What one announcement did to a client's list, and when; `made_at` is None where it did nothing."""

    announcement: Announcement
    number: int
    changes: tuple[Change, ...] = ()
    made_at: datetime | None = None
    early: bool = False
    expected: bool = False
    excluded: bool = False


def own_list(session: Session, client_id: UUID, *, on: date, known_on: date | None = None) -> OwnList:
    """Return a client's list at the end of a day of the provider's zone, as far as it uses what is on it today.

    It begins with the list that was established, and takes each change from the instant at which it was made for this
    client; one of which the client has no notice (it came later) from when it was made for all.  With `known_on`, it
    is as had been recorded by the end of that day, and for a later day as had been announced by then.
    """
    client = session.get(Client, client_id)
    if client is None:
        raise clients.NoSuchClient
    tz = zone(provider.get(session).timezone)
    at = start_of_day(on + ONE_DAY, tz)
    known_at = start_of_day(known_on + ONE_DAY, tz) if known_on else None
    held = _first(session, at, known_at)
    steps = _steps(session, client, at, known_at)
    made = [(step.made_at, step) for step in steps if step.made_at and step.made_at < at]
    for _, step in sorted(made, key=lambda pair: (pair[0], pair[1].number)):
        held = _applied(held, step)
    used = tuple(
        OwnEntry(entry=one.entry, since=one.since, began_early=one.began_early, expected=one.expected, reason=reason)
        for one in held.values()
        if (reason := concerns(one.entry, client.scope))
    )
    return OwnList(
        client=client,
        on=on,
        entries=used,
        excluded=tuple(step.announcement.reference for step in steps if step.excluded),
        known_on=known_on,
        expected=any(step.expected for _, step in made),
    )


def _first(session: Session, at: datetime, known_at: datetime | None) -> dict[str, OwnEntry]:
    """Return the list that was established, or the past that was taken in its place: of neither was anybody told."""
    announced = select(Announcement.id).where(Announcement.version_id == Version.id).exists()
    query = select(Version).where(col(Version.live_at) < min(at, known_at or at), ~announced)
    query = query.where(col(Version.withdrawn_at).is_(None), col(Version.undoes).is_(None))
    base = session.exec(query.order_by(col(Version.number).desc()).limit(1)).first()
    if base is None or base.number is None:
        return {}
    written = (
        select(Row.key, Version.live_at)
        .join(Version, col(Version.number) == Row.since)
        .where(Row.since <= base.number, sa.or_(col(Row.until).is_(None), col(Row.until) > base.number))
    )
    since = {key: live_at for key, live_at in session.exec(written) if live_at}
    return {
        entry.key: OwnEntry(entry=entry, since=since[entry.key], began_early=False)
        for entry in registry.entries(session, base)
    }


def _steps(session: Session, client: Client, at: datetime, known_at: datetime | None) -> list[_Step]:
    """Return what every change of the registry did to a client's list, in the order of publishing."""
    own = sa.and_(col(Notice.announcement_id) == Announcement.id, col(Notice.client_id) == client.id)
    query = (
        select(Announcement, Version, Notice)
        .join(Version, col(Version.id) == Announcement.version_id)
        .outerjoin(Notice, own & (col(Notice.excluded_why) != CONCERNS_NO_MORE))  # left out: as if never told
        .where(col(Announcement.kind).in_(OF_THE_REGISTRY))
        .order_by(col(Version.number))
    )
    found: list[tuple[Announcement, Version, Notice | None]] = [(a, v, n) for a, v, n in session.exec(query)]
    abouts = [one.id for row in found for one in row if one is not None]
    recorded = _recorded(session, abouts) if known_at else {}
    return [
        _step(session, client, announcement, version, notice, at=at, known_at=known_at, recorded=recorded)
        for announcement, version, notice in found
    ]


def _step(
    session: Session,
    client: Client,
    announcement: Announcement,
    version: Version,
    notice: Notice | None,
    *,
    at: datetime,
    known_at: datetime | None,
    recorded: Mapping[UUID, datetime],
) -> _Step:
    changes, number = announcements.changes_of(announcement), version.number or 0
    if not seen_of(changes, client.scope):  # it is no affair of this client's, and made as soon as it is for anybody
        notice, live_at, about = None, version.live_at, version.id
    elif notice:
        live_at, about = notice.live_at, notice.id
    else:
        live_at, about = announcement.live_at, announcement.id
    if notice and notice.excluded_at and not (known_at and notice.excluded_at >= known_at):
        return _Step(announcement=announcement, number=number, excluded=notice.excluded_at < at)
    early = bool(notice and notice.live_in_breach)
    if known_at is None or (live_at and recorded.get(about, known_at) < known_at):
        return _Step(announcement=announcement, number=number, changes=changes, made_at=live_at, early=early)
    edition = _edition(session, announcement, known_at)
    taken_back = announcement.withdrawn_at is not None and announcement.withdrawn_at < known_at
    if edition is None or taken_back:
        return _Step(announcement=announcement, number=number)
    announced_for = start_of_day(edition.effective_on, zone(provider.get(session).timezone))
    return _Step(
        announcement=announcement,
        number=number,
        changes=announcements.changes_of(edition),
        made_at=max(announced_for, known_at),
        expected=True,
    )


def _recorded(session: Session, abouts: Iterable[UUID]) -> Mapping[UUID, datetime]:
    """Return when it was written down that each of these had been made, which may be after the fact."""
    query = select(Event.about_id, sa.func.min(Event.at)).where(col(Event.kind).in_(MADE))
    return dict(session.exec(query.where(col(Event.about_id).in_(list(abouts))).group_by(col(Event.about_id))).all())


def _edition(session: Session, announcement: Announcement, known_at: datetime) -> Edition | None:
    """Return what an announcement said at an instant; None before it was published."""
    told = [one for one in announcements.editions(session, announcement.id) if one.made_at < known_at]
    return told[-1] if told else None


def _applied(held: Mapping[str, OwnEntry], step: _Step) -> dict[str, OwnEntry]:
    """Make the changes; what arrives is there also where the client was excluded from what it takes the place of."""
    if step.made_at is None:
        return dict(held)
    entries: Sequence[Entry] = timeline.compose(step.changes, tuple(one.entry for one in held.values()))
    touched = {change.after.key for change in step.changes if change.after}
    return {
        entry.key: OwnEntry(entry=entry, since=step.made_at, began_early=step.early, expected=step.expected)
        if entry.key in touched or entry.key not in held
        else held[entry.key]
        for entry in entries
    }


def today_of(session: Session, now: datetime) -> date:
    return local_day(now, zone(provider.get(session).timezone))
