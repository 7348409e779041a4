"""Files built to exhaust or mislead the reader: each ends in one clear error, in a process that may not exceed 256 MB.

The limit is the system's own (RLIMIT_AS): a reader that needed more would not have ended with these words but died.
"""

import io
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from notifier.adapters.confined import TooCostly, confined
from notifier.adapters.register_files import read_list
from notifier.adapters.remarks import BadList
from notifier.adapters.tables import MOST_BYTES, read_file
from tests.adapters.greedy import hoard, look_around, spin

GIGABYTE = 1_000_000_000
MEGABYTES = 256

SHEET = (
    '<?xml version="1.0" encoding="UTF-8"?>{dtd}'
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData>'
    "</worksheet>"
)
NAME = '<row r="1"><c r="A1" t="inlineStr"><is><t>Name</t></is></c></row>'
LAUGHS = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
BILLION = f'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">{LAUGHS}]>'
OFFICE = "urn:oasis:names:tc:opendocument:xmlns"


def archive(**parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in parts.items():
            packed.writestr(name.replace("__", "/").replace("_", "."), text)
    return out.getvalue()


def xlsx(rows: str, dtd: str = "") -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{links}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        packed.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{links}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets>'
            "</workbook>",
        )
        packed.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{links}/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
        )
        packed.writestr("xl/worksheets/sheet1.xml", SHEET.format(dtd=dtd, rows=rows))
    return out.getvalue()


def ods(rows: str, dtd: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        packed.writestr("META-INF/manifest.xml", "<manifest/>")
        packed.writestr(
            "content.xml",
            f'<?xml version="1.0"?>{dtd}<office:document-content xmlns:office="{OFFICE}:office:1.0" '
            f'xmlns:table="{OFFICE}:table:1.0" xmlns:text="{OFFICE}:text:1.0"><office:body><office:spreadsheet>'
            f'<table:table table:name="S">{rows}</table:table></office:spreadsheet></office:body>'
            "</office:document-content>",
        )
    return out.getvalue()


def ods_row(text: str, rows: int = 1, columns: int = 1) -> str:
    return (
        f'<table:table-row table:number-rows-repeated="{rows}"><table:table-cell office:value-type="string" '
        f'table:number-columns-repeated="{columns}"><text:p>{text}</text:p></table:table-cell></table:table-row>'
    )


def deep(open_: str, close: str = "", many: int = 100_000) -> bytes:
    return (open_ * many + close * many).encode()


HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "zip bomb": ("a.xlsx", lambda: xlsx(NAME + " " * 150_000_000), "workbook_too_large"),
    "zip bomb below the size": ("a.xlsx", lambda: xlsx(NAME + " " * 20_000_000), "workbook_too_large"),
    "many parts": ("a.xlsx", lambda: archive(**{f"part{i}_xml": "" for i in range(3_000)}), "workbook_too_large"),
    "a cell a billion cells away": (
        "a.xlsx",
        lambda: xlsx(f'{NAME}<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        "too_costly",
    ),
    "entities in a sheet": ("a.xlsx", lambda: xlsx(NAME.replace("Name", "&j;"), BILLION), "workbook_entities"),
    "entities in ODS": ("a.ods", lambda: ods(ods_row("&j;"), BILLION), "workbook_entities"),
    "rows that repeat": ("a.ods", lambda: ods(ods_row("Name") + ods_row("x", 1_048_575, 1_000)), "workbook"),
    "columns that repeat": ("a.ods", lambda: ods(ods_row("Name", 1, 900_000_000)), "too_many_columns"),
    "columns by the thousand": ("a.csv", lambda: b"Name," + b"x," * 100_000, "too_many_columns"),
    "columns of a page": ("a.html", lambda: b"<table><tr>" + b"<th>Name" * 100_000, "too_many_columns"),
    "one long line": ("a.csv", lambda: b"x" * MOST_BYTES, "too_long"),
    "a quotation mark never closed": ("a.csv", lambda: b'Name\n"' + b"x" * 4_000_000, "too_long"),
    "NULs": ("a.csv", lambda: b"Name,Town\n\0\0\0\0,\0\0\n", "not_text"),
    "NULs alone": ("a.csv", lambda: b"\0" * 1_000_000, "too_long"),
    "NULs in the headings": ("a.csv", lambda: b"Name,To\0wn\nAlpha,Paris\n", "not_a_text_file"),
    "a circle of parents": ("a.csv", lambda: b"key,name,parent\na,A,b\nb,B,c\nc,C,a\n", "parents_circular"),
    "deep JSON": ("a.json", lambda: deep("["), "too_deep"),
    "deep JSON in an entry": ("a.json", lambda: b'[{"name":' + deep("[", "]") + b"}]", "too_deep"),
    "deep YAML": ("a.yaml", lambda: deep("["), "too_deep"),
    "deep YAML by indents": ("a.yaml", lambda: b"".join(b" " * i + b"a:\n" for i in range(1_000)), "too_deep"),
    "aliases": ("a.yaml", lambda: b"- &a [x, x, x]\n- &b [*a, *a]\n- name: [*b, *b]\n", "yaml_reference"),
    "objects": ("a.yaml", lambda: b"- name: !!python/object/apply:os.system [id]\n", "yaml_reference"),
    "quotes in quotes": ("a.md", lambda: b"# Subprocessors\n" + deep("> ") + b"x", "no_list"),
    "brackets in brackets": ("a.md", lambda: b"# Subprocessors\n\n" + deep("[", many=50_000), "no_list"),
    "lists in lists": ("a.html", lambda: b"<h1>Subprocessors</h1>" + deep("<ul><li>", many=30_000), "no_list"),
    "comments never closed": ("a.html", lambda: deep("<!--"), "no_list"),
    "rows by the hundred thousand": ("a.md", lambda: b"|Name|\n|---|\n" + b"|a|\n" * 200_000, "too_many_rows"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_ends_in_one_clear_error(case: str) -> None:
    filename, make, code = HOSTILE[case]

    with pytest.raises(BadList) as bad:
        read_list(make(), filename=filename)

    assert [problem.code for problem in bad.value.problems] == [code]
    assert len(str(bad.value).splitlines()) == 2
    assert len(str(bad.value)) < 400


@pytest.mark.parametrize(
    "data",
    [
        b"Name,Town\rAlpha,Paris\r",
        "Name,Town\nAlpha,Paris\n".encode("utf-16"),
        "Name;Town\r\nAlpha;Paris\r\n".encode("utf-16-be"),
        b"\xef\xbb\xbfName\tTown\nAlpha\tParis",
    ],
)
def test_what_is_only_unusual_is_read(data: bytes) -> None:
    (entry,) = read_list(data, filename="list.csv").entries

    assert (entry.name, entry.town) == ("Alpha", "Paris")


def test_of_a_line_of_a_gigabyte_only_the_beginning_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    with path.open("wb") as file:
        file.truncate(GIGABYTE)  # a hole: it takes no room on the disk

    data = read_file(path)

    assert len(data) == MOST_BYTES + 1
    with pytest.raises(BadList) as bad:
        read_list(data, filename=path.name)
    assert [problem.code for problem in bad.value.problems] == ["too_large"]


# --- the process that reads ------------------------------------------------------------------------------------------


def test_the_process_has_limits_and_nothing_of_ours() -> None:
    found = confined(look_around, b"", {})

    assert set(found["environment"]) <= {"LC_CTYPE"}
    assert found["folder"] == "/"
    assert found["memory"] == MEGABYTES * 1024 * 1024
    assert (found["core"], found["written"]) == (0, 0)


def test_what_takes_too_much_memory_is_ended() -> None:
    assert confined(hoard, b"x", {"times": 100_000_000}) == 100_000_000

    with pytest.raises(TooCostly):
        confined(hoard, b"x", {"times": 300_000_000})


def test_what_takes_too_much_time_is_ended() -> None:
    with pytest.raises(TooCostly):
        confined(spin, b"x", {}, seconds=1)


def test_several_threads_may_read_at_once() -> None:
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda text=text: found.append(read_list(text, filename="a.csv").entries[0].name))
        for text in (b"Name\nAlpha\n", b"Name\nBeta\n")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(map(str, found)) == ["Alpha", "Beta"]
