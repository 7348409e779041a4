from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import Session, col, select

from notifier.models import Entry, EventKind, Version
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

LATER = NOON + timedelta(days=1)
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
    reworded = [make_entry("EQUINIX", key="equinix"), make_entry("Fibrexemple", activity="Fibre  noire")]
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

    assert set(kinds(session)) == {("amended", "equinix"), ("added", "optexemple"), ("removed", "fibrexemple")}
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


@pytest.mark.parametrize("empty", [{"name": " "}, {"activity": ""}])
def test_an_entry_needs_a_name_and_an_activity(session: Session, empty: dict[str, str]) -> None:
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
    assert {row.version_id for row in session.exec(select(Entry))} == {version.id}
    with pytest.raises(NoDraft):
        registry.discard_draft(session, by="ana", now=LATER)


def test_a_whole_list_becomes_the_draft_in_its_order(session: Session) -> None:
    make_version(session)

    draft = registry.replace_draft(session, [OPTEXEMPLE, make_entry("Equinix")], by="ana", now=LATER)

    assert names(session, draft) == ["Optexemple", "Equinix"]
    positions = select(Entry.position).where(Entry.version_id == draft.id).order_by(col(Entry.position))
    assert session.exec(positions).all() == [0, 1]


def test_every_step_of_a_version_is_an_event(session: Session) -> None:
    make_version(session)
    registry.add_entry(session, OPTEXEMPLE, by="ana", now=LATER)
    registry.discard_draft(session, by="ana", now=LATER)

    assert [event.data for event in happened(session, EventKind.VERSION_PUBLISHED)] == [{"version": 1}]
    assert [event.data for event in happened(session, EventKind.VERSION_LIVE)] == [{"version": 1}]
    assert [event.by for event in happened(session, EventKind.DRAFT_DISCARDED)] == ["ana"]


def test_the_list_in_force_is_the_highest_that_is_live_in_whatever_order_they_went_live(session: Session) -> None:
    make_version(session)
    second, third = (_numbered(session, name) for name in ("Optexemple", "Zayo"))

    third.live_at, second.live_at = LATER, LATER + timedelta(days=1)  # the third contains the second
    session.flush()

    assert registry.live(session, LATER) == third
    assert registry.live(session, LATER + timedelta(days=2)) == third


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
