"""Letters: the name of a letter, a language and what is announced become a mould (Jinja, css-inline, MIME).

A letter is a folder `email/<letter>/<language>/` with subject.txt, body.txt and body.html.  A letter whose entities
have an `ics_uid` has a calendar.txt too: its first line is the summary of an event, the rest its description; where it
comes out empty there is no calendar.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from textwrap import fill
from types import MappingProxyType
from typing import Any, TypeAlias

from css_inline import CSSInliner
from icalendar import Alarm, Calendar, Component, Event
from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
    UndefinedError,
    pass_eval_context,
    select_autoescape,
)
from jinja2.nodes import EvalContext
from markupsafe import Markup

from notifier.rules.moulds import (
    COMMENTED_MARK,
    MARK,
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
)

_EVERY_MAIL = frozenset({"to_name", "to_address", "date", "message_id"})


def _wanted(*once: str, **lists: Sequence[str]) -> Wanted:
    return Wanted(once=_EVERY_MAIL.union(once), each={key: frozenset(names) for key, names in lists.items()})


UNSUBSCRIBE = "unsubscribe"  # the address that ends such mails at one post: a letter that has it has the headers too
# The facts of one recipient; everything else about a letter is the same for all and comes in its context.
LETTERS: Mapping[str, Wanted] = MappingProxyType(
    {
        "notice": _wanted(
            "link",
            entities=("company", "last_day", "rule_note", "ics_date", "ics_uid"),  # those with a last day
            told=("company", "rule_note"),  # those that are told, and have none
            courtesy=("company", "rule_note"),  # those whose notice comes by registered letter
            forwards=("company", "forward_note"),  # those that pass it on
            concerned=("company", "rule_note"),  # those whom not every change concerns, with why this does
        ),
        "receipt": _wanted("link", "reference", "answered_at", "signed_name", entities=("company",)),
        "objection": _wanted("link", "reference", "answered_at", "signed_name", "company", "reasons"),
        "later_last_day": _wanted("link", entities=("company", "old_last_day", "last_day")),
        "postponed": _wanted("link", entities=("company",)),
        "withdrawn": _wanted("link", entities=("company",)),
        "breach": _wanted("link", entities=("company", "note")),
        "reminder": _wanted("link", entities=("company", "last_day")),
        "closing": _wanted("link", entities=("company", "last_day", "standing")),
        "bounced": _wanted("link", "company", "returned_from", "returned_at", "why", "then"),
        "sign_in": _wanted("link", "valid_until"),
        "subscription_confirm": _wanted("link", "valid_until"),
        "subscription_news": _wanted(UNSUBSCRIBE),
    }
)
_HEADERS = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Content-Language",
    "MIME-Version",
    "Content-Type",
)
_HEADERS_TO_UNSUBSCRIBE = ("List-Unsubscribe", "List-Unsubscribe-Post")
_SOME_DAY = date(9999, 9, 9)  # stands for each entity's day until the calendar is written


class UnknownLetter(LookupError):
    """There is no such letter, or not in that language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterHead:
    """Who writes: the From name and address, where replies go, and the domain of our Message-IDs."""

    name: str
    address: str
    reply_to: str
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that goes with a letter, the same for all who receive it."""

    filename: str
    content_type: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """A letter written out: its subject on one line, and two bodies that end in a newline."""

    subject: str
    text: str
    html: str


WriteRow: TypeAlias = Callable[[Mapping[str, str]], str]
# (name of a list, what writes one row, how a mark is written between rows) → the pieces that stand for all its rows
Rows: TypeAlias = Callable[[str, WriteRow, Callable[[str], str]], Sequence[str]]


class LetterPress:
    """Writes the letters in the folders of `search_path`; the first folder that has a file wins."""

    def __init__(self, search_path: Sequence[Path]) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(search_path),
            autoescape=select_autoescape(enabled_extensions=("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            cache_size=-1,
            auto_reload=False,  # `generation` does it for all of them together
        )
        self._generation = 0
        self._templates.filters["wrap"] = _wrap
        self._templates.filters["hang"] = _hang
        self._inliner = CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)

    @property
    def generation(self) -> int:
        """A number that grows whenever a file has changed that a template was read from: what was written before that
        is out of date.
        """
        read = self._templates.cache or {}
        if not all(template.is_up_to_date for template in list(read.values())):
            self._generation += 1
            read.clear()
        return self._generation

    def mould(
        self,
        letter: str,
        language: str,
        context: Mapping[str, object],
        *,
        envelope: LetterHead,
        attachments: Sequence[Attachment] = (),
    ) -> Mould:
        """Return the mould of a letter; the context is what all its recipients share.

        UnknownLetter for a letter or language without templates, jinja2.UndefinedError for a key the context lacks,
        MouldError for a template that uses a fact wrongly or a letter head that is no address.
        """
        if letter not in LETTERS:
            raise UnknownLetter(f"there is no letter {letter!r}")
        marks = Marks(LETTERS[letter])
        texts = self.texts(letter, language, context, once=marks.once, rows=_marked(marks))
        calendar = self._calendar(letter, language, context, marks, envelope.domain)
        attached = [*_calendar_leaf(calendar, marks), *map(_attached, attachments)]
        mould = Mould(wanted=marks.wanted, parts=_joined(_assembled(texts, attached, language, envelope, marks)))
        _check(mould)
        return mould

    def texts(
        self, letter: str, language: str, context: Mapping[str, object], *, once: Mapping[str, str], rows: Rows
    ) -> Texts:
        """Write a letter out with these facts, or with what stands for them."""
        _ = self.generation  # whose looking makes changed templates be read anew
        folder = f"email/{letter}/{language}"
        shared = {**_shared(context), "language": language, **once, "each": _each(rows)}
        subject = self._write(f"{folder}/subject.txt", shared)
        html = self._write(f"{folder}/body.html", shared)
        return Texts(
            subject=" ".join(subject.split("\n")).strip(),
            text=self._write(f"{folder}/body.txt", shared).strip("\n") + "\n",
            html=self._inliner.inline(html).strip("\n") + "\n",
        )

    def _write(self, file: str, context: Mapping[str, object]) -> str:
        try:
            return self._templates.get_template(file).render(context)
        except TemplateNotFound as missing:
            raise UnknownLetter(f"there is no template {missing.name}") from None

    def _calendar(
        self, letter: str, language: str, context: Mapping[str, Any], marks: Marks, domain: str
    ) -> str | None:
        """Return the calendar of a letter whose entities have one, with marks: an all-day event for each entity."""
        entity = marks.rows.get("entities", {})
        if "ics_uid" not in entity:
            return None
        written = self._write(f"email/{letter}/{language}/calendar.txt", {**_shared(context), "entity": entity})
        summary, _, description = written.strip("\n").partition("\n")
        if not summary:
            return None
        event = _event(summary, " ".join(description.split()), f"{entity['ics_uid']}@{domain}", context)
        start = f"\nDTSTART;VALUE=DATE:{_SOME_DAY:%Y%m%d}\n"  # a whole line: no text can hold one
        lines = _ical(event).replace(start, f"\nDTSTART;VALUE=DATE:{entity['ics_date']}\n")
        before, end, after = _ical(_empty_calendar()).partition("END:VCALENDAR")
        return "".join((before, marks.starts["entities"], lines, marks.ends["entities"], end, after))


def _event(summary: str, description: str, uid: str, context: Mapping[str, Any]) -> Event:
    try:
        published_at, edition = (context["announcement"][key] for key in ("published_at", "edition"))
    except KeyError as missing:
        raise UndefinedError(f"the context of a letter with a calendar lacks {missing}") from None
    event = Event()
    event.add("uid", uid)
    if edition > 1:
        event.add("sequence", edition - 1)  # so that a corrected day takes the place of the one before
    event.add("dtstamp", published_at.astimezone(UTC))
    event.add("dtstart", _SOME_DAY)
    event.add("summary", summary)
    event.add("description", description)
    event.add("transp", "TRANSPARENT")
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", summary)
    alarm.add("trigger", timedelta(days=-3, hours=9))  # nine in the morning, three days before
    event.add_component(alarm)
    return event


def _empty_calendar() -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", "-//notifier//letters//")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    return calendar


def _ical(component: Component) -> str:
    written: bytes = component.to_ical()
    return written.decode().replace("\r\n", "\n")


def _wrap(text: str) -> str:
    """Wrap paragraphs at 76 characters: a filter for what is the same in every mail."""
    if MARK.search(text):
        raise MouldError("a fact may not stand in wrapped text: its length would move the lines of one mail only")
    paragraphs = re.split(r"\n[ \t]*\n", text.strip("\n"))
    wrapped = (re.sub(r"[ \t\n]+", " ", paragraph).strip(" ") for paragraph in paragraphs)
    return "\n\n".join(fill(each, 76, break_long_words=False, break_on_hyphens=False) for each in wrapped)


def _hang(text: str) -> str:
    """Wrap one point of a list, its lines hanging under its dash."""
    if MARK.search(text):
        raise MouldError("a fact may not stand in wrapped text: its length would move the lines of one mail only")
    return fill(text, 76, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _shared(context: Mapping[str, object]) -> dict[str, object]:
    return {key: _cleaned(value) for key, value in context.items()}


def _cleaned(value: object) -> object:
    """Return a value whose texts hold none of our marks, and no markup that would pass for ours."""
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(inner) for key, inner in value.items()}  # labels are shown too
    if isinstance(value, list | tuple):
        return [_cleaned(inner) for inner in value]
    return value


def _each(rows: Rows) -> Callable[..., str]:
    """Return the `each` of templates: {% call(entity) each("entities") %}…{% endcall %}."""

    @pass_eval_context
    def each(evaluation: EvalContext, key: str, caller: WriteRow) -> str:
        if evaluation.autoescape:  # a mark between the rows of a table stays there only as a comment
            return Markup().join(rows(key, caller, Markup("<!--{}-->").format))
        return "".join(rows(key, caller, str))

    return each


def _marked(marks: Marks) -> Rows:
    """Return what stands for rows in a mould: one row of marks, between two more."""

    def rows(key: str, write_row: WriteRow, mark: Callable[[str], str]) -> Sequence[str]:
        if key not in marks.rows:
            raise MouldError(f"there is no list {key!r} among the facts of this letter")
        return mark(marks.starts[key]), write_row(marks.rows[key]), mark(marks.ends[key])

    return rows


def _assembled(
    texts: Texts, attached: Sequence[Sequence[Part]], language: str, head: LetterHead, marks: Marks
) -> Sequence[Part]:
    html = COMMENTED_MARK.sub(r"\1", texts.html)
    alternative = _multipart(
        "alternative",
        _leaf("text/plain; charset=utf-8", marks.parts(texts.text, Kind.TEXT)),
        _leaf("text/html; charset=utf-8", marks.parts(html, Kind.HTML)),
    )
    body = _multipart("mixed", alternative, *attached) if attached else alternative
    return (*_head(texts.subject, language, head, marks), *body)


def _calendar_leaf(calendar: str | None, marks: Marks) -> Iterable[Sequence[Part]]:
    if calendar is not None:
        yield _leaf(
            "text/calendar; charset=utf-8; method=PUBLISH",
            marks.parts(calendar, Kind.ICS, words=frozenset({"ics_date", "ics_uid"})),
            disposition='attachment; filename="last-day.ics"',
        )


def _attached(attachment: Attachment) -> Sequence[Part]:
    filename, content_type = (plain(text).decode() for text in (attachment.filename, attachment.content_type))
    disposition = f'attachment; filename="{filename}"'
    return _leaf(content_type, (quoted(clean(attachment.text)),), disposition=disposition)


def _head(subject: str, language: str, head: LetterHead, marks: Marks) -> Sequence[Part]:
    written = marks.parts(subject, Kind.HEADER) if MARK.search(subject) else (header(subject),)
    return (
        b"From:" + name(head.name) + address(head.address) + b"To:",
        Hole("to_name", Kind.NAME),
        Hole("to_address", Kind.ADDRESS),
        b"Subject:",
        *written,
        b"Date: ",
        Hole("date", Kind.PLAIN),
        b"\r\nMessage-ID: <",
        Hole("message_id", Kind.PLAIN),
        b"@" + plain(head.domain) + b">\r\n",
        *(_ONE_CLICK if UNSUBSCRIBE in marks.wanted.once else ()),
        b"Reply-To:" + address(head.reply_to),
        b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n",
        b"Content-Language: " + plain(language) + b"\r\nMIME-Version: 1.0\r\n",
    )


_ONE_CLICK: Sequence[Part] = (
    b"List-Unsubscribe:\r\n <",
    Hole(UNSUBSCRIBE, Kind.URL),
    b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
)


def _leaf(content_type: str, parts: Sequence[Part], *, disposition: str = "") -> Sequence[Part]:
    lines = [f"Content-Type: {content_type}", "Content-Transfer-Encoding: quoted-printable"]
    if disposition:
        lines.append(f"Content-Disposition: {disposition}")
    return ("\r\n".join([*lines, "", ""]).encode(), *parts)


def _multipart(subtype: str, *inner: Sequence[Part]) -> Sequence[Part]:
    # "=_" cannot stand in quoted-printable, so that no text, of whomever, can hold the boundary.
    boundary = "=_" + hashlib.sha256(repr(inner).encode()).hexdigest()[:32]
    parts: list[Part] = [f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"\r\n'.encode()]
    for one in inner:
        parts += [f"\r\n--{boundary}\r\n".encode(), *one]
    return (*parts, f"\r\n--{boundary}--\r\n".encode())


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return parts with neighbouring literals made one."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def _check(mould: Mould) -> None:
    """Fill a mould as a trial and read it back: exactly the headers meant, one recipient, every part well formed."""
    row_facts = {key: [dict.fromkeys(names, "x")] * 2 for key, names in mould.wanted.each.items()}
    facts: dict[str, Fact] = {**dict.fromkeys(mould.wanted.once, "x"), **row_facts}
    trial = {**facts, "to_address": "to@recipient.example", "date": "Mon, 21 Dec 2026 09:00:00 +0100"}
    headers = list(_HEADERS)
    if UNSUBSCRIBE in mould.wanted.once:
        trial[UNSUBSCRIBE] = "https://x.example/x"
        headers[headers.index("Reply-To") : headers.index("Reply-To")] = _HEADERS_TO_UNSUBSCRIBE
    try:
        mail = message_from_bytes(mould.fill(trial), policy=default)
    except KeyError as missing:
        raise MouldError(f"the template uses {missing} outside the rows it belongs to") from None
    defects = [defect for part in mail.walk() for defect in part.defects]
    if mail.keys() != headers or len(mail["To"].addresses) != 1 or defects:
        raise MouldError(f"the mould reads back as {mail.keys()} with {defects}")
