"""The past of a list becomes versions, in its order, from the instants at which it said what it says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import Session

from notifier.adapters.histories import State
from notifier.rules.registry_diff import ChangeKind
from notifier.services import registry, replay, timeline
from tests.factories import NOON, make_entry, make_provider, make_version

START = datetime(2020, 5, 4, 9, 0, tzinfo=UTC)


def state(minutes: float, *names: str, source: str = "", text: str | None = None) -> State:
    listed = "".join(f"- {name}\n" for name in names)
    content = f"# Subprocessors\n\n{listed}" if text is None else text
    at = START + timedelta(minutes=minutes)
    return State(at=at, source=source or f"at {minutes}", filename="list.md", content=content.encode())


def versions_of(session: Session) -> list[tuple[datetime | None, list[str]]]:
    found = reversed(registry.versions(session))
    return [(one.published_at, [entry.name for entry in registry.entries(session, one)]) for one in found]


ONE, TWO = "Fibrexemple. Dark fibre.", "Optexemple. Backup."
THREE = "Mailexemple. Electronic mail."


def test_each_state_that_says_something_else_is_a_version(session: Session) -> None:
    past = replay.read([state(0, ONE), state(600, ONE, TWO), state(1200, TWO)], now=NOON)

    replay.take(session, past, by="test", now=NOON)

    assert versions_of(session) == [
        (START, ["Fibrexemple"]),
        (START + timedelta(minutes=600), ["Fibrexemple", "Optexemple"]),
        (START + timedelta(minutes=1200), ["Optexemple"]),
    ]


def test_the_list_of_any_day_is_what_held_then(session: Session) -> None:
    make_provider(session)
    replay.take(session, replay.read([state(0, ONE), state(3000, ONE, TWO)], now=NOON), by="test", now=NOON)

    def names(on: date, known_on: date | None = None) -> list[str]:
        return [one.name for one in timeline.as_of(session, on=on, now=NOON, known_on=known_on).entries]

    assert names(date(2020, 5, 3)) == []
    assert names(date(2020, 5, 4)) == ["Fibrexemple"]
    assert names(date(2020, 5, 7)) == ["Fibrexemple", "Optexemple"]
    assert names(date(2020, 5, 7), date(2020, 5, 4)) == ["Fibrexemple"]
    assert timeline.last_updated(session, NOON) == START + timedelta(minutes=3000)


def test_an_edit_of_writing_alone_makes_no_version_and_is_counted() -> None:
    prose = (
        "---\ntitle: Subprocessors\n---\n\nWe use **third parties**.\n\n# Subprocessors\n\n* FIBREXEMPLE: dark fibre\n"
    )

    past = replay.read([state(0, ONE), state(600, text=prose), state(1200, ONE, TWO)], now=NOON)

    assert (len(past.edits) - 1, past.idle, len(past.steps)) == (2, 1, 2)


def test_edits_within_an_hour_of_the_first_are_one_version_that_says_what_the_last_says() -> None:
    past = replay.read([state(0, ONE), state(600, ONE, TWO), state(660, TWO), state(661, TWO, THREE)], now=NOON)

    assert [(step.source, len(step.entries)) for step in past.steps] == [("at 0", 1), ("at 660", 1), ("at 661", 2)]
    assert [change.kind for change in past.steps[1].changes] == [ChangeKind.ADDED, ChangeKind.REMOVED]


def test_a_file_that_was_only_moved_is_no_edit() -> None:
    past = replay.read([state(0, ONE), state(600, ONE), state(1200, ONE, TWO)], now=NOON)

    assert (len(past.edits) - 1, past.idle, len(past.steps)) == (1, 0, 2)


def test_an_edit_of_writing_alone_begins_no_session() -> None:
    past = replay.read([state(0, ONE), state(570, ONE, ""), state(600, ONE, TWO), state(650, TWO)], now=NOON)

    assert [step.source for step in past.steps] == ["at 0", "at 650"]


def test_what_is_undone_within_the_hour_was_never_the_list() -> None:
    past = replay.read([state(0, ONE), state(600, ONE, TWO), state(630, ONE)], now=NOON)

    assert ([step.source for step in past.steps], past.idle) == (["at 0"], 0)


def test_who_is_renamed_stays_the_same_company(session: Session) -> None:
    renamed = "Fibrexemple International. Dark fibre."

    past = replay.read([state(0, ONE), state(600, renamed), state(1200, renamed, TWO)], now=NOON)
    replay.take(session, past, by="test", now=NOON)

    assert [[change.kind for change in step.changes] for step in past.steps[1:]] == [
        [ChangeKind.RENAMED],
        [ChangeKind.ADDED],
    ]
    assert registry.entries(session, registry.published(session))[0].key == "fibrexemple"
    (match,) = past.edits[1].matches
    assert match.sure


def test_the_editor_may_say_who_is_who() -> None:
    renamed = "Fibrexemple International. Dark fibre."
    pair = ("fibrexemple", "fibrexemple-international")

    past = replay.read([state(0, ONE), state(600, renamed)], now=NOON, apart=[pair])
    assert [change.kind for change in past.steps[1].changes] == [ChangeKind.ADDED, ChangeKind.REMOVED]

    past = replay.read([state(0, ONE), state(600, TWO)], now=NOON, same=[("fibrexemple", "optexemple")])
    assert [change.kind for change in past.steps[1].changes] == [ChangeKind.SCOPE_CHANGED]


def test_a_state_that_cannot_be_read_stops_everything_unless_it_is_skipped() -> None:
    states = [state(0, ONE), state(600, text="nothing of the kind", source="a" * 40), state(1200, ONE, TWO)]

    with pytest.raises(replay.BadPast, match=r"^aaaaaaaaaaaa \(2020-05-04\) cannot be read: there is no list"):
        replay.read(states, now=NOON)

    past = replay.read(states, now=NOON, skip_unreadable=True)
    assert (len(past.steps), len(past.unreadable)) == (2, 1)


def test_a_clock_that_went_wrong_does_not_turn_the_order_round(session: Session) -> None:
    past = replay.read([state(600, ONE), state(0, ONE, TWO), state(1200, TWO)], now=NOON)

    replay.take(session, past, by="test", now=NOON)

    assert [names for _, names in versions_of(session)] == [["Fibrexemple", "Optexemple"], ["Optexemple"]]
    assert [step.at for step in past.steps] == sorted({step.at for step in past.steps})


def test_what_is_yet_to_come_is_no_past() -> None:
    with pytest.raises(replay.BadPast, match="yet to come"):
        replay.read([state(0, ONE)], now=START - timedelta(minutes=1))


def test_the_past_is_taken_into_an_empty_registry_alone(session: Session) -> None:
    past = replay.read([state(0, ONE)], now=NOON)
    registry.replace_draft(session, [make_entry("Equinix")], by="test", now=NOON)
    with pytest.raises(replay.BadPast, match="empty"):
        replay.take(session, past, by="test", now=NOON)

    make_version(session)
    with pytest.raises(replay.BadPast, match="empty"):
        replay.take(session, past, by="test", now=NOON)


def test_a_version_says_where_it_was_read(session: Session) -> None:
    replay.take(session, replay.read([state(0, ONE, source="f" * 40)], now=NOON), by="test", now=NOON)

    (version,) = registry.versions(session)
    assert replay.sources(session) == {version.id: "f" * 40}
    assert replay.short("f" * 40) == "f" * 12
