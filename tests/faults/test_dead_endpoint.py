"""Row 31 of the fault matrix: one endpoint of fifty is dead, and the others hear of everything soon."""

import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from sqlmodel import select

from notifier.adapters.http import Answer, GuardedClient
from notifier.models import EventKind, WebhookDelivery, WebhookState
from notifier.runtime import now
from notifier.services import events, webhooks
from notifier.worker import Worker
from tests.factories import make_runtime
from tests.faults.figures import IS_LONG, TIME_OUT, say, times

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIME_OUT)]

ENDPOINTS, EVENTS = times(10, 50), times(40, 200)
SILENCE = 15.0 if IS_LONG else 3.0  # seconds that a dead endpoint is waited for
SOON = 5.0 if IS_LONG else 1.5


class Receivers(GuardedClient):
    """All endpoints: healthy ones answer at once, the dead one not at all until it is mended."""

    def __init__(self, dead: str) -> None:
        super().__init__(now=now)
        self.dead, self.is_mended = dead, False
        self.came: dict[tuple[str, str], float] = {}
        self.tries_at_the_dead = 0
        self._lock = threading.Lock()

    def post(self, url: str, *, content: bytes, headers: dict[str, str]) -> Answer:  # type: ignore[override]  # as it is called
        if url == self.dead and not self.is_mended:
            with self._lock:
                self.tries_at_the_dead += 1
            time.sleep(SILENCE)
            return Answer(status=None, reason="timeout")
        with self._lock:
            self.came[url, headers["webhook-id"]] = time.monotonic()
        assert content
        return Answer(status=204)


def test_one_dead_endpoint_keeps_no_other_waiting_and_misses_nothing(database_url: str, tmp_path: Path) -> None:
    urls = [f"https://tickets-{number}.example/hooks" for number in range(ENDPOINTS)]
    receivers = Receivers(dead=urls[0])
    latencies: list[float] = []
    schedule = {"retry_schedule": [SILENCE * 2, SILENCE * 5, 86_400]}
    with closing(receivers), closing(make_runtime(database_url, tmp_path, webhooks=schedule)) as plain:
        runtime = replace(plain, desk=replace(plain.desk, http=receivers))
        with runtime.transaction() as session:
            for url in urls:
                webhooks.add(session, runtime.desk, url=url, kinds=["notice.sent"], by="test", now=now())
        with closing(Worker(runtime)) as worker:
            for _ in range(EVENTS):
                started, known = time.monotonic(), set(receivers.came)
                with runtime.transaction() as session:
                    events.record(session, EventKind.NOTICE_SENT, about=uuid4(), by="test", now=now())
                worker.post_due()
                latencies += [at - started for key, at in receivers.came.items() if key not in known]
            tries = receivers.tries_at_the_dead
            receivers.is_mended = True
            deadline = time.monotonic() + 30 * SILENCE
            while time.monotonic() < deadline and still_owed(worker):
                worker.post_due()
                time.sleep(0.1)
            left = still_owed(worker)

    p95 = sorted(latencies)[int(len(latencies) * 0.95)]
    say("one dead endpoint", events=EVENTS, endpoints=ENDPOINTS, seconds_at_p95=p95, tries_at_the_dead=tries)
    assert len(latencies) == EVENTS * (ENDPOINTS - 1)
    assert p95 < SOON
    assert tries <= 4
    assert left == 0
    assert len(receivers.came) == EVENTS * ENDPOINTS


def still_owed(worker: Worker) -> int:
    with worker.runtime.reading() as session:
        waiting = select(WebhookDelivery.id).where(WebhookDelivery.state != WebhookState.DELIVERED)
        return len(session.exec(waiting).all())
