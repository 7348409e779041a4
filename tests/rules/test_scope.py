"""Whom a change concerns, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.entries import SCOPE, Entry
from notifier.rules.registry_diff import Change, ChangeKind, apply, diff
from notifier.rules.scope import (
    EVERYBODYS,
    Reason,
    Scope,
    concerns,
    covers,
    is_limited,
    reason_of,
    seen,
    seen_of,
    together,
    used_by,
)

NAMES = ("Compute", "Backup", "Archive")
some = st.lists(st.sampled_from(NAMES), unique=True).map(tuple)
scopes = st.builds(Scope, services=some, regions=some, options=some)
entries = st.builds(
    Entry, key=st.sampled_from("abc"), name=st.just("Optexemple"), services=some, regions=some, options=some,
    town=st.sampled_from(["", "Paris", "Lyon"]),
)  # fmt: skip
lists = st.lists(entries, unique_by=lambda one: one.key)


def an_entry(**fields: tuple[str, ...]) -> Entry:
    return Entry(key="a", name="Optexemple", **fields)  # type: ignore[arg-type] # dimensions of a scope


@pytest.mark.parametrize(
    ("one", "other"), [(("Compute, Backup",), ("Compute", "Backup")), (("COMPUTE",), ("Compute",))]
)
def test_what_is_no_change_of_a_scope_concerns_the_same_clients(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert diff([an_entry(services=one)], [an_entry(services=other)]) == ()
    assert concerns(an_entry(services=one), Scope(services=("Compute",))) == Reason(services=("Compute",))
    assert concerns(an_entry(services=other), Scope(services=("Compute",))) == Reason(services=("Compute",))


def test_two_services_are_not_one_whose_name_has_two_words() -> None:
    assert diff([an_entry(services=("Cloud Backup",))], [an_entry(services=("Cloud", "Backup"))])


@given(one=entries, other=entries, scope=scopes)
def test_what_covers_another_concerns_everybody_whom_that_one_concerns(one: Entry, other: Entry, scope: Scope) -> None:
    stated = all(getattr(scope, dimension) for dimension in SCOPE)

    if covers(used_by(one), used_by(other)) and stated and concerns(other, scope):
        assert concerns(one, scope)


@given(entry=entries, scope=scopes)
def test_an_entry_concerns_a_client_unless_a_dimension_that_both_state_has_nothing_in_common(
    entry: Entry, scope: Scope
) -> None:
    apart = [
        one for one in SCOPE if getattr(entry, one) and getattr(scope, one)
        and not set(getattr(entry, one)) & set(getattr(scope, one))
    ]  # fmt: skip

    assert (concerns(entry, scope) is None) == bool(apart)


@given(entry=entries, scope=scopes)
def test_a_reason_names_what_the_client_has_and_the_entry_is_used_by_and_nothing_else(
    entry: Entry, scope: Scope
) -> None:
    reason = concerns(entry, scope)
    if reason is None:
        return

    for one in SCOPE:
        assert set(getattr(reason, one)) == set(getattr(entry, one)) & set(getattr(scope, one))
    assert set(reason.unstated) == {one for one in SCOPE if getattr(entry, one) and not getattr(scope, one)}
    assert (reason == EVERYBODYS) == (not any(getattr(entry, one) for one in SCOPE))


@given(entry=entries)
def test_whoever_states_nothing_is_concerned_by_everything(entry: Entry) -> None:
    assert concerns(entry, Scope()) is not None


def test_names_are_compared_by_meaning_and_told_as_the_client_writes_them() -> None:
    found = concerns(an_entry(services=("Object  storage",)), Scope(services=("object-storage", "OBJECT STORAGE")))

    assert found == Reason(services=("object-storage", "OBJECT STORAGE"))


@given(old=lists, new=lists, scope=scopes)
def test_what_a_client_sees_makes_its_list_of_before_its_list_of_after(
    old: list[Entry], new: list[Entry], scope: Scope
) -> None:
    def own(those: list[Entry] | tuple[Entry, ...]) -> list[Entry]:
        return sorted((one for one in those if concerns(one, scope)), key=lambda one: one.key)

    told = seen_of(diff(old, new), scope)

    before, after = {one.key: one for one in own(old)}, {one.key: one for one in own(new)}
    made = {one.key: one for one in own(apply(told, own(old)))}
    assert made.keys() == after.keys()
    assert not diff(list(made.values()), list(after.values()))
    if before == after:
        assert told == ()


@given(old=lists, new=lists)
def test_whoever_uses_everything_sees_every_change_as_it_is(old: list[Entry], new: list[Entry]) -> None:
    changes = diff(old, new)

    assert seen_of(changes, Scope()) == changes
    assert seen_of(changes, Scope(services=NAMES, regions=NAMES, options=NAMES)) == changes


@pytest.mark.parametrize(
    ("had", "has", "shown"),
    [
        (("Compute",), ("Compute", "Backup"), ChangeKind.ADDED),  # it comes to be used for this client
        (("Compute", "Backup"), ("Compute",), ChangeKind.REMOVED),
        (("Backup",), ("Backup", "Compute"), ChangeKind.SCOPE_CHANGED),
        (("Compute",), ("Archive",), None),
    ],
)
def test_a_wider_scope_is_an_addition_to_whom_it_newly_concerns(
    had: tuple[str, ...], has: tuple[str, ...], shown: ChangeKind | None
) -> None:
    (change,) = diff([an_entry(services=had)], [an_entry(services=has)])

    found = seen(change, Scope(services=("Backup",)))

    assert (found.kind if found else None) is shown


def test_a_replacement_of_what_a_client_does_not_use_is_an_addition_that_takes_nobodys_place() -> None:
    old = replace(an_entry(services=("Compute",)), key="old")
    new = replace(an_entry(), key="new", replaces="old")
    (change,) = diff([old], [new])

    found = seen(change, Scope(services=("Backup",)))

    assert found == Change(kind=ChangeKind.ADDED, before=None, after=replace(new, replaces=""))


def test_reasons_are_told_together_and_everybodys_adds_nothing() -> None:
    by_compute, unsaid = Reason(services=("Compute",)), Reason(unstated=("regions",))

    assert together([]) is None
    assert together([EVERYBODYS]) == EVERYBODYS
    assert together([by_compute, EVERYBODYS, unsaid, by_compute]) == Reason(
        services=("Compute",), unstated=("regions",)
    )
    changes = diff([], [an_entry(services=("Compute",)), replace(an_entry(), key="b")])
    assert reason_of(changes, Scope(services=("Compute",))) == by_compute
    assert is_limited(changes)
    assert not is_limited(diff([], [an_entry()]))
