"""Name the rules that an outcome must keep, and the complaint about a broken rule."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """A rule that every outcome must keep, in the order in which the verifier checks them."""

    SEED = "the seed is 64 hex digits"
    MARKET = "the outcome belongs to this market"
    KNOWN = "the market has every name in the outcome"
    ONCE = "every applicant appears exactly once"
    RANKED = "every applicant ranked or held the seat"
    CHOICE = "every choice number is correct"
    CONSIDERED = "every seat group considered its applicants"
    SEATS = "no seat group has more placements than seats"
    HOLDERS = "no applicant lost a held seat"
    WASTE = "no seat is wasted"
    ENVY = "no justified envy"
    NUMBERS = "the lottery numbers are correct"
    CUTOFFS = "the cutoffs are correct"
    WAITLISTS = "the waitlists are correct"
    ORDER = "every list is in order"
    REFERENCE = "the outcome equals the reference, byte for byte"


@dataclass(frozen=True, slots=True)
class Complaint:
    """A broken rule, with the applicant and the program that it concerns.

    `applicant` or `program` is None where the complaint concerns no single one.
    """

    rule: Rule
    applicant: str | None
    program: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.without_rule()}"

    def without_rule(self) -> str:
        """Return the applicant, the program and the text on one printable line."""
        about = [f"applicant {self.applicant}"] if self.applicant else []
        about += [f"program {self.program}"] if self.program else []
        line = ": ".join([*about, self.text])
        # The names come from an untrusted file. Characters that cannot be printed could fool a terminal.
        return line if line.isprintable() else line.encode("unicode_escape").decode("ascii")
