"""Keeping the secrets of links out of logs: whoever reads a log must not be able to answer for a client, or to sign in.

`Redaction` is a logging filter.  It belongs on handlers, or on each logger that writes paths: the application's own
(which writes the path of whatever it could not serve), and the access log of the server in front.
"""

from __future__ import annotations

import logging
import re

INSTEAD = "[token]"
_AFTER_PATH = re.compile(r"(/(?:notice|sign-in|subscriptions)/)[^/\s?#\"'<>]+")
_BARE = re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])")  # 256 bits, however the path before them is written


def redact(text: str) -> str:
    """Return the text with the token of every link replaced; what follows it stays, so that the log says which page."""
    return _BARE.sub(INSTEAD, _AFTER_PATH.sub(rf"\1{INSTEAD}", text))


class Redaction(logging.Filter):
    """Lets every record through, without tokens in its message or its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = record.exc_text and redact(record.exc_text)
        return True
