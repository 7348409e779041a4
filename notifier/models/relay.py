"""Relays and domains: what has been asked of them lately, and until when they rest; shared by all workers."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel


class RelayState(SQLModel, table=True):
    """One relay of the settings, by its name.

    `mails` might leave at `mails_at` (rules/limits.Bucket), `hours` holds what has left by the hour.  After `failures`
    in a row it rests; `failing_since` is set while a person is asked to mend something.  Where one worker at a time
    uses it, that is `used_by`.
    """

    __tablename__ = "relay_state"

    name: str = Field(primary_key=True)
    mails: float | None = None
    mails_at: datetime | None = None
    hours: dict[str, int] = Field(default_factory=dict, sa_type=sa.JSON)
    failures: int = 0
    rests_until: datetime | None = None
    failing_since: datetime | None = None
    why: str = ""
    used_by: str = ""
    used_until: datetime | None = None


class DomainState(SQLModel, table=True):
    """A domain of recipients that has a limit, or has put mails off lately.

    `in_a_row` counts mails put off since the last one that was taken; after `failures` times too many, it rests.
    """

    __tablename__ = "domain_state"

    domain: str = Field(primary_key=True)
    mails: float | None = None
    mails_at: datetime | None = None
    in_a_row: int = 0
    failures: int = 0
    rests_until: datetime | None = None
    put_off_at: datetime | None = None
