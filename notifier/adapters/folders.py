"""Files below one folder that the operator chose, for names that other people typed in."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath


class BadFile(Exception):
    """A file that is not read; the message says why, without the folder's own place."""


def check_name(name: str) -> str | None:
    """A sentence when this name can never be that of a file below a folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name or not name.isprintable():
        return "the file must lie below the folder: write its path within it, such as supplier/list.csv"
    return None


def read_below(folder: Path, name: str, *, most_bytes: int) -> bytes:
    """Read a file below a folder; raises BadFile.  No link leads out of the folder, and only files are opened: no pipe
    or device can hold us.
    """
    if refused := check_name(name):
        raise BadFile(refused)
    try:
        file = (folder / name).resolve(strict=True)
        if not file.is_relative_to(folder.resolve(strict=True)):
            raise BadFile("the file is a link that leads out of the folder")
        with open(file, "rb", opener=_open) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise BadFile("this is no file")
            content = opened.read(most_bytes + 1)
    except (OSError, RuntimeError) as trouble:  # RuntimeError: links in a circle, before Python 3.13
        said = getattr(trouble, "strerror", None) or "its links go round"
        raise BadFile(f"the file cannot be read: {said}") from None
    if len(content) > most_bytes:
        raise BadFile(f"the file is larger than {most_bytes} bytes")
    return content


def _open(file: str, flags: int) -> int:
    """Open without following a link put there in the meantime, and without waiting for the other end of a pipe."""
    return os.open(file, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
