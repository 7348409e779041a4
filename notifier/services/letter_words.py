"""What letters and pages call things: kinds of announcement, what they say, changes, and how a contract's time is
noted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

from notifier.adapters.countries import country_name
from notifier.adapters.dates import plain_date
from notifier.models import Announcement, Edition, Provider
from notifier.rules.kinds import KINDS, AnnouncementKind, Shape, rows
from notifier.rules.periods import local_day, zone
from notifier.rules.registry_diff import Change, from_json
from notifier.rules.wording import NBSP
from notifier.services import entry_words

FACT_LABELS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "measures": "Measures that protect the data",
            "guarantees": "Guarantees of the new provider",
            "service": "Service", "what": "What it means", "impact": "Effect on you", "window": "Hours",
            "place": "Place", "country": "Country", "safeguards": "Safeguards for the transfer",
            "measure": "Measure", "before": "Before", "after": "From then on",
            "certificate": "Certificate", "holder": "Holder", "since": "Since",
            "authority": "Authority", "basis": "Legal basis", "scope": "Data concerned",
            "prohibited_until": "We were forbidden to tell you until",
            "document": "Document", "edition": "Edition", "valid_from": "Valid from", "valid_until": "Valid until",
            "address": "Where to find it",
        },
        "fr": {
            "measures": "Mesures qui protègent les données",
            "guarantees": "Garanties du nouveau prestataire",
            "service": "Service", "what": "En quoi cela consiste", "impact": "Effet pour vous", "window": "Horaires",
            "place": "Lieu", "country": "Pays", "safeguards": "Garanties du transfert",
            "measure": "Mesure", "before": "Avant", "after": "Désormais",
            "certificate": "Certificat", "holder": "Titulaire", "since": "Depuis le",
            "authority": "Autorité", "basis": "Fondement juridique", "scope": "Données concernées",
            "prohibited_until": "Interdiction de vous en informer jusqu’au",
            "document": "Document", "edition": "Version", "valid_from": "Valable à compter du",
            "valid_until": "Valable jusqu’au", "address": "Où le trouver",
        },
    }
)  # fmt: skip
MANY_CHANGES = MappingProxyType({"en": "{0} changes", "fr": "{0} changements"})
NOTHING = MappingProxyType({"en": "(nothing)", "fr": "(rien)"})
COLON = MappingProxyType({"en": ":", "fr": f"{NBSP}:"})
EFFECTIVE_ON = MappingProxyType({"en": "Day of effect", "fr": "Date d’effet"})
REASONS = MappingProxyType({"en": "Reasons", "fr": "Motifs"})
ONE_CHANGE = MappingProxyType({"en": "Change", "fr": "Changement"})
BEFORE_AND_AFTER = MappingProxyType({"en": ("Before", "After"), "fr": ("Avant", "Après")})
FROM = MappingProxyType({"en": "from {}", "fr": "à compter du {}"})
SINCE = MappingProxyType({"en": "since {}", "fr": "depuis le {}"})
# What names the thing in one line, by kind: the names that letters give it, the other facts being told below.
SHOWN = MappingProxyType(
    {
        AnnouncementKind.SERVICE: ("service",),
        AnnouncementKind.LOCATION: ("place", "country"),
        AnnouncementKind.SECURITY: ("measure",),
        AnnouncementKind.CERTIFICATION: ("certificate", "holder"),
        AnnouncementKind.DISCLOSURE: ("authority",),
        AnnouncementKind.DOCUMENT: ("document", "edition"),
        AnnouncementKind.SUPPORT: ("after", "country"),
    }
)


@dataclass(frozen=True, slots=True)
class Name:
    """A kind's title, its name within a sentence, and the name by which the same letter comes back to it."""

    title: str
    the: str
    short: str


NAMES: Mapping[str, Mapping[str, Name]] = MappingProxyType(
    {
        "en": {
            "subprocessor": Name("Change of subprocessor", "the change of subprocessor", "the change"),
            "emergency": Name("Urgent change of subprocessor", "the urgent change of subprocessor", "the change"),
            "service.new": Name("New service", "the new service", "the new service"),
            "service.modified": Name("Change of a service", "the change of a service", "the change"),
            "service.maintenance": Name("Maintenance", "the maintenance", "the maintenance"),
            "location.storage": Name("Change of hosting place", "the change of hosting place", "the change"),
            "location.access": Name("Access from another place", "the access from another place", "the access"),
            "security": Name("Lower level of security", "the lower level of security", "the change"),
            "certification.lost": Name("Certification lost", "the loss of the certification", "the loss"),
            "certification.suspended": Name(
                "Certification suspended", "the suspension of the certification", "the suspension"
            ),
            "certification.renewed": Name("Certification renewed", "the renewal of the certification", "the renewal"),
            "disclosure.notice": Name("Disclosure to an authority", "the disclosure to an authority", "the disclosure"),
            "disclosure.consultation": Name(
                "Consultation before a disclosure to an authority", "the disclosure to an authority", "the disclosure"
            ),
            "document": Name("New edition of a document", "the new edition of a document", "the new edition"),
            "support": Name("Change of support entity", "the change of support entity", "the change"),
        },
        "fr": {
            "subprocessor": Name("Changement de sous-traitant", "le changement de sous-traitant", "le changement"),
            "emergency": Name(
                "Changement urgent de sous-traitant", "le changement urgent de sous-traitant", "le changement"
            ),
            "service.new": Name("Nouveau service", "le nouveau service", "le nouveau service"),
            "service.modified": Name("Modification d’un service", "la modification d’un service", "la modification"),
            "service.maintenance": Name("Maintenance", "la maintenance", "la maintenance"),
            "location.storage": Name(
                "Changement de lieu d’hébergement", "le changement de lieu d’hébergement", "le changement"
            ),
            "location.access": Name("Accès depuis un autre lieu", "l’accès depuis un autre lieu", "l’accès"),
            "security": Name("Baisse du niveau de sécurité", "la baisse du niveau de sécurité", "la baisse"),
            "certification.lost": Name("Perte de certification", "la perte de certification", "la perte"),
            "certification.suspended": Name(
                "Suspension de certification", "la suspension de certification", "la suspension"
            ),
            "certification.renewed": Name(
                "Renouvellement de certification", "le renouvellement de certification", "le renouvellement"
            ),
            "disclosure.notice": Name("Divulgation à une autorité", "la divulgation à une autorité", "la divulgation"),
            "disclosure.consultation": Name(
                "Consultation avant divulgation à une autorité", "la divulgation à une autorité", "la divulgation"
            ),
            "document": Name(
                "Nouvelle version d’un document", "la nouvelle version d’un document", "la nouvelle version"
            ),
            "support": Name("Changement d’entité de support", "le changement d’entité de support", "le changement"),
        },
    }
)
_CONTRACTED = (("le ", "du ", "au "), ("la ", "de la ", "à la "), ("l’", "de l’", "à l’"))


def key_of(kind: AnnouncementKind, aspect: str = "") -> str:
    """Return under which key the words for a kind stand: "subprocessor", "service.maintenance"."""
    return f"{kind}.{aspect}" if KINDS[kind].aspects else kind.value


def title(announcement: Announcement, language: str) -> str:
    """Return what an announcement is, in a few words: "Change of subprocessor", "Certification lost"."""
    return NAMES[language][key_of(announcement.kind, announcement.aspect)].title


def names(announcement: Announcement, language: str) -> dict[str, str]:
    """Return an announcement's names for sentences: `the`, `of` and `to` are the long one with what goes before it,
    `short`, `of_short` and `to_short` the short one.
    """
    name = NAMES[language][key_of(announcement.kind, announcement.aspect)]
    long, short = _declined(name.the, language), _declined(name.short, language)
    return {
        "title": name.title,
        **dict(zip(("the", "of", "to"), long, strict=True)),
        **dict(zip(("short", "of_short", "to_short"), short, strict=True)),
    }


def _declined(the: str, language: str) -> tuple[str, str, str]:
    """Return "le changement", "du changement", "au changement"."""
    if language == "en":
        return the, f"of {the}", f"to {the}"
    of, to = next((of, to) for article, of, to in _CONTRACTED if the.startswith(article))
    bare = next(the.removeprefix(article) for article, _, _ in _CONTRACTED if the.startswith(article))
    return the, f"{of}{bare}", f"{to}{bare}"


# --- when ------------------------------------------------------------------------------------------------------------


def happens_on(announcement: Announcement) -> date:
    """Return the day of what is told; where it has happened already, the day on which it did."""
    since = announcement.facts.get("since", "")
    return date.fromisoformat(since) if since else announcement.effective_on


def has_happened(announcement: Announcement, profile: Provider) -> bool:
    """Say whether what is told was so before it was told.  Whoever is consulted is asked beforehand."""
    at_once = KINDS[announcement.kind].at_once and announcement.aspect != "consultation"
    return at_once and happens_on(announcement) <= local_day(announcement.published_at, zone(profile.timezone))


def when(announcement: Announcement, profile: Provider, language: str) -> str:
    """Return "from 15 January 2027", or "since 15 January 2027" of what has happened."""
    words = SINCE if has_happened(announcement, profile) else FROM
    return words[language].format(plain_date(happens_on(announcement), language))


# --- what ------------------------------------------------------------------------------------------------------------


def what(announcement: Announcement, language: str) -> str:
    """Return what is announced in one line: the one change, the service, the certificate and its holder."""
    changes = [from_json(change) for change in announcement.changes]
    if changes:
        return (
            entry_words.sentence(changes[0], language)
            if len(changes) == 1
            else MANY_CHANGES[language].format(len(changes))
        )
    said = {
        field.name: _shown(field.shape, text, language)
        for field, text in rows(announcement.kind, announcement.facts, language)
    }
    return ", ".join(said[name] for name in SHOWN.get(announcement.kind, ()) if name in said)


def facts_of(announcement: Announcement, language: str) -> list[dict[str, str]]:
    """Return what a person wrote of an announcement, in the order of reading: rows of a label and a value."""
    return _labelled(announcement.kind, announcement.facts, language)


def _labelled(kind: AnnouncementKind, facts: Mapping[str, str], language: str) -> list[dict[str, str]]:
    return [
        {"label": FACT_LABELS[language][field.name], "value": _shown(field.shape, text, language)}
        for field, text in rows(kind, facts, language)
    ]


def _shown(shape: Shape, text: str, language: str) -> str:
    if shape is Shape.COUNTRY:
        return country_name(text, language)
    return plain_date(date.fromisoformat(text), language) if shape is Shape.DAY else text


def announced(announcement: Announcement, profile: Provider, language: str) -> dict[str, Any]:
    """Return what letters may say of an announcement.

    `dated` is its day within a sentence ("from 15 January 2027"), `past` whether it has happened.
    """
    return {
        "kind": announcement.kind.value,
        "key": key_of(announcement.kind, announcement.aspect),
        **names(announcement, language),
        "what": what(announcement, language),
        "reference": announcement.reference,
        "edition": announcement.edition,
        "reasons": announcement.reasons[language],
        "effective_on": plain_date(announcement.effective_on, language),
        "day": plain_date(happens_on(announcement), language),
        "dated": when(announcement, profile, language),
        "past": has_happened(announcement, profile),
        "published_at": announcement.published_at,
        "list_url": list_url(profile),
    }


def list_url(profile: Provider) -> str:
    """Return the address of the public list of subprocessors."""
    return f"{profile.base_url}/subprocessors"


# --- in plain text ---------------------------------------------------------------------------------------------------


def change_in_text(change: Change, language: str) -> list[str]:
    """Return a change as lines: its sentence, then what was and what will be."""
    told, colon = entry_words.describe(change, language), COLON[language]
    if change.stays:
        return [told["sentence"], *_fields_in_text(told["fields"], colon)]
    captioned = zip(BEFORE_AND_AFTER[language], (told["before"], told["after"]), strict=True)
    return [told["sentence"], *(f"{caption}{colon} {_in_one_line(entry)}" for caption, entry in captioned if entry)]


def _fields_in_text(fields: Sequence[Mapping[str, str]], colon: str) -> list[str]:
    return [f"{field['label']}{colon} {field['before']} → {field['after']}" for field in fields]


def _in_one_line(entry: Mapping[str, str]) -> str:
    return ", ".join(entry.values())


# --- what a correction changes ---------------------------------------------------------------------------------------


def differences(before: Edition, announcement: Announcement, language: str) -> list[dict[str, str]]:
    """Return what an announcement says otherwise than an edition of it did: rows of a label, what was and what is."""
    pairs = [
        *_pairs_of_days(before, announcement, language),
        *_pairs_of_facts(before, announcement, language),
        *_pairs_of_changes(before, announcement, language),
        (REASONS[language], before.reasons.get(language, ""), announcement.reasons.get(language, "")),
    ]
    nothing = NOTHING[language]
    return [
        {"label": label, "before": was or nothing, "after": now or nothing} for label, was, now in pairs if was != now
    ]


def _pairs_of_days(before: Edition, announcement: Announcement, language: str) -> Iterable[tuple[str, str, str]]:
    was, now = (plain_date(day, language) for day in (before.effective_on, announcement.effective_on))
    yield EFFECTIVE_ON[language], was, now


def _pairs_of_facts(before: Edition, announcement: Announcement, language: str) -> Iterable[tuple[str, str, str]]:
    was = {row["label"]: row["value"] for row in _labelled(announcement.kind, before.facts, language)}
    now = {row["label"]: row["value"] for row in facts_of(announcement, language)}
    for label in {**was, **now}:
        yield label, was.get(label, ""), now.get(label, "")


def _pairs_of_changes(before: Edition, announcement: Announcement, language: str) -> Iterable[tuple[str, str, str]]:
    was, now = _texts_by_key(before.changes, language), _texts_by_key(announcement.changes, language)
    for key in {**was, **now}:
        yield ONE_CHANGE[language], was.get(key, ""), now.get(key, "")


def _texts_by_key(changes: Sequence[Mapping[str, Any]], language: str) -> dict[str, str]:
    """A replaced entry goes by the one that leaves, so that another one in its place is a difference in one change."""
    texts: defaultdict[str, list[str]] = defaultdict(list)  # one entry may be replaced by several
    for change in map(from_json, changes):
        texts[(change.before or change.entry).key] += _outcome(change, language)
    return {key: "\n".join(lines) for key, lines in texts.items()}


def _outcome(change: Change, language: str) -> list[str]:
    """Return a change as lines: its sentence, then where it leads."""
    told = entry_words.describe(change, language)
    if change.stays:
        return [told["sentence"], *_fields_in_text(told["fields"], COLON[language])]
    return [told["sentence"], *([_in_one_line(told["after"])] if told["after"] else [])]
