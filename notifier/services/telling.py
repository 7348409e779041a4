"""Telling clients: sealing each distinct deadline, raising a notice for each, and putting mails and letters on their
way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed
from itertools import groupby, islice
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Self, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    Answer,
    AnswerKind,
    Client,
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
from notifier.models.base import uuid7
from notifier.models.notice import CONCERNS_NO_MORE
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.entries import SCOPE
from notifier.rules.notice_states import NoticeState, NoticeStep, next_notice_state
from notifier.rules.registry_diff import as_json, from_json
from notifier.rules.scope import Scope, is_limited
from notifier.rules.terms import Channel
from notifier.services import doorbell, events, items, letters, provider
from notifier.services.affected import Affected, Reach, Told
from notifier.services.desk import Desk
from notifier.services.events import Happened
from notifier.services.letter_notes import Clock, Company, Reader
from notifier.services.rows import as_object, dialect_of, handed_in, insert_set, new_id, table_of, these

Thing = TypeVar("Thing")

TOGETHER = 2000  # mails or letters written at once
REACHED = MappingProxyType(
    {
        "client_id": sa.Uuid(),
        "terms_id": sa.Uuid(),
        "sealed_id": sa.Uuid(),
        "channel": sa.Text(),
        "is_reachable": sa.Boolean(),
    }
)
CORRECTED = "the announcement has been corrected since"
WIDENED = "more of the announcement concerns the client since"
ANY_SCOPE = Scope()  # of clients whose scope makes no difference
_COMPANY = (col(Client.company), col(Client.reseller))


def tell(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    reach: Reach,
    *,
    by: str,
    now: datetime,
) -> None:
    """Raise one notice for each client that an announcement reaches, and put what tells them in the outbox or among the
    paper.

    All of it goes by sets, first the notices by client, then the mails by address, so that memory does not grow with
    the number of clients.
    """
    sealed = _seal(session, announcement, reach.told, now=now)
    if reach.clients:
        _raise_notices(session, announcement, reach.reached(session, sealed).subquery(), [], by=by, now=now)
    told = {sealed[key]: one for key, one in reach.told.items()}
    letters.post_notices(session, desk, announcement, _by_address(session, announcement, told), now=now)
    _find_unwritten(session, announcement, by=by, now=now)
    if any(one.channel is not Channel.MAIL for one in told.values()):
        for letters_raised in _by_sets(_by_letter(session, announcement, told)):
            _raise_paper(session, announcement, letters_raised, now=now)
    doorbell.ring(session, doorbell.Bell.OUTBOX)


def _by_sets(many: Iterable[Thing]) -> Iterator[list[Thing]]:
    rest = iter(many)
    while some := list(islice(rest, TOGETHER)):
        yield some


def _raise_notices(
    session: Session,
    announcement: Announcement,
    reached: sa.FromClause,
    which: Sequence[sa.ColumnElement[bool]],
    *,
    by: str,
    now: datetime,
) -> None:
    """Raise a notice for each row of a table as `Reach.reached` gives it, with its event; each takes its deadline from
    what was sealed.  The database makes both, and no client is read.  `which` tells these notices from others of the
    announcement.
    """
    dialect, notice, client, counted = dialect_of(session), table_of(Notice).c, table_of(Client).c, table_of(Sealed).c
    raised = {
        "id": new_id(dialect),
        "client_id": reached.c.client_id,
        "terms_id": reached.c.terms_id,
        "sealed_id": reached.c.sealed_id,
        "state": sa.case((reached.c.is_reachable, NoticeState.RAISED.value), else_=NoticeState.UNREACHED.value),
        "channel": reached.c.channel,
        "announcement_id": sa.literal(announcement.id, sa.Uuid()),
        "edition": sa.literal(announcement.edition),
        "raised_at": sa.literal(now, notice.raised_at.type),
        "object_by": counted.last_day,
        "object_until": counted.until,
        "holds_until": counted.opens_at,
    }
    chosen = sa.select(*raised.values()).select_from(reached.join(table_of(Sealed), counted.id == reached.c.sealed_id))
    session.execute(sa.insert(table_of(Notice)).from_select(list(raised), chosen))
    is_raised = notice.state == NoticeState.RAISED
    happened = {
        "kind": sa.case((is_raised, EventKind.NOTICE_RAISED.value), else_=EventKind.NOTICE_UNREACHED.value),
        "about_id": notice.id,
        "announcement_id": notice.announcement_id,
        "data": as_object(
            dialect,
            {"client": client.key, "company": client.company, "object_by": notice.object_by},
        ),
    }
    these_notices = sa.and_(notice.announcement_id == announcement.id, *which)
    theirs = sa.select(*(value.label(name) for name, value in happened.items()))
    theirs = theirs.join_from(table_of(Notice), table_of(Client), client.id == notice.client_id).where(these_notices)
    kinds = (EventKind.NOTICE_RAISED, EventKind.NOTICE_UNREACHED)
    events.record_each(session, theirs.order_by(client.key), kinds=kinds, by=by, now=now)
    unreached = session.execute(sa.select(notice.id).where(these_notices, notice.state == NoticeState.UNREACHED))
    items.open_all(
        session, ItemKind.UNREACHABLE_CLIENT, about=unreached.scalars(), announcement=announcement.id, now=now
    )


@dataclass(frozen=True, slots=True)
class _Raised:
    """What the notices under one sealed deadline have in common, as they have been raised."""

    told: Told
    clock: tuple[Any, ...]

    @classmethod
    def of(cls, announcement: Announcement, sealed_id: UUID, told: Told) -> Self:
        """Follow the fields of Clock, but for the notice's own id."""
        reckoning = told.reckoning
        dated = (reckoning.last_day, reckoning.until, reckoning.opens_at)
        return cls(told, (sealed_id, *dated, told.channel, announcement.edition))

    def recipient(self, reader: Reader, company: Company, notice_id: UUID) -> letters.Addressee:
        return letters.Addressee(
            contact=reader,
            client=company,
            notice=Clock(notice_id, *self.clock),
            rule=self.told.rule,
            courtesy=self.told.channel is not Channel.MAIL,
        )


def _by_address(
    session: Session, announcement: Announcement, told: Mapping[UUID, Told]
) -> Iterator[list[letters.Addressee]]:
    """Read whom the notices of an announcement, all of them new, are written to: in sets that no address is divided
    between, one contact for each client and address.
    """
    is_apart = is_limited([from_json(change) for change in announcement.changes])
    has = [col(one) for one in (Client.services, Client.regions, Client.options)] if is_apart else []
    contact = [col(one) for one in (Contact.id, Contact.name, Contact.email, Contact.language, Contact.role)]
    query = _to_contacts(announcement, [*contact, col(Notice.id), col(Notice.sealed_id), *_COMPANY, *has])
    in_order = query.order_by(sa.func.lower(col(Contact.email)), col(Client.key), col(Contact.id))
    under = {sealed_id: _Raised.of(announcement, sealed_id, one) for sealed_id, one in told.items()}
    some: list[letters.Addressee] = []
    address, written_to = "", set[UUID]()
    for row in session.execute(in_order, execution_options={"yield_per": TOGETHER}):
        reader, role, notice_id, raised = Reader(*row[:4]), row[4], row[5], under[row[6]]
        if (folded := reader.email.casefold()) != address:
            address, written_to = folded, set()
            if len(some) >= TOGETHER:
                yield some
                some = []
        if role in raised.told.rule.roles and notice_id not in written_to:
            written_to.add(notice_id)
            scope = Scope(**dict(zip(SCOPE, map(tuple, row[9:]), strict=True))) if is_apart else ANY_SCOPE
            some.append(raised.recipient(reader, Company(row[7], row[8], scope), notice_id))
    yield some


def _find_unwritten(session: Session, announcement: Announcement, *, by: str, now: datetime) -> None:
    """Put before a person whoever nothing was written to after all: its contacts left while the notices were raised."""
    written = select(DeliveryNotice.notice_id).where(DeliveryNotice.notice_id == Notice.id).correlate(Notice).exists()
    query = (
        sa.select(*map(col, (Notice.id, Client.key, Client.company, Notice.object_by)))
        .join(Client, col(Client.id) == Notice.client_id)
        .where(col(Notice.announcement_id) == announcement.id, col(Notice.state) == NoticeState.RAISED)
        .where(col(Notice.channel) == Channel.MAIL, ~written)
    )
    found = session.execute(query).all()
    if not found:
        return
    missed = [notice_id for notice_id, *_ in found]
    state = next_notice_state(NoticeState.RAISED, NoticeStep.FAIL)
    session.execute(sa.update(Notice).where(col(Notice.id).in_(these(session, missed))).values(state=state))
    items.open_all(session, ItemKind.UNREACHABLE_CLIENT, about=missed, announcement=announcement.id, now=now)
    happened = [
        Happened(
            kind=EventKind.NOTICE_UNREACHED,
            about=notice_id,
            announcement=announcement.id,
            data={"client": key, "company": company, "object_by": object_by.isoformat()},
        )
        for notice_id, key, company, object_by in found
    ]
    events.record_all(session, happened, by=by, now=now)


def _by_letter(session: Session, announcement: Announcement, told: Mapping[UUID, Told]) -> Iterator[dict[str, Any]]:
    """Read the registered letters that the notices of an announcement, all of them new, are to be told by."""
    contact = [col(one) for one in (Contact.id, Contact.language, Contact.role)]
    query = _to_contacts(announcement, [col(Notice.id), col(Notice.sealed_id), *contact], outer=True)
    in_order = query.where(col(Notice.channel) != Channel.MAIL, col(Notice.state) == NoticeState.RAISED)
    rows = session.execute(
        in_order.order_by(col(Client.key), col(Contact.id)), execution_options={"yield_per": TOGETHER}
    )
    for notice_id, contacts in groupby(rows, itemgetter(0)):
        every = list(contacts)
        one = told[every[0][1]]
        attention = next((row[2:4] for row in every if row[4] in one.rule.roles), (None, None))
        yield _letter(notice_id, announcement.edition, one.channel, *attention)


def _to_contacts(announcement: Announcement, columns: Sequence[Any], *, outer: bool = False) -> sa.Select[Any]:
    still_there = sa.and_(col(Contact.client_id) == Client.id, col(Contact.left_at).is_(None))
    of_this = col(Notice.announcement_id) == announcement.id
    notices = sa.select(*columns).select_from(Notice).join(Client, col(Client.id) == Notice.client_id)
    return notices.join(Contact, still_there, isouter=outer).where(of_this)


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
    sealed = _seal(session, announcement, {one.terms_key: one.told for one in affected}, now=now)
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
    sealed = _seal(session, announcement, {one.terms_key: one.told for one in affected}, now=now)
    widened = [one for one in affected if one.client.id in known]
    back = _left_out(known)
    replaces = _before(session, before, [known[one.client.id] for one in widened])
    _drop_letters(session, [known[one.client.id].id for one in widened])
    for one in widened:
        _restart(session, announcement, known[one.client.id], one, sealed[one.terms_key], by=by, now=now)
    narrower = these(session, [known[one.client.id].id for one in widened])
    _lapse_acknowledgements(session, narrower, why=WIDENED, by=by, now=now)
    session.flush()
    more = [one for one in widened if known[one.client.id].id not in back]
    again = [one for one in widened if known[one.client.id].id in back]
    _send(session, desk, announcement, more, known, purpose=f"{purpose}.more", replaces=replaces, now=now)
    _send(session, desk, announcement, again, known, purpose=f"{purpose}.again", now=now)
    fresh = _without_notice(session, announcement, affected)
    _raise(session, desk, announcement, fresh, sealed, purpose=purpose, by=by, now=now)


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
    """Raise a notice for each of these clients, who had none, and send what tells them."""
    rows = [
        {
            "client_id": one.client.id,
            "terms_id": one.owed.terms.id,
            "sealed_id": sealed[one.told.key],
            "channel": one.channel,
            "is_reachable": one.is_reachable,
        }
        for one in affected
    ]
    if rows:
        reached = handed_in(session, REACHED, rows)
        which = col(Notice.client_id).in_(these(session, [one.client.id for one in affected]))
        _raise_notices(session, announcement, reached, [which], by=by, now=now)
    _send(session, desk, announcement, affected, _notices(session, announcement), purpose=purpose, now=now)


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
    session.execute(sa.delete(PaperLetter).where(col(PaperLetter.notice_id).in_(these(session, notice_ids)), waiting))


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
    unreached = [by_client[one.client.id].id for one in affected if not one.is_reachable]
    items.open_all(session, ItemKind.UNREACHABLE_CLIENT, about=unreached, announcement=announcement.id, now=now)
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
    letters.post_notices(session, desk, announcement, [recipients], purpose=purpose, now=now)
    by_letter = [one for one in affected if one.channel is not Channel.MAIL and one.is_reachable]
    _raise_paper(session, announcement, [_letter_to(one, by_client[one.client.id]) for one in by_letter], now=now)
    doorbell.ring(session, doorbell.Bell.OUTBOX)


def _letter_to(one: Affected, notice: Notice) -> dict[str, Any]:
    attention = next(iter(one.addressed), None)
    named = (attention.id, attention.language) if attention else (None, None)
    return _letter(notice.id, notice.edition, one.channel, *named)


def _letter(
    notice_id: UUID, edition: int, channel: Channel, contact_id: UUID | None, language: str | None
) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "notice_id": notice_id,
        "contact_id": contact_id,
        "channel": channel,
        "edition": edition,
        "language": language,
    }


def _raise_paper(
    session: Session, announcement: Announcement, raised: Sequence[dict[str, Any]], *, now: datetime
) -> None:
    """Put registered letters among those to be printed, for clients who are not told by mail with effect."""
    if not raised:
        return
    language = provider.get(session).languages.split()[0]
    rows = [{**one, "language": one["language"] or language} for one in raised]
    insert_set(session, PaperLetter, rows, {"raised_at": now})
    items.open_item(session, ItemKind.PAPER_TO_PRINT, about=announcement.id, announcement=announcement.id, now=now)


def _seal(
    session: Session, announcement: Announcement, distinct: Mapping[str, Told], *, now: datetime
) -> dict[str, UUID]:
    """Keep each distinct deadline with everything it was computed from; a later table or contract never moves it."""
    versions = {"holidays": installed("holidays"), "tzdata": installed("tzdata")}
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
    notice_ids: Any,  # noqa: ANN401 - what selects them
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
