"""What was published and announced to everybody: every version, every change, and the list of any day."""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.rules.registry_diff import diff
from notifier.services import entry_words, public_record, registry, timeline
from notifier.services.public_record import Published
from notifier.web import public_words
from notifier.web.current import language, now, reading
from notifier.web.forms import Form
from notifier.web.freshness import kept, public

ON_A_PAGE = 50

pages = public(Blueprint("public_history", __name__, url_prefix="/subprocessors"))


@pages.get("/versions")
@kept
def versions() -> ResponseReturnValue:
    with reading() as session:
        found = public_record.versions(session, before=request.args.get("before", type=int), limit=ON_A_PAGE + 1)
        shown = [_line(session, one) for one in found[:ON_A_PAGE]]
    older = shown[-1]["number"] if len(found) > ON_A_PAGE else None
    return render_template("web/public/versions.html", versions=shown, older=older)


def _line(session: Session, published: Published) -> dict[str, Any]:
    """Return a version in one line of the table."""
    version = published.version
    made = public_record.changes_of(session, version)
    live = registry.live(session, now())
    return {
        "number": version.number,
        "published_at": version.published_at,
        "live_at": version.live_at,
        "withdrawn_at": version.withdrawn_at,
        "announced_for": published.announcement and published.announcement.effective_on,
        "sentences": [entry_words.sentence(change, language()) for change in made],
        "is_first": registry.before(session, version) is None,
        "is_current": live is not None and live.number == version.number,
        "reference": published.announcement.reference if published.announcement else "",
    }


@pages.get("/versions/<int:number>")
@kept
def version(number: int) -> ResponseReturnValue:
    with reading() as session:
        published = public_record.version(session, number)
        entries = public_record.for_everybody(registry.entries(session, published.version))
        line = _line(session, published)
        made = public_words.changes(public_record.changes_of(session, published.version))
        is_ahead = timeline.is_ahead(session, published.version)
    return render_template(
        "web/public/version.html",
        version=line,
        is_ahead=is_ahead,
        rows=public_words.rows(entries, entries),
        changes=made,
        labels=public_words.labels(),
    )


@pages.get("/changes/<reference>")
@kept
def change(reference: str) -> ResponseReturnValue:
    """The page of one announced change, at an address that stays."""
    with reading() as session:
        found = public_record.by_reference(session, reference)
        one, story = public_words.announcement(found), public_record.story(session, found)
    return render_template("web/public/change.html", one=one, story=story, labels=public_words.labels())


@pages.get("/on")
@pages.get("/on/<day>")
@kept
def on(day: str = "") -> ResponseReturnValue:
    """The list at the end of a day; for one to come, as it has been announced to become."""
    form = Form({"day": (day or request.args.get("day", "")).strip()})
    asked = _day(form, "day") if form["day"] or "day" in request.args else None
    if form.problems or asked is None:
        return _page("on", form)
    with reading() as session:
        listed = timeline.as_of(session, on=asked, now=now())
    entries = public_record.for_everybody(listed.entries)
    return _page("on", form, day=asked, listed=listed, rows=public_words.rows(entries, entries))


@pages.get("/compare")
@kept
def compare() -> ResponseReturnValue:
    """What the lists of two days say differently."""
    form = Form({name: request.args.get(name, "").strip() for name in ("from", "to")})
    if not any(name in request.args for name in ("from", "to")):
        return _page("compare", form)
    old, new = _day(form, "from"), _day(form, "to")
    if old is None or new is None:
        return _page("compare", form)
    with reading() as session:
        before, after = (timeline.as_of(session, on=day, now=now()) for day in (old, new))
    made = public_words.changes(public_record.told(diff(before.entries, after.entries)))
    return _page(
        "compare", form, old=old, new=new, before=before, after=after, changes=made, labels=public_words.labels()
    )


def _day(form: Form, name: str) -> date | None:
    found = form.day(name)
    if found is None:
        form.refuse(name, _("Write a day as year, month and day, such as 2027-01-15."))
    return found


def _page(name: str, form: Form, **said: object) -> ResponseReturnValue:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.problems else HTTPStatus.OK
    return render_template(f"web/public/{name}.html", form=form, **{"day": None, "old": None, **said}), status
