"""What the provider is as a host of health data: its own row of the table of guarantees (HDS v2, chapter 8)."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from notifier.services import provider
from notifier.web import entry_forms
from notifier.web.current import by, needs, now, reading, transaction
from notifier.web.forms import Form

pages = Blueprint("staff_host", __name__, url_prefix="/staff/provider/host")


@pages.get("")
@needs("read")
def host() -> ResponseReturnValue:
    with reading() as session:
        return _page(entry_forms.filled(provider.host(session)))


@pages.post("")
@needs("administer")
def change_host() -> ResponseReturnValue:
    form = Form.posted()
    values = entry_forms.read(form, provider.HOST)
    if form.problems:
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    with transaction() as session:
        provider.change_host(session, values, by=by(), now=now())
    flash(_("Saved."), "good")
    return redirect(url_for("staff_host.host"), code=HTTPStatus.SEE_OTHER)


def _page(form: Form) -> str:
    return render_template("web/staff/host.html", form=form, names=provider.HOST, **entry_forms.shown())
