"""Report the progress of long work."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

Step = TypeVar("Step")


class Track(Protocol):
    """A function that watches the steps of long work."""

    def __call__(self, steps: Iterable[Step], work: str, total: int | None) -> Iterable[Step]:
        """Yield the steps one by one. `work` is a title, and `total` is the number of steps, if known."""


def untracked(steps: Iterable[Step], work: str, total: int | None) -> Iterable[Step]:  # noqa: ARG001
    """Return the steps without reporting progress."""
    return steps
