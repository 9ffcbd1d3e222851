"""Hide small cells of published tables, and one more where the hidden one could be worked out (audit.md, section 5)."""

from collections.abc import Collection, Mapping
from typing import TypeVar

SMALLEST = 10
"""Of children in a published cell; fewer are hidden, none at all is told."""

Key = TypeVar("Key")


def suppress(cells: Mapping[Key, int], *, telling: Collection[Key] = ()) -> dict[Key, int | None]:
    """Return the cells of one table whose total is published, None in the place of those that are hidden.

    Args:
        cells: numbers of children.
        telling: cells that must be hidden besides, since another table with them would give a small number away.

    Where a single cell is hidden, or those that are add up to less than 10, the total and the rest would give it away;
    so the smallest of the others is hidden too (complementary suppression).
    """
    hidden = {key for key, number in cells.items() if 0 < number < SMALLEST or key in telling}
    rest = [(number, place, key) for place, (key, number) in enumerate(cells.items()) if number and key not in hidden]
    for _, _, key in sorted(rest):
        if not hidden or (len(hidden) > 1 and sum(cells[one] for one in hidden) >= SMALLEST):
            break
        hidden.add(key)
    return {key: None if key in hidden else number for key, number in cells.items()}
