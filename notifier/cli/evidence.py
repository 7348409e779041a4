"""What a relay's log says of mails that may or may not have arrived, by command."""

from __future__ import annotations

from pathlib import Path

import click
from sqlmodel import Session

from notifier.adapters.relay_logs import read_relay_log
from notifier.cli.shared import operator, say, with_session
from notifier.runtime import Runtime, now
from notifier.services import evidence


@click.group("relay-log")
def relay_log_group() -> None:
    """The relay's own log, as evidence for mails that may or may not have arrived."""


@relay_log_group.command("read")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@with_session
def relay_log_read(runtime: Runtime, session: Session, files: tuple[Path, ...]) -> None:
    """Close unknown mails by what the logs (Postfix, Exim) say of their Message-IDs; all FILES, or none."""
    arrived = returned = 0
    for file in files:
        with file.open(encoding="utf-8", errors="replace") as lines:
            done = evidence.take_log(session, runtime.desk, read_relay_log(lines), by=operator(), now=now())
        arrived, returned = arrived + done["arrived"], returned + done["returned"]
    say(f"{arrived} mails had arrived at the relay, {returned} came back; the others stay as they were.")
