"""Webhook endpoints: adding, testing, switching on and off, and what each was last owed."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from notifier.models import EventKind
from notifier.services import webhooks
from notifier.web.current import by, desk, language, needs, now, reading, transaction
from notifier.web.forms import Form

RECENT = 10

pages = Blueprint("staff_webhooks", __name__, url_prefix="/staff/webhooks")


@pages.get("")
@needs("read")
def listing() -> ResponseReturnValue:
    return _page(Form())


@pages.post("")
@needs("administer")
def add() -> ResponseReturnValue:
    form = Form.posted()
    url = form["url"].strip()
    if flaw := desk().http.check_url(url, language()):
        form.refuse("url", flaw[:1].upper() + flaw[1:])
    kinds = [kind for kind in request.form.getlist("kinds") if kind in list(EventKind)]
    if form.problems:
        return _page(form, kinds), HTTPStatus.UNPROCESSABLE_ENTITY
    with transaction() as session:
        _endpoint, secret = webhooks.add(session, desk(), url=url, kinds=kinds, by=by(), now=now())
    flash(secret, "secret")
    return redirect(url_for("staff_webhooks.listing"), code=HTTPStatus.SEE_OTHER)


@pages.post("/<uuid:endpoint_id>/tests")
@needs("administer")
def test(endpoint_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        webhooks.test(session, endpoint_id, by=by(), now=now())
    flash(_("A test event is on its way. Reload this page to see what the endpoint answered."), "good")
    return redirect(url_for("staff_webhooks.listing"), code=HTTPStatus.SEE_OTHER)


@pages.post("/<uuid:endpoint_id>/state")
@needs("administer")
def switch(endpoint_id: UUID) -> ResponseReturnValue:
    enabled = request.form.get("enabled") == "yes"
    with transaction() as session:
        webhooks.enable(session, endpoint_id, enabled=enabled, by=by(), now=now())
    flash(
        _("The endpoint is on.") if enabled else _("The endpoint is off: what happens meanwhile is not sent to it."),
        "good",
    )
    return redirect(url_for("staff_webhooks.listing"), code=HTTPStatus.SEE_OTHER)


def _page(form: Form, chosen: list[str] | None = None) -> str:
    with reading() as session:
        endpoints = [(one, webhooks.recent(session, one.id, limit=RECENT)) for one in webhooks.everyone(session)]
        return render_template(
            "web/staff/webhooks.html", form=form, endpoints=endpoints, kinds=EventKind, chosen=chosen or []
        )
