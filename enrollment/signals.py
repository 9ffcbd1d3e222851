"""End a process cleanly on a signal.

Three signals end a process: SIGTERM, SIGINT (Ctrl-C) and SIGHUP (the terminal is closed). The first signal counts, and
later signals are ignored. The process then ends by that signal, so a shell sees 143, 130 or 129.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CHUNK = 65_536


class SignalReceived(BaseException):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"signal {number}")


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Run a block that a signal ends. The block cleans up, and then the process ends by the signal."""

    def tell(number: int, _: FrameType | None) -> None:
        _ignore_further()
        raise SignalReceived(number)

    before = _handle(tell)
    try:
        yield
    except SignalReceived as received:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        signal.signal(received.number, signal.SIG_DFL)
        os.kill(os.getpid(), received.number)
    finally:
        _restore(before)


@contextmanager
def noted_signals(note: Callable[[int], object]) -> Iterator[None]:
    """Note a signal during a block that ends by itself, and pass the signal on after the block."""
    noted: list[int] = []

    def take(number: int, _: FrameType | None) -> None:
        if not noted:
            noted.append(number)
            note(number)

    before = _handle(take)
    try:
        yield
    finally:
        _restore(before)
    if noted:
        signal.raise_signal(noted[0])


def end_with_input(descriptor: int = 0) -> None:
    """End this process when its standard input or another pipe ends, because the process at the other end is gone."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(descriptor, CHUNK):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True, name="end with input").start()


Handlers = dict[int, "Callable[[int, FrameType | None], object] | int | None"]


def _handle(handler: Callable[[int, FrameType | None], None]) -> Handlers:
    """Handle every signal that is not ignored already (as `nohup` does). Return the earlier handlers."""
    return {
        number: signal.signal(number, handler) for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN
    }


def _ignore_further() -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def _restore(handlers: Handlers) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
