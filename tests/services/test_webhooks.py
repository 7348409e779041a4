from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, MultiFernet
from sqlmodel import Session, select
from standardwebhooks import Webhook, WebhookVerificationError

from notifier import runtime as wiring
from notifier.adapters.http import Answer, GuardedClient, sign
from notifier.models import Endpoint, EventKind, WebhookDelivery, WebhookState
from notifier.services import doorbell, events, items, webhooks
from notifier.services.desk import Desk
from notifier.services.events import Happened
from notifier.services.webhooks import BadEndpoint, NoSuchEndpoint, Parcel
from tests.factories import NOON, make_announcement, make_client, make_provider
from tests.services.stories import happened, kinds_of_items

URL = "https://tickets.example/hooks"
TAKEN, BUSY, GONE = Answer(status=204), Answer(status=500), Answer(status=410)
UNREACHABLE = Answer(status=None, reason="connection")


def add(session: Session, desk: Desk, *kinds: str, url: str = URL) -> tuple[Endpoint, str]:
    return webhooks.add(session, desk, url=url, kinds=kinds, by="user:1", now=NOON)


def raise_event(session: Session, **data: str) -> None:
    happened = Happened(kind=EventKind.NOTICE_SENT, about=uuid4(), data={**data})
    events.record_all(session, [happened], by="notifier", now=NOON)


def take(session: Session, desk: Desk, *, now: datetime = NOON) -> list[Parcel]:
    return webhooks.claim(session, desk, limit=100, now=now)


def only(session: Session) -> WebhookDelivery:
    return session.exec(select(WebhookDelivery)).one()


def one_waiting(session: Session, desk: Desk) -> Endpoint:
    """An endpoint that is owed one event."""
    endpoint, _ = add(session, desk, "notice.sent")
    raise_event(session)
    return endpoint


# --- endpoints -------------------------------------------------------------------------------------------------------


def test_a_secret_is_shown_once_and_kept_encrypted(session: Session, desk: Desk) -> None:
    endpoint, secret = add(session, desk)
    session.flush()

    row = repr(session.execute(sa.text("SELECT * FROM endpoint")).one())
    assert secret.startswith("whsec_")
    assert secret not in row
    assert secret.removeprefix("whsec_") not in row
    assert desk.vault.decrypt(endpoint.sealed_secret.encode()).decode() == secret


@pytest.mark.parametrize("url", ["http://tickets.example/", "https://127.0.0.1/", "https://u:p@tickets.example/", "x"])
def test_an_address_that_can_never_be_posted_to_is_refused(session: Session, desk: Desk, url: str) -> None:
    with pytest.raises(BadEndpoint, match="address"):
        add(session, desk, url=url)
    assert webhooks.everyone(session) == []


def test_a_kind_of_event_that_there_is_not_is_refused_by_name(session: Session, desk: Desk) -> None:
    with pytest.raises(BadEndpoint, match=r"no event is called notice\.lost"):
        add(session, desk, "notice.sent", "notice.lost")


def test_an_endpoint_that_there_is_not_is_said(session: Session) -> None:
    with pytest.raises(NoSuchEndpoint):
        webhooks.get(session, uuid4())


# --- owing -----------------------------------------------------------------------------------------------------------


def test_an_event_makes_one_delivery_for_each_endpoint_that_wants_it(session: Session, desk: Desk) -> None:
    wants, everything, other = (add(session, desk, *kinds)[0] for kinds in (["notice.sent"], [], ["answer.recorded"]))
    session.execute(sa.delete(WebhookDelivery))
    doorbell.rung(session)

    raise_event(session)

    owed = session.exec(select(WebhookDelivery)).all()
    assert {row.endpoint_id for row in owed} == {wants.id, everything.id}
    assert len(owed) == 2
    assert webhooks.recent(session, other.id) == []
    assert doorbell.rung(session) == {doorbell.Bell.WEBHOOKS}


def test_what_happens_while_an_endpoint_is_switched_off_is_not_owed_to_it(session: Session, desk: Desk) -> None:
    endpoint, _ = add(session, desk, "notice.sent")
    webhooks.enable(session, endpoint.id, enabled=False, by="user:1", now=NOON, why="holidays")
    raise_event(session)

    webhooks.enable(session, endpoint.id, enabled=True, by="user:1", now=NOON)

    assert take(session, desk) == []
    assert (endpoint.enabled, endpoint.disabled_why) == (True, "")
    assert len(happened(session, EventKind.ENDPOINT_DISABLED)) == 1


def test_a_test_event_reaches_the_endpoint_like_any_other(session: Session, desk: Desk) -> None:
    endpoint, _ = add(session, desk, "endpoint.tested")

    webhooks.test(session, endpoint.id, by="user:1", now=NOON)

    (parcel,) = take(session, desk)
    assert json.loads(parcel.body)["type"] == "endpoint.tested"


def test_publishing_tells_the_endpoints_in_the_same_transaction(session: Session, desk: Desk) -> None:
    make_provider(session)
    make_client(session)
    add(session, desk, "announcement.published")

    announcement = make_announcement(session, desk)

    data = json.loads(only(session).body)["data"]
    assert (data["announcement"], data["reference"]) == (str(announcement.id), "SP-2026-0002")


# --- posting ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def present() -> datetime:
    """The present instant: the receivers' own verifier reads the clock and takes five minutes of difference."""
    return wiring.now()


def test_what_is_posted_passes_the_receivers_own_verifier(session: Session, desk: Desk, present: datetime) -> None:
    _, secret = add(session, desk, "notice.sent")
    raise_event(session, company="Société Exemple")
    received: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        received.append(request)
        return httpx.Response(204)

    desk = replace(desk, http=GuardedClient(now=lambda: present, transport=httpx.MockTransport(answer)))
    (parcel,) = take(session, desk)
    headers = sign(parcel.secret, parcel.message_id, present, parcel.body)
    webhooks.settle(session, desk, parcel, desk.http.post(parcel.url, content=parcel.body, headers=headers), now=NOON)

    (request,) = received
    body = request.content.decode()
    assert Webhook(secret).verify(body, dict(request.headers)) == json.loads(only(session).body)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace("Exemple", "Autre"), dict(request.headers))
    assert only(session).state is WebhookState.DELIVERED
    desk.http.close()


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_taken(session: Session, desk: Desk, status: int) -> None:
    one_waiting(session, desk)
    (parcel,) = take(session, desk)

    webhooks.settle(session, desk, parcel, Answer(status=status), now=NOON)

    row = only(session)
    assert (row.state, row.last_status, row.delivered_at) == (WebhookState.DELIVERED, status, NOON)
    assert take(session, desk, now=NOON + timedelta(days=30)) == []


@pytest.mark.parametrize("answer", [BUSY, UNREACHABLE, Answer(status=302), Answer(status=404), Answer(status=429)])
def test_anything_else_is_tried_again_by_the_schedule(session: Session, desk: Desk, answer: Answer) -> None:
    one_waiting(session, desk)
    now = NOON

    for attempt, pause in enumerate(desk.webhook_schedule, start=1):
        (parcel,) = take(session, desk, now=now)
        webhooks.settle(session, desk, parcel, answer, now=now)
        row = only(session)
        assert (row.state, row.attempt, row.last_status, row.last_reason) == (
            WebhookState.WAITING,
            attempt,
            answer.status,
            answer.reason,
        )
        assert pause * 0.8 <= row.due_at - now <= pause * 1.2
        assert take(session, desk, now=row.due_at - timedelta(microseconds=1)) == []
        now = row.due_at


def test_the_jitter_spreads_and_is_the_same_when_computed_again(session: Session, desk: Desk) -> None:
    add(session, desk, "notice.sent")
    for _ in range(30):
        raise_event(session)
    for parcel in take(session, desk):
        webhooks.settle(session, desk, parcel, BUSY, now=NOON)

    pauses = [row.due_at - NOON for row in session.exec(select(WebhookDelivery))]
    assert len(set(pauses)) > 20
    assert min(pauses) < desk.webhook_schedule[0] < max(pauses)


def test_who_asks_us_to_wait_longer_is_waited_for(session: Session, desk: Desk) -> None:
    one_waiting(session, desk)
    (parcel,) = take(session, desk)

    webhooks.settle(session, desk, parcel, Answer(status=503, retry_after=timedelta(hours=2)), now=NOON)

    assert only(session).due_at == NOON + timedelta(hours=2)


def test_the_body_and_the_id_are_the_same_on_every_attempt(session: Session, desk: Desk) -> None:
    one_waiting(session, desk)
    now, seen = NOON, set()

    for _ in range(4):
        (parcel,) = take(session, desk, now=now)
        seen.add((parcel.body, parcel.message_id, parcel.secret))
        webhooks.settle(session, desk, parcel, BUSY, now=now)
        now = only(session).due_at

    assert len(seen) == 1


def test_when_the_schedule_is_exhausted_a_person_is_asked_once(session: Session, desk: Desk) -> None:
    endpoint = one_waiting(session, desk)
    raise_event(session)
    now = NOON

    for _ in range(len(desk.webhook_schedule) + 1):
        for parcel in take(session, desk, now=now):
            webhooks.settle(session, desk, parcel, BUSY, now=now)
        now += timedelta(days=2)

    states = [row.state for row in webhooks.recent(session, endpoint.id)]
    assert states == [WebhookState.EXHAUSTED] * 2
    assert take(session, desk, now=now) == []
    assert kinds_of_items(session) == ["endpoint_failing"]
    assert len(happened(session, EventKind.WEBHOOK_EXHAUSTED)) == 2


def test_an_endpoint_that_says_it_is_gone_is_switched_off(session: Session, desk: Desk) -> None:
    endpoint = one_waiting(session, desk)
    (parcel,) = take(session, desk)

    webhooks.settle(session, desk, parcel, GONE, now=NOON)

    assert (endpoint.enabled, endpoint.disabled_why) == (False, "it answered 410 Gone")
    raise_event(session)
    assert take(session, desk, now=NOON + timedelta(days=30)) == []


def test_an_endpoint_that_is_gone_is_put_before_a_person_until_it_is_switched_on_again(
    session: Session, desk: Desk
) -> None:
    endpoint = one_waiting(session, desk)
    (parcel,) = take(session, desk)

    webhooks.settle(session, desk, parcel, GONE, now=NOON)
    assert kinds_of_items(session) == ["endpoint_failing"]

    webhooks.enable(session, endpoint.id, enabled=True, by="user:1", now=NOON)
    assert kinds_of_items(session) == []


@pytest.mark.parametrize("last", [BUSY, GONE])
def test_an_endpoint_is_not_owed_word_of_its_own_failure_but_the_others_are(
    session: Session, desk: Desk, last: Answer
) -> None:
    failing, _ = add(session, desk)
    other, _ = add(session, desk, url="https://other.example/hooks")
    session.execute(sa.delete(WebhookDelivery))
    raise_event(session)
    parcel = next(one for one in take(session, desk) if one.url == URL)
    row = session.get(WebhookDelivery, parcel.delivery_id)
    assert row is not None
    row.attempt = len(desk.webhook_schedule) + 1  # its last one

    webhooks.settle(session, desk, replace(parcel, attempt=row.attempt), last, now=NOON)

    owed = [json.loads(one.body)["type"] for one in webhooks.recent(session, other.id)]
    assert owed[0] in {"webhook.exhausted", "endpoint.disabled"}
    assert [one.state for one in webhooks.recent(session, failing.id)] == [WebhookState.EXHAUSTED]


def test_a_secret_that_can_no_longer_be_read_stops_its_own_endpoint_alone(session: Session, desk: Desk) -> None:
    lost, _ = add(session, desk, "notice.sent")
    well, secret = add(session, desk, "notice.sent", url="https://other.example/hooks")
    lost.sealed_secret = MultiFernet([Fernet(Fernet.generate_key())]).encrypt(b"whsec_lost").decode()
    raise_event(session)

    (parcel,) = take(session, desk)

    assert (parcel.url, parcel.secret) == (well.url, secret)
    assert [row.state for row in webhooks.recent(session, lost.id)] == [WebhookState.EXHAUSTED]
    assert [item.about_id for item in items.open_items(session)] == [lost.id]
    assert take(session, desk, now=NOON + timedelta(days=30)) == []


def test_an_answer_that_comes_after_the_lease_changes_nothing(session: Session, desk: Desk) -> None:
    one_waiting(session, desk)
    (first,) = take(session, desk)
    only(session).lease_until = NOON - timedelta(days=365)  # long ago on any clock
    assert webhooks.expire_leases(session) == 1
    (second,) = take(session, desk)

    webhooks.settle(session, desk, first, TAKEN, now=NOON)
    assert only(session).state is WebhookState.CLAIMED

    webhooks.settle(session, desk, second, BUSY, now=NOON)
    assert (only(session).state, second.attempt) == (WebhookState.WAITING, 2)


def test_a_lease_that_holds_keeps_others_away(session: Session, desk: Desk) -> None:
    one_waiting(session, desk)
    assert len(take(session, desk)) == 1

    assert webhooks.expire_leases(session) == 0
    assert take(session, desk) == []
