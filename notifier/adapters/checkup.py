"""A look at what an installation leans on, from outside: its public address and its relay.  Nothing is sent."""

from __future__ import annotations

import http.client
import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from notifier.adapters.smtp import Relay

PATIENCE = 10.0  # seconds for each step


class Unreachable(Exception):
    """It does not answer as it should; the message says at which step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What an address answered: its status, what its clock says, and when its certificate ends."""

    status: int
    date: datetime | None
    certificate_ends: datetime | None  # none in clear


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeted:
    """What a relay offers once it is spoken to in safety and signed in to."""

    extensions: Sequence[str]
    tls: str  # the protocol's version; empty in clear


def ask(url: str, *, ca_file: str | None = None) -> Answered:
    """Ask an address once, and look at its certificate.  No redirect is followed."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=ssl.create_default_context(cafile=ca_file))
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=PATIENCE)
    )
    try:
        connection.connect()
        ends = _certificate_ends(connection)
        connection.request("GET", parts.path or "/", headers={"user-agent": "notifier doctor"})
        answer = connection.getresponse()
        return Answered(status=answer.status, date=_date(answer.getheader("date")), certificate_ends=ends)
    except ssl.SSLCertVerificationError as trouble:
        raise Unreachable(f"its certificate is not valid: {trouble.verify_message}") from None
    except (OSError, http.client.HTTPException) as trouble:
        raise Unreachable(f"it does not answer: {_said(trouble)}") from None
    finally:
        connection.close()


def _certificate_ends(connection: http.client.HTTPConnection) -> datetime | None:
    if not isinstance(connection.sock, ssl.SSLSocket):
        return None
    ends = str((connection.sock.getpeercert() or {})["notAfter"])
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def greet(relay: Relay) -> Greeted:
    """Connect, EHLO, STARTTLS and AUTH as the worker does, and leave."""
    context = ssl.create_default_context(cafile=str(relay.ca_file) if relay.ca_file else None)
    step = "connecting"
    try:
        with _connection(relay, context) as server:
            step = "EHLO"
            _expect(server.ehlo(), 250)
            if relay.security == "starttls":
                step = "STARTTLS"
                _expect(server.starttls(context=context), 220)
                _expect(server.ehlo(), 250)
            if relay.username:
                step = "AUTH"
                server.login(relay.username, relay.password)
            tls = server.sock.version() if isinstance(server.sock, ssl.SSLSocket) else None
            extensions = sorted(name.upper() for name in server.esmtp_features)
            return Greeted(extensions=extensions, tls=tls or "")
    except ssl.SSLCertVerificationError as trouble:
        raise Unreachable(f"{step}: its certificate is not valid: {trouble.verify_message}") from None
    except (OSError, smtplib.SMTPException) as trouble:
        raise Unreachable(f"{step}: {_said(trouble)}") from None


def _connection(relay: Relay, context: ssl.SSLContext) -> smtplib.SMTP:
    if relay.security == "tls":
        return smtplib.SMTP_SSL(relay.host, relay.port, timeout=PATIENCE, context=context)
    return smtplib.SMTP(relay.host, relay.port, timeout=PATIENCE)


def _expect(reply: tuple[int, bytes], code: int) -> None:
    if reply[0] != code:
        raise smtplib.SMTPResponseException(*reply)


def _said(trouble: Exception) -> str:
    """A refusal to sign in quotes no password; it is cut all the same, since a relay may say anything."""
    if isinstance(trouble, smtplib.SMTPResponseException):
        said = trouble.smtp_error.decode("utf-8", "replace") if isinstance(trouble.smtp_error, bytes) else ""
        return f"{trouble.smtp_code} {said}"[:200]
    return (str(trouble) or type(trouble).__name__)[:200]
