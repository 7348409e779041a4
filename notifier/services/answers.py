"""Answers: what a client's contact says to a notice, through the link in its mail.

Acknowledging confirms receipt and nothing else: objecting and terminating stay open after it, and any contact's
objection stands until it is withdrawn.  Acting twice does no harm: the second time shows the first receipt.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    Answer,
    AnswerKind,
    Client,
    Delivery,
    DeliveryNotice,
    EventKind,
    Fetch,
    ItemKind,
    Link,
    Notice,
)
from notifier.models.base import uuid7
from notifier.rules.links import digest
from notifier.rules.terms import Mode, Rule
from notifier.services import doorbell, events, items, letters, outbox
from notifier.services.desk import Desk

LONGEST_NAME = 200
LONGEST_REASONS = 10_000
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no letter that reads like another
ITEMS = {AnswerKind.OBJECTION: ItemKind.OBJECTION, AnswerKind.TERMINATION: ItemKind.TERMINATION}


class LinkInvalid(LookupError):
    """Unknown, expired, revoked or altered: whoever opens it learns no more than that."""

    def __init__(self) -> None:
        super().__init__("this link is not valid or no longer valid")


class NotYours(LookupError):
    """A notice that this link does not open."""

    def __init__(self) -> None:
        super().__init__("this link does not open that notice")


class NameMissing(ValueError):
    def __init__(self) -> None:
        super().__init__("type your full name")


class ReasonsMissing(ValueError):
    def __init__(self) -> None:
        super().__init__("say why you object")


class NoteMissing(ValueError):
    def __init__(self) -> None:
        super().__init__("write down what settled it")


class NothingChosen(ValueError):
    def __init__(self) -> None:
        super().__init__("choose at least one company")


class NoSuchAnswer(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such answer")


@dataclass(frozen=True, slots=True)
class Told:
    """One notice that a link opens, with what has been answered to it."""

    notice: Notice
    client: Client
    rule: Rule
    answers: tuple[Answer, ...]

    @property
    def may_terminate(self) -> bool:
        """Say whether this client's contract offers to leave because of the change."""
        return self.rule.mode is Mode.NOTICE_WITH_EXIT

    def standing(self, kind: AnswerKind) -> Answer | None:
        return next((answer for answer in self.answers if answer.kind is kind and answer.standing), None)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link opens: the announcement, and the notices of this link's address."""

    delivery: Delivery
    announcement: Announcement
    told: tuple[Told, ...]

    def one(self, notice_id: UUID) -> Told:
        for told in self.told:
            if told.notice.id == notice_id:
                return told
        raise NotYours


def open_link(session: Session, token: str, *, now: datetime) -> Opened:
    """Return what a token opens; LinkInvalid for anything but a good one, whatever is wrong with it."""
    link = session.get(Link, digest(token))
    if link is None or link.purpose != "notice" or link.revoked_at or link.expires_at <= now:
        raise LinkInvalid
    delivery = outbox.get(session, link.delivery_id)
    announcement = session.get(Announcement, delivery.announcement_id)
    if announcement is None:
        raise LinkInvalid
    return Opened(delivery=delivery, announcement=announcement, told=_told(session, delivery))


def record_fetch(
    session: Session, desk: Desk, token: str, *, method: str, agent: str, prefetch: bool, now: datetime
) -> None:
    """Keep that a link was opened: proof that the mail arrived, and nothing else.  It closes an unknown delivery."""
    link = session.get(Link, digest(token))
    if link is None:
        return
    outbox.prove_arrival(session, desk, link.delivery_id, by=f"link:{link.delivery_id}", evidence="fetch", now=now)
    session.add(Fetch(delivery_id=link.delivery_id, at=now, method=method, agent=agent[:200], prefetch=prefetch))


def acknowledge(
    session: Session,
    desk: Desk,
    token: str,
    notice_ids: Sequence[UUID],
    *,
    name: str,
    machine_like: bool = False,
    now: datetime,
) -> str:
    """Confirm receipt for one or several companies of a mail; returns the reference."""
    if not notice_ids:
        raise NothingChosen
    return _record(
        session,
        desk,
        token,
        notice_ids,
        AnswerKind.ACKNOWLEDGEMENT,
        name=name,
        reasons="",
        machine_like=machine_like,
        now=now,
    )


def object_to(
    session: Session,
    desk: Desk,
    token: str,
    notice_id: UUID,
    *,
    name: str,
    reasons: str,
    machine_like: bool = False,
    now: datetime,
) -> str:
    """Object for one company, with reasons; returns the reference."""
    if not reasons.strip():
        raise ReasonsMissing
    return _record(
        session,
        desk,
        token,
        [notice_id],
        AnswerKind.OBJECTION,
        name=name,
        reasons=reasons,
        machine_like=machine_like,
        now=now,
    )


def terminate(
    session: Session,
    desk: Desk,
    token: str,
    notice_id: UUID,
    *,
    name: str,
    reasons: str = "",
    machine_like: bool = False,
    now: datetime,
) -> str:
    """Terminate one company's contract because of the change; returns the reference."""
    return _record(
        session,
        desk,
        token,
        [notice_id],
        AnswerKind.TERMINATION,
        name=name,
        reasons=reasons,
        machine_like=machine_like,
        now=now,
    )


def withdraw(
    session: Session, desk: Desk, token: str, notice_id: UUID, *, name: str, machine_like: bool = False, now: datetime
) -> str:
    """Withdraw the objections that stand for one company, through a link of the same company; returns the reference.

    This is the one act that opens a gate, so one that looks like a machine's closes nothing: it is put before a person,
    and the empty reference says that the objection stands.
    """
    signed = _signed(name)
    opened = open_link(session, token, now=now)
    notice = opened.one(notice_id).notice
    _locked(session, [notice.id])
    objections = select(Answer).where(Answer.notice_id == notice.id, Answer.kind == AnswerKind.OBJECTION)
    standing = session.exec(objections.where(col(Answer.standing).is_(True)).order_by(col(Answer.id))).all()
    if machine_like:
        _doubt(session, notice, standing, by=f"link:{opened.delivery.id}", now=now)
        return ""
    for answer in standing:
        _close(session, answer, by=f"link:{opened.delivery.id}", note=f"withdrawn by {signed}", now=now)
    if standing:
        letters.post_receipt(session, desk, standing[:1], "withdrawal", given_by=signed, now=now)
        doorbell.ring(session, doorbell.Bell.OUTBOX)
    return standing[0].reference if standing else ""


def settle(session: Session, answer_id: UUID, *, note: str, by: str, now: datetime) -> Answer:
    """Close an objection or a termination by a person of the staff, who writes down what settled it."""
    answer = session.get(Answer, answer_id, with_for_update=True)
    if answer is None or answer.kind not in ITEMS:
        raise NoSuchAnswer
    if not note.strip():
        raise NoteMissing
    if answer.standing:
        _close(session, answer, by=by, note=note.strip(), now=now)
    return answer


def review(session: Session, answer_id: UUID, *, note: str, by: str, now: datetime) -> None:
    """Record that a person has looked at an answer that seemed a machine's; the answer itself stands."""
    answer = session.get(Answer, answer_id)
    if answer is None:
        raise NoSuchAnswer
    notice = session.exec(select(Notice).where(Notice.id == answer.notice_id)).one()
    items.close_items(session, ItemKind.MACHINE_LIKE_ANSWER, about=answer.id, by=by, now=now, note=note.strip())
    facts = {"answer": answer.kind.value, "reference": answer.reference}
    kind, announcement = EventKind.ANSWER_REVIEWED, notice.announcement_id
    events.record(session, kind, about=notice.id, announcement=announcement, by=by, now=now, **facts)


def by_reference(session: Session, opened: Opened, reference: str) -> list[Answer]:
    """Return the answers of one act, if this link opens their notices."""
    mine = [told.notice.id for told in opened.told]
    query = select(Answer).where(Answer.reference == reference, col(Answer.notice_id).in_(mine))
    return list(session.exec(query.order_by(col(Answer.id))))


def _record(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    token: str,
    notice_ids: Sequence[UUID],
    kind: AnswerKind,
    *,
    name: str,
    reasons: str,
    machine_like: bool,
    now: datetime,
) -> str:
    signed = _signed(name)
    opened = open_link(session, token, now=now)
    told = [opened.one(notice_id) for notice_id in dict.fromkeys(notice_ids)]
    by = f"link:{opened.delivery.id}"
    # Deliveries are locked before notices, as the worker does, so that the two cannot wait for each other.
    outbox.prove_arrival(session, desk, opened.delivery.id, by=by, evidence="answer", now=now)
    _locked(session, notice_ids)
    address = opened.delivery.address.casefold()
    already = [_mine(session, one.notice.id, kind, address) for one in told]
    fresh = [one for one, answer in zip(told, already, strict=True) if answer is None]
    if not fresh:
        return next(answer.reference for answer in already if answer)
    reference = _reference()
    answers = [
        Answer(
            id=uuid7(),
            notice_id=one.notice.id,
            delivery_id=opened.delivery.id,
            address=address,
            kind=kind,
            signed_name=signed,
            reasons=reasons.strip()[:LONGEST_REASONS],
            reference=reference,
            answered_at=now,
            late=now >= one.notice.object_until,
            machine_like=machine_like,
        )
        for one in fresh
    ]
    session.add_all(answers)
    session.flush()
    for one, answer in zip(fresh, answers, strict=True):
        _tell(session, desk, one, answer, by=by, now=now)
    letters.post_receipt(session, desk, answers, kind.value, given_by=signed, now=now)
    doorbell.ring(session, doorbell.Bell.OUTBOX)
    return reference


def _tell(session: Session, desk: Desk, told: Told, answer: Answer, *, by: str, now: datetime) -> None:
    data = {
        "answer": answer.kind.value,
        "reference": answer.reference,
        "client": told.client.key,
        "company": told.client.company,
        "late": answer.late,
        "machine_like": answer.machine_like,
    }
    announcement = told.notice.announcement_id
    events.record(
        session, EventKind.ANSWER_RECORDED, about=told.notice.id, announcement=announcement, by=by, now=now, **data
    )
    if answer.kind in ITEMS:
        items.open_item(session, ITEMS[answer.kind], about=answer.id, announcement=announcement, now=now)
        letters.post_alert(session, desk, answer, told.notice, told.client, now=now)
    if answer.machine_like:
        items.open_item(session, ItemKind.MACHINE_LIKE_ANSWER, about=answer.id, announcement=announcement, now=now)


def _doubt(session: Session, notice: Notice, standing: Sequence[Answer], *, by: str, now: datetime) -> None:
    announcement = notice.announcement_id
    for answer in standing:
        items.open_item(session, ItemKind.MACHINE_LIKE_ANSWER, about=answer.id, announcement=announcement, now=now)
        facts = {"answer": "withdrawal", "reference": answer.reference}
        kind = EventKind.ANSWER_DOUBTED
        events.record(session, kind, about=notice.id, announcement=announcement, by=by, now=now, **facts)


def _close(session: Session, answer: Answer, *, by: str, note: str, now: datetime) -> None:
    answer.standing, answer.closed_at, answer.closed_by, answer.closing_note = None, now, by, note
    session.add(answer)
    notice = session.exec(select(Notice).where(Notice.id == answer.notice_id)).one()
    data = {"answer": answer.kind.value, "reference": answer.reference}
    events.record(
        session, EventKind.ANSWER_CLOSED, about=notice.id, announcement=notice.announcement_id, by=by, now=now, **data
    )
    items.close_items(session, ITEMS[answer.kind], about=answer.id, by=by, now=now, note=note)


def _told(session: Session, delivery: Delivery) -> tuple[Told, ...]:
    from_notice = select(Notice, Client).join(DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id)
    pairs = session.exec(
        from_notice.join(Client, col(Client.id) == Notice.client_id)
        .where(DeliveryNotice.delivery_id == delivery.id)
        .order_by(col(Client.company))
    ).all()
    return tuple(_one_told(session, notice, client) for notice, client in pairs)


def _one_told(session: Session, notice: Notice, client: Client) -> Told:
    rule = letters.rule_of(session, notice)
    answers = session.exec(select(Answer).where(Answer.notice_id == notice.id).order_by(col(Answer.answered_at))).all()
    return Told(notice=notice, client=client, rule=rule, answers=tuple(answers))


def _locked(session: Session, notice_ids: Sequence[UUID]) -> None:
    """Answers to one notice are recorded one after the other, so that two at once cannot both be the first."""
    query = select(Notice).where(col(Notice.id).in_(notice_ids)).order_by(col(Notice.id))
    session.exec(query.with_for_update(key_share=True)).all()


def _mine(session: Session, notice_id: UUID, kind: AnswerKind, address: str) -> Answer | None:
    """Return the same answer given from the same address before, if it still stands."""
    query = select(Answer).where(Answer.notice_id == notice_id, Answer.kind == kind, Answer.address == address)
    return session.exec(query.where(col(Answer.standing).is_(True))).first()


def _signed(name: str) -> str:
    signed = " ".join(name.split())[:LONGEST_NAME]
    if not any(character.isalpha() for character in signed):
        raise NameMissing
    return signed


def _reference() -> str:
    """Return a reference that a person can read out: eight letters and digits, drawn at random."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{drawn[:4]}-{drawn[4:]}"
