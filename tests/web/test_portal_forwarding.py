"""What a client that is itself a processor passes on to its own clients."""

import pytest
from time_machine import Traveller

from notifier.models import Event
from notifier.runtime import Runtime
from notifier.services import corrections
from tests.factories import NOON, REASONS
from tests.web.visiting import LATER, Page, Visitor, clock, runtime, told

__all__ = ["clock", "runtime"]

GOOGLE = "google-style-30-90"


@pytest.fixture
def reseller(runtime: Runtime, clock: Traveller) -> Visitor:
    return told(runtime, clock, reseller=True, pack=GOOGLE)


def test_the_notice_leads_to_a_text_in_both_languages_to_pass_on_as_it_is(reseller: Visitor) -> None:
    assert reseller.act("forwarding") in Page(reseller.get(reseller.address).text).links

    page = reseller.get(reseller.act("forwarding"))

    assert page.status_code == 200
    for said in (REASONS["en"], REASONS["fr"], '<section lang="en"', '<section lang="fr"', "readonly"):
        assert said in page.text
    assert reseller.token not in page.text.partition("<textarea")[2].partition("</textarea>")[0]
    assert "<script" not in page.text


def test_the_last_day_to_pass_it_on_leaves_the_clients_below_their_time(reseller: Visitor) -> None:
    page = reseller.get(reseller.act("forwarding")).text
    made = reseller.announcement()

    day = reseller.runtime.desk.packs[GOOGLE].rule_for("subprocessor").last_day_to_forward(made.effective_on)

    assert day is not None
    assert "Last day to pass it on: " in page
    assert f'datetime="{day.isoformat()}"' in page


def test_after_the_last_day_to_pass_it_on_it_is_to_be_done_at_once(reseller: Visitor) -> None:
    reseller.clock.move_to(NOON.replace(month=4, day=20))

    assert "pass it on at once" in reseller.get(reseller.act("forwarding")).text


def test_programs_get_the_same_as_json(reseller: Visitor) -> None:
    assert reseller.act("forwarding.json") in Page(reseller.get(reseller.act("forwarding")).text).links

    file = reseller.get(reseller.act("forwarding.json"))

    reference = reseller.announcement().reference
    assert (file.status_code, file.mimetype) == (200, "application/json")
    assert file.headers["Content-Disposition"] == f"attachment; filename={reference}.json"
    assert file.headers["Cache-Control"] == "no-store"
    assert file.json is not None
    assert (file.json["reference"], file.json["reasons"]) == (reference, REASONS)
    assert "Acme 0" not in file.text


def test_taking_the_text_changes_nothing(reseller: Visitor) -> None:
    events = reseller.count(Event)

    for path in ("forwarding", "forwarding.json"):
        reseller.get(reseller.act(path))

    assert (reseller.count(Event), len(reseller.fetches())) == (events, 0)


def test_a_client_that_is_no_processor_has_nothing_to_pass_on(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock)

    assert visitor.act("forwarding") not in Page(visitor.get(visitor.address).text).links
    for path in ("forwarding", "forwarding.json"):
        assert visitor.get(visitor.act(path)).status_code == 404


def test_what_has_been_withdrawn_is_not_passed_on(reseller: Visitor) -> None:
    made = reseller.announcement().id
    reseller.do(lambda session, desk: corrections.withdraw(session, desk, made, reasons=REASONS, by="t", now=LATER))

    assert reseller.act("forwarding") not in Page(reseller.get(reseller.address).text).links
    assert reseller.get(reseller.act("forwarding")).status_code == 409
