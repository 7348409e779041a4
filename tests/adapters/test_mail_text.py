from __future__ import annotations

import pytest

from notifier.adapters.mail_text import LONGEST, plain_text, read_plain_text


def test_a_mail_is_shown_as_its_headers_and_its_text() -> None:
    mail = (
        b"From: Camille Roy <dpo@clinic.example>\r\nTo: bounces@hosting.example\r\nX-Secret: no\r\n"
        b"Subject: =?utf-8?q?R=C3=A9=3A_changes?=\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nWe object=C2=A0!\r\n"
    )

    shown = plain_text(mail)

    assert shown.splitlines()[0] == "From: Camille Roy <dpo@clinic.example>"
    assert "Subject: Ré: changes" in shown
    assert shown.endswith("We object\xa0!")
    assert "X-Secret" not in shown


def test_markup_is_taken_off_and_control_characters_are_shown_as_spaces() -> None:
    mail = b"Content-Type: text/html\n\n<p>We <b>object</b>\x1b[31m.</p><script>alert(1)</script>"

    shown = read_plain_text(mail)

    assert shown.startswith("We object [31m.")
    assert "alert" not in shown


@pytest.mark.parametrize("mail", [b"", b"\x00\xff" * 100, b"Content-Type: multipart/mixed; boundary=x\n\n--x" * 2000])
def test_what_is_no_mail_is_shown_as_far_as_it_goes(mail: bytes) -> None:
    assert len(plain_text(mail)) <= LONGEST


def test_a_very_long_mail_is_cut() -> None:
    assert len(plain_text(b"Subject: x\n\n" + b"word " * 100_000)) == LONGEST
