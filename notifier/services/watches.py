"""The watch on our own subprocessors' lists: looking at each on its timetable, keeping what stood there, and suggesting
to the editor what a change in meaning does to our own chain.

A look is three steps, so that a crash loses nothing and two workers do not fetch twice: `claim` takes what is due under
a lease, `look` fetches and reads outside any transaction, `settle` writes down what came of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import defer
from sqlmodel import Session, col, or_, select

from notifier.adapters.folders import BadFile, check_name, read_below
from notifier.adapters.register_files import read_list
from notifier.adapters.remarks import BadList
from notifier.adapters.tables import MOST_BYTES
from notifier.models import EventKind, ItemKind, Sighting, SightingState, Source, Suggestion, SuggestionState
from notifier.rules.entries import FIELDS, SCOPE, Entry
from notifier.rules.identity import identify
from notifier.rules.registry_diff import Change, ChangeKind, as_json, diff, from_json, meaning, slug
from notifier.services import events, items, registry
from notifier.services.desk import Desk
from notifier.services.outbox import MACHINE, database_now

LEASE = timedelta(minutes=10)
SOON = timedelta(hours=4)  # until the next look after one that led to nothing
PATIENCE = 3  # such looks in a row, then a person is asked
HOURS = range(1, 24 * 31 + 1)
MOST_ENTRIES = 1000  # of a list
KEPT = 30  # sightings of a source that no suggestion rests on
LONGEST_ADDRESS = 2000
LONGEST_TROUBLE = 500

# What a supplier's list may say of one of its own: not whom we engage it through, nor which services of ours use it.
CARRIED = tuple(
    name
    for name in FIELDS
    if name not in {"parent", "contact", "engaged_since", "engaged_until", "security", "security_note", *SCOPE}
)

ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "text/html": ".html",
        "application/xhtml+xml": ".html",
        "text/csv": ".csv",
        "text/markdown": ".md",
        "application/json": ".json",
        "application/yaml": ".yaml",
        "application/x-yaml": ".yaml",
        "text/yaml": ".yaml",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
        "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    }
)
SPELT: Mapping[str, str] = MappingProxyType({".mdx": ".md", ".htm": ".html", ".yml": ".yaml"})


class BadSource(ValueError):
    """A source that cannot be watched: `field` and `flaw` in one word each, and a message that says what to write."""

    def __init__(self, name: str, flaw: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field, self.flaw = name, flaw


class NoSuchSource(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such source: `notifier watch list` shows them")


class NoSuchSuggestion(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such suggestion: `notifier items` lists the open ones")


class AlreadyDecided(Exception):
    def __init__(self) -> None:
        super().__init__("this suggestion has been taken or dismissed already")


class WhyMissing(ValueError):
    def __init__(self) -> None:
        super().__init__("write why the suggestion is dismissed: it is kept with it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A sighting as a look needs it."""

    id: UUID
    content: bytes
    filename: str
    mapping: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One source to be looked at, under a lease."""

    source_id: UUID
    attempt: int
    address: str
    is_page: bool
    mapping: Mapping[str, str]
    etag: str
    last_modified: str
    newest: tuple[str, SightingState] | None  # SHA-256 and state of what was kept last
    base: Kept | None  # what was last read, with which the next is compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of a look.  With a trouble nothing could be read; without a content nothing new was sent."""

    trouble: str = ""
    retry_after: timedelta | None = None
    content: bytes = b""
    media_type: str = ""
    filename: str = ""
    etag: str = ""
    last_modified: str = ""
    changes: tuple[Change, ...] = ()
    is_same: bool = False  # as what was kept last

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What taking a suggestion did to our draft, and what of it was only noted."""

    made: tuple[Change, ...]
    noted: tuple[Change, ...]


@dataclass(slots=True)
class _Chain:
    """Our list while a subprocessor's changes are made to those that it engages."""

    entries: list[Entry]
    parent: Entry
    made: list[Change] = field(default_factory=list)
    noted: list[Change] = field(default_factory=list)


# --- sources ---------------------------------------------------------------------------------------------------------


def add(
    session: Session,
    desk: Desk,
    *,
    entry_key: str,
    address: str,
    hours: int = 24,
    mapping: Mapping[str, str] | None = None,
    by: str,
    now: datetime,
) -> Source:
    """Watch the list of one of our subprocessors from now on; raises BadSource."""
    listed = registry.entries(session, registry.draft(session) or registry.published(session))
    if not any(entry.key == entry_key for entry in listed):
        raise BadSource("entry_key", "unknown", f'no entry of the registry has the key "{entry_key}"')
    source = Source(entry_key=entry_key, address="", next_look_at=now, created_at=now, created_by=by)
    _write(session, desk, source, address=address, hours=hours, mapping=mapping or {})
    session.add(source)
    session.flush()
    events.record(session, EventKind.SOURCE_ADDED, about=source.id, by=by, now=now, **_facts(source))
    return source


def change(
    session: Session,
    desk: Desk,
    source_id: UUID,
    *,
    address: str,
    hours: int,
    mapping: Mapping[str, str],
    by: str,
    now: datetime,
) -> Source:
    """Look elsewhere, at another pace, or with other headings; what was seen stays, and the next look comes at once."""
    source = _locked(session, source_id)
    _write(session, desk, source, address=address, hours=hours, mapping=mapping)
    _begin_anew(session, source, by=by, now=now)
    events.record(session, EventKind.SOURCE_CHANGED, about=source.id, by=by, now=now, **_facts(source))
    return source


def pause(session: Session, source_id: UUID, *, paused: bool, by: str, now: datetime) -> None:
    source = _locked(session, source_id)
    source.paused = paused
    _begin_anew(session, source, by=by, now=now)
    facts: dict[str, Any] = {**_facts(source), "paused": paused}
    events.record(session, EventKind.SOURCE_CHANGED, about=source.id, by=by, now=now, **facts)


def remove(session: Session, source_id: UUID, *, by: str, now: datetime) -> None:
    """Stop watching; what was seen and suggested stays."""
    source = _locked(session, source_id)
    source.active = None
    _begin_anew(session, source, by=by, now=now)
    events.record(session, EventKind.SOURCE_REMOVED, about=source.id, by=by, now=now, **_facts(source))


def look_soon(session: Session, source_id: UUID, *, now: datetime) -> None:
    """Let the next sweep of a worker look."""
    source = _locked(session, source_id)
    source.next_look_at = min(source.next_look_at, now)
    session.add(source)


def everyone(session: Session) -> list[Source]:
    """Return what is watched, by the entry that it is about."""
    query = select(Source).where(col(Source.active).is_(True))
    return list(session.exec(query.order_by(col(Source.entry_key), col(Source.id))))


def get(session: Session, source_id: UUID) -> Source:
    """Return a source, also one that is watched no more."""
    source = session.get(Source, source_id)
    if source is None:
        raise NoSuchSource
    return source


def sightings(session: Session, source_id: UUID, *, limit: int = 50) -> list[Sighting]:
    """Return what was kept of a source, newest first, without the bytes."""
    query = select(Sighting).where(Sighting.source_id == source_id).options(defer(_content(), raiseload=True))
    return list(session.exec(query.order_by(col(Sighting.fetched_at).desc(), col(Sighting.id).desc()).limit(limit)))


def sighting(session: Session, sighting_id: UUID) -> Sighting:
    found = session.get(Sighting, sighting_id)
    if found is None:
        raise NoSuchSource
    return found


# --- a look ----------------------------------------------------------------------------------------------------------


def claim(session: Session, *, limit: int, now: datetime, only: UUID | None = None) -> list[Errand]:
    """Take what is due under a lease; a look whose worker died is due again when its lease ends.

    `only`: one source, due or not, paused or not; nothing where somebody is looking at it.
    """
    at = database_now(session)
    free = or_(col(Source.lease_until).is_(None), col(Source.lease_until) < at)
    query = select(Source).where(col(Source.active).is_(True), free)
    if only:
        query = query.where(Source.id == only)
    else:
        query = query.where(col(Source.paused).is_(False), col(Source.next_look_at) <= now)
    query = query.order_by(col(Source.next_look_at)).limit(limit).with_for_update(skip_locked=True)
    return [_errand(session, source, at + LEASE) for source in session.exec(query).all()]


def look(desk: Desk, errand: Errand) -> Found:
    """Fetch a list and read it, outside any transaction.  Nothing that the far side does raises."""
    found = _page(desk, errand) if errand.is_page else _file(desk, errand)
    if found.trouble or found.is_same:
        return found
    if errand.newest == (found.sha256, SightingState.READ):
        return replace(found, is_same=True)
    try:
        new = _read(found.content, found.filename, errand.mapping)
    except _Unreadable as bad:
        return replace(found, trouble=str(bad))
    if errand.base is None:
        return found
    try:
        old = _read(errand.base.content, errand.base.filename, {**errand.base.mapping, **errand.mapping})
    except _Unreadable:
        return replace(found, trouble="what was kept before can no longer be read: remove the source, and add it again")
    return replace(found, changes=diff(old, identify(old, new).entries))


def settle(session: Session, errand: Errand, found: Found, *, now: datetime) -> Suggestion | None:
    """Write down what came of a look, unless its lease has gone to somebody else.

    Other bytes are kept; a change in meaning opens a suggestion, which is returned.
    """
    source = _row(session, errand.source_id)
    if source is None or source.attempt != errand.attempt or source.lease_until is None:
        return None
    source.lease_until, source.last_looked_at = None, now
    kept = _keep(session, source, errand, found, now)
    if found.trouble:
        _put_up_with(session, source, found, now)
        return None
    _note_well(session, source, found, now)
    if kept is None or errand.base is None or not found.changes:
        return None
    return _suggest(session, source, errand.base.id, kept, found.changes, now)


# --- suggestions -----------------------------------------------------------------------------------------------------


def suggestions(session: Session, *, source_id: UUID | None = None, limit: int = 50) -> list[Suggestion]:
    """Return suggestions, newest first: those of one source, or the open ones of all."""
    query = select(Suggestion).order_by(col(Suggestion.id).desc()).limit(limit)
    query = query.where(Suggestion.source_id == source_id) if source_id else query.where(_is_open())
    return list(session.exec(query))


def suggestion(session: Session, suggestion_id: UUID) -> Suggestion:
    found = session.get(Suggestion, suggestion_id)
    if found is None:
        raise NoSuchSuggestion
    return found


def take(session: Session, suggestion_id: UUID, *, by: str, now: datetime) -> Taken:
    """Make the changes of a subprocessor's chain to ours, in the draft.

    What it adds is engaged by its entry, for whatever of our services that one serves; of those that we list under it,
    the ones of the same name are amended or taken off.  Whatever does not fit our list is only noted.
    """
    found = _undecided(session, suggestion_id)
    entry_key = get(session, found.source_id).entry_key
    chain = _followed(session, found, entry_key)
    if chain.made:  # else no draft is begun
        registry.open_draft(session, by=by, now=now)
        chain = _followed(session, found, entry_key)  # on what nobody else can edit from here on
        registry.replace_draft(session, chain.entries, by=by, now=now)
    noted = "; ".join(change.name for change in chain.noted)
    _decide(session, found, SuggestionState.TAKEN, note=noted, by=by, now=now)
    facts: dict[str, Any] = {"entry": entry_key, "made": len(chain.made), "noted": len(chain.noted)}
    events.record(session, EventKind.SUGGESTION_TAKEN, about=found.id, by=by, now=now, **facts)
    return Taken(made=tuple(chain.made), noted=tuple(chain.noted))


def dismiss(session: Session, suggestion_id: UUID, *, why: str, by: str, now: datetime) -> None:
    """Say that a change of a subprocessor's list is none of ours."""
    if not why.strip():
        raise WhyMissing
    found = _undecided(session, suggestion_id)
    _decide(session, found, SuggestionState.DISMISSED, note=why.strip(), by=by, now=now)
    entry_key = get(session, found.source_id).entry_key
    events.record(session, EventKind.SUGGESTION_DISMISSED, about=found.id, by=by, now=now, entry=entry_key)


# --- pieces of a source ----------------------------------------------------------------------------------------------


def _write(
    session: Session, desk: Desk, source: Source, *, address: str, hours: int, mapping: Mapping[str, str]
) -> None:
    address = address.strip()
    _check_address(desk, address)
    if hours not in HOURS:
        raise BadSource("hours", "range", f"write a number of hours from {HOURS.start} to {HOURS.stop - 1}")
    unknown = sorted(set(mapping.values()) - {"", *FIELDS})  # "" leaves a column out
    if unknown:
        raise BadSource("mapping", "unknown", f"no field is called {', '.join(unknown)}; there are {', '.join(FIELDS)}")
    if not all(mapping):
        raise BadSource("mapping", "form", "write a heading and its field, such as Entity=name")
    same = select(Source.id).where(
        Source.entry_key == source.entry_key,
        Source.address == address,
        col(Source.active).is_(True),
        Source.id != source.id,
    )
    if session.exec(same).first():
        raise BadSource("address", "twice", "this address is watched for this entry already")
    source.address, source.hours, source.mapping = address, hours, dict(mapping)


def _check_address(desk: Desk, address: str) -> None:
    if not address or len(address) > LONGEST_ADDRESS:
        raise BadSource("address", "form", "write an address that begins with https://, or the path of a file")
    if "://" in address:
        if sentence := desk.http.check_url(address):
            raise BadSource("address", "url", sentence)
    elif desk.watched_files is None:
        said = "files are not watched here: write an address that begins with https://, or set watch.files"
        raise BadSource("address", "no_files", said)
    elif sentence := check_name(address):
        raise BadSource("address", "outside", sentence)


def _facts(source: Source) -> dict[str, Any]:
    where = {"host": urlsplit(source.address).hostname} if source.is_page else {"file": source.address}
    return {"entry": source.entry_key, **where}


def _begin_anew(session: Session, source: Source, *, by: str, now: datetime) -> None:
    """Drop the look under way, the troubles and the validators: what comes next is looked at afresh."""
    source.attempt, source.lease_until = source.attempt + 1, None
    source.troubles, source.last_trouble, source.etag, source.last_modified = 0, "", "", ""
    source.next_look_at = now
    session.add(source)
    items.close_items(session, ItemKind.SOURCE_FAILING, about=source.id, by=by, now=now)


def _locked(session: Session, source_id: UUID) -> Source:
    source = _row(session, source_id)
    if source is None:
        raise NoSuchSource
    return source


def _row(session: Session, source_id: UUID) -> Source | None:
    """Return a source that is watched, locked and as it is now."""
    query = select(Source).where(Source.id == source_id, col(Source.active).is_(True))
    return session.exec(query.with_for_update().execution_options(populate_existing=True)).first()


# --- pieces of a look ------------------------------------------------------------------------------------------------


def _errand(session: Session, source: Source, lease_until: datetime) -> Errand:
    source.attempt, source.lease_until = source.attempt + 1, lease_until
    session.add(source)
    seen = select(Sighting).where(Sighting.source_id == source.id)
    seen = seen.order_by(col(Sighting.fetched_at).desc(), col(Sighting.id).desc()).limit(1)
    newest = session.exec(seen.options(defer(_content()))).first()
    base = session.exec(seen.where(Sighting.state == SightingState.READ)).first()
    return Errand(
        source_id=source.id,
        attempt=source.attempt,
        address=source.address,
        is_page=source.is_page,
        mapping=source.mapping,
        etag=source.etag,
        last_modified=source.last_modified,
        newest=(newest.sha256, newest.state) if newest else None,
        base=Kept(id=base.id, content=base.content, filename=base.filename, mapping=base.mapping) if base else None,
    )


def _page(desk: Desk, errand: Errand) -> Found:
    answer = desk.http.get(errand.address, etag=errand.etag, last_modified=errand.last_modified)
    if answer.status == HTTPStatus.NOT_MODIFIED and (errand.etag or errand.last_modified):
        return Found(is_same=True, etag=errand.etag, last_modified=errand.last_modified)
    if not answer.ok or answer.reason:
        said = answer.detail or f"the address answers {answer.status}"
        return Found(trouble=_shortened(said), retry_after=answer.retry_after)
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Found(
        content=answer.body,
        media_type=media_type,
        filename=_filename(urlsplit(errand.address).path, media_type),
        etag=answer.headers.get("etag", ""),
        last_modified=answer.headers.get("last-modified", ""),
    )


def _file(desk: Desk, errand: Errand) -> Found:
    try:
        if desk.watched_files is None:
            return Found(trouble="files are not watched here: set watch.files")
        content = read_below(desk.watched_files, errand.address, most_bytes=MOST_BYTES)
    except BadFile as bad:
        return Found(trouble=_shortened(str(bad)))
    return Found(content=content, filename=_filename(errand.address, ""))


def _filename(path: str, media_type: str) -> str:
    """A name whose ending says what the bytes are: what the far side says of them wins, unless it says nothing."""
    name = re.sub(r"[^\w.-]+", "-", PurePosixPath(path).name, flags=re.ASCII)[-80:] or "list"
    ending, said = PurePosixPath(name).suffix.lower(), ENDINGS.get(media_type)
    return name if said is None or SPELT.get(ending, ending) == said else name + said


class _Unreadable(Exception):
    """What stands there is no list that can be compared; the message says why, in one line."""


def _read(content: bytes, filename: str, mapping: Mapping[str, str]) -> tuple[Entry, ...]:
    try:
        entries = tuple(read_list(content, filename=filename, mapping=mapping).entries)
    except BadList as bad:
        raise _Unreadable(_shortened(str(bad))) from None
    if not entries:  # a page that asks who we are, or one that is being moved
        raise _Unreadable("no subprocessor can be read there")
    if len(entries) > MOST_ENTRIES:
        raise _Unreadable(f"the list has more than {MOST_ENTRIES} entries")
    return entries


def _shortened(text: str) -> str:
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= LONGEST_TROUBLE else f"{line[:LONGEST_TROUBLE]}…"


def _keep(session: Session, source: Source, errand: Errand, found: Found, now: datetime) -> Sighting | None:
    """Keep other bytes than those kept last; bytes that could not be read before, and now can, are kept anew."""
    state = SightingState.UNREADABLE if found.trouble else SightingState.READ
    if found.is_same or not found.content or errand.newest == (found.sha256, state):
        return None
    kept = Sighting(
        source_id=source.id,
        fetched_at=now,
        content=found.content,
        sha256=found.sha256,
        media_type=found.media_type,
        filename=found.filename,
        mapping=source.mapping,
        state=state,
    )
    session.add(kept)
    session.flush()
    facts: dict[str, Any] = {
        "entry": source.entry_key,
        "sha256": kept.sha256,
        "bytes": len(kept.content),
        "state": state.value,
    }
    events.record(session, EventKind.SIGHTING_KEPT, about=source.id, by=MACHINE, now=now, **facts)
    _thin_out(session, source, errand)
    return kept


def _thin_out(session: Session, source: Source, errand: Errand) -> None:
    """Drop the oldest sightings on which nothing rests: a page that says the time of day is new at each look."""
    newest = [one.id for one in sightings(session, source.id, limit=KEPT)]
    rested_on = (select(column).where(Suggestion.source_id == source.id) for column in _rests_on())
    session.execute(
        sa.delete(Sighting).where(
            col(Sighting.source_id) == source.id,
            col(Sighting.id).not_in([*newest, *([errand.base.id] if errand.base else [])]),
            *(col(Sighting.id).not_in(ids) for ids in rested_on),
        )
    )


def _put_up_with(session: Session, source: Source, found: Found, now: datetime) -> None:
    source.last_trouble, source.troubles = found.trouble, source.troubles + 1
    every = timedelta(hours=source.hours)
    pause = every if source.troubles >= PATIENCE else min(every, SOON)
    source.next_look_at = now + max(pause, found.retry_after or timedelta())
    session.add(source)
    if source.troubles == PATIENCE:
        items.open_item(session, ItemKind.SOURCE_FAILING, about=source.id, announcement=None, now=now)


def _note_well(session: Session, source: Source, found: Found, now: datetime) -> None:
    source.last_trouble, source.troubles = "", 0
    source.next_look_at = now + timedelta(hours=source.hours)
    source.etag, source.last_modified = found.etag, found.last_modified
    if found.changes:
        source.last_changed_at = now
    session.add(source)
    items.close_items(session, ItemKind.SOURCE_FAILING, about=source.id, by=MACHINE, now=now)


def _suggest(
    session: Session, source: Source, before_id: UUID, after: Sighting, changes: Sequence[Change], now: datetime
) -> Suggestion:
    opened = Suggestion(
        source_id=source.id,
        before_id=before_id,
        after_id=after.id,
        changes=[as_json(one) for one in changes],
        opened_at=now,
    )
    session.add(opened)
    session.flush()
    items.open_item(session, ItemKind.SUGGESTION, about=opened.id, announcement=None, now=now)
    facts: dict[str, Any] = {"entry": source.entry_key, "changes": len(changes)}
    events.record(session, EventKind.SUGGESTION_OPENED, about=opened.id, by=MACHINE, now=now, **facts)
    return opened


# --- pieces of a suggestion ------------------------------------------------------------------------------------------


def _undecided(session: Session, suggestion_id: UUID) -> Suggestion:
    found = session.get(Suggestion, suggestion_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NoSuchSuggestion
    if found.state is not SuggestionState.OPEN:
        raise AlreadyDecided
    return found


def _decide(session: Session, found: Suggestion, state: SuggestionState, *, note: str, by: str, now: datetime) -> None:
    found.state, found.note, found.decided_at, found.decided_by = state, note, now, by
    session.add(found)
    items.close_items(session, ItemKind.SUGGESTION, about=found.id, by=by, now=now)


def _followed(session: Session, found: Suggestion, entry_key: str) -> _Chain:
    listed = registry.entries(session, registry.draft(session) or registry.published(session))
    parent = next((entry for entry in listed if entry.key == entry_key), None)
    if parent is None:
        raise registry.NoSuchEntry(entry_key)
    chain = _Chain(entries=listed, parent=parent)
    for one in found.changes:
        _follow(chain, from_json(one))
    return chain


def _follow(chain: _Chain, change: Change) -> None:
    """Make one change of a subprocessor's list to ours, or note it where it does not fit."""
    before, after = _ours(chain, change.before), _ours(chain, change.after)
    if change.stays:
        done = before is not None and change.after is not None and _amend(chain, before, change)
    elif change.kind is ChangeKind.REMOVED or (change.kind is ChangeKind.REPLACED and before):
        done = before is not None and after is None and _leave(chain, before, change.after)
    else:
        done = change.after is not None and after is None and _arrive(chain, change.after)
    (chain.made if done else chain.noted).append(change)


def _ours(chain: _Chain, theirs: Entry | None) -> Entry | None:
    """Return whom we list under the subprocessor by the same name."""
    under = (entry for entry in chain.entries if entry.parent == chain.parent.key)
    return next((entry for entry in under if theirs and meaning(entry.name) == meaning(theirs.name)), None)


def _amend(chain: _Chain, ours: Entry, change: Change) -> bool:
    names = [one.field for one in change.fields if one.field in CARRIED]
    amended = replace(ours, **{name: getattr(change.after, name) for name in names})
    chain.entries = [amended if entry.key == ours.key else entry for entry in chain.entries]
    return bool(names)


def _leave(chain: _Chain, ours: Entry, successor: Entry | None) -> bool:
    """Take somebody off our list, unless it engages others there, or put its successor in its place."""
    if any(entry.parent == ours.key for entry in chain.entries):
        return False
    heirs = [replace(_as_ours(chain, successor), replaces=ours.key)] if successor else []
    place = chain.entries.index(ours)
    chain.entries = [*chain.entries[:place], *heirs, *chain.entries[place + 1 :]]
    return True


def _arrive(chain: _Chain, theirs: Entry) -> bool:
    chain.entries = [*chain.entries, _as_ours(chain, theirs)]
    return True


def _as_ours(chain: _Chain, theirs: Entry) -> Entry:
    taken = {entry.key for entry in chain.entries}
    base = slug(theirs.name) or "entry"
    key = next(key for key in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if key not in taken)
    values = {name: getattr(theirs, name) for name in CARRIED}
    scope = {name: getattr(chain.parent, name) for name in SCOPE}
    return Entry(**{**values, **scope, "key": key, "parent": chain.parent.key})


def _content() -> Any:  # noqa: ANN401 - what SQLAlchemy takes for an attribute
    return Sighting.content


def _rests_on() -> tuple[Any, Any]:
    return col(Suggestion.before_id), col(Suggestion.after_id)


def _is_open() -> Any:  # noqa: ANN401 - a condition
    return col(Suggestion.state) == SuggestionState.OPEN
