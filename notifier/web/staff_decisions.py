"""What only two persons may decide: one asks, with the reason, and another confirms or rejects it."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.models import Announcement, Override, OverrideKind, User
from notifier.services import announcements, going_live, overrides, tallies
from notifier.web import refusals
from notifier.web.current import by, desk, needs, now, reading, timezone, transaction
from notifier.web.forms import Form, as_uuid
from notifier.web.refusals import REFUSED

pages = Blueprint("staff_decisions", __name__, url_prefix="/staff/announcements/<uuid:announcement_id>/decisions")


@pages.get("/<kind>")
@needs("read")
def decision(announcement_id: UUID, kind: str) -> ResponseReturnValue:
    """What was asked and waits for a second person; where nothing was, the form that asks."""
    return _page(announcement_id, _kind(kind), Form())


@pages.post("/<kind>")
@needs("publish")
def ask(announcement_id: UUID, kind: str) -> ResponseReturnValue:
    known, form = _kind(kind), Form.posted()
    started_at = form.instant("started_at", timezone())
    if form["started_at"].strip() and started_at is None:
        form.refuse("started_at", _("Write a day and a time, such as 2027-01-15 14:30."))
        return _page(announcement_id, known, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    measures = form.both("measures") if known is OverrideKind.BREACH else None
    try:
        with transaction() as session:
            overrides.ask(
                session,
                announcement_id,
                known,
                reasons=form.both("reasons"),
                measures=measures,
                started_at=started_at,
                by=by(),
                now=now(),
            )
    except REFUSED as trouble:
        return _page(announcement_id, known, form, status=refusals.explain(form, trouble))
    flash(_("Asked. It waits for a second person."), "good")
    return redirect(url_for(".decision", announcement_id=announcement_id, kind=kind), code=HTTPStatus.SEE_OTHER)


@pages.post("/<uuid:override_id>/confirmation")
@needs("publish")
def confirm(announcement_id: UUID, override_id: UUID) -> ResponseReturnValue:
    """Confirm what somebody else asked for: a breach is carried out with it."""
    form = Form()
    kind = _of(announcement_id, override_id).kind
    try:
        with transaction() as session:
            if kind is OverrideKind.BREACH:
                going_live.breach(session, desk(), override_id, by=by(), now=now())
            else:
                overrides.confirm(session, override_id, by=by(), now=now())
    except REFUSED as trouble:
        return _page(announcement_id, kind, form, status=refusals.explain(form, trouble))
    if kind is OverrideKind.BREACH:
        flash(_("Confirmed. It is live, in breach; the clients whose right had not run are being told."), "good")
        there = url_for("staff_announcements.board", announcement_id=announcement_id)
    else:
        flash(_("Confirmed. It may be published later than the contracts say."), "good")
        there = url_for("staff_drafts.preview", announcement_id=announcement_id)
    return redirect(there, code=HTTPStatus.SEE_OTHER)


@pages.post("/<uuid:override_id>/rejection")
@needs("publish")
def reject(announcement_id: UUID, override_id: UUID) -> ResponseReturnValue:
    """Refuse what was asked, or take it back."""
    _of(announcement_id, override_id)
    with transaction() as session:
        overrides.reject(session, override_id, by=by(), now=now())
    flash(_("Rejected: nothing has changed."), "good")
    there = url_for("staff_announcements.board", announcement_id=announcement_id)
    return redirect(there, code=HTTPStatus.SEE_OTHER)


def name_of(session: Session, actor: str) -> str:
    """Return who did something by name: "user:…" of somebody known; another actor as events name it."""
    user_id = as_uuid(actor.removeprefix("user:"))
    user = session.get(User, user_id) if user_id else None
    return (user.name or user.email) if user else actor


def _page(
    announcement_id: UUID, kind: OverrideKind, form: Form, *, status: HTTPStatus = HTTPStatus.OK
) -> ResponseReturnValue:
    with reading() as session:
        announcement = announcements.get(session, announcement_id)
        asked = overrides.open_for(session, announcement_id, kind)
        page = render_template(
            "web/staff/decision.html",
            form=form,
            kind=kind,
            announcement=announcement,
            gate=tallies.whole(session, desk(), announcement, now=now()).gate(now()),
            asked=asked,
            asked_by=name_of(session, asked.asked_by) if asked else "",
            is_mine=asked is not None and asked.asked_by == by(),
            may_ask=_may_ask(announcement, kind),
            decided=[
                (one, name_of(session, one.asked_by), name_of(session, one.decided_by))
                for one in _decided(session, announcement_id, kind)
            ],
        )
    return page, status


def _of(announcement_id: UUID, override_id: UUID) -> Override:
    with reading() as session:
        override = overrides.get(session, override_id)
        session.expunge_all()
    if override.announcement_id != announcement_id:
        raise overrides.NoSuchOverride
    return override


def _decided(session: Session, announcement_id: UUID, kind: OverrideKind) -> list[Override]:
    asked = overrides.of_announcement(session, announcement_id)
    return [one for one in asked if one.kind is kind and one.decided_at]


def _may_ask(announcement: Announcement, kind: OverrideKind) -> bool:
    return announcement.state in overrides.STATES[kind]


def _kind(name: str) -> OverrideKind:
    if name not in list(OverrideKind):
        abort(HTTPStatus.NOT_FOUND)
    return OverrideKind(name)
