"""Lay out an outcome beside its market, so that each check can read one fact at a time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lottery.market.model import Applicant, Market
from lottery.market.outcome import Outcome, Placement
from lottery.market.rules import Program
from lottery.match.lottery_numbers import Draw
from lottery.match.siblings import PlacedSiblings, ranking_as_matched
from lottery.match.standing import Barred, SeatGroup, Standing, Standings


class Candidate(NamedTuple):
    """An applicant who has or prefers a seat at a program, with the standing at each of its seat groups."""

    applicant: Applicant
    standings: Sequence[Standing | Barred]


class Group(NamedTuple):
    """A seat group as the outcome has it.

    `placed` has the applicants with a seat here. `preferring` has the applicants who prefer this group to their seat.
    `place` is the group's index in precedence order.
    """

    program: Program
    place: int
    group: SeatGroup
    placed: Sequence[Candidate]
    preferring: Sequence[Candidate]

    def standings(self, candidates: Iterable[Candidate]) -> list[Standing]:
        """Return the standings of the candidates whom this group considers, best first."""
        return sorted(at for candidate in candidates if isinstance(at := candidate.standings[self.place], Standing))


class Record:
    """An outcome, laid out for the checks.

    Names that the market does not have are left out. A check of its own reports them.
    """

    def __init__(self, market: Market, outcome: Outcome, draw: Draw) -> None:
        self.market = market
        self.outcome = outcome
        self.draw = draw
        self.programs = {program.id: program for program in sorted(market.programs, key=lambda program: program.id)}
        self.applicants = {applicant.id: applicant for applicant in market.applicants}
        self.placement = self._placements()
        self.placed: dict[tuple[str, str], list[Candidate]] = {}
        self.ranking_higher: dict[str, list[Candidate]] = {program: [] for program in self.programs}
        self._standings = Standings(market, draw)
        self._school_of = {program.id: program.school for program in market.programs}
        placed = ((self.applicants[seat.applicant], self._school_of[seat.program]) for seat in self.placement.values())
        self._siblings = PlacedSiblings(market, placed)
        for applicant in market.applicants:
            self._add_candidates(applicant)

    def knows(self, program: str, group: str) -> bool:
        """Return whether the market has this seat group."""
        return program in self.programs and group in self.programs[program].precedence

    def groups(self) -> Iterator[Group]:
        """Yield every seat group, by program id and then in precedence order.

        An applicant in a later group of a program prefers the earlier groups of the program.
        """
        for program in self.programs.values():
            in_later_groups: list[Candidate] = []
            reversed_groups = []
            for place, group in reversed(list(enumerate(self._standings.groups[program.id]))):
                placed = self.placed.get((program.id, group.name), [])
                preferring = [*self.ranking_higher[program.id], *in_later_groups]
                reversed_groups.append(Group(program, place, group, placed, preferring))
                in_later_groups = [*in_later_groups, *placed]
            yield from reversed(reversed_groups)

    def ranking(self, applicant: Applicant) -> Sequence[str]:
        """Return the programs to which the applicant proposes in the match, best first."""
        return ranking_as_matched(applicant, self._school_of, self._siblings.schools(applicant))

    def _placements(self) -> dict[str, Placement]:
        """Return each applicant's first placement in the outcome."""
        found: dict[str, Placement] = {}
        for placement in self.outcome.placements:
            if placement.applicant in self.applicants and self.knows(placement.program, placement.group):
                found.setdefault(placement.applicant, placement)
        return found

    def _add_candidates(self, applicant: Applicant) -> None:
        """Add the applicant to the programs ranked above the placement, and to the group of the placement."""
        siblings = self._siblings.schools(applicant)
        placement = self.placement.get(applicant.id)
        for program in ranking_as_matched(applicant, self._school_of, siblings):
            if placement and placement.program == program:
                break
            standings = self._standings.at(applicant, self.programs[program], siblings)
            self.ranking_higher[program].append(Candidate(applicant, standings))
        if placement:
            standings = self._standings.at(applicant, self.programs[placement.program], siblings)
            seat = placement.program, placement.group
            self.placed.setdefault(seat, []).append(Candidate(applicant, standings))
