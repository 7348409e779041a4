"""One client of one announcement: what a person sees there, and does."""

from datetime import timedelta

import pytest
from sqlmodel import select

from notifier.adapters.sending import Verdict
from notifier.models import Answer, Terms
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.notice_states import NoticeState
from notifier.runtime import now
from notifier.services import answers
from tests.factories import make_client
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]


def client_page(clerk: Staffer, board: str) -> str:
    return f"{board}/clients/{clerk.notice().id}"


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


# --- the sealed rule -------------------------------------------------------------------------------------------------


def test_the_sealed_rule_says_what_is_ours_and_what_the_clients_own_terms_say(desk_clerk: Staffer) -> None:
    with desk_clerk.runtime.transaction() as session:
        client = make_client(session, "C-700", company="Acme 0")
        terms = session.exec(select(Terms).where(Terms.client_id == client.id)).one()
        terms.overrides = {"subprocessor": {"period": "45 days", "window": "20 days"}}
    board = desk_clerk.announce({"company": "Other"})

    page = desk_clerk.get(client_page(desk_clerk, board)).text

    assert '<dd>45 days <span class="badge calm">own terms</span></dd>' in page
    assert '<dd>20 days <span class="badge calm">own terms</span></dd>' in page
    assert "to be confirmed by counsel" in page
    assert "The time to answer runs from " in page


def test_both_clocks_of_a_client_are_shown(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()

    page = desk_clerk.get(client_page(desk_clerk, board)).text

    assert "<dt>Last day to answer</dt><dd><time" in page
    assert "<dt>The change waits</dt><dd>until <time" in page


# --- replies ---------------------------------------------------------------------------------------------------------


def test_a_reply_by_telephone_holds_the_gate_until_somebody_has_read_it(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    page = client_page(desk_clerk, board)

    empty = desk_clerk.send(page, "/replies", {"text": " "})
    done = desk_clerk.send(page, "/replies", {"text": "They ask where the new site is."})

    assert (empty.status_code, done.status_code) == (422, 303)
    assert "nobody has read what a client wrote" in desk_clerk.get(board).text
    assert f'href="{page}">Reply to be read: Acme 0</a>' in desk_clerk.get("/staff/").text
    without = desk_clerk.send(page, "/replies/reading", {"read_note": ""})
    read = desk_clerk.send(page, "/replies/reading", {"read_note": "Answered: in Paris. No objection."})
    assert (without.status_code, read.status_code) == (422, 303)
    assert "nobody has read what a client wrote" not in desk_clerk.get(board).text
    assert "They ask where the new site is." in desk_clerk.get(page).text
    assert "Answered: in Paris. No objection." in desk_clerk.get(page).text


# --- mails that come back --------------------------------------------------------------------------------------------


def test_a_mail_that_came_back_has_told_nobody(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    desk_clerk.deliver()
    page = client_page(desk_clerk, board)

    without = desk_clerk.send(page, "/return", {"returned": ""})
    done = desk_clerk.send(page, "/return", {"returned": "user unknown"})

    assert (without.status_code, done.status_code) == (422, 303)
    assert desk_clerk.notice().state is NoticeState.UNREACHED
    assert "Mail came back" in desk_clerk.get(page).text


# --- excluding -------------------------------------------------------------------------------------------------------


def test_a_client_is_excluded_with_its_reason_and_holds_the_others_no_more(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({}, {}, per_client=True)
    desk_clerk.deliver()
    desk_clerk.objects()
    page = client_page(desk_clerk, board)
    assert f'<a href="{page}#exclusion">Acme 0</a>' in desk_clerk.get(board).text

    without = desk_clerk.send(page, "/exclusion", {"excluded_why": " "})
    done = desk_clerk.send(page, "/exclusion", {"excluded_why": "It stays on the old site."})

    assert (without.status_code, done.status_code) == (422, 303)
    assert "by Ana: It stays on the old site." in desk_clerk.get(page).text
    shown = desk_clerk.get(board).text
    assert "<strong>1</strong> excluded" in shown
    assert "an objection is open" not in shown.partition("Waiting for a person")[0]


def test_where_a_change_is_made_for_all_nobody_is_excluded(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce()
    page = client_page(desk_clerk, board)

    shown = desk_clerk.get(page)
    refused = desk_clerk.post(shown, f"{page}/exclusion", {"excluded_why": "It asked for it."})

    assert "/exclusion" not in shown.text
    assert refused.status_code == 409
    assert "This change cannot be made for one client and not for another." in refused.text


# --- every kind of answer --------------------------------------------------------------------------------------------


@pytest.mark.obligation("O4.2")
def test_a_refusal_is_shown_with_what_was_signed_and_is_settled_by_a_person(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce_move()
    desk_clerk.deliver()
    token, notice = desk_clerk.token(desk_clerk.deliveries()[0].id), desk_clerk.notice()
    with desk_clerk.runtime.transaction() as session:
        answers.refuse(
            session,
            desk_clerk.runtime.desk,
            token,
            notice.id,
            name="Camille Roy",
            statement="We do not agree.",
            reasons="The data stays here.",
            now=now(),
        )
    page = client_page(desk_clerk, board)

    shown = desk_clerk.get(page).text

    assert "<blockquote>We do not agree.</blockquote>" in shown
    assert "<blockquote>The data stays here.</blockquote>" in shown
    assert "until it agrees; its silence is a refusal" in shown
    assert f'href="{page}">Refusal to be settled: Acme 0</a>' in desk_clerk.get("/staff/").text
    assert "<strong>1</strong> refused to agree" in desk_clerk.get(board).text
    assert desk_clerk.send(page, "/settlement", {"note": "They will think again."}).status_code == 303
    assert "a client has not agreed" in desk_clerk.get(board).text


def test_an_agreement_that_looks_like_a_machines_opens_no_gate_before_a_person_has_looked(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce_move()
    desk_clerk.deliver()
    token, notice = desk_clerk.token(desk_clerk.deliveries()[0].id), desk_clerk.notice()
    with desk_clerk.runtime.transaction() as session:
        desk = desk_clerk.runtime.desk
        answers.consent(session, desk, token, notice.id, name="Bot", machine_like=True, now=now())
    page = client_page(desk_clerk, board)

    before = desk_clerk.get(page).text
    desk_clerk.send(page, "/review")

    assert "opens no gate yet" in before
    assert "a client has not agreed" in before
    assert "a client has not agreed" not in desk_clerk.get(page).text
    assert "<strong>1</strong> agreed" in desk_clerk.get(board).text


# --- refusals that keep what was typed -------------------------------------------------------------------------------


def test_a_receipt_of_a_notice_whose_period_runs_is_refused_and_what_was_typed_is_kept(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({"contacts": []})
    page = client_page(desk_clerk, board)
    shown = desk_clerk.get(page)
    desk_clerk.send(shown, "/receipt", {"received_on": "2026-03-02", "how": "by hand"})

    refused = desk_clerk.send(shown, "/receipt", {"received_on": "2026-03-02", "how": "registered letter 12"})

    assert refused.status_code == 409
    assert "This cannot be done to the notice as it stands now." in refused.text
    assert "Please correct this" in refused.text
    assert 'value="registered letter 12"' in refused.text


# --- what belongs to another client ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "typed"),
    [
        ("receipt", {"received_on": "2026-03-02", "how": "by hand"}),
        ("exclusion", {"excluded_why": "It stays."}),
        ("replies", {"text": "They ask."}),
        ("replies/reading", {"read_note": "Answered."}),
    ],
)
def test_a_client_is_acted_on_under_its_own_announcement_alone(
    desk_clerk: Staffer, act: str, typed: dict[str, str]
) -> None:
    board = desk_clerk.announce(per_client=True)
    page, notice = client_page(desk_clerk, board), desk_clerk.notice()

    strange = desk_clerk.post(page, f"/staff/announcements/{notice.id}/clients/{notice.id}/{act}", typed)

    assert strange.status_code == 404
    assert desk_clerk.notice().excluded_at is None
    assert "The receipt is recorded" not in desk_clerk.get(page).text


@pytest.mark.parametrize(("act", "typed"), [("settlement", {"note": "Settled."}), ("review", {"note": "Seen."})])
def test_an_answer_is_settled_on_the_page_of_its_own_client_alone(
    desk_clerk: Staffer, act: str, typed: dict[str, str]
) -> None:
    board = desk_clerk.announce({}, {})
    desk_clerk.deliver()
    desk_clerk.objects("Acme 1")
    with desk_clerk.runtime.reading() as session:
        answer_id = session.exec(select(Answer.id)).one()
    page = client_page(desk_clerk, board)

    strange = desk_clerk.post(page, f"{page}/answers/{answer_id}/{act}", typed)

    assert strange.status_code == 404
    assert "an objection is open" in desk_clerk.get(board).text


@pytest.mark.parametrize(
    ("act", "typed"),
    [
        ("arrival", {"evidence": "A line of the log."}),
        ("return", {"returned": "user unknown"}),
        ("repeats", {"address": "legal@acme.example"}),
    ],
)
def test_a_mail_is_acted_on_at_the_page_of_a_client_that_it_tells_alone(
    desk_clerk: Staffer, act: str, typed: dict[str, str]
) -> None:
    board = desk_clerk.announce({}, {})
    desk_clerk.deliver(Verdict.UNKNOWN)
    (theirs,) = [one for one in desk_clerk.deliveries() if one.address == "dpo@c-001.example"]
    page = client_page(desk_clerk, board)

    strange = desk_clerk.post(page, f"{page}/deliveries/{theirs.id}/{act}", typed)

    assert strange.status_code == 404
    assert [one.state for one in desk_clerk.deliveries()] == [DeliveryState.UNKNOWN] * 2
