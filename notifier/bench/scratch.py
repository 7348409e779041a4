"""A database of its own for a measurement, of the configured kind and in the configured place, gone afterwards; and a
provider with clients in it.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from notifier import runtime as wiring
from notifier import schema
from notifier.bench.child import BenchFailed
from notifier.bench.sink import HOST
from notifier.models import Announcement, Client, Contact, Terms
from notifier.models.base import uuid7
from notifier.rules.entries import Entry, Place
from notifier.rules.registry_diff import slug
from notifier.runtime import Runtime, now
from notifier.services import announcements, provider, registry
from notifier.settings import Settings, load

BY = "bench"
PACK = "outscale-hds-2022"
TERMS = 40  # that differ, in turn among the clients
CHUNK = 5_000  # clients of one insert
NOTICE = timedelta(days=365)  # from today to the effective day: longer than any of the terms
PROVIDER = MappingProxyType(
    {
        "legal_name": "Hébergement Exemple SAS",
        "address": "1 rue des Exemples\n75000 Paris\nFrance",
        "timezone": "Europe/Paris",
        "sender_name": "Hébergement Exemple",
        "sender_address": "notices@hosting.example",
        "reply_to": "privacy@hosting.example",
        "privacy_contact": "privacy@hosting.example",
        "base_url": "https://notices.hosting.example",
        "languages": "en fr",
    }
)
REASONS = MappingProxyType(
    {
        "en": "FIBREXEMPLE stops its dark-fibre service. OPTEXEMPLE takes the same route over, between the same sites.",
        "fr": "FIBREXEMPLE met fin à son service de fibre noire. OPTEXEMPLE reprend le tracé, entre les mêmes sites.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """Where a measurement works: what to load settings with, and the working parts made of them."""

    folder: Path
    overrides: Mapping[str, Any]
    runtime: Runtime

    @property
    def database(self) -> str:
        return self.runtime.engine.dialect.name


@contextmanager
def scratch(settings: Settings, *, port: int, sessions: int) -> Iterator[Scratch]:
    """A migrated, empty database beside the configured one, whose mails go to `port`; nothing of it stays.

    SQLite: a file in a new folder in the data folder (on its disk), or among the temporary files where there is none
    yet.  PostgreSQL: a schema of its own in the configured database.
    """
    beside = settings.data_dir if settings.data_dir.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=beside) as folder,
        _database(settings.database, Path(folder)) as url,
    ):
        overrides = {"database_url": url, "broker_url": "", "mail": to_sink(port, sessions)}
        runtime = wiring.build(load(Path(folder), overrides))
        try:
            schema.migrate(runtime.engine)
            yield Scratch(folder=Path(folder), overrides=overrides, runtime=runtime)
        finally:
            runtime.close()


def to_sink(port: int, sessions: int) -> dict[str, Any]:
    """Return the settings of mail that lead to a sink on this machine, whatever is configured."""
    relay = {"host": HOST, "port": port, "security": "none", "username": "", "password": "", "ca_file": ""}
    return {"sender": "smtp", "sessions": sessions, **relay}


@contextmanager
def _database(url: str, folder: Path) -> Iterator[str]:
    if url.startswith("sqlite"):
        yield f"sqlite:///{folder / 'bench.db'}"
        return
    schema = f"notifier_bench_{secrets.token_hex(6)}"
    _administer(url, f"CREATE SCHEMA {schema}")
    try:
        own = sa.make_url(url).update_query_pairs([("options", f"-csearch_path={schema}")], append=True)
        yield own.render_as_string(hide_password=False)
    finally:
        _administer(url, f"DROP SCHEMA {schema} CASCADE")


def _administer(url: str, statement: str) -> None:
    engine = wiring.make_engine(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    except sa.exc.ProgrammingError as refused:
        raise BenchFailed(f"the database refuses a schema for the measurement: {refused.orig}") from None
    finally:
        engine.dispose()


def fill(runtime: Runtime, clients: int) -> None:
    """A provider with a registry, and clients on forty terms in turn with one contact each, every second one French."""
    at = now()
    with runtime.transaction() as session:
        provider.change(session, dict(PROVIDER), by=BY, now=at)
        registry.replace_draft(session, [_entry("FIBREXEMPLE"), _entry("CENTREXEMPLE")], by=BY, now=at)
        registry.establish(session, by=BY, now=at)
    for begin in range(0, clients, CHUNK):
        with runtime.transaction() as session:
            _add(session, range(begin, min(begin + CHUNK, clients)))


def publish(runtime: Runtime) -> Announcement:
    """Announce a replacement to every client, in one transaction; raises for a second time."""
    at = now()
    with runtime.transaction() as session:
        new = _entry("OPTEXEMPLE", replaces="fibrexemple")
        registry.add_entry(session, new, by=BY, now=at)
        return announcements.publish(
            session, runtime.desk, effective_on=at.date() + NOTICE, reasons=REASONS, by=BY, now=at
        )


def _entry(name: str, **more: str) -> Entry:
    places = (Place(country="FR", kind="dark_fibre"),)
    written = {"address": "5 rue de la Fibre", "postcode": "75000", "town": "Paris", "country": "FR", **more}
    return Entry(key=name.lower(), name=name, activities=("Fibre noire",), places=places, **written)  # type: ignore[arg-type] # columns of text


def _add(session: Session, numbers: range) -> None:
    """Rows as an import leaves them, without its checks."""
    at = now()
    client = Client(key="", company="", created_at=at)
    terms = Terms(client_id=client.id, pack=PACK, signed_on=date(2024, 1, 1), recorded_at=at)
    contact = Contact(client_id=client.id, name="Camille Roy", role="contractual", email="")
    rows: dict[type[SQLModel], list[dict[str, Any]]] = {Client: [], Terms: [], Contact: []}
    common = {model: one.model_dump() for model, one in ((Client, client), (Terms, terms), (Contact, contact))}
    for number in numbers:
        key, language = f"C-{number:07}", ("en", "fr")[number % 2]
        mine = {"client_id": uuid7()}
        company = f"Clinique de l’Exemple {number}"
        named = {"key": key, "company": company, "filed_as": slug(company)}
        rows[Client].append({**common[Client], "id": mine["client_id"], **named})
        rows[Terms].append({**common[Terms], **mine, "id": uuid7(), "overrides": _own_terms(number)})
        email = f"dpo@c{number}.clinic.example"
        rows[Contact].append({**common[Contact], **mine, "id": uuid7(), "email": email, "language": language})
    for model, many in rows.items():
        session.execute(sa.insert(model), many)


def _own_terms(number: int) -> dict[str, dict[str, str]]:
    turn = number % TERMS
    return {"subprocessor": {"period": f"{turn + 15} days"}} if turn else {}
