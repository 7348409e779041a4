"""Entries of the registry and their changes in words, for letters, paper and pages alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import Any

from notifier.adapters.cells import HEADINGS
from notifier.adapters.countries import country_name
from notifier.adapters.dates import plain_date
from notifier.rules.entries import FIELDS, Certificate, Entry, Place, Shape, is_day
from notifier.rules.registry_diff import Change, ChangeKind, FieldChange

LABELS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {language: {name: HEADINGS[name][turn] for name in FIELDS} for turn, language in enumerate(("en", "fr"))}
)
FORMER_LABELS = MappingProxyType(
    {
        "en": {"activity": "Activity", "site_kind": "Kind of site"},
        "fr": {"activity": "Prestation", "site_kind": "Nature du site"},
    }
)
CHOICES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "yes": "yes", "no": "no", "exempt": "exempt", "none": "none needed", "adequacy": "adequacy decision",
            "scc": "standard contractual clauses", "bcr": "binding corporate rules", "derogation": "derogation",
            "receives": "receives data", "physical": "physical access only", "transit": "carries data only",
            "better": "better", "equal": "equal", "lower": "lower",
        },
        "fr": {
            "yes": "oui", "no": "non", "exempt": "exempté", "none": "aucun requis", "adequacy": "décision d’adéquation",
            "scc": "clauses contractuelles types", "bcr": "règles d’entreprise contraignantes",
            "derogation": "dérogation", "receives": "reçoit des données", "physical": "accès physique seul",
            "transit": "achemine seulement les données", "better": "meilleure", "equal": "équivalente",
            "lower": "moindre",
        },
    }
)  # fmt: skip
KINDS_OF_PLACE: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {"dark_fibre": "dark fibre"},
        "fr": {
            "production": "production", "backup": "sauvegarde", "interconnection": "interconnexion",
            "support": "support", "dark_fibre": "fibre noire",
        },
    }
)  # fmt: skip
AREAS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {"EEA": "European Economic Area", "EU": "European Union"},
        "fr": {"EEA": "Espace économique européen", "EU": "Union européenne", "Europe": "Europe"},
    }
)
SENTENCES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "replaced": "{0} is replaced by {1}",
            "added": "{0} is added",
            "removed": "{0} is removed",
            "renamed": "{0} is now called {1}",
            "taken_over": "{0} becomes another legal entity",
            "moved": "{0} (places of processing change)",
            "scope_changed": "{0} (what it does changes)",
            "safeguards_changed": "{0} (safeguards change)",
            "security_changed": "{0} (level of security changes)",
            "contact_changed": "{0} (details changed)",
        },
        "fr": {
            "replaced": "{0} est remplacé par {1}",
            "added": "{0} est ajouté",
            "removed": "{0} est retiré",
            "renamed": "{0} s’appelle désormais {1}",
            "taken_over": "{0} devient une autre entité juridique",
            "moved": "{0} (changement de lieux de traitement)",
            "scope_changed": "{0} (changement de prestation)",
            "safeguards_changed": "{0} (changement de garanties)",
            "security_changed": "{0} (changement du niveau de sécurité)",
            "contact_changed": "{0} (informations modifiées)",
        },
    }
)
NOT_SAID = MappingProxyType({"en": "not stated", "fr": "non précisé"})


def sentence(change: Change, language: str) -> str:
    """Return a change in one sentence without its stop."""
    name, new_name = (change.before or change.entry).name, change.after.name if change.before and change.after else ""
    kind = change.kind
    if kind is ChangeKind.RENAMED and name == new_name:
        kind = ChangeKind.CONTACT_CHANGED  # its legal form or trading name
    return SENTENCES[language][kind.value].format(name, new_name)


def describe(change: Change, language: str) -> dict[str, Any]:
    """Return a change in words: its kind, its sentence, the names before and after, both entries and the fields that
    differ, labelled; `stays`: the entry is in the list before and after.
    """
    return {
        "kind": change.kind.value,
        "stays": change.stays,
        "sentence": sentence(change, language),
        "name": (change.before or change.entry).name,
        "new_name": change.after.name if change.before and change.after else "",
        "before": in_words(change.before, language, change.parents),
        "after": in_words(change.after, language, change.parents),
        "fields": [_described_field(field, change, language) for field in change.fields],
    }


def in_words(
    entry: Entry | None, language: str, parents: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str] | None:
    """Return what is said of an entry: label → value, in the order of reading; `parents`: the names of who
    engages it, by key.
    """
    if entry is None:
        return None
    entry = replace(entry, parent=parents.get(entry.parent, entry.parent))
    values = {label: value_in_words(name, getattr(entry, name), language) for name, label in LABELS[language].items()}
    return {label: value for label, value in values.items() if value}


def value_in_words(name: str, value: Any, language: str) -> str:  # noqa: ANN401 - whatever a field holds
    """Return the value of a field as people of a language read it; nothing where nobody has said."""
    shape = FIELDS[name].shape
    if isinstance(value, tuple):
        return "; ".join(_item_in_words(shape, one, language) for one in value)
    return _item_in_words(shape, value, language) if value else ""


def place_in_words(place: Place, language: str) -> str:
    """Return "Pantin, France (production)"."""
    area = AREAS[language].get(place.site, place.site)
    where = ", ".join(filter(None, [area, country_name(place.country, language) if place.country else ""]))
    kind = KINDS_OF_PLACE[language].get(place.kind, place.kind)
    return f"{where} ({kind})" if kind and where else where or kind


def _item_in_words(shape: Shape, value: Any, language: str) -> str:  # noqa: ANN401 - whatever a field holds
    if isinstance(value, Place):
        return place_in_words(value, language)
    if isinstance(value, Certificate):
        return _certificate_in_words(value, language)
    if shape in {Shape.COUNTRY, Shape.COUNTRIES}:
        return country_name(value, language)
    if shape is Shape.DAY and is_day(value):
        return plain_date(date.fromisoformat(value), language)
    return CHOICES[language].get(value, value) if shape is Shape.CHOICE else str(value)


def _certificate_in_words(one: Certificate, language: str) -> str:
    standard = f"{one.standard}:{one.edition}" if one.edition else one.standard
    until = {"en": "until {}", "fr": "jusqu’au {}"}[language]
    expires = until.format(plain_date(date.fromisoformat(one.expires_on), language)) if is_day(one.expires_on) else ""
    said = ", ".join(filter(None, [one.number, one.scope, one.issuer, expires]))
    return f"{standard} ({said})" if said else standard


def _described_field(field: FieldChange, change: Change, language: str) -> dict[str, str]:
    label = LABELS[language].get(field.field) or FORMER_LABELS[language].get(field.field, field.field)
    texts = (field.before, field.after)
    if field.field in FIELDS and change.before and change.after:
        held = (getattr(entry, field.field) for entry in (change.before, change.after))
        named = (change.parents.get(value, value) if field.field == "parent" else value for value in held)
        texts = tuple(value_in_words(field.field, value, language) for value in named)  # type: ignore[assignment] # two
    before, after = (text or NOT_SAID[language] for text in texts)
    return {"label": label, "before": before, "after": after}
