"""What the tests of crashes share: processes, patience with an end, and a crew of workers to be killed."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Delivery
from notifier.rules.delivery_states import DeliveryState

ROOT = Path(__file__).parents[2]
HELD = (DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)


def free_port() -> int:
    """Return a port that nobody listens on; somebody may take it before we do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_for(what: Callable[[], bool], *, seconds: float, else_say: str) -> float:
    """Ask again and again until it is true; returns after how many seconds it was."""
    start = time.monotonic()
    while not what():
        assert time.monotonic() - start < seconds, f"{else_say}, not even after {seconds:.0f} s"
        time.sleep(0.05)
    return time.monotonic() - start


@contextmanager
def process(*command: str | Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside the test; it is asked to end, and made to if it does not."""
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, start_new_session=True) as running:
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)  # its own group: it and its children


class Crew:
    """Worker processes that are killed and replaced."""

    def __init__(self, engine: sa.Engine, hire: Callable[[], ForkServerProcess]) -> None:
        self._engine = engine
        self._hire = hire
        self._at_work: dict[int, ForkServerProcess] = {}
        self._asleep: dict[int, ForkServerProcess] = {}
        self.kills = 0

    def hire(self, count: int) -> None:
        for _ in range(count):
            worker = self._hire()
            assert worker.pid
            self._at_work[worker.pid] = worker

    @property
    def pids(self) -> list[int]:
        """Those at work."""
        return sorted(self._at_work)

    def busy(self) -> list[int]:
        """Those at work who have mails in their hands, by what the database says."""
        with Session(self._engine) as session:
            names = session.exec(select(Delivery.claimed_by).where(col(Delivery.state).in_(HELD)).distinct()).all()
        return sorted({int(name.rsplit(":", 2)[1]) for name in names} & self._at_work.keys())

    def kill(self, pid: int) -> None:
        """Kill one without a warning, and hire another."""
        assert self._at_work[pid].is_alive(), "a worker died by itself: its own output says why"
        self._end(self._at_work.pop(pid))
        self.kills += 1
        self.hire(1)

    def put_to_sleep(self, pid: int) -> None:
        """Stop one in the middle of whatever it does, until `wake`."""
        os.kill(pid, signal.SIGSTOP)
        self._asleep[pid] = self._at_work.pop(pid)

    def wake(self) -> int:
        """Let the sleepers go on where they were; returns how many."""
        for pid in self._asleep:
            os.kill(pid, signal.SIGCONT)
        woken = len(self._asleep)
        self._at_work |= self._asleep
        self._asleep = {}
        return woken

    def dismiss(self) -> None:
        for worker in [*self._at_work.values(), *self._asleep.values()]:
            self._end(worker)
        self._at_work, self._asleep = {}, {}

    def _end(self, worker: ForkServerProcess) -> None:
        worker.kill()
        worker.join(10)
        worker.close()
