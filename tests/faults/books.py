"""The books of both sides held against each other: what the relay's journal, the database and the events say of one
send.  Nothing here asks the product what it thinks.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Attempt, Delivery, Event, EventKind, Item, ItemKind
from notifier.rules.delivery_states import DeliveryState
from tests.faults.sink import Taken

ENDED = (DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.UNKNOWN, DeliveryState.DROPPED)
HELD = (DeliveryState.CLAIMED, DeliveryState.HANDING_OVER)
ASKED = {DeliveryState.REFUSED: ItemKind.REFUSED_DELIVERY, DeliveryState.UNKNOWN: ItemKind.UNKNOWN_DELIVERY}
SENT = (EventKind.NOTICE_SENT, EventKind.LETTER_ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What was taken, and what is written down.  Letters of one delivery carry one Message-ID for ever."""

    journal: Sequence[Taken]
    deliveries: Sequence[Delivery]
    attempts: Sequence[Attempt]
    events: Sequence[Event]
    open_items: frozenset[tuple[ItemKind, str]]

    @property
    def copies(self) -> Counter[str]:
        return Counter(mail.message_id for mail in self.journal)

    def those(self, *states: DeliveryState) -> dict[str, Delivery]:
        return {one.message_id: one for one in self.deliveries if one.state in states}

    @property
    def twice(self) -> list[str]:
        """I2: whoever got more than one copy of one letter."""
        return [message_id for message_id, copies in self.copies.items() if copies > 1]

    @property
    def lost(self) -> list[str]:
        """I1 and I3: what has not ended, or is said to be accepted and was never taken."""
        untrue = self.those(DeliveryState.ACCEPTED).keys() - self.copies.keys()
        return [one.message_id for one in self.deliveries if one.state not in ENDED or one.message_id in untrue]

    @property
    def held(self) -> list[str]:
        """I8: what somebody still holds."""
        return list(self.those(*HELD))

    @property
    def unasked(self) -> list[str]:
        """I1: what nobody can know, or was refused, and no person has been asked about."""
        return [
            one.message_id
            for one in self.deliveries
            if one.state in ASKED and (ASKED[one.state], str(one.id)) not in self.open_items
        ]

    @property
    def strangers(self) -> list[str]:
        """What the relay took and nobody owed."""
        return list(self.copies.keys() - {one.message_id for one in self.deliveries})

    @property
    def altered(self) -> list[str]:
        """Whose bytes on the wire are not those of which the digest is kept."""
        kept = {one.message_id: one.sha256 for one in self.deliveries}
        return [mail.message_id for mail in self.journal if kept.get(mail.message_id) != mail.sha256]

    @property
    def untold(self) -> list[str]:
        """I6: what changed without its one event, or without its one attempt."""
        told = Counter(str(event.data["delivery"]) for event in self.events if event.kind is EventKind.NOTICE_SENT)
        told.update(str(event.about_id) for event in self.events if event.kind is EventKind.LETTER_ACCEPTED)
        accepted = Counter(str(one.delivery_id) for one in self.attempts if one.verdict == "accepted")
        wanted = {str(one.id): one for one in self.deliveries if one.state is DeliveryState.ACCEPTED}
        wrong = [key for key in wanted.keys() | told.keys() if told[key] != 1 or accepted[key] != 1]
        refused = Counter(str(e.about_id) for e in self.events if e.kind is EventKind.DELIVERY_REFUSED)
        wrong += [str(one.id) for one in self.those(DeliveryState.REFUSED).values() if refused[str(one.id)] != 1]
        lost = {str(e.about_id) for e in self.events if e.kind is EventKind.DELIVERY_UNKNOWN}
        return wrong + [str(one.id) for one in self.those(DeliveryState.UNKNOWN).values() if str(one.id) not in lost]

    def figures(self) -> dict[str, int]:
        """How many mails, and how many of them in which way; `arrived` are the unknown that were taken."""
        unknown = self.those(DeliveryState.UNKNOWN)
        return {
            "mails": len(self.deliveries),
            "sent_twice": len(self.twice),
            "lost": len(self.lost),
            "unknown": len(unknown),
            "of_these_arrived": len(unknown.keys() & self.copies.keys()),
            "refused": len(self.those(DeliveryState.REFUSED)),
        }

    def agree(self) -> None:
        """Fail unless both sides tell the same story and all of it has come to its end."""
        wrong = {
            name: found
            for name in ("twice", "lost", "held", "unasked", "strangers", "altered", "untold")
            if (found := getattr(self, name))
        }
        assert not wrong, wrong


def read_books(engine: sa.Engine, journal: Iterable[Taken]) -> Books:
    with Session(engine) as session:
        waiting = session.exec(select(Item).where(col(Item.open).is_(True)))
        return Books(
            journal=list(journal),
            open_items=frozenset({(item.kind, str(item.about_id)) for item in waiting}),
            deliveries=session.exec(select(Delivery).order_by(col(Delivery.id))).all(),
            attempts=session.exec(select(Attempt)).all(),
            events=session.exec(select(Event).order_by(col(Event.id))).all(),
        )
