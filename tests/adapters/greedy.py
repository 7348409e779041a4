"""Readers that misbehave, for the process that confines them; it imports them by name, and little with them."""

import os
import resource
from pathlib import Path


def hoard(data: bytes, *, times: int) -> int:
    return len(data * times)


def spin(data: bytes) -> None:
    while data:
        pass


def look_around(data: bytes) -> dict[str, object]:
    del data
    return {
        "environment": sorted(os.environ),
        "folder": str(Path.cwd()),
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "written": resource.getrlimit(resource.RLIMIT_FSIZE)[0],
    }
