"""The watch on our own subprocessors' lists: what is watched, what stood there, and the suggestions to be decided."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlmodel import Session

from notifier.models import Source, SuggestionState
from notifier.rules import registry_diff
from notifier.rules.entries import FIELDS
from notifier.services import letters, registry, watches
from notifier.services.watches import BadSource
from notifier.web.current import by, desk, language, needs, now, reading, transaction
from notifier.web.forms import Form

LONGEST_NAME = 200

pages = Blueprint("staff_watches", __name__, url_prefix="/staff/watches")


@pages.get("")
@needs("read")
def listing() -> ResponseReturnValue:
    return _listing_page(Form({"hours": "24"}))


@pages.post("")
@needs("edit")
def add() -> ResponseReturnValue:
    form = Form.posted()
    entry_key, address, hours = form["entry_key"], form["address"], form.number("hours") or 0
    try:
        with transaction() as session:
            watches.add(session, desk(), entry_key=entry_key, address=address, hours=hours, by=by(), now=now())
    except BadSource as bad:
        _refuse(form, bad)
        return _listing_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    flash(
        _("The list is watched. It is looked at within a minute, and kept as what later ones are compared with."),
        "good",
    )
    return redirect(url_for("staff_watches.listing"), code=HTTPStatus.SEE_OTHER)


@pages.get("/<uuid:source_id>")
@needs("read")
def source(source_id: UUID) -> ResponseReturnValue:
    with reading() as session:
        found = watches.get(session, source_id)
    mapping = "\n".join(f"{heading} = {name}" for heading, name in found.mapping.items())
    return _source_page(Form({"address": found.address, "hours": str(found.hours), "mapping": mapping}), source_id)


@pages.post("/<uuid:source_id>")
@needs("edit")
def change(source_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    mapping = _mapping(form)
    try:
        if not form.problems:
            address, hours = form["address"], form.number("hours") or 0
            with transaction() as session:
                watches.change(
                    session, desk(), source_id, address=address, hours=hours, mapping=mapping, by=by(), now=now()
                )
    except BadSource as bad:
        _refuse(form, bad)
    if form.problems:
        return _source_page(form, source_id), HTTPStatus.UNPROCESSABLE_ENTITY
    flash(_("Saved. The list is looked at within a minute."), "good")
    return _back(source_id)


@pages.post("/<uuid:source_id>/looks")
@needs("edit")
def look(source_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        watches.look_soon(session, source_id, now=now())
    flash(_("The list is looked at within a minute. Reload this page to see what was found."), "good")
    return _back(source_id)


@pages.post("/<uuid:source_id>/state")
@needs("edit")
def pause(source_id: UUID) -> ResponseReturnValue:
    paused = Form.posted()["paused"] == "yes"
    with transaction() as session:
        watches.pause(session, source_id, paused=paused, by=by(), now=now())
    flash(_("The watch is paused.") if paused else _("The list is watched again."), "good")
    return _back(source_id)


@pages.post("/<uuid:source_id>/removal")
@needs("edit")
def remove(source_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        watches.remove(session, source_id, by=by(), now=now())
    flash(_("The list is watched no more. What was seen there is kept."), "good")
    return redirect(url_for("staff_watches.listing"), code=HTTPStatus.SEE_OTHER)


@pages.get("/sightings/<uuid:sighting_id>")
@needs("read")
def sighting(sighting_id: UUID) -> ResponseReturnValue:
    """What stood there, byte for byte, to be kept and never to be shown: other people wrote it."""
    with reading() as session:
        found = watches.sighting(session, sighting_id)
    response = Response(found.content, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=f"{found.fetched_at:%Y-%m-%d}-{found.filename}")
    return response


@pages.get("/suggestions/<uuid:suggestion_id>")
@needs("read")
def suggestion(suggestion_id: UUID) -> ResponseReturnValue:
    return _suggestion_page(Form(), suggestion_id)


@pages.post("/suggestions/<uuid:suggestion_id>/taking")
@needs("edit")
def take(suggestion_id: UUID) -> ResponseReturnValue:
    with transaction() as session:
        taken = watches.take(session, suggestion_id, by=by(), now=now())
    made = len(taken.made)
    flash(ngettext("%(num)d change is in the draft.", "%(num)d changes are in the draft.", made), "good")
    if taken.noted:
        names = ", ".join(change.name[:LONGEST_NAME] for change in taken.noted)
        flash(_("Only noted, since it does not fit your list: %(names)s.", names=names), "question")
    return redirect(url_for("staff_registry.draft"), code=HTTPStatus.SEE_OTHER)


@pages.post("/suggestions/<uuid:suggestion_id>/dismissal")
@needs("edit")
def dismiss(suggestion_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    try:
        with transaction() as session:
            watches.dismiss(session, suggestion_id, why=form["why"], by=by(), now=now())
    except watches.WhyMissing:
        form.refuse("why", _("Write why: it is kept with the suggestion."))
        return _suggestion_page(form, suggestion_id), HTTPStatus.UNPROCESSABLE_ENTITY
    flash(_("The suggestion is dismissed."), "good")
    return redirect(url_for("staff_watches.listing"), code=HTTPStatus.SEE_OTHER)


def _listing_page(form: Form) -> str:
    with reading() as session:
        entries = _entries(session)
        open_ones = [(one, watches.get(session, one.source_id)) for one in watches.suggestions(session)]
        return render_template(
            "web/staff/watches.html",
            form=form,
            names=dict(entries),
            choices=entries,
            sources=watches.everyone(session),
            suggestions=open_ones,
            files=desk().watched_files is not None,
        )


def _source_page(form: Form, source_id: UUID) -> str:
    with reading() as session:
        found = watches.get(session, source_id)
        return render_template(
            "web/staff/watch.html",
            form=form,
            source=found,
            name=_name(session, found),
            sightings=watches.sightings(session, source_id),
            suggestions=watches.suggestions(session, source_id=source_id),
            fields=FIELDS,
        )


def _suggestion_page(form: Form, suggestion_id: UUID) -> str:
    with reading() as session:
        found = watches.suggestion(session, suggestion_id)
        source = watches.get(session, found.source_id)
        changes = [registry_diff.from_json(one) for one in found.changes]
        return render_template(
            "web/staff/suggestion.html",
            form=form,
            suggestion=found,
            source=source,
            name=_name(session, source),
            changes=[letters.describe(one, language()) for one in changes],
            is_open=found.state is SuggestionState.OPEN,
        )


def _entries(session: Session) -> list[tuple[str, str]]:
    """Return key and name of each entry, as our list is to be."""
    listed = registry.entries(session, registry.draft(session) or registry.published(session))
    return [(entry.key, entry.name) for entry in listed]


def _name(session: Session, source: Source) -> str:
    return dict(_entries(session)).get(source.entry_key, source.entry_key)


def _mapping(form: Form) -> dict[str, str]:
    """Return heading → field of lines such as "Entity = name"."""
    mapping = {}
    for line in form["mapping"].splitlines():
        heading, _equals, name = (part.strip() for part in line.rpartition("="))
        if line.strip() and not heading:
            form.refuse("mapping", _("Write one heading and its field on each line, such as: Entity = name"))
        elif heading:
            mapping[heading] = name
    return mapping


def _refuse(form: Form, bad: BadSource) -> None:
    sentences = {
        ("entry_key", "unknown"): _("Choose one of the entries."),
        ("hours", "range"): _("Write a number of hours from 1 to 744."),
        ("mapping", "unknown"): _("One of these fields does not exist. The fields are listed below the form."),
        ("address", "form"): _("Write an address that begins with https://, or the path of a file."),
        ("address", "twice"): _("This address is watched for this entry already."),
        ("address", "no_files"): _("Write an address that begins with https://. Files are not watched here."),
        ("address", "outside"): _("Write the file’s path within the folder, such as supplier/list.csv."),
    }
    flaw = desk().http.check_url(form["address"].strip(), language()) if bad.flaw == "url" else None
    form.refuse(bad.field, flaw or sentences.get((bad.field, bad.flaw), str(bad)))


def _back(source_id: UUID) -> ResponseReturnValue:
    return redirect(url_for("staff_watches.source", source_id=source_id), code=HTTPStatus.SEE_OTHER)
