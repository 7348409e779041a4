"""The registry of subprocessors: reading any version, editing the draft, and numbering it when it is published."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Entry, EventKind, Version
from notifier.rules import registry_diff
from notifier.rules.registry_diff import Change, diff, slug
from notifier.services import events
from notifier.services.rows import insert_new

HIGHEST = 2**31 - 1  # what the column can hold


class NoSuchVersion(LookupError):
    def __init__(self, number: int) -> None:
        super().__init__(f"the registry has no version {number}: `notifier registry show` lists what there is")


class NoSuchEntry(LookupError):
    def __init__(self, key: str) -> None:
        super().__init__(f'the draft has no entry "{key}": look up its key with `notifier registry draft`')


class NoDraft(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no draft: import a list or edit an entry first")


class NothingChanged(Exception):
    def __init__(self) -> None:
        super().__init__("the draft says the same as the published version: there is nothing to publish")


class DraftMoved(Exception):
    """Somebody else edited the draft in the meantime."""

    def __init__(self) -> None:
        super().__init__(
            "the draft has been changed by somebody else since you opened it: look at it again, then repeat your edit"
        )


class BadEntry(ValueError):
    """An entry that cannot be taken; the message says what to write."""


def published(session: Session) -> Version | None:
    """Return the version published last, live or not yet, of those that have not been withdrawn."""
    kept = select(Version).where(col(Version.number).is_not(None), col(Version.withdrawn_at).is_(None))
    return session.exec(kept.order_by(col(Version.number).desc()).limit(1)).first()


def live(session: Session, at: datetime) -> Version | None:
    """Return the version that held at an instant: the highest one recorded as live by then, since each builds on the
    one before.
    """
    query = select(Version).where(col(Version.live_at) <= at).order_by(col(Version.number).desc())
    return session.exec(query.limit(1)).first()


def before(session: Session, version: Version) -> Version | None:
    """Return the version that one builds on: the one numbered last before it, of those not withdrawn."""
    earlier = select(Version).where(col(Version.number) < version.number, col(Version.withdrawn_at).is_(None))
    return session.exec(earlier.order_by(col(Version.number).desc()).limit(1)).first()


def get(session: Session, number: int) -> Version:
    known = number <= HIGHEST
    version = session.exec(select(Version).where(Version.number == number)).first() if known else None
    if version is None:
        raise NoSuchVersion(number)
    return version


def versions(session: Session) -> list[Version]:
    """Return all published versions, newest first."""
    return list(
        session.exec(select(Version).where(col(Version.number).is_not(None)).order_by(col(Version.number).desc()))
    )


def entries(session: Session, version: Version | None) -> list[registry_diff.Entry]:
    """Return the entries of a version in its order; none for no version."""
    if version is None:
        return []
    rows = session.exec(select(Entry).where(Entry.version_id == version.id).order_by(col(Entry.position)))
    return [row.content for row in rows]


def changes(session: Session, old: Version | None, new: Version | None) -> tuple[Change, ...]:
    """Return what changed in meaning between two versions."""
    return diff(entries(session, old), entries(session, new))


def draft(session: Session, *, lock: bool = False) -> Version | None:
    """Return the draft.  Whoever is going to change or publish it locks it, so that neither undoes the other."""
    query = select(Version).where(col(Version.draft).is_(True))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.exec(query).first()


def open_draft(session: Session, *, by: str, now: datetime) -> Version:
    """Return the draft; where there is none, a new one that says what the published version says."""
    existing = draft(session, lock=True)
    if existing:
        return existing
    version, is_ours = _new_draft(session, by=by, now=now)
    if not is_ours:
        return version
    latest = published(session)
    base = entries(session, latest)
    if latest and latest.live_at:  # who replaced whom back then is history, not a change of this draft
        base = [replace(entry, replaces="") for entry in base]
    return _fill(session, version, base, by=by, now=now)


def draft_changes(session: Session) -> tuple[Change, ...]:
    """Return what the draft would change."""
    found = draft(session)
    return changes(session, published(session), found) if found else ()


def replace_draft(session: Session, content: Sequence[registry_diff.Entry], *, by: str, now: datetime) -> Version:
    """Make a whole list the draft."""
    version = draft(session, lock=True) or _new_draft(session, by=by, now=now)[0]
    return _fill(session, version, content, by=by, now=now)


def add_entry(
    session: Session, content: registry_diff.Entry, *, by: str, now: datetime, revision: int | None = None
) -> Version:
    """Add an entry to the draft; one that replaces another takes its place in the list."""
    version = _edited(session, revision, by=by, now=now)
    _require(content)
    listed = entries(session, version)
    content = replace(content, key=content.key or _free_key(content, listed))
    if any(entry.key == content.key for entry in listed):
        raise BadEntry(f'the draft already has an entry "{content.key}": amend that one, or give this one another key')
    if content.replaces and not any(entry.key == content.replaces for entry in listed):
        raise NoSuchEntry(content.replaces)
    kept = [content if entry.key == content.replaces else entry for entry in listed]
    return _fill(session, version, kept if content.replaces else [*listed, content], by=by, now=now)


def amend_entry(
    session: Session, key: str, values: dict[str, str], *, by: str, now: datetime, revision: int | None = None
) -> Version:
    """Change some fields of an entry of the draft; its key stays."""
    version = _edited(session, revision, by=by, now=now)
    listed = entries(session, version)
    amended = replace(_find(listed, key), **values)
    _require(amended)
    return _fill(session, version, [amended if entry.key == key else entry for entry in listed], by=by, now=now)


def remove_entry(session: Session, key: str, *, by: str, now: datetime, revision: int | None = None) -> Version:
    """Take an entry off the draft."""
    version = _edited(session, revision, by=by, now=now)
    listed = entries(session, version)
    _find(listed, key)
    return _fill(session, version, [entry for entry in listed if entry.key != key], by=by, now=now)


def discard_draft(session: Session, *, by: str, now: datetime) -> None:
    """Throw the draft away; the published versions stay as they are."""
    found = draft(session, lock=True)
    if found is None:
        raise NoDraft
    _clear(session, found)
    session.flush()
    session.delete(found)
    events.record(session, EventKind.DRAFT_DISCARDED, about=found.id, by=by, now=now)


def establish(session: Session, *, by: str, now: datetime, revision: int | None = None) -> Version:
    """Publish the first version: the list that the contracts already have.  It holds at once, and nobody needs to be
    told.
    """
    if published(session):
        raise BadEntry(
            "the registry has a published version: further changes are announced, with the date they take effect"
        )
    version = number_draft(session, effective_at=now, by=by, now=now, revision=revision)
    version.live_at = now
    events.record(session, EventKind.VERSION_LIVE, about=version.id, by=by, now=now, version=version.number)
    return version


def number_draft(
    session: Session, *, effective_at: datetime, by: str, now: datetime, revision: int | None = None
) -> Version:
    """Turn the draft into the next version.  Two who publish at once: the second finds no draft.

    With `revision`, a draft that has been edited since it was looked at raises DraftMoved.
    """
    found = draft(session, lock=True)
    if found is None:
        raise NoDraft
    if revision is not None and revision != found.revision:
        raise DraftMoved
    latest = published(session)
    if not changes(session, latest, found):
        raise NothingChanged
    found.draft = None
    found.number = (session.exec(select(sa.func.max(Version.number))).one() or 0) + 1
    found.published_at, found.published_by, found.effective_at = now, by, effective_at
    session.add(found)
    events.record(session, EventKind.VERSION_PUBLISHED, about=found.id, by=by, now=now, version=found.number)
    return found


def _new_draft(session: Session, *, by: str, now: datetime) -> tuple[Version, bool]:
    """Begin a draft; returns it, or the one that somebody else began at the same instant, and whether it is ours.

    A draft counts its revisions from a number drawn at random: an edit made on the draft before it is refused.
    """
    ours = Version(draft=True, revision=secrets.randbelow(HIGHEST // 2), created_at=now, created_by=by)
    insert_new(session, ours)
    found = draft(session, lock=True)
    if found is None:
        raise NoDraft  # begun and published by somebody else in the meantime
    return found, found.id == ours.id


def _edited(session: Session, revision: int | None, *, by: str, now: datetime) -> Version:
    version = open_draft(session, by=by, now=now)
    if revision is not None and revision != version.revision:
        raise DraftMoved
    return version


def _fill(
    session: Session, version: Version, content: Sequence[registry_diff.Entry], *, by: str, now: datetime
) -> Version:
    _clear(session, version)
    version.revision += 1
    session.add(version)
    session.flush()
    rows = [Entry.of(version.id, position, entry) for position, entry in enumerate(content)]
    session.add_all(rows)
    events.record(session, EventKind.DRAFT_CHANGED, about=version.id, by=by, now=now, entries=len(rows))
    return version


def _clear(session: Session, version: Version) -> None:
    session.execute(sa.delete(Entry).where(col(Entry.version_id) == version.id))


def _find(listed: Sequence[registry_diff.Entry], key: str) -> registry_diff.Entry:
    for entry in listed:
        if entry.key == key:
            return entry
    raise NoSuchEntry(key)


def _require(content: registry_diff.Entry) -> None:
    if not content.name.strip() or not content.activity.strip():
        raise BadEntry("an entry needs a name and an activity: write both")


def _free_key(content: registry_diff.Entry, listed: Sequence[registry_diff.Entry]) -> str:
    taken = {entry.key for entry in listed}
    base = slug(content.name) or "entry"
    return next(key for key in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if key not in taken)
