"""Match a compiled market with deferred acceptance (docs/reference/specification.md, section 9).

Each program in a ranking is replaced by the program's seat groups in precedence order, which gives the same matching.
A standing is one whole number (`lottery.fast.proposal_lists`). A new draw changes only the rank in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from lottery.fast import deferred_acceptance
from lottery.fast.columns import NONE, Int32s, Int64s, MarketInColumns, Truths, in_columns
from lottery.fast.compile import Compiled, compile_market
from lottery.fast.deferred_acceptance import UNFILLED, Admissions, Turn
from lottery.fast.number_sources import Source
from lottery.fast.proposal_lists import ProposalLists, StandingBits, proposal_lists_with_siblings, standings_of
from lottery.fast.ranking_loops import mark_placed_siblings, ranked_places
from lottery.fast.ranks import Numbers, OfficialNumbers
from lottery.market.json_reader import Fault, UnusableInput
from lottery.market.model import Market
from lottery.market.outcome import Cutoff, LastAdmitted, Outcome, Placement, Waitlist
from lottery.market.rules import Ranked
from lottery.match.cohorts import draw_of_cohort, draws_that_count
from lottery.match.reference import NO_SEEDS
from lottery.progress import Track, untracked

MAX_STANDING_BITS = 63
"""Bits of the longest standing, an int64 that is not negative."""


def match(market: Market, *, seed: bytes, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked) -> Outcome:
    """Match a market's applicants to its seats, with the same bytes as `lottery.match.reference.match`.

    Raises:
        UnusableSeed: if a seed is missing or is not 32 bytes long.
    """
    return match_columns(in_columns(market), seed=seed, seeds=seeds, track=track)


def match_columns(
    market: MarketInColumns, *, seed: bytes, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked
) -> Outcome:
    """Match a market whose applicants are columns.

    Raises:
        UnusableSeed: if a seed is missing or is not 32 bytes long.
    """
    numbers = OfficialNumbers(market, seed=seed, seeds=seeds)
    compiled = compile_market(market)
    return outcome_of(compiled, solve(compiled, numbers, track=track), numbers, seed=seed)


@dataclass(frozen=True, slots=True)
class Ranks:
    """The order of the applicants by the numbers of one draw. Applicants with equal ranks go by ticket.

    Where one order counts at every program, `for_all` has the applicants' ranks in it, and the rest is empty. Otherwise
    `by_source[source]` has their ranks in the order of that source, and `own` the ranks of entries at programs with
    numbers of their own.
    """

    for_all: Int32s
    by_source: Int32s
    own: Int32s
    bits: int
    """Bits that a rank takes in a standing."""


@dataclass(frozen=True, slots=True)
class Matched:
    """A matched market.

    `group_of` has each applicant's seat group, or NONE, and `candidate_of` the candidate through which the group
    admitted the applicant. `sibling_placed` says at which entries a sibling was placed at the school before the
    applicant's turn. It is empty where siblings do not matter.
    """

    group_of: Int32s
    candidate_of: Int64s
    admissions: Admissions
    sibling_placed: Truths
    bits: StandingBits
    turns: list[Turn] = field(default_factory=list)


def solve(compiled: Compiled, numbers: Numbers, *, track: Track = untracked) -> Matched:
    """Match a compiled market with the numbers of one draw.

    Raises:
        UnusableInput: if a standing needs more than 63 bits.
    """
    return match_on(compiled, ranks_in(compiled, numbers), track=track)


def match_on(compiled: Compiled, ranks: Ranks, *, track: Track = untracked) -> Matched:
    """Match a compiled market with the ranks of one draw.

    Raises:
        UnusableInput: if a standing needs more than 63 bits.
    """
    matched = _nobody_placed(compiled, ranks)
    for turn, applicants in enumerate(track(compiled.turns, "matching", len(compiled.turns))):
        lists = (
            _lists_with_siblings(compiled, matched, applicants) if compiled.siblings_matter else compiled.lists[turn]
        )
        matched.turns.append(_turn(compiled, ranks, matched, applicants, lists))
        _match_turn(compiled, matched, matched.turns[turn])
    return matched


def ranks_in(compiled: Compiled, numbers: Numbers) -> Ranks:
    """Rank the applicants by the numbers of one draw."""
    none = np.empty(0, np.int32)
    for_all = sorted(compiled.sources - {Source.OWN})
    if len(compiled.sources) == len(for_all) == 1:
        return Ranks(numbers.ranks(for_all[0]), none.reshape(0, 0), none, numbers.bits)
    by_source = np.zeros((len(Source), len(compiled.market.applicants)), np.int32)
    for source in for_all:
        by_source[source] = numbers.ranks(source)
    own = compiled.position.copy() if compiled.position.size else np.zeros(compiled.entry_program.size, np.int32)
    for program in compiled.own_numbers:
        own[program.entries] = numbers.ranks_at(program)
    return Ranks(none, by_source, own, max(numbers.bits, int(compiled.position.max(initial=0)).bit_length()))


def _nobody_placed(compiled: Compiled, ranks: Ranks) -> Matched:
    applicants = len(compiled.market.applicants)
    bits = bits_without_rank(compiled) + ranks.bits
    if bits > MAX_STANDING_BITS:
        problem = f"the market needs standings of {bits} bits, and the fast engine has {MAX_STANDING_BITS} bits"
        raise UnusableInput([Fault("market", "$", problem, "match it with the reference engine")])
    room = np.diff(compiled.seat_start)
    return Matched(
        group_of=np.full(applicants, NONE, np.int32),
        candidate_of=np.full(applicants, NONE, np.int64),
        admissions=Admissions(
            start=compiled.seat_start,
            filled=np.zeros(room.size, np.int32),
            cutoff=np.where(room > 0, UNFILLED, NONE),
            admitted=np.empty(int(compiled.seat_start[-1]), np.int64),
        ),
        sibling_placed=np.zeros(compiled.entry_program.size if compiled.siblings_matter else 0, np.bool_),
        bits=StandingBits(compiled.candidates.group_bits, ranks.bits, compiled.candidate_bits),
    )


def bits_without_rank(compiled: Compiled) -> int:
    """Return how many bits of a standing are left for parts other than the rank."""
    return len(compiled.candidates.statics).bit_length() + compiled.candidate_bits


def _lists_with_siblings(compiled: Compiled, matched: Matched, applicants: Int32s) -> ProposalLists:
    """Lay out one turn's proposal lists, after the placements of earlier turns."""
    columns = compiled.market.applicants
    mark_placed_siblings(
        applicants,
        compiled.entry_start,
        compiled.entry_school,
        columns.household.codes,
        compiled.members,
        compiled.members_start,
        _school_of_placement(compiled, matched),
        matched.sibling_placed,
    )
    return proposal_lists_with_siblings(
        compiled.candidates.words_by_sibling(),
        compiled.entries,
        applicants,
        sibling_placed=matched.sibling_placed,
        together=columns.together,
        held=columns.holds_program,
    )


def _school_of_placement(compiled: Compiled, matched: Matched) -> Int32s:
    """Return the school of each applicant's placement so far, or NONE."""
    school_of_group = np.append(compiled.school[compiled.program_of], np.int32(NONE))
    return school_of_group[matched.group_of]  # the last element is for NONE


def _turn(compiled: Compiled, ranks: Ranks, matched: Matched, applicants: Int32s, lists: ProposalLists) -> Turn:
    if ranks.for_all.size:
        return Turn(lists, ranks.for_all[applicants], np.empty(0, np.int64))
    standings = standings_of(
        lists, matched.bits, compiled.entries, compiled.program_of, compiled.source, ranks.by_source, ranks.own
    )
    return Turn(lists, np.zeros(applicants.size, np.int32), standings)


def _match_turn(compiled: Compiled, matched: Matched, turn: Turn) -> None:
    """Match the applicants of one turn."""
    admissions = matched.admissions
    deferred_acceptance.propose_until_settled(turn, matched.bits, compiled.candidates.end, admissions)
    deferred_acceptance.place_by_cutoffs(turn, matched.bits, admissions.cutoff, matched.group_of, matched.candidate_of)


def outcome_of(compiled: Compiled, matched: Matched, numbers: OfficialNumbers, *, seed: bytes) -> Outcome:
    """Return a match as an outcome.

    `numbers` are the numbers of the match. `seed` is this round's seed, 32 bytes.
    """
    market, tickets = compiled.market, compiled.market.applicants.tickets
    groups = [compiled.group(index) for index in range(len(compiled.seats))]
    placed = np.flatnonzero(matched.group_of != NONE)
    group_of = matched.group_of[placed]
    starts = market.applicants.ranking_start
    places = ranked_places(starts, market.applicants.ranking, compiled.program_of, matched.group_of)[placed]
    choices = np.where(places == NONE, 0, places - starts[placed] + 1)
    return Outcome(
        market=market.digest,
        seed=seed.hex(),
        placements=tuple(
            Placement(tickets[index], groups[group][0].id, groups[group][1], choice or None)
            for index, group, choice in zip(placed.tolist(), group_of.tolist(), choices.tolist(), strict=True)
        ),
        unplaced=tuple(tickets[index] for index in np.flatnonzero(matched.group_of == NONE).tolist()),
        cutoffs=tuple(_cutoffs(compiled, matched, numbers)),
        waitlists=tuple(_waitlists(compiled, matched)),
    )


def _cutoffs(compiled: Compiled, matched: Matched, numbers: OfficialNumbers) -> Iterator[Cutoff]:
    admissions = matched.admissions
    last_of_group = deferred_acceptance.last_admitted(
        matched.group_of, matched.candidate_of, admissions.cutoff, matched.bits.candidate
    )
    for index, (seats, filled) in enumerate(zip(compiled.seats, admissions.filled.tolist(), strict=True)):
        program, group = compiled.group(index)
        full = filled == seats > 0
        last = _last_admitted(compiled, matched, numbers, index, last_of_group[index : index + 1]) if full else None
        yield Cutoff(program.id, group, seats, filled, last)


def _last_admitted(
    compiled: Compiled, matched: Matched, numbers: OfficialNumbers, index: int, applicant: Int32s
) -> LastAdmitted:
    program, group = compiled.group(index)
    static_and_rank = int(matched.admissions.cutoff[index]) >> matched.bits.candidate
    static = compiled.candidates.statics[static_and_rank >> matched.bits.rank]
    cohort = max(static.late, static.late_in_class)
    screened = isinstance(program.tie_break, Ranked)
    number = None if screened else numbers.number(int(compiled.program_of[index]), applicant)
    return LastAdmitted(
        holder=not static.not_holder,
        meets=not static.not_met,
        late=cohort > 0,
        class_=program.classes_at(group)[static.priority],
        number=None if number is None else number.hex(),
        position=static_and_rank & ((1 << matched.bits.rank) - 1) if screened else None,
        drawn_in=draw_of_cohort(draws_that_count(compiled.market.round, program), cohort),
    )


def _waitlists(compiled: Compiled, matched: Matched) -> Iterator[Waitlist]:
    tickets = compiled.market.applicants.tickets
    lists: dict[int, list[int]] = {}
    for turn in matched.turns:
        starts, waiting = deferred_acceptance.waitlists(
            turn, matched.bits, compiled.candidates.end, compiled.program_of, matched.group_of
        )
        for index in np.flatnonzero(np.diff(starts)).tolist():
            lists[index] = waiting[starts[index] : starts[index + 1]].tolist()
    for index in sorted(lists):
        program, group = compiled.group(index)
        yield Waitlist(program.id, group, tuple(map(tickets.__getitem__, lists[index])))
