"""What a view needs of the present request: working parts, clock, language, zone, and who is signed in."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, ParamSpec, cast

import sqlalchemy as sa
from flask import abort, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import refresh
from flask_security import current_user
from sqlmodel import Session

from notifier import runtime as wiring
from notifier.models import Provider, User
from notifier.runtime import Runtime
from notifier.services import provider
from notifier.services.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Callable

LANGUAGES = ("en", "fr")
P = ParamSpec("P")


def runtime() -> Runtime:
    return cast("Runtime", current_app.extensions["notifier"])


def transaction() -> AbstractContextManager[Session]:
    """Commits on the way out; nothing slow belongs inside."""
    return runtime().transaction()


def reading() -> AbstractContextManager[Session]:
    """Never commits, and waits for no writer."""
    return runtime().reading()


def desk() -> Desk:
    return runtime().desk


def now() -> datetime:
    return wiring.now()


def profile() -> Provider:
    """Return the provider's profile as this request found it; looked up once, also where the database does not answer:
    each look waits for seconds.
    """
    if "profile" not in g:
        end_in_outage()
        try:
            with reading() as session:
                g.profile = provider.get(session)
                session.expunge_all()
        except (sa.exc.OperationalError, sa.exc.TimeoutError) as outage:
            g.outage = outage
            raise
    return cast("Provider", g.profile)


def end_in_outage() -> None:
    """Raise again what this request has waited for in vain."""
    if "outage" in g:
        raise g.outage


def timezone() -> str:
    """Return the zone in which instants are shown."""
    return profile().timezone


def language() -> Literal["en", "fr"]:
    """Return what the address asks for, else what the page prefers, else the user's language, else the browser's."""
    asked = request.args.get("lang", "")
    return "fr" if (asked if asked in LANGUAGES else _preferred()) == "fr" else "en"


def _preferred() -> str | None:
    if "preferred" in g:
        return cast("str", g.preferred)
    if current_user.is_authenticated:
        return user().language
    return request.accept_languages.best_match(LANGUAGES)


def prefer(wanted: str) -> None:
    """Speak this language on this page (a delivery's, say), unless the address asks for another."""
    g.preferred = wanted if wanted in LANGUAGES else LANGUAGES[0]
    refresh()


def user() -> User:
    """Return who is signed in; only behind `needs`."""
    return cast("User", current_user.user)


def by() -> str:
    """Return how events name whoever is signed in."""
    return f"user:{user().id}"


def turned_away(permission: str) -> ResponseReturnValue | None:
    """Lead a stranger to the sign-in page, and refuse whoever may not; nothing for somebody who may."""
    if not current_user.is_authenticated:
        onwards = request.full_path.rstrip("?") if request.method == "GET" else url_for("staff.overview")
        return redirect(url_for("auth.sign_in", next=onwards), code=HTTPStatus.SEE_OTHER)
    if not user().may(permission):
        abort(HTTPStatus.FORBIDDEN)
    return None


def needs(permission: str) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Let a view be reached only with a permission: others sign in first, or are refused.

    `permission` is "read", "edit", "publish" or "administer" (see notifier.models.user).
    """

    def guard(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            return turned_away(permission) or view(*args, **kwargs)

        return guarded

    return guard
