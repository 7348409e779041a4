"""Whom a change concerns: an entry names the services, regions and options of ours that use it, a client those that it
has.

An entry that names none is used by all.  A client that has stated none counts as having all: it is told too much rather
than too little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from notifier.rules.entries import SCOPE, Entry
from notifier.rules.registry_diff import Change, ChangeKind, items


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one client has of ours; a dimension left empty has not been stated."""

    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reason:
    """Why an entry concerns a client: by which of its services, regions and options, as the client's side writes them.

    `unstated`: the dimensions (of SCOPE) that the entry is limited in, and of which the client has stated nothing.
    """

    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    unstated: tuple[str, ...] = ()


EVERYBODYS = Reason()


def concerns(entry: Entry, scope: Scope) -> Reason | None:
    """Return why an entry concerns a client, or None where it does not."""
    met: dict[str, tuple[str, ...]] = {}
    unstated = []
    for dimension in SCOPE:
        users, has = getattr(entry, dimension), getattr(scope, dimension)
        if not users:
            continue
        if not has:
            unstated.append(dimension)
            continue
        wanted = items(users)
        met[dimension] = tuple(one for one in has if items([one]) & wanted)
        if not met[dimension]:
            return None
    return Reason(**met, unstated=tuple(unstated))


def used_by(entry: Entry) -> Scope:
    """Return what uses an entry; a dimension left empty means all."""
    return Scope(services=entry.services, regions=entry.regions, options=entry.options)


def covers(wider: Scope, narrower: Scope) -> bool:
    """Say whether an entry used by the one is used by everybody who uses an entry used by the other."""
    pairs = ((getattr(wider, dimension), getattr(narrower, dimension)) for dimension in SCOPE)
    return all(not many or (bool(few) and items(few) <= items(many)) for many, few in pairs)


def seen(change: Change, scope: Scope) -> Change | None:
    """Return what a change is to a client: an entry that comes to be used by what the client has is an addition to its
    list, one that ceases to be is a removal; None for a change that concerns it neither before nor after.
    """
    before, after = change.before, change.after
    stood = before if before and concerns(before, scope) else None
    stands = after if after and concerns(after, scope) else None
    if stood == before and stands == after:
        return change
    if stands:
        return Change(kind=ChangeKind.ADDED, before=None, after=replace(stands, replaces=""), parents=change.parents)
    if stood:
        return Change(kind=ChangeKind.REMOVED, before=stood, after=None, parents=change.parents)
    return None


def seen_of(changes: Iterable[Change], scope: Scope) -> tuple[Change, ...]:
    """Return every change that concerns a client, as it is to that client."""
    return tuple(found for change in changes if (found := seen(change, scope)))


def reason_of(changes: Iterable[Change], scope: Scope) -> Reason | None:
    """Return why changes concern a client, in one; None where none of them does."""
    sides = (side for change in changes for side in (change.after, change.before) if side)
    return together([found for side in sides if (found := concerns(side, scope))])


def together(reasons: Sequence[Reason]) -> Reason | None:
    """Return several reasons as one: what is used by everybody adds nothing to what is used by somebody."""
    if not reasons:
        return None
    joined = {
        name: tuple(dict.fromkeys(one for reason in reasons for one in getattr(reason, name)))
        for name in (*SCOPE, "unstated")
    }
    return Reason(**joined)


def is_limited(changes: Iterable[Change]) -> bool:
    """Say whether any of the changes is of an entry that not every client uses."""
    sides = (side for change in changes for side in (change.before, change.after) if side)
    return any(getattr(side, dimension) for side in sides for dimension in SCOPE)
