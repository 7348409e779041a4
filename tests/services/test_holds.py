"""Holds: a copy of a database sends nothing before a person says so, and what may have left is not sent again."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Announcement, Delivery, EventKind, HoldKind, Instance
from notifier.rules.delivery_states import DeliveryState
from notifier.services import holds, letters, outbox
from notifier.services.desk import Desk
from tests.factories import NOON, make_announcement, make_client, make_provider
from tests.services.stories import happened, kinds_of_items, send_due

LATER = NOON + timedelta(hours=1)
HERE, ELSEWHERE = UUID(int=10), UUID(int=20)


@pytest.fixture
def announced(session: Session, desk: Desk) -> Announcement:
    """Three clients are to be told; nothing has left."""
    make_provider(session)
    for number in range(3):
        make_client(session, f"C-{number}")
    return make_announcement(session, desk)


def start(session: Session, folder: UUID = HERE, *, seen: int = 0) -> bool:
    return holds.check(session, folder, seen=seen, now=LATER)


def states(session: Session) -> list[str]:
    return sorted(str(one) for one in session.exec(select(Delivery.state)))


def the_instance(session: Session) -> Instance:
    return session.exec(select(Instance)).one()


def send_one(session: Session, desk: Desk) -> None:
    """Hand over one of the mails, and leave the others waiting."""
    (row, *others) = session.exec(select(Delivery).order_by(col(Delivery.id))).all()
    del row
    due = {other.id: other.due_at for other in others}
    for other in others:
        other.due_at = LATER + timedelta(days=1)
    assert len(send_due(session, desk, now=NOON)) == 1
    for other in others:
        other.due_at = due[other.id]
    session.flush()


@pytest.mark.usefixtures("announced")
def test_the_first_start_makes_the_folder_that_of_the_instance(session: Session) -> None:
    assert start(session)

    assert the_instance(session).instance_id == HERE
    assert not holds.is_held(session)
    assert start(session, seen=holds.log_end(session))


@pytest.mark.usefixtures("announced")
def test_a_strange_folder_holds_everything_and_nothing_leaves(session: Session, desk: Desk) -> None:
    assert start(session)
    send_one(session, desk)

    assert not start(session, ELSEWHERE)

    assert holds.is_held(session)
    assert the_instance(session).hold_kind is HoldKind.STRANGE_FOLDER
    assert states(session) == ["accepted", "unknown", "unknown"]
    assert send_due(session, desk, now=LATER) == []
    (event,) = happened(session, EventKind.HOLD_SET)
    assert event.data == {"why": "strange_folder", "unknown": 2}


def test_one_item_stands_for_all_mails_of_an_announcement_that_may_have_left(
    session: Session, announced: Announcement
) -> None:
    start(session)
    start(session, ELSEWHERE)

    assert kinds_of_items(session) == ["doubted_mails", "sending_on_hold"]
    assert kinds_of_items(session, announced) == ["doubted_mails"]


@pytest.mark.usefixtures("announced")
def test_a_folder_without_an_instance_beside_a_database_that_has_sent_is_strange(session: Session, desk: Desk) -> None:
    send_one(session, desk)

    assert not start(session)

    assert holds.is_held(session)
    assert states(session) == ["accepted", "unknown", "unknown"]


@pytest.mark.usefixtures("announced")
def test_a_database_older_than_what_its_folder_has_seen_is_on_hold(session: Session) -> None:
    start(session)

    assert not start(session, seen=holds.log_end(session) + 1)

    assert the_instance(session).hold_kind is HoldKind.OLDER_DATABASE
    assert states(session) == ["unknown"] * 3


@pytest.mark.usefixtures("announced")
def test_what_is_written_during_a_hold_is_not_doubted_at_the_next_start(session: Session) -> None:
    start(session)
    start(session, ELSEWHERE)
    waiting = session.exec(select(Delivery)).first()
    assert waiting
    waiting.state = DeliveryState.WAITING  # as one that was put in the outbox since

    assert not start(session, ELSEWHERE)

    assert states(session) == ["unknown", "unknown", "waiting"]
    assert len(happened(session, EventKind.HOLD_SET)) == 1


@pytest.mark.usefixtures("announced")
def test_after_the_release_the_unknown_stay_unknown_and_others_leave(session: Session, desk: Desk) -> None:
    start(session)
    start(session, ELSEWHERE)

    assert holds.release(session, put_back=False, by="user:ana", now=LATER) == 0

    assert send_due(session, desk, now=LATER) == []
    assert states(session) == ["unknown"] * 3
    assert start(session, ELSEWHERE)
    assert kinds_of_items(session) == ["doubted_mails"]


@pytest.mark.usefixtures("announced")
def test_whoever_is_certain_that_nothing_left_puts_the_waiting_back_and_they_leave_once(
    session: Session, desk: Desk
) -> None:
    start(session)
    send_one(session, desk)
    start(session, ELSEWHERE)

    assert holds.release(session, put_back=True, by="user:ana", now=LATER) == 2

    assert kinds_of_items(session) == []
    assert len(send_due(session, desk, now=LATER)) == 2
    assert states(session) == ["accepted"] * 3


@pytest.mark.usefixtures("announced")
def test_what_was_being_handed_over_is_never_put_back(session: Session, desk: Desk) -> None:
    start(session)
    mails = outbox.claim(session, desk, worker="w", limit=1, now=LATER)
    outbox.hand_over(session, desk, mails, worker="w")
    start(session, ELSEWHERE)

    assert holds.release(session, put_back=True, by="user:ana", now=LATER) == 2

    assert states(session) == ["unknown", "waiting", "waiting"]
    assert kinds_of_items(session) == ["doubted_mails"]


@pytest.mark.usefixtures("announced")
def test_a_mail_that_somebody_sent_again_during_the_hold_is_not_put_back_beside_it(
    session: Session, desk: Desk
) -> None:
    start(session)
    start(session, ELSEWHERE)
    first = session.exec(select(Delivery)).first()
    assert first
    notice_id = letters.carried_by(session, first.id)[0].notice.id
    outbox.repeat(session, desk, first.id, address=first.address, notice_id=notice_id, by="user:ana", now=LATER)

    assert holds.release(session, put_back=True, by="user:ana", now=LATER) == 2

    told = [mail.recipient for mail in send_due(session, desk, now=LATER)]
    assert sorted(told) == sorted(set(told))
    assert len(told) == 3


@pytest.mark.usefixtures("announced")
def test_a_person_stops_sending_and_no_mail_becomes_unknown_by_it(session: Session, desk: Desk) -> None:
    start(session)

    holds.hold(session, why="the relay is being moved", by="user:ana", now=LATER)

    assert holds.is_held(session)
    assert send_due(session, desk, now=LATER) == []
    assert states(session) == ["waiting"] * 3
    assert "relay" not in str(happened(session, EventKind.HOLD_SET)[0].data)
    holds.release(session, put_back=False, by="user:ana", now=LATER)
    assert len(send_due(session, desk, now=LATER)) == 3


def test_a_hold_before_anything_was_started_and_a_release_of_nothing_are_refused(session: Session) -> None:
    with pytest.raises(holds.NotStarted, match="start the first worker"):
        holds.hold(session, why="", by="user:ana", now=LATER)
    start(session)
    with pytest.raises(holds.NotHeld):
        holds.release(session, put_back=True, by="user:ana", now=LATER)


@pytest.mark.usefixtures("announced")
def test_another_machine_joins_and_both_send(session: Session) -> None:
    start(session)

    joined = holds.join(session, None, by="cli:0", now=LATER)

    assert joined == HERE
    assert start(session, joined)
    assert start(session, HERE)


@pytest.mark.usefixtures("announced")
def test_a_machine_that_was_started_before_it_joined_leaves_the_instance_to_the_others(session: Session) -> None:
    start(session)
    start(session, ELSEWHERE)

    assert holds.join(session, ELSEWHERE, by="cli:0", now=LATER) == HERE
    assert holds.is_held(session)
    holds.release(session, put_back=True, by="cli:0", now=LATER)

    assert start(session, HERE)
    assert states(session) == ["waiting"] * 3


@pytest.mark.usefixtures("announced")
def test_however_many_mails_there_are_they_become_unknown_in_a_few_statements(session: Session) -> None:
    start(session)
    said: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    sa.event.listen(session.connection(), "before_cursor_execute", listen)
    start(session, uuid4())

    assert len([one for one in said if one.startswith("UPDATE delivery")]) == 2
    assert len(said) < 40
