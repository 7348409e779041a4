"""Open items: what waits for a person."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7


class ItemKind(StrEnum):
    UNREACHABLE_CLIENT = "unreachable_client"
    UNKNOWN_DELIVERY = "unknown_delivery"
    REFUSED_DELIVERY = "refused_delivery"
    OBJECTION = "objection"
    TERMINATION = "termination"
    MACHINE_LIKE_ANSWER = "machine_like_answer"
    ENDPOINT_FAILING = "endpoint_failing"
    REFUSAL = "refusal"
    UNREAD_REPLY = "unread_reply"
    OVERRIDE_ASKED = "override_asked"
    PAPER_TO_PRINT = "paper_to_print"
    TELL_BY_LETTER = "tell_by_letter"
    PROHIBITION_ENDED = "prohibition_ended"
    SUGGESTION = "suggestion"
    SOURCE_FAILING = "source_failing"
    SENDING_ON_HOLD = "sending_on_hold"
    DOUBTED_MAILS = "doubted_mails"  # of one announcement: each may have left before a copy was made
    RETURNED_MAIL = "returned_mail"  # came back and must be read by a person
    AUTO_REPLY = "auto_reply"
    COMPLAINT = "complaint"
    RELAY_FAILING = "relay_failing"  # it refuses our sign-in, say: no time mends that


class Item(SQLModel, table=True):
    """Something that a person must look at.  `open` is true until closed and empty after: one open item per kind and
    thing.
    """

    __tablename__ = "item"
    __table_args__ = (sa.UniqueConstraint("kind", "about_id", "open"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: ItemKind = Field(sa_type=text_enum(ItemKind))
    about_id: UUID
    announcement_id: UUID | None = Field(default=None, index=True)
    open: bool | None = True
    opened_at: datetime
    closed_at: datetime | None = None
    closed_by: str = ""
    note: str = ""
