"""A form for the fields of an entry, each in the notation of a cell, several values on as many lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as later

from notifier.adapters import cells
from notifier.adapters.cells import NOTES
from notifier.adapters.countries import country_name
from notifier.adapters.remarks import BadCell, remark
from notifier.rules.entries import FIELDS, HDS_ACTIVITIES, Entry, Shape
from notifier.rules.hds_table import ACTIVITIES
from notifier.services import entry_words
from notifier.web.current import language
from notifier.web.forms import Form

MOST_RADIOS = 3
LINES: Mapping[str, int] = MappingProxyType({"places": 4, "certificates": 3, "activities": 3})
WIDGETS: Mapping[Shape, str] = MappingProxyType(
    {
        **dict.fromkeys((Shape.TEXT, Shape.COUNTRY), "text"),
        **dict.fromkeys((Shape.LIST, Shape.COUNTRIES, Shape.PLACES, Shape.CERTIFICATES), "lines"),
        Shape.DAY: "date",
        Shape.URL: "url",
    }
)
HINTS: Mapping[str, Any] = MappingProxyType(
    {
        "name": later("The legal name."),
        "activities": later("What this subprocessor does for your clients. One per line."),
        "country": later("Its name in English or French, or its two letters."),
        "website": later("An address that begins with https://."),
        "parent": later("Whose contract it works under."),
        "purposes": later("One per line."),
        "data_categories": later("One per line."),
        "persons": later("One per line."),
        "places": later(
            "One per line: the country, a colon, the site, and in brackets production, backup, interconnection or "
            "support. For instance France: Pantin (production)"
        ),
        "outside_countries": later("One per line, by name or by two letters."),
        "assessment": later("An address that begins with https://."),
        "certificates": later(
            "One per line, with what is known of it. For instance ISO 27001:2022 [number=FR-123] [scope=hosting] "
            "[issuer=Certif] [expires=2027-12-31]"
        ),
        "third_country_laws": later("Which laws, what is done against access under them, and what risk stays."),
        "services": later("Yours that use it, one per line. Empty means all of them."),
        "regions": later("One per line. Empty means all of them."),
        "options": later("One per line. Empty means all of them."),
    }
)


def shown() -> dict[str, Any]:
    """Return what the template of the fields needs (web/staff/_entry.html)."""
    return {
        "widgets": {name: _widget(name) for name in FIELDS},
        "labels": entry_words.LABELS[language()],
        "hints": HINTS,
        "lines": LINES,
        "choices": {name: _choices(name) for name in FIELDS},
        "activities": ACTIVITIES[language()],
    }


def filled(entry: Entry) -> Form:
    """Return the form that says what an entry says."""
    values = {name: _on_lines(name, getattr(entry, name)) for name in FIELDS}
    values["country"] = country_name(entry.country, language())
    return Form(values | {f"hds_activities_{one}": "yes" for one in entry.hds_activities})


def _on_lines(name: str, value: Any) -> str:  # noqa: ANN401 - whatever a field holds
    if not FIELDS[name].is_many:
        return cells.written(name, value)
    return "\n".join(cells.written(name, (one,)) for one in value)


def text(form: Form, name: str) -> str:
    if name == "hds_activities":
        return ";".join(one for one in HDS_ACTIVITIES if form[f"{name}_{one}"])
    return form[name]


def read(form: Form, names: Iterable[str]) -> dict[str, Any]:
    """Return the fields that were filled in; what cannot be taken is refused beside its field."""
    values = {}
    for name in names:
        try:
            values[name] = cells.read(name, text(form, name))
        except BadCell as bad:
            form.refuse(name, _sentence(bad))
    return values


def _widget(name: str) -> str:
    if name in {"parent", "hds_activities"}:
        return name
    if name in NOTES:
        return "note"
    spec = FIELDS[name]
    if spec.shape is Shape.CHOICE:
        return "radios" if len(spec.choices) <= MOST_RADIOS else "select"
    return WIDGETS[spec.shape]


def _choices(name: str) -> list[tuple[str, str]]:
    words = entry_words.CHOICES[language()]
    return [("", entry_words.NOT_SAID[language()]), *((one, words[one]) for one in FIELDS[name].choices)]


def _sentence(bad: BadCell) -> str:
    said = remark(0, "", bad.code, **bad.facts).text(language())
    return f"{said[0].upper()}{said[1:]}."
