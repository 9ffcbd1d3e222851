"""From seeds to lottery numbers (lottery.md, section 5)."""

import hmac
from collections.abc import Collection, Mapping

from lottery.market.model import Applicant, Market, Twins
from lottery.market.rules import Order, Program, TieBreak

SEED_BYTES = 32
NUMBER_BYTES = 32
PREFIX = b"enroll-lottery/v1/"
ONE_FOR_ALL = "*"
"""The scope of a number that counts at every program."""

_REVERSED = bytes(255 - byte for byte in range(256))


class UnusableSeed(ValueError):
    """A seed is missing or has not 32 bytes; the message says which and what to do."""


def lottery_number(*, seed: bytes, scope: str, subject: str) -> bytes:
    """Return the 32-byte lottery number of one subject; lower is better.

    It hangs on nothing but the seed and the subject, so nobody's arrival, order or absence can change anybody else's.
    HMAC-SHA256 is RFC 2104 with FIPS 180-4.
    """
    return hmac.digest(seed, b"%slottery\0%s\0%s" % (PREFIX, scope.encode(), subject.encode()), "sha256")


def seeds_of_rounds(
    this_round: str, *, seed: bytes, seeds: Mapping[str, bytes], drawn_in: Collection[str]
) -> Mapping[str, bytes]:
    """Return every round's seed, this one's included, given the rounds in which applicants were drawn.

    Raises:
        UnusableSeed: if a seed has not 32 bytes, or one is missing.
    """
    if seeds.get(this_round, seed) != seed:
        raise UnusableSeed(f"round {this_round} has two different seeds; give its seed once")
    every = {**seeds, this_round: seed}
    for round_id, its_seed in every.items():
        if len(its_seed) != SEED_BYTES:
            raise UnusableSeed(f"the seed of round {round_id} has {len(its_seed)} bytes; give {SEED_BYTES}")
    missing = set(drawn_in) - every.keys()
    if missing:
        raise UnusableSeed(f"applicants were drawn in {', '.join(sorted(missing))}; give the seed of each such round")
    return every


class Draw:
    """The lottery numbers of one round: this round's seed, and those of the rounds in which others were drawn.

    Raises:
        UnusableSeed: if a seed has not 32 bytes, or one is missing for some applicant's `drawn_in`.
    """

    def __init__(self, market: Market, *, seed: bytes, seeds: Mapping[str, bytes]) -> None:
        this_round = market.round.id
        drawn_in = {applicant.drawn_in for applicant in market.applicants}
        self.seeds = seeds_of_rounds(this_round, seed=seed, seeds=seeds, drawn_in=drawn_in)
        self._backfill_round = this_round if market.is_backfill else None
        self._tie_break = market.policy.tie_break
        self._twins_share = market.policy.twins is Twins.SHARE
        self._for_all: dict[str, dict[str, bytes]] = {round_id: {} for round_id in self.seeds}

    def number(self, applicant: Applicant, program: Program) -> bytes:
        """Return the number by which the applicant is compared at the program."""
        order = Order.WAITLIST if self._backfill_round is None else program.backfill.order
        drawn_in = applicant.drawn_in
        if order is Order.FRESH and self._backfill_round is not None:
            drawn_in = self._backfill_round
        subject = self._subject(applicant)
        if (program.tie_break or self._tie_break) is TieBreak.SINGLE:
            number = self._number_for_all(drawn_in, subject)
        else:
            number = lottery_number(seed=self.seeds[drawn_in], scope=program.id, subject=subject)
        return number.translate(_REVERSED) if order is Order.REVERSE else number

    def _number_for_all(self, drawn_in: str, subject: str) -> bytes:
        drawn = self._for_all[drawn_in]
        number = drawn.get(subject)
        if number is None:
            number = lottery_number(seed=self.seeds[drawn_in], scope=ONE_FOR_ALL, subject=subject)
            drawn[subject] = number
        return number

    def _subject(self, applicant: Applicant) -> str:
        if self._twins_share and applicant.household is not None:
            return f"{applicant.household}/{applicant.grade}"
        return applicant.id
