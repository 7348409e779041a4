"""Keeping secrets and people out of logs: whoever reads a log must not be able to answer for a client, nor to sign in,
nor learn who the contacts of a client are.
"""

from __future__ import annotations

import re

TOKEN, SECRET, ADDRESS = "[token]", "[secret]", "[address]"
SECRET_NAMES = frozenset({"authorization", "cookie", "password", "secret", "secret_key", "token"})

_AFTER_PATH = re.compile(r"((?:/|%2[Ff])(?:notice|sign-in|subscriptions)(?:/|%2[Ff]))[^/\s?#\"'<>&%]+")
_BARE = re.compile(r"(?:(?<![\w-])|(?<=%[0-9A-Fa-f]{2}))[\w-]{43}(?![\w-])")  # 256 bits, whatever stands before them
_SIGNING = re.compile(r"whsec_[\w+/=-]+")
_SIGNED_IN = re.compile(r"\b(Bearer|Basic)\s+[^\s\"',;]+", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)[^\s/\"'<>]+@")  # user:password@
_QUOTED = re.compile(r"\"[^\"\n]+\"@[^\s<>\"'(),;:\\]+")
# Rather too much than too little: a local part may hold almost any sign (RFC 5321), as O'Brien's and a forwarder's do.
_ADDRESS = re.compile(r"[^\s<>\"(),;:\\\[\]]+(?:@|%40)[^\s<>\"'(),;:\\/{}|&?]+")


def redact(text: str) -> str:
    """Return the text with tokens of links, secrets and addresses of mail replaced; what stands around them stays."""
    text = _BARE.sub(TOKEN, _AFTER_PATH.sub(rf"\1{TOKEN}", text))
    text = _SIGNED_IN.sub(rf"\1 {SECRET}", _SIGNING.sub(SECRET, text))
    return _ADDRESS.sub(ADDRESS, _QUOTED.sub(ADDRESS, _IN_URL.sub(f"{SECRET}@", text)))
