from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlmodel import Session

from notifier import resources
from notifier.adapters.letters import Attachment, LetterHead, LetterPress
from notifier.adapters.sending import Verdict
from notifier.models import Announcement, Client, EventKind
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Hold
from notifier.rules.moulds import Mould, MouldError
from notifier.rules.notice_states import IllegalNoticeStep, NoticeState
from notifier.rules.terms import Addressees
from notifier.services import answers, boards, notices, outbox
from notifier.services.desk import Desk
from notifier.services.notices import NoSuchNotice, ReceiptInFuture, ReceiptTooEarly
from tests.factories import NOON, PACK, make_announcement, make_client, make_provider
from tests.services.stories import (
    deliveries,
    happened,
    kinds_of_items,
    notice_of,
    send_due,
    token_for,
    with_pack,
)

TOLD = date(2026, 4, 3)  # the last day that the letters of a Monday noon promise
A_WEEK_LATER = NOON + timedelta(days=7)
FIRST, SECOND = "first@client.example", "second@client.example"
TWO = [{"email": FIRST}, {"email": SECOND}]


def announce(session: Session, desk: Desk, **client: object) -> tuple[Client, Announcement]:
    make_provider(session)
    told = make_client(session, **client)  # type: ignore[arg-type]  # fields of any type
    return told, make_announcement(session, desk)


# --- receipt ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted_at", "received_on"),
    [
        (datetime(2026, 3, 2, 17, 0, tzinfo=UTC), date(2026, 3, 2)),  # 18:00 in Paris
        (datetime(2026, 3, 2, 17, 1, tzinfo=UTC), date(2026, 3, 3)),
        (datetime(2026, 3, 7, 9, 0, tzinfo=UTC), date(2026, 3, 9)),  # a Saturday
    ],
)
def test_a_mail_that_the_relay_accepts_starts_the_clock_on_the_deemed_day(
    session: Session, desk: Desk, accepted_at: datetime, received_on: date
) -> None:
    client, _ = announce(session, desk)

    send_due(session, desk, now=accepted_at)

    notice = notice_of(session, client)
    assert (notice.state, notice.received_on, notice.received_how) == (NoticeState.RUNNING, received_on, "relay")
    (received,) = happened(session, EventKind.NOTICE_RECEIVED)
    assert (received.about_id, received.data["received_on"]) == (notice.id, received_on.isoformat())


def test_receipt_as_presumed_takes_nothing_back_of_what_was_promised(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk)

    send_due(session, desk, now=NOON)

    assert notice_of(session, client).object_by == TOLD  # two days of margin stay the client's
    assert happened(session, EventKind.NOTICE_POSTPONED) == []
    assert deliveries(session, "later_last_day") == []


def test_a_receipt_later_than_presumed_moves_the_last_day_and_a_letter_says_so(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk, contacts=[*TWO, {"email": "fr@client.example", "language": "fr"}])

    send_due(session, desk, now=A_WEEK_LATER)

    notice = notice_of(session, client)
    moved = date(2026, 4, 8)  # 9 March and 30 days
    assert (notice.object_by, notice.object_until) == (moved, datetime(2026, 4, 8, 22, tzinfo=UTC))
    (event,) = happened(session, EventKind.NOTICE_POSTPONED)
    assert event.data == {"told": "2026-04-03", "object_by": "2026-04-08"}
    later = deliveries(session, "later_last_day")
    assert [(mail.address, mail.language) for mail in later] == [
        (FIRST, "en"),
        ("fr@client.example", "fr"),
        (SECOND, "en"),
    ]
    (entity,) = later[0].facts["entities"]
    assert "3 April 2026" in entity["old_last_day"]
    assert "8 April 2026" in entity["last_day"]
    opened = answers.open_link(session, token_for(session, desk, FIRST, "later_last_day"), now=A_WEEK_LATER)
    assert [told.notice.id for told in opened.told] == [notice.id]
    assert boards.board(session, announcement.id, now=A_WEEK_LATER).gate.opens_at == notice.object_until


def test_whoever_is_told_first_starts_the_clock_where_the_contract_says_so(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, PACK, addressees=Addressees.FIRST)
    client, _ = announce(session, desk, contacts=TWO)

    send_due(session, desk, now=NOON, verdicts={SECOND: Verdict.DEFERRED})

    assert notice_of(session, client).received_on == date(2026, 3, 2)


def test_everybody_must_be_told_where_the_contract_says_so(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk, contacts=TWO)

    send_due(session, desk, now=NOON, verdicts={SECOND: Verdict.DEFERRED})
    assert notice_of(session, client).state is NoticeState.RAISED

    send_due(session, desk, now=NOON + timedelta(days=1))
    notice = notice_of(session, client)
    assert (notice.state, notice.received_on) == (NoticeState.RUNNING, date(2026, 3, 3))  # the last one counts


def test_a_mail_that_several_clients_share_starts_each_ones_clock(session: Session, desk: Desk) -> None:
    make_provider(session)
    shared = [{"email": "legal@group.example"}]
    acme, globex = (make_client(session, key, contacts=shared) for key in ("C-1", "C-2"))
    make_announcement(session, desk)

    send_due(session, desk, now=NOON)

    assert {notice_of(session, client).state for client in (acme, globex)} == {NoticeState.RUNNING}
    sent = happened(session, EventKind.NOTICE_SENT)
    assert [event.data["client"] for event in sent] == ["C-1", "C-2"]
    assert len({event.data["delivery"] for event in sent}) == 1


def test_a_mail_proved_to_have_arrived_starts_the_clock(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    send_due(session, desk, now=NOON, verdicts={"dpo@c-001.example": Verdict.UNKNOWN})
    assert boards.board(session, announcement.id, now=NOON).counts["unknown"] == 1
    assert kinds_of_items(session) == ["unknown_delivery"]

    (mail,) = deliveries(session)
    outbox.prove_arrival(session, desk, mail.id, by="user:1", evidence="fetch", now=NOON)

    assert notice_of(session, client).state is NoticeState.RUNNING
    assert kinds_of_items(session) == []


# --- failure ---------------------------------------------------------------------------------------------------------


def test_a_refused_mail_leaves_the_client_unreached_and_a_person_is_asked(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)

    send_due(session, desk, now=NOON, verdicts={"dpo@c-001.example": Verdict.REFUSED})

    notice = notice_of(session, client)
    assert (notice.state, notice.received_on) == (NoticeState.UNREACHED, None)
    assert kinds_of_items(session, announcement) == ["refused_delivery"]
    assert [event.about_id for event in happened(session, EventKind.NOTICE_UNREACHED)] == [notice.id]


def test_a_late_failure_voids_a_deemed_receipt(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk)
    send_due(session, desk, now=NOON)
    (mail,) = deliveries(session)

    came_back = "550 5.1.1 no such user"  # the relay accepted it, and then said that it could not deliver it
    assert outbox.returned(session, desk, mail.id, by="relay", evidence=came_back, now=A_WEEK_LATER)

    notice = notice_of(session, client)
    assert (notice.state, notice.received_on, notice.received_how) == (NoticeState.UNREACHED, None, "")
    after_the_period = datetime(2026, 5, 1, tzinfo=UTC)
    assert boards.board(session, announcement.id, now=after_the_period).gate.holds == (Hold.UNREACHED,)


def test_one_refusal_does_not_matter_where_one_contact_told_is_enough(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, PACK, addressees=Addressees.FIRST)
    client, _ = announce(session, desk, contacts=TWO)

    send_due(session, desk, now=NOON, verdicts={FIRST: Verdict.REFUSED, SECOND: Verdict.DEFERRED})
    assert notice_of(session, client).state is NoticeState.RAISED

    send_due(session, desk, now=NOON + timedelta(hours=1), verdicts={SECOND: Verdict.REFUSED})
    assert notice_of(session, client).state is NoticeState.UNREACHED


def test_one_refusal_matters_where_everybody_must_be_told(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk, contacts=TWO)

    send_due(session, desk, now=NOON, verdicts={SECOND: Verdict.REFUSED})

    assert notice_of(session, client).state is NoticeState.UNREACHED


def test_a_repeat_to_another_address_reaches_a_client_whose_mail_was_refused(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk, contacts=TWO)
    send_due(session, desk, now=NOON, verdicts={SECOND: Verdict.REFUSED})
    refused, notice = deliveries(session)[1], notice_of(session, client)

    outbox.repeat(
        session, desk, refused.id, address="third@client.example", notice_id=notice.id, by="user:1", now=A_WEEK_LATER
    )
    send_due(session, desk, now=A_WEEK_LATER)

    assert (notice.state, notice.received_on, notice.object_by) == (
        NoticeState.RUNNING,
        date(2026, 3, 9),
        date(2026, 4, 10),  # what the repeat told, with two days of margin, stays the client's
    )
    assert kinds_of_items(session) == []


def test_a_repeat_that_is_refused_takes_nothing_from_a_mail_that_arrived(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, PACK, addressees=Addressees.FIRST)
    client, _ = announce(session, desk, contacts=TWO)
    send_due(session, desk, now=NOON, verdicts={SECOND: Verdict.REFUSED})
    refused, notice = deliveries(session)[1], notice_of(session, client)

    outbox.repeat(session, desk, refused.id, address="old@client.example", notice_id=notice.id, by="user:1", now=NOON)
    send_due(session, desk, now=NOON, verdicts={"old@client.example": Verdict.REFUSED})

    assert notice.state is NoticeState.RUNNING


# --- by a person -----------------------------------------------------------------------------------------------------


def test_a_person_records_that_an_unreachable_client_was_told_otherwise(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk, contacts=[])
    notice = notice_of(session, client)

    notices.record_receipt(
        session, desk, notice.id, received_on=date(2026, 3, 9), how="registered letter", by="user:1", now=A_WEEK_LATER
    )

    assert (notice.state, notice.received_how, notice.object_by) == (
        NoticeState.RUNNING,
        "registered letter",
        date(2026, 4, 8),
    )
    assert kinds_of_items(session) == []
    assert happened(session, EventKind.NOTICE_RECEIVED)[0].by == "user:1"


def test_a_receipt_is_never_recorded_for_a_day_to_come_in_the_contracts_zone(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk, contacts=[])
    notice = notice_of(session, client)
    just_before, midnight = (datetime(2026, 3, 9, 22, 59, tzinfo=UTC), datetime(2026, 3, 9, 23, 0, tzinfo=UTC))
    tomorrow = date(2026, 3, 10)

    with pytest.raises(ReceiptInFuture):
        notices.record_receipt(session, desk, notice.id, received_on=tomorrow, how="by hand", by="u", now=just_before)

    notices.record_receipt(session, desk, notice.id, received_on=tomorrow, how="by hand", by="u", now=midnight)
    assert notice.received_on == tomorrow


def test_a_receipt_is_recorded_once(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk)
    send_due(session, desk, now=NOON)

    with pytest.raises(IllegalNoticeStep, match="cannot receive a notice that is running"):
        notices.record_receipt(
            session, desk, notice_of(session, client).id, received_on=date(2026, 3, 2), how="x", by="u", now=NOON
        )


def test_a_notice_that_there_is_not_is_said(session: Session) -> None:
    with pytest.raises(NoSuchNotice, match="there is no such notice"):
        notices.get(session, uuid4())


def record(session: Session, desk: Desk, client: Client, received_on: date, now: datetime = A_WEEK_LATER) -> None:
    notice_id = notice_of(session, client).id
    notices.record_receipt(session, desk, notice_id, received_on=received_on, how="by hand", by="user:1", now=now)


def test_no_receipt_is_recorded_for_a_day_before_the_announcement(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk, contacts=[])

    with pytest.raises(ReceiptTooEarly, match="nobody can have been told before the announcement"):
        record(session, desk, client, NOON.date() - timedelta(days=1))

    assert notice_of(session, client).state is NoticeState.UNREACHED
    record(session, desk, client, NOON.date())


def test_the_first_day_of_a_receipt_is_the_announcements_day_in_the_contracts_zone(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    client = make_client(session, contacts=[])
    make_announcement(session, desk, now=datetime(2026, 3, 2, 23, 30, tzinfo=UTC))  # Tuesday already, in Paris

    with pytest.raises(ReceiptTooEarly):
        record(session, desk, client, date(2026, 3, 2))
    record(session, desk, client, date(2026, 3, 3))


def test_a_refusal_does_not_undo_a_receipt_that_a_person_recorded(session: Session, desk: Desk) -> None:
    client, announcement = announce(session, desk, contacts=TWO)
    send_due(session, desk, now=NOON, verdicts={FIRST: Verdict.DEFERRED, SECOND: Verdict.REFUSED})
    assert kinds_of_items(session, announcement) == ["refused_delivery"]

    record(session, desk, client, date(2026, 3, 9))
    assert kinds_of_items(session) == []  # the person did what the refused mail asked for

    send_due(session, desk, now=A_WEEK_LATER, verdicts={FIRST: Verdict.REFUSED})
    notice = notice_of(session, client)
    assert (notice.state, notice.received_on, notice.received_how) == (
        NoticeState.RUNNING,
        date(2026, 3, 9),
        "by hand",
    )
    assert len(happened(session, EventKind.NOTICE_UNREACHED)) == 1  # before that


# --- what cannot be written down -------------------------------------------------------------------------------------


class BrokenPress(LetterPress):
    """One whose letter about a later last day cannot be written."""

    def mould(
        self,
        letter: str,
        language: str,
        context: Mapping[str, object],
        *,
        envelope: LetterHead,
        attachments: Sequence[Attachment] = (),
    ) -> Mould:
        if letter == "later_last_day":
            raise MouldError("there is a hole in this letter that nothing fills")
        return super().mould(letter, language, context, envelope=envelope, attachments=attachments)


def test_an_accepted_mail_stays_accepted_when_what_follows_from_it_fails_and_that_is_caught_up_later(
    session: Session, desk: Desk
) -> None:
    broken = replace(desk, press=BrokenPress([resources.folder("templates")]))
    client, _ = announce(session, desk)

    send_due(session, broken, now=A_WEEK_LATER)

    (mail,) = deliveries(session)
    assert (mail.state, mail.accepted_at) == (DeliveryState.ACCEPTED, A_WEEK_LATER)
    assert [attempt.verdict for attempt in outbox.attempts(session, mail.id)] == ["accepted"]
    assert len(happened(session, EventKind.NOTICE_SENT)) == 1
    assert notice_of(session, client).state is NoticeState.RAISED
    assert happened(session, EventKind.NOTICE_RECEIVED) == []

    after = A_WEEK_LATER + timedelta(days=3)
    assert [outbox.catch_up(session, desk, now=after) for _ in range(2)] == [1, 0]

    notice = notice_of(session, client)
    assert (notice.state, notice.received_on) == (NoticeState.RUNNING, date(2026, 3, 9))  # when it was accepted
    assert len(deliveries(session, "later_last_day")) == 1


def test_there_is_nothing_to_catch_up_while_a_mail_is_on_its_way_or_unknown(session: Session, desk: Desk) -> None:
    announce(session, desk, contacts=[*TWO, {"email": "third@client.example"}])
    assert outbox.catch_up(session, desk, now=NOON) == 0

    send_due(session, desk, now=NOON, verdicts={FIRST: Verdict.DEFERRED, SECOND: Verdict.UNKNOWN})

    assert outbox.catch_up(session, desk, now=NOON) == 0


# --- time ------------------------------------------------------------------------------------------------------------


def test_periods_end_with_their_last_day_and_once(session: Session, desk: Desk) -> None:
    client, _ = announce(session, desk)
    send_due(session, desk, now=NOON)
    end = notice_of(session, client).object_until

    assert notices.lapse_due(session, now=end - timedelta(microseconds=1)) == 0
    assert notices.lapse_due(session, now=end) == 1
    assert notices.lapse_due(session, now=end) == 0
    assert notice_of(session, client).state is NoticeState.LAPSED
    assert len(happened(session, EventKind.NOTICE_LAPSED)) == 1


def test_the_period_of_a_client_who_was_not_told_never_ends(session: Session, desk: Desk) -> None:
    announce(session, desk)
    make_client(session, "C-002", contacts=[])

    assert notices.lapse_due(session, now=NOON + timedelta(days=3650)) == 0


# --- the board -------------------------------------------------------------------------------------------------------


def test_the_board_counts_every_client_once_by_what_matters_most(session: Session, desk: Desk) -> None:
    make_provider(session)
    for status in ("acknowledged", "objected", "terminated", "silent", "unreached", "unknown", "sending"):
        make_client(session, status, contacts=[{"email": f"dpo@{status}.example"}])
    announcement = make_announcement(session, desk)
    said = {"unreached": Verdict.REFUSED, "unknown": Verdict.UNKNOWN, "sending": Verdict.DEFERRED}
    send_due(session, desk, now=NOON, verdicts={f"dpo@{key}.example": verdict for key, verdict in said.items()})

    for status in ("acknowledged", "objected", "terminated"):
        token = token_for(session, desk, f"dpo@{status}.example")
        notice_id = answers.open_link(session, token, now=NOON).told[0].notice.id
        answers.acknowledge(session, desk, token, [notice_id], name="Camille Roy", now=NOON)
        if status == "objected":
            answers.object_to(session, desk, token, notice_id, name="Camille Roy", reasons="No.", now=NOON)
        if status == "terminated":
            answers.terminate(session, desk, token, notice_id, name="Camille Roy", now=NOON)

    board = boards.board(session, announcement.id, now=NOON)
    counted = {status: count for status, count in board.counts.items() if count}
    assert counted == dict.fromkeys(
        ("acknowledged", "objected", "terminated", "silent", "unreached", "unknown", "sending"), 1
    )
    assert [row.status for row in board.rows] == sorted(counted)  # each is in the place of its company's name
    assert (board.sent, board.in_flight) == (4, 1)
    assert set(board.gate.holds) == set(Hold) - {Hold.NOT_TOLD, Hold.CONSENT, Hold.REFUSAL, Hold.REPLY}
    assert board.gate.opens_at is None
