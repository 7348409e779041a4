"""The secrets in links: a token is an HMAC of the delivery and its purpose, so that a mail's bytes can be rebuilt
without storing it.

The database keeps only the token's SHA-256.  Old keys stay known, since a mail sent under one must still be rebuilt and
answered.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

_TAG = re.compile(r"[a-z2-7]{48}", re.IGNORECASE | re.ASCII)
_MESSAGE_ID = re.compile(r"<([0-9a-f]{32})@[^<>@\s]+>")
_TAG_MAC = 12  # bytes: with the 16 of a delivery and the 2 of an attempt, 30, which base32 writes without padding
_LAST_ATTEMPT = 0xFFFF  # some thirty years of attempts; whatever comes after is taken for the last one


class UnknownKey(LookupError):
    """A mail was written under a key that this instance does not hold: put it back among the old keys."""


def key_id(key: bytes) -> str:
    """Return the short public name of a key."""
    return hashlib.sha256(b"notifier key id\0" + key).hexdigest()[:12]


def digest(token: str) -> str:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def delivery_of(message_id: str) -> UUID | None:
    """Return the delivery whose id stands in a Message-ID in the form of ours, whoever made it."""
    form = _MESSAGE_ID.fullmatch(message_id)
    return UUID(form[1]) if form else None


def is_like_envelope_tag(text: str) -> bool:
    """Say whether a text has the form of an envelope tag, whoever made it."""
    return _TAG.fullmatch(text) is not None


def _mac(key: bytes, *parts: str) -> bytes:
    return hmac.digest(key, "\0".join(parts).encode(), "sha256")


@dataclass(frozen=True, slots=True)
class Keyring:
    """The instance's keys by their names, and the one in use."""

    keys: Mapping[str, bytes]
    current: str

    @classmethod
    def of(cls, current: bytes, *old: bytes) -> Keyring:
        return cls(keys={key_id(key): key for key in (current, *old)}, current=key_id(current))

    def token(self, delivery_id: UUID, purpose: str, *, key: str | None = None) -> str:
        """Return the token of a delivery's link: 256 bits, URL-safe."""
        return base64.urlsafe_b64encode(_mac(self._key(key), "link", str(delivery_id), purpose)).rstrip(b"=").decode()

    def envelope_tag(self, delivery_id: UUID, attempt: int) -> str:
        """Return the tag that the envelope sender carries on one attempt: base32 (48 lower-case letters and digits) of
        the delivery, the attempt's number and their MAC, so that whatever comes back names both.
        """
        named = delivery_id.bytes + min(attempt, _LAST_ATTEMPT).to_bytes(2)
        return base64.b32encode(named + self._tag_mac(self.current, named)).decode().lower()

    def read_envelope_tag(self, text: str) -> tuple[UUID, int] | None:
        """Return the delivery and the attempt that a tag names, in whatever case it came back; None unless it was made
        under one of our keys.
        """
        if not is_like_envelope_tag(text):
            return None
        read = base64.b32decode(text.upper())
        named, mac = read[:-_TAG_MAC], read[-_TAG_MAC:]
        ours = [hmac.compare_digest(mac, self._tag_mac(name, named)) for name in self.keys]
        return (UUID(bytes=named[:16]), int.from_bytes(named[16:])) if any(ours) else None

    def _tag_mac(self, key: str, named: bytes) -> bytes:
        return _mac(self._key(key), "envelope", named.hex())[:_TAG_MAC]

    def derive(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for another purpose (cookies, form tokens, secrets at rest), from the one in use."""
        return _mac(self._key(None), "derive", purpose)

    def derive_all(self, purpose: str) -> list[bytes]:
        """Return that key for every known key, the one in use first."""
        names = sorted(self.keys, key=lambda name: name != self.current)
        return [_mac(self.keys[name], "derive", purpose) for name in names]

    def _key(self, name: str | None) -> bytes:
        try:
            return self.keys[name or self.current]
        except KeyError:
            raise UnknownKey(f"no key called {name} is known: add it to the old secret keys") from None
