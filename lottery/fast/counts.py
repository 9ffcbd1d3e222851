"""Count seats and applicants of a match, for simulations."""

import numpy as np

from lottery.fast.columns import NONE, Int32s, Int64s, Truths, Words
from lottery.fast.machine_code import compiled
from lottery.fast.proposal_lists import EntryTable


@compiled
def count_classes(
    group_of: Int32s,
    program_of: Int32s,
    entries: EntryTable,
    words: Words,
    words_sibling_placed: Words,
    sibling_placed: Truths,
    group_bits: int,
    priority: Int32s,
    seats: Int64s,
) -> None:
    """Count the filled seats of each seat group by priority class, into one row of `seats` for each group.

    `priority` has the class of each static standing. `sibling_placed` is empty where siblings do not matter.
    """
    first_group = entries.first_group
    for applicant in range(group_of.size):
        group = group_of[applicant]
        if group == NONE:
            continue
        candidate, entry = entries.candidate_start[applicant], entries.start[applicant]
        while entries.program[entry] != program_of[group]:
            candidate += first_group[entries.program[entry] + 1] - first_group[entries.program[entry]]
            entry += 1
        candidate += group - first_group[program_of[group]]
        sibling = sibling_placed.size > 0 and sibling_placed[entry]
        word = words_sibling_placed[candidate] if sibling else words[candidate]
        seats[group, priority[word >> group_bits]] += 1


@compiled
def count_meeting(
    placed_at: Int32s,
    entries: EntryTable,
    meets: Truths,
    meets_sibling_placed: Truths,
    sibling_placed: Truths,
    seats: Int64s,
) -> None:
    """Count for each seat group the placements at its program, in any group, that meet the group's condition.

    `placed_at` has each applicant's program, or NONE. `sibling_placed` is empty where siblings do not matter.
    """
    first_group = entries.first_group
    for applicant in range(placed_at.size):
        program = placed_at[applicant]
        candidate = entries.candidate_start[applicant]
        for entry in range(entries.start[applicant], entries.start[applicant + 1]):
            groups = first_group[entries.program[entry] + 1] - first_group[entries.program[entry]]
            if entries.program[entry] == program:
                sibling = sibling_placed.size > 0 and sibling_placed[entry]
                for place in range(groups):
                    if meets_sibling_placed[candidate + place] if sibling else meets[candidate + place]:
                        seats[first_group[program] + place] += 1
                break
            candidate += groups


@compiled
def count_kinds(members: Int32s, starts: Int64s, before: Int64s, after: Int64s, nowhere: int) -> tuple[Int64s, Int64s]:
    """Count, for each kind of applicants, seats and first choices in two matches, and applicants who fare differently.

    `before` and `after` have each applicant's choice, from 0, in the two matches, and `nowhere` for no seat. Return two
    tables with one row of three counts for each kind: applicants with a seat, applicants with their first choice, and
    applicants who fare worse after (first table) or better after (second table).
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
