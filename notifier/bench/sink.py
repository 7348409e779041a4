"""A mail server that takes everything as fast as Python can, and knows which mails it took, and how often.

It keeps 16 bytes of each Message-ID, so that a mail lost or taken twice is seen from outside the sender and its
database, and the first few mails as they came over the wire, for the raw sender to send again.  Loopback only.
In its own process: `python -m notifier.bench.sink [seconds of a simulated round trip]`; commands come by its input.
"""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from notifier.bench.child import Child

HOST = "127.0.0.1"
PATIENCE = 30.0  # s, for an answer of the sink's process
DIGEST = 16  # bytes
SAMPLES = 64  # mails kept whole
MOST_OF_A_MAIL = 1 << 25  # bytes
MOST_OF_A_LINE = 1 << 16  # bytes
END = b"\r\n.\r\n"
OFFERS = b"250-bench\r\n250-PIPELINING\r\n250-SIZE 33554432\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n"
REPLIES = MappingProxyType(
    {
        b"EHLO": OFFERS,
        b"HELO": b"250 bench\r\n",
        b"MAIL": b"250 2.1.0 ok\r\n",
        b"RCPT": b"250 2.1.5 ok\r\n",
        b"DATA": b"354 go on\r\n",
        b"RSET": b"250 2.0.0 ok\r\n",
        b"NOOP": b"250 2.0.0 ok\r\n",
        b"QUIT": b"221 2.0.0 bye\r\n",
    }
)
TAKEN = b"250 2.0.0 taken\r\n"
UNKNOWN = b"500 5.5.1 no such command\r\n"


@dataclass(frozen=True, slots=True)
class Sample:
    """One mail as it came over the wire: the commands before it; its content, dots doubled, without the last one."""

    envelope: bytes
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came so far.  `twice`: mails whose Message-ID had come before."""

    mails: int
    twice: int


class Sink:
    """The sink as its user sees it: a process with a port.  `round_trip` (s) is waited before each answer."""

    def __init__(self, *, round_trip: float = 0.0) -> None:
        self._child = Child(__name__, str(round_trip))
        with self._child.kept():
            self.port: int = self._child.hear(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.end()

    @property
    def pid(self) -> int:
        return self._child.pid

    def taken(self) -> Taken:
        self._child.say("taken")
        return Taken(**self._child.hear(PATIENCE))

    def digests(self) -> set[bytes]:
        """Of the Message-IDs of all mails taken (`digest`)."""
        self._child.say("digests")
        whole = self._child.take(self._child.hear(PATIENCE) * DIGEST, PATIENCE)
        return {whole[at : at + DIGEST] for at in range(0, len(whole), DIGEST)}

    def samples(self) -> list[Sample]:
        self._child.say("samples")
        sizes: list[list[int]] = self._child.hear(PATIENCE)
        return [Sample(*(self._child.take(size, PATIENCE) for size in pair)) for pair in sizes]

    def forget(self) -> None:
        """Begin anew: nothing taken, no samples."""
        self._child.say("forget")
        self._child.hear(PATIENCE)


def digest(message_id: bytes) -> bytes:
    return hashlib.blake2b(message_id.strip(), digest_size=DIGEST).digest()


# --- its own process -------------------------------------------------------------------------------------------------


class _Talk:
    """One connection: what of it is unread, and whether a mail's content is being read."""

    __slots__ = ("envelope", "in_content", "searched", "socket", "unread")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.unread = b""
        self.in_content = False
        self.searched = 0
        self.envelope = b""


class _Server:
    def __init__(self, round_trip: float) -> None:
        self._round_trip = round_trip
        self._later: deque[tuple[float, _Talk, bytes]] = deque()
        self._ready = selectors.DefaultSelector()
        self._listener = socket.create_server((HOST, 0), backlog=1024)
        self._listener.settimeout(0)
        self._ready.register(self._listener, selectors.EVENT_READ, None)
        self._ready.register(sys.stdin, selectors.EVENT_READ, None)
        self._forget()

    def _forget(self) -> None:
        self._mails = self._twice = 0
        self._seen: set[bytes] = set()
        self._samples: list[Sample] = []

    def run(self) -> None:
        """Serve until the input closes."""
        _answer(self._listener.getsockname()[1])
        while True:
            pause = max(0.0, self._later[0][0] - time.monotonic()) if self._later else None
            for key, _ in self._ready.select(pause):
                if key.data:
                    self._hear(key.data)
                elif key.fileobj is self._listener:
                    self._greet()
                elif not self._obey():
                    return
            while self._later and self._later[0][0] <= time.monotonic():
                _, talk, reply = self._later.popleft()
                self._write(talk, reply)

    def _greet(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(0)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talk = _Talk(connection)
        self._ready.register(connection, selectors.EVENT_READ, talk)
        self._reply(talk, b"220 bench\r\n")

    def _hear(self, talk: _Talk) -> None:
        try:
            more = talk.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        talk.unread = talk.unread + more if talk.unread else more
        too_much = len(talk.unread) > (MOST_OF_A_MAIL if talk.in_content else MOST_OF_A_LINE + len(more))
        if not more or too_much:
            self._hang_up(talk)
            return
        replies = b""
        while (reply := self._next(talk)) is not None:
            replies += reply
        if replies:
            self._reply(talk, replies)

    def _next(self, talk: _Talk) -> bytes | None:
        """Read one command, or one mail's content, and return its answer; None when it has not come whole."""
        unread = talk.unread
        if talk.in_content:
            end = unread.find(END, talk.searched)
            if end < 0:
                talk.searched = max(0, len(unread) - len(END) + 1)
                return None
            self._take(talk.envelope, unread[2 : end + 2])
            talk.unread, talk.in_content, talk.envelope = unread[end + len(END) :], False, b""
            return TAKEN
        end = unread.find(b"\r\n")
        if end < 0:
            return None
        verb = unread[:4].upper()
        talk.envelope = unread[: end + 2] if verb == b"MAIL" else talk.envelope + unread[: end + 2]
        if verb == b"DATA":  # the line end before the content belongs to the mark of its end
            talk.in_content, talk.searched, talk.unread = True, 0, unread[end:]
        else:
            talk.unread = unread[end + 2 :]
        return REPLIES.get(verb, UNKNOWN)

    def _take(self, envelope: bytes, content: bytes) -> None:
        self._mails += 1
        found = content.find(b"\r\nMessage-ID:")
        if found < 0:
            found = content.lower().find(b"\r\nmessage-id:")
        if found >= 0:
            begin = found + 13
            one = digest(content[begin : content.find(b"\r\n", begin)])
            self._twice += one in self._seen
            self._seen.add(one)
        if len(self._samples) < SAMPLES:
            self._samples.append(Sample(envelope, content))

    def _reply(self, talk: _Talk, reply: bytes) -> None:
        if self._round_trip:
            self._later.append((time.monotonic() + self._round_trip, talk, reply))
        else:
            self._write(talk, reply)

    def _write(self, talk: _Talk, reply: bytes) -> None:
        try:
            talk.socket.send(reply)
        except OSError:  # also one that reads nothing: this sink is for senders that do
            self._hang_up(talk)

    def _hang_up(self, talk: _Talk) -> None:
        if talk.socket.fileno() >= 0:
            self._ready.unregister(talk.socket)
            talk.socket.close()

    def _obey(self) -> bool:
        """Do what one line of the input says; False when it has closed."""
        match sys.stdin.readline().strip():
            case "":
                return False
            case "taken":
                _answer({"mails": self._mails, "twice": self._twice})
            case "digests":
                _answer(len(self._seen))
                _write_all(b"".join(self._seen))
            case "samples":
                _answer([[len(one.envelope), len(one.content)] for one in self._samples])
                for one in self._samples:
                    _write_all(one.envelope + one.content)
            case "forget":
                self._forget()
                _answer(0)
        return True


def _answer(what: object) -> None:
    _write_all(json.dumps(what).encode() + b"\n")


def _write_all(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    _Server(float(sys.argv[1])).run()
