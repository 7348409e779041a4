"""Two lists of subprocessors in, what changed in meaning out.

A list that was only written otherwise has not changed: nobody is told of a dash, a capital, a space, or of an order.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from notifier.rules import entries as written
from notifier.rules.entries import FIELDS, Certificate, Entry, Place, Shape
from notifier.rules.kinds import EEA, AnnouncementKind

# Where a removal, a new name or a new street leaves the processing as it was, the list changes and nobody's right runs
# (the aspect of an announcement).
LISTING = "listing"
STORAGE, ACCESS = "storage", "access"  # aspects of a change of place

COMPARED = tuple(FIELDS)
LONGEST_SLUG = 80

PLAIN_SIGNS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc`\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2122\u00ae\u00a9\u2120", None),  # marks of a name, not the name
        "\u2026": "...",
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff", None),  # invisible: soft hyphen, zero widths
    }
)
NUMBERS = frozenset({"registration_number", "postcode"})  # written in groups of digits, or not
TELLING_SIGNS = "#&@%*"  # C# is not C: of all punctuation these carry meaning


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
    RENAMED = "renamed"
    TAKEN_OVER = "taken_over"  # another legal person stands where the entry stood
    MOVED = "moved"
    SCOPE_CHANGED = "scope_changed"
    SAFEGUARDS_CHANGED = "safeguards_changed"
    SECURITY_CHANGED = "security_changed"
    CONTACT_CHANGED = "contact_changed"


# Of an entry that stays, the weightiest first: what may need consent, then what is told in time, then what is listed.
WEIGHTS = (
    ChangeKind.SECURITY_CHANGED,
    ChangeKind.MOVED,
    ChangeKind.TAKEN_OVER,
    ChangeKind.SCOPE_CHANGED,
    ChangeKind.SAFEGUARDS_CHANGED,
    ChangeKind.RENAMED,
    ChangeKind.CONTACT_CHANGED,
)
STAYING = frozenset(WEIGHTS)

KIND_OF_FIELD: Mapping[str, ChangeKind] = MappingProxyType(
    {
        **dict.fromkeys(FIELDS, ChangeKind.CONTACT_CHANGED),
        **dict.fromkeys(("name", "trading_name", "legal_form"), ChangeKind.RENAMED),
        "registration_number": ChangeKind.TAKEN_OVER,
        **dict.fromkeys(("town", "country", "places", "outside_access", "outside_countries"), ChangeKind.MOVED),
        **dict.fromkeys(
            ("parent", "activities", "hds_activities", "purposes", "data_categories", "persons", "access"),
            ChangeKind.SCOPE_CHANGED,
        ),
        **dict.fromkeys(written.SCOPE, ChangeKind.SCOPE_CHANGED),
        **dict.fromkeys(
            ("transfer", "assessment", "hds", "secnumcloud", "certificates", "third_country_law", "third_country_laws"),
            ChangeKind.SAFEGUARDS_CHANGED,
        ),
        **dict.fromkeys(("security", "security_note"), ChangeKind.SECURITY_CHANGED),
        "activity": ChangeKind.SCOPE_CHANGED,  # as an earlier edition of the product wrote it
        "site_kind": ChangeKind.MOVED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    field: str  # one of COMPARED
    before: str  # as `shown` writes it
    after: str
    kind: ChangeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An addition has no `before`, a removal no `after`; neither has `fields`.

    An entry that stays has one change: its kind is the weightiest of what changed, and `fields` tell all of it.
    """

    kind: ChangeKind
    before: Entry | None
    after: Entry | None
    fields: tuple[FieldChange, ...] = ()
    parents: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)  # key → name, for reading

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

    @property
    def stays(self) -> bool:
        """Whether the same entry is in both lists."""
        return self.kind in STAYING


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """What a change must be announced as: a kind with its aspect, and for a place the country it leads to."""

    kind: str
    aspect: str = ""
    country: str = ""


LISTED = Need(AnnouncementKind.SUBPROCESSOR.value, LISTING)
TOLD = Need(AnnouncementKind.SUBPROCESSOR.value)
LOWERED = Need(AnnouncementKind.SECURITY.value)


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


def cosmetic(old: Sequence[Entry], new: Sequence[Entry]) -> int:
    """How many entries are written differently and mean the same."""
    before, after = _by_key(old), _by_key(new)
    kept = ((before[key], after[key]) for key in before.keys() & after.keys())
    return sum(a != replace(b, replaces=a.replaces) and not _differences(a, b) for a, b in kept)


def apply(changes: Iterable[Change], entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The list after the changes: what stays keeps its place and its writing, what arrives comes last.

    On a list that has gone another way, a change brings its own fields and leaves the others: what was announced apart
    is made apart.
    """
    known, result = _by_key(entries), _by_key(entries)
    for change in changes:
        if change.before is not None:
            if change.before.key not in known:
                raise Misfit(change.before.key)
            if change.after is None or change.after.key != change.before.key:
                result.pop(change.before.key, None)  # one entry may be replaced by several
        if change.after is not None:
            if not change.stays and change.after.key in result:
                raise Misfit(change.after.key)
            result[change.after.key] = _composed(change, known) if change.stays else change.after
    return tuple(result.values())


def needs(changes: Iterable[Change], listed: Iterable[str] = ()) -> tuple[Need, ...]:
    """What the changes must be announced as; several, where they ask for different things.

    `listed`: the countries in which data was processed before.  The list alone (LISTED) is left out beside weightier
    ones.
    """
    known = frozenset(listed)
    found = {need for change in changes for need in _needs(change, known)}
    return tuple(sorted(found - {LISTED} or found))


def meaning(text: str) -> str:
    """The text without what is only typography: spacing, case, punctuation, accents composed or not, invisible
    characters, accents typed twice. For comparing, not for showing. Numbers stay apart: 3.2 is not 32.
    """
    text = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
    parts = "".join(sign if _tells(sign) else " " for sign in text.translate(PLAIN_SIGNS)).split()
    joined = ""
    for part in parts:
        joined += f" {part}" if joined[-1:].isdigit() and part[0].isdigit() else part
    return re.sub(r"([\u0300-\u036f])\1+", r"\1", unicodedata.normalize("NFD", joined))


def slug(name: str) -> str:
    """A key made of a name: "Société Exemple" gives "societe-exemple". Scripts other than Latin keep their letters."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", "-", letters).strip("-")[:LONGEST_SLUG].rstrip("-")


def shown(value: Any) -> str:  # noqa: ANN401 - whatever a field holds
    """The value of a field in one line, in no language: codes stay codes."""
    if isinstance(value, tuple):
        return "; ".join(map(shown, value))
    if isinstance(value, Place):
        where = ": ".join(filter(None, [value.country, value.site]))
        return f"{where} ({value.kind})".strip() if value.kind else where
    if isinstance(value, Certificate):
        edition = f":{value.edition}" if value.edition else ""
        until = f" ({value.expires_on})" if value.expires_on else ""
        return " ".join(filter(None, [f"{value.standard}{edition}", value.number, value.scope, value.issuer])) + until
    return str(value)


def as_json(change: Change) -> dict[str, Any]:
    """The change as JSON values. It keeps the fields as they were found, so that a later rule does not rewrite them."""
    return {
        "kind": change.kind.value,
        "before": change.before and written.as_json(change.before),
        "after": change.after and written.as_json(change.after),
        "fields": [
            {"field": one.field, "kind": one.kind.value, "before": one.before, "after": one.after}
            for one in change.fields
        ],
        **({"parents": dict(change.parents)} if change.parents else {}),
    }


def from_json(data: Mapping[str, Any]) -> Change:
    fields = tuple(FieldChange(**{"kind": KIND_OF_FIELD[one["field"]], **one}) for one in data["fields"])
    fields = tuple(replace(one, kind=ChangeKind(one.kind)) for one in fields)
    kind = data["kind"]
    if kind == "amended":  # as it was written before an entry that stays had kinds of changes
        kind = _weightiest(fields)
    return Change(
        kind=ChangeKind(kind),
        before=data["before"] and written.from_json(data["before"]),
        after=data["after"] and written.from_json(data["after"]),
        fields=fields,
        parents=data.get("parents", {}),
    )


def _tells(sign: str) -> bool:
    return sign in TELLING_SIGNS or unicodedata.category(sign)[0] not in "PZC"


def _composed(change: Change, known: Mapping[str, Entry]) -> Entry:
    """The entry after its own change: as announced where it stood as announced, else with the changed fields alone."""
    held, after = known[change.key], change.after
    if after is None or held == change.before:
        return after or held
    names = [one.field for one in change.fields if one.field in FIELDS]
    return replace(held, **{name: getattr(after, name) for name in names})


def _amendments(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Change]:
    kept = ((before[key], after[key]) for key in before.keys() & after.keys())
    return [
        Change(kind=_weightiest(fields), before=old, after=new, fields=fields)
        for old, new in kept
        if (fields := _differences(old, new))
    ]


def _weightiest(fields: Iterable[FieldChange]) -> ChangeKind:
    return min((one.kind for one in fields), key=WEIGHTS.index, default=ChangeKind.CONTACT_CHANGED)


def _arrivals(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Change]:
    leaving = {key: entry for key, entry in before.items() if key not in after}
    return [_arrival(leaving.get(entry.replaces), entry) for key, entry in after.items() if key not in before]


def _arrival(left: Entry | None, entry: Entry) -> Change:
    if left is None:
        return Change(kind=ChangeKind.ADDED, before=None, after=entry)
    return Change(kind=ChangeKind.REPLACED, before=left, after=entry, fields=_differences(left, entry))


def _differences(old: Entry, new: Entry) -> tuple[FieldChange, ...]:
    if old == new:
        return ()
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in COMPARED)
    return tuple(
        FieldChange(field=name, before=shown(a), after=shown(b), kind=_kind_of(name, old, new))
        for name, a, b in pairs
        if a != b and not _same(name, a, b)
    )


def _kind_of(name: str, old: Entry, new: Entry) -> ChangeKind:
    """What a field's change is: an identity that is completed is no take-over, and where places are listed the seat is
    no place of processing.
    """
    if name in {"registration_number", "trading_name"} and not (getattr(old, name) and getattr(new, name)):
        return ChangeKind.CONTACT_CHANGED
    if name in {"town", "country"} and old.places and new.places:
        return ChangeKind.CONTACT_CHANGED
    return KIND_OF_FIELD[name]


def _same(name: str, a: Any, b: Any) -> bool:  # noqa: ANN401 - whatever a field holds
    shape = FIELDS[name].shape
    if shape is Shape.LIST:
        is_joined = name not in written.SCOPE and meaning(" ".join(a)) == meaning(" ".join(b))  # each names a service
        return is_joined or items(a) == items(b)
    if shape is Shape.URL:
        return _address(a) == _address(b)
    if isinstance(a, tuple):
        return {meaning(shown(one)) for one in a} == {meaning(shown(one)) for one in b}
    if name in NUMBERS:
        return meaning(a).replace(" ", "") == meaning(b).replace(" ", "")
    return meaning(a) == meaning(b)


def items(texts: Iterable[str]) -> frozenset[str]:
    """What a list of texts names, by meaning; commas part as items do."""
    return frozenset(meaning(item) for text in texts for item in text.split(","))


def _address(url: str) -> tuple[str, str, str]:
    """A page is the same with and without www, TLS, a slash at the end or a mark to jump to."""
    parts = urlsplit(url.strip())
    return parts.netloc.casefold().removeprefix("www."), parts.path.rstrip("/"), parts.query


def _needs(change: Change, listed: frozenset[str]) -> set[Need]:
    if change.after is None:
        return {LISTED}
    if change.stays:
        found = {need for one in change.fields for need in _needs_of_field(one, change)}
        return found | ({TOLD} if _is_somebody_else(change) else set()) or {LISTED}
    entry = change.after
    came = frozenset(entry.countries) - listed if entry.places and listed else frozenset()
    lowered = {LOWERED} if entry.security == "lower" else set()
    has_access = entry.outside_access == "yes" or entry.outside_countries
    return {TOLD} | lowered | _to_places(came) | (_to_access(entry) if has_access else set())


def _is_somebody_else(change: Change) -> bool:
    """Whether nothing is left by which a company is known: another name at another site and another street."""
    known_by = {"name", "website", "address"}
    changed = {one.field for one in change.fields if one.field in known_by and one.before and one.after}
    said = {name for name in known_by if change.before and change.after and getattr(change.before, name)}
    return "name" in changed and len(changed) > 1 and said <= changed


def _needs_of_field(one: FieldChange, change: Change) -> set[Need]:
    old, new = change.before, change.after
    if old is None or new is None:
        return {TOLD}
    if one.kind is ChangeKind.MOVED:
        return _needs_of_a_move(one.field, old, new)
    if one.kind is ChangeKind.SECURITY_CHANGED:
        return {LOWERED if new.security == "lower" else LISTED}  # a note alone may tell of a further lowering
    is_listed = {
        ChangeKind.SAFEGUARDS_CHANGED: not _is_weaker(one.field, old, new),
        ChangeKind.SCOPE_CHANGED: _is_narrower(one.field, old, new),
        ChangeKind.TAKEN_OVER: False,
    }
    return {LISTED if is_listed.get(one.kind, True) else TOLD}


def _needs_of_a_move(name: str, old: Entry, new: Entry) -> set[Need]:
    if name in {"outside_access", "outside_countries"}:
        begins = new.outside_access == "yes" and old.outside_access != "yes"
        further = set(new.outside_countries) - set(old.outside_countries)
        return _to_access(new) if begins or further else {LISTED}
    came = frozenset(new.countries) - frozenset(old.countries)
    if came and (old.countries or not came <= EEA):
        return _to_places(came)
    if name == "places":
        held, holds = ({meaning(shown(one)) for one in entry.places} for entry in (old, new))
        return {TOLD if old.places and holds - held else LISTED}
    return {TOLD if getattr(old, name, "") and getattr(new, name, "") else LISTED}


def _to_places(countries: Iterable[str]) -> set[Need]:
    return {Need(AnnouncementKind.LOCATION.value, STORAGE, country) for country in countries}


def _to_access(entry: Entry) -> set[Need]:
    countries = entry.outside_countries or ("",)
    return {Need(AnnouncementKind.LOCATION.value, ACCESS, country) for country in countries}


def _is_weaker(name: str, old: Entry, new: Entry) -> bool:
    if name == "certificates":
        held, kept = ({one.standard for one in entry.certificates} for entry in (old, new))
        return bool(held - kept)
    if name in {"hds", "secnumcloud"}:
        return bool(getattr(old, name) == "yes")
    if name == "third_country_law":
        return new.third_country_law == "yes"
    return name == "transfer" and bool(old.transfer)


def _is_narrower(name: str, old: Entry, new: Entry) -> bool:
    """Whether nothing is done that was not done before: fewer things, or what had not been said (but for whether it
    receives data).
    """
    before, after = getattr(old, name, ""), getattr(new, name, "")
    if name == "access":
        return after != "receives" or before == "receives"
    if name in {"parent", "activity"}:
        return not before
    if not before:
        return True  # of services: no longer every one
    return bool(after) and items(after) <= items(before)


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
