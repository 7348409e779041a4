"""The outbox: claiming what is due, the commit before the final dot, and what the other side answered.

The three verbs `claim`, `hand_over` and `settle` are three transactions of one round; the worker holds the mails
between them.  Leases are taken and checked by the database's clock, the one exception to "the clock is an argument":
two workers' clocks may disagree.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.adapters.sending import Blame, Mail, Outcome, Verdict
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
from notifier.models.base import uuid7
from notifier.rules.delivery_states import DeliveryState, DeliveryStep, next_delivery_state, retry_after
from notifier.rules.limits import Allowance, RelayPlan, key_ends_at
from notifier.rules.links import UnknownKey
from notifier.rules.moulds import MouldError
from notifier.services import doorbell, events, holds, items, letters, notices, relays
from notifier.services.desk import Desk
from notifier.services.events import Happened
from notifier.services.rows import IDS, POSTGRESQL, Given, clock, dialect_of, given_ids, insert_set, table_of

log = structlog.get_logger()

MACHINE = notices.MACHINE
LEASE_MARGIN = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)  # for the answer to a final dot (RFC 5321 4.5.3.2.6)
TOGETHER = 500
ANYTHING = Allowance()  # through no relay in particular, without limits
NO_PLAN = RelayPlan(name="")
AWAITED = (DeliveryState.HANDING_OVER, DeliveryState.CLAIMED, DeliveryState.UNKNOWN)
OFFERED = (Verdict.ACCEPTED, Verdict.UNKNOWN)  # only what has been handed over can come to this
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


class Due(NamedTuple):
    """What a mail is written from."""

    id: UUID
    about_id: UUID
    announcement_id: UUID | None
    letter: str
    address: str
    mould_digest: str
    key_id: str
    facts: dict[str, Any]
    sha256: str
    attempt: int
    domain: str


class Tried(NamedTuple):
    """What the end of an attempt needs to know of a delivery."""

    id: UUID
    announcement_id: UUID | None
    letter: str
    sha256: str
    attempt: int
    state: DeliveryState
    deferrals: int


DELIVERY, CARRIES = table_of(Delivery).c, table_of(DeliveryNotice).c


class Ended(NamedTuple):
    """One attempt that has ended: the delivery as it was, what is known of it, and the state that it is in now."""

    row: Tried
    outcome: Outcome
    state: DeliveryState

    @property
    def is_known_at_last(self) -> bool:
        return self.row.state is DeliveryState.UNKNOWN is not self.state


def claim(
    session: Session, desk: Desk, *, worker: str, limit: int, now: datetime, allowance: Allowance = ANYTHING
) -> list[Mail]:
    """Take what is due under a lease, small and urgent lanes first, and return it ready for the wire.

    `allowance` says through which relay it leaves and what may; what is taken of it is taken down.
    Nothing is taken before the provider's profile is complete, nor while sending is on hold.
    """
    session.flush()
    profile = session.get(Provider, 1)
    if profile is None or profile.missing or holds.is_held(session):
        return []
    due = _due(session, allowance, limit=limit, now=now)
    if outdated := _outdated(session, due):
        stale = session.exec(select(Delivery).where(col(Delivery.id).in_(outdated))).all()
        letters.drop(session, stale, by=MACHINE, now=now)
        doorbell.ring(session, doorbell.Bell.OUTBOX)  # they took places in this round
    taken = [row for row in due if row.id not in outdated]
    if not taken:
        return []
    relay = allowance.relay or NO_PLAN
    mails, broken = _written(session, desk, profile, relay, taken)
    kept: list[dict[str, str | None]] = [{"id": mail.delivery_id.hex, "sha256": mail.sha256} for mail in mails]
    kept += [{"id": outcome.delivery_id.hex, "sha256": None} for outcome in broken]
    by = {"worker": worker, "relay": relay.name}
    session.execute(_claiming(dialect_of(session), desk.mail_lease), Given.rows(session, kept) | by)
    session.expire_all()
    if allowance.relay:
        relays.take(session, desk, allowance, mails, worker=worker, now=database_now(session))
    if broken:
        settle(session, desk, broken, worker=worker, now=now)
        doorbell.ring(session, doorbell.Bell.OUTBOX)  # they took places too, and may have taken the last
    return mails


def hand_over(session: Session, desk: Desk, mails: Sequence[Mail], *, worker: str) -> set[UUID]:
    """Write down, for a whole round, that these mails are about to leave; returns those that may.

    Fenced by the claim: a row whose lease has ended, or that somebody has claimed since, does not come back, nor does
    any while sending is on hold; such a mail must be dropped before the final dot.
    """
    session.flush()
    offered = Given.rows(session, [{"id": mail.delivery_id.hex, "attempt": mail.attempt} for mail in mails])
    mine = session.execute(_handing_over(dialect_of(session), desk.mail_lease), offered | {"worker": worker})
    leaving = set(mine.scalars())
    session.expire_all()
    return leaving


def settle(
    session: Session,
    desk: Desk,
    outcomes: Sequence[Outcome],
    *,
    worker: str,
    now: datetime,
    allowance: Allowance = ANYTHING,
) -> None:
    """Record what became of each mail of a round, and what follows from it, also for the relay."""
    session.flush()
    if not relays.is_smooth(allowance, outcomes):
        relays.note(session, desk, allowance, outcomes, now=database_now(session))
    answered = {outcome.delivery_id: outcome for outcome in outcomes}
    rows = _tried(session, list(answered), worker)
    ended = [
        Ended(row, outcome, next_delivery_state(row.state, STEP_OF[outcome.verdict]))
        for row in rows
        if _may_take(row, outcome := answered[row.id])
    ]
    if not ended:
        return
    _keep(session, desk, ended, now=now)
    events.record_all(session, _events(session, ended), by=MACHINE, now=now)
    session.expire_all()
    _close_items(session, [one.row.id for one in ended if one.is_known_at_last], by=MACHINE, now=now)
    _open_items(session, [(one.row.id, one.row.announcement_id, one.row.letter, one.state) for one in ended], now=now)
    moved = (DeliveryState.ACCEPTED, DeliveryState.REFUSED)
    told = [one.row.id for one in ended if one.state in moved and one.row.letter == letters.NOTICE]
    _follow_safely(session, desk, told, now=now)


def release(session: Session, mails: Sequence[Mail], *, worker: str) -> None:
    """Give back what was claimed and never offered: nothing of it has left."""
    session.execute(
        sa.update(table_of(Delivery))
        .where(
            DELIVERY.id.in_(IDS.ids(dialect_of(session))),
            DELIVERY.state == DeliveryState.CLAIMED,
            DELIVERY.claimed_by == worker,
        )
        .values(state=next_delivery_state(DeliveryState.CLAIMED, DeliveryStep.RELEASE), lease_until=None),
        given_ids(session, [mail.delivery_id for mail in mails]),
    )


def catch_up(session: Session, desk: Desk, *, now: datetime) -> int:
    """Draw the consequences that failed when a round was settled; returns for how many mails."""
    due = notices.overdue(session)
    for row in due:
        _follow_safely(session, desk, [row.id], now=now)
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
    _open_items(session, [_as_item(row) for row in lost], now=now)
    if len(expired) > len(lost):
        doorbell.ring(session, doorbell.Bell.OUTBOX)
    return len(expired)


def send_again(session: Session, desk: Desk, *, now: datetime) -> int:
    """Let mails whose answer was lost go once more, through the relay that knows them again by their key; returns how
    many.

    Only for as long as that key lives, counted from before the first copy can have left.  What was in doubt because of
    a restored copy stays so.
    """
    _end_keys(session, now=now)
    lives = {plan.name: plan.key_life for plan in desk.relays if plan.key_life}
    if not lives:
        return 0
    lately = (
        select(Attempt.id)
        .where(Attempt.delivery_id == Delivery.id, Attempt.number == Delivery.attempt)
        .where(Attempt.at > now - max(lives.values()))
        .correlate(Delivery)
        .exists()
    )
    query = (
        select(Delivery)
        .where(Delivery.state == DeliveryState.UNKNOWN, col(Delivery.relay).in_(lives), lately)
        .where(col(Delivery.last_reply).not_in((holds.DOUBTED, holds.LEAVING)))
        .limit(TOGETHER)
        .with_for_update(skip_locked=True)
    )
    rows = session.exec(query).all()
    lost = _lost_at(session, desk, [row.id for row in rows])
    ends = {row.id: key_ends_at(min(lost[row.id]), lives[row.relay]) for row in rows if row.id in lost}
    again = [row for row in rows if row.id in ends and ends[row.id] > now]
    instant = database_now(session)
    for row in again:
        row.state = next_delivery_state(row.state, DeliveryStep.DEFER)
        row.same_until = instant + (ends[row.id] - now)
        row.due_at = now + retry_after(len(lost[row.id]), desk.mail_rests)
        session.add(row)
    happened = [_happened(EventKind.DELIVERY_DEFERRED, row, same_key=True) for row in again]
    events.record_all(session, happened, by=MACHINE, now=now)
    _close_items(session, [row.id for row in again], by=MACHINE, now=now)
    return len(again)


def _end_keys(session: Session, *, now: datetime) -> None:
    """What has not gone again before its key ended is unknown as before, and a person's."""
    query = (
        select(Delivery)
        .where(Delivery.state == DeliveryState.WAITING, col(Delivery.same_until) <= database_now(session))
        .with_for_update(skip_locked=True)
    )
    ended = session.exec(query).all()
    for row in ended:
        row.state, row.same_until = next_delivery_state(row.state, DeliveryStep.LOSE), None
        session.add(row)
    events.record_all(session, [_happened(EventKind.DELIVERY_UNKNOWN, row) for row in ended], by=MACHINE, now=now)
    _open_items(session, [_as_item(row) for row in ended], now=now)


def _lost_at(session: Session, desk: Desk, delivery_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[datetime]]:
    """Return the instants at which a relay may first have seen each copy whose answer was lost.

    What is written down of a dead worker's mail is written after its lease had ended.
    """
    lost: defaultdict[UUID, list[datetime]] = defaultdict(list)
    query = select(Attempt).where(col(Attempt.delivery_id).in_(delivery_ids), Attempt.verdict == Verdict.UNKNOWN)
    for attempt in session.exec(query):
        before = LONGEST_WAIT if attempt.peer else 2 * desk.mail_lease + LONGEST_WAIT
        lost[attempt.delivery_id].append(attempt.at - before)
    return lost


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
    _close_items(session, [row.id], by=by, now=now)
    _follow_safely(session, desk, _told_by([row]), now=now)
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
    _open_items(session, [_as_item(row)], now=now)
    _follow_safely(session, desk, _told_by([row]), now=now)
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
    if dialect_of(session) == POSTGRESQL:
        instant: datetime = session.execute(_CLOCK).scalar_one()
        return instant.astimezone(UTC)
    return datetime.fromisoformat(session.execute(_SQLITES_CLOCK).scalar_one())


def _due(session: Session, allowance: Allowance, *, limit: int, now: datetime) -> list[Due]:
    """Lock what is due; where a domain may have no more, the places are for the mails behind it."""
    due: list[Due] = []
    left, full = dict(allowance.at_most), set(allowance.avoid)
    while len(due) < limit:
        again = {row.id for row in due if row.domain not in full}  # locked by us, and so found once more
        found = _next_due(session, allowance, full=full, limit=limit - len(due) + len(again), now=now)
        new = [row for row in found if row.id not in again]
        taken = [row for row in new if _has_room(left, row.domain)]
        due += taken
        if len(taken) == len(new):
            break
        full |= {domain for domain, room in left.items() if not room}
    return due


def _has_room(left: dict[str, int], domain: str) -> bool:
    if domain in left:
        left[domain] -= 1
        if left[domain] < 0:
            left[domain] = 0
            return False
    return True


def _next_due(session: Session, allowance: Allowance, *, full: set[str], limit: int, now: datetime) -> list[Due]:
    """On SQLite the transaction's own lock keeps others out."""
    due = _DUE.where(*holds.may_leave(paused)) if (paused := holds.paused(session)) else _DUE
    due = due.where(_is_bound_to(allowance.relay))
    if full:
        due = due.where(DELIVERY.domain.not_in(full))
    return [Due(*row) for row in session.execute(due, {"now": now, "mails": limit})]


def _is_bound_to(relay: RelayPlan | None) -> sa.ColumnElement[bool]:
    """What may have arrived goes again only through the relay that knows it by its key (`send_again`)."""
    is_new = DELIVERY.same_until.is_(None)
    return sa.or_(is_new, DELIVERY.relay == relay.name) if relay and relay.key_life is not None else is_new


def _outdated(session: Session, rows: Sequence[Due]) -> set[UUID]:
    """Return the mails that tell what has been corrected, withdrawn or cancelled since, or only clients for whom the
    change is not made: a worker held them then, and they came back.
    """
    told = [row.id for row in rows if row.announcement_id and row.letter not in letters.OUTLASTING]
    if not told:
        return set()
    found = session.execute(_outdating(dialect_of(session)), given_ids(session, told))
    return set(found.scalars()) | holds.cancelled(session, told)


def _written(
    session: Session, desk: Desk, profile: Provider, relay: RelayPlan, rows: Sequence[Due]
) -> tuple[list[Mail], list[Outcome]]:
    """Write the mails of what is being claimed; one that cannot be rebuilt must not stop the others, nor be sent as
    something else.
    """
    filler = letters.Filler(session, desk)
    filler.fetch(row.mould_digest for row in rows)
    mails, broken = [], []
    is_tagged = bool(desk.bounce_address) and not relay.fixed_sender
    is_answered = is_tagged or desk.takes_in_replies  # where nobody reads reports, none is asked for
    for row in rows:
        attempt = row.attempt + 1
        try:
            content = filler.content(row)
            sha256 = hashlib.sha256(content).hexdigest()
            _same_bytes(row, sha256)
            tag = desk.keyring.envelope_tag(row.id, attempt)
        except (BytesDiffer, UnknownKey, MouldError) as trouble:
            verdict = Verdict.REFUSED
            why = str(trouble)
            broken.append(
                Outcome(delivery_id=row.id, attempt=attempt, verdict=verdict, code=None, reply=why, peer="", tls="")
            )
        else:
            mails.append(
                Mail(
                    delivery_id=row.id,
                    attempt=attempt,
                    sender=_tagged(desk, tag) if is_tagged else profile.sender_address,
                    recipient=row.address,
                    content=content,
                    sha256=sha256,
                    tag=tag if is_answered else "",
                )
            )
    return mails, broken


def _same_bytes(row: Due, sha256: str) -> None:
    if row.sha256 not in {"", sha256}:
        raise BytesDiffer(row.id)


def _tagged(desk: Desk, tag: str) -> str:
    """Return an envelope sender that names this attempt."""
    local, _, domain = desk.bounce_address.partition("@")
    return f"{local}+{tag}@{domain}"


def _locked(session: Session, delivery_ids: Sequence[UUID]) -> Sequence[Delivery]:
    query = select(Delivery).where(col(Delivery.id).in_(delivery_ids)).order_by(col(Delivery.id))
    locked = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return session.exec(locked).all()


def _tried(session: Session, delivery_ids: Sequence[UUID], worker: str) -> list[Tried]:
    """Lock what this worker has claimed and nobody has since."""
    mine = session.execute(_trying(dialect_of(session)), given_ids(session, delivery_ids) | {"worker": worker})
    return [Tried(*row) for row in mine]


def _may_take(row: Tried, outcome: Outcome) -> bool:
    """An outcome counts for a row that is still this attempt's; UNKNOWN means that its lease ended while the answer was
    on its way.
    """
    is_untrue = row.state is DeliveryState.CLAIMED and outcome.verdict in OFFERED
    return row.attempt == outcome.attempt and row.state in AWAITED and not is_untrue


def _keep(session: Session, desk: Desk, ended: Sequence[Ended], *, now: datetime) -> None:
    """Write states and attempts down: two statements, however many mails."""
    pause = desk.mail_rests[0] if relays.answers(outcome for _, outcome, _ in ended) else timedelta()
    given = [
        {
            "id": row.id.hex,
            "state": state.value,
            "reply": f"{outcome.code or ''} {outcome.reply}".strip(),
            "accepted_at": now if state is DeliveryState.ACCEPTED else None,
            **_put_off(desk, row, outcome, pause, now=now, is_waiting=state is DeliveryState.WAITING),
        }
        for row, outcome, state in ended
    ]
    session.execute(_knowing(dialect_of(session)), Given.rows(session, given))
    answer = ("verdict", "code", "reply", "peer", "tls", "at")  # also to one that was taken for lost
    attempts = [_attempt(one) for one in ended]
    insert_set(session, Attempt, attempts, {"at": now}, latest=(("delivery_id", "number"), answer))


def _put_off(
    desk: Desk, row: Tried, outcome: Outcome, pause: timedelta, *, now: datetime, is_waiting: bool
) -> dict[str, Any]:
    """Say when a mail is due again.  What the relay is to blame for is none of its deferrals, and is due at once: that
    relay rests.  Where it only turned some mails away, `pause` keeps us from asking it again at once.
    """
    if not is_waiting:
        return {"due_at": None, "deferrals": row.deferrals}
    if outcome.blame is not Blame.NONE:
        # It may be this very mail that the relay hangs up on: from its third go on, another one is tried after a rest.
        is_suspect = outcome.code is not None and row.attempt > 2  # noqa: PLR2004 - twice is chance
        own = retry_after(row.attempt - 1, desk.mail_schedule) if is_suspect else timedelta()
        return {"due_at": now + max(pause, own), "deferrals": row.deferrals}
    deferrals = row.deferrals + 1
    return {"due_at": now + retry_after(deferrals, desk.mail_schedule), "deferrals": deferrals}


def _attempt(one: Ended) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "id": uuid7().hex,
        "delivery_id": one.row.id.hex,
        "number": one.row.attempt,
        "verdict": outcome.verdict.value,
        "code": outcome.code,
        "reply": outcome.reply,
        "peer": outcome.peer,
        "tls": outcome.tls,
    }


def _events(session: Session, ended: Sequence[Ended]) -> list[Happened]:
    """One event for each mail; for a notice that was taken, one for each client that it tells."""
    taken = [one.row.id for one in ended if one.state is DeliveryState.ACCEPTED and one.row.letter == letters.NOTICE]
    told = _clients_told(session, taken) if taken else {}
    return [
        happened
        for row, outcome, state in ended
        for happened in (
            _sent(row, told.get(row.id, ()))
            if state is DeliveryState.ACCEPTED and row.letter == letters.NOTICE
            else [_happened(KINDS[outcome.verdict], row, code=outcome.code)]
        )
    ]


def _clients_told(session: Session, delivery_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[tuple[UUID, str, str]]]:
    """Return whom each mail tells: the notice, the client's key and its company."""
    told: defaultdict[UUID, list[tuple[UUID, str, str]]] = defaultdict(list)
    found = session.execute(_telling(dialect_of(session)), given_ids(session, delivery_ids))
    for delivery_id, notice_id, key, company in found:
        told[delivery_id].append((notice_id, key, company))
    return told


def _sent(row: Tried, told: Iterable[tuple[UUID, str, str]]) -> list[Happened]:
    shared = {"delivery": str(row.id), "attempt": row.attempt, "sha256": row.sha256}
    return [
        Happened(
            kind=EventKind.NOTICE_SENT,
            about=notice_id,
            announcement=row.announcement_id,
            data={"client": key, "company": company, **shared},
        )
        for notice_id, key, company in told
    ]


def _happened(kind: EventKind, row: Tried | Delivery, **data: object) -> Happened:
    facts = {"letter": row.letter, "attempt": row.attempt, "sha256": row.sha256, **data}
    return Happened(kind=kind, about=row.id, announcement=row.announcement_id, data=facts)


def _follow_safely(session: Session, desk: Desk, delivery_ids: Sequence[UUID], *, now: datetime) -> None:
    """Draw the consequences in a savepoint: what the relay said must not be lost because a letter cannot be written.

    What fails is logged, since a person must mend it, and `catch_up` tries it again.
    """
    session.flush()
    if not delivery_ids:
        return
    try:
        with session.begin_nested():
            notices.reckon_told(session, desk, delivery_ids, now=now)
    except OperationalError:
        raise  # the database is in trouble: the worker writes all of it down again
    except Exception:
        log.exception(
            "what follows from mails could not be written down; the next tick tries again", mails=len(delivery_ids)
        )


def _told_by(rows: Sequence[Delivery]) -> list[UUID]:
    return [row.id for row in rows if row.letter == letters.NOTICE]


def _close_items(session: Session, delivery_ids: Sequence[UUID], *, by: str, now: datetime) -> None:
    """Close what asked a person about mails that were unknown, and of which more is known now."""
    for delivery_id in delivery_ids:
        items.close_items(session, ItemKind.UNKNOWN_DELIVERY, about=delivery_id, by=by, now=now)


def _open_items(
    session: Session, ended: Sequence[tuple[UUID, UUID | None, str, DeliveryState]], *, now: datetime
) -> None:
    kinds = {DeliveryState.UNKNOWN: ItemKind.UNKNOWN_DELIVERY, DeliveryState.REFUSED: ItemKind.REFUSED_DELIVERY}
    for delivery_id, announcement_id, letter, state in ended:
        if state in kinds and letter not in letters.TO_SUBSCRIBERS:
            items.open_item(session, kinds[state], about=delivery_id, announcement=announcement_id, now=now)


def _as_item(row: Delivery) -> tuple[UUID, UUID | None, str, DeliveryState]:
    return row.id, row.announcement_id, row.letter, row.state


# --- statements of every round, each written once ---------------------------------------------------------------------

_CLOCK = sa.select(sa.func.clock_timestamp())
_SQLITES_CLOCK = sa.select(sa.func.strftime("%Y-%m-%dT%H:%M:%f+00:00", "now"))
_CLAIMED = Given({"id": sa.Uuid(), "sha256": sa.Text()})
_OFFERED = Given({"id": sa.Uuid(), "attempt": sa.Integer()})
_KNOWN = Given(
    {
        "id": sa.Uuid(),
        "state": sa.Text(),
        "reply": sa.Text(),
        "accepted_at": UTCDateTime(),
        "due_at": UTCDateTime(),
        "deferrals": sa.Integer(),
    }
)
_DUE = (
    sa.select(*(DELIVERY[name] for name in Due._fields))
    .where(DELIVERY.state == DeliveryState.WAITING, DELIVERY.due_at <= sa.bindparam("now"))
    .order_by(DELIVERY.lane, DELIVERY.due_at)
    .limit(sa.bindparam("mails"))
    .with_for_update(skip_locked=True)
)


@cache
def _claiming(dialect: str, lease: timedelta) -> sa.Update:
    claimed = _CLAIMED.table(dialect)
    return (
        sa.update(table_of(Delivery))
        .where(DELIVERY.id == claimed.c.id)
        .values(
            state=next_delivery_state(DeliveryState.WAITING, DeliveryStep.CLAIM),
            attempt=DELIVERY.attempt + 1,
            claimed_by=sa.bindparam("worker"),
            lease_until=clock(dialect, later=lease),
            sha256=sa.func.coalesce(claimed.c.sha256, DELIVERY.sha256),
            relay=sa.bindparam("relay"),
        )
    )


@cache
def _handing_over(dialect: str, lease: timedelta) -> Any:  # noqa: ANN401 - an UPDATE that returns rows has no public type
    offered = _OFFERED.table(dialect)
    # SQLite would read all that are claimed, by an index on the bare column.
    state = sa.func.coalesce(DELIVERY.state, "")
    return (
        sa.update(table_of(Delivery))
        .where(
            DELIVERY.id == offered.c.id,
            DELIVERY.attempt == offered.c.attempt,
            state == DeliveryState.CLAIMED,
            DELIVERY.claimed_by == sa.bindparam("worker"),
            DELIVERY.lease_until > clock(dialect, later=LEASE_MARGIN),
            sa.or_(DELIVERY.same_until.is_(None), DELIVERY.same_until > clock(dialect)),
            ~holds.HELD.exists(),
        )
        .values(
            state=next_delivery_state(DeliveryState.CLAIMED, DeliveryStep.HAND_OVER),
            lease_until=clock(dialect, later=lease),
        )
        .returning(DELIVERY.id)
    )


@cache
def _trying(dialect: str) -> sa.Select[Any]:
    return (
        sa.select(*(DELIVERY[name] for name in Tried._fields))
        .where(DELIVERY.id.in_(IDS.ids(dialect)), DELIVERY.claimed_by == sa.bindparam("worker"))
        .order_by(DELIVERY.id)
        .with_for_update(key_share=True)
    )


@cache
def _knowing(dialect: str) -> sa.Update:
    known = _KNOWN.table(dialect)
    return (
        sa.update(table_of(Delivery))
        .where(DELIVERY.id == known.c.id)
        .values(
            state=known.c.state,
            lease_until=None,
            last_reply=known.c.reply,
            accepted_at=known.c.accepted_at,
            due_at=sa.func.coalesce(known.c.due_at, DELIVERY.due_at),
            deferrals=known.c.deferrals,
        )
    )


@cache
def _outdating(dialect: str) -> sa.Select[Any]:
    notice, announcement = table_of(Notice).c, table_of(Announcement).c
    meant = sa.func.sum(sa.case((notice.excluded_at.is_(None), 1), else_=0))  # none: it tells nobody of anything
    is_old = sa.or_(CARRIES.edition < notice.edition, announcement.state == AnnouncementState.WITHDRAWN)
    old = sa.func.sum(sa.case((is_old, 1), else_=0))
    return (
        sa.select(CARRIES.delivery_id)
        .join(table_of(Notice), notice.id == CARRIES.notice_id)
        .join(table_of(Announcement), announcement.id == notice.announcement_id)
        .where(CARRIES.delivery_id.in_(IDS.ids(dialect)))
        .group_by(CARRIES.delivery_id)
        .having(sa.or_(old > 0, meant == 0))
    )


@cache
def _telling(dialect: str) -> sa.Select[Any]:
    notice, client = table_of(Notice).c, table_of(Client).c
    return (
        sa.select(CARRIES.delivery_id, notice.id, client.key, client.company)
        .join(table_of(Notice), notice.id == CARRIES.notice_id)
        .join(table_of(Client), client.id == notice.client_id)
        .where(CARRIES.delivery_id.in_(IDS.ids(dialect)))
        .order_by(client.key)
    )
