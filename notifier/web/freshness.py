"""What everybody may see is kept by browsers and caches, and asked for again only when it may have changed (RFC 9110,
RFC 9111).

The entity tag is made of what a page is made from, not of the page: whoever has it already costs one small query.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import ParamSpec

from flask import Blueprint, Response, current_app, make_response, request
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from notifier import __version__
from notifier import runtime as wiring
from notifier.rules.periods import local_day, zone
from notifier.services import public_record
from notifier.services.public_record import Mark
from notifier.web.current import LANGUAGES, language, now, prefer, reading, timezone

A_MOMENT = 300  # seconds for which a page is taken as it is
TEXTS = "notifier.texts"
P = ParamSpec("P")
View = Callable[P, ResponseReturnValue]


def public(pages: Blueprint) -> Blueprint:
    """Let the pages of a blueprint look the same to everybody: whoever is signed in is not asked for, and the language
    is that of the address or of the browser.
    """
    pages.before_request(_forget_who_asks)
    pages.record_once(_read_texts)
    return pages


def _forget_who_asks() -> None:
    prefer(request.accept_languages.best_match(LANGUAGES) or "")


def _read_texts(state: BlueprintSetupState) -> None:
    """Another edition of the product or of a template makes every page another one."""
    if TEXTS not in state.app.extensions:
        working: wiring.Runtime = state.app.extensions["notifier"]
        folders = working.settings.search_path("templates")
        state.app.extensions[TEXTS] = f"{__version__} {_digest_of(folders)}"


def _digest_of(folders: list[Path]) -> str:
    files = (file for folder in folders for file in sorted((folder / "web").rglob("*")) if file.is_file())
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def kept(view: View[P]) -> View[P]:
    """Let a view's answer be kept for a moment, and answer 304 to whoever has it as it is now."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        with reading() as session:
            mark = public_record.mark(session)
        tag = _tag(mark)
        if request.if_none_match.contains_weak(tag):
            return _marked(Response(status=HTTPStatus.NOT_MODIFIED), tag, mark)
        response = make_response(view(*args, **kwargs))
        return _marked(response, tag, mark) if response.status_code == HTTPStatus.OK else response

    return guarded


def _tag(mark: Mark) -> str:
    """What a page says follows from what is public, from who asks for what in which language, and from the day."""
    today = local_day(now(), zone(timezone())).isoformat()
    asked = [request.path, sorted(request.args.items(multi=True)), language(), request.host_url]
    facts = [mark.count, mark.last_id, today, *asked, current_app.extensions[TEXTS]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _marked(response: Response, tag: str, mark: Mark) -> Response:
    response.set_etag(tag)
    response.last_modified = mark.at
    response.cache_control.public = True
    response.cache_control.max_age = A_MOMENT
    response.vary.add("Accept-Language")
    return response
