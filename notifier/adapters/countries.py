"""Countries by their names; a registry keeps ISO 3166 alpha-2 codes."""

from __future__ import annotations

from babel import Locale


def country_name(code: str, language: str) -> str:
    """Return a country's name in a language; the code itself where it has none, nothing for no code."""
    return Locale.parse(language).territories.get(code, code) if code else ""
