"""No token of a link reaches a log."""

import io
import logging

import pytest

from notifier.web.redaction import Redaction, redact

TOKEN = "C_f0EQOitKgUUClgwbwKRlrPiFY-HYx8FKAPrrDnY6w"


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        (f"GET /notice/{TOKEN} HTTP/1.1", "GET /notice/[token] HTTP/1.1"),
        (f"GET /notice/{TOKEN}?lang=fr", "GET /notice/[token]?lang=fr"),
        (f'"POST /notice/{TOKEN}/acknowledgement" 303', '"POST /notice/[token]/acknowledgement" 303'),
        (f"https://notices.hosting.example/sign-in/{TOKEN}", "https://notices.hosting.example/sign-in/[token]"),
        (f"POST /subscriptions/{TOKEN}/end", "POST /subscriptions/[token]/end"),
        ("/notice/short and /sign-in/é", "/notice/[token] and /sign-in/[token]"),
        (f"GET /%6eotice/{TOKEN}", "GET /%6eotice/[token]"),
        ("GET /subprocessors and /sign-in", "GET /subprocessors and /sign-in"),
    ],
)
def test_a_token_is_replaced_and_the_rest_of_the_line_stays(line: str, redacted: str) -> None:
    assert redact(line) == redacted


def test_a_handler_with_the_filter_writes_no_token_in_a_message_or_a_traceback() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(Redaction())
    logger = logging.getLogger("tests.redaction")
    logger.addHandler(handler)
    logger.propagate = False

    try:
        dict[str, str]()[f"nothing at /notice/{TOKEN}"]
    except KeyError:
        logger.exception("Exception on %s [%s]", f"/notice/{TOKEN}", "GET")

    assert TOKEN not in out.getvalue()
    assert "Exception on /notice/[token] [GET]" in out.getvalue()
    assert "KeyError: 'nothing at /notice/[token]'" in out.getvalue()
