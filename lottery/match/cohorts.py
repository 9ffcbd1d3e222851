"""Order applicants by the draws of a season (docs/reference/specification.md, section 3).

An applicant who was drawn after the main round stays behind everybody who was drawn before, in every later round.
Applicants who wait have bad numbers, because good numbers got seats. Newcomers with average numbers would pass them.
"""

from collections.abc import Mapping

from lottery.market.model import Kind, Round
from lottery.market.rules import Order, Program

LATE = 1
"""The cohort of applicants who were late for the main round. Applicants on time have cohort 0."""


def cohorts_of_draws(round_: Round) -> Mapping[str, int]:
    """Return the cohort of each draw's applicants, lower first. A draw that is left out has cohort 0.

    A market that does not list its earlier rounds knows only the newcomers of this round.
    """
    if round_.earlier is None:
        return {round_.id: LATE} if round_.kind is Kind.BACKFILL else {}
    return {draw: place + LATE for place, draw in enumerate(round_.draws) if place}


def draws_that_count(round_: Round, program: Program) -> tuple[str, ...]:
    """Return the listed draws whose order counts at a program: none where everybody draws a new number."""
    return () if round_.kind is Kind.BACKFILL and program.backfill.order is Order.FRESH else round_.draws


def draw_of_cohort(draws: tuple[str, ...], cohort: int) -> str | None:
    """Return the draw of an applicant's cohort, or None if no order of draws counts."""
    return draws[max(0, cohort - LATE)] if draws else None
