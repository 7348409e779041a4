"""The company in whose name every letter and page speaks."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import uuid7


class Provider(SQLModel, table=True):
    """The provider's profile: one row per instance.  Nothing is sent before it is complete."""

    __tablename__ = "provider"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: int = Field(default=1, primary_key=True)
    instance_id: UUID = Field(default_factory=uuid7)
    legal_name: str = ""
    address: str = ""
    timezone: str = "Europe/Paris"
    sender_name: str = ""
    sender_address: str = ""
    reply_to: str = ""
    privacy_contact: str = ""
    base_url: str = ""
    languages: str = "en fr"
    host: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)  # what it is as a host (rules/entries.as_json)

    REQUIRED: ClassVar[tuple[str, ...]] = (
        "legal_name",
        "address",
        "timezone",
        "sender_name",
        "sender_address",
        "reply_to",
        "privacy_contact",
        "base_url",
    )

    @property
    def missing(self) -> list[str]:
        """The fields that are still empty."""
        return [name for name in self.REQUIRED if not getattr(self, name).strip()]

    @property
    def message_domain(self) -> str:
        """The domain of our Message-IDs: the sender's."""
        return self.sender_address.rpartition("@")[2]
