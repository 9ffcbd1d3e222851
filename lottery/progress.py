"""A way for long work to say how far it is, without knowing who listens."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

Step = TypeVar("Step")


class Track(Protocol):
    """Something that watches steps go by."""

    def __call__(self, steps: Iterable[Step], work: str, total: int | None) -> Iterable[Step]:
        """Pass the steps on one by one; a listener may count them against `total` under the title `work`."""


def untracked(steps: Iterable[Step], work: str, total: int | None) -> Iterable[Step]:  # noqa: ARG001
    """Pass things on, with nobody listening."""
    return steps
