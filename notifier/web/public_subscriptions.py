"""Subscribing to news of the public list: asking, confirming by the link of one mail, ending by that of any other.

Opening a link changes nothing, since mail gateways open links too.  Whoever confirms presses a button; what looks like
a machine's pressing shows it again.  Ending takes one post with the body that RFC 8058 names, from a mail program or
from the button of the page, without a cookie and without another question.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from notifier.models import Subscriber, SubscriberState
from notifier.services import subscriptions
from notifier.web.auth import Throttle
from notifier.web.current import desk, language, now, prefer, profile, reading, transaction
from notifier.web.form_tokens import FASTEST_PERSON, BadForm, FormTokens
from notifier.web.forms import Form

ONE_CLICK = ("List-Unsubscribe", "One-Click")  # RFC 8058, 3.1
TRAP = "homepage"
PURPOSE = "confirm a subscription"

pages = Blueprint("subscriptions", __name__)


@pages.get("/subscriptions")
def ask_form() -> ResponseReturnValue:
    return render_template("web/public/subscribe.html", form=Form(), is_asked=bool(request.args.get("asked")))


@pages.post("/subscriptions")
def ask() -> ResponseReturnValue:
    """The answer is one and the same whether or not the address is known."""
    form, place = Form.posted(), ("", request.remote_addr or "")
    throttle = cast("Throttle", current_app.extensions["notifier.asks"])
    if form[TRAP] or not _is_from_here():
        return _refused(form, "", _("This did not look like a person’s request. Please send it once more."))
    if throttle.is_shut(place, now()):
        return _too_many(form)
    try:
        with transaction() as session:
            subscriptions.ask(session, desk(), form["address"], language=language(), now=now())
    except subscriptions.BadAddress:
        return _refused(form, "address", _("Write one e-mail address, such as ana@client.example."))
    except subscriptions.TooMany:
        return _too_many(form)
    throttle.failed(place, now())
    return redirect(url_for(".ask_form", asked="yes"), code=HTTPStatus.SEE_OTHER)


def _too_many(form: Form) -> ResponseReturnValue:
    sentence = _("Too many addresses have been given in a short time. Try again in an hour.")
    return _refused(form, "", sentence, status=HTTPStatus.TOO_MANY_REQUESTS)


def _refused(
    form: Form, field: str, sentence: str, *, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY
) -> ResponseReturnValue:
    form.refuse(field, sentence)
    return render_template("web/public/subscribe.html", form=form, is_asked=False), status


@pages.get("/subscriptions/<token>/confirm")
def confirm_form(token: str) -> ResponseReturnValue:
    with reading() as session:
        found = subscriptions.to_confirm(session, token, now=now())
    return _confirm_page(found, token, made_at=now())


@pages.post("/subscriptions/<token>/confirm")
def confirm(token: str) -> ResponseReturnValue:
    with reading() as session:
        found = subscriptions.to_confirm(session, token, now=now())
    try:
        made_at = _form_tokens().made_at(request.form.get("form_token", ""), token, PURPOSE, now=now())
    except BadForm:
        problem = _(
            "This page had been open for too long, or the form came from elsewhere. Please press the button again."
        )
        return _confirm_page(found, token, made_at=now(), problem=problem), HTTPStatus.UNPROCESSABLE_ENTITY
    if request.form.get(TRAP) or now() - made_at < FASTEST_PERSON:
        problem = _("That was quicker than people read. Please press the button once more.")
        return _confirm_page(found, token, made_at=made_at, problem=problem), HTTPStatus.UNPROCESSABLE_ENTITY
    with transaction() as session:
        subscriptions.confirm(session, token, now=now())
    return redirect(url_for(".confirm_form", token=token), code=HTTPStatus.SEE_OTHER)


@pages.get("/subscriptions/<token>/end")
def end_form(token: str) -> ResponseReturnValue:
    with reading() as session:
        found = subscriptions.to_end(session, token)
    return _end_page(found, token)


@pages.post("/subscriptions/<token>/end")
def end(token: str) -> ResponseReturnValue:
    """Answered with the page itself: a mail program follows no redirect (RFC 8058, 3.1).  Another body ends nothing."""
    name, value = ONE_CLICK
    with transaction() as session:
        if request.form.get(name) == value:
            subscriptions.end(session, token, now=now())
        found = subscriptions.to_end(session, token)
    is_ended = found.state is SubscriberState.ENDED
    return _end_page(found, token), HTTPStatus.OK if is_ended else HTTPStatus.UNPROCESSABLE_ENTITY


@pages.errorhandler(subscriptions.LinkEnded)
def link_ended(_trouble: Exception) -> ResponseReturnValue:
    """One and the same page whatever is wrong with a link; it repeats nothing of it."""
    return render_template("web/public/subscription.html", act="none", is_done=False), HTTPStatus.NOT_FOUND


@pages.after_request
def _keep_private(response: Response) -> Response:
    if request.view_args:
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


@pages.context_processor
def _languages() -> dict[str, object]:
    """What was typed stands in no address: a page that answers a form offers the empty form in the other language."""
    return {"in_other_language": _form_in_other_language} if request.method == "POST" else {}


def _form_in_other_language() -> tuple[str, str]:
    other = "fr" if language() == "en" else "en"
    endpoint = {"subscriptions.ask": ".ask_form", "subscriptions.confirm": ".confirm_form"}
    page = endpoint.get(request.endpoint or "", ".end_form")
    return other, url_for(page, **{**(request.view_args or {}), "lang": other})


def _confirm_page(found: Subscriber, token: str, *, made_at: datetime, problem: str = "") -> str:
    prefer(found.language)
    return render_template(
        "web/public/subscription.html",
        act="confirm",
        is_done=found.state is SubscriberState.CONFIRMED,
        token=token,
        problem=problem,
        form_token=_form_tokens().make(token, PURPOSE, now=made_at),
    )


def _end_page(found: Subscriber, token: str) -> str:
    prefer(found.language)
    is_done = found.state is SubscriberState.ENDED
    return render_template("web/public/subscription.html", act="end", is_done=is_done, token=token, one_click=ONE_CLICK)


def _is_from_here() -> bool:
    """A strange page must not make its visitors ask for others.  A page that sends no referrer has "null" for an
    origin.
    """
    ours = {"null", request.host_url.rstrip("/"), "{0.scheme}://{0.netloc}".format(urlsplit(profile().base_url))}
    return (
        request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}
        and request.headers.get("Origin", "null") in ours
    )


def _form_tokens() -> FormTokens:
    return FormTokens(desk().keyring.derive_all("forms"))
