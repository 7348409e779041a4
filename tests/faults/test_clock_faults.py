"""Rows 25 and 26 of the fault matrix: clocks that jump, and clocks that disagree.

A worker's clock says what is due; leases are taken and checked by the database's clock alone, so that no worker takes
another's mails because its own clock is wrong.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from sqlmodel import Session, col, select

from notifier.models import Delivery, Notice, Sealed
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.services import outbox
from notifier.worker import Worker
from tests.factories import make_runtime
from tests.faults.books import read_books
from tests.faults.ground import mail_to, owe
from tests.faults.sink import FaultSink

MAILS = 8
Told = dict[object, tuple[object, object]]

# What the clock said when the notices were published, and what it says afterwards.
JUMPS = {
    "one hour on": (datetime(2026, 3, 2, 12, tzinfo=UTC), timedelta(hours=1)),
    "one hour back": (datetime(2026, 3, 2, 12, tzinfo=UTC), timedelta(hours=-1)),
    "400 days on": (datetime(2026, 3, 2, 12, tzinfo=UTC), timedelta(days=400)),
    "summer time begins": (datetime(2026, 3, 29, 0, 59, 50, tzinfo=UTC), timedelta(seconds=20)),
    "summer time ends": (datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC), timedelta(seconds=20)),
    "the hour that comes twice": (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), timedelta(hours=1)),
    "29 February": (datetime(2028, 2, 28, 22, 59, 50, tzinfo=UTC), timedelta(seconds=20)),
    "the last second of a year": (datetime(2026, 12, 31, 22, 59, 59, 900_000, tzinfo=UTC), timedelta(seconds=1)),
}


@pytest.fixture
def sink() -> Iterator[FaultSink]:
    with FaultSink() as sink:
        yield sink


@pytest.fixture
def runtime(database_url: str, tmp_path: Path, sink: FaultSink) -> Iterator[Runtime]:
    with closing(make_runtime(database_url, tmp_path, mail=mail_to(sink.port, sessions=4))) as runtime:
        yield runtime


def told(runtime: Runtime) -> Told:
    """What each client's deadline was sealed with and what it has been told."""
    with Session(runtime.engine) as session:
        rows = session.exec(select(Notice, Sealed).join(Sealed, col(Sealed.id) == Notice.sealed_id)).all()
    return {notice.id: (notice.object_until, (sealed.last_day, sealed.until, sealed.steps)) for notice, sealed in rows}


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_in_the_middle_of_a_send_sends_nothing_twice_and_takes_no_day_back(
    runtime: Runtime, sink: FaultSink, jump: str
) -> None:
    """Row 25: one worker holds mails when the clock jumps, another looks for what is due."""
    published, by = JUMPS[jump]
    with closing(Worker(runtime)) as one, closing(Worker(runtime)) as other:
        with time_machine.travel(published, tick=True):
            owe(runtime, MAILS, at=now())
            before = told(runtime)
            with runtime.transaction() as session:
                held = outbox.claim(session, runtime.desk, worker="one that works on", limit=3, now=now())
        with time_machine.travel(published + by, tick=True):
            other.tick()
            with Session(runtime.engine) as session:
                states = session.exec(select(Delivery.state).where(col(Delivery.claimed_by) == "one that works on"))
                assert set(states) == {DeliveryState.CLAIMED}  # a live worker is left alone
            with runtime.transaction() as session:
                assert outbox.hand_over(session, runtime.desk, held, worker="one that works on")
        with time_machine.travel(published + max(by, timedelta()) + timedelta(minutes=10), tick=True):
            one.tick()
            other.tick()
        after = told(runtime)
        with time_machine.travel(published + max(by, timedelta()) + timedelta(days=1), tick=True):
            one.tick()
        books = read_books(runtime.engine, sink.taken)

    assert books.twice == books.strangers == books.altered == []
    assert len([one for one in books.deliveries if one.letter == "notice"]) == MAILS
    assert len(books.those(DeliveryState.HANDING_OVER)) == 3  # by the database's clock its lease has not ended
    assert before.keys() == after.keys()
    assert all(after[key][1] == sealed for key, (_, sealed) in before.items())
    assert all(after[key][0] >= until for key, (until, _) in before.items())  # type: ignore[operator]  # both instants


@pytest.mark.parametrize("minutes", [10, -10])
def test_two_workers_whose_clocks_are_ten_minutes_apart_send_each_mail_once(
    runtime: Runtime, sink: FaultSink, minutes: int
) -> None:
    """Row 26."""
    with closing(Worker(runtime)) as right, closing(Worker(runtime)) as wrong:
        owe(runtime, MAILS)
        with runtime.transaction() as session:
            outbox.claim(session, runtime.desk, worker="one that works on", limit=2, now=now())
        with time_machine.travel(now() + timedelta(minutes=minutes), tick=True):
            wrong.tick()
        right.tick()
        with time_machine.travel(now() + timedelta(minutes=minutes), tick=True):
            wrong.tick()
        books = read_books(runtime.engine, sink.taken)

    assert books.twice == []
    assert len(books.those(DeliveryState.CLAIMED)) == 2
    assert len(books.those(DeliveryState.ACCEPTED)) == MAILS - 2


def test_a_database_whose_clock_is_ahead_of_a_worker_s_frees_no_mail_too_early(
    runtime: Runtime, sink: FaultSink
) -> None:
    """Row 26: the lease is as long as it was given, whatever the worker's clock says of its end."""
    lease = timedelta(seconds=runtime.settings.mail.lease_seconds)
    with time_machine.travel(now() - timedelta(minutes=10), tick=True):
        owe(runtime, 1, at=now())
        with runtime.transaction() as session:
            [mail] = outbox.claim(session, runtime.desk, worker="one", limit=1, now=now())
            by_the_database = outbox.database_now(session)
            row = session.get_one(Delivery, mail.delivery_id)
            assert row.lease_until
            assert abs(row.lease_until - by_the_database - lease) < timedelta(seconds=5)
            assert outbox.expire_leases(session, now=now()) == 0
    assert sink.taken == []
