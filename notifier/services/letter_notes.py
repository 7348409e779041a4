"""What a letter says of one client's contract: what may be done, until when, and the note beside each company."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from notifier.adapters.dates import end_of_day, plain_date
from notifier.models import Announcement, Client, Notice
from notifier.rules.entries import SCOPE
from notifier.rules.kinds import KINDS, AnnouncementKind
from notifier.rules.periods import Counting, Period
from notifier.rules.registry_diff import from_json
from notifier.rules.scope import Reason, Scope, is_limited, reason_of
from notifier.rules.terms import Channel, Rule
from notifier.rules.wording import NBSP, period_in_words

RULE_NOTE = {"en": "{period} from receipt ({clause})", "fr": "{period} à compter de la réception ({clause})"}
WINDOW_NOTE = {
    "en": "{note}; the change does not start for you before {day}",
    "fr": f"{{note}}{NBSP}; le changement ne commence pas pour vous avant le {{day}}",
}
EMERGENCY_NOTE = {
    "en": "{note}; without your consent the change does not start for you before {day}",
    "fr": f"{{note}}{NBSP}; sans votre accord, le changement ne commence pas pour vous avant le {{day}}",
}
CONSENT_NOTE = {
    "en": "nothing starts without your consent ({clause})",
    "fr": "rien ne commence sans votre accord ({clause})",
}
BEFOREHAND = {"en": "at least {period} beforehand ({clause})", "fr": "au moins {period} à l’avance ({clause})"}
NO_LAST_DAY = {
    "en": "no last day is set for your answer ({clause})",
    "fr": "aucun dernier jour n’est fixé pour votre réponse ({clause})",
}
CONFIRMATION_ASKED = {
    "en": "we ask for your confirmation ({clause})",
    "fr": "nous demandons votre confirmation ({clause})",
}
FOR_INFORMATION = {"en": "for information ({clause})", "fr": "pour information ({clause})"}
BY_LETTER = {
    "en": {Channel.PAPER: "registered letter", Channel.E_LETTER: "registered electronic letter"},
    "fr": {Channel.PAPER: "lettre recommandée", Channel.E_LETTER: "lettre recommandée électronique"},
}
LETTER_NOTE = {
    "en": "{letter}; {period} counted from receipt of the letter ({clause})",
    "fr": f"{{letter}}{NBSP}; {{period}} à compter de la réception de la lettre ({{clause}})",
}
LETTER_ALONE = {"en": "{letter} ({clause})", "fr": "{letter} ({clause})"}
# Why a change concerns a client: {your} and {you} are said to the client, or of it.
NAMED = {
    "en": {
        "services": ("used by {your} service {names}", "used by {your_many} services {names}"),
        "regions": ("in {your} region {names}", "in {your_many} regions {names}"),
        "options": ("with {your} option {names}", "with {your_many} options {names}"),
    },
    "fr": {
        "services": ("utilisé par {your} service {names}", "utilisé par {your_many} services {names}"),
        "regions": ("dans {your} région {names}", "dans {your_many} régions {names}"),
        "options": ("avec {your} option {names}", "avec {your_many} options {names}"),
    },
}
UNSTATED = {
    "en": {
        "services": "{you} not said which services {they}",
        "regions": "{you} not said which regions {they}",
        "options": "{you} not said which options {they}",
    },
    "fr": {
        "services": "{you} pas indiqué {your_many} services",
        "regions": "{you} pas indiqué {your_many} régions",
        "options": "{you} pas indiqué {your_many} options",
    },
}
USED_BY_ALL = {"en": "used by every service", "fr": "utilisé par tous les services"}
TO_THE_CLIENT = {
    "en": {"your": "your", "your_many": "your", "you": "you have", "they": "you use"},
    "fr": {"your": "votre", "your_many": "vos", "you": "vous n’avez"},
}
OF_THE_CLIENT = {
    "en": {"your": "its", "your_many": "its", "you": "it has", "they": "it uses"},
    "fr": {"your": "son", "your_many": "ses", "you": "il n’a"},
}
AND = {"en": " and ", "fr": " et "}
WHY_YOU = {
    "en": "Why this concerns you: {because}.",
    "fr": f"Pourquoi cela vous concerne{NBSP}: {{because}}.",
}
LAST_DAY = {"en": "until {day}", "fr": "jusqu’au {day}"}


class Reader(NamedTuple):
    """Of a contact, what a mail needs that is one of thousands."""

    id: UUID
    name: str
    email: str
    language: str


class Company(NamedTuple):
    """Of a client, the same."""

    company: str
    reseller: bool
    scope: Scope


class Clock(NamedTuple):
    """Of a notice, the same."""

    id: UUID
    sealed_id: UUID
    object_by: date
    object_until: datetime
    holds_until: datetime
    channel: Channel
    edition: int
    live_at: datetime | None = None


def has_last_day(announcement: Announcement, rule: Rule) -> bool:
    """Say whether a client under this rule is given a last day: for a clock of its own, or for its consent."""
    asked = rule.may_object or rule.may_terminate or rule.asks_confirmation
    return rule.asks_consent or (rule.runs and (asked or announcement.kind is AnnouncementKind.EMERGENCY))


def acts(announcement: Announcement, rules: Sequence[Rule], language: str, *, made: bool = False) -> dict[str, Any]:
    """Return what readers may do besides acknowledging; `confirm` lists the statements that they may make.

    `made`: the change has been made for all of them, so that there is nothing left to consent to.
    """
    emergency = announcement.kind is AnnouncementKind.EMERGENCY
    consents = any(rule.asks_consent or (emergency and rule.waits) for rule in rules)
    statements = (rule.says[language]["confirmation"] for rule in rules if rule.asks_confirmation)
    return {
        "object": any(rule.may_object for rule in rules),
        "terminate": any(rule.may_terminate for rule in rules),
        "consent": consents and not made,
        "confirm": list(dict.fromkeys(statements)),
    }


def said(rule: Rule, language: str) -> dict[str, Any]:
    says = rule.says[language]
    return {
        "clause": rule.clause,
        "runs": rule.runs,
        "consent": rule.asks_consent,
        "silence": says["silence"],
        "remedy": says["remedy"],
    }


def note_of_clock(announcement: Announcement, notice: Notice | Clock, rule: Rule, language: str) -> str:
    """Return what stands beside a last day: where it comes from, and from when the change may start if that is another
    day's business.
    """
    if not rule.runs or rule.period is None:
        return CONSENT_NOTE[language].format(clause=rule.clause)
    period = _in_words(rule.window or rule.period, rule, language)
    note = RULE_NOTE[language].format(period=period, clause=rule.clause)
    emergency = announcement.kind is AnnouncementKind.EMERGENCY
    if not rule.waits or KINDS[announcement.kind].at_once or not (rule.window or emergency):
        return note
    day = plain_date(rule.day_of(notice.holds_until), language)
    return (EMERGENCY_NOTE if emergency else WINDOW_NOTE)[language].format(note=note, day=day)


def note_without_last_day(rule: Rule, language: str) -> str:
    if rule.counts_back and rule.period:
        return BEFOREHAND[language].format(period=_in_words(rule.period, rule, language), clause=rule.clause)
    asked = CONFIRMATION_ASKED if rule.asks_confirmation else NO_LAST_DAY if rule.may_terminate else FOR_INFORMATION
    return asked[language].format(clause=rule.clause)


def note_of_letter(notice: Notice | Clock, rule: Rule, language: str) -> str:
    letter = BY_LETTER[language][_channel_of_letter(notice)]
    if not rule.runs or rule.period is None:
        return LETTER_ALONE[language].format(letter=letter, clause=rule.clause)
    period = _in_words(rule.window or rule.period, rule, language)
    return LETTER_NOTE[language].format(letter=letter, period=period, clause=rule.clause)


def _channel_of_letter(notice: Notice | Clock) -> Channel:
    return Channel.PAPER if notice.channel is Channel.MAIL else notice.channel


def _in_words(period: Period, rule: Rule, language: str) -> str:
    return period_in_words(period, language, rule.counting if isinstance(rule.counting, Counting) else None)


def note_of_breach(announcement: Announcement, notice: Notice | Clock, rule: Rule, language: str) -> str:
    if rule.asks_consent or not has_last_day(announcement, rule):  # to what has been made nobody consents any more
        return rule.clause
    day = LAST_DAY[language].format(day=end_of_day(notice.object_by, rule.timezone, language))
    return f"{day}, {rule.clause}"


# --- why it concerns this client -------------------------------------------------------------------------------------


def why(announcement: Announcement, client: Client | Company, language: str) -> str:
    """Return why what is announced concerns a client, as it is said to the client: "used by your service Hosting"; ""
    where it concerns everybody alike.
    """
    changes = [from_json(change) for change in announcement.changes]
    reason = reason_of(changes, client.scope) if is_limited(changes) else None
    return because(reason, language) if reason else ""


def why_in_a_sentence(announcement: Announcement, client: Client, language: str) -> str:
    """Return the same as a sentence; "" where it concerns everybody alike."""
    said = why(announcement, client, language)
    return WHY_YOU[language].format(because=said) if said else ""


def because(reason: Reason, language: str, *, of_the_client: bool = False) -> str:
    """Return a reason within a sentence: "used by your service Hosting", or said of the client, "used by its …"."""
    person = (OF_THE_CLIENT if of_the_client else TO_THE_CLIENT)[language]
    said = [
        NAMED[language][dimension][len(met) > 1].format(names=_listed(met, language), **person)
        for dimension in SCOPE
        if (met := getattr(reason, dimension))
    ]
    said += [UNSTATED[language][dimension].format(**person) for dimension in reason.unstated]
    return ", ".join(said) or USED_BY_ALL[language]


def _listed(names: Sequence[str], language: str) -> str:
    *most, last = names
    return AND[language].join(filter(None, [", ".join(most), last]))
