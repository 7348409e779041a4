"""The instance's vital signs, counted in the database: whoever asks any of its processes is told the same.

Each is a query along an index, over what waits, what is open, or what happened within minutes: what has been done costs
nothing, however much it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.sending import Verdict
from notifier.models import (
    Announcement,
    AnnouncementState,
    Attempt,
    BounceMail,
    Delivery,
    Endpoint,
    Event,
    Item,
    Notice,
    WebhookDelivery,
    WebhookState,
)
from notifier.models.base import first_uuid7
from notifier.rules.bounces import BounceKind
from notifier.rules.delivery_states import DeliveryState
from notifier.services import holds, letters, stamps
from notifier.services.desk import Desk

LATELY = timedelta(minutes=15)
A_DAY = timedelta(days=1)
LATEST = timedelta(hours=1)  # by when an attempt was begun at the latest that is answered now (mail.lease_seconds)
ANSWERED = (Verdict.ACCEPTED, Verdict.DEFERRED, Verdict.REFUSED)
LANES = (letters.URGENT, letters.BULK, letters.NEWS_LANE)


@dataclass(frozen=True, slots=True)
class Queue:
    """How many things wait, and since when the oldest does."""

    number: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """Of the present instant.  `retrying` are mails that wait for their next attempt; `relays` what each relay answered
    within `LATELY`, by relay and verdict; `notices` those of announcements under way.
    """

    due: Mapping[int, Queue]  # by lane
    retrying: int
    in_hand: Mapping[str, int]
    unknown: Queue
    is_held: bool
    relays: Mapping[tuple[str, str], int]
    bounces: Mapping[str, int]  # within a day
    webhooks: Queue
    endpoints: Mapping[bool, int]  # by whether they are switched on
    items: Mapping[str, Queue]
    notices: Mapping[str, int]
    events: int  # the highest number of one


@dataclass(frozen=True, slots=True)
class Answers:
    """What relays have answered: rounds, and mails by verdict and reply code (0: the relay was not reached)."""

    rounds: int
    mails: Mapping[tuple[str, int], int]


def vitals(session: Session, desk: Desk, *, now: datetime) -> Vitals:
    return Vitals(
        due=_due(session, now),
        retrying=_number(
            session, col(Delivery.id), col(Delivery.state) == DeliveryState.WAITING, col(Delivery.due_at) > now
        ),
        in_hand=_in_hand(session),
        unknown=_unknown(session),
        is_held=holds.is_held(session),
        relays=_relays(session, now),
        bounces=_bounces(session, now),
        webhooks=_webhooks(session, now),
        endpoints=_by(session, col(Endpoint.enabled)),
        items=_items(session),
        notices=_notices(session, desk),
        events=session.execute(sa.select(sa.func.max(col(Event.id)))).scalar_one() or 0,
    )


def answers(session: Session, *, since: datetime | None, until: datetime | None) -> Answers:
    """Count what relays have answered from an instant on, and before another one; None: from the first, to the last.

    A mail whose fate is unknown has not been answered.
    """
    within = [col(Attempt.verdict).in_(ANSWERED), col(Attempt.peer) != ""]
    within += [col(Attempt.id) >= first_uuid7(since - LATEST), col(Attempt.at) >= since] if since else []
    within += [col(Attempt.at) < until] if until else []
    code = sa.func.coalesce(col(Attempt.code), 0)
    by_answer = (
        sa.select(col(Attempt.verdict), code, sa.func.count()).where(*within).group_by(col(Attempt.verdict), code)
    )
    rounds = sa.select(sa.func.count(sa.distinct(col(Attempt.at)))).where(*within)  # all mails of one have one instant
    return Answers(
        rounds=session.execute(rounds).scalar_one(),
        mails={(verdict, code): number for verdict, code, number in session.execute(by_answer)},
    )


def _due(session: Session, now: datetime) -> Mapping[int, Queue]:
    query = (
        sa.select(col(Delivery.lane), sa.func.count(), sa.func.min(col(Delivery.due_at)))
        .where(col(Delivery.state) == DeliveryState.WAITING, col(Delivery.due_at) <= now)
        .group_by(col(Delivery.lane))
    )
    found = {lane: Queue(number, since) for lane, number, since in session.execute(query)}
    return {lane: found.get(lane, Queue()) for lane in sorted({*LANES, *found})}


def _in_hand(session: Session) -> Mapping[str, int]:
    held = (DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)
    found = _by(session, col(Delivery.state), col(Delivery.state).in_(held))
    return {state.value: found.get(state, 0) for state in held}


def _unknown(session: Session) -> Queue:
    """What became unknown without an attempt (a restored copy) is as old as its mail."""
    last = sa.and_(col(Attempt.delivery_id) == Delivery.id, col(Attempt.number) == Delivery.attempt)
    since = sa.func.min(sa.func.coalesce(col(Attempt.at), col(Delivery.created_at)))
    query = sa.select(sa.func.count(), since).select_from(sa.outerjoin(Delivery, Attempt, last))
    return Queue(*session.execute(query.where(col(Delivery.state) == DeliveryState.UNKNOWN)).one())


def _relays(session: Session, now: datetime) -> Mapping[tuple[str, str], int]:
    since = now - LATELY
    query = (
        sa.select(col(Attempt.peer), col(Attempt.verdict), sa.func.count())
        .where(col(Attempt.id) >= first_uuid7(since - LATEST), col(Attempt.at) >= since, col(Attempt.peer) != "")
        .group_by(col(Attempt.peer), col(Attempt.verdict))
    )
    return {(peer, verdict): number for peer, verdict, number in session.execute(query)}


def _bounces(session: Session, now: datetime) -> Mapping[str, int]:
    found = _by(session, col(BounceMail.kind), col(BounceMail.received_at) >= now - A_DAY)
    return {kind.value: found.get(kind, 0) for kind in BounceKind}


def _webhooks(session: Session, now: datetime) -> Queue:
    query = sa.select(sa.func.count(), sa.func.min(col(WebhookDelivery.due_at)))
    due = (col(WebhookDelivery.state) == WebhookState.WAITING, col(WebhookDelivery.due_at) <= now)
    return Queue(*session.execute(query.where(*due)).one())


def _items(session: Session) -> Mapping[str, Queue]:
    query = sa.select(col(Item.kind), sa.func.count(), sa.func.min(col(Item.opened_at)))
    found = session.execute(query.where(col(Item.open).is_(True)).group_by(col(Item.kind)))
    return {kind.value: Queue(number, since) for kind, number, since in found}


def _notices(session: Session, desk: Desk) -> Mapping[str, int]:
    """They are as many as the clients: counted again only after something has happened to one."""
    under_way = session.exec(select(Announcement.id).where(Announcement.state == AnnouncementState.PUBLISHED)).all()
    seen = stamps.stamps(session, under_way)
    known = tuple(sorted((one.hex, seen[one]) for one in under_way if one in seen))
    return stamps.kept(
        desk,
        "notices under way",
        known if len(known) == len(under_way) else None,
        lambda: {
            state.value: number
            for state, number in _by(session, col(Notice.state), col(Notice.announcement_id).in_(under_way)).items()
        },
    )


def _by(session: Session, column: Any, *conditions: sa.ColumnElement[bool]) -> dict[Any, int]:  # noqa: ANN401 - a column
    """Count rows by the value of a column."""
    query = sa.select(column, sa.func.count()).where(*conditions).group_by(column)
    return {row[0]: row[1] for row in session.execute(query)}


def _number(session: Session, column: Any, *conditions: sa.ColumnElement[bool]) -> int:  # noqa: ANN401 - as _by
    number: int = session.execute(sa.select(sa.func.count(column)).where(*conditions)).scalar_one()
    return number
