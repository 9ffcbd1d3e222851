"""A waitlist's children, and their moves."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

ListKey = tuple[str, str]
"""A program and one of its seat groups."""

Reason = tuple[str, str | None, int]
"""The code of a reason, its priority class, and its number of children."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A child on a waitlist."""

    child: uuid.UUID
    priority_class: str | None
    drawn: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A child's move from one place to another, with its reasons."""

    child: uuid.UUID
    was: int | None
    became: int | None
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class ListChange:
    """A waitlist's new order, and the moves that led to it."""

    key: ListKey
    new: Sequence[Waiting]
    moves: Sequence[Move]
