"""What two do at the same instant.  PostgreSQL lets them begin side by side; SQLite makes the second one wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest
from sqlmodel import Session, select

from notifier.adapters.sending import Outcome, Verdict
from notifier.models import (
    Announcement,
    AnnouncementKind,
    Delivery,
    EventKind,
    Fetch,
    ItemKind,
    MouldRow,
    OverrideKind,
    Role,
)
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime
from notifier.services import (
    announcements,
    answers,
    boards,
    corrections,
    going_live,
    items,
    notices,
    outbox,
    overrides,
    registry,
    users,
)
from notifier.services.going_live import GateClosed
from notifier.services.overrides import NoSuchOverride
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


# --- what only one may do --------------------------------------------------------------------------------------------


BOTH = {"en": "A reason.", "fr": "Un motif."}


@pytest.fixture
def announced(postgresql: Runtime) -> UUID:
    """Two clients are told of a change that can be made client by client."""
    with postgresql.transaction() as session:
        make_provider(session)
        for key in ("C-1", "C-2"):
            make_client(session, key)
        announcement = make_announcement(session, postgresql.desk)
        announcement.per_client = True
        send_due(session, postgresql.desk, now=NOON)
        return announcement.id


def the_day(runtime: Runtime, announcement_id: UUID) -> datetime:
    with runtime.reading() as session:
        return announcements.get(session, announcement_id).effective_at


def notice_ids(runtime: Runtime, announcement_id: UUID) -> list[UUID]:
    with runtime.reading() as session:
        return [row.notice.id for row in boards.board(session, announcement_id, now=NOON).rows]


def object_for(runtime: Runtime, notice_id: UUID, address: str) -> Callable[[Session], str]:
    def act(session: Session) -> str:
        token = token_for(session, runtime.desk, address)
        return answers.object_to(session, runtime.desk, token, notice_id, name="Zoé", reasons="No.", now=NOON)

    return act


def correct(runtime: Runtime, announcement_id: UUID) -> Callable[[Session], Announcement]:
    """Another town, and so another version: what the announcement refers to changes."""

    def act(session: Session) -> Announcement:
        registry.amend_entry(session, "optexemple", {"town": "Lyon"}, by="ana", now=NOON + A_DAY)
        return corrections.correct(
            session, runtime.desk, announcement_id, effective_on=date(2026, 7, 1), why="Town.", by="ana",
            now=NOON + A_DAY,
        )  # fmt: skip

    return act


def interleaved(
    runtime: Runtime,
    begin: Callable[[Session], object],
    other: Callable[[Session], Second],
    finish: Callable[[Session], object],
) -> Second | BaseException:
    """Let another begin in the midst of what one does; returns what became of the other."""

    def act() -> Second:
        with runtime.transaction() as session:
            return other(session)

    with ThreadPoolExecutor(1) as pool:
        with runtime.transaction() as session:
            begin(session)
            running = pool.submit(act)
            wait_for([running], timeout=BEFORE_THE_COMMIT)
            finish(session)
        return running.exception(timeout=30) or running.result()


def test_of_two_who_confirm_one_breach_at_once_one_does(postgresql: Runtime, announced: UUID) -> None:
    with postgresql.transaction() as session:
        kind = OverrideKind.BREACH
        asked = overrides.ask(session, announced, kind, reasons=BOTH, measures=BOTH, by="user:ana", now=NOON).id

    def confirm(by: str) -> Callable[[Session], Announcement]:
        return lambda session: going_live.breach(session, postgresql.desk, asked, by=by, now=NOON + A_DAY)

    _, refused = overlapping(postgresql, confirm("user:bob"), confirm("user:eve"))

    assert isinstance(refused, NoSuchOverride)
    with postgresql.reading() as session:
        assert len(happened(session, EventKind.ANNOUNCEMENT_BREACHED)) == 1
        assert len(deliveries(session, "breach")) == 2


def test_an_objection_that_is_just_being_recorded_keeps_the_change_from_going_live(
    postgresql: Runtime, announced: UUID
) -> None:
    first, second = notice_ids(postgresql, announced)
    now = the_day(postgresql, announced)

    _, refused = overlapping(
        postgresql,
        object_for(postgresql, first, "dpo@c-1.example"),
        lambda session: going_live.go_live(session, announced, notice_ids=[first, second], by="ana", now=now),
    )

    assert isinstance(refused, GateClosed)


@pytest.mark.parametrize("exclusion_first", [True, False])
def test_a_client_that_is_being_excluded_and_made_live_at_once_is_one_of_both(
    postgresql: Runtime, announced: UUID, *, exclusion_first: bool
) -> None:
    first, _ = notice_ids(postgresql, announced)
    now = the_day(postgresql, announced)

    def exclude(session: Session) -> None:
        going_live.exclude(session, first, why="It stays.", by="ana", now=now)

    def go_live(session: Session) -> None:
        going_live.go_live(session, announced, by="ana", now=now)

    _, other = overlapping(postgresql, *((exclude, go_live) if exclusion_first else (go_live, exclude)))

    assert other is None or isinstance(other, going_live.AlreadyLive | announcements.NotPublished)
    with postgresql.reading() as session:
        notice = notices.get(session, first)
        assert (notice.excluded_at is None) != (notice.live_at is None)
        assert announcements.get(session, announced).state == "live"


def test_an_exclusion_in_the_midst_of_an_answer_waits_for_it(postgresql: Runtime, announced: UUID) -> None:
    first, _ = notice_ids(postgresql, announced)

    trouble = interleaved(
        postgresql,
        lambda session: notices.get(session, first, lock=True),
        lambda session: going_live.exclude(session, first, why="It stays.", by="ana", now=NOON),
        object_for(postgresql, first, "dpo@c-1.example"),
    )

    assert trouble is None
    with postgresql.reading() as session:
        assert boards.row(session, first, now=NOON).status == "excluded"


def test_a_correction_in_the_midst_of_an_answer_waits_for_it_and_keeps_it(postgresql: Runtime, announced: UUID) -> None:
    first, _ = notice_ids(postgresql, announced)

    corrected = interleaved(
        postgresql,
        lambda session: notices.get(session, first, lock=True),
        correct(postgresql, announced),
        object_for(postgresql, first, "dpo@c-1.example"),
    )

    assert isinstance(corrected, Announcement)
    with postgresql.reading() as session:
        row = boards.row(session, first, now=NOON)
        assert (row.status, row.notice.edition, row.answers[0].edition) == ("objected", 2, 1)


@pytest.mark.parametrize("correction_first", [True, False])
def test_a_correction_while_the_worker_settles_starts_no_clock_with_the_old_text(
    postgresql: Runtime, *, correction_first: bool
) -> None:
    with postgresql.transaction() as session:
        make_provider(session)
        client = make_client(session)
        announced = make_announcement(session, postgresql.desk).id
    with postgresql.transaction() as session:
        (mail,) = outbox.claim(session, postgresql.desk, worker="worker", limit=10, now=NOON)
    with postgresql.transaction() as session:
        outbox.hand_over(session, postgresql.desk, [mail], worker="worker")
    outcome = Outcome(
        delivery_id=mail.delivery_id,
        attempt=mail.attempt,
        verdict=Verdict.ACCEPTED,
        code=250,
        reply="",
        peer="relay",
        tls="",
    )

    def settle(session: Session) -> None:  # so late that a letter about a later last day is written too
        outbox.settle(session, postgresql.desk, [outcome], worker="worker", now=NOON + 9 * A_DAY)

    acts = (correct(postgresql, announced), settle)
    _, other = overlapping(postgresql, *(acts if correction_first else reversed(acts)))

    assert not isinstance(other, BaseException)
    with postgresql.reading() as session:
        notice = notice_of(session, client)
        assert (notice.state, notice.edition, notice.received_on) == ("raised", 2, None)
        assert [one.number for one in announcements.editions(session, announced)] == [1, 2]


def test_a_consent_that_is_given_while_the_text_is_corrected_is_none_to_the_corrected_text(
    postgresql: Runtime,
) -> None:
    facts = {"measure": "Keys", "before_en": "256", "before_fr": "256", "after_en": "128", "after_fr": "128"}
    with postgresql.transaction() as session:
        make_provider(session)
        client = make_client(session)
        draft = announcements.draft(
            session, kind=AnnouncementKind.SECURITY, facts=facts, reasons=REASONS, effective_on=date(2026, 6, 1),
            by="ana", now=NOON,
        )  # fmt: skip
        announcements.publish_draft(session, postgresql.desk, draft.id, by="ana", now=NOON)
        send_due(session, postgresql.desk, now=NOON)
        token, announced, notice_id = (
            token_for(session, postgresql.desk, "dpo@c-001.example"),
            draft.id,
            notice_of(session, client).id,
        )
    weaker = {**facts, "after_en": "none", "after_fr": "aucune"}

    def consent(session: Session) -> None:
        """On a form that was opened before: nothing is recorded of it."""
        with pytest.raises(answers.Corrected):
            answers.consent(session, postgresql.desk, token, notice_id, name="Zoé", edition=1, now=NOON + A_DAY)

    overlapping(
        postgresql,
        lambda session: corrections.correct(
            session, postgresql.desk, announced, facts=weaker, why="None at all.", by="ana", now=NOON + A_DAY
        ),
        consent,
    )

    with postgresql.reading() as session:
        row = boards.row(session, notice_id, now=NOON + 2 * A_DAY)
        assert (row.gate.is_open, row.answers) == (False, ())


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
