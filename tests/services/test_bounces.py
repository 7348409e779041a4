"""Mails that come back: whom they are about, what follows, and what may not."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_string
from email.policy import default
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import Session, col, select

from notifier.adapters.letters import UnknownLetter
from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.models import Announcement, BounceDoor, BounceMail, Client, Delivery, EventKind, Item, ItemKind, Notice
from notifier.rules.bounces import BounceKind, Report, Returned
from notifier.rules.delivery_states import DeliveryState
from notifier.rules.gate import Hold
from notifier.rules.links import Keyring
from notifier.rules.notice_states import NoticeState
from notifier.rules.terms import Addressees, ReceiptPolicy
from notifier.runtime import Runtime
from notifier.services import answers, boards, bounces, items, letters, notices, outbox
from notifier.services.desk import Desk
from tests.factories import NOON, make_announcement, make_client, make_contact, make_provider
from tests.services.stories import (
    breach,
    carried,
    deliveries,
    happened,
    kinds_of_items,
    notice_of,
    send_due,
    token_for,
    with_pack,
)

LATER = NOON + timedelta(hours=3)
NEXT_DAY = NOON + timedelta(days=1)
LONG_AFTER = NOON + timedelta(days=60)
ADDRESS, SECOND = "dpo@c-001.example", "legal@c-001.example"
WORDS = "550 5.1.1 user unknown"


def report(kind: BounceKind = BounceKind.FAILED, **fields: Any) -> Report:  # noqa: ANN401 - fields of any type
    failed = (Returned(address=ADDRESS, status="5.1.1", hard=True),) if kind is BounceKind.FAILED else ()
    return Report(**{"kind": kind, "recipients": failed, "words": WORDS, **fields})


def tag_of(desk: Desk, mail: Delivery, attempt: int = 1) -> str:
    return desk.keyring.envelope_tag(mail.id, attempt)


def take_in(
    session: Session,
    desk: Desk,
    mail: Delivery,
    kind: BounceKind = BounceKind.FAILED,
    *,
    content: bytes = b"",
    now: datetime = LATER,
    **fields: Any,  # noqa: ANN401 - fields of any type
) -> BounceMail:
    """Take in a mail that came back to the tag of the first attempt; each is another one unless `content` says."""
    said = report(kind, **{"tokens": (tag_of(desk, mail),), **fields})
    kept = bounces.take_in(session, desk, content or uuid4().bytes, said, how=BounceDoor.FILE, now=now)
    assert kept is not None
    session.flush()
    return kept


def announced(session: Session, desk: Desk, *contacts: dict[str, str]) -> tuple[Client, Announcement]:
    make_provider(session)
    client = make_client(session, contacts=contacts or None, company="Clinic")
    return client, make_announcement(session, desk)


def told(session: Session, desk: Desk) -> tuple[Client, Delivery]:
    """One client whose one mail the relay has taken, so that its clock runs."""
    client, _ = announced(session, desk)
    send_due(session, desk, now=NOON)
    assert notice_of(session, client).state is NoticeState.RUNNING
    (mail,) = deliveries(session)
    return client, mail


def to_staff(session: Session) -> list[Delivery]:
    return deliveries(session, letters.BOUNCED)


def snapshot(session: Session) -> list[object]:
    """All that a mail that came back may change."""
    session.flush()
    session.expire_all()
    states = [(one.id, one.state, one.purpose) for one in session.exec(select(Delivery).order_by(col(Delivery.id)))]
    open_items = sorted((item.kind.value, str(item.about_id)) for item in items.open_items(session))
    return [*states, *open_items, *[notice.state for notice in session.exec(select(Notice))]]


# --- any failed bounce -----------------------------------------------------------------------------------------------


def test_a_failed_bounce_stops_the_clock_and_asks_a_person(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)

    kept = take_in(session, desk, mail)

    notice = notice_of(session, client)
    assert (mail.state, mail.last_reply) == (DeliveryState.REFUSED, f"returned: 5.1.1 {WORDS}")
    assert (notice.state, notice.received_on) == (NoticeState.UNREACHED, None)
    assert kinds_of_items(session) == ["refused_delivery"]
    assert (kept.delivery_id, kept.attempt, kept.matched_by, kept.applied_at) == (mail.id, 1, "tag", LATER)


@pytest.mark.parametrize("status", ["5.1.1", "5.2.2", "4.4.7", ""])
def test_a_mail_that_failed_for_now_only_has_told_nobody_either(session: Session, desk: Desk, status: str) -> None:
    client, mail = told(session, desk)

    take_in(session, desk, mail, recipients=(Returned(address=ADDRESS, status=status, hard=False),))

    assert notice_of(session, client).state is NoticeState.UNREACHED


def test_the_account_manager_is_told_which_mail_came_back_and_why(session: Session, desk: Desk) -> None:
    _, mail = told(session, desk)

    take_in(session, desk, mail)
    sent = {one.recipient: one.content.decode() for one in send_due(session, desk, now=LATER)}

    assert list(sent) == ["ana@hosting.example"]
    (letter,) = to_staff(session)
    assert letter.facts["why"] == WORDS
    assert letter.facts["then"].startswith("Nobody else is written to under this contract.")
    read = message_from_string(sent["ana@hosting.example"], policy=default)
    assert read["Subject"].startswith("Mail returned: Clinic (SP-2026-")
    text = read.get_body(("plain",))
    assert text
    assert ADDRESS in text.get_content()


def test_the_account_manager_is_told_of_one_notice_once_a_day(session: Session, desk: Desk) -> None:
    client, _ = announced(session, desk, {"email": ADDRESS}, {"email": SECOND})
    send_due(session, desk, now=NOON)
    first, second = deliveries(session)

    take_in(session, desk, first)
    take_in(session, desk, second)
    assert len(to_staff(session)) == 1

    make_contact(session, client, email="third@c-001.example")
    outbox.repeat(session, desk, first.id, address=ADDRESS, notice_id=notice_of(session, client).id, by="u", now=LATER)
    send_due(session, desk, now=LATER)
    again = next(one for one in deliveries(session) if one.purpose.startswith("notice.repeat"))
    take_in(session, desk, again, now=NEXT_DAY)
    assert len(to_staff(session)) == 2


def test_the_next_contact_in_the_roles_of_the_contract_is_tried(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)
    make_contact(session, client, email="bills@c-001.example", role="billing")
    make_contact(session, client, email="new.dpo@c-001.example", role="dpo", name="Noé Roy")
    make_contact(session, client, email=SECOND, role="contractual", name="Line Roy")

    take_in(session, desk, mail)
    sent = {one.recipient: one.content.decode() for one in send_due(session, desk, now=LATER)}

    assert set(sent) == {SECOND, "ana@hosting.example"}
    assert message_from_string(sent[SECOND], policy=default)["To"] == "Line Roy <legal@c-001.example>"
    again = next(one for one in deliveries(session) if one.address == SECOND)
    assert (again.purpose, carried(session, again)) == ("notice.repeat.1", {"Clinic"})
    assert notice_of(session, client).state is NoticeState.RUNNING
    assert SECOND in to_staff(session)[0].facts["then"]
    assert kinds_of_items(session) == []


def test_when_the_next_contact_fails_too_the_one_after_is_tried_and_then_a_person(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)
    for name, role in (("third", "dpo"), ("second", "contractual")):
        make_contact(session, client, email=f"{name}@c-001.example", role=role)

    for expected in ("second@c-001.example", "third@c-001.example"):
        take_in(session, desk, mail)
        mail = next(one for one in deliveries(session) if one.state is DeliveryState.WAITING)
        assert mail.address == expected
        send_due(session, desk, now=LATER)
    take_in(session, desk, mail)

    assert notice_of(session, client).state is NoticeState.UNREACHED
    assert kinds_of_items(session) == ["refused_delivery"]
    assert not any(one.state is DeliveryState.WAITING for one in deliveries(session))


def test_a_mail_for_two_companies_is_repeated_to_a_contact_of_each(session: Session, desk: Desk) -> None:
    make_provider(session)
    shared = "legal@group.example"
    acme, globex = (make_client(session, key, company=key, contacts=[{"email": shared}]) for key in ("Acme", "Globex"))
    make_announcement(session, desk)
    send_due(session, desk, now=NOON)
    (mail,) = deliveries(session)
    for client in (acme, globex):
        make_contact(session, client, email=f"dpo@{client.company.lower()}.example", role="dpo")

    take_in(session, desk, mail)

    told_of = {one.address: carried(session, one) for one in deliveries(session) if one.id != mail.id}
    assert told_of == {"dpo@acme.example": {"Acme"}, "dpo@globex.example": {"Globex"}}
    assert len(to_staff(session)) == 2


def test_a_receipt_that_comes_back_asks_a_person_and_leaves_the_period_alone(session: Session, desk: Desk) -> None:
    client, _ = told(session, desk)
    token = token_for(session, desk, ADDRESS)
    answers.acknowledge(session, desk, token, [notice_of(session, client).id], name="Camille Roy", now=NOON)
    send_due(session, desk, now=NOON)
    (receipt,) = deliveries(session, "receipt")

    take_in(session, desk, receipt)

    assert receipt.state is DeliveryState.REFUSED
    assert notice_of(session, client).state is NoticeState.RUNNING
    assert kinds_of_items(session) == ["refused_delivery"]


# --- the same, the forged, the strange -------------------------------------------------------------------------------


def test_the_same_bounce_ten_times_has_one_effect(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)
    make_contact(session, client, email=SECOND)

    first = take_in(session, desk, mail, content=b"Subject: failed\r\n\r\nno\r\n")
    before = snapshot(session)
    for _ in range(4):
        assert take_in(session, desk, mail, content=b"Subject: failed\r\n\r\nno\r\n").id == first.id
        assert take_in(session, desk, mail, content=b"Subject: failed\n\nno\n").id == first.id  # read from a file
    take_in(session, desk, mail)  # written anew by the relay

    assert snapshot(session) == before
    assert len(happened(session, EventKind.DELIVERY_RETURNED)) == 1
    assert len(happened(session, EventKind.BOUNCE_RECEIVED)) == 2
    assert len(to_staff(session)) == 1


def test_a_hundred_forged_tags_change_nothing_and_leave_nothing(session: Session, desk: Desk) -> None:
    _, mail = told(session, desk)
    before = snapshot(session)
    forger = Keyring.of(b"x" * 32)

    for number in range(100):
        said = report(tokens=(forger.envelope_tag(mail.id, number + 1),), message_ids=(mail.message_id,))
        assert bounces.take_in(session, desk, b"%d" % number, said, how=BounceDoor.LMTP, now=LATER) is None

    assert snapshot(session) == before
    assert session.exec(select(BounceMail)).all() == []
    assert happened(session, EventKind.BOUNCE_RECEIVED) == []


def test_a_mail_without_a_tag_is_found_by_our_message_id(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)

    kept = take_in(session, desk, mail, tokens=(), message_ids=("<other@relay.example>", mail.message_id))

    assert (kept.matched_by, kept.delivery_id, kept.attempt) == ("message_id", mail.id, None)
    assert notice_of(session, client).state is NoticeState.UNREACHED


def test_a_mail_about_nothing_of_ours_is_kept_and_asks_nobody(session: Session, desk: Desk) -> None:
    _, mail = told(session, desk)
    before = snapshot(session)

    kept = take_in(session, desk, mail, tokens=("hello",), message_ids=("<a@elsewhere.example>",))

    assert (kept.matched_by, kept.delivery_id, kept.applied_at) == ("", None, LATER)
    assert snapshot(session) == before


def test_a_mail_of_ours_that_is_not_known_any_more_is_put_before_a_person(session: Session, desk: Desk) -> None:
    """As after a database was put back: we wrote it, and have forgotten."""
    _, mail = told(session, desk)

    by_tag = take_in(session, desk, mail, tokens=(desk.keyring.envelope_tag(uuid4(), 1),))
    by_id = take_in(session, desk, mail, tokens=(), message_ids=(f"<{uuid4().hex}@hosting.example>",))

    found = {item.about_id for item in items.open_items(session) if item.kind is ItemKind.RETURNED_MAIL}
    assert found == {by_tag.id, by_id.id}
    assert mail.state is DeliveryState.ACCEPTED


def test_what_is_logged_holds_nobodys_address_or_words(session: Session, desk: Desk) -> None:
    _, mail = told(session, desk)

    spoken = (Returned(address=ADDRESS, status="Camille Roy", hard=True),)
    take_in(session, desk, mail, recipients=spoken, proposed_contacts=(SECOND,))

    (event,) = happened(session, EventKind.BOUNCE_RECEIVED)
    assert event.about_id == mail.id
    assert event.data["status"] == ""
    said = {"says": "failed", "how": "file", "matched_by": "tag", "attempt": 1, "hard": True}
    assert said.items() <= event.data.items()
    assert not any(word in str(event.data) for word in ("Camille", "@", WORDS))


# --- in whatever order -----------------------------------------------------------------------------------------------


def hold_at_the_dot(session: Session, desk: Desk) -> list[Mail]:
    mails = outbox.claim(session, desk, worker="worker", limit=1000, now=NOON)
    outbox.hand_over(session, desk, mails, worker="worker")
    session.expire_all()
    return mails


def settle(session: Session, desk: Desk, mails: Sequence[Mail], verdict: Verdict) -> None:
    outcomes = [
        Outcome(delivery_id=one.delivery_id, attempt=one.attempt, verdict=verdict, code=250, reply="", peer="", tls="")
        for one in mails
    ]
    outbox.settle(session, desk, outcomes, worker="worker", now=LATER)
    session.flush()


def test_a_hundred_bounces_that_come_before_the_relays_answer_are_applied_after_it(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    for number in range(100):
        make_client(session, f"C-{number:03}")
    make_announcement(session, desk)
    mails = hold_at_the_dot(session, desk)
    for mail in deliveries(session):
        assert take_in(session, desk, mail).applied_at is None
    assert bounces.apply_waiting(session, desk, now=LATER) == 0

    settle(session, desk, mails, Verdict.ACCEPTED)
    assert {mail.state for mail in deliveries(session)} == {DeliveryState.ACCEPTED}

    assert sum(iter(lambda: bounces.apply_waiting(session, desk, now=LATER), 0)) == 100
    assert {mail.state for mail in deliveries(session)} == {DeliveryState.REFUSED}
    assert {notice.state for notice in session.exec(select(Notice))} == {NoticeState.UNREACHED}
    assert len(to_staff(session)) == 100


def test_a_bounce_closes_what_was_unknown(session: Session, desk: Desk) -> None:
    client, _ = announced(session, desk)
    settle(session, desk, hold_at_the_dot(session, desk), Verdict.UNKNOWN)
    (mail,) = deliveries(session)
    assert kinds_of_items(session) == ["unknown_delivery"]

    take_in(session, desk, mail)

    assert mail.state is DeliveryState.REFUSED
    assert kinds_of_items(session) == ["refused_delivery"]
    assert notice_of(session, client).state is NoticeState.UNREACHED


@pytest.mark.parametrize("kind", [BounceKind.DELIVERED, BounceKind.AUTO_REPLY, BounceKind.COMPLAINT])
def test_what_only_a_mail_that_arrived_can_bring_closes_what_was_unknown(
    session: Session, desk: Desk, kind: BounceKind
) -> None:
    client, _ = announced(session, desk)
    settle(session, desk, hold_at_the_dot(session, desk), Verdict.UNKNOWN)
    (mail,) = deliveries(session)

    take_in(session, desk, mail, kind)

    assert (mail.state, mail.last_reply) == (DeliveryState.ACCEPTED, f"proved: {kind.value}")
    assert notice_of(session, client).state is NoticeState.RUNNING


@pytest.mark.parametrize("kind", [BounceKind.HUMAN_REPLY, BounceKind.UNREADABLE, BounceKind.DELAYED])
def test_what_may_mean_anything_leaves_unknown_what_is_unknown(session: Session, desk: Desk, kind: BounceKind) -> None:
    announced(session, desk)
    settle(session, desk, hold_at_the_dot(session, desk), Verdict.UNKNOWN)
    (mail,) = deliveries(session)

    take_in(session, desk, mail, kind)

    assert mail.state is DeliveryState.UNKNOWN
    assert "unknown_delivery" in kinds_of_items(session)


def test_a_delay_is_recorded_and_ends_nothing(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)
    still_trying = (Returned(address=ADDRESS, status="4.4.7", hard=False),)

    kept = take_in(session, desk, mail, BounceKind.DELAYED, recipients=still_trying)

    assert (mail.state, notice_of(session, client).state) == (DeliveryState.ACCEPTED, NoticeState.RUNNING)
    assert kept.applied_at == LATER
    assert happened(session, EventKind.BOUNCE_RECEIVED)[0].data["status"] == "4.4.7"
    assert (kinds_of_items(session), to_staff(session)) == ([], [])


# --- a notice that is finished ---------------------------------------------------------------------------------------


def test_a_bounce_of_a_mail_that_has_been_answered_is_recorded_and_moves_nothing(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)
    make_contact(session, client, email=SECOND)
    token = token_for(session, desk, ADDRESS)
    answers.acknowledge(session, desk, token, [notice_of(session, client).id], name="Camille Roy", now=NOON)
    before = snapshot(session)

    kept = take_in(session, desk, mail)

    assert snapshot(session) == before
    assert (kept.applied_at, kept.voided) == (LATER, False)
    assert len(happened(session, EventKind.BOUNCE_RECEIVED)) == 1


def test_a_bounce_after_the_change_was_made_moves_the_notice_nowhere(session: Session, desk: Desk) -> None:
    client, announcement = announced(session, desk)
    send_due(session, desk, now=NOON)
    (mail,) = deliveries(session)
    breach(session, desk, announcement, now=LATER)
    make_contact(session, client, email=SECOND)

    take_in(session, desk, mail, now=LONG_AFTER)

    assert notice_of(session, client).state is NoticeState.RUNNING
    assert [one.address for one in deliveries(session)] == [ADDRESS]
    assert to_staff(session) == []


def test_a_bounce_for_a_client_that_another_contact_has_answered_for_writes_to_nobody(
    session: Session, desk: Desk
) -> None:
    client, _ = announced(session, desk, {"email": ADDRESS}, {"email": SECOND})
    send_due(session, desk, now=NOON)
    mail = next(one for one in deliveries(session) if one.address == ADDRESS)
    token = token_for(session, desk, SECOND)
    answers.acknowledge(session, desk, token, [notice_of(session, client).id], name="Line Roy", now=NOON)
    make_contact(session, client, email="third@c-001.example")

    take_in(session, desk, mail)

    assert {one.address for one in deliveries(session)} == {ADDRESS, SECOND}
    assert to_staff(session) == []


def test_a_bounce_of_what_has_been_corrected_since_tells_nobody_the_old_text(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)
    make_contact(session, client, email=SECOND)
    notice = notice_of(session, client)
    notice.edition = 2
    session.add(notice)

    take_in(session, desk, mail)

    assert [one.address for one in deliveries(session)] == [ADDRESS]
    assert mail.state is DeliveryState.REFUSED


def test_a_period_that_ended_unheard_begins_anew_with_the_next_contact(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)
    make_contact(session, client, email=SECOND)
    assert notices.lapse_due(session, now=LONG_AFTER) == 1
    before = notice_of(session, client).object_by

    take_in(session, desk, mail, now=LONG_AFTER)
    send_due(session, desk, now=LONG_AFTER)

    notice = notice_of(session, client)
    assert (notice.state, notice.object_by > before) == (NoticeState.RUNNING, True)
    assert len(to_staff(session)) == 1


def test_a_period_that_ended_for_another_contact_has_ended(session: Session, desk: Desk) -> None:
    desk = with_pack(desk, "first", addressees=Addressees.FIRST)
    make_provider(session)
    client = make_client(session, pack="first", contacts=[{"email": ADDRESS}, {"email": SECOND}])
    make_announcement(session, desk)
    send_due(session, desk, now=NOON)
    mail = next(one for one in deliveries(session) if one.address == ADDRESS)
    assert notices.lapse_due(session, now=LONG_AFTER) == 1
    make_contact(session, client, email="third@c-001.example")

    take_in(session, desk, mail, now=LONG_AFTER)

    assert notice_of(session, client).state is NoticeState.LAPSED
    assert {one.address for one in deliveries(session)} == {ADDRESS, SECOND}
    assert to_staff(session) == []


# --- machines and people that answer ---------------------------------------------------------------------------------


def test_somebody_who_is_away_is_no_concern(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)

    take_in(session, desk, mail, BounceKind.AUTO_REPLY)

    assert (notice_of(session, client).state, kinds_of_items(session)) == (NoticeState.RUNNING, [])


@pytest.mark.parametrize("flag", ["is_challenge", "has_left"])
def test_a_reply_that_nobody_will_read_the_mail_takes_the_deemed_receipt_back(
    session: Session, desk: Desk, flag: str
) -> None:
    client, mail = told(session, desk)

    said: dict[str, Any] = {flag: True, "proposed_contacts": (SECOND,)}
    kept = take_in(session, desk, mail, BounceKind.AUTO_REPLY, **said)

    assert (notice_of(session, client).state, notice_of(session, client).received_on) == (NoticeState.UNREACHED, None)
    item = session.exec(select(Item).where(Item.kind == ItemKind.AUTO_REPLY)).one()
    assert (item.about_id, kept.report["proposed_contacts"]) == (kept.id, [SECOND])
    assert [one.address for one in deliveries(session)] == [ADDRESS]  # proposed is not known: nobody is added or told


def test_a_contact_who_has_left_after_pressing_the_button_has_been_told(session: Session, desk: Desk) -> None:
    """Where the contract counts what the contact did, what its mailbox says afterwards takes nothing back."""
    desk = with_pack(desk, "acting", receipt=ReceiptPolicy.ACKNOWLEDGED)
    make_provider(session)
    client = make_client(session, pack="acting")
    make_announcement(session, desk)
    send_due(session, desk, now=NOON)
    (mail,) = deliveries(session)
    token = token_for(session, desk, mail.address)
    answers.acknowledge(session, desk, token, [notice_of(session, client).id], name="Camille Roy", now=NOON)

    take_in(session, desk, mail, BounceKind.AUTO_REPLY, has_left=True)

    assert notice_of(session, client).state is NoticeState.RUNNING


def test_a_complaint_is_put_before_a_person_and_takes_nothing_back(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)

    take_in(session, desk, mail, BounceKind.COMPLAINT)

    assert (notice_of(session, client).state, kinds_of_items(session)) == (NoticeState.RUNNING, ["complaint"])


@pytest.mark.parametrize("matched", ["tag", "message_id"])
def test_what_cannot_be_read_is_put_before_a_person(session: Session, desk: Desk, matched: str) -> None:
    _, mail = told(session, desk)
    found: dict[str, Any] = {} if matched == "tag" else {"tokens": (), "message_ids": (mail.message_id,)}

    kept = take_in(session, desk, mail, BounceKind.UNREADABLE, content=b"\x00\xff", **found)

    assert [(item.kind, item.about_id) for item in items.open_items(session)] == [("returned_mail", kept.id)]
    assert bounces.get(session, kept.id).content == b"\x00\xff"


def test_what_a_person_writes_back_holds_the_gate_until_it_has_been_read(session: Session, desk: Desk) -> None:
    client, mail = told(session, desk)

    kept = take_in(session, desk, mail, BounceKind.HUMAN_REPLY, words="We object!")

    notice = notice_of(session, client)
    assert kinds_of_items(session) == ["returned_mail", "unread_reply"]
    assert Hold.REPLY in boards.row(session, notice.id, now=LATER).gate.holds
    with pytest.raises(bounces.NoteMissing):
        bounces.read(session, kept.id, note=" ", by="user:1", now=LATER)
    bounces.read(session, kept.id, note="Recorded as an objection.", by="user:1", now=LATER)
    bounces.read(session, kept.id, note="Twice.", by="user:1", now=LATER)
    assert kinds_of_items(session) == ["unread_reply"]
    assert len(happened(session, EventKind.BOUNCE_READ)) == 1


def test_a_mail_that_does_not_exist_cannot_be_read(session: Session) -> None:
    for act in (bounces.get, lambda *_: bounces.read(session, uuid4(), note="", by="user:1", now=NOON)):
        with pytest.raises(bounces.NoSuchBounce):
            act(session, uuid4())


# --- when something fails --------------------------------------------------------------------------------------------


def test_a_letter_that_cannot_be_written_does_not_keep_the_clock_running(
    session: Session, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, mail = told(session, desk)
    make_contact(session, client, email=SECOND)

    def refuse(*_args: object, **_named: object) -> None:
        raise UnknownLetter("no such letter")

    with monkeypatch.context() as patched:
        patched.setattr("notifier.services.letters.post_to_staff", refuse)
        kept = take_in(session, desk, mail)
        assert bounces.apply_waiting(session, desk, now=LATER) == 0
    session.refresh(mail)
    assert (mail.state, kept.applied_at) == (DeliveryState.REFUSED, None)
    assert notice_of(session, client).state is NoticeState.UNREACHED
    assert [one.address for one in deliveries(session)] == [ADDRESS]

    assert bounces.apply_waiting(session, desk, now=LATER) == 1

    assert [one.address for one in deliveries(session)] == [ADDRESS, SECOND]
    assert len(to_staff(session)) == 1
    assert len(happened(session, EventKind.DELIVERY_RETURNED)) == 1


@pytest.mark.parametrize("same", [True, False])
def test_bounces_that_come_in_at_the_same_instant_have_one_effect(runtime: Runtime, same: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with runtime.transaction() as session:
        client, mail = told(session, runtime.desk)
        make_contact(session, client, email=SECOND)
    start, said = Barrier(6), report(tokens=(tag_of(runtime.desk, mail),))

    def bring(number: int) -> None:
        content = b"same" if same else b"%d" % number
        start.wait(timeout=30)
        with runtime.transaction() as session:
            bounces.take_in(session, runtime.desk, content, said, how=BounceDoor.LMTP, now=LATER)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(bring, range(6)))

    with Session(runtime.engine) as session:
        assert len(session.exec(select(BounceMail)).all()) == (1 if same else 6)
        assert len(happened(session, EventKind.DELIVERY_RETURNED)) == 1
        assert [one.address for one in deliveries(session)] == [ADDRESS, SECOND]
        assert len(to_staff(session)) == 1


def test_two_workers_apply_what_waits_once(runtime: Runtime) -> None:
    desk = runtime.desk
    with runtime.transaction() as session:
        announced(session, desk)
    with runtime.transaction() as session:
        mails = hold_at_the_dot(session, desk)
        take_in(session, desk, deliveries(session)[0])
        settle(session, desk, mails, Verdict.ACCEPTED)
    start = Barrier(4)

    def tick(_number: int) -> int:
        start.wait(timeout=30)
        with runtime.transaction() as session:
            return bounces.apply_waiting(session, desk, now=LATER)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(tick, range(4))) == 1
    with Session(runtime.engine) as session:
        assert len(happened(session, EventKind.DELIVERY_RETURNED)) == 1


def test_a_very_large_mail_is_kept_in_part(session: Session, desk: Desk) -> None:
    _, mail = told(session, desk)
    small = replace(report(BounceKind.UNREADABLE), tokens=(tag_of(desk, mail),))

    kept = bounces.take_in(session, desk, b"x" * (bounces.LARGEST + 1), small, how=BounceDoor.IMAP, now=LATER)

    assert kept is not None
    assert len(bounces.get(session, kept.id).content) == bounces.LARGEST
