"""What is counted by the set: true after whatever happens, and never served once something has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel import Session, SQLModel, col, select

from notifier.adapters.sending import Verdict
from notifier.models import (
    Announcement,
    AnnouncementKind,
    Answer,
    BoardStamp,
    Client,
    Delivery,
    DeliveryNotice,
    Item,
    Notice,
    Sealed,
    Terms,
)
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Hold
from notifier.runtime import Runtime
from notifier.services import (
    announcements,
    answers,
    boards,
    corrections,
    going_live,
    notices,
    outbox,
    registry,
    stamps,
    tallies,
)
from notifier.services.answers import NotAsked
from notifier.services.desk import Desk, Memory
from notifier.services.rows import table_of
from notifier.services.stamps import stamps as stamps_of
from tests.factories import NOON, REASONS, make_announcement, make_client, make_entry, make_provider, make_version
from tests.services.stories import send_due, token_for

A_DAY, A_MINUTE = timedelta(days=1), timedelta(minutes=1)
STEPS = 25
DOCUMENT = {"document": "The handbook", "edition": "7", "what_en": "It is longer.", "what_fr": "Il est plus long."}
CONSENTS = "selligent-health-2020"  # asks for the client's consent to a change of subprocessor


def tell(session: Session, desk: Desk) -> Announcement:
    """Announce, to be made client by client, to clients under two contracts, on paper, and with one address for two."""
    make_provider(session)
    make_version(session)
    make_client(session, "C-1", services=["storage"])
    make_client(session, "C-2", contacts=[{"email": "dpo@two.example"}, {"email": "legal@two.example", "role": "dpo"}])
    make_client(session, "C-3", contacts=[{"email": "shared@group.example"}], services=["backup"])
    make_client(session, "C-4", contacts=[{"email": "shared@group.example"}], pack=CONSENTS)
    make_client(session, "C-5", pack=CONSENTS)
    make_client(session, "C-6", email_accepted=False, address="1 rue de l’Essai", postcode="75001", town="Paris")
    entry = replace(make_entry("Optexemple"), replaces="fibrexemple", services=("storage",))
    registry.add_entry(session, entry, by="test", now=NOON)
    announcement = announcements.publish(
        session, desk, effective_on=date(2026, 12, 1), reasons=REASONS, per_client=True, by="test", now=NOON
    )
    session.flush()
    return announcement


@dataclass
class Life:
    """An announcement to which things happen, one after the other."""

    session: Session
    desk: Desk
    announcement: Announcement
    chance: Random
    now: datetime = NOON

    def notice(self) -> Notice:
        query = select(Notice).where(Notice.announcement_id == self.announcement.id).order_by(col(Notice.id))
        return self.chance.choice(self.session.exec(query).all())

    def mail(self, *states: DeliveryState) -> Delivery:
        query = select(Delivery).where(col(Delivery.state).in_(states), Delivery.letter == "notice")
        return self.chance.choice(self.session.exec(query.order_by(col(Delivery.id))).all())

    def sends(self) -> None:
        addresses = self.session.exec(select(Delivery.address)).all()
        verdicts = {one: self.chance.choice(list(Verdict)) for one in addresses if self.chance.random() < 0.6}
        send_due(self.session, self.desk, now=self.now, verdicts=verdicts)

    def waits(self) -> None:
        self.now += self.chance.choice([timedelta(hours=1), A_DAY, 30 * A_DAY])
        notices.lapse_due(self.session, now=self.now)

    def answers(self) -> None:
        notice = self.notice()
        carried = select(Delivery.address).join(DeliveryNotice, col(DeliveryNotice.delivery_id) == Delivery.id)
        address = self.session.exec(carried.where(DeliveryNotice.notice_id == notice.id)).first() or ""
        token = token_for(self.session, self.desk, address)
        acts = [answers.object_to, answers.terminate, answers.consent, answers.refuse, self._says]
        machine_like = self.chance.random() < 0.2
        for act in self.chance.sample(acts, len(acts)):
            more = {"reasons": "Too far."} if act in {answers.object_to, answers.refuse} else {}
            with suppress(NotAsked):
                said = {"name": "Camille", "machine_like": machine_like, "now": self.now, **more}
                act(self.session, self.desk, token, notice.id, **said)  # type: ignore[operator] # what each takes
                return

    def _says(self, session: Session, desk: Desk, token: str, notice_id: object, **more: object) -> None:
        answers.acknowledge(session, desk, token, [notice_id], **more)  # type: ignore[list-item, arg-type] # as above

    def settles(self) -> None:
        standing = self.session.exec(select(Answer).where(col(Answer.standing).is_(True))).all()
        answer = self.chance.choice(standing)
        verb = answers.review if answer.machine_like else answers.settle
        verb(self.session, answer.id, note="settled", by="ana", now=self.now)

    def writes(self) -> None:
        notice_id, by, now = self.notice().id, "ana", self.now
        if self.chance.random() < 0.5:
            answers.record_reply(self.session, notice_id, text="We must talk.", by=by, now=now)
        else:
            answers.read_reply(self.session, notice_id, note="It was nothing.", by=by, now=now)

    def proves(self) -> None:
        mail = self.mail(DeliveryState.UNKNOWN)
        outbox.prove_arrival(self.session, self.desk, mail.id, by="ana", evidence="log", now=self.now)

    def returns(self) -> None:
        mail = self.mail(DeliveryState.ACCEPTED, DeliveryState.UNKNOWN)
        outbox.returned(self.session, self.desk, mail.id, by="ana", evidence="bounce", now=self.now)

    def repeats(self) -> None:
        mail = self.mail(DeliveryState.UNKNOWN, DeliveryState.REFUSED)
        carried = select(DeliveryNotice.notice_id).where(DeliveryNotice.delivery_id == mail.id)
        notice_id = self.session.exec(carried).first()
        assert notice_id
        address = self.chance.choice([mail.address, "other@two.example"])
        outbox.repeat(self.session, self.desk, mail.id, address=address, notice_id=notice_id, by="ana", now=self.now)

    def tells(self) -> None:
        how, day = "by hand", self.now.date()
        notices.record_receipt(
            self.session, self.desk, self.notice().id, received_on=day, how=how, by="ana", now=self.now
        )

    def excludes(self) -> None:
        going_live.exclude(self.session, self.notice().id, why="It leaves.", by="ana", now=self.now)

    def goes_live(self) -> None:
        self.now = max(self.now, self.announcement.effective_at)
        going_live.go_live(self.session, self.announcement.id, by="ana", now=self.now)

    def postpones(self) -> None:
        on = self.announcement.effective_on + 30 * A_DAY
        corrections.postpone(
            self.session, self.desk, self.announcement.id, effective_on=on, reasons=REASONS, by="ana", now=self.now
        )

    def gains_a_client(self) -> None:
        key = f"N-{self.chance.random():.6}"
        make_client(self.session, key, signed_on=self.now.date() + self.chance.choice([-1, 1]) * A_DAY)

    def changes_a_scope(self) -> None:
        client = self.chance.choice(self.session.exec(select(Client).order_by(col(Client.id))).all())
        client.services = [self.chance.choice(["storage", "backup"])]
        self.session.add(client)

    def tells_latecomers(self) -> None:
        announcements.tell_latecomers(self.session, self.desk, self.announcement.id, by="ana", now=self.now)

    def withdraws(self) -> None:
        if self.chance.random() < 0.1:
            corrections.withdraw(self.session, self.desk, self.announcement.id, reasons=REASONS, by="ana", now=self.now)

    @property
    def steps(self) -> list[Callable[[], None]]:
        often = [self.sends, self.answers, self.waits, self.answers]
        return [
            *often, self.settles, self.writes, self.proves, self.returns, self.repeats, self.tells, self.excludes,
            self.goes_live, self.postpones, self.gains_a_client, self.changes_a_scope, self.tells_latecomers,
            self.withdraws,
        ]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_what_is_counted_is_what_every_client_s_row_says(
    session: Session, desk: Desk, seed: int
) -> None:
    life = Life(session, desk, tell(session, desk), Random(seed))
    life.sends()
    done = set[str]()

    for _ in range(STEPS):
        step = life.chance.choice(life.steps)
        life.now += A_MINUTE
        with suppress(Exception), session.begin_nested():  # what is refused as things stand changes nothing
            step()
            done.add(step.__name__)
        session.expire_all()
        boards.board(session, life.announcement.id, now=life.now)  # the fixture compares

    assert len(done) >= 8, "hardly anything happened: this compares nothing"


# --- never served once something has happened ------------------------------------------------------------------------


@pytest.fixture
def told(runtime: Runtime) -> Announcement:
    """An announcement to two clients, committed."""
    with runtime.transaction() as session:
        make_provider(session)
        for number in range(2):
            make_client(session, f"C-{number}")
        return make_announcement(session, runtime.desk)


def counted(runtime: Runtime, announcement: Announcement) -> tallies.Whole:
    with runtime.reading() as session:
        return tallies.whole(session, runtime.desk, announcement, now=NOON)


def test_nothing_is_counted_again_as_long_as_nothing_has_happened(runtime: Runtime, told: Announcement) -> None:
    first = counted(runtime, told)

    assert counted(runtime, told) is first


def test_what_another_process_changes_is_counted(runtime: Runtime, told: Announcement) -> None:
    assert counted(runtime, told).tally.counts["sending"] == 2

    with Session(runtime.engine) as elsewhere, elsewhere.begin():
        send_due(elsewhere, replace(runtime.desk, counted=Memory()), now=NOON)

    assert counted(runtime, told).tally.counts["silent"] == 2


def test_what_was_counted_of_a_change_that_was_rolled_back_is_never_served(
    runtime: Runtime, told: Announcement
) -> None:
    with Session(runtime.engine) as session:
        send_due(session, runtime.desk, now=NOON)
        assert tallies.tally(session, runtime.desk, told.id).counts["silent"] == 2
        session.rollback()

    assert counted(runtime, told).tally.counts["sending"] == 2

    with runtime.transaction() as session:  # one statement that counts for nothing, as the one above did
        session.execute(sa.update(Notice).values(state=Notice.state))
    assert counted(runtime, told).tally.counts["sending"] == 2


def test_a_client_that_comes_under_contract_closes_the_gate_on_the_page_at_once(
    runtime: Runtime, told: Announcement
) -> None:
    assert Hold.NOT_TOLD not in counted(runtime, told).gate(NOON).holds

    with runtime.transaction() as session:
        make_client(session, "C-9", company="Latecomer SAS")

    found = counted(runtime, told)
    assert Hold.NOT_TOLD in found.gate(NOON).holds
    assert (found.untold.number, found.untold.companies) == (1, ["Latecomer SAS"])


def test_one_announcement_is_not_counted_again_for_another(runtime: Runtime, told: Announcement) -> None:
    first = counted(runtime, told)
    with runtime.transaction() as session:
        announcements.draft(
            session, kind=AnnouncementKind.DOCUMENT, facts=DOCUMENT, reasons=REASONS, effective_on=date(2026, 9, 1),
            by="test", now=NOON,
        )  # fmt: skip

    assert counted(runtime, told) is first


def test_folding_the_stamps_changes_none(runtime: Runtime, told: Announcement, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL alone has more than one row of one announcement."""
    monkeypatch.setattr(stamps, "MANY", 2)
    for _ in range(3):
        with runtime.transaction() as session:
            session.execute(sa.update(Notice).values(state=Notice.state))
    first = counted(runtime, told)
    before = stamp(runtime, told)

    with runtime.transaction() as session:
        stamps.fold(session)

    with runtime.reading() as session:
        rows = session.exec(select(BoardStamp).where(BoardStamp.announcement_id == told.id)).all()
    assert len(rows) == 1
    assert stamp(runtime, told) == before
    assert counted(runtime, told) is first


@pytest.mark.parametrize("table", [Announcement, Notice, Sealed, Delivery, DeliveryNotice, Answer, Item, Client, Terms])
def test_each_change_of_what_is_counted_changes_a_stamp(
    runtime: Runtime, told: Announcement, table: type[SQLModel]
) -> None:
    """One that is made within a savepoint, too; and what is rolled back to one changes none that is not changed."""
    with runtime.transaction() as session:
        (mail, *_), notice = session.exec(select(Delivery)).all(), session.exec(select(Notice)).first()
        assert notice
        answers.record_reply(session, notice.id, text="We must talk.", by="ana", now=NOON)
        token = runtime.desk.keyring.token(mail.id, "notice")
        carried = session.exec(select(DeliveryNotice.notice_id).where(DeliveryNotice.delivery_id == mail.id)).one()
        answers.acknowledge(session, runtime.desk, token, [carried], name="Camille", now=NOON)
    before = stamp(runtime, told)

    columns = {  # that matter, and an update of which may change nothing
        Announcement: "aspect", Notice: "state", Sealed: "rule", Delivery: "last_reply", DeliveryNotice: "contact_id",
        Answer: "edition", Item: "open", Client: "services", Terms: "pack",
    }  # fmt: skip
    column = table_of(table).c[columns[table]]
    value = "another try" if table is Delivery else column
    with runtime.transaction() as session, session.begin_nested():
        session.execute(sa.update(table_of(table)).values({column.name: value}))

    after = stamp(runtime, told)
    assert after != before
    with runtime.transaction() as session, session.begin_nested() as savepoint:
        session.execute(sa.update(table_of(table)).values({column.name: column}))
        savepoint.rollback()
    assert stamp(runtime, told) == after


def stamp(runtime: Runtime, announcement: Announcement) -> dict[UUID, int]:
    with runtime.reading() as session:
        return dict(stamps_of(session, [announcement.id]))
