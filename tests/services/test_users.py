from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import Session, select

from notifier.models import EventKind, Role, SignInLink
from notifier.rules.links import digest
from notifier.runtime import Runtime
from notifier.services import events, users
from notifier.services.desk import Desk
from notifier.services.users import BadUser, LastAdministrator, LinkSpent, NoSuchUser
from tests.factories import NOON, make_provider, make_user
from tests.services.stories import deliveries, happened, send_due

A_DAY = timedelta(days=1)


def test_a_new_user_has_no_password(session: Session) -> None:
    user = make_user(session, " Ana@Hosting.example ", role=Role.AUDITOR, name="Ana Petit")

    assert (user.email, user.password, user.active) == ("ana@hosting.example", None, True)
    assert users.find(session, "ANA@hosting.example") == user
    assert happened(session, EventKind.USER_CREATED)[0].data == {"role": "auditor"}


def test_there_is_one_user_for_an_address(session: Session) -> None:
    make_user(session, "ana@hosting.example")

    with pytest.raises(BadUser, match=r"there is a user ana@hosting\.example already"):
        make_user(session, "Ana@hosting.example")
    for nobody in ("", "ana", "ana@hosting", "a@hosting.example,b@hosting.example"):
        with pytest.raises(BadUser, match="write one e-mail address"):
            make_user(session, nobody)


@pytest.mark.parametrize(
    ("role", "permissions"),
    [
        (Role.AUDITOR, {"read"}),
        (Role.ACCOUNT_MANAGER, {"read", "edit", "publish"}),
        (Role.ADMINISTRATOR, {"read", "edit", "publish", "administer"}),
    ],
)
def test_a_role_may_what_its_name_says(session: Session, role: Role, permissions: set[str]) -> None:
    user = make_user(session, role=role)

    assert {one for one in ("read", "edit", "publish", "administer") if user.may(one)} == permissions


def test_a_link_signs_in_once(session: Session) -> None:
    user = make_user(session)
    token = users.sign_in_token(session, user, now=NOON)

    assert users.spend(session, token, now=NOON + timedelta(hours=1)) == user

    with pytest.raises(LinkSpent, match="has been used or is too old: ask for another one"):
        users.spend(session, token, now=NOON + timedelta(hours=1))
    (event,) = happened(session, EventKind.USER_SIGNED_IN)
    assert (event.about_id, event.by) == (user.id, f"user:{user.id}")


def test_looking_at_a_link_does_not_spend_it(session: Session) -> None:
    user = make_user(session)
    token = users.sign_in_token(session, user, now=NOON)

    assert [users.who(session, token, now=NOON) for _ in range(3)] == [user] * 3
    assert users.spend(session, token, now=NOON) == user


def test_a_link_lives_for_a_day(session: Session) -> None:
    user = make_user(session)
    token = users.sign_in_token(session, user, now=NOON)

    assert users.who(session, token, now=NOON + A_DAY - timedelta(seconds=1)) == user
    for look in (users.who, users.spend):
        with pytest.raises(LinkSpent):
            look(session, token, now=NOON + A_DAY)


def test_an_unknown_link_and_one_of_somebody_who_was_switched_off_say_the_same(session: Session) -> None:
    user = make_user(session)
    token = users.sign_in_token(session, user, now=NOON)
    user.active = False
    session.flush()

    for spent in ("", "unknown", token):
        with pytest.raises(LinkSpent):
            users.spend(session, spent, now=NOON)
    assert happened(session, EventKind.USER_SIGNED_IN) == []


def test_of_a_link_the_database_keeps_the_digest_alone(session: Session) -> None:
    token = users.sign_in_token(session, make_user(session), now=NOON)

    link = session.exec(select(SignInLink)).one()
    assert link.token_digest == digest(token)
    assert token not in repr(link.model_dump())


def test_of_two_who_use_a_link_at_once_one_comes_in(runtime: Runtime) -> None:
    with runtime.transaction() as session:
        token = users.sign_in_token(session, make_user(session), now=NOON)
    barrier, found = threading.Barrier(2), list[str]()

    def come_in() -> None:
        barrier.wait()
        try:
            with runtime.transaction() as session:
                users.spend(session, token, now=NOON)
            found.append("in")
        except LinkSpent:
            found.append("spent")

    threads = [threading.Thread(target=come_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == ["in", "spent"]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_link_sent_by_mail_signs_in(session: Session, desk: Desk, language: str) -> None:
    make_provider(session)
    user = make_user(session, language=language)

    users.mail_sign_in(session, desk, user, by="user:1", now=NOON)

    (mail,) = deliveries(session, "sign_in")
    token = desk.keyring.token(mail.id, "sign_in")
    assert (mail.address, mail.language, mail.lane) == ("ana@hosting.example", language, 0)
    assert token not in repr(mail.model_dump())
    (sent,) = send_due(session, desk, now=NOON)
    assert f"http://localhost/sign-in/{token}".encode() in sent.content.replace(b"=\r\n", b"")
    assert users.spend(session, token, now=NOON) == user


def test_the_first_administrator_says_their_own_address_at_the_first_sign_in(session: Session) -> None:
    user = users.found(session, now=NOON)
    assert users.is_provisional(user)
    make_user(session, "bob@hosting.example")

    for taken in ("ana", "bob@hosting.example", f"x{users.PROVISIONAL}"):
        with pytest.raises(BadUser):
            users.name_oneself(session, user, email=taken, language="fr")
    users.name_oneself(session, user, email="Ana@hosting.example", language="fr")

    assert (user.email, user.role, user.language, user.password) == (
        "ana@hosting.example",
        Role.ADMINISTRATOR,
        "fr",
        None,
    )
    assert not users.is_provisional(user)


def test_a_new_password_ends_every_other_session(session: Session) -> None:
    user = make_user(session)
    before = user.fs_uniquifier

    users.choose_password(session, user, "hashed", now=NOON)

    assert user.password == "hashed"
    assert user.fs_uniquifier != before


# --- shut out, and given another role --------------------------------------------------------------------------------


def test_whoever_is_switched_off_comes_in_by_no_link_and_no_password_and_their_sessions_end(session: Session) -> None:
    user = make_user(session)
    users.choose_password(session, user, "hashed", now=NOON)
    tokens = [users.sign_in_token(session, user, now=NOON), users.invite(session, user, by="user:1", now=NOON)]
    before = user.fs_uniquifier

    users.switch_off(session, user.id, by="user:1", now=NOON)

    assert user.fs_uniquifier != before  # what a session's cookie names
    assert not user.active  # what Flask-Security asks before it looks at a password
    for token in [*tokens, users.sign_in_token(session, user, now=NOON)]:
        for look in (users.who, users.spend):
            with pytest.raises(LinkSpent):
                look(session, token, now=NOON)

    users.switch_on(session, user.id, by="user:1", now=NOON)
    assert users.spend(session, tokens[0], now=NOON) == user


def test_the_last_administrator_is_kept(session: Session) -> None:
    ana = make_user(session, role=Role.ADMINISTRATOR)
    make_user(session, "bob@hosting.example")
    acts: list[Callable[[], object]] = [
        lambda: users.switch_off(session, ana.id, by="user:1", now=NOON),
        lambda: users.change_role(session, ana.id, Role.AUDITOR, by="user:1", now=NOON),
    ]

    for act in acts:
        with pytest.raises(LastAdministrator):
            act()
    users.change_role(session, ana.id, Role.ADMINISTRATOR, by="user:1", now=NOON)

    assert (ana.active, ana.role) == (True, Role.ADMINISTRATOR)


def test_an_administrator_who_is_switched_off_does_not_count_as_one(session: Session) -> None:
    ana, bob = (make_user(session, f"{who}@hosting.example", role=Role.ADMINISTRATOR) for who in ("ana", "bob"))
    users.switch_off(session, bob.id, by="user:1", now=NOON)

    with pytest.raises(LastAdministrator):
        users.switch_off(session, ana.id, by="user:1", now=NOON)

    users.change_role(session, bob.id, Role.AUDITOR, by="user:1", now=NOON)  # takes nobody away
    assert ana.active


def test_a_user_that_there_is_not_is_said(session: Session) -> None:
    with pytest.raises(NoSuchUser):
        users.switch_off(session, uuid4(), by="user:1", now=NOON)


def test_who_was_invited_switched_off_and_given_another_role_is_in_the_log_without_a_name(
    session: Session, desk: Desk
) -> None:
    make_provider(session)
    user = make_user(session, "zelie@hosting.example", name="Zélie Petit")

    users.invite(session, user, by="user:1", now=NOON)
    users.mail_sign_in(session, desk, user, by="user:1", now=NOON)
    users.change_role(session, user.id, Role.AUDITOR, by="user:1", now=NOON)
    users.switch_off(session, user.id, by="user:1", now=NOON)
    users.switch_on(session, user.id, by="user:1", now=NOON)

    invited, changed = (happened(session, kind) for kind in (EventKind.USER_INVITED, EventKind.USER_CHANGED))
    assert [(event.about_id, event.by, event.data) for event in invited] == [(user.id, "user:1", {})] * 2
    assert [event.data for event in changed] == [
        {"what": "role", "role": "auditor"},
        {"what": "switched off"},
        {"what": "switched on"},
    ]
    said = repr([(event.by, event.data) for event in events.history(session)])
    assert [word for word in ("Zélie", "zelie", "@") if word in said] == []
