"""What came back for a mail, whoever wrote it: a relay, a mailbox, a machine that answers for somebody, or a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_BYTES: Final = 10_000_000  # of a mail that came back; what follows is not read
MOST_NAMED: Final = 20  # tokens, and Message-IDs


class BounceKind(StrEnum):
    """What one mail that came back says of ours."""

    FAILED = "failed"
    DELAYED = "delayed"  # a relay still tries: never the end of a notice
    DELIVERED = "delivered"  # a success report (RFC 3464, action delivered, relayed or expanded)
    COMPLAINT = "complaint"  # somebody pressed "this is spam" (RFC 5965)
    AUTO_REPLY = "auto_reply"  # out of the office, has left the company, asks us to prove that we are human
    HUMAN_REPLY = "human_reply"
    UNREADABLE = "unreadable"  # a person must look at it; it is never dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """One recipient that such a mail names."""

    address: str
    """addr-spec, or empty where it is not named."""
    status: str
    """Enhanced status code (RFC 3463) such as `5.1.1`, or empty."""
    hard: bool
    """The address or its domain does not exist, has moved, or takes no mail; a full box, a policy or a time-out is not
    hard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one mail that came back says; all texts are cleaned of control characters and cut at 500 characters."""

    kind: BounceKind
    recipients: tuple[Returned, ...]
    tokens: tuple[str, ...] = ()
    """Candidates for our envelope tag, from this mail's recipients and from ENVID, the likeliest first."""
    message_ids: tuple[str, ...] = ()
    """Message-IDs (with angle brackets) of the mail that came back, the likeliest first."""
    words: str = ""
    """What a person needs to understand it: the diagnostic text, or the beginning of a reply."""
    proposed_contacts: tuple[str, ...] = ()
    """Addresses that a reply names to be written to instead."""
    is_challenge: bool = False
    """It asks the sender to prove that it is human (Mailinblack and its kind)."""
    has_left: bool = False
    """It says that the person has left the company or the address will be closed."""
