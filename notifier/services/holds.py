"""Holds: nothing is sent from a copy until a person says so.

A database that was restored or cloned holds mails that have left since.  So the instance's id stands in the database
and in the data folder of whatever sends; where they disagree, or where the database is older than what the folder has
seen, every mail that may have left becomes unknown, and nothing leaves before somebody releases it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    Delivery,
    Event,
    EventKind,
    HoldKind,
    Instance,
    Item,
    ItemKind,
)
from notifier.rules.delivery_states import DeliveryState
from notifier.services import doorbell, events, items, letters
from notifier.services.rows import insert_new, these

MACHINE = "notifier"
THE_INSTANCE = UUID(int=1)  # what the item is about: its id changes, and there is one of it
# What stands in the place of a relay's answer; it also tells afterwards which mails may be put back.
DOUBTED = "on hold: it waited when this copy was made, and may have left since"
LEAVING = "on hold: it was being handed over when this copy was made"

# Asked before each round, and so written once.
HELD = select(Instance.number).where(col(Instance.hold_since).is_not(None))
_PAUSED = select(Announcement.id).where(col(Announcement.paused_at).is_not(None))
_CANCELLED = select(Announcement.id).where(col(Announcement.sending_cancelled_at).is_not(None)).limit(1)


class NotStarted(Exception):
    def __init__(self) -> None:
        super().__init__("nothing has been started on this database yet: start the first worker, then say this again")


class NotHeld(Exception):
    def __init__(self) -> None:
        super().__init__("sending is not on hold: there is nothing to release")


# --- the instance and its folder -------------------------------------------------------------------------------------


def instance(session: Session) -> Instance | None:
    """Return the instance's row; none before anything has been started on this database."""
    return session.get(Instance, 1, populate_existing=True)


def log_end(session: Session) -> int:
    """Return the number of the newest event."""
    return session.exec(select(sa.func.max(Event.id))).one() or 0


def is_ours(session: Session, folder: UUID, *, seen: int) -> bool:
    """Say whether the folder of this id, which has seen events up to this number, belongs to this database."""
    row = instance(session)
    return row is not None and row.instance_id == folder and log_end(session) >= seen


def check(session: Session, folder: UUID, *, seen: int, now: datetime, is_copy: bool = False) -> bool:
    """Compare the database with the folder of whatever is about to send, and put sending on hold where one of the two
    is a copy.  The first start makes the folder's id that of the instance, but not where the folder is known to be a
    copy (`is_copy`).  Returns whether they agree.
    """
    row = _locked(session)
    if row is None and not is_copy and not _has_sent(session):
        row, seen = _first(session, folder), 0  # what was seen was seen of another database
    row = row or _first(session, uuid4())
    if row.instance_id == folder and log_end(session) >= seen:
        return True
    if row.hold_folder != folder:
        _doubt(session, row, folder, now=now)
    return False


def join(session: Session, folder: UUID | None, *, by: str, now: datetime) -> UUID:
    """Return the instance's id, for one more folder of the same instance to bear; `folder` is the id that it bears now.

    A hold that this folder brought about is not released by it.
    """
    row = _locked(session)
    if row is None:
        raise NotStarted
    if folder and row.hold_folder == folder and row.hold_kind is HoldKind.STRANGE_FOLDER:
        row.hold_folder = None
        session.add(row)
    events.record(session, EventKind.INSTANCE_JOINED, about=row.instance_id, by=by, now=now)
    return row.instance_id


# --- holding and releasing -------------------------------------------------------------------------------------------


def is_held(session: Session) -> bool:
    """Say whether nothing may be sent."""
    return session.exec(HELD).first() is not None


def hold(session: Session, *, why: str, by: str, now: datetime) -> Instance:
    """Stop all sending, by a person's word.  No mail becomes unknown by it; what is on hold already stays so."""
    row = _locked(session)
    if row is None:
        raise NotStarted
    if not row.is_held:
        _set(session, row, HoldKind.PERSON, doubted=0, by=by, now=now)
        row.hold_why = why.strip()
    return row


def release(session: Session, *, put_back: bool, by: str, now: datetime) -> int:
    """Let mails leave again; returns how many wait again that were unknown.

    The folder that was refused is the instance's from now on.  `put_back`: somebody is certain that nothing has left
    since the copy was made (the service was down, say); then what waited waits again.  Else each stays unknown until
    evidence or a person settles it.
    """
    row = _locked(session)
    if row is None or not row.is_held:
        raise NotHeld
    back = _put_back(session) if put_back else 0
    if put_back:
        _close_doubts(session, by=by, now=now)
    row.instance_id, row.hold_folder = row.hold_folder or row.instance_id, None
    row.hold_since, row.hold_kind, row.hold_why, row.hold_by = None, None, "", ""
    row.released_at, row.released_by = now, by
    session.add(row)
    items.close_items(session, ItemKind.SENDING_ON_HOLD, about=THE_INSTANCE, by=by, now=now)
    events.record(session, EventKind.HOLD_RELEASED, about=row.instance_id, by=by, now=now, put_back=back)
    doorbell.ring(session, doorbell.Bell.OUTBOX)
    doorbell.ring(session, doorbell.Bell.WEBHOOKS)
    return back


def doubted(session: Session) -> int:
    """Return how many mails are unknown because they waited when a copy was made."""
    query = select(sa.func.count()).select_from(Delivery)
    return session.exec(query.where(*_of_a_hold(DOUBTED))).one()


# --- what may leave --------------------------------------------------------------------------------------------------


def paused(session: Session) -> list[UUID]:
    """Return the announcements whose mails wait until they are resumed; usually none."""
    return list(session.exec(_PAUSED))


def may_leave(paused_ids: Sequence[UUID]) -> list[sa.ColumnElement[bool]]:
    """Return what a delivery must fulfil so that no pause keeps it.  What outlasts an announcement (the receipt for an
    answer, say) leaves all the same.
    """
    if not paused_ids:
        return []
    others = col(Delivery.announcement_id).is_(None) | col(Delivery.announcement_id).not_in(paused_ids)
    return [others | col(Delivery.letter).in_(letters.OUTLASTING)]


def cancelled(session: Session, delivery_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these mails that were written before the send of their announcement was cancelled: a worker held
    them then, and they came back.
    """
    if not delivery_ids or session.exec(_CANCELLED).first() is None:
        return set()
    query = (
        select(Delivery.id)
        .join(Announcement, col(Announcement.id) == Delivery.announcement_id)
        .where(col(Delivery.id).in_(these(session, delivery_ids)))
        .where(col(Delivery.created_at) <= col(Announcement.sending_cancelled_at))
        .where(col(Delivery.letter).not_in(letters.OUTLASTING))
    )
    return set(session.exec(query))


# --- inside ----------------------------------------------------------------------------------------------------------


def _locked(session: Session) -> Instance | None:
    return session.get(Instance, 1, with_for_update=True, populate_existing=True)


def _first(session: Session, instance_id: UUID) -> Instance:
    """Write the row, unless another process has just done so; then its row is the one."""
    insert_new(session, Instance(instance_id=instance_id))
    return session.get_one(Instance, 1, with_for_update=True, populate_existing=True)


def _has_sent(session: Session) -> bool:
    return session.exec(select(Delivery.id).where(Delivery.attempt > 0).limit(1)).first() is not None


def _doubt(session: Session, row: Instance, folder: UUID, *, now: datetime) -> None:
    """Put sending on hold, and let every mail that may have left be unknown: as sets, since a copy may hold 100,000."""
    session.flush()
    kind = HoldKind.STRANGE_FOLDER
    if row.instance_id == folder:  # from now on they differ, so that this database is doubted once
        kind, row.instance_id = HoldKind.OLDER_DATABASE, uuid4()
    waited = _lose(session, DOUBTED, DeliveryState.WAITING, DeliveryState.CLAIMED)
    leaving = _lose(session, LEAVING, DeliveryState.HANDING_OVER)
    row.hold_folder = folder
    _set(session, row, kind, doubted=waited + leaving, by=MACHINE, now=now)
    for announcement_id in _doubted_announcements(session):
        items.open_item(session, ItemKind.DOUBTED_MAILS, about=announcement_id, announcement=announcement_id, now=now)


def _set(session: Session, row: Instance, kind: HoldKind, *, doubted: int, by: str, now: datetime) -> None:
    row.hold_since, row.hold_kind, row.hold_by = row.hold_since or now, kind, by
    session.add(row)
    items.open_item(session, ItemKind.SENDING_ON_HOLD, about=THE_INSTANCE, announcement=None, now=now)
    about, why = row.instance_id, kind.value
    events.record(session, EventKind.HOLD_SET, about=about, by=by, now=now, why=why, unknown=doubted)


def _lose(session: Session, why: str, *states: DeliveryState) -> int:
    held = sa.update(Delivery).where(col(Delivery.state).in_(states))
    return _changed(session, held.values(state=DeliveryState.UNKNOWN, lease_until=None, last_reply=why))


def _changed(session: Session, update: sa.Update) -> int:
    """Return how many rows this changes."""
    done = session.execute(update.execution_options(synchronize_session=False))
    session.expire_all()
    return cast("sa.CursorResult[Any]", done).rowcount


def _put_back(session: Session) -> int:
    """Let what waited wait again, but what somebody has sent again meanwhile: that would come twice."""
    repeated = session.exec(select(Event.data).where(Event.kind == EventKind.DELIVERY_REPEATED)).all()
    again = [UUID(data["repeats"]) for data in repeated]
    held = sa.update(Delivery).where(*_of_a_hold(DOUBTED), col(Delivery.id).not_in(again))
    return _changed(session, held.values(state=DeliveryState.WAITING, last_reply=""))


def _of_a_hold(*why: str) -> list[sa.ColumnElement[bool]]:
    return [col(Delivery.state) == DeliveryState.UNKNOWN, col(Delivery.last_reply).in_(why)]


def _doubted_announcements(session: Session) -> list[UUID]:
    query = select(Delivery.announcement_id).where(*_of_a_hold(DOUBTED, LEAVING)).distinct()
    return [one for one in session.exec(query.where(col(Delivery.letter).not_in(letters.TO_SUBSCRIBERS))) if one]


def _close_doubts(session: Session, *, by: str, now: datetime) -> None:
    """Close what asked a person about mails of which none is doubted any more."""
    open_ones = select(Item.about_id).where(Item.kind == ItemKind.DOUBTED_MAILS, col(Item.open).is_(True))
    for one in set(session.exec(open_ones)) - set(_doubted_announcements(session)):
        items.close_items(session, ItemKind.DOUBTED_MAILS, about=one, by=by, now=now, note="put back")
