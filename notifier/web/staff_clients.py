"""The clients: the list, and its import from the CRM."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from notifier.adapters.lists import BadList, read_clients
from notifier.services import clients
from notifier.services.desk import Desk
from notifier.web.current import LANGUAGES, by, desk, language, needs, now, reading, runtime, transaction
from notifier.web.forms import Form, uploaded

pages = Blueprint("staff_clients", __name__, url_prefix="/staff/clients")


@pages.get("")
@needs("read")
def listing() -> ResponseReturnValue:
    with reading() as session:
        return render_template("web/staff/clients.html", clients=clients.everyone(session))


@pages.get("/import")
@needs("edit")
def import_form() -> ResponseReturnValue:
    return render_template("web/staff/clients_import.html", form=Form(), outcome=None, faults=(), **_known(desk()))


@pages.post("/import")
@needs("edit")
def import_list() -> ResponseReturnValue:
    """Check a file, or take it.  Checking shows what the import would do, and changes nothing."""
    form, file = Form.posted(), uploaded("file")
    known = _known(desk())
    if file is None:
        form.refuse("file", _("Choose a CSV file."))
        page = render_template("web/staff/clients_import.html", form=form, outcome=None, faults=(), **known)
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    data, name = file
    try:
        rows = read_clients(data, filename=name, packs=known["packs"], roles=known["roles"], languages=LANGUAGES)
    except BadList as bad:
        form.refuse("file", _("The file was not taken. Correct what is listed below, then choose it again."))
        faults = [fault.text(language()) for fault in bad.problems]
        page = render_template("web/staff/clients_import.html", form=form, outcome=None, faults=faults, **known)
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    addressed = _addressed(desk())
    if form["act"] != "import":
        with reading() as session:
            outcome = clients.import_clients(session, rows, roles=addressed, by=by(), now=now(), dry_run=True)
        return render_template("web/staff/clients_import.html", form=form, outcome=outcome, faults=(), **known)
    with transaction() as session:
        outcome = clients.import_clients(session, rows, roles=addressed, by=by(), now=now())
    created, changed = len(outcome.created), len(outcome.changed)
    flash(
        ngettext("%(num)d client added", "%(num)d clients added", created)
        + ", "
        + ngettext("%(num)d changed.", "%(num)d changed.", changed),
        "good",
    )
    return redirect(url_for("staff_clients.listing"), code=HTTPStatus.SEE_OTHER)


def _addressed(desk: Desk) -> set[str]:
    return {role for roles in desk.addressed_roles.values() for role in roles}


def _known(desk: Desk) -> dict[str, list[str]]:
    """Return the packs and roles that a file may name."""
    return {"packs": sorted(desk.packs), "roles": sorted({*_addressed(desk), *runtime().settings.contact_roles})}
