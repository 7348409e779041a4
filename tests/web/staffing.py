"""What the tests of the staff pages share: somebody who signs in by a link and sends the forms that a page shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlmodel import Session, col, select
from werkzeug.test import TestResponse

from notifier.adapters.sending import Outcome, Verdict
from notifier.models import Announcement, AnnouncementKind, Client, Delivery, DeliveryNotice, Notice, Role
from notifier.runtime import Runtime, now
from notifier.services import announcements, answers, outbox, users
from tests.factories import REASONS, make_announcement, make_app, make_client, make_provider, make_user, make_version
from tests.web.visiting import Page, clock, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

WORKER = "test"
MOVE = {
    "place": "Frankfurt",
    "country": "DE",
    "what_en": "The data is stored in Frankfurt.",
    "what_fr": "Les données sont stockées à Francfort.",
}


@dataclass
class Staffer:
    """Somebody of the staff, signed in."""

    runtime: Runtime
    browser: FlaskClient
    clock: time_machine.Traveller

    def get(self, path: str, **options: Any) -> TestResponse:  # noqa: ANN401 - whatever the test client takes
        return self.browser.get(path, **options)

    def send(self, page: str | TestResponse, action: str, typed: Mapping[str, Any] | None = None) -> TestResponse:
        """Send the first form of a page whose address ends like this, with what was typed over what it holds."""
        shown = self.get(page) if isinstance(page, str) else page
        form = next(form for form in Page(shown.text).forms if form.action.partition("?")[0].endswith(action))
        return self.browser.post(form.action, data={**dict(form.fields), **(typed or {})})

    def as_role(self, role: Role) -> "Staffer":
        """Somebody else, in another browser."""
        return signed_in(self.runtime, self.clock, role)

    def on_the_day(self, *, after: timedelta = timedelta()) -> "Staffer":
        """Wait until the announced day; by then whoever was signed in is not any more, so that somebody else acts."""
        self.clock.move_to(self.announcement().effective_at + after)
        return self.as_role(Role.ACCOUNT_MANAGER)

    def deliver(self, verdict: Verdict = Verdict.ACCEPTED, *, reply: str = "ok", code: int = 250) -> None:
        deliver(self.runtime, verdict, reply=reply, code=code)

    def post(self, page: str | TestResponse, path: str, typed: Mapping[str, Any]) -> TestResponse:
        """Send to an address for which the page shows no form, with the token of one that it does show."""
        shown = self.get(page) if isinstance(page, str) else page
        fields = dict(field for form in Page(shown.text).forms for field in form.fields)
        return self.browser.post(path, data={"csrf_token": fields["csrf_token"], **typed})

    def announce(self, *clients: Mapping[str, Any], per_client: bool = False) -> str:
        """Publish a change to these clients; returns the path of its board."""
        with self.runtime.transaction() as session:
            for number, fields in enumerate(clients or [{}]):
                make_client(session, **{"key": f"C-{number:03}", "company": f"Acme {number}", **fields})
            made = make_announcement(session, self.runtime.desk, now=now())
            made.per_client = per_client
            return f"/staff/announcements/{made.id}"

    def announce_move(self) -> str:
        """Publish a move of the hosting, to which the contract asks for the client's consent; returns its board."""
        with self.runtime.transaction() as session:
            make_client(session, "C-000", company="Acme 0")
            made = announcements.draft(
                session,
                kind=AnnouncementKind.LOCATION,
                aspect="storage",
                facts=MOVE,
                reasons=REASONS,
                effective_on=date(2026, 9, 1),
                by="test",
                now=now(),
            )
            announcements.publish_draft(session, self.runtime.desk, made.id, by="test", now=now())
            return f"/staff/announcements/{made.id}"

    def objects(self, company: str = "Acme 0") -> None:
        """Let the contact of a company object through the link of its mail."""
        notice = self.notice(company)
        with self.runtime.transaction() as session:
            carried = select(DeliveryNotice.delivery_id).where(DeliveryNotice.notice_id == notice.id)
            token = self.token(session.exec(carried).one())
            name, reasons = "Camille Roy", "Too far."
            answers.object_to(session, self.runtime.desk, token, notice.id, name=name, reasons=reasons, now=now())

    def notice(self, company: str = "Acme 0") -> Notice:
        with Session(self.runtime.engine) as session:
            query = select(Notice).join(Client, col(Client.id) == Notice.client_id).where(Client.company == company)
            return session.exec(query).one()

    def announcement(self) -> Announcement:
        with Session(self.runtime.engine) as session:
            return session.exec(select(Announcement)).one()

    def deliveries(self) -> list[Delivery]:
        with Session(self.runtime.engine) as session:
            return list(session.exec(select(Delivery).where(Delivery.letter == "notice").order_by(col(Delivery.id))))

    def token(self, delivery_id: UUID) -> str:
        return self.runtime.desk.keyring.token(delivery_id, "notice")


def deliver(runtime: Runtime, verdict: Verdict, *, reply: str = "ok", code: int = 250, limit: int = 100) -> None:
    """Do what the worker does with the mails that are due, and let them end like this."""
    with runtime.transaction() as session:
        mails = outbox.claim(session, runtime.desk, worker=WORKER, limit=limit, now=now())
    with runtime.transaction() as session:
        outbox.hand_over(session, runtime.desk, mails, worker=WORKER)
    ended = [
        Outcome(
            delivery_id=mail.delivery_id,
            attempt=mail.attempt,
            verdict=verdict,
            code=code,
            reply=reply,
            peer="127.0.0.1:25",
            tls="",
        )
        for mail in mails
    ]
    with runtime.transaction() as session:
        outbox.settle(session, runtime.desk, ended, worker=WORKER, now=now())


def signed_in(runtime: Runtime, clock: time_machine.Traveller, role: Role) -> Staffer:
    """Make somebody of this role, and follow the link that signs them in."""
    browser = make_app(runtime).test_client()
    with runtime.transaction() as session:
        user = make_user(session, f"{role.value}@hosting.example", role=role, name="Ana")
        token = users.sign_in_token(session, user, now=now())
    staffer = Staffer(runtime=runtime, browser=browser, clock=clock)
    staffer.send(f"/sign-in/{token}", f"/sign-in/{token}")
    return staffer


@pytest.fixture
def desk_clerk(runtime: Runtime, clock: time_machine.Traveller) -> Staffer:
    """An administrator of a provider whose profile is complete and whose registry has a first version."""
    with runtime.transaction() as session:
        make_provider(session)
        make_version(session)
    return signed_in(runtime, clock, Role.ADMINISTRATOR)
