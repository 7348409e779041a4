"""What machines ask for, at addresses that are the same everywhere."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from pydantic import ValidationError

from notifier.runtime import Runtime
from notifier.settings import SecuritySettings
from tests.factories import make_app, make_provider
from tests.web.visiting import LATER, clock, runtime

__all__ = ["clock", "runtime"]


@pytest.fixture
def browser(runtime: Runtime) -> FlaskClient:
    with runtime.transaction() as session:
        make_provider(session, base_url="https://notices.hosting.example")
    return make_app(runtime).test_client()


def test_robots_are_kept_from_links_and_staff(browser: FlaskClient) -> None:
    said = browser.get("/robots.txt").text.splitlines()

    assert {"User-agent: *", "Disallow: /notice/", "Disallow: /sign-in", "Disallow: /staff/"} <= set(said)


# --- security.txt (RFC 9116) -----------------------------------------------------------------------------------------


def fields_of(text: str) -> dict[str, str]:
    pairs = [line.split(": ", 1) for line in text.splitlines()]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.mark.usefixtures("clock")
def test_it_is_said_whom_to_tell_of_a_weakness(browser: FlaskClient) -> None:
    page = browser.get("/.well-known/security.txt")

    assert page.content_type == "text/plain; charset=utf-8"
    fields = fields_of(page.text)
    assert fields["Contact"] == "mailto:privacy@hosting.example"
    assert LATER < datetime.fromisoformat(fields["Expires"]) < LATER + timedelta(days=365)
    assert fields["Expires"].endswith("Z")
    assert fields["Preferred-Languages"] == "en, fr"
    assert fields["Canonical"] == "https://notices.hosting.example/.well-known/security.txt"
    assert "Policy" not in fields


@pytest.mark.usefixtures("browser")
def test_the_operator_may_name_another_contact_and_a_policy(runtime: Runtime) -> None:
    said = SecuritySettings(contact="https://hosting.example/report", policy="https://hosting.example/policy")
    settings = runtime.settings.model_copy(update={"security": said})

    fields = fields_of(
        make_app(replace(runtime, settings=settings)).test_client().get("/.well-known/security.txt").text
    )

    assert fields["Contact"] == "https://hosting.example/report"
    assert fields["Policy"] == "https://hosting.example/policy"


@pytest.mark.parametrize("contact", ["security", "http://hosting.example", "a@b.example\nPolicy: x", "https://a b"])
def test_a_contact_that_is_no_address_is_refused(contact: str) -> None:
    with pytest.raises(ValidationError):
        SecuritySettings(contact=contact, policy="")


def test_nobody_is_named_before_there_is_somebody(runtime: Runtime) -> None:
    assert make_app(runtime).test_client().get("/.well-known/security.txt").status_code == 404


def test_a_password_manager_is_led_to_the_account(browser: FlaskClient) -> None:
    page = browser.get("/.well-known/change-password")

    assert (page.status_code, page.location) == (302, "/staff/account")
