"""What was published and announced to everybody, at addresses that stay."""

from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient
from sqlmodel import select
from time_machine import Traveller

from notifier.models import Announcement, AnnouncementKind
from notifier.runtime import Runtime
from notifier.services import announcements, corrections, going_live, registry
from notifier.web import public_history
from tests.factories import (
    NOON,
    REASONS,
    make_announcement,
    make_app,
    make_client,
    make_entry,
    make_provider,
    make_version,
)
from tests.services.stories import send_due
from tests.web.staffing import MOVE
from tests.web.visiting import FACTS, Page, clock, runtime

__all__ = ["clock", "runtime"]

pytestmark = pytest.mark.usefixtures("clock")

A_DAY = timedelta(days=1)
BEFORE = NOON - 10 * A_DAY
SENTENCE = "Write a day as year, month and day"


@pytest.fixture
def browser(runtime: Runtime) -> FlaskClient:
    """The first version holds, and the second is announced to a client."""
    with runtime.transaction() as session:
        make_provider(session)
        make_version(session, [make_entry("Equinix", contact="Camille Roy"), make_entry("Fibrexemple")], now=BEFORE)
        make_client(session, company="Acme Health")
        make_announcement(session, runtime.desk)
    return make_app(runtime).test_client()


def announced(runtime: Runtime) -> Announcement:
    with runtime.reading() as session:
        found = session.exec(select(Announcement)).one()
        session.expunge_all()
    return found


def put_in_force(runtime: Runtime) -> None:
    made = announced(runtime)
    with runtime.transaction() as session:
        send_due(session, runtime.desk, now=NOON)
    with runtime.transaction() as session:
        going_live.go_live(session, made.id, by="test", now=made.effective_at)


def withdraw(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        found = session.exec(select(Announcement)).one()
        corrections.withdraw(session, runtime.desk, found.id, reasons=REASONS, by="test", now=NOON)


# --- versions --------------------------------------------------------------------------------------------------------


def test_the_history_has_a_line_for_each_version(browser: FlaskClient, runtime: Runtime) -> None:
    page = browser.get("/subprocessors/versions").text

    newest, first = page.split("/subprocessors/versions/1", 1)
    assert "Fibrexemple is replaced by Optexemple" in newest
    assert "announced for" in newest
    assert announced(runtime).effective_on.isoformat() in newest
    assert "The first list" in first
    assert "in force" in first


def test_a_history_without_a_version_says_so(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_provider(session)

    assert "No list has been published yet" in make_app(runtime).test_client().get("/subprocessors/versions").text


def test_a_long_history_has_several_pages(browser: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_history, "ON_A_PAGE", 1)
    page = browser.get("/subprocessors/versions").text

    assert "/subprocessors/versions/1" not in page
    assert "/subprocessors/versions?before=2" in Page(page).links
    older = browser.get("/subprocessors/versions?before=2").text
    assert "/subprocessors/versions/1" in Page(older).links
    assert 'rel="next"' not in older


def test_a_version_that_is_announced_says_from_which_day(browser: FlaskClient, runtime: Runtime) -> None:
    page = browser.get("/subprocessors/versions/2").text

    assert "It is not in force yet." in page
    assert announced(runtime).effective_on.isoformat() in page
    assert "Optexemple" in page.partition("The list of this version")[2]


def test_the_announced_day_of_a_version_is_the_one_that_holds_now(browser: FlaskClient, runtime: Runtime) -> None:
    later = announced(runtime).effective_on + 40 * A_DAY
    with runtime.transaction() as session:
        one = session.exec(select(Announcement.id)).one()
        corrections.postpone(session, runtime.desk, one, effective_on=later, reasons=REASONS, by="test", now=NOON)

    assert later.isoformat() in browser.get("/subprocessors/versions/2").text


def test_a_version_that_was_withdrawn_says_so(browser: FlaskClient, runtime: Runtime) -> None:
    withdraw(runtime)

    assert "never: withdrawn" in browser.get("/subprocessors/versions").text
    assert "was withdrawn and never holds" in browser.get("/subprocessors/versions/2").text


def test_the_version_in_force_is_the_last_one(browser: FlaskClient, runtime: Runtime, clock: Traveller) -> None:
    made = announced(runtime)
    put_in_force(runtime)
    clock.move_to(made.effective_at + A_DAY)

    page = browser.get("/subprocessors/versions").text
    newest, first = page.split("/subprocessors/versions/1", 1)

    badge = '<span class="badge good">in force</span>'
    assert badge in newest
    assert badge not in first


def test_there_is_no_other_version(browser: FlaskClient) -> None:
    for number in ("9", "0", "99999999999999999999"):
        page = browser.get(f"/subprocessors/versions/{number}")
        assert page.status_code == 404
        assert "The registry has no such version." in page.text


def test_a_draft_is_no_version(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        registry.add_entry(session, make_entry("Secretexemple"), by="test", now=NOON)

    for path in ("versions", "versions/2", f"on/{announced(runtime).effective_on}"):
        assert "Secretexemple" not in browser.get(f"/subprocessors/{path}").text


# --- changes ---------------------------------------------------------------------------------------------------------


def test_a_change_keeps_its_page_whatever_becomes_of_it(browser: FlaskClient, runtime: Runtime) -> None:
    address = f"/subprocessors/changes/{announced(runtime).reference}"
    asked = browser.get(address).text
    put_in_force(runtime)
    made = browser.get(address).text

    for page in (asked, made):
        assert "Fibrexemple is replaced by Optexemple" in page
        assert '<th scope="col">Before</th>' in page
    assert '<span class="badge calm">announced</span>' in asked
    assert '<span class="badge good">in force</span>' in made


def test_a_change_that_was_withdrawn_says_so(browser: FlaskClient, runtime: Runtime) -> None:
    withdraw(runtime)
    page = browser.get(f"/subprocessors/changes/{announced(runtime).reference}").text

    assert "the change is not made" in page
    assert "Withdrawn." in page


def test_no_client_no_reason_and_no_person_is_told(browser: FlaskClient, runtime: Runtime) -> None:
    put_in_force(runtime)
    reference = announced(runtime).reference

    for path in ("", "/versions", "/versions/1", "/versions/2", f"/changes/{reference}", "/feed.json", ".atom"):
        page = browser.get(f"/subprocessors{path}")
        assert page.status_code == 200
        for secret in ("Acme", REASONS["en"], "Camille", "C-001"):
            assert secret not in page.text


@pytest.mark.parametrize("publish", [True, False])
def test_what_is_not_everybodys_has_no_page(browser: FlaskClient, runtime: Runtime, *, publish: bool) -> None:
    """What clients alone are told, and a draft of what everybody would see."""
    kind = AnnouncementKind.CERTIFICATION if publish else AnnouncementKind.LOCATION
    facts, aspect = (FACTS["certification", "lost"], "lost") if publish else (MOVE, "storage")
    with runtime.transaction() as session:
        made = announcements.draft(
            session, kind=kind, aspect=aspect, facts=facts, reasons=REASONS,
            effective_on=date(2026, 9, 1), by="test", now=NOON,
        )  # fmt: skip
        if publish:
            announcements.publish_draft(session, runtime.desk, made.id, by="test", now=NOON)

    page = browser.get(f"/subprocessors/changes/{made.reference}")

    assert page.status_code == 404
    assert "There is no such announcement." in page.text


# --- days ------------------------------------------------------------------------------------------------------------


def test_the_list_of_a_day(browser: FlaskClient, runtime: Runtime) -> None:
    then = announced(runtime).effective_on

    for address in (f"/on/{NOON.date()}", f"/on?day={NOON.date()}"):
        page = browser.get(f"/subprocessors{address}").text
        assert "Fibrexemple" in page
        assert "Optexemple" not in page
        assert "may still be postponed" not in page
    expected = browser.get(f"/subprocessors/on/{then}").text
    assert "Optexemple" in expected
    assert "may still be postponed" in expected
    assert "No list was in force on that day." in browser.get("/subprocessors/on/2020-01-01").text


def test_two_days_are_compared(browser: FlaskClient, runtime: Runtime) -> None:
    then, address = announced(runtime).effective_on, "/subprocessors/compare?from={}&to={}"
    page = browser.get(address.format(NOON.date(), then)).text

    assert "Fibrexemple is replaced by Optexemple" in page
    assert "2 subprocessors on the first day, 2 on the second." in page
    assert "Optexemple is replaced by Fibrexemple" not in page
    assert "Nothing changed between these days." in browser.get(address.format(NOON.date(), NOON.date())).text
    assert "Equinix is added" in browser.get(address.format("2020-01-01", NOON.date())).text


def test_a_day_that_is_none_is_refused_in_one_sentence(browser: FlaskClient) -> None:
    for asked in (
        "compare?from=2026-13-01&to=2026-03-01",
        "compare?from=2026-03-01",
        "compare?from=&to=",
        "compare?from=yesterday&to=2026-03-01",
        "compare?from=0001-01-01&to=9999-12-31",
        "on?day=",
        "on/soon",
        "on/9999-12-31",
    ):
        page = browser.get(f"/subprocessors/{asked}")
        assert page.status_code == 422
        assert SENTENCE in page.text
        assert "ETag" not in page.headers


def test_what_was_typed_is_kept(browser: FlaskClient) -> None:
    page = Page(browser.get("/subprocessors/compare?from=2026-03-01&to=soon&lang=fr").text)

    assert dict(page.forms[0].fields) == {"lang": "fr", "from": "2026-03-01", "to": "soon"}


def test_nothing_asked_is_nothing_wrong(browser: FlaskClient) -> None:
    for path in ("on", "compare"):
        page = browser.get(f"/subprocessors/{path}")
        assert page.status_code == 200
        assert SENTENCE not in page.text
