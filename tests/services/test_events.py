from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import Session, col, select

from notifier.adapters.sending import Verdict
from notifier.models import Endpoint, Event, EventKind, OverrideKind, WebhookDelivery
from notifier.services import answers, doorbell, events, going_live, notices, outbox, overrides, rows, users
from notifier.services.desk import Desk
from notifier.services.events import Happened
from tests.factories import NOON, make_announcement, make_client, make_provider, make_user
from tests.services.stories import deliveries, notice_of, send_due, token_for

ONE, OTHER = uuid4(), uuid4()
LATER = NOON + timedelta(hours=1)


def record(session: Session, kind: EventKind = EventKind.NOTICE_SENT, **about: Any) -> Event:  # noqa: ANN401 - JSON
    events.record(session, kind, **{"about": ONE, "by": "notifier", "now": NOON, **about})
    return events.latest(session, limit=1)[0]


def test_events_are_read_in_the_order_in_which_they_happened(session: Session) -> None:
    first = [EventKind.NOTICE_RAISED, EventKind.NOTICE_SENT, EventKind.NOTICE_RECEIVED]
    events.record_all(session, [Happened(kind=kind, about=ONE) for kind in first], by="notifier", now=NOON)
    record(session, EventKind.NOTICE_LAPSED, now=LATER)

    kinds = [event.kind.value for event in events.history(session)]
    assert kinds == ["notice.raised", "notice.sent", "notice.received", "notice.lapsed"]
    assert [event.kind.value for event in events.latest(session, limit=2)] == ["notice.lapsed", "notice.received"]


def test_the_history_of_a_thing_holds_what_is_about_it_or_its_announcement(session: Session) -> None:
    about, within = record(session, about=ONE), record(session, about=OTHER, announcement=ONE)
    elsewhere = record(session, about=OTHER)

    assert events.history(session, about=ONE) == [about, within]
    assert events.history(session, about=OTHER) == [within, elsewhere]
    assert events.latest(session, announcement=ONE) == [within]


def test_the_history_is_read_page_by_page(session: Session) -> None:
    every = [record(session) for _ in range(5)]

    first = events.history(session, limit=3)
    second = events.history(session, after=first[-1].id or 0, limit=3)

    assert first + second == every


def test_the_body_of_an_event_says_what_when_and_about_what(session: Session) -> None:
    event = record(session, announcement=OTHER, company="Société Exemple", object_by="2026-04-03")

    assert json.loads(events.body(event)) == {
        "type": "notice.sent",
        "timestamp": "2026-03-02T12:00:00+00:00",
        "data": {
            "sequence": event.id,
            "by": "notifier",
            "about": str(ONE),
            "announcement": str(OTHER),
            "company": "Société Exemple",
            "object_by": "2026-04-03",
        },
    }


def test_thousands_are_recorded_in_their_order_whatever_they_hold(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "TOGETHER", 7)
    held = [{"n": n, "said": "a “quoted” \\ \n line", "empty": None, "list": [True, {"deep": 1.5}]} for n in range(40)]
    happened = [Happened(kind=EventKind.NOTICE_RAISED, about=ONE, data=data) for data in held]
    happened[3] = Happened(kind=EventKind.NOTICE_UNREACHED, about=OTHER, announcement=ONE, data={})

    events.record_all(session, happened, by="user:ana", now=LATER)
    events.record_all(session, [], by="user:ana", now=LATER)

    told = events.history(session)
    assert [(one.kind, one.about_id, one.announcement_id, one.data) for one in told] == [
        (one.kind, one.about, one.announcement, one.data) for one in happened
    ]
    assert {(one.by, one.at) for one in told} == {("user:ana", LATER)}
    ids = [one.id or 0 for one in told]
    assert ids == sorted(set(ids))


def test_each_endpoint_is_owed_the_events_it_asked_for_with_the_number_of_each(session: Session) -> None:
    asked = {"all": [], "some": ["notice.sent"], "off": []}
    made = {
        name: Endpoint(url=f"https://{name}.example", sealed_secret="", kinds=kinds, created_at=NOON, created_by="t")
        for name, kinds in asked.items()
    }
    made["off"].enabled = False
    session.add_all(made.values())
    kinds = [EventKind.NOTICE_RAISED, EventKind.NOTICE_SENT, EventKind.NOTICE_RAISED, EventKind.NOTICE_SENT]

    events.record_all(
        session, [Happened(kind=kind, about=ONE, data={"n": n}) for n, kind in enumerate(kinds)], by="test", now=NOON
    )

    recorded = {one.id: one for one in events.history(session)}
    owed = session.exec(select(WebhookDelivery).order_by(col(WebhookDelivery.event_id))).all()
    by_endpoint = {
        name: [recorded[one.event_id].data["n"] for one in owed if one.endpoint_id == endpoint.id]
        for name, endpoint in made.items()
    }
    assert by_endpoint == {"all": [0, 1, 2, 3], "some": [1, 3], "off": []}
    assert [one.body for one in owed] == [events.body(recorded[one.event_id]) for one in owed]
    assert {(one.state.value, one.attempt, one.due_at) for one in owed} == {("waiting", 0, NOON)}
    assert doorbell.rung(session) == {doorbell.Bell.WEBHOOKS}


def test_an_event_that_nobody_listens_for_rings_no_bell(session: Session) -> None:
    record(session)

    assert doorbell.rung(session) == set()
    assert session.exec(select(WebhookDelivery)).all() == []


def test_a_whole_story_leaves_no_name_no_address_and_no_persons_words_in_the_log_or_in_a_webhook(
    session: Session, desk: Desk
) -> None:
    session.add(Endpoint(url="https://hooks.example/", sealed_secret="x", created_at=NOON, created_by="user:1"))
    personal = ["@", "Camille", "Zélie", "Ana", "too far away", "registered letter", "burnt down", "settled by phone"]
    make_provider(session)
    ana = make_user(session, name="Ana Petit")
    contacts = [{"name": "Camille Roy", "email": f"{who}@acme.example"} for who in ("camille", "dominique")]
    told = make_client(session, "C-1", contacts=contacts)
    unreached = make_client(session, "C-2", contacts=[])
    announcement = make_announcement(session, desk)
    send_due(session, desk, now=NOON, verdicts={"dominique@acme.example": Verdict.REFUSED})
    token, notice_id = token_for(session, desk, "camille@acme.example"), notice_of(session, told).id

    users.spend(session, users.sign_in_token(session, ana, now=NOON), now=NOON)
    answers.acknowledge(session, desk, token, [notice_id], name="Camille Roy", now=LATER)
    for _ in range(2):
        answers.object_to(session, desk, token, notice_id, name="Zélie", reasons="It is too far away.", now=LATER)
        answers.withdraw(session, desk, token, notice_id, name="Zélie", now=LATER)
    answers.terminate(session, desk, token, notice_id, name="Zélie", reasons="It is too far away.", now=LATER)
    termination = answers.open_link(session, token, now=LATER).told[0].answers[-1]
    answers.settle(session, termination.id, note="Ana settled by phone.", by=f"user:{ana.id}", now=LATER)
    day = NOON.date()
    by_hand = notice_of(session, unreached).id
    notices.record_receipt(session, desk, by_hand, received_on=day, how="registered letter to Ana", by="u", now=LATER)
    refused, elsewhere = deliveries(session)[1], "zelie@acme.example"
    outbox.repeat(session, desk, refused.id, address=elsewhere, notice_id=notice_id, by="u", now=LATER)
    send_due(session, desk, now=LATER)
    asked = overrides.ask(
        session,
        announcement.id,
        OverrideKind.BREACH,
        reasons={"en": "Ana: it burnt down.", "fr": "Ana : il a brûlé."},
        measures={"en": "Zélie keeps the keys.", "fr": "Zélie garde les clés."},
        by=f"user:{ana.id}",
        now=LATER,
    )
    going_live.breach(session, desk, asked.id, by="user:bob", now=LATER)

    said = [json.dumps(event.data, ensure_ascii=False) for event in session.exec(select(Event))]
    posted = session.exec(select(WebhookDelivery.body)).all()
    assert len(said) == len(posted) > 25
    assert {event.kind for event in events.history(session)} >= {
        EventKind.ANSWER_RECORDED,
        EventKind.ANSWER_CLOSED,
        EventKind.NOTICE_RECEIVED,
        EventKind.DELIVERY_REPEATED,
        EventKind.ANNOUNCEMENT_BREACHED,
    }
    assert [word for word in personal for text in [*said, *posted] if word in text] == []
    assert any("Company C-1" in text for text in posted)  # a company is no person
