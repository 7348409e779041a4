"""Reminders: what has been sent to whom about one notice, so that each is sent at most once."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7


class Audience(StrEnum):
    CLIENT = "client"
    ACCOUNT_MANAGER = "account_manager"


class Reminder(SQLModel, table=True):
    """One reminder, by how many days before the last day to answer it was due; the edition is the announcement's."""

    __tablename__ = "reminder"
    __table_args__ = (sa.UniqueConstraint("notice_id", "audience", "edition", "days_before"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    notice_id: UUID = Field(foreign_key="notice.id")
    audience: Audience = Field(sa_type=text_enum(Audience))
    edition: int
    days_before: int
    sent_at: datetime
