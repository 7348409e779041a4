"""The outbox: claiming what is due, the commit before the final dot, and what the other side answered.

The three verbs `claim`, `hand_over` and `settle` are three transactions of one round; the worker holds the mails
between them.  Leases are taken and checked by the database's clock, the one exception to "the clock is an argument":
two workers' clocks may disagree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.models import (
    Announcement,
    AnnouncementState,
    Attempt,
    Client,
    Delivery,
    DeliveryNotice,
    EventKind,
    ItemKind,
    Notice,
    Provider,
)
from notifier.rules.delivery_states import DeliveryState, DeliveryStep, next_delivery_state, retry_after
from notifier.rules.links import UnknownKey
from notifier.rules.moulds import MouldError
from notifier.services import doorbell, events, items, letters, notices
from notifier.services.desk import Desk
from notifier.services.events import Happened

log = structlog.get_logger()

MACHINE = notices.MACHINE
LEASE_MARGIN = timedelta(seconds=5)
STEP_OF = {
    Verdict.ACCEPTED: DeliveryStep.ACCEPT,
    Verdict.DEFERRED: DeliveryStep.DEFER,
    Verdict.REFUSED: DeliveryStep.REFUSE,
    Verdict.UNKNOWN: DeliveryStep.LOSE,
}
KINDS = {
    Verdict.ACCEPTED: EventKind.LETTER_ACCEPTED,
    Verdict.DEFERRED: EventKind.DELIVERY_DEFERRED,
    Verdict.REFUSED: EventKind.DELIVERY_REFUSED,
    Verdict.UNKNOWN: EventKind.DELIVERY_UNKNOWN,
}


class BytesDiffer(Exception):
    """A mail rebuilt for another attempt is not the mail of the first one; it is not sent."""

    def __init__(self, delivery_id: UUID) -> None:
        super().__init__(
            f"the mail of delivery {delivery_id} cannot be rebuilt byte for byte: its letter, key or facts changed"
        )


class NotRepeatable(Exception):
    """Only a mail that was refused, or may not have arrived, is sent again."""

    def __init__(self, state: DeliveryState) -> None:
        super().__init__(f"a mail that is {state} is not sent again: look at the client's page once more")


class NoSuchDelivery(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such delivery")


def claim(session: Session, desk: Desk, *, worker: str, limit: int, now: datetime) -> list[Mail]:
    """Take what is due under a lease, small and urgent lanes first, and return it ready for the wire.

    Nothing is taken before the provider's profile is complete.
    """
    profile = session.get(Provider, 1)
    if profile is None or profile.missing:
        return []
    due = (
        select(Delivery)
        .where(Delivery.state == DeliveryState.WAITING, col(Delivery.due_at) <= now)
        .order_by(col(Delivery.lane), col(Delivery.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    lease_until = database_now(session) + desk.mail_lease
    filler = letters.Filler(session, desk)
    rows, mails = session.exec(due).all(), []
    outdated = _outdated(session, rows)
    for row in rows:
        if row.id in outdated:
            letters.drop(session, [row], by=MACHINE, now=now)
            doorbell.ring(session, doorbell.Bell.OUTBOX)  # it took a place in this round
            continue
        row.state = next_delivery_state(row.state, DeliveryStep.CLAIM)
        row.attempt, row.claimed_by, row.lease_until = row.attempt + 1, worker, lease_until
        session.add(row)
        try:
            content = _content(filler, row)
        except (BytesDiffer, UnknownKey, MouldError) as trouble:
            _put_before_a_person(session, desk, row, str(trouble), worker=worker, now=now)
        else:
            mails.append(
                Mail(
                    delivery_id=row.id,
                    sender=_envelope_sender(desk, profile, row),
                    recipient=row.address,
                    content=content,
                )
            )
    return mails


def hand_over(session: Session, desk: Desk, delivery_ids: Sequence[UUID], *, worker: str) -> set[UUID]:
    """Write down, for a whole round, that these mails are about to leave; returns those that may.

    Fenced by the claim: a row whose lease has ended, or that somebody else has claimed since, does not come back, and
    its mail must be dropped before the final dot.
    """
    instant = database_now(session)
    mine = session.exec(
        sa.update(Delivery)
        .where(
            col(Delivery.id).in_(delivery_ids),
            col(Delivery.state) == DeliveryState.CLAIMED,
            col(Delivery.claimed_by) == worker,
            col(Delivery.lease_until) > instant + LEASE_MARGIN,
        )
        .values(state=DeliveryState.HANDING_OVER, lease_until=instant + desk.mail_lease)
        .returning(col(Delivery.id))
    )
    return set(mine.scalars())


def settle(session: Session, desk: Desk, outcomes: Sequence[Outcome], *, worker: str, now: datetime) -> None:
    """Record what became of each mail of a round, and what follows from it."""
    answered = {outcome.delivery_id: outcome for outcome in outcomes}
    rows = _locked(session, list(answered))
    mine = [row for row in rows if row.claimed_by == worker and _may_take(row, answered[row.id])]
    late = [row for row in mine if row.state is DeliveryState.UNKNOWN]
    for row in mine:
        _apply(session, desk, row, answered[row.id], now)
    happened = [one for row in mine for one in _events(session, row, answered[row.id])]
    events.record_all(session, happened, by=MACHINE, now=now)
    _close_items(session, late, by=MACHINE, now=now)
    _open_items(session, mine, now=now)
    _follow_safely(session, desk, mine, now=now)


def catch_up(session: Session, desk: Desk, *, now: datetime) -> int:
    """Draw the consequences that failed when a round was settled; returns for how many mails."""
    due = notices.overdue(session)
    for row in due:
        _follow_safely(session, desk, [row], now=now)
    return len(due)


def expire_leases(session: Session, *, now: datetime) -> int:
    """Free what a dead worker held; returns how many rows.  Before the commit of handing over nothing can have left;
    after it, it may have.
    """
    expired = session.exec(
        select(Delivery)
        .where(
            col(Delivery.state).in_([DeliveryState.CLAIMED, DeliveryState.HANDING_OVER]),
            col(Delivery.lease_until) < database_now(session),
        )
        .limit(500)
        .with_for_update(skip_locked=True)
    ).all()
    for row in expired:
        step = DeliveryStep.RELEASE if row.state is DeliveryState.CLAIMED else DeliveryStep.LOSE
        row.state, row.lease_until = next_delivery_state(row.state, step), None
        session.add(row)
    lost = [row for row in expired if row.state is DeliveryState.UNKNOWN]
    session.add_all(
        Attempt(delivery_id=row.id, number=row.attempt, verdict=Verdict.UNKNOWN, reply="the worker died", at=now)
        for row in lost
    )
    events.record_all(session, [_happened(EventKind.DELIVERY_UNKNOWN, row) for row in lost], by=MACHINE, now=now)
    _open_items(session, lost, now=now)
    if len(expired) > len(lost):
        doorbell.ring(session, doorbell.Bell.OUTBOX)
    return len(expired)


def prove_arrival(session: Session, desk: Desk, delivery_id: UUID, *, by: str, evidence: str, now: datetime) -> bool:
    """Close an unknown delivery with evidence that it arrived: a fetch of its link, an answer, a person's word.

    The log keeps who said so; the words of a person stay with the delivery.  Returns whether anything was unknown.
    """
    state = session.exec(select(Delivery.state).where(Delivery.id == delivery_id)).first()
    if state is not DeliveryState.UNKNOWN:
        return False  # nothing to lock for: many may open one link at the same instant
    row = next(iter(_locked(session, [delivery_id])), None)
    if row is None or row.state is not DeliveryState.UNKNOWN:
        return False
    row.state, row.accepted_at, row.last_reply = (
        next_delivery_state(row.state, DeliveryStep.ACCEPT),
        now,
        f"proved: {evidence}",
    )
    session.add(row)
    events.record(session, EventKind.DELIVERY_SETTLED, about=row.id, announcement=row.announcement_id, by=by, now=now)
    _close_items(session, [row], by=by, now=now)
    _follow_safely(session, desk, [row], now=now)
    return True


def returned(session: Session, desk: Desk, delivery_id: UUID, *, by: str, evidence: str, now: datetime) -> bool:
    """Record that a mail came back after the relay had taken it: a receipt that was deemed of it falls away.

    `evidence` is what it came back with, or a person's word; the same return twice has one effect.  Returns whether it
    had one.
    """
    row = next(iter(_locked(session, [delivery_id])), None)
    if row is None:
        raise NoSuchDelivery
    if row.state not in {DeliveryState.ACCEPTED, DeliveryState.UNKNOWN}:
        return False
    before = row.state
    row.state, row.accepted_at = next_delivery_state(row.state, DeliveryStep.RETURN), None
    row.last_reply = f"returned: {evidence}"
    session.add(row)
    facts = {"letter": row.letter, "was": before.value}
    kind, announcement = EventKind.DELIVERY_RETURNED, row.announcement_id
    events.record(session, kind, about=row.id, announcement=announcement, by=by, now=now, **facts)
    items.close_items(session, ItemKind.UNKNOWN_DELIVERY, about=row.id, by=by, now=now, note="it came back")
    _open_items(session, [row], now=now)
    _follow_safely(session, desk, [row], now=now)
    return True


def repeat(
    session: Session, desk: Desk, delivery_id: UUID, *, address: str, notice_id: UUID, by: str, now: datetime
) -> Delivery:
    """Send a letter again, visibly: a new delivery of its own purpose, to the same address or to another one.

    Another address is told of `notice_id` alone: whoever reads there need not be the other clients' contact.  A repeat
    that is still under way to that address is returned instead of a second one.
    """
    row = next(iter(_locked(session, [delivery_id])), None)
    if row is None:
        raise NoSuchDelivery
    if row.state not in {DeliveryState.UNKNOWN, DeliveryState.REFUSED} or row.letter != letters.NOTICE:
        raise NotRepeatable(row.state)
    same = address.casefold() == row.address.casefold()
    told = letters.carried_by(session, row.id)
    carried = [one for one in told if same or one.notice.id == notice_id]
    if not carried:
        raise NoSuchDelivery
    if len(carried) == len(told):  # else the others still wait for somebody
        kinds = (ItemKind.UNKNOWN_DELIVERY, ItemKind.REFUSED_DELIVERY)
        items.close_items(session, *kinds, about=row.id, by=by, now=now, note="sent again")
    if under_way := letters.under_way(session, row, carried, address=address, in_flight=notices.IN_FLIGHT):
        return under_way
    for one in carried:
        notices.postpone_unreached(session, one.notice, one.rule, by=by, now=now)
    again = letters.post_repeat(session, desk, row, carried, address=address, now=now)
    data = {"repeats": str(row.id), "same_address": same}
    events.record(
        session,
        EventKind.DELIVERY_REPEATED,
        about=again.id,
        announcement=row.announcement_id,
        by=by,
        now=now,
        **data,
    )
    doorbell.ring(session, doorbell.Bell.OUTBOX)
    return again


def get(session: Session, delivery_id: UUID) -> Delivery:
    delivery = session.get(Delivery, delivery_id)
    if delivery is None:
        raise NoSuchDelivery
    return delivery


def attempts(session: Session, delivery_id: UUID) -> list[Attempt]:
    return list(session.exec(select(Attempt).where(Attempt.delivery_id == delivery_id).order_by(col(Attempt.number))))


def database_now(session: Session) -> datetime:
    """Return the database's own clock (aware, UTC)."""
    if session.get_bind().dialect.name == "postgresql":
        instant: datetime = session.exec(select(sa.func.clock_timestamp())).one()
        return instant.astimezone(UTC)
    text: str = session.exec(select(sa.func.strftime("%Y-%m-%dT%H:%M:%f+00:00", "now"))).one()
    return datetime.fromisoformat(text)


def _outdated(session: Session, rows: Sequence[Delivery]) -> set[UUID]:
    """Return the mails that tell what has been corrected or withdrawn since: a worker held them then, and they came
    back.
    """
    told = [row.id for row in rows if row.announcement_id and row.letter not in letters.OUTLASTING]
    query = (
        select(DeliveryNotice.delivery_id)
        .join(Notice, col(Notice.id) == DeliveryNotice.notice_id)
        .join(Announcement, col(Announcement.id) == Notice.announcement_id)
        .where(col(DeliveryNotice.delivery_id).in_(told))
        .where(
            sa.or_(
                col(DeliveryNotice.edition) < col(Notice.edition),
                col(Announcement.state) == AnnouncementState.WITHDRAWN,
            )
        )
    )
    return {*session.exec(query), *session.exec(_for_nobody(told))} if told else set()


def _for_nobody(delivery_ids: Sequence[UUID]) -> SelectOfScalar[UUID]:
    """Select the mails that tell only clients for whom the change is not made."""
    meant = sa.func.sum(sa.case((col(Notice.excluded_at).is_(None), 1), else_=0))
    carried = select(DeliveryNotice.delivery_id).join(Notice, col(Notice.id) == DeliveryNotice.notice_id)
    return (
        carried.where(col(DeliveryNotice.delivery_id).in_(delivery_ids))
        .group_by(col(DeliveryNotice.delivery_id))
        .having(meant == 0)
    )


def _content(filler: letters.Filler, row: Delivery) -> bytes:
    content = filler.content(row)
    sha256 = hashlib.sha256(content).hexdigest()
    if row.sha256 and row.sha256 != sha256:
        raise BytesDiffer(row.id)
    row.sha256 = sha256
    return content


def _put_before_a_person(session: Session, desk: Desk, row: Delivery, why: str, *, worker: str, now: datetime) -> None:
    """A mail that cannot be rebuilt must not stop the others, nor be sent as something else."""
    outcome = Outcome(delivery_id=row.id, verdict=Verdict.REFUSED, code=None, reply=why, peer="", tls="")
    settle(session, desk, [outcome], worker=worker, now=now)
    doorbell.ring(session, doorbell.Bell.OUTBOX)  # it took a place in this round, and may have taken the last


def _envelope_sender(desk: Desk, profile: Provider, row: Delivery) -> str:
    """Return the envelope sender, with a tag that names this attempt where a bounce address is configured."""
    local, at, domain = desk.bounce_address.partition("@")
    if not at:
        return profile.sender_address
    return f"{local}+{desk.keyring.envelope_tag(row.id, row.attempt)}@{domain}"


def _locked(session: Session, delivery_ids: Sequence[UUID]) -> Sequence[Delivery]:
    query = select(Delivery).where(col(Delivery.id).in_(delivery_ids)).order_by(col(Delivery.id))
    locked = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.exec(locked).all()


def _may_take(row: Delivery, outcome: Outcome) -> bool:
    """An outcome counts for a row that is still this worker's; UNKNOWN means that its lease ended while the answer was
    on its way.
    """
    awaited = {DeliveryState.CLAIMED, DeliveryState.HANDING_OVER, DeliveryState.UNKNOWN}
    return row.state in awaited and not (
        row.state is DeliveryState.CLAIMED and outcome.verdict in {Verdict.ACCEPTED, Verdict.UNKNOWN}
    )


def _apply(session: Session, desk: Desk, row: Delivery, outcome: Outcome, now: datetime) -> None:
    row.state = next_delivery_state(row.state, STEP_OF[outcome.verdict])
    row.lease_until = None
    row.last_reply = f"{outcome.code or ''} {outcome.reply}".strip()
    if row.state is DeliveryState.ACCEPTED:
        row.accepted_at = now
    if row.state is DeliveryState.WAITING:
        row.due_at = now + retry_after(row.attempt, desk.mail_schedule)
    session.add(row)
    known = session.exec(select(Attempt).where(Attempt.delivery_id == row.id, Attempt.number == row.attempt)).first()
    attempt = known or Attempt(delivery_id=row.id, number=row.attempt, verdict="", at=now)
    attempt.verdict, attempt.code, attempt.reply = outcome.verdict.value, outcome.code, outcome.reply
    attempt.peer, attempt.tls, attempt.at = outcome.peer, outcome.tls, now
    session.add(attempt)


def _events(session: Session, row: Delivery, outcome: Outcome) -> list[Happened]:
    if outcome.verdict is Verdict.ACCEPTED and row.letter == letters.NOTICE:
        return _sent(session, row)
    return [_happened(KINDS[outcome.verdict], row, code=outcome.code)]


def _sent(session: Session, row: Delivery) -> list[Happened]:
    """One event for each client that the mail told."""
    query = (
        select(Notice.id, Client.key, Client.company)
        .join(DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id)
        .join(Client, col(Client.id) == Notice.client_id)
        .where(DeliveryNotice.delivery_id == row.id)
        .order_by(col(Client.key))
    )
    shared = {"delivery": str(row.id), "attempt": row.attempt, "sha256": row.sha256}
    return [
        Happened(
            kind=EventKind.NOTICE_SENT,
            about=notice_id,
            announcement=row.announcement_id,
            data={"client": key, "company": company, **shared},
        )
        for notice_id, key, company in session.exec(query)
    ]


def _happened(kind: EventKind, row: Delivery, **data: object) -> Happened:
    facts = {"letter": row.letter, "attempt": row.attempt, "sha256": row.sha256, **data}
    return Happened(kind=kind, about=row.id, announcement=row.announcement_id, data=facts)


def _follow_safely(session: Session, desk: Desk, rows: Sequence[Delivery], *, now: datetime) -> None:
    """Draw the consequences in a savepoint: what the relay said must not be lost because a letter cannot be written.

    What fails is logged, since a person must mend it, and `catch_up` tries it again.
    """
    session.flush()
    try:
        with session.begin_nested():
            _follow(session, desk, rows, now=now)
    except OperationalError:
        raise  # the database is in trouble: the worker writes all of it down again
    except Exception:
        log.exception("what follows from mails could not be written down; the next tick tries again", mails=len(rows))


def _follow(session: Session, desk: Desk, rows: Sequence[Delivery], *, now: datetime) -> None:
    """Draw the consequences for notices and open items."""
    session.flush()
    told = [row for row in rows if row.state is DeliveryState.ACCEPTED and row.letter == letters.NOTICE]
    if told:
        notices.accepted(session, desk, told, now=now)
    refused = [row for row in rows if row.state is DeliveryState.REFUSED and row.letter == letters.NOTICE]
    if refused:
        notices.failed(session, desk, refused, now=now)


def _close_items(session: Session, rows: Sequence[Delivery], *, by: str, now: datetime) -> None:
    """Close what asked a person about mails that were unknown and are so no more, however they ended."""
    for row in rows:
        if row.state is not DeliveryState.UNKNOWN:
            items.close_items(session, ItemKind.UNKNOWN_DELIVERY, about=row.id, by=by, now=now)


def _open_items(session: Session, rows: Sequence[Delivery], *, now: datetime) -> None:
    kinds = {DeliveryState.UNKNOWN: ItemKind.UNKNOWN_DELIVERY, DeliveryState.REFUSED: ItemKind.REFUSED_DELIVERY}
    for row in rows:
        if row.state in kinds and row.letter not in letters.TO_SUBSCRIBERS:
            items.open_item(session, kinds[row.state], about=row.id, announcement=row.announcement_id, now=now)
