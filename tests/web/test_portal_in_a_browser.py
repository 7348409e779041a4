"""The portal, the public pages and the mailbox in a real browser: answering without a script, and no barrier found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sqlmodel import Session
from werkzeug.serving import make_server

from notifier.models import AnswerKind
from notifier.rules.terms import Channel, ReceiptPolicy
from notifier.runtime import Runtime, now
from notifier.services import announcements, corrections
from notifier.services.desk import Desk
from notifier.worker import Worker
from tests.factories import REASONS, make_announcement, make_app, make_runtime
from tests.services.stories import breach, with_pack
from tests.web.visiting import LATER, Tell, Visitor, emergency, of_kind, told, with_desk

pytestmark = pytest.mark.slow

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visitor(sqlite_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    runtime = make_runtime(sqlite_url, tmp_path_factory.mktemp("data"), mail={"open_mailbox": True})
    with time_machine.travel(LATER, tick=True) as clock:
        yield told(runtime, clock, companies=2)
    runtime.close()


@contextmanager
def _served(runtime: Runtime) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, make_app(runtime), threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _sign(page: Page, statement: str) -> None:
    page.get_by_label("Your full name").fill("Camille Roy")
    page.get_by_role("radio", name=statement).check()


def test_a_person_without_scripts_acknowledges_and_objects(browser: Browser, visitor: Visitor) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    with _served(visitor.runtime) as base:
        page.goto(f"{base}{visitor.address}")
        page.get_by_role("checkbox", name="Acme 1").check()
        _sign(page, "I confirm that we have received this notice.")
        page.get_by_role("button", name="Confirm receipt").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Your acknowledgement of receipt is recorded"

        page.get_by_role("link", name="Back to the notice").click()
        page.get_by_role("button", name="Object to the change").first.click()
        page.get_by_label("Why do you object?").fill("Our own clients forbid it.")
        _sign(page, "Acme 0 objects to the change of subprocessor")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Record the objection").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Your objection is recorded"
    context.close()

    assert [answer.kind for answer in visitor.answers()] == [AnswerKind.ACKNOWLEDGEMENT, AnswerKind.OBJECTION]


def test_a_form_that_comes_back_puts_the_focus_on_what_to_do(browser: Browser, visitor: Visitor) -> None:
    context = browser.new_context()
    page = context.new_page()
    with _served(visitor.runtime) as base:
        page.goto(f"{base}{visitor.act('objection')}")
        page.get_by_role("button", name="Continue").click()
        page.wait_for_selector(".problems:focus", timeout=5000)
    context.close()


def test_a_link_in_the_html_of_a_kept_mail_opens_the_portal_in_a_new_tab(browser: Browser, visitor: Visitor) -> None:
    worker = Worker(visitor.runtime)
    worker.send_due()
    worker.close()
    context = browser.new_context()
    page = context.new_page()
    with _served(visitor.runtime) as base:
        context.route("http://localhost/**", lambda route: route.fulfill(status=200, body="the portal"))
        page.goto(f"{base}/mailbox")
        page.get_by_role("table").get_by_role("link").first.click()
        with context.expect_page() as opened:
            page.frame_locator("iframe").locator("a[href*='/notice/']").first.click()
        opened.value.wait_for_url("http://localhost/notice/**")
    context.close()


def _addresses(visitor: Visitor) -> list[str]:
    """Every kind of page, after one answer of each kind."""
    visitor.clock.shift(60)
    visitor.fill(visitor.address, {"name": "Camille Roy", "choice": "yes", "companies": str(visitor.notices[1])})
    objected = visitor.act_fully("objection", {"name": "Camille Roy", "choice": "yes", "reasons": "We cannot."})
    worker = Worker(visitor.runtime)
    worker.send_due()
    worker.close()
    name = next(iter(visitor.runtime.mailbox_folder.glob("new/*"))).name
    portal = [visitor.address, visitor.act("objection", 1), visitor.act("termination"), visitor.act("withdrawal")]
    return [*portal, objected.location, "/notice/x", "/subprocessors", "/mailbox", f"/mailbox/{name}"]


@pytest.mark.parametrize(
    ("language", "scheme", "width"),
    [("en", "light", 320), ("en", "dark", 1280), ("fr", "light", 1280), ("fr", "dark", 320)],
)
def test_no_page_puts_up_a_barrier(browser: Browser, visitor: Visitor, language: str, scheme: str, width: int) -> None:
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 900}, bypass_csp=True
    )
    page = context.new_page()
    found = {}
    with _served(visitor.runtime) as base:
        for address in _addresses(visitor):
            page.goto(f"{base}{address}?lang={language}")
            found[address] = _barriers(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        page.goto(f"{base}{visitor.act('objection', 1)}?lang={language}")
        page.locator("form.answer button").click()
        found["a form that came back"] = _barriers(page)
    context.close()
    assert {address: report for address, report in found.items() if report} == {}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Something to be read, and its pages; "C" in a path is the first company's."""

    tell: Tell = make_announcement
    client: Mapping[str, Any] = field(default_factory=dict)
    rule: Mapping[str, Any] = field(default_factory=dict)  # of a contract of its own
    then: Callable[[Visitor], None] = lambda _visitor: None
    paths: Sequence[str] = ("",)


def _withdrawn(visitor: Visitor) -> None:
    made = visitor.announcement().id
    visitor.do(lambda session, desk: corrections.withdraw(session, desk, made, reasons=REASONS, by="t", now=now()))


def _breached(visitor: Visitor) -> None:
    made = visitor.announcement().id
    visitor.do(lambda session, desk: breach(session, desk, announcements.get(session, made), now=now()))


def _corrected(visitor: Visitor) -> None:
    """In substance, then in its wording, then put off; an acknowledgement has lapsed."""
    visitor.fill(visitor.address, {"name": "Camille Roy", "choice": "yes"})
    made, better = visitor.announcement(), {"en": "It goes bankrupt.", "fr": "Il fait faillite."}
    later = [made.effective_on + timedelta(days=number) for number in (14, 21)]

    def correct(session: Session, desk: Desk) -> None:
        at = [now() + timedelta(seconds=number) for number in range(3)]
        first, last = later
        corrections.correct(
            session, desk, made.id, effective_on=first, reasons=better, why="Wrong.", by="test", now=at[0]
        )
        corrections.respell(session, made.id, reasons=REASONS, why="A slip.", by="test", now=at[1])
        corrections.postpone(session, desk, made.id, effective_on=last, reasons=better, by="test", now=at[2])

    visitor.do(correct)
    visitor.clock.shift(60)


SCENES = {
    "consent": Scene(tell=of_kind("location", "storage"), paths=("", "C/consent", "C/refusal")),
    "emergency": Scene(tell=emergency, paths=("", "C/consent", "C/refusal")),
    "consultation": Scene(tell=of_kind("disclosure", "consultation"), paths=("", "C/objection")),
    "maintenance": Scene(tell=of_kind("service", "maintenance")),
    "document": Scene(tell=of_kind("document")),
    "confirmation": Scene(
        tell=of_kind("certification", "lost"),
        client={"pack": "selligent-health-2020"},
        paths=("", "C/confirmation"),
    ),
    "processor": Scene(client={"pack": "google-style-30-90", "reseller": True}, paths=("", "C/forwarding")),
    "cover": Scene(rule={"receipt": ReceiptPolicy.DISPLAY}),
    "copy": Scene(rule={"receipt": ReceiptPolicy.LRAR, "channels": (Channel.PAPER,)}),
    "withdrawn": Scene(then=_withdrawn),
    "breached": Scene(then=_breached),
    "corrected": Scene(then=_corrected, paths=("", "C/objection")),
}


@pytest.mark.parametrize(
    ("name", "language", "scheme", "width"),
    [(name, *(("en", "dark", 320), ("fr", "light", 1280))[number % 2]) for number, name in enumerate(SCENES)],
)
def test_no_kind_or_turn_of_an_announcement_puts_up_a_barrier(
    browser: Browser, sqlite_url: str, tmp_path: Path, name: str, language: str, scheme: str, width: int
) -> None:
    scene, runtime = SCENES[name], make_runtime(sqlite_url, tmp_path)
    client = dict(scene.client)
    if scene.rule:
        runtime, client["pack"] = with_desk(runtime, with_pack(runtime.desk, "own", **scene.rule)), "own"
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 900}, bypass_csp=True
    )
    page, found = context.new_page(), {}
    with time_machine.travel(LATER, tick=True) as clock:
        visitor = told(runtime, clock, scene.tell, **client)
        scene.then(visitor)
        with _served(runtime) as base:
            for path in scene.paths:
                own = path.replace("C/", f"/companies/{visitor.notices[0]}/")
                page.goto(f"{base}{visitor.address}{own}?lang={language}")
                found[path] = _barriers(page)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()
    runtime.close()
    assert {path: report for path, report in found.items() if report} == {}


def test_the_button_of_a_cover_shows_the_notice_without_scripts(
    browser: Browser, sqlite_url: str, tmp_path: Path
) -> None:
    runtime = make_runtime(sqlite_url, tmp_path)
    runtime = with_desk(runtime, with_pack(runtime.desk, "own", receipt=ReceiptPolicy.DISPLAY))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    with time_machine.travel(LATER, tick=True) as clock:
        visitor = told(runtime, clock, pack="own")
        with _served(runtime) as base:
            page.goto(f"{base}{visitor.address}")
            clock.shift(60)
            page.get_by_role("button", name="Show the notice").click()
            assert page.get_by_role("heading", level=1).inner_text() == "Change of subprocessor"
    context.close()
    runtime.close()


def _barriers(page: Page) -> str:
    found = Axe().run(page, options=RULES)
    return str(found.generate_report()) if found.violations_count else ""
