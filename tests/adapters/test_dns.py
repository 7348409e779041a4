"""Asking name servers, of which one stands on this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from notifier.adapters.dns import NoAnswer, texts_of

ZONE = {
    "hosting.example.": ['"v=spf1 -all"', '"other"'],
    "s1._domainkey.hosting.example.": ['"v=DKIM1; " "p=MIGf" "MA0"'],
    "empty.example.": [],
}


@contextmanager
def name_server(zone: Mapping[str, Sequence[str]]) -> Iterator[int]:
    """Answers for TXT over UDP; a name that it does not hold does not exist."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        stopped = threading.Event()
        thread = threading.Thread(target=_serve, args=(server, zone, stopped), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        stopped.set()
        thread.join(5)


def _serve(server: socket.socket, zone: Mapping[str, Sequence[str]], stopped: threading.Event) -> None:
    while not stopped.is_set():
        try:
            asked, whom = server.recvfrom(4096)
        except TimeoutError:
            continue
        query = dns.message.from_wire(asked)
        answer = dns.message.make_response(query)
        name = query.question[0].name.to_text()
        if name not in zone:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif zone[name]:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *zone[name]))
        answer.flags |= dns.flags.RA
        server.sendto(answer.to_wire(), whom)


def resolver(port: int) -> dns.resolver.Resolver:
    made = dns.resolver.Resolver(configure=False)
    made.nameservers, made.port = ["127.0.0.1"], port
    return made


def test_texts_come_back_whole_however_they_are_cut() -> None:
    with name_server(ZONE) as port:
        texts = texts_of(resolver(port))

        assert sorted(texts("hosting.example")) == ["other", "v=spf1 -all"]  # of a set, in whatever order
        assert texts("s1._domainkey.hosting.example") == ["v=DKIM1; p=MIGfMA0"]


@pytest.mark.parametrize("name", ["nowhere.example", "empty.example"])
def test_a_name_without_texts_has_none(name: str) -> None:
    with name_server(ZONE) as port:
        assert texts_of(resolver(port))(name) == []


def test_a_dead_name_server_says_nothing_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifier.adapters.dns.PATIENCE", 0.3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(NoAnswer, match="no name server answers for hosting"):
            texts_of(resolver(silent.getsockname()[1]))("hosting.example")


def test_a_name_that_is_none_is_no_crash() -> None:
    with pytest.raises(NoAnswer):
        texts_of(resolver(1))("a..b")
