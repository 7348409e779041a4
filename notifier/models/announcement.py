"""An announcement: what is told once to all affected clients; its editions, and what two persons decide about it."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7
from notifier.rules.kinds import AnnouncementKind

__all__ = ["Announcement", "AnnouncementKind", "AnnouncementState", "Edition", "Override", "OverrideKind"]


class AnnouncementState(StrEnum):
    DRAFT = "draft"  # written, and told to nobody
    PUBLISHED = "published"
    LIVE = "live"  # for every client that it is made for
    WITHDRAWN = "withdrawn"


class Announcement(SQLModel, table=True):
    """What changes, from when and why, as it is told now; what was told before is kept in its editions.

    `changes` holds the semantic diff of the registry (registry_diff.as_json), `needs` what each of them must be
    announced as (services/affected.py), `facts` what a person wrote of the other kinds (rules/kinds.py), `cause` the
    notice to us that brought it about.
    """

    __tablename__ = "announcement"
    __table_args__ = (sa.UniqueConstraint("version_id"), sa.UniqueConstraint("reference"))

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: AnnouncementKind = Field(sa_type=text_enum(AnnouncementKind))
    state: AnnouncementState = Field(default=AnnouncementState.PUBLISHED, sa_type=text_enum(AnnouncementState))
    reference: str
    version_id: UUID | None = Field(default=None, foreign_key="version.id")
    aspect: str = ""  # of its kind: "maintenance", "lost"
    per_client: bool = False  # it can go live for one client and not for another
    edition: int = 1
    facts: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)
    cause: dict[str, str] = Field(default_factory=dict, sa_type=sa.JSON)  # from, reference, received_on
    changes: list[dict[str, Any]] = Field(sa_type=sa.JSON)
    needs: list[dict[str, Any]] = Field(default_factory=list, sa_type=sa.JSON)
    reasons: dict[str, str] = Field(sa_type=sa.JSON)  # language → why
    effective_on: date
    effective_at: datetime
    published_at: datetime  # while it is a draft: when it was written
    published_by: str
    live_at: datetime | None = None
    live_by: str = ""
    live_proof: str = ""  # what shows when it really went live
    breach_reason: str = ""  # written when it went live against a closed gate
    withdrawn_at: datetime | None = None
    withdrawn_by: str = ""
    paused_at: datetime | None = None  # its mails wait
    paused_by: str = ""
    sending_cancelled_at: datetime | None = None  # a mail that was written by then, and has not left, is dropped

    def saying(self, changes: list[dict[str, Any]]) -> Announcement:
        """Return what it says to a client whom these changes concern: a copy for reading, which is never kept."""
        return self if changes == self.changes else Announcement(**{**self.model_dump(), "changes": changes})


class Edition(SQLModel, table=True):
    """What an announcement said from an instant on: one row at publishing, one more for each correction.

    `in_substance`: everybody was told anew and every clock began again; else only the writing was mended.
    """

    __tablename__ = "edition"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    announcement_id: UUID = Field(foreign_key="announcement.id", index=True)
    number: int
    in_substance: bool
    version_id: UUID | None = Field(default=None, foreign_key="version.id")
    changes: list[dict[str, Any]] = Field(sa_type=sa.JSON)
    facts: dict[str, str] = Field(sa_type=sa.JSON)
    reasons: dict[str, str] = Field(sa_type=sa.JSON)
    effective_on: date
    why: str = Field(default="", sa_type=sa.Text)  # it was corrected
    made_at: datetime
    made_by: str

    def saying(self, changes: list[dict[str, Any]]) -> Edition:
        """Return what it said to a client whom these changes concern: a copy for reading, which is never kept."""
        return self if changes == self.changes else Edition(**{**self.model_dump(), "changes": changes})


class OverrideKind(StrEnum):
    LATE = "late"  # a service change is told later than the contracts say
    BREACH = "breach"  # a change goes live against a closed gate


class Override(SQLModel, table=True):
    """What only two persons may decide: one asks, with the reason, and another confirms.

    `open` is true until it is decided and empty after: one open override per kind and announcement.
    """

    __tablename__ = "override"
    __table_args__ = (sa.UniqueConstraint("announcement_id", "kind", "open"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    announcement_id: UUID = Field(foreign_key="announcement.id", index=True)
    kind: OverrideKind = Field(sa_type=text_enum(OverrideKind))
    open: bool | None = True
    reasons: dict[str, str] = Field(sa_type=sa.JSON)  # language → why; for a late notice, on what legal ground
    measures: dict[str, str] = Field(
        default_factory=dict, sa_type=sa.JSON
    )  # language → what protects the data meanwhile
    started_at: datetime | None = None  # when the change was really made
    asked_by: str
    asked_at: datetime
    decided_by: str = ""
    decided_at: datetime | None = None
    confirmed: bool = False
