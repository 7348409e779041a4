"""Archives: what goes in comes out to the byte, and whatever is damaged or foreign is refused with a sentence."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sqlite3
import stat
import tarfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from notifier.adapters import backups
from notifier.adapters.backups import BadBackup, Manifest
from tests.factories import NOON


@pytest.fixture
def data_dir(sqlite_template: Path, tmp_path: Path) -> Path:
    """A data folder with a database, a key, the operator's own template, and what is no part of a backup."""
    folder = tmp_path / "var"
    (folder / "own" / "templates").mkdir(parents=True)
    (folder / "mailbox").mkdir()
    (folder / "backups").mkdir()
    shutil.copy(sqlite_template, folder / "notifier.db")
    (folder / "secret_key").write_text("k" * 48)
    (folder / "instance").write_text("mine")
    (folder / "mailbox" / "1.eml").write_text("a mail")
    (folder / "backups" / "old.tar.gz").write_text("an older one")
    (folder / "own" / "templates" / "note.txt").write_text("Bonjour")
    return folder


def make(data_dir: Path, file: Path, own: Path | None = None) -> Manifest:
    engine = sa.create_engine(f"sqlite:///{data_dir / 'notifier.db'}")
    own = own or data_dir / "own"
    try:
        return backups.make(file, engine, data_dir=data_dir, own=own, version="1.2.3", key="abc", now=NOON)
    finally:
        engine.dispose()


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {one.name: (archive.extractfile(one) or io.BytesIO()).read() for one in archive}


def repack(file: Path, parts: dict[str, bytes]) -> None:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_database_key_and_own_files_go_in_and_nothing_else(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"

    manifest = make(data_dir, file)

    assert sorted(manifest.parts) == ["database.sqlite", "files/own/templates/note.txt", "files/secret_key"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert backups.read(file) == manifest == backups.prove(file)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_comes_out_is_what_went_in(data_dir: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "backup.tar.gz", tmp_path / "out"
    make(data_dir, file)

    backups.read(file, out)

    assert (out / "files/own/templates/note.txt").read_text() == "Bonjour"
    assert stat.S_IMODE((out / "files/secret_key").stat().st_mode) == 0o600
    with sqlite3.connect(out / "database.sqlite") as copy, sqlite3.connect(data_dir / "notifier.db") as original:
        assert sorted(copy.iterdump()) == sorted(original.iterdump())
    copy.close()
    original.close()


def test_the_same_content_gives_the_same_bytes(data_dir: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "one.tar.gz", tmp_path / "two.tar.gz"
    make(data_dir, first)
    make(data_dir, second)

    assert first.read_bytes() == second.read_bytes()


def test_an_own_folder_elsewhere_goes_in_too(data_dir: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "etc"
    (elsewhere / "config").mkdir(parents=True)
    (elsewhere / "config" / "notifier.toml").write_text("sweep_seconds = 5")

    manifest = make(data_dir, tmp_path / "backup.tar.gz", own=elsewhere)

    assert "files/own/config/notifier.toml" in manifest.parts


def test_nothing_is_overwritten_and_nothing_half_written_stays(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    file.write_text("precious")

    with pytest.raises(BadBackup, match="is there already"):
        make(data_dir, file)

    assert file.read_text() == "precious"
    (data_dir / "notifier.db").write_bytes(b"no database" * 1000)
    with pytest.raises(BadBackup, match="the database cannot be copied"):
        make(data_dir, tmp_path / "other.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir() if "tar" in path.name) == ["backup.tar.gz"]


def test_a_folder_without_a_database_is_named(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "notifier.db").unlink()

    with pytest.raises(BadBackup, match="there is no database"):
        make(data_dir, tmp_path / "backup.tar.gz")


def test_a_damaged_byte_of_an_archive_is_found_or_changes_nothing(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    manifest = make(data_dir, file)
    whole = file.read_bytes()
    step = max(1, len(whole) // 60)
    found = 0

    # Behind the header of gzip, which says nothing that counts.
    for place in [*range(20, len(whole), step), len(whole) - 6]:
        damaged = whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]
        file.write_bytes(damaged)
        try:
            read = backups.read(file)
        except BadBackup:
            found += 1
        else:  # a distance into a run of equal bytes may be written in two ways: what comes out is the same
            assert (read, gzip.decompress(damaged)) == (manifest, gzip.decompress(whole))
    assert found >= 50

    for length in range(0, len(whole), step):
        file.write_bytes(whole[:length])
        with pytest.raises(BadBackup):
            backups.read(file)


def test_a_part_that_was_exchanged_is_found_by_its_digest(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    make(data_dir, file)
    parts = members(file)

    repack(file, {**parts, "files/secret_key": b"x" * 48})
    with pytest.raises(BadBackup, match="files/secret_key is not what was backed up"):
        backups.read(file)

    repack(file, {name: content for name, content in parts.items() if name != "files/secret_key"})
    with pytest.raises(BadBackup, match="it lacks files/secret_key"):
        backups.read(file)

    repack(file, {**parts, "files/more": b""})
    with pytest.raises(BadBackup, match="its manifest does not name"):
        backups.read(file)


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "files/../../outside", "elsewhere/file"])
def test_a_name_that_leads_out_of_the_folder_is_refused(data_dir: Path, tmp_path: Path, name: str) -> None:
    file, out = tmp_path / "backup.tar.gz", tmp_path / "deep" / "out"
    make(data_dir, file)
    parts = members(file)
    said = json.loads(parts.pop("manifest.json"))
    said["parts"] = {name: said["parts"]["files/secret_key"]}

    repack(file, {"manifest.json": json.dumps(said).encode(), name: parts["files/secret_key"]})

    with pytest.raises(BadBackup, match="would be written elsewhere"):
        backups.read(file, out)
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read as a backup"),
        (b"no archive at all", "cannot be read as a backup"),
        (gzip.compress(b"no tar"), "cannot be read as a backup"),
    ],
    ids=["empty", "no archive", "no tar"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "backup.tar.gz"
    file.write_bytes(content)

    with pytest.raises(BadBackup, match=sentence):
        backups.read(file)


def test_an_archive_of_somebody_else_or_of_a_later_format_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    repack(file, {"etc/passwd": b"root"})
    with pytest.raises(BadBackup, match="does not begin with a manifest"):
        backups.read(file)

    repack(file, {"manifest.json": json.dumps({"format": 2, "version": "9.0"}).encode()})
    with pytest.raises(BadBackup, match=r"restore it with version 9\.0"):
        backups.read(file)


def test_a_database_that_the_manifest_does_not_describe_fails_the_proof(data_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    make(data_dir, file)
    parts = members(file)
    said = json.loads(parts["manifest.json"])
    said["database"]["last_event"] = 99

    repack(file, {**parts, "manifest.json": json.dumps(said).encode()})

    assert backups.read(file).database.last_event == 99
    with pytest.raises(BadBackup, match="holds another database than its manifest says"):
        backups.prove(file)


def test_postgresql_without_its_programs_is_told_what_to_install(
    postgresql_url: str, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = sa.create_engine(postgresql_url)

    with pytest.raises(BadBackup, match="pg_dump is not installed: install PostgreSQL's client programs"):
        backups.make(
            tmp_path / "b.tar.gz", engine, data_dir=data_dir, own=data_dir / "own", version="1", key="", now=NOON
        )

    engine.dispose()
