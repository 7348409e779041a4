"""What counts as a change of the register, and what is only another way of writing it."""

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.entries import FIELDS, Certificate, Entry, Place, Shape
from notifier.rules.registry_diff import (
    COMPARED,
    KIND_OF_FIELD,
    LISTED,
    LOWERED,
    STAYING,
    TOLD,
    WEIGHTS,
    Change,
    ChangeKind,
    DuplicateKey,
    FieldChange,
    Misfit,
    Need,
    apply,
    as_json,
    cosmetic,
    diff,
    from_json,
    meaning,
    needs,
    slug,
)

PARIS = Place(country="FR", site="Paris", kind="production")
ALPHA = Entry(
    key="alpha",
    name="Alpha Hébergement",
    legal_form="SAS",
    registration_number="900 000 001",
    address="4 rue de l'Exemple",
    postcode="75000",
    town="Paris",
    country="FR",
    website="https://www.alpha.example/dpa",
    activities=("Datacenter (site de production)",),
    purposes=("Hosting", "Backup"),
    data_categories=("Contact data, health data", "logs"),
    access="physical",
    places=(PARIS,),
    transfer="none",
    hds="yes",
    certificates=(Certificate(standard="ISO 27001", edition="2022", expires_on="2027-01-31"),),
    services=("Cloud", "Archive"),
    security="equal",
)
BETA = Entry(key="beta", name="Beta Fibre", town="Lyon", country="FR", activities=("Fibre noire",))

KEYS = st.sampled_from("abcdef")
WORDS = st.sampled_from(["", "Alpha", "ALPHA ", "Béta", "Be\u0301ta", "l'Ile", "l\u2019Ile.", "A - B", "A \u2014 B"])
SOME_WORDS = WORDS.filter(bool)
COUNTRIES = st.sampled_from(["FR", "IE", "US"])
PLACES = st.builds(
    Place, country=st.sampled_from(["", "FR", "US"]), site=SOME_WORDS, kind=st.sampled_from(["", "backup"])
)
VALUES = {
    Shape.TEXT: WORDS,
    Shape.LIST: st.lists(SOME_WORDS, max_size=2).map(tuple),
    Shape.COUNTRY: st.just("") | COUNTRIES,
    Shape.COUNTRIES: st.lists(COUNTRIES, max_size=2).map(tuple),
    Shape.PLACES: st.lists(PLACES, max_size=2).map(tuple),
    Shape.CERTIFICATES: st.lists(st.builds(Certificate, standard=SOME_WORDS, number=WORDS), max_size=2).map(tuple),
    Shape.DAY: st.sampled_from(["", "2026-01-01", "2026-12-31"]),
    Shape.URL: st.sampled_from(["", "https://a.example", "http://www.a.example/", "https://a.example/b"]),
}


def entries() -> st.SearchStrategy[Entry]:
    """Entries in which any two or three fields say something."""
    values = {
        name: st.sampled_from(["", *spec.choices]) if spec.choices else VALUES[spec.shape]
        for name, spec in FIELDS.items()
    }
    some = st.lists(st.sampled_from(sorted(values)), max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: values[name] for name in names})
    )
    return st.builds(
        lambda key, replaces, said: Entry(**{"key": key, "name": "", "replaces": replaces, **said}), KEYS, KEYS, some
    )


LISTS = st.lists(entries(), unique_by=lambda entry: entry.key)


def leaving(changes: tuple[Change, ...]) -> set[str]:
    return {change.before.key for change in changes if change.before and not change.stays}


def arriving(changes: tuple[Change, ...]) -> set[str]:
    return {change.after.key for change in changes if change.after and not change.stays}


def kinds(old: Entry, **changed: object) -> list[ChangeKind]:
    return [change.kind for change in diff([old], [replace(old, **changed)])]  # type: ignore[arg-type] # by name


def test_an_entry_that_was_not_there_is_added() -> None:
    (change,) = diff([ALPHA], [ALPHA, BETA])

    assert change == Change(kind=ChangeKind.ADDED, before=None, after=BETA)
    assert (change.key, change.name) == ("beta", "Beta Fibre")


def test_an_entry_that_is_gone_is_removed() -> None:
    (change,) = diff([ALPHA, BETA], [ALPHA])

    assert change == Change(kind=ChangeKind.REMOVED, before=BETA, after=None)
    assert (change.key, change.name) == ("beta", "Beta Fibre")


def test_an_entry_is_replaced_only_when_the_editor_says_by_which() -> None:
    said = replace(BETA, replaces="alpha")

    (change,) = diff([ALPHA], [said])

    assert (change.kind, change.before, change.after) == (ChangeKind.REPLACED, ALPHA, said)
    assert FieldChange(field="town", kind=ChangeKind.MOVED, before="Paris", after="Lyon") in change.fields
    assert [c.kind for c in diff([ALPHA], [BETA])] == [ChangeKind.ADDED, ChangeKind.REMOVED]


def test_a_replacement_said_once_is_not_told_again_in_the_next_version() -> None:
    said = replace(BETA, replaces="alpha")

    assert diff([said], [said]) == ()
    assert [change.kind for change in diff([said], [said, ALPHA])] == [ChangeKind.ADDED]


def test_one_entry_may_be_replaced_by_two() -> None:
    halves = [replace(BETA, replaces="alpha"), replace(BETA, key="gamma", replaces="alpha")]

    changes = diff([ALPHA], halves)

    assert [change.kind for change in changes] == [ChangeKind.REPLACED] * 2
    assert set(apply(changes, [ALPHA])) == set(halves)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"name": "Alpha Cloud"}, ChangeKind.RENAMED),
        ({"legal_form": "SA"}, ChangeKind.RENAMED),
        ({"registration_number": "900 000 002"}, ChangeKind.TAKEN_OVER),
        ({"places": (Place(country="BE"),)}, ChangeKind.MOVED),
        ({"places": (Place(country="FR", site="Lyon", kind="production"),)}, ChangeKind.MOVED),
        ({"outside_access": "yes"}, ChangeKind.MOVED),
        ({"activities": ("Archive",)}, ChangeKind.SCOPE_CHANGED),
        ({"purposes": ("Hosting", "Training of models")}, ChangeKind.SCOPE_CHANGED),
        ({"access": "receives"}, ChangeKind.SCOPE_CHANGED),
        ({"services": ()}, ChangeKind.SCOPE_CHANGED),
        ({"parent": "beta"}, ChangeKind.SCOPE_CHANGED),
        ({"transfer": "scc"}, ChangeKind.SAFEGUARDS_CHANGED),
        ({"certificates": ()}, ChangeKind.SAFEGUARDS_CHANGED),
        ({"third_country_law": "yes"}, ChangeKind.SAFEGUARDS_CHANGED),
        ({"security": "lower"}, ChangeKind.SECURITY_CHANGED),
        ({"contact": "Iris Exemple"}, ChangeKind.CONTACT_CHANGED),
        ({"address": "5 rue de l'Exemple"}, ChangeKind.CONTACT_CHANGED),
        ({"town": "Lyon"}, ChangeKind.CONTACT_CHANGED),  # of the seat, where places are listed
        ({"website": "https://www.alpha.example/gdpr"}, ChangeKind.CONTACT_CHANGED),
    ],
)
def test_a_change_of_an_entry_that_stays_has_the_kind_of_what_changed(
    changed: dict[str, object], kind: ChangeKind
) -> None:
    assert kinds(ALPHA, **changed) == [kind]


def test_where_no_place_is_listed_the_seat_is_the_place() -> None:
    assert kinds(BETA, town="Lille") == kinds(BETA, country="BE") == [ChangeKind.MOVED]


def test_an_identity_that_is_completed_is_no_take_over() -> None:
    assert kinds(BETA, registration_number="900 000 001") == [ChangeKind.CONTACT_CHANGED]


def test_several_changes_of_one_entry_are_one_whose_kind_is_the_weightiest() -> None:
    after = replace(ALPHA, name="Alpha Cloud", places=(Place(country="BE", site="Gand"),), contact="Iris Exemple")

    (change,) = diff([ALPHA], [after])

    assert change.kind is ChangeKind.MOVED
    assert change.fields == (
        FieldChange(field="name", kind=ChangeKind.RENAMED, before="Alpha Hébergement", after="Alpha Cloud"),
        FieldChange(field="contact", kind=ChangeKind.CONTACT_CHANGED, before="", after="Iris Exemple"),
        FieldChange(field="places", kind=ChangeKind.MOVED, before="FR: Paris (production)", after="BE: Gand"),
    )


def test_every_field_has_a_kind_and_every_kind_a_weight() -> None:
    assert set(COMPARED) <= set(KIND_OF_FIELD)
    assert set(KIND_OF_FIELD.values()) == set(WEIGHTS) == STAYING


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("name", "ALPHA HÉBERGEMENT"),
        ("name", "Alpha  He\u0301bergement"),
        ("name", "Alpha\u00a0He\u0301\u0301bergement."),
        ("name", "Alpha\u200b Hébergement"),
        ("name", "Alpha-Hébergement"),
        ("registration_number", "900000001"),
        ("address", "4 rue de l\u2019Exemple,"),
        ("activities", ("datacenter ( site de production )",)),
        ("purposes", ("backup.", "Hosting")),
        ("data_categories", ("Logs", "health data; contact data".replace(";", ","))),
        ("data_categories", ("Contact data health data logs",)),
        ("website", "http://alpha.example/dpa/"),
        ("certificates", (Certificate(standard="ISO-27001", edition="2022", expires_on="2027-01-31"),)),
        ("services", ("Archive", "Cloud")),
    ],
)
def test_another_way_of_writing_is_cosmetic_and_no_change(field: str, written: object) -> None:
    rewritten = replace(ALPHA, **{field: written})  # type: ignore[arg-type] # by name

    assert diff([ALPHA], [rewritten]) == ()
    assert cosmetic([ALPHA, BETA], [BETA, rewritten]) == 1


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("name", "Alpha Hebergement"),
        ("name", "Alpha Hébergement 2"),
        ("address", "14 rue de l'Exemple"),
        ("postcode", "75001"),
        ("country", ""),
        ("activities", ("Datacenter (site de sauvegarde)",)),
        ("places", (replace(PARIS, kind="backup"),)),
        ("certificates", (Certificate(standard="ISO 27001", edition="2013", expires_on="2027-01-31"),)),
        ("website", "https://www.alpha.example/dpa?edition=2"),
    ],
)
def test_another_meaning_is_a_change_however_small(field: str, written: object) -> None:
    (change,) = diff([ALPHA], [replace(ALPHA, **{field: written})])  # type: ignore[arg-type] # by name

    assert [found.field for found in change.fields] == [field]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("« Nord »", '"nord"'),
        ("A \u2013 B", "A - B"),
        ("Est ; Ouest", "Est; Ouest"),
        ("l`an…", "l'an"),
        ("Help Scout", "HelpScout"),
        ("Exemple™ Cloud®", "Exemple Cloud"),
        ("ISO 27001:2022", "ISO 27001 / 2022"),
    ],
)
def test_typography_carries_no_meaning(one: str, other: str) -> None:
    assert meaning(one) == meaning(other)


@pytest.mark.parametrize(("one", "other"), [("3.2", "32"), ("C#", "C"), ("1 200", "12 00"), ("A & B", "A B")])
def test_numbers_and_telling_signs_carry_meaning(one: str, other: str) -> None:
    assert meaning(one) != meaning(other)


# --- what a change must be announced as ------------------------------------------------------------------------------


def place(aspect: str, country: str) -> Need:
    return Need("location", aspect, country)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"name": "Alpha Cloud", "legal_form": "SA", "address": "9 rue Neuve"}, {LISTED}),
        ({"registration_number": "900 000 002", "name": "Omega"}, {TOLD}),
        ({"places": (PARIS, Place(country="IE", site="Dublin"))}, {place("storage", "IE")}),
        ({"places": (replace(PARIS, site="Lyon"),)}, {TOLD}),
        ({"places": ()}, {LISTED}),
        ({"outside_access": "yes", "outside_countries": ("IN", "US")}, {place("access", "IN"), place("access", "US")}),
        ({"outside_access": "no"}, {LISTED}),
        ({"activities": ("Datacenter (site de production)", "Archive")}, {TOLD}),
        ({"purposes": ("Hosting",)}, {LISTED}),
        ({"persons": ("patients",)}, {LISTED}),  # said for the first time
        ({"access": "receives"}, {TOLD}),
        ({"access": "transit"}, {LISTED}),
        ({"services": ("Cloud",)}, {LISTED}),
        ({"services": ()}, {TOLD}),  # by every one from then on
        ({"certificates": (), "hds": "exempt"}, {TOLD}),
        ({"secnumcloud": "yes"}, {LISTED}),
        ({"transfer": "derogation"}, {TOLD}),
        ({"security": "lower"}, {LOWERED}),
        ({"security": "lower", "security_note": "Another site less"}, {LOWERED}),
        ({"security": "better", "security_note": "Two sites instead of one"}, {LISTED}),
        ({"security": "lower", "places": (Place(country="US"),), "name": "Omega"}, {LOWERED, place("storage", "US")}),
    ],
)
def test_a_change_needs_the_announcement_that_its_meaning_asks_for(
    changed: dict[str, object], expected: set[Need]
) -> None:
    changes = diff([ALPHA], [replace(ALPHA, **changed)])  # type: ignore[arg-type] # by name

    assert set(needs(changes, ["FR"])) == expected


def test_an_entry_of_which_nothing_is_left_by_which_it_was_known_is_told() -> None:
    other = replace(ALPHA, name="Omega", website="https://omega.example")

    assert needs(diff([ALPHA], [other])) == (LISTED,)  # it is still at its street
    assert needs(diff([ALPHA], [replace(other, address="9 quai Neuf")])) == (TOLD,)
    assert needs(diff([BETA], [replace(BETA, name="Omega")])) == (LISTED,)  # by its name alone nobody can tell


def test_places_said_for_the_first_time_are_a_change_only_outside_the_eea() -> None:
    unsaid = replace(BETA, country="")

    assert needs(diff([unsaid], [replace(unsaid, places=(Place(country="DE"),))])) == (LISTED,)
    assert needs(diff([unsaid], [replace(unsaid, places=(Place(country="US"),))])) == (place("storage", "US"),)


def test_whoever_comes_is_told_and_brings_the_needs_of_its_places() -> None:
    american = replace(BETA, places=(Place(country="US"),), security="lower")

    assert needs(diff([], [BETA]), ["FR"]) == (TOLD,)
    assert set(needs(diff([], [american]), ["FR"])) == {TOLD, LOWERED, place("storage", "US")}
    assert needs(diff([BETA], [])) == (LISTED,)
    assert needs([]) == ()


# --- overlapping changes ---------------------------------------------------------------------------------------------


def test_a_change_made_on_a_list_that_went_another_way_brings_its_own_fields_alone() -> None:
    slow = replace(ALPHA, places=(Place(country="IE"),))
    fast = replace(slow, purposes=("Hosting",))

    (held,) = apply(diff([slow], [fast]), [ALPHA])

    assert held == replace(ALPHA, purposes=("Hosting",))
    assert apply(diff([ALPHA], [slow]), [held]) == (fast,)


# --- lists that cannot be ---------------------------------------------------------------------------------------------


def test_a_list_that_has_one_key_twice_is_refused() -> None:
    with pytest.raises(DuplicateKey, match="alpha"):
        diff([], [ALPHA, replace(BETA, key="alpha")])


def test_changes_are_applied_only_to_a_list_they_fit() -> None:
    with pytest.raises(Misfit, match="alpha"):
        apply(diff([ALPHA], []), [BETA])
    with pytest.raises(Misfit, match="beta"):
        apply(diff([], [BETA]), [BETA])


def test_a_change_without_any_entry_has_no_name() -> None:
    with pytest.raises(ValueError, match="entry"):
        _ = Change(kind=ChangeKind.ADDED, before=None, after=None).name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Société  Exemple & Fils", "societe-exemple-fils"),
        ("ALPHA_2 (Paris)", "alpha-2-paris"),
        ("例え 株式会社", "例え-株式会社"),
        ("…", ""),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_key_is_made_of_the_letters_and_digits_of_a_name(name: str, key: str) -> None:
    assert slug(name) == key


@given(st.text())
def test_making_a_key_of_a_key_changes_nothing(name: str) -> None:
    assert slug(slug(name)) == slug(name)


@given(st.text())
def test_the_meaning_of_a_meaning_is_itself(text: str) -> None:
    assert meaning(meaning(text)) == meaning(text)


@given(LISTS)
def test_a_list_does_not_differ_from_itself(entries: list[Entry]) -> None:
    assert diff(entries, entries) == ()
    assert cosmetic(entries, entries) == 0


@given(LISTS, LISTS)
def test_applying_the_difference_gives_the_new_list(old: list[Entry], new: list[Entry]) -> None:
    reached = apply(diff(old, new), old)

    assert diff(reached, new) == diff(new, reached) == ()
    assert {entry.key for entry in reached} == {entry.key for entry in new}


@given(LISTS, LISTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_never_matters(old: list[Entry], new: list[Entry], chance: Random) -> None:
    expected = diff(old, new)

    chance.shuffle(old)
    chance.shuffle(new)

    assert diff(old, new) == expected


@given(LISTS, LISTS)
def test_the_way_back_mirrors_the_way_there(old: list[Entry], new: list[Entry]) -> None:
    there, back = diff(old, new), diff(new, old)

    assert (leaving(there), arriving(there)) == (arriving(back), leaving(back))
    assert {(c.kind, c.before, c.after) for c in there if c.stays} == {
        (c.kind, c.after, c.before) for c in back if c.stays
    }


@given(LISTS, LISTS)
def test_every_entry_is_accounted_for_once(old: list[Entry], new: list[Entry]) -> None:
    changes = diff(old, new)
    kept = {entry.key for entry in old} & {entry.key for entry in new}

    assert leaving(changes) == {entry.key for entry in old} - kept
    assert sorted(c.after.key for c in changes if c.after and not c.stays) == sorted(
        {entry.key for entry in new} - kept
    )
    assert all(change.fields for change in changes if change.stays)


@given(LISTS, LISTS)
def test_a_change_survives_storage_as_json(old: list[Entry], new: list[Entry]) -> None:
    for change in diff(old, new):
        assert from_json(json.loads(json.dumps(as_json(change)))) == change


def test_a_change_that_an_earlier_edition_of_the_product_stored_reads_as_what_it_was() -> None:
    before = {"key": "a", "name": "A", "address": "", "postcode": "", "town": "Pantin", "country": "FR",
              "activity": "Datacenter", "site_kind": "production", "replaces": ""}  # fmt: skip
    stored = {
        "kind": "amended",
        "before": before,
        "after": {**before, "activity": "Archive", "site_kind": "backup"},
        "fields": [
            {"field": "activity", "before": "Datacenter", "after": "Archive"},
            {"field": "site_kind", "before": "production", "after": "backup"},
        ],
    }

    change = from_json(stored)

    assert (change.kind, change.entry.activities) == (ChangeKind.MOVED, ("Archive",))
    assert change.entry.places == (Place(country="FR", site="Pantin", kind="backup"),)
