"""The standing of children at one program in a matched round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from enrollment.results.extracts import extract_of
from enrollment.results.sentences import class_in_words
from enrollment.rounds.models import Round
from enrollment.rounds.seeds import seeds_before
from lottery.explain.explainer import Extract
from lottery.market.rules import GENERAL, PriorityClass
from lottery.match.lottery_numbers import Draw
from lottery.match.siblings import PlacedSiblings
from lottery.match.standing import Standing, Standings


@dataclass(frozen=True, slots=True)
class ChildStanding:
    """A child's standing at a seat group, with the reason."""

    ticket: str
    group: str
    priority_class: str
    reason: str
    late: bool
    drawn_in: str | None
    """The round that drew the child's lottery number. None: no round has drawn the number."""
    meets: bool


StandingOf = Callable[[str, str], ChildStanding]
"""Returns the standing of a ticket at a seat group."""


def class_name(priority_class: PriorityClass | None) -> str:
    """Return the name of a priority class. Children without a class are in the general class."""
    return GENERAL if priority_class is None else priority_class.name


def standings_at(session: Session, round_: Round, program_id: str, tickets: Sequence[str], language: str) -> StandingOf:
    """Return a function that gives each child's standing at the groups of a program."""
    extract = extract_of(session, round_, tickets, program=program_id)
    market = extract.market
    draw = Draw(market, seed=extract.seed, seeds=seeds_before(session, round_))
    standings = Standings(market, draw, seats=extract.seats())
    applicants = {applicant.id: applicant for applicant in market.applicants}
    program = next(program for program in market.programs if program.id == program_id)
    siblings = _placed_siblings(extract)
    groups = standings.groups[program_id]

    def standing_of(ticket: str, group_name: str) -> ChildStanding:
        place = program.precedence.index(group_name)
        applicant = applicants[ticket]
        standing = standings.at(applicant, program, siblings.schools(applicant))[place]
        if not isinstance(standing, Standing):
            raise ValueError("the child cannot get a seat in this group")  # noqa: TRY004 - of the data, not of a type
        reached = next(iter(groups[place].priorities[standing.priority : standing.priority + 1]), None)
        return ChildStanding(
            ticket=ticket,
            group=group_name,
            priority_class=class_name(reached),
            reason=class_in_words(reached, language),
            late=standings.counts_as_late(applicant, program),
            drawn_in=applicant.drawn_in,
            meets=not standing.not_met,
        )

    return standing_of


def _placed_siblings(extract: Extract) -> PlacedSiblings:
    market = extract.market
    applicants = {applicant.id: applicant for applicant in market.applicants}
    school_of = {program.id: program.school for program in market.programs}
    return PlacedSiblings(
        market,
        ((applicants[placement.applicant], school_of[placement.program]) for placement in extract.placements),
    )
