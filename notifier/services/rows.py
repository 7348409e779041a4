"""Rows that two may want to write at the same instant."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def insert_new(session: Session, row: SQLModel) -> None:
    """Insert a row, unless one with its unique key is there: then that one serves both."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(insert(type(row)).values(row.model_dump()).on_conflict_do_nothing())
