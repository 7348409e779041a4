"""The send of one announcement: paused, resumed, and cancelled with every client that was not told put before a
person.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import Session, col, select

from notifier.adapters.sending import Outcome, Verdict
from notifier.models import Announcement, Delivery, EventKind, Notice
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.notice_states import NoticeState
from notifier.services import boards, corrections, holds, outbox, sends, tallies
from notifier.services.desk import Desk
from tests.factories import NOON, REASONS, make_announcement, make_client, make_provider
from tests.services.stories import deliveries, happened, kinds_of_items, send_due

LATER = NOON + timedelta(hours=1)
BY = "user:ana"


@pytest.fixture
def announced(session: Session, desk: Desk) -> Announcement:
    """Three clients are to be told; nothing has left."""
    make_provider(session)
    for number in range(3):
        make_client(session, f"C-{number}")
    return make_announcement(session, desk)


def hand_over_first(session: Session, desk: Desk) -> None:
    """The first mail leaves, and the others wait an hour."""
    for delivery in deliveries(session)[1:]:
        delivery.due_at = LATER
    session.flush()
    assert len(send_due(session, desk, now=NOON)) == 1


def states(session: Session) -> list[str]:
    return [delivery.state.value for delivery in deliveries(session)]


def test_a_paused_send_waits_and_a_resumed_one_goes_on(session: Session, desk: Desk, announced: Announcement) -> None:
    hand_over_first(session, desk)

    sends.pause(session, announced.id, by=BY, now=LATER)

    assert holds.paused(session) == [announced.id]
    assert send_due(session, desk, now=LATER) == []
    sends.resume(session, announced.id, by=BY, now=LATER)
    assert holds.paused(session) == []
    assert len(send_due(session, desk, now=LATER)) == 2


def test_pausing_one_announcement_holds_no_other_mail(session: Session, desk: Desk, announced: Announcement) -> None:
    sends.pause(session, announced.id, by=BY, now=LATER)
    other = deliveries(session)[0]
    other.announcement_id = None  # as a sign-in link
    session.flush()

    assert [mail.delivery_id for mail in send_due(session, desk, now=LATER)] == [other.id]


def test_pausing_twice_is_one_event(session: Session, announced: Announcement) -> None:
    sends.pause(session, announced.id, by=BY, now=LATER)
    sends.pause(session, announced.id, by="user:bob", now=LATER)

    assert [event.by for event in happened(session, EventKind.SEND_PAUSED)] == [BY]
    assert announced.paused_by == BY


def test_cancelling_drops_what_waits_and_puts_each_untold_client_before_a_person(
    session: Session, desk: Desk, announced: Announcement
) -> None:
    hand_over_first(session, desk)

    assert sends.cancel(session, announced.id, by=BY, now=LATER) == 2

    assert states(session) == ["accepted", "dropped", "dropped"]
    assert send_due(session, desk, now=LATER) == []
    assert kinds_of_items(session, announced) == ["unreachable_client"] * 2
    board = boards.board(session, announced.id, now=LATER + timedelta(days=400))
    assert not board.gate.is_open
    assert [event.data["untold"] for event in happened(session, EventKind.SEND_CANCELLED)] == [2]


def test_cancelling_a_paused_send_ends_the_pause(session: Session, announced: Announcement) -> None:
    sends.pause(session, announced.id, by=BY, now=LATER)
    sends.cancel(session, announced.id, by=BY, now=LATER)

    assert holds.paused(session) == []


def test_a_mail_that_a_worker_held_is_dropped_when_it_comes_back_and_its_client_is_put_before_a_person(
    session: Session, desk: Desk, announced: Announcement
) -> None:
    mails = outbox.claim(session, desk, worker="w", limit=1, now=NOON)
    assert sends.cancel(session, announced.id, by=BY, now=LATER) == 2

    deferred = [
        Outcome(
            delivery_id=mail.delivery_id,
            attempt=mail.attempt,
            verdict=Verdict.DEFERRED,
            code=451,
            reply="later",
            peer="",
            tls="",
        )
        for mail in mails
    ]
    outbox.settle(session, desk, deferred, worker="w", now=LATER)
    assert send_due(session, desk, now=LATER + timedelta(days=1)) == []

    assert states(session) == ["dropped"] * 3
    assert sends.catch_up(session, now=LATER) == 1
    assert kinds_of_items(session, announced) == ["unreachable_client"] * 3
    assert sends.catch_up(session, now=LATER) == 0


def test_a_correction_tells_those_anew_whom_a_cancelled_send_left_out(
    session: Session, desk: Desk, announced: Announcement
) -> None:
    hand_over_first(session, desk)
    sends.cancel(session, announced.id, by=BY, now=LATER)

    on, why = announced.effective_on + timedelta(days=60), "the wrong building"
    again = LATER + timedelta(minutes=5)
    corrections.correct(session, desk, announced.id, effective_on=on, reasons=REASONS, why=why, by=BY, now=again)

    assert len(send_due(session, desk, now=again)) == 3
    left = session.exec(select(Notice.state).where(col(Notice.state) == NoticeState.UNREACHED)).all()
    assert left == []


def test_what_is_withdrawn_is_neither_paused_nor_cancelled(
    session: Session, desk: Desk, announced: Announcement
) -> None:
    corrections.withdraw(session, desk, announced.id, reasons=REASONS, by=BY, now=LATER)

    for verb in (sends.pause, sends.cancel):
        with pytest.raises(sends.NothingUnderWay, match="withdrawn"):
            verb(session, announced.id, by=BY, now=LATER)


def test_how_many_wait_is_counted(session: Session, desk: Desk, announced: Announcement) -> None:
    hand_over_first(session, desk)

    assert tallies.waiting(session, announced.id) == 2
    assert session.exec(select(Delivery.id).where(Delivery.state == DeliveryState.WAITING)).all()
