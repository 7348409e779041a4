"""One entry through the versions, and two that were taken for one company."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from notifier.rules.entries import Entry
from notifier.rules.registry_diff import ChangeKind
from notifier.services import registry, timeline
from tests.factories import NOON, make_entry, make_version

SITE, FIBRE = make_entry("Equinix"), make_entry("Fibrexemple")


def publish(session: Session, *content: Entry, at: datetime) -> None:
    registry.replace_draft(session, content, by="test", now=at)
    version = registry.number_draft(session, effective_at=at, by="test", now=at)
    version.live_at = at
    session.add(version)
    session.flush()


def lived(session: Session, key: str) -> list[tuple[int | None, ChangeKind]]:
    return [(version.number, change.kind) for version, change in timeline.life_of(session, key)]


def test_an_entry_is_followed_from_its_arrival_to_its_removal(session: Session) -> None:
    make_version(session, [SITE, FIBRE])
    publish(session, replace(SITE, town="Lyon"), FIBRE, at=NOON + timedelta(days=1))
    publish(session, replace(SITE, town="Lyon"), replace(FIBRE, name="Optexemple"), at=NOON + timedelta(days=2))
    publish(session, replace(SITE, town="Lyon"), at=NOON + timedelta(days=3))

    assert lived(session, "fibrexemple") == [
        (1, ChangeKind.ADDED),
        (3, ChangeKind.RENAMED),
        (4, ChangeKind.REMOVED),
    ]


def test_whoever_takes_its_place_ends_its_life_and_begins_another(session: Session) -> None:
    make_version(session, [SITE, FIBRE])
    publish(session, SITE, replace(make_entry("Optexemple"), replaces="fibrexemple"), at=NOON + timedelta(days=1))

    assert lived(session, "fibrexemple")[-1] == (2, ChangeKind.REPLACED)
    assert lived(session, "optexemple") == [(2, ChangeKind.REPLACED)]


def test_what_was_withdrawn_never_became_of_it(session: Session) -> None:
    make_version(session, [SITE, FIBRE])
    registry.replace_draft(session, [SITE, replace(FIBRE, town="Lyon")], by="test", now=NOON)
    withdrawn = registry.number_draft(session, effective_at=NOON, by="test", now=NOON)
    registry.withdraw(session, withdrawn, by="test", now=NOON)
    publish(session, SITE, replace(FIBRE, town="Lyon"), at=NOON + timedelta(days=1))

    assert lived(session, "fibrexemple") == [(1, ChangeKind.ADDED), (3, ChangeKind.MOVED)]


def test_nobody_knows_what_became_of_a_stranger(session: Session) -> None:
    make_version(session)

    assert timeline.life_of(session, "stranger") == []


def test_a_company_set_apart_is_one_that_leaves_and_one_that_arrives(session: Session) -> None:
    make_version(session, [SITE, FIBRE])
    below = make_entry("Sousexemple", parent="fibrexemple")
    renamed = replace(FIBRE, name="Optexemple")
    registry.replace_draft(session, [SITE, renamed, below], by="test", now=NOON)

    key = registry.set_apart(session, "fibrexemple", by="test", now=NOON)

    kinds = {change.name: change.kind for change in registry.draft_changes(session)}
    drafted = {one.key: one for one in registry.entries(session, registry.draft(session))}
    assert key == "optexemple"
    assert (kinds["Fibrexemple"], kinds["Optexemple"]) == (ChangeKind.REMOVED, ChangeKind.ADDED)
    assert drafted["sousexemple"].parent == "optexemple"


def test_a_company_set_apart_takes_no_key_that_a_published_one_has(session: Session) -> None:
    make_version(session, [SITE, FIBRE])
    registry.replace_draft(session, [replace(FIBRE, name="Equinix")], by="test", now=NOON)

    assert registry.set_apart(session, "fibrexemple", by="test", now=NOON) == "equinix-2"
