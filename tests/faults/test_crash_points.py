"""Row 2 of the fault matrix: a worker dies at each named point of its work; another one cleans up after it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from notifier.adapters.instances import read_mark, write_mark
from notifier.models import Delivery, Event, WebhookDelivery
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import make_engine, now
from notifier.services import outbox, webhooks
from notifier.worker import Worker
from tests.factories import make_runtime
from tests.faults.books import Books, read_books
from tests.faults.crash import DIED, POINTS, spawn
from tests.faults.figures import say
from tests.faults.ground import end_leases, mail_to, owe, work_until_done
from tests.faults.harness import free_port
from tests.faults.sink import FaultSink
from tests.faults.worker import Order

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.usefixtures("swept")]

MAILS, SESSIONS = 7, 3
Copied = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An installation that owes mails, one of which a dead worker had claimed and one it was handing over; `copy`
    makes a database of the same.
    """

    folder: Path
    copy: Copied
    port: int
    nobody: int  # a port that nobody listens on

    def installed(self, folder: Path) -> tuple[str, Path]:
        """A copied folder is a stranger to the database, and would put sending on hold: this one is to be the same."""
        shutil.copytree(self.folder, folder)
        mark = read_mark(self.folder)
        assert mark
        write_mark(folder, mark)
        return self.copy(), folder

    def settings(self) -> dict[str, Any]:
        hooks = {"allowed_networks": ["127.0.0.0/8"], "allowed_ports": [self.nobody]}
        return {"mail": mail_to(self.port, sessions=SESSIONS), "webhooks": hooks}


def prepare(folder: Path, database_url: str, copy: Copied) -> Prepared:
    """An endpoint that cannot be reached is owed every event, so that bells ring and webhooks are posted."""
    prepared = Prepared(folder, copy, free_port(), free_port())
    with closing(make_runtime(database_url, folder, **prepared.settings())) as runtime:
        with runtime.transaction() as session:
            url = f"https://127.0.0.1:{prepared.nobody}/"
            webhooks.add(session, runtime.desk, url=url, kinds=[], by="test", now=now())
        owe(runtime, MAILS)
        with runtime.transaction() as session:
            mails = outbox.claim(session, runtime.desk, worker="dead", limit=2, now=now())
            ended = outbox.database_now(session) - timedelta(seconds=1)
            held = {mails[0].delivery_id: DeliveryState.CLAIMED, mails[1].delivery_id: DeliveryState.HANDING_OVER}
            for delivery_id, state in held.items():
                row = sa.update(Delivery).where(col(Delivery.id) == delivery_id)
                session.execute(row.values(state=state, lease_until=ended))
    return prepared


@pytest.fixture(scope="module")
def prepared_sqlite(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    base = shutil.copy(sqlite_template, folder / "prepared.db")

    def copy() -> str:
        return f"sqlite:///{shutil.copy(base, folder / f'{uuid4().hex}.db')}"

    return prepare(folder / "data", f"sqlite:///{base}", copy)


@pytest.fixture(scope="module")
def prepared_postgresql(
    postgresql_server: sa.URL, postgresql_database: sa.URL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prepared]:
    """Copying a whole database waits for the disk, so the rows are kept in a schema of their own and put back."""
    name = f"notifier_crash_{uuid4().hex[:12]}"
    administrator = sa.create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        busy = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(busy, {"name": postgresql_database.database})  # what an earlier test left open in a pool
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {postgresql_database.database}"))
    url = postgresql_server.set(database=name).render_as_string(hide_password=False)
    engine = make_engine(url)
    tables = [table for table in sa.inspect(engine).get_table_names() if table != "alembic_version"]

    def copy() -> str:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            for table in tables:
                connection.exec_driver_sql(f'DELETE FROM "{table}"; INSERT INTO "{table}" SELECT * FROM kept."{table}"')  # noqa: S608  # our own tables
            connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('event', 'id'), max(id)) FROM event")
        return url

    prepared = prepare(tmp_path_factory.mktemp("prepared") / "data", url, copy)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA kept")
        for table in tables:
            connection.exec_driver_sql(f'CREATE TABLE kept."{table}" AS TABLE "{table}"')
    yield prepared
    engine.dispose()
    with administrator.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    administrator.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def prepared(request: pytest.FixtureRequest) -> Prepared:
    made: Prepared = request.getfixturevalue(f"prepared_{request.param}")
    return made


def die_and_clean_up(prepared: Prepared, folder: Path, point: str, order: Order = Order.OURS) -> Books:
    """One worker dies at this point; when its leases have ended another one does what is left."""
    database_url, data = prepared.installed(folder / "data")
    with FaultSink(port=prepared.port) as sink:
        worker = spawn(database_url, data, prepared.settings(), order, point)
        worker.join(60)
        code = worker.exitcode
        worker.close()
        assert code == (DIED if point else 0), f"{point!r} was not reached"
        with closing(make_runtime(database_url, data, **prepared.settings())) as runtime:
            end_leases(runtime)
            with closing(Worker(runtime)) as other:
                work_until_done(other, seconds=30)
            books = read_books(runtime.engine, sink.taken)
    assert_that_every_event_is_owed(database_url)
    return books


def assert_that_every_event_is_owed(database_url: str) -> None:
    """I6: what happened and what is told of it were written in one transaction, and the events stand in their order."""
    engine = make_engine(database_url)
    with sa.orm.Session(engine) as session:
        events = session.scalars(select(Event.id).order_by(col(Event.id))).all()
        owed = set(session.scalars(select(WebhookDelivery.event_id)).all())
    engine.dispose()
    assert set(events) == owed
    if engine.dialect.name == "sqlite":
        assert list(events) == list(range(1, len(events) + 1))


def test_a_worker_that_does_not_die_passes_every_point(prepared: Prepared, tmp_path: Path) -> None:
    books = die_and_clean_up(prepared, tmp_path, "")
    passed = (tmp_path / "data" / "points").read_text().splitlines()

    books.agree()
    assert not set(POINTS) - set(passed)
    assert len(set(POINTS)) == len(POINTS) >= 40
    assert len(books.those(DeliveryState.UNKNOWN)) == 1  # that of the worker that had died before


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_at_this_point_loses_nothing_and_sends_nothing_twice(
    prepared: Prepared, tmp_path: Path, point: str
) -> None:
    books = die_and_clean_up(prepared, tmp_path, point)

    books.agree()
    assert len(books.those(DeliveryState.UNKNOWN)) <= 1 + SESSIONS  # at most one round


@pytest.mark.parametrize(
    ("point", "shows"),
    [
        ("before the dot", False),
        ("in the middle of the dot", False),
        ("after the dot", True),
        ("before the second dot", True),
        ("after the second dot", True),
        ("before the answer to the dot", True),
        ("after the answer to the dot", True),
    ],
)
def test_the_control_that_marks_mails_after_sending_them_is_caught_where_it_must_be(
    prepared: Prepared,
    tmp_path: Path,
    point: str,
    shows: bool,  # noqa: FBT001  # a case of the table
) -> None:
    books = die_and_clean_up(prepared, tmp_path, point, Order.NAIVE)

    say(f"control, {point}", sent_twice=len(books.twice))
    assert bool(books.twice) is shows
    assert books.lost == []
