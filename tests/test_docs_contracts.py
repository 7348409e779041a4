from __future__ import annotations

import os
from pathlib import Path

from notifier.adapters.contracts import read_packs
from notifier.resources import folder
from notifier.rules.terms import Pack, Rule

DOC = Path(__file__).parent.parent / "docs" / "contracts.md"
BEGIN, END = "<!-- unconfirmed -->\n", "<!-- /unconfirmed -->\n"
HEADINGS = "| announcement | clause | mode | period | to be confirmed by counsel |\n| --- | --- | --- | --- | --- |\n"


def row(kind: str, written: dict[str, object]) -> str:
    unconfirmed = ", ".join(f"`{key}`" for key in _in_order_of_reading(written["unconfirmed"])) or "nothing"
    return (
        f"| `{kind}` | {written['clause']} | `{written['mode']}` | {written['period'] or 'blank'} | {unconfirmed} |\n"
    )


def _in_order_of_reading(keys: object) -> list[str]:
    assert isinstance(keys, list)
    return sorted(keys, key=list(Rule.__dataclass_fields__).index)


def table(pack: Pack) -> str:
    rows = "".join(row(kind, dict(written)) for kind, written in pack.written.items())
    return f"### `{pack.name}`\n\n{pack.title['en']}\n\n{HEADINGS}{rows}\n"


def test_the_manual_lists_what_counsel_must_confirm_in_each_shipped_pack() -> None:
    before, _, rest = DOC.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    tables = "".join(table(pack) for pack in read_packs([folder("config")]).values())
    as_it_should_be = f"{before}{BEGIN}\n{tables}{END}{after}"

    if os.environ.get("NOTIFIER_REWRITE_DOCS"):
        DOC.write_text(as_it_should_be, encoding="utf-8")

    assert DOC.read_text(encoding="utf-8") == as_it_should_be, "write it anew with NOTIFIER_REWRITE_DOCS=1"
