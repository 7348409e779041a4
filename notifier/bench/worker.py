"""The worker's own process: the real `Worker` on a given database, so that its memory is its own.

`python -m notifier.bench.worker`: a line of JSON says with what settings; each line after it lets it send what is due.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier import runtime as wiring
from notifier.bench.child import Child
from notifier.models import Delivery
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime
from notifier.settings import load
from notifier.worker import Worker

UNFINISHED = (DeliveryState.WAITING, DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)
START = 60.0  # s, for its first word
STUCK = 20.0  # s without any mail
SLOWEST = 20  # mails a second below which nobody waits
PAUSE = 0.01  # s between two looks at what is not due yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """`at`: the instant of its last commit (monotonic clock, s); memory and CPU seconds since it was started."""

    at: float
    peak_rss_mb: float
    cpu: float


class WorkerProcess:
    """The worker as its user sees it.  `overrides` must hold no secret objects: they travel as JSON."""

    def __init__(self, data_dir: Path, overrides: Mapping[str, Any]) -> None:
        self._child = Child(__name__)
        with self._child.kept():
            self._child.say(json.dumps({"data_dir": str(data_dir), "overrides": overrides}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.end()

    @property
    def pid(self) -> int:
        return self._child.pid

    def wait_until_ready(self) -> None:
        self._child.hear(START)

    def begin(self) -> None:
        """Let it send what is due until nothing is."""
        self._child.say("go")

    def finish(self, mails: int) -> Finished:
        """Wait for its end."""
        return Finished(**self._child.hear(START + STUCK + mails / SLOWEST))


def peak_rss_mb() -> float:
    """The most memory this process has held.  Where the system can say it of this program alone, it is asked: what
    `getrusage` gives begins with that of the process it was started from.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next((one for one in status.read_text().splitlines() if one.startswith("VmHWM:")), "")
        if line:
            return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


# --- its own process -------------------------------------------------------------------------------------------------


def main() -> None:
    """Serve until the input closes, also in the middle of sending."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever is printed or logged is no answer
    said: queue.Queue[str] = queue.Queue()
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_listen, args=(said,), daemon=True).start()
    runtime = wiring.build(load(Path(asked["data_dir"]), asked["overrides"]))
    worker = Worker(runtime)
    answers.write('"ready"\n')
    while True:
        said.get()
        answers.write(json.dumps(asdict(_send(runtime, worker))) + "\n")


def _listen(said: queue.Queue[str]) -> None:
    for line in sys.stdin:
        said.put(line)
    os._exit(0)


def _send(runtime: Runtime, worker: Worker) -> Finished:
    """Send until nothing is left, or nothing moves any more."""
    last = at = time.monotonic()
    while time.monotonic() - last < STUCK:
        sent = worker.send_due()
        if sent:
            last = at = time.monotonic()
        if not _unfinished(runtime):
            break
        time.sleep(0 if sent else PAUSE)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Finished(at=at, peak_rss_mb=peak_rss_mb(), cpu=used.ru_utime + used.ru_stime)


def _unfinished(runtime: Runtime) -> bool:
    with Session(runtime.engine) as session:
        return bool(session.exec(select(sa.exists().where(col(Delivery.state).in_(UNFINISHED)))).one())


if __name__ == "__main__":
    main()
