"""Where pressing a button is the receipt: nothing starts before somebody has pressed it."""

from datetime import timedelta

import pytest
from sqlmodel import Session
from time_machine import Traveller

from notifier.models import Event, EventKind
from notifier.rules.notice_states import NoticeState
from notifier.rules.terms import ReceiptPolicy
from notifier.runtime import Runtime
from tests.services.stories import happened, with_pack
from tests.web.visiting import LATER, Page, Visitor, clock, runtime, told, with_desk

__all__ = ["clock", "runtime"]


@pytest.fixture
def covered(runtime: Runtime, clock: Traveller) -> Visitor:
    return told(shown_by_pressing(runtime), clock, companies=2, pack="by-display")


def shown_by_pressing(runtime: Runtime) -> Runtime:
    return with_desk(runtime, with_pack(runtime.desk, "by-display", receipt=ReceiptPolicy.DISPLAY))


def displays(visitor: Visitor) -> int:
    with Session(visitor.runtime.engine) as session:
        return len(happened(session, EventKind.NOTICE_DISPLAYED))


def test_a_cover_says_who_writes_and_what_pressing_does_and_tells_nothing_of_the_notice(covered: Visitor) -> None:
    page = covered.get(covered.address)

    assert page.status_code == 200
    for said in ("A notice awaits you", "Hébergement Exemple SAS", "Art. 5", "counts as receipt of this notice"):
        assert said in page.text
    for untold in ("Optexemple", "Change of subprocessor", covered.announcement().reference, "The old provider"):
        assert untold not in page.text
    (form,) = Page(page.text).forms
    assert (form.method, form.action) == ("post", f"{covered.address}/display")


def test_pressing_the_button_starts_the_clock_and_shows_the_notice(covered: Visitor) -> None:
    sent = covered.fill(covered.address, {})

    assert (sent.status_code, sent.location) == (303, covered.address)
    page = covered.get(sent.location).text
    assert "Fibrexemple is replaced by Optexemple" in page
    assert displays(covered) == 2
    assert [covered.notice(number).state for number in (0, 1)] == [NoticeState.RUNNING] * 2
    assert covered.notice().received_on == LATER.date()


@pytest.mark.parametrize(
    "path", ["", "/companies/{}/objection", "/companies/{}/forwarding", "/companies/{}/termination"]
)
def test_opening_any_page_however_often_starts_no_clock(covered: Visitor, path: str) -> None:
    address = covered.address + path.format(covered.notices[0])
    for method in ("GET", "HEAD", "OPTIONS"):
        for _ in range(5):
            covered.browser.open(address, method=method)

    assert displays(covered) == 0
    assert covered.notice().state is NoticeState.RAISED
    if path:
        assert covered.get(address).location == covered.address


@pytest.mark.parametrize(("typed", "after"), [({}, 1), ({"homepage": "https://spam.example"}, 60)])
def test_a_program_that_presses_the_button_starts_no_clock(covered: Visitor, typed: dict[str, str], after: int) -> None:
    page = covered.fill(covered.address, typed, after=timedelta(seconds=after))

    assert page.status_code == 422
    assert "Please press the button once more." in page.text
    assert "Optexemple" not in page.text
    assert displays(covered) == 0
    assert covered.send(page, {}).status_code == 303
    assert displays(covered) == 2


def test_a_press_from_elsewhere_or_without_the_page_starts_no_clock(covered: Visitor) -> None:
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert covered.fill(covered.address, {}, headers=cross).status_code == 422
    assert covered.browser.post(f"{covered.address}/display").status_code == 422
    assert covered.fill(covered.address, {}, after=timedelta(hours=3)).status_code == 422

    assert displays(covered) == 0


def test_pressing_twice_is_one_display(covered: Visitor) -> None:
    page = covered.get(covered.address)

    for _ in range(2):
        assert covered.send(page, {}).status_code == 303

    assert displays(covered) == 2


def test_an_answer_takes_the_notice_to_be_shown_first(covered: Visitor) -> None:
    signed = {"name": "Robot", "choice": "yes", "reasons": "lorem", "companies": str(covered.notices[0])}
    for path in (f"{covered.address}/acknowledgement", covered.act("objection"), covered.act("objection/review")):
        sent = covered.browser.post(path, data=signed)
        assert (sent.status_code, sent.location) == (303, covered.address)

    assert covered.answers() == []


def test_a_link_that_opens_nothing_shows_no_cover(covered: Visitor) -> None:
    unknown = covered.get("/notice/x").text

    assert covered.browser.post("/notice/x/display").text == unknown


def test_a_notice_that_is_deemed_received_has_no_cover(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock)
    events = visitor.count(Event)

    assert "Optexemple" in visitor.get(visitor.address).text
    assert visitor.count(Event) == events
