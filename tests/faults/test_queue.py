"""The outbox as a queue: many producers, many consumers, each delivery claimed by exactly one of them."""

import threading
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.models import Attempt, Delivery
from notifier.models.base import uuid7
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.services import outbox
from tests.factories import make_runtime
from tests.faults.figures import TIME_OUT, say, times
from tests.faults.ground import owe

pytestmark = pytest.mark.timeout(TIME_OUT)

AT_ONCE = 10  # deliveries that one claim takes
STARVED = 20  # of 4,000 for twenty: a tenth of a fair share


def produce(runtime: Runtime, of: Delivery, producer: int, count: int) -> None:
    """Put copies of one delivery in the outbox, each to an address of its own, a few in each transaction."""
    facts = of.model_dump(exclude={"id", "address", "message_id", "state"})
    for start in range(0, count, 10):
        rows = []
        for number in range(start, min(start + 10, count)):
            name = f"p{producer:02d}-{number:04d}"
            fresh = {"id": uuid7(), "address": f"{name}@client.example", "message_id": f"<{name}@hosting.example>"}
            rows.append({**facts, **fresh})
        with runtime.transaction() as session:
            session.execute(sa.insert(Delivery), rows)


class Consumer:
    """One that claims, hands over and settles, as a worker does, with a relay that takes everything."""

    def __init__(self, runtime: Runtime, name: str, handed_over: Counter[str], lock: threading.Lock) -> None:
        self.name, self.took = name, 0
        self._runtime, self._handed_over, self._lock = runtime, handed_over, lock

    def consume(self) -> int:
        """One round; returns how many it took."""
        with self._runtime.transaction() as session:
            mails = outbox.claim(session, self._runtime.desk, worker=self.name, limit=AT_ONCE, now=now())
        if not mails:
            return 0
        with self._runtime.transaction() as session:
            leaving = outbox.hand_over(session, self._runtime.desk, mails, worker=self.name)
        with self._lock:
            self._handed_over.update(mail.recipient for mail in mails if mail.delivery_id in leaving)
        self.took += len(leaving)
        outcomes = [accepted(mail) for mail in mails if mail.delivery_id in leaving]
        with self._runtime.transaction() as session:
            outbox.settle(session, self._runtime.desk, outcomes, worker=self.name, now=now())
        return len(mails)


def accepted(mail: Mail) -> Outcome:
    return Outcome(
        delivery_id=mail.delivery_id,
        attempt=mail.attempt,
        verdict=Verdict.ACCEPTED,
        code=250,
        reply="taken",
        peer="relay.example:25",
        tls="",
    )


@pytest.mark.slow
def test_twenty_producers_and_twenty_consumers_pass_on_each_delivery_exactly_once(
    database_url: str, tmp_path: Path
) -> None:
    """On SQLite, where one writes at a time, four of each; there the short form has a tenth of the deliveries."""
    many, total = (20, 4000) if database_url.startswith("postgresql") else (4, times(400, 4000))
    with closing(make_runtime(database_url, tmp_path)) as runtime:
        owe(runtime, 1)
        with runtime.transaction() as session:
            [model] = session.exec(select(Delivery)).all()
            session.execute(sa.update(Delivery).values(state=DeliveryState.DROPPED))
        produced, handed_over, lock = threading.Event(), Counter[str](), threading.Lock()
        consumers = [Consumer(runtime, f"consumer {number}", handed_over, lock) for number in range(many)]
        troubles: list[BaseException] = []

        def patient(work: threading.Event, consumer: Consumer) -> None:
            try:
                while consumer.consume() or not work.is_set():
                    pass
            except BaseException as trouble:
                troubles.append(trouble)
                raise

        makers = [
            threading.Thread(target=produce, args=(runtime, model, number, total // many)) for number in range(many)
        ]
        takers = [threading.Thread(target=patient, args=(produced, consumer)) for consumer in consumers]
        start = now()
        for thread in [*makers, *takers]:
            thread.start()
        for thread in makers:
            thread.join(60)
        produced.set()
        for thread in takers:
            thread.join(90)
        took = now() - start
        with Session(runtime.engine) as session:
            states = Counter(session.exec(select(Delivery.state).where(Delivery.id != model.id)).all())
            attempts = Counter(session.exec(select(Attempt.delivery_id)).all())

    shares = sorted(consumer.took for consumer in consumers)
    say("queue", deliveries=total, least=shares[0], most=shares[-1], a_second=total / (took / timedelta(seconds=1)))
    assert troubles == []
    assert states == {DeliveryState.ACCEPTED: total}
    assert set(attempts.values()) == {1}
    assert len(handed_over) == total
    assert set(handed_over.values()) == {1}
    if many == 20:  # SQLite's lock goes to whoever asks at the right instant
        assert shares[0] >= STARVED


def test_a_consumer_that_dies_between_claiming_and_handing_over_holds_its_deliveries_for_its_lease_alone(
    database_url: str, tmp_path: Path
) -> None:
    with closing(make_runtime(database_url, tmp_path)) as runtime:
        owe(runtime, 12)
        handed_over, lock = Counter[str](), threading.Lock()
        dead, alive = (Consumer(runtime, name, handed_over, lock) for name in ("dead", "alive"))
        with runtime.transaction() as session:
            held = outbox.claim(session, runtime.desk, worker=dead.name, limit=5, now=now())
        while alive.consume():
            pass
        with runtime.transaction() as session:
            ended = outbox.database_now(session) - timedelta(seconds=1)
            session.execute(sa.update(Delivery).where(col(Delivery.claimed_by) == dead.name).values(lease_until=ended))
            outbox.expire_leases(session, now=now())
        before = alive.took
        while alive.consume():
            pass

    assert (len(held), before, alive.took) == (5, 7, 12)
    assert set(handed_over.values()) == {1}
