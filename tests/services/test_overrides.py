"""What two persons decide: a service change told later than the contracts say, and what they may not wave through."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from uuid import uuid4

import pytest
from sqlmodel import Session

from notifier.models import Announcement, AnnouncementKind, AnnouncementState, EventKind, Override, OverrideKind
from notifier.services import announcements, boards, corrections, going_live, overrides, previews
from notifier.services.announcements import EffectiveTooEarly, SentTooLate
from notifier.services.desk import Desk
from notifier.services.overrides import NoSuchOverride, NotOverridable, SamePerson, StartedInFuture, WhyMissing
from tests.factories import NOON, REASONS, make_announcement, make_client, make_provider
from tests.services.stories import deliveries, happened, kinds_of_items, notice_of, send_due, the_draft, token_for

A_DAY = timedelta(days=1)
LEGAL = {"en": "The authority ordered it (L. 1111-8).", "fr": "L’autorité l’a ordonné (L. 1111-8)."}
MEASURES = {"en": "It is encrypted.", "fr": "Tout est chiffré."}
SERVICE = {
    "service": "Object storage", "what_en": "It stops.", "what_fr": "Arrêt.", "impact_en": "Half an hour.",
    "impact_fr": "Une demi-heure.",
}  # fmt: skip
# A week of clear days back from Thursday 12 March is Wednesday the 4th; two days of margin are for the mail of Monday.
LAWFUL, TOO_SOON = date(2026, 3, 12), date(2026, 3, 6)
LATE = OverrideKind.LATE


def maintenance(session: Session, on: date = TOO_SOON, *, now: datetime = NOON) -> Announcement:
    make_provider(session)
    make_client(session)
    make_client(session, "C-2", contacts=[])
    return announcements.draft(
        session, kind=AnnouncementKind.SERVICE, aspect="maintenance", facts=SERVICE, reasons=REASONS, effective_on=on,
        by="user:ana", now=now,
    )  # fmt: skip


def ask(session: Session, announcement: Announcement, *, by: str = "user:ana", now: datetime = NOON) -> Override:
    return overrides.ask(session, announcement.id, LATE, reasons=LEGAL, by=by, now=now)


def publish(session: Session, desk: Desk, draft: Announcement, *, now: datetime = NOON) -> Announcement:
    return announcements.publish_draft(session, desk, draft.id, by="user:ana", now=now)


def text_of(mail: bytes) -> str:
    message = message_from_bytes(mail, policy=default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


# --- late ------------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O15.2", "S-H")
def test_a_late_maintenance_is_refused_with_the_last_lawful_instant_and_the_first_lawful_day(
    session: Session, desk: Desk
) -> None:
    draft = maintenance(session)

    with pytest.raises(SentTooLate) as refused, session.begin_nested():
        publish(session, desk, draft)

    assert refused.value.latest_sending_at == datetime(2026, 2, 24, 17, 0, tzinfo=UTC)  # Tuesday, 18:00 in Paris
    assert refused.value.earliest_effective_on == LAWFUL
    assert deliveries(session) == []
    seen = previews.preview(session, desk, announcement=draft, now=NOON)
    assert (seen.latest_sending_at, seen.earliest_effective_on) == (
        refused.value.latest_sending_at,
        refused.value.earliest_effective_on,
    )


@pytest.mark.obligation("O15.2")
def test_a_maintenance_may_leave_until_its_last_lawful_instant_and_not_a_moment_later(
    session: Session, desk: Desk
) -> None:
    draft = maintenance(session, date(2026, 3, 20))
    latest = previews.preview(session, desk, announcement=draft, now=NOON).latest_sending_at
    assert latest is not None

    with pytest.raises(SentTooLate), session.begin_nested():
        publish(session, desk, draft, now=latest + timedelta(microseconds=1))
    publish(session, desk, session.get_one(Announcement, draft.id), now=latest)

    send_due(session, desk, now=latest)
    board = boards.board(session, draft.id, now=latest)
    assert board.gate.is_open  # no single client holds it
    assert board.counts["unreached"] == 1  # and yet it shows whom nobody reached
    assert kinds_of_items(session, draft) == ["unreachable_client"]


@pytest.mark.obligation("O15.2")
def test_two_persons_may_tell_it_late_and_the_legal_reason_stands_on_the_notice(session: Session, desk: Desk) -> None:
    draft = maintenance(session)
    asked = ask(session, draft)
    assert kinds_of_items(session, draft) == ["override_asked"]
    with pytest.raises(SentTooLate), session.begin_nested():
        publish(session, desk, draft)
    with pytest.raises(SamePerson):
        overrides.confirm(session, asked.id, by="user:ana", now=NOON)

    overrides.confirm(session, asked.id, by="user:bob", now=NOON)
    publish(session, desk, draft)

    (mail,) = send_due(session, desk, now=NOON)
    assert LEGAL["en"] in text_of(mail.content)
    assert kinds_of_items(session, draft) == ["unreachable_client"]
    decided = overrides.confirmed(session, draft.id, LATE)
    assert decided is not None
    assert (decided.asked_by, decided.decided_by) == ("user:ana", "user:bob")
    going_live.go_live(session, draft.id, by="user:ana", now=draft.effective_at)
    assert draft.state is AnnouncementState.LIVE


@pytest.mark.parametrize("reasons", [{}, {"en": "Because."}, {"en": "Because.", "fr": " "}])
def test_nobody_asks_without_the_legal_reason_in_both_languages(session: Session, reasons: dict[str, str]) -> None:
    draft = maintenance(session)

    with pytest.raises(WhyMissing):
        overrides.ask(session, draft.id, LATE, reasons=reasons, by="user:ana", now=NOON)

    assert kinds_of_items(session) == []


def test_what_was_decided_about_one_text_does_not_hold_for_another(session: Session, desk: Desk) -> None:
    draft = maintenance(session)
    overrides.confirm(session, ask(session, draft).id, by="user:bob", now=NOON)
    still_open = ask(session, draft, by="user:bob")

    announcements.revise(
        session, draft.id, aspect="maintenance", facts=SERVICE, reasons=REASONS, effective_on=date(2026, 3, 4),
        by="user:ana", now=NOON,
    )  # fmt: skip

    assert not still_open.open
    assert kinds_of_items(session) == []
    with pytest.raises(SentTooLate):
        publish(session, desk, draft)


@pytest.mark.obligation("O15.2")
def test_nor_does_it_hold_for_a_correction_that_one_person_makes_later(session: Session, desk: Desk) -> None:
    draft = maintenance(session)
    overrides.confirm(session, ask(session, draft).id, by="user:bob", now=NOON)
    publish(session, desk, draft, now=NOON + timedelta(hours=1))
    tuesday = NOON + A_DAY

    def sooner() -> None:
        corrections.correct(
            session,
            desk,
            draft.id,
            effective_on=date(2026, 3, 4),
            take_draft=the_draft(session),
            why="Sooner.",
            by="user:ana",
            now=tuesday,
        )

    with pytest.raises(SentTooLate), session.begin_nested():
        sooner()

    again = ask(session, session.get_one(Announcement, draft.id), now=tuesday)
    overrides.confirm(session, again.id, by="user:bob", now=tuesday)
    sooner()
    assert session.get_one(Announcement, draft.id).edition == 2


def test_being_told_late_takes_no_clients_own_period(session: Session, desk: Desk) -> None:
    """Two persons may tell a maintenance late; a contract that gives a right to object they cannot wave through."""
    make_provider(session)
    make_client(session)
    facts = {"after": "Aide", "country": "FR", "what_en": "New.", "what_fr": "Nouveau."}
    draft = announcements.draft(
        session, kind=AnnouncementKind.SUPPORT, facts=facts, reasons=REASONS, effective_on=TOO_SOON, by="u", now=NOON
    )
    overrides.confirm(session, ask(session, draft).id, by="user:bob", now=NOON)

    with pytest.raises(EffectiveTooEarly):
        publish(session, desk, draft)


def test_a_question_that_a_lawful_day_answers_waits_for_nobody(session: Session, desk: Desk) -> None:
    draft = maintenance(session, LAWFUL)
    asked = ask(session, draft)

    publish(session, desk, draft)

    assert not asked.open
    assert "override_asked" not in kinds_of_items(session, draft)
    with pytest.raises(NoSuchOverride):
        overrides.confirm(session, asked.id, by="user:bob", now=NOON)
    assert LEGAL["en"] not in text_of(send_due(session, desk, now=NOON)[0].content)


# --- asking and deciding ---------------------------------------------------------------------------------------------


def test_a_decision_is_taken_once(session: Session) -> None:
    draft = maintenance(session)
    asked = ask(session, draft)
    overrides.reject(session, asked.id, by="user:bob", now=NOON)

    with pytest.raises(NoSuchOverride):
        overrides.confirm(session, asked.id, by="user:bob", now=NOON)

    assert (asked.confirmed, overrides.confirmed(session, draft.id, LATE)) == (False, None)
    assert kinds_of_items(session) == []
    assert len(happened(session, EventKind.OVERRIDE_REJECTED)) == 1


def test_asking_again_takes_the_place_of_what_was_asked_and_leaves_one_thing_to_decide(session: Session) -> None:
    draft = maintenance(session)
    first, second = ask(session, draft), ask(session, draft, by="user:bob")

    assert (first.open, second.open) == (None, True)
    assert kinds_of_items(session, draft) == ["override_asked"]
    with pytest.raises(NoSuchOverride):
        overrides.confirm(session, first.id, by="user:bob", now=NOON)
    with pytest.raises(SamePerson):
        overrides.confirm(session, second.id, by="user:bob", now=NOON)
    overrides.confirm(session, second.id, by="user:ana", now=NOON)
    assert kinds_of_items(session, draft) == []


def test_whoever_asked_may_take_it_back(session: Session) -> None:
    draft = maintenance(session)
    asked = ask(session, draft)

    overrides.reject(session, asked.id, by="user:ana", now=NOON)

    assert overrides.open_for(session, draft.id, LATE) is None


def test_a_discarded_draft_leaves_nothing_to_decide(session: Session) -> None:
    draft = maintenance(session)
    ask(session, draft)

    announcements.discard(session, draft.id, by="user:ana", now=NOON)

    assert kinds_of_items(session) == []
    with pytest.raises(NotOverridable):
        ask(session, draft)


def test_there_is_nothing_to_decide_about_what_there_is_not(session: Session) -> None:
    with pytest.raises(NotOverridable):
        overrides.ask(session, uuid4(), LATE, reasons=LEGAL, by="user:ana", now=NOON)
    with pytest.raises(NoSuchOverride):
        overrides.confirm(session, uuid4(), by="user:bob", now=NOON)


@pytest.mark.parametrize(
    ("measures", "missing"), [({}, ["measures_en", "measures_fr"]), ({"en": "x"}, ["measures_fr"])]
)
def test_a_breach_says_what_protects_the_data_meanwhile(
    session: Session, desk: Desk, measures: dict[str, str], missing: list[str]
) -> None:
    make_provider(session)
    announcement = make_announcement(session, desk)

    with pytest.raises(WhyMissing) as refused:
        overrides.ask(
            session, announcement.id, OverrideKind.BREACH, reasons=LEGAL, measures=measures, by="user:ana", now=NOON
        )

    assert refused.value.fields == missing


def test_a_breach_that_has_not_begun_is_none(session: Session, desk: Desk) -> None:
    make_provider(session)
    announcement, kind = make_announcement(session, desk), OverrideKind.BREACH

    with pytest.raises(StartedInFuture):
        overrides.ask(
            session, announcement.id, kind, reasons=LEGAL, measures=MEASURES, started_at=NOON + A_DAY, by="u", now=NOON
        )


def test_a_draft_is_not_breached(session: Session) -> None:
    draft = maintenance(session)

    with pytest.raises(NotOverridable):
        overrides.ask(session, draft.id, OverrideKind.BREACH, reasons=LEGAL, measures=MEASURES, by="u", now=NOON)


def test_the_letter_of_a_breach_says_why_since_when_and_what_protects_the_data(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session, contacts=[{"email": "dpo@c-001.example", "language": "fr"}])
    announcement = make_announcement(session, desk)
    send_due(session, desk, now=NOON)
    began, kind = NOON + timedelta(hours=5), OverrideKind.BREACH
    asked = overrides.ask(
        session, announcement.id, kind, reasons=LEGAL, measures=MEASURES, started_at=began, by="user:ana",
        now=NOON + A_DAY,
    )  # fmt: skip

    going_live.breach(session, desk, asked.id, by="user:bob", now=NOON + A_DAY)

    (mail,) = send_due(session, desk, now=NOON + A_DAY)
    text = text_of(mail.content)
    assert LEGAL["fr"] in text
    assert MEASURES["fr"] in text
    assert "2 mars 2026" in text
    assert "18 h 00" in text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert token_for(session, desk, "dpo@c-001.example", "breach")
    assert notice_of(session, client).live_at == began
