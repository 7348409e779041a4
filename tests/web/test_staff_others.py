"""The overview, the profile, the contract packs, webhooks, users and events."""

from enum import StrEnum

import pytest
from sqlmodel import select
from time_machine import Traveller

from notifier.models import Endpoint, EventKind, ItemKind, Provider, Role, User
from notifier.rules.gate import Hold
from notifier.runtime import Runtime, now
from notifier.services import items
from notifier.web.words import WORDS
from tests.factories import make_client
from tests.web.staffing import Staffer, clock, desk_clerk, runtime, signed_in
from tests.web.visiting import Page

__all__ = ["clock", "desk_clerk", "runtime"]

ADMINISTRATOR = "administrator@hosting.example"
AUDITOR = "auditor@hosting.example"
PROFILE = {
    "legal_name": "Hébergement Exemple SAS",
    "address": "1 rue des Essais\n75000 Paris",
    "sender_name": "Hébergement Exemple",
    "sender_address": "notices@hosting.example",
    "reply_to": "privacy@hosting.example",
    "privacy_contact": "privacy@hosting.example",
    "base_url": "http://localhost",
    "timezone": "Europe/Paris",
    "languages": "en fr",
}


@pytest.fixture
def newcomer(runtime: Runtime, clock: Traveller) -> Staffer:
    """An administrator of an instance in which nothing has been set up."""
    return signed_in(runtime, clock, Role.ADMINISTRATOR)


# --- overview --------------------------------------------------------------------------------------------------------


def test_an_empty_instance_says_what_to_do_next(newcomer: Staffer) -> None:
    page = newcomer.get("/staff/").text

    assert "The profile is incomplete" in page
    assert "Import your list of subprocessors" in page
    assert "Import your clients" in page
    assert "Nothing waits for you." in page


def test_the_overview_leads_to_whatever_waits_for_a_person(desk_clerk: Staffer) -> None:
    board = desk_clerk.announce({"contacts": []})

    page = desk_clerk.get("/staff/").text

    assert f'href="{board}/clients/{desk_clerk.notice().id}">Nobody can be told by mail: Acme 0</a>' in page
    assert "1 client: 1 not reached" in page


def test_a_failing_endpoint_is_noted_on_the_overview(desk_clerk: Staffer) -> None:
    desk_clerk.send("/staff/webhooks", "/webhooks", {"url": "https://tickets.hosting.example/hooks"})
    with desk_clerk.runtime.transaction() as session:
        about = endpoint(desk_clerk).id
        items.open_item(session, ItemKind.ENDPOINT_FAILING, about=about, announcement=None, now=now())

    done = desk_clerk.send("/staff/", "/note", {"note": "They are moving house."})

    assert (done.status_code, done.location) == (303, "/staff/")
    page = desk_clerk.get("/staff/").text
    assert "Noted." in page
    assert "Nothing waits for you." in page


# --- profile ---------------------------------------------------------------------------------------------------------


def test_the_profile_is_kept(newcomer: Staffer) -> None:
    done = newcomer.send("/staff/provider", "/provider", PROFILE)

    assert done.status_code == 303
    assert "Saved." in newcomer.get(done.location).text
    with newcomer.runtime.reading() as session:
        assert session.exec(select(Provider)).one().missing == []


@pytest.mark.parametrize(
    ("field", "text"),
    [("sender_address", "us"), ("timezone", "Paris"), ("base_url", "notices.example"), ("reply_to", "a b")],
)
def test_a_field_that_cannot_be_right_is_shown_again_with_what_to_write(
    newcomer: Staffer, field: str, text: str
) -> None:
    refused = newcomer.send("/staff/provider", "/provider", {**PROFILE, field: text})

    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text
    assert f'value="{text}"' in refused.text


# --- contracts -------------------------------------------------------------------------------------------------------


def test_each_contract_pack_shows_which_of_its_rules_are_defaults_of_ours(desk_clerk: Staffer) -> None:
    with desk_clerk.runtime.transaction() as session:
        make_client(session)

    page = desk_clerk.get("/staff/contracts").text

    assert "Art. 5" in page
    assert "to be confirmed by counsel" in page
    assert "1 client" in page


# --- webhooks --------------------------------------------------------------------------------------------------------


def endpoint(clerk: Staffer) -> Endpoint:
    with clerk.runtime.reading() as session:
        found = session.exec(select(Endpoint)).one()
        session.expunge_all()
        return found


def test_an_endpoints_secret_is_shown_once(desk_clerk: Staffer) -> None:
    done = desk_clerk.send(
        "/staff/webhooks", "/webhooks", {"url": "https://tickets.hosting.example/hooks", "kinds": "answer.recorded"}
    )

    first, second = desk_clerk.get(done.location).text, desk_clerk.get(done.location).text

    assert "whsec_" in first
    assert "whsec_" not in second
    assert endpoint(desk_clerk).kinds == ["answer.recorded"]


def test_an_address_that_can_never_be_reached_is_refused(desk_clerk: Staffer) -> None:
    refused = desk_clerk.send("/staff/webhooks", "/webhooks", {"url": "https://127.0.0.1/hooks"})

    assert refused.status_code == 422
    assert 'id="url-error"' in refused.text


def test_an_endpoint_is_tested_and_switched_off_and_on(desk_clerk: Staffer) -> None:
    desk_clerk.send("/staff/webhooks", "/webhooks", {"url": "https://tickets.hosting.example/hooks"})

    desk_clerk.send("/staff/webhooks", "/tests")
    desk_clerk.send("/staff/webhooks", "/state")
    off = endpoint(desk_clerk).enabled
    desk_clerk.send("/staff/webhooks", "/state")

    assert "waiting" in desk_clerk.get("/staff/webhooks").text
    assert (off, endpoint(desk_clerk).enabled) == (False, True)


# --- users -----------------------------------------------------------------------------------------------------------


def test_a_new_user_comes_in_by_a_link_that_is_shown_once(desk_clerk: Staffer) -> None:
    typed = {"email": "Zoe@hosting.example", "role": "auditor", "language": "fr"}

    done = desk_clerk.send("/staff/users", "/users", typed)

    assert "http://localhost/sign-in/" in desk_clerk.get(done.location).text
    assert "http://localhost/sign-in/" not in desk_clerk.get(done.location).text
    with desk_clerk.runtime.reading() as session:
        assert session.exec(select(User.role).where(User.email == "zoe@hosting.example")).one() is Role.AUDITOR


def test_an_address_that_is_taken_or_none_is_refused(desk_clerk: Staffer) -> None:
    for email in ("administrator@hosting.example", "zoe"):
        refused = desk_clerk.send("/staff/users", "/users", {"email": email, "role": "auditor", "language": "fr"})

        assert refused.status_code == 422
        assert f'value="{email}"' in refused.text


def user(clerk: Staffer, email: str) -> User:
    with clerk.runtime.reading() as session:
        found = session.exec(select(User).where(User.email == email)).one()
        session.expunge_all()
        return found


def of_user(clerk: Staffer, email: str, noun: str) -> str:
    """The end of the address of a form about one user."""
    return f"/{user(clerk, email).id}/{noun}"


def test_a_new_link_is_made_for_a_user_and_recorded(desk_clerk: Staffer) -> None:
    desk_clerk.as_role(Role.AUDITOR)

    done = desk_clerk.send("/staff/users", of_user(desk_clerk, AUDITOR, "sign-in-links"))

    assert "http://localhost/sign-in/" in desk_clerk.get(done.location).text
    assert "User given a sign-in link" in desk_clerk.get("/staff/events").text


def test_a_user_who_is_switched_off_is_shut_out_until_switched_on(desk_clerk: Staffer) -> None:
    auditor = desk_clerk.as_role(Role.AUDITOR)

    desk_clerk.send("/staff/users", of_user(desk_clerk, AUDITOR, "state"))

    assert auditor.get("/staff/").status_code == 303
    page = desk_clerk.get("/staff/users").text
    assert f"Switch on {AUDITOR}" in page
    assert of_user(desk_clerk, AUDITOR, "sign-in-links") not in page
    desk_clerk.send("/staff/users", of_user(desk_clerk, AUDITOR, "state"))
    assert user(desk_clerk, AUDITOR).active


def test_a_users_role_is_changed(desk_clerk: Staffer) -> None:
    auditor = desk_clerk.as_role(Role.AUDITOR)

    done = desk_clerk.send("/staff/users", of_user(desk_clerk, AUDITOR, "role"), {"role": "account_manager"})

    assert done.status_code == 303
    assert auditor.get("/staff/clients/import").status_code == 200


def test_a_role_that_there_is_not_is_refused(desk_clerk: Staffer) -> None:
    refused = desk_clerk.send("/staff/users", of_user(desk_clerk, ADMINISTRATOR, "role"), {"role": "king"})

    assert refused.status_code == 422
    assert "Choose a role." in refused.text


@pytest.mark.parametrize(("noun", "typed"), [("state", {}), ("role", {"role": "auditor"})])
def test_the_last_administrator_stays_one(desk_clerk: Staffer, noun: str, typed: dict[str, str]) -> None:
    refused = desk_clerk.send("/staff/users", of_user(desk_clerk, ADMINISTRATOR, noun), typed)

    assert refused.status_code == 409
    assert "This is the last administrator." in refused.text
    assert user(desk_clerk, ADMINISTRATOR).may("administer")


def test_a_user_of_nobody_is_not_found(desk_clerk: Staffer) -> None:
    shown = Page(desk_clerk.get("/staff/users").text)
    token = dict(shown.forms[0].fields)["csrf_token"]

    for noun in ("state", "role", "sign-in-links"):
        nobody = f"/staff/users/00000000-0000-7000-8000-000000000000/{noun}"
        assert desk_clerk.browser.post(nobody, data={"csrf_token": token, "role": "auditor"}).status_code == 404


# --- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "kinds"), [("event", EventKind), ("item", ItemKind), ("hold", Hold), ("role", Role)]
)
def test_whatever_has_a_short_name_has_words_for_it(family: str, kinds: type[StrEnum]) -> None:
    assert {kind.value for kind in kinds} <= set(WORDS[family])


# --- events ----------------------------------------------------------------------------------------------------------


def test_events_can_be_narrowed_to_one_thing(desk_clerk: Staffer) -> None:
    desk_clerk.announce()

    everything = desk_clerk.get("/staff/events").text
    narrowed = desk_clerk.get(f"/staff/events?about={desk_clerk.notice().id}").text

    assert "User signed in" in everything
    assert "Notice put in the outbox" in narrowed
    assert "User signed in" not in narrowed
