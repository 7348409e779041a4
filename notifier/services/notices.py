"""Notices: receipt starts a client's clock; the board shows where each client stands; time ends what has run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementState,
    Answer,
    AnswerKind,
    Client,
    Delivery,
    DeliveryNotice,
    EventKind,
    ItemKind,
    Notice,
    Sealed,
)
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Gate, Hold, Standing, gate, gate_of_all
from notifier.rules.notice_states import NoticeState, NoticeStep
from notifier.rules.periods import local_day, zone
from notifier.rules.terms import Addressees, Rule
from notifier.services import clients, events, items, letters, provider
from notifier.services.desk import Desk
from notifier.services.events import Happened

NOT_TOLD = Gate(holds=(Hold.NOT_TOLD,), opens_at=None)
IN_FLIGHT = (DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)
BY_RELAY = "relay"
BY_PERSON = "person"
MACHINE = "notifier"


class NoSuchNotice(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such notice")


class ReceiptTooEarly(ValueError):
    def __init__(self) -> None:
        super().__init__(
            "nobody can have been told before the announcement: write the day on which the client was told"
        )


class ReceiptInFuture(ValueError):
    def __init__(self) -> None:
        super().__init__(
            "a receipt cannot be recorded for a day that has not come yet: write the day on which the client was told"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """Where one client stands."""

    notice: Notice
    client: Client
    deliveries: tuple[Delivery, ...]
    answers: tuple[Answer, ...]
    unknown: int  # mails that may or may not have arrived, to contacts whom no other mail has reached
    gate: Gate

    @property
    def status(self) -> str:
        """The one word of the board for this client; what needs a person comes before what does not."""
        kinds = {answer.kind for answer in self.answers if answer.standing}
        ladder = {
            "terminated": AnswerKind.TERMINATION in kinds,
            "objected": AnswerKind.OBJECTION in kinds,
            "unreached": self.notice.state is NoticeState.UNREACHED,
            "unknown": self.unknown > 0,
            "acknowledged": AnswerKind.ACKNOWLEDGEMENT in kinds,
            "sending": self.notice.state is NoticeState.RAISED,
        }
        return next((word for word, true in ladder.items() if true), "silent")


STATUSES = ("acknowledged", "objected", "terminated", "silent", "unreached", "unknown", "sending")


@dataclass(frozen=True, slots=True)
class Board:
    """The board of one announcement: every client, and how many stand where."""

    rows: tuple[Row, ...]
    untold: tuple[Client, ...]  # under contract now, and without a notice of this announcement
    counts: Mapping[str, int]
    gate: Gate
    sent: int
    in_flight: int


def get(session: Session, notice_id: UUID, *, lock: bool = False) -> Notice:
    notice = session.get(Notice, notice_id, with_for_update={"key_share": True} if lock else None)
    if notice is None:
        raise NoSuchNotice
    return notice


def board(session: Session, announcement_id: UUID, *, now: datetime) -> Board:
    """Return where every client of an announcement stands, and who should have been told and was not."""
    rows = _rows(session, Notice.announcement_id == announcement_id, now=now)
    untold = _untold(session, announcement_id, {row.client.id for row in rows}, now=now)
    counts = Counter(row.status for row in rows)
    mails = {delivery.id: delivery for row in rows for delivery in row.deliveries}
    return Board(
        rows=rows,
        untold=untold,
        counts={status: counts[status] for status in STATUSES},
        gate=gate_of_all([*(row.gate for row in rows), *(NOT_TOLD for _ in untold[:1])]),
        sent=sum(row.notice.state in {NoticeState.RUNNING, NoticeState.LAPSED} for row in rows),
        in_flight=sum(delivery.state in IN_FLIGHT for delivery in mails.values()),
    )


def row(session: Session, notice_id: UUID, *, now: datetime) -> Row:
    """Return where one client stands."""
    found = _rows(session, Notice.id == notice_id, now=now)
    if not found:
        raise NoSuchNotice
    return found[0]


def accepted(session: Session, desk: Desk, deliveries: Sequence[Delivery], *, now: datetime) -> None:
    """Start the clocks of the notices whose mails have just been accepted, where the contract's addressee policy is
    satisfied.
    """
    for notice, sealed in _touched(session, [delivery.id for delivery in deliveries]):
        told = [delivery for delivery in _of_notice(session, notice.id) if delivery.state is DeliveryState.ACCEPTED]
        instants = [delivery.accepted_at for delivery in told if delivery.accepted_at]
        if not instants or notice.state not in {NoticeState.RAISED, NoticeState.UNREACHED}:
            continue
        rule = sealed.counted
        if rule.addressees is Addressees.ALL and not all(_by_contact(session, notice, {DeliveryState.ACCEPTED})):
            continue
        reached_at = min(instants) if rule.addressees is Addressees.FIRST else max(instants)
        _receive(session, desk, notice, sealed, rule.received_on(reached_at), how=BY_RELAY, by=MACHINE, now=now)


def failed(session: Session, deliveries: Sequence[Delivery], *, now: datetime) -> None:
    """Mark the notices that a refused mail leaves unreached: a failure never starts a clock, and voids a deemed
    receipt.
    """
    for notice, sealed in _touched(session, [delivery.id for delivery in deliveries]):
        hopeful = _by_contact(session, notice, {state for state in DeliveryState if state is not DeliveryState.REFUSED})
        enough = any if sealed.counted.addressees is Addressees.FIRST else all
        if (
            enough(hopeful)
            or _was_told_by_a_person(notice)
            or notice.state not in {NoticeState.RAISED, NoticeState.RUNNING}
        ):
            continue
        notice.take(NoticeStep.FAIL)
        notice.received_on, notice.received_how = None, ""
        session.add(notice)
        events.record(
            session,
            EventKind.NOTICE_UNREACHED,
            about=notice.id,
            announcement=notice.announcement_id,
            by=MACHINE,
            now=now,
        )


def overdue(session: Session, *, limit: int = 200) -> list[Delivery]:
    """Return mails that are settled and whose notices have not moved: what follows from them failed, and is due."""
    unsettled = [*IN_FLIGHT, DeliveryState.UNKNOWN]
    settled = (
        select(Delivery)
        .join(DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
        .join(Notice, col(Notice.id) == DeliveryNotice.notice_id)
        .where(Notice.state == NoticeState.RAISED, Delivery.letter == letters.NOTICE)
        .where(col(Delivery.state).in_([DeliveryState.ACCEPTED, DeliveryState.REFUSED]))
    )
    other, link = aliased(Delivery), aliased(DeliveryNotice)
    waiting = (
        select(link.notice_id)
        .join(other, col(other.id) == link.delivery_id)
        .where(col(link.notice_id) == Notice.id, col(other.state).in_(unsettled))
    )
    return list(session.exec(settled.where(~waiting.exists()).order_by(col(Delivery.id)).limit(limit)))


def postpone_unreached(session: Session, notice: Notice, rule: Rule, *, by: str, now: datetime) -> None:
    """Give a client that nobody has reached its whole period anew, before it is told again."""
    presumed = rule.presume(now)
    if notice.state not in {NoticeState.RAISED, NoticeState.UNREACHED} or presumed.until <= notice.object_until:
        return
    told, notice.object_by, notice.object_until = notice.object_by, presumed.last_day, presumed.until
    session.add(notice)
    moved = {"told": told.isoformat(), "object_by": notice.object_by.isoformat()}
    announcement = notice.announcement_id
    events.record(
        session, EventKind.NOTICE_POSTPONED, about=notice.id, announcement=announcement, by=by, now=now, **moved
    )


def record_receipt(
    session: Session, desk: Desk, notice_id: UUID, *, received_on: date, how: str, by: str, now: datetime
) -> Notice:
    """Record, by a person, that a client was told by other means (a registered letter, by hand) on a day."""
    notice = get(session, notice_id, lock=True)
    sealed = _sealed(session, notice)
    if received_on < local_day(notice.raised_at, zone(sealed.counted.timezone)):
        raise ReceiptTooEarly
    if received_on > local_day(now, zone(sealed.counted.timezone)):
        raise ReceiptInFuture
    written = how if how != BY_RELAY else f"{BY_PERSON}: {how}"
    _receive(session, desk, notice, sealed, received_on, how=written, by=by, now=now)
    items.close_items(session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, by=by, now=now, note=how)
    return notice


def lapse_due(session: Session, *, now: datetime) -> int:
    """End the periods that are over; returns how many."""
    due = session.exec(
        select(Notice)
        .where(Notice.state == NoticeState.RUNNING, col(Notice.object_until) <= now)
        .limit(500)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()
    for notice in due:
        notice.take(NoticeStep.LAPSE)
        session.add(notice)
    happened = [
        Happened(kind=EventKind.NOTICE_LAPSED, about=notice.id, announcement=notice.announcement_id) for notice in due
    ]
    events.record_all(session, happened, by=MACHINE, now=now)
    return len(due)


def _receive(
    session: Session, desk: Desk, notice: Notice, sealed: Sealed, received_on: date, *, how: str, by: str, now: datetime
) -> None:
    """Start the clock.  The last day that a letter told is never taken back; a later one is told by another letter."""
    notice.take(NoticeStep.RECEIVE)
    notice.received_on, notice.received_how = received_on, how
    _close_mails(session, notice, by=by, now=now)
    counted = sealed.counted.count_from(received_on)
    told = notice.object_by
    if counted.until > notice.object_until:
        notice.object_by, notice.object_until = counted.last_day, counted.until
    session.add(notice)
    data = {"received_on": received_on.isoformat(), "object_by": notice.object_by.isoformat()}
    data["how"] = how if how == BY_RELAY else BY_PERSON  # a person's words may name somebody: they stay with the notice
    events.record(
        session, EventKind.NOTICE_RECEIVED, about=notice.id, announcement=notice.announcement_id, by=by, now=now, **data
    )
    if notice.object_by > told:
        moved = {"told": told.isoformat(), "object_by": notice.object_by.isoformat()}
        events.record(
            session,
            EventKind.NOTICE_POSTPONED,
            about=notice.id,
            announcement=notice.announcement_id,
            by=by,
            now=now,
            **moved,
        )
        letters.post_later_last_day(session, desk, notice, told=told, now=now)


def _was_told_by_a_person(notice: Notice) -> bool:
    """What a person recorded, no mail undoes or puts in doubt."""
    return notice.received_how not in {"", BY_RELAY}


def _close_mails(session: Session, notice: Notice, *, by: str, now: datetime) -> None:
    """Close what asked a person about this client's mails, once every client that such a mail was for has been told."""
    session.flush()
    for delivery in _of_notice(session, notice.id):
        if delivery.state in {DeliveryState.REFUSED, DeliveryState.UNKNOWN} and not _is_owed(session, delivery):
            kinds = (ItemKind.REFUSED_DELIVERY, ItemKind.UNKNOWN_DELIVERY)
            items.close_items(session, *kinds, about=delivery.id, by=by, now=now, note="told otherwise")


def _is_owed(session: Session, delivery: Delivery) -> bool:
    """Say whether a mail carries a notice that nobody has received."""
    carried = select(Notice.id).join(DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id)
    unheard = col(Notice.state).in_([NoticeState.RAISED, NoticeState.UNREACHED])
    return session.exec(carried.where(DeliveryNotice.delivery_id == delivery.id, unheard)).first() is not None


def _rows(session: Session, which: Any, *, now: datetime) -> tuple[Row, ...]:  # noqa: ANN401 - a condition on Notice
    pairs = session.exec(
        select(Notice, Client)
        .join(Client, col(Client.id) == Notice.client_id)
        .where(which)
        .order_by(col(Client.company))
    ).all()
    carried, answers = _carried(session, which), _answers(session, which)
    return tuple(_row(notice, client, carried[notice.id], answers[notice.id], now) for notice, client in pairs)


def _row(
    notice: Notice,
    client: Client,
    carried: Sequence[tuple[UUID | None, Delivery]],
    answers: Sequence[Answer],
    now: datetime,
) -> Row:
    standing = Counter(answer.kind for answer in answers if answer.standing)
    reached = {contact for contact, delivery in carried if delivery.state is DeliveryState.ACCEPTED}
    doubtful = [contact for contact, delivery in carried if delivery.state is DeliveryState.UNKNOWN]
    unknown = 0 if _was_told_by_a_person(notice) else sum(contact not in reached for contact in doubtful)
    facts = Standing(
        state=notice.state,
        object_until=notice.object_until,
        objections=standing[AnswerKind.OBJECTION],
        terminations=standing[AnswerKind.TERMINATION],
        unknown=unknown,
    )
    return Row(
        notice=notice,
        client=client,
        deliveries=tuple(delivery for _, delivery in carried),
        answers=tuple(answers),
        unknown=unknown,
        gate=gate(facts, now),
    )


def _untold(session: Session, announcement_id: UUID, told: Collection[UUID], *, now: datetime) -> tuple[Client, ...]:
    """Return the clients under contract today without a notice; once the change is live, that is no longer asked."""
    announcement = session.exec(select(Announcement).where(Announcement.id == announcement_id)).one()
    if announcement.state is AnnouncementState.LIVE:
        return ()
    today = local_day(now, zone(provider.get(session).timezone))
    return tuple(owed.client for owed in clients.owed(session, today) if owed.client.id not in told)


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


def _touched(session: Session, delivery_ids: Collection[UUID]) -> Sequence[tuple[Notice, Sealed]]:
    query = (
        select(Notice, Sealed)
        .join(Sealed, col(Sealed.id) == Notice.sealed_id)
        .where(
            col(Notice.id).in_(
                select(DeliveryNotice.notice_id).where(col(DeliveryNotice.delivery_id).in_(delivery_ids))
            )
        )
        .order_by(col(Notice.id))
        .with_for_update(of=Notice, key_share=True)
        .execution_options(populate_existing=True)
    )
    return session.exec(query).all()


def _of_notice(session: Session, notice_id: UUID) -> Sequence[Delivery]:
    query = select(Delivery).join(DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
    return session.exec(query.where(DeliveryNotice.notice_id == notice_id, Delivery.letter == letters.NOTICE)).all()


def _by_contact(session: Session, notice: Notice, states: Collection[DeliveryState]) -> Collection[bool]:
    """Say for each contact whether a mail is in one of these states: the first, or a repeat of it to any address."""
    found: dict[UUID | None, bool] = {}
    query = select(DeliveryNotice.contact_id, Delivery.state).join(
        Delivery, col(Delivery.id) == DeliveryNotice.delivery_id
    )
    for contact_id, state in session.exec(
        query.where(DeliveryNotice.notice_id == notice.id, Delivery.letter == letters.NOTICE)
    ):
        found[contact_id] = found.get(contact_id, False) or state in states
    return found.values()


def _sealed(session: Session, notice: Notice) -> Sealed:
    return session.exec(select(Sealed).where(Sealed.id == notice.sealed_id)).one()
