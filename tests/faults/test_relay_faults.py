"""Rows 6 to 11 and 13 of the fault matrix: a relay that goes wrong in one way, all the time or for a share of mails."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import time_machine

from notifier.adapters.smtp import Relay, SmtpSender, Timeouts
from notifier.models import ItemKind
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.worker import Worker
from tests.factories import make_runtime
from tests.faults.books import Books, read_books
from tests.faults.figures import TIME_OUT, say, times
from tests.faults.ground import mail_to, owe, work_until_done
from tests.faults.sink import Fault, FaultSink

pytestmark = pytest.mark.timeout(TIME_OUT)

MAILS = times(24, 1000)
PATIENCE = 20 + MAILS / 5  # seconds
SHORT = Timeouts(connect=2, greeting=1, mail=1, rcpt=1, data=1, block=1, dot=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """A relay, and a worker that owes it mails."""

    sink: FaultSink
    runtime: Runtime
    worker: Worker

    def books(self) -> Books:
        return read_books(self.runtime.engine, self.sink.taken)

    def impatient(self) -> None:
        """Wait a second for each answer instead of the minutes that RFC 5321 asks for."""
        mail = self.runtime.settings.mail
        relay = Relay(host=mail.host, port=mail.port, security="none", sessions=mail.sessions, timeouts=SHORT)
        self.worker.sender = SmtpSender(relay)


@contextmanager
def playing(database_url: str, folder: Path, sink: FaultSink, mails: int) -> Iterator[Scene]:
    with (
        sink,
        closing(make_runtime(database_url, folder, mail=mail_to(sink.port))) as runtime,
        closing(Worker(runtime)) as worker,
    ):
        owe(runtime, mails)
        yield Scene(sink, runtime, worker)


Play = Callable[..., AbstractContextManager[Scene]]


@pytest.fixture
def play(database_url: str, tmp_path: Path) -> Play:
    def played(sink: FaultSink, mails: int = MAILS) -> AbstractContextManager[Scene]:
        return playing(database_url, tmp_path, sink, mails)

    return played


@pytest.mark.parametrize(
    "fault",
    [
        Fault.BUSY,
        Fault.MAIL_LATER,
        Fault.GREYLIST,
        Fault.DATA_LATER,
        Fault.STORAGE,
        Fault.HANGS_UP,
        Fault.RESET_IN_BODY,
    ],
)
def test_what_was_certainly_not_taken_is_tried_again_and_arrives_once(play: Play, fault: Fault) -> None:
    """Rows 6 and 8: half of the mails go wrong at each attempt, and in the end each has arrived once."""
    with play(FaultSink({fault: "0.5" if fault is not Fault.BUSY else "<3"}, seed=5)) as scene:
        work_until_done(scene.worker, seconds=PATIENCE)
        books = scene.books()

    say(f"{fault}", struck=len(scene.sink.struck), **books.figures())
    books.agree()
    assert len(scene.sink.struck) >= (MAILS // 4 if fault is not Fault.BUSY else 2)
    assert len(books.those(DeliveryState.ACCEPTED)) == MAILS
    assert max(one.attempt for one in books.deliveries) > 1


@pytest.mark.parametrize("fault", [Fault.NO_SUCH_PERSON, Fault.DATA_NEVER, Fault.UNWANTED])
def test_what_was_refused_asks_a_person_and_is_not_tried_again(play: Play, fault: Fault) -> None:
    """Row 7."""
    with play(FaultSink({fault: "1"})) as scene:
        work_until_done(scene.worker, seconds=PATIENCE)
        scene.sink.faults({})
        scene.worker.tick()
        books = scene.books()

    say(f"{fault}", struck=len(scene.sink.struck), **books.figures())
    books.agree()
    assert len(books.those(DeliveryState.REFUSED)) == MAILS
    assert books.copies.total() == 0
    assert {one.attempt for one in books.deliveries} == {1}


@pytest.mark.parametrize("fault", [Fault.CUT_AFTER_ACCEPTING, Fault.CUT_BEFORE_ACCEPTING, Fault.NONSENSE])
def test_what_nobody_can_know_is_never_sent_again(play: Play, fault: Fault) -> None:
    """Row 9: whether the relay had taken the mail before it cut the connection or not, the machine sends no other."""
    with play(FaultSink({fault: "0.5"}, seed=3)) as scene:
        work_until_done(scene.worker, seconds=PATIENCE)
        scene.sink.faults({})
        scene.worker.tick()
        books = scene.books()

    say(f"{fault}", struck=len(scene.sink.struck), **books.figures())
    books.agree()
    assert 0 < len(books.those(DeliveryState.UNKNOWN)) <= len(scene.sink.struck)  # some struck before their bodies
    assert {kind for kind, _ in books.open_items} == {ItemKind.UNKNOWN_DELIVERY}


def test_a_late_answer_is_waited_for_and_nothing_is_sent_in_between(play: Play) -> None:
    """Row 10."""
    mails = times(8, 100)
    with play(FaultSink({Fault.LATE: "0.5"}, delay=times(300, 1000) / 1000), mails) as scene:
        work_until_done(scene.worker, seconds=60 + 2 * mails)
        books = scene.books()

    say("late", struck=len(scene.sink.struck), **books.figures())
    books.agree()
    assert scene.sink.struck
    assert len(books.those(DeliveryState.ACCEPTED)) == mails


def test_an_answer_later_than_rfc_5321_waits_for_leaves_an_unknown_mail_and_one_copy(play: Play) -> None:
    """Row 10, eleven minutes: the clock of the wait is set faster, and what follows is the same."""
    assert Timeouts().dot >= 600  # RFC 5321 4.5.3.2.6
    mails = times(4, 100)
    with play(FaultSink({Fault.LATE: "1"}, delay=5), mails) as scene:
        scene.impatient()
        work_until_done(scene.worker, seconds=60 + 2 * mails)
        with time_machine.travel(now().timestamp() + 660):
            scene.worker.tick()
        time.sleep(2)  # the late answers have come, and found nobody
        books = scene.books()

    say("too late", **books.figures())
    books.agree()
    assert set(books.copies.values()) == {1}
    assert books.those(DeliveryState.UNKNOWN)


@pytest.mark.parametrize("fault", [Fault.DRIP, Fault.ENDLESS_REPLY, Fault.LONG_LINE])
@pytest.mark.usefixtures("sqlite_template")
def test_a_relay_that_talks_without_end_costs_little_time_and_little_memory(
    sqlite_url: str, tmp_path: Path, fault: Fault
) -> None:
    """Row 11: a byte now and then, lines for ever, or a line of a megabyte."""
    with playing(sqlite_url, tmp_path, FaultSink({fault: "1"}, delay=0.1), times(8, 50)) as scene:
        scene.impatient()
        scene.worker.tick()  # what is imported and compiled at first use is no cost of the fault
        tracemalloc.start()
        start = time.monotonic()
        scene.worker.send_due()
        took, (_, peak) = time.monotonic() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        waiting = scene.books().those(DeliveryState.WAITING)
        scene.sink.faults({})
        work_until_done(scene.worker, seconds=60)
        books = scene.books()

    say(f"{fault}", seconds_of_a_round=took, megabytes_at_most=peak / 1e6)
    books.agree()
    assert len(waiting) == len(books.deliveries) == len(books.those(DeliveryState.ACCEPTED))
    assert took < 60
    assert peak < 16e6


def test_a_relay_that_takes_the_connection_and_says_nothing_holds_up_nobody_for_long(
    sqlite_url: str, tmp_path: Path
) -> None:
    """Row 11: it is given as long as a greeting may take, once a round and not once a mail."""
    with playing(sqlite_url, tmp_path, FaultSink({Fault.MUTE: "<2"}), 8) as scene:
        scene.impatient()
        start = time.monotonic()
        work_until_done(scene.worker, seconds=60)
        took = time.monotonic() - start
        books = scene.books()

    books.agree()
    assert len(books.those(DeliveryState.ACCEPTED)) == 8
    assert took < 10


def test_a_relay_that_advertises_nothing_is_spoken_to_line_by_line(play: Play) -> None:
    """Row 13: no PIPELINING, no SIZE, no DSN.  Nothing is lost of what is plain text."""
    with play(FaultSink(extensions=("8BITMIME",))) as scene:
        work_until_done(scene.worker, seconds=PATIENCE)
        books = scene.books()

    books.agree()
    assert len(books.those(DeliveryState.ACCEPTED)) == MAILS
