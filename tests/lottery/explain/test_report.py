"""The report counts what the outcome says, and every share has its denominator."""

import pytest

import lottery
from lottery.cli.tables import share
from lottery.explain.report import Count, Demand, report
from worked_examples import ALL_CASES, Document, matched

SEED = bytes(32)


def test_a_small_round_is_counted_right() -> None:
    document: Document = {
        "format": "lottery-market/1",
        "round": {"id": "r", "kind": "main"},
        "programs": [
            {
                "id": "oak",
                "school": "oak",
                "grade": "KG",
                "seats": 3,
                "priorities": [{"name": "sibling", "when": {"at_school": "sibling"}}],
                "reserves": [{"name": "near", "seats": 1, "when": {"zone_in": ["Z1"]}, "overflow": "closed"}],
            },
            {"id": "elm", "school": "elm", "grade": "01", "seats": 2},
        ],
        "applicants": [
            {"id": "ada", "grade": "KG", "ranking": ["oak"], "at": {"oak": ["sibling"]}, "zones": ["Z1"]},
            {"id": "ben", "grade": "KG", "ranking": ["oak"], "at": {"oak": ["sibling"]}},
            {"id": "cem", "grade": "KG", "ranking": ["oak"], "holds": {"program": "oak"}},
            {"id": "dora", "grade": "KG", "ranking": ["oak"]},
            {"id": "eve", "grade": "01", "ranking": [], "holds": {"program": "elm"}},
            {"id": "fay", "grade": "01", "ranking": []},
        ],
    }
    market = lottery.read_market(document)

    counted = report(market, lottery.match_market(market, seed=SEED))

    assert (counted.applicants, counted.placed, counted.unplaced, counted.without_ranking) == (6, 4, 2, 2)
    assert counted.by_choice == ((1, 3), (None, 1))
    assert counted.by_grade == (Count("01", 2, 1, 0, 2, 1), Count("KG", 4, 3, 3, 3, 3))
    assert counted.by_class == (
        ("held", "general", 2),
        ("open", "sibling", 1),
        ("reserved", "sibling", 1),
    )
    assert (counted.seats, counted.filled) == (5, 4)
    assert counted.demand == (Demand("oak", 3, 3, 4, 4, 1), Demand("elm", 2, 1, 0, 0, 0))


@pytest.mark.parametrize("name", ALL_CASES)
def test_the_parts_add_up(name: str) -> None:
    market, outcome, earlier = matched(name)

    counted = report(market, outcome, seeds=earlier)

    assert sum(count for _, count in counted.by_choice) == counted.placed == len(outcome.placements)
    assert counted.placed + counted.unplaced == counted.applicants == len(market.applicants)
    assert sum(count for _, _, count in counted.by_class) == counted.placed == counted.filled
    assert sum(at.applicants for at in counted.by_grade) == counted.applicants
    assert sum(at.placed for at in counted.by_grade) == counted.placed
    assert sum(at.seats for at in counted.demand) == counted.seats


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [(0, 0, "-"), (0, 7, "0.0 %"), (7, 7, "100.0 %"), (1, 3, "33.3 %"), (2, 3, "66.7 %"), (1, 2000, "0.1 %")],
)
def test_a_share_is_rounded_to_one_digit(part: int, whole: int, said: str) -> None:
    assert share(part, whole) == said
