"""The staff pages: overview, the provider's profile, contract packs, events; and the blueprints of every other noun."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as later

from notifier.models import EventKind
from notifier.services import announcements, clients, events, items, provider, registry, tallies
from notifier.web import (
    staff_announcements,
    staff_bounces,
    staff_clients,
    staff_completeness,
    staff_corrections,
    staff_decisions,
    staff_drafts,
    staff_entries,
    staff_host,
    staff_imports,
    staff_items,
    staff_notices,
    staff_own_lists,
    staff_paper,
    staff_registry,
    staff_sending,
    staff_users,
    staff_watches,
    staff_webhooks,
)
from notifier.web.current import by, desk, needs, now, profile, reading, transaction
from notifier.web.forms import Form, as_uuid

EVENTS_ON_A_PAGE = 100
NEWEST = 5

pages = Blueprint("staff", __name__, url_prefix="/staff")

ALL = (
    pages,
    staff_host.pages,
    staff_registry.pages,
    staff_entries.pages,
    staff_imports.pages,
    staff_completeness.pages,
    staff_announcements.pages,
    staff_drafts.pages,
    staff_corrections.pages,
    staff_decisions.pages,
    staff_notices.pages,
    staff_clients.pages,
    staff_own_lists.pages,
    staff_paper.pages,
    staff_items.pages,
    staff_bounces.pages,
    staff_sending.pages,
    staff_watches.pages,
    staff_webhooks.pages,
    staff_users.pages,
)
SCRIPTED = frozenset({staff_announcements.pages.name})  # the board updates itself

PROBLEMS: Mapping[str, Any] = MappingProxyType(
    {
        "sender_name": later("Write a name on one line, without control characters."),
        "sender_address": later("Write one address, such as notices@hosting.example."),
        "reply_to": later("Write one address, such as privacy@hosting.example."),
        "base_url": later("Write the address that clients reach, such as https://notices.hosting.example."),
        "timezone": later("Write the name of a time zone, such as Europe/Paris."),
        "languages": later("Choose the languages."),
    }
)


@pages.get("/")
@needs("read")
def overview() -> ResponseReturnValue:
    with reading() as session:
        newest = announcements.newest(session, limit=NEWEST)
        return render_template(
            "web/staff/overview.html",
            missing=profile().missing,
            open_items=staff_items.placed(session, items.open_items(session)),
            tallies=tallies.tallies(session, desk(), [one.id for one in newest]),
            newest=newest,
            published=registry.published(session),
            draft=registry.draft(session),
            clients=clients.total(session, desk()).clients,
        )


@pages.get("/provider")
@needs("read")
def provider_form() -> ResponseReturnValue:
    kept = {name: getattr(profile(), name) for name in provider.FIELDS}
    return render_template("web/staff/provider.html", form=Form(kept))


@pages.post("/provider")
@needs("administer")
def change_provider() -> ResponseReturnValue:
    form = Form.posted()
    try:
        with transaction() as session:
            provider.change(session, {name: form[name] for name in provider.FIELDS}, by=by(), now=now())
    except provider.BadProfile as bad:
        for name in bad.problems:
            form.refuse(name, PROBLEMS.get(name, bad.problems[name]))
        return render_template("web/staff/provider.html", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
    flash(_("Saved."), "good")
    return redirect(url_for("staff.provider_form"), code=HTTPStatus.SEE_OTHER)


@pages.get("/contracts")
@needs("read")
def contracts() -> ResponseReturnValue:
    with reading() as session:
        under = clients.total(session, desk()).under
    return render_template("web/staff/contracts.html", packs=desk().packs.values(), under=under)


@pages.get("/events")
@needs("read")
def event_list() -> ResponseReturnValue:
    about = as_uuid(request.args.get("about", ""))
    with reading() as session:
        found = events.history(session, about=about) if about else events.latest(session, limit=EVENTS_ON_A_PAGE)
        return render_template("web/staff/events.html", events=found, about=about, kinds=EventKind)
