"""The registry of subprocessors, by command."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
from sqlmodel import Session

from notifier.adapters import cells
from notifier.adapters.remarks import BadCell, remark
from notifier.cli import registry_files
from notifier.cli.registry_files import A_DAY
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
from notifier.rules import completeness, registry_diff
from notifier.rules.completeness import Asks
from notifier.rules.entries import Entry
from notifier.rules.entries import as_json as as_values
from notifier.runtime import Runtime, now
from notifier.services import (
    announcements,
    boards,
    clients,
    own_lists,
    previews,
    registry,
    replay,
    timeline,
)


@click.group("registry")
def registry_group() -> None:
    """The registry of subprocessors."""


for files in registry_files.COMMANDS:
    registry_group.add_command(files)


@registry_group.command("show")
@click.option("--version", "number", type=int, help="A version by its number.")
@click.option("--on", type=A_DAY, help="The list in force at the end of that day, or announced for it.")
@click.option("--known-on", type=A_DAY, help="As far as was known at the end of that day.")
@click.option("--client", "key", help="A client's own list, by its key: what was really made for it.")
@click.option("--service", default="", help="Only what that service of ours uses.")
@click.option("--json", "as_json", is_flag=True)
@with_session
def registry_show(
    runtime: Runtime,
    session: Session,
    number: int | None,
    on: date | None,
    known_on: date | None,
    key: str | None,
    service: str,
    *,
    as_json: bool,
) -> None:
    """Show the list in force; or a version, or the list on a day, as known on a day, for a client, for a service."""
    del runtime
    if number is not None and (key or on or known_on):
        raise Refused("a version is the same on every day and for every client: leave out --version, or the others")
    if key is not None:
        _show_own_list(session, key, on, known_on, service, as_json=as_json)
        return
    listed = _listed(session, number, on, known_on)
    entries = timeline.of_service(listed.entries, service) if service else listed.entries
    if as_json:
        said = {"version": listed.version and listed.version.number, "expected": listed.expected}
        _say_json({**said, "entries": [as_values(entry) for entry in entries]})
    elif listed.version is None:
        say("No list was in force." if on or known_on else "No list is in force yet: import one, then publish it.")
    else:
        version = listed.version
        since = f"published {instant(version.published_at)}, in force since {instant(version.live_at)}"
        say(f"Version {version.number}, {since}")
        if listed.expected:
            say("Some of it was announced and had not been made yet.")
        print_entries(entries)


def _listed(session: Session, number: int | None, on: date | None, known_on: date | None) -> timeline.Listed:
    if number is not None:
        kept = registry.get(session, number)
        listed = tuple(registry.entries(session, kept))
        return timeline.Listed(entries=listed, at=kept.published_at or now(), version=kept, expected=False)
    if known_on and not on:
        return timeline.known(session, on=known_on, now=now())
    if on:
        return timeline.as_of(session, on=on, now=now(), known_on=known_on)
    at = now()
    entries = timeline.in_force(session, at)
    return timeline.Listed(entries=entries, at=at, version=registry.live(session, at), expected=False)


@registry_group.command("history")
@with_session
def registry_history(runtime: Runtime, session: Session) -> None:
    """List the published versions, newest first, and where those of the past were read."""
    del runtime
    sources = replay.sources(session)
    for version in registry.versions(session):
        effective = f"announced for {instant(version.effective_at)}, in force since {instant(version.live_at)}"
        source = sources.get(version.id)
        read = f"read from {replay.short(source)}" if source else effective
        withdrawn = f", withdrawn {instant(version.withdrawn_at)}" if version.withdrawn_at else ""
        say(f"{version.number:>4}  published {instant(version.published_at)}, {read}{withdrawn}")


@registry_group.command("completeness")
@click.argument("key", required=False)
@click.option("--pack", help="What one contract pack asks; else what those that clients are under ask.")
@with_session
def registry_completeness(runtime: Runtime, session: Session, key: str | None, pack: str | None) -> None:
    """Say what the draft (or the published list) lacks of what the law asks, each with its source."""
    packs = runtime.desk.packs
    if pack is not None and pack not in packs:
        raise Refused(f'there is no contract pack "{pack}": write one of {", ".join(sorted(packs))}')
    names = {pack} if pack else clients.packs_in_use(session, runtime.desk)
    asks = {one for name in names if name in packs for one in packs[name].asks} or {Asks.GDPR}
    entries = registry.entries(session, registry.draft(session) or registry.published(session))
    wanted = [entry for entry in entries if key in {None, entry.key}]
    if key and not wanted:
        raise registry.NoSuchEntry(key)
    found = completeness.of_list(wanted, asks, today=own_lists.today_of(session, now()))
    for entry in wanted:
        one = found.entries[entry.key]
        say(f"{entry.key}: {one.known} of {one.asked}")
        for missing in one.missing:
            say(f"    {missing.field}: {missing.source}")
        for ended in one.expired:
            say(f"    {ended.standard} ended on {ended.expires_on}")
        for missing in one.next:
            say(f"    later, {missing.field}: {missing.source}")
    say(f"{found.known} of {found.asked} are known, as asked by {', '.join(sorted(asks))}.")


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
    return click.option("--activity", "activities", default=None, hidden=True)(command)


def _read(fields: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what the options say, each in the notation of a cell."""
    said: dict[str, Any] = {}
    for name, text in fields.items():
        try:
            said |= {} if text is None else {name: cells.read(name, text)}
        except BadCell as bad:
            raise Refused(remark(0, f"--{name.replace('_', '-')}", bad.code, **bad.facts).text("en")) from None
    return said


@draft_group.command("add")
@entry_options
@click.option("--key", default="", help="How versions tell it apart; made from the name when left out.")
@click.option("--replaces", default="", help="The key of the entry whose place it takes.")
@with_session
def draft_add(runtime: Runtime, session: Session, key: str, replaces: str, **fields: str | None) -> None:
    """Add an entry; with --replaces, in the place of another."""
    del runtime
    written = _read(fields)
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
    written = _read(fields)
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
    board = boards.board(session, made.id, now=now())
    say(f"{made.reference} is published: {len(board.rows)} clients, {board.in_flight} mails in the outbox.")


def _show_own_list(
    session: Session, key: str, on: date | None, known_on: date | None, service: str, *, as_json: bool
) -> None:
    client = clients.by_key(session, key)
    day = on or known_on or own_lists.today_of(session, now())
    found = own_lists.own_list(session, client.id, on=day, known_on=known_on)
    kept = {entry.key for entry in timeline.of_service([one.entry for one in found.entries], service)}
    listed = [one for one in found.entries if not service or one.entry.key in kept]
    if as_json:
        entries = [{**as_values(one.entry), "since": one.since.isoformat(), "early": one.began_early} for one in listed]
        told = {"client": client.key, "on": day.isoformat(), "expected": found.expected, "excluded": found.excluded}
        _say_json({**told, "entries": entries})
        return
    say(f"{client.company}, at the end of {day}")
    if found.expected:
        say("Some of it was announced and had not been made yet.")
    shown = headed("Key", "Name", "Activity", "Town", "Country", "Since", "")
    for one in listed:
        entry, early = one.entry, "began before the client's period ended" if one.began_early else ""
        shown.add_row(entry.key, entry.name, entry.activity, entry.town, entry.country, instant(one.since), early)
    say(shown)
    for reference in found.excluded:
        say(f"{reference} is not made for this client.")


def _say_json(data: Mapping[str, Any]) -> None:
    say(json.dumps(data, ensure_ascii=False, indent=2))
