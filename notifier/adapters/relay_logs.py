"""A relay's own log: what it says of the mails that we handed it, by their Message-IDs.

Postfix (syslog) and Exim (mainlog) are read.  A log proves what it says and nothing by its silence: a mail that it does
not name may be in another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from notifier.adapters.sending import cleaned

_POSTFIX = re.compile(r"postfix[^ :]*/(\w+)\[\d+\]: ([0-9A-Za-z]{6,20}): (.*)")
_MESSAGE_ID = re.compile(r"(?:resent-)?message-id=(<[^<>\s]{1,300}>)")
_TO = re.compile(r"to=<([^<>\s]{1,320})>.*?\bstatus=(\w+) \((.*)\)")
_EXIM = re.compile(r"^\S+ \S+ (?:\[\d+\] )?(\w{6}-\w{6,11}-\w{2,4}) (<=|=>|->|\*\*|==) (.*)")
_EXIM_ID = re.compile(r"\bid=(\S{1,300})")


class Fate(StrEnum):
    TAKEN = "taken"  # the relay has it
    SENT = "sent"  # and the next server has taken it over
    BOUNCED = "bounced"
    DEFERRED = "deferred"


_POSTFIX_FATES = {"sent": Fate.SENT, "bounced": Fate.BOUNCED, "expired": Fate.BOUNCED, "deferred": Fate.DEFERRED}
_EXIM_FATES = {"=>": Fate.SENT, "->": Fate.SENT, "**": Fate.BOUNCED, "==": Fate.DEFERRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What a line says of one mail; `address` is empty where it only says that the relay took it."""

    message_id: str
    address: str
    fate: Fate
    line: str


def read_relay_log(lines: Iterable[str]) -> Iterator[Logged]:
    """Yield what a log says, line by line; a relay names a mail by its Message-ID once, by its own id from then on."""
    named: dict[str, str] = {}
    for line in lines:
        yield from _postfix(line, named) or _exim(line, named)


def _postfix(line: str, named: dict[str, str]) -> list[Logged]:
    found = _POSTFIX.search(line)
    if found is None:
        return []
    queue_id, said = found[2], found[3]
    if met := _MESSAGE_ID.search(said):
        named[queue_id] = met[1]
        return [_logged(met[1], "", Fate.TAKEN, line)]
    told = _TO.search(said)
    fate = _POSTFIX_FATES.get(told[2]) if told else None
    return [_logged(named[queue_id], told[1], fate, line)] if told and fate and queue_id in named else []


def _exim(line: str, named: dict[str, str]) -> list[Logged]:
    found = _EXIM.match(line)
    if found is None:
        return []
    queue_id, mark, said = found.groups()
    if mark == "<=":
        met = _EXIM_ID.search(said)
        if met is None:
            return []
        named[queue_id] = f"<{met[1].strip('<>')}>"
        return [_logged(named[queue_id], "", Fate.TAKEN, line)]
    address = said.partition(" ")[0].strip("<>:")
    return [_logged(named[queue_id], address, _EXIM_FATES[mark], line)] if queue_id in named else []


def _logged(message_id: str, address: str, fate: Fate, line: str) -> Logged:
    return Logged(message_id=message_id, address=address, fate=fate, line=cleaned(line))
