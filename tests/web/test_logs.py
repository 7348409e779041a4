"""One log for all that a process writes: what went wrong is in it, and nobody's address, token or secret."""

from __future__ import annotations

import io
import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import pytest
import structlog
from flask import Flask

from notifier.adapters import logs
from notifier.adapters.logs import Form, Redaction
from notifier.runtime import Runtime, make_broker, make_engine
from notifier.services.doorbell import Bell
from notifier.worker import Timetable
from tests.factories import make_app, make_provider, make_runtime
from tests.web.visiting import runtime

__all__ = ["runtime"]

TOKEN = "C_f0EQOitKgUUClgwbwKRlrPiFY-HYx8FKAPrrDnY6w"
ADDRESS = "camille.roy@clinic.example"
PASSWORD = "correct-horse-battery"
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CANARIES = (TOKEN, ADDRESS, "camille", "clinic", PASSWORD, SIGNING)
ALL = f"to <{ADDRESS}> by /notice/{TOKEN} from smtp://relay:{PASSWORD}@relay.example with {SIGNING}"


@dataclass
class Log:
    """What the process wrote, and beside it what it was asked to write."""

    out: io.StringIO
    raw: list[str]

    @property
    def text(self) -> str:
        return self.out.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


class Raw(logging.Handler):
    """Keeps every record as it came, with its traceback."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__()
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        said = f"{record.msg} {record.args}"
        trouble = record.exc_info[1] if record.exc_info else None
        if isinstance(record.msg, dict) and record.msg.get("exc_info"):
            trouble = record.msg["exc_info"] if isinstance(record.msg["exc_info"], Exception) else self._current()
        self._kept.append(said + ("".join(traceback.format_exception(trouble)) if trouble else ""))

    @staticmethod
    def _current() -> BaseException | None:
        import sys  # noqa: PLC0415 - structlog passes `True` for whatever is being handled

        return sys.exc_info()[1]


@pytest.fixture
def log_as() -> Iterator[Callable[[Form], Log]]:
    """Configure the log of this process, and put everything back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("notifier")
    before, level = list(root.handlers), ours.level
    settings = structlog.get_config()

    def configured(form: Form) -> Log:
        log = Log(io.StringIO(), [])
        root.addHandler(Raw(log.raw))
        logs.configure(form, log.out)
        return log

    yield configured
    root.handlers = before
    ours.setLevel(level)
    structlog.configure(**settings)
    structlog.contextvars.clear_contextvars()


# --- error paths -----------------------------------------------------------------------------------------------------


def fail(*_args: object, **_values: object) -> NoReturn:
    local = ALL  # a pretty traceback would show it
    raise ValueError(local)


def by_a_page(runtime: Runtime) -> None:
    app: Flask = make_app(runtime)
    app.view_functions["portal.notice"] = fail
    assert app.test_client().get(f"/notice/{TOKEN}").status_code == 500


def by_a_page_without_its_database(runtime: Runtime) -> None:
    url = f"postgresql+psycopg://{ADDRESS}:{PASSWORD}@127.0.0.1:1/none"
    gone = replace(runtime, engine=make_engine(url.replace(ADDRESS, ADDRESS.replace("@", "%40"))))
    assert make_app(gone).test_client().get(f"/notice/{TOKEN}").status_code == 503
    try:
        gone.engine.connect()
    except Exception:  # noqa: BLE001 - whatever it raises
        structlog.get_logger("notifier.test").exception("no database", url=url)


def by_the_timetable(_runtime: Runtime) -> None:
    timetable = Timetable(fail, 60)
    timetable.start()
    timetable.stop()


def by_a_broker_that_is_away(runtime: Runtime) -> None:
    away = replace(runtime, broker=make_broker(f"redis://:{PASSWORD}@127.0.0.1:1/0"))
    away.ring(Bell.OUTBOX)
    structlog.get_logger("notifier.test").warning("away", url=f"redis://:{PASSWORD}@127.0.0.1:1/0", to=ADDRESS)


def by_a_library(_runtime: Runtime) -> None:
    try:
        fail()
    except ValueError:
        logging.getLogger("dramatiq.worker").exception("Failed to process message %s", ALL)


def by_the_server(_runtime: Runtime) -> None:
    logging.getLogger("waitress").error("Exception while serving %s", f"/sign-in/{TOKEN}?next={ADDRESS}")


def by_its_own_facts(_runtime: Runtime) -> None:
    nested = {"contacts": [{"email": ADDRESS, "secret": "hunter"}], ADDRESS: {ALL}, "password": PASSWORD}
    structlog.get_logger("notifier.test").info(
        ALL, mail=nested, password=PASSWORD, token=TOKEN, trouble=ValueError(ALL)
    )


PATHS: Mapping[str, Callable[[Runtime], None]] = MappingProxyType(
    {path.__name__: path for path in (
        by_a_page, by_a_page_without_its_database, by_the_timetable, by_a_broker_that_is_away, by_a_library,
        by_the_server, by_its_own_facts,
    )}
)  # fmt: skip


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("path", PATHS)
def test_no_way_of_failing_writes_a_secret_or_an_address(
    path: str, form: Form, log_as: Callable[[Form], Log], runtime: Runtime
) -> None:
    with runtime.transaction() as session:
        make_provider(session)
    log = log_as(form)

    PATHS[path](runtime)

    assert any(canary in line for line in log.raw for canary in CANARIES), "nothing was to be hidden"
    assert [canary for canary in CANARIES if canary in log.text] == []
    assert re.search(r"\[(address|token|secret)\]", log.text)


# --- what the log says -----------------------------------------------------------------------------------------------


def test_a_line_of_json_says_when_who_and_what(log_as: Callable[[Form], Log]) -> None:
    log = log_as("json")

    structlog.get_logger("notifier.services.outbox").warning("it is late", mails=3)

    (line,) = log.lines
    assert (line["event"], line["level"], line["mails"]) == ("it is late", "warning", 3)
    assert line["timestamp"].endswith("Z")


def test_an_error_is_one_line_of_json_with_its_traceback(log_as: Callable[[Form], Log]) -> None:
    log = log_as("json")

    by_a_library(None)  # type: ignore[arg-type] # it needs none

    (line,) = log.lines
    assert "in fail" in line["exception"]
    assert line["exception"].splitlines()[-1].startswith("ValueError: to <[address]>")


def test_where_nobody_watches_the_log_is_json(log_as: Callable[[Form], Log]) -> None:
    log = log_as("auto")

    structlog.get_logger("notifier").info("said")

    assert log.lines[0]["event"] == "said"


def test_text_is_for_people(log_as: Callable[[Form], Log]) -> None:
    log = log_as("console")

    structlog.get_logger("notifier").info("said", mails=3)

    assert re.search(r"\[info +\] said +.*mails=3", log.text)


def test_a_log_that_is_configured_twice_writes_everything_once(log_as: Callable[[Form], Log]) -> None:
    log_as("json")
    log = log_as("json")

    structlog.get_logger("notifier").info("said")

    assert len(log.lines) == 1


def test_libraries_are_heard_from_warnings_on(log_as: Callable[[Form], Log]) -> None:
    log = log_as("json")

    logging.getLogger("httpx").info("HTTP Request: POST https://tickets.example/hook")
    logging.getLogger("httpx").warning("slow")

    assert [line["event"] for line in log.lines] == ["slow"]


def test_a_handler_of_others_with_the_filter_writes_no_secret() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(Redaction())
    logger = logging.getLogger("tests.redaction")
    logger.addHandler(handler)
    logger.propagate = False

    try:
        dict[str, str]()[f"nothing at /notice/{TOKEN} for {ADDRESS}"]
    except KeyError:
        logger.exception("Exception on %s [%s]", f"/notice/{TOKEN}", "GET")

    assert TOKEN not in out.getvalue()
    assert "Exception on /notice/[token] [GET]" in out.getvalue()
    assert "KeyError: 'nothing at /notice/[token] for [address]" in out.getvalue()


# --- every request has an id -----------------------------------------------------------------------------------------


def test_a_line_names_the_request_that_left_it_and_so_does_the_answer(
    log_as: Callable[[Form], Log], runtime: Runtime
) -> None:
    with runtime.transaction() as session:
        make_provider(session)
    app = make_app(runtime)
    app.view_functions["portal.notice"] = fail
    browser = app.test_client()
    log = log_as("json")

    answers = [browser.get("/notice/x") for _ in range(2)]
    structlog.get_logger("notifier").info("between requests")

    first, second, between = log.lines
    assert [answer.headers["X-Request-ID"] for answer in answers] == [first["request"], second["request"]]
    assert first["request"] != second["request"]
    assert first["page"] == "portal.notice"
    assert "request" not in between


@pytest.mark.parametrize(
    ("proxies", "said", "is_taken"),
    [
        (1, "a-proxy-named-it", True),
        (0, "a-stranger-named-it", False),
        (1, "with spaces and \t more", False),
        (1, "x", False),
    ],
)
def test_a_trusted_proxy_may_have_named_the_request(
    sqlite_url: str, tmp_path: Path, proxies: int, said: str, *, is_taken: bool
) -> None:
    behind = make_runtime(sqlite_url, tmp_path, proxies=proxies)

    answer = make_app(behind).test_client().get("/healthz", headers={"X-Request-ID": said})

    assert (answer.headers["X-Request-ID"] == said) is is_taken
    behind.close()
