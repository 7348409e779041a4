"""What has been written of an announcement since a mail told of it: corrected, moved, or only spelt otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from notifier.models import Edition
from notifier.services import letter_words, letters
from notifier.services.answers import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """`corrected_at`: the latest correction in substance that the mail does not know, with what it made different
    (rows of a label, what was and what is); `moved_from`: the day that stood before it was put off.
    """

    corrected_at: datetime | None
    differences: tuple[dict[str, str], ...]
    respelt_at: tuple[datetime, ...]
    moved_at: datetime | None
    moved_from: date | None


def since(opened: Opened, editions: Sequence[Edition], language: str) -> Since:
    """Return what a reader of this mail is to be told of later editions; `editions` from the oldest on."""
    announcement, told_at = opened.announcement, opened.delivery.created_at
    known = [edition for edition in editions if edition.made_at <= told_at]
    corrections = [edition for edition in editions if edition.in_substance and edition.made_at > told_at]
    first_told = min((one.notice.edition for one in opened.told), default=announcement.edition)
    today = [edition for edition in editions if edition.number >= first_told]
    moved = [(was, now) for was, now in pairwise(today) if was.effective_on != now.effective_on]
    respelt = [now for was, now in pairwise(today) if (was.number, was.effective_on) == (now.number, now.effective_on)]
    before = letters.as_seen(known[-1], [one.client.scope for one in opened.told]) if known and corrections else None
    marked = letter_words.differences(before, announcement, language) if before else []
    return Since(
        corrected_at=corrections[-1].made_at if known and corrections else None,
        differences=tuple(marked),
        respelt_at=tuple(edition.made_at for edition in respelt),
        moved_at=moved[-1][1].made_at if moved else None,
        moved_from=moved[0][0].effective_on if moved else None,
    )
