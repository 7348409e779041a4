"""The vital signs are those of the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from sqlmodel import Session, col, select

from notifier.adapters.sending import Verdict
from notifier.models import Attempt, BounceMail, Delivery, Endpoint, ItemKind, WebhookDelivery
from notifier.models.base import first_uuid7, uuid7
from notifier.models.bounce import BounceDoor
from notifier.rules.bounces import BounceKind
from notifier.rules.delivery_states import DeliveryState
from notifier.services import events, items, letters, vitals
from notifier.services.desk import Desk
from notifier.services.vitals import Answers, Queue, Vitals
from tests.factories import NOON, make_announcement, make_client, make_provider
from tests.services.stories import RELAY, send_due

A_MINUTE = timedelta(minutes=1)
LATER = NOON + 3 * A_MINUTE


@pytest.fixture
def story(session: Session, desk: Desk) -> Session:
    """Four clients have been told at noon, and nothing has left yet."""
    make_provider(session)
    for number in range(4):
        make_client(session, f"C-{number:03}")
    make_announcement(session, desk)
    return session


def signs(session: Session, desk: Desk) -> Vitals:
    return vitals.vitals(session, desk, now=LATER)


def mails(session: Session) -> list[Delivery]:
    return list(session.exec(select(Delivery).order_by(col(Delivery.address))))


def test_an_instance_that_has_done_nothing_has_nothing_to_say(session: Session, desk: Desk) -> None:
    found = signs(session, desk)

    assert set(found.due) == set(vitals.LANES)
    assert {*found.due.values(), found.unknown, found.webhooks} == {Queue()}
    assert (found.retrying, found.is_held, found.events, found.items, found.notices) == (0, False, 0, {}, {})
    assert vitals.answers(session, since=None, until=None) == Answers(0, {})


def test_what_is_due_is_counted_by_lane_with_its_age(story: Session, desk: Desk) -> None:
    first, second, *_ = mails(story)
    first.lane, first.due_at = letters.URGENT, NOON + A_MINUTE
    second.due_at = LATER + A_MINUTE
    story.add_all([first, second])
    story.flush()

    found = signs(story, desk)

    assert found.due == {
        letters.URGENT: Queue(1, NOON + A_MINUTE),
        letters.BULK: Queue(2, NOON),
        letters.NEWS_LANE: Queue(),
    }
    assert found.retrying == 1


def test_what_a_worker_holds_is_no_longer_due(story: Session, desk: Desk) -> None:
    for row, state in zip(mails(story), ("claimed", "handing_over", "handing_over", "accepted"), strict=True):
        row.state = DeliveryState(state)
        story.add(row)
    story.flush()

    found = signs(story, desk)

    assert found.in_hand == {"claimed": 1, "handing_over": 2}
    assert found.due[letters.BULK] == Queue()


def test_an_unknown_mail_is_as_old_as_the_attempt_that_made_it_so(story: Session, desk: Desk) -> None:
    send_due(story, desk, now=NOON + A_MINUTE, verdicts={"dpo@c-002.example": Verdict.UNKNOWN})

    found = signs(story, desk)

    assert found.unknown == Queue(1, NOON + A_MINUTE)
    assert found.items["unknown_delivery"].number == 1


def test_a_mail_that_is_unknown_without_an_attempt_is_as_old_as_itself(story: Session, desk: Desk) -> None:
    row = mails(story)[0]
    row.state = DeliveryState.UNKNOWN
    story.add(row)
    story.flush()

    assert signs(story, desk).unknown == Queue(1, NOON)


def test_answers_are_counted_by_verdict_and_code_and_by_round(story: Session, desk: Desk) -> None:
    put_off = {"dpo@c-001.example": Verdict.DEFERRED, "dpo@c-002.example": Verdict.UNKNOWN}
    send_due(story, desk, now=NOON, verdicts=put_off)
    again = NOON + desk.mail_schedule[0]
    send_due(story, desk, now=again, verdicts={"dpo@c-001.example": Verdict.REFUSED})

    counted = {("accepted", 250): 2, ("deferred", 250): 1, ("refused", 250): 1}
    assert vitals.answers(story, since=None, until=None) == Answers(2, counted)


def test_no_answer_is_counted_twice_nor_left_out_where_two_spans_meet(story: Session, desk: Desk) -> None:
    with time_machine.travel(NOON, tick=False):
        send_due(story, desk, now=NOON, verdicts={"dpo@c-001.example": Verdict.DEFERRED})
    again = NOON + desk.mail_schedule[0]
    with time_machine.travel(again, tick=False):
        send_due(story, desk, now=again)

    for border in (NOON - A_MINUTE, NOON, NOON + timedelta(seconds=1), again, again + A_MINUTE):
        before, after = (
            vitals.answers(story, since=since, until=until) for since, until in ((None, border), (border, None))
        )
        assert before.rounds + after.rounds == 2, border
        assert sum(before.mails.values()) + sum(after.mails.values()) == 5, border


def test_an_answer_that_comes_late_to_an_old_attempt_is_seen(story: Session) -> None:
    """Its row was made when the lease ended, and says now what the relay said after all."""
    row = mails(story)[0]
    old = first_uuid7(NOON - vitals.LATEST / 2).int | 1
    facts: dict[str, Any] = {"verdict": Verdict.ACCEPTED, "code": 250, "peer": RELAY, "at": NOON}
    story.add(Attempt(id=UUID(int=old), delivery_id=row.id, number=1, **facts))
    story.flush()

    assert vitals.answers(story, since=NOON, until=None).mails == {("accepted", 250): 1}


def test_relays_are_told_apart_and_what_they_said_long_ago_is_left_out(story: Session, desk: Desk) -> None:
    minutes = (
        ("one.example:25", "accepted", 1),
        ("two.example:25", "deferred", 14),
        ("two.example:25", "accepted", 16),
    )
    for row, (peer, verdict, ago) in zip(mails(story), minutes, strict=False):
        story.add(Attempt(delivery_id=row.id, number=1, verdict=verdict, peer=peer, at=LATER - ago * A_MINUTE))
    story.flush()

    assert signs(story, desk).relays == {("one.example:25", "accepted"): 1, ("two.example:25", "deferred"): 1}


def test_webhooks_that_are_due_and_endpoints_that_are_off_are_counted(story: Session, desk: Desk) -> None:
    last = events.history(story, limit=1000)[-1].id or 0
    for enabled in (True, False, False):
        story.add(
            Endpoint(url="https://t.example", sealed_secret="", enabled=enabled, created_at=NOON, created_by="test")
        )
    story.flush()
    for endpoint, due_at in zip(story.exec(select(Endpoint)), (NOON, LATER, LATER + A_MINUTE), strict=True):
        story.add(WebhookDelivery(endpoint_id=endpoint.id, event_id=last, body="", due_at=due_at))
    story.flush()

    found = signs(story, desk)

    assert found.webhooks == Queue(2, NOON)
    assert found.endpoints == {True: 1, False: 2}
    assert found.events == last


def test_open_items_are_counted_by_kind_and_closed_ones_are_not(story: Session, desk: Desk) -> None:
    first, second = uuid7(), uuid7()
    for about, at in ((first, NOON), (second, NOON + A_MINUTE)):
        items.open_item(story, ItemKind.OBJECTION, about=about, announcement=None, now=at)
    items.open_item(story, ItemKind.TERMINATION, about=first, announcement=None, now=NOON)
    items.close_items(story, ItemKind.TERMINATION, about=first, by="test", now=LATER)

    assert signs(story, desk).items == {"objection": Queue(2, NOON)}


def test_notices_of_what_is_done_are_left_out(story: Session, desk: Desk) -> None:
    send_due(story, desk, now=NOON)

    assert signs(story, desk).notices == {"running": 4}
    story.execute(sa.text("UPDATE announcement SET state = 'live'"))
    assert signs(story, desk).notices == {}


def test_mails_that_came_back_are_counted_for_a_day(story: Session, desk: Desk) -> None:
    for number, hours in enumerate((1, 23, 25)):
        facts: dict[str, Any] = {"kind": BounceKind.FAILED, "how": BounceDoor.FILE, "report": {}, "content": b""}
        story.add(BounceMail(received_at=LATER - timedelta(hours=hours), digest=str(number), **facts))
    story.flush()

    assert signs(story, desk).bounces == {kind.value: 2 * (kind is BounceKind.FAILED) for kind in BounceKind}
