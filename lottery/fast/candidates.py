"""Compute the static standing of every candidate (docs/reference/specification.md, section 3, items 1 to 5).

A candidate is an applicant's entry at one seat group. An entry is one program of one ranking as matched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from lottery.fast.columns import NONE, Int32s, Int64s, MarketInColumns, Truths, Words
from lottery.fast.conditions import EntryFacts, Finders, SomeEntries, finders_of
from lottery.fast.number_sources import OwnNumbers, source_of_order
from lottery.fast.proposal_lists import WordsBySibling, fill_words
from lottery.fast.ranking_loops import counting_order
from lottery.fast.rule_books import RuleBook, rule_book_of
from lottery.market.model import Late
from lottery.market.rules import Ranked, TieBreak
from lottery.match.cohorts import LATE, cohorts_of_draws


class StaticStanding(NamedTuple):
    """A standing without the lottery number and the ticket."""

    not_holder: bool
    not_met: bool
    late: int
    priority: int
    late_in_class: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """The word of every candidate (see `lottery.fast.proposal_lists`), and the meaning of the words.

    Words and truths under `sibling_placed` count where a sibling was placed at the school. They are empty where
    siblings do not matter. `end` is no candidate's word and stands where the group does not consider the applicant.
    `meets` says for every candidate, considered or not, whether the applicant meets the group's own condition.
    `statics[word >> group_bits]` is the static standing in a word.
    """

    words: Words
    words_sibling_placed: Words
    meets: Truths
    meets_sibling_placed: Truths
    end: int
    group_bits: int
    statics: tuple[StaticStanding, ...]

    def words_by_sibling(self) -> WordsBySibling:
        """Return the words in the form that compiled loops take."""
        return WordsBySibling(self.words, self.words_sibling_placed, self.end)


class Entries:
    """Every entry of every ranking as matched, while static standings are computed.

    `program` and `applicant` have one element for each entry, `first_candidate` one more. `facts_at_school` has the
    code of the applicant's facts at the entry's school.
    """

    def __init__(
        self,
        market: MarketInColumns,
        entry_start: Int64s,
        entry_program: Int32s,
        first_candidate: Int64s,
        facts_at_school: Int32s,
    ) -> None:
        self.market = market
        self.program = entry_program
        self.first_candidate = first_candidate
        self.applicant = np.repeat(np.arange(len(market.applicants), dtype=np.int32), np.diff(entry_start))
        self.facts_at_school = facts_at_school
        self.finders: Finders = finders_of(market.applicants)
        books: dict[RuleBook, int] = {}
        self.book_of = np.array(
            [books.setdefault(rule_book_of(market.round.kind, program), len(books)) for program in market.programs],
            np.int32,
        )
        self.books = tuple(books)
        self.max_classes = 1 + max((len(g.priorities) for book in self.books for g in book.groups), default=0)
        self.position = self._positions()
        self._cohorts = cohorts_of_draws(market.round)
        self._most_cohorts = 1 + max((LATE, *self._cohorts.values()))

    def depend_on_siblings(self) -> bool:
        """Return whether any rule contains `sibling_placed`."""
        return any(book.depends_on_siblings() for book in self.books)

    def static_codes(self, *, sibling_placed: bool) -> tuple[Int32s, Truths]:
        """Return each candidate's static standing as one number, or NONE where the applicant is not considered.

        Return also, for each candidate, whether the applicant meets the group's condition.
        """
        count = int(self.first_candidate[-1])
        codes, meets = np.empty(count, np.int32), np.empty(count, np.bool_)
        order, starts = counting_order(self.book_of[self.program], len(self.books))
        for place, book in enumerate(self.books):
            entries = order[starts[place] : starts[place + 1]]
            by_group = self._codes_of_book(book, entries, sibling_placed=sibling_placed)
            for group, (group_codes, met) in enumerate(by_group):
                codes[self.first_candidate[entries] + group] = group_codes
                meets[self.first_candidate[entries] + group] = met
        return codes, meets

    def statics(self) -> list[StaticStanding]:
        """Return the static standing of each number in `static_codes`."""
        either = (False, True)
        late, late_in_class = self._cohort_digits()
        return [
            StaticStanding(*digits)
            for digits in product(either, either, range(late), range(self.max_classes), range(late_in_class))
        ]

    def own_numbers(self) -> Iterator[OwnNumbers]:
        """Yield the programs with one number per applicant and program."""
        order, starts = counting_order(self.program, len(self.market.programs))
        for place, program in enumerate(self.market.programs):
            if (program.tie_break or self.market.policy.tie_break) is TieBreak.MULTIPLE:
                entries = order[starts[place] : starts[place + 1]]
                source = source_of_order(self.market.round.kind, program)
                yield OwnNumbers(place, source, entries, self.applicant[entries])

    def _codes_of_book(
        self, book: RuleBook, entries: Int32s, *, sibling_placed: bool
    ) -> Iterator[tuple[Int32s, Truths]]:
        """Yield `static_codes` of these entries' candidates, group by group.

        A code has one digit for each field of `StaticStanding`, in mixed radix.
        """
        columns, applicants = self.market.applicants, self.applicant[entries]
        some = SomeEntries(applicants, self.facts_at_school[entries])
        facts = EntryFacts(self.finders, columns, some, sibling_placed=sibling_placed)
        holder = columns.holds_program[applicants] == self.program[entries]
        any_holder = bool(holder.any())
        considered = self._considered(book, entries, facts)
        cohort = self._cohort(book, applicants)
        late, late_in_class = self._cohort_digits()
        for place, group in enumerate(book.groups):
            met = facts.meeting(group.when)
            here = considered & (met | facts.meeting(group.others))
            if any_holder:
                here = np.where(holder, columns.holds_group[applicants] == place, here)
            code = (~holder).astype(np.int32)
            for base, digit in (
                (2, ~met),
                (late, cohort * (late > 1)),
                (self.max_classes, facts.class_among(group.priorities)),
                (late_in_class, cohort * (late_in_class > 1)),
            ):
                code *= base
                code += digit
            code[~here] = NONE
            yield code, met

    def _considered(self, book: RuleBook, entries: Int32s, facts: EntryFacts) -> Truths:
        """Return whether the program considers each entry's applicant, barring reserves and held seats aside."""
        considered = np.zeros(entries.size, np.bool_) if book.nobody_new else facts.meeting(book.eligible)
        return considered & (self.position[entries] != NONE) if book.screened else considered

    def _cohort_digits(self) -> tuple[int, int]:
        """Return how many cohorts item 3 of the standing can tell apart, and item 5."""
        return (self._most_cohorts, 1) if self.market.policy.late is Late.AFTER else (1, self._most_cohorts)

    def _cohort(self, book: RuleBook, applicants: Int32s) -> Int32s:
        """Return each of these applicants' cohort: 0 on time, and higher the later the applicant came.

        With `late: equal`, only the order of listed draws counts.
        """
        columns, equal = self.market.applicants, self.market.policy.late is Late.EQUAL
        late = (columns.late[applicants] & (not equal)).astype(np.int32) * np.int32(LATE)
        if not book.draws_count or (equal and self.market.round.earlier is None):
            return late
        drawn_in = columns.drawn_in
        cohorts = np.array([self._cohorts.get(draw, 0) for draw in drawn_in.words], np.int32)
        later: Int32s = np.maximum(late, cohorts[drawn_in.codes][applicants])
        return later

    def _positions(self) -> Int32s:
        """Return each entry's position in a screened program's list, from 1, or NONE.

        A holder who is not on the list comes after the last position. Without screened programs, return no positions.
        """
        lists = {
            place: program.tie_break.tickets
            for place, program in enumerate(self.market.programs)
            if isinstance(program.tie_break, Ranked)
        }
        if not lists:
            return np.empty(0, np.int32)
        columns = self.market.applicants
        positions = np.full(self.program.size, NONE, np.int32)
        order, starts = counting_order(self.program, len(self.market.programs))
        for place, tickets in lists.items():
            entries = order[starts[place] : starts[place + 1]]
            applicants = self.applicant[entries]
            listed = {ticket: position for position, ticket in enumerate(tickets, start=1)}
            here = np.array([listed.get(columns.tickets[index], NONE) for index in applicants.tolist()], np.int32)
            behind = (here == NONE) & (columns.holds_program[applicants] == place)
            positions[entries] = np.where(behind, len(tickets) + 1, here)
        return positions


def candidates_of(entries: Entries, first_group: Int32s, *, siblings_matter: bool) -> Candidates:
    """Compute the word of every candidate.

    The static standings that occur get new numbers, so that words are short.
    """
    without, meets = entries.static_codes(sibling_placed=False)
    depends = siblings_matter and entries.depend_on_siblings()
    with_sibling, meets_with = entries.static_codes(sibling_placed=True) if depends else (without, meets)
    statics = entries.statics()
    occurs = np.zeros(len(statics) + 1, np.bool_)
    occurs[without] = occurs[with_sibling] = True
    occurs[NONE] = False
    short = np.cumsum(occurs, dtype=np.int32) - 1
    group_bits = int(first_group[-1]).bit_length()
    empty, end = empty_words(without.size, bits=group_bits + int(occurs.sum()).bit_length())
    words = [
        fill_words(entries.program, first_group, codes, short, group_bits, empty.copy())
        for codes in ([without, with_sibling] if depends else [without])
    ]
    return Candidates(
        words=words[0],
        words_sibling_placed=words[-1] if siblings_matter else words[0][:0],
        meets=meets,
        meets_sibling_placed=meets_with if siblings_matter else meets[:0],
        end=end,
        group_bits=group_bits,
        statics=tuple(static for static, used in zip(statics, occurs, strict=False) if used),
    )


def empty_words(size: int, *, bits: int) -> tuple[Words, int]:
    """Return words that all have their type's largest value, and this value. `bits` decides between 32 and 64 bits."""
    short, long = np.iinfo(np.uint32), np.iinfo(np.int64)
    if bits <= short.bits:
        return np.full(size, short.max, np.uint32), int(short.max)
    return np.full(size, long.max, np.int64), int(long.max)
