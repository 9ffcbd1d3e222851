"""Draw the lottery numbers of a whole market as arrays, and rank them.

See docs/reference/specification.md, sections 3 and 5.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lottery.fast.columns import Columns, Int32s, MarketInColumns
from lottery.fast.number_sources import OwnNumbers, Source, source_of_order
from lottery.market.model import Twins
from lottery.market.rules import TieBreak
from lottery.match.lottery_numbers import NUMBER_BYTES, ONE_FOR_ALL, PREFIX, seeds_of_rounds

NumberWords: TypeAlias = NDArray[np.uint64]
"""One row of four 64-bit words for each number, the first 8 bytes first. Lower rows are better."""

BLOCK = 64
"""Bytes of a block of SHA-256 (FIPS 180-4)."""


class Numbers(Protocol):
    """The numbers of one draw, as ranks. Among equal ranks the lower ticket is better."""

    @property
    def bits(self) -> int:
        """Return how many bits the largest rank takes."""

    def ranks(self, source: Source) -> Int32s:
        """Return every applicant's rank at the programs with this source, where one number counts at all of them."""

    def ranks_at(self, program: OwnNumbers) -> Int32s:
        """Return the ranks of the applicants at one program with numbers of its own."""


class OfficialNumbers:
    """The official numbers, which anyone can compute again from the seeds with HMAC-SHA256.

    Raises:
        UnusableSeed: if a seed is not 32 bytes long, or the seed of some applicant's `drawn_in` is missing.
    """

    def __init__(self, market: MarketInColumns, *, seed: bytes, seeds: Mapping[str, bytes]) -> None:
        applicants = market.applicants
        rounds = applicants.drawn_in.words
        self._market = market
        self._seed = seed
        all_seeds = seeds_of_rounds(market.round.id, seed=seed, seeds=seeds, drawn_in=rounds)
        self._seeds = [all_seeds[round_id] for round_id in rounds]
        self._drawn_in = applicants.drawn_in.codes
        self._subjects = subjects_of(market)
        self._all_applicants = np.arange(len(applicants), dtype=np.int32)
        self.bits = len(applicants).bit_length()

    def ranks(self, source: Source) -> Int32s:
        """Return every applicant's rank at the programs with this source, where one number counts at all of them."""
        return ranks_of(self._words(self._all_applicants, ONE_FOR_ALL, source))

    def ranks_at(self, program: OwnNumbers) -> Int32s:
        """Return the ranks of the applicants at one program with numbers of its own."""
        return ranks_of(self._words(program.applicants, self._market.programs[program.program].id, program.source))

    def number(self, program: int, applicant: Int32s) -> bytes:
        """Return the 32-byte number by which a program compares one applicant."""
        here = self._market.programs[program]
        single = (here.tie_break or self._market.policy.tie_break) is TieBreak.SINGLE
        scope = ONE_FOR_ALL if single else here.id
        return self._words(applicant, scope, source_of_order(self._market.round.kind, here)).astype(">u8").tobytes()

    def _words(self, applicants: Int32s, scope: str, source: Source) -> NumberWords:
        subjects = [self._subjects[index] for index in applicants.tolist()]
        if source is Source.FRESH or len(self._seeds) == 1:
            seed = self._seed if source is Source.FRESH else self._seeds[0]
            raw = b"".join(lottery_numbers(seed, scope, subjects))
        else:
            raw = self._drawn_in_several_rounds(applicants, scope, subjects)
        words = np.frombuffer(raw, ">u8").reshape(len(subjects), NUMBER_BYTES // 8).astype(np.uint64)
        return ~words if source is Source.REVERSE else words

    def _drawn_in_several_rounds(self, applicants: Int32s, scope: str, subjects: Sequence[str]) -> bytes:
        """Draw each applicant's number with the seed of the round in which the applicant was drawn."""
        rounds = self._drawn_in[applicants].tolist()
        drawn = [
            lottery_numbers(seed, scope, (s for s, drawn_in in zip(subjects, rounds, strict=True) if drawn_in == code))
            for code, seed in enumerate(self._seeds)
        ]
        numbers = [iter(of_round) for of_round in drawn]
        return b"".join(next(numbers[code]) for code in rounds)


def subjects_of(market: MarketInColumns) -> Sequence[str]:
    """Return the subject of each applicant's number: the ticket, or household and grade where twins share a number."""
    applicants = market.applicants
    if market.policy.twins is Twins.SEPARATE:
        return applicants.tickets
    return [_shared(applicants, index) or ticket for index, ticket in enumerate(applicants.tickets)]


def _shared(applicants: Columns, index: int) -> str | None:
    household = applicants.household.word(index)
    return None if household is None else f"{household}/{applicants.grade.word(index)}"


def lottery_numbers(seed: bytes, scope: str, subjects: Iterable[str]) -> list[bytes]:
    """Return the same lottery numbers as `lottery_number`, for many subjects at once.

    HMAC (RFC 2104) hashes one block of the key before the message and one before the result. Both blocks, and the part
    of the message before the subject, are hashed once for all subjects.
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
    """Return each number's rank, from 0 for the lowest. Equal numbers keep their order, which is by ticket."""
    first = numbers[:, 0]
    order = np.argsort(first)
    in_order = first[order]
    if bool((in_order[1:] == in_order[:-1]).any()):
        order = np.lexsort(numbers.T[::-1])
    ranks = np.empty(order.size, np.int32)
    ranks[order] = np.arange(order.size, dtype=np.int32)
    return ranks
