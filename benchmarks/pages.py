"""Each page at many notices against few: the same request, answered by the same application on two databases.

Every address that the application knows is asked for, as an administrator; one that does not answer 200 at both sizes
is left out and named.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlmodel import Session, col, select
from werkzeug.routing import BuildError

from benchmarks import common
from benchmarks.common import Options, Ratio
from notifier.bench.scratch import BY, Scratch, fill, publish
from notifier.models import Announcement, Delivery, Notice, Role
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import now
from notifier.services import users
from notifier.web import create_app

FEW = 100
GOAL = 1.5
OK = 200
LEFT_OUT = ("static", "mailbox.", "machines.", "auth.")  # no notices there


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An application on a database, somebody signed in, and what its addresses need."""

    browser: FlaskClient
    paths: Mapping[str, str]  # endpoint → path


def main() -> None:
    asked = common.options(__doc__)
    many = asked.size(10_000, 100_000)
    results: list[Ratio] = []
    for kind in asked.databases:
        results += compared(kind, asked, many)
    common.record("pages", results, asked=asked)


def compared(kind: str, asked: Options, many: int) -> list[Ratio]:
    with ExitStack() as stack:
        small, large = (site(stack.enter_context(common.database(kind)), size) for size in (FEW, many))
        both = [name for name in small.paths if answers(small, name) and answers(large, name)]
        if left := sorted(set(small.paths) - set(both)):
            print(f"left out: {', '.join(left)}", file=sys.stderr)
        found = [one(small, large, name, asked.runs, kind, many) for name in both]
    worst = max(found, key=lambda page: page.median)
    whole = Ratio(
        what=f"the slowest of {len(found)} pages, {many:,} notices against {FEW}, {kind}: {worst.what}",
        ratios=worst.ratios,
        goal=GOAL,
        sense="at most",
        figures={"pages_over_goal": sum(page.median > GOAL for page in found)},
    )
    return [whole, *sorted(found, key=lambda page: -page.median)]


def one(small: Site, large: Site, name: str, runs: int, kind: str, many: int) -> Ratio:
    few, lots = [], []
    for _ in range(max(runs, 3)):
        few.append(common.seconds(lambda: small.browser.get(small.paths[name])))
        lots.append(common.seconds(lambda: large.browser.get(large.paths[name])))
    figures = {f"ms_{FEW}": median(few) * 1000, f"ms_{many}": median(lots) * 1000}
    return Ratio(what=f"{name}, {kind}", ratios=[median(lots) / median(few)], figures={**figures})


def answers(there: Site, name: str) -> bool:
    return there.browser.get(there.paths[name]).status_code == OK


def site(place: Scratch, clients: int) -> Site:
    """Publish to so many clients; the relay has taken half of the mails."""
    fill(place.runtime, clients)
    announcement = publish(place.runtime)
    app = create_app(place.runtime)
    app.config["TESTING"] = True
    with place.runtime.transaction() as session:
        half = sa.select(Delivery.id).limit(clients // 2)  # type: ignore[call-overload] # a column, to SQLAlchemy
        accepted = {"state": DeliveryState.ACCEPTED, "accepted_at": now(), "attempt": 1}
        session.execute(sa.update(Delivery).where(col(Delivery.id).in_(half)).values(**accepted))
        user = users.create(session, email="ana@hosting.example", role=Role.ADMINISTRATOR, by=BY, now=now())
        token = users.invite(session, user, by=BY, now=now())
    browser = app.test_client()
    page = browser.get(f"/sign-in/{token}").text
    form_token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    browser.post(f"/sign-in/{token}", data={"csrf_token": form_token[1] if form_token else ""})
    with place.runtime.reading() as session, app.test_request_context():
        known = facts(session, place, announcement)
        adapter = app.create_url_adapter(None) or app.url_map.bind("localhost")
        paths = {}
        for rule in app.url_map.iter_rules():
            if "GET" not in (rule.methods or ()) or rule.endpoint.startswith(LEFT_OUT):
                continue
            needed = {name: known.get(name) for name in rule.arguments}
            try:
                paths[rule.endpoint] = adapter.build(rule.endpoint, needed)
            except (BuildError, ValueError, TypeError, AttributeError):
                print(f"left out: {rule.rule}", file=sys.stderr)
    return Site(browser=browser, paths=paths)


def facts(session: Session, place: Scratch, announcement: Announcement) -> dict[str, Any]:
    notice = session.exec(select(Notice).where(Notice.announcement_id == announcement.id)).first()
    delivery = session.exec(select(Delivery).where(col(Delivery.accepted_at).is_(None))).first()
    if notice is None or delivery is None:
        raise SystemExit("publishing told nobody")
    token = place.runtime.desk.keyring.token(delivery.id, "notice", key=delivery.key_id)
    return {
        "announcement_id": announcement.id,
        "notice_id": notice.id,
        "client_id": notice.client_id,
        "token": token,
        "number": 2,
        "key": "optexemple",
        "form": "csv",
        "kind": "service",
        "reference": announcement.reference,
        "day": now().date().isoformat(),
    }


if __name__ == "__main__":
    main()
