"""Contract packs: the files in config/contracts/, one per contract version."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from notifier.rules.terms import BadPack, Pack


def read_packs(search_path: Sequence[Path]) -> dict[str, Pack]:
    """Read every pack, by name; a folder earlier in the path wins file by file.  BadPack says what is wrong in which
    file.
    """
    files: dict[str, Path] = {}
    for folder in reversed(search_path):
        files |= {file.stem: file for file in sorted((folder / "contracts").glob("*.toml"))}
    return {name: _read(name, file) for name, file in sorted(files.items())}


def _read(name: str, file: Path) -> Pack:
    try:
        return Pack.parse(name, tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as trouble:
        raise BadPack(f"contract pack {file} cannot be read: {trouble}") from None
