"""What a preview shows of each set of terms: how many clients are under it, its deadline, and by when to send; and when
all would have been sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlmodel import Session

from notifier.models import AnnouncementKind
from notifier.rules.gate import Waits
from notifier.rules.terms import Pack
from notifier.services import pace
from notifier.services.affected import Affected
from notifier.services.notices import waits_of
from notifier.services.pace import Forecast
from notifier.services.previews import Preview
from notifier.web.current import desk, now


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderTerms:
    """The clients under one set of terms; `one` stands for all of them.

    `latest_sending_at`: where the period is counted back from the day, the last instant (UTC) at which to send.
    """

    pack: Pack
    one: Affected
    clients: int
    waits: Waits
    latest_sending_at: datetime | None


def under_terms(found: Preview, kind: AnnouncementKind, effective_on: date | None) -> list[UnderTerms]:
    """Return each distinct set of terms of a preview, in the order of its name."""
    groups: dict[str, list[Affected]] = {}
    for one in found.affected:
        groups.setdefault(one.terms_key, []).append(one)
    return [
        UnderTerms(
            pack=desk().packs[group[0].told.pack],
            one=group[0],
            clients=len(group),
            waits=waits_of(kind, group[0].rule),
            latest_sending_at=_latest_sending(group[0], effective_on),
        )
        for _, group in sorted(groups.items())
    ]


def forecast_of(session: Session, found: Preview) -> Forecast:
    """Return when the last mail would have left if this were published now."""
    return pace.forecast(session, found.addresses, now=now(), limits=desk().mail_limits)


def _latest_sending(one: Affected, effective_on: date | None) -> datetime | None:
    return one.rule.latest_sending_at(effective_on) if one.rule.counts_back and effective_on else None
