"""The gate: may this announcement go live for this client, and if not, why not.

Nothing goes live before every affected client's right has run: the period it was told of is over, it was really
reached, and it has neither an open objection nor a termination under way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notifier.rules.notice_states import NoticeState


class Hold(StrEnum):
    """A reason that keeps a gate closed, weightiest first."""

    OBJECTION = "objection"
    TERMINATION = "termination"
    NOT_TOLD = "not_told"  # a client under contract that has no notice
    UNREACHED = "unreached"
    UNKNOWN = "unknown"  # a mail may or may not have arrived
    NOT_RECEIVED = "not_received"
    PERIOD = "period"  # the client may still object


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the gate needs to know of one client's notice.  `object_until` is the first instant (UTC) too late to
    object.
    """

    state: NoticeState
    object_until: datetime
    objections: int = 0
    terminations: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    holds: tuple[Hold, ...]
    opens_at: datetime | None  # None: a person must act first

    @property
    def is_open(self) -> bool:
        return not self.holds


def gate(standing: Standing, now: datetime) -> Gate:
    """Decide for one client."""
    stuck = {
        Hold.OBJECTION: standing.objections > 0,
        Hold.TERMINATION: standing.terminations > 0,
        Hold.UNREACHED: standing.state is NoticeState.UNREACHED,
        Hold.UNKNOWN: standing.unknown > 0,
        Hold.NOT_RECEIVED: standing.state is NoticeState.RAISED,
    }
    holds = tuple(hold for hold, true in stuck.items() if true)
    period = () if now >= standing.object_until else (Hold.PERIOD,)
    return Gate(holds=holds + period, opens_at=None if holds else standing.object_until)


def gate_of_all(gates: Iterable[Gate]) -> Gate:
    """One gate over all affected clients: open when each is; opens when the last one does, if time alone is missing."""
    every = tuple(gates)
    holds = tuple(hold for hold in Hold if any(hold in one.holds for one in every))
    instants = [one.opens_at for one in every if one.opens_at]
    return Gate(holds=holds, opens_at=max(instants) if instants and len(instants) == len(every) else None)
