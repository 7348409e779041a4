"""What the law would still ask of the list: entry by entry, for the contracts of one pack or of all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.rules import completeness
from notifier.rules.completeness import Asks, Completeness, ListCompleteness
from notifier.rules.entries import Certificate, Entry
from notifier.rules.periods import local_day, zone
from notifier.services import clients, entry_words, registry
from notifier.web.current import desk, language, needs, now, reading, timezone
from notifier.web.forms import Form

pages = Blueprint("staff_completeness", __name__, url_prefix="/staff/registry/completeness")


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate that has ended, or soon will."""

    entry: Entry
    certificate: Certificate
    on: date
    ended: bool


@pages.get("")
@needs("read")
def report() -> ResponseReturnValue:
    """Of the draft, or of the published list; what one contract pack (`pack`) asks, or all that clients are under."""
    form = Form({"pack": request.args.get("pack", "")})
    with reading() as session:
        entries = _entries(session)
        found = completeness.of_list(entries, _asks(session, form["pack"]), today=_today())
    return render_template(
        "web/staff/completeness.html",
        form=form,
        packs=[
            ("", _("all that clients are under")),
            *((pack.name, pack.title[language()]) for pack in desk().packs.values()),
        ],
        found=found,
        endings=_endings(entries, found),
        entries=sorted(((one, found.entries[one.key]) for one in entries), key=_most_wanting),
        labels=entry_words.LABELS[language()],
    )


def of_registry(session: Session) -> ListCompleteness:
    """Return what is known of the draft or the published list, of all that clients' contracts ask."""
    return completeness.of_list(_entries(session), _asks(session, ""), today=_today())


def _asks(session: Session, pack: str) -> set[Asks]:
    """Whose questions a pack has answered; of none, those of every pack that a client is under."""
    packs = desk().packs
    names = {pack} if pack in packs else clients.packs_in_use(session, desk())
    return {one for name in names if name in packs for one in packs[name].asks} or {Asks.GDPR}


def _entries(session: Session) -> list[Entry]:
    return registry.entries(session, registry.draft(session) or registry.published(session))


def _endings(entries: list[Entry], found: ListCompleteness) -> list[Ending]:
    """Return the certificates to be renewed, the one that ended first before all."""
    endings = [
        Ending(entry, one, date.fromisoformat(one.expires_on), one in said.expired)
        for entry in entries
        for said in [found.entries[entry.key]]
        for one in (*said.expired, *said.ending)
    ]
    return sorted(endings, key=lambda one: one.on)


def _most_wanting(pair: tuple[Entry, Completeness]) -> tuple[bool, bool, int, str]:
    entry, said = pair
    return not said.expired, not said.ending, -len(said.missing), entry.name


def _today() -> date:
    return local_day(now(), zone(timezone()))
