"""The structure of a mail that a stranger wrote: headers and parts in order, under caps of size, depth and number.

Parts are cut here and not by the email package, which recurses as deep as the mail says and reads as many parts as it
names. Text is always `str`; what cannot be decoded becomes U+FFFD.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import email.header
import html
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from itertools import islice
from typing import Final

from notifier.rules.bounces import MOST_BYTES

DEEPEST: Final = 20
MOST_PARTS: Final = 200
MOST_HEAD: Final = 200_000  # bytes of the headers of one part
MOST_TEXT: Final = 100_000  # characters of one part
MOST_VALUE: Final = 10_000  # characters of one header
MOST_ADDRESSES: Final = 500  # taken from one text

# dot-atom and what phone companies allow besides (dots anywhere); bounded, so that no text takes long.
ADDRESS: Final = re.compile(
    r"(?<![\w!#$%&'*+/=?^`{|}~.@-])([\w!#$%&'*+/=?^`{|}~.-]{1,128}@[^\W_](?:[\w.-]{0,252}[^\W_])?)(?![\w@])"
)
CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
READABLE_CHARSET: Final = re.compile(
    r"(utf-?8|us-ascii|ascii|latin-?1|iso-8859-\d+|windows-12\d\d|cp12\d\d|koi8-[ru]|iso-2022-[a-z0-9-]+|shift.?jis|"
    r"sjis|cp932|euc-(?:jp|kr)|gb2312|gbk|gb18030|big5|ks_c_5601-1987|tis-620)"
)
_HEADER_LINE: Final = re.compile(r"([\x21-\x39\x3b-\x7e]{1,100}):[ \t]*(.*)")
_PARAMETER: Final = r'\b{name}\*?\s*=\s*(?:"([^"\n]{{1,200}})"|([^;\s"]{{1,200}}))'
_BOUNDARY: Final = re.compile(_PARAMETER.format(name="boundary"), re.IGNORECASE)
_CHARSET: Final = re.compile(_PARAMETER.format(name="charset"), re.IGNORECASE)
_KIND: Final = re.compile(r"\s*([\w.+-]{1,60}/[\w.+-]{1,60})")
_GUESSED_BOUNDARY: Final = re.compile(rb"\A[^\n]{0,200}\n{0,3}--([^\n]{3,70})\n[Cc]ontent-[Tt]ype:")
_INVISIBLE: Final = ("head", "style", "script", "title")
_LINE_BREAK: Final = re.compile(r"<(?:br|/p|/tr|/div|/li|/h\d|/td|/pre)\b[^<>]{0,200}>", re.IGNORECASE)
_TAG: Final = re.compile(r"<(?![^<>\s]{1,128}@)[!/?a-zA-Z][^<>]{0,2000}>")


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of a mail or part, unfolded, in order."""

    pairs: tuple[tuple[str, str], ...] = ()

    def all(self, *names: str) -> tuple[str, ...]:
        """Every value of these headers, names in lower case, in the order of the names."""
        return tuple(value for name in names for known, value in self.pairs if known == name)

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf, or an attached mail with its own headers."""

    kind: str
    """Such as `text/plain`, in lower case."""
    headers: Headers
    """Its own; of an attached mail (`message/rfc822`, `text/rfc822-headers`) those of that mail."""
    text: str
    level: int
    """How many mails it lies within: 0 in the mail that came."""


@dataclass(slots=True)
class _Cutting:
    parts: list[Part] = field(default_factory=list)
    seen: int = 0


def open_mail(data: bytes) -> tuple[Headers, list[Part]]:
    """The headers of a mail and its parts in order. CR, LF and CRLF all end a line, also mixed."""
    plain = with_plain_lines(data[:MOST_BYTES]).replace(b"\0", b"").lstrip(b"\n \t")
    if plain.startswith((b"From ", b">From ")):  # an mbox begins each mail with this line; the first one is read
        plain = re.split(rb"\n\nFrom [^\n]{0,200}\d{4}\n", plain.partition(b"\n")[2], maxsplit=1)[0]
    head, body = _split(plain)
    cutting = _Cutting()
    _cut(cutting, head, body, depth=0, level=0)
    return head, cutting.parts


def with_plain_lines(data: bytes) -> bytes:
    """With LF in the place of CRLF and CR, and of the CR CR LF that some gateways make."""
    return data.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def read_headers(text: str) -> Headers:
    """The headers at the beginning of a text."""
    pairs: list[tuple[str, list[str]]] = []
    for line in text[:MOST_HEAD].split("\n"):
        found = _HEADER_LINE.match(line)
        if line[:1] in (" ", "\t") or not found:  # a folded line, or one that lost its indent in transit
            if pairs:
                pairs[-1][1].append(line.strip())
            continue
        pairs.append((found[1].lower(), [found[2]]))
    return Headers(tuple((name, _value(" ".join(lines))) for name, lines in pairs))


def clean(text: str, most: int = 500) -> str:
    """On one line, without control characters, cut."""
    return " ".join(CONTROL.sub(" ", text[: most * 8]).split())[:most]


def addresses(text: str) -> list[str]:
    """Each addr-spec in a text once, in order."""
    found = (plain_address(one[1]) for one in ADDRESS.finditer(text))
    return list(dict.fromkeys(one for one in islice(found, MOST_ADDRESSES) if not one.startswith("@")))


def plain_address(found: str) -> str:
    """Without the quotes and the prefixes that some systems set before an address."""
    return re.sub(r"^(?:(?:smtp|rfc822|mailto|to|for)=|[/='`]+)", "", found.strip("'`"), flags=re.IGNORECASE)


def without_markup(text: str) -> str:
    """What a browser would show of HTML, roughly."""
    for name in _INVISIBLE:
        text = _without_element(text, name)
    seen = _TAG.sub("", _LINE_BREAK.sub("\n", text))
    return re.sub(r"\n\s*\n\s*", "\n\n", html.unescape(seen))


def _without_element(text: str, name: str) -> str:
    kept, low, start = [], text.lower(), 0
    while 0 <= (at := low.find(f"<{name}", start)) < (end := low.find(f"</{name}", at)):
        kept.append(text[start:at])
        start = end + len(name) + 2
    return "".join([*kept, text[start:]])


def _split(data: bytes) -> tuple[Headers, bytes]:
    head, _, body = (b"", b"", data[1:]) if data.startswith(b"\n") else data.partition(b"\n\n")
    return read_headers(_text(head[:MOST_HEAD], "utf-8")), body


def _cut(cutting: _Cutting, headers: Headers, body: bytes, *, depth: int, level: int) -> None:
    cutting.seen += 1
    if depth > DEEPEST or cutting.seen > MOST_PARTS:
        return
    content_type = headers.get("content-type")
    kind = _kind(content_type)
    pieces = list(_pieces(content_type, kind, body))
    for piece in pieces:
        _cut(cutting, *_split(piece), depth=depth + 1, level=level)
    if pieces:
        return
    if kind == "message/rfc822":
        inner, inside = _split(_decoded(headers, body).lstrip(b"\n"))
        cutting.parts.append(Part(kind, inner, _text(inside[:MOST_TEXT], "utf-8"), level))
        _cut(cutting, inner, inside, depth=depth + 1, level=level + 1)
        return
    if kind.startswith(("text/", "message/", "multipart/")):
        text = _text(_decoded(headers, body[: 2 * MOST_TEXT]), _found(_CHARSET, content_type))[:MOST_TEXT]
        own = read_headers(text) if kind in ("text/rfc822-headers", "message/partial") else headers
        cutting.parts.append(Part(kind, own, without_markup(text) if kind == "text/html" else text, level))


def _pieces(content_type: str, kind: str, body: bytes) -> Iterator[bytes]:
    """What lies between the boundaries of a multipart, with a preamble that is more than a remark."""
    if not kind.startswith("multipart/"):
        return
    boundary = _found(_BOUNDARY, content_type).encode("utf-8", "replace")
    if not boundary or b"--" + boundary not in body:
        guessed = _GUESSED_BOUNDARY.search(body[:2000])
        boundary = guessed[1].rstrip() if guessed else b""
    if not boundary:
        return
    # The parts are counted everywhere: a mail of a hundred thousand of them costs no more than one of two hundred.
    line = re.compile(rb"^--" + re.escape(boundary) + rb"(?:--)?[ \t]*\n?", re.MULTILINE)
    _, *pieces = line.split(body, maxsplit=MOST_PARTS + 1)
    yield from pieces


def _kind(content_type: str) -> str:
    found = _KIND.match(content_type)
    return found[1].lower() if found else "text/plain"


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return (found[1] or found[2] or "").strip() if found else ""


def _decoded(headers: Headers, body: bytes) -> bytes:
    encoding = headers.get("content-transfer-encoding").strip().lower()
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    if encoding == "base64":
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
        try:
            return base64.b64decode(letters[: len(letters) // 4 * 4])
        except binascii.Error:  # pragma: no cover - only whole groups of the alphabet are left
            return body
    return body


def _text(data: bytes, charset: str) -> str:
    """In its charset where that is one for mail (others can be slow, or no texts at all), else UTF-8 or Latin-1."""
    known = charset.lower()
    if READABLE_CHARSET.fullmatch(known) and known not in ("us-ascii", "ascii"):
        try:
            return data.decode(codecs.lookup(known).name, "replace")
        except (LookupError, UnicodeError):
            pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace") if b"\x1b$" in data else data.decode("latin-1")


def _value(raw: str) -> str:
    """A header's value with its encoded words (RFC 2047) read."""
    value = raw[:MOST_VALUE].strip()
    if "=?" not in value:
        return value
    try:
        pieces = email.header.decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(_text(one, charset or "") if isinstance(one, bytes) else one for one, charset in pieces)
