"""The database's tables, and the migrations that bring them up to date.

Apart from the wiring because of what it carries: a worker neither migrates nor needs Alembic in its memory.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from notifier.runtime import READ_ONLY, make_engine
from notifier.settings import BadSettings

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(engine: sa.Engine) -> None:
    """Bring the database's tables up to date."""
    with migrating(engine) as connection:
        command.upgrade(_alembic(connection), "head")


@contextmanager
def migrating(engine: sa.Engine) -> Generator[sa.Connection]:
    """A transaction in which tables may be made anew.

    SQLite changes a table by copying it, which its foreign keys do not survive while they are watched; they are looked
    over before the commit.
    """
    with engine.connect() as connection:
        is_sqlite = engine.dialect.name == "sqlite"
        if is_sqlite:
            _say(connection, "PRAGMA foreign_keys=OFF")  # no transaction may be open yet
        try:
            with connection.begin():
                yield connection
                if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise BadSettings("a migration would leave rows that point at nothing: nothing has been changed")
        finally:
            if is_sqlite:
                _say(connection, "PRAGMA foreign_keys=ON")


def _say(connection: sa.Connection, statement: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(statement)
    cursor.close()


def is_current(engine: sa.Engine) -> bool:
    """Say whether the database's tables are those that this code knows."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:  # it waits for no writer
        present = MigrationContext.configure(connection).get_current_revision()
    return present == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def revision(engine: sa.Engine) -> str:
    """Return the revision of the database's tables; empty where there are none."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def knows(revision: str) -> bool:
    """Say whether this code has come past a revision of the tables; an empty one is that of an empty database."""
    return not revision or revision in {one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}


def _alembic(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def write_migration(message: str) -> Path:
    """Write a migration for what the models say and the migrations so far do not; for those who develop the product."""
    engine = make_engine("sqlite://")
    with engine.connect() as connection:
        config = _alembic(connection)
        command.upgrade(config, "head")
        number = len(list((MIGRATIONS / "versions").glob("[0-9]*.py"))) + 1
        script = command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04d}")
    if script is None or isinstance(script, list):
        raise BadSettings("no migration was written")
    return Path(script.path)
