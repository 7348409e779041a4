"""A later change may be made before an earlier one that it has nothing to do with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.entries import Entry, check_parents
from notifier.rules.overtaking import collides
from notifier.rules.registry_diff import apply, diff
from notifier.services.timeline import compose

A, B, C = (Entry(key=key, name=key.upper(), town="Paris", country="FR") for key in "abc")
NEW = replace(A, key="new", name="New")


@pytest.mark.parametrize(
    ("first", "second", "third", "collide"),
    [
        ([A, B], [A, B, C], [A, B, C, NEW], False),  # two additions
        ([A, B], [A, B, C], [A, B, replace(C, town="Lyon")], True),  # of what was to be added
        ([A, B], [A], [A, replace(B, town="Lyon")], True),  # of what was to be removed, which comes back
        ([A, B], [A], [replace(A, town="Lyon")], False),
        ([A, B], [replace(A, town="Lyon"), B], [replace(A, town="Lyon", website="https://a.example"), B], False),
        ([A, B], [replace(A, town="Lyon"), B], [replace(A, town="Lille"), B], True),  # the same field
        ([A, B], [replace(A, town="Lyon"), B], [B], False),  # it goes, however it was written
        ([A, B], [replace(NEW, replaces="a"), B], [replace(NEW, replaces="a", town="Lyon"), B], True),
        ([A, B], [A, B, C], [A, replace(NEW, replaces="b"), C], False),
        ([A, B], [A, B, C], [A, B, C, replace(NEW, parent="c")], True),  # it is engaged by who is not there yet
        ([A, B], [A, B, C], [A, B, replace(NEW, replaces="c")], True),
        ([A, replace(B, parent="a")], [A, B], [B], True),  # who engages B goes, and B has not been set free yet
        ([A, replace(B, parent="a")], [A], [], True),
        ([replace(A, parent="b"), B], [A, B], [A, replace(B, parent="a")], True),  # else each would engage the other
    ],
)
def test_what_touches_the_same_waits_and_nothing_else_does(
    first: list[Entry], second: list[Entry], third: list[Entry], *, collide: bool
) -> None:
    assert collides(diff(second, third), diff(first, second)) is collide


keys = st.sampled_from("abcd")
entries = st.builds(
    Entry, key=keys, name=st.sampled_from(["X", "Y"]), town=st.sampled_from(["", "Paris"]),
    parent=st.sampled_from(["", "a", "b"]),
)  # fmt: skip


def sound(listed: list[Entry]) -> bool:
    try:
        check_parents(listed)
    except ValueError:
        return False
    return True


lists = st.lists(entries, unique_by=lambda one: one.key).filter(sound)


@given(first=lists, second=lists, third=lists)
def test_changes_that_do_not_collide_lead_to_the_same_in_either_order(
    first: list[Entry], second: list[Entry], third: list[Entry]
) -> None:
    slow, fast = diff(first, second), diff(second, third)
    if collides(fast, slow):
        return

    between = compose(fast, tuple(first))
    after = compose(slow, between)

    assert sound(list(between))
    assert not diff(apply(fast, apply(slow, first)), after)
