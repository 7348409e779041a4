from __future__ import annotations

import hashlib
import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as elliptic
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from dkim.canonicalization import Relaxed
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.adapters.dkim import BadDkim, DkimSigner, Key, relaxed_body, relaxed_field
from notifier.adapters.letters import LetterPress
from tests.letters.samples import HEAD, SCENES, attachments, context, facts, letter_of

TEMPLATES = Path(__file__).parents[2] / "templates"
KEYS: dict[str, Key] = {"rsa": rsa(public_exponent=65537, key_size=2048), "ed25519": Ed25519PrivateKey.generate()}
SIGNERS = {kind: DkimSigner("hosting.example", "notices", key) for kind, key in KEYS.items()}
BOTH = pytest.mark.parametrize("kind", ["rsa", "ed25519"])
SPACED = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"=20", b".", b"-"])).map(b"".join)


def mail(scene: str = "notice", language: str = "fr") -> bytes:
    press = LetterPress([TEMPLATES])
    mould = press.mould(
        letter_of(scene),
        language,
        context(scene, language),
        envelope=HEAD,
        attachments=attachments(scene, language),
    )
    return mould.fill(facts(scene, language))


def is_valid(signed: bytes, signer: DkimSigner) -> bool:
    """Ask another's implementation, which finds the key where it is published."""

    def lookup(name: bytes, timeout: int = 5) -> bytes:  # noqa: ARG001 - dkimpy names it
        assert name == b"notices._domainkey.hosting.example."
        return signer.published.encode()

    return bool(dkim.verify(signed, dnsfunc=lookup))


def written(key: object, folder: Path) -> Path:
    file = folder / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))  # type: ignore[attr-defined] # whatever key
    return file


@BOTH
@pytest.mark.parametrize("scene", sorted(SCENES))
def test_a_signed_letter_is_found_valid_and_reads_as_before(kind: str, scene: str) -> None:
    plain = mail(scene)

    signed = SIGNERS[kind].sign(plain)

    assert is_valid(signed, SIGNERS[kind])
    assert signed.endswith(plain)
    added = signed.removesuffix(plain)
    assert message_from_bytes(added, policy=default).keys() == ["DKIM-Signature"]
    assert max(map(len, added.split(b"\r\n"))) <= 78
    assert added.isascii()


@BOTH
def test_the_same_mail_is_signed_alike_for_ever(kind: str, tmp_path: Path) -> None:
    again = DkimSigner.read(domain="hosting.example", selector="notices", key_file=written(KEYS[kind], tmp_path))

    digests = {hashlib.sha256(signer.sign(mail())).digest() for signer in (SIGNERS[kind], again, SIGNERS[kind])}

    assert len(digests) == 1


@BOTH
@pytest.mark.parametrize(
    ("said", "instead"),
    [
        (b"From:", b"From: Somebody Else <else@other.example>\r\nFrom:"),
        (b"Subject:", b"Subject: Something else\r\nSubject:"),
        (b"To:", b"To: else@other.example\r\nTo:"),
        (b"Date: ", b"Date: Mon, 02 Mar 2026 13:00:00 +0100 "),
        (b"Reply-To: <", b"Reply-To: <a"),
        (b"Content-Type: text/html", b"Content-Type: text/plain"),
    ],
)
def test_what_is_added_or_changed_on_the_way_breaks_the_signature(kind: str, said: bytes, instead: bytes) -> None:
    signed = SIGNERS[kind].sign(mail())
    where = signed.index(said)

    assert not is_valid(signed[:where] + instead + signed[where + len(said) :], SIGNERS[kind])


@BOTH
def test_what_relays_do_to_white_space_breaks_nothing(kind: str) -> None:
    signed = SIGNERS[kind].sign(mail()).replace(b"MIME-Version: 1.0", b"MIME-Version:  \r\n\t1.0 ")

    assert is_valid(signed + b"\r\n\r\n", SIGNERS[kind])


def test_both_headers_that_end_a_subscription_are_signed() -> None:
    signed = SIGNERS["ed25519"].sign(mail("subscription_news")).partition(b"\r\n b=")[0]

    names = re.sub(rb"\s", b"", signed.rpartition(b"h=")[2]).strip(b";").split(b":")  # RFC 8058, 4
    assert {b"list-unsubscribe", b"list-unsubscribe-post"} <= set(names)
    assert [names.count(name) for name in (b"from", b"to", b"subject", b"date")] == [2, 2, 2, 1]


@given(SPACED)
@example(b"")
@example(b"\r\n")
@example(b" ")
@example(b"a \t")
def test_a_body_is_relaxed_as_others_relax_it(body: bytes) -> None:
    assert relaxed_body(body + b"\r\n") == Relaxed.canonicalize_body(body + b"\r\n")
    assert relaxed_body(body) == relaxed_body(body + b"\r\n")  # SMTP ends the last line


@given(SPACED)
def test_a_field_is_relaxed_as_others_relax_it(value: bytes) -> None:
    folded = value.replace(b"\r\n", b"\r\n ")

    [(name, relaxed)] = Relaxed.canonicalize_headers([(b"X-Name ", folded + b"\r\n")])

    assert relaxed_field(b"X-Name :" + folded) + b"\r\n" == name + b":" + relaxed


@pytest.mark.parametrize(
    ("domain", "selector"),
    [("", "a"), ("localhost", "a"), ("hosting.example;", "a"), ("hosting.example", ""), ("hosting.example", "a; b")],
)
def test_a_domain_or_a_selector_that_could_break_the_header_is_refused(
    domain: str, selector: str, tmp_path: Path
) -> None:
    with pytest.raises(BadDkim):
        DkimSigner.read(domain=domain, selector=selector, key_file=written(KEYS["ed25519"], tmp_path))


def test_a_key_that_nobody_could_check_is_refused_with_what_to_do(tmp_path: Path) -> None:
    weak = rsa(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
    for key in (weak, elliptic(SECP256R1())):
        with pytest.raises(BadDkim, match="2048"):
            DkimSigner.read(domain="hosting.example", selector="a", key_file=written(key, tmp_path))
    with pytest.raises(BadDkim, match="openssl"):
        DkimSigner.read(domain="hosting.example", selector="a", key_file=tmp_path / "missing.pem")
