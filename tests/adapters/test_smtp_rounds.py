"""Rounds that follow one another: the envelope of the next mail goes with the dot of the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest

from notifier.adapters.sending import Mail, Outcome, Verdict
from notifier.adapters.smtp import Relay, SmtpSender, Timeouts
from tests.sink import Fault, Sink

SHORT = Timeouts(connect=5, greeting=5, mail=5, rcpt=5, data=5, block=5, dot=5)


def make_mail(recipient: str = "ana@clinic.example", *, body: str = "Bonjour.", tag: str = "") -> Mail:
    delivery_id = uuid4()
    text = f"Message-ID: <{delivery_id}@hosting.example>\r\nTo: {recipient}\r\n\r\n{body}\r\n"
    return Mail(
        delivery_id=delivery_id,
        attempt=1,
        sender="bounces+tag@hosting.example",
        recipient=recipient,
        content=text.encode(),
        sha256="",
        tag=tag,
    )


@contextmanager
def sending(sink: Sink, *, sessions: int = 2, mails_per_session: int = 100) -> Iterator[SmtpSender]:
    relay = Relay(
        host="127.0.0.1",
        port=sink.port,
        security="none",
        sessions=sessions,
        mails_per_session=mails_per_session,
        timeouts=SHORT,
        local_hostname="here.example",
    )
    with closing(SmtpSender(relay)) as sender:
        yield sender


def in_rounds(sender: SmtpSender, rounds: Sequence[Sequence[Mail]]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for mails, then in zip(rounds, [*rounds[1:], ()], strict=True):
        held, ended = sender.hold(mails)
        outcomes += ended + sender.release(held, then=then)
    return outcomes


def rounds_of(count: int, size: int = 2) -> list[list[Mail]]:
    return [[make_mail(f"p{number}.{one}@clinic.example") for one in range(size)] for number in range(count)]


def everybody(rounds: Sequence[Sequence[Mail]]) -> list[str]:
    return sorted(mail.recipient for mails in rounds for mail in mails)


def test_rounds_that_follow_one_another_reach_everybody_once_over_as_few_sessions() -> None:
    rounds = rounds_of(20)

    with Sink() as sink, sending(sink) as sender:
        outcomes = in_rounds(sender, rounds)

    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert sorted(mail.recipient for mail in sink.mails) == everybody(rounds)
    assert sink.connections == 2
    assert "RSET" not in sink.commands


def test_a_session_that_is_worn_out_carries_no_envelope_further() -> None:
    rounds = rounds_of(6)

    with Sink() as sink, sending(sink, mails_per_session=2) as sender:
        outcomes = in_rounds(sender, rounds)

    assert len(outcomes) == 12
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert sink.connections == 6


def test_a_mail_that_is_not_offered_after_all_is_not_sent() -> None:
    first, second, third = make_mail("a@clinic.example"), make_mail("b@clinic.example"), make_mail("c@clinic.example")

    with Sink() as sink, sending(sink, sessions=1) as sender:
        held, _ = sender.hold([first])
        sender.release(held, then=[second])
        held, _ = sender.hold([third])
        [outcome] = sender.release(held)

    assert outcome.verdict is Verdict.ACCEPTED
    assert [mail.recipient for mail in sink.mails] == ["a@clinic.example", "c@clinic.example"]


def test_nothing_of_a_begun_mail_is_left_when_the_sender_is_closed() -> None:
    with Sink() as sink, sending(sink, sessions=1) as sender:
        held, _ = sender.hold([make_mail("a@clinic.example")])
        sender.release(held, then=[make_mail("b@clinic.example")])
        sender.close()
        held, _ = sender.hold([make_mail("c@clinic.example")])
        sender.release(held)

    assert [mail.recipient for mail in sink.mails] == ["a@clinic.example", "c@clinic.example"]


def test_where_the_relay_hangs_up_after_a_mail_the_next_one_finds_another_session() -> None:
    """The dot's answer is lost, so that mail is unknown; what had only been begun is not."""
    rounds = [[make_mail("a@clinic.example")], [make_mail("b@clinic.example")]]

    with Sink(fault=Fault.CUT_AFTER_ACCEPTING) as sink, sending(sink, sessions=1) as sender:
        held, _ = sender.hold(rounds[0])
        [first] = sender.release(held, then=rounds[1])
        sink.faults = 0
        held, none = sender.hold(rounds[1])
        [second] = sender.release(held)

    assert none == []
    assert (first.verdict, second.verdict) == (Verdict.UNKNOWN, Verdict.ACCEPTED)
    assert [mail.recipient for mail in sink.mails] == ["a@clinic.example", "b@clinic.example"]


@pytest.mark.parametrize("fault", [Fault.STORAGE, Fault.UNWANTED])
def test_a_mail_refused_at_its_dot_takes_nothing_from_the_next_one(fault: Fault) -> None:
    rounds = [[make_mail("a@clinic.example")], [make_mail("b@clinic.example")]]

    with Sink(fault=fault) as sink, sending(sink, sessions=1) as sender:
        held, _ = sender.hold(rounds[0])
        [first] = sender.release(held, then=rounds[1])
        sink.faults = 0
        held, _ = sender.hold(rounds[1])
        [second] = sender.release(held)

    assert first.verdict in {Verdict.DEFERRED, Verdict.REFUSED}
    assert [outcome.delivery_id for outcome in (first, second)] == [one[0].delivery_id for one in rounds]


def test_a_relay_without_pipelining_gets_one_command_at_a_time() -> None:
    rounds = rounds_of(4)

    with Sink(extensions=()) as sink, sending(sink) as sender:
        outcomes = in_rounds(sender, rounds)

    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert sorted(mail.recipient for mail in sink.mails) == everybody(rounds)


def test_a_relay_with_dsn_is_asked_for_every_report_under_the_tag_of_the_attempt() -> None:
    mail = make_mail("ana+news=old@clinic.example", tag="abc234")

    with Sink(extensions=("PIPELINING", "DSN")) as sink, sending(sink) as sender:
        in_rounds(sender, [[mail]])

    assert "MAIL FROM:<bounces+tag@hosting.example> RET=HDRS ENVID=abc234" in sink.commands
    (rcpt,) = [line for line in sink.commands if line.startswith("RCPT")]
    assert rcpt == (
        "RCPT TO:<ana+news=old@clinic.example> NOTIFY=SUCCESS,FAILURE,DELAY "
        "ORCPT=rfc822;ana+2Bnews+3Dold@clinic.example"
    )


@pytest.mark.parametrize(("extensions", "tag"), [(("PIPELINING",), "abc234"), (("PIPELINING", "DSN"), "")])
def test_no_report_is_asked_for_where_the_relay_gives_none_or_nobody_would_read_it(
    extensions: Sequence[str], tag: str
) -> None:
    with Sink(extensions=extensions) as sink, sending(sink) as sender:
        in_rounds(sender, [[make_mail(tag=tag)]])

    assert not any("NOTIFY" in line or "ENVID" in line for line in sink.commands)


def test_a_mail_that_is_larger_than_the_relay_takes_is_refused_before_it_is_offered() -> None:
    large = make_mail(body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 20)

    with Sink(extensions=("PIPELINING", "SIZE 1000")) as sink, sending(sink) as sender:
        outcomes = in_rounds(sender, [[large]])

    assert [outcome.verdict for outcome in outcomes] == [Verdict.REFUSED]
    assert "1000 bytes" in outcomes[0].reply
    assert not any(line.startswith("MAIL") for line in sink.commands)
