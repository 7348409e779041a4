"""Editing the entries of the draft, every field of them."""

from dataclasses import replace

import pytest

from notifier.models import Role
from notifier.rules.entries import FIELDS, Certificate, Entry, Place
from notifier.services import registry
from tests.factories import NOON, make_entry
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

DRAFT = "/staff/registry/draft"
ENTRIES = f"{DRAFT}/entries"
# One value of every field, as a person types it and as it is kept.
TYPED = {
    "name": ("Nouvelexemple GmbH", "Nouvelexemple GmbH"),
    "trading_name": ("Nouvel", "Nouvel"),
    "legal_form": ("GmbH", "GmbH"),
    "registration_number": ("HRB 12345", "HRB 12345"),
    "address": ("Musterweg 1", "Musterweg 1"),
    "postcode": ("60313", "60313"),
    "town": ("Francfort", "Francfort"),
    "country": ("Allemagne", "DE"),
    "contact": ("Kim Beispiel, kim@nouvel.example", "Kim Beispiel, kim@nouvel.example"),
    "website": ("https://nouvel.example", "https://nouvel.example"),
    "parent": ("equinix", "equinix"),
    "activities": ("Backups\nRestores, at night", ("Backups", "Restores, at night")),
    "purposes": ("Keeping copies", ("Keeping copies",)),
    "data_categories": ("Health data\nNames", ("Health data", "Names")),
    "persons": ("Patients", ("Patients",)),
    "access": ("receives", "receives"),
    "places": (
        "Allemagne: Francfort (backup)\nIreland",
        (Place(country="DE", site="Francfort", kind="backup"), Place(country="IE")),
    ),
    "outside_access": ("yes", "yes"),
    "outside_countries": ("Maroc\nUS", ("MA", "US")),
    "transfer": ("scc", "scc"),
    "assessment": ("https://nouvel.example/tia", "https://nouvel.example/tia"),
    "hds": ("exempt", "exempt"),
    "secnumcloud": ("no", "no"),
    "certificates": (
        "ISO 27001:2022 [number=X-1] [expires=2027-12-31]\nHDS",
        (
            Certificate(standard="ISO 27001", edition="2022", number="X-1", expires_on="2027-12-31"),
            Certificate(standard="HDS"),
        ),
    ),
    "third_country_law": ("yes", "yes"),
    "third_country_laws": ("Encryption with our keys.", "Encryption with our keys."),
    "services": ("Object storage", ("Object storage",)),
    "regions": ("eu-west", ("eu-west",)),
    "options": ("Backup", ("Backup",)),
    "engaged_since": ("2026-01-02", "2026-01-02"),
    "engaged_until": ("2029-01-02", "2029-01-02"),
    "security": ("lower", "lower"),
    "security_note": ("One copy less.", "One copy less."),
}
WHOLE = {name: typed for name, (typed, _) in TYPED.items()} | {"hds_activities_1": "yes", "hds_activities_6": "yes"}
KEPT = Entry(
    key="nouvelexemple-gmbh",
    **{name: kept for name, (_, kept) in TYPED.items()},  # type: ignore[arg-type] # of any type
    hds_activities=("1", "6"),
)


def drafted(clerk: Staffer) -> dict[str, Entry]:
    with clerk.runtime.reading() as session:
        return {entry.key: entry for entry in registry.entries(session, registry.draft(session))}


def draft(clerk: Staffer, *content: Entry) -> None:
    with clerk.runtime.transaction() as session:
        registry.replace_draft(session, content, by="test", now=NOON)


def test_every_field_of_an_entry_is_asked_and_kept(desk_clerk: Staffer) -> None:
    assert set(TYPED) | {"hds_activities"} == set(FIELDS)

    done = desk_clerk.send(f"{ENTRIES}", "/entries", WHOLE)

    assert done.status_code == 303
    assert drafted(desk_clerk)["nouvelexemple-gmbh"] == KEPT


def test_an_entry_that_is_opened_and_saved_stays_as_it_was(desk_clerk: Staffer) -> None:
    draft(desk_clerk, make_entry("Equinix"), KEPT)

    for language in ("en", "fr"):
        desk_clerk.send(f"{ENTRIES}/{KEPT.key}?lang={language}", f"/{KEPT.key}")

    assert drafted(desk_clerk)[KEPT.key] == KEPT


def test_a_name_and_an_activity_are_enough(desk_clerk: Staffer) -> None:
    done = desk_clerk.send(f"{ENTRIES}", "/entries", {"name": "Nouvelexemple", "activities": "Backups"})

    assert done.status_code == 303
    expected = Entry(key="nouvelexemple", name="Nouvelexemple", activities=("Backups",))
    assert drafted(desk_clerk)["nouvelexemple"] == expected


def test_groups_that_say_nothing_are_folded_away(desk_clerk: Staffer) -> None:
    draft(desk_clerk, replace(KEPT, parent=""), make_entry("Bare"))

    bare, filled = (desk_clerk.get(f"{ENTRIES}/{key}").text for key in ("bare", KEPT.key))

    assert bare.count('<details class="group">') == 6
    assert filled.count('<details class="group" open>') == 5


def test_an_entry_takes_the_place_of_another(desk_clerk: Staffer) -> None:
    typed = {"name": "Nouvelexemple", "activities": "Fibre noire"}

    desk_clerk.send(f"{ENTRIES}?replaces=fibrexemple", "/entries", typed)

    assert drafted(desk_clerk)["nouvelexemple"].replaces == "fibrexemple"
    assert "Fibrexemple → Nouvelexemple" in desk_clerk.get(DRAFT).text


def test_an_entry_is_amended_and_its_preview_shows_before_and_after(desk_clerk: Staffer) -> None:
    desk_clerk.send(f"{ENTRIES}/fibrexemple", "/fibrexemple", {"town": "Lyon"})

    page = desk_clerk.get(f"{DRAFT}/preview").text

    assert "<td>Paris</td><td>Lyon</td>" in page


def test_an_entry_is_removed(desk_clerk: Staffer) -> None:
    desk_clerk.send(DRAFT, "/fibrexemple/removal")

    assert set(drafted(desk_clerk)) == {"equinix"}


WRONG = {
    "country": ("Atlantis", "“Atlantis” is not a country; write its name in English or French, or its two letters."),
    "website": ("nouvel.example", "is not a web address"),
    "outside_countries": ("France\nAtlantis", "“Atlantis” is not a country"),
    "certificates": ("ISO [colour=red]", "is not a certificate"),
    "engaged_since": ("31/02/2026", "is not in the calendar"),
    "access": ("perhaps", "is not one of the answers"),
    "town": ("x" * 301, "shorten it to 300"),
}


def test_what_cannot_be_taken_is_said_at_its_field_and_everything_typed_stays(desk_clerk: Staffer) -> None:
    typed = {"name": "Nouvelexemple", "activities": "Sauvegarde", "postcode": "69001", "places": "FR\nDE"}

    refused = desk_clerk.send(f"{ENTRIES}", "/entries", typed | {name: text for name, (text, _) in WRONG.items()})

    assert refused.status_code == 422
    assert {name for name in FIELDS if f'id="{name}-error"' in refused.text} == set(WRONG)
    assert [said for _, said in WRONG.values() if said not in refused.text] == []
    assert 'value="69001"' in refused.text
    assert ">FR\nDE</textarea>" in refused.text
    assert ">ISO [colour=red]</textarea>" in refused.text
    assert drafted(desk_clerk) == {}


@pytest.mark.parametrize(("field", "text"), [("name", " "), ("name", "..."), ("activities", "")])
def test_without_a_name_and_an_activity_there_is_no_entry(desk_clerk: Staffer, field: str, text: str) -> None:
    typed = {"name": "Nouvelexemple", "activities": "Sauvegarde", field: text}

    refused = desk_clerk.send(f"{ENTRIES}", "/entries", typed)

    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text


def test_in_french_it_is_said_in_french(desk_clerk: Staffer) -> None:
    typed = {"name": "Nouvelexemple", "activities": "Sauvegarde", "country": "Atlantis"}

    refused = desk_clerk.send(f"{ENTRIES}?lang=fr", "/entries", typed)

    assert "«\u00a0Atlantis\u00a0» n&#39;est pas un pays" in refused.text


def test_whoever_engages_itself_in_a_circle_is_refused_by_name(desk_clerk: Staffer) -> None:
    draft(desk_clerk, make_entry("Equinix"), make_entry("Fibrexemple", parent="equinix"))

    refused = desk_clerk.send(f"{ENTRIES}/equinix", "/equinix", {"parent": "fibrexemple"})

    assert refused.status_code == 422
    assert 'id="parent-error"' in refused.text
    assert "These would engage each other in a circle" in refused.text
    assert drafted(desk_clerk)["equinix"].parent == ""


def test_somebody_who_engages_another_is_not_taken_off_first(desk_clerk: Staffer) -> None:
    draft(desk_clerk, make_entry("Equinix"), make_entry("Fibrexemple", parent="equinix"))
    sentence = "Equinix engages Fibrexemple. Say of them first that somebody else does, or remove them."

    removed = desk_clerk.send(DRAFT, "/equinix/removal")

    assert removed.status_code == 409
    assert sentence in removed.text


def test_whoever_takes_the_place_of_another_engages_whom_that_one_engaged(desk_clerk: Staffer) -> None:
    draft(desk_clerk, make_entry("Equinix"), make_entry("Fibrexemple", parent="equinix"))

    typed = {"name": "Nouvelexemple", "activities": "Sauvegarde"}
    desk_clerk.send(f"{ENTRIES}?replaces=equinix", "/entries", typed)

    assert drafted(desk_clerk)["fibrexemple"].parent == "nouvelexemple"


def test_whoever_engages_it_must_still_be_there(desk_clerk: Staffer) -> None:
    typed = {"name": "Nouvelexemple", "activities": "Sauvegarde", "parent": "gone"}

    refused = desk_clerk.send(f"{ENTRIES}", "/entries", typed)

    assert refused.status_code == 422
    assert "Whoever engages it is not in the draft any more." in refused.text


def test_of_two_who_edit_at_once_the_second_is_told_and_loses_nothing_typed(desk_clerk: Staffer) -> None:
    desk_clerk.send(f"{ENTRIES}/equinix", "/equinix", {"town": "Lille"})
    opened = desk_clerk.get(f"{ENTRIES}/fibrexemple")
    desk_clerk.send(f"{ENTRIES}/equinix", "/equinix", {"town": "Metz"})

    refused = desk_clerk.send(opened, "/fibrexemple", {"places": "France: Lyon", "hds_activities_2": "yes"})
    again = desk_clerk.send(refused, "/fibrexemple")

    assert (refused.status_code, again.status_code) == (409, 303)
    assert "Somebody else has changed the draft" in refused.text
    kept = drafted(desk_clerk)["fibrexemple"]
    assert (kept.places, kept.hds_activities) == ((Place(country="FR", site="Lyon"),), ("2",))


def test_a_name_that_was_matched_can_be_undone_into_two_companies(desk_clerk: Staffer) -> None:
    draft(desk_clerk, make_entry("Equinix"), replace(make_entry("Fibrexemple"), name="Optexemple"))

    done = desk_clerk.send(DRAFT, "/fibrexemple/apart")

    assert done.status_code == 303
    assert set(drafted(desk_clerk)) == {"equinix", "optexemple"}


def test_an_auditor_changes_nothing(desk_clerk: Staffer) -> None:
    auditor = desk_clerk.as_role(Role.AUDITOR)

    assert auditor.get(f"{ENTRIES}/equinix").status_code == 403
    assert auditor.get(f"{ENTRIES}").status_code == 403
    assert "/removal" not in auditor.get(DRAFT).text


@pytest.mark.parametrize("key", ["new", "cloud/eu"])
def test_an_entry_is_edited_and_removed_whatever_its_key(desk_clerk: Staffer, key: str) -> None:
    draft(desk_clerk, Entry(key=key, name="Alpha", activities=("Hosting",)))

    desk_clerk.send(f"{ENTRIES}/{key}", f"/{key}", {"town": "Lyon"})

    assert drafted(desk_clerk)[key].town == "Lyon"
    desk_clerk.send(DRAFT, f"/{key}/removal")
    assert key not in drafted(desk_clerk)
