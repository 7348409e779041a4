"""A letter written once, with holes, and one recipient's facts give the exact bytes of one mail.

Bodies are quoted-printable.  Every literal and every value is encoded on its own up to the end of a line (with a soft
line break where the text has none), so that the pieces may follow one another and decode to exactly the whole.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType
from typing import Any, Self, TypeAlias
from urllib.parse import quote, urlsplit

Fact: TypeAlias = str | Sequence[Mapping[str, str]]

MARK = re.compile("([\ue000-\uf8ff])")
COMMENTED_MARK = re.compile("<!--([\ue000-\uf8ff])-->")

_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # with what turns writing around
_FOREIGN = re.compile("[\ue000-\uf8ff\ud800-\udfff]")  # our own marks, and halves of characters
_UNCLEAN = re.compile(f"{_LINE_ENDS.pattern}|{_CONTROLS.pattern}|{_FOREIGN.pattern}")
_NEVER = "(?!)"
_PATH = "/%:@!$&'()*+,;=~"  # with letters, figures and "-._", what a path may hold as it is
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,300}/[A-Za-z0-9._/%:@!$&'()*+,;=~-]{0,600}")
_PLAIN = re.compile(r"[A-Za-z0-9._@<>:/+-](?:[A-Za-z0-9._@<>:/+, -]{0,198}[A-Za-z0-9._@<>:/+-])?")
_SIMPLE = re.compile("[A-Za-z0-9 .,:;/_()-]+")  # the same in text, in HTML and in quoted-printable: most values
_TEXT = frozenset({str})
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{1,254}}\Z)(?=[^@]{{1,64}}@)(?!.*=\?){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
_SOFT = 75  # octets of a quoted-printable line before its soft break (RFC 2045: at most 76 with the sign)
_WIDTH = 74  # characters of a header line, so that a fold and what follows it stay within 78
_WORD = 39  # UTF-8 octets in one encoded word: with its frame and "Subject:" before it, within 76 (RFC 2047, 2)
_CONTINUATION = range(0x80, 0xC0)  # octets that go on with a character of UTF-8
_KEPT = 50  # values of one hole, written: as many as contracts differ, and little memory for each mould
_FOLD = 73  # octets of a line of a calendar (RFC 5545: at most 75, with the space of the fold)


class MouldError(ValueError):
    """Facts that do not fit the mould, or a value that may not stand where its hole is."""


class Kind(StrEnum):
    """Where a hole is, and so how its value is written there."""

    PLAIN = "plain"  # in a header, as it is: a date, the left of a Message-ID
    NAME = "name"  # the display name before an address
    ADDRESS = "address"  # exactly one addr-spec
    HEADER = "header"  # a piece of an unstructured header
    TEXT = "text"  # the text part
    HTML = "html"  # the HTML part, in text or between the quotes of an attribute
    ICS = "ics"  # text of a calendar
    WORD = "word"  # plain characters in a body
    URL = "url"  # an address of the web in a header


def clean(text: str) -> str:
    """Return text with line ends as newlines and without control characters; private-use characters become U+FFFD."""
    if _UNCLEAN.search(text) is None:
        return text
    return _FOREIGN.sub("\ufffd", _CONTROLS.sub("", _LINE_ENDS.sub("\n", text)))


def quoted(text: str) -> bytes:
    """Return a piece of a body as quoted-printable that ends a line, whatever follows it."""
    if not text:
        return b""
    # The x keeps room for the soft break, and keeps a last space from being the end of the text.
    encoded = b2a_qp(text.encode() + b"x")[:-1].replace(b"\n", b"\r\n")
    return encoded if encoded.endswith(b"\n") else encoded + b"=\r\n"


def url(text: str) -> bytes:
    """Return an address of the web in ASCII (RFC 3986); it is never folded (RFC 2369, 2).  What is none raises
    MouldError.
    """
    parts = urlsplit(text)
    try:
        host = parts.netloc.encode("idna").decode()
    except UnicodeError:
        host = ""
    written = f"{parts.scheme}://{host}{quote(parts.path, safe=_PATH)}"
    if _URL.fullmatch(written) is None:
        raise MouldError(f"{text[:80]!r} is no address that may stand in a header")
    return written.encode()


def plain(text: str) -> bytes:
    """Return a value that must be plain letters, figures and a few signs; anything else raises MouldError."""
    if _PLAIN.fullmatch(text) is None:
        raise MouldError(f"{text[:80]!r} may not stand in a header as it is")
    return text.encode()


def address(text: str) -> bytes:
    """Return an addr-spec in angle brackets, ending its header; anything but one plain address raises MouldError."""
    if _ADDRESS.fullmatch(text) is None:
        raise MouldError(f"{text[:80]!r} is not one plain mail address")
    return b" <" + text.encode() + b">\r\n"


def name(text: str) -> bytes:
    """Return the display name that stands before an address, its line folded; nothing for a blank one."""
    line = _one_line(text).strip()
    if not line:
        return b""
    if line.isascii() and len(line) < _WIDTH - 10:
        return b' "' + re.sub(r'(["\\])', r"\\\1", line).encode() + b'"\r\n'
    return _words(line)


def header(text: str) -> bytes:
    """Return what follows a header's colon, folded: in plain words where they are ASCII, in encoded words elsewhere."""
    line = re.sub(" +", " ", _one_line(text)).strip(" ")
    if not line.isascii() or max(map(len, line.split(" "))) > _WIDTH:
        return _words(line)
    rows = [""]
    for word in line.split(" "):
        if len(rows[-1]) + len(word) > _WIDTH - 10:
            rows.append("")
        rows[-1] += f" {word}"
    return "".join(f"{row}\r\n" for row in rows if row).encode()


def _one_line(text: str) -> str:
    # What looks like an encoded word is broken: a reader that decodes twice would let "=0D=0ABcc:" begin a header.
    return re.sub(r"[\t\n]+", " ", clean(text)).replace("=?", "= ?")


def _words(line: str) -> bytes:
    """Return encoded words, one a line; the white space between neighbours is no part of the text (RFC 2047, 6.2)."""
    return b"".join(b" =?utf-8?b?%b?=\r\n" % b2a_base64(chunk, newline=False) for chunk in _chunks(line, _WORD))


def _chunks(text: str, size: int) -> Iterator[bytes]:
    """Cut text into pieces of at most so many UTF-8 octets, never inside a character."""
    rest = text.encode()
    while len(rest) > size:
        cut = size
        while rest[cut] in _CONTINUATION:
            cut -= 1
        yield rest[:cut]
        rest = rest[cut:]
    if rest:
        yield rest


def _calendar_text(value: str) -> bytes:
    """Return a value escaped for a calendar, between folds, which vanish when it is read (RFC 5545, 3.1)."""
    escaped = re.sub(r"([\\;,])", r"\\\1", clean(value)).replace("\n", "\\n")
    folded = "\n ".join(chunk.decode() for chunk in _chunks(escaped, _FOLD))
    return quoted(f"\n {folded}\n ")


def _text(value: str) -> bytes:
    return _as_it_is(value) if _SIMPLE.fullmatch(value) else quoted(clean(value))


def _html(value: str) -> bytes:
    return _as_it_is(value) if _SIMPLE.fullmatch(value) else quoted(html.escape(clean(value)))


def _as_it_is(value: str) -> bytes:
    data = value.encode()
    if len(data) <= _SOFT:
        return data + b"=\r\n"
    return b"".join(data[start : start + _SOFT] + b"=\r\n" for start in range(0, len(data), _SOFT))


_WRITE: Mapping[Kind, Callable[[str], bytes]] = MappingProxyType(
    {
        Kind.PLAIN: plain,
        Kind.NAME: name,
        Kind.ADDRESS: address,
        Kind.HEADER: lambda value: _words(_one_line(value)),
        Kind.TEXT: _text,
        Kind.HTML: _html,
        Kind.ICS: _calendar_text,
        Kind.WORD: lambda value: quoted(plain(value).decode()),
        Kind.URL: url,
    }
)


@dataclass(frozen=True, slots=True)
class Hole:
    """The place of one fact."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Each:
    """A stretch repeated for each row of a list; its holes take the row's facts, then the mail's."""

    name: str
    parts: tuple[bytes | Hole, ...]


Part: TypeAlias = bytes | Hole | Each


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The facts that a letter wants of each recipient: single ones, and the names in each row of its lists."""

    once: frozenset[str]
    each: Mapping[str, frozenset[str]]

    def check(self, facts: Mapping[str, Fact]) -> None:
        """Raise MouldError for a fact that is missing, surplus, or of the wrong shape."""
        if not self._is_met(facts):
            self._complain(facts)

    def _is_met(self, facts: Mapping[str, Any]) -> bool:
        """Say whether facts are right beyond doubt, as nearly all are."""
        if len(facts) != len(self.once) + len(self.each) or not self.once <= facts.keys():
            return False
        if not _TEXT.issuperset([facts[key].__class__ for key in self.once]):
            return False
        for key, names in self.each.items():
            rows = facts.get(key)
            if rows.__class__ is not list:
                return False
            for row in rows:
                if row.__class__ is not dict or row.keys() != names:
                    return False
                if not _TEXT.issuperset([value.__class__ for value in row.values()]):
                    return False
        return True

    def _complain(self, facts: Mapping[str, Fact]) -> None:
        _same("facts", facts.keys(), self.once | self.each.keys())
        _all_text("the mail", (facts[key] for key in self.once))
        for key, names in self.each.items():
            for row in _rows(facts, key):
                _same(f"facts of a row of {key}", row.keys(), names)
                _all_text(f"a row of {key}", row.values())


def _same(what: str, given: Iterable[str], wanted: Iterable[str]) -> None:
    if given != wanted:
        missing, surplus = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
        raise MouldError(f"{what}: missing {missing}, surplus {surplus}")


def _all_text(what: str, values: Iterable[object]) -> None:
    if not all(isinstance(value, str) for value in values):
        raise MouldError(f"a fact of {what} is no text")


def _rows(facts: Mapping[str, Fact], key: str) -> Sequence[Mapping[str, str]]:
    rows = facts[key]
    if isinstance(rows, str):
        raise MouldError(f"the fact {key} is no list of rows")
    return rows


class _Known(dict[str, bytes]):
    """What values look like in one kind of place: most mails of an announcement share days, notes and addresses."""

    def __init__(self, kind: Kind) -> None:
        self._write = _WRITE[kind]

    def __missing__(self, value: str) -> bytes:
        if len(self) >= _KEPT:
            self.clear()
        written = self[value] = self._write(value)
        return written


class _Plan:
    """Parts made ready to be filled thousands of times: the literals are one format, and each hole is written once,
    however often it stands there.
    """

    __slots__ = ("_format", "_holes", "_lists", "_order")

    def __init__(self, parts: Sequence[Part]) -> None:
        places = [part for part in parts if not isinstance(part, bytes)]
        holes = [part for part in dict.fromkeys(places) if isinstance(part, Hole)]
        blocks = [part for part in dict.fromkeys(places) if isinstance(part, Each)]
        blocks.sort(key=lambda block: block.name)
        number = {part: n for n, part in enumerate([*holes, *blocks])}
        self._holes = [(_Known(hole.kind), hole.name) for hole in holes]
        self._lists = [
            (name, [_Plan(block.parts) for block in those])
            for name, those in groupby(blocks, key=lambda block: block.name)
        ]
        self._order = [number[part] for part in places]
        literals = (part.replace(b"%", b"%%") if isinstance(part, bytes) else b"%b" for part in parts)
        self._format = b"".join(literals)

    def pour(self, facts: Mapping[str, Any]) -> bytes:
        values = [known[facts[name]] for known, name in self._holes]
        for name, plans in self._lists:
            rows = [{**facts, **row} for row in facts[name]]
            values += [b"".join([plan.pour(row) for row in rows]) for plan in plans]
        return self._format % tuple([values[number] for number in self._order])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mould:
    """One letter for one announcement in one language; pure ASCII, the same for the same input."""

    wanted: Wanted
    parts: tuple[Part, ...]
    _plan: _Plan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_plan", _Plan(self.parts))

    def fill(self, facts: Mapping[str, Fact]) -> bytes:
        """Return the mail of one recipient: CRLF line ends, no dot-stuffing; MouldError for wrong facts."""
        self.wanted.check(facts)
        return self._plan.pour(facts)

    def digest(self) -> str:
        """Return the SHA-256 of the mould as it is stored, in hex."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Return the mould for storage: the same text for the same mould."""
        return json.dumps(
            {
                "once": sorted(self.wanted.once),
                "each": {key: sorted(names) for key, names in sorted(self.wanted.each.items())},
                "parts": _to_plain(self.parts),
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a stored mould back; anything else raises MouldError."""
        try:
            data = json.loads(text)
            wanted = Wanted(
                once=frozenset(data["once"]),
                each={key: frozenset(names) for key, names in data["each"].items()},
            )
            return cls(wanted=wanted, parts=tuple(map(_from_plain, data["parts"])))
        except (AttributeError, KeyError, TypeError, ValueError) as wrong:
            raise MouldError(f"this is no stored mould: {wrong}") from wrong


def _to_plain(parts: Iterable[Part]) -> list[Any]:
    plain: list[Any] = []
    for part in parts:
        if isinstance(part, bytes):
            plain.append(part.decode("ascii"))
        elif isinstance(part, Hole):
            plain.append([part.name, part.kind.value])
        else:
            plain.append({"each": part.name, "parts": _to_plain(part.parts)})
    return plain


def _from_plain(plain: str | list[str] | dict[str, Any]) -> Part:
    if isinstance(plain, dict):
        return Each(plain["each"], tuple(_single(part) for part in plain["parts"]))
    return _single(plain)


def _single(plain: str | list[str]) -> bytes | Hole:
    if isinstance(plain, str):
        return plain.encode("ascii")
    key, kind = plain
    return Hole(key, Kind(kind))


class Marks:
    """Single private-use characters that stand for facts while a letter is written, and find their holes afterwards."""

    def __init__(self, wanted: Wanted) -> None:
        free = map(chr, range(0xE000, 0xF900))
        self.wanted = wanted
        self.once = {key: next(free) for key in sorted(wanted.once)}
        self.rows = {each: {key: next(free) for key in sorted(names)} for each, names in sorted(wanted.each.items())}
        self.starts = {each: next(free) for each in self.rows}
        self.ends = {each: next(free) for each in self.rows}
        self._facts = {mark: key for marks in (self.once, *self.rows.values()) for key, mark in marks.items()}
        self._starts = {mark: each for each, mark in self.starts.items()}
        pairs = (f"{start}.*?{self.ends[each]}" for each, start in self.starts.items())
        self._blocks = re.compile(f"({'|'.join(pairs) or _NEVER})", re.DOTALL)

    def parts(self, text: str, kind: Kind, *, words: frozenset[str] = frozenset()) -> tuple[Part, ...]:
        """Cut marked text into literals, encoded for a place of that kind, and holes.

        The facts in `words` must be of plain characters.  A mark without its fellow, or not ours, raises MouldError.
        """
        parts: list[Part] = []
        for piece in self._blocks.split(text):
            each = self._starts.get(piece[:1])
            if each is not None and piece[-1] == self.ends[each]:
                parts.append(Each(each, tuple(self._holes(piece[1:-1], kind, words))))
            else:
                parts += self._holes(piece, kind, words)
        return tuple(parts)

    def _holes(self, text: str, kind: Kind, words: frozenset[str]) -> Iterator[bytes | Hole]:
        encode = _words if kind is Kind.HEADER else quoted
        for piece in MARK.split(text):
            if piece in self._facts:
                key = self._facts[piece]
                yield Hole(key, Kind.WORD if key in words else kind)
            elif MARK.match(piece) is None:
                if piece:
                    yield encode(piece)
            else:
                raise MouldError(f"the mark U+{ord(piece):04X} stands where it means nothing")
