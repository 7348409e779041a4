"""What is said of a file of other people's making: each fault at its row and column, in both languages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

LONGEST_QUOTED = 63

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
        "choice_unknown": (
            "“{value}” is not one of the answers; write one of: {known}",
            "« {value} » n'est pas une des réponses ; écrivez l'une de celles-ci : {known}",
        ),
        "url": (
            "“{value}” is not a web address; write it as https://company.example/page",
            "« {value} » n'est pas une adresse web ; écrivez-la sous la forme https://societe.example/page",
        ),
        "hds_activity": (
            "“{value}” is not an activity of the HDS scheme; write numbers from 1 to 6",
            "« {value} » n'est pas une activité du référentiel HDS ; écrivez des numéros de 1 à 6",
        ),
        "certificate": (
            "“{value}” is not a certificate; write it as ISO 27001:2022 [number=…] [scope=…] [expires=2027-12-31]",
            "« {value} » n'est pas un certificat ; écrivez ISO 27001:2022 [number=…] [scope=…] [expires=2027-12-31]",
        ),
        "too_many_columns": (
            "there are {found} columns; keep at most {limit}",
            "il y a {found} colonnes ; gardez-en {limit} au plus",
        ),
        "workbook": (
            "the workbook is damaged or not one; save it again as .xlsx, .ods or CSV",
            "le classeur est endommagé ou n'en est pas un ; enregistrez-le de nouveau en .xlsx, .ods ou CSV",
        ),
        "workbook_too_large": (
            "unpacked, the workbook is larger than {limit} MB or far larger than its file; save the list alone",
            "déplié, le classeur dépasse {limit} Mo ou de loin la taille du fichier ; enregistrez la liste seule",
        ),
        "workbook_entities": (
            "the workbook defines entities of its own, which no spreadsheet does; save it again",
            "le classeur définit ses propres entités, ce qu'aucun tableur ne fait ; enregistrez-le de nouveau",
        ),
        "json": (
            "this is not JSON; correct this line",
            "ce n'est pas du JSON ; corrigez cette ligne",
        ),
        "yaml": (
            "this is not YAML; correct this line",
            "ce n'est pas du YAML ; corrigez cette ligne",
        ),
        "yaml_reference": (
            "anchors, aliases and tags are not read; write the values out",
            "les ancres, alias et étiquettes ne sont pas lus ; écrivez les valeurs",
        ),
        "too_deep": (
            "lists stand inside each other more than {limit} deep; write one list of entries",
            "les listes sont imbriquées sur plus de {limit} niveaux ; écrivez une seule liste",
        ),
        "no_list": (
            "there is no list of subprocessors in this file; head the column of their names “Name” or “Subprocessor”",
            "ce fichier ne contient pas de liste ; intitulez la colonne des noms « Nom » ou « Sous-traitant »",
        ),
        "not_an_entry": (
            "this is not an entry with named fields; write name: … and the other fields",
            "ce n'est pas une fiche à champs nommés ; écrivez name: … et les autres champs",
        ),
        "not_one_cell": (
            "“{value}” is no place and no certificate; write a text or a list of texts",
            "« {value} » n'est ni un lieu ni un certificat ; écrivez un texte ou une liste de textes",
        ),
        "list_skipped": (
            "“{value}” begins a table or list that was not taken for one of subprocessors",
            "« {value} » commence un tableau ou une liste qui n'a pas été pris pour une liste de sous-traitants",
        ),
        "title_skipped": (
            "“{value}” stands across the table and was taken for a title, not for a subprocessor",
            "« {value} » s'étend sur tout le tableau et a été pris pour un titre, non pour un sous-traitant",
        ),
        "bullet_skipped": (
            "“{value}” does not say what it tells, and was left out; write it as in “Location: Ireland”",
            "« {value} » ne dit pas ce qu'il indique et a été laissé de côté ; écrivez-le comme « Lieu : Irlande »",
        ),
        "item_skipped": (
            "“{value}” was not taken for a subprocessor; write the name, a full stop, and what it does",
            "« {value} » n'a pas été pris pour un sous-traitant ; écrivez le nom, un point, et son rôle",
        ),
        "column_unused": (
            "it is not known what this column says, and it was left out; map it to a field, or ignore it",
            "on ne sait pas ce que dit cette colonne, et elle a été écartée ; reliez-la à un champ, ou ignorez-la",
        ),
        "no_such_field": (
            "there is no field “{value}”; map the column to one of: {known}",
            "il n'existe pas de champ « {value} » ; reliez la colonne à l'un de ceux-ci : {known}",
        ),
        "parent_unknown": (
            "{name} is engaged by “{value}”, which is not in the list; add it, or correct its key or name",
            "{name} est engagé par « {value} », qui n'est pas dans la liste ; ajoutez-le, ou corrigez la clé",
        ),
        "parents_circular": (
            "these engage each other in a circle: {value}; leave one cell of them empty",
            "ceux-ci s'engagent mutuellement en cercle : {value} ; videz l'une de ces cellules",
        ),
        "too_costly": (
            "the file could not be read within the memory and time that a list needs; save the list alone",
            "le fichier n'a pu être lu avec la mémoire et le temps d'une liste ; enregistrez la liste seule",
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


class BadCell(Exception):
    """What one cell says cannot be taken; `code` is one of TEXTS, `facts` what its sentence names."""

    def __init__(self, code: str, /, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


def remark(row: int, column: str, code: str, /, **facts: object) -> Remark:
    """Return the sentence of a code with its facts; `known` is a list of ours, all else is quoted from the file."""
    quoted = {name: fact if name == "known" else shown(str(fact)) for name, fact in facts.items()}
    en, fr = TEXTS[code]
    return Remark(row=row, column=column, code=code, en=en.format_map(quoted), fr=_unbroken(fr).format_map(quoted))


def shown(value: str) -> str:
    """Return a value fit to be quoted in a message."""
    value = "".join(sign if sign.isprintable() else "\ufffd" for sign in value)
    return value if len(value) <= LONGEST_QUOTED else f"{value[:LONGEST_QUOTED]}…"


def _unbroken(french: str) -> str:
    """French with the spaces beside its signs made such that no line ends there."""
    return re.sub(r" (?=[;:?»])|(?<=«) ", "\u00a0", french)
