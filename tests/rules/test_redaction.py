"""Neither a secret nor anybody's address is left in a line of the log; what stands around them is."""

import pytest

from notifier.rules.redaction import redact

TOKEN = "C_f0EQOitKgUUClgwbwKRlrPiFY-HYx8FKAPrrDnY6w"


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        (f"GET /notice/{TOKEN} HTTP/1.1", "GET /notice/[token] HTTP/1.1"),
        (f"GET /notice/{TOKEN}?lang=fr", "GET /notice/[token]?lang=fr"),
        (f'"POST /notice/{TOKEN}/acknowledgement" 303', '"POST /notice/[token]/acknowledgement" 303'),
        (f"https://notices.hosting.example/sign-in/{TOKEN}", "https://notices.hosting.example/sign-in/[token]"),
        (f"POST /subscriptions/{TOKEN}/end", "POST /subscriptions/[token]/end"),
        ("/notice/short and /sign-in/é", "/notice/[token] and /sign-in/[token]"),
        (f"GET /%6eotice/{TOKEN}", "GET /%6eotice/[token]"),
        (f"/sign-in?next=%2Fnotice%2F{TOKEN}%3Flang", "/sign-in?next=%2Fnotice%2F[token]%3Flang"),
        (f"next=%2Felsewhere%2F{TOKEN}", "next=%2Felsewhere%2F[token]"),
        ("GET /subprocessors and /sign-in", "GET /subprocessors and /sign-in"),
    ],
)
def test_a_token_is_replaced_and_the_rest_of_the_line_stays(line: str, redacted: str) -> None:
    assert redact(line) == redacted


@pytest.mark.parametrize(
    "address",
    [
        "camille.roy@clinic.example",
        "camille+dpo@clinic.example",
        "françoise@clinique.example",
        "'camille'@clinic.example",
        "camille.o'roy@clinic.example",
        "SRS0=4Pq9=ZK=clinic.example=camille@forwarder.example",
        "/G=Camille/S=Roy/@clinic.example",
        '"Camille Roy"@clinic.example',
        "camille%40clinic.example",
        "CAMILLE@[192.0.2.7]",
        "camille@clinic",
        "b+mzxw6ytboi5tgmzqgaydamjsmqydcmbrgazdambqgezdgmrqge@hosting.example",
    ],
)
@pytest.mark.parametrize("line", ["{}", "550 <{}>: user unknown", "to={}, next", 'RCPT TO:<{}>\\r\\n ("{}")', "x/{}/y"])
def test_an_address_is_replaced_wherever_it_stands(address: str, line: str) -> None:
    said = redact(line.replace("{}", address))

    assert "[address]" in said
    assert not [word for word in ("camille", "roy", "clini", "mzxw6") if word in said.casefold()]


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        ("postgresql+psycopg://notifier:s3:c@ret@db.example/x", "postgresql+psycopg://[secret]@db.example/x"),
        ("amqp://guest:guest@127.0.0.1:5672 is away", "amqp://[secret]@127.0.0.1:5672 is away"),
        ("signed with whsec_MfKQ9r8GKYqrTwjU/PD8ILPZIo2LaLaSw+==", "signed with [secret]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [secret]"),
        ("AUTHORIZATION: basic dXNlcjpwYXNz, then", "AUTHORIZATION: basic [secret], then"),
    ],
)
def test_a_secret_is_replaced(line: str, redacted: str) -> None:
    assert redact(line) == redacted


@pytest.mark.parametrize(
    "line",
    [
        '  File "/srv/notifier/worker.py", line 7, in tick\n    @contextmanager',
        "451 4.7.1 try again later",
        "019a1b2c-7d3e-7f00-8000-0123456789ab was accepted by relay.example:25",
        "2026-03-02T12:00:00Z a tick failed; the next one tries again",
        "worker host-1:4242:0a1b2c3d",
        "a @ b",
    ],
)
def test_what_names_nobody_stays(line: str) -> None:
    assert redact(line) == line
