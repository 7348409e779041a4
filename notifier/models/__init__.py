"""The tables.  Importing this package makes every table known to the metadata."""

from notifier.models.announcement import (
    Announcement,
    AnnouncementKind,
    AnnouncementState,
    Edition,
    Override,
    OverrideKind,
)
from notifier.models.answer import Answer, AnswerKind
from notifier.models.bounce import BounceDoor, BounceMail, BounceMatch
from notifier.models.client import Client, Contact, Terms
from notifier.models.delivery import Attempt, Delivery, DeliveryNotice, Fetch, Link, MouldRow
from notifier.models.event import Event, EventKind
from notifier.models.instance import HoldKind, Instance
from notifier.models.item import Item, ItemKind
from notifier.models.notice import Notice, Sealed
from notifier.models.paper import PaperLetter, PaperState, PrintBatch
from notifier.models.provider import Provider
from notifier.models.registry import DraftEntry, Entry, Version
from notifier.models.relay import DomainState, RelayState
from notifier.models.reminder import Audience, Reminder
from notifier.models.stamp import BoardStamp
from notifier.models.subscriber import Subscriber, SubscriberNews, SubscriberState
from notifier.models.user import Role, SignInLink, User
from notifier.models.watch import Sighting, SightingState, Source, Suggestion, SuggestionState
from notifier.models.webhook import Endpoint, WebhookDelivery, WebhookState

__all__ = [
    "Announcement",
    "AnnouncementKind",
    "AnnouncementState",
    "Answer",
    "AnswerKind",
    "Attempt",
    "Audience",
    "BoardStamp",
    "BounceDoor",
    "BounceMail",
    "BounceMatch",
    "Client",
    "Contact",
    "Delivery",
    "DeliveryNotice",
    "DomainState",
    "DraftEntry",
    "Edition",
    "Endpoint",
    "Entry",
    "Event",
    "EventKind",
    "Fetch",
    "HoldKind",
    "Instance",
    "Item",
    "ItemKind",
    "Link",
    "MouldRow",
    "Notice",
    "Override",
    "OverrideKind",
    "PaperLetter",
    "PaperState",
    "PrintBatch",
    "Provider",
    "RelayState",
    "Reminder",
    "Role",
    "Sealed",
    "Sighting",
    "SightingState",
    "SignInLink",
    "Source",
    "Subscriber",
    "SubscriberNews",
    "SubscriberState",
    "Suggestion",
    "SuggestionState",
    "Terms",
    "User",
    "Version",
    "WebhookDelivery",
    "WebhookState",
]
