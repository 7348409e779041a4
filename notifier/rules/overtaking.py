"""Whether a later change can be made before an earlier one that was announced and is still waiting.

A version is built on the one before it.  A later, faster one is made alone where it neither needs the earlier one nor
says otherwise what that one says.
"""

from __future__ import annotations

from collections.abc import Sequence

from notifier.rules.registry_diff import Change


def collides(later: Sequence[Change], earlier: Sequence[Change]) -> bool:
    """Say whether the later changes touch an entry that an earlier one adds, removes or replaces, or the same fields of
    one that it changes.
    """
    moved = _moved(earlier)
    if any(_touched(change) & moved for change in later) or any(_needed(change) & _moved(later) for change in earlier):
        return True
    if _fields(later) & _fields(earlier):
        return True
    return all(
        any(name == "parent" for _, name in _fields(some)) for some in (later, earlier)
    )  # lest they make a circle


def _moved(changes: Sequence[Change]) -> frozenset[str]:
    """Return the keys of what comes and goes."""
    sides = (side for change in changes if not change.stays for side in (change.before, change.after) if side)
    return frozenset(side.key for side in sides)


def _touched(change: Change) -> frozenset[str]:
    """Return the keys of what a change is about, of whose place it takes, and of who engages it."""
    sides = [side for side in (change.before, change.after) if side]
    return frozenset(filter(None, (key for side in sides for key in (side.key, side.replaces, side.parent))))


def _needed(change: Change) -> frozenset[str]:
    """Return the key of who engages an entry until its change is made, and has to stay that long."""
    return frozenset([change.before.parent]) - {""} if change.before else frozenset()


def _fields(changes: Sequence[Change]) -> frozenset[tuple[str, str]]:
    return frozenset((change.key, one.field) for change in changes if change.stays for one in change.fields)
