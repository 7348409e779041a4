"""The cast and the first act: a provider, a registry, clients, and one replacement that everybody is told of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from sqlmodel import Session

from notifier import embedded, resources
from notifier.adapters.lists import read_clients
from notifier.adapters.registers import read_register
from notifier.models import Role, User
from notifier.rules.entries import Entry, Place
from notifier.runtime import Runtime, now
from notifier.services import announcements, clients, previews, provider, registry, users
from notifier.settings import BadSettings

OVERRIDES = MappingProxyType(
    {"mail": {"sender": "mailbox", "open_mailbox": True}, "broker_url": "", "sweep_seconds": 2.0}
)
BY = "demo"
ANA = "ana.delmas@hebergement.example"
PROVIDER = MappingProxyType(
    {
        "legal_name": "Hébergement Exemple SAS",
        "address": "1 rue des Exemples\n75000 Paris\nFrance",
        "timezone": "Europe/Paris",
        "sender_name": "Hébergement Exemple",
        "sender_address": "notifications@hebergement.example",
        "reply_to": "confidentialite@hebergement.example",
        "privacy_contact": "confidentialite@hebergement.example",
        "languages": "en fr",
    }
)
OLD = Entry(
    key="fibrexemple",
    name="FIBREXEMPLE",
    address="5 rue de la Fibre",
    postcode="75000",
    town="Paris",
    country="FR",
    activities=("Fibre noire",),
    places=(Place(country="FR", kind="dark_fibre"),),
)
NEW = Entry(
    key="optexemple",
    name="OPTEXEMPLE",
    address="12 avenue de l’Optique",
    postcode="92000",
    town="Nanterre",
    country="FR",
    activities=("Fibre noire",),
    places=(Place(country="FR", kind="dark_fibre"),),
    replaces="fibrexemple",
)
REASONS = MappingProxyType(
    {
        "en": "FIBREXEMPLE stops its dark-fibre service. OPTEXEMPLE takes the same route over, between the same sites. "
        "It carries traffic that is encrypted from end to end, and receives no data.",
        "fr": "FIBREXEMPLE met fin à son service de fibre noire. OPTEXEMPLE reprend le même tracé, entre les mêmes "
        "sites. Il transporte un trafic chiffré de bout en bout et ne reçoit aucune donnée.",
    }
)


def tell(runtime: Runtime, base_url: str) -> None:
    """Play the first act, unless this instance has played it before."""
    with runtime.transaction() as session:
        if registry.published(session) or provider.get(session).legal_name:
            ana(session)  # another instance's folder is left alone
            provider.change(session, {"base_url": base_url}, by=BY, now=now())
            return
        cast(runtime, session, base_url)
        registry.add_entry(session, NEW, by=BY, now=now())
        earliest = previews.preview(session, runtime.desk, now=now()).earliest_effective_on
        if earliest is None:
            raise LookupError("the demo has no clients")
        announcements.publish(
            session,
            runtime.desk,
            effective_on=earliest + timedelta(days=7),
            reasons=dict(REASONS),
            by=f"user:{ana(session).id}",
            now=now(),
        )


def cast(runtime: Runtime, session: Session, base_url: str) -> None:
    """Bring everybody on: the provider, its account manager, the list of the contract, the clients."""
    config = resources.folder("config")
    provider.change(session, {**PROVIDER, "base_url": base_url}, by=BY, now=now())
    users.create(session, email=ANA, name="Ana Delmas", role=Role.ADMINISTRATOR, by=BY, now=now())
    register = config / "registers" / "outscale-hds-2022-08-17.csv"
    listed = read_register(register.read_bytes(), filename=register.name).entries
    # The contract leaves this one's country out, so the reader asks; the provider knows the answer.
    answered = [entry if entry.country else replace(entry, country="FR") for entry in listed]
    registry.replace_draft(session, [*answered, OLD], by=BY, now=now())
    registry.establish(session, by=BY, now=now())
    sheet = config / "demo" / "clients.csv"
    roles = runtime.settings.contact_roles
    rows = read_clients(
        sheet.read_bytes(), filename=sheet.name, packs=runtime.desk.packs, roles=roles, languages=("en", "fr")
    )
    clients.import_clients(session, rows, packs=runtime.desk.packs, by=BY, now=now())


def ana(session: Session) -> User:
    """Return the account manager of the story."""
    user = users.find(session, ANA)
    if user is None:
        raise BadSettings("this data folder holds another instance, not the demo: name another one with --data-dir")
    return user


def sign_in_link(runtime: Runtime, base_url: str) -> str:
    """Return a link that signs the account manager in once."""
    with runtime.transaction() as session:
        user = ana(session)
    return embedded.link_for(runtime, user, base_url)
