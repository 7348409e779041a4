"""The examples of docs/registry-in-git.md and docs/history.md name commands and options that there are."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from notifier.cli import main
from notifier.web import api

DOCS = Path(__file__).parents[1] / "docs"
FENCES = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(name: str, language: str) -> list[str]:
    return [text for found, text in FENCES.findall((DOCS / name).read_text(encoding="utf-8")) if found == language]


@pytest.mark.parametrize("name", ["registry-in-git.md", "history.md"])
def test_every_command_that_is_written_exists(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    written = re.findall(r"notifier registry ([a-z]+)([^`\n;|]*)", text)
    registry = main.commands["registry"]
    assert isinstance(registry, click.Group)

    assert written
    for verb, rest in written:
        command = registry.commands[verb]
        known = {option for one in command.params for option in one.opts}
        assert {word for word in shlex.split(rest) if word.startswith("--")} <= known, f"{verb}{rest}"


def test_the_examples_for_ci_can_be_read() -> None:
    examples = fences("registry-in-git.md", "yaml")

    assert len(examples) == 3
    for example in examples:
        assert isinstance(yaml.safe_load(example), dict)
        if "/api/" in example:
            assert f"hosting.example{api.PATH}registry/plan?filename=" in example


def test_the_example_of_a_diff_has_its_shape() -> None:
    (example,) = fences("registry-in-git.md", "json")

    said = json.loads(example)
    assert set(said) == {"changes", "cosmetic"}
    assert set(said["changes"][0]) == {"kind", "entry", "before", "after", "fields"}
