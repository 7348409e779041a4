"""What a table out of a file is: rows of cells, each row with its number in the file; and the one of a CSV text."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from notifier.adapters.cells import LONGEST_CELL
from notifier.adapters.remarks import remark
from notifier.rules.entries import Place

MOST_BYTES = 5_000_000
MOST_ROWS = 10_000
MOST_COLUMNS = 200
LONGEST_HEADINGS = 10_000
TITLE_ROWS = 20  # how far down the headings of a sheet may stand

MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be", b"\xef\xbb\xbf": "utf-8"}


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
    return with_headings([list(_limited(_numbered(lines)))], field_of)


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


def with_headings(sheets: Iterable[list[Row]], field_of: Callable[[str], str]) -> tuple[Table, ...]:
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
