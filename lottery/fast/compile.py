"""A market compiled once into flat arrays, so that a new draw changes nothing but numbers (lottery.md, section 9)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from lottery.fast import kernel
from lottery.fast.columns import NONE, Int32s, Int64s, MarketInColumns, Truths, Words, starts_of
from lottery.fast.conditions import EntryFacts, Finders, SomeEntries, finders_of
from lottery.market.model import HeldSeat, Kind, Late
from lottery.market.rules import (
    EVERYONE,
    Condition,
    Order,
    PriorityClass,
    Program,
    Ranked,
    TieBreak,
    depends_on_siblings,
)
from lottery.match.seats import seats_this_round


class Source(IntEnum):
    """Whose numbers a program goes by: one order of all applicants, or OWN, an order of its own."""

    OWN = NONE
    WAITLIST = 0
    REVERSE = 1
    FRESH = 2


class GroupRule(NamedTuple):
    """What a seat group asks of an applicant."""

    when: Condition
    closed: bool
    priorities: tuple[PriorityClass, ...]


class RuleBook(NamedTuple):
    """All that decides a standing but number and school; programs that share one are compiled in one go."""

    eligible: Condition
    groups: tuple[GroupRule, ...]
    nobody_new: bool
    newcomers_late: bool
    screened: bool

    def depends_on_siblings(self) -> bool:
        """Say whether `sibling_placed` stands anywhere in it."""
        return any(map(depends_on_siblings, self.conditions()))

    def conditions(self) -> Iterator[Condition]:
        """Yield every condition."""
        yield self.eligible
        for group in self.groups:
            yield group.when
            for priority in group.priorities:
                yield priority.when


class StaticStanding(NamedTuple):
    """A standing but for number and ticket: items 1 to 5 of lottery.md, section 3."""

    not_holder: bool
    not_met: bool
    late: bool
    priority: int
    late_in_class: bool


@dataclass(frozen=True, slots=True)
class Rows:
    """Slots laid out for a match, as in `lottery.fast.kernel`; `starts` says where each applicant's row begins."""

    words: Words
    starts: Int64s


@dataclass(frozen=True, slots=True)
class Slots:
    """Every slot's word, as `lottery.fast.kernel` has them, and what the words are made of.

    `near` holds the words where a sibling was placed at the school; it is empty where siblings do not matter. `end` is
    no slot's word and stands where an applicant is not considered. `meets` and `meets_near` say at each slot, whether
    considered or not, if the group's own condition is met. `statics[word >> group_bits]` is what a word's
    upper bits stand for.
    """

    words: Words
    near: Words
    meets: Truths
    meets_near: Truths
    end: int
    group_bits: int
    statics: tuple[StaticStanding, ...]


class DrawnApart(NamedTuple):
    """A program with numbers of its own, and the entries and applicants that have one there, by ticket.

    `source` says which of them are compared, as at other programs.
    """

    program: int
    source: Source
    entries: Int32s
    applicants: Int32s


@dataclass(frozen=True, slots=True)
class Compiled:
    """A market as arrays.

    Programs, and the seat groups of each in precedence order, are numbered from 0 in the order of ids. An entry is one
    program of one applicant's ranking as matched, a slot one seat group of an entry. `position` is each entry's place
    in a screened program's list, and empty where no program is screened. From `seat_start[g]` on there is room for
    those seated in group g: one for each of its seats, but no more than could ever be taken. `turns` are applicants
    that are matched at the same time: those of a grade where siblings matter, else all, grade by grade. `rows` are the
    turns' slots, where no draw changes them, and empty where siblings matter.
    """

    market: MarketInColumns
    first_group: Int32s
    seats: tuple[int, ...]
    seat_start: Int64s
    program_of: Int32s
    school: Int32s
    source: Int32s
    sources: frozenset[Source]
    entry_start: Int64s
    entry_program: Int32s
    entry_school: Int32s
    position: Int32s
    drawn_apart: tuple[DrawnApart, ...]
    slot_start: Int64s
    slots: Slots
    turns: tuple[Int32s, ...]
    rows: tuple[Rows, ...]
    members: Int32s
    members_start: Int64s
    siblings_matter: bool
    """Whether grades must be matched one after another (lottery.md, section 6)."""

    @property
    def slot_bits(self) -> int:
        """Return how many bits the place of a slot takes."""
        return (int(self.slot_start[-1]) + 2 * len(self.market.applicants)).bit_length()

    def group(self, index: int) -> tuple[Program, str]:
        """Return a seat group's program and name."""
        place = int(self.program_of[index])
        program = self.market.programs[place]
        return program, program.precedence[index - int(self.first_group[place])]


def compile_market(market: MarketInColumns) -> Compiled:
    """Compile a market: all that no draw changes is worked out here."""
    applicants, programs = market.applicants, market.programs
    sizes = np.array([len(program.precedence) for program in programs], np.int32)
    first_group = starts_of(sizes).astype(np.int32)
    school_names = {name: place for place, name in enumerate(sorted({program.school for program in programs}))}
    school = np.array([school_names[program.school] for program in programs], np.int32)
    entry_start, entry_program = kernel.rankings_as_matched(
        applicants.ranking_start, applicants.ranking, applicants.holds_program
    )
    slot_of_entry = starts_of(sizes[entry_program])
    entry_school = school[entry_program]
    at_school = np.array([school_names.get(name, NONE) for name in applicants.at_school.words], np.int32)
    facts = kernel.facts_at_schools(
        entry_start,
        entry_school,
        applicants.at_applicant,
        at_school[applicants.at_school.codes],
        applicants.at_facts.codes,
    )
    entries = Entries(market, entry_start, entry_program, slot_of_entry, facts)
    siblings_matter = bool(applicants.together.any()) or any(book.depends_on_siblings() for book in entries.books)
    members, members_start = kernel.counting_order(applicants.household.codes, len(applicants.household.words))
    turns = tuple(_turns(market, in_turn=siblings_matter))
    slots = _spell(entries, first_group, siblings_matter=siblings_matter)
    slot_start = slot_of_entry[entry_start]
    seats = _seats(market)
    program_of = np.repeat(np.arange(len(programs), dtype=np.int32), sizes)
    source = np.array([_source(market, program) for program in programs], np.int32)
    asked = np.bincount(entry_program, minlength=len(programs))
    return Compiled(
        market=market,
        first_group=first_group,
        seats=seats,
        seat_start=starts_of(np.minimum(np.array(seats, np.int64), asked[program_of])),
        program_of=program_of,
        school=school,
        source=source,
        sources=frozenset(map(Source, source[asked > 0].tolist())),
        entry_start=entry_start,
        entry_program=entry_program,
        entry_school=entry_school,
        position=entries.position,
        drawn_apart=tuple(entries.drawn_apart()),
        slot_start=slot_start,
        slots=slots,
        turns=turns,
        rows=() if siblings_matter else tuple(lay_out(slots, slot_start, members_of_turn) for members_of_turn in turns),
        members=members,
        members_start=members_start,
        siblings_matter=siblings_matter,
    )


class Entries:
    """Every entry of every ranking as matched, while standings are worked out."""

    def __init__(
        self,
        market: MarketInColumns,
        entry_start: Int64s,
        entry_program: Int32s,
        slot_of_entry: Int64s,
        facts_at_school: Int32s,
    ) -> None:
        self.market = market
        self.program = entry_program
        self.slot = slot_of_entry
        self.applicant = np.repeat(np.arange(len(market.applicants), dtype=np.int32), np.diff(entry_start))
        self.facts_at_school = facts_at_school
        self.finders: Finders = finders_of(market.applicants)
        books: dict[RuleBook, int] = {}
        self.book_of = np.array(
            [books.setdefault(_book(market, program), len(books)) for program in market.programs], np.int32
        )
        self.books = tuple(books)
        self.most_classes = 1 + max((len(g.priorities) for book in self.books for g in book.groups), default=0)
        self.position = self._positions()

    def static_codes(self, *, near: bool) -> tuple[Int32s, Truths]:
        """Return each slot's static standing as one number, or NONE where the applicant is not considered.

        Return also, for each, whether the group's condition is met.
        """
        codes, meets = np.empty(int(self.slot[-1]), np.int32), np.empty(int(self.slot[-1]), np.bool_)
        order, starts = kernel.counting_order(self.book_of[self.program], len(self.books))
        for place, book in enumerate(self.books):
            entries = order[starts[place] : starts[place + 1]]
            for group, (its_codes, met) in enumerate(self._codes_of_book(book, entries, near=near)):
                codes[self.slot[entries] + group] = its_codes
                meets[self.slot[entries] + group] = met
        return codes, meets

    def statics(self) -> list[StaticStanding]:
        """Return what each number of `static_codes` stands for."""
        either = (False, True)
        return [
            StaticStanding(not_holder, not_met, late, priority, late_in_class)
            for not_holder in either
            for not_met in either
            for late in either
            for priority in range(self.most_classes)
            for late_in_class in either
        ]

    def drawn_apart(self) -> Iterator[DrawnApart]:
        """Yield the programs with one number per applicant and program."""
        order, starts = kernel.counting_order(self.program, len(self.market.programs))
        for place, program in enumerate(self.market.programs):
            if (program.tie_break or self.market.policy.tie_break) is TieBreak.MULTIPLE:
                entries = order[starts[place] : starts[place + 1]]
                source = source_of_order(self.market.round.kind, program)
                yield DrawnApart(place, source, entries, self.applicant[entries])

    def _codes_of_book(self, book: RuleBook, entries: Int32s, *, near: bool) -> Iterator[tuple[Int32s, Truths]]:
        """Yield, for each group in turn, `static_codes` of these entries' slots, as `statics` numbers them."""
        applicants, who = self.market.applicants, self.applicant[entries]
        facts = EntryFacts(self.finders, applicants, SomeEntries(who, self.facts_at_school[entries]), near=near)
        held = applicants.holds_program[who] == self.program[entries]
        any_held = bool(held.any())
        considered = np.zeros(entries.size, np.bool_) if book.nobody_new else facts.meeting(book.eligible)
        if book.screened:
            considered &= self.position[entries] != NONE
        late = applicants.late[who]
        if book.newcomers_late:
            late = late | self._newcomers()[who]
        policy = self.market.policy.late
        for place, group in enumerate(book.groups):
            met = facts.meeting(group.when)
            here = considered & met if group.closed else considered
            if any_held:
                here = np.where(held, applicants.holds_group[who] == place, here)
            code = (~held).astype(np.int32)
            for base, digit in (
                (2, ~met),
                (2, late & (policy is Late.AFTER)),
                (self.most_classes, facts.class_among(group.priorities)),
                (2, late & (policy is Late.WITHIN)),
            ):
                code *= base
                code += digit
            code[~here] = NONE
            yield code, met

    def _newcomers(self) -> Truths:
        drawn_in = self.market.applicants.drawn_in
        this = np.array([round_id == self.market.round.id for round_id in drawn_in.words], np.bool_)
        return this[drawn_in.codes]

    def _positions(self) -> Int32s:
        """Return each entry's position in a screened program's list; a holder who is not on it comes behind it."""
        lists = {
            place: program.tie_break.tickets
            for place, program in enumerate(self.market.programs)
            if isinstance(program.tie_break, Ranked)
        }
        if not lists:
            return np.empty(0, np.int32)
        applicants = self.market.applicants
        positions = np.full(self.program.size, NONE, np.int32)
        order, starts = kernel.counting_order(self.program, len(self.market.programs))
        for place, tickets in lists.items():
            entries = order[starts[place] : starts[place + 1]]
            who = self.applicant[entries]
            listed = {ticket: position for position, ticket in enumerate(tickets, start=1)}
            here = np.array([listed.get(applicants.tickets[index], NONE) for index in who.tolist()], np.int32)
            behind = (here == NONE) & (applicants.holds_program[who] == place)
            positions[entries] = np.where(behind, len(tickets) + 1, here)
        return positions


def _spell(entries: Entries, first_group: Int32s, *, siblings_matter: bool) -> Slots:
    """Turn static standings into words: the few that occur are numbered anew, so that words are short."""
    away, meets = entries.static_codes(near=False)
    depends = siblings_matter and any(book.depends_on_siblings() for book in entries.books)
    near, meets_near = entries.static_codes(near=True) if depends else (away, meets)
    statics = entries.statics()
    occurs = np.zeros(len(statics) + 1, np.bool_)
    occurs[away] = occurs[near] = True
    occurs[NONE] = False
    short = np.cumsum(occurs, dtype=np.int32) - 1
    group_bits = int(first_group[-1]).bit_length()
    count = int(occurs.sum())
    empty, end = empty_words(away.size, bits=group_bits + count.bit_length())
    words = [
        kernel.spell(entries.program, first_group, codes, short, group_bits, empty.copy())
        for codes in ([away, near] if depends else [away])
    ]
    return Slots(
        words=words[0],
        near=words[-1] if siblings_matter else words[0][:0],
        meets=meets,
        meets_near=meets_near if siblings_matter else meets[:0],
        end=end,
        group_bits=group_bits,
        statics=tuple(static for static, there in zip(statics, occurs, strict=False) if there),
    )


def empty_words(size: int, *, bits: int) -> tuple[Words, int]:
    """Return words that all are the largest of their kind, and that one: short words where `bits` fit into them."""
    short, long = np.iinfo(np.uint32), np.iinfo(np.int64)
    if bits <= short.bits:
        return np.full(size, short.max, np.uint32), int(short.max)
    return np.full(size, long.max, np.int64), int(long.max)


def _book(market: MarketInColumns, program: Program) -> RuleBook:
    reserves = {reserve.name: reserve for reserve in program.reserves}
    return RuleBook(
        eligible=program.eligible,
        groups=tuple(
            GroupRule(reserve.when, reserve.closed, reserve.priorities)
            if (reserve := reserves.get(group))
            else GroupRule(EVERYONE, closed=False, priorities=program.priorities)
            for group in program.precedence
        ),
        nobody_new=(market.round.kind is Kind.BACKFILL) and not program.backfill.fills,
        newcomers_late=(market.round.kind is Kind.BACKFILL) and program.backfill.order is not Order.FRESH,
        screened=isinstance(program.tie_break, Ranked),
    )


def _seats(market: MarketInColumns) -> tuple[int, ...]:
    applicants = market.applicants
    holders: Counter[HeldSeat] = Counter()
    held = np.flatnonzero(applicants.holds_program != NONE)
    for place, group in zip(applicants.holds_program[held], applicants.holds_group[held], strict=True):
        program = market.programs[place]
        holders[HeldSeat(program.id, program.precedence[group])] += 1
    kind = market.round.kind
    return tuple(count for program in market.programs for count in seats_this_round(kind, program, holders).values())


def _source(market: MarketInColumns, program: Program) -> Source:
    single = (program.tie_break or market.policy.tie_break) is TieBreak.SINGLE
    return source_of_order(market.round.kind, program) if single else Source.OWN


def source_of_order(kind: Kind, program: Program) -> Source:
    """Return which numbers a program's backfill rule asks for; a main round has the first draw's."""
    if kind is Kind.MAIN:
        return Source.WAITLIST
    return {Order.WAITLIST: Source.WAITLIST, Order.REVERSE: Source.REVERSE, Order.FRESH: Source.FRESH}[
        program.backfill.order
    ]


def _turns(market: MarketInColumns, *, in_turn: bool) -> Iterator[Int32s]:
    """Yield who is matched at the same time, by grade and ticket: a grade where siblings matter, else all."""
    grades = market.applicants.grade
    order = {grade: place for place, grade in enumerate(market.policy.grade_order if in_turn else grades.words)}
    place = np.array([order[grade] for grade in grades.words], np.int32)
    applicants, starts = kernel.counting_order(place[grades.codes], len(order))
    if not in_turn:
        yield applicants
        return
    for turn in range(len(order)):
        yield applicants[starts[turn] : starts[turn + 1]]


def room_for(slot_start: Int64s, applicants: Int32s) -> tuple[int, Int64s]:
    """Return the most words that these applicants' rows may take, and an array for where they start."""
    slots = slot_start[applicants + 1] - slot_start[applicants]
    return int(slots.sum()) + 2 * applicants.size, np.empty(applicants.size + 1, np.int64)


def lay_out(slots: Slots, slot_start: Int64s, applicants: Int32s) -> Rows:
    """Lay out applicants' slots where siblings do not matter."""
    room, starts = room_for(slot_start, applicants)
    words = np.empty_like(slots.words, shape=room)
    size = kernel.lay_out(applicants, slot_start, slots.words, slots.end, words, starts)
    return Rows(words[:size], starts)


def lay_out_with_siblings(compiled: Compiled, applicants: Int32s, near: Truths) -> Rows:
    """Lay out applicants' slots; `near` says at which entries a sibling was placed at the school."""
    slots, columns = compiled.slots, compiled.market.applicants
    room, starts = room_for(compiled.slot_start, applicants)
    words = np.empty_like(slots.words, shape=room)
    size = kernel.lay_out_with_siblings(
        applicants,
        compiled.entry_start,
        compiled.entry_program,
        compiled.slot_start,
        compiled.first_group,
        slots.words,
        slots.near,
        near,
        columns.together,
        columns.holds_program,
        slots.end,
        words,
        starts,
    )
    return Rows(words[:size], starts)
