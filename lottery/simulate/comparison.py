"""Compare two markets with the same applicants on the same draws (docs/reference/specification.md, section 10)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lottery.fast import counts
from lottery.fast.columns import NONE, Coded, Columns, FactSet, Int64s, MarketInColumns, Truths, starts_of
from lottery.fast.engine import Matched
from lottery.fast.ranking_loops import ranked_places
from lottery.match.reference import NO_SEEDS
from lottery.simulate.counts import Counts, Kind, Pairs
from lottery.simulate.rule_changes import CHANGES
from lottery.simulate.simulation import Simulation, prepare

HELD, NOWHERE = 1 << 30, 1 << 31
"""Choice numbers for an unranked held seat and for no seat; both come after every ranked choice."""


Key = tuple[str | None, str]
"""A program and the name of one of its classes or reserves, or None and the name of all with this name."""

BEFORE = "compare this change in a market without held seats"


class Incomparable(ValueError):
    """Two markets differ in more than rules; the message says how, and what to do."""


def with_change(market: MarketInColumns, name: str) -> MarketInColumns:
    """Return a market with its rules changed by one of `lottery.simulate.rule_changes.CHANGES`.

    Held seats stay in their groups.

    Raises:
        Incomparable: if children hold seats in a group that the change removes, or more seats than the change leaves.
    """
    programs = tuple(map(CHANGES[name], market.programs))
    applicants = market.applicants
    holders = np.flatnonzero(applicants.holds_program != NONE)
    groups, held = applicants.holds_group.copy(), Counter[Key]()
    for index in holders:
        place = applicants.holds_program[index]
        group = market.programs[place].precedence[applicants.holds_group[index]]
        held[programs[place].id, group] += 1
        if group not in programs[place].precedence:
            raise Incomparable(f"has seats held in {group} at {programs[place].id}, which {name} removes; {BEFORE}")
        groups[index] = programs[place].precedence.index(group)
    for program in programs:
        for group, seats in program.seats_as_written().items():
            if held[program.id, group] > seats:
                raise Incomparable(f"has more held seats in {group} at {program.id} than {name} leaves; {BEFORE}")
    return replace(market, programs=programs, applicants=replace(applicants, holds_group=groups), digest="")


class Comparison:
    """Two markets with the same applicants, ready for the same draws.

    Raises:
        Incomparable: if they differ in more than rules and facts.
        UnusableSeed: if a seed does not have 32 bytes.
    """

    def __init__(
        self,
        before: MarketInColumns,
        after: MarketInColumns,
        *,
        seed: bytes,
        seeds: Mapping[str, bytes] = NO_SEEDS,
    ) -> None:
        refuse_incomparable(before, after)
        self.before = prepare(before, seed=seed, seeds=seeds)
        self.after = prepare(after, seed=seed, seeds=seeds)
        kinds = dict(_kinds(before.applicants))
        self.kinds = tuple(kinds)
        self._members = np.concatenate(list(kinds.values())).astype(np.int32)
        self._starts = starts_of([len(members) for members in kinds.values()])
        self.classes = Labels(_classes(self.before), _classes(self.after))
        self.reserves = Labels(_reserves(self.before), _reserves(self.after))
        self._called = {
            called: [row for row, (program, name) in enumerate(self.reserves.keys) if program and name == called]
            for _, called in self.reserves.keys
        }
        self.schools = Labels(_schools(self.before), _schools(self.after))

    @property
    def applicants(self) -> Columns:
        """Return the applicants of the first market."""
        return self.before.compiled.market.applicants

    @property
    def entries(self) -> int:
        """Return the number of ranked choices in a market."""
        return self.before.compiled.entry_program.size

    def sizes(self) -> Sequence[int]:
        """Return the number of applicants of each kind."""
        return [int(size) for size in np.diff(self._starts)]

    def tally(self, draws: Iterable[int]) -> Counts:
        """Match both markets on these draws, and count."""
        total: Counts | None = None
        for draw in draws:
            counts = self._of_one_draw(self.before.match(draw), self.after.match(draw))
            total = counts if total is None else total + counts
        if total is None:
            raise ValueError("no draws to count; give at least one draw")
        return total

    def _of_one_draw(self, before: Matched, after: Matched) -> Counts:
        choice, choice_after = _choices(self.before, before), _choices(self.after, after)
        seats = self.before.seats_by_class(before), self.after.seats_by_class(after)
        return Counts(
            draws=1,
            kinds=Pairs.of_one_draw(*counts.count_kinds(self._members, self._starts, choice, choice_after, NOWHERE)),
            seats=self.classes.pairs(seats[0].reshape(-1), seats[1].reshape(-1)),
            meeting=Pairs.of_one_draw(self._meeting(self.before, before), self._meeting(self.after, after)),
            schools=self.schools.pairs(seats[0].sum(axis=1), seats[1].sum(axis=1)),
            moves=Pairs.of_one_draw(_moves(self.before, before), _moves(self.after, after)),
            better=(choice_after < choice).astype(np.int64),
            worse=(choice_after > choice).astype(np.int64),
        )

    def _meeting(self, simulation: Simulation, matched: Matched) -> Int64s:
        """Count children who meet a reserve's condition, as the second market has it, or else the first."""
        by_owner = [owner.meeting(matched, of=simulation) for owner in (self.before, self.after)]
        first, second = (self.reserves.added_up(market, counts) for market, counts in enumerate(by_owner))
        counts = np.where(self.reserves.there(1), second, first)
        for row, (program, name) in enumerate(self.reserves.keys):
            if program is None:
                counts[row] = counts[self._called[name]].sum()
        return counts


class Labels:
    """The keys of the numbers of two markets; numbers with the same key add up.

    Each market gives the keys of each of its numbers.
    """

    def __init__(self, before: Sequence[Sequence[Key]], after: Sequence[Sequence[Key]]) -> None:
        rows: dict[Key, int] = {}
        self._of_market = []
        for market in (before, after):
            told = [(place, rows.setdefault(key, len(rows))) for place, keys in enumerate(market) for key in keys]
            self._of_market.append(np.array(told, np.int64).reshape(-1, 2))
        self.keys = tuple(rows)

    def added_up(self, market: int, numbers: Int64s) -> Int64s:
        """Add up a market's numbers by key."""
        total = np.zeros(len(self.keys), np.int64)
        places, rows = self._of_market[market].T
        np.add.at(total, rows, numbers[places])
        return total

    def pairs(self, before: Int64s, after: Int64s) -> Pairs:
        """Return the pairs of one draw, by key."""
        return Pairs.of_one_draw(self.added_up(0, before), self.added_up(1, after))

    def there(self, market: int) -> Truths:
        """Return which keys a market has."""
        has = np.zeros(len(self.keys), np.bool_)
        has[self._of_market[market][:, 1]] = True
        return has


def refuse_incomparable(before: MarketInColumns, after: MarketInColumns) -> None:
    """Refuse markets that differ in more than rules and facts, so that all differences come from these.

    Raises:
        Incomparable: if they do.
    """
    first, second = before.applicants, after.applicants
    if (before.round, before.policy.twins) != (after.round, after.policy.twins):
        raise Incomparable("belongs to another round, or treats twins in another way; compare markets of one round")
    named = [[(program.id, program.school, program.grade) for program in market.programs] for market in (before, after)]
    if named[0] != named[1]:
        raise Incomparable("has other programs, schools or grades; change only rules and seats")
    if list(first.tickets) != list(second.tickets):
        raise Incomparable("has other applicants; use the same applicants in both markets")
    if not (
        np.array_equal(first.ranking_start, second.ranking_start)
        and np.array_equal(first.ranking, second.ranking)
        and np.array_equal(first.holds_program, second.holds_program)
        and all(
            _words(getattr(first, column)) == _words(getattr(second, column))
            for column in ("grade", "household", "drawn_in")
        )
    ):
        problem = "has applicants with other rankings, grades, households, held seats or rounds of their draw"
        raise Incomparable(f"{problem}; change only rules, seats and facts")


def _words(column: Coded[str]) -> list[str | None]:
    words = (*column.words, None)
    return [words[code] for code in column.codes.tolist()]


def _kinds(applicants: Columns) -> Iterator[tuple[Kind, Int64s]]:
    """Yield every kind of applicants in the market, with its members."""
    yield Kind("all", "everybody"), np.arange(len(applicants))
    yield from _by_word("grade", Coded(tuple((grade,) for grade in applicants.grade.words), applicants.grade.codes))
    yield from _by_word("zone", applicants.zones)
    yield from _by_word("flag", applicants.flags)
    others = {
        "late": applicants.late,
        "together": applicants.together,
        "holds a seat": applicants.holds_program != NONE,
    }
    for name, those in others.items():
        if those.any():
            yield Kind("applicant", name), np.flatnonzero(those)


def _by_word(of: str, column: "Coded[FactSet] | Coded[tuple[str]]") -> Iterator[tuple[Kind, Int64s]]:
    codes: dict[str, list[int]] = {}
    for code, words in enumerate(column.words):
        for word in words:
            codes.setdefault(word, []).append(code)
    for word in sorted(codes):
        members = np.flatnonzero(np.isin(column.codes, codes[word]))
        if members.size:
            yield Kind(of, word), members


def _classes(simulation: Simulation) -> list[list[Key]]:
    """Return the keys of `Simulation.seats_by_class`: a program's class, and all classes with its name."""
    keys: list[list[Key]] = []
    most = simulation.no_seats().of_class.shape[1]
    for index in range(len(simulation.compiled.seats)):
        program, group = simulation.compiled.group(index)
        told: list[list[Key]] = [[(None, name), (program.id, name)] for name in program.classes_at(group)[:most]]
        keys += told + [[]] * (most - len(told))
    return keys


def _reserves(simulation: Simulation) -> list[list[Key]]:
    groups = map(simulation.compiled.group, range(len(simulation.compiled.seats)))
    return [[(None, name), (program.id, name)] if program.reserve(name) else [] for program, name in groups]


def _schools(simulation: Simulation) -> list[list[Key]]:
    groups = map(simulation.compiled.group, range(len(simulation.compiled.seats)))
    return [[(None, program.school)] for program, _ in groups]


def _choices(simulation: Simulation, matched: Matched) -> Int64s:
    applicants = simulation.compiled.market.applicants
    places = ranked_places(
        applicants.ranking_start, applicants.ranking, simulation.compiled.program_of, matched.group_of
    )
    choices = np.where(places != NONE, places - applicants.ranking_start[:-1], HELD)
    choices[matched.group_of == NONE] = NOWHERE
    return choices


def _moves(simulation: Simulation, matched: Matched) -> Int64s:
    """Count children who keep a held seat, who leave one for a higher choice, and who held no seat and get one."""
    applicants, first_group = simulation.compiled.market.applicants, simulation.compiled.first_group
    holds = applicants.holds_program != NONE
    held = np.where(holds, first_group[applicants.holds_program] + applicants.holds_group, NONE)
    placed, kept = matched.group_of != NONE, holds & (matched.group_of == held)
    return np.array([kept.sum(), (holds & placed & ~kept).sum(), (placed & ~holds).sum()], np.int64)
