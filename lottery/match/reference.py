"""The match in plain Python: the specification that runs (lottery.md, section 4).

Applicant-proposing deferred acceptance (Gale & Shapley 1962) in which a program chooses by filling its seat groups in
precedence order (slot-specific priorities, Kominers & Sönmez 2016; precedence, Dur, Kominers, Pathak & Sönmez 2018).
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from lottery.market.model import Applicant, Market
from lottery.market.outcome import Cutoff, LastAdmitted, Outcome, Placement, Waitlist
from lottery.market.rules import Program, Ranked
from lottery.match.lottery_numbers import Draw
from lottery.match.siblings import grades_in_turn, ranking_as_matched
from lottery.match.standing import Barred, SeatGroup, Standing, Standings, position_of
from lottery.progress import Track, untracked

NO_SEEDS: Mapping[str, bytes] = {}


class Proposer:
    """An applicant on the way down the ranking."""

    __slots__ = ("applicant", "siblings_at", "still_to_ask")

    def __init__(self, applicant: Applicant, siblings_at: Collection[str], programs: Sequence[str]) -> None:
        self.applicant = applicant
        self.siblings_at = siblings_at
        self.still_to_ask = iter(programs)


class Claim(NamedTuple):
    """A proposer before a program, with the standing at each of its groups."""

    proposer: Proposer
    standings: Sequence[Standing | Barred]


class Seated:
    """Who sits in one seat group so far, in order of standing."""

    def __init__(self, group: SeatGroup) -> None:
        self.group = group
        self.standings: list[Standing] = []
        self.claims: list[Claim] = []

    def admit(self, claim: Claim, standing: Standing) -> Claim | None:
        """Give the claim its place, and return the one that is then too many, if any: the last."""
        place = bisect(self.standings, standing)
        if place == self.group.seats:
            return claim
        self.standings.insert(place, standing)
        self.claims.insert(place, claim)
        if len(self.claims) <= self.group.seats:
            return None
        self.standings.pop()
        return self.claims.pop()


class Filling:
    """One program's seats while they are being filled."""

    def __init__(self, program: Program, groups: Sequence[SeatGroup]) -> None:
        self.program = program
        self.groups = [Seated(group) for group in groups]
        self.refused: list[Claim] = []

    def choose_with(self, claim: Claim) -> Proposer | None:
        """Choose anew with one claim more, and return the proposer who is left over, if any.

        Every group holds its best so far. A claim goes to the groups in precedence order; where it is considered, it
        takes its place, and when that makes one too many, the last of the group goes on to the next group instead.
        Since nobody else leaves, this is what filling all groups afresh from everybody who ever asked would give.
        """
        for place, seated in enumerate(self.groups):
            standing = claim.standings[place]
            if isinstance(standing, Barred):
                continue
            left_over = seated.admit(claim, standing)
            if left_over is None:
                return None
            claim = left_over
        self.refused.append(claim)
        return claim.proposer

    def placements(self) -> Iterator[Placement]:
        """Yield who sits where."""
        program = self.program.id
        for seated in self.groups:
            for claim in seated.claims:
                applicant = claim.proposer.applicant
                choice = applicant.ranking.index(program) + 1 if program in applicant.ranking else None
                yield Placement(applicant.id, program, seated.group.name, choice)

    def cutoffs(self) -> Iterator[Cutoff]:
        """Yield each group's cutoff."""
        for seated in self.groups:
            group, filled = seated.group, len(seated.claims)
            full = filled == group.seats > 0
            last = last_admitted(seated.standings[-1], self.program, group) if full else None
            yield Cutoff(self.program.id, group.name, group.seats, filled, last)

    def waitlists(self) -> Iterator[Waitlist]:
        """Yield each group's waitlist: whoever was refused ranks the program above where they ended."""
        for place, seated in enumerate(self.groups):
            waiting = sorted(
                standing for claim in self.refused if isinstance(standing := claim.standings[place], Standing)
            )
            if waiting:
                tickets = tuple(standing.ticket for standing in waiting)
                yield Waitlist(self.program.id, seated.group.name, tickets)


def match(market: Market, *, seed: bytes, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked) -> Outcome:
    """Match a market's applicants to its seats.

    `seed` is this round's, 32 bytes; `seeds` are those of earlier rounds in which applicants were drawn.

    Raises:
        UnusableSeed: if a seed has not 32 bytes, or one is missing.
    """
    standings = Standings(market, Draw(market, seed=seed, seeds=seeds))
    programs = sorted(market.programs, key=lambda program: program.id)
    fillings = {program.id: Filling(program, standings.groups[program.id]) for program in programs}
    siblings_at: dict[str, set[str]] = defaultdict(set)  # by household: schools where a member was placed
    for applicants in grades_in_turn(market):
        match_together(track(applicants, "matching", len(applicants)), fillings, standings, siblings_at)
        note_schools(fillings.values(), {applicant.grade for applicant in applicants}, siblings_at)
    placements = sorted(
        chain.from_iterable(filling.placements() for filling in fillings.values()), key=lambda p: p.applicant
    )
    placed = {placement.applicant for placement in placements}
    return Outcome(
        market=market.digest(),
        seed=seed.hex(),
        placements=tuple(placements),
        unplaced=tuple(sorted(a.id for a in market.applicants if a.id not in placed)),
        cutoffs=tuple(chain.from_iterable(filling.cutoffs() for filling in fillings.values())),
        waitlists=tuple(chain.from_iterable(filling.waitlists() for filling in fillings.values())),
    )


def match_together(
    applicants: Iterable[Applicant],
    fillings: Mapping[str, Filling],
    standings: Standings,
    siblings_at: Mapping[str, Collection[str]],
) -> None:
    """Let applicants propose, best first, until each has a seat or has asked everywhere.

    In which order they begin changes nothing.
    """
    school_of = {filling.program.id: filling.program.school for filling in fillings.values()}
    for applicant in applicants:
        siblings = siblings_at.get(applicant.household, ()) if applicant.household else ()
        ranking = ranking_as_matched(applicant, school_of, siblings)
        proposer: Proposer | None = Proposer(applicant, siblings, ranking)
        while proposer:
            program = next(proposer.still_to_ask, None)
            if program is None:
                break
            filling = fillings[program]
            standing = standings.at(proposer.applicant, filling.program, proposer.siblings_at)
            proposer = filling.choose_with(Claim(proposer, standing))


def note_schools(fillings: Iterable[Filling], grades: Collection[str], siblings_at: Mapping[str, set[str]]) -> None:
    """Note for each household at which schools its members of these grades were placed."""
    for filling in fillings:
        if filling.program.grade in grades:
            for claim in chain.from_iterable(seated.claims for seated in filling.groups):
                household = claim.proposer.applicant.household
                if household:
                    siblings_at[household].add(filling.program.school)


def last_admitted(standing: Standing, program: Program, group: SeatGroup) -> LastAdmitted:
    """Say what a family needs to know to hold its own standing against the last one admitted."""
    ranked = isinstance(program.tie_break, Ranked)
    return LastAdmitted(
        holder=not standing.not_holder,
        meets=not standing.not_met,
        late=bool(standing.late or standing.late_in_class),
        class_=group.classes[standing.priority],
        number=None if ranked else standing.number.hex(),
        position=position_of(standing) if ranked else None,
    )
