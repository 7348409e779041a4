"""The watch on our own subprocessors' lists, by command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import click
from sqlmodel import Session

from notifier.cli.shared import (
    Refused,
    data_dir_option,
    instant,
    opened,
    operator,
    print_changes,
    print_what_was_said,
    say,
    with_session,
)
from notifier.models import Source
from notifier.rules import registry_diff
from notifier.runtime import Runtime, now
from notifier.services import watches


@click.group("watch")
def watch_group() -> None:
    """The lists of our own subprocessors, and what changes there."""


@watch_group.command("list")
@with_session
def watch_list(runtime: Runtime, session: Session) -> None:
    """List what is watched, and the suggestions that nobody has decided."""
    del runtime
    for source in watches.everyone(session):
        say(f"{source.id}  {source.entry_key}  {source.address}")
        say(f"    every {source.hours} hours, last {instant(source.last_looked_at)}: {_state(source)}")
    for one in watches.suggestions(session):
        entry_key = watches.get(session, one.source_id).entry_key
        say(f"Suggestion of {instant(one.opened_at)} about {entry_key}: {len(one.changes)} changes ({one.id})")


def _state(source: Source) -> str:
    if source.paused:
        return "paused"
    said = f"{source.troubles} times in a row: {source.last_trouble}; " if source.last_trouble else ""
    return f"{said}next {instant(source.next_look_at)}"


@watch_group.command("add")
@click.argument("entry_key")
@click.argument("address")
@click.option(
    "--every", "hours", default=24, show_default=True, metavar="HOURS", help="Hours from one look to the next."
)
@click.option("--map", "mapping", multiple=True, metavar="HEADING=FIELD", help="What a column holds; may be repeated.")
@with_session
def watch_add(
    runtime: Runtime, session: Session, entry_key: str, address: str, hours: int, mapping: Sequence[str]
) -> None:
    """Watch the list of an entry of the registry: an https ADDRESS, or a file below the folder `watch.files`."""
    pairs = dict(one.rpartition("=")[::2] for one in mapping)
    source = watches.add(
        session,
        runtime.desk,
        entry_key=entry_key,
        address=address,
        hours=hours,
        mapping=pairs,
        by=operator(),
        now=now(),
    )
    say(f"{source.id}\nIt is looked at with the next sweep; `notifier watch look {source.id}` looks at once.")


@watch_group.command("look")
@click.argument("source", type=click.UUID)
@data_dir_option
def watch_look(data_dir: Path, source: UUID) -> None:
    """Look at a source at once, and say what was found."""
    with opened(data_dir) as runtime:
        with runtime.transaction() as session:
            watches.get(session, source)
            errands = watches.claim(session, limit=1, now=now(), only=source)
        if not errands:
            raise Refused("somebody is looking at this source, or it is watched no more: see `notifier watch list`")
        found = watches.look(runtime.desk, errands[0])
        with runtime.transaction() as session:
            suggested = watches.settle(session, errands[0], found, now=now())
            print_changes([registry_diff.from_json(one) for one in suggested.changes] if suggested else [])
    if found.trouble:
        raise Refused(f"the list could not be read: {found.trouble}")
    if errands[0].base is None:
        click.echo("The list is kept; later ones are compared with it.")
        return
    print_what_was_said()


@watch_group.command("pause")
@click.argument("source", type=click.UUID)
@click.option("--off", is_flag=True, help="Watch again.")
@with_session
def watch_pause(runtime: Runtime, session: Session, source: UUID, *, off: bool) -> None:
    """Look at a source no more until it is watched again."""
    del runtime
    watches.pause(session, source, paused=not off, by=operator(), now=now())
    say("The source is watched again." if off else "The source is paused.")


@watch_group.command("remove")
@click.argument("source", type=click.UUID)
@with_session
def watch_remove(runtime: Runtime, session: Session, source: UUID) -> None:
    """Watch a source no more; what was seen there is kept."""
    del runtime
    watches.remove(session, source, by=operator(), now=now())
    say("The source is watched no more.")
