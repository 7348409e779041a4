"""The mailbox: the pages of the sender that keeps mails instead of sending them (demo, previews, tests).

Mails carry links that sign in and answer, so only people of the staff may read them; in the demo, whoever sits at
this machine.
"""

from __future__ import annotations

import email.policy
from collections.abc import Sequence
from email.parser import BytesParser
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue
from secure import ContentSecurityPolicy

from notifier.adapters.mailbox import Mailbox, NoSuchMail, Opened
from notifier.web.current import runtime, turned_away

PER_PAGE = 50
PASSED_ON = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via")
NEW_TAB = '<base target="_blank">'  # a page of ours refuses to be shown inside a frame

pages = Blueprint("mailbox", __name__, url_prefix="/mailbox")


@pages.before_request
def _refuse_strangers() -> ResponseReturnValue | None:
    is_open = runtime().settings.mail.open_mailbox and _is_asked_from_here()
    return None if is_open else turned_away("read")


@pages.get("")
def mails() -> ResponseReturnValue:
    mailbox, page = _mailbox(), request.args.get("page", 1, type=int)
    page = max(page, 1)
    kept, count = mailbox.list((page - 1) * PER_PAGE, PER_PAGE), mailbox.count()
    return _framing(
        render_template("web/mailbox/mails.html", kept=kept, count=count, page=page, is_last=page * PER_PAGE >= count)
    )


@pages.get("/<name>")
def mail(name: str) -> ResponseReturnValue:
    opened = _read(name)
    return _framing(render_template("web/mailbox/mail.html", opened=opened, attachments=_attachments(opened.content)))


@pages.get("/<name>/html")
def html(name: str) -> ResponseReturnValue:
    """The HTML part, in a box: it runs nothing, fetches nothing, and its links open beside it."""
    response = Response(_read(name).html.replace("<head>", f"<head>{NEW_TAB}", 1))
    policy = (
        ContentSecurityPolicy()
        .default_src("'none'")
        .style_src("'unsafe-inline'")
        .img_src("data:")
        .frame_ancestors("'self'")
    )
    policy.sandbox("allow-popups", "allow-popups-to-escape-sandbox")
    response.headers["Content-Security-Policy"] = policy.header_value
    return response


@pages.get("/<name>/source")
def source(name: str) -> ResponseReturnValue:
    """The mail byte for byte."""
    response = Response(_read(name).content, mimetype="message/rfc822")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@pages.after_request
def _keep_private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _mailbox() -> Mailbox:
    return Mailbox(runtime().mailbox_folder)


def _read(name: str) -> Opened:
    try:
        return _mailbox().read(name)
    except NoSuchMail:
        abort(HTTPStatus.NOT_FOUND)


def _framing(page: str) -> Response:
    """A page of ours that may frame a mail of ours."""
    policy = (
        ContentSecurityPolicy().default_src("'none'").style_src("'self'").img_src("'self'", "data:").frame_src("'self'")
    )
    policy.form_action("'self'").frame_ancestors("'none'").base_uri("'none'")
    response = Response(page)
    response.headers["Content-Security-Policy"] = policy.header_value
    return response


def _attachments(content: bytes) -> Sequence[str]:
    message = BytesParser(policy=email.policy.default).parsebytes(content)
    return [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]


def _is_asked_from_here() -> bool:
    """Whether the request began on this machine.  What a proxy that we do not know of passes on began elsewhere."""
    if not runtime().settings.proxies and any(name in request.headers for name in PASSED_ON):
        return False
    return _is_here(request.remote_addr or "") and _is_here(urlsplit(request.host_url).hostname or "")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
