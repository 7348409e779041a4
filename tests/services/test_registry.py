from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from notifier.models import DraftEntry, Entry, EventKind, Version
from notifier.services import registry
from notifier.services.registry import (
    BadEntry,
    DraftMoved,
    NoDraft,
    NoSuchEntry,
    NoSuchVersion,
    NothingChanged,
)
from tests.factories import NOON, make_entry, make_version
from tests.services.stories import happened

A_DAY = timedelta(days=1)
LATER = NOON + A_DAY
OPTEXEMPLE = make_entry("Optexemple")


def names(session: Session, version: Version | None) -> list[str]:
    return [entry.name for entry in registry.entries(session, version)]


def kinds(session: Session) -> list[tuple[str, str]]:
    return [(change.kind.value, change.key) for change in registry.draft_changes(session)]


# --- versions --------------------------------------------------------------------------------------------------------


def test_the_first_version_holds_at_once(session: Session) -> None:
    version = make_version(session)

    assert (version.number, version.draft, version.live_at) == (1, None, NOON)
    assert registry.published(session) == registry.live(session, NOON) == version
    assert registry.live(session, NOON - timedelta(seconds=1)) is None
    assert names(session, version) == ["Equinix", "Fibrexemple"]


def test_only_a_first_version_is_established(session: Session) -> None:
    with pytest.raises(NoDraft):
        registry.establish(session, by="ana", now=NOON)
    make_version(session)
    registry.add_entry(session, OPTEXEMPLE, by="ana", now=NOON)

    with pytest.raises(BadEntry, match="further changes are announced"):
        registry.establish(session, by="ana", now=NOON)


def test_a_version_that_is_published_waits_until_it_is_recorded_as_live(session: Session) -> None:
    first = make_version(session)
    registry.add_entry(session, OPTEXEMPLE, by="ana", now=NOON)

    second = registry.number_draft(session, effective_at=LATER, by="ana", now=NOON)

    assert (second.number, second.live_at) == (2, None)
    assert registry.published(session) == second
    assert registry.live(session, LATER) == first  # a date in a plan is no fact
    assert [version.number for version in registry.versions(session)] == [2, 1]


def test_a_published_version_stays_as_it_is_whatever_the_next_draft_says(session: Session) -> None:
    version = make_version(session)

    registry.remove_entry(session, "equinix", by="ana", now=LATER)
    registry.amend_entry(session, "fibrexemple", {"town": "Lyon"}, by="ana", now=LATER)

    assert registry.entries(session, version) == [make_entry("Equinix"), make_entry("Fibrexemple")]
    assert registry.get(session, 1) == version


def test_a_version_or_an_entry_that_there_is_not_is_said_with_what_to_do(session: Session) -> None:
    make_version(session)

    with pytest.raises(NoSuchVersion, match="has no version 7: `notifier registry show`"):
        registry.get(session, 7)
    acts: list[Callable[[], object]] = [
        lambda: registry.amend_entry(session, "nobody", {"town": "Lyon"}, by="ana", now=NOON),
        lambda: registry.remove_entry(session, "nobody", by="ana", now=NOON),
        lambda: registry.add_entry(session, replace(OPTEXEMPLE, replaces="nobody"), by="ana", now=NOON),
    ]
    for act in acts:
        with pytest.raises(NoSuchEntry, match='has no entry "nobody"'):
            act()


def test_a_list_that_says_the_same_is_nothing_to_publish(session: Session) -> None:
    make_version(session)
    reworded = [make_entry("EQUINIX", key="equinix"), make_entry("Fibrexemple", activities=("Fibre  noire",))]
    registry.replace_draft(session, reworded, by="ana", now=LATER)

    with pytest.raises(NothingChanged):
        registry.number_draft(session, effective_at=LATER, by="ana", now=LATER)


# --- the draft -------------------------------------------------------------------------------------------------------


def test_a_draft_begins_with_what_is_published_and_there_is_one(session: Session) -> None:
    make_version(session)

    draft = registry.open_draft(session, by="ana", now=LATER)

    assert registry.open_draft(session, by="bob", now=LATER) == draft
    assert names(session, draft) == ["Equinix", "Fibrexemple"]
    assert (registry.draft_changes(session), draft.created_by) == ((), "ana")


def test_an_entry_is_added_amended_and_removed(session: Session) -> None:
    make_version(session)

    registry.add_entry(session, OPTEXEMPLE, by="ana", now=LATER)
    registry.amend_entry(session, "equinix", {"town": "Pantin"}, by="ana", now=LATER)
    draft = registry.remove_entry(session, "fibrexemple", by="ana", now=LATER)

    assert set(kinds(session)) == {("moved", "equinix"), ("added", "optexemple"), ("removed", "fibrexemple")}
    assert names(session, draft) == ["Equinix", "Optexemple"]


def test_an_entry_that_replaces_another_takes_its_place(session: Session) -> None:
    make_version(session, [make_entry("Equinix"), make_entry("Fibrexemple"), make_entry("Zayo")])

    draft = registry.add_entry(session, replace(OPTEXEMPLE, replaces="fibrexemple"), by="ana", now=LATER)

    assert names(session, draft) == ["Equinix", "Optexemple", "Zayo"]
    assert kinds(session) == [("replaced", "optexemple")]


def test_who_replaced_whom_is_not_said_again_in_the_next_draft(session: Session) -> None:
    make_version(session)
    registry.add_entry(session, replace(OPTEXEMPLE, replaces="fibrexemple"), by="ana", now=NOON)
    registry.number_draft(session, effective_at=LATER, by="ana", now=NOON)

    registry.open_draft(session, by="ana", now=LATER)

    assert registry.draft_changes(session) == ()


def test_an_entry_without_a_key_gets_a_free_one_made_of_its_name(session: Session) -> None:
    make_version(session)

    for _ in range(2):
        draft = registry.add_entry(session, make_entry("Équinix", key=""), by="ana", now=LATER)

    keys = [entry.key for entry in registry.entries(session, draft)]
    assert keys == ["equinix", "fibrexemple", "equinix-2", "equinix-3"]


def test_a_key_that_is_taken_is_refused(session: Session) -> None:
    make_version(session)

    with pytest.raises(BadEntry, match='already has an entry "equinix"'):
        registry.add_entry(session, make_entry("Equinix"), by="ana", now=LATER)


@pytest.mark.parametrize("empty", [{"name": " "}, {"activities": ()}])
def test_an_entry_needs_a_name_and_an_activity(session: Session, empty: dict[str, Any]) -> None:
    make_version(session)

    with pytest.raises(BadEntry, match="needs a name and an activity"):
        registry.add_entry(session, replace(OPTEXEMPLE, **empty), by="ana", now=LATER)
    with pytest.raises(BadEntry, match="needs a name and an activity"):
        registry.amend_entry(session, "equinix", empty, by="ana", now=LATER)


def test_of_two_who_edit_the_same_draft_the_second_is_told(session: Session) -> None:
    make_version(session)
    seen = registry.open_draft(session, by="ana", now=LATER).revision

    registry.add_entry(session, OPTEXEMPLE, by="ana", now=LATER, revision=seen)

    acts: list[Callable[[], object]] = [
        lambda: registry.amend_entry(session, "equinix", {"town": "Lyon"}, by="bob", now=LATER, revision=seen),
        lambda: registry.remove_entry(session, "equinix", by="bob", now=LATER, revision=seen),
        lambda: registry.add_entry(session, make_entry("Zayo"), by="bob", now=LATER, revision=seen),
    ]
    for act in acts:
        with pytest.raises(DraftMoved, match="changed by somebody else"):
            act()
    assert kinds(session) == [("added", "optexemple")]


def test_a_draft_that_is_thrown_away_leaves_the_published_version(session: Session) -> None:
    version = make_version(session)
    registry.add_entry(session, OPTEXEMPLE, by="ana", now=LATER)

    registry.discard_draft(session, by="ana", now=LATER)

    assert registry.draft(session) is None
    assert registry.published(session) == version
    assert {row.since for row in session.exec(select(Entry))} == {version.number}
    assert session.exec(select(DraftEntry)).all() == []
    with pytest.raises(NoDraft):
        registry.discard_draft(session, by="ana", now=LATER)


def test_a_first_list_keeps_its_order_and_what_comes_later_stands_at_the_end(session: Session) -> None:
    make_version(session, [make_entry("Zayo"), make_entry("Equinix")])

    draft = registry.replace_draft(
        session, [OPTEXEMPLE, make_entry("Equinix"), make_entry("Zayo")], by="ana", now=LATER
    )

    assert names(session, draft) == ["Zayo", "Equinix", "Optexemple"]
    assert kinds(session) == [("added", "optexemple")]  # an order says nothing


def test_a_draft_keeps_no_more_than_it_says_otherwise(session: Session) -> None:
    make_version(session)

    registry.amend_entry(session, "equinix", {"town": "Pantin"}, by="ana", now=LATER)
    registry.remove_entry(session, "fibrexemple", by="ana", now=LATER)

    drafted = {row.key: row.content and row.content["town"] for row in session.exec(select(DraftEntry))}
    assert drafted == {"equinix": "Pantin", "fibrexemple": None}
    registry.amend_entry(session, "equinix", {"town": "Paris"}, by="ana", now=LATER)
    assert [row.key for row in session.exec(select(DraftEntry))] == ["fibrexemple"]


def test_what_does_not_change_is_written_once_for_all_versions(session: Session) -> None:
    make_version(session)
    for town in ("Pantin", "Lyon", "Pantin"):
        registry.amend_entry(session, "equinix", {"town": town}, by="ana", now=LATER)
        registry.number_draft(session, effective_at=LATER, by="ana", now=LATER)

    rows = session.exec(select(Entry).order_by(col(Entry.key), col(Entry.since))).all()

    assert [(row.key, row.since, row.until) for row in rows] == [
        ("equinix", 1, 2), ("equinix", 2, 3), ("equinix", 3, 4), ("equinix", 4, None), ("fibrexemple", 1, None),
    ]  # fmt: skip
    towns = [registry.entries(session, registry.get(session, number))[0].town for number in (1, 2, 3, 4)]
    assert towns == ["Paris", "Pantin", "Lyon", "Pantin"]
    first, last = registry.get(session, 1), registry.get(session, 4)
    assert [change.kind.value for change in registry.changes(session, first, last)] == ["moved"]
    assert registry.changes(session, registry.get(session, 2), last) == ()


def test_a_version_that_builds_on_one_before_a_withdrawn_one_lacks_what_that_brought(session: Session) -> None:
    make_version(session)
    withdrawn = _numbered(session, "Optexemple")
    registry.withdraw(session, withdrawn, by="ana", now=LATER)

    third = _numbered(session, "Zayo")

    assert names(session, third) == ["Equinix", "Fibrexemple", "Zayo"]
    assert names(session, withdrawn) == ["Equinix", "Fibrexemple", "Optexemple"]
    assert [change.name for change in registry.changes(session, registry.before(session, third), third)] == ["Zayo"]


def test_a_draft_lets_go_of_what_a_withdrawn_version_had_brought_and_keeps_its_own(session: Session) -> None:
    make_version(session)
    registry.amend_entry(session, "equinix", {"town": "Lyon"}, by="ana", now=NOON)
    withdrawn = _numbered(session, "Optexemple")
    registry.amend_entry(session, "equinix", {"website": "https://equinix.example"}, by="bob", now=LATER)
    registry.amend_entry(session, "optexemple", {"town": "Nice"}, by="bob", now=LATER)
    draft = registry.remove_entry(session, "fibrexemple", by="bob", now=LATER)

    registry.withdraw(session, withdrawn, by="ana", now=LATER)

    equinix, optexemple = registry.entries(session, draft)
    assert (equinix.town, equinix.website) == ("Paris", "https://equinix.example")
    assert (optexemple.name, optexemple.town) == ("Optexemple", "Nice")  # whoever edits it wants it
    assert set(kinds(session)) == {
        ("added", "optexemple"), ("contact_changed", "equinix"), ("removed", "fibrexemple"),
    }  # fmt: skip


def test_who_engages_whom_is_checked_on_every_edit(session: Session) -> None:
    make_version(session)
    registry.add_entry(session, replace(OPTEXEMPLE, parent="equinix"), by="ana", now=LATER)

    with pytest.raises(BadEntry, match="in a circle: equinix → optexemple → equinix"):
        registry.amend_entry(session, "equinix", {"parent": "optexemple"}, by="ana", now=LATER)
    with pytest.raises(BadEntry, match='engaged by "equinix", which is not in the list'):
        registry.remove_entry(session, "equinix", by="ana", now=LATER)


# --- what is published stays -----------------------------------------------------------------------------------------

EDITS = [
    "UPDATE version SET published_by = 'eve'",
    "UPDATE version SET published_at = NULL",
    "UPDATE version SET number = 7",
    "UPDATE version SET live_at = NULL",
    "DELETE FROM version",
    "UPDATE entry SET content = '{}'",
    "UPDATE entry SET until = 1",
    "UPDATE entry SET since = 0",
    "DELETE FROM entry",
    "INSERT INTO entry (id, key, since, position, content) SELECT id, 'eve', since, position, content FROM entry",
    "UPDATE event SET data = '{}'",
    "DELETE FROM event",
]


@pytest.mark.parametrize("edit", EDITS)
def test_the_database_refuses_what_no_verb_does(session: Session, edit: str) -> None:
    make_version(session)
    session.flush()

    with pytest.raises(DBAPIError, match="is not edited: publish another version"), session.begin_nested():
        session.execute(text(edit))
    assert names(session, registry.published(session)) == ["Equinix", "Fibrexemple"]


@pytest.mark.parametrize("table", ["version", "entry", "event"])
def test_no_other_row_takes_the_place_of_one_that_is_published(session: Session, table: str) -> None:
    make_version(session)
    session.flush()
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    replacing = (
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"  # noqa: S608 - names of our own tables
        if is_sqlite
        else f"TRUNCATE {table} CASCADE"
    )

    with pytest.raises(DBAPIError, match="is not edited: publish another version"), session.begin_nested():
        session.execute(text(replacing))


def test_a_draft_may_be_edited_and_thrown_away_beside_what_is_published(session: Session) -> None:
    make_version(session)
    registry.add_entry(session, OPTEXEMPLE, by="ana", now=LATER)

    session.execute(text("UPDATE version SET created_by = 'bob' WHERE number IS NULL"))
    session.execute(text("DELETE FROM version WHERE number IS NULL"))


# --- the past of a list that was kept elsewhere ----------------------------------------------------------------------


def test_the_past_is_taken_with_its_instants_and_tells_nobody(session: Session) -> None:
    moved = replace(OPTEXEMPLE, town="Lyon")
    states = [(NOON, [OPTEXEMPLE]), (LATER, [replace(OPTEXEMPLE, name="OPTEXEMPLE.")]), (LATER + A_DAY, [moved])]

    for at, content in states:
        registry.take_past(session, content, published_at=at, source="commit", by="ana", now=LATER + 9 * A_DAY)

    assert [(one.number, one.published_at, one.live_at) for one in registry.versions(session)] == [
        (2, LATER + A_DAY, LATER + A_DAY), (1, NOON, NOON),
    ]  # fmt: skip
    assert registry.draft(session) is None
    with pytest.raises(BadEntry, match="in its order"):
        registry.take_past(session, [moved], published_at=NOON, source="commit", by="ana", now=LATER + 9 * A_DAY)


def test_the_past_is_not_taken_over_a_draft(session: Session) -> None:
    registry.add_entry(session, make_entry("Zayo"), by="ana", now=LATER)

    with pytest.raises(BadEntry, match="drafted"):
        registry.take_past(session, [OPTEXEMPLE], published_at=NOON, source="commit", by="ana", now=LATER)


def test_every_step_of_a_version_is_an_event(session: Session) -> None:
    make_version(session)
    registry.add_entry(session, OPTEXEMPLE, by="ana", now=LATER)
    registry.discard_draft(session, by="ana", now=LATER)

    assert [event.data for event in happened(session, EventKind.VERSION_PUBLISHED)] == [{"version": 1}]
    assert [event.data for event in happened(session, EventKind.VERSION_LIVE)] == [{"version": 1}]
    assert [event.by for event in happened(session, EventKind.DRAFT_DISCARDED)] == ["ana"]


def _numbered(session: Session, name: str) -> Version:
    registry.add_entry(session, make_entry(name), by="ana", now=NOON)
    return registry.number_draft(session, effective_at=LATER, by="ana", now=NOON)


def test_a_list_that_was_edited_since_it_was_looked_at_is_not_put_in_force(session: Session) -> None:
    seen = registry.add_entry(session, OPTEXEMPLE, by="ana", now=NOON).revision
    registry.add_entry(session, make_entry("Zayo"), by="bob", now=NOON)

    with pytest.raises(DraftMoved):
        registry.establish(session, by="ana", now=NOON, revision=seen)

    assert registry.published(session) is None
    now_seen = registry.open_draft(session, by="ana", now=NOON).revision
    assert registry.establish(session, by="ana", now=NOON, revision=now_seen).number == 1


def test_an_edit_made_on_a_draft_that_was_thrown_away_is_refused_by_the_next_one(session: Session) -> None:
    make_version(session)
    seen = registry.replace_draft(session, [OPTEXEMPLE], by="ana", now=LATER).revision
    registry.discard_draft(session, by="ana", now=LATER)
    registry.replace_draft(session, [make_entry("Zayo")], by="bob", now=LATER)

    with pytest.raises(DraftMoved):
        registry.add_entry(session, OPTEXEMPLE, by="ana", now=LATER, revision=seen)
    with pytest.raises(DraftMoved):
        registry.number_draft(session, effective_at=LATER, by="ana", now=LATER, revision=seen)


@pytest.mark.parametrize("number", [0, -1, 2**31, 10**30])
def test_a_number_that_no_version_can_have_is_answered_like_any_other(session: Session, number: int) -> None:
    with pytest.raises(NoSuchVersion):
        registry.get(session, number)
