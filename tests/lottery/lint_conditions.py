"""Conditions that tests of lint share."""

import itertools
from collections.abc import Iterator, Sequence

from lottery.market.model import Applicant
from markets import (
    ELSEWHERE,
    FACTS,
    FLAGS,
    SCHOOLS,
    ZONES,
)

HERE = SCHOOLS[0]


def subsets(words: Sequence[str]) -> Iterator[frozenset[str]]:
    for size in range(len(words) + 1):
        yield from map(frozenset, itertools.combinations(words, size))


def everybody() -> Iterator[Applicant]:
    """All children that could be, as far as conditions of the tests can tell them apart."""
    for zones, flags, facts in itertools.product(subsets(ZONES), subsets(FLAGS), subsets(FACTS)):
        for attends in (None, ELSEWHERE, *SCHOOLS):
            yield Applicant(
                "a",
                "KG",
                (),
                zones,
                flags,
                {HERE: facts},
                attends,
                None,
                together=False,
                late=False,
                holds=None,
                drawn_in="r",
            )


EVERYBODY = tuple(everybody())
