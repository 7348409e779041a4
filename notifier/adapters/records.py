"""The entries of a JSON or YAML text, which become a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from notifier.adapters.cells import written
from notifier.adapters.tables import MOST_COLUMNS, MOST_ROWS, Row, Table, Unreadable
from notifier.rules.entries import Certificate, Place

DEEPEST = 20  # one list of entries being the second step
LISTS = ("entries", "subprocessors", "sub-processors", "sub_processors", "sous-traitants")


def from_json(text: str) -> Table:
    """The entries of a JSON text, each with its number in the list: JSON does not tell lines."""
    try:
        data = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as bad:
        raise Unreadable(bad.lineno, "json") from None
    except RecursionError:
        raise Unreadable(0, "too_deep", limit=DEEPEST) from None
    if isinstance(data, dict):
        lists = [value for name, value in data.items() if name.lower() in LISTS and isinstance(value, list)]
        lists = lists or [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else None
    if not isinstance(data, list):
        raise Unreadable(0, "no_list")
    return _records(list(enumerate(data, 1)))


def from_yaml(text: str) -> Table:
    """The entries of a YAML text, each with its line. Everything is text: `no` is Norway as often as it is "no"."""
    try:
        _refuse_yaml_bombs(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as bad:
        mark = bad.problem_mark if isinstance(bad, yaml.MarkedYAMLError) else None
        raise Unreadable(mark.line + 1 if mark is not None else 0, "yaml") from None
    if isinstance(root, yaml.MappingNode):
        lists = [(name.value, value) for name, value in root.value if isinstance(value, yaml.SequenceNode)]
        named = [value for name, value in lists if str(name).lower() in LISTS]
        lists_found = named or [value for _, value in lists]
        root = lists_found[0] if len(lists_found) == 1 else None
    if not isinstance(root, yaml.SequenceNode):
        raise Unreadable(0, "no_list")
    return _records([(node.start_mark.line + 1, _plain(node)) for node in root.value])


_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def _refuse_yaml_bombs(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        line = event.start_mark.line + 1 if event.start_mark else 0
        if depth > DEEPEST:
            raise Unreadable(line, "too_deep", limit=DEEPEST)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise Unreadable(line, "yaml_reference")


def _plain(node: yaml.Node) -> Any:  # noqa: ANN401 - as JSON
    if isinstance(node, yaml.MappingNode):
        return {str(_plain(name)): _plain(value) for name, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    is_null = isinstance(node, yaml.ScalarNode) and node.style is None and node.value in {"~", "null", "Null", "NULL"}
    return "" if is_null else node.value


def _records(records: Sequence[tuple[int, Any]]) -> Table:
    """Entries one under the other become a table: what any of them names is a column."""
    if len(records) > MOST_ROWS:
        raise Unreadable(MOST_ROWS + 1, "too_many_rows", limit=MOST_ROWS)
    headings: dict[str, None] = {}
    for number, record in records:
        if not isinstance(record, dict):
            raise Unreadable(number, "not_an_entry")
        headings |= dict.fromkeys(record)
        if len(headings) > MOST_COLUMNS:
            raise Unreadable(number, "too_many_columns", found=len(headings), limit=MOST_COLUMNS)
    rows = tuple(Row(number, tuple(_cell(number, record.get(name)) for name in headings)) for number, record in records)
    return Table(line=0, headings=tuple(headings), rows=rows)


def _cell(number: int, value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(filter(None, (_cell(number, item) for item in value)))
    if not isinstance(value, dict):
        return str(value)
    for name, kind in (("places", Place), ("certificates", Certificate)):
        if value and value.keys() <= set(kind.__slots__) and all(isinstance(part, str) for part in value.values()):
            return written(name, [kind(**{"standard": "", **value} if kind is Certificate else value)])
    raise Unreadable(number, "not_one_cell", value=", ".join(map(str, value)))
