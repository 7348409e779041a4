"""The registry: what is in force, its versions, and the draft, entry by entry, up to what publishing it would do."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from notifier.adapters.lists import BadList, country_code, read_register
from notifier.rules.registry_diff import Entry
from notifier.services import announcements, letters, registry
from notifier.web.current import by, desk, language, needs, now, reading, transaction
from notifier.web.forms import Form, uploaded

FIELDS = ("name", "activity", "address", "postcode", "town", "country", "site_kind")
SITE_KINDS = ("production", "backup", "interconnection", "dark_fibre")

pages = Blueprint("staff_registry", __name__, url_prefix="/staff/registry")


@pages.get("")
@needs("read")
def current() -> ResponseReturnValue:
    with reading() as session:
        live = registry.live(session, now())
        return render_template(
            "web/staff/registry.html",
            live=live,
            entries=registry.entries(session, live),
            versions=registry.versions(session),
            draft=registry.draft(session),
            changes=registry.draft_changes(session),
        )


@pages.get("/versions/<int:number>")
@needs("read")
def version(number: int) -> ResponseReturnValue:
    with reading() as session:
        found = registry.get(session, number)
        before = registry.get(session, number - 1) if number > 1 else None
        changes = [letters.describe(change, language()) for change in registry.changes(session, before, found)]
        entries = registry.entries(session, found)
        return render_template("web/staff/version.html", version=found, entries=entries, changes=changes)


@pages.post("/versions")
@needs("publish")
def establish() -> ResponseReturnValue:
    """Publish the first list, of which nobody needs to be told."""
    form = Form.posted()
    try:
        with transaction() as session:
            first = registry.establish(session, by=by(), now=now(), revision=form.number("revision"))
    except registry.DraftMoved:
        return preview_moved(form)
    flash(_("The registry is in force. From now on, every change is announced."), "good")
    return redirect(url_for("staff_registry.version", number=first.number), code=HTTPStatus.SEE_OTHER)


@pages.get("/draft")
@needs("read")
def draft() -> ResponseReturnValue:
    return _draft_page(Form())


@pages.post("/draft")
@needs("edit")
def import_list() -> ResponseReturnValue:
    """Make an uploaded list the draft."""
    form, file = Form.posted(), uploaded("file")
    if file is None:
        form.refuse("file", _("Choose a CSV file."))
        return _draft_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    data, name = file
    try:
        found = read_register(data, filename=name)
    except BadList as bad:
        form.refuse("file", _("The file was not taken. Correct what is listed below, then choose it again."))
        return _draft_page(
            form, faults=[fault.text(language()) for fault in bad.problems]
        ), HTTPStatus.UNPROCESSABLE_ENTITY
    with transaction() as session:
        registry.replace_draft(session, found.entries, by=by(), now=now())
    count = len(found.entries)
    flash(ngettext("The draft now has %(num)d entry.", "The draft now has %(num)d entries.", count), "good")
    for question in found.questions:
        flash(question.text(language()), "question")
    return redirect(url_for("staff_registry.draft"), code=HTTPStatus.SEE_OTHER)


@pages.post("/draft/discard")
@needs("edit")
def discard() -> ResponseReturnValue:
    with transaction() as session:
        registry.discard_draft(session, by=by(), now=now())
    flash(_("The draft has been thrown away. The published versions are as they were."), "good")
    return redirect(url_for("staff_registry.current"), code=HTTPStatus.SEE_OTHER)


@pages.get("/draft/entries/new")
@needs("edit")
def new_entry() -> ResponseReturnValue:
    """An empty form; with `replaces`, for the one that takes the place of another."""
    return _entry_page(Form({"replaces": request.args.get("replaces", "")}), key="")


@pages.post("/draft/entries")
@needs("edit")
def add_entry() -> ResponseReturnValue:
    form = Form.posted()
    values = _checked(form)
    if form.problems:
        return _entry_page(form, key=""), HTTPStatus.UNPROCESSABLE_ENTITY
    entry = Entry(key="", replaces=form["replaces"], **values)
    try:
        with transaction() as session:
            registry.add_entry(session, entry, by=by(), now=now(), revision=form.number("revision"))
    except registry.DraftMoved:
        return _moved(form, key="")
    flash(_("%(name)s is in the draft.", name=entry.name), "good")
    return redirect(url_for("staff_registry.draft"), code=HTTPStatus.SEE_OTHER)


@pages.get("/draft/entries/<key>")
@needs("edit")
def entry(key: str) -> ResponseReturnValue:
    with reading() as session:
        found = _find(registry.entries(session, registry.draft(session) or registry.published(session)), key)
    return _entry_page(Form({name: getattr(found, name) for name in FIELDS}), key=key)


@pages.post("/draft/entries/<key>")
@needs("edit")
def amend_entry(key: str) -> ResponseReturnValue:
    form = Form.posted()
    values = _checked(form)
    if form.problems:
        return _entry_page(form, key=key), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        with transaction() as session:
            registry.amend_entry(session, key, values, by=by(), now=now(), revision=form.number("revision"))
    except registry.DraftMoved:
        return _moved(form, key=key)
    flash(_("%(name)s is changed in the draft.", name=values["name"]), "good")
    return redirect(url_for("staff_registry.draft"), code=HTTPStatus.SEE_OTHER)


@pages.post("/draft/entries/<key>/removal")
@needs("edit")
def remove_entry(key: str) -> ResponseReturnValue:
    with transaction() as session:
        registry.remove_entry(session, key, by=by(), now=now(), revision=Form.posted().number("revision"))
    flash(_("The entry is off the draft."), "good")
    return redirect(url_for("staff_registry.draft"), code=HTTPStatus.SEE_OTHER)


@pages.get("/draft/preview")
@needs("read")
def preview() -> ResponseReturnValue:
    return preview_page(Form())


def preview_page(form: Form, *, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    """What publishing the draft would do, with the form that publishes it."""
    with reading() as session:
        draft = registry.draft(session)
        if draft is None:
            raise registry.NoDraft
        if "revision" not in form:
            form = form.filled("revision", str(draft.revision))
        found = announcements.preview(session, desk(), now=now())
        if "effective_on" not in form and found.earliest_effective_on:
            form = form.filled("effective_on", found.earliest_effective_on.isoformat())
        packs = {one.owed.terms.pack: one for one in found.affected}
        page = render_template(
            "web/staff/preview.html",
            form=form,
            preview=found,
            base=registry.published(session),
            changes=[letters.describe(change, language()) for change in found.changes],
            packs=[(desk().packs[name], one) for name, one in sorted(packs.items())],
        )
    return page, status


def preview_moved(form: Form) -> ResponseReturnValue:
    """Somebody else was quicker: show what publishing would do now, with what was typed.  Publishing that is a
    decision.
    """
    sentence = _("Somebody else has changed the draft since you looked. This is what publishing it would do now.")
    form.refuse("", sentence)
    return preview_page(form.without("revision"), status=HTTPStatus.CONFLICT)


def _draft_page(form: Form, faults: list[str] | None = None) -> str:
    with reading() as session:
        found = registry.draft(session)
        return render_template(
            "web/staff/draft.html",
            form=form,
            faults=faults or [],
            draft=found,
            published=registry.published(session),
            entries=registry.entries(session, found or registry.published(session)),
            changes=[letters.describe(change, language()) for change in registry.draft_changes(session)],
        )


def _entry_page(form: Form, *, key: str) -> str:
    with reading() as session:
        found = registry.draft(session)
        listed = registry.entries(session, found or registry.published(session))
    replaced = _find(listed, form["replaces"]) if form["replaces"] else None
    if found and "revision" not in form:
        form = form.filled("revision", str(found.revision))
    return render_template("web/staff/entry.html", form=form, key=key, replaced=replaced, site_kinds=SITE_KINDS)


def _moved(form: Form, *, key: str) -> ResponseReturnValue:
    """Somebody else was quicker: show what was typed, on the draft as it is now.  Sending it again is a decision."""
    sentence = _("Somebody else has changed the draft since you opened this form. What you typed is still here.")
    form.refuse("", sentence)
    return _entry_page(form.without("revision"), key=key), HTTPStatus.CONFLICT


def _checked(form: Form) -> dict[str, str]:
    """Return the fields of an entry, with the country as its code."""
    values = form.picked(*FIELDS)
    if not values["name"]:
        form.refuse("name", _("Write the legal name."))
    if not values["activity"]:
        form.refuse("activity", _("Write what this subprocessor does."))
    code = country_code(values["country"]) if values["country"] else ""
    if code is None:
        form.refuse("country", _("Write the country’s name in English or French, or its two letters."))
    return {**values, "country": code or ""}


def _find(listed: list[Entry], key: str) -> Entry:
    for one in listed:
        if one.key == key:
            return one
    raise registry.NoSuchEntry(key)
