"""What every sender of mail shares: the mail, its outcome, and the two-step hand-over.

A hand-over has two steps so that the caller can write down, durably, that a mail is about to leave
before it can leave: `hold` offers each mail up to its final dot, `release` gives the final dots.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

_LONGEST_ADDRESS = 254  # RFC 5321 4.5.3.1.3, without the angle brackets
_ADDRESS = re.compile(r"[^\s<>@\x00-\x1f\x7f-\x9f]+@[^\s<>@\x00-\x1f\x7f-\x9f]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BUT_LINE_ENDS = bytes(set(range(256)) - set(b"\r\n"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message for one recipient, ready for the wire."""

    delivery_id: UUID
    sender: str
    """Envelope sender (addr-spec; it may carry a token)."""
    recipient: str
    """Exactly one envelope recipient (addr-spec)."""
    content: bytes
    """RFC 5322 message with CRLF line ends, no dot-stuffing."""
    attempt: int
    """Which try at this delivery it is, from 1: whoever holds the mail of an earlier one holds nothing."""
    sha256: str
    """Of the content, in hex."""
    tag: str = ""
    """Names this attempt to a relay that reports on it (RFC 3461, ENVID): xtext, at most 100 characters."""


class Verdict(StrEnum):
    """What is known of one mail after one attempt."""

    ACCEPTED = "accepted"
    """250 after the final dot."""
    DEFERRED = "deferred"
    """Certain: not taken, try again later (4xx, no connection, cut before the final dot)."""
    REFUSED = "refused"
    """Certain: 5xx."""
    UNKNOWN = "unknown"
    """The final dot left and no readable answer came."""


class Blame(StrEnum):
    """What a mail was put off for, when it was for nothing that is its own: then it may leave through another relay."""

    NONE = ""
    RELAY = "relay"
    """No session, 421, or a no for now to the envelope sender: time may mend it."""
    SETUP = "setup"
    """It refuses our sign-in, our sender or our TLS: a person must mend it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one attempt at one delivery."""

    delivery_id: UUID
    attempt: int
    verdict: Verdict
    code: int | None
    """SMTP reply code, when the peer gave one."""
    reply: str
    """Reply text, cleaned of control characters, at most 500 characters."""
    peer: str
    """`host:port` as connected."""
    tls: str
    """Protocol version such as `TLSv1.3`, or empty when in clear."""
    domain: str = ""
    """Of the recipient, in small letters."""
    blame: Blame = Blame.NONE


class Held(Protocol):
    """One mail held at the dot: every byte has been sent but the final dot."""

    @property
    def mail(self) -> Mail:
        """The mail as it was handed in."""
        ...


class Sender(Protocol):
    """Hands mails over in two steps. One caller at a time; no method raises for trouble on the wire."""

    @property
    def capacity(self) -> int:
        """Most mails one call of `hold` takes."""
        ...

    def hold(self, mails: Sequence[Mail]) -> tuple[list[Held], list[Outcome]]:
        """Offer each mail up to its final dot.

        What could not be held comes back as a certain outcome (never UNKNOWN). Raises ValueError for
        more mails than `capacity`. Every mail held must go to `release` or to `drop`.
        """
        ...

    def release(self, held: Sequence[Held], then: Sequence[Mail] = ()) -> list[Outcome]:
        """Give the final dots, then gather the answers: one outcome for each mail.

        `then`: what the next call of `hold` will be given; its envelopes may go on the wire with the dots.
        """
        ...

    def drop(self, held: Sequence[Held]) -> None:
        """Give no dot: nothing of these mails was sent."""
        ...

    def close(self) -> None:
        """Let go of connections; the sender can still be used afterwards."""
        ...


def cleaned(text: str | bytes) -> str:
    """Return what another server wrote as one line that is safe to keep: no control characters, 500 at most."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return _CONTROL.sub(" ", text).strip()[:500]


def flaw(mail: Mail) -> str:
    """Say why no sender may put this mail on a wire, or nothing when it may.

    A stray line end lets a receiver see two mails where we see one (SMTP smuggling); a control
    character in an address lets it see a second command.
    """
    if len(mail.recipient) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(mail.recipient):
        return "the recipient is not one plain address"
    if mail.sender and not _ADDRESS.fullmatch(mail.sender):
        return "the envelope sender is not one plain address"
    ends = mail.content.translate(None, _BUT_LINE_ENDS)
    if ends != b"\r\n" * (len(ends) // 2):
        return "the message holds a bare CR or LF"
    return ""
