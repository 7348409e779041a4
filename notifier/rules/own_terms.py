"""A client's own terms as people write them, in one cell of a sheet or one field of a form:

    subprocessor.period = 45 days; all.calendar = FR-57; subprocessor.mandatory_roles = dpo|contractual

Between the terms stands a semicolon or the end of a line.  A text that holds one, or nothing, stands in quotation
marks; a quotation mark inside them is doubled.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from types import MappingProxyType
from typing import Any

from notifier.rules.calendars import Calendar
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.periods import Backward, Counting, Period, zone
from notifier.rules.terms import (
    AT_ONCE,
    EVERY_KIND,
    FOR_EVERY_KIND,
    OVERRIDABLE,
    UNSAID,
    Addressees,
    BadPack,
    Channel,
    Mode,
    Pack,
    PeriodBlank,
    ReceiptPolicy,
    Rule,
    Silence,
    Unclaimed,
    refuse_bad_overrides,
)

Overrides = Mapping[str, Mapping[str, Any]]  # kind, kind and aspect, or "all" → field → value

LONGEST_SHOWN = 80
MOST_DIGITS = 4
YES, NO = "yes", "no"
YES_NO: Mapping[str, bool] = MappingProxyType(
    dict.fromkeys((YES, "oui", "true", "vrai"), True) | dict.fromkeys((NO, "non", "false", "faux"), False)
)
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mode": tuple(Mode),
        "counting": (*Counting, *Backward),
        "receipt": tuple(ReceiptPolicy),
        "unclaimed": tuple(Unclaimed),
        "addressees": tuple(Addressees),
        "channels": tuple(Channel),
        "silence": tuple(Silence),
    }
)
MAY_BE_NOTHING = frozenset({"window", "downstream_period", "unclaimed", "mandatory_roles", "clause"})

TEXTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "shape": (
            "“{term}” is not a term: write kind.field = value, such as subprocessor.period = 45 days",
            (
                "« {term} » n’est pas une condition : écrivez genre.champ = valeur, par exemple "
                "subprocessor.period = 45 days"
            ),
        ),
        "quotes": (
            "“{term}”: put the whole value in quotation marks, and double those inside it",
            "« {term} » : mettez toute la valeur entre guillemets droits, et doublez ceux qu’elle contient",
        ),
        "unprintable": (
            "“{term}” holds control characters: type it again",
            "« {term} » contient des caractères de contrôle : saisissez-la de nouveau",
        ),
        "kind": (
            "“{value}” is no kind of announcement: write one of {known}",
            "« {value} » n’est pas un genre d’annonce : choisissez parmi {known}",
        ),
        "field": (
            "{kind} has no field “{value}”: write one of {known}",
            "{kind} n’a pas de champ « {value} » : choisissez parmi {known}",
        ),
        "twice": (
            "{field} is written twice: keep one",
            "{field} figure deux fois : n’en gardez qu’une",
        ),
        "empty": (
            "{field} says nothing: write a value, or delete the term",
            "{field} n’indique rien : écrivez une valeur, ou supprimez la condition",
        ),
        "choice": (
            "{field} cannot be “{value}”: write one of {known}",
            "{field} ne peut pas être « {value} » : choisissez parmi {known}",
        ),
        "yes_no": (
            "{field} is yes or no, not “{value}”: write one of them",
            "{field} est oui ou non, et non « {value} » : écrivez l’un des deux",
        ),
        "number": (
            "{field} is a number of days, not “{value}”: write it in digits, such as 2",
            "{field} est un nombre de jours, et non « {value} » : écrivez-le en chiffres, par exemple 2",
        ),
        "period": (
            (
                "{field}: “{value}” cannot be counted with: write such as 45 days, 15 business days, 2 weeks, or "
                "1 month and 10 days"
            ),
            (
                "{field} : on ne peut pas compter avec « {value} » : écrivez par exemple 45 days, 15 business days, "
                "2 weeks ou 1 month and 10 days"
            ),
        ),
        "calendar": (
            "{field}: no calendar is called “{value}”: write such as FR, FR-57, FR+BE, or none",
            "{field} : aucun calendrier ne s’appelle « {value} » : écrivez par exemple FR, FR-57, FR+BE ou none",
        ),
        "timezone": (
            "{field}: no time zone is called “{value}”: write such as Europe/Paris",
            "{field} : aucun fuseau horaire ne s’appelle « {value} » : écrivez par exemple Europe/Paris",
        ),
        "cutoff": (
            "{field}: “{value}” is no time of day: write such as 18:00",
            "{field} : « {value} » n’est pas une heure : écrivez par exemple 18:00",
        ),
        "contradiction": (
            "these terms cannot be used with the contract pack {pack}: {why}",
            (
                "ces conditions ne peuvent pas s’appliquer avec le modèle de contrat {pack} : corrigez-les. "
                "En anglais : {why}"
            ),
        ),
        "period_blank": (
            (
                "the contract pack {pack} leaves the period of {kind} blank: write the client’s own, such as "
                "{kind}.period = 30 days"
            ),
            (
                "le modèle de contrat {pack} laisse en blanc le délai de {kind} : écrivez celui du client, par exemple "
                "{kind}.period = 30 days"
            ),
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something in a client's own terms that cannot be used, in both languages; each says what to write."""

    code: str  # one of TEXTS
    en: str
    fr: str

    def text(self, language: str) -> str:
        """French for "fr" and English for all else."""
        return self.fr if language == "fr" else self.en


class BadOwnTerms(ValueError):
    """Terms of a client's own that are not understood, or cannot be used with its contract pack."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.en for problem in problems))
        self.problems = tuple(problems)


class _Wrong(Exception):
    """What one term says cannot be taken."""

    def __init__(self, code: str, **facts: str) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


def parse(text: str, *, roles: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
    """Read the notation; BadOwnTerms tells everything in it that is not understood.

    `roles`: those that contacts may have, if the caller knows them.
    """
    overrides: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for term in _terms(text):
        try:
            kind, field, value = _term(term, roles)
        except _Wrong as wrong:
            problems.append(_problem(wrong.code, **wrong.facts))
            continue
        fields = overrides.setdefault(kind, {})
        if field in fields:
            problems.append(_problem("twice", field=f"{kind}.{field}"))
        fields[field] = value
    if problems:
        raise BadOwnTerms(problems)
    return overrides


def written(overrides: Overrides, *, between: str = "; ") -> str:
    """Write terms in the notation, in an order of their own; `parse` reads back exactly these."""
    return between.join(
        f"{kind}.{field} = {_value(value)}"
        for kind, fields in sorted(overrides.items())
        for field, value in sorted(fields.items())
    )


def check(pack: Pack, overrides: Overrides) -> None:
    """Raise BadOwnTerms where terms cannot be used with their contract pack, or leave a period blank that it leaves
    blank.
    """
    try:
        refuse_bad_overrides(pack, overrides)
    except BadPack as bad:
        raise BadOwnTerms([_problem("contradiction", pack=pack.name, why=str(bad))]) from None
    if blank := blanks(pack, overrides):
        raise BadOwnTerms([_problem("period_blank", pack=pack.name, kind=kind) for kind in blank])


def blanks(pack: Pack, overrides: Overrides) -> tuple[str, ...]:
    """Return the kinds of announcement whose period neither the contract pack nor the client's own terms say."""
    found = []
    for key in pack.written:
        kind, _, aspect = key.partition(".")
        try:
            pack.rule_for(kind, aspect, overrides)
        except PeriodBlank:
            found.append(key)
        except BadPack:
            continue  # another fault, which is told elsewhere
    return tuple(found)


def changed(before: Overrides, after: Overrides) -> tuple[str, ...]:
    """Return which terms differ, as "subprocessor.period"."""
    left, right = _flat(before), _flat(after)
    return tuple(sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a contract, with a client's own terms, says of one kind of announcement; no rule where it says nothing that
    can be used, with the reason: "blank", "none" or "unusable".
    """

    kind: AnnouncementKind
    aspect: str
    rule: Rule | None
    trouble: str = ""


def effective(pack: Pack, overrides: Overrides) -> tuple[Said, ...]:
    """Return what holds for each kind of announcement, and for each of its aspects that is spoken of apart."""
    spoken_of = [*pack.written, *(name for name in overrides if name != EVERY_KIND)]
    aspects = {kind: [""] for kind in AnnouncementKind}
    for key in dict.fromkeys(spoken_of):
        kind, _, aspect = key.partition(".")
        if aspect and kind in aspects:
            aspects[AnnouncementKind(kind)].append(aspect)
    return tuple(_said(pack, overrides, kind, aspect) for kind, listed in aspects.items() for aspect in listed)


def _said(pack: Pack, overrides: Overrides, kind: AnnouncementKind, aspect: str) -> Said:
    try:
        pack.key_for(kind, aspect)
    except BadPack:
        return Said(kind=kind, aspect=aspect, rule=None, trouble="none")
    try:
        return Said(kind=kind, aspect=aspect, rule=pack.rule_for(kind, aspect, overrides))
    except PeriodBlank:
        return Said(kind=kind, aspect=aspect, rule=None, trouble="blank")
    except BadPack:
        return Said(kind=kind, aspect=aspect, rule=None, trouble="unusable")


# --- reading ---------------------------------------------------------------------------------------------------------


def _terms(text: str) -> Iterator[str]:
    """Cut at semicolons and line ends that stand in no quotation marks; what is left has single spaces."""
    composed = unicodedata.normalize("NFC", text)
    for found in re.finditer(r'(?:"[^"]*(?:"|$)|[^;"\n\r])+', composed):
        if term := " ".join(found[0].split()):
            yield term


def _term(term: str, roles: Collection[str] | None) -> tuple[str, str, Any]:
    name, equals, value = (part.strip() for part in term.partition("="))
    kind, dot, field = name.casefold().rpartition(".")
    if not (equals and dot and field and re.fullmatch(r"\w+(\.\w+)?", kind)):
        raise _Wrong("shape", term=term)
    if not term.isprintable():
        raise _Wrong("unprintable", term=term)
    if kind != EVERY_KIND and kind.partition(".")[0] not in set(AnnouncementKind):
        raise _Wrong("kind", value=kind, known=_listed([*AnnouncementKind, EVERY_KIND]))
    known = FOR_EVERY_KIND if kind == EVERY_KIND else OVERRIDABLE
    if field not in known:
        raise _Wrong("field", kind=kind, value=field, known=_listed(sorted(known)))
    if not value:
        raise _Wrong("empty", field=name)
    bare = _unquoted(term, value)
    if not bare and field not in MAY_BE_NOTHING:
        raise _Wrong("empty", field=name)
    try:
        return kind, field, _read(field, bare, roles)
    except _Wrong as wrong:
        raise _Wrong(wrong.code, **{"field": name, "value": bare, **wrong.facts}) from None


def _unquoted(term: str, value: str) -> str:
    if '"' not in value:
        return value
    if not re.fullmatch(r'"(?:[^"]|"")*"', value):
        raise _Wrong("quotes", term=term)
    return value[1:-1].replace('""', '"').strip()


def _read(field: str, text: str, roles: Collection[str] | None) -> Any:  # noqa: ANN401 - of the type that the field has
    if isinstance(UNSAID.get(field), tuple):
        parts = dict.fromkeys(part.strip() for part in text.split("|") if part.strip())
        known = CHOICES.get(field, roles)
        return [_chosen(part, known) if known is not None else part for part in parts]
    if field in CHOICES:
        return _chosen(text, CHOICES[field])
    if isinstance(UNSAID.get(field), bool):
        return _yes_or_no(text)
    if isinstance(UNSAID.get(field), int):
        return _number(text)
    return _TEXTS.get(field, str)(text) if text else ""


def _chosen(text: str, known: Collection[str]) -> str:
    spelled = {word.casefold(): str(word) for word in known}
    if text.casefold() not in spelled:
        raise _Wrong("choice", value=text, known=_listed([word for word in known if word]))
    return spelled[text.casefold()]


def _yes_or_no(text: str) -> bool:
    if text.casefold() not in YES_NO:
        raise _Wrong("yes_no")
    return YES_NO[text.casefold()]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise _Wrong("number")
    return int(text)


def _period(text: str) -> str:
    try:
        return text if text == AT_ONCE else str(Period.parse(text))
    except ValueError:
        raise _Wrong("period") from None


def _length(text: str) -> str:
    if text == AT_ONCE:
        raise _Wrong("period")
    return _period(text)


def _calendar(text: str) -> str:
    try:
        return Calendar.named(text).name
    except ValueError:
        raise _Wrong("calendar") from None


def _timezone(text: str) -> str:
    try:
        return zone(text).key
    except ValueError:
        raise _Wrong("timezone") from None


def _cutoff(text: str) -> str:
    try:
        return time.fromisoformat(text).isoformat("minutes")
    except ValueError:
        raise _Wrong("cutoff") from None


_TEXTS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "period": _period,
        "window": _length,
        "downstream_period": _length,
        "calendar": _calendar,
        "timezone": _timezone,
        "cutoff": _cutoff,
    }
)


# --- writing ---------------------------------------------------------------------------------------------------------


def _value(value: object) -> str:
    if isinstance(value, bool):
        return YES if value else NO
    text = "|".join(value) if isinstance(value, list | tuple) else str(value)
    return text if text and not re.search(r'[;"]', text) else '"' + text.replace('"', '""') + '"'


def _flat(overrides: Overrides) -> dict[str, Any]:
    return {f"{kind}.{field}": value for kind, fields in overrides.items() for field, value in fields.items()}


def _listed(words: Sequence[str]) -> str:
    return ", ".join(str(word) for word in words)


def _problem(code: str, **facts: str) -> Problem:
    shown = {name: fact if name in {"known", "why"} else _shown(fact) for name, fact in facts.items()}
    en, fr = TEXTS[code]
    return Problem(code=code, en=en.format_map(shown), fr=_unbroken(fr).format_map(shown))


def _shown(text: str) -> str:
    """A text fit to be quoted in a sentence."""
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _unbroken(french: str) -> str:
    """French with the spaces beside its signs made such that no line ends there."""
    return re.sub(r" (?=[;:?!»])|(?<=«) ", "\u00a0", french)
