"""The oracle gives every worked case, so what it says of other markets can be held against the engines."""

import json
from pathlib import Path
from typing import cast

import pytest

import oracle
from lottery.market.canonical import Json

CASES = sorted(Path(__file__).parents[1].joinpath("cases").glob("*.json"))


def case_parts(path: Path) -> dict[str, Json]:
    return cast("dict[str, Json]", json.loads(path.read_text(encoding="utf-8")))


def seed_of(case: dict[str, Json]) -> bytes:
    return bytes.fromhex(cast("str", case.get("seed", "00" * 32)))


def earlier_seeds(case: dict[str, Json]) -> dict[str, bytes]:
    return {name: bytes.fromhex(seed) for name, seed in cast("dict[str, str]", case.get("seeds", {})).items()}


def placed_programs(outcome: dict[str, Json]) -> dict[str, str | None]:
    placements = cast("list[dict[str, str]]", outcome["placements"])
    placed: dict[str, str | None] = dict.fromkeys(cast("list[str]", outcome["unplaced"]))
    return placed | {placement["applicant"]: placement["program"] for placement in placements}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_oracle_gives_the_worked_case(path: Path) -> None:
    case = case_parts(path)
    outcome = oracle.outcome(case["market"], seed=seed_of(case), seeds=earlier_seeds(case))
    expected = case.get("expected")
    if expected is None:
        assert outcome == case["outcome"]
    else:
        assert placed_programs(outcome) == expected


def test_there_are_worked_cases_of_both_kinds() -> None:
    kinds = [("expected" in case, "outcome" in case) for case in map(case_parts, CASES)]
    assert set(kinds) == {(True, False), (False, True)}
    assert len(kinds) >= 20
