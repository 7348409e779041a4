"""The feeds, against the rules of RFC 4287 and JSON Feed 1.1."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from flask.testing import FlaskClient
from sqlmodel import select

from notifier.models import Announcement, AnnouncementKind
from notifier.runtime import Runtime
from notifier.services import announcements, corrections, registry
from tests.factories import (
    NOON,
    REASONS,
    make_announcement,
    make_app,
    make_entry,
    make_provider,
    make_version,
)
from tests.web.visiting import FACTS, Page, clock, runtime

__all__ = ["clock", "runtime"]

pytestmark = pytest.mark.usefixtures("clock")

ATOM, FEED = "/subprocessors.atom", "/subprocessors/feed.json"
NS = "{http://www.w3.org/2005/Atom}"
A_DAY = timedelta(days=1)
# RFC 3339, as RFC 4287 (3.3) asks for it: a capital T, and Z or an offset.
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")
# RFC 4151: an authority's name, the day on which it had it, and what only it gives.
TAG = re.compile(r"tag:[a-z0-9.-]+,\d{4}-\d{2}-\d{2}:[A-Za-z0-9/._-]+")
BASE = "https://notices.hosting.example"


@pytest.fixture
def browser(runtime: Runtime) -> FlaskClient:
    with runtime.transaction() as session:
        make_provider(session, base_url=BASE)
        make_version(session, now=NOON - 10 * A_DAY)
    return make_app(runtime).test_client()


@pytest.fixture
def announced(browser: FlaskClient, runtime: Runtime) -> FlaskClient:
    with runtime.transaction() as session:
        make_announcement(session, runtime.desk)
    return browser


# --- the rules -------------------------------------------------------------------------------------------------------


def only(element: ET.Element, name: str) -> str:
    """RFC 4287: exactly one of it, and something in it."""
    (found,) = element.findall(NS + name)
    assert found.text
    return found.text


def is_absolute(address: str | None) -> bool:
    parts = urlsplit(address or "")
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def instant(text: str) -> datetime:
    assert INSTANT.fullmatch(text)
    return datetime.fromisoformat(text)


def links(element: ET.Element) -> dict[str, str]:
    """RFC 4287, 4.1.1 and 4.1.2: of alternate links, no two of one type and language."""
    found = element.findall(f"{NS}link")
    assert len({(one.get("rel"), one.get("type"), one.get("hreflang")) for one in found}) == len(found)
    assert all(is_absolute(one.get("href")) for one in found)
    return {one.get("rel", "alternate"): one.get("href", "") for one in found}


def valid_atom(browser: FlaskClient, address: str = ATOM) -> ET.Element:
    """Return a feed of which every rule that concerns it holds."""
    page = browser.get(address)
    assert page.content_type == "application/atom+xml; charset=utf-8"  # RFC 4287, 7
    feed = ET.fromstring(page.data)  # noqa: S314 - we wrote it
    assert feed.tag == f"{NS}feed"
    assert TAG.fullmatch(only(feed, "id"))
    assert only(feed, "title")
    (author,) = feed.findall(f"{NS}author")  # 4.1.1: unless every entry has one
    assert only(author, "name")
    assert is_absolute(only(author, "uri"))
    assert links(feed).keys() == {"self", "alternate"}
    entries = feed.findall(f"{NS}entry")
    ids = [only(entry, "id") for entry in entries]
    assert all(TAG.fullmatch(one) for one in ids)
    assert len({only(feed, "id"), *ids}) == len(ids) + 1
    updated = [instant(only(entry, "updated")) for entry in entries]
    assert updated == sorted(updated, reverse=True)
    assert instant(only(feed, "updated")) >= max(updated, default=NOON.replace(year=2000))
    for entry in entries:
        assert only(entry, "title")
        assert instant(only(entry, "published")) <= instant(only(entry, "updated"))
        assert links(entry).keys() == {"alternate"}
        (content,) = entry.findall(f"{NS}content")
        assert content.get("type") == "html"  # 4.1.3.3: escaped markup, no children
        assert content.text
        assert not list(content)
    return feed


def valid_json(browser: FlaskClient, address: str = FEED) -> dict[str, Any]:
    page = browser.get(address)
    assert page.content_type == "application/feed+json"
    feed: dict[str, Any] = json.loads(page.data)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["title"]
    assert all(is_absolute(feed[name]) for name in ("home_page_url", "feed_url"))
    assert all(author["name"] for author in feed["authors"])
    assert feed["language"] in {"en", "fr"}
    items = feed["items"]
    assert all(isinstance(item["id"], str) and item["id"] for item in items)
    assert len({item["id"] for item in items}) == len(items)
    assert all(is_absolute(item["url"]) and item["content_html"] for item in items)
    modified = [instant(item["date_modified"]) for item in items]
    assert modified == sorted(modified, reverse=True)
    assert all(instant(item["date_published"]) <= at for item, at in zip(items, modified, strict=True))
    return feed


# --- what they say ---------------------------------------------------------------------------------------------------


def test_both_feeds_keep_the_rules_and_say_the_same(announced: FlaskClient) -> None:
    atom, feed = valid_atom(announced), valid_json(announced)

    told = [
        (only(entry, "id"), only(entry, "title"), links(entry)["alternate"]) for entry in atom.findall(f"{NS}entry")
    ]
    assert told == [(item["id"], item["title"], item["url"]) for item in feed["items"]]
    assert links(atom)["self"] == f"{BASE}{ATOM}?lang=en"
    assert feed["feed_url"] == f"{BASE}{FEED}?lang=en"


def test_there_is_an_entry_for_each_change_and_each_version_in_force(announced: FlaskClient) -> None:
    change, version = valid_json(announced)["items"]

    assert change["title"].startswith("Change of subprocessor: Fibrexemple is replaced by Optexemple, from ")
    assert change["url"].startswith(f"{BASE}/subprocessors/changes/SP-2026-0002")
    assert "Announced for" in change["content_html"]
    assert version["title"] == "Version 1 of the list is in force"


def test_an_instance_that_has_published_nothing_has_empty_feeds(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_provider(session)
    browser = make_app(runtime).test_client()

    assert not valid_atom(browser).findall(f"{NS}entry")
    assert valid_json(browser)["items"] == []


def postpone(runtime: Runtime, announcement: Announcement) -> None:
    with runtime.transaction() as session:
        corrections.postpone(
            session, runtime.desk, announcement.id, effective_on=announcement.effective_on + 30 * A_DAY,
            reasons=REASONS, by="test", now=NOON + A_DAY,
        )  # fmt: skip


def correct(runtime: Runtime, announcement: Announcement) -> None:
    with runtime.transaction() as session:
        day = announcement.effective_on + 30 * A_DAY
        corrections.correct(
            session, runtime.desk, announcement.id, effective_on=day, why="Wrong day.", by="test", now=NOON + A_DAY
        )


def withdraw(runtime: Runtime, announcement: Announcement) -> None:
    with runtime.transaction() as session:
        corrections.withdraw(session, runtime.desk, announcement.id, reasons=REASONS, by="test", now=NOON + A_DAY)


@pytest.mark.parametrize("act", [postpone, correct, withdraw])
def test_what_becomes_of_a_change_is_an_update_of_its_entry(
    announced: FlaskClient, runtime: Runtime, act: Callable[[Runtime, Announcement], None]
) -> None:
    before = valid_json(announced)["items"][0]
    with runtime.reading() as session:
        announcement = session.exec(select(Announcement)).one()
        session.expunge_all()

    act(runtime, announcement)

    valid_atom(announced)
    after = valid_json(announced)["items"][0]
    assert after["id"] == before["id"]
    assert after["date_published"] == before["date_published"]
    assert instant(after["date_modified"]) == NOON + A_DAY
    assert after["title"] != before["title"]


def test_what_clients_alone_are_told_is_in_no_feed(announced: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        made = announcements.draft(
            session, kind=AnnouncementKind.CERTIFICATION, aspect="lost", facts=FACTS["certification", "lost"],
            reasons=REASONS, effective_on=NOON.date(), by="test", now=NOON,
        )  # fmt: skip
        announcements.publish_draft(session, runtime.desk, made.id, by="test", now=NOON)

    assert made.reference not in announced.get(ATOM).text + announced.get(FEED).text


def test_a_feed_speaks_the_language_that_is_asked_for(announced: FlaskClient) -> None:
    feed, atom = valid_json(announced, f"{FEED}?lang=fr"), valid_atom(announced, f"{ATOM}?lang=fr")

    assert feed["language"] == atom.get("{http://www.w3.org/XML/1998/namespace}lang") == "fr"
    assert "Fibrexemple est remplacé par Optexemple" in feed["items"][0]["title"]
    assert all(address.endswith("?lang=fr") for address in (feed["feed_url"], feed["items"][0]["url"]))
    assert only(atom, "id") != only(valid_atom(announced), "id")


def test_signs_that_xml_does_not_take_break_nothing(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        new = replace(make_entry("A & <b>\x0b]]>\ufffe"), key="odd")
        registry.add_entry(session, new, by="test", now=NOON)
        effective_on = NOON.date() + 200 * A_DAY
        announcements.publish(session, runtime.desk, effective_on=effective_on, reasons=REASONS, by="test", now=NOON)

    entry = valid_atom(browser).findall(f"{NS}entry")[0]

    assert "A & <b>]]> is added" in only(entry, "title")
    assert "A &amp; &lt;b&gt;" in only(entry, "content")


def test_the_pages_name_their_feeds(announced: FlaskClient) -> None:
    page = announced.get("/subprocessors").text

    assert 'rel="alternate" type="application/atom+xml"' in page
    assert 'rel="alternate" type="application/feed+json"' in page
    assert {f"{ATOM}?lang=en", f"{FEED}?lang=en"} <= set(Page(page).links)


def test_there_is_no_feed_before_the_pages_have_an_address(runtime: Runtime) -> None:
    browser = make_app(runtime).test_client()

    assert browser.get(ATOM).status_code == 404
    assert "feed.json" not in browser.get("/subprocessors").text
