"""The service's log: one JSON object per line on standard error, without exception messages.

An exception message may hold a child's data. So the log has no message, argument or value of an exception, whether
this code, a library or the interpreter writes it.
"""

import logging
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

import structlog

PLAIN_SPOKEN = ("uvicorn", "procrastinate", "psycopg.pool", "alembic")
"""Libraries whose messages are logged, without arguments: the messages name processes, addresses and jobs.
For other libraries the log has only the library's name, because their messages may contain values.
"""


def log_as_json() -> None:
    """Configure the service's own log as JSON lines without exception values."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_RENDERED),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=_StandardError,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def take_over_errors() -> None:
    """Send logs of libraries and the interpreter to the same log, for a process of the service."""
    log_as_json()
    logging.basicConfig(handlers=[_AsJson()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _at_the_end
    sys.unraisablehook = lambda raised: _say("exception ignored", raised.exc_value)
    threading.excepthook = lambda raised: _say("thread failed", raised.exc_value)


class _StandardError:
    """Write lines to the current standard error, even if it was replaced."""

    def __init__(self, *_: object) -> None:
        self.stream: TextIO = sys.stderr

    def msg(self, line: str) -> None:
        """Write a line."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    log = debug = info = warning = error = critical = exception = msg


class _FramesOnly:
    """Render an exception and its causes as types and places."""

    def __call__(self, exc_info: structlog.typing.ExcInfo) -> list[str]:
        return frames_of(exc_info[1])


def frames_of(error: BaseException | None) -> list[str]:
    """Return the types and places of an exception and its causes, without messages."""
    frames: list[str] = []
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        frames += [type(error).__name__, *_frames(error.__traceback__)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return frames


def _frames(trace: TracebackType | None) -> Sequence[str]:
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames


_RENDERED = _FramesOnly()


class _AsJson(logging.Handler):
    """Write the records of libraries."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record without its arguments and exception message."""
        plain = isinstance(record.msg, str) and record.name.startswith(PLAIN_SPOKEN)
        event = record.msg.partition("\n")[0] if plain else record.name
        error = record.exc_info[1] if record.exc_info else None
        _say(event, error, level=record.levelno, logger=record.name)


def _at_the_end(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _say("process failed", error)


def _say(event: str, error: BaseException | None, *, level: int = logging.ERROR, **more: str) -> None:
    log = structlog.get_logger()
    if error is None:
        log.log(level, event, **more)
    else:
        log.log(level, event, exc_info=(type(error), error, error.__traceback__), **more)
