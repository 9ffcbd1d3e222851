"""Lay out each applicant's proposals as one list of candidates in memory.

A candidate is an applicant's entry at one seat group. A candidate's word has the static standing, which is the standing
without the lottery number, above `group` bits that name the seat group. An applicant's proposal list has the words of
the candidates, best first, then END and the applicant's index. Lists stand one after another.

A standing is one int64: the static standing, then `rank` bits for the rank of the lottery number, then `candidate` bits
for the candidate's index in the lists. So one comparison decides between two applicants, the ticket included. From a
standing alone the engine knows the applicant and the next proposal.
"""

from typing import NamedTuple

import numpy as np

from lottery.fast.columns import NONE, Int32s, Int64s, Truths, Words
from lottery.fast.machine_code import compiled


class StandingBits(NamedTuple):
    """The number of bits of each part of a standing, and of the seat group in a candidate's word."""

    group: int
    rank: int
    candidate: int


class ProposalLists(NamedTuple):
    """The proposal lists of some applicants. `starts` has one more element: the end of the last list."""

    words: Words
    starts: Int64s


class EntryTable(NamedTuple):
    """The entries of all rankings as matched.

    `start[a]` is the first entry of applicant a, and `candidate_start[a]` the first candidate. `program` has each
    entry's program. An entry has one candidate for each seat group of the program, and `first_group[p]` is the first
    seat group of program p.
    """

    start: Int64s
    program: Int32s
    candidate_start: Int64s
    first_group: Int32s


class WordsBySibling(NamedTuple):
    """The words of all candidates. `sibling_placed` has the words where a sibling was placed at the school.

    `end` is no candidate's word. It stands where a seat group does not consider the applicant.
    """

    words: Words
    sibling_placed: Words
    end: int


@compiled
def fill_words(
    entry_program: Int32s, first_group: Int32s, codes: Int32s, short: Int32s, group_bits: int, words: Words
) -> Words:
    """Fill in the words of all candidates that are considered.

    `codes` has each candidate's static standing, or NONE. `short` maps static standings to shorter numbers.
    """
    candidate = 0
    for program in entry_program:
        for group in range(first_group[program], first_group[program + 1]):
            if codes[candidate] != NONE:
                words[candidate] = np.int64(short[codes[candidate]]) << group_bits | group
            candidate += 1
    return words


def proposal_lists(candidates: WordsBySibling, candidate_start: Int64s, applicants: Int32s) -> ProposalLists:
    """Lay out the proposal lists of some applicants where siblings do not matter."""
    lists = _empty_lists(candidates, candidate_start, applicants)
    size = _lay_out(applicants, candidate_start, candidates.words, candidates.end, lists.words, lists.starts)
    return ProposalLists(lists.words[:size], lists.starts)


def proposal_lists_with_siblings(
    candidates: WordsBySibling,
    entries: EntryTable,
    applicants: Int32s,
    *,
    sibling_placed: Truths,
    together: Truths,
    held: Int32s,
) -> ProposalLists:
    """Lay out the proposal lists of some applicants where siblings matter.

    `sibling_placed` says at which entries a sibling was placed at the school. `together` and `held` are columns.
    """
    lists = _empty_lists(candidates, entries.candidate_start, applicants)
    size = _lay_out_with_siblings(applicants, entries, candidates, sibling_placed, together, held, lists)
    return ProposalLists(lists.words[:size], lists.starts)


def _empty_lists(candidates: WordsBySibling, candidate_start: Int64s, applicants: Int32s) -> ProposalLists:
    """Return lists with room for every candidate of these applicants, for END and for the applicant."""
    most = int((candidate_start[applicants + 1] - candidate_start[applicants]).sum()) + 2 * applicants.size
    words = np.empty_like(candidates.words, shape=most)
    return ProposalLists(words, np.empty(applicants.size + 1, np.int64))


@compiled
def _lay_out(
    applicants: Int32s, candidate_start: Int64s, candidates: Words, end: int, words: Words, starts: Int64s
) -> int:
    """Fill in lists without the candidates that are not considered. Return the number of words."""
    size = 0
    for position in range(applicants.size):
        applicant = applicants[position]
        starts[position] = size
        for candidate in range(candidate_start[applicant], candidate_start[applicant + 1]):
            if candidates[candidate] != end:
                words[size] = candidates[candidate]
                size += 1
        words[size] = end
        words[size + 1] = applicant
        size += 2
    starts[applicants.size] = size
    return size


@compiled
def _lay_out_with_siblings(
    applicants: Int32s,
    entries: EntryTable,
    candidates: WordsBySibling,
    sibling_placed: Truths,
    together: Truths,
    held: Int32s,
    lists: ProposalLists,
) -> int:
    """Fill in lists as `_lay_out` does, with the words for placed siblings where a sibling was placed.

    An applicant with `together` proposes to those schools first. A held seat stays last
    (docs/reference/specification.md, section 6).
    """
    entry_start, entry_program, candidate_start, first_group = entries
    words, words_sibling_placed, end = candidates
    listed, starts = lists
    size = 0
    for position in range(applicants.size):
        applicant = applicants[position]
        starts[position] = size
        last = entry_start[applicant + 1] - (1 if held[applicant] != NONE else 0)
        for run in range(2 if together[applicant] else 1):
            candidate = candidate_start[applicant]
            for entry in range(entry_start[applicant], entry_start[applicant + 1]):
                program = entry_program[entry]
                groups = first_group[program + 1] - first_group[program]
                comes_first = sibling_placed[entry] and entry < last
                if not together[applicant] or comes_first == (run == 0):
                    for place in range(candidate, candidate + groups):
                        word = words_sibling_placed[place] if sibling_placed[entry] else words[place]
                        if word != end:
                            listed[size] = word
                            size += 1
                candidate += groups
        listed[size] = end
        listed[size + 1] = applicant
        size += 2
    starts[applicants.size] = size
    return size


@compiled
def standings_of(
    lists: ProposalLists,
    bits: StandingBits,
    entries: EntryTable,
    program_of: Int32s,
    source: Int32s,
    rank_by_source: Int32s,
    own_rank: Int32s,
) -> Int64s:
    """Return the standing of every candidate in the lists, where an applicant's rank differs between programs.

    `rank_by_source[source[p], a]` is the rank of applicant a at program p. Where the source is NONE, `own_rank` has the
    rank of each entry.
    """
    words, starts = lists
    group_bits, rank_bits, candidate_bits = bits
    entry_start, entry_program = entries.start, entries.program
    standings = np.empty(words.size, np.int64)
    group_mask = (1 << group_bits) - 1
    for position in range(starts.size - 1):
        applicant = words[starts[position + 1] - 1]
        first, last = entry_start[applicant], entry_start[applicant + 1]
        entry = first
        for candidate in range(starts[position], starts[position + 1] - 2):
            program = program_of[words[candidate] & group_mask]
            while entry_program[entry] != program:  # `together` moves entries to the front, so start over at the end
                entry = entry + 1 if entry + 1 < last else first
            rank = own_rank[entry] if source[program] == NONE else rank_by_source[source[program], applicant]
            static = np.int64(words[candidate]) >> group_bits
            standings[candidate] = (static << rank_bits | rank) << candidate_bits | candidate
    return standings
