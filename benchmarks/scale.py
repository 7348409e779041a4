"""What a mail costs when there are many: seconds of publishing and sending for each, and the worker's memory, at a
large size against a small one.
"""

from __future__ import annotations

from statistics import median

from benchmarks import common
from benchmarks.common import SQLITE, Options, Ratio
from notifier.bench import delivery
from notifier.bench.delivery import Measured
from notifier.bench.scratch import Scratch, fill, scratch
from notifier.bench.sink import Sink
from notifier.bench.worker import WorkerProcess
from notifier.settings import Settings

SMALL = 1_000
COST_GOAL, MEMORY_GOAL = 1.15, 1.1
MOST_MB = 150


def main() -> None:
    asked = common.options(__doc__)
    results: list[Ratio] = []
    for kind in asked.databases:
        with common.configured(kind) as base:
            results += grown(base, asked, kind, asked.size(10_000, 100_000))
            if asked.full and kind == SQLITE:
                results += huge(base)
    common.record("scale", results, asked=asked)


def grown(base: Settings, asked: Options, kind: str, large: int) -> list[Ratio]:
    small, many = [], []
    for _ in range(asked.runs):
        small.append(delivery.measure(base, notices=SMALL))
        many.append(delivery.measure(base, notices=large))
    cost = [_each(big) / _each(little) for big, little in zip(many, small, strict=True)]
    memory = [big.peak_rss_mb / little.peak_rss_mb for big, little in zip(many, small, strict=True)]
    what = f"{large:,} against {SMALL:,}, {kind}"
    micro = {f"us_{run.notices}": median(map(_each, runs)) * 1e6 for runs in (small, many) for run in runs[:1]}
    held = {f"mb_{run.notices}": median(one.peak_rss_mb for one in runs) for runs in (small, many) for run in runs[:1]}
    return [
        Ratio(
            what=f"cost of a mail, {what}",
            ratios=cost,
            goal=COST_GOAL,
            sense="at most",
            figures={**micro, "kb_of_database_per_notice": kilobytes(base)},
        ),
        Ratio(what=f"memory, {what}", ratios=memory, goal=MEMORY_GOAL, sense="at most", figures={**held}),
    ]


def kilobytes(base: Settings) -> float:
    """What one client and its accepted notice take in the database, indexes included."""
    with (
        Sink() as sink,
        scratch(base, port=sink.port, sessions=delivery.SESSIONS) as place,
        WorkerProcess(place.folder, place.overrides) as worker,
    ):
        before = _size(place)
        fill(place.runtime, SMALL)
        delivery.tell(place, worker, SMALL)
        return (_size(place) - before) / SMALL / 1024


def _size(place: Scratch) -> int:
    with place.runtime.engine.connect() as connection:
        if place.database == SQLITE:
            pages, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size")
            )
            return int(pages or 0) * int(size or 0)
        whole = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = {}"
        return int(connection.exec_driver_sql(whole.format("current_schema()::regnamespace")).scalar() or 0)


def huge(base: Settings) -> list[Ratio]:
    """A million, once."""
    little, big = delivery.measure(base, notices=10_000), delivery.measure(base, notices=1_000_000)
    figures = {"mb_10000": little.peak_rss_mb, "mb_1000000": big.peak_rss_mb, "rate": big.rate, "lost": big.lost}
    memory = Ratio(
        what="memory, 1,000,000 against 10,000, sqlite",
        ratios=[big.peak_rss_mb / little.peak_rss_mb],
        goal=MEMORY_GOAL,
        sense="at most",
        figures={**figures},
    )
    megabytes = Ratio(what="MB at 1,000,000", ratios=[big.peak_rss_mb], goal=MOST_MB, sense="at most")
    return [memory, megabytes]


def _each(run: Measured) -> float:
    return run.seconds / run.notices


if __name__ == "__main__":
    main()
