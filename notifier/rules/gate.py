"""The gate: may this change go live for this client, and if not, why not.

Nothing goes live before every affected client's right has run: the period it was told of is over, it was really
reached, it has agreed where it must, and nothing it said waits for an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notifier.rules.notice_states import NoticeState


class Hold(StrEnum):
    """A reason that keeps a gate closed, weightiest first."""

    REFUSAL = "refusal"  # asked for its consent, the client said no
    OBJECTION = "objection"
    TERMINATION = "termination"
    CONSENT = "consent"  # it has not said yes
    REPLY = "reply"  # a person at the client has written, and nobody has read it
    NOT_TOLD = "not_told"  # a client under contract that has no notice
    UNREACHED = "unreached"
    UNKNOWN = "unknown"  # a mail may or may not have arrived
    NOT_RECEIVED = "not_received"
    PERIOD = "period"  # the client's period runs


class Waits(StrEnum):
    """What of one client a change waits for."""

    NOTHING = "nothing"  # it is told, and that is all
    PERIOD = "period"
    CONSENT = "consent"
    EITHER = "either"  # its consent, or else its period: an emergency


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the gate needs to know of one client's notice.  `holds_until` is the instant (UTC) from which the change
    need not wait for time.
    """

    state: NoticeState
    holds_until: datetime
    waits: Waits = Waits.PERIOD
    objections: int = 0
    terminations: int = 0
    consents: int = 0
    refusals: int = 0
    replies: int = 0
    unknown: int = 0
    excluded: bool = False  # the change is not made for this client


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    holds: tuple[Hold, ...]
    opens_at: datetime | None  # None: a person must act first

    @property
    def is_open(self) -> bool:
        return not self.holds


def gate(standing: Standing, now: datetime) -> Gate:
    """Decide for one client."""
    if standing.excluded or standing.waits is Waits.NOTHING:
        return Gate(holds=(), opens_at=now)
    asked = standing.waits in {Waits.CONSENT, Waits.EITHER}
    agreed = asked and standing.consents > 0 and standing.refusals == 0
    waits_for_time = standing.waits in {Waits.PERIOD, Waits.EITHER} and not agreed
    stuck = {
        Hold.REFUSAL: standing.waits is Waits.CONSENT and standing.refusals > 0,
        Hold.OBJECTION: standing.objections > 0,
        Hold.TERMINATION: standing.terminations > 0,
        Hold.CONSENT: standing.waits is Waits.CONSENT and not agreed and standing.refusals == 0,
        Hold.REPLY: standing.replies > 0,
        Hold.UNREACHED: not agreed and standing.state is NoticeState.UNREACHED,
        Hold.UNKNOWN: not agreed and standing.unknown > 0,
        Hold.NOT_RECEIVED: not agreed and standing.state is NoticeState.RAISED,
    }
    holds = tuple(hold for hold, true in stuck.items() if true)
    period = (Hold.PERIOD,) if waits_for_time and now < standing.holds_until else ()
    opens_at = standing.holds_until if waits_for_time else now
    return Gate(holds=holds + period, opens_at=None if holds else opens_at)


def gate_of_all(gates: Iterable[Gate]) -> Gate:
    """One gate over all affected clients: open when each is; opens when the last one does, if time alone is missing."""
    every = tuple(gates)
    holds = tuple(hold for hold in Hold if any(hold in one.holds for one in every))
    instants = [one.opens_at for one in every if one.opens_at]
    return Gate(holds=holds, opens_at=max(instants) if instants and len(instants) == len(every) else None)
