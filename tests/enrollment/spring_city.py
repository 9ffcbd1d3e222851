"""The city of the tests of seats, made once for each backfill order of Charter, and copied for each test."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache

import pytest

from databases import TEMPLATE, new_database
from summer_city import (
    Summer,
    another_summer,
    charter_rules,
    make_spring,
)


@dataclass(frozen=True, slots=True)
class Spring:
    """The city at the start of every test."""

    server: str
    database: str
    tokens: Mapping[str, str]


@pytest.fixture(scope="module")
def springs(server: str) -> Iterator[Callable[[str], Spring]]:
    """Return the city by Charter's backfill order. Each city is made once, when a test first needs it."""
    with ExitStack() as made:

        @cache
        def spring(order: str) -> Spring:
            database = made.enter_context(new_database(server, TEMPLATE))
            return Spring(server, database, make_spring(database, charter_rules(order)))

        yield spring


@pytest.fixture
def summer(springs: Callable[[str], Spring]) -> Iterator[Summer]:
    spring = springs("reverse")
    with another_summer(spring.server, spring.database, spring.tokens) as opened:
        yield opened
