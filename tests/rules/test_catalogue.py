"""What the two contracts that the product was made for ask of a change, row by row of the catalogue of obligations.

Rows that need a list, a contact or an answer rather than a rule are shown by the tests of the services.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from notifier.adapters.contracts import read_packs
from notifier.resources import search_path
from notifier.rules.entries import Entry, Place
from notifier.rules.gate import Hold, Standing, Waits, gate
from notifier.rules.kinds import EEA, KINDS, AnnouncementKind, BadFacts, checked
from notifier.rules.notice_states import NoticeState
from notifier.rules.periods import Period
from notifier.rules.registry_diff import TOLD, ChangeKind, diff, needs
from notifier.rules.terms import Mode, Pack, PeriodBlank, Rule

MONDAY, MONDAY_NOON = date(2026, 3, 2), datetime(2026, 3, 2, 12, tzinfo=UTC)
GO_LIVE = date(2026, 5, 9)  # a Saturday; the week before it begins with a holiday, 1 May
MOVE = {"place": "Data centre 4", "what_en": "It moves.", "what_fr": "Il déménage."}

LYON = Place(country="FR", site="Lyon", kind="dark_fibre")
EXAMPLE = Entry(
    key="acme", name="Acme", country="FR", activities=("Dark fibre",), places=(Place(country="FR", kind="dark_fibre"),)
)


@pytest.fixture(scope="module")
def packs() -> Mapping[str, Pack]:
    return read_packs(search_path("config"))


@pytest.fixture
def outscale(packs: Mapping[str, Pack]) -> Pack:
    return packs["outscale-hds-2022"]


@pytest.fixture
def selligent(packs: Mapping[str, Pack]) -> Pack:
    return packs["selligent-health-2020"]


def rule_of_place(pack: Pack, country: str, aspect: str = "storage") -> Rule:
    return pack.rule_for("location", pack.aspect_of_place(country, aspect))


def silent(rule: Rule) -> Standing:
    """A client that was told and says nothing, as the gate sees it."""
    waits = Waits.CONSENT if rule.asks_consent else Waits.PERIOD if rule.waits else Waits.NOTHING
    until = rule.reckon(MONDAY).opens_at if rule.runs else MONDAY_NOON
    return Standing(state=NoticeState.RUNNING, waits=waits, holds_until=until)


def never_opens_on_silence(rule: Rule) -> bool:
    return gate(silent(rule), MONDAY_NOON + timedelta(days=3650)).holds == (Hold.CONSENT,)


# --- OUTSCALE --------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("O1.3", "1.4 loss of our certification")
@pytest.mark.parametrize("aspect", ["lost", "suspended"])
def test_the_loss_of_the_certification_is_told_at_once_with_the_right_to_leave(outscale: Pack, aspect: str) -> None:
    rule = outscale.rule_for("certification", aspect)

    assert (rule.mode, rule.period, rule.clause) == (Mode.NOTICE_WITH_EXIT, None, "Art. 1, 6")
    assert rule.may_terminate
    assert not rule.waits
    assert rule.earliest_effective_on(MONDAY_NOON) == MONDAY
    assert "incident" in rule.roles


@pytest.mark.obligation("O1.3")
def test_the_contract_ends_with_the_certification_whether_the_client_answers_or_not(outscale: Pack) -> None:
    rule = outscale.rule_for("certification", "lost")

    assert "the contract ends as Article 6 says, whether you answer or not" in rule.says["en"]["silence"]
    assert "que vous répondiez ou non" in rule.says["fr"]["silence"]


@pytest.mark.obligation("O1.4", "OAx")
def test_a_certificate_that_is_renewed_and_a_document_are_told_and_wait_for_nothing(outscale: Pack) -> None:
    for rule in (outscale.rule_for("certification", "renewed"), outscale.rule_for("document")):
        assert (rule.mode, rule.waits, rule.may_object) == (Mode.INFORMATION, False, False)


@pytest.mark.obligation("O2.1")
def test_the_special_conditions_prevail_over_the_general_terms(outscale: Pack) -> None:
    assert all(rule.prevails for rule in outscale.rules.values())


@pytest.mark.obligation("O4.1")
def test_a_site_in_metropolitan_france_needs_no_consent_and_is_told_as_a_new_provider_is(outscale: Pack) -> None:
    rule = rule_of_place(outscale, "FR")

    assert (rule.mode, rule.period, rule.clause) == (Mode.NOTICE_WITH_EXIT, Period(30), "Art. 4, 5")
    assert rule.reckon(MONDAY).last_day == date(2026, 4, 1)


@pytest.mark.obligation("O4.1", "O4.2", "1.4 new country or site")
@pytest.mark.parametrize("country", ["BE", "DE", "RE", "GP"])
def test_no_site_outside_metropolitan_france_without_the_clients_consent(outscale: Pack, country: str) -> None:
    rule = rule_of_place(outscale, country)

    assert (rule.mode, rule.silence, rule.clause) == (Mode.CONSENT, "refusal", "Art. 4")
    assert never_opens_on_silence(rule)
    assert gate(replace(silent(rule), consents=1), MONDAY_NOON).is_open


@pytest.mark.obligation("O4.2", "1.4 access from outside the EEA")
@pytest.mark.parametrize("country", ["BE", "US"])
def test_access_from_elsewhere_is_a_transfer_and_needs_consent(outscale: Pack, country: str) -> None:
    assert never_opens_on_silence(rule_of_place(outscale, country, "access"))


@pytest.mark.obligation("1.4 new country or site")
def test_health_data_stored_outside_the_eea_is_announced_to_nobody() -> None:
    with pytest.raises(BadFacts, match="health data is stored within the European Economic Area alone"):
        checked(AnnouncementKind.LOCATION, "storage", {**MOVE, "country": "US"})


def test_the_general_terms_and_the_rules_mean_the_same_countries_by_the_eea(packs: Mapping[str, Pack]) -> None:
    territory = packs["general-eu"].territory

    assert len(territory) == len(set(territory))
    assert set(territory) == EEA


@pytest.mark.obligation("1.4 access from outside the EEA")
def test_access_from_outside_the_eea_is_announced_only_with_what_allows_it() -> None:
    facts = {**MOVE, "country": "US"}
    with pytest.raises(BadFacts, match="say which adequacy decision or safeguards allow the access"):
        checked(AnnouncementKind.LOCATION, "access", facts)

    allowed = {**facts, "safeguards_en": "Adequacy decision", "safeguards_fr": "Décision d’adéquation"}
    assert checked(AnnouncementKind.LOCATION, "access", allowed) == allowed


@pytest.mark.obligation("O5.2", "1.4 same provider, new service or site")
@pytest.mark.parametrize(
    "other", [{"activities": ("Data centre",)}, {"places": (Place(country="FR", kind="backup"),)}, {"places": (LYON,)}]
)
def test_a_listed_provider_with_another_service_or_site_is_a_change_to_tell(other: dict[str, object]) -> None:
    changes = diff([EXAMPLE], [replace(EXAMPLE, **other)])  # type: ignore[arg-type] # by name

    assert [field.field for field in changes[0].fields] == list(other)
    assert needs(changes) == (TOLD,)


@pytest.mark.obligation("O5.4", "1.4 new provider")
def test_a_new_provider_is_told_a_reasonable_period_before_which_is_a_number_of_ours(outscale: Pack) -> None:
    rule = outscale.rule_for("subprocessor")

    assert (rule.mode, rule.period, rule.clause) == (Mode.NOTICE_WITH_EXIT, Period(30), "Art. 5")
    assert "period" in rule.unconfirmed
    assert rule.reckon(MONDAY).last_day == date(2026, 4, 1)
    assert rule.promise(MONDAY_NOON).last_day == date(2026, 4, 3)
    assert rule.earliest_effective_on(MONDAY_NOON) == date(2026, 4, 4)


@pytest.mark.obligation("O5.4")
def test_a_last_day_that_is_no_working_day_is_carried_to_the_next(outscale: Pack) -> None:
    assert outscale.rule_for("subprocessor").reckon(date(2026, 3, 5)).last_day == date(
        2026, 4, 7
    )  # Easter lies between


@pytest.mark.obligation("O5.4", "1.4 new provider")
def test_no_provider_comes_before_the_clients_period_is_over_and_one_may_when_it_is(outscale: Pack) -> None:
    rule = outscale.rule_for("subprocessor")
    end = datetime(2026, 4, 1, 22, tzinfo=UTC)

    assert gate(silent(rule), end - timedelta(seconds=1)).holds == (Hold.PERIOD,)
    assert gate(silent(rule), end).is_open


@pytest.mark.obligation("1.4 replacement")
def test_a_replacement_is_one_change_that_names_both() -> None:
    new = Entry(key="beta", name="Beta", country="FR", activities=("Dark fibre",), replaces="acme")

    (change,) = diff([EXAMPLE], [new])

    assert (change.kind, change.before, change.after) == (ChangeKind.REPLACED, EXAMPLE, new)


@pytest.mark.obligation("1.4 removal", "1.4 address, name or legal form")
@pytest.mark.parametrize("name", ["outscale-hds-2022", "selligent-health-2020"])
def test_a_list_that_only_grows_shorter_or_more_exact_is_told_without_a_period(
    packs: Mapping[str, Pack], name: str
) -> None:
    rule = packs[name].rule_for("subprocessor", "listing")

    assert (rule.mode, rule.period, rule.waits, rule.may_object) == (Mode.INFORMATION, None, False, False)


@pytest.mark.obligation("O5.5", "O19.1", "1.4 lower security")
def test_no_lower_security_without_the_clients_consent(outscale: Pack) -> None:
    rule = outscale.rule_for("security")

    assert (rule.mode, rule.silence, rule.clause) == (Mode.CONSENT, "refusal", "Art. 5, 19")
    assert never_opens_on_silence(rule)
    assert "that is a refusal" in rule.says["en"]["silence"]
    assert "vaut refus" in rule.says["fr"]["silence"]


@pytest.mark.obligation("O5.5")
def test_what_was_and_what_will_be_is_written_where_security_becomes_lower() -> None:
    assert {"before", "after"} <= {field.name for field in KINDS[AnnouncementKind.SECURITY].fields if field.required}


@pytest.mark.obligation("O5.6")
def test_a_client_that_was_told_may_object_and_may_terminate(outscale: Pack) -> None:
    rule = outscale.rule_for("subprocessor")

    assert rule.may_object
    assert rule.may_terminate
    assert "you may terminate the contract" in rule.says["en"]["remedy"]
    assert "vous pouvez résilier le contrat" in rule.says["fr"]["remedy"]
    assert rule.reckon(MONDAY).last_day == rule.reckon(MONDAY).last_day_of_waiting  # no other time limit is written


@pytest.mark.obligation("O5.6")
def test_a_client_that_disagrees_keeps_the_change_from_being_made(outscale: Pack) -> None:
    told = silent(outscale.rule_for("subprocessor"))

    for disagrees in (replace(told, objections=1), replace(told, terminations=1)):
        assert not gate(disagrees, MONDAY_NOON + timedelta(days=3650)).is_open


@pytest.mark.obligation("O10.1", "O10.2", "1.4 judicial disclosure")
def test_a_judicial_disclosure_is_told_by_mail_or_registered_letter_or_the_client_is_heard(outscale: Pack) -> None:
    told, heard = outscale.rule_for("disclosure", "notice"), outscale.rule_for("disclosure", "consultation")

    assert (told.mode, told.waits, told.channels) == (Mode.INFORMATION, False, ("mail", "paper"))
    assert (heard.mode, heard.waits, heard.may_object) == (Mode.CONSULTATION, True, True)
    assert heard.reckon(date(2026, 4, 3)).last_day == date(2026, 4, 8)  # a Friday before Easter: two working days
    assert told.clause == heard.clause == "Art. 10"


@pytest.mark.obligation("O10.1", "1.4 judicial disclosure")
def test_a_disclosure_may_say_until_when_telling_of_it_is_forbidden() -> None:
    fields = {field.name: field.required for field in KINDS[AnnouncementKind.DISCLOSURE].fields}

    assert fields["prohibited_until"] is False


@pytest.mark.obligation("O15.2", "1.4 new or changed service")
@pytest.mark.parametrize("aspect", ["new", "modified", "maintenance"])
def test_services_and_maintenance_are_told_a_clear_week_before_they_go_live(outscale: Pack, aspect: str) -> None:
    rule = outscale.rule_for("service", aspect)

    assert (rule.mode, rule.period, rule.counting) == (Mode.NOTICE, Period(weeks=1), "BACK_CLEAR_SAFE")
    assert (rule.clause, rule.waits, rule.may_object, rule.may_terminate) == ("Art. 15", False, False, False)
    assert rule.latest_receipt(GO_LIVE)[-1].day == date(2026, 4, 30)
    assert rule.latest_sending_at(GO_LIVE) == datetime(2026, 4, 28, 16, tzinfo=UTC)


@pytest.mark.obligation("O15.2")
def test_a_service_goes_live_no_sooner_than_a_week_after_it_was_told(outscale: Pack) -> None:
    rule = outscale.rule_for("service", "new")

    assert rule.earliest_effective_on(MONDAY_NOON, acknowledged_on=MONDAY) == date(2026, 3, 10)
    assert rule.earliest_effective_on(MONDAY_NOON) == date(2026, 3, 12)  # with the margin of two days


@pytest.mark.obligation("1.4 emergency replacement")
@pytest.mark.parametrize("name", ["outscale-hds-2022", "selligent-health-2020"])
def test_an_emergency_shortens_no_period_and_only_a_consent_does(packs: Mapping[str, Pack], name: str) -> None:
    rule = packs[name].rule_for("emergency")
    emergency = replace(silent(rule), waits=Waits.EITHER)
    agreed = replace(emergency, consents=1)

    assert rule == packs[name].rule_for("subprocessor")
    assert gate(emergency, MONDAY_NOON).holds == (Hold.PERIOD,)
    assert gate(agreed, MONDAY_NOON).is_open


# --- Selligent -------------------------------------------------------------------------------------------------------


@pytest.mark.obligation("S6b", "1.4 loss of our certification")
def test_after_the_loss_the_client_confirms_that_it_has_stopped_exporting_health_data(selligent: Pack) -> None:
    rule = selligent.rule_for("certification", "lost")

    assert (rule.period, rule.waits, rule.clause) == (None, False, "§ 6")
    assert rule.asks_confirmation
    assert "stopped exporting health data" in rule.says["en"]["confirmation"]
    assert "cessé d’exporter des données de santé" in rule.says["fr"]["confirmation"]
    assert "we return your health data" in rule.says["en"]["silence"]


@pytest.mark.obligation("S6b", "1.4 loss of a subcontractor's certification")
def test_the_loss_of_another_companys_certificate_orders_no_client_to_stop(selligent: Pack) -> None:
    says = selligent.rule_for("certification", "lost").says

    assert all(sentence.startswith("If the HDS certification lost is") for sentence in says["en"].values())
    assert all(sentence.startswith("Si la certification HDS perdue est") for sentence in says["fr"].values())


@pytest.mark.obligation("S6b")
@pytest.mark.parametrize("aspect", ["suspended", "renewed"])
def test_only_a_loss_asks_for_that_confirmation(selligent: Pack, aspect: str) -> None:
    rule = selligent.rule_for("certification", aspect)

    assert (rule.mode, rule.period, rule.asks_confirmation) == (Mode.INFORMATION, None, False)


@pytest.mark.obligation("1.4 loss of a subcontractor's certification")
@pytest.mark.parametrize("name", ["outscale-hds-2022", "selligent-health-2020", "general-eu"])
def test_whose_certification_is_lost_is_said(packs: Mapping[str, Pack], name: str) -> None:
    assert "holder" in {field.name for field in KINDS[AnnouncementKind.CERTIFICATION].fields if field.required}
    assert not packs[name].rule_for("certification", "lost").waits


@pytest.mark.obligation("S7a")
@pytest.mark.parametrize("country", ["BE", "NL", "DE"])
def test_health_data_may_move_among_the_three_countries_of_the_contract(selligent: Pack, country: str) -> None:
    rule = rule_of_place(selligent, country)

    assert (rule.mode, rule.waits, rule.clause) == (Mode.INFORMATION, False, "§ 7")


@pytest.mark.obligation("S7a", "S7b", "1.4 new country or site")
@pytest.mark.parametrize("country", ["FR", "LU"])
def test_any_other_country_is_told_beforehand_and_needs_no_consent(selligent: Pack, country: str) -> None:
    rule = rule_of_place(selligent, country)

    assert (rule.mode, rule.silence, rule.clause) == (Mode.NOTICE, "acceptance", "§ 7")
    assert {"mode", "period"} <= set(rule.unconfirmed)
    assert rule.may_object
    assert not rule.may_terminate
    assert rule.reckon(MONDAY).last_day == date(2026, 4, 1)


@pytest.mark.obligation("S7b")
def test_which_holidays_count_is_said_by_nobody_and_matters_now_and_then(selligent: Pack) -> None:
    rule = selligent.rule_for("location")
    national_day = date(2026, 7, 21)  # in Belgium
    in_france = selligent.rule_for("location", overrides={"all": {"calendar": "FR"}})

    assert {"calendar", "timezone"} <= set(rule.unconfirmed)
    assert (rule.calendar, rule.timezone) == ("BE", "Europe/Brussels")
    assert rule.reckon(national_day - timedelta(days=30)).last_day == date(2026, 7, 22)
    assert in_france.reckon(national_day - timedelta(days=30)).last_day == national_day


@pytest.mark.obligation("S7c")
def test_another_entity_for_support_is_a_change_of_the_contract_and_needs_consent(selligent: Pack) -> None:
    rule = selligent.rule_for("support")

    assert (rule.mode, rule.silence, rule.clause, rule.prevails) == (Mode.CONSENT, "refusal", "§ 7", True)
    assert never_opens_on_silence(rule)


@pytest.mark.obligation("S-H", "1.4 new provider")
def test_the_certificate_declares_that_subcontracting_is_told(selligent: Pack) -> None:
    rule = selligent.rule_for("subprocessor")

    assert "4.4.4.1" in rule.clause
    assert "4.4.6.13" in rule.clause
    assert (rule.mode, rule.may_object, rule.may_terminate) == (Mode.NOTICE, True, False)
    assert {"mode", "period", "counting", "says"} <= set(rule.unconfirmed)
    assert rule.earliest_effective_on(MONDAY_NOON) == date(2026, 4, 4)


@pytest.mark.obligation("S-H", "1.4 new or changed service", "1.4 judicial disclosure")
@pytest.mark.parametrize(
    ("kind", "requirement"),
    [("service", "4.3.1"), ("disclosure", "4.4.3.2"), ("disclosure", "4.4.3.3"), ("document", "4.5.3")],
)
def test_each_notice_that_the_certificate_declares_names_its_requirement(
    selligent: Pack, kind: str, requirement: str
) -> None:
    assert requirement in selligent.rule_for(kind).clause


@pytest.mark.obligation("S-H")
def test_a_service_is_told_a_week_before_where_the_certificate_gives_no_number(selligent: Pack) -> None:
    rule = selligent.rule_for("service", "maintenance")

    assert rule.latest_receipt(GO_LIVE)[-1].day == date(2026, 4, 30)
    assert {"period", "counting"} <= set(rule.unconfirmed)


@pytest.mark.obligation("1.4 lower security")
def test_where_a_contract_is_silent_lower_security_needs_consent(selligent: Pack) -> None:
    assert never_opens_on_silence(selligent.rule_for("security"))


# --- other contracts -------------------------------------------------------------------------------------------------


def test_under_the_standard_clauses_nobody_is_told_before_the_parties_have_filled_in_the_period(
    packs: Mapping[str, Pack],
) -> None:
    scc = packs["gdpr-scc-2021-915"]

    for kind in ("subprocessor", "emergency", "support"):
        with pytest.raises(PeriodBlank, match=r'subprocessor.period = "30 days"'):
            scc.rule_for(kind)
        filled = scc.rule_for(kind, overrides={"subprocessor": {"period": "14 days"}})
        assert (filled.mode, str(filled.period), filled.clause) == (Mode.NOTICE, "14 days", "2021/915, 7.7")


def test_under_the_standard_clauses_data_leaves_the_eea_only_on_instructions(packs: Mapping[str, Pack]) -> None:
    scc = packs["gdpr-scc-2021-915"]

    assert never_opens_on_silence(rule_of_place(scc, "US", "access"))
    assert rule_of_place(scc, "RE").mode is Mode.NOTICE


def test_under_dora_silence_counts_only_after_a_receipt_that_every_contact_has_confirmed(
    packs: Mapping[str, Pack],
) -> None:
    rule = packs["dora-2025-532"].rule_for("subprocessor")

    assert (rule.mode, rule.receipt, rule.addressees) == (Mode.NOTICE_WITH_EXIT, "acknowledged", "all")
    assert rule.reckon(MONDAY).last_day == rule.reckon(MONDAY).last_day_of_waiting == date(2026, 5, 4)
    assert "period" in rule.unconfirmed


def test_under_dora_no_approval_is_offered_that_could_not_be_given(packs: Mapping[str, Pack]) -> None:
    rule = packs["dora-2025-532"].rule_for("subprocessor")

    assert not rule.asks_consent
    assert not [sentence for sentence in rule.says["en"].values() if "approv" in sentence]
    assert not [sentence for sentence in rule.says["fr"].values() if "approuv" in sentence or "approbation" in sentence]


def test_thirty_days_to_wait_and_ninety_to_leave(packs: Mapping[str, Pack]) -> None:
    rule = packs["google-style-30-90"].rule_for("subprocessor")
    found = rule.reckon(MONDAY)

    assert (found.last_day_of_waiting, found.last_day) == (date(2026, 4, 1), date(2026, 6, 1))
    assert rule.earliest_effective_on(MONDAY_NOON, acknowledged_on=MONDAY) == date(2026, 4, 2)
    assert rule.last_day_to_forward(date(2026, 6, 15)) == date(2026, 5, 15)


def test_two_clocks_in_one_contract_by_the_data_concerned(packs: Mapping[str, Pack]) -> None:
    pack = packs["microsoft-style-6-months"]

    assert pack.rule_for("subprocessor").reckon(MONDAY).last_day == date(2026, 9, 2)
    assert pack.rule_for("subprocessor", "other_data").reckon(MONDAY).last_day == date(2026, 4, 1)
