"""Going live is a recorded fact: when, by whom, with what shows it, for all or for one client; or a breach by two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import Session

from notifier.models import Announcement, AnnouncementKind, AnnouncementState, Client, EventKind, Notice, OverrideKind
from notifier.rules.gate import Hold
from notifier.rules.periods import Period
from notifier.services import (
    announcements,
    answers,
    boards,
    corrections,
    going_live,
    notices,
    outbox,
    overrides,
    registry,
)
from notifier.services.desk import Desk
from notifier.services.going_live import (
    AlreadyLive,
    EarlierNotLive,
    ExclusionReasonMissing,
    GateClosed,
    LiveAtWrongTime,
    NothingBreached,
    NotPerClient,
)
from notifier.services.overrides import NoSuchOverride, NotOverridable, SamePerson
from tests.factories import NOON, PACK, REASONS, make_client, make_entry, make_provider, make_version
from tests.services.stories import (
    breach,
    deliveries,
    happened,
    kinds_of_items,
    notice_of,
    send_due,
    token_for,
    with_pack,
)

A_DAY = timedelta(days=1)
BOTH = {"en": "A reason.", "fr": "Un motif."}
SECURITY = {
    "measure": "Encryption", "before_en": "256", "before_fr": "256", "after_en": "128", "after_fr": "128"
}  # fmt: skip


@dataclass(frozen=True)
class Story:
    """Three clients; the second one's contract gives it ninety days."""

    session: Session
    desk: Desk
    clients: tuple[Client, ...]

    def announce(
        self, name: str = "Optexemple", *, replaces: str = "", per_client: bool = True, now: datetime = NOON
    ) -> Announcement:
        registry.add_entry(self.session, make_entry(name, replaces=replaces), by="ana", now=now)
        found = announcements.publish(
            self.session, self.desk, effective_on=date(2026, 6, 10), reasons=REASONS, per_client=per_client, by="ana",
            now=now,
        )  # fmt: skip
        send_due(self.session, self.desk, now=now)
        return found

    def notice(self, n: int) -> Notice:
        return notice_of(self.session, self.clients[n])

    def object(self, n: int) -> None:
        token = token_for(self.session, self.desk, f"dpo@c-{n + 1}.example")
        notice_id = self.notice(n).id
        answers.object_to(self.session, self.desk, token, notice_id, name="C. Roy", reasons="No.", now=NOON)

    def go_live(
        self, announcement: Announcement, now: datetime, *ns: int, at: datetime | None = None, proof: str = ""
    ) -> None:
        ids = [self.notice(n).id for n in ns] or None
        going_live.go_live(self.session, announcement.id, notice_ids=ids, at=at, proof=proof, by="ana", now=now)

    def live(self) -> list[bool]:
        return [bool(self.notice(n).live_at) for n in range(len(self.clients))]


@pytest.fixture
def story(session: Session, desk: Desk) -> Story:
    desk = with_pack(desk, "ninety-days", period=Period(90))
    make_provider(session)
    packs = {"C-1": PACK, "C-2": "ninety-days", "C-3": PACK}
    clients = tuple(make_client(session, key, pack=pack) for key, pack in packs.items())
    make_version(session, now=NOON - A_DAY)
    return Story(session, desk, clients)


THE_DAY = datetime(2026, 6, 9, 22, tzinfo=UTC)  # 10 June begins in Paris


# --- the fact --------------------------------------------------------------------------------------------------------


def test_it_is_kept_when_by_whom_and_with_what_proof_it_went_live(story: Story) -> None:
    announcement = story.announce(per_client=False)
    an_hour_ago, now = THE_DAY + timedelta(hours=1), THE_DAY + timedelta(hours=2)

    story.go_live(announcement, now, at=an_hour_ago, proof=" change ticket 4711 ")

    assert (announcement.live_at, announcement.live_by, announcement.live_proof) == (
        an_hour_ago,
        "ana",
        "change ticket 4711",
    )
    assert {story.notice(n).live_at for n in range(3)} == {an_hour_ago}
    assert len(happened(story.session, EventKind.NOTICE_LIVE)) == 3


@pytest.mark.parametrize("at", [NOON - timedelta(seconds=1), THE_DAY + A_DAY])
def test_nothing_went_live_before_it_was_announced_or_will_have(story: Story, at: datetime) -> None:
    announcement = story.announce()

    with pytest.raises(LiveAtWrongTime):
        story.go_live(announcement, THE_DAY, at=at)


def test_a_clock_that_was_set_back_records_nothing(story: Story) -> None:
    announcement = story.announce()

    with pytest.raises(LiveAtWrongTime):
        story.go_live(announcement, NOON - 300 * A_DAY)
    with pytest.raises(LiveAtWrongTime):
        story.go_live(announcement, NOON - 300 * A_DAY, at=THE_DAY)

    assert announcement.state is AnnouncementState.PUBLISHED


@pytest.mark.obligation("O5.4")
def test_going_live_is_judged_by_the_instant_at_which_it_happened(story: Story) -> None:
    """Written down late, a change that began on the day is in time; one that began before is not."""
    announcement = story.announce(per_client=False)
    later = THE_DAY + 30 * A_DAY

    with pytest.raises(GateClosed):
        story.go_live(announcement, later, at=THE_DAY - timedelta(microseconds=1))

    story.go_live(announcement, later, at=THE_DAY)


@pytest.mark.obligation("O5.5", "O19.1")
def test_a_consent_that_came_after_the_start_does_not_make_the_start_lawful(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session)
    draft = announcements.draft(
        session, kind=AnnouncementKind.SECURITY, facts=SECURITY, reasons=REASONS, effective_on=date(2026, 4, 6),
        by="ana", now=NOON,
    )  # fmt: skip
    announcements.publish_draft(session, desk, draft.id, by="ana", now=NOON)
    send_due(session, desk, now=NOON)
    began, agreed = draft.effective_at, draft.effective_at + timedelta(hours=3)
    token = token_for(session, desk, "dpo@c-001.example")
    answers.consent(session, desk, token, notice_of(session, client).id, name="C. Roy", now=agreed)

    with pytest.raises(GateClosed, match="consent"):
        going_live.go_live(session, draft.id, at=began, by="ana", now=agreed)

    going_live.go_live(session, draft.id, at=agreed, by="ana", now=agreed)


def test_an_objection_that_was_settled_after_the_start_held_the_start(story: Story) -> None:
    announcement = story.announce(per_client=False)
    story.object(0)
    settled = THE_DAY + A_DAY
    (row, *_) = boards.board(story.session, announcement.id, now=THE_DAY).rows
    answers.settle(story.session, row.answers[0].id, note="Agreed by telephone.", by="user:ana", now=settled)

    with pytest.raises(GateClosed, match="objection"):
        story.go_live(announcement, settled, at=THE_DAY)

    story.go_live(announcement, settled)


def test_a_reply_that_nobody_has_read_holds_the_gate_and_did_until_it_was_read(story: Story) -> None:
    announcement = story.announce(per_client=False)
    notice_id = story.notice(2).id
    answers.record_reply(story.session, notice_id, text="We need to talk.", by="user:ana", now=NOON)
    with pytest.raises(GateClosed, match=r"\(reply\)"):
        story.go_live(announcement, THE_DAY)

    read = THE_DAY + A_DAY
    answers.read_reply(story.session, notice_id, note="It was about an invoice.", by="user:ana", now=read)

    with pytest.raises(GateClosed, match=r"\(reply\)"):
        story.go_live(announcement, read, at=THE_DAY)
    story.go_live(announcement, read)
    assert kinds_of_items(story.session) == []


# --- client by client ------------------------------------------------------------------------------------------------


def test_what_is_made_for_all_at_once_waits_for_the_slowest(story: Story) -> None:
    announcement = story.announce(per_client=False)
    story.object(0)

    with pytest.raises(GateClosed, match=r"\(objection\)"):
        story.go_live(announcement, THE_DAY)
    with pytest.raises(NotPerClient):
        story.go_live(announcement, THE_DAY, 1, 2)
    with pytest.raises(NotPerClient):
        going_live.exclude(story.session, story.notice(0).id, why="It objects.", by="ana", now=THE_DAY)

    assert story.live() == [False, False, False]


def test_client_by_client_it_goes_live_for_those_whose_gate_is_open(story: Story) -> None:
    announcement = story.announce()
    story.object(0)

    story.go_live(announcement, THE_DAY)

    assert story.live() == [False, True, True]
    assert announcement.state is AnnouncementState.PUBLISHED
    live = registry.live(story.session, THE_DAY)
    assert live is not None
    assert live.number == 2  # the public list holds it as soon as anybody has it
    with pytest.raises(GateClosed, match="objection"):
        story.go_live(announcement, THE_DAY + A_DAY)
    with pytest.raises(corrections.BegunAlready):
        corrections.withdraw(story.session, story.desk, announcement.id, reasons=BOTH, by="ana", now=THE_DAY)


def test_client_by_client_only_those_named_and_none_whose_gate_is_closed(story: Story) -> None:
    announcement = story.announce()
    story.object(0)

    with pytest.raises(GateClosed, match=r"\(objection\)"):
        story.go_live(announcement, THE_DAY, 0, 1)
    assert story.live() == [False, False, False]

    story.go_live(announcement, THE_DAY, 2)
    assert story.live() == [False, False, True]


def test_excluding_the_one_who_objects_finishes_it_and_leaves_that_one_as_it_was(story: Story) -> None:
    announcement = story.announce()
    story.object(0)
    story.go_live(announcement, THE_DAY)
    with pytest.raises(ExclusionReasonMissing):
        going_live.exclude(story.session, story.notice(0).id, why=" ", by="ana", now=THE_DAY)

    going_live.exclude(story.session, story.notice(0).id, why="It stays on the old one.", by="ana", now=THE_DAY + A_DAY)

    assert (announcement.state, announcement.live_at) == (AnnouncementState.LIVE, THE_DAY)
    assert story.live() == [False, True, True]
    assert boards.board(story.session, announcement.id, now=THE_DAY).counts["excluded"] == 1
    with pytest.raises(AlreadyLive):
        story.go_live(announcement, THE_DAY + A_DAY)


def test_a_client_for_whom_it_is_live_cannot_be_excluded_any_more(story: Story) -> None:
    announcement = story.announce()
    story.object(0)
    story.go_live(announcement, THE_DAY)

    with pytest.raises(AlreadyLive):
        going_live.exclude(story.session, story.notice(1).id, why="Too late.", by="ana", now=THE_DAY)


def test_a_change_from_which_everybody_is_excluded_has_not_gone_live(story: Story) -> None:
    announcement = story.announce()

    for n in range(3):
        going_live.exclude(story.session, story.notice(n).id, why="Not for them.", by="ana", now=NOON)

    assert (announcement.state, announcement.live_at) == (AnnouncementState.PUBLISHED, None)
    corrections.withdraw(story.session, story.desk, announcement.id, reasons=BOTH, by="ana", now=NOON)
    live = registry.live(story.session, THE_DAY)
    assert live is not None
    assert live.number == 1


def test_a_client_that_came_later_keeps_a_change_open_that_the_others_have(story: Story) -> None:
    announcement = story.announce()
    make_client(story.session, "C-4")

    story.go_live(announcement, THE_DAY)
    assert story.live() == [True, True, True]
    assert announcements.upcoming(story.session) == [announcement]

    announcements.tell_latecomers(story.session, story.desk, announcement.id, by="ana", now=THE_DAY)
    send_due(story.session, story.desk, now=THE_DAY)
    with pytest.raises(GateClosed, match="period"):
        story.go_live(announcement, THE_DAY)
    later = THE_DAY + 60 * A_DAY
    notices.lapse_due(story.session, now=later)
    story.go_live(announcement, later)
    assert announcement.state is AnnouncementState.LIVE


# --- two clocks ------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O5.6")
def test_a_window_that_outlasts_the_period_holds_nothing_and_stays_open_after_the_change(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    client = make_client(session, pack="google-style-30-90")
    make_version(session, now=NOON - A_DAY)
    registry.add_entry(session, make_entry("Optexemple"), by="ana", now=NOON)
    announcement = announcements.publish(
        session, desk, effective_on=date(2026, 4, 8), reasons=REASONS, by="ana", now=NOON
    )
    send_due(session, desk, now=NOON)
    notice = notice_of(session, client)
    assert (notice.object_by - NOON.date()).days >= 90
    assert notice.holds_until <= announcement.effective_at

    going_live.go_live(session, announcement.id, by="ana", now=announcement.effective_at)
    assert notices.lapse_due(session, now=announcement.effective_at) == 0

    token, last = token_for(session, desk, "dpo@c-001.example"), notice.object_until - timedelta(seconds=1)
    answers.terminate(session, desk, token, notice.id, name="C. Roy", now=last)
    (row,) = boards.board(session, announcement.id, now=last).rows
    assert (row.status, row.answers[0].late) == ("terminated", False)
    assert not notice.live_in_breach


# --- one upon another ------------------------------------------------------------------------------------------------


def test_a_breach_does_not_overtake_an_earlier_change_either(story: Story) -> None:
    story.announce("Optexemple")
    later = story.announce("Zayo", replaces="optexemple", now=NOON + timedelta(hours=1))

    with pytest.raises(EarlierNotLive), story.session.begin_nested():
        breach(story.session, story.desk, later, now=THE_DAY)

    assert story.session.get_one(Announcement, later.id).state is AnnouncementState.PUBLISHED


# --- in breach -------------------------------------------------------------------------------------------------------


def ask(story: Story, announcement: Announcement, *, by: str = "user:ana", started_at: datetime | None = None) -> UUID:
    kind, now = OverrideKind.BREACH, THE_DAY
    asked = overrides.ask(
        story.session, announcement.id, kind, reasons=BOTH, measures=BOTH, started_at=started_at, by=by, now=now
    )
    return asked.id


@pytest.mark.obligation("O5.4")
def test_a_breach_needs_a_second_person(story: Story) -> None:
    announcement = story.announce()
    story.object(0)
    asked = ask(story, announcement)

    with pytest.raises(SamePerson):
        going_live.breach(story.session, story.desk, asked, by="user:ana", now=THE_DAY)

    assert story.live() == [False, False, False]
    assert kinds_of_items(story.session, announcement) == ["objection", "override_asked"]
    going_live.breach(story.session, story.desk, asked, by="user:bob", now=THE_DAY)
    assert kinds_of_items(story.session, announcement) == ["objection"]
    with pytest.raises(NoSuchOverride):
        going_live.breach(story.session, story.desk, asked, by="user:bob", now=THE_DAY)


def test_what_harms_nobody_is_no_breach(story: Story) -> None:
    announcement = story.announce()
    asked = ask(story, announcement)

    with pytest.raises(NothingBreached):
        going_live.breach(story.session, story.desk, asked, by="user:bob", now=THE_DAY)


def test_only_those_whose_right_had_not_run_are_told_of_a_breach(story: Story) -> None:
    announcement = story.announce()
    story.object(0)
    after = THE_DAY

    breach(story.session, story.desk, announcement, now=after)

    assert [story.notice(n).live_in_breach for n in range(3)] == [True, False, False]
    assert [mail.address for mail in deliveries(story.session, "breach")] == ["dpo@c-1.example"]
    (recorded,) = happened(story.session, EventKind.ANNOUNCEMENT_BREACHED)
    assert recorded.data["holds"] == ["objection"]


def test_before_the_announced_day_everybodys_right_is_taken(story: Story) -> None:
    announcement = story.announce()

    breach(story.session, story.desk, announcement, now=THE_DAY - timedelta(seconds=1))

    assert [story.notice(n).live_in_breach for n in range(3)] == [True, True, True]


@pytest.mark.parametrize("before", [timedelta(hours=1), 40 * A_DAY], ids=["an hour", "before the announcement"])
def test_a_breach_is_recorded_with_its_actual_start_also_before_it_was_announced(
    story: Story, before: timedelta
) -> None:
    announcement = story.announce(now=NOON)
    began = THE_DAY - before if before < A_DAY else NOON - timedelta(hours=7)
    asked = ask(story, announcement, started_at=began)

    going_live.breach(story.session, story.desk, asked, by="user:bob", now=THE_DAY)

    assert announcement.live_at == began
    assert {story.notice(n).live_at for n in range(3)} == {began}
    assert all(story.notice(n).live_in_breach for n in range(3))


def test_an_excluded_client_is_no_part_of_a_breach(story: Story) -> None:
    announcement = story.announce()
    going_live.exclude(story.session, story.notice(1).id, why="It stays.", by="ana", now=NOON)

    breach(story.session, story.desk, announcement, now=NOON + A_DAY)

    assert story.live() == [True, False, True]
    assert [mail.address for mail in deliveries(story.session, "breach")] == ["dpo@c-1.example", "dpo@c-3.example"]


def test_a_decision_about_lateness_is_no_breach(story: Story) -> None:
    announcement = story.announce()
    asked = overrides.ask(story.session, announcement.id, OverrideKind.LATE, reasons=BOTH, by="user:ana", now=NOON)

    with pytest.raises(NotOverridable):
        going_live.breach(story.session, story.desk, asked.id, by="user:bob", now=NOON)

    assert asked.open
    assert story.live() == [False, False, False]


def test_what_is_live_or_withdrawn_cannot_be_breached(story: Story) -> None:
    announcement = story.announce()
    asked = ask(story, announcement)
    corrections.withdraw(story.session, story.desk, announcement.id, reasons=BOTH, by="ana", now=NOON)

    with pytest.raises(NoSuchOverride):
        going_live.breach(story.session, story.desk, asked, by="user:bob", now=THE_DAY)
    with pytest.raises(NotOverridable):
        ask(story, announcement)


# --- nothing moves any more ------------------------------------------------------------------------------------------


def test_a_mail_that_comes_back_after_the_change_was_made_takes_no_receipt_back(story: Story) -> None:
    announcement = story.announce()
    story.go_live(announcement, THE_DAY)
    mail = next(mail for mail in deliveries(story.session) if mail.address == "dpo@c-1.example")
    before = story.notice(0).model_copy()

    assert outbox.returned(story.session, story.desk, mail.id, by="relay", evidence="5.1.1", now=THE_DAY + A_DAY)

    after = story.notice(0)
    assert (after.state, after.received_on, after.live_in_breach) == (before.state, before.received_on, False)
    assert kinds_of_items(story.session) == ["refused_delivery"]  # a person is asked all the same


def test_a_client_reached_after_a_breach_is_known_to_have_been(story: Story) -> None:
    registry.add_entry(story.session, replace(make_entry("Optexemple"), town="Lyon"), by="ana", now=NOON)
    announcement = announcements.publish(
        story.session, story.desk, effective_on=date(2026, 6, 10), reasons=REASONS, by="ana", now=NOON
    )
    breach(story.session, story.desk, announcement, now=NOON + timedelta(hours=1))

    send_due(story.session, story.desk, now=NOON + A_DAY)

    assert [story.notice(n).state for n in range(3)] == ["running"] * 3
    assert story.notice(0).received_on == date(2026, 3, 3)
    assert story.notice(0).live_in_breach


def test_the_gate_names_every_reason_and_when_it_opens_if_time_alone_is_missing(story: Story) -> None:
    announcement = story.announce()
    board = boards.board(story.session, announcement.id, now=NOON)
    assert (board.gate.holds, board.gate.opens_at) == ((Hold.PERIOD,), story.notice(1).object_until)

    story.object(0)

    board = boards.board(story.session, announcement.id, now=NOON)
    assert (board.gate.holds, board.gate.opens_at) == ((Hold.OBJECTION, Hold.PERIOD), None)
