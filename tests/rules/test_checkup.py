from __future__ import annotations

import pytest

from notifier.rules.checkup import Level, judge_dkim, judge_dmarc, judge_spf, parents

DOMAIN = "hosting.example"


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        (["v=spf1 include:relay.example -all"], Level.OK),
        (["v=spf1 mx ~all"], Level.OK),
        (["V=SPF1 redirect=relay.example"], Level.OK),
        (["some=thing", "v=spf1 -all"], Level.OK),
        ([], Level.WARNING),
        (["v=spf10 -all"], Level.WARNING),
        (["v=spf1 mx"], Level.WARNING),
        (["v=spf1 mx +all"], Level.FAILED),
        (["v=spf1 all"], Level.FAILED),
        (["v=spf1 -all", "v=spf1 mx -all"], Level.FAILED),
    ],
)
def test_a_policy_on_who_may_send(texts: list[str], level: Level) -> None:
    finding = judge_spf(DOMAIN, texts)

    assert finding.level is level
    assert bool(finding.todo) is (level is not Level.OK)


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        (["v=DKIM1; k=rsa; p=MIGfMA0"], Level.OK),
        (["v=DKIM1; k=ed25519; ", "p=11qYAYKx"], Level.OK),
        (["p=MIGf MA0"], Level.OK),
        (["v=DKIM1; t=y:s; p=MIGfMA0"], Level.WARNING),
        (["v=DKIM1; p="], Level.FAILED),
        (["v=DKIM1; k=rsa"], Level.FAILED),
        ([], Level.FAILED),
    ],
)
def test_a_key_for_signatures(texts: list[str], level: Level) -> None:
    assert judge_dkim(f"s1._domainkey.{DOMAIN}", texts).level is level


@pytest.mark.parametrize(
    ("texts", "level"),
    [
        (["v=DMARC1; p=reject; rua=mailto:d@hosting.example"], Level.OK),
        (["v=DMARC1; p=quarantine"], Level.OK),
        (["v=DMARC1; p=none"], Level.WARNING),
        ([], Level.WARNING),
        (["something else"], Level.WARNING),
        (["v=DMARC1; p=refuse"], Level.FAILED),
        (["v=DMARC1"], Level.FAILED),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], Level.FAILED),
    ],
)
def test_what_receivers_are_asked_to_do(texts: list[str], level: Level) -> None:
    assert judge_dmarc(DOMAIN, texts).level is level


def test_the_domains_above_speak_for_one_but_no_top_level_domain() -> None:
    assert parents("a.b.hosting.example") == ["a.b.hosting.example", "b.hosting.example", "hosting.example"]
    assert parents("hosting.example") == ["hosting.example"]
