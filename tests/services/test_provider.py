from __future__ import annotations

import pytest
from sqlmodel import Session

from notifier.models import EventKind, Provider
from notifier.rules.entries import Place
from notifier.services import doorbell, outbox, provider
from notifier.services.desk import Desk
from notifier.services.provider import BadProfile, ProfileIncomplete
from tests.factories import NOON, make_announcement, make_client, make_provider
from tests.services.stories import happened, send_due

COMPLETE = {
    "legal_name": "Hébergement Exemple SAS",
    "address": "1 rue des Essais\n75000 Paris",
    "timezone": "Europe/Paris",
    "sender_name": "Hébergement Exemple",
    "sender_address": "notices@hosting.example",
    "reply_to": "privacy@hosting.example",
    "privacy_contact": "privacy@hosting.example",
    "base_url": "https://notices.hosting.example/",
}


def change(session: Session, **values: str) -> Provider:
    return provider.change(session, values, by="user:1", now=NOON)


def test_a_new_instance_has_no_profile_and_says_what_is_missing(session: Session) -> None:
    assert provider.get(session).missing == [name for name in Provider.REQUIRED if name != "timezone"]
    with pytest.raises(ProfileIncomplete, match="fill in legal_name, address, sender_name"):
        provider.require_complete(session)


def test_a_profile_is_filled_in_step_by_step(session: Session) -> None:
    change(session, **{**COMPLETE, "legal_name": ""})
    assert provider.get(session).missing == ["legal_name"]

    change(session, legal_name="  Hébergement  Exemple SAS ")

    found = provider.require_complete(session)
    assert (found.legal_name, found.address) == ("Hébergement Exemple SAS", "1 rue des Essais\n75000 Paris")
    assert (found.base_url, found.message_domain) == ("https://notices.hosting.example", "hosting.example")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("sender_address", "notices"),
        ("sender_address", "a@hosting.example, b@hosting.example"),
        ("sender_address", "Ana <ana@hosting.example>"),
        ("reply_to", "privacy@localhost"),
        ("privacy_contact", "the privacy team"),
        ("base_url", "notices.hosting.example"),
        ("base_url", "ftp://hosting.example"),
        ("base_url", "https://"),
        ("base_url", "https://["),
        ("base_url", "https://user@hosting.example"),
        ("base_url", "https://hosting.example/?page=1"),
        ("timezone", "Paris"),
        ("timezone", ""),
        ("languages", ""),
        ("languages", "de"),
        ("languages", "en de"),
        ("sender_name", "Hosting\x07"),
        ("colour", "blue"),
    ],
)
def test_what_cannot_be_right_is_refused_by_field_and_changes_nothing(session: Session, field: str, text: str) -> None:
    change(session, **COMPLETE)
    before = provider.get(session).model_dump()

    with pytest.raises(BadProfile, match=f"{field}: ") as refused:
        change(session, **{"legal_name": "Other SAS", field: text})

    assert list(refused.value.problems) == [field]
    session.expire_all()
    assert provider.get(session).model_dump() == before


def test_the_log_names_the_fields_that_changed_and_not_what_they_say(session: Session) -> None:
    change(session, reply_to="privacy@hosting.example", legal_name="Hébergement Exemple SAS")

    (event,) = happened(session, EventKind.PROVIDER_CHANGED)
    assert (event.by, event.data) == ("user:1", {"fields": ["legal_name", "reply_to"]})


def test_mails_wait_for_a_complete_profile_and_leave_once_it_is(session: Session, desk: Desk) -> None:
    profile = make_provider(session)
    make_client(session)
    make_announcement(session, desk)
    profile.reply_to = ""
    doorbell.rung(session)

    assert outbox.claim(session, desk, worker="w", limit=10, now=NOON) == []
    change(session, reply_to="privacy@hosting.example")

    assert doorbell.rung(session) == {doorbell.Bell.OUTBOX}
    assert len(send_due(session, desk, now=NOON)) == 1


@pytest.mark.parametrize("languages", ["en", "fr", "en fr", "fr en"])
def test_an_instance_speaks_one_language_or_both(session: Session, languages: str) -> None:
    assert change(session, languages=languages).languages == languages


@pytest.mark.parametrize("field", [name for name in COMPLETE if name != "timezone"])
def test_a_required_field_that_was_filled_in_is_not_emptied(session: Session, field: str) -> None:
    change(session, **COMPLETE)

    with pytest.raises(BadProfile, match="do not empty it") as refused:
        change(session, **{field: "  "})

    assert list(refused.value.problems) == [field]
    assert provider.require_complete(session).missing == []


def test_what_the_host_is_is_said_field_by_field_and_stays_out_of_the_log(session: Session) -> None:
    make_provider(session)

    provider.change_host(session, {"hds": "yes", "places": (Place(country="FR", site="Pantin"),)}, by="ana", now=NOON)
    host = provider.change_host(session, {"secnumcloud": "no"}, by="ana", now=NOON)

    assert (host.name, host.hds, host.secnumcloud) == (provider.get(session).legal_name, "yes", "no")
    assert host.places == (Place(country="FR", site="Pantin"),)
    assert provider.change_host(session, {"hds": ""}, by="ana", now=NOON).hds == ""  # nobody has said
    with pytest.raises(BadProfile, match="name: there is no such field"):
        provider.change_host(session, {"name": "Other SAS"}, by="ana", now=NOON)
