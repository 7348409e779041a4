"""What a monitoring asks for: health, readiness, and the figures for Prometheus."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr, ValidationError
from sqlmodel import Session, select
from time_machine import Traveller

from notifier.adapters.sending import Verdict
from notifier.models import Attempt, Delivery
from notifier.runtime import Runtime, make_engine, now
from notifier.services.vitals import Answers
from notifier.settings import MetricsSettings
from notifier.web.vitals import SETTLED, Probe, Tally
from tests.factories import make_announcement, make_app, make_client, make_provider, make_runtime, make_version
from tests.web.staffing import deliver
from tests.web.visiting import clock, runtime

__all__ = ["clock", "runtime"]

TOKEN = "a-token-for-the-monitoring-alone"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def told(runtime: Runtime, clock: Traveller) -> Runtime:  # noqa: ARG001 - time stands still
    """An instance that has told three clients; nothing has left yet."""
    with runtime.transaction() as session:
        make_provider(session)
        make_version(session)
        for number in range(3):
            make_client(session, f"C-{number:03}", company=f"Acme {number}")
        make_announcement(session, runtime.desk, now=now())
    return runtime


@pytest.fixture
def browser(told: Runtime) -> FlaskClient:
    return make_app(told).test_client()


def samples(browser: FlaskClient) -> Samples:
    page = browser.get("/metrics")
    assert page.status_code == 200, page.text
    families = text_string_to_metric_families(page.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    return found[f"notifier_{name}", frozenset(labels.items())]


def with_token(runtime: Runtime, token: str) -> Runtime:
    settings = runtime.settings.model_copy(update={"metrics": MetricsSettings(token=SecretStr(token))})
    return replace(runtime, settings=settings)


# --- health and readiness --------------------------------------------------------------------------------------------


def test_health_is_said_without_a_cookie(browser: FlaskClient) -> None:
    for path, said in (("/healthz", "ok\n"), ("/readyz", "ready\n")):
        page = browser.get(path)
        assert (page.status_code, page.text, page.mimetype) == (200, said, "text/plain")
        assert "Set-Cookie" not in page.headers


@pytest.fixture
def unmigrated(tmp_path: Path) -> Iterator[Runtime]:
    runtime = make_runtime(f"sqlite:///{tmp_path / 'empty.db'}", tmp_path)
    yield runtime
    runtime.close()


def test_an_instance_whose_database_is_not_migrated_lives_but_is_not_ready(unmigrated: Runtime) -> None:
    browser = make_app(unmigrated).test_client()
    page = browser.get("/readyz")

    assert browser.get("/healthz").status_code == 200
    assert (page.status_code, page.mimetype) == (503, "application/problem+json")
    assert page.json
    assert page.json["detail"] == "the database needs migrating: run `notifier db upgrade`"


def test_an_instance_without_its_database_lives_but_is_not_ready(unmigrated: Runtime, tmp_path: Path) -> None:
    gone = replace(unmigrated, engine=make_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"))
    browser = make_app(gone).test_client()

    assert browser.get("/healthz", base_url="https://localhost").status_code == 200
    for path in ("/readyz", "/metrics"):
        page = browser.get(path)
        assert (page.status_code, page.mimetype) == (503, "application/problem+json")
        assert page.json
        assert page.json["detail"] == "the database does not answer"
    with pytest.raises(sa.exc.OperationalError):
        gone.engine.connect()


def test_readiness_does_not_wait_for_a_writer(unmigrated: Runtime, sqlite_url: str) -> None:
    busy = replace(unmigrated, engine=make_engine(sqlite_url))
    browser = make_app(busy).test_client()

    with busy.transaction() as session:
        make_provider(session)
        assert browser.get("/readyz").text == "ready\n"
    busy.engine.dispose()


def test_a_database_that_hangs_is_asked_once_however_many_ask() -> None:
    asked, answer = [], threading.Event()

    def hang() -> str:
        asked.append(threading.current_thread().name)
        answer.wait(10)
        return ""

    probe = Probe(hang, patience=0.05)
    begun = time.monotonic()
    assert [probe.answer() for _ in range(3)] == ["the database does not answer"] * 3
    assert time.monotonic() - begun < 5
    assert len(asked) == 1

    answer.set()
    deadline = time.monotonic() + 10
    while probe.answer() and time.monotonic() < deadline:
        pass
    assert probe.answer() == ""
    assert len(asked) > 1


# --- the figures -----------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_database(browser: FlaskClient, told: Runtime, clock: Traveller) -> None:
    clock.shift(timedelta(minutes=2))
    before = samples(browser)
    deliver(told, Verdict.ACCEPTED)
    after = samples(browser)

    assert value(before, "due", lane="notices") == 3
    assert value(before, "oldest_due_seconds", lane="notices") == 120
    assert value(after, "due", lane="notices") == value(after, "due", lane="urgent") == 0
    assert value(after, "oldest_due_seconds", lane="notices") == 0
    assert value(after, "answers_total", verdict="accepted", code="250", **{"class": "2"}) == 3
    assert (value(before, "rounds_total"), value(after, "rounds_total")) == (0, 1)
    assert value(after, "relay_answers_15m", relay="127.0.0.1:25", verdict="accepted") == 3
    assert value(after, "notices", state="running") == 3
    assert value(after, "events_total") > value(before, "events_total") > 0
    assert value(after, "on_hold") == value(after, "unknown") == value(after, "webhooks_due") == 0


def test_nobody_is_named_in_the_figures(browser: FlaskClient, told: Runtime) -> None:
    deliver(told, Verdict.REFUSED, reply="550 no dpo@c-001.example here", code=550)

    text = browser.get("/metrics").text

    assert 'notifier_answers_total{class="5",code="550",verdict="refused"} 3.0' in text
    assert "@" not in text
    assert "Acme" not in text


def test_the_figures_come_in_the_format_that_is_asked_for(browser: FlaskClient) -> None:
    plain = browser.get("/metrics")
    other = browser.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert plain.content_type.startswith("text/plain; version=")
    assert other.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert other.text.endswith("# EOF\n")
    assert plain.headers["Cache-Control"] == other.headers["Cache-Control"] == "no-store"


def test_a_total_stays_what_it_was_when_what_it_counts_grows_old(told: Runtime, clock: Traveller) -> None:
    """Counted by another process from the beginning, it is the same."""
    tally = Tally()
    for _ in range(6):
        deliver(told, Verdict.DEFERRED, code=451, reply="later", limit=2)
        counted = totals(told, tally)
        assert counted == totals(told, Tally())
        clock.shift(SETTLED / 2)
    attempts = count(told)

    assert attempts > 6
    assert counted.mails == {("deferred", 451): attempts}


def totals(runtime: Runtime, tally: Tally) -> Answers:
    with runtime.reading() as session:
        return tally.totals(session, now())


def count(runtime: Runtime) -> int:
    with Session(runtime.engine) as session:
        assert session.exec(select(Delivery)).all()
        return len(session.exec(select(Attempt)).all())


# --- who may ask -----------------------------------------------------------------------------------------------------


def test_without_a_token_this_machine_alone_may_ask(browser: FlaskClient) -> None:
    for peer, status in (("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 403), ("", 403)):
        page = browser.get("/metrics", environ_base={"REMOTE_ADDR": peer})
        assert page.status_code == status, peer
    assert "set a token in [metrics]" in page.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_proxy_on_this_machine_may_not_ask_for_somebody_else(browser: FlaskClient, header: str) -> None:
    assert browser.get("/metrics", headers={header: "192.0.2.7"}).status_code == 403


def test_whoever_brings_the_token_may_ask_from_anywhere(told: Runtime) -> None:
    browser = make_app(with_token(told, TOKEN)).test_client()
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}

    brought = browser.get("/metrics", environ_base=elsewhere, headers={"Authorization": f"Bearer {TOKEN}"})
    refused = browser.get("/metrics")

    assert brought.status_code == 200
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert refused.mimetype == "application/problem+json"


@pytest.mark.parametrize("said", ["", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer é", TOKEN])
def test_another_token_is_refused_even_on_this_machine(told: Runtime, said: str) -> None:
    browser = make_app(with_token(told, TOKEN)).test_client()

    assert browser.get("/metrics", headers={"Authorization": said}).status_code == 401


def test_a_token_that_could_be_guessed_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="at least 24 characters"):
        MetricsSettings(token=SecretStr("monitoring"))


def test_the_figures_cannot_be_posted_to(browser: FlaskClient) -> None:
    assert browser.post("/metrics").status_code in {400, 405}
