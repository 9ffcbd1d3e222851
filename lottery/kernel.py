"""Compiled loops over a market's arrays: laying out a draw, deferred acceptance, and who sits and waits where.

A slot is one seat group that one applicant proposes to. In the arrays of a market a slot is a word: the applicant's
standing there but for the lottery number, above `group_bits` bits that name the group. A draw lays the slots out anew:
applicants in the order of their numbers, each one's slots best first, then END and the applicant. So the place of a
slot in this layout stands for the lottery number and the ticket, and a standing is one whole number.

Importing this module takes a good part of a second, and the first call on a machine compiles for a few; what is
compiled is kept beside the source.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np

from lottery.columns import NONE, Int32s, Int64s, Truths, Words

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function to machine code when it is first called; other threads may run meanwhile."""
    return cast("Callable[P, R]", numba.njit(function, cache=True, nogil=True))


@compiled
def counting_order(codes: Int32s, count: int) -> tuple[Int32s, Int64s]:
    """Sort by small codes, keeping the order of equal ones.

    Return the places in their new order, and where each code's begin, from code 0 to `count`; codes below 0 are left
    out.
    """
    starts = np.zeros(count + 1, np.int64)
    for code in codes:
        if code >= 0:
            starts[code + 1] += 1
    for code in range(count):
        starts[code + 1] += starts[code]
    following = starts[:-1].copy()
    order = np.empty(starts[count], np.int32)
    for place in range(codes.size):
        code = codes[place]
        if code >= 0:
            order[following[code]] = place
            following[code] += 1
    return order, starts


@compiled
def rankings_as_matched(start: Int64s, ranking: Int32s, holds: Int32s) -> tuple[Int64s, Int32s]:
    """Drop what is ranked below a held seat, which comes last whether it was ranked or not (lottery.md, section 4)."""
    entries = np.empty(ranking.size + holds.size, np.int32)
    entry_start = np.empty(holds.size + 1, np.int64)
    size = 0
    for applicant in range(holds.size):
        entry_start[applicant] = size
        for place in range(start[applicant], start[applicant + 1]):
            if ranking[place] == holds[applicant]:
                break
            entries[size] = ranking[place]
            size += 1
        if holds[applicant] != NONE:
            entries[size] = holds[applicant]
            size += 1
    entry_start[holds.size] = size
    return entry_start, entries[:size].copy()


@compiled
def facts_at_schools(
    entry_start: Int64s, entry_school: Int32s, at_applicant: Int32s, at_school: Int32s, at_facts: Int32s
) -> Int32s:
    """Return for each entry of a ranking the applicant's set of facts at that school, or NONE."""
    facts = np.full(entry_school.size, NONE, np.int32)
    for row in range(at_applicant.size):
        applicant = at_applicant[row]
        for entry in range(entry_start[applicant], entry_start[applicant + 1]):
            if entry_school[entry] == at_school[row]:
                facts[entry] = at_facts[row]
    return facts


@compiled
def spell(
    entry_program: Int32s, first_group: Int32s, codes: Int32s, short: Int32s, group_bits: int, words: Words
) -> Words:
    """Fill in the words of all slots: the short form of each one's static standing, and the group."""
    slot = 0
    for program in entry_program:
        for group in range(first_group[program], first_group[program + 1]):
            if codes[slot] != NONE:
                words[slot] = np.int64(short[codes[slot]]) << group_bits | group
            slot += 1
    return words


@compiled
def lay_out(order: Int32s, slot_start: Int64s, slots: Words, end: int, laid_out: Words, starts: Int64s) -> int:
    """Lay out the slots of applicants in an order; return the length. `starts` takes where each one's begin."""
    size = 0
    for position in range(order.size):
        applicant = order[position]
        starts[position] = size
        for slot in range(slot_start[applicant], slot_start[applicant + 1]):
            if slots[slot] != end:  # considered there
                laid_out[size] = slots[slot]
                size += 1
        laid_out[size] = end
        laid_out[size + 1] = applicant
        size += 2
    starts[order.size] = size
    return size


@compiled
def look_for_siblings(
    applicants: Int32s,
    entry_start: Int64s,
    entry_school: Int32s,
    household: Int32s,
    members: Int32s,
    members_start: Int64s,
    group_of: Int32s,
    program_of: Int32s,
    school: Int32s,
    near: Truths,
) -> None:
    """Note at which entries of these applicants a member of the household was placed at the school in a former turn."""
    for applicant in applicants:
        home = household[applicant]
        if home == NONE:
            continue
        for place in range(members_start[home], members_start[home + 1]):
            group = group_of[members[place]]
            if group != NONE:
                for entry in range(entry_start[applicant], entry_start[applicant + 1]):
                    if entry_school[entry] == school[program_of[group]]:
                        near[entry] = True


@compiled
def lay_out_entries(
    order: Int32s,
    entry_start: Int64s,
    entry_program: Int32s,
    slot_start: Int64s,
    first_group: Int32s,
    slots: Words,
    slots_near: Words,
    near: Truths,
    together: Truths,
    holds: Int32s,
    ranks: Int32s,
    source: Int32s,
    own_rank: Int32s,
    end: int,
    group_bits: int,
    rank_bits: int,
    slot_bits: int,
    laid_out: Words,
    standings: Int64s,
    starts: Int64s,
) -> int:
    """Lay out the slots entry by entry, where siblings matter or numbers differ between programs.

    `near` says at which entries siblings were placed, where `slots_near` hold instead of `slots`; it is empty where
    siblings do not matter. Where numbers differ, `standings` takes each slot's whole standing, and is empty otherwise:
    `ranks[source[program]]` are the applicants' ranks there, or `own_rank` an entry's where the source is NONE.
    """
    size = 0
    siblings = near.size > 0
    for position in range(order.size):
        applicant = order[position]
        starts[position] = size
        first, last = entry_start[applicant], entry_start[applicant + 1]
        moves = siblings and together[applicant]
        for passing in range(2 if moves else 1):
            slot = slot_start[applicant]
            for entry in range(first, last):
                program = entry_program[entry]
                groups = first_group[program + 1] - first_group[program]
                if moves:
                    at_end = entry == last - 1 and holds[applicant] != NONE
                    if (near[entry] and not at_end) != (passing == 0):
                        slot += groups
                        continue
                for _ in range(groups):
                    word = slots_near[slot] if siblings and near[entry] else slots[slot]
                    if word != end:
                        if standings.size > 0:
                            rank = own_rank[entry] if source[program] == NONE else ranks[source[program], applicant]
                            standing = (np.int64(word) >> group_bits) << rank_bits | rank
                            standings[size] = standing << slot_bits | size
                        laid_out[size] = word
                        size += 1
                    slot += 1
        laid_out[size] = end
        laid_out[size + 1] = applicant
        size += 2
    starts[order.size] = size
    return size


@compiled
def accept_and_refuse(
    laid_out: Words,
    starts: Int64s,
    standings: Int64s,
    end: int,
    group_bits: int,
    slot_bits: int,
    seat_start: Int64s,
    filled: Int32s,
    cutoff: Words,
    seated: Words,
) -> None:
    """Run deferred acceptance (Gale & Shapley 1962) over laid out slots until nobody proposes any more.

    `seated[seat_start[g]:seat_start[g + 1]]` holds the standings of those seated in group g: a heap, worst first, once
    it is full. `cutoff[g]` is the worst then; as long as seats are left it is above every standing, and in a group
    without seats below.
    """
    group_mask = (1 << group_bits) - 1
    slot_mask = (1 << slot_bits) - 1
    for position in range(starts.size - 1):
        slot = starts[position]
        while True:
            word = laid_out[slot]
            if word == end:
                break
            group = word & group_mask
            standing = standings[slot] if standings.size > 0 else (np.int64(word) >> group_bits) << slot_bits | slot
            if standing >= cutoff[group]:
                slot += 1
                continue
            base = seat_start[group]
            seats = seat_start[group + 1] - base
            if filled[group] < seats:
                seated[base + filled[group]] = standing
                filled[group] += 1
                if filled[group] == seats:
                    for root in range(seats // 2 - 1, -1, -1):
                        sink(seated, base, seats, root, seated[base + root])
                    cutoff[group] = seated[base]
                break
            slot = (seated[base] & slot_mask) + 1  # who had the last seat asks for the next
            sink(seated, base, seats, 0, standing)
            cutoff[group] = seated[base]


@compiled
def sink(seated: Words, base: int, seats: int, hole: int, standing: int) -> None:
    """Fill a hole in a heap, worst first, with a standing that is no worse than what stood there."""
    while True:
        child = 2 * hole + 1
        if child >= seats:
            break
        if child + 1 < seats and seated[base + child + 1] > seated[base + child]:
            child += 1
        if seated[base + child] <= standing:
            break
        seated[base + hole] = seated[base + child]
        hole = child
    seated[base + hole] = standing


@compiled
def note_seats(
    laid_out: Words,
    end: int,
    slot_bits: int,
    groups: Int64s,
    seat_start: Int64s,
    filled: Int32s,
    seated: Words,
    group_of: Int32s,
    slot_of: Int64s,
) -> None:
    """Note for each applicant seated in one of these groups which it is, and the slot by which they came."""
    slot_mask = (1 << slot_bits) - 1
    for group in groups:
        for place in range(seat_start[group], seat_start[group] + filled[group]):
            slot = np.int64(seated[place]) & slot_mask
            after = slot
            while laid_out[after] != end:
                after += 1
            applicant = laid_out[after + 1]
            group_of[applicant] = group
            slot_of[applicant] = slot


@compiled
def choices(start: Int64s, ranking: Int32s, placed: Int64s, program: Int32s) -> Int32s:
    """Return as what choice, from 1, these applicants ranked these programs when they submitted, or 0."""
    choice = np.zeros(placed.size, np.int32)
    for index in range(placed.size):
        first = start[placed[index]]
        for place in range(first, start[placed[index] + 1]):
            if ranking[place] == program[index]:
                choice[index] = place - first + 1
                break
    return choice


@compiled
def last_admitted(group_of: Int32s, slot_of: Int64s, cutoff: Words, slot_bits: int) -> Int32s:
    """Return for each group the applicant who came to it by the cutoff's slot, or NONE."""
    slot_mask = (1 << slot_bits) - 1
    last = np.full(cutoff.size, NONE, np.int32)
    for applicant in range(group_of.size):
        group = group_of[applicant]
        if group != NONE and slot_of[applicant] == np.int64(cutoff[group]) & slot_mask:
            last[group] = applicant
    return last


@compiled
def waiting(
    laid_out: Words,
    starts: Int64s,
    standings: Int64s,
    end: int,
    group_bits: int,
    slot_bits: int,
    program_of: Int32s,
    group_of: Int32s,
) -> tuple[Int64s, Int32s]:
    """Return who waits where: each group's start in the list, from group 0 on, and the list of applicants.

    Everybody waits, in order of standing, at every group of every program above where they ended.
    """
    group_mask = (1 << group_bits) - 1
    slot_mask = (1 << slot_bits) - 1
    waits = np.zeros(program_of.size + 1, np.int64)
    listed = np.empty(0, np.int64)
    following = np.empty(0, np.int64)
    for counting in (True, False):
        for position in range(starts.size - 1):
            applicant = laid_out[starts[position + 1] - 1]
            ended = program_of[group_of[applicant]] if group_of[applicant] != NONE else NONE
            for slot in range(starts[position], starts[position + 1] - 2):
                word = laid_out[slot]
                group = word & group_mask
                if program_of[group] == ended:
                    break
                if counting:
                    waits[group + 1] += 1
                    continue
                above = np.int64(word) >> group_bits
                listed[following[group]] = standings[slot] if standings.size > 0 else above << slot_bits | slot
                following[group] += 1
        if counting:
            for group in range(program_of.size):
                waits[group + 1] += waits[group]
            following = waits[:-1].copy()
            listed = np.empty(waits[program_of.size], np.int64)
    applicants = np.empty(listed.size, np.int32)
    for group in range(program_of.size):
        begin, close = waits[group], waits[group + 1]
        listed[begin:close].sort()
        for place in range(begin, close):
            after = listed[place] & slot_mask
            while laid_out[after] != end:
                after += 1
            applicants[place] = laid_out[after + 1]
    return waits, applicants
