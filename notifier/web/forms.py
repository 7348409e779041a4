"""Forms: what was typed, kept as it was typed, and what is wrong with which field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import request

from notifier.rules.kinds import LANGUAGES

LONGEST_TEXT = 20_000
YEARS = range(1900, 3000)


class Form:
    """One form.  A field that nobody filled in is empty.  `problems`: field → sentence, "" for the whole form."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})
        self.problems: dict[str, Any] = {}

    @classmethod
    def posted(cls) -> Form:
        """Return what this request brings."""
        return cls({name: text[:LONGEST_TEXT] for name, text in request.form.items()})

    def __getitem__(self, name: str) -> str:
        return self._values.get(name, "")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def filled(self, name: str, text: str) -> Form:
        """Return the same form with one more field."""
        other = Form({**self._values, name: text})
        other.problems = self.problems
        return other

    def without(self, name: str) -> Form:
        """Return the same form less one field."""
        other = Form({kept: text for kept, text in self._values.items() if kept != name})
        other.problems = self.problems
        return other

    def refuse(self, name: str, sentence: Any) -> None:  # noqa: ANN401 - a string, lazy or not
        """Say what is wrong with a field; the first sentence stays."""
        self.problems.setdefault(name, sentence)

    def day(self, name: str) -> date | None:
        """Return a date field; nothing for one that is empty, no date, or a year that nobody means."""
        try:
            day = date.fromisoformat(self[name].strip())
        except ValueError:
            return None
        return day if day.year in YEARS else None

    def instant(self, name: str, zone: str) -> datetime | None:
        """Return a field of a day and a time of the zone's clocks, in UTC; nothing for one that is empty or neither."""
        try:
            local = datetime.fromisoformat(self[name].strip())
        except ValueError:
            return None
        if local.year not in YEARS:
            return None
        return (local if local.tzinfo else local.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)

    def both(self, name: str) -> dict[str, str]:
        """Return what was written in each language of the letters."""
        return {one: self[f"{name}_{one}"] for one in LANGUAGES}

    def number(self, name: str) -> int | None:
        text = self[name].strip()
        return int(text) if text.isdecimal() and text.isascii() else None


def as_uuid(text: str) -> UUID | None:
    """Return an id out of an address or a form; nothing for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def uploaded(name: str) -> tuple[bytes, str] | None:
    """Return an uploaded file's content and name; nothing where no file was chosen."""
    file = request.files.get(name)
    return (file.read(), file.filename) if file and file.filename else None
