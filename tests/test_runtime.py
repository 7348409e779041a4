from __future__ import annotations

import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Retries
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, select

from notifier import runtime as wiring
from notifier import schema, settings
from notifier.models import Client
from notifier.runtime import Runtime
from notifier.services import doorbell
from notifier.services.doorbell import Bell
from notifier.settings import BadSettings
from tests.factories import NOON, make_client, make_runtime


@pytest.fixture
def runtime(database_url: str, tmp_path: Path) -> Iterator[Runtime]:
    runtime = make_runtime(database_url, tmp_path / "data")
    yield runtime
    runtime.close()


class DeadBroker(StubBroker):
    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        del message, delay
        raise ConnectionError("connection refused")


def rings(runtime: Runtime) -> dict[str, int]:
    assert isinstance(runtime.broker, StubBroker)
    return {name: queue.qsize() for name, queue in runtime.broker.queues.items() if not name.endswith(".DQ")}


# --- the secret key --------------------------------------------------------------------------------------------------


def test_the_first_start_makes_a_key_that_only_its_owner_reads_and_later_ones_keep_it(tmp_path: Path) -> None:
    first, second = (wiring.build(settings.load(tmp_path / "data")).desk.keyring for _ in range(2))

    file = tmp_path / "data" / "secret_key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) >= wiring.SHORTEST_KEY
    assert first == second


def test_two_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(wiring.build(settings.load(tmp_path)).desk.keyring.current))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_key_that_is_given_wins_and_one_that_is_short_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFIER_SECRET_KEY", "k" * 31)
    with pytest.raises(BadSettings, match="secret_key: a key needs at least 32 characters"):
        wiring.build(settings.load(tmp_path))

    monkeypatch.setenv("NOTIFIER_SECRET_KEY", "k" * 32)
    monkeypatch.setenv("NOTIFIER_OLD_SECRET_KEYS", f'["{"o" * 32}"]')

    assert set(wiring.build(settings.load(tmp_path)).desk.keyring.keys.values()) == {b"k" * 32, b"o" * 32}
    assert not (tmp_path / "secret_key").exists()


# --- the database ----------------------------------------------------------------------------------------------------


def test_mails_are_signed_where_a_domain_a_selector_and_a_key_are_given(tmp_path: Path) -> None:
    key_file = tmp_path / "dkim.pem"
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key_file.write_bytes(private)
    mail = {"dkim_domain": "hosting.example", "dkim_selector": "notices", "dkim_key_file": str(key_file)}

    signing = wiring.build(settings.load(tmp_path / "data", {"mail": mail}))
    silent = wiring.build(settings.load(tmp_path / "data"))

    assert signing.desk.dkim is not None
    assert signing.desk.dkim.sign(b"From: a@hosting.example\r\n\r\nx\r\n").startswith(b"DKIM-Signature: ")
    assert silent.desk.dkim is None
    for wrong in ({"dkim_selector": ""}, {"dkim_key_file": str(tmp_path / "none")}, {"dkim_domain": "hosting"}):
        with pytest.raises(BadSettings, match="dkim"):
            wiring.build(settings.load(tmp_path / "data", {"mail": mail | wrong}))
    for runtime in (signing, silent):
        runtime.close()


def test_sqlite_keeps_what_was_committed_and_minds_foreign_keys(sqlite_url: str) -> None:
    engine = wiring.make_engine(sqlite_url)

    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    engine.dispose()


def test_two_who_read_then_write_at_once_both_count(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        client = make_client(session, company="0")

    def add_one() -> None:
        for _ in range(20):
            with runtime.transaction() as session:
                found = session.exec(select(Client).where(Client.id == client.id).with_for_update()).one()
                found.company = str(int(found.company) + 1)

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with runtime.reading() as session:
        assert session.exec(select(Client.company)).one() == "80"


def test_a_transaction_that_fails_leaves_nothing(runtime: Runtime) -> None:
    def make_twins() -> None:
        with runtime.transaction() as session:
            make_client(session, "C-1")
            session.add(Client(key="C-1", company="Twin", created_at=NOON))

    with pytest.raises(IntegrityError):
        make_twins()

    with runtime.reading() as session:
        assert session.exec(select(Client)).all() == []


def test_reading_never_writes(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_client(session, company="Acme")

    with runtime.reading() as session:
        found = session.exec(select(Client)).one()
        found.company = "Changed"
        session.add(Client(key="C-2", company="New", created_at=NOON))
        session.flush()

    with runtime.reading() as session:
        assert session.exec(select(Client.company)).all() == ["Acme"]


def test_reading_waits_for_no_writer_and_sees_nothing_half_done(runtime: Runtime) -> None:
    with runtime.transaction() as writer:
        make_client(writer, company="Acme")
        with runtime.reading() as reader:
            assert reader.exec(select(Client)).all() == []


def test_what_was_read_stays_readable_afterwards(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_client(session, company="Acme")

    with runtime.reading() as session:
        found = session.exec(select(Client)).one()

    assert (found.company, found.created_at) == ("Acme", NOON)


def twins(session: Session) -> None:
    session.add_all([Client(key="C-1", company="Zélie Conseil", created_at=NOON) for _ in range(2)])
    session.flush()


def nameless(session: Session) -> None:
    values = {"key": "C-1", "company": None, "address": "Zélie Conseil"}
    session.execute(sa.text("INSERT INTO client (key, address, company) VALUES (:key, :address, :company)"), values)


@pytest.mark.parametrize("act", [twins, nameless])
def test_what_the_database_says_of_a_row_it_refuses_does_not_repeat_the_row(
    runtime: Runtime, act: Callable[[Session], None]
) -> None:
    with pytest.raises(IntegrityError) as refused, runtime.transaction() as session:
        act(session)

    said = f"{refused.value} {refused.value.orig} {refused.value.__cause__}"  # a log shows the whole chain
    assert [word for word in ("C-1", "Zélie") if word in said] == []
    assert "client" in str(refused.value)  # what is wrong is still said


def test_a_database_that_was_never_migrated_is_not_current(tmp_path: Path, runtime: Runtime) -> None:
    empty = wiring.make_engine(f"sqlite:///{tmp_path / 'empty.db'}")

    assert (schema.is_current(empty), schema.is_current(runtime.engine)) == (False, True)
    empty.dispose()


# --- bells -----------------------------------------------------------------------------------------------------------


def test_a_bell_rings_after_the_commit_and_once(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        doorbell.ring(session, Bell.OUTBOX)
        doorbell.ring(session, Bell.OUTBOX)
        before = rings(runtime)

    assert before == {"outbox": 0, "webhooks": 0}
    assert rings(runtime) == {"outbox": 1, "webhooks": 0}


def test_what_was_not_committed_rings_nothing(runtime: Runtime) -> None:
    def ring_and_fail() -> None:
        with runtime.transaction() as session:
            doorbell.ring(session, Bell.WEBHOOKS)
            raise LookupError

    with pytest.raises(LookupError):
        ring_and_fail()

    assert rings(runtime) == {"outbox": 0, "webhooks": 0}


def test_a_bell_carries_nothing(runtime: Runtime) -> None:
    assert isinstance(runtime.broker, StubBroker)
    runtime.ring(Bell.OUTBOX)

    message = dramatiq.Message.decode(runtime.broker.queues["outbox"].get())

    assert (message.args, message.kwargs, message.options) == ((), {}, {})


def test_a_dead_broker_is_no_error(database_url: str, tmp_path: Path) -> None:
    runtime = wiring.build(settings.load(tmp_path, {"database_url": database_url}), broker=DeadBroker())

    with runtime.transaction() as session:
        make_client(session)
        doorbell.ring(session, Bell.OUTBOX)

    with runtime.reading() as session:
        assert len(session.exec(select(Client)).all()) == 1
    runtime.close()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1"])
def test_a_broker_that_cannot_be_reached_stops_neither_the_start_nor_a_commit(tmp_path: Path, url: str) -> None:
    runtime = make_runtime(f"sqlite:///{tmp_path / 'notifier.db'}", tmp_path, broker_url=url)

    runtime.ring(Bell.OUTBOX)

    runtime.close()


def test_the_broker_never_tries_a_message_again(runtime: Runtime) -> None:
    retries = [one for one in runtime.broker.middleware if isinstance(one, Retries)]

    assert [one.max_retries for one in retries] == [0]


def test_an_unknown_broker_is_refused_with_what_to_write() -> None:
    with pytest.raises(BadSettings, match="write amqp://… for RabbitMQ or redis://… for Redis, or leave it empty"):
        wiring.make_broker("kafka://localhost")


# --- the rest --------------------------------------------------------------------------------------------------------


def test_the_clock_shows_aware_instants_in_utc() -> None:
    assert wiring.now().tzinfo is UTC
    assert wiring.now() > datetime(2026, 1, 1, tzinfo=UTC)


def test_the_data_folder_is_closed_to_others(tmp_path: Path) -> None:
    wiring.build(settings.load(tmp_path / "data")).close()

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_whoever_wants_to_write_gets_a_turn_beside_one_who_writes_without_a_pause(
    sqlite_url: str, tmp_path: Path
) -> None:
    """SQLite alone would let the busy one in again and again."""
    with closing(make_runtime(sqlite_url, tmp_path)) as runtime:
        stop, writes = threading.Event(), Counter[str]()

        def write(who: str) -> None:
            while not stop.is_set():
                with runtime.transaction() as session:
                    session.execute(sa.text("UPDATE provider SET legal_name = legal_name"))
                    time.sleep(0.005)
                    writes[who] += 1

        threads = [threading.Thread(target=write, args=(who,)) for who in ("worker", "page", "another page")]
        for thread in threads:
            thread.start()
        time.sleep(1)
        stop.set()
        for thread in threads:
            thread.join(10)

    assert min(writes.values()) > 0.8 * max(writes.values())
    assert len(writes) == 3


def test_a_writer_that_never_ends_keeps_the_others_no_longer_than_the_database_would(
    sqlite_url: str, tmp_path: Path
) -> None:
    with closing(make_runtime(sqlite_url, tmp_path)) as runtime, ThreadPoolExecutor(1) as pool:

        def write() -> float:
            begun = time.monotonic()
            with pytest.raises(OperationalError, match="locked"), runtime.transaction() as session:
                session.execute(sa.text("UPDATE provider SET legal_name = legal_name"))
            return time.monotonic() - begun

        with runtime.transaction() as session:
            session.execute(sa.text("UPDATE provider SET legal_name = legal_name"))
            waited = pool.submit(write).result(30)
        with runtime.transaction() as session:
            session.execute(sa.text("UPDATE provider SET legal_name = legal_name"))

    assert waited < 15
