"""The figures, the alerts and the page on them say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from notifier.models import ItemKind
from notifier.runtime import Runtime
from tests.factories import make_app, make_runtime

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus-rules.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
NAME = re.compile(r"notifier_\w+")


@pytest.fixture
def figures(sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    """The kind of each figure that an instance which has done nothing tells, by its name as a query writes it."""
    runtime: Runtime = make_runtime(sqlite_url, tmp_path)
    text = make_app(runtime).test_client().get("/metrics").text
    runtime.close()
    found = {}
    for family in text_string_to_metric_families(text):
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        found[family.name.removesuffix(suffix) + suffix] = family.type
    return found


def test_the_page_lists_each_figure_with_its_kind(figures: dict[str, str]) -> None:
    rows = dict(re.findall(r"^\| `(notifier_\w+)` \| (\w+) \|", PAGE, re.MULTILINE))

    told = {name: "info" if name == "notifier_info" else kind for name, kind in figures.items()}
    assert rows == told


def test_no_alert_asks_for_a_figure_that_is_not_told(figures: dict[str, str]) -> None:
    asked = {name for rule in RULES for name in NAME.findall(rule["expr"])}

    assert asked
    assert asked <= set(figures)


def test_the_page_lists_each_alert() -> None:
    assert [rule["alert"] for rule in RULES] == re.findall(r"^\| `(Notifier\w+)` \|", PAGE, re.MULTILINE)


def test_an_alert_on_items_names_kinds_that_there_are() -> None:
    kinds = {
        kind for rule in RULES for said in re.findall(r'kind=~?"([\w|]+)"', rule["expr"]) for kind in said.split("|")
    }

    assert kinds
    assert kinds <= {kind.value for kind in ItemKind}
