"""Webhook endpoints, and what each is owed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7


class WebhookState(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"


class Endpoint(SQLModel, table=True):
    """Where a ticketing system listens.  The secret is kept encrypted under the instance's key."""

    __tablename__ = "endpoint"

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    url: str
    sealed_secret: str
    kinds: list[str] = Field(default_factory=list, sa_type=sa.JSON)  # empty: every kind
    enabled: bool = True
    disabled_why: str = ""
    created_at: datetime
    created_by: str


class WebhookDelivery(SQLModel, table=True):
    """One event for one endpoint.  The body is stored once and sent byte-identical on every attempt."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        sa.UniqueConstraint("endpoint_id", "event_id"),
        sa.Index("ix_webhook_delivery_due", "state", "due_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    endpoint_id: UUID = Field(foreign_key="endpoint.id", index=True)
    event_id: int = Field(foreign_key="event.id", sa_type=sa.BigInteger().with_variant(sa.Integer, "sqlite"))
    body: str = Field(sa_type=sa.Text)
    state: WebhookState = Field(default=WebhookState.WAITING, sa_type=text_enum(WebhookState))
    attempt: int = 0
    lease_until: datetime | None = None
    due_at: datetime
    last_status: int | None = None
    last_reason: str = ""
    delivered_at: datetime | None = None

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the same on every attempt."""
        return f"msg_{self.id.hex}"
