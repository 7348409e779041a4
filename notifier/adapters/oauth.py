"""Access tokens for relays and mailboxes that take no password: OAuth 2.0 (RFC 6749) and XOAUTH2, as Microsoft and
Google name it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from notifier.adapters.http import Answer, GuardedClient
from notifier.adapters.sending import cleaned

_EARLIER = timedelta(minutes=1)  # than its end, a token is asked for anew
_SHORTEST_LIFE = 60  # seconds, where the answer names none that can be believed
_LONGEST_LIFE = 86_400
_REFUSED = frozenset({400, 401, 403})


class OAuthTrouble(OSError):
    """No token was given.  `lasting`: only a person can mend it, for the grant itself is refused."""

    def __init__(self, words: str, *, lasting: bool) -> None:
        super().__init__(words)
        self.lasting = lasting


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token is asked for with: as the application itself, or with a refresh token where there is one."""

    token_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    scope: str = ""
    refresh_token: str = field(default="", repr=False)

    def form(self, refresh_token: str) -> bytes:
        kind = "refresh_token" if refresh_token else "client_credentials"
        said = {
            "grant_type": kind,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "scope": self.scope,
            "refresh_token": refresh_token,
        }
        return urlencode({name: value for name, value in said.items() if value}).encode()


class Tokens:
    """Gives the present access token, for any thread; a new one is asked for a minute before the old one ends."""

    def __init__(self, grant: Grant, http: GuardedClient, *, now: Callable[[], datetime]) -> None:
        self._grant, self._http, self._now = grant, http, now
        self._lock = threading.Lock()
        self._token, self._refresh_token = "", grant.refresh_token
        self._until: datetime | None = None

    def __call__(self) -> str:
        """Raises OAuthTrouble."""
        with self._lock:
            if not self._token or self._until is None or self._now() >= self._until:
                self._renew()
            return self._token

    def forget(self) -> None:
        """Ask for another one next time: the server refused this one."""
        with self._lock:
            self._token = ""

    def _renew(self) -> None:
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        asked_at = self._now()
        answer = self._http.post(self._grant.token_url, content=self._grant.form(self._refresh_token), headers=headers)
        said = _read(answer)
        token = said.get("access_token")
        if not answer.ok or answer.reason or not isinstance(token, str) or not _is_printable(token):
            raise _trouble(answer, said)
        self._token, self._until = token, asked_at + _life(said.get("expires_in")) - _EARLIER
        if isinstance(renewed := said.get("refresh_token"), str) and self._refresh_token:
            self._refresh_token = renewed  # some servers give a new one each time


def xoauth2(user: str, token: str) -> bytes:
    """Return the initial response of SASL XOAUTH2, before its base64."""
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


def _read(answer: Answer) -> dict[str, object]:
    try:
        said = json.loads(answer.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _is_printable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


def _life(said: object) -> timedelta:
    try:
        seconds = int(said) if isinstance(said, int | str) else 0
    except ValueError:
        seconds = 0
    return timedelta(seconds=min(max(seconds, _SHORTEST_LIFE), _LONGEST_LIFE))


def _trouble(answer: Answer, said: dict[str, object]) -> OAuthTrouble:
    """Say what to do about it; what the server says of an error holds no secret (RFC 6749, 5.2)."""
    if answer.status is None:
        is_wrong = answer.reason == "refused_url"
        return OAuthTrouble(f"the token address does not answer: {answer.detail}", lasting=is_wrong)
    words = cleaned(" ".join(str(said[name]) for name in ("error", "error_description") if name in said))[:200]
    if answer.status in _REFUSED:
        return OAuthTrouble(
            f"no access token: {words or answer.status}; check oauth's client_id, client_secret, scope and token_url",
            lasting=True,
        )
    return OAuthTrouble(f"no access token: the token address answers {answer.status} {words}".strip(), lasting=False)
