"""Each client's own list of subprocessors as of any day: what really happened for it, not what was announced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session, col, select

from notifier.models import Announcement, Client, Notice, Version
from notifier.rules.calendars import ONE_DAY
from notifier.rules.kinds import OF_THE_REGISTRY
from notifier.rules.periods import local_day, start_of_day, zone
from notifier.rules.registry_diff import Change, Entry, Misfit, apply
from notifier.services import announcements, clients, provider, registry


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEntry:
    """One subprocessor of a client's list, since when it has been there, and whether it began before the client's right
    had run.
    """

    entry: Entry
    since: datetime
    began_early: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnList:
    """A client's list at the end of a day.  `excluded`: what was announced and is not made for this client."""

    client: Client
    on: date
    entries: tuple[OwnEntry, ...]
    excluded: tuple[str, ...]  # references


def own_list(session: Session, client_id: UUID, *, on: date) -> OwnList:
    """Return a client's list at the end of a day of the provider's zone.

    It begins with the list that was established, and takes each change from the instant at which it was made for this
    client; one of which the client has no notice (it came later) from when it was made for all.
    """
    client = session.get(Client, client_id)
    if client is None:
        raise clients.NoSuchClient
    at = start_of_day(on + ONE_DAY, zone(provider.get(session).timezone))
    first = session.exec(select(Version).where(Version.number == 1)).first()
    held: dict[str, OwnEntry] = {}
    if first and first.live_at and first.live_at < at:
        listed = registry.entries(session, first)
        held = {entry.key: OwnEntry(entry=entry, since=first.live_at, began_early=False) for entry in listed}
    excluded = []
    for announcement, notice in _of_client(session, client_id):
        if notice and notice.excluded_at:
            excluded += [announcement.reference] if notice.excluded_at < at else []
            continue
        live_at = notice.live_at if notice else announcement.live_at
        if live_at and live_at < at:
            early = bool(notice and notice.live_in_breach)
            held = _applied(held, announcements.changes_of(announcement), since=live_at, early=early)
    return OwnList(client=client, on=on, entries=tuple(held.values()), excluded=tuple(excluded))


def _of_client(session: Session, client_id: UUID) -> list[tuple[Announcement, Notice | None]]:
    """Return every change of the registry with this client's notice of it, in the order in which they were made."""
    query = (
        select(Announcement, Notice, Version.number)
        .join(Version, col(Version.id) == Announcement.version_id)
        .outerjoin(Notice, (col(Notice.announcement_id) == Announcement.id) & (col(Notice.client_id) == client_id))
        .where(col(Announcement.kind).in_(OF_THE_REGISTRY))
        .order_by(col(Version.number))
    )
    found = [(announcement, notice) for announcement, notice, _ in session.exec(query)]
    return sorted(found, key=lambda pair: _made_at(*pair) or datetime.max.replace(tzinfo=pair[0].published_at.tzinfo))


def _made_at(announcement: Announcement, notice: Notice | None) -> datetime | None:
    return notice.live_at if notice else announcement.live_at


def _applied(
    held: dict[str, OwnEntry], changes: tuple[Change, ...], *, since: datetime, early: bool
) -> dict[str, OwnEntry]:
    """Apply each change; what arrives is there, also where what it takes the place of never was (the client was
    excluded).
    """
    entries = tuple(one.entry for one in held.values())
    for change in changes:
        try:
            entries = apply([change], entries)
        except Misfit:
            kept = tuple(entry for entry in entries if change.after is None or entry.key != change.after.key)
            entries = (*kept, change.after) if change.after else kept
    touched = {change.after.key for change in changes if change.after}
    return {
        entry.key: OwnEntry(entry=entry, since=since, began_early=early)
        if entry.key in touched or entry.key not in held
        else held[entry.key]
        for entry in entries
    }


def today_of(session: Session, now: datetime) -> date:
    return local_day(now, zone(provider.get(session).timezone))
