from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.adapters.contracts import read_packs
from notifier.resources import folder
from notifier.rules.completeness import QUESTIONS, Asks, of_list, report
from notifier.rules.entries import FIELDS, Certificate, Entry, Place

TODAY = date(2026, 3, 2)
BARE = Entry(key="acme", name="Acme Backup GmbH")
HDS = Certificate(standard="HDS", edition="2024", number="HDS-0042", expires_on="2028-01-31")
FULL = Entry(
    key="acme",
    name="Acme Backup GmbH",
    legal_form="GmbH",
    registration_number="HRB 12345",
    address="Beispielstraße 1",
    town="Berlin",
    country="DE",
    contact="Zoé Martin, privacy@acme.example",
    activities=("encrypted backup",),
    hds_activities=("6",),
    access="receives",
    places=(Place(country="DE", site="Berlin", kind="backup"),),
    outside_access="no",
    hds="yes",
    secnumcloud="no",
    certificates=(HDS,),
    third_country_law="no",
)
ABROAD = replace(FULL, places=(Place(country="US", site="Ohio"),))


def missing(entry: Entry, *asks: Asks, today: date = TODAY) -> dict[str, str]:
    return {one.field: one.source for one in report(entry, asks, today=today).missing}


@pytest.mark.parametrize("asks", Asks)
def test_a_full_entry_answers_everything(asks: Asks) -> None:
    assert missing(FULL, asks) == {}


def test_the_gdpr_asks_who_it_is_what_it_does_and_where() -> None:
    asked = ["address", "town", "country", "contact", "activities", "places"]

    assert list(missing(BARE, Asks.GDPR)) == asked
    assert missing(BARE, Asks.GDPR)["contact"] == "EDPB Opinion 22/2024, 31-32"
    assert report(BARE, [Asks.GDPR], today=TODAY).known == 1


def test_what_it_is_used_for_says_what_it_does() -> None:
    assert "activities" not in missing(replace(BARE, purposes=("backup",)), Asks.GDPR)


def test_a_place_without_a_country_is_no_answer() -> None:
    assert "places" in missing(replace(FULL, places=(*FULL.places, Place(site="Europe"))), Asks.GDPR)


@pytest.mark.parametrize(
    "entry",
    [
        ABROAD,
        replace(FULL, outside_access="yes"),
        replace(FULL, outside_countries=("IN",)),
        replace(FULL, places=(), country="US"),  # nothing else is said of where
    ],
)
def test_safeguards_are_asked_for_what_lies_outside_the_eea(entry: Entry) -> None:
    assert {"transfer", "assessment"} <= missing(entry, Asks.GDPR).keys()
    assert {"transfer", "assessment"} <= missing(replace(entry, transfer="none"), Asks.GDPR).keys()
    assert "transfer" not in missing(replace(entry, transfer="scc"), Asks.GDPR)
    assert not missing(replace(entry, transfer="adequacy"), Asks.GDPR).keys() & {"transfer", "assessment"}


def test_hds_v2_takes_no_derogation_for_a_safeguard() -> None:
    derogation = replace(ABROAD, transfer="derogation", assessment="https://acme.example/tia")

    assert missing(derogation, Asks.GDPR) == {}
    assert missing(derogation, Asks.HDS_2024) == {"transfer": "HDS v2 29"}


def test_what_follows_from_a_yes_is_asked_of_a_yes() -> None:
    yes = replace(FULL, outside_access="yes", third_country_law="yes", transfer="adequacy")

    assert missing(yes, Asks.HDS_2024).keys() == {"outside_countries", "third_country_laws"}


@pytest.mark.parametrize("certificates", [(), (replace(HDS, number=""),), (replace(HDS, expires_on=""),)])
def test_a_certified_actor_needs_a_certificate_with_its_number_and_its_end(
    certificates: tuple[Certificate, ...],
) -> None:
    entry = replace(FULL, certificates=certificates)

    assert missing(entry, Asks.HDS_2024) == {"certificates": "HDS v2 12"}
    assert missing(replace(entry, hds="no", certificates=()), Asks.HDS_2024) == {}


def test_a_certificate_holds_to_the_end_of_its_last_day() -> None:
    last = date(2028, 1, 31)

    assert not report(FULL, [Asks.HDS_2024], today=last).expired
    assert report(FULL, [Asks.HDS_2024], today=date(2028, 2, 1)).expired == (HDS,)
    assert missing(FULL, Asks.HDS_2024, today=date(2028, 2, 1)) == {"certificates": "HDS v2 12"}


def test_certificates_that_end_within_sixty_days_are_named() -> None:
    assert report(FULL, [], today=date(2027, 12, 2)).ending == (HDS,)
    assert report(FULL, [], today=date(2027, 12, 1)).ending == ()


def test_a_certificate_that_was_renewed_is_not_named_again() -> None:
    old = replace(HDS, standard="hds", edition="2018", number="HDS-0001", expires_on="2026-01-31")
    renewed = replace(FULL, certificates=(old, HDS))
    elsewhere = replace(FULL, certificates=(replace(old, scope="Lyon"), HDS))

    assert report(renewed, [Asks.HDS_2024], today=TODAY).expired == ()
    assert report(elsewhere, [Asks.HDS_2024], today=TODAY).expired == (replace(old, scope="Lyon"),)


def test_a_question_of_two_laws_is_one_with_both_sources() -> None:
    both = report(BARE, [Asks.HDS_2018, Asks.GDPR], today=TODAY)

    assert [one.field for one in both.missing].count("address") == 1
    assert missing(BARE, Asks.GDPR, Asks.HDS_2018)["address"] == "EDPB Opinion 22/2024, 31-32; HDS v1 4.4.4.1"
    assert both.asked == 7


def test_under_the_referential_of_2018_what_that_of_2024_asks_besides_is_the_gap() -> None:
    listed = replace(BARE, address="Beispielstraße 1", town="Berlin", activities=("backup",), places=FULL.places)

    found = report(listed, [Asks.HDS_2018], today=TODAY)

    assert found.missing == ()
    assert [one.field for one in found.next] == [
        "legal_form", "registration_number", "country", "hds_activities", "access", "outside_access", "hds",
        "secnumcloud", "third_country_law",
    ]  # fmt: skip
    assert report(listed, [Asks.HDS_2018, Asks.HDS_2024], today=TODAY).next == ()
    assert report(listed, [Asks.GDPR], today=TODAY).next == ()


def test_a_list_counts_known_of_asked() -> None:
    counted = of_list([FULL, replace(BARE, key="bare")], [Asks.GDPR], today=TODAY)

    assert (counted.known, counted.asked) == (8, 14)
    assert counted.entries["bare"].asked == 7


@given(st.sets(st.sampled_from(Asks)), st.sampled_from([BARE, FULL, ABROAD]))
def test_every_question_is_known_or_missing_and_about_a_field(asks: set[Asks], entry: Entry) -> None:
    found = report(entry, asks, today=TODAY)

    assert found.known >= 0
    assert {one.field for one in (*found.missing, *found.next)} <= FIELDS.keys()
    assert not {one.field for one in found.missing} & {one.field for one in found.next}


def test_every_set_of_questions_names_fields_of_an_entry() -> None:
    assert QUESTIONS.keys() == set(Asks)


def test_the_shipped_packs_say_whose_questions_are_asked() -> None:
    packs = read_packs([folder("config")])

    hds = {name for name, pack in packs.items() if Asks.HDS_2018 in pack.asks}
    assert hds == {"outscale-hds-2022", "selligent-health-2020"}
    assert all(Asks.GDPR in pack.asks for pack in packs.values())
