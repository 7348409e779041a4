"""Rows 4 and 5 of the fault matrix: sweepers that run at once and are killed, workers that sleep past their leases."""

import random
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, col, select

from notifier.models import Delivery, Event, EventKind, Notice
from notifier.rules.notice_states import NoticeState
from notifier.runtime import now
from notifier.worker import Worker
from tests.factories import make_announcement, make_client, make_provider, make_runtime
from tests.faults.books import read_books
from tests.faults.figures import TIME_OUT, say, times
from tests.faults.ground import end_leases, mail_to, owe, relay_process, still_open, work_until_done
from tests.faults.harness import Crew, wait_for
from tests.faults.sink import read_journal
from tests.faults.worker import Order, spawn
from tests.services.stories import send_due

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIME_OUT), pytest.mark.usefixtures("swept")]


def test_sweepers_that_run_at_once_and_are_killed_remind_and_lapse_each_client_once(
    database_url: str, tmp_path: Path
) -> None:
    """Row 4: half of the clients' periods are over, the others are due to be reminded."""
    clients, kills, chance = 12, times(6, 200), random.Random(4)
    with relay_process(tmp_path / "journal") as port:
        mail = mail_to(port, lease_seconds=8)
        with closing(make_runtime(database_url, tmp_path, mail=mail)) as runtime:
            runtime.check_instance()
            published = now() - timedelta(days=24)
            with runtime.transaction() as session:
                make_provider(session)
                for number in range(clients):
                    make_client(session, f"C-{number:03d}")
                make_announcement(session, runtime.desk, now=published)
            with runtime.transaction() as session:
                send_due(session, runtime.desk, now=published)
            with runtime.transaction() as session:  # the first half was told much earlier
                notices = session.exec(select(Notice).order_by(col(Notice.client_id))).all()
                for notice in notices[: clients // 2]:
                    notice.object_until = now() - timedelta(hours=1)
            sent_before = len(read_journal(tmp_path / "journal"))
            crew = Crew(runtime.engine, lambda: spawn(database_url, tmp_path, {"mail": mail}, Order.OURS))
            try:
                for _ in range(kills):
                    crew.hire(2 - len(crew.pids))
                    time.sleep(chance.uniform(0.05, 0.6))
                    crew.kill(chance.choice(crew.pids))
            finally:
                crew.dismiss()
            end_leases(runtime)
            with closing(Worker(runtime)) as worker:
                worker.tick()
                work_until_done(worker, seconds=30)
            books = read_books(runtime.engine, read_journal(tmp_path / "journal"))
            with Session(runtime.engine) as session:
                states = Counter(session.exec(select(Notice.state)).all())

    lapsed = Counter(event.about_id for event in books.events if event.kind is EventKind.NOTICE_LAPSED)
    reminded = Counter(event.about_id for event in books.events if event.kind is EventKind.REMINDER_SENT)
    letters = Counter((one.letter, one.about_id, one.address, one.purpose) for one in books.deliveries)
    say("sweepers", kills=kills, lapsed=len(lapsed), reminded=len(reminded), mails=len(books.journal) - sent_before)
    assert set(lapsed.values()) <= {1}
    assert len(lapsed) == states[NoticeState.LAPSED] >= clients // 2
    assert reminded
    assert max(letters.values()) == 1
    assert books.twice == books.held == books.unasked == []


def test_workers_that_sleep_past_their_leases_and_wake_send_no_second_copy(postgresql_url: str, tmp_path: Path) -> None:
    """Row 5: each is stopped with mails in its hands, its leases end, others do its work, and it wakes."""
    sleepers, mails = times(6, 100), times(120, 1500)
    with (
        relay_process(tmp_path / "journal", pace=0.08) as port,
        closing(make_runtime(postgresql_url, tmp_path)) as runtime,
    ):
        mail = mail_to(port, lease_seconds=8)
        owe(runtime, mails)
        crew = Crew(runtime.engine, lambda: spawn(postgresql_url, tmp_path, {"mail": mail}, Order.OURS))
        chance = random.Random(5)
        try:
            for _ in range(sleepers):
                crew.hire(1)
                wait_for(lambda: bool(crew.busy()), seconds=30, else_say="no worker takes a mail")
                time.sleep(chance.uniform(0, 0.5))
                for pid in crew.busy():
                    crew.put_to_sleep(pid)
                end_leases(runtime)
            crew.hire(1)
            wait_for(lambda: len(crew.busy()) > 0, seconds=30, else_say="no worker takes a mail")
            woken = crew.wake()
            wait_for(lambda: not still_open(runtime.engine), seconds=60 + mails / 10, else_say="mails wait")
            time.sleep(2)  # whoever has just woken says what it has to say
        finally:
            crew.dismiss()
        books = read_books(runtime.engine, read_journal(tmp_path / "journal"))

    say("sleepers", slept=woken, **books.figures())
    assert woken >= sleepers - 1
    books.agree()


def test_two_workers_are_two_even_in_one_process(database_url: str, tmp_path: Path) -> None:
    """Row 4, started twice by mistake: their claims never mix."""
    with (
        relay_process(tmp_path / "journal") as port,
        closing(make_runtime(database_url, tmp_path, mail=mail_to(port))) as runtime,
        closing(Worker(runtime)) as one,
        closing(Worker(runtime)) as two,
    ):
        owe(runtime, 30)
        one.tick()
        two.tick()
        work_until_done(one, seconds=30)
        books = read_books(runtime.engine, read_journal(tmp_path / "journal"))
        with Session(runtime.engine) as session:
            events = session.exec(select(Event.kind)).all()
            holders = set(session.exec(select(Delivery.claimed_by)).all())

    assert one.name != two.name
    assert holders <= {one.name, two.name}
    assert events.count(EventKind.NOTICE_SENT) == 30
    books.agree()
