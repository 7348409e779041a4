"""The arithmetic of a deadline in words, in English and in French."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from types import MappingProxyType

from notifier.rules.calendars import ADDED
from notifier.rules.deadlines import Deadline, Ending, Question
from notifier.rules.periods import Counting, Period, Step

NBSP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speech:
    """How one language speaks; what stands in braces is filled in."""

    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    day: Callable[[int], str]
    several: Callable[[int], bool]
    units: Mapping[str, tuple[str, str]]  # one, several
    workable: tuple[str, str]  # business days when Saturdays count
    after_workable: str
    then: str
    also: str
    reasons: Mapping[str, str]
    other_holiday: str
    clauses: Mapping[str, str]  # by what a step did
    whole: str
    endings: Mapping[Ending, str]


_ENGLISH = _Speech(
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    day=str,
    several=lambda number: number != 1,
    units={
        "months": ("month", "months"),
        "weeks": ("week", "weeks"),
        "days": ("day", "days"),
        "business_days": ("business day", "business days"),
        "hours": ("hour", "hours"),
    },
    workable=("working day", "working days"),
    after_workable=" (Saturdays included)",
    then=", then ",
    also=" and ",
    reasons={
        "saturday": "a Saturday",
        "sunday": "a Sunday",
        ADDED: "a holiday added to the calendar",
        "Labor Day": "Labour Day",
        "Pentecost Monday": "Whit Monday",
        "Pentecost": "Whit Sunday",
        "National Day": "the National Day",
        "Second Day of Christmas": "the second day of Christmas",
    },
    other_holiday="{name}",
    clauses={
        "presumed_receipt": "the notice is presumed to be received on {day}",
        "margin": "with a margin of {period}, that is {day}",
        "accepted": "the mail is taken on {day} at {why}",
        "deemed_received": "with a cut-off at {why} on working days, it is deemed received on {day}",
        "informed": "the addressee is told of the registered e-letter on {day}",
        "unclaimed": "its {period} end unclaimed on {day}, which is when it is deemed received",
        "presented": "it is deemed received when first presented, on {day}",
        "day_zero": "the period runs from {day}, which is not counted",
        "window": "the time to answer runs from {day}, which is not counted either",
        "skipped": "holidays left out: {reasons}",
        "added": "{period} later is {day}",
        "added_with_saturdays": "{period} later is {day}",
        "rolled": "as that is {reasons}, the last day moves to {day}",
        "extended": "as two days or more must hold two working days, the last day moves to {day}",
        "cleared": "as the last day does not count either (clear days), that is {day}",
        "event": "the event is on {day}, which is not counted",
        "counted_back": "{day} is the latest day that leaves {period} before it",
        "moved_back": "as that is {reasons}, {day} is taken, and never a later day",
        "opened": "what was held back may take effect from {day}",
        "started": "the time runs from {day} at {why}",
        "elapsed": "adding {period} of elapsed time, with days of 24 hours, leads to {day}",
        "on_the_clock": "adding {period} as the clock on the wall shows them leads to {day}",
    },
    whole="By the rule {rule} on the calendar {calendar}, {arithmetic}; {ending}.",
    endings={
        Ending.LAST_SECOND: "the last second in time is {clock} on {day} ({zone}, {instant})",
        Ending.FIRST_SECOND: "the first second after the period is {clock} on {day} ({zone}, {instant})",
        Ending.INSTANT: "the deadline is {clock} on {day} ({zone}, {instant})",
    },
)

_FRENCH = _Speech(
    weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    months=(
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ),
    day=lambda number: "1er" if number == 1 else str(number),
    several=lambda number: number > 1,
    units={
        "months": ("mois", "mois"),
        "weeks": ("semaine", "semaines"),
        "days": ("jour", "jours"),
        "business_days": ("jour ouvré", "jours ouvrés"),
        "hours": ("heure", "heures"),
    },
    workable=("jour ouvrable", "jours ouvrables"),
    after_workable="",
    then=", puis ",
    also=" et ",
    reasons={
        "saturday": "un samedi",
        "sunday": "un dimanche",
        ADDED: "un jour férié ajouté au calendrier",
        "All Saints' Day": "la Toussaint",
        "Armistice Day": "l’Armistice",
        "Ascension Day": "l’Ascension",
        "Assumption Day": "l’Assomption",
        "Christmas Day": "Noël",
        "Corpus Christi": "la Fête-Dieu",
        "Easter Monday": "le lundi de Pâques",
        "Easter Sunday": "le dimanche de Pâques",
        "Epiphany": "l’Épiphanie",
        "Europe Day": "la Journée de l’Europe",
        "German Unity Day": "le jour de l’Unité allemande",
        "Good Friday": "le Vendredi saint",
        "Immaculate Conception": "l’Immaculée Conception",
        "King's Day": "la fête du Roi",
        "Labor Day": "la fête du Travail",
        "Liberation Day": "le jour de la Libération",
        "National Day": "la fête nationale",
        "New Year's Day": "le jour de l’An",
        "Pentecost": "le dimanche de Pentecôte",
        "Pentecost Monday": "le lundi de Pentecôte",
        "Reformation Day": "la fête de la Réformation",
        "Saint Stephen's Day": "la Saint-Étienne",
        "Second Day of Christmas": "le lendemain de Noël",
        "Victory Day": "la fête de la Victoire",
    },
    other_holiday=f"le jour férié «{NBSP}{{name}}{NBSP}»",
    clauses={
        "presumed_receipt": "la notification est présumée reçue le {day}",
        "margin": "avec une marge de {period}, c’est le {day}",
        "accepted": "le courriel est accepté le {day} à {why}",
        "deemed_received": "l’heure limite étant {why} les jours ouvrés, il est réputé reçu le {day}",
        "informed": "le destinataire est avisé de l’envoi recommandé électronique le {day}",
        "unclaimed": "les {period} pour l’accepter expirent sans retrait le {day}, date à laquelle il est réputé reçu",
        "presented": "il est réputé reçu dès sa première présentation, le {day}",
        "day_zero": "le délai court à compter du {day}, jour non compté",
        "window": "le temps pour répondre court à compter du {day}, jour non compté lui aussi",
        "skipped": f"jours fériés écartés{NBSP}: {{reasons}}",
        "added": "{period} plus tard, c’est le {day}",
        "added_with_saturdays": "{period} plus tard, c’est le {day}",
        "rolled": "comme c’est {reasons}, le dernier jour est reporté au {day}",
        "extended": "deux jours ou plus devant comprendre deux jours ouvrés, le dernier jour est reporté au {day}",
        "cleared": "le délai étant franc, le dernier jour ne compte pas non plus, ce qui mène au {day}",
        "event": "l’événement a lieu le {day}, jour non compté",
        "counted_back": "le {day} est le dernier jour qui laisse {period} avant cette date",
        "moved_back": "comme c’est {reasons}, on retient le {day}, jamais un jour plus tardif",
        "opened": "ce qui était suspendu peut prendre effet à partir du {day}",
        "started": "le temps court à compter du {day} à {why}",
        "elapsed": "en ajoutant {period} de temps écoulé, par jours de 24 heures, on arrive au {day}",
        "on_the_clock": "en ajoutant {period} à l’heure des horloges, on arrive au {day}",
    },
    whole=f"Selon la règle {{rule}} et le calendrier {{calendar}}, {{arithmetic}}{NBSP}; {{ending}}.",
    endings={
        Ending.LAST_SECOND: "la dernière seconde utile est {clock} le {day} ({zone}, {instant})",
        Ending.FIRST_SECOND: "la première seconde après le délai est {clock} le {day} ({zone}, {instant})",
        Ending.INSTANT: "l’échéance est à {clock} le {day} ({zone}, {instant})",
    },
)

_SPEECH: Mapping[str, _Speech] = MappingProxyType({"en": _ENGLISH, "fr": _FRENCH})
_BETWEEN = MappingProxyType({"en": "; ", "fr": f"{NBSP}; "})


def long_date(day: date, language: str) -> str:
    """Return "Friday 15 May 2026" or "vendredi 15 mai 2026"."""
    speech = _SPEECH[language]
    return f"{speech.weekdays[day.weekday()]} {speech.day(day.day)} {speech.months[day.month - 1]} {day.year}"


def period_in_words(period: Period, language: str, counting: Counting | None = None) -> str:
    """Return "30 days" or "30 jours"; for OUVRABLE, business days are "15 working days (Saturdays included)"."""
    return _amounts(period.parts(), language, saturdays=counting is Counting.OUVRABLE)


def _amounts(parts: Iterable[tuple[int, str]], language: str, *, saturdays: bool = False) -> str:
    speech = _SPEECH[language]
    units = {**speech.units, "business_days": speech.workable} if saturdays else speech.units
    named = speech.also.join(f"{amount} {units[unit][speech.several(amount)]}" for amount, unit in parts)
    return named + speech.after_workable if saturdays else named


def reason_in_words(why: str, language: str) -> str:
    """Return the words for what makes a day no working day: "a Saturday", "le lundi de Pâques"."""
    speech = _SPEECH[language]
    return speech.reasons.get(why) or speech.other_holiday.format(name=why.replace("'", "’"))


def clauses(steps: Iterable[Step], language: str) -> list[str]:
    """Say each step; those that did the same one after the other, such as leaving a long weekend, are said as one."""
    return [_clause(did, list(together), language) for did, together in groupby(steps, key=lambda step: step.did)]


def explain(asked: Question, found: Deadline, language: str) -> str:
    """Say how a deadline was computed, in one sentence that names the rule, the calendar and the instant."""
    speech = _SPEECH[language]
    ending = speech.endings[found.ending].format(
        clock=f"{found.at:%H:%M:%S}",
        day=long_date(found.at.date(), language),
        zone=asked.tz.key,
        instant=found.at.isoformat(timespec="seconds"),
    )
    arithmetic = _BETWEEN[language].join(clauses(found.steps, language))
    return speech.whole.format(rule=asked.method, calendar=asked.calendar.name, arithmetic=arithmetic, ending=ending)


def _clause(did: str, together: Sequence[Step], language: str) -> str:
    speech, last = _SPEECH[language], together[-1]
    listed = ", " if did == "skipped" else speech.then
    return speech.clauses[did].format(
        day=long_date(last.day, language),
        why=last.why,
        period=_period(last, language),
        reasons=listed.join(_reason(step, language) for step in together),
    )


def _reason(step: Step, language: str) -> str:
    named = reason_in_words(step.why, language)
    return f"{named} ({long_date(step.day, language)})" if step.did == "skipped" else named


def _period(step: Step, language: str) -> str:
    """Return the period that a step keeps as its reason, where it does; a margin may be of 0 days."""
    if step.did == "margin":
        return _amounts([(int(step.why.partition(" ")[0]), "days")], language)
    if step.did not in {"added", "added_with_saturdays", "unclaimed", "counted_back", "elapsed", "on_the_clock"}:
        return ""
    return _amounts(Period.parse(step.why).parts(), language, saturdays=step.did == "added_with_saturdays")
