"""Reading a list into the draft: a dry run, and what is taken when it is confirmed."""

from io import BytesIO

import pytest
from werkzeug.test import TestResponse

from notifier.models import Role
from notifier.rules.entries import Entry, Place
from notifier.services import registry
from notifier.web import staff_imports
from tests.factories import NOON, make_entry
from tests.web.staffing import Staffer, clock, desk_clerk, runtime
from tests.web.visiting import Page

__all__ = ["clock", "desk_clerk", "runtime"]

IMPORT = "/staff/registry/import"
# Somebody else's list: a new entry, one of ours under a longer name, one that may be ours, and a column of their own.
LIST = (
    "Provider;What is done;Location;Budget\n"
    "Equinix SAS;Fibre noire;Lyon, France;12\n"
    "Fibrex;Fibre noire;;3\n"
    "Autreville;Sauvegarde;;\n"
)
COLUMNS = "What is done = activities\n"


def chosen(content: str, name: str = "list.csv") -> dict[str, object]:
    return {"file": (BytesIO(content.encode()), name)}


def check(clerk: Staffer, content: str = LIST, name: str = "list.csv", columns: str = COLUMNS) -> TestResponse:
    return clerk.send(IMPORT, "/import", {**chosen(content, name), "columns": columns})


def drafted(clerk: Staffer) -> dict[str, Entry]:
    with clerk.runtime.reading() as session:
        return {entry.key: entry for entry in registry.entries(session, registry.draft(session))}


def asked(page: TestResponse) -> str:
    """Return the name of the first question that must be answered yes or no."""
    form = next(form for form in Page(page.text).forms if form.action.endswith("/draft"))
    return next(name for name, values in form.offered.items() if values == ["same", "apart"])


def test_a_list_is_shown_first_and_taken_when_it_is_confirmed(desk_clerk: Staffer) -> None:
    shown = check(desk_clerk)
    before = drafted(desk_clerk)
    taken = desk_clerk.send(shown, "/import/draft", {asked(shown): "same"})

    assert (shown.status_code, before, taken.status_code) == (200, {}, 303)
    assert "<strong>3</strong> entries read" in shown.text
    assert "row 1, Budget: it is not known what this column says" in shown.text
    assert "in which country is Autreville?" in shown.text
    after = drafted(desk_clerk)
    assert {key: one.name for key, one in after.items()} == {
        "equinix": "Equinix SAS",
        "fibrexemple": "Fibrex",
        "autreville": "Autreville",
    }
    assert after["equinix"].places == (Place(country="FR", site="Lyon"),)
    assert after["equinix"].town == "Paris"  # the list has no column for it


def test_what_the_list_has_no_column_for_can_be_taken_off(desk_clerk: Staffer) -> None:
    shown = check(desk_clerk, "Name,Activity\nEquinix,Fibre noire\nFibrexemple,Fibre noire\n", columns="")

    assert "Nothing: the list says the same" in shown.text
    desk_clerk.send(shown, "/import/draft", {"keeps": ""})

    assert drafted(desk_clerk)["equinix"] == Entry(key="equinix", name="Equinix", activities=("Fibre noire",))


def test_whether_it_is_the_same_company_must_be_answered(desk_clerk: Staffer) -> None:
    shown = check(desk_clerk)

    refused = desk_clerk.send(shown, "/import/draft")
    taken = desk_clerk.send(refused, "/import/draft", {asked(refused): "apart"})

    assert (refused.status_code, taken.status_code) == (422, 303)
    assert "Say whether Fibrex is the same company." in refused.text
    assert set(drafted(desk_clerk)) == {"equinix", "fibrex", "autreville"}


def test_a_match_is_shown_and_can_be_undone(desk_clerk: Staffer) -> None:
    shown = check(desk_clerk, "Name,Activity\nEquinix SAS,Fibre noire\nFibrexemple,Fibre noire\n", columns="")

    again = desk_clerk.send(shown, "/import/draft", {"answer_0": "apart"})

    assert "Equinix → Equinix SAS" in shown.text
    assert again.status_code == 303
    assert set(drafted(desk_clerk)) == {"equinix-sas", "fibrexemple"}


def test_columns_are_changed_heading_by_heading(desk_clerk: Staffer) -> None:
    shown = check(desk_clerk, "Name,What,Note\nEquinix,Fibre noire,Lyon\n", columns="")
    form = next(form for form in Page(shown.text).forms if form.action.endswith("/draft"))
    fields = dict(form.fields)
    fields |= {"field_1": "activities", "field_2": "town"}

    again = desk_clerk.browser.post(IMPORT, data=fields)
    desk_clerk.send(again, "/import/draft")

    assert "What = activities\nNote = town" in again.text
    kept = drafted(desk_clerk)["equinix"]
    assert (kept.activities, kept.town) == (("Fibre noire",), "Lyon")


def test_a_list_that_differs_only_in_writing_changes_nothing(desk_clerk: Staffer) -> None:
    content = "Name,Activity,Town,Country\nEQUINIX,fibre  noire,PARIS,FR\nFibrexemple,Fibre noire,Paris,FR\n"

    shown = check(desk_clerk, content, columns="")

    assert "<strong>0</strong> changes" in shown.text
    assert "<strong>1</strong> only written differently" in shown.text


def test_a_page_of_somebody_is_read_too(desk_clerk: Staffer) -> None:
    page = "# Subprocessors\n\n| Name | Purpose |\n|---|---|\n| Equinix | Fibre noire |\n"

    assert "<strong>1</strong> entry read" in check(desk_clerk, page, "list.md").text


def test_a_file_that_is_no_list_is_refused_and_the_columns_stay(desk_clerk: Staffer) -> None:
    refused = check(desk_clerk, "Who,Why\nEquinix,Fibre noire\n", columns="Why = activities")

    assert refused.status_code == 422
    assert "there is no list of subprocessors in this file" in refused.text
    assert ">Why = activities</textarea>" in refused.text


def test_without_a_file_or_with_columns_nobody_knows_the_form_says_so(desk_clerk: Staffer) -> None:
    nothing = desk_clerk.send(IMPORT, "/import")
    unknown = check(desk_clerk, columns="Why = colour")

    assert (nothing.status_code, unknown.status_code) == (422, 422)
    assert "Choose a file." in nothing.text
    assert 'id="columns-error"' in unknown.text


def test_of_two_who_edit_at_once_the_second_looks_again(desk_clerk: Staffer) -> None:
    shown = check(desk_clerk, "Name,Activity\nEquinix,Fibre noire\n", columns="")
    with desk_clerk.runtime.transaction() as session:
        registry.add_entry(session, make_entry("Entretemps"), by="test", now=NOON)

    refused = desk_clerk.send(shown, "/import/draft")

    assert refused.status_code == 422
    assert "Somebody else has changed the draft since you looked." in refused.text
    assert "entretemps" in drafted(desk_clerk)
    assert desk_clerk.send(refused, "/import/draft").status_code == 303


def test_a_file_too_large_for_the_page_is_chosen_again(desk_clerk: Staffer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staff_imports, "LARGEST_PACKED", 10)
    content = "Name,Activity\nEquinix,Fibre noire\n"
    shown = check(desk_clerk, content, columns="")

    other = desk_clerk.send(shown, "/import/draft", chosen(content.replace("noire", "grise")))
    taken = desk_clerk.send(shown, "/import/draft", chosen(content))

    assert "The same file once more" in shown.text
    assert "This is another file than the one you looked at." in other.text
    assert (other.status_code, taken.status_code) == (422, 303)


def test_what_comes_back_in_the_page_is_guarded_as_an_upload_is(desk_clerk: Staffer) -> None:
    shown = check(desk_clerk, "Name,Activity\nEquinix,Fibre noire\n", columns="")

    assert desk_clerk.send(shown, "/import/draft", {"content": "no packed file"}).status_code == 422


def test_only_editors_import(desk_clerk: Staffer) -> None:
    auditor = desk_clerk.as_role(Role.AUDITOR)

    assert auditor.get(IMPORT).status_code == 403
    assert auditor.post("/staff/registry/draft", IMPORT, {}).status_code == 403
