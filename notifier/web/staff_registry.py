"""The registry: the list in force on any day, its versions, one entry through them, and the draft up to what publishing
it would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.adapters.countries import country_name
from notifier.adapters.exports import FORMATS, BadExport, export
from notifier.models import AnnouncementKind, Version
from notifier.rules import registry_diff
from notifier.rules.entries import Entry, chain
from notifier.rules.kinds import KINDS
from notifier.rules.periods import local_day, zone
from notifier.rules.registry_diff import ACCESS, LISTED, LOWERED, STORAGE, Change, Need
from notifier.rules.terms import BadPack
from notifier.services import entry_words, letters, previews, registry, timeline
from notifier.services.affected import Subject
from notifier.services.previews import Preview
from notifier.services.timeline import Listed
from notifier.web.current import by, desk, language, needs, now, profile, reading, timezone, transaction
from notifier.web.forms import Form
from notifier.web.staff_completeness import of_registry
from notifier.web.staff_previews import forecast_of, under_terms

MOST_SHOWN = 200  # changes in full; of the others the names
DRAFT = "draft"  # how an address names it beside the numbers of versions
ASKED = ("on", "known_on", "service")

pages = Blueprint("staff_registry", __name__, url_prefix="/staff/registry")


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as a table shows it."""

    entry: Entry
    where: str
    engaged_by: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A change in words, with what it must be announced as; `matched`: one company under two names."""

    key: str
    words: Mapping[str, Any]
    needs: tuple[Any, ...]
    matched: bool


@pages.get("")
@needs("read")
def current() -> ResponseReturnValue:
    """The list in force; or as it stood on a day (`on`), as far as was known on another (`known_on`)."""
    form = Form({name: request.args.get(name, "") for name in ASKED})
    with reading() as session:
        listed = _listed(session, form)
        page = render_template(
            "web/staff/registry.html",
            form=form,
            asked=_query(form),
            listed=listed,
            rows=rows(timeline.of_service(listed.entries, form["service"]) if form["service"] else listed.entries),
            services=_services(listed, form),
            updated=timeline.last_updated(session, now()),
            versions=registry.versions(session),
            draft=registry.draft(session),
            changes=registry.draft_changes(session),
            formats=tuple(FORMATS),
            known=of_registry(session),
        )
    return page, HTTPStatus.UNPROCESSABLE_ENTITY if form.problems else HTTPStatus.OK


@pages.get("/export/<form>")
@needs("read")
def download(form: str) -> ResponseReturnValue:
    """The same list as a file; or that of a version (`version`, a number or "draft")."""
    if form not in FORMATS:
        abort(HTTPStatus.NOT_FOUND)
    asked = Form({name: request.args.get(name, "") for name in ASKED})
    wanted = request.args.get("version", "")
    with reading() as session:
        if wanted:
            entries, on = tuple(registry.entries(session, _version(session, wanted))), _today()
        else:
            listed = _listed(session, asked)
            entries, on = listed.entries, asked.day("on") or asked.day("known_on") or _today()
    if asked["service"]:
        entries = timeline.of_service(entries, asked["service"])
    title = _("Subprocessors of %(name)s", name=profile().legal_name)
    try:
        content = export(entries, form, language=language(), title=title, on=on, search_path=desk().templates)
    except BadExport:
        flash(_("A text of this list is too long for that format. Choose another one."), "question")
        return redirect(url_for(".current"), code=HTTPStatus.SEE_OTHER)
    response = Response(content, content_type=FORMATS[form].media_type)
    name = f"subprocessors-{f'version-{wanted}' if wanted else on.isoformat()}.{FORMATS[form].extension}"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@pages.get("/versions/<int:number>")
@needs("read")
def version(number: int) -> ResponseReturnValue:
    with reading() as session:
        found = registry.get(session, number)
        before = registry.before(session, found)
        entries = registry.entries(session, found)
        base = registry.entries(session, before)
        changes = registry_diff.diff(base, entries) if before else ()
        return render_template(
            "web/staff/version.html",
            version=found,
            before=before,
            rows=rows(entries),
            changes=_described(changes, _names([*base, *entries])),
            cosmetic=registry_diff.cosmetic(base, entries),
            formats=tuple(FORMATS),
        )


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


@pages.get("/comparison")
@needs("read")
def compare() -> ResponseReturnValue:
    """What changed in meaning from one version (`old`) to another (`new`), each a number or "draft"."""
    form = Form({name: request.args.get(name, "") for name in ("old", "new")})
    with reading() as session:
        found = None
        if form["old"] and form["new"]:
            before, after = (registry.entries(session, _version(session, form[name])) for name in ("old", "new"))
            found = {
                "changes": _described(registry_diff.diff(before, after), _names([*before, *after])),
                "cosmetic": registry_diff.cosmetic(before, after),
            }
        return render_template("web/staff/comparison.html", form=form, found=found, choices=_choices(session))


@pages.get("/entries/<path:key>")
@needs("read")
def entry(key: str) -> ResponseReturnValue:
    """One subprocessor: what is said of it, and what became of it, version by version."""
    with reading() as session:
        life = timeline.life_of(session, key)
        in_force = timeline.in_force(session, now())
        drafted = registry.entries(session, registry.draft(session) or registry.published(session))
        by_key = {one.key: one for one in (*drafted, *in_force)}
        last = by_key.get(key) or next((change.entry for _version, change in reversed(life)), None)
        if last is None:
            raise registry.NoSuchEntry(key)
        names = _names(by_key.values())
        return render_template(
            "web/staff/entry_life.html",
            entry=last,
            facts=entry_words.in_words(_named(last, names), language()),
            is_in_force=any(one.key == key for one in in_force),
            is_in_draft=any(one.key == key for one in drafted),
            above=chain(last, by_key),
            below=[one for one in by_key.values() if one.parent == key],
            life=[(made, _described([change], names)[0]) for made, change in reversed(life)],
        )


@pages.get("/draft")
@needs("read")
def draft() -> ResponseReturnValue:
    return draft_page(Form())


@pages.post("/draft/discard")
@needs("edit")
def discard() -> ResponseReturnValue:
    with transaction() as session:
        registry.discard_draft(session, by=by(), now=now())
    flash(_("The draft has been thrown away. The published versions are as they were."), "good")
    return redirect(url_for("staff_registry.current"), code=HTTPStatus.SEE_OTHER)


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
            forecast=forecast_of(session, found) if found else None,
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


def draft_page(form: Form) -> str:
    """The draft: what it would change, as what that must be announced, and its entries."""
    with reading() as session:
        found, published = registry.draft(session), registry.published(session)
        base = registry.entries(session, published)
        entries = registry.entries(session, found) if found else base
        changes = registry_diff.diff(base, entries)
        return render_template(
            "web/staff/draft.html",
            form=form,
            draft=found,
            published=published,
            rows=rows(entries),
            changes=changes,
            shown=shown(changes[:MOST_SHOWN], base, entries) if published else [],
            more=[change.name for change in changes[MOST_SHOWN:]],
            cosmetic=registry_diff.cosmetic(base, entries),
            formats=tuple(FORMATS),
        )


def rows(entries: Sequence[Entry]) -> list[Row]:
    """Return entries as a table shows them."""
    names = _names(entries)
    return [Row(one, _where(one), names.get(one.parent, one.parent)) for one in entries]


def shown(changes: Iterable[Change], base: Sequence[Entry], entries: Sequence[Entry]) -> list[Shown]:
    """Return changes in words with what they need; of a first list nobody needs to be told."""
    names = _names([*base, *entries])
    found = []
    for part in Subject.of_registry(AnnouncementKind.SUBPROCESSOR, changes, base).parts:
        change, needed = part.change, part.needs if base else ()
        is_matched = change.stays and change.before is not None and change.before.name != change.name
        words = _described([change], names)[0]
        found.append(Shown(change.key, words, tuple(_need_in_words(one, change) for one in needed), is_matched))
    return found


def find(listed: Iterable[Entry], key: str) -> Entry:
    for one in listed:
        if one.key == key:
            return one
    raise registry.NoSuchEntry(key)


def _listed(session: Session, form: Form) -> Listed:
    """Return the list that a form asks for; the one in force, where it asks for none that can be shown."""
    for name in ("on", "known_on"):
        if form[name].strip() and form.day(name) is None:
            form.refuse(name, _("Write a day that exists, such as 2027-01-15."))
    on, known_on = form.day("on"), form.day("known_on")
    if known_on and known_on > _today():
        form.refuse("known_on", _("This day has not come yet. Choose today or an earlier day."))
    if on and not form.problems:
        return timeline.as_of(session, on=on, now=now(), known_on=known_on)
    if known_on and not form.problems:
        return timeline.known(session, on=known_on, now=now())
    entries = timeline.in_force(session, now())
    return Listed(entries=entries, at=now(), version=registry.live(session, now()), expected=False)


def _version(session: Session, name: str) -> Version:
    if name == DRAFT:
        found = registry.draft(session)
        if found is None:
            raise registry.NoDraft
        return found
    number = Form({"number": name}).number("number")
    return registry.get(session, number if number is not None else registry.HIGHEST + 1)


def _choices(session: Session) -> list[tuple[str, str]]:
    """Return what can be compared, the newest first."""
    numbers = [str(one.number) for one in registry.versions(session)]
    drafted = [(DRAFT, _("the draft"))] if registry.draft(session) else []
    return [*drafted, *((one, _("Version %(number)s", number=one)) for one in numbers)]


def _described(changes: Iterable[Change], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return changes in words, whoever engages an entry by name."""
    return [letters.describe(_with_names(change, names), language()) for change in changes]


def _with_names(change: Change, names: Mapping[str, str]) -> Change:
    before, after = (one and _named(one, names) for one in (change.before, change.after))
    return replace(change, before=before, after=after)


def _named(entry: Entry, names: Mapping[str, str]) -> Entry:
    """Return an entry with the name of whoever engages it in the place of a key."""
    return replace(entry, parent=names.get(entry.parent, entry.parent))


def _names(entries: Iterable[Entry]) -> dict[str, str]:
    return {one.key: one.name for one in entries}


def _where(entry: Entry) -> str:
    """Where it processes data; where no place is said, where its seat is."""
    if entry.places:
        return entry_words.value_in_words("places", entry.places, language())
    town = f"{entry.postcode} {entry.town}".strip()
    return ", ".join(filter(None, [entry.address, town, country_name(entry.country, language())]))


def _need_in_words(need: Need, change: Change) -> Any:  # noqa: ANN401 - what gettext returns
    if need == LISTED:
        return _("Listed only: nobody’s period runs")
    if need == LOWERED:
        return _("Consent, under most contracts: lower level of security")
    place = country_name(need.country, language()) or _("a country not stated")
    if need.aspect == STORAGE:
        left = change.before.countries if change.before else ()
        before = ", ".join(country_name(one, language()) for one in left)
        moved = f"{before} → {place}" if before else place
        return _("Consent, under most contracts: place of processing, %(place)s", place=moved)
    if need.aspect == ACCESS:
        return _("Consent, under most contracts: access from %(place)s", place=place)
    return _("Told in time: clients may object")


def _query(form: Form) -> dict[str, str]:
    """Return what is asked for, for addresses that ask for the same."""
    return {} if form.problems else {name: form[name] for name in ASKED if form[name]}


def _services(listed: Listed, form: Form) -> list[tuple[str, str]]:
    """Return the services to choose from, if any entry names one."""
    named = {one for entry in listed.entries for one in entry.services} | set(filter(None, [form["service"]]))
    return [("", _("any")), *((one, one) for one in sorted(named))] if named else []


def _today() -> date:
    return local_day(now(), zone(timezone()))
