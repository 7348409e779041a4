"""From the receipts of a client's contacts to the receipt of the client: sent is not received.

A failure never starts a clock, and a late one takes back a receipt that was only deemed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from notifier.rules.terms import Addressees


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactStanding:
    """How one contact who was told stands: the day of its receipt, if any, and whether one may still come of itself."""

    mandatory: bool
    received_on: date | None
    hopeful: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """`lost`: as things stand no receipt will come, so that a person must act."""

    received_on: date | None
    lost: bool


def receipt_of(addressees: Addressees, contacts: Sequence[ContactStanding]) -> Receipt:
    """Return when a client received a notice, by its contract's policy on several addressees."""
    counted = [one for one in contacts if one.mandatory] if addressees is Addressees.LAST_MANDATORY else list(contacts)
    counted = counted or list(contacts)
    days = [one.received_on for one in counted if one.received_on]
    may_come = [one.hopeful or one.received_on is not None for one in counted]
    if addressees is Addressees.FIRST:
        return Receipt(received_on=min(days, default=None), lost=not any(may_come))
    complete = bool(days) and len(days) == len(counted)
    return Receipt(received_on=max(days) if complete else None, lost=not counted or not all(may_come))
