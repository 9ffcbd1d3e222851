"""Collect the faults of a file, of which an answer lists the first ones and counts the rest."""

from collections.abc import Iterable, Iterator, Sequence

from enrollment.problems import Fault, sentence

MORE = sentence("faults not listed here: {more}; correct the listed faults, then try again to see the rest")


class FaultList:
    """Faults in the order in which they were found. The list keeps the first `most` and counts all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._listed: list[Fault] = []
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._listed)

    def add(self, fault: Fault) -> None:
        """Count a fault, and keep it if there is room."""
        self.count += 1
        if len(self._listed) < self._most:
            self._listed.append(fault)

    @property
    def more(self) -> int:
        """Return how many faults were found beyond those that are kept."""
        return self.count - len(self._listed)

    def listed(self) -> list[Fault]:
        """Return the first faults. If others were found, a last fault says how many."""
        more = [Fault("", "more-faults", MORE, {"more": self.more})] if self.more else []
        return [*self._listed, *more]


def limited(faults: Iterable[Fault], most: int) -> Sequence[Fault]:
    """Return the first faults of many. If there are others, a last fault says how many."""
    found = FaultList(most)
    for fault in faults:
        found.add(fault)
    return found.listed()
