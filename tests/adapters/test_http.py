import base64
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import httpx
import pytest
from ssrfguard import Resolver
from standardwebhooks import Webhook

from notifier.adapters.http import Answer, GuardedClient, new_secret, sign

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
URL = "https://hooks.client.example/in"


def client_for(answer: Callable[[httpx.Request], httpx.Response]) -> GuardedClient:
    return GuardedClient(now=lambda: NOON, transport=httpx.MockTransport(answer))


def post(client: GuardedClient, url: str = URL, headers: Mapping[str, str] | None = None) -> Answer:
    return client.post(url, content=b'{"n": 1}', headers=headers or {"content-type": "application/json"})


def answer_with(response: httpx.Response) -> Answer:
    with closing(client_for(lambda _: response)) as client:
        return post(client)


def resolving_to(*addresses: str) -> Resolver:
    def resolve(_host: str, port: int, *_: object) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    return resolve


@contextmanager
def serving(speak: Callable[[socket.socket], None]) -> Iterator[int]:
    """A bare server on loopback: for each connection it reads the request once and then lets `speak` answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    try:
                        speak(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@contextmanager
def local_client(port: int, total_seconds: float = 15) -> Iterator[GuardedClient]:
    """A client whose operator allows loopback."""
    with closing(
        GuardedClient(
            now=lambda: NOON, allowed_networks=["127.0.0.0/8"], allowed_ports=[port], total_seconds=total_seconds
        )
    ) as client:
        yield client


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_post_arrives_with_its_bytes_and_headers_and_its_answer_comes_back() -> None:
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"key": "DPO-1"})

    with closing(client_for(take)) as client:
        answer = post(client, headers={"webhook-id": "msg_1"})

    assert (answer.status, answer.reason, answer.ok) == (201, "", True)
    assert json.loads(answer.body) == {"key": "DPO-1"}
    assert (seen[0].method, seen[0].content, seen[0].headers["webhook-id"]) == ("POST", b'{"n": 1}', "msg_1")
    assert seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("method", "content", "length"), [("POST", b"{}", "2"), ("POST", b"", "0"), ("PUT", b"", "0"), ("GET", b"", None)]
)
def test_a_request_says_how_long_it_is_and_whom_it_is_for(method: str, content: bytes, length: str | None) -> None:
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    with closing(client_for(take)) as client:
        assert client.request(method, "https://HOOKS.client.example:443/in?a=1", content=content, headers={}).ok

    assert seen[0].headers.get("content-length") == length
    assert (seen[0].headers["host"], seen[0].url.raw_path) == ("hooks.client.example", b"/in?a=1")


def test_other_methods_serve_ticket_systems() -> None:
    with closing(client_for(lambda request: httpx.Response(200, text=request.method))) as client:
        assert client.request("GET", URL, headers={}).body == b"GET"


def test_no_cookie_is_kept() -> None:
    seen: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204, headers={"set-cookie": "session=1; Path=/"})

    with closing(client_for(take)) as client:
        assert post(client).ok
        assert post(client).ok

    assert ["cookie" in request.headers for request in seen] == [False, False]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    asked = count()

    def redirect(_: httpx.Request) -> httpx.Response:
        next(asked)
        return httpx.Response(status, headers={"location": "http://169.254.169.254/latest"})

    with closing(client_for(redirect)) as client:
        answer = post(client)

    assert (answer.status, answer.ok, next(asked)) == (status, False, 1)


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("120.6", timedelta(seconds=120.6)),
        ("0", timedelta(0)),
        ("999999", timedelta(hours=24)),
        ("Mon, 02 Mar 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Mon, 09 Mar 2026 12:00:00 GMT", timedelta(hours=24)),
        ("Mon, 02 Mar 2026 11:00:00 GMT", None),
        ("Mon, 02 Mar 2026 12:05:00 -0000", timedelta(minutes=5)),
        ("-5", None),
        ("9" * 400, None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_obeyed_up_to_a_day(said: str | None, wait: timedelta | None) -> None:
    answer = answer_with(httpx.Response(429, headers={} if said is None else {"retry-after": said}))

    assert answer.retry_after == wait


def test_a_long_answer_is_cut_and_its_status_kept() -> None:
    answer = answer_with(httpx.Response(200, content=iter([b"x" * 10_000] * 100)))

    assert (answer.status, answer.ok, answer.reason, len(answer.body)) == (200, True, "too_large", 65_536)


def test_a_compressed_answer_is_never_unpacked() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    answer = answer_with(httpx.Response(200, headers={"content-encoding": "gzip"}, content=iter([bomb])))

    assert answer.body == bomb[:65_536]


def test_an_excerpt_is_one_short_clean_line() -> None:
    answer = answer_with(httpx.Response(500, content=b"\x1b[31mno\r\nroom\xff " + b"x" * 3000))

    assert answer.excerpt.startswith("[31mno room\ufffd xxx")
    assert len(answer.excerpt) == 500


# --- failures by name ------------------------------------------------------------------------------------------------


def test_a_body_that_drips_is_cut_by_the_whole_time_and_its_status_kept() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    with serving(drip) as port, local_client(port, total_seconds=0.5) as client:
        begun = time.monotonic()
        answer = post(client, f"http://127.0.0.1:{port}/")

    assert (answer.status, answer.reason) == (200, "timeout")
    assert time.monotonic() - begun < 2


def test_headers_that_drip_are_cut_by_the_whole_time() -> None:
    def drip(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(b"H")
            time.sleep(0.05)

    with serving(drip) as port, local_client(port, total_seconds=0.5) as client:
        begun = time.monotonic()
        answer = post(client, f"http://127.0.0.1:{port}/")

    assert (answer.status, answer.reason) == (None, "timeout")
    assert time.monotonic() - begun < 2


def test_a_connection_is_used_again_and_each_request_has_its_own_time() -> None:
    class Hello(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        ports: set[int] = set()  # noqa: RUF012  # one test, one server

        def do_POST(self) -> None:
            self.ports.add(self.client_address[1])
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with local_client(server.server_port, total_seconds=0.4) as client:
        for _ in range(4):
            assert post(client, f"http://127.0.0.1:{server.server_port}/").status == 204
            time.sleep(0.15)
    server.shutdown()
    server.server_close()

    assert len(Hello.ports) == 1


def test_head_and_body_leave_together() -> None:
    heard: list[bytes] = []

    def listen(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            heard.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        with local_client(port) as client:
            assert post(client, f"http://127.0.0.1:{port}/").status == 204

    assert heard[0].startswith(b"POST / HTTP/1.1\r\n")
    assert heard[0].endswith(b'\r\n\r\n{"n": 1}')


def test_an_answer_counts_that_came_before_the_request_was_read_to_its_end() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        time.sleep(0.2)

    with serving(refuse) as port, local_client(port) as client:
        answer = client.post(f"http://127.0.0.1:{port}/", content=b"x" * 30_000_000, headers={})

    assert (answer.status, answer.reason) == (413, "")


def test_a_request_that_is_not_taken_is_cut_by_the_whole_time() -> None:
    with serving(lambda _: time.sleep(2)) as port, local_client(port, total_seconds=0.5) as client:
        begun = time.monotonic()
        answer = client.post(f"http://127.0.0.1:{port}/", content=b"x" * 30_000_000, headers={})

    assert (answer.status, answer.reason) == (None, "timeout")
    assert time.monotonic() - begun < 4


def test_a_cut_and_a_lie_are_named() -> None:
    with serving(lambda connection: connection.sendall(b"SSH-2.0-what\r\n\r\n")) as port, local_client(port) as client:
        assert post(client, f"http://127.0.0.1:{port}/").reason == "protocol"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with local_client(port) as client:
        assert post(client, f"http://127.0.0.1:{port}/").reason == "connection"


def test_a_server_that_does_not_speak_tls_is_named() -> None:
    with (
        serving(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")) as port,
        local_client(port) as client,
    ):
        answer = post(client, f"https://127.0.0.1:{port}/")

    assert (answer.status, answer.reason) == (None, "tls")


def test_a_name_that_does_not_resolve_is_named() -> None:
    def nothing(*_: object) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with closing(GuardedClient(now=lambda: NOON, resolver=nothing)) as client:
        assert post(client).reason == "dns"


# --- pages -----------------------------------------------------------------------------------------------------------

PAGE = "https://www.supplier.example/legal/subprocessors"


def fetch(
    answer: Callable[[httpx.Request], httpx.Response], url: str = PAGE, **validators: str
) -> tuple[Answer, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(request)

    with closing(client_for(note)) as client:
        return client.get(url, **validators), asked


def test_a_page_comes_with_its_bytes_and_with_what_names_its_state() -> None:
    said = {"content-type": "text/html; charset=utf-8", "etag": 'W/"7"', "last-modified": "x", "set-cookie": "a=b"}

    answer, asked = fetch(lambda _: httpx.Response(200, headers=said, content=b"<table>"))

    assert (answer.ok, answer.reason, answer.body) == (True, "", b"<table>")
    assert answer.headers == {name: text for name, text in said.items() if name != "set-cookie"}
    assert "if-none-match" not in asked[0].headers


def test_a_page_that_has_not_changed_is_not_sent_again() -> None:
    answer, asked = fetch(lambda _: httpx.Response(304), etag='"7"', last_modified="Mon, 02 Mar 2026 12:05:00 GMT")

    assert (answer.status, answer.body) == (304, b"")
    assert asked[0].headers["if-none-match"] == '"7"'
    assert asked[0].headers["if-modified-since"] == "Mon, 02 Mar 2026 12:05:00 GMT"


def test_a_page_is_followed_within_its_own_host() -> None:
    def move(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/fr":
            return httpx.Response(200, content=b"list")
        return httpx.Response(302, headers={"location": "https://supplier.example/fr"})

    answer, asked = fetch(move)

    assert (answer.body, len(asked)) == (b"list", 2)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://other.example/list",
        "http://www.supplier.example/legal/subprocessors",
        "https://www.supplier.example:8443/",
        "http://169.254.169.254/latest",
        "https://ana:secret@www.supplier.example/",
        "//other.example/",
        "https://[::1",
    ],
)
def test_a_page_is_followed_nowhere_else(elsewhere: str) -> None:
    answer, asked = fetch(lambda _: httpx.Response(301, headers={"location": elsewhere}))

    assert (answer.ok, len(asked)) == (False, 1)
    assert answer.reason in {"moved", "refused_url"}
    assert "secret" not in answer.detail


def test_a_page_that_moves_in_circles_is_left_after_the_third_time() -> None:
    answer, asked = fetch(lambda _: httpx.Response(302, headers={"location": "/again"}))

    assert (answer.reason, len(asked)) == ("moved", 4)


def test_a_page_is_read_up_to_five_megabytes() -> None:
    whole, _ = fetch(lambda _: httpx.Response(200, content=iter([b"x" * 1_000_000] * 4)))
    cut, _ = fetch(lambda _: httpx.Response(200, content=iter([b"x" * 1_000_000] * 400)))

    assert (whole.reason, len(whole.body)) == ("", 4_000_000)
    assert (cut.reason, len(cut.body)) == ("too_large", 5_000_000)


def test_a_page_compressed_against_our_wish_is_no_page() -> None:
    packed = gzip.compress(b"<table>")

    answer, _ = fetch(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=iter([packed])))

    assert answer.reason == "protocol"


@pytest.mark.parametrize("url", ["https://10.0.0.1/list", "http://www.supplier.example/list", "file:///etc/passwd"])
def test_a_page_is_guarded_as_a_hook_is(url: str) -> None:
    with closing(GuardedClient(now=lambda: NOON)) as client:
        assert client.get(url).reason in {"refused_address", "refused_url"}


def test_no_name_of_a_page_leads_inside() -> None:
    with closing(GuardedClient(now=lambda: NOON, resolver=resolving_to("169.254.169.254"))) as client:
        assert client.get(PAGE).reason == "refused_address"


# --- where it may not go ---------------------------------------------------------------------------------------------

INWARD = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "224.0.0.1",
    "\u2460\u2461\u2466.0.0.1",
]


@pytest.mark.parametrize("host", INWARD)
def test_no_url_leads_inside(host: str) -> None:
    with closing(GuardedClient(now=lambda: NOON)) as client:
        answer = post(client, f"https://{host}/")

    assert answer.status is None
    assert answer.reason in {"refused_address", "refused_url"}


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
)
def test_no_name_leads_inside(address: str) -> None:
    for answers in ([address], ["93.184.216.34", address]):
        with closing(GuardedClient(now=lambda: NOON, resolver=resolving_to(*answers))) as client:
            assert post(client).reason == "refused_address"


def test_a_name_that_moves_after_the_check_leads_nowhere_else() -> None:
    asked = count()

    def rebinding(host: str, port: int, *rest: object) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
        return list(resolving_to("10.0.0.1" if next(asked) == 0 else "127.0.0.1")(host, port, *rest))

    with closing(GuardedClient(now=lambda: NOON, resolver=rebinding)) as client:
        assert post(client).reason == "refused_address"
    assert next(asked) == 1


def test_a_url_that_was_let_through_once_is_led_nowhere_else_by_its_name() -> None:
    asked = count()

    def moving(host: str, port: int, *rest: object) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
        return list(resolving_to("127.0.0.1" if next(asked) == 0 else "169.254.169.254")(host, port, *rest))

    with (
        serving(lambda connection: connection.sendall(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")) as port,
        closing(
            GuardedClient(now=lambda: NOON, allowed_networks=["127.0.0.0/8"], allowed_ports=[port], resolver=moving)
        ) as client,
    ):
        reasons = [post(client, f"http://hooks.inside.example:{port}/").reason for _ in range(3)]

    assert reasons == ["", "refused_address", "refused_address"]


def test_a_url_that_was_refused_is_refused_again() -> None:
    with closing(GuardedClient(now=lambda: NOON)) as client:
        assert {post(client, "https://10.0.0.1/").reason for _ in range(3)} == {"refused_address"}


def test_the_operators_networks_are_open_to_plain_http_and_no_others() -> None:
    with (
        serving(lambda connection: connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")) as port,
        local_client(port) as client,
    ):
        assert post(client, f"http://127.0.0.1:{port}/").status == 204
        assert post(client, f"http://127.0.0.1:{port + 1}/").reason == "refused_url"
        assert post(client, f"http://10.0.0.1:{port}/").reason == "refused_address"
        assert post(client, f"http://93.184.216.34:{port}/").reason == "refused_address"
        assert post(client, f"https://10.0.0.1:{port}/").reason == "refused_address"


@pytest.mark.parametrize(
    "url", ["", "hooks", "//x.example/", "https://", "file:///etc/passwd", "https://[::1", "https://a b/"]
)
def test_what_is_no_url_is_refused_and_not_raised(url: str) -> None:
    with closing(GuardedClient(now=lambda: NOON)) as client:
        assert post(client, url).reason == "refused_url"


def test_a_refusal_does_not_repeat_the_password_in_the_url() -> None:
    with closing(GuardedClient(now=lambda: NOON)) as client:
        answer = post(client, "https://ana:hunter2@x.example/")

    assert answer.reason == "refused_url"
    assert answer.detail
    assert "hunter2" not in answer.detail


@pytest.mark.parametrize(
    ("url", "word", "mot"),
    [
        ("http://x.example/", "https://", "https://"),
        ("ftp://x.example/", "https://", "https://"),
        ("x.example", "https://", "https://"),
        ("https://ana:secret@x.example/", "password", "mot de passe"),
        ("https://x.example:22/", "port", "port"),
        ("https://x.example:0/", "port", "port"),
        ("https://x.example:99999/", "complete", "complète"),
        ("https://192.168.0.1/", "private", "privé"),
        ("https:///path", "complete", "complète"),
        ("https://[::1", "complete", "complète"),
    ],
)
def test_a_url_that_can_never_be_right_is_told_in_a_sentence(url: str, word: str, mot: str) -> None:
    with closing(GuardedClient(now=lambda: NOON)) as client:
        assert word in (client.check_url(url) or "")
        assert mot in (client.check_url(url, "fr") or "")


def test_a_url_that_may_be_right_passes() -> None:
    with closing(GuardedClient(now=lambda: NOON, allowed_networks=["10.2.0.0/16"], allowed_ports=[8443])) as client:
        for url in (
            URL,
            "https://glpi.client.example:8443/",
            "https://10.2.0.9/",
            "http://10.2.0.9/",
            "http://glpi.client/",
        ):
            assert client.check_url(url) is None
        assert client.check_url("http://10.3.0.9/")


# --- signatures ------------------------------------------------------------------------------------------------------

KNOWN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_known_answer_of_the_standard() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)

    headers = sign(KNOWN, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("body", ["{}", '{"nom": "Zoé"}', '{"a": 1}\n', '"' + "x" * 1_000_000 + '"'])
def test_the_official_verifier_accepts_what_we_sign(body: str) -> None:
    secret = new_secret()
    at = datetime.fromtimestamp(time.time_ns() / 1e9, UTC)

    headers = sign(secret, "msg_1", at, body.encode())

    assert Webhook(secret).verify(body, headers) == json.loads(body)


def test_while_a_secret_changes_both_sign() -> None:
    new, old = new_secret(), new_secret()
    at = datetime.fromtimestamp(time.time_ns() / 1e9, UTC)

    headers = sign(f"{new} {old}", "msg_1", at, b"{}")

    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        assert Webhook(secret).verify("{}", headers) == {}


def test_a_new_secret_is_long_and_its_own() -> None:
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"))) for secret in secrets} == {32}


@pytest.mark.parametrize("size", [24, 25, 26, 64])
def test_a_secret_of_a_right_size_signs_with_and_without_prefix_and_padding(size: int) -> None:
    encoded = base64.b64encode(bytes(size)).decode()
    spellings = [f"whsec_{encoded}", encoded, f"whsec_{encoded.rstrip('=')}"]

    assert len({str(sign(secret, "msg_1", NOON, b"{}")) for secret in spellings}) == 1


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_",
        "whsec_***",
        "whsec_é",
        base64.b64encode(bytes(23)).decode(),
        base64.b64encode(bytes(65)).decode(),
        "",
        " ",
    ],
)
def test_a_secret_that_is_none_signs_nothing(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        sign(secret, "msg_1", NOON, b"{}")


@pytest.mark.parametrize("message_id", ["", "m.1", "é"])
def test_a_message_id_that_could_be_shifted_over_the_dot_signs_nothing(message_id: str) -> None:
    with pytest.raises(ValueError, match="message id"):
        sign(KNOWN, message_id, NOON, b"{}")


def test_a_private_authority_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GuardedClient(now=lambda: NOON, ca_file=tmp_path / "nowhere.pem")
