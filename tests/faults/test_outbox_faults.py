"""Each way in which handing over can go wrong: what the database says, what a person is asked, how many copies left."""

import email.policy
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine
from sqlmodel import col, select

from notifier.adapters.letters import Attachment, LetterHead, LetterPress
from notifier.adapters.sending import Held, Mail, Outcome, Sender
from notifier.models import Attempt, Delivery, ItemKind, Notice
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.moulds import Mould, MouldError
from notifier.rules.notice_states import NoticeState
from notifier.runtime import Runtime, make_engine, now
from notifier.services import answers, doorbell, items, outbox, relays
from notifier.worker import Worker
from tests.factories import make_announcement, make_client, make_provider, make_runtime
from tests.faults.harness import free_port
from tests.sink import Fault, Sink

FIRST_PAUSE = timedelta(minutes=1)
LATER = timedelta(days=3)


class Interrupted:
    """A sender whose worker is interrupted between two steps, while something else happens."""

    def __init__(
        self, sender: Sender, *, held: Callable[[], object] = list, released: Callable[[], object] = list
    ) -> None:
        self._sender, self._held, self._released = sender, held, released
        self.capacity = sender.capacity

    def hold(self, mails: Sequence[Mail]) -> tuple[list[Held], list[Outcome]]:
        answer = self._sender.hold(mails)
        if mails:
            self._held()
        return answer

    def release(self, held: Sequence[Held], then: Sequence[Mail] = ()) -> list[Outcome]:
        outcomes = self._sender.release(held, then)
        if held:
            self._released()
        return outcomes

    def drop(self, held: Sequence[Held]) -> None:
        self._sender.drop(held)

    def close(self) -> None:
        self._sender.close()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def runtime(database_url: str, tmp_path: Path, port: int) -> Iterator[Runtime]:
    mail = {
        "sender": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "sessions": 4,
        "retry_schedule": [FIRST_PAUSE.total_seconds(), 300],
    }  # fmt: skip
    with closing(make_runtime(database_url, tmp_path, mail=mail)) as runtime:
        yield runtime


@pytest.fixture
def worker(runtime: Runtime) -> Iterator[Worker]:
    with closing(Worker(runtime)) as worker:
        yield worker


@pytest.fixture
def other(runtime: Runtime) -> Iterator[Worker]:
    """A second worker, that lives while the first is in trouble."""
    with closing(Worker(runtime)) as worker:
        yield worker


def owe(runtime: Runtime, mails: int = 1) -> None:
    """Put one mail for each of so many clients in the outbox."""
    runtime.check_instance()  # as at the first start, before anything is sent
    with runtime.transaction() as session:
        make_provider(session)
        for number in range(mails):
            make_client(session, f"C-{number:03d}")
        make_announcement(session, runtime.desk, now=now())


def deliveries(runtime: Runtime) -> Sequence[Delivery]:
    with runtime.reading() as session:
        return session.exec(select(Delivery).order_by(col(Delivery.id))).all()


def the_delivery(runtime: Runtime) -> Delivery:
    [delivery] = deliveries(runtime)
    return delivery


def open_items(runtime: Runtime) -> list[ItemKind]:
    with runtime.reading() as session:
        return [item.kind for item in items.open_items(session)]


def the_notice(runtime: Runtime) -> Notice:
    with runtime.reading() as session:
        return session.exec(select(Notice)).one()


def attempts(runtime: Runtime) -> list[tuple[int, str, int | None]]:
    with runtime.reading() as session:
        made = session.exec(select(Attempt).order_by(col(Attempt.delivery_id), col(Attempt.number)))
        return [(attempt.number, attempt.verdict, attempt.code) for attempt in made]


def end_leases(runtime: Runtime) -> None:
    """Let as much time pass on the database's clock as a dead worker needs to be noticed."""
    with runtime.transaction() as session:
        ended = outbox.database_now(session) - timedelta(seconds=1)
        session.execute(sa.update(Delivery).where(col(Delivery.lease_until).is_not(None)).values(lease_until=ended))


def claim(runtime: Runtime, worker: str = "a worker that dies") -> list[Mail]:
    with runtime.transaction() as session:
        return outbox.claim(session, runtime.desk, worker=worker, limit=50, now=now())


def wake(runtime: Runtime) -> None:
    """Let the relay be tried again at once."""
    with runtime.transaction() as session:
        relays.wake(session, runtime.desk, "main")


def link_in(content: bytes) -> str:
    """Return the token of the link that a mail carries."""
    text = message_from_bytes(content, policy=email.policy.default).get_body(("plain",))
    assert text
    found = re.search(r"/notice/([\w-]+)", text.get_content())
    assert found
    return found[1]


def copies(sink: Sink, delivery: Delivery) -> int:
    return [mail.message_id for mail in sink.mails].count(delivery.message_id)


# --- trouble that is certain: try again, and one copy arrives --------------------------------------------------------


def test_with_the_relay_down_nothing_is_lost_and_each_mail_arrives_once_it_is_up(
    runtime: Runtime, worker: Worker, port: int
) -> None:
    owe(runtime, 6)

    worker.tick()
    down = deliveries(runtime)
    wake(runtime)
    with Sink(port=port) as sink, time_machine.travel(now() + FIRST_PAUSE):
        worker.tick()

    assert {one.state for one in down} == {DeliveryState.WAITING}
    assert sum("refused" in one.last_reply for one in down) == 4  # a round: then nobody asks it again for a while
    assert {one.deferrals for one in down} == {0}
    assert {one.state for one in deliveries(runtime)} == {DeliveryState.ACCEPTED}
    assert [copies(sink, one) for one in down] == [1] * 6


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(Fault.BUSY, 421, id="421 instead of a greeting"),
        pytest.param(Fault.TIRED, 421, id="421 at the final dot"),
        pytest.param(Fault.GREYLIST, 450, id="450 to RCPT"),
        pytest.param(Fault.STORAGE, 452, id="452 after the final dot"),
        pytest.param(Fault.RESET_IN_BODY, None, id="connection reset in the body"),
    ],
)
def test_a_mail_that_is_put_off_is_tried_again_on_schedule_and_arrives_once(
    runtime: Runtime, worker: Worker, port: int, fault: Fault, code: int | None
) -> None:
    owe(runtime)
    with Sink(port=port, fault=fault) as sink:
        worker.tick()
        waiting = the_delivery(runtime)
        conversations = sink.connections
        worker.tick()
        assert sink.connections == conversations
        sink.faults = 0
        wake(runtime)
        with time_machine.travel(now() + FIRST_PAUSE):
            worker.tick()

    assert waiting.state is DeliveryState.WAITING
    if code == 421:  # the relay rests, and its mails wait for nothing else
        assert (waiting.deferrals, waiting.due_at < now()) == (0, True)
    else:
        assert waiting.deferrals == 1
        assert FIRST_PAUSE - timedelta(seconds=5) < waiting.due_at - now() < FIRST_PAUSE
    assert attempts(runtime) == [(1, "deferred", code), (2, "accepted", 250)]
    assert copies(sink, waiting) == 1
    assert open_items(runtime) == []


def test_every_attempt_carries_the_same_bytes(runtime: Runtime) -> None:
    owe(runtime)
    [first] = claim(runtime)
    end_leases(runtime)
    with runtime.transaction() as session:
        outbox.expire_leases(session, now=now())

    [second] = claim(runtime)

    assert second.content == first.content
    assert the_delivery(runtime).sha256 == hashlib.sha256(first.content).hexdigest()
    assert the_delivery(runtime).attempt == 2


# --- trouble that is certain: a person is asked ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param(Fault.NO_SUCH_PERSON, 550, id="550 to RCPT"),
        pytest.param(Fault.UNWANTED, 554, id="554 after the final dot"),
    ],
)
def test_a_refused_mail_leaves_the_client_unreached_and_asks_a_person(
    runtime: Runtime, worker: Worker, port: int, fault: Fault, code: int
) -> None:
    owe(runtime)

    with Sink(port=port, fault=fault) as sink:
        worker.tick()
        with time_machine.travel(now() + LATER):
            worker.tick()

    assert the_delivery(runtime).state is DeliveryState.REFUSED
    assert the_notice(runtime).state is NoticeState.UNREACHED
    assert open_items(runtime) == [ItemKind.REFUSED_DELIVERY]
    assert attempts(runtime) == [(1, "refused", code)]
    assert sink.mails == []


def test_a_mail_that_can_no_longer_be_rebuilt_is_not_sent_and_stops_no_other(
    runtime: Runtime, worker: Worker, port: int
) -> None:
    owe(runtime, 6)
    worker.tick()  # nobody listens: a round of mails have their bytes, and wait
    wake(runtime)
    changed = [one for one in deliveries(runtime) if one.sha256]
    with runtime.transaction() as session:
        for delivery in changed:  # the whole of the next round
            row = session.get_one(Delivery, delivery.id)
            row.facts, row.due_at = {**delivery.facts, "to_name": "Somebody Else"}, delivery.due_at - FIRST_PAUSE

    with Sink(port=port) as sink, time_machine.travel(now() + FIRST_PAUSE):
        with runtime.transaction() as session:
            assert outbox.claim(session, runtime.desk, worker=worker.name, limit=4, now=now()) == []
            assert doorbell.rung(session) == {doorbell.Bell.OUTBOX}  # for the others
        worker.send_due()

    ended = {one.id: one for one in deliveries(runtime)}
    refused = [ended.pop(delivery.id) for delivery in changed]
    assert {one.state for one in refused} == {DeliveryState.REFUSED}
    assert all("cannot be rebuilt" in one.last_reply for one in refused)
    assert [copies(sink, one) for one in refused] == [0] * 4
    assert [(one.state, copies(sink, one)) for one in ended.values()] == [(DeliveryState.ACCEPTED, 1)] * 2
    assert open_items(runtime) == [ItemKind.REFUSED_DELIVERY] * 4


# --- nobody can know: never again by the machine ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.CUT_AFTER_ACCEPTING, Fault.NONSENSE_AFTER_ACCEPTING])
def test_a_mail_whose_answer_never_came_is_never_sent_again(
    runtime: Runtime, worker: Worker, port: int, fault: Fault
) -> None:
    owe(runtime)
    with Sink(port=port, fault=fault) as sink:
        worker.tick()
        sink.faults = 0
        with time_machine.travel(now() + LATER):
            for _ in range(10):
                worker.tick()

    assert the_delivery(runtime).state is DeliveryState.UNKNOWN
    assert open_items(runtime) == [ItemKind.UNKNOWN_DELIVERY]
    assert attempts(runtime) == [(1, "unknown", None)]
    assert len(sink.mails) == 1


def test_a_worker_that_dies_before_the_commit_leaves_a_mail_that_waits(
    runtime: Runtime, worker: Worker, port: int
) -> None:
    owe(runtime)
    claim(runtime)
    end_leases(runtime)

    with Sink(port=port) as sink:
        worker.tick()

    assert attempts(runtime) == [(2, "accepted", 250)]
    assert copies(sink, the_delivery(runtime)) == 1


def test_a_worker_that_dies_after_the_commit_leaves_an_unknown_mail(
    runtime: Runtime, worker: Worker, port: int
) -> None:
    owe(runtime)
    [mail] = claim(runtime)
    with runtime.transaction() as session:
        outbox.hand_over(session, runtime.desk, [mail], worker="a worker that dies")
    end_leases(runtime)

    with Sink(port=port) as sink:
        worker.tick()
        worker.tick()

    assert the_delivery(runtime).state is DeliveryState.UNKNOWN
    assert open_items(runtime) == [ItemKind.UNKNOWN_DELIVERY]
    assert attempts(runtime) == [(1, "unknown", None)]
    assert sink.mails == []


def test_a_live_worker_is_left_alone(runtime: Runtime, worker: Worker, port: int) -> None:
    owe(runtime)
    claim(runtime, worker="a worker that lives")

    with Sink(port=port) as sink:
        worker.tick()

    assert the_delivery(runtime).claimed_by == "a worker that lives"
    assert sink.connections == 0


# --- workers that come too late --------------------------------------------------------------------------------------


def test_a_worker_whose_lease_ended_gives_no_dot(runtime: Runtime, worker: Worker, port: int) -> None:
    owe(runtime)
    worker.sender = Interrupted(worker.sender, held=lambda: end_leases(runtime))

    with Sink(port=port) as sink:
        worker.send_due()

    assert "DATA" in sink.commands
    assert sink.mails == []
    assert the_delivery(runtime).state is DeliveryState.CLAIMED


def test_a_worker_who_wakes_after_another_has_sent_its_mail_sends_no_second_copy(
    runtime: Runtime, worker: Worker, other: Worker, port: int
) -> None:
    owe(runtime, 3)

    def meanwhile() -> None:
        end_leases(runtime)
        other.tick()

    worker.sender = Interrupted(worker.sender, held=meanwhile)
    with Sink(port=port) as sink:
        worker.send_due()

    assert sink.commands.count("DATA") == 6
    assert [copies(sink, one) for one in deliveries(runtime)] == [1] * 3
    assert {one.claimed_by for one in deliveries(runtime)} == {other.name}
    assert {one.state for one in deliveries(runtime)} == {DeliveryState.ACCEPTED}


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.GREYLIST])
def test_a_worker_that_comes_too_late_leaves_a_mail_alone_that_another_has_claimed(
    runtime: Runtime, worker: Worker, port: int, fault: Fault
) -> None:
    owe(runtime)

    def meanwhile() -> None:
        end_leases(runtime)
        with runtime.transaction() as session:
            outbox.expire_leases(session, now=now())
        claim(runtime, worker="another worker")

    worker.sender = Interrupted(worker.sender, held=meanwhile)
    with Sink(port=port, fault=fault) as sink:
        worker.send_due()

    delivery = the_delivery(runtime)
    assert (delivery.state, delivery.claimed_by, delivery.attempt) == (DeliveryState.CLAIMED, "another worker", 2)
    assert attempts(runtime) == []
    assert sink.mails == []


@pytest.mark.parametrize(
    ("fault", "state", "asked"),
    [
        pytest.param(Fault.NONE, DeliveryState.ACCEPTED, [], id="250"),
        pytest.param(Fault.STORAGE, DeliveryState.WAITING, [], id="452"),
        pytest.param(Fault.UNWANTED, DeliveryState.REFUSED, [ItemKind.REFUSED_DELIVERY], id="554"),
    ],
)
def test_an_answer_that_comes_after_the_lease_ended_settles_what_was_unknown(
    runtime: Runtime,
    worker: Worker,
    other: Worker,
    port: int,
    fault: Fault,
    state: DeliveryState,
    asked: list[ItemKind],
) -> None:
    owe(runtime)
    in_between = []

    def meanwhile() -> None:
        end_leases(runtime)
        other.tick()
        in_between.append((the_delivery(runtime).state, open_items(runtime)))

    worker.sender = Interrupted(worker.sender, released=meanwhile)
    with Sink(port=port, fault=fault):
        worker.send_due()

    assert in_between == [(DeliveryState.UNKNOWN, [ItemKind.UNKNOWN_DELIVERY])]
    assert the_delivery(runtime).state is state
    assert open_items(runtime) == asked
    assert len(attempts(runtime)) == 1


# --- a database that goes away ---------------------------------------------------------------------------------------


def without_database(worker: Worker, *, seconds: float) -> None:
    """Take the database away from one worker for so long."""
    connected = worker.runtime
    nowhere = make_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nowhere")
    worker.runtime = replace(connected, engine=nowhere)
    threading.Timer(seconds, lambda: setattr(worker, "runtime", connected)).start()


def test_no_dot_is_given_when_the_database_is_gone_at_the_commit(
    runtime: Runtime, worker: Worker, other: Worker, port: int
) -> None:
    owe(runtime)
    worker.sender = Interrupted(worker.sender, held=lambda: without_database(worker, seconds=1))

    with Sink(port=port) as sink:
        with pytest.raises(sa.exc.OperationalError):
            worker.send_due()
        assert sink.mails == []
        end_leases(runtime)
        other.tick()

    assert copies(sink, the_delivery(runtime)) == 1


def test_an_answer_outlives_a_database_that_is_away_for_a_moment(runtime: Runtime, worker: Worker, port: int) -> None:
    owe(runtime)
    worker.sender = Interrupted(worker.sender, released=lambda: without_database(worker, seconds=0.3))

    with Sink(port=port) as sink:
        worker.send_due()

    assert the_delivery(runtime).state is DeliveryState.ACCEPTED
    assert copies(sink, the_delivery(runtime)) == 1


class BrokenPress(LetterPress):
    """One whose letter about a later last day cannot be written."""

    def mould(
        self,
        letter: str,
        language: str,
        context: Mapping[str, object],
        *,
        envelope: LetterHead,
        attachments: Sequence[Attachment] = (),
    ) -> Mould:
        if letter == "later_last_day":
            raise MouldError("there is a hole in this letter that nothing fills")
        return super().mould(letter, language, context, envelope=envelope, attachments=attachments)


def test_what_could_not_follow_from_an_accepted_mail_follows_with_the_next_tick(
    runtime: Runtime, worker: Worker, port: int
) -> None:
    owe(runtime)
    press = BrokenPress(runtime.settings.search_path("templates"))

    with Sink(port=port) as sink, time_machine.travel(now() + 2 * LATER):
        worker.runtime = replace(runtime, desk=replace(runtime.desk, press=press))
        worker.send_due()
        assert (the_delivery(runtime).state, the_notice(runtime).state) == (DeliveryState.ACCEPTED, NoticeState.RAISED)

        worker.runtime = runtime
        worker.tick()
        worker.tick()

    assert the_notice(runtime).state is NoticeState.RUNNING
    assert [one.letter for one in deliveries(runtime)] == ["notice", "later_last_day"]
    assert len(sink.mails) == 2


# --- evidence, and a person's decision -------------------------------------------------------------------------------


@pytest.fixture
def arrived(runtime: Runtime, worker: Worker, port: int) -> bytes:
    """A mail that was taken, though no answer came: unknown."""
    owe(runtime)
    with Sink(port=port, fault=Fault.CUT_AFTER_ACCEPTING) as sink:
        worker.tick()
    assert the_delivery(runtime).state is DeliveryState.UNKNOWN
    return sink.contents[0]


def test_opening_its_link_proves_that_an_unknown_mail_arrived(runtime: Runtime, arrived: bytes) -> None:
    with runtime.transaction() as session:
        answers.record_fetch(
            session, runtime.desk, link_in(arrived), method="HEAD", agent="a scanner", prefetch=True, now=now()
        )

    assert the_delivery(runtime).state is DeliveryState.ACCEPTED
    assert the_notice(runtime).state is NoticeState.RUNNING
    assert open_items(runtime) == []


def test_an_answer_proves_that_an_unknown_mail_arrived(runtime: Runtime, arrived: bytes) -> None:
    with runtime.transaction() as session:
        answers.acknowledge(
            session, runtime.desk, link_in(arrived), [the_notice(runtime).id], name="Camille Roy", now=now()
        )

    told = next(one for one in deliveries(runtime) if one.letter == "notice")
    assert told.state is DeliveryState.ACCEPTED
    assert the_notice(runtime).state is NoticeState.RUNNING
    assert open_items(runtime) == []


@pytest.mark.usefixtures("arrived")
def test_a_person_may_say_once_that_an_unknown_mail_arrived(runtime: Runtime) -> None:
    unknown = the_delivery(runtime)

    with runtime.transaction() as session:
        said = [
            outbox.prove_arrival(session, runtime.desk, unknown.id, by="ana", evidence="the relay's log", now=now())
            for _ in range(2)
        ]

    assert said == [True, False]
    assert the_delivery(runtime).state is DeliveryState.ACCEPTED
    assert the_delivery(runtime).last_reply == "proved: the relay's log"
    assert open_items(runtime) == []


@pytest.mark.usefixtures("arrived")
def test_sending_again_is_a_person_s_act_and_a_mail_of_its_own(runtime: Runtime, worker: Worker, port: int) -> None:
    unknown, notice_id = the_delivery(runtime), the_notice(runtime).id

    with runtime.transaction() as session:
        outbox.repeat(
            session, runtime.desk, unknown.id, address=unknown.address, notice_id=notice_id, by="ana", now=now()
        )
    with Sink(port=port) as sink:
        worker.tick()

    first, again = deliveries(runtime)
    assert (first.state, again.state) == (DeliveryState.UNKNOWN, DeliveryState.ACCEPTED)
    assert again.purpose == "notice.repeat.1"
    assert [mail.message_id for mail in sink.mails] == [again.message_id]
    assert again.message_id != first.message_id
    assert open_items(runtime) == []


# --- two at once -----------------------------------------------------------------------------------------------------


def test_two_workers_never_claim_the_same_mail(runtime: Runtime) -> None:
    owe(runtime, 300)
    taken: dict[str, list[Mail]] = {"one": [], "two": []}
    together = threading.Barrier(2)

    def work(name: str) -> None:
        for _ in range(25):  # 25 times 7, for two: more than there are
            together.wait(30)
            taken[name] += claim_some(runtime, name)

    threads = [threading.Thread(target=work, args=(name,)) for name in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    one, two = ({mail.delivery_id for mail in mails} for mails in taken.values())
    assert one
    assert two
    assert len(taken["one"]) + len(taken["two"]) == len(one | two) == 300


def claim_some(runtime: Runtime, worker: str) -> list[Mail]:
    with runtime.transaction() as session:
        return outbox.claim(session, runtime.desk, worker=worker, limit=7, now=now())
