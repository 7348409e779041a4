"""Form tokens, without a browser."""

from datetime import timedelta

import pytest
from itsdangerous import URLSafeSerializer

from notifier.rules.links import digest
from notifier.web.form_tokens import LIFE, BadForm, FormTokens
from tests.factories import NOON

OLD, NEW = b"o" * 32, b"n" * 32


def test_a_form_says_when_it_was_handed_out_and_for_which_edition() -> None:
    tokens = FormTokens([NEW])

    token = tokens.make("link", "objection", edition=2, now=NOON)

    assert tokens.made_at(token, "link", "objection", now=NOON + LIFE) == NOON
    assert tokens.read(token, "link", "objection", now=NOON + LIFE).edition == 2


@pytest.mark.parametrize(
    ("link", "purpose", "later"),
    [
        pytest.param("another link", "objection", timedelta(0), id="of another link"),
        pytest.param("link", "termination", timedelta(0), id="of another purpose"),
        pytest.param("link", "objection", LIFE + timedelta(seconds=1), id="too old"),
    ],
)
def test_a_form_is_refused_when_it_is(link: str, purpose: str, later: timedelta) -> None:
    tokens = FormTokens([NEW])
    token = tokens.make("link", "objection", now=NOON)

    with pytest.raises(BadForm):
        tokens.made_at(token, link, purpose, now=NOON + later)


@pytest.mark.parametrize("token", ["", "x", ".", "é", "W10.AAAA"])
def test_what_is_no_form_token_is_refused(token: str) -> None:
    with pytest.raises(BadForm):
        FormTokens([NEW]).made_at(token, "link", "objection", now=NOON)


def test_a_form_of_a_version_of_ours_that_named_no_edition_is_asked_for_again() -> None:
    token = URLSafeSerializer([NEW], salt="notifier form objection").dumps([digest("link"), NOON.timestamp()])

    with pytest.raises(BadForm):
        FormTokens([NEW]).read(str(token), "link", "objection", now=NOON)


def test_a_form_outlives_a_change_of_keys() -> None:
    token = FormTokens([OLD]).make("link", "objection", now=NOON)

    assert FormTokens([NEW, OLD]).made_at(token, "link", "objection", now=NOON) == NOON
    with pytest.raises(BadForm):
        FormTokens([NEW]).made_at(token, "link", "objection", now=NOON)
