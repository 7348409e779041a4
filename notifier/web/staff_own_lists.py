"""Each client's own list of subprocessors, as of any day."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from notifier.services import own_lists
from notifier.web.current import needs, now, reading
from notifier.web.forms import Form

pages = Blueprint("staff_own_lists", __name__, url_prefix="/staff/clients/<uuid:client_id>/list")


@pages.get("")
@needs("read")
def own_list(client_id: UUID) -> ResponseReturnValue:
    """The list at the end of a day, `on`, of today unless a day is asked for; `known_on`: as known by then, so that the
    day may lie ahead.
    """
    form = Form({name: request.args.get(name, "") for name in ("on", "known_on")})
    with reading() as session:
        today = own_lists.today_of(session, now())
        on, known_on = form.day("on") or today, form.day("known_on")
        for name in ("on", "known_on"):
            if form[name].strip() and form.day(name) is None:
                form.refuse(name, _("Write a day that exists, such as 2027-01-15."))
        if on > today and known_on is None:
            form.refuse("on", _("This day has not come yet. Choose today or an earlier day."))
        if known_on and known_on > today:
            form.refuse("known_on", _("This day has not come yet. Choose today or an earlier day."))
        asked = (today, None) if form.problems else (on, known_on)
        found = own_lists.own_list(session, client_id, on=asked[0], known_on=asked[1])
        shown = Form({"on": on.isoformat(), "known_on": known_on.isoformat() if known_on else ""})
        page = render_template("web/staff/own_list.html", form=form if form.problems else shown, found=found)
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if form.problems else HTTPStatus.OK
