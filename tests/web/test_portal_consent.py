"""What a client's contact agrees to, refuses or confirms through the link in its mail."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select
from time_machine import Traveller

from notifier.models import AnnouncementState, AnswerKind, Item, ItemKind
from notifier.rules.gate import Hold
from notifier.runtime import Runtime
from notifier.services import answers, boards, corrections, going_live
from tests.web.visiting import LATER, Page, Visitor, clock, emergency, of_kind, runtime, told

__all__ = ["clock", "runtime"]

SIGNED = {"name": "Camille Roy", "choice": "yes"}


@pytest.fixture
def asked(runtime: Runtime, clock: Traveller) -> Visitor:
    """A client without whose consent its data is not moved to Belgium."""
    return told(runtime, clock, of_kind("location", "storage"))


@pytest.fixture
def hurried(runtime: Runtime, clock: Traveller) -> Visitor:
    """A client that is asked for an early start."""
    return told(runtime, clock, emergency, sent=True)


@pytest.fixture
def exporter(runtime: Runtime, clock: Traveller) -> Visitor:
    """A client that must stop exporting health data, since the certification is lost."""
    return told(runtime, clock, of_kind("certification", "lost"), pack="selligent-health-2020")


def holds(visitor: Visitor) -> tuple[Hold, ...]:
    made = visitor.announcement()
    with Session(visitor.runtime.engine) as session:
        return boards.board(session, made.id, now=made.effective_at).gate.holds


def links(visitor: Visitor) -> list[str]:
    return Page(visitor.get(visitor.address).text).links


# --- consent ---------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O4.2")
def test_consent_is_given_on_a_second_page_and_kept_word_for_word(asked: Visitor) -> None:
    review = asked.fill(asked.act("consent"), SIGNED)
    statement = f"Acme 0 consents to the change of hosting place {asked.announcement().reference}."
    assert statement in review.text
    assert asked.answers() == []

    sent = asked.send(review, {})

    (answer,) = asked.answers()
    assert (answer.kind, answer.signed_name, answer.statement) == (AnswerKind.CONSENT, "Camille Roy", statement)
    receipt = asked.get(sent.location).text
    assert "Your consent is recorded" in receipt
    assert statement in receipt
    assert Hold.CONSENT not in holds(asked)


@pytest.mark.obligation("O4.2")
@pytest.mark.obligation("O5.5")
@pytest.mark.obligation("O19.1")
@pytest.mark.parametrize("kind", [("location", "storage"), ("security", "")], ids=".".join)
def test_whoever_is_asked_for_consent_reads_that_silence_means_no(
    runtime: Runtime, clock: Traveller, kind: tuple[str, str]
) -> None:
    visitor = told(runtime, clock, of_kind(*kind), sent=True)

    assert "that is a refusal" in visitor.get(visitor.address).text
    assert "Silence is not consent" in visitor.get(visitor.act("consent")).text
    assert "Silence would mean the same" in visitor.get(visitor.act("refusal")).text
    assert holds(visitor) == (Hold.CONSENT,)


def test_consent_in_french_is_kept_in_french(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, of_kind("location", "storage"), language="fr")

    visitor.act_fully("consent", SIGNED)

    (answer,) = visitor.answers()
    assert "au changement de lieu d’hébergement" in answer.statement


@pytest.mark.obligation("O4.2")
def test_a_refusal_is_recorded_with_its_reasons_and_holds_the_gate(asked: Visitor) -> None:
    sent = asked.act_fully("refusal", {**SIGNED, "reasons": "Our data stays in France."})

    (answer,) = asked.answers()
    assert (answer.kind, answer.reasons) == (AnswerKind.REFUSAL, "Our data stays in France.")
    assert "does not consent to the change of hosting place" in answer.statement
    assert "Your refusal is recorded" in asked.get(sent.location).text
    assert Hold.REFUSAL in holds(asked)


def test_who_consented_may_refuse_later_and_the_other_way_round(asked: Visitor) -> None:
    consented = asked.act_fully("consent", SIGNED)
    assert asked.act("consent") not in links(asked)

    asked.act_fully("refusal", SIGNED)

    assert [(answer.kind, answer.standing) for answer in asked.answers()] == [
        (AnswerKind.CONSENT, None),
        (AnswerKind.REFUSAL, True),
    ]
    assert "followed by another answer" in asked.get(consented.location).text
    assert asked.act("consent") in links(asked)
    assert asked.act("refusal") not in links(asked)


def test_each_company_consents_for_itself(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, of_kind("location", "storage"), companies=2)

    visitor.act_fully("consent", SIGNED)

    assert [answer.notice_id for answer in visitor.answers()] == [visitor.notices[0]]
    assert visitor.act("consent", 1) in links(visitor)
    assert visitor.act("consent") not in links(visitor)


@pytest.mark.parametrize(("typed", "after"), [({"homepage": "https://spam.example"}, 60), ({}, 1)])
def test_a_consent_that_looks_like_a_machines_opens_nothing_until_a_person_has_looked_and_says_so(
    asked: Visitor, typed: dict[str, str], after: int
) -> None:
    sent = asked.act_fully("consent", SIGNED | typed, after=timedelta(seconds=after))

    assert "Your consent counts for nothing yet" in asked.get(sent.location).text
    assert "a person of ours looks at it first" in asked.get(asked.address).text
    assert Hold.CONSENT in holds(asked)
    with Session(asked.runtime.engine) as session:
        assert ItemKind.MACHINE_LIKE_ANSWER in session.exec(select(Item.kind)).all()

    (answer,) = asked.answers()
    asked.do(lambda session, _desk: answers.review(session, answer.id, note="Called her.", by="user:ana", now=LATER))

    assert "Your consent counts for nothing yet" not in asked.get(sent.location).text
    assert Hold.CONSENT not in holds(asked)


def test_nothing_is_consented_to_without_a_name_and_a_chosen_statement(asked: Visitor) -> None:
    for typed in ({}, {"name": "Camille Roy"}, {"choice": "yes"}):
        assert asked.fill(asked.act("consent"), typed).status_code == 422
    assert asked.answers() == []


def test_consent_comes_too_late_once_the_change_has_been_made(asked: Visitor) -> None:
    asked.act_fully("consent", SIGNED)
    made = asked.announcement()
    review = asked.fill(asked.act("refusal"), SIGNED)
    at = made.effective_at + timedelta(hours=1)
    asked.do(lambda session, _desk: going_live.go_live(session, made.id, by="test", now=at))
    assert asked.announcement().state is AnnouncementState.LIVE

    late = asked.send(review, {})

    assert late.status_code == 409
    assert "nothing left to consent to or to refuse" in late.text
    assert asked.address in Page(late.text).links
    assert len(asked.answers()) == 1
    assert asked.act("refusal") not in links(asked)


def test_nobody_consents_to_a_text_that_was_corrected_while_the_page_was_open(asked: Visitor) -> None:
    review = asked.fill(asked.act("consent"), SIGNED)
    made = asked.announcement()
    facts = {**made.facts, "place": "Gand-Exemple"}
    asked.do(
        lambda session, desk: corrections.correct(
            session, desk, made.id, facts=facts, effective_on=made.effective_on + timedelta(days=7),
            why="The place was wrong.", by="test", now=LATER,
        )
    )  # fmt: skip

    sent = asked.send(review, {})

    assert sent.status_code == 422
    assert "the notice was corrected meanwhile" in sent.text
    assert "This notice was corrected on" in sent.text
    assert asked.answers() == []


# --- an early start --------------------------------------------------------------------------------------------------


def test_an_early_start_is_consented_to_for_its_day(hurried: Visitor) -> None:
    assert Hold.PERIOD in holds(hurried)

    hurried.act_fully("consent", SIGNED)

    (answer,) = hurried.answers()
    assert "starts on 5 March 2026, without waiting for the end of its period." in answer.statement
    assert holds(hurried) == ()


def test_refusing_an_early_start_keeps_the_whole_period_and_says_until_when(hurried: Visitor) -> None:
    form = hurried.get(hurried.act("refusal")).text
    assert "You keep your whole period, until Friday 3 April 2026 at 23:59 (Paris time)" in form
    assert "nothing starts for you before 4 April 2026" in form
    before = hurried.notice().holds_until

    hurried.act_fully("refusal", SIGNED)

    assert hurried.notice().holds_until == before
    assert holds(hurried) == (Hold.PERIOD,)
    assert hurried.act("objection") in links(hurried)


# --- confirmation ----------------------------------------------------------------------------------------------------


@pytest.mark.obligation("S6b")
def test_a_client_confirms_in_its_contracts_own_words_that_it_has_stopped(exporter: Visitor) -> None:
    stopped = "If the HDS certification lost is Selligent’s: we have stopped exporting health data to the platform."
    assert stopped in exporter.get(exporter.act("confirmation")).text

    sent = exporter.act_fully("confirmation", SIGNED)

    (answer,) = exporter.answers()
    assert (answer.kind, answer.statement) == (AnswerKind.CONFIRMATION, stopped)
    receipt = exporter.get(sent.location).text
    assert "Your confirmation is recorded" in receipt
    assert "Nothing more is needed from you." in receipt
    assert exporter.act("confirmation") not in links(exporter)


@pytest.mark.obligation("O5.6")
def test_a_contract_is_terminated_through_the_link(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock)

    sent = visitor.act_fully("termination", SIGNED)

    assert [answer.kind for answer in visitor.answers()] == [AnswerKind.TERMINATION]
    assert "Your termination of the contract is recorded" in visitor.get(sent.location).text
    assert Hold.TERMINATION in holds(visitor)
