"""Build a market's columns from typed rows."""

import string
from collections.abc import Collection, Sequence
from itertools import chain, compress, pairwise, repeat
from operator import is_
from typing import TypeVar

import numpy as np
from msgspec import Raw

from lottery.fast.applicant_rows import (
    DEFAULT_GROUP,
    FALSE,
    NO_FACTS,
    NO_SCHOOLS,
    NULL,
    Facts,
    HeldSeatInFile,
    Row,
    Unusual,
    require,
)
from lottery.fast.columns import NONE, Coded, Columns, Int32s, Int64s, Truths, starts_of
from lottery.fast.growing_columns import CanonicalLines, GrowingColumn, GrowingFacts, joined
from lottery.market.rules import OPEN, Program

Field = TypeVar("Field")

QUOTE = b'"'
MAX_ID_LENGTH = 64

CELLS_PER_BLOCK = 1 << 20
"""Cells of the table of applicants and programs, few enough for a processor's cache."""

_ID_BYTES = (string.ascii_letters + string.digits + "._:-").encode()


class ColumnBuilder:
    """Turns rows into columns, block by block.

    `quotes_of_defaults` counts the quotation marks of the keys that the file leaves out, and of their defaults.
    """

    def __init__(self, programs: Sequence[Program], round_id: str, this_round: Raw) -> None:
        self._programs = programs
        self._place = {program.id: index for index, program in enumerate(programs)}
        self._round_id = round_id
        self._this_round = this_round
        self._tickets: list[str] = []
        self._lengths: list[Int64s] = []
        self._ranking: list[Int32s] = []
        self._table = np.empty(CELLS_PER_BLOCK + len(programs), np.int32)
        self._grade = GrowingColumn[str]()
        self._grade_of_program = self._grade.coding.codes([program.grade for program in programs])
        self._zones, self._flags, self._at_facts = GrowingFacts(), GrowingFacts(), GrowingFacts()
        self._at_applicant: list[int] = []
        self._at_school, self._attends, self._household, self._drawn_in = (GrowingColumn[str]() for _ in range(4))
        self._together: list[Truths] = []
        self._late: list[Truths] = []
        self._holds = GrowingColumn[tuple[str, str]]()
        self.lines = CanonicalLines()
        self.quotes_of_defaults = 0

    def read(self, rows: Sequence[Row]) -> None:
        """Add a block of rows, and put their facts into canonical form.

        Raises:
            Unusual: if a row is unusual.
        """
        grades = self._grade.add([row.grade for row in rows])
        self._read_rankings([row.ranking for row in rows], grades)
        self._read_facts(rows)
        self._attends.add(self._fill([row.attends for row in rows], NULL, None))
        self._household.add(self._fill([row.household for row in rows], NULL, None))
        self._drawn_in.add(self._fill([row.drawn_in for row in rows], self._this_round, self._round_id))
        self._together.append(np.array(self._fill([row.together for row in rows], FALSE, default=False), np.bool_))
        self._late.append(np.array(self._fill([row.late for row in rows], FALSE, default=False), np.bool_))
        self._read_held_seats(self._fill([row.holds for row in rows], NULL, None))
        tickets = [row.id for row in rows]
        require_ids(tickets)
        self._tickets += tickets
        self.lines.add(rows)

    def columns(self) -> Columns:
        """Return the columns, in the order of the file.

        Raises:
            Unusual: if an id or a held seat is unusual.
        """
        lengths = joined(self._lengths, np.int64)
        grade = self._grade.column()
        holds_program, holds_group = self._held_seats(grade)
        return Columns(
            tickets=self._tickets,
            ranking_start=starts_of(lengths),
            ranking=joined(self._ranking, np.int32),
            grade=_ids_only(grade),
            zones=self._zones.column(),
            flags=self._flags.column(),
            at_applicant=np.array(self._at_applicant, np.int32),
            at_school=_ids_only(self._at_school.column()),
            at_facts=self._at_facts.column(),
            attends=_ids_only(self._attends.column()),
            household=_ids_only(self._household.column()),
            drawn_in=_ids_only(self._drawn_in.column()),
            together=joined(self._together, np.bool_),
            late=joined(self._late, np.bool_),
            holds_program=holds_program,
            holds_group=holds_group,
        )

    def _fill(self, words: list[Field], default_in_file: Raw, default: Field) -> list[Field]:
        """Replace the mark of a left-out key with the default."""
        times = sum(map(is_, words, repeat(default_in_file)))
        self.quotes_of_defaults += times * (len('""') + bytes(default_in_file).count(QUOTE))
        if times == len(words):
            return [default] * times
        return [default if word is default_in_file else word for word in words] if times else words

    def _read_rankings(self, rankings: Sequence[Sequence[str]], grades: Int32s) -> None:
        lengths = np.fromiter(map(len, rankings), np.int64, len(rankings))
        places = map(self._place.__getitem__, chain.from_iterable(rankings))
        ranking = np.fromiter(places, np.int32, int(lengths.sum()))
        require(bool((self._grade_of_program[ranking] == np.repeat(grades, lengths)).all()))
        self._require_no_repeats(lengths, ranking)
        self._lengths.append(lengths)
        self._ranking.append(ranking)

    def _require_no_repeats(self, lengths: Int64s, ranking: Int32s) -> None:
        """Require rankings without repeats: in a table of applicants and programs, a repeat overwrites an entry."""
        per_block = self._table.size // len(self._programs)
        owner = np.repeat(np.arange(lengths.size), lengths)
        cells = owner % per_block * len(self._programs) + ranking
        bounds = np.searchsorted(owner, np.arange(0, lengths.size + per_block, per_block))
        for start, end in pairwise(bounds.tolist()):
            entries = np.arange(end - start, dtype=np.int32)
            self._table[cells[start:end]] = entries
            require(bool((self._table[cells[start:end]] == entries).all()))

    def _read_facts(self, rows: Sequence[Row]) -> None:
        for index, facts in self._zones.add(self._fill([row.zones for row in rows], NO_FACTS, ())):
            rows[index].zones = facts
        for index, facts in self._flags.add(self._fill([row.flags for row in rows], NO_FACTS, ())):
            rows[index].flags = facts
        column = self._fill([row.at for row in rows], NO_SCHOOLS, {})
        schools: list[str] = []
        given: list[Facts] = []
        places: list[int] = []
        for index in compress(range(len(column)), column):
            at = column[index]
            if len(at) > 1:
                at = rows[index].at = dict(sorted(at.items()))
            schools.extend(at)
            given.extend(at.values())
            places.extend([index] * len(at))
        require(all(given))
        for place, facts in self._at_facts.add(given):
            rows[places[place]].at[schools[place]] = facts
        self._at_school.add(schools)
        self._at_applicant.extend([len(self._tickets) + index for index in places])

    def _read_held_seats(self, held: Sequence[HeldSeatInFile | None]) -> None:
        seats = [seat for seat in held if seat is not None]
        groups = iter(self._fill([seat.group for seat in seats], DEFAULT_GROUP, OPEN))
        self._holds.add([None if seat is None else (seat.program, next(groups)) for seat in held])

    def _held_seats(self, grade: Coded[str]) -> tuple[Int32s, Int32s]:
        """Return the columns of held programs and groups. The grades must match, and the seats must be enough."""
        named = self._holds.column()
        holders = np.flatnonzero(named.codes != NONE)
        codes = named.codes[holders]
        times = np.bincount(codes, minlength=len(named.words)).tolist()
        places = [self._indices_of_seat(*seat, held) for seat, held in zip(named.words, times, strict=True)]
        columns = np.full((2, named.codes.size), NONE, np.int32)
        columns[:, holders] = np.array(places, np.int32).reshape(-1, 2)[codes].T
        require(bool((self._grade_of_program[columns[0, holders]] == grade.codes[holders]).all()))
        return columns[0], columns[1]

    def _indices_of_seat(self, program: str, group: str, holders: int) -> tuple[int, int]:
        """Return the index of a program and of its seat group, which must have seats for this number of holders."""
        place = self._place.get(program)
        if place is None:
            raise Unusual
        seats = self._programs[place].seats_as_written()
        require(holders <= seats.get(group, NONE))
        return place, self._programs[place].precedence.index(group)


def _ids_only(column: Coded[str]) -> Coded[str]:
    require_ids(column.words)
    return column


def require_ids(words: Collection[str]) -> None:
    """Require valid ids.

    Raises:
        Unusual: if a word is not an id.
    """
    joined = "".join(words)
    require(joined.isascii() and not joined.encode().translate(None, _ID_BYTES))
    require(all(words) and max(map(len, words), default=0) <= MAX_ID_LENGTH)
