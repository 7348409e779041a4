"""Deliveries: one letter to one address; their attempts, moulds and links, and fetches of the links."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7
from notifier.rules.delivery_states import DeliveryState


class MouldRow(SQLModel, table=True):
    """A letter written for one announcement in one language, with holes; named by the SHA-256 of its content."""

    __tablename__ = "mould"

    digest: str = Field(primary_key=True, max_length=64)
    letter: str
    language: str
    content: str = Field(sa_type=sa.Text)
    made_at: datetime


class Delivery(SQLModel, table=True):
    """One letter to one address, for one notice or for several that this address receives together.

    The unique key makes a second copy of the same letter impossible; a visible repeat is a purpose of its own.
    `facts` fill the mould's holes; the bytes are rebuilt from both and must match `sha256`, kept at the first attempt.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        sa.UniqueConstraint("about_id", "address", "purpose", "language"),
        sa.Index("ix_delivery_due", "state", "lane", "due_at", "domain"),
        sa.Index(
            "ix_delivery_lease",
            "lease_until",
            sqlite_where=sa.text("lease_until IS NOT NULL"),
            postgresql_where=sa.text("lease_until IS NOT NULL"),
        ),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    about_id: UUID  # the announcement, or what else the letter is about
    announcement_id: UUID | None = Field(default=None, foreign_key="announcement.id", index=True)
    purpose: str
    letter: str
    language: str
    address: str
    lane: int  # small and urgent goes first: 0 receipts and alerts, 1 notices, 2 news to subscribers
    mould_digest: str = Field(foreign_key="mould.digest")
    key_id: str
    facts: dict[str, Any] = Field(sa_type=sa.JSON)
    message_id: str  # its id stands in it, and is what it is found by
    sha256: str = ""
    state: DeliveryState = Field(default=DeliveryState.WAITING, sa_type=text_enum(DeliveryState))
    attempt: int = 0
    claimed_by: str = ""
    lease_until: datetime | None = None
    due_at: datetime
    created_at: datetime
    accepted_at: datetime | None = None
    last_reply: str = ""
    domain: str = ""  # of the address, in small letters
    relay: str = ""  # the name of the one that it was last offered to
    deferrals: int = 0  # attempts that were put off for the mail's own sake, not for the relay's
    same_until: datetime | None = None  # it may have arrived: it goes again through that relay alone, until then


class DeliveryNotice(SQLModel, table=True):
    """Which notices a delivery carries, and to which contact of each client."""

    __tablename__ = "delivery_notice"

    delivery_id: UUID = Field(foreign_key="delivery.id", primary_key=True)
    notice_id: UUID = Field(foreign_key="notice.id", primary_key=True, index=True)
    contact_id: UUID | None = Field(default=None, foreign_key="contact.id")
    edition: int = 1  # of the announcement that it tells
    courtesy: bool = False  # the contract refuses e-mail: this copy starts no clock
    displayed_at: datetime | None = None  # the contact pressed the button that shows the notice


class Attempt(SQLModel, table=True):
    """One try at a delivery, with what the other side answered."""

    __tablename__ = "attempt"
    __table_args__ = (sa.UniqueConstraint("delivery_id", "number"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    delivery_id: UUID = Field(foreign_key="delivery.id")
    number: int
    verdict: str
    code: int | None = None
    reply: str = ""
    peer: str = ""
    tls: str = ""
    at: datetime


class Link(SQLModel, table=True):
    """What is kept of a link's token: its SHA-256, what it opens, and until when."""

    __tablename__ = "link"

    token_digest: str = Field(primary_key=True, max_length=64)
    delivery_id: UUID = Field(foreign_key="delivery.id", index=True)
    purpose: str
    expires_at: datetime
    revoked_at: datetime | None = None


class Fetch(SQLModel, table=True):
    """A link was opened by someone or something: proof that the mail arrived, and nothing else."""

    __tablename__ = "fetch"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    delivery_id: UUID = Field(foreign_key="delivery.id", index=True)
    at: datetime
    method: str
    agent: str = ""
    prefetch: bool = False
