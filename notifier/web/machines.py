"""What machines ask for, at addresses that are the same everywhere."""

from __future__ import annotations

from datetime import UTC, timedelta
from http import HTTPStatus

from flask import Blueprint, Response, abort, redirect, url_for
from flask.typing import ResponseReturnValue

from notifier.web.current import now, profile, runtime

HIDDEN = ("/notice/", "/sign-in", "/staff/", "/mailbox", "/subscriptions/")
GOOD_FOR = timedelta(days=180)  # RFC 9116 recommends less than a year

pages = Blueprint("machines", __name__)


@pages.get("/robots.txt")
def robots() -> ResponseReturnValue:
    return _plain("\n".join(["User-agent: *", *(f"Disallow: {path}" for path in HIDDEN)]))


@pages.get("/.well-known/security.txt")
def security() -> ResponseReturnValue:
    """Whom to tell of a weakness (RFC 9116); none where nobody has said whom."""
    said = runtime().settings.security
    contact = said.contact or profile().privacy_contact
    if not contact:
        abort(HTTPStatus.NOT_FOUND)
    expires = (now().astimezone(UTC) + GOOD_FOR).replace(hour=0, minute=0, second=0, microsecond=0)
    fields = {
        "Contact": contact if ":" in contact else f"mailto:{contact}",
        "Expires": expires.isoformat().replace("+00:00", "Z"),
        "Preferred-Languages": ", ".join(profile().languages.split()),
        "Canonical": profile().base_url and f"{profile().base_url}{url_for('.security', lang=None)}",
        "Policy": said.policy,
    }
    return _plain("\n".join(f"{name}: {value}" for name, value in fields.items() if value))


@pages.get("/.well-known/change-password")
def change_password() -> ResponseReturnValue:
    """Where password managers send people (W3C, A Well-Known URL for Changing Passwords)."""
    return redirect(url_for("auth.account"))


def _plain(text: str) -> ResponseReturnValue:
    return Response(f"{text}\n", mimetype="text/plain")
