"""A server for a benchmark: `python -m benchmarks.peers.serving product|bare PORT`, wired by JSON on its input.

`product` is our application; `bare` a Flask handler that inserts given rows through psycopg and answers 303.
"""

from __future__ import annotations

import json
import logging
import secrets
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue
from psycopg.types.json import Jsonb
from waitress.server import create_server
from werkzeug.wrappers import Response

from notifier import runtime as wiring
from notifier.settings import load
from notifier.web import create_app

THREADS = 8
FRESH_TEXT = {"address", "purpose", "reference", "message_id", "token_digest"}  # of which no two rows may share one
Rows = dict[str, list[dict[str, Any]]]


def bare(url: str, rows: Rows) -> Flask:
    """Return an application that inserts copies of these rows for each POST, and commits once."""
    app, mine = Flask(__name__), threading.local()
    own = ids(rows)

    @app.post("/")
    def insert() -> ResponseReturnValue:
        if not request.form["name"]:
            return Response(status=422)
        connection = getattr(mine, "connection", None)
        if connection is None:
            connection = mine.connection = psycopg.connect(url)
        with connection.transaction():
            for statement, values in copies(rows, own):
                connection.execute(statement, values, prepare=True)
        return redirect("/", code=303)

    return app


def ids(rows: Rows) -> set[str]:
    """Return the ids that these rows were given; whatever refers to one of them does so in the copy."""
    return {row["id"] for added in rows.values() for row in added if isinstance(row.get("id"), str)}


def copies(rows: Rows, own: set[str]) -> Iterator[tuple[str, list[object]]]:
    fresh: dict[str, UUID] = {one: uuid4() for one in own}
    for table, added in rows.items():
        for row in added:
            kept = {name: value for name, value in row.items() if not (name == "id" and isinstance(value, int))}
            names, marks = ", ".join(f'"{name}"' for name in kept), ", ".join(["%s"] * len(kept))
            values = [_value(name, value, fresh) for name, value in kept.items()]
            yield f'INSERT INTO "{table}" ({names}) VALUES ({marks})', values  # noqa: S608 - names of our own tables


def _value(name: str, value: object, fresh: dict[str, UUID]) -> object:
    if isinstance(value, dict | list):
        return Jsonb(value)
    if isinstance(value, str) and value in fresh:
        return fresh[value]
    return secrets.token_hex(16) if name in FRESH_TEXT else value


def main() -> None:
    what, port = sys.argv[1], int(sys.argv[2])
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # requests are meant to queue up here
    said = json.loads(sys.stdin.readline())
    if what == "bare":
        app = bare(said["url"], said["rows"])
    else:
        app = create_app(wiring.build(load(Path(said["data_dir"]), said["overrides"])))
    create_server(app, host="127.0.0.1", port=port, threads=THREADS, ident=None).run()


if __name__ == "__main__":
    main()
