"""Whom a change touches: each client under contract whom it concerns, its terms, whom we tell by which channel, and
until when it may answer.

A change of the registry is told as what it needs to be told as: a new place as a move, say.  Of all that a client's
contract says of the changes that concern it, the strictest holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Session, col

from notifier.models import Announcement, Client, Contact, Terms
from notifier.models.client import terms_key
from notifier.rules.entries import SCOPE, Entry
from notifier.rules.kinds import OF_THE_REGISTRY, AnnouncementKind
from notifier.rules.periods import first_day_from, local_day, zone
from notifier.rules.registry_diff import LISTED, LISTING, TOLD, Change, ChangeKind, Need, from_json, needs
from notifier.rules.scope import EVERYBODYS, Reason, Scope, covers, is_limited, reason_of, seen, used_by
from notifier.rules.terms import BadPack, Channel, Pack, Reckoning, Rule
from notifier.services import clients, provider
from notifier.services.clients import Owed
from notifier.services.desk import Desk
from notifier.services.rows import handed_in

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One change of a subject, what it must be announced as, and as what to a client whose list it makes longer."""

    change: Change
    needs: tuple[Need, ...]
    arriving: tuple[Need, ...] = (TOLD,)

    def needs_of(self, shown: Change) -> tuple[Need, ...]:
        """Return as what the change must be announced to a client for whom it is `shown`."""
        if shown is self.change:
            return self.needs
        return self.arriving if shown.kind is ChangeKind.ADDED else (LISTED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What of a subject concerns some clients.  `changes`: as they do; None for all of it as announced.  `mark` names
    it among others.
    """

    needs: tuple[Need, ...]
    changes: tuple[Change, ...] | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a client's terms are asked about: the kind and aspect of a change, where it leads, and its day if known; of
    the registry, each of its changes.
    """

    kind: AnnouncementKind
    aspect: str = ""
    country: str = ""
    effective_on: date | None = None
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, announcement: Announcement) -> Subject:
        return cls(
            kind=announcement.kind,
            aspect=announcement.aspect,
            country=announcement.facts.get("country", ""),
            effective_on=announcement.effective_on,
            parts=_parts(announcement),
        )

    @classmethod
    def of_registry(
        cls,
        kind: AnnouncementKind,
        changes: Iterable[Change],
        base: Iterable[Entry],
        *,
        effective_on: date | None = None,
    ) -> Subject:
        """Return what changes of the registry are about; `base` is the list in force.

        A country is new to whoever uses nothing there yet, whatever others use.
        """
        standing: dict[Scope, set[str]] = {}
        for entry in base:
            standing.setdefault(used_by(entry), set()).update(entry.countries)
        parts = []
        for change in changes:
            known = (countries for users, countries in standing.items() if covers(users, used_by(change.entry)))
            listed = set().union(*known)
            parts.append(Part(change=change, needs=needs([change], listed), arriving=_arriving(change, listed)))
        only_listed = bool(parts) and all(part.needs == (LISTED,) for part in parts)
        aspect = LISTING if only_listed and kind is AnnouncementKind.SUBPROCESSOR else ""
        return cls(kind=kind, aspect=aspect, effective_on=effective_on, parts=tuple(parts))

    @property
    def changes(self) -> tuple[Change, ...]:
        return tuple(part.change for part in self.parts)

    def needs_as_json(self) -> list[dict[str, Any]]:
        """Return what is kept with the announcement, so that a later rule does not say otherwise."""
        return [
            {"needs": [asdict(one) for one in part.needs], "arriving": [asdict(one) for one in part.arriving]}
            for part in self.parts
        ]

    def seen_by(self, scope: Scope) -> Seen | None:
        """Return what of it concerns a client; None where nothing does."""
        if not self.parts:
            return Seen(needs=(Need(self.kind.value, self.aspect, self.country),))
        shown = [(number, part, one) for number, part in enumerate(self.parts, 1) if (one := seen(part.change, scope))]
        found = {need for _, part, one in shown for need in part.needs_of(one)}
        asked = tuple(sorted(found - {LISTED} or found))
        changes = tuple(one for _, _, one in shown)
        if changes == self.changes:
            return Seen(needs=asked)
        mark = ".".join(f"{number}{'' if one is part.change else one.kind.value}" for number, part, one in shown)
        return Seen(needs=asked, changes=changes, mark=f"#{mark}") if shown else None


def _parts(announcement: Announcement) -> tuple[Part, ...]:
    changes = [from_json(change) for change in announcement.changes]
    if len(announcement.needs) != len(changes):  # announced before what changes need was kept with them
        return tuple(Part(change=one, needs=(Need(TOLD.kind, announcement.aspect),)) for one in changes)
    return tuple(
        Part(change=change, needs=_read(kept["needs"]), arriving=_read(kept["arriving"]))
        for change, kept in zip(changes, announcement.needs, strict=True)
    )


def _read(kept: Iterable[Mapping[str, str]]) -> tuple[Need, ...]:
    return tuple(Need(**one) for one in kept)


def _arriving(change: Change, listed: Iterable[str]) -> tuple[Need, ...]:
    if change.after is None:
        return ()
    return needs([replace(change, kind=ChangeKind.ADDED, before=None, fields=())], listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What follows from one set of terms, for every client under them whom the same changes concern: the rule, the
    channel and the deadline.

    `earliest_effective_on` is the first day of the provider's zone on which the change may take effect.  `changes` are
    those that concern them, None for all as announced.
    """

    key: str
    pack: str
    rule: Rule
    channel: Channel
    reckoning: Reckoning
    earliest_effective_on: date
    changes: tuple[Change, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """One client that a change touches, and why."""

    owed: Owed
    told: Told
    addressed: tuple[Contact, ...]
    reason: Reason = EVERYBODYS

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
    """Counts what follows from each distinct set of terms and changes once."""

    def __init__(self, desk: Desk, subject: Subject, tz: ZoneInfo, now: datetime) -> None:
        self._desk = desk
        self._subject = subject
        self._tz = tz
        self._now = now
        self._is_limited = is_limited(subject.changes)
        self._seen: dict[Scope, Seen | None] = {}
        self._told: dict[tuple[str, str, bool], Told] = {}

    def seen(self, scope: Scope) -> Seen | None:
        """Return what concerns clients of this scope; None where nothing does."""
        scope = scope if self._is_limited else Scope()
        if scope not in self._seen:
            self._seen[scope] = self._subject.seen_by(scope)
        return self._seen[scope]

    def reason(self, scope: Scope) -> Reason:
        """Return why it concerns clients of this scope."""
        return (reason_of(self._subject.changes, scope) if self._is_limited else None) or EVERYBODYS

    def affected(self, owed: Owed) -> Affected | None:
        """Return a client under contract as one that the subject touches; None where it does not."""
        scope = owed.client.scope
        seen_here = self.seen(scope)
        if seen_here is None:
            return None
        terms = owed.terms
        told = self.told(terms.key, terms.pack, terms.overrides, seen_here, by_mail=owed.client.email_accepted)
        addressed = owed.addressed(told.rule.roles)
        return Affected(owed=owed, told=told, addressed=addressed, reason=self.reason(scope))

    def told(
        self, key: str, pack: str, overrides: Mapping[str, Mapping[str, object]], seen: Seen, *, by_mail: bool
    ) -> Told:
        """Return what clients under these terms are told; `by_mail`: whether they accept mail at all."""
        known = self._told.get((key, seen.mark, by_mail))
        if known is None:
            known = self._count(key, pack, overrides, seen, by_mail=by_mail)
            self._told[key, seen.mark, by_mail] = known
        return known

    def _count(
        self, key: str, pack: str, overrides: Mapping[str, Mapping[str, object]], seen: Seen, *, by_mail: bool
    ) -> Told:
        """Count by every rule that applies, and keep the strictest: a consent before all, then what comes latest."""
        rules = rules_under(self._desk, pack, overrides, self._subject.kind, seen.needs)
        told = [self._told_by(rule, key, pack, seen, by_mail=by_mail) for rule in rules]
        return max(told, key=lambda one: (one.rule.asks_consent, one.earliest_effective_on, one.reckoning.until))

    def _told_by(self, rule: Rule, key: str, pack: str, seen: Seen, *, by_mail: bool) -> Told:
        channel = channel_of(rule, by_mail=by_mail)
        reckoning = rule.promise(self._now, effective_on=self._subject.effective_on, channel=channel)
        return Told(
            key=f"{key}{'' if channel is Channel.MAIL else f'@{channel}'}{seen.mark}",
            pack=pack,
            rule=rule,
            channel=channel,
            reckoning=reckoning,
            earliest_effective_on=self._earliest(rule, reckoning),
            changes=seen.changes,
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


class Reach:
    """Every client under contract today whom a subject concerns, for as many as there are: the database counts them by
    their terms and scopes, what these say is counted once, and no client is read.
    """

    def __init__(self, session: Session, desk: Desk, subject: Subject, *, now: datetime) -> None:
        tz = zone(provider.get(session).timezone)
        self._counter = Counter(desk, subject, tz, now)
        self._by = _alike(subject)
        self._held = _held(local_day(now, tz))
        self._told: dict[tuple[Any, ...], Told | None] = {}
        self.clients = 0
        counted = sa.select(sa.func.count(), *self._by).select_from(self._held).group_by(*self._by)
        for number, *alike in session.execute(counted):
            told = self._told[tuple(alike)] = self._of(*alike)
            self.clients += number if told else 0

    @property
    def told(self) -> dict[str, Told]:
        """What clients are told, by the name of the terms and of the changes that concern them."""
        return {told.key: told for told in self._told.values() if told}

    def reached(self, session: Session, sealed: Mapping[str, UUID]) -> sa.Select[Any]:
        """Return a query for what a notice to each of these clients is raised from: `client_id`, `terms_id`,
        `sealed_id`, `channel`, and `is_reachable` (as Affected's).  `sealed` names the rows by what is told.
        """
        every = {told.rule.roles: number for number, told in enumerate(self.told.values())}
        names = [f"alike_{number}" for number in range(len(self._by))]
        rows = [
            dict(zip(names, alike, strict=True))
            | {"sealed_id": sealed[told.key], "channel": told.channel, "roles": every[told.rule.roles]}
            for alike, told in self._told.items()
            if told
        ]
        kinds = dict(zip(names, (one.type for one in self._by), strict=True))
        columns = {**kinds, "sealed_id": sa.Uuid(), "channel": sa.Text(), "roles": sa.Integer()}
        # Read once: SQLite would take the JSON apart anew for every client.
        told = sa.select(handed_in(session, columns, rows)).cte("told").prefix_with("MATERIALIZED")
        has_reader = sa.case({number: _somebody(roles) for roles, number in every.items()}, value=told.c.roles)
        has_street = sa.and_(col(Client.address) != "", col(Client.town) != "")
        is_reachable = sa.case((told.c.channel == Channel.MAIL, has_reader), else_=has_street)
        alike = sa.and_(*(one == told.c[name] for one, name in zip(self._by, names, strict=True)))
        return sa.select(
            col(Client.id).label("client_id"),
            col(Terms.id).label("terms_id"),
            told.c.sealed_id,
            told.c.channel,
            is_reachable.label("is_reachable"),
        ).select_from(self._held.join(told, alike))

    def _of(self, pack: str, overrides: str, by_mail: bool, *scope: str) -> Told | None:  # noqa: FBT001 - a row's columns
        stated = [tuple(json.loads(one)) for one in scope]
        seen_here = self._counter.seen(Scope(**dict(zip(SCOPE, stated, strict=False))))
        own = json.loads(overrides)
        return self._counter.told(terms_key(pack, own), pack, own, seen_here, by_mail=by_mail) if seen_here else None


def _alike(subject: Subject) -> tuple[Any, ...]:
    """Return the columns that say, together, what a client is told: of the scope only where it makes a difference."""
    scope = SCOPE if is_limited(subject.changes) else ()
    written = [sa.cast(col(one), sa.Text) for one in (Terms.overrides, *(getattr(Client, name) for name in scope))]
    return (col(Terms.pack), written[0], col(Client.email_accepted), *written[1:])


def _held(on: date) -> sa.FromClause:
    """Return clients with the terms that they are under on a day."""
    signed = clients.under_contract(on)
    dated = sa.and_(col(Terms.client_id) == signed.c.client_id, col(Terms.signed_on) == signed.c.signed_on)
    return signed.join(Client, col(Client.id) == signed.c.client_id).join(Terms, dated)


def _somebody(roles: Sequence[str]) -> sa.ColumnElement[bool]:
    """Say whether a client has a contact in one of these roles."""
    of_client = sa.and_(col(Contact.client_id) == Client.id, col(Contact.left_at).is_(None))
    return sa.select(col(Contact.id)).where(of_client, col(Contact.role).in_(roles)).correlate(Client).exists()


def affected(session: Session, desk: Desk, subject: Subject, *, now: datetime) -> tuple[Affected, ...]:
    """Return every client under contract today whom this subject concerns, with what its terms say of it."""
    tz = zone(provider.get(session).timezone)
    counter = Counter(desk, subject, tz, now)
    found = map(counter.affected, clients.owed(session, local_day(now, tz)))
    return tuple(one for one in found if one)


def rules_under(
    desk: Desk,
    pack: str,
    overrides: Mapping[str, Mapping[str, object]],
    kind: AnnouncementKind,
    asked: Sequence[Need],
) -> tuple[Rule, ...]:
    """Return what a contract pack, with a client's own terms, says of all that a subject must be announced as, the rule
    for its kind first; BadPack where it cannot be used.

    Where the pack does not speak of one, the rule for the kind holds for it.
    """
    contract = pack_of(desk, pack)
    if kind not in OF_THE_REGISTRY:
        return tuple(contract.rule_for(kind, _aspect(contract, need), overrides) for need in asked)
    is_listing = kind is AnnouncementKind.SUBPROCESSOR and set(asked) <= {LISTED}
    rules = [contract.rule_for(kind, LISTING if is_listing else "", overrides)]
    for need in asked:
        aspect = _aspect(contract, need)
        if need not in {LISTED, TOLD} and contract.speaks_of(need.kind, aspect):
            rules.append(contract.rule_for(need.kind, aspect, overrides))
    return tuple(rules)


def _aspect(contract: Pack, need: Need) -> str:
    is_place = need.kind == AnnouncementKind.LOCATION
    return contract.aspect_of_place(need.country, need.aspect) if is_place else need.aspect


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
