"""Clients and users, by command."""

from __future__ import annotations

from pathlib import Path

import click
from sqlmodel import Session

from notifier import embedded
from notifier.adapters.lists import read_clients
from notifier.adapters.tables import read_file
from notifier.cli.shared import LANGUAGES, Refused, headed, operator, say, with_session
from notifier.models import Role, User
from notifier.rules import own_terms
from notifier.runtime import Runtime, now
from notifier.services import (
    clients,
    provider,
    users,
)

NAMED = 10  # keys in a line; the number counts the rest


@click.group("clients")
def clients_group() -> None:
    """The clients that are owed notice."""


@clients_group.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@with_session
def clients_import(runtime: Runtime, session: Session, file: Path, *, dry_run: bool) -> None:
    """Read clients and their contacts from a CSV: one row per contact; all rows, or none."""
    packs = runtime.desk.packs
    roles = clients.known_roles(packs, runtime.settings.contact_roles)
    rows = read_clients(read_file(file), filename=file.name, packs=packs, roles=roles, languages=LANGUAGES)
    done = clients.import_clients(session, rows, packs=packs, by=operator(), now=now(), dry_run=dry_run)
    for word in ("created", "changed", "unchanged", "absent"):
        keys = getattr(done, word)
        say(f"{word:<10} {len(keys):>5}  {', '.join(keys[:NAMED])}{' …' if len(keys) > NAMED else ''}")
    for key in done.unreachable:
        say(f"Warning: client {key} is unreachable: nobody in a role that its contract tells, or no postal address.")
    if dry_run:
        say("Nothing was changed (--dry-run).")


@clients_group.command("list")
@with_session
def clients_list(runtime: Runtime, session: Session) -> None:
    """List the clients."""
    contracts = clients.Contracts(runtime.desk.packs)
    table = headed("Key", "Company", "Contract pack", "Own terms", "Contacts", "Troubles")
    for known in clients.listing(session):
        terms = known.current
        table.add_row(
            known.client.key,
            known.client.company,
            terms.pack if terms else "",
            own_terms.written(terms.overrides) if terms else "",
            str(len(known.contacts)),
            ", ".join(contracts.troubles(known)),
        )
    say(table)


@click.group("users")
def users_group() -> None:
    """Those who sign in to the staff pages."""


@users_group.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.ACCOUNT_MANAGER.value)
@click.option("--name", default="")
@click.option("--language", type=click.Choice(LANGUAGES), default="en")
@with_session
def users_add(runtime: Runtime, session: Session, email: str, role: str, name: str, language: str) -> None:
    """Add a user, and print a link that signs them in once."""
    del runtime
    user = users.create(session, email=email, role=Role(role), name=name, language=language, by=operator(), now=now())
    print_link(session, users.invite(session, user, by=operator(), now=now()))


@users_group.command("link")
@click.argument("email")
@click.option("--mail", is_flag=True, help="Send it by mail instead of printing it.")
@with_session
def users_link(runtime: Runtime, session: Session, email: str, *, mail: bool) -> None:
    """Make a link that signs a user in once, within a day."""
    user = _user(session, email)
    if mail:
        users.mail_sign_in(session, runtime.desk, user, by=operator(), now=now())
        say(f"A link is on its way to {user.email}.")
    else:
        print_link(session, users.invite(session, user, by=operator(), now=now()))


@users_group.command("switch")
@click.argument("email")
@click.argument("to", type=click.Choice(["on", "off"]))
@with_session
def users_switch(runtime: Runtime, session: Session, email: str, to: str) -> None:
    """Let a user in, or shut them out and end their sessions."""
    del runtime
    switch = users.switch_on if to == "on" else users.switch_off
    switch(session, _user(session, email).id, by=operator(), now=now())
    say(f"{email} is switched {to}.")


@users_group.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@with_session
def users_role(runtime: Runtime, session: Session, email: str, role: str) -> None:
    """Give a user another role."""
    del runtime
    users.change_role(session, _user(session, email).id, Role(role), by=operator(), now=now())
    say(f"{email} is {role} now.")


@users_group.command("list")
@with_session
def users_list(runtime: Runtime, session: Session) -> None:
    """List the users."""
    del runtime
    for user in users.everyone(session):
        state = "has a password" if user.password else "no password yet"
        say(f"{user.email}  {user.role}  {state if user.active else 'switched off'}")


def _user(session: Session, email: str) -> User:
    user = users.find(session, email)
    if user is None:
        raise Refused(f"there is no user {email}: `notifier users list` shows them")
    return user


def print_link(session: Session, token: str) -> None:
    base_url = provider.get(session).base_url or "http://127.0.0.1:8000"
    say(embedded.sign_in_link(base_url, token))
