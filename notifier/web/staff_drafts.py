"""Writing an announcement of something else than the registry: choosing its kind, the form, the preview, publishing."""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from notifier.adapters.cells import country_code
from notifier.models import Announcement, AnnouncementKind, AnnouncementState, OverrideKind
from notifier.rules.kinds import KINDS, LANGUAGES, OF_THE_REGISTRY, BadFacts, Shape, checked, keys_of
from notifier.rules.periods import local_day, zone
from notifier.services import announcements, letter_words, overrides, previews, registry
from notifier.web import refusals
from notifier.web.current import by, desk, language, needs, now, profile, reading, timezone, transaction
from notifier.web.forms import Form
from notifier.web.refusals import REFUSED
from notifier.web.staff_previews import forecast_of, under_terms

CAUSE = ("from", "reference", "received_on")

pages = Blueprint("staff_drafts", __name__, url_prefix="/staff/announcements")


@pages.get("/new")
@needs("edit")
def choose() -> ResponseReturnValue:
    """Every kind, with what it is for and what is asked of it."""
    with reading() as session:
        has_draft = registry.draft(session) is not None
    return render_template(
        "web/staff/announce.html", kinds=AnnouncementKind, of_the_registry=OF_THE_REGISTRY, has_draft=has_draft
    )


@pages.get("/new/<kind>")
@needs("edit")
def new(kind: str) -> ResponseReturnValue:
    return _form_page(_kind(kind), Form())


@pages.post("/new/<kind>")
@needs("edit")
def write(kind: str) -> ResponseReturnValue:
    known, form = _kind(kind), Form.posted()
    written = _written(known, form)
    if written is None:
        return _form_page(known, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with transaction() as session:
            made = announcements.draft(session, kind=known, **written, by=by(), now=now())
    except REFUSED as trouble:
        return _form_page(known, form, status=refusals.explain(form, trouble))
    flash(_("Saved as a draft. Nobody has been told."), "good")
    return _to_preview(made.id)


@pages.get("/<uuid:announcement_id>/draft")
@needs("edit")
def edit(announcement_id: UUID) -> ResponseReturnValue:
    with reading() as session:
        announcement = _draft(announcements.get(session, announcement_id))
    return _form_page(announcement.kind, Form(typed(announcement)), announcement)


@pages.post("/<uuid:announcement_id>/draft")
@needs("edit")
def revise(announcement_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    with reading() as session:
        announcement = _draft(announcements.get(session, announcement_id))
    written = _written(announcement.kind, form)
    if written is None:
        return _form_page(announcement.kind, form, announcement, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with transaction() as session:
            announcements.revise(session, announcement_id, **written, by=by(), now=now())
    except REFUSED as trouble:
        return _form_page(announcement.kind, form, announcement, status=refusals.explain(form, trouble))
    flash(_("Saved as a draft. Nobody has been told."), "good")
    return _to_preview(announcement_id)


@pages.post("/<uuid:announcement_id>/discard")
@needs("edit")
def discard(announcement_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        announcements.discard(session, announcement_id, by=by(), now=now())
    flash(_("The draft has been thrown away. Its reference is not given again."), "good")
    return redirect(url_for("staff_announcements.listing"), code=HTTPStatus.SEE_OTHER)


@pages.get("/<uuid:announcement_id>/preview")
@needs("read")
def preview(announcement_id: UUID) -> ResponseReturnValue:
    return _preview_page(announcement_id, Form())


@pages.post("/<uuid:announcement_id>/publication")
@needs("publish")
def publish(announcement_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    try:
        with transaction() as session:
            announcements.publish_draft(session, desk(), announcement_id, digest=form["digest"], by=by(), now=now())
    except REFUSED as trouble:
        return _preview_page(announcement_id, form, status=refusals.explain(form, trouble))
    flash(_("Published. The notices are in the outbox and are being sent."), "good")
    return redirect(url_for("staff_announcements.board", announcement_id=announcement_id), code=HTTPStatus.SEE_OTHER)


def typed(announcement: Announcement) -> dict[str, str]:
    """Return what an announcement says, as the fields of its form."""
    return {
        **announcement.facts,
        **{f"reasons_{one}": announcement.reasons.get(one, "") for one in LANGUAGES},
        **{f"cause_{name}": text for name, text in announcement.cause.items()},
        "aspect": announcement.aspect,
        "effective_on": announcement.effective_on.isoformat(),
        "per_client": "yes" if announcement.per_client else "",
    }


def facts_in(form: Form, kind: AnnouncementKind) -> dict[str, str]:
    """Return what was typed of a kind's fields, with each country as its code; one that is none stays as typed."""
    facts = {key: form[key] for field in KINDS[kind].fields for key in keys_of(field)}
    countries = {field.name for field in KINDS[kind].fields if field.shape is Shape.COUNTRY}
    return {key: (country_code(text) or text) if key in countries and text else text for key, text in facts.items()}


def cause_in(form: Form) -> dict[str, str]:
    """Return the notice to us that brought the change about, and refuse one that nobody gave or on no day."""
    cause = {name: form[f"cause_{name}"].strip() for name in CAUSE}
    if any(cause.values()) and not cause["from"]:
        form.refuse("cause_from", _("Write who told you, or leave the other two fields empty."))
    if cause["received_on"] and form.day("cause_received_on") is None:
        form.refuse("cause_received_on", _("Write a day that exists, such as 2027-01-15."))
    return cause


def day_in(form: Form) -> date | None:
    """Return the day on which the change takes effect, and refuse a form without it."""
    day = form.day("effective_on")
    if day is None:
        form.refuse("effective_on", _("Write the day on which the change takes effect, such as 2027-01-15."))
    return day


def _written(kind: AnnouncementKind, form: Form) -> dict[str, Any] | None:
    """Return what the form says in the words of the service; nothing where a field cannot be taken, with every such
    field refused at once.
    """
    aspect, facts = form["aspect"], facts_in(form, kind)
    try:
        checked(kind, aspect, facts)
    except BadFacts as bad:
        refusals.explain(form, bad)
    cause, effective_on = cause_in(form), day_in(form)
    refusals.refuse_blank(form, "reasons")
    if form.problems:
        return None
    return {
        "aspect": aspect,
        "facts": facts,
        "reasons": form.both("reasons"),
        "effective_on": effective_on,
        "per_client": form["per_client"] == "yes",
        "cause": cause,
    }


def _form_page(
    kind: AnnouncementKind, form: Form, announcement: Announcement | None = None, *, status: HTTPStatus = HTTPStatus.OK
) -> ResponseReturnValue:
    names = letter_words.NAMES[language()]
    aspects = [(one, names[letter_words.key_of(kind, one)].title) for one in KINDS[kind].aspects]
    page = render_template(
        "web/staff/announcing.html",
        form=form,
        kind=kind,
        fields=KINDS[kind].fields,
        aspects=aspects,
        at_once=KINDS[kind].at_once,
        announcement=announcement,
    )
    return page, status


def _preview_page(announcement_id: UUID, form: Form, *, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    with reading() as session:
        announcement = announcements.get(session, announcement_id)
        if announcement.state is not AnnouncementState.DRAFT:
            return redirect(url_for("staff_announcements.board", announcement_id=announcement_id))
        found = previews.preview(session, desk(), now=now(), announcement=announcement)
        terms = under_terms(found, announcement.kind, announcement.effective_on)
        latest = min((one.latest_sending_at for one in terms if one.latest_sending_at), default=None)
        held = announcement.facts.get("prohibited_until", "")
        page = render_template(
            "web/staff/draft_preview.html",
            form=form,
            announcement=announcement,
            digest=announcements.digest_of(announcement),
            facts=letter_words.facts_of(announcement, language()),
            preview=found,
            forecast=forecast_of(session, found),
            terms=terms,
            latest=latest,
            is_late=latest is not None and latest < now(),
            is_early=_is_early(announcement, found.earliest_effective_on),
            held_until=date.fromisoformat(held) if held and date.fromisoformat(held) >= _today() else None,
            late=overrides.confirmed(session, announcement_id, OverrideKind.LATE),
            asked=overrides.open_for(session, announcement_id, OverrideKind.LATE),
            missing=profile().missing,
        )
    return page, status


def _is_early(announcement: Announcement, earliest: date | None) -> bool:
    return earliest is not None and announcement.effective_on < earliest and not KINDS[announcement.kind].at_once


def _draft(announcement: Announcement) -> Announcement:
    if announcement.state is not AnnouncementState.DRAFT:
        raise announcements.NotADraft
    return announcement


def _today() -> date:
    return local_day(now(), zone(timezone()))


def _kind(name: str) -> AnnouncementKind:
    """Return the kind of this name that a person writes; a change of the registry is announced from its draft."""
    if name not in {one.value for one in AnnouncementKind} - {one.value for one in OF_THE_REGISTRY}:
        abort(HTTPStatus.NOT_FOUND)
    return AnnouncementKind(name)


def _to_preview(announcement_id: UUID) -> ResponseReturnValue:
    return redirect(url_for("staff_drafts.preview", announcement_id=announcement_id), code=HTTPStatus.SEE_OTHER)
