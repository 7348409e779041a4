"""Factories: `make_x(session, **fields)` with defaults; and a Runtime on the test's own database."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from jinja2 import FileSystemBytecodeCache
from sqlmodel import Session

from notifier import runtime as wiring
from notifier import settings
from notifier.models import Announcement, Client, Contact, Provider, Role, Terms, User, Version
from notifier.rules.entries import Entry
from notifier.rules.registry_diff import slug
from notifier.runtime import Runtime
from notifier.services import announcements, previews, registry, users
from notifier.services.desk import Desk
from notifier.web import create_app

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday; 13:00 in Paris
PACK = "outscale-hds-2022"
REASONS = {"en": "The old provider closes its site.", "fr": "L’ancien prestataire ferme son site."}


def make_runtime(database_url: str, data_dir: Path, **overrides: Any) -> Runtime:  # noqa: ANN401 - columns of any type
    """Return the working parts on a migrated database, with a mailbox in `data_dir`."""
    return wiring.build(settings.load(data_dir, {"database_url": database_url, **overrides}))


def make_app(runtime: Runtime) -> Flask:
    """Return the web application; its templates are compiled once for all tests, not once for each."""
    app = create_app(runtime)
    compiled = Path(tempfile.gettempdir()) / f"notifier-test-templates-{os.getuid()}"
    compiled.mkdir(mode=0o700, exist_ok=True)
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(compiled))
    return app


def make_provider(session: Session, **fields: Any) -> Provider:  # noqa: ANN401 - columns of any type
    provider = Provider(
        **{
            "legal_name": "Hébergement Exemple SAS",
            "address": "1 rue des Essais, 75000 Paris, France",
            "sender_name": "Hébergement Exemple",
            "sender_address": "notices@hosting.example",
            "reply_to": "privacy@hosting.example",
            "privacy_contact": "privacy@hosting.example",
            "base_url": "http://localhost",
            **fields,
        }
    )
    session.add(provider)
    session.flush()
    return provider


def make_entry(name: str = "Fibrexemple", **fields: Any) -> Entry:  # noqa: ANN401 - whatever an entry has
    common = {"activities": ("Fibre noire",), "town": "Paris", "country": "FR"}
    return Entry(**{"key": name.lower(), "name": name, **common, **fields})


def make_client(
    session: Session,
    key: str = "C-001",
    *,
    contacts: Sequence[dict[str, str]] | None = None,
    **fields: Any,  # noqa: ANN401 - columns of any type
) -> Client:
    """Make a client under the OUTSCALE pack, with one English contractual contact unless told otherwise."""
    pack, signed_on = fields.pop("pack", PACK), fields.pop("signed_on", date(2022, 9, 1))
    client = Client(
        **{
            "key": key,
            "company": f"Company {key}",
            "account_manager": "ana@hosting.example",
            "created_at": NOON,
            **fields,
        }
    )
    client.filed_as = slug(client.company)
    session.add(client)
    session.flush()
    session.add(Terms(client_id=client.id, pack=pack, signed_on=signed_on, recorded_at=NOON))
    for contact in [{}] if contacts is None else contacts:
        make_contact(session, client, **contact)
    session.flush()
    return client


def make_contact(session: Session, client: Client, **fields: str) -> Contact:
    email = f"dpo@{client.key.lower()}.example"
    written = {"name": "Camille Roy", "role": "contractual", "email": email, "language": "en", **fields}
    contact = Contact(client_id=client.id, **written)  # type: ignore[arg-type] # columns of text, all of them
    session.add(contact)
    session.flush()
    return contact


def make_version(session: Session, entries: Sequence[Entry] | None = None, *, now: datetime = NOON) -> Version:
    """Make the first version, in force."""
    registry.replace_draft(session, entries or [make_entry("Equinix"), make_entry("Fibrexemple")], by="test", now=now)
    return registry.establish(session, by="test", now=now)


def make_announcement(
    session: Session, desk: Desk, *, now: datetime = NOON, effective_on: date | None = None
) -> Announcement:
    """Publish the replacement of Fibrexemple by Optexemple to every client there is, making what is missing."""
    if registry.published(session) is None:
        make_version(session, now=now - timedelta(days=1))
    new = replace(make_entry("Optexemple"), replaces="fibrexemple")
    registry.add_entry(session, new, by="test", now=now)
    on = effective_on or previews.preview(session, desk, now=now).earliest_effective_on or date(2026, 6, 1)
    return announcements.publish(session, desk, effective_on=on, reasons=REASONS, by="test", now=now)


def make_user(
    session: Session, email: str = "ana@hosting.example", *, role: Role = Role.ACCOUNT_MANAGER, **fields: str
) -> User:
    return users.create(session, email=email, role=role, by="test", now=NOON, **fields)
