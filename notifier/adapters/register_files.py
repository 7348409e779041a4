"""A register in a file of anybody's making, read in a process of its own: what `registers` needs for that is imported
there alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from notifier.adapters.confined import TooCostly, confined
from notifier.adapters.remarks import BadList, Remark, remark
from notifier.adapters.tables import Unreadable, refuse_large
from notifier.rules import entries as shapes
from notifier.rules.entries import Entry

READ = "notifier.adapters.registers:read_as_json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterFile:
    entries: tuple[Entry, ...]
    questions: tuple[Remark, ...]  # what a person must still say; nothing is guessed
    mapping: Mapping[str, str] = field(default_factory=dict)  # heading → the field it was taken for, or "" for none
    not_understood: tuple[Remark, ...] = ()  # what was left out of what was read, and where it stands


def read_list(data: bytes, *, filename: str, mapping: Mapping[str, str] | None = None) -> RegisterFile:
    """As `registers.read_register`, in a process of its own that may use little memory and time."""
    try:
        refuse_large(data)
        found = confined(READ, data, {"filename": filename, "mapping": dict(mapping or {})})
    except TooCostly:
        raise BadList(filename, [remark(0, "", "too_costly")]) from None
    except Unreadable as bad:
        raise BadList(filename, [bad.remark]) from None
    return from_json(found, filename=filename)


def from_json(found: Mapping[str, Any], *, filename: str) -> RegisterFile:
    """What `registers.read_as_json` returned, as it was read. BadList for a file that was not."""
    if "problems" in found:
        raise BadList(filename, [Remark(**said) for said in found["problems"]])
    return RegisterFile(
        entries=tuple(map(shapes.from_json, found["entries"])),
        questions=tuple(Remark(**said) for said in found["questions"]),
        mapping=found["mapping"],
        not_understood=tuple(Remark(**said) for said in found["not_understood"]),
    )
