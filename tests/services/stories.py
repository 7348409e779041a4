"""What happens around the services in a story: the relay answers, somebody clicks, a contract says something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.models import (
    Announcement,
    Answer,
    Client,
    Delivery,
    DeliveryNotice,
    Event,
    EventKind,
    Item,
    Notice,
    OverrideKind,
)
from notifier.rules.gate import Waits
from notifier.services import boards, going_live, items, keyset, outbox, overrides, pace, registry, tallies
from notifier.services.desk import Desk
from tests.factories import PACK

RELAY = "relay.example:25"


def with_pack(desk: Desk, name: str, *, kind: str = "subprocessor", **rule: Any) -> Desk:  # noqa: ANN401 - fields of any type
    """Add a contract that says the same as the shipped one but for some fields of one of its rules."""
    shipped = desk.packs[PACK]
    changed = replace(shipped.rule_for(kind), **rule).as_json()
    return replace(
        desk, packs={**desk.packs, name: replace(shipped, name=name, written={**shipped.written, kind: changed})}
    )


@contextmanager
def statements(session: Session) -> Iterator[list[str]]:
    """Collect the statements that a session sends meanwhile."""
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        said.append(statement)

    engine = session.get_bind()
    sa.event.listen(engine, "before_cursor_execute", hear)
    yield said
    sa.event.remove(engine, "before_cursor_execute", hear)


def send_due(
    session: Session,
    desk: Desk,
    *,
    now: datetime,
    verdicts: Mapping[str, Verdict] | None = None,
    limit: int = 1000,
) -> list[Mail]:
    """Hand over what is due; the relay accepts everything but what `verdicts` says of an address."""
    mails = outbox.claim(session, desk, worker="worker", limit=limit, now=now)
    outbox.hand_over(session, desk, mails, worker="worker")
    session.expire_all()
    said = verdicts or {}
    outcomes = [
        Outcome(
            delivery_id=mail.delivery_id,
            attempt=mail.attempt,
            verdict=said.get(mail.recipient, Verdict.ACCEPTED),
            code=250,
            reply="so be it",
            peer=RELAY,
            tls="",
        )
        for mail in mails
    ]
    outbox.settle(session, desk, outcomes, worker="worker", now=now)
    session.flush()
    return mails


def assert_same(board: boards.Board, session: Session, desk: Desk, announcement_id: UUID, *, now: datetime) -> None:
    """What is counted by the set says of the whole what the board says that looks at every client."""
    announcement = session.get_one(Announcement, announcement_id)
    whole = tallies.whole(session, desk, announcement, now=now)
    counted = tallies.tally(session, desk, announcement_id)
    assert counted.counts == board.counts
    assert (counted.total, counted.sent, counted.in_flight) == (len(board.rows), board.sent, board.in_flight)
    assert counted.live == sum(row.notice.live_at is not None for row in board.rows)
    assert counted.mails == pace.counted(session, announcement_id)
    companies = sorted((client.filed_as, client.key, client.company) for client in board.untold)
    assert [company for *_, company in companies] == list(whole.untold.companies)
    assert whole.untold.number == len(board.untold)
    assert whole.waits_for_nobody == (bool(board.rows) and all(row.waits is Waits.NOTHING for row in board.rows))
    closed = session.exec(select(Item.id).where(col(Item.closed_at) > now)).first()
    if closed or any(row.answers and now < max(_instants(row.answers)) for row in board.rows):
        return  # a board of the past: a page shows none
    assert whole.gate(now) == board.gate
    assert whole.open_now(now) == sum(row.gate.is_open and not row.is_settled for row in board.rows)
    for status in ("", *boards.STATUSES):
        shown = boards.page(session, announcement, counted.counts, now=now, status=status)
        assert shown.rows == tuple(row for row in board.rows if status in {"", row.status})[: keyset.SIZE]


def _instants(answers: Iterable[Answer]) -> list[datetime]:
    return [at for one in answers for at in (one.answered_at, one.closed_at) if at]


def notice_of(session: Session, client: Client) -> Notice:
    return session.exec(select(Notice).where(Notice.client_id == client.id)).one()


def deliveries(session: Session, letter: str = "notice") -> list[Delivery]:
    return list(session.exec(select(Delivery).where(Delivery.letter == letter).order_by(col(Delivery.address))))


def token_for(session: Session, desk: Desk, address: str, letter: str = "notice") -> str:
    """Return the token in the link of the newest letter to an address."""
    query = select(Delivery).where(Delivery.letter == letter, Delivery.address == address)
    newest = session.exec(query.order_by(col(Delivery.id).desc())).first()
    assert newest is not None
    return desk.keyring.token(newest.id, "notice", key=newest.key_id)


def carried(session: Session, delivery: Delivery) -> set[str]:
    """Return the companies that a letter tells."""
    query = (
        select(Client.company)
        .join(Notice, col(Notice.client_id) == Client.id)
        .join(DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id)
    )
    return set(session.exec(query.where(DeliveryNotice.delivery_id == delivery.id)))


def breach(session: Session, desk: Desk, announcement: Announcement, *, now: datetime) -> Announcement:
    """Let two persons record that the change was made before its time."""
    why = {"en": "The old site burnt down.", "fr": "L’ancien site a brûlé."}
    measures = {"en": "The data is encrypted.", "fr": "Les données sont chiffrées."}
    kind = OverrideKind.BREACH
    asked = overrides.ask(session, announcement.id, kind, reasons=why, measures=measures, by="user:ana", now=now)
    return going_live.breach(session, desk, asked.id, by="user:bob", now=now)


def the_draft(session: Session) -> int | None:
    """Return the revision of the registry's draft, if there is one: a correction takes it when it is told to."""
    draft = registry.draft(session)
    return draft.revision if draft else None


def kinds_of_items(session: Session, announcement: Announcement | None = None) -> list[str]:
    about = announcement.id if announcement else None
    return sorted(item.kind.value for item in items.open_items(session, announcement=about))


def happened(session: Session, kind: EventKind) -> list[Event]:
    return list(session.exec(select(Event).where(Event.kind == kind).order_by(col(Event.id))))
