"""Lists of subprocessors in the pages that publish them: tables, and bullets under a heading or a sentence.

Markdown is made HTML that remembers its lines, so that there is one reader of structure. Front matter, imports,
components and prose are not the list; what looks like a list and is not taken for one is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import MappingProxyType

from markdown_it import MarkdownIt

from notifier.adapters.cells import areas, one_line, written
from notifier.adapters.remarks import Remark, remark
from notifier.adapters.tables import MOST_COLUMNS, MOST_ROWS, Row, Table, Unreadable
from notifier.rules.entries import Place

DEEPEST = 10  # lists inside lists; what lies deeper is not looked at
LONGEST_NAME = 80
LONGEST_SENTENCE = 500  # of those that may say where all of what follows is
MOST_WORDS = 8  # of a name that nothing sets apart
MOST_LINES = 10 * MOST_ROWS
MOST_SPAN = 1_000  # rows that one cell covers
TITLE_ROWS = 4  # how far down the headings of a table may stand

ABOUT_SUBPROCESSORS = re.compile(
    r"sub-?\s?processors?|sub-?\s?contractors?|sous-?\s?traitant|third[- ]part(?:y|ies)"
    r"|vendors?\b|suppliers?\b|providers?\b|prestataires?\b|fournisseurs?\b|hébergeurs?\b|tiers\b",
    re.IGNORECASE,
)
ABOUT_OTHERS = re.compile(r"\b(?:customers?|clients?|users?|utilisat\w+|visitors?|residents?)\b", re.IGNORECASE)
PLAIN_WORDS = re.compile(
    r"\b(?:(?:data |our |nos |list of |liste des )?(?:sub-?\s?processors?|sous-?\s?traitants?)"
    r"|located|based|hosted|situés?|établis)\b",
    re.IGNORECASE,
)
SEPARATORS = r"\s*(?::|\.(?=\s|$)|,|;|\||[–—-](?=\s|$))\s*"
# Another number of a note does not make another name.
FOOTNOTES = re.compile(r"<sup\b[^<>]*>(?:<a\b[^<>]*>)?[^<>\n]{0,20}(?:</a>)?</sup>|\[\^[\w-]{1,40}\]", re.IGNORECASE)
SILENT = frozenset(["script", "style", "template", "noscript", "svg", "nav", "textarea", "select"])
BLOCKS = frozenset(
    ["p", "div", "section", "article", "header", "footer", "main", "aside", "blockquote", "pre", "dl", "dt", "dd", "hr"]
)
HEADINGS: Mapping[str, int] = MappingProxyType({"title": 0, **{f"h{level}": level for level in range(1, 7)}})


def from_markdown(text: str, field_of: Callable[[str], str]) -> tuple[tuple[Table, ...], tuple[Remark, ...]]:
    """The tables and lists of a Markdown or MDX text; `field_of` gives the field of a heading, or ""."""
    _refuse_long(text)
    prose, title = _without_code(text)
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table").disable(["code", "reference"])
    tokens = markdown.parse(prose)
    for token in tokens:
        if token.map and token.nesting == 1:
            token.attrSet("data-line", str(token.map[0] + 1))
        elif token.map and token.type == "html_block":
            token.content = f"<!--line {token.map[0] + 1}-->{token.content}"
    return _found(markdown.renderer.render(tokens, markdown.options, {}), field_of, title)


def from_html(text: str, field_of: Callable[[str], str]) -> tuple[tuple[Table, ...], tuple[Remark, ...]]:
    _refuse_long(text)
    return _found(_without_comments(text), field_of, "")


def _refuse_long(text: str) -> None:
    if text.count("\n") > MOST_LINES:
        raise Unreadable(0, "too_many_rows", limit=MOST_ROWS)


def _without_comments(text: str) -> str:
    """The text with each comment reduced to its line ends, in one pass however many are never closed."""
    kept, place = [], 0
    while (start := text.find("<!--", place)) >= 0:
        end = text.find("-->", start)
        end = len(text) if end < 0 else end + 3
        kept += [text[place:start], "\n" * text.count("\n", start, end)]
        place = end
    return "".join((*kept, text[place:]))


# --- what of a Markdown file is no Markdown --------------------------------------------------------------------------


def _without_code(text: str) -> tuple[str, str]:
    """The text with an empty line for each line of front matter, imports and lone tags, and the title it states."""
    lines = re.split(r"\r\n|\r|\n", text)
    title = _blank_front_matter(lines)
    _blank(lines, r"(import|export)\s+[\w{*'\"]", until=r"^\s*$|;\s*$|from\s+['\"][^'\"]*['\"]\s*$|^\}")
    _blank(lines, r"\s*\{?/\*|\s*<!--", until=r"\*/|-->")
    _blank(lines, r"\s*</?[A-Z][\w.]*(?:\s[^>]*)?$", until=r">\s*$")
    for index, line in enumerate(lines):
        if re.fullmatch(r"\s*(?:</?(?!(?i:table|thead|tbody|tr|t[dh]|[ou]l|li)\b)[A-Za-z][^<>|]*>\s*)+", line):
            lines[index] = ""
    return re.sub(r"\{/\*[^{}\n]*\*/\}", "", "\n".join(lines)), title


def _blank_front_matter(lines: list[str]) -> str:
    mark = lines[0].lstrip("\ufeff").rstrip()
    if mark not in {"---", "+++"}:
        return ""
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == mark), 0)
    title = next((line for line in lines[1:end] if re.match(r"title\s*[:=]", line)), "")
    lines[: end + 1] = [""] * (end + 1) if end else [""]
    return re.sub(r"title\s*[:=]\s*", "", title).strip(" \"'")


def _blank(lines: list[str], start: str, *, until: str) -> None:
    inside = False
    for index, line in enumerate(lines):
        if inside or re.match(start, line):
            lines[index] = ""
            inside = not re.search(until, line)


# --- structure -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Words:
    """Text as it comes in, with the link or the bold words that it begins with."""

    line: int
    parts: list[str] = field(default_factory=list)
    link: str = ""
    lead: str = ""

    @property
    def text(self) -> str:
        return "\n".join(filter(None, map(one_line, "".join(self.parts).split("\n"))))

    def set_apart(self) -> None:
        self.lead = self.lead or one_line("".join(self.parts))


@dataclass(slots=True)
class _Item:
    words: _Words
    children: list[_Item] = field(default_factory=list)


@dataclass(slots=True)
class _About:
    """What stands above a table or a list: its sentence or else its heading, and the headings above that."""

    sentence: str
    heading: str
    above: tuple[str, ...]

    @property
    def is_told(self) -> bool:
        """Whether what stands directly above says that these are subprocessors."""
        nearest = self.sentence if self.sentence.endswith(":") or not self.heading else self.heading
        said = " ".join((self.sentence, "" if self.sentence.endswith(":") else self.heading))
        return bool(ABOUT_SUBPROCESSORS.search(said) or _places_of(nearest))

    @property
    def is_possible(self) -> bool:
        """Whether nothing speaks against it, on a page that is about subprocessors."""
        return not self.sentence.endswith(":") and any(map(ABOUT_SUBPROCESSORS.search, self.above))

    @property
    def places(self) -> tuple[Place, ...]:
        return _places_of(self.sentence) or _places_of(self.heading)


class _Page(HTMLParser):
    """The tables and lists of a page, each with what stands above it."""

    def __init__(self, title: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[_Grid] = []
        self.lists: list[tuple[_About, list[_Item]]] = []
        self._headings: dict[int, str] = {0: title}
        self._sentence = ""
        self._first_line = 0  # of the piece of source that is being read, less the line where it stands in what is read
        self._line = 1
        self._silent = ""
        self._words: _Words | None = None  # of a paragraph, a heading, a cell or an item
        self._linked: list[bool] = []
        self._open_lists: list[list[_Item]] = []
        self._items: list[_Item] = []
        self._grid: _Grid | None = None

    def handle_comment(self, data: str) -> None:
        if line := re.fullmatch(r"line ([0-9]{1,7})", data):
            self._first_line = int(line[1]) - self.getpos()[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self._line = self._first_line + self.getpos()[0]
        if re.fullmatch(r"[0-9]{1,7}", said.get("data-line", "")):
            self._line = int(said["data-line"])
            self._first_line = self._line - self.getpos()[0]
        if tag in SILENT:
            self._silent = self._silent or tag
        elif tag in {"a", "strong", "b"}:
            self._begin_lead(tag, said.get("href", ""))
        elif tag == "br":
            self.handle_data("\n")
        elif self._grid is not None or tag == "table":
            self._begin_in_table(tag, said)
        elif tag in {"ul", "ol"}:
            self._begin_list()
        elif tag == "li":
            self._begin_item()
        elif tag in HEADINGS:
            self._end_sentence()
            self._words = _Words(self._line)
        elif tag in BLOCKS:
            self._end_sentence()

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = ""
        elif tag in {"a", "strong", "b"}:
            self._end_lead()
        elif self._grid is not None:
            self._end_in_table(tag)
        elif tag in {"ul", "ol"}:
            self._end_list()
        elif tag == "li":
            self._end_item()
        elif tag in HEADINGS and not self._open_lists:
            level = HEADINGS[tag]
            self._headings = {other: text for other, text in self._headings.items() if other < level}
            self._headings[level] = one_line(self._words.text) if self._words else ""
            self._words, self._sentence = None, ""
        elif tag in BLOCKS:
            self._end_sentence()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._words is None:
            if not data.strip() or (self._grid is not None):
                return
            self._words = _Words(self._line)
        self._words.parts.append(data)

    def close(self) -> None:
        super().close()
        if self._grid is not None:
            self._end_in_table("table")
        while self._open_lists:
            self._end_list()

    def _begin_lead(self, tag: str, href: str) -> None:
        if self._words is None and self._grid is None:
            self._words = _Words(self._line)
        first = self._words is not None and not "".join(self._words.parts).strip()
        self._linked.append(first)
        if self._words is not None and first and tag == "a":
            self._words.link = self._words.link or href

    def _end_lead(self) -> None:
        if self._linked and self._linked.pop() and self._words is not None:
            self._words.set_apart()

    def _end_sentence(self) -> None:
        """A paragraph has ended, of the page or inside an item."""
        if self._items:
            self.handle_data("\n")
        elif self._words is not None and (text := one_line(self._words.text)):
            self._sentence, self._words = text, None

    def _about(self) -> _About:
        self._end_sentence()
        told = [text for _, text in sorted(self._headings.items()) if text]
        about = _About(self._sentence, told[-1] if told else "", tuple(told))
        self._sentence = ""
        return about

    # lists

    def _begin_list(self) -> None:
        if not self._open_lists:
            self.lists.append((self._about(), []))
            self._open_lists.append(self.lists[-1][1])
        elif self._items:
            self._open_lists.append(self._items[-1].children)
        else:
            self._open_lists.append(self._open_lists[-1])
        self._words = None

    def _begin_item(self) -> None:
        if not self._open_lists:
            return
        if len(self._items) >= len(self._open_lists):  # HTML lets an item end where the next begins
            self._end_item()
        self._words = _Words(self._line)
        item = _Item(self._words)
        if len(self._open_lists) <= DEEPEST:
            self._open_lists[-1].append(item)
        self._items.append(item)

    def _end_item(self) -> None:
        if self._items:
            self._items.pop()
            self._words = self._items[-1].words if self._items else None

    def _end_list(self) -> None:
        if not self._open_lists:
            return
        while len(self._items) >= len(self._open_lists):
            self._end_item()
        self._open_lists.pop()
        self._words = self._items[-1].words if self._items else None

    # tables

    def _begin_in_table(self, tag: str, said: Mapping[str, str]) -> None:
        if self._grid is None:
            about = self._about() if not self._items else _About("", "", ())
            self._grid = _Grid(about, self._line)
        elif tag == "table":
            self._grid.inner += 1
        elif self._grid.inner:
            return
        elif tag == "tr":
            self._grid.begin_row(self._line)
        elif tag in {"td", "th"}:
            self._words = self._grid.begin_cell(self._line, said)
        elif tag == "caption":
            self._words = _Words(self._line)
        elif tag in {"li", "p", "div"}:
            self.handle_data("\n")

    def _end_in_table(self, tag: str) -> None:
        grid = self._grid
        if grid is None:
            return
        if tag == "table" and grid.inner:
            grid.inner -= 1
        elif tag == "table":
            self.tables.append(grid)
            self._grid, self._words = None, self._items[-1].words if self._items else None
        elif tag == "caption" and self._words is not None:
            grid.caption, self._words = one_line(self._words.text), None
        elif tag in {"td", "th", "tr"} and not grid.inner:
            self._words = None


@dataclass(slots=True)
class _Grid:
    """The cells of one table, those that cover several rows or columns being told once for each row."""

    about: _About
    line: int
    caption: str = ""
    inner: int = 0  # tables inside this one, whose words are those of the cell
    lines: list[tuple[int, list[_Words]]] = field(default_factory=list)
    spans: dict[int, tuple[int, _Words]] = field(default_factory=dict)  # column → rows that its cell still covers
    titles: set[int] = field(default_factory=set)  # rows of one cell that covers several columns

    def begin_row(self, line: int) -> None:
        if len(self.lines) > MOST_ROWS:
            raise Unreadable(line, "too_many_rows", limit=MOST_ROWS)
        self.lines.append((line, []))

    def begin_cell(self, line: int, said: Mapping[str, str]) -> _Words:
        if not self.lines:
            self.begin_row(line)
        cells, words = self.lines[-1][1], _Words(line)
        self._cover(cells)
        wide, high = (_number(said.get(name, "")) for name in ("colspan", "rowspan"))
        if wide > 1 and not cells:
            self.titles.add(len(self.lines) - 1)
        else:
            self.titles.discard(len(self.lines) - 1)
        for _ in range(min(wide, MOST_COLUMNS)):
            if len(cells) >= MOST_COLUMNS:
                raise Unreadable(line, "too_many_columns", found=len(cells) + 1, limit=MOST_COLUMNS)
            if high > 1:
                self.spans[len(cells)] = (min(high, MOST_SPAN) - 1, words)
            cells.append(words)
            words = words if wide == 1 else _Words(line)
        return cells[-min(wide, MOST_COLUMNS)]

    def rows(self) -> list[tuple[Row, bool]]:
        """The rows, each with whether it is only a title across the table."""
        for _, cells in self.lines[-1:]:
            self._cover(cells)
        return [
            (
                Row(
                    line,
                    tuple(words.text for words in cells),
                    {column: words.link for column, words in enumerate(cells) if words.link},
                ),
                number in self.titles,
            )
            for number, (line, cells) in enumerate(self.lines)
            if cells
        ]

    def _cover(self, cells: list[_Words]) -> None:
        while (column := len(cells)) in self.spans:
            left, words = self.spans.pop(column)
            if left > 1:
                self.spans[column] = (left - 1, words)
            cells.append(words)


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,4}", text) else 1


# --- what of it is a list of subprocessors ---------------------------------------------------------------------------


def _found(html: str, field_of: Callable[[str], str], title: str) -> tuple[tuple[Table, ...], tuple[Remark, ...]]:
    page = _Page(title)
    page.feed(FOOTNOTES.sub("", html))
    page.close()
    tables, skipped = [], []
    for grid in page.tables:
        rows = grid.rows()
        head = _head([row for row, _ in rows[:TITLE_ROWS]], field_of)
        if head is None:
            skipped += [_skipped(row, "list_skipped") for row, _ in rows[:1]]
            continue
        below = rows[head + 1 :]
        tables.append(
            Table(
                line=rows[head][0].number,
                headings=rows[head][0].cells,
                rows=tuple(row for row, is_title in below if not is_title),
                places=_places_of(grid.caption) or grid.about.places,
            )
        )
        skipped += [_skipped(row, "title_skipped") for row, is_title in below if is_title and any(row.cells)]
    for about, items in page.lists:
        table, left_out = _listed(about, items, field_of)
        tables += [table] if table else []
        skipped += left_out
    return tuple(tables), tuple(skipped)


def _head(rows: list[Row], field_of: Callable[[str], str]) -> int | None:
    """Which of the first rows is that of the headings: the one in which most are known, the name among them."""
    known = [list(filter(None, map(field_of, row.cells))) for row in rows]
    return max((n for n, names in enumerate(known) if "name" in names), key=lambda n: len(known[n]), default=None)


def _skipped(row: Row, code: str) -> Remark:
    return remark(row.number, "", code, value=one_line(" ".join(row.cells)))


def _listed(about: _About, items: list[_Item], field_of: Callable[[str], str]) -> tuple[Table | None, list[Remark]]:
    """The list as a table, if half of its bullets at least are shaped as a name and what is said of it."""
    records = [
        (item.words, _form(item, field_of) or _record(item, places, about.is_told))
        for item, places in _ungrouped(items, ())
    ]
    found = [record for _, record in records if record]
    if not found or not (about.is_told or about.is_possible) or 2 * len(found) < len(records):
        first = next((words for words, _ in records if words.text), None)
        told = first is not None and any(map(ABOUT_SUBPROCESSORS.search, about.above))
        return None, [remark(first.line, "", "list_skipped", value=one_line(first.text))] if first and told else []
    headings = tuple(dict.fromkeys(heading for record in found for heading in record.cells))
    rows = [
        Row(record.line, tuple(record.cells.get(heading, "") for heading in headings), {0: record.link})
        for record in found
    ]
    odd = [words for words, record in records if not record and words.text]
    skipped = [remark(words.line, "", "item_skipped", value=one_line(words.text)) for words in odd]
    untold = [words for record in found for words in record.odd]
    skipped += [remark(words.line, "", "bullet_skipped", value=one_line(words.text)) for words in untold]
    return Table(line=0, headings=headings, rows=tuple(rows), places=about.places), skipped


def _ungrouped(items: list[_Item], places: tuple[Place, ...]) -> Iterator[tuple[_Item, tuple[Place, ...]]]:
    """The bullets, those that only name a country giving way to the bullets below them."""
    for item in items:
        where = _places_of(item.words.text) if item.children else ()
        if where:
            yield from _ungrouped(item.children, where)
        else:
            yield item, places


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    cells: dict[str, str]  # heading, or the name of a field → text
    link: str
    odd: tuple[_Words, ...]  # bullets of its own that do not say what they tell


def _form(item: _Item, field_of: Callable[[str], str]) -> _Record | None:
    """One bullet of labelled lines that begin with its name, as in annex III of the standard contractual clauses."""
    cells: dict[str, str] = {}
    for line in item.words.text.split("\n"):
        label, colon, value = map(str.strip, line.partition(":"))
        if not cells and not (colon and value and field_of(label) == "name"):
            return None
        if colon:
            cells["name" if not cells else label] = value
        else:
            cells[list(cells)[-1]] += f" {line}"
    return _with_its_bullets(item, cells)


def _record(item: _Item, places: tuple[Place, ...], is_told: bool) -> _Record | None:  # noqa: FBT001 - as _About says
    """One bullet: its name, what stands after it, and bullets of its own such as "Location: Ireland"."""
    text, lead = one_line(item.words.text), item.words.lead.rstrip(":.,– —-")
    if lead and text.startswith(lead):
        rest = text[len(lead) :]
        if not is_told and not (rest == "" or re.match(rf"{SEPARATORS}|\s*\(", rest)):
            return None
        name = lead
    else:
        name, rest = _name_and_rest(text)
    if not name or len(name) > LONGEST_NAME:
        return None
    cells = {"name": name}
    what, where = _what_and_where(re.sub(rf"^(?:{SEPARATORS})+", "", rest).strip())
    cells |= {"activities": what} if what else {}
    cells |= {"places": where or written("places", places)} if where or places else {}
    return _with_its_bullets(item, cells)


def _with_its_bullets(item: _Item, cells: dict[str, str]) -> _Record:
    odd = []
    for child in item.children:
        label, colon, value = (part.strip() for part in one_line(child.words.text).partition(":"))
        value = value or "; ".join(one_line(below.words.text) for below in child.children)  # one bullet for each value
        if label and value and (colon or child.children):
            cells[label] = value
        else:
            odd.append(child.words)
    return _Record(item.words.line, cells, item.words.link, tuple(words for words in odd if words.text))


def _name_and_rest(text: str) -> tuple[str, str]:
    mark = re.search(r":\s| [–—-] | \(|\t", text) or re.search(r"\.\s", text)
    name = text[: mark.start()] if mark else text.removesuffix(".")
    if len(name.split()) > MOST_WORDS or not name[:1].isalnum():
        return "", ""
    if mark is None and text.endswith(".") and len(name.split()) > MOST_WORDS // 2:
        return "", ""
    return name, text[mark.start() :] if mark else ""


def _what_and_where(rest: str) -> tuple[str, str]:
    """What a bullet says after the name: what it does, and where, if it ends with countries or areas alone."""
    rest = rest.removesuffix(".").strip()
    first = re.fullmatch(rf"\(([^()]*)\){SEPARATORS}(\S.*)", rest)
    if first and (where := areas(first[1].strip())):  # "(United States): hosting"
        return first[2], written("places", where)
    for ends in (r"(.*?)\s*\(([^()]*)\)", r"(.*?)(?:^|\s[–—|-]\s|;\s?)\s*([^–—|;]*)"):
        if (parts := re.fullmatch(ends, rest)) and (where := areas(parts[2].strip())):
            return parts[1].rstrip(" .,;:–—|-"), written("places", where)
    return rest[1:-1] if re.fullmatch(r"\([^()]*\)", rest) else rest, ""


def _places_of(text: str) -> tuple[Place, ...]:
    """The countries or areas in which, after a heading or a sentence, all of what follows is."""
    text = one_line(text).rstrip(" :.")
    if len(text) > LONGEST_SENTENCE or ABOUT_OTHERS.search(text):
        return ()
    if found := areas(PLAIN_WORDS.sub("", text).strip()):
        return found
    last = re.split(r"(?<=[.!?])\s", text)[-1]
    for mark in re.finditer(r"\b(?:in|within|en|au|aux|dans|à)\s", last):
        if found := areas(last[mark.end() :]):
            return found
    return ()
