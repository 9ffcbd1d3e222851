"""What lint says is true: each finding is held against brute force, or against the match under the changed rule."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import lottery
from cities import LARGE, document, summer
from lint_conditions import EVERYBODY, HERE
from lottery.generate.generate import generate
from lottery.lint import lint
from lottery.lint.findings import Check, Finding, Weight
from lottery.market.canonical import Json
from lottery.market.model import Applicant, HeldSeat, Market
from lottery.market.rules import (
    OPEN,
    AllOf,
    AnyOf,
    Condition,
    Not,
    Order,
    Overflow,
    PriorityClass,
    Program,
    VacatedReserves,
)
from lottery.match.lottery_numbers import Draw
from lottery.match.siblings import PlacedSiblings, ranking_as_matched
from lottery.match.standing import Barred, Standing, Standings
from markets import (
    EARLIER_SEEDS,
    FLAGS,
    TICKETS,
    backfill_markets,
    main_markets,
    seeds,
)
from match_examples import examples
from worked_examples import Document

SEEDS = [bytes([number]) * 32 for number in (1, 2, 3)]


# ---- what a finding says, looked for in other ways


class Seen:
    """A market, matched on some seeds, with what everybody's standing is there."""

    def __init__(self, market: Market, seeds: Sequence[bytes]) -> None:
        self.market = market
        self.seeds = seeds
        self.programs = {program.id: program for program in market.programs}
        self.applicants = {applicant.id: applicant for applicant in market.applicants}
        self.outcomes = [matched(market, seed) for seed in seeds]

    def draws(self) -> Iterator[tuple[Standings, PlacedSiblings, lottery.Outcome]]:
        for seed, outcome in zip(self.seeds, self.outcomes, strict=True):
            standings = Standings(self.market, Draw(self.market, seed=seed, seeds=earlier(self.market)))
            placed = ((self.applicants[p.applicant], self.programs[p.program].school) for p in outcome.placements)
            yield standings, PlacedSiblings(self.market, placed), outcome

    def asking(self, program: Program) -> Iterator[Applicant]:
        for applicant in self.market.applicants:
            if program.id in ranking_as_matched(applicant, {}, ()):
                yield applicant

    def standings_at(
        self, program: Program
    ) -> Iterator[tuple[Applicant, Mapping[str, Standing | Barred], frozenset[str]]]:
        """Yield everybody who asks at a program, in every draw, with the standing at each group."""
        for standings, siblings, _ in self.draws():
            for applicant in self.asking(program):
                near = frozenset(siblings.schools(applicant))
                found = standings.at(applicant, program, near)
                yield applicant, dict(zip(program.precedence, found, strict=True)), near


def earlier(market: Market) -> dict[str, bytes]:
    rounds = {applicant.drawn_in for applicant in market.applicants} - {market.round.id}
    return {name: EARLIER_SEEDS.get(name, b"x" * 32) for name in rounds}


def matched(market: Market, seed: bytes) -> lottery.Outcome:
    return lottery.match_market(market, seed=seed, seeds=earlier(market), engine="reference")


def programs_of(outcome: lottery.Outcome) -> dict[str, str]:
    return {placement.applicant: placement.program for placement in outcome.placements}


def changes_nothing(seen: Seen, changed: Market) -> None:
    """Hold everybody's program to be the same under the changed rules, on several seeds."""
    for seed, outcome in zip(seen.seeds, seen.outcomes, strict=True):
        assert programs_of(outcome) == programs_of(matched(changed, seed))


def at_programs(seen: Seen, finding: Finding) -> Iterator[Program]:
    return (seen.programs[name] for name in finding.programs)


def place(path: str) -> list[str | int]:
    """Take a path apart: `$.programs[3].eligible` is programs, 3, eligible."""
    steps = path.removeprefix("$.").replace("]", "").replace("[", ".").split(".")
    return [int(step) if step.isdigit() else step for step in steps]


def condition_at(market: Market, path: str) -> Condition:
    """Return the condition that stands at a place; how its operand is told may follow."""
    _, index, part, *steps = place(path)
    assert isinstance(index, int)
    program = market.programs[index]
    condition = program.eligible
    if part == "priorities":
        condition, steps = program.priorities[int(steps[0])].when, steps[2:]
    elif part == "reserves":
        reserve, steps = program.reserves[int(steps[0])], steps[1:]
        condition = reserve.when
        if steps[:1] == ["overflow"]:
            condition, steps = reserve.others, steps[1:]
        if steps[:1] == ["priorities"]:
            condition, steps = reserve.priorities[int(steps[1])].when, steps[2:]
        steps = steps[1:]
    return inside(condition, steps)


def inside(condition: Condition, steps: Sequence[str | int]) -> Condition:
    match condition, steps:
        case AllOf(parts) | AnyOf(parts), ["all" | "any", int(index), *rest]:
            return inside(parts[index], rest)
        case Not(part), ["not", *rest]:
            return inside(part, rest)
        case _:
            return condition


def some_children(program: Program) -> Iterator[tuple[Applicant, tuple[str, ...]]]:
    """Yield children of all kinds, with and without a sibling placed at the program's school."""
    for child in EVERYBODY[::19]:
        for near in ((), (program.school,)):
            yield replace(child, at={program.school: child.at[HERE]}), near


def holds_for(market: Market, path: str) -> set[bool]:
    program = market.programs[int(place(path)[1])]
    condition = condition_at(market, path)
    return {condition.holds(child, program.school, near) for child, near in some_children(program)}


def condition_never(seen: Seen, finding: Finding) -> None:
    for at in finding.places:
        assert holds_for(seen.market, at.path) == {False}


def condition_always(seen: Seen, finding: Finding) -> None:
    if finding.group is None or finding.places[0].path.endswith("overflow.to"):
        for at in finding.places:
            assert holds_for(seen.market, at.path) == {True}
    else:
        for program in at_programs(seen, finding):
            reserve = program.reserve(finding.group)
            assert reserve is not None
            for child, near in some_children(program):
                if program.eligible.holds(child, program.school, near):
                    assert reserve.when.holds(child, program.school, near)


def part_idle(seen: Seen, finding: Finding) -> None:
    for at in finding.places:
        parent, _, step = at.path.rpartition("[")
        whole = condition_at(seen.market, parent.rpartition(".")[0])
        assert isinstance(whole, AllOf | AnyOf)
        index = int(step.removesuffix("]"))
        rest = type(whole)((*whole.parts[:index], *whole.parts[index + 1 :]))
        program = seen.market.programs[int(place(at.path)[1])]
        for child, near in some_children(program):
            assert whole.holds(child, program.school, near) == rest.holds(child, program.school, near)


def class_index(program: Program, finding: Finding) -> tuple[Sequence[PriorityClass], int]:
    reserve = program.reserve(finding.group or OPEN)
    listed = reserve.priorities if reserve else program.priorities
    return listed, [priority.name for priority in listed].index(str(finding.class_))


def class_unreachable(seen: Seen, finding: Finding) -> None:
    for program in at_programs(seen, finding):
        listed, index = class_index(program, finding)
        reserve = program.reserve(finding.group or OPEN)
        for child, near in some_children(program):
            admitted = program.eligible.holds(child, program.school, near)
            if reserve:
                admitted &= reserve.admits.holds(child, program.school, near)
            first = next((i for i, c in enumerate(listed) if c.when.holds(child, program.school, near)), None)
            assert not (admitted and first == index)


def classes_reached(seen: Seen, finding: Finding) -> set[int]:
    """Return the classes that those considered are in, in every draw."""
    group = finding.group or OPEN
    return {
        standing.priority
        for program in at_programs(seen, finding)
        for _, at, _ in seen.standings_at(program)
        if isinstance(standing := at[group], Standing)
    }


def class_empty(seen: Seen, finding: Finding) -> None:
    program = next(at_programs(seen, finding))
    if len({class_index(each, finding)[1] for each in at_programs(seen, finding)}) == 1:
        assert class_index(program, finding)[1] not in classes_reached(seen, finding)


def class_for_all(seen: Seen, finding: Finding) -> None:
    program = next(at_programs(seen, finding))
    if finding.basis == "rules":
        assert len(class_index(program, finding)[0]) not in {
            standing.priority
            for applicant, at, near in seen.standings_at(program)
            if isinstance(standing := at[finding.group or OPEN], Standing) and not applicant.holds
        }
    elif len({class_index(each, finding)[1] for each in at_programs(seen, finding)}) == 1:
        assert classes_reached(seen, finding) <= {class_index(program, finding)[1]}


def nobody_eligible(seen: Seen, finding: Finding) -> None:
    for program in at_programs(seen, finding):
        for applicant, at, near in seen.standings_at(program):
            assert not program.eligible.holds(applicant, program.school, near)
            assert applicant.holds or set(at.values()) == {Barred.NOT_ELIGIBLE}


def reserve_for_nobody(seen: Seen, finding: Finding) -> None:
    for program in at_programs(seen, finding):
        for applicant, at, _ in seen.standings_at(program):
            standing = at[str(finding.group)]
            if isinstance(standing, Standing) and applicant.holds is None:
                assert standing.not_met


def without(market: Market, program: Program, group: str) -> Market:
    """The market without a reserve: its seats are open, and so are those that are held."""
    changed = replace(
        program,
        reserves=tuple(reserve for reserve in program.reserves if reserve.name != group),
        precedence=tuple(name for name in program.precedence if name != group),
    )
    gone = HeldSeat(program.id, group)
    return replace(
        market,
        programs=tuple(changed if each is program else each for each in market.programs),
        applicants=tuple(
            replace(each, holds=HeldSeat(program.id, OPEN)) if each.holds == gone else each
            for each in market.applicants
        ),
    )


def reserve_like_open(seen: Seen, finding: Finding) -> None:
    for program in at_programs(seen, finding):
        changes_nothing(seen, without(seen.market, program, str(finding.group)))


def overflow_idle(seen: Seen, finding: Finding) -> None:
    """The reserve is as good as open, or as good as closed."""
    overflow = Overflow.OPEN if "bars no child" in finding.wrong else Overflow.CLOSED
    for program in at_programs(seen, finding):
        changed = tuple(
            replace(reserve, overflow=overflow) if reserve.name == finding.group else reserve
            for reserve in program.reserves
        )
        programs = (replace(each, reserves=changed) if each is program else each for each in seen.market.programs)
        changes_nothing(seen, replace(seen.market, programs=tuple(programs)))


def reserve_without_seats(seen: Seen, finding: Finding) -> None:
    for program in at_programs(seen, finding):
        assert program.seats_as_written()[str(finding.group)] == 0 < program.seats


def reserve_left_empty(seen: Seen, finding: Finding) -> None:
    empty = int(finding.wrong.partition("at least ")[2].split()[0])
    for outcome in seen.outcomes:
        for cutoff in outcome.cutoffs:
            if cutoff.program in finding.programs and cutoff.group == finding.group:
                assert cutoff.seats - cutoff.filled >= empty > 0


def list_short(seen: Seen, finding: Finding) -> None:
    empty = int(finding.wrong.partition("at least ")[2].split()[0])
    for outcome in seen.outcomes:
        of_program = [cutoff for cutoff in outcome.cutoffs if cutoff.program == finding.program]
        assert sum(cutoff.seats - cutoff.filled for cutoff in of_program) >= empty > 0


def list_empty(seen: Seen, finding: Finding) -> None:
    for program in at_programs(seen, finding):
        for applicant, at, _ in seen.standings_at(program):
            assert applicant.holds or all(isinstance(standing, Barred) for standing in at.values())


def not_considered(seen: Seen, finding: Finding) -> None:
    concerned = 0
    reasons: dict[str, Callable[[Standing | Barred], bool]] = {
        "takes no new children": lambda standing: standing is Barred.NOBODY_NEW,
        "not meet `eligible`": lambda standing: standing is Barred.NOT_ELIGIBLE,
        "own list": lambda standing: standing in {Barred.NOT_LISTED, Barred.NOT_ELIGIBLE},
        "closed reserves": lambda standing: standing in {Barred.RESERVE_CLOSED, Barred.NOT_ELIGIBLE},
    }
    (test,) = [test for words, test in reasons.items() if words in finding.wrong]
    for program in at_programs(seen, finding):
        barred: Counter[str] = Counter()
        for applicant, at, _ in seen.standings_at(program):
            seated = [standing for group, standing in at.items() if program.seats_as_written()[group]]
            if applicant.holds is None or applicant.holds.program != program.id:
                barred[applicant.id] += bool(seated or at) and all(map(test, seated or at.values()))
        concerned += sum(times == len(seen.seeds) for times in barred.values())
    assert finding.applicants <= concerned


def sibling_never(seen: Seen, finding: Finding) -> None:
    for program in at_programs(seen, finding):
        for _, _, near in seen.standings_at(program):
            assert program.school not in near


def backfill_idle(seen: Seen, finding: Finding) -> None:
    if "do not count as late" not in finding.wrong:
        change = _by_waitlist if finding.places[0].path.endswith("order") else _keeping
        programs = (change(each) if each.id in finding.programs else each for each in seen.market.programs)
        changes_nothing(seen, replace(seen.market, programs=tuple(programs)))


def _by_waitlist(program: Program) -> Program:
    return replace(program, backfill=replace(program.backfill, order=Order.WAITLIST))


def _keeping(program: Program) -> Program:
    return replace(program, backfill=replace(program.backfill, vacated_reserves=VacatedReserves.KEEP))


def below_held(seen: Seen, _: Finding) -> None:
    applicants = (
        replace(each, ranking=each.ranking[: each.ranking.index(each.holds.program) + 1])
        if each.holds and each.holds.program in each.ranking
        else each
        for each in seen.market.applicants
    )
    changes_nothing(seen, replace(seen.market, applicants=tuple(applicants)))


def grade_order_ignored(seen: Seen, _: Finding) -> None:
    changes_nothing(seen, replace(seen.market, policy=replace(seen.market.policy, grade_order=())))


def together_idle(seen: Seen, finding: Finding) -> None:
    """Only the wishes told of are taken back; that grades are matched apart does not hang on them."""
    idle = set(finding.tickets) if len(finding.tickets) == finding.applicants else set()
    applicants = (replace(each, together=each.together and each.id not in idle) for each in seen.market.applicants)
    changes_nothing(seen, replace(seen.market, applicants=tuple(applicants)))


def twins_idle(seen: Seen, _: Finding) -> None:
    families = Counter((a.household, a.grade) for a in seen.market.applicants if a.household)
    assert set(families.values()) <= {1}


HELD_AGAINST: Mapping[Check, Callable[[Seen, Finding], None]] = {
    Check.CONDITION_NEVER: condition_never,
    Check.CONDITION_ALWAYS: condition_always,
    Check.PART_NEVER: condition_never,
    Check.PART_IDLE: part_idle,
    Check.SIBLING_NEVER: sibling_never,
    Check.ELIGIBLE_NOBODY: nobody_eligible,
    Check.CLASS_UNREACHABLE: class_unreachable,
    Check.CLASS_EMPTY: class_empty,
    Check.CLASS_FOR_ALL: class_for_all,
    Check.RESERVE_WITHOUT_SEATS: reserve_without_seats,
    Check.RESERVE_FOR_NOBODY: reserve_for_nobody,
    Check.RESERVE_LIKE_OPEN: reserve_like_open,
    Check.OVERFLOW_IDLE: overflow_idle,
    Check.RESERVE_LEFT_EMPTY: reserve_left_empty,
    Check.LIST_EMPTY: list_empty,
    Check.LIST_SHORT: list_short,
    Check.NOT_CONSIDERED: not_considered,
    Check.BACKFILL_IDLE: backfill_idle,
    Check.BELOW_HELD: below_held,
    Check.GRADE_ORDER_IGNORED: grade_order_ignored,
    Check.TOGETHER_IDLE: together_idle,
    Check.TWINS_IDLE: twins_idle,
}


def held_true(market: Market, *, seeds: Sequence[bytes] = SEEDS) -> list[Finding]:
    """Return the findings of a market, each held against what its matches show."""
    seen = Seen(market, seeds)
    findings = lint(market, draws=0)
    for finding in findings:
        if finding.check in HELD_AGAINST:
            HELD_AGAINST[finding.check](seen, finding)
    return findings


@examples(150)
@given(st.one_of(main_markets(), backfill_markets()))
def test_every_finding_of_any_market_holds(made: Json) -> None:
    for finding in held_true(lottery.read_market(made)):
        event(f"{finding.check} ({finding.basis})")


SOME_FLAG: st.SearchStrategy[Json] = st.sampled_from([{"has": flag} for flag in FLAGS])


@st.composite
def classes_and_reserves(draw: DrawFn) -> Document:
    """Rules with a reserve that is often for exactly the first classes, or for all."""
    whens = draw(st.lists(SOME_FLAG, min_size=1, max_size=3))
    first: Json = {"any": whens[: draw(st.integers(1, 2))]}
    classes: list[Json] = [{"name": f"class-{number}", "when": when} for number, when in enumerate(whens)]
    own: Document = {
        "name": "own",
        "when": draw(st.one_of(st.just(first), st.just(first), SOME_FLAG, st.just({"everyone": True}))),
        "seats": draw(st.integers(1, 2)),
        "overflow": draw(st.one_of(st.sampled_from(["open", "open", "closed"]), SOME_FLAG.map(lambda to: {"to": to}))),
    }
    if draw(st.integers(0, 3)) == 0:
        own["priorities"] = classes[::-1]
    between: Document = {"name": "between", "when": draw(SOME_FLAG), "seats": draw(st.integers(0, 1))}
    return {
        "eligible": draw(st.sampled_from([{"everyone": True}, {"everyone": True}, first])),
        "priorities": classes,
        "reserves": [own, between],
        "precedence": draw(st.permutations(["own", "between", "open"])),
    }


@st.composite
def few_of_each_kind(draw: DrawFn) -> list[Json]:
    """Children who differ in flags and in whether they are late."""
    flags = st.sets(st.sampled_from(FLAGS)).map(sorted)
    return [
        {"id": ticket, "grade": "KG", "ranking": ["oak"], "flags": draw(flags), "late": draw(st.integers(0, 2)) == 2}
        for ticket in TICKETS[: draw(st.integers(4, 8))]
    ]


@st.composite
def one_school(draw: DrawFn) -> Market:
    rules = draw(classes_and_reserves())
    made: Document = {
        "format": "lottery-market/1",
        "round": {"id": "main", "kind": "main"},
        "policy": {"late": draw(st.sampled_from(["after", "after", "within", "equal"]))},
        "programs": [{"id": "oak", "school": "oak", "grade": "KG", "seats": 3, **rules}],
        "applicants": draw(few_of_each_kind()),
    }
    return lottery.read_market(made)


@examples(800)
@given(one_school())
def test_a_reserve_like_open_can_be_removed_without_moving_anybody(market: Market) -> None:
    for finding in held_true(market):
        event(f"{finding.check} ({finding.basis})")


@examples(100)
@given(main_markets(), seeds())
def test_a_screened_program_is_told_of_nobody_who_is_placed_there(made: Json, seed: bytes) -> None:
    """Of those said not to be considered, nobody is placed."""
    market = lottery.read_market(made)
    placed = set(programs_of(matched(market, seed)).items())
    for finding in lint(market, draws=0):
        if finding.check is Check.NOT_CONSIDERED and len(finding.programs) == 1:
            assert placed.isdisjoint((ticket, finding.program) for ticket in finding.tickets)


@pytest.mark.parametrize("which", ["main", "summer"])
def test_every_finding_of_an_invented_city_holds(which: str) -> None:
    made = document(generate(LARGE)) if which == "main" else cast("Document", summer())
    assert held_true(lottery.read_market(made), seeds=SEEDS[:1])


def test_no_rule_of_an_invented_city_is_refused_but_for_rounding_and_a_class_within_another() -> None:
    refused = {
        each.check
        for each in lint(lottery.read_market(document(generate(LARGE))), draws=0)
        if each.weight is Weight.CANNOT
    }
    assert refused <= {Check.RESERVE_WITHOUT_SEATS, Check.CLASS_UNREACHABLE}
