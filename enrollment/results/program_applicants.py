"""The children of one program: those with a seat after a round, or those who rank it before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Person
from enrollment.cycles.models import Cycle
from enrollment.results.program_standings import ChildStanding, class_name, standings_at
from enrollment.results.sentences import class_in_words
from enrollment.rounds.market_applicants import children_ranking
from enrollment.rounds.models import Placed, Round
from enrollment.rules.in_force import rules_of_program
from enrollment.rules.to_market import read_back
from enrollment.seats.models import Offer
from lottery.market.model import Applicant as MarketApplicant
from lottery.market.rules import OPEN, Program, Ranked


@dataclass(frozen=True, slots=True)
class ChildName:
    """The identity of a placed child, for the child's school."""

    given_name: str
    family_name: str
    birth_date: str


Family = tuple[str, ChildName]
"""The partner who brought a child, and the child's name."""


@dataclass(frozen=True, slots=True)
class ProgramApplicant:
    """A child at a program."""

    standing: ChildStanding
    child: ChildName | None
    partner: str | None
    seat_status: str | None = None
    """The status now of the child's newest offer at the program. None: no seat was given."""
    listed: bool = True
    """False: the school has a list of its own, and the child is not on it."""


@dataclass(frozen=True, slots=True)
class ProgramApplicants:
    """The children at a program."""

    round: str | None
    """None: a preview before any round."""
    applicants: Sequence[ProgramApplicant]

    def by_class(self) -> dict[str, int]:
        """Count the children by priority class."""
        return dict(sorted(Counter(one.standing.priority_class for one in self.applicants).items()))


def placed_at(session: Session, round_: Round, program: str, language: str, *, named: bool) -> ProgramApplicants:
    """Return the children with a seat at a program, by group and ticket. Names are for the school only."""
    rows = session.execute(
        select(Placed.tag, Placed.seat_group)
        .where(Placed.round_id == round_.id, Placed.program_id == program)
        .order_by(Placed.seat_group, Placed.tag)
    ).all()
    tickets = [tag for tag, _ in rows]
    standing_of = standings_at(session, round_, program, tickets, language)
    families = _families(session, round_.cycle_id, tickets)
    statuses = _seat_statuses(session, round_.cycle_id, program)
    return ProgramApplicants(
        round_.id,
        [_placed(standing_of(tag, group), families.get(tag), statuses.get(tag), named=named) for tag, group in rows],
    )


def _placed(standing: ChildStanding, family: Family | None, status: str | None, *, named: bool) -> ProgramApplicant:
    if family is None:
        return ProgramApplicant(standing, None, None, status)
    partner, name = family
    return ProgramApplicant(standing, name if named else None, partner, status)


def _seat_statuses(session: Session, cycle: str, program: str) -> Mapping[str, str]:
    """Return the status of each child's newest offer at a program, by ticket."""
    rows = session.execute(
        select(Child.tag, Offer.status)
        .join(Child, Child.id == Offer.child_id)
        .where(Offer.cycle_id == cycle, Offer.program_id == program)
        .order_by(Offer.made_at)
    )
    return {tag.hex(): status for tag, status in rows}


def _families(session: Session, cycle: str, tickets: Sequence[str]) -> Mapping[str, Family]:
    """Return the partner and the name of each child with an active application, by ticket."""
    rows = session.execute(
        select(Child.tag, Applicant.partner_id, Person.given_name, Person.family_name, Person.birth_date)
        .join(Applicant, Applicant.child_id == Child.id)
        .join(Person, Person.applicant_id == Applicant.id)
        .where(
            Child.cycle_id == cycle,
            Child.tag.in_([bytes.fromhex(ticket) for ticket in tickets]),
            Applicant.withdrawn_at.is_(None),
        )
    )
    return {
        tag.hex(): (partner, ChildName(given_name, family_name, birth_date.isoformat()))
        for tag, partner, given_name, family_name, birth_date in rows
    }


def preview_at(session: Session, cycle: Cycle, program_id: str, language: str) -> ProgramApplicants:
    """Return the children who rank a program now, each with the present priority class. Nothing is decided."""
    rules = rules_of_program(session, cycle.id, program_id)
    if rules is None:
        return ProgramApplicants(None, [])
    program = read_back(rules.market)
    return ProgramApplicants(
        None,
        [
            ProgramApplicant(_present_standing(child, program, language), None, None, listed=_is_listed(child, program))
            for child in children_ranking(session, cycle, program_id)
        ],
    )


def _is_listed(child: MarketApplicant, program: Program) -> bool:
    return not isinstance(program.tie_break, Ranked) or child.id in program.tie_break.tickets


def _present_standing(child: MarketApplicant, program: Program, language: str) -> ChildStanding:
    reached = next((one for one in program.priorities if one.when.holds(child, program.school, ())), None)
    listed = _is_listed(child, program)
    return ChildStanding(
        ticket=child.id,
        group=OPEN,
        priority_class=class_name(reached),
        reason=class_in_words(reached, language, listed=listed),
        late=child.late,
        drawn_in=None,
        meets=listed and program.eligible.holds(child, program.school, ()),
    )
