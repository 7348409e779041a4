"""Form tokens: a form of the portal is taken when this instance handed it out, for this link and purpose, not long ago.

The portal has no sign-in and sets no cookie; the token stands in for both, and binds the form to the link it was made
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from itsdangerous import BadData, URLSafeSerializer

from notifier.rules.links import digest

LIFE = timedelta(hours=2)
FASTEST_PERSON = timedelta(seconds=3)


class BadForm(Exception):
    """The form is too old, or was not handed out by this page: show it again, with what was typed."""


class HandedOut(NamedTuple):
    """When a form was handed out (aware, UTC), and for which edition of a text; 0 where there is one alone."""

    made_at: datetime
    edition: int


@dataclass(frozen=True, slots=True)
class FormTokens:
    """Makes and reads form tokens; `keys` has the one in use first, and old ones after it."""

    keys: Sequence[bytes]

    def make(self, link: str, purpose: str, *, edition: int = 0, now: datetime) -> str:
        """Return a token for one form of one link's page, made now."""
        return str(self._serializer(purpose).dumps([digest(link), now.timestamp(), edition]))

    def made_at(self, token: str, link: str, purpose: str, *, now: datetime) -> datetime:
        """Return the instant (aware, UTC) at which a form was handed out; raises as `read`."""
        return self.read(token, link, purpose, now=now).made_at

    def read(self, token: str, link: str, purpose: str, *, now: datetime) -> HandedOut:
        """Return what a form's token says.  Raises BadForm unless it is this form's, and at most LIFE old."""
        try:
            link_digest, made, edition = self._serializer(purpose).loads(token)
        except (BadData, ValueError):  # the latter: an older version of ours made it
            raise BadForm from None
        made_at = datetime.fromtimestamp(made, UTC)
        if link_digest != digest(link) or now - made_at > LIFE:
            raise BadForm
        return HandedOut(made_at, edition)

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(list(reversed(self.keys)), salt=f"notifier form {purpose}")
