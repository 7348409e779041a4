"""What every command shares: settings become working parts, one transaction, refusals in one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import OperationalError

from notifier import demo, schema
from notifier import runtime as wiring
from notifier.adapters import logs
from notifier.adapters.backups import BadBackup
from notifier.adapters.exports import BadExport
from notifier.adapters.histories import BadHistory
from notifier.adapters.remarks import BadList
from notifier.rules import kinds, registry_diff
from notifier.rules.calendars import BadPeriod
from notifier.rules.entries import Entry
from notifier.rules.terms import BadPack, Channel
from notifier.runtime import Runtime
from notifier.services import (
    announcements,
    clients,
    corrections,
    going_live,
    holds,
    letter_notes,
    notices,
    overrides,
    plans,
    previews,
    provider,
    registry,
    replay,
    users,
    watches,
    webhooks,
)
from notifier.services.previews import Concern
from notifier.settings import BadSettings, load

REFUSALS = (
    BadBackup,
    BadExport,
    BadHistory,
    BadList,
    BadPack,
    BadPeriod,
    BadSettings,
    announcements.DraftChanged,
    announcements.EffectiveInPast,
    announcements.EffectiveTooEarly,
    announcements.NoSuchAnnouncement,
    announcements.NotADraft,
    announcements.NotPublished,
    announcements.Prohibited,
    announcements.ReasonMissing,
    announcements.SentTooLate,
    announcements.WrongKind,
    corrections.BegunAlready,
    corrections.BuiltUpon,
    corrections.NotEarlier,
    corrections.NotWording,
    corrections.NothingCorrected,
    corrections.WhyMissing,
    demo.StoryFailed,
    going_live.AlreadyLive,
    going_live.EarlierNotLive,
    going_live.ExclusionReasonMissing,
    going_live.GateClosed,
    going_live.LiveAtWrongTime,
    going_live.NobodyLeft,
    going_live.NotPerClient,
    going_live.NothingBreached,
    going_live.UntoldClients,
    holds.NotHeld,
    holds.NotStarted,
    kinds.BadFacts,
    overrides.NoSuchOverride,
    overrides.NotOverridable,
    overrides.SamePerson,
    overrides.StartedInFuture,
    overrides.WhyMissing,
    clients.NoSuchClient,
    notices.NoSuchNotice,
    plans.OtherDraft,
    provider.BadProfile,
    provider.ProfileIncomplete,
    registry.BadEntry,
    registry.DraftLeans,
    registry.DraftMoved,
    registry.NoDraft,
    registry.NoSuchEntry,
    registry.NoSuchVersion,
    registry.NothingChanged,
    registry_diff.DuplicateKey,
    replay.BadPast,
    users.BadUser,
    users.LastAdministrator,
    watches.BadSource,
    watches.NoSuchSource,
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
    settings = load(data_dir, overrides)
    logs.configure(settings.log_format)
    runtime = wiring.build(settings)
    try:
        if not schema.is_current(runtime.engine):
            schema.migrate(runtime.engine)
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


def print_entries(entries: Sequence[Entry]) -> None:
    table = headed("Key", "Name", "Activity", "Postcode", "Town", "Country")
    for entry in entries:
        where = ", ".join(entry.countries) or "?"
        table.add_row(entry.key, entry.name, entry.activity, entry.postcode, entry.town, where)
    say(table)


def headed(*headings: str) -> Table:
    """Return a table whose first column, the one to be typed back, is never cut."""
    table = Table(box=None)
    for number, heading in enumerate(headings):
        table.add_column(heading, no_wrap=number == 0, overflow="fold")
    return table


def print_changes(changes: Sequence[registry_diff.Change]) -> None:
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


def instant(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z" if at else "not yet"


def reason_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Why, in each language of the letters."""
    for language, name in (("fr", "French"), ("en", "English")):
        said = f"Why, in {name}; it stands in the letter."
        command = click.option(f"--reason-{language}", default="", help=said)(command)
    return command


def print_preview(preview: previews.Preview) -> None:
    """What publishing would do: each client of the first page, the numbers of all, and what to think of before."""
    print_changes(preview.changes)
    for one in preview.affected:
        told = ", ".join(contact.email for contact in one.addressed) or "nobody can be told by mail"
        until = f"may answer until {one.reckoning.last_day}" if one.rule.runs else one.rule.mode.value.replace("_", " ")
        paper = "" if one.channel is Channel.MAIL else ", by registered letter"
        say(f"{one.client.company}: {until}{paper} ({told})")
    if preview.clients > len(preview.affected):
        say(f"… and {preview.clients - len(preview.affected)} more")
    say(f"{preview.clients} clients, {preview.addresses} mails")
    for because in preview.reasons:
        say(f"Why: {letter_notes.because(because.reason, 'en', of_the_client=True)} ({because.clients} clients)")
    if preview.unconcerned:
        say(f"{preview.unconcerned} clients do not use what changes, and are not told")
    for warned in preview.warnings:
        say(f"Warning: {CONCERNS[warned.concern]} ({warned.clients} clients{_listed(warned.details)})")
    if preview.latest_sending_at:
        say(f"For {preview.effective_on} the notices leave by {instant(preview.latest_sending_at)} at the latest")
    if preview.slowest:
        slowest = preview.slowest
        say(f"Slowest terms: {slowest.told.key} ({slowest.clients} clients)")
    say(f"Earliest effective day: {preview.earliest_effective_on or 'any, since nobody is affected'}")
    if preview.earliest_acknowledged_on:
        say(f"If each client confirmed receipt today: {preview.earliest_acknowledged_on}")


def _listed(details: Sequence[str]) -> str:
    return f": {', '.join(details)}" if details else ""


CONCERNS = {
    Concern.UNREACHABLE: "nobody can be told: no contact in the roles of the contract, or no postal address",
    Concern.ON_PAPER: "told by registered letter",
    Concern.UNCONFIRMED: "defaults stand in for what the contract leaves open, to be confirmed by counsel",
    Concern.OWN_TERMS: "own terms in the place of the contract's",
    Concern.HOLIDAYS: "weekends or holidays move the last day",
    Concern.SHORT: "less than fifteen days to answer",
    Concern.CASCADE: "processors above us have too little time to tell their own clients",
    Concern.UNKNOWN_SERVICES: "not told, with services, regions or options that no entry names: check their spelling",
    Concern.NO_SERVICES: "no services stated, so every change is taken to concern them",
}
