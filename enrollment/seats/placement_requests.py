"""Request an administrative placement: a seat for a child outside the lottery, with a reason and a document."""

import uuid
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.access.callers import Staff
from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.locks import CycleNow, in_zone, lock_cycle_between_rounds
from enrollment.cycles.models import Cycle
from enrollment.directory.models import Program
from enrollment.field_types import Id, Text, Wire
from enrollment.problems import Conflict, Fault, MalformedBody, listed, sentence
from enrollment.rankings.versions import Ranker, lock_ranker_of
from enrollment.rules.in_force import rules_of_program
from enrollment.rules.to_market import read_back
from enrollment.seats.models import OutsidePlacement
from enrollment.seats.offers import live_offer

ReasonCode = Literal[
    "court-order",
    "safety",
    "hardship",
    "special-education",
    "present-seat",
    "administrative-error",
    "round-error",
    "transfer",
]
"""Why a child is placed outside the lottery."""

ALLOWED_WHILE_FROZEN = frozenset({"court-order", "safety", "hardship"})
"""Reasons for which a child may change schools while transfers are frozen."""


class PlacementIn(Wire):
    """A request for an administrative placement."""

    cycle: Id
    ticket: Annotated[Id, Field(description="The child's ticket, as the application shows it.")]
    program: Id
    group: Annotated[Id, Field(description="The seat group.")] = "open"
    reason_code: ReasonCode
    document: Annotated[
        Text,
        Field(description="Where the document is filed. Do not name the child.", examples=["Court file 12-77"]),
    ]
    beyond_seats: Annotated[
        bool, Field(description="Whether to add a seat if no seat is free. Added seats are counted in public.")
    ] = False
    mends_round: Annotated[
        Id | None,
        Field(
            description="The published round that placed the child wrongly. Required with the reason `round-error`, "
            "and only with that reason. Placements that mend a round are counted in public.",
        ),
    ] = None


class RoundToMendNeeded(MalformedBody):
    """The reason and the round to mend do not fit together."""

    title = sentence("Round to mend needed")
    detail = sentence(
        "Send mends_round, the id of the published round, exactly when reason_code is round-error. "
        "GET /v1/cycles/{cycle}/rounds lists the rounds."
    )


class PlacementRefused(Conflict):
    """The child cannot be placed at the program."""

    title = sentence("Placement not possible")
    detail = sentence("Correct each listed problem and send the request again. Nothing was stored.")


class TransfersFrozen(Conflict):
    """Transfers are frozen."""

    title = sentence("Transfers are frozen")
    detail = sentence(
        "From {opens} until {until}, a child can change schools outside the lottery only for hardship, for safety, or "
        "by court order. Use one of these reasons, or send the request after that time."
    )


class PlacementAsked(Conflict):
    """Another placement of the child is waiting for a decision."""

    title = sentence("Placement already requested")
    detail = sentence("Another placement of this child is waiting. Approve or refuse that placement first.")


def request_placement(session: Session, body: PlacementIn, *, staff: Staff) -> OutsidePlacement:
    """Request a placement, as the first administrator. Nothing changes until a second administrator approves.

    Raises:
        CycleNotFound: if the cycle does not exist.
        RoundRunning: if a round is frozen.
        RoundToMendNeeded: if the reason is a round's error and no round is named, or the reverse.
        PlacementRefused: listing each problem.
        TransfersFrozen: if the reason does not allow a transfer now.
        PlacementAsked: if another placement of the child is waiting.
    """
    if (body.reason_code == "round-error") != (body.mends_round is not None):
        detail = sentence("does not fit reason_code; name a round exactly when the reason is round-error")
        raise RoundToMendNeeded(faults=[Fault("/mends_round", "round-to-mend", detail)], cycle=body.cycle)
    cycle_now = lock_cycle_between_rounds(session, body.cycle)
    ranker, program = _checked(session, cycle_now.cycle, body)
    refuse_frozen_transfer(session, cycle_now, ranker, program, body.reason_code)
    request = insert(OutsidePlacement).values(
        id=uuid.uuid4(),
        cycle_id=cycle_now.cycle.id,
        child_id=ranker.child_id,
        program_id=program.id,
        school_id=program.school_id,
        seat_group=body.group,
        reason_code=body.reason_code,
        document=body.document,
        beyond_seats=body.beyond_seats,
        mends_round=body.mends_round,
        status="asked",
        asked_by=staff.id,
        asked_at=cycle_now.now,
    )
    placement = session.scalars(request.on_conflict_do_nothing().returning(OutsidePlacement)).one_or_none()
    if placement is None:
        raise PlacementAsked
    return placement


def _checked(session: Session, cycle: Cycle, body: PlacementIn) -> tuple[Ranker, Program]:
    """Return the locked application and the program of a request.

    Raises:
        PlacementRefused: listing each problem.
    """
    faults: list[Fault] = []
    ranker = _lock_application(session, cycle, body.ticket)
    if ranker is None:
        detail = sentence("does not match an active application in this cycle")
        faults.append(Fault("/ticket", "unknown-ticket", detail))
    groups = groups_of(session, cycle, body.program)
    program = session.get(Program, body.program) if groups else None
    if program is None:
        detail = sentence("must be a program that takes part in this cycle")
        faults.append(Fault("/program", "unknown-program", detail))
    else:
        if body.group not in groups:
            detail = sentence("must be a seat group of the program: {allowed}")
            faults.append(Fault("/group", "unknown-group", detail, {"allowed": listed(groups)}))
        if ranker:
            faults += _misfits(session, ranker, program)
    if ranker is None or program is None or faults:
        raise PlacementRefused(faults=faults)
    return ranker, program


def _lock_application(session: Session, cycle: Cycle, ticket: str) -> Ranker | None:
    child = session.scalar(select(Child.id).where(Child.cycle_id == cycle.id, func.encode(Child.tag, "hex") == ticket))
    return lock_ranker_of(session, child) if child else None


def _misfits(session: Session, ranker: Ranker, program: Program) -> list[Fault]:
    """Return why a child does not fit a program."""
    faults = []
    if program.grade != ranker.grade:
        detail = sentence("is for grade {its}, but the child applies for grade {grade}")
        faults.append(Fault("/program", "other-grade", detail, {"its": program.grade, "grade": ranker.grade}))
    offer = live_offer(session, ranker.child_id)
    if offer and offer.program_id == program.id:
        detail = sentence("is the program where the child already holds a seat")
        faults.append(Fault("/program", "held-already", detail))
    return faults


def refuse_frozen_transfer(
    session: Session, cycle_now: CycleNow, ranker: Ranker, program: Program, reason_code: str
) -> None:
    """Refuse a transfer while transfers are frozen, unless the reason allows the transfer.

    Raises:
        TransfersFrozen: if the reason does not allow a transfer now.
    """
    opens, until = cycle_now.cycle.transfers_frozen_from, cycle_now.cycle.transfers_frozen_until
    if opens is None or until is None or not opens <= cycle_now.now < until or reason_code in ALLOWED_WHILE_FROZEN:
        return
    attends = session.scalar(select(Applicant.attends).where(Applicant.id == ranker.id))
    leaves_a_school = live_offer(session, ranker.child_id) is not None or attends not in (None, program.school_id)
    if leaves_a_school or reason_code == "transfer":
        raise TransfersFrozen(opens=in_zone(cycle_now.cycle, opens), until=in_zone(cycle_now.cycle, until))


def groups_of(session: Session, cycle: Cycle, program: str) -> tuple[str, ...]:
    """Return a program's seat groups; none if the program does not take part."""
    rules = rules_of_program(session, cycle.id, program)
    return read_back(rules.market).precedence if rules else ()
