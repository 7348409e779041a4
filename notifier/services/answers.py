"""Answers: what a client's contact says to a notice, through the link in its mail.

Acknowledging confirms receipt and nothing else: objecting and terminating stay open after it, and any contact's
objection stands until it is withdrawn.  Acting twice does no harm: the second time shows the first receipt.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementKind,
    AnnouncementState,
    Answer,
    AnswerKind,
    Client,
    Delivery,
    DeliveryNotice,
    EventKind,
    Fetch,
    Item,
    ItemKind,
    Link,
    Notice,
    Provider,
)
from notifier.models.base import uuid7
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Waits
from notifier.rules.links import digest
from notifier.rules.terms import ReceiptPolicy, Rule
from notifier.services import doorbell, events, items, letters, notices, outbox, provider
from notifier.services.desk import Desk
from notifier.services.letters import Matter
from notifier.services.rows import insert_set, table_of

LONGEST_NAME = 200
LONGEST_REASONS = 10_000
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # no letter that reads like another
ITEMS = {
    AnswerKind.OBJECTION: ItemKind.OBJECTION,
    AnswerKind.TERMINATION: ItemKind.TERMINATION,
    AnswerKind.REFUSAL: ItemKind.REFUSAL,
}
# Each takes the place of the other: who agreed may refuse later, and who refused may agree.
OPPOSITES = {AnswerKind.CONSENT: AnswerKind.REFUSAL, AnswerKind.REFUSAL: AnswerKind.CONSENT}
LONGEST_REPLY = 20_000

_link, _delivery, _carries, _notice = table_of(Link), table_of(Delivery), table_of(DeliveryNotice), table_of(Notice)
_client, _announcement, _answer = table_of(Client), table_of(Announcement), table_of(Answer)
_profile = table_of(Provider)
_CARRIED = (
    _link.join(_delivery, _delivery.c.id == _link.c.delivery_id)
    .join(_carries, _carries.c.delivery_id == _delivery.c.id)
    .join(_notice, _notice.c.id == _carries.c.notice_id)
)
_BY_LINK = _link.c.token_digest == sa.bindparam("digest")
_LOCK = (
    sa.select(_notice.c.id)
    .select_from(_CARRIED)
    .where(_BY_LINK, sa.or_(_delivery.c.state != DeliveryState.UNKNOWN, sa.bindparam("proved", type_=sa.Boolean)))
    .order_by(_notice.c.id)
    .with_for_update(of=_notice, key_share=True)
)
_OPENED = (
    sa.select(
        *(_notice.c[name] for name in ("id", "sealed_id", "edition", "object_until", "live_at", "excluded_at")),
        *(_client.c[name] for name in ("key", "company", "account_manager")),
        _delivery.c.id,
        _delivery.c.address,
        _answer.c.address,
        *(_announcement.c[name] for name in letters.SAID),
        *(_profile.c[name] for name in letters.SPEAKING),
    )
    .select_from(
        _CARRIED.join(_client, _client.c.id == _notice.c.client_id)
        .join(_announcement, _announcement.c.id == _notice.c.announcement_id)
        .join(_profile, sa.true())
        .outerjoin(
            _answer,
            sa.and_(
                _answer.c.notice_id == _notice.c.id,
                _answer.c.kind == sa.bindparam("kind", type_=_answer.c.kind.type),
                _answer.c.standing.is_(True),
            ),
        )
    )
    .where(_BY_LINK, _link.c.purpose == "notice", _link.c.revoked_at.is_(None))
    .where(_link.c.expires_at > sa.bindparam("now", type_=_link.c.expires_at.type))
)


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


class NotAsked(ValueError):
    """An answer that this notice does not ask for: its contract gives another right."""

    def __init__(self) -> None:
        super().__init__("this notice does not ask for that answer: go back to it and choose one of those it offers")


class TooLateToConsent(ValueError):
    """What has been made cannot be agreed to beforehand."""

    def __init__(self) -> None:
        super().__init__("the change has been made or withdrawn: there is nothing left to agree to or to refuse")


class Corrected(Exception):
    """What was answered is not what is told now."""

    def __init__(self) -> None:
        super().__init__("the notice has been corrected since this form was opened: read it again, then answer")


class NothingLeft(Exception):
    """What was announced is not done, or not for this client."""

    def __init__(self) -> None:
        super().__init__("what was announced is not done, or not for this company: there is nothing left to answer")


class ReplyMissing(ValueError):
    def __init__(self) -> None:
        super().__init__("write down what the client said")


class NotDisplayed(Exception):
    """What the contact has not displayed yet, where that is what its contract takes for receipt."""

    def __init__(self) -> None:
        super().__init__("the notice has not been displayed yet: press the button that shows it, then answer")


class NoSuchAnswer(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one notice asks of its client."""

    kind: AnnouncementKind
    rule: Rule
    displayed: bool
    is_under_way: bool  # announced, and not made for this client yet
    is_over: bool  # withdrawn, or not made for this client

    @property
    def waits(self) -> Waits:
        return notices.waits_of(self.kind, self.rule)

    @property
    def asks_consent(self) -> bool:
        """Say whether the client is asked to agree: always, or to an early start."""
        return self.waits in {Waits.CONSENT, Waits.EITHER}

    @property
    def has_last_day(self) -> bool:
        """Say whether there is a day until which the client may answer."""
        return self.rule.runs or self.asks_consent

    @property
    def must_display(self) -> bool:
        """Say whether the notice is to be shown only when a person presses for it, since that starts the clock."""
        return self.rule.receipt is ReceiptPolicy.DISPLAY and not self.displayed

    @property
    def may_object(self) -> bool:
        return self.rule.may_object

    @property
    def may_terminate(self) -> bool:
        """Say whether this client's contract offers to leave because of the change."""
        return self.rule.may_terminate

    def offers(self, kind: AnswerKind) -> bool:
        """Say whether the contract, or this kind of announcement, gives that answer a meaning."""
        return {
            AnswerKind.ACKNOWLEDGEMENT: True,
            AnswerKind.OBJECTION: self.may_object,
            AnswerKind.TERMINATION: self.may_terminate,
            AnswerKind.CONSENT: self.asks_consent,
            AnswerKind.REFUSAL: self.asks_consent,
            AnswerKind.CONFIRMATION: self.rule.asks_confirmation,
        }[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Asked):
    """One notice that a link opens, with what has been answered to it."""

    notice: Notice
    client: Client
    answers: tuple[Answer, ...]
    courtesy: bool

    def standing(self, kind: AnswerKind) -> Answer | None:
        return next((answer for answer in self.answers if answer.kind is kind and answer.standing), None)


class Row(NamedTuple):
    """One notice that a link opens, in the columns that an answer needs, with somebody who has given that answer."""

    id: UUID
    sealed_id: UUID
    edition: int
    object_until: datetime
    live_at: datetime | None
    excluded_at: datetime | None
    client: str  # its key
    company: str
    account_manager: str
    delivery_id: UUID
    address: str
    answered_from: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerable(Asked):
    """One notice that nobody else can answer, correct or withdraw meanwhile."""

    row: Row
    is_answered: bool  # alike, from the same address

    @property
    def id(self) -> UUID:
        return self.row.id


class Given(NamedTuple):
    """One answer as it is written down."""

    id: UUID
    notice_id: UUID
    delivery_id: UUID
    address: str
    kind: AnswerKind
    signed_name: str
    statement: str
    edition: int
    reasons: str
    reference: str
    answered_at: datetime
    late: bool
    machine_like: bool
    standing: bool = True


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link opens: the notices of this link's address, and the announcement as it is told to them."""

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
    announcement = session.get(Announcement, delivery.announcement_id, populate_existing=True)
    if announcement is None:
        raise LinkInvalid
    told = _told(session, delivery, announcement)
    shown = letters.Sayings(session, announcement).to(one.notice for one in told)
    return Opened(delivery=delivery, announcement=shown, told=told)


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
    edition: int | None = None,
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
        edition=edition,
        now=now,
    )


def object_to(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    token: str,
    notice_id: UUID,
    *,
    name: str,
    reasons: str,
    machine_like: bool = False,
    edition: int | None = None,
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
        edition=edition,
        now=now,
    )


def terminate(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    token: str,
    notice_id: UUID,
    *,
    name: str,
    reasons: str = "",
    machine_like: bool = False,
    edition: int | None = None,
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
        edition=edition,
        now=now,
    )


def consent(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    token: str,
    notice_id: UUID,
    *,
    name: str,
    statement: str = "",
    machine_like: bool = False,
    edition: int | None = None,
    now: datetime,
) -> str:
    """Agree for one company to what its contract asks its consent for; returns the reference.

    One that looks like a machine's is recorded and opens no gate until a person has looked at it.
    """
    kind = AnswerKind.CONSENT
    return _record(
        session,
        desk,
        token,
        [notice_id],
        kind,
        name=name,
        reasons="",
        statement=statement,
        machine_like=machine_like,
        edition=edition,
        now=now,
    )


def refuse(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    token: str,
    notice_id: UUID,
    *,
    name: str,
    reasons: str = "",
    statement: str = "",
    machine_like: bool = False,
    edition: int | None = None,
    now: datetime,
) -> str:
    """Refuse for one company what its contract asks its consent for; returns the reference."""
    kind = AnswerKind.REFUSAL
    return _record(
        session, desk, token, [notice_id], kind, name=name, reasons=reasons, statement=statement,
        machine_like=machine_like, edition=edition, now=now,
    )  # fmt: skip


def confirm(  # noqa: PLR0913 - the facts of one act
    session: Session,
    desk: Desk,
    token: str,
    notice_id: UUID,
    *,
    name: str,
    statement: str = "",
    machine_like: bool = False,
    edition: int | None = None,
    now: datetime,
) -> str:
    """Confirm for one company that it has done what the notice asks of it; returns the reference."""
    kind = AnswerKind.CONFIRMATION
    return _record(
        session,
        desk,
        token,
        [notice_id],
        kind,
        name=name,
        reasons="",
        statement=statement,
        machine_like=machine_like,
        edition=edition,
        now=now,
    )


def display(session: Session, desk: Desk, token: str, *, now: datetime) -> None:
    """Record that a person pressed the button that shows the notice: its receipt, where the contract says so."""
    opened = open_link(session, token, now=now)
    by = f"link:{opened.delivery.id}"
    outbox.prove_arrival(session, desk, opened.delivery.id, by=by, evidence="display", now=now)
    shown = [
        link
        for told in opened.told
        for link in _links_of_contact(session, told.notice, opened.delivery.id)
        if link.displayed_at is None
    ]
    for link in shown:
        link.displayed_at = now
        session.add(link)
        about, announcement = link.notice_id, opened.announcement.id
        events.record(session, EventKind.NOTICE_DISPLAYED, about=about, announcement=announcement, by=by, now=now)
    notices.reckon_all(session, desk, [link.notice_id for link in shown], by=by, now=now)


def record_reply(session: Session, notice_id: UUID, *, text: str, by: str, now: datetime) -> Item:
    """Keep what a contact wrote or said by other means than its link; it holds the gate until somebody has read it."""
    notice = notices.get(session, notice_id, lock=True)
    if not text.strip():
        raise ReplyMissing
    announcement = notice.announcement_id
    item = items.open_item(session, ItemKind.UNREAD_REPLY, about=notice.id, announcement=announcement, now=now)
    earlier = f"{item.note}\n\n" if item.note else ""
    item.note = (earlier + text.strip())[-LONGEST_REPLY:]
    session.add(item)
    events.record(session, EventKind.REPLY_RECORDED, about=notice.id, announcement=announcement, by=by, now=now)
    return item


def read_reply(session: Session, notice_id: UUID, *, note: str, by: str, now: datetime) -> None:
    """Close what a contact wrote, with what it comes to; an objection in it is recorded as one."""
    notice = notices.get(session, notice_id, lock=True)
    if not note.strip():
        raise NoteMissing
    query = select(Item).where(Item.kind == ItemKind.UNREAD_REPLY, Item.about_id == notice.id, col(Item.open).is_(True))
    for item in session.exec(query).all():
        item.open, item.closed_at, item.closed_by = None, now, by
        item.note = f"{item.note}\n\n— {note.strip()}"
        session.add(item)
    announcement = notice.announcement_id
    events.record(session, EventKind.REPLY_READ, about=notice.id, announcement=announcement, by=by, now=now)


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
        first = standing[0]
        letters.post_receipt(
            session,
            desk,
            Matter.of(opened.announcement, provider.require_complete(session)),
            [first.notice_id],
            kind="withdrawal",
            reference=first.reference,
            statement=first.statement,
            given_by=signed,
            now=now,
        )
        doorbell.ring(session, doorbell.Bell.OUTBOX)
    return standing[0].reference if standing else ""


def settle(session: Session, answer_id: UUID, *, note: str, by: str, now: datetime) -> Answer:
    """Close an objection, a termination or a refusal by a person of the staff, who writes down what settled it; or a
    consent that turned out to be a machine's.
    """
    answer = session.get(Answer, answer_id, with_for_update=True, populate_existing=True)
    if answer is None or not (answer.kind in ITEMS or (answer.kind is AnswerKind.CONSENT and answer.machine_like)):
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
    if answer.kind is AnswerKind.CONSENT and answer.standing:
        answer.machine_like = False  # a person vouches for it: from now on it opens the gate
        session.add(answer)
        _close_opposite(session, answer, by=by, now=now)
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
    statement: str = "",
    machine_like: bool,
    edition: int | None,
    now: datetime,
) -> str:
    signed = _signed(name)
    matter, opened = _take_up(session, desk, token, kind, now=now)
    if any(notice_id not in opened for notice_id in notice_ids):
        raise NotYours
    told = [opened[notice_id] for notice_id in dict.fromkeys(notice_ids)]
    if any(one.must_display for one in opened.values()):
        raise NotDisplayed
    if edition is not None and matter.edition != edition:
        raise Corrected
    if not all(one.offers(kind) for one in told):
        raise NotAsked
    if any(one.is_over for one in told):
        raise NothingLeft
    if kind in OPPOSITES and not all(one.is_under_way for one in told):
        raise TooLateToConsent
    through = told[0].row
    by, address = f"link:{through.delivery_id}", through.address.casefold()
    already = [
        _mine(session, one.id, kind, address, by=by, machine_like=machine_like, now=now) if one.is_answered else None
        for one in told
    ]
    fresh = [one for one, answer in zip(told, already, strict=True) if answer is None]
    if not fresh:
        return next(answer.reference for answer in already if answer)
    reference = _reference()
    answers = [
        Given(
            id=uuid7(),
            notice_id=one.id,
            delivery_id=through.delivery_id,
            address=address,
            kind=kind,
            signed_name=signed,
            statement=statement,
            edition=one.row.edition,
            reasons=reasons.strip()[:LONGEST_REASONS],
            reference=reference,
            answered_at=now,
            late=one.has_last_day and now >= one.row.object_until,
            machine_like=machine_like,
        )
        for one in fresh
    ]
    insert_set(session, Answer, [answer._asdict() for answer in answers])
    for one, answer in zip(fresh, answers, strict=True):
        _tell(session, desk, matter, one.row, answer, by=by, now=now)
        _close_opposite(session, answer, by=by, now=now)
    if received := [one.id for one in fresh if one.rule.receipt is ReceiptPolicy.ACKNOWLEDGED]:
        notices.reckon_all(session, desk, received, by=by, now=now)
    letters.post_receipt(
        session,
        desk,
        matter,
        [one.id for one in fresh],
        kind=kind.value,
        reference=reference,
        statement=statement,
        given_by=signed,
        now=now,
    )
    doorbell.ring(session, doorbell.Bell.OUTBOX)
    return reference


def _take_up(
    session: Session, desk: Desk, token: str, kind: AnswerKind, *, now: datetime
) -> tuple[Matter, Mapping[UUID, Answerable]]:
    """Return what a link's letters are about and the notices that it opens, as they stand now that nobody can change
    them.  Raises LinkInvalid, or ProfileIncomplete.
    """
    session.flush()
    _lock_opened(session, desk, token, now=now)
    found = session.execute(_OPENED, {"digest": digest(token), "kind": kind, "now": now}).all()
    if not found:
        raise LinkInvalid
    matter = Matter(*found[0][len(Row._fields) :])
    if missing := [name for name in Provider.REQUIRED if not getattr(matter, name).strip()]:
        raise provider.ProfileIncomplete(missing)
    rows = [Row(*one[: len(Row._fields)]) for one in found]
    rules = letters.rules_of(session, desk, {row.sealed_id for row in rows})
    alike = {row.id for row in rows if row.answered_from == row.address.casefold()}
    return matter, {
        row.id: _answerable(session, matter, row, rules[row.sealed_id], is_answered=row.id in alike) for row in rows
    }


def _answerable(session: Session, matter: Matter, row: Row, rule: Rule, *, is_answered: bool) -> Answerable:
    return Answerable(
        row=row,
        kind=matter.kind,
        rule=rule,
        displayed=rule.receipt is not ReceiptPolicy.DISPLAY or _is_displayed(session, row, row.delivery_id),
        is_under_way=matter.state is AnnouncementState.PUBLISHED and not row.live_at and not row.excluded_at,
        is_over=matter.state is AnnouncementState.WITHDRAWN or row.excluded_at is not None,
        is_answered=is_answered,
    )


def _lock_opened(session: Session, desk: Desk, token: str, *, now: datetime) -> None:
    """Answers to one notice are recorded one after the other, so that two at once cannot both be the first.

    Deliveries are locked before notices, as the worker does, so that the two cannot wait for each other: what proves
    that a mail arrived is drawn first.
    """
    opens: dict[str, Any] = {"digest": digest(token)}
    if session.execute(_LOCK, {**opens, "proved": False}).all():
        return
    link = session.get(Link, opens["digest"])
    if link is None:
        raise LinkInvalid
    by = f"link:{link.delivery_id}"
    outbox.prove_arrival(session, desk, link.delivery_id, by=by, evidence="answer", now=now)
    session.execute(_LOCK, {**opens, "proved": True})


def _tell(session: Session, desk: Desk, matter: Matter, told: Row, answer: Given, *, by: str, now: datetime) -> None:
    data = {
        "answer": answer.kind.value,
        "reference": answer.reference,
        "client": told.client,
        "company": told.company,
        "late": answer.late,
        "machine_like": answer.machine_like,
    }
    about, within = told.id, matter.id
    events.record(session, EventKind.ANSWER_RECORDED, about=about, announcement=within, by=by, now=now, **data)
    if answer.kind in ITEMS:
        items.open_item(session, ITEMS[answer.kind], about=answer.id, announcement=within, now=now)
        letters.post_alert(
            session,
            desk,
            matter,
            kind=answer.kind.value,
            reference=answer.reference,
            reasons=answer.reasons,
            given_by=answer.signed_name,
            company=told.company,
            account_manager=told.account_manager,
            now=now,
        )
    if answer.machine_like:
        items.open_item(session, ItemKind.MACHINE_LIKE_ANSWER, about=answer.id, announcement=within, now=now)


def _close_opposite(session: Session, answer: Answer | Given, *, by: str, now: datetime) -> None:
    """Let a consent take the place of a refusal, and the other way round; what looks like a machine's takes none."""
    if answer.kind not in OPPOSITES or answer.machine_like:
        return
    query = select(Answer).where(Answer.notice_id == answer.notice_id, Answer.kind == OPPOSITES[answer.kind])
    for other in session.exec(query.where(col(Answer.standing).is_(True))).all():
        _close(session, other, by=by, note=f"followed by {answer.reference}", now=now)


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
    kinds = [ItemKind.MACHINE_LIKE_ANSWER, *([ITEMS[answer.kind]] if answer.kind in ITEMS else [])]
    items.close_items(session, *kinds, about=answer.id, by=by, now=now, note=note)


def _told(session: Session, delivery: Delivery, announcement: Announcement) -> tuple[Told, ...]:
    from_notice = select(Notice, Client, DeliveryNotice).join(
        DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id
    )
    carried = session.exec(
        from_notice.join(Client, col(Client.id) == Notice.client_id)
        .where(DeliveryNotice.delivery_id == delivery.id)
        .order_by(col(Client.company))
    ).all()
    return tuple(_one_told(session, delivery, announcement, notice, client, link) for notice, client, link in carried)


def _one_told(
    session: Session,
    delivery: Delivery,
    announcement: Announcement,
    notice: Notice,
    client: Client,
    link: DeliveryNotice,
) -> Told:
    rule = letters.rule_of(session, notice)
    answers = session.exec(select(Answer).where(Answer.notice_id == notice.id).order_by(col(Answer.answered_at))).all()
    under_way = announcement.state is AnnouncementState.PUBLISHED and not notice.live_at and not notice.excluded_at
    return Told(
        notice=notice,
        client=client,
        kind=announcement.kind,
        rule=rule,
        answers=tuple(answers),
        displayed=rule.receipt is not ReceiptPolicy.DISPLAY or _is_displayed(session, notice, delivery.id),
        courtesy=link.courtesy,
        is_under_way=under_way,
        is_over=announcement.state is AnnouncementState.WITHDRAWN or notice.excluded_at is not None,
    )


def _is_displayed(session: Session, notice: Notice | Row, delivery_id: UUID) -> bool:
    """Say whether this contact has displayed what the notice says now, by the link of any of its mails."""
    links = _links_of_contact(session, notice, delivery_id)
    return not links or any(link.displayed_at for link in links)


def _links_of_contact(session: Session, notice: Notice | Row, delivery_id: UUID) -> Sequence[DeliveryNotice]:
    """Return the mails that told a delivery's contact what the notice says now: an old link opens the new text too."""
    contact = select(DeliveryNotice.contact_id).where(
        DeliveryNotice.delivery_id == delivery_id, DeliveryNotice.notice_id == notice.id
    )
    query = (
        select(DeliveryNotice)
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .where(
            DeliveryNotice.notice_id == notice.id,
            DeliveryNotice.edition == notice.edition,
            col(DeliveryNotice.contact_id).in_(contact),
            Delivery.letter == letters.NOTICE,
        )
    )
    return session.exec(query).all()


def _locked(session: Session, notice_ids: Sequence[UUID]) -> None:
    """Answers to one notice are recorded one after the other, so that two at once cannot both be the first."""
    query = select(Notice).where(col(Notice.id).in_(notice_ids)).order_by(col(Notice.id))
    session.exec(query.with_for_update(key_share=True).execution_options(populate_existing=True)).all()


def _mine(
    session: Session, notice_id: UUID, kind: AnswerKind, address: str, *, by: str, machine_like: bool, now: datetime
) -> Answer | None:
    """Return the same answer given from the same address before, if it still stands.

    A person's act takes the place of one that looked like a machine's and moved nothing, and of one whose opposite was
    said since.
    """
    query = select(Answer).where(Answer.notice_id == notice_id, Answer.kind == kind, Answer.address == address)
    found = session.exec(query.where(col(Answer.standing).is_(True))).first()
    if found is None or machine_like:
        return found
    moved_nothing = found.machine_like and kind not in ITEMS
    if not moved_nothing and not _is_contradicted(session, found):
        return found
    items.close_items(session, ItemKind.MACHINE_LIKE_ANSWER, about=found.id, by=by, now=now, note="answered anew")
    _close(session, found, by=by, note="answered anew", now=now)
    session.flush()
    return None


def _is_contradicted(session: Session, answer: Answer) -> bool:
    if answer.kind not in OPPOSITES:
        return False
    query = select(Answer.id).where(Answer.notice_id == answer.notice_id, Answer.kind == OPPOSITES[answer.kind])
    return session.exec(query.where(col(Answer.standing).is_(True)).limit(1)).first() is not None


def _signed(name: str) -> str:
    signed = " ".join(name.split())[:LONGEST_NAME]
    if not any(character.isalpha() for character in signed):
        raise NameMissing
    return signed


def _reference() -> str:
    """Return a reference that a person can read out: eight letters and digits, drawn at random."""
    number, drawn = secrets.randbelow(len(ALPHABET) ** 8), ""
    for _ in range(8):
        number, letter = divmod(number, len(ALPHABET))
        drawn += ALPHABET[letter]
    return f"{drawn[:4]}-{drawn[4:]}"
