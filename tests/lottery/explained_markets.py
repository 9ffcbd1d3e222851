"""Markets in which every decision is taken, with explainers of their outcomes."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import lottery
from lottery.explain.explainer import Explainer, Extract
from lottery.explain.facts import Explanation
from lottery.explain.report import as_submitted
from lottery.market.canonical import Json
from lottery.market.model import Market
from worked_examples import Document

SEED = bytes(32)
EARLIER = {"r0": b"0" * 32, "r1": b"1" * 32}


def everywhere() -> Market:
    """A backfill round in which every decision is taken at least once."""
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r2", "kind": "backfill"},
        "policy": {"twins": "share", "grade_order": ["01", "KG"]},
        "programs": [
            {
                "id": "oak-kg",
                "school": "oak",
                "grade": "KG",
                "seats": 3,
                "eligible": {"not": {"has": "far"}},
                "priorities": [{"name": "sibling", "when": {"at_school": "sibling"}}],
                "reserves": [
                    {"name": "near", "seats": 1, "when": {"zone_in": ["Z1"]}},
                    {"name": "low-income", "seats": 1, "when": {"has": "frl"}, "overflow": "closed"},
                ],
                "precedence": ["near", "open", "low-income"],
            },
            {"id": "elm-kg", "school": "elm", "grade": "KG", "seats": 1, "tie_break": {"ranked": ["eve", "ben"]}},
            {"id": "fir-kg", "school": "fir", "grade": "KG", "seats": 1, "backfill": {"fills": False}},
            {"id": "ash-kg", "school": "ash", "grade": "KG", "seats": 9},
            {"id": "yew-kg", "school": "yew", "grade": "KG", "seats": 0},
            {"id": "ash-01", "school": "ash", "grade": "01", "seats": 9},
            {"id": "elm-01", "school": "elm", "grade": "01", "seats": 1},
        ],
        "applicants": [
            {"id": "ada", "grade": "KG", "ranking": ["oak-kg", "ash-kg"], "zones": ["Z1"], "drawn_in": "r1"},
            {"id": "amy", "grade": "KG", "ranking": ["oak-kg"], "zones": ["Z1"], "drawn_in": "r1"},
            {"id": "ben", "grade": "KG", "ranking": ["elm-kg", "oak-kg", "yew-kg"], "drawn_in": "r1"},
            {"id": "cem", "grade": "KG", "ranking": ["oak-kg"], "at": {"oak": ["sibling"]}, "drawn_in": "r1"},
            {"id": "dora", "grade": "KG", "ranking": ["elm-kg", "fir-kg", "oak-kg"], "drawn_in": "r1"},
            {"id": "eve", "grade": "KG", "ranking": ["elm-kg"], "drawn_in": "r1"},
            {"id": "fay", "grade": "KG", "ranking": ["oak-kg"], "flags": ["far"], "drawn_in": "r1"},
            {
                "id": "hua",
                "grade": "KG",
                "ranking": ["oak-kg", "fir-kg", "ash-kg"],
                "holds": {"program": "fir-kg"},
                "drawn_in": "r1",
            },
            {
                "id": "ivo",
                "grade": "KG",
                "ranking": ["elm-kg"],
                "flags": ["frl"],
                "holds": {"program": "oak-kg", "group": "low-income"},
                "drawn_in": "r1",
            },
            {"id": "jan", "grade": "KG", "ranking": ["oak-kg", "ash-kg"], "household": "h1", "together": True},
            {"id": "joy", "grade": "01", "ranking": ["ash-01"], "household": "h1", "drawn_in": "r1"},
            {"id": "kai", "grade": "01", "ranking": ["ash-01"], "holds": {"program": "elm-01"}, "drawn_in": "r1"},
            {"id": "new", "grade": "KG", "ranking": ["oak-kg"], "flags": ["frl"], "zones": ["Z1"]},
        ],
    }
    return lottery.read_market(document)


def explainer(market: Market, seed: bytes = SEED) -> Explainer:
    outcome = lottery.match_market(market, seed=seed, seeds=EARLIER)
    return Explainer(Extract.whole(market, outcome), seeds=EARLIER)


def twins() -> Market:
    """Two twins with one lottery number, and one seat."""
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r", "kind": "main"},
        "policy": {"twins": "share"},
        "programs": [{"id": "oak", "school": "oak", "grade": "KG", "seats": 1}],
        "applicants": [
            {"id": ticket, "grade": "KG", "ranking": ["oak"], "household": "h"} for ticket in ("ada", "ben")
        ],
    }
    return lottery.read_market(document)


def seats_left() -> Market:
    """Two schools reserve all seats for children of staff, and leave to siblings what is left."""
    staff: Json = {
        "name": "staff",
        "seats": 2,
        "when": {"at_school": "staff"},
        "overflow": {"to": {"at_school": "sibling"}},
    }
    common: Document = {"grade": "KG", "seats": 2, "reserves": [staff]}
    at: Document = {
        "ann": {"oak": ["staff"]},
        "bea": {"oak": ["sibling"]},
        "cal": {},
        "dee": {"elm": ["staff"]},
        "eli": {"elm": ["staff"]},
        "fin": {"elm": ["sibling"]},
    }
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r", "kind": "main"},
        "programs": [{**common, "id": "oak-kg", "school": "oak"}, {**common, "id": "elm-kg", "school": "elm"}],
        "applicants": [
            {"id": ticket, "grade": "KG", "ranking": ["oak-kg", "elm-kg"], "at": schools}
            for ticket, schools in at.items()
        ],
    }
    return lottery.read_market(document)


def later_rounds() -> Market:
    """A backfill round with a child on time, a late child, and newcomers, at schools with each order of numbers."""
    seats: Document = {"school": "oak", "grade": "KG", "seats": 1}
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r2", "kind": "backfill", "earlier": ["r0", "r1"]},
        "programs": [
            {**seats, "id": "elm", "school": "elm", "backfill": {"order": "fresh"}},
            {**seats, "id": "oak", "backfill": {"order": "reverse"}},
            {**seats, "id": "yew", "seats": 2},
            {**seats, "id": "ash", "seats": 3},
        ],
        "applicants": [
            {"id": "ada", "grade": "KG", "ranking": ["elm", "oak"], "drawn_in": "r0"},
            {"id": "ben", "grade": "KG", "ranking": ["elm", "oak"], "drawn_in": "r0"},
            {"id": "cem", "grade": "KG", "ranking": ["oak", "yew"], "drawn_in": "r0"},
            {"id": "lia", "grade": "KG", "ranking": ["oak", "yew"], "drawn_in": "r0", "late": True},
            {"id": "mia", "grade": "KG", "ranking": ["yew", "ash"], "drawn_in": "r1"},
            {"id": "ned", "grade": "KG", "ranking": ["yew", "ash"], "drawn_in": "r1"},
            {"id": "new", "grade": "KG", "ranking": ["yew", "ash"]},
            {"id": "oda", "grade": "KG", "ranking": ["ash"]},
        ],
    }
    return lottery.read_market(document)


def schools_that_left(given_up: Collection[str] = ()) -> list[tuple[Explanation, Sequence[str]]]:
    """Two children of a round who ranked schools that left, explained, each with the list as submitted.

    The families gave up seats at the schools `given_up`, which did not leave.
    """
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r", "kind": "main"},
        "programs": [{"id": "easy", "school": "easy", "grade": "KG", "seats": 1}],
        "applicants": [{"id": ticket, "grade": "KG", "ranking": ["easy"]} for ticket in ("ada", "ben")],
    }
    market = lottery.read_market(document)
    outcome = lottery.match_market(market, seed=SEED)
    submitted = {"ada": ["left", "easy"], "ben": ["left", "easy", "gone"]}
    placements = [as_submitted(placement, submitted) for placement in outcome.placements]
    extract = replace(Extract.whole(market, outcome), placements=placements, submitted=submitted, given_up=given_up)
    return [(Explainer(extract).explain(ticket), ranked) for ticket, ranked in submitted.items()]


def explainer_of_wrong_outcome(market: Market) -> Explainer:
    """Explain an outcome of `everywhere` that does not follow from the rules for `jan`."""
    outcome = lottery.match_market(market, seed=SEED, seeds=EARLIER)
    others = tuple(placement for placement in outcome.placements if placement.applicant != "jan")
    no_cutoffs = tuple(replace(cutoff, last=None) for cutoff in outcome.cutoffs)
    return Explainer(Extract.whole(market, replace(outcome, placements=others, cutoffs=no_cutoffs)), seeds=EARLIER)


CONDITIONS: list[tuple[Json, str]] = [
    ({"everyone": True}, "applies"),
    ({"zone_in": ["Z1"]}, "lives in zone Z1"),
    ({"zone_in": ["Z1", "Z2", "Z3"]}, "lives in zone Z1, Z2, or Z3"),
    ({"zone_in": []}, "meets a rule that no child can meet"),
    ({"has": "ell"}, "is learning English"),
    ({"has": "frl"}, "has a low family income"),
    ({"has": "sped"}, "gets special education"),
    ({"has": "homeless"}, "does not have a permanent home"),
    ({"has": "band"}, "has the label “band”"),
    ({"at_school": "sibling"}, "has a brother or sister at this school"),
    ({"at_school": "staff_child"}, "has a parent who works at this school"),
    ({"at_school": "legacy"}, "has the label “legacy” at this school"),
    ({"attends_in": ["oak"]}, "goes to oak now"),
    ({"sibling_placed": True}, "has a brother or sister with a new seat here"),
    ({"all": [{"has": "ell"}, {"has": "frl"}]}, "is learning English and has a low family income"),
    (
        {"any": [{"has": "band"}, {"all": [{"has": "ell"}, {"zone_in": ["Z1"]}]}]},
        "has the label “band” or (is learning English and lives in zone Z1)",
    ),
    ({"all": []}, "applies"),
    ({"any": []}, "meets a rule that no child can meet"),
    ({"not": {"everyone": True}}, "meets a rule that no child can meet"),
    ({"not": {"any": []}}, "applies"),
    ({"not": {"zone_in": ["Z1"]}}, "does not live in zone Z1"),
    ({"not": {"zone_in": ["Z1", "Z2"]}}, "does not live in zone Z1 or Z2"),
    ({"not": {"has": "ell"}}, "is not learning English"),
    ({"not": {"has": "frl"}}, "does not have a low family income"),
    ({"not": {"has": "sped"}}, "does not get special education"),
    ({"not": {"has": "homeless"}}, "has a permanent home"),
    ({"not": {"has": "band"}}, "does not have the label “band”"),
    ({"not": {"at_school": "sibling"}}, "does not have a brother or sister at this school"),
    ({"not": {"at_school": "staff"}}, "does not have a parent who works at this school"),
    ({"not": {"at_school": "legacy"}}, "does not have the label “legacy” at this school"),
    ({"not": {"attends_in": ["oak", "elm"]}}, "does not go to oak or elm now"),
    ({"not": {"sibling_placed": True}}, "does not have a brother or sister with a new seat here"),
    ({"not": {"not": {"has": "ell"}}}, "is learning English"),
    (
        {"not": {"any": [{"has": "ell"}, {"has": "frl"}]}},
        "is not learning English and does not have a low family income",
    ),
    (
        {"all": [{"zone_in": ["Z1"]}, {"not": {"all": [{"has": "ell"}, {"has": "band"}]}}]},
        "lives in zone Z1 and (is not learning English or does not have the label “band”)",
    ),
]
"""Conditions of each kind, with the words that complete `a child who`."""


def with_condition(condition: Json) -> Market:
    """A child who tries seats that are all for children who meet one condition, and then gets a seat elsewhere."""
    priority: Json = {"name": "first", "when": condition}
    reserve: Json = {"name": "reserved", "seats": 1, "when": condition, "overflow": "closed"}
    common: Document = {"grade": "KG", "seats": 2}
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r", "kind": "main"},
        "policy": {"grade_order": ["KG"]},
        "programs": [
            {**common, "id": "oak-kg", "school": "oak", "eligible": condition},
            {**common, "id": "elm-kg", "school": "elm", "priorities": [priority]},
            {**common, "id": "fir-kg", "school": "fir", "reserves": [reserve]},
        ],
        "applicants": [
            {"id": ticket, "grade": "KG", "ranking": ["oak-kg", "fir-kg", "elm-kg"]} for ticket in ("ada", "ben", "cem")
        ],
    }
    return lottery.read_market(document)
