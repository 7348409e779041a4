"""What becomes of an announcement that clients were told of: corrected, respelt, postponed or withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from sqlmodel import Session, select

from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.models import (
    Announcement,
    AnnouncementKind,
    AnnouncementState,
    Client,
    Delivery,
    EventKind,
    Notice,
    OverrideKind,
    PaperLetter,
    Sealed,
    Version,
)
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Hold
from notifier.rules.notice_states import NoticeState
from notifier.services import (
    announcements,
    answers,
    boards,
    corrections,
    going_live,
    notices,
    outbox,
    overrides,
    public_record,
    registry,
    timeline,
)
from notifier.services.announcements import EffectiveTooEarly, NotPublished
from notifier.services.corrections import BuiltUpon, NotEarlier, NothingCorrected, WhyMissing
from notifier.services.desk import Desk
from notifier.services.registry import DraftLeans, NothingChanged
from tests.factories import NOON, REASONS, make_announcement, make_client, make_contact, make_entry, make_provider
from tests.services.stories import (
    RELAY,
    deliveries,
    happened,
    kinds_of_items,
    notice_of,
    send_due,
    the_draft,
    token_for,
)

A_DAY = timedelta(days=1)
LATER = NOON + 10 * A_DAY  # Thursday 12 March
SUMMER = date(2026, 7, 1)
BOTH = {"en": "The address was wrong.", "fr": "L’adresse était erronée."}
ACME = "dpo@c-001.example"
REPLACES = "THIS MESSAGE REPLACES OUR NOTICE OF 2 MARCH 2026"


@dataclass(frozen=True)
class Story:
    session: Session
    desk: Desk
    client: Client
    announcement: Announcement

    @property
    def notice(self) -> Notice:
        return notice_of(self.session, self.client)

    def send(self, now: datetime = NOON, *, verdict: Verdict = Verdict.ACCEPTED) -> list[Mail]:
        return send_due(self.session, self.desk, now=now, verdicts={ACME: verdict})

    def correct(self, now: datetime = LATER, on: date = SUMMER) -> Announcement:
        """Another town for the one who arrives, and another day."""
        registry.amend_entry(self.session, "optexemple", {"town": "Lyon"}, by="ana", now=now)
        return corrections.correct(
            self.session, self.desk, self.announcement.id, effective_on=on, take_draft=the_draft(self.session),
            why="Wrong town.", by="ana", now=now,
        )  # fmt: skip

    def respell(self, now: datetime = LATER) -> Announcement:
        reasons = {**REASONS, "en": "The old provider closes its only site."}
        return corrections.respell(
            self.session, self.announcement.id, reasons=reasons, why="A word was missing.", by="ana", now=now
        )

    def postpone(self, on: date = SUMMER, now: datetime = LATER) -> Announcement:
        return corrections.postpone(
            self.session, self.desk, self.announcement.id, effective_on=on, reasons=BOTH, by="ana", now=now
        )

    def withdraw(self, now: datetime = LATER) -> Announcement:
        return corrections.withdraw(self.session, self.desk, self.announcement.id, reasons=BOTH, by="ana", now=now)

    def claim(self, now: datetime = NOON) -> list[Mail]:
        return outbox.claim(self.session, self.desk, worker="worker", limit=10, now=now)

    def settle(self, mails: Sequence[Mail], verdict: Verdict, *, now: datetime = LATER, hand_over: bool = True) -> None:
        if hand_over:
            outbox.hand_over(self.session, self.desk, mails, worker="worker")
            self.session.expire_all()
        outcomes = [
            Outcome(
                delivery_id=mail.delivery_id,
                attempt=mail.attempt,
                verdict=verdict,
                code=None,
                reply="",
                peer=RELAY,
                tls="",
            )
            for mail in mails
        ]
        outbox.settle(self.session, self.desk, outcomes, worker="worker", now=now)

    def object(self, now: datetime = NOON) -> None:
        token = token_for(self.session, self.desk, ACME)
        answers.object_to(self.session, self.desk, token, self.notice.id, name="C. Roy", reasons="No.", now=now)


@pytest.fixture
def story(session: Session, desk: Desk) -> Story:
    """Optexemple is to take the place of Fibrexemple; nothing has left yet."""
    make_provider(session)
    client = make_client(session)
    return Story(session, desk, client, make_announcement(session, desk))


def states(session: Session) -> list[str]:
    mails = session.exec(select(Delivery).where(Delivery.letter == "notice").order_by(Delivery.created_at))  # type: ignore[arg-type] # a column
    return [mail.state.value for mail in mails]


def text_of(mail: bytes) -> str:
    message = message_from_bytes(mail, policy=default)
    assert isinstance(message, EmailMessage)
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def board(story: Story, now: datetime) -> boards.Row:
    (row,) = boards.board(story.session, story.announcement.id, now=now).rows
    return row


# --- in substance ----------------------------------------------------------------------------------------------------


def test_a_correction_in_substance_gives_everybody_the_whole_period_anew(story: Story) -> None:
    story.send()
    assert (story.notice.state, story.notice.object_by) == (NoticeState.RUNNING, date(2026, 4, 3))

    story.correct()

    notice = story.notice
    assert (notice.state, notice.edition, notice.received_on) == (NoticeState.RAISED, 2, None)
    assert notice.object_by == date(2026, 4, 13)  # Thursday 12 March, two days, 30 days
    (mail,) = story.send(LATER)
    assert story.notice.received_on == LATER.date()
    text = text_of(mail.content)
    assert "Lyon" in text
    assert "1 July 2026" in text
    assert [one.number for one in announcements.editions(story.session, story.announcement.id)] == [1, 2]
    assert board(story, story.notice.object_until).gate.is_open
    assert board(story, story.notice.object_until - A_DAY).gate.holds == (Hold.PERIOD,)


def test_a_corrected_replacement_stays_a_replacement_under_the_next_number(story: Story) -> None:
    story.send()

    story.correct()

    (change,) = announcements.changes_of(story.announcement)
    assert (change.kind, change.before and change.before.key, change.after and change.after.town) == (
        "replaced",
        "fibrexemple",
        "Lyon",
    )
    assert story.announcement.reference == "SP-2026-0002"
    announced, corrected = registry.get(story.session, 2), registry.get(story.session, 3)
    assert (announced.withdrawn_at, corrected.withdrawn_at) == (LATER, None)
    assert story.announcement.version_id == corrected.id

    end = story.announcement.effective_at
    story.send(LATER)
    notices.lapse_due(story.session, now=end)
    going_live.go_live(story.session, story.announcement.id, by="ana", now=end)
    live = registry.live(story.session, end)
    assert live is not None
    assert {(one.name, one.town) for one in registry.entries(story.session, live)} == {
        ("Equinix", "Paris"),
        ("Optexemple", "Lyon"),
    }


def test_a_last_day_that_was_told_is_not_taken_back_by_a_correction(story: Story) -> None:
    """The clock was set back between them: the correction counts from an earlier day."""
    story.send()

    story.correct(now=NOON - 5 * A_DAY)

    assert (story.notice.object_by, story.notice.edition) == (date(2026, 4, 3), 2)
    assert story.notice.holds_until == story.notice.object_until


def test_whoever_was_told_learns_what_differs_and_the_others_are_told_of_this_edition_alone(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    for key in ("C-1", "C-2"):
        make_client(session, key)
    announcement = make_announcement(session, desk)
    send_due(session, desk, now=NOON, verdicts={"dpo@c-2.example": Verdict.DEFERRED})
    Story(session, desk, make_client(session, "C-3"), announcement).correct()

    mails = {mail.recipient: text_of(mail.content) for mail in send_due(session, desk, now=LATER)}

    assert set(mails) == {"dpo@c-1.example", "dpo@c-2.example", "dpo@c-3.example"}
    differs = {address for address, text in mails.items() if REPLACES in text}
    assert differs == {"dpo@c-1.example"}
    assert all("Lyon" in text for text in mails.values())
    assert boards.board(session, announcement.id, now=LATER).untold == ()


def test_acknowledgements_lapse_with_a_correction_and_objections_carry_over(story: Story) -> None:
    story.send()
    token = token_for(story.session, story.desk, ACME)
    answers.acknowledge(story.session, story.desk, token, [story.notice.id], name="C. Roy", now=NOON)
    story.object()
    answers.terminate(story.session, story.desk, token, story.notice.id, name="C. Roy", now=NOON)

    story.correct()
    story.send(LATER)

    after = story.notice.object_until
    row = board(story, after)
    assert {answer.kind.value for answer in row.answers if answer.standing} == {"objection", "termination"}
    assert row.gate.holds == (Hold.OBJECTION, Hold.TERMINATION)
    assert kinds_of_items(story.session, story.announcement) == ["objection", "termination"]

    # Through the first mail's link, of which a copy is on the client's desk, the corrected text is answered.
    again = answers.acknowledge(story.session, story.desk, token, [story.notice.id], name="C. Roy", now=LATER)
    assert [one.edition for one in board(story, after).answers if one.reference == again] == [2]


def test_a_correction_drops_no_alert_of_an_objection(story: Story) -> None:
    story.send()
    story.object(now=LATER)

    story.correct()

    sent = [mail.recipient for mail in story.send(LATER)]
    assert "ana@hosting.example" in sent


def test_a_consent_is_to_one_text_and_asked_for_anew_after_a_correction(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session)
    facts = {"place": "Hall 2", "country": "BE", "what_en": "A hall.", "what_fr": "Une salle."}
    announcement = announcements.draft(
        session, kind=AnnouncementKind.LOCATION, aspect="storage", facts=facts, reasons=REASONS, effective_on=SUMMER,
        by="ana", now=NOON,
    )  # fmt: skip
    announcements.publish_draft(session, desk, announcement.id, by="ana", now=NOON)
    send_due(session, desk, now=NOON)
    story = Story(session, desk, client, announcement)
    token = token_for(session, desk, ACME)
    answers.consent(session, desk, token, story.notice.id, name="C. Roy", now=NOON)
    assert board(story, LATER).gate.is_open

    corrections.correct(
        session, desk, announcement.id, facts={**facts, "country": "DE"}, why="Wrong country.", by="ana", now=LATER
    )

    send_due(session, desk, now=LATER)
    assert board(story, story.notice.object_until).gate.holds == (Hold.CONSENT,)
    answers.consent(session, desk, token_for(session, desk, ACME), story.notice.id, name="C. Roy", now=LATER)
    assert board(story, LATER).gate.is_open


def test_a_country_that_turns_out_to_be_home_asks_for_a_period_and_no_consent(session: Session, desk: Desk) -> None:
    """What a contract says depends on what is told: the corrected text is sealed under its own rule."""
    make_provider(session)
    client = make_client(session)
    facts = {"place": "Hall 2", "country": "BE", "what_en": "A hall.", "what_fr": "Une salle."}
    announcement = announcements.draft(
        session, kind=AnnouncementKind.LOCATION, aspect="storage", facts=facts, reasons=REASONS, effective_on=SUMMER,
        by="ana", now=NOON,
    )  # fmt: skip
    announcements.publish_draft(session, desk, announcement.id, by="ana", now=NOON)
    send_due(session, desk, now=NOON)

    at_home = {**facts, "country": "FR"}
    corrections.correct(session, desk, announcement.id, facts=at_home, why="Not Belgium.", by="ana", now=LATER)
    send_due(session, desk, now=LATER)

    story = Story(session, desk, client, announcement)
    assert board(story, LATER).gate.holds == (Hold.PERIOD,)
    assert [one.edition for one in session.exec(select(Sealed).order_by(Sealed.edition))] == [1, 2]  # type: ignore[arg-type] # a column


def test_a_correction_finds_an_unreachable_client_that_has_a_contact_by_now(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session, contacts=[])
    announcement = make_announcement(session, desk)
    assert kinds_of_items(session, announcement) == ["unreachable_client"]
    make_contact(session, client)
    story = Story(session, desk, client, announcement)

    story.correct()
    story.send(LATER)

    assert story.notice.state is NoticeState.RUNNING
    assert kinds_of_items(session, announcement) == []


def test_a_correction_leaves_a_client_alone_for_whom_the_change_is_not_made(session: Session, desk: Desk) -> None:
    make_provider(session)
    for key in ("C-1", "C-2"):
        make_client(session, key)
    announcement = make_announcement(session, desk)
    announcement.per_client = True
    send_due(session, desk, now=NOON)
    excluded, other = boards.board(session, announcement.id, now=NOON).rows
    going_live.exclude(session, excluded.notice.id, why="It stays.", by="ana", now=NOON)

    Story(session, desk, other.client, announcement).correct()

    assert [mail.recipient for mail in send_due(session, desk, now=LATER)] == ["dpo@c-2.example"]
    assert (excluded.notice.edition, other.notice.edition) == (1, 2)
    assert len(session.exec(select(Notice)).all()) == 2


def test_a_correction_that_leaves_too_little_time_is_refused(story: Story) -> None:
    story.send()

    with pytest.raises(EffectiveTooEarly) as refused, story.session.begin_nested():
        story.correct(on=story.announcement.effective_on)

    assert refused.value.earliest == date(2026, 4, 14)
    assert story.notice.edition == 1


def test_a_correction_has_a_reason_and_says_something_else(story: Story) -> None:
    args = (story.session, story.desk, story.announcement.id)
    with pytest.raises(WhyMissing):
        corrections.correct(*args, effective_on=SUMMER, why=" ", by="ana", now=LATER)
    with pytest.raises(NothingCorrected):
        corrections.correct(*args, reasons=REASONS, why="Just so.", by="ana", now=NOON)


def test_a_correction_that_undoes_the_change_is_a_withdrawal(story: Story) -> None:
    entries = registry.entries(story.session, registry.get(story.session, 1))
    registry.replace_draft(story.session, entries, by="ana", now=LATER)

    with pytest.raises(NothingChanged), story.session.begin_nested():
        corrections.correct(
            story.session, story.desk, story.announcement.id, effective_on=SUMMER, why="No.", by="ana", now=LATER,
            take_draft=the_draft(story.session),
        )  # fmt: skip


def test_what_a_later_announcement_is_built_upon_is_neither_corrected_nor_withdrawn(story: Story) -> None:
    registry.amend_entry(story.session, "optexemple", {"contact": "Iris Exemple"}, by="ana", now=NOON)
    announcements.publish(
        story.session, story.desk, effective_on=SUMMER, reasons=REASONS, by="ana", now=NOON + timedelta(hours=1)
    )
    registry.amend_entry(story.session, "optexemple", {"town": "Lyon"}, by="ana", now=LATER)

    with pytest.raises(BuiltUpon, match="SP-2026-0003"), story.session.begin_nested():
        story.correct()
    with pytest.raises(BuiltUpon, match="SP-2026-0003"), story.session.begin_nested():
        story.withdraw()


def test_what_a_later_announcement_does_not_touch_is_withdrawn_from_under_it(story: Story) -> None:
    registry.add_entry(story.session, make_entry("Zayo"), by="ana", now=NOON)
    later = announcements.publish(
        story.session, story.desk, effective_on=SUMMER, reasons=REASONS, by="ana", now=NOON + timedelta(hours=1)
    )
    registry.amend_entry(story.session, "zayo", {"town": "Lyon"}, by="ana", now=LATER)

    story.withdraw()

    standing = registry.published(story.session)
    assert {entry.name for entry in registry.entries(story.session, standing)} == {"Equinix", "Fibrexemple", "Zayo"}
    assert [(change.kind.value, change.name) for change in registry.draft_changes(story.session)] == [("moved", "Zayo")]
    version = story.session.get_one(Version, later.version_id)
    assert [change.name for change in timeline.changes_of(story.session, version)] == ["Zayo"]
    assert [one.name for one in timeline.in_force(story.session, LATER)] == ["Equinix", "Fibrexemple"]
    assert [one.version.number for one in public_record.versions(story.session, before=None, limit=9)] == [3, 2, 1]
    story.session.flush()
    version.live_at = LATER + timedelta(days=1)
    story.session.flush()
    after = timeline.in_force(story.session, LATER + timedelta(days=2))
    assert {one.name for one in after} == {"Equinix", "Fibrexemple", "Zayo"}


def test_the_later_of_two_is_corrected_against_the_earlier(story: Story) -> None:
    registry.add_entry(story.session, make_entry("Zayo"), by="ana", now=NOON)
    later = announcements.publish(
        story.session, story.desk, effective_on=SUMMER, reasons=REASONS, by="ana", now=NOON + timedelta(hours=1)
    )
    registry.amend_entry(story.session, "zayo", {"town": "Lyon"}, by="ana", now=LATER)

    corrections.correct(
        story.session, story.desk, later.id, effective_on=SUMMER, why="Wrong town.", by="ana", now=LATER,
        take_draft=the_draft(story.session),
    )  # fmt: skip

    (change,) = announcements.changes_of(later)
    assert (change.kind, change.after and change.after.town) == ("added", "Lyon")


def test_a_correction_after_the_one_below_was_withdrawn_tells_the_whole_change_and_makes_nothing(story: Story) -> None:
    registry.add_entry(story.session, make_entry("Zayo"), by="ana", now=NOON)
    later = announcements.publish(
        story.session, story.desk, effective_on=SUMMER, reasons=REASONS, by="ana", now=NOON + timedelta(hours=1)
    )
    story.withdraw()
    registry.amend_entry(story.session, "zayo", {"town": "Lyon"}, by="ana", now=LATER)

    corrections.correct(
        story.session, story.desk, later.id, effective_on=SUMMER, why="Wrong town.", by="ana",
        now=LATER + timedelta(hours=1), take_draft=the_draft(story.session),
    )  # fmt: skip

    (change,) = announcements.changes_of(later)
    assert (change.kind, change.after and change.after.town) == ("added", "Lyon")
    assert [one.name for one in timeline.in_force(story.session, LATER + A_DAY)] == ["Equinix", "Fibrexemple"]
    assert timeline.last_updated(story.session, LATER + A_DAY) == NOON - A_DAY


def test_what_a_draft_brings_back_is_no_obstacle_to_a_withdrawal(story: Story) -> None:
    registry.add_entry(story.session, make_entry("Fibrexemple", town="Lyon"), by="ana", now=LATER)

    story.withdraw()

    (change,) = registry.draft_changes(story.session)
    assert (change.kind, change.key, [one.field for one in change.fields]) == ("moved", "fibrexemple", ["town"])


def test_a_withdrawal_is_refused_while_the_draft_leans_on_what_it_takes_back(story: Story) -> None:
    registry.add_entry(story.session, make_entry("Sousexemple", parent="optexemple"), by="ana", now=LATER)

    with pytest.raises(DraftLeans, match="change the draft, or discard it, first"):
        story.withdraw()


def test_a_clock_that_was_set_back_leaves_the_editions_in_their_order(story: Story) -> None:
    story.correct(now=LATER)
    story.respell(now=NOON - A_DAY)

    kept = announcements.editions(story.session, story.announcement.id)
    assert [(one.number, one.in_substance) for one in kept] == [(1, True), (2, True), (2, False)]


# --- mails that are under way ----------------------------------------------------------------------------------------


def test_what_waits_to_be_sent_is_dropped_and_told_as_corrected_alone(story: Story) -> None:
    story.correct()

    (mail,) = story.send(LATER)
    assert states(story.session) == ["dropped", "accepted"]
    assert "Lyon" in text_of(mail.content)
    assert len(happened(story.session, EventKind.DELIVERY_DROPPED)) == 1


@pytest.mark.parametrize("verdict", [Verdict.DEFERRED, Verdict.REFUSED])
def test_a_mail_that_a_worker_held_is_not_sent_again_once_it_is_outdated(story: Story, verdict: Verdict) -> None:
    held = story.claim()
    story.correct()

    story.settle(held, verdict, hand_over=False)
    for n in range(3):
        story.send(LATER + n * A_DAY)

    assert states(story.session) == ["dropped" if verdict is Verdict.DEFERRED else "refused", "accepted"]
    assert (story.notice.state, story.notice.received_on) == (NoticeState.RUNNING, LATER.date())


def test_an_outdated_mail_that_arrives_starts_no_clock(story: Story) -> None:
    held = story.claim()
    story.correct()

    story.settle(held, Verdict.ACCEPTED)

    assert (story.notice.state, story.notice.received_on) == (NoticeState.RAISED, None)
    assert outbox.catch_up(story.session, story.desk, now=LATER) == 0


def test_an_outdated_mail_that_comes_back_undoes_nothing(story: Story) -> None:
    story.send()
    (first,) = deliveries(story.session)
    story.correct()
    story.send(LATER)

    outbox.returned(story.session, story.desk, first.id, by="relay", evidence="5.1.1", now=LATER)

    assert (story.notice.state, story.notice.received_on) == (NoticeState.RUNNING, LATER.date())


def test_a_mail_of_which_nobody_knows_is_settled_by_the_corrected_one(story: Story) -> None:
    story.send(verdict=Verdict.UNKNOWN)
    assert kinds_of_items(story.session) == ["unknown_delivery"]

    story.correct()
    (mail,) = story.send(LATER)

    assert REPLACES in text_of(mail.content)  # it may have arrived
    assert kinds_of_items(story.session) == []
    assert board(story, story.notice.object_until).gate.is_open


def test_proof_that_an_outdated_mail_arrived_starts_no_clock(story: Story) -> None:
    story.send(verdict=Verdict.UNKNOWN)
    (mail,) = deliveries(story.session)
    story.correct()

    outbox.prove_arrival(story.session, story.desk, mail.id, by="user:1", evidence="fetch", now=LATER)

    assert story.notice.state is NoticeState.RAISED


def test_a_letter_of_paper_that_waits_is_written_anew(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session, email_accepted=False, address="1 rue Test", town="Lille")
    story = Story(session, desk, client, make_announcement(session, desk))

    story.correct()

    (letter,) = session.exec(select(PaperLetter)).all()
    assert letter.edition == 2
    assert kinds_of_items(session, story.announcement) == ["paper_to_print"]


# --- of the writing alone --------------------------------------------------------------------------------------------


def test_a_correction_of_the_writing_tells_nobody_and_moves_no_clock(story: Story) -> None:
    story.send()
    before = story.notice.model_copy()

    story.respell()

    assert story.notice == before
    assert story.send(LATER) == []
    assert story.announcement.reasons["en"] == "The old provider closes its only site."
    first, second = announcements.editions(story.session, story.announcement.id)
    assert (first.reasons, second.number, second.in_substance, second.why) == (REASONS, 1, False, "A word was missing.")


# --- postponed -------------------------------------------------------------------------------------------------------


def test_a_postponement_restarts_no_clock_and_tells_whoever_was_told(story: Story) -> None:
    story.send()
    before = (story.notice.state, story.notice.object_by, story.notice.holds_until)

    story.postpone()

    assert (story.notice.state, story.notice.object_by, story.notice.holds_until) == before
    (mail,) = story.send(LATER)
    assert mail.recipient == ACME
    assert "1 July 2026" in text_of(mail.content)
    with pytest.raises(going_live.GateClosed):
        going_live.go_live(
            story.session, story.announcement.id, by="ana", now=datetime(2026, 6, 30, 21, 59, tzinfo=UTC)
        )


@pytest.mark.parametrize("on", [date(2026, 4, 4), date(2026, 4, 3), date(2020, 1, 1)])
def test_a_change_is_postponed_to_a_later_day_alone(story: Story, on: date) -> None:
    with pytest.raises(NotEarlier):
        story.postpone(on)


def test_a_postponed_change_tells_no_address_that_refused_the_first_mail(story: Story) -> None:
    story.send(verdict=Verdict.REFUSED)

    story.postpone()

    assert story.send(LATER) == []


def test_a_client_for_whom_it_is_live_is_not_told_that_it_comes_later(session: Session, desk: Desk) -> None:
    make_provider(session)
    for key in ("C-1", "C-2"):
        make_client(session, key)
    announcement = make_announcement(session, desk)
    announcement.per_client = True
    send_due(session, desk, now=NOON)
    the_day = announcement.effective_at
    notices.lapse_due(session, now=the_day)
    first, second = boards.board(session, announcement.id, now=the_day).rows
    going_live.go_live(session, announcement.id, notice_ids=[first.notice.id], by="ana", now=the_day)

    corrections.postpone(session, desk, announcement.id, effective_on=SUMMER, reasons=BOTH, by="ana", now=the_day)

    assert [mail.address for mail in deliveries(session, "postponed")] == ["dpo@c-2.example"]
    with pytest.raises(going_live.GateClosed):
        going_live.go_live(session, announcement.id, notice_ids=[second.notice.id], by="ana", now=the_day)


# --- withdrawn -------------------------------------------------------------------------------------------------------


def test_a_withdrawn_change_never_goes_live_and_whoever_was_told_is_told_so(story: Story) -> None:
    story.send()
    story.object()

    story.withdraw()

    assert [mail.address for mail in deliveries(story.session, "withdrawn")] == [ACME]
    assert kinds_of_items(story.session) == []
    assert board(story, LATER).answers[0].closing_note == corrections.WITHDRAWN
    for verb in (story.withdraw, story.postpone, story.respell):
        with pytest.raises(NotPublished):
            verb()
    with pytest.raises(NotPublished):
        going_live.go_live(story.session, story.announcement.id, by="ana", now=LATER)


def test_a_termination_outlives_the_withdrawal_of_its_cause(story: Story) -> None:
    story.send()
    token = token_for(story.session, story.desk, ACME)
    answers.terminate(story.session, story.desk, token, story.notice.id, name="C. Roy", now=NOON)

    story.withdraw()

    assert board(story, LATER).status == "terminated"
    assert kinds_of_items(story.session) == ["termination"]


def test_nobody_is_told_of_what_never_left(story: Story) -> None:
    story.withdraw()

    assert story.send(LATER) == []
    assert states(story.session) == ["dropped"]


def test_a_mail_that_a_worker_held_while_it_was_withdrawn_is_not_sent_again(story: Story) -> None:
    held = story.claim()
    story.withdraw()

    story.settle(held, Verdict.DEFERRED, hand_over=False)
    after = [mail for n in range(3) for mail in story.send(LATER + n * A_DAY)]

    assert states(story.session) == ["dropped"]
    assert len(after) == len(deliveries(story.session, "withdrawn")) == 1  # it might have left


def test_a_mail_that_arrives_after_the_withdrawal_moves_no_last_day(story: Story) -> None:
    held = story.claim()
    story.withdraw()

    story.settle(held, Verdict.ACCEPTED)

    assert deliveries(story.session, "later_last_day") == []
    assert story.notice.received_on == LATER.date()


def test_what_two_persons_were_asked_about_is_void_once_it_is_withdrawn(story: Story) -> None:
    overrides.ask(
        story.session, story.announcement.id, OverrideKind.BREACH, reasons=BOTH, measures=BOTH, by="user:ana", now=LATER
    )

    story.withdraw()

    assert overrides.open_for(story.session, story.announcement.id, OverrideKind.BREACH) is None
    assert kinds_of_items(story.session) == []


@pytest.mark.obligation("O5.1")
def test_after_a_withdrawal_the_next_draft_begins_with_the_list_in_force(story: Story) -> None:
    story.send()
    story.withdraw()

    registry.add_entry(story.session, replace(make_entry("Zayo"), replaces="fibrexemple"), by="ana", now=LATER)
    again = announcements.publish(story.session, story.desk, effective_on=SUMMER, reasons=REASONS, by="ana", now=LATER)

    (change,) = announcements.changes_of(again)
    assert (change.kind, change.before and change.before.key, change.name) == ("replaced", "fibrexemple", "Zayo")
    assert again.reference == "SP-2026-0003"  # the withdrawn number is not given again
    send_due(story.session, story.desk, now=LATER)
    end = again.effective_at
    notices.lapse_due(story.session, now=end)
    going_live.go_live(story.session, again.id, by="ana", now=end)
    live = registry.live(story.session, end)
    assert live is not None
    assert (live.number, [one.key for one in registry.entries(story.session, live)]) == (3, ["equinix", "zayo"])
    assert registry.get(story.session, 2).live_at is None


def test_a_draft_that_was_begun_before_a_withdrawal_lets_go_of_the_withdrawn_change(story: Story) -> None:
    registry.add_entry(story.session, make_entry("Zayo"), by="ana", now=NOON)
    assert {change.key for change in registry.draft_changes(story.session)} == {"zayo"}

    story.withdraw()

    assert {change.key for change in registry.draft_changes(story.session)} == {"zayo"}


def test_a_withdrawn_announcement_stays_among_what_was_announced(story: Story) -> None:
    story.withdraw()

    assert announcements.newest(story.session) == [story.announcement]
    assert announcements.upcoming(story.session) == []
    assert story.announcement.state is AnnouncementState.WITHDRAWN
    assert {one.state for one in deliveries(story.session)} == {DeliveryState.DROPPED}
