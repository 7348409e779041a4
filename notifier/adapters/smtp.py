"""Mail to a relay, over sessions that are kept, many mails at a time, each held at its final dot.

A round of mails goes in lock-step: one line is written on every session before the first answer is read, so the
way to the relay and back is paid once a round and not once a mail. `smtplib` opens the sessions (EHLO, STARTTLS,
AUTH); its reader is replaced by one that is bounded in time and in memory.
"""

from __future__ import annotations

import re
import select
import smtplib
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Literal, NamedTuple, cast
from uuid import UUID

from notifier.adapters.oauth import OAuthTrouble, Tokens, xoauth2
from notifier.adapters.sending import Blame, Held, Mail, Outcome, Verdict, cleaned, flaw
from notifier.rules.limits import domain_of

_LONGEST_REPLY = 16_384  # bytes, all lines together; an honest EHLO answer has about 500
OPENED_AT_ONCE = 16  # sessions: each takes a thread while it is opened
_FAIR_SHARE = 1.0  # seconds each session gets even when a slow neighbour has used up the phase
_YES, _GO_ON, _LATER, _NO = 2, 3, 4, 5  # first digits of a reply code (RFC 5321 4.2.1)
_HANGS_UP = 421
_SIGN_IN = frozenset({530, 534, 535, 538})  # RFC 4954, 6
_RELAYS_TROUBLE = frozenset({_HANGS_UP, 503}) | _SIGN_IN  # said of the session or of us, not of this recipient
_TOO_LARGE = 552
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_NOT_XTEXT = re.compile(r"[^!-*,-<>-~]")
_Phase = Literal["MAIL", "RCPT", "DATA"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds to wait in each phase; the defaults are the least that RFC 5321 4.5.3.2 asks for."""

    connect: float = 30
    greeting: float = 300  # also each answer to EHLO, STARTTLS and AUTH
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    dot: float = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Where mail is handed over. Raises ValueError for a password that would travel in clear.

    `tokens` sign in in the place of the password (XOAUTH2). `idempotency_header` is written in front of each mail, with
    the id of its delivery: a word to the relay, and no part of the message. `sign` returns a mail with its signature.
    """

    host: str
    port: int
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    sessions: int = 10
    timeouts: Timeouts = field(default_factory=Timeouts)
    local_hostname: str | None = None  # said in EHLO; None asks the machine for its name
    ca_file: Path | None = None  # trusted instead of the system's authorities
    mails_per_session: int = 100
    seconds_per_session: float = 300
    tokens: Tokens | None = None
    idempotency_header: str = ""
    sign: Callable[[bytes], bytes] | None = None

    def __post_init__(self) -> None:
        if self.username and self.security == "none":
            raise ValueError('a relay with a password needs security "starttls" or "tls"')

    @property
    def peer(self) -> str:
        return f"{self.host}:{self.port}"


class _Reply(NamedTuple):
    code: int
    text: bytes

    @property
    def kind(self) -> int:
        return self.code // 100


class _Session(smtplib.SMTP):
    """One conversation with the relay. Every failure is an OSError and leaves the session closed."""

    def __init__(self, relay: Relay, context: ssl.SSLContext | None) -> None:
        super().__init__(local_hostname=relay.local_hostname)
        self.relay = relay
        self.tls = ""
        self.mails = 0
        self.born = time.monotonic()
        self.pipelining = self.dsn = self.size = self.takes_8bit = self.takes_utf8 = False
        self.largest = 0  # bytes of a mail; 0 where the relay names no limit
        self.unfinished = False  # an envelope was begun and refused: RSET before the next
        self.unread = b""
        try:
            self._open(context)
        except (OSError, ValueError):  # ValueError: a host name or a password that cannot be encoded
            self.close()
            raise

    def _open(self, context: ssl.SSLContext | None) -> None:
        relay = self.relay
        self.sock = socket.create_connection((relay.host, relay.port), timeout=relay.timeouts.connect)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context and relay.security == "tls":
            self._wrap(context)
        self._expect(220, self.getreply(), "the relay does not greet us")
        self.ehlo_or_helo_if_needed()
        if context and relay.security == "starttls":
            if not self.has_extn("starttls"):
                raise smtplib.SMTPNotSupportedError("the relay offers no STARTTLS; no mail goes in clear")
            self._expect(220, self.docmd("STARTTLS"), "the relay refuses STARTTLS")
            if self.unread:  # said in clear, to be believed after the handshake (CVE-2011-0411)
                raise smtplib.SMTPServerDisconnected("bytes were slipped in before the TLS handshake")
            self._wrap(context)
            self.ehlo_resp = self.helo_resp = None
            self.ehlo_or_helo_if_needed()
        if relay.tokens:
            self._sign_in_with(relay.tokens)
        elif relay.username:
            self.login(relay.username, relay.password)
        self.pipelining = self.has_extn("pipelining")
        self.dsn = self.has_extn("dsn")
        self.size = self.has_extn("size")
        self.takes_8bit = self.has_extn("8bitmime")
        self.takes_utf8 = self.has_extn("smtputf8")
        self.largest = int(size) if (size := self.esmtp_features.get("size", "").strip()).isdigit() else 0
        self.sock.settimeout(0)  # from here on it is waited for only where there is nothing to read, or no room

    def _sign_in_with(self, tokens: Tokens) -> None:
        """XOAUTH2: asked a second time (334), the token was refused, and an empty line brings the reason."""
        if "XOAUTH2" not in self.esmtp_features.get("auth", "").upper().split():
            raise smtplib.SMTPNotSupportedError("the relay offers no XOAUTH2; take oauth out of its settings")
        token = tokens()
        try:
            self.auth("XOAUTH2", lambda challenge=None: _first_word(self.relay.username, token, challenge))
        except smtplib.SMTPAuthenticationError:
            tokens.forget()
            raise

    def _wrap(self, context: ssl.SSLContext) -> None:
        wrapped = context.wrap_socket(self._socket(), server_hostname=self.relay.host)
        self.sock, self.tls = wrapped, wrapped.version() or ""

    def _expect(self, code: int, reply: tuple[int, bytes], trouble: str) -> None:
        if reply[0] != code:
            raise smtplib.SMTPResponseException(reply[0], trouble.encode() + b": " + reply[1])

    def _socket(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the session is closed")
        return self.sock

    @property
    def closed(self) -> bool:
        return self.sock is None

    @property
    def worn(self) -> bool:
        return self._is_worn_after(self.mails) or not self.quiet()

    @property
    def is_nearly_worn(self) -> bool:
        """Whether the mail at the dot is the last that this session may carry."""
        return self._is_worn_after(self.mails + 1)

    def _is_worn_after(self, mails: int) -> bool:
        is_old = time.monotonic() - self.born > self.relay.seconds_per_session
        return is_old or mails >= self.relay.mails_per_session

    def quiet(self) -> bool:
        """Whether the relay is still there and has said nothing unasked (as 421 before it hangs up)."""
        if self.unread or self.sock is None:
            return False
        try:
            self.unread = self.sock.recv(4096)
        except _NOT_NOW:
            return True
        except OSError:
            return False
        return False

    def write(self, data: bytes, until: float) -> None:
        """Write all of `data`, or raise and leave the session closed. `until` is an instant of the monotonic clock."""
        try:
            sent = self._send(data)
            if sent < len(data):
                until = time.monotonic() + _left(until)
            while sent < len(data):
                self._wait(select.POLLOUT, until - time.monotonic(), "the relay takes nothing any more")
                sent += self._send(data[sent:])
        except OSError:
            self.close()
            raise

    def _send(self, data: bytes) -> int:
        try:
            return self._socket().send(data)
        except _NOT_NOW:
            return 0

    def _wait(self, what: int, seconds: float, trouble: str) -> None:
        if seconds > 0:
            poll = select.poll()
            poll.register(self._socket(), what)
            if poll.poll(seconds * 1000):
                return
        raise TimeoutError(trouble)

    def getreply(self) -> tuple[int, bytes]:
        """What smtplib reads with while the session is opened."""
        code, lines = self._reply(time.monotonic() + self.relay.timeouts.greeting)
        return code, b"\n".join(lines)

    def reply(self, until: float) -> _Reply:
        code, lines = self._reply(time.monotonic() + _left(until))
        return _Reply(code, lines[0] if len(lines) == 1 else b"\n".join(lines))

    def _reply(self, until: float) -> tuple[int, list[bytes]]:
        lines: list[bytes] = []
        budget = _LONGEST_REPLY
        try:
            while True:
                line = self._line(until, budget)
                budget -= len(line)
                code, mark = line[:3], line[3:4]
                if not (code.isdigit() and b"200" <= code < b"600" and mark in {b"", b" ", b"-"}):
                    raise smtplib.SMTPServerDisconnected(f"not an SMTP reply: {cleaned(line[:80])}")
                lines.append(line[4:])
                if mark != b"-":
                    return int(code), lines
        except OSError:
            self.close()
            raise

    def _line(self, until: float, budget: int) -> bytes:
        while (end := self.unread.find(b"\n")) < 0:
            if len(self.unread) >= budget:
                raise smtplib.SMTPServerDisconnected("the relay's reply has no end")
            self.unread += self._more(until)
        line, self.unread = self.unread[:end], self.unread[end + 1 :]
        if len(line) >= budget:
            raise smtplib.SMTPServerDisconnected("the relay's reply has no end")
        return line.rstrip(b"\r")

    def _more(self, until: float) -> bytes:
        sock = self._socket()
        while (left := until - time.monotonic()) > 0:
            if sock.gettimeout() != 0:  # while it is being opened
                sock.settimeout(left)
            with suppress(*_NOT_NOW):
                if more := sock.recv(4096):
                    return more
                raise smtplib.SMTPServerDisconnected("the relay cut the connection")
            self._wait(select.POLLIN, left, "the relay's reply took too long")
        raise TimeoutError("the relay's reply took too long")

    def leave(self) -> None:
        """Say QUIT and go without waiting for the answer."""
        try:
            self.write(b"QUIT\r\n", time.monotonic())
        except OSError:
            return
        self.close()


@dataclass(slots=True)
class _Offer:
    """One mail on one session. Without an outcome after DATA and its body, it is held at the dot."""

    mail: Mail
    session: _Session
    wire: bytes
    commands: dict[_Phase, bytes]
    outcome: Outcome | None = None
    spent: bool = False
    begun: bool = False  # the envelope left with the dot of the mail before

    @property
    def pipelined(self) -> bool:
        return self.session.pipelining

    @property
    def is_orphan(self) -> bool:
        """Whether the relay hung up after the mail before, and so never answered this one's envelope."""
        return self.outcome is not None and self.outcome.code is None

    @property
    def envelope(self) -> bytes:
        return b"".join(self.commands.values())

    def ask(self, phase: _Phase, until: float) -> None:
        """Write this phase's command; a pipelining relay gets all of them with the first (RFC 2920)."""
        if self.outcome or self.begun or (self.pipelined and phase != "MAIL"):
            return
        lines = self.envelope if self.pipelined else self.commands[phase]
        if phase == "MAIL" and self.session.unfinished:
            lines = b"RSET\r\n" + lines
        self._attempt(lines, until)

    def hear(self, phase: _Phase, until: float) -> None:
        """Read the answer to this phase's command, also of one written before an earlier one was refused."""
        if self.session.closed:
            return
        try:
            if phase == "MAIL" and self.session.unfinished:
                self.session.reply(until)
                self.session.unfinished = False
            reply = self.session.reply(until)
        except OSError as cut:
            self.outcome = self.outcome or self.end(Verdict.DEFERRED, None, f"cut at {phase}: {cut}")
            return
        if self.outcome:
            self._drain(phase, reply)
        elif reply.kind != (_GO_ON if phase == "DATA" else _YES):
            self._refuse(phase, reply)

    def _refuse(self, phase: _Phase, reply: _Reply) -> None:
        self.outcome = self.end(_before_the_dot(phase, reply), reply.code, reply.text, blame=_blame(reply, phase))
        self.session.unfinished = True
        if reply.code in _RELAYS_TROUBLE or reply.kind not in {_LATER, _NO} or not self.pipelined:
            self.session.close()

    def _drain(self, phase: _Phase, reply: _Reply) -> None:
        """A go-ahead for a mail already refused leaves nothing but to hang up: a dot would send an empty mail."""
        if phase == "DATA" and reply.kind not in {_LATER, _NO}:
            self.session.close()

    def pour(self, until: float) -> None:
        """Write the message, all but the final dot."""
        if not self.outcome:
            self._attempt(_stuffed(self.wire), until)

    def dot(self, until: float, then: _Offer | None) -> None:
        """Give the final dot, unless the relay is gone or has spoken out of turn: then it is certain that none left.

        The envelope of the next mail goes with it, which saves a way to the relay and back (RFC 2920, 3.1).
        """
        if not self.session.quiet():
            self.outcome = self._last_words()
            self.session.close()
            return
        try:
            self.session.write(b".\r\n" + then.envelope if then else b".\r\n", until)
        except OSError as cut:  # how much of the three bytes left is not known
            self.outcome = self.end(Verdict.UNKNOWN, None, f"cut at the final dot: {cut}")

    def verdict(self, until: float) -> Outcome:
        """Read the answer to the final dot."""
        if self.outcome:
            return self.outcome
        self.session.mails += 1
        try:
            reply = self.session.reply(until)
        except OSError as cut:
            return self.end(Verdict.UNKNOWN, None, f"no answer to the final dot: {cut}")
        if reply.code == _HANGS_UP or reply.kind == _GO_ON:
            self.session.close()
        return self.end(_after_the_dot(reply), reply.code, reply.text, blame=_blame(reply))

    def _last_words(self) -> Outcome:
        try:
            reply = self.session.reply(time.monotonic())
        except OSError as cut:
            return self.end(Verdict.DEFERRED, None, f"gone before the final dot: {cut}")
        return self.end(Verdict.DEFERRED, reply.code, reply.text, blame=_blame(reply))

    def end(self, verdict: Verdict, code: int | None, reply: str | bytes, *, blame: Blame = Blame.NONE) -> Outcome:
        return _outcome(self.mail, verdict, code, reply, self.session.relay, self.session.tls, blame)

    def _attempt(self, data: bytes, until: float) -> None:
        try:
            self.session.write(data, until)
        except OSError as cut:
            self.outcome = self.end(Verdict.DEFERRED, None, f"cut before the final dot: {cut}")


class SmtpSender:
    """A `Sender` for one relay. Sessions are opened when needed, kept between rounds, and retired by use and age."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._context = None if relay.security == "none" else _verified(relay.ca_file)
        self._idle: list[_Session] = []
        self._begun: dict[UUID, _Offer] = {}

    @property
    def capacity(self) -> int:
        return self._relay.sessions

    def hold(self, mails: Sequence[Mail]) -> tuple[list[Held], list[Outcome]]:
        if len(mails) > self.capacity:
            raise ValueError(f"{len(mails)} mails offered to {self.capacity} sessions")
        resumed = self._resumed(mails)
        self._converse(resumed)
        offers = [offer for offer in resumed if not offer.is_orphan]
        begun = {offer.mail.delivery_id for offer in offers}
        flaws = [(mail, flaw(mail)) for mail in mails if mail.delivery_id not in begun]
        outcomes = [_outcome(mail, Verdict.REFUSED, None, why, self._relay) for mail, why in flaws if why]
        placed, unplaced = self._place([mail for mail, why in flaws if not why])
        self._converse(placed)
        offers += placed
        outcomes += unplaced
        outcomes += [offer.outcome for offer in offers if offer.outcome]
        self._keep(offer.session for offer in offers if offer.outcome)
        return [offer for offer in offers if not offer.outcome], outcomes

    def release(self, held: Sequence[Held], then: Sequence[Mail] = ()) -> list[Outcome]:
        offers = _spend(held)
        following = self._follow(offers, then)
        until = time.monotonic() + self._relay.timeouts.block
        for offer, after in zip_longest(offers, following):
            offer.dot(until, after)
        until = time.monotonic() + self._relay.timeouts.dot
        outcomes = [offer.verdict(until) for offer in offers]
        begun = [after for after in following if after and not after.session.closed]
        self._begun = {after.mail.delivery_id: after for after in begun}
        busy = {id(after.session) for after in begun}
        self._keep(offer.session for offer in offers if id(offer.session) not in busy)
        return outcomes

    def _follow(self, offers: Sequence[_Offer], then: Sequence[Mail]) -> list[_Offer | None]:
        """Choose what follows on each session in the same breath as its dot."""
        coming = deque(mail for mail in then if not flaw(mail))
        following: list[_Offer | None] = []
        for offer in offers:
            session = offer.session
            may_go_on = coming and offer.pipelined and not session.is_nearly_worn
            after = _offer(coming[0], session, begun=True) if may_go_on else None
            if after and not _lack(after):
                coming.popleft()
                following.append(after)
            else:
                following.append(None)
        return following

    def _resumed(self, mails: Sequence[Mail]) -> list[_Offer]:
        """Return the offers of these mails whose envelopes have left; a session that has another mail's is let go."""
        wanted = {(mail.delivery_id, mail.attempt) for mail in mails}
        begun = [(offer, (offer.mail.delivery_id, offer.mail.attempt) in wanted) for offer in self._begun.values()]
        offers = [offer for offer, is_wanted in begun if is_wanted]
        for offer, is_wanted in begun:
            if not is_wanted:
                offer.session.close()
        self._begun = {}
        return offers

    def drop(self, held: Sequence[Held]) -> None:
        for offer in _spend(held):
            offer.session.close()

    def close(self) -> None:
        self._resumed(())
        while self._idle:
            self._idle.pop().leave()

    def _place(self, mails: list[Mail]) -> tuple[list[_Offer], list[Outcome]]:
        """Give each mail a session; what finds none, or one that cannot carry it, comes back as an outcome."""
        offers: list[_Offer] = []
        outcomes: list[Outcome] = []
        for mail, session in zip(mails, self._sessions(len(mails)), strict=True):
            if isinstance(session, Exception):
                outcomes.append(_no_session(mail, session, self._relay))
            elif lack := _lack(offer := _offer(mail, session)):
                outcomes.append(offer.end(Verdict.REFUSED, None, lack))
                self._keep([session])
            else:
                offers.append(offer)
        return offers, outcomes

    def _sessions(self, count: int) -> list[_Session | Exception]:
        """As many sessions as asked for: idle ones first, then new ones, opened side by side.

        With none idle, the first is opened alone: a relay that turns us away is asked once a round,
        not ten times, since ten wrong passwords lock an account.
        """
        ready: list[_Session | Exception] = []
        while len(ready) < count and self._idle:
            session = self._idle.pop()
            if session.worn:
                session.leave()
            else:
                ready.append(session)
        if count and not ready:
            first = self._open()
            if isinstance(first, Exception):
                return [first] * count
            ready.append(first)
        if missing := count - len(ready):
            with ThreadPoolExecutor(min(missing, OPENED_AT_ONCE)) as pool:
                ready += [opening.result() for opening in [pool.submit(self._open) for _ in range(missing)]]
        return ready

    def _open(self) -> _Session | Exception:
        try:
            return _Session(self._relay, self._context)
        except (OSError, ValueError) as trouble:
            return trouble

    def _converse(self, offers: list[_Offer]) -> None:
        limits = self._relay.timeouts
        phases: dict[_Phase, float] = {"MAIL": limits.mail, "RCPT": limits.rcpt, "DATA": limits.data}
        for phase, limit in phases.items():
            until = time.monotonic() + limit
            for offer in offers:
                offer.ask(phase, until)
            for offer in offers:
                offer.hear(phase, until)
        until = time.monotonic() + limits.block
        for offer in offers:
            offer.pour(until)

    def _keep(self, sessions: Iterable[_Session]) -> None:
        self._idle += [session for session in sessions if not session.closed]


def _verified(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _left(until: float) -> float:
    return max(until - time.monotonic(), _FAIR_SHARE)


def _stuffed(content: bytes) -> bytes:
    """The message with its dots doubled (RFC 5321 4.5.2) and a line end at its end."""
    stuffed = content.replace(b"\n.", b"\n..")
    if content.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _offer(mail: Mail, session: _Session, *, begun: bool = False) -> _Offer:
    wire = _wire(mail, session.relay)
    return _Offer(mail, session, wire, _commands(mail, wire, session), begun=begun)


def _wire(mail: Mail, relay: Relay) -> bytes:
    """The message with what only relays on its way read; the bytes that are kept and proved are the message's own."""
    wire = relay.sign(mail.content) if relay.sign else mail.content
    if relay.idempotency_header:
        wire = f"{relay.idempotency_header}: {mail.delivery_id}\r\n".encode() + wire
    return wire


def _first_word(user: str, token: str, challenge: bytes | None) -> str:
    return "" if challenge else xoauth2(user, token).decode()


def _lack(offer: _Offer) -> str:
    """What this mail needs and the relay does not offer."""
    mail, session = offer.mail, offer.session
    if not (session.takes_utf8 or (mail.sender + mail.recipient).isascii()):
        return "the relay takes no addresses beyond ASCII (it offers no SMTPUTF8)"
    if 0 < session.largest < len(offer.wire):
        return f"the relay takes no messages of more than {session.largest} bytes (SIZE)"
    if not (session.takes_8bit or mail.content.isascii()):
        return "the relay takes no messages beyond ASCII (it offers no 8BITMIME)"
    return ""


def _commands(mail: Mail, wire: bytes, session: _Session) -> dict[_Phase, bytes]:
    sent, received = "", ""
    if session.size:
        sent += f" SIZE={len(wire)}"
    if not mail.content.isascii():
        sent += " BODY=8BITMIME"
    if not (mail.sender + mail.recipient).isascii():
        sent += " SMTPUTF8"
    if session.dsn and mail.tag:  # where what comes back finds us; it tells whether a mail without an answer arrived
        sent += f" RET=HDRS ENVID={mail.tag}"
        received += " NOTIFY=SUCCESS,FAILURE,DELAY"
        if mail.recipient.isascii():
            received += f" ORCPT=rfc822;{_xtext(mail.recipient)}"
    return {
        "MAIL": f"MAIL FROM:<{mail.sender}>{sent}\r\n".encode(),
        "RCPT": f"RCPT TO:<{mail.recipient}>{received}\r\n".encode(),
        "DATA": b"DATA\r\n",
    }


def _xtext(text: str) -> str:
    """Return ASCII text as a DSN parameter may hold it (RFC 3461, 4)."""
    return _NOT_XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)


def _before_the_dot(phase: _Phase, reply: _Reply) -> Verdict:
    """A no to MAIL is about us, not about the recipient: it would refuse everybody."""
    certain_no = reply.kind == _NO and reply.code not in _RELAYS_TROUBLE and phase != "MAIL"
    return Verdict.REFUSED if certain_no else Verdict.DEFERRED


def _blame(reply: _Reply, phase: _Phase | None = None) -> Blame:
    """Whether this was said of the relay or of us, and of no mail; a no to MAIL is, but for one to its size."""
    is_of_all = phase == "MAIL" and reply.code != _TOO_LARGE
    if reply.code == _HANGS_UP or (is_of_all and reply.kind == _LATER):
        return Blame.RELAY
    return Blame.SETUP if reply.code in _SIGN_IN or (is_of_all and reply.kind == _NO) else Blame.NONE


def _after_the_dot(reply: _Reply) -> Verdict:
    by_first_digit = {_YES: Verdict.ACCEPTED, _LATER: Verdict.DEFERRED, _NO: Verdict.REFUSED}
    return by_first_digit.get(reply.kind, Verdict.UNKNOWN)


def _no_session(mail: Mail, trouble: Exception, relay: Relay) -> Outcome:
    """Nothing said while a session is opened is about the recipient: the mail is deferred, never refused."""
    blame = Blame.SETUP if _is_lasting(trouble) else Blame.RELAY
    if isinstance(trouble, smtplib.SMTPResponseException):
        words = cleaned(trouble.smtp_error)
        if isinstance(trouble, smtplib.SMTPAuthenticationError):
            words = f"the relay refuses our name and password: {words}"
        return _outcome(mail, Verdict.DEFERRED, trouble.smtp_code, words, relay, blame=blame)
    return _outcome(mail, Verdict.DEFERRED, None, f"no session with the relay: {trouble}", relay, blame=blame)


def _is_lasting(trouble: Exception) -> bool:
    """Whether only a person can mend it: a name, a password, a certificate, or what the relay does not offer."""
    if isinstance(trouble, smtplib.SMTPResponseException):
        return trouble.smtp_code // 100 == _NO
    if isinstance(trouble, OAuthTrouble):
        return trouble.lasting
    return isinstance(trouble, smtplib.SMTPNotSupportedError | ssl.SSLCertVerificationError | ValueError)


def _outcome(
    mail: Mail,
    verdict: Verdict,
    code: int | None,
    reply: str | bytes,
    relay: Relay,
    tls: str = "",
    blame: Blame = Blame.NONE,
) -> Outcome:
    return Outcome(
        delivery_id=mail.delivery_id,
        attempt=mail.attempt,
        verdict=verdict,
        code=code,
        reply=cleaned(reply),
        peer=relay.peer,
        tls=tls,
        domain=domain_of(mail.recipient),
        blame=blame,
    )


def _spend(held: Sequence[Held]) -> list[_Offer]:
    """Each held mail is let go once; its session may long carry another. Raises ValueError for a second time."""
    offers = cast("list[_Offer]", list(held))  # `hold` hands out nothing else
    if any(offer.spent for offer in offers):
        raise ValueError("a held mail was already released or dropped")
    for offer in offers:
        offer.spent = True
    return offers
