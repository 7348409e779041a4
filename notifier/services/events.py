"""Events: one row per thing that happens, in the transaction in which it happens, and a webhook for whoever asked for
it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, or_, select

from notifier.models import Endpoint, Event, EventKind, WebhookDelivery
from notifier.models.base import uuid7
from notifier.services import doorbell
from notifier.services.rows import TOGETHER, insert_set, table_of

_LISTENING = select(Endpoint).where(col(Endpoint.enabled))
_RECORD = sa.insert(table_of(Event)).returning(
    table_of(Event).c.id, sa.exists().where(table_of(Endpoint).c.enabled).label("is_heard")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An event to be recorded.  `data` holds no personal data: the log is kept for years and leaves by webhook."""

    kind: EventKind
    about: UUID
    announcement: UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)


def record(
    session: Session,
    kind: EventKind,
    *,
    about: UUID,
    by: str,
    now: datetime,
    announcement: UUID | None = None,
    **data: Any,  # noqa: ANN401 - JSON values
) -> None:
    """Record that something happened, by one statement where nobody asked for webhooks."""
    session.flush()  # what it is about is written before it
    said: dict[str, Any] = {
        "kind": kind,
        "about_id": about,
        "announcement_id": announcement,
        "by": by,
        "at": now,
        "data": data,
    }
    number, is_heard = session.execute(_RECORD, said).one()
    if is_heard:
        _owe_webhooks(session, _listening(session), [Event(id=number, **said)], now)


def record_all(session: Session, happened: Sequence[Happened], *, by: str, now: datetime) -> None:
    """Record several events at once, in their order, by one statement for thousands of them."""
    session.flush()  # what they are about is written before them
    if not happened:
        return
    rows = [
        {
            "kind": one.kind,
            "about_id": one.about.hex,
            "announcement_id": one.announcement and one.announcement.hex,
            "data": one.data,
        }
        for one in happened
    ]
    same: dict[str, Any] = {"by": by, "at": now}
    endpoints = _listening(session)
    if not any(_wants(endpoint, one.kind, one.about) for endpoint in endpoints for one in happened):
        insert_set(session, Event, rows, same)
        return
    numbers = insert_set(session, Event, rows, same, returning="id")
    recorded = [
        Event(id=number, kind=one.kind, about_id=one.about, announcement_id=one.announcement, data=one.data, **same)
        for number, one in zip(numbers, happened, strict=True)
    ]
    _owe_webhooks(session, endpoints, recorded, now)


def record_each(
    session: Session, chosen: sa.Select[Any], *, kinds: Collection[EventKind], by: str, now: datetime
) -> None:
    """Record an event of one of these kinds for each row of a query, in its order: its columns are `kind`, `about_id`,
    `announcement_id` and `data`.  None of them is read, unless somebody listens.
    """
    event = table_of(Event)
    names = [*chosen.selected_columns.keys(), "by", "at"]
    chosen = chosen.add_columns(sa.literal(by), sa.literal(now, event.c.at.type))
    insert = sa.insert(event).from_select(names, chosen)
    endpoints = [one for one in _listening(session) if not one.kinds or set(one.kinds) & {kind.value for kind in kinds}]
    if not endpoints:
        session.execute(insert)
        return
    numbers = sorted(session.execute(insert.returning(event.c.id)).scalars())
    for start in range(0, len(numbers), TOGETHER):
        some = select(Event).where(col(Event.id).in_(numbers[start : start + TOGETHER])).order_by(col(Event.id))
        _owe_webhooks(session, endpoints, session.exec(some).all(), now)


def history(session: Session, *, about: UUID | None = None, after: int = 0, limit: int = 200) -> list[Event]:
    """Return events in their order, oldest first: all of them, or those about one thing or announcement."""
    query = select(Event).where(col(Event.id) > after).order_by(col(Event.id)).limit(limit)
    if about:
        query = query.where(or_(Event.about_id == about, Event.announcement_id == about))
    return list(session.exec(query))


def latest(session: Session, *, announcement: UUID | None = None, limit: int = 20) -> list[Event]:
    """Return the newest events, newest first."""
    query = select(Event).order_by(col(Event.id).desc()).limit(limit)
    if announcement:
        query = query.where(Event.announcement_id == announcement)
    return list(session.exec(query))


def body(event: Event) -> str:
    """Return the webhook body of an event: Standard Webhooks' `type`, `timestamp`, `data`; `sequence` grows."""
    subject = {"about": str(event.about_id), "announcement": event.announcement_id and str(event.announcement_id)}
    content = {
        "type": event.kind.value,
        "timestamp": event.at.isoformat(),
        "data": {"sequence": event.id, "by": event.by, **subject, **event.data},
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _listening(session: Session) -> Sequence[Endpoint]:
    return session.exec(_LISTENING).all()


def _owe_webhooks(session: Session, endpoints: Sequence[Endpoint], events: Sequence[Event], now: datetime) -> None:
    owed = [
        {"id": uuid7(), "endpoint_id": endpoint.id, "event_id": event.id, "body": body(event)}
        for event in events
        for endpoint in endpoints
        if _wants(endpoint, event.kind, event.about_id)
    ]
    if owed:
        insert_set(session, WebhookDelivery, owed, {"due_at": now})
        doorbell.ring(session, doorbell.Bell.WEBHOOKS)


def _wants(endpoint: Endpoint, kind: EventKind, about: UUID) -> bool:
    """An endpoint is not told of its own failures: it would owe itself one more for each."""
    of_its_own = about == endpoint.id and kind in {EventKind.WEBHOOK_EXHAUSTED, EventKind.ENDPOINT_DISABLED}
    return not of_its_own and (not endpoint.kinds or kind.value in endpoint.kinds)
