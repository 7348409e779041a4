"""The worker: doorways of a few lines to what is due, a timetable that needs no broker, and the three steps of one
round.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import dramatiq
import structlog
from dramatiq.middleware import Middleware
from sqlalchemy.exc import OperationalError

from notifier import runtime as wiring
from notifier.adapters.http import sign
from notifier.adapters.sending import Held, Outcome, Sender
from notifier.runtime import Runtime, now
from notifier.services import announcements, notices, outbox, reminders, subscriptions, watches, webhooks
from notifier.services.doorbell import Bell
from notifier.services.watches import Errand, Found
from notifier.services.webhooks import Parcel
from notifier.settings import load

log = structlog.get_logger()

WEBHOOKS_AT_ONCE = 8
LOOKS_AT_ONCE = 4
NEVER = datetime.min.replace(tzinfo=UTC)
REMINDER_PAUSE = timedelta(minutes=10)
SETTLE_PAUSES = (0.1, 1, 5, 15)  # s; a deadlock, or a restart of the database, is over by then


class Worker:
    """What one process does with the outbox.  One round at a time; a bell that rings during one is not lost."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self.sender: Sender = runtime.make_sender()
        self._looked_at = NEVER  # for reminders, and found none
        self._mailing = threading.Lock()
        self._posting = threading.Lock()

    def send_due(self) -> int:
        """Hand over mails, round by round, until nothing is due; returns how many were tried."""
        with self._mailing:
            return sum(iter(self._send_round, 0))

    def post_due(self) -> int:
        """Post webhooks until nothing is due; returns how many were tried."""
        with self._posting, ThreadPoolExecutor(WEBHOOKS_AT_ONCE) as pool:
            return sum(iter(lambda: self._post_batch(pool), 0))

    def tick(self) -> None:
        """What time alone brings: leases of the dead, periods that end, and whatever is due that no bell told of."""
        with self.runtime.transaction() as session:
            outbox.expire_leases(session, now=now())
            webhooks.expire_leases(session)
            notices.lapse_due(session, now=now())
            announcements.announce_ended_prohibitions(session, now=now())
            reminders.drop_stale(session, now=now())
        self._remind()
        self._tell_subscribers()
        self.send_due()
        self.post_due()
        with self.runtime.transaction() as session:
            outbox.catch_up(session, self.runtime.desk, now=now())
        self.look_due()

    def look_due(self) -> int:
        """Look at a few of the watched lists that are due; the next tick takes more.  Returns how many."""
        with self.runtime.transaction() as session:
            errands = watches.claim(session, limit=LOOKS_AT_ONCE, now=now())
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            list(pool.map(self._look, errands))
        return len(errands)

    def _look(self, errand: Errand) -> None:
        try:
            found = watches.look(self.runtime.desk, errand)
        except Exception:  # what other people write must not keep one source from ever being looked at again
            log.exception("a watched list could not be read", source=str(errand.source_id))
            found = Found(trouble="the reader failed at this list; the log says where")
        with self.runtime.transaction() as session:
            watches.settle(session, errand, found, now=now())

    def close(self) -> None:
        self.sender.close()

    def _remind(self) -> None:
        """Put reminders in the outbox, tick by tick until none is due; then days pass slowly, and one look in a while
        is enough.  One that cannot be written (somebody's own template, say) must keep no other mail from leaving.
        """
        at = now()
        if self._looked_at <= at < self._looked_at + REMINDER_PAUSE:
            return
        self._looked_at = at
        try:
            with self.runtime.transaction() as session:
                if reminders.send_due(session, self.runtime.desk, now=at):
                    self._looked_at = NEVER
        except Exception:
            log.exception("reminders could not be written; they are tried again in a while")

    def _tell_subscribers(self) -> None:
        """Put news for subscribers in the outbox, one event after the other.  They keep no mail of a client waiting."""
        try:
            with self.runtime.transaction() as session:
                subscriptions.sweep(session, now=now())
            is_more = True
            while is_more:
                with self.runtime.transaction() as session:
                    is_more = subscriptions.tell_due(session, self.runtime.desk, now=now())
        except Exception:
            log.exception("news for subscribers could not be written; the next tick tries again")

    def _send_round(self) -> int:
        """One round: claim, hold at the dot, write down that they are about to leave, give the dots, write down the
        answers.
        """
        with self.runtime.transaction() as session:
            mails = outbox.claim(session, self.runtime.desk, worker=self.name, limit=self.sender.capacity, now=now())
        held, outcomes = self.sender.hold(mails)
        leaving = self._hand_over(held)
        self.sender.drop([one for one in held if one.mail.delivery_id not in leaving])
        outcomes += self.sender.release([one for one in held if one.mail.delivery_id in leaving])
        self._settle(outcomes)
        return len(mails)

    def _hand_over(self, held: Sequence[Held]) -> set[UUID]:
        """Commit that these mails are about to leave; when that fails, none does."""
        try:
            with self.runtime.transaction() as session:
                ids = [one.mail.delivery_id for one in held]
                return outbox.hand_over(session, self.runtime.desk, ids, worker=self.name)
        except Exception:
            self.sender.drop(held)
            raise

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write the answers down.  They are known nowhere else: a database that is away for a moment is asked again."""
        for pause in SETTLE_PAUSES:
            with suppress(OperationalError):
                self._write_down(outcomes)
                return
            log.warning("the answers of a round could not be written down; trying again", mails=len(outcomes))
            time.sleep(pause)
        self._write_down(outcomes)

    def _write_down(self, outcomes: Sequence[Outcome]) -> None:
        with self.runtime.transaction() as session:
            outbox.settle(session, self.runtime.desk, outcomes, worker=self.name, now=now())

    def _post_batch(self, pool: ThreadPoolExecutor) -> int:
        with self.runtime.transaction() as session:
            parcels = webhooks.claim(session, self.runtime.desk, limit=WEBHOOKS_AT_ONCE, now=now())
        list(pool.map(self._post, parcels))
        return len(parcels)

    def _post(self, parcel: Parcel) -> None:
        headers = sign(parcel.secret, parcel.message_id, now(), parcel.body)
        answer = self.runtime.desk.http.post(
            parcel.url, content=parcel.body, headers={"content-type": "application/json", **headers}
        )
        with self.runtime.transaction() as session:
            webhooks.settle(session, self.runtime.desk, parcel, answer, now=now())


class Timetable:
    """A thread that ticks every so many seconds, broker or no broker."""

    def __init__(self, tick: Callable[[], None], seconds: float) -> None:
        self._tick = tick
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timetable", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._tick()
            except Exception:
                log.exception("a tick failed; the next one tries again")
            self._stopped.wait(self._seconds)


class _StartTimetable(Middleware):
    """Runs the timetable in each worker process, from its start to its end."""

    def __init__(self, worker: Worker, timetable: Timetable) -> None:
        self._worker = worker
        self._timetable = timetable

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        del broker, worker
        self._timetable.start()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        del broker, worker
        self._timetable.stop()
        self._worker.close()


def declare(worker: Worker) -> None:
    """Put the doorways on the broker: one for each bell.  They carry nothing and may ring twice.

    Dramatiq's time limit is not among the broker's middleware: it would interrupt a round between a final dot and its
    answer.  Every phase on the wire has a limit of its own.
    """
    broker = worker.runtime.broker
    doorways: dict[Bell, Callable[[], object]] = {Bell.OUTBOX: worker.send_due, Bell.WEBHOOKS: worker.post_due}
    for bell, due in doorways.items():
        declared = dramatiq.actor(actor_name=bell.value, queue_name=bell.value, broker=broker, max_retries=0)
        declared(due_now(due))


def due_now(due: Callable[[], object]) -> Callable[[], None]:
    def doorway() -> None:
        due()

    return doorway


@contextmanager
def embedded(runtime: Runtime) -> Iterator[Worker]:
    """Run the worker, its doorways and its timetable inside this process."""
    worker = Worker(runtime)
    declare(worker)
    timetable = Timetable(worker.tick, runtime.settings.sweep_seconds)
    threads = dramatiq.Worker(runtime.broker, worker_threads=2, worker_timeout=100)
    threads.start()
    timetable.start()
    try:
        yield worker
    finally:
        timetable.stop()
        threads.stop(timeout=20_000)
        worker.close()


def start() -> None:
    """What `dramatiq notifier.worker:start` calls in each worker process: settings come from the environment."""
    runtime = wiring.build(load(Path(os.environ.get("NOTIFIER_DATA_DIR", "var"))))
    worker = Worker(runtime)
    timetable = Timetable(worker.tick, runtime.settings.sweep_seconds)
    runtime.broker.add_middleware(_StartTimetable(worker, timetable))
    declare(worker)
    dramatiq.set_broker(runtime.broker)
