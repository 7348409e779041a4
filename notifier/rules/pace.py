"""How fast mails have been leaving, and when the last of many will have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import pairwise

A_MINUTE = timedelta(minutes=1)
A_DAY = timedelta(days=1)
PAUSE = A_MINUTE  # with nothing taken for as long, nothing was to be sent
FEW = 10  # mails that say nothing of a pace
FARTHEST = timedelta(days=36_500)  # beyond it, a forecast says nothing, and a calendar ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the relays take at most; None: as much as there is."""

    per_minute: float | None = None
    per_day: int | None = None  # from midnight to midnight


def pace_of(taken_at: Iterable[datetime]) -> float | None:
    """Return how many mails a minute were taken while there were mails to send; None where too few say so.

    `taken_at` has one instant for each mail, in any order.  Mails are taken by rounds: how long the first one of a run
    took is not known, so it only starts the clock.
    """
    rounds = sorted(Counter(taken_at).items())
    runs = [(after - before, mails) for (before, _), (after, mails) in pairwise(rounds) if after - before <= PAUSE]
    mails, busy = sum(mails for _, mails in runs), sum((gap for gap, _ in runs), timedelta())
    return mails / (busy / A_MINUTE) if mails >= FEW else None


def last_leaves_at(
    now: datetime,
    waiting: int,
    *,
    per_minute: float | None,
    per_day: int | None = None,
    sent_today: int = 0,
    tz: tzinfo = UTC,
) -> datetime:
    """Return when the last of `waiting` mails will have left (in the zone of `now`), at a pace and within a daily cap.

    The days of the cap are those of `tz`.  Raises ValueError for a pace or a cap that lets nothing leave.
    """
    if (per_minute is not None and per_minute <= 0) or (per_day is not None and per_day < 1):
        raise ValueError("a pace is more than nothing")
    midnight = datetime.combine(now.astimezone(tz).date() + A_DAY, time(), tzinfo=tz)
    room = _within(midnight - now, per_minute, max(per_day - sent_today, 0) if per_day else None)
    if room is None or waiting <= room:
        return now + _lasting(waiting, per_minute)
    rest, daily = waiting - room, _within(A_DAY, per_minute, per_day) or 1
    days = (rest - 1) // daily
    if days * A_DAY > FARTHEST:
        return now + FARTHEST
    return midnight.astimezone(now.tzinfo) + days * A_DAY + _lasting(rest - days * daily, per_minute)


def _within(span: timedelta, per_minute: float | None, at_most: int | None) -> int | None:
    """Return how many mails leave within a span; None where nothing limits them."""
    if per_minute is None:
        return at_most
    if at_most is None:
        return None  # a day's end stops nothing
    return min(at_most, int(per_minute * (span / A_MINUTE)))


def _lasting(mails: int, per_minute: float | None) -> timedelta:
    return timedelta(minutes=min(mails / per_minute, FARTHEST / A_MINUTE)) if per_minute else timedelta()
