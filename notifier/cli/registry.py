"""The registry of subprocessors, by command."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
from sqlmodel import Session

from notifier.adapters.lists import read_register
from notifier.cli.shared import (
    Refused,
    data_dir_option,
    headed,
    instant,
    opened,
    operator,
    print_changes,
    print_entries,
    print_preview,
    print_what_was_said,
    reason_options,
    say,
    with_session,
)
from notifier.models import AnnouncementKind
from notifier.rules import registry_diff
from notifier.rules.periods import start_of_day, zone
from notifier.rules.registry_diff import Entry
from notifier.runtime import Runtime, now
from notifier.services import (
    announcements,
    clients,
    notices,
    own_lists,
    previews,
    provider,
    registry,
)


@click.group("registry")
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
    print_changes(registry.draft_changes(session))


@registry_group.command("show")
@click.option("--version", "number", type=int, help="A version by its number.")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), help="The list in force at the end of that day.")
@click.option("--client", "key", help="A client's own list, by its key: what was really made for it.")
@with_session
def registry_show(
    runtime: Runtime, session: Session, number: int | None, day: datetime | None, key: str | None
) -> None:
    """Show the list in force, or a version, or the list in force on a day, for all or for one client."""
    del runtime
    if key is not None:
        if number is not None:
            raise Refused("a version is the same for every client: leave out --version, or --client")
        _print_own_list(session, key, day.date() if day else None)
        return
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
    since = f"published {instant(version.published_at)}, in force since {instant(version.live_at)}"
    say(f"Version {version.number}, {since}")
    print_entries(registry.entries(session, version))


@registry_group.command("history")
@with_session
def registry_history(runtime: Runtime, session: Session) -> None:
    """List the published versions, newest first."""
    del runtime
    for version in registry.versions(session):
        effective = f"announced for {instant(version.effective_at)}, in force since {instant(version.live_at)}"
        say(f"{version.number:>4}  published {instant(version.published_at)}, {effective}")


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
    print_changes(changes)
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
            print_entries(registry.entries(session, found))
            print_changes(registry.draft_changes(session))
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
    print_changes(registry.draft_changes(session))


@draft_group.command("amend")
@click.argument("key")
@entry_options
@with_session
def draft_amend(runtime: Runtime, session: Session, key: str, **fields: str | None) -> None:
    """Change fields of an entry."""
    del runtime
    written = {name: text for name, text in fields.items() if text is not None}
    registry.amend_entry(session, key, written, by=operator(), now=now())
    print_changes(registry.draft_changes(session))


@draft_group.command("remove")
@click.argument("key")
@with_session
def draft_remove(runtime: Runtime, session: Session, key: str) -> None:
    """Take an entry off the draft."""
    del runtime
    registry.remove_entry(session, key, by=operator(), now=now())
    print_changes(registry.draft_changes(session))


@draft_group.command("discard")
@with_session
def draft_discard(runtime: Runtime, session: Session) -> None:
    """Throw the draft away."""
    del runtime
    registry.discard_draft(session, by=operator(), now=now())
    say("The draft is gone; what is published stays.")


@registry_group.command("publish")
@click.option("--effective", "day", type=click.DateTime(["%Y-%m-%d"]), help="The day from which the change is to hold.")
@reason_options
@click.option("--per-client", is_flag=True, help="The change can be made for one client and not for another.")
@click.option("--emergency", is_flag=True, help="Ask each client for its consent to an early start.")
@click.option("--measures-en", default="", help="In an emergency: what protects the data, in English.")
@click.option("--measures-fr", default="", help="In an emergency: what protects the data, in French.")
@click.option("--guarantees-en", default="", help="What shows that the new provider protects as well, in English.")
@click.option("--guarantees-fr", default="", help="What shows that the new provider protects as well, in French.")
@click.option("--dry-run", is_flag=True, help="Show whom it would tell and until when each may object.")
@with_session
def registry_publish(  # noqa: PLR0913, PLR0917 - the options of one verb
    runtime: Runtime,
    session: Session,
    day: datetime | None,
    reason_en: str,
    reason_fr: str,
    measures_en: str,
    measures_fr: str,
    guarantees_en: str,
    guarantees_fr: str,
    *,
    per_client: bool,
    emergency: bool,
    dry_run: bool,
) -> None:
    """Publish the draft: the first version at once, every further one as an announcement to all affected clients."""
    if registry.published(session) is None:
        version = registry.establish(session, by=operator(), now=now())
        say(f"Version {version.number} is in force.")
        return
    kind = AnnouncementKind.EMERGENCY if emergency else AnnouncementKind.SUBPROCESSOR
    if dry_run:
        on = day.date() if day else None
        print_preview(previews.preview(session, runtime.desk, now=now(), kind=kind, effective_on=on))
        return
    if day is None:
        raise Refused("say from which day the change is to hold: --effective YYYY-MM-DD (--dry-run shows the earliest)")
    reasons = {"en": reason_en, "fr": reason_fr}
    measures = {"measures_en": measures_en, "measures_fr": measures_fr}
    facts = {"guarantees_en": guarantees_en, "guarantees_fr": guarantees_fr, **(measures if emergency else {})}
    made = announcements.publish(
        session,
        runtime.desk,
        kind=kind,
        facts=facts,
        per_client=per_client,
        effective_on=day.date(),
        reasons=reasons,
        by=operator(),
        now=now(),
    )
    session.flush()
    board = notices.board(session, made.id, now=now())
    say(f"{made.reference} is published: {len(board.rows)} clients, {board.in_flight} mails in the outbox.")


def _print_own_list(session: Session, key: str, on: date | None) -> None:
    client = clients.by_key(session, key)
    found = own_lists.own_list(session, client.id, on=on or own_lists.today_of(session, now()))
    say(f"{client.company}, at the end of {found.on}")
    shown = headed("Key", "Name", "Activity", "Town", "Country", "Since", "")
    for one in found.entries:
        entry, early = one.entry, "began before the client's period ended" if one.began_early else ""
        shown.add_row(entry.key, entry.name, entry.activity, entry.town, entry.country, instant(one.since), early)
    say(shown)
    for reference in found.excluded:
        say(f"{reference} is not made for this client.")


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
