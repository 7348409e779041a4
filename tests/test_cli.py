"""The command as an operator types it: what it prints, and what it refuses in one line, changing nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from notifier import resources
from notifier.cli import main
from notifier.cli.bounces import bounces_group

CONFIG = resources.folder("config")
REGISTER = str(CONFIG / "registers" / "outscale-hds-2022-08-17.csv")
CLIENTS = str(CONFIG / "demo" / "clients.csv")
PROFILE = (
    "legal_name=Hosting SAS",
    "address=1 rue des Essais, Paris",
    "sender_name=Hosting",
    "sender_address=notices@hosting.example",
    "reply_to=privacy@hosting.example",
    "privacy_contact=privacy@hosting.example",
    "base_url=https://notices.hosting.example",
)
Notifier = Callable[..., Result]


@pytest.fixture
def notifier(tmp_path: Path) -> Notifier:
    """Run the command on a data folder of its own."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, [*words], env={"NOTIFIER_DATA_DIR": str(tmp_path / "var")})

    return run


@pytest.fixture
def established(notifier: Notifier) -> Notifier:
    """The contract's list in force, the profile complete, the clients known, and a change drafted."""
    draft = ("draft", "add", "--name", "Optexemple", "--activity", "Fibre noire", "--replaces", "bso")
    steps = (
        ("profile", "set", *PROFILE),
        ("registry", "import", REGISTER),
        ("registry", "publish"),
        ("clients", "import", CLIENTS),
        ("registry", *draft),
    )
    for words in steps:
        done = notifier(*words)
        assert done.exit_code == 0, done.output
    return notifier


def one_line(refused: Result) -> str:
    assert refused.exit_code == 2, refused.output
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    return line


def test_the_real_list_is_read_and_what_it_does_not_say_is_asked(notifier: Notifier) -> None:
    read = notifier("registry", "import", REGISTER)

    assert "in which country is LUMEN?" in read.output
    assert "The draft has 10 entries." in read.output
    assert "Version 1 is in force." in notifier("registry", "publish").output
    assert "EQUINIX" in notifier("registry", "show").output


def test_a_key_is_printed_whole_so_that_it_can_be_typed_back(established: Notifier) -> None:
    assert "dassault-systemes " in established("registry", "show", "--version", "1").output


def test_publishing_tells_every_client_and_the_board_shows_them(established: Notifier) -> None:
    early = one_line(established("registry", "publish", "--effective", "2999-01-01"))
    assert "say why the change is made" in early

    reasons = ("--reason-en", "It closes.", "--reason-fr", "Il ferme.")
    published = established("registry", "publish", "--effective", "2999-01-01", *reasons)

    assert "8 clients, 7 mails in the outbox." in published.output
    reference = published.output.split()[0]
    board = established("announcements", "show", reference)
    assert "Cabinet de l’Orme" in board.output
    assert "unreached 1" in board.output
    assert "the gate is closed" in one_line(established("announcements", "live", reference))
    assert established("sweep").exit_code == 0
    assert "sending 0" in established("announcements", "show", reference).output
    assert "unreachable_client" in established("items").output
    assert "notice.sent" in established("events").output


def test_a_date_inside_the_periods_is_refused_and_nothing_is_announced(established: Notifier) -> None:
    shown = established("registry", "publish", "--dry-run").output
    earliest = shown.rstrip().rpartition(" ")[2]

    refused = established("registry", "publish", "--effective", "2001-01-01", "--reason-en", "x", "--reason-fr", "x")

    assert "has passed" in one_line(refused)
    assert earliest > "2026"
    assert established("announcements", "list").output == ""


def test_a_dry_run_of_an_import_changes_nothing(notifier: Notifier) -> None:
    assert "Nothing was changed" in notifier("clients", "import", CLIENTS, "--dry-run").output
    assert "C-1001" not in notifier("clients", "list").output


def test_a_file_with_faults_imports_nothing_and_names_each(notifier: Notifier, tmp_path: Path) -> None:
    sheet = tmp_path / "clients.csv"
    sheet.write_text(
        "client_key,company,account_manager,contract_pack,signed_on\n"
        "C-1,Acme,ana@hosting.example,outscale-hds-2022,2026-02-31\n"
        "C-2,,ana@hosting.example,no-such-pack,2026-02-01\n",
        encoding="utf-8",
    )

    refused = notifier("clients", "import", str(sheet))

    assert refused.exit_code == 2
    assert all(f"row {row}" in refused.stderr for row in (2, 3))
    assert "C-1" not in notifier("clients", "list").output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("registry", "draft"), "there is no draft"),
        (("registry", "show", "--version", "9"), "no version 9"),
        (("registry", "diff", "1", "nowhere.csv"), "no version 1"),
        (("registry", "draft", "remove", "nobody"), 'no entry "nobody"'),
        (("profile", "set", "sender_address=not one"), "write one address"),
        (("webhooks", "add", "http://127.0.0.1/"), "https://"),
        (("users", "add", "nobody"), "write one e-mail address"),
        (("users", "link", "ana@hosting.example"), "there is no user"),
        (("announcements", "live", "SP-1"), "no such announcement"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_refused_in_one_line(notifier: Notifier, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in one_line(notifier(*words))


def test_a_misspelt_setting_is_refused_at_the_start(notifier: Notifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFIER_MAIL__HOSST", "smtp.hosting.example")

    assert "NOTIFIER_MAIL__HOSST" in one_line(notifier("profile", "show"))


def test_the_first_user_comes_in_by_a_link_and_can_be_shut_out(notifier: Notifier) -> None:
    added = notifier("users", "add", "ana@hosting.example", "--role", "administrator")
    assert "/sign-in/" in added.output
    assert "last administrator" in one_line(notifier("users", "switch", "ana@hosting.example", "off"))

    notifier("users", "add", "bob@hosting.example", "--role", "administrator")
    notifier("users", "switch", "ana@hosting.example", "off")

    assert "ana@hosting.example  administrator  switched off" in notifier("users", "list").output


def leaves(command: click.Command) -> list[click.Command]:
    if isinstance(command, click.Group):
        return [leaf for sub in command.commands.values() if not sub.hidden for leaf in leaves(sub)]
    return [command]


def test_every_command_takes_the_data_folder_and_says_what_it_does() -> None:
    commands = leaves(main)

    assert len(commands) > 30
    needs_none = bounces_group.commands["read"]  # it reads files, whatever product they came back to
    without = [one for one in commands if "data_dir" not in {option.name for option in one.params}]
    assert without == [needs_none]
    assert [one.name for one in commands if not one.help] == []


# --- correcting ------------------------------------------------------------------------------------------------------

MOVE = """kind = "location"
aspect = "storage"
effective_on = 2031-01-15
[facts]
place = "Anvers-Exemple"
country = "BE"
what_en = "A copy lies there."
what_fr = "Une copie s’y trouve."
[reasons]
en = "More room."
fr = "Plus de place."
"""


@pytest.fixture
def moved(established: Notifier, tmp_path: Path) -> Notifier:
    """A move of the hosting, published as LO-…-0001."""
    written = tmp_path / "move.toml"
    written.write_text(MOVE, encoding="utf-8")
    assert established("announcements", "draft", str(written)).exit_code == 0
    published = established("announcements", "publish", reference_of(established))
    assert published.exit_code == 0, published.output
    return established


def reference_of(notifier: Notifier) -> str:
    return notifier("announcements", "list").output.split()[0]


def correct(notifier: Notifier, file: Path, toml: str, *words: str) -> Result:
    file.write_text(toml, encoding="utf-8")
    reference = reference_of(notifier)
    return notifier("announcements", "correct", reference, "--why", "A slip.", "--from", str(file), *words)


def test_what_a_correction_does_not_give_stays(moved: Notifier, tmp_path: Path) -> None:
    file, reasons = tmp_path / "correction.toml", '[reasons]\nen = "Much more room."\nfr = "Bien plus de place."\n'

    done = correct(moved, file, reasons)

    assert done.exit_code == 0, done.output
    assert "everybody is told anew" in done.output
    assert "from 2031-01-15" in moved("announcements", "show", reference_of(moved)).output
    day_alone = correct(moved, file, "effective_on = 2031-02-15\n")
    assert day_alone.exit_code == 0, day_alone.output
    assert "from 2031-02-15" in moved("announcements", "show", reference_of(moved)).output


def test_a_wording_is_mended_by_what_is_written_alone(moved: Notifier, tmp_path: Path) -> None:
    file, reasons = tmp_path / "wording.toml", '[reasons]\nen = "More space."\nfr = "Plus d’espace."\n'

    done = correct(moved, file, reasons, "--wording")

    assert done.exit_code == 0, done.output
    assert "nobody is told anew" in done.output


def test_a_name_is_no_matter_of_wording(moved: Notifier, tmp_path: Path) -> None:
    facts = MOVE.partition("[facts]")[2].partition("[reasons]")[0].replace("Anvers", "Gand")

    refused = correct(moved, tmp_path / "wording.toml", f"[facts]{facts}", "--wording")

    assert "correct the announcement in substance" in one_line(refused)


def test_a_draft_is_written_over_by_one_of_its_own_kind_alone(established: Notifier, tmp_path: Path) -> None:
    file = tmp_path / "move.toml"
    file.write_text(MOVE, encoding="utf-8")
    established("announcements", "draft", str(file))
    file.write_text(MOVE.replace('"location"', '"support"'), encoding="utf-8")

    refused = established("announcements", "draft", str(file), "--over", reference_of(established))

    assert "is of the kind location, and move.toml of support" in one_line(refused)


def test_a_draft_needs_its_day(notifier: Notifier, tmp_path: Path) -> None:
    file = tmp_path / "move.toml"
    file.write_text(MOVE.replace("effective_on = 2031-01-15\n", ""), encoding="utf-8")

    assert "write effective_on as a day" in one_line(notifier("announcements", "draft", str(file)))


def test_a_correction_takes_the_registrys_draft_in_where_it_is_told_to(established: Notifier) -> None:
    why = ("--reason-en", "The old one fails.", "--reason-fr", "L’ancien est défaillant.")
    published = established("registry", "publish", "--effective", "2031-01-15", *why)
    assert published.exit_code == 0, published.output
    reference = published.output.split()[0]
    correction = ("announcements", "correct", reference, "--why", "A slip.", "--take-draft")
    without = established(*correction)
    amended = established("registry", "draft", "amend", "optexemple", "--town", "Lyon")
    assert amended.exit_code == 0, amended.output

    done = established(*correction)

    assert "there is no draft" in one_line(without)
    assert done.exit_code == 0, done.output
    assert "→ Lyon" in done.output
    assert "is corrected (edition 2)" in done.output


def test_only_a_change_of_the_registry_takes_its_draft_in(moved: Notifier) -> None:
    refused = moved("announcements", "correct", reference_of(moved), "--why", "A slip.", "--take-draft")

    assert "is no change of the registry" in one_line(refused)
