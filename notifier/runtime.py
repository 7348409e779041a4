"""Wiring: settings become working parts.  The only place that reads the clock."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dramatiq
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import (
    AgeLimit,
    Callbacks,
    CurrentMessage,
    Middleware,
    Pipelines,
    Retries,
    ShutdownNotifications,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from notifier.adapters.contracts import read_packs
from notifier.adapters.http import GuardedClient
from notifier.adapters.letters import LetterPress
from notifier.adapters.mailbox import MailboxSender
from notifier.adapters.sending import Sender
from notifier.adapters.smtp import Relay, SmtpSender
from notifier.rules.links import Keyring
from notifier.rules.reminders import BadSchedule, Schedule
from notifier.services import doorbell
from notifier.services.desk import Desk
from notifier.settings import BadSettings, Settings

log = structlog.get_logger()

MIGRATIONS = Path(__file__).parent / "migrations"
SHORTEST_KEY = 32
READ_ONLY = "notifier_read_only"


def now() -> datetime:
    """Return the present instant (aware, UTC)."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The working parts of one process, handed down to the doors."""

    settings: Settings
    engine: sa.Engine
    desk: Desk
    broker: dramatiq.Broker

    @contextmanager
    def transaction(self) -> Generator[Session]:
        """Commit on the way out, roll back when anything is raised; after the commit, ring for the workers."""
        with Session(self.engine, expire_on_commit=False) as session:
            with session.begin():
                try:
                    yield session
                except BaseException:
                    session.expunge_all()  # an error may carry rows to the page that explains it
                    raise
            bells = doorbell.rung(session)
        for bell in sorted(bells):
            self.ring(bell)

    @contextmanager
    def reading(self) -> Generator[Session]:
        """A transaction that only reads, and waits for no writer; whatever it changed is rolled back."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            session.connection(execution_options={READ_ONLY: True})
            try:
                yield session
            finally:
                session.expunge_all()  # what was read stays readable
                session.rollback()

    def ring(self, bell: doorbell.Bell) -> None:
        """Wake a worker.  A bell that cannot be rung is no loss: the sweep finds what is due."""
        try:
            self.broker.enqueue(
                dramatiq.Message(queue_name=bell.value, actor_name=bell.value, args=(), kwargs={}, options={})
            )
        except Exception as trouble:  # noqa: BLE001 - whatever a broker's client raises, the outbox holds the work
            log.warning(
                "the broker does not answer; the sweep will find what is due",
                bell=bell.value,
                trouble=type(trouble).__name__,
            )

    def make_sender(self) -> Sender:
        """Return a sender of its own for one worker thread."""
        mail = self.settings.mail
        if mail.sender == "mailbox":
            return MailboxSender(self.mailbox_folder, now=now)
        relay = Relay(
            host=mail.host,
            port=mail.port,
            security=mail.security,
            username=mail.username,
            password=mail.password.get_secret_value(),
            sessions=mail.sessions,
            ca_file=Path(mail.ca_file) if mail.ca_file else None,
        )
        return SmtpSender(relay)

    @property
    def mailbox_folder(self) -> Path:
        return self.settings.data_dir / "mailbox"

    def close(self) -> None:
        self.desk.http.close()
        self.broker.close()
        self.engine.dispose()


def build(settings: Settings, *, broker: dramatiq.Broker | None = None) -> Runtime:
    """Wire everything up.  Raises BadSettings, BadPack or the database's own error, before anything is served."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    keyring = _keyring(settings)
    desk = Desk(
        packs=read_packs(settings.search_path("config")),
        press=LetterPress(settings.search_path("templates")),
        templates=tuple(settings.search_path("templates")),
        http=_client(settings),
        keyring=keyring,
        mail_schedule=_pauses(settings.mail.retry_schedule),
        mail_lease=timedelta(seconds=settings.mail.lease_seconds),
        webhook_schedule=_pauses(settings.webhooks.retry_schedule),
        webhook_lease=timedelta(seconds=settings.webhooks.lease_seconds),
        link_life=timedelta(days=settings.portal.link_days),
        client_reminders=_schedule("reminders.clients", settings.reminders.clients),
        account_manager_reminders=_schedule("reminders.account_managers", settings.reminders.account_managers),
        watched_files=Path(settings.watch.files) if settings.watch.files else None,
        bounce_address=settings.mail.bounce_address,
    )
    return Runtime(
        settings=settings,
        engine=make_engine(settings.database),
        desk=desk,
        broker=broker or make_broker(settings.broker_url),
    )


def make_engine(url: str) -> sa.Engine:
    """Return an engine on which the product's promises hold: durable commits, foreign keys, one writer at a time on
    SQLite.
    """
    if not url.startswith("sqlite"):
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=20,
            connect_args={"connect_timeout": 5},
        )
        sa.event.listen(engine, "handle_error", _drop_details)
        return engine
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": 10, "isolation_level": None})
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _drop_details(context: sa.engine.ExceptionContext) -> None:
    """PostgreSQL quotes the refused row in an error's details; a log must not repeat whom it names."""
    trouble, wrapped = context.original_exception, context.sqlalchemy_exception
    primary = getattr(getattr(trouble, "diag", None), "message_primary", None)
    if primary and wrapped:
        wrapped.args = (str(wrapped.args[0]).replace(str(trouble), primary),)
        trouble.args = (primary,)


def _set_pragmas(connection: sa.engine.interfaces.DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "trusted_schema=OFF",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.execute("PRAGMA synchronous")
    if cursor.fetchone() != (2,):
        raise BadSettings("SQLite does not keep synchronous=FULL, so a commit could be lost: use another file system")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    """Take the write lock at once, so that two writers queue up instead of failing half-way; readers do not take it."""
    if connection.get_execution_options().get(READ_ONLY):
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def make_broker(url: str) -> dramatiq.Broker:
    """Return the broker for a URL; an empty one gives a broker inside the process.  Messages are never retried by the
    broker.
    """
    broker = _broker(url)
    for bell in doorbell.Bell:
        broker.declare_queue(bell.value)
    return broker


def _broker(url: str) -> dramatiq.Broker:
    chain: list[Middleware] = [
        AgeLimit(),
        ShutdownNotifications(),
        Callbacks(),
        Pipelines(),
        CurrentMessage(),
        Retries(max_retries=0),
    ]
    if not url:
        return StubBroker(middleware=chain)
    try:
        if url.startswith("redis"):
            from dramatiq.brokers.redis import RedisBroker  # noqa: PLC0415 - the client is installed only where it is used

            made: dramatiq.Broker = RedisBroker(url=url, middleware=chain, maintenance_chance=100_000)  # type: ignore[no-untyped-call] # it ships no types
            return made
        if url.startswith("amqp"):
            from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: PLC0415 - the client is installed only where it is used

            return RabbitmqBroker(url=url, middleware=chain, confirm_delivery=True)
    except ImportError:
        raise BadSettings("the client for this broker is not installed: install notifier[production]") from None
    raise BadSettings("broker_url: write amqp://… for RabbitMQ or redis://… for Redis, or leave it empty")


def migrate(engine: sa.Engine) -> None:
    """Bring the database's tables up to date."""
    with migrating(engine) as connection:
        command.upgrade(_alembic(connection), "head")


@contextmanager
def migrating(engine: sa.Engine) -> Generator[sa.Connection]:
    """A transaction in which tables may be made anew.

    SQLite changes a table by copying it, which its foreign keys do not survive while they are watched; they are looked
    over before the commit.
    """
    with engine.connect() as connection:
        is_sqlite = engine.dialect.name == "sqlite"
        if is_sqlite:
            _say(connection, "PRAGMA foreign_keys=OFF")  # no transaction may be open yet
        try:
            with connection.begin():
                yield connection
                if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise BadSettings("a migration would leave rows that point at nothing: nothing has been changed")
        finally:
            if is_sqlite:
                _say(connection, "PRAGMA foreign_keys=ON")


def _say(connection: sa.Connection, statement: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(statement)
    cursor.close()


def is_current(engine: sa.Engine) -> bool:
    """Say whether the database's tables are those that this code knows."""
    with engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def _alembic(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _client(settings: Settings) -> GuardedClient:
    hooks = settings.webhooks
    networks = [str(network) for network in hooks.allowed_networks]
    return GuardedClient(now=now, allowed_networks=networks, allowed_ports=hooks.allowed_ports)


def _pauses(seconds: list[float]) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=pause) for pause in seconds)


def _schedule(key: str, days_before: list[int]) -> Schedule:
    try:
        return Schedule.of(days_before)
    except BadSchedule as wrong:
        raise BadSettings(f"{key}: {wrong}") from None


def _keyring(settings: Settings) -> Keyring:
    current = settings.secret_key.get_secret_value() or _key_from_file(settings.data_dir / "secret_key")
    keys = [current, *(key.get_secret_value() for key in settings.old_secret_keys)]
    if any(len(key) < SHORTEST_KEY for key in keys):
        make = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        raise BadSettings(f"secret_key: a key needs at least {SHORTEST_KEY} characters; `{make}` makes one")
    return Keyring.of(*(key.encode() for key in keys))


def _key_from_file(file: Path) -> str:
    """Read the key, or make it at the first start: for its owner alone, never half-written, never overwritten."""
    if not file.exists():
        descriptor, written = tempfile.mkstemp(dir=file.parent, prefix=file.name)  # for its owner alone
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(secrets.token_urlsafe(48) + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        with suppress(FileExistsError):  # of two processes that start at once, one names the key of both
            os.link(written, file)
        Path(written).unlink()
    return file.read_text(encoding="ascii").strip()


def write_migration(message: str) -> Path:
    """Write a migration for what the models say and the migrations so far do not; for those who develop the product."""
    engine = make_engine("sqlite://")
    with engine.connect() as connection:
        config = _alembic(connection)
        command.upgrade(config, "head")
        number = len(list((MIGRATIONS / "versions").glob("[0-9]*.py"))) + 1
        script = command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04d}")
    if script is None or isinstance(script, list):
        raise BadSettings("no migration was written")
    return Path(script.path)
