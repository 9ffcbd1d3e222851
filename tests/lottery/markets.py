"""Hypothesis strategies for market documents, as section 2 of the specification has them.

Every draw is a valid market. They are small and scarce, with every feature at once, and shrink towards few programs,
few applicants, and keys left out where the specification has a default.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from lottery.market.canonical import Json
from oracle import Applicant, Backfill, Condition, HeldSeat, Market, Policy, Priority, Program, Reserve

Document: TypeAlias = "dict[str, Json]"

TICKETS = ("ana", "bo", "Cy", "d.e", "e-f", "f:g", "g_h", "hua", "ivo", "Jo", "kai", "lu")
NEWCOMERS = ("new-1", "New-2", "0-new")
STRANGERS = ("stranger", "Stranger-2")
GRADES = ("KG", "01", "02")
SCHOOLS = ("north", "south", "east")
ELSEWHERE = "little-stars"
ZONES = ("Z1", "Z2", "Ｚ", "🏠")
FLAGS = ("ell", "frl", "señal")
FACTS = ("sibling", "staff")
HOUSEHOLDS = ("h1", "h2", "h3", None)
EARLIER, MAIN, BACKFILL = "earlier", "main", "backfill"
EARLIER_SEEDS: Mapping[str, bytes] = {EARLIER: b"e" * 32, MAIN: b"m" * 32}


def seeds() -> SearchStrategy[bytes]:
    """Seeds of a draw; many are enough to see every order of a few applicants."""
    return st.integers(0, 2**16 - 1).map(lambda number: number.to_bytes(32, "big"))


def some_of(words: Sequence[str]) -> SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=2, unique=True)


def rarely(draw: DrawFn) -> bool:
    return draw(st.integers(0, 5)) == 5


def often(draw: DrawFn) -> bool:
    return draw(st.integers(0, 2)) > 0


def high(least: int, most: int) -> SearchStrategy[int]:
    """Whole numbers that are more often high than low, and shrink to the least."""
    number = st.integers(least, most)
    return st.tuples(number, number, number).map(max)


def leave_out_some(draw: DrawFn, document: Document, defaults: Mapping[str, Json]) -> Document:
    """Leave out some of the keys that say no more than the default does."""
    told = {key: value for key, value in document.items() if key not in defaults or value != defaults[key]}
    return document if told == document or draw(st.integers(0, 2)) == 2 else told


# ---- conditions


def leaves() -> SearchStrategy[Condition]:
    plain: list[SearchStrategy[Condition]] = [
        st.sampled_from(FLAGS).map(lambda flag: {"has": flag}),
        some_of(ZONES).map(lambda zones: {"zone_in": zones}),
        st.sampled_from(FACTS).map(lambda fact: {"at_school": fact}),
        some_of((ELSEWHERE, *SCHOOLS)).map(lambda schools: {"attends_in": schools}),
        st.just({"everyone": True}),
    ]
    return st.one_of(plain)


def nested(leaf: SearchStrategy[Condition]) -> SearchStrategy[Condition]:
    def grown(inner: SearchStrategy[Condition]) -> SearchStrategy[Condition]:
        several = st.lists(inner, max_size=3)
        return st.one_of(
            inner.map(lambda condition: {"not": condition}),
            several.map(lambda conditions: {"all": conditions}),
            several.map(lambda conditions: {"any": conditions}),
        )

    return st.recursive(leaf, grown, max_leaves=4)


SIBLING: Condition = {"sibling_placed": True}
PLAIN_CONDITIONS = nested(leaves())
SIBLING_CONDITIONS = nested(st.one_of(leaves(), st.just(SIBLING)))
NOTHING_FIRST: SearchStrategy[list[Condition]] = st.just([])
SIBLING_FIRST: SearchStrategy[list[Condition]] = st.sampled_from(([SIBLING], [SIBLING], []))
# whether conditions ask about siblings, and whether applicants wish to be together
SIBLING_RULES = ((False, False), (False, True), (True, False), (True, True), (True, True))


# ---- programs


@st.composite
def priorities(
    draw: DrawFn,
    conditions: SearchStrategy[Condition],
    *,
    first: SearchStrategy[list[Condition]],
    prefix: str = "",
) -> list[Priority]:
    tests = [*draw(first), *draw(st.lists(conditions, max_size=2))]
    return [{"name": f"{prefix}class-{index}", "when": test} for index, test in enumerate(tests, start=1)]


def overflows(conditions: SearchStrategy[Condition]) -> SearchStrategy[str | dict[str, Condition]]:
    return st.one_of(st.sampled_from(("closed", "open")), conditions.map(lambda condition: {"to": condition}))


@st.composite
def reserves(
    draw: DrawFn, conditions: SearchStrategy[Condition], *, first: SearchStrategy[list[Condition]], seats: int
) -> list[Reserve]:
    left, drawn = seats, []
    for index in range(draw(st.sampled_from((0, 1, 1, 2, 3)))):
        reserve: Reserve = {"name": f"reserve-{index + 1}", "when": draw(conditions)}
        if draw(st.booleans()):
            percent = draw(st.sampled_from((50, 100, 34, 67, 0, 99)))
            reserve["percent"] = percent if seats * percent // 100 <= left else 0
            left -= seats * reserve["percent"] // 100
        else:
            reserve["seats"] = draw(st.integers(0, left))
            left -= reserve["seats"]
        if draw(st.booleans()):
            reserve["overflow"] = draw(overflows(conditions))
        if draw(st.booleans()):
            reserve["priorities"] = draw(priorities(conditions, first=first, prefix="own-"))
        drawn.append(reserve)
    return drawn


@st.composite
def tie_breaks(draw: DrawFn, tickets: Sequence[str]) -> str | dict[str, list[str]] | None:
    kind = draw(st.sampled_from((None, "single", "multiple", "ranked", "ranked")))
    if kind != "ranked":
        return kind
    listed = draw(st.permutations((*tickets, *STRANGERS)))
    return {"ranked": listed if draw(st.booleans()) else listed[: draw(st.integers(0, len(listed)))]}


@st.composite
def backfills(draw: DrawFn) -> Backfill:
    backfill: Backfill = {
        "fills": often(draw) or often(draw),
        "order": draw(st.sampled_from(("waitlist", "reverse", "fresh"))),
        "vacated_reserves": draw(st.sampled_from(("keep", "release"))),
    }
    defaults: Document = {"fills": True, "order": "waitlist", "vacated_reserves": "keep"}
    return cast("Backfill", leave_out_some(draw, cast("Document", backfill), defaults))


@st.composite
def programs(
    draw: DrawFn,
    conditions: SearchStrategy[Condition],
    *,
    first: SearchStrategy[list[Condition]],
    index: int,
    grades: Sequence[str],
    tickets: Sequence[str],
) -> Program:
    grade = grades[index % len(grades)]
    school = draw(st.sampled_from((*2 * [SCHOOLS[index // len(grades) % len(SCHOOLS)]], *SCHOOLS)))
    seats = draw(st.sampled_from((1, 1, 2, 2, 3, 0, 4)))
    program: Program = {"id": f"{school}-{grade}-{index + 1}", "school": school, "grade": grade, "seats": seats}
    if rarely(draw) or rarely(draw):
        program["eligible"] = draw(conditions)
    if often(draw):
        program["priorities"] = draw(priorities(conditions, first=first))
    program["reserves"] = draw(reserves(conditions, first=first, seats=seats))
    if often(draw):
        program["precedence"] = draw(st.permutations(["open", *(each["name"] for each in program["reserves"])]))
    if draw(st.booleans()):
        program["tie_break"] = draw(tie_breaks(tickets))
    if often(draw):
        program["backfill"] = draw(backfills())
    return cast("Program", leave_out_some(draw, cast("Document", program), {"reserves": [], "tie_break": None}))


# ---- applicants


@st.composite
def applicants(draw: DrawFn, *, ticket: str, grade: str, offered: Sequence[str]) -> Applicant:
    """Applicants with facts of their own; what ties them to others and to rounds comes later."""
    ranking = draw(st.permutations(offered)) if offered else []
    if rarely(draw):
        ranking = ranking[: draw(st.integers(0, len(ranking)))]
    facts = st.lists(st.sampled_from(FACTS), max_size=3)
    applicant: Applicant = {
        "id": ticket,
        "grade": grade,
        "ranking": ranking,
        "zones": draw(st.lists(st.sampled_from(ZONES), max_size=2)),
        "flags": draw(st.lists(st.sampled_from(FLAGS), max_size=2)),
        "at": draw(st.dictionaries(st.sampled_from((*SCHOOLS, ELSEWHERE)), facts, max_size=1)),
        "attends": draw(st.sampled_from((None, None, ELSEWHERE, *SCHOOLS))),
        "late": rarely(draw),
    }
    defaults: Document = {"zones": [], "flags": [], "at": {}, "attends": None, "late": False}
    return cast("Applicant", leave_out_some(draw, cast("Document", applicant), defaults))


def join_households(
    draw: DrawFn, everyone: Sequence[Applicant], *, names: Sequence[str | None], together: bool
) -> None:
    for applicant in everyone:
        household = draw(st.sampled_from(names))
        if household is not None or rarely(draw):
            applicant["household"] = household
        if together and often(draw):
            applicant["together"] = True


def give_seats_to_hold(draw: DrawFn, market: Market) -> None:
    left = {
        (program["grade"], program["id"], group): seats
        for program in market["programs"]
        for group, seats in seats_as_written(program).items()
    }
    for applicant in market["applicants"]:
        places = [place for place, seats in left.items() if seats > 0 and place[0] == applicant["grade"]]
        if places and not often(draw):
            place = draw(st.sampled_from(places))
            left[place] -= 1
            applicant["holds"] = held_seat(draw, program=place[1], group=place[2])


def seats_as_written(program: Program) -> dict[str, int]:
    total = program["seats"]
    reserved = {
        reserve["name"]: reserve["seats"] if "seats" in reserve else total * reserve["percent"] // 100
        for reserve in program.get("reserves", [])
    }
    return {"open": total - sum(reserved.values()), **reserved}


def held_seat(draw: DrawFn, *, program: str, group: str) -> HeldSeat:
    if group == "open" and draw(st.booleans()):
        return {"program": program}
    return {"program": program, "group": group}


def draw_in_rounds(draw: DrawFn, everyone: Sequence[Applicant], *, this: str, before: Sequence[str]) -> None:
    for applicant in everyone:
        drawn_in = draw(st.sampled_from((None, this, *before, *before)))
        if drawn_in is not None:
            applicant["drawn_in"] = drawn_in


# ---- markets


@st.composite
def markets(
    draw: DrawFn,
    *,
    kind: str = "main",
    siblings: bool = True,
    grades: Sequence[str] = GRADES,
    most_programs: int = 6,
    most_applicants: int = len(TICKETS),
) -> Json:
    asks, together = draw(st.sampled_from(SIBLING_RULES)) if siblings else (False, False)
    families = siblings and often(draw)  # two grades and two households, so that siblings meet
    used = grades[:2] if families else grades[: draw(st.sampled_from((2, 1, 3)))]
    tickets = TICKETS[: draw(high(0, most_applicants))]
    market: Market = {
        "format": "lottery-market/1",
        "round": {"id": BACKFILL if kind == "backfill" else MAIN, "kind": kind},
        "programs": [
            draw(
                programs(
                    SIBLING_CONDITIONS if asks else PLAIN_CONDITIONS,
                    first=SIBLING_FIRST if asks else NOTHING_FIRST,
                    index=index,
                    grades=used,
                    tickets=tickets,
                )
            )
            for index in range(draw(high(1, most_programs)))
        ],
    }
    market["applicants"] = [
        draw(applicants(ticket=ticket, grade=grade, offered=offered_in(market, grade)))
        for index, ticket in enumerate(tickets)
        for grade in [used[index % len(used)] if families else draw(st.sampled_from(used))]
    ]
    join_households(draw, market["applicants"], names=HOUSEHOLDS[:2] if families else HOUSEHOLDS, together=together)
    give_seats_to_hold(draw, market)
    before = (EARLIER, MAIN) if kind == "backfill" else (EARLIER,) if rarely(draw) else ()
    if kind == "backfill" and draw(st.booleans()):
        market["round"]["earlier"] = draw(st.permutations(before))
    draw_in_rounds(draw, market["applicants"], this=market["round"]["id"], before=before)
    return with_policy(draw, market, needs_grade_order=asks or together)


def offered_in(market: Market, grade: str) -> list[str]:
    return [program["id"] for program in market["programs"] if program["grade"] == grade]


def with_policy(draw: DrawFn, market: Market, *, needs_grade_order: bool) -> Json:
    policy: Policy = {
        "tie_break": draw(st.sampled_from(("single", "multiple"))),
        "late": draw(st.sampled_from(("after", "within", "equal"))),
        "twins": draw(st.sampled_from(("separate", "share"))),
    }
    if needs_grade_order:
        policy["grade_order"] = draw(st.permutations(grades_of(market)))
    elif draw(st.booleans()):
        policy["grade_order"] = draw(st.lists(st.sampled_from(GRADES), unique=True))  # ignored then
    defaults: Document = {"tie_break": "single", "late": "after", "twins": "separate"}
    told = leave_out_some(draw, cast("Document", policy), defaults)
    return cast("Json", {**market, "policy": told} if told else {**market})


def grades_of(market: Market) -> list[str]:
    used = {each["grade"] for each in (*market["programs"], *market["applicants"])}
    return [grade for grade in GRADES if grade in used]


def main_markets() -> SearchStrategy[Json]:
    """Main rounds with every feature: siblings, held seats, reserves, ranked programs, draws of an earlier round."""
    return markets(kind="main")


def backfill_markets() -> SearchStrategy[Json]:
    """Backfill rounds with every feature, whose held seats need not come from a match."""
    return markets(kind="backfill")


def plain_markets(
    *,
    kinds: Sequence[str] = ("main", "backfill"),
    grades: Sequence[str] = ("KG",),
    most_programs: int = 4,
    most_applicants: int = 6,
) -> SearchStrategy[Json]:
    """Rounds of either kind in which no condition and no applicant asks about siblings."""
    return st.one_of(
        [
            markets(
                kind=kind,
                siblings=False,
                grades=grades,
                most_programs=most_programs,
                most_applicants=most_applicants,
            )
            for kind in kinds
        ]
    )


@st.composite
def backfill_after(draw: DrawFn, market: Json, outcome: Mapping[str, Json]) -> Json:
    """Backfill rounds after a main round: the placed keep their seat or withdraw, some rank anew, newcomers come."""
    earlier = cast("Market", market)
    placements = cast("Sequence[Mapping[str, str]]", outcome["placements"])
    placed = {placement["applicant"]: placement for placement in placements}
    after = cast("Market", {key: value for key, value in earlier.items() if key != "policy"})
    after["round"] = {"id": BACKFILL, "kind": "backfill"}
    if draw(st.booleans()):
        after["round"]["earlier"] = [EARLIER, earlier["round"]["id"]]
    after["applicants"] = [
        stayed(draw, after, applicant, placed.get(applicant["id"]))
        for applicant in earlier["applicants"]
        if not (applicant["id"] in placed and draw(st.integers(0, 3)) == 3)
    ]
    newcomers = NEWCOMERS[: draw(st.integers(0, len(NEWCOMERS)))]
    for ticket in newcomers:
        grade = draw(st.sampled_from(grades_of(earlier)))
        newcomer = draw(applicants(ticket=ticket, grade=grade, offered=offered_in(earlier, grade)))
        join_households(draw, [newcomer], names=HOUSEHOLDS, together=True)
        after["applicants"].append(newcomer)
    after["programs"] = [refilled(draw, program, newcomers) for program in earlier["programs"]]
    return with_policy(draw, after, needs_grade_order=True)


def stayed(draw: DrawFn, market: Market, applicant: Applicant, placement: Mapping[str, str] | None) -> Applicant:
    again: Applicant = {**applicant, "drawn_in": applicant.get("drawn_in", MAIN), "holds": None}
    if placement is not None and not rarely(draw):
        again["holds"] = held_seat(draw, program=placement["program"], group=placement["group"])
    offered = offered_in(market, applicant["grade"])
    if draw(st.booleans()) and offered:
        again["ranking"] = draw(st.lists(st.sampled_from(offered), unique=True))
    return again


def refilled(draw: DrawFn, program: Program, newcomers: Sequence[str]) -> Program:
    again: Program = {**program, "backfill": draw(backfills())}
    rule = program.get("tie_break")
    if isinstance(rule, dict) and draw(st.booleans()):
        again["tie_break"] = {"ranked": draw(st.permutations([*rule["ranked"], *newcomers]))}
    return again


@st.composite
def in_any_order(draw: DrawFn, market: Json) -> Json:
    """The same market with everything turned about whose order says nothing."""
    told = cast("Market", market)
    turned = cast("Market", dict(reversed(list(cast("Document", told).items()))))
    turned["programs"] = draw(st.permutations(told["programs"]))
    turned["applicants"] = [turned_about(draw, applicant) for applicant in draw(st.permutations(told["applicants"]))]
    return cast("Json", turned)


def turned_about(draw: DrawFn, applicant: Applicant) -> Applicant:
    turned = cast("Applicant", dict(reversed(list(cast("Document", applicant).items()))))
    if "zones" in applicant:
        turned["zones"] = draw(st.permutations(applicant["zones"]))
    if "flags" in applicant:
        turned["flags"] = draw(st.permutations(applicant["flags"]))
    if "at" in applicant:
        turned["at"] = {school: draw(st.permutations(facts)) for school, facts in reversed(applicant["at"].items())}
    return turned
