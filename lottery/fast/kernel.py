"""Compiled loops over a market's arrays: laying out a draw, deferred acceptance, and who sits and waits where.

A slot is one seat group that one applicant proposes to. As a word it is the applicant's standing there but for the
lottery number, above `group_bits` bits that name the group. Slots are laid out in rows, one for each applicant in the
order of tickets: the applicant's slots, best first, then END and the applicant. A whole standing is one number too: the
static part of the word, above `rank_bits` bits for the rank of the lottery number and `slot_bits` for the place of the
slot. So one comparison settles who stands better, the ticket included, and a standing alone tells whose it is and where
that applicant asks next.

Importing this module takes a good part of a second, and the first call on a machine compiles for a few; what is
compiled is kept beside the source, or where NUMBA_CACHE_DIR says.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np

from lottery.fast.columns import NONE, Int32s, Int64s, Truths, Words
from lottery.fast.prefetch import prefetch

P = ParamSpec("P")
R = TypeVar("R")

UNFILLED = np.iinfo(np.int64).max
"""The cutoff of a group with seats left: above every standing."""

BRANCHES = 4
"""Of a heap: of four that lie side by side in memory the worst is found sooner than on two levels of two."""

IN_FLIGHT, AT_DOORS = 8, 4
"""Applicants whose next slot is on its way from memory, and whose group's heap is, while others propose."""

LINE = 8
"""Standings that come from memory at once."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function to machine code when it is first called; other threads may run meanwhile."""
    try:
        ready = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # no place to keep it, as in a container that cannot write
        ready = numba.njit(function, nogil=True)
    return cast("Callable[P, R]", ready)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into those that call it, where a call of its own would take longer than what it does."""
    return cast("Callable[P, R]", numba.njit(function, inline="always"))


def make_ready() -> None:
    """Have the compiler ready, which is what takes longest in the first call of any of these functions."""
    counting_order(np.zeros(1, np.int32), 1)


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
def lay_out(applicants: Int32s, slot_start: Int64s, slots: Words, end: int, rows: Words, starts: Int64s) -> int:
    """Lay out the rows of some applicants, without slots where they are not considered; return the length."""
    size = 0
    for position in range(applicants.size):
        applicant = applicants[position]
        starts[position] = size
        for slot in range(slot_start[applicant], slot_start[applicant + 1]):
            if slots[slot] != end:
                rows[size] = slots[slot]
                size += 1
        rows[size] = end
        rows[size + 1] = applicant
        size += 2
    starts[applicants.size] = size
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
def lay_out_with_siblings(
    applicants: Int32s,
    entry_start: Int64s,
    entry_program: Int32s,
    slot_start: Int64s,
    first_group: Int32s,
    slots: Words,
    slots_near: Words,
    near: Truths,
    together: Truths,
    holds: Int32s,
    end: int,
    rows: Words,
    starts: Int64s,
) -> int:
    """Lay out rows as `lay_out` does, with `slots_near` at entries at whose school a sibling was placed.

    Who wishes to be together asks at those first; a held seat stays last (lottery.md, section 6).
    """
    size = 0
    for position in range(applicants.size):
        applicant = applicants[position]
        starts[position] = size
        last = entry_start[applicant + 1] - (1 if holds[applicant] != NONE else 0)
        for passing in range(2 if together[applicant] else 1):
            slot = slot_start[applicant]
            for entry in range(entry_start[applicant], entry_start[applicant + 1]):
                program = entry_program[entry]
                groups = first_group[program + 1] - first_group[program]
                first = near[entry] and entry < last
                if not together[applicant] or first == (passing == 0):
                    for place in range(slot, slot + groups):
                        word = slots_near[place] if near[entry] else slots[place]
                        if word != end:
                            rows[size] = word
                            size += 1
                slot += groups
        rows[size] = end
        rows[size + 1] = applicant
        size += 2
    starts[applicants.size] = size
    return size


@compiled
def stand(
    rows: Words,
    starts: Int64s,
    group_bits: int,
    rank_bits: int,
    slot_bits: int,
    entry_start: Int64s,
    entry_program: Int32s,
    program_of: Int32s,
    source: Int32s,
    of_source: Int32s,
    own: Int32s,
    standings: Int64s,
) -> None:
    """Work out the whole standing at every slot, where ranks differ between programs.

    `of_source[source[program]]` are the applicants' ranks at a program, or `own` each entry's where the source is NONE.
    """
    group_mask = (1 << group_bits) - 1
    for position in range(starts.size - 1):
        applicant = rows[starts[position + 1] - 1]
        first, last = entry_start[applicant], entry_start[applicant + 1]
        entry = first
        for slot in range(starts[position], starts[position + 1] - 2):
            program = program_of[rows[slot] & group_mask]
            while entry_program[entry] != program:  # in the same order, or in two runs where some moved to the front
                entry = entry + 1 if entry + 1 < last else first
            rank = own[entry] if source[program] == NONE else of_source[source[program], applicant]
            standings[slot] = (np.int64(rows[slot]) >> group_bits << rank_bits | rank) << slot_bits | slot


@compiled
def accept_and_refuse(
    rows: Words,
    starts: Int64s,
    ranks: Int32s,
    standings: Int64s,
    end: int,
    group_bits: int,
    rank_bits: int,
    slot_bits: int,
    seat_start: Int64s,
    filled: Int32s,
    cutoff: Int64s,
    seated: Int64s,
) -> None:
    """Run deferred acceptance (Gale & Shapley 1962) over rows until nobody proposes any more.

    `ranks` are those of the rows' applicants; where they differ between programs, `standings` has every slot's instead,
    and is empty otherwise. `seated[seat_start[g]:seat_start[g + 1]]` takes the standings of those seated in group g: a
    heap, worst first, once it is full. `cutoff[g]` is the worst then; before, it is above every standing, and in a
    group without seats below.

    In a large market most time would go into waiting for memory, so nobody waits. Whom a group would take stands at its
    door until its heap is at hand, and who loses a seat asks on only when the next slot is; others propose meanwhile.
    Who proposes when changes nothing in the end.
    """
    group_mask, slot_mask = (1 << group_bits) - 1, (1 << slot_bits) - 1
    rank_mask = (1 << rank_bits) - 1
    at_door, refused = np.empty(AT_DOORS, np.int64), np.empty(2 * IN_FLIGHT, np.int64)
    first_at_door, first_refused, standing_at_doors, flying, position = 0, 0, 0, 0, 0
    while True:
        done = position == starts.size - 1
        if standing_at_doors == AT_DOORS or (done and flying == 0 and standing_at_doors > 0):
            standing = at_door[first_at_door]
            first_at_door = (first_at_door + 1) % AT_DOORS
            standing_at_doors -= 1
            group = np.int64(rows[standing & slot_mask]) & group_mask
            loses = seat(standing, group, seat_start, filled, cutoff, seated)
            if loses == UNFILLED:
                continue
            prefetch(rows, (loses & slot_mask) + 1)
            refused[(first_refused + flying) % (2 * IN_FLIGHT)] = loses + 1  # the next slot, and the rank
            flying += 1
        if flying >= IN_FLIGHT or (done and flying > 0):
            slot = refused[first_refused] & slot_mask
            rank = refused[first_refused] >> slot_bits & rank_mask
            first_refused = (first_refused + 1) % (2 * IN_FLIGHT)
            flying -= 1
        elif not done:
            slot = starts[position]
            rank = np.int64(ranks[position])
            position += 1
        elif standing_at_doors > 0:
            continue
        else:
            return
        while rows[slot] != end:
            group = np.int64(rows[slot]) & group_mask
            standing = standing_at(rows, slot, rank, standings, group_bits, rank_bits, slot_bits)
            if standing < cutoff[group]:
                prefetch(seated, seat_start[group])
                prefetch(seated, seat_start[group] + LINE)
                prefetch(seated, seat_start[group] + 2 * LINE)
                at_door[(first_at_door + standing_at_doors) % AT_DOORS] = standing
                standing_at_doors += 1
                break
            slot += 1


@inlined
def standing_at(
    rows: Words, slot: int, rank: np.int64, standings: Int64s, group_bits: int, rank_bits: int, slot_bits: int
) -> np.int64:
    """Return the whole standing at a slot, of an applicant with this rank, or as it is told in `standings`."""
    if standings.size > 0:
        told: np.int64 = standings[slot]
        return told
    return (np.int64(rows[slot]) >> group_bits << rank_bits | rank) << slot_bits | slot


@inlined
def seat(standing: int, group: np.int64, seat_start: Int64s, filled: Int32s, cutoff: Int64s, seated: Int64s) -> int:
    """Seat a standing in a group, if it is good enough, and return the one that has no seat then, or UNFILLED."""
    worst: int = cutoff[group]
    base = seat_start[group]
    seats = seat_start[group + 1] - base
    if worst == UNFILLED:
        seated[base + filled[group]] = standing
        filled[group] += 1
        if filled[group] == seats:
            for place in range((seats - 2) // BRANCHES, -1, -1):
                sink(seated, base, seats, place, seated[base + place])
            cutoff[group] = seated[base]
        return UNFILLED
    if standing > worst:  # others came meanwhile
        return standing
    sink(seated, base, seats, 0, standing)
    cutoff[group] = seated[base]
    return worst


@inlined
def sink(seated: Int64s, base: int, seats: int, hole: int, standing: int) -> None:
    """Fill a hole in a heap, worst first, with a standing that is no worse than what stood there."""
    while True:
        child = BRANCHES * hole + 1
        if child >= seats:
            break
        worst, place = seated[base + child], child
        for other in range(child + 1, min(child + BRANCHES, seats)):
            standing_there = seated[base + other]
            place = other if standing_there > worst else place
            worst = max(worst, standing_there)
        if worst <= standing:
            break
        seated[base + hole] = worst
        hole = place
    seated[base + hole] = standing


@compiled
def settle(
    rows: Words,
    starts: Int64s,
    ranks: Int32s,
    standings: Int64s,
    group_bits: int,
    rank_bits: int,
    slot_bits: int,
    cutoff: Int64s,
    group_of: Int32s,
    slot_of: Int64s,
) -> None:
    """Note where each row's applicant sits, and the slot by which they came there.

    It is the first slot at which they stand no worse than the cutoff: at a better one they would have been kept.
    """
    group_mask = (1 << group_bits) - 1
    for position in range(starts.size - 1):
        applicant = rows[starts[position + 1] - 1]
        rank = np.int64(ranks[position])
        for slot in range(starts[position], starts[position + 1] - 2):
            group = np.int64(rows[slot]) & group_mask
            if standing_at(rows, slot, rank, standings, group_bits, rank_bits, slot_bits) <= cutoff[group]:
                group_of[applicant] = group
                slot_of[applicant] = slot
                break


@compiled
def last_admitted(group_of: Int32s, slot_of: Int64s, cutoff: Int64s, slot_bits: int) -> Int32s:
    """Return for each group the applicant who came to it by the cutoff's slot, or NONE."""
    slot_mask = (1 << slot_bits) - 1
    last = np.full(cutoff.size, NONE, np.int32)
    for applicant in range(group_of.size):
        group = group_of[applicant]
        if group != NONE and slot_of[applicant] == cutoff[group] & slot_mask:
            last[group] = applicant
    return last


@compiled
def waiting(
    rows: Words,
    starts: Int64s,
    ranks: Int32s,
    standings: Int64s,
    end: int,
    group_bits: int,
    rank_bits: int,
    slot_bits: int,
    program_of: Int32s,
    group_of: Int32s,
) -> tuple[Int64s, Int32s]:
    """Return who waits where: each group's start in the list, from group 0 on, and the list of applicants.

    Everybody waits, in order of standing, at every group of every program above where they ended.
    """
    group_mask, slot_mask = (1 << group_bits) - 1, (1 << slot_bits) - 1
    waits = np.zeros(program_of.size + 1, np.int64)
    for position in range(starts.size - 1):
        ended = group_of[rows[starts[position + 1] - 1]]
        for slot in range(starts[position], starts[position + 1] - 2):
            group = rows[slot] & group_mask
            if ended != NONE and program_of[group] == program_of[ended]:
                break
            waits[group + 1] += 1
    for group in range(program_of.size):
        waits[group + 1] += waits[group]
    following = waits[:-1].copy()
    listed = np.empty(waits[program_of.size], np.int64)
    for position in range(starts.size - 1):
        ended = group_of[rows[starts[position + 1] - 1]]
        rank = np.int64(ranks[position])
        for slot in range(starts[position], starts[position + 1] - 2):
            group = np.int64(rows[slot]) & group_mask
            if ended != NONE and program_of[group] == program_of[ended]:
                break
            listed[following[group]] = standing_at(rows, slot, rank, standings, group_bits, rank_bits, slot_bits)
            following[group] += 1
    applicants = np.empty(listed.size, np.int32)
    for group in range(program_of.size):
        listed[waits[group] : waits[group + 1]].sort()
    for place in range(listed.size):
        slot = listed[place] & slot_mask
        while rows[slot] != end:
            slot += 1
        applicants[place] = rows[slot + 1]
    return waits, applicants


@compiled
def places(start: Int64s, ranking: Int32s, program_of: Int32s, group_of: Int32s) -> Int64s:
    """Return where in `ranking` each applicant's seat stands as submitted; NONE with a seat not ranked or no seat."""
    found = np.full(group_of.size, NONE, np.int64)
    for applicant in range(group_of.size):
        if group_of[applicant] != NONE:
            for place in range(start[applicant], start[applicant + 1]):
                if ranking[place] == program_of[group_of[applicant]]:
                    found[applicant] = place
                    break
    return found


@compiled
def count_classes(
    group_of: Int32s,
    program_of: Int32s,
    first_group: Int32s,
    entry_start: Int64s,
    entry_program: Int32s,
    slot_start: Int64s,
    slots: Words,
    slots_near: Words,
    near: Truths,
    group_bits: int,
    priority: Int32s,
    seats: Int64s,
) -> None:
    """Count the seats of each group by class: `seats` takes one row of classes for each group.

    `priority` is the class of each static standing.
    """
    for applicant in range(group_of.size):
        group = group_of[applicant]
        if group == NONE:
            continue
        slot, entry = slot_start[applicant], entry_start[applicant]
        while entry_program[entry] != program_of[group]:
            slot += first_group[entry_program[entry] + 1] - first_group[entry_program[entry]]
            entry += 1
        slot += group - first_group[program_of[group]]
        word = slots_near[slot] if near.size > 0 and near[entry] else slots[slot]
        seats[group, priority[word >> group_bits]] += 1


@compiled
def count_meeting(
    placed_at: Int32s,
    first_group: Int32s,
    entry_start: Int64s,
    entry_program: Int32s,
    slot_start: Int64s,
    meets: Truths,
    meets_near: Truths,
    near: Truths,
    seats: Int64s,
) -> None:
    """Count for each group the seats of its program, whatever their own, whose holders meet the group's condition.

    `placed_at` is each applicant's program, or NONE.
    """
    for applicant in range(placed_at.size):
        program = placed_at[applicant]
        slot = slot_start[applicant]
        for entry in range(entry_start[applicant], entry_start[applicant + 1]):
            groups = first_group[entry_program[entry] + 1] - first_group[entry_program[entry]]
            if entry_program[entry] == program:
                for place in range(groups):
                    if meets_near[slot + place] if near.size > 0 and near[entry] else meets[slot + place]:
                        seats[first_group[program] + place] += 1
                break
            slot += groups


@compiled
def count_kinds(members: Int32s, starts: Int64s, before: Int64s, after: Int64s, nowhere: int) -> tuple[Int64s, Int64s]:
    """Count for each kind of applicants how many have a seat, how many their first choice, and who fares otherwise.

    `before` and `after` are choices in two matches, from 0; `nowhere` is that of those without a seat. Return one row
    of three for each kind: those with a seat, those with their first choice, and, in the first table, those who fare
    worse after, in the second those who fare better.
    """
    kinds = starts.size - 1
    counts, counts_after = np.zeros((kinds, 3), np.int64), np.zeros((kinds, 3), np.int64)
    for kind in range(kinds):
        for place in range(starts[kind], starts[kind + 1]):
            first, second = before[members[place]], after[members[place]]
            counts[kind, 0] += first != nowhere
            counts[kind, 1] += first == 0
            counts[kind, 2] += second > first
            counts_after[kind, 0] += second != nowhere
            counts_after[kind, 1] += second == 0
            counts_after[kind, 2] += second < first
    return counts, counts_after
