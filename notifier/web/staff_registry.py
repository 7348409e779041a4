"""The registry: what is in force, its versions, and the draft, entry by entry, up to what publishing it would do."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlmodel import Session

from notifier.adapters.lists import BadList, country_code, read_register
from notifier.models import AnnouncementKind
from notifier.rules.kinds import KINDS
from notifier.rules.periods import local_day, zone
from notifier.rules.registry_diff import Entry
from notifier.rules.terms import BadPack
from notifier.services import letters, previews, registry
from notifier.services.previews import Preview
from notifier.web.current import by, desk, language, needs, now, reading, timezone, transaction
from notifier.web.forms import Form, uploaded
from notifier.web.staff_previews import under_terms

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
        before = registry.before(session, found)
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
    """With `kind`, of an emergency instead of an ordinary change."""
    form = Form({"kind": request.args.get("kind", "")})
    if kind_in(form) is AnnouncementKind.EMERGENCY:  # it begins at once for whoever agrees, and waits for the others
        form = form.filled("per_client", "yes").filled("effective_on", local_day(now(), zone(timezone())).isoformat())
    return preview_page(form)


def kind_in(form: Form) -> AnnouncementKind:
    """Return as what the draft is to be announced: an emergency, or an ordinary change."""
    urgent = form["kind"] == AnnouncementKind.EMERGENCY.value
    return AnnouncementKind.EMERGENCY if urgent else AnnouncementKind.SUBPROCESSOR


def preview_page(form: Form, *, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    """What publishing the draft would do, with the form that publishes it."""
    with reading() as session:
        draft = registry.draft(session)
        if draft is None:
            raise registry.NoDraft
        if "revision" not in form:
            form = form.filled("revision", str(draft.revision))
        kind = kind_in(form)
        found = _previewed(session, kind, form)
        if found and "effective_on" not in form and found.earliest_effective_on:
            form = form.filled("effective_on", found.earliest_effective_on.isoformat())
        page = render_template(
            "web/staff/preview.html",
            form=form,
            preview=found,
            kind=kind,
            fields=KINDS[kind].fields,
            terms=under_terms(found, kind, None) if found else [],
            base=registry.published(session),
            changes=[letters.describe(change, language()) for change in registry.draft_changes(session)],
        )
    return page, status


def _previewed(session: Session, kind: AnnouncementKind, form: Form) -> Preview | None:
    """Return what publishing would do; nothing where a contract cannot be used and the form says so already."""
    try:
        return previews.preview(session, desk(), now=now(), kind=kind)
    except BadPack:
        if not form.problems:
            raise
        return None


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
