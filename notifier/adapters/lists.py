"""The list of clients with their contacts, as people keep it in a spreadsheet saved as CSV.

A file is taken whole or not at all, and every fault in it is told at once, by row and column.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import Any

from notifier.adapters.cells import YES_NO, country, country_code, day, one_line
from notifier.adapters.remarks import BadCell, BadList, Remark, remark, shown
from notifier.adapters.tables import MOST_ROWS, Unreadable, clean, text_of
from notifier.rules import own_terms
from notifier.rules.own_terms import BadOwnTerms
from notifier.rules.registry_diff import slug
from notifier.rules.terms import Pack

__all__ = ["BadList", "ClientRow", "ContactRow", "Remark", "country_code", "is_address", "read_clients"]

LONGEST_CELL = 300
LONGEST_OWN_TERMS = 5000
LONGEST_HEADINGS = 10_000
LONGEST_ADDRESS = 254  # RFC 5321 4.5.3.1.3: a path of 256 less its angle brackets
LONGEST_LOCAL_PART = 64  # RFC 5321 4.5.3.1.1
LONGEST_LABEL = 63  # RFC 1035 2.3.4


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
    regions: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    pack: str
    signed_on: date
    email_accepted: bool  # an empty cell means no: acceptance is express (Code civil 1126)
    contacts: tuple[ContactRow, ...]
    first_row: int
    # Kind, or "all" → field → value; None: the file has no such column, and says nothing of them.
    own_terms: Mapping[str, Mapping[str, Any]] | None = field(default=None, hash=False)


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
    normal: Callable[[str], str] = str  # a filled cell → what it means, or BadCell

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
        return remark(row, self.headings.get(column, column), code, **facts)

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
        try:
            return text_of(data)
        except Unreadable as bad:
            raise BadList(self.filename, [bad.remark]) from None

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
                self.complain(1, shown(heading), "column_unknown", known=known)
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
        except BadCell as wrong:
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
    """One line, without the sign that guards against formulas."""
    return one_line(clean(cell))


def _text(cell: str, longest: int) -> str:
    if len(cell) > longest:
        raise BadCell("too_long", found=len(cell), limit=longest)
    if any(unicodedata.category(sign) == "Cc" for sign in cell):
        raise BadCell("not_text")
    return cell


def _name(cell: str) -> str:
    if not slug(cell):
        raise BadCell("no_letters", value=cell)
    return cell


def _email(cell: str) -> str:
    if not is_address(cell):
        raise BadCell("email", value=cell)
    return cell


def _yes_no(cell: str) -> str:
    try:
        return YES_NO[cell.casefold()]
    except KeyError:
        raise BadCell("yes_no", value=cell) from None


def _several(cell: str) -> str:
    return "|".join(dict.fromkeys(one for part in cell.split("|") if (one := part.strip())))


def _one_of(known: Collection[str], code: str) -> Callable[[str], str]:
    spelled = {word.casefold(): word for word in known}

    def normal(cell: str) -> str:
        try:
            return spelled[cell.casefold()]
        except KeyError:
            raise BadCell(code, value=cell, known=", ".join(sorted(known))) from None

    return normal


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
        _Column("country", ("pays",), normal=country),
        _Column("reseller", ("revendeur",), normal=_yes_no),
        _Column("services", ("prestations",), normal=_several),
        _Column("regions", ("region", "zones"), normal=_several),
        _Column("options", ("option",), normal=_several),
        _Column("contract_pack", ("modele-de-contrat",), required=True, normal=_one_of(packs, "unknown_pack")),
        _Column("signed_on", ("signe-le", "date-de-signature"), required=True, normal=day),
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
        regions=tuple(filter(None, cells["regions"].split("|"))),
        options=tuple(filter(None, cells["options"].split("|"))),
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
