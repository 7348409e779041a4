"""The past of a list becomes versions of the registry: what it said, from the instant at which it said it.

Edits that change the list within an hour of the first of them are one version, which says what the last of them says: a
slip that was mended at once was never the list, and a long session of edits comes to an end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from notifier.adapters.histories import State, read_states
from notifier.adapters.register_files import RegisterFile
from notifier.adapters.remarks import BadList, Remark
from notifier.models import Event, EventKind, Version
from notifier.rules.entries import Entry
from notifier.rules.identity import Match, identify
from notifier.rules.registry_diff import Change, diff
from notifier.services import registry

ONE_VERSION = timedelta(hours=1)

Pairs = Sequence[tuple[str, str]]


class BadPast(ValueError):
    """A past that is not taken; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One state of the list, with the keys of the state before it, and what it changed there."""

    at: datetime
    source: str
    entries: tuple[Entry, ...]
    changes: tuple[Change, ...]
    matches: tuple[Match, ...]
    not_understood: tuple[Remark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A version to be: what it says, since when, and what that changes against the step before."""

    at: datetime
    source: str
    entries: tuple[Entry, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    edits: tuple[Edit, ...]  # the first one is the list as it began
    steps: tuple[Step, ...]
    unreadable: tuple[str, ...]  # states that were left out, each with why

    @property
    def idle(self) -> int:
        """How many edits changed nothing in the list."""
        return sum(not edit.changes for edit in self.edits[1:])


def read(
    states: Sequence[State],
    *,
    now: datetime,
    mapping: Mapping[str, str] | None = None,
    same: Pairs = (),
    apart: Pairs = (),
    skip_unreadable: bool = False,
) -> Past:
    """Return the versions that the states of a list make.  BadPast for a state that cannot be read, unless those are
    skipped.

    `same` and `apart` are pairs of an old and a new key (rules/identity.py).
    """
    states = [state for before, state in zip([None, *states], states, strict=False) if not _is_again(before, state)]
    found, unreadable = [], []
    for state, listed in zip(states, read_states(states, mapping=mapping), strict=True):
        if state.at > now:
            raise BadPast(f"{short(state.source)} is of {state.at:%Y-%m-%d %H:%M}Z, which is yet to come: leave it out")
        if isinstance(listed, BadList):
            why = (
                f"{short(state.source)} ({state.at:%Y-%m-%d}) cannot be read: {'; '.join(str(listed).splitlines()[1:])}"
            )
            unreadable.append(why)
        else:
            found.append((state, listed))
    if unreadable and not skip_unreadable:
        raise BadPast(f"{unreadable[0]} (--skip-unreadable leaves such states out; there are {len(unreadable)})")
    edits = tuple(_edits(found, same, apart))
    return Past(edits=edits, steps=tuple(_steps(edits)), unreadable=tuple(unreadable))


def take(session: Session, past: Past, *, by: str, now: datetime) -> list[Version]:
    """Make the past the versions of an empty registry.  BadPast where it is not empty."""
    if registry.published(session) or registry.draft(session):
        raise BadPast("this registry has a version or a draft already: the past is taken into an empty one")
    return [
        registry.take_past(session, step.entries, published_at=step.at, source=step.source, by=by, now=now)
        for step in past.steps
    ]


def sources(session: Session) -> dict[UUID, str]:
    """Return version → the commit or the file that it was read from, of those that were taken from the past."""
    events = select(Event.about_id, Event.data).where(col(Event.kind) == EventKind.VERSION_PUBLISHED)
    return {about: str(data["source"]) for about, data in session.exec(events) if "source" in data}


def _is_again(before: State | None, state: State) -> bool:
    """Whether a file was only moved, or kept again as it was: that is no edit."""
    return before is not None and before.content == state.content


def _edits(found: Sequence[tuple[State, RegisterFile]], same: Pairs, apart: Pairs) -> Iterator[Edit]:
    before: tuple[Entry, ...] = ()
    at = None
    for state, listed in found:
        at = max(state.at, at or state.at)  # a clock that went wrong: nothing was published before what it builds on
        identified = identify(before, listed.entries, same=same, apart=apart)
        yield Edit(
            at=at,
            source=state.source,
            entries=identified.entries,
            changes=diff(before, identified.entries),
            matches=identified.matches,
            not_understood=listed.not_understood,
        )
        before = identified.entries


def _steps(edits: Sequence[Edit]) -> Iterator[Step]:
    said: tuple[Entry, ...] | None = None
    for group in _sessions([edit for edit in edits if edit.changes or edit is edits[0]]):
        last = group[-1]
        changes = diff(said or (), last.entries)
        if said is None or changes:
            yield Step(at=last.at, source=last.source, entries=last.entries, changes=changes)
            said = last.entries


def _sessions(edits: Sequence[Edit]) -> Iterator[list[Edit]]:
    """Edits within an hour of the first of them; two of one instant are never apart."""
    group: list[Edit] = []
    for edit in edits:
        if group and edit.at - group[0].at > ONE_VERSION and edit.at > group[-1].at:
            yield group
            group = []
        group.append(edit)
    if group:
        yield group


def short(source: str) -> str:
    """Return a commit as it is usually written; a file's name as it is."""
    return source[:12] if len(source) in {40, 64} else source
