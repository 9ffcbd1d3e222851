"""Every worked case, by both engines: from the literature, by hand, or by a separate program."""

import json

import pytest

import lottery
from worked_examples import ALL_CASES, case, matched


@pytest.mark.parametrize("name", ALL_CASES)
def test_both_engines_give_what_the_case_expects(name: str) -> None:
    market, outcome, earlier = matched(name)
    again = lottery.match_market(market, seed=bytes.fromhex(outcome.seed), seeds=earlier, engine="reference")

    assert outcome.to_bytes() == again.to_bytes()
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

    for name in ("fast", "reference"):
        assert lottery.match_market(market, seed=bytes(32), engine=name) == outcome
    with pytest.raises(ValueError, match="'steam' is not a valid Engine"):
        lottery.match_market(market, seed=bytes(32), engine="steam")
