"""The worker: doorways of a few lines to what is due, a timetable that needs no broker, and the three steps of one
round.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import dramatiq
import structlog
from dramatiq.middleware import Middleware
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session
from structlog.contextvars import bound_contextvars

from notifier import runtime as wiring
from notifier.adapters import logs
from notifier.adapters.http import sign
from notifier.adapters.sending import Blame, Held, Mail, Outcome, Sender
from notifier.rules.limits import Allowance, Turns, domain_of
from notifier.runtime import Runtime, now
from notifier.services import (
    announcements,
    bounces,
    evidence,
    notices,
    outbox,
    relays,
    reminders,
    sends,
    stamps,
    subscriptions,
    watches,
    webhooks,
)
from notifier.services.doorbell import Bell
from notifier.services.watches import Errand, Found
from notifier.services.webhooks import Parcel
from notifier.settings import load

log = structlog.get_logger()

WEBHOOKS_AT_ONCE = 8
LOOKS_AT_ONCE = 4
NEVER = datetime.min.replace(tzinfo=UTC)
REMINDER_PAUSE = timedelta(minutes=10)
MOST_AT_ONCE = 512  # mails in hand, each with its content
SOONEST = 0.05  # seconds: no relay's rate is worth waking up more often
SHORT, LONG = 1.0, 3.0  # seconds that a batch may take
SETTLE_PAUSES = (0.1, 1, 5, 15)  # s; a deadlock, or a restart of the database, is over by then


class Worker:
    """What one process does with the outbox.  One round at a time; a bell that rings during one is not lost."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self.senders = {plan.name: runtime.make_sender(plan.name) for plan in runtime.desk.relays}
        self._looked_at = NEVER  # for reminders, and found none
        self._mailing = threading.Lock()
        self._posting = threading.Lock()
        self._stopping = threading.Event()
        self._numbers = count(1)  # of rounds, for the log
        self._turns = Turns(runtime.desk.relays)
        self._batches = {name: _Batch() for name in self.senders}
        self._alarm = threading.Timer(0, self._wake)
        self._scribe = ThreadPoolExecutor(1, thread_name_prefix="answers")
        self._written: Future[None] | None = None
        self.intake = runtime.make_intake()

    @property
    def sender(self) -> Sender:
        """The sender to the only relay, or to the first."""
        return next(iter(self.senders.values()))

    @sender.setter
    def sender(self, sender: Sender) -> None:
        self.senders[next(iter(self.senders))] = sender

    def send_due(self) -> int:
        """Hand over mails, batch by batch, until nothing is due or nothing more may leave now; returns how many were
        tried.
        """
        with self._mailing:
            return sum(iter(self._send_batch, 0))

    def _send_due_unless_busy(self) -> None:
        """Do nothing where another thread is at it: that one goes on until nothing is due, and a tick does more."""
        if self._mailing.acquire(blocking=False):
            try:
                sum(iter(self._send_batch, 0))
            finally:
                self._mailing.release()

    def post_due(self) -> int:
        """Post webhooks until nothing is due; returns how many were tried."""
        with self._posting, ThreadPoolExecutor(WEBHOOKS_AT_ONCE) as pool:
            return sum(iter(lambda: self._post_batch(pool), 0))

    def tick(self) -> None:
        """What time alone brings: leases of the dead, periods that end, and whatever is due that no bell told of."""
        self.runtime.check_instance()  # before anything may be sent
        with self.runtime.transaction() as session:
            outbox.expire_leases(session, now=now())
            webhooks.expire_leases(session)
            notices.lapse_due(session, now=now())
            announcements.announce_ended_prohibitions(session, now=now())
            evidence.press(session, now=now())
            reminders.drop_stale(session, now=now())
            sends.catch_up(session, now=now())
        with self.runtime.transaction() as session:
            stamps.fold(session)
        with self.runtime.transaction() as session:
            outbox.send_again(session, self.runtime.desk, now=now())
            relays.forget(session, self.runtime.desk, now=outbox.database_now(session))
        self._remind()
        self._tell_subscribers()
        self._send_due_unless_busy()
        self.post_due()
        with self.runtime.transaction() as session:
            outbox.catch_up(session, self.runtime.desk, now=now())
        self._apply_what_came_back()
        self.runtime.check_instance()  # the folder keeps what the database has seen by the end of this tick
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

    def stop(self) -> None:
        """Finish the round that is under way, give back what no round has begun, and begin no other."""
        self._stopping.set()
        self._alarm.cancel()

    def close(self) -> None:
        self.intake.close()
        self.stop()
        with self._mailing:
            self._alarm.cancel()
            for sender in self.senders.values():
                sender.close()
        self._scribe.shutdown()

    def _apply_what_came_back(self) -> None:
        """Apply what came back before the relay's answer was written down, a few in each transaction."""
        is_more = True
        while is_more:
            with self.runtime.transaction() as session:
                is_more = bounces.apply_waiting(session, self.runtime.desk, now=now()) > 0

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

    def _send_batch(self, without: frozenset[str] = frozenset()) -> int:
        """Claim a batch for one relay, but none of `without`, and hand it over, round by round; what no round has begun
        goes back when one breaks, or the relay takes nothing.
        """
        if self._stopping.is_set():
            return 0
        with self.runtime.transaction() as session:
            instant = outbox.database_now(session)
            names = [name for name in self._turns.order() if name not in without]
            wanted = {name: self._batches[name].size(self.senders[name].capacity) for name in names}
            allowance = relays.allow(session, self.runtime.desk, wanted, worker=self.name, now=instant)
            mails = self._claim(session, allowance)
        for name in allowance.elsewhere:
            self.senders[name].close()  # its sessions are counted where it is used
        if allowance.relay and not mails and len(names) > 1:  # what is due may be bound to another relay
            return self._send_batch(without | {allowance.relay.name})
        if not allowance.relay or not mails:
            self._set_alarm(allowance, instant)
            return 0
        name, begun = allowance.relay.name, time.monotonic()
        rounds = deque(_rounds(mails, allowance))
        self._turns.took(name, len(mails), skipped=allowance.skipped)
        is_open = True
        try:
            while rounds and is_open and not self._stopping.is_set():
                is_open = self._send_round(rounds.popleft(), allowance, then=rounds[0] if rounds else ())
        finally:
            try:
                self._wait_for_the_answers()
            finally:
                self._give_back([mail for one in rounds for mail in one], allowance)
        if is_open and len(mails) == wanted[name]:
            self._batches[name].took(time.monotonic() - begun)
        return 0 if self._stopping.is_set() else len(mails)

    def _claim(self, session: Session, allowance: Allowance) -> list[Mail]:
        if allowance.relay is None:
            return []
        desk, limit = self.runtime.desk, allowance.mails
        return outbox.claim(session, desk, worker=self.name, limit=limit, now=now(), allowance=allowance)

    def _give_back(self, mails: Sequence[Mail], allowance: Allowance) -> None:
        if not mails:
            return
        with self.runtime.transaction() as session:
            relays.give_back(session, self.runtime.desk, allowance, mails, now=outbox.database_now(session))
            outbox.release(session, mails, worker=self.name)

    def _set_alarm(self, allowance: Allowance, instant: datetime) -> None:
        """Wake up when more may leave, if that is before the next sweep."""
        self._alarm.cancel()
        if allowance.next_at is None or self._stopping.is_set():
            return
        seconds = max((allowance.next_at - instant).total_seconds(), SOONEST)
        if seconds < self.runtime.settings.sweep_seconds:
            self._alarm = threading.Timer(seconds, self._wake)
            self._alarm.daemon = True
            self._alarm.start()

    def _wake(self) -> None:
        try:
            self.send_due()
        except Exception:
            log.exception("mails could not be sent at their time; the next sweep tries again")

    def _send_round(self, mails: Sequence[Mail], allowance: Allowance, *, then: Sequence[Mail]) -> bool:
        """One round: hold at the dot, write down that they are about to leave, give the dots, write down the answers.

        The answers are written while the next round goes on the wire, up to its dots: no more than one round is ever
        being handed over.  `then`: the next round, whose envelopes may go with the dots.  Returns whether the relay
        takes mails at all.
        """
        sender = self.senders[allowance.relay.name] if allowance.relay else self.sender
        with bound_contextvars(worker=self.name, round=next(self._numbers)):
            held, outcomes = sender.hold(mails)
            leaving = self._hand_over(sender, held, allowance)
            # Fenced off: they are somebody else's, or wait for their lease to end.
            sender.drop([one for one in held if one.mail.delivery_id not in leaving])
            outcomes += sender.release([one for one in held if one.mail.delivery_id in leaving], then=then)
            self._written = self._scribe.submit(copy_context().run, self._settle, outcomes, allowance)
        return bool(leaving or not held) and (not outcomes or any(one.blame is Blame.NONE for one in outcomes))

    def _hand_over(self, sender: Sender, held: Sequence[Held], allowance: Allowance) -> set[UUID]:
        """Commit that these mails are about to leave; when that fails, none does, and they wait again."""
        mails = [one.mail for one in held]
        try:
            self._wait_for_the_answers()
            if not held:
                return set()
            with self.runtime.transaction() as session:
                return outbox.hand_over(session, self.runtime.desk, mails, worker=self.name)
        except Exception:
            sender.drop(held)
            with suppress(SQLAlchemyError):
                self._give_back(mails, allowance)
            raise

    def _wait_for_the_answers(self) -> None:
        """Wait until the answers of the round before are written down; raises what kept them from being."""
        if written := self._written:
            self._written = None
            written.result()

    def _settle(self, outcomes: Sequence[Outcome], allowance: Allowance) -> None:
        """Write the answers down.  They are known nowhere else: a database that is away for a moment is asked again."""
        for pause in SETTLE_PAUSES:
            with suppress(SQLAlchemyError):
                self._write_down(outcomes, allowance)
                return
            log.warning("the answers of a round could not be written down; trying again", mails=len(outcomes))
            time.sleep(pause)
        self._write_down(outcomes, allowance)

    def _write_down(self, outcomes: Sequence[Outcome], allowance: Allowance) -> None:
        with self.runtime.transaction() as session:
            desk = self.runtime.desk
            outbox.settle(session, desk, outcomes, worker=self.name, now=now(), allowance=allowance)

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


class _Batch:
    """How many mails to claim at once: what leaves in about a second or two, so that what is urgent never waits long
    behind what is in hand, and a claim costs next to nothing where the relay is fast.
    """

    def __init__(self) -> None:
        self._mails = 0

    def size(self, capacity: int) -> int:
        self._mails = max(self._mails, capacity)
        return self._mails

    def took(self, seconds: float) -> None:
        if seconds < SHORT:
            self._mails = max(min(self._mails * 2, MOST_AT_ONCE), self._mails)
        elif seconds > LONG:
            self._mails //= 2


def _rounds(mails: Sequence[Mail], allowance: Allowance) -> Iterator[Sequence[Mail]]:
    """Share mails out to rounds in their order, and to each round no more of a domain than it may have at once."""
    capacity = allowance.relay.at_once if allowance.relay else len(mails)
    waiting = list(mails)
    while waiting and not allowance.at_once:
        yield waiting[:capacity]
        waiting = waiting[capacity:]
    while waiting:
        this: list[Mail] = []
        later: list[Mail] = []
        domains: Counter[str] = Counter()
        for mail in waiting:
            domain = domain_of(mail.recipient)
            if len(this) < capacity and domains[domain] < allowance.at_once.get(domain, capacity):
                this.append(mail)
                domains[domain] += 1
            else:
                later.append(mail)
        yield this
        waiting = later


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
        self._worker.intake.start()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        del broker, worker
        self._worker.stop()
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
    runtime.check_instance()  # a bell may ring before the first tick
    worker = Worker(runtime)
    declare(worker)
    timetable = Timetable(worker.tick, runtime.settings.sweep_seconds)
    threads = dramatiq.Worker(runtime.broker, worker_threads=2, worker_timeout=100)
    threads.start()
    timetable.start()
    worker.intake.start()
    try:
        yield worker
    finally:
        worker.stop()
        timetable.stop()
        threads.stop(timeout=20_000)
        worker.close()


def start() -> None:
    """What `dramatiq notifier.worker:start` calls in each worker process: settings come from the environment."""
    settings = load(Path(os.environ.get("NOTIFIER_DATA_DIR", "var")))
    logs.configure(settings.log_format)
    runtime = wiring.build(settings)
    runtime.check_instance()  # a bell may ring before the first tick
    worker = Worker(runtime)
    timetable = Timetable(worker.tick, runtime.settings.sweep_seconds)
    runtime.broker.add_middleware(_StartTimetable(worker, timetable))
    declare(worker)
    dramatiq.set_broker(runtime.broker)
