"""The registry: what is in force on which day, its versions, one entry through them, the draft, and what is missing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from time_machine import Traveller

from notifier.adapters.registers import read_register
from notifier.models import Role
from notifier.rules.entries import Certificate, Entry, Place
from notifier.runtime import Runtime
from notifier.services import registry
from tests.factories import NOON, make_entry, make_provider
from tests.web.staffing import Staffer, clock, desk_clerk, runtime, signed_in

__all__ = ["clock", "desk_clerk", "runtime"]

REGISTRY = "/staff/registry"
DRAFT = f"{REGISTRY}/draft"
SITE = make_entry("Equinix")
FIBRE = make_entry("Fibrexemple")
LATER = NOON + timedelta(hours=11, minutes=30)  # past midnight in Paris, and still signed in


def draft(clerk: Staffer, *content: Entry) -> None:
    with clerk.runtime.transaction() as session:
        registry.replace_draft(session, content, by="test", now=NOON)


def publish(clerk: Staffer, content: Sequence[Entry], *, at: datetime = LATER) -> None:
    """Let another version be published at an instant and hold at once."""
    with clerk.runtime.transaction() as session:
        registry.replace_draft(session, content, by="test", now=at)
        version = registry.number_draft(session, effective_at=at, by="test", now=at)
        version.live_at = at
        session.add(version)
    clerk.clock.move_to(at + timedelta(minutes=1))


def drafted(runtime: Runtime) -> dict[str, Entry]:
    with runtime.reading() as session:
        return {entry.key: entry for entry in registry.entries(session, registry.draft(session))}


def test_the_registry_shows_what_is_in_force_since_when_and_every_version(desk_clerk: Staffer) -> None:
    page = desk_clerk.get(REGISTRY).text

    assert "Last updated" in page
    assert f'href="{REGISTRY}/entries/fibrexemple"' in page
    assert f'href="{REGISTRY}/versions/1"' in page


def test_an_empty_registry_says_what_to_do_next(runtime: Runtime, clock: Traveller) -> None:
    with runtime.transaction() as session:
        make_provider(session)
    clerk = signed_in(runtime, clock, Role.ACCOUNT_MANAGER)

    pages = {path: clerk.get(path) for path in (REGISTRY, DRAFT, f"{REGISTRY}/completeness", f"{REGISTRY}/comparison")}

    assert {page.status_code for page in pages.values()} == {200}
    assert f'href="{REGISTRY}/import"' in pages[REGISTRY].text
    assert "The list is empty. Import a file, or add an entry." in pages[DRAFT].text


def test_the_list_is_shown_as_it_stood_on_a_day_and_as_was_known_then(desk_clerk: Staffer) -> None:
    publish(desk_clerk, [SITE, make_entry("Optexemple")])
    day = NOON.date().isoformat()

    now, then = desk_clerk.get(REGISTRY).text, desk_clerk.get(f"{REGISTRY}?on={day}").text
    known = desk_clerk.get(f"{REGISTRY}?known_on={day}").text
    expected = desk_clerk.get(f"{REGISTRY}?on=2026-03-03&known_on={day}").text

    assert ("entries/optexemple" in now, "entries/fibrexemple" in now) == (True, False)
    for page in (then, known, expected):
        assert ("entries/optexemple" in page, "entries/fibrexemple" in page) == (False, True)


def test_a_day_that_is_none_is_refused_beside_its_field(desk_clerk: Staffer) -> None:
    none = desk_clerk.get(f"{REGISTRY}?on=2026-02-31")
    to_come = desk_clerk.get(f"{REGISTRY}?known_on=2030-01-01")

    assert (none.status_code, to_come.status_code) == (422, 422)
    assert 'id="on-error"' in none.text
    assert 'id="known_on-error"' in to_come.text


def test_of_a_service_only_what_it_uses_is_shown_and_downloaded(desk_clerk: Staffer) -> None:
    publish(desk_clerk, [replace(SITE, services=("Object storage",)), replace(FIBRE, services=("Telephony",))])

    page = desk_clerk.get(f"{REGISTRY}?service=Telephony").text
    file = desk_clerk.get(f"{REGISTRY}/export/json?service=Telephony")

    assert ("entries/equinix" in page, "entries/fibrexemple" in page) == (False, True)
    assert [one.key for one in read_register(file.data, filename="list.json").entries] == ["fibrexemple"]


def test_what_is_downloaded_reads_back_as_it_was(desk_clerk: Staffer) -> None:
    draft(desk_clerk, SITE, replace(FIBRE, places=(Place(country="DE", site="Francfort"),)))
    paths = {
        path: desk_clerk.get(f"{REGISTRY}/export/{path}") for path in ("csv", "yaml?version=1", "md?version=draft")
    }
    found = {path: read_register(file.data, filename=path[:4].rstrip("?")) for path, file in paths.items()}

    assert [list(one.entries) for one in found.values()] == [
        [SITE, FIBRE],
        [SITE, FIBRE],
        list(drafted(desk_clerk.runtime).values()),
    ]
    assert paths["csv"].headers["Content-Disposition"].endswith(f"subprocessors-{NOON.date()}.csv")
    assert desk_clerk.get(f"{REGISTRY}/export/exe").status_code == 404


def test_a_version_shows_what_changed_in_it_and_what_was_only_written_differently(desk_clerk: Staffer) -> None:
    publish(desk_clerk, [replace(SITE, name="EQUINIX"), replace(FIBRE, town="Lyon")])

    first, second = (desk_clerk.get(f"{REGISTRY}/versions/{number}").text for number in (1, 2))

    assert "What changed against the version before" not in first
    assert "<td>Paris</td><td>Lyon</td>" in second
    assert "1 entry is only written differently: no version, no notice." in second


def test_two_versions_are_compared_in_either_direction(desk_clerk: Staffer) -> None:
    publish(desk_clerk, [SITE, replace(FIBRE, town="Lyon")])
    draft(desk_clerk, SITE, replace(FIBRE, town="Metz"))

    forth = desk_clerk.get(f"{REGISTRY}/comparison?old=1&new=draft").text
    back = desk_clerk.get(f"{REGISTRY}/comparison?old=2&new=1").text

    assert "<td>Paris</td><td>Metz</td>" in forth
    assert "<td>Lyon</td><td>Paris</td>" in back
    assert desk_clerk.get(f"{REGISTRY}/comparison?old=1&new=nonsense").status_code == 404


def test_an_entry_is_shown_through_the_versions_with_the_chain_it_stands_in(desk_clerk: Staffer) -> None:
    publish(desk_clerk, [SITE, replace(FIBRE, name="Optexemple", parent="equinix")])

    page = desk_clerk.get(f"{REGISTRY}/entries/fibrexemple").text

    assert "Fibrexemple is added" in page
    assert "<td>Fibrexemple</td><td>Optexemple</td>" in page
    assert f'Engaged by: <a href="{REGISTRY}/entries/equinix">Equinix</a>' in page
    assert f'Engages: <a href="{REGISTRY}/entries/fibrexemple">' in desk_clerk.get(f"{REGISTRY}/entries/equinix").text
    assert desk_clerk.get(f"{REGISTRY}/entries/stranger").status_code == 404


def test_an_entry_that_has_left_keeps_its_page(desk_clerk: Staffer) -> None:
    publish(desk_clerk, [SITE])

    page = desk_clerk.get(f"{REGISTRY}/entries/fibrexemple").text

    assert "no longer listed" in page
    assert "Fibrexemple is removed" in page


def test_the_draft_says_what_each_change_needs(desk_clerk: Staffer) -> None:
    site = replace(SITE, places=(Place(country="FR", site="Pantin"),))
    publish(desk_clerk, [site, FIBRE, make_entry("Mailexemple")])
    moved = replace(site, places=(Place(country="IE", site="Dublin"),), security="lower")
    called = make_entry("Appelexemple", outside_access="yes", outside_countries=("MA",))
    draft(desk_clerk, moved, replace(FIBRE, name="FIBREXEMPLE"), called)

    page = desk_clerk.get(DRAFT).text

    assert "place of processing, France → Ireland" in page
    assert "Consent, under most contracts: lower level of security" in page
    assert "Consent, under most contracts: access from Morocco" in page
    assert page.count("Told in time: clients may object") == 1
    assert page.count("Listed only: nobody’s period runs") == 1  # Mailexemple leaves
    assert "1 entry is only written differently" in page
    assert "These are two companies" not in page


def test_of_a_first_list_nobody_needs_to_be_told(runtime: Runtime, clock: Traveller) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        registry.replace_draft(session, [SITE, FIBRE], by="test", now=NOON)

    page = signed_in(runtime, clock, Role.ACCOUNT_MANAGER).get(DRAFT).text

    assert "Nobody needs to be told of it." in page
    assert "clients may object" not in page


def test_what_is_missing_is_said_with_its_source_and_what_ends_comes_first(desk_clerk: Staffer) -> None:
    gone = Certificate(standard="ISO 27001", expires_on=(NOON - timedelta(days=5)).date().isoformat())
    soon = Certificate(standard="ISO 27701", expires_on=(NOON + timedelta(days=20)).date().isoformat())
    draft(desk_clerk, replace(FIBRE, certificates=(soon,)), replace(SITE, certificates=(gone,)))

    page = desk_clerk.get(f"{REGISTRY}/completeness").text
    of_hds = desk_clerk.get(f"{REGISTRY}/completeness?pack=outscale-hds-2022").text

    assert page.index("ISO 27001") < page.index("has ended") < page.index("ISO 27701") < page.index("ends soon")
    assert 'Contact person <span class="quiet">(EDPB Opinion 22/2024' in page
    assert "HDS v1" not in page
    assert "HDS v1" in of_hds
    assert "more under HDS v2" in of_hds
    assert " known</span>" in desk_clerk.get(REGISTRY).text


def test_the_draft_can_be_thrown_away(desk_clerk: Staffer) -> None:
    draft(desk_clerk, SITE)

    desk_clerk.send(DRAFT, "/discard")

    assert "There is no draft. This is the list as published" in desk_clerk.get(DRAFT).text


def test_an_auditor_reads_everything_and_is_offered_nothing_else(desk_clerk: Staffer) -> None:
    draft(desk_clerk, replace(SITE, name="Equinix Deux"), FIBRE)
    auditor = desk_clerk.as_role(Role.AUDITOR)

    pages = [
        auditor.get(f"{REGISTRY}{path}") for path in ("", "/draft", "/completeness", "/entries/equinix", "/export/csv")
    ]

    assert {page.status_code for page in pages} == {200}
    assert not any("/draft/entries" in page.text or "/import" in page.text for page in pages)


def test_without_a_draft_there_is_nothing_to_preview(desk_clerk: Staffer) -> None:
    assert desk_clerk.get(f"{DRAFT}/preview").status_code == 409


def test_a_first_list_that_somebody_has_changed_is_previewed_anew(runtime: Runtime, clock: Traveller) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        registry.replace_draft(session, [make_entry()], by="test", now=NOON)
    clerk = signed_in(runtime, clock, Role.ACCOUNT_MANAGER)
    shown = clerk.get(f"{DRAFT}/preview")
    with runtime.transaction() as session:
        registry.add_entry(session, make_entry("Nouvelexemple"), by="test", now=NOON)

    refused = clerk.send(shown, "/versions")

    assert refused.status_code == 409
    assert "Somebody else has changed the draft since you looked." in refused.text
    assert clerk.send(refused, "/versions").status_code == 303


def test_a_second_first_list_is_refused(runtime: Runtime, clock: Traveller) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        registry.replace_draft(session, [make_entry()], by="test", now=NOON)
    clerk = signed_in(runtime, clock, Role.ACCOUNT_MANAGER)
    shown = clerk.get(f"{DRAFT}/preview")
    clerk.send(shown, "/versions")

    again = clerk.send(shown, "/versions")

    assert again.status_code == 409
    assert "The registry does not take this as it stands now." in again.text


def test_the_first_list_is_put_in_force_without_telling_anybody(runtime: Runtime, clock: Traveller) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        registry.replace_draft(session, [make_entry()], by="test", now=NOON)
    clerk = signed_in(runtime, clock, Role.ACCOUNT_MANAGER)

    done = clerk.send(f"{DRAFT}/preview", "/versions")

    assert (done.status_code, done.location) == (303, "/staff/registry/versions/1")
    assert "Fibrexemple" in clerk.get("/subprocessors").text
