"""What one entry says, and who engages whom."""

import json
from dataclasses import replace

import pytest
from hypothesis import given

from notifier.rules.entries import (
    FIELDS,
    CircularParents,
    Entry,
    NoSuchParent,
    Place,
    as_json,
    chain,
    check_parents,
    from_json,
)
from tests.rules.test_registry_diff import entries

CHAIN = [
    Entry(key="host", name="Host"),
    Entry(key="site", name="Site", parent="host"),
    Entry(key="guard", name="Guard", parent="site"),
    Entry(key="alarm", name="Alarm", parent="guard"),
]


def test_a_chain_of_any_depth_is_told_from_our_own_subprocessor_down() -> None:
    check_parents(CHAIN)

    by_key = {entry.key: entry for entry in CHAIN}
    assert [entry.key for entry in chain(by_key["alarm"], by_key)] == ["host", "site", "guard"]
    assert chain(by_key["host"], by_key) == ()


def test_a_circle_is_refused_with_those_on_it() -> None:
    circle = [Entry(key=key, name=key, parent=parent) for key, parent in (("a", "b"), ("b", "c"), ("c", "b"))]

    with pytest.raises(CircularParents, match="b → c → b") as refused:
        check_parents(circle)
    assert set(refused.value.keys) == {"b", "c"}
    with pytest.raises(CircularParents, match="a → a"):
        check_parents([Entry(key="a", name="A", parent="a")])


def test_ten_thousand_links_are_walked_without_a_stack() -> None:
    check_parents([Entry(key=str(n), name="N", parent=str(n - 1) if n else "") for n in range(10_000)][::-1])


def test_a_parent_that_is_not_listed_is_refused() -> None:
    with pytest.raises(NoSuchParent, match='"site" is engaged by "host", which is not in the list'):
        check_parents(CHAIN[1:2])


def test_where_it_processes_is_its_places_or_else_its_seat() -> None:
    seat = Entry(key="a", name="A", country="FR")

    assert seat.countries == ("FR",)
    assert Entry(key="a", name="A", country="FR", places=(Place(country="IE"), Place(site="EEA"))).countries == ("IE",)
    at_the_seat = Entry(key="a", name="A", town="Nanterre", places=(Place(site="Nanterre", kind="dark_fibre"),))
    assert (at_the_seat.countries, replace(at_the_seat, country="FR").countries) == ((), ("FR",))


@given(entries())
def test_an_entry_survives_storage_and_what_nobody_said_is_not_stored(entry: Entry) -> None:
    stored = as_json(entry)

    assert from_json(json.loads(json.dumps(stored))) == entry
    assert all(stored.values())
    assert set(stored) <= {*FIELDS, "key", "replaces"}
