"""Every public page on a phone, in light and dark and in both languages: no violation of WCAG 2 A and AA, nothing that
our own policy forbids, nothing wider than the screen.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from notifier.models import AnnouncementKind
from notifier.rules.entries import Certificate, Entry, Place
from notifier.runtime import Runtime, now
from notifier.services import announcements, corrections, registry
from tests.factories import REASONS, make_announcement, make_app, make_entry, make_provider, make_runtime, make_version
from tests.web.staffing import MOVE
from tests.web.test_pages_axe import WCAG, browser

__all__ = ["browser"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PHONE, SCREEN = 320, 1280
LANGUAGES = ("en", "fr")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PLACES = (Place(country="FR", site="Pantin", kind="production"), Place(country="DE"), Place(site="EEA"))
CERTIFICATE = Certificate(standard="ISO 27001", edition="2022", number="FR-1", expires_on="2030-01-01")


def entries() -> list[Entry]:
    """A list in which every column has something to say."""
    full = make_entry("Fibrexemple", address="1 rue des Essais", postcode="75002", trading_name="FX")
    return [
        replace(
            full, website="https://fibrexemple.example", purposes=("Hosting",), data_categories=("Contents", "Logs"),
            places=PLACES, certificates=(CERTIFICATE,), hds="yes", services=("Storage",), engaged_since="2019-04-01",
        ),
        replace(make_entry("Below", country="NL"), parent="equinix", outside_access="yes", transfer="scc"),
        make_entry("Equinix", country="US", town="Springfield"),
    ]  # fmt: skip


def furnish(runtime: Runtime) -> tuple[str, ...]:
    """Let everything that a public page can show have happened; returns the pages."""
    today, then = now().date(), now() - timedelta(days=30)
    with runtime.transaction() as session:
        make_provider(session)
        make_version(session, entries(), now=then)
        registry.add_entry(session, make_entry("Secondexemple"), by="test", now=then)
        on = today + timedelta(days=200)
        gone = announcements.publish(session, runtime.desk, effective_on=on, reasons=REASONS, by="test", now=then)
        corrections.withdraw(session, runtime.desk, gone.id, reasons=REASONS, by="test", now=then)
        made = make_announcement(session, runtime.desk, now=now(), effective_on=on)
        moved = announcements.draft(
            session, kind=AnnouncementKind.LOCATION, aspect="storage", facts=MOVE, reasons=REASONS, effective_on=on,
            by="test", now=now(),
        )  # fmt: skip
        announcements.publish_draft(session, runtime.desk, moved.id, by="test", now=now())
    return (
        "/subprocessors",
        "/subprocessors?service=Storage&country=JP",
        "/subprocessors/versions",
        "/subprocessors/versions/2",
        "/subprocessors/versions/3",
        f"/subprocessors/changes/{made.reference}",
        f"/subprocessors/changes/{moved.reference}",
        f"/subprocessors/on/{on}",
        f"/subprocessors/compare?from={today}&to={on}",
        "/subprocessors/compare?from=soon&to=",
        "/subprocessors/hds",
    )


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    runtime = make_runtime(sqlite_url, tmp_path)
    pages = furnish(runtime)
    server = make_server("127.0.0.1", 0, make_app(runtime), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    thread.join()
    server.server_close()
    runtime.close()


def flaws(page: Page) -> list[str]:
    """Return what is wrong with the page that is open, in each scheme and width."""
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour on its way to another
        violations = Axe().run(page, options=WCAG).response["violations"]
        found += [f"{scheme}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in violations]
    for width in (SCREEN, PHONE):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{wide} pixels wider than {width}"] if wide > 0 else []
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_public_page_can_be_used_by_everybody(
    site: tuple[str, tuple[str, ...]],
    browser: Browser,
    language: str,
) -> None:
    address, paths = site
    page = browser.new_page(viewport={"width": PHONE, "height": 900})
    forbidden: list[str] = []
    page.on("console", lambda said: forbidden.append(said.text) if said.type == "error" else None)
    wrong = {}
    for path in paths:
        page.goto(f"{address}{path}{'&' if '?' in path else '?'}lang={language}")
        wrong[path] = flaws(page)

    assert {path: found for path, found in wrong.items() if found} == {}
    assert [text for text in forbidden if "422" not in text] == []
