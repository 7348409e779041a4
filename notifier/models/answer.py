"""Answers: what a client's contact said to a notice."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7


class AnswerKind(StrEnum):
    ACKNOWLEDGEMENT = "acknowledgement"  # confirms receipt, and nothing else
    OBJECTION = "objection"
    TERMINATION = "termination"
    CONSENT = "consent"
    REFUSAL = "refusal"  # of a consent that was asked for
    CONFIRMATION = "confirmation"  # that the client has done what the notice asks of it


class Answer(SQLModel, table=True):
    """One answer.  `standing` is true while it counts and empty once it was closed (an objection withdrawn, a contract
    ended),
    so that the unique key stops the same answer being recorded twice and still lets a person object anew.
    """

    __tablename__ = "answer"
    __table_args__ = (
        sa.UniqueConstraint("notice_id", "kind", "address", "standing"),
        sa.Index("ix_answer_reference", "reference"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    notice_id: UUID = Field(foreign_key="notice.id", index=True)
    delivery_id: UUID = Field(foreign_key="delivery.id")  # through whose link it came
    address: str  # to which that link was sent; a receipt's link is the same person's
    kind: AnswerKind = Field(sa_type=text_enum(AnswerKind))
    standing: bool | None = True
    signed_name: str
    statement: str = ""  # what was chosen, word for word
    edition: int = 1  # of the announcement that was answered
    reasons: str = Field(default="", sa_type=sa.Text)
    reference: str  # one act of a person: an acknowledgement of several companies shares it
    answered_at: datetime
    late: bool = False
    machine_like: bool = False
    closed_at: datetime | None = None
    closed_by: str = ""
    closing_note: str = ""
