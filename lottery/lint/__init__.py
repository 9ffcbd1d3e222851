"""Check a market's rules before the draw (docs/reference/specification.md, section 10).

A finding is never a guess. It follows from the rules alone, from the rules with the current applicants, or from
simulated draws; `basis` names which.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from lottery.lint.applicants import Look, look_at
from lottery.lint.choices import applicants_of_cycle, choices_not_considered, lonely_programs
from lottery.lint.classes import classes_by_logic, classes_in_market
from lottery.lint.conditions import (
    constant_conditions,
    nobody_eligible,
    siblings_never_placed,
    unknown_words,
    vocabulary_of,
)
from lottery.lint.findings import Basis, Check, Finding, Place, Weight, merged
from lottery.lint.ineffective_reserves import SeatsTaken, idle_reserves, seats_taken
from lottery.lint.overflow import barring_reserves, idle_overflows
from lottery.lint.policy import idle_backfill, new_numbers, numbers_of_its_own, policy_of_cycle
from lottery.lint.report import document_of, print_findings
from lottery.lint.reserves import (
    reserves_for_nobody,
    reserves_in_market,
    reserves_like_open,
    reserves_without_seats,
)
from lottery.lint.screened import empty_lists, lists_in_market
from lottery.market.model import Market
from lottery.progress import Track, untracked

__all__ = [
    "DRAWS",
    "Basis",
    "Check",
    "Finding",
    "Place",
    "SeatsTaken",
    "Weight",
    "document_of",
    "lint",
    "lint_applicants",
    "lint_rules",
    "print_findings",
]

DRAWS = 100
"""Simulated draws for each change of rules."""

BY_RULES: Sequence[Callable[[Look], Iterator[Finding]]] = (
    constant_conditions,
    classes_by_logic,
    reserves_without_seats,
    reserves_for_nobody,
    reserves_like_open,
    idle_overflows,
    barring_reserves,
    empty_lists,
    numbers_of_its_own,
    new_numbers,
    idle_backfill,
)
"""Checks of one program's rules."""


def lint(
    market: Market, *, draws: int = DRAWS, count: SeatsTaken = seats_taken, track: Track = untracked
) -> list[Finding]:
    """Find rules of a market that cannot work as written, and effects that a school may not expect.

    Findings come school by school: the cycle first, and problems before notes. `count` simulates `draws` draws to find
    reserves without effect; with 0 draws, lint skips this check.
    """
    looks = look_at(market)
    findings = chain(
        policy_of_cycle(market),
        applicants_of_cycle(market),
        siblings_never_placed(looks),
        chain.from_iterable(check(look) for look in looks for check in BY_RULES),
        _in_market(market, looks) if market.applicants else (),
        idle_reserves(looks, draws=draws, count=count, track=track),
    )
    return sorted(merged(findings), key=_order)


def lint_rules(market: Market) -> list[Finding]:
    """Find what the rules alone show, at each program for itself. This is quick, and needs no applicants."""
    looks = look_at(market)
    of_programs = chain.from_iterable(check(look) for look in looks for check in BY_RULES)
    siblings = (finding for finding in siblings_never_placed(looks) if finding.school is not None)
    return [*siblings, *of_programs]


def lint_applicants(market: Market) -> list[Finding]:
    """Find what the rules show together with the applicants."""
    return merged(_in_market(market, look_at(market))) if market.applicants else []


def _in_market(market: Market, looks: Sequence[Look]) -> Iterator[Finding]:
    """Check rules together with the applicants."""
    vocabulary = vocabulary_of(market.applicants)
    tickets = {applicant.id for applicant in market.applicants}
    for look in looks:
        yield from unknown_words(look, vocabulary)
        yield from lists_in_market(look, tickets)
        yield from lonely_programs(look)
    for of_school in _by_school(looks):
        yield from nobody_eligible(of_school)
        yield from classes_in_market(of_school, vocabulary)
        yield from reserves_in_market(of_school, vocabulary)
        yield from choices_not_considered(of_school)


def _by_school(looks: Sequence[Look]) -> Sequence[Sequence[Look]]:
    schools: dict[str, list[Look]] = {}
    for look in looks:
        schools.setdefault(look.program.school, []).append(look)
    return list(schools.values())


_WEIGHTS = list(Weight)
_CHECKS = list(Check)


def _order(finding: Finding) -> tuple[str, int, int]:
    return finding.school or "", _WEIGHTS.index(finding.weight), _CHECKS.index(finding.check)
