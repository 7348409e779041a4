"""The clients that are owed notice: importing them from the CRM, and who at each is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlmodel import Session, col, select

from notifier.adapters.lists import ClientRow, ContactRow
from notifier.models import Client, Contact, EventKind, Terms
from notifier.models.base import uuid7
from notifier.services import events


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do: client keys.  `absent` are known clients that the file does not name; they are
    left alone.
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
        """Return the contacts who are told, one per address: those in these roles, if mail is accepted as a channel."""
        if not self.client.email_accepted:
            return ()
        told: dict[str, Contact] = {}
        for contact in self.contacts:
            if contact.role in roles:
                told.setdefault(contact.email.casefold(), contact)
        return tuple(told.values())


def import_clients(
    session: Session,
    rows: Sequence[ClientRow],
    *,
    roles: Collection[str],
    by: str,
    now: datetime,
    dry_run: bool = False,
) -> Imported:
    """Create and update clients by their key, all of them or none.

    Terms are dated: a new signing date adds terms, it does not overwrite those that running notices were raised under.
    """
    known = {client.key: client for client in session.exec(select(Client))}
    contacts = _grouped(session.exec(select(Contact).where(col(Contact.left_at).is_(None))))
    terms = _terms_by_client(session)
    created, changed, unchanged = [], [], []
    for row in rows:
        client = known.get(row.key)
        if client is None:
            created.append(row.key)
        elif _differs(client, contacts[client.id], terms[client.id], row):
            changed.append(row.key)
        else:
            unchanged.append(row.key)
            continue
        if not dry_run:
            _write(
                session,
                client or Client(id=uuid7(), key=row.key, company=row.company, created_at=now),
                terms[client.id] if client else (),
                row,
                now,
            )
    imported = Imported(
        created=tuple(created),
        changed=tuple(changed),
        unchanged=tuple(unchanged),
        absent=tuple(sorted(known.keys() - {row.key for row in rows})),
        unreachable=tuple(row.key for row in rows if not _reachable(row, roles)),
    )
    if not dry_run and (created or changed):
        about = uuid7()  # the import as such
        events.record(
            session, EventKind.CLIENTS_IMPORTED, about=about, by=by, now=now, created=len(created), changed=len(changed)
        )
    return imported


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


def everyone(session: Session) -> list[tuple[Client, int, str]]:
    """Return every client with the number of its contacts and the pack signed last, by company."""
    contacts = _grouped(session.exec(select(Contact).where(col(Contact.left_at).is_(None))))
    terms = _terms_by_client(session)
    clients = session.exec(select(Client).order_by(col(Client.company)))
    return [
        (
            client,
            len(contacts[client.id]),
            next((one.pack for one in reversed(terms[client.id]) if not one.replaced_at), ""),
        )
        for client in clients
    ]


def _grouped(contacts: Iterable[Contact]) -> Mapping[UUID, list[Contact]]:
    grouped: defaultdict[UUID, list[Contact]] = defaultdict(list)
    for contact in contacts:
        grouped[contact.client_id].append(contact)
    return grouped


def _terms_by_client(session: Session) -> Mapping[UUID, list[Terms]]:
    grouped: defaultdict[UUID, list[Terms]] = defaultdict(list)
    for terms in session.exec(select(Terms).order_by(col(Terms.signed_on))):
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
    return {name: getattr(row, name) for name in COPIED} | {"services": list(row.services)}


def _differs(client: Client, contacts: Sequence[Contact], terms: Sequence[Terms], row: ClientRow) -> bool:
    same_client = all(getattr(client, name) == value for name, value in _values(row).items())
    same_contacts = {_as_row(contact) for contact in contacts} == set(row.contacts)
    latest = [(one.pack, one.signed_on) for one in terms if one.replaced_at is None][-1:]
    return not (same_client and same_contacts and latest == [(row.pack, row.signed_on)])


def _as_row(contact: Contact) -> ContactRow:
    return ContactRow(
        name=contact.name, role=contact.role, email=contact.email, phone=contact.phone, language=contact.language
    )


def _reachable(row: ClientRow, roles: Collection[str]) -> bool:
    return row.email_accepted and any(contact.role in roles for contact in row.contacts)


def _write(session: Session, client: Client, terms: Sequence[Terms], row: ClientRow, now: datetime) -> None:
    for name, value in _values(row).items():
        setattr(client, name, value)
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
