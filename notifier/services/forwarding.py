"""Passing a notice on: what a client that is itself a processor tells its own clients, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from notifier.adapters.dates import long_date
from notifier.models import Announcement, Provider
from notifier.rules.kinds import LANGUAGES
from notifier.rules.periods import Period
from notifier.rules.registry_diff import from_json
from notifier.rules.terms import Rule
from notifier.rules.wording import NBSP, period_in_words
from notifier.services import letter_words

_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "heading": "{provider}: notice {reference}",
            "edition": "Edition {edition}. It replaces what this notice said before.",
            "to_come": "WHAT CHANGES",
            "happened": "WHAT IT IS ABOUT",
            "why": "WHY",
            "list": "List of subprocessors: {address}",
            "last_day": "last day to forward: {day}",
            "short": "{last_day}. Our notice leaves you {left} for it, less than the {needed} of your contract",
            "at_once": "forward it at once",
            "too_late": "{last_day}. This message is presumed to reach you no sooner: forward it at once",
            "in_time": "forward it in the time that you owe your own clients",
        },
        "fr": {
            "heading": f"{{provider}}{NBSP}: notification {{reference}}",
            "edition": "Version {edition}. Elle remplace ce que cette notification disait auparavant.",
            "to_come": "CE QUI CHANGE",
            "happened": "DE QUOI IL S’AGIT",
            "why": "POURQUOI",
            "list": f"Liste des sous-traitants{NBSP}: {{address}}",
            "last_day": f"dernier jour pour transmettre{NBSP}: {{day}}",
            "short": "{last_day}. Notre notification vous laisse {left} pour le faire, moins que les {needed} prévus "
            "par votre contrat",
            "at_once": "à transmettre sans attendre",
            "too_late": "{last_day}. Ce message est présumé ne pas vous parvenir plus tôt"
            f"{NBSP}: transmettez-le sans attendre",
            "in_time": "à transmettre dans le délai que vous devez à vos propres clients",
        },
    }
)


def forwarding(announcement: Announcement, profile: Provider) -> dict[str, Any]:
    """Return an announcement for another program, as JSON values: the facts that a mail to forward carries."""
    return {
        "provider": profile.legal_name,
        "reference": announcement.reference,
        "edition": announcement.edition,
        "kind": announcement.kind.value,
        "aspect": announcement.aspect,
        "effective_on": announcement.effective_on.isoformat(),
        "changes": announcement.changes,
        "facts": announcement.facts,
        "reasons": {language: announcement.reasons[language] for language in languages_of(announcement)},
        "list_url": letter_words.list_url(profile),
    }


def neutral_text(announcement: Announcement, profile: Provider, language: str) -> str:
    """Return an announcement as text for a processor's own clients: who changes what, from when and why, in the third
    person and without a link of ours but the public list.
    """
    words = _WORDS[language]
    named = f"{letter_words.title(announcement, language)}{letter_words.COLON[language]}"
    dated = letter_words.when(announcement, profile, language)
    lines = [
        words["heading"].format(provider=profile.legal_name, reference=announcement.reference),
        f"{named} {letter_words.what(announcement, language)}, {dated}",
        *([words["edition"].format(edition=announcement.edition)] if announcement.edition > 1 else []),
        "",
        words["happened" if letter_words.has_happened(announcement, profile) else "to_come"],
        *_told(announcement, language),
        "",
        words["why"],
        announcement.reasons[language],
    ]
    if announcement.changes:
        lines += ["", words["list"].format(address=letter_words.list_url(profile))]
    return "\n".join(lines)


def _told(announcement: Announcement, language: str) -> list[str]:
    told = []
    for change in announcement.changes:
        first, *rest = letter_words.change_in_text(from_json(change), language)
        told += [f"- {first}", *(f"  {line}" for line in rest)]
    colon = letter_words.COLON[language]
    return told + [f"- {row['label']}{colon} {row['value']}" for row in letter_words.facts_of(announcement, language)]


def languages_of(announcement: Announcement) -> list[str]:
    """Return the languages that an announcement is written in."""
    return [language for language in LANGUAGES if announcement.reasons.get(language)]


def forward_note(rule: Rule, announcement: Announcement, profile: Provider, language: str, *, received_on: date) -> str:
    """Return until when a processor may pass this on so that its own clients have their time, and whether that leaves
    it less than its contract counts on.

    `received_on`: when our notice is presumed to reach it.
    """
    words = _WORDS[language]
    if letter_words.has_happened(announcement, profile):
        return words["at_once"]
    day = rule.last_day_to_forward(announcement.effective_on)
    if day is None:
        return words["in_time"]
    last_day, left = words["last_day"].format(day=long_date(day, language)), (day - received_on).days
    if left < 1:
        return words["too_late"].format(last_day=last_day)
    if left < rule.forward_days:
        return words["short"].format(
            last_day=last_day, left=_days(left, language), needed=_days(rule.forward_days, language)
        )
    return last_day


def _days(number: int, language: str) -> str:
    return period_in_words(Period.parse(f"{number} days"), language)
