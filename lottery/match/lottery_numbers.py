"""Draw lottery numbers from seeds (docs/reference/specification.md, section 5)."""

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
    """A seed is missing or is not 32 bytes long. The message names the round and says what to do."""


def lottery_number(*, seed: bytes, scope: str, subject: str) -> bytes:
    """Return one subject's lottery number: 32 bytes, and the lower number is better.

    The number depends on the seed, the scope and the subject only. No other applicant can change it.

    The function is HMAC-SHA256 (RFC 2104, FIPS 180-4).
    """
    return hmac.digest(seed, b"%slottery\0%s\0%s" % (PREFIX, scope.encode(), subject.encode()), "sha256")


def seeds_of_rounds(
    this_round: str, *, seed: bytes, seeds: Mapping[str, bytes], drawn_in: Collection[str]
) -> Mapping[str, bytes]:
    """Return the seed of every round, this round included.

    `seeds` has the seeds of earlier rounds. `drawn_in` names the rounds in which applicants drew their numbers.

    Raises:
        UnusableSeed: if a seed is missing or is not 32 bytes long.
    """
    if seeds.get(this_round, seed) != seed:
        raise UnusableSeed(f"round {this_round} has two different seeds; give its seed once")
    all_seeds = {**seeds, this_round: seed}
    for round_id, round_seed in all_seeds.items():
        if len(round_seed) != SEED_BYTES:
            raise UnusableSeed(f"the seed of round {round_id} has {len(round_seed)} bytes; give {SEED_BYTES} bytes")
    missing = set(drawn_in) - all_seeds.keys()
    if missing:
        raise UnusableSeed(f"applicants were drawn in {', '.join(sorted(missing))}; give the seed of each such round")
    return all_seeds


class Draw:
    """The lottery numbers of one round's applicants.

    An applicant who waited since an earlier round keeps the number from that round's seed.

    Raises:
        UnusableSeed: if a seed is not 32 bytes long, or the seed of some applicant's `drawn_in` is missing.
    """

    def __init__(self, market: Market, *, seed: bytes, seeds: Mapping[str, bytes]) -> None:
        this_round = market.round.id
        drawn_in = {applicant.drawn_in for applicant in market.applicants}
        self.seeds = seeds_of_rounds(this_round, seed=seed, seeds=seeds, drawn_in=drawn_in)
        self._backfill_round = this_round if market.is_backfill else None
        self._tie_break = market.policy.tie_break
        self._twins_share = market.policy.twins is Twins.SHARE
        self._numbers_for_all: dict[str, dict[str, bytes]] = {round_id: {} for round_id in self.seeds}

    def number(self, applicant: Applicant, program: Program) -> bytes:
        """Return the number by which the program compares the applicant."""
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
        numbers = self._numbers_for_all[drawn_in]
        number = numbers.get(subject)
        if number is None:
            number = lottery_number(seed=self.seeds[drawn_in], scope=ONE_FOR_ALL, subject=subject)
            numbers[subject] = number
        return number

    def _subject(self, applicant: Applicant) -> str:
        """Return the name under which the applicant's number is drawn. Twins share one where the policy says so."""
        if self._twins_share and applicant.household is not None:
            return f"{applicant.household}/{applicant.grade}"
        return applicant.id
