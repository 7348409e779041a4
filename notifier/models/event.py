"""Events: everything that happens, once, in one append-only table."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum


class EventKind(StrEnum):
    """What can happen: `noun.participle`, the same word in the log, on the pages and in webhooks."""

    PROVIDER_CHANGED = "provider.changed"
    USER_CREATED = "user.created"
    USER_INVITED = "user.invited"
    USER_CHANGED = "user.changed"
    USER_SIGNED_IN = "user.signed_in"
    CLIENTS_IMPORTED = "clients.imported"
    DRAFT_CHANGED = "draft.changed"
    DRAFT_DISCARDED = "draft.discarded"
    VERSION_PUBLISHED = "version.published"
    VERSION_LIVE = "version.live"
    ANNOUNCEMENT_PUBLISHED = "announcement.published"
    ANNOUNCEMENT_LIVE = "announcement.live"
    ANNOUNCEMENT_BREACHED = "announcement.breached"
    ANNOUNCEMENT_DRAFTED = "announcement.drafted"
    ANNOUNCEMENT_DISCARDED = "announcement.discarded"
    ANNOUNCEMENT_CORRECTED = "announcement.corrected"
    ANNOUNCEMENT_RESPELT = "announcement.respelt"
    ANNOUNCEMENT_POSTPONED = "announcement.postponed"
    ANNOUNCEMENT_WITHDRAWN = "announcement.withdrawn"
    OVERRIDE_ASKED = "override.asked"
    OVERRIDE_CONFIRMED = "override.confirmed"
    OVERRIDE_REJECTED = "override.rejected"
    NOTICE_RAISED = "notice.raised"
    NOTICE_SENT = "notice.sent"
    NOTICE_RECEIVED = "notice.received"
    NOTICE_POSTPONED = "notice.postponed"
    NOTICE_UNREACHED = "notice.unreached"
    NOTICE_LAPSED = "notice.lapsed"
    NOTICE_RESTARTED = "notice.restarted"
    NOTICE_LIVE = "notice.live"
    NOTICE_EXCLUDED = "notice.excluded"
    NOTICE_DISPLAYED = "notice.displayed"
    REMINDER_SENT = "reminder.sent"
    REPLY_RECORDED = "reply.recorded"
    REPLY_READ = "reply.read"
    PAPER_RAISED = "paper.raised"
    PAPER_PRINTED = "paper.printed"
    PAPER_HANDED_OVER = "paper.handed_over"
    PAPER_RECEIVED = "paper.received"
    PAPER_RETURNED = "paper.returned"
    TERMS_CHANGED = "terms.changed"
    DELIVERY_DEFERRED = "delivery.deferred"
    DELIVERY_REFUSED = "delivery.refused"
    DELIVERY_UNKNOWN = "delivery.unknown"
    DELIVERY_PRESSING = "delivery.pressing"
    DELIVERY_SETTLED = "delivery.settled"
    DELIVERY_RETURNED = "delivery.returned"
    DELIVERY_DROPPED = "delivery.dropped"
    DELIVERY_REPEATED = "delivery.repeated"
    BOUNCE_RECEIVED = "bounce.received"
    BOUNCE_READ = "bounce.read"
    LETTER_ACCEPTED = "letter.accepted"
    SEND_PAUSED = "send.paused"
    SEND_RESUMED = "send.resumed"
    SEND_CANCELLED = "send.cancelled"
    RELAY_FAILING = "relay.failing"
    RELAY_RECOVERED = "relay.recovered"
    HOLD_SET = "hold.set"
    HOLD_RELEASED = "hold.released"
    INSTANCE_JOINED = "instance.joined"
    ANSWER_RECORDED = "answer.recorded"
    ANSWER_CLOSED = "answer.closed"
    ANSWER_REVIEWED = "answer.reviewed"
    ANSWER_DOUBTED = "answer.doubted"
    ITEM_NOTED = "item.noted"
    ENDPOINT_ADDED = "endpoint.added"
    ENDPOINT_DISABLED = "endpoint.disabled"
    ENDPOINT_TESTED = "endpoint.tested"
    WEBHOOK_EXHAUSTED = "webhook.exhausted"
    SUBSCRIBER_ASKED = "subscriber.asked"
    SUBSCRIBER_CONFIRMED = "subscriber.confirmed"
    SUBSCRIBER_ENDED = "subscriber.ended"
    SUBSCRIBER_TOLD = "subscriber.told"
    SOURCE_ADDED = "source.added"
    SOURCE_CHANGED = "source.changed"
    SOURCE_REMOVED = "source.removed"
    SIGHTING_KEPT = "sighting.kept"
    SUGGESTION_OPENED = "suggestion.opened"
    SUGGESTION_TAKEN = "suggestion.taken"
    SUGGESTION_DISMISSED = "suggestion.dismissed"


class Event(SQLModel, table=True):
    """One thing that happened.  `data` holds ids, dates and company names, never a person's name, address or words."""

    __tablename__ = "event"

    id: int | None = Field(default=None, primary_key=True, sa_type=sa.BigInteger().with_variant(sa.Integer, "sqlite"))
    # Unchecked: new kinds come with new versions, and no migration may rewrite this table.
    kind: EventKind = Field(sa_type=text_enum(EventKind, checked=False), index=True)
    about_id: UUID = Field(index=True)
    announcement_id: UUID | None = Field(default=None, index=True)
    by: str
    at: datetime
    data: dict[str, Any] = Field(default_factory=dict, sa_type=sa.JSON)
