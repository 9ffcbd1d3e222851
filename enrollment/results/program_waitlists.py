"""The waitlists of one program: as a round left them, or live."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.results.program_standings import standings_at
from enrollment.results.sentences import class_in_words
from enrollment.rounds.earlier_rounds import read_draws
from enrollment.rounds.models import Round, WaitingPlace
from enrollment.rules.in_force import rules_of_program
from enrollment.rules.to_market import read_back
from enrollment.waitlists.places import read_live_waitlists
from lottery.market.rules import GENERAL, OPEN, PriorityClass, Program

NOT_DRAWN: tuple[str | None, bool] = (None, True)
"""The draw of a child who applied after the last round."""


@dataclass(frozen=True, slots=True)
class WaitingChild:
    """A child on the waitlist of a seat group."""

    ticket: str
    group: str
    place: int
    priority_class: str
    reason: str
    late: bool
    drawn_in: str | None
    """The round that drew the child's lottery number. None: no round has drawn the number."""
    drawn: bool = True


def waiting_after(session: Session, round_: Round, program: str, language: str) -> list[WaitingChild]:
    """Return the waitlists that a round left at a program, by group and place."""
    rows = session.execute(
        select(WaitingPlace.tag, WaitingPlace.seat_group, WaitingPlace.place)
        .where(WaitingPlace.round_id == round_.id, WaitingPlace.program_id == program)
        .order_by(WaitingPlace.seat_group, WaitingPlace.place)
    ).all()
    standing_of = standings_at(session, round_, program, sorted({tag for tag, _, _ in rows}), language)
    found = []
    for tag, group, place in rows:
        standing = standing_of(tag, group)
        found.append(
            WaitingChild(tag, group, place, standing.priority_class, standing.reason, standing.late, standing.drawn_in)
        )
    return found


def waiting_now(session: Session, cycle: str, program_id: str, language: str) -> list[WaitingChild]:
    """Return the live waitlists of a program, by group and place."""
    rules = rules_of_program(session, cycle, program_id)
    if rules is None:
        return []
    classes = _classes_by_group(read_back(rules.market))
    rows = read_live_waitlists(session, cycle, program_id)
    draws = read_draws(session, cycle, {tag.hex() for _, tag in rows})
    main_round = session.get_one(Cycle, cycle).main_round
    return [
        WaitingChild(
            ticket=tag.hex(),
            group=row.seat_group,
            place=row.place,
            priority_class=row.priority_class or GENERAL,
            reason=class_in_words(classes.get(row.seat_group, {}).get(row.priority_class or GENERAL), language),
            late=late or drawn_in != main_round,
            drawn_in=drawn_in,
            drawn=row.drawn,
        )
        for row, tag in rows
        for drawn_in, late in [draws.get(tag.hex(), NOT_DRAWN)]
    ]


def _classes_by_group(program: Program) -> Mapping[str, Mapping[str, PriorityClass]]:
    """Return the priority classes of each seat group, by name."""
    return {
        OPEN: {priority.name: priority for priority in program.priorities},
        **{reserve.name: {priority.name: priority for priority in reserve.priorities} for reserve in program.reserves},
    }
