"""What relays and domains may be asked to take: at once, a minute, a day; and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import floor

from notifier.rules.pace import A_DAY, A_MINUTE, Limits

A_SECOND = timedelta(seconds=1)
AN_HOUR = timedelta(hours=1)
IN_A_ROW = 5  # mails that one domain puts off one after the other, before it rests
KEY_MARGIN = timedelta(minutes=1)  # between the last instant for a mail that goes again, and the end of its key's life
NEARLY_NOTHING = 1e-3  # of a mail: what rounding to microseconds may be wrong by


def domain_of(address: str) -> str:
    """Return the domain of an address, in small letters."""
    return address.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPlan:
    """What is kept to at one relay.  None: no limit.

    `at_once` is the number of its sessions, and so of mails in a round.  `fixed_sender`: it takes no envelope sender
    but the profile's address.  `key_life`: how long it knows a mail again by its idempotency key.
    """

    name: str
    at_once: int = 10
    per_minute: float | None = None
    per_day: int | None = None
    weight: int = 1
    fixed_sender: bool = False
    key_life: timedelta | None = None

    @property
    def is_limited(self) -> bool:
        return self.per_minute is not None or self.per_day is not None

    @property
    def is_for_one(self) -> bool:
        """Whether one worker at a time uses it, so that its sessions are counted over all machines: where a rate is
        set, a second worker would be no faster.
        """
        return self.per_minute is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainPlan:
    """What is kept to for the mails to one domain.  `at_once`: in one round; None: no limit."""

    at_once: int | None = None
    per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many mails might leave at an instant (a token bucket that fills without steps)."""

    mails: float
    at: datetime

    def filled(self, *, per_minute: float, burst: float, now: datetime) -> Bucket:
        """Return the bucket as it is now.  A clock that goes back fills nothing."""
        gap = max(now - self.at, timedelta())
        return Bucket(min(self.mails + per_minute * (gap / A_MINUTE), burst), max(now, self.at))

    @property
    def room(self) -> int:
        return max(floor(self.mails + NEARLY_NOTHING), 0)

    def next_at(self, *, per_minute: float) -> datetime:
        """Return when the next mail may leave."""
        return self.at + A_MINUTE * (max(1 - self.mails, 0) / per_minute)


def burst_of(at_once: int | None, per_minute: float) -> float:
    """Return how many may leave after a silence: a round, or where the rate is high, what a second brings."""
    return max(at_once or 1, per_minute * (A_SECOND / A_MINUTE))


def counted(hours: Mapping[str, int], mails: int, now: datetime) -> dict[str, int]:
    """Return the mails by the hour with so many more (or fewer, below 0) in this one, and without old ones."""
    this = _hour(now)
    kept = {hour: number for hour, number in hours.items() if datetime.fromisoformat(hour) >= this - A_DAY}
    return {**kept, this.isoformat(): max(kept.get(this.isoformat(), 0) + mails, 0)}


def within_a_day(hours: Mapping[str, int], now: datetime) -> int:
    """Return how many mails left in the last 24 hours, the whole of the first hour among them.

    The day is a rolling one, as relays count it: from midnight to midnight, two days' mails could leave within an hour.
    """
    first = _hour(now) - A_DAY
    return sum(number for hour, number in hours.items() if datetime.fromisoformat(hour) >= first)


def room_at(hours: Mapping[str, int], *, per_day: int, now: datetime) -> datetime:
    """Return when a mail may leave again under a daily cap."""
    left = within_a_day(hours, now)
    first = _hour(now) - A_DAY
    for hour in sorted(hours):
        if left < per_day:
            break
        if (begun := datetime.fromisoformat(hour)) >= first and hours[hour]:
            left -= hours[hour]
            now = begun + A_DAY + AN_HOUR
    return now


def _hour(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def key_ends_at(first_at: datetime, key_life: timedelta) -> datetime:
    """Return the last instant at which a mail may go again under the key that it first left with."""
    return first_at + key_life - KEY_MARGIN


def together(plans: Iterable[RelayPlan]) -> Limits:
    """Return what all relays take together; one without a limit takes whatever there is."""
    rates, caps = [], []
    for plan in plans:
        rates.append(plan.per_minute)
        caps.append(plan.per_day)
    return Limits(
        per_minute=None if None in rates or not rates else sum(rate for rate in rates if rate),
        per_day=None if None in caps or not caps else sum(cap for cap in caps if cap),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may leave now, and through which relay (None: nothing may).

    `avoid`: domains to which nothing may leave; `at_most`: mails to a domain in all; `at_once`: in one round.
    `next_at` is the next instant at which more may leave than now; None where nobody knows.  `skipped` are relays that
    came before this one and rest, or wait; `elsewhere` those of them that another worker uses.
    """

    relay: RelayPlan | None = None
    mails: int = 0
    avoid: frozenset[str] = frozenset()
    at_most: Mapping[str, int] = field(default_factory=dict)
    at_once: Mapping[str, int] = field(default_factory=dict)
    next_at: datetime | None = None
    is_calm: bool = True  # neither the relay nor any domain is in trouble
    skipped: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()


class Turns:
    """Whose turn it is, by weight and counted in mails: over time each relay that does not rest has its share.

    What a relay could not take while it rested is not made up for afterwards.
    """

    def __init__(self, plans: Sequence[RelayPlan]) -> None:
        self._weights = {plan.name: plan.weight for plan in plans}
        self._credit: dict[str, float] = {plan.name: plan.weight for plan in plans}

    def order(self) -> list[str]:
        return sorted(self._credit, key=lambda name: -self._credit[name])

    def took(self, name: str, mails: int, *, skipped: Iterable[str] = ()) -> None:
        """Take down that a relay has had so many mails, while those that were skipped could have none."""
        among = self._weights.keys() - set(skipped)
        total = sum(self._weights[one] for one in among)
        for one in among:
            self._credit[one] += mails * self._weights[one] / total
        self._credit[name] -= mails
