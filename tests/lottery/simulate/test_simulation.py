"""Many draws of a market count what the matches give; each is replayed by a second reading of the rules."""

import itertools
import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from math import sqrt
from pathlib import Path
from statistics import pstdev
from typing import NamedTuple, cast

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lottery
import oracle
from cities import SMALL, document, outcome_of
from lottery.fast.column_reader import load_columns
from lottery.fast.columns import in_columns
from lottery.fast.number_sources import Source
from lottery.generate.generate import generate, generate_summer
from lottery.market.canonical import Json
from lottery.market.model import Market as ParsedMarket
from lottery.match.lottery_numbers import lottery_number
from lottery.match.reference import NO_SEEDS
from lottery.progress import Step
from lottery.simulate.simulation import RANK_BITS, Simulated, Simulation, Tally, prepare, simulate
from lottery.simulate.table import COLUMNS, FORMATS, table_of
from markets import BACKFILL, EARLIER, EARLIER_SEEDS, MAIN, backfill_markets, seeds
from oracle import Applicant, Market, Place, Program, Round, SiblingSchools, Standing, deferred_acceptance, met
from simulated_markets import all_markets, examples, places_in

SEED = b"s" * 32
DRAWS = range(4)
ORDERS = {"waitlist": Source.WAITLIST, "reverse": Source.REVERSE, "fresh": Source.FRESH}

Told = frozenset[str]
"""Rounds whose seeds are told to a simulation."""


def told_rounds() -> st.SearchStrategy[Told]:
    return st.one_of(st.just(Told()), st.frozensets(st.sampled_from((EARLIER, MAIN, BACKFILL))))


def read(market: Json) -> Market:
    return cast("Market", market)


def seed_of(name: str) -> bytes:
    return name.encode().ljust(32, b".")


def prepared(market: Json, seed: bytes = SEED, told: Iterable[str] = ()) -> Simulation:
    columns = in_columns(lottery.read_market(market))
    return prepare(columns, seed=seed, seeds={name: seed_of(name) for name in told})


def simulated(market: Json, draws: int, *, seed: bytes = SEED, seeds: Mapping[str, bytes] = NO_SEEDS) -> Simulated:
    return simulate(in_columns(lottery.read_market(market)), draws=draws, seed=seed, seeds=seeds)


# ---- a second way to the same counts


@dataclass(frozen=True)
class Redrawn(Round):
    """A round on the numbers of one simulated draw, told as ranks by program and ticket."""

    ranks: Mapping[tuple[str, str], int]

    def number(self, applicant: Applicant, program: Program) -> bytes | int:
        if isinstance(program["tie_break"], dict):
            return super().number(applicant, program)
        return self.ranks[program["id"], applicant["id"]]


def redrawn(market: Json, simulation: Simulation, draw: int) -> Redrawn:
    written, numbers, compiled = oracle.written_out(market), simulation.dice.draw(draw), simulation.compiled
    tickets = sorted(applicant["id"] for applicant in written["applicants"])
    apart = {compiled.market.programs[each.program].id: each for each in compiled.own_numbers}
    ranks: dict[tuple[str, str], int] = {}
    for program in written["programs"]:
        in_backfill = written["round"]["kind"] == "backfill"
        source = ORDERS[program["backfill"]["order"]] if in_backfill else Source.WAITLIST
        who, its = tickets, numbers.ranks(source)
        if (program["tie_break"] or written["policy"]["tie_break"]) == "multiple":
            own = apart[program["id"]]
            assert own.source is source
            who, its = [tickets[index] for index in own.applicants.tolist()], numbers.ranks_at(own)
        ranks |= {(program["id"], ticket): rank for ticket, rank in zip(who, its.tolist(), strict=True)}
    return Redrawn(written, b"", {}, ranks)


class Replay(NamedTuple):
    this: Round
    placed: dict[str, Place]
    wishes: dict[str, dict[Place, Standing]]
    near: dict[str, SiblingSchools]  # by grade

    def seats_by_class(self) -> Counter[tuple[Place, int]]:
        return Counter((place, self.wishes[ticket][place].priority) for ticket, place in self.placed.items())

    def seats_meeting(self) -> Counter[Place]:
        """Count, for each group, the program's seats whose holders meet the group's condition."""
        counts: Counter[Place] = Counter()
        for applicant in self.this.market["applicants"]:
            if applicant["id"] in self.placed:
                program = self.this.program(self.placed[applicant["id"]].program)
                near = self.near[applicant["grade"]]
                counts[Place(program["id"], "open")] += 1
                for reserve in program["reserves"]:
                    place = Place(program["id"], reserve["name"])
                    counts[place] += met(reserve["when"], applicant, program["school"], near)
        return counts


def replayed(this: Round) -> Replay:
    seats = {
        Place(program["id"], group): count
        for program in this.market["programs"]
        for group, count in this.seats(program).items()
    }
    replay = Replay(this, {}, {}, {})
    for grade in this.grades():
        near = this.sibling_schools(replay.placed)
        of_grade = {applicant["id"]: this.wishes(applicant, near) for applicant in this.applicants(grade)}
        for place, tickets in deferred_acceptance(of_grade, seats).items():
            replay.placed.update(dict.fromkeys(tickets, place))
        replay.wishes.update(of_grade)
        replay.near[grade] = near
    return replay


def replays(market: Json, simulation: Simulation) -> list[Replay]:
    return [replayed(redrawn(market, simulation, draw)) for draw in DRAWS]


def groups_of(simulation: Simulation) -> list[Place]:
    groups = map(simulation.compiled.group, range(len(simulation.compiled.seats)))
    return [Place(program.id, name) for program, name in groups]


# ---- every draw is a match, and the counts are of those


@examples(80)
@given(all_markets(), seeds(), told_rounds())
def test_each_draw_is_the_match_on_its_own_numbers(market: Json, seed: bytes, told: Told) -> None:
    simulation = prepared(market, seed, told)
    expected = [replay.placed for replay in replays(market, simulation)]
    assert [places_in(simulation, draw) for draw in DRAWS] == expected


@examples(40)
@given(all_markets(), seeds(), told_rounds())
def test_a_choice_is_counted_as_often_as_it_was_got(market: Json, seed: bytes, told: Told) -> None:
    simulation = prepared(market, seed, told)
    tally, applicants = simulation.tally(DRAWS), simulation.compiled.market.applicants
    programs = [program.id for program in simulation.compiled.market.programs]
    counted: Counter[tuple[str, str]] = Counter()
    for index, ticket in enumerate(applicants.tickets):
        for place in range(applicants.ranking_start[index], applicants.ranking_start[index + 1]):
            counted[ticket, programs[applicants.ranking[place]]] = int(tally.times[place])
    ranked = {applicant["id"]: applicant["ranking"] for applicant in read(market)["applicants"]}
    assert +counted == Counter(
        (ticket, place.program)
        for replay in replays(market, simulation)
        for ticket, place in replay.placed.items()
        if place.program in ranked[ticket]
    )


@examples(40)
@given(backfill_markets(), seeds())
def test_a_held_seat_that_was_not_ranked_is_counted_apart(market: Json, seed: bytes) -> None:
    simulation = prepared(market, seed)
    tickets, unranked = simulation.compiled.market.applicants.tickets, simulation.tally(DRAWS).times_unranked
    ranked = {applicant["id"]: applicant["ranking"] for applicant in read(market)["applicants"]}
    assert +Counter(dict(zip(tickets, unranked.tolist(), strict=True))) == Counter(
        ticket
        for replay in replays(market, simulation)
        for ticket, place in replay.placed.items()
        if place.program not in ranked[ticket]
    )


@examples(40)
@given(all_markets(), seeds(), told_rounds())
def test_seats_are_counted_by_group_and_class(market: Json, seed: bytes, told: Told) -> None:
    simulation = prepared(market, seed, told)
    tally, expected = simulation.tally(DRAWS), [replay.seats_by_class() for replay in replays(market, simulation)]
    for counts, power in ((tally.seats.of_class, 1), (tally.squares.of_class, 2)):
        counted = {
            (place, class_): int(counts[group, class_])
            for group, place in enumerate(groups_of(simulation))
            for class_ in range(counts.shape[1])
        }
        by_hand = Counter({key: sum(each[key] ** power for each in expected) for key in set().union(*expected)})
        assert +Counter(counted) == by_hand, power


@examples(40)
@given(all_markets(), seeds(), told_rounds())
def test_seats_are_counted_whose_holders_meet_a_groups_condition(market: Json, seed: bytes, told: Told) -> None:
    simulation = prepared(market, seed, told)
    tally, expected = simulation.tally(DRAWS), [replay.seats_meeting() for replay in replays(market, simulation)]
    for counts, power in ((tally.seats.meeting, 1), (tally.squares.meeting, 2)):
        counted = dict(zip(groups_of(simulation), counts.tolist(), strict=True))
        assert counted == {key: sum(each[key] ** power for each in expected) for key in counted}, power


def siblings_at_oak() -> Json:
    """Make a market in which Ann, matched first, has a seat at oak, and there is one for Ben because of that."""
    near: Json = {"sibling_placed": True}
    rules = {
        "priorities": [{"name": "sibling", "when": near}],
        "reserves": [{"name": "near", "seats": 1, "when": near}],
    }
    return cast(
        "Json",
        {
            "format": "lottery-market/1",
            "round": {"id": "this", "kind": "main"},
            "policy": {"grade_order": ["01", "KG"]},
            "programs": [
                {"id": "oak-01", "school": "oak", "grade": "01", "seats": 1},
                {"id": "oak-kg", "school": "oak", "grade": "KG", "seats": 2, **rules},
            ],
            "applicants": [
                {"id": "ann", "grade": "01", "ranking": ["oak-01"], "household": "h"},
                {"id": "ben", "grade": "KG", "ranking": ["oak-kg"], "household": "h"},
                {"id": "cem", "grade": "KG", "ranking": ["oak-kg"]},
            ],
        },
    )


def test_who_has_a_sibling_placed_before_meets_the_condition_that_asks_for_one() -> None:
    simulation = prepared(siblings_at_oak())
    meeting = dict(zip(groups_of(simulation), simulation.tally([0]).seats.meeting.tolist(), strict=True))
    assert meeting == {Place("oak-01", "open"): 1, Place("oak-kg", "near"): 1, Place("oak-kg", "open"): 2}


def test_who_has_a_sibling_placed_before_is_counted_in_the_class_that_asks_for_one() -> None:
    rows = rows_of(table_of(simulated(siblings_at_oak(), 3)), applicants=False)
    filled = rows.filter(pl.col("program") == "oak-kg").select("group", "class", "times").rows()
    assert filled == [("near", "sibling", 3), ("near", "general", 0), ("open", "sibling", 0), ("open", "general", 3)]


@examples(60)
@given(all_markets(), seeds(), seeds())
def test_where_all_seeds_are_told_every_draw_is_the_official_match(market: Json, seed: bytes, dice: bytes) -> None:
    this, parsed = read(market)["round"]["id"], lottery.read_market(market)
    earlier = {name: its for name, its in EARLIER_SEEDS.items() if name != this}
    simulation = prepare(in_columns(parsed), seed=dice, seeds={**earlier, this: seed})
    official = lottery.match_market(parsed, seed=seed, seeds=earlier, engine="reference")
    expected = {each.applicant: Place(each.program, each.group) for each in official.placements}
    assert [places_in(simulation, draw) for draw in (0, 1, 77)] == [expected] * 3


# ---- numbers


def family(*tickets: str, kind: str = "main", **facts: Json) -> Json:
    """Make a market of one program in which each of these ranks it; the facts are those of all."""
    return one_program([{"id": ticket, **facts} for ticket in tickets], kind=kind)


def child(ticket: str, **facts: Json) -> Mapping[str, Json]:
    return {"id": ticket, **facts}


def one_program(
    applicants: Sequence[Mapping[str, Json]],
    *,
    kind: str = "main",
    policy: Mapping[str, Json] | None = None,
    **rules: Json,
) -> Json:
    return {
        "format": "lottery-market/1",
        "round": {"id": "this", "kind": kind},
        "policy": policy or {},
        "programs": [{"id": "oak", "school": "oak", "grade": "KG", "seats": 1, **rules}],
        "applicants": [{"grade": "KG", "ranking": ["oak"], **applicant} for applicant in applicants],
    }


def ranks(market: Json, draw: int, source: Source = Source.WAITLIST, *, told: Iterable[str] = ()) -> list[int]:
    return list(map(int, prepared(market, told=told).dice.draw(draw).ranks(source)))


def order(ranks_: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(ranks_)), key=lambda index: ranks_[index]))


def about_equally_often(seen: Iterable[Hashable], kinds: int) -> bool:
    """Say whether each of so many kinds was seen as often as the others, within five standard errors."""
    times = Counter(seen)
    draws, share = times.total(), 1 / kinds
    slack = 5 * sqrt(draws * share * (1 - share))
    return len(times) == kinds and all(abs(each - draws * share) < slack for each in times.values())


def test_each_order_of_three_tickets_comes_up_about_equally_often() -> None:
    dice = prepared(family("a", "b", "c")).dice
    seen = [order(dice.draw(draw).ranks(Source.WAITLIST).tolist()) for draw in range(3_000)]
    assert about_equally_often(seen, 6)


def test_a_drawn_number_beats_a_true_one_as_often_as_the_true_one_is_high() -> None:
    market = one_program([{"id": "a", "drawn_in": "first"}, {"id": "b"}])
    true = lottery_number(seed=seed_of("first"), scope="*", subject="a")
    p, dice = int.from_bytes(true[:8]) / 2**64, prepared(market, told=["first"]).dice
    first = Counter(order(dice.draw(draw).ranks(Source.WAITLIST).tolist())[0] for draw in range(2_000))
    assert 0.1 < p < 0.9
    assert first[1] / 2_000 == pytest.approx(p, abs=5 * sqrt(p * (1 - p) / 2_000))


def test_the_numbers_of_one_draw_say_nothing_of_those_of_the_next() -> None:
    dice = prepared(family("a", "b")).dice
    orders = [order(dice.draw(draw).ranks(Source.WAITLIST).tolist())[0] for draw in range(2_001)]
    assert about_equally_often(itertools.pairwise(orders), 4)


def test_fresh_numbers_say_nothing_of_the_earlier_ones() -> None:
    dice = prepared(family("a", "b", kind="backfill", drawn_in="first")).dice
    seen = [
        (order(numbers.ranks(Source.WAITLIST).tolist())[0], order(numbers.ranks(Source.FRESH).tolist())[0])
        for numbers in map(dice.draw, range(2_000))
    ]
    assert about_equally_often(seen, 4)


def test_with_a_number_for_each_program_one_says_nothing_of_another() -> None:
    market = read(family("a", "b", ranking=["oak", "elm"]))
    (oak,) = market["programs"]
    both = cast(
        "Json",
        {**market, "policy": {"tie_break": "multiple"}, "programs": [oak, {**oak, "id": "elm", "school": "elm"}]},
    )
    simulation = prepared(both)
    seen = [
        tuple(order(numbers.ranks_at(apart).tolist())[0] for apart in simulation.compiled.own_numbers)
        for numbers in map(simulation.dice.draw, range(2_000))
    ]
    assert about_equally_often(seen, 4)


def test_another_seed_gives_other_numbers() -> None:
    market = family(*"abcdefgh")
    first, second = (prepared(market, seed).dice.draw(0).ranks(Source.WAITLIST) for seed in (b"1" * 32, b"2" * 32))
    assert not set(first.tolist()) & set(second.tolist())


@pytest.mark.parametrize("tie_break", ["single", "multiple"])
def test_twins_who_share_have_the_same_number(tie_break: str) -> None:
    twins = [child("ann", household="h"), child("bob"), child("cat", household="h")]
    simulation = prepared(one_program(twins, policy={"twins": "share", "tie_break": tie_break}))
    for draw in range(50):
        numbers = simulation.dice.draw(draw)
        ann, bob, cat = [
            numbers.ranks(Source.WAITLIST),
            *map(numbers.ranks_at, simulation.compiled.own_numbers),
        ][-1].tolist()
        assert ann == cat != bob


def test_nobody_comes_between_twins_who_share_a_true_number() -> None:
    others = [child(f"bob-{n}") for n in range(20)]
    ann, cat = (child(ticket, household="h", drawn_in="first") for ticket in ("ann", "cat"))
    market = one_program([ann, *others, cat], policy={"twins": "share"})
    for draw in range(50):
        first, *_, last = ranks(market, draw, told=["first"])
        assert last == first + 1


def test_siblings_of_different_grades_have_numbers_of_their_own() -> None:
    siblings = [child("ann", household="h"), child("bob", household="h", grade="01", ranking=[])]
    first, second = ranks(one_program(siblings, policy={"twins": "share"}), 0)
    assert first != second


def test_who_is_drawn_in_this_round_has_one_number_fresh_or_not() -> None:
    market = family("a", "b", "c", kind="backfill")
    assert ranks(market, 3, Source.FRESH) == ranks(market, 3, Source.WAITLIST)


def test_who_was_drawn_before_has_another_number_when_all_are_fresh() -> None:
    market = family("a", "b", "c", kind="backfill", drawn_in="first")
    assert not set(ranks(market, 3, Source.FRESH)) & set(ranks(market, 3, Source.WAITLIST))


@pytest.mark.parametrize(("order_", "round_"), [("waitlist", "first"), ("fresh", "this")])
def test_at_a_program_with_numbers_of_its_own_they_are_of_the_round_that_its_order_says(
    order_: str, round_: str
) -> None:
    tickets = "abcdefgh"
    applicants = [child(ticket, drawn_in="first") for ticket in tickets]
    market = one_program(applicants, kind="backfill", tie_break="multiple", backfill={"order": order_})
    simulation = prepared(market, told=["first", "this"])
    (apart,) = simulation.compiled.own_numbers
    true = [lottery_number(seed=seed_of(round_), scope="oak", subject=ticket) for ticket in tickets]
    in_order = sorted(range(len(tickets)), key=lambda index: true[index])
    assert order(simulation.dice.draw(0).ranks_at(apart).tolist()) == tuple(in_order)


def test_the_reversed_numbers_are_the_same_from_the_other_end() -> None:
    market = family("a", "b", "c", kind="backfill")
    highest = (1 << RANK_BITS) - 1
    assert ranks(market, 3, Source.REVERSE) == [highest - rank for rank in ranks(market, 3)]


def test_the_reversed_true_numbers_give_the_other_order() -> None:
    market = family(*"abcdefgh", kind="backfill", drawn_in="first")
    forth, back = (ranks(market, 3, source, told=["first"]) for source in (Source.WAITLIST, Source.REVERSE))
    assert order(back) == order(forth)[::-1]


def test_true_numbers_keep_their_order_among_the_drawn_ones() -> None:
    old = [{"id": f"old-{n}", "drawn_in": "first"} for n in range(8)]
    new = [{"id": f"new-{n}"} for n in range(8)]
    market = one_program([*new, *old], kind="backfill")  # tickets in this order, too
    of_old = {order(ranks(market, draw, told=["first"])[8:]) for draw in range(20)}
    of_all = {order(ranks(market, draw, told=["first"])) for draw in range(20)}
    assert (len(of_old), len(of_all)) == (1, 20)


@pytest.mark.parametrize("length", [31, 33, 0])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(lottery.UnusableSeed, match=f"has {length} bytes; give 32"):
        prepared(family("a"), b"x" * length)


def test_a_told_seed_of_another_length_is_refused() -> None:
    with pytest.raises(lottery.UnusableSeed, match="the seed first has 1 bytes; give 32"):
        simulated(family("a"), 1, seeds={"first": b"x"})


# ---- what a draw does not hang on


def numbers_in(tally: Tally) -> list[object]:
    arrays = (
        tally.times,
        tally.times_unranked,
        tally.seats.of_class,
        tally.seats.meeting,
        tally.squares.of_class,
        tally.squares.meeting,
    )
    return [tally.draws, *(array.tolist() for array in arrays)]


def city_in_summer() -> ParsedMarket:
    main = document(generate(SMALL))
    return lottery.read_market(document(generate_summer(SMALL, outcome_of(main))))


@examples(20)
@given(all_markets(), seeds(), st.data())
def test_tallies_of_blocks_add_up_in_any_order(market: Json, seed: bytes, data: st.DataObject) -> None:
    simulation = prepared(market, seed)
    first, second = sorted(data.draw(st.tuples(st.integers(1, 8), st.integers(1, 8))))
    blocks = [range(first), range(first, second), range(second, 9)]
    one, *others = [simulation.tally(block) for block in data.draw(st.permutations(blocks))]
    assert numbers_in(sum(others, start=one)) == numbers_in(simulation.tally(range(9)))


def test_a_draw_is_the_same_whatever_was_drawn_before_it() -> None:
    simulation = prepare(in_columns(city_in_summer()), seed=SEED)
    alone = numbers_in(simulation.tally([41]))
    simulation.tally(range(7))
    assert numbers_in(simulation.tally([41])) == alone


@pytest.mark.parametrize("workers", [2, 3])
def test_the_table_is_the_same_on_any_number_of_processes(workers: int) -> None:
    market = city_in_summer()
    alone, shared = (lottery.simulate_market(market, draws=130, seed=SEED, workers=each) for each in (1, workers))
    assert table_of(shared).equals(table_of(alone))


def test_everybody_who_watches_sees_each_draw_go_by() -> None:
    seen: list[tuple[str, int | None, int]] = []

    def track(steps: Iterable[Step], work: str, total: int | None) -> Iterable[Step]:
        passing = list(steps)
        seen.append((work, total, len(passing)))
        return passing

    lottery.simulate_market(lottery.read_market(family("a")), draws=60, seed=SEED, track=track)
    assert seen == [("drawing", 60, 60)]


@pytest.mark.parametrize("draws", [0, -1])
def test_no_draws_are_refused(draws: int) -> None:
    with pytest.raises(ValueError, match="no draws to count"):
        lottery.simulate_market(lottery.read_market(family("a")), draws=draws, seed=SEED)


@pytest.mark.parametrize("kind", ["main", "backfill"])
def test_the_order_in_which_a_file_has_its_applicants_changes_no_chance(kind: str, tmp_path: Path) -> None:
    main = document(generate(SMALL))
    made = main if kind == "main" else document(generate_summer(SMALL, outcome_of(main)))
    applicants_ = cast("list[Json]", made["applicants"])
    tables = []
    for name, applicants in (("forth.json", applicants_), ("back.json", applicants_[::-1])):
        path = tmp_path / name
        path.write_text(json.dumps({**made, "applicants": applicants}), encoding="utf-8")
        tables.append(table_of(simulate(load_columns(path), draws=20, seed=SEED)))
    assert tables[0].equals(tables[1])


# ---- chances that are known


def chances(table: pl.DataFrame, program: str | None = "oak") -> dict[str, float]:
    rows = table.filter(pl.col("applicant").is_not_null() & pl.col("program").eq_missing(program))
    return dict(zip(rows["applicant"].to_list(), rows["chance"].to_list(), strict=True))


def near(expected: Mapping[str, float], draws: int) -> Mapping[str, object]:
    """Say what chances are within five standard errors of those that are known."""
    return {name: pytest.approx(p, abs=5 * sqrt(p * (1 - p) / draws)) for name, p in expected.items()}


def test_of_three_who_are_alike_each_gets_the_one_seat_in_a_third_of_all_draws() -> None:
    table = table_of(simulated(family("a", "b", "c"), 2_000))
    assert chances(table) == near(dict.fromkeys("abc", 1 / 3), 2_000)


SIBLING_FIRST: Json = [{"name": "sibling", "when": {"at_school": "sibling"}}]
ZONE_FIRST: Json = [{"name": "zone", "seats": 1, "when": {"zone_in": ["Z1"]}}]


@pytest.mark.parametrize(
    ("precedence", "expected"),
    [
        # The reserve's seat goes to the better of a and b; d, a sibling, has an open one; c loses only if it is last.
        (["zone", "open"], {"a": 2 / 3, "b": 2 / 3, "c": 2 / 3, "d": 1}),
        # d has an open seat, the best of a, b and c the other; the reserve's goes to the better of those left in Z1.
        (["open", "zone"], {"a": 5 / 6, "b": 5 / 6, "c": 1 / 3, "d": 1}),
    ],
)
def test_chances_with_a_class_and_a_reserve_are_those_that_all_orders_give(
    precedence: list[Json], expected: dict[str, float]
) -> None:
    market = one_program(
        [
            {"id": "a", "zones": ["Z1"]},
            {"id": "b", "zones": ["Z1"]},
            {"id": "c"},
            {"id": "d", "at": {"oak": ["sibling"]}},
        ],
        seats=3,
        priorities=SIBLING_FIRST,
        reserves=ZONE_FIRST,
        precedence=precedence,
    )
    assert chances(table_of(simulated(market, 2_000))) == near(expected, 2_000)


def test_who_knows_the_number_is_bad_has_another_chance_than_who_does_not() -> None:
    """Of two for one seat, the one with the worse true number never gets it, and half the time if drawn anew."""
    market = family("a", "b")
    true = lottery.match_market(lottery.read_market(market), seed=seed_of("this")).placements[0].applicant
    table = table_of(simulated(market, 200, seeds={"this": seed_of("this")}))
    assert chances(table) == {ticket: float(ticket == true) for ticket in "ab"}


# ---- the table


def rows_of(table: pl.DataFrame, *, applicants: bool) -> pl.DataFrame:
    there = pl.col("applicant").is_not_null()
    return table.filter(there if applicants else ~there)


def test_the_tables_columns_are_as_they_are_told() -> None:
    assert dict(table_of(simulated(family("a"), 3)).schema) == COLUMNS


def test_every_entry_of_a_ranking_has_one_row_in_its_place_and_then_one_says_nowhere() -> None:
    programs = [{"id": name, "school": name, "grade": "KG", "seats": 1} for name in ("elm", "fir", "oak")]
    market: Json = {
        **cast("dict[str, Json]", family("a")),
        "programs": cast("Json", programs),
        "applicants": [
            {"id": "bo", "grade": "KG", "ranking": ["oak", "elm"]},
            {"id": "al", "grade": "KG", "ranking": ["fir", "oak", "elm"]},
            {"id": "cy", "grade": "KG", "ranking": []},
        ],
    }
    rows = rows_of(table_of(simulated(market, 3)), applicants=True)
    assert rows.select("applicant", "choice", "program").rows() == [
        *(("al", choice, program) for choice, program in [(1, "fir"), (2, "oak"), (3, "elm"), (None, None)]),
        *(("bo", choice, program) for choice, program in [(1, "oak"), (2, "elm"), (None, None)]),
        ("cy", None, None),
    ]


def test_every_class_of_every_group_has_one_row_whether_anybody_reaches_it_or_not() -> None:
    own: Json = [{"name": "zone", "percent": 50, "when": {"zone_in": ["Z1"]}, "priorities": []}]
    market = one_program([{"id": "a"}], seats=5, priorities=SIBLING_FIRST, reserves=own, precedence=["open", "zone"])
    rows = rows_of(table_of(simulated(market, 3)), applicants=False)
    assert rows.select("program", "group", "class", "seats").rows() == [
        ("oak", "open", "sibling", 3),
        ("oak", "open", "general", 3),
        ("oak", "zone", "general", 2),
    ]


HOLDER: Mapping[str, Json] = {"id": "a", "ranking": [], "holds": {"program": "oak"}}


def test_a_held_seat_that_is_not_ranked_has_a_row_without_a_choice() -> None:
    rows = rows_of(table_of(simulated(one_program([HOLDER, {"id": "b"}]), 3)), applicants=True)
    assert rows.select("applicant", "choice", "program", "times").rows() == [
        ("a", None, "oak", 3),
        ("a", None, None, 0),
        ("b", 1, "oak", 0),
        ("b", None, None, 3),
    ]


def test_a_held_seat_that_is_ranked_has_no_row_beside_its_choices() -> None:
    rows = rows_of(table_of(simulated(one_program([{**HOLDER, "ranking": ["oak"]}]), 3)), applicants=True)
    assert rows.select("choice", "program", "times").rows() == [(1, "oak", 3), (None, None, 0)]


def test_a_market_without_applicants_has_rows_of_empty_groups_only() -> None:
    table = table_of(simulated(one_program([]), 3))
    assert table.select("applicant", "program", "group", "filled").rows() == [(None, "oak", "open", 0.0)]


def test_a_market_in_which_siblings_matter_and_nobody_ranks_has_rows_that_say_nowhere() -> None:
    market = one_program([child("a", ranking=[], together=True)], policy={"grade_order": ["KG"]})
    assert chances(table_of(simulated(market, 3)), None) == {"a": 1.0}


@pytest.mark.parametrize("applicants", [[], [{"id": "a", "grade": "KG", "ranking": []}]])
def test_a_market_without_programs_has_a_row_for_each_applicant_only(applicants: list[Json]) -> None:
    market: Json = {**cast("dict[str, Json]", family()), "programs": [], "applicants": applicants}
    assert table_of(simulated(market, 3)).select("applicant", "program", "chance").rows() == [
        ("a", None, 1.0) for _ in applicants
    ]


@examples(30)
@given(all_markets(), seeds())
def test_everybodys_chances_add_up_to_one(market: Json, seed: bytes) -> None:
    table = rows_of(table_of(simulated(market, 7, seed=seed)), applicants=True)
    times = table.group_by("applicant").agg(pl.col("times").sum(), pl.col("chance").sum())
    assert sorted(times["applicant"].to_list()) == sorted(each["id"] for each in read(market)["applicants"])
    assert times["times"].to_list() == [7] * len(times)
    assert times["chance"].to_list() == pytest.approx([1.0] * len(times))


@examples(30)
@given(all_markets(), seeds())
def test_a_programs_seats_are_filled_by_those_who_were_placed_there(market: Json, seed: bytes) -> None:
    table = table_of(simulated(market, 7, seed=seed))
    placed, filled = (
        dict(rows_of(table, applicants=each).group_by("program").agg(pl.col("times").sum()).drop_nulls().rows())
        for each in (True, False)
    )
    assert {**dict.fromkeys(filled, 0), **placed} == filled


@examples(30)
@given(all_markets(), seeds())
def test_the_table_has_each_entry_once(market: Json, seed: bytes) -> None:
    rows = rows_of(table_of(simulated(market, 2, seed=seed)), applicants=True)
    entries = rows.filter(pl.col("choice").is_not_null()).select("applicant", "choice", "program").rows()
    assert entries == [
        (applicant["id"], choice, program)
        for applicant in sorted(read(market)["applicants"], key=lambda each: each["id"])
        for choice, program in enumerate(applicant["ranking"], start=1)
    ]


def test_the_standard_error_of_a_chance_is_that_of_a_share_of_so_many_draws() -> None:
    table = rows_of(table_of(simulated(family(*"abcde"), 400)), applicants=True)
    expected = [sqrt(p * (1 - p) / 400) for p in table["chance"].to_list()]
    assert table["standard_error"].to_list() == pytest.approx(expected)


def test_the_standard_error_of_a_fill_is_that_of_the_mean_of_its_seats_over_the_draws() -> None:
    applicants = [{"id": f"t{n}", "at": {"oak": ["sibling"]} if n < 4 else {}} for n in range(12)]
    market = one_program(
        cast("list[Mapping[str, Json]]", applicants),
        seats=6,
        priorities=[{"name": "none", "when": {"has": "nothing"}}],
        reserves=[{"name": "siblings", "seats": 2, "when": {"at_school": "sibling"}, "priorities": SIBLING_FIRST}],
        precedence=["open", "siblings"],
    )
    simulation, draws = prepared(market), 50
    filled = [simulation.tally([draw]).seats.of_class for draw in range(draws)]
    table = rows_of(table_of(simulated(market, draws)), applicants=False)
    by_row = {("open", "none"): (0, 0), ("open", "general"): (0, 1)}
    by_row |= {("siblings", "sibling"): (1, 0), ("siblings", "general"): (1, 1)}
    expected = {}
    for row, place in by_row.items():
        counts = [int(each[place]) for each in filled]
        expected[row] = pytest.approx((sum(counts) / draws, pstdev(counts) / sqrt(draws)))
    told = table.select("group", "class", "filled", "standard_error").rows()
    assert {(group, class_): (mean, error) for group, class_, mean, error in told} == expected
    assert any(error > 0 for *_, error in told)


def written(table: pl.DataFrame, ending: str) -> BytesIO:
    stream = BytesIO()
    FORMATS[ending](table, stream)
    stream.seek(0)
    return stream


def test_parquet_and_csv_hold_the_same_table() -> None:
    table = table_of(simulate(in_columns(city_in_summer()), draws=7, seed=SEED))
    parquet, csv = pl.read_parquet(written(table, ".parquet")), pl.read_csv(written(table, ".csv"), schema=COLUMNS)
    assert parquet.equals(table)
    assert csv.equals(table)


def test_the_same_simulation_gives_the_same_bytes() -> None:
    market = in_columns(city_in_summer())
    for ending in FORMATS:
        first, second = (written(table_of(simulate(market, draws=7, seed=SEED)), ending) for _ in range(2))
        assert first.getvalue() == second.getvalue()


def test_lottery_simulate_from_python_is_the_same_simulation() -> None:
    market = city_in_summer()
    told = {"2027-main": b"m" * 32}
    through_columns = simulate(in_columns(market), draws=9, seed=SEED, seeds=told)
    assert table_of(lottery.simulate_market(market, draws=9, seed=SEED, seeds=told)).equals(table_of(through_columns))


def test_two_markets_of_the_same_applicants_have_the_same_draws() -> None:
    market = city_in_summer()
    other = replace(market, programs=tuple(replace(each, priorities=(), reserves=()) for each in market.programs))
    other = replace(other, programs=tuple(replace(each, precedence=("open",)) for each in other.programs))
    other = replace(other, applicants=tuple(replace(each, holds=None) for each in other.applicants))
    first, second = (prepare(in_columns(each), seed=SEED).dice.draw(5) for each in (market, other))
    for source in (Source.WAITLIST, Source.REVERSE, Source.FRESH):
        assert np.array_equal(first.ranks(source), second.ranks(source))
