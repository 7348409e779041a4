"""One log for everything that this process writes, ours and the libraries': JSON for machines, lines for a terminal,
and nobody's address or secret in either.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from notifier.rules.redaction import SECRET, SECRET_NAMES, redact

Form = Literal["auto", "json", "console"]


def configure(form: Form, stream: TextIO | None = None) -> None:
    """Write the log as JSON, one object a line, or as text; "auto" is text where somebody watches.

    It goes to standard error unless told otherwise.  Called again, it replaces what it set up before.
    """
    is_text = form == "console" or (form == "auto" and (stream or sys.stderr).isatty())
    structlog.configure(
        processors=[*_FIRST, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_FIRST,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # As plain text: a pretty traceback shows the values of local variables.
                structlog.processors.format_exc_info,
                hide,
                _text() if is_text else structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if type(one) not in {_Handler, logging.StreamHandler}] + [handler]
    logging.getLogger("notifier").setLevel(logging.INFO)


def hide(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Take addresses and secrets out of everything that an event says (a structlog processor)."""
    del logger, method
    return {name: SECRET if name in SECRET_NAMES else _hidden(value) for name, value in event.items()}


class Redaction(logging.Filter):
    """Lets every record through, without addresses and secrets in its message or its traceback: for the handlers of
    others.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = record.exc_text and redact(record.exc_text)
        return True


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to what standard error is by then: servers and tests put their own in its place."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._chosen = stream

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = self._chosen or sys.stderr
        super().emit(record)


def _text() -> Processor:
    return structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)


def _hidden(value: Any) -> Any:  # noqa: ANN401 - whatever somebody logs
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {redact(str(name)): SECRET if name in SECRET_NAMES else _hidden(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden(one) for one in value]
    return redact(str(value))


_FIRST: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
