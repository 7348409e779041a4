"""Sending a notice again: whom it tells, until when, and when it may not be."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import Session, select

from notifier.adapters.sending import Verdict
from notifier.models import Announcement, Client, Delivery, EventKind
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Hold
from notifier.services import answers, boards, items, notices, outbox
from notifier.services.desk import Desk
from notifier.services.outbox import NoSuchDelivery, NotRepeatable
from tests.factories import NOON, make_announcement, make_client, make_provider
from tests.services.stories import carried, deliveries, happened, kinds_of_items, notice_of, send_due, token_for

SHARED, ELSEWHERE = "legal@group.example", "new@acme.example"
AFTER_THE_PERIOD = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


def make_group(session: Session, desk: Desk) -> tuple[Client, Client, Announcement]:
    """Two companies behind one address, and an announcement that waits in the outbox."""
    make_provider(session)
    acme, globex = (make_client(session, key, company=key, contacts=[{"email": SHARED}]) for key in ("Acme", "Globex"))
    return acme, globex, make_announcement(session, desk)


def send_to_nobody(session: Session, desk: Desk, verdict: Verdict = Verdict.REFUSED) -> Delivery:
    """The one mail that there is comes to nothing."""
    (mail,) = deliveries(session)
    send_due(session, desk, now=NOON, verdicts={mail.address: verdict})
    return mail


def repeat(session: Session, desk: Desk, mail: Delivery, of: Client, *, address: str, now: datetime = NOON) -> Delivery:
    notice_id = notice_of(session, of).id
    return outbox.repeat(session, desk, mail.id, address=address, notice_id=notice_id, by="user:1", now=now)


def companies_behind(session: Session, desk: Desk, address: str) -> list[str]:
    opened = answers.open_link(session, token_for(session, desk, address), now=NOON)
    return [told.client.company for told in opened.told]


# --- whom it tells ---------------------------------------------------------------------------------------------------


def test_a_repeat_to_another_address_tells_only_the_client_it_is_for(session: Session, desk: Desk) -> None:
    acme, globex, _ = make_group(session, desk)
    refused = send_to_nobody(session, desk)

    again = repeat(session, desk, refused, acme, address=ELSEWHERE)
    (mail,) = send_due(session, desk, now=NOON)

    assert carried(session, again) == {"Acme"}
    assert companies_behind(session, desk, ELSEWHERE) == ["Acme"]
    assert b"Globex" not in mail.content
    assert notice_of(session, acme).state == "running"
    assert notice_of(session, globex).state == "unreached"


def test_a_repeat_to_the_same_address_tells_everybody_whom_the_first_mail_told(session: Session, desk: Desk) -> None:
    acme, _, _ = make_group(session, desk)
    refused = send_to_nobody(session, desk)

    again = repeat(session, desk, refused, acme, address=SHARED.upper())

    assert carried(session, again) == {"Acme", "Globex"}
    assert companies_behind(session, desk, SHARED.upper()) == ["Acme", "Globex"]


def test_two_clients_whose_mails_are_repeated_to_one_address_are_both_told(session: Session, desk: Desk) -> None:
    acme, globex, _ = make_group(session, desk)
    refused = send_to_nobody(session, desk)

    first, second = (repeat(session, desk, refused, client, address=ELSEWHERE) for client in (acme, globex))
    send_due(session, desk, now=NOON)

    assert (carried(session, first), carried(session, second)) == ({"Acme"}, {"Globex"})
    assert {notice_of(session, client).state for client in (acme, globex)} == {"running"}


def test_a_mail_for_two_waits_for_a_person_until_both_have_been_told(session: Session, desk: Desk) -> None:
    acme, globex, _ = make_group(session, desk)
    refused = send_to_nobody(session, desk)

    repeat(session, desk, refused, acme, address=ELSEWHERE)
    send_due(session, desk, now=NOON)
    assert refused.id in {item.about_id for item in items.open_items(session)}

    told_on, how = NOON.date(), "registered letter"
    globex_notice = notice_of(session, globex).id
    notices.record_receipt(session, desk, globex_notice, received_on=told_on, how=how, by="user:1", now=NOON)

    assert refused.id not in {item.about_id for item in items.open_items(session)}


def test_a_mail_that_may_not_have_arrived_holds_no_client_that_a_person_has_told(session: Session, desk: Desk) -> None:
    acme, globex, _ = make_group(session, desk)
    send_to_nobody(session, desk, Verdict.UNKNOWN)
    told = notice_of(session, acme).id

    notices.record_receipt(session, desk, told, received_on=NOON.date(), how="by hand", by="user:1", now=NOON)

    assert Hold.UNKNOWN not in boards.row(session, told, now=NOON).gate.holds
    assert Hold.UNKNOWN in boards.row(session, notice_of(session, globex).id, now=NOON).gate.holds


def test_a_repeat_never_tells_of_a_notice_that_the_first_mail_did_not_carry(session: Session, desk: Desk) -> None:
    make_provider(session)
    acme, globex = (make_client(session, key) for key in ("C-1", "C-2"))
    make_announcement(session, desk)
    send_due(session, desk, now=NOON, verdicts={"dpo@c-1.example": Verdict.REFUSED})
    refused = deliveries(session)[0]
    assert carried(session, refused) == {acme.company}

    with pytest.raises(NoSuchDelivery):
        repeat(session, desk, refused, globex, address=ELSEWHERE)


# --- until when, and how often ---------------------------------------------------------------------------------------


def test_a_repeat_says_the_last_day_of_now_and_never_one_that_has_passed(session: Session, desk: Desk) -> None:
    acme, _, _ = make_group(session, desk)
    refused = send_to_nobody(session, desk)
    told = notice_of(session, acme).object_by

    again = repeat(session, desk, refused, acme, address=ELSEWHERE, now=AFTER_THE_PERIOD)

    notice = notice_of(session, acme)
    assert (told, notice.object_by) == (date(2026, 4, 3), date(2026, 6, 5))  # 4 May, two days of margin, 30 days
    (entity,) = again.facts["entities"]
    assert "5 June 2026" in entity["last_day"]
    (postponed,) = happened(session, EventKind.NOTICE_POSTPONED)
    assert (postponed.by, postponed.data) == ("user:1", {"told": "2026-04-03", "object_by": "2026-06-05"})
    token, late = token_for(session, desk, ELSEWHERE), notice.object_until + timedelta(days=29)
    assert answers.open_link(session, token, now=late).one(notice.id).notice == notice

    send_due(session, desk, now=AFTER_THE_PERIOD)
    assert notice.object_by == date(2026, 6, 5)


def test_only_a_mail_that_was_refused_or_may_not_have_arrived_is_repeated(session: Session, desk: Desk) -> None:
    acme, _, _ = make_group(session, desk)
    (mail,) = deliveries(session)

    with pytest.raises(NotRepeatable, match="a mail that is waiting is not sent again"):
        repeat(session, desk, mail, acme, address=SHARED)
    send_due(session, desk, now=NOON)
    with pytest.raises(NotRepeatable, match="a mail that is accepted is not sent again"):
        repeat(session, desk, mail, acme, address=ELSEWHERE)

    assert deliveries(session) == [mail]


@pytest.mark.parametrize("address", [SHARED, ELSEWHERE])
def test_pressing_twice_sends_one_repeat(session: Session, desk: Desk, address: str) -> None:
    acme, _, _ = make_group(session, desk)
    refused = send_to_nobody(session, desk)

    first, second = (repeat(session, desk, refused, acme, address=address) for _ in range(2))

    assert first == second
    assert len(send_due(session, desk, now=NOON)) == 1
    assert len(happened(session, EventKind.DELIVERY_REPEATED)) == 1


# --- the gate --------------------------------------------------------------------------------------------------------


def test_an_unknown_mail_whose_repeat_was_accepted_holds_the_gate_no_longer(session: Session, desk: Desk) -> None:
    acme, _, announcement = make_group(session, desk)
    unknown = send_to_nobody(session, desk, Verdict.UNKNOWN)
    assert Hold.UNKNOWN in boards.board(session, announcement.id, now=NOON).gate.holds

    repeat(session, desk, unknown, acme, address=SHARED)
    send_due(session, desk, now=NOON)

    board = boards.board(session, announcement.id, now=NOON)
    assert (board.gate.holds, board.counts["unknown"], board.counts["silent"]) == ((Hold.PERIOD,), 0, 2)
    assert kinds_of_items(session) == []
    states = session.exec(select(Delivery.state).order_by(Delivery.purpose)).all()
    assert list(states) == [DeliveryState.UNKNOWN, DeliveryState.ACCEPTED]  # what happened is not rewritten


def test_an_unknown_mail_to_one_contact_holds_the_gate_although_another_was_reached(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    make_client(session, contacts=[{"email": "first@acme.example"}, {"email": "second@acme.example"}])
    announcement = make_announcement(session, desk)

    send_due(session, desk, now=NOON, verdicts={"second@acme.example": Verdict.UNKNOWN})

    assert Hold.UNKNOWN in boards.board(session, announcement.id, now=NOON).gate.holds
