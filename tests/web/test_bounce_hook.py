"""What a mail provider posts: who may, in which form, and what is answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from notifier.adapters.http import new_secret, sign
from notifier.models import BounceMail
from notifier.rules.delivery_states import DeliveryState
from notifier.runtime import Runtime, now
from tests.factories import NOON, make_announcement, make_app, make_client, make_provider, make_runtime
from tests.services.stories import deliveries, send_due

SECRET, TOKEN = new_secret(), "a-token-that-nobody-guesses"


def make(database_url: str, folder: Path, secret: str) -> Runtime:
    bounces = {"webhook_secret": SecretStr(secret)}
    return make_runtime(database_url, folder, bounces=bounces, mail={"bounce_address": "bounces@hosting.example"})


@pytest.fixture
def runtime(database_url: str, tmp_path: Path) -> Iterator[Runtime]:
    runtime = make(database_url, tmp_path / "data", SECRET)
    yield runtime
    runtime.close()


@pytest.fixture
def provider(runtime: Runtime) -> FlaskClient:
    return make_app(runtime).test_client()


def bounce(runtime: Runtime) -> bytes:
    """A mail that came back for the one that has been sent."""
    with runtime.transaction() as session:
        make_provider(session)
        make_client(session)
        make_announcement(session, runtime.desk)
        mails = send_due(session, runtime.desk, now=NOON)
    return (
        b"Return-Path: <>\r\nDelivered-To: " + mails[0].sender.encode() + b"\r\nFrom: MAILER-DAEMON@relay.example\r\n"
        b"To: "
        + mails[0].sender.encode()
        + b"\r\nSubject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\n<dpo@c-001.example>: 550 5.1.1 User unknown\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n"
        b"Final-Recipient: rfc822; dpo@c-001.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\r\n--b--\r\n"
    )


def signed(body: bytes, *, secret: str = SECRET, ago: timedelta = timedelta()) -> dict[str, str]:
    return sign(secret, f"msg_{uuid4().hex}", now() - ago, body)


def state(runtime: Runtime) -> DeliveryState:
    with Session(runtime.engine) as session:
        return deliveries(session)[0].state


def test_a_signed_mail_is_taken_in(runtime: Runtime, provider: FlaskClient) -> None:
    mail = bounce(runtime)

    answer = provider.post("/hooks/bounces", data=mail, content_type="message/rfc822", headers=signed(mail))

    assert (answer.status_code, answer.data) == (204, b"")
    assert state(runtime) is DeliveryState.REFUSED
    with Session(runtime.engine) as session:
        kept = session.exec(select(BounceMail)).one()
    assert (kept.how, kept.kind, kept.content) == ("webhook", "failed", mail)


@pytest.mark.parametrize("form", ["raw", "base64", "lines"])
def test_a_mail_may_come_in_json_as_text_or_base64(runtime: Runtime, provider: FlaskClient, form: str) -> None:
    mail = bounce(runtime)
    texts = {"raw": mail, "base64": base64.b64encode(mail), "lines": base64.encodebytes(mail)}
    body = json.dumps({"message": texts[form].decode()}).encode()

    answer = provider.post("/hooks/bounces", data=body, content_type="application/json", headers=signed(body))

    assert answer.status_code == 204
    assert state(runtime) is DeliveryState.REFUSED


def test_the_same_mail_is_taken_in_once_however_often_it_is_posted(runtime: Runtime, provider: FlaskClient) -> None:
    mail = bounce(runtime)

    answers = [
        provider.post("/hooks/bounces", data=mail, content_type="message/rfc822", headers=signed(mail)).status_code
        for _ in range(3)
    ]

    assert answers == [204] * 3
    with Session(runtime.engine) as session:
        assert len(session.exec(select(BounceMail)).all()) == 1


@pytest.mark.parametrize("wrong", ["none", "other body", "other secret", "old", "early", "garbled", "bearer"])
def test_what_is_not_signed_is_refused(runtime: Runtime, provider: FlaskClient, wrong: str) -> None:
    mail = b"Subject: failed\r\n\r\nno"
    headers = {
        "none": {},
        "other body": signed(mail + b"!"),
        "other secret": signed(mail, secret=new_secret()),
        "old": signed(mail, ago=timedelta(minutes=6)),
        "early": signed(mail, ago=timedelta(minutes=-6)),
        "garbled": {"webhook-id": "a.b", "webhook-timestamp": "9" * 40, "webhook-signature": "v1,é"},
        "bearer": {"Authorization": "Bearer wrong"},
    }[wrong]

    answer = provider.post("/hooks/bounces", data=mail, content_type="message/rfc822", headers=headers)

    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert json.loads(answer.data)["status"] == 401
    with Session(runtime.engine) as session:
        assert session.exec(select(BounceMail)).all() == []


@pytest.mark.parametrize("secret", [SECRET, TOKEN], ids=["whsec", "plain"])
def test_the_secret_may_be_brought_as_a_token(database_url: str, tmp_path: Path, secret: str) -> None:
    runtime = make(database_url, tmp_path / "own", secret)
    mail, headers = bounce(runtime), {"Authorization": f"Bearer {secret}"}

    answer = (
        make_app(runtime)
        .test_client()
        .post("/hooks/bounces", data=mail, content_type="message/rfc822", headers=headers)
    )

    assert answer.status_code == 204
    assert state(runtime) is DeliveryState.REFUSED
    runtime.close()


def test_without_a_secret_nothing_is_taken_in(database_url: str, tmp_path: Path) -> None:
    runtime = make(database_url, tmp_path / "own", "")

    answer = make_app(runtime).test_client().post("/hooks/bounces", data=b"x", headers={"Authorization": "Bearer "})

    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    runtime.close()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"message": ""}', b'{"message": 1}', b'{"message": "%%%"}', b"[" * 100_000]
)
def test_what_holds_no_mail_is_refused_with_what_to_send(provider: FlaskClient, body: bytes) -> None:
    answer = provider.post("/hooks/bounces", data=body, content_type="application/json", headers=signed(body))

    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert "mail" in json.loads(answer.data)["detail"]


def test_a_mail_that_is_too_large_is_refused(provider: FlaskClient) -> None:
    answer = provider.post("/hooks/bounces", data=b"x" * (7 * 1024 * 1024), content_type="message/rfc822")

    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")


def test_when_the_database_is_away_it_is_asked_for_again(
    runtime: Runtime, provider: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = bounce(runtime)

    def fail(*_args: object, **_named: object) -> None:
        raise OperationalError("", {}, Exception("away"))

    monkeypatch.setattr("notifier.services.bounces.take_in", fail)
    answer = provider.post("/hooks/bounces", data=mail, content_type="message/rfc822", headers=signed(mail))

    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")


def test_nothing_is_to_be_seen_there(provider: FlaskClient) -> None:
    assert provider.get("/hooks/bounces").status_code == 405
