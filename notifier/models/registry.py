"""The registry of subprocessors: numbered, immutable versions, and at most one draft."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import uuid7


class Version(SQLModel, table=True):
    """One state of the registry.

    While it is the draft, `number` is empty and `draft` is true; publishing numbers it, and nothing about its entries
    changes after. `effective_at` is the announced instant (UTC) from which it is to hold, `live_at` the recorded fact
    that it does.
    """

    __tablename__ = "version"
    __table_args__ = (
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("draft"),  # empty for every published one, so that only one draft can be
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    number: int | None = None
    draft: bool | None = None
    revision: int = 1  # of the draft: an edit made on an older one is refused
    created_at: datetime
    created_by: str
    published_at: datetime | None = None
    published_by: str = ""
    effective_at: datetime | None = None
    live_at: datetime | None = None
    withdrawn_at: datetime | None = None  # it never holds: its announcement was withdrawn or corrected
    builds_on: int | None = None  # number of the version whose list it began with; none for the first
    undoes: int | None = None  # number of the withdrawn version whose changes it takes out of those built on it


class Entry(SQLModel, table=True):
    """What one subprocessor is said to be, from the version that first says so until the one that says otherwise.

    A version's list is every row with `since` ≤ its number < `until`: what does not change is written once, however
    many versions there are.  `content` is rules/entries.as_json; `position` is the place in the list.
    """

    __tablename__ = "entry"
    __table_args__ = (
        sa.UniqueConstraint("key", "since"),
        sa.Index("ix_entry_since_until", "since", "until"),
        sa.CheckConstraint("until > since", name="until_after_since"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    key: str
    since: int  # number of a version
    until: int | None = Field(default=None, index=True)
    position: int
    content: dict[str, Any] = Field(sa_type=sa.JSON)


class DraftEntry(SQLModel, table=True):
    """Where the draft says something else than the published version: another content, or none at all."""

    __tablename__ = "draft_entry"

    key: str = Field(primary_key=True)
    position: int
    content: dict[str, Any] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
