"""What anybody may see without signing in."""

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from flask.testing import FlaskClient
from time_machine import Traveller

from notifier.adapters.exports import FORMATS
from notifier.adapters.registers import read_register
from notifier.models import AnnouncementKind, Role
from notifier.rules.entries import Place
from notifier.rules.hds_table import SENTENCES, TRANSLATIONS, Statement
from notifier.runtime import Runtime
from notifier.services import announcements, corrections, going_live, provider, registry
from tests.factories import (
    NOON,
    REASONS,
    make_announcement,
    make_app,
    make_entry,
    make_provider,
    make_version,
)
from tests.services.stories import send_due
from tests.web.staffing import MOVE, signed_in
from tests.web.visiting import Page, clock, runtime

__all__ = ["clock", "runtime"]

ENTRIES = [
    make_entry("Fibrexemple", address="1 rue des Essais", postcode="75002", town="Paris", activities=("Fibre noire",)),
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
    entries = [replace(one, places=(Place(country=one.country, site=one.town, kind="production"),)) for one in ENTRIES]
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


def test_a_change_that_was_announced_has_a_page_of_its_own(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        announcement = make_announcement(session, runtime.desk)

    assert f"/subprocessors/changes/{announcement.reference}" in Page(browser.get("/subprocessors").text).links


RICH = [
    make_entry("Fibrexemple", services=("Storage",), contact="Camille Roy", website="https://fibrexemple.example"),
    make_entry("Beispiel", country="DE", town="Köln", services=("Machines",)),
    make_entry("Unterbeispiel", country="NL", parent="beispiel", transfer="scc", places=(Place(country="NL"),)),
]


@pytest.fixture
def rich(browser: FlaskClient, runtime: Runtime) -> FlaskClient:
    with runtime.transaction() as session:
        make_version(session, RICH)
    return browser


def listed(page: str) -> list[str]:
    return re.findall(r'class="company-name[^>]*>\s*(?:<a [^>]*>)?([^<\n]+)', page)


def test_the_list_is_asked_for_one_service(rich: FlaskClient) -> None:
    page = rich.get("/subprocessors?service=Storage").text

    assert listed(page) == ["Fibrexemple", "Unterbeispiel"]  # the last names no service: all use it
    assert "2 of 3 subprocessors." in page
    assert "engaged by Beispiel" in page  # who is not shown


def test_the_list_is_asked_for_one_country(rich: FlaskClient) -> None:
    page = rich.get("/subprocessors?country=de").text

    assert listed(page) == ["Beispiel"]
    assert "/subprocessors.pdf?country=DE" in Page(page).links


def test_a_filter_that_leaves_nothing_says_so(rich: FlaskClient) -> None:
    page = rich.get("/subprocessors?service=Storage&country=JP&lang=en")

    assert page.status_code == 200
    assert "No subprocessor in the list" in page.text
    assert "0 of 3 subprocessors." in page.text


def test_the_map_says_its_numbers_beside_it(rich: FlaskClient) -> None:
    page = rich.get("/subprocessors").text

    assert '<svg viewBox="0 0 720' in page
    for country in ("France", "Germany", "Netherlands"):
        assert f'<th scope="row">{country}</th><td class="number">1</td>' in page
        assert f">{country} (1)</text>" in page


def test_no_person_is_named(rich: FlaskClient) -> None:
    assert "Camille" not in rich.get("/subprocessors").text
    for form in ("csv", "yaml", "json", "md"):
        assert "Camille" not in rich.get(f"/subprocessors.{form}").text


def test_a_website_is_a_link_where_a_browser_may_go_there(browser: FlaskClient, runtime: Runtime) -> None:
    sites = ("https://one.example", "javascript:alert(1)", "https://[half")
    with runtime.transaction() as session:
        make_version(session, [make_entry(f"Number {n}", website=site) for n, site in enumerate(sites)])

    page = browser.get("/subprocessors").text

    assert sites[0] in Page(page).links
    assert not any(site in page for site in sites[1:])


def test_the_list_is_downloaded_as_it_is_shown(rich: FlaskClient) -> None:
    for form in FORMATS:
        file = rich.get(f"/subprocessors.{form}?country=DE")
        assert file.status_code == 200
        assert file.content_type == FORMATS[form].media_type
        assert file.headers["Content-Disposition"] == f'attachment; filename="subprocessors.{form}"'
        if form != "pdf":
            read = read_register(file.data, filename=f"subprocessors.{form}").entries
            assert [entry.name for entry in read] == ["Beispiel"]
    assert rich.get("/subprocessors.docx").status_code == 404


def test_a_list_that_a_format_does_not_hold_is_refused_in_one_sentence(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_version(session, [make_entry(activities=("long " * 10_000,))])

    file = browser.get("/subprocessors.xlsx")

    assert file.status_code == 409
    assert "Download it in another one" in file.text
    assert "ETag" not in file.headers


# --- the table of HDS ------------------------------------------------------------------------------------------------


def test_the_table_of_hds_shows_what_nobody_has_stated(rich: FlaskClient) -> None:
    page = rich.get("/subprocessors/hds").text

    assert "Hébergement Exemple SAS" in page
    assert "further processor, engaged by Beispiel" in page
    assert "not stated" in page
    assert "neither yes nor no" in page
    assert "/subprocessors/hds" not in Page(rich.get("/subprocessors").text).links  # nobody says a word of HDS


def test_the_table_of_hds_says_what_the_host_says_of_itself(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_version(session, [replace(make_entry(), outside_access="no", third_country_law="no", transfer="none")])
        said = {"outside_access": "no", "third_country_law": "no", "transfer": "none"}
        provider.change_host(session, said, by="test", now=NOON)

    english, french = (browser.get(f"/subprocessors/hds?lang={one}").text for one in ("en", "fr"))

    sentence = SENTENCES[Statement.NO_TRANSFER]
    assert f'<p class="lead" lang="fr">{sentence}</p>' in english
    assert TRANSLATIONS[Statement.NO_TRANSFER] in english
    assert sentence in french
    assert TRANSLATIONS[Statement.NO_TRANSFER] not in french


def test_the_table_of_hds_is_linked_where_the_list_says_something_of_it(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_version(session, [replace(make_entry(), hds="yes", hds_activities=("1",))])

    assert "/subprocessors/hds" in Page(browser.get("/subprocessors").text).links


# --- kept by caches --------------------------------------------------------------------------------------------------

OPEN = (
    "/subprocessors", "/subprocessors.csv", "/subprocessors.pdf", "/subprocessors.atom", "/subprocessors/feed.json",
    "/subprocessors/hds", "/subprocessors/versions", "/subprocessors/versions/1", "/subprocessors/on/2026-03-01",
    "/subprocessors/compare",
)  # fmt: skip


def test_what_everybody_sees_is_kept_for_a_moment_and_looked_for_again(rich: FlaskClient) -> None:
    for path in OPEN:
        page = rich.get(path)
        assert page.cache_control.public
        assert page.cache_control.max_age == 300
        assert page.headers["Vary"] == "Accept-Language"
        assert page.last_modified == NOON
        tag, is_weak = page.get_etag()
        assert tag
        assert not is_weak
        again = rich.get(path, headers={"If-None-Match": page.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == page.headers["ETag"]
        assert rich.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


def test_the_tag_is_another_one_for_another_language_filter_or_list(rich: FlaskClient, runtime: Runtime) -> None:
    tags = [rich.get(f"/subprocessors{asked}").headers["ETag"] for asked in ("", "?country=DE", "?lang=fr")]
    tags.append(rich.get("/subprocessors", headers={"Accept-Language": "fr"}).headers["ETag"])
    with runtime.transaction() as session:
        make_announcement(session, runtime.desk)
    tags.append(rich.get("/subprocessors").headers["ETag"])

    assert len(set(tags)) == len(tags)


def test_the_tag_is_another_one_on_another_day(rich: FlaskClient, clock: Traveller) -> None:
    """A list of a day to come may read otherwise on the day after."""
    today = rich.get("/subprocessors").headers["ETag"]
    clock.shift(timedelta(days=1))

    assert rich.get("/subprocessors").headers["ETag"] != today


def test_a_page_that_was_not_found_is_kept_by_nobody(rich: FlaskClient) -> None:
    page = rich.get("/subprocessors/versions/9")

    assert page.status_code == 404
    assert "ETag" not in page.headers
    assert page.headers["Cache-Control"] == "no-cache"


def test_whoever_is_signed_in_sees_what_everybody_sees(runtime: Runtime, clock: Traveller) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        make_version(session, RICH)
    clerk = signed_in(runtime, clock, Role.ACCOUNT_MANAGER)
    stranger = make_app(runtime).test_client()

    seen, open_to_all = clerk.get("/subprocessors"), stranger.get("/subprocessors")

    assert seen.data == open_to_all.data
    for page in (seen, open_to_all):
        assert "Set-Cookie" not in page.headers
        assert page.headers["Vary"] == "Accept-Language"
    assert clerk.get("/staff/").status_code == 200
