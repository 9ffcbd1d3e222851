"""Approve, refuse, list and count administrative placements: seats that children get outside the lottery."""

import uuid

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.two_people import refuse_second_person
from enrollment.applicants.models import Child
from enrollment.cycles.locks import CycleNow, lock_cycle_between_rounds
from enrollment.directory.models import Program
from enrollment.directory.offerings import lock_programs
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.rankings.versions import Ranker, lock_ranker_of
from enrollment.seats.models import Offer, OutsidePlacement
from enrollment.seats.offer_notices import notify_of_offers
from enrollment.seats.offers import live_offer
from enrollment.seats.placement_requests import PlacementRefused, groups_of, refuse_frozen_transfer
from enrollment.seats.publish_offers import REPLACED
from enrollment.seats.reminders import remind_at
from enrollment.seats.seat_log import NONE, OUTSIDE, Change, Seat, log_change, log_placement
from enrollment.seats.vacancies import (
    OUTSIDE_CLASS,
    Decision,
    NewVacancy,
    fill,
    free_seats,
    log_decisions,
    open_vacancies,
    take_seat,
)


class NoSeatFree(Conflict):
    """No seat is free, and the request does not add one."""

    title = sentence("No free seat")
    detail = sentence(
        "To add a seat for this child, request a new placement with beyond_seats. Added seats are counted in public."
    )


class PlacementDecided(Conflict):
    """The placement was already approved or refused."""

    title = sentence("Placement already decided")
    detail = sentence("GET /v1/cycles/{cycle}/placements lists the placements that are still waiting.")


class OwnPlacement(Conflict):
    """Administrators cannot approve their own requests."""

    title = sentence("Second administrator needed")
    detail = sentence("You requested this placement. Ask another administrator to approve it.")


def approve_placement(session: Session, placement_id: uuid.UUID, *, staff: Staff, reason: str) -> OutsidePlacement:
    """Approve a placement, as the second administrator. The child gets the seat at once.

    The child's former seat, if any, opens. The new seat comes from the ledger, or is added if the request says so.

    Raises:
        NotFound: if the placement does not exist.
        RoundRunning: if a round is frozen.
        PlacementDecided, OwnPlacement, TransfersFrozen, NoSeatFree, PlacementRefused: as they say.
        AccountConfirmedLater, SponsorCannotApprove: if the approver's account may belong to the first administrator.
    """
    placement, cycle_now, ranker = _lock_placement(session, placement_id)
    refuse_second_person(session, staff.id, asked_by=placement.asked_by, begun_at=placement.asked_at, same=OwnPlacement)
    program = session.get_one(Program, placement.program_id)
    former = live_offer(session, placement.child_id)
    _refuse_unfit(session, cycle_now, placement, ranker, program, former)
    if ranker is None:
        raise NotFound
    refuse_frozen_transfer(session, cycle_now, ranker, program, placement.reason_code)
    lock_programs(session, cycle_now.cycle.id, sorted({program.id, *([former.program_id] if former else [])}))
    actor = staff.actor_for(RoleKind.ADMINISTRATOR)
    _fill_vacancy(session, cycle_now, placement, actor=actor)
    if former is not None:
        _close_former_offer(session, cycle_now, former, ranker, placement, actor=actor)
    offer = _make_offer(session, cycle_now, placement)
    placement.status, placement.decided_by, placement.decided_at = "approved", staff.id, cycle_now.now
    placement.decision_reason, placement.offer_id = reason, offer.id
    seat = Seat(cycle_now.cycle.id, placement.child_id, ranker.tag.hex(), program.id, placement.seat_group)
    change = Change(NONE, "accepted", OUTSIDE, placement.reason_code, actor, cycle_now.now)
    log_placement(
        session, seat, change, school=program.school_id, requested_by=placement.asked_by, approved_by=staff.id
    )
    session.execute(update(Child).where(Child.id == placement.child_id).values(seat_grade=program.grade))
    session.flush()
    return placement


def refuse_placement(session: Session, placement_id: uuid.UUID, *, staff: Staff, reason: str) -> OutsidePlacement:
    """Refuse a placement, or take back your own request.

    Raises:
        NotFound: if the placement does not exist.
        PlacementDecided: if the placement was already decided.
    """
    placement, cycle_now, _ = _lock_placement(session, placement_id)
    placement.status, placement.decided_by, placement.decided_at = "refused", staff.id, cycle_now.now
    placement.decision_reason = reason
    session.flush()
    return placement


def _lock_placement(session: Session, placement_id: uuid.UUID) -> tuple[OutsidePlacement, CycleNow, Ranker | None]:
    """Lock a placement's cycle, its child, and the placement, in this order. Return the child's application too."""
    found = session.execute(
        select(OutsidePlacement.cycle_id, OutsidePlacement.child_id).where(OutsidePlacement.id == placement_id)
    ).one_or_none()
    if found is None:
        raise NotFound
    cycle_now = lock_cycle_between_rounds(session, found.cycle_id)
    ranker = lock_ranker_of(session, found.child_id)
    lock = {"key_share": True}
    placement = session.get_one(OutsidePlacement, placement_id, with_for_update=lock, populate_existing=True)
    if placement.status != "asked":
        raise PlacementDecided(cycle=found.cycle_id)
    return placement, cycle_now, ranker


def _refuse_unfit(
    session: Session,
    cycle_now: CycleNow,
    placement: OutsidePlacement,
    ranker: Ranker | None,
    program: Program,
    former: Offer | None,
) -> None:
    """Refuse a placement that no longer fits, because something changed since the request.

    Raises:
        PlacementRefused: listing each problem.
    """
    faults = []
    if ranker is None:
        faults.append(Fault("", "withdrawn", sentence("the child's application was withdrawn")))
    elif ranker.grade != program.grade:
        faults.append(Fault("", "other-grade", sentence("the child now applies for another grade")))
    if former is not None and former.program_id == program.id:
        faults.append(Fault("", "held-already", sentence("the child already holds a seat at this program")))
    if placement.seat_group not in groups_of(session, cycle_now.cycle, program.id):
        detail = sentence("the program or its seat group no longer takes part")
        faults.append(Fault("", "unknown-program", detail))
    if faults:
        raise PlacementRefused(faults=faults)


def _fill_vacancy(session: Session, cycle_now: CycleNow, placement: OutsidePlacement, *, actor: str) -> None:
    """Fill a free seat in the ledger, or add a seat and fill it. Before the main round there is no ledger yet.

    Raises:
        NoSeatFree: if no seat is free and the request does not add one.
    """
    cycle, program = cycle_now.cycle.id, placement.program_id
    if cycle_now.cycle.main_round is None:
        return
    free = free_seats(session, cycle, [program]).get(program, [])
    if not free:
        if not placement.beyond_seats:
            raise NoSeatFree
        added = [NewVacancy(program, placement.seat_group, "seats-added")]
        open_vacancies(session, cycle, added, cycle_now.now, actor=actor)
        free = free_seats(session, cycle, [program])[program]
    vacancy = take_seat(free, placement.seat_group)
    decision = Decision(cycle_now.now, None, None)
    entry = fill(vacancy, group=placement.seat_group, priority_class=OUTSIDE_CLASS, decision=decision)
    log_decisions(session, cycle, [entry], actor=actor)


def _close_former_offer(
    session: Session, cycle_now: CycleNow, former: Offer, ranker: Ranker, placement: OutsidePlacement, *, actor: str
) -> None:
    """Close the offer for the seat that the child leaves, and open a vacancy for the seat."""
    seat = Seat(cycle_now.cycle.id, former.child_id, ranker.tag.hex(), former.program_id, former.seat_group)
    change = Change(former.status, REPLACED, "withdraw", placement.reason_code, actor, cycle_now.now)
    log_change(session, seat, change)
    former.status, former.closed_at = REPLACED, cycle_now.now
    former.version += 1
    session.flush()
    if cycle_now.cycle.main_round is not None:
        vacancy = NewVacancy(former.program_id, former.seat_group, "outside")
        open_vacancies(session, cycle_now.cycle.id, [vacancy], cycle_now.now, actor=actor)


def _make_offer(session: Session, cycle_now: CycleNow, placement: OutsidePlacement) -> Offer:
    """Make the accepted offer of a placement, and notify the partner."""
    offer = Offer(
        id=uuid.uuid4(),
        cycle_id=cycle_now.cycle.id,
        child_id=placement.child_id,
        program_id=placement.program_id,
        seat_group=placement.seat_group,
        priority_class=OUTSIDE_CLASS,
        choice=None,
        source="outside",
        round_id=None,
        made_at=cycle_now.now,
        answer_by=cycle_now.now,
        remind_at=remind_at(cycle_now.now, cycle_now.now),
        status="accepted",
        closed_at=cycle_now.now,
        version=1,
    )
    session.add(offer)
    session.flush()
    notify_of_offers(session, cycle_now.cycle, Offer.id == offer.id)
    return offer


def placement_tag(session: Session, placement: OutsidePlacement) -> bytes:
    """Return the tag of the child of a placement."""
    return session.get_one(Child, placement.child_id).tag


def select_placements(cycle: str, status: str | None) -> Select[OutsidePlacement, bytes]:
    """Select a cycle's placements with the children's tags."""
    query = (
        select(OutsidePlacement, Child.tag)
        .join(Child, Child.id == OutsidePlacement.child_id)
        .where(OutsidePlacement.cycle_id == cycle)
    )
    return query if status is None else query.where(OutsidePlacement.status == status)


def count_by_school(session: Session, cycle: str) -> list[tuple[str, int, int]]:
    """Return each school's number of approved placements, and how many of them added a seat."""
    rows = session.execute(
        select(OutsidePlacement.school_id, func.count(), func.count().filter(OutsidePlacement.beyond_seats))
        .where(OutsidePlacement.cycle_id == cycle, OutsidePlacement.status == "approved")
        .group_by(OutsidePlacement.school_id)
        .order_by(OutsidePlacement.school_id)
    )
    return [(school, number, added) for school, number, added in rows]


def count_by_round(session: Session, cycle: str) -> dict[str, int]:
    """Return the number of approved placements that mend each published round."""
    rows = session.execute(
        select(OutsidePlacement.mends_round, func.count())
        .where(
            OutsidePlacement.cycle_id == cycle,
            OutsidePlacement.status == "approved",
            OutsidePlacement.mends_round.is_not(None),
        )
        .group_by(OutsidePlacement.mends_round)
        .order_by(OutsidePlacement.mends_round)
    )
    return {round_: number for round_, number in rows if round_ is not None}


def count_by_reason(session: Session, cycle: str) -> dict[str, int]:
    """Return the number of approved placements of the whole city by reason."""
    rows = session.execute(
        select(OutsidePlacement.reason_code, func.count())
        .where(OutsidePlacement.cycle_id == cycle, OutsidePlacement.status == "approved")
        .group_by(OutsidePlacement.reason_code)
        .order_by(OutsidePlacement.reason_code)
    )
    return dict(rows.all())
