"""An announcement: what is told once to all affected clients."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7


class AnnouncementKind(StrEnum):
    SUBPROCESSOR = "subprocessor"


class AnnouncementState(StrEnum):
    PUBLISHED = "published"
    LIVE = "live"


class Announcement(SQLModel, table=True):
    """What changes, from when and why, frozen at publishing.  `changes` holds the semantic diff
    (registry_diff.as_json).
    """

    __tablename__ = "announcement"
    __table_args__ = (sa.UniqueConstraint("version_id"), sa.UniqueConstraint("reference"))

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: AnnouncementKind = Field(sa_type=text_enum(AnnouncementKind))
    state: AnnouncementState = Field(default=AnnouncementState.PUBLISHED, sa_type=text_enum(AnnouncementState))
    reference: str
    version_id: UUID | None = Field(default=None, foreign_key="version.id")
    changes: list[dict[str, Any]] = Field(sa_type=sa.JSON)
    reasons: dict[str, str] = Field(sa_type=sa.JSON)  # language → why
    effective_on: date
    effective_at: datetime
    published_at: datetime
    published_by: str
    live_at: datetime | None = None
    live_by: str = ""
    breach_reason: str = ""  # written when it went live against a closed gate
