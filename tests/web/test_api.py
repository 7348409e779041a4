"""The registry for programs: public facts as JSON, and a plan that keeps nothing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlmodel import Session, func, select
from time_machine import Traveller
from werkzeug.test import TestResponse

from notifier.models import Event
from notifier.rules.entries import Entry
from notifier.runtime import Runtime
from notifier.services import registry
from notifier.web import api
from tests.factories import NOON, make_announcement, make_app, make_client, make_entry, make_provider, make_version
from tests.web.visiting import clock, runtime

__all__ = ["clock", "runtime"]

FIBRE = make_entry("Fibrexemple", contact="Camille Roy, camille@fibre.example", services=("Storage",))
ENTRIES = [make_entry("Equinix"), FIBRE]
COLUMNS = {
    "Name": "name",
    "Activities": "activities",
    "Town": "town",
    "Country": "country",
    "Used by": "services",
}
MARKDOWN = f"# Subprocessors\n\n| {' | '.join(COLUMNS)} |\n|---|---|---|---|---|\n"


@pytest.fixture
def browser(runtime: Runtime, clock: Traveller) -> FlaskClient:
    del clock  # stands still
    with runtime.transaction() as session:
        make_provider(session)
        make_version(session, ENTRIES, now=NOON - timedelta(days=10))
    return make_app(runtime).test_client()


def ask(browser: FlaskClient, path: str) -> Any:  # noqa: ANN401 - JSON values
    answer = browser.get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
    return answer.json


def plan(browser: FlaskClient, text: str | bytes, **said: Any) -> TestResponse:  # noqa: ANN401 - as the client's own
    return browser.post("/api/registry/plan", data=text, **{"content_type": "text/markdown", **said})


def names(said: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in said["entries"]]


def refused(answer: TestResponse, status: int) -> str:
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), answer.text
    said = answer.json
    assert said is not None
    assert said["status"] == status
    assert said["title"]
    return str(said["detail"])


def row(entry: Entry) -> str:
    return f"| {entry.name} | {entry.activity} | {entry.town} | {entry.country} | {'; '.join(entry.services)} |\n"


# --- what is told ----------------------------------------------------------------------------------------------------


def test_the_list_in_force_names_no_person(browser: FlaskClient) -> None:
    said = ask(browser, "/api/registry")

    assert (said["version"], said["expected"], names(said)) == (1, False, ["Equinix", "Fibrexemple"])
    assert said["last_updated"] == "2026-02-20T12:00:00+00:00"
    assert "Camille" not in json.dumps(said)


def test_the_list_of_a_service_and_of_a_day(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_client(session)
        make_announcement(session, runtime.desk)

    assert names(ask(browser, "/api/registry?service=Mail")) == ["Equinix"]
    assert names(ask(browser, "/api/registry?on=2026-02-19")) == []
    announced = ask(browser, "/api/registry?on=2027-01-01")
    assert (announced["expected"], names(announced)) == (True, ["Equinix", "Optexemple"])
    assert names(ask(browser, "/api/registry?on=2027-01-01&known_on=2026-03-01")) == ["Equinix", "Fibrexemple"]
    assert names(ask(browser, "/api/registry?known_on=2026-03-02")) == ["Equinix", "Optexemple"]


def test_versions_are_listed_newest_first_with_what_each_changed(browser: FlaskClient, runtime: Runtime) -> None:
    with runtime.transaction() as session:
        make_client(session)
        reference = make_announcement(session, runtime.desk).reference

    second, first = ask(browser, "/api/registry/versions")["versions"]
    assert (second["number"], second["announcement"], second["live_at"]) == (2, reference, None)
    assert (first["number"], first["announcement"], first["live_at"]) == (1, None, "2026-02-20T12:00:00+00:00")
    assert [one["number"] for one in ask(browser, "/api/registry/versions?before=2")["versions"]] == [1]
    one = ask(browser, "/api/registry/versions/2")
    assert [(change["kind"], change["entry"]) for change in one["changes"]] == [("replaced", "Optexemple")]
    assert "Camille" not in json.dumps(one)


def test_many_versions_come_in_parts(browser: FlaskClient, monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    monkeypatch.setattr(api, "MOST_VERSIONS", 1)
    with runtime.transaction() as session:
        make_announcement(session, runtime.desk)

    newest = ask(browser, "/api/registry/versions")
    oldest = ask(browser, newest["next"])

    assert [one["number"] for one in (*newest["versions"], *oldest["versions"])] == [2, 1]
    assert oldest["next"] is None


def test_what_changed_between_two_days(browser: FlaskClient) -> None:
    said = ask(browser, "/api/registry/changes?from=2026-02-01&to=2026-02-28")

    assert [(change["kind"], change["entry"]) for change in said["changes"]] == [
        ("added", "Equinix"),
        ("added", "Fibrexemple"),
    ]
    assert ask(browser, "/api/registry/changes?from=2026-02-28")["changes"] == []


@pytest.mark.parametrize("path", ["/api/registry", "/api/registry/versions", "/api/registry/versions/1"])
def test_who_has_it_already_is_told_so_and_nobody_gets_a_cookie(browser: FlaskClient, path: str) -> None:
    first = browser.get(path)
    again = browser.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert "Set-Cookie" not in first.headers


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/api/registry?on=yesterday", 400, "2026-05-31"),
        ("/api/registry?on=9999-12-31", 400, "2026-05-31"),
        ("/api/registry?known_on=0001-01-01", 400, "2026-05-31"),
        ("/api/registry/changes", 400, "from"),
        ("/api/registry/versions?before=x", 400, "number"),
        ("/api/registry/versions/9", 404, "no such version"),
        ("/api/registry/versions/99999999999999999999", 404, "no such version"),
        ("/api/nothing", 404, "no such page"),
        ("/api/registry/plan", 405, "cannot be used like that"),
    ],
)
def test_what_cannot_be_told_is_a_problem(browser: FlaskClient, path: str, status: int, sentence: str) -> None:
    assert sentence in refused(browser.get(path), status)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(browser: FlaskClient, method: str) -> None:
    refused(browser.open("/api/registry", method=method), 405)


def test_a_database_that_is_away_is_a_problem_too(browser: FlaskClient, runtime: Runtime) -> None:
    def away(*_: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception("away"))

    sa.event.listen(runtime.engine, "before_cursor_execute", away)

    assert "does not answer" in refused(browser.get("/api/registry"), 503)
    assert "does not answer" in refused(browser.get("/api/registry/versions/1"), 503)


# --- plans -----------------------------------------------------------------------------------------------------------


def test_a_plan_says_what_a_file_would_change_and_keeps_nothing(browser: FlaskClient, runtime: Runtime) -> None:
    def count(session: Session) -> int:
        return session.exec(select(func.count()).select_from(Event)).one()

    with runtime.reading() as session:
        before = count(session)
    new = replace(FIBRE, country="DE")

    answer = plan(browser, MARKDOWN + row(ENTRIES[0]) + row(new) + "| Mailexemple | Mail | | LU | |\n")

    said = answer.json
    assert said is not None
    assert [(change["kind"], change["entry"]) for change in said["changes"]] == [
        ("added", "Mailexemple"),
        ("moved", "Fibrexemple"),
    ]
    assert said["columns"] == COLUMNS
    assert (said["cosmetic"], said["not_understood"]) == (0, [])
    assert "Camille" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    with runtime.reading() as session:
        assert count(session) == before
        assert registry.draft(session) is None


def test_a_plan_of_what_is_published_changes_nothing(browser: FlaskClient) -> None:
    said = plan(browser, MARKDOWN + row(ENTRIES[1]) + row(replace(ENTRIES[0], name="EQUINIX"))).json

    assert said is not None
    assert (said["changes"], said["cosmetic"]) == ([], 1)


def test_the_name_of_the_file_says_how_to_read_it(browser: FlaskClient) -> None:
    records = json.dumps([{"name": "Equinix"}])

    said = plan(browser, records, content_type="application/octet-stream", query_string={"filename": "list.json"}).json

    assert said is not None
    assert "removed" in {change["kind"] for change in said["changes"]}


def test_a_file_that_cannot_be_read_is_a_problem_with_each_place(browser: FlaskClient) -> None:
    answer = plan(browser, "key,name,activities,country\na,Alpha,Mail,Nowhere\n", content_type="text/csv")

    assert "was not read" in refused(answer, 422)
    assert answer.json is not None
    (fault,) = answer.json["problems"]
    assert (fault["row"], fault["column"], fault["code"]) == (2, "country", "country_unknown")
    french = plan(browser, b"", headers={"Accept-Language": "fr"})
    refused(french, 400)


def test_a_file_that_is_too_large_is_refused(browser: FlaskClient) -> None:
    refused(plan(browser, b"x" * (6 * 1024 * 1024 + 1)), 413)


def test_a_list_with_too_many_entries_is_not_compared(browser: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MOST_ENTRIES", 1)

    answer = plan(browser, "name\nAlpha\nBeta\n", content_type="text/csv")

    refused(answer, 422)
    assert answer.json is not None
    assert [one["code"] for one in answer.json["problems"]] == ["too_many_rows"]


def test_who_asks_too_often_waits(browser: FlaskClient, clock: Traveller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MOST_PLANS", 2)
    for _ in range(2):
        assert plan(browser, b"").status_code == 400

    slowed = plan(browser, b"")
    refused(slowed, 429)
    assert int(slowed.headers["Retry-After"]) > 0

    clock.shift(api.A_WHILE)
    assert plan(browser, b"").status_code == 400


def test_few_lists_are_read_at_once(browser: FlaskClient) -> None:
    readers = browser.application.extensions[api.READERS]
    for _ in range(api.AT_ONCE):
        assert readers.acquire(blocking=False)

    busy = plan(browser, MARKDOWN)
    refused(busy, 503)

    readers.release()
    assert plan(browser, MARKDOWN + row(FIBRE)).status_code == 200


# --- its description -------------------------------------------------------------------------------------------------


def test_the_description_names_every_address(browser: FlaskClient) -> None:
    said = ask(browser, "/api/openapi.json")
    rules = [rule for rule in browser.application.url_map.iter_rules() if rule.rule.startswith("/api/registry")]

    described = {(path, method.upper()) for path, methods in said["paths"].items() for method in methods}
    served = {
        (re.sub(r"<(?:int:)?(\w+)>", r"{\1}", rule.rule), method)
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == served


def test_each_reference_of_the_description_leads_somewhere() -> None:
    text = Path(api.__file__).with_name("openapi.json").read_text(encoding="utf-8")
    said = json.loads(text)

    for _, kind, name in re.findall(r'"\$ref": "#/(components)/(\w+)/(\w+)"', text):
        assert name in said["components"][kind]
