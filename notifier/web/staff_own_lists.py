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
    """The list at the end of a day, `on`; of today unless a day is asked for."""
    form = Form({"on": request.args.get("on", "")})
    with reading() as session:
        today = own_lists.today_of(session, now())
        on = form.day("on") or today
        if form["on"].strip() and form.day("on") is None:
            form.refuse("on", _("Write a day that exists, such as 2027-01-15."))
        if on > today:
            form.refuse("on", _("This day has not come yet. Choose today or an earlier day."))
        found = own_lists.own_list(session, client_id, on=today if form.problems else on)
        page = render_template(
            "web/staff/own_list.html", form=form if form.problems else Form({"on": on.isoformat()}), found=found
        )
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if form.problems else HTTPStatus.OK
