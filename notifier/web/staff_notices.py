"""One client of one announcement: its rule, its clocks, its mails and answers, and what a person may do there."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session, col, select

from notifier.adapters.lists import is_address
from notifier.models import AnnouncementState, Answer, DeliveryNotice, Fetch, Item, ItemKind, Sealed
from notifier.rules.gate import Waits
from notifier.rules.registry_diff import from_json
from notifier.rules.scope import is_limited, reason_of
from notifier.services import announcements, answers, boards, events, going_live, items, letters, notices, outbox
from notifier.web import refusals
from notifier.web.current import by, desk, language, needs, now, reading, transaction
from notifier.web.forms import Form
from notifier.web.refusals import REFUSED
from notifier.web.staff_decisions import name_of

pages = Blueprint(
    "staff_notices", __name__, url_prefix="/staff/announcements/<uuid:announcement_id>/clients/<uuid:notice_id>"
)


@pages.get("")
@needs("read")
def client(announcement_id: UUID, notice_id: UUID) -> ResponseReturnValue:
    return _page(announcement_id, notice_id, Form())


@pages.post("/receipt")
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
        return _page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    try:
        with transaction() as session:
            _of_this(session, announcement_id, notice_id)
            notices.record_receipt(session, desk(), notice_id, received_on=received_on, how=how, by=by(), now=now())
    except notices.ReceiptInFuture:
        form.refuse("received_on", _("This day has not come yet. Write the day on which the client was told."))
        return _page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except notices.ReceiptTooEarly:
        sentence = _("This day lies before the announcement. Write the day on which the client was told of it.")
        form.refuse("received_on", sentence)
        return _page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except REFUSED as trouble:
        return _page(announcement_id, notice_id, form, status=refusals.explain(form, trouble))
    return _done(announcement_id, notice_id, _("The receipt is recorded: the client’s period runs."))


@pages.post("/exclusion")
@needs("publish")
def exclude(announcement_id: UUID, notice_id: UUID) -> ResponseReturnValue:
    """Decide that the change is not made for this client."""
    form = Form.posted()
    try:
        with transaction() as session:
            _of_this(session, announcement_id, notice_id)
            going_live.exclude(session, notice_id, why=form["excluded_why"], by=by(), now=now())
    except REFUSED as trouble:
        return _page(announcement_id, notice_id, form, status=refusals.explain(form, trouble))
    return _done(announcement_id, notice_id, _("Excluded: the change is not made for this client."))


@pages.post("/replies")
@needs("edit")
def record_reply(announcement_id: UUID, notice_id: UUID) -> ResponseReturnValue:
    """Keep what a contact wrote or said by other means than its link."""
    form = Form.posted()
    try:
        with transaction() as session:
            _of_this(session, announcement_id, notice_id)
            answers.record_reply(session, notice_id, text=form["text"], by=by(), now=now())
    except REFUSED as trouble:
        return _page(announcement_id, notice_id, form, status=refusals.explain(form, trouble))
    return _done(announcement_id, notice_id, _("Kept. It holds the gate until somebody has read it."))


@pages.post("/replies/reading")
@needs("edit")
def read_reply(announcement_id: UUID, notice_id: UUID) -> ResponseReturnValue:
    """Close what a contact wrote, with what it comes to."""
    form = Form.posted()
    try:
        with transaction() as session:
            _of_this(session, announcement_id, notice_id)
            answers.read_reply(session, notice_id, note=form["read_note"], by=by(), now=now())
    except answers.NoteMissing:
        form.refuse("read_note", _("Write what it comes to: the note is kept with the reply."))
        return _page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _done(announcement_id, notice_id, _("Read."))


@pages.post("/answers/<uuid:answer_id>/settlement")
@needs("edit")
def settle(announcement_id: UUID, notice_id: UUID, answer_id: UUID) -> ResponseReturnValue:
    """Close an objection, a refusal or a termination with a note on what settled it."""
    form = Form.posted()
    try:
        with transaction() as session:
            _answer_of_this(session, announcement_id, notice_id, answer_id)
            answers.settle(session, answer_id, note=form["note"], by=by(), now=now())
    except answers.NoteMissing:
        form.refuse(f"note-{answer_id}", _("Write what settled it: the note is kept with the answer."))
        return _page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _done(announcement_id, notice_id, _("Settled."))


@pages.post("/answers/<uuid:answer_id>/review")
@needs("edit")
def review(announcement_id: UUID, notice_id: UUID, answer_id: UUID) -> ResponseReturnValue:
    """Take note of an answer that looks like a machine's; the answer itself stands."""
    with transaction() as session:
        _answer_of_this(session, announcement_id, notice_id, answer_id)
        answers.review(session, answer_id, note=Form.posted()["note"], by=by(), now=now())
    return _done(announcement_id, notice_id, _("Noted."))


@pages.post("/deliveries/<uuid:delivery_id>/arrival")
@needs("edit")
def prove_arrival(announcement_id: UUID, notice_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """Count an unknown delivery as arrived, on evidence that a person gives."""
    form = Form.posted()
    evidence = form["evidence"].strip()
    if not evidence:
        form.refuse(
            f"evidence-{delivery_id}", _("Write what shows that the mail arrived, such as a line of the relay’s log.")
        )
        return _page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    with transaction() as session:
        _delivery_of_this(session, announcement_id, notice_id, delivery_id)
        outbox.prove_arrival(session, desk(), delivery_id, by=by(), evidence=evidence, now=now())
    return _done(announcement_id, notice_id, _("The mail counts as arrived."))


@pages.post("/deliveries/<uuid:delivery_id>/return")
@needs("edit")
def record_return(announcement_id: UUID, notice_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """Record that a mail came back: a receipt that was deemed of it falls away."""
    form = Form.posted()
    evidence = form["returned"].strip()
    if not evidence:
        form.refuse(f"returned-{delivery_id}", _("Write what the mail came back with, such as “user unknown”."))
        return _page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    with transaction() as session:
        _delivery_of_this(session, announcement_id, notice_id, delivery_id)
        outbox.returned(session, desk(), delivery_id, by=by(), evidence=evidence, now=now())
    return _done(announcement_id, notice_id, _("Recorded: the mail has told nobody."))


@pages.post("/deliveries/<uuid:delivery_id>/repeats")
@needs("edit")
def repeat(announcement_id: UUID, notice_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """Send a mail again, visibly, to the same address or to another one."""
    form = Form.posted()
    address = form["address"].strip()
    if not is_address(address):
        form.refuse(f"address-{delivery_id}", _("Write one e-mail address, such as dpo@company.example."))
        return _page(announcement_id, notice_id, form, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    with transaction() as session:
        _delivery_of_this(session, announcement_id, notice_id, delivery_id)
        outbox.repeat(session, desk(), delivery_id, address=address, notice_id=notice_id, by=by(), now=now())
    return _done(announcement_id, notice_id, _("A new mail, marked as a repeat, is in the outbox."))


def _page(
    announcement_id: UUID, notice_id: UUID, form: Form, *, status: HTTPStatus = HTTPStatus.OK
) -> ResponseReturnValue:
    with reading() as session:
        announcement = announcements.get(session, announcement_id)
        _of_this(session, announcement_id, notice_id)
        row = boards.row(session, notice_id, now=now())
        sealed, changes = session.get_one(Sealed, row.notice.sealed_id), announcements.changes_of(announcement)
        told_of = [letters.describe(from_json(change), language()) for change in sealed.changes or ()]
        told = [row.notice.id, *(delivery.id for delivery in row.deliveries)]
        happened = [event for about in told for event in events.history(session, about=about)]
        page = render_template(
            "web/staff/client.html",
            form=form,
            announcement=announcement,
            row=row,
            is_under_way=announcement.state is AnnouncementState.PUBLISHED and not row.notice.live_at,
            waits_for_nothing=row.waits is Waits.NOTHING,
            reason=reason_of(changes, row.client.scope) if is_limited(changes) else None,
            told_of=[one["sentence"] for one in told_of],
            sealed=sealed,
            settled_by_hand=answers.ITEMS,
            replies=_replies(session, notice_id),
            deliveries=[(one, outbox.attempts(session, one.id), _fetches(session, one.id)) for one in row.deliveries],
            happened=sorted(happened, key=lambda event: event.id or 0),
            to_review=_to_review(session, announcement_id),
            excluded_by=name_of(session, row.notice.excluded_by),
        )
    return page, status


def _of_this(session: Session, announcement_id: UUID, notice_id: UUID) -> None:
    if notices.get(session, notice_id).announcement_id != announcement_id:
        raise notices.NoSuchNotice


def _answer_of_this(session: Session, announcement_id: UUID, notice_id: UUID, answer_id: UUID) -> None:
    _of_this(session, announcement_id, notice_id)
    answer = session.get(Answer, answer_id)
    if answer is None or answer.notice_id != notice_id:
        raise answers.NoSuchAnswer


def _delivery_of_this(session: Session, announcement_id: UUID, notice_id: UUID, delivery_id: UUID) -> None:
    _of_this(session, announcement_id, notice_id)
    if session.get(DeliveryNotice, (delivery_id, notice_id)) is None:
        raise outbox.NoSuchDelivery


def _to_review(session: Session, announcement_id: UUID) -> set[UUID]:
    """Return the answers that look like a machine's and that nobody has looked at."""
    found = items.open_items(session, announcement=announcement_id)
    return {item.about_id for item in found if item.kind is ItemKind.MACHINE_LIKE_ANSWER}


def _replies(session: Session, notice_id: UUID) -> Sequence[Item]:
    """Return what contacts wrote by other means than their links, oldest first."""
    query = select(Item).where(Item.kind == ItemKind.UNREAD_REPLY, Item.about_id == notice_id)
    return session.exec(query.order_by(col(Item.opened_at))).all()


def _fetches(session: Session, delivery_id: UUID) -> Sequence[Fetch]:
    return session.exec(select(Fetch).where(Fetch.delivery_id == delivery_id).order_by(col(Fetch.at))).all()


def _done(announcement_id: UUID, notice_id: UUID, sentence: str) -> ResponseReturnValue:
    flash(sentence, "good")
    there = url_for("staff_notices.client", announcement_id=announcement_id, notice_id=notice_id)
    return redirect(there, code=HTTPStatus.SEE_OTHER)
