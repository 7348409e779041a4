"""The sender that keeps: each mail becomes a file in a folder instead of leaving (demo, previews, tests).

Held mails lie in `tmp/`, released ones in `new/`, as in a maildir. A kept file begins with the envelope, in the
two header lines that a mail server would put there on delivery; any mail program can open it.
"""

import email.policy
import heapq
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import cast

from notifier.adapters.sending import Held, Mail, Outcome, Verdict, flaw

_NAME = re.compile(r"\d{8}T\d{12}Z-[0-9a-f-]{36}-[0-9a-f]{8}\.eml")


@dataclass(slots=True)
class _Kept:
    mail: Mail
    name: str
    spent: bool = False


class MailboxSender:
    """A `Sender` that keeps. A second copy of a delivery is a second file: nothing is ever overwritten."""

    capacity = 50

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._tmp, self._new, self._now = folder / "tmp", folder / "new", now
        for place in (self._tmp, self._new):
            place.mkdir(parents=True, exist_ok=True)

    def hold(self, mails: Sequence[Mail]) -> tuple[list[Held], list[Outcome]]:
        if len(mails) > self.capacity:
            raise ValueError(f"{len(mails)} mails offered to a mailbox that takes {self.capacity} at once")
        held: list[Held] = []
        outcomes: list[Outcome] = []
        for mail in mails:
            if why := flaw(mail):
                outcomes.append(self._outcome(mail, Verdict.REFUSED, why))
                continue
            kept = _Kept(mail, f"{self._now():%Y%m%dT%H%M%S%fZ}-{mail.delivery_id}-{secrets.token_hex(4)}.eml")
            try:
                _write(self._tmp / kept.name, _enveloped(mail))
            except OSError as trouble:
                outcomes.append(self._outcome(mail, Verdict.DEFERRED, str(trouble)))
            else:
                held.append(kept)
        return held, outcomes

    def release(self, held: Sequence[Held], then: Sequence[Mail] = ()) -> list[Outcome]:
        del then
        outcomes = [self._deliver(kept) for kept in _spend(held)]
        _sync(self._new)
        return outcomes

    def drop(self, held: Sequence[Held]) -> None:
        for kept in _spend(held):
            (self._tmp / kept.name).unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _deliver(self, kept: _Kept) -> Outcome:
        try:
            (self._tmp / kept.name).rename(self._new / kept.name)
        except OSError as trouble:
            return self._outcome(kept.mail, Verdict.DEFERRED, str(trouble))
        return self._outcome(kept.mail, Verdict.ACCEPTED, f"kept as {kept.name}", code=250)

    def _outcome(self, mail: Mail, verdict: Verdict, reply: str, code: int | None = None) -> Outcome:
        return Outcome(
            delivery_id=mail.delivery_id,
            attempt=mail.attempt,
            verdict=verdict,
            code=code,
            reply=reply[:500],
            peer="mailbox",
            tls="",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One kept mail, as a list shows it."""

    name: str
    """Of its file; for `Mailbox.read`."""
    sender: str
    """Envelope sender."""
    recipient: str
    """Envelope recipient."""
    subject: str
    to: str
    date: datetime | None
    """As the mail says; none when it says nothing that can be read."""
    size: int
    """Bytes of the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One kept mail in full."""

    kept: Kept
    content: bytes
    """The message, byte for byte as it was handed over."""
    text: str
    html: str


class NoSuchMail(LookupError):
    def __init__(self, name: str) -> None:
        super().__init__(f"the mailbox holds no mail named {name!r}")


class Mailbox:
    """Reads what a `MailboxSender` kept in the same folder. A folder that is not there is an empty mailbox."""

    def __init__(self, folder: Path) -> None:
        self._new = folder / "new"

    def count(self) -> int:
        return sum(1 for _ in self._names())

    def list(self, offset: int = 0, limit: int = 50) -> list[Kept]:
        """Newest first."""
        newest = heapq.nlargest(offset + limit, self._names())
        return [self.read(name).kept for name in newest[offset:]]

    def read(self, name: str) -> Opened:
        """Raises NoSuchMail."""
        if not _NAME.fullmatch(name):  # also what keeps `../` out
            raise NoSuchMail(name)
        try:
            raw = (self._new / name).read_bytes()
        except FileNotFoundError:
            raise NoSuchMail(name) from None
        return _opened(name, raw)

    def _names(self) -> Iterator[str]:
        if self._new.is_dir():
            with os.scandir(self._new) as files:
                yield from (file.name for file in files if _NAME.fullmatch(file.name))


def _enveloped(mail: Mail) -> bytes:
    return f"Return-Path: <{mail.sender}>\r\nDelivered-To: <{mail.recipient}>\r\n".encode() + mail.content


def _opened(name: str, raw: bytes) -> Opened:
    sender, recipient, content = raw.split(b"\r\n", 2)
    message = BytesParser(policy=email.policy.default).parsebytes(content)
    date = message["Date"]
    kept = Kept(
        name=name,
        sender=sender.decode().partition("<")[2].rstrip(">"),
        recipient=recipient.decode().partition("<")[2].rstrip(">"),
        subject=str(message["Subject"] or ""),
        to=str(message["To"] or ""),
        date=date.datetime if date else None,
        size=len(content),
    )
    return Opened(kept=kept, content=content, text=_part(message, "plain"), html=_part(message, "html"))


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part else ""


def _write(path: Path, data: bytes) -> None:
    """Durable before it returns; a half-written file does not stay."""
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _spend(held: Sequence[Held]) -> list[_Kept]:
    """Each held mail is let go once. Raises ValueError for a second time."""
    kept = cast("list[_Kept]", list(held))  # `hold` hands out nothing else
    if any(one.spent for one in kept):
        raise ValueError("a held mail was already released or dropped")
    for one in kept:
        one.spent = True
    return kept
