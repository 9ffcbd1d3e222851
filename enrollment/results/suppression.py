"""Hide small numbers in published tables, and other numbers that would reveal them."""

from collections.abc import Collection, Mapping
from typing import TypeVar

SMALLEST = 10
"""The smallest published number of children. Smaller numbers are hidden, except zero."""

Key = TypeVar("Key")


def suppress(cells: Mapping[Key, int], *, telling: Collection[Key] = ()) -> dict[Key, int | None]:
    """Return the cells of a table with a published total. Hidden cells are None.

    Args:
        cells: the numbers of children.
        telling: further cells to hide, because they reveal a small number together with another table.

    If one cell is hidden, or the hidden cells add up to less than 10, the total and the other cells would reveal them.
    So the smallest of the other cells is hidden too (complementary suppression).
    """
    hidden = {key for key, number in cells.items() if 0 < number < SMALLEST or key in telling}
    rest = [(number, place, key) for place, (key, number) in enumerate(cells.items()) if number and key not in hidden]
    for _, _, key in sorted(rest):
        if not hidden or (len(hidden) > 1 and sum(cells[one] for one in hidden) >= SMALLEST):
            break
        hidden.add(key)
    return {key: None if key in hidden else number for key, number in cells.items()}
