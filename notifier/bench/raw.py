"""The ceiling: the same mails over the same sessions to the same sink, with no database and nothing to decide.

Bytes are ready beforehand; content, final dot and the next envelope leave in one write, which a sender that commits
before its dots cannot do.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice

from notifier.bench.child import BenchFailed
from notifier.bench.sink import HOST, Sample

PATIENCE = 30.0  # s without any answer


@dataclass(slots=True)
class _Session:
    socket: socket.socket
    awaited: int = 0  # lines of answers
    content: bytes = b""  # of the mail whose envelope was written

    def write(self, envelope: bytes) -> None:
        """Write what is left of the last mail, and this envelope."""
        self.socket.sendall(self.content + envelope)
        self.awaited = bool(self.content) + envelope.count(b"\r\n")


def send(port: int, samples: Sequence[Sample], *, mails: int, sessions: int) -> float:
    """Send that many mails, the samples in turn; returns the seconds from the first byte to the last answer."""
    if not samples:
        raise BenchFailed("no mail came over the wire, so there is none for the ceiling to send")
    ready = [(one.envelope, one.content + b".\r\n") for one in samples]
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(min(sessions, mails)):
            session = _Session(stack.enter_context(_opened(port)))
            selector.register(session.socket, selectors.EVENT_READ, session)
        began = time.perf_counter()
        _run(selector, islice(cycle(ready), mails))
        return time.perf_counter() - began


def _opened(port: int) -> socket.socket:
    """Return a connection past EHLO."""
    connection = socket.create_connection((HOST, port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.recv(4096)
    connection.sendall(b"EHLO bench.example\r\n")
    heard = b""
    while b"\r\n250 " not in heard:
        heard += connection.recv(4096)
    return connection


def _run(selector: selectors.BaseSelector, mails: Iterator[tuple[bytes, bytes]]) -> None:
    busy = 0
    for key in list(selector.get_map().values()):
        busy += _go_on(key.data, mails)
    while busy:
        ready = selector.select(PATIENCE)
        if not ready:
            raise BenchFailed("the sink stopped answering the raw sender")
        for key, _ in ready:
            session: _Session = key.data
            heard = session.socket.recv(65_536)
            if not heard or heard[:1] not in b"23":
                raise BenchFailed(f"the sink refused the raw sender: {heard[:80]!r}")
            session.awaited -= heard.count(b"\r\n")
            if session.awaited <= 0 and not _go_on(session, mails):
                busy -= 1


def _go_on(session: _Session, mails: Iterator[tuple[bytes, bytes]]) -> bool:
    """Begin the next mail, or end the last one; False when there is nothing left to do."""
    envelope, content = next(mails, (b"", b""))
    if not session.content and not envelope:
        return False
    session.write(envelope)
    session.content = content
    return True
