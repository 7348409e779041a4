"""Announcing a change: who is affected and until when each may object, publishing it to all of them at once, and going
live.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.metadata import version as installed
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementKind,
    AnnouncementState,
    Client,
    Contact,
    EventKind,
    ItemKind,
    Notice,
    Sealed,
    Version,
)
from notifier.models.base import uuid7
from notifier.rules import registry_diff
from notifier.rules.gate import Gate
from notifier.rules.notice_states import NoticeState
from notifier.rules.periods import first_day_from, local_day, start_of_day, zone
from notifier.rules.registry_diff import Change
from notifier.rules.terms import BadPack, Pack, Reckoning, Rule
from notifier.services import clients, doorbell, events, items, letters, notices, provider, registry
from notifier.services.clients import Owed
from notifier.services.desk import Desk
from notifier.services.events import Happened

LANGUAGES = ("en", "fr")


class NoSuchAnnouncement(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such announcement")


class ReasonMissing(ValueError):
    """A letter without its reason is not sent."""

    def __init__(self, languages: Sequence[str]) -> None:
        super().__init__(
            f"say why the change is made, in every language of the letters: missing in {', '.join(languages)}"
        )


class EffectiveTooEarly(Exception):
    """The change would take effect while affected clients may still object.  `late` says for whom, and `earliest` which
    day would do.
    """

    NAMED = 5  # clients; the rest are counted

    def __init__(self, late: Sequence[Affected], earliest: date) -> None:
        shown = late[: self.NAMED]
        named = ", ".join(f"{one.client.company} (until {one.reckoning.last_day.isoformat()})" for one in shown)
        more = f" and {len(late) - len(shown)} more" if len(late) > len(shown) else ""
        super().__init__(f"too early for {named}{more}, who may still object then; {earliest.isoformat()} would do")
        self.late = late
        self.earliest = earliest


class EffectiveInPast(ValueError):
    def __init__(self) -> None:
        super().__init__("the day on which the change takes effect has passed: write today or a later day")


class EarlierNotLive(Exception):
    """A version builds on the one before: going live with it would take the earlier change live too."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference} was announced earlier and has not gone live: this one contains its change")
        self.reference = reference


class GateClosed(Exception):
    """Going live now would take a client's right away; it can only be recorded as a breach, with the reason."""

    def __init__(self, gate: Gate) -> None:
        holds = ", ".join(gate.holds) or "the announced day has not come"
        super().__init__(
            f"the gate is closed ({holds}): wait, settle what holds it, or record a breach with its reason"
        )
        self.gate = gate


class AlreadyLive(Exception):
    def __init__(self) -> None:
        super().__init__("this announcement has gone live already")


@dataclass(frozen=True, slots=True)
class Affected:
    """One client that a change touches: its terms, whom we tell, and until when it may object.

    `earliest_effective_on` is the first day of the provider's zone that begins after the client's period.
    """

    owed: Owed
    rule: Rule
    reckoning: Reckoning
    earliest_effective_on: date
    addressed: tuple[Contact, ...]

    @property
    def client(self) -> Client:
        return self.owed.client


@dataclass(frozen=True, slots=True)
class Preview:
    """What publishing the draft now would do."""

    changes: tuple[Change, ...]
    affected: tuple[Affected, ...]
    earliest_effective_on: date | None

    @property
    def unreachable(self) -> list[Affected]:
        return [one for one in self.affected if not one.addressed]

    @property
    def addresses(self) -> int:
        """The number of mails: one per address and language."""
        return len({(contact.email.casefold(), contact.language) for one in self.affected for contact in one.addressed})


def preview(session: Session, desk: Desk, *, now: datetime) -> Preview:
    """Compute what publishing the draft now would do.  A deadline is counted once per distinct contract pack."""
    kind = AnnouncementKind.SUBPROCESSOR
    affected = _affected(session, desk, kind, now=now)
    earliest = max((one.earliest_effective_on for one in affected), default=None)
    return Preview(changes=registry.draft_changes(session), affected=affected, earliest_effective_on=earliest)


def publish(
    session: Session,
    desk: Desk,
    *,
    effective_on: date,
    reasons: dict[str, str],
    by: str,
    now: datetime,
    revision: int | None = None,
) -> Announcement:
    """Publish the draft: number it, announce it, and put one notice per affected client in the outbox, all in this
    transaction.

    Raises ProfileIncomplete, NoDraft, NothingChanged, ReasonMissing, EffectiveInPast or EffectiveTooEarly, or
    DraftMoved where the draft is not the `revision` that was looked at; then nothing has happened.
    """
    profile = provider.require_complete(session)
    if missing := [language for language in LANGUAGES if not reasons.get(language, "").strip()]:
        raise ReasonMissing(missing)
    if effective_on < local_day(now, zone(profile.timezone)):
        raise EffectiveInPast
    base = registry.published(session)
    if base is None:
        raise registry.NoDraft  # the first version is established, not announced
    effective_at = start_of_day(effective_on, zone(profile.timezone))
    version = registry.number_draft(session, effective_at=effective_at, by=by, now=now, revision=revision)
    changes = registry.changes(session, base, version)
    affected = _affected(session, desk, AnnouncementKind.SUBPROCESSOR, now=now)
    _refuse_too_early(affected, effective_on)
    announcement = Announcement(
        kind=AnnouncementKind.SUBPROCESSOR,
        reference=f"SP-{local_day(now, zone(profile.timezone)).year}-{version.number:04d}",
        version_id=version.id,
        changes=[registry_diff.as_json(change) for change in changes],
        reasons={language: reasons[language].strip() for language in LANGUAGES},
        effective_on=effective_on,
        effective_at=effective_at,
        published_at=now,
        published_by=by,
    )
    session.add(announcement)
    session.flush()
    summary = {"reference": announcement.reference, "version": version.number, "effective_on": effective_on.isoformat()}
    told = [{"kind": change.kind.value, "entry": change.name} for change in changes]
    events.record(
        session, EventKind.ANNOUNCEMENT_PUBLISHED, about=announcement.id, announcement=announcement.id, by=by, now=now,
        clients=len(affected), changes=told, **summary,
    )  # fmt: skip
    _raise_notices(session, desk, announcement, affected, by=by, now=now)
    return announcement


def go_live(
    session: Session, announcement_id: UUID, *, by: str, now: datetime, breach_reason: str = ""
) -> Announcement:
    """Record that the change has gone live.  Against a closed gate that is refused, or recorded as a breach with its
    reason.
    """
    announcement = get(session, announcement_id, lock=True)
    if announcement.state is AnnouncementState.LIVE:
        raise AlreadyLive
    if earlier := next((one for one in upcoming(session) if one.published_at < announcement.published_at), None):
        raise EarlierNotLive(earlier.reference)
    gate = notices.board(session, announcement_id, now=now).gate
    too_early = now < announcement.effective_at
    if (too_early or not gate.is_open) and not breach_reason.strip():
        raise GateClosed(gate)
    announcement.state, announcement.live_at, announcement.live_by = AnnouncementState.LIVE, now, by
    session.add(announcement)
    _make_version_live(session, announcement, by=by, now=now)
    kind = EventKind.ANNOUNCEMENT_LIVE
    if too_early or not gate.is_open:
        announcement.breach_reason = breach_reason.strip()
        kind = EventKind.ANNOUNCEMENT_BREACHED
    events.record(
        session, kind, about=announcement.id, announcement=announcement.id, by=by, now=now,
        reference=announcement.reference, holds=[hold.value for hold in gate.holds],
    )  # fmt: skip
    return announcement


def tell_latecomers(session: Session, desk: Desk, announcement_id: UUID, *, by: str, now: datetime) -> int:
    """Tell the clients who are under contract now and were not when the announcement was published; returns how many.

    Each gets the period of its own contract from now on, and the gate waits for it.
    """
    announcement = get(session, announcement_id, lock=True)
    if announcement.state is AnnouncementState.LIVE:
        raise AlreadyLive
    untold = {client.id for client in notices.board(session, announcement_id, now=now).untold}
    affected = [one for one in _affected(session, desk, announcement.kind, now=now) if one.client.id in untold]
    purpose = f"{letters.NOTICE}.{now:%Y%m%dT%H%M%S}"  # an address that was told for another client is told once more
    _raise_notices(session, desk, announcement, affected, purpose=purpose, by=by, now=now)
    return len(affected)


def get(session: Session, announcement_id: UUID, *, lock: bool = False) -> Announcement:
    announcement = session.get(Announcement, announcement_id, with_for_update=lock)
    if announcement is None:
        raise NoSuchAnnouncement
    return announcement


def by_reference(session: Session, reference: str) -> Announcement:
    announcement = session.exec(select(Announcement).where(Announcement.reference == reference)).first()
    if announcement is None:
        raise NoSuchAnnouncement
    return announcement


def newest(session: Session, *, limit: int = 50) -> list[Announcement]:
    """Return announcements, newest first."""
    return list(session.exec(select(Announcement).order_by(col(Announcement.published_at).desc()).limit(limit)))


def upcoming(session: Session) -> list[Announcement]:
    """Return what is announced and not live yet, the nearest first."""
    query = select(Announcement).where(Announcement.state == AnnouncementState.PUBLISHED)
    return list(session.exec(query.order_by(col(Announcement.effective_on))))


def changes_of(announcement: Announcement) -> tuple[Change, ...]:
    """Return the changes as they were announced."""
    return tuple(registry_diff.from_json(change) for change in announcement.changes)


def _affected(session: Session, desk: Desk, kind: AnnouncementKind, *, now: datetime) -> tuple[Affected, ...]:
    roles = desk.addressed_roles[kind]
    tz = zone(provider.get(session).timezone)
    counted: dict[str, tuple[Rule, Reckoning, date]] = {}
    affected = []
    for owed in clients.owed(session, local_day(now, tz)):
        pack = owed.terms.pack
        if pack not in counted:
            rule = _pack(desk, pack).rule_for(kind)
            reckoning = rule.presume(now)
            counted[pack] = rule, reckoning, _first_day_after(reckoning, tz)
        affected.append(Affected(owed, *counted[pack], owed.addressed(roles)))
    return tuple(affected)


def _pack(desk: Desk, name: str) -> Pack:
    try:
        return desk.packs[name]
    except KeyError:
        raise BadPack(
            f"clients are under the contract pack {name}, which is not in the folder of contracts: put it back"
        ) from None


def _first_day_after(reckoning: Reckoning, tz: ZoneInfo) -> date:
    """Later than the last day, and beginning after its end also where the provider's day begins sooner."""
    return max(first_day_from(reckoning.until, tz), reckoning.last_day + timedelta(days=1))


def _refuse_too_early(affected: Sequence[Affected], effective_on: date) -> None:
    late = [one for one in affected if effective_on < one.earliest_effective_on]
    if late:
        raise EffectiveTooEarly(late, max(one.earliest_effective_on for one in late))


def _raise_notices(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    affected: Sequence[Affected],
    *,
    purpose: str = letters.NOTICE,
    by: str,
    now: datetime,
) -> None:
    sealed = _seal(session, announcement, affected, now=now)
    raised = [
        Notice(
            id=uuid7(),
            announcement_id=announcement.id,
            client_id=one.client.id,
            terms_id=one.owed.terms.id,
            sealed_id=sealed[one.owed.terms.pack],
            state=NoticeState.RAISED if one.addressed else NoticeState.UNREACHED,
            object_by=one.reckoning.last_day,
            object_until=one.reckoning.until,
            raised_at=now,
        )
        for one in affected
    ]
    if raised:
        session.execute(sa.insert(Notice), [notice.model_dump() for notice in raised])
    by_client = {notice.client_id: notice for notice in raised}
    happened = [_raised_event(announcement, one, by_client[one.client.id]) for one in affected]
    events.record_all(session, happened, by=by, now=now)
    for one in affected:
        if not one.addressed:
            notice = by_client[one.client.id]
            items.open_item(
                session, ItemKind.UNREACHABLE_CLIENT, about=notice.id, announcement=announcement.id, now=now
            )
    recipients = [
        letters.Recipient(contact=contact, client=one.client, notice=by_client[one.client.id], rule=one.rule)
        for one in affected
        for contact in one.addressed
    ]
    letters.post_notices(session, desk, announcement, recipients, purpose=purpose, now=now)
    doorbell.ring(session, doorbell.Bell.OUTBOX)


def _seal(
    session: Session, announcement: Announcement, affected: Sequence[Affected], *, now: datetime
) -> dict[str, UUID]:
    """Keep each distinct deadline with everything it was computed from; a later table or contract never moves it."""
    versions = {"holidays": installed("holidays"), "tzdata": installed("tzdata")}
    rows = {
        one.owed.terms.pack: Sealed(
            announcement_id=announcement.id,
            pack=one.owed.terms.pack,
            rule=one.rule.as_json(),
            received_on=one.reckoning.received_on,
            last_day=one.reckoning.last_day,
            until=one.reckoning.until,
            steps=[step.as_json() for step in one.reckoning.steps],
            versions=versions,
            sealed_at=now,
        )
        for one in affected
    }
    session.add_all(rows.values())
    session.flush()
    return {pack: row.id for pack, row in rows.items()}


def _raised_event(announcement: Announcement, one: Affected, notice: Notice) -> Happened:
    kind = EventKind.NOTICE_RAISED if one.addressed else EventKind.NOTICE_UNREACHED
    data = {"client": one.client.key, "company": one.client.company, "object_by": notice.object_by.isoformat()}
    return Happened(kind=kind, about=notice.id, announcement=announcement.id, data=data)


def _make_version_live(session: Session, announcement: Announcement, *, by: str, now: datetime) -> None:
    version = session.get(Version, announcement.version_id) if announcement.version_id else None
    if version is None:
        return
    version.live_at = now
    session.add(version)
    events.record(session, EventKind.VERSION_LIVE, about=version.id, by=by, now=now, version=version.number)
