"""Publishing to many: by sets, with nobody divided from who shares an address, nobody twice and nobody left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import (
    Announcement,
    Client,
    Contact,
    DeliveryNotice,
    EventKind,
    Item,
    Link,
    Notice,
    PaperLetter,
)
from notifier.rules.kinds import AnnouncementKind
from notifier.rules.links import digest
from notifier.rules.periods import Period
from notifier.rules.terms import Channel
from notifier.services import announcements, rows, telling
from notifier.services.affected import Told
from notifier.services.desk import Desk
from tests.factories import NOON, REASONS, make_announcement, make_client, make_contact, make_provider
from tests.services.stories import carried, deliveries, happened, kinds_of_items, notice_of, statements, with_pack

EFFECTIVE = date(2026, 12, 1)


@pytest.fixture
def by_twos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a set be two, so that a few clients make many of them."""
    monkeypatch.setattr(telling, "TOGETHER", 2)
    monkeypatch.setattr(rows, "TOGETHER", 2)


def publish(session: Session, desk: Desk) -> Announcement:
    """Tell of another place where the support sits."""
    facts = {
        "after": "Assistexemple",
        "country": "FR",
        "what_en": "The support moves.",
        "what_fr": "Le support déménage.",
    }
    draft = announcements.draft(
        session,
        kind=AnnouncementKind.SUPPORT,
        facts=facts,
        reasons=REASONS,
        effective_on=EFFECTIVE,
        by="test",
        now=NOON,
    )
    return announcements.publish_draft(session, desk, draft.id, by="test", now=NOON)


def every(session: Session, table: type[Any]) -> list[Any]:
    return list(session.exec(select(table)))


@pytest.mark.usefixtures("by_twos")
def test_those_at_one_address_share_one_mail_however_far_apart_they_are(session: Session, desk: Desk) -> None:
    make_provider(session)
    shared = [{"email": "DPO@group.example"}, {"email": "dpo@group.example", "role": "contractual", "language": "fr"}]
    for n in range(9):
        named = {"email": f"dpo@c{n}.example"} if n % 4 else shared[n % 8 // 4]
        make_client(session, f"C-{n}", contacts=[named])

    make_announcement(session, desk, effective_on=EFFECTIVE)

    told = {(one.address, one.language): carried(session, one) for one in deliveries(session)}
    assert told[("DPO@group.example", "en")] == {"Company C-0", "Company C-8"}
    assert told[("dpo@group.example", "fr")] == {"Company C-4"}
    assert len(told) == 8
    assert Counter(len(companies) for companies in told.values()) == {1: 7, 2: 1}


@pytest.mark.usefixtures("by_twos")
def test_an_address_that_a_client_names_twice_is_written_to_once(session: Session, desk: Desk) -> None:
    make_provider(session)
    client = make_client(session, contacts=[{"name": "First", "email": "a@client.example"}])
    make_contact(session, client, name="Second", email="A@client.example", language="fr")
    make_contact(session, client, name="Nobody told", email="b@client.example", role="incident")

    make_announcement(session, desk, effective_on=EFFECTIVE)

    (only,) = deliveries(session)
    assert (only.address, only.facts["to_name"], only.language) == ("a@client.example", "First", "en")


@pytest.mark.usefixtures("by_twos")
def test_each_client_has_its_own_notice_deadline_event_and_link(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, "long", period=Period.parse("90 days"))
    make_provider(session)
    for n in range(7):
        make_client(session, f"C-{n}", pack="long" if n % 2 else "outscale-hds-2022")
    make_client(session, "C-8", contacts=[])

    announcement = make_announcement(session, desk, effective_on=EFFECTIVE)

    told = every(session, Notice)
    assert Counter(one.object_by for one in told) == {date(2026, 4, 3): 5, date(2026, 6, 2): 3}
    assert Counter(one.state.value for one in told) == {"raised": 7, "unreached": 1}
    raised = happened(session, EventKind.NOTICE_RAISED)
    assert [event.data["client"] for event in raised] == [f"C-{n}" for n in range(7)]
    assert {event.about_id for event in raised} < {one.id for one in told}
    assert {event.announcement_id for event in raised} == {announcement.id}
    links = {one.delivery_id: one.token_digest for one in every(session, Link)}
    assert links == {one.id: digest(desk.keyring.token(one.id, "notice")) for one in deliveries(session)}
    assert {one.edition for one in every(session, DeliveryNotice)} == {1}
    assert kinds_of_items(session, announcement) == ["unreachable_client"]


@pytest.mark.usefixtures("by_twos")
def test_letters_are_raised_for_whom_the_contract_tells_so_and_for_their_attention(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    street = {"address": "1 rue Haute", "town": "Paris", "email_accepted": False}
    for n in range(3):
        make_client(session, f"C-{n}", contacts=[{"language": "fr"}], **street)
    alone = make_client(session, "C-3", contacts=[], **street)
    make_client(session, "C-4", contacts=[{}], email_accepted=False)  # no street: a copy, and a person's business
    make_client(session, "C-5")

    announcement = make_announcement(session, desk, effective_on=EFFECTIVE)

    raised = {one.notice_id: one for one in every(session, PaperLetter)}
    names = {one.key: raised.get(notice_of(session, one).id) for one in every(session, Client)}
    assert {key for key, letter in names.items() if letter} == {"C-0", "C-1", "C-2", "C-3"}
    assert {letter.language for key, letter in names.items() if letter and key != "C-3"} == {"fr"}
    assert raised[notice_of(session, alone).id].contact_id is None
    assert {one.channel for one in raised.values()} == {Channel.PAPER}
    courtesies = [one.courtesy for one in every(session, DeliveryNotice)]
    assert sorted(courtesies) == [False, True, True, True, True]
    assert kinds_of_items(session, announcement) == ["paper_to_print", "unreachable_client"]


def test_publishing_to_sixty_says_no_more_to_the_database_than_publishing_to_six(session: Session, desk: Desk) -> None:
    make_provider(session)
    numbers = []
    for first, last in ((0, 6), (6, 60)):
        for n in range(first, last):
            make_client(session, f"C-{n:02}", contacts=[{"language": "fr" if n % 2 else "en"}])
        with statements(session) as said:
            assert publish(session, desk).edition == 1
        numbers.append(len(said))

    assert len(deliveries(session)) == 66
    assert numbers[0] == numbers[1]


def test_who_loses_its_contacts_while_notices_are_raised_is_put_before_a_person(
    session: Session, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_provider(session)
    gone, there = make_client(session, "C-1"), make_client(session, "C-2")
    read = telling._by_address  # noqa: SLF001 - the moment between the notices and the mails

    def later(session: Session, announcement: Announcement, told: Mapping[UUID, Told]) -> Iterator[Any]:
        leaving = sa.update(Contact).where(col(Contact.client_id) == gone.id).values(left_at=NOON)
        session.execute(leaving)
        yield from read(session, announcement, told)

    monkeypatch.setattr(telling, "_by_address", later)
    announcement = make_announcement(session, desk, effective_on=EFFECTIVE)

    session.expire_all()
    assert (notice_of(session, gone).state, notice_of(session, there).state) == ("unreached", "raised")
    assert [one.about_id for one in every(session, Item)] == [notice_of(session, gone).id]
    assert [one.about_id for one in happened(session, EventKind.NOTICE_UNREACHED)] == [notice_of(session, gone).id]
    assert kinds_of_items(session, announcement) == ["unreachable_client"]
