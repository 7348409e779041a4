"""The clients that are owed notice, their contacts, and their dated terms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import uuid7
from notifier.rules.scope import Scope

# Sign by sign, on every database: a beginning is a range of the index.
PLAINLY_ORDERED: Any = sa.String().with_variant(sa.String(collation="C"), "postgresql")


class Client(SQLModel, table=True):
    """A company that we owe notice to.  `key` is its number in the CRM."""

    __tablename__ = "client"
    __table_args__ = (sa.UniqueConstraint("key"), sa.Index("ix_client_filed_as", "filed_as", "key"))

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    key: str = Field(sa_type=PLAINLY_ORDERED)
    company: str
    filed_as: str = Field(default="", sa_type=PLAINLY_ORDERED)  # `slug` of the company, by which lists go
    group: str = ""
    account_manager: str = ""  # e-mail address
    account_manager_name: str = ""
    address: str = ""
    postcode: str = ""
    town: str = ""
    country: str = ""
    reseller: bool = False
    services: list[str] = Field(default_factory=list, sa_type=sa.JSON)  # that it has of ours; none stated counts as all
    regions: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    options: list[str] = Field(default_factory=list, sa_type=sa.JSON)
    email_accepted: bool = True
    created_at: datetime

    @property
    def scope(self) -> Scope:
        """What it has of ours, by which changes concern it."""
        return Scope(services=tuple(self.services), regions=tuple(self.regions), options=tuple(self.options))


class Contact(SQLModel, table=True):
    """A person or mailbox at a client, in one role.  One who left the list is kept, with the instant, since notices
    name it.
    """

    __tablename__ = "contact"
    __table_args__ = (sa.UniqueConstraint("client_id", "email", "role"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    client_id: UUID = Field(foreign_key="client.id", index=True)
    name: str
    role: str
    email: str
    phone: str = ""
    language: str = "en"
    left_at: datetime | None = None


class Terms(SQLModel, table=True):
    """The contract version a client is under from a day on; the latest signed one in force counts."""

    __tablename__ = "terms"
    __table_args__ = (sa.UniqueConstraint("client_id", "signed_on"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    client_id: UUID = Field(foreign_key="client.id", index=True)
    pack: str
    overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict, sa_type=sa.JSON
    )  # kind, or "all" → field → value
    signed_on: date
    recorded_at: datetime
    replaced_at: datetime | None = None  # a correction said that it never held; kept, since notices name it

    @property
    def key(self) -> str:
        """What names these terms among others."""
        return terms_key(self.pack, self.overrides)


def terms_key(pack: str, overrides: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what clients share that have the same pack and the same terms of their own."""
    if not overrides:
        return pack
    written = json.dumps(overrides, sort_keys=True, separators=(",", ":"))
    return f"{pack}+{hashlib.sha256(written.encode()).hexdigest()[:12]}"
