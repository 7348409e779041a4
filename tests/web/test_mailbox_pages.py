"""The pages of the mailbox, which keeps mails instead of sending them."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from time_machine import Traveller

from notifier.adapters.mailbox import Mailbox
from notifier.models import Role
from notifier.runtime import Runtime
from notifier.worker import Worker
from tests.factories import make_runtime
from tests.web.staffing import signed_in
from tests.web.visiting import Page, Visitor, clock, told, visitor

__all__ = ["clock", "visitor"]

PATHS = ("/mailbox", "/mailbox/{}", "/mailbox/{}/html", "/mailbox/{}/source")


@pytest.fixture
def runtime(database_url: str, tmp_path: Path) -> Iterator[Runtime]:
    """The working parts of a demo."""
    runtime = make_runtime(database_url, tmp_path, mail={"open_mailbox": True})
    yield runtime
    runtime.close()


@pytest.fixture
def name(visitor: Visitor) -> str:
    """The name of the one mail that was kept."""
    worker = Worker(visitor.runtime)
    worker.send_due()
    worker.close()
    (kept,) = Mailbox(visitor.runtime.mailbox_folder).list()
    return kept.name


def test_an_empty_mailbox_says_what_fills_it(visitor: Visitor) -> None:
    page = visitor.get("/mailbox")

    assert page.status_code == 200
    assert "No mail yet." in page.text


def test_the_list_shows_each_kept_mail_and_says_that_nothing_was_sent(visitor: Visitor, name: str) -> None:
    page = visitor.get("/mailbox").text

    assert "keeps its mails here instead of sending them" in page
    assert "dpo@acme.example" in page
    assert f"/mailbox/{name}" in Page(page).links


def test_a_link_in_the_text_of_a_mail_opens_the_portal(visitor: Visitor, name: str) -> None:
    page = visitor.get(f"/mailbox/{name}")

    assert page.status_code == 200
    links = [link for link in Page(page.text).links if "/notice/" in link]
    assert visitor.get(links[0].removeprefix("http://localhost")).status_code == 200


def test_a_mail_shows_its_envelope_and_its_attachments(visitor: Visitor, name: str) -> None:
    page = visitor.get(f"/mailbox/{name}").text

    assert "notices@hosting.example" in page
    assert ".ics" in page


def test_the_html_of_a_mail_is_shown_in_a_box_that_runs_and_fetches_nothing(visitor: Visitor, name: str) -> None:
    page, part = visitor.get(f"/mailbox/{name}"), visitor.get(f"/mailbox/{name}/html")

    assert f'src="/mailbox/{name}/html"' in page.text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    box = part.headers["Content-Security-Policy"]
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in box
    assert "default-src 'none'" in box
    assert "script" not in box
    assert '<base target="_blank">' in part.text


def test_the_whole_mail_can_be_downloaded_byte_for_byte(visitor: Visitor, name: str) -> None:
    file = visitor.get(f"/mailbox/{name}/source")

    assert file.data == Mailbox(visitor.runtime.mailbox_folder).read(name).content
    assert message_from_bytes(file.data, policy=policy.default)["To"].addresses[0].addr_spec == "dpo@acme.example"


@pytest.mark.parametrize("wrong", ["x", "..%2f..%2fsecret_key", "20260302T130000000000Z-x.eml"])
def test_a_mail_that_is_not_there_is_not_found(visitor: Visitor, wrong: str) -> None:
    for path in (f"/mailbox/{wrong}", f"/mailbox/{wrong}/html", f"/mailbox/{wrong}/source"):
        assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("page", ["0", "-1", "x", "99"])
def test_a_page_that_is_not_there_is_no_error(visitor: Visitor, name: str, page: str) -> None:
    assert name
    assert visitor.get(f"/mailbox?page={page}").status_code == 200


def test_a_stranger_from_another_machine_is_asked_to_sign_in(visitor: Visitor, name: str) -> None:
    for path in PATHS:
        answer = visitor.get(path.format(name), peer="203.0.113.9")
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via"])
def test_what_a_proxy_passes_on_does_not_come_from_this_machine(visitor: Visitor, name: str, header: str) -> None:
    for path in PATHS:
        answer = visitor.browser.get(path.format(name), headers={header: "127.0.0.1"})
        assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in")


def test_outside_a_demo_everybody_signs_in_to_read_mails(database_url: str, tmp_path: Path, clock: Traveller) -> None:
    runtime = make_runtime(database_url, tmp_path)
    stranger, auditor = told(runtime, clock), signed_in(runtime, clock, Role.AUDITOR)

    assert stranger.get("/mailbox").location == "/sign-in?next=/mailbox"
    assert auditor.get("/mailbox").status_code == 200
    runtime.close()


def test_an_instance_that_sends_has_no_mailbox(database_url: str, tmp_path: Path, clock: Traveller) -> None:
    runtime = make_runtime(database_url, tmp_path, mail={"sender": "smtp"})
    visitor = told(runtime, clock)

    assert visitor.get("/mailbox").status_code == 404
    runtime.close()
