"""The clients that are owed notice: importing them from the CRM, and who at each is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.adapters.lists import ClientRow, ContactRow
from notifier.models import Client, Contact, EventKind, Terms
from notifier.models.base import uuid7
from notifier.models.stamp import CLIENTS
from notifier.rules import own_terms
from notifier.rules.entries import SCOPE
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.own_terms import Overrides
from notifier.rules.registry_diff import slug
from notifier.rules.terms import UNSAID, BadPack, Channel, Pack, PeriodBlank, Rule
from notifier.services import events, keyset, stamps
from notifier.services.desk import Desk
from notifier.services.events import Happened

LAST_SIGN = "\U0010ffff"  # behind every other one


class NoSuchClient(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such client, or it has signed no contract: `notifier clients list` shows them")


class Trouble(StrEnum):
    """What keeps a client from being told of a change of subprocessor as its contract says."""

    NO_PACK = "no_pack"  # it has signed no contract, or its contract pack is not in the folder
    UNUSABLE = "unusable"  # its own terms do not go with its contract pack
    PERIOD_BLANK = "period_blank"
    NOBODY_TOLD = "nobody_told"  # no contact is in a role that is told
    NO_ADDRESS = "no_address"  # it is told by letter


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do: client keys.  `absent` are known clients that the file does not name; they are
    left alone.  `unreachable` are those whom neither a mail nor a letter can tell.
    """

    created: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    absent: tuple[str, ...]
    unreachable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Owed:
    """A client with the terms it is under on a day, and its contacts who are still there."""

    client: Client
    terms: Terms
    contacts: tuple[Contact, ...]

    def addressed(self, roles: Collection[str]) -> tuple[Contact, ...]:
        """Return the contacts who are written to, one per address: those in these roles."""
        told: dict[str, Contact] = {}
        for contact in self.contacts:
            if contact.role in roles:
                told.setdefault(contact.email.casefold(), contact)
        return tuple(told.values())


@dataclass(frozen=True, slots=True)
class Known:
    """A client with its contacts who are still there, and every set of terms it has had, in the order of signing."""

    client: Client
    contacts: tuple[Contact, ...]
    terms: tuple[Terms, ...]

    @property
    def current(self) -> Terms | None:
        """The terms signed last."""
        return _latest(self.terms)


class Contracts:
    """What contract packs say under clients' own terms; each distinct set of terms is worked out once."""

    def __init__(self, packs: Mapping[str, Pack]) -> None:
        self._packs = packs
        self._said: dict[str, tuple[Rule | None, tuple[Trouble, ...]]] = {}

    def troubles(self, known: Known) -> tuple[Trouble, ...]:
        """Return what keeps a client from being told as its contract says."""
        if known.current is None:
            return (Trouble.NO_PACK,)
        return self.troubles_under(known.current.pack, known.current.overrides, known.client, known.contacts)

    def troubles_under(
        self,
        pack: str,
        overrides: Overrides,
        client: Client | ClientRow,
        contacts: Iterable[Contact | ContactRow],
    ) -> tuple[Trouble, ...]:
        key = f"{pack} {own_terms.written(overrides)}"
        if key not in self._said:
            self._said[key] = self._say(pack, overrides)
        rule, found = self._said[key]
        if rule is None:
            return found
        if client.email_accepted and Channel.MAIL in rule.channels:
            return found if any(contact.role in rule.roles for contact in contacts) else (*found, Trouble.NOBODY_TOLD)
        return found if client.address and client.town else (*found, Trouble.NO_ADDRESS)

    def _say(self, name: str, overrides: Overrides) -> tuple[Rule | None, tuple[Trouble, ...]]:
        """Return the rule for a change of subprocessor, and what is wrong with these terms by themselves."""
        pack = self._packs.get(name)
        if pack is None:
            return None, (Trouble.NO_PACK,)
        blank = (Trouble.PERIOD_BLANK,) if own_terms.blanks(pack, overrides) else ()
        try:
            return pack.rule_for(AnnouncementKind.SUBPROCESSOR, "", overrides), blank
        except PeriodBlank:
            return None, blank
        except BadPack:
            return None, (*blank, Trouble.UNUSABLE)


def import_clients(
    session: Session,
    rows: Sequence[ClientRow],
    *,
    packs: Mapping[str, Pack],
    by: str,
    now: datetime,
    dry_run: bool = False,
) -> Imported:
    """Create and update clients by their key, all of them or none.

    Terms are dated: a new signing date adds terms, it does not overwrite those that running notices were raised under.
    """
    known = {client.key: client for client in session.exec(select(Client))}
    contacts = _grouped(session.exec(select(Contact).where(col(Contact.left_at).is_(None))))
    terms = _terms_by_client(session, sa.true())
    contracts = Contracts(packs)
    created, changed, unchanged, unreachable = [], [], [], []
    happened: list[Happened] = []
    for row in rows:
        client = known.get(row.key)
        before = terms[client.id] if client else ()
        if _is_unreachable(contracts, row, before):
            unreachable.append(row.key)
        if client is None:
            created.append(row.key)
        elif _differs(client, contacts[client.id], before, row):
            changed.append(row.key)
        else:
            unchanged.append(row.key)
            continue
        if not dry_run:
            client = client or Client(id=uuid7(), key=row.key, company=row.company, created_at=now)
            happened += _changed_terms(client, _latest(before), row.pack, _own(row, before))
            _write(session, client, before, row, now)
    imported = Imported(
        created=tuple(created),
        changed=tuple(changed),
        unchanged=tuple(unchanged),
        absent=tuple(sorted(known.keys() - {row.key for row in rows})),
        unreachable=tuple(unreachable),
    )
    if not dry_run and (created or changed):
        numbers = {"created": len(created), "changed": len(changed)}
        about = uuid7()  # the import as such
        imported_event = Happened(kind=EventKind.CLIENTS_IMPORTED, about=about, data=numbers)
        events.record_all(session, [imported_event, *happened], by=by, now=now)
    return imported


def set_own_terms(
    session: Session, packs: Mapping[str, Pack], client_id: UUID, overrides: Overrides, *, by: str, now: datetime
) -> Terms:
    """Write a client's own terms into the contract it signed last.  Notices that have been raised keep the rule they
    were sealed with.

    NoSuchClient; BadPack where its contract pack is not in the folder; BadOwnTerms where they do not go together.
    """
    known = get(session, client_id)
    if known.current is None:
        raise NoSuchClient
    pack = packs.get(known.current.pack)
    if pack is None:
        raise BadPack(f"the contract pack {known.current.pack} is not in the folder of contracts: put it back")
    own_terms.check(pack, overrides)
    happened = _changed_terms(known.client, known.current, known.current.pack, overrides)
    if happened:
        known.current.overrides = _plain(overrides)
        session.add(known.current)
        events.record_all(session, happened, by=by, now=now)
    return known.current


def known_roles(packs: Mapping[str, Pack], others: Iterable[str]) -> list[str]:
    """Return the roles that contacts may have: those that contracts tell, and others."""
    told = {role for pack in packs.values() for rule in pack.written.values() for role in rule.get("roles", ())}
    return sorted({*UNSAID["roles"], *told, *others})


def get(session: Session, client_id: UUID) -> Known:
    """Return a client with its contacts and the history of its terms."""
    client = session.get(Client, client_id)
    if client is None:
        raise NoSuchClient
    contacts = select(Contact).where(Contact.client_id == client_id, col(Contact.left_at).is_(None))
    terms = select(Terms).where(Terms.client_id == client_id).order_by(col(Terms.signed_on))
    return Known(client, tuple(session.exec(contacts.order_by(col(Contact.id)))), tuple(session.exec(terms)))


def listing(session: Session) -> list[Known]:
    """Return every client, by company."""
    return _known(session, sa.true())


def _known(session: Session, which: Any) -> list[Known]:  # noqa: ANN401 - a condition on Client
    those = select(Client.id).where(which)
    contacts = select(Contact).where(col(Contact.client_id).in_(those), col(Contact.left_at).is_(None))
    grouped = _grouped(session.exec(contacts.order_by(col(Contact.id))))
    terms = _terms_by_client(session, col(Terms.client_id).in_(those))
    clients = session.exec(select(Client).where(which).order_by(col(Client.filed_as), col(Client.key)))
    return [Known(client, tuple(grouped[client.id]), tuple(terms[client.id])) for client in clients]


def owed(session: Session, on: date) -> list[Owed]:
    """Return every client under contract on that day, by key, with its terms and contacts."""
    contacts = _grouped(session.exec(select(Contact).where(col(Contact.left_at).is_(None)).order_by(col(Contact.id))))
    in_force: dict[UUID, Terms] = {}
    held = select(Terms).where(col(Terms.signed_on) <= on, col(Terms.replaced_at).is_(None))
    for terms in session.exec(held.order_by(col(Terms.signed_on))):
        in_force[terms.client_id] = terms
    clients = session.exec(select(Client).order_by(col(Client.key)))
    return [
        Owed(client, in_force[client.id], tuple(contacts[client.id])) for client in clients if client.id in in_force
    ]


def under_contract(on: date) -> sa.Subquery:
    """Return the day on which each client signed the terms it is under on a day: the latest of those that were never
    taken back.
    """
    return (
        select(Terms.client_id, sa.func.max(Terms.signed_on).label("signed_on"))
        .where(col(Terms.signed_on) <= on, col(Terms.replaced_at).is_(None))
        .group_by(col(Terms.client_id))
        .subquery()
    )


def by_key(session: Session, key: str) -> Client:
    client = session.exec(select(Client).where(Client.key == key)).first()
    if client is None:
        raise NoSuchClient
    return client


def contacts_of(session: Session, client_ids: Collection[UUID]) -> Mapping[UUID, list[Contact]]:
    """Return the contacts who are still there, of each of these clients."""
    still = select(Contact).where(col(Contact.client_id).in_(client_ids), col(Contact.left_at).is_(None))
    return _grouped(session.exec(still.order_by(col(Contact.id))))


@dataclass(frozen=True, slots=True)
class Total:
    """How many clients there are, and how many signed which contract pack last."""

    clients: int
    under: Mapping[str, int]


def total(session: Session, desk: Desk) -> Total:
    seen = stamps.stamps(session).get(CLIENTS)
    return stamps.kept(desk, "clients", seen, partial(_total, session))


def _total(session: Session) -> Total:
    held = select(Terms.client_id, sa.func.max(Terms.signed_on).label("signed_on"))
    last = held.where(col(Terms.replaced_at).is_(None)).group_by(col(Terms.client_id)).subquery()
    same = sa.and_(col(Terms.client_id) == last.c.client_id, col(Terms.signed_on) == last.c.signed_on)
    query = select(Terms.pack, sa.func.count()).join(last, same).group_by(col(Terms.pack))
    return Total(session.exec(select(sa.func.count()).select_from(Client)).one(), dict(session.exec(query).all()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some clients in the order of the list, and those before and after which others are asked for (keyset.Slice)."""

    clients: Sequence[Known]
    before: UUID | None
    after: UUID | None


def page(session: Session, *, sought: str = "", after: UUID | None = None, before: UUID | None = None) -> Page:
    """Return a page of the list: of all clients, or of those whose company or key begins like this."""
    query = select(Client.id)
    if sought := sought.replace("\0", "").strip():
        keys = (_begins(col(Client.key), one) for one in {sought, sought.upper()})
        query = query.where(sa.or_(_begins(col(Client.filed_as), slug(sought)), *keys))
    found = keyset.cut(session, keyset.finding(session, query), after=after, before=before)
    return Page(clients=_known(session, col(Client.id).in_(found.ids)), before=found.before, after=found.after)


def _begins(column: Any, text: str) -> Any:  # noqa: ANN401 - a column, and a condition
    """In the column's own order, so that its index serves; a text that is all signs begins nothing."""
    return sa.and_(column >= text, column < f"{text}{LAST_SIGN}") if text else sa.false()


def under_contract_of(session: Session, client_ids: Collection[UUID], on: date) -> set[UUID]:
    """Return those of these clients that are under contract on a day."""
    held = select(Terms.client_id).where(col(Terms.client_id).in_(client_ids), col(Terms.signed_on) <= on)
    return set(session.exec(held.where(col(Terms.replaced_at).is_(None))))


def packs_in_use(session: Session, desk: Desk) -> set[str]:
    """Return the contract packs that any client is, was or will be under."""
    every = select(Terms.pack).distinct()
    return stamps.kept(desk, "packs", stamps.stamps(session).get(CLIENTS), lambda: set(session.exec(every)))


def _grouped(contacts: Iterable[Contact]) -> Mapping[UUID, list[Contact]]:
    grouped: defaultdict[UUID, list[Contact]] = defaultdict(list)
    for contact in contacts:
        grouped[contact.client_id].append(contact)
    return grouped


def _terms_by_client(session: Session, which: Any) -> Mapping[UUID, list[Terms]]:  # noqa: ANN401 - a condition
    grouped: defaultdict[UUID, list[Terms]] = defaultdict(list)
    for terms in session.exec(select(Terms).where(which).order_by(col(Terms.signed_on))):
        grouped[terms.client_id].append(terms)
    return grouped


COPIED = (
    "company",
    "group",
    "account_manager",
    "account_manager_name",
    "address",
    "postcode",
    "town",
    "country",
    "reseller",
    "email_accepted",
)


def _values(row: ClientRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in COPIED} | {name: list(getattr(row, name)) for name in SCOPE}


def _differs(client: Client, contacts: Sequence[Contact], terms: Sequence[Terms], row: ClientRow) -> bool:
    same_client = all(getattr(client, name) == value for name, value in _values(row).items())
    same_contacts = {_as_row(contact) for contact in contacts} == set(row.contacts)
    latest = _latest(terms)
    same_terms = latest is not None and (latest.pack, latest.signed_on) == (row.pack, row.signed_on)
    same_own = latest is not None and latest.overrides == _own(row, terms)
    return not (same_client and same_contacts and same_terms and same_own)


def _latest(terms: Sequence[Terms]) -> Terms | None:
    return next((one for one in reversed(terms) if one.replaced_at is None), None)


def _own(row: ClientRow, terms: Sequence[Terms]) -> Overrides:
    """Return the own terms under the contract that the file names; where it does not speak of them, those that we know
    for that contract.
    """
    if row.own_terms is not None:
        return _plain(row.own_terms)
    return next((one.overrides for one in terms if one.signed_on == row.signed_on), {})


def _plain(overrides: Overrides) -> dict[str, dict[str, object]]:
    return {kind: dict(fields) for kind, fields in overrides.items() if fields}


def _changed_terms(client: Client, before: Terms | None, pack: str, overrides: Overrides) -> list[Happened]:
    """Return the event that tells which terms are others than before; a new client's contract is told by the import."""
    names = own_terms.changed(before.overrides if before else {}, overrides)
    if before and before.pack != pack:
        names = ("pack", *names)
    data = {"client": client.key, "pack": pack, "changed": list(names)}
    return [Happened(kind=EventKind.TERMS_CHANGED, about=client.id, data=data)] if names else []


def _as_row(contact: Contact) -> ContactRow:
    return ContactRow(
        name=contact.name, role=contact.role, email=contact.email, phone=contact.phone, language=contact.language
    )


def _is_unreachable(contracts: Contracts, row: ClientRow, terms: Sequence[Terms]) -> bool:
    """Say whether neither a mail nor a letter can tell a client; a blank period alone does not keep it from that."""
    found = contracts.troubles_under(row.pack, _own(row, terms), row, row.contacts)
    return bool(set(found) - {Trouble.PERIOD_BLANK})


def _write(session: Session, client: Client, terms: Sequence[Terms], row: ClientRow, now: datetime) -> None:
    for name, value in _values(row).items():
        setattr(client, name, value)
    client.filed_as = slug(client.company)
    session.add(client)
    session.flush()
    _write_contacts(session, client, row, now)
    _write_terms(session, client, terms, row, now)


def _write_terms(session: Session, client: Client, terms: Sequence[Terms], row: ClientRow, now: datetime) -> None:
    """Date the terms that the file names.  It names the latest: any later ones that we knew never held.

    Notices that have been raised keep the rule they were sealed with.
    """
    dated = next((one for one in terms if one.signed_on == row.signed_on), None)
    dated = dated or Terms(client_id=client.id, pack=row.pack, signed_on=row.signed_on, recorded_at=now)
    dated.overrides = _plain(_own(row, terms))
    dated.pack, dated.replaced_at = row.pack, None
    session.add(dated)
    for later in terms:
        if later.signed_on > row.signed_on and later.replaced_at is None:
            later.replaced_at = now
            session.add(later)


def _write_contacts(session: Session, client: Client, row: ClientRow, now: datetime) -> None:
    """Match contacts by address and role; one whom the file no longer names has left, and is kept for the evidence."""
    ever = {
        (contact.email, contact.role): contact
        for contact in session.exec(select(Contact).where(Contact.client_id == client.id))
    }
    named = {(contact.email, contact.role): contact for contact in row.contacts}
    for key, written in named.items():
        contact = ever.get(key) or Contact(client_id=client.id, name="", role=written.role, email=written.email)
        contact.name, contact.phone, contact.language, contact.left_at = (
            written.name,
            written.phone,
            written.language,
            None,
        )
        session.add(contact)
    for key, contact in ever.items():
        if key not in named and contact.left_at is None:
            contact.left_at = now
            session.add(contact)
