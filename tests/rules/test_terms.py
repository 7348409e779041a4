from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.adapters.contracts import read_packs
from notifier.resources import search_path
from notifier.rules.periods import Counting, Step
from notifier.rules.terms import Addressees, BadPack, Pack, Rule

SAYS = {language: {"silence": "s", "remedy": "r"} for language in ("en", "fr")}
WRITTEN: dict[str, Any] = {
    "version": "2024",
    "title": {"en": "Conditions of 2024", "fr": "Conditions de 2024"},
    "defaults": {"timezone": "Europe/Paris", "calendar": "FR"},
    "rules": {
        "subprocessor": {
            "clause": "Art. 9",
            "mode": "notice",
            "period": "30 days",
            "counting": "FR_CAL",
            "margin_days": 2,
            "receipt": "deemed",
            "cutoff": "18:00",
            "addressees": "all",
            "says": SAYS,
        }
    },
}
RULE = Pack.parse("acme-2024", WRITTEN).rule_for("subprocessor")


def written(**rule: object) -> dict[str, Any]:
    """The pack with some keys of its rule written otherwise."""
    data = deepcopy(WRITTEN)
    data["rules"]["subprocessor"] |= rule
    return data


def test_a_pack_says_what_its_file_says() -> None:
    assert (RULE.period.days, RULE.counting, RULE.margin_days) == (30, Counting.FR_CAL, 2)
    assert (RULE.cutoff, RULE.addressees, RULE.timezone) == (time(18), Addressees.ALL, "Europe/Paris")
    assert RULE.unconfirmed == ()


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("period", "", 'cannot count with the period "": write a number of days, such as "30 days"'),
        ("period", "0 days", 'cannot count with the period "0 days"'),
        ("period", "a reasonable time", 'cannot count with the period "a reasonable time"'),
        ("counting", "MOON", "'MOON' is not a valid Counting"),
        ("counting", "BUSINESS", 'BUSINESS cannot count "30 days": write the period in business days'),
        ("counting", "GO_LIVE", "'GO_LIVE' is not a valid Counting"),
        ("period", "48 hours", 'FR_CAL ends with a day, "48 hours" with an hour'),
        ("calendar", "Atlantis", 'no calendar is called "Atlantis"'),
        ("timezone", "Mars/Olympus", 'no time zone is called "Mars/Olympus"'),
        ("addressees", "some", "'some' is not a valid Addressees"),
        ("receipt", "hope", "'hope' is not a valid ReceiptPolicy"),
        ("mode", "", "'' is not a valid Mode"),
        ("margin_days", "two", "invalid literal"),
        ("cutoff", "6 pm", "Invalid isoformat string"),
    ],
)
def test_a_pack_that_cannot_be_counted_with_cannot_be_used(key: str, value: str, sentence: str) -> None:
    with pytest.raises(BadPack) as refused:
        Pack.parse("acme-2024", written(**{key: value}))

    assert str(refused.value).startswith("contract pack acme-2024, [rules.subprocessor] cannot be used: ")
    assert sentence in str(refused.value)


@pytest.mark.parametrize("key", sorted(WRITTEN["rules"]["subprocessor"]))
def test_a_rule_with_a_key_missing_cannot_be_used(key: str) -> None:
    data = deepcopy(WRITTEN)
    del data["rules"]["subprocessor"][key]

    with pytest.raises(BadPack, match=rf"acme-2024, \[rules.subprocessor\]: the key '{key}' is missing: write it"):
        Pack.parse("acme-2024", data)


@pytest.mark.parametrize("key", sorted(WRITTEN))
def test_a_pack_with_a_table_missing_cannot_be_used(key: str) -> None:
    data = {name: value for name, value in WRITTEN.items() if name != key}

    with pytest.raises(BadPack, match=f"contract pack acme-2024: the key '{key}' is missing"):
        Pack.parse("acme-2024", data)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_rule_speaks_both_languages(language: str) -> None:
    one_language = {name: words for name, words in SAYS.items() if name != language}

    with pytest.raises(BadPack, match=f"the key '{language}' is missing"):
        Pack.parse("acme-2024", written(says=one_language))


def test_a_misspelt_key_is_refused_by_name() -> None:
    with pytest.raises(BadPack, match=r"\[rules.subprocessor\]: unknown key perriod: correct the spelling"):
        Pack.parse("acme-2024", written(perriod="30 days"))


def test_a_pack_may_count_months_or_business_days() -> None:
    monday_noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    in_months = Pack.parse("acme-2024", written(period="1 month")).rule_for("subprocessor")
    business = written(period="15 business days", counting="BUSINESS", calendar="FR-57")
    in_business_days = Pack.parse("acme-2024", business).rule_for("subprocessor")

    assert in_months.presume(monday_noon).last_day == date(2026, 4, 7)  # 4 April is a Saturday, the 6th Easter Monday
    assert in_business_days.presume(monday_noon).last_day == date(2026, 3, 25)
    assert Rule.from_json(json.loads(json.dumps(in_business_days.as_json()))) == in_business_days


def test_a_negative_margin_would_promise_less_than_the_contract() -> None:
    with pytest.raises(BadPack, match="margin"):
        Pack.parse("acme-2024", written(margin_days=-1))


def test_a_kind_that_the_contract_does_not_speak_of_has_no_rule() -> None:
    with pytest.raises(BadPack, match=r'no rule for announcements of the kind "location": write \[rules.location\]'):
        Pack.parse("acme-2024", WRITTEN).rule_for("location")


def test_the_guaranteed_last_day_counts_from_presumed_receipt_and_a_margin() -> None:
    monday_noon = datetime(2026, 3, 2, 12, tzinfo=UTC)

    found = RULE.presume(monday_noon)

    assert (found.received_on, found.last_day) == (date(2026, 3, 2), date(2026, 4, 3))
    assert found.until == datetime(2026, 4, 3, 22, tzinfo=UTC)
    assert found.steps[:2] == (
        Step("presumed_receipt", date(2026, 3, 2)),
        Step("margin", date(2026, 3, 4), why="2 days"),
    )


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
    st.timedeltas(timedelta(), timedelta(days=30)),
)
def test_sending_later_never_promises_an_earlier_last_day(sent_at: datetime, later: timedelta) -> None:
    assert RULE.presume(sent_at + later).until >= RULE.presume(sent_at).until


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_receipt_as_presumed_never_ends_after_the_last_day_promised(sent_at: datetime) -> None:
    presumed = RULE.presume(sent_at)

    assert RULE.count_from(presumed.received_on).until <= presumed.until


def test_a_rule_is_sealed_as_json_and_read_back_the_same() -> None:
    assert Rule.from_json(json.loads(json.dumps(RULE.as_json()))) == RULE


def test_the_shipped_contract_can_be_used_and_lists_what_counsel_must_confirm() -> None:
    pack = read_packs(search_path("config"))["outscale-hds-2022"]
    rule = pack.rule_for("subprocessor")

    assert (pack.version, rule.clause, str(rule.period)) == ("17.08.2022", "Art. 5", "30 days")
    assert set(rule.unconfirmed) == {
        "period", "counting", "calendar", "margin_days", "receipt", "cutoff", "addressees", "says",
    }  # fmt: skip
    assert all(rule.says[language][part] for language in ("en", "fr") for part in ("silence", "remedy"))
