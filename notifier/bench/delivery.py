"""From publishing to accepted: notices a second through the whole pipe, what this machine could do at most, what was
lost or sent twice, and the worker's memory.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from sqlmodel import Session, col, select

from notifier.bench import raw
from notifier.bench.child import BenchFailed
from notifier.bench.scratch import Scratch, fill, publish, scratch
from notifier.bench.sink import Sample, Sink, digest
from notifier.bench.worker import WorkerProcess
from notifier.models import Delivery
from notifier.rules.delivery_states import DeliveryState
from notifier.settings import Settings

MOST = 1_000_000  # notices
SESSIONS = 128  # as a relay on the same machine allows, and the most that there may be
CEILINGS = 3  # of which the median counts
CEILING_MAILS = range(2_000, 20_000)  # fewer say little, more say nothing new


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Seconds, and the most megabytes that the worker's process has held."""

    publishing: float
    seconds: float  # from the beginning of publishing to the commit of the last answer
    peak_rss_mb: float
    worker_cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Told):
    notices: int
    ceiling_rate: float  # mails a second
    lost: int
    twice: int
    database: str

    @property
    def rate(self) -> float:
        return self.notices / self.seconds

    @property
    def ratio(self) -> float:
        return self.rate / self.ceiling_rate

    def as_json(self) -> dict[str, object]:
        return {
            "notices": self.notices,
            "rate": round(self.rate, 1),
            "ceiling_rate": round(self.ceiling_rate, 1),
            "ratio": round(self.ratio, 4),
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "lost": self.lost,
            "twice": self.twice,
            "database": self.database,
        }


def measure(settings: Settings, *, notices: int, sessions: int = SESSIONS, round_trip: float = 0.0) -> Measured:
    """Send that many notices to a sink of its own, from a database of its own, and then the ceiling's.

    Raises BenchFailed; whatever was started is ended, also when this is interrupted.
    """
    with (
        Sink(round_trip=round_trip) as sink,
        scratch(settings, port=sink.port, sessions=sessions) as place,
        WorkerProcess(place.folder, place.overrides) as worker,
    ):
        fill(place.runtime, notices)
        told = tell(place, worker, notices)
        return Measured(
            notices=notices,
            publishing=told.publishing,
            seconds=told.seconds,
            peak_rss_mb=told.peak_rss_mb,
            worker_cpu=told.worker_cpu,
            lost=lost(place, sink, notices),
            twice=sink.taken().twice,
            ceiling_rate=ceiling(sink, notices=notices, sessions=sessions),
            database=place.database,
        )


def tell(place: Scratch, worker: WorkerProcess, notices: int) -> Told:
    """Publish to the clients of a filled database, and wait until the worker has sent everything."""
    worker.wait_until_ready()
    began = time.monotonic()
    publish(place.runtime)
    published = time.monotonic()
    worker.begin()
    finished = worker.finish(notices)
    return Told(
        publishing=published - began,
        seconds=finished.at - began,
        peak_rss_mb=finished.peak_rss_mb,
        worker_cpu=finished.cpu,
    )


def ceiling(sink: Sink, *, notices: int, sessions: int, samples: list[Sample] | None = None) -> float:
    """Return how many mails a second the raw sender reaches with the mails that the sink has seen."""
    samples = samples or sink.samples()
    mails = min(max(notices, CEILING_MAILS.start), CEILING_MAILS.stop)
    took = []
    for _ in range(CEILINGS):
        sink.forget()
        took.append(raw.send(sink.port, samples, mails=mails, sessions=sessions))
        if sink.taken().mails != mails:
            raise BenchFailed("the sink did not take all that the raw sender sent")
    return mails / statistics.median(took)


def lost(place: Scratch, sink: Sink, notices: int) -> int:
    """Count the notices without an accepted mail that the sink holds too."""
    arrived, there = sink.digests(), 0
    query = select(Delivery.message_id, Delivery.state).where(col(Delivery.announcement_id).is_not(None))
    with Session(place.runtime.engine) as session:
        for message_id, state in session.exec(query).yield_per(10_000):
            there += state is DeliveryState.ACCEPTED and digest(message_id.encode()) in arrived
    return notices - there
