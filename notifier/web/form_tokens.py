"""Form tokens: a form of the portal is taken when this instance handed it out, for this link and purpose, not long ago.

The portal has no sign-in and sets no cookie; the token stands in for both, and binds the form to the link it was made
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadData, URLSafeSerializer

from notifier.rules.links import digest

LIFE = timedelta(hours=2)
FASTEST_PERSON = timedelta(seconds=3)


class BadForm(Exception):
    """The form is too old, or was not handed out by this page: show it again, with what was typed."""


@dataclass(frozen=True, slots=True)
class FormTokens:
    """Makes and reads form tokens; `keys` has the one in use first, and old ones after it."""

    keys: Sequence[bytes]

    def make(self, link: str, purpose: str, *, now: datetime) -> str:
        """Return a token for one form of one link's page, made now."""
        return str(self._serializer(purpose).dumps([digest(link), now.timestamp()]))

    def made_at(self, token: str, link: str, purpose: str, *, now: datetime) -> datetime:
        """Return the instant (aware, UTC) at which a form was handed out.

        Raises BadForm unless the token is this form's, and at most LIFE old.
        """
        try:
            link_digest, made = self._serializer(purpose).loads(token)
        except BadData:
            raise BadForm from None
        made_at = datetime.fromtimestamp(made, UTC)
        if link_digest != digest(link) or now - made_at > LIFE:
            raise BadForm
        return made_at

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        return URLSafeSerializer(list(reversed(self.keys)), salt=f"notifier form {purpose}")
