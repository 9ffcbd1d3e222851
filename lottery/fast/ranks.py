"""Lottery numbers of a whole market as arrays, and the orders that they make (lottery.md, sections 3 and 5)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lottery.fast.columns import Columns, Int32s, MarketInColumns
from lottery.fast.compile import DrawnApart, Source, source_of_order
from lottery.market.model import Twins
from lottery.market.rules import TieBreak
from lottery.match.lottery_numbers import NUMBER_BYTES, ONE_FOR_ALL, PREFIX, seeds_of_rounds

NumberWords: TypeAlias = NDArray[np.uint64]
"""One row for each number: its bytes as whole words, the first 8 bytes first. Lower rows are better."""

BLOCK = 64
"""Bytes of a block of SHA-256."""


class Numbers(Protocol):
    """The numbers of one draw, as the ranks that they give; of equal ranks the lower ticket is better."""

    @property
    def bits(self) -> int:
        """Return how many bits a rank may have."""

    def ranks(self, source: Source) -> Int32s:
        """Return everybody's rank where one number counts at every program that goes by this source."""

    def ranks_at(self, apart: DrawnApart) -> Int32s:
        """Return the ranks at one program that has numbers of its own."""


class OfficialNumbers:
    """The numbers that seeds give: HMAC-SHA256, as anybody can recompute them.

    Raises:
        UnusableSeed: if a seed has not 32 bytes, or one is missing for some applicant's `drawn_in`.
    """

    def __init__(self, market: MarketInColumns, *, seed: bytes, seeds: Mapping[str, bytes]) -> None:
        applicants = market.applicants
        rounds = applicants.drawn_in.words
        self._market = market
        self._seed = seed
        every = seeds_of_rounds(market.round.id, seed=seed, seeds=seeds, drawn_in=rounds)
        self._seeds = [every[round_id] for round_id in rounds]
        self._drawn_in = applicants.drawn_in.codes
        self._subjects = subjects_of(market)
        self._everybody = np.arange(len(applicants), dtype=np.int32)
        self.bits = len(applicants).bit_length()

    def ranks(self, source: Source) -> Int32s:
        """Return everybody's rank where one number counts at every program that goes by this source."""
        return ranks_of(self._words(self._everybody, ONE_FOR_ALL, source))

    def ranks_at(self, apart: DrawnApart) -> Int32s:
        """Return the ranks at one program that has numbers of its own."""
        return ranks_of(self._words(apart.applicants, self._market.programs[apart.program].id, apart.source))

    def number(self, program: int, applicant: Int32s) -> bytes:
        """Return the number by which one applicant is compared at a program."""
        its = self._market.programs[program]
        single = (its.tie_break or self._market.policy.tie_break) is TieBreak.SINGLE
        scope = ONE_FOR_ALL if single else its.id
        return self._words(applicant, scope, source_of_order(self._market.round.kind, its)).astype(">u8").tobytes()

    def _words(self, applicants: Int32s, scope: str, source: Source) -> NumberWords:
        subjects = [self._subjects[index] for index in applicants.tolist()]
        if source is Source.FRESH or len(self._seeds) == 1:
            seed = self._seed if source is Source.FRESH else self._seeds[0]
            raw = b"".join(lottery_numbers(seed, scope, subjects))
        else:
            raw = self._drawn_apart(applicants, scope, subjects)
        words = np.frombuffer(raw, ">u8").reshape(len(subjects), NUMBER_BYTES // 8).astype(np.uint64)
        return ~words if source is Source.REVERSE else words

    def _drawn_apart(self, applicants: Int32s, scope: str, subjects: Sequence[str]) -> bytes:
        """Draw each with the seed of the round in which the applicant was drawn."""
        rounds = self._drawn_in[applicants].tolist()
        drawn = [
            lottery_numbers(seed, scope, (s for s, its in zip(subjects, rounds, strict=True) if its == code))
            for code, seed in enumerate(self._seeds)
        ]
        numbers = [iter(of_round) for of_round in drawn]
        return b"".join(next(numbers[code]) for code in rounds)


def subjects_of(market: MarketInColumns) -> Sequence[str]:
    """Return whose number each applicant has: the ticket's, or the household's and grade's where twins share."""
    applicants = market.applicants
    if market.policy.twins is Twins.SEPARATE:
        return applicants.tickets
    return [_shared(applicants, index) or ticket for index, ticket in enumerate(applicants.tickets)]


def _shared(applicants: Columns, index: int) -> str | None:
    household = applicants.household.word(index)
    return None if household is None else f"{household}/{applicants.grade.word(index)}"


def lottery_numbers(seed: bytes, scope: str, subjects: Iterable[str]) -> list[bytes]:
    """Return the lottery numbers of many subjects, as `lottery_number` gives each, only sooner.

    HMAC (RFC 2104) hashes a block of the key before the message and another before the result; both, and all of the
    message that comes before the subject, are hashed once for all.
    """
    block = seed.ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + b"%slottery\0%s\0" % (PREFIX, scope.encode()))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
    numbers = []
    for subject in subjects:
        message, result = inner.copy(), outer.copy()
        message.update(subject.encode())
        result.update(message.digest())
        numbers.append(result.digest())
    return numbers


def ranks_of(numbers: NumberWords) -> Int32s:
    """Return each number's rank, from 0, the lowest first; equal ones in their present order, which is by ticket."""
    first = numbers[:, 0]
    order = np.argsort(first)
    in_order = first[order]
    if bool((in_order[1:] == in_order[:-1]).any()):
        order = np.lexsort(numbers.T[::-1])
    ranks = np.empty(order.size, np.int32)
    ranks[order] = np.arange(order.size, dtype=np.int32)
    return ranks
