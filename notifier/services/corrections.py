"""What can still be done to an announcement that clients have been told of: correct it, postpone it, withdraw it.

A correction in substance tells everybody anew and begins every clock again.  A correction of the writing does neither,
and nothing that was told is lost: each edition is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementState,
    Answer,
    AnswerKind,
    Client,
    Edition,
    EventKind,
    Item,
    ItemKind,
    Notice,
    OverrideKind,
    Version,
)
from notifier.rules import registry_diff
from notifier.rules.kinds import KINDS, LANGUAGES, OF_THE_REGISTRY, Shape, checked, keys_of
from notifier.rules.overtaking import collides
from notifier.rules.periods import local_day, start_of_day, zone
from notifier.rules.scope import is_limited, seen_of
from notifier.services import (
    announcements,
    events,
    items,
    letters,
    notices,
    overrides,
    provider,
    registry,
    telling,
    timeline,
)
from notifier.services.affected import Subject, affected
from notifier.services.announcements import NotPublished
from notifier.services.desk import Desk

WITHDRAWN = "the announcement has been withdrawn"


class WhyMissing(ValueError):
    """A correction without its reason is not kept."""

    def __init__(self) -> None:
        super().__init__("write down why it is corrected: the reason is kept with both editions")


class NothingCorrected(ValueError):
    def __init__(self) -> None:
        super().__init__("the correction says the same as what has been told: there is nothing to correct")


class NotWording(ValueError):
    def __init__(self) -> None:
        super().__init__(
            "names, countries, days and addresses are no matter of wording: correct the announcement in substance"
        )


class NotEarlier(ValueError):
    """A change that comes sooner is another change."""

    def __init__(self, announced: date) -> None:
        super().__init__(
            f"it was announced for {announced.isoformat()}: write a later day, or correct the announcement in substance"
        )


class BuiltUpon(Exception):
    """A later version contains this change."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"{reference} was announced after it and contains its change: withdraw or finish that one first"
        )
        self.reference = reference


class BegunAlready(Exception):
    """What has been made for one client cannot be unsaid to the others as if nothing had been."""

    def __init__(self) -> None:
        super().__init__("the change has gone live for some clients: exclude the others, or announce another change")


def correct(  # noqa: PLR0913 - what may be corrected
    session: Session,
    desk: Desk,
    announcement_id: UUID,
    *,
    effective_on: date | None = None,
    facts: Mapping[str, str] | None = None,
    reasons: Mapping[str, str] | None = None,
    take_draft: int | None = None,
    why: str,
    by: str,
    now: datetime,
) -> Announcement:
    """Correct an announcement in substance: everybody is told anew, and every client has its whole period again.

    What is not given stays.  For a change of the registry, `take_draft` is the revision of the registry's draft that
    says what was meant.  Raises what publishing raises, and NotPublished, BegunAlready, BuiltUpon, WhyMissing or
    NothingCorrected.
    """
    announcement = _under_way(session, announcement_id)
    notices.lock_all(session, announcement_id)
    before = _latest(session, announcement)
    _refuse_begun(session, announcement)
    if not why.strip():
        raise WhyMissing
    tz = zone(provider.require_complete(session).timezone)
    _rewrite(announcement, facts=facts, reasons=reasons)
    if effective_on:
        announcement.effective_on, announcement.effective_at = effective_on, start_of_day(effective_on, tz)
    announcements.refuse_past(announcement.effective_on, local_day(now, tz))
    if take_draft is not None and announcement.kind in OF_THE_REGISTRY:
        _take_draft(session, announcement, take_draft, by=by, now=now)
    if _says_the_same(announcement, before):
        raise NothingCorrected
    touched = affected(session, desk, Subject.of(announcement), now=now)
    every = [one.told for one in touched]
    announcements.refuse_unlawful_day(session, announcement, every, lambda: touched, now=now)
    announcement.edition += 1
    session.add(announcement)
    announcements.keep_edition(session, announcement, in_substance=True, why=why.strip(), by=by, now=now)
    _record(session, EventKind.ANNOUNCEMENT_CORRECTED, announcement, by=by, now=now, edition=announcement.edition)
    _leave_out(session, desk, announcement, by=by, now=now)
    telling.tell_anew(session, desk, announcement, touched, before, by=by, now=now)
    return announcement


def _leave_out(session: Session, desk: Desk, announcement: Announcement, *, by: str, now: datetime) -> None:
    """Let go of the clients whom nothing of what is told now concerns, and tell those who have been told."""
    changes = announcements.changes_of(announcement)
    if not is_limited(changes):
        return
    of_this = select(Notice, Client).join(Client, col(Client.id) == Notice.client_id)
    waiting = of_this.where(
        Notice.announcement_id == announcement.id, col(Notice.excluded_at).is_(None), col(Notice.live_at).is_(None)
    )
    gone = [notice for notice, client in session.exec(waiting) if not seen_of(changes, client.scope)]
    if gone:
        letters.post_left_out(session, desk, announcement, [notice.id for notice in gone], now=now)
        telling.leave_out(session, gone, by=by, now=now)


def respell(
    session: Session,
    announcement_id: UUID,
    *,
    facts: Mapping[str, str] | None = None,
    reasons: Mapping[str, str] | None = None,
    why: str,
    by: str,
    now: datetime,
) -> Announcement:
    """Mend the writing of an announcement: nobody is told anew, no clock begins again, and it is kept that it was
    done.
    """
    announcement = _under_way(session, announcement_id)
    before = _latest(session, announcement)
    if not why.strip():
        raise WhyMissing
    _rewrite(announcement, facts=facts, reasons=reasons)
    if _says_the_same(announcement, before):
        raise NothingCorrected
    _refuse_other_than_wording(announcement, before)
    session.add(announcement)
    announcements.keep_edition(session, announcement, in_substance=False, why=why.strip(), by=by, now=now)
    _record(session, EventKind.ANNOUNCEMENT_RESPELT, announcement, by=by, now=now, edition=announcement.edition)
    return announcement


def postpone(
    session: Session,
    desk: Desk,
    announcement_id: UUID,
    *,
    effective_on: date,
    reasons: Mapping[str, str],
    by: str,
    now: datetime,
) -> Announcement:
    """Make the change later than announced.  Clocks run on; whoever was told is told of the new day."""
    announcement = _under_way(session, announcement_id)
    announcements.require_reasons(reasons)
    told = announcement.effective_on
    if effective_on <= told:
        raise NotEarlier(told)
    tz = zone(provider.require_complete(session).timezone)
    announcements.refuse_past(effective_on, local_day(now, tz))
    announcement.effective_on, announcement.effective_at = effective_on, start_of_day(effective_on, tz)
    session.add(announcement)
    notices.move_to_the_eve(session, announcement, effective_on, now=now)
    written = {language: reasons[language].strip() for language in LANGUAGES}
    announcements.keep_edition(session, announcement, in_substance=False, why=written["en"], by=by, now=now)
    moved = {"told": told.isoformat(), "effective_on": effective_on.isoformat()}
    _record(session, EventKind.ANNOUNCEMENT_POSTPONED, announcement, by=by, now=now, **moved)
    letters.post_postponed(session, desk, announcement, told=told, reasons=written, now=now)
    telling.ask_for_letters(session, announcement, now=now)
    return announcement


def withdraw(
    session: Session, desk: Desk, announcement_id: UUID, *, reasons: Mapping[str, str], by: str, now: datetime
) -> Announcement:
    """Take an announcement back: the change is not made, and whoever was told is told so."""
    announcement = _under_way(session, announcement_id)
    announcements.require_reasons(reasons)
    _refuse_begun(session, announcement)
    _refuse_leaned_on(session, announcement)
    telling.drop_unsent(session, announcement, by=by, now=now)
    announcement.state, announcement.withdrawn_at, announcement.withdrawn_by = AnnouncementState.WITHDRAWN, now, by
    session.add(announcement)
    if announcement.version_id:
        registry.withdraw(session, session.get_one(Version, announcement.version_id), by=by, now=now)
    for kind in OverrideKind:
        if override := overrides.open_for(session, announcement.id, kind):
            overrides.reject(session, override.id, by=by, now=now)
    _close_all(session, announcement, by=by, now=now)
    _record(session, EventKind.ANNOUNCEMENT_WITHDRAWN, announcement, by=by, now=now)
    written = {language: reasons[language].strip() for language in LANGUAGES}
    session.flush()
    letters.post_withdrawn(session, desk, announcement, reasons=written, now=now)
    telling.ask_for_letters(session, announcement, now=now)
    return announcement


def _under_way(session: Session, announcement_id: UUID) -> Announcement:
    announcement = announcements.get(session, announcement_id, lock=True)
    if announcement.state is not AnnouncementState.PUBLISHED:
        raise NotPublished
    return announcement


def _latest(session: Session, announcement: Announcement) -> Edition:
    return announcements.editions(session, announcement.id)[-1]


def _rewrite(announcement: Announcement, *, facts: Mapping[str, str] | None, reasons: Mapping[str, str] | None) -> None:
    if facts is not None:
        announcement.facts = checked(announcement.kind, announcement.aspect, facts)
    if reasons is not None:
        announcements.require_reasons(reasons)
        announcement.reasons = {language: reasons[language].strip() for language in LANGUAGES}


def _says_the_same(announcement: Announcement, edition: Edition) -> bool:
    said = ("changes", "facts", "reasons", "effective_on")
    return all(getattr(announcement, name) == getattr(edition, name) for name in said)


def _refuse_other_than_wording(announcement: Announcement, before: Edition) -> None:
    """A name, a country, a day or an address is no wording: another one is another change."""
    exact = {key for one in KINDS[announcement.kind].fields if one.shape is not Shape.TEXT for key in keys_of(one)}
    if any(announcement.facts.get(key) != before.facts.get(key) for key in exact):
        raise NotWording


def _refuse_begun(session: Session, announcement: Announcement) -> None:
    begun = select(Notice.id).where(Notice.announcement_id == announcement.id, col(Notice.live_at).is_not(None))
    if session.exec(begun.limit(1)).first():
        raise BegunAlready


def _refuse_built_upon(session: Session, announcement: Announcement) -> None:
    if announcement.version_id is None:
        return
    number = session.get_one(Version, announcement.version_id).number or 0
    later = (
        select(Announcement.reference)
        .join(Version, col(Version.id) == Announcement.version_id)
        .where(col(Version.number) > number, col(Version.withdrawn_at).is_(None))
    )
    if reference := session.exec(later.order_by(col(Version.number))).first():
        raise BuiltUpon(reference)


def _refuse_leaned_on(session: Session, announcement: Announcement) -> None:
    """A later announcement that touches what this one changes would say something else without it."""
    if announcement.version_id is None:
        return
    number = session.get_one(Version, announcement.version_id).number or 0
    later = (
        select(Announcement)
        .join(Version, col(Version.id) == Announcement.version_id)
        .where(col(Version.number) > number, col(Version.withdrawn_at).is_(None))
    )
    own = announcements.changes_of(announcement)
    for one in session.exec(later.order_by(col(Version.number))):
        if collides(announcements.changes_of(one), own):
            raise BuiltUpon(one.reference)


def _take_draft(session: Session, announcement: Announcement, revision: int, *, by: str, now: datetime) -> None:
    """Let the registry's draft take the place of the version that was announced."""
    _refuse_built_upon(session, announcement)
    announced = session.get_one(Version, announcement.version_id)
    effective_at = announcement.effective_at
    version = registry.number_draft(
        session, effective_at=effective_at, by=by, now=now, revision=revision, instead_of=announced
    )
    base = registry.before(session, version)
    changes = registry.changes(session, base, version)
    if not changes:
        raise registry.NothingChanged
    subject = Subject.of_registry(announcement.kind, changes, timeline.in_force(session, now))
    announcement.version_id, announcement.aspect = version.id, subject.aspect
    announcement.changes = [registry_diff.as_json(change) for change in changes]
    announcement.needs = subject.needs_as_json()


def _close_all(session: Session, announcement: Announcement, *, by: str, now: datetime) -> None:
    """What waited for a person because of it waits no more; a termination of a contract stands."""
    of_this = select(Notice.id).where(Notice.announcement_id == announcement.id)
    session.execute(
        sa.update(Answer)
        .where(
            col(Answer.notice_id).in_(of_this),
            col(Answer.kind).in_([AnswerKind.OBJECTION, AnswerKind.REFUSAL]),
            col(Answer.standing).is_(True),
        )
        .values(standing=None, closed_at=now, closed_by=by, closing_note=WITHDRAWN)
    )
    kept = (ItemKind.TELL_BY_LETTER, ItemKind.TERMINATION, ItemKind.UNREAD_REPLY, ItemKind.MACHINE_LIKE_ANSWER)
    opened = select(Item).where(Item.announcement_id == announcement.id, col(Item.open).is_(True))
    for item in session.exec(opened.where(col(Item.kind).not_in(kept))).all():
        items.close_items(session, item.kind, about=item.about_id, by=by, now=now, note=WITHDRAWN)


def _record(
    session: Session, kind: EventKind, announcement: Announcement, *, by: str, now: datetime, **facts: object
) -> None:
    data = {"reference": announcement.reference, "announcement_kind": announcement.kind.value, **facts}
    events.record(session, kind, about=announcement.id, announcement=announcement.id, by=by, now=now, **data)
