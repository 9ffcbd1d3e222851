"""Hold a folder for one process, for as long as the process lives: the operating system frees a dead one's folder."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "lock"


class FolderInUse(RuntimeError):
    """Another process holds the folder."""

    def __init__(self, folder: Path, told: str) -> None:
        super().__init__(f"{folder} is in use{told}. End that process, or choose another folder with --folder.")


def refuse_folder_in_use(folder: Path) -> None:
    """Refuse a folder that another process holds; nothing is written.

    Raises:
        FolderInUse: if another process holds it.
    """
    file = folder / FILE
    if file.exists():
        os.close(_locked(folder, os.O_RDONLY))


@contextmanager
def held_folder(folder: Path, *, by: str, address: str) -> Iterator[None]:
    """Make a folder if it is not there, and hold it in a block.

    Args:
        folder: what is held.
        by: what holds it, as another process's refusal names it.
        address: where that is reached.

    Raises:
        FolderInUse: if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(folder, os.O_RDWR | os.O_CREAT)
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, json.dumps({"by": by, "process": os.getpid(), "address": address}).encode())
        yield
    finally:
        os.close(descriptor)


def _locked(folder: Path, flags: int) -> int:
    descriptor = os.open(folder / FILE, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise FolderInUse(folder, _holder(folder)) from None
    return descriptor


def _holder(folder: Path) -> str:
    """Return what is known of the process that holds a folder."""
    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return f" by {told['by']} (process {told['process']}, {told['address']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # it holds the folder, and has not written yet who it is
