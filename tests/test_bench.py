"""The measurement for operators: what its parts see, what it says, and that nothing of it stays."""

import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sqlmodel import Session, col

from notifier import settings
from notifier.bench import delivery, raw
from notifier.bench.child import BenchFailed, Child
from notifier.bench.scratch import Scratch, fill, scratch, to_sink
from notifier.bench.sink import HOST, Sample, Sink, digest
from notifier.bench.worker import WorkerProcess
from notifier.cli import main
from notifier.cli.bench import words
from notifier.models import Delivery
from notifier.rules.delivery_states import DeliveryState

KEYS = ["notices", "rate", "ceiling_rate", "ratio", "peak_rss_mb", "lost", "twice", "database"]
ENVELOPE = b"MAIL FROM:<notices@hosting.example>\r\nRCPT TO:<dpo@clinic.example>\r\nDATA\r\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def sink(shared: Sink) -> Sink:
    shared.forget()
    return shared


def mail(number: int = 1, text: bytes = b"Hello.") -> bytes:
    return b"Subject: A change\r\nMessage-ID: <%d@hosting.example>\r\n\r\n%b\r\n" % (number, text)


def talk(port: int, *pieces: bytes) -> bytes:
    """Write these pieces one by one, and return everything that was answered until the sink hung up."""
    with closing(socket.create_connection((HOST, port), timeout=10)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


# --- the sink --------------------------------------------------------------------------------------------------------


def test_the_sink_takes_what_smtplib_sends(sink: Sink) -> None:
    with smtplib.SMTP(HOST, sink.port, timeout=10) as session:
        for number in range(3):
            session.sendmail("notices@hosting.example", ["dpo@clinic.example"], mail(number))
    assert (sink.taken().mails, sink.taken().twice) == (3, 0)


def test_the_sink_counts_a_mail_that_comes_again_as_twice(sink: Sink) -> None:
    talk(sink.port, *[ENVELOPE + mail(7) + b".\r\n"] * 3)
    assert (sink.taken().mails, sink.taken().twice) == (3, 2)


def test_a_mail_cut_before_its_dot_was_not_taken(sink: Sink) -> None:
    talk(sink.port, ENVELOPE, mail())
    assert sink.taken().mails == 0


def test_the_sink_knows_the_message_ids_of_what_it_took(sink: Sink) -> None:
    talk(sink.port, ENVELOPE + mail(1) + b".\r\n", ENVELOPE + mail(2) + b".\r\n")
    assert sink.digests() == {digest(b"<1@hosting.example>"), digest(b"<2@hosting.example>")}


def test_the_sink_keeps_samples_as_they_came_over_the_wire(sink: Sink) -> None:
    dotted = mail(text=b"..a line with a dot before it")
    talk(sink.port, ENVELOPE + dotted + b".\r\n")
    assert sink.samples() == [Sample(ENVELOPE, dotted)]


def test_bytes_may_come_one_by_one_or_all_at_once(sink: Sink) -> None:
    conversation = b"EHLO bench.example\r\n" + (ENVELOPE + mail() + b".\r\n") * 2 + b"QUIT\r\n"
    at_once = talk(sink.port, conversation)
    one_by_one = talk(sink.port, *(bytes([byte]) for byte in conversation))
    assert at_once == one_by_one
    assert sink.taken().mails == 4


def test_the_sink_refuses_a_command_that_there_is_not(sink: Sink) -> None:
    assert b"\r\n500 " in talk(sink.port, b"TURN\r\n")


def test_a_simulated_round_trip_is_waited_for_each_answer() -> None:
    with Sink(round_trip=0.05) as sink:
        began = time.monotonic()
        with smtplib.SMTP(HOST, sink.port, timeout=10) as session:
            session.noop()
        assert time.monotonic() - began > 3 * 0.05  # the greeting, NOOP and QUIT


# --- the raw sender --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mails", "sessions"), [(1, 8), (8, 8), (100, 8), (9, 1)])
def test_the_raw_sender_sends_each_mail_once(sink: Sink, mails: int, sessions: int) -> None:
    samples = [Sample(ENVELOPE, mail(number)) for number in range(mails)]
    assert raw.send(sink.port, samples, mails=mails, sessions=sessions) > 0
    assert (sink.taken().mails, sink.taken().twice) == (mails, 0)
    assert len(sink.digests()) == mails


def test_the_raw_sender_sends_the_same_bytes(sink: Sink) -> None:
    sample = Sample(ENVELOPE, mail(text=b"..dots"))
    raw.send(sink.port, [sample], mails=3, sessions=2)
    assert sink.samples() == [sample] * 3


def test_without_a_sample_there_is_no_ceiling(sink: Sink) -> None:
    with pytest.raises(BenchFailed, match="no mail came"):
        raw.send(sink.port, [], mails=1, sessions=1)


# --- processes -------------------------------------------------------------------------------------------------------


def test_a_process_that_dies_is_named() -> None:
    with Child("notifier.bench.no_such_part") as child, pytest.raises(BenchFailed, match=r"no_such_part ended"):
        child.hear(20)


def test_a_process_imports_nothing_from_the_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An optional package, say, of which somebody keeps a script by the same name."""
    (tmp_path / "selectors.py").write_text("raise SystemExit('taken from the folder')")
    monkeypatch.chdir(tmp_path)
    with Sink() as sink:
        assert sink.port > 0


def test_a_process_that_says_nothing_is_not_waited_for_for_ever(sink: Sink) -> None:
    del sink
    with Child("notifier.bench.sink", "0") as child:
        child.hear(20)  # its port
        with pytest.raises(BenchFailed, match="did not answer in time"):
            child.hear(0.1)


# --- the whole -------------------------------------------------------------------------------------------------------


def test_every_notice_arrives_once_and_nothing_is_left_behind(database_url: str, tmp_path: Path) -> None:
    before = tables(database_url)
    configured = settings.load(tmp_path, {"database_url": database_url})
    measured = delivery.measure(configured, notices=150, sessions=16)
    said = measured.as_json()
    assert list(said) == KEYS
    assert (said["notices"], said["lost"], said["twice"]) == (150, 0, 0)
    assert said["database"] == database_url.partition(":")[0].partition("+")[0]
    assert measured.rate == pytest.approx(150 / measured.seconds)
    assert measured.ratio == pytest.approx(measured.rate / measured.ceiling_rate)
    assert 0 < measured.publishing < measured.seconds
    assert 20 < measured.peak_rss_mb < 400
    assert tables(database_url) == before
    assert not list(tmp_path.glob("bench-*"))


def tables(url: str) -> dict[str, int]:
    """Count the rows of every table in every schema."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        found = [
            (schema, name)
            for schema in inspector.get_schema_names()
            if schema != "information_schema"
            for name in inspector.get_table_names(schema)
        ]
        count = sa.select(sa.func.count())
        rows = {
            f"{schema}.{name}": connection.scalar(count.select_from(sa.table(name, schema=schema))) or 0
            for schema, name in found
        }
    engine.dispose()
    return rows


@pytest.fixture(scope="module")
def told(shared: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """Ten clients who have been told."""
    shared.forget()
    configured = settings.load(tmp_path_factory.mktemp("told"), {"database_url": ""})
    with (
        scratch(configured, port=shared.port, sessions=4) as place,
        WorkerProcess(place.folder, place.overrides) as worker,
    ):
        fill(place.runtime, 10)
        delivery.tell(place, worker, 10)
        yield place


def test_a_mail_that_the_sink_does_not_hold_counts_as_lost(told: Scratch, sink: Sink) -> None:
    with Session(told.runtime.engine) as session:
        message_ids = session.scalars(sa.select(col(Delivery.message_id))).all()
    for held in (10, 7, 0):
        sink.forget()
        for one in message_ids[:held]:
            talk(sink.port, ENVELOPE + b"X: y\r\nMessage-ID: " + one.encode() + b"\r\n\r\n.\r\n")
        assert delivery.lost(told, sink, 10) == 10 - held
        assert delivery.lost(told, sink, 12) == 12 - held, "two clients for whom there is no mail"


def test_a_mail_that_did_not_end_counts_as_lost(told: Scratch, sink: Sink) -> None:
    one = sa.select(col(Delivery.id)).limit(1).scalar_subquery()
    ended = sa.update(Delivery).where(col(Delivery.id) == one)
    with Session(told.runtime.engine) as session:
        first = session.scalars(sa.select(col(Delivery.message_id)).where(col(Delivery.id) == one)).one()
    talk(sink.port, ENVELOPE + b"X: y\r\nMessage-ID: " + first.encode() + b"\r\n\r\n.\r\n")
    assert delivery.lost(told, sink, 1) == 0
    with Session(told.runtime.engine) as session, session.begin():
        session.execute(ended.values(state=DeliveryState.UNKNOWN))
    assert delivery.lost(told, sink, 1) == 1


def test_half_of_the_clients_are_told_in_french_and_terms_differ(told: Scratch) -> None:
    with Session(told.runtime.engine) as session:
        languages = sorted(session.scalars(sa.select(col(Delivery.language))))
        last_days = set(session.scalars(sa.text("SELECT object_by FROM notice")))
    assert languages == ["en"] * 5 + ["fr"] * 5
    assert len(last_days) > 5


def test_mails_go_to_the_sink_whatever_relay_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, said in {"HOST": "relay.example", "PORT": "465", "SECURITY": "tls", "USERNAME": "us"}.items():
        monkeypatch.setenv(f"NOTIFIER_MAIL__{name}", said)
    mail = settings.load(tmp_path, {"mail": to_sink(2525, 4)}).mail
    assert (mail.host, mail.port, mail.security, mail.username, mail.sessions) == (HOST, 2525, "none", "", 4)


# --- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["bench", "delivery", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_prints_one_object(tmp_path: Path) -> None:
    code, out, _ = run("--notices", "20", "--sessions", "4", "--json", "--data-dir", str(tmp_path))
    assert code == 0
    assert list(json.loads(out)) == KEYS


def test_people_are_told_in_a_few_lines() -> None:
    measured = delivery.Measured(
        notices=5_000, publishing=1, seconds=2, ceiling_rate=10_000, peak_rss_mb=99.6, worker_cpu=1, lost=0, twice=0,
        database="sqlite",
    )  # fmt: skip
    assert words(measured).splitlines() == [
        "5,000 notices in 2.0 s, 1.0 s of it for publishing: 2,500 a second (sqlite)",
        "A bare sender of the same mails over as many sessions: 10,000 a second; 0.25 of that was reached",
        "The worker held 100 MB at most",
        "Lost: 0   Sent twice: 0",
    ]


@pytest.mark.parametrize("wrong", [("--notices", "0"), ("--notices", "1000001"), ("--sessions", "129")])
def test_a_number_out_of_range_is_refused_in_one_line(wrong: tuple[str, str], tmp_path: Path) -> None:
    code, out, err = run(*wrong, "--data-dir", str(tmp_path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{wrong[0]}: write a number from 1 to" in err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_measurement_ends_what_it_started(how: signal.Signals, tmp_path: Path) -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("no /proc to see processes in")
    command = [sys.executable, "-c", "from notifier.cli import main; main()", "bench", "delivery", "--notices", "20000"]
    asked = [*command, "--data-dir", str(tmp_path)]
    with subprocess.Popen(asked, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as bench:
        try:
            wait_for(lambda: len(children(bench.pid)) == 2)
            started = children(bench.pid)
            os.kill(bench.pid, how)
            assert bench.wait(30) != 0
        finally:
            bench.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert not list(tmp_path.glob("bench-*"))


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until, "this took too long"
        time.sleep(0.05)
