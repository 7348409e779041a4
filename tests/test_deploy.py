"""What deploy/ says is what the product has: commands, settings, and the time that stopping may take."""

from __future__ import annotations

import configparser
import importlib
import re
import shlex
import stat
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from notifier import resources
from notifier.cli import main

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
TEN_MINUTES = 600
HARDENING = ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "ProtectSystem", "UMask", "User")


def unit(file: Path) -> configparser.ConfigParser:
    """A unit as systemd reads it: a key may come more than once."""
    parsed = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parsed.optionxform = str  # type: ignore[assignment, method-assign] # its own idiom for keys whose case counts
    parsed.read(file)
    return parsed


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def commands() -> Iterator[list[str]]:
    """Every command line of ours that deploy/ names, as words."""
    for file in UNITS:
        if file.suffix == ".service":
            words = shlex.split(unit(file)["Service"]["ExecStart"].replace("%%", "%"))
            yield shlex.split(words[2].removeprefix("exec ")) if words[0] == "/bin/sh" else words
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    yield from (service["command"] for service in services.values() if "command" in service)
    said = re.search(r"^CMD (\[.+\])$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert said
    yield yaml.safe_load(said[1])


def seconds(text: str) -> float:
    number, name = re.fullmatch(r"(\d+)\s*(s|m|min|h)?", text).groups()  # type: ignore[union-attr] # no match fails too
    return float(number) * {None: 1, "s": 1, "m": 60, "min": 60, "h": 3600}[name]


def settings() -> set[str]:
    """Every environment variable that is a setting."""
    values = tomllib.loads((resources.folder("config") / "default.toml").read_text())
    nested = {f"{key}__{inner}" for key, table in values.items() if isinstance(table, Mapping) for inner in table}
    return {f"NOTIFIER_{key}".upper() for key in values.keys() | nested} | {"NOTIFIER_DATA_DIR"}


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_that_deploy_names_exists(words: list[str]) -> None:
    program = Path(words[0]).name

    assert (ROOT / ".venv" / "bin" / program).exists()
    if program == "notifier":
        verb = main.get_command(click.Context(main), words[1])
        assert verb is not None
        known = {name for one in verb.params for name in one.opts}
        assert {word for word in words[2:] if word.startswith("--")} <= known
    else:
        module, _colon, name = next(word for word in words if word.startswith("notifier.")).partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_a_worker_has_more_than_ten_minutes_to_stop(compose: dict[str, Any]) -> None:
    service = unit(DEPLOY / "systemd" / "notifier-worker.service")["Service"]
    own = [float(words[words.index("--worker-shutdown-timeout") + 1]) for words in commands() if "dramatiq" in words[0]]

    assert len(own) == 2
    assert min(own) / 1000 > TEN_MINUTES
    assert seconds(service["TimeoutStopSec"]) > max(own) / 1000
    assert seconds(compose["services"]["worker"]["stop_grace_period"]) > max(own) / 1000


@pytest.mark.parametrize("file", [file for file in UNITS if file.suffix == ".service"], ids=lambda file: file.name)
def test_every_service_runs_as_nobody_special(file: Path) -> None:
    service = unit(file)["Service"]

    assert [name for name in HARDENING if name not in service] == []
    assert service["User"] == "notifier"
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "notifier"


def test_units_want_units_that_are_there() -> None:
    names = {file.name for file in UNITS}
    wanted = {
        name
        for file in UNITS
        for section in ("Unit", "Install")
        if unit(file).has_section(section)
        for key in ("Wants", "PartOf", "WantedBy", "Requires")
        for name in unit(file)[section].get(key, "").split()
    }

    assert {name for name in wanted if name.startswith("notifier")} <= names


def test_every_setting_that_deploy_gives_is_a_setting(compose: dict[str, Any]) -> None:
    texts = [file.read_text() for file in (*UNITS, DEPLOY / "Containerfile", DEPLOY / "README.md")]
    said = {name for text in texts for name in re.findall(r"\bNOTIFIER_[A-Z_]+\b", text)} - {
        "NOTIFIER_X",
        "NOTIFIER_X_FILE",
    }
    given = {name for service in compose["services"].values() for name in service.get("environment", {})}
    ours = {name.removesuffix("_FILE") for name in given if name.startswith("NOTIFIER_")}

    assert (said | ours) - settings() == set()


def test_secrets_come_as_files_that_are_named(compose: dict[str, Any]) -> None:
    named = set(compose["secrets"])
    for service in compose["services"].values():
        used = {one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])}
        assert used <= named
        for name, value in service.get("environment", {}).items():
            if name.endswith("_FILE"):
                assert Path(value).name in used
            assert "PASSWORD" not in name.removesuffix("PASSWORD_FILE")
    assert (DEPLOY / ".gitignore").read_text() == "secrets/\n"


def test_ours_share_one_data_folder_and_the_databases_stand_on_the_inner_network(compose: dict[str, Any]) -> None:
    services = compose["services"]

    for name in ("web", "worker", "upgrade"):
        assert services[name]["volumes"] == ["data:/data"]
        assert services[name]["read_only"] is True
    for name in ("postgresql", "rabbitmq"):
        assert services[name]["networks"] == ["inside"]
        assert "ports" not in services[name]
    assert compose["networks"]["inside"]["internal"] is True


def test_the_container_runs_as_nobody_special_and_looks_after_its_health() -> None:
    text = (DEPLOY / "Containerfile").read_text()

    assert text.count("FROM docker.io/library/python:3.12-slim") == 2
    assert text.index("\nUSER notifier") < text.index("\nENTRYPOINT")
    assert "HEALTHCHECK" in text
    assert "/healthz" in text
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / one).exists() for one in source.split())


def entered(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(DEPLOY / "entry.sh"), "env"],
        env={"PATH": "/usr/bin:/bin", **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("open sesame")
    secret.chmod(stat.S_IRUSR)

    ran = entered(tmp_path, NOTIFIER_SECRET_KEY_FILE=str(secret), NOTIFIER_MAIL__CA_FILE="/etc/ca.pem")

    assert "NOTIFIER_SECRET_KEY=open sesame" in ran.stdout
    assert "NOTIFIER_SECRET_KEY_FILE" not in ran.stdout
    assert "NOTIFIER_MAIL__CA_FILE=/etc/ca.pem" in ran.stdout


def test_a_secret_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    ran = entered(tmp_path, NOTIFIER_SECRET_KEY_FILE="/nowhere")

    assert ran.returncode == 2
    assert "cannot be read" in ran.stderr
