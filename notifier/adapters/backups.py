"""Backups: one archive over the database and the data folder, with the SHA-256 of every part, and the way back.

The archive is a gzipped tar (POSIX pax): `manifest.json` first, then the database as `database.sqlite` or
`database.pgdump`, then the data folder below `files/`.  The same content gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Literal

import sqlalchemy as sa

FORMAT = 1
MANIFEST = "manifest.json"
FILES = "files"
LONGEST_MANIFEST = 64 * 1024 * 1024
BLOCK = 1024 * 1024
A_DAY = 86_400  # seconds; a dump that takes longer has hung
# What of the data folder is no part of a backup: the database comes apart, mails that were only kept are not owed, and
# the mark of the instance must not be the same in a copy.
LEFT_OUT = ("notifier.db", "notifier.db-wal", "notifier.db-shm", "instance", "mailbox", "backups")
Kind = Literal["sqlite", "postgresql"]
DUMPS: Mapping[Kind, str] = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}


class BadBackup(Exception):
    """A backup that cannot be made, read or restored; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """What the dumped database holds."""

    kind: Kind
    revision: str  # of its tables; empty before the first migration
    instance: str  # its id, if it has one
    events: int
    last_event: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive says of itself.  `key` is the public name of the secret key in use (rules/links.py)."""

    version: str
    made_at: str  # ISO 8601, UTC
    key: str
    database: Dumped
    parts: Mapping[str, Part]

    @property
    def dump(self) -> str:
        return DUMPS[self.database.kind]


# --- making one ------------------------------------------------------------------------------------------------------


def make(
    file: Path, engine: sa.Engine, *, data_dir: Path, own: Path, version: str, key: str, now: datetime
) -> Manifest:
    """Write a backup of this database and these folders to a file that is not there yet, for its owner alone.

    It appears under its name once all of it is on the disk.
    """
    if file.exists():
        raise BadBackup(f"{file} is there already: write to another file, or move that one away")
    if not file.parent.is_dir():
        raise BadBackup(f"there is no folder {file.parent}: make it first, where the data folder's disk cannot take it")
    try:
        return _make(file, engine, _files(data_dir, own, engine), version=version, key=key, now=now)
    except OSError as trouble:
        raise BadBackup(f"the backup cannot be written: {trouble}") from None


def _make(
    file: Path, engine: sa.Engine, files: Mapping[str, Path], *, version: str, key: str, now: datetime
) -> Manifest:
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as scratch:
        dump = Path(scratch) / "dump"
        dumped = _dump(engine, dump)
        sources = {DUMPS[dumped.kind]: dump, **files}
        parts = {name: _part(source) for name, source in sources.items()}
        made_at = now.isoformat(timespec="seconds")
        manifest = Manifest(version=version, made_at=made_at, key=key, database=dumped, parts=parts)
        packed = Path(scratch) / "packed"
        _pack(packed, manifest, sources)
        read(packed)  # what has changed since its digest was taken is found now, and not at the restore
        try:
            os.link(packed, file)  # unlike a rename, it takes nobody's place
        except FileExistsError:
            raise BadBackup(f"{file} has appeared meanwhile: write to another file") from None
    _sync_folder(file.parent)
    return manifest


def _files(data_dir: Path, own: Path, engine: sa.Engine) -> dict[str, Path]:
    """Return what is kept beside the database, by its name in the archive."""
    base = Path(engine.url.database or "").resolve() if engine.dialect.name == "sqlite" else None
    live = {Path(f"{base}{end}") for end in ("", "-wal", "-shm")} if base else set()
    folders = {data_dir: PurePosixPath(FILES)}
    if not own.resolve().is_relative_to(data_dir.resolve()):
        folders[own] = PurePosixPath(FILES) / "own"
    found = {}
    for folder, root in folders.items():
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder)
            hidden = folder == data_dir and (inner.parts[0] in LEFT_OUT or inner.parts[0].startswith("."))
            if path.is_file() and not hidden and path.resolve() not in live:
                found[str(root / inner.as_posix())] = path
    return found


def _part(source: Path) -> Part:
    with source.open("rb") as handle:
        return Part(size=source.stat().st_size, sha256=hashlib.file_digest(handle, "sha256").hexdigest())


def _pack(file: Path, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with (
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            written = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, sort_keys=True).encode()
            with tempfile.TemporaryFile() as handle:
                handle.write(written)
                handle.seek(0)
                archive.addfile(_entry(MANIFEST, len(written)), handle)
            for name in sorted(sources):
                with sources[name].open("rb") as handle:
                    archive.addfile(_entry(name, manifest.parts[name].size), handle)
        raw.flush()
        os.fsync(raw.fileno())


def _entry(name: str, size: int) -> tarfile.TarInfo:
    """Without times and owners, which would make two archives of the same content differ."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- reading one -----------------------------------------------------------------------------------------------------


def read(file: Path, into: Path | None = None) -> Manifest:
    """Verify every part of a backup, and write the parts below a folder if one is given.

    Nothing but what the manifest names is read; a part that is missing, doubled or other than its digest is refused.
    """
    try:
        with gzip.open(file) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
            entries = iter(archive)
            manifest = _manifest(archive, next(entries, None))
            missing = dict(manifest.parts)
            for entry in entries:
                part = missing.pop(entry.name, None)
                content = archive.extractfile(entry) if entry.isfile() else None
                if part is None or content is None:
                    raise BadBackup(
                        f"{file} holds {entry.name}, which its manifest does not name: it is no backup of ours"
                    )
                if _copied(content, _place(into, entry.name)) != part:
                    raise BadBackup(f"{file} is damaged: {entry.name} is not what was backed up. Take another backup")
            while packed.read(BLOCK):
                pass  # up to the checksum at the end, which is compared there
    except (OSError, EOFError, ValueError, KeyError, TypeError, tarfile.TarError, zlib.error) as trouble:
        raise BadBackup(f"{file} cannot be read as a backup ({trouble}). Take another one") from None
    if missing:
        raise BadBackup(f"{file} is damaged: it lacks {', '.join(sorted(missing))}. Take another backup")
    return manifest


def _manifest(archive: tarfile.TarFile, entry: tarfile.TarInfo | None) -> Manifest:
    content = archive.extractfile(entry) if entry and entry.isfile() else None
    if entry is None or entry.name != MANIFEST or content is None or entry.size > LONGEST_MANIFEST:
        raise BadBackup("it does not begin with a manifest, so it is no backup of ours")
    said = json.loads(content.read())
    if said["format"] != FORMAT:
        raise BadBackup(f"it is of format {said['format']}: restore it with version {said['version']}")
    return Manifest(
        version=said["version"],
        made_at=said["made_at"],
        key=said["key"],
        database=Dumped(**said["database"]),
        parts={name: Part(**part) for name, part in said["parts"].items()},
    )


def _place(into: Path | None, name: str) -> Path | None:
    """Return where a part goes; a name that leads out of the folder is refused."""
    inner = PurePosixPath(name)
    if inner.is_absolute() or ".." in inner.parts or (name not in DUMPS.values() and inner.parts[0] != FILES):
        raise BadBackup(f"it holds {name}, which would be written elsewhere: it is no backup of ours")
    return into / inner if into else None


def _copied(content: IO[bytes], place: Path | None) -> Part:
    """Return size and digest of what is read; it is kept where a place is given."""
    digest, size = hashlib.sha256(), 0
    with _written(place) as handle:
        while block := content.read(BLOCK):
            digest.update(block)
            size += len(block)
            if handle:
                handle.write(block)
    return Part(size=size, sha256=digest.hexdigest())


@contextmanager
def _written(place: Path | None) -> Iterator[IO[bytes] | None]:
    if place is None:
        yield None
        return
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        yield handle
        handle.flush()
        os.fsync(handle.fileno())


def prove(file: Path) -> Manifest:
    """Read a backup back as a restore would: every digest, and the database's own look at its dump."""
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as scratch:
        manifest = read(file, Path(scratch))
        dump = Path(scratch) / manifest.dump
        if manifest.database.kind == "sqlite":
            found = _look_at_sqlite(dump)
            if found != manifest.database:
                raise BadBackup(f"{file} holds another database than its manifest says. Take another backup")
        else:
            _run("pg_restore", ["--list", str(dump)], password="")
    return manifest


# --- the databases ---------------------------------------------------------------------------------------------------


def _dump(engine: sa.Engine, into: Path) -> Dumped:
    if engine.dialect.name == "sqlite":
        _copy_sqlite(Path(str(engine.url.database)), into)
        return _look_at_sqlite(into)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        dumped = _look(connection, "postgresql")
        snapshot: str = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        said = [*_quietly(), "--format=custom", "--compress=0", f"--snapshot={snapshot}", f"--file={into}"]
        _run_on(engine.url, "pg_dump", said)
    return dumped


def _copy_sqlite(file: Path, into: Path) -> None:
    """One reading of the whole, while others write."""
    if not file.exists():
        raise BadBackup(f"there is no database {file}: name the data folder of the instance")
    try:
        with closing(sqlite3.connect(file, timeout=10)) as connection:
            connection.execute("VACUUM INTO ?", (str(into),))
    except sqlite3.Error as trouble:
        raise BadBackup(f"the database cannot be copied: {trouble}") from None


def _look_at_sqlite(file: Path) -> Dumped:
    """Raises BadBackup where SQLite itself finds the file unsound."""
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            if connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() != "ok":
                raise BadBackup(
                    "the database is damaged: `PRAGMA integrity_check` says where. Restore an earlier backup"
                )
            return _look(connection, "sqlite")
    except sa.exc.DatabaseError as trouble:
        raise BadBackup(f"the database cannot be read: {trouble.orig}") from None


def _look(connection: sa.Connection, kind: Kind) -> Dumped:
    tables = set(sa.inspect(connection).get_table_names())

    def one(table: str, query: str) -> object:
        return connection.exec_driver_sql(query).scalar() if table in tables else None

    return Dumped(
        kind=kind,
        revision=str(one("alembic_version", "SELECT version_num FROM alembic_version") or ""),
        instance=str(one("instance", "SELECT instance_id FROM instance") or "").replace("-", ""),
        events=int(str(one("event", "SELECT count(*) FROM event") or 0)),
        last_event=int(str(one("event", "SELECT max(id) FROM event") or 0)),
    )


def fill(engine: sa.Engine, dump: Path, kind: Kind) -> None:
    """Restore a dump into an empty database; one that holds a table, or is of the other kind, is refused unchanged."""
    if engine.dialect.name != kind:
        names = {
            "sqlite": "SQLite: leave database_url empty",
            "postgresql": "PostgreSQL: set NOTIFIER_DATABASE_URL to an empty one",
        }
        raise BadBackup(f"this is a backup of {names[kind]}")
    if kind == "sqlite":
        place = Path(str(engine.url.database))
        if place.exists():
            raise BadBackup(f"{place} is there already: move it away first, since nothing is overwritten")
        shutil.copyfile(dump, place)
        place.chmod(0o600)
        return
    if sa.inspect(engine).get_table_names():
        raise BadBackup("the database is not empty, and nothing is overwritten: make an empty one, and name that")
    _run_on(engine.url, "pg_restore", [*_quietly(), "--exit-on-error", "--single-transaction", str(dump)])


def _quietly() -> list[str]:
    return ["--no-owner", "--no-privileges", "--no-password"]


def _run_on(url: sa.URL, program: str, said: list[str]) -> None:
    """Run one of PostgreSQL's programs; the password goes by the environment, which other users cannot read."""
    plain = url._replace(drivername="postgresql", password=None).render_as_string(hide_password=False)
    _run(program, [f"--dbname={plain}", *said], password=str(url.password or ""))


def _run(program: str, said: list[str], *, password: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise BadBackup(
            f"{program} is not installed: install PostgreSQL's client programs, as new as the server or newer "
            "(on Debian, the package postgresql-client)"
        )
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL's, by its full path, without a shell
        [found, *said], env=environment, capture_output=True, text=True, timeout=A_DAY, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise BadBackup(f"{program} failed: {' '.join(lines[-2:])}")
