"""How far the mails of an announcement are, and when the last one will have left."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, select

from notifier.adapters.sending import Verdict
from notifier.models import Announcement, Attempt, Delivery
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.pace import Limits
from notifier.services import letters, pace
from notifier.services.desk import Desk
from tests.factories import NOON, make_announcement, make_client, make_provider
from tests.services.stories import send_due

A_MINUTE = timedelta(minutes=1)


@pytest.fixture
def announced(session: Session, desk: Desk) -> Announcement:
    """Twelve clients are told at noon; nothing has left yet."""
    make_provider(session)
    for number in range(12):
        make_client(session, f"C-{number:03}")
    return make_announcement(session, desk)


def left_before(session: Session, *, mails: int, per_round: int, every: timedelta, until: datetime) -> None:
    """Let mails of an older announcement have left by rounds; each has been tried once."""
    some = session.exec(select(Delivery).where(Delivery.letter == letters.NOTICE)).first()
    assert some
    for number in range(mails):
        written = some.model_dump(exclude={"id", "announcement_id"})
        rows = {"purpose": f"old {number}", "message_id": f"<{number}@hosting.example>"}
        old = Delivery(**{**written, **rows, "state": DeliveryState.ACCEPTED, "announcement_id": None})
        session.add(old)
        session.flush()
        at = until - every * (number // per_round)
        session.add(Attempt(delivery_id=old.id, number=1, verdict=Verdict.ACCEPTED, code=250, peer="relay", at=at))
    session.flush()


def test_before_any_mail_has_left_nothing_is_foretold(session: Session, announced: Announcement) -> None:
    found = pace.progress(session, announced.id, now=NOON)

    assert (found.total, found.left, found.under_way, found.recent) == (12, 0, 12, 0)
    assert (found.forecast.per_minute, found.forecast.last_at) == (None, None)
    assert not found.is_stalled
    assert not found.have_all_left


def test_the_most_recent_pace_says_when_the_last_will_have_left(session: Session, announced: Announcement) -> None:
    left_before(session, mails=30, per_round=3, every=timedelta(seconds=30), until=NOON - timedelta(days=1))

    found = pace.progress(session, announced.id, now=NOON)

    assert found.forecast.per_minute == pytest.approx(6)
    assert found.forecast.last_at == NOON + 2 * A_MINUTE


def test_a_limit_of_the_relays_counts_where_it_is_below_the_pace(session: Session, announced: Announcement) -> None:
    left_before(session, mails=30, per_round=3, every=timedelta(seconds=30), until=NOON - timedelta(days=1))

    slow, fast = (
        pace.progress(session, announced.id, now=NOON, limits=Limits(per_minute=limit)).forecast for limit in (3, 600)
    )

    assert slow.last_at == NOON + 4 * A_MINUTE
    assert fast.last_at == NOON + 2 * A_MINUTE


def test_a_cap_a_day_puts_the_rest_off_until_midnight_at_the_provider(
    session: Session, announced: Announcement
) -> None:
    left_before(session, mails=8, per_round=8, every=A_MINUTE, until=NOON - timedelta(hours=1))

    found = pace.progress(session, announced.id, now=NOON, limits=Limits(per_minute=2, per_day=10))

    assert found.forecast.last_at == datetime(
        2026, 3, 2, 23, 5, tzinfo=NOON.tzinfo
    )  # two today, ten from midnight in Paris on


def test_what_leaves_before_it_takes_its_time(session: Session, announced: Announcement) -> None:
    """Of twelve mails, three are of another announcement, which was published a minute before."""
    rows = session.exec(select(Delivery).where(Delivery.letter == letters.NOTICE)).all()
    for one in rows[:3]:
        one.announcement_id, one.due_at = None, NOON - A_MINUTE
        session.add(one)
    for one in rows[3:5]:
        one.announcement_id, one.lane = None, letters.NEWS_LANE  # these leave after it
        session.add(one)
    session.flush()

    found = pace.progress(session, announced.id, now=NOON, limits=Limits(per_minute=1))

    assert found.under_way == 7
    assert found.forecast.last_at == NOON + 10 * A_MINUTE


def test_all_have_left_once_a_relay_has_taken_them_all(session: Session, desk: Desk, announced: Announcement) -> None:
    send_due(session, desk, now=NOON)

    found = pace.progress(session, announced.id, now=NOON + A_MINUTE)

    assert (found.total, found.left, found.under_way) == (12, 12, 0)
    assert found.have_all_left


def test_a_refused_mail_has_not_left_and_none_is_under_way(
    session: Session, desk: Desk, announced: Announcement
) -> None:
    send_due(session, desk, now=NOON, verdicts={"dpo@c-003.example": Verdict.REFUSED})

    found = pace.progress(session, announced.id, now=NOON)

    assert (found.total, found.left, found.under_way) == (12, 11, 0)
    assert not found.have_all_left


def test_what_a_relay_has_put_off_leaves_no_sooner_than_at_its_next_attempt(
    session: Session, desk: Desk, announced: Announcement
) -> None:
    send_due(session, desk, now=NOON, verdicts={"dpo@c-003.example": Verdict.DEFERRED})

    found = pace.progress(session, announced.id, now=NOON, limits=Limits(per_minute=600))

    assert (found.under_way, found.recent) == (1, 11)
    assert pace.progress(session, announced.id, now=NOON + timedelta(hours=1)).recent == 0
    assert found.forecast.last_at == NOON + desk.mail_schedule[0]


def test_nothing_is_foretold_of_what_stands_still(session: Session, announced: Announcement) -> None:
    found = pace.progress(session, announced.id, now=NOON + 6 * A_MINUTE, limits=Limits(per_minute=30))

    assert found.is_stalled
    assert found.forecast.last_at is None


def test_what_waits_while_others_leave_does_not_stand_still(session: Session, announced: Announcement) -> None:
    now = NOON + 6 * A_MINUTE
    left_before(session, mails=30, per_round=3, every=timedelta(seconds=2), until=now)

    found = pace.progress(session, announced.id, now=now)

    assert not found.is_stalled
    assert found.forecast.last_at


def test_receipts_and_alerts_say_nothing_of_the_pace(session: Session, announced: Announcement) -> None:
    left_before(session, mails=30, per_round=1, every=timedelta(seconds=50), until=NOON)
    for one in session.exec(select(Delivery).where(Delivery.state == DeliveryState.ACCEPTED)):
        one.lane = letters.URGENT
        session.add(one)
    session.flush()

    assert pace.progress(session, announced.id, now=NOON).forecast.per_minute is None


def test_a_preview_counts_what_is_in_the_outbox_already(session: Session, announced: Announcement) -> None:  # noqa: ARG001 - its mails wait
    found = pace.forecast(session, 8, now=NOON, limits=Limits(per_minute=2))

    assert (found.mails, found.per_minute) == (8, 2)
    assert found.last_at == NOON + 10 * A_MINUTE


def test_nothing_is_foretold_of_what_a_person_has_paused(session: Session, announced: Announcement) -> None:
    announced.paused_at = NOON
    session.add(announced)
    session.flush()

    found = pace.progress(session, announced.id, now=NOON, limits=Limits(per_minute=30))

    assert found.is_held
    assert found.forecast.last_at is None
