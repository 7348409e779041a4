"""A worker process that can be killed at any instant, and its control: the same with the naive order of writes.

Processes are forked from a server that has imported everything, so that frequent kills leave time to work.
"""

import multiprocessing
import time
from collections.abc import Mapping
from enum import StrEnum
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from notifier.adapters.sending import Verdict
from notifier.models import Delivery
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import now
from notifier.services import outbox
from notifier.worker import Worker
from tests.factories import make_runtime

PAUSE = 0.05  # seconds between two ticks


class NaiveWorker(Worker):
    """The control: send, then mark as sent.  No commit before the final dot; what broke is simply tried again."""

    def _send_batch(self, without: frozenset[str] = frozenset()) -> int:
        del without
        with self.runtime.transaction() as session:
            mails = outbox.claim(session, self.runtime.desk, worker=self.name, limit=self.sender.capacity, now=now())
        held, outcomes = self.sender.hold(mails)
        outcomes += self.sender.release(held)
        sent = [outcome.delivery_id for outcome in outcomes if outcome.verdict is Verdict.ACCEPTED]
        tried = [mail.delivery_id for mail in mails]
        mine = sa.update(Delivery).where(
            col(Delivery.state) == DeliveryState.CLAIMED, col(Delivery.claimed_by) == self.name
        )
        with self.runtime.transaction() as session:
            session.execute(mine.where(col(Delivery.id).in_(sent)).values(state=DeliveryState.ACCEPTED))
            session.execute(mine.where(col(Delivery.id).in_(tried)).values(state=DeliveryState.WAITING, due_at=now()))
        return len(mails)


class Order(StrEnum):
    OURS = "ours"
    NAIVE = "naive"


WORKERS = {Order.OURS: Worker, Order.NAIVE: NaiveWorker}


def run(database_url: str, data_dir: Path, settings: Mapping[str, Any], order: Order) -> None:
    """Tick until killed.  What a tick raises ends the process, so that a test sees it."""
    worker = WORKERS[order](make_runtime(database_url, data_dir, **settings))
    while True:
        worker.tick()
        time.sleep(PAUSE)


def spawn(database_url: str, data_dir: Path, settings: Mapping[str, Any], order: Order) -> ForkServerProcess:
    """Start a worker in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=run, args=(database_url, data_dir, settings, order), daemon=True)
    process.start()
    return process
