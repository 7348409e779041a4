"""Which test shows which row of the two contracts' catalogue; every row that such a system must carry has one."""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
DOC = TESTS.parent / "docs" / "obligations.md"
BEGIN, END = "<!-- tests -->\n", "<!-- /tests -->\n"
# Contract, clause, and what it asks, of the rows that are the core of such a system.
ROWS = {
    "O1.3": ("OUTSCALE", "1, 6", "Loss of the certification is told at once; the contract may end"),
    "O4.1": ("OUTSCALE", "4", "Data centres lie in metropolitan France"),
    "O4.2": ("OUTSCALE", "4", "No transfer elsewhere without the client's agreement; silence is no"),
    "O5.1": ("OUTSCALE", "5", "The list of third parties, at signature and at each change"),
    "O5.2": ("OUTSCALE", "5", "The authorisation covers the providers listed, for the services listed"),
    "O5.3": ("OUTSCALE", "5", "Equivalent guarantees of each provider"),
    "O5.4": ("OUTSCALE", "5", "A new or replaced provider is notified beforehand, in reasonable time"),
    "O5.5": ("OUTSCALE", "5", "Security is not lowered without agreement"),
    "O5.6": ("OUTSCALE", "5", "A client that disagrees may terminate"),
    "O9.1": ("OUTSCALE", "9", "A contact for incidents, given at the conclusion"),
    "O9.2": ("OUTSCALE", "9", "Changes of contact without delay"),
    "O15.2": ("OUTSCALE", "15", "Services and maintenance are told at least one week ahead"),
    "O18": ("OUTSCALE", "18", "Data is not passed to third parties: each row says what it does"),
    "O19.1": ("OUTSCALE", "19", "Measures are not lowered without agreement"),
    "S4": ("Selligent", "4", "Company, name, e-mail and telephone of a contact, kept up to date"),
    "S6b": ("Selligent", "6", "Certification lost: data returned, the client stops exporting"),
    "S7a": ("Selligent", "7", "Hosting in Belgium, the Netherlands and Germany"),
    "S7b": ("Selligent", "7", "Any change of place is communicated"),
    "S7c": ("Selligent", "7", "Support by two named entities; another one changes the contract"),
    "S-H": ("Selligent", "HDS", "What the certificate declares of subcontracting, places and changes"),
}
HEADINGS = "| row | contract | clause | what it asks | shown by |\n| --- | --- | --- | --- | --- |\n"


def marked(file: Path) -> Iterator[tuple[str, str]]:
    """Each row that a test of this file is marked with, and the test."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        test = f"{file.relative_to(TESTS.parent).as_posix()}: {said(node.name)}"
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.obligation":
                yield from ((str(ast.literal_eval(row)), test) for row in mark.args)


def said(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def shown() -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        for row, test in marked(file):
            found[row].append(test)
    return found


def test_every_obligation_has_a_test_and_the_manual_says_which() -> None:
    tests = shown()
    assert {row: tests.get(row, []) for row in ROWS if not tests.get(row)} == {}
    before, _, rest = DOC.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "".join(
        f"| {row} | {contract} | {clause} | {asks} | {'<br>'.join(tests[row])} |\n"
        for row, (contract, clause, asks) in ROWS.items()
    )
    as_it_should_be = f"{before}{BEGIN}\n{HEADINGS}{lines}\n{END}{after}"

    if os.environ.get("NOTIFIER_REWRITE_DOCS"):
        DOC.write_text(as_it_should_be, encoding="utf-8")

    assert DOC.read_text(encoding="utf-8") == as_it_should_be, "write it anew with NOTIFIER_REWRITE_DOCS=1"
