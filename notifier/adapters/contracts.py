"""Contract packs: the files in config/contracts/, one per contract version."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from notifier.rules.terms import BadPack, Pack

GENERAL_TERMS = "general_terms"  # names the pack that speaks where this one says nothing
KEYS = frozenset({"version", "title", "territory", "asks", "defaults", "rules", GENERAL_TERMS})


def read_packs(search_path: Sequence[Path]) -> dict[str, Pack]:
    """Read every pack, by name; a folder earlier in the path wins file by file.  BadPack says what is wrong in which
    file.
    """
    files: dict[str, Path] = {}
    for folder in reversed(search_path):
        files |= {file.stem: file for file in sorted((folder / "contracts").glob("*.toml"))}
    tables = {name: _tables(name, file) for name, file in sorted(files.items())}
    return {name: Pack.parse(name, data, general=_general(name, tables)) for name, data in tables.items()}


def _tables(name: str, file: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as trouble:
        raise BadPack(f"contract pack {file} cannot be read: {trouble}") from None
    if unknown := sorted(data.keys() - KEYS):
        raise BadPack(f"contract pack {name}: unknown key {', '.join(unknown)}: correct the spelling")
    return data


def _general(name: str, tables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the tables of a pack's general terms, if it names any."""
    general = tables[name].get(GENERAL_TERMS)
    if general is None:
        return None
    if not isinstance(general, str) or general not in tables:
        raise BadPack(
            f'contract pack {name}: there is no contract pack "{general}" for its general terms: put {general}.toml '
            f"beside it, or take {GENERAL_TERMS} away"
        )
    if GENERAL_TERMS in tables[general]:
        further = "circle" if tables[general][GENERAL_TERMS] in (name, general) else "chain"
        raise BadPack(
            f"contract pack {name}: its general terms {general} name general terms themselves, a {further}: write "
            f"{GENERAL_TERMS} in one of them alone"
        )
    if missing := sorted({"defaults", "rules"} - tables[general].keys()):
        raise BadPack(f"contract pack {general}: the key '{missing[0]}' is missing: write it, or take the pack away")
    return tables[general]
