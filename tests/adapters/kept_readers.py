"""A reader that does as it is told, to be run in a process that is kept."""

from __future__ import annotations

import os
import sys


def obey(data: bytes) -> int:
    if data == b"process":
        return os.getpid()
    if data == b"die":
        os._exit(1)
    if data == b"spin":
        while True:
            pass
    if data == b"hoard":
        return len(bytearray(300_000_000))
    if data == b"recurse":
        return obey(data)
    if data == b"chatter":
        sys.stdout.write("not an answer\n")
        sys.stdout.flush()
    return len(data)
