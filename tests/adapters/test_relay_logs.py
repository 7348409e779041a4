from notifier.adapters.relay_logs import Fate, read_relay_log

MESSAGE_ID = "<0192f3c1d0c07d0e9b3f5a6b7c8d9e0f@hosting.example>"
POSTFIX = f"""\
Nov 22 10:00:01 mx1 postfix/smtpd[4711]: 4Xk2Qz3w1vz9: client=app.hosting.example[192.0.2.10]
Nov 22 10:00:01 mx1 postfix/cleanup[4712]: 4Xk2Qz3w1vz9: message-id={MESSAGE_ID}
Nov 22 10:00:02 mx1 postfix/qmgr[4713]: 4Xk2Qz3w1vz9: from=<bounces+x@hosting.example>, size=12288, nrcpt=1
Nov 22 10:00:03 mx1 postfix/smtp[4714]: 4Xk2Qz3w1vz9: to=<dpo@clinic.example>, relay=mx.clinic.example[192.0.2.20]:25, \
delay=1.5, delays=0.1/0/0.4/1, dsn=4.2.0, status=deferred (host mx.clinic.example said: 450 4.2.0 Greylisted)
Nov 22 10:05:03 mx1 postfix/smtp[4714]: 4Xk2Qz3w1vz9: to=<dpo@clinic.example>, relay=mx.clinic.example[192.0.2.20]:25, \
delay=301, delays=300/0/0.4/1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 99)
"""
EXIM = f"""\
2026-11-22 10:00:01 1sXyZa-0001Ab-2C <= bounces+x@hosting.example H=app.hosting.example [192.0.2.10] P=esmtps \
S=12288 id={MESSAGE_ID.strip("<>")}
2026-11-22 10:00:02 1sXyZa-0001Ab-2C ** dpo@clinic.example R=dnslookup T=remote_smtp: 550 5.1.1 No such user
2026-11-22 10:00:02 1sXyZa-0001Ab-2C Completed
"""


def test_postfix_says_that_it_has_a_mail_and_what_became_of_it() -> None:
    said = list(read_relay_log(POSTFIX.splitlines()))

    assert [(one.message_id, one.address, one.fate) for one in said] == [
        (MESSAGE_ID, "", Fate.TAKEN),
        (MESSAGE_ID, "dpo@clinic.example", Fate.DEFERRED),
        (MESSAGE_ID, "dpo@clinic.example", Fate.SENT),
    ]
    assert "queued as 99" in said[-1].line


def test_exim_says_that_it_has_a_mail_and_that_it_came_back() -> None:
    said = list(read_relay_log(EXIM.splitlines()))

    assert [(one.message_id, one.address, one.fate) for one in said] == [
        (MESSAGE_ID, "", Fate.TAKEN),
        (MESSAGE_ID, "dpo@clinic.example", Fate.BOUNCED),
    ]


def test_lines_that_say_nothing_of_a_mail_are_passed_over() -> None:
    noise = [
        "",
        "\0\0\0",
        "Nov 22 10:00:01 mx1 sshd[1]: Accepted",
        "postfix/smtp[1]: AAAAAAAA: to=<x@y>, status=sent (ok)",
    ]

    assert list(read_relay_log(noise)) == []


def test_what_is_kept_of_a_line_is_one_line_of_five_hundred_characters() -> None:
    line = f"postfix/cleanup[1]: ABCDEF12: message-id={MESSAGE_ID}\t" + "x" * 2000

    (said,) = read_relay_log([line])

    assert len(said.line) == 500
    assert "\t" not in said.line
