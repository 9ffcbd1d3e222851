"""The children who want each program, grouped into the kinds that the program's rules can tell apart."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from lottery.lint.findings import Basis, Check, Finding, Place, Weight, few_of
from lottery.lint.json_paths import Rule, rules_of
from lottery.lint.logic import Cases, Table, column, every_case, leaves_of, places_in
from lottery.market.model import Applicant, Market
from lottery.market.rules import Condition, Order, Program, Ranked, SiblingPlaced
from lottery.match.cohorts import cohorts_of_draws
from lottery.match.seats import seats_this_round
from lottery.match.siblings import ranking_as_matched
from lottery.match.standing import held_group

SIBLING_PLACED = SiblingPlaced()

NO_FACTS: frozenset[str] = frozenset()


class Kind(NamedTuple):
    """Children with the same facts for a program's rules; bit j of `pattern` is set if leaf j holds.

    The match decides later whether a sibling is placed at the school. So `pattern` leaves this out, and `may_follow`
    says whether it is possible. `listed` is true if the program has no list.
    """

    pattern: int
    may_follow: bool
    listed: bool
    holds: str | None
    first_choice: bool
    late: bool


class Askers:
    """The children who want one program: they rank it above any held seat, or hold a seat there."""

    def __init__(self, leaves: Sequence[Condition], tickets: Mapping[Kind, Sequence[str]]) -> None:
        self.kinds = tuple(tickets)
        self._tickets = tuple(tickets.values())
        followed = 1 << leaves.index(SIBLING_PLACED) if SIBLING_PLACED in leaves else 0
        cases = [
            (place, kind.pattern | placed)
            for place, kind in enumerate(self.kinds)
            for placed in ((0, followed) if kind.may_follow and followed else (0,))
        ]
        self._kind_of = [place for place, _ in cases]
        self.cases = Cases(leaves, [pattern for _, pattern in cases])

    def where(self, test: Callable[[Kind], bool]) -> Table:
        """Return the cases of the kinds that pass a test."""
        return column(test(self.kinds[place]) + 0 for place in self._kind_of)

    def kinds_in(self, table: Table) -> AbstractSet[int]:
        """Return the kinds of children who can be in one of the cases."""
        return {self._kind_of[case] for case in places_in(table)}

    def count(self, kinds: Iterable[int]) -> int:
        """Return how many children these kinds have."""
        return sum(len(self._tickets[kind]) for kind in kinds)

    def tickets(self, kinds: Iterable[int]) -> Iterator[str]:
        """Yield the ids of the children of these kinds."""
        return chain.from_iterable(self._tickets[kind] for kind in kinds)


@dataclass(frozen=True, slots=True)
class Look:
    """One program with everything that a check needs.

    `logic` has every possible case of a child, or None if there are too many. `seats` are the seats of this round.
    `may_follow` says whether the match can place a sibling at the school before the program's grade.
    """

    market: Market
    program: Program
    path: str
    logic: Cases | None
    askers: Askers
    seats: Mapping[str, int]
    takes_new: bool
    may_follow: bool

    @property
    def rules(self) -> Sequence[Rule]:
        """Return the program's conditions with their places."""
        return tuple(rules_of(self.program, self.path))

    @property
    def eligible(self) -> Table:
        """Return the cases of this program's children who meet `eligible`."""
        return self.askers.cases.meeting(self.program.eligible)

    @property
    def considered(self) -> Table:
        """Return the cases of this program's considered children, including holders of a seat."""
        may = self.eligible & self.askers.where(lambda kind: kind.listed) if self.takes_new else 0
        return may | self.askers.where(lambda kind: kind.holds is not None)

    def finding(
        self,
        check: Check,
        path: str,
        *,
        weight: Weight,
        basis: Basis,
        wrong: str,
        change: str,
        group: str | None = None,
        class_: str | None = None,
        kinds: Iterable[int] = (),
    ) -> Finding:
        """Return a finding about this program; `kinds` are the kinds of the children concerned."""
        concerned = list(kinds)
        return Finding(
            check,
            weight,
            basis,
            self.program.school,
            (Place(self.program.id, path),),
            group,
            class_,
            self.askers.count(concerned),
            few_of(self.askers.tickets(concerned)),
            wrong,
            change,
        )


def look_at(market: Market) -> list[Look]:
    """Return every program of a market with the children who want it."""
    asking = _asking(market)
    holders = market.holders()
    siblings = _Siblings(market)
    looks = []
    for index, program in enumerate(market.programs):
        leaves = leaves_of(program.conditions())
        kinds = _kinds(market, program, leaves, asking[program.id], siblings)
        look = Look(
            market=market,
            program=program,
            path=f"$.programs[{index}]",
            logic=every_case(leaves),
            askers=Askers(leaves, kinds),
            seats=seats_this_round(market.round.kind, program, holders),
            takes_new=program.backfill.fills or not market.is_backfill,
            may_follow=siblings.can_be_placed_before(program),
        )
        looks.append(look)
    return looks


def _asking(market: Market) -> Mapping[str, Sequence[Applicant]]:
    asking: dict[str, list[Applicant]] = {program.id: [] for program in market.programs}
    for applicant in market.applicants:
        for program in ranking_as_matched(applicant, {}, ()):
            asking[program].append(applicant)
    return asking


def _kinds(
    market: Market, program: Program, leaves: Sequence[Condition], asking: Sequence[Applicant], siblings: "_Siblings"
) -> Mapping[Kind, Sequence[str]]:
    listed = frozenset(program.tie_break.tickets) if isinstance(program.tie_break, Ranked) else None
    fresh = program.backfill.order is Order.FRESH
    late_draws = set() if fresh else {draw for draw, cohort in cohorts_of_draws(market.round).items() if cohort}
    looks_at_siblings = SIBLING_PLACED in leaves
    patterns: dict[tuple[object, ...], int] = {}
    tickets: defaultdict[Kind, list[str]] = defaultdict(list)
    for applicant in asking:
        facts = (applicant.zones, applicant.flags, applicant.at.get(program.school, NO_FACTS), applicant.attends)
        pattern = patterns.get(facts)
        if pattern is None:
            pattern = patterns[facts] = _pattern(leaves, applicant, program.school)
        kind = Kind(
            pattern,
            looks_at_siblings and siblings.may_be_placed(applicant, program.school),
            listed is None or applicant.id in listed,
            held_group(applicant, program),
            applicant.ranking[:1] == (program.id,),
            applicant.late or applicant.drawn_in in late_draws,
        )
        tickets[kind].append(applicant.id)
    return tickets


def _pattern(leaves: Sequence[Condition], applicant: Applicant, school: str) -> int:
    return sum(leaf.holds(applicant, school, ()) << bit for bit, leaf in enumerate(leaves))


class _Siblings:
    """Finds where the match can place siblings before a grade."""

    def __init__(self, market: Market) -> None:
        self._turn = {grade: turn for turn, grade in enumerate(market.policy.grade_order)}
        self._first_turn: dict[str, int] = {}  # by school: the first grade there in which a child can be placed
        self._asked: dict[str, dict[str, int]] = {}  # by household and school: the first grade that asks there
        if market.siblings_matter():
            for program in market.programs:
                if program.seats:
                    self._note(self._first_turn, program.school, program.grade)
            self._note_families(market)

    def _note_families(self, market: Market) -> None:
        school_of = {program.id: program.school for program in market.programs}
        for applicant in market.applicants:
            if applicant.household is not None:
                asked = self._asked.setdefault(applicant.household, {})
                for program in ranking_as_matched(applicant, {}, ()):
                    self._note(asked, school_of[program], applicant.grade)

    def _note(self, first: dict[str, int], school: str, grade: str) -> None:
        turn = self._turn[grade]
        first[school] = min(turn, first.get(school, turn))

    def can_be_placed_before(self, program: Program) -> bool:
        """Return whether the match can place a child at the program's school in an earlier grade."""
        return self._before(self._first_turn, program.school, program.grade)

    def may_be_placed(self, applicant: Applicant, school: str) -> bool:
        """Return whether a child of the same household wants the school in an earlier grade."""
        asked = self._asked.get(applicant.household or "", {})
        return self._before(asked, school, applicant.grade) and self._before(self._first_turn, school, applicant.grade)

    def _before(self, first: Mapping[str, int], school: str, grade: str) -> bool:
        return school in first and first[school] < self._turn[grade]
