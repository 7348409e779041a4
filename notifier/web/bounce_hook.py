"""Where a mail provider posts mails that came back.

It signs what it posts (Standard Webhooks 1.0.0) or brings the secret as a bearer token.  What is refused is told as
problem details (RFC 9457); 204 is said after the commit.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, json, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from notifier.adapters.http import sign
from notifier.models import BounceDoor
from notifier.web.current import now, runtime

TOLERANCE = timedelta(minutes=5)  # between the provider's clock and ours, either way
PATH = "/hooks/"
RAW = "message/rfc822"

pages = Blueprint("bounce_hook", __name__)


@pages.post(f"{PATH}bounces")
def take() -> ResponseReturnValue:
    """Take in one mail: as the body itself (message/rfc822), or as {"message": its text, or its bytes in base64}."""
    secret = runtime().settings.bounces.webhook_secret.get_secret_value()
    if not secret:
        return _problem(HTTPStatus.NOT_FOUND, "Nothing is taken in here: bounces.webhook_secret is empty.")
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "This mail is too large.")
    if not (_brings(secret) or _is_signed(secret, body)):
        return _problem(HTTPStatus.UNAUTHORIZED, "Sign the request with the secret, or bring it as a bearer token.")
    try:
        content = body if request.mimetype == RAW else _message(body)
    except BadRequest as bad:
        return _problem(HTTPStatus.BAD_REQUEST, str(bad.description))
    runtime().take_in(content, BounceDoor.WEBHOOK)
    return "", HTTPStatus.NO_CONTENT


def _brings(secret: str) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.casefold() == "bearer" and hmac.compare_digest(token.strip().encode(), secret.encode())


def _is_signed(secret: str, body: bytes) -> bool:
    """Say whether one of the signatures is the secret's, over this id, instant and body; an old one is not."""
    message_id, timestamp = (request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp"))
    try:
        at = datetime.fromtimestamp(int(timestamp), UTC)
        ours = sign(secret, message_id, at, body)["webhook-signature"].split()
    except (ValueError, OverflowError, OSError):  # no number, no such instant, no id, or a secret that only is a token
        return False
    theirs = request.headers.get("webhook-signature", "").split()[:10]
    same = [hmac.compare_digest(one.encode(), other.encode()) for one in theirs for other in ours]
    return any(same) and abs(now() - at) <= TOLERANCE


def _message(body: bytes) -> bytes:
    """Return the mail in a JSON body.  A mail has a colon in its first header, which base64 never has."""
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    message = said.get("message") if isinstance(said, dict) else None
    if not isinstance(message, str) or not message:
        raise BadRequest(f'Send the mail itself as {RAW}, or JSON as in {{"message": "…"}}.')
    if ":" in message:
        return message.encode("utf-8", "replace")
    try:
        return base64.b64decode("".join(message.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("“message” is neither a mail nor base64.") from None


def _problem(status: HTTPStatus, detail: str) -> Response:
    said = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    response = Response(json.dumps(said), status=status, mimetype="application/problem+json")
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
