"""Placements outside the lottery: a reason, a document, two administrators, an entry, and a public count."""

import uuid

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.two_people import refuse_second_person
from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.locks import CycleNow, lock_cycle_between_rounds, rfc3339
from enrollment.cycles.models import Cycle
from enrollment.directory.models import Program
from enrollment.directory.offerings import lock_programs
from enrollment.notify.notices import NewNotice, notify
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.rankings.versions import Ranker, lock_ranker_of
from enrollment.rules.in_force import rules_of_program
from enrollment.rules.to_market import read_back
from enrollment.seats.models import Offer, OutsidePlacement
from enrollment.seats.offers import live_offer
from enrollment.seats.publish_offers import REPLACED, remind_at
from enrollment.seats.schemas import IN_ANY_SEASON, PlacementCount, PlacementCounts, PlacementIn
from enrollment.seats.seat_log import NONE, OUTSIDE, Change, Seat, tell_change, tell_placement
from enrollment.seats.vacancies import (
    Decision,
    Opened,
    fill,
    free_seats,
    open_seats,
    take_seat,
    tell,
)

CLASS = "outside-the-lottery"
"""In the ledger, of a seat that no round filled."""


class PlacementRefused(Conflict):
    """A placement of a child or to a program that does not fit."""

    title = sentence("The child cannot be placed so")
    detail = sentence("Correct what is listed and ask again; nothing was stored.")


class TransfersFrozen(Conflict):
    """A transfer while transfers are frozen."""

    title = sentence("Transfers are frozen")
    detail = sentence(
        "From {opens} until {until} a child changes schools outside the lottery for a hardship, for its safety or by a "
        "court's order only."
    )


class NoSeatFree(Conflict):
    """A placement where no seat is free, and none may be added."""

    title = sentence("No seat is free there")
    detail = sentence("Say beyond_seats if a seat is to be added for this child; it is counted in public.")


class PlacementDecided(Conflict):
    """A placement that was approved or refused already."""

    title = sentence("The placement was decided on already")
    detail = sentence("GET /v1/cycles/{cycle}/placements lists those that still wait.")


class PlacementAsked(Conflict):
    """Another placement of the same child waits."""

    title = sentence("A placement of this child waits already")
    detail = sentence("Have it approved or refused first.")


class OwnPlacement(Conflict):
    """Somebody would approve what they asked for."""

    title = sentence("A placement is approved by somebody else than who asked for it")
    detail = sentence("Ask another administrator.")


def ask_for_placement(session: Session, body: PlacementIn, *, staff: Staff) -> OutsidePlacement:
    """Ask for a placement, as the first administrator; nothing changes before a second one approves it.

    Raises:
        CycleNotFound: if there is no such cycle.
        RoundRunning: if a round is frozen.
        PlacementRefused: naming what does not fit.
        TransfersFrozen, PlacementAsked: as they say.
    """
    held = lock_cycle_between_rounds(session, body.cycle)
    ranker, program = _fitting(session, held.cycle, body)
    _refuse_frozen(session, held, ranker, program, body.reason_code)
    asked = insert(OutsidePlacement).values(
        id=uuid.uuid4(),
        cycle_id=held.cycle.id,
        child_id=ranker.child_id,
        program_id=program.id,
        school_id=program.school_id,
        seat_group=body.group,
        reason_code=body.reason_code,
        document=body.document,
        beyond_seats=body.beyond_seats,
        status="asked",
        asked_by=staff.id,
        asked_at=held.now,
    )
    placement = session.scalars(asked.on_conflict_do_nothing().returning(OutsidePlacement)).one_or_none()
    if placement is None:
        raise PlacementAsked
    return placement


def _fitting(session: Session, cycle: Cycle, body: PlacementIn) -> tuple[Ranker, Program]:
    faults: list[Fault] = []
    child = session.scalar(
        select(Child.id).where(Child.cycle_id == cycle.id, func.encode(Child.tag, "hex") == body.ticket)
    )
    ranker = lock_ranker_of(session, child) if child else None
    if ranker is None:
        faults.append(Fault("/ticket", "unknown-ticket", sentence("is of no live application in this cycle")))
    groups = _groups(session, cycle, body.program)
    program = session.get(Program, body.program) if groups else None
    if program is None:
        detail = sentence("is no program that takes part in this cycle")
        faults.append(Fault("/program", "unknown-program", detail))
    else:
        if body.group not in groups:
            faults.append(Fault("/group", "unknown-group", sentence("is no seat group of the program")))
        if ranker and program.grade != ranker.grade:
            detail = sentence("is of grade {its}, and the child is for {grade}")
            faults.append(Fault("/program", "other-grade", detail, {"its": program.grade, "grade": ranker.grade}))
        offer = live_offer(session, ranker.child_id) if ranker else None
        if offer and offer.program_id == program.id:
            faults.append(Fault("/program", "held-already", sentence("is where the child holds a seat already")))
    if ranker is None or program is None or faults:
        raise PlacementRefused(faults=faults)
    return ranker, program


def _refuse_frozen(session: Session, held: CycleNow, ranker: Ranker, program: Program, reason: str) -> None:
    """Refuse a transfer in the window in which transfers are frozen, unless its reason is one of those that may be."""
    opens, until = held.cycle.transfers_frozen_from, held.cycle.transfers_frozen_until
    if opens is None or until is None or not opens <= held.now < until or reason in IN_ANY_SEASON:
        return
    attends = session.scalar(select(Applicant.attends).where(Applicant.id == ranker.id))
    leaves_a_school = live_offer(session, ranker.child_id) is not None or attends not in (None, program.school_id)
    if leaves_a_school or reason == "transfer":
        raise TransfersFrozen(opens=rfc3339(opens), until=rfc3339(until))


def approve_placement(session: Session, placement_id: uuid.UUID, *, staff: Staff, reason: str) -> OutsidePlacement:
    """Approve a placement, as the second administrator: the child has the seat at once.

    A seat that it held opens; the one that it gets is taken from the ledger, or added where the placement says so.

    Raises:
        NotFound: if there is none.
        RoundRunning: if a round is frozen.
        PlacementDecided, OwnPlacement, TransfersFrozen, NoSeatFree, PlacementRefused: as they say.
        AccountConfirmedLater, SponsorCannotApprove: to an account that may be the first administrator's.
    """
    placement, held, ranker = _hold(session, placement_id)
    refuse_second_person(session, staff.id, asked_by=placement.asked_by, begun_at=placement.asked_at, same=OwnPlacement)
    program = session.get_one(Program, placement.program_id)
    former = live_offer(session, placement.child_id)
    _refuse_unfit(session, held, placement, ranker, program, former)
    if ranker is None:
        raise NotFound
    _refuse_frozen(session, held, ranker, program, placement.reason_code)
    lock_programs(session, held.cycle.id, sorted({program.id, *([former.program_id] if former else [])}))
    actor = staff.actor_for(RoleKind.ADMINISTRATOR)
    _take(session, held, placement, actor=actor)
    if former is not None:
        _leave(session, held, former, ranker, placement, actor=actor)
    offer = _give(session, held, placement, ranker)
    placement.status, placement.decided_by, placement.decided_at = "approved", staff.id, held.now
    placement.decision_reason, placement.offer_id = reason, offer.id
    seat = Seat(held.cycle.id, placement.child_id, ranker.tag.hex(), program.id, placement.seat_group)
    change = Change(NONE, "accepted", OUTSIDE, placement.reason_code, actor, held.now)
    tell_placement(session, seat, change, school=program.school_id, asked=placement.asked_by, approved=staff.id)
    session.execute(update(Child).where(Child.id == placement.child_id).values(seat_grade=program.grade))
    session.flush()
    return placement


def refuse_placement(session: Session, placement_id: uuid.UUID, *, staff: Staff, reason: str) -> OutsidePlacement:
    """Refuse a placement, or take one back that was asked for.

    Raises:
        NotFound: if there is none.
        PlacementDecided: if it was decided on before.
    """
    placement, held, _ = _hold(session, placement_id)
    placement.status, placement.decided_by, placement.decided_at = "refused", staff.id, held.now
    placement.decision_reason = reason
    session.flush()
    return placement


def _hold(session: Session, placement_id: uuid.UUID) -> tuple[OutsidePlacement, CycleNow, Ranker | None]:
    """Lock a placement's cycle, its child, and the placement, in this order; return also who ranks."""
    found = session.execute(
        select(OutsidePlacement.cycle_id, OutsidePlacement.child_id).where(OutsidePlacement.id == placement_id)
    ).one_or_none()
    if found is None:
        raise NotFound
    held = lock_cycle_between_rounds(session, found.cycle_id)
    ranker = lock_ranker_of(session, found.child_id)
    locked = {"key_share": True}
    placement = session.get_one(OutsidePlacement, placement_id, with_for_update=locked, populate_existing=True)
    if placement.status != "asked":
        raise PlacementDecided(cycle=found.cycle_id)
    return placement, held, ranker


def _refuse_unfit(
    session: Session,
    held: CycleNow,
    placement: OutsidePlacement,
    ranker: Ranker | None,
    program: Program,
    former: Offer | None,
) -> None:
    """Refuse what no longer fits: much may have happened since it was asked for."""
    faults = []
    if ranker is None:
        faults.append(Fault("", "withdrawn", sentence("the child's application was withdrawn")))
    elif ranker.grade != program.grade:
        faults.append(Fault("", "other-grade", sentence("the child applies for another grade now")))
    if former is not None and former.program_id == program.id:
        faults.append(Fault("", "held-already", sentence("the child holds a seat there already")))
    if placement.seat_group not in _groups(session, held.cycle, program.id):
        faults.append(Fault("", "unknown-program", sentence("the program, or its seat group, does not take part now")))
    if faults:
        raise PlacementRefused(faults=faults)


def _groups(session: Session, cycle: Cycle, program: str) -> tuple[str, ...]:
    """Return the seat groups of a program that takes part; none, if it does not."""
    rules = rules_of_program(session, cycle.id, program)
    return read_back(rules.market).precedence if rules else ()


def _take(session: Session, held: CycleNow, placement: OutsidePlacement, *, actor: str) -> None:
    """Take a free seat from the ledger, or add one. Before the main round there is no ledger yet to take one from."""
    cycle, program = held.cycle.id, placement.program_id
    if held.cycle.main_round is None:
        return
    free = free_seats(session, cycle, [program]).get(program, [])
    if not free:
        if not placement.beyond_seats:
            raise NoSeatFree
        open_seats(session, cycle, [Opened(program, placement.seat_group, "seats-added")], held.now, actor=actor)
        free = free_seats(session, cycle, [program])[program]
    vacancy = take_seat(free, placement.seat_group)
    decision = Decision(held.now, None, None)
    told = fill(vacancy, group=placement.seat_group, priority_class=CLASS, decision=decision)
    tell(session, cycle, [told], actor=actor)


def _leave(
    session: Session, held: CycleNow, former: Offer, ranker: Ranker, placement: OutsidePlacement, *, actor: str
) -> None:
    """Close the offer of the seat that the child leaves, and open a vacancy for it."""
    seat = Seat(held.cycle.id, former.child_id, ranker.tag.hex(), former.program_id, former.seat_group)
    change = Change(former.status, REPLACED, "withdraw", placement.reason_code, actor, held.now)
    tell_change(session, seat, change)
    former.status, former.closed_at = REPLACED, held.now
    former.version += 1
    session.flush()
    if held.cycle.main_round is not None:
        opened = [Opened(former.program_id, former.seat_group, "outside")]
        open_seats(session, held.cycle.id, opened, held.now, actor=actor)


def _give(session: Session, held: CycleNow, placement: OutsidePlacement, ranker: Ranker) -> Offer:
    offer = Offer(
        id=uuid.uuid4(),
        cycle_id=held.cycle.id,
        child_id=placement.child_id,
        program_id=placement.program_id,
        seat_group=placement.seat_group,
        priority_class=CLASS,
        choice=None,
        source="outside",
        round_id=None,
        made_at=held.now,
        answer_by=held.now,
        remind_at=remind_at(held.now, held.now),
        status="accepted",
        closed_at=held.now,
        version=1,
    )
    session.add(offer)
    session.flush()
    partner, reference = session.execute(
        select(Applicant.partner_id, Applicant.reference).where(Applicant.id == ranker.id)
    ).one()
    about = {"offer": str(offer.id), "reference": reference, "answer_by": rfc3339(held.now)}
    notify(session, [NewNotice(held.cycle.id, partner, "offer.made", str(offer.id), about)])
    return offer


def placements_of(cycle: str, status: str | None) -> Select[OutsidePlacement, bytes]:
    """Select a cycle's placements outside the lottery with the children's tags."""
    asked = (
        select(OutsidePlacement, Child.tag)
        .join(Child, Child.id == OutsidePlacement.child_id)
        .where(OutsidePlacement.cycle_id == cycle)
    )
    return asked if status is None else asked.where(OutsidePlacement.status == status)


def count_placements(session: Session, cycle: str) -> PlacementCounts:
    """Count approved placements outside the lottery by school, and by reason for the whole city."""
    approved = (OutsidePlacement.cycle_id == cycle, OutsidePlacement.status == "approved")
    beyond = func.count().filter(OutsidePlacement.beyond_seats)
    schools = session.execute(
        select(OutsidePlacement.school_id, func.count(), beyond)
        .where(*approved)
        .group_by(OutsidePlacement.school_id)
        .order_by(OutsidePlacement.school_id)
    )
    reasons = session.execute(
        select(OutsidePlacement.reason_code, func.count())
        .where(*approved)
        .group_by(OutsidePlacement.reason_code)
        .order_by(OutsidePlacement.reason_code)
    )
    return PlacementCounts(
        cycle=cycle,
        data=[
            PlacementCount(school=school, placements=number, beyond_seats=added) for school, number, added in schools
        ],
        by_reason=dict(reasons.all()),
    )
