"""How far the mails of an announcement are, how fast they leave, and when the last one will have left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.sending import Verdict
from notifier.models import Attempt, Delivery
from notifier.models.base import first_uuid7
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.pace import Limits, last_leaves_at, pace_of
from notifier.rules.periods import zone
from notifier.services import holds, letters, provider

WINDOW = timedelta(minutes=5)  # "recently"
LOOKED_AT = 2000  # the newest mails that say how fast they leave
UNDER_WAY = (DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """When the last of some mails will have left, at a pace (mails a minute); None where nothing says how fast."""

    mails: int
    per_minute: float | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Counted:
    """The mails of an announcement in one state and lane."""

    state: DeliveryState
    lane: int
    mails: int
    since: datetime  # when the first was due
    due_at: datetime  # when the last is


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the mails of one announcement are.

    Of `total`, `left` have been taken by a relay, and `under_way` are still to leave; the others were refused, came
    back, or may have arrived.  `recent` left within `WINDOW`, as long as some have not.  Nothing is foretold of what a
    person has stopped (`is_held`), nor of what has been due for longer while nothing leaves (`is_stalled`).
    """

    total: int
    left: int
    under_way: int
    recent: int
    is_held: bool
    is_stalled: bool
    forecast: Forecast

    @property
    def have_all_left(self) -> bool:
        return 0 < self.total == self.left


def progress(
    session: Session,
    announcement_id: UUID,
    *,
    now: datetime,
    limits: Limits = NO_LIMITS,
    mails: Sequence[Counted] | None = None,
) -> Progress:
    """Return how far the notices of an announcement are, with what leaves before the last of them.  `mails`: as
    `counted` has said.
    """
    found = counted(session, announcement_id) if mails is None else mails
    under_way = [one for one in found if one.state in UNDER_WAY]
    recent = _recent(session, announcement_id, now - WINDOW) if under_way else 0
    is_held = bool(under_way) and (holds.is_held(session) or announcement_id in holds.paused(session))
    is_overdue = bool(under_way) and not recent and min(one.since for one in under_way) < now - WINDOW
    is_stalled = is_overdue and not _taken_since(session, now - WINDOW)
    foretold = Forecast(mails=sum(one.mails for one in under_way), per_minute=None, last_at=None)
    if under_way and not is_held and not is_stalled:
        foretold = _foretold(session, under_way, now=now, limits=limits)
    return Progress(
        total=sum(one.mails for one in found),
        left=sum(one.mails for one in found if one.state is DeliveryState.ACCEPTED),
        under_way=foretold.mails,
        recent=recent,
        is_held=is_held,
        is_stalled=is_stalled,
        forecast=foretold,
    )


def counted(session: Session, announcement_id: UUID) -> Sequence[Counted]:
    """Count the mails that tell of an announcement, less those that were dropped."""
    first, last = sa.func.min(col(Delivery.due_at)), sa.func.max(col(Delivery.due_at))
    query = (
        sa.select(col(Delivery.state), col(Delivery.lane), sa.func.count(), first, last)
        .where(col(Delivery.announcement_id) == announcement_id, col(Delivery.letter) == letters.NOTICE)
        .where(col(Delivery.state) != DeliveryState.DROPPED)
        .group_by(col(Delivery.state), col(Delivery.lane))
    )
    return [Counted(*row) for row in session.execute(query)]


def forecast(session: Session, mails: int, *, now: datetime, limits: Limits = NO_LIMITS) -> Forecast:
    """Return when the last of mails that are yet to be put in the outbox would have left, behind those there now."""
    return _forecast(session, mails, partial(_before, session, letters.BULK, now), more=mails, now=now, limits=limits)


def pace(session: Session) -> float | None:
    """Return how many mails a minute left when there last were many to send; None where too few have left to say.

    Receipts and alerts leave when somebody acts: they say nothing of how fast mails could.
    """
    newest = (
        select(Attempt.at)
        .join(Delivery, col(Delivery.id) == Attempt.delivery_id)
        .where(Attempt.verdict == Verdict.ACCEPTED, Delivery.lane > letters.URGENT)
        .order_by(col(Attempt.id).desc())
        .limit(LOOKED_AT)
    )
    return pace_of(session.exec(newest))


def _before(session: Session, lane: int, due_at: datetime) -> int:
    """Count what leaves no later than a mail of this lane that is due then: small and urgent lanes go first."""
    sooner = sa.or_(col(Delivery.lane) < lane, sa.and_(col(Delivery.lane) == lane, col(Delivery.due_at) <= due_at))
    query = sa.select(sa.func.count()).where(col(Delivery.state).in_(UNDER_WAY), sooner)
    number: int = session.execute(query).scalar_one()
    return number


def _foretold(session: Session, under_way: Sequence[Counted], *, now: datetime, limits: Limits) -> Forecast:
    """Return when the last of these leaves; what a relay has put off leaves no sooner than at its next attempt."""
    mails, lane = sum(one.mails for one in under_way), max(one.lane for one in under_way)
    due_at = max(one.due_at for one in under_way)
    found = _forecast(session, mails, partial(_before, session, lane, due_at), now=now, limits=limits)
    return replace(found, last_at=max(found.last_at, due_at)) if found.last_at else found


def _forecast(
    session: Session, mails: int, ahead: Callable[[], int], *, now: datetime, limits: Limits, more: int = 0
) -> Forecast:
    """`ahead` and `more`: how many must leave until the last of `mails` has, itself among them."""
    seen = [one for one in (pace(session), limits.per_minute) if one]
    if not seen and not limits.per_day:
        return Forecast(mails=mails, per_minute=None, last_at=None)
    per_minute, tz = min(seen, default=None), zone(provider.get(session).timezone)
    midnight = datetime.combine(now.astimezone(tz).date(), time(), tzinfo=tz)
    sent_today = _taken_since(session, midnight) if limits.per_day else 0
    before = ahead() + more
    last_at = last_leaves_at(now, before, per_minute=per_minute, per_day=limits.per_day, sent_today=sent_today, tz=tz)
    return Forecast(mails=mails, per_minute=per_minute, last_at=last_at)


def _recent(session: Session, announcement_id: UUID, since: datetime) -> int:
    """Look at what was attempted since, whatever the announcement has sent before."""
    of_it = (col(Delivery.announcement_id) == announcement_id, col(Delivery.letter) == letters.NOTICE)
    told = sa.select(col(Delivery.id)).where(col(Delivery.id) == Attempt.delivery_id, *of_it).exists()
    taken = (col(Attempt.at) > since, col(Attempt.verdict) == Verdict.ACCEPTED)
    query = sa.select(sa.func.count()).where(col(Attempt.id) >= first_uuid7(since), *taken, told)
    number: int = session.execute(query).scalar_one()
    return number


def _taken_since(session: Session, instant: datetime) -> int:
    query = sa.select(sa.func.count()).where(
        col(Attempt.id) >= first_uuid7(instant), col(Attempt.at) >= instant, col(Attempt.verdict) == Verdict.ACCEPTED
    )
    number: int = session.execute(query).scalar_one()
    return number
