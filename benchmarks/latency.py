"""A relay 20 ms away, 8 sessions: the worker, with one commit before the dots of each round, and its sender alone, each
against smtplib on 8 threads without any database.  Sending alone is timed: publishing has a benchmark of its own.
"""

from __future__ import annotations

import hashlib
import smtplib
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

from benchmarks import common
from benchmarks.common import SQLITE, Ratio
from notifier.adapters.sending import Mail
from notifier.bench import delivery
from notifier.bench.scratch import fill, scratch
from notifier.bench.sink import HOST, Sample, Sink
from notifier.bench.worker import WorkerProcess
from notifier.models.base import uuid7
from notifier.settings import Settings

ROUND_TRIP = 0.02  # s
SESSIONS = 8
OK = 250
GOAL = 2
ALONE_GOAL = 3.5


def main() -> None:
    asked = common.options(__doc__)
    mails = asked.size(800, 8_000)
    ours, alone, theirs = [], [], []
    with common.configured(SQLITE) as base:
        for _ in range(asked.runs):
            with Sink(round_trip=ROUND_TRIP) as sink:
                ours.append(mails / sending(base, sink, mails))
                samples = sink.samples()
                alone.append(mails / by_sender(base, sink, samples, mails))
                theirs.append(mails / common.seconds(partial(by_smtplib, sink.port, samples, mails)))
    what = f"at {ROUND_TRIP * 1000:.0f} ms, {SESSIONS} sessions, against smtplib on 8 threads"
    common.record(
        "latency",
        [
            against(theirs, ours, what=f"{what}: the worker, one commit a round", goal=GOAL),
            against(theirs, alone, what=f"{what}: its sender without a database", goal=ALONE_GOAL),
        ],
        asked=asked,
    )


def against(theirs: list[float], ours: list[float], *, what: str, goal: float) -> Ratio:
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    figures: dict[str, object] = {"rate": median(ours), "smtplib_rate": median(theirs)}
    return Ratio(what=what, ratios=ratios, goal=goal, figures=figures)


def sending(base: Settings, sink: Sink, mails: int) -> float:
    with (
        scratch(base, port=sink.port, sessions=SESSIONS) as place,
        WorkerProcess(place.folder, place.overrides) as worker,
    ):
        fill(place.runtime, mails)
        told = delivery.tell(place, worker, mails)
        return told.seconds - told.publishing


def by_sender(base: Settings, sink: Sink, samples: list[Sample], mails: int) -> float:
    """Send through the worker's sender alone; returns the seconds."""
    with scratch(base, port=sink.port, sessions=SESSIONS) as place:
        sender = place.runtime.make_sender()
        ready = [mail(samples[number % len(samples)], number) for number in range(mails)]
        rounds = [ready[begin : begin + sender.capacity] for begin in range(0, mails, sender.capacity)]
        began = time.perf_counter()
        for one, then in zip(rounds, [*rounds[1:], []], strict=True):
            held, refused = sender.hold(one)
            if refused or any(answer.code != OK for answer in sender.release(held, then=then)):
                raise SystemExit("the sink refused a mail")
        took = time.perf_counter() - began
        sender.close()
    return took


def mail(sample: Sample, number: int) -> Mail:
    content = sample.content.replace(b"\r\n..", b"\r\n.")
    return Mail(
        delivery_id=uuid7(),
        sender="notices@hosting.example",
        recipient=f"dpo@c{number}.clinic.example",
        content=content,
        attempt=1,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def by_smtplib(port: int, samples: list[Sample], mails: int) -> None:
    def send(_: int) -> None:
        with smtplib.SMTP(HOST, port) as session:
            for number in range(mails // SESSIONS):
                content = samples[number % len(samples)].content
                session.sendmail("notices@hosting.example", [f"dpo@c{number}.clinic.example"], content)

    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(send, range(SESSIONS)))


if __name__ == "__main__":
    main()
