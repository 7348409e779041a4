"""Signing in and out: by password, or by a link that works once.  Nobody has a default password."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, cast

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_security import RoleMixin, UserDatastore, UserMixin, hash_password, login_user, logout_user
from sqlmodel import select

from notifier.models import Role, User
from notifier.models.user import PERMISSIONS
from notifier.runtime import Runtime
from notifier.services import users
from notifier.web import current
from notifier.web.current import needs, now, reading, transaction
from notifier.web.forms import Form

CONFIG = {
    "SECURITY_PASSWORD_HASH": "argon2",
    "SECURITY_PASSWORD_SCHEMES": ["argon2"],
    "SECURITY_PASSWORD_SINGLE_HASH": True,  # or passwords would be tied to the secret key
    "SECURITY_JOIN_USER_ROLES": False,
    "SECURITY_REGISTERABLE": False,
    "SECURITY_RECOVERABLE": False,
    "SECURITY_TRACKABLE": False,
}
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024
MOST_FAILURES = 5
PAUSE = timedelta(minutes=15)

pages = Blueprint("auth", __name__)


class NamedRole(RoleMixin):
    """A role in the shape that Flask-Security reads."""

    def __init__(self, role: Role) -> None:
        self.name = role.value
        self.permissions = sorted(PERMISSIONS[role])


class SignedIn(UserMixin):
    """A user in the shape that Flask-Security asks for; whatever else is asked of it, the user answers."""

    fs_uniquifier = ""  # it looks for the column on the class

    def __init__(self, user: User) -> None:
        self.user = user
        self.email, self.password, self.active = user.email, user.password, user.active
        self.fs_uniquifier = user.fs_uniquifier
        self.roles = [NamedRole(user.role)]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the user's columns
        return getattr(self.user, name)


class Staff(UserDatastore):
    """Users in the shape that Flask-Security looks for.  Each look-up is a transaction of its own: none stays open."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(SignedIn, NamedRole)
        self._runtime = runtime

    def find_user(self, case_insensitive: bool = False, **wanted: Any) -> SignedIn | None:  # noqa: ANN401, ARG002, FBT001, FBT002 - its signature
        with self._runtime.reading() as session:
            found = session.exec(select(User).filter_by(**wanted)).first()
            session.expunge_all()
        return SignedIn(found) if found else None

    def find_role(self, role: str) -> NamedRole | None:
        return NamedRole(Role(role))

    def put(self, model: SignedIn) -> SignedIn:
        """Keep a user's changed password: a hash that an older library made is made anew at sign-in."""
        model.user.password = model.password
        with self._runtime.transaction() as session:
            session.merge(model.user)
        return model

    def commit(self) -> None:
        """Nothing waits: `put` has committed."""


class Throttle:
    """Failed sign-ins by address and place.  Each process counts for itself: several allow several times as many."""

    def __init__(self) -> None:
        self._failures: defaultdict[tuple[str, str], deque[datetime]] = defaultdict(lambda: deque(maxlen=MOST_FAILURES))

    def is_shut(self, who: tuple[str, str], now: datetime) -> bool:
        failures = self._failures.get(who, deque())
        return len(failures) == MOST_FAILURES and now - failures[0] < PAUSE

    def failed(self, who: tuple[str, str], now: datetime) -> None:
        self._forget(now)
        self._failures[who].append(now)

    def succeeded(self, who: tuple[str, str]) -> None:
        self._failures.pop(who, None)

    def _forget(self, now: datetime) -> None:
        """Drop what no longer counts, so that made-up addresses do not pile up."""
        for who in [who for who, failures in self._failures.items() if now - failures[-1] >= PAUSE]:
            del self._failures[who]


@pages.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    return render_template("web/security/sign_in.html", form=Form({"next": request.args.get("next", "")}))


@pages.post("/sign-in")
def enter() -> ResponseReturnValue:
    form = Form.posted()
    who = form["email"].strip().casefold(), request.remote_addr or ""
    throttle = cast("Throttle", current_app.extensions["notifier.throttle"])
    if throttle.is_shut(who, now()):
        minutes = int(PAUSE.total_seconds() // 60)
        form.refuse("", _("Too many attempts. Try again in %(num)d minutes.", num=minutes))
        return render_template("web/security/sign_in.html", form=form), HTTPStatus.TOO_MANY_REQUESTS
    user = _known(form["email"], form["password"])
    if user is None:
        throttle.failed(who, now())
        form.refuse("", _("This address and this password do not go together. Check both, or ask for a sign-in link."))
        return render_template("web/security/sign_in.html", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    throttle.succeeded(who)
    with transaction() as session:
        users.signed_in(session, user, now=now())
    return _signed_in(user, form["next"])


@pages.post("/sign-out")
def leave() -> ResponseReturnValue:
    logout_user()
    cookie.clear()
    return redirect(url_for("auth.sign_in"), code=HTTPStatus.SEE_OTHER)


@pages.get("/sign-in/<token>")
def link(token: str) -> ResponseReturnValue:
    """Show whom the link would sign in.  Looking spends nothing: mail scanners look too."""
    with reading() as session:
        user = users.who(session, token, now=now())
        if not users.is_provisional(user):
            current.prefer(user.language)
        return _link_page(Form(), user, token)


@pages.post("/sign-in/<token>")
def spend_link(token: str) -> ResponseReturnValue:
    form = Form.posted()
    with reading() as session:
        user = users.who(session, token, now=now())
        if not users.is_provisional(user):
            current.prefer(user.language)
        has_password = bool(user.password)
        if not has_password and form["password"]:
            _check_new_password(form)
        if form.problems:
            return _link_page(form, user, token), HTTPStatus.UNPROCESSABLE_ENTITY
    hashed = hash_password(form["password"]) if form["password"] and not has_password else None
    try:
        with transaction() as session:
            spent = users.spend(session, token, now=now())
            if users.is_provisional(spent):
                users.name_oneself(session, spent, email=form["email"], language=current.language())
            if hashed:
                users.choose_password(session, spent, hashed, now=now())
    except users.BadUser:
        form.refuse("email", _("Write your own e-mail address, one that nobody here uses yet."))
        return _link_page(form, user, token), HTTPStatus.UNPROCESSABLE_ENTITY
    return _signed_in(spent, "")


def _link_page(form: Form, user: User, token: str) -> str:
    return render_template(
        "web/security/link.html", form=form, user=user, token=token, is_new=users.is_provisional(user)
    )


@pages.get("/staff/account")
@needs("read")
def account() -> ResponseReturnValue:
    return render_template("web/security/account.html", form=Form({"language": current.user().language}))


@pages.post("/staff/account")
@needs("read")
def change_account() -> ResponseReturnValue:
    """One's own language and password: the only thing that an auditor may change."""
    form = Form.posted()
    user = current.user()
    if form["password"]:
        if user.password and not SignedIn(user).verify_and_update_password(form["current"]):
            form.refuse("current", _("This is not your present password. Type it again."))
        _check_new_password(form)
    if form.problems:
        return render_template("web/security/account.html", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    hashed = hash_password(form["password"]) if form["password"] else None
    with transaction() as session:
        kept = session.get_one(User, user.id)
        if form["language"] in current.LANGUAGES:
            users.speak(session, kept, form["language"])
        if hashed:
            users.choose_password(session, kept, hashed, now=now())
    login_user(SignedIn(kept), authn_via=["password"])
    flash(_("Saved."), "good")
    return redirect(url_for("auth.account"), code=HTTPStatus.SEE_OTHER)


def _known(email: str, password: str) -> User | None:
    """Return the user whose password this is.  A stranger takes as long to refuse as somebody known."""
    with reading() as session:
        user = users.find(session, email)
        session.expunge_all()
    if user is None or not user.password or not user.active:
        hash_password(password[:LONGEST_PASSWORD])
        return None
    return user if SignedIn(user).verify_and_update_password(password[:LONGEST_PASSWORD]) else None


def _check_new_password(form: Form) -> None:
    if not SHORTEST_PASSWORD <= len(form["password"]) <= LONGEST_PASSWORD:
        form.refuse("password", _("Choose a password of at least %(least)d characters.", least=SHORTEST_PASSWORD))
    elif form["password"] != form["again"]:
        form.refuse("again", _("The two passwords differ. Type the same one twice."))


def _signed_in(user: User, onwards: str) -> ResponseReturnValue:
    login_user(SignedIn(user), authn_via=["password"])
    target = onwards if _is_ours(onwards) else url_for("staff.overview")
    if user.may("administer") and current.profile().missing:
        target = url_for("staff.provider_form")
    return redirect(target, code=HTTPStatus.SEE_OTHER)


def _is_ours(path: str) -> bool:
    """Whether this is a path of ours and nothing that a browser would take for another site's."""
    return path.startswith(("/staff/", "/mailbox")) and "\\" not in path and "//" not in path and path.isprintable()
