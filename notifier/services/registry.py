"""The registry of subprocessors: reading any version, editing the draft, and numbering it when it is published."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Announcement, DraftEntry, EventKind, Version
from notifier.models import Entry as Row
from notifier.rules.entries import CircularParents, Entry, NoSuchParent, as_json, check_parents, from_json
from notifier.rules.registry_diff import Change, apply, diff, slug
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


class DraftLeans(Exception):
    """The draft says of an entry that it is engaged by one that would not be there any more."""

    def __init__(self) -> None:
        super().__init__("the draft needs what would be taken back: change the draft, or discard it, first")


class BadEntry(ValueError):
    """An entry that cannot be taken; the message says what to write."""


def published(session: Session) -> Version | None:
    """Return the version published last, live or not yet, of those that have not been withdrawn."""
    kept = select(Version).where(col(Version.number).is_not(None), col(Version.withdrawn_at).is_(None))
    return session.exec(kept.order_by(col(Version.number).desc()).limit(1)).first()


def live(session: Session, at: datetime) -> Version | None:
    """Return the highest version recorded as live by an instant; the list in force then may lack what was published
    before it (`timeline.in_force`).
    """
    made = select(Version).where(col(Version.live_at) <= at, col(Version.undoes).is_(None))
    query = made.order_by(col(Version.number).desc())
    return session.exec(query.limit(1)).first()


def before(session: Session, version: Version) -> Version | None:
    """Return the version that one builds on."""
    return get(session, version.builds_on) if version.builds_on else None


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


def entries(session: Session, version: Version | None) -> list[Entry]:
    """Return the entries of a version in its order; none for no version."""
    listed = sorted(_listed(session, version).values(), key=lambda one: (one[0], one[1].key))
    return [entry for _, entry in listed]


def changes(session: Session, old: Version | None, new: Version | None) -> tuple[Change, ...]:
    """Return what changed in meaning between two versions, reading only what is written differently in them."""
    return _with_parents(session, diff(*_apart(session, old, new)))


def _with_parents(session: Session, made: Sequence[Change]) -> tuple[Change, ...]:
    """Return changes with the names of those who engage the entries, which need not change themselves."""
    keys = {key for one in made for key in _parents(one)}
    if not keys:
        return tuple(made)
    listed = session.exec(select(Row.key, Row.content).where(col(Row.key).in_(keys)).order_by(col(Row.since)))
    drafted = session.exec(select(DraftEntry.key, DraftEntry.content).where(col(DraftEntry.key).in_(keys)))
    names = {key: str(content["name"]) for key, content in (*listed, *drafted) if content}
    return tuple(
        replace(one, parents={key: names[key] for key in sorted(_parents(one)) if key in names}) for one in made
    )


def _parents(change: Change) -> set[str]:
    return {side.parent for side in (change.before, change.after) if side} - {""}


def _apart(session: Session, old: Version | None, new: Version | None) -> tuple[list[Entry], list[Entry]]:
    """Return what either of two versions says and the other does not: all that their diff needs."""
    if old is None or new is None or old.number is None:
        return entries(session, old), entries(session, new)
    if new.number is not None:
        rows = session.exec(select(Row).where(sa.or_(_holds(old), _holds(new)), ~sa.and_(_holds(old), _holds(new))))
        apart: tuple[list[Entry], list[Entry]] = ([], [])
        for row in rows:
            is_new = row.since > old.number or (row.until is not None and row.until <= old.number)
            apart[is_new].append(from_json(row.content))
        return apart
    base = published(session)
    if base is None or base.id != old.id:
        return entries(session, old), entries(session, new)
    touched = select(Row.content).where(_holds(old), col(Row.key).in_(select(DraftEntry.key)))
    drafted = session.exec(select(DraftEntry.content))
    return [from_json(one) for one in session.exec(touched)], [from_json(one) for one in drafted if one is not None]


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


def withdraw(session: Session, version: Version, *, by: str, now: datetime) -> None:
    """Take a version back before it was made.  Where others were built on it, one more version takes its changes out of
    them; it holds at once, since nothing was ever made.  A draft keeps what it changes itself; DraftLeans where it
    cannot.
    """
    found = draft(session, lock=True)
    made = changes(session, published(session), found) if found else ()
    _take_back(session, version, by=by, now=now)
    if not found:
        return
    try:
        _fill(session, found, _carried(made, entries(session, published(session))), by=by, now=now)
    except BadEntry as wrong:
        raise DraftLeans from wrong


def _take_back(session: Session, version: Version, *, by: str, now: datetime) -> None:
    latest = published(session)
    undone = changes(session, version, before(session, version))
    version.withdrawn_at = now
    session.add(version)
    session.flush()
    if latest and latest.id != version.id:
        _undo(session, version, undone, entries(session, latest), by=by, now=now)


def _undo(
    session: Session, version: Version, undone: Sequence[Change], standing: Sequence[Entry], *, by: str, now: datetime
) -> None:
    base = _listed(session, published(session))
    kept = {entry.key for entry in standing}  # what a later one removes stays removed
    undone = [_without_withdrawn(session, one, version) for one in undone if not one.stays or one.key in kept]
    made = Version(created_at=now, created_by=by, undoes=version.number)
    session.add(made)
    session.flush()
    _seal(session, made, _placed(_carried(undone, standing), base), at=now, by=by, effective_at=now)
    made.live_at = now
    said: dict[str, Any] = {"version": made.number, "undoes": version.number}
    events.record(session, EventKind.VERSION_PUBLISHED, about=made.id, by=by, now=now, **said)
    events.record(session, EventKind.VERSION_LIVE, about=made.id, by=by, now=now, **said)
    session.flush()


def _without_withdrawn(session: Session, change: Change, version: Version) -> Change:
    """Return a change that brings an entry back without what was withdrawn of it since a version took it away."""
    later = select(Version.undoes).where(col(Version.undoes).is_not(None), col(Version.number) > version.number)
    if change.stays or change.after is None:
        return change
    entry = change.after
    for number in session.exec(later.order_by(col(Version.number).desc())):
        withdrawn = get(session, number or 0)
        undone = changes(session, withdrawn, before(session, withdrawn))
        (entry,) = apply([one for one in undone if one.stays and one.key == entry.key], [entry])
    return replace(change, after=entry)


def _carried(made: Sequence[Change], base: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return a list after changes made on another one: those of an entry that it lacks, or has again, bring the whole
    entry.
    """
    known = {entry.key for entry in base}
    fitting = [one for one in made if _fits(one, known)]
    others = [one for one in made if one not in fitting]
    came = {one.after.key: one.after for one in others if one.after}
    gone = {one.before.key for one in others if one.before}
    kept = (entry for entry in apply(fitting, base) if entry.key not in {*came, *gone})
    return (*kept, *came.values())


def _fits(change: Change, known: Collection[str]) -> bool:
    if change.before and change.before.key not in known:
        return False
    return change.stays or change.after is None or change.after.key not in known


def draft_changes(session: Session) -> tuple[Change, ...]:
    """Return what the draft would change."""
    found = draft(session)
    return changes(session, published(session), found) if found else ()


def replace_draft(session: Session, content: Sequence[Entry], *, by: str, now: datetime) -> Version:
    """Make a whole list the draft."""
    version = draft(session, lock=True) or _new_draft(session, by=by, now=now)[0]
    return _fill(session, version, content, by=by, now=now)


def add_entry(session: Session, content: Entry, *, by: str, now: datetime, revision: int | None = None) -> Version:
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
    if content.replaces:  # whoever the one before engaged is engaged by the one in its place
        kept = [replace(one, parent=content.key) if one.parent == content.replaces else one for one in kept]
    return _fill(session, version, kept if content.replaces else [*listed, content], by=by, now=now)


def amend_entry(
    session: Session, key: str, values: Mapping[str, Any], *, by: str, now: datetime, revision: int | None = None
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


def set_apart(session: Session, key: str, *, by: str, now: datetime, revision: int | None = None) -> str:
    """Say that an entry of the draft is another company than the published one with its key: that one leaves, and this
    one arrives.  Returns its new key.
    """
    version = _edited(session, revision, by=by, now=now)
    listed = entries(session, version)
    new = _free_key(_find(listed, key), [*listed, *entries(session, published(session))])

    def moved(other: str) -> str:
        return new if other == key else other

    apart = [replace(one, key=moved(one.key), parent=moved(one.parent)) for one in listed]
    _fill(session, version, apart, by=by, now=now)
    return new


def discard_draft(session: Session, *, by: str, now: datetime) -> None:
    """Throw the draft away; the published versions stay as they are."""
    found = draft(session, lock=True)
    if found is None:
        raise NoDraft
    _clear(session)
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
    session: Session,
    *,
    effective_at: datetime,
    by: str,
    now: datetime,
    revision: int | None = None,
    instead_of: Version | None = None,
) -> Version:
    """Turn the draft into the next version.  Two who publish at once: the second finds no draft.

    With `revision`, a draft that has been edited since it was looked at raises DraftMoved.  `instead_of` is a version
    that is withdrawn for this one; no announcement came after it.
    """
    found = draft(session, lock=True)
    if found is None:
        raise NoDraft
    if revision is not None and revision != found.revision:
        raise DraftMoved
    if not changes(session, published(session), found):
        raise NothingChanged
    target = _listed(session, found)
    if instead_of:
        _take_back(session, instead_of, by=by, now=now)
    _seal(session, found, target, at=now, by=by, effective_at=effective_at)
    events.record(session, EventKind.VERSION_PUBLISHED, about=found.id, by=by, now=now, version=found.number)
    return found


def take_past(
    session: Session, content: Sequence[Entry], *, published_at: datetime, source: str, by: str, now: datetime
) -> Version:
    """Add a version as it was published and held in the past, before this registry was kept; nobody is told.

    Versions come in the order of time, into a registry in which nothing has been announced.  `source` says where it was
    read: a commit, a file's name.  Returns the last version, unchanged, where the list means the same.
    """
    latest = published(session)
    if latest and (latest.published_at is None or latest.published_at >= published_at):
        raise BadEntry("the past is taken in its order, into an empty registry: this one has later versions")
    told = session.exec(select(Announcement.id).where(col(Announcement.version_id).is_not(None)).limit(1)).first()
    if told or draft(session):
        raise BadEntry("the past is taken into an empty registry: in this one something is announced, or drafted")
    version = replace_draft(session, content, by=by, now=now)
    if latest and not changes(session, latest, version):
        discard_draft(session, by=by, now=now)
        return latest
    _seal(session, version, _listed(session, version), at=published_at, by=by, effective_at=published_at)
    version.live_at = published_at
    said: dict[str, Any] = {"version": version.number, "held_from": published_at.isoformat(), "source": source}
    events.record(session, EventKind.VERSION_PUBLISHED, about=version.id, by=by, now=now, **said)
    events.record(session, EventKind.VERSION_LIVE, about=version.id, by=by, now=now, **said)
    session.flush()
    return version


def _seal(
    session: Session,
    version: Version,
    target: Mapping[str, tuple[int, Entry]],
    *,
    at: datetime,
    by: str,
    effective_at: datetime,
) -> None:
    """Write what a list says otherwise as rows of the next number, and number the version last: from then on the
    database refuses every edit of them.  The draft is empty after it.
    """
    number = (session.exec(select(sa.func.max(Version.number))).one() or 0) + 1
    base = published(session)
    still: set[str] = set()
    for row in session.exec(select(Row).where(col(Row.until).is_(None))):
        kept = target.get(row.key)
        if kept and kept[0] == row.position and from_json(row.content) == kept[1]:
            still.add(row.key)
        else:
            row.until = number
            session.add(row)
    session.flush()
    session.add_all(
        Row(key=key, since=number, position=position, content=as_json(entry))
        for key, (position, entry) in target.items()
        if key not in still
    )
    session.execute(sa.delete(DraftEntry))
    session.flush()
    version.draft, version.number, version.builds_on = None, number, base.number if base else None
    version.published_at, version.published_by, version.effective_at = at, by, effective_at
    session.add(version)
    session.flush()


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


def _fill(session: Session, version: Version, content: Sequence[Entry], *, by: str, now: datetime) -> Version:
    """Make a list the draft: what it says otherwise than the published version is written down."""
    _check(content)
    _clear(session)
    version.revision += 1
    session.add(version)
    session.flush()
    base = _listed(session, published(session))
    placed = _placed(content, base)
    session.add_all(
        DraftEntry(key=key, position=position, content=as_json(entry))
        for key, (position, entry) in placed.items()
        if base.get(key) != (position, entry)
    )
    session.add_all(DraftEntry(key=key, position=base[key][0]) for key in base.keys() - placed.keys())
    events.record(session, EventKind.DRAFT_CHANGED, about=version.id, by=by, now=now, entries=len(placed))
    session.flush()
    return version


def _placed(content: Sequence[Entry], base: Mapping[str, tuple[int, Entry]]) -> dict[str, tuple[int, Entry]]:
    """Return each entry with its place: what was listed keeps its own, what replaces takes that of the other, and what
    is new comes last.
    """
    last = max((position for position, _ in base.values()), default=-1)
    placed: dict[str, tuple[int, Entry]] = {}
    for entry in content:
        before = base.get(entry.key) or base.get(entry.replaces)
        last += before is None
        placed[entry.key] = (before[0] if before else last, entry)
    return placed


def _listed(session: Session, version: Version | None) -> dict[str, tuple[int, Entry]]:
    """Return key → place and entry."""
    if version is None:
        return {}
    if version.number is not None:
        rows = session.exec(select(Row.key, Row.position, Row.content).where(_holds(version)))
        return {key: (position, from_json(content)) for key, position, content in rows}
    listed = _listed(session, published(session))
    for row in session.exec(select(DraftEntry)):
        if row.content is None:
            listed.pop(row.key, None)
        else:
            listed[row.key] = (row.position, from_json(row.content))
    return listed


def _holds(version: Version) -> sa.ColumnElement[bool]:
    until = sa.or_(col(Row.until).is_(None), col(Row.until) > version.number)
    return sa.and_(col(Row.since) <= version.number, until)


def _check(content: Iterable[Entry]) -> None:
    try:
        check_parents(list(content))
    except (CircularParents, NoSuchParent) as wrong:
        raise BadEntry(str(wrong)) from wrong


def _clear(session: Session) -> None:
    session.execute(sa.delete(DraftEntry))


def _find(listed: Sequence[Entry], key: str) -> Entry:
    for entry in listed:
        if entry.key == key:
            return entry
    raise NoSuchEntry(key)


def _require(content: Entry) -> None:
    if not content.name.strip() or not content.activity.strip():
        raise BadEntry("an entry needs a name and an activity: write both")


def _free_key(content: Entry, listed: Sequence[Entry]) -> str:
    taken = {entry.key for entry in listed}
    base = slug(content.name) or "entry"
    return next(key for key in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if key not in taken)
