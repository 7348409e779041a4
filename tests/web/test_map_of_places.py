"""The map: every country has its place, and what is drawn stays inside the picture and apart."""

from itertools import combinations

from babel import Locale

from notifier.rules.entries import Entry, Place
from notifier.web.map_of_places import CENTRES, LARGEST, WIDTH, Dot, count, draw

# What CLDR names beside the countries of ISO 3166-1: areas, outliers, and codes of nobody.
NO_COUNTRIES = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}


def entry(key: str, *countries: str, seat: str = "") -> Entry:
    return Entry(key=key, name=key, country=seat, places=tuple(Place(country=country) for country in countries))


def dots(numbers: dict[str, int]) -> dict[str, Dot]:
    drawn = draw(numbers, {})
    assert drawn is not None
    return {dot.code: dot for dot in drawn.dots}


def test_every_country_has_its_place() -> None:
    codes = map(str, Locale.parse("en").territories)
    named = {code for code in codes if len(code) == 2 and code.isalpha()}

    assert set(CENTRES) == named - NO_COUNTRIES
    assert all(-90 <= latitude <= 90 and -180 <= longitude <= 180 for latitude, longitude in CENTRES.values())


def test_a_subprocessor_counts_once_in_each_of_its_countries() -> None:
    entries = [entry("a", "FR", "FR", "DE"), entry("b", "FR"), entry("c", seat="IE"), entry("d")]

    assert count(entries) == {"FR": 2, "DE": 1, "IE": 1}


def test_east_is_right_north_is_up_and_more_is_larger() -> None:
    drawn = dots({"FR": 9, "PL": 1, "ES": 1, "SE": 4})

    assert drawn["FR"].x < drawn["PL"].x
    assert drawn["SE"].y < drawn["FR"].y < drawn["ES"].y
    assert LARGEST >= drawn["FR"].radius > drawn["SE"].radius > drawn["PL"].radius


def test_what_is_drawn_stays_inside_the_picture() -> None:
    for numbers in ({"LU": 1}, {"NZ": 1, "US": 3}, {"FJ": 1, "WS": 1}, {"SJ": 2, "AQ": 1}, dict.fromkeys(CENTRES, 2)):
        drawn = draw(numbers, {})
        assert drawn is not None
        assert all(0 <= dot.x <= WIDTH for dot in drawn.dots)
        assert all(0 <= x <= WIDTH and 0 <= y <= drawn.height for x, y in drawn.others)
        assert drawn.meridians
        assert drawn.parallels


def test_names_do_not_stand_on_each_other() -> None:
    drawn = draw(dict.fromkeys(("FR", "DE", "NL", "BE", "LU", "CH", "AT", "IT", "IE", "GB", "ES"), 1), {})

    assert drawn is not None
    labelled = [dot for dot in drawn.dots if dot.label]
    assert len(labelled) >= 8
    at = {(dot.label_x, dot.label_y, dot.anchor) for dot in labelled}
    assert len(at) == len(labelled)
    assert all(abs(a.label_y - b.label_y) > 1 or abs(a.label_x - b.label_x) > 20 for a, b in combinations(labelled, 2))


def test_there_is_no_map_of_no_country() -> None:
    assert draw({}, {}) is None
    assert draw({"ZZ": 3}, {}) is None
