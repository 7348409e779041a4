"""Subscribers: addresses that asked to be told of the public list, and what they have been told of."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7

LINK_LIFE = timedelta(days=7)  # of a link that confirms


class SubscriberState(StrEnum):
    WAITING = "waiting"  # asked for, by whomever; the link in the mail has not been confirmed
    CONFIRMED = "confirmed"
    ENDED = "ended"


class Subscriber(SQLModel, table=True):
    """One address, folded to small letters.  It is told nothing before its own mail has been confirmed.

    When it ends the address is erased; what stays lets the link in an old mail still answer, and names nobody.
    """

    __tablename__ = "subscriber"
    __table_args__ = (
        sa.UniqueConstraint("address"),
        sa.UniqueConstraint("confirm_digest"),
        sa.UniqueConstraint("end_digest"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    address: str | None
    language: str
    state: SubscriberState = Field(default=SubscriberState.WAITING, sa_type=text_enum(SubscriberState), index=True)
    key_id: str  # under which its tokens are made: they stay the same for its whole life
    confirm_digest: str = Field(max_length=64)
    end_digest: str = Field(max_length=64)
    asks: int = 0  # mails that asked it to confirm
    asked_at: datetime  # the last of them
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def confirm_until(self) -> datetime:
        """Until when the link that confirms is taken."""
        return self.asked_at + LINK_LIFE


class SubscriberNews(SQLModel, table=True):
    """An event of which subscribers have been told, so that each is told once."""

    __tablename__ = "subscriber_news"

    event_id: int = Field(
        primary_key=True,
        foreign_key="event.id",
        sa_type=sa.BigInteger().with_variant(sa.Integer, "sqlite"),
    )
    told_at: datetime
