"""The `notifier` command: each verb parses, opens a transaction, calls a service, and says what happened."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from sqlmodel import Session

from notifier import __version__, demo, embedded, schema
from notifier import runtime as wiring
from notifier.adapters import cells, logs
from notifier.adapters.remarks import BadCell, remark
from notifier.cli.announcements import announcements_group
from notifier.cli.bench import bench_group
from notifier.cli.bounces import bounces_group
from notifier.cli.doctor import doctor_command
from notifier.cli.evidence import relay_log_group
from notifier.cli.operating import backup_command, hold_group, instance_group, restore_command, upgrade_command
from notifier.cli.people import clients_group, users_group
from notifier.cli.registry import registry_group
from notifier.cli.shared import LANGUAGES, Group, Refused, data_dir_option, opened, operator, say, with_session
from notifier.cli.watches import watch_group
from notifier.models import EventKind
from notifier.rules.calendars import BadPeriod
from notifier.rules.deadlines import ask, deadline, from_case
from notifier.rules.periods import Period
from notifier.rules.wording import explain
from notifier.runtime import Runtime, now
from notifier.services import (
    events,
    items,
    provider,
    webhooks,
)
from notifier.settings import load
from notifier.worker import Worker


@click.group(cls=Group)
@click.version_option(__version__, package_name="notifier")
def main() -> None:
    """Tell clients of changes of subprocessors before they happen, keep their answers, and prove both."""
    logs.configure("auto")


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
    settings = load(data_dir, overrides)
    logs.configure(settings.log_format)
    runtime = wiring.build(settings)
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
    schema.migrate(runtime.engine)
    runtime.close()
    click.echo("The tables are up to date.")


@db.command("migration", hidden=True)
@click.argument("message")
def db_migration(message: str) -> None:
    """Write a migration from the models (for those who develop the product)."""
    click.echo(schema.write_migration(message).name)


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


@profile.command("host")
@click.argument("values", nargs=-1, metavar="[FIELD=VALUE…]")
@with_session
def profile_host(runtime: Runtime, session: Session, values: Sequence[str]) -> None:
    """Show or say what the host is in the table of guarantees of HDS, such as hds=yes places="FR: Pantin"."""
    del runtime
    pairs = dict(value.partition("=")[::2] for value in values)
    read = {}
    for name, text in pairs.items():
        try:
            read[name] = cells.read(name, text) if name in provider.HOST else text
        except BadCell as bad:
            raise Refused(remark(0, name, bad.code, **bad.facts).text("en")) from None
    own = provider.host(session)
    if pairs:
        own = provider.change_host(session, read, by=operator(), now=now())
    for name in provider.HOST:
        say(f"{name:<18} {cells.written(name, getattr(own, name)) or 'not stated'}")


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


OTHERS = (
    announcements_group,
    backup_command,
    bench_group,
    bounces_group,
    clients_group,
    doctor_command,
    hold_group,
    instance_group,
    registry_group,
    relay_log_group,
    restore_command,
    upgrade_command,
    users_group,
    watch_group,
)
for one in OTHERS:
    main.add_command(one)
