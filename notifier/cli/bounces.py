"""Mails that came back, by command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from notifier.adapters.bounce_reader import BounceReader
from notifier.cli.bounce_intake import bounces_intake
from notifier.cli.shared import Refused
from notifier.rules.bounces import MOST_BYTES, Report


@click.group("bounces")
def bounces_group() -> None:
    """Mails that came back."""


bounces_group.add_command(bounces_intake)


@bounces_group.command("read")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="One JSON object on a line for each file.")
def bounces_read(files: Sequence[str], *, as_json: bool) -> None:
    """Say what mails that came back mean: a line for each FILE. Nothing is kept. Of an mbox the first mail is read."""
    for file in files:
        _content(file, most=1)  # all can be opened, or nothing is said
    with BounceReader() as reader:
        for file in files:
            report = reader.read(_content(file))
            click.echo(json.dumps(_row(file, report)) if as_json else _line(file, report))


def _content(file: str, most: int = MOST_BYTES) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(most)
    except OSError as trouble:
        raise Refused(f"{click.format_filename(file)} cannot be read: {trouble.strerror}") from None


def _row(file: str, report: Report) -> dict[str, object]:
    recipients = [{"address": one.address, "status": one.status, "hard": one.hard} for one in report.recipients]
    return {"file": file, "kind": report.kind.value, "recipients": recipients}


def _line(file: str, report: Report) -> str:
    named = ", ".join(
        " ".join(filter(None, (one.address, one.status, "(hard)" if one.hard else ""))) for one in report.recipients
    )
    return f"{click.format_filename(file)}: {report.kind}{f': {named}' if named else ''}"
