"""The past of a list: its states through time, out of a git repository or a folder of dated files.

git is asked for data alone, of the repository that was named: its hooks, filters, pagers and remotes, and the settings
of the machine, are left aside.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path, PurePosixPath
from typing import Any

from notifier.adapters.confined import TooCostly, confined
from notifier.adapters.folders import BadFile, check_name, read_below
from notifier.adapters.register_files import RegisterFile, from_json
from notifier.adapters.remarks import BadList, remark
from notifier.adapters.tables import MOST_BYTES

MOST_STATES = 5_000
MOST_IN_ALL = 200_000_000
LONGEST_INDEX = 2_000_000
PATIENCE = 60  # seconds for one question to git
READ_EACH = "notifier.adapters.registers:read_each_as_json"
READ_AT_ONCE = 1_000_000  # bytes of states in one confined process, which takes longer to start than to read a list

INDEX = "index.json"
DATED = re.compile(r"(?:[0-9]+-)?(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9])")

# Of a repository that somebody else wrote nothing is run, and nothing is fetched that is not there.
GIT = (
    *("git", "--no-pager", "--no-replace-objects", "--literal-pathspecs", "-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.fsmonitor=false", "-c", "log.showSignature=false"),
)
SURROUNDINGS = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "LC_ALL": "C",
}


class BadHistory(Exception):
    """A past that cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One state of the list, and from when it stood."""

    at: datetime  # UTC
    source: str  # the whole digest of a commit, or the name of a file
    filename: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    states: tuple[State, ...]  # the oldest first
    passed_over: tuple[str, ...] = ()  # commits and files in which the list is not, each with why


def from_git(folder: Path, paths: Sequence[str], *, branch: str = "HEAD") -> History:
    """Return the list at every commit of a branch that changed it, with the instant of its committer, along the first
    parents: what stood on the branch, not how it came there.

    `paths` are the names of one list through time, in any order: a name that the list has is kept as long as there is a
    file of that name, whatever the others are meanwhile.
    """
    names = [_checked(path) for path in paths]
    git = _Git(folder)
    if git.ask("rev-parse", "--is-shallow-repository").strip() == b"true":
        raise BadHistory("this clone is shallow, its past is not there: run `git fetch --unshallow` in it first")
    if git.ask("config", "--get", "extensions.partialClone", refused=b""):
        raise BadHistory("this clone is partial, not all of its files are there: clone the repository without --filter")
    tip = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{branch}^{{commit}}", refused=b"")
    if not tip:
        raise BadHistory(f'the repository has no branch or commit "{branch}"')
    asked = ("rev-list", "--first-parent", "--timestamp", f"--max-count={MOST_STATES + 1}")
    lines = git.ask(*asked, tip.strip().decode(), "--", *names).decode().splitlines()
    commits = [(datetime.fromtimestamp(int(at), UTC), digest) for at, digest in map(str.split, reversed(lines))]
    if not commits:
        raise BadHistory(
            f"no commit of this branch changes {', '.join(names)}: write the paths from the repository's top"
        )
    _refuse_too_many(len(commits))
    found = dict(git.blobs([(digest, name) for _, digest in commits for name in names]))
    content = git.contents({oid for oid, _ in found.values()}, sum(dict(found.values()).values()))
    states, passed_over, name = [], [], ""
    before: dict[str, str] = {}
    for at, digest in commits:
        there = {name: found[digest, name][0] for name in names if (digest, name) in found}
        if there:
            name = name if name in there else _came(there, before)
            states.append(State(at=at, source=digest, filename=name, content=content[there[name]]))
        elif git.ask("ls-tree", digest, "--", *names):
            raise BadHistory(f"what {digest[:12]} has there is no file, or is missing in this clone: clone it anew")
        else:
            passed_over.append(f"{digest[:12]}: the list is under none of these names")
        before = there
    return History(states=tuple(states), passed_over=tuple(passed_over))


def _came(there: Mapping[str, str], before: Mapping[str, str]) -> str:
    """Which of several names the list has now: one that has just come or changed, rather than one that was there."""
    return next((name for name in there if there[name] != before.get(name)), next(iter(there)))


def from_folder(folder: Path, *, now: datetime) -> History:
    """Return the files of a folder as states of a list.

    An index.json says `{"versions": [{"file", "committed"}]}` with instants (ISO 8601 with an offset).  Without one a
    name begins with its day, or with a number and its day, and the file stands from the end of that day in UTC.
    """
    if (folder / INDEX).is_file():
        dated, passed_over = _indexed(_read(folder, INDEX, LONGEST_INDEX))
    else:
        dated, passed_over = _named(sorted(file.name for file in folder.iterdir() if file.is_file()), now)
    if not dated:
        raise BadHistory(
            f"no file in {folder.resolve().name} is dated: begin each name with its day, as in 2026-05-31-list.md"
        )
    _refuse_too_many(len(dated))
    states, size = [], 0
    for at, name in sorted(dated, key=lambda one: one[0]):
        content = _read(folder, name, MOST_BYTES)
        size += len(content)
        _refuse_too_large(size)
        states.append(State(at=at, source=name, filename=name, content=content))
    return History(states=tuple(states), passed_over=tuple(passed_over))


def read_states(states: Sequence[State], *, mapping: Mapping[str, str] | None = None) -> list[RegisterFile | BadList]:
    """Read each state as `register_files.read_list` does; what cannot be read is returned as BadList."""
    alike = {(state.filename, state.content): None for state in states}
    found: dict[tuple[str, bytes], RegisterFile | BadList] = {}
    for files in _batches(list(alike)):
        found.update(zip(files, _read_confined(files, mapping or {}), strict=True))
    return [found[state.filename, state.content] for state in states]


def _batches(files: Sequence[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    for file in files:
        if batch and sum(len(content) for _, content in [*batch, file]) > READ_AT_ONCE:
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _read_confined(files: Sequence[tuple[str, bytes]], mapping: Mapping[str, str]) -> list[RegisterFile | BadList]:
    options = {"files": [(name, len(content)) for name, content in files], "mapping": dict(mapping)}
    try:
        read = confined(READ_EACH, b"".join(content for _, content in files), options)
    except TooCostly:
        if len(files) > 1:  # one of them is to blame
            return [read for file in files for read in _read_confined([file], mapping)]
        return [BadList(files[0][0], [remark(0, "", "too_costly")])]
    return [_lifted(said, name) for said, (name, _) in zip(read, files, strict=True)]


def _lifted(said: Mapping[str, Any], filename: str) -> RegisterFile | BadList:
    try:
        return from_json(said, filename=filename)
    except BadList as bad:
        return bad


# --- files -----------------------------------------------------------------------------------------------------------


def _indexed(content: bytes) -> tuple[list[tuple[datetime, str]], list[str]]:
    try:
        return [(_instant(one["committed"]), str(one["file"])) for one in json.loads(content)["versions"]], []
    except (ValueError, TypeError, KeyError, RecursionError):
        example = '{"versions": [{"file": "…", "committed": "2026-05-31T12:00:00Z"}]}'
        raise BadHistory(f"{INDEX} is not understood: write {example}") from None


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at.astimezone(UTC)


def _named(names: Iterable[str], now: datetime) -> tuple[list[tuple[datetime, str]], list[str]]:
    dated, passed_over = [], []
    for name in names:
        day = _day(name)
        if day:
            dated.append((_end_of(day, now), name))
        elif not name.startswith("."):
            passed_over.append(f"{name}: its name begins with no day")
    return dated, passed_over


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(found["day"]) if (found := DATED.match(name)) else None
    except ValueError:
        return None


def _end_of(day: date, now: datetime) -> datetime:
    """The last second of a day; of today, as late as it is."""
    end = datetime.combine(day, time(23, 59, 59), UTC)
    return now if day == now.astimezone(UTC).date() else end


def _read(folder: Path, name: str, most_bytes: int) -> bytes:
    try:
        return read_below(folder, name, most_bytes=most_bytes)
    except BadFile as bad:
        raise BadHistory(f"{name}: {bad}") from None


# --- git -------------------------------------------------------------------------------------------------------------


class _Git:
    """A repository, asked by its plumbing commands alone."""

    def __init__(self, folder: Path) -> None:
        inner = folder / ".git"
        is_bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
        if not inner.exists() and not is_bare:
            raise BadHistory(f"{folder} is no git repository: write the folder in which its .git lies")
        self._call = [*GIT, f"--git-dir={(inner if inner.exists() else folder).resolve()}"]
        self._folder = folder

    def ask(self, *words: str, said: bytes = b"", refused: bytes | None = None) -> bytes:
        """Return what git answers; `refused` where it will not."""
        surroundings = {"PATH": os.environ.get("PATH", os.defpath), **SURROUNDINGS}
        try:
            done = subprocess.run(  # noqa: S603 - no shell; what others wrote stands behind `--` or on stdin
                [*self._call, *words],
                input=said,
                capture_output=True,
                check=False,
                cwd=self._folder,
                env=surroundings,
                timeout=PATIENCE,
            )
        except FileNotFoundError:
            raise BadHistory("git is not installed: install it, or hand in a folder of dated files") from None
        except subprocess.TimeoutExpired:
            raise BadHistory(f"git took longer than {PATIENCE} seconds: clone the repository to a local disk") from None
        if done.returncode:
            if refused is not None:
                return refused
            why = done.stderr.decode(errors="replace").strip().splitlines()
            raise BadHistory(f"git cannot read this repository: {why[-1] if why else 'it does not say why'}")
        return done.stdout

    def blobs(self, wanted: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], tuple[str, int]]]:
        """Yield (commit, path) → the file's digest and size in bytes, of those that are there."""
        lines = "".join(f"{commit}:{path}\n" for commit, path in wanted).encode()
        form = "--batch-check=%(objecttype) %(objectname) %(objectsize)"
        answers = self.ask("cat-file", form, said=lines).decode(errors="replace").splitlines()
        for (commit, path), answer in zip(wanted, answers, strict=True):
            if found := re.fullmatch(r"blob ([0-9a-f]+) ([0-9]+)", answer):
                size = int(found[2])
                if size > MOST_BYTES:
                    raise BadHistory(f"{path} at {commit[:12]} is larger than {MOST_BYTES // 1_000_000} MB")
                yield (commit, path), (found[1], size)

    def contents(self, oids: set[str], size: int) -> dict[str, bytes]:
        """Return digest → content, each file once however many commits have it."""
        _refuse_too_large(size)
        answer = self.ask(
            "cat-file", "--batch=%(objectname) %(objectsize)", said="".join(f"{one}\n" for one in oids).encode()
        )
        found, here = {}, 0
        while here < len(answer):
            end = answer.index(b"\n", here)
            oid, length = answer[here:end].decode().split()
            here = end + 1 + int(length)
            found[oid] = answer[end + 1 : here]
            here += 1  # the line that cat-file ends each file with
        return found


def _checked(path: str) -> str:
    if check_name(path):
        raise BadHistory(f'"{path}" is no path in a repository: write it from the top, as in docs/list.md')
    return str(PurePosixPath(path))


def _refuse_too_many(states: int) -> None:
    if states > MOST_STATES:
        raise BadHistory(f"there are more than {MOST_STATES} states: replay a shorter past")


def _refuse_too_large(size: int) -> None:
    if size > MOST_IN_ALL:
        raise BadHistory(f"the states have more than {MOST_IN_ALL // 1_000_000} MB in all: replay a shorter past")
