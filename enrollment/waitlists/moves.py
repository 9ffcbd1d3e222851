"""Compare two orders of a waitlist: the moves of the children, and their reasons."""

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from enrollment.waitlists.model import Move, Reason, Waiting

Cause = tuple[str, str | None]
"""The code of a reason and its priority class."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two orders of a waitlist, by child and by place."""

    was: Mapping[uuid.UUID, int]
    became: Mapping[uuid.UUID, int]
    before: Mapping[uuid.UUID, Waiting]
    joined: Mapping[uuid.UUID, str]
    """How each new child came to the waitlist."""
    changed: Sequence[Waiting]
    """Children with another priority class, or with a new lottery number."""
    left_ahead: Sequence[Counter[Cause]]
    """For each former place, why the children ahead left."""
    joined_ahead: Sequence[Counter[Cause]]
    """For each new place, why the children ahead joined."""


def moves_between(
    old: Sequence[Waiting], new: Sequence[Waiting], gone: Mapping[uuid.UUID, str], returned: Collection[uuid.UUID]
) -> Iterator[Move]:
    """Yield the move of every child whose place changed.

    Args:
        old: the former order.
        new: the new order.
        gone: why children left the waitlist, by child.
        returned: the children who gave up a seat.
    """
    comparison = _compare(old, new, gone, returned)
    for place, waiting in enumerate(new, start=1):
        former = comparison.was.get(waiting.child)
        if former is None:
            own = (f"own-{comparison.joined[waiting.child]}", waiting.priority_class, 1)
            yield Move(waiting.child, None, place, [own])
        elif former != place:
            yield Move(waiting.child, former, place, _reasons(comparison, waiting, former, place))
    for place, waiting in enumerate(old, start=1):
        if waiting.child not in comparison.became:
            own = ("own-" + gone.get(waiting.child, "left"), None, 1)
            yield Move(waiting.child, place, None, [own])


def _compare(
    old: Sequence[Waiting], new: Sequence[Waiting], gone: Mapping[uuid.UUID, str], returned: Collection[uuid.UUID]
) -> _Comparison:
    was = {waiting.child: place for place, waiting in enumerate(old, start=1)}
    became = {waiting.child: place for place, waiting in enumerate(new, start=1)}
    before = {waiting.child: waiting for waiting in old}
    joined = {
        waiting.child: "returned" if waiting.child in returned else "applied"
        for waiting in new
        if waiting.child not in was
    }

    def why_left(waiting: Waiting) -> Cause | None:
        return None if waiting.child in became else (gone.get(waiting.child, "left"), None)

    def why_joined(waiting: Waiting) -> Cause | None:
        return (joined[waiting.child], waiting.priority_class) if waiting.child in joined else None

    return _Comparison(
        was=was,
        became=became,
        before=before,
        joined=joined,
        changed=[waiting for waiting in new if waiting.child in was and _changed(before[waiting.child], waiting)],
        left_ahead=_causes_ahead(old, why_left),
        joined_ahead=_causes_ahead(new, why_joined),
    )


def _causes_ahead(order: Sequence[Waiting], cause: Callable[[Waiting], Cause | None]) -> list[Counter[Cause]]:
    """Count, for each place, the causes of the children ahead."""
    counts: list[Counter[Cause]] = []
    so_far: Counter[Cause] = Counter()
    for waiting in order:
        counts.append(so_far)
        given = cause(waiting)
        if given:
            so_far = so_far + Counter([given])
    return counts


def _changed(old: Waiting, new: Waiting) -> bool:
    return (old.priority_class is not None and old.priority_class != new.priority_class) or old.drawn != new.drawn


def _reasons(comparison: _Comparison, waiting: Waiting, former: int, place: int) -> list[Reason]:
    """Return the child's own reason, if any, and then the reasons of other children."""
    causes = comparison.left_ahead[former - 1] + comparison.joined_ahead[place - 1]
    own: list[Reason] = []
    for other in comparison.changed:
        if other.child == waiting.child:
            own = [_own_reason(comparison.before[waiting.child], waiting)]
        else:
            causes.update(_passing(other, waiting, comparison))
    others = [(code, priority_class, number) for (code, priority_class), number in sorted(causes.items(), key=str)]
    # A school may fill later seats in another order than the main round, such as the reverse order.
    return [*own, *others] or [("own-order", None, 1)]


def _own_reason(old: Waiting, new: Waiting) -> Reason:
    return ("own-number", None, 1) if old.drawn != new.drawn else ("own-priority", new.priority_class, 1)


def _passing(other: Waiting, waiting: Waiting, comparison: _Comparison) -> list[Cause]:
    """Return the cause if a changed child passed the child, or fell behind the child."""
    was_ahead = comparison.was[other.child] < comparison.was[waiting.child]
    is_ahead = comparison.became[other.child] < comparison.became[waiting.child]
    if was_ahead == is_ahead:
        return []
    if comparison.before[other.child].drawn != other.drawn:
        return [("number" if is_ahead else "number-behind", None)]
    return [("priority" if is_ahead else "fell", other.priority_class)]
