"""The frame of every page: who may see what, signing in and out, hosts, cookies, headers, languages, errors."""

import re
from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from flask_security import hash_password
from time_machine import Traveller
from werkzeug.routing import Rule

from notifier.models import Role, User
from notifier.runtime import Runtime, now
from notifier.services import users
from tests.factories import make_app, make_provider, make_runtime, make_user
from tests.web.staffing import Staffer, clock, desk_clerk, runtime, signed_in
from tests.web.visiting import Page

__all__ = ["clock", "desk_clerk", "runtime"]

ANA = "ana@hosting.example"
PASSWORD = "correct horse battery"
POLICY = (
    "default-src 'none'",
    "style-src 'self'",
    "img-src 'self' data:",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
)


@pytest.fixture
def app(runtime: Runtime, clock: Traveller) -> Flask:  # noqa: ARG001 - time stands still
    with runtime.transaction() as session:
        make_provider(session)
    return make_app(runtime)


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def ana(app: Flask, runtime: Runtime) -> User:
    """An account manager who has chosen a password."""
    with app.app_context():
        hashed = hash_password(PASSWORD)
    with runtime.transaction() as session:
        user = make_user(session, ANA)
        user.password = hashed
    return user


def sign_in(
    browser: FlaskClient, password: str = PASSWORD, email: str = ANA, address: str = "/sign-in"
) -> tuple[int, str]:
    form = Page(browser.get(address).text).forms[0]
    answer = browser.post(form.action, data={**dict(form.fields), "email": email, "password": password})
    return answer.status_code, answer.location or answer.text


def staff_rules(app: Flask, method: str) -> Iterator[Rule]:
    return (
        rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/staff") and method in (rule.methods or ())
    )


def address(rule: Rule) -> str:
    """An address of this shape; nothing needs to be there."""
    return re.sub(
        r"<int:\w+>",
        "1",
        re.sub(r"<uuid:\w+>", "00000000-0000-7000-8000-000000000000", re.sub(r"<\w+>", "x", rule.rule)),
    )


# --- who may what ----------------------------------------------------------------------------------------------------


def test_every_staff_page_asks_a_stranger_to_sign_in(app: Flask, browser: FlaskClient) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    answers = {
        (method, rule.rule): browser.open(address(rule), method=method)
        for method in ("GET", "POST")
        for rule in staff_rules(app, method)
    }

    assert len(answers) > 35
    assert {(answer.status_code, (answer.location or "").partition("?")[0]) for answer in answers.values()} == {
        (303, "/sign-in")
    }


def test_an_auditor_reads_and_changes_nothing(desk_clerk: Staffer) -> None:
    auditor = desk_clerk.as_role(Role.AUDITOR)
    auditor.browser.application.config["WTF_CSRF_ENABLED"] = False
    own = "/staff/account"
    rules = [rule for rule in staff_rules(auditor.browser.application, "POST") if rule.rule != own]

    assert {auditor.browser.post(address(rule)).status_code for rule in rules} == {403}
    for page in (
        "",
        "provider",
        "registry",
        "registry/draft",
        "registry/versions/1",
        "announcements",
        "clients",
        "contracts",
        "webhooks",
        "events",
    ):
        assert auditor.get(f"/staff/{page}").status_code == 200


def test_users_and_profile_are_the_administrators_business(desk_clerk: Staffer) -> None:
    manager = desk_clerk.as_role(Role.ACCOUNT_MANAGER)

    assert manager.get("/staff/users").status_code == 403
    assert "Only an administrator can change this." in manager.get("/staff/provider").text


def test_a_post_without_its_form_is_refused(desk_clerk: Staffer) -> None:
    refused = desk_clerk.browser.post("/staff/provider", data={"legal_name": "Other"})

    assert refused.status_code == 400
    assert "This form is too old." in refused.text


# --- signing in ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ana")
def test_a_password_leads_to_the_page_that_was_asked_for(browser: FlaskClient) -> None:
    asked = browser.get("/staff/clients").location

    assert sign_in(browser, address=asked) == (303, "/staff/clients")
    assert browser.get("/staff/clients").status_code == 200


def test_a_hash_that_an_older_library_made_is_made_anew(browser: FlaskClient, runtime: Runtime, ana: User) -> None:
    older = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    with runtime.transaction() as session:
        session.get_one(User, ana.id).password = older

    assert sign_in(browser)[0] == 303

    with runtime.reading() as session:
        kept = session.get_one(User, ana.id).password
    assert kept not in {older, None}
    assert sign_in(browser)[0] == 303


@pytest.mark.usefixtures("ana")
@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "/staff//evil.example", "evil"]
)
def test_signing_in_never_leads_elsewhere(browser: FlaskClient, elsewhere: str) -> None:
    assert sign_in(browser, address=f"/sign-in?next={elsewhere}") == (303, "/staff/")


@pytest.mark.usefixtures("ana")
@pytest.mark.parametrize(("email", "password"), [(ANA, "wrong"), (ANA, ""), ("zoe@hosting.example", PASSWORD)])
def test_whatever_is_wrong_with_a_sign_in_the_sentence_is_the_same(
    browser: FlaskClient, email: str, password: str
) -> None:
    status, text = sign_in(browser, password, email)

    assert status == 422
    assert "This address and this password do not go together." in text
    assert f'value="{email}"' in text


def test_somebody_without_a_password_cannot_sign_in_with_none(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_user(session, ANA)

    assert sign_in(browser, "")[0] == 422


@pytest.mark.usefixtures("ana")
def test_after_five_failures_even_the_right_password_waits_a_quarter_of_an_hour(
    browser: FlaskClient, clock: Traveller
) -> None:
    for _ in range(5):
        sign_in(browser, "wrong")

    assert sign_in(browser)[0] == 429
    clock.shift(timedelta(minutes=15))
    assert sign_in(browser)[0] == 303


@pytest.mark.usefixtures("ana")
def test_signing_out_needs_a_form_and_ends_the_session(browser: FlaskClient) -> None:
    sign_in(browser)
    form = next(form for form in Page(browser.get("/staff/").text).forms if form.action == "/sign-out")

    assert browser.get("/sign-out").status_code == 405
    browser.post("/sign-out", data=dict(form.fields))
    assert browser.get("/staff/").status_code == 303


# --- the link that works once ----------------------------------------------------------------------------------------


def link(runtime: Runtime, language: str = "en") -> str:
    with runtime.transaction() as session:
        return f"/sign-in/{users.sign_in_token(session, make_user(session, ANA, language=language), now=now())}"


def spend(browser: FlaskClient, path: str, **typed: str) -> tuple[int, str]:
    form = Page(browser.get(path).text).forms[0]
    answer = browser.post(form.action, data={**dict(form.fields), **typed})
    return answer.status_code, answer.location or answer.text


def test_looking_at_a_link_does_not_spend_it(browser: FlaskClient, runtime: Runtime) -> None:
    path = link(runtime)
    for _ in range(3):
        browser.get(path)
        browser.head(path)

    assert spend(browser, path) == (303, "/staff/")


def test_a_link_works_once(app: Flask, runtime: Runtime) -> None:
    path = link(runtime)
    shown = app.test_client()
    form = Page(shown.get(path).text).forms[0]
    spend(app.test_client(), path)

    late = shown.post(form.action, data=dict(form.fields))

    assert late.status_code == 404
    assert "has been used or is too old" in late.text


def test_a_password_chosen_with_the_link_is_good_for_the_next_time(app: Flask, runtime: Runtime) -> None:
    spend(app.test_client(), link(runtime), password=PASSWORD, again=PASSWORD)

    assert sign_in(app.test_client())[0] == 303


@pytest.mark.parametrize(
    ("password", "again", "field"), [("short", "short", "password"), (PASSWORD, "another one", "again")]
)
def test_a_password_that_will_not_do_does_not_spend_the_link(
    browser: FlaskClient, runtime: Runtime, password: str, again: str, field: str
) -> None:
    path = link(runtime)

    status, text = spend(browser, path, password=password, again=again)

    assert (status, f'id="{field}-error"' in text) == (422, True)
    assert spend(browser, path) == (303, "/staff/")


def test_a_link_speaks_its_users_language(browser: FlaskClient, runtime: Runtime) -> None:
    assert '<html lang="fr">' in browser.get(link(runtime, language="fr")).text


def test_an_administrator_of_an_unfinished_instance_begins_with_the_profile(runtime: Runtime, clock: Traveller) -> None:  # noqa: ARG001
    with runtime.transaction() as session:
        path = f"/sign-in/{users.sign_in_token(session, make_user(session, role=Role.ADMINISTRATOR), now=now())}"

    assert spend(make_app(runtime).test_client(), path) == (303, "/staff/provider")


# --- one's own account -----------------------------------------------------------------------------------------------


def test_a_changed_password_ends_every_other_session(app: Flask, ana: User) -> None:  # noqa: ARG001
    here, there = app.test_client(), app.test_client()
    sign_in(here)
    sign_in(there)
    form = next(form for form in Page(here.get("/staff/account").text).forms if form.action == "/staff/account")
    typed = {"language": "fr", "current": PASSWORD, "password": "another horse", "again": "another horse"}

    here.post(form.action, data={**dict(form.fields), **typed})

    assert '<html lang="fr">' in here.get("/staff/").text
    assert there.get("/staff/").status_code == 303


def test_the_present_password_is_asked_for(app: Flask, ana: User) -> None:  # noqa: ARG001
    browser = app.test_client()
    sign_in(browser)
    form = next(form for form in Page(browser.get("/staff/account").text).forms if form.action == "/staff/account")

    refused = browser.post(
        form.action,
        data={**dict(form.fields), "language": "en", "current": "wrong", "password": PASSWORD, "again": PASSWORD},
    )

    assert refused.status_code == 422
    assert 'id="current-error"' in refused.text


# --- hosts, cookies, headers -----------------------------------------------------------------------------------------


def test_pages_answer_to_our_own_names_alone(browser: FlaskClient) -> None:
    assert browser.get("/sign-in", headers={"Host": "evil.example"}).status_code == 400
    assert browser.get("/healthz", headers={"Host": "10.0.0.7"}).status_code == 200


def test_over_https_cookies_are_bound_to_it(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_provider(session, base_url="https://notices.hosting.example")

    page = make_app(runtime).test_client().get("/sign-in", base_url="https://notices.hosting.example")

    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_without_https_cookies_still_work(browser: FlaskClient) -> None:
    page = browser.get("/sign-in")

    assert page.headers["Set-Cookie"].startswith("session=")
    assert "Secure" not in page.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in page.headers


def test_every_page_carries_the_strict_policy(browser: FlaskClient) -> None:
    for path in ("/sign-in", "/subprocessors", "/nowhere", "/static/notifier.css"):
        with browser.get(path) as answer:
            headers = answer.headers

        assert headers["Content-Security-Policy"] == "; ".join(POLICY)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_behind_a_proxy_that_is_trusted_the_clients_scheme_counts(database_url: str, tmp_path: Path) -> None:
    runtime = make_runtime(database_url, tmp_path, proxies=1)
    with runtime.transaction() as session:
        make_provider(session, base_url="https://notices.hosting.example")

    page = (
        make_app(runtime)
        .test_client()
        .get("/sign-in", headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "notices.hosting.example"})
    )

    assert "Strict-Transport-Security" in page.headers
    runtime.close()


# --- languages -------------------------------------------------------------------------------------------------------


def test_the_browsers_language_is_spoken_unless_the_address_says_otherwise(browser: FlaskClient) -> None:
    french = {"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.5"}

    assert '<html lang="fr">' in browser.get("/sign-in", headers=french).text
    assert '<html lang="en">' in browser.get("/sign-in?lang=en", headers=french).text
    assert '<html lang="en">' in browser.get("/sign-in?lang=de").text


def test_a_language_chosen_in_the_address_stays_in_the_links_of_the_page(browser: FlaskClient) -> None:
    page = browser.get("/sign-in?lang=fr&next=/staff/clients").text

    assert 'action="/sign-in?lang=fr"' in page
    assert 'href="/sign-in?lang=en&amp;next=/staff/clients" hreflang="en"' in page


def test_staff_read_their_own_language(runtime: Runtime, clock: Traveller) -> None:
    with runtime.transaction() as session:
        make_provider(session)
    clerk = signed_in(runtime, clock, Role.AUDITOR)
    form = next(form for form in Page(clerk.get("/staff/account").text).forms if form.action == "/staff/account")

    clerk.browser.post(form.action, data={**dict(form.fields), "language": "fr"})

    assert '<html lang="fr">' in clerk.get("/staff/").text


@pytest.mark.parametrize(
    "asked", ["endpoint=x", "_anchor=a", "_method=POST", "_scheme=https&_external=1", "values=1", "self=1", "q=a&q=b"]
)
def test_whatever_an_address_asks_besides_is_no_error(browser: FlaskClient, asked: str) -> None:
    page = browser.get(f"/subprocessors?{asked}")

    assert page.status_code == 200
    assert Page(page.text).links[-1].startswith("/subprocessors?")
    assert "lang=fr" in Page(page.text).links[-1]


# --- errors ----------------------------------------------------------------------------------------------------------


def test_an_unknown_page_says_so(browser: FlaskClient) -> None:
    page = browser.get("/nowhere?lang=fr")

    assert page.status_code == 404
    assert '<html lang="fr">' in page.text


@pytest.mark.parametrize("number", ["0", "2", "2147483648", "9" * 20, "9" * 5000])
def test_a_version_that_is_not_there_is_not_found(desk_clerk: Staffer, number: str) -> None:
    assert desk_clerk.get(f"/staff/registry/versions/{number}").status_code == 404


def test_an_upload_that_is_too_large_is_refused_with_the_limit(desk_clerk: Staffer) -> None:
    refused = desk_clerk.browser.post("/staff/clients/import", data={"file": (b"x" * (6 * 1024 * 1024 + 1)).decode()})

    assert refused.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "6 MB" in refused.text


def test_a_database_that_does_not_answer_is_said_without_asking_it(tmp_path: Path) -> None:
    gone = make_runtime(f"sqlite:///{tmp_path}/nowhere/notifier.db", tmp_path)

    page = make_app(gone).test_client().get("/sign-in")

    assert page.status_code == 503
    assert "The database does not answer." in page.text
    gone.close()
