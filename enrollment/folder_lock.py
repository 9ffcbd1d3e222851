"""Lock a folder for one process. The operating system frees the lock when the process ends."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "lock"


class FolderInUse(RuntimeError):
    """Another process has locked the folder."""

    def __init__(self, folder: Path, by: str) -> None:
        super().__init__(f"{folder} is in use{by}. End that process, or choose another folder with --folder.")


def refuse_folder_in_use(folder: Path) -> None:
    """Refuse a folder that another process has locked. Write nothing.

    Raises:
        FolderInUse: if another process has locked it.
    """
    file = folder / FILE
    if file.exists():
        os.close(_locked(folder, os.O_RDONLY))


@contextmanager
def locked_folder(folder: Path, *, by: str, address: str) -> Iterator[None]:
    """Make a folder if it does not exist, and lock it for a block.

    Args:
        folder: the folder to lock.
        by: the name of the process, for another process's refusal.
        address: the address of the process.

    Raises:
        FolderInUse: if another process has locked it.
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
    """Describe the process that has locked a folder."""
    try:
        holder = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return f" by {holder['by']} (process {holder['process']}, {holder['address']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # the process has the lock, and has not written its name yet
