"""Reading what strangers made in a process of its own, which may use little memory and time and keeps nothing.

A file that is built to exhaust the reader exhausts that process alone. Data goes in by its standard input and comes
back as JSON, which cannot carry anything to be run. POSIX systems only.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
FILES: Final = 32  # that the process may have open at once

# Limits hold before anything else is imported; -I keeps the environment and the working folder out of the imports.
START: Final = (
    "import sys; sys.path.append({root!r}); from notifier.adapters.confined import limit, serve; "
    "limit({seconds}, {megabytes}); from {module} import {name} as reader; serve(reader)"
)


class TooCostly(Exception):
    """The reader needed more memory or time than it was given, or died."""


def confined(
    reader: Callable[..., Any],
    data: bytes,
    options: Mapping[str, Any],
    *,
    seconds: int = 20,
    megabytes: int = 256,
) -> Any:  # noqa: ANN401 - JSON values
    """What `reader(data, **options)` returns, in JSON values; it is a module's function, and is imported by its name.

    TooCostly at the first limit: `megabytes` of address space, `seconds` on the wall or half of them of a processor.
    """
    start = START.format(
        root=str(ROOT), seconds=seconds, megabytes=megabytes, module=reader.__module__, name=reader.__name__
    )
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


def limit(seconds: int, megabytes: int) -> None:
    """Limit this process, for good."""
    space = megabytes * 1024 * 1024
    for what, most in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_CPU, max(seconds // 2, 1)),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, FILES),
    ):
        resource.setrlimit(what, (most, most))


def serve(reader: Callable[..., Any]) -> None:
    """Read options and data from standard input, and write to standard output what the reader makes of them."""
    options = json.loads(sys.stdin.buffer.readline())
    json.dump(reader(sys.stdin.buffer.read(), **options), sys.stdout)
