"""A register as a file: to be opened, kept beside code, printed, or read back in.

Every format but PDF reads back exactly: `read_register` of what is written here gives the same entries.  The same
entries give the same bytes.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import xlsxwriter
import yaml

from notifier.adapters.cells import HEADINGS, written
from notifier.adapters.countries import country_name
from notifier.adapters.dates import plain_date
from notifier.adapters.documents import Register, Table, print_register
from notifier.adapters.registers import write_register
from notifier.rules.entries import FIELDS, Certificate, Entry, Place, Shape, as_json
from notifier.rules.wording import NBSP

REGISTRY_1 = "notifier/registry-1"
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # six times as fast, where the wheel has it
_MADE_AT = datetime(2000, 1, 1, tzinfo=UTC)  # a workbook wants one, and the same entries give the same bytes
_NARROW, _WIDE = 14, 30  # columns of a sheet, in characters
_UNBROKEN = 2**31 - 1  # a text is one line, so that a difference between two files is one of texts


MOST_PRINTED = 1_000  # companies in a PDF, each on a page of its own


class BadExport(ValueError):
    """What was asked for cannot be written; the message says what to ask for."""


@dataclass(frozen=True, slots=True)
class _Export:
    entries: Sequence[Entry]
    language: str
    title: str
    on: date
    search_path: Sequence[Path]

    def say(self, text: str) -> str:
        return WORDS[self.language][text]


@dataclass(frozen=True, slots=True)
class Format:
    media_type: str
    extension: str
    write: Callable[[_Export], bytes]


def export(
    entries: Sequence[Entry],
    form: str,
    *,
    language: str,
    title: str,
    on: date,
    search_path: Sequence[Path] = (),
) -> bytes:
    """Write entries in one of FORMATS, with headings in a language ("en", "fr"), as the list of a day.

    `search_path` is that of the templates, for PDF.  BadExport for a format that is none of them, and for a text that
    the format cannot hold.
    """
    if form not in FORMATS:
        raise BadExport(f'there is no export as "{form}": ask for one of {", ".join(FORMATS)}')
    return FORMATS[form].write(_Export(tuple(entries), language, title, on, search_path))


# --- for programs ----------------------------------------------------------------------------------------------------


def _csv(made: _Export) -> bytes:
    return write_register(made.entries).encode("utf-8-sig")  # without the mark Excel takes accents for other signs


def _document(made: _Export) -> dict[str, Any]:
    return {"format": REGISTRY_1, "entries": [as_json(entry) for entry in made.entries]}


def _json(made: _Export) -> bytes:
    return (json.dumps(_document(made), ensure_ascii=False, indent=2) + "\n").encode()


def _yaml(made: _Export) -> bytes:
    text: str = yaml.dump(_document(made), Dumper=_DUMPER, allow_unicode=True, sort_keys=False, width=_UNBROKEN)
    return text.encode()


# --- for people who edit ---------------------------------------------------------------------------------------------


def _xlsx(made: _Export) -> bytes:
    """Only texts: nothing in a cell is a formula or a link, whatever it begins with."""
    out = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(out, {**options, "strings_to_numbers": False})
    book.set_properties({"title": made.title, "created": _MADE_AT.replace(tzinfo=None)})
    sheet = book.add_worksheet(made.say("sheet"))
    bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    names = list(HEADINGS)
    for column, name in enumerate(names):
        sheet.set_column(column, column, _WIDE if _is_long(name) else _NARROW)
    sheet.freeze_panes(1, names.index("name") + 1)
    sheet.autofilter(0, 0, len(made.entries), len(names) - 1)
    rows = [_headings(names, made.language), *(_cells(names, entry) for entry in made.entries)]
    for row, cells in enumerate(rows):
        for column, text in enumerate(cells):
            if text and sheet.write_string(row, column, text, wrapped if row else bold):
                book.close()
                raise BadExport(
                    f"{cells[names.index('name')]}: a text of {names[column]} is too long for a spreadsheet"
                )
    book.close()
    return out.getvalue()


def _is_long(name: str) -> bool:
    return name in {"name", "address", "contact"} or (name in FIELDS and FIELDS[name].is_many)


def _markdown(made: _Export) -> bytes:
    """A table with the columns that say something, so that it reads as a text too.

    It stands under a heading of its own, for a reader takes a place that is named above a table for that of its rows.
    """
    said = {name for name in HEADINGS if name in {"key", "name"} or any(getattr(one, name) for one in made.entries)}
    if "address" in said:
        said |= {"postcode", "town"}  # without these columns an address is taken to hold them
    names = [name for name in HEADINGS if name in said]
    rows = [_headings(names, made.language), *(_cells(names, entry) for entry in made.entries)]
    head, *lines = ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
    above = [f"# {_escaped(made.title)}", _escaped(_as_of(made)), f"## {made.say('sheet')}"]
    return "\n".join(["\n\n".join(above), "", head, "|" + " --- |" * len(names), *lines, ""]).encode()


def _escaped(text: str) -> str:
    """Text in which Markdown finds no markup of its own."""
    return re.sub(r"([\\`*_~\[\]<>&!|#$^{}])", r"\\\1", text)


def _headings(names: Sequence[str], language: str) -> list[str]:
    return [HEADINGS[name][language == "fr"] for name in names]


def _cells(names: Sequence[str], entry: Entry) -> list[str]:
    return [written(name, getattr(entry, name)) for name in names]


def _as_of(made: _Export) -> str:
    return made.say("as of").format(day=plain_date(made.on, made.language), number=len(made.entries))


# --- for people who read ---------------------------------------------------------------------------------------------

WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "sheet": "Subprocessors",
            "as of": "As of {day}. Subprocessors listed: {number}.",
            "unknown": "What nobody has said is left out.",
            "until": "until {day}",
            "yes": "yes",
            "no": "no",
            "exempt": "exempted",
            "receives": "receives data",
            "physical": "physical access only",
            "transit": "carries data",
            "none": "no transfer",
            "adequacy": "adequacy decision",
            "scc": "standard contractual clauses",
            "bcr": "binding corporate rules",
            "derogation": "derogation (GDPR art. 49)",
            "better": "better",
            "equal": "equal",
            "lower": "lower",
            "production": "production",
            "backup": "backup",
            "interconnection": "interconnection",
            "support": "support",
            "dark_fibre": "dark fibre",
        },
        "fr": {
            "sheet": "Sous-traitants",
            "as of": f"Au {{day}}. Sous-traitants listés{NBSP}: {{number}}.",
            "unknown": "Ce que personne n’a indiqué est omis.",
            "until": "jusqu’au {day}",
            "yes": "oui",
            "no": "non",
            "exempt": "exempté",
            "receives": "reçoit des données",
            "physical": "accès physique seulement",
            "transit": "achemine des données",
            "none": "aucun transfert",
            "adequacy": "décision d’adéquation",
            "scc": "clauses contractuelles types",
            "bcr": "règles d’entreprise contraignantes",
            "derogation": "dérogation (art. 49 du RGPD)",
            "better": "meilleur",
            "equal": "égal",
            "lower": "inférieur",
            "production": "production",
            "backup": "sauvegarde",
            "interconnection": "interconnexion",
            "support": "support",
            "dark_fibre": "fibre noire",
        },
    }
)
_MAIN = ("name", "activities", "places", "transfer", "certificates")  # the columns of the printed table


def _pdf(made: _Export) -> bytes:
    if len(made.entries) > MOST_PRINTED:
        raise BadExport(f"a PDF takes {MOST_PRINTED} companies, and this list has {len(made.entries)}: ask for xlsx")
    names = {entry.key: entry.name for entry in made.entries}
    register = Register(
        language=made.language,
        title=made.title,
        remarks=(_as_of(made), made.say("unknown")),
        headings=tuple(_headings(_MAIN, made.language)),
        rows=tuple((one.name, one.activity, *(_shown(made, name, one) for name in _MAIN[2:])) for one in made.entries),
        details=tuple(_details(made, entry, names) for entry in made.entries),
    )
    return print_register(register, search_path=made.search_path)


def _details(made: _Export, entry: Entry, names: Mapping[str, str]) -> Table:
    said = {name: _shown(made, name, entry) for name in FIELDS if name != "name"}
    said["parent"] = names.get(entry.parent, entry.parent)
    headings = dict(zip(FIELDS, _headings(list(FIELDS), made.language), strict=True))
    return Table(caption=entry.name, rows=tuple((headings[name], text) for name, text in said.items() if text))


def _shown(made: _Export, name: str, entry: Entry) -> str:
    """A field in words, each of several on a line of its own."""
    value, spec = getattr(entry, name), FIELDS[name]
    return "\n".join(_SHOWN[spec.shape](made, one) for one in (value if spec.is_many else filter(None, [value])))


def _place(made: _Export, place: Place) -> str:
    where = ", ".join(filter(None, (place.site, country_name(place.country, made.language))))
    kind = WORDS[made.language].get(place.kind, place.kind)
    return f"{where} ({kind})" if kind and where else where or kind


def _certificate(made: _Export, one: Certificate) -> str:
    until = one.expires_on and made.say("until").format(day=_day(made, one.expires_on))
    return ", ".join(filter(None, (f"{one.standard} {one.edition}".strip(), one.number, one.scope, one.issuer, until)))


def _day(made: _Export, text: str) -> str:
    return plain_date(date.fromisoformat(text), made.language)


def _country(made: _Export, code: str) -> str:
    return country_name(code, made.language)


_SHOWN: Mapping[Shape, Callable[[_Export, Any], str]] = MappingProxyType(
    {
        **dict.fromkeys((Shape.TEXT, Shape.LIST, Shape.URL), lambda _, text: text),
        **dict.fromkeys((Shape.COUNTRY, Shape.COUNTRIES), _country),
        Shape.CHOICE: lambda made, choice: made.say(choice),
        Shape.DAY: _day,
        Shape.PLACES: _place,
        Shape.CERTIFICATES: _certificate,
    }
)

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "csv": Format("text/csv; charset=utf-8", "csv", _csv),
        "xlsx": Format("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", _xlsx),
        "yaml": Format("application/yaml", "yaml", _yaml),
        "json": Format("application/json", "json", _json),
        "md": Format("text/markdown; charset=utf-8", "md", _markdown),
        "pdf": Format("application/pdf", "pdf", _pdf),
    }
)
