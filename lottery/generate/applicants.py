"""Define the parts of an invented market of any shape."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, Protocol

from lottery.market.canonical import Json


class Applying(NamedTuple):
    """An invented applicant: the ranking, and the other facts in the form of `lottery-market/1`."""

    ticket: str
    grade: str
    ranking: list[str]
    facts: Mapping[str, Json]

    def document(self) -> dict[str, Json]:
        """Return the applicant in the file's form."""
        return {"id": self.ticket, "grade": self.grade, "ranking": self.ranking, **self.facts}


class Invented(Protocol):
    """The programs and families of a market, which are the same in every round."""

    @property
    def policy(self) -> Mapping[str, Json]:
        """Return the rules of the cycle for all schools."""
        ...

    @property
    def offered(self) -> Mapping[str, Sequence[str]]:
        """Return the ids of the programs of each grade."""
        ...

    @property
    def screened(self) -> Collection[str]:
        """Return the ids of the screened programs."""
        ...

    def programs(self) -> Iterator[dict[str, Json]]:
        """Yield the programs in the file's form, without the lists of screened programs."""
        ...

    def applicants(self, families: str, number: int, *, grades: AbstractSet[str]) -> Iterator[Applying]:
        """Yield the applicants for `grades` among `number` applicants of these families.

        Applicants for other grades may come too.
        """
        ...
