"""Leave out of an explanation what would describe other children: a few children are easy to recognize."""

from collections.abc import Collection
from dataclasses import replace

from lottery.explain.facts import AtGroup, AtProgram, Decided, Explanation, Joined

Group = tuple[str, str]
"""A program and the name of a seat group."""

ABOUT_OTHERS = frozenset(
    {
        Decided.HOLDERS,
        Decided.RESERVE,
        Decided.LATE,
        Decided.EARLIER_DRAW,
        Decided.CLASS,
        Decided.NUMBER,
        Decided.POSITION,
        Decided.TICKET,
    }
)
"""The reasons that say how the last child admitted stood."""


def without_small_groups(
    explanation: Explanation, *, large: Collection[Group], waiting: Collection[Group]
) -> Explanation:
    """Return an explanation that describes other children in large groups only.

    Args:
        explanation: the whole explanation.
        large: the groups whose filled seats and last admitted child may be told.
        waiting: the groups whose number of waiting children may be told.
    """
    return replace(
        explanation,
        programs=tuple(
            replace(at, groups=tuple(_group(at, group, large, waiting) for group in at.groups))
            for at in explanation.programs
        ),
    )


def _group(at: AtProgram, group: AtGroup, large: Collection[Group], waiting: Collection[Group]) -> AtGroup:
    key = (at.program.id, group.name)
    told = group if key in waiting else replace(group, waiting=None)
    if key in large:
        return told
    decided = Decided.AHEAD if group.decided in ABOUT_OTHERS else group.decided
    return replace(told, filled=None, last=None, last_joined=Joined.ON_TIME, decided=decided)
