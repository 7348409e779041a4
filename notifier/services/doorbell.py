"""The doorbell: a service says which worker has something to do; the wiring rings it after the commit.

A bell carries nothing.  Losing, repeating or reordering rings loses, repeats and reorders nothing, since the tables say
what is due.
"""

from __future__ import annotations

from enum import StrEnum

from sqlmodel import Session


class Bell(StrEnum):
    OUTBOX = "outbox"
    WEBHOOKS = "webhooks"


def ring(session: Session, bell: Bell) -> None:
    """Ask for a ring once this transaction has been committed."""
    session.info.setdefault("bells", set()).add(bell)


def rung(session: Session) -> set[Bell]:
    """Return the bells to ring, and forget them."""
    bells: set[Bell] = session.info.pop("bells", set())
    return bells
