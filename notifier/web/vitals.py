"""What a monitoring asks for: whether the process lives, whether it is ready, and its figures for Prometheus."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address
from threading import Lock, Thread
from typing import cast

import sqlalchemy as sa
from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from sqlmodel import Session

from notifier import __version__, schema
from notifier.runtime import Runtime
from notifier.services import relays, vitals
from notifier.services.relays import Health
from notifier.services.vitals import LANES, Answers, Queue, Vitals
from notifier.web.api import problem
from notifier.web.current import now, runtime

PATIENCE = 2.0  # seconds that the database has to answer
NO_ANSWER = "the database does not answer"
NOT_MIGRATED = "the database needs migrating: run `notifier db upgrade`"
SETTLED = timedelta(minutes=10)  # what was answered before is committed, and does not change
STEP = timedelta(minutes=5)
LANE_NAMES = dict(zip(LANES, ("urgent", "notices", "news"), strict=True))
FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Real-IP")
ANSWERS = "Mails that relays have answered, by what that meant and the reply code; 0: the relay was not reached."
RELAYS = "What each relay has answered within the last 15 minutes."

pages = Blueprint("vitals", __name__)


@pages.record_once
def _set_up(state: object) -> None:
    """Each application asks with working parts of its own."""
    app = state.app  # type: ignore[attr-defined] # Flask's BlueprintSetupState
    parts = cast("Runtime", app.extensions["notifier"])
    app.extensions |= {"notifier.probe": Probe(lambda: _trouble(parts)), "notifier.tally": Tally()}


@pages.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process answers."""
    return _plain("ok")


@pages.get("/readyz")
def readyz() -> ResponseReturnValue:
    """The database answers soon, and its tables are those that this code knows."""
    trouble = cast("Probe", current_app.extensions["notifier.probe"]).answer()
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, trouble) if trouble else _plain("ready")


@pages.get("/metrics")
def metrics() -> ResponseReturnValue:
    """The figures, in the format that was asked for (Prometheus' own, or OpenMetrics)."""
    token = runtime().settings.metrics.token.get_secret_value()
    if token and not hmac.compare_digest(f"Bearer {token}".encode(), request.headers.get("Authorization", "").encode()):
        refused = problem(HTTPStatus.UNAUTHORIZED, "send the token of [metrics] as Authorization: Bearer")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused
    if not token and not _is_here():
        return problem(HTTPStatus.FORBIDDEN, "only this machine may ask: set a token in [metrics] for others")
    try:
        return _figures()
    except sa.exc.SQLAlchemyError:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, NO_ANSWER)


class Probe:
    """Asks a question that may hang, in a thread of its own: however many ask meanwhile, it is asked once."""

    def __init__(self, question: Callable[[], str], patience: float = PATIENCE) -> None:
        self._question, self._patience = question, patience
        self._lock = Lock()
        self._asked: Future[str] | None = None

    def answer(self) -> str:
        """Return what is wrong, or nothing."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                Thread(target=self._ask, args=(self._asked,), name="probe", daemon=True).start()
            asked = self._asked
        try:
            return asked.result(timeout=self._patience)
        except TimeoutError:
            return NO_ANSWER

    def _ask(self, asked: Future[str]) -> None:
        try:
            asked.set_result(self._question())
        except Exception:  # noqa: BLE001 - whatever is wrong, it is not ready
            asked.set_result(NO_ANSWER)


class Tally:
    """Totals that only grow, though nobody keeps them: what is settled is counted once, the last minutes at each look.

    Every process counts the same rows, and so tells the same totals.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: datetime | None = None
        self._rounds, self._mails = 0, Counter[tuple[str, int]]()

    def totals(self, session: Session, now: datetime) -> Answers:
        with self._lock:
            settled = now - SETTLED
            if self._until is None or settled - self._until >= STEP:
                found = vitals.answers(session, since=self._until, until=settled)
                self._rounds, self._mails = self._rounds + found.rounds, self._mails + Counter(found.mails)
                self._until = settled
            lately = vitals.answers(session, since=self._until, until=None)
            return Answers(self._rounds + lately.rounds, self._mails + Counter(lately.mails))


def _trouble(parts: Runtime) -> str:
    return "" if schema.is_current(parts.engine) else NOT_MIGRATED


def _is_here() -> bool:
    """Say whether somebody on this machine asks, and not a proxy on it for somebody else."""
    try:
        is_loopback = ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
    return is_loopback and not any(name in request.headers for name in FORWARDED)


def _figures() -> Response:
    with runtime().reading() as session:
        found = vitals.vitals(session, runtime().desk, now=now())
        health = relays.health(session, runtime().desk, now=now())
        totals = cast("Tally", current_app.extensions["notifier.tally"]).totals(session, now())
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(found, totals, health, now()))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=content_type, headers={"Cache-Control": "no-store"})


class _Figures:
    """A collector for one look."""

    def __init__(self, found: Vitals, totals: Answers, health: Sequence[Health], now: datetime) -> None:
        self._found, self._totals, self._health, self._now = found, totals, health, now

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("notifier", "Which version answers.", value={"version": __version__})
        yield from self._mails()
        yield from self._others()

    def _mails(self) -> Iterator[Metric]:
        found = self._found
        lanes = {LANE_NAMES.get(lane, str(lane)): queue for lane, queue in found.due.items()}
        yield _by("due", "Mails that are due and not yet in hand.", "lane", _numbers(lanes))
        yield _by("oldest_due_seconds", "For how long the oldest of them has been due.", "lane", self._ages(lanes))
        yield _one("retrying", "Mails that wait for their next attempt.", found.retrying)
        yield _by("in_hand", "Mails that a worker holds.", "state", found.in_hand)
        yield _one("unknown", "Mails that may or may not have arrived.", found.unknown.number)
        yield _one("oldest_unknown_seconds", "For how long the oldest of them has been so.", self._age(found.unknown))
        yield _one("on_hold", "Whether nothing is sent until a person releases it (1), or not (0).", found.is_held)
        yield CounterMetricFamily("notifier_rounds", "Rounds that relays have answered.", value=self._totals.rounds)
        answers = CounterMetricFamily("notifier_answers", ANSWERS, labels=["verdict", "class", "code"])
        for (verdict, code), number in sorted(self._totals.mails.items()):
            answers.add_metric([verdict, str(code // 100), str(code)], number)
        yield answers
        answered = GaugeMetricFamily("notifier_relay_answers_15m", RELAYS, labels=["relay", "verdict"])
        for (relay, verdict), number in sorted(found.relays.items()):
            answered.add_metric([relay, verdict], number)
        yield answered
        resting = {one.name: one.needs_mending or one.rests_until is not None for one in self._health}
        yield _by("relay_resting", "Whether a relay is given nothing for now (1), or not (0).", "relay", resting)
        mails = {one.name: one.mails for one in self._health}
        yield _by("relay_mails_24h", "Mails that were handed to a relay within a day.", "relay", mails)

    def _others(self) -> Iterator[Metric]:
        found = self._found
        yield _by("bounces_24h", "Mails that came back within a day, by what they say.", "kind", found.bounces)
        yield _one("webhooks_due", "Webhooks that are due.", found.webhooks.number)
        waited = self._age(found.webhooks)
        yield _one("oldest_webhook_due_seconds", "For how long the oldest of them has been due.", waited)
        switched = {"yes" if on else "no": found.endpoints.get(on, 0) for on in (True, False)}
        yield _by("endpoints", "Endpoints of webhooks, by whether they are switched on.", "enabled", switched)
        yield _by("items_open", "What waits for a person.", "kind", _numbers(found.items))
        yield _by("oldest_item_seconds", "For how long the oldest of them has waited.", "kind", self._ages(found.items))
        yield _by("notices", "Notices of announcements that are under way.", "state", found.notices)
        yield CounterMetricFamily("notifier_events", "Events, by the number of the last one.", value=found.events)

    def _ages(self, queues: Mapping[str, Queue]) -> Mapping[str, float]:
        return {name: self._age(queue) for name, queue in queues.items()}

    def _age(self, queue: Queue) -> float:
        """Return for how many seconds the oldest has waited; 0 where nothing does."""
        return max((self._now - queue.since).total_seconds(), 0.0) if queue.since else 0.0


def _one(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(f"notifier_{name}", says, value=value)


def _by(name: str, says: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"notifier_{name}", says, labels=[label])
    for of, value in sorted(values.items()):
        family.add_metric([of], value)
    return family


def _numbers(queues: Mapping[str, Queue]) -> Mapping[str, float]:
    return {name: queue.number for name, queue in queues.items()}


def _plain(text: str) -> ResponseReturnValue:
    return Response(f"{text}\n", mimetype="text/plain")
