from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.receipts import ContactStanding, Receipt, receipt_of
from notifier.rules.terms import Addressees

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
WAITING = ContactStanding(mandatory=False, received_on=None, hopeful=True)
LOST = replace(WAITING, hopeful=False)
ON_MONDAY = replace(WAITING, received_on=MONDAY)
ON_TUESDAY = replace(WAITING, received_on=TUESDAY)

STANDINGS = st.builds(
    ContactStanding,
    mandatory=st.booleans(),
    received_on=st.none() | st.dates(MONDAY, date(2026, 4, 30)),
    hopeful=st.booleans(),
)
SEVERAL = st.lists(STANDINGS, min_size=1, max_size=5)


def mandatory(contact: ContactStanding) -> ContactStanding:
    return replace(contact, mandatory=True)


def test_where_the_first_counts_one_receipt_is_enough_and_the_earliest_counts() -> None:
    found = receipt_of(Addressees.FIRST, [ON_TUESDAY, LOST, ON_MONDAY])

    assert found == Receipt(received_on=MONDAY, lost=False)


def test_where_all_count_the_last_receipt_starts_the_clock() -> None:
    assert receipt_of(Addressees.ALL, [ON_TUESDAY, ON_MONDAY]) == Receipt(received_on=TUESDAY, lost=False)


def test_where_all_count_one_who_has_not_received_keeps_the_clock_from_starting() -> None:
    assert receipt_of(Addressees.ALL, [ON_MONDAY, WAITING]) == Receipt(received_on=None, lost=False)


def test_where_all_count_one_failed_mail_needs_a_person() -> None:
    assert receipt_of(Addressees.ALL, [ON_MONDAY, LOST]) == Receipt(received_on=None, lost=True)


def test_where_the_mandatory_count_others_neither_start_the_clock_nor_keep_it() -> None:
    found = receipt_of(Addressees.LAST_MANDATORY, [mandatory(ON_TUESDAY), mandatory(ON_MONDAY), WAITING, LOST])

    assert found == Receipt(received_on=TUESDAY, lost=False)
    assert receipt_of(Addressees.LAST_MANDATORY, [mandatory(WAITING), ON_MONDAY]).received_on is None


def test_where_no_contact_is_in_a_mandatory_role_all_count() -> None:
    assert receipt_of(Addressees.LAST_MANDATORY, [ON_MONDAY, WAITING]).received_on is None
    assert receipt_of(Addressees.LAST_MANDATORY, [ON_MONDAY, ON_TUESDAY]).received_on == TUESDAY


@pytest.mark.parametrize("policy", Addressees)
def test_when_nobody_can_be_reached_any_more_a_person_must_act(policy: Addressees) -> None:
    assert receipt_of(policy, [LOST, mandatory(LOST)]) == Receipt(received_on=None, lost=True)


@pytest.mark.parametrize("policy", Addressees)
def test_nobody_told_is_nothing_received(policy: Addressees) -> None:
    assert receipt_of(policy, []).received_on is None


@given(st.sampled_from(Addressees), SEVERAL)
def test_a_receipt_that_is_taken_back_never_starts_a_clock_earlier_unless_another_was_first(
    policy: Addressees, contacts: list[ContactStanding]
) -> None:
    before = receipt_of(policy, contacts)
    after = receipt_of(policy, [replace(contacts[0], received_on=None, hopeful=False), *contacts[1:]])

    assert after.received_on is None or (before.received_on is not None and after.received_on >= before.received_on)


@given(SEVERAL)
def test_no_policy_is_satisfied_before_the_first_receipt_nor_later_than_all_have_it(
    contacts: list[ContactStanding],
) -> None:
    first, last, everybody = (receipt_of(policy, contacts).received_on for policy in Addressees)

    assert last is None or (first is not None and first <= last)
    assert everybody is None or (last is not None and last <= everybody)
