import hashlib
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, TypedDict, Unpack
from uuid import UUID, uuid4

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notifier.adapters.sending import Held, Mail, Outcome, Verdict
from notifier.adapters.smtp import Relay, SmtpSender, Timeouts
from tests.sink import BY_CHANCE, Fault, Sink

SHORT = Timeouts(connect=2, greeting=1, mail=1, rcpt=1, data=1, block=2, dot=1)
PASSWORD = "correct horse"


def make_mail(recipient: str = "ana@client.example", content: bytes | None = None, **fields: str) -> Mail:
    delivery = uuid4()
    text = f"Message-ID: <{delivery}@notifier.example>\r\nTo: {recipient}\r\n\r\nBonjour.\r\n"
    return Mail(
        delivery_id=delivery,
        attempt=1,
        sha256="",
        sender=fields.get("sender", "bounces+token@notifier.example"),
        recipient=recipient,
        content=text.encode() if content is None else content,
    )


class Wishes(TypedDict, total=False):
    """What a test wants otherwise than in `sending`."""

    security: Literal["none", "starttls", "tls"]
    ca_file: Path
    username: str
    password: str
    sessions: int
    mails_per_session: int
    seconds_per_session: float
    timeouts: Timeouts


@contextmanager
def sending(sink: Sink, **relay: Unpack[Wishes]) -> Iterator[SmtpSender]:
    """A sender, in clear unless told otherwise, to a running sink."""
    plain = Relay(host="127.0.0.1", port=sink.port, security="none", timeouts=SHORT, local_hostname="here.example")
    with closing(SmtpSender(replace(plain, **relay))) as sender:
        yield sender


def send(sender: SmtpSender, *mails: Mail) -> list[Outcome]:
    held, outcomes = sender.hold(mails)
    return outcomes + sender.release(held)


def send_one(sink: Sink, mail: Mail | None = None, **relay: Unpack[Wishes]) -> Outcome:
    with sink, sending(sink, **relay) as sender:
        [outcome] = send(sender, mail or make_mail())
        return outcome


# --- plain paths -----------------------------------------------------------------------------------------------------


def test_a_mail_arrives_byte_for_byte_with_its_envelope() -> None:
    mail = make_mail()

    with Sink() as sink, sending(sink) as sender:
        [outcome] = send(sender, mail)

    assert (outcome.delivery_id, outcome.verdict, outcome.code) == (mail.delivery_id, Verdict.ACCEPTED, 250)
    assert (outcome.reply, outcome.peer, outcome.tls) == ("2.0.0 taken as 1", f"127.0.0.1:{sink.port}", "")
    assert sink.contents == [mail.content]
    assert (sink.mails[0].sender, sink.mails[0].recipient) == (mail.sender, mail.recipient)


class Keeper(Message):
    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[object] = []

    def handle_message(self, message: object) -> None:
        self.bodies.append(message.get_payload())  # type: ignore[attr-defined]  # an email.message.Message


def test_a_mail_arrives_at_a_server_that_others_wrote() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keeper = Keeper()
    server = Controller(keeper, hostname="127.0.0.1", port=port)
    server.start()
    try:
        relay = Relay(host="127.0.0.1", port=port, security="none", timeouts=SHORT)
        with closing(SmtpSender(relay)) as sender:
            outcomes = send(sender, make_mail(), make_mail())
    finally:
        server.stop()

    assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 2
    assert keeper.bodies == ["Bonjour.\r\n"] * 2


@pytest.mark.parametrize("extensions", [("PIPELINING", "8BITMIME"), ("8BITMIME",)], ids=["pipelining", "line by line"])
@pytest.mark.parametrize("body", [b".", b"..\r\n.", b".\r\nMAIL FROM:<evil@x.example>\r\n", b"", "é\r\n".encode()])
def test_lines_that_begin_with_a_dot_arrive_unchanged(body: bytes, extensions: Sequence[str]) -> None:
    content = b"Subject: dots\r\n\r\n" + body
    sink = Sink(extensions=extensions)

    outcome = send_one(sink, make_mail(content=content))

    assert outcome.verdict == Verdict.ACCEPTED
    assert [received.removesuffix(b"\r\n") for received in sink.contents] == [content.removesuffix(b"\r\n")]


def test_a_message_may_begin_with_a_dot() -> None:
    sink = Sink()

    send_one(sink, make_mail(content=b".\r\n.\r\n"))

    assert sink.contents == [b".\r\n.\r\n"]


def test_size_and_body_are_declared_where_offered_and_kept_silent_where_not() -> None:
    mail = make_mail(content="Subject: x\r\n\r\né\r\n".encode())
    offering, bare = Sink(), Sink(extensions=())

    assert send_one(offering, mail).verdict == Verdict.ACCEPTED
    assert send_one(bare, make_mail()).verdict == Verdict.ACCEPTED

    assert f"MAIL FROM:<{mail.sender}> SIZE={len(mail.content)} BODY=8BITMIME" in offering.commands
    assert f"MAIL FROM:<{mail.sender}>" in bare.commands


def test_an_address_beyond_ascii_is_sent_where_offered_and_refused_where_not() -> None:
    offering, bare = Sink(), Sink(extensions=())

    assert send_one(offering, make_mail("zoé@client.example")).verdict == Verdict.ACCEPTED
    refused = send_one(bare, make_mail("zoé@client.example"))

    assert offering.mails[0].recipient == "zoé@client.example"
    assert (refused.verdict, refused.code) == (Verdict.REFUSED, None)
    assert "SMTPUTF8" in refused.reply
    assert bare.mails == []


def test_a_message_beyond_ascii_is_refused_where_8bitmime_is_not_offered() -> None:
    refused = send_one(Sink(extensions=()), make_mail(content="Subject: x\r\n\r\né\r\n".encode()))

    assert refused.verdict == Verdict.REFUSED
    assert "8BITMIME" in refused.reply


@pytest.mark.parametrize(
    "mail",
    [
        make_mail("ana@client.example\r\nRCPT TO:<eve@x.example>"),
        make_mail("ana @client.example"),
        make_mail("ana@client.example>"),
        make_mail("ana@client.example,bob@client.example"),
        make_mail("ana\u2028@client.example"),
        make_mail("ana\x00@client.example"),
        make_mail(""),
        make_mail("ana"),
        make_mail("a" * 250 + "@x.example"),
        make_mail(sender="us@notifier.example> SIZE=1"),
        make_mail(content=b"Subject: x\n\nbare\n"),
        make_mail(content=b"Subject: x\r\n\r\n\n.\nMAIL FROM:<x>\r\n"),
        make_mail(content=b"Subject: x\r\n\r\n\r.\r\r\n"),
    ],
)
def test_a_mail_that_could_smuggle_is_refused_before_any_byte_leaves(mail: Mail) -> None:
    with Sink() as sink, sending(sink) as sender:
        [outcome] = send(sender, mail)

    assert (outcome.verdict, outcome.code) == (Verdict.REFUSED, None)
    assert sink.connections == 0


def test_a_bounce_without_sender_may_leave() -> None:
    sink = Sink(extensions=())

    send_one(sink, make_mail(sender=""))

    assert "MAIL FROM:<>" in sink.commands


# --- rounds and sessions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["pipelining", "line by line"])
def test_ten_mails_go_over_ten_sessions_and_the_sessions_are_used_again(extensions: Sequence[str]) -> None:
    with Sink(extensions=extensions) as sink, sending(sink) as sender:
        for _ in range(3):
            outcomes = send(sender, *[make_mail() for _ in range(10)])
            assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 10

    assert (sink.connections, len(sink.mails)) == (10, 30)


def test_a_round_pays_for_the_way_once_and_not_once_a_mail() -> None:
    with Sink(pace=0.05) as sink, sending(sink) as sender:
        send(sender, *[make_mail() for _ in range(10)])
        begun = time.monotonic()
        send(sender, *[make_mail() for _ in range(10)])
        took = time.monotonic() - begun

    assert took < 10 * 4 * 0.05 / 2  # ten mails, four answers each; all of them side by side is 0.2


def test_more_mails_than_sessions_are_a_mistake_of_the_caller() -> None:
    with Sink() as sink, sending(sink, sessions=2) as sender:
        assert sender.capacity == 2
        with pytest.raises(ValueError, match="3 mails offered to 2 sessions"):
            sender.hold([make_mail() for _ in range(3)])


def test_dropping_sends_nothing_and_no_later_mail_pays_for_it() -> None:
    dropped, kept = make_mail("ana@client.example"), make_mail("bob@client.example")

    with Sink() as sink, sending(sink) as sender:
        held, outcomes = sender.hold([dropped, kept])
        assert (len(held), outcomes) == (2, [])
        sender.drop(held[:1])
        [outcome] = sender.release(held[1:])
        [later] = send(sender, make_mail("eve@client.example"))

    assert [outcome.verdict, later.verdict] == [Verdict.ACCEPTED] * 2
    assert [mail.recipient for mail in sink.mails] == ["bob@client.example", "eve@client.example"]


def test_nothing_is_accepted_while_a_mail_is_held() -> None:
    with Sink() as sink, sending(sink) as sender:
        held, _ = sender.hold([make_mail()])
        time.sleep(0.2)
        assert sink.mails == []
        sender.release(held)
        assert len(sink.mails) == 1


def test_a_held_mail_can_be_let_go_only_once() -> None:
    with Sink() as sink, sending(sink) as sender:
        held, _ = sender.hold([make_mail()])
        sender.release(held)
        for again in (sender.release, sender.drop):
            with pytest.raises(ValueError, match="already"):
                again(held)

    assert len(sink.mails) == 1


def test_a_session_is_retired_after_its_share_of_mails() -> None:
    with Sink() as sink, sending(sink, mails_per_session=2) as sender:
        for _ in range(5):
            send(sender, make_mail())

    assert sink.connections == 3
    assert sink.commands.count("QUIT") >= 2  # the last may come as the sink goes down


def test_a_session_is_retired_when_it_is_old() -> None:
    with Sink() as sink, sending(sink, seconds_per_session=0) as sender:
        for _ in range(3):
            send(sender, make_mail())

    assert sink.connections == 3


def test_a_session_that_the_relay_closed_meanwhile_costs_no_mail() -> None:
    with Sink() as first, sending(first) as sender:
        send(sender, make_mail())
    with Sink(port=first.port) as second:
        [outcome] = send(sender, make_mail())
        sender.close()

    assert outcome.verdict == Verdict.ACCEPTED
    assert len(second.mails) == 1


def test_a_closed_sender_can_be_used_again() -> None:
    with Sink() as sink, sending(sink) as sender:
        send(sender, make_mail())
        sender.close()
        [outcome] = send(sender, make_mail())

    assert outcome.verdict == Verdict.ACCEPTED
    assert sink.connections == 2


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["pipelining", "line by line"])
@pytest.mark.parametrize(
    ("fault", "verdict", "code", "accepted"),
    [
        (Fault.BUSY, Verdict.DEFERRED, 421, 0),
        (Fault.GREYLIST, Verdict.DEFERRED, 450, 0),
        (Fault.STORAGE, Verdict.DEFERRED, 452, 0),
        (Fault.LOGIN_NEEDED, Verdict.DEFERRED, 530, 0),
        (Fault.SENDER_REFUSED, Verdict.DEFERRED, 553, 0),  # said of us: it would refuse every recipient
        (Fault.NO_SUCH_PERSON, Verdict.REFUSED, 550, 0),
        (Fault.UNWANTED, Verdict.REFUSED, 554, 0),
        (Fault.CUT_AFTER_ACCEPTING, Verdict.UNKNOWN, None, 1),
        (Fault.NONSENSE_AFTER_ACCEPTING, Verdict.UNKNOWN, None, 1),
        (Fault.SILENCE, Verdict.UNKNOWN, None, 1),
        (Fault.DRIP, Verdict.DEFERRED, None, 0),
        (Fault.ENDLESS_REPLY, Verdict.DEFERRED, None, 0),
        (Fault.LONG_LINE, Verdict.DEFERRED, None, 0),
    ],
)
def test_each_fault_has_its_verdict(
    fault: Fault, verdict: Verdict, code: int | None, accepted: int, extensions: Sequence[str]
) -> None:
    sink = Sink(fault=fault, extensions=extensions)

    begun = time.monotonic()
    outcome = send_one(sink)

    assert (outcome.verdict, outcome.code, len(sink.mails)) == (verdict, code, accepted)
    assert outcome.reply
    assert time.monotonic() - begun < 4


def test_a_reset_during_the_body_is_certain() -> None:
    long = make_mail(content=b"Subject: long\r\n\r\n" + b"0123456789\r\n" * 500_000)

    with Sink(fault=Fault.RESET_IN_BODY) as sink, sending(sink) as sender:
        held, [outcome] = sender.hold([long])

    assert (held, outcome.verdict, sink.mails) == ([], Verdict.DEFERRED, [])


def test_a_reset_noticed_at_the_dot_is_certain_too() -> None:
    with Sink(fault=Fault.RESET_IN_BODY) as sink, sending(sink) as sender:
        held, _ = sender.hold([make_mail()])
        time.sleep(0.2)
        outcomes = sender.release(held)

    assert [outcome.verdict for outcome in outcomes] in ([Verdict.DEFERRED], [])
    assert sink.mails == []


def test_a_relay_that_hangs_up_while_a_mail_is_held_gets_no_dot() -> None:
    with Sink(fault=Fault.TIRED) as sink, sending(sink) as sender:
        held, _ = sender.hold([make_mail()])
        time.sleep(0.2)
        [outcome] = sender.release(held)

    assert (outcome.verdict, outcome.code, outcome.reply) == (Verdict.DEFERRED, 421, "4.4.2 you are too slow")


def test_a_late_250_within_the_time_is_accepted() -> None:
    sink = Sink(fault=Fault.DELAY, delay=0.5)

    assert send_one(sink).verdict == Verdict.ACCEPTED


def test_a_relay_that_stops_reading_holds_nobody_for_longer_than_its_time() -> None:
    huge = make_mail(content=b"Subject: huge\r\n\r\n" + b"0123456789\r\n" * 1_000_000)

    sink = Sink(fault=Fault.DEAF, extensions=("PIPELINING",))
    with sink, sending(sink, timeouts=replace(SHORT, block=0.5)) as sender:
        begun = time.monotonic()
        held, outcomes = sender.hold([huge, huge])
        took = time.monotonic() - begun

    assert (held, [outcome.verdict for outcome in outcomes]) == ([], [Verdict.DEFERRED] * 2)
    assert took < 4


def test_no_relay_at_all_defers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with closing(SmtpSender(Relay(host="127.0.0.1", port=port, security="none", timeouts=SHORT))) as sender:
        outcomes = send(sender, make_mail(), make_mail())

    assert {(outcome.verdict, outcome.code) for outcome in outcomes} == {(Verdict.DEFERRED, None)}
    assert "refused" in outcomes[0].reply


def test_a_relay_that_turns_us_away_is_asked_once_a_round() -> None:
    with Sink(fault=Fault.BUSY) as sink, sending(sink) as sender:
        outcomes = send(sender, *[make_mail() for _ in range(10)])

    assert [(outcome.verdict, outcome.code) for outcome in outcomes] == [(Verdict.DEFERRED, 421)] * 10
    assert sink.connections == 1


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()], ids=["pipelining", "line by line"])
def test_one_refused_recipient_touches_no_other_mail(extensions: Sequence[str]) -> None:
    sink = Sink(extensions=extensions, kinds=(Fault.NO_SUCH_PERSON,), faults=0.5, seed=3)

    with sink, sending(sink) as sender:
        outcomes = [outcome for _ in range(10) for outcome in send(sender, *[make_mail() for _ in range(4)])]

    accepted = [outcome for outcome in outcomes if outcome.verdict == Verdict.ACCEPTED]
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED, Verdict.REFUSED}
    assert len(outcomes) == 40
    assert sorted(mail.message_id for mail in sink.mails) == sorted(
        f"<{outcome.delivery_id}@notifier.example>" for outcome in accepted
    )


def test_a_pipelining_session_survives_refused_recipients() -> None:
    with Sink(fault=Fault.NO_SUCH_PERSON) as sink, sending(sink) as sender:
        for _ in range(3):
            send(sender, make_mail())

    assert sink.connections == 1
    assert sink.commands.count("RSET") == 2


def test_under_faults_by_chance_nothing_is_lost_or_sent_twice() -> None:
    sink = Sink(faults=0.3, seed=11, delay=0.01)
    waiting = {mail.delivery_id: mail for mail in (make_mail() for _ in range(200))}
    accepted: set[UUID] = set()
    unknown: set[UUID] = set()

    with sink, sending(sink) as sender:
        for _ in range(200):
            round_ = list(waiting.values())[:10]
            for outcome in send(sender, *round_):
                if outcome.verdict in {Verdict.ACCEPTED, Verdict.UNKNOWN}:
                    del waiting[outcome.delivery_id]
                    (accepted if outcome.verdict == Verdict.ACCEPTED else unknown).add(outcome.delivery_id)

    arrived = [mail.message_id for mail in sink.mails]
    assert waiting == {}
    assert len(arrived) == len(set(arrived))
    assert {f"<{delivery}@notifier.example>" for delivery in accepted} <= set(arrived)
    assert len(accepted) + len(unknown) == 200
    assert len(unknown) > 0


def test_replies_are_cleaned_and_cut() -> None:
    outcome = send_one(Sink(fault=Fault.RUDE))

    assert (outcome.verdict, outcome.code, len(outcome.reply)) == (Verdict.DEFERRED, 554, 500)
    assert outcome.reply.isprintable()


# --- TLS and passwords -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificates:
    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    def server(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem")
        return context


def issue(
    folder: Path,
    name: str,
    names: Sequence[x509.GeneralName],
    by: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    ends: timedelta = timedelta(days=1),
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A key and a certificate in one file; without `by`, self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.fromtimestamp(time.time_ns() / 1e9, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[0].subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=3))
        .not_valid_after(today + ends)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .sign(by[1] if by else key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    return certificate, key


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    here = [x509.IPAddress(ip_address("127.0.0.1"))]
    authority = issue(folder, "authority", [x509.DNSName("authority.example")], by=None)
    issue(folder, "good", here, by=authority)
    issue(folder, "wrong name", [x509.DNSName("elsewhere.example")], by=authority)
    issue(folder, "expired", here, by=authority, ends=timedelta(days=-1))
    issue(folder, "self-signed", here, by=None)
    return Certificates(folder)


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
def test_a_mail_goes_under_tls_with_a_password(certificates: Certificates, implicit: bool) -> None:  # noqa: FBT001  # a case of the table
    sink = Sink(tls=certificates.server("good"), implicit_tls=implicit, password=PASSWORD)

    outcome = send_one(
        sink,
        security="tls" if implicit else "starttls",
        ca_file=certificates.authority,
        username="notifier",
        password=PASSWORD,
    )

    assert (outcome.verdict, outcome.tls) == (Verdict.ACCEPTED, "TLSv1.3")


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
@pytest.mark.parametrize("name", ["self-signed", "wrong name", "expired"])
def test_a_certificate_that_does_not_prove_the_relay_stops_the_mail(
    certificates: Certificates,
    name: str,
    implicit: bool,  # noqa: FBT001  # a case of the table
) -> None:
    sink = Sink(tls=certificates.server(name), implicit_tls=implicit)

    outcome = send_one(sink, security="tls" if implicit else "starttls", ca_file=certificates.authority)

    assert (outcome.verdict, outcome.code, sink.mails) == (Verdict.DEFERRED, None, [])
    assert "certificate verify failed" in outcome.reply


def test_a_relay_without_starttls_gets_no_mail_in_clear(certificates: Certificates) -> None:
    outcome = send_one(sink := Sink(), security="starttls", ca_file=certificates.authority)

    assert outcome.verdict == Verdict.DEFERRED
    assert "no STARTTLS" in outcome.reply
    assert not any(command.startswith("MAIL") for command in sink.commands)


def test_a_relay_that_offers_starttls_and_refuses_it_gets_no_mail_in_clear(certificates: Certificates) -> None:
    outcome = send_one(sink := Sink(extensions=("STARTTLS",)), security="starttls", ca_file=certificates.authority)

    assert (outcome.verdict, outcome.code) == (Verdict.DEFERRED, 503)
    assert "refuses STARTTLS" in outcome.reply
    assert not any(command.startswith("MAIL") for command in sink.commands)


def test_an_old_tls_is_not_spoken(certificates: Certificates) -> None:
    old = certificates.server("good")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    outcome = send_one(sink := Sink(tls=old), security="starttls", ca_file=certificates.authority)

    assert (outcome.verdict, sink.mails) == (Verdict.DEFERRED, [])


def test_words_slipped_in_before_the_handshake_are_not_believed(certificates: Certificates) -> None:
    sink = Sink(tls=certificates.server("good"), fault=Fault.INJECTED)

    outcome = send_one(sink, security="starttls", ca_file=certificates.authority)

    assert outcome.verdict == Verdict.DEFERRED
    assert "slipped in" in outcome.reply


def test_a_refused_password_defers_and_is_not_tried_on_ten_sessions(certificates: Certificates) -> None:
    sink = Sink(tls=certificates.server("good"), password=PASSWORD)

    with (
        sink,
        sending(
            sink, security="starttls", ca_file=certificates.authority, username="notifier", password="stale"
        ) as sender,
    ):
        outcomes = send(sender, *[make_mail() for _ in range(10)])

    assert [(outcome.verdict, outcome.code) for outcome in outcomes] == [(Verdict.DEFERRED, 535)] * 10
    assert "refuses our name and password" in outcomes[0].reply
    assert sink.connections == 1


def test_a_password_that_the_relay_does_not_ask_for_defers(certificates: Certificates) -> None:
    sink = Sink(tls=certificates.server("good"))

    outcome = send_one(sink, security="starttls", ca_file=certificates.authority, username="notifier", password="x")

    assert (outcome.verdict, outcome.code) == (Verdict.DEFERRED, None)
    assert "AUTH" in outcome.reply


def test_a_password_never_travels_in_clear() -> None:
    with pytest.raises(ValueError, match="needs security"):
        Relay(host="relay.example", port=25, security="none", username="notifier", password=PASSWORD)


def test_a_relay_does_not_show_its_password() -> None:
    assert PASSWORD not in repr(Relay(host="relay.example", port=587, username="notifier", password=PASSWORD))


# --- the sink as a process -------------------------------------------------------------------------------------------


def test_the_sink_runs_as_a_process_and_journals_what_it_accepts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    journal, mail = tmp_path / "journal", make_mail()
    command = [sys.executable, "-m", "tests.sink", "--port", str(port), "--journal", str(journal)]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, cwd=Path(__file__).parents[2]))
        stack.callback(process.kill)
        sender = stack.enter_context(closing(SmtpSender(Relay(host="127.0.0.1", port=port, security="none"))))
        outcomes = send_until_there(sender, mail)

    assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED]
    [line] = [json.loads(line) for line in journal.read_text().splitlines()]
    assert line["message_id"] == f"<{mail.delivery_id}@notifier.example>"
    assert line["recipient"] == mail.recipient
    assert line["sha256"] == hashlib.sha256(mail.content).hexdigest()


def send_until_there(sender: SmtpSender, mail: Mail) -> list[Outcome]:
    """A process takes a moment to listen."""
    held: list[Held] = []
    for _ in range(100):
        held, _ = sender.hold([mail])
        if held:
            break
        time.sleep(0.1)
    return sender.release(held)


def test_chance_brings_every_kind_of_fault_and_leaves_most_mails_alone() -> None:
    sink = Sink(faults=0.12, seed=1)
    drawn = [sink.draw(of=lambda kind: kind != Fault.BUSY) for _ in range(2000)]

    assert set(drawn) == {Fault.NONE, *BY_CHANCE} - {Fault.BUSY}
    assert 0.08 < 1 - drawn.count(Fault.NONE) / len(drawn) < 0.12
