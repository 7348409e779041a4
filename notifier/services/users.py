"""Those who sign in to the staff pages.  Nobody has a default password: a person comes in by a link that works once."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from notifier.adapters.lists import is_address
from notifier.models import EventKind, Role, SignInLink, User
from notifier.rules.links import digest
from notifier.services import events, letters
from notifier.services.desk import Desk

PROVISIONAL = "@first.invalid"  # RFC 2606: reaches nobody
LINK_LIFE = timedelta(hours=24)


class BadUser(ValueError):
    """A user that cannot be made; the message says what to write."""


class NoSuchUser(LookupError):
    def __init__(self) -> None:
        super().__init__("there is no such user")


class LastAdministrator(Exception):
    """Somebody must be able to look after users."""

    def __init__(self) -> None:
        super().__init__("this is the last administrator: make somebody else one first")


class LinkSpent(LookupError):
    """Unknown, used or too old: whoever opens it learns no more than that."""

    def __init__(self) -> None:
        super().__init__("this sign-in link has been used or is too old: ask for another one")


def create(
    session: Session, *, email: str, role: Role, by: str, now: datetime, name: str = "", language: str = "en"
) -> User:
    """Add a user without a password."""
    email = email.strip().casefold()
    if not is_address(email):
        raise BadUser("write one e-mail address, such as ana@hosting.example")
    if find(session, email):
        raise BadUser(f"there is a user {email} already")
    user = User(email=email, name=name.strip(), role=role, language=language, fs_uniquifier=uuid4().hex, created_at=now)
    session.add(user)
    session.flush()
    events.record(session, EventKind.USER_CREATED, about=user.id, by=by, now=now, role=role.value)
    return user


def found(session: Session, *, now: datetime) -> User:
    """Add the first administrator, who says their own address when they first come in."""
    email = f"{uuid4().hex}{PROVISIONAL}"
    return create(session, email=email, role=Role.ADMINISTRATOR, by="notifier", now=now)


def name_oneself(session: Session, user: User, *, email: str, language: str) -> None:
    """Let the first administrator say their own address; everybody else has one already."""
    email = email.strip().casefold()
    if not is_address(email) or email.endswith(PROVISIONAL):
        raise BadUser("write your own e-mail address, such as ana@hosting.example")
    if find(session, email):
        raise BadUser(f"there is a user {email} already")
    user.email, user.language = email, language
    session.add(user)


def choose_password(session: Session, user: User, hashed: str, *, now: datetime) -> None:
    """Give a user a password (hashed), which ends every other session of theirs."""
    user.password, user.fs_uniquifier = hashed, uuid4().hex
    session.add(user)
    events.record(session, EventKind.USER_CHANGED, about=user.id, by=f"user:{user.id}", now=now, what="password")


def switch_off(session: Session, user_id: UUID, *, by: str, now: datetime) -> None:
    """Shut a user out: no password and no link signs them in, and their sessions end."""
    user = _get(session, user_id)
    _keep_an_administrator(session, user)
    user.active, user.fs_uniquifier = False, uuid4().hex
    session.add(user)
    events.record(session, EventKind.USER_CHANGED, about=user.id, by=by, now=now, what="switched off")


def switch_on(session: Session, user_id: UUID, *, by: str, now: datetime) -> None:
    """Let a user in again."""
    user = _get(session, user_id)
    user.active = True
    session.add(user)
    events.record(session, EventKind.USER_CHANGED, about=user.id, by=by, now=now, what="switched on")


def change_role(session: Session, user_id: UUID, role: Role, *, by: str, now: datetime) -> None:
    """Give a user another role."""
    user = _get(session, user_id)
    if role is not Role.ADMINISTRATOR:
        _keep_an_administrator(session, user)
    user.role = role
    session.add(user)
    events.record(session, EventKind.USER_CHANGED, about=user.id, by=by, now=now, what="role", role=role.value)


def invite(session: Session, user: User, *, by: str, now: datetime) -> str:
    """Return a token that signs a user in once, and record who made it: whoever holds it acts in that user's name."""
    events.record(session, EventKind.USER_INVITED, about=user.id, by=by, now=now)
    return sign_in_token(session, user, now=now)


def speak(session: Session, user: User, language: str) -> None:
    """Set the language of a user's pages and mails."""
    user.language = language
    session.add(user)


def signed_in(session: Session, user: User, *, now: datetime) -> None:
    """Record that a user signed in."""
    events.record(session, EventKind.USER_SIGNED_IN, about=user.id, by=f"user:{user.id}", now=now)


def is_provisional(user: User) -> bool:
    """Say whether this user has not told their address yet."""
    return user.email.endswith(PROVISIONAL)


def find(session: Session, email: str) -> User | None:
    return session.exec(select(User).where(User.email == email.strip().casefold())).first()


def everyone(session: Session) -> list[User]:
    return list(session.exec(select(User).order_by(col(User.email))))


def sign_in_token(session: Session, user: User, *, now: datetime) -> str:
    """Return a token that signs this user in once, within a day.  It is shown or sent now; only its digest is kept."""
    token = secrets.token_urlsafe(32)
    session.add(SignInLink(token_digest=digest(token), user_id=user.id, expires_at=now + LINK_LIFE))
    return token


def mail_sign_in(session: Session, desk: Desk, user: User, *, by: str, now: datetime) -> None:
    """Send this user such a link by mail."""
    events.record(session, EventKind.USER_INVITED, about=user.id, by=by, now=now)
    letters.post_sign_in(session, desk, user, valid_until=now + LINK_LIFE, now=now)


def who(session: Session, token: str, *, now: datetime) -> User:
    """Return whom a token would sign in; it stays good, since looking at a page must not spend it."""
    link = session.get(SignInLink, digest(token))
    if link is None or link.used_at or link.expires_at <= now:
        raise LinkSpent
    user = session.get(User, link.user_id)
    if user is None or not user.active:
        raise LinkSpent
    return user


def spend(session: Session, token: str, *, now: datetime) -> User:
    """Sign in with a token: it works once, also when two try at the same instant."""
    link = session.get(SignInLink, digest(token), with_for_update=True)
    user = who(session, token, now=now)
    if link:
        link.used_at = now
        session.add(link)
    signed_in(session, user, now=now)
    return user


def _get(session: Session, user_id: UUID) -> User:
    user = session.get(User, user_id)
    if user is None:
        raise NoSuchUser
    return user


def _keep_an_administrator(session: Session, user: User) -> None:
    """Locks every administrator, so that the last two cannot shut each other out at the same instant."""
    query = select(User).where(User.role == Role.ADMINISTRATOR, col(User.active)).order_by(col(User.id))
    administrators = session.exec(query.with_for_update()).all()
    if [one.id for one in administrators] == [user.id]:
        raise LastAdministrator
