from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cli import main

ONE = {
    "--from": "2026-04-14T08:00+02:00",
    "--period": "30 days",
    "--rule": "FR_CAL",
    "--calendar": "FR",
    "--timezone": "Europe/Paris",
}
CASE = {
    "id": "one",
    "start": "2026-04-14T08:00+02:00",
    "timezone": "Europe/Paris",
    "period": {"n": 30, "unit": "days"},
    "calendar": "FR",
    "rule": "FR_CAL",
}


def run(*more: str, **changed: str) -> Result:
    options = {**ONE, **{f"--{name}": value for name, value in changed.items()}}
    return CliRunner().invoke(main, ["deadline", *(word for pair in options.items() for word in pair), *more])


def test_one_period_is_counted_and_explained() -> None:
    told = run()

    assert told.exit_code == 0
    assert "as that is Ascension Day, the last day moves to Friday 15 May 2026" in told.stdout
    assert told.stdout.endswith("2026-05-15T23:59:59+02:00).\n")


def test_it_is_explained_in_french_with_days_added_and_taken_away() -> None:
    told = run("--language", "fr", "--extra-holiday", "2026-05-15", "--extra-holiday", "05-18")

    assert "puis un jour férié ajouté au calendrier" in told.stdout
    assert "2026-05-19T23:59:59+02:00" in told.stdout
    assert "2026-05-14T23:59:59+02:00" in run("--removed-holiday", "2026-05-14").stdout


@pytest.mark.parametrize(
    ("option", "value", "instead"),
    [
        ("calendar", "Atlantis", 'write a country such as "FR"'),
        ("period", "", 'write a number of days, such as "30 days"'),
        ("from", "2026-02-31T08:00+01:00", "write one such as 2026-03-02T10:00:00+01:00"),
        ("from", "2026-04-14T08:00", "write it with one, such as +01:00"),
        ("rule", "MOON", "write one of CAL_STRICT"),
        ("timezone", "Mars", 'such as "Europe/Paris"'),
    ],
)
def test_what_cannot_be_counted_is_one_line_that_says_what_to_write(option: str, value: str, instead: str) -> None:
    refused = run(**{option: value})

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1
    assert instead in refused.stderr


def test_what_is_missing_is_named_at_once() -> None:
    refused = CliRunner().invoke(main, ["deadline", "--from", ONE["--from"], "--rule", "FR_CAL"])

    assert (refused.exit_code, refused.stderr) == (
        2, "notifier: write also --period, --calendar, --timezone; or --cases with a file\n",
    )  # fmt: skip


def cases(folder: Path, written: str) -> Result:
    file = folder / "cases.json"
    file.write_text(written)
    return CliRunner().invoke(main, ["deadline", "--cases", str(file)])


def test_every_case_of_a_file_is_answered_in_its_order(tmp_path: Path) -> None:
    answers = json.loads(cases(tmp_path, json.dumps([CASE, {**CASE, "id": "two", "rule": "CAL_STRICT"}])).stdout)

    assert [(answer["id"], answer["deadline"]) for answer in answers] == [
        ("one", "2026-05-15T23:59:59+02:00"),
        ("two", "2026-05-14T23:59:59+02:00"),
    ]
    assert all(set(answer) == {"id", "deadline", "explanation"} for answer in answers)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("{", "cannot be read as JSON"),
        ("{}", "holds no list of cases"),
        ("[3]", "holds no list of cases"),
        (json.dumps([CASE, {**CASE, "id": "two", "calendar": "XX"}]), 'case two: no calendar is called "XX"'),
    ],
)
def test_a_file_that_cannot_be_answered_is_refused_whole(tmp_path: Path, written: str, sentence: str) -> None:
    refused = cases(tmp_path, written)

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert sentence in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_refused() -> None:
    refused = CliRunner().invoke(main, ["deadline", "--cases", "nowhere.json"])

    assert refused.exit_code == 2
    assert "nowhere.json cannot be read" in refused.stderr
