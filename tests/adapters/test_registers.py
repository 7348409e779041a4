"""Registers as people keep them: what is read of them, what is asked, and what is told of the rest."""

import csv
import io
import json
import os
import random
import unicodedata
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.adapters.cells import HEADINGS
from notifier.adapters.register_files import RegisterFile, read_list
from notifier.adapters.registers import ALSO, read_register, write_register
from notifier.adapters.remarks import BadList
from notifier.rules.entries import FIELDS, Certificate, Entry, Place, as_json
from notifier.rules.registry_diff import meaning, slug

ROOT = Path(__file__).parents[2]
REGISTERS = ROOT / "config" / "registers"
SHARED = Path(os.environ.get("NOTIFIER_SHARED", ROOT.parent / "shared"))

FULL = Entry(
    key="alpha",
    name="Alpha Hosting SAS",
    trading_name="Alpha",
    legal_form="SAS",
    registration_number="RCS Paris 000 000 001",
    address="1 rue de l'Exemple",
    postcode="93500",
    town="Pantin",
    country="FR",
    contact="Ana Costa, ana@alpha.example",
    website="https://alpha.example/trust",
    activities=("Hosting, and backup", "Support"),
    hds_activities=("1", "4"),
    purposes=("Running the service",),
    data_categories=("Names", "Health data"),
    persons=("Patients",),
    access="receives",
    places=(Place(country="FR", site="Pantin", kind="production"), Place(site="EEA"), Place(country="US")),
    outside_access="yes",
    outside_countries=("IN", "US"),
    transfer="scc",
    assessment="https://alpha.example/tia",
    hds="exempt",
    secnumcloud="no",
    certificates=(Certificate(standard="ISO 27001", edition="2022", number="FR-1", expires_on="2027-08-28"),),
    third_country_law="yes",
    third_country_laws="A law; what is done against it",
    services=("compute",),
    regions=("eu-west",),
    options=("gpu",),
    engaged_since="2024-01-01",
    engaged_until="2028-12-31",
    security="equal",
    security_note="As before",
    replaces="older",
)


def register(text: str | bytes, filename: str = "list.csv", **mapping: str) -> RegisterFile:
    data = text.encode() if isinstance(text, str) else text
    return read_register(data, filename=filename, mapping=mapping)


def faults(bad: pytest.ExceptionInfo[BadList]) -> list[tuple[int, str, str]]:
    return [(problem.row, problem.column, problem.code) for problem in bad.value.problems]


def left_out(found: RegisterFile) -> list[tuple[int, str, str]]:
    return [(said.row, said.column, said.code) for said in found.not_understood]


# --- our own list ----------------------------------------------------------------------------------------------------


def test_the_list_of_2022_asks_in_which_country_lumen_is_and_guesses_nothing() -> None:
    found = register((REGISTERS / "outscale-hds-2022-08-17.csv").read_bytes())

    (question,) = found.questions
    assert (question.row, question.column, question.code) == (11, "country", "country_missing")
    assert "LUMEN" in question.text("en")
    assert question.text("fr").startswith("ligne 11, country\u00a0: dans quel pays se trouve LUMEN\u00a0?")
    assert [entry.country for entry in found.entries] == ["FR"] * 9 + [""]
    assert [place.kind for entry in found.entries for place in entry.places] == [
        *("production", "backup", "interconnection", "production"),
        *["dark_fibre"] * 6,
    ]
    assert found.entries[1].places == (Place(country="FR", site="Ivry-Sur-Seine", kind="backup"),)
    assert found.entries[2].activities == ("Datacenter (site d\u2019interconnexion)",)


def test_every_field_is_written_and_read_back() -> None:
    sub = Entry(key="beta", name="Beta", parent="alpha")
    written = write_register([FULL, sub])

    assert {field.name for field in fields(Entry)} == set(next(csv.reader([written.partition("\r\n")[0]])))
    assert register(written).entries == (FULL, sub)
    assert register("\ufeff" + written).entries == (FULL, sub)
    assert read_list(written.encode("utf-16"), filename="list.csv") == register(written)


def one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


CELLS = st.text(
    st.one_of(st.characters(exclude_categories=["Cc", "Cs"]), st.sampled_from("=+-@'\",;\t\u00a0é")), max_size=20
).map(one_line)
ITEMS = CELLS.map(lambda text: one_line(text.replace(";", "").replace("|", "")))
ENTRIES = st.builds(
    Entry,
    key=CELLS.filter(slug),
    name=CELLS.filter(slug),
    address=CELLS,
    postcode=CELLS,
    town=CELLS,
    country=st.sampled_from(["", "FR", "DE", "XK"]),
    contact=CELLS,
    activities=st.lists(ITEMS.filter(bool), unique=True, max_size=3).map(tuple),
    places=st.lists(
        st.builds(
            Place, country=st.sampled_from(["FR", "US"]), site=ITEMS, kind=st.sampled_from(["", "backup", "own"])
        ),
        unique=True,
        max_size=2,
    ).map(tuple),
    replaces=CELLS,
)


@given(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry.key))
def test_a_register_is_read_back_exactly_as_it_was_written(entries: list[Entry]) -> None:
    assert register(write_register(entries)).entries == tuple(entries)


@pytest.mark.parametrize("cell", ["=1+1", "+33 1", "-", "@x", "'=1", "''+1", "'quoted'"])
def test_a_spreadsheet_finds_no_formula_in_a_register_and_reading_takes_the_guard_away(cell: str) -> None:
    entry = Entry(key="a", name="Alpha", country="FR", activities=(cell,))

    written = write_register([entry])

    assert not any(c.startswith(("=", "+", "-", "@")) for row in csv.reader(io.StringIO(written)) for c in row)
    assert register(written).entries == (entry,)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"name,activity\n{text}".encode()))
def test_no_bytes_at_all_do_worse_than_a_bad_list(data: bytes) -> None:
    found = read_or_refused(data)

    if isinstance(found, BadList):
        assert found.problems
        assert all(problem.en and problem.fr for problem in found.problems)
    else:
        assert all(entry.key and entry.name for entry in found.entries)


def read_or_refused(data: bytes) -> RegisterFile | BadList:
    try:
        return register(data)
    except BadList as bad:
        return bad


def test_the_faults_of_a_list_of_our_own_are_told_together_by_row_and_column() -> None:
    with pytest.raises(BadList) as bad:
        register(
            "key,name,town,country,activity,\n"
            ",,Paris,FR,hosting,\n"
            ",…,Paris,FR,hosting,\n"
            ",Beta,Paris,Syldavia,hosting,\n"
            f",Gamma,{'x' * 301},FR,hosting,\n"
            ",Delta,Par\0is,FR,hosting,\n"
            ",Eta,Paris,FR\n"
            ",Theta,Paris,FR,hosting,seen by Ana\n"
        )

    assert faults(bad) == [
        (2, "name", "missing"),
        (3, "name", "no_letters"),
        (4, "country", "country_unknown"),
        (5, "town", "too_long"),
        (6, "town", "not_text"),
        (7, "", "cells"),
        (8, "", "no_heading"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key,name,name,colour\na,Alpha,Alpha,red\n", [(1, "name", "column_twice"), (1, "colour", "column_unknown")]),
        ("key,name\nd,Epsilon\nd,Zeta\n", [(3, "key", "key_twice")]),
        ("key,name,contact\na,Alpha,Ana\na,ALPHA,Bob\n", [(3, "contact", "contradiction")]),
        ("key,name,parent\na,Alpha,nobody\n", [(2, "parent", "parent_unknown")]),
        ("key,name,parent\na,Alpha,Beta\nb,Beta,c\nc,Gamma,a\n", [(2, "parent", "parents_circular")]),
        ("key,name,parent\na,Alpha,a\n", [(2, "parent", "parents_circular")]),
        ('key,name\na,"Alpha\n', [(2, "", "quotes")]),
        ("colour\nred\n", [(0, "", "no_list")]),
        ("", [(0, "", "no_list")]),
    ],
)
def test_what_cannot_be_one_list_is_refused(text: str, expected: list[tuple[int, str, str]]) -> None:
    with pytest.raises(BadList) as bad:
        register(text)

    assert faults(bad) == expected


# --- a name that stands in several rows ------------------------------------------------------------------------------


def test_a_name_in_several_rows_is_one_entry_whatever_their_order() -> None:
    rows = ["Alpha,Hosting,France,Names", "Beta,Mail,US,", "ALPHA,Backup,Germany,Names; Addresses", "Alpha,Hosting,,"]
    orders = [random.Random(seed).sample(rows, len(rows)) for seed in range(4)]

    found = [register("Vendor,Activity,Location,Data\n" + "\n".join(order)) for order in [rows, *orders]]

    alpha = found[0].entries[0]
    assert (alpha.name, alpha.activities, alpha.data_categories) == (
        "Alpha",
        ("Hosting", "Backup"),
        ("Names", "Addresses"),
    )
    assert alpha.places == (Place(country="FR"), Place(country="DE"))
    assert [{entry.key for entry in one.entries} for one in found] == [{"alpha", "beta"}] * 5
    assert len({frozenset(e.places) for one in found for e in one.entries if e.key == "alpha"}) == 1


def test_seats_that_differ_are_all_places_and_the_seat_does_not_hang_on_the_order() -> None:
    rows = ["Alpha,2 rue B,69000,Lyon,FR", "Alpha,1 rue A,75000,Paris,FR"]

    (one,) = register("Name,Address,Postcode,Town,Country\n" + "\n".join(rows)).entries
    (other,) = register("Name,Address,Postcode,Town,Country\n" + "\n".join(reversed(rows))).entries

    assert (one.address, one.town) == (other.address, other.town) == ("2 rue B", "Lyon")
    assert set(one.places) == set(other.places) == {Place(country="FR", site="Lyon"), Place(country="FR", site="Paris")}


def test_rows_with_keys_of_their_own_stay_apart_and_others_are_given_one() -> None:
    found = register("key,name,town\na-1,Alpha,Paris\na-2,Alpha,Lyon\n,Beta,\n,A+B,Paris\n,A B,Lyon\n")

    assert [entry.key for entry in found.entries] == ["a-1", "a-2", "beta", "a-b", "a-b-lyon"]


def test_a_parent_goes_by_its_key_or_its_name() -> None:
    found = register("key,name,engaged by\na,Alpha,\nb,Beta,ALPHA\nc,Gamma,b\n")

    assert [entry.parent for entry in found.entries] == ["", "a", "b"]


# --- foreign lists ---------------------------------------------------------------------------------------------------


def test_of_a_foreign_list_what_is_understood_is_taken_and_the_rest_is_told() -> None:
    found = register(
        "Vendor;Purpose of processing;Colour;Website;Location;HDS\n"
        "Alpha;Hosting;red;alpha.example;United States, Europe;-\n"
        "Beta;Mail;;https://beta.example;France;perhaps\n"
        ";Total;;;;\n"
    )

    assert found.mapping == {
        "Vendor": "name",
        "Purpose of processing": "purposes",
        "Colour": "",
        "Website": "website",
        "Location": "places",
        "HDS": "hds",
    }
    assert left_out(found) == [
        (1, "Colour", "column_unused"),
        (2, "Website", "url"),
        (3, "HDS", "choice_unknown"),
        (4, "Vendor", "missing"),
    ]
    alpha, beta = found.entries
    assert (alpha.purposes, alpha.website, alpha.hds) == (("Hosting",), "", "")
    assert alpha.places == (Place(country="US"), Place(site="Europe"))
    assert (beta.website, beta.places) == ("https://beta.example", (Place(country="FR"),))
    assert found.questions == ()  # where Alpha and Beta process data is said


def test_a_mapping_wins_over_what_is_known_of_headings() -> None:
    text = "Who;Colour;Location\nAlpha;red;France\n"

    found = register(text, Who="name", Colour="data_categories", Location="")

    assert found.mapping == {"Who": "name", "Colour": "data_categories", "Location": ""}
    assert found.not_understood == ()
    assert found.entries == (Entry(key="alpha", name="Alpha", data_categories=("red",)),)
    with pytest.raises(BadList) as bad:
        register(text, Who="nom-du-champ")
    assert faults(bad) == [(0, "Who", "no_such_field")]


def test_a_row_is_never_left_out_for_a_name_that_cannot_be_read() -> None:
    with pytest.raises(BadList) as bad:
        register("Vendor,Location\nAlpha,US\nBe\0ta,US\n")

    assert faults(bad) == [(3, "Vendor", "not_text")]


def test_titles_may_stand_above_the_headings() -> None:
    found = register("Our subprocessors,,\n,,\nTiers,Adresse,Prestations sous-traitées\nAlpha,,Fibre noire\n")

    assert [(entry.name, entry.activities) for entry in found.entries] == [("Alpha", ("Fibre noire",))]


@pytest.mark.parametrize(
    ("cell", "address", "postcode", "town", "country"),
    [
        ("110 bis avenue de l'Exemple, 93500 Pantin, France", "110 bis avenue de l'Exemple", "93500", "Pantin", "FR"),
        ("7 rue A 75009 Paris", "7 rue A", "75009", "Paris", ""),
        ("2 Beispielweg, D-10115 Berlin, Germany", "2 Beispielweg", "D-10115", "Berlin", "DE"),
        ("1 Example Way, Menlo Park, CA 94025", "1 Example Way, Menlo Park, CA 94025", "", "", ""),
        ("12000 Example Road", "12000 Example Road", "", "", ""),
        ("1 rue A, 75009 Paris, Syldavia", "1 rue A, 75009 Paris, Syldavia", "", "", ""),
    ],
)
def test_an_address_in_one_cell_is_split_where_it_is_plain(
    cell: str, address: str, postcode: str, town: str, country: str
) -> None:
    (entry,) = register(f'Tiers;Adresse\nAlpha;"{cell}"\n').entries

    assert (entry.address, entry.postcode, entry.town, entry.country) == (address, postcode, town, country)


def test_every_field_goes_by_its_name_and_both_its_headings_and_no_heading_means_two() -> None:
    words = [(word, name) for name, known in ALSO.items() for word in known]
    for name, headings in HEADINGS.items():
        for heading in (name, *headings):
            found = register(
                json.dumps([{heading: "Alpha"} if name == "name" else {"name": "Alpha", heading: ""}]), "list.json"
            )
            assert found.mapping[heading] == name
    assert len({word for word, _ in words}) == len(words)
    assert all(slug(word) == word for word, _ in words)
    assert set(ALSO) == {*FIELDS, "key", "replaces", "site_kind"}


# --- the same list in every format -----------------------------------------------------------------------------------


def test_json_and_yaml_of_our_own_shape_are_read_back() -> None:
    entries = [FULL, Entry(key="beta", name="Beta", parent="alpha", activities=("Mail",))]
    data = json.dumps({"last_updated": "2026-01-01", "entries": [as_json(entry) for entry in entries]})

    assert register(data, "list.json").entries == tuple(entries)
    assert register(data, "list.yaml").entries == tuple(entries)  # JSON is YAML
    assert register(data, "without-an-ending").entries == tuple(entries)
    assert register('{"entries": []}', "list.json").entries == ()


def test_records_of_a_stranger_are_read_by_their_names() -> None:
    found = register(
        "subprocessors:\n"
        "  - vendor: Alpha\n"
        "    locations: [US, Europe]\n"
        "    country: no\n"
        "  - vendor: Beta\n"
        "    purpose: Mail\n"
        "    colour: red\n",
        "list.yml",
    )

    alpha, beta = found.entries
    assert (alpha.places, alpha.country) == ((Place(country="US"), Place(site="Europe")), "NO")
    assert (beta.purposes, beta.places) == (("Mail",), ())
    assert left_out(found) == [(0, "colour", "column_unused")]


# --- real histories --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "sizes"),
    [
        ("tailscale", [23, 9, 9, 9, 7, 7, 6, 6, 7, 7, 8]),
        ("basecamp", [9, 9, 9, 10, 9, 9, 10, *[11] * 5, 9, 8, 9, 9, 10, 10, 11, 11, 11, 12, 12, 11]),
    ],
)
def test_real_lists_are_understood_to_the_last_line(folder: str, sizes: list[int]) -> None:
    files = sorted((SHARED / "histories" / folder).glob("*.md"))
    if not files:
        pytest.skip(f"NOT RUN: no real histories in {SHARED}; set NOTIFIER_SHARED to the folder that holds them")

    found = [read_register(file.read_bytes(), filename=file.name) for file in files]

    assert [len(one.entries) for one in found] == sizes
    assert not any(one.not_understood for one in found)
    assert all(entry.places for one in found for entry in one.entries)
    assert all(entry.activities or entry.purposes or entry.data_categories for one in found for entry in one.entries)
    names = {meaning(entry.name) for one in found for entry in one.entries}
    assert not any("polic" in name or "safeguard" in name for name in names)


def test_an_entry_is_not_changed_by_being_read_in_a_process_of_its_own() -> None:
    text = "Vendor,Location,Colour\nAlpha,US,red\nBeta,Europe,\n"

    assert read_list(text.encode(), filename="list.csv", mapping={"Colour": ""}) == register(text, Colour="")
    assert read_list(text.encode(), filename="list.csv") == register(text)
    with pytest.raises(BadList) as bad:
        read_list(b"key,name\na,Alpha\na,Beta\n", filename="ours.csv")
    assert faults(bad) == [(3, "key", "key_twice")]
    assert bad.value.filename == "ours.csv"


def test_an_old_list_reads_like_a_new_one() -> None:
    old = "key,name,town,country,activity,site_kind\na,Alpha,Pantin,FR,Hosting,production\n"
    place = Place(country="FR", site="Pantin", kind="production")

    (entry,) = register(old).entries

    assert entry == Entry(key="a", name="Alpha", town="Pantin", country="FR", activities=("Hosting",), places=(place,))
    assert register(write_register([replace(entry, places=())])).entries == (replace(entry, places=()),)


def test_headings_may_be_written_as_programs_write_them() -> None:
    found = read_register(b'[{"vendorName": "Alpha", "dataLocation": "FR", "dataTypes": ["a"]}]', filename="list.json")

    expected = Entry(key="alpha", name="Alpha", places=(Place(country="FR"),), data_categories=("a",))
    assert found.entries == (expected,)


def test_no_certificate_is_none() -> None:
    assert register("vendor,certifications\nAlpha,None\n").entries == (Entry(key="alpha", name="Alpha"),)


def test_a_key_has_a_letter_or_a_digit() -> None:
    with pytest.raises(BadList) as bad:
        register("key,name\n..,Alpha\n")

    assert [problem.code for problem in bad.value.problems] == ["no_letters"]
