"""What every table shares: ids made here, names of constraints that can be foretold, enums stored as their text."""

from __future__ import annotations

import os
import time
from datetime import datetime
from enum import Enum as PythonEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import SQLModel

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING_CONVENTION


def uuid7() -> UUID:
    """Return a time-ordered UUID (RFC 9562, version 7): new rows land at the end of their index."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def first_uuid7(at: datetime) -> UUID:
    """Return the least id that `uuid7` can have given at an instant: rows since then are a range of their key."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def text_enum(enum: type[PythonEnum], *, checked: bool = True) -> Any:  # noqa: ANN401 - what sa_type takes
    """Store an enum as its value, in text, with a check in the table unless its values will grow.

    A native type would outlive its table on PostgreSQL.
    """
    return sa.Enum(
        enum,
        name=enum.__name__.lower(),
        native_enum=False,
        create_constraint=checked,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )
