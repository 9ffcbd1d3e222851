"""A condition in words completes the phrase `a child who`."""

import pytest

import lottery
from explained_markets import CONDITIONS
from lottery.explain.conditions import condition_in_words
from lottery.explain.language import Language
from lottery.market.canonical import Json
from lottery.market.rules import Condition

ENGLISH = Language("en")


def condition(document: Json) -> Condition:
    program: Json = {"id": "p", "school": "p", "grade": "KG", "seats": 1, "eligible": document}
    market = lottery.read_market(
        {
            "format": "lottery-market/1",
            "round": {"id": "r", "kind": "main"},
            "policy": {"grade_order": ["KG"]},
            "programs": [program],
            "applicants": [],
        }
    )
    return market.programs[0].eligible


@pytest.mark.parametrize(("document", "words"), CONDITIONS, ids=[words for _, words in CONDITIONS])
def test_a_condition_reads_as_a_school_would_say_it(document: Json, words: str) -> None:
    assert condition_in_words(condition(document), ENGLISH) == words
