"""Acknowledgements by POST, with their events and receipts, against a bare Flask and psycopg handler that inserts the
same rows in one transaction; the same server (waitress, 8 threads), database (PostgreSQL) and number of connections.

The rows are those that one acknowledgement was seen to add, with ids of their own each time.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from datetime import timedelta
from statistics import median
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlmodel import col, select

from benchmarks import common
from benchmarks.common import POSTGRESQL, Options, Ratio
from benchmarks.peers.load import load
from notifier.bench.scratch import Scratch, fill, publish
from notifier.models import Delivery, DeliveryNotice
from notifier.runtime import now
from notifier.web.form_tokens import FormTokens

GOAL = 0.5
CONNECTIONS = 16
FORM = "application/x-www-form-urlencoded"
READ_FOR = timedelta(minutes=1)


def main() -> None:
    asked = common.options(__doc__)
    posts = asked.size(500, 5_000)
    with common.database(POSTGRESQL) as place:
        fill(place.runtime, posts * asked.runs + 3)
        publish(place.runtime)
        requests = acknowledgements(place)
        results = [measured(place, asked, posts, requests)]
    common.record("answers", results, asked=asked)


def measured(place: Scratch, asked: Options, posts: int, requests: list[bytes]) -> Ratio:
    ratios, ours, theirs = [], [], []
    with ExitStack() as stack:
        product, bare = common.free_port(), common.free_port()
        wiring = json.dumps({"data_dir": str(place.folder), "overrides": place.overrides})
        stack.enter_context(serving("product", product, wiring))
        load(product, [requests.pop(), requests.pop()], connections=1)  # they write the moulds that receipts share
        before = whole(place)
        load(product, [requests.pop()], connections=1)
        rows = {name: added for name, all_rows in whole(place).items() if (added := new(before[name], all_rows))}
        url = place.runtime.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
        stack.enter_context(serving("bare", bare, json.dumps({"url": url, "rows": rows}, default=str)))
        posted = post("/", "name=Camille+Roy")
        load(bare, [posted], connections=1)
        for _ in range(asked.runs):
            batch = [requests.pop() for _ in range(posts)]
            ours.append(posts / load(product, batch, connections=CONNECTIONS))
            theirs.append(posts / load(bare, [posted] * posts, connections=CONNECTIONS))
            ratios.append(ours[-1] / theirs[-1])
    figures: dict[str, object] = {"rate": median(ours), "bare_rate": median(theirs)}
    figures["rows"] = ", ".join(f"{name} {len(added)}" for name, added in rows.items())
    what = "acknowledgements by POST against a bare Flask and psycopg handler"
    return Ratio(what=what, ratios=ratios, goal=GOAL, figures=figures)


def serving(what: str, port: int, wiring: str) -> Any:  # noqa: ANN401 - a context manager
    return common.process(
        sys.executable, "-m", "benchmarks.peers.serving", what, str(port), port=port, said=wiring.encode()
    )


def acknowledgements(place: Scratch) -> list[bytes]:
    """Return one request for each notice, as a person's browser sends it a minute after the page was opened."""
    desk = place.runtime.desk
    tokens = FormTokens(desk.keyring.derive_all("forms"))
    query = select(Delivery.id, Delivery.key_id, DeliveryNotice.notice_id).join(
        DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id
    )
    with place.runtime.reading() as session:
        told = session.exec(query).all()
    made_at, requests = now() - READ_FOR, []
    for delivery, key, notice in told:
        token = desk.keyring.token(delivery, "notice", key=key)
        form_token = tokens.make(token, "acknowledgement", edition=1, now=made_at)
        typed = {"form_token": form_token, "companies": str(notice), "name": "Camille Roy", "choice": "yes"}
        requests.append(post(f"/notice/{token}/acknowledgement", urlencode(typed)))
    return requests


def post(path: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def whole(place: Scratch) -> dict[str, list[dict[str, Any]]]:
    """Return every row of the tables that an answer may write to."""
    with place.runtime.engine.connect() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        # What a trigger writes, it writes for the peer too.
        kept = [one for one in metadata.sorted_tables if one.name not in {"client", "contact", "terms", "board_stamp"}]
        return {one.name: [dict(row) for row in connection.execute(sa.select(one)).mappings()] for one in kept}


def new(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows whose first column is new; changed ones are left out, in favour of the peer."""
    known = {next(iter(row.values())) for row in before}
    return [row for row in after if next(iter(row.values())) not in known]


if __name__ == "__main__":
    main()
