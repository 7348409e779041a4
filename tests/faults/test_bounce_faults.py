"""Rows 14 and 27 to 29 of the fault matrix: a relay that takes every mail and sends it back; what comes back early,
again and again, or into the hands of an intake that is killed.
"""

import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import select

from notifier.adapters.bounces import read_bounce
from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.models import BounceDoor, BounceMail, Event, EventKind, Item, ItemKind
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from notifier.services import bounces, outbox
from notifier.worker import Worker
from tests.factories import make_runtime
from tests.faults.books import read_books
from tests.faults.figures import TIME_OUT, say, times
from tests.faults.ground import mail_to, owe, work_until_done
from tests.faults.intake import spawn
from tests.faults.sink import Fault, FaultSink, bounce

pytestmark = pytest.mark.timeout(TIME_OUT)

TAGGED = {"bounce_address": "bounces@hosting.example"}


def take_in(runtime: Runtime, content: bytes) -> None:
    with runtime.transaction() as session:
        bounces.take_in(session, runtime.desk, content, read_bounce(content), how=BounceDoor.FILE, now=now())


def returned(runtime: Runtime) -> Counter[str]:
    """How often each mail is written down as having come back."""
    with runtime.reading() as session:
        kinds = select(Event.about_id).where(Event.kind == EventKind.DELIVERY_RETURNED)
        return Counter(str(about) for about in session.exec(kinds))


def tasks(runtime: Runtime) -> set[str]:
    with runtime.reading() as session:
        waiting = session.exec(select(Item).where(Item.kind == ItemKind.REFUSED_DELIVERY)).all()
    return {str(item.about_id) for item in waiting if item.open}


@pytest.mark.slow
def test_every_mail_that_the_relay_took_and_sent_back_stands_before_a_person(database_url: str, tmp_path: Path) -> None:
    """Rows 14 and 29: the intake is killed again and again in the middle of its work."""
    mails, kills, chance = times(12, 1000), times(5, 200), random.Random(14)
    folder, data = tmp_path / "bounces", tmp_path / "data"
    folder.mkdir()
    with FaultSink({Fault.BOUNCES: "1"}, bounces=folder) as sink:
        mail = mail_to(sink.port, **TAGGED)
        with closing(make_runtime(database_url, data, mail=mail)) as runtime:
            owe(runtime, mails)
            with closing(Worker(runtime)) as worker:
                work_until_done(worker, seconds=30 + mails / 5)
            sent = [one for one in read_books(runtime.engine, sink.taken).deliveries if one.letter == "notice"]
            done = 0
            while list(folder.glob("*.eml")):
                intake = spawn(database_url, data, folder, mail)
                if done < kills:
                    intake.join(chance.uniform(0.5, 1.2))
                    done += intake.is_alive()
                    intake.kill()
                intake.join(60 + mails / 5)
                intake.close()
            again = returned(runtime)
            asked = tasks(runtime)
            states = {str(one.id): one.state for one in read_books(runtime.engine, sink.taken).deliveries}

    say("all came back", mails=mails, kills_of_the_intake=done, returned=len(again), tasks=len(asked))
    assert len(list(folder.glob("*.done"))) == mails
    assert set(again.values()) == {1}
    assert again.keys() == {str(one.id) for one in sent} == asked
    assert {states[key] for key in again} == {DeliveryState.REFUSED}


def held(runtime: Runtime) -> Sequence[Mail]:
    """Claim all there is and write down that it is about to leave."""
    with runtime.transaction() as session:
        mails = outbox.claim(session, runtime.desk, worker="slow", limit=1000, now=now())
    with runtime.transaction() as session:
        assert len(outbox.hand_over(session, runtime.desk, mails, worker="slow")) == len(mails)
    return mails


def test_bounces_that_come_before_the_relay_s_answer_is_written_down_are_applied_after_it(
    database_url: str, tmp_path: Path
) -> None:
    """Rows 27 and 28: each comes three times, and has one effect."""
    with closing(make_runtime(database_url, tmp_path, mail=mail_to(1, **TAGGED))) as runtime:
        owe(runtime, times(10, 100))
        mails = held(runtime)
        for mail in [*mails, *mails, *mails]:
            take_in(runtime, bounce(mail.sender, mail.recipient, mail.content))
        early = returned(runtime)
        outcomes = [
            Outcome(
                delivery_id=mail.delivery_id, attempt=mail.attempt, verdict=Verdict.ACCEPTED, code=250, reply="taken",
                peer="relay.example:25", tls="",
            )
            for mail in mails
        ]  # fmt: skip
        with runtime.transaction() as session:
            outbox.settle(session, runtime.desk, outcomes, worker="slow", now=now())
        start = time.monotonic()
        while True:
            with runtime.transaction() as session:
                if not bounces.apply_waiting(session, runtime.desk, now=now()):
                    break
        again = returned(runtime)
        with runtime.reading() as session:
            kept = session.exec(select(BounceMail.applied_at)).all()

    say("early bounces", bounces=len(mails), seconds_to_apply=time.monotonic() - start)
    assert not early
    assert set(again.values()) == {1}
    assert again.keys() == {str(mail.delivery_id) for mail in mails}
    assert len(kept) == len(mails)
    assert all(kept)


def test_forged_bounces_have_no_effect(database_url: str, tmp_path: Path) -> None:
    """Row 28: a tag that differs in one character of any place."""
    with FaultSink() as sink:
        settings = mail_to(sink.port, **TAGGED)
        with closing(make_runtime(database_url, tmp_path, mail=settings)) as runtime:
            owe(runtime, 1)
            with closing(Worker(runtime)) as worker:
                work_until_done(worker, seconds=20)
            before = read_books(runtime.engine, sink.taken)
            genuine = sink.taken[0].sender
            tag = genuine.partition("+")[2].partition("@")[0]
            for place, letter in enumerate(tag):
                forged = tag[:place] + ("a" if letter != "a" else "b") + tag[place + 1 :]
                stranger = b"Message-ID: <x@stranger.example>\r\n\r\n"
                take_in(runtime, bounce(genuine.replace(tag, forged), "nobody@client.example", stranger))
            after = read_books(runtime.engine, sink.taken)

    assert len(tag) >= 40
    assert len(after.events) == len(before.events)
    assert after.open_items == before.open_items
    assert [one.state for one in after.deliveries] == [one.state for one in before.deliveries]
