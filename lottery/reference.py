"""The match in plain Python: the specification that runs (lottery.md, section 4).

Applicant-proposing deferred acceptance (Gale & Shapley 1962) in which a program chooses by filling its seat groups in
precedence order (slot-specific priorities, Kominers & Sönmez 2016; precedence, Dur, Kominers, Pathak & Sönmez 2018).
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from lottery.draw import Draw
from lottery.market import Applicant, Market
from lottery.outcome import Cutoff, LastAdmitted, Outcome, Placement, Waitlist
from lottery.progress import Track, untracked
from lottery.rules import Program, Ranked
from lottery.siblings import grades_in_turn, ranking_as_matched
from lottery.standing import Barred, SeatGroup, Standing, Standings, position_of

NO_SEEDS: Mapping[str, bytes] = {}


class Claim(NamedTuple):
    """An applicant before a program, with the standing at each of its groups."""

    applicant: Applicant
    standings: Sequence[Standing | Barred]


class Filling:
    """One program's seats while they are being filled."""

    def __init__(self, program: Program, groups: Sequence[SeatGroup]) -> None:
        self.program = program
        self.groups = groups
        self.seated: list[list[tuple[Standing, Claim]]] = [[] for _ in groups]  # each in order of standing
        self.refused: list[Claim] = []

    def choose_with(self, claim: Claim) -> Applicant | None:
        """Choose anew with one claim more, and return the applicant who is left over, if any.

        Every group holds its best so far. A claim goes to the groups in precedence order; where it is considered, it
        takes its place, and when that makes one too many, the last of the group goes on to the next group instead.
        Since nobody else leaves, this is what filling all groups afresh from everybody who ever asked would give.
        """
        for place, group in enumerate(self.groups):
            standing = claim.standings[place]
            if isinstance(standing, Barred):
                continue
            seated = self.seated[place]
            insort(seated, (standing, claim))
            if len(seated) <= group.seats:
                return None
            _, claim = seated.pop()
        self.refused.append(claim)
        return claim.applicant

    def placements(self) -> Iterator[Placement]:
        """Yield who sits where."""
        for group, seated in zip(self.groups, self.seated, strict=True):
            for _, claim in seated:
                ranking, program = claim.applicant.ranking, self.program.id
                choice = ranking.index(program) + 1 if program in ranking else None
                yield Placement(claim.applicant.id, program, group.name, choice)

    def cutoffs(self) -> Iterator[Cutoff]:
        """Yield each group's cutoff."""
        for group, seated in zip(self.groups, self.seated, strict=True):
            full = len(seated) == group.seats > 0
            last = last_admitted(seated[-1][0], self.program, group) if full else None
            yield Cutoff(self.program.id, group.name, group.seats, len(seated), last)

    def waitlists(self) -> Iterator[Waitlist]:
        """Yield each group's waitlist: whoever was refused ranks the program above where they ended."""
        for place, group in enumerate(self.groups):
            waiting = sorted(
                standing for claim in self.refused if isinstance(standing := claim.standings[place], Standing)
            )
            if waiting:
                tickets = tuple(standing.ticket for standing in waiting)
                yield Waitlist(self.program.id, group.name, tickets)


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
    still_to_ask: dict[str, Iterator[str]] = {}
    for applicant in applicants:
        proposer: Applicant | None = applicant
        while proposer:
            siblings = siblings_at.get(proposer.household, ()) if proposer.household else ()
            if proposer.id not in still_to_ask:
                still_to_ask[proposer.id] = iter(ranking_as_matched(proposer, school_of, siblings))
            program = next(still_to_ask[proposer.id], None)
            if program is None:
                break
            filling = fillings[program]
            claim = Claim(proposer, standings.at(proposer, filling.program, siblings))
            proposer = filling.choose_with(claim)


def note_schools(fillings: Iterable[Filling], grades: Collection[str], siblings_at: Mapping[str, set[str]]) -> None:
    """Note for each household at which schools its members of these grades were placed."""
    for filling in fillings:
        if filling.program.grade in grades:
            for _, claim in chain.from_iterable(filling.seated):
                if claim.applicant.household:
                    siblings_at[claim.applicant.household].add(filling.program.school)


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
