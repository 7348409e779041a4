"""Announcing a change: writing it, publishing it to all affected clients at once, and looking it up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    AnnouncementKind,
    AnnouncementState,
    Edition,
    EventKind,
    ItemKind,
    Notice,
    Override,
    OverrideKind,
)
from notifier.rules import registry_diff
from notifier.rules.kinds import KINDS, LANGUAGES, OF_THE_REGISTRY, checked
from notifier.rules.periods import local_day, start_of_day, zone
from notifier.rules.registry_diff import Change
from notifier.services import boards, events, items, letters, notices, overrides, provider, registry, telling, timeline
from notifier.services.affected import Affected, Reach, Subject, Told, affected
from notifier.services.desk import Desk


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
        named = ", ".join(
            f"{one.client.company} (until {one.reckoning.last_day_of_waiting.isoformat()})" for one in shown
        )
        more = f" and {len(late) - len(shown)} more" if len(late) > len(shown) else ""
        super().__init__(f"too early for {named}{more}, who may still object then; {earliest.isoformat()} would do")
        self.late = late
        self.earliest = earliest


class SentTooLate(Exception):
    """What must be told a whole period before the change would be told later than that.

    `latest_sending_at` is the last instant (UTC) at which the notices could have left for the day that was written,
    `earliest_effective_on` the first day that is lawful if they leave now.
    """

    def __init__(self, late: Sequence[Affected], latest_sending_at: datetime, earliest_effective_on: date) -> None:
        super().__init__(
            f"too late for {len(late)} clients: the notices had to leave by {latest_sending_at.isoformat()} for that "
            f"day; if they leave now, {earliest_effective_on.isoformat()} is the first lawful day. Change the day, or "
            "let a second person confirm the legal reason for which it is told late"
        )
        self.late = late
        self.latest_sending_at = latest_sending_at
        self.earliest_effective_on = earliest_effective_on


class Prohibited(Exception):
    """A disclosure of which nobody may be told yet."""

    def __init__(self, until: date) -> None:
        super().__init__(
            f"telling of this is prohibited until {until.isoformat()}: it is held until that day has passed"
        )
        self.until = until


class EffectiveInPast(ValueError):
    def __init__(self) -> None:
        super().__init__("the day on which the change takes effect has passed: write today or a later day")


class NotADraft(Exception):
    """What has been told to clients is corrected, postponed or withdrawn, never edited."""

    def __init__(self) -> None:
        super().__init__("this announcement has been published: correct, postpone or withdraw it")


class DraftChanged(Exception):
    """Somebody else has written the draft anew in the meantime."""

    def __init__(self) -> None:
        super().__init__("somebody else has changed this draft since you looked: look at it again, then publish it")


class WrongKind(ValueError):
    """A change of the registry is announced from its draft, everything else from what a person writes."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"an announcement of the kind {kind} is made another way")


# --- writing ---------------------------------------------------------------------------------------------------------


def draft(  # noqa: PLR0913 - what is written of one announcement
    session: Session,
    *,
    kind: AnnouncementKind,
    aspect: str = "",
    facts: Mapping[str, str],
    reasons: Mapping[str, str],
    effective_on: date,
    per_client: bool = False,
    cause: Mapping[str, str] | None = None,
    by: str,
    now: datetime,
) -> Announcement:
    """Write an announcement of something else than the registry; nobody is told before it is published.

    Raises WrongKind, BadFacts, ReasonMissing or EffectiveInPast.  `cause`: the notice to us that brought it about
    (from, reference, received_on).
    """
    if kind in OF_THE_REGISTRY:
        raise WrongKind(kind)
    tz = zone(provider.get(session).timezone)
    announcement = Announcement(
        kind=kind,
        state=AnnouncementState.DRAFT,
        reference=_reference(session, kind, local_day(now, tz).year),
        changes=[],
        reasons={},
        effective_on=effective_on,
        effective_at=now,
        published_at=now,
        published_by=by,
    )
    _write(session, announcement, aspect=aspect, facts=facts, reasons=reasons, effective_on=effective_on, now=now)
    announcement.per_client, announcement.cause = per_client, _cause(cause)
    session.add(announcement)
    session.flush()
    data = {"reference": announcement.reference, "announcement_kind": kind.value}
    events.record(
        session,
        EventKind.ANNOUNCEMENT_DRAFTED,
        about=announcement.id,
        announcement=announcement.id,
        by=by,
        now=now,
        **data,
    )
    return announcement


def revise(  # noqa: PLR0913 - what is written of one announcement
    session: Session,
    announcement_id: UUID,
    *,
    aspect: str = "",
    facts: Mapping[str, str],
    reasons: Mapping[str, str],
    effective_on: date,
    per_client: bool = False,
    cause: Mapping[str, str] | None = None,
    by: str,
    now: datetime,
) -> Announcement:
    """Write a draft anew; a decision that was asked for or taken about the old one is void."""
    announcement = _draft(session, announcement_id)
    _write(session, announcement, aspect=aspect, facts=facts, reasons=reasons, effective_on=effective_on, now=now)
    announcement.per_client, announcement.cause = per_client, _cause(cause)
    session.add(announcement)
    _void_decisions(session, announcement, by=by, now=now)
    data = {"reference": announcement.reference, "announcement_kind": announcement.kind.value}
    events.record(
        session,
        EventKind.ANNOUNCEMENT_DRAFTED,
        about=announcement.id,
        announcement=announcement.id,
        by=by,
        now=now,
        **data,
    )
    return announcement


def discard(session: Session, announcement_id: UUID, *, by: str, now: datetime) -> None:
    """Throw a draft away; its reference is not given again."""
    announcement = _draft(session, announcement_id)
    _void_decisions(session, announcement, by=by, now=now)
    announcement.state, announcement.withdrawn_at, announcement.withdrawn_by = AnnouncementState.WITHDRAWN, now, by
    session.add(announcement)
    items.close_items(session, ItemKind.PROHIBITION_ENDED, about=announcement.id, by=by, now=now)
    kind, data = EventKind.ANNOUNCEMENT_DISCARDED, {"reference": announcement.reference}
    events.record(session, kind, about=announcement.id, announcement=announcement.id, by=by, now=now, **data)


# --- publishing ------------------------------------------------------------------------------------------------------


def publish(  # noqa: PLR0913 - what is written of one announcement
    session: Session,
    desk: Desk,
    *,
    effective_on: date,
    reasons: Mapping[str, str],
    by: str,
    now: datetime,
    revision: int | None = None,
    kind: AnnouncementKind = AnnouncementKind.SUBPROCESSOR,
    facts: Mapping[str, str] | None = None,
    per_client: bool = False,
    cause: Mapping[str, str] | None = None,
) -> Announcement:
    """Publish the draft of the registry: number it, announce it, and put one notice per affected client in the outbox,
    all in this transaction.

    An emergency states the measures that protect the data (`facts`), and asks each client for its consent to begin on
    the day; it shortens nobody's period.  Raises ProfileIncomplete, NoDraft, NothingChanged, BadFacts, ReasonMissing,
    EffectiveInPast or EffectiveTooEarly, or DraftMoved where the draft is not the `revision` that was looked at; then
    nothing has happened.
    """
    if kind not in OF_THE_REGISTRY:
        raise WrongKind(kind)
    profile = provider.require_complete(session)
    tz = zone(profile.timezone)
    require_reasons(reasons)
    refuse_past(effective_on, local_day(now, tz))
    written = checked(kind, "", facts or {})
    base = registry.published(session)
    if base is None:
        raise registry.NoDraft  # the first version is established, not announced
    effective_at = start_of_day(effective_on, tz)
    version = registry.number_draft(session, effective_at=effective_at, by=by, now=now, revision=revision)
    changes = registry.changes(session, base, version)
    subject = Subject.of_registry(kind, changes, timeline.in_force(session, now))
    announcement = Announcement(
        kind=kind,
        aspect=subject.aspect,
        reference=f"{KINDS[kind].prefix}-{local_day(now, tz).year}-{version.number:04d}",
        version_id=version.id,
        per_client=per_client,
        facts=written,
        cause=_cause(cause),
        changes=[registry_diff.as_json(change) for change in changes],
        needs=subject.needs_as_json(),
        reasons={language: reasons[language].strip() for language in LANGUAGES},
        effective_on=effective_on,
        effective_at=effective_at,
        published_at=now,
        published_by=by,
    )
    told = [{"kind": change.kind.value, "entry": change.name} for change in changes]
    _publish(session, desk, announcement, by=by, now=now, changes=told, version=version.number)
    return announcement


def publish_draft(
    session: Session, desk: Desk, announcement_id: UUID, *, by: str, now: datetime, digest: str | None = None
) -> Announcement:
    """Publish what was written, to every affected client at once.

    Raises ProfileIncomplete, Prohibited, EffectiveInPast, EffectiveTooEarly or SentTooLate, or DraftChanged where it is
    not what was looked at (`digest_of`); then nothing has happened.
    """
    profile = provider.require_complete(session)
    announcement = _draft(session, announcement_id)
    if digest is not None and digest != digest_of(announcement):
        raise DraftChanged
    today = local_day(now, zone(profile.timezone))
    prohibited_until = announcement.facts.get("prohibited_until")
    if prohibited_until and today <= date.fromisoformat(prohibited_until):
        raise Prohibited(date.fromisoformat(prohibited_until))
    if not KINDS[announcement.kind].at_once:
        refuse_past(announcement.effective_on, today)
    announcement.state, announcement.published_at, announcement.published_by = AnnouncementState.PUBLISHED, now, by
    items.close_items(session, ItemKind.PROHIBITION_ENDED, about=announcement.id, by=by, now=now)
    if undecided := overrides.open_for(session, announcement.id, OverrideKind.LATE):
        overrides.reject(session, undecided.id, by=by, now=now)
    _publish(session, desk, announcement, by=by, now=now, aspect=announcement.aspect)
    return announcement


def digest_of(announcement: Announcement) -> str:
    """Return what names the text of a draft, so that nobody publishes another one than they looked at."""
    names = ("aspect", "facts", "reasons", "per_client", "cause")
    said = [*(getattr(announcement, name) for name in names), announcement.effective_on.isoformat()]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def tell_latecomers(session: Session, desk: Desk, announcement_id: UUID, *, by: str, now: datetime) -> int:
    """Tell the clients whom the announcement concerns now and did not when it was published: they have come under
    contract since, or have come to use what changes; returns how many.

    Each gets the period of its own contract from now on, and the gate waits for it.  To one that was told of less, it
    is another edition.
    """
    announcement = get(session, announcement_id, lock=True)
    if announcement.state is not AnnouncementState.PUBLISHED:
        raise NotPublished
    notices.lock_all(session, announcement_id)
    board = boards.board(session, announcement_id, now=now)
    untold = {client.id for client in board.untold}
    told = [one for one in affected(session, desk, Subject.of(announcement), now=now) if one.client.id in untold]
    before = editions(session, announcement_id)[-1]
    if untold & {row.client.id for row in board.rows}:
        announcement.edition += 1
        session.add(announcement)
        keep_edition(session, announcement, in_substance=False, by=by, now=now)
    purpose = f"{letters.NOTICE}.{now:%Y%m%dT%H%M%S}"  # an address that was told for another is told once more
    telling.tell_more(session, desk, announcement, told, before, purpose=purpose, by=by, now=now)
    return len(told)


class NotPublished(Exception):
    """Only what is announced, and has neither gone live for everybody nor been withdrawn, can be changed or made."""

    def __init__(self) -> None:
        super().__init__("this announcement is not under way: it is a draft, has gone live, or has been withdrawn")


def announce_ended_prohibitions(session: Session, *, now: datetime) -> int:
    """Put each disclosure before a person that may be told of since its prohibition ended; returns how many there
    are.
    """
    today = local_day(now, zone(provider.get(session).timezone))
    held = select(Announcement).where(
        Announcement.state == AnnouncementState.DRAFT, Announcement.kind == AnnouncementKind.DISCLOSURE
    )
    ended = [one for one in session.exec(held) if one.facts.get("prohibited_until", "9999") < today.isoformat()]
    for one in ended:
        items.open_item(session, ItemKind.PROHIBITION_ENDED, about=one.id, announcement=one.id, now=now)
    return len(ended)


# --- looking up ------------------------------------------------------------------------------------------------------


def get(session: Session, announcement_id: UUID, *, lock: bool = False) -> Announcement:
    """Return an announcement; under a lock, as it is now and not as this session has read it before.

    The lock lets others write what refers to it: they may hold what we wait for.
    """
    locked = {"key_share": True} if lock else None
    announcement = session.get(Announcement, announcement_id, with_for_update=locked, populate_existing=lock)
    if announcement is None:
        raise NoSuchAnnouncement
    return announcement


def by_reference(session: Session, reference: str) -> Announcement:
    announcement = session.exec(select(Announcement).where(Announcement.reference == reference)).first()
    if announcement is None:
        raise NoSuchAnnouncement
    return announcement


def newest(session: Session, *, limit: int = 50) -> list[Announcement]:
    """Return what was announced, newest first; drafts that were thrown away are left out."""
    told = select(Edition.id).where(Edition.announcement_id == Announcement.id).exists()
    shown = sa.or_(col(Announcement.state) != AnnouncementState.WITHDRAWN, told)
    query = select(Announcement).where(shown).order_by(col(Announcement.published_at).desc())
    return list(session.exec(query.limit(limit)))


def upcoming(session: Session) -> list[Announcement]:
    """Return what is announced and not live for everybody yet, the nearest first."""
    query = select(Announcement).where(Announcement.state == AnnouncementState.PUBLISHED)
    return list(session.exec(query.order_by(col(Announcement.effective_on))))


def changes_of(announcement: Announcement | Edition) -> tuple[Change, ...]:
    """Return the changes as they were announced."""
    return tuple(registry_diff.from_json(change) for change in announcement.changes)


def editions(session: Session, announcement_id: UUID) -> list[Edition]:
    """Return what an announcement said, from its publishing on, oldest first."""
    query = select(Edition).where(Edition.announcement_id == announcement_id)
    by_number = (col(Edition.number), col(Edition.in_substance).desc(), col(Edition.made_at), col(Edition.id))
    return list(session.exec(query.order_by(*by_number)))  # clocks may be set back


# --- what the verbs of corrections use too ---------------------------------------------------------------------------


def require_reasons(reasons: Mapping[str, str]) -> None:
    if missing := [language for language in LANGUAGES if not reasons.get(language, "").strip()]:
        raise ReasonMissing(missing)


def refuse_past(effective_on: date, today: date) -> None:
    if effective_on < today:
        raise EffectiveInPast


def refuse_unlawful_day(
    session: Session,
    announcement: Announcement,
    told: Collection[Told],
    touched: Callable[[], Sequence[Affected]],
    *,
    now: datetime,
) -> None:
    """Raise SentTooLate or EffectiveTooEarly where the day leaves a client less than its contract gives it.

    `told`: what every client is told; `touched` names the clients, and is asked for them only to refuse.
    """
    on = announcement.effective_on
    late = [one for one in told if _is_late(one, on, now)]
    if late and not _may_be_late(session, announcement):
        latest = min(one.rule.latest_sending_at(on) for one in late)
        named = [one for one in touched() if _is_late(one.told, on, now)]
        raise SentTooLate(named, latest, max(one.earliest_effective_on for one in told))
    if announcement.kind is AnnouncementKind.EMERGENCY or KINDS[announcement.kind].at_once:
        return  # of an emergency, who does not agree to the day keeps its whole period: the gate sees to that
    if early := [one.earliest_effective_on for one in told if _is_early(one, on)]:
        raise EffectiveTooEarly([one for one in touched() if _is_early(one.told, on)], max(early))


def _is_late(told: Told, on: date, now: datetime) -> bool:
    return told.rule.counts_back and told.rule.latest_sending_at(on) < now


def _is_early(told: Told, on: date) -> bool:
    return not told.rule.counts_back and on < told.earliest_effective_on


def _may_be_late(session: Session, announcement: Announcement) -> bool:
    """Say whether two persons have decided it, and of what is about to be told: not of what was told before."""
    decided = overrides.confirmed(session, announcement.id, OverrideKind.LATE)
    told = editions(session, announcement.id)
    return decided is not None and not (told and decided.asked_at < told[-1].made_at)


def keep_edition(
    session: Session, announcement: Announcement, *, in_substance: bool, why: str = "", by: str, now: datetime
) -> Edition:
    """Keep what the announcement says from now on."""
    edition = Edition(
        announcement_id=announcement.id,
        number=announcement.edition,
        in_substance=in_substance,
        version_id=announcement.version_id,
        changes=announcement.changes,
        facts=announcement.facts,
        reasons=announcement.reasons,
        effective_on=announcement.effective_on,
        why=why,
        made_at=now,
        made_by=by,
    )
    session.add(edition)
    return edition


def _publish(
    session: Session,
    desk: Desk,
    announcement: Announcement,
    *,
    by: str,
    now: datetime,
    **told: object,
) -> None:
    subject = Subject.of(announcement)
    reach = Reach(session, desk, subject, now=now)
    every = reach.told.values()
    refuse_unlawful_day(session, announcement, every, lambda: affected(session, desk, subject, now=now), now=now)
    session.add(announcement)
    session.flush()
    keep_edition(session, announcement, in_substance=True, by=by, now=now)
    data = {
        "reference": announcement.reference,
        "announcement_kind": announcement.kind.value,
        "effective_on": announcement.effective_on.isoformat(),
        "clients": reach.clients,
        **told,
    }
    events.record(
        session,
        EventKind.ANNOUNCEMENT_PUBLISHED,
        about=announcement.id,
        announcement=announcement.id,
        by=by,
        now=now,
        **data,
    )
    telling.tell(session, desk, announcement, reach, by=by, now=now)
    if KINDS[announcement.kind].at_once and not any(one.rule.waits for one in every):
        _note_live(session, announcement, by=by, now=now)


def _note_live(session: Session, announcement: Announcement, *, by: str, now: datetime) -> None:
    """What has happened already, and waits for nobody, is live when it is told."""
    announcement.state, announcement.live_at, announcement.live_by = AnnouncementState.LIVE, now, by
    session.add(announcement)
    session.execute(sa.update(Notice).where(col(Notice.announcement_id) == announcement.id).values(live_at=now))
    kind, data = EventKind.ANNOUNCEMENT_LIVE, {"reference": announcement.reference, "holds": []}
    events.record(session, kind, about=announcement.id, announcement=announcement.id, by=by, now=now, **data)


def _write(
    session: Session,
    announcement: Announcement,
    *,
    aspect: str,
    facts: Mapping[str, str],
    reasons: Mapping[str, str],
    effective_on: date,
    now: datetime,
) -> None:
    tz = zone(provider.get(session).timezone)
    require_reasons(reasons)
    announcement.facts = checked(announcement.kind, aspect, facts)
    if not KINDS[announcement.kind].at_once:
        refuse_past(effective_on, local_day(now, tz))
    announcement.aspect = aspect
    announcement.reasons = {language: reasons[language].strip() for language in LANGUAGES}
    announcement.effective_on, announcement.effective_at = effective_on, start_of_day(effective_on, tz)


def _draft(session: Session, announcement_id: UUID) -> Announcement:
    announcement = get(session, announcement_id, lock=True)
    if announcement.state is not AnnouncementState.DRAFT:
        raise NotADraft
    return announcement


def _void_decisions(session: Session, announcement: Announcement, *, by: str, now: datetime) -> None:
    """A decision of two persons was about what was written then."""
    for override in session.exec(select(Override).where(Override.announcement_id == announcement.id)).all():
        if override.open:
            overrides.reject(session, override.id, by=by, now=now)
        override.confirmed = False
        session.add(override)


def _reference(session: Session, kind: AnnouncementKind, year: int) -> str:
    """Number what is not of the registry within its kind and year: SV-2026-0003."""
    start = f"{KINDS[kind].prefix}-{year}-"
    latest = session.exec(
        select(sa.func.max(Announcement.reference)).where(col(Announcement.reference).startswith(start))
    ).one()
    return f"{start}{int(latest.removeprefix(start)) + 1 if latest else 1:04d}"


def _cause(cause: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: (cause or {}).get(name, "").strip() for name in ("from", "reference", "received_on")}
    return kept if kept["from"] else {}
