"""What relays and domains are asked to take, over all workers and machines: allowances, rests, and what a person must
mend.

The state stands in the database (decision 20).  Instants are the database's own, since all workers share them.  Locks
are taken in one order: the relay, its domains by name, then deliveries.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import sqlalchemy as sa
import structlog
from sqlmodel import Session, col, select

from notifier.adapters.sending import Blame, Mail, Outcome, Verdict
from notifier.models import DomainState, EventKind, ItemKind, RelayState
from notifier.rules.delivery_states import retry_after
from notifier.rules.limits import (
    IN_A_ROW,
    Allowance,
    Bucket,
    DomainPlan,
    RelayPlan,
    burst_of,
    counted,
    domain_of,
    room_at,
    within_a_day,
)
from notifier.services import doorbell, events, items
from notifier.services.desk import Desk
from notifier.services.rows import insert_new

log = structlog.get_logger()

MACHINE = "notifier"
TRIAL = timedelta(seconds=30)  # for the answer to the first mail after a rest; a worker that dies over it costs no more
USE = timedelta(minutes=2)  # without a claim, a relay that is for one worker at a time is anybody's
FORGOTTEN_AFTER = timedelta(hours=1)  # that a domain put mails off, and nothing of it since
LATER = 4  # first digit of a reply code: not now
PLENTY = 1_000_000  # mails: no limit
NO_LIMIT = DomainPlan()
_DOMAINS = select(DomainState).execution_options(populate_existing=True)


class UnknownRelay(LookupError):
    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no relay is called {name}: the settings name {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How one relay is.  `why` is the relay's own last word while it is in trouble; `mails` were handed to it within a
    day.
    """

    name: str
    rests_until: datetime | None
    needs_mending: bool
    why: str
    mails: int
    per_minute: float | None
    per_day: int | None


class _Room(NamedTuple):
    """How many mails a relay may have, or when it may have one.  `is_trial`: the first one after a rest."""

    mails: int
    next_at: datetime | None = None
    is_elsewhere: bool = False
    is_trial: bool = False


# --- before mails leave ----------------------------------------------------------------------------------------------


def allow(session: Session, desk: Desk, wanted: Mapping[str, int], *, worker: str, now: datetime) -> Allowance:
    """Return what may leave now, through the first of these relays that takes anything.

    `wanted` says how many mails each could be given at once, in the order of their turns.  What is then claimed is to
    be taken down with `take` in the same transaction; what is not was never used up.
    """
    next_at: datetime | None = None
    skipped: set[str] = set()
    elsewhere: set[str] = set()
    for name, mails in wanted.items():
        plan = plan_of(desk, name)
        room = _room(session.get(RelayState, name, populate_existing=True), plan, worker, now)
        if room.mails and (plan.is_limited or desk.mail_domains or room.is_trial):
            room = _room(_locked(session, name), plan, worker, now)
        if room.mails:
            found = _with_domains(session, desk, plan, min(mails, room.mails), now)
            is_calm = found.is_calm and not room.is_trial
            return replace(found, is_calm=is_calm, skipped=frozenset(skipped), elsewhere=frozenset(elsewhere))
        skipped.add(name)
        elsewhere |= {name} if room.is_elsewhere else set()
        next_at = _sooner(next_at, room.next_at)
    return Allowance(next_at=next_at, skipped=frozenset(skipped), elsewhere=frozenset(elsewhere))


def take(
    session: Session, desk: Desk, allowance: Allowance, mails: Sequence[Mail], *, worker: str, now: datetime
) -> None:
    """Take down what has been claimed of an allowance."""
    plan = allowance.relay
    if plan is None or not mails:
        return
    state = _locked(session, plan.name)
    _count(state, plan, len(mails), now)
    if state.failures:
        state.rests_until = now + TRIAL  # this one first; its outcome says how it goes on
    if plan.is_for_one:
        state.used_by, state.used_until = worker, now + USE
    for domain, number in sorted(Counter(domain_of(mail.recipient) for mail in mails).items()):
        _count_domain(session, desk, domain, number, now)
    session.flush()


def give_back(session: Session, desk: Desk, allowance: Allowance, mails: Sequence[Mail], *, now: datetime) -> None:
    """Undo `take` for mails that no session has carried."""
    plan = allowance.relay
    if plan is None or not mails:
        return
    state = _locked(session, plan.name)
    _count(state, plan, -len(mails), now)
    if state.failures and allowance.mails == 1 and not allowance.is_calm:
        state.rests_until = None  # the trial was not made; a rest that began in this batch stays
    for domain, number in sorted(Counter(domain_of(mail.recipient) for mail in mails).items()):
        _count_domain(session, desk, domain, -number, now)
    session.flush()


# --- after they have left --------------------------------------------------------------------------------------------


def note(session: Session, desk: Desk, allowance: Allowance, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """Take down how a round went: who rests from now on, and who is well again."""
    if is_smooth(allowance, outcomes) or (plan := allowance.relay) is None:
        return
    blamed = [one for one in outcomes if one.blame is not Blame.NONE]
    put_off = Counter(one.domain for one in outcomes if _is_put_off(one))
    state = _locked(session, plan.name)
    _count(state, plan, -len(blamed), now)
    if answers(outcomes):
        _recovered(session, state, now)
    elif blamed:
        _rest(session, desk, state, blamed[0], now)
    heard = {one.domain for one in outcomes if one.verdict in {Verdict.ACCEPTED, Verdict.REFUSED}}
    _note_domains(session, desk, {one: put_off[one] for one in put_off.keys() - heard}, heard, now)
    session.flush()


def is_smooth(allowance: Allowance, outcomes: Sequence[Outcome]) -> bool:
    """Say whether there is nothing to note: nobody was in trouble, and nothing was put off."""
    if allowance.relay is None:
        return True
    return allowance.is_calm and not any(one.blame is not Blame.NONE or _is_put_off(one) for one in outcomes)


def answers(outcomes: Iterable[Outcome]) -> bool:
    """Say whether the relay has said anything about a mail: then it is there, whatever else it did."""
    return any(one.blame is Blame.NONE and one.code for one in outcomes)


def wake(session: Session, desk: Desk, name: str) -> None:
    """Let a relay that rests be tried again at once: somebody has mended what it asked for.  Raises UnknownRelay."""
    plan_of(desk, name)
    _locked(session, name).rests_until = None
    session.flush()
    doorbell.ring(session, doorbell.Bell.OUTBOX)


def forget(session: Session, desk: Desk, *, now: datetime) -> None:
    """Drop what is known of domains to which nothing has been put off lately."""
    old = sa.delete(DomainState).where(
        col(DomainState.domain).not_in(desk.mail_domains),
        sa.func.coalesce(col(DomainState.rests_until), now) <= now,
        col(DomainState.put_off_at) < now - FORGOTTEN_AFTER,
    )
    session.execute(old.execution_options(synchronize_session=False))


# --- how they are ----------------------------------------------------------------------------------------------------


def health(session: Session, desk: Desk, *, now: datetime) -> list[Health]:
    """Return how each relay of the settings is, in their order."""
    known = {state.name: state for state in session.exec(select(RelayState))}
    return [_health(known.get(plan.name) or RelayState(name=plan.name), plan, now) for plan in desk.relays]


def plan_of(desk: Desk, name: str) -> RelayPlan:
    for plan in desk.relays:
        if plan.name == name:
            return plan
    raise UnknownRelay(name, (plan.name for plan in desk.relays))


def item_of(name: str) -> UUID:
    """Return what the item about a relay stands for: relays have names, and no ids."""
    return uuid5(NAMESPACE_URL, f"relay:{name}")


def _health(state: RelayState, plan: RelayPlan, now: datetime) -> Health:
    rests_until = state.rests_until if state.rests_until and state.rests_until > now else None
    return Health(
        name=plan.name,
        rests_until=rests_until,
        needs_mending=state.failing_since is not None,
        why=state.why,
        mails=within_a_day(state.hours, now),
        per_minute=plan.per_minute,
        per_day=plan.per_day,
    )


# --- a relay ---------------------------------------------------------------------------------------------------------


def _locked(session: Session, name: str) -> RelayState:
    row = session.get(RelayState, name, with_for_update=True, populate_existing=True)
    if row is None:
        insert_new(session, RelayState(name=name))
        row = session.get_one(RelayState, name, with_for_update=True, populate_existing=True)
    return row


def _room(state: RelayState | None, plan: RelayPlan, worker: str, now: datetime) -> _Room:
    state = state or RelayState(name=plan.name)
    if state.rests_until and state.rests_until > now:
        return _Room(0, state.rests_until)
    if plan.is_for_one and state.used_by not in {"", worker} and state.used_until and state.used_until > now:
        return _Room(0, is_elsewhere=True)
    mails = PLENTY
    if plan.per_minute is not None:
        bucket = _bucket(state, plan.at_once, plan.per_minute, now)
        if not bucket.room:
            return _Room(0, bucket.next_at(per_minute=plan.per_minute))
        mails = bucket.room
    if plan.per_day is not None:
        left = plan.per_day - within_a_day(state.hours, now)
        if left <= 0:
            return _Room(0, room_at(state.hours, per_day=plan.per_day, now=now))
        mails = min(mails, left)
    return _Room(1, is_trial=True) if state.failures else _Room(mails)


def _bucket(state: RelayState | DomainState, at_once: int | None, per_minute: float, now: datetime) -> Bucket:
    burst = burst_of(at_once, per_minute)
    if state.mails is None or state.mails_at is None:
        return Bucket(burst, now)
    return Bucket(state.mails, state.mails_at).filled(per_minute=per_minute, burst=burst, now=now)


def _count(state: RelayState, plan: RelayPlan, mails: int, now: datetime) -> None:
    """Take down that so many more mails have been taken on; below 0, fewer."""
    if not mails:
        return
    state.hours = counted(state.hours, mails, now)
    if plan.per_minute is not None:
        bucket = _bucket(state, plan.at_once, plan.per_minute, now)
        state.mails, state.mails_at = bucket.mails - mails, bucket.at


def _rest(session: Session, desk: Desk, state: RelayState, outcome: Outcome, now: datetime) -> None:
    """Let a relay rest, longer each time.  What only a person can mend is asked for, and tried again now and then."""
    is_lasting = outcome.blame is Blame.SETUP
    state.failures += 1
    state.rests_until = now + (desk.mail_rests[-1] if is_lasting else retry_after(state.failures, desk.mail_rests))
    state.why = f"{outcome.code or ''} {outcome.reply}".strip()
    log.warning("a relay takes nothing; it rests", relay=state.name, code=outcome.code, times=state.failures)
    if is_lasting and state.failing_since is None:
        state.failing_since = now
        items.open_item(session, ItemKind.RELAY_FAILING, about=item_of(state.name), announcement=None, now=now)
        _record(session, EventKind.RELAY_FAILING, state, now, code=outcome.code)


def _recovered(session: Session, state: RelayState, now: datetime) -> None:
    state.failures, state.rests_until, state.why = 0, None, ""
    if state.failing_since is None:
        return
    state.failing_since = None
    about = item_of(state.name)
    items.close_items(session, ItemKind.RELAY_FAILING, about=about, by=MACHINE, now=now, note="it takes mails again")
    _record(session, EventKind.RELAY_RECOVERED, state, now)


def _record(session: Session, kind: EventKind, state: RelayState, now: datetime, **facts: object) -> None:
    about = item_of(state.name)
    events.record(session, kind, about=about, announcement=None, by=MACHINE, now=now, relay=state.name, **facts)


# --- domains ---------------------------------------------------------------------------------------------------------


def _with_domains(session: Session, desk: Desk, plan: RelayPlan, mails: int, now: datetime) -> Allowance:
    """Return an allowance of so many mails, within what each domain may be given."""
    known = {one.domain: one for one in session.exec(_DOMAINS)}
    known |= _locked_domains(session, desk.mail_domains)
    rooms = {domain: _room_of(known.get(domain), desk, domain, now) for domain in {*known, *desk.mail_domains}}
    rounds = -(-mails // plan.at_once)
    at_once = {domain: limit.at_once for domain, limit in desk.mail_domains.items() if limit.at_once}
    at_most = {domain: room.mails for domain, room in rooms.items() if 0 < room.mails < PLENTY}
    for domain, number in at_once.items():
        at_most[domain] = min(at_most.get(domain, PLENTY), number * rounds)
    return Allowance(
        relay=plan,
        mails=mails,
        avoid=frozenset(domain for domain, room in rooms.items() if not room.mails),
        at_most=at_most,
        at_once=at_once,
        next_at=min((room.next_at for room in rooms.values() if room.next_at), default=None),
        is_calm=not any(one.failures or one.in_a_row for one in known.values()),
    )


def _room_of(state: DomainState | None, desk: Desk, domain: str, now: datetime) -> _Room:
    state = state or DomainState(domain=domain)
    limit = desk.mail_domains.get(domain, NO_LIMIT)
    if state.rests_until and state.rests_until > now:
        return _Room(0, state.rests_until)
    mails = 1 if state.failures else PLENTY
    if limit.per_minute is None:
        return _Room(mails)
    bucket = _bucket(state, limit.at_once, limit.per_minute, now)
    return _Room(min(mails, bucket.room), None if bucket.room else bucket.next_at(per_minute=limit.per_minute))


def _count_domain(session: Session, desk: Desk, domain: str, mails: int, now: datetime) -> None:
    limit = desk.mail_domains.get(domain, NO_LIMIT)
    if limit.per_minute is None:
        return
    row = _locked_domains(session, [domain])[domain]
    bucket = _bucket(row, limit.at_once, limit.per_minute, now)
    row.mails, row.mails_at = bucket.mails - mails, bucket.at


def _note_domains(
    session: Session, desk: Desk, put_off: Mapping[str, int], heard: Iterable[str], now: datetime
) -> None:
    known = session.exec(select(DomainState.domain).where(col(DomainState.domain).in_(heard))).all()
    for domain, row in _locked_domains(session, {*put_off, *known}).items():
        if domain in put_off:
            _put_off(desk, row, put_off[domain], now)
        elif domain in desk.mail_domains:
            row.in_a_row, row.failures, row.rests_until, row.put_off_at = 0, 0, None, None
        else:
            session.delete(row)


def _put_off(desk: Desk, row: DomainState, mails: int, now: datetime) -> None:
    row.in_a_row, row.put_off_at = row.in_a_row + mails, now
    if row.failures or row.in_a_row >= IN_A_ROW:
        row.failures, row.in_a_row = row.failures + 1, 0
        row.rests_until = now + retry_after(row.failures, desk.mail_rests)


def _locked_domains(session: Session, domains: Iterable[str]) -> dict[str, DomainState]:
    """Lock the rows of these domains, in the order of their names; one that is not there is made."""
    names = sorted(domains)
    if not names:
        return {}
    query = select(DomainState).where(col(DomainState.domain).in_(names)).order_by(col(DomainState.domain))
    locked = query.with_for_update().execution_options(populate_existing=True)
    rows = {row.domain: row for row in session.exec(locked)}
    if missing := [name for name in names if name not in rows]:
        for name in missing:
            insert_new(session, DomainState(domain=name))
        rows = {row.domain: row for row in session.exec(locked)}
    return rows


def _is_put_off(outcome: Outcome) -> bool:
    is_later = outcome.code is not None and outcome.code // 100 == LATER
    return outcome.verdict is Verdict.DEFERRED and outcome.blame is Blame.NONE and is_later and bool(outcome.domain)


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((instant for instant in (one, other) if instant), default=None)
