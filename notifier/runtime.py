"""Wiring: settings become working parts.  The only place that reads the clock."""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
from collections import deque
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import dramatiq
import sqlalchemy as sa
import structlog
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

from notifier.adapters.bounce_reader import BounceReader
from notifier.adapters.contracts import read_packs
from notifier.adapters.dkim import BadDkim, DkimSigner
from notifier.adapters.http import GuardedClient
from notifier.adapters.inbox import Inbox, Intake, Server
from notifier.adapters.instances import Mark, first_mark, read_mark, write_mark
from notifier.adapters.letters import LetterPress
from notifier.adapters.lmtp import LmtpServer
from notifier.adapters.mailbox import MailboxSender
from notifier.adapters.oauth import Grant, Tokens
from notifier.adapters.sending import Sender
from notifier.adapters.smtp import Relay, SmtpSender, Timeouts
from notifier.models import BounceDoor, BounceMail
from notifier.rules.limits import DomainPlan, RelayPlan, together
from notifier.rules.links import Keyring
from notifier.rules.reminders import BadSchedule, Schedule
from notifier.services import bounces, doorbell, holds
from notifier.services.desk import Desk
from notifier.settings import BadSettings, MailSettings, OAuthSettings, RelaySettings, Settings

log = structlog.get_logger()

SHORTEST_KEY = 32
READ_ONLY = "notifier_read_only"
PATIENCE = 5  # seconds for a connection or a lock; then whoever asked is told so (503), and workers try again


def now() -> datetime:
    """Return the present instant (aware, UTC)."""
    return datetime.now(UTC)


class Queue:
    """Lets the writers of one process in one after the other, first come first served.

    SQLite lets one in, and whoever asks again at the right instant: beside a worker that writes round after round, a
    page would never find the gap.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._is_busy = False

    @contextmanager
    def turn(self) -> Generator[None]:
        """Wait for one's turn, no longer than for the database itself: then that decides."""
        is_mine = self._enter()
        try:
            yield
        finally:
            if is_mine:
                self._leave()

    def _enter(self) -> bool:
        with self._mutex:
            if not self._is_busy:
                self._is_busy = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(PATIENCE):
            return True
        with self._mutex:
            if called.is_set():  # at this very instant
                return True
            self._waiting.remove(called)
            return False

    def _leave(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_busy = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The working parts of one process, handed down to the doors."""

    settings: Settings
    engine: sa.Engine
    desk: Desk
    broker: dramatiq.Broker
    bounce_reader: BounceReader = field(default_factory=BounceReader)
    writers: Queue = field(default_factory=Queue)

    @contextmanager
    def transaction(self) -> Generator[Session]:
        """Commit on the way out, roll back when anything is raised; after the commit, ring for the workers."""
        with Session(self.engine, expire_on_commit=False) as session:
            with self._turn(), session.begin():
                try:
                    yield session
                except BaseException:
                    session.expunge_all()  # an error may carry rows to the page that explains it
                    raise
            bells = doorbell.rung(session)
        for bell in sorted(bells):
            self.ring(bell)

    def _turn(self) -> AbstractContextManager[None]:
        return self.writers.turn() if self.engine.dialect.name == "sqlite" else nullcontext()

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

    def make_sender(self, name: str = "") -> Sender:
        """Return a sender to one relay (the first where none is named) of its own for one worker thread."""
        mail = self.settings.mail
        if mail.sender == "mailbox":
            return MailboxSender(self.mailbox_folder, now=now)
        return SmtpSender(self.relay(next(relay for relay in mail.all_relays if name in {"", relay.name})))

    def relay(self, said: RelaySettings) -> Relay:
        """Return a relay of the settings as the sender takes it; ValueError for one that cannot be used so."""
        return Relay(
            host=said.host,
            port=said.port,
            security=said.security,
            username=said.username,
            password=said.password.get_secret_value(),
            sessions=said.sessions,
            ca_file=Path(said.ca_file) if said.ca_file else None,
            mails_per_session=said.mails_per_session,
            seconds_per_session=said.seconds_per_session,
            # Where another relay could take the mail, one that says nothing is not waited for as long as it may take.
            timeouts=Timeouts(greeting=20) if len(self.settings.mail.all_relays) > 1 else Timeouts(),
            tokens=self._tokens(said.oauth),
            idempotency_header=said.idempotency_header,
            sign=self.desk.dkim.sign if self.desk.dkim and said.dkim else None,
        )

    def _tokens(self, said: OAuthSettings) -> Tokens | None:
        if not said.token_url:
            return None
        grant = Grant(
            token_url=said.token_url,
            client_id=said.client_id,
            client_secret=said.client_secret.get_secret_value(),
            scope=said.scope,
            refresh_token=said.refresh_token.get_secret_value(),
        )
        return Tokens(grant, self.desk.http, now=now)

    def check_instance(self) -> bool:
        """Say whether the data folder and the database belong together; where they do not, sending is on hold.

        To be asked before anything is sent, and at each tick: a database may be swapped under a running worker.
        """
        folder, mark = self.settings.data_dir, read_mark(self.settings.data_dir)
        with self.reading() as session:
            seen = holds.log_end(session)
            agree = mark is not None and holds.is_ours(session, mark.instance_id, seen=mark.events)
        if not agree:
            mark = first_mark(folder)
            with self.transaction() as session:
                agree = holds.check(session, mark.instance_id, seen=mark.events, now=now(), is_copy=mark.is_copy)
                seen = holds.log_end(session)
        if mark and (mark.is_copy or mark.events != seen):
            try:
                write_mark(folder, replace(mark, events=seen, is_copy=False))
            except OSError:  # a full disk here need not stop mails; only a database set back would be found less soon
                log.warning("the mark of the instance cannot be renewed: is the disk of the data folder full?")
        return agree

    def join_instance(self, *, by: str) -> UUID:
        """Let the data folder be one more of the instance whose database this is; returns the instance's id."""
        mark = read_mark(self.settings.data_dir)
        with self.transaction() as session:
            joined = holds.join(session, mark.instance_id if mark else None, by=by, now=now())
            seen = holds.log_end(session)
        write_mark(self.settings.data_dir, Mark(instance_id=joined, events=seen))
        return joined

    def take_in(self, content: bytes, how: BounceDoor) -> BounceMail | None:
        """Read a mail that came back, keep it, and commit what follows from it (services/bounces.py)."""
        report = self.bounce_reader.read(content)
        with self.transaction() as session:
            return bounces.take_in(session, self.desk, content, report, how=how, now=now())

    def make_intake(self) -> Intake:
        """Return what takes in mails that come back, by each way that is set; it takes nothing before it is started."""
        said, address = self.settings.bounces, self.settings.mail.bounce_address
        servers: list[Server] = []
        if said.lmtp_port and address:
            take = partial(self.take_in, how=BounceDoor.LMTP)
            servers.append(LmtpServer(host=said.lmtp_host, port=said.lmtp_port, bounce_address=address, take=take))
        return Intake(
            inbox=self._inbox() if said.imap_host else None,
            take=partial(self.take_in, how=BounceDoor.IMAP),
            seconds=said.imap_seconds,
            servers=servers,
        )

    def _inbox(self) -> Inbox:
        said = self.settings.bounces
        return Inbox(
            host=said.imap_host,
            port=said.imap_port,
            security=said.imap_security,
            user=said.imap_user,
            password=said.imap_password.get_secret_value(),
            token=self._tokens(said.imap_oauth),
            folder=said.imap_folder,
            done_folder=said.imap_done_folder,
            ca_file=self.settings.mail.ca_file,
        )

    def broker_trouble(self) -> str:
        """Say why the broker does not answer; empty where it does, or where there is none."""
        client = getattr(self.broker, "client", None)  # Redis; RabbitMQ's connects when it is asked for its connection
        try:
            _ = client.ping() if client else getattr(self.broker, "connection", None)
        except Exception as trouble:  # noqa: BLE001 - whatever a broker's client raises
            return type(trouble).__name__
        return ""

    @property
    def mailbox_folder(self) -> Path:
        return self.settings.data_dir / "mailbox"

    def close(self) -> None:
        self.bounce_reader.close()
        self.desk.http.close()
        self.broker.close()
        self.engine.dispose()


def build(settings: Settings, *, broker: dramatiq.Broker | None = None) -> Runtime:
    """Wire everything up.  Raises BadSettings, BadPack or the database's own error, before anything is served."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    keyring = _keyring(settings)
    plans = _relay_plans(settings.mail)
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
        relays=plans,
        mail_domains=_domain_plans(settings.mail),
        mail_rests=_pauses(settings.mail.rest_schedule),
        mail_limits=together(plans),
        takes_in_replies=bool(settings.bounces.imap_host or settings.bounces.webhook_secret.get_secret_value()),
        dkim=_dkim(settings),
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
            pool_timeout=PATIENCE,
            connect_args={"connect_timeout": PATIENCE},
        )
        sa.event.listen(engine, "handle_error", _drop_details)
        return engine
    pool = {} if url == "sqlite://" else {"pool_timeout": PATIENCE}  # in memory there is one connection
    engine = sa.create_engine(
        url, hide_parameters=True, connect_args={"timeout": PATIENCE, "isolation_level": None}, **pool
    )
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
        f"busy_timeout={PATIENCE * 1000}",
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


def _client(settings: Settings) -> GuardedClient:
    hooks = settings.webhooks
    networks = [str(network) for network in hooks.allowed_networks]
    return GuardedClient(now=now, allowed_networks=networks, allowed_ports=hooks.allowed_ports)


def _dkim(settings: Settings) -> DkimSigner | None:
    mail = settings.mail
    given = (mail.dkim_domain, mail.dkim_selector, mail.dkim_key_file)
    if not any(given):
        return None
    if not all(given):
        raise BadSettings("mail: dkim_domain, dkim_selector and dkim_key_file belong together; leave all three empty")
    key_file = Path(mail.dkim_key_file)
    try:
        return DkimSigner.read(domain=mail.dkim_domain, selector=mail.dkim_selector, key_file=key_file)
    except BadDkim as wrong:
        raise BadSettings(f"mail.dkim: {wrong}") from None


def _relay_plans(mail: MailSettings) -> tuple[RelayPlan, ...]:
    if mail.sender == "mailbox":
        return (RelayPlan(name="mailbox", at_once=MailboxSender.capacity),)
    return tuple(_relay_plan(relay) for relay in mail.all_relays)


def _relay_plan(relay: RelaySettings) -> RelayPlan:
    return RelayPlan(
        name=relay.name,
        at_once=relay.sessions,
        per_minute=relay.per_minute or None,
        per_day=relay.per_day or None,
        weight=relay.weight,
        fixed_sender=relay.envelope == "fixed",
        key_life=timedelta(seconds=relay.idempotency_seconds) if relay.idempotency_header else None,
    )


def _domain_plans(mail: MailSettings) -> dict[str, DomainPlan]:
    return {
        domain: DomainPlan(at_once=limit.sessions or None, per_minute=limit.per_minute or None)
        for domain, limit in mail.domains.items()
    }


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
