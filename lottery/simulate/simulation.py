"""Many draws of one market: applicants' chances, and how programs fill (docs/reference/specification.md, section 10).

Simulated draws are not official draws. Their numbers come from Philox, a counter-based generator (Salmon, Moraes, Dror
& Shaw 2011), keyed by seed and draw: draw n is the same on any worker, and draws do not depend on each other.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lottery.fast import counts
from lottery.fast.columns import NONE, Int32s, Int64s, MarketInColumns, Truths, coded
from lottery.fast.compile import Compiled, compile_market
from lottery.fast.engine import MAX_STANDING_BITS, Matched, bits_without_rank, solve
from lottery.fast.number_sources import OwnNumbers, Source
from lottery.fast.ranking_loops import ranked_places
from lottery.fast.ranks import NumberWords, lottery_numbers, ranks_of, subjects_of
from lottery.match.lottery_numbers import ONE_FOR_ALL, SEED_BYTES, UnusableSeed
from lottery.match.reference import NO_SEEDS
from lottery.progress import Track, untracked
from lottery.simulate.parallel import count_draws

LABEL = b"enroll-lottery/v1/simulation\0"
RANK_BITS = 31
"""Bits of a simulated number. One pair in two billion is equal; the applicants' ids decide then."""


@dataclass(frozen=True, slots=True)
class Seats:
    """Seats in one match, or sums of them.

    `of_class` has one row of classes for each seat group; `meeting` has for each group the seats of its program,
    whatever their own group, whose holders meet the group's condition.
    """

    of_class: Int64s
    meeting: Int64s

    def __add__(self, other: "Seats") -> "Seats":
        """Add up."""
        return Seats(self.of_class + other.of_class, self.meeting + other.meeting)

    def squared(self) -> "Seats":
        """Return the square of each number."""
        return Seats(self.of_class * self.of_class, self.meeting * self.meeting)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of some draws of one market; tallies of different draws add up.

    `times` says for each place in `market.applicants.ranking` in how many draws the applicant was placed there,
    `times_unranked` the same for held seats that were not ranked. `seats` are sums over draws, `squares` of squares.
    """

    draws: int
    times: Int32s
    times_unranked: Int32s
    seats: Seats
    squares: Seats

    def __add__(self, other: "Tally") -> "Tally":
        """Return the tally of the draws of both."""
        return Tally(
            self.draws + other.draws,
            self.times + other.times,
            self.times_unranked + other.times_unranked,
            self.seats + other.seats,
            self.squares + other.squares,
        )


@dataclass(frozen=True, slots=True)
class Simulation:
    """A compiled market with its dice: everything that a worker needs."""

    compiled: Compiled
    dice: "Dice"

    def match(self, draw: int) -> Matched:
        """Match the market on one draw."""
        return solve(self.compiled, self.dice.draw(draw))

    def tally(self, draws: Iterable[int]) -> Tally:
        """Match the market on these draws, and count."""
        applicants, program_of = self.compiled.market.applicants, self.compiled.program_of
        times, unranked = np.zeros(applicants.ranking.size, np.int32), np.zeros(len(applicants), np.int32)
        count, seats, squares = 0, self.no_seats(), self.no_seats()
        for draw in draws:
            matched = self.match(draw)
            places = ranked_places(applicants.ranking_start, applicants.ranking, program_of, matched.group_of)
            times[places[places != NONE]] += 1
            unranked += (places == NONE) & (matched.group_of != NONE)
            filled = self.seats_in(matched)
            count, seats, squares = count + 1, seats + filled, squares + filled.squared()
        return Tally(count, times, unranked, seats, squares)

    def placed_at(self, matched: Matched) -> Int32s:
        """Return the program at which each applicant is placed, or NONE."""
        placed = matched.group_of != NONE
        programs = np.full(placed.size, NONE, np.int32)
        programs[placed] = self.compiled.program_of[matched.group_of[placed]]
        return programs

    def no_seats(self) -> Seats:
        """Return counts of no match."""
        groups, statics = len(self.compiled.seats), self.compiled.candidates.statics
        classes = 1 + max((static.priority for static in statics), default=0)
        return Seats(np.zeros((groups, classes), np.int64), np.zeros(groups, np.int64))

    def seats_in(self, matched: Matched) -> Seats:
        """Count the seats of one match."""
        return Seats(self.seats_by_class(matched), self.meeting(matched))

    def seats_by_class(self, matched: Matched) -> Int64s:
        """Count the seats of one match: one row of classes for each seat group."""
        compiled, candidates, seats = self.compiled, self.compiled.candidates, self.no_seats().of_class
        counts.count_classes(
            matched.group_of,
            compiled.program_of,
            compiled.entries,
            candidates.words,
            candidates.words_sibling_placed,
            matched.sibling_placed,
            candidates.group_bits,
            np.array([static.priority for static in candidates.statics], np.int32),
            seats,
        )
        return seats

    def meeting(self, matched: Matched, *, of: "Simulation | None" = None) -> Int64s:
        """Count for each group of this market the seats of its program whose holders meet the group's condition.

        `matched` is a match of this market, or of another one with the same programs and rankings.
        """
        compiled, seats = self.compiled, np.zeros(len(self.compiled.seats), np.int64)
        sibling_placed = matched.sibling_placed[: None if compiled.siblings_matter else 0]
        counts.count_meeting(
            (of or self).placed_at(matched),
            compiled.entries,
            compiled.candidates.meets,
            compiled.candidates.meets_sibling_placed,
            sibling_placed,
            seats,
        )
        return seats


@dataclass(frozen=True, slots=True)
class Simulated:
    """What many draws of a market gave."""

    compiled: Compiled
    tally: Tally

    @property
    def market(self) -> MarketInColumns:
        """Return the market."""
        return self.compiled.market


def prepare(market: MarketInColumns, *, seed: bytes, seeds: Mapping[str, bytes] = NO_SEEDS) -> Simulation:
    """Compile a market and lay out its dice; `seeds` are those of rounds whose true numbers count.

    Raises:
        UnusableSeed: if a seed does not have 32 bytes.
    """
    compiled = compile_market(market)
    return Simulation(compiled, Dice(compiled, seed=seed, seeds=seeds))


def simulate(
    market: MarketInColumns,
    *,
    draws: int,
    seed: bytes,
    seeds: Mapping[str, bytes] = NO_SEEDS,
    workers: int = 1,
    track: Track = untracked,
) -> Simulated:
    """Match a market on many draws, in this process or on `workers` others; the counts are the same.

    `seeds` are those of rounds whose true numbers count. Scripts that ask for workers need the usual guard,
    `if __name__ == "__main__"`.

    Raises:
        UnusableSeed: if a seed does not have 32 bytes.
        ValueError: if `draws` is below 1.
        WorkerLost: if a worker process ends too early.
    """
    simulation = prepare(market, seed=seed, seeds=seeds)
    entries = simulation.compiled.entry_program.size
    tally = count_draws(simulation, draws, entries=entries, workers=workers, track=track)
    return Simulated(simulation.compiled, tally)


@dataclass(frozen=True, slots=True)
class Scope:
    """The numbers that count in one scope: for all programs, or at one.

    Every different number, of a round and a ticket or, where twins share, a household and grade, has its place in a
    draw. `known` numbers are those of rounds whose seeds are told: the `true` ones, of which the first 8 bytes count.
    """

    counter: tuple[int, int]
    known: Truths
    true: NumberWords

    def draw(self, key: int, draw: int) -> NumberWords:
        """Draw the numbers of this scope, the true ones in their places."""
        philox = np.random.Philox(key=[key, draw], counter=[0, 0, *self.counter])
        raw = philox.random_raw(self.known.size)
        return np.where(self.known, self.true, raw) if self.true.size else raw


class Dice:
    """Simulated numbers of one market. Markets of the same applicants have the same, whatever their rules.

    Raises:
        UnusableSeed: if a seed does not have 32 bytes.
    """

    def __init__(self, compiled: Compiled, *, seed: bytes, seeds: Mapping[str, bytes]) -> None:
        _refuse_odd_seeds({**seeds, "to simulate": seed})
        market = compiled.market
        drawn_in, this_round = market.applicants.drawn_in, market.round.id
        self.key = int.from_bytes(hashlib.sha256(LABEL + seed).digest()[:8])
        rounds = sorted({*drawn_in.words, this_round})
        self._seeds = [seeds.get(round_id) for round_id in rounds]
        self._subjects = coded(subjects_of(market))
        place_of = np.array([rounds.index(round_id) for round_id in drawn_in.words], np.int32)
        first = self._keys(place_of[drawn_in.codes])
        fresh = self._keys(np.full_like(drawn_in.codes, rounds.index(this_round)))
        self.for_all, places = self._scope(ONE_FOR_ALL, np.concatenate([first, fresh]))
        of_first, of_fresh = places[: first.size], places[first.size :]
        self.places = {Source.WAITLIST: of_first, Source.REVERSE: of_first, Source.FRESH: of_fresh}
        self.apart = {
            apart.program: self._scope(
                market.programs[apart.program].id,
                (fresh if apart.source is Source.FRESH else first)[apart.applicants],
            )
            for apart in compiled.own_numbers
        }
        told = [self.for_all, *(scope for scope, _ in self.apart.values())]
        room = MAX_STANDING_BITS - bits_without_rank(compiled)
        self.exact = any(scope.true.size for scope in told) or room < RANK_BITS
        self.rank_bits = first.size.bit_length() if self.exact else RANK_BITS

    def draw(self, draw: int) -> "SimulatedNumbers":
        """Return the numbers of one draw."""
        return SimulatedNumbers(self, draw)

    def _keys(self, rounds: Int32s) -> Int64s:
        return rounds.astype(np.int64) * len(self._subjects.words) + self._subjects.codes

    def _scope(self, name: str, keys: Int64s) -> tuple[Scope, Int64s]:
        """Give each different key a place in every draw, and return each key's place."""
        different, places = np.unique(keys, return_inverse=True)
        rounds, subjects = np.divmod(different, max(1, len(self._subjects.words)))
        known, true = np.zeros(different.size, np.bool_), np.zeros(different.size, np.uint64)
        for code, seed in enumerate(self._seeds):
            here = np.flatnonzero(rounds == code)
            if seed is not None and here.size:
                names = (self._subjects.words[subject] for subject in subjects[here].tolist())
                numbers = b"".join(lottery_numbers(seed, name, names))
                known[here], true[here] = True, np.frombuffer(numbers, ">u8")[::4]
        place = hashlib.sha256(name.encode()).digest()
        counter = int.from_bytes(place[:8]), int.from_bytes(place[8:16])
        return Scope(counter, known, true if known.any() else true[:0]), places


class SimulatedNumbers:
    """The numbers of one simulated draw."""

    def __init__(self, dice: Dice, draw: int) -> None:
        self._dice = dice
        self._draw = draw
        self._for_all = dice.for_all.draw(dice.key, draw)
        self.bits = dice.rank_bits

    def ranks(self, source: Source) -> Int32s:
        """Return everybody's rank where one number counts at every program that goes by this source."""
        return self._ranks(self._for_all[self._dice.places[source]], source)

    def ranks_at(self, apart: OwnNumbers) -> Int32s:
        """Return the ranks at one program that has numbers of its own."""
        scope, places = self._dice.apart[apart.program]
        return self._ranks(scope.draw(self._dice.key, self._draw)[places], apart.source)

    def _ranks(self, values: NumberWords, source: Source) -> Int32s:
        compared = ~values if source is Source.REVERSE else values
        if self._dice.exact:
            return ranks_of(compared.reshape(-1, 1))
        return (compared >> np.uint64(64 - RANK_BITS)).astype(np.int32)


def _refuse_odd_seeds(seeds: Mapping[str, bytes]) -> None:
    for name, seed in seeds.items():
        if len(seed) != SEED_BYTES:
            raise UnusableSeed(f"the seed {name} has {len(seed)} bytes; give {SEED_BYTES}")
