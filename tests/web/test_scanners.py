"""Mail gateways open links, follow them, and press buttons.  None of that is an answer."""

from collections import deque

import pytest
from time_machine import Traveller

from notifier.models import Answer, Event
from notifier.rules.notice_states import NoticeState
from notifier.rules.terms import ReceiptPolicy
from notifier.runtime import Runtime
from tests.services.stories import with_pack
from tests.web.visiting import (
    Form,
    Page,
    Tell,
    Visitor,
    clock,
    emergency,
    of_kind,
    runtime,
    told,
    visitor,
    visitor_of_three,
    with_desk,
)

__all__ = ["clock", "runtime", "visitor", "visitor_of_three"]


def _everything_reachable(visitor: Visitor) -> dict[str, Page]:
    """Follow every link of every page, as a gateway does; address → page."""
    seen: dict[str, Page] = {}
    waiting = deque([visitor.address])
    while waiting:
        address = waiting.popleft()
        if address not in seen and address.startswith("/"):
            seen[address] = Page(visitor.get(address).text)
            waiting += seen[address].links
    return seen


def _send(visitor: Visitor, form: Form, **typed: str) -> int:
    return visitor.browser.post(form.action, data={**dict(form.fields), **typed}).status_code


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS"])
@pytest.mark.parametrize("headers", [{}, {"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}])
def test_opening_a_link_is_no_answer_however_it_is_opened(
    visitor: Visitor, method: str, headers: dict[str, str]
) -> None:
    visitor.browser.open(visitor.address, method=method, headers=headers)

    assert visitor.answers() == []


def test_opening_a_link_twenty_times_is_no_answer(visitor: Visitor) -> None:
    for _ in range(20):
        visitor.get(visitor.address)

    assert visitor.answers() == []
    assert len(visitor.fetches()) == 20


def test_following_every_link_of_every_page_is_no_answer(visitor_of_three: Visitor) -> None:
    events = visitor_of_three.count(Event)

    reached = _everything_reachable(visitor_of_three)

    assert {
        visitor_of_three.act(act, company) for act in ("objection", "termination") for company in range(3)
    } <= reached.keys()
    assert visitor_of_three.answers() == []
    assert visitor_of_three.count(Event) == events


def test_sending_every_form_as_it_stands_is_no_answer(visitor: Visitor) -> None:
    forms = [form for page in _everything_reachable(visitor).values() for form in page.forms]

    assert {_send(visitor, form) for form in forms} == {422}
    assert visitor.answers() == []


@pytest.mark.parametrize("typed", [{"name": "Robot"}, {"name": "Robot", "reasons": "lorem ipsum"}, {"choice": "yes"}])
def test_a_typed_name_without_a_chosen_statement_is_no_answer_and_neither_is_the_reverse(
    visitor: Visitor, typed: dict[str, str]
) -> None:
    forms = [form for page in _everything_reachable(visitor).values() for form in page.forms]

    assert {_send(visitor, form, **typed) for form in forms} == {422}
    assert visitor.answers() == []


def test_no_statement_and_none_of_several_companies_is_chosen_beforehand(visitor_of_three: Visitor) -> None:
    for page in _everything_reachable(visitor_of_three).values():
        for form in page.forms:
            assert form.offered["choice"] == ["yes"]
            assert not {"choice", "companies"} & dict(form.fields).keys()


EVERY_RIGHT = [
    pytest.param(of_kind("location", "storage"), "outscale-hds-2022", {"consent", "refusal"}, id="consent"),
    pytest.param(emergency, "outscale-hds-2022", {"consent", "refusal", "objection", "termination"}, id="emergency"),
    pytest.param(of_kind("certification", "lost"), "selligent-health-2020", {"confirmation"}, id="confirmation"),
    pytest.param(of_kind("disclosure", "consultation"), "outscale-hds-2022", {"objection"}, id="consultation"),
]


@pytest.mark.parametrize(("tell", "pack", "acts"), EVERY_RIGHT)
def test_following_every_link_and_sending_every_form_is_no_answer_whatever_is_asked(
    runtime: Runtime, clock: Traveller, tell: Tell, pack: str, acts: set[str]
) -> None:
    visitor = told(runtime, clock, tell, pack=pack)
    events = visitor.count(Event)

    reached = _everything_reachable(visitor)
    forms = [form for page in reached.values() for form in page.forms]

    assert {visitor.act(act) for act in acts} <= reached.keys()
    for typed in ({}, {"name": "Robot", "reasons": "lorem"}, {"choice": "yes"}):
        assert {_send(visitor, form, **typed) for form in forms} == {422}
    assert (visitor.answers(), visitor.count(Event)) == ([], events)


@pytest.mark.parametrize(("tell", "pack", "acts"), EVERY_RIGHT)
def test_filling_in_a_first_page_is_no_answer_whatever_is_asked(
    runtime: Runtime, clock: Traveller, tell: Tell, pack: str, acts: set[str]
) -> None:
    visitor = told(runtime, clock, tell, pack=pack)

    for act in acts:
        assert visitor.fill(visitor.act(act), {"name": "Robot", "choice": "yes", "reasons": "lorem"}).status_code == 200

    assert visitor.answers() == []


def test_where_pressing_a_button_is_the_receipt_a_gateway_starts_no_clock(runtime: Runtime, clock: Traveller) -> None:
    desk = with_pack(runtime.desk, "by-display", receipt=ReceiptPolicy.DISPLAY)
    visitor = told(with_desk(runtime, desk), clock, pack="by-display")
    events = visitor.count(Event)

    reached = _everything_reachable(visitor)
    forms = [form for page in reached.values() for form in page.forms]

    assert [form.action for form in forms if "lang=" not in form.action] == [f"{visitor.address}/display"]
    assert {_send(visitor, form) for form in forms} == {422}
    assert (visitor.notice().state, visitor.count(Event)) == (NoticeState.RAISED, events)


@pytest.mark.parametrize("act", ["objection", "termination", "withdrawal"])
def test_posting_without_ever_opening_a_page_is_no_answer(visitor: Visitor, act: str) -> None:
    everything = {"name": "Robot", "choice": "yes", "reasons": "lorem ipsum", "companies": str(visitor.notices[0])}

    for path in (visitor.act(act), f"{visitor.act(act)}/review", f"{visitor.address}/acknowledgement"):
        assert visitor.browser.post(path, data=everything).status_code == 422
    assert visitor.answers() == []


def test_filling_in_a_first_page_is_no_objection_before_the_second_page_is_sent(visitor: Visitor) -> None:
    for act in ("objection", "termination"):
        visitor.fill(visitor.act(act), {"name": "Robot", "choice": "yes", "reasons": "lorem ipsum"})

    assert visitor.answers() == []


def test_opening_a_receipt_answers_nothing_more(visitor: Visitor) -> None:
    sent = visitor.fill(visitor.address, {"name": "Camille Roy", "choice": "yes"})
    before = (visitor.count(Answer), visitor.count(Event))

    for _ in range(3):
        visitor.get(sent.location)
    _everything_reachable(visitor)

    assert (visitor.count(Answer), visitor.count(Event)) == before
