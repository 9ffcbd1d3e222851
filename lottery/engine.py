"""The fast engine: deferred acceptance on a compiled market (lottery.md, section 9).

Every entry of a ranking is replaced by the program's seat groups in precedence order, which is the same match. One draw
lays the slots out in the order of lottery numbers (`lottery.kernel`), so that nothing but whole numbers is compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from lottery import kernel
from lottery.columns import NONE, Int32s, Int64s, MarketInColumns, Truths, Words, in_columns
from lottery.compile import Compiled, Source, compile_market, empty_words
from lottery.market import Market
from lottery.numbers import Numbers, OfficialNumbers, order_of, ranks_of
from lottery.outcome import Cutoff, LastAdmitted, Outcome, Placement, Waitlist
from lottery.progress import Track, untracked
from lottery.reference import NO_SEEDS
from lottery.rules import GENERAL, Ranked

LONGEST = 63
"""Bits of the longest standing."""


class TooLarge(ValueError):
    """A market has more classes, applicants or entries than a standing has room for."""


def match(market: Market, *, seed: bytes, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked) -> Outcome:
    """Match a market's applicants to its seats; the same, byte for byte, as `lottery.reference.match`.

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
    """How the numbers of one draw order the applicants.

    Where one order counts at every program, `order` has the applicants by it, best first, and the rest is empty.
    Otherwise `order` has them by ticket, `of_source[source]` are everybody's ranks in an order of all, and `own` the
    ranks of entries at programs with orders of their own; equal ones go by ticket.
    """

    order: Int32s
    of_source: Int32s
    own: Int32s
    bits: int
    """Bits that a rank takes in a standing; 0 where one order counts."""


@dataclass(frozen=True, slots=True)
class LaidOut:
    """Slots of one turn's applicants in the order of one draw, and their standings where ranks differ by program."""

    words: Words
    starts: Int64s
    standings: Int64s


@dataclass(frozen=True, slots=True)
class Matched:
    """A market, matched.

    `group_of` is each applicant's seat group, or NONE, and `slot_of` the slot by which they came to it. `seated`,
    `filled` and `cutoff` are as `lottery.kernel` has them. A standing is its static part, above `rank_bits` bits of a
    rank and `slot_bits` of a slot.
    """

    group_of: Int32s
    slot_of: Int64s
    seated: Words
    filled: Int32s
    cutoff: Words
    rank_bits: int
    slot_bits: int
    turns: list[LaidOut] = field(default_factory=list)


def solve(compiled: Compiled, numbers: Numbers, *, track: Track = untracked) -> Matched:
    """Match a compiled market on the numbers of one draw.

    Raises:
        TooLarge: if standings need more bits than there are.
    """
    ranks = ranks_in(compiled, numbers)
    matched = _nobody_seated(compiled, ranks)
    near = np.zeros(compiled.entry_program.size if compiled.siblings_matter else 0, np.bool_)
    turns = list(_in_turn(compiled, ranks.order))
    for applicants in track(turns, "matching", len(turns)):
        if compiled.siblings_matter:
            _look_for_siblings(compiled, matched, applicants, near)
        laid_out = _lay_out(compiled, ranks, applicants, near, matched.slot_bits)
        _seat(compiled, laid_out, matched)
        matched.turns.append(laid_out)
    return matched


def ranks_in(compiled: Compiled, numbers: Numbers) -> Ranks:
    """Order the applicants by the numbers of one draw."""
    applicants = compiled.turn.size
    sources = {Source(source) for source in np.unique(compiled.source[np.unique(compiled.entry_program)])}
    none = np.empty(0, np.int32)
    if len(sources) == 1 and Source.OWN not in sources:
        return Ranks(order_of(numbers.for_all(sources.pop())), none.reshape(0, 0), none, 0)
    of_source = np.zeros((len(Source), applicants), np.int32)
    for source in sorted(sources - {Source.OWN}):
        of_source[source] = ranks_of(order_of(numbers.for_all(source)))
    own = compiled.position.copy() if compiled.position.size else np.zeros(compiled.entry_program.size, np.int32)
    for apart in compiled.drawn_apart:
        own[apart.entries] = ranks_of(order_of(numbers.at(apart.program, apart.applicants)))
    bits = max(applicants, int(own.max(initial=0))).bit_length()
    return Ranks(np.arange(applicants, dtype=np.int32), of_source, own, bits)


def _nobody_seated(compiled: Compiled, ranks: Ranks) -> Matched:
    applicants = compiled.turn.size
    slot_bits = (int(compiled.slot_start[-1]) + 2 * applicants).bit_length()
    bits = len(compiled.slots.statics).bit_length() + ranks.bits + slot_bits
    if bits > LONGEST:
        raise TooLarge(f"a standing needs {bits} bits, and {LONGEST} is the most; use the reference engine")
    room = np.diff(compiled.seat_start)
    cutoff, _ = empty_words(room.size, bits=LONGEST if ranks.bits else bits)
    cutoff[room == 0] = 0
    return Matched(
        group_of=np.full(applicants, NONE, np.int32),
        slot_of=np.full(applicants, NONE, np.int64),
        seated=np.empty(int(compiled.seat_start[-1]), cutoff.dtype),
        filled=np.zeros(room.size, np.int32),
        cutoff=cutoff,
        rank_bits=ranks.bits,
        slot_bits=slot_bits,
    )


def _in_turn(compiled: Compiled, order: Int32s) -> Iterator[Int32s]:
    """Yield who is matched at the same time: a grade where siblings matter, else all, grade by grade."""
    places, starts = kernel.counting_order(compiled.turn[order], compiled.turns)
    in_turn = order[places]
    if not compiled.siblings_matter:
        yield in_turn
        return
    for turn in range(compiled.turns):
        yield in_turn[starts[turn] : starts[turn + 1]]


def _look_for_siblings(compiled: Compiled, matched: Matched, applicants: Int32s, near: Truths) -> None:
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
        near,
    )


def _lay_out(compiled: Compiled, ranks: Ranks, applicants: Int32s, near: Truths, slot_bits: int) -> LaidOut:
    slots = compiled.slots
    room = int((compiled.slot_start[applicants + 1] - compiled.slot_start[applicants]).sum()) + 2 * applicants.size
    words = np.empty(room, slots.words.dtype)
    starts = np.empty(applicants.size + 1, np.int64)
    standings = np.empty(room if ranks.bits else 0, np.int64)
    if not (ranks.bits or compiled.siblings_matter):
        kernel.lay_out(applicants, compiled.slot_start, slots.words, slots.end, words, starts)
        return LaidOut(words, starts, standings)
    kernel.lay_out_entries(
        applicants,
        compiled.entry_start,
        compiled.entry_program,
        compiled.slot_start,
        compiled.first_group,
        slots.words,
        slots.near,
        near,
        compiled.market.applicants.together,
        compiled.market.applicants.holds_program,
        ranks.of_source,
        compiled.source,
        ranks.own,
        slots.end,
        slots.group_bits,
        ranks.bits,
        slot_bits,
        words,
        standings,
        starts,
    )
    return LaidOut(words, starts, standings)


def _seat(compiled: Compiled, laid_out: LaidOut, matched: Matched) -> None:
    slots, before = compiled.slots, matched.filled.copy()
    kernel.accept_and_refuse(
        laid_out.words,
        laid_out.starts,
        laid_out.standings,
        slots.end,
        slots.group_bits,
        matched.slot_bits,
        compiled.seat_start,
        matched.filled,
        matched.cutoff,
        matched.seated,
    )
    kernel.note_seats(
        laid_out.words,
        slots.end,
        matched.slot_bits,
        np.flatnonzero(matched.filled != before),
        compiled.seat_start,
        matched.filled,
        matched.seated,
        matched.group_of,
        matched.slot_of,
    )


def outcome_of(compiled: Compiled, matched: Matched, numbers: Numbers, *, seed: bytes) -> Outcome:
    """Write down a match as an outcome; `numbers` are those that it was matched on, `seed` is this round's."""
    market, tickets = compiled.market, compiled.market.applicants.tickets
    groups = [compiled.group(index) for index in range(len(compiled.seats))]
    placed = np.flatnonzero(matched.group_of != NONE)
    group_of = matched.group_of[placed]
    choices = kernel.choices(
        market.applicants.ranking_start, market.applicants.ranking, placed, compiled.program_of[group_of]
    )
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


def _cutoffs(compiled: Compiled, matched: Matched, numbers: Numbers) -> Iterator[Cutoff]:
    worst = kernel.last_admitted(matched.group_of, matched.slot_of, matched.cutoff, matched.slot_bits)
    for index, (seats, filled) in enumerate(zip(compiled.seats, matched.filled.tolist(), strict=True)):
        program, group = compiled.group(index)
        full = filled == seats > 0
        last = _last_admitted(compiled, matched, numbers, index, worst[index : index + 1]) if full else None
        yield Cutoff(program.id, group, seats, filled, last)


def _last_admitted(
    compiled: Compiled, matched: Matched, numbers: Numbers, index: int, applicant: Int32s
) -> LastAdmitted:
    program, group = compiled.group(index)
    above = int(matched.cutoff[index]) >> matched.slot_bits
    static = compiled.slots.statics[above >> matched.rank_bits]
    reserve = program.reserve(group)
    classes = reserve.priorities if reserve else program.priorities
    screened = isinstance(program.tie_break, Ranked)
    number = None if screened else numbers.at(int(compiled.program_of[index]), applicant)
    return LastAdmitted(
        holder=not static.not_holder,
        meets=not static.not_met,
        late=static.late or static.late_in_class,
        class_=classes[static.priority].name if static.priority < len(classes) else GENERAL,
        number=None if number is None else number.astype(">u8").tobytes().hex(),
        position=above & ((1 << matched.rank_bits) - 1) if screened else None,
    )


def _waitlists(compiled: Compiled, matched: Matched) -> Iterator[Waitlist]:
    tickets, slots = compiled.market.applicants.tickets, compiled.slots
    lists: dict[int, list[int]] = {}
    for laid_out in matched.turns:
        starts, waiting = kernel.waiting(
            laid_out.words,
            laid_out.starts,
            laid_out.standings,
            slots.end,
            slots.group_bits,
            matched.slot_bits,
            compiled.program_of,
            matched.group_of,
        )
        for index in np.flatnonzero(np.diff(starts)).tolist():
            lists[index] = waiting[starts[index] : starts[index + 1]].tolist()
    for index in sorted(lists):
        program, group = compiled.group(index)
        yield Waitlist(program.id, group, tuple(map(tickets.__getitem__, lists[index])))
