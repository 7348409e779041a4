"""The past of a list, out of repositories and folders that anybody may have made."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifier.adapters.histories import BadHistory, State, from_folder, from_git, read_states
from notifier.adapters.remarks import BadList

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ONE = "# Subprocessors\n\n- Fibrexemple. Dark fibre.\n"
TWO = ONE + "- Optexemple. Backup.\n"
Commit = Callable[..., str]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


@pytest.fixture
def commit(repository: Path) -> Commit:
    """Write files (None: delete) and commit them at an instant; returns the digest."""

    def commit(at: str, **files: str | None) -> str:
        for name, text in files.items():
            file = repository / name.replace("__", "/").replace("_md", ".md")
            file.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                file.unlink()
            else:
                file.write_text(text, encoding="utf-8")
        _git(repository, "add", "--all")
        _git(repository, "commit", "--quiet", "--allow-empty", "--message", "edit", at=at)
        return _git(repository, "rev-parse", "HEAD")

    return commit


def _git(folder: Path, *words: str, at: str = "2020-01-01T00:00:00Z") -> str:
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@company.example"}
    who |= {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@company.example", "GIT_CONFIG_GLOBAL": os.devnull}
    when = {"GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z"}
    made = subprocess.run(
        ["git", *words], cwd=folder, env={"PATH": os.environ["PATH"], **who, **when}, check=True, capture_output=True
    )
    return made.stdout.decode().strip()


# --- git -------------------------------------------------------------------------------------------------------------


def test_each_commit_that_changes_the_list_is_a_state_at_its_committers_instant(
    repository: Path, commit: Commit
) -> None:
    first = commit("2025-01-01T12:00:00+02:00", list_md=ONE)
    commit("2025-01-02T12:00:00Z", other_md="nothing of the list")
    second = commit("2025-01-03T12:00:00Z", list_md=TWO)

    found = from_git(repository, ["list.md"])

    assert [(one.at, one.source, one.content.decode()) for one in found.states] == [
        (datetime(2025, 1, 1, 10, 0, tzinfo=UTC), first, ONE),
        (datetime(2025, 1, 3, 12, 0, tzinfo=UTC), second, TWO),
    ]


def test_a_list_is_followed_through_its_names(repository: Path, commit: Commit) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)
    commit("2025-01-02T12:00:00Z", list_md=None, docs__list_md=TWO)

    found = from_git(repository, ["list.md", "./docs/list.md"])

    assert [(one.filename, one.content.decode()) for one in found.states] == [("list.md", ONE), ("docs/list.md", TWO)]


@pytest.mark.parametrize("names", [("list.md", "new.md", "all.md"), ("all.md", "new.md", "list.md")])
def test_a_name_is_kept_as_long_as_it_is_there_whatever_the_others_say(
    repository: Path, commit: Commit, names: tuple[str, ...]
) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)
    commit("2025-01-02T12:00:00Z", all_md="The lists of all our products.")
    commit("2025-01-03T12:00:00Z", list_md=None, new_md=TWO)
    commit("2025-01-04T12:00:00Z", all_md="The lists of all.")

    assert [one.filename for one in from_git(repository, names).states] == ["list.md", "list.md", "new.md", "new.md"]


def test_a_commit_that_deletes_the_list_is_passed_over_and_told(repository: Path, commit: Commit) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)
    gone = commit("2025-01-02T12:00:00Z", list_md=None)

    found = from_git(repository, ["list.md"])

    assert len(found.states) == 1
    assert found.passed_over == (f"{gone[:12]}: the list is under none of these names",)


def test_what_was_merged_stood_from_the_merge(repository: Path, commit: Commit) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)
    _git(repository, "checkout", "--quiet", "-b", "side")
    commit("2025-01-02T12:00:00Z", list_md=TWO)
    _git(repository, "checkout", "--quiet", "main")
    commit("2025-01-03T12:00:00Z", other_md="x")
    _git(repository, "merge", "--quiet", "--no-ff", "side", "--message", "merge", at="2025-01-04T12:00:00Z")

    states = from_git(repository, ["list.md"]).states

    assert [f"{one.at:%m-%d}" for one in states] == ["01-01", "01-04"]
    assert [f"{one.at:%m-%d}" for one in from_git(repository, ["list.md"], branch="side").states] == ["01-01", "01-02"]


def test_a_bare_repository_is_read_too(repository: Path, commit: Commit, tmp_path: Path) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)
    _git(repository, "clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))

    assert len(from_git(tmp_path / "bare.git", ["list.md"]).states) == 1


def test_nothing_that_a_repository_brings_is_run(repository: Path, commit: Commit, tmp_path: Path) -> None:
    """Its settings name programs for signatures, watching, pagers, filters and remotes: none of them is called."""
    commit("2025-01-01T12:00:00Z", list_md=ONE, _gitattributes="* filter=trap diff=trap")
    (repository / "_gitattributes").rename(repository / ".gitattributes")
    called = tmp_path / "called"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {called}\n", encoding="utf-8")
    trap.chmod(0o755)
    for name in ("gpg.program", "core.fsmonitor", "core.pager", "core.sshCommand", "diff.external", "core.editor"):
        _git(repository, "config", name, str(trap))
    for name in ("filter.trap.smudge", "filter.trap.clean", "diff.trap.textconv", "diff.trap.command"):
        _git(repository, "config", name, str(trap))
    _git(repository, "config", "log.showSignature", "true")
    _git(repository, "config", "alias.rev-list", f"!{trap}")

    assert from_git(repository, ["list.md"]).states[0].content.decode() == ONE
    assert not called.exists()


def test_what_is_missing_in_a_partial_clone_is_not_fetched(repository: Path, commit: Commit, tmp_path: Path) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)
    called = tmp_path / "called"
    blob = _git(repository, "rev-parse", "HEAD:list.md")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for name, value in (
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", f"ext::touch {called}"),
        ("remote.origin.promisor", "true"),
        ("protocol.ext.allow", "always"),
    ):
        _git(repository, "config", name, value)

    with pytest.raises(BadHistory, match="partial"):
        from_git(repository, ["list.md"])
    _git(repository, "config", "--unset", "extensions.partialClone")
    with pytest.raises(BadHistory, match="missing in this clone"):
        from_git(repository, ["list.md"])
    assert not called.exists()


@pytest.mark.parametrize(
    ("paths", "branch", "sentence"),
    [
        (["../list.md"], "HEAD", "no path in a repository"),
        (["/etc/passwd"], "HEAD", "no path in a repository"),
        (["list.md\nHEAD:x"], "HEAD", "no path in a repository"),
        (["nowhere.md"], "HEAD", "no commit of this branch changes nowhere.md"),
        (["list.md"], "nowhere", 'no branch or commit "nowhere"'),
        (["list.md"], "--all", 'no branch or commit "--all"'),
        (["list.md"], "--output=elsewhere", "no branch or commit"),
    ],
)
def test_what_cannot_be_asked_of_a_repository_is_refused(
    repository: Path, commit: Commit, paths: list[str], branch: str, sentence: str
) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)

    with pytest.raises(BadHistory, match=sentence):
        from_git(repository, paths, branch=branch)


def test_a_pattern_is_a_name(repository: Path, commit: Commit) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)

    with pytest.raises(BadHistory, match="no commit"):
        from_git(repository, ["*.md"])


def test_a_shallow_clone_and_a_plain_folder_are_refused(repository: Path, commit: Commit, tmp_path: Path) -> None:
    commit("2025-01-01T12:00:00Z", list_md=ONE)
    commit("2025-01-02T12:00:00Z", list_md=TWO)
    _git(repository, "clone", "--quiet", "--depth=1", f"file://{repository}", str(tmp_path / "shallow"))

    with pytest.raises(BadHistory, match="shallow"):
        from_git(tmp_path / "shallow", ["list.md"])
    with pytest.raises(BadHistory, match="no git repository"):
        from_git(tmp_path, ["list.md"])


# --- folders ---------------------------------------------------------------------------------------------------------


def test_files_stand_from_the_end_of_the_day_in_their_names(tmp_path: Path) -> None:
    for name in ("02-2025-02-01-abc.md", "2025-01-31.md", "2026-03-02.md", "notes.txt", ".hidden", "20250101.md"):
        (tmp_path / name).write_text(ONE, encoding="utf-8")

    found = from_folder(tmp_path, now=NOW)

    assert [(one.source, one.at) for one in found.states] == [
        ("2025-01-31.md", datetime(2025, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("02-2025-02-01-abc.md", datetime(2025, 2, 1, 23, 59, 59, tzinfo=UTC)),
        ("2026-03-02.md", NOW),  # of today, as late as it is
    ]
    assert found.passed_over == ("20250101.md: its name begins with no day", "notes.txt: its name begins with no day")


def test_an_index_gives_the_instants(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(TWO, encoding="utf-8")
    (tmp_path / "b.md").write_text(ONE, encoding="utf-8")
    listed = [
        {"file": "a.md", "committed": "2025-01-02T00:00:00+02:00"},
        {"file": "b.md", "committed": "2025-01-01T12:00:00Z"},
    ]
    (tmp_path / "index.json").write_text(json.dumps({"versions": listed}), encoding="utf-8")

    assert [(one.source, one.at) for one in from_folder(tmp_path, now=NOW).states] == [
        ("b.md", datetime(2025, 1, 1, 12, 0, tzinfo=UTC)),
        ("a.md", datetime(2025, 1, 1, 22, 0, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ("{", "index.json is not understood"),
        ('{"versions": [{"file": "a.md"}]}', "index.json is not understood"),
        ('{"versions": [{"file": "a.md", "committed": "2025-01-01T12:00:00"}]}', "index.json is not understood"),
        ('{"versions": [{"file": "../a.md", "committed": "2025-01-01T12:00:00Z"}]}', "below the folder"),
        ('{"versions": [{"file": "none.md", "committed": "2025-01-01T12:00:00Z"}]}', "none.md"),
        ('{"versions": []}', "no file in"),
    ],
)
def test_an_index_that_is_not_understood_is_refused(tmp_path: Path, index: str, sentence: str) -> None:
    (tmp_path / "index.json").write_text(index, encoding="utf-8")

    with pytest.raises(BadHistory, match=sentence):
        from_folder(tmp_path, now=NOW)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_many_states_are_read_at_once_and_one_that_cannot_be_says_so() -> None:
    contents = [ONE.encode(), b"\xd0\xcf\x11\xe0 no text", TWO.encode(), ONE.encode()]
    states = [State(at=NOW, source=str(number), filename="list.md", content=one) for number, one in enumerate(contents)]

    first, bad, second, again = read_states(states)

    assert isinstance(bad, BadList)
    assert not isinstance(first, BadList)
    assert [entry.name for entry in first.entries] == ["Fibrexemple"]
    assert again == first
    assert not isinstance(second, BadList)
    assert [entry.name for entry in second.entries] == ["Fibrexemple", "Optexemple"]
