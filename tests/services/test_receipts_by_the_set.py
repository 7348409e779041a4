"""First receipts move as one set; one by one they would have come out the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, col, select

from notifier.models import Client, Event, EventKind, Notice
from notifier.services import notices
from notifier.services.desk import Desk
from tests.factories import make_announcement, make_client, make_provider
from tests.services.stories import send_due

FRIDAY_EVENING = datetime(2026, 4, 30, 17, 30, tzinfo=UTC)  # 19:30 in Paris, before the First of May and a week-end
PACKS = ("outscale-hds-2022", "selligent-health-2020", "google-style-30-90", "microsoft-style-6-months")
TWO_CONTACTS = [{"email": "dpo@both.example"}, {"email": "legal@both.example", "role": "dpo"}]


def publish(session: Session, desk: Desk) -> None:
    """Announce to a client under each contract, and to some that several contacts or one shared address read for."""
    make_provider(session)
    for pack in PACKS:
        make_client(session, f"P-{pack}", pack=pack)
        make_client(session, f"T-{pack}", pack=pack, contacts=TWO_CONTACTS)
        make_client(session, f"S-{pack}", pack=pack, contacts=[{"email": "shared@group.example"}])
    make_announcement(session, desk, now=FRIDAY_EVENING - timedelta(hours=1))


def outcome(session: Session) -> list[tuple[Any, ...]]:
    session.expire_all()
    query = select(Client.key, Notice).join(Notice, col(Notice.client_id) == Client.id).order_by(col(Client.key))
    names = ("state", "received_on", "received_how", "object_by", "object_until", "holds_until", "edition")
    return [(key, *(getattr(notice, name) for name in names)) for key, notice in session.exec(query)]


def received(session: Session) -> list[tuple[Any, ...]]:
    query = (
        select(Client.key, Event.data)
        .join(Notice, col(Notice.client_id) == Client.id)
        .join(Event, col(Event.about_id) == Notice.id)
        .where(Event.kind == EventKind.NOTICE_RECEIVED)
        .order_by(col(Client.key))
    )
    return list(session.exec(query))


@pytest.mark.parametrize("hours", [0, 1, 90], ids=["at once", "in the evening", "after days"])
def test_a_first_receipt_is_the_same_in_a_set_and_alone(
    session: Session, desk: Desk, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    publish(session, desk)
    at = FRIDAY_EVENING + timedelta(hours=hours)
    in_sets = 0

    def counted(*arguments: Any) -> Any:  # noqa: ANN401 - hands on what it is given
        nonlocal in_sets
        receipt = first_receipt(*arguments)
        in_sets += receipt is not None
        return receipt

    first_receipt = notices._first_receipt  # noqa: SLF001 - where the two ways part
    with session.begin_nested() as savepoint:
        monkeypatch.setattr(notices, "_first_receipt", counted)
        send_due(session, desk, now=at)
        by_the_set = outcome(session), received(session)
        savepoint.rollback()
    session.expire_all()
    monkeypatch.setattr(notices, "_first_receipt", lambda *_: None)
    send_due(session, desk, now=at)

    assert (outcome(session), received(session)) == by_the_set
    assert in_sets >= 3, "nothing went as a set: this compares nothing"


def test_contacts_whose_mails_are_taken_one_round_after_the_other_are_reckoned_by_the_set(
    session: Session, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(session, desk)
    at, alone = FRIDAY_EVENING, set[int]()

    def by_rounds_of_one() -> tuple[Any, ...]:
        while send_due(session, desk, now=at, limit=1):
            pass
        return outcome(session), received(session)

    reckon_all = notices.reckon_all

    def noted(*arguments: Any, **named: Any) -> None:  # noqa: ANN401 - hands on what it is given
        alone.add(len(arguments[2]))
        reckon_all(*arguments, **named)

    monkeypatch.setattr(notices, "reckon_all", noted)
    with session.begin_nested() as savepoint:
        by_the_set = by_rounds_of_one()
        savepoint.rollback()
    session.expire_all()
    assert 0 in alone, "nothing went as a set: this compares nothing"
    monkeypatch.setattr(notices, "_first_receipt", lambda *_: None)

    assert by_rounds_of_one() == by_the_set
