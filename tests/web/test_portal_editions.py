"""What a contact sees through the link of a mail that has been overtaken: what holds now, and what is different."""

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from sqlmodel import Session
from time_machine import Traveller

from notifier.models import AnswerKind
from notifier.runtime import Runtime, now
from notifier.services import corrections, registry
from notifier.services.desk import Desk
from tests.factories import REASONS
from tests.services.stories import send_due, the_draft
from tests.web.visiting import LATER, Page, Visitor, clock, of_kind, runtime, told, visitor, visitor_of_three

__all__ = ["clock", "runtime", "visitor", "visitor_of_three"]

SIGNED = {"name": "Camille Roy", "choice": "yes"}
BETTER = {"en": "The old provider goes bankrupt.", "fr": "L’ancien prestataire fait faillite."}
A_DAY = timedelta(days=1)


def correct(visitor: Visitor, **what: object) -> None:
    made = visitor.announcement()
    written = {"effective_on": made.effective_on + timedelta(days=14), **what}

    def write(session: Session, desk: Desk) -> None:
        said = {**written, "take_draft": the_draft(session)}
        corrections.correct(session, desk, made.id, **said, why="It was wrong.", by="test", now=now())  # type: ignore[arg-type] # mixed

    visitor.clock.shift(A_DAY)
    visitor.do(write)
    visitor.clock.shift(A_DAY)


def respell(visitor: Visitor, reasons: Mapping[str, str]) -> None:
    made = visitor.announcement()
    visitor.clock.shift(A_DAY)
    visitor.do(
        lambda session, _desk: corrections.respell(
            session, made.id, reasons=reasons, why="A slip.", by="test", now=now()
        )
    )
    visitor.clock.shift(A_DAY)


def marks(page: str) -> tuple[list[str], list[str]]:
    """What a page marks as struck out, and as put in."""
    return tuple(  # type: ignore[return-value] # two of them
        [part.partition(f"</{tag}>")[0] for part in page.split(f"<{tag}>")[1:]] for tag in ("del", "ins")
    )


def test_an_old_link_opens_what_holds_now_with_the_differences_marked(visitor: Visitor) -> None:
    correct(visitor, reasons=BETTER)

    page = visitor.get(visitor.address).text

    assert "This notice was corrected on" in page
    assert "Tuesday 3 March 2026" in page
    struck, put = marks(page)
    assert struck == ["4 April 2026", REASONS["en"]]
    assert put == ["18 April 2026", BETTER["en"]]
    assert "Before: </span><del>" in page
    assert "Now: </span><ins>" in page
    assert page.count(BETTER["en"]) == 2  # marked, and in its place


def test_facts_that_were_corrected_are_marked(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, of_kind("location", "storage"))
    facts = {**visitor.announcement().facts, "place": "Gand-Exemple"}

    correct(visitor, facts=facts)

    struck, put = marks(visitor.get(visitor.address).text)
    assert "Anvers-Exemple" in struck
    assert "Gand-Exemple" in put


def test_changes_of_the_registry_that_were_corrected_are_marked(visitor: Visitor) -> None:
    def another(session: Session, _desk: Desk) -> None:
        registry.amend_entry(session, "optexemple", {"town": "Lyon"}, by="test", now=LATER)

    visitor.do(another)
    correct(visitor)

    struck, put = marks(visitor.get(visitor.address).text)
    assert any("Paris" in one for one in struck)
    assert any("Lyon" in one for one in put)


def test_the_link_of_the_correction_itself_marks_nothing(visitor: Visitor) -> None:
    correct(visitor, reasons=BETTER)
    visitor.do(lambda session, desk: send_due(session, desk, now=LATER + 2 * A_DAY))

    page = visitor.opens("notice").get(visitor.opens("notice").address).text

    assert "This notice was corrected on" not in page
    assert marks(page) == ([], [])
    assert BETTER["en"] in page


def test_an_acknowledgement_of_the_earlier_text_has_lapsed_and_is_asked_for_again(visitor: Visitor) -> None:
    sent = visitor.fill(visitor.address, SIGNED)
    correct(visitor)

    page = visitor.get(visitor.address).text
    assert "(lapsed: the notice was corrected afterwards; please answer again)" in page
    assert "Please confirm again." in page
    assert "it has lapsed" in visitor.get(sent.location).text

    visitor.fill(visitor.address, SIGNED)

    assert [(answer.kind, answer.standing, answer.edition) for answer in visitor.answers()] == [
        (AnswerKind.ACKNOWLEDGEMENT, None, 1),
        (AnswerKind.ACKNOWLEDGEMENT, True, 2),
    ]
    assert "Please confirm again." not in visitor.get(visitor.address).text


def test_an_objection_to_the_earlier_text_stands(visitor: Visitor) -> None:
    visitor.act_fully("objection", {**SIGNED, "reasons": "No."})
    correct(visitor)

    page = visitor.get(visitor.address).text

    assert "lapsed" not in page
    assert visitor.act("withdrawal") in Page(page).links


def test_a_consent_to_the_earlier_text_has_lapsed_and_is_asked_for_again(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, of_kind("location", "storage"))
    visitor.act_fully("consent", SIGNED)
    correct(visitor, facts={**visitor.announcement().facts, "place": "Gand-Exemple"})

    page = visitor.get(visitor.address).text

    assert "(lapsed: the notice was corrected afterwards; please answer again)" in page
    assert visitor.act("consent") in Page(page).links


def test_a_corrected_spelling_is_a_quiet_line_and_asks_for_nothing(visitor: Visitor) -> None:
    visitor.fill(visitor.address, SIGNED)
    respell(visitor, BETTER)

    page = visitor.get(visitor.address).text

    assert "Wording corrected on" in page
    assert BETTER["en"] in page
    assert marks(page) == ([], [])
    assert "Please confirm again." not in page
    assert [answer.standing for answer in visitor.answers()] == [True]


@pytest.mark.parametrize("act", ["objection", "termination"])
def test_whoever_answers_through_an_old_link_is_told_to_read_the_correction_first(visitor: Visitor, act: str) -> None:
    assert "read it first" not in visitor.get(visitor.act(act)).text

    correct(visitor)

    assert "Your answer is to what it says now: read it first." in visitor.get(visitor.act(act)).text


def test_differences_are_marked_in_the_language_of_the_page(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, language="fr")
    correct(visitor, reasons=BETTER, effective_on=date(2026, 4, 20))

    struck, put = marks(visitor.get(visitor.address).text)

    assert struck == ["4 avril 2026", REASONS["fr"]]
    assert put == ["20 avril 2026", BETTER["fr"]]
