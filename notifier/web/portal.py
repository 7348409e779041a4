"""The portal: what a client's contact sees, and says, through the link in its mail.

Opening a page keeps a fetch record and nothing else, since mail gateways open links too.  An answer takes a form that
this page handed out, sent from this page, with a typed name and a chosen statement; an objection, a termination and a
withdrawal take a second page, which restates what they do.  A form filled in faster than people do, or with the field
that people do not see, is recorded and put before a person, never refused.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.models import AnnouncementState, AnswerKind
from notifier.rules.periods import local_day, zone
from notifier.services import announcements, answers, letters
from notifier.services.answers import LONGEST_NAME, LONGEST_REASONS, Opened, Told
from notifier.web.current import desk, language, now, prefer, profile, reading, transaction
from notifier.web.form_tokens import FASTEST_PERSON, BadForm, FormTokens

ACKNOWLEDGEMENT = "acknowledgement"
ACT = "/notice/<token>/companies/<uuid:notice_id>/<any(objection, termination, withdrawal):act>"

pages = Blueprint("portal", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed into a form, kept so that nobody has to type it twice."""

    name: str = ""
    reasons: str = ""
    companies: tuple[UUID, ...] = ()
    chosen: bool = False
    trap: str = ""  # of the field that people do not see


class _NotTaken(Exception):
    """A form that cannot be taken; `problems` says of each field, in a sentence, what to do."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


# --- reading ---------------------------------------------------------------------------------------------------------


@pages.get("/notice/<token>")
def notice(token: str) -> ResponseReturnValue:
    with transaction() as session:
        agent = request.headers.get("User-Agent", "")
        answers.record_fetch(
            session, desk(), token, method=request.method, agent=agent, prefetch=_is_prefetch(), now=now()
        )
    return _notice_page(token, Typed())


@pages.get("/notice/<token>/receipts/<reference>")
def receipt(token: str, reference: str) -> ResponseReturnValue:
    with reading() as session:
        opened = answers.open_link(session, token, now=now())
        given = answers.by_reference(session, opened, reference)
        session.expunge_all()
    if not given:
        raise answers.NoSuchAnswer
    prefer(opened.delivery.language)
    return render_template("web/portal/receipt.html", token=token, opened=opened, given=given)


# --- answering -------------------------------------------------------------------------------------------------------


@pages.post("/notice/<token>/acknowledgement")
def acknowledgement(token: str) -> ResponseReturnValue:
    _open(token)
    typed = _typed()
    try:
        made_at = _taken(token, ACKNOWLEDGEMENT, typed)
    except _NotTaken as wrong:
        return _notice_page(token, typed, wrong.problems), HTTPStatus.UNPROCESSABLE_ENTITY
    with transaction() as session:
        reference = answers.acknowledge(
            session,
            desk(),
            token,
            typed.companies,
            name=typed.name,
            machine_like=_is_machine_like(typed, made_at),
            now=now(),
        )
    return _to_receipt(token, reference)


@pages.get(ACT)
def act_form(token: str, notice_id: UUID, act: str) -> ResponseReturnValue:
    return _act_page(token, notice_id, act, Typed())


@pages.post(f"{ACT}/review")
def act_review(token: str, notice_id: UUID, act: str) -> ResponseReturnValue:
    """Restate what was typed and what it does.  Nothing is kept: the page carries it on, with the first form's age."""
    told = _open(token).one(notice_id)
    typed = _typed()
    try:
        made_at = _taken(token, f"{act} {notice_id}", typed)
    except _NotTaken as wrong:
        return _act_page(token, notice_id, act, typed, wrong.problems), HTTPStatus.UNPROCESSABLE_ENTITY
    form_token = _form_tokens().make(token, f"{act} {notice_id} review", now=made_at)
    return render_template(
        "web/portal/review.html", token=token, told=told, act=act, typed=typed, form_token=form_token
    )


@pages.post(ACT)
def act_record(token: str, notice_id: UUID, act: str) -> ResponseReturnValue:
    _open(token).one(notice_id)
    typed = _typed()
    try:
        made_at = _taken(token, f"{act} {notice_id} review", typed)
    except _NotTaken as wrong:
        return _act_page(token, notice_id, act, typed, wrong.problems), HTTPStatus.UNPROCESSABLE_ENTITY
    with transaction() as session:
        machine_like = _is_machine_like(typed, made_at)
        reference = RECORD[act](session, token, notice_id, typed, machine_like)
    return _to_receipt(token, reference, doubted=machine_like)


def _object(session: Session, token: str, notice_id: UUID, typed: Typed, machine_like: bool) -> str:  # noqa: FBT001 - a row of RECORD
    return answers.object_to(
        session, desk(), token, notice_id, name=typed.name, reasons=typed.reasons, machine_like=machine_like, now=now()
    )


def _terminate(session: Session, token: str, notice_id: UUID, typed: Typed, machine_like: bool) -> str:  # noqa: FBT001 - as above
    return answers.terminate(
        session, desk(), token, notice_id, name=typed.name, reasons=typed.reasons, machine_like=machine_like, now=now()
    )


def _withdraw(session: Session, token: str, notice_id: UUID, typed: Typed, machine_like: bool) -> str:  # noqa: FBT001 - as above
    return answers.withdraw(session, desk(), token, notice_id, name=typed.name, machine_like=machine_like, now=now())


RECORD: Mapping[str, Callable[[Session, str, UUID, Typed, bool], str]] = MappingProxyType(
    {"objection": _object, "termination": _terminate, "withdrawal": _withdraw}
)


# --- links that open nothing -----------------------------------------------------------------------------------------


@pages.errorhandler(answers.LinkInvalid)
@pages.errorhandler(answers.NotYours)
@pages.errorhandler(answers.NoSuchAnswer)
def bad_link(_trouble: Exception) -> ResponseReturnValue:
    """One and the same page whatever is wrong, in both languages; it repeats nothing of the link."""
    return render_template("web/portal/bad_link.html"), HTTPStatus.NOT_FOUND


@pages.after_request
def _keep_private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


@pages.context_processor
def _languages() -> dict[str, object]:
    """What was typed stands in no address: a page that answers a form offers the notice in the other language."""
    return {"in_other_language": _notice_in_other_language} if request.method == "POST" else {}


def _notice_in_other_language() -> tuple[str, str]:
    other = "fr" if language() == "en" else "en"
    return other, url_for(".notice", token=request.view_args and request.view_args["token"], lang=other)


# --- the pages -------------------------------------------------------------------------------------------------------


def _open(token: str) -> Opened:
    """Return what a link opens, and speak the language of its mail.  Raises LinkInvalid."""
    with reading() as session:
        opened = answers.open_link(session, token, now=now())
        session.expunge_all()
    prefer(opened.delivery.language)
    return opened


def _notice_page(token: str, typed: Typed, problems: Mapping[str, str] = MappingProxyType({})) -> str:
    opened = _open(token)
    return render_template(
        "web/portal/notice.html",
        token=token,
        opened=opened,
        is_live=opened.announcement.state is AnnouncementState.LIVE,
        changes=[letters.describe(change, language()) for change in announcements.changes_of(opened.announcement)],
        labels=list(letters.LABELS[language()].values()),
        Kind=AnswerKind,
        unacknowledged=[told for told in opened.told if not told.standing(AnswerKind.ACKNOWLEDGEMENT)],
        days_left=_days_left,
        is_doubted=bool(request.args.get("doubted"))
        and any(told.standing(AnswerKind.OBJECTION) for told in opened.told),
        typed=typed,
        problems=problems,
        form_token=_form_tokens().make(token, ACKNOWLEDGEMENT, now=now()),
    )


def _act_page(
    token: str, notice_id: UUID, act: str, typed: Typed, problems: Mapping[str, str] = MappingProxyType({})
) -> str:
    opened = _open(token)
    return render_template(
        "web/portal/act.html",
        token=token,
        announcement=opened.announcement,
        told=opened.one(notice_id),
        act=act,
        days_left=_days_left,
        typed=typed,
        problems=problems,
        form_token=_form_tokens().make(token, f"{act} {notice_id}", now=now()),
    )


def _to_receipt(token: str, reference: str, *, doubted: bool = False) -> ResponseReturnValue:
    """Without a reference nothing was done: the notice's page says how things stand."""
    notice_page = url_for(".notice", token=token, doubted="yes" if doubted else None)
    there = url_for(".receipt", token=token, reference=reference) if reference else notice_page
    return redirect(there, code=HTTPStatus.SEE_OTHER)


def _days_left(told: Told) -> int:
    """Count local days of the contract's zone: 0 on the last day, negative after it."""
    return (told.notice.object_by - local_day(now(), zone(told.rule.timezone))).days


# --- the forms -------------------------------------------------------------------------------------------------------


def _typed() -> Typed:
    form = request.form
    return Typed(
        name=_clean(form.get("name", "")),
        reasons=_clean(form.get("reasons", "")),
        companies=tuple(dict.fromkeys(_company(text) for text in form.getlist("companies"))),
        chosen=form.get("choice") == "yes",
        trap=form.get("homepage", ""),
    )


def _clean(text: str) -> str:
    """Take out what no keyboard types and no database keeps; a new line is one character, as the browser counts it."""
    lines = text.replace("\r\n", "\n").strip()
    return "".join(character for character in lines if character in "\n\t" or unicodedata.category(character) != "Cc")


def _company(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise answers.NotYours from None


def _taken(token: str, purpose: str, typed: Typed) -> datetime:
    """Return the instant at which the form was handed out; raises _NotTaken for a form that cannot be taken."""
    problems = _problems(purpose, typed)
    try:
        made_at = _made_at(token, purpose)
    except BadForm:
        problems = {
            "form": _(
                "This page had been open for too long, or the form came from elsewhere. Please send it once more."
            )
        } | problems
        raise _NotTaken(problems) from None
    if problems:
        raise _NotTaken(problems)
    return made_at


def _made_at(token: str, purpose: str) -> datetime:
    """A page that sends no referrer has "null" for an origin: the form token is what binds the form to the page."""
    ours = {"null", request.host_url.rstrip("/"), "{0.scheme}://{0.netloc}".format(urlsplit(profile().base_url))}
    if (
        request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}
        or request.headers.get("Origin", "null") not in ours
    ):
        raise BadForm
    return _form_tokens().made_at(request.form.get("form_token", ""), token, purpose, now=now())


def _problems(purpose: str, typed: Typed) -> dict[str, str]:
    """Return field → sentence for everything that is missing, in the order of the page."""
    found = {
        "companies": (
            purpose == ACKNOWLEDGEMENT and not typed.companies,
            _("Tick each company for which you confirm receipt."),
        ),
        "reasons": (purpose.startswith("objection") and not typed.reasons, _("Write why you object.")),
        "reasons_length": (
            len(typed.reasons) > LONGEST_REASONS,
            _("Shorten your reasons to %(count)s characters.", count=LONGEST_REASONS),
        ),
        "name": (not any(character.isalpha() for character in typed.name), _("Type your full name.")),
        "name_length": (
            len(typed.name) > LONGEST_NAME,
            _("Shorten your name to %(count)s characters.", count=LONGEST_NAME),
        ),
        "choice": (not typed.chosen, _("Choose the statement above the button if it is what you mean.")),
    }
    return {field.removesuffix("_length"): sentence for field, (is_wrong, sentence) in found.items() if is_wrong}


def _is_machine_like(typed: Typed, made_at: datetime) -> bool:
    return bool(typed.trap) or now() - made_at < FASTEST_PERSON


def _is_prefetch() -> bool:
    return any("prefetch" in request.headers.get(name, "").lower() for name in ("Sec-Purpose", "Purpose", "X-Moz"))


def _form_tokens() -> FormTokens:
    return FormTokens(desk().keyring.derive_all("forms"))
