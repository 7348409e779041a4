"""How long the preview of a hundred thousand clients on forty terms takes: a ratio against what must be done at least.

The ceiling: one deadline for each of the forty terms, and reading the clients with their terms and contacts as bare
rows.  The preview counts all clients and shows one page of them.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median

import sqlalchemy as sa
from sqlmodel import Session

from benchmarks import common
from benchmarks.common import Ratio
from notifier import runtime as wiring
from notifier import schema, settings
from notifier.models import AnnouncementKind, Client, Contact, Provider, Terms
from notifier.models.base import uuid7
from notifier.rules.entries import Entry
from notifier.rules.registry_diff import TOLD
from notifier.runtime import Runtime
from notifier.services import previews, registry
from notifier.services.affected import rules_under

CLIENTS = 100_000
TERMS = 40
GOAL = 3
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
PACK = "outscale-hds-2022"


def main() -> None:
    asked = common.options(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        runtime = wiring.build(settings.load(Path(folder), {"database_url": ""}))
        schema.migrate(runtime.engine)
        fill(runtime)
        ceilings, took = [], []
        for _ in range(asked.runs):
            ceilings.append(common.seconds(lambda: least(runtime)))
            took.append(common.seconds(lambda: preview(runtime)))
        runtime.close()
    ratios = [ours / least_of_all for ours, least_of_all in zip(took, ceilings, strict=True)]
    figures: dict[str, object] = {"preview_s": median(took), "ceiling_s": median(ceilings)}
    what = f"a preview of {CLIENTS:,} clients on {TERMS} terms against its ceiling, sqlite"
    result = Ratio(what=what, ratios=ratios, goal=GOAL, sense="at most", figures=figures)
    common.record("preview", [result], asked=asked)


def fill(runtime: Runtime) -> None:
    """A registry with a draft, and clients with two contacts each; every fortieth has the same terms of its own."""
    with runtime.transaction() as session:
        session.add(Provider())
        registry.replace_draft(session, [Entry(key="a", name="A", activities=("Hosting",))], by="bench", now=NOW)
        registry.establish(session, by="bench", now=NOW)
        registry.add_entry(session, Entry(key="b", name="B", activities=("Hosting",)), by="bench", now=NOW)
        whole: dict[str, object] = {
            "company": "Company",
            "group": "",
            "account_manager": "",
            "account_manager_name": "",
            "address": "",
        }
        whole |= {
            "postcode": "",
            "town": "",
            "country": "",
            "reseller": False,
            "services": [],
            "regions": [],
            "options": [],
            "email_accepted": True,
        }
        ids = [uuid7() for _ in range(CLIENTS)]
        clients = [{"id": one, "key": f"C-{n:06}", "created_at": NOW, **whole} for n, one in enumerate(ids)]
        dated = {"pack": PACK, "signed_on": date(2024, 1, 1), "recorded_at": NOW, "replaced_at": None}
        terms = [{"id": uuid7(), "client_id": one, "overrides": own_terms(n), **dated} for n, one in enumerate(ids)]
        person = {"name": "Camille", "phone": "", "language": "fr", "left_at": None}
        contacts = [
            {"id": uuid7(), "client_id": one, "role": role, "email": f"{role}@c{n}.example", **person}
            for n, one in enumerate(ids)
            for role in ("contractual", "dpo")
        ]
        session.flush()
        for table, rows in ((Client, clients), (Terms, terms), (Contact, contacts)):
            session.execute(sa.insert(table), rows)


def own_terms(number: int) -> dict[str, dict[str, str]]:
    turn = number % TERMS
    return {"subprocessor": {"period": f"{turn + 15} days"}} if turn else {}


def preview(runtime: Runtime) -> None:
    with runtime.reading() as session:
        found = previews.preview(session, runtime.desk, now=NOW)
    if (found.clients, len(found.groups), found.addresses) != (CLIENTS, TERMS, 2 * CLIENTS):
        raise SystemExit("the preview counts wrongly")


def least(runtime: Runtime) -> None:
    for number in range(TERMS):
        rules_under(runtime.desk, PACK, own_terms(number), AnnouncementKind.SUBPROCESSOR, [TOLD])[0].promise(NOW)
    with Session(runtime.engine) as session:
        for table in (Client, Terms, Contact):
            session.connection().exec_driver_sql(f"SELECT * FROM {table.__tablename__}").fetchall()  # noqa: S608 - our own names


if __name__ == "__main__":
    main()
