"""A list kept in a file: what it would change is shown, and made the draft; twice is once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlmodel import Session, func, select

from notifier.models import Event
from notifier.rules.registry_diff import ChangeKind
from notifier.services import plans, registry
from tests.factories import NOON, make_entry, make_version

EQUINIX, FIBRE = make_entry("Equinix"), make_entry("Fibrexemple")
OPTIC = make_entry("Optexemple", activities=("Backup",), town="Lyon")
EDITED = [EQUINIX, OPTIC]


def draft_of(session: Session) -> list[str]:
    return [entry.name for entry in registry.entries(session, registry.draft(session))]


def events(session: Session) -> int:
    return session.exec(select(func.count()).select_from(Event)).one()


def test_a_plan_says_what_would_change_and_changes_nothing(session: Session) -> None:
    make_version(session)
    before = events(session)

    planned = plans.plan(session, EDITED)

    assert [(change.kind, change.name) for change in planned.changes] == [
        (ChangeKind.ADDED, "Optexemple"),
        (ChangeKind.REMOVED, "Fibrexemple"),
    ]
    assert registry.draft(session) is None
    assert events(session) == before


def test_applying_makes_the_draft_and_twice_is_once(session: Session) -> None:
    make_version(session)
    first = plans.apply(session, plans.plan(session, EDITED), by="test", now=NOON)
    done, revision = events(session), first and first.revision

    again = plans.apply(session, plans.plan(session, EDITED), by="test", now=NOON)

    assert draft_of(session) == ["Equinix", "Optexemple"]
    assert (events(session), again and again.revision) == (done, revision)
    assert [one.number for one in registry.versions(session)] == [1]  # nothing is published


def test_a_draft_that_says_something_else_is_not_thrown_away_unasked(session: Session) -> None:
    make_version(session)
    registry.add_entry(session, make_entry("Mailexemple"), by="test", now=NOON)
    planned = plans.plan(session, EDITED)

    assert plans.is_other_draft(session, planned)
    with pytest.raises(plans.OtherDraft, match="--replace-draft"):
        plans.apply(session, planned, by="test", now=NOON)
    assert "Mailexemple" in draft_of(session)

    plans.apply(session, planned, by="test", now=NOON, replace_draft=True)
    assert draft_of(session) == ["Equinix", "Optexemple"]


def test_a_draft_that_means_the_same_is_taken_over(session: Session) -> None:
    make_version(session)
    registry.replace_draft(session, [replace(EQUINIX, name="EQUINIX"), OPTIC], by="test", now=NOON)

    plans.apply(session, plans.plan(session, EDITED), by="test", now=NOON)

    assert draft_of(session) == ["Equinix", "Optexemple"]


def test_a_list_that_says_what_is_published_needs_no_draft(session: Session) -> None:
    make_version(session)
    same = [FIBRE, replace(EQUINIX, name="EQUINIX")]

    assert plans.apply(session, plans.plan(session, same), by="test", now=NOON) is None
    assert registry.draft(session) is None
    assert plans.plan(session, same).cosmetic == 1

    registry.replace_draft(session, EDITED, by="test", now=NOON)
    with pytest.raises(plans.OtherDraft):
        plans.apply(session, plans.plan(session, same), by="test", now=NOON)
    plans.apply(session, plans.plan(session, same), by="test", now=NOON, replace_draft=True)
    assert registry.draft(session) is None


def test_a_key_in_the_file_says_who_is_who(session: Session) -> None:
    make_version(session)

    (change,) = plans.plan(session, [EQUINIX, replace(FIBRE, name="Something Quite Different")]).changes

    assert (change.kind, change.name) == (ChangeKind.RENAMED, "Something Quite Different")


def test_without_a_key_likeness_says_it_and_can_be_told_otherwise(session: Session) -> None:
    make_version(session)
    longer = replace(FIBRE, key="fibrexemple-international", name="Fibrexemple International")
    pair = ("fibrexemple", "fibrexemple-international")

    planned = plans.plan(session, [EQUINIX, longer])
    assert [change.kind for change in planned.changes] == [ChangeKind.RENAMED]
    assert planned.as_json()["matches"] == [
        {
            "old": {"key": "fibrexemple", "name": "Fibrexemple"},
            "new": {"key": "fibrexemple-international", "name": "Fibrexemple International"},
            "score": planned.made[0].score,
        }
    ]
    apart = plans.plan(session, [EQUINIX, longer], apart=[pair])
    assert [change.kind for change in apart.changes] == [ChangeKind.ADDED, ChangeKind.REMOVED]


def test_as_json_has_the_changes_and_nothing_that_is_empty() -> None:
    said = plans.compare([FIBRE], [replace(FIBRE, country="DE"), OPTIC]).as_json()

    assert said.keys() == {"changes", "cosmetic"}
    added, moved = said["changes"]
    assert added.keys() == moved.keys() == {"kind", "entry", "before", "after", "fields"}
    assert (added["kind"], added["entry"], added["before"], added["fields"]) == ("added", "Optexemple", None, [])
    assert moved["fields"] == [{"field": "country", "kind": "moved", "before": "FR", "after": "DE"}]
