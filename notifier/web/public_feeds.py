"""What is announced to everybody, and what took effect, for programs that watch: Atom (RFC 4287) and JSON Feed 1.1.

An entry keeps its id for good; whatever becomes of an announcement makes it an updated one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from flask import Blueprint, Response, abort, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.models import Announcement, Version
from notifier.services import letter_words, public_record
from notifier.web import public_words
from notifier.web.current import language, now, profile, reading
from notifier.web.freshness import kept, public

ENTRIES = 50
JSON_FEED = "https://jsonfeed.org/version/1.1"
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2

pages = public(Blueprint("public_feeds", __name__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One entry of the feed; `content` is HTML."""

    id: str
    address: str
    title: str
    content: str
    published_at: datetime
    updated_at: datetime


@pages.before_request
def require_address() -> None:
    """A feed names itself and its pages by their whole address."""
    if not urlsplit(profile().base_url).hostname:
        abort(HTTPStatus.NOT_FOUND)


@pages.get("/subprocessors.atom")
@kept
def atom() -> ResponseReturnValue:
    items = _items()
    text = render_template(
        "web/public/feed.xml",
        id=_tag("feed"),
        author=_author(),
        title=_title(),
        updated_at=max((item.updated_at for item in items), default=_founded_at()),
        home=_address("public.subprocessors"),
        itself=_address("public_feeds.atom"),
        items=items,
    )
    return Response(NOT_IN_XML.sub("", text), content_type="application/atom+xml; charset=utf-8")


@pages.get("/subprocessors/feed.json")
@kept
def json_feed() -> ResponseReturnValue:
    home = _address("public.subprocessors")
    made = jsonify(
        version=JSON_FEED,
        title=_title(),
        home_page_url=home,
        feed_url=_address("public_feeds.json_feed"),
        language=language(),
        authors=[{"name": _author(), "url": home}],
        items=[
            {
                "id": item.id,
                "url": item.address,
                "title": item.title,
                "content_html": item.content,
                "date_published": item.published_at.isoformat(),
                "date_modified": item.updated_at.isoformat(),
            }
            for item in _items()
        ],
    )
    made.mimetype = "application/feed+json"
    return made


def _items() -> list[Item]:
    """Return what became known last, the newest first."""
    with reading() as session:
        announced = [_of_announcement(session, one) for one in public_record.announced(session, limit=ENTRIES)]
        live = [_of_version(session, one) for one in public_record.gone_live(session, now=now(), limit=ENTRIES)]
    newest = sorted([*announced, *live], key=lambda item: (item.updated_at, item.id), reverse=True)
    return newest[:ENTRIES]


def _of_announcement(session: Session, announcement: Announcement) -> Item:
    story = public_record.story(session, announcement)
    one = public_words.announcement(announcement)
    dated = letter_words.when(announcement, profile(), language())
    title = _("%(kind)s: %(what)s, %(dated)s", kind=one["kind"], what=one["what"], dated=dated)
    return Item(
        id=_tag(f"changes/{announcement.reference}"),
        address=_address("public_history.change", reference=announcement.reference),
        title=_("Withdrawn: %(what)s", what=title) if one["is_withdrawn"] else title,
        content=render_template("web/public/_feed_change.html", one=one, story=story),
        published_at=announcement.published_at,
        updated_at=max(step.at for step in story),
    )


def _of_version(session: Session, version: Version) -> Item:
    at = version.live_at or now()
    made = public_words.changes(public_record.changes_of(session, version))
    return Item(
        id=_tag(f"versions/{version.number}"),
        address=_address("public_history.version", number=version.number),
        title=_("Version %(number)d of the list is in force", number=version.number),
        content=render_template("web/public/_feed_version.html", changes=made),
        published_at=at,
        updated_at=at,
    )


def _title() -> str:
    return str(_("Subprocessors of %(company)s", company=_author()))


def _author() -> str:
    return profile().legal_name or urlsplit(profile().base_url).hostname or ""


def _address(endpoint: str, **values: Any) -> str:  # noqa: ANN401 - as Flask takes them
    """Return the whole address of a page in the language of this one, under the name that clients know."""
    path = url_for(endpoint, **values, lang=language()).removeprefix(request.script_root)
    return f"{profile().base_url}{path}"


def _tag(what: str) -> str:
    """Return an id for good (RFC 4151): whoever had this host's name on the day on which the profile was begun."""
    host = urlsplit(profile().base_url).hostname
    return f"tag:{host},{_founded_at():%Y-%m-%d}:subprocessors/{language()}/{what}"


def _founded_at() -> datetime:
    return _made_at(profile().instance_id)


def _made_at(id_: UUID) -> datetime:
    """Return the instant within a UUID of version 7 (RFC 9562), to the second."""
    return datetime.fromtimestamp((id_.int >> 80) // 1000, UTC)
