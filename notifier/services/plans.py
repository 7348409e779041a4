"""What a list kept in a file would change: looked at first, then made the draft.  Nothing here publishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from notifier.models import Version
from notifier.rules import registry_diff
from notifier.rules.entries import Entry
from notifier.rules.identity import Identified, Match, identify
from notifier.rules.registry_diff import Change, diff
from notifier.services import registry

Pairs = Sequence[tuple[str, str]]


class OtherDraft(Exception):
    def __init__(self) -> None:
        super().__init__(
            "a draft that says something else is open: publish it, or throw it away with --replace-draft; "
            "`notifier registry draft` shows it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Identified):
    """What a list, with the keys of another one, changes against it."""

    changes: tuple[Change, ...]
    cosmetic: int

    def as_json(self) -> dict[str, Any]:
        """`{"changes": [{"kind", "entry", "before", "after", "fields"}], "cosmetic"}`, with "matches" and "asked" where
        there are any.  `entry` is the name as the new list shows it, of what is removed as the old one did.
        """
        likely = {"matches": self.made, "asked": self.asked}
        told = {name: [_match(one) for one in matches] for name, matches in likely.items() if matches}
        return {"changes": changes_as_json(self.changes), "cosmetic": self.cosmetic, **told}


def changes_as_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return `[{"kind", "entry", "before", "after", "fields"}]`."""
    return [{"kind": change.kind.value, "entry": change.name, **registry_diff.as_json(change)} for change in changes]


def compare(old: Sequence[Entry], new: Sequence[Entry], *, same: Pairs = (), apart: Pairs = ()) -> Plan:
    """Return what a new list changes; `same` and `apart` are pairs of an old and a new key (rules/identity.py)."""
    identified = identify(old, new, same=same, apart=apart)
    return Plan(
        entries=identified.entries,
        changes=diff(old, identified.entries),
        cosmetic=registry_diff.cosmetic(old, identified.entries),
        matches=identified.matches,
    )


def between(old: Sequence[Entry], new: Sequence[Entry]) -> Plan:
    """Return what one kept list changes against another: their keys say who is who."""
    return Plan(entries=tuple(new), matches=(), changes=diff(old, new), cosmetic=registry_diff.cosmetic(old, new))


def plan(session: Session, listed: Sequence[Entry], *, same: Pairs = (), apart: Pairs = ()) -> Plan:
    """Return what a list would change against the version published last."""
    return compare(registry.entries(session, registry.published(session)), listed, same=same, apart=apart)


def is_other_draft(session: Session, planned: Plan) -> bool:
    """Say whether a draft is open that says something else."""
    draft = registry.draft(session)
    return draft is not None and bool(compare(registry.entries(session, draft), planned.entries).changes)


def apply(session: Session, planned: Plan, *, by: str, now: datetime, replace_draft: bool = False) -> Version | None:
    """Make a list the draft; OtherDraft where that would undo one.  A second time changes nothing.

    Returns the draft, or None where the list says what is published, for which no draft is kept.
    """
    if is_other_draft(session, planned) and not replace_draft:
        raise OtherDraft
    draft = registry.draft(session)
    if not planned.changes:
        if draft:
            registry.discard_draft(session, by=by, now=now)
        return None
    if draft and _by_key(registry.entries(session, draft)) == _by_key(planned.entries):
        return draft
    return registry.replace_draft(session, planned.entries, by=by, now=now)


def _by_key(entries: Sequence[Entry]) -> dict[str, Entry]:
    return {entry.key: entry for entry in entries}


def _match(match: Match) -> dict[str, Any]:
    return {
        "old": {"key": match.old_key, "name": match.old_name},
        "new": {"key": match.new_key, "name": match.new_name},
        "score": match.score,
    }
