"""What anybody may see: what is announced, the list of subprocessors in force, and the same as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlmodel import Session

from notifier.adapters.countries import country_name
from notifier.adapters.exports import FORMATS, BadExport, export
from notifier.rules import hds_table
from notifier.rules.entries import Entry
from notifier.rules.periods import local_day, zone
from notifier.services import provider, public_record, registry, timeline
from notifier.web import map_of_places, public_feeds, public_history, public_words
from notifier.web.current import language, now, profile, reading, runtime, timezone
from notifier.web.freshness import kept, public

MOST_PRINTED = 200  # companies in a PDF that anybody may ask for: it is made anew each time
pages = public(Blueprint("public", __name__))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of the entries in force are asked for; what is empty leaves nothing out."""

    service: str = ""
    country: str = ""

    @classmethod
    def asked(cls) -> Filter:
        return cls(request.args.get("service", "").strip(), request.args.get("country", "").strip().upper())

    def of(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        found = timeline.of_service(entries, self.service) if self.service else tuple(entries)
        return tuple(entry for entry in found if not self.country or self.country in entry.countries)

    @property
    def said(self) -> dict[str, str]:
        """What an address says of it."""
        both = {"service": self.service, "country": self.country}
        return {name: text for name, text in both.items() if text}


@pages.get("/")
def index() -> ResponseReturnValue:
    return redirect(url_for(".subprocessors"))


@pages.get("/subprocessors")
@kept
def subprocessors() -> ResponseReturnValue:
    wanted = Filter.asked()
    with reading() as session:
        listed = _in_force(session)
        live = registry.live(session, now())
        updated = timeline.last_updated(session, now())
        upcoming = [public_words.announcement(one) for one in public_record.upcoming(session)]
    entries = wanted.of(listed)
    return render_template(
        "web/public/subprocessors.html",
        rows=public_words.rows(entries, listed),
        total=len(listed),
        version=live,
        updated=updated and local_day(updated, zone(timezone())),
        upcoming=upcoming,
        labels=public_words.labels(),
        wanted=wanted,
        services=_services(listed),
        countries=_countries(listed),
        map=_map(entries),
        formats=FORMATS,
        has_hds=any(entry.hds or entry.hds_activities for entry in listed),
    )


@pages.get(f"/subprocessors.<any({', '.join(FORMATS)}):form>")
@kept
def download(form: str) -> ResponseReturnValue:
    wanted = Filter.asked()
    with reading() as session:
        entries = wanted.of(_in_force(session))
    if form == "pdf" and len(entries) > MOST_PRINTED:
        raise BadExport("a PDF of so many companies is too long: take CSV")
    name = profile().legal_name
    made = export(
        entries,
        form,
        language=language(),
        title=_("Subprocessors of %(company)s", company=name) if name else _("Subprocessors"),
        on=local_day(now(), zone(timezone())),
        search_path=runtime().settings.search_path("templates"),
    )
    response = Response(made, content_type=FORMATS[form].media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="subprocessors.{FORMATS[form].extension}"'
    return response


@pages.errorhandler(BadExport)
def cannot_be_written(_trouble: Exception) -> ResponseReturnValue:
    sentence = _("The list is too long for this format. Download it in another one, such as CSV.")
    return render_template("web/message.html", sentence=sentence), HTTPStatus.CONFLICT


@pages.get("/subprocessors/hds")
@kept
def hds() -> ResponseReturnValue:
    """The table of HDS v2, chapter 8, with what requirement 31 has the host say."""
    with reading() as session:
        listed, host = _in_force(session), provider.host(session)
    made = hds_table.table(host, listed, today=local_day(now(), zone(timezone())))
    return render_template(
        "web/public/hds.html",
        headings=hds_table.HEADINGS[language()],
        rows=[hds_table.cells(row, language(), country=_country) for row in made.rows],
        sentence=hds_table.SENTENCES.get(made.statement, ""),
        translation=hds_table.TRANSLATIONS.get(made.statement, ""),
        is_complete=made.is_complete,
    )


def _in_force(session: Session) -> tuple[Entry, ...]:
    return public_record.for_everybody(timeline.in_force(session, now()))


def _country(code: str) -> str:
    return country_name(code, language())


def _services(entries: Sequence[Entry]) -> list[str]:
    return sorted({service for entry in entries for service in entry.services}, key=str.casefold)


def _countries(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    codes = {country for entry in entries for country in entry.countries}
    return sorted(((code, _country(code)) for code in codes), key=lambda one: one[1].casefold())


def _map(entries: Sequence[Entry]) -> dict[str, Any]:
    """Return the picture, and its numbers: name of a country → how many process data there."""
    numbers = map_of_places.count(entries)
    names = {code: _country(code) for code in numbers}
    by_number = sorted(numbers, key=lambda code: (-numbers[code], names[code]))
    return {
        "picture": map_of_places.draw(numbers, names),
        "numbers": [(names[code], numbers[code]) for code in by_number],
        "elsewhere": sum(not entry.countries for entry in entries),
    }


ALL = (pages, public_history.pages, public_feeds.pages)
