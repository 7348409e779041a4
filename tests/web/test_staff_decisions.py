"""A breach: one person asks for it, and another confirms or rejects it."""

from datetime import UTC, datetime, timedelta

import pytest

from notifier.models import AnnouncementState, Role
from tests.web.staffing import Staffer, clock, desk_clerk, runtime
from tests.web.visiting import Page

__all__ = ["clock", "desk_clerk", "runtime"]

BREACH = {
    "reasons_en": "The old site burned down.",
    "reasons_fr": "L’ancien site a brûlé.",
    "measures_en": "The data is encrypted.",
    "measures_fr": "Les données sont chiffrées.",
}


@pytest.fixture
def board(desk_clerk: Staffer) -> str:
    return desk_clerk.announce()


def ask(clerk: Staffer, board: str, **typed: str) -> str:
    """Ask for a breach; returns the page on which it waits."""
    done = clerk.send(f"{board}/decisions/breach", "/breach", {**BREACH, **typed})
    assert done.status_code == 303, done.text
    return done.location


@pytest.mark.obligation("O5.4")
def test_a_breach_waits_for_a_second_person(desk_clerk: Staffer, board: str) -> None:
    waiting = ask(desk_clerk, board)

    page = desk_clerk.get(waiting).text

    assert "Waiting for a second person" in page
    assert "Ana asked for it" in page
    assert "The old site burned down." in page
    assert "Les données sont chiffrées." in page
    assert "Confirm, as the second person" not in page
    assert desk_clerk.announcement().state is AnnouncementState.PUBLISHED
    reference = desk_clerk.announcement().reference
    assert f'href="{waiting}">A second person must decide: {reference}</a>' in desk_clerk.get("/staff/").text
    assert "It was asked for, and waits for a second person" in desk_clerk.get(board).text


def test_whoever_asked_cannot_confirm(desk_clerk: Staffer, board: str) -> None:
    waiting = ask(desk_clerk, board)
    shown = desk_clerk.as_role(Role.ACCOUNT_MANAGER).get(waiting)
    there = next(form.action for form in Page(shown.text).forms if form.action.endswith("/confirmation"))

    refused = desk_clerk.post(waiting, there, {})

    assert refused.status_code == 409
    assert "You have asked for this yourself: a second person must confirm it." in refused.text
    assert desk_clerk.announcement().state is AnnouncementState.PUBLISHED


def test_a_second_person_confirms_and_it_is_recorded_as_a_breach(desk_clerk: Staffer, board: str) -> None:
    desk_clerk.deliver()
    waiting = ask(desk_clerk, board)
    manager = desk_clerk.as_role(Role.ACCOUNT_MANAGER)

    done = manager.send(waiting, "/confirmation")

    assert (done.status_code, done.location) == (303, board)
    page = manager.get(board).text
    assert "against a closed gate, for this reason: The old site burned down." in page
    assert "in breach" in page
    assert desk_clerk.notice().live_in_breach
    assert "Nothing waits for you." in manager.get("/staff/").text


def test_a_breach_counts_from_when_it_really_started(desk_clerk: Staffer, board: str) -> None:
    desk_clerk.clock.shift(timedelta(hours=3))
    waiting = ask(desk_clerk, board, started_at="2026-03-02T15:00")

    desk_clerk.as_role(Role.ACCOUNT_MANAGER).send(waiting, "/confirmation")

    assert desk_clerk.announcement().live_at == datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


def test_a_breach_that_is_rejected_changes_nothing(desk_clerk: Staffer, board: str) -> None:
    waiting = ask(desk_clerk, board)
    manager = desk_clerk.as_role(Role.ACCOUNT_MANAGER)

    done = manager.send(waiting, "/rejection")

    assert (done.status_code, done.location) == (303, board)
    assert desk_clerk.announcement().state is AnnouncementState.PUBLISHED
    assert "Rejected, replaced or void" in manager.get(waiting).text
    assert manager.send(waiting, "/breach", BREACH).status_code == 303


@pytest.mark.parametrize("field", sorted(BREACH))
def test_a_breach_is_explained_in_both_languages(desk_clerk: Staffer, board: str, field: str) -> None:
    refused = desk_clerk.send(f"{board}/decisions/breach", "/breach", {**BREACH, field: " "})

    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text


@pytest.mark.parametrize("started_at", ["2026-03-03T00:00", "this morning"])
def test_a_start_that_cannot_be_is_refused_and_everything_typed_is_kept(
    desk_clerk: Staffer, board: str, started_at: str
) -> None:
    typed = {**BREACH, "started_at": started_at}

    refused = desk_clerk.send(f"{board}/decisions/breach", "/breach", typed)

    assert refused.status_code == 422
    assert 'id="started_at-error"' in refused.text
    assert "The old site burned down." in refused.text


def test_what_has_gone_live_leaves_nothing_to_decide(desk_clerk: Staffer, board: str) -> None:
    waiting = ask(desk_clerk, board)
    manager = desk_clerk.as_role(Role.ACCOUNT_MANAGER)
    shown = manager.get(waiting)
    manager.send(shown, "/confirmation")

    again = manager.send(shown, "/confirmation")

    assert again.status_code == 404
    assert "There is nothing to decide" in again.text
    assert "The old site burned down." in manager.get(waiting).text


def test_an_auditor_reads_what_was_asked_and_decides_nothing(desk_clerk: Staffer, board: str) -> None:
    page = desk_clerk.as_role(Role.AUDITOR).get(ask(desk_clerk, board)).text

    assert "The old site burned down." in page
    assert "/confirmation" not in page


def test_there_is_no_other_kind_of_decision(desk_clerk: Staffer, board: str) -> None:
    assert desk_clerk.get(f"{board}/decisions/party").status_code == 404


def test_a_breach_that_is_none_any_more_is_confirmed_by_nobody(desk_clerk: Staffer, board: str) -> None:
    desk_clerk.deliver()
    waiting = ask(desk_clerk, board)
    manager = desk_clerk.on_the_day(after=timedelta(days=1))

    refused = manager.send(waiting, "/confirmation")

    assert refused.status_code == 409
    assert "Every client’s right had run by then: reject this, and record that it has gone live." in refused.text
    assert "Waiting for a second person" in refused.text
    assert manager.send(refused, "/rejection").status_code == 303
