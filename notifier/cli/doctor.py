"""`notifier doctor`: a look at everything that an instance leans on, with what to do about each fault."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import click
from rich.markup import escape
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from notifier import runtime as wiring
from notifier import schema
from notifier.adapters import checkup
from notifier.adapters.checkup import Answered, Unreachable
from notifier.adapters.dns import NoAnswer, Texts, texts_of
from notifier.adapters.sending import Mail, Verdict
from notifier.cli.shared import data_dir_option, headed, out
from notifier.models import BounceMail, Provider
from notifier.rules.checkup import (
    Finding,
    Level,
    failed,
    fine,
    judge_dkim,
    judge_dmarc,
    judge_spf,
    parents,
    warning,
)
from notifier.runtime import Runtime, now
from notifier.services import holds, outbox, provider
from notifier.settings import RelaySettings, load

COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILED: "bold red"}
CLOCKS_APART = timedelta(seconds=5)
CERTIFICATE_SOON = timedelta(days=14)
BACKUP_OLD = timedelta(days=2)
BACKUP_TOO_OLD = timedelta(days=14)
LITTLE_ROOM, NO_ROOM = 2 * 1024**3, 200 * 1024**2  # bytes
PAUSE = 2.0  # seconds between two looks for a bounce
SAFE = ("fsync", "full_page_writes", "synchronous_commit")  # without them PostgreSQL may lose what it has committed


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What whoever calls the doctor wants to be looked at, and by what means."""

    selector: str = ""
    backups: Path | None = None
    round_trip: float = 0  # seconds to wait for a bounce; 0: none is sent
    texts: Texts
    ca_file: str | None = None


@click.command("doctor")
@click.option("--dkim-selector", "selector", default="", help="The selector under which your relay signs.")
@click.option("--backups", type=click.Path(path_type=Path, file_okay=False), help="Where backups are kept.")
@click.option("--round-trip", is_flag=True, help="Send one mail to the bounce address, and wait until it is taken in.")
@click.option("--wait", default=120.0, show_default=True, help="Seconds to wait for that mail.")
@data_dir_option
def doctor_command(data_dir: Path, selector: str, backups: Path | None, wait: float, *, round_trip: bool) -> None:
    """Check database, pages, mail, clock and backups, and say what to do; exit code 1 if something has failed."""
    asked = Asked(selector=selector, backups=backups, round_trip=wait if round_trip else 0, texts=texts_of())
    settings = load(data_dir)
    runtime = wiring.build(settings)
    try:
        findings = examine(runtime, asked)
    finally:
        runtime.close()
    table = headed("", "What", "How it is", "What to do")
    for one in findings:
        colour = COLOURS[one.level]
        table.add_row(f"[{colour}]{one.level}[/]", *map(escape, (one.what, one.said, one.todo)))
    out.print(table)
    if any(one.level is Level.FAILED for one in findings):
        click.get_current_context().exit(1)


def examine(runtime: Runtime, asked: Asked) -> list[Finding]:
    """Look at everything.  Where the database does not answer, nothing else can be said."""
    try:
        current = schema.is_current(runtime.engine)
    except SQLAlchemyError as trouble:
        said = str(getattr(trouble, "orig", None) or type(trouble).__name__).partition("\n")[0]
        return [failed("database", f"it does not answer: {said}", "start it, or correct database_url")]
    if not current:
        return [failed("tables", "they are not those of this version", "run `notifier upgrade`")]
    with runtime.reading() as session:
        profile = provider.get(session)
        found = [*_database(session), *_clock(session), *_sending(runtime, session, profile)]
    found += [*_pages(profile, asked), *_records(runtime, profile, asked), *_relays(runtime)]
    return [*found, *_bounces(runtime, profile, asked), _broker(runtime), _backups(runtime, asked), _room(runtime)]


# --- the database and the clock --------------------------------------------------------------------------------------


def _database(session: Session) -> Iterator[Finding]:
    yield fine("tables", "they are those of this version")
    if session.get_bind().dialect.name != "postgresql":
        yield fine("database", "SQLite, with synchronous=FULL: one process on this machine")
        return
    risky = [name for name in SAFE if session.connection().exec_driver_sql(f"SHOW {name}").scalar_one() == "off"]
    if risky:
        todo = "switch them on in postgresql.conf: a mail could be sent twice after a loss of power"
        yield failed("database", f"PostgreSQL, {' and '.join(risky)} off", todo)
    else:
        yield fine("database", f"PostgreSQL, {', '.join(SAFE)} on")


def _clock(session: Session) -> Iterator[Finding]:
    yield _compared("clock of the database", outbox.database_now(session))


def _compared(what: str, other: datetime) -> Finding:
    apart = abs(other - now())
    said = f"{apart.total_seconds():.1f} s from ours"
    if apart <= CLOCKS_APART:
        return fine(what, said)
    return warning(what, said, "let both be set by NTP: deadlines are counted by this clock, leases by the database's")


def _sending(runtime: Runtime, session: Session, profile: Provider) -> Iterator[Finding]:
    if holds.is_held(session):
        yield failed("sending", "on hold: nothing leaves", "`notifier hold show` says why and how to release it")
    elif runtime.settings.mail.sender == "mailbox":
        yield warning("sending", "mails are kept here, none leaves", 'set sender = "smtp" in [mail]')
    else:
        yield fine("sending", "mails leave as they fall due")
    if profile.missing:
        yield failed("profile", f"it lacks {', '.join(profile.missing)}", "fill it in: nothing is sent before")
    else:
        yield fine("profile", "complete")


# --- pages -----------------------------------------------------------------------------------------------------------


def _pages(profile: Provider, asked: Asked) -> Iterator[Finding]:
    if not profile.base_url:
        return
    what = f"pages at {profile.base_url}"
    if urlsplit(profile.base_url).scheme != "https":
        yield failed(
            what, "not https: whoever listens reads the links", "put a proxy with TLS in front; change base_url"
        )
    try:
        answered = checkup.ask(f"{profile.base_url.rstrip('/')}/healthz", ca_file=asked.ca_file)
    except Unreachable as trouble:
        yield failed(what, str(trouble), "start the pages, and let the proxy lead there; clients follow this address")
        return
    if answered.status == 200:  # noqa: PLR2004 - OK
        yield fine(what, "they answer")
    else:
        yield failed(what, f"/healthz answers {answered.status}", "let the proxy lead to the pages")
    yield from _certificate(answered)
    if answered.date:
        yield _compared("clock of the pages", answered.date)


def _certificate(answered: Answered) -> Iterator[Finding]:
    if answered.certificate_ends is None:
        return
    left = answered.certificate_ends - now()
    said = f"valid for {left.days} more days"
    if left > CERTIFICATE_SOON:
        yield fine("certificate of the pages", said)
    else:
        yield warning("certificate of the pages", said, "renew it: is whatever renews it still running?")


# --- mail ------------------------------------------------------------------------------------------------------------


def _records(runtime: Runtime, profile: Provider, asked: Asked) -> Iterator[Finding]:
    domain = profile.sender_address.rpartition("@")[2]
    if not domain or runtime.settings.mail.sender == "mailbox":
        return
    envelope = runtime.settings.mail.bounce_address.rpartition("@")[2] or domain  # SPF looks at the envelope sender
    signed = f"{asked.selector}._domainkey.{domain}"
    try:
        yield judge_spf(envelope, asked.texts(envelope))
        if asked.selector:
            yield judge_dkim(signed, asked.texts(signed))
        else:
            yield warning(f"DKIM of {domain}", "not looked at", "name the selector: --dkim-selector")
        yield judge_dmarc(domain, _nearest(domain, asked.texts))
    except NoAnswer as trouble:
        yield warning("records of the mail domain", str(trouble), "look again where the DNS can be asked")


def _nearest(domain: str, texts: Texts) -> Sequence[str]:
    """A policy of a domain above holds where the domain has none."""
    return next((found for one in parents(domain) if (found := texts(f"_dmarc.{one}"))), [])


def _relays(runtime: Runtime) -> Iterator[Finding]:
    mail = runtime.settings.mail
    if mail.sender == "smtp":
        for said in mail.all_relays:
            yield from _relay(runtime, said)


def _relay(runtime: Runtime, said: RelaySettings) -> Iterator[Finding]:
    what = f"relay {said.host}:{said.port}"
    try:
        greeted = checkup.greet(runtime.relay(said))
    except (Unreachable, ValueError) as trouble:
        yield failed(what, str(trouble), "correct [mail], or ask whoever runs the relay; mails wait meanwhile")
        return
    how = greeted.tls or "in clear"
    yield fine(what, f"{how}, signed in" if said.username else how)
    lacking = [name for name in ("PIPELINING", "8BITMIME", "DSN") if name not in greeted.extensions]
    offered = ", ".join(greeted.extensions) or "none"
    if lacking:
        todo = f"nothing must be done; without {', '.join(lacking)} sending is slower or less is known"
        yield warning("extensions of the relay", offered, todo)
    else:
        yield fine("extensions of the relay", offered)


def _bounces(runtime: Runtime, profile: Provider, asked: Asked) -> Iterator[Finding]:
    mail, intake = runtime.settings.mail, runtime.settings.bounces
    if mail.sender == "mailbox":
        return
    what = "mails that come back"
    if not mail.bounce_address:
        yield warning(what, "no bounce address", "set bounce_address in [mail]: else nobody learns of them")
    elif not (intake.imap_host or intake.lmtp_port or intake.webhook_secret.get_secret_value()):
        yield warning(what, "nothing takes them in", "set a mailbox, LMTP or a webhook in [bounces]")
    elif asked.round_trip and _is_held(runtime):
        yield warning(what, "not tried: sending is on hold", "`notifier hold show` says why")
    elif asked.round_trip:
        yield _round_trip(runtime, profile, asked.round_trip)
    else:
        yield warning(what, "taken in, but not tried", "`notifier doctor --round-trip` sends one and waits for it")


def _is_held(runtime: Runtime) -> bool:
    with runtime.reading() as session:
        return holds.is_held(session)


def _round_trip(runtime: Runtime, profile: Provider, patience: float) -> Finding:
    """Send what looks like a report of a delay to an address with a valid tag, and wait until it has been taken in.

    It names a delivery that does not exist, and a delay ends nothing: it leaves one kept mail behind, and no item.
    """
    what, nonce, begun = "mails that come back", uuid4().hex, time.monotonic()
    local, _at, domain = runtime.settings.mail.bounce_address.partition("@")
    address = f"{local}+{runtime.desk.keyring.envelope_tag(uuid4(), 1)}@{domain}"
    content = probe(profile.sender_address, address, nonce, now())
    started, sender = now(), runtime.make_sender()
    sha256 = hashlib.sha256(content).hexdigest()
    one = Mail(
        delivery_id=uuid4(),
        sender=profile.sender_address,
        recipient=address,
        content=content,
        attempt=1,
        sha256=sha256,
    )
    try:
        held, outcomes = sender.hold([one])
        outcomes += sender.release(held)
    finally:
        sender.close()
    if outcomes[0].verdict is not Verdict.ACCEPTED:
        said = f"the relay does not take a mail to {local}+…@{domain}: {outcomes[0].code or ''} {outcomes[0].reply}"
        return failed(what, said, "let the relay take mail for the bounce address with whatever follows a +")
    while time.monotonic() - begun < patience:
        if _came(runtime, nonce, since=started):
            return fine(what, f"one was sent, came back and was read after {time.monotonic() - begun:.0f} s")
        time.sleep(PAUSE)
    said = f"one was sent, and has not been taken in after {patience:.0f} s"
    return failed(what, said, "is a worker running, and does mail to the bounce address reach the mailbox?")


def probe(sender: str, address: str, nonce: str, at: datetime) -> bytes:
    """Return a report of a delay (RFC 3464) to the bounce address."""
    lines = [
        f"From: <{sender}>",
        f"To: <{address}>",
        "Subject: A delay that is only a test (notifier doctor)",
        f"Date: {at.astimezone(UTC):%a, %d %b %Y %H:%M:%S +0000}",
        f"Message-ID: <doctor.{nonce}@{sender.rpartition('@')[2]}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{nonce}"',
        "",
        f"--{nonce}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "Nothing is late: this mail shows that reports find their way.",
        f"--{nonce}",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; doctor.invalid",
        "",
        "Final-Recipient: rfc822; nobody@doctor.invalid",
        "Action: delayed",
        "Status: 4.0.0",
        "",
        f"--{nonce}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def _came(runtime: Runtime, nonce: str, *, since: datetime) -> bool:
    with runtime.reading() as session:
        query = select(BounceMail.content).where(col(BounceMail.received_at) >= since - CLOCKS_APART)
        return any(nonce.encode() in content for content in session.exec(query))


# --- what stands around ----------------------------------------------------------------------------------------------


def _broker(runtime: Runtime) -> Finding:
    if not runtime.settings.broker_url:
        return fine("broker", f"none: workers look every {runtime.settings.sweep_seconds:.0f} s")
    if trouble := runtime.broker_trouble():
        return warning("broker", f"it does not answer ({trouble})", "start it; meanwhile mails leave with the sweep")
    return fine("broker", "it answers")


def _backups(runtime: Runtime, asked: Asked) -> Finding:
    folder = asked.backups or runtime.settings.data_dir / "backups"
    made = (
        [datetime.fromtimestamp(one.stat().st_mtime, UTC) for one in folder.glob("*.tar.gz")] if folder.is_dir() else []
    )
    todo = "let `notifier backup` run every day, and keep copies elsewhere"
    if not made:
        return warning("backup", f"none in {folder}", f"{todo}; --backups names another folder")
    age = now() - max(made)
    said = f"the newest is {age.days} days and {age.seconds // 3600} hours old"
    if age > BACKUP_TOO_OLD:
        return failed("backup", said, todo)
    return warning("backup", said, todo) if age > BACKUP_OLD else fine("backup", said)


def _room(runtime: Runtime) -> Finding:
    free = shutil.disk_usage(runtime.settings.data_dir).free
    said = f"{free / 1024**3:.1f} GB free"
    if free < NO_ROOM:
        return failed("disk", said, "make room: a full disk stops everything")
    return warning("disk", said, "make room") if free < LITTLE_ROOM else fine("disk", said)
