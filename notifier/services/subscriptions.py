"""Subscriptions: whoever asks is told by mail when the public list changes, or a change of it is announced.

These mails inform, and nothing else: no notice goes by them, no period runs from them.  An address is told nothing
before its own mail has confirmed it, and is erased when it ends.  What is to be told follows from the events, so that
publishing waits for no subscriber and a worker that was away tells what it missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.dates import instant, plain_date
from notifier.adapters.letters import UNSUBSCRIBE
from notifier.adapters.lists import is_address
from notifier.models import (
    Announcement,
    Attempt,
    Delivery,
    Event,
    EventKind,
    Subscriber,
    SubscriberNews,
    SubscriberState,
)
from notifier.models.base import uuid7
from notifier.models.subscriber import LINK_LIFE
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.links import Keyring, digest
from notifier.services import (
    announcements,
    doorbell,
    entry_words,
    events,
    letter_words,
    letters,
    notices,
    provider,
    public_record,
)
from notifier.services.desk import Desk
from notifier.services.events import Happened
from notifier.services.rows import insert_new

PAUSE = timedelta(hours=1)  # between two mails that ask one address to confirm
MOST_ASKS = 3  # of such mails, until the address is forgotten
MOST_AN_HOUR = 200  # such mails of this instance: more is somebody who makes it write to strangers
LIMIT = 200  # subscribers swept in one transaction, which other writers wait for
IN_FLIGHT = (DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)
# What is told, by the event that it is told of.  A mended wording is none: it says nothing new.
HAPPENED: Mapping[EventKind, str] = MappingProxyType(
    {
        EventKind.ANNOUNCEMENT_PUBLISHED: "announced",
        EventKind.ANNOUNCEMENT_CORRECTED: "corrected",
        EventKind.ANNOUNCEMENT_POSTPONED: "postponed",
        EventKind.ANNOUNCEMENT_WITHDRAWN: "withdrawn",
        EventKind.ANNOUNCEMENT_LIVE: "live",
        EventKind.ANNOUNCEMENT_BREACHED: "live",
    }
)


class BadAddress(ValueError):
    def __init__(self) -> None:
        super().__init__("write one e-mail address, such as ana@client.example")


class TooMany(Exception):
    """The instance has written to as many strangers as it may within an hour."""

    def __init__(self) -> None:
        super().__init__("too many addresses were given within this hour: try again later")


class LinkEnded(LookupError):
    """Unknown, or too old: whoever opens it learns no more than that."""

    def __init__(self) -> None:
        super().__init__("this link is incomplete or too old: subscribe again")


# --- by people -------------------------------------------------------------------------------------------------------


def ask(session: Session, desk: Desk, address: str, *, language: str, now: datetime) -> None:
    """Ask an address, by mail, whether it wants to be told.

    The caller learns nothing of the address: one that is subscribed, or was asked within the hour or often enough, gets
    no mail and the same answer.  Raises BadAddress, TooMany or ProfileIncomplete.
    """
    address = address.strip().casefold()
    if not is_address(address):
        raise BadAddress
    if _asks_within_the_hour(session, now=now) >= MOST_AN_HOUR:
        raise TooMany
    subscriber = _of(session, desk, address, language=language, now=now)
    asked = [subscriber] if _may_be_asked(subscriber, now=now) else []
    for one in asked:
        one.asks, one.asked_at, one.language = one.asks + 1, now, language
        session.add(one)
        _record(session, EventKind.SUBSCRIBER_ASKED, one, now=now)
    until = instant(now + LINK_LIFE, provider.get(session).timezone, language)
    letters.post_to_subscribers(
        session,
        desk,
        asked,
        letter=letters.CONFIRM,
        purpose=f"{letters.CONFIRM}.{now:%Y%m%dT%H%M%S}",
        opens=letters.CONFIRM,
        languages=[language],
        says=lambda _language: {"list_url": letter_words.list_url(provider.get(session))},
        facts=lambda _language: {"valid_until": until},
        now=now,
    )
    doorbell.ring(session, doorbell.Bell.OUTBOX)


def to_confirm(session: Session, token: str, *, now: datetime, lock: bool = False) -> Subscriber:
    """Return whom a link would confirm, or has confirmed; raises LinkEnded.  Looking confirms nothing."""
    found = _opened(session, Subscriber.confirm_digest, token, lock=lock)
    is_over = found.state is SubscriberState.WAITING and now >= found.confirm_until
    if is_over or found.state is SubscriberState.ENDED:
        raise LinkEnded
    return found


def confirm(session: Session, token: str, *, now: datetime) -> None:
    """Begin to tell an address, because its own mail was answered; a second time changes nothing.  Raises LinkEnded."""
    found = to_confirm(session, token, now=now, lock=True)
    if found.state is SubscriberState.CONFIRMED:
        return
    found.state, found.confirmed_at = SubscriberState.CONFIRMED, now
    session.add(found)
    _record(session, EventKind.SUBSCRIBER_CONFIRMED, found, now=now)


def to_end(session: Session, token: str, *, lock: bool = False) -> Subscriber:
    """Return whom a link would end, or has ended; raises LinkEnded.  Looking ends nothing."""
    return _opened(session, Subscriber.end_digest, token, lock=lock)


def end(session: Session, token: str, *, now: datetime) -> None:
    """Tell an address no more, and erase it; a second time changes nothing.  Raises LinkEnded."""
    found = to_end(session, token, lock=True)
    if found.state is not SubscriberState.ENDED:
        _end(session, found, why="unsubscribed", now=now)


# --- by the clock ----------------------------------------------------------------------------------------------------


def tell_due(session: Session, desk: Desk, *, now: datetime) -> bool:
    """Tell the subscribers of the oldest event that they have not been told of; returns whether there was one.

    A letter says what holds now.  So of several events of one announcement the last alone is told, and whoever
    subscribed after an event is not told of it.
    """
    event = None if provider.get(session).missing else _oldest_untold(session)
    if event is None:
        return False
    event_id = event.id or 0  # it has one: it was read
    if session.get(SubscriberNews, event_id):
        return True  # another worker was quicker
    session.add(SubscriberNews(event_id=event_id, told_at=now))
    told = 0 if _is_overtaken(session, event) else _tell(session, desk, event, now=now)
    if told:
        about = event.announcement_id or event.about_id
        kind, facts = EventKind.SUBSCRIBER_TOLD, {"event": event.id, "letters": told}
        events.record(session, kind, about=about, announcement=about, by=notices.MACHINE, now=now, **facts)
        doorbell.ring(session, doorbell.Bell.OUTBOX)
    return True


def sweep(session: Session, *, now: datetime) -> None:
    """End what a relay has refused for good, and erase the addresses that were never confirmed, or have ended."""
    for one in _refused(session):
        _end(session, one, why="refused", now=now)
    for one in _some(session, SubscriberState.WAITING, col(Subscriber.asked_at) <= now - LINK_LIFE):
        if _erase_letters(session, one):
            _record(session, EventKind.SUBSCRIBER_ENDED, one, now=now, why="unconfirmed")
            session.delete(one)
    for one in _some(session, SubscriberState.ENDED, col(Subscriber.address).is_not(None)):
        _erase(session, one)


# --- who -------------------------------------------------------------------------------------------------------------


def _of(session: Session, desk: Desk, address: str, *, language: str, now: datetime) -> Subscriber:
    """Return the subscriber of an address, locked; a new one where there is none."""
    new_id = uuid7()
    confirm_digest, end_digest = _digests(desk.keyring, new_id)
    insert_new(
        session,
        Subscriber(
            id=new_id,
            address=address,
            language=language,
            key_id=desk.keyring.current,
            confirm_digest=confirm_digest,
            end_digest=end_digest,
            asked_at=now,
        ),
    )
    found = session.exec(select(Subscriber).where(Subscriber.address == address).with_for_update()).one()
    if found.state is SubscriberState.ENDED:  # its last mail is on the wire, so that it has not been erased yet
        found.state, found.asks, found.confirmed_at, found.ended_at = SubscriberState.WAITING, 0, None, None
    return found


def _digests(keyring: Keyring, subscriber_id: UUID) -> tuple[str, str]:
    confirms, ends = (keyring.token(subscriber_id, opens) for opens in (letters.CONFIRM, UNSUBSCRIBE))
    return digest(confirms), digest(ends)


def _may_be_asked(one: Subscriber, *, now: datetime) -> bool:
    is_time = one.asks == 0 or now - one.asked_at >= PAUSE
    return one.state is SubscriberState.WAITING and one.asks < MOST_ASKS and is_time


def _asks_within_the_hour(session: Session, *, now: datetime) -> int:
    query = select(sa.func.count()).select_from(Subscriber).where(Subscriber.state == SubscriberState.WAITING)
    return session.exec(query.where(col(Subscriber.asked_at) > now - PAUSE)).one()


def _opened(session: Session, kept: Any, token: str, *, lock: bool) -> Subscriber:  # noqa: ANN401 - a column
    query = select(Subscriber).where(kept == digest(token))
    found = session.exec(query.with_for_update() if lock else query).first()
    if found is None:
        raise LinkEnded
    return found


def _some(session: Session, state: SubscriberState, *where: Any) -> list[Subscriber]:  # noqa: ANN401 - conditions
    query = select(Subscriber).where(Subscriber.state == state, *where).limit(LIMIT)
    return list(session.exec(query.with_for_update(skip_locked=True)))


def _refused(session: Session) -> list[Subscriber]:
    """Return the confirmed ones whose mail another server refused for good, or that came back.  What could not be
    written, by our own fault, has no code.
    """
    refused = (
        select(Delivery.id)
        .join(Attempt, sa.and_(col(Attempt.delivery_id) == Delivery.id, col(Attempt.number) == Delivery.attempt))
        .where(
            Delivery.about_id == Subscriber.id,
            Delivery.state == DeliveryState.REFUSED,
            col(Attempt.code).is_not(None),
        )
        .correlate(Subscriber)
    )
    return _some(session, SubscriberState.CONFIRMED, refused.exists())


def _end(session: Session, one: Subscriber, *, why: str, now: datetime) -> None:
    one.state, one.ended_at = SubscriberState.ENDED, now
    _record(session, EventKind.SUBSCRIBER_ENDED, one, now=now, why=why)
    _erase(session, one)


def _erase(session: Session, one: Subscriber) -> None:
    """Forget the address; while a mail to it is on the wire it is kept, and the next sweep tries again."""
    if _erase_letters(session, one):
        one.address = None
    session.add(one)


def _erase_letters(session: Session, one: Subscriber) -> bool:
    """Delete the mails to a subscriber, which hold its address; returns whether none is left."""
    rows = session.exec(select(Delivery).where(Delivery.about_id == one.id).with_for_update(key_share=True)).all()
    gone = [row.id for row in rows if row.state not in IN_FLIGHT]
    session.execute(sa.delete(Attempt).where(col(Attempt.delivery_id).in_(gone)))
    session.execute(sa.delete(Delivery).where(col(Delivery.id).in_(gone)))
    return len(gone) == len(rows)


def _record(session: Session, kind: EventKind, one: Subscriber, *, now: datetime, why: str = "") -> None:
    facts = {"why": why} if why else {}
    happened = Happened(kind=kind, about=one.id, data=facts)
    events.record_all(session, [happened], by=f"subscriber:{one.id}", now=now)


# --- what ------------------------------------------------------------------------------------------------------------


def _oldest_untold(session: Session) -> Event | None:
    """Return the oldest event, locked, that is public and of which nobody has been told.  Ids are not compared with
    the last one told: on PostgreSQL a smaller one may be committed later.
    """
    told = select(SubscriberNews.event_id).where(SubscriberNews.event_id == Event.id).correlate(Event)
    query = (
        select(Event)
        .join(Announcement, col(Announcement.id) == Event.announcement_id)
        .where(col(Event.kind).in_(list(HAPPENED)), col(Announcement.kind).in_(public_record.SHOWN), ~told.exists())
        .order_by(col(Event.id))
        .limit(1)
    )
    return session.exec(query.with_for_update(skip_locked=True, key_share=True, of=Event)).first()


def _is_overtaken(session: Session, event: Event) -> bool:
    later = select(Event.id).where(
        Event.announcement_id == event.announcement_id,
        col(Event.kind).in_(list(HAPPENED)),
        col(Event.id) > event.id,
    )
    return session.exec(later.limit(1)).first() is not None


def _tell(session: Session, desk: Desk, event: Event, *, now: datetime) -> int:
    """Put one letter for each subscriber in the outbox; returns how many.  The lock keeps one that ends meanwhile from
    being written to after it has been erased.
    """
    query = select(Subscriber).where(
        Subscriber.state == SubscriberState.CONFIRMED, col(Subscriber.confirmed_at) <= event.at
    )
    subscribers = session.exec(query.order_by(col(Subscriber.id)).with_for_update()).all()
    for one in subscribers:
        _keep_its_key(desk.keyring, one)
    announcement = session.exec(select(Announcement).where(Announcement.id == event.announcement_id)).one()
    letters.post_to_subscribers(
        session,
        desk,
        subscribers,
        letter=letters.NEWS,
        purpose=f"{letters.NEWS}.{event.id}",
        opens=UNSUBSCRIBE,
        languages={one.language for one in subscribers},
        says=lambda language: _said(session, event, announcement, language),
        facts=lambda _language: {},
        now=now,
    )
    return len(subscribers)


def _keep_its_key(keyring: Keyring, one: Subscriber) -> None:
    """A key that was taken away takes the links in old mails with it; the new ones must hold."""
    if one.key_id not in keyring.keys:
        one.key_id = keyring.current
        one.confirm_digest, one.end_digest = _digests(keyring, one.id)


def _said(session: Session, event: Event, announcement: Announcement, language: str) -> dict[str, Any]:
    """Return what the letter says: what the public list says, and nothing that is for clients alone."""
    told = event.data.get("told", "")
    announced = letter_words.announced(announcement, provider.get(session), language)
    return {
        "happened": HAPPENED[event.kind],
        "old_day": plain_date(date.fromisoformat(told), language) if told else "",
        "announcement": {name: said for name, said in announced.items() if name != "reasons"},
        **news_of(announcement, language),
    }


def news_of(announcement: Announcement, language: str) -> dict[str, Any]:
    """Return an announcement in words for everybody: of the registry the sentences of its changes, of another kind the
    facts that were written of it.
    """
    changes = announcements.changes_of(announcement)
    return {
        "sentences": [entry_words.sentence(change, language) for change in changes],
        "facts": [] if changes else letter_words.facts_of(announcement, language),
    }
