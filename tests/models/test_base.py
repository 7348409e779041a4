from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import StrEnum
from uuid import RFC_4122

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import Session, select

from notifier.models import Client, Item, ItemKind, Provider, Version, WebhookDelivery
from notifier.models.base import text_enum, uuid7

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_ids_are_version_7_unique_and_in_the_order_of_their_making() -> None:
    first = uuid7()
    time.sleep(0.002)
    made = [uuid7() for _ in range(1000)]

    assert {(one.version, one.variant) for one in made} == {(7, RFC_4122)}
    assert len(set(made)) == 1000
    assert all(first < one for one in made)
    assert abs((first.int >> 80) / 1000 - time.time_ns() / 1e9) < 60


def test_an_instant_comes_back_as_it_was_and_one_without_a_zone_is_refused(session: Session) -> None:
    session.add(Client(key="C-1", company="Acme", created_at=NOON))
    session.flush()
    session.expire_all()

    assert session.exec(select(Client.created_at)).one() == NOON

    session.add(Client(key="C-2", company="Acme", created_at=NOON.replace(tzinfo=None)))
    with pytest.raises(StatementError, match="timezone"):
        session.flush()


def test_an_enum_is_kept_as_its_word_and_the_table_refuses_another(session: Session) -> None:
    session.add(Item(kind=ItemKind.OBJECTION, about_id=uuid7(), opened_at=NOON))
    session.flush()

    assert session.execute(sa.text("SELECT kind FROM item")).scalar_one() == "objection"
    with pytest.raises(IntegrityError):
        session.execute(sa.text("UPDATE item SET kind = 'regret'"))


class Weather(StrEnum):
    FINE = "fine"
    FOUL = "foul"


def test_the_check_of_an_enum_has_a_name_that_can_be_foretold() -> None:
    column_type = text_enum(Weather)

    assert (column_type.name, column_type.enums, column_type.native_enum) == ("weather", ["fine", "foul"], False)


def test_there_is_one_draft_at_most(session: Session) -> None:
    session.add_all(Version(draft=True, created_at=NOON, created_by="test") for _ in range(2))

    with pytest.raises(IntegrityError):
        session.flush()


def test_there_is_one_provider(session: Session) -> None:
    session.add(Provider(id=2))

    with pytest.raises(IntegrityError):
        session.flush()


def test_there_is_one_open_item_of_a_kind_about_a_thing_and_any_number_of_closed_ones(session: Session) -> None:
    about = uuid7()
    for _ in range(3):
        item = Item(kind=ItemKind.OBJECTION, about_id=about, opened_at=NOON)
        session.add(item)
        session.flush()
        item.open = None
    session.flush()

    session.add_all(Item(kind=ItemKind.OBJECTION, about_id=about, opened_at=NOON) for _ in range(2))
    with pytest.raises(IntegrityError):
        session.flush()


def test_what_points_at_nothing_is_refused_on_sqlite_too(session: Session) -> None:
    session.add(WebhookDelivery(endpoint_id=uuid7(), event_id=4711, body="{}", due_at=NOON))

    with pytest.raises(IntegrityError):
        session.flush()
