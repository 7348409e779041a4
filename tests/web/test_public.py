"""What anybody may see without signing in."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from notifier.adapters.lists import read_register
from notifier.runtime import Runtime, make_engine
from notifier.services import announcements, registry
from notifier.web import create_app
from tests.factories import NOON, make_announcement, make_entry, make_provider, make_runtime, make_version
from tests.web.visiting import Page, clock, runtime

__all__ = ["clock", "runtime"]

ENTRIES = [
    make_entry("Fibrexemple", address="1 rue des Essais", postcode="75002", town="Paris", activity="Fibre noire"),
    make_entry("Beispiel GmbH", country="DE", town="Köln"),
]


@pytest.fixture
def browser(runtime: Runtime) -> FlaskClient:
    with runtime.transaction() as session:
        make_provider(session)
    return create_app(runtime).test_client()


def test_the_front_page_is_the_list(browser: FlaskClient) -> None:
    page = browser.get("/")

    assert (page.status_code, page.location) == (302, "/subprocessors")


def test_an_empty_list_says_so(browser: FlaskClient) -> None:
    page = browser.get("/subprocessors")

    assert page.status_code == 200
    assert "No list has been published yet" in page.text


def test_the_list_names_each_subprocessor_in_force(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_version(session, ENTRIES)

    page = browser.get("/subprocessors").text

    for said in (
        "Fibrexemple",
        "Fibre noire",
        "1 rue des Essais",
        "75002 Paris",
        "France",
        "Beispiel GmbH",
        "Köln",
        "Germany",
    ):
        assert said in page
    assert "2 March 2026" in page


def test_the_list_reads_in_french_on_demand_and_by_the_browsers_wish(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_version(session, ENTRIES)

    for page in (
        browser.get("/subprocessors?lang=fr"),
        browser.get("/subprocessors", headers={"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.5"}),
    ):
        assert Page(page.text).language == "fr"
        assert "Allemagne" in page.text


def test_an_announced_change_comes_first_and_is_not_in_the_list_yet(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        announcement = make_announcement(session, runtime.desk)

    page = browser.get("/subprocessors").text

    announced, in_force = page.split("The list in force", 1)
    assert "Fibrexemple is replaced by Optexemple" in announced
    assert f'<time datetime="{announcement.effective_on.isoformat()}">' in announced
    assert "Optexemple" not in in_force


def test_a_change_that_is_live_is_in_the_list_and_no_longer_announced(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        announcement = make_announcement(session, runtime.desk)
        announcements.go_live(session, announcement.id, by="test", now=announcement.effective_at)

    page = browser.get("/subprocessors").text

    assert "Announced changes" not in page
    assert "Optexemple" in page


def test_the_downloaded_list_reads_back_as_it_is(browser: FlaskClient, runtime: Runtime) -> None:
    entries = [replace(entry, site_kind="production") for entry in ENTRIES]
    with runtime.transaction() as session:
        make_version(session, entries)

    file = browser.get("/subprocessors.csv")

    assert file.mimetype == "text/csv"
    assert file.headers["Content-Disposition"] == 'attachment; filename="subprocessors.csv"'
    assert file.data.startswith(b"\xef\xbb\xbf")
    assert list(read_register(file.data, filename="subprocessors.csv").entries) == entries


def test_a_draft_is_nobodys_business(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_version(session, now=NOON - timedelta(days=1))
        registry.add_entry(session, make_entry("Secretexemple"), by="test", now=NOON)

    assert "Secretexemple" not in browser.get("/subprocessors").text
    assert "Secretexemple" not in browser.get("/subprocessors.csv").text


def test_health_is_said_without_a_cookie(browser: FlaskClient) -> None:
    for path, said in (("/healthz", "ok\n"), ("/readyz", "ready\n")):
        page = browser.get(path)
        assert (page.status_code, page.text, page.mimetype) == (200, said, "text/plain")
        assert "Set-Cookie" not in page.headers


@pytest.fixture
def unmigrated(tmp_path: Path) -> Iterator[Runtime]:
    runtime = make_runtime(f"sqlite:///{tmp_path / 'empty.db'}", tmp_path)
    yield runtime
    runtime.close()


def test_an_instance_whose_database_is_not_migrated_lives_but_is_not_ready(unmigrated: Runtime) -> None:
    browser = create_app(unmigrated).test_client()

    assert browser.get("/healthz").status_code == 200
    assert (browser.get("/readyz").status_code, browser.get("/readyz").text) == (503, "the database needs migrating\n")


def test_an_instance_without_its_database_lives_but_is_not_ready(unmigrated: Runtime, tmp_path: Path) -> None:
    gone = replace(unmigrated, engine=make_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"))
    browser = create_app(gone).test_client()

    assert browser.get("/healthz").status_code == 200
    assert (browser.get("/readyz").status_code, browser.get("/readyz").text) == (503, "the database does not answer\n")
    with pytest.raises(sa.exc.OperationalError):
        gone.engine.connect()


def test_robots_are_kept_from_links_and_staff(browser: FlaskClient) -> None:
    said = browser.get("/robots.txt").text.splitlines()

    assert {"User-agent: *", "Disallow: /notice/", "Disallow: /sign-in", "Disallow: /staff/"} <= set(said)
