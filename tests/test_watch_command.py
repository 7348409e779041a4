from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from notifier.adapters.registers import read_register
from notifier.cli import main
from notifier.services import watches

BEFORE = "name,activity,country\nNuage Un,Storage,FR\n"
Notifier = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "watched"
    made.mkdir()
    (made / "fibre.csv").write_text(BEFORE)
    return made


@pytest.fixture
def notifier(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notifier:
    """Run the command on a data folder of its own, whose draft has one entry, reading lists in this very process."""
    monkeypatch.setattr(watches, "read_list", read_register)
    environment = {"NOTIFIER_DATA_DIR": str(tmp_path / "var"), "NOTIFIER_WATCH__FILES": str(folder)}

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, [*words], env=environment)

    own = tmp_path / "own.csv"
    own.write_text("key,name,activity,country\nfibre,Fibrexemple,Fibre noire,FR\n")
    done = run("registry", "import", str(own))
    assert done.exit_code == 0, done.output
    return run


def watched(notifier: Notifier) -> str:
    added = notifier("watch", "add", "fibre", "fibre.csv", "--every", "6")
    assert added.exit_code == 0, added.output
    return added.stdout.splitlines()[0]


def test_a_list_is_watched_and_its_change_is_suggested(notifier: Notifier, folder: Path) -> None:
    source = watched(notifier)

    assert "The list is kept" in notifier("watch", "look", source).stdout
    assert "Nothing changes in meaning." in notifier("watch", "look", source).stdout
    (folder / "fibre.csv").write_text(BEFORE + "Courrier Sud,Mail,FR\n")
    assert "added: Courrier Sud" in notifier("watch", "look", source).stdout

    listed = notifier("watch", "list").stdout
    assert "about fibre: 1 changes" in listed
    assert "suggestion" in notifier("items").stdout


def test_a_list_that_cannot_be_read_is_said_in_one_line(notifier: Notifier, folder: Path) -> None:
    source = watched(notifier)
    (folder / "fibre.csv").unlink()

    refused = notifier("watch", "look", source)

    assert refused.exit_code == 2
    said = "the list could not be read: the file cannot be read: No such file or directory"
    assert refused.stderr == f"notifier: {said}\n"
    assert "1 times in a row: the file cannot be read" in notifier("watch", "list").stdout


def test_a_watch_is_paused_and_ended(notifier: Notifier) -> None:
    source = watched(notifier)

    assert "paused" in notifier("watch", "pause", source).stdout
    assert "watched again" in notifier("watch", "pause", source, "--off").stdout
    assert "no more" in notifier("watch", "remove", source).stdout
    assert source not in notifier("watch", "list").stdout
    assert notifier("watch", "look", source).exit_code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("add", "nobody", "https://supplier.example/"),
        ("add", "fibre", "https://ana:secret@supplier.example/"),
        ("add", "fibre", "../secret"),
        ("add", "fibre", "https://supplier.example/", "--every", "0"),
        ("add", "fibre", "https://supplier.example/", "--map", "name"),
        ("look", str(uuid4())),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(notifier: Notifier, words: tuple[str, ...]) -> None:
    refused = notifier("watch", *words)

    assert refused.exit_code == 2
    assert len(refused.stderr.splitlines()) == 1
    assert "secret@" not in refused.stderr
