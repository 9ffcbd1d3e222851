"""Match a market in plain Python, as a specification that runs (docs/reference/specification.md, section 4).

The match is applicant-proposing deferred acceptance (Gale & Shapley 1962). A program chooses by filling its seat groups
in precedence order (slot-specific priorities, Kominers & Sönmez 2016; precedence, Dur, Kominers, Pathak & Sönmez 2018).
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from lottery.market.model import Applicant, Market
from lottery.market.outcome import Cutoff, LastAdmitted, Outcome, Placement, Waitlist
from lottery.market.rules import Program, Ranked
from lottery.match.cohorts import draw_of_cohort
from lottery.match.lottery_numbers import Draw
from lottery.match.siblings import grades_in_turn, ranking_as_matched
from lottery.match.standing import Barred, SeatGroup, Standing, Standings, position_of
from lottery.progress import Track, untracked

NO_SEEDS: Mapping[str, bytes] = {}
"""A match without applicants from earlier rounds."""


class Proposer:
    """An applicant who proposes to one program after another, in the order of the ranking."""

    __slots__ = ("applicant", "programs_left", "siblings_at")

    def __init__(self, applicant: Applicant, siblings_at: Collection[str], programs: Sequence[str]) -> None:
        self.applicant = applicant
        self.siblings_at = siblings_at
        self.programs_left = iter(programs)


class Proposal(NamedTuple):
    """A proposer at one program, with the standing at each of the program's seat groups."""

    proposer: Proposer
    standings: Sequence[Standing | Barred]


class GroupAdmissions:
    """The proposals that one seat group has admitted so far, in order of standing."""

    def __init__(self, group: SeatGroup) -> None:
        self.group = group
        self.standings: list[Standing] = []
        self.proposals: list[Proposal] = []

    def admit(self, proposal: Proposal, standing: Standing) -> Proposal | None:
        """Admit a proposal in order of standing.

        Return the proposal that no longer fits, the last one, or None while seats are left.
        """
        place = bisect(self.standings, standing)
        if place == self.group.seats:
            return proposal
        self.standings.insert(place, standing)
        self.proposals.insert(place, proposal)
        if len(self.proposals) <= self.group.seats:
            return None
        self.standings.pop()
        return self.proposals.pop()


class ProgramAdmissions:
    """One program's seat groups, in precedence order, and the proposals that the program rejected."""

    def __init__(self, program: Program, groups: Sequence[SeatGroup]) -> None:
        self.program = program
        self.groups = [GroupAdmissions(group) for group in groups]
        self.rejected: list[Proposal] = []

    def consider(self, proposal: Proposal) -> Proposer | None:
        """Consider one more proposal. Return the proposer whom the program rejects for it, or None.

        The proposal goes to the seat groups in precedence order. A full group keeps its best proposals, and the
        displaced proposal goes on to the next group. No other proposal leaves a group. So each group holds the
        applicants that it would hold if the program filled all groups again from all proposals so far.
        """
        for place, admissions in enumerate(self.groups):
            standing = proposal.standings[place]
            if isinstance(standing, Barred):
                continue
            displaced = admissions.admit(proposal, standing)
            if displaced is None:
                return None
            proposal = displaced
        self.rejected.append(proposal)
        return proposal.proposer

    def placements(self) -> Iterator[Placement]:
        """Yield the placement of every admitted applicant."""
        program = self.program.id
        for admissions in self.groups:
            for proposal in admissions.proposals:
                applicant = proposal.proposer.applicant
                choice = applicant.ranking.index(program) + 1 if program in applicant.ranking else None
                yield Placement(applicant.id, program, admissions.group.name, choice)

    def cutoffs(self) -> Iterator[Cutoff]:
        """Yield each group's cutoff."""
        for admissions in self.groups:
            group, filled = admissions.group, len(admissions.proposals)
            full = filled == group.seats > 0
            last = last_admitted(admissions.standings[-1], self.program, group) if full else None
            yield Cutoff(self.program.id, group.name, group.seats, filled, last)

    def waitlists(self) -> Iterator[Waitlist]:
        """Yield each group's waitlist.

        A rejected applicant ranks the program above the final placement, so every rejected applicant waits.
        """
        for place, admissions in enumerate(self.groups):
            waiting = sorted(
                standing for proposal in self.rejected if isinstance(standing := proposal.standings[place], Standing)
            )
            if waiting:
                tickets = tuple(standing.ticket for standing in waiting)
                yield Waitlist(self.program.id, admissions.group.name, tickets)


def match(market: Market, *, seed: bytes, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked) -> Outcome:
    """Match a market's applicants to its seats.

    `seed` is this round's seed, 32 bytes. `seeds` has the seeds of earlier rounds in which applicants were drawn.

    Raises:
        UnusableSeed: if a seed is missing or is not 32 bytes long.
    """
    standings = Standings(market, Draw(market, seed=seed, seeds=seeds))
    programs = sorted(market.programs, key=lambda program: program.id)
    admissions = {program.id: ProgramAdmissions(program, standings.groups[program.id]) for program in programs}
    siblings_at: dict[str, set[str]] = defaultdict(set)  # by household: schools where a member was placed
    for applicants in grades_in_turn(market):
        propose_until_settled(track(applicants, "matching", len(applicants)), admissions, standings, siblings_at)
        record_sibling_schools(admissions.values(), {applicant.grade for applicant in applicants}, siblings_at)
    return _outcome(market, seed, admissions.values())


def propose_until_settled(
    applicants: Iterable[Applicant],
    admissions: Mapping[str, ProgramAdmissions],
    standings: Standings,
    siblings_at: Mapping[str, Collection[str]],
) -> None:
    """Let applicants propose until each one has a seat or has proposed to every ranked program.

    The order in which applicants start does not change the result (Gale & Shapley 1962).
    """
    school_of = {program: its.program.school for program, its in admissions.items()}
    for applicant in applicants:
        siblings = siblings_at.get(applicant.household, ()) if applicant.household else ()
        ranking = ranking_as_matched(applicant, school_of, siblings)
        proposer: Proposer | None = Proposer(applicant, siblings, ranking)
        while proposer:
            proposer = _propose_next(proposer, admissions, standings)


def _propose_next(
    proposer: Proposer, admissions: Mapping[str, ProgramAdmissions], standings: Standings
) -> Proposer | None:
    """Make the proposer's next proposal. Return the applicant who must propose next, or None."""
    program = next(proposer.programs_left, None)
    if program is None:
        return None
    here = admissions[program]
    standings_here = standings.at(proposer.applicant, here.program, proposer.siblings_at)
    return here.consider(Proposal(proposer, standings_here))


def record_sibling_schools(
    admissions: Iterable[ProgramAdmissions], grades: Collection[str], siblings_at: Mapping[str, set[str]]
) -> None:
    """Record, by household, the schools where children of these grades were placed."""
    for here in admissions:
        if here.program.grade in grades:
            for proposal in chain.from_iterable(group.proposals for group in here.groups):
                household = proposal.proposer.applicant.household
                if household:
                    siblings_at[household].add(here.program.school)


def _outcome(market: Market, seed: bytes, admissions: Collection[ProgramAdmissions]) -> Outcome:
    placements = sorted(chain.from_iterable(here.placements() for here in admissions), key=lambda p: p.applicant)
    placed = {placement.applicant for placement in placements}
    return Outcome(
        market=market.digest(),
        seed=seed.hex(),
        placements=tuple(placements),
        unplaced=tuple(sorted(a.id for a in market.applicants if a.id not in placed)),
        cutoffs=tuple(chain.from_iterable(here.cutoffs() for here in admissions)),
        waitlists=tuple(chain.from_iterable(here.waitlists() for here in admissions)),
    )


def last_admitted(standing: Standing, program: Program, group: SeatGroup) -> LastAdmitted:
    """Return the last admitted applicant's standing in the form that families compare with their own."""
    screened = isinstance(program.tie_break, Ranked)
    cohort = max(standing.late, standing.late_in_class)
    return LastAdmitted(
        holder=not standing.not_holder,
        meets=not standing.not_met,
        late=cohort > 0,
        class_=group.classes[standing.priority],
        number=None if screened else standing.number.hex(),
        position=position_of(standing) if screened else None,
        drawn_in=draw_of_cohort(group.draws, cohort),
    )
