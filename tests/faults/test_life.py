"""The whole life of a notice as a machine that hypothesis drives: every step of a worker, crashes between any two,
leases that run out, answers, bounces, corrections and time.  After each step the books must agree.

The relay is a set of what it took; what the workers hold lives in memory alone, as with a process that dies.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import Session, col, select

from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.models import Delivery, DeliveryNotice, Event, EventKind, Item, ItemKind, Notice
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.notice_states import IllegalNoticeStep, NoticeState
from notifier.runtime import Runtime
from notifier.services import answers, corrections, notices, outbox, sends
from tests.factories import NOON, make_announcement, make_client, make_provider, make_runtime
from tests.faults.figures import IS_LONG, say

CLIENTS = 3
WORKERS = ("one", "two")
RUNS, STEPS = (2000, 50) if IS_LONG else (25, 30)
ASKED = {DeliveryState.REFUSED: ItemKind.REFUSED_DELIVERY, DeliveryState.UNKNOWN: ItemKind.UNKNOWN_DELIVERY}
statistics: Counter[str] = Counter()


@dataclass
class Hand:
    """What one worker holds: mails before their dots, and answers that are not written down."""

    mails: list[Mail] = field(default_factory=list)
    leaving: list[Mail] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def is_busy(self) -> bool:
        return bool(self.mails or self.leaving or self.outcomes)


class Life(RuleBasedStateMachine):
    runtime: Runtime  # wired up once, on a database that is put back to its beginning for each run
    template: Path  # that database, with one announcement that has been published

    def __init__(self) -> None:
        super().__init__()
        self.runtime.engine.dispose()
        database = self.runtime.settings.data_dir / "notifier.db"
        for leftover in database.parent.glob("notifier.db-*"):
            leftover.unlink()
        shutil.copy(self.template, database)
        self.desk, self.now = self.runtime.desk, NOON
        self.hands = {name: Hand() for name in WORKERS}
        self.relay: Counter[UUID] = Counter()
        self.proved: set[UUID] = set()  # by evidence or a person's word, which needs no copy at the relay
        self.is_paused, self.pauses, self.corrections = False, 0, 0
        self.told: dict[UUID, tuple[int, datetime | None]] = {}
        self.log: list[tuple[int, str]] = []

    def teardown(self) -> None:
        """Let everything come to its end: nothing may be held for ever."""
        for name in WORKERS:
            self.crash(name)
        self.leases_run_out()
        self.free()
        with self.runtime.reading() as session:
            states = set(session.exec(select(Delivery.state)).all())
        assert not states & {DeliveryState.CLAIMED, DeliveryState.HANDING_OVER}  # I8
        self.books_agree()

    # --- a worker's steps --------------------------------------------------------------------------------------------

    @precondition(lambda self: not all(hand.is_busy for hand in self.hands.values()))
    @rule(name=st.sampled_from(WORKERS), limit=st.integers(1, 3))
    def claim(self, name: str, limit: int) -> None:
        hand = self.hands[name]
        if hand.is_busy:
            return  # one round at a time
        with self.runtime.transaction() as session:
            hand.mails = outbox.claim(session, self.desk, worker=name, limit=limit, now=self.now)
            claimed = select(Delivery.letter).where(col(Delivery.id).in_([mail.delivery_id for mail in hand.mails]))
            assert not (self.is_paused and "notice" in session.exec(claimed).all())

    @precondition(lambda self: any(hand.mails for hand in self.hands.values()))
    @rule(name=st.sampled_from(WORKERS), fails=st.booleans())
    def hand_over(self, name: str, fails: bool) -> None:  # noqa: FBT001  # drawn
        """The commit before the dots; when it fails, none is given."""
        hand = self.hands[name]
        mails, hand.mails = hand.mails, []
        if not mails:
            return
        with suppress(ZeroDivisionError), self.runtime.transaction() as session:
            leaving = outbox.hand_over(session, self.desk, mails, worker=name)
            if fails:
                raise ZeroDivisionError
            hand.leaving = [mail for mail in mails if mail.delivery_id in leaving]

    @precondition(lambda self: any(hand.leaving for hand in self.hands.values()))
    @rule(name=st.sampled_from(WORKERS), data=st.data())
    def dots(self, name: str, data: st.DataObject) -> None:
        """The relay takes a mail and says so, takes it and says nothing, puts it off, or refuses it."""
        hand = self.hands[name]
        leaving, hand.leaving = hand.leaving, []
        for mail in leaving:
            verdict = data.draw(st.sampled_from(Verdict))
            taken = verdict is Verdict.ACCEPTED or (verdict is Verdict.UNKNOWN and data.draw(st.booleans()))
            self.relay[mail.delivery_id] += taken
            hand.outcomes.append(_outcome(mail, verdict))
            statistics[f"dot: {verdict}"] += 1

    @rule(name=st.sampled_from(WORKERS), until=st.integers(2, 4), data=st.data())
    def a_round(self, name: str, until: int, data: st.DataObject) -> None:
        """Several steps of one worker at once, up to any of them: else few mails would get as far as a dot."""
        self.claim(name, 3)
        self.hand_over(name, fails=False)
        if until > 2:
            self.dots(name, data)
        if until > 3:
            self.settle(name, again=False)

    @precondition(lambda self: any(hand.mails for hand in self.hands.values()))
    @rule(name=st.sampled_from(WORKERS), data=st.data())
    def refused_before_the_dot(self, name: str, data: st.DataObject) -> None:
        hand = self.hands[name]
        if hand.mails and not hand.outcomes:
            verdict = data.draw(st.sampled_from([Verdict.DEFERRED, Verdict.REFUSED]))
            hand.outcomes.append(_outcome(hand.mails.pop(), verdict))

    @precondition(lambda self: any(hand.outcomes for hand in self.hands.values()))
    @rule(name=st.sampled_from(WORKERS), again=st.booleans())
    def settle(self, name: str, again: bool) -> None:  # noqa: FBT001  # drawn
        """Written down once, or a second time by a worker that never learned that its commit had stood."""
        hand = self.hands[name]
        outcomes, hand.outcomes = hand.outcomes, []
        for _ in range(2 if again else 1):
            with self.runtime.transaction() as session:
                outbox.settle(session, self.desk, outcomes, worker=name, now=self.now)

    @precondition(lambda self: any(hand.is_busy for hand in self.hands.values()))
    @rule(name=st.sampled_from(WORKERS))
    def crash(self, name: str) -> None:
        hand = self.hands[name]
        statistics["crash with something in hand"] += hand.is_busy
        self.hands[name] = Hand()

    @precondition(lambda self: bool(self.relay) or any(hand.is_busy for hand in self.hands.values()))
    @rule()
    def leases_run_out(self) -> None:
        with self.runtime.transaction() as session:
            ended = outbox.database_now(session) - timedelta(seconds=1)
            held = sa.update(Delivery).where(col(Delivery.lease_until).is_not(None))
            session.execute(held.values(lease_until=ended))

    @rule()
    def free(self) -> None:
        with self.runtime.transaction() as session:
            outbox.expire_leases(session, now=self.now)
        with self.runtime.transaction() as session:
            outbox.catch_up(session, self.desk, now=self.now)

    # --- time and people ---------------------------------------------------------------------------------------------

    @rule(hours=st.sampled_from([1, 30, 24 * 8, 24 * 40]))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        with self.runtime.transaction() as session:
            notices.lapse_due(session, now=self.now)

    def _some(self, data: st.DataObject, *states: DeliveryState, letter: str = "notice") -> Delivery | None:
        with self.runtime.reading() as session:
            query = select(Delivery).where(Delivery.letter == letter, col(Delivery.state).in_(states))
            found = session.exec(query.order_by(col(Delivery.address), col(Delivery.purpose))).all()
        return data.draw(st.sampled_from(found)) if found else None

    @precondition(lambda self: any(self.relay.values()))
    @rule(data=st.data(), act=st.sampled_from(["fetch", "acknowledge"]))
    def somebody_opens_a_link(self, data: st.DataObject, act: str) -> None:
        """Whoever reads a mail has got it: only such as the relay took are opened."""
        row = self._some(data, *DeliveryState)
        if row is None or not self.relay[row.id]:
            return
        token = self.desk.keyring.token(row.id, "notice", key=row.key_id)
        self.proved.add(row.id)
        with suppress(answers.Corrected, answers.NothingLeft, answers.LinkInvalid, IllegalNoticeStep):
            with self.runtime.transaction() as session:
                if act == "fetch":
                    answers.record_fetch(
                        session, self.desk, token, method="GET", agent="", prefetch=False, now=self.now
                    )
                    return
                about = session.exec(select(DeliveryNotice.notice_id).where(DeliveryNotice.delivery_id == row.id)).all()
                answers.acknowledge(session, self.desk, token, list(about), name="Camille Roy", now=self.now)
            statistics["acknowledged"] += 1

    @precondition(lambda self: any(self.relay.values()))
    @rule(data=st.data(), often=st.integers(1, 3))
    def it_comes_back(self, data: st.DataObject, often: int) -> None:
        """The same bounce once or several times: one effect."""
        row = self._some(data, *DeliveryState)
        if row is None or not self.relay[row.id]:
            return
        effects = []
        for _ in range(often):
            with self.runtime.transaction() as session:
                effects.append(outbox.returned(session, self.desk, row.id, by="test", evidence="5.1.1", now=self.now))
        assert sum(effects) <= 1
        statistics["came back"] += sum(effects)

    @rule(data=st.data())
    def a_person_says_that_it_arrived(self, data: st.DataObject) -> None:
        if row := self._some(data, DeliveryState.UNKNOWN):
            with self.runtime.transaction() as session:
                outbox.prove_arrival(session, self.desk, row.id, by="ana", evidence="a call", now=self.now)
            self.proved.add(row.id)
            statistics["proved"] += 1

    @rule(data=st.data())
    def a_person_sends_it_again(self, data: st.DataObject) -> None:
        row = self._some(data, DeliveryState.UNKNOWN, DeliveryState.REFUSED)
        if row is None:
            return
        with self.runtime.reading() as session:
            notice_id = session.exec(
                select(DeliveryNotice.notice_id).where(DeliveryNotice.delivery_id == row.id)
            ).first()
        assert notice_id
        with suppress(outbox.NoSuchDelivery), self.runtime.transaction() as session:
            outbox.repeat(session, self.desk, row.id, address=row.address, notice_id=notice_id, by="ana", now=self.now)
        statistics["repeated"] += 1

    @precondition(lambda self: self.is_paused or self.pauses < 2)
    @rule()
    def a_person_pauses_it_or_lets_it_go_on(self) -> None:
        """No mail of it is claimed while it is paused; what a worker held by then may leave."""
        with self.runtime.transaction() as session:
            announcement_id = session.exec(select(Notice.announcement_id)).first()
            assert announcement_id
            toggle = sends.resume if self.is_paused else sends.pause
            toggle(session, announcement_id, by="ana", now=self.now)
        self.is_paused = not self.is_paused
        self.pauses += self.is_paused
        statistics["paused or resumed"] += 1

    @precondition(lambda self: self.now < NOON + timedelta(days=20) and self.corrections < 2)
    @rule(number=st.integers(1, 10_000))
    def it_is_corrected(self, number: int) -> None:
        """Everybody is told anew; what a worker holds of the old text is fenced or outdated."""
        with self.runtime.reading() as session:
            announcement_id = session.exec(select(Notice.announcement_id)).first()
        assert announcement_id
        self.now += timedelta(minutes=1)
        self.corrections += 1
        on = self.now.date() + timedelta(days=100)
        reasons = {"en": f"Reason {number}.", "fr": f"Raison {number}."}
        with suppress(ValueError, IllegalNoticeStep), self.runtime.transaction() as session:
            corrections.correct(
                session,
                self.desk,
                announcement_id,
                effective_on=on,
                reasons=reasons,
                why="a slip",
                by="ana",
                now=self.now,
            )
            statistics["corrected"] += 1

    # --- what must hold after each step ------------------------------------------------------------------------------

    @invariant()
    def books_agree(self) -> None:
        with self.runtime.reading() as session:
            deliveries = session.exec(select(Delivery)).all()
            asked = {(item.kind, item.about_id) for item in session.exec(select(Item).where(col(Item.open).is_(True)))}
            self._nobody_has_two_copies()
            self._what_is_accepted_was_taken(deliveries)
            self._nobody_is_forgotten(session, deliveries, asked)
            self._the_log_only_grows(session)
            self._no_last_day_is_taken_back(session)

    def _nobody_has_two_copies(self) -> None:
        assert max(self.relay.values(), default=0) <= 1  # I2

    def _what_is_accepted_was_taken(self, deliveries: Sequence[Delivery]) -> None:
        accepted = {row.id for row in deliveries if row.state is DeliveryState.ACCEPTED}
        assert accepted <= {key for key, copies in self.relay.items() if copies} | self.proved  # I3

    def _nobody_is_forgotten(
        self, session: Session, deliveries: Sequence[Delivery], asked: set[tuple[ItemKind, UUID]]
    ) -> None:
        """I1: each mail waits, is held under a lease, has ended well, or stands before a person."""
        sent_again = {(row.about_id, row.address) for row in deliveries if ".repeat." in row.purpose}
        for row in deliveries:
            held = row.state in {DeliveryState.CLAIMED, DeliveryState.HANDING_OVER}
            assert not held or (row.lease_until is not None and row.claimed_by)
            if row.state in ASKED and (row.about_id, row.address) not in sent_again:
                answered = self._is_over(session, row)
                assert answered or (ASKED[row.state], row.id) in asked, row

    def _is_over(self, session: Session, row: Delivery) -> bool:
        """Nobody need be asked any more: the client has answered, or is told anew."""
        query = (
            select(Notice)
            .join(DeliveryNotice, col(DeliveryNotice.notice_id) == Notice.id)
            .where(DeliveryNotice.delivery_id == row.id)
        )
        edition = session.exec(select(DeliveryNotice.edition).where(DeliveryNotice.delivery_id == row.id)).first()
        return all(
            notice.state not in {NoticeState.RAISED, NoticeState.RUNNING, NoticeState.UNREACHED}
            or notice.edition > (edition or 0)
            for notice in session.exec(query)
        )

    def _the_log_only_grows(self, session: Session) -> None:
        """I6: without a gap, and what has been written stays as it was."""
        rows = [(event.id or 0, event.kind.value) for event in session.exec(select(Event).order_by(col(Event.id)))]
        assert rows[: len(self.log)] == self.log
        assert [number for number, _ in rows] == list(range(1, len(rows) + 1))
        self.log = rows
        accepted = Counter(
            str(event.data["delivery"]) + str(event.about_id)
            for event in session.exec(select(Event).where(Event.kind == EventKind.NOTICE_SENT))
        )
        assert max(accepted.values(), default=1) == 1

    def _no_last_day_is_taken_back(self, session: Session) -> None:
        """I7: within one edition, the last day that a client has been told never comes nearer."""
        for notice in session.exec(select(Notice)):
            edition, before = self.told.get(notice.id, (0, None))
            if edition == notice.edition and before:
                assert notice.object_until >= before
            self.told[notice.id] = (notice.edition, notice.object_until)


def _outcome(mail: Mail, verdict: Verdict) -> Outcome:
    return Outcome(
        delivery_id=mail.delivery_id, attempt=mail.attempt, verdict=verdict, code=None, reply="", peer="", tls=""
    )


@pytest.fixture(scope="module")
def published(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """Two clients of one contact each, and one of two; nothing has been sent yet."""
    folder = tmp_path_factory.mktemp("life")
    url = f"sqlite:///{shutil.copy(sqlite_template, folder / 'notifier.db')}"
    with closing(make_runtime(url, folder)) as runtime:
        with runtime.transaction() as session:
            make_provider(session)
            for number in range(CLIENTS - 1):
                make_client(session, f"C-{number}")
            make_client(session, "C-2", contacts=[{}, {"email": "legal@c-2.example", "language": "fr"}])
            make_announcement(session, runtime.desk, now=NOON)
        runtime.engine.dispose()  # the last connection to leave writes all into one file
        shutil.copy(folder / "notifier.db", folder / "template.db")
        yield runtime


@pytest.mark.slow
@pytest.mark.timeout(10_800 if IS_LONG else 300)
def test_whatever_happens_in_the_life_of_a_notice_the_books_agree(published: Runtime) -> None:
    Life.runtime, Life.template = published, published.settings.data_dir / "template.db"
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=checks,
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )
    say("life", runs=RUNS, steps=STEPS, **{name.replace(" ", "_"): count for name, count in statistics.items()})
    assert statistics["crash with something in hand"]
    assert all(statistics[f"dot: {verdict}"] for verdict in Verdict)  # else it has tried little
