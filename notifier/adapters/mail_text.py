"""What a mail that a stranger wrote says, as plain text for a person."""

from __future__ import annotations

from notifier.adapters.bounce_parts import CONTROL, Part, open_mail, without_markup
from notifier.adapters.confined import TooCostly, confined

LONGEST = 20_000  # characters
HEADERS = ("from", "to", "date", "subject")
TEXTS = ("text/plain", "message/delivery-status")


def plain_text(content: bytes) -> str:
    """Return the headers that say whose it is, and its text, without control characters; "" where it takes too much to
    be read.  Read in a process of its own.
    """
    try:
        return str(confined(read_plain_text, content, {}, seconds=5))
    except TooCostly:
        return ""


def read_plain_text(content: bytes) -> str:
    """For `confined`."""
    headers, parts = open_mail(content)
    named = [f"{name.capitalize()}: {value}" for name in HEADERS for value in headers.all(name)[:1]]
    said = [_text(part) for part in parts if part.level == 0 and part.kind in TEXTS]
    said = said or [_text(part) for part in parts if part.level == 0 and part.kind.startswith(("text/", "multipart/"))]
    return "\n\n".join(_cleaned(one) for one in ("\n".join(named), *said) if one.strip())[:LONGEST]


def _text(part: Part) -> str:
    return without_markup(part.text) if part.kind == "text/html" else part.text


def _cleaned(text: str) -> str:
    return "\n".join(CONTROL.sub(" ", line).rstrip() for line in text.strip().splitlines())
