"""An outcome in numbers: placements by choice, grade, and class, and how full the programs are."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from lottery.market.model import Market
from lottery.market.outcome import Outcome, Placement
from lottery.market.rules import OPEN
from lottery.match.lottery_numbers import Draw
from lottery.match.reference import NO_SEEDS
from lottery.match.siblings import PlacedSiblings
from lottery.match.standing import Standing, Standings


@dataclass(frozen=True, slots=True)
class Count:
    """The applicants of one kind, and how many of them have a seat and their first choice."""

    name: str
    applicants: int
    placed: int
    first_choice: int
    seats: int
    filled: int


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand for one program."""

    program: str
    seats: int
    filled: int
    first_choices: int
    rankings: int
    waiting: int


@dataclass(frozen=True, slots=True)
class PlacedInClass:
    """A placement, the kind of seat (held, reserved, or open), and the applicant's class there."""

    placement: Placement
    kind: str
    priority_class: str


@dataclass(frozen=True, slots=True)
class Report:
    """One outcome in numbers. `by_choice` has None for held seats that the families did not rank."""

    applicants: int
    without_ranking: int
    by_choice: tuple[tuple[int | None, int], ...]
    unplaced: int
    by_grade: tuple[Count, ...]
    by_class: tuple[tuple[str, str, int], ...]  # kind of group, class, placed
    seats: int
    filled: int
    demand: tuple[Demand, ...]  # programs with the most first choices first

    @property
    def placed(self) -> int:
        """Return how many applicants have a seat."""
        return self.applicants - self.unplaced


Submitted: TypeAlias = Mapping[str, Sequence[str]]
"""The lists as submitted, by applicant, where they have programs that are not in the market."""

AS_IN_MARKET: Submitted = {}
"""Every list is in the market as submitted."""


def as_submitted(placement: Placement, submitted: Submitted) -> Placement:
    """Return a placement whose choice is the position in the list as submitted."""
    ranking = submitted.get(placement.applicant)
    if ranking is None or placement.choice is None:
        return placement
    return replace(placement, choice=ranking.index(placement.program) + 1)


def report(
    market: Market,
    outcome: Outcome,
    *,
    seeds: Mapping[str, bytes] = NO_SEEDS,
    submitted: Submitted = AS_IN_MARKET,
) -> Report:
    """Count an outcome of a market. `lottery.match.verify` checks the outcome; this function does not.

    Choices are counted on the lists as submitted.

    Raises:
        UnusableSeed: if a seed is missing or does not have 32 bytes.
    """
    placements = [as_submitted(placement, submitted) for placement in outcome.placements]
    choices = Counter(placement.choice for placement in placements)
    ranked = sorted(choice for choice in choices if choice)
    return Report(
        applicants=len(market.applicants),
        without_ranking=sum(not applicant.ranking for applicant in market.applicants),
        by_choice=tuple((choice, choices[choice]) for choice in [*ranked, *([None] if choices[None] else [])]),
        unplaced=len(outcome.unplaced),
        by_grade=_by_grade(market, outcome, placements),
        by_class=_by_class(market, outcome, seeds),
        seats=sum(cutoff.seats for cutoff in outcome.cutoffs),
        filled=sum(cutoff.filled for cutoff in outcome.cutoffs),
        demand=_demand(market, outcome, submitted),
    )


def _by_grade(market: Market, outcome: Outcome, placements: Sequence[Placement]) -> tuple[Count, ...]:
    grade_of = {program.id: program.grade for program in market.programs}
    applicants = Counter(applicant.grade for applicant in market.applicants)
    placed = Counter(grade_of[placement.program] for placement in placements)
    first = Counter(grade_of[placement.program] for placement in placements if placement.choice == 1)
    seats: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    for cutoff in outcome.cutoffs:
        seats[grade_of[cutoff.program]] += cutoff.seats
        filled[grade_of[cutoff.program]] += cutoff.filled
    order = {grade: turn for turn, grade in enumerate(market.policy.grade_order)}
    grades = sorted({*applicants, *grade_of.values()}, key=lambda grade: (-order.get(grade, -1), grade))
    return tuple(
        Count(grade, applicants[grade], placed[grade], first[grade], seats[grade], filled[grade]) for grade in grades
    )


def _by_class(market: Market, outcome: Outcome, seeds: Mapping[str, bytes]) -> tuple[tuple[str, str, int], ...]:
    """Count placements by kind of seat (held, reserved, open) and by the applicant's class there."""
    count = Counter((at.kind, at.priority_class) for at in placed_in_class(market, outcome, seeds=seeds))
    return tuple((*key, placed) for key, placed in sorted(count.items(), key=lambda entry: (-entry[1], entry[0])))


def placed_in_class(
    market: Market, outcome: Outcome, *, seeds: Mapping[str, bytes] = NO_SEEDS
) -> Iterator[PlacedInClass]:
    """Yield each placement, in order, with the kind of seat and the child's class there."""
    standings = Standings(market, Draw(market, seed=bytes.fromhex(outcome.seed), seeds=seeds))
    programs = {program.id: program for program in market.programs}
    applicants = {applicant.id: applicant for applicant in market.applicants}
    placed = [(applicants[placement.applicant], programs[placement.program]) for placement in outcome.placements]
    siblings = PlacedSiblings(market, ((applicant, program.school) for applicant, program in placed))
    for placement, (applicant, program) in zip(outcome.placements, placed, strict=True):
        place = program.precedence.index(placement.group)
        standing = standings.at(applicant, program, siblings.schools(applicant))[place]
        if isinstance(standing, Standing):
            kind = "held" if not standing.not_holder else OPEN if placement.group == OPEN else "reserved"
            reached = standings.groups[program.id][place].classes[standing.priority]
            yield PlacedInClass(placement, kind, reached)


def _demand(market: Market, outcome: Outcome, submitted: Submitted) -> tuple[Demand, ...]:
    rankings_as_submitted = [submitted.get(applicant.id, applicant.ranking) for applicant in market.applicants]
    first = Counter(ranking[0] for ranking in rankings_as_submitted if ranking)
    rankings = Counter(program for applicant in market.applicants for program in applicant.ranking)
    waiting: dict[str, set[str]] = {}
    for waitlist in outcome.waitlists:
        waiting.setdefault(waitlist.program, set()).update(waitlist.applicants)
    filled = _total((cutoff.program, cutoff.filled) for cutoff in outcome.cutoffs)
    seats = _total((cutoff.program, cutoff.seats) for cutoff in outcome.cutoffs)
    demand = [
        Demand(
            program.id,
            seats[program.id],
            filled[program.id],
            first[program.id],
            rankings[program.id],
            len(waiting.get(program.id, ())),
        )
        for program in market.programs
    ]
    return tuple(sorted(demand, key=lambda at: (-at.first_choices, -at.rankings, at.program)))


def _total(counts: Iterable[tuple[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for name, count in counts:
        total[name] += count
    return total
