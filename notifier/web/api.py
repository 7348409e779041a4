"""The registry for programs: what everybody may know of it, as JSON, and what a list kept in a file would change.

Nothing here changes anything.  What is refused is told as problem details (RFC 9457).
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec, cast

from flask import Blueprint, Response, current_app, json, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.adapters.register_files import read_list
from notifier.adapters.remarks import BadList, Remark, remark
from notifier.rules.entries import Entry, as_json, is_day
from notifier.rules.periods import local_day, zone
from notifier.services import plans, public_record, registry, timeline
from notifier.services.public_record import Published
from notifier.web.current import LANGUAGES, language, now, prefer, reading, timezone
from notifier.web.freshness import kept, public

PATH = "/api/"
MOST_VERSIONS = 100  # in one answer
YEARS = range(1900, 2999)
MOST_PLANS, A_WHILE = 30, timedelta(minutes=10)  # from one address
AT_ONCE = 2  # lists read and compared at the same time, by each process
MOST_ENTRIES = 1_000  # of a list from anybody: each is compared with each that we list
READERS, ASKED = "notifier.api.readers", "notifier.api.asked"
# A list without a name, by what the request says of it.
NAMES = MappingProxyType(
    {
        "application/json": "list.json",
        "application/yaml": "list.yaml",
        "text/csv": "list.csv",
        "text/html": "list.html",
        "text/markdown": "list.md",
    }
)
P = ParamSpec("P")

pages = public(Blueprint("api", __name__))


class BadRequest(ValueError):
    """What was asked for cannot be told; the message says what to ask for."""


class Pace:
    """How often each address asks.  Each process counts for itself, over all of its threads."""

    def __init__(self) -> None:
        self._asked: defaultdict[str, deque[datetime]] = defaultdict(lambda: deque(maxlen=MOST_PLANS))
        self._lock = threading.Lock()

    def is_too_fast(self, who: str, at: datetime) -> bool:
        """Say whether somebody has asked too often; counts what is let through."""
        with self._lock:
            for one in [one for one, asked in self._asked.items() if at - asked[-1] > A_WHILE]:
                del self._asked[one]  # so that made-up addresses do not pile up
            asked = self._asked[who]
            if len(asked) == MOST_PLANS and at - asked[0] < A_WHILE:
                return True
            asked.append(at)
            return False


@pages.record_once
def _begin(state: BlueprintSetupState) -> None:
    state.app.extensions |= {READERS: threading.BoundedSemaphore(AT_ONCE), ASKED: Pace()}


def problem(status: HTTPStatus, detail: object, **more: object) -> Response:
    """Return what is refused as application/problem+json (RFC 9457), without a look at the database."""
    prefer(request.accept_languages.best_match(LANGUAGES) or "")
    said = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": str(detail), **more}
    return _json(said, status, "application/problem+json")


def told(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Tell what cannot be answered as a problem."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        try:
            return view(*args, **kwargs)
        except BadRequest as bad:
            return problem(HTTPStatus.BAD_REQUEST, bad)
        except BadList as bad:
            head, *_others = bad.text(language()).splitlines()
            problems = [_remark(one) for one in bad.problems]
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, head, problems=problems)

    return guarded


@pages.get("/api/registry")
@kept
@told
def in_force() -> ResponseReturnValue:
    """The list in force; or that of the end of a day (`on`), as known at the end of another (`known_on`), for a
    `service`.
    """
    on, known_on, service = _day("on"), _day("known_on"), request.args.get("service", "").strip()
    with reading() as session:
        listed = _listed(session, on, known_on)
        updated = timeline.last_updated(session, now())
    entries = timeline.of_service(listed.entries, service) if service else listed.entries
    return _json(
        {
            "version": listed.version and listed.version.number,
            "expected": listed.expected,
            "last_updated": updated and updated.isoformat(),
            "entries": _entries(entries),
        }
    )


@pages.get("/api/registry/versions")
@kept
@told
def versions() -> ResponseReturnValue:
    """The versions, newest first; `before`: those with lower numbers."""
    said = request.args.get("before", "")
    if said and not said.isdecimal():
        raise BadRequest(_("Write “before” as the number of a version."))
    with reading() as session:
        found = public_record.versions(session, before=int(said) if said else None, limit=MOST_VERSIONS + 1)
    listed = found[:MOST_VERSIONS]
    following = url_for(".versions", before=listed[-1].version.number, lang=None) if found[MOST_VERSIONS:] else None
    return _json({"versions": [_version(one) for one in listed], "next": following})


@pages.get("/api/registry/versions/<int:number>")
@kept
@told
def version(number: int) -> ResponseReturnValue:
    """One version: its list, and what it changed."""
    with reading() as session:
        found = public_record.version(session, number)
        entries = registry.entries(session, found.version)
        made = public_record.changes_of(session, found.version)
    return _json({**_version(found), "entries": _entries(entries), "changes": plans.changes_as_json(made)})


@pages.get("/api/registry/changes")
@kept
@told
def changes() -> ResponseReturnValue:
    """What of the list in force changed in meaning from the end of one day (`from`) to that of another (`to`)."""
    since, until = _day("from"), _day("to") or local_day(now(), zone(timezone()))
    if since is None:
        raise BadRequest(_("Write from which day on: from=2026-05-31."))
    with reading() as session:
        before, after = (timeline.as_of(session, on=day, now=now()).entries for day in (since, until))
    found = plans.between(*map(public_record.for_everybody, (before, after)))
    return _json({"from": since.isoformat(), "to": until.isoformat(), **found.as_json()})


@pages.post("/api/registry/plan")
@told
def plan() -> ResponseReturnValue:
    """What the list in the request's body would change against the version published last.  Nothing is kept."""
    pace = cast("Pace", current_app.extensions[ASKED])
    if pace.is_too_fast(request.remote_addr or "", now()):
        minutes = int(A_WHILE.total_seconds() // 60)
        return _later(HTTPStatus.TOO_MANY_REQUESTS, _("Too many lists. Try again in %(num)d minutes.", num=minutes), 60)
    content = request.get_data(cache=False)
    if not content:
        raise BadRequest(_("Send the file as the body of the request."))
    with _reader() as is_free:
        if not is_free:
            return _later(HTTPStatus.SERVICE_UNAVAILABLE, _("Other lists are being read. Try again in a moment."), 5)
        listed = read_list(content, filename=_filename())
        if len(listed.entries) > MOST_ENTRIES:
            raise BadList(_filename(), [remark(0, "", "too_many_rows", limit=MOST_ENTRIES)])
        with reading() as session:
            published = registry.entries(session, registry.published(session))
        found = plans.compare(*map(public_record.for_everybody, (published, listed.entries)))
    said = {"columns": listed.mapping, "not_understood": [_remark(one) for one in listed.not_understood]}
    response = _json({**found.as_json(), **said})
    response.headers["Cache-Control"] = "no-store"
    return response


@pages.get("/api/openapi.json")
def description() -> ResponseReturnValue:
    """The same in the words of OpenAPI 3.1, written by hand."""
    return Response(Path(__file__).with_name("openapi.json").read_bytes(), mimetype="application/json")


def _listed(session: Session, on: date | None, known_on: date | None) -> timeline.Listed:
    if on:
        return timeline.as_of(session, on=on, now=now(), known_on=known_on)
    if known_on:
        return timeline.known(session, on=known_on, now=now())
    at = now()
    entries = timeline.in_force(session, at)
    return timeline.Listed(entries=entries, at=at, version=registry.live(session, at), expected=False)


def _day(name: str) -> date | None:
    said = request.args.get(name, "")
    if not said:
        return None
    if not is_day(said) or date.fromisoformat(said).year not in YEARS:
        raise BadRequest(_("Write “%(name)s” as a day: 2026-05-31.", name=name))
    return date.fromisoformat(said)


def _filename() -> str:
    name = request.args.get("filename", "")[-100:]
    return name or NAMES.get(request.mimetype, "list")


@contextmanager
def _reader() -> Iterator[bool]:
    """One of the few readers, or False where all are at work."""
    readers = cast("threading.BoundedSemaphore", current_app.extensions[READERS])
    is_free = readers.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            readers.release()


def _entries(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    return [as_json(entry) for entry in public_record.for_everybody(entries)]


def _version(published: Published) -> dict[str, Any]:
    version, telling = published.version, published.announcement
    instants = {
        "published_at": version.published_at,
        "announced_for": telling and telling.effective_on,
        "live_at": version.live_at,
        "withdrawn_at": version.withdrawn_at,
    }
    said = {name: at and at.isoformat() for name, at in instants.items()}
    return {"number": version.number, "announcement": telling and telling.reference, **said}


def _remark(said: Remark) -> dict[str, Any]:
    sentence = said.fr if language() == "fr" else said.en
    return {"row": said.row, "column": said.column, "code": said.code, "message": sentence}


def _later(status: HTTPStatus, detail: str, seconds: int) -> Response:
    response = problem(status, detail)
    response.headers["Retry-After"] = str(seconds)
    return response


def _json(data: Any, status: HTTPStatus = HTTPStatus.OK, mimetype: str = "application/json") -> Response:  # noqa: ANN401 - JSON values
    return Response(json.dumps(data, ensure_ascii=False, indent=2) + "\n", status=status, mimetype=mimetype)
