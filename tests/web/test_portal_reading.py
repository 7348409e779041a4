"""What a client's contact reads through the link in its mail."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select
from time_machine import Traveller

from notifier.models import Link
from notifier.runtime import Runtime
from notifier.services import announcements
from tests.factories import NOON
from tests.services.stories import breach
from tests.web.visiting import Page, Visitor, clock, last_minute, runtime, told, visitor, visitor_of_three

__all__ = ["clock", "runtime", "visitor", "visitor_of_three"]

PHONE = {"User-Agent": "Example Phone"}


def test_the_page_says_who_writes_what_changes_why_and_until_when(visitor: Visitor) -> None:
    page = visitor.get(visitor.address)

    assert page.status_code == 200
    for said in (
        "Hébergement Exemple SAS",
        "Fibrexemple is replaced by Optexemple",
        "The old provider closes its site.",
        "Acme 0",
        "Art. 5",
    ):
        assert said in page.text
    assert "You may object until" in page.text
    assert "Friday 3 April 2026 at 23:59 (Paris time)" in page.text
    assert "32 days left." in page.text


def test_a_page_speaks_the_language_of_its_mail_and_the_other_one_on_demand(runtime: Runtime, clock: Traveller) -> None:
    visitor = told(runtime, clock, language="fr")

    french, english = visitor.get(visitor.address), visitor.get(f"{visitor.address}?lang=en")

    assert Page(french.text).language == "fr"
    assert "L’ancien prestataire ferme son site." in french.text
    assert "vendredi 3 avril 2026 à 23\u00a0h\u00a059 (heure de Paris)" in french.text
    assert Page(english.text).language == "en"
    assert "The old provider closes its site." in english.text


def test_a_language_once_chosen_stays_in_every_address_of_the_page(visitor: Visitor) -> None:
    page = Page(visitor.get(f"{visitor.address}?lang=fr").text)

    onwards = [
        link
        for link in [*page.links, *(form.action for form in page.forms)]
        if "/notice/" in link and "lang=en" not in link
    ]
    assert onwards
    assert all(link.endswith("lang=fr") for link in onwards)


def test_a_contact_of_several_companies_reads_all_of_them_on_one_page(visitor_of_three: Visitor) -> None:
    page = visitor_of_three.get(visitor_of_three.address)

    assert all(company in page.text for company in ("Acme 0", "Acme 1", "Acme 2"))
    assert len(Page(page.text).forms[0].offered["companies"]) == 3


@pytest.mark.parametrize(
    ("days", "words"),
    [(31, "1 day left."), (32, "Today is the last day."), (33, "This day has passed. You may still answer")],
)
def test_days_are_counted_in_the_contracts_zone(visitor: Visitor, days: int, words: str) -> None:
    visitor.clock.move_to(NOON + timedelta(days=days))

    assert words in visitor.get(visitor.address).text


def test_the_last_day_ends_at_midnight_of_the_contracts_zone(visitor: Visitor) -> None:
    end = last_minute(visitor)

    visitor.clock.move_to(end - timedelta(seconds=1))
    assert "Today is the last day." in visitor.get(visitor.address).text
    visitor.clock.move_to(end)
    assert "This day has passed." in visitor.get(visitor.address).text


def test_a_change_that_has_taken_effect_is_told_as_such(visitor: Visitor) -> None:
    with visitor.runtime.transaction() as session:
        announcement = announcements.newest(session)[0]
        breach(session, visitor.runtime.desk, announcement, now=NOON)

    assert "has taken effect" in visitor.get(visitor.address).text


@pytest.mark.parametrize(
    ("method", "headers", "prefetch"),
    [
        ("GET", PHONE, False),
        ("HEAD", PHONE, False),
        ("GET", PHONE | {"Sec-Purpose": "prefetch;prerender"}, True),
        ("GET", PHONE | {"Purpose": "prefetch"}, True),
    ],
)
def test_each_opening_is_kept_as_a_fetch(
    visitor: Visitor, method: str, headers: dict[str, str], *, prefetch: bool
) -> None:
    visitor.browser.open(visitor.address, method=method, headers=headers)

    kept = [(fetch.method, fetch.agent, fetch.prefetch) for fetch in visitor.fetches()]
    assert kept == [(method, "Example Phone", prefetch)]


def _bad_links(visitor: Visitor) -> list[str]:
    token = visitor.token
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    bad = [
        flipped,
        token[:-1],
        f"{token}x",
        token.swapcase(),
        "x",
        "é",
        "%00",
        "%ff",
        "A" * 43,
        "A" * 4000,
        "..",
        "' OR 1=1",
    ]
    return [f"/notice/{one}" for one in bad]


def test_every_bad_link_gets_one_and_the_same_page(visitor: Visitor) -> None:
    for address in _bad_links(visitor):
        for path in (
            address,
            f"{address}?lang=fr",
            f"{address}/receipts/ABCD-2345",
            f"{address}/companies/{visitor.notices[0]}/objection",
        ):
            page = visitor.get(path)
            assert page.status_code == 404
            assert page.text == visitor.get("/notice/x").text


def test_the_page_of_a_bad_link_is_friendly_in_both_languages(visitor: Visitor) -> None:
    text = visitor.get("/notice/x").text

    assert "Open the link from our latest message again" in text
    assert "Ouvrez de nouveau le lien de notre dernier message" in text


def test_expired_and_revoked_links_look_like_any_bad_link(visitor: Visitor) -> None:
    unknown = visitor.get("/notice/x").text
    with Session(visitor.runtime.engine) as session, session.begin():
        link = session.exec(select(Link)).one()
        expiry, link.revoked_at = link.expires_at, NOON
        session.add(link)
    assert (visitor.get(visitor.address).status_code, visitor.get(visitor.address).text) == (404, unknown)

    with Session(visitor.runtime.engine) as session, session.begin():
        link = session.exec(select(Link)).one()
        link.revoked_at = None
        session.add(link)
    assert visitor.get(visitor.address).status_code == 200
    visitor.clock.move_to(expiry)
    assert (visitor.get(visitor.address).status_code, visitor.get(visitor.address).text) == (404, unknown)


def test_a_link_opens_nobody_elses_notice_and_no_made_up_receipt(visitor: Visitor) -> None:
    for path in (
        f"{visitor.address}/companies/{'0' * 8}-0000-7000-8000-{'0' * 12}/objection",
        f"{visitor.address}/receipts/ABCD-2345",
    ):
        assert visitor.get(path).status_code == 404
        assert visitor.get(path).text == visitor.get("/notice/x").text


def test_no_page_of_the_portal_may_be_kept_indexed_scripted_or_framed(visitor: Visitor) -> None:
    answered = visitor.fill(visitor.address, {"name": "Camille Roy", "choice": "yes"})
    for path in (visitor.address, visitor.act("objection"), answered.location, "/notice/x"):
        headers = visitor.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "Set-Cookie" not in headers
        assert "<script" not in visitor.get(path).text
