"""Events: one row per thing that happens, in the transaction in which it happens, and a webhook for whoever asked for
it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, or_, select

from notifier.models import Endpoint, Event, EventKind, WebhookDelivery
from notifier.services import doorbell


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
) -> Event:
    """Record that something happened."""
    return record_all(
        session, [Happened(kind=kind, about=about, announcement=announcement, data=data)], by=by, now=now
    )[0]


def record_all(session: Session, happened: Sequence[Happened], *, by: str, now: datetime) -> list[Event]:
    """Record several events at once, in their order."""
    events = [
        Event(kind=one.kind, about_id=one.about, announcement_id=one.announcement, by=by, at=now, data=one.data)
        for one in happened
    ]
    session.add_all(events)
    session.flush()
    _owe_webhooks(session, events, now)
    return events


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


def _owe_webhooks(session: Session, events: Sequence[Event], now: datetime) -> None:
    endpoints = session.exec(select(Endpoint).where(col(Endpoint.enabled))).all()
    owed = [
        WebhookDelivery(endpoint_id=endpoint.id, event_id=event.id, body=body(event), due_at=now)
        for event in events
        for endpoint in endpoints
        if event.id is not None and _wants(endpoint, event)
    ]
    session.add_all(owed)
    if owed:
        doorbell.ring(session, doorbell.Bell.WEBHOOKS)


def _wants(endpoint: Endpoint, event: Event) -> bool:
    """An endpoint is not told of its own failures: it would owe itself one more for each."""
    of_its_own = event.about_id == endpoint.id and event.kind in {
        EventKind.WEBHOOK_EXHAUSTED,
        EventKind.ENDPOINT_DISABLED,
    }
    return not of_its_own and (not endpoint.kinds or event.kind.value in endpoint.kinds)
