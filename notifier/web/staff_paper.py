"""Letters of paper and registered e-letters: printing them, handing them over, and recording what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from io import BytesIO
from types import MappingProxyType
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as later
from flask_babel import ngettext

from notifier.adapters.dates import zone_name
from notifier.models import PaperState, PrintBatch
from notifier.rules.terms import Channel
from notifier.services import announcements, paper
from notifier.services.paper import BadPaper, NotNow, NotPrintable, Proof, Return, Settled, Shown, Superseded
from notifier.web import words
from notifier.web.current import by, desk, language, needs, now, reading, transaction
from notifier.web.forms import Form, as_uuid, uploaded
from notifier.web.staff_decisions import name_of

pages = Blueprint("staff_paper", __name__, url_prefix="/staff/announcements/<uuid:announcement_id>/paper")

CONFLICTS: Mapping[type[Exception], Any] = MappingProxyType(
    {
        NotNow: later("This cannot be done to the letter as it stands now. Look at it again."),
        Superseded: later("Another letter has been written to this client since: record this of that one."),
        Settled: later(
            "The change has been made for this client, is not made for it, or was corrected: nothing moves any more."
        ),
        paper.NothingToPrint: later("No letter waits to be printed. One that was printed is printed again on request."),
    }
)
REFUSED: tuple[type[Exception], ...] = (BadPaper, NotPrintable, *CONFLICTS)


@pages.get("")
@needs("read")
def letters(announcement_id: UUID) -> ResponseReturnValue:
    return _page(announcement_id, Form())


@pages.post("/batches")
@needs("edit")
def print_batch(announcement_id: UUID) -> ResponseReturnValue:
    """Print the letters that wait into one file, or make one file for each e-letter."""
    form = Form.posted()
    try:
        with transaction() as session:
            if form["channel"] == Channel.E_LETTER:
                made = paper.make_e_letters(session, desk(), announcement_id, by=by(), now=now())
            else:
                made = [paper.print_batch(session, desk(), announcement_id, by=by(), now=now())]
    except REFUSED as trouble:
        return _page(announcement_id, form, status=_explain(form, trouble))
    return _printed(announcement_id, made)


@pages.post("/batches/<uuid:batch_id>/reprints")
@needs("edit")
def reprint(announcement_id: UUID, batch_id: UUID) -> ResponseReturnValue:
    """Print anew what has not been handed over of a batch."""
    form = Form()
    try:
        with transaction() as session:
            _of_this(announcement_id, paper.batch(session, batch_id).announcement_id)
            made = paper.reprint(session, desk(), batch_id, by=by(), now=now())
    except REFUSED as trouble:
        return _page(announcement_id, form, status=_explain(form, trouble))
    return _printed(announcement_id, [made])


@pages.get("/batches/<uuid:batch_id>")
@needs("read")
def batch(announcement_id: UUID, batch_id: UUID) -> ResponseReturnValue:
    with reading() as session:
        found = paper.batch(session, batch_id)
        reference = announcements.get(session, announcement_id).reference
    _of_this(announcement_id, found.announcement_id)
    name = f"{reference}-{found.made_at:%Y%m%d-%H%M%S}.pdf"
    return _download(found.pdf, "application/pdf", name)


@pages.post("/hand-overs")
@needs("edit")
def hand_over(announcement_id: UUID) -> ResponseReturnValue:
    """Record, for the letters that are ticked, the day and the tracking number of each."""
    form = Form.posted()
    with reading() as session:
        printed = [one for one in paper.letters_of(session, announcement_id) if one.letter.state is PaperState.PRINTED]
    typed = {one.letter.id: form[_tracking(one.letter.id)].strip() for one in printed}
    pasted = _pasted(form, printed)
    for letter_id, number in pasted.items():
        if typed[letter_id] not in {"", number}:
            form.refuse(_tracking(letter_id), _("The list that you pasted gives this letter another number."))
        typed[letter_id] = number
    chosen = {one for one in _chosen() if one in typed} | set(pasted)
    if not chosen:
        form.refuse("", _("Tick the letters that were handed over."))
    if form.problems:
        return _page(announcement_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    numbers = {letter_id: number for letter_id, number in typed.items() if letter_id in chosen}
    try:
        with transaction() as session:
            told = paper.hand_over(session, numbers, handed_over_on=form.day("handed_over_on"), by=by(), now=now())
    except REFUSED as trouble:
        return _page(announcement_id, form, status=_explain(form, trouble))
    flash(
        ngettext("%(num)d letter is on its way.", "%(num)d letters are on their way.", len(told)),
        "good",
    )
    return redirect(url_for(".letters", announcement_id=announcement_id), code=HTTPStatus.SEE_OTHER)


@pages.get("/letters/<uuid:letter_id>")
@needs("read")
def letter(announcement_id: UUID, letter_id: UUID) -> ResponseReturnValue:
    return _letter_page(announcement_id, letter_id, Form())


@pages.post("/letters/<uuid:letter_id>/hand-over")
@needs("edit")
def correct_hand_over(announcement_id: UUID, letter_id: UUID) -> ResponseReturnValue:
    """Mend a day or a number that was typed wrongly."""
    form = Form.posted()
    number = {letter_id: form[_tracking(letter_id)]}
    try:
        with transaction() as session:
            _of_this(announcement_id, paper.letter(session, letter_id)[0].notice.announcement_id)
            paper.hand_over(session, number, handed_over_on=form.day("handed_over_on"), by=by(), now=now())
    except REFUSED as trouble:
        return _letter_page(announcement_id, letter_id, form, status=_explain(form, trouble))
    return _done(announcement_id, letter_id, _("Recorded."))


@pages.post("/letters/<uuid:letter_id>/receipt")
@needs("edit")
def record_receipt(announcement_id: UUID, letter_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    try:
        with transaction() as session:
            _of_this(announcement_id, paper.letter(session, letter_id)[0].notice.announcement_id)
            paper.record_receipt(
                session,
                desk(),
                letter_id,
                received_on=form.day("received_on"),
                proof=_proof("proof"),
                by=by(),
                now=now(),
            )
    except REFUSED as trouble:
        return _letter_page(announcement_id, letter_id, form, status=_explain(form, trouble))
    return _done(announcement_id, letter_id, _("The receipt is recorded: the client’s period is counted from it."))


@pages.post("/letters/<uuid:letter_id>/e-letter")
@needs("edit")
def record_e_letter(announcement_id: UUID, letter_id: UUID) -> ResponseReturnValue:
    """Record how an e-letter ended: accepted at an instant, refused, or claimed by nobody."""
    form = Form.posted()
    outcome = form["outcome"]
    try:
        with transaction() as session:
            shown, rule = paper.letter(session, letter_id)
            _of_this(announcement_id, shown.notice.announcement_id)
            accepted_at = form.instant("accepted_at", rule.timezone)
            failed = Return(outcome) if outcome in {Return.REFUSED, Return.UNCLAIMED} else None
            paper.record_e_letter(
                session,
                desk(),
                letter_id,
                informed_on=form.day("informed_on"),
                outcome=failed or accepted_at,
                proof=_proof("proof"),
                by=by(),
                now=now(),
            )
    except REFUSED as trouble:
        return _letter_page(announcement_id, letter_id, form, status=_explain(form, trouble))
    return _done(announcement_id, letter_id, _("Recorded."))


@pages.post("/letters/<uuid:letter_id>/return")
@needs("edit")
def record_return(announcement_id: UUID, letter_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    why = form["why"] if form["why"] in set(Return) else Return.OTHER
    try:
        with transaction() as session:
            _of_this(announcement_id, paper.letter(session, letter_id)[0].notice.announcement_id)
            proof = _proof("return_proof")
            paper.record_return(session, desk(), letter_id, why=Return(why), proof=proof, by=by(), now=now())
    except REFUSED as trouble:
        status = _explain(form, trouble, fields={"proof": "return_proof"})
        return _letter_page(announcement_id, letter_id, form, status=status)
    return _done(announcement_id, letter_id, _("Recorded: this letter has told nobody."))


@pages.post("/letters/<uuid:letter_id>/again")
@needs("edit")
def write_again(announcement_id: UUID, letter_id: UUID) -> ResponseReturnValue:
    """Raise another letter to a client whose letter came back."""
    form = Form.posted()
    on_paper = form["channel"] == Channel.PAPER
    try:
        with transaction() as session:
            _of_this(announcement_id, paper.letter(session, letter_id)[0].notice.announcement_id)
            paper.write_again(session, letter_id, on_paper=on_paper, by=by(), now=now())
    except REFUSED as trouble:
        return _letter_page(announcement_id, letter_id, form, status=_explain(form, trouble))
    flash(_("Another letter waits to be printed."), "good")
    return redirect(url_for(".letters", announcement_id=announcement_id), code=HTTPStatus.SEE_OTHER)


@pages.get("/letters/<uuid:letter_id>/proof")
@needs("read")
def proof(announcement_id: UUID, letter_id: UUID) -> ResponseReturnValue:
    with reading() as session:
        shown, _rule = paper.letter(session, letter_id)
        kept = paper.proof(session, letter_id)
    _of_this(announcement_id, shown.notice.announcement_id)
    name = f"{shown.reference.replace('/', '-')}-{kept.name}"
    return _download(kept.content, kept.content_type, name)


def _download(content: bytes, content_type: str, name: str) -> Response:
    """Hand out a file to be saved, never to be shown: whoever uploaded it chose what is in it."""
    response = send_file(BytesIO(content), mimetype=content_type, as_attachment=True, download_name=name)
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(announcement_id: UUID, form: Form, *, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    with reading() as session:
        announcement = announcements.get(session, announcement_id)
        found = paper.letters_of(session, announcement_id)
        batches = paper.batches_of(session, announcement_id)
        page = render_template(
            "web/staff/paper.html",
            form=form,
            announcement=announcement,
            letters=found,
            waiting=[one for one in found if one.letter.state is PaperState.WAITING and not one.notice.excluded_at],
            printed=[one for one in found if one.letter.state is PaperState.PRINTED],
            batches=[(one, name_of(session, one.made_by), _reprintable(one, found)) for one in batches],
            left_out=_left_out(),
        )
    return page, status


def _letter_page(
    announcement_id: UUID, letter_id: UUID, form: Form, *, status: HTTPStatus = HTTPStatus.OK
) -> ResponseReturnValue:
    with reading() as session:
        shown, rule = paper.letter(session, letter_id)
        _of_this(announcement_id, shown.notice.announcement_id)
        row = shown.letter
        others = [
            one.letter.number
            for one in paper.letters_of(session, announcement_id)
            if (one.notice.id, one.letter.edition) == (shown.notice.id, row.edition)
        ]
        is_settled = bool(shown.notice.live_at or shown.notice.excluded_at)
        page = render_template(
            "web/staff/paper_letter.html",
            form=form,
            announcement=announcements.get(session, announcement_id),
            one=shown,
            rule=rule,
            clocks=zone_name(rule.timezone, language()),
            may_record=row.state in paper.CARRIED
            and row.number == max(others)
            and not (is_settled and row.received_on),
            may_write_again=row.state is PaperState.RETURNED
            and row.number == max(others)
            and row.edition == shown.notice.edition
            and not is_settled
            and shown.notice.state in paper.UNHEARD,
            returns=[
                (one.value, words.word(one, "paper_return"))
                for one in Return
                if row.channel is Channel.PAPER or one not in paper.BY_CONTRACT
            ],
        )
    return page, status


def _reprintable(batch: PrintBatch, found: Sequence[Shown]) -> bool:
    return any(one.letter.batch_id == batch.id and one.letter.state is PaperState.PRINTED for one in found)


def _printed(announcement_id: UUID, made: Sequence[PrintBatch]) -> ResponseReturnValue:
    number = sum(one.letters for one in made)
    flash(
        ngettext(
            "%(num)d letter is ready. Download it below.", "%(num)d letters are ready. Download them below.", number
        ),
        "good",
    )
    return redirect(url_for(".letters", announcement_id=announcement_id), code=HTTPStatus.SEE_OTHER)


def _explain(form: Form, trouble: Exception, *, fields: Mapping[str, str] = MappingProxyType({})) -> HTTPStatus:
    """Say in the form what was refused, and return the status of the page that shows it again."""
    if isinstance(trouble, BadPaper):
        for field, fault in trouble.faults.items():
            letter_id = as_uuid(field)
            name = _tracking(letter_id) if letter_id else fields.get(field, field)
            form.refuse(name, words.word(fault, "paper_fault"))
        return HTTPStatus.UNPROCESSABLE_ENTITY
    if isinstance(trouble, NotPrintable):
        form.refuse("", _unprintable(trouble))
        return HTTPStatus.UNPROCESSABLE_ENTITY
    form.refuse("", CONFLICTS[type(trouble)])
    return HTTPStatus.CONFLICT


def _unprintable(trouble: NotPrintable) -> str:
    if trouble.reference:
        sentence: str = _(
            "The letter %(reference)s cannot be printed: its address is empty, or too long for the window of the "
            "envelope. Mend it in the list of clients, and import that.",
            reference=trouble.reference,
        )
        return sentence
    template: str = _("The template of the letters cannot be used: %(why)s", why=str(trouble))
    return template


def _pasted(form: Form, printed: Sequence[Shown]) -> dict[UUID, str]:
    """Read lines of a client's key and a tracking number; each must name a printed letter."""
    by_key = {one.client.key.casefold(): one.letter.id for one in printed}
    numbers: dict[UUID, str] = {}
    for place, line in enumerate(form["pasted"].splitlines(), start=1):
        key, _sign, number = line.replace("\t", ";").partition(";")
        if not line.strip():
            continue
        if not number.strip():
            form.refuse("pasted", _("Line %(num)d: write the client’s key, a semicolon, and the number.", num=place))
        elif key.strip().casefold() not in by_key:
            sentence = _("Line %(num)d: no printed letter is for the client %(key)s.", num=place, key=key.strip())
            form.refuse("pasted", sentence)
        else:
            numbers[by_key[key.strip().casefold()]] = number.strip()
    return numbers


def _proof(name: str) -> Proof | None:
    file = uploaded(name)
    return Proof(name=file[1], content=file[0]) if file else None


def _tracking(letter_id: UUID) -> str:
    return f"tracking-{letter_id}"


def _chosen() -> list[UUID]:
    """Return the letters that were ticked."""
    ticked = [as_uuid(text) for text in request.form.getlist("letters")]
    return [letter_id for letter_id in ticked if letter_id]


def _left_out() -> set[str]:
    """Return the fields of the letters that a form which was sent left out of the hand-over."""
    if "handed_over_on" not in request.form:
        return set()
    return {name for name in request.form if name.startswith("tracking-") and as_uuid(name[9:]) not in set(_chosen())}


def _of_this(announcement_id: UUID, found: UUID) -> None:
    if found != announcement_id:
        raise paper.NoSuchLetter


def _done(announcement_id: UUID, letter_id: UUID, sentence: str) -> ResponseReturnValue:
    flash(sentence, "good")
    there = url_for(".letter", announcement_id=announcement_id, letter_id=letter_id)
    return redirect(there, code=HTTPStatus.SEE_OTHER)
