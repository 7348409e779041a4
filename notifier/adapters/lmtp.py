"""Taking in mails that a mail server on this machine hands over by LMTP (RFC 2033)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

log = structlog.get_logger()

LARGEST = 10 * 1024 * 1024  # bytes of one mail
IDLE_SECONDS = 300.0  # RFC 5321, 4.5.3.2.7
MOST_AT_ONCE = 4  # mails read at the same time

Take = Callable[[bytes], object]
TAKEN = "250 2.0.0 Taken in"
NOT_HERE = "550 5.1.1 No such mailbox here"
ONE_AT_A_TIME = "452 4.5.3 One recipient at a time"
TRY_AGAIN = "451 4.3.0 Not taken in: try again later"


class LmtpServer:
    """Listens from `start` to `stop`; gives each mail for `bounce_address`, with or without a tag, to `take`.

    A mail is answered with 250 after `take` has returned, which is after its commit.  The mail is given with the lines
    that a final delivery adds (RFC 5321, 4.4), so that its recipient's tag is read first.
    """

    def __init__(self, *, host: str, port: int, bounce_address: str, take: Take) -> None:
        self._host, self._port = host, port
        self._handler = _Handler(bounce_address, take)
        self._controller: _Controller | None = None

    def start(self) -> None:
        """OSError where somebody else listens there."""
        controller = _Controller(self._handler, hostname=self._host, port=self._port, ready_timeout=10)
        try:
            controller.start()
        except OSError:
            controller.loop.close()
            raise
        self._controller = controller

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None


class _Lmtp(LMTP):
    line_length_limit = LARGEST  # a bounce that is refused for a long line has nobody to return to


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Lmtp(self.handler, data_size_limit=LARGEST, timeout=IDLE_SECONDS, ident="notifier")


class _Handler:
    def __init__(self, bounce_address: str, take: Take) -> None:
        local, _, domain = bounce_address.casefold().partition("@")
        self._local, self._domain = local, domain
        self._take = take
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        del server, session
        if envelope.rcpt_tos:
            return ONE_AT_A_TIME  # LMTP answers for each recipient after the dot; a bounce has one
        local, _, domain = address.casefold().rpartition("@")
        if domain != self._domain or local.split("+", 1)[0] != self._local.split("+", 1)[0]:
            return NOT_HERE
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        del server, session
        sender = (envelope.mail_from or "").strip("<>")
        trace = f"Return-Path: <{sender}>\r\nDelivered-To: {envelope.rcpt_tos[0]}\r\n"
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        try:
            async with self._room:
                given = trace.encode("ascii", "replace") + content
                await asyncio.get_running_loop().run_in_executor(None, self._take, given)
        except Exception:
            log.exception("a mail that came back could not be taken in; it is asked for again")
            return TRY_AGAIN
        return TAKEN
