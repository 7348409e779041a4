from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import httpx
import pytest

from notifier.adapters.http import GuardedClient
from notifier.adapters.oauth import Grant, OAuthTrouble, Tokens, xoauth2

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GRANT = Grant(
    token_url="https://login.example/token",
    client_id="our-application",
    client_secret="a secret",
    scope="https://mail.example/.default",
)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Server:
    """Gives token-1, token-2, …, or answers as it is told."""

    def __init__(self, clock: Clock, grant: Grant = GRANT) -> None:
        self.asked: list[dict[str, str]] = []
        self.answer: Callable[[], httpx.Response] | None = None
        self.more: dict[str, object] = {"expires_in": 3600}
        http = GuardedClient(now=clock, transport=httpx.MockTransport(self._handle))
        self.tokens = Tokens(grant, http, now=clock)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(dict(parse_qsl(request.content.decode())))
        if self.answer:
            return self.answer()
        return httpx.Response(200, json={"access_token": f"token-{len(self.asked)}", **self.more})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Server:
    return Server(clock)


def test_the_application_asks_in_its_own_name(server: Server) -> None:
    assert server.tokens() == "token-1"
    assert server.asked == [
        {
            "grant_type": "client_credentials",
            "client_id": "our-application",
            "client_secret": "a secret",
            "scope": "https://mail.example/.default",
        }
    ]


def test_a_refresh_token_asks_in_a_persons_name_and_a_new_one_takes_its_place(clock: Clock) -> None:
    server = Server(clock, Grant(token_url=GRANT.token_url, client_id="us", refresh_token="first"))
    server.more = {"expires_in": 600, "refresh_token": "second"}

    server.tokens()
    clock.now += timedelta(hours=1)
    server.tokens()

    assert [asked["grant_type"] for asked in server.asked] == ["refresh_token"] * 2
    assert [asked["refresh_token"] for asked in server.asked] == ["first", "second"]


@pytest.mark.parametrize("expires_in", [3600, "3600"])
def test_a_token_is_kept_until_a_minute_before_its_end(clock: Clock, server: Server, expires_in: object) -> None:
    server.more = {"expires_in": expires_in}
    server.tokens()
    clock.now += timedelta(seconds=3539)
    assert server.tokens() == "token-1"
    clock.now += timedelta(seconds=1)
    assert server.tokens() == "token-2"


def test_a_token_that_the_server_refused_is_asked_for_anew(server: Server) -> None:
    server.tokens()
    server.tokens.forget()

    assert server.tokens() == "token-2"


def test_threads_that_need_a_token_at_once_ask_for_one(server: Server) -> None:
    start = threading.Barrier(8)

    def ask(_: int) -> str:
        start.wait()
        return server.tokens()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"token-1"}
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "words", "is_lasting"),
    [
        (httpx.Response(401, json={"error": "invalid_client"}), "invalid_client; check oauth's client_id", True),
        (httpx.Response(400, text="<html>"), "no access token: 400", True),
        (httpx.Response(503, text="busy"), "the token address answers 503", False),
        (httpx.Response(200, json={"token_type": "Bearer"}), "answers 200", False),
        (httpx.Response(200, json={"access_token": "a\r\nb", "expires_in": 3600}), "answers 200", False),
        (httpx.Response(200, json=["a token"]), "answers 200", False),
        (httpx.Response(302, headers={"location": "https://elsewhere.example/"}), "answers 302", False),
    ],
)
def test_without_a_token_it_is_said_what_to_do(
    server: Server, answer: httpx.Response, words: str, *, is_lasting: bool
) -> None:
    server.answer = lambda: answer

    with pytest.raises(OAuthTrouble, match=words) as trouble:
        server.tokens()

    assert trouble.value.lasting is is_lasting
    assert "a secret" not in str(trouble.value)


def test_an_address_that_does_not_answer_is_no_lasting_trouble(server: Server) -> None:
    def fail() -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    server.answer = fail

    with pytest.raises(OAuthTrouble, match="does not answer") as trouble:
        server.tokens()
    assert not trouble.value.lasting


def test_secrets_are_in_no_repr() -> None:
    assert "a secret" not in repr(GRANT)


def test_the_first_word_of_xoauth2_names_user_and_token() -> None:
    assert xoauth2("notices@hosting.example", "abc") == b"user=notices@hosting.example\x01auth=Bearer abc\x01\x01"
