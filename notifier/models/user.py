"""Those who sign in to the staff pages, and their one-time links."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum, uuid7


class Role(StrEnum):
    AUDITOR = "auditor"  # reads everything, changes nothing
    ACCOUNT_MANAGER = "account_manager"  # edits, announces, settles
    ADMINISTRATOR = "administrator"  # and looks after users, the provider's profile and endpoints


PERMISSIONS = {
    Role.AUDITOR: frozenset({"read"}),
    Role.ACCOUNT_MANAGER: frozenset({"read", "edit", "publish"}),
    Role.ADMINISTRATOR: frozenset({"read", "edit", "publish", "administer"}),
}


class User(SQLModel, table=True):
    """Somebody of the provider's staff.  An empty password cannot be signed in with."""

    __tablename__ = "user"
    __table_args__ = (sa.UniqueConstraint("email"), sa.UniqueConstraint("fs_uniquifier"))

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    email: str
    name: str = ""
    password: str | None = None
    active: bool = True
    fs_uniquifier: str  # what a session's cookie names, by Flask-Security's name for it
    role: Role = Field(sa_type=text_enum(Role))
    language: str = "en"
    created_at: datetime

    def may(self, permission: str) -> bool:
        return permission in PERMISSIONS[self.role]


class SignInLink(SQLModel, table=True):
    """A link that signs one user in, once.  Only the token's SHA-256 is kept."""

    __tablename__ = "sign_in_link"

    token_digest: str = Field(primary_key=True, max_length=64)
    user_id: UUID = Field(foreign_key="user.id")
    expires_at: datetime
    used_at: datetime | None = None
