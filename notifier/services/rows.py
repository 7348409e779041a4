"""Rows by the set: those that two may want to write at the same instant, and those that are handed in together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel

TOGETHER = 5000  # rows in one statement: a few megabytes


def insert_new(session: Session, row: SQLModel) -> None:
    """Insert a row, unless one with its unique key is there: then that one serves both."""
    session.execute(inserting(session, type(row)).values(row.model_dump()).on_conflict_do_nothing())


def inserting(session: Session, table: type[SQLModel]) -> Any:  # noqa: ANN401 - either dialect's own Insert
    """Return an INSERT that knows ON CONFLICT."""
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    return insert(table)


def is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"


def handed_in(
    session: Session, columns: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> sa.Subquery | sa.TableValuedAlias:
    """Return rows as a table to join with: one parameter, and one statement, however many they are.

    `columns` maps each name to its SQL type.  Instants are compared and kept as the database writes them.
    """
    given = sa.bindparam(None, json.dumps(rows, default=_plain if is_postgresql(session) else _as_sqlite), sa.Text)
    if is_postgresql(session):
        named = [sa.column(name, kind) for name, kind in columns.items()]
        recordset = sa.func.json_to_recordset(sa.cast(given, postgresql.JSON)).table_valued(*named)
        return recordset.render_derived(name="handed_in", with_types=True)
    each = sa.func.json_each(given).table_valued("value", name="each_row")
    picked = [
        sa.type_coerce(sa.func.json_extract(each.c.value, f"$.{name}"), kind).label(name)
        for name, kind in columns.items()
    ]
    return sa.select(*picked).subquery("handed_in")


def insert_set(
    session: Session,
    table: type[SQLModel],
    rows: Sequence[Mapping[str, Any]],
    same: Mapping[str, Any] = MappingProxyType({}),
    *,
    unless_there: bool = False,
    latest: tuple[Sequence[str], Sequence[str]] = ((), ()),
    returning: str = "",
) -> list[Any]:
    """Insert rows in their order by INSERT … SELECT, `same` in each of them; returns what the database gave the column
    `returning`, in ascending order.

    `unless_there`: a row whose unique key is there already serves both.  `latest`: one with the same of these columns
    is there, and takes on those.  Columns with a default may be left out.
    """
    given: list[Any] = []
    columns, names = sa.inspect(table).local_table.c, list(rows[0]) if rows else []
    for start in range(0, len(rows), TOGETHER):
        one = handed_in(session, {name: columns[name].type for name in names}, rows[start : start + TOGETHER])
        shared = [sa.literal(value, columns[name].type) for name, value in same.items()]
        # SQLite takes ON CONFLICT after a SELECT only where that has a WHERE.
        chosen = sa.select(*(one.c[name] for name in names), *shared).where(sa.true())
        insert = inserting(session, table).from_select([*names, *same], chosen)
        insert = insert.on_conflict_do_nothing() if unless_there else insert
        if all(latest):
            keys, taken = latest
            insert = insert.on_conflict_do_update(
                index_elements=keys, set_={one: insert.excluded[one] for one in taken}
            )
        if returning:
            given += session.execute(insert.returning(columns[returning])).scalars()
        else:
            session.execute(insert)
    return sorted(given)


def table_of(model: type[SQLModel]) -> sa.Table:
    """Return a model's table: statements about it read and write plain rows, at a tenth of what objects cost."""
    table = sa.inspect(model).local_table
    assert isinstance(table, sa.Table)  # noqa: S101 - every model of ours has one
    return table


def these(session: Session, ids: Iterable[UUID]) -> sa.ScalarSelect[Any]:
    """Return ids for an IN: one parameter, however many they are."""
    table = handed_in(session, {"id": sa.Uuid()}, [{"id": one} for one in ids])
    return sa.select(table.c.id).scalar_subquery()


def _plain(value: object) -> str:
    return str(value)


def _as_sqlite(value: object) -> str:
    """SQLite keeps ids as 32 hex digits, and instants as SQLAlchemy writes them: UTC, without saying so."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return str(value)
