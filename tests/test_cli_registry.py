"""Lists in files, by command: compared, planned, applied, replayed and written, with exit codes that programs read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier import resources
from notifier.cli import main

Notifier = Callable[..., Result]

OLD = """---
title: Subprocessors
---

| Subprocessor | Data processed | Location |
| --- | --- | --- |
| Fibrexemple | Traffic, Metadata | France |
| Mailexemple | Addresses | United States |
| Nuagexemple | Everything | Ireland |
"""
NEW = """# Our subprocessors

We choose them with care.

| Subprocessor | Purpose of processing | Data | Processing location |
|:--|---|---|---|
| NUAGEXEMPLE | Hosting | everything | Ireland |
| Fibrexemple SAS | Dark fibre | Traffic Metadata | Germany |
| Optexemple | Dark fibre | Traffic | France |
"""


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    def run(*words: object) -> Result:
        return CliRunner().invoke(main, [*map(str, words)], env={"NOTIFIER_DATA_DIR": str(tmp_path / "var")})

    return run


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return written(tmp_path / "old.md", OLD)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return written(tmp_path / "new.md", NEW)


@pytest.fixture
def published(notifier: Notifier, old: Path, sqlite_template: Path, tmp_path: Path) -> Notifier:
    (tmp_path / "var").mkdir()
    shutil.copy(sqlite_template, tmp_path / "var" / "notifier.db")
    for words in (("registry", "import", old), ("registry", "publish")):
        done = notifier(*words)
        assert done.exit_code == 0, done.output
    return notifier


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def said(done: Result, code: int = 0) -> Any:  # noqa: ANN401 - JSON values
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def one_line(refused: Result) -> str:
    assert refused.exit_code == 2, refused.output
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    return line


# --- diff ------------------------------------------------------------------------------------------------------------


def test_a_diff_of_two_files_has_this_shape_and_needs_no_instance(
    notifier: Notifier, old: Path, new: Path, tmp_path: Path
) -> None:
    found = said(notifier("registry", "diff", old, new, "--json"))

    assert set(found) <= {"changes", "cosmetic", "matches", "asked"}
    assert [set(change) for change in found["changes"]] == 4 * [{"kind", "entry", "before", "after", "fields"}]
    assert {(change["kind"], change["entry"]) for change in found["changes"]} == {
        ("added", "Optexemple"),
        ("removed", "Mailexemple"),
        ("moved", "Fibrexemple SAS"),  # renamed too, and with a purpose
        ("scope_changed", "NUAGEXEMPLE"),
    }
    (moved,) = [change for change in found["changes"] if change["kind"] == "moved"]
    assert {field["field"] for field in moved["fields"]} == {"name", "purposes", "places"}
    assert not (tmp_path / "var").exists()


def test_a_file_and_itself_differ_in_nothing(notifier: Notifier, old: Path) -> None:
    assert said(notifier("registry", "diff", old, old, "--json")) == {"changes": [], "cosmetic": 0}
    assert "Nothing changes in meaning." in notifier("registry", "diff", old, old).output


def test_a_version_is_compared_with_a_file_and_with_the_draft(published: Notifier, new: Path) -> None:
    in_words = published("registry", "diff", 1, new).output
    assert "removed: Mailexemple" in in_words
    assert "places: FR → DE" in in_words

    published("registry", "draft", "remove", "mailexemple")
    found = said(published("registry", "diff", 1, "draft", "--json"))
    assert [(change["kind"], change["entry"]) for change in found["changes"]] == [("removed", "Mailexemple")]


def test_who_is_who_is_shown_and_can_be_said(notifier: Notifier, old: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other.md", OLD.replace("Mailexemple", "Mailexemple Ltd"))
    pair = "mailexemple=mailexemple-ltd"

    shown = notifier("registry", "diff", old, other).output
    assert f"--apart {pair} undoes it" in shown
    apart = said(notifier("registry", "diff", old, other, "--json", "--apart", pair))
    assert [change["kind"] for change in apart["changes"]] == ["added", "removed"]

    stranger = written(tmp_path / "stranger.md", OLD.replace("Mailexemple", "Quite another name"))
    joined = said(notifier("registry", "diff", old, stranger, "--json", "--same", "mailexemple=quite-another-name"))
    assert [change["kind"] for change in joined["changes"]] == ["renamed"]
    assert "OLD=NEW" in one_line(notifier("registry", "diff", old, other, "--apart", "mailexemple"))


# --- import ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_was_read_and_keeps_nothing(published: Notifier, new: Path) -> None:
    shown = published("registry", "import", new, "--dry-run").output

    assert "new.md: 3 entries." in shown
    assert "column “Purpose of processing”: purposes" in shown
    assert "added: Optexemple" in shown
    assert "there is no draft" in one_line(published("registry", "draft"))


def test_a_column_that_is_not_known_is_mapped_and_the_mapping_kept(notifier: Notifier, tmp_path: Path) -> None:
    odd = written(tmp_path / "odd.csv", "Subprocessor;Gubbins;Colour\nFibrexemple;Dark fibre;blue\n")
    mapping = written(tmp_path / "mapping.toml", '"Gubbins" = "activities"\n"Colour" = ""\n')
    saved = tmp_path / "saved.json"

    shown = notifier("registry", "import", odd, "--dry-run").output
    assert shown.count("Not understood: ") == 2
    assert "Gubbins" in shown

    mapped = notifier("registry", "import", odd, "--mapping", mapping, "--save-mapping", saved)
    assert "column “Gubbins”: activities" in mapped.output
    assert "Not understood" not in mapped.output
    assert json.loads(saved.read_text(encoding="utf-8"))["Gubbins"] == "activities"
    again = notifier("registry", "import", odd, "--mapping", saved, "--save-mapping", tmp_path / "saved.toml")
    assert again.exit_code == 0, again.output
    assert '"Gubbins" = "activities"' in (tmp_path / "saved.toml").read_text(encoding="utf-8")
    assert "cannot be read" in one_line(notifier("registry", "import", odd, "--mapping", odd))


# --- plan and apply --------------------------------------------------------------------------------------------------


def test_a_plan_ends_with_a_code_that_says_whether_something_changes(published: Notifier, old: Path, new: Path) -> None:
    assert published("registry", "plan", old).exit_code == 0
    assert published("registry", "plan", new).exit_code == 3
    found = said(published("registry", "plan", new, "--json"), code=3)
    assert {"changes", "cosmetic", "not_understood", "other_draft"} <= set(found)
    assert said(published("registry", "plan", old, "--json"))["changes"] == []
    assert "there is no draft" in one_line(published("registry", "draft"))


def test_what_cannot_be_read_ends_with_another_code(published: Notifier, tmp_path: Path) -> None:
    prose = written(tmp_path / "prose.md", "There is no list here.")

    assert published("registry", "plan", prose).exit_code == 2


def test_a_list_is_applied_once_and_never_published(published: Notifier, new: Path) -> None:
    assert "The draft has 3 entries." in published("registry", "apply", new).output
    again = published("registry", "apply", new)

    assert (again.exit_code, "The draft has 3 entries." in again.output) == (0, True)
    assert "draft" not in published("registry", "plan", new).output
    assert published("registry", "history").output.startswith("   1  published")


def test_an_open_draft_is_not_thrown_away_unasked(published: Notifier, old: Path, new: Path) -> None:
    published("registry", "draft", "remove", "mailexemple")

    assert "A draft that says something else is open" in published("registry", "plan", new).output
    assert "--replace-draft" in one_line(published("registry", "apply", new))
    assert "The draft has 3 entries." in published("registry", "apply", new, "--replace-draft").output
    assert "no draft is kept" in published("registry", "apply", old, "--replace-draft").output


# --- export ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "xlsx", "yaml", "json", "md"])
def test_what_is_exported_changes_nothing_when_it_comes_back(published: Notifier, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"list.{form}"

    assert "has 3 entries" in published("registry", "export", file).output
    assert said(published("registry", "plan", file, "--json"))["changes"] == []


def test_an_export_is_of_what_is_asked_for(published: Notifier, tmp_path: Path) -> None:
    published("registry", "draft", "remove", "mailexemple")

    def names(*words: object) -> list[str]:
        exported = said(published("registry", "export", "-", "--format", "json", *words))
        return [entry["name"] for entry in exported["entries"]]

    assert len(names()) == len(names("--version", 1)) == 3
    assert names("--draft") == ["Fibrexemple", "Nuagexemple"]
    assert names("--on", "2001-01-01") == []
    assert "write one of" in one_line(
        published("registry", "export", "-", "--format", "json", "--draft", "--version", 1)
    )
    assert "in which format" in one_line(published("registry", "export", tmp_path / "list"))


# --- show, history, completeness -------------------------------------------------------------------------------------


def test_a_list_is_shown_as_it_stood_and_as_it_was_known(published: Notifier) -> None:
    assert len(said(published("registry", "show", "--json"))["entries"]) == 3
    assert said(published("registry", "show", "--on", "2001-01-01", "--json"))["entries"] == []
    assert "No list was in force." in published("registry", "show", "--known-on", "2001-01-01").output
    assert said(published("registry", "show", "--service", "Mail", "--json"))["version"] == 1
    assert "leave out" in one_line(published("registry", "show", "--version", 1, "--on", "2001-01-01"))
    assert published("registry", "show", "--on", "9999-12-31").exit_code == 2


def test_a_client_has_its_own_list(published: Notifier) -> None:
    clients = resources.folder("config") / "demo" / "clients.csv"
    assert published("clients", "import", clients).exit_code == 0
    key = clients.read_text(encoding="utf-8").splitlines()[1].partition(";")[0]

    own = said(published("registry", "show", "--client", key, "--json"))
    assert (own["client"], own["expected"], own["excluded"], len(own["entries"])) == (key, False, [], 3)
    known = published("registry", "show", "--client", key, "--known-on", "2001-01-01", "--json")
    assert said(known)["entries"] == []
    assert "leave out" in one_line(published("registry", "show", "--client", key, "--version", 1))


def test_what_is_missing_is_told_with_its_source(published: Notifier) -> None:
    shown = published("registry", "completeness").output

    assert "fibrexemple: " in shown
    assert "    address: EDPB Opinion 22/2024" in shown
    assert "as asked by gdpr." in shown
    assert "later, legal_form" in published("registry", "completeness", "--pack", "outscale-hds-2022").output
    assert 'no entry "nobody"' in one_line(published("registry", "completeness", "nobody"))
    assert "no contract pack" in one_line(published("registry", "completeness", "--pack", "nobody"))


# --- replay ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A list that is moved, edited twice within an hour, and edited in its writing."""
    folder = tmp_path / "repository"
    (folder / "docs").mkdir(parents=True)
    commit(folder, "2025-01-01T10:00:00+01:00", "list.md", OLD)
    (folder / "list.md").unlink()
    commit(folder, "2025-01-02T10:00:00Z", "docs/list.md", OLD)
    commit(folder, "2025-02-01T10:00:00Z", "docs/list.md", OLD + "| Optexemple | Traffic | France |\n")
    commit(folder, "2025-02-01T10:40:00Z", "docs/list.md", OLD + "| Optexemple | Traffic | Germany |\n")
    prose = OLD.replace("title: Subprocessors", "title: Our subprocessors\nlayout: page").replace("Fibre", "FIBRE")
    commit(folder, "2025-03-01T10:00:00Z", "docs/list.md", prose + "| Optexemple | Traffic | Germany |\n")
    return folder


def commit(folder: Path, at: str, name: str, text: str) -> None:
    written(folder / name, text)
    identity = {
        f"GIT_{who}_{what}": "a@company.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_COMMITTER_DATE": at, **identity}
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "edit"]):
        subprocess.run(["git", *words], cwd=folder, env=env, check=True, capture_output=True)


def test_a_repository_is_replayed_as_it_was(notifier: Notifier, repository: Path) -> None:
    words = ("registry", "replay", repository, "list.md", "docs/list.md")
    shown = notifier(*words, "--dry-run").output
    assert "No list is in force yet" in notifier("registry", "show").output

    done = notifier(*words)

    assert done.exit_code == 0, done.output
    assert done.output == shown
    first, second, counted = shown.splitlines()
    assert first.startswith("   1  2025-01-01 09:00Z  ")
    assert first.endswith("  3 entries")
    assert second.startswith("   2  2025-02-01 10:40Z  ")
    assert second.endswith("  added Optexemple")
    assert counted == "3 edits: 1 change nothing in the list; 2 versions"
    newest, oldest = notifier("registry", "history").output.splitlines()
    assert "published 2025-02-01 10:40Z, read from " in newest
    assert len(said(notifier("registry", "show", "--on", "2025-01-31", "--json"))["entries"]) == 3
    assert oldest.split()[0] == "1"
    assert "empty" in one_line(notifier(*words))


def test_a_folder_of_dated_files_is_replayed(notifier: Notifier, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    written(folder / "2025-01-01.md", OLD)
    written(folder / "2025-02-01.md", "There is no list here.")
    written(folder / "2025-03-01.md", NEW)
    written(folder / "readme.txt", "Not one of them.")

    assert "2025-02-01.md" in one_line(notifier("registry", "replay", folder))
    done = notifier("registry", "replay", folder, "--skip-unreadable")

    assert done.exit_code == 0, done.output
    assert "   2  2025-03-01 23:59Z  2025-03-01.md  " in done.output
    assert "Left out: readme.txt" in done.output
    assert "1 edits: 0 change nothing in the list; 2 versions" in done.output


def test_what_cannot_be_replayed_is_refused(notifier: Notifier, repository: Path, tmp_path: Path) -> None:
    assert "which file of this repository" in one_line(notifier("registry", "replay", repository))
    assert "no commit" in one_line(notifier("registry", "replay", repository, "nowhere.md"))
    assert "no git repository" in one_line(notifier("registry", "replay", tmp_path, "list.md"))
