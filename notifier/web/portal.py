"""The portal: what a client's contact sees, and says, through the link in its mail.

Opening a page keeps a fetch record and nothing else, since mail gateways open links too.  An answer takes a form that
this page handed out, sent from this page, with a typed name and a chosen statement; all but an acknowledgement take a
second page, which restates what they do.  A form filled in faster than people do, or with the field that people do not
see, is recorded and put before a person, never refused.  Where reading the notice is its receipt, a cover stands before
it until somebody presses its button; what looks like a machine's pressing shows the cover again.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as later
from sqlmodel import Session

from notifier.models import Announcement, AnnouncementState, AnswerKind, Override, OverrideKind
from notifier.rules.gate import Waits
from notifier.rules.periods import local_day, zone
from notifier.services import announcements, answers, forwarding, letter_notes, letter_words, letters, overrides
from notifier.services.answers import LONGEST_NAME, LONGEST_REASONS, Opened, Told
from notifier.web import portal_words
from notifier.web.current import desk, language, now, prefer, profile, reading, transaction
from notifier.web.form_tokens import FASTEST_PERSON, BadForm, FormTokens, HandedOut
from notifier.web.portal_editions import Since, since

ACKNOWLEDGEMENT, DISPLAY = "acknowledgement", "display"
# What each act is an answer of; a withdrawal, of the objection that it takes back.
ACTS = MappingProxyType(
    {
        "consent": AnswerKind.CONSENT,
        "refusal": AnswerKind.REFUSAL,
        "confirmation": AnswerKind.CONFIRMATION,
        "withdrawal": AnswerKind.OBJECTION,
        "objection": AnswerKind.OBJECTION,
        "termination": AnswerKind.TERMINATION,
    }
)
NEEDS_TIME = ("consent", "refusal")  # only before the change is made
PATH = "/notice/"
COMPANY = "/notice/<token>/companies/<uuid:notice_id>"
ACT = f"{COMPANY}/<any({', '.join(ACTS)}):act>"

STALE = later(
    "This page had been open for too long, the notice was corrected meanwhile, or the form came from elsewhere. "
    "Please look at it again and send it once more."
)

pages = Blueprint("portal", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed into a form, kept so that nobody has to type it twice."""

    name: str = ""
    reasons: str = ""
    companies: tuple[UUID, ...] = ()
    chosen: bool = False
    trap: str = ""  # of the field that people do not see


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is recorded of an act: what was typed, and the statement that was chosen, in the language of its page."""

    typed: Typed
    statement: str
    machine_like: bool
    edition: int  # of the announcement, which the form was for


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """How one company of a link is shown.  `starts_on`: before which nothing starts for it, where that is another day
    than its last day to answer.
    """

    told: Told
    over: str  # "withdrawn", "excluded": nothing is left to answer
    is_done: bool  # what was announced has been made for it, later than it was told
    until: Any  # the sentence of its last day, lazy, or None
    note: str  # in place of a last day
    why: str  # it concerns this company, where it does not concern everybody
    days_left: int
    starts_on: date | None
    acts: tuple[tuple[str, portal_words.Act], ...]


class _NotTaken(Exception):
    """A form that cannot be taken; `problems` says of each field, in a lazy sentence, what to do."""

    def __init__(self, problems: dict[str, Any]) -> None:
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
    opened = _opened(token)
    if _must_display(opened):
        return _cover_page(token, opened, made_at=now())
    return _notice_page(token, opened, Typed())


@pages.post("/notice/<token>/display")
def display(token: str) -> ResponseReturnValue:
    """Show the notice because somebody pressed for it, which is its receipt; a press faster than people read the cover
    shows it again, with the age of the first.
    """
    opened = _opened(token)
    try:
        made_at = _handed_out(token, DISPLAY, opened).made_at
    except BadForm:
        problems = {"form": STALE}
        return _cover_page(token, opened, made_at=now(), problems=problems), HTTPStatus.UNPROCESSABLE_ENTITY
    if _is_machine_like(_typed(), made_at):
        problems = {"form": _("That was quicker than people read. Please press the button once more.")}
        return _cover_page(token, opened, made_at=made_at, problems=problems), HTTPStatus.UNPROCESSABLE_ENTITY
    with transaction() as session:
        answers.display(session, desk(), token, now=now())
    return redirect(url_for(".notice", token=token), code=HTTPStatus.SEE_OTHER)


@pages.get("/notice/<token>/receipts/<reference>")
def receipt(token: str, reference: str) -> ResponseReturnValue:
    with reading() as session:
        opened = answers.open_link(session, token, now=now())
        given = answers.by_reference(session, opened, reference)
        session.expunge_all()
    if not given:
        raise answers.NoSuchAnswer
    prefer(opened.delivery.language)
    first = given[0]
    return render_template(
        "web/portal/receipt.html",
        token=token,
        opened=opened,
        given=given,
        title=letters.title(opened.announcement, language()),
        heading=portal_words.recorded(opened.announcement, first),
        answered=portal_words.answered(opened.announcement, first),
        has_lapsed=portal_words.has_lapsed(first, opened.one(first.notice_id)),
        is_doubted=portal_words.is_doubted(first),
    )


@pages.get(f"{COMPANY}/forwarding")
def forward(token: str, notice_id: UUID) -> ResponseReturnValue:
    """For a client that is itself a processor: the text for its own clients, in every language there is."""
    opened, told = _forwarded(token, notice_id)
    announcement = opened.announcement
    return render_template(
        "web/portal/forwarding.html",
        token=token,
        told=told,
        announcement=announcement,
        title=letters.title(announcement, language()),
        texts=[
            (one, forwarding.neutral_text(announcement, profile(), one))
            for one in forwarding.languages_of(announcement)
        ],
        last_day=told.rule.last_day_to_forward(announcement.effective_on),
        today=told.rule.day_of(now()),
        has_happened=letter_words.has_happened(announcement, profile()),
    )


@pages.get(f"{COMPANY}/forwarding.json")
def forward_as_json(token: str, notice_id: UUID) -> ResponseReturnValue:
    opened, _told = _forwarded(token, notice_id)
    said = json.dumps(forwarding.forwarding(opened.announcement, profile()), ensure_ascii=False, indent=2)
    response = Response(f"{said}\n", mimetype="application/json")
    response.headers.set("Content-Disposition", "attachment", filename=f"{opened.announcement.reference}.json")
    return response


def _forwarded(token: str, notice_id: UUID) -> tuple[Opened, Told]:
    opened = _open(token)
    told = opened.one(notice_id)
    if not told.client.reseller:
        raise answers.NotYours
    if _over(opened, told):
        raise answers.NothingLeft
    return opened, told


# --- answering -------------------------------------------------------------------------------------------------------


@pages.post("/notice/<token>/acknowledgement")
def acknowledgement(token: str) -> ResponseReturnValue:
    """The link is opened once, where the answer is recorded, and once more only to show the page again."""
    typed = _typed()
    try:
        return _to_receipt(token, _acknowledge(token, typed))
    except (_NotTaken, answers.Corrected):
        opened = _open(token)
    if opened.announcement.state is AnnouncementState.WITHDRAWN:
        raise answers.NothingLeft
    _form, problems = _read(token, ACKNOWLEDGEMENT, typed, opened)
    return _notice_page(token, opened, typed, problems), HTTPStatus.UNPROCESSABLE_ENTITY


def _acknowledge(token: str, typed: Typed) -> str:
    form = _taken(token, ACKNOWLEDGEMENT, typed)
    with transaction() as session:
        return answers.acknowledge(
            session,
            desk(),
            token,
            typed.companies,
            name=typed.name,
            machine_like=_is_machine_like(typed, form.made_at),
            edition=form.edition,
            now=now(),
        )


@pages.get(ACT)
def act_form(token: str, notice_id: UUID, act: str) -> ResponseReturnValue:
    opened, told = _asked(token, notice_id, act)
    return _act_page(token, opened, told, act, Typed())


@pages.post(f"{ACT}/review")
def act_review(token: str, notice_id: UUID, act: str) -> ResponseReturnValue:
    """Restate what was typed and what it does.  Nothing is kept: the page carries it on, with the first form's age."""
    opened, told = _asked(token, notice_id, act)
    typed = _typed()
    try:
        made_at = _taken(token, f"{act} {notice_id}", typed, opened).made_at
    except _NotTaken as wrong:
        return _act_page(token, opened, told, act, typed, wrong.problems), HTTPStatus.UNPROCESSABLE_ENTITY
    return render_template(
        "web/portal/review.html",
        token=token,
        told=told,
        act=act,
        words=portal_words.act(act, opened.announcement, told, language()),
        typed=typed,
        form_token=_form_token(token, opened, f"{act} {notice_id} review", made_at),
    )


@pages.post(ACT)
def act_record(token: str, notice_id: UUID, act: str) -> ResponseReturnValue:
    opened, told = _asked(token, notice_id, act)
    typed = _typed()
    try:
        made_at = _taken(token, f"{act} {notice_id} review", typed, opened).made_at
    except _NotTaken as wrong:
        return _act_page(token, opened, told, act, typed, wrong.problems), HTTPStatus.UNPROCESSABLE_ENTITY
    statement = portal_words.act(act, opened.announcement, told, language()).statement
    machine_like, edition = _is_machine_like(typed, made_at), opened.announcement.edition
    said = Said(typed=typed, statement=statement, machine_like=machine_like, edition=edition)
    with transaction() as session:
        reference = RECORD[act](session, token, notice_id, said)
    return _to_receipt(token, reference, doubted=said.machine_like)


def _asked(token: str, notice_id: UUID, act: str) -> tuple[Opened, Told]:
    """Return what a link opens, and one of its notices; raises for an act that this notice does not ask for."""
    opened = _open(token)
    told = opened.one(notice_id)
    if not told.offers(ACTS[act]):
        raise answers.NotAsked
    if act in NEEDS_TIME and not told.is_under_way:
        raise answers.TooLateToConsent
    if _over(opened, told) and act != "withdrawal":
        raise answers.NothingLeft
    return opened, told


def _object(session: Session, token: str, notice_id: UUID, said: Said) -> str:
    return answers.object_to(
        session, desk(), token, notice_id, name=said.typed.name, reasons=said.typed.reasons,
        machine_like=said.machine_like, edition=said.edition, now=now(),
    )  # fmt: skip


def _terminate(session: Session, token: str, notice_id: UUID, said: Said) -> str:
    return answers.terminate(
        session, desk(), token, notice_id, name=said.typed.name, reasons=said.typed.reasons,
        machine_like=said.machine_like, edition=said.edition, now=now(),
    )  # fmt: skip


def _withdraw(session: Session, token: str, notice_id: UUID, said: Said) -> str:
    return answers.withdraw(
        session, desk(), token, notice_id, name=said.typed.name, machine_like=said.machine_like, now=now()
    )


def _consent(session: Session, token: str, notice_id: UUID, said: Said) -> str:
    return answers.consent(
        session, desk(), token, notice_id, name=said.typed.name, statement=said.statement,
        machine_like=said.machine_like, edition=said.edition, now=now(),
    )  # fmt: skip


def _refuse(session: Session, token: str, notice_id: UUID, said: Said) -> str:
    return answers.refuse(
        session, desk(), token, notice_id, name=said.typed.name, reasons=said.typed.reasons, statement=said.statement,
        machine_like=said.machine_like, edition=said.edition, now=now(),
    )  # fmt: skip


def _confirm(session: Session, token: str, notice_id: UUID, said: Said) -> str:
    return answers.confirm(
        session, desk(), token, notice_id, name=said.typed.name, statement=said.statement,
        machine_like=said.machine_like, edition=said.edition, now=now(),
    )  # fmt: skip


RECORD: Mapping[str, Callable[[Session, str, UUID, Said], str]] = MappingProxyType(
    {
        "objection": _object,
        "termination": _terminate,
        "withdrawal": _withdraw,
        "consent": _consent,
        "refusal": _refuse,
        "confirmation": _confirm,
    }
)


# --- links that open nothing -----------------------------------------------------------------------------------------


@pages.errorhandler(answers.LinkInvalid)
@pages.errorhandler(answers.NotYours)
@pages.errorhandler(answers.NoSuchAnswer)
def bad_link(_trouble: Exception) -> ResponseReturnValue:
    """One and the same page whatever is wrong, in both languages; it repeats nothing of the link."""
    return render_template("web/portal/bad_link.html"), HTTPStatus.NOT_FOUND


@pages.errorhandler(answers.NotDisplayed)
def cover_first(_trouble: Exception) -> ResponseReturnValue:
    return redirect(url_for(".notice", token=_token_of_this_link()), code=HTTPStatus.SEE_OTHER)


@pages.errorhandler(answers.NotAsked)
def not_asked(_trouble: Exception) -> ResponseReturnValue:
    sentence = later("This notice does not ask for that answer. Go back to it, and choose one of those that it offers.")
    return _refusal_page(sentence), HTTPStatus.UNPROCESSABLE_ENTITY


@pages.errorhandler(answers.Corrected)
def corrected(_trouble: Exception) -> ResponseReturnValue:
    sentence = later(
        "The notice was corrected while this page was open. Nothing was recorded: read it again, then answer."
    )
    return _refusal_page(sentence), HTTPStatus.CONFLICT


@pages.errorhandler(answers.TooLateToConsent)
def too_late_to_consent(_trouble: Exception) -> ResponseReturnValue:
    sentence = later("The change has been made or withdrawn: there is nothing left to consent to or to refuse.")
    return _refusal_page(sentence), HTTPStatus.CONFLICT


@pages.errorhandler(answers.NothingLeft)
def nothing_left(_trouble: Exception) -> ResponseReturnValue:
    sentence = later("What was announced is not done, or not for this company: there is nothing left to answer.")
    return _refusal_page(sentence), HTTPStatus.CONFLICT


def _refusal_page(sentence: Any) -> str:  # noqa: ANN401 - a lazy string
    _opened(_token_of_this_link())  # to speak the language of its mail
    return render_template("web/portal/refused.html", sentence=sentence, token=_token_of_this_link())


def _token_of_this_link() -> str:
    return str((request.view_args or {})["token"])


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
    return other, url_for(".notice", lang=other, token=_token_of_this_link())


# --- the pages -------------------------------------------------------------------------------------------------------


def _opened(token: str) -> Opened:
    """Return what a link opens, and speak the language of its mail.  Raises LinkInvalid."""
    with reading() as session:
        opened = answers.open_link(session, token, now=now())
        session.expunge_all()
    prefer(opened.delivery.language)
    return opened


def _open(token: str) -> Opened:
    """The same for what stands behind the cover, where there is one."""
    opened = _opened(token)
    if _must_display(opened):
        raise answers.NotDisplayed
    return opened


def _must_display(opened: Opened) -> bool:
    return any(told.must_display for told in opened.told)


def _over(opened: Opened, told: Told) -> str:
    """Say why nothing is left for a company to answer, if so."""
    if opened.announcement.state is AnnouncementState.WITHDRAWN:
        return "withdrawn"
    return "excluded" if told.notice.excluded_at else ""


def _since(opened: Opened) -> Since:
    with reading() as session:
        editions = announcements.editions(session, opened.announcement.id)
        session.expunge_all()
    return since(opened, editions, language())


def _decided(announcement: Announcement, kind: OverrideKind) -> Override | None:
    """Return what two persons have decided about an announcement, if they have."""
    with reading() as session:
        override = overrides.confirmed(session, announcement.id, kind)
        session.expunge_all()
    return override


def _late(announcement: Announcement) -> Override | None:
    """Return the decision by which this was told late, if it was."""
    with reading() as session:
        override = overrides.lateness(session, announcement)
        session.expunge_all()
    return override


def _cover_page(
    token: str, opened: Opened, *, made_at: datetime, problems: Mapping[str, Any] = MappingProxyType({})
) -> str:
    waiting = [told for told in opened.told if told.must_display]
    return render_template(
        "web/portal/cover.html",
        token=token,
        opened=opened,
        clauses=list(dict.fromkeys(told.rule.clause for told in waiting)),
        problems=problems,
        form_token=_form_token(token, opened, DISPLAY, made_at),
    )


def _notice_page(token: str, opened: Opened, typed: Typed, problems: Mapping[str, Any] = MappingProxyType({})) -> str:
    announcement = opened.announcement
    past = letter_words.has_happened(announcement, profile())
    breached = [told for told in opened.told if told.notice.live_in_breach]
    return render_template(
        "web/portal/notice.html",
        token=token,
        opened=opened,
        words=portal_words,
        title=letters.title(announcement, language()),
        names=letter_words.names(announcement, language()),
        dated=letter_words.when(announcement, profile(), language()),
        day=letter_words.happens_on(announcement),
        heading=portal_words.heading(announcement, past=past),
        is_live=announcement.state is AnnouncementState.LIVE and portal_words.goes_live(announcement),
        is_withdrawn=announcement.state is AnnouncementState.WITHDRAWN,
        since=_since(opened),
        breached=breached,
        breach=_decided(announcement, OverrideKind.BREACH) if breached else None,
        lateness=_late(announcement),
        changes=[letters.describe(change, language()) for change in announcements.changes_of(announcement)],
        labels=list(letters.LABELS[language()].values()),
        facts=letters.facts_of(announcement, language()),
        Kind=AnswerKind,
        companies=[_company_shown(opened, told) for told in opened.told],
        unacknowledged=[
            told for told in opened.told if not told.is_over and not told.standing(AnswerKind.ACKNOWLEDGEMENT)
        ],
        lapsed=any(_lapsed_acknowledgement(told) for told in opened.told),
        is_doubted=bool(request.args.get("doubted"))
        and any(told.standing(AnswerKind.OBJECTION) for told in opened.told),
        typed=typed,
        problems=problems,
        form_token=_form_token(token, opened, ACKNOWLEDGEMENT, now()),
    )


def _company_shown(opened: Opened, told: Told) -> Company:
    announcement, over = opened.announcement, _over(opened, told)
    timed = letter_notes.has_last_day(announcement, told.rule)
    two_days = told.rule.window or told.waits is Waits.EITHER
    waits = not over and not told.notice.live_at and told.waits is not Waits.NOTHING
    return Company(
        told=told,
        over=over,
        is_done=told.notice.live_at is not None and portal_words.goes_live(announcement),
        until=portal_words.until(announcement, told) if timed else None,
        note="" if timed else letter_notes.note_without_last_day(told.rule, language()),
        why="" if over else letter_notes.why_in_a_sentence(announcement, told.client, language()),
        days_left=_days_left(told),
        starts_on=told.rule.day_of(told.notice.holds_until) if timed and two_days and waits else None,
        acts=tuple((act, portal_words.act(act, announcement, told, language())) for act in _offered(told, over)),
    )


def _lapsed_acknowledgement(told: Told) -> bool:
    kind = AnswerKind.ACKNOWLEDGEMENT
    lapsed = (answer.kind is kind and portal_words.has_lapsed(answer, told) for answer in told.answers)
    return not told.standing(kind) and any(lapsed)


def _offered(told: Told, over: str) -> list[str]:
    """Return the acts that this company may do now."""
    if over:
        return ["withdrawal"] if told.standing(AnswerKind.OBJECTION) else []
    return [
        act
        for act, kind in ACTS.items()
        if told.offers(kind)
        and (told.is_under_way or act not in NEEDS_TIME)
        and (told.standing(kind) is not None) == (act == "withdrawal")
    ]


def _act_page(
    token: str,
    opened: Opened,
    told: Told,
    act: str,
    typed: Typed,
    problems: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    announcement = opened.announcement
    return render_template(
        "web/portal/act.html",
        token=token,
        announcement=announcement,
        names=letter_words.names(announcement, language()),
        dated=letter_words.when(announcement, profile(), language()),
        since=_since(opened),
        company=_company_shown(opened, told),
        act=act,
        words=portal_words.act(act, announcement, told, language()),
        typed=typed,
        problems=problems,
        form_token=_form_token(token, opened, f"{act} {told.notice.id}", now()),
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


def _taken(token: str, form: str, typed: Typed, opened: Opened | None = None) -> HandedOut:
    """Return when a form was handed out, and for which edition; raises _NotTaken for one that cannot be taken."""
    handed_out, problems = _read(token, form, typed, opened)
    if handed_out is None or problems:
        raise _NotTaken(problems)
    return handed_out


def _read(token: str, form: str, typed: Typed, opened: Opened | None) -> tuple[HandedOut | None, dict[str, Any]]:
    """Return what a form says of itself, if it is one of ours, and what is wrong with it."""
    missing = _missing(form, typed)
    try:
        handed_out = _handed_out(token, form, opened)
    except BadForm:
        return None, {"form": STALE} | missing
    return handed_out, missing


def _form_token(token: str, opened: Opened, form: str, made_at: datetime) -> str:
    return _form_tokens().make(token, form, edition=opened.announcement.edition, now=made_at)


def _handed_out(token: str, form: str, opened: Opened | None) -> HandedOut:
    """A form is for one edition: nobody answers a text that was corrected while the page was open.

    A page that sends no referrer has "null" for an origin: the form token is what binds the form to the page.
    """
    origin = request.headers.get("Origin", "null")
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"} or not _is_ours(origin):
        raise BadForm
    handed_out = _form_tokens().read(request.form.get("form_token", ""), token, form, now=now())
    if opened and handed_out.edition != opened.announcement.edition:
        raise BadForm
    return handed_out


def _is_ours(origin: str) -> bool:
    if origin in {"null", request.host_url.rstrip("/")}:
        return True
    return origin == "{0.scheme}://{0.netloc}".format(urlsplit(profile().base_url))


def _missing(form: str, typed: Typed) -> dict[str, Any]:
    """Return field → lazy sentence for everything that is missing, in the order of the page."""
    found = {
        "companies": (
            form == ACKNOWLEDGEMENT and not typed.companies,
            later("Tick each company for which you confirm receipt."),
        ),
        "reasons": (form.startswith("objection") and not typed.reasons, later("Write it down, in your own words.")),
        "reasons_length": (
            len(typed.reasons) > LONGEST_REASONS,
            later("Shorten your reasons to %(count)s characters.", count=LONGEST_REASONS),
        ),
        "name": (not any(character.isalpha() for character in typed.name), later("Type your full name.")),
        "name_length": (
            len(typed.name) > LONGEST_NAME,
            later("Shorten your name to %(count)s characters.", count=LONGEST_NAME),
        ),
        "choice": (not typed.chosen, later("Choose the statement above the button if it is what you mean.")),
    }
    return {field.removesuffix("_length"): sentence for field, (is_wrong, sentence) in found.items() if is_wrong}


def _is_machine_like(typed: Typed, made_at: datetime) -> bool:
    return bool(typed.trap) or now() - made_at < FASTEST_PERSON


def _is_prefetch() -> bool:
    return any("prefetch" in request.headers.get(name, "").lower() for name in ("Sec-Purpose", "Purpose", "X-Moz"))


def _form_tokens() -> FormTokens:
    return FormTokens(desk().keyring.derive_all("forms"))
