"""What only two persons may decide: one asks, with the reason, and another confirms.

A service change told later than the contracts say, and going live against a closed gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementState,
    Edition,
    EventKind,
    ItemKind,
    Override,
    OverrideKind,
)
from notifier.rules.kinds import LANGUAGES
from notifier.services import events, items


class NoSuchOverride(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such decision to take, or it has been taken")


class SamePerson(Exception):
    """Nobody confirms what they have asked for themselves."""

    def __init__(self) -> None:
        super().__init__("a second person must confirm this: somebody other than who asked for it")


class WhyMissing(ValueError):
    """What is decided by two persons stands in letters, so that its reason is owed in each language."""

    def __init__(self, fields: list[str]) -> None:
        super().__init__(f"write it in every language of the letters: missing in {', '.join(fields)}")
        self.fields = fields


class StartedInFuture(ValueError):
    def __init__(self) -> None:
        super().__init__("what has not started cannot be recorded as started: write an instant that has passed")


class NotOverridable(ValueError):
    def __init__(self) -> None:
        super().__init__("there is nothing to decide here: the announcement is not in a state that asks for it")


STATES = {
    OverrideKind.LATE: frozenset({AnnouncementState.DRAFT, AnnouncementState.PUBLISHED}),  # or corrected late
    OverrideKind.BREACH: frozenset({AnnouncementState.PUBLISHED}),
}


def ask(
    session: Session,
    announcement_id: UUID,
    kind: OverrideKind,
    *,
    reasons: Mapping[str, str],
    measures: Mapping[str, str] | None = None,
    started_at: datetime | None = None,
    by: str,
    now: datetime,
) -> Override:
    """Ask a second person to decide; what was asked before and is still open gives way to it.

    For a breach, `measures` say what protects the data meanwhile and `started_at` when the change was really made.
    """
    announcement = session.get(
        Announcement, announcement_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if announcement is None or announcement.state not in STATES[kind]:
        raise NotOverridable
    wanted = {"reasons": reasons, "measures": measures or {}} if kind is OverrideKind.BREACH else {"reasons": reasons}
    missing = [f"{name}_{one}" for name, texts in wanted.items() for one in LANGUAGES if not texts.get(one, "").strip()]
    if missing:
        raise WhyMissing(missing)
    if started_at and started_at > now:
        raise StartedInFuture
    if earlier := open_for(session, announcement_id, kind):
        earlier.open, earlier.decided_by, earlier.decided_at = None, by, now
        session.add(earlier)
        session.flush()
        items.close_items(session, ItemKind.OVERRIDE_ASKED, about=earlier.id, by=by, now=now)
    override = Override(
        announcement_id=announcement_id,
        kind=kind,
        reasons={one: reasons[one].strip() for one in LANGUAGES},
        measures={one: text.strip() for one, text in (measures or {}).items()},
        started_at=started_at,
        asked_by=by,
        asked_at=now,
    )
    session.add(override)
    session.flush()
    items.open_item(session, ItemKind.OVERRIDE_ASKED, about=override.id, announcement=announcement_id, now=now)
    _record(session, EventKind.OVERRIDE_ASKED, override, by=by, now=now)
    return override


def confirm(session: Session, override_id: UUID, *, by: str, now: datetime) -> Override:
    """Confirm what somebody else asked for; `going_live.breach` does so for a breach and carries it out."""
    override = _open(session, override_id)
    if override.asked_by == by:
        raise SamePerson
    return _decide(session, override, EventKind.OVERRIDE_CONFIRMED, confirmed=True, by=by, now=now)


def reject(session: Session, override_id: UUID, *, by: str, now: datetime) -> Override:
    """Refuse it, or take back what one asked for oneself."""
    return _decide(session, _open(session, override_id), EventKind.OVERRIDE_REJECTED, confirmed=False, by=by, now=now)


def open_for(session: Session, announcement_id: UUID, kind: OverrideKind) -> Override | None:
    query = select(Override).where(Override.announcement_id == announcement_id, Override.kind == kind)
    return session.exec(query.where(col(Override.open).is_(True))).first()


def confirmed(session: Session, announcement_id: UUID, kind: OverrideKind) -> Override | None:
    """Return what two persons have decided, the latest of its kind."""
    query = select(Override).where(Override.announcement_id == announcement_id, Override.kind == kind)
    return session.exec(query.where(col(Override.confirmed)).order_by(col(Override.decided_at).desc())).first()


def lateness(session: Session, announcement: Announcement) -> Override | None:
    """Return the decision by which what is told now was told late: one taken before it was told, and asked for after
    what was told before it.
    """
    told = {
        edition.number: edition.made_at
        for edition in session.exec(
            select(Edition).where(Edition.announcement_id == announcement.id, col(Edition.in_substance))
        )
    }
    decided = confirmed(session, announcement.id, OverrideKind.LATE)
    if decided is None or decided.decided_at is None:
        return None
    since, before = told.get(announcement.edition), told.get(announcement.edition - 1)
    in_time = since is None or decided.decided_at <= since
    return decided if in_time and (before is None or decided.asked_at >= before) else None


def of_announcement(session: Session, announcement_id: UUID) -> list[Override]:
    """Return everything that was asked about an announcement, oldest first."""
    query = select(Override).where(Override.announcement_id == announcement_id)
    return list(session.exec(query.order_by(col(Override.asked_at), col(Override.id))))


def get(session: Session, override_id: UUID) -> Override:
    override = session.get(Override, override_id)
    if override is None:
        raise NoSuchOverride
    return override


def _open(session: Session, override_id: UUID) -> Override:
    override = session.get(Override, override_id, with_for_update=True, populate_existing=True)
    if override is None or not override.open:
        raise NoSuchOverride
    return override


def _decide(
    session: Session, override: Override, kind: EventKind, *, confirmed: bool, by: str, now: datetime
) -> Override:
    override.open, override.confirmed, override.decided_by, override.decided_at = None, confirmed, by, now
    session.add(override)
    items.close_items(session, ItemKind.OVERRIDE_ASKED, about=override.id, by=by, now=now)
    _record(session, kind, override, by=by, now=now)
    return override


def _record(session: Session, kind: EventKind, override: Override, *, by: str, now: datetime) -> None:
    facts = {"override": override.kind.value}
    if override.started_at:
        facts["started_at"] = override.started_at.isoformat()
    announcement = override.announcement_id
    events.record(session, kind, about=override.id, announcement=announcement, by=by, now=now, **facts)
