"""Families can read every explanation: US school grade 8 at most, and no sentence of more than 25 words."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

import lottery
from explained_markets import (
    CONDITIONS,
    everywhere,
    explainer,
    explainer_of_wrong_outcome,
    later_rounds,
    schools_that_left,
    seats_left,
    twins,
    with_condition,
)
from lottery.explain import sentences
from lottery.explain.explainer import Explainer, Extract
from lottery.explain.facts import Explanation
from lottery.explain.language import Language
from lottery.explain.sentences import explanation_in_words
from lottery.explain.small_groups import without_small_groups
from lottery.generate.generate import Plan, Shape, generate
from lottery.market.canonical import Json
from lottery.market.model import Market
from reading_grade import too_hard
from worked_examples import ALL_CASES, matched


class Recorded(Language):
    """English that remembers which sentences were said."""

    def __init__(self) -> None:
        super().__init__("en")
        self.said: set[str] = set()

    def say(self, sentence: str, **values: str | int) -> str:
        self.said.add(sentence)
        return super().say(sentence, **values)

    def count(self, one: str, many: str, number: int, **values: str | int) -> str:
        self.said.add(one)
        return super().count(one, many, number, **values)


def explanations_of(market: Market, explained: Explainer) -> Iterator[Explanation]:
    for applicant in market.applicants:
        yield explained.explain(applicant.id)


def of_decisions() -> Iterator[Explanation]:
    """Explanations with every decision, and with one that does not follow from the rules."""
    market = everywhere()
    yield from explanations_of(market, explainer(market))
    yield from explanations_of(market, explainer_of_wrong_outcome(market))
    yield from explanations_of(twins(), explainer(twins()))
    yield from explanations_of(seats_left(), explainer(seats_left()))
    market = later_rounds()
    yield from explanations_of(market, explainer(market))
    for explanation in explanations_of(market, explainer(market)):
        yield without_small_groups(explanation, large=(), waiting=())
    yield from (explanation for explanation, _ in schools_that_left())
    yield from (explanation for explanation, _ in schools_that_left(given_up=["left"]))


def of_conditions() -> Iterator[Explanation]:
    for condition, _ in CONDITIONS:
        market = with_condition(condition)
        yield from explanations_of(market, explainer(market))


def of_worked_cases() -> Iterator[Explanation]:
    for name in ALL_CASES:
        market, outcome, seeds = matched(name)
        yield from explanations_of(market, Explainer(Extract.whole(market, outcome), seeds=seeds))


def of_a_city() -> Iterator[Explanation]:
    plan = Plan(
        applicants=200,
        programs=None,
        schools=8,
        choices=None,
        shape=Shape.CITY,
        reserves=True,
        siblings=True,
        seed=1,
    )
    made = generate(plan)
    document: Json = {**made.head, "applicants": list(made.applicants)}
    market = lottery.read_market(document)
    yield from explanations_of(market, explainer(market))


GROUPS = {
    "decisions": of_decisions,
    "conditions": of_conditions,
    "worked cases": of_worked_cases,
    "a city": of_a_city,
}


@cache
def explained(group: str) -> tuple[list[str], frozenset[str]]:
    """Return the whole explanations of a group, and the sentences that they are made of."""
    english = Recorded()
    texts = ["\n".join(explanation_in_words(explanation, english)) for explanation in GROUPS[group]()]
    return texts, frozenset(english.said)


@pytest.mark.parametrize("group", GROUPS)
def test_every_whole_explanation_is_easy_to_read(group: str) -> None:
    texts, _ = explained(group)

    assert texts
    assert {text: faults for text in texts if (faults := too_hard(text))} == {}


def test_these_explanations_have_every_sentence_that_there_is() -> None:
    folder = Path(sentences.__file__).parent
    found = extract_from_dir(str(folder), [("**.py", "python")], keywords={"say": None, "count": (1, 2)})
    known = {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}

    assert known - frozenset().union(*(explained(group)[1] for group in GROUPS)) == set()
