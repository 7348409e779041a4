"""Reading the mails that come back: by form and family, hostile ones, and real ones where a sample lies near."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from notifier.adapters.bounce_reader import BounceReader
from notifier.adapters.bounces import read_bounce
from notifier.adapters.confined import Reader, TooCostly
from notifier.rules.bounces import BounceKind, Report
from tests.adapters.bounce_examples import (
    ANNE,
    AUTOMATIC,
    CHALLENGES,
    EVERY,
    HUMAN,
    LEFT,
    MESSAGE_ID,
    OURS,
    REFUSALS,
    Example,
    failed,
    plain,
    postfix,
    qmail,
    reply,
    report,
)
from tests.adapters.bounce_mutants import mutants, read_at_cost

SAMPLE: Final = Path(__file__).parents[3] / "shared" / "bounces"
MUTANTS: Final = int(os.environ.get("NOTIFIER_MUTANTS", "600"))
LINE_ENDS: Final = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r", "CRCRLF": b"\r\r\n"}
SYSTEM: Final = f"Return-Path: <>\nFrom: MAILER-DAEMON@relay.example\nTo: {OURS}\nSubject: Undeliverable mail\n"


def read(mail: str) -> Report:
    return read_bounce(mail.encode())


@pytest.mark.parametrize("example", EVERY, ids=lambda example: example.name)
def test_each_form_is_read_for_what_it_says(example: Example) -> None:
    found = read(example.mail)

    assert found.kind is example.kind
    assert tuple((one.address, one.hard) for one in found.recipients) == example.recipients


@pytest.mark.parametrize(("status", "words", "hard"), REFUSALS)
def test_a_refusal_is_hard_where_it_speaks_of_the_address(status: str, words: str, *, hard: bool) -> None:
    assert [one.hard for one in read(postfix(status, words, "RCPT TO")).recipients] == [hard]


@pytest.mark.parametrize("ends", LINE_ENDS)
def test_the_ends_of_the_lines_change_nothing(ends: str) -> None:
    for example in EVERY:
        assert read_bounce(example.mail.encode().replace(b"\n", LINE_ENDS[ends])) == read(example.mail), example.name


@pytest.mark.parametrize("words", HUMAN)
def test_what_a_person_writes_is_a_persons_reply_with_its_words(words: str) -> None:
    found = read(words)

    assert found.kind is BounceKind.HUMAN_REPLY
    assert found.words
    assert "wrote:" not in found.words
    assert not found.is_challenge
    assert not found.has_left
    assert found.message_ids == (MESSAGE_ID,)


@pytest.mark.parametrize("mail", CHALLENGES)
def test_a_demand_to_prove_that_one_is_human_is_an_automatic_reply(mail: str) -> None:
    found = read(mail)

    assert (found.kind, found.is_challenge, found.has_left) == (BounceKind.AUTO_REPLY, True, False)


@pytest.mark.parametrize("mail", LEFT)
def test_who_has_left_the_company_is_noticed_with_whom_to_write_to_instead(mail: str) -> None:
    found = read(mail)

    assert (found.kind, found.has_left) == (BounceKind.AUTO_REPLY, True)
    assert found.proposed_contacts == ("boris@lab.example",)


@pytest.mark.parametrize("example", AUTOMATIC, ids=lambda example: example.name)
def test_who_is_away_has_not_left(example: Example) -> None:
    assert not read(example.mail).has_left


def test_a_colleague_who_writes_that_somebody_left_is_a_person() -> None:
    found = read(reply("Hello,\nAnne has left the company. Write to boris@lab.example.\nClara", subject="Re: Notice"))

    assert found.kind is BounceKind.HUMAN_REPLY
    assert found.has_left
    assert found.proposed_contacts == ("boris@lab.example",)


def test_the_tag_is_found_in_the_address_the_mail_came_back_to_and_in_envid() -> None:
    found = read("Delivered-To: bounce+first@notifier.hosting.example\n" + report(failed("5.1.1", "550 no")))

    assert found.tokens == ("first", "2f9c", "2f9c+id")


def test_the_tag_is_found_behind_a_forwarders_rewriting() -> None:
    mail = qmail("No.").replace(
        f"To: <{OURS}>", "To: SRS0=abcd=XY=notifier.hosting.example=bounce+2f9c@forward.example"
    )

    assert "2f9c" in read(mail).tokens


@pytest.mark.parametrize("mail", [postfix("5.1.1", "550 5.1.1 User unknown", "RCPT TO"), qmail("Sorry. (#5.1.1)")])
def test_the_message_id_of_our_mail_is_found_and_not_that_of_the_report(mail: str) -> None:
    assert read(mail).message_ids == (MESSAGE_ID,)


def test_the_words_are_those_of_the_relay() -> None:
    assert read(postfix("5.2.2", "552 5.2.2 Mailbox full", "RCPT TO")).words == "552 5.2.2 Mailbox full"
    assert "no mailbox here by that name" in read(qmail("Sorry, no mailbox here by that name. (#5.1.1)")).words


def test_no_word_of_a_stranger_carries_a_control_character_or_runs_on() -> None:
    found = read(postfix("5.1.1", "550 a\x1b[2J\x07b\u2028c" + "d" * 5000, "RCPT TO"))

    assert found.words.startswith("550 a [2J b c")
    assert len(found.words) == 500


def test_an_address_in_the_words_is_not_taken_for_a_cause() -> None:
    mail = postfix("5.0.0", "550 <mailboxfull.spam@clinic.example>: user unknown", "RCPT TO")

    assert [one.hard for one in read(mail).recipients] == [True]


def test_of_an_mbox_the_first_mail_is_read() -> None:
    two = (
        f"From MAILER-DAEMON Tue Mar  3 10:00:00 2026\n{qmail('(#5.1.1)')}\nFrom x Tue Mar  3 11:00:00 2026\n{HUMAN[0]}"
    )

    assert read(two).kind is BounceKind.FAILED


@pytest.mark.parametrize("mail", ["", "\n\n\n", "\0" * 1000, "nothing of a mail", "Subject: only\n", "From x\n"])
def test_what_is_no_mail_is_left_to_a_person(mail: str) -> None:
    assert read(mail).kind is BounceKind.UNREADABLE


def test_what_a_list_sends_to_everybody_is_left_to_a_person() -> None:
    mail = reply("News of March.", subject="Newsletter", more="Precedence: bulk\nList-Id: <news.lists.example>\n")

    assert read(mail).kind is BounceKind.UNREADABLE


# --- Hostile mails -------------------------------------------------------------------------------------------------

HOSTILE: Final[Mapping[str, Callable[[], str]]] = {
    "a thousand brackets": lambda: f"To: {'(' * 1000}\n{SYSTEM}\nx",
    "8,000 recipients": lambda: f"To: {'a,' * 8000}\n{SYSTEM}\nx",
    "8,000 addresses": lambda: f"{SYSTEM}\n" + "<a@clinic.example>\n" * 8000,
    "2,000 multiparts in each other": lambda: (
        f"{SYSTEM}" + "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(2000))
    ),
    "2,000 mails in each other": lambda: f"{SYSTEM}" + "Content-Type: message/rfc822\n\n" * 2000,
    "100,000 parts": lambda: f"{SYSTEM}Content-Type: multipart/mixed; boundary=a\n\n" + "--a\n\nx\n" * 100_000,
    "50,000 headers": lambda: "".join(f"X-{n}: y\n" for n in range(50_000)) + f"{SYSTEM}\nx",
    "a header on 50,000 lines": lambda: "Subject: " + "x\n " * 50_000 + f"\n{SYSTEM}\nx",
    "5,000 encoded words": lambda: "Subject: " + "=?utf-8?q?a?= " * 5000 + f"\n{SYSTEM}\nx",
    "a page of brackets": lambda: f"{SYSTEM}Content-Type: text/html\n\n" + "<" * 100_000,
    "elements that never end": lambda: f"{SYSTEM}Content-Type: text/html\n\n" + "<style>" * 15_000,
    "one line of ten megabytes": lambda: f"{SYSTEM}\n" + "x" * 10_000_000,
    "millions of lines": lambda: f"{SYSTEM}\n" + "x\n" * 4_000_000,
    "a word said again and again": lambda: f"{SYSTEM}\n" + "mailbox user account \n" * 20_000,
    "a list of 1,500 recipients": lambda: report(
        "\n".join(f"Final-Recipient: rfc822; a{n}@clinic.example\nAction: failed\n" for n in range(1500)),
        said="user " * 20_000,
    ),
    "NULs": lambda: report(failed("5.1.1", "550 \0 User \0 unknown")).replace("rfc822;", "rfc\0822;"),
    "no From": lambda: f"To: {OURS}\nReturn-Path: <>\n\nAlas.",
    "unknown charsets": lambda: f"{SYSTEM}Content-Type: text/plain; charset=rot13\n\n550 5.1.1 User unknown {ANNE}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail_costs_less_than_a_second_and_is_read_as_something(name: str) -> None:
    data = HOSTILE[name]().encode()
    begun = time.process_time()
    found = read_bounce(data)

    assert time.process_time() - begun < 1
    assert isinstance(found.kind, BounceKind)
    assert len(found.recipients) <= 100


def test_a_header_cannot_be_brought_in_through_an_address() -> None:
    mail = report(failed("5.1.1", "550 no", to="a@clinic.example\n Bcc: everybody@clinic.example"))

    assert all("\n" not in one.address and " " not in one.address for one in read(mail).recipients)


@pytest.mark.parametrize("charset", ["rot13", "zip", "unicode_escape", "idna", "undefined", "x-none", "utf-16"])
def test_a_charset_that_is_none_for_mail_is_read_as_utf_8(charset: str) -> None:
    mail = SYSTEM + f"Content-Type: text/plain; charset={charset}\n\n550 5.1.1 User unknown: <{ANNE}>"

    assert [(one.address, one.hard) for one in read(mail).recipients] == [(ANNE, True)]


@pytest.fixture(scope="module")
def reader() -> Iterator[BounceReader]:
    with BounceReader() as made:
        yield made


def test_a_process_of_its_own_reads_the_same(reader: BounceReader) -> None:
    for example in EVERY:
        assert reader.read(example.mail.encode()) == read(example.mail)
    assert reader.read(LEFT[0].encode()) == read(LEFT[0])


def test_a_mail_beyond_the_limit_is_read_as_far_as_it_goes(reader: BounceReader) -> None:
    mail = postfix("5.1.1", "550 5.1.1 User unknown", "RCPT TO").encode() + b"x" * 30_000_000

    assert reader.read(mail).kind is BounceKind.FAILED


@pytest.mark.timeout(1800)
def test_damaged_mails_crash_nothing_within_a_second_and_256_megabytes() -> None:
    """The long form: NOTIFIER_MUTANTS=20000. One process reads them all: at 256 MB of address space it would fail."""
    mails = [example.mail.encode() for example in EVERY] + [one.encode() for one in (*LEFT, *CHALLENGES, *HUMAN)]
    if SAMPLE.is_dir():
        mails += [file.read_bytes() for file in sorted(SAMPLE.glob("*.eml"))]
    kinds: set[str] = set()
    slowest = 0.0
    with Reader(read_at_cost, seconds=60, megabytes=256, messages=MUTANTS + 1) as child:
        for name, mutant in mutants(mails, MUTANTS):
            cost: dict[str, Any] = child.read(mutant)
            assert cost["seconds"] < 1, name
            kinds.add(cost["kind"])
            slowest = max(slowest, cost["seconds"])

    print(f"{MUTANTS} mutants: slowest {slowest:.3f} s")  # noqa: T201 - the figures of the long form
    assert {"failed", "human_reply"} <= kinds


# --- Real mails ----------------------------------------------------------------------------------------------------

KINDS: Final = {"feedback": BounceKind.COMPLAINT, "vacation": BounceKind.AUTO_REPLY}


def _is_as_expected(found: Report, expected: list[dict[str, Any]]) -> bool:
    """The kind, and each recipient with its hardness.

    The sample calls every time-out *delayed*; a relay that has given up has failed, and does not try again.
    """
    first = expected[0]
    kinds = {KINDS.get(first["reason"]) or BounceKind(first["action"])}
    if first["reason"] == "expired":
        kinds.add(BounceKind.FAILED)
    wanted = {(one["recipient"].lower(), one["hard"]) for one in expected}
    return found.kind in kinds and {(one.address.lower(), one.hard) for one in found.recipients} == wanted


@pytest.mark.parametrize("ends", LINE_ENDS)
def test_a_sample_of_real_mails_is_read_by_itself_and_almost_always_exactly(ends: str) -> None:
    if not SAMPLE.is_dir():
        pytest.skip("NOT CHECKED: the sample of real mails (../shared/bounces) does not lie beside this checkout")
    expected = json.loads((SAMPLE / "expected.json").read_text())
    contents = {name: (SAMPLE / name).read_bytes() for name in expected}
    read_ = {
        name: read_bounce(b"\n".join(data.splitlines()).replace(b"\n", LINE_ENDS[ends]))
        for name, data in contents.items()
    }
    by_itself = [name for name, found in read_.items() if found.kind is not BounceKind.UNREADABLE]
    exact = [name for name, found in read_.items() if _is_as_expected(found, expected[name])]

    assert len(by_itself) / len(expected) >= 0.985
    assert len(exact) / len(expected) >= 0.95, sorted(set(expected) - set(exact))


def test_a_delay_never_ends_a_notice_whatever_code_it_has() -> None:
    mail = report(failed("5.1.1", "550 5.1.1 User unknown", action="delayed"))

    assert read(mail).kind is BounceKind.DELAYED
    assert not any(one.hard for one in read(mail).recipients)


def test_a_bounce_that_says_it_replies_automatically_is_still_a_bounce() -> None:
    """Exim sets this header on its own bounces."""
    mail = plain(
        f"The following address failed:\n\n  {ANNE}\n    Unrouteable address\n", more="Auto-Submitted: auto-replied\n"
    )

    assert read(mail).kind is BounceKind.FAILED


def test_a_person_who_answers_about_mail_and_delivery_is_no_bounce() -> None:
    """Our own subject may speak of what bounces speak of."""
    mail = (
        b"Return-Path: <dpo@clinic.example>\r\nFrom: Camille Roy <dpo@clinic.example>\r\n"
        b"To: bounces@hosting.example\r\n"
        b"In-Reply-To: <0192@hosting.example>\r\nSubject: Re: New subprocessor for mail delivery: Relaypost\r\n\r\n"
        b"Hello,\r\n\r\nwe object: this subprocessor is not accepted by our clinic.\r\n\r\nCamille Roy\r\n"
    )

    assert read_bounce(mail).kind is BounceKind.HUMAN_REPLY


@pytest.mark.parametrize("action", ["Action: deferred\r\n", "Action: transient\r\n", ""])
def test_a_relay_that_still_tries_has_not_failed_whatever_it_calls_that(action: str) -> None:
    mail = (
        "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.clinic.example\r\nTo: bounces@hosting.example\r\n"
        "Subject: Delivery Status\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nYour mail has not arrived yet.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.clinic.example\r\n\r\n"
        f"Final-Recipient: rfc822; dpo@clinic.example\r\n{action}Status: 4.4.1\r\n"
        "Will-Retry-Until: Wed, 25 Nov 2026 10:00:00 +0000\r\n\r\n--b--\r\n"
    )

    assert read_bounce(mail.encode()).kind is BounceKind.DELAYED


def test_a_mail_that_kills_its_reader_still_says_whose_it_is() -> None:
    tag = "a2" * 24
    mail = f"To: bounces+{tag}@hosting.example\r\n\r\nwhatever\r\n".encode()

    class Dies:
        def read(self, data: bytes) -> object:
            del data
            raise TooCostly

        def close(self) -> None:
            """Nothing to let go of."""

    with BounceReader() as reader:
        reader.close()
        reader._reader = Dies()  # type: ignore[assignment] # noqa: SLF001 - no mail is known that kills it
        report = reader.read(mail)

    assert (report.kind, report.tokens) == (BounceKind.UNREADABLE, (tag,))
