"""Reading mails that came back in a process of its own: what `bounces` needs for that is imported there alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final, Self

from notifier.adapters.confined import Reader, TooCostly
from notifier.rules.bounces import MOST_BYTES, MOST_NAMED, BounceKind, Report, Returned

READ: Final = "notifier.adapters.bounces:read_bounce_as_json"
UNREADABLE: Final = Report(kind=BounceKind.UNREADABLE, recipients=())

_TAGGED: Final = re.compile(rb"\+([a-z2-7]{48})@", re.IGNORECASE)


class BounceReader:
    """Reads in a process of its own, which is kept for many mails: 5 seconds and 256 MB for each.

    What kills or stops that process, or makes it fail, is UNREADABLE; it never raises for what a mail holds. OSError
    where the system can start no process.
    """

    def __init__(self) -> None:
        self._reader = Reader(READ, seconds=5, megabytes=256)

    def read(self, data: bytes) -> Report:
        try:
            found = self._read_twice(data[:MOST_BYTES])
        except TooCostly:  # the tag proves itself, and says whose mail a person must look at
            tags = dict.fromkeys(one.decode() for one in _TAGGED.findall(data[:MOST_BYTES]))
            return replace(UNREADABLE, tokens=tuple(tags)[:MOST_NAMED])
        return Report(
            kind=BounceKind(found["kind"]),
            recipients=tuple(Returned(**one) for one in found["recipients"]),
            tokens=tuple(found["tokens"]),
            message_ids=tuple(found["message_ids"]),
            words=found["words"],
            proposed_contacts=tuple(found["proposed_contacts"]),
            is_challenge=found["is_challenge"],
            has_left=found["has_left"],
        )

    def _read_twice(self, data: bytes) -> Any:  # noqa: ANN401 - JSON values
        """A child may be killed, or too slow on a busy machine, for no fault of the mail."""
        try:
            return self._reader.read(data)
        except TooCostly:
            return self._reader.read(data)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
