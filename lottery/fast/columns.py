"""Hold a market's applicants as columns: one flat array for each fact, and equal sets of facts once.

Columns are in the order of tickets, so an applicant's index replaces the ticket in every comparison.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice, repeat
from operator import is_
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lottery.market.model import Applicant, Market, Policy, Round
from lottery.market.rules import Program

Int32s: TypeAlias = NDArray[np.int32]
Int64s: TypeAlias = NDArray[np.int64]
Truths: TypeAlias = NDArray[np.bool_]
Words: TypeAlias = NDArray[np.uint32] | NDArray[np.int64]

NONE = -1
"""Stands in a column for a missing value."""

Word = TypeVar("Word", bound=Hashable)


class FactSet(Collection[str], Hashable, Protocol):
    """A collection of facts without repeats, in any hashable form."""


class HeldSeatRow(Protocol):
    """A held seat in a market or in a file."""

    @property
    def program(self) -> str: ...  # noqa: D102

    @property
    def group(self) -> str: ...  # noqa: D102


class Row(Protocol):
    """An applicant in a market or in a file, with every default filled in."""

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def grade(self) -> str: ...  # noqa: D102

    @property
    def ranking(self) -> Sequence[str]: ...  # noqa: D102

    @property
    def zones(self) -> FactSet: ...  # noqa: D102

    @property
    def flags(self) -> FactSet: ...  # noqa: D102

    @property
    def at(self) -> Mapping[str, FactSet]: ...  # noqa: D102

    @property
    def attends(self) -> str | None: ...  # noqa: D102

    @property
    def household(self) -> str | None: ...  # noqa: D102

    @property
    def together(self) -> bool: ...  # noqa: D102

    @property
    def late(self) -> bool: ...  # noqa: D102

    @property
    def holds(self) -> HeldSeatRow | None: ...  # noqa: D102

    @property
    def drawn_in(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Coded(Generic[Word]):
    """A column with few different words. `codes[i]` is the index in `words` of applicant i's word, or NONE."""

    words: tuple[Word, ...]
    codes: Int32s

    def word(self, index: int) -> Word | None:
        """Return one applicant's word, or None."""
        code = int(self.codes[index])
        return None if code == NONE else self.words[code]


@dataclass(frozen=True, slots=True)
class Columns:
    """Applicants, sorted by ticket.

    `ranking[ranking_start[i]:ranking_start[i + 1]]` has the programs that applicant i ranks, as indices in the list of
    programs sorted by id. `at_applicant`, `at_school` and `at_facts` have one element for each applicant and school
    with facts, sorted by applicant. `holds_program` and `holds_group` (an index in the program's precedence) are NONE
    for applicants without a held seat.
    """

    tickets: Sequence[str]
    ranking_start: Int64s
    ranking: Int32s
    grade: Coded[str]
    zones: Coded[FactSet]
    flags: Coded[FactSet]
    at_applicant: Int32s
    at_school: Coded[str]
    at_facts: Coded[FactSet]
    attends: Coded[str]
    household: Coded[str]
    drawn_in: Coded[str]
    together: Truths
    late: Truths
    holds_program: Int32s
    holds_group: Int32s

    def __len__(self) -> int:
        """Return the number of applicants."""
        return len(self.tickets)


@dataclass(frozen=True, slots=True)
class MarketInColumns:
    """A market whose applicants are columns. `digest` is the digest of the market's canonical form."""

    round: Round
    policy: Policy
    programs: tuple[Program, ...]
    applicants: Columns
    digest: str


def in_columns(market: Market) -> MarketInColumns:
    """Turn a market's applicants into columns."""
    programs = tuple(sorted(market.programs, key=lambda program: program.id))
    rows: list[Applicant] = sorted(market.applicants, key=lambda applicant: applicant.id)
    return MarketInColumns(market.round, market.policy, programs, columns_of(rows, programs), market.digest())


def columns_of(rows: Sequence[Row], programs: Sequence[Program]) -> Columns:
    """Turn applicants, sorted by ticket, into columns. `programs` must be sorted by id.

    Raises:
        KeyError: if a ranking or a held seat names an unknown program or seat group.
    """
    place = {program.id: index for index, program in enumerate(programs)}
    lengths = np.fromiter((len(row.ranking) for row in rows), np.int64, len(rows))
    start = starts_of(lengths)
    named = chain.from_iterable(row.ranking for row in rows)
    facts_at = [(index, school, facts) for index, row in enumerate(rows) for school, facts in row.at.items() if facts]
    holds_program, holds_group = _held_seats(rows, programs, place)
    return Columns(
        tickets=[row.id for row in rows],
        ranking_start=start,
        ranking=np.fromiter(map(place.__getitem__, named), np.int32, int(start[-1])),
        grade=coded(row.grade for row in rows),
        zones=coded(row.zones for row in rows),
        flags=coded(row.flags for row in rows),
        at_applicant=np.fromiter((index for index, _, _ in facts_at), np.int32, len(facts_at)),
        at_school=coded(school for _, school, _ in facts_at),
        at_facts=coded(facts for _, _, facts in facts_at),
        attends=coded(row.attends for row in rows),
        household=coded(row.household for row in rows),
        drawn_in=coded(row.drawn_in for row in rows),
        together=np.fromiter((row.together for row in rows), np.bool_, len(rows)),
        late=np.fromiter((row.late for row in rows), np.bool_, len(rows)),
        holds_program=holds_program,
        holds_group=holds_group,
    )


class Coding(Generic[Word]):
    """Numbers different words in the order of their first appearance, over several lists of words."""

    def __init__(self) -> None:
        self._places: defaultdict[Word | None, int] = defaultdict(count().__next__)
        self._places[None] = NONE

    def __len__(self) -> int:
        """Return the number of different words so far."""
        return len(self._places) - 1

    def codes(self, words: Sequence[Word | None]) -> Int32s:
        """Return the number of each word, and NONE for None."""
        if words and all(map(is_, words, repeat(words[0]))):  # as where a file leaves out a column
            return np.full(len(words), self._places[words[0]], np.int32)
        return np.fromiter(map(self._places.__getitem__, words), np.int32, len(words))

    def words(self, first: int = 0) -> tuple[Word, ...]:
        """Return the different words, from number `first` on."""
        return tuple(word for word in islice(self._places, first + 1, None) if word is not None)


def starts_of(lengths: Int32s | Int64s | Sequence[int]) -> Int64s:
    """Return where each of several consecutive runs of these lengths begins, and where the last run ends."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def coded(words: Iterable[Word | None]) -> Coded[Word]:
    """Number different words in the order of their first appearance."""
    coding = Coding[Word]()
    codes = coding.codes(list(words))
    return Coded(coding.words(), codes)


def _held_seats(rows: Sequence[Row], programs: Sequence[Program], place: Mapping[str, int]) -> tuple[Int32s, Int32s]:
    program, group = np.full(len(rows), NONE, np.int32), np.full(len(rows), NONE, np.int32)
    for index, row in enumerate(rows):
        held = row.holds
        if held is not None:
            program[index] = place[held.program]
            group[index] = _place_of_group(programs[place[held.program]], held.group)
    return program, group


def _place_of_group(program: Program, group: str) -> int:
    try:
        return program.precedence.index(group)
    except ValueError:
        raise KeyError(group) from None
