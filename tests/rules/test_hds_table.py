from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.entries import Certificate, Entry, Place
from notifier.rules.hds_table import ACTIVITIES, HEADINGS, WORDS, Role, Row, Statement, cells, table

TODAY = date(2026, 3, 2)
FRANCE = (Place(country="FR", site="Pantin", kind="production"),)
HOST = Entry(
    key="host",
    name="Hébergement Exemple SAS",
    hds="yes",
    secnumcloud="no",
    hds_activities=("1", "2"),
    places=FRANCE,
    outside_access="no",
    third_country_law="no",
)
INSIDE = replace(HOST, key="acme", name="Acme Backup GmbH", hds="exempt", hds_activities=("6",))
ABROAD = replace(INSIDE, outside_access="yes", outside_countries=("CA", "US"), transfer="scc")
UNKNOWN = Entry(key="fibre", name="Fibre Exemple")
QUALIFIED = replace(HOST, secnumcloud="yes")


def row(entry: Entry) -> Row:
    return table(HOST, [entry], today=TODAY).rows[1]


def shown(entry: Entry, language: str = "en") -> tuple[str, ...]:
    return cells(row(entry), language, country=lambda code: f"<{code}>")


def statement(host: Entry, *entries: Entry) -> Statement:
    return table(host, entries, today=TODAY).statement


def test_the_host_comes_first_and_each_actor_has_its_role() -> None:
    further = replace(UNKNOWN, parent="acme")

    made = table(HOST, [INSIDE, further], today=TODAY)

    assert [(one.name, one.role) for one in made.rows] == [
        ("Hébergement Exemple SAS", Role.HOST),
        ("Acme Backup GmbH", Role.PROCESSOR),
        ("Fibre Exemple", Role.FURTHER),
    ]
    assert made.rows[2].engaged_by == "Acme Backup GmbH"
    assert not made.is_complete


def test_a_row_in_words() -> None:
    assert shown(ABROAD) == (
        "Acme Backup GmbH",
        "processor of the Host",
        "exempted",
        "no",
        "6. backup of health data",
        "yes: <CA>, <US> (standard contractual clauses, GDPR art. 46)",
        "no",
    )
    assert shown(replace(ABROAD, third_country_law="yes", third_country_laws="CLOUD Act"), "fr")[5:] == (
        "oui\N{NO-BREAK SPACE}: <CA>, <US> (clauses contractuelles types, art. 46 du RGPD)",
        "oui\N{NO-BREAK SPACE}: CLOUD Act",
    )


def test_what_nobody_has_said_is_not_stated() -> None:
    assert shown(UNKNOWN)[2:] == ("not stated",) * 5
    assert shown(UNKNOWN, "fr")[2:] == ("non indiqué",) * 5
    assert row(UNKNOWN).open == (
        "hds", "secnumcloud", "hds_activities", "places", "outside_access", "third_country_law",
    )  # fmt: skip
    assert shown(replace(INSIDE, outside_access="yes", third_country_law="yes"))[5:] == (
        "yes: countries not stated (safeguards not stated)",
        "yes: laws and measures not stated",
    )


def test_a_place_outside_the_eea_is_access_from_there_whatever_else_is_said() -> None:
    moved = replace(INSIDE, places=(*FRANCE, Place(country="US")), transfer="none")

    assert row(moved).access == "yes"
    assert row(moved).countries == ("US",)
    assert "transfer" in row(moved).open
    assert row(moved).statement is Statement.TABLE


def test_a_certificate_that_has_ended_is_not_shown_as_one_that_holds() -> None:
    ended = Certificate(standard="SecNumCloud", edition="3.2", expires_on="2026-03-01")
    lapsed = replace(QUALIFIED, certificates=(ended, replace(ended, standard="HDS")))

    assert row(lapsed).hds == row(lapsed).secnumcloud == "expired"
    assert shown(lapsed)[2:4] == ("certificate expired", "certificate expired")
    assert row(lapsed).statement is Statement.NO_TRANSFER
    assert statement(lapsed) is Statement.NO_TRANSFER


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (QUALIFIED, Statement.SECNUMCLOUD),
        (replace(QUALIFIED, third_country_law="yes"), Statement.TABLE),
        (INSIDE, Statement.NO_TRANSFER),
        (replace(INSIDE, secnumcloud=""), Statement.NO_TRANSFER),
        (replace(INSIDE, places=(), transfer="none"), Statement.NO_TRANSFER),
        (replace(INSIDE, places=()), Statement.TABLE),
        (replace(INSIDE, places=(Place(site="Europe"),)), Statement.TABLE),
        (replace(INSIDE, outside_access=""), Statement.TABLE),
        (replace(INSIDE, outside_access="", transfer="none"), Statement.TABLE),
        (replace(INSIDE, transfer="adequacy"), Statement.TABLE),
        (replace(INSIDE, third_country_law=""), Statement.TABLE),
        (replace(INSIDE, third_country_law="yes"), Statement.TABLE),
        (ABROAD, Statement.TABLE),
        (UNKNOWN, Statement.TABLE),
    ],
)
def test_the_fixed_sentence_of_an_actor(entry: Entry, expected: Statement) -> None:
    assert row(entry).statement is expected


def test_the_sentence_of_the_service() -> None:
    assert statement(QUALIFIED, INSIDE, UNKNOWN) is Statement.SECNUMCLOUD
    assert statement(QUALIFIED, replace(INSIDE, third_country_law="yes")) is Statement.TABLE
    assert statement(HOST, INSIDE, QUALIFIED) is Statement.NO_TRANSFER
    assert statement(HOST, INSIDE, UNKNOWN) is Statement.TABLE
    assert statement(HOST, INSIDE, ABROAD) is Statement.TABLE


ENTRIES = st.builds(
    Entry,
    key=st.just("x"),
    name=st.just("X"),
    places=st.sampled_from([(), FRANCE, (Place(country="US"),), (Place(site="Europe"),)]),
    outside_access=st.sampled_from(["", "yes", "no"]),
    outside_countries=st.sampled_from([(), ("FR",), ("IN",)]),
    transfer=st.sampled_from(["", "none", "scc"]),
    secnumcloud=st.sampled_from(["", "yes", "no"]),
    third_country_law=st.sampled_from(["", "yes", "no"]),
)


@given(st.lists(ENTRIES, max_size=3))
def test_no_transfer_is_never_said_of_what_nobody_has_said(entries: list[Entry]) -> None:
    if statement(HOST, *entries) is Statement.NO_TRANSFER:
        assert all(entry.outside_access == "no" and "IN" not in entry.outside_countries for entry in entries)
        assert all(entry.places == FRANCE or entry.transfer == "none" for entry in entries)
        assert not any(Place(country="US") in entry.places for entry in entries)
        assert not any(entry.third_country_law == "yes" for entry in entries)


@given(ENTRIES, st.sampled_from(["en", "fr"]))
def test_every_row_has_words_for_every_column(entry: Entry, language: str) -> None:
    assert len(shown(entry, language)) == len(HEADINGS[language])
    assert all(shown(entry, language))


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["en"].keys() == WORDS["fr"].keys()
    assert ACTIVITIES["en"].keys() == ACTIVITIES["fr"].keys()
