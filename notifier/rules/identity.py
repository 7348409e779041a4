"""Which entry of a new list is which of the old one, where nobody has said so by a key.

A company that takes another name, or that somebody writes otherwise, is still the same one; two companies that do the
same work in the same country are not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import count, islice
from urllib.parse import urlsplit

from notifier.rules.entries import Entry
from notifier.rules.registry_diff import diff, meaning, slug

SURE = 0.8  # from here on a match is made, shown, and can be undone
ASKED = 0.5  # from here on the editor is asked

# What a name may end with and still name the same company.
LEGAL_FORMS = frozenset(
    [
        *("ab", "ag", "bv", "co", "company", "corp", "corporation", "gmbh", "inc", "incorporated", "kg", "limited"),
        *("llc", "llp", "ltd", "nv", "oy", "plc", "pty", "sa", "sarl", "sas", "sasu", "se", "sl", "spa", "srl"),
    ]
)
SHORTEST_ACRONYM = 3
MOST_SHARED = 60  # a trait that more entries have tells nothing
# A list may come from anybody: what is compared of it is bounded.  Whoever is not compared is not matched.
MOST_PAIRS = 5000
LONGEST_NAME = 80
MOST_WORDS = 8
NEARLY = 0.75  # alike by the name
JUST_ASKED = 0.79
BONUS = 0.15  # where all else is the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Two entries that are taken for one company; `score` from 0 to 1.  One that is not `sure` is a question."""

    old_key: str
    new_key: str
    old_name: str
    new_name: str
    score: float

    @property
    def sure(self) -> bool:
        return self.score >= SURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """A new list whose entries have the keys of the old one, and what was matched, or may be, by likeness."""

    entries: tuple[Entry, ...]
    matches: tuple[Match, ...]

    @property
    def made(self) -> tuple[Match, ...]:
        return tuple(match for match in self.matches if match.sure)

    @property
    def asked(self) -> tuple[Match, ...]:
        return tuple(match for match in self.matches if not match.sure)


def identify(
    old: Sequence[Entry],
    new: Sequence[Entry],
    *,
    same: Iterable[tuple[str, str]] = (),
    apart: Iterable[tuple[str, str]] = (),
) -> Identified:
    """Give the entries of a new list the keys that the same companies have in the old one.

    `same` and `apart` are what the editor answered: pairs of an old and a new key.  Then the same key, the same name,
    and likeness, the likest pair first, each entry once.
    """
    keys = {entry.key for entry in old}
    new = _without_borrowed_keys(old, new)
    free_old = {entry.key: entry for entry in old if entry.key not in {one.key for one in new}}
    free_new = {entry.key: entry for entry in new if entry.key not in keys}
    renamed: dict[str, str] = {}  # new key → old key

    def take(old_key: str, new_key: str) -> None:
        if old_key in free_old and new_key in free_new:
            renamed[new_key] = free_old.pop(old_key).key
            del free_new[new_key]

    for old_key, new_key in same:
        take(old_key, new_key)
    refused = frozenset(apart)
    for old_key, new_key in _same_names(free_old.values(), free_new.values()):
        if (old_key, new_key) not in refused:
            take(old_key, new_key)
    matches = []
    for match in _likest(list(free_old.values()), list(free_new.values())):
        is_free = match.old_key in free_old and match.new_key in free_new
        if is_free and (match.old_key, match.new_key) not in refused:
            matches.append(match)
            if match.sure:
                take(match.old_key, match.new_key)
    return Identified(entries=_with_keys(new, renamed), matches=_each_asked_once(matches))


def likeness(old: Entry, new: Entry) -> float:
    """Score from 0 to 1 how likely two entries are one company.

    What many companies share (the work, the country, the data) says nothing; name, register, site and street do.
    """
    if old.registration_number and new.registration_number:
        same = not diff([_numbered(old)], [_numbered(new)])
        return 1.0 if same else 0.0
    pairs = [(a, b) for a in _names(old) for b in _names(new)]
    name = max(_likeness_of_names(a, b) for a, b in pairs)
    found = [(name, 3.0)]
    if old.website and new.website:
        found.append((float(_host(old.website) == _host(new.website)), 3.0))
    if old.address and new.address:
        street = meaning(old.address) == meaning(new.address) and meaning(old.postcode) == meaning(new.postcode)
        found.append((float(street), 2.0))
    score = sum(part * weight for part, weight in found) / sum(weight for _, weight in found)
    shares_more = any(part == 1.0 for part, _ in found[1:])
    if shares_more:
        score = max(score, ASKED)  # one site or one street: at least a question
    is_placed = _is_at_one_place(old, new)
    if (name >= NEARLY or is_placed) and _is_otherwise_alike(old, new):
        score = min(max(score + BONUS, SURE), 1.0)
    elif name < NEARLY:
        score = min(score, JUST_ASKED)  # a group has many companies at one street
    is_another = score >= SURE and not is_placed and all(_says_another(a, b) for a, b in pairs)
    return JUST_ASKED if is_another else score


def _is_otherwise_alike(old: Entry, new: Entry) -> bool:
    """Whether nothing but the name, and where it may be read of, differs."""
    one, other = (replace(entry, key="", name="", trading_name="", website="", parent="") for entry in (old, new))
    return not diff([one], [other]) and bool(old.activity)


def _says_another(a: str, b: str) -> bool:
    """Whether two names have each a word that the other has nothing like: Nord and Sud, Ireland and India, 1 and 2."""
    one, other = _words(a), _words(b)
    if len(one) < 2 or len(other) < 2 or "".join(one) == "".join(other):  # noqa: PLR2004 - a single word says it all
        return False
    left, right = ([word for word in some if word not in others] for some, others in ((one, other), (other, one)))
    return bool(left and right) and not all(any(_is_like(word, another) for another in right) for word in left)


def _is_like(word: str, other: str) -> bool:
    return not word.isdigit() and SequenceMatcher(None, word, other, autojunk=False).ratio() >= NEARLY


def _is_at_one_place(old: Entry, new: Entry) -> bool:
    """Whether one page or one street is of both: whoever takes another name keeps those.  A site may be a directory."""
    sited = (Entry(key="", name="", website=one.website, address=one.address) for one in (old, new))
    same = {"website", "address"} - {one.field for change in diff(*([one] for one in sited)) for one in change.fields}
    return any(getattr(old, name) for name in same)


def _numbered(entry: Entry) -> Entry:
    return Entry(key="", name="", registration_number=entry.registration_number)


def _without_borrowed_keys(old: Sequence[Entry], new: Sequence[Entry]) -> Sequence[Entry]:
    """Give another key to an entry whose key was only made of its name, and is that of a company with another name,
    which is in the new list under its own.
    """
    known = {entry.key: meaning(entry.name) for entry in old}
    named = Counter(meaning(entry.name) for entry in new)
    taken = {*known, *(entry.key for entry in new)}
    found: dict[str, str] = {}
    for entry in new:
        theirs = known.get(entry.key)
        if (
            theirs is not None
            and entry.key == slug(entry.name)
            and meaning(entry.name) != theirs
            and named[theirs] == 1
        ):
            found[entry.key] = next(key for n in count(2) if (key := f"{entry.key}-{n}") not in taken)
            taken.add(found[entry.key])
    return _with_keys(new, found) if found else new


def _names(entry: Entry) -> list[str]:
    return [name for name in (entry.name, entry.trading_name) if name]


def _same_names(old: Iterable[Entry], new: Iterable[Entry]) -> list[tuple[str, str]]:
    """Return pairs that are written alike, letter for letter; a name that two entries have is nobody's."""
    by_name: dict[str, list[str]] = {}
    for entry in old:
        by_name.setdefault(meaning(entry.name), []).append(entry.key)
    found: dict[str, list[str]] = {}
    for entry in new:
        found.setdefault(meaning(entry.name), []).append(entry.key)
    shared = ((by_name.get(name, []), keys) for name, keys in found.items())
    return [(olds[0], news[0]) for olds, news in shared if len(olds) == len(news) == 1]


def _likest(old: Sequence[Entry], new: Sequence[Entry]) -> Iterator[Match]:
    scored = (
        Match(old_key=a.key, new_key=b.key, old_name=a.name, new_name=b.name, score=round(likeness(a, b), 3))
        for a, b in islice(_worth_comparing(old, new), MOST_PAIRS)
    )
    likely = [match for match in scored if match.score >= ASKED]
    return iter(sorted(likely, key=lambda match: (-match.score, match.old_key, match.new_key)))


def _worth_comparing(old: Sequence[Entry], new: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Return the pairs that share a trait, so that lists of thousands need no thousands of thousands of comparisons."""
    known: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in old:
        for trait in _traits(entry):
            known[trait].append(entry)
    for entry in new:
        sharing = (known.get(trait, []) for trait in sorted(_traits(entry)))
        alike = {one.key: one for shared in sharing if len(shared) <= MOST_SHARED for one in shared}
        yield from ((one, entry) for one in alike.values())


def _traits(entry: Entry) -> set[str]:
    """Return words, beginnings and initials of the names, and what identifies beside a name."""
    traits = {f"number {meaning(entry.registration_number).replace(' ', '')}"} if entry.registration_number else set()
    traits |= {f"host {_host(entry.website)}"} if entry.website else set()
    traits |= {f"street {meaning(entry.address)}"} if entry.address else set()
    for name in _names(entry):
        words = _words(name)
        traits |= {*words, "".join(words)[:3], "".join(word[0] for word in words)}
    return traits


def _each_asked_once(matches: Sequence[Match]) -> tuple[Match, ...]:
    """Of the questions only the likest for each entry, and none about an entry that is matched."""
    taken: set[str] = set()
    kept = []
    for match in sorted(matches, key=lambda one: (not one.sure, -one.score)):
        pair = {f"old {match.old_key}", f"new {match.new_key}"}
        if not pair & taken:
            kept.append(match)
            taken |= pair
    return tuple(kept)


def _with_keys(new: Sequence[Entry], renamed: dict[str, str]) -> tuple[Entry, ...]:
    return tuple(
        replace(
            entry,
            key=renamed.get(entry.key, entry.key),
            parent=renamed.get(entry.parent, entry.parent),
            replaces=renamed.get(entry.replaces, entry.replaces),
        )
        for entry in new
    )


def _likeness_of_names(a: str, b: str) -> float:
    one, other = _words(a), _words(b)
    if not one or not other:
        return 0.0
    if one == other:
        return 1.0
    if _is_acronym(one, other) or _is_acronym(other, one):
        return 0.9
    alike = SequenceMatcher(None, "".join(one), "".join(other), autojunk=False).ratio()
    contained = set(one) <= set(other) or set(other) <= set(one)
    return max(alike, 0.75) if contained else alike


def _words(name: str) -> list[str]:
    """The words of a name without its legal form, however it is punctuated: S.A.S. is SAS."""
    plain = re.sub(r"\b((?:\w\.){2,})", lambda found: found[0].replace(".", ""), name[:LONGEST_NAME])
    words = [meaning(word) for word in re.split(r"[\s,()/-]+", plain)]
    telling = [word for word in words if word and word not in LEGAL_FORMS]
    return (telling or [word for word in words if word])[:MOST_WORDS]


def _is_acronym(short: Sequence[str], full: Sequence[str]) -> bool:
    letters = "".join(word[0] for word in full)
    return len(short) == 1 and len(full) >= SHORTEST_ACRONYM and short[0] == letters


def _host(url: str) -> str:
    return urlsplit(url).netloc.casefold().removeprefix("www.")
