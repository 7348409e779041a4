from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cli import main
from tests.adapters.bounce_examples import ANNE, HUMAN, TEXTS, postfix


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with three mails, and a data folder that nobody may need."""
    (tmp_path / "unknown.eml").write_text(postfix("5.1.1", "550 5.1.1 User unknown", "RCPT TO"))
    (tmp_path / "objection.eml").write_text(HUMAN[0])
    (tmp_path / "noise.eml").write_bytes(b"\xff\x00" * 100)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFIER_DATA_DIR", str(tmp_path / "nowhere"))
    return tmp_path


def bounces_read(*words: str) -> Result:
    return CliRunner().invoke(main, ["bounces", "read", *words])


def test_each_file_is_one_line_of_json_in_the_order_given(folder: Path) -> None:
    done = bounces_read("objection.eml", "./unknown.eml", "noise.eml", "--json")

    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"file": "objection.eml", "kind": "human_reply", "recipients": []},
        {
            "file": "./unknown.eml",
            "kind": "failed",
            "recipients": [{"address": ANNE, "status": "5.1.1", "hard": True}],
        },
        {"file": "noise.eml", "kind": "unreadable", "recipients": []},
    ]
    assert not (folder / "nowhere").exists()


def test_people_read_a_line_too(folder: Path) -> None:
    del folder
    done = bounces_read("unknown.eml", "objection.eml")

    assert done.stdout == f"unknown.eml: failed: {ANNE} 5.1.1 (hard)\nobjection.eml: human_reply\n"


@pytest.mark.parametrize("missing", ["nothing.eml", "."])
def test_a_file_that_cannot_be_opened_is_refused_in_one_line_before_anything_is_said(
    folder: Path, missing: str
) -> None:
    del folder
    done = bounces_read("unknown.eml", missing, "--json")

    assert done.exit_code == 2
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert missing in done.stderr


def test_hundreds_of_files_are_read_by_one_process(folder: Path) -> None:
    names = []
    for number in range(300):
        name = f"{number}.eml"
        (folder / name).write_text(TEXTS[number % len(TEXTS)].mail)
        names.append(name)

    done = bounces_read("--json", *names)

    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == names
