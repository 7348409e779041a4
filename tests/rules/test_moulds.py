from __future__ import annotations

import quopri
from collections.abc import Mapping
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.rules.moulds import (
    Each,
    Fact,
    Hole,
    Kind,
    Marks,
    Mould,
    MouldError,
    Part,
    Wanted,
    address,
    clean,
    header,
    name,
    plain,
    quoted,
    url,
)

WANTED = Wanted(once=frozenset({"who"}), each={"rows": frozenset({"what"})})
MOULD = Mould(
    wanted=WANTED,
    parts=(
        b"Dear =\r\n",
        Hole("who", Kind.TEXT),
        b"\r\n",
        Each("rows", (b"* =\r\n", Hole("what", Kind.TEXT), b"\r\n")),
    ),
)
FACTS: dict[str, Fact] = {"who": "Zoé", "rows": [{"what": "a"}, {"what": "b"}]}
HOSTILE = [
    "Zoé\r\nBcc: everyone@list.example",
    "=?utf-8?q?=0D=0ABcc:?= everyone@list.example",
    'a"b\\c, d <e@f.example>',
    "\u202ehtlaeH\u202c \x00\x07",
    "\ue000\ue001",
    "مستشفى الشرق",
    "👩‍⚕️" * 40,
    "x" * 1200,
    " \t ",
    "a\u2028b\u2029c\x85d",
    "\ud800",
    "<script>alert(1)</script>&amp;",
    ".",
    "=\n=",
    "trailing ",
]
ANY_TEXT = st.one_of(
    st.text(), st.text(st.characters()), st.sampled_from(HOSTILE), st.text("aé =?.\n\r\t", max_size=300)
)


def decoded(body: bytes) -> str:
    return quopri.decodestring(body).decode().replace("\r\n", "\n")


def longest(data: bytes) -> int:
    return max(map(len, data.split(b"\r\n")))


def unfolded(value: bytes) -> str:
    """Return a header's text as another reader than ours sees it."""
    return str(make_header(decode_header(value.decode().replace("\r\n", ""))))


def test_a_mould_filled_with_the_facts_of_a_recipient_is_its_mail() -> None:
    assert decoded(MOULD.fill(FACTS)) == "Dear Zoé\n* a\n* b\n"


@pytest.mark.parametrize(
    "facts",
    [
        {"rows": []},
        {**FACTS, "more": "x"},
        {**FACTS, "rows": [{"what": "a"}, {}]},
        {**FACTS, "rows": [{"what": "a", "why": "b"}]},
        {**FACTS, "rows": "text"},
        {**FACTS, "who": []},
        {**FACTS, "rows": [{"what": 1}]},
    ],
)
def test_a_fact_too_many_too_few_or_of_the_wrong_shape_is_refused(facts: dict[str, Fact]) -> None:
    with pytest.raises(MouldError):
        MOULD.fill(facts)


def test_a_stored_mould_reads_back_as_itself() -> None:
    again = Mould.from_json(MOULD.to_json())

    assert again == MOULD
    assert again.digest() == MOULD.digest()
    assert MOULD.to_json().isascii()


NAMES = st.sampled_from(["who", "where"])
HOLES = st.builds(Hole, NAMES, st.sampled_from([Kind.TEXT, Kind.HTML, Kind.HEADER, Kind.ICS]))
ROW_HOLES = st.builds(Hole, st.sampled_from(["who", "what"]), st.sampled_from([Kind.TEXT, Kind.HTML]))
LITERALS = st.sampled_from([b"100 %", b"%b %s %(who)s %%", b"=25=\r\n", b"", b"{}"])
BLOCKS = st.builds(Each, st.just("rows"), st.lists(st.one_of(ROW_HOLES, LITERALS), max_size=4).map(tuple))
PARTS = st.lists(st.one_of(LITERALS, HOLES, BLOCKS), max_size=8).map(tuple)


@given(PARTS, ANY_TEXT, ANY_TEXT, st.lists(ANY_TEXT, max_size=3))
def test_a_mould_pours_its_parts_one_after_the_other(
    parts: tuple[Part, ...], who: str, where: str, rows: list[str]
) -> None:
    wanted = Wanted(once=frozenset({"who", "where"}), each={"rows": frozenset({"what"})})
    facts: dict[str, Fact] = {"who": who, "where": where, "rows": [{"what": what} for what in rows]}

    assert Mould(wanted=wanted, parts=parts).fill(facts) == poured(parts, facts)


def poured(parts: tuple[Part, ...], facts: Mapping[str, Any]) -> bytes:
    """Fill parts one at a time, each hole by a mould of its own."""
    filled = b""
    for part in parts:
        if isinstance(part, bytes):
            filled += part
        elif isinstance(part, Hole):
            alone = Mould(wanted=Wanted(once=frozenset({"v"}), each={}), parts=(Hole("v", part.kind),))
            filled += alone.fill({"v": facts[part.name]})
        else:
            filled += b"".join(poured(part.parts, {**facts, **row}) for row in facts[part.name])
    return filled


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"once":[],"each":{},"parts":[["a","no kind"]]}', "null"])
def test_what_is_no_stored_mould_is_refused(text: str) -> None:
    with pytest.raises(MouldError):
        Mould.from_json(text)


@given(st.lists(ANY_TEXT.map(clean)))
def test_pieces_of_quoted_printable_decode_to_the_whole(pieces: list[str]) -> None:
    body = b"".join(map(quoted, pieces))

    assert decoded(body) == "".join(pieces)
    assert longest(body) <= 76
    assert body.isascii()


@given(ANY_TEXT)
@example("a" * 75)
@example("a" * 76)
@example(" ")
def test_a_value_in_text_is_the_cleaned_value(value: str) -> None:
    body = Mould(wanted=Wanted(once=frozenset({"v"}), each={}), parts=(Hole("v", Kind.TEXT),)).fill({"v": value})

    assert decoded(body) == clean(value)
    assert longest(body) <= 76


@given(ANY_TEXT)
def test_a_value_in_html_is_text_and_nothing_else(value: str) -> None:
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(f"{tag} {attrs}")

    body = Mould(wanted=Wanted(once=frozenset({"v"}), each={}), parts=(Hole("v", Kind.HTML),)).fill({"v": value})
    reader = Reader()
    reader.feed(decoded(body))
    reader.close()

    assert seen == []
    assert '"' not in decoded(body)
    assert unescape(decoded(body)) == clean(value)


@given(ANY_TEXT)
def test_clean_text_has_no_controls_and_none_of_our_marks(value: str) -> None:
    cleaned = clean(value)

    assert clean(cleaned) == cleaned
    assert all(character in "\n\t" or character >= " " for character in cleaned)
    assert not any("\ue000" <= character <= "\uf8ff" for character in cleaned)
    cleaned.encode()


@given(ANY_TEXT)
def test_a_name_stands_before_its_address_whatever_it_holds(value: str) -> None:
    raw = b"To:" + name(value) + address("someone@client.example") + b"\r\n"
    [(key, to)] = message_from_bytes(raw, policy=default).items()

    assert key == "To"
    assert [one.addr_spec for one in to.addresses] == ["someone@client.example"]
    assert longest(raw) <= 78


@pytest.mark.parametrize("value", ["Anna O'Neil", 'Anna "Nan" O\\Neil', "Zoé", "名前 " * 40, "", "a, b", "a" * 200])
def test_a_name_reads_back_as_itself(value: str) -> None:
    written = name(value)
    plain_name = written.decode().strip().removeprefix('"').removesuffix('"').replace("\\\\", "\0").replace("\\", "")

    assert (unfolded(written) if b"=?" in written else plain_name.replace("\0", "\\")).strip() == value.strip()


@given(ANY_TEXT)
def test_a_header_stays_one_header_and_reads_back(value: str) -> None:
    raw = b"Subject:" + header(value) + b"\r\n"
    mail = message_from_bytes(raw, policy=default)

    assert mail.keys() == ["Subject"]
    assert longest(raw) <= 998
    words = " ".join(clean(value).replace("=?", "= ?").split())
    assert " ".join(unfolded(header(value)).split()) == words


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a",
        "a@b",
        "a@b.example, c@d.example",
        "a b@c.example",
        "a@b.example>",
        "a@b.example\r\nBcc: c@d.example",
        "é@b.example",
        "a@é.example",
        '"a b"@c.example',
        "a..b@c.example",
        "=?utf-8?q?a?=@c.example",
        "a\x00@c.example",
        f"{'a' * 65}@c.example",
        f"a@{'b.' * 125}example",
        "a@-b.example",
        "a@b.example\n",
    ],
)
def test_an_address_that_is_not_one_plain_address_is_refused(value: str) -> None:
    with pytest.raises(MouldError):
        address(value)


@pytest.mark.parametrize("value", ["", " a", "a ", "a\r\nb", "a=b", "é", "a" * 201, "a\x00"])
def test_a_plain_value_is_refused_when_it_is_not(value: str) -> None:
    with pytest.raises(MouldError):
        plain(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("https://a.example/subscriptions/x-Y_9/end", b"https://a.example/subscriptions/x-Y_9/end"),
        ("http://localhost:8000/x", b"http://localhost:8000/x"),
        ("https://h\u00e9berge.example/\u00e9t\u00e9/x", b"https://xn--hberge-bva.example/%C3%A9t%C3%A9/x"),
        ("https://a.example/x> <y\r\nBcc: b", b"https://a.example/x%3E%20%3CyBcc:%20b"),
    ],
)
def test_an_address_of_the_web_is_written_in_ascii_and_breaks_no_header(value: str, written: bytes) -> None:
    assert url(value) == written


@pytest.mark.parametrize("value", ["", "x", "/x", "ftp://a.example/x", "https:///x", "https://a b.example/x"])
def test_what_is_no_address_of_the_web_is_refused(value: str) -> None:
    with pytest.raises(MouldError):
        url(value)


@given(ANY_TEXT, ANY_TEXT)
def test_marked_text_pours_into_a_mould_that_fills_to_the_whole(around: str, value: str) -> None:
    marks = Marks(WANTED)
    who, what = marks.once["who"], marks.rows["rows"]["what"]
    start, end = marks.starts["rows"], marks.ends["rows"]
    text = clean(around)
    marked = f"{text}{who}{text}{start}{text}{what}\n{end}{text}"

    mould = Mould(wanted=WANTED, parts=marks.parts(marked, Kind.TEXT))

    rows = "".join(f"{text}{clean(one)}\n" for one in (value, "b"))
    filled = mould.fill({"who": value, "rows": [{"what": value}, {"what": "b"}]})
    assert decoded(filled) == f"{text}{clean(value)}{text}{rows}{text}"


def test_marks_without_their_fellow_are_refused() -> None:
    marks = Marks(WANTED)

    for text in (marks.starts["rows"], marks.ends["rows"], f"{marks.ends['rows']}{marks.starts['rows']}", "\uf8ff"):
        with pytest.raises(MouldError):
            marks.parts(text, Kind.TEXT)
