"""The folders that come with the product: its texts and its settings."""

from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

Kind = Literal["templates", "config"]

PACKAGE: Final = Path(str(files("notifier")))  # always a real folder: neither wheels nor checkouts run from a zip


def folder(kind: Kind) -> Path:
    """The folder inside an installed wheel, or the checkout's top-level one; FileNotFoundError where neither is."""
    for place in (PACKAGE / "_data" / kind, PACKAGE.parent / kind):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"the folder {kind} is neither in {PACKAGE / '_data'} nor beside {PACKAGE}: install again")


def search_path(kind: Kind, own: Path | None = None) -> list[Path]:
    """Where to look, first match wins: the operator's own folder, then ours, file by file."""
    ours = folder(kind)
    return [own, ours] if own else [ours]
