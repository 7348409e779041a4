"""The table that a host of health data publishes of all who take part (HDS v2, chapter 8), and what requirement 31 has
it say where no table is needed; both made from the register, never typed.

What nobody has said stays "not stated": a sentence that there is no transfer is chosen only where the register says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from notifier.rules.completeness import expired, outside, standard
from notifier.rules.entries import Entry
from notifier.rules.kinds import EEA
from notifier.rules.wording import NBSP


class Role(StrEnum):
    HOST = "host"
    PROCESSOR = "processor"  # of the host
    FURTHER = "further"  # engaged by a processor


class Statement(StrEnum):
    """What requirement 31 has the host say."""

    SECNUMCLOUD = "secnumcloud"
    NO_TRANSFER = "no_transfer"
    TABLE = "table"  # that of chapter 8


EXPIRED = "expired"

# The referential's own words.
SENTENCES: Mapping[Statement, str] = MappingProxyType(
    {
        Statement.SECNUMCLOUD: (
            "aucun risque d’accès imposé par la législation d’un pays tiers en violation du droit de l’Union"
        ),
        Statement.NO_TRANSFER: (
            "aucun transfert de données de santé à caractère personnel "
            "vers un pays tiers à l’espace économique européen"
        ),
    }
)
# Ours: what counts are the French ones, beside which these are shown.
TRANSLATIONS: Mapping[Statement, str] = MappingProxyType(
    {
        Statement.SECNUMCLOUD: "no risk of access imposed by the law of a third country in breach of Union law",
        Statement.NO_TRANSFER: "no transfer of personal health data to a country outside the European Economic Area",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One actor.  Each answer is "yes", "no" or "" (nobody has said); `hds` may be "exempt" too, and `hds` and
    `secnumcloud` "expired" where the only certificate listed has ended.

    `open` names the fields that the row waits for; `statement` is what requirement 31 would have this actor say alone.
    """

    key: str
    name: str
    role: Role
    engaged_by: str  # the name of the processor above, for a further one
    hds: str
    secnumcloud: str
    hds_activities: tuple[str, ...]
    access: str
    countries: tuple[str, ...]  # outside the EEA, from which there is access
    transfer: str
    law: str
    laws: str
    transfers: str  # to a country outside the EEA, access from there included
    statement: Statement
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The host's row, then those of the register in its order; `statement` is the host's, for the whole service."""

    statement: Statement
    rows: tuple[Row, ...]

    @property
    def is_complete(self) -> bool:
        return not any(row.open for row in self.rows)


def table(host: Entry, entries: Sequence[Entry], *, today: date) -> Table:
    """Make the table; `host` says of the host what an entry says of a subprocessor, `entries` who takes part."""
    names = {entry.key: entry.trading_name or entry.name for entry in entries}
    rows = (
        _row(host, Role.HOST, "", today),
        *(
            _row(entry, Role.FURTHER if entry.parent else Role.PROCESSOR, names.get(entry.parent, ""), today)
            for entry in entries
        ),
    )
    return Table(statement=_of_the_service(rows), rows=rows)


def _of_the_service(rows: Sequence[Row]) -> Statement:
    """What the host says: its own qualification covers the service, the absence of a transfer is everybody's."""
    if rows[0].statement is Statement.SECNUMCLOUD and not any(row.law == "yes" for row in rows):
        return Statement.SECNUMCLOUD
    if all(row.transfers == "no" and row.statement is not Statement.TABLE for row in rows):
        return Statement.NO_TRANSFER
    return Statement.TABLE


def _row(entry: Entry, role: Role, engaged_by: str, today: date) -> Row:
    secnumcloud, transfers = _standing(entry, "secnumcloud", today), _transfers(entry)
    return Row(
        key=entry.key,
        name=entry.name,
        role=role,
        engaged_by=engaged_by,
        hds=_standing(entry, "hds", today),
        secnumcloud=secnumcloud,
        hds_activities=entry.hds_activities,
        access="yes" if outside(entry) else entry.outside_access,
        countries=outside(entry),
        transfer="" if entry.transfer == "none" else entry.transfer,
        law=entry.third_country_law,
        laws=entry.third_country_laws,
        transfers=transfers,
        statement=_statement(secnumcloud, transfers, entry.third_country_law),
        open=_open(entry, today),
    )


def _statement(secnumcloud: str, transfers: str, law: str) -> Statement:
    if secnumcloud == "yes" and law != "yes":
        return Statement.SECNUMCLOUD
    return Statement.NO_TRANSFER if transfers == "no" and law == "no" else Statement.TABLE


def _standing(entry: Entry, field: str, today: date) -> str:
    """Return what is said of a certification, unless the certificate listed for it has ended."""
    said: str = getattr(entry, field)
    ended = any(standard(one) == field for one in expired(entry.certificates, today=today))
    return EXPIRED if said == "yes" and ended else said


def _transfers(entry: Entry) -> str:
    """Return "yes", "no" or "": no only where the register says so (no access from outside, and every place inside or
    no transfer in so many words), and nothing beside it says otherwise.
    """
    if outside(entry) or entry.outside_access == "yes" or entry.transfer not in {"", "none"}:
        return "yes"
    inside = bool(entry.places) and all(place.country in EEA for place in entry.places)
    return "no" if entry.outside_access == "no" and (inside or entry.transfer == "none") else ""


def _open(entry: Entry, today: date) -> tuple[str, ...]:
    """Return the fields that the row's answers wait for."""
    reached = entry.outside_access == "yes" or bool(outside(entry))
    waits = {
        "hds": _standing(entry, "hds", today) in {"", EXPIRED},
        "secnumcloud": _standing(entry, "secnumcloud", today) in {"", EXPIRED},
        "hds_activities": not entry.hds_activities,
        "places": not _transfers(entry),
        "outside_access": not reached and not entry.outside_access,
        "outside_countries": reached and not outside(entry),
        "transfer": reached and entry.transfer in {"", "none"},
        "third_country_law": not entry.third_country_law,
        "third_country_laws": entry.third_country_law == "yes" and not entry.third_country_laws,
    }
    return tuple(field for field, is_open in waits.items() if is_open)


# --- in words ------------------------------------------------------------------------------------------------------

# The columns of chapter 8.
HEADINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "en": (
            "Business name of the actor",
            "Role in the hosting service",
            "HDS certified",
            "SecNumCloud 3.2 qualified",
            "Hosting activities in which the actor is involved",
            "Access to personal health data from outside the European Economic Area (requirement 29)",
            "Risk of access imposed by the law of a third country in breach of Union law (requirement 30)",
        ),
        "fr": (
            "Raison sociale de l’acteur",
            "Rôle dans le cadre de la prestation d’hébergement",
            "Certifié HDS",
            "Qualifié SecNumCloud 3.2",
            "Activités d’hébergement sur lesquelles l’acteur intervient",
            "Accès aux données de santé depuis un pays tiers à l’Espace économique européen (exigence 29)",
            "Risque d’accès imposé par la législation d’un pays tiers en violation du droit de l’Union (exigence 30)",
        ),
    }
)

# R.1111-9 of the Code de la santé publique, abridged.
ACTIVITIES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "1": "physical sites",
            "2": "hardware infrastructure",
            "3": "virtual infrastructure",
            "4": "platform for hosting applications",
            "5": "administration and operation of the information system",
            "6": "backup of health data",
        },
        "fr": {
            "1": "sites physiques",
            "2": "infrastructure matérielle",
            "3": "infrastructure virtuelle",
            "4": "plateforme d’hébergement d’applications",
            "5": "administration et exploitation du système d’information",
            "6": "sauvegarde des données de santé",
        },
    }
)

WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "": "not stated",
            "yes": "yes",
            "no": "no",
            "exempt": "exempted",
            EXPIRED: "certificate expired",
            Role.HOST: "Host",
            Role.PROCESSOR: "processor of the Host",
            Role.FURTHER: "further processor, engaged by {name}",
            "adequacy": "adequacy decision, GDPR art. 45",
            "scc": "standard contractual clauses, GDPR art. 46",
            "bcr": "binding corporate rules, GDPR art. 47",
            "derogation": "derogation, GDPR art. 49",
            "no safeguards": "safeguards not stated",
            "no countries": "countries not stated",
            "no laws": "laws and measures not stated",
            "colon": ": ",
            "semicolon": "; ",
        },
        "fr": {
            "": "non indiqué",
            "yes": "oui",
            "no": "non",
            "exempt": "exempté",
            EXPIRED: "certificat expiré",
            Role.HOST: "Hébergeur",
            Role.PROCESSOR: "sous-traitant de l’Hébergeur",
            Role.FURTHER: "sous-traitant ultérieur, engagé par {name}",
            "adequacy": "décision d’adéquation, art. 45 du RGPD",
            "scc": "clauses contractuelles types, art. 46 du RGPD",
            "bcr": "règles d’entreprise contraignantes, art. 47 du RGPD",
            "derogation": "dérogation, art. 49 du RGPD",
            "no safeguards": "garanties non indiquées",
            "no countries": "pays non indiqués",
            "no laws": "législations et mesures non indiquées",
            "colon": f"{NBSP}: ",
            "semicolon": f"{NBSP}; ",
        },
    }
)


def cells(row: Row, language: str, *, country: Callable[[str], str]) -> tuple[str, ...]:
    """Return a row in words, one text for each of HEADINGS; `country` names a country in that language."""
    words, activities = WORDS[language], ACTIVITIES[language]
    return (
        row.name,
        words[row.role].replace("{name}", row.engaged_by),
        words[row.hds],
        words[row.secnumcloud],
        words["semicolon"].join(f"{one}. {activities.get(one, '')}" for one in row.hds_activities) or words[""],
        _access(row, words, country),
        words["yes"] + words["colon"] + (row.laws or words["no laws"]) if row.law == "yes" else words[row.law],
    )


def _access(row: Row, words: Mapping[str, str], country: Callable[[str], str]) -> str:
    if row.access != "yes":
        return words[row.access]
    countries = ", ".join(map(country, row.countries)) or words["no countries"]
    return f"{words['yes']}{words['colon']}{countries} ({words[row.transfer or 'no safeguards']})"
