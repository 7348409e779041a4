"""The instance: which copy of the product this database belongs to, and whether anything may be sent from it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlmodel import Field, SQLModel

from notifier.models.base import text_enum


class HoldKind(StrEnum):
    """Why nothing is sent."""

    PERSON = "person"  # somebody stopped it
    STRANGE_FOLDER = "strange_folder"  # the data folder is another instance's, or has no id: one of the two is a copy
    OLDER_DATABASE = "older_database"  # the data folder has seen events that the database does not hold


class Instance(SQLModel, table=True):
    """One row.  `instance_id` also stands in the data folder of each process that may send (adapters/instances.py)."""

    __tablename__ = "instance"

    number: int = Field(default=1, primary_key=True)
    instance_id: UUID
    hold_since: datetime | None = None
    hold_kind: HoldKind | None = Field(default=None, sa_type=text_enum(HoldKind, checked=False), nullable=True)
    hold_why: str = ""  # a person's words
    hold_by: str = ""
    hold_folder: UUID | None = None  # the id of the folder that was refused, so that one copy is doubted once
    released_at: datetime | None = None
    released_by: str = ""

    @property
    def is_held(self) -> bool:
        return self.hold_since is not None
