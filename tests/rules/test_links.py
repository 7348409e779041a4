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
    assert RING.envelope_tag(DELIVERY, 1) == "4zoix4qklkycxskg2mtagl3jwy"
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
    assert re.fullmatch(r"[a-z2-7]{26}", RING.envelope_tag(delivery, attempt))  # 128 bits


def test_the_envelope_names_each_attempt() -> None:
    assert RING.envelope_tag(DELIVERY, 1) != RING.envelope_tag(DELIVERY, 2)


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
