"""Whom a change touches: each client under contract, its terms, whom we tell by which channel, and until when it may
answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from notifier.models import Announcement, Client, Contact, Terms
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.periods import first_day_from, local_day, zone
from notifier.rules.terms import BadPack, Channel, Pack, Reckoning, Rule
from notifier.services import clients, provider
from notifier.services.clients import Owed
from notifier.services.desk import Desk

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a client's terms are asked about: the kind and aspect of a change, where it leads, and its day if known."""

    kind: AnnouncementKind
    aspect: str = ""
    country: str = ""
    effective_on: date | None = None

    @classmethod
    def of(cls, announcement: Announcement) -> Subject:
        return cls(
            kind=announcement.kind,
            aspect=announcement.aspect,
            country=announcement.facts.get("country", ""),
            effective_on=announcement.effective_on,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What follows from one set of terms, for every client under them: the rule, the channel and the deadline.

    `earliest_effective_on` is the first day of the provider's zone on which the change may take effect.
    """

    key: str
    pack: str
    rule: Rule
    channel: Channel
    reckoning: Reckoning
    earliest_effective_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """One client that a change touches."""

    owed: Owed
    told: Told
    addressed: tuple[Contact, ...]

    @property
    def client(self) -> Client:
        return self.owed.client

    @property
    def rule(self) -> Rule:
        return self.told.rule

    @property
    def reckoning(self) -> Reckoning:
        return self.told.reckoning

    @property
    def channel(self) -> Channel:
        return self.told.channel

    @property
    def terms_key(self) -> str:
        return self.told.key

    @property
    def earliest_effective_on(self) -> date:
        return self.told.earliest_effective_on

    @property
    def is_reachable(self) -> bool:
        """Say whether there is anybody to write to: an address for a mail, a street for a letter."""
        return bool(self.addressed) if self.channel is Channel.MAIL else bool(self.client.address and self.client.town)


class Counter:
    """Counts what follows from each distinct set of terms once."""

    def __init__(self, desk: Desk, subject: Subject, tz: ZoneInfo, now: datetime) -> None:
        self._desk = desk
        self._subject = subject
        self._tz = tz
        self._now = now
        self._told: dict[tuple[str, bool], Told] = {}

    def told(self, terms: Terms, *, by_mail: bool) -> Told:
        """Return what clients under these terms are told; `by_mail`: whether they accept mail at all."""
        return self.told_under(terms.key, terms.pack, terms.overrides, by_mail=by_mail)

    def told_under(self, key: str, pack: str, overrides: Mapping[str, Mapping[str, object]], *, by_mail: bool) -> Told:
        known = self._told.get((key, by_mail))
        return known or self._told.setdefault((key, by_mail), self._count(key, pack, overrides, by_mail=by_mail))

    def _count(self, key: str, pack: str, overrides: Mapping[str, Mapping[str, object]], *, by_mail: bool) -> Told:
        subject = self._subject
        rule = rule_under(self._desk, pack, overrides, subject)
        channel = channel_of(rule, by_mail=by_mail)
        reckoning = rule.promise(self._now, effective_on=subject.effective_on, channel=channel)
        return Told(
            key=key if channel is Channel.MAIL else f"{key}@{channel}",
            pack=pack,
            rule=rule,
            channel=channel,
            reckoning=reckoning,
            earliest_effective_on=self._earliest(rule, reckoning),
        )

    def _earliest(self, rule: Rule, reckoning: Reckoning) -> date:
        """Later than the last day waited for, and beginning after its end also where the provider's day begins
        sooner.
        """
        if rule.counts_back:
            return rule.earliest_effective_on(self._now)
        if not (rule.runs and rule.waits):
            return local_day(self._now, self._tz)
        return max(first_day_from(reckoning.opens_at, self._tz), reckoning.last_day_of_waiting + ONE_DAY)


def affected(session: Session, desk: Desk, subject: Subject, *, now: datetime) -> tuple[Affected, ...]:
    """Return every client under contract today, with what its terms say of this subject."""
    tz = zone(provider.get(session).timezone)
    counter = Counter(desk, subject, tz, now)
    found = []
    for owed in clients.owed(session, local_day(now, tz)):
        told = counter.told(owed.terms, by_mail=owed.client.email_accepted)
        found.append(Affected(owed=owed, told=told, addressed=owed.addressed(told.rule.roles)))
    return tuple(found)


def rule_under(desk: Desk, pack: str, overrides: Mapping[str, Mapping[str, object]], subject: Subject) -> Rule:
    """Return what a contract pack, with a client's own terms, says of a subject; BadPack where it cannot be used."""
    contract = pack_of(desk, pack)
    aspect = subject.aspect
    if subject.kind is AnnouncementKind.LOCATION:
        aspect = contract.aspect_of_place(subject.country, aspect)
    return contract.rule_for(subject.kind, aspect, overrides)


def pack_of(desk: Desk, name: str) -> Pack:
    try:
        return desk.packs[name]
    except KeyError:
        raise BadPack(
            f"clients are under the contract pack {name}, which is not in the folder of contracts: put it back"
        ) from None


def channel_of(rule: Rule, *, by_mail: bool) -> Channel:
    """Return by what a client is told with effect: mail only where both the contract and the client take it."""
    if by_mail and Channel.MAIL in rule.channels:
        return Channel.MAIL
    return next((channel for channel in rule.channels if channel is not Channel.MAIL), Channel.PAPER)
