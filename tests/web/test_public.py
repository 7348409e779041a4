"""What anybody may see without signing in."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from notifier.adapters.lists import read_register
from notifier.models import AnnouncementKind
from notifier.runtime import Runtime, make_engine
from notifier.services import announcements, corrections, going_live, registry
from tests.factories import (
    NOON,
    REASONS,
    make_announcement,
    make_app,
    make_entry,
    make_provider,
    make_runtime,
    make_version,
)
from tests.services.stories import send_due
from tests.web.staffing import MOVE
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
    return make_app(runtime).test_client()


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
        send_due(session, runtime.desk, now=NOON)
        going_live.go_live(session, announcement.id, by="test", now=announcement.effective_at)

    page = browser.get("/subprocessors").text

    assert "Announced changes" not in page
    assert "Optexemple" in page


DISCLOSURE = {
    "authority": "Court of Examples",
    "basis_en": "An order.",
    "basis_fr": "Une ordonnance.",
    "scope_en": "The log of one account.",
    "scope_fr": "Le journal d’un compte.",
}


def write(runtime: Runtime, kind: AnnouncementKind, aspect: str, facts: dict[str, str], *, publish: bool) -> None:
    with runtime.transaction() as session:
        made = announcements.draft(
            session, kind=kind, aspect=aspect, facts=facts, reasons=REASONS, effective_on=date(2026, 9, 1),
            by="test", now=NOON,
        )  # fmt: skip
        if publish:
            announcements.publish_draft(session, runtime.desk, made.id, by="test", now=NOON)


def test_an_announced_move_is_told_to_everybody(browser: FlaskClient, runtime: Runtime) -> None:
    write(runtime, AnnouncementKind.LOCATION, "storage", MOVE, publish=True)

    page = browser.get("/subprocessors").text

    assert "Announced changes" in page
    assert "Change of hosting place" in page
    assert "The data is stored in Frankfurt." in page


def test_a_draft_of_a_move_is_told_to_nobody(browser: FlaskClient, runtime: Runtime) -> None:
    write(runtime, AnnouncementKind.LOCATION, "storage", MOVE, publish=False)

    assert "Announced changes" not in browser.get("/subprocessors").text


def test_a_disclosure_is_never_told_to_everybody(browser: FlaskClient, runtime: Runtime) -> None:
    write(runtime, AnnouncementKind.DISCLOSURE, "consultation", DISCLOSURE, publish=True)

    assert "Court of Examples" not in browser.get("/subprocessors").text


def test_what_is_withdrawn_is_announced_no_more(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        announcement = make_announcement(session, runtime.desk)
        corrections.withdraw(session, runtime.desk, announcement.id, reasons=REASONS, by="test", now=NOON)

    page = browser.get("/subprocessors").text

    assert "Announced changes" not in page
    assert "Optexemple" not in page


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
    browser = make_app(unmigrated).test_client()

    assert browser.get("/healthz").status_code == 200
    assert (browser.get("/readyz").status_code, browser.get("/readyz").text) == (503, "the database needs migrating\n")


def test_an_instance_without_its_database_lives_but_is_not_ready(unmigrated: Runtime, tmp_path: Path) -> None:
    gone = replace(unmigrated, engine=make_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"))
    browser = make_app(gone).test_client()

    assert browser.get("/healthz").status_code == 200
    assert (browser.get("/readyz").status_code, browser.get("/readyz").text) == (503, "the database does not answer\n")
    with pytest.raises(sa.exc.OperationalError):
        gone.engine.connect()


def test_robots_are_kept_from_links_and_staff(browser: FlaskClient) -> None:
    said = browser.get("/robots.txt").text.splitlines()

    assert {"User-agent: *", "Disallow: /notice/", "Disallow: /sign-in", "Disallow: /staff/"} <= set(said)
