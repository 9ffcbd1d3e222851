"""What an invented market is made of, whatever its shape."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol

from lottery.market.canonical import Json


class Applying(NamedTuple):
    """An invented applicant: what is ranked, and everything else as `lottery-market/1` has it."""

    ticket: str
    grade: str
    ranking: list[str]
    facts: Mapping[str, Json]

    def document(self) -> dict[str, Json]:
        """Write the applicant as the format has it."""
        return {"id": self.ticket, "grade": self.grade, "ranking": self.ranking, **self.facts}


class Invented(Protocol):
    """A market's lasting part, the same in every round, and the families around it."""

    @property
    def policy(self) -> Mapping[str, Json]:
        """Return what the cycle settles for all schools."""
        ...

    @property
    def offered(self) -> Mapping[str, Sequence[str]]:
        """Return the ids of the programs of each grade."""
        ...

    @property
    def screened(self) -> Collection[str]:
        """Return the ids of the programs that choose by an order of their own."""
        ...

    def programs(self) -> Iterator[dict[str, Json]]:
        """Yield the programs as the format has them, without the orders of screened ones."""
        ...

    def applicants(self, whose: str, number: int, *, grades: AbstractSet[str]) -> Iterator[Applying]:
        """Yield those among `number` applicants of the families called `whose` who matter for `grades`.

        Others may come too.
        """
        ...
