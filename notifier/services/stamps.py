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
from notifier.services.desk import Desk
from notifier.services.rows import is_postgresql

MODULUS = 1 << 53  # below it, every sum stays what it was when its rows are folded
MANY = 100  # rows of one announcement
Counted = TypeVar("Counted")


def stamps(session: Session, announcement_ids: Collection[UUID] = ()) -> Mapping[UUID | None, int]:
    """Return the stamps of announcements, and (None) that of the clients; one that has none is left out."""
    of_one = col(BoardStamp.announcement_id)
    these = sa.or_(of_one.is_(None), of_one.in_(announcement_ids))
    found = session.exec(select(of_one, sa.func.sum(col(BoardStamp.stamp))).where(these).group_by(of_one))
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
    """Make one row of many with the same sum.  On PostgreSQL each statement adds one, so that no transaction waits for
    another; SQLite has one writer, and one row.
    """
    if not is_postgresql(session):
        return
    table = sa.inspect(BoardStamp).local_table.c
    many = sa.select(table.announcement_id).group_by(table.announcement_id).having(sa.func.count() > MANY).subquery()
    gone = (
        sa.delete(BoardStamp)
        .where(table.announcement_id.is_not_distinct_from(many.c.announcement_id))
        .returning(table.announcement_id, table.stamp)
        .cte("gone")
    )
    total = sa.cast(sa.func.mod(sa.func.sum(gone.c.stamp), MODULUS), sa.BigInteger)
    summed = sa.select(gone.c.announcement_id, total).group_by(gone.c.announcement_id)
    session.execute(sa.insert(BoardStamp).from_select(["announcement_id", "stamp"], summed))
