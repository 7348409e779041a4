"""A notice: one client being told of one announcement, and the deadline it was raised under."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7
from notifier.rules.notice_states import NoticeState, NoticeStep, next_notice_state
from notifier.rules.terms import Channel, Rule

CONCERNS_NO_MORE = "since a correction, nothing of the announcement concerns the client"  # why one is excluded


class Sealed(SQLModel, table=True):
    """One deadline as computed at publishing, sealed with what it was computed from.

    One row serves every notice of an announcement with the same terms and the same changes: a deadline is counted once
    for them.  `changes` holds those that concern these clients, as they do (rules/scope.py); empty for all as
    announced.
    """

    __tablename__ = "sealed"
    __table_args__ = (sa.UniqueConstraint("announcement_id", "terms_key", "sealed_at"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    announcement_id: UUID = Field(foreign_key="announcement.id")
    terms_key: str  # the pack, the client's own terms, the channel, and the changes where not all concern it
    pack: str
    edition: int = 1  # of the announcement
    rule: dict[str, Any] = Field(sa_type=sa.JSON)
    changes: list[dict[str, Any]] | None = Field(default=None, sa_type=sa.JSON(none_as_null=True))
    received_on: date  # presumed
    last_day: date
    until: datetime
    opens_at: datetime
    steps: list[dict[str, str]] = Field(sa_type=sa.JSON)
    sealed_at: datetime  # at publishing, or when latecomers were told
    versions: dict[str, str] = Field(sa_type=sa.JSON)  # of the holiday tables and time zones used

    @property
    def counted(self) -> Rule:
        return Rule.from_json(self.rule)


class Notice(SQLModel, table=True):
    """One client's notice.  `object_by` is the last day to answer as last told, `object_until` the first instant (UTC)
    too late, `holds_until` the instant (UTC) from which the change need not wait any more.
    """

    __tablename__ = "notice"
    __table_args__ = (sa.UniqueConstraint("announcement_id", "client_id"),)

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    announcement_id: UUID = Field(foreign_key="announcement.id", index=True)
    client_id: UUID = Field(foreign_key="client.id", index=True)
    terms_id: UUID = Field(foreign_key="terms.id")
    sealed_id: UUID = Field(foreign_key="sealed.id")
    state: NoticeState = Field(default=NoticeState.RAISED, sa_type=text_enum(NoticeState))
    object_by: date
    object_until: datetime
    holds_until: datetime
    channel: Channel = Field(default=Channel.MAIL, sa_type=text_enum(Channel))  # by which it is told with effect
    edition: int = 1  # of the announcement, as this client was told
    received_on: date | None = None
    received_how: str = ""  # "relay", or what a person recorded
    raised_at: datetime
    live_at: datetime | None = None  # the change was made for this client
    live_in_breach: bool = False  # before its right had run
    excluded_at: datetime | None = None  # the change is not made for this client
    excluded_by: str = ""
    excluded_why: str = ""

    @property
    def is_left_out(self) -> bool:
        """Say whether it is a correction that excluded it: what is told later may concern the client again."""
        return self.excluded_at is not None and self.excluded_why == CONCERNS_NO_MORE

    def take(self, step: NoticeStep) -> None:
        """Move to the state after a step; an illegal one raises IllegalNoticeStep."""
        self.state = next_notice_state(self.state, step)
