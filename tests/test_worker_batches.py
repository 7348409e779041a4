"""How much a worker takes into its hands at once, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from notifier.adapters.mailbox import MailboxSender
from notifier.adapters.sending import Held, Mail, Outcome, Sender
from notifier.models import Delivery
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.services import outbox
from notifier.worker import MOST_AT_ONCE, Worker, _Batch
from tests.factories import make_announcement, make_client, make_provider, make_runtime

MAILS, ROUND = 120, MailboxSender.capacity


class Broken:
    """A sender that breaks down at its n-th round, as no sender should."""

    def __init__(self, sender: Sender, rounds: int) -> None:
        self._sender, self._left = sender, rounds
        self.capacity = sender.capacity

    def hold(self, mails: Sequence[Mail]) -> tuple[list[Held], list[Outcome]]:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("broken")
        return self._sender.hold(mails)

    def release(self, held: Sequence[Held], then: Sequence[Mail] = ()) -> list[Outcome]:
        return self._sender.release(held, then)

    def drop(self, held: Sequence[Held]) -> None:
        self._sender.drop(held)

    def close(self) -> None:
        self._sender.close()


@pytest.fixture
def runtime(database_url: str, tmp_path: Path) -> Iterator[Runtime]:
    with closing(make_runtime(database_url, tmp_path)) as runtime:
        with runtime.transaction() as session:
            make_provider(session)
            for number in range(MAILS):
                make_client(session, f"C-{number:04d}")
            make_announcement(session, runtime.desk, now=now())
        yield runtime


def states(runtime: Runtime) -> dict[DeliveryState, int]:
    with Session(runtime.engine) as session:
        found = [one.state for one in session.exec(select(Delivery))]
    return {state: found.count(state) for state in set(found)}


def test_a_batch_grows_while_it_leaves_quickly_and_shrinks_where_it_takes_long() -> None:
    batch = _Batch()
    sizes = [batch.size(10)]
    for seconds in (0.1, 0.1, 0.1, 2.0, 60.0, 60.0, 60.0, 60.0, 60.0):
        batch.took(seconds)
        sizes.append(batch.size(10))

    assert sizes == [10, 20, 40, 80, 80, 40, 20, 10, 10, 10]


def test_a_batch_is_never_more_than_it_may_be() -> None:
    batch = _Batch()
    sizes = []
    for _ in range(50):
        sizes.append(batch.size(128))
        batch.took(0)
    batch.took(60)

    assert max(sizes) == MOST_AT_ONCE
    assert batch.size(128) == MOST_AT_ONCE // 2


def test_what_no_round_has_begun_goes_back_when_one_breaks(runtime: Runtime) -> None:
    with closing(Worker(runtime)) as worker:
        worker.sender = Broken(worker.sender, rounds=1)
        with pytest.raises(RuntimeError, match="broken"):
            worker.send_due()

    found = states(runtime)
    assert found == {
        DeliveryState.ACCEPTED: ROUND,  # the first batch: one round
        DeliveryState.CLAIMED: ROUND,  # the round that broke is freed when its lease ends
        DeliveryState.WAITING: MAILS - 2 * ROUND,
    }


def test_a_worker_that_is_stopped_begins_no_other_round(runtime: Runtime) -> None:
    with closing(Worker(runtime)) as worker:
        worker.stop()

        assert worker.send_due() == 0

    assert states(runtime) == {DeliveryState.WAITING: MAILS}


def test_an_outcome_of_an_earlier_attempt_counts_for_nothing(runtime: Runtime) -> None:
    """The same worker may have claimed the mail again since; its name alone would not tell."""
    with runtime.transaction() as session:
        first = outbox.claim(session, runtime.desk, worker="worker", limit=MAILS, now=now())
        outbox.release(session, first, worker="worker")
        again = outbox.claim(session, runtime.desk, worker="worker", limit=MAILS, now=now())
        assert ({mail.attempt for mail in first}, {mail.attempt for mail in again}) == ({1}, {2})

        assert outbox.hand_over(session, runtime.desk, first, worker="worker") == set()
        assert len(outbox.hand_over(session, runtime.desk, again, worker="worker")) == MAILS


def test_what_was_given_back_may_be_claimed_by_anybody_and_by_one_alone(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        mails = outbox.claim(session, runtime.desk, worker="one", limit=MAILS, now=now())
        outbox.release(session, mails[:50], worker="another")
        assert outbox.claim(session, runtime.desk, worker="two", limit=MAILS, now=now()) == []

        outbox.release(session, mails[:50], worker="one")
        assert len(outbox.claim(session, runtime.desk, worker="two", limit=MAILS, now=now())) == 50


class Watching(Broken):
    """A sender that notes, before each round's dots, how many mails are being handed over."""

    def __init__(self, sender: Sender, runtime: Runtime) -> None:
        super().__init__(sender, MAILS)
        self._runtime = runtime
        self.seen: list[int] = []

    def release(self, held: Sequence[Held], then: Sequence[Mail] = ()) -> list[Outcome]:
        self.seen.append(states(self._runtime)[DeliveryState.HANDING_OVER])
        return super().release(held, then)


def test_no_more_than_one_round_is_being_handed_over_however_slowly_answers_are_written(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = outbox.settle

    def slowly(*arguments: Any, **named: Any) -> None:  # noqa: ANN401 - hands on what it is given
        time.sleep(0.1)
        settle(*arguments, **named)

    monkeypatch.setattr(outbox, "settle", slowly)
    with closing(Worker(runtime)) as worker:
        watching = worker.sender = Watching(worker.sender, runtime)
        worker.send_due()

    assert len(watching.seen) > 1
    assert max(watching.seen) <= ROUND
    assert states(runtime) == {DeliveryState.ACCEPTED: MAILS}
