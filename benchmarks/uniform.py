"""Flat markets built as columns at once, to measure a solve alone: no file, no documents, any size in seconds.

They have the shape of `lottery generate --shape uniform` and `skewed`: one grade, one program for a hundred applicants,
seats for nine in ten, ten choices each, and one flag of four, which every program orders in its own way. That is the
hard case: where all are liked alike, chains of refusals are longest.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from lottery.fast.columns import NONE, Coded, Columns, Int32s, MarketInColumns
from lottery.market.model import Applicant, Kind, Market, Policy, Round
from lottery.market.rules import EVERYONE, OPEN, BackfillRule, Has, Overflow, PriorityClass, Program, Reserve, Share

APPLICANTS_A_PROGRAM, SEATS, CHOICES = 100, 90, 10
FLAGS = ("c0", "c1", "c2", "c3")
GRADE, ROUND = "KG", "2027-main"
RESERVED = 20
"""Percent of the seats, at every second program."""


class Liked(Enum):
    """How often programs are ranked: all alike, or the n-th best liked an n-th as often as the best (Zipf's law)."""

    ALIKE = "alike"
    BY_ZIPF = "by Zipf's law"


class Reserved(Enum):
    """Whether there are reserves: none, or at half the programs, before `open` at one and after it at the next."""

    NOTHING = "nothing"
    AT_HALF = "at half the programs"


def flat_market(
    applicants: int, *, liked: Liked = Liked.ALIKE, reserved: Reserved = Reserved.NOTHING, seed: int = 1
) -> MarketInColumns:
    """Make a market; the same arguments give the same one.

    Its digest is no true one: nothing that is measured on columns looks at it.
    """
    dice = np.random.default_rng(seed)
    ranking = _rankings(dice, applicants, liked)
    flags = dice.integers(0, len(FLAGS), applicants, np.int32)
    programs = tuple(_programs(dice, applicants // APPLICANTS_A_PROGRAM, reserved))
    columns = _columns([f"{number:08x}" for number in range(applicants)], ranking, flags)
    return MarketInColumns(Round(ROUND, Kind.MAIN), Policy(), programs, columns, "sha256:")


def as_market(market: MarketInColumns) -> Market:
    """Return a flat market as the reference engine takes it."""
    columns, ids = market.applicants, [program.id for program in market.programs]
    sets = [frozenset((flag,)) for flag in FLAGS]
    nothing: frozenset[str] = frozenset()
    applicants = tuple(
        Applicant(
            id=ticket,
            grade=GRADE,
            ranking=tuple(map(ids.__getitem__, ranked)),
            zones=nothing,
            flags=sets[flag],
            at={},
            attends=None,
            household=None,
            together=False,
            late=False,
            holds=None,
            drawn_in=ROUND,
        )
        for ticket, ranked, flag in zip(
            columns.tickets, preferences(market).tolist(), columns.flags.codes.tolist(), strict=True
        )
    )
    return Market(market.round, market.policy, market.programs, applicants)


def preferences(market: MarketInColumns) -> Int32s:
    """Return the rankings of a flat market, one row of programs for each applicant."""
    return market.applicants.ranking.reshape(-1, CHOICES)


def _rankings(dice: np.random.Generator, applicants: int, liked: Liked) -> Int32s:
    """Draw each choice until it is none of those before it."""
    programs = applicants // APPLICANTS_A_PROGRAM
    places = dice.permutation(programs) + 1
    reach = np.cumsum(1 / places if liked is Liked.BY_ZIPF else np.ones(programs))
    ranking = np.empty((applicants, CHOICES), np.int32)
    for choice in range(CHOICES):
        again = np.arange(applicants)
        while again.size:
            drawn = np.searchsorted(reach, dice.random(again.size) * reach[-1], side="right").astype(np.int32)
            ranking[again, choice] = np.minimum(drawn, programs - 1)
            again = again[(ranking[again, :choice] == ranking[again, choice, None]).any(axis=1)]
    return ranking


def _programs(dice: np.random.Generator, programs: int, reserved: Reserved) -> Iterator[Program]:
    orders = list(permutations(FLAGS))
    for number in range(programs):
        order = orders[int(dice.integers(len(orders)))]
        classes = tuple(PriorityClass(flag, Has(flag)) for flag in order)
        groups = _groups(number) if reserved is Reserved.AT_HALF else (OPEN,)
        reserves = tuple(
            Reserve(name, Share(RESERVED), Has(name), Overflow.OPEN, classes) for name in groups if name != OPEN
        )
        name = f"p{number:06}"
        yield Program(name, name, GRADE, SEATS, EVERYONE, classes, reserves, groups, None, BackfillRule())


def _groups(number: int) -> tuple[str, ...]:
    """Return a program's groups in precedence order: a reserve for one flag first, or last, or none."""
    flag = FLAGS[number // 4 % len(FLAGS)]
    return [(flag, OPEN), (OPEN,), (OPEN, flag), (OPEN,)][number % 4]


def _columns(tickets: Sequence[str], ranking: Int32s, flags: Int32s) -> Columns:
    nobody, everybody = np.full(len(tickets), NONE, np.int32), np.zeros(len(tickets), np.int32)
    no_rows: Int32s = np.empty(0, np.int32)
    no: NDArray[np.bool_] = np.zeros(len(tickets), np.bool_)
    return Columns(
        tickets=tickets,
        ranking_start=np.arange(0, ranking.size + 1, CHOICES, dtype=np.int64),
        ranking=ranking.reshape(-1),
        grade=Coded((GRADE,), everybody),
        zones=Coded(((),), everybody),
        flags=Coded(tuple((flag,) for flag in FLAGS), flags),
        at_applicant=no_rows,
        at_school=Coded((), no_rows),
        at_facts=Coded((), no_rows),
        attends=Coded((), nobody),
        household=Coded((), nobody),
        drawn_in=Coded((ROUND,), everybody),
        together=no,
        late=no,
        holds_program=nobody,
        holds_group=nobody,
    )
