"""The embedded instance: pages, worker and database in one process, for one command on one machine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from waitress.server import create_server

from notifier import schema, worker
from notifier.adapters.logs import Redaction
from notifier.models import Role, User
from notifier.runtime import Runtime, now
from notifier.services import users
from notifier.settings import BadSettings
from notifier.web import create_app

THREADS = 8


@contextmanager
def serving(runtime: Runtime, *, host: str, port: int) -> Iterator[int]:
    """Migrate, then serve pages and run the worker until the block ends; yields the port (a free one for port 0).

    The order of stopping matters: no more requests first, then the worker finishes the round it holds.
    """
    schema.migrate(runtime.engine)
    try:
        server = create_server(create_app(runtime), host=host, port=port, threads=THREADS, ident=None)
    except OSError as trouble:
        raise BadSettings(f"cannot listen on {host}:{port} ({trouble.strerror}): choose another --port") from None
    logging.getLogger("waitress").addFilter(Redaction())
    thread = threading.Thread(target=server.run, name="web", daemon=True)
    with worker.embedded(runtime):
        thread.start()
        try:
            yield int(server.effective_port)
        finally:
            server.close()
            thread.join(timeout=10)


def administrator_link(runtime: Runtime, base_url: str) -> str | None:
    """Return a one-time link for the first administrator, for as long as nobody has chosen a password or used one."""
    with runtime.transaction() as session:
        known = users.everyone(session)
        if any(user.password for user in known):
            return None
        first = next((user for user in known if user.role is Role.ADMINISTRATOR), None) or users.found(
            session, now=now()
        )
        return sign_in_link(base_url, users.invite(session, first, by="notifier", now=now()))


def link_for(runtime: Runtime, user: User, base_url: str) -> str:
    """Return a one-time link that signs this user in."""
    with runtime.transaction() as session:
        return sign_in_link(base_url, users.invite(session, user, by="notifier", now=now()))


def sign_in_link(base_url: str, token: str) -> str:
    return f"{base_url}/sign-in/{token}"
