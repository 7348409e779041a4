"""Subscribing on the public pages: the same answer for everybody, nothing by a GET, and one post that ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask.testing import FlaskClient
from playwright.sync_api import sync_playwright
from sqlmodel import Session, col, select
from time_machine import Traveller
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from notifier.adapters.letters import UNSUBSCRIBE
from notifier.models import Delivery, Event, Subscriber, SubscriberState
from notifier.runtime import Runtime, now
from notifier.services import letters, subscriptions
from tests.factories import make_app, make_provider, make_runtime
from tests.web.visiting import Page, clock, runtime

__all__ = ["clock", "runtime"]

ANA = "ana@reader.example"
A_MINUTE = timedelta(minutes=1)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@dataclass
class Reader:
    """Somebody who reads the public pages, with the mails that the product writes to them."""

    runtime: Runtime
    browser: FlaskClient
    clock: Traveller

    def ask(self, address: str = ANA, *, place: str = "127.0.0.1", **more: str) -> TestResponse:
        data = {"address": address, **more}
        return self.browser.post("/subscriptions", data=data, environ_base={"REMOTE_ADDR": place})

    def link(self, opens: str) -> str:
        """The path of the link in the newest mail to Ana's address."""
        with Session(self.runtime.engine) as session:
            one = session.exec(select(Subscriber).order_by(col(Subscriber.id).desc())).first()
            assert one is not None
            token = self.runtime.desk.keyring.token(one.id, opens, key=one.key_id)
        return letters.link("", opens, token)

    def press(self, page: TestResponse, *, after: timedelta = A_MINUTE, **more: str) -> TestResponse:
        form = Page(page.text).forms[0]
        self.clock.shift(after)
        return self.browser.post(form.action, data={**dict(form.fields), **more})

    def subscribe(self) -> None:
        self.ask()
        self.press(self.browser.get(self.link(letters.CONFIRM)))

    def state(self) -> SubscriberState:
        with Session(self.runtime.engine) as session:
            return session.exec(select(Subscriber)).one().state

    def count(self, table: type[Delivery | Event | Subscriber]) -> int:
        with Session(self.runtime.engine) as session:
            return len(session.exec(select(table)).all())


@pytest.fixture
def reader(runtime: Runtime, clock: Traveller) -> Reader:
    with runtime.transaction() as session:
        make_provider(session)
    return Reader(runtime=runtime, browser=make_app(runtime).test_client(), clock=clock)


def test_an_address_is_subscribed_by_its_own_mail(reader: Reader) -> None:
    asked = reader.press(reader.browser.get("/subscriptions"), address=ANA)
    assert (asked.status_code, asked.location) == (303, "/subscriptions?asked=yes")
    assert "Look into your mailbox" in reader.browser.get(asked.location).text
    assert reader.state() is SubscriberState.WAITING

    pressed = reader.press(reader.browser.get(reader.link(letters.CONFIRM)))

    assert pressed.status_code == 303
    assert "You are subscribed" in reader.browser.get(pressed.location).text
    assert reader.state() is SubscriberState.CONFIRMED


def test_the_answer_is_the_same_whether_or_not_the_address_is_known(reader: Reader) -> None:
    unknown = reader.ask()
    waiting = reader.ask()
    reader.press(reader.browser.get(reader.link(letters.CONFIRM)))
    known = reader.ask()

    assert {(one.status_code, one.location, one.text) for one in (unknown, waiting, known)} == {
        (303, "/subscriptions?asked=yes", unknown.text)
    }
    assert reader.count(Delivery) == 1


def test_the_mails_speak_the_language_of_the_page(reader: Reader) -> None:
    reader.press(reader.browser.get("/subscriptions?lang=fr"), address=ANA)

    page = Page(reader.browser.get(reader.link(letters.CONFIRM)).text)

    assert page.language == "fr"
    with Session(reader.runtime.engine) as session:
        assert session.exec(select(Delivery.language)).one() == "fr"


def test_nothing_is_set_or_asked_of_the_browser(reader: Reader) -> None:
    reader.subscribe()
    pages = [reader.browser.get(path) for path in ("/subscriptions", reader.link(UNSUBSCRIBE))]

    assert not [page for page in [*pages, reader.ask()] if "Set-Cookie" in page.headers]


@pytest.mark.parametrize("address", ["", "ana", "ana@reader.example, bob@reader.example"])
def test_what_is_no_address_comes_back_with_a_sentence(reader: Reader, address: str) -> None:
    page = reader.ask(address)

    assert page.status_code == 422
    assert "Write one e-mail address" in page.text
    assert f'value="{address}"' in page.text
    assert reader.count(Subscriber) == 0


@pytest.mark.parametrize(
    ("headers", "trap"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, ""),
        ({"Origin": "https://elsewhere.example"}, ""),
        ({}, "https://elsewhere.example"),
    ],
)
def test_what_a_program_or_a_strange_page_sends_is_shown_again(
    reader: Reader, headers: dict[str, str], trap: str
) -> None:
    page = reader.browser.post("/subscriptions", data={"address": ANA, "homepage": trap}, headers=headers)

    assert page.status_code == 422
    assert "Please send it once more" in page.text
    assert reader.count(Subscriber) == 0


def test_one_place_asks_for_five_addresses_in_a_quarter_of_an_hour(reader: Reader) -> None:
    answers = [reader.ask(f"reader-{number}@reader.example").status_code for number in range(6)]
    elsewhere = reader.ask("elsewhere@reader.example", place="192.0.2.9").status_code
    reader.clock.shift(timedelta(minutes=16))

    assert (answers, elsewhere) == ([303] * 5 + [429], 303)
    assert reader.ask("again@reader.example").status_code == 303


def test_a_profile_that_is_incomplete_asks_nobody(runtime: Runtime, clock: Traveller) -> None:
    reader = Reader(runtime=runtime, browser=make_app(runtime).test_client(), clock=clock)

    assert reader.ask().status_code == 409
    assert reader.count(Subscriber) == 0


# --- links -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("opens", [letters.CONFIRM, UNSUBSCRIBE])
def test_opening_a_link_changes_nothing_however_it_is_opened(reader: Reader, opens: str, method: str) -> None:
    reader.ask() if opens == letters.CONFIRM else reader.subscribe()
    before, events = reader.state(), reader.count(Event)

    answer = reader.browser.open(reader.link(opens), method=method)

    assert answer.status_code == 200
    assert (reader.state(), reader.count(Event)) == (before, events)


def test_a_machine_that_presses_every_button_confirms_nothing(reader: Reader) -> None:
    reader.ask()
    link = reader.link(letters.CONFIRM)

    at_once = reader.press(reader.browser.get(link), after=timedelta(seconds=1))
    trapped = reader.press(reader.browser.get(link), homepage="https://elsewhere.example")
    bare = reader.browser.post(link)

    assert [page.status_code for page in (at_once, trapped, bare)] == [422] * 3
    assert "Please press the button once more" in at_once.text
    assert reader.state() is SubscriberState.WAITING
    assert reader.press(at_once).status_code == 303  # the person behind it gets through
    assert reader.state() is SubscriberState.CONFIRMED


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_post_without_cookie_or_token_ends_it(reader: Reader, content_type: str) -> None:
    """RFC 8058, 3.1 and 3.2: the pair in either form of body, no cookie, no redirect."""
    reader.subscribe()
    mail_program = make_app(reader.runtime).test_client(use_cookies=False)
    headers = {"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"}

    answers = [
        mail_program.post(reader.link(UNSUBSCRIBE), data=ONE_CLICK, content_type=content_type, headers=headers)
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert reader.state() is SubscriberState.ENDED


@pytest.mark.parametrize("data", [{}, {"List-Unsubscribe": "No"}, {"Other": "One-Click"}])
def test_another_body_ends_nothing_and_shows_the_button(reader: Reader, data: dict[str, str]) -> None:
    reader.subscribe()

    page = reader.browser.post(reader.link(UNSUBSCRIBE), data=data)

    assert page.status_code == 422
    assert reader.state() is SubscriberState.CONFIRMED
    assert reader.press(page).status_code == 200
    assert reader.state() is SubscriberState.ENDED


def test_the_page_of_an_ended_subscription_says_so_and_names_nobody(reader: Reader) -> None:
    reader.subscribe()
    link = reader.link(UNSUBSCRIBE)

    pressed = reader.press(reader.browser.get(link))
    later = reader.browser.get(link)

    for page in (pressed, later):
        assert "You are no longer subscribed" in page.text
        assert ANA not in page.text
        assert "Notices that your contract provides for are another matter" in page.text


@pytest.mark.parametrize("act", ["confirm", "end"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_that_opens_nothing_has_one_page_whatever_is_wrong(reader: Reader, act: str, method: str) -> None:
    pages = [
        reader.browser.open(f"/subscriptions/{token}/{act}", method=method, data=ONE_CLICK)
        for token in ("x", "y" * 43, "z" * 400)
    ]

    assert {page.status_code for page in pages} == {404}
    assert all("subscribe anew" in page.text for page in pages)


def test_a_link_that_confirms_is_too_old_after_seven_days(reader: Reader) -> None:
    reader.ask()
    link = reader.link(letters.CONFIRM)
    page = reader.browser.get(link)
    reader.clock.shift(timedelta(days=7))

    assert reader.press(page).status_code == 404
    assert reader.state() is SubscriberState.WAITING


def test_pages_of_links_are_kept_nowhere_and_found_by_no_search(reader: Reader) -> None:
    reader.subscribe()

    for path in (reader.link(letters.CONFIRM), reader.link(UNSUBSCRIBE), "/subscriptions/x/end"):
        headers = reader.browser.get(path).headers
        assert (headers["Cache-Control"], headers["X-Robots-Tag"]) == ("no-store", "noindex, nofollow")
    assert "X-Robots-Tag" not in reader.browser.get("/subscriptions").headers
    assert "Disallow: /subscriptions/" in reader.browser.get("/robots.txt").text.splitlines()


# --- in a browser ----------------------------------------------------------------------------------------------------

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
LOOKS: tuple[tuple[str, Literal["light", "dark"], int], ...] = (("en", "light", 1280), ("fr", "dark", 320))


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A server, and the path of every page: one who waits, one who is subscribed, one who has ended."""
    runtime = make_runtime(sqlite_url, tmp_path)
    paths = ["/subscriptions", "/subscriptions?asked=yes", "/subscriptions/x/end"]
    with runtime.transaction() as session:
        make_provider(session)
        for number in range(3):
            address = f"reader-{number}@reader.example"
            subscriptions.ask(session, runtime.desk, address, language="en", now=now())
            one = session.exec(select(Subscriber).where(Subscriber.address == address)).one()
            confirms, ends = (runtime.desk.keyring.token(one.id, opens) for opens in (letters.CONFIRM, UNSUBSCRIBE))
            if number:
                subscriptions.confirm(session, confirms, now=now())
            if number > 1:
                subscriptions.end(session, ends, now=now())
            else:
                paths.append(letters.link("", letters.CONFIRM, confirms))
            paths.append(letters.link("", UNSUBSCRIBE, ends))
    server = make_server("127.0.0.1", 0, make_app(runtime), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()
    runtime.close()


@pytest.mark.slow
def test_every_page_can_be_used_by_everybody(site: tuple[str, list[str]], chromium: str) -> None:
    base, paths = site
    wrong: dict[str, list[str]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for language, scheme, width in LOOKS:
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
            for path in paths:
                page.goto(f"{base}{path}{'&' if '?' in path else '?'}lang={language}")
                found = [one["id"] for one in Axe().run(page, options=RULES).response["violations"]]
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                wrong[f"{path} {language}"] = [*found, *(["too wide"] if wide > 0 else [])]
            page.goto(f"{base}/subscriptions?lang={language}")
            page.locator("#address").fill("ana@reader")  # the browser takes it, the product does not
            page.get_by_role("button").click()
            page.wait_for_selector(".problems:focus", timeout=5000)
            wrong[f"refused {language}"] = [one["id"] for one in Axe().run(page, options=RULES).response["violations"]]
            page.close()
        browser.close()

    assert {path: found for path, found in wrong.items() if found} == {}
