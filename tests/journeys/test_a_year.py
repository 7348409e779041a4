"""A year of three clients on different contracts: a bounce, a corrected notice, a postponed change, a consent refused,
an emergency, and on each day each client's own list as it must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session, col, select

from notifier.adapters.sending import Mail
from notifier.models import (
    Announcement,
    AnnouncementKind,
    AnswerKind,
    Client,
    Delivery,
    Notice,
    OverrideKind,
    Sealed,
    Terms,
)
from notifier.rules.gate import Hold
from notifier.rules.notice_states import NoticeState
from notifier.services import (
    announcements,
    answers,
    boards,
    corrections,
    going_live,
    notices,
    outbox,
    overrides,
    own_lists,
    previews,
    registry,
)
from notifier.services.desk import Desk
from tests.factories import REASONS, make_client, make_entry, make_provider
from tests.services.conftest import desk
from tests.services.stories import kinds_of_items, send_due, the_draft, token_for

__all__ = ["desk"]  # a fixture

PARIS = ZoneInfo("Europe/Paris")
ANA, BOB = "user:ana", "user:bob"


def at(month: int, day: int, hour: int = 10) -> datetime:
    """That hour of a day of 2026 in Paris."""
    return datetime(2026, month, day, hour, tzinfo=PARIS).astimezone(UTC)


@dataclass
class Year:
    session: Session
    desk: Desk
    alpha: Client
    beta: Client
    gamma: Client

    def notice(self, announcement: Announcement, client: Client) -> Notice:
        query = select(Notice).where(Notice.announcement_id == announcement.id, Notice.client_id == client.id)
        return self.session.exec(query.execution_options(populate_existing=True)).one()

    def rule_period(self, notice: Notice) -> str:
        return str(self.session.get_one(Sealed, notice.sealed_id).counted.period)

    def gate(self, announcement: Announcement, client: Client, now: datetime) -> tuple[Hold, ...]:
        return boards.row(self.session, self.notice(announcement, client).id, now=now).gate.holds

    def send(self, now: datetime) -> Sequence[Mail]:
        return send_due(self.session, self.desk, now=now)

    def told(self, address: str) -> list[Delivery]:
        self.session.expire_all()
        query = select(Delivery).where(Delivery.address == address, Delivery.letter == "notice")
        return list(self.session.exec(query.order_by(col(Delivery.id))))

    def answer(self, client: Client, announcement: Announcement, kind: AnswerKind, now: datetime) -> None:
        address = f"dpo@{client.key}.example"
        token, notice_id = token_for(self.session, self.desk, address), self.notice(announcement, client).id
        session, desk, name = self.session, self.desk, "Camille Roy"
        {
            AnswerKind.ACKNOWLEDGEMENT: lambda: answers.acknowledge(
                session, desk, token, [notice_id], name=name, now=now
            ),
            AnswerKind.OBJECTION: lambda: answers.object_to(
                session, desk, token, notice_id, name=name, reasons="We know nothing of them.", now=now
            ),
            AnswerKind.CONSENT: lambda: answers.consent(session, desk, token, notice_id, name=name, now=now),
            AnswerKind.REFUSAL: lambda: answers.refuse(session, desk, token, notice_id, name=name, now=now),
        }[kind]()

    def withdraw_objection(self, client: Client, announcement: Announcement, now: datetime) -> None:
        token = token_for(self.session, self.desk, f"dpo@{client.key}.example")
        notice_id = self.notice(announcement, client).id
        answers.withdraw(self.session, self.desk, token, notice_id, name="Camille Roy", now=now)

    def names(self, client: Client, on: date) -> dict[str, bool]:
        """Each subprocessor of a client's own list on a day, and whether it began before the client's right had run."""
        found = own_lists.own_list(self.session, client.id, on=on)
        return {one.entry.name: one.began_early for one in found.entries}


@pytest.fixture
def year(session: Session, desk: Desk) -> Year:
    make_provider(session)
    registry.replace_draft(session, [make_entry("Equinix"), make_entry("Fibrexemple")], by=ANA, now=at(1, 5))
    registry.establish(session, by=ANA, now=at(1, 5))
    made = [
        make_client(session, key, company=key.title(), pack=pack, reseller=reseller, contacts=[{"language": language}])
        for key, pack, reseller, language in (
            ("alpha", "outscale-hds-2022", False, "fr"),
            ("beta", "selligent-health-2020", False, "en"),
            ("gamma", "google-style-30-90", True, "en"),
        )
    ]
    return Year(session, desk, *made)


def spring(year: Year) -> Announcement:
    """A replacement that bounces at one client, is corrected, postponed, and made for one client later than for the
    others.
    """
    session, desk = year.session, year.desk
    new = make_entry("Optexemple", replaces="fibrexemple")
    registry.add_entry(session, new, by=ANA, now=at(3, 2))
    change = announcements.publish(
        session, desk, effective_on=date(2026, 5, 4), reasons=REASONS, per_client=True, by=ANA, now=at(3, 2)
    )
    year.send(at(3, 2))
    first_told = year.notice(change, year.alpha).object_by
    assert first_told == date(2026, 4, 3)
    assert year.notice(change, year.gamma).object_by > date(2026, 5, 30)  # 90 days to leave, though it waits for 30

    # The mail to Beta comes back two days later: what was deemed received never was.
    (mail,) = year.told("dpo@beta.example")
    assert year.notice(change, year.beta).state is NoticeState.RUNNING
    assert outbox.returned(session, desk, mail.id, by="bounce", evidence="550 5.1.1 unknown user", now=at(3, 4))
    assert year.notice(change, year.beta).state is NoticeState.UNREACHED
    assert "refused_delivery" in kinds_of_items(session, change)
    notice_id = year.notice(change, year.beta).id
    outbox.repeat(session, desk, mail.id, address="legal@beta.example", notice_id=notice_id, by=ANA, now=at(3, 9))
    year.send(at(3, 9))
    assert year.notice(change, year.beta).received_on == date(2026, 3, 9)

    year.answer(year.alpha, change, AnswerKind.ACKNOWLEDGEMENT, at(3, 5))
    year.answer(year.gamma, change, AnswerKind.OBJECTION, at(3, 6))

    # The country was wrong: a correction in substance begins every clock again.
    registry.amend_entry(session, "optexemple", {"country": "BE"}, by=ANA, now=at(3, 16))
    corrections.correct(
        session, desk, change.id, take_draft=the_draft(session), why="The site is in Belgium.", by=ANA, now=at(3, 16)
    )
    year.send(at(3, 16))
    alpha = year.notice(change, year.alpha)
    assert (change.edition, alpha.edition, alpha.received_on) == (2, 2, date(2026, 3, 16))
    assert alpha.object_by > first_told
    row = boards.row(session, alpha.id, now=at(3, 17))
    assert [answer.standing for answer in row.answers] == [None]  # what was acknowledged was another text
    assert Hold.OBJECTION in year.gate(change, year.gamma, at(3, 17))  # and an objection stands

    # The site is not ready: the change comes two weeks later, and nobody's clock moves.
    before = year.notice(change, year.alpha).object_by
    corrections.postpone(
        session, desk, change.id, effective_on=date(2026, 5, 18), reasons=REASONS, by=ANA, now=at(4, 27)
    )
    year.send(at(4, 27))
    notices.lapse_due(session, now=at(4, 28))
    assert year.notice(change, year.alpha).object_by == before
    with pytest.raises(going_live.GateClosed):
        going_live.go_live(session, change.id, by=ANA, now=at(5, 4))

    going_live.go_live(session, change.id, by=ANA, now=at(5, 18), proof="change 4711")
    assert year.gate(change, year.gamma, at(5, 18)) == (Hold.OBJECTION,)
    year.withdraw_objection(year.gamma, change, at(5, 20))
    going_live.go_live(session, change.id, by=ANA, now=at(6, 1))
    assert change.state == "live"
    return change


def summer(year: Year) -> None:
    """A place of hosting abroad: one client is asked for its consent and refuses, another is only told."""
    session, desk = year.session, year.desk
    session.add(
        Terms(
            client_id=year.alpha.id,
            pack="outscale-hds-2022",
            overrides={"subprocessor": {"period": "45 days"}},
            signed_on=date(2026, 6, 15),
            recorded_at=at(6, 15),
        )
    )
    facts = {
        "place": "Frankfurt",
        "country": "DE",
        "what_en": "A second site for backups.",
        "what_fr": "Un second site.",
    }
    written = announcements.draft(
        session,
        kind=AnnouncementKind.LOCATION,
        aspect="storage",
        facts=facts,
        reasons=REASONS,
        effective_on=date(2026, 9, 1),
        per_client=True,
        by=ANA,
        now=at(7, 1),
    )
    move = announcements.publish_draft(session, desk, written.id, by=ANA, now=at(7, 1))
    year.send(at(7, 1))
    assert year.gate(move, year.alpha, at(8, 20)) == (Hold.CONSENT,)  # silence is no
    assert year.gate(move, year.beta, at(7, 1)) == ()  # Germany is among the countries of its contract
    year.answer(year.alpha, move, AnswerKind.REFUSAL, at(8, 25))
    assert year.gate(move, year.alpha, at(9, 1)) == (Hold.REFUSAL,)
    notices.lapse_due(session, now=at(8, 28))
    going_live.exclude(session, year.notice(move, year.alpha).id, why="It does not agree.", by=ANA, now=at(8, 28))
    going_live.go_live(session, move.id, by=ANA, now=at(9, 1))
    clients = (year.alpha, year.beta, year.gamma)
    made_for = {client.key: year.notice(move, client).live_at is not None for client in clients}
    assert made_for == {"alpha": False, "beta": True, "gamma": True}
    assert move.state == "live"


def autumn(year: Year) -> None:
    """A provider fails: one client consents to an early start; for the others two persons record a breach."""
    session, desk = year.session, year.desk
    registry.add_entry(session, make_entry("Secourexemple", replaces="optexemple"), by=ANA, now=at(9, 14))
    emergency = announcements.publish(
        session,
        desk,
        kind=AnnouncementKind.EMERGENCY,
        facts={"measures_en": "Everything is encrypted.", "measures_fr": "Tout est chiffré."},
        effective_on=date(2026, 9, 15),
        reasons=REASONS,
        per_client=True,
        by=ANA,
        now=at(9, 14),
    )
    year.send(at(9, 14))
    assert year.rule_period(year.notice(emergency, year.alpha)) == "45 days"  # of the contract signed in June
    year.answer(year.alpha, emergency, AnswerKind.CONSENT, at(9, 14, 15))
    going_live.go_live(session, emergency.id, by=ANA, now=at(9, 15))
    assert year.gate(emergency, year.beta, at(9, 15)) == (Hold.PERIOD,)

    why = {"en": "The old provider is bankrupt.", "fr": "L’ancien prestataire est en faillite."}
    measures = {"en": "Everything is encrypted.", "fr": "Tout est chiffré."}
    asked = overrides.ask(
        session,
        emergency.id,
        OverrideKind.BREACH,
        reasons=why,
        measures=measures,
        started_at=at(9, 16, 6),
        by=ANA,
        now=at(9, 16),
    )
    with pytest.raises(overrides.SamePerson):
        going_live.breach(session, desk, asked.id, by=ANA, now=at(9, 16))
    going_live.breach(session, desk, asked.id, by=BOB, now=at(9, 17))
    year.send(at(9, 17))
    assert emergency.state == "live"
    session.flush()
    letters = session.exec(select(Delivery.address).where(Delivery.letter == "breach")).all()
    assert sorted(letters) == ["dpo@beta.example", "dpo@gamma.example"]


def winter(year: Year) -> None:
    """A further subprocessor: each client has the period of the contract that it is under now."""
    session, desk = year.session, year.desk
    registry.add_entry(session, make_entry("Archivexemple"), by=ANA, now=at(11, 2))
    seen = previews.preview(session, desk, now=at(11, 2))
    assert seen.earliest_effective_on == date(
        2026, 12, 22
    )  # Alpha's 45 days end on a Saturday, and are carried to Monday
    with pytest.raises(announcements.EffectiveTooEarly) as early, session.begin_nested():
        announcements.publish(session, desk, effective_on=date(2026, 12, 21), reasons=REASONS, by=ANA, now=at(11, 2))
    assert [one.client.key for one in early.value.late] == ["alpha"]
    change = announcements.publish(
        session, desk, effective_on=date(2026, 12, 28), reasons=REASONS, by=ANA, now=at(11, 2)
    )
    year.send(at(11, 2))
    notices.lapse_due(session, now=at(12, 28))
    assert year.gate(change, year.gamma, at(12, 28)) == ()  # it may still leave, and the change does not wait for that
    going_live.go_live(session, change.id, by=ANA, now=at(12, 28))
    terms = {year.notice(change, year.alpha).terms_id, year.notice(first_of(session), year.alpha).terms_id}
    assert len(terms) == 2  # one client, two contract versions in a year


def first_of(session: Session) -> Announcement:
    return announcements.by_reference(session, "SP-2026-0002")


# What each client's list holds beside Equinix: name, first day, last day, and whether it began before its time.
FOREVER = date(2100, 1, 1)
HELD = {
    "alpha": [
        ("Fibrexemple", date(2026, 1, 5), date(2026, 5, 17), False),
        ("Optexemple", date(2026, 5, 18), date(2026, 9, 14), False),
        ("Secourexemple", date(2026, 9, 15), FOREVER, False),
        ("Archivexemple", date(2026, 12, 28), FOREVER, False),
    ],
    "beta": [
        ("Fibrexemple", date(2026, 1, 5), date(2026, 5, 17), False),
        ("Optexemple", date(2026, 5, 18), date(2026, 9, 15), False),
        ("Secourexemple", date(2026, 9, 16), FOREVER, True),
        ("Archivexemple", date(2026, 12, 28), FOREVER, False),
    ],
    "gamma": [
        ("Fibrexemple", date(2026, 1, 5), date(2026, 5, 31), False),
        ("Optexemple", date(2026, 6, 1), date(2026, 9, 15), False),
        ("Secourexemple", date(2026, 9, 16), FOREVER, True),
        ("Archivexemple", date(2026, 12, 28), FOREVER, False),
    ],
}


@pytest.mark.obligation("O4.2", "O5.1", "O5.4", "S7a", "S7b")
def test_a_year_of_three_clients_and_each_ones_own_list_on_each_day(year: Year) -> None:
    spring(year)
    summer(year)
    autumn(year)
    winter(year)

    edges = {day + timedelta(days=n) for rows in HELD.values() for row in rows for day in row[1:3] for n in (-1, 0, 1)}
    weekly = {date(2026, 1, 1) + timedelta(days=7 * n) for n in range(53)}
    for client in (year.alpha, year.beta, year.gamma):
        for day in sorted(day for day in edges | weekly if day < FOREVER - timedelta(days=2)):
            held = {name: early for name, first, last, early in HELD[client.key] if first <= day <= last}
            always = {"Equinix": False} if day >= date(2026, 1, 5) else {}
            assert year.names(client, day) == always | held, (client.key, day)
