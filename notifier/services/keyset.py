"""Lists of clients by the page: each begins at a client of the one before, so that the last costs what the first does.

The order is that of their names as filed, then of their keys, and an index has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import Client

SIZE = 100  # clients on a page


class Place(NamedTuple):
    """Where a client stands in the list."""

    filed_as: str
    key: str


# Past which place (None: from where the list begins), whether backwards, and how many at most; the ids of clients
# in the order in which they are met.
Find = Callable[[Place | None, bool, int], list[UUID]]


@dataclass(frozen=True, slots=True)
class Slice:
    """A page: client ids in their order, and the clients before and after which the pages beside it are asked for."""

    ids: list[UUID]
    before: UUID | None = None
    after: UUID | None = None


def cut(session: Session, find: Find, *, after: UUID | None = None, before: UUID | None = None) -> Slice:
    """Return the page that follows or precedes a client; the first one where that is not known or nothing is there."""
    asked = before or after
    place = place_of(session, asked) if asked else None
    backwards = before is not None and place is not None
    found = find(place, backwards, SIZE + 1)
    is_more, ids = len(found) > SIZE, found[:SIZE]
    if place and (not ids or (backwards and not is_more)):
        return cut(session, find)  # a first page is a whole one
    if backwards:
        ids.reverse()
    is_first, is_last = place is None, not (backwards or is_more)
    return Slice(ids, before=None if is_first else ids[0], after=None if is_last else ids[-1])


def finding(session: Session, query: Any) -> Find:  # noqa: ANN401 - a select of Client.id
    """Find by a query."""

    def find(past: Place | None, backwards: bool, limit: int) -> list[UUID]:  # noqa: FBT001 - as Find
        place = sa.tuple_(col(Client.filed_as), col(Client.key))
        order = [one.desc() if backwards else one.asc() for one in (col(Client.filed_as), col(Client.key))]
        asked = query.order_by(*order).limit(limit)
        if past:
            given = sa.tuple_(*(sa.literal(one) for one in past))
            asked = asked.where(place < given if backwards else place > given)
        return list(session.exec(asked))

    return find


def place_of(session: Session, client_id: UUID) -> Place | None:
    found = session.exec(select(Client.filed_as, Client.key).where(Client.id == client_id)).first()
    return Place(*found) if found else None
