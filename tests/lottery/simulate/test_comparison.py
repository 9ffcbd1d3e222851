"""What a change of rules does: counted as by hand, on the same draws, and as Boston and papers on backfill found it."""

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lottery
import oracle
from cities import SMALL, document
from command_line import Captured, exit_code, the_one_line
from lottery.cli.main import main
from lottery.fast.columns import MarketInColumns, in_columns
from lottery.generate.generate import MAIN_ROUND, generate, generate_summer
from lottery.market.canonical import Json, canonical_line
from lottery.market.model import Market as ParsedMarket
from lottery.market.model import program_document
from lottery.market.rules import (
    EVERYONE,
    OPEN,
    Order,
    Program,
    Ranked,
    Share,
    TieBreak,
    ZoneIn,
    depends_on_zones,
)
from lottery.simulate.comparison import Comparison, Incomparable
from lottery.simulate.counts import Change, Counts, Pairs
from lottery.simulate.report import FORMAT, Compared
from lottery.simulate.rule_changes import CHANGES
from lottery.simulate.simulation import Simulation
from markets import backfill_markets, main_markets, seeds
from oracle import Applicant, Market, Place, Round, SiblingSchools, asks_for_siblings, met
from simulated_markets import all_markets, examples, places_in

SEED = b"s" * 32
DRAWS = range(3)
CITY = replace(SMALL, applicants=2_000, schools=30)

ALTERS_GROUPS = [name for name in CHANGES if name.startswith("neighborhood") or name == "no-reserves"]
"""Changes after which a held seat may be in no group any more."""

Key = TypeVar("Key", bound=Hashable)


def read(market: Json) -> Market:
    return cast("Market", market)


def under(change: str, market: MarketInColumns) -> MarketInColumns:
    return replace(market, programs=tuple(map(CHANGES[change], market.programs)))


def changed(change: str, market: Json) -> Json:
    """Return the market's document with that change, as somebody would write it into a file."""
    programs = [program_document(CHANGES[change](program)) for program in lottery.read_market(market).programs]
    return {**cast("dict[str, Json]", market), "programs": [json.loads(canonical_line(each)) for each in programs]}


def nobody_holds(market: Json) -> Json:
    applicants = [{key: told for key, told in each.items() if key != "holds"} for each in read(market)["applicants"]]
    return cast("Json", {**read(market), "applicants": applicants})


@st.composite
def pairs_of_markets(draw: st.DrawFn) -> tuple[Json, Json]:
    """A market, and it with a change of its programs' rules and sometimes of its policy."""
    market, change = draw(all_markets()), draw(st.sampled_from(sorted(CHANGES)))
    if change in ALTERS_GROUPS:
        market = nobody_holds(market)
    after = read(changed(change, market))
    if draw(st.booleans()):
        late = draw(st.sampled_from(("after", "within", "equal")))
        after["policy"] = {**after.get("policy", {}), "late": late}
    return market, cast("Json", after)


def comparison_of(before: Json, after: Json, seed: bytes = SEED) -> Comparison:
    first, second = (in_columns(lottery.read_market(market)) for market in (before, after))
    return Comparison(first, second, seed=seed)


# ---- counting by hand


@dataclass(frozen=True)
class Undrawn(Round):
    """A round whose numbers nobody asks for."""

    def number(self, applicant: Applicant, program: oracle.Program) -> int:  # noqa: ARG002
        return 0


class Match(NamedTuple):
    """One match of one market, by the engine, and what the rules say of it, by the oracle."""

    this: Round
    placed: Mapping[str, Place]
    near: Mapping[str, SiblingSchools]  # by grade

    def applicants(self) -> list[Applicant]:
        return self.this.market["applicants"]

    def choice(self, applicant: Applicant) -> int:
        """Say how good a place is: 0 is the first choice, and having none the worst."""
        ranking, place = applicant["ranking"], self.placed.get(applicant["id"])
        if place is None:
            return len(ranking) + 1
        return ranking.index(place.program) if place.program in ranking else len(ranking)

    def classes(self) -> Counter[tuple[str | None, str]]:
        counts: Counter[tuple[str | None, str]] = Counter()
        for applicant in self.applicants():
            if place := self.placed.get(applicant["id"]):
                standing = self.this.standing(applicant, place, self.near.get(applicant["grade"], {}))
                assert standing is not None
                name = self.this.class_name(place, standing)
                counts.update([(None, name), (place.program, name)])
        return counts

    def schools(self) -> Counter[tuple[None, str]]:
        return Counter((None, self.this.program(place.program)["school"]) for place in self.placed.values())

    def meeting(self, owner: Round, program: str, reserve: str) -> int:
        """Count who was placed at the program and meets the reserve's condition, as its owner has it."""
        school = owner.program(program)["school"]
        (when,) = [each["when"] for each in owner.program(program)["reserves"] if each["name"] == reserve]
        return sum(
            met(when, applicant, school, self.near.get(applicant["grade"], {}))
            for applicant in owner.market["applicants"]
            if (place := self.placed.get(applicant["id"])) and place.program == program
        )

    def moves(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for applicant in self.applicants():
            held, place = applicant["holds"], self.placed.get(applicant["id"])
            if held:
                counts["stayed" if place == (held["program"], held["group"]) else "moved"] += 1
            elif place:
                counts["newly placed"] += 1
        return counts


def match_of(market: Json, simulation: Simulation, draw: int) -> Match:
    this, placed = Undrawn(oracle.written_out(market), b"", {}), places_in(simulation, draw)
    near: dict[str, SiblingSchools] = {}
    if in_turn(this):
        before: dict[str, Place] = {}
        for grade in this.grades():
            near[grade] = this.sibling_schools(before)
            before |= {each["id"]: placed[each["id"]] for each in this.applicants(grade) if each["id"] in placed}
    return Match(this, placed, near)


def in_turn(this: Round) -> bool:
    conditions = (each for program in this.market["programs"] for each in oracle.conditions(program))
    return any(map(asks_for_siblings, conditions)) or any(each["together"] for each in this.market["applicants"])


def matches(pair: tuple[Json, Json], comparison: Comparison) -> list[tuple[Match, Match]]:
    before, after = pair
    return [(match_of(before, comparison.before, draw), match_of(after, comparison.after, draw)) for draw in DRAWS]


Sums = Mapping[Key, tuple[int, int, int]]


def by_hand(pairs: Iterable[tuple[Mapping[Key, int], Mapping[Key, int]]]) -> Sums[Key]:
    """Add up each count before and after, and the square of each difference; where all are 0 there is none."""
    sums: dict[Key, tuple[int, int, int]] = {}
    for before, after in pairs:
        for key in before.keys() | after.keys():
            first, second = before.get(key, 0), after.get(key, 0)
            former = sums.get(key, (0, 0, 0))
            sums[key] = (former[0] + first, former[1] + second, former[2] + (second - first) ** 2)
    return {key: its for key, its in sums.items() if any(its)}


def told(keys: Sequence[Key], pairs: Pairs, column: int | None = None) -> Sums[Key]:
    arrays = [each if column is None else each[:, column] for each in (pairs.before, pairs.after, pairs.squares)]
    rows = zip(keys, *(array.tolist() for array in arrays), strict=True)
    return {key: (first, second, square) for key, first, second, square in rows if first or second or square}


def kinds_of(applicant: Applicant) -> Iterator[tuple[str, str]]:
    yield "all", "everybody"
    yield "grade", applicant["grade"]
    yield from (("zone", zone) for zone in applicant["zones"])
    yield from (("flag", flag) for flag in applicant["flags"])
    named = {"late": applicant["late"], "together": applicant["together"], "holds a seat": applicant["holds"]}
    yield from (("applicant", name) for name, there in named.items() if there)


def of_kinds(applicants: Iterable[Applicant]) -> Counter[tuple[str, str]]:
    return Counter(kind for applicant in applicants for kind in kinds_of(applicant))


def kind_keys(comparison: Comparison) -> list[tuple[str, str]]:
    return [(kind.of, kind.name) for kind in comparison.kinds]


@examples(30)
@given(all_markets())
def test_every_kind_of_applicant_that_there_is_is_named_once_with_its_number(market: Json) -> None:
    comparison = comparison_of(market, market)
    sizes = list(zip(kind_keys(comparison), comparison.sizes(), strict=True))
    applicants = oracle.written_out(market)["applicants"]
    assert sorted(sizes) == sorted({("all", "everybody"): 0, **of_kinds(applicants)}.items())


@examples(40)
@given(pairs_of_markets(), seeds())
def test_seats_and_first_choices_are_counted_by_kind(pair: tuple[Json, Json], seed: bytes) -> None:
    comparison = comparison_of(*pair, seed)
    counts, drawn = comparison.tally(DRAWS), matches(pair, comparison)
    seated = [[of_kinds(a for a in m.applicants() if a["id"] in m.placed) for m in draw] for draw in drawn]
    first = [[of_kinds(a for a in m.applicants() if m.choice(a) == 0 and a["ranking"]) for m in draw] for draw in drawn]
    keys = kind_keys(comparison)
    assert told(keys, counts.kinds, 0) == by_hand((before, after) for before, after in seated)
    assert told(keys, counts.kinds, 1) == by_hand((before, after) for before, after in first)


@examples(40)
@given(pairs_of_markets(), seeds())
def test_who_fares_worse_and_better_is_counted_by_kind_and_by_applicant(pair: tuple[Json, Json], seed: bytes) -> None:
    comparison = comparison_of(*pair, seed)
    counts, drawn = comparison.tally(DRAWS), matches(pair, comparison)
    worse = [[a for a in before.applicants() if after.choice(a) > before.choice(a)] for before, after in drawn]
    better = [[a for a in before.applicants() if after.choice(a) < before.choice(a)] for before, after in drawn]
    expected = by_hand((of_kinds(those), of_kinds(others)) for those, others in zip(worse, better, strict=True))
    assert told(kind_keys(comparison), counts.kinds, 2) == expected
    for array, draws in ((counts.worse, worse), (counts.better, better)):
        by_ticket = Counter(dict(zip(comparison.applicants.tickets, array.tolist(), strict=True)))
        assert +by_ticket == Counter(applicant["id"] for those in draws for applicant in those)


@examples(40)
@given(pairs_of_markets(), seeds())
def test_seats_are_counted_by_class_and_by_school(pair: tuple[Json, Json], seed: bytes) -> None:
    comparison = comparison_of(*pair, seed)
    counts, drawn = comparison.tally(DRAWS), matches(pair, comparison)
    classes = by_hand((before.classes(), after.classes()) for before, after in drawn)
    assert told(comparison.classes.keys, counts.seats) == classes
    schools = by_hand((before.schools(), after.schools()) for before, after in drawn)
    assert told(comparison.schools.keys, counts.schools) == schools


def reserves_in(comparison: Comparison) -> list[tuple[str, str]]:
    return [(program, name) for program, name in comparison.reserves.keys if program is not None]


@examples(40)
@given(pairs_of_markets(), seeds())
def test_who_meets_a_reserves_condition_is_counted_by_the_second_market_that_has_it_else_the_first(
    pair: tuple[Json, Json], seed: bytes
) -> None:
    comparison = comparison_of(*pair, seed)
    counts, drawn = comparison.tally(DRAWS), matches(pair, comparison)
    before, after = (Undrawn(oracle.written_out(market), b"", {}) for market in pair)
    owner = {
        (program["id"], reserve["name"]): this
        for this in (before, after)
        for program in this.market["programs"]
        for reserve in program["reserves"]
    }
    expected = by_hand(
        (
            {key: first.meeting(its, *key) for key, its in owner.items()},
            {key: second.meeting(its, *key) for key, its in owner.items()},
        )
        for first, second in drawn
    )
    by_program = {key: its for key, its in told(comparison.reserves.keys, counts.meeting).items() if key[0] is not None}
    assert sorted(reserves_in(comparison)) == sorted(owner)
    assert by_program == expected


def reserving(*programs: str) -> Json:
    """Make a market of three programs of two seats each, some of which reserve one for Z1, where all live."""
    zone: Json = [{"name": "zone", "seats": 1, "when": {"zone_in": ["Z1"]}}]
    names = ("ash", "elm", "oak")
    rules = {name: {"reserves": zone} if name in programs else {} for name in names}
    return cast(
        "Json",
        {
            "format": "lottery-market/1",
            "round": {"id": "this", "kind": "main"},
            "programs": [{"id": name, "school": name, "grade": "KG", "seats": 2, **rules[name]} for name in names],
            "applicants": [
                {"id": f"{name}-{n}", "grade": "KG", "ranking": [name], "zones": ["Z1"]}
                for name in names
                for n in (1, 2)
            ],
        },
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [(["ash"], ["ash", "oak"]), (["ash", "oak"], ["ash"]), (["ash"], ["oak"]), (["ash"], []), ([], ["ash", "elm"])],
)
def test_who_meets_the_condition_of_any_reserve_of_a_name_is_the_sum_over_programs(
    before: list[str], after: list[str]
) -> None:
    comparison = comparison_of(reserving(*before), reserving(*after))
    meeting = told(comparison.reserves.keys, comparison.tally([0]).meeting)
    everywhere = 2 * len({*before, *after})
    assert meeting[None, "zone"] == (everywhere, everywhere, 0)


def test_where_a_reserves_condition_changes_the_second_one_counts() -> None:
    """All live in Z1; the second market's reserve is for Z2, so nobody meets it, in neither match."""
    before = reserving("ash")
    after = json.loads(json.dumps(before).replace('"zone_in": ["Z1"]', '"zone_in": ["Z2"]'))
    forth, back = comparison_of(before, after), comparison_of(after, before)
    assert told(forth.reserves.keys, forth.tally([0]).meeting) == {}
    assert told(back.reserves.keys, back.tally([0]).meeting)["ash", "zone"] == (2, 2, 0)


@examples(40)
@given(pairs_of_markets(), seeds())
def test_who_stays_who_moves_and_who_is_newly_placed_is_counted(pair: tuple[Json, Json], seed: bytes) -> None:
    comparison = comparison_of(*pair, seed)
    counts, drawn = comparison.tally(DRAWS), matches(pair, comparison)
    expected = by_hand((before.moves(), after.moves()) for before, after in drawn)
    assert told(("stayed", "moved", "newly placed"), counts.moves) == expected


# ---- of any two markets


def changes_in(document_: Json) -> Iterator[Mapping[str, float]]:
    """Yield every part of a comparison's document that tells a difference."""
    if isinstance(document_, dict):
        if "difference" in document_:
            yield cast("Mapping[str, float]", document_)
        for part in document_.values():
            yield from changes_in(part)
    elif isinstance(document_, list):
        for part in document_:
            yield from changes_in(part)


def document_of(comparison: Comparison, counts: Counts) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", Compared(comparison, counts).document())


@examples(30)
@given(all_markets(), seeds())
def test_a_market_compared_with_itself_differs_in_nothing(market: Json, seed: bytes) -> None:
    comparison = comparison_of(market, market, seed)
    counts = comparison.tally(DRAWS)
    differences = {each["difference"] for each in changes_in(cast("Json", document_of(comparison, counts)))}
    assert differences == {0.0}
    assert not counts.better.any()
    assert not counts.worse.any()


def swapped(sums: Sums[Key]) -> Sums[Key]:
    return {key: (second, first, square) for key, (first, second, square) in sums.items()}


@examples(30)
@given(pairs_of_markets(), seeds())
def test_the_other_way_round_every_difference_is_the_opposite(pair: tuple[Json, Json], seed: bytes) -> None:
    forth, back = comparison_of(*pair, seed), comparison_of(*pair[::-1], seed)
    one, other = forth.tally(DRAWS), back.tally(DRAWS)
    assert one.better.tolist() == other.worse.tolist()
    assert one.worse.tolist() == other.better.tolist()
    for column in range(3):
        assert told(kind_keys(back), other.kinds, column) == swapped(told(kind_keys(forth), one.kinds, column))
    assert told(back.classes.keys, other.seats) == swapped(told(forth.classes.keys, one.seats))
    assert told(back.schools.keys, other.schools) == swapped(told(forth.schools.keys, one.schools))
    assert told(range(3), other.moves) == swapped(told(range(3), one.moves))


@examples(20)
@given(pairs_of_markets(), seeds(), st.data())
def test_counts_of_blocks_add_up_in_any_order(pair: tuple[Json, Json], seed: bytes, data: st.DataObject) -> None:
    comparison = comparison_of(*pair, seed)
    first, second, third = data.draw(st.permutations([range(1), range(1, 4), range(4, 6)]))
    added = comparison.tally(first) + comparison.tally(second) + comparison.tally(third)
    assert document_of(comparison, added) == document_of(comparison, comparison.tally(range(6)))


def test_no_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="no draws to count"):
        comparison_of(TWO, TWO).tally(range(0))


# ---- what cannot be compared


def programs_called(*names: str) -> Json:
    return [{"id": name, "school": name, "grade": "KG", "seats": 1} for name in names]


def market_of_two(**parts: Json) -> Json:
    told_of_ann = {"household": "h", "drawn_in": "first", "holds": {"program": "elm"}}
    ann = {"id": "ann", "grade": "KG", "ranking": ["oak", "elm"], **told_of_ann}
    bob = {"id": "bob", "grade": "KG", "ranking": []}
    return cast(
        "Json",
        {
            "format": "lottery-market/1",
            "round": {"id": "this", "kind": "main"},
            "policy": {"grade_order": ["01", "KG"]},
            "programs": programs_called("elm", "oak"),
            "applicants": [ann, bob],
            **parts,
        },
    )


TWO = market_of_two()


def with_program(**rules: Json) -> Json:
    """Change the second program."""
    first, second = cast("list[Json]", cast("dict[str, Json]", TWO)["programs"])
    return market_of_two(programs=[first, {**cast("dict[str, Json]", second), **rules}])


def with_applicant(which: int, **facts: Json) -> Json:
    applicants = list(cast("list[dict[str, Json]]", cast("dict[str, Json]", TWO)["applicants"]))
    applicants[which] = {**applicants[which], **facts}
    return market_of_two(applicants=cast("Json", applicants))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (market_of_two(round={"id": "other", "kind": "main"}), "belongs to another round"),
        (market_of_two(round={"id": "this", "kind": "backfill"}), "belongs to another round"),
        (market_of_two(policy={"twins": "share"}), "or treats twins in another way"),
        (with_program(school="ash"), "has other programs, schools or grades"),
        (market_of_two(programs=programs_called("elm", "fir", "oak")), "has other programs, schools or grades"),
        (with_applicant(1, id="bea"), "has other applicants"),
        (with_applicant(0, ranking=["elm", "oak"]), "with other rankings"),
        (with_applicant(0, ranking=["oak"]), "with other rankings"),
        (with_applicant(1, ranking=["oak"]), "with other rankings"),
        (with_applicant(1, grade="01"), "with other rankings, grades"),
        (with_applicant(0, household="other"), "grades, households"),
        (with_applicant(0, household=None), "grades, households"),
        (with_applicant(0, holds=None), "held seats"),
        (with_applicant(0, holds={"program": "oak"}), "held seats"),
        (with_applicant(0, drawn_in="this"), "or rounds of their draw"),
    ],
)
def test_markets_that_differ_in_more_than_rules_and_facts_are_refused(other: Json, reason: str) -> None:
    with pytest.raises(Incomparable, match=reason):
        comparison_of(TWO, other)


@pytest.mark.parametrize(
    "other",
    [
        with_program(seats=7),
        with_program(eligible={"has": "ell"}),
        with_program(priorities=[{"name": "staff", "when": {"at_school": "staff"}}]),
        with_program(reserves=[{"name": "zone", "percent": 50, "when": {"zone_in": ["Z1"]}}]),
        with_program(tie_break={"ranked": ["bob"]}),
        with_program(tie_break="multiple"),
        market_of_two(policy={"tie_break": "multiple", "late": "equal"}),
        with_applicant(0, zones=["Z1"], flags=["ell"], at={"oak": ["staff"]}, attends="ash"),
        with_applicant(0, late=True, together=True),
    ],
)
def test_markets_that_differ_in_rules_or_facts_are_compared(other: Json) -> None:
    assert comparison_of(TWO, other).tally([0]).draws == 1


def test_programs_and_applicants_in_another_order_are_the_same_market() -> None:
    told_of = cast("dict[str, list[Json]]", TWO)
    other = market_of_two(programs=told_of["programs"][::-1], applicants=told_of["applicants"][::-1])
    assert not comparison_of(TWO, other).tally(DRAWS).kinds.squares.any()


# ---- changes by name


def programs_before_and_after(change: str, market: Json) -> list[tuple[Program, Program]]:
    return [(program, CHANGES[change](program)) for program in lottery.read_market(market).programs]


@pytest.mark.parametrize("change", CHANGES)
@examples(8)
@given(market=st.one_of(main_markets(), backfill_markets()))
def test_a_changed_market_is_one_that_the_strict_reader_takes(change: str, market: Json) -> None:
    if change in ALTERS_GROUPS:
        market = nobody_holds(market)
    expected = tuple(after for _, after in programs_before_and_after(change, market))
    assert lottery.read_market(changed(change, market)).programs == expected


@examples(15)
@given(all_markets())
def test_open_first_and_reserves_first_change_nothing_but_where_open_stands(market: Json) -> None:
    for change in ("open-first", "reserves-first"):
        for before, after in programs_before_and_after(change, market):
            reserves = [group for group in before.precedence if group != OPEN]
            expected = [OPEN, *reserves] if change == "open-first" else [*reserves, OPEN]
            assert after == replace(before, precedence=tuple(expected))


@examples(15)
@given(all_markets())
def test_no_reserves_leaves_open_seats_only_and_every_other_rule(market: Json) -> None:
    for before, after in programs_before_and_after("no-reserves", market):
        assert after == replace(before, reserves=(), precedence=(OPEN,))


@examples(15)
@given(backfill_markets())
def test_a_backfill_order_changes_nothing_but_the_order(market: Json) -> None:
    for order in Order:
        for before, after in programs_before_and_after(f"backfill-{order}", market):
            assert after == replace(before, backfill=replace(before.backfill, order=order))


@examples(15)
@given(all_markets())
def test_single_and_multiple_numbers_change_every_program_but_the_screened(market: Json) -> None:
    for tie_break in TieBreak:
        for before, after in programs_before_and_after(f"{tie_break}-numbers", market):
            expected = before.tie_break if isinstance(before.tie_break, Ranked) else tie_break
            assert after == replace(before, tie_break=expected)


NEIGHBORHOOD = {
    "neighborhood-none": (0, ("neighborhood", OPEN)),
    "neighborhood-half-reserved-first": (50, ("neighborhood", OPEN)),
    "neighborhood-half-open-first": (50, (OPEN, "neighborhood")),
    "neighborhood-all": (100, ("neighborhood", OPEN)),
}


def zones_named(program: Program) -> set[str]:
    """Read the zones out of the program's document."""
    found: set[str] = set()

    def look(part: Json) -> None:
        if isinstance(part, dict):
            for key, operand in part.items():
                found.update(cast("list[str]", operand) if key == "zone_in" else ())
                look(operand)
        elif isinstance(part, list):
            for each in part:
                look(each)

    look(json.loads(canonical_line(program_document(program))))
    return found


@pytest.mark.parametrize("change", NEIGHBORHOOD)
@examples(15)
@given(market=all_markets())
def test_a_neighborhood_change_gives_its_share_to_the_zones_that_the_rules_name_and_nothing_else(
    change: str, market: Json
) -> None:
    percent, precedence = NEIGHBORHOOD[change]
    for before, after in programs_before_and_after(change, market):
        if not zones_named(before):
            continue
        (reserve,) = after.reserves
        assert (reserve.name, reserve.size, reserve.overflow) == ("neighborhood", Share(percent), "open")
        assert isinstance(reserve.when, ZoneIn)
        assert set(reserve.when.zones) == zones_named(before)
        assert after.precedence == precedence
        assert not any(depends_on_zones(condition) for condition in after.conditions() if condition != reserve.when)
        kept = [priority for priority in before.priorities if not depends_on_zones(priority.when)]
        assert [*after.priorities] == [*reserve.priorities] == kept
        assert after.eligible == (EVERYONE if depends_on_zones(before.eligible) else before.eligible)
        same = ("id", "school", "grade", "seats", "tie_break", "backfill")
        assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]


def test_half_for_the_neighborhood_leaves_programs_without_zones_as_they_are_whichever_comes_first() -> None:
    staff: Json = [{"name": "staff", "seats": 1, "when": {"has": "staff"}}]
    (program,) = lottery.read_market(with_program(reserves=staff)).programs[1:]
    assert [CHANGES[change](program) for change in NEIGHBORHOOD] == [program] * 4


# ---- what is known


@cache
def city() -> MarketInColumns:
    return in_columns(lottery.read_market(document(generate(CITY))))


@cache
def seats_of_the_neighborhoods(change: str) -> Change:
    """Say what a change does to the seats of neighborhoods' children, against none set apart for them."""
    comparison = Comparison(under("neighborhood-none", city()), under(change, city()), seed=SEED)
    counts = comparison.tally(range(20))
    return counts.meeting.change(comparison.reserves.keys.index((None, "neighborhood")), counts.draws)


def share_of_the_most(change: str) -> float:
    return seats_of_the_neighborhoods(change).difference / seats_of_the_neighborhoods("neighborhood-all").difference


def test_all_seats_set_apart_for_neighborhoods_move_many() -> None:
    most = seats_of_the_neighborhoods("neighborhood-all")
    assert most.difference > 100
    assert most.difference > 10 * most.margin


def test_half_of_the_seats_set_apart_and_filled_first_move_little() -> None:
    """Boston's lesson (Dur, Kominers, Pathak & Sönmez 2018): open seats then go to others, and little is changed."""
    assert 0 < share_of_the_most("neighborhood-half-reserved-first") < 0.25


def test_half_of_the_seats_set_apart_and_filled_last_move_more_than_half_of_what_all_do() -> None:
    assert 0.5 < share_of_the_most("neighborhood-half-open-first") < 1


@cache
def summer_document() -> Mapping[str, Json]:
    outcome = lottery.match_market(lottery.read_market(document(generate(CITY))), seed=b"m" * 32)
    return document(generate_summer(CITY, outcome.document()))


@cache
def summer() -> ParsedMarket:
    return lottery.read_market(cast("Json", summer_document()))


@cache
def reverse_against_waitlist() -> tuple[Change, ...]:
    """Say how many stay, move and are newly placed in a summer, by the reversed numbers against the waitlist's."""
    market = in_columns(summer())
    before, after = under("backfill-waitlist", market), under("backfill-reverse", market)
    counts = Comparison(before, after, seed=SEED, seeds={MAIN_ROUND: b"m" * 32}).tally(range(5))
    return tuple(counts.moves.change(place, counts.draws) for place in range(3))


def test_the_reversed_order_saves_a_fifth_of_the_moves_of_a_summer_at_least() -> None:
    _, moved, _ = reverse_against_waitlist()
    assert moved.after < 0.8 * moved.before


def test_who_does_not_move_under_the_reversed_order_has_stayed() -> None:
    stayed, moved, _ = reverse_against_waitlist()
    assert stayed.difference == -moved.difference


# ---- the command


def save(folder: Path, name: str, market: Json) -> str:
    path = folder / name
    path.write_text(json.dumps(market), encoding="utf-8")
    return str(path)


def small_city() -> Json:
    return document(generate(SMALL))


def compare(*markets: str, arguments: Sequence[str] = (), draws: int = 4) -> list[str]:
    return ["compare", *markets, "--draws", str(draws), "--seed", SEED.hex(), *arguments]


MAIN_SEED = ("--seed-of", f"{MAIN_ROUND}=" + (b"m" * 32).hex())
FIRST_SEED = ("--seed-of", "first=" + SEED.hex())


def printed_json(capsys: Captured, arguments: list[str]) -> Mapping[str, Json]:
    assert main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return cast("Mapping[str, Json]", json.loads(captured.out))


def test_two_files_and_one_with_the_change_say_the_same(tmp_path: Path, capsys: Captured) -> None:
    first, second = (
        save(tmp_path, "a.json", small_city()),
        save(tmp_path, "b.json", changed("no-reserves", small_city())),
    )
    by_files = printed_json(capsys, compare(first, second))
    by_name = printed_json(capsys, compare(first, arguments=["--change-b", "no-reserves"]))
    assert by_files == by_name


def test_the_command_says_what_python_says(tmp_path: Path, capsys: Captured) -> None:
    market = small_city()
    printed = printed_json(capsys, compare(save(tmp_path, "a.json", market), arguments=["--change-a", "open-first"]))
    comparison = comparison_of(changed("open-first", market), market)
    assert printed == document_of(comparison, comparison.tally(range(4)))


CHANGE = {"before", "after", "difference", "standard_error", "low", "high"}


def test_the_json_has_every_part_of_its_format(tmp_path: Path, capsys: Captured) -> None:
    market = save(tmp_path, "a.json", small_city())
    printed = printed_json(capsys, compare(market, arguments=["--change-b", "no-reserves"]))
    assert (printed["format"], FORMAT, printed["draws"]) == ("lottery-comparison/1", "lottery-comparison/1", 4)
    assert list(printed) == [
        *("format", "draws", "applicants", "kinds", "schools", "classes", "meeting_reserves", "holders", "moves")
    ]
    assert list(cast("Mapping[str, Json]", printed["applicants"])) == [
        *("all", "more_often_better", "more_often_worse", "neither")
    ]
    rows = {name: cast("list[dict[str, Json]]", printed[name]) for name in ("kinds", "schools", "classes")}
    assert rows["kinds"][0].keys() == {
        *("of", "name", "applicants", "with_a_seat", "first_choice", "better_off", "worse_off", "net")
    }
    assert cast("Mapping[str, Json]", rows["kinds"][0]["with_a_seat"]).keys() == CHANGE
    assert rows["schools"][0].keys() == {"school", "seats"}
    assert rows["classes"][0].keys() == {"program", "name", "seats"}
    assert (printed["holders"], printed["moves"]) == (0, None)


def test_every_difference_is_after_less_before_within_its_interval(tmp_path: Path, capsys: Captured) -> None:
    market = save(tmp_path, "a.json", small_city())
    printed = printed_json(capsys, compare(market, arguments=["--change-b", "no-reserves"]))
    for each in changes_in(cast("Json", printed)):
        assert each["difference"] == pytest.approx(each.get("after", each["difference"]) - each.get("before", 0))
        margin = 1.96 * each["standard_error"]
        assert (each["low"], each["high"]) == pytest.approx((each["difference"] - margin, each["difference"] + margin))


def test_the_file_holds_the_json_that_is_printed(tmp_path: Path, capsys: Captured) -> None:
    market, path = save(tmp_path, "a.json", small_city()), tmp_path / "comparison.json"
    printed = printed_json(capsys, compare(market, arguments=["--change-b", "no-reserves", "-o", str(path)]))
    assert json.loads(path.read_bytes()) == printed


def test_without_json_there_are_tables_for_people(tmp_path: Path, capsys: Captured) -> None:
    market = save(tmp_path, "a.json", small_city())
    assert main(compare(market, arguments=["--change-b", "no-reserves"])) == 0
    printed = capsys.readouterr().out
    assert "Gains and losses of applicants" in printed
    assert "4 draws. Under the second rules" in printed
    assert "\x1b" not in printed


def test_the_comparison_is_the_same_on_any_number_of_processes(tmp_path: Path, capsys: Captured) -> None:
    market = save(tmp_path, "a.json", small_city())
    one, two = (
        printed_json(capsys, compare(market, arguments=["--change-b", "no-reserves", "--workers", workers], draws=80))
        for workers in ("1", "2")
    )
    assert one == two


@pytest.mark.parametrize("changes", [[], ["--change-a", "open-first", "--change-b", "open-first"]])
def test_one_market_without_a_change_is_nothing_to_compare(
    changes: list[str], tmp_path: Path, capsys: Captured
) -> None:
    assert exit_code(compare(save(tmp_path, "a.json", TWO), arguments=changes)) == 2
    assert the_one_line(capsys) == (
        "compare: $: has only one market and no change to compare; give two markets, or use --change-b"
    )


def test_a_change_that_there_is_not_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    assert exit_code(compare(save(tmp_path, "a.json", TWO), arguments=["--change-b", "no-rules"])) == 2
    assert the_one_line(capsys).startswith("lottery compare: argument --change-b: invalid choice: 'no-rules'")


def test_markets_that_cannot_be_compared_are_one_line_that_names_the_second(tmp_path: Path, capsys: Captured) -> None:
    other, out = save(tmp_path, "b.json", with_program(school="ash")), tmp_path / "out.json"
    assert exit_code(compare(save(tmp_path, "a.json", TWO), other, arguments=["-o", str(out), *FIRST_SEED])) == 2
    assert the_one_line(capsys) == (f"{other}: $: has other programs, schools or grades; change only rules and seats")
    assert not out.exists()


@pytest.mark.parametrize("which", ["a.json", "b.json"])
def test_no_market_is_ever_overwritten_by_the_comparison(which: str, tmp_path: Path, capsys: Captured) -> None:
    first, second = save(tmp_path, "a.json", TWO), save(tmp_path, "b.json", with_program(seats=7))
    before = (tmp_path / which).read_bytes()
    assert exit_code(compare(first, second, arguments=["-o", str(tmp_path / which), *FIRST_SEED])) == 2
    assert the_one_line(capsys) == f"{tmp_path / which}: $: is the market file; choose another file"
    assert (tmp_path / which).read_bytes() == before


def test_the_same_market_with_its_applicants_in_another_order_differs_in_nothing(
    tmp_path: Path, capsys: Captured
) -> None:
    forth = cast("dict[str, Json]", nobody_holds(cast("Json", summer_document())))
    back: Json = {**forth, "applicants": cast("list[Json]", forth["applicants"])[::-1]}
    printed = printed_json(capsys, compare(save(tmp_path, "a.json", forth), save(tmp_path, "b.json", back)))
    assert {each["difference"] for each in changes_in(cast("Json", printed))} == {0.0}


@pytest.mark.parametrize("change", ["open-first", "reserves-first"])
def test_whoever_holds_a_seat_holds_the_same_one_under_a_change_by_name(
    change: str, tmp_path: Path, capsys: Captured
) -> None:
    market = cast("Json", summer_document())
    first, second = save(tmp_path, "a.json", market), save(tmp_path, "b.json", changed(change, market))
    by_files = printed_json(capsys, compare(first, second, arguments=MAIN_SEED))
    by_name = printed_json(capsys, compare(first, arguments=["--change-b", change, *MAIN_SEED]))
    assert by_name["moves"] == by_files["moves"]


@pytest.mark.parametrize("change", ALTERS_GROUPS)
def test_a_change_that_takes_away_a_group_in_which_seats_are_held_worsens_no_holder_or_is_refused(
    change: str, tmp_path: Path, capsys: Captured
) -> None:
    market = save(tmp_path, "a.json", cast("Json", summer_document()))
    code = exit_code(compare(market, arguments=["--change-b", change, "--json", *MAIN_SEED]))
    if code == 2:
        the_one_line(capsys)
        return
    kinds = cast("list[dict[str, Json]]", json.loads(capsys.readouterr().out)["kinds"])
    (holders,) = [kind for kind in kinds if kind["name"] == "holds a seat"]
    seated = cast("Mapping[str, float]", holders["with_a_seat"])
    assert seated["after"] == holders["applicants"]
