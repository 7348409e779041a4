"""Every request has an id: each line of the log that it leaves names it, and so does its answer."""

from __future__ import annotations

import re

import structlog
from flask import Flask, Response, g, request

from notifier.models.base import uuid7
from notifier.web.current import runtime

NAME = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


def trace(app: Flask) -> None:
    """Name each request; register this before whatever may write to the log."""
    app.before_request(_begin)
    app.after_request(_name)
    app.teardown_request(_end)


def _begin() -> None:
    structlog.contextvars.clear_contextvars()  # a thread of the server answers one request after the other
    g.request_id = _given() or uuid7().hex
    structlog.contextvars.bind_contextvars(request=g.request_id, page=request.endpoint)


def _given() -> str:
    """A proxy that is trusted may have named it already."""
    said = request.headers.get(NAME, "") if runtime().settings.proxies else ""
    return said if _ID.fullmatch(said) else ""


def _name(response: Response) -> Response:
    response.headers[NAME] = g.request_id
    return response


def _end(_trouble: BaseException | None) -> None:
    structlog.contextvars.clear_contextvars()
