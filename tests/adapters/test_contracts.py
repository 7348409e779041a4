from __future__ import annotations

import json
from pathlib import Path

import pytest

from notifier.adapters.contracts import read_packs
from notifier.resources import folder, search_path
from notifier.rules.kinds import KINDS, LANGUAGES, AnnouncementKind
from notifier.rules.periods import Period
from notifier.rules.terms import BadPack, Pack, PeriodBlank, Rule

SHIPPED = "outscale-hds-2022"
ALL_SHIPPED = [
    "dora-2025-532",
    "gdpr-scc-2021-915",
    "general-eu",
    "google-style-30-90",
    "microsoft-style-6-months",
    SHIPPED,
    "selligent-health-2020",
]
THIRTY_DAYS = {"subprocessor": {"period": "30 days"}}

SPECIAL = """
version = "2026"
general_terms = "{general}"
[title]
en = "Conditions of 2026"
fr = "Conditions de 2026"
[defaults]
[rules.subprocessor]
period = "45 days"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """An operator's folder with a copy of the shipped pack in which 45 days are written."""
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    text = (folder("config") / "contracts" / f"{SHIPPED}.toml").read_text(encoding="utf-8")
    (contracts / f"{SHIPPED}.toml").write_text(text.replace('"30 days"', '"45 days"'), encoding="utf-8")
    return tmp_path


def special(own: Path, name: str, *, general: str) -> None:
    (own / "contracts" / f"{name}.toml").write_text(SPECIAL.format(general=general), encoding="utf-8")


def test_each_file_is_a_pack_named_after_it(own: Path) -> None:
    (own / "contracts" / "acme-2024.toml").write_bytes((own / "contracts" / f"{SHIPPED}.toml").read_bytes())

    assert list(read_packs([own])) == ["acme-2024", SHIPPED]


def test_the_operators_file_wins_over_the_shipped_one(own: Path) -> None:
    pack = read_packs([own, folder("config")])[SHIPPED]

    assert pack.rule_for("subprocessor").period == Period(days=45)


def test_a_file_of_another_name_stands_beside_the_shipped_one(own: Path) -> None:
    (own / "contracts" / f"{SHIPPED}.toml").rename(own / "contracts" / "acme-2024.toml")

    packs = read_packs([own, folder("config")])

    assert packs["acme-2024"].rule_for("subprocessor").period == Period(days=45)
    assert packs[SHIPPED].rule_for("subprocessor").period == Period(days=30)


def test_an_own_folder_without_contracts_takes_nothing_away(tmp_path: Path) -> None:
    assert list(read_packs([tmp_path / "nowhere", folder("config")])) == ALL_SHIPPED


@pytest.mark.parametrize("content", [b"period = ", b"\xff\xfe", b"\x00"])
def test_a_file_that_is_no_toml_is_named(own: Path, content: bytes) -> None:
    broken = own / "contracts" / "broken.toml"
    broken.write_bytes(content)

    with pytest.raises(BadPack, match=f"contract pack {broken} cannot be read"):
        read_packs([own])


def test_a_key_that_no_pack_has_is_refused_by_name(own: Path) -> None:
    text = (own / "contracts" / f"{SHIPPED}.toml").read_text(encoding="utf-8")
    (own / "contracts" / "acme-2024.toml").write_text(f'general_term = "general-eu"\n{text}', encoding="utf-8")

    with pytest.raises(BadPack, match="contract pack acme-2024: unknown key general_term: correct the spelling"):
        read_packs([own])


def test_a_pack_may_leave_a_period_blank_until_somebody_is_told_under_it(own: Path) -> None:
    text = (own / "contracts" / f"{SHIPPED}.toml").read_text(encoding="utf-8")
    (own / "contracts" / "silent.toml").write_text(text.replace('"45 days"', '""'), encoding="utf-8")

    silent = read_packs([own])["silent"]

    with pytest.raises(PeriodBlank, match='contract pack silent leaves the period of "subprocessor" blank'):
        silent.rule_for("subprocessor")


# --- general terms ---------------------------------------------------------------------------------------------------


def test_what_a_contract_leaves_unsaid_its_general_terms_say(own: Path) -> None:
    special(own, "acme-2026", general=SHIPPED)

    pack = read_packs([own])["acme-2026"]

    assert pack.rule_for("subprocessor").period == Period(days=45)
    assert pack.rule_for("subprocessor").clause == "Art. 5"
    assert pack.rule_for("location").asks_consent


def test_general_terms_may_come_from_the_shipped_folder_and_be_replaced_by_the_operators(own: Path) -> None:
    special(own, "acme-2026", general="general-eu")
    shipped = read_packs([own, folder("config")])["acme-2026"]
    text = (folder("config") / "contracts" / "general-eu.toml").read_text(encoding="utf-8")
    (own / "contracts" / "general-eu.toml").write_text(text.replace('"EU_1182"', '"CAL_STRICT"'), encoding="utf-8")

    assert shipped.rule_for("subprocessor").counting == "EU_1182"
    assert read_packs([own, folder("config")])["acme-2026"].rule_for("subprocessor").counting == "CAL_STRICT"


def test_general_terms_that_are_nowhere_stop_the_start(own: Path) -> None:
    special(own, "acme-2026", general="acme-general")

    with pytest.raises(BadPack, match='acme-2026: there is no contract pack "acme-general" for its general terms'):
        read_packs([own])


@pytest.mark.parametrize("further", ["acme-2026", "acme-general"])
def test_general_terms_in_a_circle_stop_the_start(own: Path, further: str) -> None:
    special(own, "acme-2026", general="acme-general")
    special(own, "acme-general", general=further)

    with pytest.raises(BadPack, match="name general terms themselves, a circle: write general_terms in one of them"):
        read_packs([own])


def test_a_chain_of_general_terms_stops_the_start(own: Path) -> None:
    special(own, "acme-2026", general="acme-general")
    special(own, "acme-general", general=SHIPPED)

    with pytest.raises(BadPack, match="acme-2026: its general terms acme-general name general terms themselves, a ch"):
        read_packs([own])


def test_general_terms_without_rules_are_named_as_the_ones_to_mend(own: Path) -> None:
    special(own, "acme-2026", general="acme-general")
    (own / "contracts" / "acme-general.toml").write_text('version = "1"\n[defaults]\n', encoding="utf-8")

    with pytest.raises(BadPack, match="contract pack acme-general: the key 'rules' is missing"):
        read_packs([own])


# --- the packs that come with the product ----------------------------------------------------------------------------


@pytest.fixture(params=ALL_SHIPPED)
def shipped(request: pytest.FixtureRequest) -> Pack:
    return read_packs(search_path("config"))[request.param]


def test_every_shipped_pack_answers_for_every_kind_of_announcement_and_each_of_its_aspects(shipped: Pack) -> None:
    for kind in AnnouncementKind:
        for aspect in KINDS[kind].aspects or ("",):
            assert shipped.rule_for(kind, aspect, THIRTY_DAYS).clause


def test_every_shipped_rule_is_sealed_as_json_and_read_back_the_same(shipped: Pack) -> None:
    for rule in shipped.rules.values():
        assert Rule.from_json(json.loads(json.dumps(rule.as_json()))) == rule


def test_every_shipped_pack_lists_for_counsel_only_what_a_rule_has(shipped: Pack) -> None:
    for rule in shipped.rules.values():
        assert set(rule.unconfirmed) <= set(Rule.__dataclass_fields__)
        assert len(set(rule.unconfirmed)) == len(rule.unconfirmed)


def test_every_shipped_rule_tells_in_both_languages_what_silence_means(shipped: Pack) -> None:
    for rule in shipped.rules.values():
        assert all(rule.says[language][part] for language in LANGUAGES for part in ("silence", "remedy"))
        assert ("refus" in rule.says["en"]["silence"]) == ("refus" in rule.says["fr"]["silence"]) == rule.asks_consent


def test_french_sentences_are_set_as_french_is(shipped: Pack) -> None:
    for rule in shipped.rules.values():
        for sentence in rule.says["fr"].values():
            assert "'" not in sentence
            assert not [sign for sign in (" :", " ;", " ?", " !") if sign in sentence]


def test_a_letter_speaks_of_terminating_only_where_the_client_may(shipped: Pack) -> None:
    for rule in shipped.rules.values():
        assert ("terminate" in rule.says["en"]["remedy"]) == rule.may_terminate
        assert ("résilier" in rule.says["fr"]["remedy"]) == rule.may_terminate


def test_what_the_law_alone_says_is_all_to_be_confirmed() -> None:
    with_a_source = {"forward_days", "downstream_period", "unclaimed", "window", "window_holds", "prevails", "silence"}
    for rule in read_packs(search_path("config"))["general-eu"].rules.values():
        said = set(Rule.__dataclass_fields__) - {"unconfirmed", "overridden"} - with_a_source
        assert set(rule.unconfirmed) == said
