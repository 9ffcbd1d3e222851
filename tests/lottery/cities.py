"""Invented markets that tests look at: a small city, a large one with its summer, and a flat market."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import cast

import lottery
from lottery.generate.generate import Generated, Plan, Shape, generate, generate_summer
from lottery.market.canonical import Json, canonical_line
from oracle import Applicant, Market, Program

SMALL = Plan(
    applicants=40,
    programs=None,
    schools=12,
    choices=None,
    shape=Shape.CITY,
    reserves=True,
    siblings=True,
    seed=2027,
)
LARGE = replace(SMALL, applicants=3_000, schools=60)
FLAT = replace(SMALL, applicants=2_000, schools=None, programs=40, shape=Shape.UNIFORM)


def document(generated: Generated) -> dict[str, Json]:
    return {**generated.head, "applicants": list(generated.applicants)}


def sha256(generated: Generated) -> str:
    return hashlib.sha256(canonical_line(document(generated)).encode()).hexdigest()


def market(plan: Plan) -> Market:
    return cast("Market", document(generate(plan)))


def outcome_of(made: Json) -> dict[str, Json]:
    return lottery.match_market(lottery.read_market(made), seed=b"s" * 32).document()


@cache
def large() -> Market:
    return market(LARGE)


@cache
def large_outcome() -> Mapping[str, Json]:
    return outcome_of(document(generate(LARGE)))


@cache
def summer() -> Market:
    return cast("Market", document(generate_summer(LARGE, large_outcome())))


def placements() -> dict[str, tuple[str, str]]:
    """Return where everybody was placed in the large city's main round: program and group."""
    found = cast("list[dict[str, str]]", large_outcome()["placements"])
    return {each["applicant"]: (each["program"], each["group"]) for each in found}


def share(applicants: list[Applicant], flag: str) -> float:
    return sum(flag in each["flags"] for each in applicants) / len(applicants)


def names(program: Program) -> list[str]:
    return [each["name"] for each in program["priorities"]]


def households(made: Market) -> list[list[Applicant]]:
    members: dict[str, list[Applicant]] = defaultdict(list)
    for applicant in made["applicants"]:
        if household := applicant.get("household"):
            members[household].append(applicant)
    return list(members.values())
