from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlmodel import Session, SQLModel, select

from notifier import runtime as wiring
from notifier import schema
from notifier.models import Edition, Entry, Notice, Sealed
from notifier.rules.entries import Place
from notifier.services import registry
from tests.factories import NOON, PACK, make_announcement, make_client, make_provider, make_runtime, make_user

OLD_RULE = {
    "mode": "notice_with_exit", "period": "30 days", "counting": "FR_CAL", "calendar": "FR",
    "timezone": "Europe/Paris", "margin_days": 2, "receipt": "deemed", "cutoff": "18:00", "addressees": "all",
    "clause": "Art. 5", "unconfirmed": [],
    "says": {"en": {"silence": "s", "remedy": "r"}, "fr": {"silence": "s", "remedy": "r"}},
}  # fmt: skip
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
    with schema.migrating(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(schema.MIGRATIONS))
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
    assert schema.is_current(empty_engine)


def test_an_empty_database_goes_down_and_up_again(empty_engine: sa.Engine) -> None:
    run(empty_engine, lambda config: command.upgrade(config, "head"))

    run(empty_engine, lambda config: command.downgrade(config, "base"))
    assert tables(empty_engine) == set()

    run(empty_engine, lambda config: command.upgrade(config, "head"))
    run(empty_engine, command.check)


def test_a_filled_database_goes_down_and_up_again(empty_engine: sa.Engine, tmp_path: Path) -> None:
    schema.migrate(empty_engine)
    fill(empty_engine, tmp_path / "data")
    assert counts(empty_engine)["delivery"] == 2

    run(empty_engine, lambda config: command.downgrade(config, "base"))
    run(empty_engine, lambda config: command.upgrade(config, "head"))

    run(empty_engine, command.check)
    assert set(counts(empty_engine).values()) == {0}


@pytest.fixture
def engine_of_0001(empty_engine: sa.Engine) -> sa.Engine:
    """A database of the first version, with one announcement that went live before its client's period was over."""
    run(empty_engine, lambda config: command.upgrade(config, "0001"))
    at, ids = datetime(2026, 3, 2, 12, tzinfo=UTC), {name: uuid4() for name in ("version", "announcement", "client")}
    tables = sa.MetaData()
    tables.reflect(empty_engine)
    hexed = empty_engine.dialect.name == "sqlite"  # which knows neither UUIDs nor zones
    stamp = at.replace(tzinfo=None) if hexed else at
    later = stamp + timedelta(days=32)
    known = {name: one.hex if hexed else one for name, one in ids.items()}
    terms, sealed = ((uuid4().hex if hexed else uuid4()) for _ in range(2))
    rows: list[tuple[str, dict[str, object]]] = [
        ("version", {"id": known["version"], "number": 2, "revision": 1, "created_at": stamp, "created_by": "",
                     "published_by": "", "live_at": stamp}),
        ("announcement", {"id": known["announcement"], "kind": "subprocessor", "state": "live",
                          "reference": "SP-2026-0002", "version_id": known["version"], "changes": [],
                          "reasons": {"en": "a", "fr": "b"}, "effective_on": at.date(), "effective_at": stamp,
                          "published_at": stamp, "published_by": "ana", "live_at": stamp, "live_by": "ana",
                          "breach_reason": "It burnt down."}),
        ("client", {"id": known["client"], "key": "C-1", "company": "Acme", "group": "", "account_manager": "",
                    "account_manager_name": "", "address": "", "postcode": "", "town": "", "country": "",
                    "reseller": False, "services": [], "email_accepted": True, "created_at": stamp}),
        ("terms", {"id": terms, "client_id": known["client"], "pack": PACK, "signed_on": at.date(),
                   "recorded_at": stamp}),
        ("sealed", {"id": sealed, "announcement_id": known["announcement"], "pack": PACK, "rule": OLD_RULE,
                    "received_on": at.date(), "last_day": date(2026, 4, 3), "until": later, "steps": [],
                    "sealed_at": stamp, "versions": {}}),
        ("notice", {"id": uuid4().hex if hexed else uuid4(), "announcement_id": known["announcement"],
                    "client_id": known["client"], "terms_id": terms, "sealed_id": sealed, "state": "running",
                    "object_by": date(2026, 4, 3), "object_until": later, "received_how": "relay",
                    "raised_at": stamp}),
    ]  # fmt: skip
    with empty_engine.begin() as connection:
        for table, row in rows:
            connection.execute(tables.tables[table].insert().values(**row))
    return empty_engine


def test_what_the_first_version_left_reads_as_it_was(engine_of_0001: sa.Engine) -> None:
    schema.migrate(engine_of_0001)

    run(engine_of_0001, command.check)
    with Session(engine_of_0001) as session:
        notice, sealed = session.exec(select(Notice)).one(), session.exec(select(Sealed)).one()
        assert (notice.holds_until, notice.live_at, notice.live_in_breach) == (notice.object_until, NOON, True)
        assert (sealed.terms_key, sealed.opens_at, str(sealed.counted.period)) == (PACK, sealed.until, "30 days")
        edition = session.exec(select(Edition)).one()
        assert (edition.number, edition.in_substance, edition.reasons) == (1, True, {"en": "a", "fr": "b"})

    run(engine_of_0001, lambda config: command.downgrade(config, "0001"))
    assert counts(engine_of_0001)["notice"] == 1


@pytest.fixture
def engine_of_0002(empty_engine: sa.Engine) -> sa.Engine:
    """A database in which every version was a copy of the whole list: two of them, and a draft."""
    run(empty_engine, lambda config: command.upgrade(config, "0002"))
    tables = sa.MetaData()
    tables.reflect(empty_engine)
    hexed = empty_engine.dialect.name == "sqlite"
    at = datetime(2026, 3, 2, 12, tzinfo=None if hexed else UTC)
    site = {"key": "site", "name": "Site", "town": "Pantin", "country": "FR", "activity": "Datacenter",
            "site_kind": "production"}  # fmt: skip
    fibre = {"key": "fibre", "name": "Fibre", "activity": "Dark fibre", "country": "FR"}
    lists = [(1, None, [site, fibre]), (2, None, [site, {**fibre, "town": "Lyon"}]), (None, True, [site])]
    empty = dict.fromkeys(("address", "postcode", "town", "site_kind", "replaces"), "")
    with empty_engine.begin() as connection:
        for number, draft, entries in lists:
            version = uuid4().hex if hexed else uuid4()
            row = {"id": version, "number": number, "draft": draft, "revision": 1, "created_at": at,
                   "created_by": "ana", "published_by": "", "published_at": at if number else None}  # fmt: skip
            connection.execute(tables.tables["version"].insert().values(**row))
            for position, entry in enumerate(entries):
                made = {"id": uuid4().hex if hexed else uuid4(), "version_id": version, "position": position}
                connection.execute(tables.tables["entry"].insert().values(**{**empty, **made, **entry}))
    return empty_engine


def test_lists_that_were_copied_for_each_version_say_the_same_as_before(engine_of_0002: sa.Engine) -> None:
    schema.migrate(engine_of_0002)

    with Session(engine_of_0002) as session:
        first, second = (registry.entries(session, registry.get(session, number)) for number in (1, 2))
        assert [(entry.name, entry.town, entry.activities) for entry in first] == [
            ("Site", "Pantin", ("Datacenter",)), ("Fibre", "", ("Dark fibre",)),
        ]  # fmt: skip
        assert first[0].places == (Place(country="FR", site="Pantin", kind="production"),)
        assert (second[0], second[1].town) == (first[0], "Lyon")
        assert [(one.kind.value, one.name) for one in registry.draft_changes(session)] == [("removed", "Fibre")]
        assert {(row.key, row.since, row.until) for row in session.exec(select(Entry))} == {
            ("site", 1, None), ("fibre", 1, 2), ("fibre", 2, None),
        }  # fmt: skip

    run(engine_of_0002, lambda config: command.downgrade(config, "0002"))
    assert counts(engine_of_0002)["entry"] == 5


def test_whatever_a_board_counts_is_watched(empty_engine: sa.Engine) -> None:
    """SQLite forgets the triggers of a table that a migration makes anew."""
    schema.migrate(empty_engine)

    is_sqlite = empty_engine.dialect.name == "sqlite"
    listed = "SELECT name FROM sqlite_master WHERE type = 'trigger'" if is_sqlite else "SELECT tgname FROM pg_trigger"
    with empty_engine.connect() as connection:
        found = set(connection.exec_driver_sql(listed).scalars())
    watched = (
        "announcement", "notice", "sealed", "answer", "item", "delivery", "delivery_notice", "client", "terms",
    )  # fmt: skip
    assert {f"stamp_{table}_{verb}" for table in watched for verb in ("insert", "update", "delete")} <= found


def test_migrating_again_changes_nothing(empty_engine: sa.Engine, tmp_path: Path) -> None:
    schema.migrate(empty_engine)
    fill(empty_engine, tmp_path / "data")
    before = counts(empty_engine)

    schema.migrate(empty_engine)

    assert counts(empty_engine) == before


def test_every_constraint_has_a_name_that_a_later_migration_can_use(empty_engine: sa.Engine) -> None:
    schema.migrate(empty_engine)

    found = sa.inspect(empty_engine)
    unnamed = [
        (table, constraint["name"])
        for table in sorted(TABLES)
        for constraint in [*found.get_unique_constraints(table), *found.get_foreign_keys(table)]
        if not constraint["name"]
    ]
    assert unnamed == []
