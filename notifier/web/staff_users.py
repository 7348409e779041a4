"""Those who sign in: the list, and adding somebody, who comes in by a link that works once."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.models import Role, User
from notifier.services import users
from notifier.web.current import LANGUAGES, by, needs, now, profile, reading, transaction
from notifier.web.forms import Form

pages = Blueprint("staff_users", __name__, url_prefix="/staff/users")


@pages.get("")
@needs("administer")
def listing() -> ResponseReturnValue:
    return _page(Form({"role": Role.ACCOUNT_MANAGER, "language": "en"}))


@pages.post("")
@needs("administer")
def add() -> ResponseReturnValue:
    form = Form.posted()
    if form["role"] not in list(Role):
        form.refuse("role", _("Choose a role."))
    if form["language"] not in LANGUAGES:
        form.refuse("language", _("Choose a language."))
    if form.problems:
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        with transaction() as session:
            user = users.create(
                session,
                email=form["email"],
                name=form["name"],
                role=Role(form["role"]),
                language=form["language"],
                by=by(),
                now=now(),
            )
            _show_link(session, user)
    except users.BadUser:
        form.refuse("email", _("Write one e-mail address that no other user has, such as ana@hosting.example."))
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(url_for("staff_users.listing"), code=HTTPStatus.SEE_OTHER)


@pages.post("/<uuid:user_id>/sign-in-links")
@needs("administer")
def add_link(user_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        user = session.get(User, user_id)
        if user is None:
            abort(HTTPStatus.NOT_FOUND)
        _show_link(session, user)
    return redirect(url_for("staff_users.listing"), code=HTTPStatus.SEE_OTHER)


@pages.post("/<uuid:user_id>/role")
@needs("administer")
def change_role(user_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    if form["role"] not in list(Role):
        form.refuse("", _("Choose a role."))
        return _page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    with transaction() as session:
        users.change_role(session, user_id, Role(form["role"]), by=by(), now=now())
    flash(_("The role is changed."), "good")
    return redirect(url_for("staff_users.listing"), code=HTTPStatus.SEE_OTHER)


@pages.post("/<uuid:user_id>/state")
@needs("administer")
def switch(user_id: UUID) -> ResponseReturnValue:
    active = Form.posted()["active"] == "yes"
    turn = users.switch_on if active else users.switch_off
    with transaction() as session:
        turn(session, user_id, by=by(), now=now())
    flash(_("The user may sign in.") if active else _("The user is off: nobody signs in by this address."), "good")
    return redirect(url_for("staff_users.listing"), code=HTTPStatus.SEE_OTHER)


def _show_link(session: Session, user: User) -> None:
    """Put a new link before the administrator, on the next page alone: only its digest is kept."""
    token = users.invite(session, user, by=by(), now=now())
    address = url_for("auth.link", token=token, lang=None)
    base = profile().base_url or request.host_url.rstrip("/")
    flash(user.email, "good")
    flash(f"{base}{address}", "link")


def _page(form: Form) -> str:
    with reading() as session:
        return render_template("web/staff/users.html", form=form, users=users.everyone(session), roles=Role)
