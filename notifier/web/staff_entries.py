"""The draft of the registry, entry by entry: every field of one, in the notation of a cell, several values on as many
lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as later

from notifier.rules.entries import FIELDS, CircularParents, Entry
from notifier.services import registry
from notifier.web import entry_forms
from notifier.web.current import by, needs, now, reading, transaction
from notifier.web.forms import Form
from notifier.web.staff_registry import draft_page, find


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are filled in together; one that is rarely filled is folded away while it says nothing."""

    legend: Any  # a lazy string
    names: tuple[str, ...]
    folded: bool = True


FIRST = ("name", "activities")  # what an entry cannot do without
GROUPS = (
    Group(
        later("Identity"),
        (
            *("trading_name", "legal_form", "registration_number", "address", "postcode", "town", "country", "website"),
            "contact",
        ),
        folded=False,
    ),
    Group(later("Where"), ("places", "outside_access", "outside_countries"), folded=False),
    Group(later("Role in the chain"), ("parent",)),
    Group(later("More of what it does"), ("hds_activities", "purposes", "data_categories", "persons", "access")),
    Group(later("Safeguards"), ("transfer", "assessment", "hds", "secnumcloud", "certificates")),
    Group(later("Third-country law"), ("third_country_law", "third_country_laws")),
    Group(later("Use"), ("services", "regions", "options", "engaged_since", "engaged_until")),
    Group(later("Level of security"), ("security", "security_note")),
)
pages = Blueprint("staff_entries", __name__, url_prefix="/staff/registry/draft/entries")


@pages.get("")
@needs("edit")
def new() -> ResponseReturnValue:
    """An empty form; with `replaces`, for the one that takes the place of another."""
    return _page(Form({"replaces": request.args.get("replaces", "")}), key="")


@pages.post("")
@needs("edit")
def add() -> ResponseReturnValue:
    form = Form.posted()
    values = _read(form)
    if form.problems:
        return _page(form, key=""), HTTPStatus.UNPROCESSABLE_ENTITY
    entry = Entry(key="", replaces=form["replaces"], **values)
    try:
        with transaction() as session:
            registry.add_entry(session, entry, by=by(), now=now(), revision=form.number("revision"))
    except registry.DraftMoved:
        return _moved(form, key="")
    except registry.BadEntry as bad:
        return _misplaced(form, bad, key="")
    flash(_("%(name)s is in the draft.", name=entry.name), "good")
    return _back()


@pages.get("/<path:key>")
@needs("edit")
def entry(key: str) -> ResponseReturnValue:
    with reading() as session:
        found = find(registry.entries(session, registry.draft(session) or registry.published(session)), key)
    return _page(entry_forms.filled(found), key=key)


@pages.post("/<path:key>")
@needs("edit")
def amend(key: str) -> ResponseReturnValue:
    form = Form.posted()
    values = _read(form)
    if form.problems:
        return _page(form, key=key), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        with transaction() as session:
            registry.amend_entry(session, key, values, by=by(), now=now(), revision=form.number("revision"))
    except registry.DraftMoved:
        return _moved(form, key=key)
    except registry.BadEntry as bad:
        return _misplaced(form, bad, key=key)
    flash(_("%(name)s is changed in the draft.", name=values["name"]), "good")
    return _back()


@pages.post("/<path:key>/removal")
@needs("edit")
def remove(key: str) -> ResponseReturnValue:
    form = Form.posted()
    try:
        with transaction() as session:
            registry.remove_entry(session, key, by=by(), now=now(), revision=form.number("revision"))
    except registry.BadEntry:
        form.refuse("", _engages(key))
        return draft_page(form), HTTPStatus.CONFLICT
    flash(_("The entry is off the draft."), "good")
    return _back()


@pages.post("/<path:key>/apart")
@needs("edit")
def set_apart(key: str) -> ResponseReturnValue:
    """Undo a match: the entry is no longer the published one under another name, but a new one."""
    with transaction() as session:
        registry.set_apart(session, key, by=by(), now=now(), revision=Form.posted().number("revision"))
    flash(_("The draft now has two companies: one that leaves, and one that arrives."), "good")
    return _back()


def _page(form: Form, *, key: str) -> str:
    with reading() as session:
        found = registry.draft(session)
        listed = registry.entries(session, found or registry.published(session))
    replaced = find(listed, form["replaces"]) if form["replaces"] else None
    if found and "revision" not in form:
        form = form.filled("revision", str(found.revision))
    return render_template(
        "web/staff/entry.html",
        form=form,
        key=key,
        replaced=replaced,
        first=FIRST,
        groups=[(group, _is_open(group, form)) for group in GROUPS],
        **entry_forms.shown(),
        others=[one for one in listed if one.key not in {key, form["replaces"]}],
    )


def _is_open(group: Group, form: Form) -> bool:
    """Whether a group is to be seen at once: it says something, or something is wrong with it."""
    return any(entry_forms.text(form, name).strip() or name in form.problems for name in group.names)


def _read(form: Form) -> dict[str, Any]:
    """Return the fields of an entry; what cannot be taken is refused beside its field."""
    values = entry_forms.read(form, FIELDS)
    if values.get("name") == "":
        form.refuse("name", _("Write the legal name."))
    if not values.get("activities") and not values.get("purposes"):
        form.refuse("activities", _("Write what this subprocessor does."))
    return values


def _moved(form: Form, *, key: str) -> ResponseReturnValue:
    """Somebody else was quicker: show what was typed, on the draft as it is now.  Sending it again is a decision."""
    sentence = _("Somebody else has changed the draft since you opened this form. What you typed is still here.")
    form.refuse("", sentence)
    return _page(form.without("revision"), key=key), HTTPStatus.CONFLICT


def _misplaced(form: Form, bad: registry.BadEntry, *, key: str) -> ResponseReturnValue:
    """The entry does not fit into the chain of who engages whom."""
    circle = bad.__cause__
    if isinstance(circle, CircularParents):
        with reading() as session:
            listed = registry.entries(session, registry.draft(session) or registry.published(session))
        names = {one.key: one.name for one in listed} | {key: form["name"].strip()}
        walked = " → ".join(names.get(one, one) for one in (*circle.keys, circle.keys[0]))
        form.refuse("parent", _("These would engage each other in a circle: %(names)s. Choose another.", names=walked))
    else:
        form.refuse("parent", _("Whoever engages it is not in the draft any more. Choose another."))
    return _page(form, key=key), HTTPStatus.UNPROCESSABLE_ENTITY


def _engages(key: str) -> Any:  # noqa: ANN401 - what gettext returns
    """Return why an entry cannot leave the draft yet."""
    with reading() as session:
        listed = registry.entries(session, registry.draft(session) or registry.published(session))
    return _(
        "%(name)s engages %(others)s. Say of them first that somebody else does, or remove them.",
        name=find(listed, key).name,
        others=", ".join(one.name for one in _engaged(listed, key)),
    )


def _engaged(listed: Sequence[Entry], key: str) -> list[Entry]:
    return [one for one in listed if one.parent == key]


def _back() -> ResponseReturnValue:
    return redirect(url_for("staff_registry.draft"), code=HTTPStatus.SEE_OTHER)
