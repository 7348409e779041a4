"""Holding all sending and releasing it; pausing, resuming and cancelling the send of one announcement."""

from __future__ import annotations

from uuid import UUID

import pytest

from notifier.adapters.sending import Blame, Outcome, Verdict
from notifier.models import ItemKind, Role
from notifier.rules.limits import Allowance
from notifier.runtime import now
from notifier.services import holds, items, relays
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

PAGE = "/staff/sending"


def start(clerk: Staffer, folder: int = 1) -> None:
    """What a worker does at its start, from a data folder of this id."""
    with clerk.runtime.transaction() as session:
        holds.check(session, UUID(int=folder), seen=0, now=now())


def is_held(clerk: Staffer) -> bool:
    with clerk.runtime.reading() as session:
        return holds.is_held(session)


def states(clerk: Staffer) -> list[str]:
    return [delivery.state.value for delivery in clerk.deliveries()]


@pytest.fixture
def copied(desk_clerk: Staffer) -> Staffer:
    """Two mails waited when this database was copied."""
    start(desk_clerk)
    desk_clerk.announce({}, {})
    start(desk_clerk, folder=2)
    return desk_clerk


# --- all sending -----------------------------------------------------------------------------------------------------


def test_an_administrator_puts_sending_on_hold_and_releases_it(desk_clerk: Staffer) -> None:
    start(desk_clerk)

    done = desk_clerk.send(PAGE, "/hold", {"why": "The relay is being moved."})

    assert (done.status_code, done.location) == (303, PAGE)
    page = desk_clerk.get(PAGE).text
    assert "Nothing leaves: sending is on hold since" in page
    assert "Put on hold by Ana: The relay is being moved." in page
    assert "Sending is on hold: nothing leaves" in desk_clerk.get("/staff/").text
    assert "Mails leave again." in desk_clerk.browser.get(desk_clerk.send(PAGE, "/release").location or "").text
    assert not is_held(desk_clerk)


def test_a_hold_needs_a_reason(desk_clerk: Staffer) -> None:
    start(desk_clerk)

    refused = desk_clerk.send(PAGE, "/hold", {"why": " "})

    assert refused.status_code == 422
    assert "Write why: whoever wants to release it will ask." in refused.text
    assert not is_held(desk_clerk)


def test_before_anything_was_started_there_is_nothing_to_stop(desk_clerk: Staffer) -> None:
    refused = desk_clerk.send(PAGE, "/hold", {"why": "A test."})

    assert refused.status_code == 409
    assert "Start a worker first." in refused.text


def test_releasing_a_copy_asks_what_becomes_of_what_may_have_left(copied: Staffer) -> None:
    page = copied.get(PAGE).text
    assert "2 mails waited when this copy was made" in page
    assert "do not release it: it would write to your clients" in page

    refused = copied.send(PAGE, "/release")

    assert refused.status_code == 422
    assert "Choose what becomes of the mails that may have left." in refused.text
    assert is_held(copied)


@pytest.mark.parametrize(("choice", "state"), [("unknown", "unknown"), ("waiting", "waiting")])
def test_what_may_have_left_stays_unknown_unless_somebody_is_certain(copied: Staffer, choice: str, state: str) -> None:
    copied.send(PAGE, "/release", {"doubted": choice})

    assert not is_held(copied)
    assert states(copied) == [state] * 2


def test_a_release_that_somebody_else_has_made_is_refused_with_a_sentence(copied: Staffer) -> None:
    page = copied.get(PAGE)
    copied.send(page, "/release", {"doubted": "unknown"})

    again = copied.send(page, "/release", {"doubted": "waiting"})

    assert again.status_code == 409
    assert "somebody else has released it" in again.text
    assert states(copied) == ["unknown"] * 2


def test_only_an_administrator_holds_and_releases(copied: Staffer) -> None:
    manager = copied.as_role(Role.ACCOUNT_MANAGER)

    page = manager.get(PAGE)
    assert "Only an administrator can release it." in page.text
    assert manager.post("/staff/account", f"{PAGE}/release", {"doubted": "waiting"}).status_code == 403
    assert is_held(copied)


def test_the_board_of_a_held_instance_says_so_and_lists_what_may_have_left(copied: Staffer) -> None:
    board = copied.get(f"/staff/announcements/{copied.announcement().id}").text

    assert "All sending is on hold: nothing leaves." in board
    assert "Mails that may have left before a copy was made" in board
    with copied.runtime.reading() as session:
        kinds = {item.kind for item in items.open_items(session)}
    assert kinds == {ItemKind.SENDING_ON_HOLD, ItemKind.DOUBTED_MAILS}


def test_the_page_speaks_french(copied: Staffer) -> None:
    page = copied.get(f"{PAGE}?lang=fr").text

    assert 'lang="fr"' in page


# --- one announcement ------------------------------------------------------------------------------------------------


def test_a_send_is_paused_and_resumed_from_its_board(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {})

    desk_clerk.send(board, "/pause")

    page = desk_clerk.get(board)
    assert "Paused since" in page.text
    assert desk_clerk.send(page, "/resumption").location == board
    page = desk_clerk.get(board)
    assert "The mails leave again." in page.text
    assert "Paused since" not in page.text


def test_the_rest_of_a_send_is_cancelled_after_a_page_that_says_what_follows(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {}, {})
    page = desk_clerk.get(f"{board}/cancellation").text
    assert "3 mails that wait are dropped" in page
    assert states(desk_clerk) == ["waiting"] * 3

    done = desk_clerk.send(f"{board}/cancellation", "/cancellation")

    assert done.location == board
    page = desk_clerk.get(board).text
    assert "Cancelled. 3 clients have not been told, and wait for you." in page
    assert "The rest of a send was cancelled" in page
    assert states(desk_clerk) == ["dropped"] * 3


def test_a_withdrawn_announcement_has_no_send_to_pause(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    form = desk_clerk.get(board)
    why = {"reasons_en": "We stay.", "reasons_fr": "Nous restons."}
    desk_clerk.send(f"{board}/withdrawal", "/withdrawal", why)

    refused = desk_clerk.send(form, "/pause")

    assert refused.status_code == 409
    assert "nothing of it is being sent" in refused.text


def test_when_everything_has_left_there_is_nothing_to_pause(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    assert "Pause the send" in desk_clerk.get(board).text

    desk_clerk.deliver()

    assert "Pause the send" not in desk_clerk.get(board).text


# --- relays ----------------------------------------------------------------------------------------------------------


def rest(clerk: Staffer, blame: Blame) -> None:
    outcome = Outcome(
        delivery_id=UUID(int=1), attempt=1, verdict=Verdict.DEFERRED, code=535, reply="wrong <password>", peer="",
        tls="", blame=blame,
    )  # fmt: skip
    with clerk.runtime.transaction() as session:
        desk = clerk.runtime.desk
        relays.note(session, desk, Allowance(relay=desk.relays[0], mails=1), [outcome], now=now())


def test_a_relay_that_must_be_mended_is_shown_with_its_own_words_and_tried_again(desk_clerk: Staffer) -> None:
    rest(desk_clerk, Blame.SETUP)

    page = desk_clerk.get(PAGE).text
    done = desk_clerk.send(PAGE, "/relays/mailbox/trial", {})

    assert "Something must be mended: it refuses us." in page
    assert "535 wrong &lt;password&gt;" in page
    assert "A mail relay asks for something that must be mended" in desk_clerk.get("/staff/").text
    assert (done.status_code, done.location) == (303, PAGE)
    assert "Try it again now" not in desk_clerk.get(PAGE).text


def test_a_relay_that_takes_mails_says_so(desk_clerk: Staffer) -> None:
    page = desk_clerk.get(PAGE).text

    assert "It takes mails." in page
    assert "Try it again now" not in page
