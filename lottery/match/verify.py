"""Check an outcome without trusting who made it (lottery.md, section 9).

Each check stands alone: it looks at the market, at the numbers drawn again from the seeds, and at what the outcome
says, and complains by applicant, program and rule. When all are content, the outcome must still be, byte for byte, what
the reference engine gives, since the checks alone do not pin it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from lottery.market.model import Applicant, Market
from lottery.market.outcome import Cutoff, Outcome, Placement, last_document
from lottery.market.rules import Program
from lottery.match.lottery_numbers import Draw
from lottery.match.reference import NO_SEEDS, last_admitted, match
from lottery.match.siblings import PlacedSiblings, ranking_as_matched
from lottery.match.standing import Barred, SeatGroup, Standing, Standings
from lottery.progress import Track, untracked

_SEED = re.compile(r"[0-9a-f]{64}")


class Rule(StrEnum):
    """What an outcome must keep, in the order in which it is checked."""

    SEED = "the seed is 64 hex digits"
    MARKET = "the outcome is of this market"
    KNOWN = "no unknown names"
    ONCE = "everyone exactly once"
    RANKED = "placed where ranked or held"
    CHOICE = "choice counted right"
    CONSIDERED = "placed where considered"
    SEATS = "no more placed than seats"
    HOLDERS = "holders not below their seat"
    WASTE = "no seat wasted"
    ENVY = "no justified envy"
    NUMBERS = "numbers drawn right"
    CUTOFFS = "cutoffs as they are"
    WAITLISTS = "waitlists as they are"
    ORDER = "lists in order"
    REFERENCE = "the same as the reference, byte for byte"


@dataclass(frozen=True, slots=True)
class Complaint:
    """A rule that is broken, by whose placement and where; None where it is about no one applicant or program."""

    rule: Rule
    applicant: str | None
    program: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.without_rule()}"

    def without_rule(self) -> str:
        """Return whom and what it is about, on one line."""
        about = [f"applicant {self.applicant}"] if self.applicant else []
        about += [f"program {self.program}"] if self.program else []
        line = ": ".join([*about, self.text])
        # Names come from a file that nobody vouches for: what is not printable could fool a terminal.
        return line if line.isprintable() else line.encode("unicode_escape").decode("ascii")


class Claim(NamedTuple):
    """An applicant who would have a program, and the standing at each of its groups."""

    applicant: Applicant
    standings: Sequence[Standing | Barred]


class Group(NamedTuple):
    """A seat group with those who sit there and those who would rather, as the outcome has it."""

    program: Program
    place: int
    group: SeatGroup
    seated: Sequence[Claim]
    claimants: Sequence[Claim]

    def standings(self, claims: Iterable[Claim]) -> list[Standing]:
        """Return the standings at this group of those who are considered here, best first."""
        return sorted(at for claim in claims if isinstance(at := claim.standings[self.place], Standing))


class Record:
    """What an outcome says of a market, laid out for the checks.

    Names that the market does not know are left out; a check of their own complains of them.
    """

    def __init__(self, market: Market, outcome: Outcome, draw: Draw) -> None:
        self.market = market
        self.outcome = outcome
        self.draw = draw
        self.programs = {program.id: program for program in sorted(market.programs, key=lambda program: program.id)}
        self.applicants = {applicant.id: applicant for applicant in market.applicants}
        self.placement: dict[str, Placement] = {}
        self.seated: dict[tuple[str, str], list[Claim]] = {}
        self.above: dict[str, list[Claim]] = {program: [] for program in self.programs}
        self._standings = Standings(market, draw)
        self._note_placements()
        self._school_of = {program.id: program.school for program in market.programs}
        placed = ((self.applicants[seat.applicant], self._school_of[seat.program]) for seat in self.placement.values())
        self._siblings = PlacedSiblings(market, placed)
        self._note_claims()

    def knows(self, program: str, group: str) -> bool:
        """Say whether the market has this group."""
        return program in self.programs and group in self.programs[program].precedence

    def groups(self) -> Iterator[Group]:
        """Yield every group; who sits in a later group of a program would rather sit in an earlier one."""
        for program in self.programs.values():
            in_later_groups: list[Claim] = []
            reversed_groups = []
            for place, group in reversed(list(enumerate(self._standings.groups[program.id]))):
                seated = self.seated.get((program.id, group.name), [])
                claimants = [*self.above[program.id], *in_later_groups]
                reversed_groups.append(Group(program, place, group, seated, claimants))
                in_later_groups = [*in_later_groups, *seated]
            yield from reversed(reversed_groups)

    def ranking(self, applicant: Applicant) -> Sequence[str]:
        """Return the programs to which the applicant proposes in the match, best first."""
        return ranking_as_matched(applicant, self._school_of, self._siblings.schools(applicant))

    def _note_placements(self) -> None:
        for placement in self.outcome.placements:
            if placement.applicant in self.applicants and self.knows(placement.program, placement.group):
                self.placement.setdefault(placement.applicant, placement)

    def _note_claims(self) -> None:
        for applicant in self.market.applicants:
            siblings = self._siblings.schools(applicant)
            ended = self.placement.get(applicant.id)
            for program in ranking_as_matched(applicant, self._school_of, siblings):
                if ended and ended.program == program:
                    break
                standings = self._standings.at(applicant, self.programs[program], siblings)
                self.above[program].append(Claim(applicant, standings))
            if ended:
                standings = self._standings.at(applicant, self.programs[ended.program], siblings)
                self.seated.setdefault((ended.program, ended.group), []).append(Claim(applicant, standings))


def same_market(record: Record) -> Iterator[Complaint]:
    """Hold the digest in the outcome against the market's own."""
    digest = record.market.digest()
    if record.outcome.market != digest:
        yield Complaint(Rule.MARKET, None, None, f"the market's digest is {digest}, the outcome names another")


def known_names(record: Record) -> Iterator[Complaint]:
    """Look for applicants, programs and groups that the market does not have."""
    outcome = record.outcome
    named = [(placement.program, placement.group) for placement in outcome.placements]
    named += [(cutoff.program, cutoff.group) for cutoff in outcome.cutoffs]
    named += [(waitlist.program, waitlist.group) for waitlist in outcome.waitlists]
    for program, group in named:
        if not record.knows(program, group):
            yield Complaint(Rule.KNOWN, None, program, f"the market has no such program with a group {group}")
    tickets = [*(placement.applicant for placement in outcome.placements), *outcome.unplaced]
    tickets += [ticket for waitlist in outcome.waitlists for ticket in waitlist.applicants]
    for ticket in tickets:
        if ticket not in record.applicants:
            yield Complaint(Rule.KNOWN, ticket, None, "the market has no such applicant")


def everyone_once(record: Record) -> Iterator[Complaint]:
    """Count how often each applicant is placed or named as unplaced."""
    times = Counter(placement.applicant for placement in record.outcome.placements)
    times.update(record.outcome.unplaced)
    for ticket in record.applicants:
        if times[ticket] != 1:
            yield Complaint(Rule.ONCE, ticket, None, f"is named {times[ticket]} times among placements and unplaced")


def placed_where_ranked(record: Record) -> Iterator[Complaint]:
    """Look for placements that the applicant neither ranked nor held."""
    for placement in record.placement.values():
        applicant = record.applicants[placement.applicant]
        held = applicant.holds and applicant.holds.program == placement.program
        if placement.program not in applicant.ranking and not held:
            yield Complaint(
                Rule.RANKED, applicant.id, placement.program, "is placed there but neither ranks nor holds it"
            )


def choice_counted(record: Record) -> Iterator[Complaint]:
    """Count each placement's choice in the ranking as submitted."""
    for placement in record.placement.values():
        ranking = record.applicants[placement.applicant].ranking
        choice = ranking.index(placement.program) + 1 if placement.program in ranking else None
        if placement.choice != choice:
            text = f"the outcome says choice {placement.choice}, the ranking has it as {choice}"
            yield Complaint(Rule.CHOICE, placement.applicant, placement.program, text)


def placed_where_considered(record: Record) -> Iterator[Complaint]:
    """Look for placements in groups where the applicant could not be considered."""
    for program, place, group, seated, _ in record.groups():
        for claim in seated:
            barred = claim.standings[place]
            if isinstance(barred, Barred):
                text = f"is placed in group {group.name} but is not considered there: {barred}"
                yield Complaint(Rule.CONSIDERED, claim.applicant.id, program.id, text)


def seats_kept(record: Record) -> Iterator[Complaint]:
    """Count who sits in each group against its seats."""
    seated = Counter((placement.program, placement.group) for placement in record.outcome.placements)
    for program, _, group, _, _ in record.groups():
        placed = seated[program.id, group.name]
        if placed > group.seats:
            text = f"group {group.name} has {group.seats} seats and {placed} placements"
            yield Complaint(Rule.SEATS, None, program.id, text)


def holders_kept(record: Record) -> Iterator[Complaint]:
    """Look for holders of a seat who ended anywhere but there or higher."""
    for applicant in record.market.applicants:
        if applicant.holds is None:
            continue
        placement = record.placement.get(applicant.id)
        if placement is None or placement.program not in record.ranking(applicant):
            ended = f"ended in {placement.program}" if placement else "ended without a seat"
            text = f"holds a seat there and {ended}, which is not higher"
            yield Complaint(Rule.HOLDERS, applicant.id, applicant.holds.program, text)


def no_seat_wasted(record: Record) -> Iterator[Complaint]:
    """Look for a free seat and somebody considered for it who would rather have it than what they got."""
    for program, place, group, seated, claimants in record.groups():
        if len(seated) >= group.seats:
            continue
        for claim in claimants:
            if isinstance(claim.standings[place], Standing):
                text = f"would rather sit in group {group.name}, where {group.seats - len(seated)} seats are free"
                yield Complaint(Rule.WASTE, claim.applicant.id, program.id, text)


def no_justified_envy(record: Record) -> Iterator[Complaint]:
    """Look for somebody who would rather sit where another sits who stands behind them."""
    for here in record.groups():
        seated = here.standings(here.seated)
        if not seated:
            continue
        last = seated[-1]
        for standing in here.standings(here.claimants):
            if standing < last:
                text = f"stands before {last.ticket} in group {here.group.name}, who sits there"
                yield Complaint(Rule.ENVY, standing.ticket, here.program.id, text)


def numbers_drawn_right(record: Record) -> Iterator[Complaint]:
    """Draw the number of each last one admitted again, or look the position up in the school's list."""
    for expected, stated in _cutoffs_side_by_side(record):
        if expected.last and stated.last:
            right = (expected.last.number, expected.last.position)
            said = (stated.last.number, stated.last.position)
            if said != right:
                text = f"the last one admitted to group {expected.group} has another number or position"
                yield Complaint(Rule.NUMBERS, None, expected.program, text)


def cutoffs_as_they_are(record: Record) -> Iterator[Complaint]:
    """Work out each group's cutoff again."""
    stated = Counter((cutoff.program, cutoff.group) for cutoff in record.outcome.cutoffs)
    for program, _, group, _, _ in record.groups():
        if stated[program.id, group.name] != 1:
            text = f"group {group.name} has {stated[program.id, group.name]} cutoffs"
            yield Complaint(Rule.CUTOFFS, None, program.id, text)
    for expected, said in _cutoffs_side_by_side(record):
        wrong = _differences(expected, said)
        if wrong:
            text = f"the cutoff of group {expected.group} should have {', '.join(wrong)}"
            yield Complaint(Rule.CUTOFFS, None, expected.program, text)


def waitlists_as_they_are(record: Record) -> Iterator[Complaint]:
    """Work out each group's waitlist again."""
    stated: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for waitlist in record.outcome.waitlists:
        stated.setdefault((waitlist.program, waitlist.group), []).append(waitlist.applicants)
    for here in record.groups():
        waiting = here.standings(record.above[here.program.id])
        expected = [tuple(standing.ticket for standing in waiting)] if waiting else []
        said = stated.get((here.program.id, here.group.name), [])
        if said != expected:
            applicant = _first_difference([*said, ()][0], [*expected, ()][0])
            text = f"the waitlist of group {here.group.name} is not those who wait there, in order of standing, once"
            yield Complaint(Rule.WAITLISTS, applicant, here.program.id, text)


def lists_in_order(record: Record) -> Iterator[Complaint]:
    """Check the order of every list of the outcome."""
    outcome = record.outcome
    for name, tickets in (
        ("placements", [placement.applicant for placement in outcome.placements]),
        ("unplaced", outcome.unplaced),
    ):
        for before, after in pairwise(tickets):
            if before >= after:
                yield Complaint(Rule.ORDER, after, None, f"stands after {before} in {name}, which are sorted by id")
    turn = {(here.program.id, here.group.name): position for position, here in enumerate(record.groups())}
    for name, groups in (
        ("cutoffs", [(cutoff.program, cutoff.group) for cutoff in outcome.cutoffs]),
        ("waitlists", [(waitlist.program, waitlist.group) for waitlist in outcome.waitlists]),
    ):
        for previous, group in pairwise(groups):
            if turn.get(previous, -1) >= turn.get(group, -1):
                text = f"group {group[1]} is out of place in {name}, which run by program id, then precedence"
                yield Complaint(Rule.ORDER, None, group[0], text)


def same_as_reference(record: Record) -> Iterator[Complaint]:
    """Run the reference engine and compare the bytes."""
    reference = match(record.market, seed=bytes.fromhex(record.outcome.seed), seeds=record.draw.seeds)
    if reference.to_bytes() == record.outcome.to_bytes():
        return
    right = {placement.applicant: placement for placement in reference.placements}
    said = {placement.applicant: placement for placement in record.outcome.placements}
    for ticket in sorted(right.keys() | said.keys()):
        if right.get(ticket) != said.get(ticket):
            text = f"the reference gives {_seat(right.get(ticket))}, the outcome {_seat(said.get(ticket))}"
            program = right.get(ticket) or said[ticket]
            yield Complaint(Rule.REFERENCE, ticket, program.program, text)
    for part in ("market", "placements", "unplaced", "cutoffs", "waitlists"):
        if reference.document()[part] != record.outcome.document()[part]:
            yield Complaint(Rule.REFERENCE, None, None, f"{part}: the reference gives another")


Check = Callable[[Record], Iterator[Complaint]]

CHECKS: Mapping[Rule, Check] = {
    Rule.MARKET: same_market,
    Rule.KNOWN: known_names,
    Rule.ONCE: everyone_once,
    Rule.RANKED: placed_where_ranked,
    Rule.CHOICE: choice_counted,
    Rule.CONSIDERED: placed_where_considered,
    Rule.SEATS: seats_kept,
    Rule.HOLDERS: holders_kept,
    Rule.WASTE: no_seat_wasted,
    Rule.ENVY: no_justified_envy,
    Rule.NUMBERS: numbers_drawn_right,
    Rule.CUTOFFS: cutoffs_as_they_are,
    Rule.WAITLISTS: waitlists_as_they_are,
    Rule.ORDER: lists_in_order,
    Rule.REFERENCE: same_as_reference,
}


def verify(
    market: Market, outcome: Outcome, *, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked
) -> tuple[Complaint, ...]:
    """Return every complaint about an outcome of a market; none means that it is right.

    `seeds` are those of earlier rounds in which applicants were drawn. This does not prove where a seed came from.

    Raises:
        UnusableSeed: if the seed of an earlier round is missing or has not 32 bytes.
    """
    if not _SEED.fullmatch(outcome.seed):
        return (Complaint(Rule.SEED, None, None, "nothing can be drawn again from it"),)
    draw = Draw(market, seed=bytes.fromhex(outcome.seed), seeds=seeds)
    record = Record(market, outcome, draw)
    found: list[Complaint] = []
    for check in track(CHECKS.values(), "checking", len(CHECKS)):
        found.extend(check(record))
    return tuple(found)


def _cutoffs_side_by_side(record: Record) -> Iterator[tuple[Cutoff, Cutoff]]:
    """Yield each group's cutoff as it should be and as the outcome has it, where it has it."""
    stated = {(cutoff.program, cutoff.group): cutoff for cutoff in record.outcome.cutoffs}
    for here in record.groups():
        said = stated.get((here.program.id, here.group.name))
        if said:
            standings = here.standings(here.seated)
            full = len(here.seated) == here.group.seats > 0
            last = last_admitted(standings[-1], here.program, here.group) if full and standings else None
            yield Cutoff(here.program.id, here.group.name, here.group.seats, len(here.seated), last), said


def _differences(expected: Cutoff, said: Cutoff) -> list[str]:
    """Name what a cutoff should have instead of what it says; the number has a check of its own."""
    wrong = [
        f"{name} {right}"
        for name, right, stated in (
            ("seats", expected.seats, said.seats),
            ("filled", expected.filled, said.filled),
        )
        if right != stated
    ]
    if expected.last is None or said.last is None:
        return wrong + ["a last one admitted" if expected.last else "no last one admitted"] * (
            expected.last != said.last
        )
    right_last, said_last = last_document(expected.last) or {}, last_document(said.last) or {}
    named = ("holder", "meets", "late", "class")
    return wrong + [f"last {name} {right_last[name]}" for name in named if right_last[name] != said_last[name]]


def _first_difference(said: Sequence[str], expected: Sequence[str]) -> str | None:
    differing = [ticket for ticket, other in zip(said, expected, strict=False) if ticket != other]
    rest = [*said[len(expected) :], *expected[len(said) :]]
    return next(iter([*differing, *rest]), None)


def _seat(placement: Placement | None) -> str:
    return f"{placement.program}/{placement.group}, choice {placement.choice}" if placement else "no seat"
