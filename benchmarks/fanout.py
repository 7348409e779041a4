"""The publishing transaction against a plain INSERT … SELECT of as many rows.

Publishing writes to many tables; every row that it added is copied, table by table in one transaction, into empty
tables of the same columns and indexes (without foreign keys, which a plain copy need not check), and once more into
tables without any index.
"""

from __future__ import annotations

import re
from statistics import median

import sqlalchemy as sa

from benchmarks import common
from benchmarks.common import POSTGRESQL, Options, Ratio
from notifier.bench.scratch import Scratch, fill, publish

GOAL = 3


def main() -> None:
    asked = common.options(__doc__)
    clients = asked.size(20_000, 100_000)
    results: list[Ratio] = []
    for kind in asked.databases:
        results += measured(kind, asked, clients)
    common.record("fanout", results, asked=asked)


def measured(kind: str, asked: Options, clients: int) -> list[Ratio]:
    took, plain, bare, rows = [], [], [], 0
    for _ in range(asked.runs):
        with common.database(kind) as place:
            fill(place.runtime, clients)
            before = counts(place)
            took.append(common.seconds(lambda: publish(place.runtime)))
            grown = {name: now for name, now in counts(place).items() if now > before[name]}
            rows = sum(now - before[name] for name, now in grown.items())
            plain.append(copied(place, list(grown), indexed=True))
            bare.append(copied(place, list(grown), indexed=False))
    what = f"publishing to {clients:,} contacts, {kind}, against INSERT … SELECT of as many rows"
    figures = {"publishing_s": median(took), "insert_select_s": median(plain), "rows": rows}
    return [
        Ratio(
            what=what,
            ratios=[ours / theirs for ours, theirs in zip(took, plain, strict=True)],
            goal=GOAL,
            sense="at most",
            figures={**figures},
        ),
        Ratio(
            what=f"{what}, into tables without indexes",
            ratios=[ours / theirs for ours, theirs in zip(took, bare, strict=True)],
            figures={"insert_select_s": median(bare)},
        ),
    ]


def counts(place: Scratch) -> dict[str, int]:
    with place.runtime.engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names()
        return {name: connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) or 0 for name in tables}


def copied(place: Scratch, tables: list[str], *, indexed: bool) -> float:
    """Copy these tables' rows in one transaction; returns its seconds."""
    suffix = "indexed" if indexed else "bare"
    with place.runtime.engine.begin() as connection:
        for name in tables:
            for statement in twin(connection, place.database, name, f"{name}_{suffix}", indexed=indexed):
                connection.exec_driver_sql(statement)

    def copy() -> None:
        with place.runtime.engine.begin() as connection:
            for name in tables:
                connection.exec_driver_sql(f'INSERT INTO "{name}_{suffix}" SELECT * FROM "{name}"')  # noqa: S608 - our own names

    return common.seconds(copy)


def twin(connection: sa.Connection, kind: str, name: str, copy: str, *, indexed: bool) -> list[str]:
    """Return the statements that make an empty table like another."""
    if kind == POSTGRESQL:
        including = " INCLUDING INDEXES INCLUDING DEFAULTS" if indexed else ""
        return [f'CREATE TABLE "{copy}" (LIKE "{name}"{including})']
    made = [f'CREATE TABLE "{copy}" AS SELECT * FROM "{name}" WHERE 0']  # noqa: S608 - our own names
    if indexed:
        inspector = sa.inspect(connection)
        keys = [inspector.get_pk_constraint(name)["constrained_columns"]]
        keys += [one["column_names"] for one in inspector.get_unique_constraints(name)]
        made += [_index(copy, number, keys[number], unique=True) for number in range(len(keys))]
        others = [one["column_names"] for one in inspector.get_indexes(name)]
        made += [_index(copy, len(keys) + number, list(map(str, one))) for number, one in enumerate(others)]
    return made


def _index(table: str, number: int, columns: list[str], *, unique: bool = False) -> str:
    kind = "UNIQUE INDEX" if unique else "INDEX"
    names = ", ".join(f'"{re.sub(r"[^a-z_0-9]", "", column)}"' for column in columns)
    return f'CREATE {kind} "bench_{table}_{number}" ON "{table}" ({names})'


if __name__ == "__main__":
    main()
