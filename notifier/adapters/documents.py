"""PDF (Typst): letters to print, fold and put into window envelopes, and a register to read or file.

What they say goes to a template as data; what they look like is `documents/letter.typ` and `documents/register.typ`.
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


class BadDocument(Exception):
    """A template does not compile; the message says why."""


class BadLetter(BadDocument):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """A list of companies: a table of the main things, a row for each, and all that is known of each in pairs of a
    label and its value.  `remarks` stand below the title.
    """

    language: str
    title: str
    remarks: tuple[str, ...]
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    details: tuple[Table, ...]


def print_batch(letters: Sequence[PaperLetter], *, search_path: Sequence[Path], title: str) -> bytes:
    """Return a PDF of A4 pages, each letter on a sheet of its own; the same letters give the same bytes.

    The first folder that has documents/letter.typ wins; fonts are Typst's own and those in documents/fonts of any
    folder.  BadLetter for no letters, for an address that is empty or larger than the window, and for a template that
    does not compile; FileNotFoundError for no template.
    """
    if not letters:
        raise BadLetter("there are no letters to print")
    try:
        return _printed("letter.typ", {"title": title, "letters": [_said(letter) for letter in letters]}, search_path)
    except BadDocument as bad:
        raise BadLetter(str(bad)) from bad


def print_register(register: Register, *, search_path: Sequence[Path]) -> bytes:
    """Return a tagged PDF of A4 pages, the table lying; the same register gives the same bytes.

    Folders and fonts as in `print_batch`; BadDocument for a template that does not compile.
    """
    return _printed("register.typ", {"register": asdict(register), "title": register.title}, search_path)


def _printed(template: str, said: dict[str, object], search_path: Sequence[Path]) -> bytes:
    file = _file(template, search_path)
    fonts = [each / "documents" / "fonts" for each in search_path]
    batch = json.dumps(_cleaned(said), ensure_ascii=False)
    try:
        # Both standards refuse a sign that no font has; without them a box is printed for it.
        with suppress(typst.TypstError):
            return _compiled(file, fonts, batch, archival=True)
        return _compiled(file, fonts, batch, archival=False)
    except typst.TypstError as error:
        raise BadDocument(error.message.removeprefix("assertion failed: ")) from error
    finally:
        _forget()


def _file(template: str, search_path: Sequence[Path]) -> Path:
    for folder in search_path:
        if (file := folder / "documents" / template).is_file():
            return file
    raise FileNotFoundError(f"there is no documents/{template} in the folders of templates")


def _compiled(file: Path, fonts: list[Path], batch: str, *, archival: bool) -> bytes:
    return typst.compile(
        file,
        root=file.parents[1],
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
