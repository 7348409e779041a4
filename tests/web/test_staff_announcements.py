"""Publishing a change, the board, and what a person does there."""

from datetime import timedelta

import pytest

from notifier.adapters.sending import Verdict
from notifier.models import AnnouncementState, Role
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.notice_states import NoticeState
from notifier.runtime import now
from notifier.services import answers
from tests.factories import REASONS, make_client
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

WHY = {"reasons_en": REASONS["en"], "reasons_fr": REASONS["fr"]}
PREVIEW = "/staff/registry/draft/preview"


@pytest.fixture
def with_draft(desk_clerk: Staffer) -> Staffer:
    """A client, and a draft in which a new entry takes the place of another."""
    with desk_clerk.runtime.transaction() as session:
        make_client(session, company="Acme 0")
    typed = {"name": "Optexemple", "activity": "Fibre noire", "country": "France"}
    desk_clerk.send("/staff/registry/draft/entries/new?replaces=fibrexemple", "/entries", typed)
    return desk_clerk


def client_page(clerk: Staffer, board: str) -> str:
    return f"{board}/clients/{clerk.notice().id}"


# --- publishing ------------------------------------------------------------------------------------------------------


def test_the_preview_says_who_is_told_until_when_and_how_that_was_counted(with_draft: Staffer) -> None:
    page = with_draft.get(PREVIEW).text

    assert "Acme 0" in page
    assert "Wednesday 1 April 2026" not in page.partition("<ol>")[0]
    assert "The notice is presumed to be received on " in page
    assert "With a margin of 2 days, that is " in page
    assert "30 days later is " in page
    assert "to be confirmed by counsel" in page
    assert "Publish and send 1 mail" in page


def test_publishing_leads_to_the_board(with_draft: Staffer) -> None:
    done = with_draft.send(PREVIEW, "/announcements", WHY)

    assert (done.status_code, done.location) == (303, f"/staff/announcements/{with_draft.announcement().id}")
    assert "Published." in with_draft.get(done.location).text


def test_a_date_that_is_too_early_is_refused_and_everything_typed_is_kept(with_draft: Staffer) -> None:
    refused = with_draft.send(PREVIEW, "/announcements", {**WHY, "effective_on": "2026-03-10"})

    assert refused.status_code == 422
    assert "Too early: these clients may still object then: Acme 0 (until" in refused.text
    assert 'value="2026-03-10"' in refused.text
    assert REASONS["en"] in refused.text
    assert "autofocus" in refused.text


def test_a_change_without_its_reason_in_both_languages_is_refused(with_draft: Staffer) -> None:
    refused = with_draft.send(PREVIEW, "/announcements", {**WHY, "reasons_fr": " "})

    assert refused.status_code == 422
    assert 'id="reasons_fr-error"' in refused.text
    assert 'id="reasons_en-error"' not in refused.text


def test_publishing_twice_says_that_there_is_nothing_left_to_publish(with_draft: Staffer) -> None:
    shown = with_draft.get(PREVIEW)
    with_draft.send(shown, "/announcements", WHY)

    again = with_draft.send(shown, "/announcements", WHY)

    assert again.status_code == 409
    assert "There is no draft" in again.text


def test_a_day_that_has_passed_is_refused_and_everything_typed_is_kept(with_draft: Staffer) -> None:
    refused = with_draft.send(PREVIEW, "/announcements", {**WHY, "effective_on": "2026-03-01"})

    assert refused.status_code == 422
    assert "This day has passed." in refused.text
    assert 'value="2026-03-01"' in refused.text
    assert REASONS["fr"] in refused.text


def test_a_draft_that_is_not_the_one_previewed_is_previewed_anew_before_it_is_published(with_draft: Staffer) -> None:
    shown = with_draft.get(PREVIEW)
    with_draft.send("/staff/registry/draft/entries/equinix", "/equinix", {"town": "Lyon"})

    refused = with_draft.send(shown, "/announcements", {**WHY, "effective_on": "2027-01-15"})

    assert refused.status_code == 409
    assert "Somebody else has changed the draft since you looked." in refused.text
    assert "<td>Paris</td><td>Lyon</td>" in refused.text
    assert 'value="2027-01-15"' in refused.text
    assert REASONS["en"] in refused.text
    assert with_draft.send(refused, "/announcements").status_code == 303


# --- the board -------------------------------------------------------------------------------------------------------


def test_the_board_shows_where_each_client_stands(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {"contacts": []})

    page = desk_clerk.get(board).text

    assert "<strong>1</strong> not reached" in page
    assert "<strong>1</strong> being sent" in page
    assert "a client was not reached" in page
    assert "It does not open by itself" in page


def test_the_board_updates_itself_while_mails_are_in_flight_and_then_stops(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    before = desk_clerk.get(f"{board}/progress")
    desk_clerk.deliver()

    after = desk_clerk.get(f"{board}/progress")

    assert (before.status_code, after.status_code) == (200, 286)
    assert "hx-get" in before.text
    assert "hx-get" not in after.text
    assert "<strong>1</strong> told, no answer" in after.text


def test_the_board_tells_what_the_mail_server_said_to_mails_that_wait(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver(Verdict.DEFERRED, code=451, reply="try again later")

    page = desk_clerk.get(board).text

    assert "1 mail: <code>451 try again later</code>" in page


def test_only_the_board_may_run_our_script(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()

    assert "script-src 'self'" in desk_clerk.get(board).headers["Content-Security-Policy"]
    assert "script" not in desk_clerk.get("/staff/clients").headers["Content-Security-Policy"]


# --- going live ------------------------------------------------------------------------------------------------------


def test_nothing_goes_live_against_a_closed_gate_without_a_reason(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()

    refused = desk_clerk.send(board, "/live")

    assert refused.status_code == 422
    assert "The gate is closed." in refused.text
    assert desk_clerk.announcement().state is AnnouncementState.PUBLISHED


def test_going_live_against_a_closed_gate_is_recorded_as_a_breach(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()

    done = desk_clerk.send(board, "/live", {"breach_reason": "The old site burned down."})

    assert done.status_code == 303
    assert "against a closed gate, for this reason: The old site burned down." in desk_clerk.get(board).text


def test_it_goes_live_once_every_right_has_run(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    desk_clerk.clock.move_to(desk_clerk.announcement().effective_at)

    desk_clerk.as_role(Role.ACCOUNT_MANAGER).send(board, "/live")

    assert desk_clerk.announcement().state is AnnouncementState.LIVE
    assert desk_clerk.announcement().breach_reason == ""


def test_an_earlier_announcement_goes_live_first(with_draft: Staffer) -> None:
    first = with_draft.send(PREVIEW, "/announcements", WHY).location
    with_draft.clock.shift(timedelta(hours=1))
    with_draft.send("/staff/registry/draft/entries/equinix", "/equinix", {"town": "Lyon"})
    second = with_draft.send(PREVIEW, "/announcements", WHY).location

    refused = with_draft.send(second, "/live", {"breach_reason": "In a hurry."})

    assert refused.status_code == 409
    assert "SP-2026-0002 was announced earlier, and must go live first." in refused.text
    assert "In a hurry." in refused.text
    assert with_draft.send(first, "/live", {"breach_reason": "In a hurry."}).status_code == 303


# --- clients who come later ------------------------------------------------------------------------------------------


def test_a_client_that_came_after_the_announcement_holds_the_gate_until_it_is_told(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    with desk_clerk.runtime.transaction() as session:
        make_client(session, "C-900", company="Latecomer")
    desk_clerk.clock.shift(timedelta(hours=1))

    before = desk_clerk.get(board)
    told = desk_clerk.send(before, "/latecomers")

    assert "a client under contract has not been told" in before.text
    assert "<li>Latecomer</li>" in before.text
    assert (told.status_code, told.location) == (303, board)
    after = desk_clerk.get(board).text
    assert "1 more client is told." in after
    assert "Clients who have not been told" not in after
    assert desk_clerk.notice("Latecomer").state is NoticeState.RAISED


# --- one client ------------------------------------------------------------------------------------------------------


def test_a_client_told_by_other_means_is_recorded_by_a_person(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({"contacts": []})

    done = desk_clerk.send(
        client_page(desk_clerk, board), "/receipt", {"received_on": "2026-03-02", "how": "registered letter 12"}
    )

    assert done.status_code == 303
    assert desk_clerk.notice().state is NoticeState.RUNNING
    assert "registered letter 12" in desk_clerk.get(client_page(desk_clerk, board)).text


@pytest.mark.parametrize("day", ["", "tomorrow", "2026-12-24"])
def test_a_receipt_needs_a_day_that_has_come(desk_clerk: Staffer, day: str) -> None:
    board = desk_clerk.announce({"contacts": []})

    refused = desk_clerk.send(client_page(desk_clerk, board), "/receipt", {"received_on": day, "how": "by hand"})

    assert refused.status_code == 422
    assert 'id="received_on-error"' in refused.text
    assert 'value="by hand"' in refused.text


def test_a_receipt_from_before_the_announcement_is_refused(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({"contacts": []})

    typed = {"received_on": "2026-03-01", "how": "by hand"}
    refused = desk_clerk.send(client_page(desk_clerk, board), "/receipt", typed)

    assert refused.status_code == 422
    assert "This day lies before the announcement." in refused.text


def test_an_objection_is_settled_with_a_note(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    token = desk_clerk.token(desk_clerk.deliveries()[0].id)
    with desk_clerk.runtime.transaction() as session:
        answers.object_to(
            session,
            desk_clerk.runtime.desk,
            token,
            desk_clerk.notice().id,
            name="Camille Roy",
            reasons="Too far.",
            now=now(),
        )
    page = client_page(desk_clerk, board)

    without = desk_clerk.send(page, "/settlement", {"note": " "})
    done = desk_clerk.send(page, "/settlement", {"note": "They agreed by telephone."})

    assert (without.status_code, done.status_code) == (422, 303)
    assert "They agreed by telephone." in desk_clerk.get(page).text
    assert "Nothing waits for you." in desk_clerk.get(board).text


def test_an_unknown_mail_is_counted_as_arrived_on_evidence(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver(Verdict.UNKNOWN)
    page = client_page(desk_clerk, board)

    without = desk_clerk.send(page, "/arrival", {"evidence": " "})
    done = desk_clerk.send(page, "/arrival", {"evidence": "relay log: delivered"})

    assert (without.status_code, done.status_code) == (422, 303)
    assert desk_clerk.deliveries()[0].state is DeliveryState.ACCEPTED


def test_a_refused_mail_is_sent_again_to_another_address(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver(Verdict.REFUSED, code=550, reply="no such user")
    page = client_page(desk_clerk, board)

    wrong = desk_clerk.send(page, "/repeats", {"address": "nobody"})
    done = desk_clerk.send(page, "/repeats", {"address": "legal@acme.example"})

    assert (wrong.status_code, done.status_code) == (422, 303)
    assert 'value="nobody"' in wrong.text
    assert {one.address for one in desk_clerk.deliveries()} == {"dpo@c-000.example", "legal@acme.example"}


def test_another_address_is_told_of_this_client_alone(desk_clerk: Staffer) -> None:
    shared = {"contacts": [{"email": "dpo@shared.example"}]}
    board = desk_clerk.announce(shared, shared)
    desk_clerk.deliver(Verdict.REFUSED, code=550, reply="no such user")

    desk_clerk.send(client_page(desk_clerk, board), "/repeats", {"address": "legal@acme.example"})

    other = f"{board}/clients/{desk_clerk.notice('Acme 1').id}"
    assert "legal@acme.example" in desk_clerk.get(client_page(desk_clerk, board)).text
    assert "legal@acme.example" not in desk_clerk.get(other).text


def test_a_mail_that_arrived_is_not_sent_again(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver(Verdict.UNKNOWN)
    shown = desk_clerk.get(client_page(desk_clerk, board))
    desk_clerk.send(shown, "/arrival", {"evidence": "relay log: delivered"})

    refused = desk_clerk.send(shown, "/repeats")

    assert refused.status_code == 409
    assert "Only a mail that was refused, or whose arrival is unknown, is sent again." in refused.text
    assert len(desk_clerk.deliveries()) == 1


def test_a_refused_receipt_is_noted_and_leads_back_to_the_board(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    token, notice = desk_clerk.token(desk_clerk.deliveries()[0].id), desk_clerk.notice()
    with desk_clerk.runtime.transaction() as session:
        answers.acknowledge(session, desk_clerk.runtime.desk, token, [notice.id], name="Camille Roy", now=now())
    desk_clerk.deliver(Verdict.REFUSED, code=550, reply="no such user")

    done = desk_clerk.send(board, "/note", {"note": "Told by telephone."})

    assert (done.status_code, done.location) == (303, board)
    assert "Nothing waits for you." in desk_clerk.get(board).text


def test_what_has_a_page_to_settle_it_is_not_merely_noted(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {"contacts": []})
    desk_clerk.deliver(Verdict.REFUSED, code=550, reply="no such user")

    assert "A mail was refused" in desk_clerk.get(board).text
    assert "/note" not in desk_clerk.get(board).text


def test_an_answer_that_looks_like_a_machines_waits_until_a_person_has_looked(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    delivery, notice = desk_clerk.deliveries()[0], desk_clerk.notice()
    with desk_clerk.runtime.transaction() as session:
        token = desk_clerk.token(delivery.id)
        answers.acknowledge(
            session, desk_clerk.runtime.desk, token, [notice.id], name="Bot", machine_like=True, now=now()
        )

    assert "looks like a machine’s" in desk_clerk.get("/staff/").text
    desk_clerk.send(client_page(desk_clerk, board), "/review")

    assert "Nothing waits for you." in desk_clerk.get("/staff/").text


def test_a_withdrawal_that_looks_like_a_machines_is_put_before_a_person(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    token, notice, desk = desk_clerk.token(desk_clerk.deliveries()[0].id), desk_clerk.notice(), desk_clerk.runtime.desk
    with desk_clerk.runtime.transaction() as session:
        answers.object_to(session, desk, token, notice.id, name="Camille Roy", reasons="Too far.", now=now())
        answers.withdraw(session, desk, token, notice.id, name="Bot", machine_like=True, now=now())

    page = desk_clerk.get(client_page(desk_clerk, board)).text

    assert "A withdrawal of it came within seconds" in page
    assert "Withdrawal that looks like a machine’s: the objection stands" in page
    desk_clerk.send(client_page(desk_clerk, board), "/review")
    assert "A withdrawal of it came within seconds" not in desk_clerk.get(client_page(desk_clerk, board)).text


def test_the_time_line_tells_what_happened_in_its_order(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.clock.shift(timedelta(minutes=5))
    desk_clerk.deliver()

    line = desk_clerk.get(client_page(desk_clerk, board)).text.partition("Time-line")[2]

    words = [
        "Notice put in the outbox",
        "Notice accepted by the client’s mail server",
        "Notice received: the period starts",
    ]
    positions = [line.index(word) for word in words]
    assert positions[0] == min(positions)


def test_a_notice_is_shown_under_its_own_announcement_alone(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    other = f"/staff/announcements/{desk_clerk.notice().id}/clients/{desk_clerk.notice().id}"

    assert desk_clerk.get(client_page(desk_clerk, board)).status_code == 200
    assert desk_clerk.get(other).status_code == 404


def test_a_notice_of_nobody_is_a_page_not_found(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()

    strange = desk_clerk.get(f"{board}/clients/{desk_clerk.announcement().id}")

    assert strange.status_code == 404
    assert "There is no such notice." in strange.text
