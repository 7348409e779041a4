"""Taking in mails that came back: a mailbox read by IMAP (RFC 3501), and the thread that looks into it.

A mail is marked only after whoever takes it in has returned, which is after its commit: an intake that dies between the
two reads the mail again, and the same bytes have one effect.
"""

from __future__ import annotations

import imaplib
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Protocol

import structlog

log = structlog.get_logger()

LARGEST = 10 * 1024 * 1024  # bytes that are read of one mail
PHASE_SECONDS = 30.0  # for the server's answer to one command
STOP_SECONDS = 10.0  # for the mail that is being taken in; one that is cut off is read again
FAILURES_IN_A_ROW = 3  # then it is not the mails
MOST_AT_ONCE = 500  # mails of one look; the next takes more

Take = Callable[[bytes], object]


class InboxTrouble(Exception):
    """The mailbox cannot be read; the message says what was being done, and names nobody."""


class Server(Protocol):
    """What listens for mails while the intake runs."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    """A folder of an IMAP mailbox that holds nothing but mails that came back.

    `token` gives an OAuth 2.0 access token where the server asks for one in the place of a password (XOAUTH2).  What
    has been taken in is moved to `done_folder`, or marked as read where there is none.
    """

    host: str
    port: int = 993
    security: Literal["none", "starttls", "tls"] = "tls"
    user: str
    password: str = ""
    token: Callable[[], str] | None = None
    folder: str = "INBOX"
    done_folder: str = ""
    ca_file: str | None = None

    def take_all(self, take: Take) -> int:
        """Give each unread mail to `take`, oldest first, and mark it when that returns; returns how many were taken.

        A mail at which `take` fails stays unread, and is given again at the next look.  InboxTrouble where the server
        does not answer or refuses, or where `take` fails at one mail after the other.
        """
        with self._opened() as server:
            taken = failures = 0
            for uid in _unread(server)[:MOST_AT_ONCE]:
                content = _content(server, uid)
                if content is None:  # somebody else has moved it in the meantime
                    continue
                try:
                    take(content)
                except Exception as trouble:
                    failures += 1
                    log.exception("a mail that came back could not be taken in; it stays unread", uid=uid.decode())
                    if failures == FAILURES_IN_A_ROW:
                        raise InboxTrouble("mails that came back cannot be taken in; the log says why") from trouble
                    continue
                self._mark(server, uid)
                taken, failures = taken + 1, 0
            return taken

    def _mark(self, server: imaplib.IMAP4, uid: bytes) -> None:
        _uid(server, "STORE", uid.decode(), "+FLAGS", "(\\Seen)")
        if not self.done_folder:
            return
        if "MOVE" in server.capabilities:  # RFC 6851
            _uid(server, "MOVE", uid.decode(), _quoted(self.done_folder))
            return
        _uid(server, "COPY", uid.decode(), _quoted(self.done_folder))
        _uid(server, "STORE", uid.decode(), "+FLAGS", "(\\Deleted)")
        if "UIDPLUS" in server.capabilities:  # else it stays where it is until somebody empties the folder
            _uid(server, "EXPUNGE", uid.decode())

    @contextmanager
    def _opened(self) -> Iterator[imaplib.IMAP4]:
        try:
            server = self._connected()
            try:
                if self.security == "starttls":
                    server.starttls(ssl_context=self._context())
                self._sign_in(server)
                if server.select(_quoted(self.folder))[0] != "OK":
                    raise InboxTrouble(f"the mailbox on {self.host} has no folder {self.folder}")
                yield server
            finally:
                _hang_up(server)
        except (imaplib.IMAP4.error, OSError, EOFError) as trouble:
            why = type(trouble).__name__  # what the server says may repeat what it was asked
            raise InboxTrouble(f"the mailbox on {self.host} does not answer as it should: {why}") from None

    def _connected(self) -> imaplib.IMAP4:
        if self.security == "tls":
            return imaplib.IMAP4_SSL(self.host, self.port, ssl_context=self._context(), timeout=PHASE_SECONDS)
        return imaplib.IMAP4(self.host, self.port, timeout=PHASE_SECONDS)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=None)
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def _sign_in(self, server: imaplib.IMAP4) -> None:
        try:
            if self.token is None:
                server.login(_quoted(self.user), self.password)
                return
            said = iter([f"user={self.user}\x01auth=Bearer {self.token()}\x01\x01".encode()])
            # Asked a second time, the token was refused; the answer to why is empty.
            server.authenticate("XOAUTH2", lambda _asked: next(said, b""))
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:  # what the server says may repeat who signs in
            raise InboxTrouble(f"the mailbox on {self.host} does not let us in: correct user and password") from None


class Intake:
    """Takes in what comes back, by each way there is, from `start` to `close`: a thread that looks into the mailbox,
    and what listens.
    """

    def __init__(
        self,
        *,
        inbox: Inbox | None = None,
        take: Take | None = None,
        seconds: float = 60,
        servers: Sequence[Server] = (),
    ) -> None:
        self._inbox = inbox
        self._take = take
        self._seconds = seconds
        self._servers = servers
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bounces", daemon=True)

    def start(self) -> None:
        for server in self._servers:
            try:
                server.start()
            except OSError as trouble:  # another worker process on this machine listens there
                log.warning("nobody listens here for mails that come back", trouble=type(trouble).__name__)
        if self._inbox and self._take:
            self._thread.start()

    def close(self) -> None:
        """Take no more; what is being taken in is finished first, if it does not take long."""
        self._stopped.set()
        for server in self._servers:
            server.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=STOP_SECONDS)

    def look(self) -> int:
        """Look into the mailbox once; returns how many mails were taken in."""
        return self._inbox.take_all(self._take) if self._inbox and self._take else 0

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                taken = self.look()
            except InboxTrouble as trouble:
                log.warning("mails that came back could not be read; trying again", trouble=str(trouble))
                taken = 0
            except Exception:
                log.exception("mails that came back could not be read; trying again")
                taken = 0
            if taken < MOST_AT_ONCE:
                self._stopped.wait(self._seconds)


def _hang_up(server: imaplib.IMAP4) -> None:
    with suppress(OSError, imaplib.IMAP4.error):
        server.logout()
    with suppress(OSError):
        server.shutdown()  # where the goodbye failed, the socket is still open


def _unread(server: imaplib.IMAP4) -> list[bytes]:
    found = _uid(server, "SEARCH", "UNSEEN")
    return sorted(b" ".join(one for one in found if isinstance(one, bytes)).split(), key=int)


def _content(server: imaplib.IMAP4, uid: bytes) -> bytes | None:
    """Return a mail without marking it as read; None where it is there no more."""
    for part in _uid(server, "FETCH", uid.decode(), f"(BODY.PEEK[]<0.{LARGEST}>)"):
        if isinstance(part, tuple) and b"BODY[]" in part[0].upper():
            return bytes(part[1])
    return None


def _uid(server: imaplib.IMAP4, command: str, *arguments: str) -> list[bytes | tuple[bytes, bytes] | None]:
    status, data = server.uid(command, *arguments)
    if status != "OK":
        raise InboxTrouble(f"the mailbox refuses to {command.lower()}")
    return data


def _quoted(text: str) -> str:
    """Return a quoted string (RFC 3501, 4.3); settings keep line breaks out."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
