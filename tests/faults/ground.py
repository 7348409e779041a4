"""What the tests of faults stand on: an installation that owes mails, and a worker that works until nothing is due."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Delivery
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.services import outbox
from notifier.worker import Worker
from tests.factories import make_announcement, make_client, make_provider
from tests.faults.harness import answers, free_port, process, wait_for
from tests.faults.sink import Fault

OPEN = (DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)


def mail_to(port: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - settings of any type
    """The settings of a relay on this machine that is asked again at once."""
    return {
        "sender": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "sessions": 8,
        "retry_schedule": [0.2], "rest_schedule": [0.2], **more,
    }  # fmt: skip


def owe(runtime: Runtime, mails: int, *, at: datetime | None = None) -> None:
    """Publish one announcement to as many clients, of one contact each."""
    runtime.check_instance()  # as at the first start, before anything is sent
    with runtime.transaction() as session:
        make_provider(session)
        for number in range(mails):
            make_client(session, f"C-{number:05d}")
        make_announcement(session, runtime.desk, now=at or now())


def still_open(engine: sa.Engine) -> int:
    """How many mails have not come to their end."""
    with Session(engine) as session:
        return session.exec(select(sa.func.count()).select_from(Delivery).where(col(Delivery.state).in_(OPEN))).one()


def work_until_done(worker: Worker, *, seconds: float) -> None:
    """Tick until every mail has come to its end."""
    give_up = time.monotonic() + seconds
    while left := still_open(worker.runtime.engine):
        assert time.monotonic() < give_up, f"{left} mails have not ended after {seconds:.0f} s"
        worker.tick()
        time.sleep(0.05)


def end_leases(runtime: Runtime) -> None:
    """Let as much time pass on the database's clock as a dead worker needs to be noticed."""
    with runtime.transaction() as session:
        ended = outbox.database_now(session) - timedelta(seconds=1)
        session.execute(sa.update(Delivery).where(col(Delivery.lease_until).is_not(None)).values(lease_until=ended))


@contextmanager
def relay_process(
    journal: Path,
    faults: Mapping[Fault, str] | None = None,
    *,
    port: int = 0,
    seed: int = 0,
    pace: float = 0,
    delay: float = 1,
) -> Iterator[int]:
    """The sink in a process of its own; yields its port."""
    port = port or free_port()
    said = ",".join(f"{fault.value}={when}" for fault, when in (faults or {}).items())
    options = {"port": port, "journal": journal, "seed": seed, "pace": pace, "delay": delay, "faults": said}
    given = [f"--{name}={value}" for name, value in options.items() if value != ""]
    journal.touch()
    with process(sys.executable, "-m", "tests.faults.sink", *given):
        wait_for(lambda: answers(port), seconds=15, else_say="the relay does not answer")
        yield port
