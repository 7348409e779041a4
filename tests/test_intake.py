"""What comes back is taken in end to end: by LMTP and from a mailbox, whatever is cut or killed on the way."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random

from pydantic import SecretStr
from sqlmodel import Session, select

from notifier.adapters.inbox import InboxTrouble
from notifier.models import BounceMail, Delivery, EventKind, Item, ItemKind
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime
from tests.factories import NOON, make_announcement, make_client, make_provider, make_runtime
from tests.imap import PASSWORD, Mailbox, serving
from tests.services.stories import deliveries, happened, send_due

KILLS = int(os.environ.get("NOTIFIER_TEST_INTAKE_KILLS", "2"))  # each starts a process
BOUNCES = "bounces@hosting.example"
WORKER = """
import sys
from pathlib import Path
from notifier import runtime as wiring
from notifier.settings import load
runtime = wiring.build(load(Path(sys.argv[1])))
print("ready", flush=True)
while True:
    runtime.make_intake().look()
"""


def make(database_url: str, data_dir: Path, **bounces: object) -> Runtime:
    return make_runtime(database_url, data_dir, mail={"bounce_address": BOUNCES}, bounces=bounces)


def reading(server: Mailbox) -> dict[str, object]:
    return {
        "imap_host": "127.0.0.1",
        "imap_port": server.server_address[1],
        "imap_security": "none",
        "imap_user": BOUNCES,
        "imap_password": SecretStr(PASSWORD),
        "imap_folder": "Sent back",
    }


def sent(runtime: Runtime, clients: int) -> list[bytes]:
    """Announce something to so many clients, and return what the relay sends back for each mail."""
    with runtime.transaction() as session:
        make_provider(session)
        for number in range(clients):
            make_client(session, f"C-{number:03}")
        make_announcement(session, runtime.desk)
        mails = send_due(session, runtime.desk, now=NOON)
    return [returned(mail.sender, mail.recipient) for mail in mails]


def returned(tagged: str, failed: str) -> bytes:
    return (
        f"From: MAILER-DAEMON@relay.example\r\nTo: {tagged}\r\nSubject: Undelivered Mail Returned to Sender\r\n\r\n"
        f"<{failed}>: host mx.example said: 550 5.1.1 User unknown\r\n"
    ).encode()


def what_became(runtime: Runtime, clients: int) -> None:
    """Every mail came back once."""
    with Session(runtime.engine) as session:
        assert len(session.exec(select(BounceMail)).all()) == clients
        assert [mail.state for mail in deliveries(session)] == [DeliveryState.REFUSED] * clients
        assert len(happened(session, EventKind.DELIVERY_RETURNED)) == clients
        assert len(deliveries(session, "bounced")) == clients
        refused = {row.id for row in session.exec(select(Delivery).where(Delivery.letter == "notice"))}
        opened = session.exec(select(Item.about_id).where(Item.kind == ItemKind.REFUSED_DELIVERY)).all()
        assert sorted(opened) == sorted(refused)


def test_a_mail_handed_over_by_lmtp_is_taken_in_by_the_address_it_came_back_to(
    database_url: str, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runtime = make(database_url, tmp_path, lmtp_port=port)
    with runtime.transaction() as session:
        make_provider(session)
        make_client(session)
        make_announcement(session, runtime.desk)
        (mail,) = send_due(session, runtime.desk, now=NOON)
    intake = runtime.make_intake()
    intake.start()
    try:
        with smtplib.LMTP("127.0.0.1", port, timeout=30) as client:
            client.sendmail("", [mail.sender.upper()], returned("undisclosed@relay.example", mail.recipient))
    finally:
        intake.close()

    what_became(runtime, 1)
    runtime.close()


def test_with_nothing_set_nothing_is_taken_in(sqlite_url: str, tmp_path: Path) -> None:
    runtime = make_runtime(sqlite_url, tmp_path)
    intake = runtime.make_intake()

    intake.start()

    assert intake.look() == 0
    assert "bounces" not in {thread.name for thread in threading.enumerate()}
    intake.close()
    runtime.close()


def test_an_intake_that_is_cut_again_and_again_takes_each_mail_in_once(database_url: str, tmp_path: Path) -> None:
    clients, commands = 12, ("UID SEARCH", "UID FETCH", "UID STORE", "LOGOUT")
    first = make_runtime(database_url, tmp_path, mail={"bounce_address": BOUNCES})
    with serving(*sent(first, clients)) as server:
        first.close()
        runtime = make(database_url, tmp_path, **reading(server))
        cuts = Random(7)
        server.cut_at = lambda said: said.startswith(commands) and cuts.random() < 0.3
        while server.unread:
            try:
                runtime.make_intake().look()
            except InboxTrouble:
                continue

    assert sum(command.startswith("UID STORE") for command in server.commands) > clients  # some were cut
    what_became(runtime, clients)
    runtime.close()


def test_an_intake_that_is_killed_in_the_midst_of_a_mail_reads_it_again(database_url: str, tmp_path: Path) -> None:
    """The server kills the process at a command of its choice: before a mail has been taken in, and after."""
    clients = 2 * KILLS
    first = make_runtime(database_url, tmp_path, mail={"bounce_address": BOUNCES})
    with serving(*sent(first, clients)) as server:
        first.close()
        runtime = make(database_url, tmp_path, **reading(server))
        for number in range(KILLS):
            _run_and_kill(server, runtime, tmp_path, at=("UID FETCH", "UID STORE")[number % 2])
        runtime.make_intake().look()

    assert server.unread == []
    what_became(runtime, clients)
    runtime.close()


def _run_and_kill(server: Mailbox, runtime: Runtime, folder: Path, *, at: str) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, **_settings(server, runtime)},
    )
    seen: Sequence[str] = []

    def kill(said: str) -> bool:
        nonlocal seen
        if said.startswith(at) and worker.poll() is None:
            seen = [*seen, said]
            if len(seen) == 2:
                os.kill(worker.pid, signal.SIGKILL)
                return True
        return False

    server.cut_at = kill
    try:
        assert worker.wait(timeout=60) == -signal.SIGKILL
    finally:
        worker.kill()
        worker.communicate()
        server.cut_at = lambda _said: False


def _settings(server: Mailbox, runtime: Runtime) -> dict[str, str]:
    said = {f"NOTIFIER_BOUNCES__{key.upper()}": str(value) for key, value in reading(server).items()}
    return {
        **said,
        "NOTIFIER_BOUNCES__IMAP_PASSWORD": PASSWORD,
        "NOTIFIER_MAIL__BOUNCE_ADDRESS": BOUNCES,
        "NOTIFIER_DATABASE_URL": runtime.engine.url.render_as_string(hide_password=False),
    }
