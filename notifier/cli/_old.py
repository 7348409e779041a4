"""The `notifier` command: each verb parses, opens a transaction, calls a service, and says what happened."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import structlog
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from notifier import __version__, demo, embedded
from notifier import runtime as wiring
from notifier.adapters.lists import BadList, read_clients, read_register
from notifier.models import EventKind, Role, User
from notifier.rules import registry_diff
from notifier.rules.calendars import BadPeriod
from notifier.rules.deadlines import ask, deadline, from_case
from notifier.rules.periods import Period, start_of_day, zone
from notifier.rules.registry_diff import Entry
from notifier.rules.terms import BadPack
from notifier.rules.wording import explain
from notifier.runtime import Runtime, now
from notifier.services import announcements, clients, events, items, notices, provider, registry, users, webhooks
from notifier.settings import BadSettings, load
from notifier.worker import Worker

REFUSALS = (
    BadList,
    BadPack,
    BadPeriod,
    BadSettings,
    announcements.AlreadyLive,
    announcements.EarlierNotLive,
    announcements.EffectiveInPast,
    announcements.EffectiveTooEarly,
    announcements.GateClosed,
    announcements.NoSuchAnnouncement,
    announcements.ReasonMissing,
    demo.StoryFailed,
    provider.BadProfile,
    provider.ProfileIncomplete,
    registry.BadEntry,
    registry.NoDraft,
    registry.NoSuchEntry,
    registry.NoSuchVersion,
    registry.NothingChanged,
    registry_diff.DuplicateKey,
    users.BadUser,
    users.LastAdministrator,
    webhooks.BadEndpoint,
    webhooks.NoSuchEndpoint,
)
LANGUAGES = ("en", "fr")
SAID = "notifier.said"

out = Console(highlight=False, soft_wrap=True)


class Refused(click.ClickException):
    """What was asked for cannot be done: one sentence, exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:  # noqa: ANN401 - click's own signatures
        del file
        click.echo(f"notifier: {self.message}", err=True)


class Group(click.Group):
    """Turns what a service refuses into one line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signatures
        try:
            return super().invoke(ctx)
        except REFUSALS as refusal:
            raise Refused(str(refusal)) from None
        except OperationalError as trouble:
            raise Refused(f"the database does not answer: {trouble.orig}") from None


@contextmanager
def opened(data_dir: Path, **overrides: Any) -> Iterator[Runtime]:  # noqa: ANN401 - click's own signatures
    """The working parts, on an up-to-date database."""
    runtime = wiring.build(load(data_dir, overrides))
    try:
        if not wiring.is_current(runtime.engine):
            wiring.migrate(runtime.engine)
        yield runtime
    finally:
        runtime.close()


def data_dir_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("var"),
        show_default=True,
        envvar="NOTIFIER_DATA_DIR",
        help="Where the instance keeps its data.",
    )(command)


def with_session(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the working parts and one transaction."""

    @data_dir_option
    @wraps(command)
    def run(data_dir: Path, **options: Any) -> None:  # noqa: ANN401 - click's own signatures
        with opened(data_dir) as runtime:
            with runtime.transaction() as session:
                command(runtime, session, **options)
            print_what_was_said()

    return run


def say(what: str | Table) -> None:
    """Print this once the transaction has been committed: nothing is claimed that did not happen."""
    click.get_current_context().meta.setdefault(SAID, []).append(what)


def print_what_was_said() -> None:
    for what in click.get_current_context().meta.pop(SAID, []):
        if isinstance(what, str):
            click.echo(what)
        else:
            out.print(what)


def operator() -> str:
    """Who types, by number: the log names no person, and it leaves by webhook."""
    return f"cli:{os.getuid()}" if hasattr(os, "getuid") else "cli"


@click.group(cls=Group)
@click.version_option(__version__, package_name="notifier")
def main() -> None:
    """Tell clients of changes of subprocessors before they happen, keep their answers, and prove both."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.stderr))


@main.command("demo")
@click.option(
    "--check", is_flag=True, help="Play the whole story over real HTTP and SMTP, print what was seen, and end."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), envvar="NOTIFIER_DATA_DIR", help="Default: ./var"
)
def demo_command(data_dir: Path | None, host: str, port: int, *, check: bool) -> None:
    """Start an instance with made-up clients whose first announcement has been sent."""
    if check:
        demo.check(data_dir, say=click.echo)
        return
    _serve(data_dir or Path("var"), host, port, story=True)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@data_dir_option
def up(data_dir: Path, host: str, port: int) -> None:
    """Start an instance for real use, on an empty registry."""
    _serve(data_dir, host, port, story=False)


def _serve(data_dir: Path, host: str, port: int, *, story: bool) -> None:
    overrides = demo.OVERRIDES if story else {}
    runtime = wiring.build(load(data_dir, overrides))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with embedded.serving(runtime, host=host, port=port) as listening:
            base_url = f"http://{host}:{listening}"
            if story:
                demo.tell(runtime, base_url)
                link: str | None = demo.sign_in_link(runtime, base_url)
            else:
                link = embedded.administrator_link(runtime, base_url)
            _say_where(runtime, base_url, link)
            stop.wait()
            click.echo("Stopping: the worker finishes what it holds.")
    finally:
        runtime.close()


def _say_where(runtime: Runtime, base_url: str, link: str | None) -> None:
    click.echo(f"Public list   {base_url}/subprocessors")
    if runtime.settings.mail.sender == "mailbox":
        click.echo(f"Mailbox       {base_url}/mailbox   (mails are kept here, none leaves this machine)")
    click.echo(f"Staff pages   {base_url}/staff/")
    if link:
        click.echo(f"Sign in once  {link}")
    click.echo(f"Data          {runtime.settings.data_dir}")
    click.echo("Ctrl-C stops it.")


@main.group()
def db() -> None:
    """The database's tables."""


@db.command("upgrade")
@data_dir_option
def db_upgrade(data_dir: Path) -> None:
    """Bring the tables up to date."""
    runtime = wiring.build(load(data_dir))
    wiring.migrate(runtime.engine)
    runtime.close()
    click.echo("The tables are up to date.")


@db.command("migration", hidden=True)
@click.argument("message")
def db_migration(message: str) -> None:
    """Write a migration from the models (for those who develop the product)."""
    click.echo(wiring.write_migration(message).name)


@main.group()
def profile() -> None:
    """The provider's profile: in whose name every letter and page speaks."""


@profile.command("show")
@with_session
def profile_show(runtime: Runtime, session: Session) -> None:
    """Show the profile, and what is missing."""
    del runtime
    saved = provider.get(session)
    for name in provider.FIELDS:
        say(f"{name:<16} {getattr(saved, name)}")
    if saved.missing:
        say(f"Missing, and nothing is sent before: {', '.join(saved.missing)}")


@profile.command("set")
@click.argument("values", nargs=-1, required=True, metavar="FIELD=VALUE…")
@with_session
def profile_set(runtime: Runtime, session: Session, values: Sequence[str]) -> None:
    """Set fields, such as legal_name="Hosting SAS" base_url=https://notices.hosting.example."""
    del runtime
    pairs = dict(value.partition("=")[::2] for value in values)
    saved = provider.change(session, pairs, by=operator(), now=now())
    say("The profile is complete." if not saved.missing else f"Still missing: {', '.join(saved.missing)}")


@main.group("registry")
def registry_group() -> None:
    """The registry of subprocessors."""


@registry_group.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@with_session
def registry_import(runtime: Runtime, session: Session, file: Path) -> None:
    """Read a list (CSV) and make it the draft; nothing is published."""
    del runtime
    listed = read_register(file.read_bytes(), filename=file.name)
    for question in listed.questions:
        say(f"Question: {question.message}")
    registry.replace_draft(session, listed.entries, by=operator(), now=now())
    say(f"The draft has {len(listed.entries)} entries.")
    _print_changes(registry.draft_changes(session))


@registry_group.command("show")
@click.option("--version", "number", type=int, help="A version by its number.")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), help="The list in force at the end of that day.")
@with_session
def registry_show(runtime: Runtime, session: Session, number: int | None, day: datetime | None) -> None:
    """Show the list in force, or a version, or the list in force on a day."""
    del runtime
    if number is not None:
        version = registry.get(session, number)
    else:
        tz = zone(provider.get(session).timezone)
        at = start_of_day(date.fromordinal(day.date().toordinal() + 1), tz) if day else now()
        found = registry.live(session, at)
        if found is None:
            say("No list was in force." if day else "No list is in force yet: import one, then publish it.")
            return
        version = found
    since = f"published {_instant(version.published_at)}, in force since {_instant(version.live_at)}"
    say(f"Version {version.number}, {since}")
    _print_entries(registry.entries(session, version))


@registry_group.command("history")
@with_session
def registry_history(runtime: Runtime, session: Session) -> None:
    """List the published versions, newest first."""
    del runtime
    for version in registry.versions(session):
        effective = f"announced for {_instant(version.effective_at)}, in force since {_instant(version.live_at)}"
        say(f"{version.number:>4}  published {_instant(version.published_at)}, {effective}")


@registry_group.command("diff")
@click.argument("old")
@click.argument("new")
@click.option("--json", "as_json", is_flag=True)
@with_session
def registry_diff_command(runtime: Runtime, session: Session, old: str, new: str, *, as_json: bool) -> None:
    """Show what changes in meaning from OLD to NEW; each is a version's number, "draft", or a file."""
    del runtime
    before, after = _entries_of(session, old), _entries_of(session, new)
    changes = registry_diff.diff(before, after)
    cosmetic = registry_diff.cosmetic(before, after)
    if as_json:
        listed = [{**registry_diff.as_json(change), "entry": change.name} for change in changes]
        say(json.dumps({"changes": listed, "cosmetic": cosmetic}, ensure_ascii=False, indent=2))
        return
    _print_changes(changes)
    if cosmetic:
        say(f"{cosmetic} entries are only written differently.")


@registry_group.group("draft", invoke_without_command=True)
@click.pass_context
@data_dir_option
def draft_group(context: click.Context, data_dir: Path) -> None:
    """Show the draft, or edit it."""
    if context.invoked_subcommand is None:
        with opened(data_dir) as runtime, runtime.reading() as session:
            found = registry.draft(session)
            if found is None:
                raise registry.NoDraft
            _print_entries(registry.entries(session, found))
            _print_changes(registry.draft_changes(session))
        print_what_was_said()


def entry_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(registry_diff.COMPARED):
        command = click.option(f"--{name.replace('_', '-')}", name, default=None)(command)
    return command


@draft_group.command("add")
@entry_options
@click.option("--key", default="", help="How versions tell it apart; made from the name when left out.")
@click.option("--replaces", default="", help="The key of the entry whose place it takes.")
@with_session
def draft_add(runtime: Runtime, session: Session, key: str, replaces: str, **fields: str | None) -> None:
    """Add an entry; with --replaces, in the place of another."""
    del runtime
    written = {name: text for name, text in fields.items() if text is not None}
    content = Entry(key=key, replaces=replaces, **{"name": "", **written})
    registry.add_entry(session, content, by=operator(), now=now())
    _print_changes(registry.draft_changes(session))


@draft_group.command("amend")
@click.argument("key")
@entry_options
@with_session
def draft_amend(runtime: Runtime, session: Session, key: str, **fields: str | None) -> None:
    """Change fields of an entry."""
    del runtime
    written = {name: text for name, text in fields.items() if text is not None}
    registry.amend_entry(session, key, written, by=operator(), now=now())
    _print_changes(registry.draft_changes(session))


@draft_group.command("remove")
@click.argument("key")
@with_session
def draft_remove(runtime: Runtime, session: Session, key: str) -> None:
    """Take an entry off the draft."""
    del runtime
    registry.remove_entry(session, key, by=operator(), now=now())
    _print_changes(registry.draft_changes(session))


@draft_group.command("discard")
@with_session
def draft_discard(runtime: Runtime, session: Session) -> None:
    """Throw the draft away."""
    del runtime
    registry.discard_draft(session, by=operator(), now=now())
    say("The draft is gone; what is published stays.")


@registry_group.command("publish")
@click.option("--effective", "day", type=click.DateTime(["%Y-%m-%d"]), help="The day from which the change is to hold.")
@click.option("--reason-en", default="", help="Why, in English; it stands in the letter.")
@click.option("--reason-fr", default="", help="Why, in French; it stands in the letter.")
@click.option("--dry-run", is_flag=True, help="Show whom it would tell and until when each may object.")
@with_session
def registry_publish(  # the options of one verb
    runtime: Runtime, session: Session, day: datetime | None, reason_en: str, reason_fr: str, *, dry_run: bool
) -> None:
    """Publish the draft: the first version at once, every further one as an announcement to all affected clients."""
    if registry.published(session) is None:
        version = registry.establish(session, by=operator(), now=now())
        say(f"Version {version.number} is in force.")
        return
    if dry_run:
        _print_preview(announcements.preview(session, runtime.desk, now=now()))
        return
    if day is None:
        raise Refused("say from which day the change is to hold: --effective YYYY-MM-DD (--dry-run shows the earliest)")
    reasons = {"en": reason_en, "fr": reason_fr}
    made = announcements.publish(
        session, runtime.desk, effective_on=day.date(), reasons=reasons, by=operator(), now=now()
    )
    session.flush()
    board = notices.board(session, made.id, now=now())
    say(f"{made.reference} is published: {len(board.rows)} clients, {board.in_flight} mails in the outbox.")


@main.group("clients")
def clients_group() -> None:
    """The clients that are owed notice."""


@clients_group.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@with_session
def clients_import(runtime: Runtime, session: Session, file: Path, *, dry_run: bool) -> None:
    """Read clients and their contacts from a CSV: one row per contact; all rows, or none."""
    roles = {role for listed in runtime.desk.addressed_roles.values() for role in listed}
    known_roles = sorted(roles | set(runtime.settings.contact_roles))
    rows = read_clients(
        file.read_bytes(), filename=file.name, packs=list(runtime.desk.packs), roles=known_roles, languages=LANGUAGES
    )
    done = clients.import_clients(session, rows, roles=roles, by=operator(), now=now(), dry_run=dry_run)
    for word in ("created", "changed", "unchanged", "absent"):
        keys = getattr(done, word)
        say(f"{word:<10} {len(keys):>5}  {', '.join(keys[:10])}{' …' if len(keys) > 10 else ''}")  # noqa: PLR2004 - click's own signatures
    for key in done.unreachable:
        say(f"Warning: client {key} is unreachable: it has no contact who can be told by mail.")
    if dry_run:
        say("Nothing was changed (--dry-run).")


@clients_group.command("list")
@with_session
def clients_list(runtime: Runtime, session: Session) -> None:
    """List the clients."""
    del runtime
    table = _table("Key", "Company", "Contract pack", "Contacts")
    for client, contacts, pack in clients.everyone(session):
        table.add_row(client.key, client.company, pack, str(contacts))
    say(table)


@main.command()
@with_session
def contracts(runtime: Runtime, session: Session) -> None:
    """List the contract packs, their rules, and what counsel must confirm."""
    del session
    for pack in runtime.desk.packs.values():
        say(f"{pack.name}: {pack.title['en']}")
        for kind, rule in pack.rules.items():
            say(f"  {kind} ({rule.clause}): {rule.mode}, {rule.period}, counted {rule.counting} on {rule.calendar}")
            say(f"    to be confirmed by counsel: {', '.join(rule.unconfirmed) or 'nothing'}")


@main.command("deadline")
@click.option("--cases", type=click.Path(path_type=Path), help="A JSON list of cases; answers with a JSON list.")
@click.option("--from", "start", help="The instant of receipt, or of the event, such as 2026-03-02T10:00+01:00.")
@click.option("--period", help='Such as "30 days", "15 business days", "1 month and 10 days".')
@click.option("--rule", help="Such as FR_CAL; docs/counting.md lists them all.")
@click.option("--calendar", help='A place such as FR or FR-57, places such as FR+BE, or "none".')
@click.option("--timezone", help="Such as Europe/Paris.")
@click.option("--base", help="How the period itself is counted, after DEEMED_EMAIL, LRE_UNCLAIMED, GO_LIVE.")
@click.option("--cutoff", help="The last time of day at which a mail is received that day (DEEMED_EMAIL).")
@click.option("--deemed", help="When an unclaimed registered e-letter is received (LRE_UNCLAIMED).")
@click.option("--extra-holiday", "extra_holidays", multiple=True, metavar="DAY", help="A day, or 05-05 for every year.")
@click.option("--removed-holiday", "removed_holidays", multiple=True, metavar="DAY", help="A holiday that is worked.")
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@data_dir_option
def deadline_command(data_dir: Path, cases: Path | None, language: str, **written: Any) -> None:  # noqa: ANN401 - click's own signatures
    """Count one period, or every case of a file, and say how."""
    del data_dir  # as `webhooks kinds`
    if cases:
        answers = [_answered(number, case, language) for number, case in enumerate(_read_cases(cases), start=1)]
        click.echo(json.dumps(answers, ensure_ascii=False, indent=1))
        return
    needed = {name: written.pop(name) for name in ("start", "period", "rule", "calendar", "timezone")}
    if missing := [name for name, value in needed.items() if value is None]:
        options = ", ".join(f"--{name}" for name in missing).replace("--start", "--from")
        raise Refused(f"write also {options}; or --cases with a file")
    params = {name: value for name, value in written.items() if value is not None}
    asked = ask(**{**needed, "period": Period.parse(needed["period"])}, params=params)
    click.echo(explain(asked, deadline(asked), language))


def _read_cases(file: Path) -> list[Mapping[str, Any]]:
    try:
        cases = json.loads(file.read_bytes())
    except (OSError, ValueError) as trouble:
        raise Refused(f"{file} cannot be read as JSON: {trouble}") from None
    if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
        raise Refused(f"{file} holds no list of cases: write [{{…}}, {{…}}]")
    return cases


def _answered(number: int, case: Mapping[str, Any], language: str) -> dict[str, str]:
    name = case.get("id", number)
    try:
        asked = from_case(case)
        found = deadline(asked)
    except BadPeriod as refusal:
        raise Refused(f"case {name}: {refusal}") from None
    return {
        "id": name,
        "deadline": found.at.isoformat(timespec="seconds"),
        "explanation": explain(asked, found, language),
    }


@main.group("announcements")
def announcements_group() -> None:
    """Announcements, and where each client stands."""


@announcements_group.command("list")
@with_session
def announcements_list(runtime: Runtime, session: Session) -> None:
    """List the announcements, newest first."""
    del runtime
    for one in announcements.newest(session):
        say(f"{one.reference}  {one.state}  from {one.effective_on}  {one.id}")


@announcements_group.command("show")
@click.argument("reference")
@with_session
def announcements_show(runtime: Runtime, session: Session, reference: str) -> None:
    """Show the board of an announcement."""
    del runtime
    one = announcements.by_reference(session, reference)
    board = notices.board(session, one.id, now=now())
    say(f"{one.reference}, {one.state}, from {one.effective_on}")
    say("  ".join(f"{status} {count}" for status, count in board.counts.items()))
    opens = _instant(board.gate.opens_at) if board.gate.opens_at else "when a person has settled what holds it"
    say(
        "The gate is open."
        if board.gate.is_open
        else f"The gate is closed ({', '.join(board.gate.holds)}); it opens {opens}"
    )
    table = _table("Client", "Status", "Received on", "May object until", "Holds")
    for row in board.rows:
        holds = ", ".join(row.gate.holds) or "-"
        table.add_row(
            row.client.company, row.status, str(row.notice.received_on or "-"), str(row.notice.object_by), holds
        )
    say(table)


@announcements_group.command("live")
@click.argument("reference")
@click.option("--breach-reason", default="", help="Why it went live although the gate was closed.")
@with_session
def announcements_live(runtime: Runtime, session: Session, reference: str, breach_reason: str) -> None:
    """Record that the change has gone live."""
    del runtime
    one = announcements.by_reference(session, reference)
    announcements.go_live(session, one.id, by=operator(), now=now(), breach_reason=breach_reason)
    say(f"{one.reference} is recorded as live{' in breach' if one.breach_reason else ''}.")


@main.group("webhooks")
def webhooks_group() -> None:
    """Endpoints of ticketing systems."""


@webhooks_group.command("add")
@click.argument("url")
@click.option("--kind", "kinds", multiple=True, help="Only this kind of event; may be repeated.")
@with_session
def webhooks_add(runtime: Runtime, session: Session, url: str, kinds: Sequence[str]) -> None:
    """Register an endpoint; its secret is shown this once."""
    endpoint, secret = webhooks.add(session, runtime.desk, url=url, kinds=kinds, by=operator(), now=now())
    say(f"{endpoint.id}\nSecret (shown this once): {secret}")


@webhooks_group.command("list")
@with_session
def webhooks_list(runtime: Runtime, session: Session) -> None:
    """List the endpoints."""
    del runtime
    for endpoint in webhooks.everyone(session):
        state = "on" if endpoint.enabled else f"off ({endpoint.disabled_why})"
        say(f"{endpoint.id}  {state}  {endpoint.url}  {', '.join(endpoint.kinds) or 'every event'}")


@webhooks_group.command("kinds")
@data_dir_option
def webhooks_kinds(data_dir: Path) -> None:
    """List the kinds of event."""
    del data_dir  # every command takes it; this one needs no data
    for kind in EventKind:
        click.echo(kind.value)


@webhooks_group.command("test")
@click.argument("endpoint", type=click.UUID)
@with_session
def webhooks_test(runtime: Runtime, session: Session, endpoint: UUID) -> None:
    """Send a test event."""
    del runtime
    webhooks.test(session, endpoint, by=operator(), now=now())
    say("A test event is on its way.")


@webhooks_group.command("switch")
@click.argument("endpoint", type=click.UUID)
@click.argument("to", type=click.Choice(["on", "off"]))
@with_session
def webhooks_switch(runtime: Runtime, session: Session, endpoint: UUID, to: str) -> None:
    """Switch an endpoint on or off."""
    del runtime
    webhooks.enable(session, endpoint, enabled=to == "on", by=operator(), now=now(), why="switched off by an operator")
    say(f"The endpoint is {to}.")


@main.group("users")
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
    _print_link(session, users.invite(session, user, by=operator(), now=now()))


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
        _print_link(session, users.invite(session, user, by=operator(), now=now()))


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


@main.command("events")
@click.option("--about", type=click.UUID, help="Only those about this id (a notice, an announcement, a version, …).")
@click.option("--after", type=int, default=0, help="Only those after this number.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, as webhooks carry them.")
@with_session
def events_command(runtime: Runtime, session: Session, about: UUID | None, after: int, *, as_json: bool) -> None:
    """List what happened, in its order."""
    del runtime
    while page := events.history(session, about=about, after=after):
        for event in page:
            facts = "  ".join(f"{name}={value}" for name, value in event.data.items())
            say(
                events.body(event)
                if as_json
                else f"{event.id:>6}  {event.at:%Y-%m-%d %H:%M:%S}Z  {event.kind.value}  {event.by}  {facts}"
            )
        after = page[-1].id or 0


@main.command("items")
@with_session
def items_command(runtime: Runtime, session: Session) -> None:
    """List what waits for a person."""
    del runtime
    for item in items.open_items(session):
        say(f"{item.opened_at:%Y-%m-%d %H:%M}Z  {item.kind.value}  {item.about_id}")


@main.command()
@data_dir_option
def sweep(data_dir: Path) -> None:
    """Do once what a worker does: expire leases, end periods, send what is due."""
    with opened(data_dir) as runtime:
        worker = Worker(runtime)
        worker.tick()
        worker.close()


def _user(session: Session, email: str) -> User:
    user = users.find(session, email)
    if user is None:
        raise Refused(f"there is no user {email}: `notifier users list` shows them")
    return user


def _entries_of(session: Session, name: str) -> list[Entry]:
    if name == "draft":
        found = registry.draft(session)
        if found is None:
            raise registry.NoDraft
        return registry.entries(session, found)
    if name.isdigit():
        return registry.entries(session, registry.get(session, int(name)))
    file = Path(name)
    if not file.is_file():
        raise Refused(f'"{name}" is neither a version, nor "draft", nor a file')
    return list(read_register(file.read_bytes(), filename=file.name).entries)


def _print_entries(entries: Sequence[Entry]) -> None:
    table = _table("Key", "Name", "Activity", "Postcode", "Town", "Country")
    for entry in entries:
        table.add_row(entry.key, entry.name, entry.activity, entry.postcode, entry.town, entry.country or "?")
    say(table)


def _table(*headings: str) -> Table:
    """Return a table whose first column, the one to be typed back, is never cut."""
    table = Table(box=None)
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=number == 0, overflow="fold")
    return table


def _print_changes(changes: Sequence[registry_diff.Change]) -> None:
    if not changes:
        say("Nothing changes in meaning.")
    for change in changes:
        before = (
            f" (in the place of {change.before.name})"
            if change.kind is registry_diff.ChangeKind.REPLACED and change.before
            else ""
        )
        say(f"{change.kind.value}: {change.name}{before}")
        for field in change.fields:
            say(f"    {field.field}: {field.before or '-'} → {field.after or '-'}")


def _print_preview(preview: announcements.Preview) -> None:
    _print_changes(preview.changes)
    for one in preview.affected:
        told = ", ".join(contact.email for contact in one.addressed) or "nobody can be told by mail"
        say(f"{one.client.company}: may object until {one.reckoning.last_day} ({told})")
    say(f"{len(preview.affected)} clients, {preview.addresses} mails")
    say(f"Earliest effective day: {preview.earliest_effective_on or 'any, since nobody is affected'}")


def _print_link(session: Session, token: str) -> None:
    base_url = provider.get(session).base_url or "http://127.0.0.1:8000"
    say(embedded.sign_in_link(base_url, token))


def _instant(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z" if at else "not yet"
