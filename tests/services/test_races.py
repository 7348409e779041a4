"""What two do at the same instant.  PostgreSQL lets them begin side by side; SQLite makes the second one wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest
from sqlmodel import Session, select

from notifier.adapters.sending import Verdict
from notifier.models import Announcement, Delivery, EventKind, Fetch, ItemKind, MouldRow, Role
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime
from notifier.services import announcements, answers, items, notices, registry, users
from notifier.services.registry import DraftMoved
from notifier.services.users import LastAdministrator
from tests.factories import (
    NOON,
    REASONS,
    make_announcement,
    make_client,
    make_entry,
    make_provider,
    make_runtime,
    make_user,
    make_version,
)
from tests.services.stories import deliveries, happened, kinds_of_items, notice_of, send_due, token_for

First = TypeVar("First")
Second = TypeVar("Second")
A_DAY = timedelta(days=1)
BEFORE_THE_COMMIT = 0.4  # s; long enough for the second to read, and to wait for the first


@pytest.fixture
def postgresql(postgresql_url: str, tmp_path: Path) -> Iterator[Runtime]:
    runtime = make_runtime(postgresql_url, tmp_path / "data")
    yield runtime
    runtime.close()


def overlapping(
    runtime: Runtime, first: Callable[[Session], First], second: Callable[[Session], Second]
) -> tuple[First, Second | BaseException]:
    """Let the second begin before the first is committed; returns what the first did, and what became of the second."""

    def act() -> Second:
        with runtime.transaction() as session:
            return second(session)

    with ThreadPoolExecutor(1) as pool:
        with runtime.transaction() as session:
            done = first(session)
            session.flush()
            other = pool.submit(act)
            wait_for([other], timeout=BEFORE_THE_COMMIT)
        trouble = other.exception(timeout=30)
        return done, trouble or other.result()


# --- the draft -------------------------------------------------------------------------------------------------------


def publish(session: Session, runtime: Runtime, *, revision: int | None = None) -> Announcement:
    return announcements.publish(
        session, runtime.desk, effective_on=date(2026, 6, 1), reasons=REASONS, by="ana", now=NOON, revision=revision
    )


@pytest.fixture
def drafted(postgresql: Runtime) -> int:
    """A list in force, and a draft that adds Optexemple; the revision of it that everybody has looked at."""
    with postgresql.transaction() as session:
        make_provider(session)
        make_client(session)
        make_version(session, now=NOON - A_DAY)
        content = [make_entry("Equinix"), make_entry("Fibrexemple"), make_entry("Optexemple")]
        return registry.replace_draft(session, content, by="ana", now=NOON).revision


def names(runtime: Runtime, number: int) -> list[str]:
    with runtime.reading() as session:
        return [entry.name for entry in registry.entries(session, registry.get(session, number))]


@pytest.mark.usefixtures("drafted")
def test_an_edit_that_is_made_just_before_publishing_is_in_what_is_announced(postgresql: Runtime) -> None:
    _, announced = overlapping(
        postgresql,
        lambda session: registry.add_entry(session, make_entry("Zayo"), by="bob", now=NOON),
        lambda session: publish(session, postgresql),
    )

    assert isinstance(announced, Announcement)
    assert {change.name for change in announcements.changes_of(announced)} == {"Optexemple", "Zayo"}
    assert names(postgresql, 2) == ["Equinix", "Fibrexemple", "Optexemple", "Zayo"]


def test_an_edit_made_on_what_is_just_being_announced_is_refused(postgresql: Runtime, drafted: int) -> None:
    announced, refused = overlapping(
        postgresql,
        lambda session: publish(session, postgresql, revision=drafted),
        lambda session: registry.remove_entry(session, "equinix", by="bob", now=NOON, revision=drafted),
    )

    assert isinstance(refused, DraftMoved)
    assert [change.name for change in announcements.changes_of(announced)] == ["Optexemple"]
    assert names(postgresql, 2) == ["Equinix", "Fibrexemple", "Optexemple"]
    with postgresql.reading() as session:
        assert registry.draft(session) is None


@pytest.mark.usefixtures("drafted")
def test_an_edit_that_names_no_revision_begins_the_next_draft(postgresql: Runtime) -> None:
    announced, _ = overlapping(
        postgresql,
        lambda session: publish(session, postgresql),
        lambda session: registry.remove_entry(session, "equinix", by="bob", now=NOON),
    )

    assert [change.name for change in announcements.changes_of(announced)] == ["Optexemple"]
    assert names(postgresql, 2) == ["Equinix", "Fibrexemple", "Optexemple"]
    with postgresql.reading() as session:
        assert [change.key for change in registry.draft_changes(session)] == ["equinix"]


def test_of_two_who_edit_at_once_the_second_is_told(postgresql: Runtime, drafted: int) -> None:
    _, refused = overlapping(
        postgresql,
        lambda session: registry.amend_entry(
            session, "equinix", {"town": "Lyon"}, by="ana", now=NOON, revision=drafted
        ),
        lambda session: registry.amend_entry(
            session, "equinix", {"town": "Lille"}, by="bob", now=NOON, revision=drafted
        ),
    )

    assert isinstance(refused, DraftMoved)
    with postgresql.reading() as session:
        assert registry.entries(session, registry.draft(session))[0].town == "Lyon"


def test_two_who_begin_the_draft_at_once_edit_the_same_one(postgresql: Runtime) -> None:
    with postgresql.transaction() as session:
        make_provider(session)
        make_version(session)

    _, second = overlapping(
        postgresql,
        lambda session: registry.amend_entry(session, "equinix", {"town": "Lyon"}, by="ana", now=NOON),
        lambda session: registry.remove_entry(session, "fibrexemple", by="bob", now=NOON),
    )

    assert not isinstance(second, BaseException)
    with postgresql.reading() as session:
        assert [(entry.key, entry.town) for entry in registry.entries(session, registry.draft(session))] == [
            ("equinix", "Lyon")
        ]


def test_two_who_open_the_same_item_at_once_open_one(postgresql: Runtime) -> None:
    about = UUID(int=7)

    _, second = overlapping(
        postgresql,
        lambda session: items.open_item(session, ItemKind.ENDPOINT_FAILING, about=about, announcement=None, now=NOON),
        lambda session: items.open_item(session, ItemKind.ENDPOINT_FAILING, about=about, announcement=None, now=NOON),
    )

    assert not isinstance(second, BaseException)
    with postgresql.reading() as session:
        assert [item.about_id for item in items.open_items(session)] == [about]


def test_publishing_what_somebody_is_just_editing_is_refused(postgresql: Runtime, drafted: int) -> None:
    _, refused = overlapping(
        postgresql,
        lambda session: registry.add_entry(session, make_entry("Zayo"), by="bob", now=NOON, revision=drafted),
        lambda session: publish(session, postgresql, revision=drafted),
    )

    assert isinstance(refused, DraftMoved)
    with postgresql.reading() as session:
        assert session.exec(select(Announcement)).all() == []


# --- letters ---------------------------------------------------------------------------------------------------------


def test_one_letter_written_by_two_at_once_is_one_mould(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        told = [make_client(session, key) for key in ("C-1", "C-2")]
        make_announcement(session, runtime.desk)
        mine = [
            (token_for(session, runtime.desk, f"dpo@{client.key.lower()}.example"), notice_of(session, client).id)
            for client in told
        ]

    def acknowledge(token: str, notice_id: UUID) -> Callable[[Session], str]:
        return lambda session: answers.acknowledge(session, runtime.desk, token, [notice_id], name="Zoé", now=NOON)

    _, second = overlapping(runtime, *(acknowledge(*one) for one in mine))

    assert isinstance(second, str)
    with runtime.reading() as session:
        assert len(session.exec(select(MouldRow).where(MouldRow.letter == "receipt")).all()) == 1
        assert len(deliveries(session, "receipt")) == 2


# --- links -----------------------------------------------------------------------------------------------------------


def tell(runtime: Runtime, verdict: Verdict = Verdict.ACCEPTED) -> tuple[str, UUID]:
    """Tell one client; returns the token in its mail, and its notice."""
    with runtime.transaction() as session:
        make_provider(session)
        client = make_client(session)
        make_announcement(session, runtime.desk)
        send_due(session, runtime.desk, now=NOON, verdicts={"dpo@c-001.example": verdict})
        return token_for(session, runtime.desk, "dpo@c-001.example"), notice_of(session, client).id


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.UNKNOWN])
def test_many_may_open_one_link_at_the_same_instant(postgresql: Runtime, verdict: Verdict) -> None:
    token, notice_id = tell(postgresql, verdict)
    together = threading.Barrier(20)

    def fetch(number: int) -> None:
        together.wait(30)
        with postgresql.transaction() as session:
            answers.record_fetch(
                session, postgresql.desk, token, method="GET", agent=f"Browser {number}", prefetch=False, now=NOON
            )

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(fetch, range(20)))

    with postgresql.reading() as session:
        assert len(session.exec(select(Fetch)).all()) == 20
        assert session.exec(select(Delivery.state)).all() == [DeliveryState.ACCEPTED]
        assert len(happened(session, EventKind.DELIVERY_SETTLED)) == (verdict is Verdict.UNKNOWN)
        assert len(happened(session, EventKind.NOTICE_RECEIVED)) == 1
        assert (notices.get(session, notice_id).state, kinds_of_items(session)) == ("running", [])


def test_a_link_that_is_opened_while_its_answer_comes_harms_neither(postgresql: Runtime) -> None:
    token, notice_id = tell(postgresql, Verdict.UNKNOWN)

    def fetch(session: Session) -> None:
        answers.record_fetch(session, postgresql.desk, token, method="GET", agent="B", prefetch=False, now=NOON)

    _, reference = overlapping(
        postgresql,
        fetch,
        lambda session: answers.acknowledge(session, postgresql.desk, token, [notice_id], name="Zoé", now=NOON),
    )

    assert isinstance(reference, str)
    with postgresql.reading() as session:
        assert len(happened(session, EventKind.DELIVERY_SETTLED)) == 1


# --- time ------------------------------------------------------------------------------------------------------------


def test_two_who_end_the_same_periods_at_once_say_so_once(postgresql: Runtime) -> None:
    _, notice_id = tell(postgresql)
    with postgresql.reading() as session:
        end = notices.get(session, notice_id).object_until

    ended = overlapping(
        postgresql,
        lambda session: notices.lapse_due(session, now=end),
        lambda session: notices.lapse_due(session, now=end),
    )

    assert ended == (1, 0)
    with postgresql.reading() as session:
        assert len(happened(session, EventKind.NOTICE_LAPSED)) == 1


def test_two_who_tell_the_latecomers_at_once_tell_them_once(postgresql: Runtime) -> None:
    with postgresql.transaction() as session:
        make_provider(session)
        announcement = make_announcement(session, postgresql.desk)
        make_client(session)

    def tell_them(session: Session) -> int:
        return announcements.tell_latecomers(session, postgresql.desk, announcement.id, by="user:1", now=NOON + A_DAY)

    assert overlapping(postgresql, tell_them, tell_them) == (1, 0)


# --- users -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("demote", [True, False], ids=["another role", "switched off"])
def test_the_last_two_administrators_cannot_shut_each_other_out_at_once(postgresql: Runtime, *, demote: bool) -> None:
    with postgresql.transaction() as session:
        ana, bob = (make_user(session, f"{who}@hosting.example", role=Role.ADMINISTRATOR).id for who in ("ana", "bob"))

    def shut_out(user_id: UUID) -> Callable[[Session], None]:
        if demote:
            return lambda session: users.change_role(session, user_id, Role.AUDITOR, by="user:1", now=NOON)
        return lambda session: users.switch_off(session, user_id, by="user:1", now=NOON)

    _, refused = overlapping(postgresql, shut_out(ana), shut_out(bob))

    assert isinstance(refused, LastAdministrator)
    with postgresql.reading() as session:
        left = [user.email for user in users.everyone(session) if user.active and user.role is Role.ADMINISTRATOR]
        assert left == ["bob@hosting.example"]
