from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from notifier.adapters.dates import end_of_day, instant, long_date, mail_date, plain_date, zone_name


@pytest.mark.parametrize(
    ("language", "day", "words"),
    [
        ("en", date(2026, 12, 21), "Monday 21 December 2026"),
        ("fr", date(2026, 12, 21), "lundi 21 décembre 2026"),
        ("fr", date(2026, 6, 1), "lundi 1er juin 2026"),
        ("en", date(2026, 6, 1), "Monday 1 June 2026"),
        ("fr", date(2026, 8, 11), "mardi 11 août 2026"),
    ],
)
def test_a_long_date_names_its_weekday(language: str, day: date, words: str) -> None:
    assert long_date(day, language) == words


def test_a_plain_date_does_not_name_its_weekday() -> None:
    assert plain_date(date(2027, 1, 1), "fr") == "1er janvier 2027"
    assert plain_date(date(2027, 1, 15), "en") == "15 January 2027"


@pytest.mark.parametrize(
    ("tz", "english", "french"),
    [
        ("Europe/Paris", "Paris time", "heure de Paris"),
        ("Europe/Amsterdam", "Amsterdam time", "heure d’Amsterdam"),
        ("Africa/Cairo", "Cairo time", "heure du Caire"),
        ("America/New_York", "New York time", "heure de New York"),
        ("UTC", "UTC", "UTC"),
    ],
)
def test_a_zone_is_named_after_its_city(tz: str, english: str, french: str) -> None:
    assert zone_name(tz, "en") == english
    assert zone_name(tz, "fr") == french


def test_the_end_of_a_day_is_its_last_minute_in_the_zone_of_the_contract() -> None:
    assert end_of_day(date(2026, 12, 21), "Europe/Paris", "en") == "Monday 21 December 2026 at 23:59 (Paris time)"
    assert end_of_day(date(2026, 12, 21), "Europe/Paris", "fr") == (
        "lundi 21 décembre 2026 à 23\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}59 (heure de Paris)"
    )


def test_an_instant_is_shown_as_the_clocks_of_the_zone_show_it() -> None:
    late = datetime(2026, 12, 21, 23, 30, tzinfo=UTC)

    assert instant(late, "Europe/Paris", "en") == "Tuesday 22 December 2026 at 00:30 (Paris time)"
    assert mail_date(late) == "Mon, 21 Dec 2026 23:30:00 +0000"


def test_a_language_that_is_not_spoken_is_an_error() -> None:
    with pytest.raises(KeyError):
        plain_date(date(2026, 12, 21), "de")
