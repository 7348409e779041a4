"""Taking in mails that came back, by command."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from notifier.cli import main
from notifier.models import BounceMail
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime
from tests.factories import NOON, make_announcement, make_client, make_provider, make_runtime
from tests.services.stories import deliveries, send_due

FAILED = (
    b"From: MAILER-DAEMON@relay.example\nSubject: Undelivered Mail Returned to Sender\n\n"
    b"<dpo@c-001.example>: host mx.example said: 550 5.1.1 User unknown\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOTIFIER_MAIL__BOUNCE_ADDRESS", "bounces@hosting.example")
    monkeypatch.setenv("NOTIFIER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def runtime(sqlite_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    monkeypatch.setenv("NOTIFIER_DATABASE_URL", sqlite_url)
    return make_runtime(sqlite_url, folder / "data")


def bounce(runtime: Runtime) -> bytes:
    with runtime.transaction() as session:
        make_provider(session)
        make_client(session)
        make_announcement(session, runtime.desk)
        (mail,) = send_due(session, runtime.desk, now=NOON)
    runtime.close()
    return b"Delivered-To: " + mail.sender.encode() + b"\n" + FAILED


def test_files_are_taken_in_once_each(runtime: Runtime, folder: Path) -> None:
    for name in ("one.eml", "same.eml"):
        (folder / name).write_bytes(bounce(runtime) if name == "one.eml" else (folder / "one.eml").read_bytes())

    ran = CliRunner().invoke(main, ["bounces", "intake", str(folder / "one.eml"), str(folder / "same.eml")])

    assert (ran.exit_code, ran.output.count("failed, about a mail of ours (by its tag)")) == (0, 2)
    with Session(runtime.engine) as session:
        assert deliveries(session)[0].state is DeliveryState.REFUSED
        assert len(session.exec(select(BounceMail)).all()) == 1
    runtime.close()


def test_a_mail_comes_through_a_pipe(runtime: Runtime) -> None:
    ran = CliRunner().invoke(main, ["bounces", "intake", "-"], input=bounce(runtime))

    assert (ran.exit_code, ran.output) == (0, "-: failed, about a mail of ours (by its tag)\n")


def test_what_is_not_ours_is_said_to_be_none_of_ours(runtime: Runtime) -> None:
    runtime.close()
    forged = b"Delivered-To: bounces+" + b"a" * 48 + b"@hosting.example\n" + FAILED

    strange, wrong = (CliRunner().invoke(main, ["bounces", "intake", "-"], input=one) for one in (FAILED, forged))

    assert (strange.exit_code, strange.output) == (0, "-: failed, about no mail of ours\n")
    assert (wrong.exit_code, wrong.stdout.splitlines()[-1]) == (0, "-: a forged tag: left aside")


def test_where_one_file_cannot_be_read_none_is_taken_in(runtime: Runtime, folder: Path) -> None:
    (folder / "one.eml").write_bytes(bounce(runtime))

    ran = CliRunner().invoke(main, ["bounces", "intake", str(folder / "one.eml"), str(folder / "none.eml")])

    assert ran.exit_code == 2
    assert ran.output.count("\n") == 1
    assert "none.eml cannot be read: No such file or directory" in ran.output
    with Session(runtime.engine) as session:
        assert session.exec(select(BounceMail)).all() == []
    runtime.close()


def test_when_the_database_is_away_the_mail_server_is_asked_to_keep_the_mail(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = bounce(runtime)

    def fail(*_args: object, **_named: object) -> None:
        raise OperationalError("", {}, Exception("away"))

    monkeypatch.setattr("notifier.services.bounces.take_in", fail)
    ran = CliRunner().invoke(main, ["bounces", "intake", "-"], input=mail)

    assert (ran.exit_code, ran.output) == (75, "notifier: the database does not answer: away\n")
