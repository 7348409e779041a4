"""Every field in one cell and back, and cells as people write them."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.adapters.cells import HEADINGS, country_code, read, written
from notifier.adapters.remarks import BadCell, remark
from notifier.rules.entries import FIELDS, HDS_ACTIVITIES, Certificate, Place, Shape
from notifier.rules.registry_diff import slug


def one_line(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


SIGNS = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
TEXTS = st.text(SIGNS | st.sampled_from("=+-@'\",:()[]\u00a0é"), max_size=15).map(one_line)
ITEMS = TEXTS.map(lambda text: one_line(re.sub(r"[;|]", "", text)))
PLAIN = ITEMS.map(lambda text: one_line(re.sub(r"[\[\](),:]", "", text)))
WORDS = st.sampled_from(["Pantin", "France", "US", "EEA", "Paris, France", "Nord (2)", "a: b", "Europe", "US/EU", "x)"])
CODES = st.sampled_from(["FR", "US", "DE", "XK"])
DAYS = st.dates().map(lambda day: day.isoformat())

PLACES = st.builds(
    Place,
    country=CODES | st.just(""),
    site=WORDS | ITEMS,
    kind=st.sampled_from(["", "production", "dark_fibre", "our own"]) | PLAIN,
).filter(lambda place: place != Place())
BRACKETED = TEXTS.map(lambda text: one_line(re.sub(r"[\[\]]", "", text)))
CERTIFICATES = st.builds(
    Certificate,
    standard=st.sampled_from(["ISO 27001", "A:B", "HDS"]) | PLAIN.filter(bool),
    edition=st.sampled_from(["", "2022", "2:1", "a, b"]) | PLAIN,
    number=BRACKETED,
    scope=BRACKETED,
    issuer=BRACKETED,
    expires_on=DAYS | st.just(""),
)


def values(name: str) -> st.SearchStrategy[object]:
    spec = FIELDS[name]
    if name == "hds_activities":
        return st.lists(st.sampled_from(HDS_ACTIVITIES), unique=True).map(tuple)
    by_shape: dict[Shape, st.SearchStrategy[object]] = {
        Shape.TEXT: TEXTS.filter(slug) if name == "name" else TEXTS,
        Shape.LIST: st.lists(ITEMS.filter(bool), unique=True, max_size=4).map(tuple),
        Shape.COUNTRY: CODES | st.just(""),
        Shape.COUNTRIES: st.lists(CODES, unique=True).map(tuple),
        Shape.PLACES: st.lists(PLACES, unique=True, max_size=4).map(tuple),
        Shape.CERTIFICATES: st.lists(CERTIFICATES, unique=True, max_size=3).map(tuple),
        Shape.DAY: DAYS | st.just(""),
        Shape.URL: st.sampled_from(["", "https://cloud.example/a?b=1;2,3", "http://[::1]:8/"]),
        Shape.CHOICE: st.sampled_from(["", *spec.choices]),
    }
    return by_shape[spec.shape]


@given(st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), values(name))))
def test_what_was_written_is_read_back(case: tuple[str, object]) -> None:
    name, value = case

    assert read(name, written(name, value)) == value


def test_every_field_has_its_headings() -> None:
    assert list(HEADINGS) == ["key", *FIELDS, "replaces"]
    assert all(english and french for english, french in HEADINGS.values())


@pytest.mark.parametrize(
    ("cell", "places"),
    [
        ("", []),
        ("FR: Pantin (production); US; Europe", [("FR", "Pantin", "production"), ("US", "", ""), ("", "Europe", "")]),
        ("United States, European Economic Area", [("US", "", ""), ("", "EEA", "")]),
        ("the EU", [("", "EU", "")]),
        ("Union européenne | UE", [("", "EU", "")]),
        ("Pantin, France", [("FR", "Pantin", "")]),
        ("Ashburn, Virginia, USA; Dublin, Ireland", [("US", "Ashburn, Virginia", ""), ("IE", "Dublin", "")]),
        ("Paris, France, Dublin, Ireland", [("FR", "Paris", ""), ("IE", "Dublin", "")]),
        ("Wilmington, DE, USA", [("US", "Wilmington, DE", "")]),
        ("San Francisco, CA, US", [("US", "San Francisco, CA", "")]),
        ("Bergamo, BG, Italy", [("IT", "Bergamo, BG", "")]),
        ("Dublin, IE, Frankfurt, DE", [("IE", "Dublin", ""), ("DE", "Frankfurt", "")]),
        ("DE, FR, Italy", [("DE", "", ""), ("FR", "", ""), ("IT", "", "")]),
        ("Singapore, Hong Kong, U.K.", [("SG", "", ""), ("HK", "", ""), ("GB", "", "")]),
        ("Germany, Pantin, France", [("DE", "", ""), ("", "Pantin", ""), ("FR", "", "")]),
        ("Pantin, Europe", [("", "Pantin", ""), ("", "Europe", "")]),
        ("États-Unis et Irlande", [("US", "", ""), ("IE", "", "")]),
        ("Bosnia and Herzegovina", [("BA", "", "")]),
        ("US/EU", [("US", "", ""), ("", "EU", "")]),
        ("Germany, France, and the United States", [("DE", "", ""), ("FR", "", ""), ("US", "", "")]),
        ("United States (Virginia, Oregon)", [("US", "Virginia, Oregon", "")]),
        ("France (backup), Suisse", [("FR", "", "backup"), ("CH", "", "")]),
        ("FR: (dark fibre of our own)", [("FR", "", "dark fibre of our own")]),
        ("European Econmic Area", [("", "European Econmic Area", "")]),
        ("Site A (production)\nSite B (red)", [("", "Site A", "production"), ("", "Site B (red)", "")]),
        ("worldwide", [("", "worldwide", "")]),
    ],
)
def test_places_are_understood_as_people_write_them(cell: str, places: list[tuple[str, str, str]]) -> None:
    assert read("places", cell) == tuple(Place(country=c, site=s, kind=k) for c, s, k in places)


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("activities", "Hosting, backup; Support|Support\nMail", ("Hosting, backup", "Support", "Mail")),
        ("hds_activities", "1, 2 ; 4-6", ("1", "2", "4", "5", "6")),
        ("outside_countries", "Inde, US; Japan and Canada", ("IN", "US", "JP", "CA")),
        ("country", "Allemagne", "DE"),
        ("hds", "Exempté", "exempt"),
        ("hds", "OUI", "yes"),
        ("secnumcloud", "non", "no"),
        ("access", "Accès physique", "physical"),
        ("transfer", "Standard Contractual Clauses", "scc"),
        ("transfer", "CCT", "scc"),
        ("transfer", "adéquation", "adequacy"),
        ("transfer", "Binding corporate rules", "bcr"),
        ("security", "supérieur", "better"),
        ("engaged_since", "1/9/2025", "2025-09-01"),
        ("name", " Hébergeur\n  Exemple ", "Hébergeur Exemple"),
        (
            "certificates",
            "ISO 27001:2022 [number=FR-1] [portée=Hosting, of data; all] [expires=28/08/2027]; HDS, SOC 2",
            (
                Certificate(
                    standard="ISO 27001",
                    edition="2022",
                    number="FR-1",
                    scope="Hosting, of data; all",
                    expires_on="2027-08-28",
                ),
                Certificate(standard="HDS"),
                Certificate(standard="SOC 2"),
            ),
        ),
    ],
)
def test_a_cell_may_be_written_in_several_ways(name: str, cell: str, value: object) -> None:
    assert read(name, cell) == value


@pytest.mark.parametrize(
    ("name", "cell", "code"),
    [
        ("name", "…", "no_letters"),
        ("name", "x" * 301, "too_long"),
        ("security_note", "x" * 3_001, "too_long"),
        ("places", "x; " * 5_000, "too_long"),
        ("town", "Par\0is", "not_text"),
        ("country", "Syldavia", "country_unknown"),
        ("outside_countries", "US, Europe", "country_unknown"),
        ("hds", "perhaps", "choice_unknown"),
        ("hds_activities", "7", "hds_activity"),
        ("website", "javascript:alert(1)", "url"),
        ("website", "cloud.example", "url"),
        ("website", "https://[", "url"),
        ("engaged_until", "31/02/2024", "date_impossible"),
        ("engaged_until", "soon", "date_format"),
        ("certificates", "ISO 27001 [colour=red]", "certificate"),
        ("certificates", "[number=1]", "certificate"),
        ("certificates", "ISO 27001 [number=1", "certificate"),
        ("certificates", "ISO 27001 [expires=soon]", "date_format"),
    ],
)
def test_what_cannot_be_taken_says_why_in_both_languages(name: str, cell: str, code: str) -> None:
    with pytest.raises(BadCell) as bad:
        read(name, cell)

    assert bad.value.code == code
    said = remark(2, name, bad.value.code, **bad.value.facts)
    assert said.text("en").startswith(f"row 2, {name}: ")
    assert said.text("fr").startswith(f"ligne 2, {name}\u00a0: ")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("France", "FR"),
        ("Allemagne", "DE"),
        ("germany", "DE"),
        ("de", "DE"),
        ("ETATS-UNIS", "US"),
        ("Royaume Uni", "GB"),
        ("UK", "GB"),
        ("Türkiye", "TR"),
        ("EU", None),
        ("ZZ", None),
        ("Europe", None),
        ("", None),
    ],
)
def test_a_country_is_known_by_its_code_and_by_its_name_in_both_languages(text: str, code: str | None) -> None:
    assert country_code(text) == code


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Pantin (France)", Place(country="FR", site="Pantin")),
        ("FR: Ivry (sauvegarde)", Place(country="FR", site="Ivry", kind="backup")),
        ("France (interconnexion)", Place(country="FR", kind="interconnection")),
        ("FR: Paris (fibre noire)", Place(country="FR", site="Paris", kind="dark_fibre")),
    ],
)
def test_a_place_is_the_same_in_either_language(text: str, place: Place) -> None:
    assert read("places", text) == (place,)
