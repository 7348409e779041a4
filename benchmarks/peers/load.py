"""Requests over many kept connections at once, each as soon as its connection is free, at little cost."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack

PATIENCE = 30.0  # s without any answer
WANTED = (b"HTTP/1.1 2", b"HTTP/1.1 3")


def load(port: int, requests: Sequence[bytes], *, connections: int) -> float:
    """Send each request once; returns the seconds.  Raises SystemExit for an answer that is a refusal."""
    left = iter(requests)
    unread: dict[socket.socket, bytes] = {}
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(min(connections, len(requests))):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(one, selectors.EVENT_READ)
            unread[one] = b""
        began = time.perf_counter()
        for one in unread:
            one.sendall(next(left))
        answered = 0
        while answered < len(requests):
            ready = selector.select(PATIENCE)
            if not ready:
                raise SystemExit("the server does not answer")
            for key, _ in ready:
                one = key.fileobj  # type: ignore[assignment] # a socket was registered
                unread[one] += _heard(one)
                if is_whole(unread[one]):
                    answered += 1
                    unread[one] = b""
                    if request := next(left, b""):
                        one.sendall(request)
        return time.perf_counter() - began


def _heard(one: socket.socket) -> bytes:
    heard = one.recv(65_536)
    if not heard:
        raise SystemExit("the server hung up")
    return heard


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if not answer.startswith(WANTED):
        raise SystemExit(f"refused: {answer[:300]!r}")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return len(body) >= length
