"""A process that works beside a measurement: told by lines on its input, answering by lines, gone when that closes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

MOST_AT_ONCE = 1 << 20  # bytes of one read
GOODBYE = 5.0  # s


class BenchFailed(Exception):
    """The measurement could not be made; the message says why."""


class Child:
    """A Python module run as a process, in a group of its own, so that Ctrl-C reaches this process alone."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", module, *arguments],  # -P: nothing is imported from the folder it is called in
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep it beyond the block unless that breaks off, by Ctrl-C say: nobody would be left to end it."""
        try:
            yield
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, words: str) -> None:
        pipe = self._process.stdin
        try:
            if pipe:
                pipe.write(words.encode() + b"\n")
                pipe.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def hear(self, seconds: float) -> Any:  # noqa: ANN401 - whatever JSON says
        """Return the next line's JSON; BenchFailed when none comes in time."""
        until = time.monotonic() + seconds
        while b"\n" not in self._unread:
            self._read(until)
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def take(self, count: int, seconds: float) -> bytes:
        """Return the next `count` bytes."""
        until = time.monotonic() + seconds
        pieces, had = [self._unread], len(self._unread)
        while had < count:
            self._unread = b""
            self._read(until)
            pieces.append(self._unread)
            had += len(self._unread)
        whole = b"".join(pieces)
        self._unread = whole[count:]
        return whole[:count]

    def end(self) -> None:
        """Close its input, on which it goes by itself; make it, if it does not."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        try:
            self._process.wait(GOODBYE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, until: float) -> None:
        pipe = self._process.stdout
        if pipe is None or not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            raise BenchFailed(f"{self._module} did not answer in time")
        more = os.read(pipe.fileno(), MOST_AT_ONCE)
        if not more:
            raise self._gone()
        self._unread += more

    def _gone(self) -> BenchFailed:
        return BenchFailed(f"{self._module} ended before its time; what it said stands above")
