"""Letters of paper and registered e-letters: what is told by other means than mail, and what proves it."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7
from notifier.rules.terms import Channel


class PaperState(StrEnum):
    WAITING = "waiting"  # to be printed, or to be given to the e-letter service
    PRINTED = "printed"  # in a batch
    HANDED_OVER = "handed_over"  # to the post, or to the e-letter service: its reference is known
    RECEIVED = "received"
    RETURNED = "returned"  # refused, unclaimed with no receipt, or unknown at the address


class PrintBatch(SQLModel, table=True):
    """Letters printed together.  The PDF is kept as it was made."""

    __tablename__ = "print_batch"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    announcement_id: UUID = Field(foreign_key="announcement.id", index=True)
    letters: int
    pdf: bytes = Field(sa_type=sa.LargeBinary)
    sha256: str
    made_at: datetime
    made_by: str


class PaperLetter(SQLModel, table=True):
    """One registered letter to one client, for one edition of what it is told."""

    __tablename__ = "paper_letter"
    __table_args__ = (sa.UniqueConstraint("notice_id", "edition", "number"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    notice_id: UUID = Field(foreign_key="notice.id", index=True)
    contact_id: UUID | None = Field(default=None, foreign_key="contact.id")  # for whose attention
    channel: Channel = Field(sa_type=text_enum(Channel))
    edition: int
    number: int = 1  # a letter that came back is followed by another
    language: str
    state: PaperState = Field(default=PaperState.WAITING, sa_type=text_enum(PaperState))
    batch_id: UUID | None = Field(default=None, foreign_key="print_batch.id")
    tracking: str = ""
    handed_over_on: date | None = None
    informed_on: date | None = None  # the e-letter service told the addressee that a letter waits (CPCE R.53-3)
    received_on: date | None = None
    proof: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    proof_name: str = ""
    proof_sha256: str = ""
    raised_at: datetime
