"""News of the public list for whoever subscribes: confirmed first, told once, ended at one post, then forgotten."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from zlib import crc32

import pytest
from sqlmodel import Session, select

from notifier.adapters.letters import UNSUBSCRIBE
from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.models import (
    Announcement,
    AnnouncementKind,
    Attempt,
    Delivery,
    EventKind,
    Subscriber,
    SubscriberState,
)
from notifier.rules.links import Keyring
from notifier.runtime import Runtime
from notifier.services import announcements, corrections, going_live, letters, outbox, subscriptions
from notifier.services.desk import Desk
from notifier.services.subscriptions import BadAddress, LinkEnded, TooMany
from notifier.worker import Worker
from tests.factories import NOON, REASONS, make_announcement, make_client, make_provider
from tests.services.stories import breach, deliveries, happened, kinds_of_items, send_due
from tests.web.staffing import MOVE

ANA, BOB = "ana@reader.example", "bob@reader.example"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SOON = NOON + HOUR


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite for one test, PostgreSQL for the next, drawn by its name: each act is one row of one table."""
    drawn = ("sqlite_url", "postgresql_url")[crc32(request.node.nodeid.encode()) % 2]
    url: str = request.getfixturevalue(drawn)
    return url


@pytest.fixture(autouse=True)
def profile(request: pytest.FixtureRequest) -> None:
    """A test of the worker has transactions of its own."""
    if "runtime" not in request.fixturenames:
        make_provider(request.getfixturevalue("session"))


def ask(session: Session, desk: Desk, address: str = ANA, *, now: datetime = NOON, language: str = "en") -> None:
    subscriptions.ask(session, desk, address, language=language, now=now)
    session.flush()


def subscriber(session: Session, address: str = ANA) -> Subscriber:
    return session.exec(select(Subscriber).where(Subscriber.address == address)).one()


def token(session: Session, desk: Desk, opens: str, address: str = ANA) -> str:
    one = subscriber(session, address)
    return desk.keyring.token(one.id, opens, key=one.key_id)


def subscribe(session: Session, desk: Desk, *addresses: str, now: datetime = NOON, language: str = "en") -> None:
    """Ask and confirm, and let the mails leave that asked for it."""
    for address in addresses or (ANA,):
        ask(session, desk, address, now=now, language=language)
        subscriptions.confirm(session, token(session, desk, letters.CONFIRM, address), now=now)
    send_due(session, desk, now=now)


def tell(session: Session, desk: Desk, *, now: datetime = SOON) -> list[EmailMessage]:
    """Tick until there is nothing to tell, and return the news that left."""
    while subscriptions.tell_due(session, desk, now=now):
        session.flush()
    news = {row.id for row in deliveries(session, letters.NEWS)}
    return [read(mail) for mail in send_due(session, desk, now=now) if mail.delivery_id in news]


def read(mail: Mail) -> EmailMessage:
    message = message_from_bytes(mail.content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return " ".join(part.get_content().replace("\xa0", " ").split())


def sweep(session: Session, *, now: datetime) -> None:
    subscriptions.sweep(session, now=now)
    session.flush()
    session.expire_all()


# --- asking and confirming -------------------------------------------------------------------------------------------


def test_an_address_is_asked_by_mail_and_told_nothing_before_it_has_confirmed(session: Session, desk: Desk) -> None:
    ask(session, desk, " Ana@Reader.Example ")
    [mail] = send_due(session, desk, now=NOON)
    make_announcement(session, desk, now=SOON)

    assert mail.recipient == ANA
    link = f"http://localhost/subscriptions/{token(session, desk, letters.CONFIRM)}/confirm"
    assert link in text_of(read(mail))
    assert "only inform" in text_of(read(mail))
    assert read(mail)["List-Unsubscribe"] is None  # there is nothing to end yet
    assert tell(session, desk) == []
    assert subscriber(session).state is SubscriberState.WAITING


def test_a_confirmed_one_is_confirmed_once_however_often_the_link_is_used(session: Session, desk: Desk) -> None:
    ask(session, desk)
    confirms = token(session, desk, letters.CONFIRM)

    subscriptions.confirm(session, confirms, now=SOON)
    subscriptions.confirm(session, confirms, now=SOON + 30 * DAY)

    assert (subscriber(session).state, subscriber(session).confirmed_at) == (SubscriberState.CONFIRMED, SOON)
    assert len(happened(session, EventKind.SUBSCRIBER_CONFIRMED)) == 1


def test_a_link_confirms_for_seven_days(session: Session, desk: Desk) -> None:
    ask(session, desk)
    confirms = token(session, desk, letters.CONFIRM)

    with pytest.raises(LinkEnded):
        subscriptions.confirm(session, confirms, now=NOON + 7 * DAY)
    subscriptions.confirm(session, confirms, now=NOON + 7 * DAY - timedelta(seconds=1))


@pytest.mark.parametrize("opens", [letters.CONFIRM, UNSUBSCRIBE])
def test_a_token_opens_what_it_is_for_and_nothing_else(session: Session, desk: Desk, opens: str) -> None:
    subscribe(session, desk)
    other = token(session, desk, UNSUBSCRIBE if opens == letters.CONFIRM else letters.CONFIRM)

    for wrong in (other, "", "x" * 43):
        with pytest.raises(LinkEnded):
            _open(session, opens, wrong)


def _open(session: Session, opens: str, said: str) -> None:
    if opens == letters.CONFIRM:
        subscriptions.confirm(session, said, now=SOON)
    else:
        subscriptions.end(session, said, now=SOON)


def test_no_token_is_kept(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)
    tell(session, desk)

    kept = repr([subscriber(session).model_dump(), [row.model_dump() for row in session.exec(select(Delivery))]])
    for opens in (letters.CONFIRM, UNSUBSCRIBE):
        assert token(session, desk, opens) not in kept


def test_asking_again_sends_one_mail_an_hour_and_three_in_all(session: Session, desk: Desk) -> None:
    for minutes in range(0, 600, 20):
        ask(session, desk, now=NOON + timedelta(minutes=minutes))

    assert [row.created_at - NOON for row in deliveries(session, letters.CONFIRM)] == [0 * HOUR, HOUR, 2 * HOUR]
    assert len(happened(session, EventKind.SUBSCRIBER_ASKED)) == 3


def test_asking_for_a_subscribed_address_sends_nothing_and_changes_nothing(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    before = subscriber(session).model_dump()

    ask(session, desk, now=NOON + DAY, language="fr")

    assert send_due(session, desk, now=NOON + DAY) == []
    assert subscriber(session).model_dump() == before


def test_so_many_strangers_are_written_to_within_an_hour_and_no_more(
    session: Session, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "MOST_AN_HOUR", 2)
    ask(session, desk, ANA)
    ask(session, desk, BOB)

    for address in (ANA, "cleo@reader.example"):  # known or not, the answer is the same
        with pytest.raises(TooMany):
            ask(session, desk, address, now=NOON + timedelta(minutes=59))
    ask(session, desk, "cleo@reader.example", now=SOON)


@pytest.mark.parametrize(
    "address", ["", "ana", "ana@", "a@b", "ana@reader.example, bob@reader.example", "ana@é.example"]
)
def test_what_is_no_address_is_refused(session: Session, desk: Desk, address: str) -> None:
    with pytest.raises(BadAddress):
        ask(session, desk, address)
    assert session.exec(select(Subscriber)).all() == []


# --- telling ---------------------------------------------------------------------------------------------------------


def move(session: Session, desk: Desk) -> Announcement:
    return _write(session, desk, AnnouncementKind.LOCATION, "storage", MOVE)


def _write(session: Session, desk: Desk, kind: AnnouncementKind, aspect: str, facts: dict[str, str]) -> Announcement:
    made = announcements.draft(
        session, kind=kind, aspect=aspect, facts=facts, reasons=REASONS, effective_on=NOON.date() + 90 * DAY,
        by="test", now=SOON,
    )  # fmt: skip
    return announcements.publish_draft(session, desk, made.id, by="test", now=SOON)


@pytest.mark.parametrize("announce", [lambda session, desk: make_announcement(session, desk, now=SOON), move])
def test_each_subscriber_is_told_once_of_what_is_announced(
    session: Session, desk: Desk, announce: Callable[[Session, Desk], Announcement]
) -> None:
    subscribe(session, desk, ANA)
    subscribe(session, desk, BOB, language="fr")
    announcement = announce(session, desk)

    told = tell(session, desk)
    again = tell(session, desk, now=SOON + DAY)

    assert sorted(message["To"] for message in told) == [ANA, BOB]
    assert {message["Content-Language"] for message in told} == {"en", "fr"}
    assert all(announcement.reference in message["Subject"] for message in told)
    assert again == []
    [event] = happened(session, EventKind.SUBSCRIBER_TOLD)
    assert (event.announcement_id, event.data["letters"]) == (announcement.id, 2)


def test_news_says_what_the_public_list_says_and_that_it_is_no_notice(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)

    [message] = tell(session, desk)

    text = text_of(message)
    assert "Fibrexemple is replaced by Optexemple" in text
    assert "http://localhost/subprocessors" in text
    assert "never the notice that a contract provides for" in text
    assert REASONS["en"] not in text  # it is for clients


def test_news_ends_at_one_post(session: Session, desk: Desk) -> None:
    """RFC 8058, 3.1: an https address in angle brackets, and the second header with this very value."""
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)

    [message] = tell(session, desk)

    address = f"http://localhost/subscriptions/{token(session, desk, UNSUBSCRIBE)}/end"
    assert message["List-Unsubscribe"].strip() == f"<{address}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert address in text_of(message)


def _correct(session: Session, desk: Desk, one: Announcement) -> object:
    on = one.effective_on + 30 * DAY
    return corrections.correct(session, desk, one.id, effective_on=on, why="A slip.", by="test", now=SOON)


def _postpone(session: Session, desk: Desk, one: Announcement) -> object:
    on = one.effective_on + 30 * DAY
    return corrections.postpone(session, desk, one.id, effective_on=on, reasons=REASONS, by="test", now=SOON)


def _withdraw(session: Session, desk: Desk, one: Announcement) -> object:
    return corrections.withdraw(session, desk, one.id, reasons=REASONS, by="test", now=SOON)


def _go_live(session: Session, _desk: Desk, one: Announcement) -> object:
    return going_live.go_live(session, one.id, by="test", now=one.effective_at)


def _breach(session: Session, desk: Desk, one: Announcement) -> object:
    return breach(session, desk, one, now=SOON + DAY)


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (_correct, "We have corrected"),
        (_postpone, "We have postponed the change of subprocessor: from"),
        (_withdraw, "What follows does not take place"),
        (_go_live, "has been made"),
        (_breach, "has been made"),
    ],
)
def test_what_becomes_of_an_announcement_is_told_too(
    session: Session, desk: Desk, act: Callable[[Session, Desk, Announcement], object], said: str
) -> None:
    subscribe(session, desk)
    if act is _breach:
        make_client(session)
    announcement = make_announcement(session, desk, now=SOON)
    tell(session, desk)

    act(session, desk, announcement)

    [message] = tell(session, desk, now=announcement.effective_at + DAY)
    assert said in text_of(message)


def test_of_several_events_of_one_announcement_the_last_alone_is_told(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    announcement = make_announcement(session, desk, now=SOON)
    _postpone(session, desk, announcement)
    _withdraw(session, desk, announcement)

    [message] = tell(session, desk)

    assert "withdrawn" in message["Subject"]


def test_a_mended_wording_is_no_news(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    announcement = make_announcement(session, desk, now=SOON)
    tell(session, desk)
    mended = {language: f"{text} Indeed." for language, text in REASONS.items()}
    corrections.respell(session, announcement.id, reasons=mended, why="A slip.", by="test", now=SOON)

    assert tell(session, desk) == []


def test_what_is_between_the_provider_and_its_clients_is_told_to_nobody_else(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    security = {"measure": "Tests"} | {f"{name}_{one}": "x" for name in ("before", "after") for one in ("en", "fr")}
    _write(session, desk, AnnouncementKind.SECURITY, "", security)

    assert tell(session, desk) == []


def test_whoever_subscribes_after_an_event_is_not_told_of_it(session: Session, desk: Desk) -> None:
    make_announcement(session, desk, now=NOON)
    subscribe(session, desk, now=SOON)

    assert tell(session, desk, now=SOON + HOUR) == []
    assert happened(session, EventKind.SUBSCRIBER_TOLD) == []


def test_mails_to_clients_leave_before_news(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_client(session)
    make_announcement(session, desk, now=SOON)
    while subscriptions.tell_due(session, desk, now=SOON - HOUR):  # due earlier, and yet behind
        session.flush()

    [first] = outbox.claim(session, desk, worker="worker", limit=1, now=SOON)
    [second] = outbox.claim(session, desk, worker="worker", limit=1, now=SOON)

    assert (first.recipient, second.recipient) == ("dpo@c-001.example", ANA)


def test_a_key_that_was_taken_away_stops_no_news(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    old_link = token(session, desk, UNSUBSCRIBE)
    make_announcement(session, desk, now=SOON)
    other = replace(desk, keyring=Keyring.of(b"another key of the instance, long enough"))

    [message] = tell(session, other)

    new_link = message["List-Unsubscribe"].strip().split("/")[-2]
    with pytest.raises(LinkEnded):
        subscriptions.end(session, old_link, now=SOON)
    subscriptions.end(session, new_link, now=SOON)


def test_a_worker_tells_at_its_tick_and_at_no_other_again(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_provider(session)
        subscribe(session, runtime.desk)
        make_announcement(session, runtime.desk, now=SOON)
    worker = Worker(runtime)

    worker.tick()
    worker.tick()
    worker.close()

    with Session(runtime.engine) as session:
        assert [row.state for row in deliveries(session, letters.NEWS)] == ["accepted"]


def test_two_workers_at_once_tell_each_subscriber_once(runtime: Runtime) -> None:
    addresses = [f"reader-{number}@reader.example" for number in range(20)]
    with runtime.transaction() as session:
        make_provider(session)
        subscribe(session, runtime.desk, *addresses)
        make_announcement(session, runtime.desk, now=SOON)

    def tell_all(_worker: int) -> None:
        is_more = True
        while is_more:
            with runtime.transaction() as session:
                is_more = subscriptions.tell_due(session, runtime.desk, now=SOON)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tell_all, range(4)))

    with Session(runtime.engine) as session:
        assert [row.address for row in deliveries(session, letters.NEWS)] == sorted(addresses)


# --- ending ----------------------------------------------------------------------------------------------------------


def all_that_is_kept(session: Session) -> str:
    session.flush()
    session.expire_all()
    rows = [*session.exec(select(Subscriber)), *session.exec(select(Delivery)), *session.exec(select(Attempt))]
    events = [event for kind in EventKind for event in happened(session, kind)]
    return repr([row.model_dump() for row in [*rows, *events]])


def test_ending_erases_the_address_and_keeps_what_proves_it(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)
    tell(session, desk)
    ends = token(session, desk, UNSUBSCRIBE)
    assert ANA in all_that_is_kept(session)

    subscriptions.end(session, ends, now=SOON)
    subscriptions.end(session, ends, now=SOON + DAY)  # the link in an old mail goes on to answer

    assert "reader.example" not in all_that_is_kept(session)
    [event] = happened(session, EventKind.SUBSCRIBER_ENDED)
    assert (event.at, event.data) == (SOON, {"why": "unsubscribed"})
    assert subscriptions.to_end(session, ends).state is SubscriberState.ENDED


def test_whoever_has_ended_is_told_no_more_not_even_what_waited(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)
    subscriptions.tell_due(session, desk, now=SOON)
    session.flush()

    subscriptions.end(session, token(session, desk, UNSUBSCRIBE), now=SOON)
    session.expire_all()

    assert tell(session, desk) == []


def test_whoever_has_ended_may_subscribe_anew(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    old = token(session, desk, UNSUBSCRIBE)
    subscriptions.end(session, old, now=SOON)
    session.flush()

    subscribe(session, desk, now=SOON + DAY)

    assert subscriber(session).state is SubscriberState.CONFIRMED
    assert token(session, desk, UNSUBSCRIBE) != old


def test_an_address_that_never_confirmed_is_deleted_after_seven_days(session: Session, desk: Desk) -> None:
    ask(session, desk)
    send_due(session, desk, now=NOON)

    sweep(session, now=NOON + 7 * DAY - timedelta(seconds=1))
    assert subscriber(session).state is SubscriberState.WAITING
    sweep(session, now=NOON + 7 * DAY)

    assert session.exec(select(Subscriber)).all() == []
    assert "reader.example" not in all_that_is_kept(session)
    assert [event.data for event in happened(session, EventKind.SUBSCRIBER_ENDED)] == [{"why": "unconfirmed"}]


def test_an_address_whose_mail_is_on_the_wire_is_erased_by_the_next_sweep(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)
    subscriptions.tell_due(session, desk, now=SOON)
    session.flush()
    [mail] = outbox.claim(session, desk, worker="worker", limit=9, now=SOON)
    ends = token(session, desk, UNSUBSCRIBE)

    subscriptions.end(session, ends, now=SOON)
    sweep(session, now=SOON)
    assert [row.id for row in session.exec(select(Delivery))] == [mail.delivery_id]
    deferred = Outcome(
        delivery_id=mail.delivery_id,
        attempt=mail.attempt,
        verdict=Verdict.DEFERRED,
        code=451,
        reply="later",
        peer="",
        tls="",
    )
    outbox.settle(session, desk, [deferred], worker="worker", now=SOON)
    session.flush()
    sweep(session, now=SOON)

    assert "reader.example" not in all_that_is_kept(session)


def test_asking_anew_while_the_last_mail_is_on_the_wire_begins_again(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)
    subscriptions.tell_due(session, desk, now=SOON)
    session.flush()
    outbox.claim(session, desk, worker="worker", limit=9, now=SOON)
    subscriptions.end(session, token(session, desk, UNSUBSCRIBE), now=SOON)

    ask(session, desk, now=SOON + HOUR)

    assert (subscriber(session).state, subscriber(session).asks) == (SubscriberState.WAITING, 1)


def test_an_address_that_is_refused_for_good_is_ended_and_bothers_nobody(session: Session, desk: Desk) -> None:
    subscribe(session, desk, ANA, BOB)
    make_announcement(session, desk, now=SOON)
    while subscriptions.tell_due(session, desk, now=SOON):
        session.flush()
    send_due(session, desk, now=SOON, verdicts={ANA: Verdict.REFUSED})

    sweep(session, now=SOON)

    assert kinds_of_items(session) == []
    assert [one.address for one in session.exec(select(Subscriber)) if one.address] == [BOB]
    assert [event.data for event in happened(session, EventKind.SUBSCRIBER_ENDED)] == [{"why": "refused"}]


def test_a_mail_that_comes_back_ends_it_too(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)
    tell(session, desk)
    [row] = deliveries(session, letters.NEWS)
    outbox.returned(session, desk, row.id, by="test", evidence="no such user", now=SOON)

    sweep(session, now=SOON)

    assert [one.state for one in session.exec(select(Subscriber))] == [SubscriberState.ENDED]


def test_a_mail_that_we_could_not_write_ends_nobody(session: Session, desk: Desk) -> None:
    subscribe(session, desk)
    make_announcement(session, desk, now=SOON)
    while subscriptions.tell_due(session, desk, now=SOON):
        session.flush()
    without_key = replace(desk, keyring=Keyring.of(b"another key of the instance, long enough"))

    assert send_due(session, without_key, now=SOON) == []
    sweep(session, now=SOON)

    assert subscriber(session).state is SubscriberState.CONFIRMED
