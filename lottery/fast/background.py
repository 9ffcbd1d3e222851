"""Read a market in a second process while this process starts the compiler. Each takes half a second."""

import multiprocessing
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

from lottery.fast.column_reader import load_columns
from lottery.fast.columns import MarketInColumns
from lottery.market.json_reader import UnusableInput


def load_beside(path: str, make_ready: Callable[[], None]) -> MarketInColumns:
    """Read a market like `load_columns` while `make_ready` runs.

    Where the system cannot fork a process, the two run one after the other.

    Raises:
        UnusableInput: with every fault.
    """
    if sys.platform != "linux":
        make_ready()
        return load_columns(path)
    fork = multiprocessing.get_context("fork")
    receiving, sending = fork.Pipe(duplex=False)
    reader = fork.Process(target=_read, args=(path, sending), daemon=True)
    reader.start()
    sending.close()
    make_ready()
    try:
        read: MarketInColumns | UnusableInput = receiving.recv()
    except EOFError:  # the second process ended, perhaps without memory
        read = load_columns(path)
    reader.join()
    if isinstance(read, UnusableInput):
        raise read
    return read


def _read(path: str, sending: "Connection[MarketInColumns | UnusableInput, None]") -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the first process handles an interrupt
    try:
        sending.send(load_columns(path))
    except UnusableInput as refusal:
        sending.send(refusal)
