"""Which entry of a new list is which of the old one."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules import identity
from notifier.rules.entries import Entry, Place
from notifier.rules.identity import ASKED, SURE, identify, likeness
from notifier.rules.registry_diff import ChangeKind, diff

FIBRE = ("Fibre noire",)
OLD = Entry(key="alpha", name="Alpha Fibre", website="https://alpha.example", address="1 rue A", activities=FIBRE)


def named(name: str, **fields: object) -> Entry:
    return Entry(**{"key": f"key of {name}", "name": name, **fields})  # type: ignore[arg-type] # by name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Exemple Datacenters", "Exemple Datacenters SAS"),
        ("Exemple Datacenters, Inc.", "EXEMPLE DATACENTERS"),
        ("ExempleMail", "Exemple Mail"),
        ("Grands Réseaux Exemple", "GRE"),
        ("Exemple Cloud", "Exemple Clouds"),
    ],
)
def test_one_company_written_otherwise_is_matched(one: str, other: str) -> None:
    found = identify([named(one, activities=FIBRE)], [named(other, activities=FIBRE)])

    assert [entry.key for entry in found.entries] == [f"key of {one}"]
    assert found.asked == ()


def test_a_key_that_was_only_made_of_a_name_gives_way_to_the_company_that_has_the_name() -> None:
    old = Entry(key="alpha", name="Beta")
    new = [Entry(key="beta", name="Beta"), Entry(key="alpha", name="Alpha")]

    assert [(entry.key, entry.name) for entry in identify([old], new).entries] == [
        ("alpha", "Beta"),
        ("alpha-2", "Alpha"),
    ]
    assert [entry.key for entry in identify([old], [Entry(key="alpha", name="Alpha")]).entries] == ["alpha"]  # renamed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Exemple Cloud Ireland Ltd", "Exemple Cloud India Ltd"),
        ("Fibrexemple Nord", "Fibrexemple Sud"),
        ("Exemple Datacenter 1", "Exemple Datacenter 2"),
    ],
)
def test_two_companies_of_one_group_that_each_say_another_word_are_a_question(one: str, other: str) -> None:
    found = identify([named(one, activities=FIBRE)], [named(other, activities=FIBRE)])

    assert (found.made, [entry.key for entry in found.entries]) == ((), [f"key of {other}"])
    assert [match.new_name for match in found.asked] == [other]


def test_two_pages_of_one_directory_do_not_make_one_company() -> None:
    one, other = (named(name, activities=FIBRE, website=f"https://list.example/{name}") for name in ("Alpha", "Omega"))
    found = identify([one], [other])

    assert (found.made, len(found.asked)) == ((), 1)


def test_companies_of_one_group_at_one_street_are_a_question() -> None:
    group = {"website": "https://group.example/a", "address": "1 rue A", "postcode": "75000"}
    old, new = named("Groupe Analyse", activities=FIBRE, **group), named("Groupe Nuage", activities=("Cloud",), **group)

    assert SURE > likeness(old, new) >= ASKED


@pytest.mark.parametrize(
    ("one", "other"),
    [("Alpha Fibre", "Optique du Nord"), ("Cap Mail", "Zed Analytics"), ("Exemple", "Modèle"), ("Fly", "NetLink")],
)
def test_two_companies_with_the_same_work_in_the_same_country_are_two(one: str, other: str) -> None:
    shared = {"activities": FIBRE, "country": "FR", "places": (Place(country="FR"),), "data_categories": ("logs",)}
    found = identify([named(one, **shared)], [named(other, **shared)])

    assert (found.entries, found.matches) == ((named(other, **shared),), ())
    assert [change.kind for change in diff([named(one, **shared)], found.entries)] == [
        ChangeKind.ADDED,
        ChangeKind.REMOVED,
    ]


def test_a_number_of_the_register_decides_whatever_the_name_is() -> None:
    old = named("Alpha Fibre", registration_number="900 000 001")

    assert likeness(old, named("Omega", registration_number="900000001")) == 1.0
    assert likeness(old, named("Alpha Fibre", registration_number="900 000 002")) == 0.0


def test_another_name_at_the_same_site_and_street_is_made_only_where_all_else_is_the_same() -> None:
    renamed = replace(OLD, key="omega", name="Omega")
    other_work = replace(renamed, activities=("Hosting",))

    assert likeness(OLD, renamed) >= SURE > likeness(OLD, other_work) >= ASKED
    assert identify([OLD], [renamed]).entries[0].key == "alpha"
    assert [match.new_name for match in identify([OLD], [other_work]).asked] == ["Omega"]
    assert identify([OLD], [other_work]).entries[0].key == "omega"


def test_a_match_can_be_undone_and_a_question_answered() -> None:
    renamed = replace(OLD, key="alpha-fibre-sas", name="Alpha Fibre SAS")
    unlike = replace(OLD, key="omega", name="Omega", activities=("Hosting",))

    assert identify([OLD], [renamed], apart=[("alpha", "alpha-fibre-sas")]).entries == (renamed,)
    assert identify([OLD], [unlike], same=[("alpha", "omega")]).entries[0].key == "alpha"
    assert identify([OLD], [unlike], apart=[("alpha", "omega")]).matches == ()


def test_a_key_that_both_lists_have_is_never_given_to_another() -> None:
    same_key = replace(OLD, name="Something else entirely")
    named_alike = named("Alpha Fibre")

    assert identify([OLD], [same_key, named_alike]).entries == (same_key, named_alike)


def test_who_engages_whom_follows_the_keys() -> None:
    chief, helper = named("Alpha Fibre SAS", activities=FIBRE), named("Helper", parent="key of Alpha Fibre SAS")

    assert identify([replace(OLD, website="", address="")], [chief, helper]).entries[1].parent == "alpha"


def test_of_two_that_are_like_one_only_the_likest_is_it() -> None:
    likest, like = named("Alpha Fibre SAS", activities=FIBRE), named("Alpha Fibres", activities=FIBRE)

    found = identify([replace(OLD, website="", address="")], [like, likest])

    assert [entry.key for entry in found.entries] == ["key of Alpha Fibres", "alpha"]
    assert [match.new_name for match in found.matches] == ["Alpha Fibre SAS"]


NAMES = st.sampled_from(["Alpha", "Alpha SAS", "ALPHA", "Beta", "Beta Fibre", "Gamma"])
LISTS = st.lists(st.builds(Entry, key=st.sampled_from("abcdef"), name=NAMES), unique_by=lambda entry: entry.key)


@given(LISTS, LISTS)
def test_keys_stay_unique_and_nothing_but_keys_changes(old: list[Entry], new: list[Entry]) -> None:
    found = identify(old, new)

    assert len({entry.key for entry in found.entries}) == len(new)
    assert [entry.name for entry in found.entries] == [entry.name for entry in new]
    assert identify(old, found.entries).entries == found.entries


def test_long_lists_that_have_nothing_in_common_are_not_compared_pair_by_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Entry, Entry]] = []

    def counted(a: Entry, b: Entry) -> float:
        compared.append((a, b))
        return 0.0

    monkeypatch.setattr(identity, "likeness", counted)
    old, new = ([named(f"{word} {n}") for n in range(2000)] for word in ("Alpha", "Omega"))

    identify(old, new)

    assert len(compared) < 20_000
