"""What counts as a change of the register, and what is only another way of writing it."""

import json
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.registry_diff import (
    COMPARED,
    Change,
    ChangeKind,
    DuplicateKey,
    Entry,
    FieldChange,
    Misfit,
    apply,
    as_json,
    cosmetic,
    diff,
    from_json,
    meaning,
    slug,
)

ALPHA = Entry(
    key="alpha",
    name="Alpha Hébergement",
    address="4 rue de l'Exemple",
    postcode="75000",
    town="Paris",
    country="FR",
    activity="Datacenter (site de production)",
    site_kind="production",
)
BETA = Entry(key="beta", name="Beta Fibre", town="Lyon", country="FR", activity="Fibre noire", site_kind="dark_fibre")

KEYS = st.sampled_from("abcdef")
WORDS = st.sampled_from(["", "Alpha", "ALPHA ", "Béta", "Be\u0301ta", "l'Ile", "l\u2019Ile.", "A - B", "A \u2014 B"])
ENTRIES = st.builds(
    Entry, key=KEYS, name=WORDS, town=WORDS, country=st.sampled_from(["", "FR"]), activity=WORDS, replaces=KEYS
)
LISTS = st.lists(ENTRIES, unique_by=lambda entry: entry.key)


def meant(entries: tuple[Entry, ...] | list[Entry]) -> dict[str, list[str]]:
    return {entry.key: [meaning(getattr(entry, field)) for field in COMPARED] for entry in entries}


def leaving(changes: tuple[Change, ...]) -> set[str]:
    return {change.before.key for change in changes if change.before and change.kind is not ChangeKind.AMENDED}


def arriving(changes: tuple[Change, ...]) -> set[str]:
    return {change.after.key for change in changes if change.after and change.kind is not ChangeKind.AMENDED}


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
    assert FieldChange(field="town", before="Paris", after="Lyon") in change.fields
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


def test_a_vendor_that_moves_or_changes_its_name_is_amended_field_by_field() -> None:
    moved = replace(ALPHA, name="Alpha Cloud", country="BE")

    (change,) = diff([ALPHA], [moved])

    assert change.kind is ChangeKind.AMENDED
    assert change.fields == (
        FieldChange(field="name", before="Alpha Hébergement", after="Alpha Cloud"),
        FieldChange(field="country", before="FR", after="BE"),
    )


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("name", "ALPHA HÉBERGEMENT"),
        ("name", "Alpha  He\u0301bergement"),
        ("name", "Alpha\u00a0He\u0301\u0301bergement."),
        ("name", "Alpha\u200b Hébergement"),
        ("address", "4 rue de l\u2019Exemple,"),
        ("activity", "datacenter ( site de production )"),
    ],
)
def test_another_way_of_writing_is_cosmetic_and_no_change(field: str, written: str) -> None:
    rewritten = replace(ALPHA, **{field: written})

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
        ("activity", "Datacenter (site de sauvegarde)"),
        ("site_kind", "backup"),
    ],
)
def test_another_meaning_is_a_change_however_small(field: str, written: str) -> None:
    (change,) = diff([ALPHA], [replace(ALPHA, **{field: written})])

    assert [found.field for found in change.fields] == [field]


@pytest.mark.parametrize(
    ("one", "other"),
    [("« Nord »", '"nord"'), ("A \u2013 B", "A - B"), ("Est ; Ouest", "Est; Ouest"), ("l`an…", "l'an")],
)
def test_typography_carries_no_meaning(one: str, other: str) -> None:
    assert meaning(one) == meaning(other)


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
    assert meant(apply(diff(old, new), old)) == meant(new)


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
    assert {(c.before, c.after) for c in there if c.kind is ChangeKind.AMENDED} == {
        (c.after, c.before) for c in back if c.kind is ChangeKind.AMENDED
    }


@given(LISTS, LISTS)
def test_every_entry_is_accounted_for_once(old: list[Entry], new: list[Entry]) -> None:
    changes = diff(old, new)
    kept = {entry.key for entry in old} & {entry.key for entry in new}

    assert leaving(changes) == {entry.key for entry in old} - kept
    assert sorted(c.after.key for c in changes if c.after and c.kind is not ChangeKind.AMENDED) == sorted(
        {entry.key for entry in new} - kept
    )
    assert all(change.fields for change in changes if change.kind is ChangeKind.AMENDED)


@given(LISTS, LISTS)
def test_a_change_survives_storage_as_json(old: list[Entry], new: list[Entry]) -> None:
    for change in diff(old, new):
        assert from_json(json.loads(json.dumps(as_json(change)))) == change
