"""Which reminder is due: so many days before a last day to answer, each at most once, and none after an answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

FARTHEST = 366  # days before; more is a slip of the pen


class BadSchedule(ValueError):
    """A schedule that cannot be kept; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """On which days before a last day something is sent, the farthest first; an empty one sends nothing.

    `apart`: days that lie at least between being told and being reminded, so that a short period does not bring both
    together.
    """

    days_before: tuple[int, ...]
    apart: int = 1

    @classmethod
    def of(cls, days_before: Iterable[int]) -> Schedule:
        """Return a schedule as it was written; one that repeats itself or is out of order raises BadSchedule."""
        written = tuple(days_before)
        if not all(0 <= days <= FARTHEST for days in written) or written != tuple(sorted(set(written), reverse=True)):
            raise BadSchedule(
                f"{list(written)} is no schedule: write how many days before the last day, the farthest first and each "
                "once, such as [14, 3], or [] for none"
            )
        return cls(written)

    def due(self, *, last_day: date, told_on: date, sent: Collection[int], answered: bool, today: date) -> int | None:
        """Return which reminder is due today, by its days before the last day.

        Of several whose days have come (nobody was there to send them) it is the latest; the others are never sent.
        `sent` holds those that were, of the same edition; what was sent nearer to the last day closes what is farther.
        """
        days_before = self.reached(last_day, today)
        if answered or days_before is None or any(earlier <= days_before for earlier in sent):
            return None
        return days_before if told_on <= self.latest_told(last_day, days_before) else None

    def reached(self, last_day: date, today: date) -> int | None:
        """Return the latest reminder whose day has come; on the last day itself none but that day's own."""
        left = (last_day - today).days
        if left < 0:
            return None
        days_before = min((days for days in self.days_before if days >= left), default=None)
        return None if left == 0 and days_before else days_before

    def latest_told(self, last_day: date, days_before: int) -> date:
        """Return the last day of being told on which this reminder is still sent."""
        return last_day - timedelta(days=days_before + self.apart)

    def windows(self, today: date) -> Mapping[int, Collection[date]]:
        """Return for each reminder the last days for which it is the one whose day has come: a few days, however many
        clients there are.
        """
        windows: defaultdict[int, list[date]] = defaultdict(list)
        for left in range(max(self.days_before, default=-1) + 1):
            last_day = today + timedelta(days=left)
            days_before = self.reached(last_day, today)
            if days_before is not None:
                windows[days_before].append(last_day)
        return windows
