"""The data folder's own mark: which instance it belongs to, and how far it has seen the log grow.

A folder that was copied elsewhere bears another path than its mark names, so its mark counts for nothing there.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

NAME = "instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a data folder knows of its instance.  `events` is the highest number of an event that it has seen: a
    database that holds none as high is older than the folder.  `is_copy`: it was restored, and nothing has looked at
    its database since.
    """

    instance_id: UUID
    events: int = 0
    is_copy: bool = False


def read_mark(data_dir: Path) -> Mark | None:
    """Return the folder's mark; nothing where there is none, where it was made for another folder, or is no mark."""
    try:
        said = json.loads((data_dir / NAME).read_bytes())
        if said["folder"] != str(data_dir.resolve()):
            return None
        return Mark(
            instance_id=UUID(said["instance"]), events=int(said["events"]), is_copy=bool(said.get("copy", False))
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_mark(data_dir: Path, mark: Mark, *, folder: Path | None = None) -> None:
    """Write the mark in one piece, in the place of whatever was there; `folder`: where the folder will stand."""
    written = _written(data_dir, mark, folder)
    written.replace(data_dir / NAME)


def first_mark(data_dir: Path) -> Mark:
    """Return the folder's mark, or make one with a fresh id: of two processes that start at once, one makes it."""
    if found := read_mark(data_dir):
        return found
    fresh = _written(data_dir, Mark(instance_id=uuid4()))
    if (data_dir / NAME).exists():  # of another folder, or spoilt
        fresh.replace(data_dir / NAME)
    else:
        with suppress(FileExistsError):
            os.link(fresh, data_dir / NAME)
        fresh.unlink()
    found = read_mark(data_dir)
    if found is None:
        raise OSError(f"the file {NAME} cannot be kept in {data_dir}")
    return found


def _written(data_dir: Path, mark: Mark, folder: Path | None = None) -> Path:
    """Return a temporary file with the mark, for its owner alone."""
    said = {
        "instance": str(mark.instance_id),
        "folder": str((folder or data_dir).resolve()),
        "events": mark.events,
        "copy": mark.is_copy,
    }
    descriptor, name = tempfile.mkstemp(dir=data_dir, prefix=f".{NAME}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(said, handle)
        handle.write("\n")
        handle.flush()
        os.fsync(handle.fileno())
    return Path(name)
