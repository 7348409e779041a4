"""Webhooks: endpoints, and posting each event to them until it is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit
from uuid import UUID

import sqlalchemy as sa
from cryptography.fernet import InvalidToken
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from notifier.adapters.http import Answer, new_secret
from notifier.models import Endpoint, EventKind, ItemKind, WebhookDelivery, WebhookState
from notifier.rules.delivery_states import retry_after
from notifier.services import doorbell, events, holds, items
from notifier.services.desk import Desk
from notifier.services.outbox import MACHINE, database_now

JITTER = 0.2
_UNANSWERED = (
    col(WebhookDelivery.state) == WebhookState.WAITING,
    col(WebhookDelivery.attempt) > 0,
    col(WebhookDelivery.last_status).is_(None),
)


class BadEndpoint(ValueError):
    """An address that can never be posted to; the message says what to write."""


class NoSuchEndpoint(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such endpoint: `notifier webhooks list` shows them")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One webhook ready to be posted."""

    delivery_id: UUID
    message_id: str
    attempt: int
    url: str
    secret: str
    body: bytes


def add(
    session: Session, desk: Desk, *, url: str, kinds: Sequence[str], by: str, now: datetime
) -> tuple[Endpoint, str]:
    """Register an endpoint; returns it with its secret, which is shown this once."""
    if sentence := desk.http.check_url(url):
        raise BadEndpoint(sentence)
    unknown = sorted(set(kinds) - {kind.value for kind in EventKind})
    if unknown:
        raise BadEndpoint(f"no event is called {', '.join(unknown)}: `notifier webhooks kinds` lists them")
    secret = new_secret()
    endpoint = Endpoint(
        url=url,
        sealed_secret=desk.vault.encrypt(secret.encode()).decode(),
        kinds=list(kinds),
        created_at=now,
        created_by=by,
    )
    session.add(endpoint)
    session.flush()
    events.record(session, EventKind.ENDPOINT_ADDED, about=endpoint.id, by=by, now=now, host=urlsplit(url).hostname)
    return endpoint, secret


def everyone(session: Session) -> list[Endpoint]:
    return list(session.exec(select(Endpoint).order_by(col(Endpoint.created_at))))


def recent(session: Session, endpoint_id: UUID, *, limit: int = 20) -> list[WebhookDelivery]:
    """Return what an endpoint was last owed, newest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id)
    return list(session.exec(query.order_by(col(WebhookDelivery.event_id).desc()).limit(limit)))


def get(session: Session, endpoint_id: UUID) -> Endpoint:
    endpoint = session.get(Endpoint, endpoint_id)
    if endpoint is None:
        raise NoSuchEndpoint
    return endpoint


def test(session: Session, endpoint_id: UUID, *, by: str, now: datetime) -> None:
    """Raise a test event, which reaches the endpoint like any other."""
    endpoint = get(session, endpoint_id)
    events.record(session, EventKind.ENDPOINT_TESTED, about=endpoint.id, by=by, now=now)


def enable(session: Session, endpoint_id: UUID, *, enabled: bool, by: str, now: datetime, why: str = "") -> None:
    """Switch an endpoint on or off; what it missed while it was off is not sent."""
    endpoint = get(session, endpoint_id)
    endpoint.enabled, endpoint.disabled_why = enabled, why
    session.add(endpoint)
    items.close_items(session, ItemKind.ENDPOINT_FAILING, about=endpoint.id, by=by, now=now)
    if not enabled:
        events.record(session, EventKind.ENDPOINT_DISABLED, about=endpoint.id, by=by, now=now, why=why)
    doorbell.ring(session, doorbell.Bell.WEBHOOKS)


def claim(session: Session, desk: Desk, *, limit: int, now: datetime) -> list[Parcel]:
    """Take what is due under a lease.

    What is new for an endpoint that gave no answer waits until what was tried there has been taken: a dead one costs a
    time-out for each pause of the schedule, and not for each event, while the others wait for theirs.  Nothing is taken
    while sending is on hold.
    """
    if holds.is_held(session):
        return []
    is_new, is_silent = col(WebhookDelivery.attempt) == 0, col(WebhookDelivery.endpoint_id).in_(_silent())
    due = (
        select(WebhookDelivery, Endpoint)
        .join(Endpoint, col(Endpoint.id) == WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.state == WebhookState.WAITING, col(WebhookDelivery.due_at) <= now, col(Endpoint.enabled))
        .where(~sa.and_(is_new, is_silent))
        .order_by(col(WebhookDelivery.due_at), col(WebhookDelivery.event_id))
        .limit(limit)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    )
    lease_until = database_now(session) + desk.webhook_lease
    parcels = []
    for row, endpoint in session.exec(due).all():
        try:
            secret = desk.vault.decrypt(endpoint.sealed_secret.encode()).decode()
        except InvalidToken:
            _exhaust(session, row, now)  # sealed under a key that is gone: a person adds the endpoint anew
        else:
            parcels.append(_take(session, row, endpoint, secret, lease_until))
    return parcels


def settle(session: Session, desk: Desk, parcel: Parcel, answer: Answer, *, now: datetime) -> None:
    """Record what an endpoint answered: 2xx is taken, 410 switches it off, anything else is tried again by the
    schedule.
    """
    row = session.exec(select(WebhookDelivery).where(WebhookDelivery.id == parcel.delivery_id).with_for_update()).one()
    if row.state is not WebhookState.CLAIMED or row.attempt != parcel.attempt:
        return
    row.last_status, row.last_reason, row.lease_until = answer.status, answer.reason, None
    if answer.ok:
        row.state, row.delivered_at = WebhookState.DELIVERED, now
        if row.attempt > 1:
            _hear_again(session, row, now)
    elif row.attempt > len(desk.webhook_schedule):
        _exhaust(session, row, now)
    else:
        row.state, row.due_at = WebhookState.WAITING, now + _pause(desk, row, answer)
    session.add(row)
    if answer.status == HTTPStatus.GONE:
        row.state = WebhookState.EXHAUSTED
        enable(session, row.endpoint_id, enabled=False, by=MACHINE, now=now, why="it answered 410 Gone")
        items.open_item(session, ItemKind.ENDPOINT_FAILING, about=row.endpoint_id, announcement=None, now=now)


def expire_leases(session: Session) -> int:
    """Free what a dead worker held: a webhook may come twice, with the same id, and its receiver can tell."""
    query = select(WebhookDelivery).where(
        WebhookDelivery.state == WebhookState.CLAIMED, col(WebhookDelivery.lease_until) < database_now(session)
    )
    rows = session.exec(query.limit(500).with_for_update(skip_locked=True)).all()
    for row in rows:
        row.state, row.lease_until = WebhookState.WAITING, None
        session.add(row)
    if rows:
        doorbell.ring(session, doorbell.Bell.WEBHOOKS)
    return len(rows)


def _silent() -> SelectOfScalar[UUID]:
    """Select the endpoints that gave no answer, and where the same is tried again first."""
    in_flight = sa.and_(col(WebhookDelivery.state) == WebhookState.CLAIMED, col(WebhookDelivery.attempt) > 1)
    return select(WebhookDelivery.endpoint_id).where(sa.or_(sa.and_(*_UNANSWERED), in_flight)).distinct()


def _hear_again(session: Session, row: WebhookDelivery, now: datetime) -> None:
    """The endpoint answers: whatever waits for want of an answer is due now."""
    waiting = sa.update(WebhookDelivery).where(*_UNANSWERED, col(WebhookDelivery.endpoint_id) == row.endpoint_id)
    session.execute(waiting.where(col(WebhookDelivery.due_at) > now).values(due_at=now))
    doorbell.ring(session, doorbell.Bell.WEBHOOKS)


def _take(session: Session, row: WebhookDelivery, endpoint: Endpoint, secret: str, lease_until: datetime) -> Parcel:
    row.state, row.attempt, row.lease_until = WebhookState.CLAIMED, row.attempt + 1, lease_until
    session.add(row)
    return Parcel(
        delivery_id=row.id,
        message_id=row.message_id,
        attempt=row.attempt,
        url=endpoint.url,
        secret=secret,
        body=row.body.encode(),
    )


def _pause(desk: Desk, row: WebhookDelivery, answer: Answer) -> timedelta:
    """Return the schedule's pause with ±20 % of jitter, drawn from the row's id so that it needs no random state."""
    pause = retry_after(row.attempt, desk.webhook_schedule)
    drawn = hashlib.sha256(f"{row.id}{row.attempt}".encode()).digest()[0] / 255
    return max(pause * (1 - JITTER + 2 * JITTER * drawn), answer.retry_after or timedelta())


def _exhaust(session: Session, row: WebhookDelivery, now: datetime) -> None:
    row.state = WebhookState.EXHAUSTED
    session.add(row)
    items.open_item(session, ItemKind.ENDPOINT_FAILING, about=row.endpoint_id, announcement=None, now=now)
    events.record(session, EventKind.WEBHOOK_EXHAUSTED, about=row.endpoint_id, by=MACHINE, now=now, event=row.event_id)
