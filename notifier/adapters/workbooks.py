"""The tables of a spreadsheet's file, XLSX or ODS.

Formulas are never run: of a workbook the texts and numbers that it shows are taken, as its program last saved them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime

from python_calamine import CalamineSheet, CalamineWorkbook

from notifier.adapters.tables import (
    MOST_COLUMNS,
    MOST_ROWS,
    TITLE_ROWS,
    Row,
    Table,
    Unreadable,
    refuse_large,
    with_headings,
)

MOST_UNPACKED = 100_000_000  # of a workbook: its parts together
MOST_RATIO = 200  # unpacked to packed
MOST_PARTS = 2_000


def from_workbook(data: bytes, field_of: Callable[[str], str]) -> tuple[Table, ...]:
    """The sheets of an XLSX or ODS file."""
    refuse_large(data)
    _weigh(data)
    return with_headings(_sheets(data), field_of)


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
