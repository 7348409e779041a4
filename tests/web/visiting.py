"""What the tests of the portal share: an announcement told to some companies, and a visitor with its link."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlmodel import Session, col, select
from werkzeug.test import TestResponse

from notifier.models import Announcement, AnnouncementKind, Answer, Client, Fetch, Notice
from notifier.runtime import Runtime
from notifier.services import announcements, previews, registry
from notifier.services.desk import Desk
from tests.factories import (
    NOON,
    REASONS,
    make_announcement,
    make_app,
    make_client,
    make_entry,
    make_provider,
    make_runtime,
    make_version,
)
from tests.services.stories import send_due, token_for

LATER = NOON + timedelta(hours=1)
A_MINUTE = timedelta(minutes=1)
Typed = Mapping[str, str | list[str]]
Tell = Callable[[Session, Desk], Announcement]
CONTACT = "dpo@acme.example"
MEASURES = {"measures_en": "The data is encrypted.", "measures_fr": "Les données sont chiffrées."}
# What a person writes of each kind of announcement, and of each aspect that it has.
FACTS: Mapping[tuple[str, str], Mapping[str, str]] = MappingProxyType(
    {
        ("service", "new"): {
            "service": "Object storage", "what_en": "Objects are stored.", "what_fr": "Des objets sont stockés.",
            "impact_en": "None.", "impact_fr": "Aucun.",
        },
        ("service", "maintenance"): {
            "service": "Virtual machines", "what_en": "Hosts restart.", "what_fr": "Les hôtes redémarrent.",
            "impact_en": "Five minutes off.", "impact_fr": "Cinq minutes d’arrêt.",
            "window_en": "2 to 4 in the morning", "window_fr": "de 2 h à 4 h",
        },
        ("location", "storage"): {
            "place": "Anvers-Exemple", "country": "BE", "what_en": "A copy of the data lies there.",
            "what_fr": "Une copie des données s’y trouve.",
        },
        ("security", ""): {
            "measure": "Encryption at rest", "before_en": "On all disks.", "before_fr": "Sur tous les disques.",
            "after_en": "On system disks.", "after_fr": "Sur les disques du système.",
        },
        ("certification", "lost"): {
            "certificate": "HDS", "holder": "Hébergement Exemple SAS", "since": "2026-02-27",
            "what_en": "The certificate is void.", "what_fr": "Le certificat est caduc.",
        },
        ("disclosure", "notice"): {
            "authority": "Tribunal Exemple", "basis_en": "A court order.", "basis_fr": "Une ordonnance.",
            "scope_en": "One mailbox.", "scope_fr": "Une boîte aux lettres.",
        },
        ("disclosure", "consultation"): {
            "authority": "Tribunal Exemple", "basis_en": "A court order.", "basis_fr": "Une ordonnance.",
            "scope_en": "One mailbox.", "scope_fr": "Une boîte aux lettres.",
        },
        ("document", ""): {
            "document": "Statement of applicability", "edition": "7", "address": "https://hosting.example/soa.pdf",
            "what_en": "It names two new measures.", "what_fr": "Elle nomme deux nouvelles mesures.",
        },
        ("support", ""): {
            "before": "Aide Un", "after": "Aide Deux", "country": "FR", "what_en": "Telephone support moves.",
            "what_fr": "L’assistance téléphonique change.",
        },
    }
)  # fmt: skip


@dataclass
class Form:
    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)  # as a browser would send them untouched
    offered: dict[str, list[str]] = field(default_factory=dict)  # radios and checkboxes → their values


class Page(HTMLParser):
    """The links, the forms and the language of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.language = ""
        self._textarea = ""
        self._select = ""
        self.feed(text)

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.forms[-1].fields.append((self._textarea, data.removeprefix("\n")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = found["lang"]
        if tag == "a":
            self.links.append(found["href"])
        if tag == "form":
            self.forms.append(Form(action=found["action"], method=found["method"]))
        if tag == "textarea" and "name" in found:
            self._textarea = found["name"]
        if tag == "select":
            self._select = found["name"]
        if tag == "option":
            self._option(found)
        if tag == "input":
            self._field(found)

    def _option(self, found: Mapping[str, str]) -> None:
        """Of a list the first is sent, unless another one is chosen."""
        fields = self.forms[-1].fields
        if "selected" in found or self._select not in dict(fields):
            fields.append((self._select, found["value"]))

    def _field(self, found: Mapping[str, str]) -> None:
        form, name = self.forms[-1], found["name"]
        if found.get("type") in {"radio", "checkbox"}:
            form.offered.setdefault(name, []).append(found["value"])
            if "checked" not in found:
                return
        form.fields.append((name, found.get("value", "")))


@dataclass
class Visitor:
    """Somebody with one link, and a clock that only moves when told to."""

    runtime: Runtime
    browser: FlaskClient
    clock: time_machine.Traveller
    token: str
    notices: tuple[UUID, ...]

    @property
    def address(self) -> str:
        return f"/notice/{self.token}"

    def act(self, act: str, company: int = 0) -> str:
        return f"{self.address}/companies/{self.notices[company]}/{act}"

    def get(self, path: str, *, peer: str = "127.0.0.1") -> TestResponse:
        return self.browser.get(path, environ_base={"REMOTE_ADDR": peer})

    def fill(
        self, path: str, typed: Typed, *, after: timedelta = A_MINUTE, headers: dict[str, str] | None = None
    ) -> TestResponse:
        """Open a page, wait, and send its form with what was typed."""
        return self.send(self.get(path), typed, after=after, headers=headers)

    def send(
        self, page: TestResponse, typed: Typed, *, after: timedelta = A_MINUTE, headers: dict[str, str] | None = None
    ) -> TestResponse:
        form = Page(page.text).forms[0]
        self.clock.shift(after)
        return self.browser.post(form.action, data={**dict(form.fields), **typed}, headers=headers)

    def act_fully(self, act: str, typed: Typed, *, after: timedelta = A_MINUTE) -> TestResponse:
        """Fill in the form, and press the button of the page that restates it."""
        return self.send(self.fill(self.act(act), typed, after=after), {}, after=after)

    def opens(self, letter: str) -> "Visitor":
        """The same person with the link of its newest letter of that kind."""
        with Session(self.runtime.engine) as session:
            token = token_for(session, self.runtime.desk, CONTACT, letter)
        return replace(self, token=token)

    def do(self, what: Callable[[Session, Desk], Any]) -> Any:  # noqa: ANN401 - what it returns
        """Let something happen at the provider."""
        with self.runtime.transaction() as session:
            return what(session, self.runtime.desk)

    def announcement(self) -> Announcement:
        with Session(self.runtime.engine) as session:
            return session.exec(select(Announcement)).one()

    def notice(self, company: int = 0) -> Notice:
        with Session(self.runtime.engine) as session:
            return session.get_one(Notice, self.notices[company])

    def answers(self) -> Sequence[Answer]:
        with Session(self.runtime.engine) as session:
            return session.exec(select(Answer).order_by(col(Answer.id))).all()

    def fetches(self) -> Sequence[Fetch]:
        with Session(self.runtime.engine) as session:
            return session.exec(select(Fetch).order_by(col(Fetch.id))).all()

    def count(self, table: type[Any]) -> int:
        with Session(self.runtime.engine) as session:
            return len(session.exec(select(table)).all())


def told(
    runtime: Runtime,
    clock: time_machine.Traveller,
    tell: Tell = make_announcement,
    *,
    companies: int = 1,
    language: str = "en",
    sent: bool = False,
    **client: Any,  # noqa: ANN401 - columns of any type
) -> Visitor:
    """Tell companies that share one contact, and return that contact with the link of the mail.

    `sent`: the relay has taken the mail; else it still waits in the outbox.
    """
    contact = {"email": CONTACT, "language": language}
    with Session(runtime.engine, expire_on_commit=False) as session, session.begin():
        make_provider(session)
        make_version(session, now=NOON - timedelta(days=1))
        for number in range(companies):
            make_client(session, f"C-{number:03}", company=f"Acme {number}", contacts=[contact], **client)
        tell(session, runtime.desk)
        if sent:
            send_due(session, runtime.desk, now=NOON)
        by_company = select(Notice.id).join(Client, col(Client.id) == Notice.client_id).order_by(col(Client.company))
        notices = tuple(session.exec(by_company))
        token = token_for(session, runtime.desk, CONTACT)
    return Visitor(runtime=runtime, browser=make_app(runtime).test_client(), clock=clock, token=token, notices=notices)


def of_kind(kind: str, aspect: str = "", *, effective_on: date | None = None) -> Tell:
    """What tells of something that a person wrote, on the first lawful day unless another is given."""

    def tell(session: Session, desk: Desk) -> Announcement:
        written = {"kind": AnnouncementKind(kind), "aspect": aspect, "facts": FACTS[kind, aspect], "reasons": REASONS}
        on = effective_on or NOON.date()
        made = announcements.draft(session, **written, effective_on=on, by="test", now=NOON)  # type: ignore[arg-type] # mixed
        if effective_on is None:
            on = previews.preview(session, desk, now=NOON, announcement=made).earliest_effective_on or on
            announcements.revise(
                session, made.id, aspect=aspect, facts=FACTS[kind, aspect], reasons=REASONS, effective_on=on, by="test",
                now=NOON,
            )  # fmt: skip
        return announcements.publish_draft(session, desk, made.id, by="test", now=NOON)

    return tell


def emergency(session: Session, desk: Desk) -> Announcement:
    """A subprocessor must be replaced within three days."""
    registry.add_entry(session, replace(make_entry("Optexemple"), replaces="fibrexemple"), by="test", now=NOON)
    return announcements.publish(
        session, desk, kind=AnnouncementKind.EMERGENCY, facts=MEASURES, effective_on=date(2026, 3, 5), reasons=REASONS,
        by="test", now=NOON,
    )  # fmt: skip


def with_desk(runtime: Runtime, desk: Desk) -> Runtime:
    return replace(runtime, desk=desk)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(LATER, tick=False) as clock:
        yield clock


@pytest.fixture
def runtime(database_url: str, tmp_path: Path) -> Iterator[Runtime]:
    runtime = make_runtime(database_url, tmp_path)
    yield runtime
    runtime.close()


@pytest.fixture
def visitor(runtime: Runtime, clock: time_machine.Traveller) -> Visitor:
    return told(runtime, clock)


@pytest.fixture
def visitor_of_three(runtime: Runtime, clock: time_machine.Traveller) -> Visitor:
    return told(runtime, clock, companies=3)


def last_minute(visitor: Visitor) -> datetime:
    """The instant at which the period of the first company ends."""
    with Session(visitor.runtime.engine) as session:
        return session.exec(select(Notice.object_until).where(Notice.id == visitor.notices[0])).one()
