"""The web door: one Flask application over one runtime."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from flask import (
    Flask,
    Request,
    Response,
    abort,
    current_app,
    g,
    has_request_context,
    render_template,
    request,
    url_for,
)
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from flask_babel import Babel, format_decimal, format_timedelta
from flask_babel import lazy_gettext as later
from flask_security import Security
from flask_wtf.csrf import CSRFError, CSRFProtect
from jinja2 import FileSystemLoader, StrictUndefined
from markupsafe import Markup
from secure import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
)
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import host_is_trusted

from notifier import runtime as wiring
from notifier import settings
from notifier.adapters import dates, logs
from notifier.adapters.countries import country_name
from notifier.models import Announcement, Provider
from notifier.rules.notice_states import IllegalNoticeStep
from notifier.rules.scope import Reason
from notifier.rules.terms import BadPack, PeriodBlank
from notifier.rules.wording import period_in_words
from notifier.runtime import Runtime
from notifier.services import (
    announcements,
    answers,
    bounces,
    clients,
    going_live,
    letter_notes,
    notices,
    outbox,
    overrides,
    paper,
    provider,
    registry,
    sends,
    users,
    watches,
    webhooks,
)
from notifier.web import (
    api,
    auth,
    bounce_hook,
    current,
    machines,
    mailbox,
    portal,
    public,
    public_subscriptions,
    staff,
    tracing,
    vitals,
    words,
)

log = structlog.get_logger()

LARGEST_REQUEST = 6 * 1024 * 1024
A_YEAR = 31_536_000
TEN = 10
A_WORKING_DAY = timedelta(hours=12)  # after it, whoever is signed in signs in anew
# Asked for by machines, before anything else works: no cookie, no look at the database, any host.
UNGUARDED = ("/static/", "/healthz", "/readyz", "/metrics", "/robots.txt")

# What a service refuses, as a status and a sentence that says what to do.
ERRORS: Mapping[type[Exception], tuple[HTTPStatus, Any]] = MappingProxyType(
    {
        users.LinkSpent: (
            HTTPStatus.NOT_FOUND,
            later("This sign-in link has been used or is too old. Ask an administrator for another one."),
        ),
        answers.LinkInvalid: (HTTPStatus.NOT_FOUND, later("This link is not valid, or no longer valid.")),
        answers.NotYours: (HTTPStatus.NOT_FOUND, later("This link does not open that page.")),
        answers.NoSuchAnswer: (HTTPStatus.NOT_FOUND, later("There is no such answer.")),
        announcements.NoSuchAnnouncement: (HTTPStatus.NOT_FOUND, later("There is no such announcement.")),
        overrides.NoSuchOverride: (
            HTTPStatus.NOT_FOUND,
            later("There is nothing to decide: it has been decided, or was never asked."),
        ),
        clients.NoSuchClient: (HTTPStatus.NOT_FOUND, later("There is no such client.")),
        notices.NoSuchNotice: (HTTPStatus.NOT_FOUND, later("There is no such notice.")),
        paper.NoSuchLetter: (HTTPStatus.NOT_FOUND, later("There is no such letter.")),
        paper.NoSuchBatch: (HTTPStatus.NOT_FOUND, later("There is no such file of letters.")),
        bounces.NoSuchBounce: (HTTPStatus.NOT_FOUND, later("No such mail has come back.")),
        outbox.NoSuchDelivery: (HTTPStatus.NOT_FOUND, later("There is no such delivery.")),
        registry.NoSuchVersion: (HTTPStatus.NOT_FOUND, later("The registry has no such version.")),
        registry.NoSuchEntry: (HTTPStatus.NOT_FOUND, later("The draft has no such entry.")),
        users.NoSuchUser: (HTTPStatus.NOT_FOUND, later("There is no such user.")),
        webhooks.NoSuchEndpoint: (HTTPStatus.NOT_FOUND, later("There is no such endpoint.")),
        watches.NoSuchSource: (HTTPStatus.NOT_FOUND, later("This list is not watched, or no more.")),
        watches.NoSuchSuggestion: (HTTPStatus.NOT_FOUND, later("There is no such suggestion.")),
        watches.AlreadyDecided: (
            HTTPStatus.CONFLICT,
            later("This suggestion has been taken or dismissed already. Look at its page again."),
        ),
        registry.NoDraft: (HTTPStatus.CONFLICT, later("There is no draft: import a list or add an entry first.")),
        registry.NothingChanged: (
            HTTPStatus.CONFLICT,
            later("The draft says the same as the published version: there is nothing to publish."),
        ),
        registry.DraftMoved: (
            HTTPStatus.CONFLICT,
            later("Somebody else has changed the draft in the meantime. Look at it again, then repeat your change."),
        ),
        registry.BadEntry: (
            HTTPStatus.CONFLICT,
            later("The registry does not take this as it stands now. Look at it again, then prepare a draft."),
        ),
        sends.NothingUnderWay: (
            HTTPStatus.CONFLICT,
            later("This announcement is a draft, or has been withdrawn: nothing of it is being sent."),
        ),
        going_live.AlreadyLive: (HTTPStatus.CONFLICT, later("This announcement has gone live already.")),
        announcements.NotADraft: (
            HTTPStatus.CONFLICT,
            later("This announcement has been published, or its draft thrown away: it is no draft any more."),
        ),
        announcements.NotPublished: (
            HTTPStatus.CONFLICT,
            later("This announcement is not under way: it is a draft, has gone live, or has been withdrawn."),
        ),
        going_live.NotPerClient: (
            HTTPStatus.CONFLICT,
            later("This change cannot be made for one client and not for another."),
        ),
        overrides.NotOverridable: (
            HTTPStatus.CONFLICT,
            later(
                "There is nothing to decide here: the announcement has been published, has gone live, or was withdrawn."
            ),
        ),
        outbox.NotRepeatable: (
            HTTPStatus.CONFLICT,
            later("Only a mail that was refused, or whose arrival is unknown, is sent again. Look at its page again."),
        ),
        users.LastAdministrator: (
            HTTPStatus.CONFLICT,
            later("This is the last administrator. Make somebody else an administrator first."),
        ),
        IllegalNoticeStep: (
            HTTPStatus.CONFLICT,
            later("This cannot be done to the notice as it stands now. Look at its page again."),
        ),
        provider.ProfileIncomplete: (
            HTTPStatus.CONFLICT,
            later(
                "The provider’s profile is incomplete. Nothing can be sent before an administrator has filled it in."
            ),
        ),
        PeriodBlank: (
            HTTPStatus.CONFLICT,
            later(
                "A contract pack leaves this period blank. Write it in the terms of each client under it: the list of "
                "clients says whose is missing."
            ),
        ),
        BadPack: (
            HTTPStatus.INTERNAL_SERVER_ERROR,
            later(
                "A contract pack that clients are under is missing, or says nothing of this kind of announcement. Mend "
                "it in the folder of contracts."
            ),
        ),
        CSRFError: (
            HTTPStatus.BAD_REQUEST,
            later("This form is too old. Go back, load the page again, and send the form once more."),
        ),
        **dict.fromkeys(
            (sa.exc.OperationalError, sa.exc.TimeoutError),  # the latter: every connection is in use
            (
                HTTPStatus.SERVICE_UNAVAILABLE,
                later("The database does not answer. Nothing has been changed; try again in a moment."),
            ),
        ),
    }
)

REFUSALS: Mapping[int, Any] = MappingProxyType(
    {
        HTTPStatus.FORBIDDEN: later("Your role does not allow this. Ask an administrator."),
        HTTPStatus.NOT_FOUND: later("There is no such page."),
        HTTPStatus.METHOD_NOT_ALLOWED: later("This address cannot be used like that."),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: later("This file is too large: 6 MB is the most that can be uploaded."),
        HTTPStatus.INTERNAL_SERVER_ERROR: later("Something went wrong on our side. It has been logged."),
    }
)


def create_app(runtime: Runtime) -> Flask:
    """Return the application over these working parts."""
    app = Flask("notifier.web", template_folder=None)
    app.logger.addFilter(logs.Redaction())  # Flask writes the path of whatever it could not serve
    app.extensions |= {"notifier": runtime, "notifier.throttle": auth.Throttle(), "notifier.asks": auth.Throttle()}
    _configure(app, runtime)
    _speak(app)
    _render(app, runtime)
    _guard(app, runtime)
    everybodys = (*public.ALL, public_subscriptions.pages, machines.pages, vitals.pages, api.pages, bounce_hook.pages)
    for blueprint in (auth.pages, *staff.ALL, portal.pages, *everybodys):
        app.register_blueprint(blueprint)
    if runtime.settings.mail.sender == "mailbox":
        app.register_blueprint(mailbox.pages)
    for kind in ERRORS:
        app.register_error_handler(kind, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    return app


def create_app_from_environment() -> Flask:
    """Return the application for a server that knows this name alone; NOTIFIER_DATA_DIR says where the data is."""
    data_dir = Path(os.environ.get("NOTIFIER_DATA_DIR", "var"))
    wanted = settings.load(data_dir)
    logs.configure(wanted.log_format)
    return create_app(wiring.build(wanted))


class Cookies(SecureCookieSessionInterface):
    """Sessions whose cookie is bound to this host and to HTTPS as soon as the pages are served over it."""

    def get_cookie_name(self, app: Flask) -> str:
        return "__Host-session" if self.get_cookie_secure(app) else "session"

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        return not request.path.startswith(UNGUARDED) and _is_secure()

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The portal asks for no cookie: whose link it is is who it is."""
        if request.path.startswith(portal.PATH):
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """What a cache may hand to others carries nobody's cookie, and is the same whatever cookie was sent."""
        if request.blueprint not in {pages.name for pages in (*public.ALL, api.pages, portal.pages)}:
            super().save_session(app, session, response)


def _is_secure() -> bool:
    said = current.runtime().settings.secure_cookies
    if said != "auto":
        return said == "yes"
    try:
        return current.profile().base_url.startswith("https:")
    except (sa.exc.OperationalError, sa.exc.TimeoutError):
        return True  # rather no cookie than one in clear; the page will say what is wrong


def _configure(app: Flask, runtime: Runtime) -> None:
    keyring = runtime.desk.keyring
    cookies, *old = [key.hex() for key in keyring.derive_all("cookies")]
    app.config.update(
        SECRET_KEY=cookies,
        SECRET_KEY_FALLBACKS=old,
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        PERMANENT_SESSION_LIFETIME=A_WORKING_DAY,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        WTF_CSRF_SSL_STRICT=False,  # we send no referrer, so there is none to check
        **auth.CONFIG,
    )
    app.session_interface = Cookies()
    hops = runtime.settings.proxies
    if hops:
        proxied = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)
        app.wsgi_app = proxied  # type: ignore[method-assign] # Flask's own idiom


def _speak(app: Flask) -> None:
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(Path(__file__).parent / "translations")
    Babel(app, locale_selector=current.language)

    @app.url_defaults
    def keep_language(endpoint: str, values: dict[str, Any]) -> None:
        """A language chosen in the address stays in every address of that page."""
        if has_request_context() and "lang" in request.args and not endpoint.endswith("static"):
            values.setdefault("lang", current.language())


def _render(app: Flask, runtime: Runtime) -> None:
    app.jinja_loader = FileSystemLoader(runtime.settings.search_path("templates"))
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.add_template_filter(_day, "day")
    app.add_template_filter(_instant, "instant")
    app.add_template_filter(_end_of_day, "end_of_day")
    app.add_template_filter(_country, "country")
    app.add_template_filter(_until, "until")
    app.add_template_filter(_rate, "rate")
    app.add_template_filter(words.word, "word")
    app.add_template_filter(words.steps_in_words, "steps_in_words")
    app.add_template_filter(period_in_words, "period_in_words")
    app.add_template_filter(_gist, "gist")
    app.add_template_filter(_because, "because")
    app.context_processor(_shared)


def _shared() -> dict[str, Any]:
    return {
        "language": current.language,
        "profile": current.profile,
        "in_other_language": _in_other_language,
        "colon": _colon,
        "is_mailbox": current.runtime().settings.mail.sender == "mailbox",
    }


def _colon() -> str:
    """Return a colon with its spaces, for what a template joins itself."""
    return "\u00a0: " if current.language() == "fr" else ": "


def _in_other_language() -> tuple[str, str]:
    """Return the other language, and the address of this very page in it, less what `url_for` would take for itself."""
    other = "fr" if current.language() == "en" else "en"
    rule = request.url_rule
    if rule is None or "GET" not in (rule.methods or ()):
        return other, f"{request.script_root}/?lang={other}"
    asked = {name: said for name, said in request.args.lists() if name != "endpoint" and not name.startswith("_")}
    return other, url_for(rule.endpoint, **{**asked, **(request.view_args or {}), "lang": other})


def _day(day: date, *, weekday: bool = True) -> Markup:
    """A date in full: "Monday 21 December 2026"."""
    say = dates.long_date if weekday else dates.plain_date
    return _time(day.isoformat(), say(day, current.language()))


def _instant(at: datetime, zone: str = "") -> Markup:
    """An instant as the clocks of the zone (the provider's unless given) show it, with the zone's name."""
    tz = zone or current.timezone()
    return _time(at.astimezone(ZoneInfo(tz)).isoformat(timespec="seconds"), dates.instant(at, tz, current.language()))


def _end_of_day(day: date, zone: str = "") -> Markup:
    """A last day: "Monday 21 December 2026 at 23:59 (Paris time)"."""
    return _time(day.isoformat(), dates.end_of_day(day, zone or current.timezone(), current.language()))


def _until(at: datetime) -> str:
    """How long it is until an instant: "90 minutes", "2 days"."""
    left: str = format_timedelta(max(at - current.now(), timedelta(minutes=1)), granularity="minute", threshold=2)
    return left


def _rate(number: float) -> str:
    """A number with as many figures as it is worth: "1,250", "0.5"."""
    written: str = format_decimal(round(number) if number >= TEN else round(number, 1) or 0.1)
    return written


def _time(machine: str, words: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(machine, words)


def _gist(announcement: Announcement) -> str:
    return words.gist(announcement, current.language())


def _because(reason: Reason) -> str:
    return letter_notes.because(reason, current.language(), of_the_client=True)


def _country(code: str) -> str:
    return country_name(code, current.language())


def _guard(app: Flask, runtime: Runtime) -> None:
    tracing.trace(app)
    Security(app, auth.Staff(runtime), register_blueprint=False)
    csrf = CSRFProtect(app)
    csrf.exempt(portal.pages)  # it has no session: its forms carry a token made from the link
    csrf.exempt(public_subscriptions.pages)  # neither has it one
    csrf.exempt(api.pages)  # as that
    csrf.exempt(bounce_hook.pages)  # who posts there signs, or brings a secret

    @app.before_request
    def refuse_strange_hosts() -> None:
        if request.path.startswith(UNGUARDED):
            return
        current.end_in_outage()  # the cookie's name asked for the profile
        if host_is_trusted(request.host, runtime.settings.trusted_hosts):
            return
        ours = urlsplit(current.profile().base_url).hostname
        if not ours or not host_is_trusted(request.host, [ours]):
            abort(HTTPStatus.BAD_REQUEST)

    app.after_request(_set_headers)


def policy() -> ContentSecurityPolicy:
    """Return the strictest policy our pages can live under: own style sheets and images, own forms, nothing else."""
    return (
        ContentSecurityPolicy()
        .default_src("'none'")
        .style_src("'self'")
        .img_src("'self'", "data:")
        .form_action("'self'")
        .frame_ancestors("'none'")
        .base_uri("'none'")
    )


@cache
def _securing(*, is_scripted: bool, hsts: bool) -> Sequence[tuple[str, str]]:
    csp = policy()
    if is_scripted:
        csp.script_src("'self'").connect_src("'self'")
    headers = Secure(
        csp=csp,
        xcto=XContentTypeOptions(),
        referrer=ReferrerPolicy().no_referrer(),
        coop=CrossOriginOpenerPolicy().same_origin(),
        hsts=StrictTransportSecurity().max_age(A_YEAR) if hsts else None,
    )
    return tuple(headers.header_items())


def _set_headers(response: Response) -> Response:
    """A header that a view has set stays."""
    for name, value in _securing(is_scripted=request.blueprint in staff.SCRIPTED, hsts=_says_hsts()):
        response.headers.setdefault(name, value)
    if request.path.startswith("/static/vendor/"):  # their paths carry their versions
        response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    if request.blueprint and not request.path.startswith(UNGUARDED):
        is_private = request.blueprint.startswith(("staff", "auth"))
        response.headers.setdefault("Cache-Control", "no-store" if is_private else "no-cache")
    return response


def _says_hsts() -> bool:
    return not request.path.startswith(UNGUARDED) and request.is_secure and _is_secure()


def _refuse(trouble: Exception) -> ResponseReturnValue:
    status, sentence = next(ERRORS[kind] for kind in type(trouble).__mro__ if kind in ERRORS)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("a page could not be served", page=request.endpoint, trouble=type(trouble).__name__)
    return _message(status, sentence)


def _refuse_http(trouble: HTTPException) -> ResponseReturnValue:
    code = trouble.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if code < HTTPStatus.BAD_REQUEST:
        return trouble.get_response()
    return _message(HTTPStatus(code), REFUSALS.get(code) or later("This request cannot be answered."))


def _message(status: HTTPStatus, sentence: Any) -> ResponseReturnValue:  # noqa: ANN401 - a lazy string
    if request.path.startswith((api.PATH, bounce_hook.PATH)):
        return api.problem(status, sentence)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return _outage(sentence), status
    return render_template("web/message.html", sentence=sentence), status


def _outage(sentence: Any) -> str:  # noqa: ANN401 - a lazy string
    """A page that asks nothing of the database: no profile, no user, no menu."""
    g.profile = Provider()
    current.prefer(request.accept_languages.best_match(current.LANGUAGES) or "")
    return current_app.jinja_env.get_template("web/outage.html").render(sentence=sentence, language=current.language())
