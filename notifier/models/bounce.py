"""Mails that came back, as they came, with what they say and what became of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7
from notifier.rules.bounces import BounceKind


class BounceDoor(StrEnum):
    """By which way a mail came in."""

    IMAP = "imap"
    LMTP = "lmtp"
    WEBHOOK = "webhook"
    FILE = "file"


class BounceMatch(StrEnum):
    """By what a mail that came back was found to be about one of ours."""

    TAG = "tag"
    MESSAGE_ID = "message_id"
    NOTHING = ""


class BounceMail(SQLModel, table=True):
    """One mail that came back; the same bytes are kept once, however often they come.

    `report` is what was read of it (rules/bounces.py).  It is applied when all that follows from it has been drawn,
    which waits until our side knows what became of the mail.
    """

    __tablename__ = "bounce_mail"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    received_at: datetime = Field(index=True)
    digest: str = Field(max_length=64, unique=True)  # SHA-256 of the content, its line ends made LF
    content: bytes = Field(sa_type=sa.LargeBinary)
    kind: BounceKind = Field(sa_type=text_enum(BounceKind))
    delivery_id: UUID | None = Field(default=None, foreign_key="delivery.id", index=True)
    attempt: int | None = None
    how: BounceDoor = Field(sa_type=text_enum(BounceDoor))
    matched_by: BounceMatch = Field(default=BounceMatch.NOTHING, sa_type=text_enum(BounceMatch))
    report: dict[str, Any] = Field(sa_type=sa.JSON)
    voided: bool = False  # it took the mail back that we had counted as arrived; whom that leaves untold is told next
    applied_at: datetime | None = Field(default=None, index=True)
    read_at: datetime | None = None  # by a person
