"""The fast engine: deferred acceptance on a compiled market (lottery.md, section 9).

Every entry of a ranking is replaced by the program's seat groups in precedence order, which is the same match. A
standing is one whole number (`lottery.fast.kernel`), and of it a new draw changes the rank alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from lottery.fast import kernel
from lottery.fast.columns import NONE, Int32s, Int64s, MarketInColumns, Truths, in_columns
from lottery.fast.compile import Compiled, Rows, Source, compile_market, lay_out_with_siblings
from lottery.fast.ranks import Numbers, OfficialNumbers
from lottery.market.json_reader import Fault, UnusableInput
from lottery.market.model import Market
from lottery.market.outcome import Cutoff, LastAdmitted, Outcome, Placement, Waitlist
from lottery.market.rules import Ranked
from lottery.match.reference import NO_SEEDS
from lottery.progress import Track, untracked

LONGEST = 63
"""Bits of the longest standing."""


def match(market: Market, *, seed: bytes, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked) -> Outcome:
    """Match a market's applicants to its seats; the same, byte for byte, as `lottery.match.reference.match`.

    Raises:
        UnusableSeed: if a seed has not 32 bytes, or one is missing.
    """
    return match_columns(in_columns(market), seed=seed, seeds=seeds, track=track)


def match_columns(
    market: MarketInColumns, *, seed: bytes, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked
) -> Outcome:
    """Match a market whose applicants are columns.

    Raises:
        UnusableSeed: if a seed has not 32 bytes, or one is missing.
    """
    numbers = OfficialNumbers(market, seed=seed, seeds=seeds)
    compiled = compile_market(market)
    return outcome_of(compiled, solve(compiled, numbers, track=track), numbers, seed=seed)


@dataclass(frozen=True, slots=True)
class Ranks:
    """How the numbers of one draw order the applicants; equal ranks go by ticket.

    Where one order counts at every program, `for_all` are the applicants' ranks in it, and the rest is empty. Otherwise
    `of_source[source]` are their ranks in each order of all, and `own` those of entries at programs with an order of
    their own.
    """

    for_all: Int32s
    of_source: Int32s
    own: Int32s
    bits: int
    """Bits that a rank takes in a standing."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn's rows and its applicants' ranks; where they differ by program, the standings at all slots instead."""

    rows: Rows
    ranks: Int32s
    standings: Int64s


@dataclass(frozen=True, slots=True)
class Matched:
    """A market, matched.

    `group_of` is each applicant's seat group, or NONE, and `slot_of` the slot by which they came to it. `seated`,
    `filled` and `cutoff` are as `lottery.fast.kernel` has them. `near` says at which entries siblings were placed at
    the school before the applicant's turn; it is empty where siblings do not matter.
    """

    group_of: Int32s
    slot_of: Int64s
    seated: Int64s
    filled: Int32s
    cutoff: Int64s
    near: Truths
    rank_bits: int
    slot_bits: int
    turns: list[Turn] = field(default_factory=list)


def solve(compiled: Compiled, numbers: Numbers, *, track: Track = untracked) -> Matched:
    """Match a compiled market on the numbers of one draw.

    Raises:
        UnusableInput: if standings need more bits than there are.
    """
    return match_on(compiled, ranks_in(compiled, numbers), track=track)


def match_on(compiled: Compiled, ranks: Ranks, *, track: Track = untracked) -> Matched:
    """Match a compiled market on the ranks of one draw.

    Raises:
        UnusableInput: if standings need more bits than there are.
    """
    matched = _nobody_seated(compiled, ranks)
    for turn, applicants in enumerate(track(compiled.turns, "matching", len(compiled.turns))):
        if compiled.siblings_matter:
            _look_for_siblings(compiled, matched, applicants)
            rows = lay_out_with_siblings(compiled, applicants, matched.near)
        else:
            rows = compiled.rows[turn]
        matched.turns.append(_turn(compiled, ranks, matched, applicants, rows))
        _seat(compiled, matched, matched.turns[turn])
    return matched


def ranks_in(compiled: Compiled, numbers: Numbers) -> Ranks:
    """Order the applicants by the numbers of one draw."""
    none = np.empty(0, np.int32)
    everywhere = sorted(compiled.sources - {Source.OWN})
    if len(compiled.sources) == len(everywhere) == 1:
        return Ranks(numbers.ranks(everywhere[0]), none.reshape(0, 0), none, numbers.bits)
    of_source = np.zeros((len(Source), len(compiled.market.applicants)), np.int32)
    for source in everywhere:
        of_source[source] = numbers.ranks(source)
    own = compiled.position.copy() if compiled.position.size else np.zeros(compiled.entry_program.size, np.int32)
    for apart in compiled.drawn_apart:
        own[apart.entries] = numbers.ranks_at(apart)
    return Ranks(none, of_source, own, max(numbers.bits, int(compiled.position.max(initial=0)).bit_length()))


def _nobody_seated(compiled: Compiled, ranks: Ranks) -> Matched:
    applicants = len(compiled.market.applicants)
    bits = bits_without_rank(compiled) + ranks.bits
    if bits > LONGEST:
        problem = f"needs standings of {bits} bits, and {LONGEST} is the most that the fast engine has"
        raise UnusableInput([Fault("market", "$", problem, "match it with the reference engine")])
    room = np.diff(compiled.seat_start)
    return Matched(
        group_of=np.full(applicants, NONE, np.int32),
        slot_of=np.full(applicants, NONE, np.int64),
        seated=np.empty(int(compiled.seat_start[-1]), np.int64),
        filled=np.zeros(room.size, np.int32),
        cutoff=np.where(room > 0, kernel.UNFILLED, NONE),
        near=np.zeros(compiled.entry_program.size if compiled.siblings_matter else 0, np.bool_),
        rank_bits=ranks.bits,
        slot_bits=compiled.slot_bits,
    )


def bits_without_rank(compiled: Compiled) -> int:
    """Return how many bits the rest of a standing takes."""
    return len(compiled.slots.statics).bit_length() + compiled.slot_bits


def _look_for_siblings(compiled: Compiled, matched: Matched, applicants: Int32s) -> None:
    kernel.look_for_siblings(
        applicants,
        compiled.entry_start,
        compiled.entry_school,
        compiled.market.applicants.household.codes,
        compiled.members,
        compiled.members_start,
        matched.group_of,
        compiled.program_of,
        compiled.school,
        matched.near,
    )


def _turn(compiled: Compiled, ranks: Ranks, matched: Matched, applicants: Int32s, rows: Rows) -> Turn:
    none = np.empty(0, np.int64)
    if ranks.for_all.size:
        return Turn(rows, ranks.for_all[applicants], none)
    standings = np.empty(rows.words.size, np.int64)
    kernel.stand(
        rows.words,
        rows.starts,
        compiled.slots.group_bits,
        ranks.bits,
        matched.slot_bits,
        compiled.entry_start,
        compiled.entry_program,
        compiled.program_of,
        compiled.source,
        ranks.of_source,
        ranks.own,
        standings,
    )
    return Turn(rows, np.zeros(applicants.size, np.int32), standings)


def _seat(compiled: Compiled, matched: Matched, turn: Turn) -> None:
    slots = compiled.slots
    kernel.accept_and_refuse(
        turn.rows.words,
        turn.rows.starts,
        turn.ranks,
        turn.standings,
        slots.end,
        slots.group_bits,
        matched.rank_bits,
        matched.slot_bits,
        compiled.seat_start,
        matched.filled,
        matched.cutoff,
        matched.seated,
    )
    kernel.settle(
        turn.rows.words,
        turn.rows.starts,
        turn.ranks,
        turn.standings,
        slots.group_bits,
        matched.rank_bits,
        matched.slot_bits,
        matched.cutoff,
        matched.group_of,
        matched.slot_of,
    )


def outcome_of(compiled: Compiled, matched: Matched, numbers: OfficialNumbers, *, seed: bytes) -> Outcome:
    """Write down a match as an outcome; `numbers` are those that it was matched on, `seed` is this round's."""
    market, tickets = compiled.market, compiled.market.applicants.tickets
    groups = [compiled.group(index) for index in range(len(compiled.seats))]
    placed = np.flatnonzero(matched.group_of != NONE)
    group_of = matched.group_of[placed]
    starts = market.applicants.ranking_start
    places = kernel.places(starts, market.applicants.ranking, compiled.program_of, matched.group_of)[placed]
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
    worst = kernel.last_admitted(matched.group_of, matched.slot_of, matched.cutoff, matched.slot_bits)
    for index, (seats, filled) in enumerate(zip(compiled.seats, matched.filled.tolist(), strict=True)):
        program, group = compiled.group(index)
        full = filled == seats > 0
        last = _last_admitted(compiled, matched, numbers, index, worst[index : index + 1]) if full else None
        yield Cutoff(program.id, group, seats, filled, last)


def _last_admitted(
    compiled: Compiled, matched: Matched, numbers: OfficialNumbers, index: int, applicant: Int32s
) -> LastAdmitted:
    program, group = compiled.group(index)
    above = int(matched.cutoff[index]) >> matched.slot_bits
    static = compiled.slots.statics[above >> matched.rank_bits]
    screened = isinstance(program.tie_break, Ranked)
    number = None if screened else numbers.number(int(compiled.program_of[index]), applicant)
    return LastAdmitted(
        holder=not static.not_holder,
        meets=not static.not_met,
        late=static.late or static.late_in_class,
        class_=program.classes_at(group)[static.priority],
        number=None if number is None else number.hex(),
        position=above & ((1 << matched.rank_bits) - 1) if screened else None,
    )


def _waitlists(compiled: Compiled, matched: Matched) -> Iterator[Waitlist]:
    tickets, slots = compiled.market.applicants.tickets, compiled.slots
    lists: dict[int, list[int]] = {}
    for turn in matched.turns:
        starts, waiting = kernel.waiting(
            turn.rows.words,
            turn.rows.starts,
            turn.ranks,
            turn.standings,
            slots.end,
            slots.group_bits,
            matched.rank_bits,
            matched.slot_bits,
            compiled.program_of,
            matched.group_of,
        )
        for index in np.flatnonzero(np.diff(starts)).tolist():
            lists[index] = waiting[starts[index] : starts[index + 1]].tolist()
    for index in sorted(lists):
        program, group = compiled.group(index)
        yield Waitlist(program.id, group, tuple(map(tickets.__getitem__, lists[index])))
