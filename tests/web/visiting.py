"""What the tests of the portal share: an announcement told to some companies, and a visitor with its link."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlmodel import Session, col, select
from werkzeug.test import TestResponse

from notifier.models import Answer, Client, Delivery, Fetch, Notice
from notifier.runtime import Runtime
from notifier.web import create_app
from tests.factories import NOON, make_announcement, make_client, make_provider, make_runtime

LATER = NOON + timedelta(hours=1)
A_MINUTE = timedelta(minutes=1)
Typed = Mapping[str, str | list[str]]


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
        if tag == "textarea":
            self._textarea = found["name"]
        if tag == "input":
            self._field(found)

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

    def answers(self) -> Sequence[Answer]:
        with Session(self.runtime.engine) as session:
            return session.exec(select(Answer).order_by(col(Answer.id))).all()

    def fetches(self) -> Sequence[Fetch]:
        with Session(self.runtime.engine) as session:
            return session.exec(select(Fetch).order_by(col(Fetch.id))).all()

    def count(self, table: type[Any]) -> int:
        with Session(self.runtime.engine) as session:
            return len(session.exec(select(table)).all())


def told(runtime: Runtime, clock: time_machine.Traveller, *, companies: int = 1, language: str = "en") -> Visitor:
    """Publish a change to companies that share one contact, and return that contact with the link of the mail."""
    contact = {"email": "dpo@acme.example", "language": language}
    with Session(runtime.engine, expire_on_commit=False) as session, session.begin():
        make_provider(session)
        for number in range(companies):
            make_client(session, f"C-{number:03}", company=f"Acme {number}", contacts=[contact])
        make_announcement(session, runtime.desk)
        delivery = session.exec(select(Delivery).where(Delivery.letter == "notice")).one()
        by_company = select(Notice.id).join(Client, col(Client.id) == Notice.client_id).order_by(col(Client.company))
        notices = tuple(session.exec(by_company))
    token = runtime.desk.keyring.token(delivery.id, "notice", key=delivery.key_id)
    return Visitor(
        runtime=runtime, browser=create_app(runtime).test_client(), clock=clock, token=token, notices=notices
    )


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
