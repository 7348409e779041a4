"""Paper: letters become one PDF to print, fold and put into window envelopes (Typst).

What the letters say goes to the template as data; what they look like is `documents/letter.typ`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import typst

from notifier.rules.moulds import clean

MOST_ADDRESS_LINES = 7
_MADE_AT = 0  # the archive format wants an instant, and the same letters give the same bytes whenever they are printed


class BadLetter(Exception):
    """The letters cannot be printed; the message says which one and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of a label and its value, under a caption."""

    caption: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Paragraphs, then tables; an empty heading is none."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperLetter:
    """One letter, in texts that are printed as they are written; the recipient's first line is the company.

    Empty lines of sender, recipient and signature are left out.
    """

    language: str
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    mark: str
    reference: str
    written_on: str
    subject: str
    sections: tuple[Section, ...]
    signature: tuple[str, ...]


def print_batch(letters: Sequence[PaperLetter], *, search_path: Sequence[Path], title: str) -> bytes:
    """Return a PDF of A4 pages, each letter on a sheet of its own; the same letters give the same bytes.

    The first folder that has documents/letter.typ wins; fonts are Typst's own and those in documents/fonts of any
    folder.  BadLetter for no letters, for an address that is empty or larger than the window, and for a template that
    does not compile; FileNotFoundError for no template.
    """
    if not letters:
        raise BadLetter("there are no letters to print")
    folder = _folder(search_path)
    fonts = [each / "documents" / "fonts" for each in search_path]
    said = _cleaned({"title": title, "letters": [_said(letter) for letter in letters]})
    batch = json.dumps(said, ensure_ascii=False)
    try:
        # Both standards refuse a sign that no font has; without them a box is printed for it.
        with suppress(typst.TypstError):
            return _compiled(folder, fonts, batch, archival=True)
        return _compiled(folder, fonts, batch, archival=False)
    except typst.TypstError as error:
        raise BadLetter(error.message.removeprefix("assertion failed: ")) from error
    finally:
        _forget()


def _folder(search_path: Sequence[Path]) -> Path:
    for folder in search_path:
        if (folder / "documents" / "letter.typ").is_file():
            return folder
    raise FileNotFoundError("there is no documents/letter.typ in the folders of templates")


def _compiled(folder: Path, fonts: list[Path], batch: str, *, archival: bool) -> bytes:
    return typst.compile(
        folder / "documents" / "letter.typ",
        root=folder,
        font_paths=fonts,
        ignore_system_fonts=True,  # the same pages on every machine
        format="pdf",
        sys_inputs={"batch": batch},
        pdf_standards=["a-3a", "ua-1"] if archival else [],
        timestamp=_MADE_AT,
    )


def _forget() -> None:
    """Make Typst let go of a batch, about 1.5 MB for each letter: it keeps what its last ten compilations used."""
    for _ in range(11):
        typst.compile(b"", format="pdf", ignore_system_fonts=True)


def _said(letter: PaperLetter) -> dict[str, object]:
    """Return what a letter says, as the template takes it."""
    recipient = _lines(letter.recipient)
    if not recipient:
        raise BadLetter(f"letter {letter.reference} has no address")
    if len(recipient) > MOST_ADDRESS_LINES:
        raise BadLetter(
            f"the address of letter {letter.reference} has {len(recipient)} lines,"
            f" and the window of the envelope shows {MOST_ADDRESS_LINES}"
        )
    lines = {"sender": _lines(letter.sender), "recipient": recipient, "signature": _lines(letter.signature)}
    return {**asdict(letter), **lines}


def _lines(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in clean(text).split("\n") if line.strip()]


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    return value
