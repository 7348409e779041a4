"""A migration that is killed at any of its statements leaves the tables as they were, or as they are to be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from notifier import runtime as wiring
from notifier import schema
from notifier.runtime import now
from tests.factories import make_announcement, make_client, make_provider, make_runtime

KILLED = 137
IS_LONG = os.environ.get("NOTIFIER_FAULTS") == "long"
PLACES = {"0006": 8, "base": 3}  # of all statements, in the short form


@dataclass
class Copies:
    """Databases of one revision, filled; each copy is migrated, and killed, once."""

    kind: str
    folder: Path
    server: sa.URL | None
    made: list[str] = field(default_factory=list)

    def empty(self) -> str:
        name = f"notifier_kills_{uuid4().hex[:12]}"
        if self.server is None:
            return f"sqlite:///{self.folder / name}.db"
        self._administer(f"CREATE DATABASE {name}")
        return self.server.set(database=name).render_as_string(hide_password=False)

    def copy(self, url: str) -> str:
        name, original = f"notifier_kills_{uuid4().hex[:12]}", str(sa.make_url(url).database)
        if self.server is None:
            return f"sqlite:///{shutil.copy(original, self.folder / f'{name}.db')}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {original}")
        return self.server.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        name = str(sa.make_url(url).database)
        if self.server is None:
            Path(name).unlink()
        else:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        assert self.server is not None
        engine = sa.create_engine(self.server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def copies(request: pytest.FixtureRequest, tmp_path: Path) -> Copies:
    server = request.getfixturevalue("postgresql_server") if request.param == "postgresql" else None
    return Copies(request.param, tmp_path, server)


def settled(url: str, folder: Path, revision: str) -> None:
    """Leave a story in a database, and take its tables down to a revision."""
    engine = wiring.make_engine(url)
    schema.migrate(engine)
    runtime = make_runtime(url, folder)
    with runtime.transaction() as session:
        make_provider(session)
        make_client(session)
        make_announcement(session, runtime.desk, now=now())
    runtime.close()
    with schema.migrating(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def migrate_in_a_process(url: str, before_each: Callable[[int], None]) -> int:
    """Migrate in a process of its own, which hears of each statement before it is made; returns how it ended."""
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            engine, count = wiring.make_engine(url), 0

            @sa.event.listens_for(engine, "before_cursor_execute")
            def _count(*_said: object) -> None:
                nonlocal count
                count += 1
                before_each(count)

            schema.migrate(engine)
            ended = 0
        finally:
            os._exit(ended)
    _child, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def statements(url: str, folder: Path) -> int:
    """How many statements the migration of this database makes."""
    file = folder / f"count-{uuid4().hex}"
    assert migrate_in_a_process(url, lambda number: void(file.write_text(str(number)))) == 0
    return int(file.read_text())


def void(_value: object) -> None:
    """For what is done for its effect."""


def die_at(place: int) -> Callable[[int], None]:
    return lambda number: os._exit(KILLED) if number == place else None


def state(url: str) -> tuple[str, dict[str, int]]:
    """The revision, and how many rows each table has."""
    engine = wiring.make_engine(url)
    with engine.connect() as connection:
        tables = sorted(set(sa.inspect(connection).get_table_names()) - {"alembic_version"})
        rows = {
            name: int(connection.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one())
            for name in tables
        }
    revision = schema.revision(engine)
    engine.dispose()
    return revision, rows


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("revision", ["0006", "base"])
def test_a_migration_killed_at_a_statement_leaves_the_old_tables_or_the_new_and_starts_again(
    copies: Copies, tmp_path: Path, revision: str
) -> None:
    original = copies.empty()
    settled(original, tmp_path / "data", revision)
    before = state(original)
    done = copies.copy(original)
    total = statements(done, tmp_path)
    after = state(done)
    copies.drop(done)
    step = 1 if IS_LONG else max(1, total // PLACES[revision])
    places = sorted({*range(1, total + 1, step), total})

    for place in places:
        killed = copies.copy(original)
        assert migrate_in_a_process(killed, die_at(place)) == KILLED
        assert state(killed) in (before, after)
        runtime = make_runtime(killed, tmp_path / f"start-{place}")
        schema.migrate(runtime.engine)
        assert schema.is_current(runtime.engine)
        assert runtime.check_instance()
        runtime.close()
        assert set(state(killed)[1]) == set(after[1])
        copies.drop(killed)

    copies.drop(original)
    print(f"{copies.kind}, from {revision}: killed at {len(places)} of {total} statements")  # noqa: T201 - the figure of this test
