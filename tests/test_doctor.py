"""The doctor: each fault is found, with what to do, and nothing is changed by looking."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from click.testing import CliRunner

from notifier import schema
from notifier.adapters.dns import NoAnswer
from notifier.adapters.sending import Mail, flaw
from notifier.cli import doctor, main
from notifier.cli.doctor import Asked, examine
from notifier.models import BounceDoor, BounceMail
from notifier.rules.bounces import BounceKind
from notifier.rules.checkup import Finding, Level
from notifier.runtime import Runtime, now
from notifier.services import holds
from tests.factories import make_provider, make_runtime
from tests.sink import Sink

RECORDS = {
    "hosting.example": ["v=spf1 -all"],
    "s1._domainkey.hosting.example": ["v=DKIM1; p=MIGfMA0"],
    "_dmarc.hosting.example": ["v=DMARC1; p=reject"],
}


def records(name: str) -> list[str]:
    return RECORDS.get(name, [])


def look(runtime: Runtime, **asked: Any) -> dict[str, Finding]:  # noqa: ANN401 - fields of any type
    """Return what was found, by what was looked at."""
    return {one.what: one for one in examine(runtime, Asked(**{"texts": records, "selector": "s1", **asked}))}


def started(database_url: str, folder: Path, **settings: Any) -> Runtime:  # noqa: ANN401 - settings of any type
    """An instance with a complete profile that has been started once."""
    runtime = make_runtime(database_url, folder, **settings)
    with runtime.transaction() as session:
        make_provider(session, base_url="http://127.0.0.1:1")
    runtime.check_instance()
    return runtime


@pytest.fixture
def runtime(database_url: str, tmp_path: Path) -> Iterator[Runtime]:
    runtime = started(database_url, tmp_path / "var")
    yield runtime
    runtime.close()


@pytest.fixture
def mailing(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[Runtime, Sink]]:
    """An instance that hands mails to a relay, and takes in what comes back."""
    with Sink() as sink:
        mail = {"sender": "smtp", "host": "127.0.0.1", "port": sink.port, "security": "none"}
        mail["bounce_address"] = "bounces@hosting.example"
        runtime = started(sqlite_url, tmp_path / "var", mail=mail, bounces={"lmtp_port": 2424})
        yield runtime, sink
        runtime.close()


def test_a_database_that_may_lose_commits_is_a_failure(runtime: Runtime) -> None:
    found = look(runtime)["database"]

    if runtime.engine.dialect.name == "sqlite":
        assert (found.level, found.todo) == (Level.OK, "")
    elif "NOTIFIER_TEST_DATABASE_URL" not in os.environ:  # the tests' own server runs without these
        assert found.level is Level.FAILED
        assert "fsync and full_page_writes and synchronous_commit off" in found.said


def test_tables_of_another_version_end_the_look(runtime: Runtime) -> None:
    with runtime.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    try:
        (only,) = examine(runtime, Asked(texts=records))
    finally:
        with runtime.engine.begin() as connection:
            head = ScriptDirectory(str(schema.MIGRATIONS)).get_current_head()
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :head"), {"head": head})

    assert (only.what, only.level, only.todo) == ("tables", Level.FAILED, "run `notifier upgrade`")


def test_a_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    url = "postgresql+psycopg://notifier:secret@127.0.0.1:1/notifier"
    runtime = make_runtime(url, tmp_path / "var")

    (only,) = examine(runtime, Asked(texts=records))

    runtime.close()
    assert (only.what, only.level) == ("database", Level.FAILED)
    assert "secret" not in only.said


def test_a_hold_is_a_failure_and_a_mailbox_a_warning(runtime: Runtime) -> None:
    assert look(runtime)["sending"].level is Level.WARNING

    with runtime.transaction() as session:
        holds.hold(session, why="The relay moves.", by="cli:0", now=now())

    assert look(runtime)["sending"].level is Level.FAILED


def test_pages_in_clear_that_do_not_answer_are_two_failures(runtime: Runtime) -> None:
    found = [one for one in examine(runtime, Asked(texts=records)) if one.what.startswith("pages at")]

    assert [one.level for one in found] == [Level.FAILED] * 2
    assert "not https" in found[0].said


def test_the_age_of_the_newest_backup_is_judged(runtime: Runtime) -> None:
    assert look(runtime)["backup"].level is Level.WARNING
    folder = runtime.settings.data_dir / "backups"
    folder.mkdir()
    file = folder / "today.tar.gz"
    file.write_text("")
    assert look(runtime)["backup"].level is Level.OK

    for age, level in ((timedelta(days=3), Level.WARNING), (timedelta(days=15), Level.FAILED)):
        made = (now() - age).timestamp()
        os.utime(file, (made, made))
        assert look(runtime, backups=folder)["backup"].level is level


def test_a_broker_that_is_away_is_a_warning_since_mails_leave_without_it(sqlite_url: str, tmp_path: Path) -> None:
    runtime = make_runtime(sqlite_url, tmp_path / "var", broker_url="redis://127.0.0.1:1/0")

    found = look(runtime)["broker"]

    runtime.close()
    assert found.level is Level.WARNING


def test_the_mail_domain_and_the_relay_are_looked_at_and_nothing_is_sent(mailing: tuple[Runtime, Sink]) -> None:
    runtime, sink = mailing

    found = look(runtime)

    assert found["SPF of hosting.example"].level is Level.OK
    assert found["DKIM s1._domainkey.hosting.example"].level is Level.OK
    assert found["DMARC of hosting.example"].level is Level.OK
    assert found[f"relay 127.0.0.1:{sink.port}"].level is Level.OK
    assert "PIPELINING" in found["extensions of the relay"].said
    assert "--round-trip" in found["mails that come back"].todo
    assert sink.mails == []


def test_records_that_nobody_can_ask_for_are_a_warning(mailing: tuple[Runtime, Sink]) -> None:
    def silent(name: str) -> list[str]:
        raise NoAnswer(f"no name server answers for {name}")

    found = look(mailing[0], texts=silent)

    assert found["records of the mail domain"].level is Level.WARNING


def test_a_relay_that_is_away_is_a_failure(mailing: tuple[Runtime, Sink]) -> None:
    runtime = mailing[0]
    mail = runtime.settings.mail.model_copy(update={"port": 1})
    away = replace(runtime, settings=runtime.settings.model_copy(update={"mail": mail}))

    assert look(away)["relay 127.0.0.1:1"].level is Level.FAILED


# --- the round trip --------------------------------------------------------------------------------------------------


def keep(runtime: Runtime, content: bytes) -> None:
    """What the intake does with a mail that came back."""
    with runtime.transaction() as session:
        session.add(
            BounceMail(
                received_at=now(),
                digest=hashlib.sha256(content).hexdigest(),
                content=content,
                kind=BounceKind.DELAYED,
                how=BounceDoor.LMTP,
                report={},
            )
        )


def test_a_round_trip_ends_when_the_mail_has_been_taken_in(
    mailing: tuple[Runtime, Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, sink = mailing
    monkeypatch.setattr(doctor, "PAUSE", 0.05)
    come_back = threading.Timer(0.5, lambda: keep(runtime, sink.contents[0]))
    come_back.start()

    found = look(runtime, round_trip=20.0)["mails that come back"]

    come_back.join()
    assert (found.level, found.todo) == (Level.OK, "")
    (mail,) = sink.mails
    tag = mail.recipient.partition("+")[2].partition("@")[0]
    assert runtime.desk.keyring.read_envelope_tag(tag)


def test_a_round_trip_that_never_ends_is_a_failure(
    mailing: tuple[Runtime, Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PAUSE", 0.05)

    found = look(mailing[0], round_trip=0.2)["mails that come back"]

    assert found.level is Level.FAILED
    assert "has not been taken in" in found.said


def test_what_is_sent_is_a_report_of_a_delay_which_ends_nothing() -> None:
    sent = doctor.probe("notices@hosting.example", "bounces+tag@hosting.example", "f" * 32, now())

    message = message_from_bytes(sent)
    assert message.get_content_type() == "multipart/report"
    assert b"Action: delayed" in sent
    mail = Mail(
        delivery_id=UUID(int=1),
        sender="notices@hosting.example",
        recipient="bounces+tag@hosting.example",
        content=sent,
        attempt=1,
        sha256="",
    )
    assert flaw(mail) == ""


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_ends_with_one_where_something_failed(runtime: Runtime) -> None:
    url = runtime.engine.url.render_as_string(hide_password=False)
    environment = {"NOTIFIER_DATA_DIR": str(runtime.settings.data_dir), "NOTIFIER_DATABASE_URL": url}

    ran = CliRunner().invoke(main, ["doctor"], env=environment)

    assert ran.exit_code == 1
    assert "What to do" in ran.output
    assert "failed" in ran.output
    assert "Traceback" not in ran.output
