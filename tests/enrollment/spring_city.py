"""The city of the seats' tests, made once for each order in which Charter fills, and copied for each test."""

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
    """The city as every example finds it."""

    server: str
    database: str
    tokens: Mapping[str, str]


@pytest.fixture(scope="module")
def springs(server: str) -> Iterator[Callable[[str], Spring]]:
    """Return the cities by the order in which Charter fills; each is made once, when it is first asked for."""
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
