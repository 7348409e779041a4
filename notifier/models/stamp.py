"""Stamps of boards: whether anything that is counted of an announcement may have changed since it was counted."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel


class BoardStamp(SQLModel, table=True):
    """What triggers write in the transaction of the change.  The stamp of an announcement is the sum of its rows.

    Without an announcement: of the clients and their terms.  The numbers are random: one that was rolled back, or that
    a restored copy never saw, does not come again.
    """

    __tablename__ = "board_stamp"

    id: int | None = Field(default=None, primary_key=True, sa_type=sa.BigInteger().with_variant(sa.Integer, "sqlite"))
    announcement_id: UUID | None = Field(default=None, index=True)
    stamp: int = Field(sa_type=sa.BigInteger)
