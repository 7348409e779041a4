"""The board of an announcement: where each of its clients stands, and who should have been told and was not.

`board` looks at every client, for whatever decides; a page shows a part of it (`page`), and what stands in `tallies` of
the whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import IntFlag
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementState,
    Answer,
    AnswerKind,
    Client,
    Delivery,
    DeliveryNotice,
    Item,
    ItemKind,
    Notice,
    Sealed,
)
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Gate, Hold, Standing, Waits, gate, gate_of_all
from notifier.rules.kinds import OF_THE_REGISTRY, AnnouncementKind
from notifier.rules.notice_states import NoticeState
from notifier.rules.periods import local_day, zone
from notifier.rules.registry_diff import LISTING, Change, from_json
from notifier.rules.scope import Scope
from notifier.rules.terms import Channel, Rule
from notifier.services import clients, keyset, letters, provider
from notifier.services.affected import Subject
from notifier.services.keyset import Place
from notifier.services.notices import IN_FLIGHT, RECKONED, NoSuchNotice, waits_of
from notifier.services.rows import table_of

NOT_TOLD = Gate(holds=(Hold.NOT_TOLD,), opens_at=None)
TOLD_STATES = frozenset({NoticeState.RUNNING, NoticeState.LAPSED})
FEW = 1000  # clients that are looked at whole, and sorted, rather than walked past in their order
RARE = 20  # a status that fewer than one client in so many has


@dataclass(frozen=True, slots=True)
class Row:
    """Where one client stands."""

    notice: Notice
    client: Client
    deliveries: tuple[Delivery, ...]
    answers: tuple[Answer, ...]
    unknown: int  # mails that may or may not have arrived, to contacts whom no other mail has reached
    waits: Waits
    gate: Gate

    @property
    def status(self) -> str:
        """The one word of the board for this client; what needs a person comes before what does not."""
        kinds = {answer.kind for answer in self.answers if answer.standing}
        ladder = {
            "excluded": self.notice.excluded_at is not None,
            "terminated": AnswerKind.TERMINATION in kinds,
            "refused": AnswerKind.REFUSAL in kinds,
            "objected": AnswerKind.OBJECTION in kinds,
            "unreached": self.notice.state is NoticeState.UNREACHED,
            "unknown": self.unknown > 0,
            "consented": AnswerKind.CONSENT in kinds,
            "confirmed": AnswerKind.CONFIRMATION in kinds,
            "acknowledged": AnswerKind.ACKNOWLEDGEMENT in kinds,
            "sending": self.notice.state is NoticeState.RAISED,
        }
        return next((word for word, true in ladder.items() if true), "silent")

    @property
    def is_settled(self) -> bool:
        """Say whether the change has been made for this client, or is not made for it."""
        return _is_settled(self.notice)


STATUSES = (
    "acknowledged",
    "consented",
    "confirmed",
    "objected",
    "refused",
    "terminated",
    "silent",
    "unreached",
    "unknown",
    "sending",
    "excluded",
)


class Fact(IntFlag):
    """What is known of a client besides its notice; the weightier of two decides its status."""

    REPLY = 1  # that nobody has read
    AGREED = 2  # to what is told now, by a person
    ACKNOWLEDGED = 4
    CONFIRMED = 8
    CONSENTED = 16
    UNKNOWN = 32  # a mail may or may not have arrived
    OBJECTED = 64
    REFUSED = 128
    TERMINATED = 256


ANSWERED: Mapping[AnswerKind, Fact] = MappingProxyType(
    {
        AnswerKind.ACKNOWLEDGEMENT: Fact.ACKNOWLEDGED,
        AnswerKind.CONFIRMATION: Fact.CONFIRMED,
        AnswerKind.CONSENT: Fact.CONSENTED,
        AnswerKind.OBJECTION: Fact.OBJECTED,
        AnswerKind.REFUSAL: Fact.REFUSED,
        AnswerKind.TERMINATION: Fact.TERMINATED,
    }
)
OF_A_FACT = frozenset(fact.name.lower() for fact in ANSWERED.values() if fact.name) | {"unknown"}  # statuses


@dataclass(frozen=True, slots=True)
class Board:
    """The board of one announcement: every client, and how many stand where."""

    rows: tuple[Row, ...]
    untold: tuple[Client, ...]  # concerned now, and not told of this announcement, or of less than concerns them
    counts: Mapping[str, int]
    gate: Gate
    sent: int
    in_flight: int


def board(session: Session, announcement_id: UUID, *, now: datetime) -> Board:
    """Return where every client of an announcement stands, and who should have been told and was not."""
    rows = _rows(session, Notice.announcement_id == announcement_id, now=now)
    announcement = session.exec(select(Announcement).where(Announcement.id == announcement_id)).one()
    untold = _untold(session, announcement, rows, now=now)
    rows = _told_of_less(rows, {client.id for client in untold})
    counts = Counter(row.status for row in rows)
    waits = not rows or any(row.waits is not Waits.NOTHING for row in rows) or is_heard(announcement)
    mails = {delivery.id: delivery for row in rows for delivery in row.deliveries}
    return Board(
        rows=rows,
        untold=untold,
        counts={status: counts[status] for status in STATUSES},
        gate=gate_of_all([*(row.gate for row in rows), *(NOT_TOLD for _ in untold[:1] if waits)]),
        sent=sum(row.notice.state in TOLD_STATES for row in rows),
        in_flight=sum(delivery.state in IN_FLIGHT for delivery in mails.values()),
    )


def row(session: Session, notice_id: UUID, *, now: datetime) -> Row:
    """Return where one client stands."""
    found = _rows(session, Notice.id == notice_id, now=now)
    if not found:
        raise NoSuchNotice
    return found[0]


# --- a part of it ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some clients of a board, and where those before and after them are asked for: client ids (keyset.Slice)."""

    rows: tuple[Row, ...]
    before: UUID | None
    after: UUID | None


def page(
    session: Session,
    announcement: Announcement,
    counts: Mapping[str, int],
    *,
    now: datetime,
    status: str = "",
    after: UUID | None = None,
    before: UUID | None = None,
) -> Page:
    """Return the clients of an announcement that follow or precede one in the order of the list; those with a status,
    or all.

    `counts` says how many have which: where they are many, the list is walked in its order to where the page is full;
    where they are few, they are found first, and sorted.
    """
    total = sum(counts.values())
    number = counts.get(status, 0) if status else total
    if not number:
        return Page(rows=(), before=None, after=None)
    if number <= FEW or number * RARE < total:
        found = keyset.cut(session, _sorted(session, announcement.id, status), after=after, before=before)
    elif status:
        found = keyset.cut(session, _walked(session, announcement.id, status, now), after=after, before=before)
    else:
        found = keyset.cut(session, keyset.finding(session, _in_order(announcement.id)), after=after, before=before)
    rows = _rows_of(session, announcement.id, found.ids, now=now)
    return Page(rows=_marked(session, announcement, rows, now=now), before=found.before, after=found.after)


def to_settle(
    session: Session, announcement: Announcement, counts: Mapping[str, int], *, now: datetime
) -> tuple[Row, ...]:
    """Return the clients who have said something that keeps the gate closed; no more than a page of them."""
    if not any(counts[status] for status in ("objected", "terminated", "refused")):
        return ()
    spoken = [AnswerKind.OBJECTION, AnswerKind.TERMINATION, AnswerKind.REFUSAL]
    said = select(Answer.notice_id).where(col(Answer.kind).in_(spoken), col(Answer.standing).is_(True))
    query = select(Client.id).join(Notice, col(Notice.client_id) == Client.id)
    query = query.where(Notice.announcement_id == announcement.id, col(Notice.id).in_(said))
    query = query.where(col(Notice.live_at).is_(None), col(Notice.excluded_at).is_(None))
    found = keyset.cut(session, keyset.finding(session, query))
    rows = _marked(session, announcement, _rows_of(session, announcement.id, found.ids, now=now), now=now)
    return tuple(row for row in rows if not row.gate.is_open)


def _in_order(announcement_id: UUID) -> Any:  # noqa: ANN401 - a query
    """The clients of an announcement, asked for so that a database walks the list and stops where a page is full: it
    cannot make a join of this.
    """
    told = select(Notice.id).where(Notice.announcement_id == announcement_id, Notice.client_id == Client.id)
    return select(Client.id).where(told.scalar_subquery().is_not(None))


def _sorted(session: Session, announcement_id: UUID, status: str) -> keyset.Find:
    query = select(Client.id).join(Notice, col(Notice.client_id) == Client.id)
    query = query.where(Notice.announcement_id == announcement_id)
    if status:
        stand = standings(announcement_id, outer=status not in OF_A_FACT).subquery()
        query = query.where(col(Notice.id).in_(sa.select(stand.c.notice_id).where(stand.c.status == status)))
    return keyset.finding(session, query)


def _walked(session: Session, announcement_id: UUID, status: str, now: datetime) -> keyset.Find:
    find = keyset.finding(session, _in_order(announcement_id))

    def walk(past: Place | None, backwards: bool, limit: int) -> list[UUID]:  # noqa: FBT001 - as keyset.Find
        found: list[UUID] = []
        while len(found) < limit and (ids := find(past, backwards, limit)):
            stand = {row.client.id: row.status for row in _rows_of(session, announcement_id, ids, now=now)}
            found += [one for one in ids if stand[one] == status]
            past = keyset.place_of(session, ids[-1])
        return found[:limit]

    return walk


def _rows_of(session: Session, announcement_id: UUID, ids: Sequence[UUID], *, now: datetime) -> tuple[Row, ...]:
    those = sa.and_(col(Notice.announcement_id) == announcement_id, col(Notice.client_id).in_(ids))
    return _rows(session, those, now=now)


def _marked(session: Session, announcement: Announcement, rows: tuple[Row, ...], *, now: datetime) -> tuple[Row, ...]:
    """Say of some clients, as of a whole board, which have been told of less than concerns them now."""
    if announcement.state is not AnnouncementState.PUBLISHED or not rows:
        return rows
    concern = Concern.of(session, announcement)
    held = clients.under_contract_of(session, [row.client.id for row in rows], today_of(session, now))
    less = {row.client.id for row in rows if concern.is_untold(row.client.scope, concern.told_by(row.notice))}
    return _told_of_less(rows, less & held)


def _told_of_less(rows: tuple[Row, ...], less: Collection[UUID]) -> tuple[Row, ...]:
    return tuple(replace(row, gate=NOT_TOLD) if row.client.id in less else row for row in rows)


# --- by the set ------------------------------------------------------------------------------------------------------


def standings(announcement_id: UUID, *, outer: bool = True) -> sa.Select[Any]:
    """Where each client of an announcement stands now, as a table: what `_row` says of one, said by the database.

    `facts` is the sum of what is known (Fact); `status` the word of Row.status.  Without `outer`, only those of whom
    anything is known besides the notice.
    """
    known = _facts(announcement_id).subquery()
    facts = sa.func.coalesce(known.c.facts, 0)
    is_excluded, state = col(Notice.excluded_at).is_not(None), col(Notice.state)
    status = sa.case(
        (is_excluded, "excluded"),
        (facts >= Fact.TERMINATED.value, "terminated"),
        (facts >= Fact.REFUSED.value, "refused"),
        (facts >= Fact.OBJECTED.value, "objected"),
        (state == NoticeState.UNREACHED, "unreached"),
        (facts >= Fact.UNKNOWN.value, "unknown"),
        (facts >= Fact.CONSENTED.value, "consented"),
        (facts >= Fact.CONFIRMED.value, "confirmed"),
        (facts >= Fact.ACKNOWLEDGED.value, "acknowledged"),
        (state == NoticeState.RAISED, "sending"),
        else_="silent",
    )
    return (
        sa.select(
            col(Notice.id).label("notice_id"),
            col(Notice.client_id),
            col(Notice.sealed_id),
            state,
            col(Notice.channel),
            col(Notice.holds_until),
            is_excluded.label("is_excluded"),
            col(Notice.live_at).is_not(None).label("is_live"),
            facts.label("facts"),
            status.label("status"),
        )
        .select_from(sa.join(Notice, known, known.c.notice_id == Notice.id, isouter=outer))
        .where(col(Notice.announcement_id) == announcement_id)
    )


def _facts(announcement_id: UUID) -> sa.Select[Any]:
    """The sum of the facts about each client of whom there are any."""
    of_it = col(Notice.announcement_id) == announcement_id
    answered = sa.join(Answer, Notice, col(Notice.id) == Answer.notice_id)
    standing = sa.and_(of_it, col(Answer.standing).is_(True))
    kinds = sa.case({kind: fact.value for kind, fact in ANSWERED.items()}, value=col(Answer.kind))
    agrees = sa.and_(
        standing,
        col(Answer.kind) == AnswerKind.CONSENT,
        col(Answer.machine_like).is_(False),
        col(Answer.edition) == col(Notice.edition),
    )
    replied = sa.join(Item, Notice, col(Notice.id) == Item.about_id)
    unread = sa.and_(of_it, col(Item.kind) == ItemKind.UNREAD_REPLY, col(Item.open).is_(True))
    found = sa.union(
        sa.select(col(Answer.notice_id).label("notice_id"), kinds.label("fact")).select_from(answered).where(standing),
        sa.select(col(Answer.notice_id), sa.literal(Fact.AGREED.value)).select_from(answered).where(agrees),
        sa.select(col(Notice.id), sa.literal(Fact.REPLY.value)).select_from(replied).where(unread),
        _doubted(announcement_id),
    ).subquery()
    return sa.select(found.c.notice_id, sa.func.sum(found.c.fact).label("facts")).group_by(found.c.notice_id)


def _doubted(announcement_id: UUID) -> sa.Select[UUID, int]:
    """The clients with a contact to whom a mail may or may not have arrived, and whom no other one has reached."""
    link, mail = table_of(DeliveryNotice).alias().c, table_of(Delivery).alias().c
    reached = (
        sa.select(link.notice_id)
        .where(mail.id == link.delivery_id, link.notice_id == col(DeliveryNotice.notice_id))
        .where(link.contact_id.is_not_distinct_from(DeliveryNotice.contact_id))
        .where(mail.letter == letters.NOTICE, mail.state == DeliveryState.ACCEPTED)
    )
    carried = sa.join(Delivery, DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
    return (
        sa.select(col(Notice.id), sa.literal(Fact.UNKNOWN.value))
        .select_from(sa.join(carried, Notice, col(Notice.id) == DeliveryNotice.notice_id))
        .where(col(Notice.announcement_id) == announcement_id)
        .where(col(Notice.received_how).in_(["", *RECKONED]))  # what a person recorded, no mail puts in doubt
        .where(col(Delivery.letter) == letters.NOTICE, col(Delivery.state) == DeliveryState.UNKNOWN)
        .where(~reached.exists())
    )


# --- client by client ------------------------------------------------------------------------------------------------


def _rows(session: Session, which: Any, *, now: datetime) -> tuple[Row, ...]:  # noqa: ANN401 - a condition on Notice
    found = session.exec(
        select(Notice, Client, Announcement.kind)
        .join(Client, col(Client.id) == Notice.client_id)
        .join(Announcement, col(Announcement.id) == Notice.announcement_id)
        .where(which)
        .order_by(col(Client.filed_as), col(Client.key))
    ).all()
    carried, answers, replies = _carried(session, which), _answers(session, which), _replies(session, which, now)
    rules = _rules(session, {notice.sealed_id for notice, _, _ in found})
    return tuple(
        _row(
            notice,
            client,
            waits_of(AnnouncementKind(kind), rules[notice.sealed_id]),
            carried[notice.id],
            answers[notice.id],
            replies=replies[notice.id],
            now=now,
        )
        for notice, client, kind in found
    )


def _row(
    notice: Notice,
    client: Client,
    waits: Waits,
    carried: Sequence[tuple[UUID | None, Delivery]],
    answers: Sequence[Answer],
    *,
    replies: int,
    now: datetime,
) -> Row:
    standing = Counter(answer.kind for answer in answers if _stood(answer, now))
    reached = {contact for contact, delivery in carried if delivery.state is DeliveryState.ACCEPTED}
    doubtful = [contact for contact, delivery in carried if delivery.state is DeliveryState.UNKNOWN]
    # What a person recorded, no mail puts in doubt.
    unknown = 0 if notice.received_how not in {"", *RECKONED} else sum(contact not in reached for contact in doubtful)
    facts = Standing(
        state=notice.state,
        holds_until=notice.holds_until,
        waits=waits,
        objections=standing[AnswerKind.OBJECTION],
        terminations=standing[AnswerKind.TERMINATION],
        consents=sum(_opens(answer, notice, now) for answer in answers),
        refusals=standing[AnswerKind.REFUSAL],
        replies=replies,
        unknown=unknown if notice.channel is Channel.MAIL else 0,
        excluded=notice.excluded_at is not None or notice.live_at is not None,
    )
    return Row(
        notice=notice,
        client=client,
        deliveries=tuple(delivery for _, delivery in carried),
        answers=tuple(answers),
        unknown=unknown,
        waits=waits,
        gate=gate(facts, now),
    )


def _stood(answer: Answer, at: datetime) -> bool:
    """Say whether an answer held a gate at an instant: one that was closed later did."""
    return bool(answer.standing) or (answer.closed_at is not None and answer.answered_at <= at < answer.closed_at)


def _opens(answer: Answer, notice: Notice, at: datetime) -> bool:
    """Say whether an answer had opened a gate by an instant: a consent that a person gave to what is told now."""
    agreed = answer.kind is AnswerKind.CONSENT and bool(answer.standing) and not answer.machine_like
    return agreed and answer.edition == notice.edition and answer.answered_at <= at


def _rules(session: Session, sealed_ids: Collection[UUID]) -> Mapping[UUID, Rule]:
    return {one.id: one.counted for one in session.exec(select(Sealed).where(col(Sealed.id).in_(sealed_ids)))}


def _replies(session: Session, which: Any, at: datetime) -> Mapping[UUID, int]:  # noqa: ANN401 - as _rows
    """Count what contacts have written and nobody had read at an instant, by notice."""
    unread = sa.or_(col(Item.open).is_(True), sa.and_(col(Item.opened_at) <= at, col(Item.closed_at) > at))
    query = (
        select(Item.about_id, sa.func.count())
        .join(Notice, col(Notice.id) == Item.about_id)
        .where(which, Item.kind == ItemKind.UNREAD_REPLY, unread)
        .group_by(col(Item.about_id))
    )
    return defaultdict(int, session.exec(query).all())


def _carried(session: Session, which: Any) -> Mapping[UUID, list[tuple[UUID | None, Delivery]]]:  # noqa: ANN401 - as _rows
    """Return the mails that tell of notices (the first ones and their repeats) with the contact of each, by notice."""
    grouped: defaultdict[UUID, list[tuple[UUID | None, Delivery]]] = defaultdict(list)
    query = (
        select(DeliveryNotice.notice_id, DeliveryNotice.contact_id, Delivery)
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .join(Notice, col(Notice.id) == DeliveryNotice.notice_id)
        .where(which, Delivery.letter == letters.NOTICE)
        .order_by(col(Delivery.id))
    )
    for notice_id, contact_id, delivery in session.exec(query):
        grouped[notice_id].append((contact_id, delivery))
    return grouped


def _answers(session: Session, which: Any) -> Mapping[UUID, list[Answer]]:  # noqa: ANN401 - as _rows
    grouped: defaultdict[UUID, list[Answer]] = defaultdict(list)
    query = select(Answer).join(Notice, col(Notice.id) == Answer.notice_id).where(which)
    for answer in session.exec(query.order_by(col(Answer.answered_at))):
        grouped[answer.notice_id].append(answer)
    return grouped


# --- who should have been told ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Concern:
    """What an announcement changes for whom, and what those were told of who have a notice.

    `said` is what was told under each sealed rule; outcomes as `_outcomes` gives them.
    """

    subject: Subject
    everything: frozenset[str]
    said: Mapping[UUID, frozenset[str]]
    _seen: dict[Scope, frozenset[str] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, session: Session, announcement: Announcement) -> Concern:
        kept = select(Sealed.id, Sealed.changes).where(Sealed.announcement_id == announcement.id)
        everything = _outcomes(map(from_json, announcement.changes))
        said = {
            sealed_id: everything if changes is None else _outcomes(map(from_json, changes))
            for sealed_id, changes in session.exec(kept)
        }
        return cls(Subject.of(announcement), everything, said)

    def told_by(self, notice: Notice) -> frozenset[str] | None:
        """Return what a client was told of; None where a correction left it out."""
        return None if notice.is_left_out else self.told(notice.sealed_id, is_settled=_is_settled(notice))

    def told(self, sealed_id: UUID, *, is_settled: bool) -> frozenset[str]:
        """One for whom the change has been made, or is not, is told enough."""
        return self.everything if is_settled else self.said[sealed_id]

    def is_untold(self, scope: Scope, told: frozenset[str] | None) -> bool:
        """Say whether a client that has this of ours was told of less than concerns it; None: of nothing."""
        wanted = self._wanted(scope)
        return wanted is not None and not (told is not None and wanted <= told)

    def _wanted(self, scope: Scope) -> frozenset[str] | None:
        if scope not in self._seen:
            found = self.subject.seen_by(scope)
            self._seen[scope] = None if found is None else _outcomes(found.changes or self.subject.changes)
        return self._seen[scope]


def _untold(session: Session, announcement: Announcement, rows: Sequence[Row], *, now: datetime) -> tuple[Client, ...]:
    """Return the clients under contract today whom it concerns and who were not told of all that does; once the change
    is live, that is no longer asked.
    """
    if announcement.state is not AnnouncementState.PUBLISHED:
        return ()
    concern = Concern.of(session, announcement)
    told = {row.client.id: concern.told_by(row.notice) for row in rows}
    held = [owed.client for owed in clients.owed(session, today_of(session, now))]
    return tuple(client for client in held if concern.is_untold(client.scope, told.get(client.id)))


def today_of(session: Session, now: datetime) -> date:
    """Return the day at the provider."""
    return local_day(now, zone(provider.get(session).timezone))


def _is_settled(notice: Notice) -> bool:
    return notice.live_at is not None or notice.excluded_at is not None


def _outcomes(changes: Iterable[Change]) -> frozenset[str]:
    """Return what changes lead to, whatever they are called: who is there then, and who is not any more."""
    return frozenset(f"{'+' if change.after else '-'}{change.key}" for change in changes)


def is_heard(announcement: Announcement) -> bool:
    """Say whether somebody who has not been told may have a right to wait for, whatever those have who were told."""
    return announcement.kind in OF_THE_REGISTRY and announcement.aspect != LISTING
