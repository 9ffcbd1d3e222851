"""What others would use for the same problem: the loop of the textbook, and a package for matching games.

Both know one strict order of applicants for each program and no seat groups, so they are held against markets without
reserves, and must place everybody as the fast engine does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappush, heappushpop
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Protocol, cast

import numpy as np

from benchmarks.uniform import FLAGS, preferences
from lottery.fast.columns import NONE, Int32s, MarketInColumns
from lottery.fast.compile import Compiled
from lottery.fast.engine import Matched, Ranks
from lottery.market.rules import Has


class Differs(AssertionError):
    """A peer and the fast engine placed somebody differently, so that one of them is wrong."""


@dataclass(frozen=True, slots=True)
class Lists:
    """A flat market as plain lists: rankings, each program's classes by flag, everybody's flag and rank, seats."""

    rankings: Sequence[Sequence[int]]
    classes: Sequence[Sequence[int]]
    flags: Sequence[int]
    ranks: Sequence[int]
    seats: Sequence[int]


def as_lists(market: MarketInColumns, ranks: Ranks) -> Lists:
    """Return a flat market without reserves as plain lists."""
    return Lists(
        rankings=preferences(market).tolist(),
        classes=[
            [[priority.when for priority in program.priorities].index(Has(flag)) for flag in FLAGS]
            for program in market.programs
        ],
        flags=market.applicants.flags.codes.tolist(),
        ranks=ranks.for_all.tolist(),
        seats=[program.seats for program in market.programs],
    )


def heap_loop(lists: Lists) -> Sequence[Sequence[tuple[int, int, int]]]:
    """Run deferred acceptance as a textbook would in Python; return each program's heap, applicants last."""
    admitted: list[list[tuple[int, int, int]]] = [[] for _ in lists.seats]
    programs_left = [iter(ranking) for ranking in lists.rankings]
    for first in range(len(lists.rankings)):
        applicant = first
        while (program := next(programs_left[applicant], None)) is not None:
            proposal = (-lists.classes[program][lists.flags[applicant]], -lists.ranks[applicant], applicant)
            if len(admitted[program]) < lists.seats[program]:
                heappush(admitted[program], proposal)
                break
            applicant = heappushpop(admitted[program], proposal)[-1]
    return admitted


class Player(Protocol):
    """A player of a game of `matching`."""

    @property
    def name(self) -> int:
        """Return what the player was called in the dictionaries."""


class Game(Protocol):
    """A game of `matching`."""

    def solve(self, optimal: str) -> Mapping[Player, Sequence[Player]]:
        """Return each hospital's residents."""


class Games(Protocol):
    """The class `matching.games.HospitalResident`."""

    def create_from_dictionaries(
        self,
        resident_prefs: Mapping[int, Sequence[int]],
        hospital_prefs: Mapping[int, Sequence[int]],
        capacities: Mapping[int, int],
        /,
    ) -> Game:
        """Make a game."""


def matching_here() -> str | None:
    """Return the version of the package `matching`, if it is installed."""
    return version("matching") if find_spec("matching") else None


def game_of(lists: Lists) -> Game:
    """Make a hospital-resident game of a market: each program ranks those who rank it, by class, then by rank."""
    applicants_at: list[list[int]] = [[] for _ in lists.seats]
    for applicant, ranking in enumerate(lists.rankings):
        for program in ranking:
            applicants_at[program].append(applicant)
    orders = {
        program: sorted(its, key=lambda one: (lists.classes[program][lists.flags[one]], lists.ranks[one]))
        for program, its in enumerate(applicants_at)
    }
    games = cast("Games", import_module("matching.games").HospitalResident)
    return games.create_from_dictionaries(dict(enumerate(lists.rankings)), orders, dict(enumerate(lists.seats)))


def play(game: Game) -> Sequence[Sequence[int]]:
    """Solve a game; return each program's applicants."""
    matched = game.solve("resident")
    placed = {hospital.name: [resident.name for resident in residents] for hospital, residents in matched.items()}
    return [placed[program] for program in sorted(placed)]


def refuse_difference(compiled: Compiled, matched: Matched, placed: Iterable[Iterable[int]]) -> None:
    """See that a peer placed everybody as the fast engine did; `placed` are each program's applicants.

    Raises:
        Differs: if it did not.
    """
    program_of: Int32s = np.full(matched.group_of.size, NONE, np.int32)
    for program, applicants in enumerate(placed):
        program_of[list(applicants)] = program
    ours = np.where(matched.group_of == NONE, np.int32(NONE), compiled.program_of[matched.group_of])
    different = int((program_of != ours).sum())
    if different:
        raise Differs(f"{different} of {ours.size} applicants are placed differently")
