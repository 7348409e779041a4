"""Watching lists: adding one, what was found there, and deciding a suggestion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import pytest
from sqlmodel import Session, select

from notifier.adapters.http import Answer, GuardedClient
from notifier.adapters.registers import read_register
from notifier.models import Role, Source, Suggestion
from notifier.runtime import now
from notifier.services import registry, watches
from notifier.services.watches import Errand
from tests.web.staffing import Staffer, clock, desk_clerk, runtime
from tests.web.visiting import Page

__all__ = ["clock", "desk_clerk", "runtime"]

PATH = "/staff/watches"
ADDRESS = "https://fibrexemple.example/subprocessors.csv"
TYPED = {"entry_key": "fibrexemple", "address": ADDRESS, "hours": "6"}
BEFORE = "name,activity,country\nNuage Un,Storage,FR\n"
AFTER = BEFORE + "Courrier <Sud>,Mail,FR\n"


@dataclass
class Watcher:
    """Somebody who watches one list, and what its supplier writes."""

    staffer: Staffer

    @property
    def source(self) -> Source:
        with Session(self.staffer.runtime.engine) as session:
            return session.exec(select(Source)).one()

    @property
    def page(self) -> str:
        return f"{PATH}/{self.source.id}"

    @property
    def suggestion(self) -> str:
        with Session(self.staffer.runtime.engine) as session:
            return f"{PATH}/suggestions/{session.exec(select(Suggestion.id)).one()}"

    def finds(self, text: str = "", status: int = 200) -> None:
        """Let a worker look at the list, which says this."""
        self.staffer.clock.shift(timedelta(days=1))
        with self.staffer.runtime.transaction() as session:
            (errand,) = watches.claim(session, limit=10, now=now())
        found = look(self, errand, Answer(status=status, body=text.encode(), headers={"content-type": "text/csv"}))
        with self.staffer.runtime.transaction() as session:
            watches.settle(session, errand, found, now=now())

    def at_work(self) -> Staffer:
        """The same person, signed in anew: a day has passed."""
        return self.staffer.as_role(Role.ACCOUNT_MANAGER)


class Line:
    """A client that always brings one answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def get(self, _url: str, **_validators: str) -> Answer:
        return self._answer


def look(watcher: Watcher, errand: Errand, answer: Answer) -> watches.Found:
    return watches.look(replace(watcher.staffer.runtime.desk, http=cast("GuardedClient", Line(answer))), errand)


@pytest.fixture(autouse=True)
def _read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read within this process: one of its own for each list takes long, and is tested by itself."""
    monkeypatch.setattr(watches, "read_list", read_register)


@pytest.fixture
def watcher(desk_clerk: Staffer) -> Watcher:
    desk_clerk.send(PATH, "/watches", TYPED)
    return Watcher(desk_clerk)


@pytest.fixture
def changed(watcher: Watcher) -> Watcher:
    """A list that was seen, and that names one company more the day after."""
    watcher.finds(BEFORE)
    watcher.finds(AFTER)
    return watcher


def test_a_list_is_watched_and_looked_at_with_the_next_sweep(watcher: Watcher) -> None:
    page = watcher.staffer.get(PATH).text

    assert (watcher.source.address, watcher.source.hours, watcher.source.last_looked_at) == (ADDRESS, 6, None)
    assert f'href="{watcher.page}">Fibrexemple</a>' in page
    assert "not yet" in page
    assert f'href="{PATH}"' in watcher.staffer.get("/staff/registry").text


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("address", "http://supplier.example/", "must begin with https://"),
        ("address", "https://ana:secret@supplier.example/", "user name or a password"),
        ("address", "https://10.0.0.1/", "private or reserved"),
        ("address", "list.csv", "Files are not watched here"),
        ("hours", "0", "from 1 to 744"),
        ("hours", "soon", "from 1 to 744"),
        ("entry_key", "nobody", "Choose one of the entries"),
    ],
)
def test_what_cannot_be_watched_is_shown_again_with_what_to_write(
    desk_clerk: Staffer, field: str, text: str, said: str
) -> None:
    refused = desk_clerk.send(PATH, "/watches", {**TYPED, field: text})

    assert refused.status_code == 422
    assert said in refused.text
    assert f'id="{field}-error"' in refused.text
    if field != "entry_key":
        assert f'value="{text}"' in refused.text


def test_another_language_says_it_in_its_own_words(desk_clerk: Staffer) -> None:
    refused = desk_clerk.send(f"{PATH}?lang=fr", "/watches", {**TYPED, "address": "http://supplier.example/"})

    assert "doit commencer par https://" in refused.text


def test_a_watch_is_changed_paused_looked_at_and_ended(watcher: Watcher) -> None:
    staffer, page = watcher.staffer, watcher.page
    address = "https://fibrexemple.example/new"

    done = staffer.send(page, page, {"address": address, "hours": "48", "mapping": "Entity = name\nPlace=country"})
    assert done.status_code == 303
    assert (watcher.source.address, watcher.source.hours) == (address, 48)
    assert watcher.source.mapping == {"Entity": "name", "Place": "country"}
    assert "Entity = name" in staffer.get(page).text

    staffer.send(page, "/state")
    assert "Watch again" in staffer.get(page).text
    assert (watcher.source.paused, staffer.send(page, "/state").status_code, watcher.source.paused) == (
        True,
        303,
        False,
    )

    assert staffer.send(page, "/looks").status_code == 303
    assert staffer.send(page, "/removal").location == PATH
    assert "No list is watched yet." in staffer.get(PATH).text
    assert "This list is watched no more." in staffer.get(page).text


@pytest.mark.parametrize(("typed", "said"), [("name", "on each line"), ("Entity = nom", "does not exist")])
def test_headings_that_lead_to_no_field_are_refused(watcher: Watcher, typed: str, said: str) -> None:
    refused = watcher.staffer.send(watcher.page, watcher.page, {"mapping": typed})

    assert refused.status_code == 422
    assert said in refused.text
    assert typed in refused.text


def test_what_stood_there_is_handed_out_as_bytes_and_never_as_a_page(changed: Watcher) -> None:
    staffer = changed.at_work()
    newest = next(link for link in Page(staffer.get(changed.page).text).links if "/sightings/" in link)

    answer = staffer.get(newest)

    assert answer.data == AFTER.encode()
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_trouble_is_shown_in_the_words_of_the_far_side_and_waits_for_a_person(watcher: Watcher) -> None:
    for _ in range(3):
        watcher.finds(status=404)
    staffer = watcher.at_work()

    assert "3 looks in a row led to nothing: the address answers 404" in " ".join(
        staffer.get(watcher.page).text.replace("</p>", "").split()
    )
    assert f'href="{watcher.page}">A watched list cannot be read: fibrexemple</a>' in staffer.get("/staff/").text
    assert "not readable" in staffer.get(PATH).text


def test_a_change_is_shown_with_before_and_after_and_waits_for_a_person(changed: Watcher) -> None:
    staffer = changed.at_work()

    overview = staffer.get("/staff/").text
    page = staffer.get(changed.suggestion).text

    assert f'href="{changed.suggestion}">A subprocessor’s own list has changed: fibrexemple</a>' in overview
    assert "Courrier &lt;Sud&gt;" in page
    assert "Take into the draft" in page


def test_a_suggestion_that_is_taken_leads_to_the_draft(changed: Watcher) -> None:
    staffer = changed.at_work()

    done = staffer.send(changed.suggestion, "/taking")

    assert (done.status_code, done.location) == (303, "/staff/registry/draft")
    assert "1 change is in the draft." in staffer.get(done.location).text
    with changed.staffer.runtime.reading() as session:
        (arrived,) = [entry for entry in registry.entries(session, registry.draft(session)) if entry.parent]
    assert (arrived.name, arrived.parent) == ("Courrier <Sud>", "fibrexemple")
    after = staffer.get(changed.suggestion).text
    assert "Take into the draft" not in after
    assert "Nothing waits for you." in staffer.get("/staff/").text


def test_what_does_not_fit_our_list_is_said(watcher: Watcher) -> None:
    watcher.finds(AFTER)
    watcher.finds(BEFORE)
    staffer = watcher.at_work()

    done = staffer.send(watcher.suggestion, "/taking")

    assert "Only noted, since it does not fit your list: Courrier &lt;Sud&gt;." in staffer.get(done.location).text


def test_a_suggestion_is_dismissed_with_a_reason(changed: Watcher) -> None:
    staffer = changed.at_work()
    refused = staffer.send(changed.suggestion, "/dismissal")
    assert (refused.status_code, 'id="why-error"' in refused.text) == (422, True)

    staffer.send(changed.suggestion, "/dismissal", {"why": "It serves others alone."})

    assert "It serves others alone." in staffer.get(changed.suggestion).text
    assert staffer.post(changed.page, f"{changed.suggestion}/taking", {}).status_code == 409


def test_whoever_only_reads_decides_nothing(changed: Watcher) -> None:
    auditor = changed.staffer.as_role(Role.AUDITOR)

    assert "Take into the draft" not in auditor.get(changed.suggestion).text
    assert "Look now" not in auditor.get(changed.page).text
    assert auditor.post("/staff/", f"{changed.suggestion}/taking", {}).status_code == 403
    assert auditor.post("/staff/", PATH, TYPED).status_code == 403


@pytest.mark.parametrize("path", ["", "suggestions/", "sightings/"])
def test_what_there_is_not_is_said(desk_clerk: Staffer, path: str) -> None:
    assert desk_clerk.get(f"{PATH}/{path}018f0000-0000-7000-8000-000000000000").status_code == 404
