"""Compiled loops over rankings."""

import numpy as np

from lottery.fast.columns import NONE, Int32s, Int64s, Truths
from lottery.fast.machine_code import compiled


def make_ready() -> None:
    """Start the compiler, which takes most of the time of the first call of a compiled function."""
    counting_order(np.zeros(1, np.int32), 1)


@compiled
def counting_order(codes: Int32s, count: int) -> tuple[Int32s, Int64s]:
    """Sort by small codes and keep the order of equal codes (counting sort).

    Return the indices in their new order, and where the indices of each code from 0 to `count` begin. Codes below 0 are
    left out.
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
def rankings_as_matched(start: Int64s, ranking: Int32s, held: Int32s) -> tuple[Int64s, Int32s]:
    """Return every ranking as matched: where each applicant's entries begin, and the program of each entry.

    Programs below a held seat are dropped. The held program comes last, whether the applicant ranked it or not
    (docs/reference/specification.md, section 4). `held` has each applicant's held program, or NONE.
    """
    entries = np.empty(ranking.size + held.size, np.int32)
    entry_start = np.empty(held.size + 1, np.int64)
    size = 0
    for applicant in range(held.size):
        entry_start[applicant] = size
        for place in range(start[applicant], start[applicant + 1]):
            if ranking[place] == held[applicant]:
                break
            entries[size] = ranking[place]
            size += 1
        if held[applicant] != NONE:
            entries[size] = held[applicant]
            size += 1
    entry_start[held.size] = size
    return entry_start, entries[:size].copy()


@compiled
def facts_at_schools(
    entry_start: Int64s, entry_school: Int32s, at_applicant: Int32s, at_school: Int32s, at_facts: Int32s
) -> Int32s:
    """Return for each entry the code of the applicant's facts at that school, or NONE.

    `at_applicant`, `at_school` and `at_facts` are the columns of facts at single schools.
    """
    facts = np.full(entry_school.size, NONE, np.int32)
    for row in range(at_applicant.size):
        applicant = at_applicant[row]
        for entry in range(entry_start[applicant], entry_start[applicant + 1]):
            if entry_school[entry] == at_school[row]:
                facts[entry] = at_facts[row]
    return facts


@compiled
def mark_placed_siblings(
    applicants: Int32s,
    entry_start: Int64s,
    entry_school: Int32s,
    household: Int32s,
    members: Int32s,
    members_start: Int64s,
    school_of: Int32s,
    sibling_placed: Truths,
) -> None:
    """Mark the entries of these applicants at schools where a sibling was placed in an earlier turn.

    `members[members_start[h]:members_start[h + 1]]` are the applicants of household h. `school_of` has the school of
    each applicant's placement so far, or NONE. `sibling_placed` takes one truth for each entry.
    """
    for applicant in applicants:
        home = household[applicant]
        if home == NONE:
            continue
        for member in members[members_start[home] : members_start[home + 1]]:
            if school_of[member] != NONE:
                for entry in range(entry_start[applicant], entry_start[applicant + 1]):
                    if entry_school[entry] == school_of[member]:
                        sibling_placed[entry] = True


@compiled
def ranked_places(start: Int64s, ranking: Int32s, program_of: Int32s, group_of: Int32s) -> Int64s:
    """Return the index in `ranking`, as submitted, of each applicant's placement.

    Return NONE for an applicant without a placement, or with a held seat that was not ranked. `program_of` has each
    seat group's program. `group_of` has each applicant's seat group, or NONE.
    """
    found = np.full(group_of.size, NONE, np.int64)
    for applicant in range(group_of.size):
        if group_of[applicant] != NONE:
            for place in range(start[applicant], start[applicant + 1]):
                if ranking[place] == program_of[group_of[applicant]]:
                    found[applicant] = place
                    break
    return found
