"""Taking in mails that came back, by command: from files, or from a mail server's pipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from sqlalchemy.exc import OperationalError

from notifier.cli.shared import Refused, data_dir_option, opened
from notifier.models import BounceDoor

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: a mail server keeps the mail and asks again


class NotNow(Refused):
    exit_code = TRY_AGAIN


@click.command("intake")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path, allow_dash=True))
@data_dir_option
def bounces_intake(data_dir: Path, files: Sequence[Path]) -> None:
    """Take in mails that came back, one from each FILE; - reads one from the standard input.

    The same mail twice has one effect.  Exit code 75 where the database does not answer, so that a mail server that
    pipes mails in keeps them and tries again.
    """
    contents = [(file, _read(file)) for file in files]
    try:
        with opened(data_dir) as runtime:
            for file, content in contents:
                kept = runtime.take_in(content, BounceDoor.FILE)
                click.echo(
                    f"{file}: {f'{kept.kind.value}, {_about(kept.matched_by)}' if kept else 'a forged tag: left aside'}"
                )
    except OperationalError as trouble:
        raise NotNow(f"the database does not answer: {trouble.orig}") from None
    except Exception as trouble:
        # Whatever it is, the mail server must keep the mail: a bounce that is refused for good has nobody to return to.
        raise NotNow(f"not taken in ({type(trouble).__name__}: {trouble}); bring it again") from trouble


def _read(file: Path) -> bytes:
    try:
        with click.open_file(str(file), "rb") as handle:
            content: bytes = handle.read()
    except OSError as trouble:
        raise Refused(f"{file} cannot be read: {trouble.strerror}") from None
    return content


def _about(matched_by: str) -> str:
    return f"about a mail of ours (by its {matched_by.replace('_', ' ')})" if matched_by else "about no mail of ours"
