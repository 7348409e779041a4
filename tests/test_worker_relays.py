"""The worker and its relays: shares, fail-over, rests and rates, as seen from the relays' side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, select

from notifier.adapters.sending import Held, Mail, Outcome, Verdict
from notifier.models import Attempt, Delivery, ItemKind
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.limits import domain_of
from notifier.runtime import Runtime, now
from notifier.services import items, relays
from notifier.worker import Worker, _Batch
from tests.factories import make_announcement, make_client, make_provider, make_runtime
from tests.faults.harness import free_port
from tests.sink import Fault, Sink


def at(name: str, port: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - settings of any type
    return {"name": name, "host": "127.0.0.1", "port": port, "security": "none", "sessions": 4, **more}


@contextmanager
def working(url: str, folder: Path, *named: dict[str, Any], mails: int, **more: Any) -> Iterator[Worker]:  # noqa: ANN401 - settings of any type
    """A worker with these relays that owes so many mails, each to a domain of its own unless `to` says which."""
    domains = more.pop("to", [f"c-{number}.example" for number in range(mails)])
    mail = {"sender": "smtp", "relays": list(named), "retry_schedule": [60], "rest_schedule": [0.2], **more}
    with closing(make_runtime(url, folder, mail=mail)) as runtime:
        runtime.check_instance()
        with closing(Worker(runtime)) as worker:
            with runtime.transaction() as session:
                make_provider(session)
                for number, domain in enumerate(domains):
                    make_client(session, f"C-{number:03d}", contacts=[{"email": f"dpo{number}@{domain}"}])
                make_announcement(session, runtime.desk, now=now())
            yield worker


def states(runtime: Runtime) -> Counter[DeliveryState]:
    with runtime.reading() as session:
        return Counter(delivery.state for delivery in session.exec(select(Delivery)))


def work(worker: Worker, *, seconds: float) -> None:
    """Ask for what is due, as a sweep does, until everything has been taken."""
    give_up = time.monotonic() + seconds
    while states(worker.runtime).keys() != {DeliveryState.ACCEPTED}:
        assert time.monotonic() < give_up, states(worker.runtime)
        worker.send_due()
        time.sleep(0.05)


def test_each_relay_has_its_share_by_weight_and_no_mail_goes_twice(database_url: str, tmp_path: Path) -> None:
    with Sink() as heavy, Sink() as light:
        both = at("heavy", heavy.port, weight=3), at("light", light.port)
        with working(database_url, tmp_path, *both, mails=48, rest_schedule=[1]) as worker:
            worker._batches = dict.fromkeys(worker.senders, _OneRound())  # noqa: SLF001 - shares are told apart round by round
            worker.send_due()
            [one, other] = _health(worker)

    assert (len(heavy.mails), len(light.mails)) == (36, 12)
    assert len({mail.message_id for mail in (*heavy.mails, *light.mails)}) == 48
    assert (one.mails, other.mails) == (36, 12)


def test_where_one_relay_is_down_the_other_takes_its_mails_at_once(database_url: str, tmp_path: Path) -> None:
    with Sink() as sink:
        both = at("down", free_port()), at("up", sink.port)
        with working(database_url, tmp_path, *both, mails=12, rest_schedule=[60]) as worker:
            worker.send_due()
            [down, up] = _health(worker)
            with Session(worker.runtime.engine) as session:
                deliveries = session.exec(select(Delivery)).all()

    assert len(sink.mails) == len({mail.message_id for mail in sink.mails}) == 12
    assert {one.deferrals for one in deliveries} == {0}
    assert {one.relay for one in deliveries} == {"up"}
    assert down.rests_until
    assert not up.rests_until


def test_a_relay_that_turns_everybody_away_is_asked_once_until_its_rest_is_over(
    database_url: str, tmp_path: Path
) -> None:
    with Sink(fault=Fault.BUSY) as sink, working(database_url, tmp_path, at("main", sink.port), mails=9) as worker:
        for _ in range(5):
            worker.send_due()
        assert sink.connections == 1
        sink.faults = 0
        work(worker, seconds=20)

    assert len({mail.message_id for mail in sink.mails}) == len(sink.mails) == 9


def test_a_refused_sign_in_pauses_the_relay_and_asks_a_person(sqlite_url: str, tmp_path: Path) -> None:
    with Sink(fault=Fault.LOGIN_NEEDED) as sink:
        relay = at("main", sink.port)
        with working(sqlite_url, tmp_path, relay, mails=9, rest_schedule=[600]) as worker:
            worker.send_due()
            worker.send_due()
            with worker.runtime.transaction() as session:
                asked = [item.kind for item in items.open_items(session)]
                tried = session.exec(sa.select(sa.func.count()).select_from(Attempt)).scalar_one()  # type: ignore[call-overload] # SQL
                relays.wake(session, worker.runtime.desk, "main")
            sink.faults = 0
            work(worker, seconds=20)
            with worker.runtime.reading() as session:
                still_asked = items.open_items(session)

    assert (asked, tried) == ([ItemKind.RELAY_FAILING], 4)  # a round, and no other
    assert still_asked == []


def test_at_a_rate_mails_leave_at_that_rate_without_anybody_asking(database_url: str, tmp_path: Path) -> None:
    """Ten a second, four in the first instant: the worker wakes itself, and 24 mails take about two seconds."""
    with Sink() as sink:
        relay = at("main", sink.port, per_minute=600, sessions=4)
        with working(database_url, tmp_path, relay, mails=24) as worker:
            begun = time.monotonic()
            worker.send_due()
            while len(sink.mails) < 24 and time.monotonic() < begun + 30:
                time.sleep(0.05)
            took = time.monotonic() - begun

    times = [mail.at for mail in sink.mails]
    assert len(times) == 24
    assert took > (24 - 10) / 10
    assert all(sum(begin <= at < begin + 1 for at in times) <= 10 + 10 + 1 for begin in times)


def test_a_domain_that_puts_mails_off_does_not_hold_the_others(sqlite_url: str, tmp_path: Path) -> None:
    domains = ["slow.example"] * 30 + [f"c-{number}.example" for number in range(30)]
    with working(sqlite_url, tmp_path, at("main", 1), mails=0, to=domains, rest_schedule=[60]) as worker:
        sender = Answering({"slow.example": 450})
        worker.sender = sender
        worker._batches = dict.fromkeys(worker.senders, _OneRound())  # noqa: SLF001 - a claim is a round
        worker.send_due()
        after = states(worker.runtime)

    assert after == {DeliveryState.ACCEPTED: 30, DeliveryState.WAITING: 30}
    assert 5 <= sender.seen["slow.example"] <= 5 + 3  # then it rests


def test_a_round_has_no_more_of_a_domain_than_it_may_have_at_once(sqlite_url: str, tmp_path: Path) -> None:
    domains = ["Narrow.example"] * 5 + [f"c-{number}.example" for number in range(7)]
    relay = at("main", 1)
    with working(
        sqlite_url, tmp_path, relay, mails=0, to=domains, domains={"narrow.example": {"sessions": 1}}
    ) as worker:
        worker.sender = sender = Answering({})
        worker.send_due()

    assert sender.seen["narrow.example"] == 5
    assert max(domains.count("narrow.example") for domains in sender.rounds) == 1
    assert max(len(domains) for domains in sender.rounds) == 4


@dataclass(slots=True)
class _Kept:
    mail: Mail


class Answering:
    """A sender that takes every mail, or answers by domain with a code."""

    capacity = 4

    def __init__(self, codes: dict[str, int]) -> None:
        self._codes = codes
        self.seen: Counter[str] = Counter()
        self.rounds: list[list[str]] = []

    def hold(self, mails: Sequence[Mail]) -> tuple[list[Held], list[Outcome]]:
        domains = [domain_of(mail.recipient) for mail in mails]
        self.seen.update(domains)
        self.rounds.append(domains)
        kept: list[Held] = [_Kept(mail) for mail in mails if domain_of(mail.recipient) not in self._codes]
        refused = [self._answer(mail) for mail in mails if domain_of(mail.recipient) in self._codes]
        return kept, refused

    def release(self, held: Sequence[Held], then: Sequence[Mail] = ()) -> list[Outcome]:
        del then
        return [self._answer(one.mail) for one in held]

    def drop(self, held: Sequence[Held]) -> None:
        del held

    def close(self) -> None:
        """Nothing stays open."""

    def _answer(self, mail: Mail) -> Outcome:
        domain = domain_of(mail.recipient)
        code = self._codes.get(domain, 250)
        verdict = Verdict.ACCEPTED if code == 250 else Verdict.DEFERRED
        return Outcome(
            delivery_id=mail.delivery_id, attempt=mail.attempt, verdict=verdict, code=code, reply="", peer="x:25",
            tls="", domain=domain,
        )  # fmt: skip


class _OneRound(_Batch):
    def size(self, capacity: int) -> int:
        return capacity

    def took(self, seconds: float) -> None:
        """Stay at one round."""


def _health(worker: Worker) -> list[relays.Health]:
    with worker.runtime.reading() as session:
        return relays.health(session, worker.runtime.desk, now=now())
