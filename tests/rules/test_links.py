from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.rules.links import Keyring, UnknownKey, digest, key_id

KEY, OLD = b"k" * 32, b"o" * 32
DELIVERY = UUID(int=7)
RING = Keyring.of(KEY, OLD)


def test_a_token_is_known_by_heart() -> None:
    """A mail sent years ago is rebuilt with these very letters."""
    assert RING.token(DELIVERY, "notice") == "xooMGESXK1Iv6yqA5Tg6QdZQkyh9ksXQf4POMNta0ak"
    assert RING.token(DELIVERY, "notice", key=key_id(OLD)) == "mgra2oDoQWEPb-pSW7gsXARO9PWQWTLQugdG0GzA0pc"
    assert RING.envelope_tag(DELIVERY, 1) == "aaaaaaaaaaaaaaaaaaaaaaaaa4aadeu56iwwljgpzunodwbm"
    assert digest("a token") == "e3316e2bafebb6103a3418e8778c0adc960d40213a03a7e7f4fcd3426ed807bf"


@given(st.uuids(), st.uuids(), st.text(), st.text())
def test_a_token_changes_with_its_delivery_and_its_purpose(one: UUID, other: UUID, purpose: str, another: str) -> None:
    assert (RING.token(one, purpose) == RING.token(other, another)) == ((one, purpose) == (other, another))


@given(st.binary(min_size=32, max_size=64), st.binary(min_size=32, max_size=64))
def test_a_token_changes_with_the_key(one: bytes, other: bytes) -> None:
    tokens = [Keyring.of(key).token(DELIVERY, "notice") for key in (one, other)]

    assert (tokens[0] == tokens[1]) == (one == other)


@given(st.uuids(), st.integers(1, 1000))
def test_tokens_go_into_addresses_as_they_are(delivery: UUID, attempt: int) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", RING.token(delivery, "notice"))  # 256 bits
    assert re.fullmatch(r"[a-z2-7]{48}", RING.envelope_tag(delivery, attempt))  # with "bounces+", 64 octets at most


def test_the_envelope_names_each_attempt() -> None:
    assert RING.envelope_tag(DELIVERY, 1) != RING.envelope_tag(DELIVERY, 2)


@given(st.uuids(), st.integers(1, 0xFFFF))
def test_a_tag_says_which_delivery_and_which_attempt(delivery: UUID, attempt: int) -> None:
    tag = RING.envelope_tag(delivery, attempt)

    assert RING.read_envelope_tag(tag) == RING.read_envelope_tag(tag.upper()) == (delivery, attempt)
    assert Keyring.of(b"n" * 32, KEY).read_envelope_tag(tag) == (delivery, attempt)  # after a change of keys


@given(st.integers(0, 47), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_a_tag_of_which_one_letter_was_changed_names_nothing(place: int, letter: str) -> None:
    tag = RING.envelope_tag(DELIVERY, 1)
    changed = tag[:place] + letter + tag[place + 1 :]

    assert RING.read_envelope_tag(changed) == ((DELIVERY, 1) if changed == tag else None)


def test_a_tag_made_under_a_key_that_is_not_ours_names_nothing() -> None:
    assert RING.read_envelope_tag(Keyring.of(b"x" * 32).envelope_tag(DELIVERY, 1)) is None


@pytest.mark.parametrize(
    "written", ["", "tag", "a" * 47, "a" * 49, "\u017f" * 48, "a" * 47 + "=", "1" * 48, "a" * 48 + "\n"]
)
def test_what_is_no_tag_names_nothing(written: str) -> None:
    assert RING.read_envelope_tag(written) is None


def test_attempts_beyond_the_last_that_can_be_written_share_its_tag() -> None:
    assert RING.read_envelope_tag(RING.envelope_tag(DELIVERY, 100_000)) == (DELIVERY, 0xFFFF)


def test_what_was_made_under_an_old_key_is_made_again_after_the_change_of_keys() -> None:
    before, after = Keyring.of(OLD), Keyring.of(KEY, OLD)

    assert after.token(DELIVERY, "notice", key=before.current) == before.token(DELIVERY, "notice")
    assert after.token(DELIVERY, "notice") != before.token(DELIVERY, "notice")
    assert after.derive_all("cookies") == [Keyring.of(KEY).derive("cookies"), before.derive("cookies")]


def test_a_key_that_is_gone_is_asked_for_by_its_name() -> None:
    with pytest.raises(UnknownKey, match=f"no key called {key_id(OLD)} is known"):
        Keyring.of(KEY).token(DELIVERY, "notice", key=key_id(OLD))


def test_keys_for_other_purposes_have_nothing_in_common() -> None:
    made = {RING.derive("cookies"), RING.derive("form tokens"), RING.derive("secrets at rest"), KEY}

    assert len(made) == 4
    assert all(len(key) == 32 for key in made)
