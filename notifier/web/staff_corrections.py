"""What can still be done to an announcement that clients have been told of: correct it, mend its wording, postpone it,
withdraw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.models import Announcement, AnnouncementState, Version
from notifier.rules.kinds import KINDS, OF_THE_REGISTRY
from notifier.rules.registry_diff import Change
from notifier.services import announcements, corrections, letters, registry, tallies
from notifier.services.announcements import NotPublished
from notifier.web import refusals
from notifier.web.current import by, desk, language, needs, now, reading, transaction
from notifier.web.forms import Form
from notifier.web.refusals import REFUSED
from notifier.web.staff_drafts import day_in, facts_in, typed

pages = Blueprint("staff_corrections", __name__, url_prefix="/staff/announcements/<uuid:announcement_id>")


@pages.get("/correction")
@needs("publish")
def correction_form(announcement_id: UUID) -> ResponseReturnValue:
    return _correction_page(announcement_id, None, in_substance=True)


@pages.post("/correction")
@needs("publish")
def correct(announcement_id: UUID) -> ResponseReturnValue:
    """Correct in substance: everybody is told anew, and every period begins again."""
    form = Form.posted()
    effective_on = day_in(form)
    if effective_on is None:
        return _correction_page(announcement_id, form, in_substance=True, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with transaction() as session:
            kind = announcements.get(session, announcement_id).kind
            corrections.correct(
                session,
                desk(),
                announcement_id,
                effective_on=effective_on,
                facts=facts_in(form, kind),
                reasons=form.both("reasons"),
                take_draft=(form.number("revision") or 0) if form["take_draft"] == "yes" else None,
                why=form["why"],
                by=by(),
                now=now(),
            )
    except (registry.DraftMoved, registry.NoDraft):
        return _draft_moved(announcement_id, form)
    except REFUSED as trouble:
        return _correction_page(announcement_id, form, in_substance=True, status=refusals.explain(form, trouble))
    return _done(announcement_id, _("Corrected. Every client is told anew, and every period begins again."))


@pages.get("/wording")
@needs("publish")
def wording_form(announcement_id: UUID) -> ResponseReturnValue:
    return _correction_page(announcement_id, None, in_substance=False)


@pages.post("/wording")
@needs("publish")
def respell(announcement_id: UUID) -> ResponseReturnValue:
    """Mend the wording: nobody is told anew, and it is kept that it was done."""
    form = Form.posted()
    try:
        with transaction() as session:
            kind = announcements.get(session, announcement_id).kind
            corrections.respell(
                session,
                announcement_id,
                facts=facts_in(form, kind),
                reasons=form.both("reasons"),
                why=form["why"],
                by=by(),
                now=now(),
            )
    except REFUSED as trouble:
        return _correction_page(announcement_id, form, in_substance=False, status=refusals.explain(form, trouble))
    return _done(announcement_id, _("Mended. Nobody is told anew; both editions are kept."))


@pages.get("/postponement")
@needs("publish")
def postponement_form(announcement_id: UUID) -> ResponseReturnValue:
    return _page("postponement", announcement_id, Form())


@pages.post("/postponement")
@needs("publish")
def postpone(announcement_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    effective_on = day_in(form)
    if effective_on is None:
        return _page("postponement", announcement_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    reasons = form.both("reasons")
    try:
        with transaction() as session:
            corrections.postpone(
                session, desk(), announcement_id, effective_on=effective_on, reasons=reasons, by=by(), now=now()
            )
    except REFUSED as trouble:
        return _page("postponement", announcement_id, form, status=refusals.explain(form, trouble))
    return _done(announcement_id, _("Postponed. Whoever was told is being told of the new day."))


@pages.get("/withdrawal")
@needs("publish")
def withdrawal_form(announcement_id: UUID) -> ResponseReturnValue:
    return _page("withdrawal", announcement_id, Form())


@pages.post("/withdrawal")
@needs("publish")
def withdraw(announcement_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    try:
        with transaction() as session:
            corrections.withdraw(session, desk(), announcement_id, reasons=form.both("reasons"), by=by(), now=now())
    except REFUSED as trouble:
        return _page("withdrawal", announcement_id, form, status=refusals.explain(form, trouble))
    return _done(announcement_id, _("Withdrawn. Whoever was told is being told that the change is not made."))


def _correction_page(
    announcement_id: UUID, form: Form | None, *, in_substance: bool, status: HTTPStatus = HTTPStatus.OK
) -> ResponseReturnValue:
    with reading() as session:
        announcement = _shown(session, announcement_id, status)
        draft = registry.draft(session)
        form = form or Form(typed(announcement))
        if draft and "revision" not in form:
            form = form.filled("revision", str(draft.revision))
        page = render_template(
            "web/staff/correction.html",
            form=form,
            announcement=announcement,
            in_substance=in_substance,
            fields=KINDS[announcement.kind].fields,
            of_the_registry=announcement.kind in OF_THE_REGISTRY,
            draft=draft,
            changes=[letters.describe(change, language()) for change in _meant(session, announcement, draft)],
        )
    return page, status


def _draft_moved(announcement_id: UUID, form: Form) -> ResponseReturnValue:
    """Somebody else was quicker: show what was typed, with the draft as it is now.  Taking that in is a decision."""
    sentence = _("Somebody else has changed the draft since you opened this form. What you typed is still here.")
    form.refuse("", sentence)
    return _correction_page(announcement_id, form.without("revision"), in_substance=True, status=HTTPStatus.CONFLICT)


def _meant(session: Session, announcement: Announcement, draft: Version | None) -> Sequence[Change]:
    """Return what the registry's draft would change of what was announced."""
    if draft is None or announcement.version_id is None:
        return ()
    return registry.changes(session, session.get_one(Version, announcement.version_id), draft)


def _page(name: str, announcement_id: UUID, form: Form, *, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    with reading() as session:
        announcement = _shown(session, announcement_id, status)
        told = tallies.tally(session, desk(), announcement_id).total
        page = render_template(f"web/staff/{name}.html", form=form, announcement=announcement, told=told)
    return page, status


def _shown(session: Session, announcement_id: UUID, status: HTTPStatus) -> Announcement:
    """Return the announcement of a form: nobody begins one for what is not under way, and what was typed is kept."""
    announcement = announcements.get(session, announcement_id)
    if status is HTTPStatus.OK and announcement.state is not AnnouncementState.PUBLISHED:
        raise NotPublished
    return announcement


def _done(announcement_id: UUID, sentence: str) -> ResponseReturnValue:
    flash(sentence, "good")
    there = url_for("staff_announcements.board", announcement_id=announcement_id)
    return redirect(there, code=HTTPStatus.SEE_OTHER)
