"""The portal, the public pages and the mailbox in a real browser: answering without a script, and no barrier found."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from notifier.models import AnswerKind
from notifier.runtime import Runtime
from notifier.web import create_app
from notifier.worker import Worker
from tests.factories import make_runtime
from tests.web.visiting import LATER, Visitor, told

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
    server = make_server("127.0.0.1", 0, create_app(runtime), threaded=True)
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
        _sign(page, "Acme 0 objects to this change.")
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


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
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


def _barriers(page: Page) -> str:
    found = Axe().run(page, options=RULES)
    return str(found.generate_report()) if found.violations_count else ""
