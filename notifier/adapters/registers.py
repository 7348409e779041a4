"""Registers of subprocessors as anybody keeps them: files of any format in, entries out, and our own CSV.

A file of our own shape (with a column of keys) is taken whole or not at all: every fault in it is told at once. Of a
foreign list what is understood is taken, and the rest is told with its row.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import chain, count
from types import MappingProxyType
from typing import Any

from notifier.adapters import cells, formats
from notifier.adapters.register_files import RegisterFile
from notifier.adapters.remarks import BadCell, BadList, Remark, remark
from notifier.adapters.tables import Row, Table, Unreadable, guarded
from notifier.rules import entries as shapes
from notifier.rules.entries import FIELDS, CircularParents, Entry, NoSuchParent, Place, Shape, check_parents
from notifier.rules.registry_diff import meaning, slug

COLUMNS = ("key", *FIELDS, "replaces")
SITE_KIND = "site_kind"  # what happens at the seat: before places were listed, an entry had one site
SEAT = ("address", "postcode", "town", "country")
BLANKS = frozenset(["-", "–", "—", "n/a", "na", "n.a.", "tbd", "?", "/"])  # what foreign lists write for nothing
NONE = frozenset(["none", "no", "aucun", "aucune", "non"])  # which is no name of a certificate

# Field → headings, as `slug` writes them, beside its own name and its two headings.
ALSO: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "key": ("id", "identifier", "identifiant"),
        "name": (
            *("subprocessor", "subprocessors", "sub-processor", "sub-processors", "subprocessor-name", "legal-name"),
            *("sub-processor-name", "name-of-subprocessor", "name-of-sub-processor", "entity", "entity-name", "vendor"),
            *("vendor-name", "third-party", "third-party-name", "provider", "provider-name", "service-provider"),
            *("supplier", "company", "company-name", "processor", "subcontractor", "sub-contractor", "organisation"),
            *("organization", "third-party-subprocessor", "third-party-sub-processor", "infrastructure-provider"),
            *("tiers", "sous-traitant", "sous-traitants", "nom-du-sous-traitant", "sous-traitant-ulterieur", "societe"),
            *("fournisseur", "prestataire", "entite", "raison-sociale", "denomination", "denomination-sociale"),
            *("nom-du-tiers", "nom-du-prestataire", "nom-du-fournisseur", "hebergeur", "entreprise"),
        ),
        "trading_name": ("brand", "marque", "enseigne", "commercial-name", "also-known-as", "dba"),
        "legal_form": ("company-type", "forme-sociale", "statut-juridique"),
        "registration_number": (
            *("registration", "company-number", "registration-no", "siren", "siret", "rcs", "duns", "lei"),
            *("numero-d-enregistrement", "immatriculation", "numero-siren"),
        ),
        "address": ("registered-address", "registered-office", "street", "seat", "siege", "siege-social", "rue"),
        "postcode": ("postal-code", "zip", "zip-code", "cp"),
        "town": ("city", "commune", "localite"),
        "country": ("country-of-establishment", "country-of-registration", "pays-d-etablissement", "pays-du-siege"),
        "contact": (
            "contact-person-s-name-position-and-contact-details",
            "nom-fonction-et-coordonnees-de-la-personne-de-contact",
            *("contact-details", "contact-person", "coordonnees", "personne-de-contact", "interlocuteur"),
        ),
        "website": ("url", "link", "links", "web-site", "web-address", "homepage", "site-internet", "lien"),
        "parent": ("parent-key", "subprocessor-of", "sub-processor-of", "sous-traitant-de", "engage-par", "parent"),
        "activities": (
            *(
                "activity",
                "activite",
                "activites",
                "service-provided",
                "services-provided",
                "service-description",
                "description",
            ),
            *("nature-of-processing", "nature-of-the-processing", "processing-activities", "processing-activity"),
            *(
                "description-of-services",
                "description-of-processing",
                "description-of-the-processing",
                "role",
                "function",
                "what-it-does",
                "subject",
            ),
            *("type-of-service", "service-type", "product", "prestations", "prestation", "activite-prestations"),
            *("prestations-sous-traitees", "prestation-sous-traitee", "nature-du-traitement", "service-rendu"),
            *(
                "description-du-traitement",
                "services-fournis",
                "prestations-fournies",
                "traitement",
                "subject-matter",
                "category",
                "categorie",
            ),
        ),
        "hds_activities": ("hds-activity", "activite-hds", "activities-hds", "activites-d-hebergement-hds"),
        "purposes": (
            *("purpose", "purpose-of-processing", "purposes-of-processing", "processing-purpose", "purpose-of-use"),
            *(
                "purpose-s",
                "reason",
                "use",
                "usage",
                "use-case",
                "finalite",
                "finalite-du-traitement",
                "objet",
                "motif",
            ),
            *("finalites-du-traitement", "purpose-of-the-processing", "purpose-of-data-processing", "utilisation"),
        ),
        "data_categories": (
            *("data-processed", "data", "data-categories", "personal-data", "personal-data-processed", "data-types"),
            *("types-of-data", "type-of-data", "data-type", "categories-of-personal-data", "data-category"),
            *("category-of-data", "data-shared", "data-accessed", "customer-data", "categories-of-data-processed"),
            *("type-of-personal-data", "types-of-personal-data", "donnees", "donnees-traitees", "type-de-donnees"),
            *("types-de-donnees", "categories-de-donnees-personnelles", "donnees-personnelles"),
        ),
        "persons": (
            *("data-subjects", "categories-of-data-subjects", "data-subject-categories", "persons-concerned"),
            *(
                "categories-of-persons",
                "categories-de-personnes",
                "personnes-concernees",
                "categories-de-personnes-concernees",
            ),
        ),
        "access": ("data-access", "type-of-access", "acces", "type-d-acces", "access-type"),
        "places": (
            *("location", "locations", "country-of-processing", "countries-of-processing", "processing-location"),
            *("processing-locations", "location-of-processing", "locations-of-processing", "place-of-processing"),
            *("data-location", "data-locations", "data-center-location", "data-centre-location", "hosting-location"),
            *("hosting-region", "geographic-location", "geography", "countries", "entity-location", "entity-country"),
            *("country-location", "location-country", "region", "data-residency", "data-center", "server-location"),
            *("processing-country", "processing-countries", "localisation", "localisations", "lieu", "lieux"),
            *("lieu-de-traitement", "lieu-du-traitement", "pays-de-traitement", "pays-du-traitement"),
            *("pays-d-hebergement", "pays-de-localisation", "pays-de-stockage", "lieu-de-stockage"),
            *("localisation-des-serveurs", "hosting-country", "hosting-locations", "server-locations"),
            *(
                "localisation-du-traitement",
                "localisation-des-donnees",
                "lieu-d-hebergement",
                "localisation-geographique",
            ),
        ),
        "outside_access": (
            "remote-access-from-outside-the-eea",
            "acces-hors-eee",
            "acces-distant-hors-eee",
            "acces-depuis-un-pays-tiers",
        ),
        "outside_countries": (
            "countries-of-access-outside-the-eea",
            "countries-of-remote-access",
            "pays-d-acces-distant",
        ),
        "transfer": (
            *("transfer", "transfers", "transfer-tool", "transfer-basis", "transfer-safeguards", "safeguards"),
            *("international-transfer-mechanism", "data-transfer-mechanism", "legal-basis-for-transfer", "transfert"),
            *("transferts", "garanties", "garanties-de-transfert", "outil-de-transfert", "transfer-safeguard"),
        ),
        "assessment": (
            "tia",
            "transfer-impact-assessment",
            "evaluation-du-transfert",
            "analyse-d-impact-du-transfert",
            "aitd",
        ),
        "hds": ("hds", "hds-certificate", "certification-hds", "certificat-hds", "certifie-hds"),
        "secnumcloud": ("qualification-secnumcloud", "qualifie-secnumcloud", "secnumcloud-qualified"),
        "certificates": ("certifications", "certification", "certificat", "compliance", "security-certifications"),
        "third_country_law": ("third-country-law", "extraterritorial-law", "droit-extraterritorial"),
        "third_country_laws": ("third-country-laws", "lois-extraterritoriales"),
        "services": ("our-services", "applicable-services", "services-concerned", "used-by", "services-concernes"),
        "regions": ("our-regions", "regions-concernees"),
        "options": ("option", "our-options"),
        "engaged_since": (
            "engage-depuis",
            "since",
            "start-date",
            "date-added",
            "added",
            "added-on",
            "depuis",
            "date-de-debut",
        ),
        "engaged_until": ("until", "end-date", "jusqu-au", "date-de-fin"),
        "security": ("security-level", "level-of-security", "niveau-de-securite", "niveau-de-securite-compare"),
        "security_note": ("security-note", "security-comparison"),
        "replaces": ("replaced", "remplace"),
        "site_kind": ("kind-of-site", "facility-kind", "type-de-site", "site-type", "facility-type"),
    }
)


def read_as_json(data: bytes, *, filename: str, mapping: Mapping[str, str]) -> dict[str, Any]:
    """As `read_register`, in JSON values, the faults of a file that was not read among them."""
    try:
        found = read_register(data, filename=filename, mapping=mapping)
    except BadList as bad:
        return {"problems": [asdict(problem) for problem in bad.problems]}
    return {
        "entries": [shapes.as_json(entry) for entry in found.entries],
        "questions": [asdict(said) for said in found.questions],
        "mapping": dict(found.mapping),
        "not_understood": [asdict(said) for said in found.not_understood],
    }


def read_each_as_json(data: bytes, *, files: Sequence[tuple[str, int]], mapping: Mapping[str, str]) -> list[Any]:
    """As `read_as_json`, of files that stand one after the other; `files` are their names and sizes."""
    read, here = [], 0
    for filename, size in files:
        read.append(read_as_json(data[here : here + size], filename=filename, mapping=mapping))
        here += size
    return read


def read_register(data: bytes, *, filename: str, mapping: Mapping[str, str] | None = None) -> RegisterFile:
    """The entries of a file of any format. BadList tells every fault of a file that cannot be taken.

    `mapping` says of headings which field they are, or "" to leave a column out; it wins over what is known of them.
    """
    reading = _Reading(filename, mapping or {})
    try:
        tables, skipped = formats.read_tables(data, filename=filename, field_of=reading.field_of)
    except Unreadable as bad:
        raise BadList(filename, [bad.remark]) from None
    reading.not_understood += skipped
    for table in tables:
        reading.take(table)
    return reading.result()


def write_register(entries: Iterable[Entry]) -> str:
    """CSV that `read_register` reads back exactly, and in which a spreadsheet finds no formula to run."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([guarded(cells.written(name, getattr(entry, name))) for name in COLUMNS] for entry in entries)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class _Said:
    """What one row says, the fields in which it says nothing being left out."""

    row: int
    values: dict[str, Any]


class _Reading:
    """All that was found in one file, and all that was wrong with it."""

    def __init__(self, filename: str, mapping: Mapping[str, str]) -> None:
        self.filename = filename
        self.mapping = {slug(heading): name for heading, name in mapping.items()}
        self.shown: dict[str, str] = {}
        self.headings: dict[str, str] = {}
        self.problems: list[Remark] = []
        self.not_understood: list[Remark] = []
        self.rows: list[_Said] = []
        self.is_ours = False
        self.took_a_table = False
        for heading, name in mapping.items():
            if name and name not in (*COLUMNS, SITE_KIND):
                self.problems.append(remark(0, heading, "no_such_field", value=name, known=", ".join(COLUMNS)))
        self._close()

    def field_of(self, heading: str) -> str:
        """The field that a heading means, or "" for none."""
        plain = re.sub(r"\(e?s\)|\*", "", heading)
        apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)  # dataTypes, as programs write it
        known = _headings().get(slug(plain)) or _headings().get(slug(apart), "")
        return self.mapping.get(slug(heading), known)

    def take(self, table: Table) -> None:
        names = [self.field_of(heading) for heading in table.headings]
        if "name" not in names and table != Table(
            line=0, headings=(), rows=()
        ):  # an empty list of entries has no columns
            return
        self.took_a_table = True
        self.is_ours = self.is_ours or "key" in names
        columns = self._columns(table, names)
        for row in table.rows:
            if any(row.cells):
                self._take_row(table, row, columns)

    def result(self) -> RegisterFile:
        if not self.took_a_table:
            self.problems.append(remark(0, "", "no_list"))
        if not self.rows:  # nothing was understood: that is no empty list
            self.problems += [said for said in self.not_understood if said.code in {"missing", "item_skipped"}]
        self._close()
        grouped = self._grouped()
        self._close()
        entries = tuple(Entry(**said.values) for said in grouped)
        entries = self._with_parents(entries, [said.row for said in grouped])
        self._close()
        heading = self.headings.get("country", "country")
        return RegisterFile(
            entries=entries,
            questions=tuple(
                remark(said.row, heading, "country_missing", name=entry.name)
                for said, entry in zip(grouped, entries, strict=True)
                if not entry.country and not entry.countries
            ),
            mapping=self.shown,
            not_understood=tuple(sorted(self.not_understood, key=lambda said: said.row)),
        )

    def _close(self) -> None:
        if self.problems:
            raise BadList(self.filename, self.problems)

    def _fault(self, row: int, column: str, code: str, **facts: object) -> None:
        """Of our own shape a file is refused for it; of a foreign list it is what was not understood."""
        said = remark(row, self.headings.get(column, column), code, **facts)
        (self.problems if self.is_ours else self.not_understood).append(said)

    # columns

    def _columns(self, table: Table, names: Sequence[str]) -> list[str]:
        """Which field each column is, "" for those that are left out."""
        columns: list[str] = []
        for heading, name in zip(map(cells.one_line, table.headings), names, strict=True):
            several = name in FIELDS and FIELDS[name].is_many
            if name and name in columns and not several:
                self._fault(table.line, heading, "column_twice")
                columns.append("")
                continue
            columns.append(name)
            if heading:
                self.shown[heading] = name
            if name:
                self.headings.setdefault(name, heading)
            elif heading and slug(heading) not in self.mapping:
                known = ", ".join(COLUMNS)
                code = "column_unknown" if self.is_ours else "column_unused"
                self._fault(table.line, heading, code, known=known)
        return columns

    # rows

    def _take_row(self, table: Table, row: Row, columns: Sequence[str]) -> None:
        if self._is_ragged(table, row):
            self._fault(row.number, "", "cells", found=len(row.cells), expected=len(columns))
            if self.is_ours:
                return  # a stray separator shifts all cells but the first
        values: dict[str, Any] = {}
        for index, (heading, name, cell) in enumerate(zip(table.headings, columns, row.cells, strict=False)):
            if name:
                self._take_cell(row, name, cell, row.links.get(index, ""), values)
            elif cell.strip() and not heading.strip():
                self._fault(row.number, "", "no_heading", value=cells.one_line(cell))
        if not values.get("name"):
            if "name" not in values:
                self._fault(row.number, "name", "missing")
            return
        self._add_places(table, values, is_split={"postcode", "town"}.isdisjoint(columns))
        self.rows.append(_Said(row.number, {name: value for name, value in values.items() if value}))

    @staticmethod
    def _is_ragged(table: Table, row: Row) -> bool:
        return len(row.cells) != len(table.headings) and table.line != 0

    def _take_cell(self, row: Row, name: str, cell: str, link: str, values: dict[str, Any]) -> None:
        if not self.is_ours and cell.strip().casefold() in BLANKS:
            cell = ""
        shape = FIELDS[name].shape if name in FIELDS else Shape.TEXT
        if not self.is_ours and shape is Shape.CERTIFICATES and slug(cell) in NONE:
            cell = ""
        if link and shape is Shape.URL:
            cell = link
        elif link and name == "name":
            values.setdefault("website", _address(link))
        if not cell.strip():
            return
        try:
            value = cells.read(name, cell)
        except BadCell as bad:
            if name == "name":  # to leave out the row would be to say that this one is gone
                self.problems.append(remark(row.number, self.headings["name"], bad.code, **bad.facts))
            else:
                self._fault(row.number, name, bad.code, **bad.facts)
            values.setdefault(name, "")
            return
        values[name] = tuple(dict.fromkeys((*values.get(name, ()), *value))) if isinstance(value, tuple) else value

    def _add_places(self, table: Table, values: dict[str, Any], *, is_split: bool) -> None:
        """What the row says of places other than in a column of them."""
        if is_split and values.get("address"):
            values |= _split_address(values["address"], values.get("country", ""))
        kind = cells.kind(values.pop(SITE_KIND, ""))
        if values.get("places"):
            return
        if kind:
            values["places"] = (Place(country=values.get("country", ""), site=values.get("town", ""), kind=kind),)
        elif table.places:
            values["places"] = table.places

    # entries

    def _grouped(self) -> list[_Said]:
        """The rows of one name as one; each is given a key."""
        groups: list[list[_Said]] = []
        by_key: dict[str, list[_Said]] = {}
        by_name: dict[str, list[_Said]] = {}
        for said in sorted(self.rows, key=lambda said: not said.values.get("key")):
            key, name = said.values.get("key", ""), meaning(said.values["name"])
            group = by_key.get(key) if key else by_name.get(name)
            if group is None:
                group = []
                groups.append(group)
            elif key and meaning(group[0].values["name"]) != name:
                self._fault(said.row, "key", "key_twice", value=key, other=group[0].row)
                continue
            group.append(said)
            by_name.setdefault(name, group)
            if key:
                by_key[key] = group
        groups.sort(key=lambda group: min(said.row for said in group))
        return list(_keyed([self._united(sorted(group, key=lambda said: said.row)) for group in groups]))

    def _united(self, group: Sequence[_Said]) -> _Said:
        first = group[0]
        if len(group) == 1:
            return first
        values = self._one_seat(group)
        for said in group:
            for name, value in said.values.items():
                if name in SEAT:
                    continue
                if isinstance(value, tuple):
                    values[name] = tuple(dict.fromkeys((*values.get(name, ()), *value)))
                elif meaning(str(values.setdefault(name, value))) != meaning(value):
                    self._fault(said.row, name, "contradiction", value=value, first=values[name], other=first.row)
        return _Said(first.row, values)

    def _one_seat(self, group: Sequence[_Said]) -> dict[str, Any]:
        """The seat that the rows agree on; where they do not, the first by its writing, each being a place as well.

        The order of the rows says nothing: a list that was only sorted otherwise must give the same entry.
        """
        seats = [{name: said.values[name] for name in SEAT if name in said.values} for said in group]
        merged: dict[str, str] = {}
        for seat in seats:
            merged |= {name: value for name, value in seat.items() if name not in merged}
        if all(meaning(merged[name]) == meaning(value) for seat in seats for name, value in seat.items()):
            return dict(merged)
        for said, seat in zip(group, seats, strict=True):
            if not said.values.get("places") and (seat.get("town") or seat.get("country")):
                said.values["places"] = (Place(country=seat.get("country", ""), site=seat.get("town", "")),)
        return min((dict(seat) for seat in seats if seat), key=_seat_order)

    # chains

    def _with_parents(self, entries: tuple[Entry, ...], rows: Sequence[int]) -> tuple[Entry, ...]:
        """The entries with each parent by its key, whether the file gives its key or its name."""
        keys = {entry.key for entry in entries}
        named = {meaning(entry.name): entry.key for entry in reversed(entries)}
        known = [
            entry if entry.parent in keys else replace(entry, parent=named.get(meaning(entry.parent), entry.parent))
            for entry in entries
        ]
        try:
            check_parents(known)
        except CircularParents as bad:
            names = [entry.name for key in bad.keys for entry in known if entry.key == key]
            row = min(row for row, entry in zip(rows, known, strict=True) if entry.key in bad.keys)
            self.problems.append(
                remark(row, self.headings.get("parent", ""), "parents_circular", value=" → ".join([*names, names[0]]))
            )
        except NoSuchParent:
            found = {entry.key for entry in known}
            self.problems += [
                remark(row, self.headings.get("parent", ""), "parent_unknown", name=entry.name, value=entry.parent)
                for row, entry in zip(rows, known, strict=True)
                if entry.parent and entry.parent not in found
            ]
        return tuple(known)


def _seat_order(seat: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(seat.get(name, "") for name in reversed(SEAT))


def _address(link: str) -> str:
    """A link as a website, if it is one that leads somewhere from everywhere."""
    try:
        return str(cells.read("website", link))
    except BadCell:
        return ""


def _split_address(text: str, country: str) -> dict[str, str]:
    """Street, postcode, town and country of an address in one cell, where it is plain which is which."""
    parts = re.fullmatch(
        r"(?P<address>.+?)(?:,\s*|\s(?=[0-9]{5}\s))(?P<postcode>(?:[A-Z]{1,2}-)?[0-9]{4,5})\s(?P<town>[^,0-9]+)"
        r"(?:,\s*(?P<country>[^,0-9]+))?",
        text,
    )
    if parts is None:
        return {}
    code = cells.country_code(parts["country"].strip()) if parts["country"] else country
    if code is None or (country and code != country):
        return {}
    found = {name: parts[name].strip() for name in ("address", "postcode", "town")}
    return found | ({"country": code} if code else {})


def _keyed(grouped: Sequence[_Said]) -> Iterator[_Said]:
    """Give each entry without a key the first free one of name, name-town, name-town-2, … .

    An earlier one chooses first, so that what is added at the end takes no key from what was there.
    """
    taken = {said.values["key"] for said in grouped if "key" in said.values}
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(2))
    for said in grouped:
        name = slug(said.values["name"])
        by_town = f"{name}-{slug(said.values.get('town', ''))}".rstrip("-")
        candidates = chain((name, by_town), (f"{by_town}-{number}" for number in numbers[by_town]))
        key = said.values.get("key") or next(key for key in candidates if key not in taken)
        taken.add(key)
        yield _Said(said.row, said.values | {"key": key})


@cache
def _headings() -> Mapping[str, str]:
    """Headings, as `slug` writes them → field."""
    known = {word: name for name, words in ALSO.items() for word in words}
    known |= {slug(heading): name for name, headings in cells.HEADINGS.items() for heading in headings}
    return MappingProxyType(known | {slug(name): name for name in (*COLUMNS, SITE_KIND)})
