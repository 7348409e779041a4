"""Row 1 of the fault matrix: workers are killed over and over while they hand over mail; then the relay's journal is
held against the database.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Attempt, Delivery, Event, EventKind, Item, ItemKind
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from tests.factories import make_announcement, make_client, make_provider, make_runtime
from tests.faults.figures import IS_LONG, times
from tests.faults.ground import relay_process
from tests.faults.harness import Crew, free_port, wait_for
from tests.faults.sink import Fault, Taken, read_journal
from tests.faults.worker import Order, spawn

pytestmark = pytest.mark.usefixtures("swept")

LEASE = 8.0  # seconds; the margin before its end is 5
SHARE = 0.024  # of the mails, for each of five faults
FAULTS = dict.fromkeys(
    (Fault.GREYLIST, Fault.STORAGE, Fault.RESET_IN_BODY, Fault.CUT_AFTER_ACCEPTING, Fault.LATE), str(SHARE)
)
MAILS_OF_A_ROUND = 10  # sessions, as shipped: so many may be unknown after one kill
OPEN = (DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordeal:
    """How many mails, how many workers at once, how many of them stopped and woken much later, how many kills."""

    order: Order
    mails: int
    workers: int
    sleepers: int
    kills: int
    pace: float  # seconds before each of the relay's answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What the relay's journal and the database say once nothing is due any more."""

    kills: int
    journal: Sequence[Taken]
    deliveries: Sequence[Delivery]

    @property
    def copies(self) -> Counter[str]:
        return Counter(mail.message_id for mail in self.journal)

    @property
    def twice(self) -> list[str]:
        return [message_id for message_id, copies in self.copies.items() if copies > 1]

    def those(self, *states: DeliveryState) -> dict[str, Delivery]:
        return {delivery.message_id: delivery for delivery in self.deliveries if delivery.state in states}

    @property
    def lost(self) -> list[str]:
        """Neither known to be accepted nor held as unknown; or said to be accepted, and not in the relay's journal."""
        ended = self.those(DeliveryState.ACCEPTED, DeliveryState.UNKNOWN)
        untrue = self.those(DeliveryState.ACCEPTED).keys() - self.copies.keys()
        return [one.message_id for one in self.deliveries if one.message_id not in ended or one.message_id in untrue]

    def figures(self) -> str:
        unknown = self.those(DeliveryState.UNKNOWN)
        arrived = len(unknown.keys() & self.copies.keys())
        return (
            f"{len(self.deliveries)} mails, {self.kills} kills: {len(self.twice)} sent twice, {len(self.lost)} lost, "
            f"{len(unknown)} unknown (of these {arrived} had arrived)\n"
        )


def put_in_the_outbox(runtime: Runtime, mails: int) -> None:
    """Publish one announcement to as many clients, of one contact each."""
    runtime.check_instance()  # as at the first start, before anything is sent
    with runtime.transaction() as session:
        make_provider(session)
        for number in range(mails):
            make_client(session, f"C-{number:04d}")
        make_announcement(session, runtime.desk, now=now())


def torment(crew: Crew, ordeal: Ordeal, chance: random.Random) -> None:
    """Put some to sleep with mails in their hands, kill others, and wake the sleepers long after their leases ended."""
    crew.hire(ordeal.workers)
    for _ in range(ordeal.sleepers):
        wait_for(lambda: bool(crew.busy()), seconds=20, else_say="no worker takes a mail")
        crew.put_to_sleep(crew.busy()[0])
        crew.hire(1)
    give_up = time.monotonic() + 60 + 4 * ordeal.kills  # a kill takes half a second where nothing else runs
    while crew.kills < ordeal.kills:
        assert time.monotonic() < give_up, f"only {crew.kills} kills found a worker with mails in its hands"
        time.sleep(chance.uniform(0.3, 0.5))
        if busy := crew.busy():
            crew.kill(chance.choice(busy))
    assert crew.wake() == ordeal.sleepers


def still_open(engine: sa.Engine) -> int:
    with Session(engine) as session:
        return session.exec(select(sa.func.count()).select_from(Delivery).where(col(Delivery.state).in_(OPEN))).one()


def go_through(ordeal: Ordeal, runtime: Runtime, database_url: str, folder: Path) -> Aftermath:
    put_in_the_outbox(runtime, ordeal.mails)
    journal, port = folder / "journal", free_port()
    settings = {
        "mail": {
            "sender": "smtp", "host": "127.0.0.1", "port": port, "security": "none",
            "lease_seconds": LEASE, "retry_schedule": [0.5, 1.0], "rest_schedule": [0.2],
        }
    }  # fmt: skip
    crew = Crew(runtime.engine, lambda: spawn(database_url, folder, settings, ordeal.order))
    patience = 60 + ordeal.mails / 20
    try:
        with relay_process(journal, FAULTS, port=port, seed=7, pace=ordeal.pace):
            torment(crew, ordeal, random.Random(11))
        with relay_process(journal, FAULTS, port=port, seed=8):  # what is left need not take as long
            wait_for(lambda: not still_open(runtime.engine), seconds=patience, else_say="mails wait or are held")
    finally:
        crew.dismiss()
    with Session(runtime.engine) as session:
        deliveries = session.exec(select(Delivery)).all()
    aftermath = Aftermath(kills=crew.kills, journal=read_journal(journal), deliveries=deliveries)
    sys.stdout.write(aftermath.figures())  # pytest -rP shows it
    return aftermath


@pytest.mark.slow
@pytest.mark.timeout(7200 if IS_LONG else 240)
def test_killed_workers_send_nobody_twice_and_lose_nobody(postgresql_url: str, tmp_path: Path) -> None:
    kills, pace = times(64, 3000), 0.15 if IS_LONG else 0.06
    ordeal = Ordeal(
        order=Order.OURS, mails=times(1200, 24_000), workers=3, sleepers=times(2, 6), kills=kills, pace=pace
    )

    with closing(make_runtime(postgresql_url, tmp_path)) as runtime:
        aftermath = go_through(ordeal, runtime, postgresql_url, tmp_path)

        assert aftermath.kills == kills
        assert len(aftermath.those(DeliveryState.UNKNOWN)) <= MAILS_OF_A_ROUND * (kills + ordeal.sleepers) + faulty(
            ordeal
        )
        assert aftermath.twice == []
        assert aftermath.lost == []
        assert aftermath.copies.keys() <= {delivery.message_id for delivery in aftermath.deliveries}
        assert_that_the_records_agree(runtime, aftermath)


def faulty(ordeal: Ordeal) -> int:
    """How many mails may be unknown because the relay cut the connection after it had taken them: a fifth of the
    faults, with room for chance.
    """
    return round(ordeal.mails * SHARE * 2) + 20


def assert_that_the_records_agree(runtime: Runtime, aftermath: Aftermath) -> None:
    """The bytes, the events, the attempts and the open items tell the same story as the relay's journal."""
    accepted, unknown = (aftermath.those(state) for state in (DeliveryState.ACCEPTED, DeliveryState.UNKNOWN))
    sent = {mail.message_id: mail.sha256 for mail in aftermath.journal}
    kept = {delivery.message_id: delivery.sha256 for delivery in aftermath.deliveries}
    assert all(kept[message_id] == sha256 for message_id, sha256 in sent.items())
    with Session(runtime.engine) as session:
        waiting = session.exec(
            select(Item.about_id).where(Item.kind == ItemKind.UNKNOWN_DELIVERY, col(Item.open).is_(True))
        )
        told = session.exec(select(Event).where(Event.kind == EventKind.NOTICE_SENT)).all()
        proved = session.exec(select(Attempt.delivery_id).where(Attempt.verdict == "accepted")).all()
        assert set(waiting) == {delivery.id for delivery in unknown.values()}
    assert sorted(event.data["delivery"] for event in told) == sorted(str(one.id) for one in accepted.values())
    assert sorted(proved) == sorted(one.id for one in accepted.values())


@pytest.mark.slow
@pytest.mark.timeout(600 if IS_LONG else 240)
def test_the_control_that_marks_mails_after_sending_them_is_caught_sending_twice(
    postgresql_url: str, tmp_path: Path
) -> None:
    ordeal = Ordeal(order=Order.NAIVE, mails=times(500, 1500), workers=3, sleepers=2, kills=times(20, 80), pace=0.06)

    with closing(make_runtime(postgresql_url, tmp_path)) as runtime:
        aftermath = go_through(ordeal, runtime, postgresql_url, tmp_path)

    assert len(aftermath.twice) >= times(5, 10)
    assert aftermath.lost == []
