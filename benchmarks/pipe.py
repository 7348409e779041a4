"""From publishing to accepted, against bare senders: ours raw, Postfix's smtp-source with 8 sessions, nodemailer.

Each ratio is of two measurements in the same run, at the same receiver.  At our own sink every mail is counted; where
Postfix is installed its smtp-sink receives too, since its smtp-source is what the goals are written against.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

from benchmarks import common
from benchmarks.common import POSTGRESQL, Options, Ratio
from notifier.bench import delivery
from notifier.bench.delivery import Measured, Told
from notifier.bench.scratch import fill, scratch
from notifier.bench.sink import Sink
from notifier.bench.worker import WorkerProcess
from notifier.settings import Settings

SESSIONS = 128
SOURCE_SESSIONS = 8
MAIL = 12_000  # bytes
GOALS = {"postgresql": 0.6, "sqlite": 0.8}
NODE_GOAL = 7


def main() -> None:
    asked = common.options(__doc__)
    notices = asked.size(5_000, 100_000)
    source, smtp_sink, node = common.tool("smtp-source"), common.tool("smtp-sink"), common.nodemailer()
    results: list[Ratio] = []
    for kind in asked.databases:
        with common.configured(kind) as base:
            results += raw(base, asked, notices)
            if source and smtp_sink:
                results.append(against_source(base, asked, notices, source, smtp_sink, goal=GOALS[kind]))
            if node and kind == POSTGRESQL:
                results.append(against_node(base, asked, notices, node))
    common.record("pipe", results, asked=asked)


def raw(base: Settings, asked: Options, notices: int) -> list[Ratio]:
    runs = [delivery.measure(base, notices=notices, sessions=SESSIONS) for _ in range(asked.runs)]
    if any(run.lost or run.twice for run in runs):
        raise SystemExit("mails were lost or sent twice")
    figures = _figures(runs) | {
        "raw_rate": median(run.ceiling_rate for run in runs),
        "lost": sum(run.lost for run in runs),
        "twice": sum(run.twice for run in runs),
    }
    what = f"publish to accepted, {runs[0].database}, {notices:,} notices, rounds of {SESSIONS}, against"
    return [Ratio(what=f"{what} the raw sender", ratios=[run.ratio for run in runs], figures=figures)]


def against_source(base: Settings, asked: Options, notices: int, source: str, smtp_sink: str, *, goal: float) -> Ratio:
    ratios, ours, theirs = [], [], []
    for _ in range(asked.runs):
        with receiving(smtp_sink) as port:
            ours.append(told(base, port, notices))
            send = [source, "-d", "-s", str(SOURCE_SESSIONS), "-l", str(MAIL), "-m", str(notices), f"127.0.0.1:{port}"]
            theirs.append(notices / common.seconds(partial(subprocess.run, send, check=True)))
        ratios.append(notices / ours[-1].seconds / theirs[-1])
    what = (
        f"publish to accepted, {_kind(base)}, {notices:,} notices, against smtp-source with {SOURCE_SESSIONS} sessions"
    )
    rates: dict[str, object] = {
        "rate": median(notices / one.seconds for one in ours),
        "smtp_source_rate": median(theirs),
    }
    return Ratio(what=what, ratios=ratios, goal=goal, figures=rates)


def against_node(base: Settings, asked: Options, notices: int, node: str) -> Ratio:
    ratios, ours, theirs = [], [], []
    script = os.fspath(common.RESULTS.parent / "peers" / "nodemailer.js")
    for _ in range(asked.runs):
        with Sink() as sink:
            ours.append(notices / told(base, sink.port, notices).seconds)
            mails = min(notices, 5_000)
            took = subprocess.run(  # noqa: S603 - a peer to be measured
                [node, script, str(sink.port), str(mails)], check=True, capture_output=True, text=True
            )
            theirs.append(mails / float(took.stdout))
        ratios.append(ours[-1] / theirs[-1])
    figures: dict[str, object] = {"rate": median(ours), "nodemailer_rate": median(theirs)}
    what = f"publish to accepted, {_kind(base)}, against nodemailer's pool of 5 without any database"
    return Ratio(what=what, ratios=ratios, goal=NODE_GOAL, figures=figures)


def told(base: Settings, port: int, notices: int) -> Told:
    with (
        scratch(base, port=port, sessions=SESSIONS) as place,
        WorkerProcess(place.folder, place.overrides) as worker,
    ):
        fill(place.runtime, notices)
        return delivery.tell(place, worker, notices)


@contextmanager
def receiving(smtp_sink: str) -> Iterator[int]:
    port = common.free_port()
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    with common.process(smtp_sink, *as_nobody, f"127.0.0.1:{port}", "1000", port=port):
        yield port


def _figures(runs: list[Measured]) -> dict[str, object]:
    return {
        "rate": median(run.rate for run in runs),
        "publishing_s": median(run.publishing for run in runs),
        "sending_s": median(run.seconds - run.publishing for run in runs),
        "worker_cpu_us_per_notice": median(run.worker_cpu / run.notices for run in runs) * 1e6,
        "worker_mb": median(run.peak_rss_mb for run in runs),
    }


def _kind(base: Settings) -> str:
    return base.database.partition(":")[0].partition("+")[0]


if __name__ == "__main__":
    main()
