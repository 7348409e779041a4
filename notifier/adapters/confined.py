"""Reading what strangers made in a process of its own, which may use little memory and time and keeps nothing.

A file that is built to exhaust the reader exhausts that process alone. Data goes in by its standard input and comes
back as JSON, which cannot carry anything to be run. POSIX systems only.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Self, TypeAlias

ROOT: Final = Path(__file__).parents[2]
FILES: Final = 32  # that the process may have open at once

# Limits hold before anything else is imported; -I keeps the environment and the working folder out of the imports.
START: Final = (
    "import sys; sys.path.append({root!r}); from notifier.adapters.confined import limit, serve; "
    "limit({seconds}, {megabytes}); {reader}; serve(reader)"
)
START_KEPT: Final = (
    "import sys; sys.path.append({root!r}); from notifier.adapters.confined import limit, serve_many; "
    "limit(None, {megabytes}); {reader}; serve_many(reader, {seconds})"
)
START_SECONDS: Final = 60  # until the process has imported its reader, on a busy machine
MOST_ANSWERED: Final = 20_000_000  # bytes that are believed of one answer
LENGTH: Final = struct.Struct(">I")  # before each message and each answer

# A module's function, or "module:function": so what only the child needs is never imported here.
Named: TypeAlias = Callable[..., Any] | str


class TooCostly(Exception):
    """The reader needed more memory or time than it was given, or died."""


def _imported(reader: Named) -> str:
    """The statement that imports a reader by its name, as `reader`."""
    named = reader if isinstance(reader, str) else f"{reader.__module__}:{reader.__name__}"
    module, _, name = named.partition(":")
    return f"from {module} import {name} as reader"


def confined(
    reader: Named,
    data: bytes,
    options: Mapping[str, Any],
    *,
    seconds: int = 20,
    megabytes: int = 256,
) -> Any:  # noqa: ANN401 - JSON values
    """What `reader(data, **options)` returns, in JSON values.

    TooCostly at the first limit: `megabytes` of address space, `seconds` on the wall or half of them of a processor.
    """
    start = START.format(root=str(ROOT), seconds=seconds, megabytes=megabytes, reader=_imported(reader))
    try:
        done = subprocess.run(  # noqa: S603 - this very Python, with a text made of our own names
            [sys.executable, "-I", "-c", start],
            input=json.dumps(options).encode() + b"\n" + data,
            capture_output=True,
            timeout=seconds,
            check=True,
            cwd="/",
            env={},
        )
        return json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        raise TooCostly from None


class Reader:
    """A process that is kept and reads many messages with the same `reader(data)`; one caller at a time reads.

    `seconds` (on the wall, and of a processor) and `megabytes` of address space for each message. The process is
    replaced after it failed in any way, and after `messages`, so that nothing piles up in it.
    """

    def __init__(self, reader: Named, *, seconds: int = 5, megabytes: int = 256, messages: int = 1000) -> None:
        self._start = START_KEPT.format(root=str(ROOT), seconds=seconds, megabytes=megabytes, reader=_imported(reader))
        self._seconds = seconds
        self._messages = messages
        self._left = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._alone = threading.Lock()

    def read(self, data: bytes) -> Any:  # noqa: ANN401 - JSON values
        """What the reader returns, in JSON values. TooCostly at a limit, a death, or where the reader raised."""
        with self._alone:
            child = self._fresh()
            try:
                answer = _exchange(child, LENGTH.pack(len(data)) + data, self._seconds)
                self._left -= 1
                found = json.loads(answer)
            except (OSError, EOFError, ValueError):
                self._end()
                raise TooCostly from None
        if found is None:
            raise TooCostly
        return found["read"]

    def close(self) -> None:
        with self._alone:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _fresh(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # this process was forked: the other one still reads with that child
            self._child, self._owner = None, os.getpid()
        if self._child and (self._left <= 0 or self._child.poll() is not None):
            self._end()
        if self._child:
            return self._child
        child = self._child = subprocess.Popen(  # noqa: S603 - this very Python, with a text made of our own names
            [sys.executable, "-I", "-c", self._start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
        )
        self._left = self._messages
        for pipe in _pipes(child):
            os.set_blocking(pipe.fileno(), False)
        try:
            _exchange(child, b"", START_SECONDS)  # an empty answer says that all is imported
        except (EOFError, OSError):
            self._end()
            raise OSError("the process that reads what strangers wrote does not start") from None
        return child

    def _end(self) -> None:
        if not self._child:
            return
        self._child.kill()
        for pipe in _pipes(self._child):
            with contextlib.suppress(OSError):
                pipe.close()
        self._child.wait()
        self._child = None


def _pipes(child: subprocess.Popen[bytes]) -> list[IO[bytes]]:
    """Into it and out of it; both were asked for."""
    return [pipe for pipe in (child.stdin, child.stdout) if pipe]


def _exchange(child: subprocess.Popen[bytes], message: bytes, seconds: float) -> bytes:
    """Write a message and read the answer, without ever waiting longer in all. TimeoutError, EOFError, OSError."""
    until = time.monotonic() + seconds
    into, out = (pipe.fileno() for pipe in _pipes(child))
    unsent, got = memoryview(message), b""
    while len(got) < LENGTH.size or len(got) < LENGTH.size + LENGTH.unpack_from(got)[0]:
        left = until - time.monotonic()
        readable, writable, _ = select.select([out], [into] if unsent else [], [], max(left, 0))
        if not readable and not writable:
            raise TimeoutError
        if writable:
            unsent = unsent[os.write(into, unsent[:65536]) :]
        if readable:
            piece = os.read(out, 65536)
            if not piece:
                raise EOFError
            got += piece
            if len(got) > MOST_ANSWERED:
                raise EOFError
    return got[LENGTH.size :]


def limit(seconds: int | None, megabytes: int) -> None:
    """Limit this process, for good. Without `seconds` it limits its own time for each message (`serve_many`)."""
    space = megabytes * 1024 * 1024
    limits = [
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, FILES),
    ]
    if seconds is not None:
        limits.append((resource.RLIMIT_CPU, max(seconds // 2, 1)))
    for what, most in limits:
        resource.setrlimit(what, (most, most))


def serve(reader: Callable[..., Any]) -> None:
    """Read options and data from standard input, and write to standard output what the reader makes of them."""
    options = json.loads(sys.stdin.buffer.readline())
    json.dump(reader(sys.stdin.buffer.read(), **options), sys.stdout)


def serve_many(reader: Callable[[bytes], Any], seconds: int) -> None:
    """Answer each message until there are no more; an answer is null where the reader raised."""
    into, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a reader prints is no answer
    _answer(out, b"")
    while len(length := into.read(LENGTH.size)) == LENGTH.size:
        _allow(seconds)
        data = into.read(LENGTH.unpack(length)[0])
        try:
            answer = json.dumps({"read": reader(data)}).encode()
        except Exception:  # noqa: BLE001 - whatever a stranger's bytes brought about; MemoryError and RecursionError too
            answer = b"null"
        del data
        _answer(out, answer)


def _answer(out: BinaryIO, answer: bytes) -> None:
    out.write(LENGTH.pack(len(answer)) + answer)
    out.flush()


def _allow(seconds: int) -> None:
    """So much more of a processor; at the limit the system ends this process, even when nobody waits any more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
