"""The service's log: one JSON object a line on standard error, and nothing of an exception but where it came from.

What an exception says may be a child's, so no message, no argument and no value is written, whoever writes: this code,
a library through `logging`, or the interpreter on its way out.
"""

import logging
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TextIO

import structlog

PLAIN_SPOKEN = ("uvicorn", "procrastinate", "psycopg.pool", "alembic")
"""Libraries whose messages are written: they name processes, addresses, jobs and their ids. Their arguments are not.
Of others only the name is written, since they put values into their messages (asyncio: what a task was to return).
"""


def log_as_json() -> None:
    """Have the service's own log be one JSON object a line, without values of exceptions."""
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
    """Have libraries and the interpreter write to the same log: for a process that is the service's own."""
    log_as_json()
    logging.basicConfig(handlers=[_AsJson()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _at_the_end
    sys.unraisablehook = lambda raised: _say("raised where nobody could catch it", raised.exc_value)
    threading.excepthook = lambda raised: _say("a thread broke off", raised.exc_value)


class _StandardError:
    """Writes a line to standard error as it is now, also where something put another stream in its place."""

    def __init__(self, *_: object) -> None:
        self.stream: TextIO = sys.stderr

    def msg(self, line: str) -> None:
        """Write a line."""
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    log = debug = info = warning = error = critical = exception = msg


class _FramesOnly:
    """Renders an exception, and what caused it, as types and places."""

    def __call__(self, exc_info: structlog.typing.ExcInfo) -> list[str]:
        return frames_of(exc_info[1])


def frames_of(error: BaseException | None) -> list[str]:
    """Return the type of an exception and where it came from, then the same of its cause; no message, no values."""
    told: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        told += [type(error).__name__, *_frames(error.__traceback__)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return told


def _frames(trace: TracebackType | None) -> Sequence[str]:
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames


_RENDERED = _FramesOnly()


class _AsJson(logging.Handler):
    """Writes what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record without its arguments, and without what its exception says."""
        plain = isinstance(record.msg, str) and record.name.startswith(PLAIN_SPOKEN)
        event = record.msg.partition("\n")[0] if plain else record.name
        error = record.exc_info[1] if record.exc_info else None
        _say(event, error, level=record.levelno, logger=record.name)


def _at_the_end(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _say("the process broke off", error)


def _say(event: str, error: BaseException | None, *, level: int = logging.ERROR, **more: str) -> None:
    log = structlog.get_logger()
    if error is None:
        log.log(level, event, **more)
    else:
        log.log(level, event, exc_info=(type(error), error, error.__traceback__), **more)
