"""Compile a market once into flat arrays, so that a new draw changes only the ranks of lottery numbers.

See docs/reference/specification.md, section 9.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lottery.fast import ranking_loops
from lottery.fast.candidates import Candidates, Entries, candidates_of
from lottery.fast.columns import NONE, Int32s, Int64s, MarketInColumns, starts_of
from lottery.fast.number_sources import OwnNumbers, Source, source_of
from lottery.fast.proposal_lists import EntryTable, ProposalLists, proposal_lists
from lottery.market.model import HeldSeat
from lottery.market.rules import Program
from lottery.match.seats import seats_this_round


@dataclass(frozen=True, slots=True)
class Compiled:
    """A market as arrays.

    Programs have numbers from 0 in the order of their ids. Seat groups have numbers from 0, program by program and in
    precedence order. An entry is one program of one applicant's ranking as matched. A candidate is one seat group of an
    entry.

    - By program: `first_group`, `school`, `source`.
    - By seat group: `seats` in this round, `program_of`, and `seat_start`. `seat_start` leaves room for one admitted
      standing for each seat, but for no more than the program has entries.
    - By entry: `entry_program`, `entry_school`, and `position` in a screened program's list. `position` is empty where
      no program is screened.
    - By applicant: `entry_start`, `candidate_start`.
    - `members[members_start[h]:members_start[h + 1]]` are the applicants of household h.
    - `turns` has the applicants who are matched at the same time: one grade in each turn where siblings matter,
      otherwise all applicants, grade by grade. `lists` has the turns' proposal lists. It is empty where siblings
      matter, because a draw changes the lists then.
    """

    market: MarketInColumns
    first_group: Int32s
    seats: tuple[int, ...]
    seat_start: Int64s
    program_of: Int32s
    school: Int32s
    source: Int32s
    sources: frozenset[Source]
    entry_start: Int64s
    entry_program: Int32s
    entry_school: Int32s
    position: Int32s
    own_numbers: tuple[OwnNumbers, ...]
    candidate_start: Int64s
    candidates: Candidates
    turns: tuple[Int32s, ...]
    lists: tuple[ProposalLists, ...]
    members: Int32s
    members_start: Int64s
    siblings_matter: bool
    """Whether grades must be matched one after another (docs/reference/specification.md, section 6)."""

    @property
    def candidate_bits(self) -> int:
        """Return how many bits the index of a candidate takes in a standing."""
        return (int(self.candidate_start[-1]) + 2 * len(self.market.applicants)).bit_length()

    @property
    def entries(self) -> EntryTable:
        """Return the entries in the form that compiled loops take."""
        return EntryTable(self.entry_start, self.entry_program, self.candidate_start, self.first_group)

    def group(self, index: int) -> tuple[Program, str]:
        """Return a seat group's program and name."""
        place = int(self.program_of[index])
        program = self.market.programs[place]
        return program, program.precedence[index - int(self.first_group[place])]


@dataclass(frozen=True, slots=True)
class _Schools:
    """The schools of a market: `names` numbers them, `of_program` has each program's school."""

    names: dict[str, int]
    of_program: Int32s


def compile_market(market: MarketInColumns) -> Compiled:
    """Compile a market: compute everything that does not depend on a draw."""
    applicants, programs = market.applicants, market.programs
    sizes = np.array([len(program.precedence) for program in programs], np.int32)
    first_group = starts_of(sizes).astype(np.int32)
    schools = _schools(market)
    entry_start, entry_program = ranking_loops.rankings_as_matched(
        applicants.ranking_start, applicants.ranking, applicants.holds_program
    )
    entry_school = schools.of_program[entry_program]
    facts = _facts_at_schools(market, schools, entry_start, entry_school)
    first_candidate = starts_of(sizes[entry_program])
    entries = Entries(market, entry_start, entry_program, first_candidate, facts)
    siblings_matter = bool(applicants.together.any()) or entries.depend_on_siblings()
    household = applicants.household
    members, members_start = ranking_loops.counting_order(household.codes, len(household.words))
    turns = tuple(_turns(market, in_turn=siblings_matter))
    candidates = candidates_of(entries, first_group, siblings_matter=siblings_matter)
    candidate_start = first_candidate[entry_start]
    words = candidates.words_by_sibling()
    seats = _seats(market)
    program_of = np.repeat(np.arange(len(programs), dtype=np.int32), sizes)
    source = np.array([source_of(market, program) for program in programs], np.int32)
    entries_at = np.bincount(entry_program, minlength=len(programs))
    return Compiled(
        market=market,
        first_group=first_group,
        seats=seats,
        seat_start=starts_of(np.minimum(np.array(seats, np.int64), entries_at[program_of])),
        program_of=program_of,
        school=schools.of_program,
        source=source,
        sources=frozenset(map(Source, source[entries_at > 0].tolist())),
        entry_start=entry_start,
        entry_program=entry_program,
        entry_school=entry_school,
        position=entries.position,
        own_numbers=tuple(entries.own_numbers()),
        candidate_start=candidate_start,
        candidates=candidates,
        turns=turns,
        lists=() if siblings_matter else tuple(proposal_lists(words, candidate_start, turn) for turn in turns),
        members=members,
        members_start=members_start,
        siblings_matter=siblings_matter,
    )


def _schools(market: MarketInColumns) -> _Schools:
    names = {name: place for place, name in enumerate(sorted({program.school for program in market.programs}))}
    return _Schools(names, np.array([names[program.school] for program in market.programs], np.int32))


def _facts_at_schools(market: MarketInColumns, schools: _Schools, entry_start: Int64s, entry_school: Int32s) -> Int32s:
    """Return for each entry the code of the applicant's facts at that school, or NONE."""
    applicants = market.applicants
    school_of_word = np.array([schools.names.get(name, NONE) for name in applicants.at_school.words], np.int32)
    return ranking_loops.facts_at_schools(
        entry_start,
        entry_school,
        applicants.at_applicant,
        school_of_word[applicants.at_school.codes],
        applicants.at_facts.codes,
    )


def _seats(market: MarketInColumns) -> tuple[int, ...]:
    """Return the seats of each seat group in this round."""
    applicants = market.applicants
    holders: Counter[HeldSeat] = Counter()
    held = np.flatnonzero(applicants.holds_program != NONE)
    for place, group in zip(applicants.holds_program[held], applicants.holds_group[held], strict=True):
        program = market.programs[place]
        holders[HeldSeat(program.id, program.precedence[group])] += 1
    kind = market.round.kind
    return tuple(count for program in market.programs for count in seats_this_round(kind, program, holders).values())


def _turns(market: MarketInColumns, *, in_turn: bool) -> Iterator[Int32s]:
    """Yield the applicants of each turn, by grade and ticket."""
    grades = market.applicants.grade
    order = {grade: place for place, grade in enumerate(market.policy.grade_order if in_turn else grades.words)}
    place = np.array([order[grade] for grade in grades.words], np.int32)
    applicants, starts = ranking_loops.counting_order(place[grades.codes], len(order))
    if not in_turn:
        yield applicants
        return
    for turn in range(len(order)):
        yield applicants[starts[turn] : starts[turn + 1]]
