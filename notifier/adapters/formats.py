"""Which format a file has, told by its bytes and its name, and the tables that are in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from notifier.adapters import pages, records, tables, workbooks
from notifier.adapters.remarks import Remark
from notifier.adapters.tables import Table, Unreadable

WORKBOOK = b"PK\x03\x04"
NO_TEXT = (b"\xd0\xcf\x11\xe0", b"%PDF", b"{\\rtf")  # .xls, .doc, PDF, RTF

ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("csv", "tsv", "tab"), "csv"),
        **dict.fromkeys(("md", "mdx", "markdown"), "markdown"),
        **dict.fromkeys(("html", "htm", "xhtml"), "html"),
        **dict.fromkeys(("yaml", "yml"), "yaml"),
        "json": "json",
    }
)


def read_tables(
    data: bytes, *, filename: str, field_of: Callable[[str], str]
) -> tuple[tuple[Table, ...], tuple[Remark, ...]]:
    """Every table of a file, and what looks like a list in it and was not taken for one.

    `field_of` gives the field that a heading means, or "". Unreadable where the file cannot be read at all.
    """
    if data.startswith(WORKBOOK):
        return workbooks.from_workbook(data, field_of), ()
    if data.startswith(NO_TEXT):
        raise Unreadable(0, "not_a_text_file")
    text = tables.text_of(data)
    kind = ENDINGS.get(filename.lower().rpartition(".")[2]) or _look(text)
    match kind:
        case "json":
            return (records.from_json(text),), ()
        case "yaml":
            return (records.from_yaml(text),), ()
        case "markdown":
            return pages.from_markdown(text, field_of)
        case "html":
            return pages.from_html(text, field_of)
        case _:
            return tables.from_csv(text, field_of), ()


def _look(text: str) -> str:
    """What a text looks like whose name does not say it, as the last part of an address often does not."""
    start = text[:100_000]
    if re.match(r"\s*(\{|\[\s*[\]{])", start):
        return "json"
    if re.match(r"\s*<(!doctype|html|body|table|\?xml)\b", start, re.IGNORECASE):
        return "html"
    if re.match(r"(---\s+)?(- [\w-]+:|[\w-]+:\s*\n\s*- [\w-]+:)", start):
        return "yaml"
    if re.search(r"(?m)^(#{1,6} |[*+-] |\|? *:?-{3,}:? *\|)", start):
        return "markdown"
    return "html" if re.search(r"<(table|ul|ol)\b", start, re.IGNORECASE) else "csv"
