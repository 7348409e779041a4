"""DKIM signatures (RFC 6376; Ed25519 by RFC 8463) for mails that no relay signs: relaxed/relaxed, over SHA-256.

The same bytes under the same key get the same signature: it names no time, and both algorithms draw nothing at random.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

Key: TypeAlias = RSAPrivateKey | Ed25519PrivateKey

SHORTEST_KEY, LONGEST_KEY = 2048, 4096  # bits of an RSA key: fewer are weak, more not all can check (RFC 8301, 3.2)
SIGNED = (
    b"from",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"mime-version",
    b"content-type",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
)
# Named once more than there are: one that is added on the way breaks the signature (RFC 6376, 8.15).
NEVER_MORE = (b"from", b"to", b"subject")

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_NAME}(?:\.{_NAME})+")
_SELECTOR = re.compile(rf"(?=.{{1,253}}\Z){_NAME}(?:\.{_NAME})*")
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_WIDTH = 72  # characters of a line of the signature


class BadDkim(ValueError):
    """A domain, a selector or a key that nothing can be signed with; the message says what to write."""


@dataclass(frozen=True, slots=True)
class DkimSigner:
    """Signs mails for one domain with one key, whose other half is published at <selector>._domainkey.<domain>."""

    domain: str
    selector: str
    key: Key

    @classmethod
    def read(cls, *, domain: str, selector: str, key_file: Path) -> Self:
        """Read the key from a PEM file.  Raises BadDkim."""
        if _DOMAIN.fullmatch(domain) is None:
            raise BadDkim(f"{domain!r} is no domain: write it as hosting.example, in its xn-- form where it has one")
        if _SELECTOR.fullmatch(selector) is None:
            raise BadDkim(f"{selector!r} is no selector: write letters, figures and hyphens, as in notices2026")
        return cls(domain=domain.lower(), selector=selector, key=_key(key_file))

    @property
    def published(self) -> str:
        """What belongs in the TXT record of <selector>._domainkey.<domain>."""
        public = self.key.public_key()
        if isinstance(self.key, RSAPrivateKey):
            named, written = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            named, written = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k={named}; p={b64encode(written).decode()}"

    def sign(self, content: bytes) -> bytes:
        """Return a mail (CRLF line ends) with a signature before its headers."""
        head, _, body = content.partition(b"\r\n\r\n")
        names, fields = _chosen(_FIELD_END.split(head))
        bodys = b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        algorithm = "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"
        tags = (
            f"DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={self.domain};\r\n"
            f" s={self.selector}; bh={bodys};\r\n"
            f" h={_folded(names)};\r\n"
            " b="
        ).encode()
        signature = b64encode(self._signature(b"".join([*fields, relaxed_field(tags)])))
        lines = [signature[start : start + _WIDTH] for start in range(0, len(signature), _WIDTH)]
        return b"".join((tags, b"\r\n ".join(lines), b"\r\n", content))

    def _signature(self, signed: bytes) -> bytes:
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(signed, PKCS1v15(), SHA256())
        return self.key.sign(hashlib.sha256(signed).digest())  # of the digest (RFC 8463, 3)


def relaxed_body(body: bytes) -> bytes:
    """Return a body as it is signed (RFC 6376, 3.4.4): no space ends a line, no empty line the text."""
    if not body.endswith(b"\r\n"):
        body += b"\r\n"  # as it is sent
    body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")  # twenty times as fast as a pattern
    body = body.replace(b" \r\n", b"\r\n")
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    return b"" if body == b"\r\n" else body


def relaxed_field(field: bytes) -> bytes:
    """Return a header field as it is signed (RFC 6376, 3.4.2), without the end of its line."""
    name, _, value = field.partition(b":")
    unfolded = value.replace(b"\r\n", b"").replace(b"\t", b" ")
    return name.rstrip(b" \t").lower() + b":" + b" ".join(filter(None, unfolded.split(b" ")))


def _chosen(fields: Sequence[bytes]) -> tuple[list[str], list[bytes]]:
    """Return the names to sign and the fields that they stand for, the last of a name first (RFC 6376, 5.4.2)."""
    named: dict[bytes, list[bytes]] = {}
    for field in fields:
        named.setdefault(field.partition(b":")[0].rstrip(b" \t").lower(), []).insert(0, field)
    names, signed = [], []
    for name in SIGNED:
        here = named.get(name, [])
        names += [name.decode()] * (len(here) + (name in NEVER_MORE))
        signed += [relaxed_field(field) + b"\r\n" for field in here]
    return names, signed


def _folded(names: Sequence[str]) -> str:
    """Return names between colons, in lines that are not too long."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > _WIDTH - 4:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n ".join(lines).removesuffix(":")


def _key(file: Path) -> Key:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm):
        raise BadDkim(
            f"{file} is no private key in PEM without a password: "
            "`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048` makes one"
        ) from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, RSAPrivateKey) and SHORTEST_KEY <= key.key_size <= LONGEST_KEY:
        return key
    raise BadDkim(f"{file} is neither an RSA key of {SHORTEST_KEY} to {LONGEST_KEY} bits nor an Ed25519 key")
