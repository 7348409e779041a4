"""Two time lines: what had been published by a day, and what held on it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import Session

from notifier.models import EventKind, Version
from notifier.services import announcements, corrections, events, registry, timeline
from notifier.services.desk import Desk
from tests.factories import NOON, REASONS, make_entry, make_provider, make_version
from tests.services.stories import the_draft

A_DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _provider(session: Session) -> None:
    make_provider(session)


def day(number: int) -> datetime:
    """Noon, so many days after the registry was established."""
    return NOON + number * A_DAY


def on(number: int) -> date:
    return day(number).date()


def published(session: Session, at: int, effective: int) -> Version:
    version = registry.number_draft(session, effective_at=day(effective), by="ana", now=day(at))
    session.flush()
    return version


def goes_live(session: Session, version: Version, at: int, *, recorded: int | None = None) -> None:
    version.live_at = day(at)
    session.add(version)
    when = day(at if recorded is None else recorded)
    events.record(session, EventKind.VERSION_LIVE, about=version.id, by="ana", now=when)
    session.flush()


def towns(listed: timeline.Listed) -> dict[str, str]:
    return {entry.name: entry.town for entry in listed.entries}


@pytest.fixture
def overlapping(session: Session) -> tuple[Version, Version]:
    """A slow change (published on day 1 for day 90) and a faster one on top of it (on day 10 for day 20)."""
    make_version(session)
    registry.amend_entry(session, "equinix", {"town": "Dublin", "country": "IE"}, by="ana", now=day(1))
    slow = published(session, 1, 90)
    registry.amend_entry(session, "equinix", {"purposes": ("Backup",)}, by="ana", now=day(10))
    registry.add_entry(session, make_entry("Optexemple"), by="ana", now=day(10))
    fast = published(session, 10, 20)
    return slow, fast


def test_a_faster_change_goes_live_with_its_own_changes_alone(
    session: Session, overlapping: tuple[Version, Version]
) -> None:
    slow, fast = overlapping
    goes_live(session, fast, 20)

    (before, _), (between, fibre, new) = timeline.in_force(session, day(19)), timeline.in_force(session, day(21))
    assert (before.town, before.purposes) == ("Paris", ())
    assert (between.town, between.country, between.purposes) == ("Paris", "FR", ("Backup",))
    assert (fibre.name, new.name) == ("Fibrexemple", "Optexemple")

    goes_live(session, slow, 90)
    (after, _, _) = timeline.in_force(session, day(90))
    assert (after.town, after.purposes) == ("Dublin", ("Backup",))
    assert timeline.in_force(session, day(90)) == tuple(registry.entries(session, fast))
    assert timeline.in_force(session, day(50))[0] == between  # the past stays what it was


def test_the_day_to_come_is_told_as_it_was_announced(session: Session, overlapping: tuple[Version, Version]) -> None:
    slow, fast = overlapping
    now = day(12)

    soon = timeline.as_of(session, on=on(30), now=now)
    assert (towns(soon)["Equinix"], soon.entries[0].purposes) == ("Paris", ("Backup",))
    assert (soon.version, soon.expected) == (fast, True)
    later = timeline.as_of(session, on=on(100), now=now)
    assert (towns(later)["Equinix"], later.entries[0].purposes, later.expected) == ("Dublin", ("Backup",), True)
    today = timeline.as_of(session, on=on(12), now=now)
    assert (towns(today), today.expected) == ({"Equinix": "Paris", "Fibrexemple": "Paris"}, False)

    nothing_of_it = timeline.as_of(session, on=on(100), now=now, known_on=on(0))
    assert (towns(nothing_of_it)["Equinix"], nothing_of_it.expected) == ("Paris", False)
    only_the_slow = timeline.as_of(session, on=on(100), now=now, known_on=on(5))
    assert (towns(only_the_slow), only_the_slow.version) == ({"Equinix": "Dublin", "Fibrexemple": "Paris"}, slow)


def test_what_was_recorded_late_was_not_known_before(session: Session) -> None:
    make_version(session)
    registry.amend_entry(session, "equinix", {"town": "Lyon"}, by="ana", now=day(1))
    goes_live(session, published(session, 1, 5), 5, recorded=9)

    assert towns(timeline.as_of(session, on=on(6), now=day(30)))["Equinix"] == "Lyon"
    as_known = timeline.as_of(session, on=on(6), now=day(30), known_on=on(7))
    assert (towns(as_known)["Equinix"], as_known.expected) == ("Paris", False)  # announced, overdue, not recorded
    assert towns(timeline.as_of(session, on=on(6), now=day(30), known_on=on(9)))["Equinix"] == "Lyon"


def test_the_newest_list_that_was_known_is_the_one_published_last(
    session: Session, overlapping: tuple[Version, Version]
) -> None:
    slow, fast = overlapping

    assert [timeline.known(session, on=on(n), now=day(30)).version for n in (-1, 1, 10)] == [None, slow, fast]
    assert timeline.known(session, on=on(1), now=day(30)).expected
    assert not timeline.known(session, on=on(0), now=day(30)).expected


def test_a_withdrawn_version_is_expected_until_it_is_withdrawn(session: Session) -> None:
    make_version(session)
    registry.add_entry(session, make_entry("Optexemple"), by="ana", now=day(1))
    version = published(session, 1, 40)
    registry.withdraw(session, version, by="ana", now=day(3))

    assert "Optexemple" in towns(timeline.as_of(session, on=on(50), now=day(10), known_on=on(2)))
    assert "Optexemple" not in towns(timeline.as_of(session, on=on(50), now=day(10), known_on=on(3)))
    assert "Optexemple" not in towns(timeline.as_of(session, on=on(50), now=day(10)))


def amended(session: Session, key: str, at: int, **values: object) -> Version:
    registry.amend_entry(session, key, values, by="ana", now=day(at))
    return published(session, at, 90)


def removed(session: Session, key: str, at: int) -> Version:
    registry.remove_entry(session, key, by="ana", now=day(at))
    return published(session, at, 90)


def test_a_removal_that_is_taken_back_brings_nothing_that_was_not_made(session: Session) -> None:
    make_version(session)
    slow, removal = amended(session, "equinix", 1, town="Lyon"), removed(session, "equinix", 2)
    amended(session, "fibrexemple", 3, website="https://fibre.example")
    registry.withdraw(session, removal, by="ana", now=day(4))

    assert {entry.name: entry.town for entry in timeline.in_force(session, day(5))}["Equinix"] == "Paris"
    current = (registry.live(session, day(5)), timeline.as_of(session, on=on(5), now=day(6)).version)
    assert [one and one.number for one in current] == [1, 1]  # what takes a removal back is no list of its own
    assert timeline.known(session, on=on(5), now=day(6)).expected
    goes_live(session, slow, 90)
    assert {entry.name: entry.town for entry in timeline.in_force(session, day(91))}["Equinix"] == "Lyon"


@pytest.mark.parametrize("first", ["change", "removal"])
def test_what_is_withdrawn_beneath_a_removal_stays_away_whichever_is_withdrawn_first(
    session: Session, first: str
) -> None:
    make_version(session)
    both = {"change": amended(session, "equinix", 1, town="Lyon"), "removal": removed(session, "equinix", 2)}
    amended(session, "fibrexemple", 3, website="https://fibre.example")
    registry.withdraw(session, both.pop(first), by="ana", now=day(4))
    newest = registry.published(session)
    listed = {entry.name: entry.town for entry in registry.entries(session, newest)}
    assert listed.get("Equinix") == (None if first == "change" else "Lyon")

    (other,) = both.values()
    registry.withdraw(session, other, by="ana", now=day(5))
    listed = {entry.name: entry.town for entry in registry.entries(session, registry.published(session))}
    assert listed == {"Equinix": "Paris", "Fibrexemple": "Paris"}


@pytest.mark.parametrize(
    ("on_day", "known", "there"), [(50, None, False), (70, None, True), (50, 2, True), (50, 6, False), (70, 6, True)]
)
def test_a_postponed_day_is_the_one_that_is_expected_from_then_on(
    session: Session, desk: Desk, on_day: int, known: int | None, *, there: bool
) -> None:
    make_version(session)
    registry.add_entry(session, make_entry("Optexemple"), by="ana", now=day(1))
    announcement = announcements.publish(
        session, desk, effective_on=on(40), reasons=REASONS, by="ana", now=day(1)
    )  # fmt: skip
    corrections.postpone(
        session, desk, announcement.id, effective_on=on(60), reasons=REASONS, by="ana", now=day(4)
    )  # fmt: skip
    assert ("Optexemple" in seen_on(session, on_day, known)) is there
    registry.amend_entry(session, "optexemple", {"town": "Lyon"}, by="ana", now=day(8))
    corrections.correct(
        session, desk, announcement.id, take_draft=the_draft(session), why="Wrong town.", by="ana", now=day(8)
    )
    assert ("Optexemple" in seen_on(session, on_day, known)) is there


def seen_on(session: Session, on_day: int, known: int | None) -> dict[str, str]:
    known_on = None if known is None else on(known)
    return towns(timeline.as_of(session, on=on(on_day), now=day(20), known_on=known_on))


def test_last_updated_is_when_the_list_in_force_became_another(
    session: Session, overlapping: tuple[Version, Version]
) -> None:
    _, fast = overlapping

    assert timeline.last_updated(session, NOON - A_DAY) is None
    assert timeline.last_updated(session, day(15)) == NOON  # published is not in force
    goes_live(session, fast, 20)
    assert timeline.last_updated(session, day(19)) == NOON
    assert timeline.last_updated(session, day(25)) == day(20)


def test_a_service_uses_the_entries_that_name_it_and_those_that_name_none() -> None:
    listed = [make_entry("A", services=("Cloud",)), make_entry("B"), make_entry("C", services=("mail", "Archive"))]

    assert [entry.name for entry in timeline.of_service(listed, "Mail")] == ["B", "C"]


def test_nothing_held_before_the_first_list(session: Session) -> None:
    make_version(session)

    assert timeline.in_force(session, NOON - A_DAY) == ()
    assert timeline.as_of(session, on=on(-1), now=day(3)).version is None


def test_a_day_ends_at_midnight_of_the_provider(session: Session) -> None:
    make_version(session, now=datetime(2026, 3, 2, 22, 59, tzinfo=UTC))  # 23:59 in Paris
    registry.amend_entry(session, "equinix", {"town": "Lyon"}, by="ana", now=NOON)
    version = registry.number_draft(session, effective_at=NOON, by="ana", now=NOON)
    version.live_at = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    session.flush()
    now = datetime(2026, 6, 1, tzinfo=UTC)

    assert towns(timeline.as_of(session, on=date(2026, 3, 2), now=now))["Equinix"] == "Paris"
    assert towns(timeline.as_of(session, on=date(2026, 3, 3), now=now))["Equinix"] == "Lyon"
