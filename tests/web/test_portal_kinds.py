"""What a contact reads of each kind of announcement, and of each turn that an announcement takes."""

import re
from datetime import date, timedelta

import pytest
from sqlmodel import Session
from time_machine import Traveller

from notifier.models import Announcement, AnnouncementKind, OverrideKind
from notifier.rules.terms import Channel, ReceiptPolicy
from notifier.runtime import Runtime
from notifier.services import announcements, corrections, going_live, overrides
from notifier.services.desk import Desk
from tests.factories import NOON, REASONS, make_announcement
from tests.services.stories import send_due, with_pack
from tests.web.visiting import (
    FACTS,
    LATER,
    Page,
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

NO_CLOCK = [("service", "maintenance"), ("certification", "lost"), ("disclosure", "notice"), ("document", "")]
WHY = {"en": "The site stays.", "fr": "Le site reste."}
GOOGLE = "google-style-30-90"


def acts(visitor: Visitor, company: int = 0) -> set[str]:
    """The acts that the notice's page leads to for a company."""
    start = visitor.act("", company)
    links = Page(visitor.get(visitor.address).text).links
    return {link.removeprefix(start) for link in links if link.startswith(start)}


# --- each kind -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (("service", "new"), ["New service", "will start a new service on", "Object storage", "None."]),
        (("service", "maintenance"), ["Maintenance", "Virtual machines", "2 to 4 in the morning", "Art. 15"]),
        (("location", "storage"), ["Change of hosting place", "Anvers-Exemple", "Belgium", "Art. 4"]),
        (("security", ""), ["Lower level of security", "Encryption at rest", "On system disks."]),
        (("certification", "lost"), ["Certification lost", "since 27 February 2026", "What happened", "HDS"]),
        (("disclosure", "notice"), ["Disclosure to an authority", "What we are asked for", "Tribunal Exemple"]),
        (("disclosure", "consultation"), ["Consultation before a disclosure", "We ask for your view", "One mailbox."]),
        (("document", ""), ["New edition of a document", "Statement of applicability", "two new measures"]),
        (("support", ""), ["Change of support entity", "Aide Deux", "from "]),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_each_kind_says_what_it_is_what_changes_and_why(
    runtime: Runtime, clock: Traveller, kind: tuple[str, str], words: list[str]
) -> None:
    day = date(2026, 3, 9) if kind == ("disclosure", "notice") else None
    visitor = told(runtime, clock, of_kind(*kind, effective_on=day))

    page = visitor.get(visitor.address)

    assert page.status_code == 200
    assert [word for word in [*words, REASONS["en"], "Acme 0"] if word not in page.text] == []
    assert f"Reference: {visitor.announcement().reference}, " in page.text


@pytest.mark.parametrize("kind", sorted(FACTS), ids=".".join)
def test_each_kind_can_be_read_in_french(runtime: Runtime, clock: Traveller, kind: tuple[str, str]) -> None:
    visitor = told(runtime, clock, of_kind(*kind), language="fr")

    page = visitor.get(visitor.address)

    assert Page(page.text).language == "fr"
    assert REASONS["fr"] in page.text
    assert FACTS[kind].get("what_fr", FACTS[kind].get("scope_fr", FACTS[kind].get("after_fr", ""))) in page.text


def test_a_new_document_can_be_fetched_from_where_it_lies(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, of_kind("document"))

    assert "https://hosting.example/soa.pdf" in Page(visitor.get(visitor.address).text).links


def test_an_emergency_says_what_protects_the_data_and_asks_for_an_early_start(
    runtime: Runtime, clock: Traveller
) -> None:
    visitor = told(runtime, clock, emergency)

    text = visitor.get(visitor.address).text

    assert "asks for your consent to start on" in text
    assert "What protects your data meanwhile" in text
    assert "The data is encrypted." in text
    assert "Fibrexemple is replaced by Optexemple" in text
    assert "Your period runs until" in text
    assert "Without your consent, nothing starts for you before" in text
    assert "the change takes effect for you on the date announced" not in text  # that is said of an ordinary change


# --- which rights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "offered"),
    [
        (("service", "maintenance"), set()),
        (("document", ""), set()),
        (("disclosure", "notice"), set()),
        (("disclosure", "consultation"), {"objection"}),
        (("location", "storage"), {"consent", "refusal"}),
        (("security", ""), {"consent", "refusal"}),
        (("certification", "lost"), {"termination"}),
        (("support", ""), {"objection", "termination"}),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_only_what_the_contract_gives_is_offered(
    runtime: Runtime, clock: Traveller, kind: tuple[str, str], offered: set[str]
) -> None:
    visitor = told(runtime, clock, of_kind(*kind))

    assert acts(visitor) == offered
    everything = {"objection", "termination", "withdrawal", "consent", "refusal", "confirmation"}
    for act in everything - offered - ({"withdrawal"} if "objection" in offered else set()):
        for sent in (visitor.get(visitor.act(act)), visitor.browser.post(visitor.act(f"{act}/review"), data={})):
            assert sent.status_code == 422
            assert "does not ask for that answer" in sent.text
            assert visitor.address in Page(sent.text).links
    assert visitor.answers() == []


@pytest.mark.parametrize("kind", NO_CLOCK, ids=".".join)
def test_where_no_clock_of_the_clients_runs_no_last_day_is_shown(
    runtime: Runtime, clock: Traveller, kind: tuple[str, str]
) -> None:
    visitor = told(runtime, clock, of_kind(*kind))

    text = visitor.get(visitor.address).text

    assert "left." not in text
    assert "until Friday" not in text
    assert "Without an answer" in text
    assert "Your contract (Art. " in text


@pytest.mark.obligation("O10.1")
def test_whoever_is_consulted_gives_a_view_until_a_day_before_anything_is_disclosed(
    runtime: Runtime, clock: Traveller
) -> None:
    visitor = told(runtime, clock, of_kind("disclosure", "consultation"))
    text = visitor.get(visitor.address).text
    assert "You may give your view until Wednesday 4 March 2026 at 23:59 (Paris time)" in unmarked(text)
    assert "Object" not in text

    form = visitor.get(visitor.act("objection"))
    assert "What is your view?" in form.text
    sent = visitor.act_fully("objection", {"name": "Camille Roy", "choice": "yes", "reasons": "Secrecy of care."})

    assert "Your view is recorded" in visitor.get(sent.location).text
    assert "View given" in visitor.get(visitor.address).text
    assert acts(visitor) == {"withdrawal"}


def test_where_the_contract_has_two_clocks_both_days_are_shown(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, pack=GOOGLE)

    text = unmarked(visitor.get(visitor.address).text)

    assert "You may object until Tuesday 2 June 2026 at 23:59 (Paris time)." in text
    assert "Nothing starts for you before Saturday 4 April 2026." in text


def test_a_copy_for_information_says_that_the_letter_starts_the_period(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(
        with_desk(runtime, with_pack(runtime.desk, "by-letter", receipt=ReceiptPolicy.LRAR, channels=(Channel.PAPER,))),
        clock,
        pack="by-letter",
    )

    text = visitor.get(visitor.address).text

    assert "The notice itself comes to you by registered letter, and its receipt starts your period" in text
    assert acts(visitor) == {"objection", "termination"}


# --- each turn -------------------------------------------------------------------------------------------------------


def test_what_has_been_withdrawn_asks_for_nothing(visitor: Visitor) -> None:
    form = visitor.get(visitor.act("objection"))
    made = visitor.announcement().id
    visitor.do(lambda session, desk: corrections.withdraw(session, desk, made, reasons=WHY, by="test", now=LATER))

    page = visitor.get(visitor.address)

    assert "has withdrawn this announcement" in page.text
    assert "you have nothing to do" in page.text
    assert Page(page.text).forms == []
    assert acts(visitor) == set()
    late = visitor.send(form, {"name": "Camille Roy", "choice": "yes", "reasons": "No."})
    assert (late.status_code, visitor.answers()) == (409, [])
    assert "nothing left to answer" in late.text


def test_a_change_that_went_live_in_time_says_so_and_keeps_every_right(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, sent=True)
    made = visitor.announcement()
    at = made.effective_at + timedelta(hours=1)
    visitor.clock.move_to(at)
    visitor.do(lambda session, _desk: going_live.go_live(session, made.id, by="test", now=at))

    text = visitor.get(visitor.address).text

    assert "It has taken effect." in text
    assert "Done for this company on" in text
    assert "before your right had run" not in text
    assert "Without an answer" not in text  # silence means nothing any more
    assert acts(visitor) == {"objection", "termination"}


def test_a_change_made_before_the_right_had_run_is_told_with_reason_measures_and_its_real_start(
    visitor: Visitor,
) -> None:
    made = visitor.announcement()

    def burnt(session: Session, desk: Desk) -> None:
        why = {"en": "The old site burnt down.", "fr": "L’ancien site a brûlé."}
        measures = {"en": "All data is encrypted.", "fr": "Toutes les données sont chiffrées."}
        asked = overrides.ask(
            session, made.id, OverrideKind.BREACH, reasons=why, measures=measures,
            started_at=NOON + timedelta(minutes=10), by="user:ana", now=LATER,
        )  # fmt: skip
        going_live.breach(session, desk, asked.id, by="user:bob", now=LATER)

    visitor.do(burnt)
    text = unmarked(visitor.get(visitor.address).text)

    assert "This was done before your right had run" in text
    assert "Monday 2 March 2026 at 13:10 (Paris time)" in text
    assert "The old site burnt down." in text
    assert "All data is encrypted." in text
    assert "You may object until Friday 3 April 2026" in text
    assert acts(visitor) == {"objection", "termination"}


def test_a_day_that_was_moved_is_shown_with_the_one_before(visitor: Visitor) -> None:
    made = visitor.announcement()
    later = made.effective_on + timedelta(days=14)
    visitor.do(
        lambda session, desk: corrections.postpone(
            session, desk, made.id, effective_on=later, reasons=WHY, by="test", now=LATER
        )
    )

    text = unmarked(visitor.get(visitor.address).text)

    assert "from Saturday 18 April 2026." in text
    assert "it was Saturday 4 April 2026, it is now Saturday 18 April 2026." in text
    assert acts(visitor) == {"objection", "termination"}


def test_a_client_for_whom_it_is_not_done_reads_that_nothing_is_left_to_answer(
    runtime: Runtime, clock: Traveller
) -> None:
    visitor = told(runtime, clock, one_by_one, companies=2)
    visitor.do(
        lambda session, _desk: going_live.exclude(session, visitor.notices[0], why="Own host.", by="t", now=LATER)
    )

    assert "This is not done for this company" in visitor.get(visitor.address).text
    assert (acts(visitor), acts(visitor, 1)) == (set(), {"objection", "termination"})
    assert visitor.get(visitor.act("objection")).status_code == 409


def test_a_notice_that_comes_late_says_on_which_ground(runtime: Runtime, clock: Traveller) -> None:
    def too_late(session: Session, desk: Desk) -> Announcement:
        written = FACTS["service", "maintenance"]
        made = announcements.draft(
            session, kind=AnnouncementKind.SERVICE, aspect="maintenance", facts=written, reasons=REASONS,
            effective_on=date(2026, 3, 4), by="user:ana", now=NOON,
        )  # fmt: skip
        why = {"en": "A flaw is being used by attackers.", "fr": "Une faille est exploitée."}
        asked = overrides.ask(session, made.id, OverrideKind.LATE, reasons=why, by="user:ana", now=NOON)
        overrides.confirm(session, asked.id, by="user:bob", now=NOON)
        return announcements.publish_draft(session, desk, made.id, by="user:ana", now=NOON)

    visitor = told(runtime, clock, too_late)

    assert "A flaw is being used by attackers." in visitor.get(visitor.address).text


def test_a_receipts_link_opens_the_notice_too(visitor: Visitor) -> None:
    visitor.fill(visitor.address, {"name": "Camille Roy", "choice": "yes"})
    visitor.do(lambda session, desk: send_due(session, desk, now=LATER))

    again = visitor.opens("receipt")

    assert again.token != visitor.token
    assert "Receipt confirmed" in again.get(again.address).text


def one_by_one(session: Session, desk: Desk) -> Announcement:
    """A change that can be made for one client and not for another."""
    made = make_announcement(session, desk)
    made.per_client = True
    session.add(made)
    session.flush()
    return made


def unmarked(text: str) -> str:
    """The words of a page without the marks around days, on one line."""
    return " ".join(re.sub(r"<[^>]+>", "", text).split())
