"""Reading a list into the draft: first what it would change, what was not understood and what must be answered; then
the draft.

Between the two the file stays in the page, packed: nothing of it is kept here before somebody has confirmed it. It
comes back as any upload does, and is read by the same guarded reader, so it needs no seal. A file that is too large for
that is chosen again, and known by its digest.
"""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from http import HTTPStatus
from types import MappingProxyType

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from sqlmodel import Session

from notifier.adapters.cells import HEADINGS
from notifier.adapters.register_files import RegisterFile, read_list
from notifier.adapters.registers import SITE_KIND
from notifier.adapters.remarks import BadList
from notifier.adapters.tables import MOST_BYTES
from notifier.rules.entries import FIELDS, Entry
from notifier.rules.identity import Identified, identify, likeness
from notifier.rules.registry_diff import Change, cosmetic, diff, slug
from notifier.services import entry_words, registry
from notifier.web.current import by, language, needs, now, reading, transaction
from notifier.web.forms import Form, uploaded
from notifier.web.staff_registry import MOST_SHOWN, rows, shown

LARGEST_PACKED = 400_000  # characters; Werkzeug takes 500,000 in a field that is no file
SAME, APART = "same", "apart"

pages = Blueprint("staff_imports", __name__, url_prefix="/staff/registry/import")


@dataclass(frozen=True, slots=True)
class File:
    data: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two entries taken for one company, or that may be one; `answer` is SAME, APART, or "" for none yet."""

    old: Entry
    new: Entry
    score: float
    sure: bool
    answer: str

    @property
    def keys(self) -> tuple[str, str]:
        return self.old.key, self.new.key

    @property
    def written(self) -> str:
        return json.dumps(self.keys)

    @property
    def is_open(self) -> bool:
        """Whether the editor must still answer."""
        return not self.sure and not self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a file would do to the draft, and the state of the registry (`seen`) against which that was found."""

    found: RegisterFile
    entries: tuple[Entry, ...]
    keeps: bool  # what is known of an entry, where the list has no column for it
    pairs: tuple[Pair, ...]
    base: Sequence[Entry]
    changes: tuple[Change, ...]
    seen: str


class Unread(Exception):
    """No list could be read; the form says why, and `faults` what is wrong in the file."""

    def __init__(self, form: Form, faults: Sequence[str] = ()) -> None:
        super().__init__()
        self.form = form
        self.faults = faults


@pages.get("")
@needs("edit")
def form() -> ResponseReturnValue:
    return _upload_page(Form())


@pages.post("")
@needs("edit")
def check() -> ResponseReturnValue:
    """Show what a file would do; nothing is changed."""
    return _dry_run_page(*_tried(Form.posted()))


@pages.post("/draft")
@needs("edit")
def take() -> ResponseReturnValue:
    """Make the list the draft, if everything is as it was shown and answered."""
    form, file, run = _tried(Form.posted())
    _refuse_surprises(form, file, run)
    if form.problems:
        return _dry_run_page(form, file, run), HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        with transaction() as session:
            registry.draft(session, lock=True)
            if _seen(session) != run.seen:
                raise registry.DraftMoved
            registry.replace_draft(session, run.entries, by=by(), now=now())
    except registry.BadEntry:
        form.refuse("", _("The list was not taken: who engages whom in it leads in a circle, or to nobody."))
        return _dry_run_page(form, file, run), HTTPStatus.UNPROCESSABLE_ENTITY
    count = len(run.entries)
    flash(ngettext("The draft now has %(num)d entry.", "The draft now has %(num)d entries.", count), "good")
    return redirect(url_for("staff_registry.draft"), code=HTTPStatus.SEE_OTHER)


@pages.errorhandler(Unread)
def unread(trouble: Unread) -> ResponseReturnValue:
    return _upload_page(trouble.form, trouble.faults), HTTPStatus.UNPROCESSABLE_ENTITY


def _tried(form: Form) -> tuple[Form, File, DryRun]:
    """Return what taking the file of a form would do; Unread where there is none, or none that can be read."""
    file, found = _read(form)
    with reading() as session:
        return form, file, _dry_run(session, form, found)


def _refuse_surprises(form: Form, file: File, run: DryRun) -> None:
    """Refuse what is not as the editor has seen and answered it."""
    if form["digest"] != _digest(file.data):
        form.refuse("", _("This is another file than the one you looked at. This is what it would do."))
    elif form["seen"] != run.seen:
        form.refuse("", _("Somebody else has changed the draft since you looked. This is what the list would do now."))
    for number, pair in enumerate(run.pairs):
        if pair.is_open:
            form.refuse(f"answer_{number}", _("Say whether %(name)s is the same company.", name=pair.new.name))


# --- the file --------------------------------------------------------------------------------------------------------


def _read(form: Form) -> tuple[File, RegisterFile]:
    """Return the file that was chosen, or that the page has kept, and what it says."""
    chosen, columns = uploaded("file"), _columns(form)
    file = File(*chosen) if chosen else _unpacked(request.form.get("content", ""), form["filename"])
    if file is None:
        form.refuse("file", _("Choose a file."))
    if file is None or form.problems:
        raise Unread(form)
    try:
        return file, read_list(file.data, filename=file.name, mapping=columns)
    except BadList as bad:
        form.refuse("file", _("The file was not taken. Correct what is listed below, then choose it again."))
        raise Unread(form, [fault.text(language()) for fault in bad.problems]) from None


def _packed(data: bytes) -> str:
    """Return a file as a field of a form; nothing where it is too large for one."""
    text = urlsafe_b64encode(zlib.compress(data, 9)).decode()
    return text if len(text) <= LARGEST_PACKED else ""


def _unpacked(text: str, filename: str) -> File | None:
    try:
        data = zlib.decompressobj().decompress(urlsafe_b64decode(text), MOST_BYTES + 1)
    except (ValueError, zlib.error):
        return None
    return File(data, filename) if data else None


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def _columns(form: Form) -> dict[str, str]:
    """Return heading → field: of the lines that were typed, then of what was chosen heading by heading."""
    named = {slug(word): name for name, words in HEADINGS.items() for word in (name, *words)}
    columns = {}
    for line in filter(None, map(str.strip, form["columns"].splitlines())):
        heading, _equals, word = (part.strip() for part in line.rpartition("="))
        if not heading or (word and slug(word) not in named):
            form.refuse("columns", _("Write one heading and its field on each line, such as: Entity = name"))
        columns[heading] = named.get(slug(word), "")
    return columns | _chosen(form)


def _chosen(form: Form) -> dict[str, str]:
    numbers = (name.removeprefix("heading_") for name in form if name.startswith("heading_"))
    return {form[f"heading_{one}"]: form[f"field_{one}"] for one in numbers if f"field_{one}" in form}


# --- what it would do ------------------------------------------------------------------------------------------------


def _dry_run(session: Session, form: Form, found: RegisterFile) -> DryRun:
    base = registry.entries(session, registry.published(session))
    told = list(_answers(form, base, found.entries))
    same = [one.keys for one in told if one.answer == SAME]
    apart = [one.keys for one in told if one.answer == APART]
    identified = identify(base, found.entries, same=same, apart=apart)
    asked = {one.keys for one in told}
    keeps = form["keeps"] == "yes" if form["seen"] else "key" not in found.mapping.values()
    entries = _completed(identified.entries, base, found) if keeps else identified.entries
    return DryRun(
        found=found,
        entries=entries,
        keeps=keeps,
        pairs=(*told, *(one for one in _pairs(base, found.entries, identified) if one.keys not in asked)),
        base=base,
        changes=diff(base, entries),
        seen=_seen(session),
    )


def _completed(entries: Sequence[Entry], base: Sequence[Entry], found: RegisterFile) -> tuple[Entry, ...]:
    """Return the entries with what was known of them in the fields of which the list says nothing at all."""
    said = {*found.mapping.values(), *(name for name in FIELDS for one in entries if getattr(one, name))}
    known = {one.key: one for one in base}
    keys = {one.key for one in entries}
    completed = []
    for entry in entries:
        before = known.get(entry.key, entry)
        kept = {name: getattr(before, name) for name in FIELDS if name not in said}
        if kept.get("parent") not in keys:
            kept.pop("parent", None)
        completed.append(replace(entry, **kept))
    return tuple(completed)


def _answers(form: Form, base: Sequence[Entry], entries: Sequence[Entry]) -> Iterator[Pair]:
    """Return the pairs that were shown, as they were answered; a match that was not undone is one."""
    olds, news = ({one.key: one for one in listed} for listed in (base, entries))
    for number in (name.removeprefix("pair_") for name in form if name.startswith("pair_")):
        try:
            old, new = (str(key) for key in json.loads(form[f"pair_{number}"]))
        except (ValueError, TypeError):
            continue
        if old in olds and new in news:
            sure, answer = form[f"sure_{number}"] == "yes", form[f"answer_{number}"]
            answer = answer if answer in {SAME, APART} else SAME if sure else ""
            yield Pair(olds[old], news[new], likeness(olds[old], news[new]), sure, answer)


def _pairs(base: Sequence[Entry], entries: Sequence[Entry], identified: Identified) -> list[Pair]:
    olds, news = ({one.key: one for one in listed} for listed in (base, entries))
    return [
        Pair(olds[one.old_key], news[one.new_key], one.score, one.sure, SAME if one.sure else "")
        for one in identified.matches
    ]


def _seen(session: Session) -> str:
    """Return by what to tell that the registry is still as it was looked at."""
    published, draft = registry.published(session), registry.draft(session)
    return f"{published.number if published else ''}:{draft.revision if draft else ''}"


def _upload_page(form: Form, faults: Sequence[str] = ()) -> str:
    """The form that asks for a file, with the columns as they were chosen last."""
    columns = "\n".join(f"{heading} = {name}" for heading, name in _chosen(form).items()) or form["columns"]
    form = form.filled("columns", columns)
    with reading() as session:
        has_draft = registry.draft(session) is not None
    return render_template(
        "web/staff/import.html", form=form, faults=faults, has_draft=has_draft, fields=_field_labels()
    )


def _dry_run_page(form: Form, file: File, run: DryRun) -> str:
    with reading() as session:
        draft = registry.draft(session)
    return render_template(
        "web/staff/import_check.html",
        form=form,
        filename=file.name,
        content=_packed(file.data),
        digest=_digest(file.data),
        run=run,
        draft=draft,
        rows=rows(run.entries),
        shown=shown(run.changes[:MOST_SHOWN], run.base, run.entries),
        more=[change.name for change in run.changes[MOST_SHOWN:]],
        cosmetic=cosmetic(run.base, run.entries),
        fields=_field_labels(),
        most=MOST_SHOWN,
        questions=[one.text(language()) for one in run.found.questions],
        not_understood=[one.text(language()) for one in run.found.not_understood],
    )


def _field_labels() -> Mapping[str, str]:
    """Return field → its label, in the order of reading."""
    column = 1 if language() == "fr" else 0
    labels = {name: words[column] for name, words in HEADINGS.items()}
    return MappingProxyType(labels | {SITE_KIND: entry_words.FORMER_LABELS[language()][SITE_KIND]})
