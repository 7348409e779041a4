"""Sheets and records of every format, as tables with the numbers of their rows."""

import io
import zipfile
from collections.abc import Sequence

import pytest
import xlsxwriter

from notifier.adapters.register_files import RegisterFile
from notifier.adapters.registers import read_register
from notifier.adapters.remarks import BadList
from notifier.adapters.tables import MOST_BYTES, MOST_ROWS
from notifier.rules.entries import Entry, Place

ALPHA = Entry(
    key="h-1",
    name="Hébergeur Exemple",
    postcode="75000",
    country="DE",
    activities=("Œuvres, textes", "etc."),
    places=(Place(country="DE", kind="production"),),
)
HEADINGS = ["Nom", "Code postal", "PAYS", "Activité", "Type de site", "Clé"]
CELLS = ["Hébergeur Exemple", "75000", "Allemagne", "Œuvres, textes; etc.", "production", "h-1"]


def read(data: bytes, filename: str = "list.csv") -> RegisterFile:
    return read_register(data, filename=filename)


def codes(data: bytes, filename: str = "list.csv") -> list[str]:
    with pytest.raises(BadList) as bad:
        read(data, filename)
    return [problem.code for problem in bad.value.problems]


def workbook(*rows: Sequence[object]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": "yyyy-mm-dd"}) as book:
        notes = book.add_worksheet("Notes")
        notes.write_row(0, 0, ["Not a list", "at all"])
        sheet = book.add_worksheet("List")
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return out.getvalue()


def ods(*rows: list[str], more: str = "") -> bytes:
    lines = "".join(
        "<table:table-row>"
        + "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in row)
        + "</table:table-row>"
        for row in rows
    ).replace("<table:table-cell>", '<table:table-cell office:value-type="string">')
    space = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content xmlns:office="{space}:office:1.0" '
        f'xmlns:table="{space}:table:1.0" xmlns:text="{space}:text:1.0"><office:body><office:spreadsheet>'
        f'<table:table table:name="S">{lines}{more}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        f'<?xml version="1.0"?><manifest:manifest xmlns:manifest="{space}:manifest:1.0"><manifest:file-entry '
        f'manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", manifest)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_all_encodings_separators_and_line_ends_give_the_same_entries(
    encoding: str, separator: str, line_end: str
) -> None:
    rows = [HEADINGS, [f'"{cell}"' for cell in CELLS]]
    text = line_end.join(separator.join(row) for row in rows) + line_end

    assert read(text.encode(encoding)).entries == (ALPHA,)


def test_workbooks_give_the_same_entries_whatever_their_ending() -> None:
    typed: list[object] = [*CELLS]
    typed[1] = 75000

    assert read(workbook(["Our list"], HEADINGS, typed), "list.xlsx").entries == (ALPHA,)
    assert read(ods(HEADINGS, CELLS), "list.csv").entries == (ALPHA,)
    empty = '<table:table-row table:number-rows-repeated="1048570"><table:table-cell table:number-columns-repeated='
    assert read(ods(HEADINGS, CELLS, more=f'{empty}"16384"/></table:table-row>')).entries == (ALPHA,)


def test_a_line_break_inside_a_cell_does_not_shift_the_numbers_of_the_rows() -> None:
    with pytest.raises(BadList) as bad:
        read(b'key,name,activity\na,"Alpha\nBeta",hosting\nb,,hosting\n')

    assert [(problem.row, problem.column) for problem in bad.value.problems] == [(3, "name")]


@pytest.mark.parametrize(
    ("data", "filename", "code"),
    [
        (b"x" * (MOST_BYTES + 1), "list.csv", "too_large"),
        (b"PK\x03\x04" + b"x" * MOST_BYTES, "list.xlsx", "too_large"),
        (b"PK\x03\x04\x14\x00\x06\x00", "list.xlsx", "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "list.xls", "not_a_text_file"),
        (b"%PDF-1.7", "list.pdf", "not_a_text_file"),
        (b"name,activity\nAlpha\x81,hosting\n", "list.csv", "encoding"),
        (b"\xff\xfea", "list.csv", "encoding"),
        (b"name,activity\n" + b"a,b\n" * (MOST_ROWS + 1), "list.csv", "too_many_rows"),
        (b"name,activity\n" + b"\n" * (MOST_ROWS + 100), "list.csv", "too_many_rows"),
        (b"x" * 1_000_000, "list.csv", "too_long"),
        (b"", "list.csv", "no_list"),
        (b'{"name": "Alpha"', "list.json", "json"),
        (b'{"name": "Alpha"}', "list.json", "no_list"),
        (b'["Alpha"]', "list.json", "not_an_entry"),
        (b'[{"name": {"en": "Alpha"}}]', "list.json", "not_one_cell"),
        (b"- name: [Alpha\n", "list.yaml", "yaml"),
        (b"name: Alpha\n", "list.yaml", "no_list"),
        (b"- name: &a Alpha\n- name: *a\n", "list.yaml", "yaml_reference"),
        (b"- name: !!python/name:os.system\n", "list.yaml", "yaml_reference"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_do(data: bytes, filename: str, code: str) -> None:
    assert codes(data, filename) == [code]


def test_formulas_are_never_run() -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["Vendor", "Activity"])
        sheet.write_formula(1, 0, '="Al"&"pha"', None, "As it was saved")
        sheet.write_string(1, 1, "=1+1")

    (entry,) = read(out.getvalue(), "list.xlsx").entries

    assert (entry.name, entry.activities) == ("As it was saved", ("=1+1",))
    assert read(b"Vendor,Activity\nAlpha,=1+1\n").entries[0].activities == ("=1+1",)


def test_a_cell_that_covers_several_rows_is_told_in_each_and_a_wide_title_once() -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.merge_range("A1:C1", "Our list")
        sheet.write_row("A3", ["Company", "Location", "Purpose"])
        sheet.merge_range("A4:A5", "Alpha")
        sheet.write_row("B4", ["France", "Hosting"])
        sheet.write_row("B5", ["Germany", "Backup"])

    found = read(out.getvalue(), "list.xlsx")

    places = (Place(country="FR"), Place(country="DE"))
    assert found.entries == (Entry(key="alpha", name="Alpha", places=places, purposes=("Hosting", "Backup")),)
    assert not found.not_understood
