"""Run applicant-proposing deferred acceptance over proposal lists (docs/reference/specification.md, section 9).

`lottery.fast.proposal_lists` says how a candidate's word and a standing are made. The lower standing is better.
"""

from typing import NamedTuple

import numpy as np

from lottery.fast.columns import NONE, Int32s, Int64s, Words
from lottery.fast.machine_code import compiled, inlined
from lottery.fast.prefetch import prefetch
from lottery.fast.proposal_lists import ProposalLists, StandingBits

UNFILLED = np.iinfo(np.int64).max
"""The cutoff of a seat group with empty seats. Every standing is better."""

NOBODY = UNFILLED
"""Stands for a standing where no applicant is displaced or no proposal is left."""

BRANCHES = 4
"""Children of a node in a heap. Four children side by side in memory are faster than two levels of two."""

IN_FLIGHT, AT_DOORS = 8, 4
"""Rejected applicants who wait for their next candidate to come from memory, and proposals that wait for a heap."""

CACHE_LINE = 8
"""Standings that come from memory at once."""


class Turn(NamedTuple):
    """The applicants who are matched at the same time.

    `ranks` has the rank of each list's applicant. Where ranks differ between programs, `standings` has the standing of
    every candidate instead. Otherwise `standings` is empty.
    """

    lists: ProposalLists
    ranks: Int32s
    standings: Int64s


class Admissions(NamedTuple):
    """The standings that the seat groups have admitted so far.

    `admitted[start[g]:start[g + 1]]` has room for the standings in group g. Once the group is full they are a heap, the
    worst first. `filled` counts the admitted standings until then. `cutoff[g]` is the worst admitted standing of a full
    group, UNFILLED for a group with empty seats, and NONE for a group without seats.
    """

    start: Int64s
    filled: Int32s
    cutoff: Int64s
    admitted: Int64s


@compiled
def propose_until_settled(turn: Turn, bits: StandingBits, end: int, admissions: Admissions) -> None:
    """Run deferred acceptance (Gale & Shapley 1962) until no applicant proposes any more.

    In a large market, most of the time would be waiting for memory. So a proposal waits at the group's door until the
    group's heap has come from memory. A rejected applicant proposes again when the next candidate has come. Other
    applicants propose meanwhile. The order of proposals does not change the result.
    """
    words, starts, ranks, standings = turn.lists.words, turn.lists.starts, turn.ranks, turn.standings
    seat_start, filled, cutoff, admitted = admissions.start, admissions.filled, admissions.cutoff, admissions.admitted
    group_bits, rank_bits, candidate_bits = bits
    group_mask, candidate_mask, rank_mask = (1 << group_bits) - 1, (1 << candidate_bits) - 1, (1 << rank_bits) - 1
    at_door, rejected = np.empty(AT_DOORS, np.int64), np.empty(2 * IN_FLIGHT, np.int64)
    first_at_door, first_rejected, doors, in_flight, position = 0, 0, 0, 0, 0
    while True:
        all_started = position == starts.size - 1
        if doors == AT_DOORS or (all_started and in_flight == 0 and doors > 0):
            standing = at_door[first_at_door]
            first_at_door = (first_at_door + 1) % AT_DOORS
            doors -= 1
            group = np.int64(words[standing & candidate_mask]) & group_mask
            displaced = admit(standing, group, seat_start, filled, cutoff, admitted)
            if displaced == NOBODY:
                continue
            prefetch(words, (displaced & candidate_mask) + 1)
            rejected[(first_rejected + in_flight) % (2 * IN_FLIGHT)] = displaced + 1  # the next candidate, and the rank
            in_flight += 1
        if in_flight >= IN_FLIGHT or (all_started and in_flight > 0):
            candidate = rejected[first_rejected] & candidate_mask
            rank = rejected[first_rejected] >> candidate_bits & rank_mask
            first_rejected = (first_rejected + 1) % (2 * IN_FLIGHT)
            in_flight -= 1
        elif not all_started:
            candidate, rank = starts[position], np.int64(ranks[position])
            position += 1
        elif doors > 0:
            continue
        else:
            return
        while words[candidate] != end:
            group = np.int64(words[candidate]) & group_mask
            standing = standing_at(words, candidate, rank, standings, group_bits, rank_bits, candidate_bits)
            if standing < cutoff[group]:
                fetch_heap(admitted, seat_start[group])
                at_door[(first_at_door + doors) % AT_DOORS] = standing
                doors += 1
                break
            candidate += 1


@inlined
def fetch_heap(admitted: Int64s, start: np.int64) -> None:
    """Call the top of a group's heap from memory."""
    prefetch(admitted, start)
    prefetch(admitted, start + CACHE_LINE)
    prefetch(admitted, start + 2 * CACHE_LINE)


@inlined
def standing_at(
    words: Words,
    candidate: int,
    rank: np.int64,
    standings: Int64s,
    group_bits: int,
    rank_bits: int,
    candidate_bits: int,
) -> np.int64:
    """Return a candidate's standing: from `standings`, or with this rank where `standings` is empty."""
    if standings.size > 0:
        listed: np.int64 = standings[candidate]
        return listed
    return (np.int64(words[candidate]) >> group_bits << rank_bits | rank) << candidate_bits | candidate


@inlined
def admit(standing: int, group: np.int64, seat_start: Int64s, filled: Int32s, cutoff: Int64s, admitted: Int64s) -> int:
    """Admit a standing to a seat group if it is good enough. Return the displaced or rejected standing, or NOBODY."""
    worst: int = cutoff[group]
    base = seat_start[group]
    seats = seat_start[group + 1] - base
    if worst == UNFILLED:
        admitted[base + filled[group]] = standing
        filled[group] += 1
        if filled[group] == seats:
            make_heap(admitted, base, seats)
            cutoff[group] = admitted[base]
        return NOBODY
    if standing > worst:  # the group admitted better proposals while this one waited
        return standing
    sink(admitted, base, seats, 0, standing)
    cutoff[group] = admitted[base]
    return worst


@inlined
def make_heap(admitted: Int64s, base: int, seats: int) -> None:
    """Order the standings of a group that is full now as a heap, worst first (Floyd 1964)."""
    for place in range((seats - 2) // BRANCHES, -1, -1):
        sink(admitted, base, seats, place, admitted[base + place])


@inlined
def sink(admitted: Int64s, base: int, seats: int, hole: int, standing: int) -> None:
    """Replace the standing at `hole` in a heap, worst first, with one that is not worse."""
    while True:
        child = BRANCHES * hole + 1
        if child >= seats:
            break
        worst, place = admitted[base + child], child
        for other in range(child + 1, min(child + BRANCHES, seats)):
            standing_there = admitted[base + other]
            place = other if standing_there > worst else place
            worst = max(worst, standing_there)
        if worst <= standing:
            break
        admitted[base + hole] = worst
        hole = place
    admitted[base + hole] = standing


@compiled
def place_by_cutoffs(turn: Turn, bits: StandingBits, cutoff: Int64s, group_of: Int32s, candidate_of: Int64s) -> None:
    """Fill in each applicant's seat group, and the candidate through which the group admitted the applicant.

    The placement is the first candidate that is no worse than the group's cutoff, because the matching is stable: at a
    better candidate the group would have kept the applicant.
    """
    words, starts, ranks, standings = turn.lists.words, turn.lists.starts, turn.ranks, turn.standings
    group_bits, rank_bits, candidate_bits = bits
    group_mask = (1 << group_bits) - 1
    for position in range(starts.size - 1):
        applicant = words[starts[position + 1] - 1]
        rank = np.int64(ranks[position])
        for candidate in range(starts[position], starts[position + 1] - 2):
            group = np.int64(words[candidate]) & group_mask
            standing = standing_at(words, candidate, rank, standings, group_bits, rank_bits, candidate_bits)
            if standing <= cutoff[group]:
                group_of[applicant] = group
                candidate_of[applicant] = candidate
                break


@compiled
def last_admitted(group_of: Int32s, candidate_of: Int64s, cutoff: Int64s, candidate_bits: int) -> Int32s:
    """Return for each seat group the applicant whose candidate is in the cutoff, or NONE."""
    candidate_mask = (1 << candidate_bits) - 1
    last = np.full(cutoff.size, NONE, np.int32)
    for applicant in range(group_of.size):
        group = group_of[applicant]
        if group != NONE and candidate_of[applicant] == cutoff[group] & candidate_mask:
            last[group] = applicant
    return last


@compiled
def waitlists(turn: Turn, bits: StandingBits, end: int, program_of: Int32s, group_of: Int32s) -> tuple[Int64s, Int32s]:
    """Return where each seat group's waitlist begins, and the applicants of all waitlists in order of standing.

    An applicant waits at every considered group of every program ranked above the placement.
    """
    words, starts, ranks, standings = turn.lists.words, turn.lists.starts, turn.ranks, turn.standings
    group_bits, rank_bits, candidate_bits = bits
    group_mask = (1 << group_bits) - 1
    ends = np.empty(starts.size - 1, np.int64)  # where each applicant's candidates above the placement end
    begins = np.zeros(program_of.size + 1, np.int64)
    for position in range(starts.size - 1):
        placed = group_of[words[starts[position + 1] - 1]]
        candidate = starts[position]
        while words[candidate] != end:
            group = words[candidate] & group_mask
            if placed != NONE and program_of[group] == program_of[placed]:
                break
            begins[group + 1] += 1
            candidate += 1
        ends[position] = candidate
    begins = np.cumsum(begins)
    following = begins[:-1].copy()
    waiting = np.empty(begins[program_of.size], np.int64)
    for position in range(starts.size - 1):
        rank = np.int64(ranks[position])
        for candidate in range(starts[position], ends[position]):
            group = np.int64(words[candidate]) & group_mask
            standing = standing_at(words, candidate, rank, standings, group_bits, rank_bits, candidate_bits)
            waiting[following[group]] = standing
            following[group] += 1
    for group in range(program_of.size):
        waiting[begins[group] : begins[group + 1]].sort()
    return begins, applicants_of(waiting, words, end, candidate_bits)


@compiled
def applicants_of(standings: Int64s, words: Words, end: int, candidate_bits: int) -> Int32s:
    """Return the applicant of each standing: the number after END in the applicant's proposal list."""
    applicants = np.empty(standings.size, np.int32)
    candidate_mask = (1 << candidate_bits) - 1
    for place in range(standings.size):
        candidate = standings[place] & candidate_mask
        while words[candidate] != end:
            candidate += 1
        applicants[place] = words[candidate + 1]
    return applicants
