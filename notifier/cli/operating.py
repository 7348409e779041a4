"""Backing up, restoring, upgrading; and the hold on all sending."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import click
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from notifier import __version__, schema
from notifier import runtime as wiring
from notifier.adapters import backups
from notifier.adapters.backups import BadBackup, Manifest
from notifier.adapters.instances import Mark, write_mark
from notifier.cli.shared import Refused, data_dir_option, instant, opened, operator, say, with_session
from notifier.models import HoldKind
from notifier.runtime import Runtime, now
from notifier.services import holds
from notifier.settings import Settings, load

ARCHIVE = click.Path(path_type=Path, dir_okay=False)
HELD: Mapping[HoldKind | None, str] = {
    HoldKind.PERSON: "somebody stopped it",
    HoldKind.STRANGE_FOLDER: "the data folder and the database do not belong together: one is a copy, or was restored",
    HoldKind.OLDER_DATABASE: "the database is older than what the data folder has seen: a backup of it was restored",
}
AFTER_A_RESTORE = """\
Sending is on hold: what waited when the backup was made may have left since.
  notifier hold show                what is held
  notifier up                       the pages, to look at it; nothing leaves yet
  notifier hold release             mails leave again; what may have left stays unknown, and nobody is told twice
  notifier hold release --put-back  only where nothing ran between the backup and this restore: what waited is sent"""


# --- backups ---------------------------------------------------------------------------------------------------------


@click.command("backup")
@click.argument("file", type=ARCHIVE)
@click.option("--verify", is_flag=True, help="Read it back as a restore would.")
@data_dir_option
def backup_command(data_dir: Path, file: Path, *, verify: bool) -> None:
    """Write database, keys, configuration, templates and uploaded proofs to one FILE, while everything runs."""
    if not data_dir.is_dir():
        raise BadBackup(f"there is no data folder {data_dir}: name it with --data-dir")
    with _built(load(data_dir)) as runtime:
        manifest = _back_up(runtime, file, verify=verify)
        in_the_file = "files/secret_key" in manifest.parts
    _say_what_is_in(file, manifest, verified=verify)
    if not in_the_file:
        click.echo("The secret key is NOT in it, since it comes from the settings: keep it, or no link can be rebuilt.")


@click.command("restore")
@click.argument("file", type=ARCHIVE)
@data_dir_option
def restore_command(data_dir: Path, file: Path) -> None:
    """Restore a backup into an empty data folder (and an empty database); it starts with sending on hold."""
    target = data_dir.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadBackup(f"{target} is not empty, and nothing is overwritten: name another --data-dir, or move it away")
    manifest = backups.read(file)
    if not schema.knows(manifest.database.revision):
        raise BadBackup(f"it was made by version {manifest.version}, which is newer: restore it with that version")
    with _staged(target) as staged:
        backups.read(file, staged)
        _settle(staged, target, manifest)
    click.echo(f"Restored: {_contents(manifest)}.")
    _after_restore(target, manifest)


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A folder within the target whose files move up at the end; after a failure nothing of it stays."""
    is_new = not target.exists()
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    staged = target / ".restoring"
    staged.mkdir(mode=0o700)
    try:
        yield staged
        for part in sorted((staged / backups.FILES).iterdir()):
            if (target / part.name).exists():
                raise BadBackup(f"{target / part.name} is there already, and nothing is overwritten")
            part.rename(target / part.name)
    finally:
        shutil.rmtree(staged)
        if is_new and not any(target.iterdir()):
            target.rmdir()


def _settle(staged: Path, target: Path, manifest: Manifest) -> None:
    """Fill the database that the restored settings or the environment name, and mark the folder as a copy."""
    files = staged / backups.FILES
    files.mkdir(exist_ok=True)
    settings = load(files)
    engine = wiring.make_engine(settings.database)
    try:
        backups.fill(engine, staged / manifest.dump, manifest.database.kind)
    except SQLAlchemyError as trouble:
        raise BadBackup(f"the database cannot be filled: {getattr(trouble, 'orig', trouble)}") from None
    finally:
        engine.dispose()
    write_mark(files, Mark(instance_id=uuid4(), is_copy=True), folder=target)


def _after_restore(target: Path, manifest: Manifest) -> None:
    with _built(load(target)) as runtime:
        if manifest.key not in runtime.desk.keyring.keys:
            click.echo("The secret key is another one: put back that of the backup, or no link in a sent mail works.")
        if not schema.is_current(runtime.engine):
            click.echo(f"Its tables are of revision {manifest.database.revision}: `notifier upgrade` comes first.")
            return
        runtime.check_instance()
    click.echo(AFTER_A_RESTORE)


@click.command("upgrade")
@data_dir_option
def upgrade_command(data_dir: Path) -> None:
    """Back up, then bring the tables up to date; stop the workers first."""
    with _built(load(data_dir)) as runtime:
        before = schema.revision(runtime.engine)
        if schema.is_current(runtime.engine):
            click.echo("The tables are up to date.")
            return
        if not schema.knows(before):
            raise Refused(
                f"the tables are of revision {before}, which a newer version made: install that version again"
            )
        kept = _keep(runtime, before) if before else None
        try:
            schema.migrate(runtime.engine)
        except Exception as trouble:
            raise Refused(_failed(trouble, before, kept)) from trouble
        agrees = runtime.check_instance()
    click.echo(f"The tables are up to date (revision {before or 'none'} before).")
    if not agrees:
        click.echo("Sending is on hold; `notifier hold show` says why.")


def _keep(runtime: Runtime, before: str) -> Path:
    folder = runtime.settings.data_dir / "backups"
    folder.mkdir(exist_ok=True, mode=0o700)
    file = folder / f"{now():%Y%m%dT%H%M%SZ}-revision-{before}.tar.gz"
    _say_what_is_in(file, _back_up(runtime, file, verify=True), verified=True)
    return file


def _failed(trouble: Exception, before: str, kept: Path | None) -> str:
    said = str(trouble).partition("\n")[0]
    kept_in = f" (what was there is also in {kept})" if kept else ""
    back = f"revision {before}{kept_in}" if before else "nothing"
    return f"the upgrade failed, and the tables are as before, {back}: start the version before again. It said: {said}"


def _back_up(runtime: Runtime, file: Path, *, verify: bool) -> Manifest:
    settings = runtime.settings
    key = runtime.desk.keyring.current
    folders = {"data_dir": settings.data_dir, "own": settings.own}
    manifest = backups.make(file.resolve(), runtime.engine, **folders, version=__version__, key=key, now=now())
    return backups.prove(file.resolve()) if verify else manifest


def _say_what_is_in(file: Path, manifest: Manifest, *, verified: bool) -> None:
    click.echo(f"{file}: {_contents(manifest)}{', read back' if verified else ''}.")


def _contents(manifest: Manifest) -> str:
    files = len(manifest.parts) - 1
    database = manifest.database
    return f"{database.events} events up to number {database.last_event}, {files} files, as of {manifest.made_at}"


@contextmanager
def _built(settings: Settings) -> Iterator[Runtime]:
    """The working parts, on a database as it stands."""
    runtime = wiring.build(settings)
    try:
        yield runtime
    finally:
        runtime.close()


# --- the hold --------------------------------------------------------------------------------------------------------


@click.group("hold")
def hold_group() -> None:
    """Whether anything may be sent."""


@hold_group.command("show")
@with_session
def hold_show(runtime: Runtime, session: Session) -> None:
    """Say whether sending is on hold, and why."""
    del runtime
    row = holds.instance(session)
    if row is None or not row.is_held:
        say("Mails leave as they fall due.")
        return
    say(f"Sending is on hold since {instant(row.hold_since)}: {HELD[row.hold_kind]}.")
    if row.hold_why:
        say(f"Put on hold by {row.hold_by}: {row.hold_why}")
    if waited := holds.doubted(session):
        say(f"{waited} mails waited when this copy was made, and may have left since: they are unknown.")


@hold_group.command("set")
@click.option("--why", required=True, help="For whoever wants to release it.")
@data_dir_option
def hold_set(data_dir: Path, why: str) -> None:
    """Let nothing leave until somebody releases it."""
    with opened(data_dir) as runtime:
        runtime.check_instance()
        with runtime.transaction() as session:
            holds.hold(session, why=why, by=operator(), now=now())
    click.echo("Sending is on hold. What is being handed over at this moment may still leave.")


@hold_group.command("release")
@click.option("--put-back", is_flag=True, help="Send what waited: certain that none of it has left since the copy.")
@with_session
def hold_release(runtime: Runtime, session: Session, *, put_back: bool) -> None:
    """Let mails leave again; what may have left stays unknown."""
    del runtime
    back = holds.release(session, put_back=put_back, by=operator(), now=now())
    say(f"Released. {back} mails wait again." if put_back else "Released. Mails leave again.")


@click.group("instance")
def instance_group() -> None:
    """Which instance this data folder belongs to."""


@instance_group.command("show")
@data_dir_option
def instance_show(data_dir: Path) -> None:
    """Say whether the data folder and the database belong together."""
    with opened(data_dir) as runtime:
        agrees, known = runtime.check_instance(), _instance_id(runtime)
    click.echo(f"Instance {known}.")
    if not agrees:
        click.echo("This data folder is not its own: sending is on hold, and `notifier hold show` says why.")


@instance_group.command("join")
@data_dir_option
def instance_join(data_dir: Path) -> None:
    """Let one more machine send for the instance whose database this is."""
    with opened(data_dir) as runtime:
        joined = runtime.join_instance(by=operator())
        with runtime.reading() as session:
            is_held = holds.is_held(session)
    click.echo(f"This data folder belongs to instance {joined} now.")
    if is_held:
        click.echo("Sending is on hold; `notifier hold show` says why.")


def _instance_id(runtime: Runtime) -> UUID | None:
    with runtime.reading() as session:
        row = holds.instance(session)
        return row.instance_id if row else None
