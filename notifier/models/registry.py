"""The registry of subprocessors: numbered, immutable versions, and at most one draft."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import uuid7
from notifier.rules import registry_diff


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


class Entry(SQLModel, table=True):
    """One subprocessor in one version.  `key` names it across versions; `replaces` is the key of the one it takes the
    place of.
    """

    __tablename__ = "entry"
    __table_args__ = (sa.UniqueConstraint("version_id", "key"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    version_id: UUID = Field(foreign_key="version.id", index=True)
    position: int
    key: str
    name: str
    address: str = ""
    postcode: str = ""
    town: str = ""
    country: str = ""
    activity: str = ""
    site_kind: str = ""
    replaces: str = ""

    @property
    def content(self) -> registry_diff.Entry:
        return registry_diff.Entry(**{name: getattr(self, name) for name in registry_diff.Entry.__dataclass_fields__})

    @classmethod
    def of(cls, version_id: UUID, position: int, content: registry_diff.Entry) -> Entry:
        values: dict[str, Any] = {name: getattr(content, name) for name in registry_diff.Entry.__dataclass_fields__}
        return cls(version_id=version_id, position=position, **values)
