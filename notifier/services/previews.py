"""What publishing would do: whom it touches, until when each may answer, and what to think of before.

Distinct terms are counted once, and the clients under them by the database: a hundred thousand clients cost little more
than forty.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Announcement, AnnouncementKind, Client, Contact, Terms
from notifier.models.client import terms_key
from notifier.rules.entries import SCOPE
from notifier.rules.periods import local_day, zone
from notifier.rules.registry_diff import Change, meaning
from notifier.rules.scope import Reason, Scope, is_limited
from notifier.rules.terms import Channel
from notifier.services import clients, provider, registry, timeline
from notifier.services.affected import Affected, Counter, Seen, Subject, Told
from notifier.services.desk import Desk

PAGE = 200  # clients shown at once
SHORT_DAYS = 15  # a period below is lawful and leaves little time to think
MOVED = frozenset({"rolled", "skipped", "moved_back", "extended", "cleared"})


class Concern(StrEnum):
    """Something to think of before publishing."""

    UNREACHABLE = "unreachable"  # nobody can be written to at these clients
    ON_PAPER = "on_paper"  # these are told by registered letter, which takes its time
    UNCONFIRMED = "unconfirmed"  # defaults of ours stand in for what the contract leaves open
    OWN_TERMS = "own_terms"
    HOLIDAYS = "holidays"  # the last day was moved, or days were left out
    SHORT = "short"  # less than SHORT_DAYS to answer
    CASCADE = "cascade"  # processors above us have too little time to tell their own clients
    NO_SERVICES = "no_services"  # no services stated, so every change is taken to concern them
    UNKNOWN_SERVICES = "unknown_services"  # not concerned, and has what no entry names: misspelt, perhaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A concern, for how many clients it holds, and what it is about: fields of a rule, or days."""

    concern: Concern
    clients: int
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The clients under one set of terms, told by one channel.  `acknowledged_on`: the earliest effective day if each
    confirmed receipt today.
    """

    told: Told
    acknowledged_on: date
    clients: int
    resellers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """Why what changes concerns some of the clients, and how many."""

    reason: Reason
    clients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What publishing now would do.

    `affected` holds one page of clients, by key; the numbers are of all.  `latest_sending_at` is the last lawful
    instant for what must be told a whole period before the day that is written.  Where a change is of an entry that not
    all use, `reasons` says why it concerns whom, and `unconcerned` how many clients it does not.
    """

    changes: tuple[Change, ...]
    groups: tuple[Group, ...]
    affected: tuple[Affected, ...]
    unreachable: tuple[Affected, ...]
    clients: int
    addresses: int  # mails: one per address and language
    warnings: tuple[Warned, ...]
    effective_on: date | None
    reasons: tuple[Because, ...] = ()
    unconcerned: int = 0

    @property
    def earliest_effective_on(self) -> date | None:
        """The first lawful day if every notice is received as presumed."""
        return max((one.told.earliest_effective_on for one in self.groups), default=None)

    @property
    def earliest_acknowledged_on(self) -> date | None:
        """The first lawful day if every client confirmed receipt today."""
        return max((one.acknowledged_on for one in self.groups), default=None)

    @property
    def slowest(self) -> Group | None:
        """The terms for which everybody waits longest."""
        return max(self.groups, key=lambda one: one.told.earliest_effective_on, default=None)

    @property
    def latest_sending_at(self) -> datetime | None:
        back = [one.told.rule for one in self.groups if one.told.rule.counts_back]
        on = self.effective_on
        return min((rule.latest_sending_at(on) for rule in back), default=None) if on else None


@dataclass(frozen=True, slots=True)
class _Terms:
    """One distinct set of terms, as the database groups clients by it."""

    pack: str
    overrides: str  # JSON
    by_mail: bool
    mark: str  # of the changes that concern the clients
    told: Told


@dataclass(frozen=True, slots=True)
class _Scoped:
    """One distinct scope of clients under contract, as the database groups them by it, and what concerns them."""

    written: tuple[str, str, str]  # JSON of services, regions and options
    scope: Scope
    clients: int
    seen: Seen | None


def preview(
    session: Session,
    desk: Desk,
    *,
    now: datetime,
    announcement: Announcement | None = None,
    kind: AnnouncementKind = AnnouncementKind.SUBPROCESSOR,
    effective_on: date | None = None,
    after: int = 0,
    limit: int = PAGE,
) -> Preview:
    """Compute what publishing would do now: the draft of the registry, or an announcement that has been written.

    Clients are shown by pages: `after` that many, `limit` at once.
    """
    subject = Subject.of(announcement) if announcement else _of_draft(session, kind, effective_on, now=now)
    tz = zone(provider.get(session).timezone)
    today = local_day(now, tz)
    counter = Counter(desk, subject, tz, now)
    scoped = _scoped(session, today, counter) if is_limited(subject.changes) else []
    held = _held(today, scoped)
    distinct = _distinct(session, held, counter, _by_mark(counter, scoped))
    groups = tuple(
        Group(told=terms.told, acknowledged_on=_acknowledged(terms.told, now), clients=count, resellers=resellers)
        for terms, count, resellers in distinct
    )
    terms = [one for one, _, _ in distinct]
    unreachable, missed = _unreachable(session, held, terms, counter)
    return Preview(
        changes=subject.changes,
        groups=groups,
        affected=_page(session, held, counter, sa.true(), after=after, limit=limit),
        unreachable=unreachable,
        clients=sum(one.clients for one in groups),
        addresses=_addresses(session, held, terms),
        warnings=(
            *_unheard_of(session, subject.changes, scoped),
            *_warnings(groups, missed, _saying_nothing(counter, scoped), subject.effective_on),
        ),
        effective_on=subject.effective_on,
        reasons=_reasons(counter, scoped),
        unconcerned=sum(one.clients for one in scoped if one.seen is None),
    )


def _of_draft(session: Session, kind: AnnouncementKind, effective_on: date | None, *, now: datetime) -> Subject:
    base = timeline.in_force(session, now)
    return Subject.of_registry(kind, registry.draft_changes(session), base, effective_on=effective_on)


def _acknowledged(told: Told, now: datetime) -> date:
    return told.rule.earliest_effective_on(now, acknowledged_on=told.rule.day_of(now))


def _written_scope() -> tuple[Any, Any, Any]:
    """Return a client's services, regions and options as the database compares them."""
    return tuple(sa.cast(col(one), sa.Text) for one in (Client.services, Client.regions, Client.options))  # type: ignore[return-value] # three of them


def _scoped(session: Session, today: date, counter: Counter) -> list[_Scoped]:
    """Return each distinct scope of the clients under contract, with what of the subject concerns them."""
    signed, written = clients.under_contract(today), _written_scope()
    query = sa.select(*written, sa.func.count()).select_from(signed.join(Client, col(Client.id) == signed.c.client_id))
    found = []
    for services, regions, options, number in session.execute(query.group_by(*written).order_by(*written)):
        stated = [tuple(json.loads(one)) for one in (services, regions, options)]
        scope = Scope(services=stated[0], regions=stated[1], options=stated[2])
        found.append(_Scoped((services, regions, options), scope, number, counter.seen(scope)))
    return found


def _by_mark(counter: Counter, scoped: Sequence[_Scoped]) -> dict[str, Seen]:
    """Return what concerns clients, by the mark that `held` gives them."""
    everything = counter.seen(Scope())
    marked = [one.seen for one in scoped if one.seen] or ([everything] if everything else [])
    return {one.mark: one for one in marked}


def _held(today: date, scoped: Sequence[_Scoped]) -> Any:  # noqa: ANN401 - a subquery
    """Return the terms that each client whom the subject concerns is under on a day, and the mark of what does."""
    signed = clients.under_contract(today)
    overrides = sa.cast(col(Terms.overrides), sa.Text).label("overrides")
    of_client = signed.join(Client, col(Client.id) == signed.c.client_id)
    dated = sa.and_(col(Terms.client_id) == signed.c.client_id, col(Terms.signed_on) == signed.c.signed_on)
    mark = _mark(scoped)
    return (
        sa.select(
            col(Client.id).label("client_id"),
            col(Client.email_accepted),
            col(Client.reseller),
            col(Terms.id).label("terms_id"),
            col(Terms.pack),
            overrides,
            mark.label("mark"),
        )
        .select_from(of_client.join(Terms, dated))
        .where(mark.is_not(None))
        .subquery()
    )


def _mark(scoped: Sequence[_Scoped]) -> sa.ColumnElement[str | None]:
    """Return the mark of what concerns a client, by its scope; NULL where nothing does."""
    if not scoped:
        return sa.literal("", sa.Text)
    by_mark: dict[str, list[str]] = {}
    for one in scoped:
        if one.seen:
            by_mark.setdefault(one.seen.mark, []).append("".join(one.written))
    services, regions, options = _written_scope()
    written = services + regions + options  # arrays of JSON, side by side: no two scopes are written alike
    cases = [(written.in_(some), sa.literal(mark, sa.Text)) for mark, some in by_mark.items()]
    return sa.case(*cases, else_=sa.null()) if cases else sa.cast(sa.null(), sa.Text)


def _reasons(counter: Counter, scoped: Sequence[_Scoped]) -> tuple[Because, ...]:
    """Return why the subject concerns whom, the most frequent reason first."""
    numbers: dict[Reason, int] = {}
    for one in scoped:
        if one.seen:
            reason = counter.reason(one.scope)
            numbers[reason] = numbers.get(reason, 0) + one.clients
    by_number = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(Because(reason=reason, clients=number) for reason, number in by_number)


def _saying_nothing(counter: Counter, scoped: Sequence[_Scoped]) -> int:
    """Count the clients whom it concerns because they have not said which services they use."""
    return sum(one.clients for one in scoped if one.seen and "services" in counter.reason(one.scope).unstated)


def _distinct(
    session: Session,
    held: Any,  # noqa: ANN401 - as _held
    counter: Counter,
    seen: Mapping[str, Seen],
) -> list[tuple[_Terms, int, int]]:
    """Return each distinct set of terms with the numbers of its clients and of those who are processors above us."""
    by = (held.c.pack, held.c.overrides, held.c.email_accepted, held.c.mark)
    resellers = sa.func.sum(sa.case((held.c.reseller, 1), else_=0))
    counted = session.execute(sa.select(*by, sa.func.count(), resellers).group_by(*by).order_by(*by))
    found = []
    for pack, overrides, by_mail, mark, number, above_us in counted:
        own = json.loads(overrides)
        told = counter.told(terms_key(pack, own), pack, own, seen[mark], by_mail=by_mail)
        found.append((_Terms(pack, overrides, by_mail, mark, told), number, above_us))
    return found


def _of(held: Any, terms: Iterable[_Terms]) -> sa.ColumnElement[bool]:  # noqa: ANN401 - as _held
    """Say that a client is under one of these terms."""
    keys = [(one.pack, one.overrides, one.by_mail, one.mark) for one in terms]
    by = sa.tuple_(held.c.pack, held.c.overrides, held.c.email_accepted, held.c.mark)
    return by.in_(keys) if keys else sa.false()


def _by_roles(terms: Iterable[_Terms]) -> dict[tuple[str, ...], list[_Terms]]:
    grouped: dict[tuple[str, ...], list[_Terms]] = {}
    for one in terms:
        grouped.setdefault(one.told.rule.roles, []).append(one)
    return grouped


def _written_to(held: Any, terms: Iterable[_Terms]) -> sa.ColumnElement[bool]:  # noqa: ANN401 - as _held
    """Say that a contact is in a role that its client's terms have told."""
    return sa.or_(
        sa.false(),
        *(sa.and_(_of(held, some), col(Contact.role).in_(roles)) for roles, some in _by_roles(terms).items()),
    )


def _addresses(session: Session, held: Any, terms: Sequence[_Terms]) -> int:  # noqa: ANN401 - as _held
    """Count as `Owed.addressed` chooses: an address that a client names several times is written to once, in the first
    one's language; one that is told for several clients, once for each set of changes.
    """
    email = sa.func.lower(col(Contact.email))
    of_client = sa.func.row_number().over(partition_by=(col(Contact.client_id), email), order_by=col(Contact.id))
    chosen = (
        sa.select(email.label("email"), col(Contact.language).label("language"), held.c.mark, of_client.label("place"))
        .select_from(held.join(Contact, col(Contact.client_id) == held.c.client_id))
        .where(col(Contact.left_at).is_(None), _written_to(held, terms))
        .subquery()
    )
    told = sa.select(chosen.c.email, chosen.c.language, chosen.c.mark).where(chosen.c.place == 1).distinct().subquery()
    number: int = session.execute(sa.select(sa.func.count()).select_from(told)).scalar_one()
    return number


def _unreachable(
    session: Session,
    held: Any,  # noqa: ANN401 - as _held
    terms: Sequence[_Terms],
    counter: Counter,
) -> tuple[tuple[Affected, ...], int]:
    """Return one page of the clients at whom nobody can be written to, and how many they are."""
    by_mail = [one for one in terms if one.told.channel is Channel.MAIL]
    by_letter = [one for one in terms if one.told.channel is not Channel.MAIL]
    anybody = (
        sa.select(col(Contact.id))
        .where(col(Contact.client_id) == held.c.client_id, col(Contact.left_at).is_(None), _written_to(held, terms))
        .exists()
    )
    nowhere = sa.or_(col(Client.address) == "", col(Client.town) == "")
    missed = sa.or_(sa.and_(_of(held, by_mail), ~anybody), sa.and_(_of(held, by_letter), nowhere))
    counted = sa.select(sa.func.count()).select_from(held.join(Client, col(Client.id) == held.c.client_id))
    number = session.execute(counted.where(missed)).scalar_one()
    return (_page(session, held, counter, missed, after=0, limit=PAGE) if number else ()), number


def _page(
    session: Session,
    held: Any,  # noqa: ANN401 - as _held
    counter: Counter,
    which: sa.ColumnElement[bool],
    *,
    after: int,
    limit: int,
) -> tuple[Affected, ...]:
    query = (
        select(Client, Terms)
        .join(held, held.c.client_id == Client.id)
        .join(Terms, col(Terms.id) == held.c.terms_id)
        .where(which)
        .order_by(col(Client.key))
        .offset(after)
        .limit(limit)
    )
    found = session.exec(query).all()
    contacts = clients.contacts_of(session, [client.id for client, _ in found])
    owed = (clients.Owed(client, terms, tuple(contacts[client.id])) for client, terms in found)
    return tuple(one for one in map(counter.affected, owed) if one)


def _unheard_of(session: Session, changes: Sequence[Change], scoped: Sequence[_Scoped]) -> Iterable[Warned]:
    """Warn of clients that are not told, and have services, regions or options of which no entry knows anything."""
    if all(one.seen for one in scoped):
        return
    sides = (side for change in changes for side in (change.before, change.after) if side)
    entries = [*registry.entries(session, registry.published(session)), *sides]
    known = {
        dimension: {meaning(word) for entry in entries for word in getattr(entry, dimension)} for dimension in SCOPE
    }
    found = [
        (one.clients, words)
        for one in scoped
        if one.seen is None
        and (words := [word for name in SCOPE for word in _strange(getattr(one.scope, name), known[name])])
    ]
    if found:
        named = tuple(sorted({word for _, words in found for word in words}))
        yield Warned(concern=Concern.UNKNOWN_SERVICES, clients=sum(number for number, _ in found), details=named)


def _strange(stated: Sequence[str], known: Collection[str]) -> Sequence[str]:
    """Return what is stated in a dimension where nothing of it is known, though others are."""
    return stated if known and not any(meaning(word) in known for word in stated) else ()


def _warnings(
    groups: Sequence[Group], unreachable: int, saying_nothing: int, effective_on: date | None
) -> Iterable[Warned]:
    if unreachable:
        yield Warned(concern=Concern.UNREACHABLE, clients=unreachable)
    if saying_nothing:
        yield Warned(concern=Concern.NO_SERVICES, clients=saying_nothing)
    for concern, holds, details in _CONCERNS:
        meant = [one for one in groups if holds(one)]
        if meant:
            named = sorted({detail for one in meant for detail in details(one)})
            yield Warned(concern=concern, clients=sum(one.clients for one in meant), details=tuple(named))
    hurried = [one for one in groups if one.resellers and _is_too_short_to_forward(one, effective_on)]
    if hurried:
        yield Warned(concern=Concern.CASCADE, clients=sum(one.resellers for one in hurried))


def _is_too_short_to_forward(group: Group, effective_on: date | None) -> bool:
    """Say whether a processor above us that takes the time its contract gives it comes too late for its own clients."""
    rule, told = group.told.rule, group.told
    last_day = rule.last_day_to_forward(effective_on or told.earliest_effective_on)
    return last_day is not None and last_day < told.reckoning.received_on + timedelta(days=rule.forward_days)


def _moved_days(group: Group) -> list[str]:
    return [step.day.isoformat() for step in group.told.reckoning.steps if step.did in MOVED]


def _is_short(group: Group) -> bool:
    rule, reckoning = group.told.rule, group.told.reckoning
    return rule.runs and rule.may_object and (reckoning.last_day - reckoning.received_on).days < SHORT_DAYS


def _nothing(_group: Group) -> Sequence[str]:
    return ()


_CONCERNS = (
    (Concern.ON_PAPER, lambda one: one.told.channel is not Channel.MAIL, _nothing),
    (Concern.UNCONFIRMED, lambda one: bool(one.told.rule.unconfirmed), lambda one: one.told.rule.unconfirmed),
    (Concern.OWN_TERMS, lambda one: bool(one.told.rule.overridden), lambda one: one.told.rule.overridden),
    (Concern.HOLIDAYS, lambda one: bool(_moved_days(one)), _moved_days),
    (Concern.SHORT, _is_short, _nothing),
)
