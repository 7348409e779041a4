"""What a client's contact answers through the link in its mail."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select
from time_machine import Traveller

from notifier.models import Announcement, AnswerKind, Delivery, Item, ItemKind
from notifier.runtime import Runtime
from notifier.services import going_live
from notifier.services.desk import Desk
from tests.web.visiting import LATER, Page, Visitor, clock, last_minute, runtime, told, visitor, visitor_of_three

__all__ = ["clock", "runtime", "visitor", "visitor_of_three"]

SIGNED = {"name": "Camille Roy", "choice": "yes"}
OBJECTION = {**SIGNED, "reasons": "Our own clients forbid it.\n\nSee annex B."}
AS_TYPED = "Our own clients forbid it.\r\n\r\nSee annex B."


def test_acknowledging_leads_to_a_receipt_that_says_what_who_and_when(visitor: Visitor) -> None:
    sent = visitor.fill(visitor.address, SIGNED)

    assert sent.status_code == 303
    (answer,) = visitor.answers()
    assert sent.location == f"{visitor.address}/receipts/{answer.reference}"
    assert (answer.kind, answer.signed_name) == (AnswerKind.ACKNOWLEDGEMENT, "Camille Roy")
    assert answer.answered_at == LATER + timedelta(minutes=1)
    receipt = visitor.get(sent.location).text
    for said in (
        answer.reference,
        "Camille Roy",
        "Acme 0",
        "Monday 2 March 2026 at 14:01 (Paris time)",
        "A mail confirms this",
    ):
        assert said in receipt


def test_acknowledging_confirms_receipt_and_nothing_else(visitor: Visitor) -> None:
    assert "and nothing else" in visitor.get(visitor.address).text

    sent = visitor.fill(visitor.address, SIGNED)

    assert "and nothing else" in visitor.get(sent.location).text
    page = visitor.get(visitor.address).text
    assert "Object to the change" in page
    assert "Terminate the contract" in page


def test_a_contact_of_several_companies_ticks_those_it_answers_for(visitor_of_three: Visitor) -> None:
    visitor = visitor_of_three
    form = Page(visitor.get(visitor.address).text).forms[0]
    assert not [value for name, value in form.fields if name == "companies"]

    ticked = [str(visitor.notices[0]), str(visitor.notices[2])]
    visitor.fill(visitor.address, {**SIGNED, "companies": ticked})

    answers = visitor.answers()
    assert {answer.notice_id for answer in answers} == {visitor.notices[0], visitor.notices[2]}
    assert len({answer.reference for answer in answers}) == 1
    assert Page(visitor.get(visitor.address).text).forms[0].offered["companies"] == [str(visitor.notices[1])]


@pytest.mark.parametrize("act", ["objection", "termination"])
def test_an_objection_and_a_termination_are_restated_on_a_second_page_before_anything_is_recorded(
    visitor: Visitor, act: str
) -> None:
    review = visitor.fill(visitor.act(act), OBJECTION)

    assert review.status_code == 200
    assert "Check before you send" in review.text
    assert "Our own clients forbid it." in review.text
    assert visitor.answers() == []

    sent = visitor.send(review, {})

    (answer,) = visitor.answers()
    assert (answer.kind.value, answer.signed_name, answer.reasons) == (act, "Camille Roy", OBJECTION["reasons"])
    assert sent.status_code == 303
    assert answer.reference in visitor.get(sent.location).text


def test_a_browsers_line_ends_are_kept_as_the_lines_that_were_typed(visitor: Visitor) -> None:
    visitor.act_fully("objection", {**SIGNED, "reasons": AS_TYPED})

    assert [answer.reasons for answer in visitor.answers()] == [OBJECTION["reasons"]]


def test_a_termination_needs_no_reasons(visitor: Visitor) -> None:
    visitor.act_fully("termination", SIGNED)

    assert [answer.kind for answer in visitor.answers()] == [AnswerKind.TERMINATION]


def test_an_objection_can_be_withdrawn_and_made_anew(visitor: Visitor) -> None:
    visitor.act_fully("objection", OBJECTION)
    page = visitor.get(visitor.address)
    assert visitor.act("withdrawal") in Page(page.text).links
    assert visitor.act("objection") not in Page(page.text).links

    sent = visitor.act_fully("withdrawal", SIGNED)

    assert "This answer no longer stands" in visitor.get(sent.location).text
    assert [answer.standing for answer in visitor.answers()] == [None]
    visitor.act_fully("objection", OBJECTION)
    assert [answer.standing for answer in visitor.answers()] == [None, True]


def test_withdrawing_what_does_not_stand_leads_back_to_the_notice(visitor: Visitor) -> None:
    sent = visitor.act_fully("withdrawal", SIGNED)

    assert (sent.status_code, sent.location) == (303, visitor.address)
    assert visitor.answers() == []


def test_the_same_answer_twice_shows_the_same_receipt(visitor: Visitor) -> None:
    page = visitor.get(visitor.address)
    acknowledged = [visitor.send(page, SIGNED).location for _ in range(2)]
    review = visitor.fill(visitor.act("objection"), OBJECTION)
    objected = [visitor.send(review, {}).location for _ in range(2)]

    assert len(set(acknowledged)) == len(set(objected)) == 1
    assert len(visitor.answers()) == 2


def test_after_the_last_day_an_answer_is_taken_and_shown_as_late(visitor: Visitor) -> None:
    visitor.clock.move_to(last_minute(visitor))

    sent = visitor.act_fully("objection", OBJECTION)

    assert [answer.late for answer in visitor.answers()] == [True]
    assert "(late)" in visitor.get(sent.location).text
    assert "(late)" in visitor.get(visitor.address).text


def test_colleagues_see_what_was_answered_by_whom(visitor: Visitor) -> None:
    visitor.act_fully("objection", OBJECTION)

    page = visitor.get(visitor.address).text
    assert "Answered so far" in page
    assert "Camille Roy, " in page


def test_an_answer_in_french_gets_a_receipt_in_french(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, language="fr")

    sent = visitor.fill(visitor.address, {**SIGNED, "name": "Zoé Lefèvre"})

    receipt = visitor.get(sent.location).text
    assert Page(receipt).language == "fr"
    assert "lundi 2 mars 2026 à 14\u00a0h\u00a001 (heure de Paris)" in receipt
    assert "Zoé Lefèvre" in receipt


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ({"name": ""}, "Type your full name."),
        ({"name": " 42 "}, "Type your full name."),
        ({"name": "x" * 201}, "Shorten your name to 200 characters."),
        ({"choice": ""}, "Choose the statement above the button"),
        ({"reasons": " \r\n "}, "Write it down, in your own words."),
        ({"reasons": "x" * 10_001}, "Shorten your reasons to 10000 characters."),
    ],
)
def test_what_is_missing_is_said_in_a_sentence_and_nothing_typed_is_lost(
    visitor: Visitor, missing: dict[str, str], sentence: str
) -> None:
    page = visitor.fill(visitor.act("objection"), OBJECTION | missing)

    assert page.status_code == 422
    assert sentence in page.text
    assert "Nothing has been recorded yet" in page.text
    assert "<title>Error: " in page.text
    kept = {**OBJECTION, **missing}
    assert f'value="{kept["name"].strip()}"' in page.text
    assert kept["reasons"].strip() in page.text
    assert visitor.answers() == []


def test_a_form_that_comes_back_still_offers_the_other_language(visitor: Visitor) -> None:
    page = visitor.fill(visitor.act("objection"), {})

    assert f"{visitor.address}?lang=fr" in Page(page.text).links


def test_without_a_company_nothing_is_acknowledged(visitor_of_three: Visitor) -> None:
    page = visitor_of_three.fill(visitor_of_three.address, SIGNED)

    assert page.status_code == 422
    assert "Tick each company" in page.text
    assert visitor_of_three.answers() == []


def test_ticked_companies_stay_ticked_when_a_form_comes_back(visitor_of_three: Visitor) -> None:
    visitor = visitor_of_three
    ticked = str(visitor.notices[1])

    page = visitor.fill(visitor.address, {"companies": ticked, "choice": "yes"})

    assert ("companies", ticked) in Page(page.text).forms[0].fields
    assert ("choice", "yes") in Page(page.text).forms[0].fields


@pytest.mark.parametrize("act", ["acknowledgement", "objection"])
def test_a_form_that_is_too_old_comes_back_fresh_with_everything_typed(visitor: Visitor, act: str) -> None:
    path = visitor.address if act == "acknowledgement" else visitor.act(act)

    page = visitor.fill(path, OBJECTION, after=timedelta(hours=3))

    assert page.status_code == 422
    assert "This page had been open for too long" in page.text
    assert 'value="Camille Roy"' in page.text
    assert visitor.answers() == []
    assert visitor.send(page, {}).status_code in {200, 303}


def test_a_review_that_is_too_old_leads_back_to_the_form_with_everything_typed(visitor: Visitor) -> None:
    review = visitor.fill(visitor.act("objection"), OBJECTION)

    page = visitor.send(review, {}, after=timedelta(hours=3))

    assert page.status_code == 422
    assert "Our own clients forbid it." in page.text
    assert visitor.answers() == []


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://elsewhere.example"}],
)
def test_a_form_sent_from_elsewhere_is_not_taken(visitor: Visitor, headers: dict[str, str]) -> None:
    assert visitor.fill(visitor.address, SIGNED, headers=headers).status_code == 422
    assert visitor.answers() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},  # a browser on our page, which sends no referrer
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_sent_from_our_page_is_taken(visitor: Visitor, headers: dict[str, str]) -> None:
    assert visitor.fill(visitor.address, SIGNED, headers=headers).status_code == 303


def test_a_form_of_one_act_or_link_does_not_serve_for_another(visitor_of_three: Visitor) -> None:
    visitor = visitor_of_three
    stolen = dict(Page(visitor.get(visitor.act("objection")).text).forms[0].fields)["form_token"]

    for act in ("objection", "termination", "withdrawal"):
        assert visitor.browser.post(visitor.act(act), data={**OBJECTION, "form_token": stolen}).status_code == 422
        other = visitor.act(f"{act}/review", company=1)
        assert visitor.browser.post(other, data={**OBJECTION, "form_token": stolen}).status_code == 422
    assert visitor.answers() == []


def test_an_answer_with_a_bad_link_gets_the_page_of_bad_links(visitor: Visitor) -> None:
    unknown = visitor.get("/notice/x").text
    for path in (
        "acknowledgement",
        f"companies/{visitor.notices[0]}/objection",
        f"companies/{visitor.notices[0]}/objection/review",
    ):
        page = visitor.browser.post(f"/notice/x/{path}", data=OBJECTION)
        assert (page.status_code, page.text) == (404, unknown)


def test_an_answer_for_somebody_elses_company_gets_the_page_of_bad_links(visitor: Visitor) -> None:
    for other in ("x", f"{'0' * 8}-0000-7000-8000-{'0' * 12}"):
        assert visitor.fill(visitor.address, {**SIGNED, "companies": other}).status_code == 404
    assert visitor.answers() == []


@pytest.mark.parametrize(
    ("typed", "after"), [({"homepage": "https://spam.example"}, 60), ({}, 2)], ids=["hidden field", "two seconds"]
)
@pytest.mark.parametrize("act", ["acknowledgement", "objection"])
def test_what_looks_like_a_machine_is_recorded_and_put_before_a_person(
    visitor: Visitor, act: str, typed: dict[str, str], after: int
) -> None:
    seconds = timedelta(seconds=after) / (2 if act == "objection" else 1)

    if act == "acknowledgement":
        visitor.fill(visitor.address, SIGNED | typed, after=seconds)
    else:
        visitor.act_fully(act, OBJECTION | typed, after=seconds)

    assert [answer.machine_like for answer in visitor.answers()] == [True]
    with Session(visitor.runtime.engine) as session:
        assert ItemKind.MACHINE_LIKE_ANSWER in session.exec(select(Item.kind)).all()


@pytest.mark.parametrize(("typed", "after"), [({"homepage": "https://spam.example"}, 60), ({}, 1)])
def test_a_withdrawal_that_looks_like_a_machines_leaves_the_objection_standing_and_says_so(
    visitor: Visitor, typed: dict[str, str], after: int
) -> None:
    visitor.act_fully("objection", OBJECTION)

    sent = visitor.act_fully("withdrawal", SIGNED | typed, after=timedelta(seconds=after))

    assert sent.status_code == 303
    assert "Your objection still stands." in visitor.get(sent.location).text
    assert "Your objection still stands." not in visitor.get(visitor.address).text
    assert [answer.standing for answer in visitor.answers()] == [True]


def test_somebody_who_takes_three_seconds_is_no_machine(visitor: Visitor) -> None:
    visitor.fill(visitor.address, SIGNED, after=timedelta(seconds=3))

    assert [answer.machine_like for answer in visitor.answers()] == [False]


def test_each_answer_is_confirmed_by_a_mail(visitor: Visitor) -> None:
    visitor.fill(visitor.address, SIGNED)
    visitor.act_fully("objection", OBJECTION)

    with Session(visitor.runtime.engine) as session:
        letters = session.exec(
            select(Delivery.letter).where(Delivery.letter == "receipt", Delivery.address == "dpo@acme.example")
        )
        assert len(letters.all()) == 2


def test_what_a_client_types_is_shown_as_text(visitor: Visitor) -> None:
    hostile = '"><script>alert(1)</script>{{ 7*7 }}'

    review = visitor.fill(visitor.act("objection"), {"name": f"Eve {hostile}", "choice": "yes", "reasons": hostile})
    sent = visitor.send(review, {"name": f"Eve {hostile}", "reasons": hostile})

    for page in (review, visitor.get(sent.location), visitor.get(visitor.address)):
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text


def test_characters_that_no_database_keeps_are_left_out(visitor: Visitor) -> None:
    visitor.act_fully("objection", {"name": "Camille\x00 Roy", "choice": "yes", "reasons": "a\x00\x07b"})

    assert [(answer.signed_name, answer.reasons) for answer in visitor.answers()] == [("Camille Roy", "ab")]


def exclude(visitor: Visitor, company: int) -> None:
    def decide(session: Session, _desk: Desk) -> None:
        visitor_announcement = session.exec(select(Announcement)).one()
        visitor_announcement.per_client = True
        session.flush()
        going_live.exclude(session, visitor.notices[company], why="It stays.", by="test", now=LATER)

    visitor.do(decide)


def test_a_company_for_which_it_is_not_made_has_no_receipt_to_confirm(visitor_of_three: Visitor) -> None:
    exclude(visitor_of_three, 0)

    (form,) = Page(visitor_of_three.get(visitor_of_three.address).text).forms
    sent = visitor_of_three.fill(visitor_of_three.address, {**SIGNED, "companies": form.offered["companies"]})

    assert form.offered["companies"] == [str(one) for one in visitor_of_three.notices[1:]]
    assert sent.status_code == 303


def test_where_it_is_made_for_none_of_the_companies_nothing_is_confirmed(visitor: Visitor) -> None:
    exclude(visitor, 0)

    page = visitor.get(visitor.address)

    assert page.status_code == 200
    assert Page(page.text).forms == []
