"""Tables out of the bytes of a file, whatever format it has: rows of cells, each row with its number in the file.

Formulas are never run: of a workbook the texts and numbers that it shows are taken, as its program last saved them.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from python_calamine import CalamineSheet, CalamineWorkbook

from notifier.adapters.cells import LONGEST_CELL, written
from notifier.adapters.remarks import remark
from notifier.rules.entries import Certificate, Place

MOST_BYTES = 5_000_000
MOST_ROWS = 10_000
MOST_COLUMNS = 200
LONGEST_HEADINGS = 10_000
MOST_UNPACKED = 100_000_000  # of a workbook: its parts together
MOST_RATIO = 200  # unpacked to packed
MOST_PARTS = 2_000
DEEPEST = 20  # of YAML and JSON, one list of entries being the second step
TITLE_ROWS = 20  # how far down the headings of a sheet may stand

MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"\xef\xbb\xbf": "utf-8"}
LISTS = ("entries", "subprocessors", "sub-processors", "sub_processors", "sous-traitants")


@dataclass(frozen=True, slots=True)
class Row:
    number: int  # as a spreadsheet numbers it; in a text its line, in JSON the entry's number
    cells: tuple[str, ...]
    links: Mapping[int, str] = field(default_factory=dict)  # column → the address behind the words its cell begins with


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    line: int  # of the headings; 0 where they have none of their own
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    places: tuple[Place, ...] = ()  # where the heading or the sentence above says that all of these are


class Unreadable(Exception):
    """The file as a whole, or from a row on, cannot be read."""

    def __init__(self, row: int, code: str, **facts: object) -> None:
        super().__init__(code)
        self.remark = remark(row, "", code, **facts)


def read_file(path: Path) -> bytes:
    """The bytes of a file, but no more than show that it is too large: what reads them will refuse it."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def refuse_large(data: bytes) -> None:
    if len(data) > MOST_BYTES:
        raise Unreadable(0, "too_large", limit=MOST_BYTES // 1_000_000)


def text_of(data: bytes) -> str:
    """The characters of a text file in UTF-8, UTF-16 or Windows-1252."""
    refuse_large(data)
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding)
    start = data[:200]
    for encoding, odd in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if len(odd) > 1 and odd.count(0) > len(odd) // 2:
            return _decoded(data, encoding)
    if b"\0" in data.partition(b"\n")[0]:
        raise Unreadable(0, "not_a_text_file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _decoded(data, "windows-1252")


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise Unreadable(0, "encoding") from None


# --- sheets ----------------------------------------------------------------------------------------------------------


def clean(cell: str) -> str:
    """A cell without the sign that guards against formulas."""
    cell = unicodedata.normalize("NFC", cell.strip())
    return cell[1:] if re.match(r"'+[=+\-@]", cell) else cell


def guarded(cell: str) -> str:
    """A cell in which a spreadsheet finds no formula to run."""
    return f"'{cell}" if re.match(r"'*[=+\-@\t\r]", cell) else cell


def from_csv(text: str, field_of: Callable[[str], str]) -> tuple[Table, ...]:
    """The one table of a CSV text, whatever its delimiter; `field_of` gives the field of a heading, or ""."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, field_of), strict=True)
    return _chosen([list(_limited(_numbered(lines)))], field_of)


def _numbered(lines: Iterator[list[str]]) -> Iterator[Row]:
    number = 0
    try:
        for number, cells in enumerate(lines, 1):
            yield Row(number, tuple(map(clean, cells)))
    except csv.Error as bad:
        if "limit" in str(bad):
            raise Unreadable(number + 1, "too_long", found=f"> {csv.field_size_limit()}", limit=LONGEST_CELL) from None
        raise Unreadable(number + 1, "quotes") from None


def _limited(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        if row.number > MOST_ROWS + TITLE_ROWS:
            raise Unreadable(row.number, "too_many_rows", limit=MOST_ROWS)
        if len(row.cells) > MOST_COLUMNS:
            raise Unreadable(row.number, "too_many_columns", found=len(row.cells), limit=MOST_COLUMNS)
        yield row


def _delimiter(text: str, field_of: Callable[[str], str]) -> str:
    """The delimiter under which most cells of one of the first lines are headings that are known."""
    lines = re.split(r"\r\n|\r|\n", text[:LONGEST_HEADINGS])[:TITLE_ROWS]

    def score(delimiter: str) -> tuple[int, int]:
        return max(
            (sum(bool(field_of(clean(cell))) for cell in cells[:MOST_COLUMNS]), len(cells))
            for cells in (next(csv.reader([line], delimiter=delimiter), []) for line in lines)
        )

    return max(",;\t|", key=score)


def from_workbook(data: bytes, field_of: Callable[[str], str]) -> tuple[Table, ...]:
    """The sheets of an XLSX or ODS file."""
    refuse_large(data)
    _weigh(data)
    return _chosen(_sheets(data), field_of)


def _sheets(data: bytes) -> Iterator[list[Row]]:
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        yield from (_sheet(book.get_sheet_by_name(name)) for name in book.sheet_names)
    except (Unreadable, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - calamine has an error for each format, and others from below it
        raise Unreadable(0, "workbook") from None


def _sheet(sheet: CalamineSheet) -> list[Row]:
    height, width = (last + 1 for last in sheet.end or (-1, -1))
    if height > MOST_ROWS + TITLE_ROWS:
        raise Unreadable(height, "too_many_rows", limit=MOST_ROWS)
    if width > MOST_COLUMNS:
        raise Unreadable(1, "too_many_columns", found=width, limit=MOST_COLUMNS)
    rows = sheet.to_python(skip_empty_area=False)
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        for row in rows[top + 1 : bottom + 1] if left == right else ():  # told once for each row, as in a page
            row[left] = rows[top][left]
    return [Row(number, tuple(map(_shown_cell, cells))) for number, cells in enumerate(rows, 1)]


def _weigh(data: bytes) -> None:
    """Refuse a workbook that is small packed and large unpacked, or defines its own entities, before it is opened."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            size = sum(part.file_size for part in parts)
            if len(parts) > MOST_PARTS or size > MOST_UNPACKED or size > MOST_RATIO * max(len(data), 10_000):
                raise Unreadable(0, "workbook_too_large", limit=MOST_UNPACKED // 1_000_000)
            for part in parts:
                with archive.open(part) as opened:
                    if b"<!DOCTYPE" in opened.read(1_000).upper():
                        raise Unreadable(0, "workbook_entities")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError):
        raise Unreadable(0, "workbook") from None


def _shown_cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time().isoformat() == "00:00:00" else value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def _chosen(sheets: Iterable[list[Row]], field_of: Callable[[str], str]) -> tuple[Table, ...]:
    """The sheets that have headings: of the first rows the one in which most are known, for titles may stand above."""
    tables = []
    for rows in sheets:
        filled = [row for row in rows if any(row.cells)]
        head = max(islice(filled, TITLE_ROWS), key=lambda row: sum(map(bool, map(field_of, row.cells))), default=None)
        if head is not None:
            below = tuple(row for row in filled if row.number > head.number)
            if len(below) > MOST_ROWS:
                raise Unreadable(MOST_ROWS + 1, "too_many_rows", limit=MOST_ROWS)
            tables.append(Table(line=head.number, headings=head.cells, rows=below))
    return tuple(tables)


# --- records ---------------------------------------------------------------------------------------------------------


def from_json(text: str) -> Table:
    """The entries of a JSON text, each with its number in the list: JSON does not tell lines."""
    try:
        data = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as bad:
        raise Unreadable(bad.lineno, "json") from None
    except RecursionError:
        raise Unreadable(0, "too_deep", limit=DEEPEST) from None
    if isinstance(data, dict):
        lists = [value for name, value in data.items() if name.lower() in LISTS and isinstance(value, list)]
        lists = lists or [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else None
    if not isinstance(data, list):
        raise Unreadable(0, "no_list")
    return _records(list(enumerate(data, 1)))


def from_yaml(text: str) -> Table:
    """The entries of a YAML text, each with its line. Everything is text: `no` is Norway as often as it is "no"."""
    try:
        _refuse_yaml_bombs(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as bad:
        mark = bad.problem_mark if isinstance(bad, yaml.MarkedYAMLError) else None
        raise Unreadable(mark.line + 1 if mark is not None else 0, "yaml") from None
    if isinstance(root, yaml.MappingNode):
        lists = [(name.value, value) for name, value in root.value if isinstance(value, yaml.SequenceNode)]
        named = [value for name, value in lists if str(name).lower() in LISTS]
        lists_found = named or [value for _, value in lists]
        root = lists_found[0] if len(lists_found) == 1 else None
    if not isinstance(root, yaml.SequenceNode):
        raise Unreadable(0, "no_list")
    return _records([(node.start_mark.line + 1, _plain(node)) for node in root.value])


_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _refuse_yaml_bombs(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1 if event.start_mark else 0
        if depth > DEEPEST:
            raise Unreadable(line, "too_deep", limit=DEEPEST)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise Unreadable(line, "yaml_reference")


def _plain(node: yaml.Node) -> Any:  # noqa: ANN401 - as JSON
    if isinstance(node, yaml.MappingNode):
        return {str(_plain(name)): _plain(value) for name, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    is_null = isinstance(node, yaml.ScalarNode) and node.style is None and node.value in {"~", "null", "Null", "NULL"}
    return "" if is_null else node.value


def _records(records: Sequence[tuple[int, Any]]) -> Table:
    """Entries one under the other become a table: what any of them names is a column."""
    if len(records) > MOST_ROWS:
        raise Unreadable(MOST_ROWS + 1, "too_many_rows", limit=MOST_ROWS)
    headings: dict[str, None] = {}
    for number, record in records:
        if not isinstance(record, dict):
            raise Unreadable(number, "not_an_entry")
        headings |= dict.fromkeys(record)
        if len(headings) > MOST_COLUMNS:
            raise Unreadable(number, "too_many_columns", found=len(headings), limit=MOST_COLUMNS)
    rows = tuple(Row(number, tuple(_cell(number, record.get(name)) for name in headings)) for number, record in records)
    return Table(line=0, headings=tuple(headings), rows=rows)


def _cell(number: int, value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(filter(None, (_cell(number, item) for item in value)))
    if not isinstance(value, dict):
        return str(value)
    for name, kind in (("places", Place), ("certificates", Certificate)):
        if value and value.keys() <= set(kind.__slots__) and all(isinstance(part, str) for part in value.values()):
            return written(name, [kind(**{"standard": "", **value} if kind is Certificate else value)])
    raise Unreadable(number, "not_one_cell", value=", ".join(map(str, value)))
