"""The whole story, played over real HTTP and real SMTP on loopback: the product's own smoke test.

Each step prints one line with what it saw, and the first thing that is not as it should be ends the play.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifier import embedded
from notifier import runtime as wiring
from notifier.demo import story
from notifier.demo.browser import Browser
from notifier.models import Announcement, EventKind
from notifier.runtime import Runtime, now
from notifier.services import announcements, answers, boards, events, outbox, previews, webhooks
from notifier.settings import load

HOST = "127.0.0.1"
OK, NOT_FOUND, UNPROCESSABLE = 200, 404, 422
PATIENCE = 15.0  # seconds for anything to arrive
ANSWERS = 4  # two acknowledged by one person, one objection, one termination
MAILS = 7  # one address serves two clients, one client has two contacts, one client has nobody who can be told
OBJECTOR, ACKNOWLEDGER, TERMINATOR = (
    "camille.roy@trois-sources.example",
    "conformite@groupe-lierre.example",
    "robin.walsh@meridian.example",
)
LINK = re.compile(r"http://[^\s\"<>]+/notice/[A-Za-z0-9_-]+")


class StoryFailed(Exception):
    """Something was not as it should be."""


@dataclass(slots=True)
class Postman:
    """A mail server that takes everything and keeps it: (recipient, mail)."""

    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        del server, session
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        for recipient in envelope.rcpt_tos:
            self.mails.append((recipient, message_from_bytes(content, policy=modern)))
        return "250 kept"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for recipient, mail in self.mails if recipient == address]


@dataclass(slots=True)
class Ticketing:
    """A ticketing system that checks each webhook's signature by itself (Standard Webhooks 1.0.0)."""

    secret: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    forged: int = 0

    def take(self, headers: Any, body: bytes) -> None:  # noqa: ANN401 - http.client's headers
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        if wanted in headers["webhook-signature"].split():
            self.received.append(json.loads(body))
        else:
            self.forged += 1

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.received]


@dataclass(frozen=True, slots=True)
class Stage:
    """What a step plays with."""

    runtime: Runtime
    base_url: str
    staff: Browser
    postman: Postman
    ticketing: Ticketing
    ticket_url: str


def check(data_dir: Path | None, *, say: Callable[[str], None]) -> None:
    """Play the story in a temporary folder (or in `data_dir`, which is kept); StoryFailed at the first fault."""
    started = time.monotonic()
    with _folder(data_dir) as folder, _postman() as (postman, smtp_port), _ticketing() as (ticketing, ticket_url):
        runtime = wiring.build(load(folder, _overrides(smtp_port, ticket_url)))
        try:
            with embedded.serving(runtime, host=HOST, port=0) as port:
                base_url = f"http://{HOST}:{port}"
                stage = Stage(runtime, base_url, Browser(base_url), postman, ticketing, ticket_url)
                for number, step in enumerate(STEPS, start=1):
                    say(f"{number:>2}/{len(STEPS)}  {step(stage)}")
        finally:
            runtime.close()
    say(f"The story went as it should, in {time.monotonic() - started:.1f} s.")


def _set_the_scene(stage: Stage) -> str:
    with stage.runtime.transaction() as session:
        story.cast(stage.runtime, session, stage.base_url)
    page = stage.staff.get("/subprocessors")
    _expect(page.status == OK, f"the public list answers {page.status}")
    names = [
        "EQUINIX",
        "INTERXION",
        "TELEHOUSE",
        "DASSAULT SYSTEMES",
        "SIPARTECH",
        "RATP Connect",
        "BSO",
        "INTERDATA",
        "ZAYO",
        "LUMEN",
    ]
    missing = [name for name in names if name not in page.text]
    _expect(not missing and story.OLD.name in page.text, f"the public list lacks {missing}")
    return f"the public list shows the contract's {len(names)} third parties and {story.OLD.name}"


def _sign_in(stage: Stage) -> str:
    link = story.sign_in_link(stage.runtime, stage.base_url)
    page = stage.staff.get(link)
    again = stage.staff.get(link)
    _expect(page.status == again.status == OK, "looking at the sign-in link spends it")
    home = stage.staff.submit(page, "/sign-in/", {})
    _expect(home.status == OK and "/staff/" in home.url, f"signing in leads to {home.url} ({home.status})")
    spent = Browser(stage.base_url).get(link)
    _expect(spent.status == NOT_FOUND, "the sign-in link works twice")
    return "the one-time link signed the account manager in, once"


def _add_the_webhook(stage: Stage) -> str:
    with stage.runtime.transaction() as session:
        _, secret = webhooks.add(session, stage.runtime.desk, url=stage.ticket_url, kinds=[], by=story.BY, now=now())
    stage.ticketing.secret = secret
    return "ticketing listens on a signed webhook"


def _edit_the_draft(stage: Stage) -> str:
    page = stage.staff.get(f"/staff/registry/draft/entries?replaces={story.OLD.key}")
    _expect(page.status == OK, f"the page of a new entry answers {page.status}")
    typed = {
        "activities": story.NEW.activity,
        **{name: getattr(story.NEW, name) for name in ("name", "address", "postcode", "town", "country")},
    }
    saved = stage.staff.submit(page, "/staff/registry/draft", typed)
    _expect(saved.status == OK and story.NEW.name in saved.text, f"the new entry is not in the draft ({saved.status})")
    return f"the account manager replaced {story.OLD.name} by {story.NEW.name} in the draft"


def _refuse_too_early(stage: Stage) -> str:
    page = stage.staff.get("/staff/registry/draft/preview")
    _expect(page.status == OK, f"the preview answers {page.status}")
    early = stage.staff.submit(page, "/staff/announcements", _publication(now().date() + timedelta(days=1)))
    _expect(early.status in {409, 422}, f"an effective date of tomorrow is answered with {early.status}")
    with stage.runtime.reading() as session:
        _expect(not announcements.newest(session), "a refused announcement was published all the same")
    _expect("Clinique des Trois Sources" in early.text, "the refusal does not say for whom the date is too early")
    return f"a date inside the clients' periods was refused ({early.status}), and nothing was sent"


def _publish(stage: Stage) -> str:
    with stage.runtime.reading() as session:
        earliest = previews.preview(session, stage.runtime.desk, now=now()).earliest_effective_on
    _expect(earliest is not None, "the preview knows no earliest date")
    page = stage.staff.get("/staff/registry/draft/preview")
    board = stage.staff.submit(page, "/staff/announcements", _publication((earliest or date.max) + timedelta(days=7)))
    _expect(
        board.status == OK and "/staff/announcements/" in board.url,
        f"publishing leads to {board.url} ({board.status})",
    )
    again = stage.staff.submit(page, "/staff/announcements", _publication((earliest or date.max) + timedelta(days=7)))
    _expect(again.status in {409, 422}, f"publishing twice is answered with {again.status}")
    return f"the announcement was published once; the second try was refused ({again.status})"


def _mails_arrive(stage: Stage) -> str:
    _wait(lambda: len(stage.postman.mails) >= MAILS, f"{MAILS} mails", lambda: f"{len(stage.postman.mails)} mails")
    recipients = sorted(recipient for recipient, _ in stage.postman.mails)
    _expect(len(recipients) == len(set(recipients)) == MAILS, f"somebody was told twice: {recipients}")
    shared = _text(stage.postman.to(ACKNOWLEDGER)[0])
    _expect(
        "Résidence Les Tilleuls" in shared and "Résidence Les Glycines" in shared,
        "the shared mail does not name both clients",
    )
    french, english = _text(stage.postman.to(OBJECTOR)[0]), _text(stage.postman.to(TERMINATOR)[0])
    _expect("sous-traitants" in french and "subprocessors" in english, "a letter is not in its reader's language")
    _expect(
        all(name in text for name in (story.OLD.name, story.NEW.name) for text in (french, english)),
        "a letter lacks the change",
    )
    return f"{MAILS} mails came over SMTP, one per address, in French and in English"


def _machines_decide_nothing(stage: Stage) -> str:
    link = _link(stage.postman.to(OBJECTOR)[0])
    scanner = Browser(stage.base_url)
    statuses = {scanner.head(link).status, *(scanner.get(link).status for _ in range(5))}
    _expect(statuses == {OK}, f"opening a link is answered with {statuses}")
    altered = scanner.get(link[:-1] + ("A" if link[-1] != "A" else "B"))
    _expect(altered.status == NOT_FOUND, f"an altered link is answered with {altered.status}")
    _expect(_counts(stage)["acknowledged"] == _counts(stage)["objected"] == 0, "a machine answered for a person")
    return "six visits by a machine decided nothing, and an altered link opens nothing"


def _acknowledge(stage: Stage) -> str:
    person, link = Browser(stage.base_url), _link(stage.postman.to(ACKNOWLEDGER)[0])
    page = person.get(link)
    companies = [str(told.notice.id) for told in _opened(stage, link).told]
    nothing = person.submit(page, "/acknowledgement", {"name": "Alix Morel", "companies": companies})
    _expect(nothing.status == UNPROCESSABLE, f"an acknowledgement without its choice is answered with {nothing.status}")
    receipt = person.submit(page, "/acknowledgement", {"name": "Alix Morel", "companies": companies, "choice": "yes"})
    _expect(
        receipt.status == OK and "/receipts/" in receipt.url,
        f"acknowledging leads to {receipt.url} ({receipt.status})",
    )
    _wait(lambda: len(stage.postman.to(ACKNOWLEDGER)) > 1, "the receipt", lambda: "no receipt")
    return f"one person acknowledged for two companies; receipt {receipt.url.rpartition('/')[2]} came by mail"


def _object(stage: Stage) -> str:
    receipt = _answer(stage, OBJECTOR, "objection", {"reasons": "Le nouveau tracé n’est pas documenté."})
    _wait(lambda: bool(stage.postman.to(story.ANA)), "the alert", lambda: "no alert")
    alert = _text(stage.postman.to(story.ANA)[0])
    _expect("tracé" in alert, "the alert lacks the reasons")
    return f"one client objected ({receipt}); its account manager was told by mail"


def _terminate(stage: Stage) -> str:
    receipt = _answer(stage, TERMINATOR, "termination", {})
    return f"one client terminated, after a second page that restated the effect ({receipt})"


def _webhooks_arrive(stage: Stage) -> str:
    wanted = {EventKind.ANNOUNCEMENT_PUBLISHED.value, EventKind.NOTICE_SENT.value, EventKind.ANSWER_RECORDED.value}
    kinds = stage.ticketing.kinds
    _wait(
        lambda: wanted <= set(kinds()) and kinds().count(EventKind.ANSWER_RECORDED.value) >= ANSWERS,
        "four answers",
        lambda: str(set(kinds())),
    )
    _expect(stage.ticketing.forged == 0, f"{stage.ticketing.forged} webhooks had a wrong signature")
    return f"ticketing received {len(kinds())} webhooks, every signature good"


def _board(stage: Stage) -> str:
    counts = _counts(stage)
    wanted = {
        "acknowledged": 2,
        "objected": 1,
        "terminated": 1,
        "silent": 3,
        "unreached": 1,
    }
    _expect({status: count for status, count in counts.items() if count} == wanted, f"the board counts {counts}")
    page = stage.staff.get(f"/staff/announcements/{_announcement(stage).id}")
    _expect(page.status == OK and "Clinique des Trois Sources" in page.text, f"the board answers {page.status}")
    return "the board shows " + ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def _gate(stage: Stage) -> str:
    page = stage.staff.get(f"/staff/announcements/{_announcement(stage).id}")
    refused = stage.staff.submit(page, "/live", {})
    _expect(refused.status in {409, 422}, f"going live against a closed gate is answered with {refused.status}")
    public = stage.staff.get("/subprocessors").text
    _expect(
        story.OLD.name in public and story.NEW.name in public,
        "the public list does not show the list in force and the change to come",
    )
    return f"the gate is closed, so going live was refused ({refused.status}); the list in force has not moved"


def _evidence(stage: Stage) -> str:
    announcement = _announcement(stage)
    with stage.runtime.reading() as session:
        happened = events.history(session, about=announcement.id, limit=1000)
        board = boards.board(session, announcement.id, now=now())
        mails = {delivery.id: delivery for row in board.rows for delivery in row.deliveries}
        tried = [attempt for delivery_id in mails for attempt in outbox.attempts(session, delivery_id)]
    _expect(
        len(mails) == len(tried) == MAILS and all(mail.sha256 for mail in mails.values()),
        "a mail has no digest or more than one attempt",
    )
    return f"{len(happened)} events tell of the announcement, each mail with its digest and the server's answer"


STEPS: tuple[Callable[[Stage], str], ...] = (
    _set_the_scene,
    _sign_in,
    _add_the_webhook,
    _edit_the_draft,
    _refuse_too_early,
    _publish,
    _mails_arrive,
    _machines_decide_nothing,
    _acknowledge,
    _object,
    _terminate,
    _webhooks_arrive,
    _board,
    _gate,
    _evidence,
)


def _answer(stage: Stage, address: str, what: str, values: dict[str, str]) -> str:
    """Object or terminate for the one company of an address's mail, through both pages; returns the receipt's
    reference.
    """
    person, link = Browser(stage.base_url), _link(stage.postman.to(address)[0])
    page = person.get(f"{link}/companies/{_opened(stage, link).told[0].notice.id}/{what}")
    _expect(page.status == OK, f"the page of the {what} answers {page.status}")
    before = len(stage.postman.to(address))
    restated = person.submit(page, f"/{what}", {"name": "Camille Roy", "choice": "yes", **values})
    _expect(restated.status == OK, f"the first page of the {what} is answered with {restated.status}")
    receipt = person.submit(restated, f"/{what}", {})
    _expect("/receipts/" in receipt.url, f"the {what} leads to {receipt.url} ({receipt.status})")
    again = person.submit(restated, f"/{what}", {})
    _expect(again.url == receipt.url, f"the same {what} twice gives two receipts")
    _wait(lambda: len(stage.postman.to(address)) > before, "the receipt", lambda: "no receipt")
    return receipt.url.rpartition("/")[2]


def _publication(effective_on: date) -> dict[str, str]:
    return {
        "effective_on": effective_on.isoformat(),
        "reasons_en": story.REASONS["en"],
        "reasons_fr": story.REASONS["fr"],
    }


def _announcement(stage: Stage) -> Announcement:
    with stage.runtime.reading() as session:
        return announcements.newest(session)[0]


def _counts(stage: Stage) -> dict[str, int]:
    with stage.runtime.reading() as session:
        return dict(boards.board(session, announcements.newest(session)[0].id, now=now()).counts)


def _opened(stage: Stage, link: str) -> answers.Opened:
    with stage.runtime.reading() as session:
        return answers.open_link(session, link.rpartition("/")[2], now=now())


def _text(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    return str(body.get_content()) if body else ""


def _link(mail: EmailMessage) -> str:
    found = LINK.search(_text(mail))
    _expect(found is not None, "a mail holds no link")
    return found[0] if found else ""


def _expect(true: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not true:
        raise StoryFailed(otherwise)


def _wait(done: Callable[[], bool], what: str, instead: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        _expect(time.monotonic() < deadline, f"waited {PATIENCE:.0f} s for {what}; there is {instead()}")
        time.sleep(0.05)


def _overrides(smtp_port: int, ticket_url: str) -> dict[str, Any]:
    return {
        "broker_url": "",
        "database_url": "",
        "sweep_seconds": 1.0,
        "mail": {"sender": "smtp", "host": HOST, "port": smtp_port, "security": "none", "username": ""},
        "webhooks": {
            "allowed_networks": ["127.0.0.0/8"],
            "allowed_ports": [int(ticket_url.rpartition(":")[2].partition("/")[0])],
        },
    }


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir:
        _expect(not (data_dir / "notifier.db").exists(), f"{data_dir} has been used before: name an empty folder")
        yield data_dir
        return
    with tempfile.TemporaryDirectory(prefix="notifier-check-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def _postman() -> Iterator[tuple[Postman, int]]:
    postman, port = Postman(), _free_port()
    controller = Controller(postman, hostname=HOST, port=port)
    controller.start()
    try:
        yield postman, port
    finally:
        controller.stop()


@contextmanager
def _ticketing() -> Iterator[tuple[Ticketing, str]]:
    ticketing = Ticketing()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            ticketing.take(self.headers, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer((HOST, 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, name="ticketing", daemon=True)
    thread.start()
    try:
        yield ticketing, f"http://{HOST}:{server.server_address[1]}/hook"
    finally:
        server.shutdown()
        server.server_close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
