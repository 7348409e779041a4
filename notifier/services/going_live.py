"""Going live: the recorded fact that a change has been made, for every client or for some, with what shows it.

Against a closed gate it is a breach, which two persons record.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementState,
    EventKind,
    ItemKind,
    Notice,
    Override,
    OverrideKind,
    Version,
)
from notifier.rules.gate import Gate, gate_of_all
from notifier.rules.overtaking import collides
from notifier.rules.scope import seen_of
from notifier.services import announcements, boards, events, items, letters, notices, overrides, telling
from notifier.services.announcements import NotPublished
from notifier.services.boards import Board, Row
from notifier.services.desk import Desk
from notifier.services.events import Happened


class EarlierNotLive(Exception):
    """What changes here is changed by an earlier announcement too, which has to be made first."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"{reference} was announced earlier, has not gone live, and changes the same: record first that it has"
        )
        self.reference = reference


class GateClosed(Exception):
    """Going live now would take a client's right away; two persons may record it as a breach, with the reason."""

    def __init__(self, gate: Gate) -> None:
        holds = ", ".join(gate.holds) or "the announced day has not come"
        super().__init__(
            f"the gate is closed ({holds}): wait, exclude the clients that hold it, settle what they said, withdraw "
            "the announcement, or let two persons record a breach with its reason"
        )
        self.gate = gate


class AlreadyLive(Exception):
    def __init__(self) -> None:
        super().__init__("this has gone live already")


class LiveAtWrongTime(ValueError):
    def __init__(self) -> None:
        super().__init__("write an instant that has passed, and that lies after the announcement")


class NotPerClient(Exception):
    def __init__(self) -> None:
        super().__init__(
            "this change cannot be made for one client and not for another: wait, settle what holds it, or withdraw it"
        )


class UntoldClients(Exception):
    """Whoever is wronged is told; somebody who has no notice yet is told of the change first."""

    def __init__(self) -> None:
        super().__init__(
            "clients under contract have not been told of this announcement: tell them first, then confirm"
        )


class NobodyLeft(Exception):
    def __init__(self) -> None:
        super().__init__("every client is excluded or has the change already: there is nobody left to make it for")


class NothingBreached(Exception):
    """Every right had run: that is no breach."""

    def __init__(self) -> None:
        super().__init__("every client's right had run by then: reject this, and record that it has gone live")


class ExclusionReasonMissing(ValueError):
    def __init__(self) -> None:
        super().__init__("write down why the change is not made for this client")


def go_live(
    session: Session,
    announcement_id: UUID,
    *,
    by: str,
    now: datetime,
    at: datetime | None = None,
    proof: str = "",
    notice_ids: Collection[UUID] | None = None,
) -> Announcement:
    """Record that the change has been made: when (`at`; now unless given), by whom, and what shows it.

    Where it can be made client by client, for those named, or for every client whose gate is open.  Raises GateClosed
    where somebody's right has not run at that instant.
    """
    announcement, board, at = _prepared(session, announcement_id, at, now)
    waiting = [row for row in board.rows if not row.notice.live_at and not row.notice.excluded_at]
    if board.rows and not waiting:
        raise NobodyLeft
    chosen = waiting
    if announcement.per_client:
        _refuse_strangers(waiting, notice_ids)
        chosen = [row for row in waiting if _is_meant(row, notice_ids)]
        closed = gate_of_all(row.gate for row in chosen) if chosen else board.gate
    elif notice_ids is not None:
        raise NotPerClient
    else:
        closed = board.gate
    if at < announcement.effective_at or not closed.is_open or (waiting and not chosen):
        raise GateClosed(closed)
    _refuse_overtaking_of(session, announcement, chosen)
    announcement.live_proof = proof.strip() or announcement.live_proof
    _make_live(session, announcement, board, chosen, at=at, by=by, now=now)
    return announcement


def breach(session: Session, desk: Desk, override_id: UUID, *, by: str, now: datetime) -> Announcement:
    """Confirm, as the second person, that the change is made before every client's right has run; each of those whose
    right had not is told the reason, the measures and the actual start.
    """
    asked = overrides.get(session, override_id)
    if asked.kind is not OverrideKind.BREACH:
        raise overrides.NotOverridable
    announcements.get(session, asked.announcement_id, lock=True)  # before the override, as whoever asks anew does
    override = overrides.confirm(session, override_id, by=by, now=now)
    announcement, board, at = _prepared(session, override.announcement_id, override.started_at, now, breached=True)
    waiting = [row for row in board.rows if not row.notice.live_at and not row.notice.excluded_at]
    early = at < announcement.effective_at
    wronged = [row for row in waiting if early or not row.gate.is_open]
    if board.untold:
        raise UntoldClients
    if not wronged:
        raise NothingBreached
    _refuse_overtaking_of(session, announcement, waiting)
    announcement.breach_reason = override.reasons["en"]
    for row in wronged:
        row.notice.live_in_breach = True
    _make_live(session, announcement, board, waiting, at=at, by=by, now=now, override=override)
    told = [row.notice.id for row in wronged]
    letters.post_breach(session, desk, announcement, override, told, now=now)
    mailed = letters.told_notices(session, announcement.id)
    for row in wronged:
        if row.notice.id not in mailed:
            about, kind = row.notice.id, ItemKind.TELL_BY_LETTER
            items.open_item(session, kind, about=about, announcement=announcement.id, now=now)
    return announcement


def exclude(session: Session, notice_id: UUID, *, why: str, by: str, now: datetime) -> None:
    """Decide that the change is not made for one client; it holds the others no more, and keeps its own list."""
    announcement = announcements.get(session, notices.get(session, notice_id).announcement_id, lock=True)
    notice = notices.get(session, notice_id, lock=True)
    if announcement.state is not AnnouncementState.PUBLISHED:
        raise NotPublished
    if not announcement.per_client:
        raise NotPerClient
    if notice.live_at:
        raise AlreadyLive
    if not why.strip():
        raise ExclusionReasonMissing
    if notice.excluded_at and not notice.is_left_out:
        return
    notice.excluded_at, notice.excluded_by, notice.excluded_why = now, by, why.strip()
    session.add(notice)
    items.close_items(session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, by=by, now=now)
    session.flush()
    telling.drop_for_nobody(session, announcement, by=by, now=now)
    events.record(session, EventKind.NOTICE_EXCLUDED, about=notice.id, announcement=announcement.id, by=by, now=now)
    session.flush()
    _finish(session, announcement, by=by, now=now)


def _prepared(
    session: Session, announcement_id: UUID, at: datetime | None, now: datetime, *, breached: bool = False
) -> tuple[Announcement, Board, datetime]:
    """Return the announcement and its board as of an instant; the start of a breach may lie before the announcement."""
    announcement = announcements.get(session, announcement_id, lock=True)
    if announcement.state is AnnouncementState.LIVE:
        raise AlreadyLive
    if announcement.state is not AnnouncementState.PUBLISHED:
        raise NotPublished
    at = at or now
    if at > now or (at < announcement.published_at and not breached):
        raise LiveAtWrongTime
    _refuse_overtaking(session, announcement)
    notices.lock_all(session, announcement_id)
    return announcement, boards.board(session, announcement_id, now=at), at


def _is_meant(row: Row, notice_ids: Collection[UUID] | None) -> bool:
    return row.gate.is_open if notice_ids is None else row.notice.id in notice_ids


def _refuse_strangers(waiting: Sequence[Row], notice_ids: Collection[UUID] | None) -> None:
    """Whoever names clients means those for whom the change is still to be made."""
    if notice_ids is not None and not set(notice_ids) <= {row.notice.id for row in waiting}:
        raise AlreadyLive


def _refuse_overtaking_of(session: Session, announcement: Announcement, rows: Sequence[Row]) -> None:
    """Where a version needs an earlier one, a client for whom that one is still to be made gets it first, or is
    excluded from it.
    """
    for one in _needed(session, announcement):
        if one.state is not AnnouncementState.PUBLISHED:
            continue
        settled = sa.or_(col(Notice.live_at).is_not(None), col(Notice.excluded_at).is_not(None))
        done = set(session.exec(select(Notice.client_id).where(Notice.announcement_id == one.id, settled)))
        changes = announcements.changes_of(one)
        if any(row.client.id not in done and seen_of(changes, row.client.scope) for row in rows):
            raise EarlierNotLive(one.reference)


def _refuse_overtaking(session: Session, announcement: Announcement) -> None:
    for one in _needed(session, announcement):
        version = session.get_one(Version, one.version_id)
        if version.live_at is None and version.withdrawn_at is None:
            raise EarlierNotLive(one.reference)


def _needed(session: Session, announcement: Announcement) -> list[Announcement]:
    """Return the earlier announcements that one cannot be made before, since it touches what they change."""
    if announcement.version_id is None:
        return []
    number = session.get_one(Version, announcement.version_id).number or 0
    earlier = (
        select(Announcement)
        .join(Version, col(Version.id) == Announcement.version_id)
        .where(col(Version.number) < number, col(Version.withdrawn_at).is_(None))
        .where(sa.or_(col(Version.live_at).is_(None), col(Announcement.state) == AnnouncementState.PUBLISHED))
        .order_by(col(Version.number))
    )
    changes = announcements.changes_of(announcement)
    return [one for one in session.exec(earlier) if collides(changes, announcements.changes_of(one))]


def _make_live(
    session: Session,
    announcement: Announcement,
    board: Board,
    rows: Sequence[Row],
    *,
    at: datetime,
    by: str,
    now: datetime,
    override: Override | None = None,
) -> None:
    for row in rows:
        row.notice.live_at = at
        session.add(row.notice)
    data = [
        {
            "client": row.client.key,
            "company": row.client.company,
            "at": at.isoformat(),
            "breach": row.notice.live_in_breach,
        }
        for row in rows
    ]
    happened = [
        Happened(kind=EventKind.NOTICE_LIVE, about=row.notice.id, announcement=announcement.id, data=facts)
        for row, facts in zip(rows, data, strict=True)
    ]
    events.record_all(session, happened, by=by, now=now)
    session.flush()
    _make_version_live(session, announcement, at=at, by=by, now=now)
    if override:
        announcement.live_proof = announcement.live_proof or f"breach confirmed, {override.id}"
    untold = bool(board.untold) and not override and announcement.per_client
    _finish(session, announcement, by=by, now=now, at=at, breached=override is not None, gate=board.gate, untold=untold)


def _finish(
    session: Session,
    announcement: Announcement,
    *,
    by: str,
    now: datetime,
    at: datetime | None = None,
    breached: bool = False,
    gate: Gate | None = None,
    untold: bool = False,
) -> None:
    """An announcement is live once it is for every client that it is made for; one for whom nobody is left, too."""
    rows = boards.board(session, announcement.id, now=now)
    left = [row for row in rows.rows if not row.notice.live_at and not row.notice.excluded_at]
    if left or untold or (at is None and rows.untold):
        return
    if at is None and not any(row.notice.live_at for row in rows.rows):
        return  # excluded for everybody: nothing has gone live
    announcement.state, announcement.live_by = AnnouncementState.LIVE, by
    announcement.live_at = at or max(row.notice.live_at for row in rows.rows if row.notice.live_at)
    session.add(announcement)
    holds = [hold.value for hold in gate.holds] if gate else []
    kind = EventKind.ANNOUNCEMENT_BREACHED if breached else EventKind.ANNOUNCEMENT_LIVE
    events.record(
        session, kind, about=announcement.id, announcement=announcement.id, by=by, now=now,
        reference=announcement.reference, holds=holds,
    )  # fmt: skip


def _make_version_live(session: Session, announcement: Announcement, *, at: datetime, by: str, now: datetime) -> None:
    """The list in force holds a change as soon as it is made for anybody."""
    version = session.get(Version, announcement.version_id) if announcement.version_id else None
    if version is None or version.live_at:
        return
    version.live_at = at
    session.add(version)
    events.record(session, EventKind.VERSION_LIVE, about=version.id, by=by, now=now, version=version.number)
