"""The clients: the list, its import from the CRM, and each client with its contract and its own terms."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as later
from flask_babel import ngettext

from notifier.adapters.lists import read_clients
from notifier.adapters.remarks import BadList
from notifier.rules import own_terms
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.own_terms import BadOwnTerms, Said
from notifier.services import clients
from notifier.services.clients import Contracts, Known, NoSuchClient, Trouble
from notifier.web.current import LANGUAGES, by, desk, language, needs, now, reading, runtime, transaction
from notifier.web.forms import Form, as_uuid, uploaded

TROUBLES: Mapping[Trouble, Any] = MappingProxyType(
    {
        Trouble.NO_PACK: later("no contract pack"),
        Trouble.UNUSABLE: later("own terms do not go with the contract pack"),
        Trouble.PERIOD_BLANK: later("a period is blank"),
        Trouble.NOBODY_TOLD: later("no contact in a role that is told"),
        Trouble.NO_ADDRESS: later("needs a postal address"),
    }
)
REMEDIES: Mapping[Trouble, Any] = MappingProxyType(
    {
        Trouble.NO_PACK: later(
            "Its contract pack is not in the folder of contracts. Put it back, or import the client with another one."
        ),
        Trouble.UNUSABLE: later("Its own terms do not go with its contract pack. Correct them below."),
        Trouble.PERIOD_BLANK: later(
            "Its contract pack leaves a period blank. Write it in the client’s own terms, or it cannot be told."
        ),
        Trouble.NOBODY_TOLD: later(
            "No contact is in a role that its contract tells of a change of subprocessor. Add one, or change the roles."
        ),
        Trouble.NO_ADDRESS: later("It is told by registered letter, and its postal address is missing. Add it."),
    }
)
ASPECTS: Mapping[str, Any] = MappingProxyType(
    {
        "listing": later("correction of the list"),
        "new": later("new service"),
        "modified": later("modified service"),
        "maintenance": later("maintenance"),
        "storage": later("storage"),
        "access": later("access from a place"),
        "within": later("within the territory of the contract"),
        "lost": later("lost"),
        "suspended": later("suspended"),
        "renewed": later("renewed"),
        "notice": later("told beforehand"),
        "consultation": later("consultation"),
    }
)
EMPTY: Mapping[str, Any] = MappingProxyType(
    {
        "none": later("The contract pack says nothing of this."),
        "blank": later("The contract pack leaves the period blank."),
        "unusable": later("The client’s own terms do not go with the contract pack."),
    }
)
# Fields that have a place of their own in the table of rules.
SHOWN = frozenset(
    {
        "mode", "period", "window", "window_holds", "counting", "calendar", "receipt", "cutoff", "addressees", "roles",
        "mandatory_roles", "silence", "clause",
    }
)  # fmt: skip

pages = Blueprint("staff_clients", __name__, url_prefix="/staff/clients")


@pages.get("")
@needs("read")
def listing() -> ResponseReturnValue:
    contracts, asked = Contracts(desk().packs), request.args
    sought = asked.get("sought", "").strip()
    with reading() as session:
        after, before = as_uuid(asked.get("after", "")), as_uuid(asked.get("before", ""))
        page = clients.page(session, sought=sought, after=after, before=before)
        return render_template(
            "web/staff/clients.html",
            page=page,
            listed=[(known, contracts.troubles(known)) for known in page.clients],
            number=clients.total(session, desk()).clients,
            sought=sought,
            troubles=TROUBLES,
        )


@pages.get("/<uuid:client_id>")
@needs("read")
def client(client_id: UUID) -> ResponseReturnValue:
    return _client_page(client_id)


@pages.post("/<uuid:client_id>/own-terms")
@needs("edit")
def set_own_terms(client_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    try:
        terms = own_terms.parse(form["own_terms"], roles=_roles())
        with transaction() as session:
            clients.set_own_terms(session, desk().packs, client_id, terms, by=by(), now=now())
    except BadOwnTerms as bad:
        form.refuse("own_terms", "".join(f"{problem.text(language())}. " for problem in bad.problems).strip())
        return _client_page(client_id, form), HTTPStatus.UNPROCESSABLE_ENTITY
    except NoSuchClient:
        abort(HTTPStatus.NOT_FOUND)
    flash(_("Saved. Notices that have been made keep the terms they were counted by."), "good")
    return redirect(url_for("staff_clients.client", client_id=client_id), code=HTTPStatus.SEE_OTHER)


@pages.get("/import")
@needs("edit")
def import_form() -> ResponseReturnValue:
    return _import_page(Form())


@pages.post("/import")
@needs("edit")
def import_list() -> ResponseReturnValue:
    """Check a file, or take it.  Checking shows what the import would do, and changes nothing."""
    form, file = Form.posted(), uploaded("file")
    if file is None:
        form.refuse("file", _("Choose a CSV file."))
        return _import_page(form), HTTPStatus.UNPROCESSABLE_ENTITY
    data, name = file
    packs = desk().packs
    try:
        rows = read_clients(data, filename=name, packs=packs, roles=_roles(), languages=LANGUAGES)
    except BadList as bad:
        form.refuse("file", _("The file was not taken. Correct what is listed below, then choose it again."))
        faults = [fault.text(language()) for fault in bad.problems]
        return _import_page(form, faults=faults), HTTPStatus.UNPROCESSABLE_ENTITY
    if form["act"] != "import":
        with reading() as session:
            outcome = clients.import_clients(session, rows, packs=packs, by=by(), now=now(), dry_run=True)
        return _import_page(form, outcome=outcome)
    with transaction() as session:
        outcome = clients.import_clients(session, rows, packs=packs, by=by(), now=now())
    created, changed = len(outcome.created), len(outcome.changed)
    flash(
        ngettext("%(num)d client added", "%(num)d clients added", created)
        + ", "
        + ngettext("%(num)d changed.", "%(num)d changed.", changed),
        "good",
    )
    return redirect(url_for("staff_clients.listing"), code=HTTPStatus.SEE_OTHER)


def _roles() -> list[str]:
    return clients.known_roles(desk().packs, runtime().settings.contact_roles)


def _import_page(form: Form, **shown: Any) -> str:  # noqa: ANN401 - what a template shows
    page = {"outcome": None, "faults": (), "packs": sorted(desk().packs), "roles": _roles(), **shown}
    return render_template("web/staff/clients_import.html", form=form, **page)


def _client_page(client_id: UUID, form: Form | None = None) -> str:
    packs = desk().packs
    with reading() as session:
        try:
            known = clients.get(session, client_id)
        except NoSuchClient:
            abort(HTTPStatus.NOT_FOUND)
        terms = known.current
        pack = packs.get(terms.pack) if terms else None
        said = own_terms.effective(pack, terms.overrides) if pack and terms else ()
        lines = own_terms.written(terms.overrides, between="\n") if terms else ""
        return render_template(
            "web/staff/clients_one.html",
            known=known,
            pack=pack,
            packs=packs,
            said=said,
            told_of=_told_of(known, said),
            written={one.id: own_terms.written(one.overrides, between="\n").splitlines() for one in known.terms},
            remedies=[REMEDIES[trouble] for trouble in Contracts(packs).troubles(known)],
            form=form or Form({"own_terms": lines}),
            aspects=ASPECTS,
            empty=EMPTY,
            shown=SHOWN,
            short_names=_short_names(said),
        )


def _told_of(known: Known, said: tuple[Said, ...]) -> dict[UUID, list[AnnouncementKind]]:
    """Return of which kinds of announcement each contact is told, by its role."""
    rules = {one.kind: one.rule for one in said if one.rule and not one.aspect}
    return {
        contact.id: [kind for kind, rule in rules.items() if contact.role in rule.roles] for contact in known.contacts
    }


def _short_names(said: tuple[Said, ...]) -> dict[str, list[str]]:
    """Return the short names in the table of rules, by the family of their words."""
    rules = [one.rule for one in said if one.rule]
    return {
        family: list(dict.fromkeys(getattr(rule, family).value for rule in rules))
        for family in ("counting", "receipt", "addressees")
    }
