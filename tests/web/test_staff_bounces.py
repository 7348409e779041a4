"""The pages of what came back: what is shown of it, and how it is closed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session

from notifier.models import BounceDoor, BounceMail, Role
from notifier.rules.bounces import BounceKind, Report, Returned
from notifier.runtime import now
from notifier.services import bounces, items
from tests.web.staffing import Staffer, clock, desk_clerk, runtime

__all__ = ["clock", "desk_clerk", "runtime"]

MAIL = b"From: Camille Roy <dpo@c-000.example>\r\nSubject: Re: changes\r\n\r\nWe <b>object</b>!\r\n"


def come_back(clerk: Staffer, kind: BounceKind, *, content: bytes = MAIL, **fields: Any) -> BounceMail:  # noqa: ANN401 - fields of any type
    """Announce something, and let something come back for its mail."""
    clerk.announce()
    clerk.deliver()
    (mail,) = clerk.deliveries()
    tag = clerk.runtime.desk.keyring.envelope_tag(mail.id, 1)
    said = Report(**{"kind": kind, "recipients": (), "tokens": (tag,), "words": "We <b>object</b>!", **fields})
    with clerk.runtime.transaction() as session:
        kept = bounces.take_in(session, clerk.runtime.desk, content, said, how=BounceDoor.FILE, now=now())
    assert kept
    return kept


def open_kinds(clerk: Staffer) -> list[str]:
    with Session(clerk.runtime.engine) as session:
        return sorted(item.kind.value for item in items.open_items(session))


def test_a_reply_waits_on_the_overview_with_its_company_and_leads_to_the_mail(desk_clerk: Staffer) -> None:
    kept = come_back(desk_clerk, BounceKind.HUMAN_REPLY)

    overview = desk_clerk.get("/staff/").text

    assert f'href="/staff/bounces/{kept.id}"' in overview
    assert "A mail came back, to be read by a person: Acme 0" in overview


def test_a_reply_is_shown_as_plain_text_with_the_way_to_its_client(desk_clerk: Staffer) -> None:
    kept = come_back(desk_clerk, BounceKind.HUMAN_REPLY)

    page = desk_clerk.get(f"/staff/bounces/{kept.id}").text

    assert "From: Camille Roy &lt;dpo@c-000.example&gt;" in page
    assert "We &lt;b&gt;object&lt;/b&gt;!" in page
    assert "<b>object" not in page
    assert f"/clients/{desk_clerk.notice().id}" in page


def test_a_reply_is_closed_with_a_note_on_what_it_comes_to(desk_clerk: Staffer) -> None:
    path = f"/staff/bounces/{come_back(desk_clerk, BounceKind.HUMAN_REPLY).id}"

    refused = desk_clerk.send(path, "/reading", {"note": " "})
    assert refused.status_code == 422
    assert "Write what it comes to" in refused.text
    assert open_kinds(desk_clerk) == ["returned_mail", "unread_reply"]

    assert desk_clerk.send(path, "/reading", {"note": "Recorded as an objection."}).status_code == 303
    assert open_kinds(desk_clerk) == ["unread_reply"]
    assert "Recorded as an objection." in desk_clerk.get(path).text


def test_contacts_that_a_machine_proposes_are_quoted_and_not_added(desk_clerk: Staffer) -> None:
    proposed = ("line@c-000.example",)
    kept = come_back(desk_clerk, BounceKind.AUTO_REPLY, has_left=True, proposed_contacts=proposed)

    page = desk_clerk.get(f"/staff/bounces/{kept.id}").text

    assert "line@c-000.example" in page
    assert "Ask the client before you add a contact." in page
    assert "line@c-000.example" not in desk_clerk.get("/staff/clients").text
    assert "auto_reply" in open_kinds(desk_clerk)


@pytest.mark.parametrize("kind", BounceKind)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_whatever_came_back_can_be_looked_at(desk_clerk: Staffer, kind: BounceKind, language: str) -> None:
    spoken = (Returned(address="", status="", hard=False), Returned(address="a@b.example", status="5.1.1", hard=True))
    kept = come_back(desk_clerk, kind, recipients=spoken, is_challenge=True, has_left=True)

    page = desk_clerk.get(f"/staff/bounces/{kept.id}?lang={language}")
    listing = desk_clerk.get(f"/staff/bounces?lang={language}")

    assert (page.status_code, listing.status_code) == (200, 200)
    assert f"/staff/bounces/{kept.id}" in listing.text


def test_what_is_about_no_mail_of_ours_can_be_looked_at_too(desk_clerk: Staffer) -> None:
    kept = come_back(desk_clerk, BounceKind.UNREADABLE, tokens=())

    page = desk_clerk.get(f"/staff/bounces/{kept.id}").text

    assert "no mail that is known here" in page
    assert open_kinds(desk_clerk) == []


def test_a_mail_is_handed_out_byte_for_byte_and_never_shown(desk_clerk: Staffer) -> None:
    kept = come_back(desk_clerk, BounceKind.UNREADABLE, content=b"\x00<script>")

    answer = desk_clerk.get(f"/staff/bounces/{kept.id}/source")

    assert (answer.data, answer.mimetype) == (b"\x00<script>", "application/octet-stream")
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_who_only_reads_closes_nothing(desk_clerk: Staffer) -> None:
    path = f"/staff/bounces/{come_back(desk_clerk, BounceKind.UNREADABLE).id}"
    auditor = desk_clerk.as_role(Role.AUDITOR)

    assert "/reading" not in auditor.get(path).text
    assert auditor.post(path, f"{path}/reading", {"note": "x"}).status_code == 403
    assert open_kinds(desk_clerk) == ["returned_mail"]


def test_what_never_came_back_is_not_there(desk_clerk: Staffer) -> None:
    missing = "/staff/bounces/00000000-0000-0000-0000-000000000000"

    answer = desk_clerk.get(missing)

    assert (answer.status_code, "No such mail has come back." in answer.text) == (404, True)
