"""Over a whole season, nobody who was drawn later passes a child who was drawn earlier, except under `fresh`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

import lottery
from lottery.engines import Engine
from lottery.market.canonical import Json
from lottery.market.json_reader import UnusableInput
from lottery.market.outcome import Outcome, read_outcome
from lottery.match.verify import verify

PROGRAMS = ("elm", "oak")
MAIN = "main"


@dataclass
class Family:
    """One child of a season. `draw` counts the draws: 0 is the main round."""

    ticket: str
    ranking: list[str]
    sibling: bool
    near: bool
    late: bool
    draw: int
    holds: tuple[str, str] | None = None

    def cohort(self, policy: str) -> tuple[int, bool]:
        """Return how late the child came; a child late for the main round counts as late unless all are equal."""
        return self.draw, self.draw == 0 and self.late and policy != "equal"

    def class_at(self, group: str, policy: str) -> tuple[bool, bool]:
        """Return what counts before lateness at a seat group."""
        return (group == "near" and self.near), (self.sibling and policy != "after")


@dataclass
class Season:
    """The rounds of a season, each matched by both engines."""

    policy: str
    orders: Mapping[str, str]
    families: list[Family] = field(default_factory=list)
    rounds: list[str] = field(default_factory=list)

    def run(self, data: DataObject) -> Outcome:
        """Match the next round, check it, and give the seats."""
        name = MAIN if not self.rounds else f"backfill-{len(self.rounds)}"
        market = lottery.read_market(self.document(name))
        seeds = {name: draw.to_bytes(32, "big") for draw, name in enumerate([*self.rounds, name], start=1)}
        seed = data.draw(st.integers(100, 2**16)).to_bytes(32, "big")
        outcomes = [
            lottery.match_market(market, seed=seed, seeds={**seeds, name: seed}, engine=engine) for engine in Engine
        ]
        assert len({outcome.to_bytes() for outcome in outcomes}) == 1
        self.rounds.append(name)
        return outcomes[0]

    def document(self, name: str) -> Json:
        earlier: Json = {"earlier": list(self.rounds)} if self.rounds else {}
        kind = "backfill" if self.rounds else "main"
        return {
            "format": "lottery-market/1",
            "round": {"id": name, "kind": kind, **(earlier if isinstance(earlier, dict) else {})},
            "policy": {"late": self.policy},
            "programs": [
                {
                    "id": program,
                    "school": program,
                    "grade": "KG",
                    "seats": 2,
                    "priorities": [{"name": "sibling", "when": {"has": "sibling"}}],
                    "reserves": [{"name": "near", "seats": 1, "when": {"has": "near"}}],
                    "backfill": {"order": self.orders[program]},
                }
                for program in PROGRAMS
            ],
            "applicants": [self.applicant(family, name) for family in self.families],
        }

    def applicant(self, family: Family, name: str) -> Json:
        flags = [flag for flag, has in (("sibling", family.sibling), ("near", family.near)) if has]
        return {
            "id": family.ticket,
            "grade": "KG",
            "ranking": list(family.ranking),
            "flags": list(flags),
            "late": family.late,
            "holds": {"program": family.holds[0], "group": family.holds[1]} if family.holds else None,
            "drawn_in": [*self.rounds, name][family.draw],
        }

    def pairs(self, group: str) -> Iterator[tuple[Family, Family]]:
        """Yield pairs of children of equal standing but for lateness, the one who came earlier first."""
        for earlier, later in permutations(self.families, 2):
            same = earlier.class_at(group, self.policy) == later.class_at(group, self.policy)
            if same and earlier.cohort(self.policy) < later.cohort(self.policy):
                yield earlier, later

    def check(self, outcome: Outcome) -> None:
        """Check that nobody who came later stands before, or is admitted before, a child of the same standing."""
        waitlists = {(waitlist.program, waitlist.group): waitlist.applicants for waitlist in outcome.waitlists}
        newly = {
            (placement.applicant, placement.program, placement.group)
            for placement in outcome.placements
            if self.holds(placement.applicant) != (placement.program, placement.group)
        }
        for (program, group), waiting in waitlists.items():
            if self.orders[program] == "fresh" and len(self.rounds) > 1:
                continue
            for earlier, later in self.pairs(group):
                if earlier.ticket in waiting:
                    assert (later.ticket, program, group) not in newly, (earlier, later, program)
                    if later.ticket in waiting:
                        assert waiting.index(earlier.ticket) < waiting.index(later.ticket), (earlier, later, program)

    def holds(self, ticket: str) -> tuple[str, str] | None:
        return next(family.holds for family in self.families if family.ticket == ticket)

    def go_on(self, outcome: Outcome, data: DataObject) -> None:
        """Give the seats; some families decline, rank anew or leave, and newcomers apply."""
        seats = {placement.applicant: (placement.program, placement.group) for placement in outcome.placements}
        for family in list(self.families):
            family.holds = seats.get(family.ticket)
            match data.draw(st.sampled_from(("stay", "stay", "decline", "leave", "rank anew"))):
                case "decline":
                    family.holds = None
                case "leave" if family.holds:
                    self.families.remove(family)
                case "rank anew":
                    family.ranking = data.draw(st.permutations(PROGRAMS))
        self.apply(data, most=3)

    def apply(self, data: DataObject, *, most: int) -> None:
        """Let new children apply."""
        truth = st.booleans()
        for _ in range(data.draw(st.integers(0, most))):
            self.families.append(
                Family(
                    ticket=f"{data.draw(st.integers(0, 99)):02}-{len(self.families)}-{len(self.rounds)}",
                    ranking=data.draw(st.permutations(PROGRAMS)),
                    sibling=data.draw(truth),
                    near=data.draw(truth),
                    late=data.draw(truth),
                    draw=len(self.rounds),
                )
            )


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(("after", "within", "equal")))
def test_nobody_passes_a_child_who_was_drawn_in_an_earlier_round(data: DataObject, policy: str) -> None:
    orders = {program: data.draw(st.sampled_from(("waitlist", "reverse", "fresh"))) for program in PROGRAMS}
    season = Season(policy, orders)
    season.apply(data, most=7)
    for _ in range(data.draw(st.integers(2, 4))):
        outcome = season.run(data)
        season.check(outcome)
        season.go_on(outcome, data)


def one_seat(*, earlier: Json, late: str = "after", order: str = "waitlist") -> Json:
    """Backfill 2 for one seat: a child late for the main round, three of backfill 1, and one who is new."""
    drawn = {"late": MAIN, "new-1": "backfill-1", "new-2": "backfill-1", "new-3": "backfill-1", "newest": "backfill-2"}
    return {
        "format": "lottery-market/1",
        "round": {"id": "backfill-2", "kind": "backfill", "earlier": earlier},
        "policy": {"late": late},
        "programs": [{"id": "oak", "school": "oak", "grade": "KG", "seats": 1, "backfill": {"order": order}}],
        "applicants": [
            {"id": ticket, "grade": "KG", "ranking": ["oak"], "late": ticket == "late", "drawn_in": round_}
            for ticket, round_ in drawn.items()
        ],
    }


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("late", ["after", "within", "equal"])
def test_a_child_late_for_the_main_round_comes_before_every_newcomer(late: str, engine: Engine) -> None:
    market = lottery.read_market(one_seat(earlier=[MAIN, "backfill-1"], late=late))
    for draw in range(8):
        seeds = {MAIN: bytes([draw]) * 32, "backfill-1": bytes([draw + 9]) * 32}
        outcome = lottery.match_market(market, seed=bytes([draw + 99]) * 32, seeds=seeds, engine=engine)
        ((placed,), (waitlist,), (cutoff,)) = outcome.placements, outcome.waitlists, outcome.cutoffs
        assert placed.applicant == "late"
        assert waitlist.applicants[-1] == "newest"
        assert cutoff.last is not None
        assert (cutoff.last.late, cutoff.last.drawn_in) == (late != "equal", MAIN)


@pytest.mark.parametrize("engine", Engine)
def test_where_everybody_draws_anew_the_order_of_the_draws_does_not_count(engine: Engine) -> None:
    market = lottery.read_market(one_seat(earlier=[MAIN, "backfill-1"], order="fresh"))
    seeds = {MAIN: bytes(32), "backfill-1": bytes(32)}
    outcomes = [lottery.match_market(market, seed=bytes([draw]) * 32, seeds=seeds, engine=engine) for draw in range(30)]
    assert {outcome.placements[0].applicant for outcome in outcomes} == {"new-1", "new-2", "new-3", "newest"}
    assert {outcome.cutoffs[0].last.drawn_in for outcome in outcomes if outcome.cutoffs[0].last} == {None}


def test_the_verifier_names_a_wrong_draw_of_the_last_child_admitted() -> None:
    market = lottery.read_market(one_seat(earlier=[MAIN, "backfill-1"]))
    seeds = {MAIN: bytes(32), "backfill-1": bytes(32)}
    outcome = lottery.match_market(market, seed=bytes(32), seeds=seeds)
    (cutoff,) = outcome.cutoffs
    assert cutoff.last is not None
    for wrong in (None, "backfill-1"):
        false = replace(outcome, cutoffs=(replace(cutoff, last=replace(cutoff.last, drawn_in=wrong)),))
        told = [str(complaint) for complaint in verify(market, read_outcome(json.loads(false.to_bytes())), seeds=seeds)]
        assert any("must have last drawn_in main" in complaint for complaint in told), told
    assert not verify(market, read_outcome(json.loads(outcome.to_bytes())), seeds=seeds)


def test_a_draw_that_the_market_does_not_list_is_refused() -> None:
    with pytest.raises(UnusableInput, match="the market does not list the round backfill-1") as refused:
        lottery.read_market(one_seat(earlier=[MAIN]))
    assert len(refused.value.faults) == 3
