"""What was counted of an announcement, kept until anything that it was counted from changes.

Counting a hundred thousand clients takes a second, and a page is looked at more often than something happens.  What
happens changes a stamp in its own transaction, by triggers of the database, so that no code can forget it (BoardStamp):
a count is served only to whoever sees the very stamp that was seen before it was counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from notifier.models import BoardStamp
from notifier.models.stamp import CLIENTS
from notifier.services.desk import Desk
from notifier.services.rows import POSTGRESQL, dialect_of, table_of

MODULUS = 1 << 53  # below it, every sum stays what it was when its rows are folded
MANY = 100  # rows of one announcement
_ALONE = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtext("board_stamp")))  # two would wait for each other
Counted = TypeVar("Counted")


def stamps(session: Session, announcement_ids: Collection[UUID] = ()) -> Mapping[UUID, int]:
    """Return the stamps of announcements, and that of the clients (CLIENTS).  One that has none is left out, and so are
    all in a transaction that has written on PostgreSQL: what it writes after that would change none.
    """
    query = select(BoardStamp.announcement_id, sa.func.sum(col(BoardStamp.stamp)))
    query = query.where(col(BoardStamp.announcement_id).in_([CLIENTS, *announcement_ids]))
    if dialect_of(session) == POSTGRESQL:
        query = query.where(sa.func.pg_current_xact_id_if_assigned().is_(None))
    found = session.exec(query.group_by(col(BoardStamp.announcement_id)))
    return {announcement_id: int(total) % MODULUS for announcement_id, total in found}


def kept(desk: Desk, key: Hashable, seen: Hashable | None, count: Callable[[], Counted]) -> Counted:
    """Return what was counted as `key` when the stamps `seen` were seen too; else count it now, and keep it.

    They are seen before anything is counted: what changes in between is counted, and has another stamp.
    """
    known = desk.counted.get(key)
    if seen is not None and known and known[0] == seen:
        found: Counted = known[1]
        return found
    counted = count()
    keep(desk, key, seen, counted)
    return counted


def keep(desk: Desk, key: Hashable, seen: Hashable | None, counted: object) -> None:
    if seen is not None:
        desk.counted.keep(key, (seen, counted))


def fold(session: Session) -> None:
    """Make one row of many with the same sum, on PostgreSQL."""
    if dialect_of(session) != POSTGRESQL:
        return
    if not session.execute(_ALONE).scalar_one():
        return
    table = table_of(BoardStamp)
    many = sa.select(table.c.announcement_id).group_by(table.c.announcement_id).having(sa.func.count() > MANY)
    gone = sa.delete(table).where(table.c.announcement_id.in_(many)).returning(*table.c).cte("gone")
    total = sa.cast(sa.func.mod(sa.func.sum(gone.c.stamp), MODULUS), sa.BigInteger)
    summed = sa.select(gone.c.announcement_id, sa.func.max(gone.c.writer), total).group_by(gone.c.announcement_id)
    session.execute(sa.insert(table).from_select(["announcement_id", "writer", "stamp"], summed))
