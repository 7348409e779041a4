"""A worker that ends at one named point of its work, as if its power had been cut exactly there.

The product has no hooks for this: its public verbs, the database's driver, the sockets to the relay and the bell are
wrapped from outside, in a process of its own.  With no point named it notes which points it passes.
"""

import functools
import multiprocessing
import os
import re
import socket
import threading
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

import sqlalchemy as sa

from notifier.runtime import Runtime
from notifier.services import outbox, webhooks
from tests.factories import make_runtime
from tests.faults.worker import WORKERS, Order

DIED: Final = 137  # as a shell says of what was killed
VERBS: Final[Mapping[str, tuple[ModuleType, str]]] = {
    "freeing": (outbox, "expire_leases"),
    "claiming": (outbox, "claim"),
    "handing over": (outbox, "hand_over"),
    "settling": (outbox, "settle"),
    "catching up": (outbox, "catch_up"),
    "claiming webhooks": (webhooks, "claim"),
    "settling a webhook": (webhooks, "settle"),
}
# The first statement that writes into a table in the course of a verb.
STATEMENTS: Final = (
    ("freeing", "delivery"),
    ("freeing", "item"),
    ("claiming", "delivery"),
    ("handing over", "delivery"),
    ("settling", "delivery"),
    ("settling", "attempt"),
    ("settling", "event"),
    ("settling", "notice"),
)
WRITES: Final = re.compile(r'\b(?:insert into|update)\s+"?(\w+)', re.IGNORECASE)
WIRE: Final = ("the envelope", "the body", "the dot", "the second dot")  # each before, in the middle of, and after
POINTS: Final = (
    *[f"{when} {verb}" for verb in VERBS for when in ("before", "after")],
    *[f"{when} the commit of {verb}" for verb in VERBS for when in ("before", "after")],
    *[f"{when} writing {table} in {verb}" for verb, table in STATEMENTS for when in ("before", "after")],
    *[f"{when} {what}" for what in WIRE for when in ("before", "in the middle of", "after")],
    *[f"{when} the greeting" for when in ("before", "after")],
    *[f"{when} the answer to the dot" for when in ("before", "after")],
    *[f"{when} the bell" for when in ("before", "after")],
    "after the go-ahead",
    "before goodbye",
    "after goodbye",
)


class Points:
    """Where this process is, and where it dies."""

    def __init__(self, fatal: str, notes: Path) -> None:
        self.fatal = fatal
        self._notes = notes
        self._passed: set[str] = set()

    def reach(self, name: str) -> None:
        if name == self.fatal:
            os._exit(DIED)
        if name not in self._passed:
            self._passed.add(name)
            with self._notes.open("a") as notes:
                notes.write(f"{name}\n")

    def around(self, name: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is wrapped
        self.reach(f"before {name}")
        answer = call()
        self.reach(f"after {name}")
        return answer


class _Verbs:
    """The verbs, the commits and the statements: which of them a thread is in."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._here = threading.local()

    def wrap(self, runtime: Runtime) -> None:
        for name, (module, verb) in VERBS.items():
            setattr(module, verb, self._verb(name, getattr(module, verb)))
        dialect: Any = runtime.engine.dialect
        dialect.do_commit = functools.partial(self._commit, dialect.do_commit)
        sa.event.listen(runtime.engine, "before_cursor_execute", functools.partial(self._statement, "before"))
        sa.event.listen(runtime.engine, "after_cursor_execute", functools.partial(self._statement, "after"))

    @property
    def _now(self) -> str:
        return cast("str", getattr(self._here, "verb", ""))

    def _verb(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapped(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as the verb
            self._here.verb = self._now or name
            return self._points.around(name, lambda: call(*given, **named))

        return wrapped

    def _commit(self, commit: Callable[[Any], None], connection: Any) -> None:  # noqa: ANN401 - of either driver
        verb, self._here.verb = self._now, ""
        self._points.around(f"the commit of {verb}", lambda: commit(connection))

    def _statement(self, when: str, *given: Any) -> None:  # noqa: ANN401 - what SQLAlchemy tells a listener
        if found := WRITES.search(given[2]):
            self._points.reach(f"{when} writing {found[1]} in {self._now}")


class _Wire:
    """What is written to the relay and read from it, by what it says."""

    def __init__(self, points: Points, port: int) -> None:
        self._points, self._port = points, port
        self._dots = 0

    def wrap(self) -> None:
        for name in ("send", "sendall"):
            setattr(socket.socket, name, self._sending(getattr(socket.socket, name)))
        for name in ("recv", "recv_into"):
            setattr(socket.socket, name, self._receiving(getattr(socket.socket, name)))

    def _is_ours(self, sock: socket.socket) -> bool:
        try:
            return cast("int", sock.getpeername()[1]) == self._port
        except (OSError, IndexError):
            return False

    def _sending(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def send(sock: socket.socket, data: bytes, *flags: int) -> Any:  # noqa: ANN401 - as the method
            name = self._named(bytes(data)) if self._is_ours(sock) else ""
            if not name:
                return call(sock, data, *flags)
            if self._points.fatal == f"in the middle of {name}":
                call(sock, bytes(data)[: 2 if "dot" in name else len(data) // 2], *flags)
            self._points.reach(f"before {name}")
            self._points.reach(f"in the middle of {name}")
            sent = call(sock, data, *flags)
            self._points.reach(f"after {name}")
            return sent

        return send

    def _named(self, data: bytes) -> str:
        if data.startswith(b".\r\n"):
            self._dots += 1
            return {1: "the dot", 2: "the second dot"}.get(self._dots, "")
        if data.startswith(b"MAIL FROM"):
            return "the envelope"
        if data.startswith(b"QUIT"):
            return "goodbye"
        return "the body" if b"\nmessage-id:" in data[:8192].lower() else ""

    def _receiving(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def receive(sock: socket.socket, *given: Any) -> Any:  # noqa: ANN401 - as the method
            if not self._is_ours(sock):
                return call(sock, *given)
            awaited = "the answer to the dot" if self._dots else "the greeting"
            self._points.reach(f"before {awaited}")
            answer = call(sock, *given)
            said = bytes(answer if isinstance(answer, bytes) else given[0][:answer])
            if b"354 " in said:
                self._points.reach("after the go-ahead")
            self._points.reach(f"after {awaited}")
            return answer

        return receive


def run(database_url: str, data_dir: Path, settings: Mapping[str, Any], order: Order, fatal: str) -> None:
    """Tick once and say goodbye, or die on the way.  Which points were passed is in the file `points`."""
    points = Points(fatal, data_dir / "points")
    runtime = make_runtime(database_url, data_dir, **settings)
    worker = WORKERS[order](runtime)
    _Verbs(points).wrap(runtime)
    _Wire(points, runtime.settings.mail.port).wrap()
    ring = Runtime.ring
    Runtime.ring = lambda self, bell: points.around("the bell", lambda: ring(self, bell))  # type: ignore[method-assign]  # from outside, as all of this
    worker.tick()
    worker.close()


def spawn(
    database_url: str, data_dir: Path, settings: Mapping[str, Any], order: Order, fatal: str
) -> ForkServerProcess:
    """Start such a worker; it is forked from a server that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=run, args=(database_url, data_dir, settings, order, fatal), daemon=True)
    process.start()
    return process
