"""What waits for a person, with the company it is about and the page on which to settle it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session, col, select

from notifier.models import Answer, Client, Delivery, DeliveryNotice, Item, ItemKind, Notice
from notifier.services import items, letters
from notifier.web.current import by, needs, now, transaction
from notifier.web.forms import Form, as_uuid

pages = Blueprint("staff_items", __name__, url_prefix="/staff/items")


@dataclass(frozen=True, slots=True)
class Placed:
    """An open item, the companies it is about, and the address of the page on which it is settled.

    Where nothing can be settled, it waits to be noted.
    """

    item: Item
    companies: tuple[str, ...]
    address: str
    only_noted: bool


@pages.post("/<uuid:item_id>/note")
@needs("edit")
def note(item_id: UUID) -> ResponseReturnValue:
    """Take note of something that asks for nothing but attention; leads back to the page on which it stood."""
    form = Form.posted()
    with transaction() as session:
        items.note(session, item_id, note=form["note"], by=by(), now=now())
    flash(_("Noted."), "good")
    board = as_uuid(form["announcement"])
    there = url_for("staff_announcements.board", announcement_id=board) if board else url_for("staff.overview")
    return redirect(there, code=HTTPStatus.SEE_OTHER)


def placed(session: Session, found: Sequence[Item]) -> list[Placed]:
    """Say for each item where to go."""
    about = [item.about_id for item in found]
    told: dict[UUID, list[UUID]] = {one: [one] for one in about}  # thing → notices
    for delivery_id, notice_id in session.exec(
        select(DeliveryNotice.delivery_id, DeliveryNotice.notice_id).where(col(DeliveryNotice.delivery_id).in_(about))
    ):
        told[delivery_id].append(notice_id)
    for answer_id, notice_id in session.exec(select(Answer.id, Answer.notice_id).where(col(Answer.id).in_(about))):
        told[answer_id].append(notice_id)
    named = _companies(session, {notice_id for ids in told.values() for notice_id in ids})
    other_mails = session.exec(
        select(Delivery.id).where(col(Delivery.id).in_(about), Delivery.letter != letters.NOTICE)
    ).all()
    return [
        Placed(
            item=item,
            companies=tuple(named[one][1] for one in told[item.about_id] if one in named),
            address=_page_of(item, [one for one in told[item.about_id] if one in named], named),
            only_noted=item.kind is ItemKind.ENDPOINT_FAILING or item.about_id in other_mails,
        )
        for item in found
    ]


def _page_of(item: Item, notice_ids: Sequence[UUID], named: dict[UUID, tuple[UUID, str]]) -> str:
    if item.kind is ItemKind.ENDPOINT_FAILING:
        return url_for("staff_webhooks.listing")
    if not notice_ids:
        return url_for("staff.event_list", about=item.about_id)
    first = notice_ids[0]
    return url_for("staff_announcements.client", announcement_id=named[first][0], notice_id=first)


def _companies(session: Session, notice_ids: set[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Return announcement and company by notice."""
    query = select(Notice.id, Notice.announcement_id, Client.company).join(Client, col(Client.id) == Notice.client_id)
    found = session.exec(query.where(col(Notice.id).in_(notice_ids)))
    return {notice_id: (announcement_id, company) for notice_id, announcement_id, company in found}
