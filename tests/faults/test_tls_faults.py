"""Rows 12 and 13 of the fault matrix: a relay that cannot prove who it is, speaks no TLS, or refuses our password."""

import ssl
import warnings
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from notifier.rules.delivery_states import DeliveryState
from notifier.worker import Worker
from tests.factories import make_runtime
from tests.faults.books import read_books
from tests.faults.certificates import Certificates, make_certificates
from tests.faults.ground import mail_to, owe, work_until_done
from tests.faults.harness import free_port
from tests.faults.sink import Fault, FaultSink

MAILS = 6
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def old(certificates: Certificates) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        return certificates.old_server()


def bad_relay(case: str, certificates: Certificates) -> tuple[Mapping[Fault, str], ssl.SSLContext | None]:
    """What goes wrong at the relay, and the certificate that it shows."""
    match case:
        case "refused":
            return {Fault.STARTTLS_REFUSED: "1"}, certificates.server("good")
        case "stripped":
            return {}, None
        case "tls 1.0 only":
            return {}, old(certificates)
        case _:
            return {}, certificates.server(case)


SAID = {
    "refused": "refuses STARTTLS",
    "stripped": "offers no STARTTLS; no mail goes in clear",
    "wrong_name": "certificate verify failed",
    "expired": "certificate has expired",
    "self_signed": "certificate verify failed",
    "tls 1.0 only": "",
}
# There is no STARTTLS where TLS begins with the first byte.
CASES = {"starttls": [*SAID], "tls": [case for case in SAID if case not in {"refused", "stripped"}]}


@pytest.mark.parametrize(("case", "security"), [(case, way) for way, cases in CASES.items() for case in cases])
def test_no_mail_goes_to_a_relay_that_does_not_prove_itself_and_each_arrives_once_when_it_does(
    sqlite_url: str, tmp_path: Path, certificates: Certificates, case: str, security: str
) -> None:
    """Row 12."""
    port = free_port()
    faults, tls = bad_relay(case, certificates)
    mail = mail_to(port, security=security, ca_file=str(certificates.authority))
    implicit = security == "tls"
    with closing(make_runtime(sqlite_url, tmp_path, mail=mail)) as runtime, closing(Worker(runtime)) as worker:
        owe(runtime, MAILS)
        with FaultSink(faults, port=port, tls=tls, implicit_tls=implicit) as bad:
            worker.tick()
        before = read_books(runtime.engine, bad.taken)
        with FaultSink(port=port, tls=certificates.server("good"), implicit_tls=implicit) as good:
            work_until_done(worker, seconds=30)
        books = read_books(runtime.engine, good.taken)

    assert bad.taken == []
    assert set(before.those(DeliveryState.WAITING)) == {one.message_id for one in before.deliveries}
    assert all(SAID[case] in one.last_reply and one.last_reply for one in before.deliveries)
    books.agree()
    assert len(books.those(DeliveryState.ACCEPTED)) == MAILS
    assert {one.tls for one in books.attempts if one.verdict == "accepted"} == {"TLSv1.3"}


@pytest.mark.parametrize("case", ["refused", "not asked for"])
def test_a_password_that_does_not_help_refuses_nobody_and_is_not_tried_again_and_again(
    sqlite_url: str, tmp_path: Path, certificates: Certificates, case: str
) -> None:
    """Row 13: an account that is tried ten times a second is locked, and a mail that is refused asks a person."""
    port = free_port()
    login: dict[str, Any] = {"username": "notifier", "password": PASSWORD}
    mail = mail_to(port, security="starttls", ca_file=str(certificates.authority), retry_schedule=[1.0], **login)
    faults = {Fault.LOGIN_REFUSED: "1"} if case == "refused" else {}
    tls = certificates.server("good")
    with closing(make_runtime(sqlite_url, tmp_path, mail=mail)) as runtime, closing(Worker(runtime)) as worker:
        owe(runtime, MAILS)
        with FaultSink(faults, port=port, tls=tls, password=PASSWORD if faults else None) as bad:
            worker.tick()
        before = read_books(runtime.engine, bad.taken)
        with FaultSink(port=port, tls=tls, password=PASSWORD) as good:
            work_until_done(worker, seconds=30)
        books = read_books(runtime.engine, good.taken)

    assert set(before.those(DeliveryState.WAITING)) == {one.message_id for one in before.deliveries}
    assert bad.connections <= 2
    books.agree()
    assert len(books.those(DeliveryState.ACCEPTED)) == MAILS
