"""Each client's own list as of any day: what really happened for it, not what was announced."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlmodel import Session

from notifier.models import Announcement, Client, OverrideKind
from notifier.services import (
    announcements,
    boards,
    clients,
    corrections,
    going_live,
    notices,
    overrides,
    own_lists,
    registry,
)
from notifier.services.clients import NoSuchClient
from notifier.services.desk import Desk
from tests.factories import NOON, REASONS, make_client, make_entry, make_provider, make_version
from tests.services.stories import breach, send_due, the_draft

A_DAY = timedelta(days=1)
FIRST_DAY = NOON.date() - A_DAY  # the list was established
BOTH = {"en": "A reason.", "fr": "Un motif."}
LISTED = ["Equinix", "Fibrexemple"]


@dataclass
class Story:
    session: Session
    desk: Desk
    clients: dict[str, Client] = field(default_factory=dict)

    def announce(
        self, name: str = "Optexemple", *, replaces: str = "fibrexemple", now: datetime = NOON
    ) -> Announcement:
        """It is to begin 40 days later, and can be made client by client."""
        registry.add_entry(self.session, replace(make_entry(name), replaces=replaces), by="ana", now=now)
        found = announcements.publish(
            self.session, self.desk, effective_on=(now + 40 * A_DAY).date(), reasons=REASONS, per_client=True, by="ana",
            now=now,
        )  # fmt: skip
        send_due(self.session, self.desk, now=now)
        return found

    def go_live(self, announcement: Announcement, now: datetime, *keys: str) -> None:
        notices.lapse_due(self.session, now=now)
        ids = [self.row(announcement, key, now).notice.id for key in keys] or None
        going_live.go_live(self.session, announcement.id, notice_ids=ids, by="ana", now=now)

    def exclude(self, announcement: Announcement, key: str, now: datetime) -> None:
        notice = self.row(announcement, key, now).notice
        going_live.exclude(self.session, notice.id, why="It stays.", by="ana", now=now)

    def row(self, announcement: Announcement, key: str, now: datetime) -> boards.Row:
        rows = boards.board(self.session, announcement.id, now=now).rows
        return next(row for row in rows if row.client.key == key)

    def names(self, key: str, on: date) -> list[str]:
        return sorted(one.entry.name for one in own_lists.own_list(self.session, self.clients[key].id, on=on).entries)


@pytest.fixture
def story(session: Session, desk: Desk) -> Story:
    make_provider(session)
    told = {key: make_client(session, key) for key in ("C-1", "C-2")}
    make_version(session, now=NOON - A_DAY)
    return Story(session, desk, told)


@pytest.mark.obligation("O5.1")
def test_before_the_first_list_there_is_none(story: Story) -> None:
    assert story.names("C-1", FIRST_DAY - A_DAY) == []
    assert story.names("C-1", FIRST_DAY) == LISTED


@pytest.mark.obligation("O5.1", "O5.2")
def test_a_list_takes_a_change_on_the_day_on_which_it_was_made_for_this_client(story: Story) -> None:
    announcement = story.announce()
    first, second = announcement.effective_at + 2 * A_DAY, announcement.effective_at + 5 * A_DAY
    story.go_live(announcement, first, "C-1")
    story.go_live(announcement, second, "C-2")

    after = ["Equinix", "Optexemple"]
    days = [(first - A_DAY).date(), first.astimezone(UTC).date() + A_DAY, second.date(), second.date() + A_DAY]
    assert [story.names("C-1", day) for day in days] == [LISTED, after, after, after]
    assert [story.names("C-2", day) for day in days] == [LISTED, LISTED, LISTED, after]
    found = own_lists.own_list(story.session, story.clients["C-2"].id, on=days[-1])
    since = {one.entry.name: one.since for one in found.entries}
    assert since == {"Equinix": NOON - A_DAY, "Optexemple": second}
    assert not any(one.began_early for one in found.entries)


def test_a_day_ends_at_the_providers_midnight(story: Story) -> None:
    announcement = story.announce()
    just_before = datetime(2026, 4, 30, 21, 59, 59, tzinfo=UTC)  # 30 April in Paris, for a second more
    story.go_live(announcement, just_before, "C-1")
    story.go_live(announcement, just_before + timedelta(seconds=1), "C-2")

    assert story.names("C-1", date(2026, 4, 30)) == ["Equinix", "Optexemple"]
    assert story.names("C-2", date(2026, 4, 30)) == LISTED
    assert story.names("C-2", date(2026, 5, 1)) == ["Equinix", "Optexemple"]


def test_what_was_announced_and_not_made_is_on_nobodys_list(story: Story) -> None:
    announcement = story.announce()
    long_after = announcement.effective_on + 365 * A_DAY
    assert story.names("C-1", long_after) == LISTED

    corrections.withdraw(story.session, story.desk, announcement.id, reasons=BOTH, by="ana", now=NOON)

    assert story.names("C-1", long_after) == LISTED


def test_an_excluded_client_keeps_its_list_which_says_what_it_was_excluded_from_and_since_when(story: Story) -> None:
    announcement = story.announce()
    the_day = announcement.effective_at
    story.go_live(announcement, the_day, "C-1")
    story.exclude(announcement, "C-2", the_day + 3 * A_DAY)
    own = story.clients["C-2"].id

    before, after = (the_day + n * A_DAY for n in (1, 5))
    assert story.names("C-2", after.date()) == LISTED
    assert own_lists.own_list(story.session, own, on=before.date()).excluded == ()
    assert own_lists.own_list(story.session, own, on=after.date()).excluded == (announcement.reference,)
    assert own_lists.own_list(story.session, story.clients["C-1"].id, on=after.date()).excluded == ()


@pytest.mark.obligation("O5.4")
def test_what_began_before_a_clients_period_ended_says_so_for_ever(story: Story) -> None:
    announcement = story.announce()
    began = NOON + 3 * A_DAY
    breach(story.session, story.desk, announcement, now=began)

    for day in (began.date(), began.date() + 1000 * A_DAY):
        found = own_lists.own_list(story.session, story.clients["C-1"].id, on=day)
        early = {one.entry.name: one.began_early for one in found.entries}
        assert early == {"Equinix": False, "Optexemple": True}


def test_a_breach_is_on_the_list_from_its_actual_start(story: Story) -> None:
    announcement = story.announce(now=NOON)
    began, recorded = NOON - timedelta(hours=30), NOON + A_DAY
    asked = overrides.ask(
        story.session, announcement.id, OverrideKind.BREACH, reasons=BOTH, measures=BOTH, started_at=began,
        by="user:ana", now=recorded,
    )  # fmt: skip

    going_live.breach(story.session, story.desk, asked.id, by="user:bob", now=recorded)

    assert story.names("C-1", began.date()) == ["Equinix", "Optexemple"]


def test_a_corrected_change_is_on_the_list_as_it_was_told_last(story: Story) -> None:
    announcement = story.announce()
    registry.amend_entry(story.session, "optexemple", {"town": "Lyon"}, by="ana", now=NOON + A_DAY)
    corrections.correct(
        story.session, story.desk, announcement.id, effective_on=date(2026, 5, 4), why="Town.", by="ana",
            take_draft=the_draft(story.session),
        now=NOON + A_DAY,
    )  # fmt: skip
    send_due(story.session, story.desk, now=NOON + A_DAY)
    story.go_live(announcement, announcement.effective_at)

    found = own_lists.own_list(story.session, story.clients["C-1"].id, on=date(2026, 5, 4))
    assert {(one.entry.name, one.entry.town) for one in found.entries} == {("Equinix", "Paris"), ("Optexemple", "Lyon")}


def test_a_client_that_came_later_has_what_was_made_for_all(story: Story) -> None:
    announcement = story.announce()
    story.go_live(announcement, announcement.effective_at)
    story.clients["C-3"] = make_client(story.session, "C-3", signed_on=date(2026, 6, 1))

    assert story.names("C-3", date(2026, 6, 1)) == ["Equinix", "Optexemple"]


def test_a_later_change_does_not_bring_a_client_what_it_was_excluded_from(story: Story) -> None:
    announcement = story.announce("Optexemple", replaces="")
    story.go_live(announcement, announcement.effective_at, "C-1")
    story.exclude(announcement, "C-2", announcement.effective_at)
    later = story.announce("Zayo", replaces="", now=announcement.effective_at + A_DAY)
    story.go_live(later, later.effective_at)

    assert story.names("C-1", later.effective_on) == ["Equinix", "Fibrexemple", "Optexemple", "Zayo"]
    assert story.names("C-2", later.effective_on) == ["Equinix", "Fibrexemple", "Zayo"]


@pytest.mark.obligation("O5.1", "O5.2")
def test_the_list_tells_the_service_each_provider_is_for(story: Story) -> None:
    (equinix, _) = own_lists.own_list(story.session, story.clients["C-1"].id, on=FIRST_DAY).entries

    assert (equinix.entry.name, equinix.entry.activity, equinix.entry.country) == ("Equinix", "Fibre noire", "FR")


def test_there_is_no_list_of_nobody(session: Session) -> None:
    make_provider(session)

    with pytest.raises(NoSuchClient):
        own_lists.own_list(session, uuid4(), on=FIRST_DAY)
    with pytest.raises(NoSuchClient):
        clients.by_key(session, "C-404")
