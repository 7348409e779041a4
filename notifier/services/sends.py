"""The send of one announcement while it runs: pausing it, resuming it, and cancelling what has not left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementState,
    Delivery,
    DeliveryNotice,
    EventKind,
    ItemKind,
    Notice,
    PaperLetter,
)
from notifier.rules.notice_states import NoticeState, NoticeStep
from notifier.services import announcements, doorbell, events, items, notices, telling
from notifier.services.events import Happened
from notifier.services.letters import NEVER_READ

MACHINE = notices.MACHINE


class NothingUnderWay(Exception):
    """Only the send of an announcement that is published and not withdrawn is paused or cancelled."""

    def __init__(self) -> None:
        super().__init__("this announcement is a draft, or has been withdrawn: nothing of it is being sent")


def pause(session: Session, announcement_id: UUID, *, by: str, now: datetime) -> Announcement:
    """Let the mails of an announcement wait; what a worker holds at this instant may still leave.

    Nobody's last day moves by it: it is told when the mail is taken, as ever.
    """
    announcement = _under_way(session, announcement_id)
    if announcement.paused_at is None:
        announcement.paused_at, announcement.paused_by = now, by
        _record(session, EventKind.SEND_PAUSED, announcement, by=by, now=now)
    return announcement


def resume(session: Session, announcement_id: UUID, *, by: str, now: datetime) -> Announcement:
    announcement = _under_way(session, announcement_id)
    if announcement.paused_at is not None:
        _end_pause(announcement)
        _record(session, EventKind.SEND_RESUMED, announcement, by=by, now=now)
        doorbell.ring(session, doorbell.Bell.OUTBOX)
    return announcement


def cancel(session: Session, announcement_id: UUID, *, by: str, now: datetime) -> int:
    """Drop what has not left, and put every client before a person who is told by nothing else; returns how many.

    The gate stays closed for them until the announcement is corrected, which tells them anew, or withdrawn.  What a
    worker holds at this instant leaves, or is dropped when it comes back.
    """
    notices.lock_all(session, announcement_id)
    announcement = _under_way(session, announcement_id)
    telling.drop_unsent(session, announcement, by=by, now=now)
    announcement.sending_cancelled_at = now
    _end_pause(announcement)
    session.flush()
    untold = _put_untold_before_a_person(session, announcement_id, by=by, now=now)
    _record(session, EventKind.SEND_CANCELLED, announcement, by=by, now=now, untold=untold)
    return untold


def catch_up(session: Session, *, now: datetime) -> int:
    """Put clients before a person whose mail a worker held while the send was cancelled, and which came back since."""
    over = (
        select(Announcement.id)
        .where(col(Announcement.sending_cancelled_at).is_not(None))
        .where(Announcement.state == AnnouncementState.PUBLISHED)
    )
    return sum(_put_untold_before_a_person(session, one, by=MACHINE, now=now) for one in session.exec(over).all())


def _under_way(session: Session, announcement_id: UUID) -> Announcement:
    announcement = announcements.get(session, announcement_id, lock=True)
    if announcement.state not in {AnnouncementState.PUBLISHED, AnnouncementState.LIVE}:
        raise NothingUnderWay
    return announcement


def _end_pause(announcement: Announcement) -> None:
    announcement.paused_at, announcement.paused_by = None, ""


def _put_untold_before_a_person(session: Session, announcement_id: UUID, *, by: str, now: datetime) -> int:
    untold = _untold(session, announcement_id)
    if not untold:
        return 0
    for notice in untold:
        notice.take(NoticeStep.FAIL)
        session.add(notice)
    kind, about = ItemKind.UNREACHABLE_CLIENT, [one.id for one in untold]
    items.open_all(session, kind, about=about, announcement=announcement_id, now=now)
    happened = [Happened(kind=EventKind.NOTICE_UNREACHED, about=one.id, announcement=announcement_id) for one in untold]
    events.record_all(session, happened, by=by, now=now)
    return len(untold)


def _untold(session: Session, announcement_id: UUID) -> Sequence[Notice]:
    """Return the notices of which nothing that tells with effect has left, or may have, or still waits."""
    left = (
        select(DeliveryNotice.notice_id)
        .join(Delivery, col(Delivery.id) == DeliveryNotice.delivery_id)
        .where(DeliveryNotice.notice_id == Notice.id, DeliveryNotice.edition == Notice.edition)
        .where(col(DeliveryNotice.courtesy).is_(False), col(Delivery.state).not_in(NEVER_READ))
        .correlate(Notice)
    )
    posted = select(PaperLetter.id).where(PaperLetter.notice_id == Notice.id).correlate(Notice)
    query = (
        select(Notice)
        .where(Notice.announcement_id == announcement_id, Notice.state == NoticeState.RAISED)
        .where(col(Notice.excluded_at).is_(None), ~left.exists(), ~posted.exists())
    )
    # One that somebody else moves at this instant is not untold for long.
    locked = query.order_by(col(Notice.id)).with_for_update(key_share=True, skip_locked=True)
    return session.exec(locked.execution_options(populate_existing=True)).all()


def _record(
    session: Session, kind: EventKind, announcement: Announcement, *, by: str, now: datetime, **facts: object
) -> None:
    session.add(announcement)
    data = {"reference": announcement.reference, **facts}
    events.record(session, kind, about=announcement.id, announcement=announcement.id, by=by, now=now, **data)
