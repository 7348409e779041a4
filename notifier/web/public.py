"""What anybody may see: the list of subprocessors in force, what is announced, and whether this instance is well."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from notifier import runtime as wiring
from notifier.adapters.lists import write_register
from notifier.models import Announcement, AnnouncementKind
from notifier.rules.periods import local_day, zone
from notifier.services import announcements, letters, registry
from notifier.web.current import language, now, reading, runtime, timezone

BYTE_ORDER_MARK = "\ufeff"  # without it, spreadsheets take the accents for something else
# What everybody may know of before it is so; the rest is between the provider and its clients.
SHOWN = frozenset(
    {
        AnnouncementKind.SUBPROCESSOR,
        AnnouncementKind.EMERGENCY,
        AnnouncementKind.LOCATION,
        AnnouncementKind.SUPPORT,
    }
)
HIDDEN = ("/notice/", "/sign-in", "/staff/", "/mailbox")

pages = Blueprint("public", __name__)


@pages.get("/")
def index() -> ResponseReturnValue:
    return redirect(url_for(".subprocessors"))


@pages.get("/subprocessors")
def subprocessors() -> ResponseReturnValue:
    with reading() as session:
        in_force = registry.live(session, now())
        entries = registry.entries(session, in_force)
        upcoming = [_told(one) for one in announcements.upcoming(session) if one.kind in SHOWN]
        since = in_force and in_force.live_at and local_day(in_force.live_at, zone(timezone()))
    labels = list(letters.LABELS[language()].values())
    return render_template(
        "web/public/subprocessors.html", entries=entries, since=since, upcoming=upcoming, labels=labels
    )


def _told(announcement: Announcement) -> dict[str, Any]:
    """Return an announced change in words: of the registry its changes, of another kind what was written of it."""
    of_the_registry = bool(announcement.changes)
    return {
        "reference": announcement.reference,
        "day": announcement.effective_on,
        "changes": [letters.describe(change, language()) for change in announcements.changes_of(announcement)],
        "title": "" if of_the_registry else letters.title(announcement, language()),
        "facts": [] if of_the_registry else letters.facts_of(announcement, language()),
    }


@pages.get("/subprocessors.csv")
def subprocessors_csv() -> ResponseReturnValue:
    with reading() as session:
        entries = registry.entries(session, registry.live(session, now()))
    response = Response(BYTE_ORDER_MARK + write_register(entries), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="subprocessors.csv"'
    return response


@pages.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process answers."""
    return _plain("ok")


@pages.get("/readyz")
def readyz() -> ResponseReturnValue:
    """The database answers, and its tables are those that this code knows."""
    try:
        is_ready = wiring.is_current(runtime().engine)
    except sa.exc.SQLAlchemyError:
        return _plain("the database does not answer", HTTPStatus.SERVICE_UNAVAILABLE)
    if not is_ready:
        return _plain("the database needs migrating", HTTPStatus.SERVICE_UNAVAILABLE)
    return _plain("ready")


@pages.get("/robots.txt")
def robots() -> ResponseReturnValue:
    return _plain("\n".join(["User-agent: *", *(f"Disallow: {path}" for path in HIDDEN)]))


def _plain(text: str, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    return Response(f"{text}\n", status=status, mimetype="text/plain")
