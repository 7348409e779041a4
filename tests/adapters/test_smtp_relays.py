"""What a relay may ask of us besides: OAuth, a key in front of a mail, a signature; and whom a no is about."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notifier.adapters.http import GuardedClient
from notifier.adapters.oauth import Grant, Tokens
from notifier.adapters.sending import Blame, Mail, Outcome, Verdict
from notifier.adapters.smtp import Relay, SmtpSender, Timeouts
from notifier.runtime import now
from tests import sink as sinks
from tests.sink import Fault, Sink

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHORT = Timeouts(connect=2, greeting=1, mail=1, rcpt=1, data=1, block=2, dot=1)


def make_mail() -> Mail:
    return Mail(
        delivery_id=uuid4(), attempt=1, sha256="", sender="notices@hosting.example", recipient="ana@Client.example",
        content=b"Message-ID: <1@hosting.example>\r\n\r\nBonjour.\r\n",
    )  # fmt: skip


def send(sink: Sink, *mails: Mail, **relay: Any) -> list[Outcome]:  # noqa: ANN401 - what a relay is made of
    said = {"host": "127.0.0.1", "port": sink.port, "security": "none", "timeouts": SHORT, **relay}
    with closing(SmtpSender(Relay(**said))) as sender:
        held, outcomes = sender.hold(mails)
        return outcomes + sender.release(held)


# --- whom a no is about ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "blame"),
    [
        (Fault.BUSY, Blame.RELAY),
        (Fault.TIRED, Blame.RELAY),
        (Fault.RUDE, Blame.SETUP),
        (Fault.LOGIN_NEEDED, Blame.SETUP),
        (Fault.SENDER_REFUSED, Blame.SETUP),
        (Fault.GREYLIST, Blame.NONE),
        (Fault.STORAGE, Blame.NONE),
        (Fault.NO_SUCH_PERSON, Blame.NONE),
        (Fault.RESET_IN_BODY, Blame.NONE),
        (Fault.CUT_AFTER_ACCEPTING, Blame.NONE),
    ],
)
def test_a_no_is_the_relays_the_operators_or_the_mails(fault: Fault, blame: Blame) -> None:
    with Sink(fault=fault) as sink:
        [outcome] = send(sink, make_mail())

    assert (outcome.blame, outcome.domain) == (blame, "client.example")


def test_a_relay_that_is_not_there_is_to_blame() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = Sink(port=free.getsockname()[1])
    [outcome] = send(gone, make_mail())

    assert (outcome.verdict, outcome.blame) == (Verdict.DEFERRED, Blame.RELAY)


def test_a_relay_without_starttls_asks_for_a_person() -> None:
    with Sink() as sink:
        [outcome] = send(sink, make_mail(), security="starttls")

    assert outcome.blame is Blame.SETUP


# --- in front of a mail ----------------------------------------------------------------------------------------------


def test_a_key_goes_in_front_of_each_mail_and_is_counted_in_its_size() -> None:
    mails = [make_mail() for _ in range(4)]
    with Sink() as sink:
        outcomes = send(sink, *mails, sessions=4, idempotency_header="Resend-Idempotency-Key")

    keys = {f"Resend-Idempotency-Key: {mail.delivery_id}\r\n".encode() + mail.content for mail in mails}
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert set(sink.contents) == keys
    size = len(next(iter(keys)))
    assert any(f"SIZE={size}" in command for command in sink.commands)


def test_a_signature_goes_in_front_of_the_mail_and_the_key_before_it() -> None:
    mail = make_mail()
    with Sink() as sink:
        send(sink, mail, sign=lambda content: b"Signature: x\r\n" + content, idempotency_header="X-Idempotency-Key")

    assert sink.contents == [f"X-Idempotency-Key: {mail.delivery_id}\r\nSignature: x\r\n".encode() + mail.content]


# --- XOAUTH2 ---------------------------------------------------------------------------------------------------------


class OAuthSink(Sink):
    """Takes one access token, and says why it takes no other (334), as Microsoft and Google do."""

    good = "user=notices@hosting.example\x01auth=Bearer token-2\x01\x01"
    offers = "AUTH LOGIN XOAUTH2"


class _Talk(sinks.Talk):
    def offered(self) -> list[str]:
        offered = [one for one in super().offered() if not one.startswith("AUTH")]
        offers = self.sink.offers if isinstance(self.sink, OAuthSink) else ""
        return offered if "STARTTLS" in offered else [*offered, offers]

    async def obey(self, line: str) -> None:
        if not line.startswith("AUTH XOAUTH2 "):
            await super().obey(line)
            return
        self.sink.commands.append(line)
        if base64.b64decode(line.split()[2]).decode() == OAuthSink.good:
            await self.say("235 2.7.0 welcome")
            return
        await self.say("334 " + base64.b64encode(b'{"status":"400"}').decode())
        answer = (await self.reader.readline()).decode()
        self.sink.commands.append(f"answer {answer!r}")
        await self.say("535 5.7.3 Authentication unsuccessful")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's certificate for 127.0.0.1, and the file by which it is trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = tmp_path / "relay.pem", tmp_path / "relay.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return context, file


@pytest.fixture
def tokens() -> Tokens:
    """Gives token-1, then token-2, and so on."""
    numbers = iter(range(1, 100))

    def give(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"access_token": f"token-{next(numbers)}", "expires_in": 3600})

    http = GuardedClient(now=lambda: NOON, transport=httpx.MockTransport(give))
    return Tokens(Grant(token_url="https://login.example/token", client_id="us"), http, now=lambda: NOON)


@pytest.fixture
def oauth_sink(certificate: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthSink]:
    monkeypatch.setattr(sinks, "Talk", _Talk)
    with OAuthSink(tls=certificate[0]) as sink:
        yield sink


def test_a_refused_token_is_asked_for_anew_and_the_challenge_is_answered_by_an_empty_line(
    oauth_sink: OAuthSink, certificate: tuple[ssl.SSLContext, Path], tokens: Tokens
) -> None:
    relay: dict[str, Any] = {
        "security": "starttls", "ca_file": certificate[1], "tokens": tokens, "username": "notices@hosting.example",
    }  # fmt: skip

    [refused] = send(oauth_sink, make_mail(), **relay)
    [taken] = send(oauth_sink, make_mail(), **relay)

    assert (refused.verdict, refused.code, refused.blame) == (Verdict.DEFERRED, 535, Blame.SETUP)
    assert r"answer '\r\n'" in oauth_sink.commands
    assert taken.verdict is Verdict.ACCEPTED
    assert "token-1" not in refused.reply


def test_a_relay_that_offers_no_xoauth2_asks_for_a_person(
    oauth_sink: OAuthSink, certificate: tuple[ssl.SSLContext, Path], tokens: Tokens
) -> None:
    oauth_sink.offers = "AUTH PLAIN"
    [outcome] = send(oauth_sink, make_mail(), security="starttls", ca_file=certificate[1], tokens=tokens, username="u")

    assert outcome.blame is Blame.SETUP
    assert "offers no XOAUTH2" in outcome.reply
