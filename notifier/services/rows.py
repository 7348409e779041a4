"""Rows by the set: those that two may want to write at the same instant, and those that are handed in together.

To write a statement down costs more than to carry it out.  What runs round after round is therefore written once for
each database, by a function behind `functools.cache`, with its rows as a parameter (`Given`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from notifier.models.base import uuid7

TOGETHER = 5000  # rows in one statement: a few megabytes
POSTGRESQL = "postgresql"


def insert_new(session: Session, row: SQLModel) -> None:
    """Insert a row, unless one with its unique key is there: then that one serves both."""
    insert = _inserting(dialect_of(session), table_of(type(row)))
    session.execute(insert.values(row.model_dump()).on_conflict_do_nothing())


def _inserting(dialect: str, table: sa.Table) -> Any:  # noqa: ANN401 - either dialect's own Insert
    """Return an INSERT that knows ON CONFLICT."""
    insert = postgresql.insert if dialect == POSTGRESQL else sqlite.insert
    return insert(table)


def dialect_of(session: Session) -> str:
    return session.get_bind().dialect.name


class Given:
    """Rows that a statement is given as one parameter, however many they are, as a table to join with.

    `columns` maps each name to its SQL type.  Instants are compared and kept as the database writes them.
    """

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns

    def table(self, dialect: str) -> sa.Subquery | sa.TableValuedAlias:
        """Return the table, in a statement that is carried out with `rows`."""
        return _table(self._columns, sa.bindparam("given", type_=sa.Text), dialect)

    def ids(self, dialect: str) -> sa.ScalarSelect[Any]:
        """Return its column `id`, for an IN."""
        return sa.select(self.table(dialect).c.id).scalar_subquery()

    @staticmethod
    def rows(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the parameter that holds these rows."""
        return {"given": _written(dialect_of(session), rows)}


IDS = Given({"id": sa.Uuid()})


def given_ids(session: Session, ids: Iterable[UUID]) -> dict[str, Any]:
    """Return the parameter of a statement on `IDS`."""
    return IDS.rows(session, [{"id": one.hex} for one in ids])


def handed_in(
    session: Session, columns: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> sa.Subquery | sa.TableValuedAlias:
    """Return rows as such a table, for a statement that is written for them alone."""
    dialect = dialect_of(session)
    return _table(columns, sa.bindparam(None, _written(dialect, rows), sa.Text), dialect)


def _table(columns: Mapping[str, Any], given: sa.BindParameter[str], dialect: str) -> sa.Subquery | sa.TableValuedAlias:
    if dialect == POSTGRESQL:
        named = [sa.column(name, kind) for name, kind in columns.items()]
        recordset = sa.func.json_to_recordset(sa.cast(given, postgresql.JSON)).table_valued(*named)
        return recordset.render_derived(name="handed_in", with_types=True)
    each = sa.func.json_each(given).table_valued("value", name="each_row")
    picked = [
        sa.type_coerce(sa.func.json_extract(each.c.value, f"$.{name}"), kind).label(name)
        for name, kind in columns.items()
    ]
    return sa.select(*picked).subquery("handed_in")


def new_id(dialect: str) -> sa.ColumnElement[UUID]:
    """Return an expression that gives each row of an INSERT … SELECT an id of its own, as `uuid7` would."""
    instant = sa.literal(uuid7().hex[:12], sa.Text)
    if dialect == POSTGRESQL:
        random = sa.func.replace(sa.cast(sa.func.gen_random_uuid(), sa.Text), "-", "")
        return sa.cast(instant.concat("7").concat(sa.func.substr(random, 14)), sa.Uuid())
    three, fifteen = (sa.func.substr(sa.func.hex(sa.func.randomblob(size)), 2) for size in (2, 8))
    variant = sa.func.substr("89ab", 1 + sa.func.abs(sa.func.random()) % 4, 1)
    return sa.type_coerce(sa.func.lower(instant.concat("7").concat(three).concat(variant).concat(fifteen)), sa.Uuid())


def clock(dialect: str, *, later: timedelta = timedelta()) -> sa.ColumnElement[datetime]:
    """Return an expression for the database's own clock, or for an instant so much later."""
    if dialect == POSTGRESQL:
        return sa.func.clock_timestamp() + sa.literal(later, sa.Interval)
    written = sa.func.strftime("%Y-%m-%d %H:%M:%f000", "now", f"+{later.total_seconds()} seconds")
    return sa.type_coerce(written, UTCDateTime())


def as_object(dialect: str, fields: Mapping[str, sa.ColumnElement[Any]]) -> sa.ColumnElement[Any]:
    """Return an expression that makes JSON of some columns of each row."""
    pairs = [part for name, value in fields.items() for part in (sa.literal(name, sa.Text), value)]
    build = sa.func.json_build_object if dialect == POSTGRESQL else sa.func.json_object
    return build(*pairs, type_=sa.JSON)


def insert_set(
    session: Session,
    table: type[SQLModel],
    rows: Sequence[Mapping[str, Any]],
    same: Mapping[str, Any] = MappingProxyType({}),
    *,
    unless_there: bool = False,
    latest: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    returning: str = "",
) -> list[Any]:
    """Insert rows in their order by INSERT … SELECT, `same` in each of them; returns what the database gave the column
    `returning`, in ascending order.

    `unless_there`: a row whose unique key is there already serves both.  `latest`: one with the same of these columns
    is there, and takes on those.  Columns with a default may be left out.
    """
    if not rows:
        return []
    names = tuple(rows[0])
    insert = _insertion(dialect_of(session), table, names, tuple(same), unless_there, latest, returning)
    shared = {f"same_{name}": value for name, value in same.items()}
    given: list[Any] = []
    for start in range(0, len(rows), TOGETHER):
        done = session.execute(insert, Given.rows(session, rows[start : start + TOGETHER]) | shared)
        given += done.scalars() if returning else ()
    return sorted(given)


class Rows(NamedTuple):
    """Rows of one table, as `insert_set` takes them."""

    table: type[SQLModel]
    rows: Sequence[Mapping[str, Any]]
    same: Mapping[str, Any] = MappingProxyType({})
    unless_there: bool = False


def insert_sets(session: Session, *sets: Rows) -> None:
    """Insert rows of several tables, those first that others refer to; by one statement, if the database can."""
    sets = tuple(one for one in sets if one.rows)
    if dialect_of(session) != POSTGRESQL or any(len(one.rows) > TOGETHER for one in sets):
        for one in sets:
            insert_set(session, one.table, one.rows, one.same, unless_there=one.unless_there)
        return
    given: dict[str, Any] = {}
    for n, one in enumerate(sets):
        given[f"given{n}"] = _written(POSTGRESQL, one.rows)
        given |= {f"same{n}_{name}": value for name, value in one.same.items()}
    shapes = ((one.table, tuple(one.rows[0]), tuple(one.same), one.unless_there) for one in sets)
    session.execute(_insertions(tuple(shapes)), given)


Shape: TypeAlias = tuple[type[SQLModel], tuple[str, ...], tuple[str, ...], bool]


@cache
def _insertions(shapes: tuple[Shape, ...]) -> sa.Select[Any]:
    inserts = [_insertion(POSTGRESQL, *shape, ((), ()), "", str(n)).cte(f"insert{n}") for n, shape in enumerate(shapes)]
    return sa.select(sa.true()).add_cte(*inserts)


@cache
def _insertion(
    dialect: str,
    table: type[SQLModel],
    names: tuple[str, ...],
    same: tuple[str, ...],
    unless_there: bool,  # noqa: FBT001 - the key of a cache
    latest: tuple[tuple[str, ...], tuple[str, ...]],
    returning: str,
    mark: str = "",  # of its parameters among those of others
) -> Any:  # noqa: ANN401 - as _inserting
    columns = table_of(table).c
    given = sa.bindparam(f"given{mark}", type_=sa.Text)
    one = _table({name: columns[name].type for name in names}, given, dialect)
    shared = [sa.bindparam(f"same{mark}_{name}", type_=columns[name].type) for name in same]
    # Written out, since SQLAlchemy fills in no defaults within a statement that is a part of another.
    defaults = {
        column.name: sa.literal(column.default.arg, column.type)
        for column in columns
        if isinstance(column.default, sa.ColumnDefault) and column.default.is_scalar
    }
    left = [name for name in defaults if name not in {*names, *same}]
    # SQLite takes ON CONFLICT after a SELECT only where that has a WHERE.
    chosen = sa.select(*(one.c[name] for name in names), *shared, *(defaults[name] for name in left)).where(sa.true())
    insert = _inserting(dialect, table_of(table)).from_select([*names, *same, *left], chosen)
    if unless_there:
        insert = insert.on_conflict_do_nothing()
    if all(latest):
        keys, taken = latest
        insert = insert.on_conflict_do_update(index_elements=keys, set_={one: insert.excluded[one] for one in taken})
    return insert.returning(columns[returning]) if returning else insert


def table_of(model: type[SQLModel]) -> sa.Table:
    """Return a model's table: statements about it read and write plain rows, at a tenth of what objects cost."""
    table = sa.inspect(model).local_table
    assert isinstance(table, sa.Table)  # noqa: S101 - every model of ours has one
    return table


def these(session: Session, ids: Iterable[UUID]) -> sa.ScalarSelect[Any]:
    """Return ids for an IN: one parameter, however many they are."""
    table = handed_in(session, {"id": sa.Uuid()}, [{"id": one} for one in ids])
    return sa.select(table.c.id).scalar_subquery()


def _written(dialect: str, rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=str if dialect == POSTGRESQL else _as_sqlite)


def _as_sqlite(value: object) -> str:
    """SQLite keeps ids as 32 hex digits, and instants as SQLAlchemy writes them: UTC, without saying so."""
    if isinstance(value, UUID):
        return value.hex
    return _instant(value) if isinstance(value, datetime) else str(value)


@lru_cache(1000)  # the rows of a set share most of theirs
def _instant(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
