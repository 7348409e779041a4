"""Lists as people keep them, in spreadsheets saved as CSV: a register of subprocessors, clients with their contacts.

A file is taken whole or not at all, and every fault in it is told at once, by row and column.
"""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import chain, count
from types import MappingProxyType
from typing import Any

from babel import Locale

from notifier.rules import own_terms
from notifier.rules.own_terms import BadOwnTerms
from notifier.rules.registry_diff import COMPARED, Entry, meaning, slug
from notifier.rules.terms import Pack

MOST_BYTES = 5_000_000
MOST_ROWS = 10_000
LONGEST_CELL = 300
LONGEST_OWN_TERMS = 5000
LONGEST_HEADINGS = 10_000
LONGEST_ADDRESS = 254  # RFC 5321 4.5.3.1.3: a path of 256 less its angle brackets
LONGEST_LOCAL_PART = 64  # RFC 5321 4.5.3.1.1
LONGEST_LABEL = 63  # RFC 1035 2.3.4

TEXTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "too_large": (
            "the file is larger than {limit} MB; split it",
            "le fichier dépasse {limit} Mo ; scindez-le",
        ),
        "not_a_text_file": (
            "this is not a text file; save the sheet as CSV (UTF-8)",
            "ce n'est pas un fichier texte ; enregistrez la feuille au format CSV (UTF-8)",
        ),
        "encoding": (
            "the characters cannot be read; save the sheet as CSV (UTF-8)",
            "les caractères sont illisibles ; enregistrez la feuille au format CSV (UTF-8)",
        ),
        "too_many_rows": (
            "there are more than {limit} rows; split the file",
            "il y a plus de {limit} lignes ; scindez le fichier",
        ),
        "quotes": (
            "a quotation mark is opened and not closed properly; close it, or double it inside a text",
            "un guillemet est ouvert et mal refermé ; refermez-le, ou doublez-le à l'intérieur d'un texte",
        ),
        "column_missing": (
            "this column is missing; add it",
            "cette colonne manque ; ajoutez-la",
        ),
        "column_twice": (
            "this column is there twice; keep one",
            "cette colonne figure deux fois ; n'en gardez qu'une",
        ),
        "column_unknown": (
            "this column is not known; rename or delete it (known: {known})",
            "cette colonne est inconnue ; renommez-la ou supprimez-la (connues : {known})",
        ),
        "cells": (
            "the row has {found} cells and the headings {expected}; put a text that holds the separator in quotes",
            "la ligne a {found} cellules et l'en-tête {expected} ; mettez entre guillemets tout texte avec séparateur",
        ),
        "no_heading": (
            "“{value}” stands under no heading; name the column or empty the cell",
            "« {value} » n'a pas d'en-tête ; nommez la colonne ou videz la cellule",
        ),
        "missing": (
            "this cell is empty; fill it in",
            "cette cellule est vide ; remplissez-la",
        ),
        "too_long": (
            "the text has {found} characters; shorten it to {limit}",
            "le texte compte {found} caractères ; ramenez-le à {limit}",
        ),
        "not_text": (
            "the cell holds control characters; type it again",
            "la cellule contient des caractères de contrôle ; saisissez-la de nouveau",
        ),
        "no_letters": (
            "“{value}” has no letter and no digit; write the name out",
            "« {value} » ne contient ni lettre ni chiffre ; écrivez le nom en entier",
        ),
        "country_unknown": (
            "“{value}” is not a country; write its name in English or French, or its two letters",
            "« {value} » n'est pas un pays ; écrivez son nom en français ou en anglais, ou son code à deux lettres",
        ),
        "country_missing": (
            "in which country is {name}? It was left empty, and is not guessed",
            "dans quel pays se trouve {name} ? Le pays n'est pas indiqué, et il n'est pas déduit",
        ),
        "key_twice": (
            "the key “{value}” is already that of row {other}; give each row its own",
            "la clé « {value} » est déjà celle de la ligne {other} ; donnez à chaque ligne la sienne",
        ),
        "row_twice": (
            "{name} is already there with the same activity and place, in row {other}; delete one",
            "{name} figure déjà à la ligne {other}, avec la même activité et le même lieu ; supprimez l'une des deux",
        ),
        "date_format": (
            "“{value}” is not a date; write 2026-12-31 or 31/12/2026",
            "« {value} » n'est pas une date ; écrivez 2026-12-31 ou 31/12/2026",
        ),
        "date_impossible": (
            "{value} is not in the calendar; correct the day or the month",
            "le {value} n'existe pas dans le calendrier ; corrigez le jour ou le mois",
        ),
        "email": (
            "“{value}” is not one e-mail address; write it as name@company.example",
            "« {value} » n'est pas une adresse e-mail ; écrivez-la sous la forme nom@societe.example",
        ),
        "yes_no": (
            "“{value}” is neither yes nor no; write one of them",
            "« {value} » n'est ni oui ni non ; écrivez l'un des deux",
        ),
        "unknown_pack": (
            "there is no contract pack “{value}”; write one of: {known}",
            "il n'existe pas de modèle de contrat « {value} » ; choisissez parmi : {known}",
        ),
        "unknown_role": (
            "there is no role “{value}”; write one of: {known}",
            "il n'existe pas de rôle « {value} » ; choisissez parmi : {known}",
        ),
        "unknown_language": (
            "letters are not written in “{value}”; write one of: {known}",
            "aucun courrier n'existe en « {value} » ; choisissez parmi : {known}",
        ),
        "contradiction": (
            "“{value}” contradicts “{first}” in row {other}; leave the cell empty or write the same",
            "« {value} » contredit « {first} » à la ligne {other} ; videz la cellule ou écrivez la même chose",
        ),
        "not_in_first_row": (
            "“{value}” is missing in row {other}, the client's first; write it there",
            "« {value} » manque à la ligne {other}, la première de ce client ; écrivez-le à cet endroit",
        ),
        "contact_twice": (
            "this client already has {value} in this role, in row {other}; delete one",
            "ce client a déjà {value} dans ce rôle, à la ligne {other} ; supprimez l'une des deux lignes",
        ),
    }
)

# What Babel lists among the countries and ISO 3166 does not: groups, dependencies with a reserved code, inventions.
NOT_COUNTRIES = frozenset(["AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"])

OTHER_NAMES = MappingProxyType(
    {
        "czech-republic": "CZ",
        "etats-unis-d-amerique": "US",
        "grande-bretagne": "GB",
        "great-britain": "GB",
        "republique-tcheque": "CZ",
        "the-netherlands": "NL",
        "turkey": "TR",
        "uk": "GB",
        "united-states-of-america": "US",
        "usa": "US",
    }
)

YES_NO = MappingProxyType(
    dict.fromkeys(("yes", "oui", "true", "vrai", "1"), "yes") | dict.fromkeys(("no", "non", "false", "faux", "0"), "no")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something about one cell, in both languages; each says what to do."""

    row: int  # as a spreadsheet numbers it: the headings are row 1; 0 is the file as a whole
    column: str  # the heading as the file writes it; "" is the row as a whole
    code: str  # one of TEXTS, or of those of own_terms
    en: str
    fr: str

    @property
    def message(self) -> str:
        return self.en

    def text(self, language: str) -> str:
        """The sentence with its place in front, French for "fr" and English for all else."""
        french = language == "fr"
        row = (f"ligne {self.row}" if french else f"row {self.row}") if self.row else ""
        place = ", ".join(part for part in (row, self.column) if part)
        colon = "\u00a0: " if french else ": "
        return (place + colon if place else "") + (self.fr if french else self.en)


class BadList(Exception):
    def __init__(self, filename: str, problems: Sequence[Remark]) -> None:
        super().__init__(filename, problems)
        self.filename = filename
        self.problems = tuple(sorted(problems, key=lambda problem: problem.row))

    def __str__(self) -> str:
        return self.text("en")

    def text(self, language: str) -> str:
        """One line for the file, then one for each problem."""
        french = language == "fr"
        head = f"{self.filename} n'a pas été lu\u00a0:" if french else f"{self.filename} was not read:"
        return "\n".join([head, *(problem.text(language) for problem in self.problems)])


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterFile:
    entries: tuple[Entry, ...]
    questions: tuple[Remark, ...]  # what a person must still say; nothing is guessed


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    name: str
    role: str
    email: str
    phone: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRow:
    key: str
    company: str
    group: str
    account_manager: str  # an e-mail address
    account_manager_name: str
    address: str
    postcode: str
    town: str
    country: str  # ISO 3166 alpha-2, or ""
    reseller: bool
    services: tuple[str, ...]
    pack: str
    signed_on: date
    email_accepted: bool  # an empty cell means no: acceptance is express (Code civil 1126)
    contacts: tuple[ContactRow, ...]
    first_row: int
    # Kind, or "all" → field → value; None: the file has no such column, and says nothing of them.
    own_terms: Mapping[str, Mapping[str, Any]] | None = field(default=None, hash=False)


class _Wrong(Exception):
    """What one cell says cannot be taken."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


def read_register(data: bytes, *, filename: str) -> RegisterFile:
    """The entries of a register, rows without a key being given one made of their name. BadList tells every fault."""
    sheet = _Sheet(data, filename, REGISTER_COLUMNS)
    for row in sheet.rows:
        sheet.require(row, ("name", "activity"))
    sheet.refuse_repeats("key_twice", lambda cells: cells.get("key"), column="key")
    sheet.refuse_repeats("row_twice", _whole_entry, column="name")
    sheet.close()
    return RegisterFile(
        entries=tuple(Entry(**cells) for cells in _keyed([row.cells for row in sheet.rows])),
        questions=tuple(
            sheet.remark(row.number, "country", "country_missing", name=row.cells["name"])
            for row in sheet.rows
            if not row.cells["country"]
        ),
    )


def write_register(entries: Iterable[Entry]) -> str:
    """CSV that `read_register` reads back exactly, and in which a spreadsheet finds no formula to run."""
    names = [column.name for column in REGISTER_COLUMNS]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(names)
    writer.writerows([_guarded(getattr(entry, name)) for name in names] for entry in entries)
    return out.getvalue()


def read_clients(
    data: bytes, *, filename: str, packs: Mapping[str, Pack], roles: Collection[str], languages: Collection[str]
) -> tuple[ClientRow, ...]:
    """The clients of a file that has one row per contact. BadList tells every fault.

    What is said of a client stands in its first row; its other rows repeat that or leave it empty. A client's own terms
    are judged with the contract pack that they change.
    """
    sheet = _Sheet(data, filename, _client_columns(packs, roles, languages))
    clients: dict[str, list[_Row]] = {}
    for row in sheet.rows:
        sheet.require(row, ("client_key",))
        if key := row.cells.get("client_key"):
            clients.setdefault(key, []).append(row)
    for first, *others in clients.values():
        sheet.require(first, ("company", "account_manager", "contract_pack", "signed_on"))
        _refuse_bad_terms(sheet, first, packs)
        for other in others:
            _refuse_contradictions(sheet, first, other)
    for row in filter(_has_contact, sheet.rows):
        sheet.require(row, ("contact_name", "contact_role", "contact_email", "contact_language"))
    sheet.refuse_repeats("contact_twice", _contact_identity, column="contact_email")
    sheet.close()
    return tuple(_client(rows, says_own_terms="own_terms" in sheet.headings) for rows in clients.values())


def country_code(text: str) -> str | None:
    """ISO 3166 alpha-2 of a country given by that code or by its name in English or French."""
    if text.upper() in _countries().values():
        return text.upper()
    return _countries().get(slug(text))


def is_address(text: str) -> bool:
    """Whether this is one plain addr-spec: no quoting, no comment, no list, nothing a header could be broken with."""
    local, at, domain = text.rpartition("@")
    labels = domain.split(".")
    return (
        bool(at)
        and text.isascii()  # a domain in other letters is written in its xn-- form
        and len(text.encode()) <= LONGEST_ADDRESS
        and len(local.encode()) <= LONGEST_LOCAL_PART
        and "=?" not in text  # an encoded word would be decoded on the way
        and not any(unicodedata.category(sign)[0] in "CZ" for sign in text)
        and re.fullmatch(r"""[^"(),:;<>@\[\\\].]+(\.[^"(),:;<>@\[\\\].]+)*""", local) is not None
        and len(labels) > 1
        and not labels[-1].isdecimal()
        and all(re.fullmatch(r"[^\W_]+(-+[^\W_]+)*", label) and len(label) <= LONGEST_LABEL for label in labels)
    )


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    also: tuple[str, ...] = ()  # other headings, as `slug` writes them
    required: bool = False  # a file without this column cannot be read
    longest: int = LONGEST_CELL
    normal: Callable[[str], str] = str  # a filled cell → what it means, or _Wrong

    def is_headed(self, heading: str) -> bool:
        return slug(heading) in {slug(self.name), *self.also}


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    cells: dict[str, str]  # every column by name, empty if not given; a cell with a fault is left out


class _Sheet:
    """The rows of one file, and all that was found wrong with them."""

    def __init__(self, data: bytes, filename: str, columns: Sequence[_Column]) -> None:
        self.filename = filename
        self.problems: list[Remark] = []
        self.headings: dict[str, str] = {}
        grid = self._grid(self._decoded(data), columns)
        _, headings = next(grid, (1, []))
        layout = self._layout(headings, columns)
        self.rows = [self._row(number, cells, layout, columns) for number, cells in grid if any(map(_clean, cells))]

    def remark(self, row: int, column: str, code: str, **facts: object) -> Remark:
        shown = {name: fact if name == "known" else _shown(str(fact)) for name, fact in facts.items()}
        en, fr = TEXTS[code]
        return Remark(
            row=row,
            column=self.headings.get(column, column),
            code=code,
            en=en.format_map(shown),
            fr=_unbroken(fr).format_map(shown),
        )

    def complain(self, row: int, column: str, code: str, **facts: object) -> None:
        self.problems.append(self.remark(row, column, code, **facts))

    def complain_of_terms(self, row: int, column: str, bad: BadOwnTerms) -> None:
        heading = self.headings.get(column, column)
        self.problems += [
            Remark(row=row, column=heading, code=problem.code, en=problem.en, fr=problem.fr) for problem in bad.problems
        ]

    def require(self, row: _Row, names: Iterable[str]) -> None:
        for name in names:
            if row.cells.get(name) == "":
                self.complain(row.number, name, "missing")

    def refuse_repeats(self, code: str, identity: Callable[[dict[str, str]], object], *, column: str) -> None:
        """Complain of each row whose identity an earlier row has; an empty identity is none."""
        first: dict[object, int] = {}
        for row in self.rows:
            other = first.setdefault(same, row.number) if (same := identity(row.cells)) else row.number
            if other != row.number:
                name, value = row.cells.get("name", ""), row.cells.get(column, "")
                self.complain(row.number, column, code, other=other, name=name, value=value)

    def close(self) -> None:
        if self.problems:
            raise BadList(self.filename, self.problems)

    def _decoded(self, data: bytes) -> str:
        if len(data) > MOST_BYTES:
            self.complain(0, "", "too_large", limit=MOST_BYTES // 1_000_000)
        elif b"\0" in data.partition(b"\n")[0]:  # a workbook, or UTF-16
            self.complain(0, "", "not_a_text_file")
        self.close()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
        try:
            return data.decode("windows-1252")
        except UnicodeDecodeError:
            self.complain(0, "", "encoding")
            raise BadList(self.filename, self.problems) from None

    def _grid(self, text: str, columns: Sequence[_Column]) -> Iterator[tuple[int, list[str]]]:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, columns), strict=True)
        for number in count(1):
            try:
                cells = next(lines)
            except StopIteration:
                return
            except csv.Error:
                self.complain(number, "", "quotes")
                return
            if number > MOST_ROWS + 1:
                self.complain(number, "", "too_many_rows", limit=MOST_ROWS)
                return
            yield number, cells

    def _layout(self, headings: Sequence[str], columns: Sequence[_Column]) -> list[_Column | None]:
        """Which column each heading means; None under an empty heading. Wrong headings make every row meaningless."""
        layout: list[_Column | None] = []
        for heading in map(_clean, headings):
            column = next((column for column in columns if column.is_headed(heading)), None)
            if column is None and heading:
                known = ", ".join(column.name for column in columns)
                self.complain(1, _shown(heading), "column_unknown", known=known)
            elif column is not None and column in layout:
                self.complain(1, heading, "column_twice")
            elif column is not None:
                self.headings[column.name] = heading
            layout.append(column)
        for column in columns:
            if column.required and column not in layout:
                self.complain(1, column.name, "column_missing")
        self.close()
        return layout

    def _row(
        self, number: int, cells: Sequence[str], layout: Sequence[_Column | None], columns: Sequence[_Column]
    ) -> _Row:
        if len(cells) != len(layout):
            self.complain(number, "", "cells", found=len(cells), expected=len(layout))
            cells = cells[:1]  # a stray separator shifts all cells but the first
            found: dict[str, str] = {}
        else:
            found = {column.name: "" for column in columns if column not in layout}
        for column, cell in zip(layout, map(_clean, cells), strict=False):
            if column is not None:
                found |= self._cell(number, column, cell)
            elif cell:
                self.complain(number, "", "no_heading", value=cell)
        return _Row(number, found)

    def _cell(self, number: int, column: _Column, cell: str) -> dict[str, str]:
        try:
            return {column.name: column.normal(_text(cell, column.longest)) if cell else ""}
        except _Wrong as wrong:
            self.complain(number, column.name, wrong.code, **wrong.facts)
        except BadOwnTerms as bad:
            self.complain_of_terms(number, column.name, bad)
        return {}


def _delimiter(text: str, columns: Sequence[_Column]) -> str:
    """The delimiter under which most of the first line is headings that are known."""
    line = re.split(r"[\r\n]", text[:LONGEST_HEADINGS], maxsplit=1)[0]

    def score(delimiter: str) -> tuple[int, int]:
        headings = [_clean(cell) for cell in next(csv.reader([line], delimiter=delimiter), [])]
        return sum(column.is_headed(heading) for heading in headings for column in columns), len(headings)

    return max(",;\t", key=score)


def _clean(cell: str) -> str:
    """One line, composed accents, without the sign that guards against formulas."""
    cell = cell.strip()
    if re.match(r"'+[=+\-@]", cell):
        cell = cell[1:]
    return " ".join(unicodedata.normalize("NFC", cell).split())


def _guarded(cell: str) -> str:
    return f"'{cell}" if re.match(r"'*[=+\-@\t\r]", cell) else cell


def _shown(value: str) -> str:
    """A value fit to be quoted in a message."""
    value = "".join(sign if sign.isprintable() else "\ufffd" for sign in value)
    return value if len(value) <= LONGEST_LABEL else f"{value[:LONGEST_LABEL]}…"


def _unbroken(french: str) -> str:
    """French with the spaces beside its signs made such that no line ends there."""
    return re.sub(r" (?=[;:?»])|(?<=«) ", "\u00a0", french)


def _text(cell: str, longest: int) -> str:
    if len(cell) > longest:
        raise _Wrong("too_long", found=len(cell), limit=longest)
    if any(unicodedata.category(sign) == "Cc" for sign in cell):
        raise _Wrong("not_text")
    return cell


def _name(cell: str) -> str:
    if not slug(cell):
        raise _Wrong("no_letters", value=cell)
    return cell


def _country(cell: str) -> str:
    code = country_code(cell)
    if code is None:
        raise _Wrong("country_unknown", value=cell)
    return code


@cache
def _countries() -> Mapping[str, str]:
    """Names of countries, as `slug` writes them → ISO 3166 alpha-2."""
    names = {
        slug(name): code
        for language in ("en", "fr")
        for code, name in Locale(language).territories.items()
        if re.fullmatch("[A-Z]{2}", code) and code not in NOT_COUNTRIES
    }
    return MappingProxyType(names | OTHER_NAMES)


def _date(cell: str) -> str:
    parts = re.fullmatch(r"(?P<y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})", cell) or re.fullmatch(
        r"(?P<d>[0-9]{1,2})/(?P<m>[0-9]{1,2})/(?P<y>[0-9]{4})", cell
    )
    if parts is None:
        raise _Wrong("date_format", value=cell)
    try:
        return date(int(parts["y"]), int(parts["m"]), int(parts["d"])).isoformat()
    except ValueError:
        raise _Wrong("date_impossible", value=cell) from None


def _email(cell: str) -> str:
    if not is_address(cell):
        raise _Wrong("email", value=cell)
    return cell


def _yes_no(cell: str) -> str:
    try:
        return YES_NO[cell.casefold()]
    except KeyError:
        raise _Wrong("yes_no", value=cell) from None


def _services(cell: str) -> str:
    return "|".join(dict.fromkeys(service for part in cell.split("|") if (service := part.strip())))


def _one_of(known: Collection[str], code: str) -> Callable[[str], str]:
    spelled = {word.casefold(): word for word in known}

    def normal(cell: str) -> str:
        try:
            return spelled[cell.casefold()]
        except KeyError:
            raise _Wrong(code, value=cell, known=", ".join(sorted(known))) from None

    return normal


REGISTER_COLUMNS = (
    _Column("key", ("cle",)),
    _Column("name", ("nom", "tiers"), required=True, normal=_name),
    _Column("address", ("adresse",)),
    _Column("postcode", ("code-postal",)),
    _Column("town", ("ville",)),
    _Column("country", ("pays",), normal=_country),
    _Column(
        "activity", ("activite", "prestations", "activite-prestations", "prestations-sous-traitees"), required=True
    ),
    _Column("site_kind", ("type-de-site",)),
    _Column("replaces", ("remplace",)),
)


def _whole_entry(cells: Mapping[str, str]) -> object:
    return tuple(meaning(cells[field]) for field in COMPARED) if cells.keys() >= set(COMPARED) else None


def _keyed(rows: Sequence[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Give each row without a key the first free one of name, name-town, name-town-2, … .

    An earlier row chooses first, so that what is added at the end takes no key from what was there.
    """
    taken = {cells["key"] for cells in rows}
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))
    for cells in rows:
        name = slug(cells["name"])
        by_town = f"{name}-{slug(cells['town'])}".rstrip("-")
        candidates = chain((name, by_town), (f"{by_town}-{number}" for number in numbers[by_town]))
        key = cells["key"] or next(key for key in candidates if key not in taken)
        taken.add(key)
        yield cells | {"key": key}


def _own_terms(roles: Collection[str]) -> Callable[[str], str]:
    """Two ways of writing the same terms are one."""

    def normal(cell: str) -> str:
        return own_terms.written(own_terms.parse(cell, roles=roles))

    return normal


def _client_columns(packs: Collection[str], roles: Collection[str], languages: Collection[str]) -> tuple[_Column, ...]:
    return (
        _Column("client_key", ("cle", "cle-client", "cle-du-client"), required=True),
        _Column("company", ("societe", "raison-sociale"), required=True, normal=_name),
        _Column("group", ("groupe",)),
        _Column("account_manager", ("charge-de-compte", "responsable-de-compte"), required=True, normal=_email),
        _Column("account_manager_name", ("nom-du-charge-de-compte", "nom-du-responsable-de-compte")),
        _Column("address", ("adresse",)),
        _Column("postcode", ("code-postal",)),
        _Column("town", ("ville",)),
        _Column("country", ("pays",), normal=_country),
        _Column("reseller", ("revendeur",), normal=_yes_no),
        _Column("services", ("prestations",), normal=_services),
        _Column("contract_pack", ("modele-de-contrat",), required=True, normal=_one_of(packs, "unknown_pack")),
        _Column("signed_on", ("signe-le", "date-de-signature"), required=True, normal=_date),
        _Column("own_terms", ("conditions-propres",), longest=LONGEST_OWN_TERMS, normal=_own_terms(roles)),
        _Column("email_accepted", ("e-mail-accepte", "email-accepte", "courriel-accepte"), normal=_yes_no),
        _Column("contact_name", ("nom-du-contact",)),
        _Column("contact_role", ("role-du-contact",), normal=_one_of(roles, "unknown_role")),
        _Column("contact_email", ("e-mail-du-contact", "email-du-contact", "courriel-du-contact"), normal=_email),
        _Column("contact_phone", ("telephone-du-contact",)),
        _Column("contact_language", ("langue-du-contact",), normal=_one_of(languages, "unknown_language")),
    )


def _refuse_bad_terms(sheet: _Sheet, first: _Row, packs: Mapping[str, Pack]) -> None:
    pack, terms = first.cells.get("contract_pack"), first.cells.get("own_terms")
    if not pack or terms is None:
        return  # a cell with a fault of its own
    try:
        own_terms.check(packs[pack], own_terms.parse(terms))
    except BadOwnTerms as bad:
        sheet.complain_of_terms(first.number, "own_terms", bad)


def _refuse_contradictions(sheet: _Sheet, first: _Row, other: _Row) -> None:
    for name, value in other.cells.items():
        said = first.cells.get(name, value)  # a cell with a fault contradicts nothing
        if value and value != said and not name.startswith("contact_"):
            code = "contradiction" if said else "not_in_first_row"
            sheet.complain(other.number, name, code, value=value, first=said, other=first.number)


def _has_contact(row: _Row) -> bool:
    return any(value for name, value in row.cells.items() if name.startswith("contact_"))


def _contact_identity(cells: Mapping[str, str]) -> object:
    identity = tuple(cells.get(name, "").casefold() for name in ("client_key", "contact_email", "contact_role"))
    return identity if all(identity) else None


def _client(rows: Sequence[_Row], *, says_own_terms: bool) -> ClientRow:
    cells = rows[0].cells
    return ClientRow(
        key=cells["client_key"],
        company=cells["company"],
        group=cells["group"],
        account_manager=cells["account_manager"],
        account_manager_name=cells["account_manager_name"],
        address=cells["address"],
        postcode=cells["postcode"],
        town=cells["town"],
        country=cells["country"],
        reseller=cells["reseller"] == "yes",
        services=tuple(filter(None, cells["services"].split("|"))),
        pack=cells["contract_pack"],
        signed_on=date.fromisoformat(cells["signed_on"]),
        email_accepted=cells["email_accepted"] == "yes",
        contacts=tuple(_contact(row.cells) for row in rows if _has_contact(row)),
        first_row=rows[0].number,
        own_terms=own_terms.parse(cells["own_terms"]) if says_own_terms else None,
    )


def _contact(cells: Mapping[str, str]) -> ContactRow:
    return ContactRow(
        name=cells["contact_name"],
        role=cells["contact_role"],
        email=cells["contact_email"],
        phone=cells["contact_phone"],
        language=cells["contact_language"],
    )
