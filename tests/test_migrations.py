from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlmodel import Session, SQLModel

from notifier import runtime as wiring
from tests.factories import make_announcement, make_client, make_provider, make_runtime, make_user

TABLES = set(SQLModel.metadata.tables)


@pytest.fixture
def new_sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'migrated.db'}"


@pytest.fixture
def new_postgresql(postgresql_server: sa.URL) -> Iterator[str]:
    """A database of its own: one taken down half-way must not be another test's."""
    name = f"notifier_migrations_{uuid4().hex[:12]}"
    server = sa.create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield postgresql_server.set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """A database without a single table."""
    engine = wiring.make_engine(request.getfixturevalue(f"new_{request.param}"))
    yield engine
    engine.dispose()


def run(engine: sa.Engine, step: Callable[[Config], object]) -> None:
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(wiring.MIGRATIONS))
        config.attributes["connection"] = connection
        step(config)


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names()) - {"alembic_version"}


def fill(engine: sa.Engine, data_dir: Path) -> None:
    """Leave rows in nearly every table: a story up to a published announcement."""
    url = engine.url.render_as_string(hide_password=False)
    runtime = make_runtime(url, data_dir)
    with runtime.transaction() as session:
        make_provider(session)
        make_user(session)
        make_client(session, contacts=[{}, {"email": "legal@client.example", "language": "fr"}])
        make_announcement(session, runtime.desk)
    runtime.close()


def counts(engine: sa.Engine) -> dict[str, int]:
    with Session(engine) as session:
        return {
            name: session.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one()
            for name in sorted(tables(engine))
        }


def test_the_models_say_nothing_that_the_migrations_do_not(empty_engine: sa.Engine) -> None:
    run(empty_engine, lambda config: command.upgrade(config, "head"))

    run(empty_engine, command.check)  # raises where they differ
    assert tables(empty_engine) == TABLES
    assert wiring.is_current(empty_engine)


def test_an_empty_database_goes_down_and_up_again(empty_engine: sa.Engine) -> None:
    run(empty_engine, lambda config: command.upgrade(config, "head"))

    run(empty_engine, lambda config: command.downgrade(config, "base"))
    assert tables(empty_engine) == set()

    run(empty_engine, lambda config: command.upgrade(config, "head"))
    run(empty_engine, command.check)


def test_a_filled_database_goes_down_and_up_again(empty_engine: sa.Engine, tmp_path: Path) -> None:
    wiring.migrate(empty_engine)
    fill(empty_engine, tmp_path / "data")
    assert counts(empty_engine)["delivery"] == 2

    run(empty_engine, lambda config: command.downgrade(config, "base"))
    run(empty_engine, lambda config: command.upgrade(config, "head"))

    run(empty_engine, command.check)
    assert set(counts(empty_engine).values()) == {0}


def test_migrating_again_changes_nothing(empty_engine: sa.Engine, tmp_path: Path) -> None:
    wiring.migrate(empty_engine)
    fill(empty_engine, tmp_path / "data")
    before = counts(empty_engine)

    wiring.migrate(empty_engine)

    assert counts(empty_engine) == before


def test_every_constraint_has_a_name_that_a_later_migration_can_use(empty_engine: sa.Engine) -> None:
    wiring.migrate(empty_engine)

    found = sa.inspect(empty_engine)
    unnamed = [
        (table, constraint["name"])
        for table in sorted(TABLES)
        for constraint in [*found.get_unique_constraints(table), *found.get_foreign_keys(table)]
        if not constraint["name"]
    ]
    assert unnamed == []
