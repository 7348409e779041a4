"""Evidence about mails that may or may not have arrived, and the hour at which one that has none presses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.relay_logs import Fate, Logged
from notifier.models import Delivery, DeliveryNotice, Event, EventKind, Item, ItemKind, Notice
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.links import delivery_of
from notifier.services import events, outbox
from notifier.services.desk import Desk
from notifier.services.events import Happened

TOGETHER = 500
PRESSING_AFTER = timedelta(hours=24)  # that it is unknown
PRESSING_BEFORE = timedelta(hours=72)  # the end of the client's period


def take_log(session: Session, desk: Desk, logged: Iterable[Logged], *, by: str, now: datetime) -> Counter[str]:
    """Close unknown mails by what a relay's log says of them; returns how many were `arrived` and `returned`.

    A relay that has taken a mail has it; what it says of the way beyond concerns mails that it sends back.
    """
    last: dict[str, Logged] = {}
    for one in logged:
        known = last.get(one.message_id)
        if known is None or known.fate is not Fate.BOUNCED:
            last[one.message_id] = one
    done: Counter[str] = Counter()
    named = list(last)
    for start in range(0, len(named), TOGETHER):
        some = named[start : start + TOGETHER]
        query = select(Delivery.id, Delivery.message_id).where(
            col(Delivery.id).in_([one for one in map(delivery_of, some) if one]),
            col(Delivery.message_id).in_(some),
            Delivery.state == DeliveryState.UNKNOWN,
        )
        for delivery_id, message_id in session.exec(query).all():
            one = last[message_id]
            if one.fate is Fate.BOUNCED:
                done["returned"] += outbox.returned(session, desk, delivery_id, by=by, evidence=one.line, now=now)
            else:
                done["arrived"] += outbox.prove_arrival(session, desk, delivery_id, by=by, evidence=one.line, now=now)
    return done


def press(session: Session, *, now: datetime) -> int:
    """Say once of each mail without evidence that it presses: a day has passed, or a client's period is about to end.

    The item has stood before a person since the mail became unknown; this reaches ticketing.  Returns how many.
    """
    said = select(Event.id).where(Event.kind == EventKind.DELIVERY_PRESSING, Event.about_id == Item.about_id).exists()
    ending = (
        select(Notice.id)
        .join(DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id)
        .where(DeliveryNotice.delivery_id == Item.about_id, Notice.object_until <= now + PRESSING_BEFORE)
        .exists()
    )
    waiting = (
        select(Item)
        .where(Item.kind == ItemKind.UNKNOWN_DELIVERY, col(Item.open).is_(True), ~said)
        .where(sa.or_(col(Item.opened_at) <= now - PRESSING_AFTER, ending))
        .order_by(col(Item.opened_at))
        .limit(TOGETHER)
    )
    pressing = session.exec(waiting).all()
    happened = [
        Happened(
            kind=EventKind.DELIVERY_PRESSING,
            about=item.about_id,
            announcement=item.announcement_id,
            data={"unknown_since": item.opened_at.isoformat()},
        )
        for item in pressing
    ]
    events.record_all(session, happened, by=outbox.MACHINE, now=now)
    return len(pressing)
