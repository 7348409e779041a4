"""Mails that came back: what each says, which mail and client it is about, and what a person notes of it."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from notifier.adapters.mail_text import plain_text
from notifier.models import Delivery
from notifier.services import bounces
from notifier.web.current import by, needs, now, reading, transaction
from notifier.web.forms import Form

ON_A_PAGE = 100

pages = Blueprint("staff_bounces", __name__, url_prefix="/staff/bounces")


@pages.get("")
@needs("read")
def listing() -> ResponseReturnValue:
    with reading() as session:
        return render_template("web/staff/bounces.html", bounces=bounces.latest(session, limit=ON_A_PAGE))


@pages.get("/<uuid:bounce_id>")
@needs("read")
def bounce(bounce_id: UUID) -> ResponseReturnValue:
    return _page(Form(), bounce_id)


@pages.get("/<uuid:bounce_id>/source")
@needs("read")
def source(bounce_id: UUID) -> ResponseReturnValue:
    """The mail byte for byte, to be kept and never to be shown: a stranger wrote it."""
    with reading() as session:
        found = bounces.get(session, bounce_id)
    response = Response(found.content, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=f"{found.received_at:%Y-%m-%d}-{found.id}.eml")
    return response


@pages.post("/<uuid:bounce_id>/reading")
@needs("edit")
def read(bounce_id: UUID) -> ResponseReturnValue:
    """Close what asked a person to look at it."""
    form = Form.posted()
    try:
        with transaction() as session:
            bounces.read(session, bounce_id, note=form["note"], by=by(), now=now())
    except bounces.NoteMissing:
        form.refuse("note", _("Write what it comes to: the note is kept with the reply."))
        return _page(form, bounce_id), HTTPStatus.UNPROCESSABLE_ENTITY
    flash(_("Read."), "good")
    return redirect(url_for("staff_bounces.bounce", bounce_id=bounce_id), code=HTTPStatus.SEE_OTHER)


def _page(form: Form, bounce_id: UUID) -> str:
    with reading() as session:
        found = bounces.get(session, bounce_id)
        told = bounces.told(session, found)
        delivery = session.get(Delivery, found.delivery_id) if found.delivery_id else None
        asks = bounces.asked(session, found)
    return render_template(
        "web/staff/bounce.html",
        form=form,
        bounce=found,
        delivery=delivery,
        told=told,
        asks=asks,
        text=plain_text(found.content),
    )
