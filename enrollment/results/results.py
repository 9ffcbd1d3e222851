"""What a published round gave: to one child, at one program, to the city."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Person
from enrollment.cycles.models import Cycle
from enrollment.directory.models import Program, School
from enrollment.languages import Say, in_language
from enrollment.problems import Conflict, NotFound, sentence
from enrollment.results.extracts import extract_of, last_of
from enrollment.results.schemas import (
    ApplicantsAt,
    ChoiceOut,
    CutoffOut,
    GradeReportOut,
    LastOut,
    NameOut,
    PlacedAt,
    PlacementOut,
    ReportOut,
    StandsAt,
    WaitingOut,
    WaitsAt,
)
from enrollment.results.suppression import SMALLEST, suppress
from enrollment.rounds.audit_files import seeds_before
from enrollment.rounds.locks import RoundNotFound, latest_published, read_round
from enrollment.rounds.models import CutoffRow, Exclusion, FrozenRow, Placed, Round, WaitingPlace
from enrollment.rounds.snapshot import children_ranking
from enrollment.rules.in_force import rules_of_program
from enrollment.rules.to_market import read_back
from enrollment.waitlists.waitlists import waiting_now
from lottery.explain.conditions import condition_in_words
from lottery.explain.language import Language
from lottery.market.rules import GENERAL, OPEN, PriorityClass
from lottery.match.lottery_numbers import Draw
from lottery.match.siblings import PlacedSiblings
from lottery.match.standing import Standing, Standings

DIGITS = 4
"""Of a cutoff's number, in public."""


class ResultsNotPublished(NotFound):
    """Nothing of this is published yet."""

    title = sentence("No results are published yet")
    detail = sentence("Ask again once a round of the cycle is published; GET /v1/cycles/CYCLE/rounds shows which are.")


class ReportUnreadable(Conflict):
    """The stored report of a round has another form than is written."""

    title = sentence("Report cannot be read")
    detail = sentence(
        "The stored report of this round has a form that this version does not read. Ask the administrators to compare "
        "the database with a backup copy."
    )


EXCLUDED: Mapping[str, str] = {
    "withdrawn": sentence("The application was withdrawn before this round, so the child was not in it."),
    "no-ranking": sentence("No ranking was in force at this round, so the child was not in it."),
    "ranked-only-withdrawn-programs": sentence(
        "All programs that were ranked had left before this round, so the child was not in it."
    ),
    "too-late": sentence("The application came after this round was frozen; it is in the next one."),
}

PLACED = sentence("The child has a seat at {program}.")
NOT_PLACED = sentence("The child has no seat in this round. The explanation says why, the waitlists where it waits.")


def published(session: Session, cycle: str, round_id: str | None) -> Round:
    """Return a published round of a cycle: the one named, or the last.

    Raises:
        RoundNotFound: if the cycle has no round of that id.
        ResultsNotPublished: if it is not published, or none is.
    """
    found = latest_published(session, cycle) if round_id is None else session.get(Round, round_id)
    if round_id is not None and (found is None or found.cycle_id != cycle):
        raise RoundNotFound
    if found is None or found.state != "published":
        raise ResultsNotPublished
    return found


def published_round(session: Session, round_id: str) -> Round:
    """Return a round if it is published.

    Raises:
        RoundNotFound: if there is none of that id.
        ResultsNotPublished: if it is not published, or void.
    """
    found = read_round(session, round_id)
    if found.state != "published":
        raise ResultsNotPublished
    return found


def ticket_of(session: Session, applicant: Applicant) -> str:
    """Return an application's ticket: its child's tag."""
    return session.get_one(Child, applicant.child_id).tag.hex()


def placement_of(session: Session, round_: Round, ticket: str) -> PlacementOut | None:
    """Return the seat that a round gave a child."""
    row = session.execute(
        select(Placed.program_id, Program.name, School.id, School.name, Placed.seat_group, Placed.choice)
        .join(Program, Program.id == Placed.program_id)
        .join(School, School.id == Program.school_id)
        .where(Placed.round_id == round_.id, Placed.tag == ticket)
    ).one_or_none()
    if row is None:
        return None
    program, program_name, school, school_name, group, choice = row
    return PlacementOut(
        program=program,
        program_name=program_name,
        school=school,
        school_name=school_name,
        group=group,
        choice=choice,
    )


def excluded_from(session: Session, round_: Round, ticket: str) -> str | None:
    """Return why a child was not in a round, or None if it was."""
    if session.get(FrozenRow, (round_.id, ticket)) is not None:
        return None
    exclusion = session.get(Exclusion, (round_.id, ticket))
    return exclusion.reason if exclusion else "too-late"


def places_of(session: Session, round_: Round, ticket: str) -> list[WaitingOut]:
    """Return a child's places on waitlists, by program and group."""
    rows = session.execute(
        select(WaitingPlace.program_id, Program.name, WaitingPlace.seat_group, WaitingPlace.place, CutoffRow.waiting)
        .join(Program, Program.id == WaitingPlace.program_id)
        .join(
            CutoffRow,
            (CutoffRow.round_id == WaitingPlace.round_id)
            & (CutoffRow.program_id == WaitingPlace.program_id)
            & (CutoffRow.seat_group == WaitingPlace.seat_group),
        )
        .where(WaitingPlace.round_id == round_.id, WaitingPlace.tag == ticket)
        .order_by(WaitingPlace.program_id, WaitingPlace.seat_group)
    )
    return [
        WaitingOut(program=program, program_name=name, group=group, place=place, waiting=waiting)
        for program, name, group, place, waiting in rows
    ]


def placed_at(session: Session, round_: Round, program: str, code: str, *, named: bool) -> ApplicantsAt:
    """Return the children with a seat at a program, by group and ticket; their names are for their school."""
    rows = session.execute(
        select(Placed.tag, Placed.seat_group)
        .where(Placed.round_id == round_.id, Placed.program_id == program)
        .order_by(Placed.seat_group, Placed.tag)
    ).all()
    tickets = [tag for tag, _ in rows]
    stands = _standing_at(session, round_, program, tickets, code)
    partners, names = _who(session, round_.cycle_id, tickets)
    applicants = [
        PlacedAt(
            **stands(tag, group).model_dump(),
            child=names.get(tag) if named else None,
            partner=partners.get(tag),
        )
        for tag, group in rows
    ]
    by_class = Counter(one.priority_class for one in applicants)
    return ApplicantsAt(
        program=program, round=round_.id, by_class=dict(sorted(by_class.items())), applicants=applicants
    )


def previewed_at(session: Session, cycle: Cycle, program_id: str, code: str) -> ApplicantsAt:
    """Return who ranks a program now, with the class in which each stands by what counts now; nothing is decided."""
    rules = rules_of_program(session, cycle.id, program_id)
    if rules is None:
        return ApplicantsAt(program=program_id, round=None, by_class={}, applicants=[])
    program = read_back(rules.market)
    applicants = []
    for child in children_ranking(session, cycle, program_id):
        reached = next((one for one in program.priorities if one.when.holds(child, program.school, ())), None)
        applicants.append(
            PlacedAt(
                ticket=child.id,
                group=OPEN,
                priority_class=reached.name if reached else GENERAL,
                reason=_reason(reached, code),
                late=child.late,
                meets=program.eligible.holds(child, program.school, ()),
                child=None,
                partner=None,
            )
        )
    by_class = Counter(one.priority_class for one in applicants)
    return ApplicantsAt(program=program_id, round=None, by_class=dict(sorted(by_class.items())), applicants=applicants)


def _reason(reached: PriorityClass | None, code: str) -> str:
    say = in_language(code)
    if reached is None:
        return say(sentence("In none of the school's priority classes."))
    return say(sentence("A child who {condition}."), condition=condition_in_words(reached.when, Language(code)))


def waiting_at(session: Session, round_: Round, program: str, code: str) -> list[WaitsAt]:
    """Return a program's waitlists, by group and place."""
    rows = session.execute(
        select(WaitingPlace.tag, WaitingPlace.seat_group, WaitingPlace.place)
        .where(WaitingPlace.round_id == round_.id, WaitingPlace.program_id == program)
        .order_by(WaitingPlace.seat_group, WaitingPlace.place)
    ).all()
    stands = _standing_at(session, round_, program, sorted({tag for tag, _, _ in rows}), code)
    found = []
    for tag, group, place in rows:
        at = stands(tag, group)
        found.append(WaitsAt(ticket=tag, group=group, place=place, priority_class=at.priority_class, reason=at.reason))
    return found


def waiting_now_at(session: Session, cycle: str, program_id: str, code: str) -> list[WaitsAt]:
    """Return a program's live waitlists, by group and place."""
    rules = rules_of_program(session, cycle, program_id)
    if rules is None:
        return []
    program = read_back(rules.market)
    classes = {
        OPEN: {priority.name: priority for priority in program.priorities},
        **{reserve.name: {priority.name: priority for priority in reserve.priorities} for reserve in program.reserves},
    }
    return [
        WaitsAt(
            ticket=tag.hex(),
            group=row.seat_group,
            place=row.place,
            priority_class=row.priority_class or GENERAL,
            reason=_reason(classes.get(row.seat_group, {}).get(row.priority_class or GENERAL), code),
            drawn=row.drawn,
        )
        for row, tag in waiting_now(session, cycle, program_id)
    ]


def _standing_at(
    session: Session, round_: Round, program_id: str, tickets: Sequence[str], code: str
) -> Callable[[str, str], StandsAt]:
    """Return what says where a child stands at a group of a program, and why."""
    extract = extract_of(session, round_, tickets, program=program_id)
    market = extract.market
    draw = Draw(market, seed=extract.seed, seeds=seeds_before(session, round_))
    standings = Standings(market, draw, seats=extract.seats())
    applicants = {applicant.id: applicant for applicant in market.applicants}
    program = next(program for program in market.programs if program.id == program_id)
    school_of = {one.id: one.school for one in market.programs}
    siblings = PlacedSiblings(
        market, ((applicants[one.applicant], school_of[one.program]) for one in extract.placements)
    )
    groups = standings.groups[program_id]

    def stands(ticket: str, group_name: str) -> StandsAt:
        place = program.precedence.index(group_name)
        applicant, group = applicants[ticket], groups[place]
        standing = standings.at(applicant, program, siblings.schools(applicant))[place]
        if not isinstance(standing, Standing):
            raise ValueError("a child stands where it is not considered")  # noqa: TRY004 - of the data, not of a type
        reached = group.priorities[standing.priority : standing.priority + 1]
        return StandsAt(
            ticket=ticket,
            group=group_name,
            priority_class=reached[0].name if reached else GENERAL,
            reason=_reason(reached[0] if reached else None, code),
            late=standings.counts_as_late(applicant, program),
            meets=not standing.not_met,
        )

    return stands


def _who(session: Session, cycle: str, tickets: Sequence[str]) -> tuple[Mapping[str, str], Mapping[str, NameOut]]:
    rows = session.execute(
        select(Child.tag, Applicant.partner_id, Person.given_name, Person.family_name, Person.birth_date)
        .join(Applicant, Applicant.child_id == Child.id)
        .join(Person, Person.applicant_id == Applicant.id)
        .where(
            Child.cycle_id == cycle,
            Child.tag.in_([bytes.fromhex(ticket) for ticket in tickets]),
            Applicant.withdrawn_at.is_(None),
        )
    ).all()
    return (
        {tag.hex(): partner for tag, partner, *_ in rows},
        {
            tag.hex(): NameOut(given_name=given, family_name=family, birth_date=born.isoformat())
            for tag, _, given, family, born in rows
        },
    )


def cutoffs_shown(session: Session, round_: Round) -> list[CutoffOut]:
    """Return a round's cutoffs as they are published: small cells hidden, numbers cut short."""
    rows = session.scalars(
        select(CutoffRow)
        .where(CutoffRow.round_id == round_.id)
        .order_by(CutoffRow.program_id.collate("C"), CutoffRow.seat_group.collate("C"))
    ).all()
    filled = suppress({(row.program_id, row.seat_group): row.filled for row in rows})
    waiting = suppress({(row.program_id, row.seat_group): row.waiting for row in rows})
    return [
        CutoffOut(
            program=row.program_id,
            group=row.seat_group,
            seats=row.seats,
            filled=filled[row.program_id, row.seat_group],
            waiting=waiting[row.program_id, row.seat_group],
            last=_last_shown(row) if filled[row.program_id, row.seat_group] is not None else None,
        )
        for row in rows
    ]


def _last_shown(row: CutoffRow) -> LastOut | None:
    last = last_of(row)
    if last is None or row.filled < SMALLEST:
        return None
    return LastOut(
        holder=last.holder,
        meets=last.meets,
        late=last.late,
        priority_class=last.class_,
        number=last.number[:DIGITS] if last.number else None,
        position=last.position,
    )


def report_shown(round_: Round) -> ReportOut:
    """Return a round's report as it is published: small cells hidden.

    Raises:
        ReportUnreadable: if the stored report has another form than is written.
    """
    try:
        return _report_shown(round_)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ReportUnreadable from None


def _report_shown(round_: Round) -> ReportOut:
    report = json.loads(json.dumps(round_.report))
    choices = suppress({one["choice"]: one["applicants"] for one in report["by_choice"]})
    grades = {one["name"]: one for one in report["by_grade"]}
    few_left = {name for name, one in grades.items() if 0 < one["applicants"] - one["placed"] < SMALLEST}
    applicants = suppress({name: one["applicants"] for name, one in grades.items()})
    placed = suppress({name: one["placed"] for name, one in grades.items()}, telling=few_left)
    first_choice = suppress({name: one["first_choice"] for name, one in grades.items()})
    return ReportOut(
        round=round_.id,
        applicants=report["applicants"],
        placed=report["placed"],
        unplaced=report["unplaced"],
        seats=report["seats"],
        by_choice=[ChoiceOut(choice=choice, applicants=number) for choice, number in choices.items()],
        by_grade=[
            GradeReportOut(
                grade=name,
                applicants=applicants[name],
                placed=placed[name],
                first_choice=first_choice[name],
                seats=one["seats"],
            )
            for name, one in grades.items()
        ],
    )


def in_a_sentence(placement: PlacementOut | None, excluded: str | None, say: Say) -> str:
    """Say a result in one sentence."""
    if excluded is not None:
        return say(EXCLUDED[excluded])
    return say(PLACED, program=placement.program_name) if placement else say(NOT_PLACED)


def published_time(round_: Round) -> datetime:
    """Return when a published round was published."""
    if round_.published_at is None:
        raise ValueError("a published round has the time at which it was")
    return round_.published_at
