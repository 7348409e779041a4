"""The watch on our own subprocessors' lists: where they are, what stood there, and what it suggests to our editor."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7


class SightingState(StrEnum):
    READ = "read"
    UNREADABLE = "unreadable"  # kept all the same, as what stood there


class SuggestionState(StrEnum):
    OPEN = "open"
    TAKEN = "taken"
    DISMISSED = "dismissed"


class Source(SQLModel, table=True):
    """Where the list of one of our subprocessors is: an https address, or a file below the operator's folder.

    Who looks holds a lease and counts up `attempt`; what comes of a look whose count is no longer this one is dropped.
    `troubles` counts the looks in a row that led to nothing.
    """

    __tablename__ = "source"
    __table_args__ = (
        sa.UniqueConstraint("entry_key", "address", "active"),  # any number of removed ones
        sa.Index("ix_source_due", "active", "next_look_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    entry_key: str
    address: str
    hours: int = 24
    mapping: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)  # heading → field, where it cannot be told
    active: bool | None = True  # empty once removed: what was seen there stays
    paused: bool = False
    next_look_at: datetime
    lease_until: datetime | None = None
    attempt: int = 0
    last_looked_at: datetime | None = None
    last_changed_at: datetime | None = None  # when the list last changed in meaning
    last_trouble: str = Field(default="", sa_type=sa.Text)
    troubles: int = 0
    etag: str = ""  # of what was last read
    last_modified: str = ""
    created_at: datetime
    created_by: str

    @property
    def is_page(self) -> bool:
        return "://" in self.address


class Sighting(SQLModel, table=True):
    """What stood at a source, byte for byte.  One that says what the one before it said is not kept again."""

    __tablename__ = "sighting"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    source_id: UUID = Field(foreign_key="source.id", index=True)
    fetched_at: datetime
    content: bytes = Field(sa_type=sa.LargeBinary)
    sha256: str
    media_type: str
    filename: str  # under which it is read: its ending says what it is
    mapping: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)  # with which it was read
    state: SightingState = Field(sa_type=text_enum(SightingState))


class Suggestion(SQLModel, table=True):
    """A change in meaning of a subprocessor's list, for our editor to take or to dismiss."""

    __tablename__ = "suggestion"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    source_id: UUID = Field(foreign_key="source.id", index=True)
    before_id: UUID = Field(foreign_key="sighting.id")
    after_id: UUID = Field(foreign_key="sighting.id")
    changes: list[dict[str, Any]] = Field(sa_type=sa.JSON)  # registry_diff.as_json
    state: SuggestionState = Field(default=SuggestionState.OPEN, sa_type=text_enum(SuggestionState))
    opened_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""
    note: str = Field(default="", sa_type=sa.Text)  # why it was dismissed, or what of it was only noted
