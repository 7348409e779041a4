"""Two lists of subprocessors in, what changed in meaning out.

A list that was only reformatted has not changed: nobody is told of a dash, a capital or a space.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

# Where a removal or a new street leaves the processing as it was, the list changes and nobody's right runs (the aspect
# of an announcement).  A name or a town may hide another company or another site: those count as a change.
LISTING = "listing"
LISTED = frozenset({"address", "postcode"})

COMPARED = ("name", "address", "postcode", "town", "country", "activity", "site_kind")

LONGEST_SLUG = 80

PLAIN_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc`\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        "\u2026": "...",
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff", None),  # invisible: soft hyphen, zero widths
    }
)


class DuplicateKey(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(f"two entries of one list have the key {key!r}")
        self.key = key


class Misfit(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(f"the change of {key!r} does not fit the list it is applied to")
        self.key = key


class ChangeKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    REPLACED = "replaced"
    AMENDED = "amended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One subprocessor. `key` says which one it is from version to version; every other field says what it is."""

    key: str
    name: str
    address: str = ""
    postcode: str = ""
    town: str = ""
    country: str = ""  # ISO 3166 alpha-2 in capitals; "" means that nobody has said
    activity: str = ""
    site_kind: str = ""  # production, backup, interconnection, dark_fibre, or the operator's own word
    replaces: str = ""  # key of the entry it takes over from: the editor's statement, never deduced, never compared


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    field: str  # one of COMPARED
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An addition has no `before`, a removal no `after`; only replaced and amended entries have `fields`."""

    kind: ChangeKind
    before: Entry | None
    after: Entry | None
    fields: tuple[FieldChange, ...] = ()

    @property
    def entry(self) -> Entry:
        """The entry as it stands after the change, or as it last stood."""
        entry = self.after or self.before
        if entry is None:
            message = "a change needs an entry before or after it"
            raise ValueError(message)
        return entry

    @property
    def key(self) -> str:
        return self.entry.key

    @property
    def name(self) -> str:
        return self.entry.name


def diff(old: Sequence[Entry], new: Sequence[Entry]) -> tuple[Change, ...]:
    """What changed in meaning, in an order that does not depend on the order of either list."""
    before, after = _by_key(old), _by_key(new)
    changes = [*_amendments(before, after), *_arrivals(before, after)]
    succeeded = {change.before.key for change in changes if change.before is not None}
    changes += [
        Change(kind=ChangeKind.REMOVED, before=entry, after=None)
        for key, entry in before.items()
        if key not in after and key not in succeeded
    ]
    return tuple(sorted(changes, key=_rank))


def aspect(changes: Sequence[Change]) -> str:
    """LISTING where every change is of the list alone, else the empty string."""
    return LISTING if changes and all(_is_of_the_list(change) for change in changes) else ""


def _is_of_the_list(change: Change) -> bool:
    if change.kind is ChangeKind.AMENDED:
        return all(field.field in LISTED for field in change.fields)
    return change.kind is ChangeKind.REMOVED


def cosmetic(old: Sequence[Entry], new: Sequence[Entry]) -> int:
    """How many entries are written differently and mean the same."""
    before, after = _by_key(old), _by_key(new)
    kept = ((before[key], after[key]) for key in before.keys() & after.keys())
    return sum(_values(a) != _values(b) and not _differences(a, b) for a, b in kept)


def apply(changes: Iterable[Change], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The list after the changes: what stays keeps its place and its writing, what arrives comes last."""
    known, result = _by_key(entries), _by_key(entries)
    for change in changes:
        if change.before is not None:
            if change.before.key not in known:
                raise Misfit(change.before.key)
            if change.after is None or change.after.key != change.before.key:
                result.pop(change.before.key, None)  # one entry may be replaced by several
        if change.after is not None:
            if change.kind is not ChangeKind.AMENDED and change.after.key in result:
                raise Misfit(change.after.key)
            result[change.after.key] = change.after
    return tuple(result.values())


def meaning(text: str) -> str:
    """The text without what is only typography: spacing, case, style of quotes and dashes, accents composed or not,
    invisible characters, accents typed twice, punctuation at the end. For comparing, not for showing.
    """
    text = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    text = re.sub("\u00ab ?| ?\u00bb", '"', " ".join(text.split()))  # French quotes carry spaces inside
    text = re.sub(r"([\u0300-\u036f])\1+", r"\1", text.translate(PLAIN_SIGNS))
    text = re.sub(r" (?=[,;:.!?)])|(?<=\() ", "", " ".join(text.split()))  # French puts a space before some signs
    return text.rstrip(" .,;:")


def slug(name: str) -> str:
    """A key made of a name: "Société Exemple" gives "societe-exemple". Scripts other than Latin keep their letters."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", "-", letters).strip("-")[:LONGEST_SLUG].rstrip("-")


def as_json(change: Change) -> dict[str, Any]:
    """The change as JSON values. It keeps the fields as they were found, so that a later rule does not rewrite them."""
    return asdict(change) | {"kind": change.kind.value, "fields": [asdict(field) for field in change.fields]}


def from_json(data: Mapping[str, Any]) -> Change:
    return Change(
        kind=ChangeKind(data["kind"]),
        before=data["before"] and Entry(**data["before"]),
        after=data["after"] and Entry(**data["after"]),
        fields=tuple(FieldChange(**field) for field in data["fields"]),
    )


def _amendments(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Change]:
    kept = ((before[key], after[key]) for key in before.keys() & after.keys())
    return [
        Change(kind=ChangeKind.AMENDED, before=old, after=new, fields=fields)
        for old, new in kept
        if (fields := _differences(old, new))
    ]


def _arrivals(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Change]:
    leaving = {key: entry for key, entry in before.items() if key not in after}
    return [_arrival(leaving.get(entry.replaces), entry) for key, entry in after.items() if key not in before]


def _arrival(left: Entry | None, entry: Entry) -> Change:
    if left is None:
        return Change(kind=ChangeKind.ADDED, before=None, after=entry)
    return Change(kind=ChangeKind.REPLACED, before=left, after=entry, fields=_differences(left, entry))


def _differences(old: Entry, new: Entry) -> tuple[FieldChange, ...]:
    pairs = zip(COMPARED, _values(old), _values(new), strict=True)
    return tuple(FieldChange(field=f, before=a, after=b) for f, a, b in pairs if meaning(a) != meaning(b))


def _values(entry: Entry) -> tuple[str, ...]:
    return tuple(getattr(entry, field) for field in COMPARED)


def _by_key(entries: Sequence[Entry]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.key in found:
            raise DuplicateKey(entry.key)
        found[entry.key] = entry
    return found


def _rank(change: Change) -> tuple[int, str, str, str]:
    before = change.before.key if change.before else ""
    return list(ChangeKind).index(change.kind), meaning(change.name), change.key, before
