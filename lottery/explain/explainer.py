"""Explain an outcome, one child at a time: find the facts behind each result.

The facts come from the market, the child's own number, and the published cutoffs.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

from lottery.explain.facts import AtGroup, AtProgram, Decided, Explanation, Joined, LeftOut
from lottery.market.model import Applicant, Late, Market
from lottery.market.outcome import Cutoff, LastAdmitted, Outcome, Placement
from lottery.market.rules import Order, Program
from lottery.match.cohorts import LATE, cohorts_of_draws
from lottery.match.lottery_numbers import Draw
from lottery.match.reference import NO_SEEDS, last_admitted
from lottery.match.siblings import PlacedSiblings, ranking_as_matched
from lottery.match.standing import Barred, SeatGroup, Standing, Standings, held_group

UNKNOWN = "the outcome and the market have different programs or applicants; check both with `lottery verify`"


class UnknownApplicant(LookupError):
    """The market has no applicant with that id."""


class UnfitOutcome(ValueError):
    """The outcome does not belong to the market."""


@dataclass(frozen=True, slots=True)
class Extract:
    """The part of a round that explains some of the children.

    The market needs these children, their households, and the programs that they rank or hold. The outcome needs the
    placements and cutoffs of these. `waitlists` takes a program, a group, and an applicant's id, and returns the
    place on the waitlist and the number of children waiting. `submitted` has the lists as submitted of the children
    whose lists have programs that the round did not use. `given_up` has the programs of these lists that are in the
    round all the same.
    """

    market: Market
    seed: bytes
    placements: Sequence[Placement]
    cutoffs: Sequence[Cutoff]
    waitlists: Callable[[str, str, str], tuple[int | None, int]]
    submitted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    given_up: Collection[str] = ()

    @classmethod
    def whole(cls, market: Market, outcome: Outcome) -> "Extract":
        """Return the whole round, from its files.

        Raises:
            UnfitOutcome: if the outcome belongs to another market.
        """
        if outcome.market != market.digest():
            raise UnfitOutcome("the outcome belongs to another market; give the market that this outcome was made from")
        try:
            seed = bytes.fromhex(outcome.seed)
        except ValueError:
            raise UnfitOutcome("the seed in the outcome is not hex; check the outcome with `lottery verify`") from None
        waitlists = {(waitlist.program, waitlist.group): waitlist.applicants for waitlist in outcome.waitlists}

        def waiting(program: str, group: str, ticket: str) -> tuple[int | None, int]:
            tickets = waitlists.get((program, group), ())
            return (tickets.index(ticket) + 1 if ticket in tickets else None), len(tickets)

        return cls(market, seed, outcome.placements, outcome.cutoffs, waiting)

    def seats(self) -> dict[str, dict[str, int]]:
        """Return the seats of each program's groups in this round, in precedence order."""
        seats = {(cutoff.program, cutoff.group): cutoff.seats for cutoff in self.cutoffs}
        wanted = [(program.id, group) for program in self.market.programs for group in program.precedence]
        if seats.keys() != set(wanted):
            raise UnfitOutcome(UNKNOWN)
        return {
            program.id: {group: seats[program.id, group] for group in program.precedence}
            for program in self.market.programs
        }


class Explainer:
    """Explains one outcome, one child at a time.

    Raises:
        UnfitOutcome: if the outcome does not belong to the market.
        UnusableSeed: if a seed is missing or does not have 32 bytes.
    """

    def __init__(self, extract: Extract, *, seeds: Mapping[str, bytes] = NO_SEEDS) -> None:
        market = extract.market
        self._late = market.policy.late
        self._is_backfill = market.is_backfill
        self._draws, self._cohorts = market.round.draws, cohorts_of_draws(market.round)
        self._standings = Standings(market, Draw(market, seed=extract.seed, seeds=seeds), seats=extract.seats())
        self._programs = {program.id: program for program in market.programs}
        self._school_of = {program.id: program.school for program in market.programs}
        self._applicants = {applicant.id: applicant for applicant in market.applicants}
        self._placements = {placement.applicant: placement for placement in extract.placements}
        self._cutoffs = {(cutoff.program, cutoff.group): cutoff for cutoff in extract.cutoffs}
        self._waitlists = extract.waitlists
        self._submitted, self._given_up = extract.submitted, extract.given_up
        self._refuse_unknown_names()
        self._siblings = PlacedSiblings(
            market,
            (
                (self._applicants[placement.applicant], self._school_of[placement.program])
                for placement in extract.placements
            ),
        )

    def explain(self, ticket: str) -> Explanation:
        """Return the facts about one applicant.

        Raises:
            UnknownApplicant: if the market has no such applicant.
        """
        applicant = self._applicants.get(ticket)
        if applicant is None:
            raise UnknownApplicant(f"the market has no applicant {ticket}; give the id of an applicant in the market")
        submitted = list(enumerate(self._submitted.get(ticket, applicant.ranking), start=1))
        ranked = [(choice, program) for choice, program in submitted if program in applicant.ranking]
        held = applicant.holds.program if applicant.holds else None
        not_ranked = [(None, held)] if held and held not in applicant.ranking else []
        return Explanation(
            applicant=ticket,
            ranked=len(submitted),
            placement=self._placements.get(ticket),
            programs=tuple(
                self._at_program(applicant, self._programs[program], choice)
                for choice, program in [*ranked, *not_ranked]
            ),
            left_out=tuple(
                LeftOut(program, choice, given_up=program in self._given_up)
                for choice, program in submitted
                if program not in applicant.ranking
            ),
        )

    def _refuse_unknown_names(self) -> None:
        classes = {
            (program, group.name): group.classes
            for program, groups in self._standings.groups.items()
            for group in groups
        }
        known = (
            self._placements.keys() <= self._applicants.keys()
            and all((placement.program, placement.group) in classes for placement in self._placements.values())
            and all(
                cutoff.last is None or cutoff.last.class_ in classes[place] for place, cutoff in self._cutoffs.items()
            )
        )
        if not known:
            raise UnfitOutcome(UNKNOWN)

    def _at_program(self, applicant: Applicant, program: Program, choice: int | None) -> AtProgram:
        siblings = self._siblings.schools(applicant)
        standings = self._standings.at(applicant, program, siblings)
        asked = ranking_as_matched(applicant, self._school_of, siblings)
        groups = self._standings.groups[program.id]
        decided = self._decided(applicant, program, asked, standings)
        return AtProgram(
            program,
            choice,
            program.backfill.order if self._is_backfill else Order.WAITLIST,
            tuple(
                self._at_group(applicant, program, group, standing, decision)
                for group, standing, decision in zip(groups, standings, decided, strict=True)
            ),
        )

    def _at_group(
        self, applicant: Applicant, program: Program, group: SeatGroup, standing: Standing | Barred, decided: Decided
    ) -> AtGroup:
        cutoff = self._cutoffs[program.id, group.name]
        waiting_place, waiting = self._waitlists(program.id, group.name, applicant.id)
        common = AtGroup(
            name=group.name,
            seats=cutoff.seats,
            filled=cutoff.filled,
            reserve=program.reserve(group.name),
            last=cutoff.last,
            waiting_place=waiting_place,
            waiting=waiting,
            decided=decided,
            last_joined=self._joined(cutoff.last),
        )
        if isinstance(standing, Barred):
            return replace(common, barred=standing)
        reached = group.priorities[standing.priority : standing.priority + 1]
        mine = last_admitted(standing, program, group)
        return replace(
            common,
            mine=mine,
            joined=self._joined(mine),
            because=reached[0].when if reached else None,
        )

    def _joined(self, last: LastAdmitted | None) -> Joined:
        if last is None or not last.late:
            return Joined.ON_TIME
        return Joined.LATER if last.drawn_in in self._draws[1:] else Joined.LATE

    def _decided(
        self, applicant: Applicant, program: Program, asked: Sequence[str], standings: Sequence[Standing | Barred]
    ) -> list[Decided]:
        """Return the reason at each group of a program; `asked` are the programs in the order of the match."""
        groups = self._standings.groups[program.id]
        placement = self._placements.get(applicant.id)
        if program.id not in asked:
            return [Decided.BELOW_HELD_SEAT] * len(groups)
        if placement is None or placement.program not in asked:
            return list(map(self._why_refused, groups, standings, repeat(program)))
        if asked.index(placement.program) < asked.index(program.id):
            ranking = [*applicant.ranking, program.id]  # a held seat that is not ranked comes last
            ranked_higher = ranking.index(placement.program) < ranking.index(program.id)
            return [Decided.PLACED_HIGHER if ranked_higher else Decided.SIBLING_FIRST] * len(groups)
        if placement.program != program.id:
            return list(map(self._why_refused, groups, standings, repeat(program)))
        place = program.precedence.index(placement.group)
        seated = Decided.SEATED if held_group(applicant, program) is None else Decided.KEPT
        return [
            *map(self._why_refused, groups[:place], standings[:place], repeat(program)),
            seated,
            *[Decided.EARLIER_GROUP] * len(groups[place + 1 :]),
        ]

    def _why_refused(self, group: SeatGroup, mine: Standing | Barred, program: Program) -> Decided:
        """Return the first thing in which the last child admitted to a group stands ahead of this child."""
        if isinstance(mine, Barred):
            return Decided.NOT_CONSIDERED
        if group.seats == 0:
            return Decided.NO_SEATS
        last = self._cutoffs[program.id, group.name].last
        if last is None:
            return Decided.UNEXPLAINED
        own = last_admitted(mine, program, group)
        is_later = self._joined(own) is Joined.LATER
        ours, theirs = (self._in_order(each, group, mine_is_later=is_later) for each in (own, last))
        for (decided, my_part), (_, other) in zip(ours, theirs, strict=True):
            if my_part != other:
                return decided if other < my_part else Decided.UNEXPLAINED
        return Decided.TICKET

    def _in_order(self, last: LastAdmitted, group: SeatGroup, *, mine_is_later: bool) -> list[tuple[Decided, int]]:
        """Return what the match compares, in order; lower is better (docs/reference/specification.md, section 3)."""
        before_class = self._late is Late.AFTER
        cohort = max(last.late * LATE, self._cohorts.get(last.drawn_in or "", 0))
        late = Decided.EARLIER_DRAW if mine_is_later else Decided.LATE
        by_number = (Decided.NUMBER, int(last.number, 16)) if last.number else (Decided.POSITION, last.position or 0)
        return [
            (Decided.HOLDERS, not last.holder),
            (Decided.RESERVE, not last.meets),
            (late, cohort * before_class),
            (Decided.CLASS, group.classes.index(last.class_)),
            (late, cohort * (not before_class)),
            by_number,
        ]
