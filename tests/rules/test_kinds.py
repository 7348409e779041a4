from __future__ import annotations

import pytest

from notifier.adapters.contracts import read_packs
from notifier.resources import search_path
from notifier.rules.kinds import (
    EEA,
    KINDS,
    LONGEST_TEXT,
    OF_THE_REGISTRY,
    AnnouncementKind,
    BadFacts,
    Shape,
    checked,
    keys_of,
    rows,
)

OVERSEAS = ("GP", "MQ", "GF", "RE", "YT")
MOVE = {
    "place": "Data centre 4",
    "country": "FR",
    "what_en": "Backups are kept there too.",
    "what_fr": "Les sauvegardes y sont aussi conservées.",
}
SAFEGUARDS = {"safeguards_en": "Standard contractual clauses", "safeguards_fr": "Clauses contractuelles types"}
EXAMPLES = {
    Shape.TEXT: "Less memory",
    Shape.NAME: "Acme",
    Shape.COUNTRY: "FR",
    Shape.DAY: "2026-08-28",
    Shape.URL: "https://hosting.example/iso",
}


def complete(kind: AnnouncementKind) -> dict[str, str]:
    """Facts with every field of a kind written, as it may be written."""
    return {key: EXAMPLES[field.shape] for field in KINDS[kind].fields for key in keys_of(field)}


def first_aspect(kind: AnnouncementKind) -> str:
    return next(iter(KINDS[kind].aspects), "")


def problems(kind: AnnouncementKind, aspect: str, facts: dict[str, str]) -> dict[str, str]:
    with pytest.raises(BadFacts) as refused:
        checked(kind, aspect, facts)
    return refused.value.problems


@pytest.mark.parametrize("kind", AnnouncementKind)
def test_what_is_completely_written_can_be_announced(kind: AnnouncementKind) -> None:
    assert checked(kind, first_aspect(kind), complete(kind)) == complete(kind)


@pytest.mark.parametrize("kind", [kind for kind in AnnouncementKind if any(f.required for f in KINDS[kind].fields)])
def test_each_required_field_that_is_not_written_is_named_in_each_language(kind: AnnouncementKind) -> None:
    required = {key for field in KINDS[kind].fields if field.required for key in keys_of(field)}

    assert problems(kind, first_aspect(kind), {}) == dict.fromkeys(required, "missing")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    facts = {"certificate": "HDS", "since": "28 August", "what_en": "x" * (LONGEST_TEXT + 1), "weather": "fine"}

    assert problems(AnnouncementKind.CERTIFICATION, "mislaid", facts) == {
        "aspect": "no_aspect",
        "weather": "unknown",
        "holder": "missing",
        "since": "no_day",
        "what_en": "too_long",
        "what_fr": "missing",
    }


def test_a_refusal_says_in_words_what_to_write() -> None:
    facts = {**complete(AnnouncementKind.CERTIFICATION), "since": "28 August"}

    with pytest.raises(BadFacts, match="since: write a day that exists, such as 2027-01-15"):
        checked(AnnouncementKind.CERTIFICATION, "lost", facts)


@pytest.mark.parametrize(
    ("kind", "key", "text", "code"),
    [
        (AnnouncementKind.SUPPORT, "country", "France", "no_country"),
        (AnnouncementKind.SUPPORT, "country", "fr", "no_country"),
        (AnnouncementKind.CERTIFICATION, "since", "2026-02-30", "no_day"),
        (AnnouncementKind.DOCUMENT, "address", "http://hosting.example/iso", "no_url"),
        (AnnouncementKind.DOCUMENT, "address", "https://hosting.example/an iso", "no_url"),
        (AnnouncementKind.DISCLOSURE, "authority", "x" * (LONGEST_TEXT + 1), "too_long"),
    ],
)
def test_a_field_takes_only_what_it_is_for(kind: AnnouncementKind, key: str, text: str, code: str) -> None:
    assert problems(kind, first_aspect(kind), {**complete(kind), key: text}) == {key: code}


def test_blanks_around_a_text_are_nothing_and_fields_left_out_are_not_kept() -> None:
    found = checked(AnnouncementKind.LOCATION, "storage", {**MOVE, "place": "  Data centre 4\n", "safeguards_en": "  "})

    assert found == MOVE


def test_a_document_is_not_valid_until_before_it_is_valid() -> None:
    facts = {**complete(AnnouncementKind.DOCUMENT), "valid_from": "2026-08-28", "valid_until": "2025-08-28"}

    assert problems(AnnouncementKind.DOCUMENT, "", facts) == {"valid_until": "before_start"}


@pytest.mark.parametrize("country", ["CH", "GB", "US", "PF", "NC"])
def test_health_data_is_not_stored_outside_the_eea_whatever_the_safeguards(country: str) -> None:
    facts = {**MOVE, **SAFEGUARDS, "country": country}

    assert problems(AnnouncementKind.LOCATION, "storage", facts) == {"country": "outside_eea"}


def test_access_from_outside_the_eea_says_in_each_language_what_allows_it() -> None:
    facts = {**MOVE, "country": "US"}

    assert problems(AnnouncementKind.LOCATION, "access", facts) == {
        "safeguards_en": "no_safeguards",
        "safeguards_fr": "no_safeguards",
    }
    half = {**facts, "safeguards_en": "Standard contractual clauses"}
    assert problems(AnnouncementKind.LOCATION, "access", half) == {"safeguards_fr": "no_safeguards"}
    assert checked(AnnouncementKind.LOCATION, "access", {**facts, **SAFEGUARDS})["country"] == "US"


@pytest.mark.parametrize("aspect", ["storage", "access"])
def test_inside_the_eea_no_safeguards_are_asked_for(aspect: str) -> None:
    for country in ("FR", "DE", "IS", "LI", "NO"):
        assert checked(AnnouncementKind.LOCATION, aspect, {**MOVE, "country": country})


@pytest.mark.obligation("O4.1", "O4.2")
@pytest.mark.parametrize("department", OVERSEAS)
def test_an_overseas_department_is_in_the_eea_and_not_in_metropolitan_france(department: str) -> None:
    outscale = read_packs(search_path("config"))["outscale-hds-2022"]
    aspect = outscale.aspect_of_place(department, "storage")

    assert checked(AnnouncementKind.LOCATION, "storage", {**MOVE, "country": department})
    assert outscale.rule_for("location", aspect).asks_consent
    assert department in EEA
    assert department not in outscale.territory


def test_a_country_written_badly_is_not_also_said_to_lie_outside_the_eea() -> None:
    assert problems(AnnouncementKind.LOCATION, "storage", {**MOVE, "country": "USA"}) == {"country": "no_country"}


def test_what_is_told_of_the_registry_comes_from_the_registry() -> None:
    assert set(OF_THE_REGISTRY) == {"subprocessor", "emergency"}
    assert problems(AnnouncementKind.SUBPROCESSOR, "", {"name": "Acme"}) == {"name": "unknown"}


def test_an_announcement_is_read_field_by_field_in_the_language_of_the_reader() -> None:
    said = {language: rows(AnnouncementKind.LOCATION, MOVE, language) for language in ("en", "fr")}

    assert [(field.name, text) for field, text in said["en"]] == [
        ("place", "Data centre 4"),
        ("country", "FR"),
        ("what", "Backups are kept there too."),
    ]
    assert [text for _, text in said["fr"]][-1] == "Les sauvegardes y sont aussi conservées."


def test_references_tell_the_kinds_apart() -> None:
    prefixes = [kind.prefix for kind in KINDS.values()]

    assert set(KINDS) == set(AnnouncementKind)
    assert len(set(prefixes)) == len(prefixes)


def test_what_has_happened_already_is_told_at_once() -> None:
    assert {kind for kind in KINDS if KINDS[kind].at_once} == {"certification", "disclosure", "document"}
