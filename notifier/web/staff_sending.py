"""Whether anything leaves: the hold on all sending, and the send of one announcement."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from notifier.services import announcements, holds, relays, sends, tallies
from notifier.web.current import by, desk, needs, now, reading, transaction
from notifier.web.forms import Form
from notifier.web.staff_decisions import name_of

PUT_BACK = {"unknown": False, "waiting": True}

pages = Blueprint("staff_sending", __name__, url_prefix="/staff")


@pages.get("/sending")
@needs("read")
def page() -> ResponseReturnValue:
    return _page(Form())


@pages.post("/sending/hold")
@needs("administer")
def hold() -> ResponseReturnValue:
    form = Form.posted()
    if not form["why"].strip():
        form.refuse("why", _("Write why: whoever wants to release it will ask."))
        return _page(form, HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with transaction() as session:
            holds.hold(session, why=form["why"], by=by(), now=now())
    except holds.NotStarted:
        form.refuse("", _("Nothing has been sent from here yet, so there is nothing to stop. Start a worker first."))
        return _page(form, HTTPStatus.CONFLICT)
    flash(_("Sending is on hold. What is being handed over at this moment may still leave."), "good")
    return redirect(url_for(".page"), code=HTTPStatus.SEE_OTHER)


@pages.post("/sending/release")
@needs("administer")
def release() -> ResponseReturnValue:
    """Let mails leave again; somebody must say what becomes of those that may have left."""
    form = Form.posted()
    try:
        with transaction() as session:
            if holds.doubted(session) and form["doubted"] not in PUT_BACK:
                form.refuse("doubted", _("Choose what becomes of the mails that may have left."))
            else:
                back = holds.release(session, put_back=PUT_BACK.get(form["doubted"], False), by=by(), now=now())
    except holds.NotHeld:
        form.refuse("", _("Sending is not on hold any more: somebody else has released it."))
        return _page(form, HTTPStatus.CONFLICT)
    if form.problems:
        return _page(form, HTTPStatus.UNPROCESSABLE_ENTITY)
    released = ngettext("Released. %(num)d mail waits again.", "Released. %(num)d mails wait again.", back)
    flash(released if back else _("Released. Mails leave again."), "good")
    return redirect(url_for(".page"), code=HTTPStatus.SEE_OTHER)


@pages.post("/sending/relays/<name>/trial")
@needs("administer")
def wake(name: str) -> ResponseReturnValue:
    """Try a relay that rests again at once."""
    try:
        with transaction() as session:
            relays.wake(session, desk(), name)
    except relays.UnknownRelay:
        abort(HTTPStatus.NOT_FOUND)
    flash(_("It is tried again now, with one mail first."), "good")
    return redirect(url_for(".page"), code=HTTPStatus.SEE_OTHER)


@pages.post("/announcements/<uuid:announcement_id>/pause")
@needs("publish")
def pause(announcement_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        sends.pause(session, announcement_id, by=by(), now=now())
    flash(_("Paused. What is being handed over at this moment may still leave; the others wait."), "good")
    return _to_board(announcement_id)


@pages.post("/announcements/<uuid:announcement_id>/resumption")
@needs("publish")
def resume(announcement_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        sends.resume(session, announcement_id, by=by(), now=now())
    flash(_("The mails leave again."), "good")
    return _to_board(announcement_id)


@pages.get("/announcements/<uuid:announcement_id>/cancellation")
@needs("publish")
def cancellation_form(announcement_id: UUID) -> ResponseReturnValue:
    with reading() as session:
        return render_template(
            "web/staff/cancellation.html",
            announcement=announcements.get(session, announcement_id),
            tally=tallies.tally(session, desk(), announcement_id),
            waiting=tallies.waiting(session, announcement_id),
        )


@pages.post("/announcements/<uuid:announcement_id>/cancellation")
@needs("publish")
def cancel(announcement_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        untold = sends.cancel(session, announcement_id, by=by(), now=now())
    told = ngettext(
        "Cancelled. %(num)d client has not been told, and waits for you.",
        "Cancelled. %(num)d clients have not been told, and wait for you.",
        untold,
    )
    flash(told if untold else _("Cancelled. Every client had been told already."), "good")
    return _to_board(announcement_id)


def _page(form: Form, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    with reading() as session:
        instance = holds.instance(session)
        shown = render_template(
            "web/staff/sending.html",
            form=form,
            instance=instance,
            held_by=name_of(session, instance.hold_by) if instance else "",
            released_by=name_of(session, instance.released_by) if instance else "",
            doubted=holds.doubted(session),
            relays=relays.health(session, desk(), now=now()),
        )
    return shown, status


def _to_board(announcement_id: UUID) -> ResponseReturnValue:
    there = url_for("staff_announcements.board", announcement_id=announcement_id)
    return redirect(there, code=HTTPStatus.SEE_OTHER)
