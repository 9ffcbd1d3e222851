"""Every worked case, by our engine: from the literature, by hand, or by a separate program."""

import json

import pytest

import lottery
from worked import ALL_CASES, case, matched


@pytest.mark.parametrize("name", ALL_CASES)
def test_the_engine_gives_what_the_case_expects(name: str) -> None:
    _, outcome, _ = matched(name)

    document = json.loads(outcome.to_bytes())
    expected = case(name).get("expected")
    if isinstance(expected, dict):
        seats = {placement["applicant"]: placement["program"] for placement in document["placements"]}
        assert seats | dict.fromkeys(document["unplaced"]) == expected
    else:
        whole = case(name)["outcome"]
        assert isinstance(whole, dict)
        assert {part: document[part] for part in whole} == whole


def test_an_engine_is_asked_for_by_name() -> None:
    market, outcome, _ = matched("zero_capacity")

    assert lottery.match(market, seed=bytes(32), engine="reference") == outcome
    with pytest.raises(ValueError, match="'steam' is not a valid Engine"):
        lottery.match(market, seed=bytes(32), engine="steam")
