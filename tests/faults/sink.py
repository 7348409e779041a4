"""A fast mail server that goes wrong as it is told, for tests of faults and for benchmarks.

In a test: `with FaultSink({Fault.GREYLIST: "%3"}) as sink: ... sink.port`.
As a process: `python -m tests.faults.sink --port 2525 --journal FILE --faults greylist=0.05,cut_after_accepting=%7`.
Each mail taken is in the journal before its answer leaves: what is not there was never taken.  Nothing of a mail is
kept but its digests, so that memory stays flat.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import re
import signal
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self, cast
from uuid import uuid4

EXTENSIONS = ("PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
_MESSAGE_ID: Final = re.compile(rb"(?im)^message-id:\s*(\S+)")
_as_json: Final = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
_END: Final = b"\r\n.\r\n"


class Fault(StrEnum):
    # drawn for each conversation
    BUSY = "busy"  # 421 instead of the greeting
    MUTE = "mute"  # takes the connection and says nothing
    STARTTLS_REFUSED = "starttls_refused"
    LOGIN_REFUSED = "login_refused"
    # drawn for each mail, at MAIL
    MAIL_LATER = "mail_later"  # 451 to MAIL
    MAIL_NEVER = "mail_never"  # 553 to MAIL
    GREYLIST = "greylist"  # 450 to RCPT
    NO_SUCH_PERSON = "no_such_person"  # 550 to RCPT
    DATA_LATER = "data_later"  # 451 to DATA
    DATA_NEVER = "data_never"  # 554 to DATA
    STORAGE = "storage"  # 452 after the final dot
    HANGS_UP = "hangs_up"  # 421 after the final dot, and not taken
    UNWANTED = "unwanted"  # 554 after the final dot
    RESET_IN_BODY = "reset_in_body"
    CUT_AFTER_ACCEPTING = "cut_after_accepting"  # in the journal, but no 250
    CUT_BEFORE_ACCEPTING = "cut_before_accepting"  # the final dot came, and it is not in the journal
    NONSENSE = "nonsense"  # taken, and answered with something that is no reply
    LATE = "late"  # taken, and the 250 comes late
    SILENCE = "silence"  # taken, and no answer to the final dot
    DRIP = "drip"  # the answer to MAIL comes byte by byte
    ENDLESS_REPLY = "endless_reply"  # lines without end in answer to MAIL
    LONG_LINE = "long_line"  # one line of 1 MB in answer to MAIL
    BOUNCES = "bounces"  # taken, and a mail that says it could not be delivered is put into a folder


OF_A_TALK = frozenset({Fault.BUSY, Fault.MUTE, Fault.STARTTLS_REFUSED, Fault.LOGIN_REFUSED})
AT_MAIL: Mapping[Fault, bytes] = MappingProxyType(
    {
        Fault.MAIL_LATER: b"451 4.3.2 not now\r\n",
        Fault.MAIL_NEVER: b"553 5.1.8 this sender is not allowed here\r\n",
        Fault.LONG_LINE: b"250 " + b"x" * 1_000_000 + b"\r\n",
    }
)
AT_RCPT = MappingProxyType(
    {Fault.GREYLIST: b"450 4.2.0 come back later\r\n", Fault.NO_SUCH_PERSON: b"550 5.1.1 no such person\r\n"}
)
AT_DATA = MappingProxyType(
    {Fault.DATA_LATER: b"451 4.3.0 not now\r\n", Fault.DATA_NEVER: b"554 5.5.0 no mail for here\r\n"}
)
NOT_TAKEN = MappingProxyType(
    {
        Fault.STORAGE: b"452 4.3.1 no room\r\n",
        Fault.HANGS_UP: b"421 4.3.0 going down\r\n",
        Fault.UNWANTED: b"554 5.7.1 unwanted\r\n",
        Fault.CUT_BEFORE_ACCEPTING: b"",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One line of the journal.  `at` is in seconds since 1970, `sha256` is of the message as sent, dots undone."""

    message_id: str
    sender: str
    recipient: str
    at: float
    sha256: str

    def line(self) -> bytes:
        said = {name: getattr(self, name) for name in self.__slots__}
        return _as_json(said).encode() + b"\n"


def read_journal(journal: Path) -> list[Taken]:
    return [Taken(**json.loads(line)) for line in journal.read_text().splitlines()]


class When:
    """When a fault strikes: `0.12` is a share, `%7` every seventh time, `#3` the third time alone, `<5` the first
    four times.
    """

    def __init__(self, said: str, chance: random.Random) -> None:
        self._sign, self._value = ("", float(said)) if said[:1] not in "%#<" else (said[0], float(said[1:]))
        self._chance = chance
        self._count = 0

    def strikes(self) -> bool:
        self._count += 1
        match self._sign:
            case "%":
                return self._count % self._value == 0
            case "#":
                return self._count == self._value
            case "<":
                return self._count < self._value
            case _:
                return self._chance.random() < self._value


class FaultSink:
    """One server on 127.0.0.1, in a thread of its own as a context manager.  `port` 0 takes a free one.

    `pace` is the delay before each answer and `delay` that of a late 250, in seconds; `sync` forces each line of the
    journal to the disk; with `password` a sign-in is asked for; bounces are written into the folder `bounces`.
    """

    def __init__(  # noqa: PLR0913 - what a test may want of a server
        self,
        faults: Mapping[Fault, str] | None = None,
        *,
        port: int = 0,
        journal: Path | None = None,
        seed: int = 0,
        pace: float = 0,
        delay: float = 1,
        sync: bool = False,
        extensions: Sequence[str] = EXTENSIONS,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        password: str | None = None,
        bounces: Path | None = None,
    ) -> None:
        self.port, self.pace, self.delay, self.extensions = port, pace, delay, extensions
        self.tls, self.implicit_tls, self.password, self.bounces = tls, implicit_tls, password, bounces
        self.connections = self.mails = 0
        self.taken: list[Taken] = []  # only without a journal
        self.struck: list[Fault] = []
        self._journal, self._sync, self._seed = journal, sync, seed
        self._descriptor = -1
        self.faults(faults or {})
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve()), name="sink", daemon=True)

    def faults(self, faults: Mapping[Fault, str]) -> None:
        """Go wrong like this from now on."""
        chance = random.Random(self._seed)
        drawn = {fault: When(said, chance) for fault, said in faults.items()}
        self._of_talk = {fault: when for fault, when in drawn.items() if fault in OF_A_TALK}
        self._of_mail = {fault: when for fault, when in drawn.items() if fault not in OF_A_TALK}

    def draw(self, *, talk: bool) -> Fault | None:
        struck = None
        for fault, when in (self._of_talk if talk else self._of_mail).items():
            if when.strikes() and struck is None:
                struck = fault
        if struck:
            self.struck.append(struck)
        return struck

    def take(self, sender: str, recipient: str, content: bytes) -> None:
        """Write the mail down, for good, before anybody is told that it was taken."""
        self.mails += 1
        found = _MESSAGE_ID.search(content[:8192])
        taken = Taken(
            message_id=found[1].decode() if found else "",
            sender=sender,
            recipient=recipient,
            at=time.time(),  # noqa: TID251  # a relay's own clock, which no test sets
            sha256=hashlib.sha256(content).hexdigest(),
        )
        if self._descriptor < 0:
            self.taken.append(taken)
            return
        os.write(self._descriptor, taken.line())
        if self._sync:
            os.fsync(self._descriptor)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the sink did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop
        assert self._stop
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._stop.set)
        if self._journal:
            self._descriptor = os.open(self._journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        talks: set[Talk] = set()
        context = self.tls if self.implicit_tls else None
        server = await self._loop.create_server(
            lambda: Talk(self, talks), "127.0.0.1", self.port, ssl=context, backlog=1024
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            server.close()
            for talk in list(talks):
                talk.hang_up(reset=True)
            await asyncio.sleep(0.02)  # the transports say goodbye
            if self._descriptor >= 0:
                os.close(self._descriptor)


class Talk(asyncio.Protocol):
    """One conversation: a buffer, and what is read of it next."""

    def __init__(self, sink: FaultSink, talks: "set[Talk]") -> None:
        self.sink, self._talks = sink, talks
        self._buffer = bytearray()
        self._said = bytearray()  # answers that leave together: what comes pipelined is answered in one write
        self._searched = 0
        self._in_body = self._waits = self._is_secure = False
        self._sender = self._recipient = ""
        self._fault: Fault | None = None
        self._troubled: Fault | None = None
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._verbs: Mapping[bytes, Callable[[bytes], None]] = {
            b"MAIL": self._mail, b"RCPT": self._rcpt, b"DATA": self._data, b"EHLO": self._ehlo, b"HELO": self._helo,
            b"RSET": self._rset, b"NOOP": self._helo, b"QUIT": self._quit, b"STAR": self._start_tls,
            b"AUTH": self._auth,
        }  # fmt: skip

    # --- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._is_secure:
            return  # the same conversation, after STARTTLS
        self._talks.add(self)
        self.sink.connections += 1
        self._is_secure = self.sink.implicit_tls
        self._troubled = self.sink.draw(talk=True)
        if self._troubled is Fault.BUSY:
            self.say(b"421 4.3.2 too busy\r\n")
            self.hang_up()
        elif self._troubled is not Fault.MUTE:
            self.say(b"220 sink.example ready\r\n")
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._talks.discard(self)
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._waits:
            self._read()
            self._flush()

    def hang_up(self, *, reset: bool = False) -> None:
        self._flush()
        if self._transport and reset:
            self._transport.abort()
        elif self._transport:
            self._transport.close()
        self._waits = True
        self._buffer.clear()

    def say(self, reply: bytes) -> None:
        assert self._transport
        if self.sink.pace:
            self._later(self.sink.pace, reply)
        else:
            self._said += reply

    def _flush(self) -> None:
        if self._said and self._transport:
            self._transport.write(bytes(self._said))
            self._said.clear()

    def _later(self, seconds: float, reply: bytes) -> None:
        """Answer after so long, and read nothing in between."""
        self._waits = True
        asyncio.get_running_loop().call_later(seconds, self._go_on, reply)

    def _go_on(self, reply: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._said += reply
        self._waits = False
        self._read()
        self._flush()

    def _read(self) -> None:
        while not self._waits and self._troubled is not Fault.MUTE:
            if self._in_body:
                if not self._read_body():
                    return
                continue
            end = self._buffer.find(b"\n")
            if end < 0:
                return
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            self._verbs.get(line[:4].upper(), self._strange)(line)

    def _go_on_saying(self, words: bytes) -> None:
        """Say the same without end, for as long as anybody listens."""

        async def saying() -> None:
            while self._transport and not self._transport.is_closing():
                self._transport.write(words)
                await asyncio.sleep(self.sink.delay)

        self._waits = True
        self._task = asyncio.get_running_loop().create_task(saying())

    # --- commands ----------------------------------------------------------------------------------------------------

    def _ehlo(self, _: bytes) -> None:
        login = ["AUTH PLAIN"] if self.sink.password is not None and self._is_secure else []
        starttls = ["STARTTLS"] if self.sink.tls and not self._is_secure else []
        lines = ["sink.example", *self.sink.extensions, *starttls, *login]
        said = [f"250-{line}\r\n" for line in lines[:-1]] + [f"250 {lines[-1]}\r\n"]
        self.say("".join(said).encode())

    def _helo(self, _: bytes) -> None:
        self.say(b"250 OK\r\n")

    def _strange(self, _: bytes) -> None:
        self.say(b"502 5.5.2 not understood\r\n")

    def _rset(self, _: bytes) -> None:
        self._sender = self._recipient = ""
        self.say(b"250 OK\r\n")

    def _quit(self, _: bytes) -> None:
        self.say(b"221 bye\r\n")
        self.hang_up()

    def _auth(self, _: bytes) -> None:
        refused = self._troubled is Fault.LOGIN_REFUSED
        self.say(b"535 5.7.8 wrong name or password\r\n" if refused else b"235 2.7.0 welcome\r\n")

    def _start_tls(self, _: bytes) -> None:
        context = self.sink.tls
        if context is None or self._troubled is Fault.STARTTLS_REFUSED:
            self.say(b"454 4.7.0 not now\r\n")
            return
        self.say(b"220 go on\r\n")
        self._flush()
        self._waits = True

        async def shake_hands() -> None:
            loop = asyncio.get_running_loop()
            assert self._transport
            self._is_secure = True
            plain = self._transport
            try:
                self._transport = await loop.start_tls(plain, self, context, server_side=True)
            except OSError:  # the client does not like us
                plain.abort()
                return
            self._waits = False
            self._read()  # what the client has said by now
            self._flush()

        self._task = asyncio.get_running_loop().create_task(shake_hands())

    def _mail(self, line: bytes) -> None:
        self._fault = self.sink.draw(talk=False)
        self._sender, self._recipient = _address(line), ""
        if self._fault is Fault.DRIP:
            self._go_on_saying(b"2")
        elif self._fault is Fault.ENDLESS_REPLY:
            self._go_on_saying(b"250-and another thing\r\n" * 50)
        else:
            self.say(AT_MAIL.get(self._fault, b"250 2.1.0 OK\r\n") if self._fault else b"250 2.1.0 OK\r\n")

    def _rcpt(self, line: bytes) -> None:
        if self._fault and self._fault in AT_MAIL:
            self.say(b"503 5.5.1 MAIL first\r\n")
        elif self._fault and self._fault in AT_RCPT:
            self.say(AT_RCPT[self._fault])
        else:
            self._recipient = _address(line)
            self.say(b"250 2.1.5 OK\r\n")

    def _data(self, _: bytes) -> None:
        if not self._recipient:
            self.say(b"503 5.5.1 RCPT first\r\n")
        elif self._fault and self._fault in AT_DATA:
            self.say(AT_DATA[self._fault])
        else:
            self._in_body, self._searched = True, 0
            self.say(b"354 go on\r\n")

    # --- the message -------------------------------------------------------------------------------------------------

    def _read_body(self) -> bool:
        """Say whether the message has come to its end."""
        if self._fault is Fault.RESET_IN_BODY and self._buffer:
            self.hang_up(reset=True)
            return False
        at = self._buffer.find(_END, self._searched)
        if at < 0:
            self._searched = max(0, len(self._buffer) - len(_END))
            return False
        content = bytes(self._buffer[: at + 2])
        del self._buffer[: at + len(_END)]
        self._in_body = False
        if content.startswith(b".") or b"\n." in content:
            content = content.removeprefix(b".").replace(b"\n.", b"\n")
        self._judge(content)
        return True

    def _judge(self, content: bytes) -> None:
        if self._fault and self._fault in NOT_TAKEN:
            if reply := NOT_TAKEN[self._fault]:
                self.say(reply)
            if self._fault in {Fault.HANGS_UP, Fault.CUT_BEFORE_ACCEPTING}:
                self.hang_up()
            return
        self.sink.take(self._sender, self._recipient, content)
        match self._fault:
            case Fault.CUT_AFTER_ACCEPTING:
                self.hang_up()
            case Fault.NONSENSE:
                self.say(b"what a lovely mail\r\n")
            case Fault.SILENCE:
                self._waits = True
            case Fault.LATE:
                self._later(self.sink.delay, b"250 2.0.0 taken late\r\n")
            case _:
                if self._fault is Fault.BOUNCES:
                    self._bounce(content)
                self.say(b"250 2.0.0 taken\r\n")

    def _bounce(self, content: bytes) -> None:
        """Write what the relay would send back, named whole in one step so that nobody reads half of it."""
        assert self.sink.bounces
        file = self.sink.bounces / f"{uuid4()}.eml"
        file.with_suffix(".part").write_bytes(bounce(self._sender, self._recipient, content))
        file.with_suffix(".part").rename(file)


def bounce(sender: str, recipient: str, content: bytes) -> bytes:
    """Return a mail that says, by RFC 3464, that this one could not be delivered."""
    headers = content.partition(b"\r\n\r\n")[0]
    return (
        f"Return-Path: <>\r\nTo: <{sender}>\r\nFrom: MAILER-DAEMON@sink.example\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=b"\r\n\r\n'
        "--=b\r\nContent-Type: text/plain\r\n\r\nYour mail could not be delivered.\r\n"
        "--=b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; sink.example\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such person\r\n\r\n"
        "--=b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
    ).encode() + b"%s\r\n\r\n--=b--\r\n" % headers


def _address(line: bytes) -> str:
    return line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")


def _faults(said: str) -> dict[Fault, str]:
    pairs = (one.partition("=") for one in said.split(",") if one)
    return {Fault(name): when for name, _, when in pairs}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--journal", type=Path)
    arguments.add_argument("--faults", type=_faults, default={}, metavar="KIND=WHEN,…")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--pace", type=float, default=0)
    arguments.add_argument("--delay", type=float, default=1)
    arguments.add_argument("--sync", action="store_true")
    arguments.add_argument("--bounces", type=Path)
    arguments.add_argument("--without", nargs="*", default=[], help="extensions that are not offered")
    said = vars(arguments.parse_args())
    without = {name.upper() for name in said.pop("without")}
    offered = [name for name in EXTENSIONS if name.split(maxsplit=1)[0] not in without]
    asyncio.run(FaultSink(said.pop("faults"), **said, extensions=offered).serve())


if __name__ == "__main__":
    main()
