"""A mail server that misbehaves on demand, for tests of everything that hands mail over.

In a test: `with Sink(fault=Fault.CUT_AFTER_ACCEPTING) as sink: ... sink.port, sink.mails`.
As a process: `python -m tests.sink --port 2525 --journal FILE --seed 7 --faults 0.12 --pace 0.02`.
Each accepted mail is in the journal before its 250 leaves: what is not there was never accepted.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from email.parser import BytesHeaderParser
from enum import StrEnum
from pathlib import Path
from typing import Self


class Fault(StrEnum):
    NONE = "none"
    BUSY = "busy"  # 421 instead of the greeting
    GREYLIST = "greylist"  # 450 to RCPT
    NO_SUCH_PERSON = "no_such_person"  # 550 to RCPT
    STORAGE = "storage"  # 452 after the final dot
    UNWANTED = "unwanted"  # 554 after the final dot
    RESET_IN_BODY = "reset_in_body"
    CUT_AFTER_ACCEPTING = "cut_after_accepting"  # in the journal, but no 250
    NONSENSE_AFTER_ACCEPTING = "nonsense_after_accepting"
    DELAY = "delay"  # the 250 comes late
    SILENCE = "silence"  # no answer to the final dot
    DEAF = "deaf"  # reads nothing of the message
    RUDE = "rude"  # 554 and five thousand odd characters instead of the greeting
    TIRED = "tired"  # 421 while the mail is held at its final dot
    DRIP = "drip"  # the answer to MAIL comes byte by byte
    ENDLESS_REPLY = "endless_reply"  # lines without end in answer to MAIL
    LONG_LINE = "long_line"  # one line of 1 MB in answer to MAIL
    LOGIN_NEEDED = "login_needed"  # 530 to MAIL
    SENDER_REFUSED = "sender_refused"  # 553 to MAIL
    INJECTED = "injected"  # a reply in clear right behind the answer to STARTTLS


BY_CHANCE = (
    Fault.BUSY,
    Fault.GREYLIST,
    Fault.STORAGE,
    Fault.RESET_IN_BODY,
    Fault.CUT_AFTER_ACCEPTING,
    Fault.DELAY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One line of the journal. `at` is in seconds since 1970, `sha256` is of the message as sent, dots undone."""

    message_id: str
    sender: str
    recipient: str
    at: float
    sha256: str


class Hangup(Exception):
    """Ends a conversation from our side."""


@dataclass(kw_only=True)
class Sink:
    """One server on 127.0.0.1 in a thread of its own. `port` 0 takes a free one.

    `faults` is the share of mails that go wrong, each by one of `kinds` (BUSY is drawn for each conversation
    instead); `fault=X` is short for "always X". `pace` is the delay, in seconds, before each answer, `delay`
    that of a late 250.
    """

    port: int = 0
    journal: Path | None = None
    seed: int = 0
    faults: float = 0
    kinds: Sequence[Fault] = BY_CHANCE
    fault: Fault = Fault.NONE
    pace: float = 0
    delay: float = 1
    extensions: Sequence[str] = ("PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8")
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    password: str | None = None
    mails: list[Accepted] = field(default_factory=list, init=False)
    contents: list[bytes] = field(default_factory=list, init=False)
    commands: list[str] = field(default_factory=list, init=False)
    connections: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.fault != Fault.NONE:
            self.faults, self.kinds = 1, (self.fault,)
        self._chance = random.Random(self.seed)
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the sink did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        talks: set[asyncio.Task[None]] = set()

        def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talk = asyncio.create_task(Talk(self, reader, writer).run())
            talks.add(talk)
            talk.add_done_callback(talks.discard)

        context = self.tls if self.implicit_tls else None
        server = await asyncio.start_server(welcome, "127.0.0.1", self.port, ssl=context, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._stop.wait()
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    def draw(self, *, of: Callable[[Fault], bool]) -> Fault:
        """The fault of this conversation or mail, among the kinds that `of` lets pass."""
        kinds = [kind for kind in self.kinds if of(kind)]
        hit = kinds and self._chance.random() < self.faults * len(kinds) / len(self.kinds)
        return self._chance.choice(kinds) if hit else Fault.NONE

    def accept(self, sender: str, recipient: str, content: bytes) -> None:
        accepted = Accepted(
            message_id=BytesHeaderParser().parsebytes(content).get("Message-ID", "").strip(),
            sender=sender,
            recipient=recipient,
            at=time.time_ns() / 1e9,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        if self.journal:
            with self.journal.open("a") as file:
                file.write(json.dumps(asdict(accepted)) + "\n")
        self.mails.append(accepted)
        self.contents.append(content)


class Talk:
    """One conversation."""

    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sink, self.reader, self.writer = sink, reader, writer
        self.sender = self.recipient = ""
        self.fault = Fault.NONE

    async def run(self) -> None:
        self.sink.connections += 1
        try:
            await self.greet()
            while line := await self.reader.readline():
                await self.obey(line.decode(errors="replace").rstrip("\r\n"))
        except (Hangup, OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self.writer.transport.abort() if self.fault == Fault.RESET_IN_BODY else self.writer.close()

    async def greet(self) -> None:
        match self.sink.draw(of=lambda kind: kind in {Fault.BUSY, Fault.RUDE}):
            case Fault.BUSY:
                await self.say("421 too busy")
                raise Hangup
            case Fault.RUDE:
                await self.say("554 \x1b[31m" + "x" * 5000)
                raise Hangup
        await self.say("220 sink.example ready")

    async def obey(self, line: str) -> None:
        self.sink.commands.append(line)
        verb = re.split("[ :]", line, maxsplit=1)[0].upper()
        match verb:
            case "EHLO":
                await self.say(*[f"250-{text}" for text in ("sink.example", *self.offered())], "250 OK")
            case "STARTTLS" if self.sink.tls:
                await self.start_tls()
            case "AUTH":
                await self.say("235 welcome" if self.knows(line) else "535 5.7.8 wrong name or password")
            case "MAIL":
                await self.mail(line)
            case "RCPT":
                await self.rcpt(line)
            case "DATA" if self.recipient:
                await self.data()
            case "RSET":
                self.sender = self.recipient = ""
                await self.say("250 forgotten")
            case "QUIT":
                await self.say("221 bye")
                raise Hangup
            case "HELO" | "NOOP":
                await self.say("250 OK")
            case _:
                await self.say("503 bad sequence of commands")

    def offered(self) -> list[str]:
        plain = self.sink.tls and self.writer.get_extra_info("ssl_object") is None
        login = ["AUTH PLAIN"] if self.sink.password is not None else []
        return [*self.sink.extensions, *(["STARTTLS"] if plain else login)]

    async def start_tls(self) -> None:
        assert self.sink.tls
        if self.sink.draw(of=lambda kind: kind == Fault.INJECTED) == Fault.INJECTED:
            self.writer.write(b"220 go on\r\n250-evil.example\r\n250 AUTH PLAIN\r\n")
        else:
            self.writer.write(b"220 go on\r\n")
        await self.writer.start_tls(self.sink.tls)

    def knows(self, line: str) -> bool:
        said = base64.b64decode(line.rpartition(" ")[2]).decode()
        return said.rpartition("\0")[2] == self.sink.password

    async def mail(self, line: str) -> None:
        self.fault = self.sink.draw(of=lambda kind: kind != Fault.BUSY)
        self.sender = line.partition("<")[2].partition(">")[0]
        match self.fault:
            case Fault.DRIP:
                for byte in b"250 OK and so on and so on\r\n":
                    await self.raw(bytes([byte]))
                    await asyncio.sleep(0.1)
            case Fault.ENDLESS_REPLY:
                while True:
                    await self.raw(b"250-and another thing\r\n")
            case Fault.LONG_LINE:
                await self.raw(b"250 " + b"x" * 1_000_000 + b"\r\n")
            case Fault.LOGIN_NEEDED:
                await self.say("530 5.7.0 authentication required")
            case Fault.SENDER_REFUSED:
                self.sender = ""
                await self.say("553 5.1.8 this sender is not allowed here")
            case _:
                await self.say("250 OK")

    async def rcpt(self, line: str) -> None:
        match self.fault:
            case Fault.GREYLIST:
                await self.say("450 4.2.0 come back later")
            case Fault.NO_SUCH_PERSON:
                await self.say("550 5.1.1 no such person")
            case _ if not self.sender:
                await self.say("503 MAIL first")
            case _:
                self.recipient = line.partition("<")[2].partition(">")[0]
                await self.say("250 OK")

    async def data(self) -> None:
        await self.say("354 go on")
        if self.fault == Fault.DEAF:
            await asyncio.sleep(3600)
        if self.fault == Fault.RESET_IN_BODY:
            await self.reader.readline()
            raise Hangup
        if self.fault == Fault.TIRED:
            await self.reader.readuntil(b"\r\n\r\n")
            await self.say("421 4.4.2 you are too slow")
            raise Hangup
        content = await self.body()
        await self.judge(content)
        self.sender = self.recipient = ""

    async def body(self) -> bytes:
        lines: list[bytes] = []
        while (line := await self.reader.readuntil(b"\n")) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    async def judge(self, content: bytes) -> None:
        match self.fault:
            case Fault.STORAGE:
                await self.say("452 4.3.1 no room")
                return
            case Fault.UNWANTED:
                await self.say("554 5.7.1 unwanted")
                return
        self.sink.accept(self.sender, self.recipient, content)
        match self.fault:
            case Fault.CUT_AFTER_ACCEPTING:
                raise Hangup
            case Fault.NONSENSE_AFTER_ACCEPTING:
                await self.say("what a lovely mail")
            case Fault.SILENCE:
                await asyncio.sleep(3600)
            case Fault.DELAY:
                await asyncio.sleep(self.sink.delay)
                await self.say("250 2.0.0 taken late")
            case _:
                await self.say(f"250 2.0.0 taken as {len(self.sink.mails)}")

    async def say(self, *lines: str) -> None:
        if self.sink.pace:
            await asyncio.sleep(self.sink.pace)
        await self.raw("".join(f"{line}\r\n" for line in lines).encode())

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--journal", type=Path, required=True)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--faults", type=float, default=0)
    arguments.add_argument("--pace", type=float, default=0)
    arguments.add_argument("--delay", type=float, default=1)
    asyncio.run(Sink(**vars(arguments.parse_args())).serve())


if __name__ == "__main__":
    main()
