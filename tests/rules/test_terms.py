from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.calendars import BadPeriod, Calendar
from notifier.rules.completeness import Asks
from notifier.rules.periods import Backward, Counting, Period, Step
from notifier.rules.terms import (
    FOR_EVERY_KIND,
    OVERRIDABLE,
    UNSAID,
    Addressees,
    BadPack,
    Channel,
    Mode,
    Pack,
    PeriodBlank,
    Rule,
    refuse_bad_overrides,
)

Rules = dict[str, dict[str, Any]]

SAYS = {language: {"silence": "s", "remedy": "r"} for language in ("en", "fr")}
RULE_WRITTEN: dict[str, Any] = {
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
WRITTEN: dict[str, Any] = {
    "version": "2024",
    "title": {"en": "Conditions of 2024", "fr": "Conditions de 2024"},
    "defaults": {"timezone": "Europe/Paris", "calendar": "FR"},
    "rules": {"subprocessor": RULE_WRITTEN},
}
REQUIRED = ["addressees", "clause", "mode", "period", "receipt"]
MONDAY, MONDAY_NOON = date(2026, 3, 2), datetime(2026, 3, 2, 12, tzinfo=UTC)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
LATER = st.timedeltas(timedelta(), timedelta(days=30))
PERIODS = st.builds(Period, days=st.integers(1, 40), weeks=st.integers(0, 6), months=st.integers(0, 7)).map(str)
BACKWARD = st.one_of(
    st.tuples(st.sampled_from([Backward.BACK_CLEAR, Backward.BACK_CLEAR_SAFE]), PERIODS),
    st.tuples(st.just(Backward.BACK_BUSINESS), st.integers(1, 30).map(lambda days: str(Period(business_days=days)))),
)


def written(**rule: object) -> dict[str, Any]:
    """The pack with some keys of its rule written otherwise."""
    data = deepcopy(WRITTEN)
    data["rules"]["subprocessor"] |= rule
    return data


def pack_of(rules: Rules, *, general: dict[str, Any] | None = None, **tables: object) -> Pack:
    return Pack.parse("acme-2024", {**WRITTEN, **tables, "rules": rules}, general=general)


def ruled(**rule: object) -> Rule:
    return Pack.parse("acme-2024", written(**rule)).rule_for("subprocessor")


def backward(counting: str = "BACK_CLEAR_SAFE", period: str = "1 week", **rule: object) -> Rule:
    return ruled(counting=counting, period=period, **rule)


RULE = ruled()


def test_a_pack_says_what_its_file_says() -> None:
    assert (RULE.mode, RULE.period, RULE.counting, RULE.margin_days) == ("notice", Period(30), Counting.FR_CAL, 2)
    assert (RULE.cutoff, RULE.addressees, RULE.timezone) == (time(18), Addressees.ALL, "Europe/Paris")
    assert (RULE.unconfirmed, RULE.overridden) == ((), ())


def test_what_a_pack_leaves_out_is_the_usual_thing() -> None:
    assert (RULE.window, RULE.window_holds, RULE.silence, RULE.prevails) == (None, True, "acceptance", False)
    assert (RULE.channels, RULE.roles, RULE.mandatory_roles) == ((Channel.MAIL,), ("contractual", "dpo"), ())
    assert (RULE.forward_days, RULE.downstream_period, RULE.paper_margin_days) == (0, None, 10)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("period", "0 days", 'cannot count with the period "0 days"'),
        ("period", "a reasonable time", 'cannot count with the period "a reasonable time": write a number of days'),
        ("period", 30, 'period is a text: write a number and a unit, such as "30 days"'),
        ("period", "none", 'the mode "notice" needs a period: write one, or the mode "information"'),
        ("counting", "MOON", 'no rule to count by is called "MOON": write one of CAL_STRICT, FR_CAL'),
        ("counting", "BUSINESS", 'BUSINESS cannot count "30 days": write the period in business days'),
        ("counting", "BACK_BUSINESS", 'BUSINESS cannot count "30 days"'),
        ("counting", "GO_LIVE", 'no rule to count by is called "GO_LIVE"'),
        ("period", "48 hours", 'FR_CAL ends with a day, "48 hours" with an hour'),
        ("window", "5 business days", 'FR_CAL cannot count "5 business days"'),
        ("window_holds", "yes", "window_holds is true or false"),
        ("prevails", 1, "prevails is true or false"),
        ("roles", "dpo", 'roles is a list: write ["dpo"]'),
        ("roles", [], "write at least one of roles and of channels"),
        ("channels", [], "write at least one of roles and of channels"),
        ("channels", ["fax"], "'fax' is not a valid Channel"),
        ("mandatory_roles", ["billing"], "mandatory_roles among the roles"),
        ("calendar", "Atlantis", 'no calendar is called "Atlantis"'),
        ("timezone", "Mars/Olympus", 'no time zone is called "Mars/Olympus"'),
        ("addressees", "some", "'some' is not a valid Addressees"),
        ("receipt", "hope", "'hope' is not a valid ReceiptPolicy"),
        ("unclaimed", "perhaps", "'perhaps' is not a valid Unclaimed"),
        ("mode", "", "'' is not a valid Mode"),
        ("margin_days", "two", "invalid literal"),
        ("margin_days", -1, "a margin_days below 0 would promise less than the contract: write 0 or more"),
        ("paper_margin_days", -1, "below 0"),
        ("forward_days", -1, "below 0"),
        ("downstream_period", "soon", 'cannot count with the period "soon"'),
        ("cutoff", "6 pm", "Invalid isoformat string"),
    ],
)
def test_a_pack_that_cannot_be_counted_with_cannot_be_used(key: str, value: object, sentence: str) -> None:
    with pytest.raises(BadPack) as refused:
        Pack.parse("acme-2024", written(**{key: value}))

    assert str(refused.value).startswith("contract pack acme-2024, [rules.subprocessor] cannot be used: ")
    assert sentence in str(refused.value)


@pytest.mark.parametrize("key", REQUIRED)
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


@pytest.mark.parametrize(
    "table", [{"territory": "FR"}, {"asks": "gdpr"}, {"asks": ["hds"]}, {"rules": "Art. 5"}, {"defaults": "none"}]
)
def test_a_pack_of_another_shape_is_refused_and_not_stumbled_over(table: dict[str, Any]) -> None:
    with pytest.raises(BadPack, match="contract pack acme-2024 is not laid out as a pack is"):
        Pack.parse("acme-2024", {**WRITTEN, **table})


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_rule_speaks_both_languages(language: str) -> None:
    one_language = {name: words for name, words in SAYS.items() if name != language}

    with pytest.raises(BadPack, match=rf"\[rules.subprocessor.says.{language}\]: the key remedy, silence is missing"):
        Pack.parse("acme-2024", written(says=one_language))


def test_a_confirmation_is_asked_in_both_languages_or_in_none() -> None:
    asking = {language: {**words, "confirmation": "done"} for language, words in SAYS.items()}

    assert ruled(says=asking).asks_confirmation
    assert not RULE.asks_confirmation
    with pytest.raises(BadPack, match=r"says.fr\]: the key confirmation is missing: write it"):
        ruled(says={**asking, "fr": SAYS["fr"]})


def test_a_misspelt_key_is_refused_by_name() -> None:
    with pytest.raises(BadPack, match=r"\[rules.subprocessor\]: unknown key perriod: correct the spelling"):
        Pack.parse("acme-2024", written(perriod="30 days"))
    with pytest.raises(BadPack, match=r"\[rules.subprocessor.says\]: unknown key silent: correct the spelling"):
        Pack.parse("acme-2024", written(says={**SAYS, "en": {**SAYS["en"], "silent": "s"}}))


@pytest.mark.parametrize("key", ["subprocesor", "certification.renewd", "service.within", "all"])
def test_a_rule_for_a_kind_or_an_aspect_that_does_not_exist_is_refused(key: str) -> None:
    with pytest.raises(BadPack, match=rf"\[rules.{key}\] is no kind of announcement: correct the spelling"):
        pack_of({key: RULE_WRITTEN})


def test_a_kind_that_the_contract_does_not_speak_of_has_no_rule() -> None:
    with pytest.raises(BadPack, match=r'no rule for announcements of the kind "location": write \[rules.location\]'):
        Pack.parse("acme-2024", WRITTEN).rule_for("location")


@pytest.mark.parametrize("kind", ["emergency", "support"])
def test_an_emergency_and_the_support_follow_the_rule_on_subprocessors_unless_a_pack_writes_their_own(
    kind: str,
) -> None:
    follows = Pack.parse("acme-2024", WRITTEN)
    own = pack_of({"subprocessor": RULE_WRITTEN, kind: {**RULE_WRITTEN, "clause": "Art. 10"}})

    assert follows.rule_for(kind) == RULE
    assert own.rule_for(kind).clause == "Art. 10"


def test_an_aspect_has_the_rule_written_for_it_and_else_that_of_its_kind() -> None:
    renewed = {**RULE_WRITTEN, "mode": "information", "period": "none"}
    pack = pack_of({"certification": RULE_WRITTEN, "certification.renewed": renewed})

    assert pack.rule_for("certification", "renewed").mode is Mode.INFORMATION
    assert pack.rule_for("certification", "lost").mode is Mode.NOTICE


def test_a_place_inside_the_territory_is_no_move_where_the_pack_has_a_rule_for_that() -> None:
    rules = {"location": RULE_WRITTEN, "location.within": RULE_WRITTEN}

    assert pack_of(rules, territory=["FR"]).aspect_of_place("FR", "storage") == "within"
    assert pack_of(rules, territory=["FR"]).aspect_of_place("RE", "storage") == "storage"
    assert pack_of({"location": RULE_WRITTEN}, territory=["FR"]).aspect_of_place("FR", "storage") == "storage"


# --- values that do not go together ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"mode": "consent"}, 'silence is "refusal" where the mode is "consent"'),
        ({"mode": "consent", "silence": "acceptance"}, 'silence is "refusal" where the mode is "consent"'),
        ({"silence": "refusal"}, '"acceptance" elsewhere: correct one'),
        ({"mode": "consultation", "period": "none"}, 'the mode "consultation" needs a period: write one'),
        ({"mode": "information", "period": "none", "window": "30 days"}, "write both, or the period alone"),
        ({"counting": "BACK_CLEAR", "mode": "notice_with_exit"}, "counts a period of a notice back from an event"),
        ({"counting": "BACK_CLEAR", "window": "30 days"}, "write those, no window"),
        ({"counting": "BACK_CLEAR", "mode": "information", "period": "none"}, "counts a period of a notice back"),
    ],
)
def test_values_that_contradict_each_other_are_refused_with_what_to_write(rule: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadPack) as refused:
        ruled(**rule)

    assert sentence in str(refused.value)


@given(st.sampled_from(Mode), st.sampled_from(["", "acceptance", "refusal"]), st.sampled_from(["none", "30 days"]))
def test_under_no_rule_is_silence_a_consent(mode: Mode, silence: str, period: str) -> None:
    said = {"silence": silence} if silence else {}
    try:
        rule = ruled(mode=mode.value, period=period, **said)
    except BadPack:
        return

    assert rule.asks_consent == (rule.silence == "refusal")


def test_what_a_client_may_do_follows_from_the_mode() -> None:
    may = {
        mode: (ruled(mode=mode.value).may_object, ruled(mode=mode.value).may_terminate)
        for mode in Mode
        if mode != "consent"
    }

    assert may == {
        Mode.INFORMATION: (False, False),
        Mode.NOTICE: (True, False),
        Mode.NOTICE_WITH_EXIT: (True, True),
        Mode.CONSULTATION: (True, False),
    }


def test_what_is_told_at_once_leaves_nothing_to_object_to() -> None:
    at_once = ruled(mode="notice_with_exit", period="none")

    assert (at_once.may_object, at_once.may_terminate) == (False, True)


def test_a_change_waits_for_a_consent_and_for_a_running_period_and_for_nothing_else() -> None:
    assert RULE.waits
    assert ruled(mode="consent", silence="refusal", period="none").waits
    assert not ruled(mode="information", period="none").waits
    assert not ruled(mode="notice_with_exit", period="none").waits
    assert not backward().waits


# --- general terms ---------------------------------------------------------------------------------------------------

GENERAL: dict[str, Any] = {
    "territory": ["BE"],
    "defaults": {"timezone": "Europe/Brussels", "calendar": "BE", "unconfirmed": ["calendar", "says", "period"]},
    "rules": {
        "subprocessor": {**RULE_WRITTEN, "mode": "information", "margin_days": 5, "unconfirmed": ["margin_days"]},
        "location": {**RULE_WRITTEN, "mode": "consent", "silence": "refusal"},
        "location.within": {**RULE_WRITTEN, "clause": "general"},
        "certification": {**RULE_WRITTEN, "clause": "general"},
        "certification.renewed": {**RULE_WRITTEN, "clause": "general"},
    },
}


def test_the_contract_prevails_and_the_general_terms_fill_its_gaps_field_by_field() -> None:
    rule = pack_of({"subprocessor": {"mode": "notice", "period": "45 days"}}, general=GENERAL).rule_for("subprocessor")

    assert (rule.mode, str(rule.period)) == ("notice", "45 days")
    assert (rule.clause, rule.margin_days) == ("Art. 9", 5)
    assert (rule.timezone, rule.calendar) == ("Europe/Paris", "FR")


def test_a_kind_of_which_the_contract_is_silent_has_the_general_terms() -> None:
    pack = pack_of({"subprocessor": RULE_WRITTEN}, general=GENERAL)

    assert pack.rule_for("location", "access").asks_consent
    assert pack.rule_for("location", "within").clause == "general"


def test_what_general_terms_say_of_one_aspect_falls_where_the_contract_speaks_of_the_kind() -> None:
    pack = pack_of({"certification": {"clause": "Art. 1"}, "subprocessor": {}}, general=GENERAL)

    assert pack.rule_for("certification", "renewed").clause == "Art. 1"


def test_a_contract_may_take_up_one_aspect_of_the_general_terms_and_correct_it() -> None:
    rules: Rules = {"certification": {"clause": "Art. 1"}, "certification.renewed": {"margin_days": 0}}
    pack = pack_of(rules, general=GENERAL)

    assert pack.rule_for("certification", "renewed").clause == "general"
    assert pack.rule_for("certification", "renewed").margin_days == 0


def test_a_contract_that_names_no_territory_has_that_of_the_general_terms() -> None:
    assert pack_of({}, general=GENERAL).territory == ("BE",)
    assert pack_of({}, general=GENERAL, territory=["FR"]).territory == ("FR",)


def test_a_contract_that_does_not_say_whose_questions_it_asks_has_those_of_the_general_terms() -> None:
    general = {**GENERAL, "asks": ["gdpr", "hds-2018"]}

    assert pack_of({}, general=general).asks == (Asks.GDPR, Asks.HDS_2018)
    assert pack_of({}, general=general, asks=["hds-2024"]).asks == (Asks.HDS_2024,)
    assert pack_of({}, general=GENERAL).asks == (Asks.GDPR,)  # it holds for every contract


def test_questions_that_nobody_asks_are_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadPack, match="asks has no hds: write any of gdpr, hds-2018, hds-2024"):
        pack_of({}, asks=["hds", "gdpr"])


def test_what_the_contract_itself_says_needs_no_confirmation_and_what_fills_its_gaps_does() -> None:
    rule = pack_of({"subprocessor": {"period": "45 days"}}, general=GENERAL).rule_for("subprocessor")

    assert set(rule.unconfirmed) == {"says", "margin_days"}


def test_a_default_listed_for_counsel_is_listed_until_the_rule_writes_its_own() -> None:
    defaults = {**WRITTEN["defaults"], "margin_days": 2, "unconfirmed": ["margin_days", "period"]}
    without = {key: value for key, value in RULE_WRITTEN.items() if key != "margin_days"}

    assert pack_of({"subprocessor": without}, defaults=defaults).rule_for("subprocessor").unconfirmed == (
        "margin_days",
        "period",
    )
    assert pack_of({"subprocessor": RULE_WRITTEN}, defaults=defaults).rule_for("subprocessor").unconfirmed == (
        "period",
    )


# --- a client's own terms --------------------------------------------------------------------------------------------

UNCONFIRMED = Pack.parse("acme-2024", written(unconfirmed=["period", "counting"]))


def test_a_clients_own_terms_take_the_place_of_the_packs_field_by_field() -> None:
    own: Rules = {"subprocessor": {"period": "45 days"}, "all": {"margin_days": 0}}

    rule = UNCONFIRMED.rule_for("subprocessor", overrides=own)

    assert (rule.period, rule.margin_days, rule.counting) == (Period(45), 0, Counting.FR_CAL)
    assert rule.overridden == ("margin_days", "period")
    assert rule.unconfirmed == ("counting",)


def test_of_a_clients_own_terms_the_most_special_counts() -> None:
    own = {"all": {"margin_days": 1}, "service": {"margin_days": 3}, "service.maintenance": {"margin_days": 4}}
    pack = pack_of({"subprocessor": RULE_WRITTEN, "service": RULE_WRITTEN})

    assert pack.rule_for("subprocessor", overrides=own).margin_days == 1
    assert pack.rule_for("service", "new", own).margin_days == 3
    assert pack.rule_for("service", "maintenance", own).margin_days == 4


def test_terms_for_a_kind_do_not_stretch_the_clock_that_the_pack_writes_for_one_aspect() -> None:
    pack = pack_of({"subprocessor": RULE_WRITTEN, "subprocessor.other_data": {**RULE_WRITTEN, "period": "14 days"}})
    own = {"subprocessor": {"period": "6 months", "addressees": "first"}}

    other = pack.rule_for("subprocessor", "other_data", own)

    assert (str(other.period), other.addressees) == ("14 days", "first")
    assert str(pack.rule_for("subprocessor", "", own).period) == "6 months"
    of_the_aspect = {"subprocessor.other_data": {"period": "60 days"}}
    assert str(pack.rule_for("subprocessor", "other_data", of_the_aspect).period) == "60 days"


@pytest.mark.parametrize("kind", ["emergency", "support"])
def test_a_clients_terms_on_subprocessors_hold_for_what_follows_them(kind: str) -> None:
    pack = Pack.parse("acme-2024", written(period=""))

    assert pack.rule_for(kind, overrides={"subprocessor": {"period": "45 days"}}).period == Period(45)
    with pytest.raises(PeriodBlank):
        pack.rule_for(kind)


def test_a_period_left_blank_is_refused_with_what_to_write_and_can_be_used_once_it_is_written() -> None:
    pack = Pack.parse("acme-2024", written(period=""))

    with pytest.raises(PeriodBlank, match=r'write it in the terms of each client, such as subprocessor.period = "30 d'):
        pack.rule_for("subprocessor")
    assert pack.rules == {}
    assert pack.rule_for("subprocessor", overrides={"subprocessor": {"period": "30 days"}}) == Rule.from_json(
        {**RULE.as_json(), "overridden": ["period"]}
    )


def test_terms_of_a_clients_own_may_leave_blank_what_the_pack_leaves_blank_and_nothing_else() -> None:
    blank = Pack.parse("acme-2024", written(period=""))

    refuse_bad_overrides(blank, {})
    refuse_bad_overrides(blank, {"all": {"addressees": "first"}})
    with pytest.raises(PeriodBlank):
        refuse_bad_overrides(UNCONFIRMED, {"subprocessor": {"period": ""}})


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"weather": {}}, '"weather" is no kind of announcement: write one of subprocessor, emergency'),
        ({"service.sometimes": {}}, '"service.sometimes" is no kind of announcement'),
        ({"subprocessor": {"perriod": "1 day"}}, "subprocessor has no field perriod: write one of addressees"),
        ({"subprocessor": {"says": {}}}, "subprocessor has no field says"),
        ({"subprocessor": {"unconfirmed": []}}, "subprocessor has no field unconfirmed"),
        ({"all": {"period": "1 day"}}, "all has no field period"),
        ({"all": {"silence": "refusal"}}, "all has no field silence"),
        ({"subprocessor": {"period": "soon"}}, 'cannot count with the period "soon"'),
        ({"emergency": {"period": "soon"}}, 'cannot count with the period "soon"'),
        ({"location": {"period": "30 days"}}, 'no rule for announcements of the kind "location"'),
        ({"all": {"calendar": "Atlantis"}}, 'no calendar is called "Atlantis"'),
        ({"subprocessor": {"mode": "consent"}}, 'silence is "refusal" where the mode is "consent"'),
    ],
)
def test_terms_of_a_clients_own_that_cannot_be_used_are_refused_with_what_to_write(own: Rules, sentence: str) -> None:
    with pytest.raises(BadPack) as refused:
        refuse_bad_overrides(UNCONFIRMED, own)

    assert sentence in str(refused.value)


def test_terms_that_turn_the_meaning_of_silence_need_a_pack_with_sentences_of_its_own() -> None:
    with pytest.raises(BadPack, match='write a pack of its own for it, with general_terms = "acme-2024"'):
        refuse_bad_overrides(UNCONFIRMED, {"subprocessor": {"mode": "consent", "silence": "refusal"}})


def test_what_is_written_for_every_kind_never_touches_a_clock_or_a_right() -> None:
    touches = {"mode", "period", "window", "window_holds", "counting", "silence", "clause"}

    assert touches == OVERRIDABLE - FOR_EVERY_KIND


# --- both clocks -----------------------------------------------------------------------------------------------------


def test_a_pack_may_count_months_or_business_days() -> None:
    in_months = ruled(period="1 month")
    in_business_days = ruled(period="15 business days", counting="BUSINESS", calendar="FR-57")

    assert in_months.promise(MONDAY_NOON).last_day == date(2026, 4, 7)  # 4 April is a Saturday, the 6th Easter Monday
    assert in_business_days.promise(MONDAY_NOON).last_day == date(2026, 3, 25)
    assert Rule.from_json(json.loads(json.dumps(in_business_days.as_json()))) == in_business_days


def test_the_guaranteed_last_day_counts_from_presumed_receipt_and_a_margin() -> None:
    found = RULE.promise(MONDAY_NOON)

    assert (found.received_on, found.last_day) == (MONDAY, date(2026, 4, 3))
    assert found.until == found.opens_at == datetime(2026, 4, 3, 22, tzinfo=UTC)
    assert found.steps[:2] == (
        Step("presumed_receipt", MONDAY),
        Step("margin", date(2026, 3, 4), why="2 days"),
    )


def test_a_letter_of_paper_has_a_margin_of_its_own() -> None:
    rule = ruled(counting="CAL_STRICT", paper_margin_days=10)

    assert rule.promise(MONDAY_NOON, channel=Channel.PAPER).last_day == date(2026, 4, 11)
    assert rule.promise(MONDAY_NOON, channel=Channel.MAIL).last_day == date(2026, 4, 3)
    assert ruled(counting="CAL_STRICT", channels=["paper"]).promise(MONDAY_NOON).last_day == date(2026, 4, 11)


def test_a_window_shorter_than_the_period_ends_the_objection_and_not_the_wait() -> None:
    found = ruled(counting="CAL_STRICT", window="5 days").reckon(MONDAY)

    assert (found.last_day, found.last_day_of_waiting) == (date(2026, 3, 7), date(2026, 4, 1))
    assert found.until < found.opens_at


def test_a_window_longer_than_the_period_is_waited_for_unless_the_contract_says_not() -> None:
    held = ruled(counting="CAL_STRICT", window="90 days").reckon(MONDAY)
    free = ruled(counting="CAL_STRICT", window="90 days", window_holds=False).reckon(MONDAY)

    assert held.last_day == held.last_day_of_waiting == date(2026, 5, 31)
    assert (free.last_day, free.last_day_of_waiting) == (date(2026, 5, 31), date(2026, 4, 1))
    assert free.opens_at < free.until == held.until


def test_both_clocks_are_told_step_by_step() -> None:
    found = ruled(counting="CAL_STRICT", window="5 days").reckon(MONDAY)

    assert [(step.did, step.day, step.why) for step in found.steps] == [
        ("day_zero", MONDAY, ""),
        ("added", date(2026, 4, 1), "30 days"),
        ("window", MONDAY, ""),
        ("added", date(2026, 3, 7), "5 days"),
    ]


def test_the_first_day_for_the_change_is_the_one_after_the_last_day_of_waiting() -> None:
    assert RULE.earliest_effective_on(MONDAY_NOON) == date(2026, 4, 4)
    assert RULE.earliest_effective_on(MONDAY_NOON, acknowledged_on=MONDAY) == date(2026, 4, 2)
    free = ruled(counting="CAL_STRICT", window="90 days", window_holds=False)
    assert free.earliest_effective_on(MONDAY_NOON, acknowledged_on=MONDAY) == date(2026, 4, 2)


def test_where_nothing_is_waited_for_the_change_may_take_effect_the_same_day_of_the_contracts_zone() -> None:
    told = ruled(mode="information", period="none")

    assert told.earliest_effective_on(datetime(2026, 3, 2, 23, 30, tzinfo=UTC)) == date(2026, 3, 3)
    with pytest.raises(TypeError, match="no period is owed"):
        told.reckon(MONDAY)


def test_where_no_clock_runs_the_last_day_is_the_eve_of_the_change() -> None:
    found = ruled(mode="information", period="none").promise(MONDAY_NOON, effective_on=date(2026, 3, 10))

    assert (found.received_on, found.last_day) == (MONDAY, date(2026, 3, 9))
    assert found.until == datetime(2026, 3, 9, 23, tzinfo=UTC)


@given(INSTANTS, LATER)
def test_sending_later_never_promises_an_earlier_last_day(sent_at: datetime, later: timedelta) -> None:
    assert RULE.promise(sent_at + later).until >= RULE.promise(sent_at).until


@given(INSTANTS)
def test_receipt_as_presumed_never_ends_after_the_last_day_promised(sent_at: datetime) -> None:
    presumed = RULE.promise(sent_at)

    assert RULE.reckon(presumed.received_on).until <= presumed.until


@given(sent_at=INSTANTS, period=PERIODS, window=PERIODS, holds=st.booleans())
def test_the_change_never_overtakes_the_period_nor_a_window_that_holds(
    *, sent_at: datetime, period: str, window: str, holds: bool
) -> None:
    rule = ruled(period=period, window=window, window_holds=holds, margin_days=0)
    alone, both = ruled(period=period, margin_days=0).promise(sent_at), rule.promise(sent_at)

    assert both.opens_at == (max(alone.until, both.until) if holds else alone.until)
    assert rule.earliest_effective_on(sent_at) == both.last_day_of_waiting + timedelta(days=1)


# --- counted back from the day of going live --------------------------------------------------------------------------


def test_a_week_before_going_live_is_counted_in_clear_days_back_to_a_working_day() -> None:
    steps = backward().latest_receipt(date(2026, 5, 9))

    assert [(step.did, step.day) for step in steps] == [
        ("event", date(2026, 5, 9)),
        ("counted_back", date(2026, 5, 1)),
        ("moved_back", date(2026, 4, 30)),
    ]


def test_the_last_instant_to_send_is_the_cut_off_of_a_working_day_that_leaves_the_margin() -> None:
    without = backward(margin_days=0).latest_sending_at(date(2026, 5, 9))
    with_margin = backward(margin_days=5).latest_sending_at(date(2026, 5, 9))

    assert without == datetime(2026, 4, 30, 16, tzinfo=UTC)
    assert with_margin == datetime(2026, 4, 24, 16, tzinfo=UTC)  # the 25th is a Saturday


def test_a_minute_after_the_last_instant_to_send_is_a_day_too_late() -> None:
    rule, go_live = backward(margin_days=0), date(2026, 5, 9)
    last = rule.latest_sending_at(go_live)

    assert rule.earliest_effective_on(last) <= go_live
    assert rule.earliest_effective_on(last + timedelta(minutes=1)) > go_live


def test_an_acknowledged_receipt_needs_no_margin() -> None:
    rule = backward(margin_days=5)

    assert rule.earliest_effective_on(MONDAY_NOON, acknowledged_on=MONDAY) == date(2026, 3, 10)
    # With the margin it is a Saturday; what must be there by a working day is there on the Monday after.
    assert rule.earliest_effective_on(MONDAY_NOON) == date(2026, 3, 17)


def test_a_notice_counted_back_starts_no_clock_and_gives_nothing_to_object_to() -> None:
    rule = backward()

    assert (rule.counts_back, rule.runs, rule.waits, rule.may_object) == (True, False, False, False)
    assert rule.promise(MONDAY_NOON).last_day == rule.earliest_effective_on(MONDAY_NOON) - timedelta(days=1)
    assert rule.promise(MONDAY_NOON).steps[1].did == "event"


def test_a_period_counted_forward_has_no_latest_receipt() -> None:
    with pytest.raises(TypeError, match="not counted back"):
        RULE.latest_receipt(MONDAY)


def test_a_day_further_ahead_than_is_looked_for_is_refused() -> None:
    with pytest.raises(BadPeriod, match="leads further ahead than 3660 days: write a shorter period"):
        backward("BACK_CLEAR", "200 months").earliest_effective_on(MONDAY_NOON)


@given(INSTANTS, BACKWARD, st.integers(0, 5), st.sampled_from(["FR", "BE", "none"]))
def test_the_earliest_day_is_the_exact_inverse_of_the_last_instant_to_send(
    sent_at: datetime, counted: tuple[Backward, str], margin: int, calendar: str
) -> None:
    rule = backward(counted[0].value, counted[1], margin_days=margin, calendar=calendar)

    earliest = rule.earliest_effective_on(sent_at)

    assert rule.latest_sending_at(earliest) >= sent_at
    assert rule.latest_sending_at(earliest - timedelta(days=1)) < sent_at


@given(INSTANTS, LATER, BACKWARD)
def test_sending_later_never_gives_an_earlier_day_to_go_live(
    sent_at: datetime, later: timedelta, counted: tuple[Backward, str]
) -> None:
    rule = backward(counted[0].value, counted[1])

    assert rule.earliest_effective_on(sent_at + later) >= rule.earliest_effective_on(sent_at)


@given(INSTANTS, LATER, PERIODS)
def test_sending_later_never_gives_an_earlier_day_for_the_change(
    sent_at: datetime, later: timedelta, period: str
) -> None:
    rule = ruled(period=period)

    assert rule.earliest_effective_on(sent_at + later) >= rule.earliest_effective_on(sent_at)


# --- the clients of a client -----------------------------------------------------------------------------------------


def test_a_processor_above_us_must_tell_its_own_clients_a_whole_period_before() -> None:
    rule = ruled(downstream_period="30 days", forward_days=5)

    assert rule.last_day_to_forward(date(2026, 6, 15)) == date(2026, 5, 15)
    assert ruled(downstream_period="10 business days").last_day_to_forward(date(2026, 6, 15)) == date(2026, 5, 29)


def test_a_client_that_has_no_clients_to_tell_has_no_day_to_forward() -> None:
    assert RULE.last_day_to_forward(date(2026, 6, 15)) is None


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)), PERIODS)
def test_the_last_day_to_forward_is_a_working_day_that_leaves_the_clients_below_their_period(
    effective_on: date, period: str
) -> None:
    day = ruled(downstream_period=period).last_day_to_forward(effective_on)

    assert day is not None
    assert not Calendar.named("FR").why_not_working(day)
    assert ruled(period=period, counting="CAL_STRICT").reckon(day).last_day < effective_on


# --- sealed ----------------------------------------------------------------------------------------------------------


def test_a_rule_is_sealed_as_json_and_read_back_the_same() -> None:
    full = ruled(
        window="90 days",
        window_holds=False,
        channels=["mail", "e_letter"],
        mandatory_roles=["dpo"],
        unclaimed="window_end",
        forward_days=5,
        downstream_period="30 days",
        prevails=True,
        unconfirmed=["period"],
    )

    for rule in (RULE, full, backward(), ruled(mode="information", period="none")):
        assert Rule.from_json(json.loads(json.dumps(rule.as_json()))) == rule


def test_a_rule_sealed_before_these_keys_existed_reads_as_it_was_meant() -> None:
    sealed_before = {
        "mode": "notice_with_exit",
        "period": "30 days",
        "counting": "FR_CAL",
        "calendar": "FR",
        "timezone": "Europe/Paris",
        "margin_days": 2,
        "receipt": "deemed",
        "cutoff": "18:00",
        "addressees": "all",
        "clause": "Art. 9",
        "says": SAYS,
        "unconfirmed": ["period"],
    }

    rule = Rule.from_json(sealed_before)

    assert (rule.window, rule.channels, rule.silence) == (None, (Channel.MAIL,), "acceptance")
    assert rule.promise(MONDAY_NOON) == RULE.promise(MONDAY_NOON)
    assert not set(UNSAID) - set(Rule.__dataclass_fields__)
