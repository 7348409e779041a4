"""How long a receipt takes while many notices go out, against an idle system: from the answer to the relay's 250.

The embedded instance, as one machine runs it: answers are given in the same process that sends, in rounds of ten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select

from benchmarks import common
from benchmarks.common import Ratio
from notifier import worker
from notifier.bench.scratch import Scratch, fill, publish
from notifier.bench.sink import Sink
from notifier.models import Answer, Delivery, DeliveryNotice
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import now
from notifier.services import answers
from notifier.services.doorbell import Bell

GOAL = 3
RECEIPTS = 10  # in each state, of which the median counts
SESSIONS = 10
PATIENCE = 60.0  # s
BREATH = 0.1  # s between two answers
ENDED = {DeliveryState.ACCEPTED, DeliveryState.REFUSED, DeliveryState.UNKNOWN}
Told = tuple[str, UUID]  # the token of a link, and its notice


def main() -> None:
    asked = common.options(__doc__)
    results = []
    for kind in asked.databases:
        notices = asked.size(10_000, 100_000)
        found = [measured(kind, notices) for _ in range(asked.runs)]
        busy, idle = [median(one[0]) for one in found], [median(one[1]) for one in found]
        figures = {
            "busy_ms": median(busy) * 1000,
            "busy_worst_ms": max(max(one[0]) for one in found) * 1000,
            "idle_ms": median(idle) * 1000,
        }
        ratios = [one / other for one, other in zip(busy, idle, strict=True)]
        what = f"a receipt while {notices:,} notices go out, against an idle system, {kind}"
        results.append(Ratio(what=what, ratios=ratios, goal=GOAL, sense="at most", figures={**figures}))
    common.record("urgent", results, asked=asked)


def measured(kind: str, notices: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each receipt while notices go out, and of each when nothing else is to be sent."""
    with Sink() as sink, common.database(kind, port=sink.port, sessions=SESSIONS) as place:
        fill(place.runtime, notices)
        publish(place.runtime)
        with worker.embedded(place.runtime):
            place.runtime.ring(Bell.OUTBOX)
            busy = [receipt(place, told) for told in while_sending(place)]
            _wait(lambda: not waiting(place), seconds=PATIENCE + notices / 50)
            idle = [receipt(place, told) for told in some(place)]
    if not busy:
        raise SystemExit("everything was sent before anybody could answer: measure with --full")
    return busy, idle


def while_sending(place: Scratch) -> Iterator[Told]:
    """Yield clients who have been told, one now and then, as long as others have not."""
    _wait(lambda: len(some(place)) == RECEIPTS, seconds=PATIENCE)
    for told in some(place):
        if waiting(place):
            yield told
            time.sleep(BREATH)


def some(place: Scratch) -> list[Told]:
    """Return clients whom the relay has taken the notice for, and who have not answered."""
    query = (
        select(Delivery.id, Delivery.key_id, DeliveryNotice.notice_id)
        .join(DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
        .where(Delivery.state == DeliveryState.ACCEPTED, Delivery.letter == "notice")
        .where(~sa.exists().where(col(Answer.notice_id) == DeliveryNotice.notice_id))
        .limit(RECEIPTS)
    )
    with place.runtime.reading() as session:
        keyring = place.runtime.desk.keyring
        return [(keyring.token(one, "notice", key=key), notice) for one, key, notice in session.exec(query)]


def waiting(place: Scratch) -> bool:
    still = sa.exists().where(col(Delivery.state) == DeliveryState.WAITING, col(Delivery.letter) == "notice")
    with place.runtime.reading() as session:
        return bool(session.exec(select(still)).one())


def receipt(place: Scratch, told: Told) -> float:
    """Confirm receipt, and wait until the relay has taken the mail that says so; returns the seconds."""
    began = time.perf_counter()
    token, notice = told
    with place.runtime.transaction() as session:
        answers.acknowledge(session, place.runtime.desk, token, [notice], name="Camille Roy", now=now())
        mine = session.exec(select(Delivery.id).order_by(col(Delivery.id).desc())).first()
    _wait(lambda: _state(place, mine) in ENDED, seconds=PATIENCE)
    return time.perf_counter() - began


def _state(place: Scratch, delivery_id: UUID | None) -> str | None:
    with place.runtime.reading() as session:
        return session.exec(select(Delivery.state).where(Delivery.id == delivery_id)).first()


def _wait(until: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise SystemExit("this took too long")
        time.sleep(0.002)


if __name__ == "__main__":
    main()
