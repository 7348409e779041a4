"""What waits for a person, with the company it is about and the page on which to settle it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    Answer,
    BounceMail,
    Client,
    Delivery,
    DeliveryNotice,
    Item,
    ItemKind,
    Notice,
    Override,
    Source,
    Suggestion,
)
from notifier.services import items, letters
from notifier.web.current import by, needs, now, transaction
from notifier.web.forms import Form, as_uuid

# About a whole announcement, and no one client: where to settle it.
OF_THE_WHOLE: Mapping[ItemKind, str] = MappingProxyType(
    {
        ItemKind.DOUBTED_MAILS: "staff_announcements.board",
        ItemKind.OVERRIDE_ASKED: "staff_announcements.board",  # once it is decided; before, the decision's own page
        ItemKind.PAPER_TO_PRINT: "staff_paper.letters",
        ItemKind.PROHIBITION_ENDED: "staff_drafts.preview",
    }
)

# About something that is no announcement's: its page, and what that page calls it.
OF_ITS_OWN: Mapping[ItemKind, tuple[str, str]] = MappingProxyType(
    {
        ItemKind.ENDPOINT_FAILING: ("staff_webhooks.listing", ""),
        ItemKind.RELAY_FAILING: ("staff_sending.page", ""),
        ItemKind.SENDING_ON_HOLD: ("staff_sending.page", ""),
        ItemKind.SOURCE_FAILING: ("staff_watches.source", "source_id"),
        ItemKind.SUGGESTION: ("staff_watches.suggestion", "suggestion_id"),
        ItemKind.RETURNED_MAIL: ("staff_bounces.bounce", "bounce_id"),
        ItemKind.AUTO_REPLY: ("staff_bounces.bounce", "bounce_id"),
        ItemKind.COMPLAINT: ("staff_bounces.bounce", "bounce_id"),
    }
)

pages = Blueprint("staff_items", __name__, url_prefix="/staff/items")


@dataclass(frozen=True, slots=True)
class Placed:
    """An open item, the companies or the announcement it is about, and the address of the page on which it is settled.

    Where nothing can be settled, it waits to be noted.
    """

    item: Item
    about: tuple[str, ...]  # companies, or the reference of an announcement
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
    came_back = select(BounceMail.id, DeliveryNotice.notice_id).where(col(BounceMail.id).in_(about))
    for bounce_id, notice_id in session.exec(
        came_back.join(DeliveryNotice, col(DeliveryNotice.delivery_id) == BounceMail.delivery_id)
    ):
        told[bounce_id].append(notice_id)
    watched = _watched(session, about)
    named = _companies(session, {notice_id for ids in told.values() for notice_id in ids})
    references, decisions = _references(session, found), _decisions(session, about)
    other_mails = session.exec(
        select(Delivery.id).where(col(Delivery.id).in_(about), Delivery.letter != letters.NOTICE)
    ).all()
    return [
        Placed(
            item=item,
            about=tuple(named[one][1] for one in told[item.about_id] if one in named)
            or watched.get(item.about_id, ())
            or tuple(references[one] for one in (item.announcement_id,) if one and item.kind in OF_THE_WHOLE),
            address=_page_of(item, [one for one in told[item.about_id] if one in named], named, decisions),
            only_noted=item.kind in {ItemKind.ENDPOINT_FAILING, ItemKind.DOUBTED_MAILS} or item.about_id in other_mails,
        )
        for item in found
    ]


def _page_of(
    item: Item,
    notice_ids: Sequence[UUID],
    named: Mapping[UUID, tuple[UUID, str]],
    decisions: Mapping[UUID, str],
) -> str:
    if item.kind in OF_ITS_OWN:
        endpoint, name = OF_ITS_OWN[item.kind]
        values: dict[str, Any] = {name: item.about_id} if name else {}
        return url_for(endpoint, **values)
    if item.about_id in decisions:
        kind = decisions[item.about_id]
        return url_for("staff_decisions.decision", announcement_id=item.announcement_id, kind=kind)
    if item.kind in OF_THE_WHOLE:
        return url_for(OF_THE_WHOLE[item.kind], announcement_id=item.announcement_id)
    if not notice_ids:
        return url_for("staff.event_list", about=item.about_id)
    first = notice_ids[0]
    return url_for("staff_notices.client", announcement_id=named[first][0], notice_id=first)


def _companies(session: Session, notice_ids: set[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Return announcement and company by notice."""
    query = select(Notice.id, Notice.announcement_id, Client.company).join(Client, col(Client.id) == Notice.client_id)
    found = session.exec(query.where(col(Notice.id).in_(notice_ids)))
    return {notice_id: (announcement_id, company) for notice_id, announcement_id, company in found}


def _watched(session: Session, about: Sequence[UUID]) -> dict[UUID, tuple[str]]:
    """Return the key of the entry whose list is watched, by source and by suggestion."""
    sources = session.exec(select(Source.id, Source.entry_key).where(col(Source.id).in_(about))).all()
    query = select(Suggestion.id, Source.entry_key).join(Source, col(Source.id) == Suggestion.source_id)
    suggested = session.exec(query.where(col(Suggestion.id).in_(about))).all()
    return {one: (entry_key,) for one, entry_key in (*sources, *suggested)}


def _references(session: Session, found: Sequence[Item]) -> dict[UUID, str]:
    ids = {item.announcement_id for item in found if item.announcement_id}
    query = select(Announcement.id, Announcement.reference).where(col(Announcement.id).in_(ids))
    return dict(session.exec(query).all())


def _decisions(session: Session, about: Sequence[UUID]) -> dict[UUID, str]:
    """Return the kind of each decision that is asked for."""
    query = select(Override.id, Override.kind).where(col(Override.id).in_(about))
    return dict(session.exec(query).all())
