"""Mails handed over by LMTP: what is answered, when, and what is taken."""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from notifier.adapters.lmtp import LARGEST, LmtpServer

BOUNCES, TAGGED = "bounces@hosting.example", "Bounces+abc@HOSTING.example"
MAIL = b"Subject: failed\r\n\r\n.a line that begins with a dot\r\n"


@contextmanager
def listening(take: Callable[[bytes], object], address: str = BOUNCES) -> Iterator[smtplib.LMTP]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = LmtpServer(host="127.0.0.1", port=port, bounce_address=address, take=take)
    server.start()
    try:
        with smtplib.LMTP("127.0.0.1", port, timeout=20) as client:
            yield client
    finally:
        server.stop()


def test_a_mail_is_taken_with_the_lines_that_its_delivery_adds() -> None:
    taken: list[bytes] = []
    with listening(taken.append) as client:
        assert client.sendmail("", [TAGGED], MAIL) == {}
        client.sendmail("relay@elsewhere.example", [BOUNCES], MAIL)

    assert taken == [
        b"Return-Path: <>\r\nDelivered-To: Bounces+abc@HOSTING.example\r\n" + MAIL,
        b"Return-Path: <relay@elsewhere.example>\r\nDelivered-To: bounces@hosting.example\r\n" + MAIL,
    ]


def test_it_is_answered_after_it_has_been_taken() -> None:
    committed, answered = threading.Event(), threading.Event()

    def take(_content: bytes) -> None:
        assert not answered.wait(0.2)
        committed.set()

    with listening(take) as client:
        client.sendmail("", [BOUNCES], MAIL)
        answered.set()

    assert committed.is_set()


def test_a_mail_that_cannot_be_taken_is_asked_for_again() -> None:
    tries: list[bytes] = []

    def take(content: bytes) -> None:
        tries.append(content)
        if len(tries) == 1:
            raise OSError

    with listening(take) as client:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("", [BOUNCES], MAIL)
        client.sendmail("", [BOUNCES], MAIL)

    assert refused.value.smtp_code == 451
    assert len(tries) == 2


@pytest.mark.parametrize(
    "address", ["boss@hosting.example", "bounces@elsewhere.example", "bouncesabc@hosting.example", "bounces"]
)
def test_nobody_else_s_mail_is_taken(address: str) -> None:
    taken: list[bytes] = []
    with listening(taken.append) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail("", [address], MAIL)

    assert refused.value.recipients[address][0] in {501, 550}
    assert taken == []


def test_one_recipient_is_taken_at_a_time() -> None:
    taken: list[bytes] = []
    with listening(taken.append) as client:
        refused = client.sendmail("", [BOUNCES, TAGGED], MAIL)

    assert refused[TAGGED][0] == 452
    assert len(taken) == 1


def test_a_mail_that_is_too_large_is_refused() -> None:
    taken: list[bytes] = []
    with listening(taken.append) as client, pytest.raises(smtplib.SMTPResponseException) as refused:
        client.sendmail("", [BOUNCES], b"x" * (LARGEST + 1))

    assert refused.value.smtp_code == 552
    assert taken == []


def test_it_speaks_lmtp_and_not_smtp() -> None:
    with listening(len) as client:
        client.docmd("EHLO", "relay.example")
        assert client.docmd("EHLO", "relay.example")[0] == 500


def test_who_listens_where_somebody_else_does_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = LmtpServer(host="127.0.0.1", port=taken.getsockname()[1], bounce_address=BOUNCES, take=len)
        with pytest.raises(OSError, match="in use"):
            server.start()
        server.stop()
