"""Telling clients: sealing each distinct deadline, raising a notice for each, and putting mails and letters on their
way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version as installed
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    Answer,
    AnswerKind,
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
from notifier.models.base import uuid7
from notifier.models.notice import CONCERNS_NO_MORE
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.notice_states import NoticeState, NoticeStep
from notifier.rules.registry_diff import as_json
from notifier.rules.terms import Channel
from notifier.services import doorbell, events, items, letters, provider
from notifier.services.affected import Affected
from notifier.services.desk import Desk
from notifier.services.events import Happened

CORRECTED = "the announcement has been corrected since"
WIDENED = "more of the announcement concerns the client since"


def tell(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    affected: Sequence[Affected],
    *,
    purpose: str = letters.NOTICE,
    by: str,
    now: datetime,
) -> None:
    """Raise one notice for each of these clients, and put what tells them in the outbox or among the paper."""
    sealed = _seal(session, announcement, affected, now=now)
    _raise(session, desk, announcement, affected, sealed, purpose=purpose, by=by, now=now)


def _raise(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    affected: Sequence[Affected],
    sealed: Mapping[str, UUID],
    *,
    purpose: str,
    by: str,
    now: datetime,
) -> None:
    raised = [_notice(announcement, one, sealed[one.terms_key], now) for one in affected]
    if raised:
        session.execute(sa.insert(Notice), [notice.model_dump() for notice in raised])
    by_client = {notice.client_id: notice for notice in raised}
    events.record_all(
        session, [_raised(announcement, one, by_client[one.client.id]) for one in affected], by=by, now=now
    )
    _send(session, desk, announcement, affected, by_client, purpose=purpose, now=now)


def tell_anew(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    affected: Sequence[Affected],
    before: Edition,
    *,
    by: str,
    now: datetime,
) -> None:
    """Begin every clock again with what the announcement says now.

    What still waits to be sent is dropped; whoever was told of the edition before learns what differs, the others are
    told of this one alone.  Acknowledgements lapse, objections and terminations stand.
    """
    known = _notices(session, announcement)
    already = _told(session, announcement) - _left_out(known)
    drop_unsent(session, announcement, by=by, now=now)
    sealed = _seal(session, announcement, affected, now=now)
    restarted = [one for one in affected if one.client.id in known]
    replaces = _before(session, before, [known[one.client.id] for one in restarted])
    for one in restarted:
        _restart(session, announcement, known[one.client.id], one, sealed[one.terms_key], by=by, now=now)
    of_this = select(Notice.id).where(Notice.announcement_id == announcement.id)
    _lapse_acknowledgements(session, of_this, why=CORRECTED, by=by, now=now)
    session.flush()
    told = [one for one in restarted if known[one.client.id].id in already]
    untold = [one for one in restarted if known[one.client.id].id not in already]
    purpose = f"{letters.NOTICE}.edition.{announcement.edition}"
    _send(session, desk, announcement, told, known, purpose=purpose, replaces=replaces, now=now)
    _send(session, desk, announcement, untold, known, purpose=f"{purpose}.first", now=now)
    fresh = _without_notice(session, announcement, affected)
    _raise(session, desk, announcement, fresh, sealed, purpose=f"{purpose}.new", by=by, now=now)


def tell_more(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    affected: Sequence[Affected],
    before: Edition,
    *,
    purpose: str,
    by: str,
    now: datetime,
) -> None:
    """Tell clients who have not been told, and those whom more of it has come to concern than they were told.

    Each has its whole period from now on.  What the latter said of the narrower text lapses, as after a correction;
    `before` is the edition that they know.
    """
    known = _notices(session, announcement)
    sealed = _seal(session, announcement, affected, now=now)
    widened = [one for one in affected if one.client.id in known]
    back = _left_out(known)
    replaces = _before(session, before, [known[one.client.id] for one in widened])
    _drop_letters(session, [known[one.client.id].id for one in widened])
    for one in widened:
        _restart(session, announcement, known[one.client.id], one, sealed[one.terms_key], by=by, now=now)
    _lapse_acknowledgements(session, [known[one.client.id].id for one in widened], why=WIDENED, by=by, now=now)
    session.flush()
    more = [one for one in widened if known[one.client.id].id not in back]
    again = [one for one in widened if known[one.client.id].id in back]
    _send(session, desk, announcement, more, known, purpose=f"{purpose}.more", replaces=replaces, now=now)
    _send(session, desk, announcement, again, known, purpose=f"{purpose}.again", now=now)
    fresh = _without_notice(session, announcement, affected)
    _raise(session, desk, announcement, fresh, sealed, purpose=purpose, by=by, now=now)


def leave_out(session: Session, notices: Sequence[Notice], *, by: str, now: datetime) -> None:
    """Record that a correction has left nothing of an announcement that concerns these clients."""
    for notice in notices:
        notice.excluded_at, notice.excluded_by, notice.excluded_why = now, by, CONCERNS_NO_MORE
        session.add(notice)
        items.close_items(session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, by=by, now=now, note=CORRECTED)
    happened = [
        Happened(kind=EventKind.NOTICE_EXCLUDED, about=notice.id, announcement=notice.announcement_id)
        for notice in notices
    ]
    events.record_all(session, happened, by=by, now=now)
    session.flush()


def _left_out(known: Mapping[UUID, Notice]) -> set[UUID]:
    """Return the notices of those who know that nothing of it concerns them: they are told anew, as at first."""
    return {notice.id for notice in known.values() if notice.is_left_out}


def _without_notice(session: Session, announcement: Announcement, affected: Sequence[Affected]) -> list[Affected]:
    ever = set(session.exec(select(Notice.client_id).where(Notice.announcement_id == announcement.id)))
    return [one for one in affected if one.client.id not in ever]


def _before(session: Session, edition: Edition, notices: Sequence[Notice]) -> dict[UUID, Edition]:
    """Return what an edition said to each of these, by notice."""
    query = select(Sealed.id, Sealed.terms_key, Sealed.changes)
    said, shared = {}, {"": edition}  # those who were told the same may share a mail that says what differs
    for one, key, changes in session.exec(query.where(col(Sealed.id).in_({notice.sealed_id for notice in notices}))):
        mark = key.partition("#")[2]
        if changes is not None and mark not in shared:
            shared[mark] = edition.saying(list(changes))
        said[one] = shared[mark if changes is not None else ""]
    return {notice.id: said[notice.sealed_id] for notice in notices}


def _drop_letters(session: Session, notice_ids: Sequence[UUID]) -> None:
    """Letters that are not printed yet are written anew."""
    waiting = col(PaperLetter.state) == PaperState.WAITING
    session.execute(sa.delete(PaperLetter).where(col(PaperLetter.notice_id).in_(notice_ids), waiting))


def _notice(announcement: Announcement, one: Affected, sealed_id: UUID, now: datetime) -> Notice:
    return Notice(
        id=uuid7(),
        announcement_id=announcement.id,
        client_id=one.client.id,
        terms_id=one.owed.terms.id,
        sealed_id=sealed_id,
        state=NoticeState.RAISED if one.is_reachable else NoticeState.UNREACHED,
        object_by=one.reckoning.last_day,
        object_until=one.reckoning.until,
        holds_until=one.reckoning.opens_at,
        channel=one.channel,
        edition=announcement.edition,
        raised_at=now,
    )


def _restart(
    session: Session,
    announcement: Announcement,
    notice: Notice,
    one: Affected,
    sealed_id: UUID,
    *,
    by: str,
    now: datetime,
) -> None:
    """A last day that was told is never taken back."""
    notice.take(NoticeStep.RESTART)
    notice.excluded_at, notice.excluded_by, notice.excluded_why = None, "", ""
    if not one.is_reachable:
        notice.take(NoticeStep.FAIL)
    else:
        items.close_items(session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, by=by, now=now, note=CORRECTED)
    if one.reckoning.until > notice.object_until:
        notice.object_by, notice.object_until = one.reckoning.last_day, one.reckoning.until
    notice.holds_until = max(notice.holds_until, one.reckoning.opens_at)
    notice.sealed_id, notice.terms_id, notice.channel = sealed_id, one.owed.terms.id, one.channel
    notice.edition = announcement.edition
    notice.received_on, notice.received_how = None, ""
    session.add(notice)
    data = {"client": one.client.key, "edition": notice.edition, "object_by": notice.object_by.isoformat()}
    kind, about = EventKind.NOTICE_RESTARTED, announcement.id
    events.record(session, kind, about=notice.id, announcement=about, by=by, now=now, **data)


def _send(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    affected: Sequence[Affected],
    by_client: Mapping[UUID, Notice],
    *,
    purpose: str,
    replaces: Mapping[UUID, Edition] = MappingProxyType({}),
    now: datetime,
) -> None:
    """`replaces`: what clients were told before, by notice, which this takes the place of."""
    for one in affected:
        if not one.is_reachable:
            about = by_client[one.client.id].id
            items.open_item(session, ItemKind.UNREACHABLE_CLIENT, about=about, announcement=announcement.id, now=now)
    recipients = [
        letters.Recipient(
            contact=contact,
            client=one.client,
            notice=by_client[one.client.id],
            rule=one.rule,
            courtesy=one.channel is not Channel.MAIL,
            replaces=replaces.get(by_client[one.client.id].id),
        )
        for one in affected
        for contact in one.addressed
    ]
    letters.post_notices(session, desk, announcement, recipients, purpose=purpose, now=now)
    _raise_paper(session, announcement, affected, by_client, now=now)
    doorbell.ring(session, doorbell.Bell.OUTBOX)


def _raise_paper(
    session: Session,
    announcement: Announcement,
    affected: Sequence[Affected],
    by_client: Mapping[UUID, Notice],
    *,
    now: datetime,
) -> None:
    """Put a registered letter among those to be printed, for each client who is not told by mail with effect."""
    language = provider.get(session).languages.split()[0]
    by_letter = [one for one in affected if one.channel is not Channel.MAIL and one.is_reachable]
    for one in by_letter:
        attention = next(iter(one.addressed), None)
        notice = by_client[one.client.id]
        session.add(
            PaperLetter(
                notice_id=notice.id,
                contact_id=attention.id if attention else None,
                channel=one.channel,
                edition=notice.edition,
                language=attention.language if attention else language,
                raised_at=now,
            )
        )
    if by_letter:
        items.open_item(session, ItemKind.PAPER_TO_PRINT, about=announcement.id, announcement=announcement.id, now=now)


def _seal(
    session: Session, announcement: Announcement, affected: Sequence[Affected], *, now: datetime
) -> dict[str, UUID]:
    """Keep each distinct deadline with everything it was computed from; a later table or contract never moves it."""
    versions = {"holidays": installed("holidays"), "tzdata": installed("tzdata")}
    distinct = {one.terms_key: one.told for one in affected}
    rows = {
        key: Sealed(
            announcement_id=announcement.id,
            terms_key=key,
            pack=told.pack,
            edition=announcement.edition,
            rule=told.rule.as_json(),
            changes=None if told.changes is None else [as_json(change) for change in told.changes],
            received_on=told.reckoning.received_on,
            last_day=told.reckoning.last_day,
            until=told.reckoning.until,
            opens_at=told.reckoning.opens_at,
            steps=[step.as_json() for step in told.reckoning.steps],
            versions=versions,
            sealed_at=now,
        )
        for key, told in distinct.items()
    }
    session.add_all(rows.values())
    session.flush()
    return {key: row.id for key, row in rows.items()}


def _raised(announcement: Announcement, one: Affected, notice: Notice) -> Happened:
    kind = EventKind.NOTICE_RAISED if one.is_reachable else EventKind.NOTICE_UNREACHED
    data = {"client": one.client.key, "company": one.client.company, "object_by": notice.object_by.isoformat()}
    return Happened(kind=kind, about=notice.id, announcement=announcement.id, data=data)


def _notices(session: Session, announcement: Announcement) -> dict[UUID, Notice]:
    """Return the notices of an announcement by client, but those for whom the change is not made or has been made; it
    may come to concern again those whom a correction left out.
    """
    meant = sa.or_(col(Notice.excluded_at).is_(None), col(Notice.excluded_why) == CONCERNS_NO_MORE)
    query = select(Notice).where(Notice.announcement_id == announcement.id, meant, col(Notice.live_at).is_(None))
    locked = query.order_by(col(Notice.id)).with_for_update(key_share=True).execution_options(populate_existing=True)
    return {notice.client_id: notice for notice in session.exec(locked)}


def _told(session: Session, announcement: Announcement) -> set[UUID]:
    """Return the notices of which something has left, or may have."""
    posted = (
        select(PaperLetter.notice_id)
        .join(Notice, col(Notice.id) == PaperLetter.notice_id)
        .where(Notice.announcement_id == announcement.id, PaperLetter.state != PaperState.WAITING)
    )
    return letters.told_notices(session, announcement.id) | set(session.exec(posted))


def drop_unsent(session: Session, announcement: Announcement, *, by: str, now: datetime) -> None:
    """Take back what has not left yet; a mail that a worker holds is let go."""
    waiting = session.exec(
        select(Delivery)
        .where(Delivery.announcement_id == announcement.id, Delivery.state == DeliveryState.WAITING)
        .order_by(col(Delivery.id))
        .with_for_update()
    ).all()
    dropped = [row for row in waiting if row.letter not in letters.OUTLASTING]
    letters.drop(session, dropped, by=by, now=now)
    of_this = select(Notice.id).where(Notice.announcement_id == announcement.id)
    session.execute(
        sa.delete(PaperLetter).where(
            col(PaperLetter.notice_id).in_(of_this), col(PaperLetter.state) == PaperState.WAITING
        )
    )
    items.close_items(session, ItemKind.PAPER_TO_PRINT, about=announcement.id, by=by, now=now)


def _lapse_acknowledgements(
    session: Session,
    notice_ids: Any,  # noqa: ANN401 - ids, or what selects them
    *,
    why: str,
    by: str,
    now: datetime,
) -> None:
    """What was acknowledged, agreed to or confirmed was another text; an objection to it stands."""
    lapsing = (AnswerKind.ACKNOWLEDGEMENT, AnswerKind.CONSENT, AnswerKind.CONFIRMATION)
    session.execute(
        sa.update(Answer)
        .where(col(Answer.notice_id).in_(notice_ids), col(Answer.kind).in_(lapsing), col(Answer.standing).is_(True))
        .values(standing=None, closed_at=now, closed_by=by, closing_note=why)
    )


def ask_for_letters(session: Session, announcement: Announcement, *, now: datetime) -> None:
    """Put before a person each client that was told by letter: what follows is sent to it by letter too, by hand."""
    told = (
        select(Notice.id)
        .join(PaperLetter, col(PaperLetter.notice_id) == Notice.id)
        .where(Notice.announcement_id == announcement.id, PaperLetter.state != PaperState.WAITING)
        .where(col(Notice.channel) != Channel.MAIL, col(Notice.excluded_at).is_(None))
        .distinct()
    )
    for notice_id in session.exec(told).all():
        items.open_item(session, ItemKind.TELL_BY_LETTER, about=notice_id, announcement=announcement.id, now=now)


def drop_for_nobody(session: Session, announcement: Announcement, *, by: str, now: datetime) -> None:
    """Take back the mails that would tell only clients for whom the change is not made."""
    meant = (
        select(Notice.id)
        .join(DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id)
        .where(DeliveryNotice.delivery_id == Delivery.id, col(Notice.excluded_at).is_(None))
        .correlate(Delivery)
    )
    told = select(DeliveryNotice.notice_id).where(DeliveryNotice.delivery_id == Delivery.id).correlate(Delivery)
    waiting = (
        select(Delivery)
        .where(Delivery.announcement_id == announcement.id, Delivery.state == DeliveryState.WAITING)
        .where(col(Delivery.letter).not_in(letters.OUTLASTING), told.exists(), ~meant.exists())
        .order_by(col(Delivery.id))
        .with_for_update(of=Delivery)
    )
    letters.drop(session, session.exec(waiting).all(), by=by, now=now)
