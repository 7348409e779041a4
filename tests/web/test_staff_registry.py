"""Editing the registry: the draft entry by entry, or as a whole list."""

from io import BytesIO

import pytest
from time_machine import Traveller

from notifier.models import Role
from notifier.rules.registry_diff import Entry
from notifier.runtime import Runtime
from notifier.services import registry
from tests.factories import NOON, make_entry, make_provider
from tests.web.staffing import Staffer, clock, desk_clerk, runtime, signed_in

__all__ = ["clock", "desk_clerk", "runtime"]

DRAFT = "/staff/registry/draft"
LIST = "name,activity,town,country\nEquinix,Fibre noire,Paris,France\nNouvelexemple,Sauvegarde,Lyon,\n"


def drafted(runtime: Runtime) -> dict[str, Entry]:
    with runtime.reading() as session:
        return {entry.key: entry for entry in registry.entries(session, registry.draft(session))}


def upload(clerk: Staffer, content: str) -> str:
    done = clerk.send(DRAFT, "/draft", {"file": (BytesIO(content.encode()), "list.csv")})
    return clerk.get(done.location).text if done.location else done.text


def test_the_registry_shows_what_is_in_force_and_every_version(desk_clerk: Staffer) -> None:
    page = desk_clerk.get("/staff/registry").text

    assert "Version 1, live since" in page
    assert "Fibrexemple" in page


def test_a_version_shows_what_changed_in_it(desk_clerk: Staffer) -> None:
    page = desk_clerk.get("/staff/registry/versions/1").text

    assert "Fibrexemple" in page
    assert '<span class="badge">added</span>' in page


def test_an_entry_is_added(desk_clerk: Staffer) -> None:
    typed = {"name": "Nouvelexemple", "activity": "Sauvegarde", "country": "Allemagne"}

    done = desk_clerk.send(f"{DRAFT}/entries/new", "/entries", typed)

    assert done.status_code == 303
    assert drafted(desk_clerk.runtime)["nouvelexemple"].country == "DE"


def test_an_entry_takes_the_place_of_another(desk_clerk: Staffer) -> None:
    typed = {"name": "Nouvelexemple", "activity": "Fibre noire"}

    desk_clerk.send(f"{DRAFT}/entries/new?replaces=fibrexemple", "/entries", typed)

    assert drafted(desk_clerk.runtime)["nouvelexemple"].replaces == "fibrexemple"
    assert "Fibrexemple → Nouvelexemple: replaced" in desk_clerk.get(DRAFT).text


def test_an_entry_is_amended_and_its_preview_shows_before_and_after(desk_clerk: Staffer) -> None:
    desk_clerk.send(f"{DRAFT}/entries/fibrexemple", "/fibrexemple", {"town": "Lyon"})

    page = desk_clerk.get(f"{DRAFT}/preview").text

    assert "<td>Paris</td><td>Lyon</td>" in page


def test_an_entry_is_removed(desk_clerk: Staffer) -> None:
    desk_clerk.send(DRAFT, "/fibrexemple/removal")

    assert set(drafted(desk_clerk.runtime)) == {"equinix"}


@pytest.mark.parametrize(("field", "text"), [("name", " "), ("activity", ""), ("country", "Atlantis")])
def test_an_entry_that_cannot_be_taken_is_shown_again_as_typed(desk_clerk: Staffer, field: str, text: str) -> None:
    typed = {"name": "Nouvelexemple", "activity": "Sauvegarde", "town": "Lyon", field: text}

    refused = desk_clerk.send(f"{DRAFT}/entries/new", "/entries", typed)

    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text
    assert 'value="Lyon"' in refused.text


def test_of_two_who_edit_at_once_the_second_is_told_and_loses_nothing_typed(desk_clerk: Staffer) -> None:
    desk_clerk.send(f"{DRAFT}/entries/equinix", "/equinix", {"town": "Lille"})
    opened = desk_clerk.get(f"{DRAFT}/entries/fibrexemple")
    desk_clerk.send(f"{DRAFT}/entries/equinix", "/equinix", {"town": "Metz"})

    refused = desk_clerk.send(opened, "/fibrexemple", {"town": "Lyon"})
    again = desk_clerk.send(refused, "/fibrexemple")

    assert (refused.status_code, again.status_code) == (409, 303)
    assert "Somebody else has changed the draft" in refused.text
    assert drafted(desk_clerk.runtime)["fibrexemple"].town == "Lyon"


def test_a_whole_list_is_imported_and_its_open_questions_are_asked(desk_clerk: Staffer) -> None:
    page = upload(desk_clerk, LIST)

    assert "The draft now has 2 entries." in page
    assert "in which country is Nouvelexemple?" in page


def test_a_list_with_faults_is_refused_row_by_row(desk_clerk: Staffer) -> None:
    page = upload(desk_clerk, LIST + "Sansactivite,,Lyon,FR\n")

    assert "row 4, activity: this cell is empty; fill it in" in page
    assert drafted(desk_clerk.runtime) == {}


def test_no_file_chosen_is_said(desk_clerk: Staffer) -> None:
    assert "Choose a CSV file." in desk_clerk.send(DRAFT, "/draft").text


def test_the_draft_can_be_thrown_away(desk_clerk: Staffer) -> None:
    upload(desk_clerk, LIST)

    desk_clerk.send(DRAFT, "/discard")

    assert "There is no draft. This is the list as published" in desk_clerk.get(DRAFT).text


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
