"""Notices: receipt starts a client's clock, and time ends what has run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models import (
    Announcement,
    AnnouncementState,
    Answer,
    Contact,
    Delivery,
    DeliveryNotice,
    Edition,
    EventKind,
    ItemKind,
    Notice,
    PaperLetter,
    PaperState,
    Sealed,
)
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Waits
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.notice_states import NoticeState, NoticeStep, next_notice_state
from notifier.rules.periods import local_day, zone
from notifier.rules.receipts import ContactStanding, Receipt, receipt_of
from notifier.rules.terms import Channel, ReceiptPolicy, Reckoning, Rule
from notifier.services import events, items, letters
from notifier.services.desk import Desk
from notifier.services.events import Happened
from notifier.services.rows import IDS, Given, dialect_of, given_ids, table_of

IN_FLIGHT = (DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)
BY_RELAY = "relay"
# How a receipt came about that the machine reckoned from facts; anything else is a person's words.
RECKONED = frozenset({BY_RELAY, *ReceiptPolicy, *Channel})
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


def get(session: Session, notice_id: UUID, *, lock: bool = False) -> Notice:
    """Return a notice; under a lock, as it is now and not as this session has read it before."""
    locked = {"key_share": True} if lock else None
    notice = session.get(Notice, notice_id, with_for_update=locked, populate_existing=lock)
    if notice is None:
        raise NoSuchNotice
    return notice


def of_client(session: Session, announcement_id: UUID, client_id: UUID) -> Notice:
    """Return the notice that tells one client of one announcement."""
    query = select(Notice).where(Notice.announcement_id == announcement_id, Notice.client_id == client_id)
    notice = session.exec(query).first()
    if notice is None:
        raise NoSuchNotice
    return notice


def lock_all(session: Session, announcement_id: UUID) -> None:
    """Let what clients and relays are just saying be written down first, and nothing more be said meanwhile.

    Whoever locks the announcement too does so before.
    """
    query = select(Notice).where(Notice.announcement_id == announcement_id).order_by(col(Notice.id))
    session.exec(query.with_for_update(key_share=True).execution_options(populate_existing=True)).all()


def reckon_told(session: Session, desk: Desk, delivery_ids: Collection[UUID], *, now: datetime) -> None:
    """Compute the receipts anew of the notices whose mails have just been taken or refused, where they decide any.

    A mail that was taken starts the clock where the contract says so; a failure never starts one, and voids a receipt
    that was deemed.  Those whose first receipt it is, as nearly all are, are moved as one set.
    """
    session.flush()
    touched = _touched(session, delivery_ids)
    rules = letters.rules_of(session, desk, {one.sealed_id for one in touched})
    mails = _mails_of(session, [one for one in touched if one.channel is Channel.MAIL])
    others, days = [], dict[Hashable, date]()
    first: list[tuple[Touched, date]] = []
    for one in touched:
        rule = rules[one.sealed_id]
        receipt = _first_receipt(one, rule, mails[one.id], days)
        if receipt is None or (receipt.received_on and not _is_as_told(desk, one, rule, receipt.received_on)):
            others.append(one.id)
        elif receipt.received_on:
            first.append((one, receipt.received_on))
    _receive_all(session, desk, rules, first, now=now)
    session.expire_all()
    reckon_all(session, desk, others, by=MACHINE, now=now)


class Touched(NamedTuple):
    """What a receipt needs to know of a notice; read as a tuple, for sets of hundreds."""

    id: UUID
    announcement_id: UUID
    client_id: UUID
    sealed_id: UUID
    state: NoticeState
    channel: Channel
    edition: int
    object_by: date
    object_until: datetime


def _first_receipt(one: Touched, rule: Rule, mails: Sequence[Carried], days: dict[Hashable, date]) -> Receipt | None:
    """Return the first receipt of a client, on no day as long as mails to other contacts must be taken first; None
    where it needs a closer look.

    A closer look is what `reckon` takes: at what was received before, at acts and letters, at mails that failed.
    `days` keeps what instants count as: a round's mails share theirs, and contracts their calendars.
    """
    is_simple = (
        one.state is NoticeState.RAISED
        and one.edition == 1
        and rule.receipt is ReceiptPolicy.DEEMED
        and not rule.mandatory_roles
    )
    if not is_simple or not mails:
        return None
    first: dict[UUID | None, date | None] = {}
    for mail in mails:
        if mail.state in IN_FLIGHT:
            first.setdefault(mail.contact_id, None)
        elif mail.state is DeliveryState.ACCEPTED and mail.accepted_at:
            key = rule.calendar, rule.timezone, rule.cutoff, mail.accepted_at
            day = days.get(key) or days.setdefault(key, rule.received_on(mail.accepted_at))
            first[mail.contact_id] = min(day, first.get(mail.contact_id) or day)
        else:
            return None
    standings = [ContactStanding(mandatory=True, received_on=day, hopeful=True) for day in first.values()]
    return receipt_of(rule.addressees, standings)


def _is_as_told(desk: Desk, one: Touched, rule: Rule, day: date) -> bool:
    """Say whether the letter named the last day that this receipt gives, or a later one; without a clock there is
    none.
    """
    return not rule.runs or _counted(desk, one.sealed_id, rule, day).until <= one.object_until


def _counted(desk: Desk, sealed_id: UUID, rule: Rule, day: date) -> Reckoning:
    known = desk.reckonings.get((sealed_id, day))
    return known or desk.reckonings.keep((sealed_id, day), rule.reckon(day))


def _receive_all(
    session: Session,
    desk: Desk,
    rules: Mapping[UUID, Rule],
    first: Sequence[tuple[Touched, date]],
    *,
    now: datetime,
) -> None:
    """Start the clocks of notices whose letters named the last day that their receipt gives, or a later one."""
    if not first:
        return
    received = [
        {"id": one.id.hex, "received_on": day, "opens_at": _opens_at(desk, one, rules[one.sealed_id], day)}
        for one, day in first
    ]
    session.execute(_receiving(dialect_of(session)), Given.rows(session, received))
    happened = [
        Happened(
            kind=EventKind.NOTICE_RECEIVED,
            about=one.id,
            announcement=one.announcement_id,
            data={"received_on": day.isoformat(), "object_by": one.object_by.isoformat(), "how": BY_RELAY},
        )
        for one, day in first
    ]
    events.record_all(session, happened, by=MACHINE, now=now)


def _opens_at(desk: Desk, one: Touched, rule: Rule, day: date) -> datetime | None:
    """Return until when the change must wait for this receipt; none where no clock runs."""
    return _counted(desk, one.sealed_id, rule, day).opens_at if rule.runs else None


def reckon(session: Session, desk: Desk, notice: Notice, sealed: Sealed, *, by: str, now: datetime) -> None:
    """Compute a client's receipt anew after something about its mails, letters or answers has changed.

    What a person recorded, no mail undoes; once a change that had to wait has been made for the client, a receipt that
    stood then is not taken back.
    """
    if _was_told_by_a_person(notice):
        return
    session.flush()
    rule = sealed.counted
    receipt = receipt_of(rule.addressees, _standings(session, notice, rule))
    if receipt.received_on and notice.state in {NoticeState.RAISED, NoticeState.UNREACHED}:
        _receive(session, desk, notice, sealed, receipt.received_on, how=_how(notice, rule), by=by, now=now)
    elif notice.live_at and notice.received_on and rule.waits:
        return
    elif receipt.received_on and notice.received_on and receipt.received_on > notice.received_on:
        _receive_later(session, desk, notice, sealed, receipt.received_on, by=by, now=now)
    elif receipt.received_on is None and receipt.lost and notice.state is not NoticeState.UNREACHED:
        _lose(session, notice, by=by, now=now)
    elif receipt.received_on is None and notice.received_on:  # it was deemed of a mail that came back; another may come
        notice.take(NoticeStep.RESTART)
        notice.received_on, notice.received_how = None, ""
        session.add(notice)


def overdue(session: Session, *, limit: int = 200) -> list[Delivery]:
    """Return mails that are settled and whose notices have not moved: what follows from them failed, and is due."""
    unsettled = [*IN_FLIGHT, DeliveryState.UNKNOWN]
    settled = (
        select(Delivery)
        .join(DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
        .join(Notice, col(Notice.id) == DeliveryNotice.notice_id)
        .join(Sealed, col(Sealed.id) == Notice.sealed_id)
        .where(Notice.state == NoticeState.RAISED, Delivery.letter == letters.NOTICE)
        .where(col(DeliveryNotice.courtesy).is_(False))
        .where(DeliveryNotice.edition == Notice.edition)
        .where(col(Delivery.state).in_([DeliveryState.ACCEPTED, DeliveryState.REFUSED]))
    )
    other, link = aliased(Delivery), aliased(DeliveryNotice)
    others = select(link.notice_id).join(other, col(other.id) == link.delivery_id)
    others = others.where(col(link.notice_id) == Notice.id, link.edition == Notice.edition)
    waiting = others.where(col(other.state).in_(unsettled)).exists()
    accepted = others.where(col(other.state) == DeliveryState.ACCEPTED).exists()
    # Where a contact must act itself, a mail that was accepted moves nothing yet.
    moves = sa.or_(col(Sealed.rule)["receipt"].as_string() == ReceiptPolicy.DEEMED.value, ~accepted)
    return list(session.exec(settled.where(~waiting, moves).order_by(col(Delivery.id)).limit(limit)))


def postpone_unreached(session: Session, notice: Notice, rule: Rule, *, by: str, now: datetime) -> None:
    """Give a client that nobody has reached its whole period anew, before it is told again."""
    if not rule.runs or notice.state not in {NoticeState.RAISED, NoticeState.UNREACHED}:
        return
    presumed = rule.promise(now, channel=notice.channel)
    notice.holds_until = max(notice.holds_until, presumed.opens_at)
    session.add(notice)
    if presumed.until <= notice.object_until:
        return
    told, notice.object_by, notice.object_until = notice.object_by, presumed.last_day, presumed.until
    moved = {"told": told.isoformat(), "object_by": notice.object_by.isoformat()}
    announcement = notice.announcement_id
    events.record(
        session, EventKind.NOTICE_POSTPONED, about=notice.id, announcement=announcement, by=by, now=now, **moved
    )


def move_to_the_eve(session: Session, announcement: Announcement, effective_on: date, *, now: datetime) -> None:
    """Let those whose clock does not run answer until the eve of a later day."""
    every = session.exec(select(Notice.id).where(Notice.announcement_id == announcement.id)).all()
    for notice, sealed in _locked(session, every):
        if sealed.counted.runs or notice.live_at or notice.excluded_at:
            continue
        promised = sealed.counted.promise(now, effective_on=effective_on, channel=notice.channel)
        if promised.until > notice.object_until:
            notice.object_by, notice.object_until = promised.last_day, promised.until
            notice.holds_until = max(notice.holds_until, promised.opens_at)
            session.add(notice)


def record_receipt(
    session: Session, desk: Desk, notice_id: UUID, *, received_on: date, how: str, by: str, now: datetime
) -> Notice:
    """Record, by a person, that a client was told by other means (a registered letter, by hand) on a day."""
    notice = get(session, notice_id, lock=True)
    sealed = _sealed(session, notice)
    if received_on < local_day(_told_since(session, notice), zone(sealed.counted.timezone)):
        raise ReceiptTooEarly
    if received_on > local_day(now, zone(sealed.counted.timezone)):
        raise ReceiptInFuture
    written = how if how not in RECKONED else f"{BY_PERSON}: {how}"
    _receive(session, desk, notice, sealed, received_on, how=written, by=by, now=now)
    items.close_items(session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, by=by, now=now, note=how)
    return notice


def _told_since(session: Session, notice: Notice) -> datetime:
    """Return since when this client can have been told what the notice says now."""
    query = select(Edition.made_at).where(
        Edition.announcement_id == notice.announcement_id,
        Edition.number == notice.edition,
    )
    corrected_at = session.exec(query.order_by(col(Edition.made_at))).first()
    return max(notice.raised_at, corrected_at) if corrected_at and notice.edition > 1 else notice.raised_at


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


def reckon_all(session: Session, desk: Desk, notice_ids: Collection[UUID], *, by: str, now: datetime) -> None:
    """Compute the receipts of several clients anew."""
    for notice, sealed in _locked(session, notice_ids) if notice_ids else ():
        reckon(session, desk, notice, sealed, by=by, now=now)


def _receive(
    session: Session, desk: Desk, notice: Notice, sealed: Sealed, received_on: date, *, how: str, by: str, now: datetime
) -> None:
    """Start the clock.  The last day that a letter told is never taken back; a later one is told by another letter."""
    notice.take(NoticeStep.RECEIVE)
    notice.received_on, notice.received_how = received_on, how
    _close_mails(session, notice, by=by, now=now)
    told = _extend(session, notice, sealed, received_on)
    data = {"received_on": received_on.isoformat(), "object_by": notice.object_by.isoformat()}
    data["how"] = how if how in RECKONED else BY_PERSON  # a person's words may name somebody: they stay with the notice
    events.record(
        session, EventKind.NOTICE_RECEIVED, about=notice.id, announcement=notice.announcement_id, by=by, now=now, **data
    )
    _tell_if_later(session, desk, notice, told, by=by, now=now)


def _receive_later(
    session: Session, desk: Desk, notice: Notice, sealed: Sealed, received_on: date, *, by: str, now: datetime
) -> None:
    """The receipt that started the clock has fallen away, and a later one of another contact stands."""
    notice.received_on = received_on
    told = _extend(session, notice, sealed, received_on)
    if notice.object_until > now and notice.state is NoticeState.LAPSED:
        notice.take(NoticeStep.FAIL)
        notice.take(NoticeStep.RECEIVE)
    _tell_if_later(session, desk, notice, told, by=by, now=now)


def _extend(session: Session, notice: Notice, sealed: Sealed, received_on: date) -> date:
    """Move the notice's days to what an actual receipt gives, never back; returns the last day as it was told."""
    told, rule = notice.object_by, sealed.counted
    if rule.runs:
        counted = rule.reckon(received_on)
        notice.holds_until = max(notice.holds_until, counted.opens_at)
        if counted.until > notice.object_until:
            notice.object_by, notice.object_until = counted.last_day, counted.until
    session.add(notice)
    return told


def _tell_if_later(session: Session, desk: Desk, notice: Notice, told: date, *, by: str, now: datetime) -> None:
    if notice.object_by <= told or notice.excluded_at or _is_withdrawn(session, notice):
        return
    moved = {"told": told.isoformat(), "object_by": notice.object_by.isoformat()}
    kind, announcement = EventKind.NOTICE_POSTPONED, notice.announcement_id
    events.record(session, kind, about=notice.id, announcement=announcement, by=by, now=now, **moved)
    letters.post_later_last_day(session, desk, notice, told=told, now=now)


def _is_withdrawn(session: Session, notice: Notice) -> bool:
    announcement = session.get(Announcement, notice.announcement_id)
    return announcement is not None and announcement.state is AnnouncementState.WITHDRAWN


def _lose(session: Session, notice: Notice, *, by: str, now: datetime) -> None:
    notice.take(NoticeStep.FAIL)
    notice.received_on, notice.received_how = None, ""
    session.add(notice)
    kind, announcement = EventKind.NOTICE_UNREACHED, notice.announcement_id
    events.record(session, kind, about=notice.id, announcement=announcement, by=by, now=now)


def _was_told_by_a_person(notice: Notice) -> bool:
    """What a person recorded, no mail undoes or puts in doubt."""
    return bool(notice.received_how) and notice.received_how not in RECKONED


def _how(notice: Notice, rule: Rule) -> str:
    """Name what the receipt was reckoned from: a letter, a mail server's word, or what the contact did itself."""
    if notice.channel is not Channel.MAIL:
        return notice.channel.value
    return BY_RELAY if rule.receipt is ReceiptPolicy.DEEMED else rule.receipt.value


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


def waits_of(kind: AnnouncementKind, rule: Rule) -> Waits:
    """Return what of a client under this rule a change of this kind waits for."""
    if kind is AnnouncementKind.EMERGENCY and rule.waits:
        return Waits.CONSENT if rule.asks_consent else Waits.EITHER
    if rule.asks_consent:
        return Waits.CONSENT
    return Waits.PERIOD if rule.waits else Waits.NOTHING


def _touched(session: Session, delivery_ids: Collection[UUID]) -> list[Touched]:
    """Lock the notices whose receipt these mails decide: a courtesy copy decides none."""
    found = session.execute(_touching(dialect_of(session)), given_ids(session, delivery_ids))
    return [Touched(*row) for row in found]


class Carried(NamedTuple):
    """One mail that tells one notice to one contact."""

    notice_id: UUID
    contact_id: UUID | None
    state: DeliveryState
    accepted_at: datetime | None


def _mails_of(session: Session, those: Sequence[Touched | Notice]) -> Mapping[UUID, list[Carried]]:
    """Return the mails that tell these notices as they are now: their edition, and none that was dropped."""
    mails: defaultdict[UUID, list[Carried]] = defaultdict(list)
    if those:
        found = session.execute(_carrying(dialect_of(session)), given_ids(session, [one.id for one in those]))
        for row in found:
            mails[row[0]].append(Carried(*row))
    return mails


def _of_notice(session: Session, notice_id: UUID) -> Sequence[Delivery]:
    query = select(Delivery).join(DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
    return session.exec(query.where(DeliveryNotice.notice_id == notice_id, Delivery.letter == letters.NOTICE)).all()


def _standings(session: Session, notice: Notice, rule: Rule) -> list[ContactStanding]:
    """Return how each contact who is told stands, by the policy of the contract on receipt."""
    if notice.channel is not Channel.MAIL:
        return _standings_on_paper(session, notice)
    mails: defaultdict[UUID | None, list[Carried]] = defaultdict(list)
    for mail in _mails_of(session, [notice])[notice.id]:
        mails[mail.contact_id].append(mail)
    acted = _acted_by_contact(session, notice, rule)
    mandatory = _mandatory_contacts(session, notice, rule)
    standings = []
    for contact_id, carried in mails.items():
        taken = [mail.accepted_at for mail in carried if mail.state is DeliveryState.ACCEPTED and mail.accepted_at]
        first = min(taken if rule.receipt is ReceiptPolicy.DEEMED else acted.get(contact_id, []), default=None)
        standings.append(
            ContactStanding(
                mandatory=mandatory is None or contact_id in mandatory,
                received_on=_day_received(rule, first) if first else None,
                hopeful=any(mail.state is not DeliveryState.REFUSED for mail in carried),
            )
        )
    return standings


def _mandatory_contacts(session: Session, notice: Notice, rule: Rule) -> set[UUID | None] | None:
    """Return the contacts whose address serves a role that the contract names; None where it names none.

    An address with several roles is written to once, as any of them.
    """
    if not rule.mandatory_roles:
        return None
    contacts = session.exec(select(Contact).where(Contact.client_id == notice.client_id)).all()
    named = {one.email.casefold() for one in contacts if one.role in rule.mandatory_roles and one.left_at is None}
    return {one.id for one in contacts if one.role in rule.mandatory_roles or one.email.casefold() in named}


def _acted_by_contact(session: Session, notice: Notice, rule: Rule) -> Mapping[UUID | None, list[datetime]]:
    """Return when each contact did what the contract takes for a receipt."""
    acts = {ReceiptPolicy.ACKNOWLEDGED: _answered_by_contact, ReceiptPolicy.DISPLAY: _displayed_by_contact}
    return acts[rule.receipt](session, notice) if rule.receipt in acts else {}


def _displayed_by_contact(session: Session, notice: Notice) -> Mapping[UUID | None, list[datetime]]:
    """The button is behind the link of any letter about the notice."""
    grouped: defaultdict[UUID | None, list[datetime]] = defaultdict(list)
    query = select(DeliveryNotice.contact_id, DeliveryNotice.displayed_at).where(
        DeliveryNotice.notice_id == notice.id,
        DeliveryNotice.edition == notice.edition,
        col(DeliveryNotice.displayed_at).is_not(None),
    )
    for contact_id, displayed_at in session.exec(query):
        grouped[contact_id] += [displayed_at] if displayed_at else []
    return grouped


def _day_received(rule: Rule, instant: datetime) -> date:
    """A machine took a mail: the contract says on which day that counts.  A person acted: that day."""
    return rule.received_on(instant) if rule.receipt is ReceiptPolicy.DEEMED else rule.day_of(instant)


def _answered_by_contact(session: Session, notice: Notice) -> Mapping[UUID | None, list[datetime]]:
    """What looks like a machine's is no contact's answer."""
    grouped: defaultdict[UUID | None, list[datetime]] = defaultdict(list)
    query = (
        select(DeliveryNotice.contact_id, Answer.answered_at)
        .join(Answer, col(Answer.delivery_id) == DeliveryNotice.delivery_id)
        .where(DeliveryNotice.notice_id == notice.id, Answer.notice_id == notice.id, Answer.edition == notice.edition)
        .where(col(Answer.machine_like).is_(False))
    )
    for contact_id, answered_at in session.exec(query):
        grouped[contact_id].append(answered_at)
    return grouped


def _standings_on_paper(session: Session, notice: Notice) -> list[ContactStanding]:
    """The latest letter of this edition counts: one that came back is followed by another."""
    query = select(PaperLetter).where(PaperLetter.notice_id == notice.id, PaperLetter.edition == notice.edition)
    latest = session.exec(query.order_by(col(PaperLetter.number).desc())).first()
    if latest is None:
        return []
    hopeful = latest.state is not PaperState.RETURNED
    return [ContactStanding(mandatory=True, received_on=latest.received_on, hopeful=hopeful)]


def _locked(session: Session, notice_ids: Collection[UUID]) -> Sequence[tuple[Notice, Sealed]]:
    query = (
        select(Notice, Sealed)
        .join(Sealed, col(Sealed.id) == Notice.sealed_id)
        .where(col(Notice.id).in_(notice_ids))
        .order_by(col(Notice.id))
        .with_for_update(of=Notice, key_share=True)
        .execution_options(populate_existing=True)
    )
    return session.exec(query).all()


def _sealed(session: Session, notice: Notice) -> Sealed:
    return session.exec(select(Sealed).where(Sealed.id == notice.sealed_id)).one()


# --- statements of every round, each written once ---------------------------------------------------------------------

_RECEIVED = Given({"id": sa.Uuid(), "received_on": sa.Date(), "opens_at": UTCDateTime()})


@cache
def _touching(dialect: str) -> sa.Select[Any]:
    carries, notice = table_of(DeliveryNotice).c, table_of(Notice).c
    carried = sa.select(carries.notice_id).where(carries.delivery_id.in_(IDS.ids(dialect)), carries.courtesy.is_(False))
    query = sa.select(*(notice[name] for name in Touched._fields)).where(notice.id.in_(carried)).order_by(notice.id)
    return query.with_for_update(key_share=True)


@cache
def _carrying(dialect: str) -> sa.Select[Any]:
    carries, notice, delivery = table_of(DeliveryNotice).c, table_of(Notice).c, table_of(Delivery).c
    return (
        sa.select(carries.notice_id, carries.contact_id, delivery.state, delivery.accepted_at)
        .join(table_of(Delivery), delivery.id == carries.delivery_id)
        .join(table_of(Notice), notice.id == carries.notice_id)
        .where(
            carries.notice_id.in_(IDS.ids(dialect)),
            carries.edition == notice.edition,
            delivery.letter == letters.NOTICE,
            delivery.state != DeliveryState.DROPPED,
        )
    )


@cache
def _receiving(dialect: str) -> sa.Update:
    notice, received = table_of(Notice).c, _RECEIVED.table(dialect)
    later = sa.case((notice.holds_until < received.c.opens_at, received.c.opens_at), else_=notice.holds_until)
    return (
        sa.update(table_of(Notice))
        .where(notice.id == received.c.id)
        .values(
            state=next_notice_state(NoticeState.RAISED, NoticeStep.RECEIVE),
            received_on=received.c.received_on,
            received_how=BY_RELAY,
            holds_until=later,
        )
    )
