"""Announcements: publishing, the board of one, and each client's time-line with what a person may do there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlmodel import Session, col, select

from notifier.adapters import dates
from notifier.adapters.lists import is_address
from notifier.models import Announcement, AnnouncementState, Fetch, ItemKind, Sealed
from notifier.rules.delivery_states import DeliveryState
from notifier.services import announcements, answers, events, items, letters, notices, outbox, registry
from notifier.services.announcements import (
    EarlierNotLive,
    EffectiveInPast,
    EffectiveTooEarly,
    GateClosed,
    ReasonMissing,
)
from notifier.services.notices import Board
from notifier.web import staff_items
from notifier.web.current import by, desk, language, needs, now, reading, transaction
from notifier.web.forms import Form
from notifier.web.staff_registry import preview_moved, preview_page

STOP_POLLING = 286  # what htmx takes for "this is the last one"
NAMED = 5  # clients named in a sentence; the table names the rest

pages = Blueprint("staff_announcements", __name__, url_prefix="/staff/announcements")


@pages.get("")
@needs("read")
def listing() -> ResponseReturnValue:
    with reading() as session:
        boards = [(one, notices.board(session, one.id, now=now())) for one in announcements.newest(session)]
        return render_template("web/staff/announcements.html", boards=boards)


@pages.post("")
@needs("publish")
def publish() -> ResponseReturnValue:
    form = Form.posted()
    effective_on = form.day("effective_on")
    if effective_on is None:
        form.refuse("effective_on", _("Write the day on which the change takes effect, such as 2027-01-15."))
        return preview_page(form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    reasons = {"en": form["reasons_en"], "fr": form["reasons_fr"]}
    try:
        with transaction() as session:
            made = announcements.publish(
                session,
                desk(),
                effective_on=effective_on,
                reasons=reasons,
                by=by(),
                now=now(),
                revision=form.number("revision"),
            )
    except registry.DraftMoved:
        return preview_moved(form)
    except ReasonMissing:
        for tongue, text in reasons.items():
            if not text.strip():
                form.refuse(f"reasons_{tongue}", _("Say why the change is made: every letter gives its reason."))
        return preview_page(form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except EffectiveInPast:
        form.refuse("effective_on", _("This day has passed. Write today’s date or a later one."))
        return preview_page(form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except EffectiveTooEarly as early:
        form.refuse("effective_on", _too_early(early))
        return preview_page(form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    flash(_("Published. The notices are in the outbox and are being sent."), "good")
    return redirect(_board_url(made.id), code=HTTPStatus.SEE_OTHER)


@pages.get("/<uuid:announcement_id>")
@needs("read")
def board(announcement_id: UUID) -> ResponseReturnValue:
    return _board_page(announcement_id, Form())


@pages.get("/<uuid:announcement_id>/progress")
@needs("read")
def progress(announcement_id: UUID) -> ResponseReturnValue:
    """The part of the board that moves while mails are in flight."""
    with reading() as session:
        found = notices.board(session, announcements.get(session, announcement_id).id, now=now())
        fragment = render_template(
            "web/staff/_progress.html", board=found, trouble=_trouble(found), announcement_id=announcement_id
        )
    return fragment, HTTPStatus.OK if found.in_flight else STOP_POLLING


@pages.post("/<uuid:announcement_id>/live")
@needs("publish")
def go_live(announcement_id: UUID) -> ResponseReturnValue:
    form = Form.posted()
    try:
        with transaction() as session:
            announcements.go_live(session, announcement_id, by=by(), now=now(), breach_reason=form["breach_reason"])
    except GateClosed:
        form.refuse(
            "breach_reason",
            _("The gate is closed. Wait, settle what holds it, or write why: that is recorded as a breach."),
        )
        return _board_page(announcement_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except EarlierNotLive as earlier:
        form.refuse("", _("%(reference)s was announced earlier, and must go live first.", reference=earlier.reference))
        return _board_page(announcement_id, form, status=HTTPStatus.CONFLICT)
    flash(_("This announcement is live: the public list shows the new version."), "good")
    return redirect(_board_url(announcement_id), code=HTTPStatus.SEE_OTHER)


@pages.post("/<uuid:announcement_id>/latecomers")
@needs("publish")
def tell_latecomers(announcement_id: UUID) -> ResponseReturnValue:
    """Tell the clients who came under contract after the announcement."""
    with transaction() as session:
        told = announcements.tell_latecomers(session, desk(), announcement_id, by=by(), now=now())
    flash(ngettext("%(num)d more client is told.", "%(num)d more clients are told.", told), "good")
    return redirect(_board_url(announcement_id), code=HTTPStatus.SEE_OTHER)


@pages.get("/<uuid:announcement_id>/clients/<uuid:notice_id>")
@needs("read")
def client(announcement_id: UUID, notice_id: UUID) -> ResponseReturnValue:
    return _client_page(announcement_id, notice_id, Form())


@pages.post("/<uuid:announcement_id>/clients/<uuid:notice_id>/receipt")
@needs("edit")
def record_receipt(announcement_id: UUID, notice_id: UUID) -> ResponseReturnValue:
    """Record that the client was told by other means."""
    form = Form.posted()
    received_on, how = form.day("received_on"), form["how"].strip()
    if received_on is None:
        form.refuse("received_on", _("Write the day on which the client was told, such as 2026-12-21."))
    if not how:
        form.refuse("how", _("Write how the client was told, such as “registered letter” and its number."))
    if received_on is None or form.problems:
        return _client_page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with transaction() as session:
            notices.record_receipt(session, desk(), notice_id, received_on=received_on, how=how, by=by(), now=now())
    except notices.ReceiptInFuture:
        form.refuse("received_on", _("This day has not come yet. Write the day on which the client was told."))
        return _client_page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except notices.ReceiptTooEarly:
        sentence = _("This day lies before the announcement. Write the day on which the client was told of it.")
        form.refuse("received_on", sentence)
        return _client_page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _done(announcement_id, notice_id, _("The receipt is recorded: the client’s period runs."))


@pages.post("/<uuid:announcement_id>/clients/<uuid:notice_id>/answers/<uuid:answer_id>/settlement")
@needs("edit")
def settle(announcement_id: UUID, notice_id: UUID, answer_id: UUID) -> ResponseReturnValue:
    """Close an objection or a termination with a note on what settled it."""
    form = Form.posted()
    try:
        with transaction() as session:
            answers.settle(session, answer_id, note=form["note"], by=by(), now=now())
    except answers.NoteMissing:
        form.refuse(f"note-{answer_id}", _("Write what settled it: the note is kept with the answer."))
        return _client_page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _done(announcement_id, notice_id, _("Settled."))


@pages.post("/<uuid:announcement_id>/clients/<uuid:notice_id>/answers/<uuid:answer_id>/review")
@needs("edit")
def review(announcement_id: UUID, notice_id: UUID, answer_id: UUID) -> ResponseReturnValue:
    """Take note of an answer that looks like a machine's; the answer itself stands."""
    with transaction() as session:
        answers.review(session, answer_id, note=Form.posted()["note"], by=by(), now=now())
    return _done(announcement_id, notice_id, _("Noted."))


@pages.post("/<uuid:announcement_id>/clients/<uuid:notice_id>/deliveries/<uuid:delivery_id>/arrival")
@needs("edit")
def prove_arrival(announcement_id: UUID, notice_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """Count an unknown delivery as arrived, on evidence that a person gives."""
    form = Form.posted()
    evidence = form["evidence"].strip()
    if not evidence:
        form.refuse(
            f"evidence-{delivery_id}", _("Write what shows that the mail arrived, such as a line of the relay’s log.")
        )
        return _client_page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    with transaction() as session:
        outbox.prove_arrival(session, desk(), delivery_id, by=by(), evidence=evidence, now=now())
    return _done(announcement_id, notice_id, _("The mail counts as arrived."))


@pages.post("/<uuid:announcement_id>/clients/<uuid:notice_id>/deliveries/<uuid:delivery_id>/repeats")
@needs("edit")
def repeat(announcement_id: UUID, notice_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """Send a mail again, visibly, to the same address or to another one."""
    form = Form.posted()
    address = form["address"].strip()
    if not is_address(address):
        form.refuse(f"address-{delivery_id}", _("Write one e-mail address, such as dpo@company.example."))
        return _client_page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    with transaction() as session:
        outbox.repeat(session, desk(), delivery_id, address=address, notice_id=notice_id, by=by(), now=now())
    return _done(announcement_id, notice_id, _("A new mail, marked as a repeat, is in the outbox."))


def _board_page(announcement_id: UUID, form: Form, *, status: HTTPStatus = HTTPStatus.OK) -> ResponseReturnValue:
    with reading() as session:
        announcement = announcements.get(session, announcement_id)
        found = notices.board(session, announcement_id, now=now())
        page = render_template(
            "web/staff/board.html",
            form=form,
            announcement=announcement,
            announcement_id=announcement_id,
            board=found,
            trouble=_trouble(found),
            is_live=announcement.state is AnnouncementState.LIVE,
            may_go_live=found.gate.is_open and now() >= announcement.effective_at,
            changes=_changes(announcement),
            open_items=staff_items.placed(session, items.open_items(session, announcement=announcement_id)),
        )
    return page, status


def _client_page(
    announcement_id: UUID, notice_id: UUID, form: Form, *, status: HTTPStatus = HTTPStatus.OK
) -> ResponseReturnValue:
    with reading() as session:
        announcement = announcements.get(session, announcement_id)
        row = notices.row(session, notice_id, now=now())
        if row.notice.announcement_id != announcement.id:
            raise notices.NoSuchNotice
        told = [row.notice.id, *(delivery.id for delivery in row.deliveries)]
        happened = [event for about in told for event in events.history(session, about=about)]
        page = render_template(
            "web/staff/client.html",
            form=form,
            announcement=announcement,
            row=row,
            sealed=session.get_one(Sealed, row.notice.sealed_id),
            deliveries=[(one, outbox.attempts(session, one.id), _fetches(session, one.id)) for one in row.deliveries],
            happened=sorted(happened, key=lambda event: event.id or 0),
            to_review=_to_review(session, announcement_id),
        )
    return page, status


def _to_review(session: Session, announcement_id: UUID) -> set[UUID]:
    """Return the answers that look like a machine's and that nobody has looked at."""
    found = items.open_items(session, announcement=announcement_id)
    return {item.about_id for item in found if item.kind is ItemKind.MACHINE_LIKE_ANSWER}


def _fetches(session: Session, delivery_id: UUID) -> Sequence[Fetch]:
    return session.exec(select(Fetch).where(Fetch.delivery_id == delivery_id).order_by(col(Fetch.at))).all()


def _changes(announcement: Announcement) -> list[dict[str, Any]]:
    return [letters.describe(change, language()) for change in announcements.changes_of(announcement)]


def _trouble(board: Board) -> list[tuple[str, int]]:
    """Return what mail servers last said to the mails that wait for another attempt, and to how many."""
    mails = {delivery.id: delivery for row in board.rows for delivery in row.deliveries}
    said = Counter(one.last_reply for one in mails.values() if one.state is DeliveryState.WAITING and one.last_reply)
    return said.most_common(NAMED)


def _too_early(early: EffectiveTooEarly) -> str:
    named = ", ".join(
        _(
            "%(company)s (until %(day)s)",
            company=one.client.company,
            day=dates.plain_date(one.reckoning.last_day, language()),
        )
        for one in early.late[:NAMED]
    )
    more = len(early.late) - NAMED
    if more > 0:
        named += _(" and %(num)d more", num=more)
    would_do = dates.long_date(early.earliest, language())
    sentence: str = _(
        "Too early: these clients may still object then: %(named)s. %(day)s or later would do.",
        named=named,
        day=would_do,
    )
    return sentence


def _done(announcement_id: UUID, notice_id: UUID, sentence: str) -> ResponseReturnValue:
    flash(sentence, "good")
    there = url_for("staff_announcements.client", announcement_id=announcement_id, notice_id=notice_id)
    return redirect(there, code=HTTPStatus.SEE_OTHER)


def _board_url(announcement_id: UUID) -> str:
    return url_for("staff_announcements.board", announcement_id=announcement_id)
