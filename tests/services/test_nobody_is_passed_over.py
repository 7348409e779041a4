"""What must not happen around the gate: nobody gets what it blocked, and nobody is wronged without being told."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlmodel import Session, select

from notifier.models import Announcement, AnnouncementKind, Client, Delivery, Notice
from notifier.services import announcements, answers, corrections, going_live, notices, registry
from notifier.services.announcements import EffectiveInPast
from notifier.services.corrections import NotWording
from notifier.services.desk import Desk
from notifier.services.going_live import EarlierNotLive, NobodyLeft, UntoldClients
from tests.factories import NOON, REASONS, make_client, make_entry, make_provider, make_version
from tests.services.stories import breach, kinds_of_items, send_due, the_draft, token_for

SUMMER = date(2026, 7, 1)
LATER = NOON + timedelta(days=125)


def announce(session: Session, desk: Desk, name: str, *, replaces: str = "", per_client: bool) -> Announcement:
    registry.add_entry(session, make_entry(name, replaces=replaces), by="ana", now=NOON)
    return announcements.publish(
        session, desk, effective_on=SUMMER, reasons=REASONS, per_client=per_client, by="ana", now=NOON
    )


def notice_of(session: Session, announcement: Announcement, client: Client) -> Notice:
    return notices.of_client(session, announcement.id, client.id)


@pytest.fixture
def two(session: Session) -> tuple[Client, Client]:
    make_provider(session)
    make_version(session)
    return make_client(session, "C-1"), make_client(session, "C-2")


def test_a_change_for_everybody_waits_for_whoever_blocks_the_one_before(
    session: Session, desk: Desk, two: tuple[Client, Client]
) -> None:
    earlier = announce(session, desk, "Optexemple", per_client=True)
    send_due(session, desk, now=NOON)
    token, mine = token_for(session, desk, "dpo@c-1.example"), notice_of(session, earlier, two[0])
    answers.object_to(session, desk, token, mine.id, name="Zoé Roy", reasons="No.", now=NOON)
    later = announce(session, desk, "Archivexemple", replaces="optexemple", per_client=False)
    apart = announce(session, desk, "Calculexemple", per_client=False)
    send_due(session, desk, now=NOON)
    going_live.go_live(session, earlier.id, by="ana", now=LATER)
    assert (notice_of(session, earlier, two[0]).live_at, earlier.state) == (None, "published")
    going_live.go_live(session, apart.id, by="ana", now=LATER)  # it has nothing to do with either

    with pytest.raises(EarlierNotLive, match=earlier.reference):
        going_live.go_live(session, later.id, by="ana", now=LATER)
    going_live.exclude(session, mine.id, why="It objects.", by="ana", now=LATER)
    going_live.go_live(session, later.id, by="ana", now=LATER)
    assert later.state == "live"


@pytest.mark.usefixtures("two")
def test_whoever_has_not_been_told_is_told_before_a_breach(session: Session, desk: Desk) -> None:
    announcement = announce(session, desk, "Optexemple", per_client=False)
    send_due(session, desk, now=NOON)
    make_client(session, "C-3")

    with pytest.raises(UntoldClients), session.begin_nested():
        breach(session, desk, announcement, now=NOON + timedelta(days=1))

    announcements.tell_latecomers(session, desk, announcement.id, by="ana", now=NOON + timedelta(days=1))
    send_due(session, desk, now=NOON + timedelta(days=1))
    breach(session, desk, announcement, now=NOON + timedelta(days=1))
    assert announcement.state == "live"


@pytest.mark.usefixtures("two")
def test_a_wronged_client_whom_no_mail_reaches_is_put_before_a_person(session: Session, desk: Desk) -> None:
    make_client(session, "C-3", contacts=[])
    announcement = announce(session, desk, "Optexemple", per_client=False)
    send_due(session, desk, now=NOON)

    breach(session, desk, announcement, now=NOON + timedelta(days=1))

    assert kinds_of_items(session, announcement).count("tell_by_letter") == 1


def test_a_receipt_from_before_a_correction_is_none_of_the_corrected_text(
    session: Session, desk: Desk, two: tuple[Client, Client]
) -> None:
    announcement = announce(session, desk, "Optexemple", per_client=False)
    send_due(session, desk, now=NOON)
    corrected_at = NOON + timedelta(days=20)
    registry.amend_entry(session, "optexemple", {"country": "BE"}, by="ana", now=corrected_at)
    corrections.correct(
        session, desk, announcement.id, take_draft=the_draft(session), why="Belgium.", by="ana", now=corrected_at
    )
    mine = notice_of(session, announcement, two[0])

    with pytest.raises(notices.ReceiptTooEarly):
        notices.record_receipt(
            session, desk, mine.id, received_on=date(2026, 3, 5), how="by hand", by="ana", now=corrected_at
        )


@pytest.mark.usefixtures("two")
def test_a_draft_that_nobody_spoke_of_is_not_taken_into_a_correction(session: Session, desk: Desk) -> None:
    announcement = announce(session, desk, "Optexemple", per_client=False)
    registry.add_entry(session, make_entry("Zayo"), by="bob", now=NOON)

    then = NOON + timedelta(hours=1)
    corrections.correct(session, desk, announcement.id, effective_on=date(2026, 8, 1), why="Later.", by="ana", now=then)

    assert [change.name for change in announcements.changes_of(announcement)] == ["Optexemple"]
    assert registry.draft(session) is not None


def test_when_everybody_is_excluded_nothing_goes_live(session: Session, desk: Desk, two: tuple[Client, Client]) -> None:
    announcement = announce(session, desk, "Optexemple", per_client=True)
    for client in two:
        mine = notice_of(session, announcement, client)
        going_live.exclude(session, mine.id, why="They object.", by="ana", now=NOON)

    with pytest.raises(NobodyLeft):
        going_live.go_live(session, announcement.id, by="ana", now=LATER)

    states = session.exec(select(Delivery.state).where(Delivery.letter == "notice")).all()
    assert list(states) == ["dropped", "dropped"]  # nobody is told of what is not done for it


@pytest.mark.usefixtures("two")
def test_nothing_is_postponed_into_the_past(session: Session, desk: Desk) -> None:
    announcement = announce(session, desk, "Optexemple", per_client=False)

    with pytest.raises(EffectiveInPast):
        corrections.postpone(
            session, desk, announcement.id, effective_on=date(2026, 7, 2), reasons=REASONS, by="ana", now=LATER
        )


@pytest.mark.usefixtures("two")
def test_another_company_is_no_matter_of_wording(session: Session, desk: Desk) -> None:
    facts = {"after": "Support SA", "country": "FR", "what_en": "By telephone.", "what_fr": "Par téléphone."}
    written = announcements.draft(
        session,
        kind=AnnouncementKind.SUPPORT,
        facts=facts,
        reasons=REASONS,
        effective_on=SUMMER,
        by="ana",
        now=NOON,
    )
    announcements.publish_draft(session, desk, written.id, by="ana", now=NOON)

    with pytest.raises(NotWording), session.begin_nested():
        corrections.respell(
            session, written.id, facts={**facts, "after": "Autre SA"}, why="A slip.", by="ana", now=NOON
        )
    session.refresh(written)
    corrections.respell(
        session, written.id, facts={**facts, "what_en": "By telephone and mail."}, why="A slip.", by="ana", now=NOON
    )
    assert written.facts["what_en"] == "By telephone and mail."
