"""Stamps of boards: whether anything that is counted of an announcement may have changed since it was counted."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

CLIENTS = UUID(int=0)  # in the place of an announcement: what every board counts


class BoardStamp(SQLModel, table=True):
    """What triggers write in the transaction of the change.  The stamp of an announcement is the sum of its rows.

    PostgreSQL has a row of each transaction (`writer`), so that none waits for another, and a tick folds them; SQLite
    has one writer, and one row.  The numbers are random: what a restored copy never saw does not come again.
    """

    __tablename__ = "board_stamp"
    __table_args__ = (sa.UniqueConstraint("announcement_id", "writer"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=sa.BigInteger().with_variant(sa.Integer, "sqlite"))
    announcement_id: UUID
    writer: int = Field(default=0, sa_type=sa.BigInteger)
    stamp: int = Field(sa_type=sa.BigInteger)
