"""Looking at pages and at a relay from outside, with servers of our own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from notifier.adapters.checkup import Unreachable, ask, greet
from notifier.adapters.smtp import Relay
from tests.faults.certificates import Certificates, make_certificates
from tests.sink import Fault, Sink


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


@contextmanager
def served(tls: ssl.SSLContext | None = None) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Pages) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(5)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def relay(port: int, ca_file: Path | None = None, **said: str) -> Relay:
    return Relay(**{"host": "127.0.0.1", "port": port, "security": "none", "ca_file": ca_file, **said})  # type: ignore[arg-type] # a few of its fields


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_in_clear_have_a_clock_and_no_certificate() -> None:
    with served() as port:
        answered = ask(f"http://127.0.0.1:{port}/healthz")

    assert (answered.status, answered.certificate_ends) == (200, None)
    assert answered.date is not None


def test_a_certificate_says_when_it_ends(certificates: Certificates) -> None:
    with served(certificates.server("good")) as port:
        answered = ask(f"https://127.0.0.1:{port}/healthz", ca_file=str(certificates.authority))

    assert answered.status == 200
    assert answered.certificate_ends is not None
    assert answered.certificate_ends.year == 2035


@pytest.mark.parametrize("name", ["wrong_name", "expired", "self_signed"])
def test_a_certificate_that_a_browser_would_refuse_is_refused(certificates: Certificates, name: str) -> None:
    with served(certificates.server(name)) as port, pytest.raises(Unreachable, match="its certificate is not valid"):
        ask(f"https://127.0.0.1:{port}/healthz", ca_file=str(certificates.authority))


def test_pages_that_are_not_there_do_not_answer() -> None:
    with pytest.raises(Unreachable, match="it does not answer"):
        ask("http://127.0.0.1:1/healthz")


# --- the relay -------------------------------------------------------------------------------------------------------


def test_a_relay_is_greeted_in_safety_and_signed_in_to_and_nothing_is_sent(certificates: Certificates) -> None:
    with Sink(tls=certificates.server("good"), password="open sesame") as sink:
        said = {"security": "starttls", "username": "ana", "password": "open sesame"}
        greeted = greet(relay(sink.port, certificates.authority, **said))

    assert greeted.tls.startswith("TLSv1.")
    assert {"PIPELINING", "SIZE", "8BITMIME"} <= set(greeted.extensions)
    assert sink.mails == []
    assert not any(command.startswith("MAIL") for command in sink.commands)


def test_a_wrong_password_is_found_and_not_repeated(certificates: Certificates) -> None:
    with Sink(tls=certificates.server("good"), password="open sesame") as sink:
        said = {"security": "starttls", "username": "ana", "password": "close sesame"}
        with pytest.raises(Unreachable, match="AUTH: 5") as refused:
            greet(relay(sink.port, certificates.authority, **said))

    assert "sesame" not in str(refused.value)


def test_a_relay_without_tls_or_with_a_certificate_of_somebody_else_is_refused(certificates: Certificates) -> None:
    with Sink() as sink, pytest.raises(Unreachable, match="STARTTLS"):
        greet(relay(sink.port, security="starttls"))
    with (
        Sink(tls=certificates.server("wrong_name")) as sink,
        pytest.raises(Unreachable, match="its certificate is not valid"),
    ):
        greet(relay(sink.port, certificates.authority, security="starttls"))


def test_a_relay_that_is_busy_or_away_is_said_to_be() -> None:
    with Sink(fault=Fault.BUSY) as sink, pytest.raises(Unreachable, match="421"):
        greet(relay(sink.port))
    with pytest.raises(Unreachable, match="connecting"):
        greet(relay(1))
