"""The notation of a client's own terms: what is understood, what is refused, and that nothing is lost on the way."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.adapters.contracts import read_packs
from notifier.rules import own_terms
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.own_terms import CHOICES, MAY_BE_NOTHING, TEXTS, BadOwnTerms
from notifier.rules.terms import EVERY_KIND, FOR_EVERY_KIND, OVERRIDABLE, Pack
from tests.factories import PACK

Terms = dict[str, dict[str, Any]]
CONFIG = Path(__file__).parents[2] / "config"
SENTENCES = {"silence": "Silence.", "remedy": "Remedy."}
SHIPPED = read_packs([CONFIG])[PACK]


def blank(*kinds: str) -> Pack:
    """Return a contract that leaves the period of these kinds open."""
    rule = {
        "clause": "9",
        "mode": "notice",
        "period": "",
        "receipt": "deemed",
        "addressees": "all",
        "says": {"en": SENTENCES, "fr": SENTENCES},
    }
    data = {
        "title": {"en": "T", "fr": "T"},
        "version": "1",
        "defaults": {"timezone": "Europe/Paris", "calendar": "FR"},
        "rules": dict.fromkeys(kinds, rule),
    }
    return Pack.parse("blank", data)


def faults(text: str) -> list[str]:
    with pytest.raises(BadOwnTerms) as bad:
        own_terms.parse(text, roles=("contractual", "dpo"))
    return [problem.code for problem in bad.value.problems]


def test_terms_are_read_as_values_of_the_kind_that_rules_have() -> None:
    assert own_terms.parse(
        "subprocessor.period = 45 days; all.calendar = FR-57; subprocessor.mandatory_roles = dpo | Contractual ;"
        "subprocessor.window_holds = non; all.margin_days=3; location.storage.mode = consent; "
        'subprocessor.clause = "Annex 2; art. ""B"" ";',
        roles=("contractual", "dpo"),
    ) == {
        "subprocessor": {
            "period": "45 days",
            "mandatory_roles": ["dpo", "contractual"],
            "window_holds": False,
            "clause": 'Annex 2; art. "B"',
        },
        "all": {"calendar": "FR-57", "margin_days": 3},
        "location.storage": {"mode": "consent"},
    }


@pytest.mark.parametrize(
    ("word", "means"), [("yes", True), ("OUI", True), ("True", True), ("non", False), ("no", False)]
)
def test_yes_and_no_are_understood_in_both_languages(word: str, means: bool) -> None:  # noqa: FBT001 - a table of cases
    assert own_terms.parse(f"subprocessor.prevails = {word}") == {"subprocessor": {"prevails": means}}


def test_each_term_may_stand_on_a_line_of_its_own() -> None:
    assert own_terms.parse("subprocessor.period = 45 days\r\n\r\nall.calendar = FR\n") == own_terms.parse(
        "subprocessor.period = 45 days; all.calendar = FR"
    )


def test_no_terms_are_no_terms() -> None:
    assert own_terms.parse(" ;\n; ") == {}
    assert own_terms.written({}) == ""


def test_a_value_that_is_to_be_nothing_is_written_as_such() -> None:
    terms = {"subprocessor": {"window": "", "mandatory_roles": []}}

    assert own_terms.written(terms) == 'subprocessor.mandatory_roles = ""; subprocessor.window = ""'
    assert own_terms.parse(own_terms.written(terms)) == terms


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("45 days", "shape"),
        ("period = 45 days", "shape"),
        ("subprocessor..period = 45 days", "shape"),
        ("subprocessor.period 45 days", "shape"),
        ('subprocessor.clause = art. "5"', "quotes"),
        ('subprocessor.clause = "art. 5', "quotes"),
        ("subprocessor.clause = art.\0 5", "unprintable"),
        ("subcontractor.period = 45 days", "kind"),
        ("subprocessor.periods = 45 days", "field"),
        ("subprocessor.says = something else", "field"),
        ("all.period = 45 days", "field"),
        ("subprocessor.period = 45 days; subprocessor.period = 60 days", "twice"),
        ("subprocessor.period =", "empty"),
        ('subprocessor.period = ""', "empty"),
        ('subprocessor.roles = ""', "empty"),
        ("subprocessor.mode = veto", "choice"),
        ("subprocessor.channels = mail|pigeon", "choice"),
        ("subprocessor.roles = dpo|lawyer", "choice"),
        ("subprocessor.window_holds = perhaps", "yes_no"),
        ("subprocessor.margin_days = two", "number"),
        ("subprocessor.margin_days = " + "9" * 5000, "number"),
        ("subprocessor.period = 45 jours", "period"),
        ("subprocessor.window = none", "period"),
        ("subprocessor.calendar = Atlantis", "calendar"),
        ("subprocessor.timezone = Europe/Atlantis", "timezone"),
        ("subprocessor.cutoff = noon", "cutoff"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_to_write(text: str, code: str) -> None:
    assert faults(text) == [code]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert faults("subprocessor.mode = veto; all.period = 3 days; nonsense") == ["choice", "field", "shape"]


def test_a_refusal_can_be_read_in_both_languages() -> None:
    with pytest.raises(BadOwnTerms) as bad:
        own_terms.parse("subprocessor.margin_days = two")

    (problem,) = bad.value.problems
    assert str(bad.value) == problem.text("en")
    assert "subprocessor.margin_days is a number of days, not “two”" in problem.text("en")
    assert problem.text("fr").startswith(
        "subprocessor.margin_days est un nombre de jours, et non «\u00a0two\u00a0»\u00a0:"
    )


def test_every_sentence_is_written_in_both_languages_with_the_same_facts() -> None:
    def holes(text: str) -> set[str]:
        return {part.partition("}")[0] for part in text.split("{")[1:]}

    for english, french in TEXTS.values():
        assert english != french
        assert holes(english) == holes(french)


# --- with a contract pack --------------------------------------------------------------------------------------------


def test_terms_that_go_with_their_contract_are_taken() -> None:
    own_terms.check(SHIPPED, {"subprocessor": {"period": "45 days"}, "all": {"calendar": "FR-57"}})


@pytest.mark.parametrize(
    "terms",
    [
        {"subprocessor": {"silence": "refusal"}},
        {"subprocessor": {"mandatory_roles": ["technical"]}},
        {"subprocessor": {"period": "15 business days"}},  # which the counting of the pack does not count in
        {"certification.renewd": {"period": "30 days"}},
    ],
)
def test_terms_that_contradict_their_contract_are_refused(terms: Mapping[str, Mapping[str, Any]]) -> None:
    with pytest.raises(BadOwnTerms) as bad:
        own_terms.check(SHIPPED, terms)

    (problem,) = bad.value.problems
    assert problem.code == "contradiction"
    assert PACK in problem.fr


def test_a_period_that_the_contract_leaves_blank_is_asked_for_kind_by_kind() -> None:
    contract = blank("subprocessor", "service.maintenance")
    half = {"subprocessor": {"period": "30 days"}}

    with pytest.raises(BadOwnTerms) as bad:
        own_terms.check(contract, half)

    assert [problem.code for problem in bad.value.problems] == ["period_blank"]
    assert "service.maintenance.period = 30 days" in bad.value.problems[0].text("fr")
    own_terms.check(contract, half | {"service.maintenance": {"period": "7 days"}})
    assert own_terms.blanks(contract, {}) == ("subprocessor", "service.maintenance")


def test_what_holds_for_a_client_is_told_kind_by_kind_with_what_is_its_own() -> None:
    found = {
        (one.kind.value, one.aspect): one
        for one in own_terms.effective(SHIPPED, {"subprocessor": {"period": "45 days"}})
    }

    rule = found["subprocessor", ""].rule
    assert rule is not None
    assert (str(rule.period), rule.overridden) == ("45 days", ("period",))
    assert {kind for kind, _ in found} == set(AnnouncementKind)


def test_a_kind_of_which_the_contract_says_nothing_or_leaves_blank_has_no_rule() -> None:
    found = {one.kind.value: one for one in own_terms.effective(blank("subprocessor"), {})}

    assert (found["subprocessor"].rule, found["subprocessor"].trouble) == (None, "blank")
    assert (found["security"].rule, found["security"].trouble) == (None, "none")


def test_changed_terms_are_named_one_by_one() -> None:
    before: Terms = {"subprocessor": {"period": "45 days", "prevails": True}, "all": {"calendar": "FR"}}
    after: Terms = {"subprocessor": {"period": "60 days", "prevails": True}, "service": {"period": "7 days"}}

    assert own_terms.changed(before, after) == ("all.calendar", "service.period", "subprocessor.period")
    assert own_terms.changed(before, before) == ()


# --- there and back --------------------------------------------------------------------------------------------------


LINES = st.text(
    st.one_of(st.characters(exclude_categories=["C", "Z"]), st.sampled_from(' ;"=|.é')), max_size=20
).filter(lambda text: text.isprintable())
WORDS = st.text(st.sampled_from('abcdefg_;"-é'), min_size=1, max_size=8)
PERIODS = st.sampled_from(["30 days", "1 day", "15 business days", "1 month and 10 days", "48 hours"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **{field: st.sampled_from(words) for field, words in CHOICES.items() if field not in {"channels", "unclaimed"}},
    "unclaimed": st.sampled_from(CHOICES["unclaimed"]),
    "channels": st.lists(st.sampled_from(CHOICES["channels"]), min_size=1, unique=True),
    "roles": st.lists(WORDS, min_size=1, unique=True),
    "mandatory_roles": st.lists(WORDS, unique=True),
    "period": PERIODS | st.just("none"),
    "window": PERIODS | st.just(""),
    "downstream_period": PERIODS | st.just(""),
    "calendar": st.sampled_from(["FR", "FR-57", "FR+BE", "FR!12-26+2026-12-24", "none"]),
    "timezone": st.sampled_from(["Europe/Paris", "America/Guyana"]),
    "cutoff": st.sampled_from(["18:00", "00:30"]),
    "clause": LINES.map(lambda text: " ".join(unicodedata.normalize("NFC", text).split())),
    "window_holds": st.booleans(),
    "prevails": st.booleans(),
    "margin_days": st.integers(0, 9999),
    "paper_margin_days": st.integers(0, 9999),
    "forward_days": st.integers(0, 9999),
}
KINDS = st.sampled_from([*AnnouncementKind, "certification.renewed", "location.within", "subprocessor.data"]).map(str)


def fields(known: frozenset[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={field: VALUES[field] for field in sorted(known)}).filter(bool)


TERMS = st.builds(
    lambda some, all_kinds: some | ({EVERY_KIND: all_kinds} if all_kinds else {}),
    st.dictionaries(KINDS, fields(OVERRIDABLE), max_size=3),
    st.none() | fields(FOR_EVERY_KIND),
)


def test_every_field_that_terms_may_say_is_tried_below() -> None:
    assert VALUES.keys() == OVERRIDABLE
    assert MAY_BE_NOTHING < OVERRIDABLE


@given(TERMS, st.sampled_from(["; ", "\n", " ;\r\n"]))
def test_terms_are_read_back_exactly_as_they_were_written(terms: dict[str, dict[str, Any]], between: str) -> None:
    assert own_terms.parse(own_terms.written(terms, between=between)) == terms


@given(st.text(st.one_of(st.characters(), st.sampled_from('subprocessor.period=45 days;"\n|')), max_size=60))
def test_no_text_at_all_does_worse_than_a_refusal(text: str) -> None:
    found = read_or_refused(text)

    if isinstance(found, BadOwnTerms):
        assert all(problem.en and problem.fr for problem in found.problems)
    else:
        assert own_terms.parse(own_terms.written(found)) == found


def read_or_refused(text: str) -> dict[str, dict[str, Any]] | BadOwnTerms:
    try:
        return own_terms.parse(text)
    except BadOwnTerms as bad:
        return bad
