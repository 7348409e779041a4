from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.deadlines import Method, ask, deadline
from notifier.rules.periods import Counting, Period, Step
from notifier.rules.wording import clauses, explain, long_date, period_in_words


def said(language: str, period: str, rule: str, **params: str) -> str:
    asked = ask(
        start="2026-03-04T09:30+01:00",
        timezone="Europe/Paris",
        period=Period.parse(period),
        calendar="FR+DE",
        rule=rule,
        params=params,
    )
    return explain(asked, deadline(asked), language)


def test_a_deadline_is_explained_in_one_english_sentence() -> None:
    assert said("en", "30 days", "FR_CAL") == (
        "By the rule FR_CAL on the calendar FR+DE, the period runs from Wednesday 4 March 2026, which is not counted; "
        "30 days later is Friday 3 April 2026; as that is Good Friday, then a Saturday, then a Sunday, then Easter "
        "Monday, the last day moves to Tuesday 7 April 2026; the last second in time is 23:59:59 on Tuesday 7 April "
        "2026 (Europe/Paris, 2026-04-07T23:59:59+02:00)."
    )


def test_a_deadline_is_explained_in_one_french_sentence() -> None:
    assert said("fr", "30 days", "FR_CAL").replace("\N{NO-BREAK SPACE}", " ") == (
        "Selon la règle FR_CAL et le calendrier FR+DE, le délai court à compter du mercredi 4 mars 2026, jour non "
        "compté ; 30 jours plus tard, c’est le vendredi 3 avril 2026 ; comme c’est le Vendredi saint, puis un samedi, "
        "puis un dimanche, puis le lundi de Pâques, le dernier jour est reporté au mardi 7 avril 2026 ; la dernière "
        "seconde utile est 23:59:59 le mardi 7 avril 2026 (Europe/Paris, 2026-04-07T23:59:59+02:00)."
    )


PERIOD_FOR = {
    Method.BUSINESS: "40 business days",
    Method.OUVRABLE: "40 business days",
    Method.BACK_BUSINESS: "60 business days",
    Method.ELAPSED: "10 days and 2 hours",
    Method.WALL: "10 days and 2 hours",
}


@pytest.mark.parametrize("deemed", ["window_end", "first_presentation"])
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("method", Method)
def test_every_rule_is_explained_with_nothing_left_to_fill_in(method: Method, language: str, deemed: str) -> None:
    sentence = said(language, PERIOD_FOR.get(method, "1 month and 3 days"), method.value, deemed=deemed)

    assert "{" not in sentence
    assert sentence.count("2026-") == 1 or "2025-" in sentence
    assert not re.search(r"  | ,|\(\)", sentence)
    assert language == "en" or not re.search(r" [;:!?»]", sentence)


@pytest.mark.parametrize(
    ("period", "language", "counting", "words"),
    [
        (Period(days=1), "en", None, "1 day"),
        (Period(days=1), "fr", None, "1 jour"),
        (Period(days=10, months=1), "en", None, "1 month and 10 days"),
        (Period(days=10, months=2), "fr", None, "2 mois et 10 jours"),
        (Period(business_days=15), "fr", Counting.BUSINESS, "15 jours ouvrés"),
        (Period(business_days=15), "fr", Counting.OUVRABLE, "15 jours ouvrables"),
        (Period(business_days=15), "en", Counting.OUVRABLE, "15 working days (Saturdays included)"),
        (Period(hours=48), "fr", None, "48 heures"),
    ],
)
def test_a_period_is_said_in_words(period: Period, language: str, counting: Counting | None, words: str) -> None:
    assert period_in_words(period, language, counting) == words


def test_a_margin_of_nothing_is_said_too() -> None:
    steps = [Step("margin", date(2026, 3, 2), why="0 days")]

    assert clauses(steps, "en") == ["with a margin of 0 days, that is Monday 2 March 2026"]
    assert clauses(steps, "fr") == ["avec une marge de 0 jour, c’est le lundi 2 mars 2026"]


def test_the_time_to_answer_is_said_beside_the_period() -> None:
    steps = [Step("window", date(2026, 3, 4)), Step("added", date(2026, 4, 3), why="30 days")]

    assert clauses(steps, "en") == [
        "the time to answer runs from Wednesday 4 March 2026, which is not counted either",
        "30 days later is Friday 3 April 2026",
    ]
    assert clauses(steps, "fr") == [
        "le temps pour répondre court à compter du mercredi 4 mars 2026, jour non compté lui aussi",
        "30 jours plus tard, c’est le vendredi 3 avril 2026",
    ]


def test_holidays_left_out_are_named_with_their_days() -> None:
    steps = [Step("skipped", date(2026, 5, 1), why="Labor Day"), Step("skipped", date(2026, 5, 9), why="Fallas")]

    assert clauses(steps, "en") == ["holidays left out: Labour Day (Friday 1 May 2026), Fallas (Saturday 9 May 2026)"]
    assert clauses(steps, "fr") == [
        (
            "jours fériés écartés\N{NO-BREAK SPACE}: la fête du Travail (vendredi 1er mai 2026), "
            "le jour férié «\N{NO-BREAK SPACE}Fallas\N{NO-BREAK SPACE}» (samedi 9 mai 2026)"
        )
    ]


@given(st.dates())
def test_a_day_is_written_as_both_languages_write_it(day: date) -> None:
    assert long_date(day, "en") == f"{day:%A} {day.day} {day:%B} {day.year}"
    assert long_date(day, "fr").split()[1] == ("1er" if day.day == 1 else str(day.day))
