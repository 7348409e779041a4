"""Announcements: publishing the registry's draft, the board of one announcement, and what its gate lets a person do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import pairwise
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlmodel import Session

from notifier.models import Announcement, AnnouncementState, Edition, OverrideKind
from notifier.services import (
    announcements,
    boards,
    going_live,
    holds,
    items,
    letters,
    overrides,
    pace,
    paper,
    registry,
    tallies,
)
from notifier.services.boards import STATUSES, Page, Row
from notifier.services.tallies import Tally
from notifier.web import refusals, staff_items
from notifier.web.current import by, desk, language, needs, now, reading, timezone, transaction
from notifier.web.forms import Form, as_uuid
from notifier.web.refusals import REFUSED
from notifier.web.staff_decisions import name_of
from notifier.web.staff_drafts import cause_in, day_in, facts_in
from notifier.web.staff_registry import kind_in, preview_moved, preview_page

STOP_POLLING = 286  # what htmx takes for "this is the last one"

pages = Blueprint("staff_announcements", __name__, url_prefix="/staff/announcements")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """For whom it may go live alone; and about a closed gate, beside waiting: whom to exclude, what must be settled."""

    ready: Sequence[Row]
    excludable: Sequence[Row]
    to_settle: Sequence[Row]


@pages.get("")
@needs("read")
def listing() -> ResponseReturnValue:
    with reading() as session:
        newest = announcements.newest(session)
        counted = tallies.tallies(session, desk(), [one.id for one in newest])
        return render_template("web/staff/announcements.html", newest=newest, tallies=counted)


@pages.post("")
@needs("publish")
def publish() -> ResponseReturnValue:
    """Publish the draft of the registry, as an ordinary change or as an emergency."""
    form = Form.posted()
    kind = kind_in(form)
    effective_on, cause = day_in(form), cause_in(form)
    if effective_on is None or form.problems:
        return preview_page(form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with transaction() as session:
            made = announcements.publish(
                session,
                desk(),
                effective_on=effective_on,
                reasons=form.both("reasons"),
                by=by(),
                now=now(),
                revision=form.number("revision"),
                kind=kind,
                facts=facts_in(form, kind),
                per_client=form["per_client"] == "yes",
                cause=cause,
            )
    except registry.DraftMoved:
        return preview_moved(form)
    except REFUSED as trouble:
        return preview_page(form, status=refusals.explain(form, trouble))
    flash(_("Published. The notices are in the outbox and are being sent."), "good")
    return _to_board(made.id)


@pages.get("/<uuid:announcement_id>")
@needs("read")
def board(announcement_id: UUID) -> ResponseReturnValue:
    return _board_page(announcement_id, Form())


@pages.get("/<uuid:announcement_id>/progress")
@needs("read")
def progress(announcement_id: UUID) -> ResponseReturnValue:
    """The part of the board that moves while mails are in flight."""
    with reading() as session:
        found = tallies.tally(session, desk(), announcements.get(session, announcement_id).id)
        fragment = render_template(
            "web/staff/_progress.html",
            tally=found,
            pace=_pace(session, announcement_id, found),
            announcement_id=announcement_id,
        )
    return fragment, HTTPStatus.OK if found.in_flight else STOP_POLLING


@pages.post("/<uuid:announcement_id>/live")
@needs("publish")
def go_live(announcement_id: UUID) -> ResponseReturnValue:
    """Record that the change has been made: for all, or for the clients that are ticked."""
    form = Form.posted()
    at = form.instant("at", timezone())
    if form["at"].strip() and at is None:
        form.refuse("at", _("Write a day and a time, such as 2027-01-15 14:30."))
        return _board_page(announcement_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    chosen = _chosen()
    try:
        with transaction() as session:
            made = going_live.go_live(
                session,
                announcement_id,
                by=by(),
                now=now(),
                at=at,
                proof=form["proof"],
                notice_ids=chosen or None,
            )
    except REFUSED as trouble:
        return _board_page(announcement_id, form, status=refusals.explain(form, trouble))
    if made.state is AnnouncementState.LIVE:
        flash(_("Recorded: it is live for every client that it is made for."), "good")
    else:
        flash(_("Recorded: it is live for these clients. It waits for the others."), "good")
    return _to_board(announcement_id)


@pages.post("/<uuid:announcement_id>/latecomers")
@needs("publish")
def tell_latecomers(announcement_id: UUID) -> ResponseReturnValue:
    """Tell the clients who came under contract after the announcement."""
    with transaction() as session:
        told = announcements.tell_latecomers(session, desk(), announcement_id, by=by(), now=now())
    flash(ngettext("%(num)d more client is told.", "%(num)d more clients are told.", told), "good")
    return _to_board(announcement_id)


def _chosen() -> list[UUID]:
    """Return the notices of the clients that were ticked."""
    ticked = [as_uuid(text) for text in request.form.getlist("clients")]
    return [notice_id for notice_id in ticked if notice_id]


def _board_page(announcement_id: UUID, form: Form, *, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    with reading() as session:
        announcement = announcements.get(session, announcement_id)
        if announcement.state is AnnouncementState.DRAFT:
            return redirect(url_for("staff_drafts.preview", announcement_id=announcement_id))
        at = now()
        whole = tallies.whole(session, desk(), announcement, now=at)
        gate, is_open_for = whole.gate(at), whole.open_now(at) if announcement.per_client else 0
        asked = request.args.get("status", "")
        only = asked if asked in STATUSES else ""
        shown = boards.page(
            session,
            announcement,
            whole.tally.counts,
            now=at,
            status=only,
            after=as_uuid(request.args.get("after", "")),
            before=as_uuid(request.args.get("before", "")),
        )
        has_begun = at >= announcement.effective_at
        is_due = announcement.state is AnnouncementState.PUBLISHED and has_begun
        page = render_template(
            "web/staff/board.html",
            form=form,
            announcement=announcement,
            announcement_id=announcement_id,
            tally=whole.tally,
            gate=gate,
            untold=whole.untold,
            shown=shown,
            only=only,
            held=holds.is_held(session),
            pace=_pace(session, announcement_id, whole.tally),
            is_open_for=is_open_for,
            choices=_choices(session, announcement, whole.tally, shown, now=at),
            chosen=_chosen(),
            may_go_live=is_due and (gate.is_open or is_open_for > 0),
            opens_at=max(gate.opens_at, announcement.effective_at) if gate.opens_at else None,
            waits_for_nobody=whole.waits_for_nobody,
            changes=_changes(announcement),
            facts=letters.facts_of(announcement, language()),
            editions=_editions(session, announcement_id),
            breach=overrides.confirmed(session, announcement_id, OverrideKind.BREACH),
            breach_asked=overrides.open_for(session, announcement_id, OverrideKind.BREACH),
            late=overrides.lateness(session, announcement),
            live_by=name_of(session, announcement.live_by),
            withdrawn_by=name_of(session, announcement.withdrawn_by),
            cause_on=Form(announcement.cause).day("received_on"),
            paper=paper.counts(session, announcement_id),
            open_items=staff_items.placed(session, items.open_items(session, announcement=announcement_id)),
        )
    return page, status


def _choices(session: Session, announcement: Announcement, tally: Tally, shown: Page, *, now: datetime) -> Choices:
    """Choose among the clients that the page shows; but what must be settled stands on every page."""
    waiting = [row for row in shown.rows if not row.is_settled] if announcement.per_client else []
    return Choices(
        ready=[row for row in waiting if now >= announcement.effective_at and row.gate.is_open],
        excludable=[row for row in waiting if not row.gate.is_open],
        to_settle=boards.to_settle(session, announcement, tally.counts, now=now),
    )


def _pace(session: Session, announcement_id: UUID, tally: Tally) -> pace.Progress:
    return pace.progress(session, announcement_id, now=now(), limits=desk().mail_limits, mails=tally.mails)


def _editions(session: Session, announcement_id: UUID) -> list[tuple[Edition, str, str]]:
    """Return each edition with what made it, and who."""
    found = announcements.editions(session, announcement_id)
    made = ["published"] + [_made(before, one) for before, one in pairwise(found)]
    return [(one, what, name_of(session, one.made_by)) for one, what in zip(found, made, strict=False)]


def _made(before: Edition, after: Edition) -> str:
    if after.in_substance:
        return "corrected"
    if after.number != before.number:
        return "widened"
    return "respelt" if after.effective_on == before.effective_on else "postponed"


def _changes(announcement: Announcement) -> list[dict[str, Any]]:
    return [letters.describe(change, language()) for change in announcements.changes_of(announcement)]


def _to_board(announcement_id: UUID) -> ResponseReturnValue:
    return redirect(url_for(".board", announcement_id=announcement_id), code=HTTPStatus.SEE_OTHER)
