"""The product as it runs in production: web, worker, relay and broker each in a process of its own, over PostgreSQL."""

import email.policy
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import select

from notifier.models import Delivery
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.services import letters
from tests.factories import make_announcement, make_client, make_provider, make_runtime, make_user
from tests.faults.harness import answers, free_port, process, wait_for

BIN = Path(sys.executable).parent
LONGEST_SWEEP = 30  # seconds: what arrives much sooner was brought by the bell
SOON = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What the processes of one installation share."""

    runtime: Runtime
    environment: Mapping[str, str]
    web_port: int
    maildir: Path

    def mails(self) -> dict[str, EmailMessage]:
        """Return what the relay holds, by recipient."""
        files = [file for file in self.maildir.glob("new/*") if file.is_file()]
        mails = [message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
        return {str(mail["X-RcptTo"]): mail for mail in mails}

    def arrives(self, recipient: str, *, seconds: float) -> float:
        """Wait for a mail to somebody; returns after how many seconds it came."""
        said = f"no mail for {recipient} arrives"
        return wait_for(lambda: recipient in self.mails(), seconds=seconds, else_say=said)

    def settled(self) -> bool:
        with self.runtime.reading() as session:
            return set(session.exec(select(Delivery.state))) == {DeliveryState.ACCEPTED}

    @contextmanager
    def worker(self) -> Iterator[None]:
        """One worker process as the Procfile starts it, past its first tick."""
        write_to_ana(self.runtime)
        with process(BIN / "dramatiq", "notifier.worker:start", "--processes=1", "--threads=2", **self.environment):
            self.arrives("ana@hosting.example", seconds=30)
            yield

    @contextmanager
    def web(self) -> Iterator[httpx.Client]:
        """The web process as the Procfile starts it."""
        where = ["--interface=wsgi", "--host=127.0.0.1", f"--port={self.web_port}", "--workers=1"]
        factory = ["--factory", "notifier.web:create_app_from_environment"]
        with (
            process(BIN / "granian", *where, *factory, **self.environment),
            httpx.Client(base_url=f"http://127.0.0.1:{self.web_port}") as client,
        ):
            wait_for(lambda: answers(self.web_port), seconds=30, else_say="the web process does not answer")
            yield client


@contextmanager
def house(database_url: str, broker_url: str, folder: Path, *, sweep_seconds: float) -> Iterator[House]:
    """An installation with a relay that takes everything."""
    mail_port, web_port, maildir = free_port(), free_port(), folder / "maildir"
    mail = {"sender": "smtp", "host": "127.0.0.1", "port": mail_port, "security": "none"}
    said = {"database_url": database_url, "broker_url": broker_url, "sweep_seconds": sweep_seconds}
    environment = {f"NOTIFIER_{name.upper()}": str(value) for name, value in said.items()}
    environment |= {f"NOTIFIER_MAIL__{name.upper()}": str(value) for name, value in mail.items()}
    environment["NOTIFIER_DATA_DIR"] = str(folder)
    runtime = make_runtime(database_url, folder, broker_url=broker_url, sweep_seconds=sweep_seconds, mail=mail)
    with runtime.transaction() as session:
        make_provider(session, base_url=f"http://127.0.0.1:{web_port}")
    relay = ["-n", "-l", f"127.0.0.1:{mail_port}", "-c", "aiosmtpd.handlers.Mailbox", str(maildir)]
    try:
        with process(BIN / "aiosmtpd", *relay):
            wait_for(lambda: answers(mail_port), seconds=15, else_say="the relay does not answer")
            yield House(runtime=runtime, environment=environment, web_port=web_port, maildir=maildir)
    finally:
        runtime.close()


def write_to_ana(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        user = make_user(session)
        letters.post_sign_in(session, runtime.desk, user, valid_until=now() + timedelta(hours=1), now=now())


def publish(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_client(session, "C-001")
        make_announcement(session, runtime.desk, now=now())


def link_in(mail: EmailMessage) -> str:
    """Return the path of the link that a mail carries."""
    text = mail.get_body(("plain",))
    assert text
    found = re.search(r"http\S+/notice/[\w-]+", text.get_content())
    assert found
    return urlsplit(found[0]).path


@pytest.fixture(params=["rabbitmq", "redis"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """A broker that answers; on Redis, in a database of these tests' own."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return f"{url.rpartition('/')[0]}/9" if request.param == "redis" else url


@pytest.mark.slow
def test_a_bell_brings_the_notice_at_once_and_its_link_opens(
    postgresql_url: str, broker_url: str, tmp_path: Path
) -> None:
    with house(postgresql_url, broker_url, tmp_path, sweep_seconds=LONGEST_SWEEP) as installed:
        installed.runtime.broker.flush_all()
        with installed.web() as browser, installed.worker():
            publish(installed.runtime)
            installed.arrives("dpo@c-001.example", seconds=SOON)
            wait_for(installed.settled, seconds=SOON, else_say="an accepted mail is not written down")

            link = link_in(installed.mails()["dpo@c-001.example"])
            pages = {path: browser.get(path) for path in ("/healthz", "/readyz", "/subprocessors", link)}

    assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(pages, HTTPStatus.OK)
    assert "Company C-001" in pages[link].text
    assert "Fibrexemple" in pages["/subprocessors"].text


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["amqp://guest:guest@127.0.0.1:{}", "redis://127.0.0.1:{}/9"])
def test_without_its_broker_the_sweep_brings_the_notice(postgresql_url: str, scheme: str, tmp_path: Path) -> None:
    nobody_there = scheme.format(free_port())
    with house(postgresql_url, nobody_there, tmp_path, sweep_seconds=1) as installed, installed.worker():
        publish(installed.runtime)
        installed.arrives("dpo@c-001.example", seconds=SOON)
        wait_for(installed.settled, seconds=SOON, else_say="an accepted mail is not written down")
