"""Tallies: how many clients of an announcement stand where, counted by the database; what pages show of the whole.

Nothing is decided by one: whatever opens a gate looks at every client, under a lock (boards.board, going_live).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Announcement, AnnouncementState, Client, Delivery, Notice, Sealed, Terms
from notifier.models.notice import CONCERNS_NO_MORE
from notifier.models.stamp import CLIENTS
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Gate, Standing, Waits, gate, gate_of_all
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.notice_states import NoticeState
from notifier.rules.scope import Scope
from notifier.rules.terms import Channel
from notifier.services import boards, letters, pace, stamps
from notifier.services.boards import NOT_TOLD, STATUSES, TOLD_STATES, Concern, Fact
from notifier.services.desk import Desk
from notifier.services.notices import IN_FLIGHT, waits_of
from notifier.services.rows import these

SHOWN = 100  # of the clients who have not been told
NAMED = 3  # of what mail servers said
ROWS_AT_ONCE = 5000
NO_MATTER = datetime.min.replace(tzinfo=UTC)  # until when a client holds that holds nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many clients of an announcement stand where, and how far its mails are.  True of any instant, until something
    happens.
    """

    counts: Mapping[str, int]  # by status
    sent: int
    live: int
    standings: Mapping[Standing, int]  # how many stand alike
    waits: frozenset[Waits]
    mails: Sequence[pace.Counted]
    trouble: Sequence[tuple[str, int]]  # what mail servers said last to mails that have not been taken, and to how many

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def in_flight(self) -> int:
        return sum(one.mails for one in self.mails if one.state in IN_FLIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """Who is concerned today and was told of nothing, or of less than concerns it.

    `standings` counts the others, who were told enough; None where those are all who have a notice.
    """

    number: int = 0
    companies: Sequence[str] = ()  # the first of them
    of_less: int = 0  # of those with a notice
    standings: Mapping[Standing, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What the gate of a whole announcement follows from."""

    tally: Tally
    untold: Untold
    is_heard: bool

    def gate(self, now: datetime) -> Gate:
        holds = self.untold.of_less or (self.untold.number and (self.is_heard or not self.waits_for_nobody))
        return gate_of_all([*(gate(one, now) for one in self._standings), *([NOT_TOLD] if holds else [])])

    def open_now(self, now: datetime) -> int:
        """Return how many clients wait for the change, and hold it no more."""
        waiting = (one for one in self._standings if not one.excluded)
        return sum(self._standings[one] for one in waiting if gate(one, now).is_open)

    @property
    def waits_for_nobody(self) -> bool:
        return self.tally.waits == {Waits.NOTHING}

    @property
    def _standings(self) -> Mapping[Standing, int]:
        return self.tally.standings if self.untold.standings is None else self.untold.standings


def tally(session: Session, desk: Desk, announcement_id: UUID) -> Tally:
    return tallies(session, desk, [announcement_id])[announcement_id]


def tallies(session: Session, desk: Desk, announcement_ids: Sequence[UUID]) -> Mapping[UUID, Tally]:
    """Return the tallies of several announcements."""
    seen = stamps.stamps(session, announcement_ids)
    return {one: _kept(session, desk, one, seen.get(one)) for one in announcement_ids}


def whole(session: Session, desk: Desk, announcement: Announcement, *, now: datetime) -> Whole:
    """Return what the gate of the whole follows from today."""
    today, seen = boards.today_of(session, now), stamps.stamps(session, [announcement.id])
    told, clients = seen.get(announcement.id), seen.get(CLIENTS)
    both = None if told is None or clients is None else (told, clients, today)
    found = stamps.kept(desk, ("whole", announcement.id), both, partial(_whole, session, announcement, today))
    stamps.keep(desk, ("tally", announcement.id), told, found.tally)
    return found


def waiting(session: Session, announcement_id: UUID) -> int:
    """Return how many mails of an announcement, of every letter, have not been taken up: counted now, since workers
    take them up and put them back without a stamp.
    """
    of_it = (col(Delivery.announcement_id) == announcement_id, col(Delivery.state) == DeliveryState.WAITING)
    number: int = session.execute(sa.select(sa.func.count()).where(*of_it)).scalar_one()
    return number


def _kept(session: Session, desk: Desk, announcement_id: UUID, seen: int | None) -> Tally:
    return stamps.kept(desk, ("tally", announcement_id), seen, partial(_tally, session, announcement_id))


def _whole(session: Session, announcement: Announcement, today: date) -> Whole:
    """Both are counted anew, in this order: a client that is told meanwhile is counted twice, and not never."""
    untold = _untold(session, announcement, today)
    return Whole(tally=_tally(session, announcement.id), untold=untold, is_heard=boards.is_heard(announcement))


def _tally(session: Session, announcement_id: UUID) -> Tally:
    groups = _groups(session, announcement_id)
    by_status = Counter[str]()
    for one in groups:
        by_status[one.status] += one.clients
    return Tally(
        counts={status: by_status[status] for status in STATUSES},
        sent=sum(one.clients for one in groups if one.state in TOLD_STATES),
        live=sum(one.clients for one in groups if one.is_live),
        standings=_alike(groups),
        waits=frozenset(one.waits for one in groups),
        mails=pace.counted(session, announcement_id),
        trouble=_trouble(session, announcement_id),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Clients of whom all of this is the same."""

    state: NoticeState
    channel: Channel
    holds_until: datetime | None  # None: nothing waits for them any more
    is_live: bool
    facts: Fact
    status: str
    waits: Waits
    clients: int

    @property
    def standing(self) -> Standing:
        if self.holds_until is None:
            return Standing(state=NoticeState.RUNNING, holds_until=NO_MATTER, waits=self.waits, excluded=True)
        return Standing(
            state=self.state,
            holds_until=self.holds_until,
            waits=self.waits,
            objections=Fact.OBJECTED in self.facts,
            terminations=Fact.TERMINATED in self.facts,
            consents=Fact.AGREED in self.facts,
            refusals=Fact.REFUSED in self.facts,
            replies=Fact.REPLY in self.facts,
            unknown=Fact.UNKNOWN in self.facts and self.channel is Channel.MAIL,
        )


def _groups(session: Session, announcement_id: UUID, *, but: Collection[UUID] = ()) -> list[_Group]:
    """Count those who stand alike, leaving out some clients."""
    stand = boards.standings(announcement_id).subquery()
    table = stand.c
    settled = sa.or_(table.is_excluded, table.is_live)
    same = {
        "sealed_id": table.sealed_id,
        "state": table.state,
        "channel": table.channel,
        "holds_until": sa.type_coerce(sa.case((settled, sa.null()), else_=table.holds_until), table.holds_until.type),
        "is_live": table.is_live,
        "facts": table.facts,
        "status": table.status,
    }
    query = sa.select(*(column.label(name) for name, column in same.items()), sa.func.count().label("clients"))
    query = query.group_by(*same.values())
    if but:
        query = query.where(table.client_id.not_in(these(session, but)))
    waits = _waits(session, announcement_id)
    return [
        _Group(
            state=row.state,
            channel=row.channel,
            holds_until=row.holds_until,
            is_live=bool(row.is_live),
            facts=Fact(row.facts),
            status=row.status,
            waits=waits[row.sealed_id],
            clients=row.clients,
        )
        for row in session.execute(query)
    ]


def _alike(groups: Sequence[_Group]) -> Mapping[Standing, int]:
    found = Counter[Standing]()
    for one in groups:
        found[one.standing] += one.clients
    return found


def _waits(session: Session, announcement_id: UUID) -> Mapping[UUID, Waits]:
    """Return what the change waits for under each rule that was sealed for it."""
    query = select(Sealed, Announcement.kind).join(Announcement, col(Announcement.id) == Sealed.announcement_id)
    found = session.exec(query.where(Sealed.announcement_id == announcement_id))
    return {sealed.id: waits_of(AnnouncementKind(kind), sealed.counted) for sealed, kind in found}


def _trouble(session: Session, announcement_id: UUID) -> list[tuple[str, int]]:
    reply, number = col(Delivery.last_reply), sa.func.count()
    query = (
        sa.select(reply, number)
        .where(col(Delivery.announcement_id) == announcement_id, col(Delivery.letter) == letters.NOTICE)
        .where(col(Delivery.state).in_(IN_FLIGHT), reply != "")
        .group_by(reply)
        .order_by(number.desc(), reply)
        .limit(NAMED)
    )
    return [(said, mails) for said, mails in session.execute(query)]


def _untold(session: Session, announcement: Announcement, today: date) -> Untold:
    """Look at every client under contract; once the change is live, that is no longer asked.

    Those who have the same of ours and were told the same are asked about once, and nearly always none is untold.
    """
    if announcement.state is not AnnouncementState.PUBLISHED:
        return Untold()
    concern = Concern.of(session, announcement)
    alike = session.execute(_held(announcement, today).distinct()).all()
    untold = {tuple(one) for one in alike if _is_untold(concern, *one)}
    if not untold:
        return Untold()
    every = _held(announcement, today, col(Client.id), col(Client.company))
    every = every.order_by(col(Client.filed_as), col(Client.key)).execution_options(yield_per=ROWS_AT_ONCE)
    number, companies, of_less = 0, list[str](), set[UUID]()
    for client_id, company, *stands in session.execute(every):
        if tuple(stands) in untold:
            number += 1
            companies += [company] if number <= SHOWN else []
            of_less |= {client_id} if stands[3] else set()
    others = _alike(_groups(session, announcement.id, but=of_less)) if of_less else None
    return Untold(number=number, companies=companies, of_less=len(of_less), standings=others)


def _held(announcement: Announcement, today: date, *shown: Any) -> sa.Select[Any]:  # noqa: ANN401 - columns
    """Clients under contract: what they have of ours, as it is written, and what their notice told them, if any."""
    theirs = sa.and_(col(Notice.client_id) == col(Client.id), col(Notice.announcement_id) == announcement.id)
    terms = select(Terms.id).where(Terms.client_id == Client.id, col(Terms.signed_on) <= today)
    return (
        sa.select(
            *shown,
            *(sa.cast(column, sa.Text) for column in (col(Client.services), col(Client.regions), col(Client.options))),
            col(Notice.sealed_id),
            sa.or_(col(Notice.live_at).is_not(None), col(Notice.excluded_at).is_not(None)),
            sa.and_(col(Notice.excluded_at).is_not(None), col(Notice.excluded_why) == CONCERNS_NO_MORE),
        )
        .select_from(sa.outerjoin(Client, Notice, theirs))
        .where(terms.where(col(Terms.replaced_at).is_(None)).exists())
    )


def _is_untold(
    concern: Concern,
    services: str,
    regions: str,
    options: str,
    sealed_id: UUID | None,
    is_settled: bool,  # noqa: FBT001 - as above
    is_left_out: bool,  # noqa: FBT001 - as above
) -> bool:
    has = [tuple(json.loads(written)) for written in (services, regions, options)]
    told = concern.told(sealed_id, is_settled=is_settled) if sealed_id and not is_left_out else None
    return concern.is_untold(Scope(services=has[0], regions=has[1], options=has[2]), told)
