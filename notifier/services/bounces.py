"""Mails that come back: which mail of ours each is about, and what follows from it.

A mail is found by the tag in the address it was sent back to, which names delivery and attempt under a MAC, else by our
Message-ID; whoever forges a tag moves nothing.  What a bounce says is applied once our own side knows what became of
the mail: one that comes back before the relay's answer is written down waits (`apply_waiting`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import defer
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from notifier.adapters.dates import instant
from notifier.models import (
    Announcement,
    AnnouncementState,
    Answer,
    BounceDoor,
    BounceMail,
    BounceMatch,
    Contact,
    Delivery,
    DeliveryNotice,
    EventKind,
    Item,
    ItemKind,
    Notice,
)
from notifier.rules.bounces import BounceKind, Report
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.links import delivery_of, is_like_envelope_tag
from notifier.rules.notice_states import NoticeState
from notifier.rules.periods import local_day, zone
from notifier.services import answers, clients, doorbell, events, items, letters, notices, outbox, provider
from notifier.services.desk import Desk
from notifier.services.letters import Recipient
from notifier.services.rows import insert_new

log = structlog.get_logger()

LARGEST = 10 * 1024 * 1024  # bytes that are kept of one mail
MOST_MESSAGE_IDS = 20
AT_ONCE = 20  # in one transaction: each may write a letter, and others wait to write
ITEMS = (ItemKind.RETURNED_MAIL, ItemKind.AUTO_REPLY, ItemKind.COMPLAINT)
READ_BY_A_PERSON = frozenset({BounceKind.HUMAN_REPLY, BounceKind.UNREADABLE})
ARRIVED = frozenset({BounceKind.DELIVERED, BounceKind.COMPLAINT, BounceKind.AUTO_REPLY})  # only what arrived can say so

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_MESSAGE_ID = re.compile(r"<[0-9a-f]{32}@([^<>@\s]+)>", re.IGNORECASE)
# What an account manager is told of what was done.
_THEN = MappingProxyType(
    {
        "en": {
            "next": "The notice has been sent again, to {address}.",
            "nobody": "Nobody else is written to under this contract. Tell the client by other means, or enter another "
            "contact and send the notice again.",
            "other": "The notice itself does not depend on this mail.",
        },
        "fr": {
            "next": "La notification a été renvoyée, à {address}.",
            "nobody": "Ce contrat ne prévoit pas d’autre destinataire. Prévenez le client par un autre moyen, ou "
            "ajoutez un contact et renvoyez la notification.",
            "other": "La notification elle-même ne dépend pas de ce courriel.",
        },
    }
)
_NO_REASON = MappingProxyType({"en": "No reason was given.", "fr": "Aucun motif n’a été indiqué."})


class NoSuchBounce(LookupError):
    def __init__(self) -> None:
        super().__init__("no such mail has come back")


class NoteMissing(ValueError):
    def __init__(self) -> None:
        super().__init__("write what the reply comes to: the note is kept with it")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """Which mail of ours one is about.  `is_ours`: it is about one, even if we do not know it any more."""

    by: BounceMatch = BounceMatch.NOTHING
    delivery: Delivery | None = None
    attempt: int | None = None
    is_ours: bool = False


def take_in(
    session: Session, desk: Desk, content: bytes, report: Report, *, how: BounceDoor, now: datetime
) -> BounceMail | None:
    """Keep a mail that came back and draw what follows from it; the same bytes have one effect, however often they
    come.  Returns None for a forged tag, which leaves nothing behind.
    """
    match = _match(session, desk, report)
    if match is None:
        log.warning("a mail came back to a tag that none of our keys made; it was left aside", how=how.value)
        return None
    bounce = _bounce(content, report, match, how, now)
    insert_new(session, bounce)
    kept = session.exec(_light().where(BounceMail.digest == bounce.digest)).one()
    if kept.id == bounce.id and match.is_ours:
        _record(session, kept, report, match, now=now)
        _ask_a_person(session, kept, report, match.delivery, now=now)
        _apply(session, desk, kept, now=now)
    return kept


def apply_waiting(session: Session, desk: Desk, *, now: datetime) -> int:
    """Apply what came back before our side knew what had become of the mail, or could not be applied then; returns how
    much was.
    """
    known = select(Delivery.id).where(Delivery.id == BounceMail.delivery_id)
    known = known.where(col(Delivery.state).not_in(notices.IN_FLIGHT)).correlate(BounceMail)
    waiting = (
        _light()
        .where(col(BounceMail.applied_at).is_(None), known.exists())
        .order_by(col(BounceMail.received_at), col(BounceMail.id))
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True, key_share=True)
    )
    return sum(_apply(session, desk, bounce, now=now) for bounce in session.exec(waiting).all())


def get(session: Session, bounce_id: UUID) -> BounceMail:
    bounce = session.get(BounceMail, bounce_id)
    if bounce is None:
        raise NoSuchBounce
    return bounce


def latest(session: Session, *, limit: int = 100) -> list[BounceMail]:
    """Return what came back last, newest first, without the mails themselves."""
    return list(session.exec(_light().order_by(col(BounceMail.received_at).desc(), col(BounceMail.id)).limit(limit)))


def told(session: Session, bounce: BounceMail) -> list[Recipient]:
    """Return whom the mail told that this one is about, and of what."""
    return letters.carried_by(session, bounce.delivery_id) if bounce.delivery_id else []


def asked(session: Session, bounce: BounceMail) -> list[Item]:
    """Return what asked a person to look at a mail, with what was noted of it."""
    query = select(Item).where(Item.about_id == bounce.id, col(Item.kind).in_(ITEMS))
    return list(session.exec(query.order_by(col(Item.opened_at))))


def read(session: Session, bounce_id: UUID, *, note: str, by: str, now: datetime) -> None:
    """Close what asked a person to look at a mail; a reply is closed with a note on what it comes to."""
    bounce = session.exec(_light().where(BounceMail.id == bounce_id).with_for_update(key_share=True)).first()
    if bounce is None:
        raise NoSuchBounce
    if bounce.kind is BounceKind.HUMAN_REPLY and not note.strip():
        raise NoteMissing
    items.close_items(session, *ITEMS, about=bounce.id, by=by, now=now, note=note.strip())
    if bounce.read_at:
        return
    bounce.read_at = now
    session.add(bounce)
    about, announcement = bounce.delivery_id or bounce.id, _announcement_of(session, bounce)
    kind, facts = EventKind.BOUNCE_READ, {"bounce": str(bounce.id), "says": bounce.kind.value}
    events.record(session, kind, about=about, announcement=announcement, by=by, now=now, **facts)


def _light() -> SelectOfScalar[BounceMail]:
    """Select without the mails, which may be large."""
    return select(BounceMail).options(defer(col(BounceMail.content)))  # type: ignore[arg-type] # a mapped attribute


def _match(session: Session, desk: Desk, report: Report) -> _Match | None:
    """Find the mail of ours that a report is about; None where it carries a tag and none that we made."""
    tags = [token.rpartition("+")[2].partition("@")[0] for token in report.tokens]
    for tag in tags:
        if named := desk.keyring.read_envelope_tag(tag):
            delivery = session.get(Delivery, named[0])
            return _Match(by=BounceMatch.TAG, delivery=delivery, attempt=named[1], is_ours=True)
    if any(map(is_like_envelope_tag, tags)):
        return None
    return _match_by_message_id(session, report.message_ids[:MOST_MESSAGE_IDS])


def _match_by_message_id(session: Session, message_ids: Sequence[str]) -> _Match:
    named = [one for one in map(delivery_of, message_ids) if one]
    those = col(Delivery.id).in_(named), col(Delivery.message_id).in_(message_ids)
    found = session.exec(select(Delivery).where(*those)).all() if named else []
    if found:
        first = min(found, key=lambda one: message_ids.index(one.message_id))
        return _Match(by=BounceMatch.MESSAGE_ID, delivery=first, is_ours=True)
    domain = provider.get(session).message_domain.casefold()
    domains = [form[1].casefold() for one in message_ids if (form := _MESSAGE_ID.fullmatch(one))]
    return _Match(is_ours=bool(domain) and domain in domains)


def _bounce(content: bytes, report: Report, match: _Match, how: BounceDoor, now: datetime) -> BounceMail:
    """What is not about a mail that we know has nothing to be applied."""
    return BounceMail(
        received_at=now,
        digest=hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest(),
        content=content[:LARGEST],
        kind=report.kind,
        delivery_id=match.delivery.id if match.delivery else None,
        attempt=match.attempt,
        how=how,
        matched_by=match.by,
        report=asdict(report),
        applied_at=None if match.delivery else now,
    )


def _record(session: Session, bounce: BounceMail, report: Report, match: _Match, *, now: datetime) -> None:
    """The log keeps codes, and nobody's address or words."""
    statuses = [one.status for one in report.recipients if _STATUS.fullmatch(one.status)]
    facts: dict[str, Any] = {
        "bounce": str(bounce.id),
        "says": bounce.kind.value,
        "how": bounce.how.value,
        "matched_by": bounce.matched_by.value,
        "attempt": bounce.attempt,
        "status": next(iter(statuses), ""),
        "hard": any(one.hard for one in report.recipients),
    }
    about, announcement = (match.delivery.id, match.delivery.announcement_id) if match.delivery else (bounce.id, None)
    kind = EventKind.BOUNCE_RECEIVED
    events.record(session, kind, about=about, announcement=announcement, by=notices.MACHINE, now=now, **facts)


def _ask_a_person(
    session: Session, bounce: BounceMail, report: Report, delivery: Delivery | None, *, now: datetime
) -> None:
    """Put before a person what no machine can answer.  What a person wrote holds the gate until it has been read."""
    announcement = delivery.announcement_id if delivery else None
    if kind := _item_kind(report, is_known=delivery is not None):
        items.open_item(session, kind, about=bounce.id, announcement=announcement, now=now)
    if report.kind is BounceKind.HUMAN_REPLY and delivery is not None:
        text = report.words.strip() or "(see the mail that came back)"
        for one in _by_notice(letters.carried_by(session, delivery.id)):
            answers.record_reply(session, one.notice.id, text=text, by=notices.MACHINE, now=now)


def _item_kind(report: Report, *, is_known: bool) -> ItemKind | None:
    if report.kind in READ_BY_A_PERSON or (not is_known and report.kind is not BounceKind.DELAYED):
        return ItemKind.RETURNED_MAIL
    if report.kind is BounceKind.COMPLAINT:
        return ItemKind.COMPLAINT
    return ItemKind.AUTO_REPLY if _was_not_read(report.kind, asdict(report)) else None


def _was_not_read(kind: BounceKind, report: Mapping[str, Any]) -> bool:
    """Say whether a machine answers that nobody has read the mail, or will."""
    return kind is BounceKind.AUTO_REPLY and bool(report["is_challenge"] or report["has_left"])


def _apply(session: Session, desk: Desk, bounce: BounceMail, *, now: datetime) -> bool:
    """Draw what follows, in savepoints: that a mail came back must not be lost because the letter about it cannot be
    written.  What fails is tried again by `apply_waiting`.  Returns whether all of it was drawn.
    """
    delivery = session.get(Delivery, bounce.delivery_id) if bounce.delivery_id else None
    if delivery is None or bounce.applied_at:
        return False
    if delivery.state in notices.IN_FLIGHT and _moves(bounce):
        return False
    steps: tuple[Callable[..., None], ...] = (_settle, _follow)
    try:
        for step in steps:
            with session.begin_nested():
                step(session, desk, bounce, delivery, now=now)
    except OperationalError:
        raise  # the database is in trouble: whoever brought the mail brings it again
    except Exception:
        log.exception(
            "what follows from a mail that came back could not be written down; the next tick tries again",
            bounce=str(bounce.id),
        )
        return False
    return True


def _moves(bounce: BounceMail) -> bool:
    """Say whether a mail may change what is known of ours."""
    return bounce.kind is BounceKind.FAILED or bounce.kind in ARRIVED


def _settle(session: Session, desk: Desk, bounce: BounceMail, delivery: Delivery, *, now: datetime) -> None:
    """Let the mail come back, or count it as arrived, as far as its state still allows either."""
    if bounce.voided:
        return
    by = notices.MACHINE
    if bounce.kind is BounceKind.FAILED or _was_not_read(bounce.kind, bounce.report):
        if not _has_been_answered(session, delivery):
            evidence = _evidence(bounce)
            bounce.voided = outbox.returned(session, desk, delivery.id, by=by, evidence=evidence, now=now)
    elif bounce.kind in ARRIVED:
        outbox.prove_arrival(session, desk, delivery.id, by=by, evidence=bounce.kind.value, now=now)
    session.add(bounce)


def _has_been_answered(session: Session, delivery: Delivery) -> bool:
    """Say whether somebody has answered through the link of this very mail: then it arrived, whatever came back."""
    through = select(Answer.id).where(Answer.delivery_id == delivery.id, col(Answer.machine_like).is_(False))
    return session.exec(through.limit(1)).first() is not None


def _evidence(bounce: BounceMail) -> str:
    statuses = [one["status"] for one in bounce.report["recipients"] if one["status"]]
    return " ".join([*statuses[:1], bounce.report["words"] or bounce.kind.value])


def _follow(session: Session, desk: Desk, bounce: BounceMail, delivery: Delivery, *, now: datetime) -> None:
    """Where a mail came back, try the next contact of each client that it told, and tell its account manager."""
    if bounce.voided:
        for one in _by_notice(letters.carried_by(session, delivery.id)):
            notice = notices.get(session, one.notice.id, lock=True)
            if not _is_settled(session, notice, delivery):
                again = _try_next(session, desk, one, delivery, now=now)
                _tell_account_manager(session, desk, bounce, delivery, one, again, now=now)
    bounce.applied_at = now
    session.add(bounce)


def _by_notice(carried: Sequence[Recipient]) -> list[Recipient]:
    """In the order in which everybody locks notices."""
    return sorted(carried, key=lambda one: one.notice.id)


def _is_settled(session: Session, notice: Notice, delivery: Delivery) -> bool:
    """Say whether nobody need be told any more: the client has answered, its period has run, the change has been made
    or is not made for it, a person has told it, or something else has been told since.
    """
    announcement = session.get_one(Announcement, notice.announcement_id)
    carried = session.get_one(DeliveryNotice, (delivery.id, notice.id))
    by_person = bool(notice.received_how) and notice.received_how not in notices.RECKONED
    answered = select(Answer.id).where(
        Answer.notice_id == notice.id, col(Answer.standing).is_(True), col(Answer.machine_like).is_(False)
    )
    return (
        announcement.state is not AnnouncementState.PUBLISHED
        or notice.live_at is not None
        or notice.excluded_at is not None
        or notice.state is NoticeState.LAPSED
        or carried.edition < notice.edition
        or by_person
        or session.exec(answered.limit(1)).first() is not None
    )


def _try_next(session: Session, desk: Desk, one: Recipient, delivery: Delivery, *, now: datetime) -> Delivery | None:
    """Send the notice again, visibly, to the next contact in the contract's roles; None where there is nobody left."""
    if delivery.letter != letters.NOTICE or one.courtesy:
        return None
    contact = _next_contact(session, one)
    if contact is None:
        return None
    by, address = notices.MACHINE, contact.email
    again = outbox.repeat(session, desk, delivery.id, address=address, notice_id=one.notice.id, by=by, now=now)
    kept = session.get_one(Delivery, again.id)
    if kept.state is DeliveryState.WAITING and kept.attempt == 0:
        kept.facts = {**kept.facts, "to_name": contact.name}
        session.add(kept)
    return kept


def _next_contact(session: Session, one: Recipient) -> Contact | None:
    """Return the first contact who is still there, in the order of the contract's roles, whose address this notice has
    not been sent to.
    """
    sent = (
        select(Delivery.address)
        .join(DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
        .where(DeliveryNotice.notice_id == one.notice.id, Delivery.letter == letters.NOTICE)
        .where(DeliveryNotice.edition == one.notice.edition, Delivery.state != DeliveryState.DROPPED)
    )
    written_to, roles = {address.casefold() for address in session.exec(sent)}, list(one.rule.roles)
    there = clients.contacts_of(session, [one.client.id])[one.client.id]
    left = [contact for contact in there if contact.role in roles and contact.email.casefold() not in written_to]
    return min(left, key=lambda contact: roles.index(contact.role), default=None)


def _tell_account_manager(
    session: Session,
    desk: Desk,
    bounce: BounceMail,
    delivery: Delivery,
    one: Recipient,
    again: Delivery | None,
    *,
    now: datetime,
) -> None:
    """Write to the client's account manager, or the privacy contact: once a day at most for each notice, and once more
    where nobody is left to be told.
    """
    profile = provider.require_complete(session)
    announcement = session.get_one(Announcement, one.notice.announcement_id)
    today = local_day(now, zone(profile.timezone))
    is_notice = delivery.letter == letters.NOTICE and not one.courtesy
    then = "next" if again else "nobody" if is_notice else "other"
    purpose = f"{letters.BOUNCED}.{one.notice.id.hex}.{today.isoformat()}{'.nobody' if then == 'nobody' else ''}"
    written = select(Delivery.id).where(Delivery.about_id == announcement.id, Delivery.purpose == purpose)
    if session.exec(written).first():
        return
    page = f"staff/announcements/{announcement.id}/clients/{one.notice.id}"
    letters.post_to_staff(
        session,
        desk,
        announcement,
        one.client.account_manager or profile.privacy_contact,
        letter=letters.BOUNCED,
        purpose=purpose,
        says={},
        facts=lambda language: {
            "company": one.client.company,
            "returned_from": delivery.address,
            "returned_at": instant(bounce.received_at, profile.timezone, language),
            "why": bounce.report["words"] or _NO_REASON[language],
            "then": _THEN[language][then].format(address=again.address if again else ""),
            "link": urljoin(f"{profile.base_url}/", page),
        },
        now=now,
    )
    doorbell.ring(session, doorbell.Bell.OUTBOX)


def _announcement_of(session: Session, bounce: BounceMail) -> UUID | None:
    delivery = session.get(Delivery, bounce.delivery_id) if bounce.delivery_id else None
    return delivery.announcement_id if delivery else None
