"""What the list of any day, and the difference of two, cost in a registry of ten thousand entries and a thousand
versions: ratios against reading one version of it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col

from benchmarks import common
from benchmarks.common import Ratio
from notifier import runtime as wiring
from notifier import schema, settings
from notifier.models import Entry, Provider, Version
from notifier.models.base import uuid7
from notifier.rules import entries
from notifier.rules.entries import Place
from notifier.runtime import Runtime
from notifier.services import registry, timeline

ENTRIES = 10_000
VERSIONS = 1_000
CHANGED = 10  # entries that each version says otherwise
GOAL = 10
BEGAN = datetime(2024, 1, 1, 12, tzinfo=UTC)
A_DAY = timedelta(days=1)
NOW = BEGAN + (VERSIONS + 50) * A_DAY


def main() -> None:
    asked = common.options(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        runtime = wiring.build(settings.load(Path(folder), {"database_url": ""}))
        schema.migrate(runtime.engine)
        fill(runtime)
        acts: dict[str, Callable[[Session], object]] = {
            "show --on the middle": lambda session: timeline.as_of(session, on=on(VERSIONS // 2), now=NOW),
            "show --on, one change overtaken": lambda session: timeline.as_of(session, on=on(VERSIONS), now=NOW),
            "show --on and --known-on": lambda session: timeline.as_of(
                session, on=on(VERSIONS // 2), known_on=on(VERSIONS // 2), now=NOW
            ),
            "diff of neighbours": lambda session: registry.changes(session, at(session, 500), at(session, 501)),
            "diff of the first and the last": lambda session: registry.changes(
                session, at(session, 1), at(session, VERSIONS)
            ),
        }
        ratios: dict[str, list[float]] = {name: [] for name in acts}
        read = []
        for _ in range(asked.runs):
            read.append(seconds(runtime, lambda session: registry.entries(session, at(session, VERSIONS // 2))))
            for name, act in acts.items():
                ratios[name].append(seconds(runtime, act) / read[-1])
        runtime.close()
    one: dict[str, object] = {"reading_one_s": median(read)}
    results = [
        Ratio(
            what=f"{name}, {ENTRIES:,} entries in {VERSIONS:,} versions, against reading one version",
            ratios=found,
            goal=GOAL,
            sense="at most",
            figures=one,
        )
        for name, found in ratios.items()
    ]
    common.record("registry", results, asked=asked)


def fill(runtime: Runtime) -> None:
    """Rows as publishing leaves them; the last version but one is announced and not live, the last one is."""
    rows: list[dict[str, Any]] = []
    standing: dict[int, dict[str, Any]] = {}
    for number in range(1, VERSIONS + 1):
        turned = range(ENTRIES) if number == 1 else range(number * CHANGED, (number + 1) * CHANGED)
        for index in (one % ENTRIES for one in turned):
            if index in standing:
                standing[index]["until"] = number
            row = {"id": uuid7(), "key": f"e-{index}", "since": number, "until": None, "position": index}
            standing[index] = {**row, "content": entries.as_json(entry(index, number))}
            rows.append(standing[index])
    with runtime.transaction() as session:
        session.add(Provider())
        session.execute(sa.insert(Entry), [{**row, "until": None} for row in rows])
        ended = [{"row": row["id"], "end": row["until"]} for row in rows if row["until"]]
        update = sa.update(Entry).where(col(Entry.id) == sa.bindparam("row")).values(until=sa.bindparam("end"))
        session.connection().execute(update, ended)
        session.execute(sa.insert(Version), [version(number) for number in range(1, VERSIONS + 1)])


def entry(index: int, number: int) -> entries.Entry:
    return entries.Entry(
        key=f"e-{index}",
        name=f"Exemple {index}",
        legal_form="SAS",
        address=f"{index} rue de l’Exemple",
        town="Paris",
        country="FR",
        activities=("Hosting", "Dark fibre"),
        purposes=(f"As of version {number}",),
        data_categories=("Contact data", "Logs"),
        places=(Place(country="FR", site="Pantin", kind="production"), Place(country="DE", site="Berlin")),
        transfer="none",
    )


def version(number: int) -> dict[str, object]:
    made = BEGAN + number * A_DAY
    live = None if number == VERSIONS - 1 else made
    common: dict[str, object] = {
        "id": uuid7(),
        "draft": None,
        "revision": 1,
        "created_by": "bench",
        "published_by": "bench",
    }
    common["builds_on"] = number - 1 or None
    return {**common, "number": number, "created_at": made, "published_at": made, "effective_at": made, "live_at": live}


def on(number: int) -> date:
    return (BEGAN + number * A_DAY).date()


def at(session: Session, number: int) -> Version:
    return registry.get(session, number)


def seconds(runtime: Runtime, act: Callable[[Session], object]) -> float:
    with runtime.reading() as session:
        began = time.perf_counter()
        act(session)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
