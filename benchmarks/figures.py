"""Writes the benchmarks' results into docs/performance.md, between its two marks: the last step of `make bench`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
MET = {True: "met", False: "**missed**", None: ""}
MOST_ROWS = 6  # of one benchmark; the file has them all


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("*.json"))]
    PAGE.write_text(before + BEGIN + table(results) + END + after, encoding="utf-8")


def table(results: list[Mapping[str, Any]]) -> str:
    lines = [f"{about(results[0]['machine'])}\n"] if results else []
    lines += ["| what | runs | ratio | goal | | beside it |", "| --- | --- | --- | --- | --- | --- |"]
    for one in results:
        for row in one["results"][:MOST_ROWS]:
            figures = ", ".join(f"{name} {figure(value)}" for name, value in row["figures"].items())
            ratio, goal = f"{row['ratio']:.3g}", row["goal"] or ""
            lines.append(f"| {row['what']} | {one['runs']} | {ratio} | {goal} | {MET[row['met']]} | {figures} |")
    return "\n".join(lines) + "\n"


def about(machine: Mapping[str, Any]) -> str:
    return (
        f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, SQLite {machine['sqlite']}, "
        f"{machine['on']}. "
        "Each file in `benchmarks/results/` says how busy the machine was when its benchmark began (`load_before`)."
    )


def figure(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
