"""A register written as a file, and read back by the readers of files that people send."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from notifier.adapters.cells import one_line
from notifier.adapters.exports import FORMATS, BadExport, export
from notifier.adapters.registers import read_register
from notifier.rules.entries import FIELDS, Certificate, Entry, FieldSpec, Place, Shape, from_json
from notifier.rules.registry_diff import meaning, slug

TEMPLATES = Path(__file__).parents[2] / "templates"
ON = date(2026, 3, 2)
BACK = [form for form in FORMATS if form != "pdf"]

FULL = Entry(
    key="acme",
    name="Acme | Backup *GmbH*",
    address="=1+1",
    town="Berlin",
    country="DE",
    contact="Zoé Martin <privacy@acme.example>",
    website="https://acme.example/a_b_c?d=1&e=*2",
    activities=("encrypted backup", "support"),
    hds_activities=("5", "6"),
    access="physical",
    places=(Place(country="DE", site="Berlin", kind="backup"), Place(site="Europe")),
    outside_access="yes",
    outside_countries=("US",),
    transfer="scc",
    hds="exempt",
    certificates=(Certificate(standard="ISO 27001", edition="2022", expires_on="2027-12-31"),),
    engaged_since="2024-01-01",
)
BELOW = Entry(key="fibre", name="Fibre Exemple", activities=("dark fibre",), parent="acme", replaces="old-fibre")


def exported(form: str, *entries: Entry, language: str = "en", title: str = "Subprocessors") -> bytes:
    return export(entries, form, language=language, title=title, on=ON, search_path=[TEMPLATES])


def read_back(form: str, *entries: Entry, language: str = "en", title: str = "Subprocessors") -> tuple[Entry, ...]:
    data = exported(form, *entries, language=language, title=title)
    return read_register(data, filename=f"list.{FORMATS[form].extension}").entries


# --- export, then import, changes nothing ----------------------------------------------------------------------------

SIGNS = st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"])
NASTY = [
    "a|b", "a\\|b", "a\\", "\\*", "|", "*b*", "_x_", "<b>", "<!-- c -->", "`d`", "&amp;", "[e](f)", "![g](h)", "~~i~~",
    "#j", "$k$", "{l}", "---", ":--", "- m", "1. n", "> o", "=1+1", "+1", "-1", "@p", "'=q", "'", "''", '"r"', "a,b;c",
    "https://s.example/t_u_v*", "www.w.example", "_x0041_", "null", "~", "yes", "1e5", "007", "2026-01-01",
    "x@y.example",
]  # fmt: skip
TEXTS = (st.sampled_from(NASTY) | st.text(SIGNS | st.sampled_from("|\\*_<`=&[]~"), max_size=12)).map(one_line)
ITEMS = TEXTS.map(lambda text: one_line(text.replace(";", "").replace("|", ""))).filter(bool)
PLAIN = ITEMS.map(lambda text: one_line("".join(sign for sign in text if sign not in "[](),:")))
CODES = st.sampled_from(["FR", "US", "DE"])
DAYS = st.dates().map(str)
PLACES = st.builds(Place, country=CODES, site=PLAIN, kind=st.sampled_from(["", "production", "our own"]))
CERTIFICATES = st.builds(
    Certificate, standard=st.just("ISO 27001"), edition=st.just("2022"), number=PLAIN, scope=PLAIN, expires_on=DAYS
)


def many(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(one, unique=True, max_size=3).map(tuple)


def values(name: str, spec: FieldSpec) -> st.SearchStrategy[Any]:
    if name == "hds_activities":
        return many(st.sampled_from(["1", "5", "6"]))
    by_shape: dict[Shape, st.SearchStrategy[Any]] = {
        Shape.TEXT: TEXTS.filter(lambda text: slug(text) and meaning(text)) if name == "name" else TEXTS,
        Shape.LIST: many(ITEMS),
        Shape.COUNTRY: CODES,
        Shape.COUNTRIES: many(CODES),
        Shape.PLACES: many(PLACES),
        Shape.CERTIFICATES: many(CERTIFICATES),
        Shape.DAY: DAYS,
        Shape.URL: st.just("https://cloud.example/a_b?c=1&d=*2|3"),
        Shape.CHOICE: st.sampled_from(spec.choices or ("",)),
    }
    return by_shape[spec.shape]


FILLED = st.fixed_dictionaries(
    {"name": values("name", FIELDS["name"])},
    optional={name: values(name, spec) for name, spec in FIELDS.items() if name not in {"name", "parent"}},
)
LISTS = st.lists(FILLED, min_size=1, max_size=4, unique_by=lambda said: slug(str(said["name"]))).map(
    lambda all_said: tuple(Entry(**{"key": f"k{number}", **said}) for number, said in enumerate(all_said))
)


@pytest.mark.parametrize("form", BACK)
@settings(max_examples=40)
@given(entries=LISTS, language=st.sampled_from(["en", "fr"]), title=TEXTS)
def test_an_export_reads_back_exactly(form: str, entries: tuple[Entry, ...], language: str, title: str) -> None:
    assert read_back(form, *entries, language=language, title=title) == entries


@pytest.mark.parametrize("form", BACK)
def test_who_engages_whom_and_who_replaces_whom_reads_back(form: str) -> None:
    assert read_back(form, FULL, BELOW) == (FULL, BELOW)


@pytest.mark.parametrize("title", ["France", "Hosting in Germany", "Clients", "| a | b |", "---", ""])
def test_nothing_is_read_out_of_the_title(title: str) -> None:
    bare = Entry(key="k", name="Acme", address="1 rue Exemple, 69003 Lyon, France")

    assert read_back("md", bare, title=title) == (bare,)


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_entries_give_the_same_bytes(form: str) -> None:
    assert exported(form, FULL, BELOW) == exported(form, FULL, BELOW)


# --- the formats -----------------------------------------------------------------------------------------------------


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(BadExport, match='there is no export as "doc": ask for one of csv, xlsx, yaml, json, md, pdf'):
        exported("doc", FULL)


def test_no_cell_of_a_workbook_is_a_formula_or_a_link() -> None:
    with zipfile.ZipFile(io.BytesIO(exported("xlsx", FULL))) as workbook:
        sheet = workbook.read("xl/worksheets/sheet1.xml").decode()

    assert "=1+1" in sheet
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet


def test_a_text_that_a_workbook_cannot_hold_is_refused() -> None:
    with pytest.raises(BadExport, match="a text of third_country_laws is too long for a spreadsheet"):
        exported("xlsx", replace(FULL, third_country_laws="x" * 40_000))


def test_csv_begins_with_the_mark_that_spreadsheets_look_for() -> None:
    assert exported("csv", FULL).startswith(b"\xef\xbb\xbf")


def test_json_says_what_it_is_and_leaves_out_what_nobody_has_said() -> None:
    data = json.loads(exported("json", BELOW))

    assert data == {
        "format": "notifier/registry-1",
        "entries": [
            {
                "key": "fibre",
                "name": "Fibre Exemple",
                "parent": "acme",
                "activities": ["dark fibre"],
                "replaces": "old-fibre",
            }
        ],
    }


def test_markdown_has_a_title_a_day_and_only_columns_that_say_something() -> None:
    text = exported("md", BELOW, language="fr", title="Liste *A*").decode()

    assert text.splitlines() == [
        r"# Liste \*A\*",
        "",
        "Au 2 mars 2026. Sous-traitants listés\N{NO-BREAK SPACE}: 1.",
        "",
        "## Sous-traitants",
        "",
        "| Clé | Nom | Engagé par | Prestation | Remplace |",
        "| --- | --- | --- | --- | --- |",
        "| fibre | Fibre Exemple | acme | dark fibre | old-fibre |",
    ]


# --- paper -----------------------------------------------------------------------------------------------------------


def pages(*entries: Entry, language: str) -> PdfReader:
    return PdfReader(io.BytesIO(exported("pdf", *entries, language=language, title="Liste à jour")))


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_printed_register_is_tagged_and_says_its_language_and_title() -> None:
    read = pages(FULL, BELOW, language="fr")

    assert read.metadata is not None
    assert read.metadata.title == "Liste à jour"
    root: Any = read.trailer["/Root"]
    assert root["/Lang"] == "fr"
    assert root["/MarkInfo"]["/Marked"]
    assert all(page.mediabox.width > page.mediabox.height for page in read.pages)


def test_a_printed_register_has_a_table_and_a_page_for_each_company() -> None:
    table, acme, fibre = [words(page.extract_text()) for page in pages(FULL, BELOW, language="en").pages]

    assert "As of 2 March 2026. Subprocessors listed: 2." in table
    assert "Acme | Backup *GmbH* encrypted backup; support Berlin, Germany (backup)" in table
    assert "Certificates" in table
    assert "Access to data physical access only" in acme
    assert "Certificates ISO 27001 2022, until 31 December 2027" in acme
    assert "Engaged by Acme | Backup *GmbH*" in fibre
    assert "Town" not in fibre


def test_a_printed_register_in_french() -> None:
    table, acme = [words(page.extract_text()) for page in pages(FULL, language="fr").pages]

    assert "clauses contractuelles types" in table
    assert "Accès depuis l’extérieur de l’EEE oui" in acme
    assert "Engagé depuis le 1er janvier 2024" in acme


@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_empty_register_can_be_printed(language: str) -> None:
    assert len(pages(language=language).pages) == 1


@pytest.mark.parametrize("choice", sorted({choice for spec in FIELDS.values() for choice in spec.choices}))
def test_every_answer_has_words_in_both_languages(choice: str) -> None:
    name = next(name for name, spec in FIELDS.items() if choice in spec.choices)
    entry = from_json({"key": "k", "name": "N", name: choice})

    english, french = (exported("pdf", entry, language=language) for language in ("en", "fr"))
    assert english != french


def test_a_register_too_long_to_be_printed_is_refused() -> None:
    with pytest.raises(BadExport, match="a PDF takes 1000 companies, and this list has 1001: ask for xlsx"):
        exported("pdf", *[FULL] * 1001)
