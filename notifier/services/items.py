"""Open items: what waits for a person, opened and closed by the verbs that know why."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import EventKind, Item, ItemKind
from notifier.models.base import uuid7
from notifier.services import events
from notifier.services.rows import insert_new, insert_set

# Objections, terminations, clients and doubted answers are closed by what settles them.
NOTED = frozenset(
    {
        ItemKind.DOUBTED_MAILS,
        ItemKind.ENDPOINT_FAILING,
        ItemKind.REFUSED_DELIVERY,
        ItemKind.RELAY_FAILING,
        ItemKind.UNKNOWN_DELIVERY,
        ItemKind.TELL_BY_LETTER,
    }
)


def open_item(session: Session, kind: ItemKind, *, about: UUID, announcement: UUID | None, now: datetime) -> Item:
    """Open an item, or return the one that is open already."""
    insert_new(session, Item(kind=kind, about_id=about, announcement_id=announcement, opened_at=now))
    query = select(Item).where(Item.kind == kind, Item.about_id == about, col(Item.open).is_(True))
    return session.exec(query).one()


def open_all(
    session: Session, kind: ItemKind, *, about: Iterable[UUID], announcement: UUID | None, now: datetime
) -> None:
    """Open an item about each of these things, unless one is open already."""
    rows = [{"id": uuid7(), "about_id": one} for one in about]
    same = {"kind": kind, "announcement_id": announcement, "open": True, "opened_at": now}
    insert_set(session, Item, rows, same, unless_there=True)


def close_items(session: Session, *kinds: ItemKind, about: UUID, by: str, now: datetime, note: str = "") -> None:
    """Close whatever of these kinds is open about one thing; nothing open is no error."""
    session.execute(
        sa.update(Item)
        .where(col(Item.kind).in_(kinds), col(Item.about_id) == about, col(Item.open).is_(True))
        .values(open=None, closed_at=now, closed_by=by, note=note)
    )


def note(session: Session, item_id: UUID, *, note: str, by: str, now: datetime) -> None:
    """Close an item that asks for nothing but to be looked at; the verbs of the others close theirs."""
    item = session.get(Item, item_id, with_for_update=True)
    if item is None or not item.open or item.kind not in NOTED:
        return
    item.open, item.closed_at, item.closed_by, item.note = None, now, by, note.strip()
    session.add(item)
    facts = {"item": item.kind.value}
    announcement = item.announcement_id
    events.record(
        session, EventKind.ITEM_NOTED, about=item.about_id, announcement=announcement, by=by, now=now, **facts
    )


def open_items(session: Session, *, announcement: UUID | None = None, limit: int = 200) -> list[Item]:
    """Return what is open, oldest first."""
    query = select(Item).where(col(Item.open).is_(True)).order_by(col(Item.opened_at)).limit(limit)
    if announcement:
        query = query.where(Item.announcement_id == announcement)
    return list(session.exec(query))
