"""Reserves without effect because of their precedence, by simulated draws (Dur, Kominers, Pathak & Sönmez 2018).

Boston filled half of each school's seats with walk-zone children first. These children had good numbers and would have
got seats anyway, so the reserve had almost no effect. Filled after the open seats, the reserve would have had one.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from lottery.lint.applicants import Look
from lottery.lint.findings import Basis, Check, Finding, Weight, counted
from lottery.lint.json_paths import reserve_path
from lottery.lint.reserves import is_like_open
from lottery.market.model import Applicant, HeldSeat, Market
from lottery.market.rules import OPEN, Program, Reserve, depends_on_siblings
from lottery.progress import Track, untracked

SEED = hashlib.sha256(b"lottery lint").digest()
"""Gives the same findings for the same market."""

MAX_CHANGES = 20
"""Simulated changes of each kind; with more reserves in a grade, one change covers several reserves."""

IDLE_PART = 4
"""A reserve is idle if it adds at most one in this many of the seats that it would add when filled last."""


class Watched(NamedTuple):
    """Children of a program whose seats lint counts."""

    program: str
    tickets: frozenset[str]


class SeatsTaken(Protocol):
    """Counts seats over many draws; the draws do not depend on the market's rules."""

    def __call__(self, market: Market, watched: Sequence[Watched], *, draws: int, seed: bytes) -> Sequence[int]:
        """Return, for each watched group, how many seats its children take over all draws."""


def seats_taken(market: Market, watched: Sequence[Watched], *, draws: int, seed: bytes) -> Sequence[int]:
    """Count with the fast engine, which loads only when needed."""
    import numpy as np

    from lottery.fast.columns import in_columns
    from lottery.simulate.simulation import prepare

    simulation = prepare(in_columns(market), seed=seed)
    applicants = simulation.compiled.market.applicants
    places = {program.id: place for place, program in enumerate(simulation.compiled.market.programs)}
    indexes = {ticket: index for index, ticket in enumerate(applicants.tickets)}
    children = [np.array([indexes[ticket] for ticket in one.tickets], np.int64) for one in watched]
    taken = [0] * len(watched)
    for draw in range(draws):
        placed_at = simulation.placed_at(simulation.match(draw))
        for number, one in enumerate(watched):
            taken[number] += int((placed_at[children[number]] == places[one.program]).sum())
    return taken


@dataclass(frozen=True, slots=True)
class Suspect:
    """A reserve that may have no effect."""

    look: Look
    reserve: Reserve

    def watched(self) -> Watched:
        """Return the children who meet the reserve's condition."""
        askers = self.look.askers
        met = self.look.considered & askers.cases.meeting(self.reserve.when)
        return Watched(self.look.program.id, frozenset(askers.tickets(askers.kinds_in(met))))


class Seats(NamedTuple):
    """Seats that a reserve's children take over all draws, under the rules and under two changes."""

    as_is: int
    without: int
    filled_last: int

    def is_idle(self, draws: int) -> bool:
        """Return whether the reserve adds almost no seats now, but would add a seat or more when filled last."""
        could_add = self.filled_last - self.without
        return could_add >= draws and (self.as_is - self.without) * IDLE_PART <= could_add


@dataclass(frozen=True, slots=True)
class Measured:
    """The counts for a reserve; `others` counts reserves of the same grade that changed at the same time."""

    suspect: Suspect
    seats: Seats
    others: int


def idle_reserves(
    looks: Sequence[Look], *, draws: int, count: SeatsTaken = seats_taken, track: Track = untracked
) -> Iterator[Finding]:
    """Find reserves before `open` that add almost no seats for their children, but would add some when filled last.

    Held seats of a backfill round come from past draws, so this check skips backfill rounds.
    """
    suspects = [suspect for look in looks for suspect in _suspects(look)]
    if not suspects or draws == 0:
        return
    idle: defaultdict[tuple[str, str], list[Measured]] = defaultdict(list)
    for measured in _simulate(looks[0].market, suspects, draws=draws, count=count, track=track):
        if measured.seats.is_idle(draws):
            suspect = measured.suspect
            idle[suspect.look.program.school, suspect.reserve.name].append(measured)
    for of_school in idle.values():
        yield from _idle(of_school, draws)


def _suspects(look: Look) -> Iterator[Suspect]:
    if look.market.is_backfill:
        return
    precedence, askers = look.program.precedence, look.askers
    asking = askers.count(askers.kinds_in(look.considered))
    for reserve in look.program.reserves:
        seats = look.seats[reserve.name]
        suspect = Suspect(look, reserve)
        if (
            not look.considered & ~askers.cases.meeting(reserve.admits)
            and precedence.index(reserve.name) < precedence.index(OPEN)
            and seats > 0
            and look.seats[OPEN] > 0
            and asking > look.program.seats
            and not depends_on_siblings(reserve.when)
            and seats < len(suspect.watched().tickets) < asking
            and not is_like_open(look, reserve, by_logic=False)
        ):
            yield suspect


def _in_turns(suspects: Iterable[Suspect]) -> Sequence[Sequence[Suspect]]:
    """Split the reserves into changes, with as few reserves of one grade as possible in one change.

    Grades share no seats, so changes in several grades at once count the same as single changes; almost the same when
    siblings matter.
    """
    of_grade: defaultdict[str, list[Suspect]] = defaultdict(list)
    for suspect in suspects:
        of_grade[suspect.look.program.grade].append(suspect)
    turns: defaultdict[int, list[Suspect]] = defaultdict(list)
    for alike in of_grade.values():
        for place, suspect in enumerate(alike):
            turns[place % MAX_CHANGES].append(suspect)
    return list(turns.values())


def _simulate(
    market: Market, suspects: Sequence[Suspect], *, draws: int, count: SeatsTaken, track: Track
) -> Iterator[Measured]:
    changes = _in_turns(suspects)
    as_is = dict(zip(map(id, suspects), _count(market, suspects, draws, count), strict=True))
    for turn in track(changes, "simulating", len(changes)):
        of_grade = Counter(suspect.look.program.grade for suspect in turn)
        without = _count(without_reserves(market, turn), turn, draws, count)
        filled_last = _count(with_reserves_last(market, turn), turn, draws, count)
        for suspect, *seats in zip(turn, without, filled_last, strict=True):
            others = of_grade[suspect.look.program.grade] - 1
            yield Measured(suspect, Seats(as_is[id(suspect)], *seats), others)


def _count(market: Market, suspects: Sequence[Suspect], draws: int, count: SeatsTaken) -> Sequence[int]:
    return count(market, [suspect.watched() for suspect in suspects], draws=draws, seed=SEED)


# ---- markets under other rules


def without_reserves(market: Market, suspects: Iterable[Suspect]) -> Market:
    """Return the market with the seats of some reserves as open seats, at most one reserve of each program."""
    gone = {suspect.look.program.id: suspect.reserve.name for suspect in suspects}
    applicants = tuple(_holding_open(applicant, gone) for applicant in market.applicants)
    programs = tuple(
        _without(program, gone[program.id]) if program.id in gone else program for program in market.programs
    )
    return replace(market, programs=programs, applicants=applicants)


def _without(program: Program, gone: str) -> Program:
    reserves = tuple(reserve for reserve in program.reserves if reserve.name != gone)
    return replace(program, reserves=reserves, precedence=tuple(name for name in program.precedence if name != gone))


def _holding_open(applicant: Applicant, gone: Mapping[str, str]) -> Applicant:
    held = applicant.holds
    if held is None or gone.get(held.program) != held.group:
        return applicant
    return replace(applicant, holds=HeldSeat(held.program, OPEN))


def with_reserves_last(market: Market, suspects: Iterable[Suspect]) -> Market:
    """Return the market with some reserves filled after all other groups, at most one reserve of each program."""
    last = {suspect.look.program.id: suspect.reserve.name for suspect in suspects}
    return replace(
        market,
        programs=tuple(
            replace(program, precedence=(*(name for name in program.precedence if name != moved), moved))
            if (moved := last.get(program.id)) is not None
            else program
            for program in market.programs
        ),
    )


# ---- in words


def _idle(of_school: Sequence[Measured], draws: int) -> Iterator[Finding]:
    """Add up the seats of a reserve that is idle at several programs of a school."""
    as_is, without, filled_last = (
        _average(sum(seats), draws) for seats in zip(*(measured.seats for measured in of_school), strict=True)
    )
    places = sum(measured.suspect.look.program.seats for measured in of_school)
    where = f" of these {len(of_school)} programs together" if len(of_school) > 1 else ""
    others = max(measured.others for measured in of_school)
    alone = (
        f" (changed together with up to {counted(others, 'other reserve', 'other reserves')} of the same grade)"
        if others
        else ""
    )
    for measured in of_school:
        look, reserve = measured.suspect.look, measured.suspect.reserve
        yield look.finding(
            Check.RESERVE_IDLE,
            reserve_path(look.program, look.path, reserve),
            weight=Weight.CANNOT,
            basis=Basis.SIMULATION,
            group=reserve.name,
            wrong=f"In {draws:,} simulated draws, children who meet the condition get {as_is} of the {places:,} "
            f"seats{where} on average. They would get {without} without the reserve, and {filled_last} with the "
            "reserve "
            f"filled last{alone}. Filled before “{OPEN}”, the reserve goes to children who would get a seat anyway.",
            change=f"Put “{reserve.name}” after “{OPEN}” in `precedence` if these children must get more seats. Change "
            "nothing if the reserve only sets a minimum.",
        )


def _average(total: int, draws: int) -> str:
    tenths = (total * 20 + draws) // (draws * 2)
    return f"{tenths // 10:,}.{tenths % 10}"
