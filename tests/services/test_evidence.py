"""A mail of which nobody knows whether it arrived: what a relay's log proves, and when it presses."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from notifier.adapters.relay_logs import Fate, Logged
from notifier.adapters.sending import Verdict
from notifier.models import Delivery, EventKind, Notice
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.notice_states import NoticeState
from notifier.services import evidence
from notifier.services.desk import Desk
from tests.factories import NOON, make_announcement, make_client, make_provider
from tests.services.stories import deliveries, happened, send_due

HOUR = timedelta(hours=1)


@pytest.fixture
def unknown(session: Session, desk: Desk) -> Delivery:
    """A notice that was handed over at noon, and whose answer never came."""
    make_provider(session)
    make_client(session)
    make_announcement(session, desk)
    send_due(session, desk, now=NOON, verdicts={"dpo@c-001.example": Verdict.UNKNOWN})
    (delivery,) = deliveries(session)
    assert delivery.state is DeliveryState.UNKNOWN
    return delivery


def says(delivery: Delivery, *fates: Fate) -> list[Logged]:
    return [Logged(message_id=delivery.message_id, address="", fate=fate, line=f"it was {fate}") for fate in fates]


def the_notice(session: Session) -> Notice:
    session.expire_all()
    return session.exec(select(Notice)).one()


@pytest.mark.parametrize("fate", [Fate.TAKEN, Fate.SENT, Fate.DEFERRED])
def test_a_mail_that_the_relay_has_in_its_log_had_arrived_there(
    session: Session, desk: Desk, unknown: Delivery, fate: Fate
) -> None:
    done = evidence.take_log(session, desk, says(unknown, Fate.TAKEN, fate), by="ana", now=NOON + HOUR)

    assert done == {"arrived": 1}
    assert unknown.state is DeliveryState.ACCEPTED
    assert the_notice(session).state is NoticeState.RUNNING


def test_a_mail_that_the_relay_could_not_deliver_came_back(session: Session, desk: Desk, unknown: Delivery) -> None:
    logged = says(unknown, Fate.TAKEN, Fate.BOUNCED, Fate.TAKEN)

    assert evidence.take_log(session, desk, logged, by="ana", now=NOON + HOUR) == {"returned": 1}
    assert unknown.state is DeliveryState.REFUSED
    assert the_notice(session).state is NoticeState.UNREACHED


def test_the_same_log_read_twice_has_one_effect(session: Session, desk: Desk, unknown: Delivery) -> None:
    logged = says(unknown, Fate.SENT)

    assert evidence.take_log(session, desk, logged, by="ana", now=NOON + HOUR) == {"arrived": 1}
    assert evidence.take_log(session, desk, logged, by="ana", now=NOON + HOUR) == {}
    assert len(happened(session, EventKind.DELIVERY_SETTLED)) == 1


def test_a_log_that_does_not_name_a_mail_proves_nothing(session: Session, desk: Desk, unknown: Delivery) -> None:
    stranger = Logged(message_id="<another@hosting.example>", address="", fate=Fate.SENT, line="it was sent")

    assert evidence.take_log(session, desk, [stranger], by="ana", now=NOON + HOUR) == {}
    assert unknown.state is DeliveryState.UNKNOWN


def test_a_mail_without_evidence_presses_after_a_day_and_says_so_once(
    session: Session, desk: Desk, unknown: Delivery
) -> None:
    del desk
    assert evidence.press(session, now=NOON + timedelta(hours=23, minutes=59)) == 0
    assert [evidence.press(session, now=NOON + timedelta(days=1, hours=n)) for n in range(3)] == [1, 0, 0]
    (event,) = happened(session, EventKind.DELIVERY_PRESSING)
    assert (event.about_id, event.data) == (unknown.id, {"unknown_since": NOON.isoformat()})


def test_a_mail_without_evidence_presses_three_days_before_the_end_of_a_period(
    session: Session, desk: Desk, unknown: Delivery
) -> None:
    del desk
    notice = the_notice(session)
    notice.object_until = NOON + timedelta(hours=71)
    session.add(notice)
    session.flush()

    assert evidence.press(session, now=NOON) == 1
    assert happened(session, EventKind.DELIVERY_PRESSING)[0].about_id == unknown.id


def test_a_mail_that_was_settled_presses_no_more(session: Session, desk: Desk, unknown: Delivery) -> None:
    evidence.take_log(session, desk, says(unknown, Fate.SENT), by="ana", now=NOON + HOUR)

    assert evidence.press(session, now=NOON + timedelta(days=30)) == 0
