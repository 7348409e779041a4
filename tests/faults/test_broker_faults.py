"""Rows 22 to 24 of the fault matrix: a broker that forgets, dies, was never there, strands an answer, or rings too
often.  The broker is a Redis of the test's own; the worker is a process, as in production.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import dramatiq
import pytest

from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.services import doorbell
from tests.conftest import missing
from tests.factories import make_announcement, make_client, make_provider, make_runtime
from tests.faults.books import read_books
from tests.faults.figures import IS_LONG, TIME_OUT, say, times
from tests.faults.ground import mail_to, relay_process, still_open
from tests.faults.harness import answers, free_port, process, wait_for
from tests.faults.proxy import Mischief, Proxy
from tests.faults.sink import read_journal
from tests.journeys.test_brokers import BIN, write_to_ana

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIME_OUT), pytest.mark.usefixtures("swept")]

SWEEP = 30 if IS_LONG else 2  # seconds; as long as a sweep may be, or short
MAILS = times(20, 1000)
AT_MOST = 2 * SWEEP + 4 + MAILS / 50  # seconds until all is done that no bell rang for


class OwnRedis:
    """A Redis that keeps nothing, on a port of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            missing("redis-server")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: answers(self.port), seconds=15, else_say="Redis does not start")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def flush(self) -> None:
        subprocess.run([shutil.which("redis-cli") or "redis-cli", "-p", str(self.port), "FLUSHALL"], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip


@pytest.fixture
def redis() -> Iterator[OwnRedis]:
    redis = OwnRedis()
    yield redis
    redis.kill()


@contextmanager
def installed(database_url: str, broker_port: int, folder: Path) -> Iterator[tuple[Runtime, Path]]:
    """A worker process that listens to this broker, and a relay; yields what the test works with and the journal."""
    journal, broker = folder / "journal", f"redis://127.0.0.1:{broker_port}/0"
    with relay_process(journal) as port:
        mail = mail_to(port)
        runtime = make_runtime(database_url, folder, broker_url=broker, sweep_seconds=SWEEP, mail=mail)
        said: Mapping[str, object] = {
            "DATABASE_URL": database_url, "BROKER_URL": broker, "SWEEP_SECONDS": SWEEP, "DATA_DIR": folder,
            "MAIL__SENDER": "smtp", "MAIL__HOST": "127.0.0.1", "MAIL__PORT": port, "MAIL__SECURITY": "none",
            "MAIL__RETRY_SCHEDULE": "[0.2]", "MAIL__REST_SCHEDULE": "[0.2]",
        }  # fmt: skip
        environment = {f"NOTIFIER_{name}": str(value) for name, value in said.items()}
        command: list[str | Path] = [BIN / "dramatiq", "notifier.worker:start", "--processes=1", "--threads=2"]
        with closing(runtime):
            runtime.check_instance()
            with runtime.transaction() as session:
                make_provider(session)
            write_to_ana(runtime)
            with process(*command, **environment):
                wait_for(lambda: bool(read_journal(journal)), seconds=60, else_say="the worker does not start")
                yield runtime, journal


def publish(runtime: Runtime) -> None:
    """Owe mails to all clients at once; the bell rings once."""
    with runtime.transaction() as session:
        for number in range(MAILS):
            make_client(session, f"C-{number:05d}")
        make_announcement(session, runtime.desk, now=now())


def check(runtime: Runtime, journal: Path, what: str, start: float) -> None:
    """Wait until all is done, then hold the books against each other."""
    wait_for(lambda: not still_open(runtime.engine), seconds=AT_MOST, else_say=f"{what}: mails wait")
    books = read_books(runtime.engine, read_journal(journal))
    say(what, seconds_until_all_was_sent=time.monotonic() - start, **books.figures())
    books.agree()
    assert len(books.those(DeliveryState.ACCEPTED)) == MAILS + 1  # and Ana's


# --- row 22 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["never started", "flushed", "killed", "killed and started again"])
def test_without_its_broker_all_due_work_is_done_by_the_sweep(
    postgresql_url: str, tmp_path: Path, redis: OwnRedis, case: str
) -> None:
    if case != "never started":
        redis.start()
    with installed(postgresql_url, redis.port, tmp_path) as (runtime, journal):
        if case.startswith("killed"):
            redis.kill()
        start = time.monotonic()
        publish(runtime)
        if case == "flushed":
            for _ in range(20):
                redis.flush()
                time.sleep(0.05)
        if case == "killed and started again":
            redis.start()
        check(runtime, journal, f"broker {case}", start)


def test_a_broker_that_was_away_is_heard_again(postgresql_url: str, tmp_path: Path, redis: OwnRedis) -> None:
    """The worker that has lived through it takes bells again, and needs no restart (I10)."""
    redis.start()
    with installed(postgresql_url, redis.port, tmp_path) as (runtime, journal):
        redis.kill()
        time.sleep(times(2, 600))
        redis.start()
        start = time.monotonic()
        publish(runtime)
        check(runtime, journal, "broker away for a while", start)


# --- row 23 ----------------------------------------------------------------------------------------------------------


def test_a_message_whose_answer_is_lost_on_the_way_strands_nothing(
    postgresql_url: str, tmp_path: Path, redis: OwnRedis
) -> None:
    """The broker has handed the message out, and the worker never gets it: the sweep finds what was due."""
    redis.start()
    with Proxy(redis.port) as proxy, installed(postgresql_url, proxy.port, tmp_path) as (runtime, journal):
        proxy.mischief = Mischief(drop_on=b"fetch", drops=times(3, 100))
        start = time.monotonic()
        publish(runtime)
        wait_for(lambda: proxy.drops > 0, seconds=30, else_say="nothing was dropped")
        check(runtime, journal, f"{proxy.drops} lost answers of the broker", start)


# --- row 24 ----------------------------------------------------------------------------------------------------------


def test_bells_that_ring_twice_out_of_order_and_long_after_send_nothing_twice(
    postgresql_url: str, tmp_path: Path, redis: OwnRedis
) -> None:
    redis.start()
    with installed(postgresql_url, redis.port, tmp_path) as (runtime, journal):
        start = time.monotonic()
        bells = [doorbell.Bell.OUTBOX, doorbell.Bell.WEBHOOKS] * times(50, 500)
        for bell in bells:
            runtime.ring(bell)
        publish(runtime)
        old: dramatiq.Message[None] = dramatiq.Message(
            queue_name="outbox", actor_name="outbox", args=(), kwargs={}, options={}, message_timestamp=1
        )
        for _ in range(len(bells)):
            runtime.broker.enqueue(old)  # the same message, of 1970, again and again
        check(runtime, journal, f"{2 * len(bells)} bells too many", start)
