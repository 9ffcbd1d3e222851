"""Rounds: the steps of administrators, and what everybody can see."""

import uuid
from datetime import timedelta
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Path, Query, Request, status
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import AnyStaff, PresentToPublish, PresentToRunRounds, Publishes, ReadsRecords, RunsRounds
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.api.schemas.rounds import (
    DrawIn,
    FreezeIn,
    RehearsalOut,
    RoundCalendarOut,
    RoundIn,
    RoundOut,
    RoundReviewOut,
    RoundSeatOut,
    VoidIn,
)
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.own_programs import programs_seen
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.jobs import is_waiting
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.rounds.calendar import CalendarIn, approve_calendar, ask_for_calendar, live_calendar, stop_calendar
from enrollment.rounds.creation import make_round
from enrollment.rounds.draw import draw
from enrollment.rounds.freeze import freeze
from enrollment.rounds.frozen_market import count_exclusions
from enrollment.rounds.locks import lock_round, lock_round_and_cycle, read_round, select_rounds
from enrollment.rounds.match_job import MATCH, ask_for_match
from enrollment.rounds.models import Rehearsal, Round, RoundCalendar
from enrollment.rounds.publication import publish_in_person
from enrollment.rounds.readiness import ReadinessOut, readiness
from enrollment.rounds.rehearsal import (
    ASK_ADMINISTRATOR,
    JOB_GONE,
    ask_for_rehearsal,
    lost_its_job,
    read_rehearsal,
    reason_in_words,
)
from enrollment.rounds.void import void
from enrollment.stored_values import fields_of, objects_of
from lottery.market.model import Kind

router = APIRouter(route_class=IdempotentRoute, tags=["rounds"])

RoundId = Annotated[Id, Path(alias="round")]


@router.get("/v1/cycles/{cycle}/rounds")
def list_rounds(session: InTransaction, paging: Paging, cycle: Annotated[Id, Path()]) -> Page[RoundOut]:
    """List a cycle's rounds by id, including void rounds."""
    read_cycle(session, cycle)
    return paging.read(session, select_rounds(cycle), by=[Round.id]).show(show_round)


@router.post("/v1/cycles/{cycle}/rounds", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def create_round(session: InTransaction, _: RunsRounds, cycle: Annotated[Id, Path()], body: RoundIn) -> RoundOut:
    """Make a round. A cycle has one main round, then any number of backfill rounds, one at a time."""
    return show_round(make_round(session, cycle, Kind(body.kind), seat=body.seat))


@router.get("/v1/cycles/{cycle}/readiness")
def read_readiness(
    session: InTransaction,
    _: ReadsRecords,
    request: Request,
    cycle: Annotated[Id, Path()],
    kind: Annotated[Literal["main", "backfill"], Query()] = "main",
) -> ReadinessOut:
    """List the problems that block a freeze, and notes to read before it."""
    return readiness(session, cycle, Kind(kind), say=in_language(reader_language(request)))


@router.post("/v1/cycles/{cycle}/round-calendar", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def request_round_calendar(
    session: InTransaction, staff: PresentToPublish, cycle: Annotated[Id, Path()], body: CalendarIn
) -> RoundCalendarOut:
    """Ask for nightly or weekly backfill rounds. They begin after a second administrator approves."""
    return _show_calendar(session, ask_for_calendar(session, cycle, body, staff=staff))


@router.get("/v1/cycles/{cycle}/round-calendar")
def read_round_calendar(session: InTransaction, _: ReadsRecords, cycle: Annotated[Id, Path()]) -> RoundCalendarOut:
    """Read the cycle's calendar of backfill rounds, with the result of the last round."""
    return _show_calendar(session, live_calendar(session, cycle))


@router.post("/v1/cycles/{cycle}/round-calendar/approve", dependencies=[Idempotent])
def approve_round_calendar(
    session: InTransaction, staff: PresentToPublish, cycle: Annotated[Id, Path()]
) -> RoundCalendarOut:
    """Approve the calendar as a second administrator. The log names both administrators for every round."""
    return _show_calendar(session, approve_calendar(session, cycle, staff=staff))


@router.delete("/v1/cycles/{cycle}/round-calendar", status_code=status.HTTP_204_NO_CONTENT)
def delete_round_calendar(session: InTransaction, staff: Publishes, cycle: Annotated[Id, Path()]) -> None:
    """Stop the calendar. Administrators can finish a round that the calendar began."""
    stop_calendar(session, cycle, staff=staff)


@router.get("/v1/rounds/{round}", operation_id="readRound")
def read_one_round(session: InTransaction, round_id: RoundId) -> RoundOut:
    """Read a round's state and commitments."""
    return show_round(read_round(session, round_id))


@router.get("/v1/rounds/{round}/review")
def review_round(session: InTransaction, _: ReadsRecords, round_id: RoundId) -> RoundReviewOut:
    """Review a round before publishing: the full report, the checks, and the administrators of each step."""
    return _show_review(session, read_round(session, round_id))


@router.post("/v1/rounds/{round}/rehearse", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def rehearse_round(session: InTransaction, staff: RunsRounds, round_id: RoundId) -> RehearsalOut:
    """Rehearse an open round with a random seed. Only totals are kept. Rehearse as often as you like."""
    return _show_rehearsal(ask_for_rehearsal(session, lock_round(session, round_id), staff=staff), None, None)


@router.get("/v1/rounds/{round}/rehearsals/{rehearsal}", operation_id="readRehearsal")
def read_one_rehearsal(
    session: InTransaction, staff: AnyStaff, request: Request, round_id: RoundId, rehearsal: uuid.UUID
) -> RehearsalOut:
    """Read a rehearsal's totals, or why it failed. A school sees only its own programs."""
    found = read_rehearsal(session, round_id, rehearsal)
    own_programs = None if staff.sees_everything else programs_seen(session, staff)
    say = in_language(reader_language(request))
    reason = say(JOB_GONE) if lost_its_job(session, found) else reason_in_words(found, say)
    # A reason may name programs of other schools.
    return _show_rehearsal(
        found, own_programs, reason if own_programs is None or reason is None else say(ASK_ADMINISTRATOR)
    )


@router.post("/v1/rounds/{round}/freeze", dependencies=[Idempotent])
def freeze_round(session: InTransaction, staff: PresentToRunRounds, round_id: RoundId, body: FreezeIn) -> RoundOut:
    """Freeze a round. Its market is fixed in the log, and the cycle takes no changes until the round is over."""
    locked = lock_round_and_cycle(session, round_id)
    dice_after = timedelta(minutes=body.dice_in_minutes)
    freeze(session, locked, dice_after=dice_after, actor=staff.actor_for(RoleKind.ADMINISTRATOR))
    return show_round(locked.round)


@router.post("/v1/rounds/{round}/draw", dependencies=[Idempotent])
def draw_round(session: InTransaction, staff: PresentToRunRounds, round_id: RoundId, body: DrawIn) -> RoundOut:
    """Enter the dice that were rolled in public at the time that the freeze set."""
    round_ = lock_round(session, round_id)
    draw(session, round_, body.dice, actor=staff.actor_for(RoleKind.ADMINISTRATOR))
    return show_round(round_)


@router.post("/v1/rounds/{round}/match", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def match_round(session: InTransaction, staff: PresentToRunRounds, round_id: RoundId) -> RoundReviewOut:
    """Have a worker match and verify a drawn round. Another administrator must publish it."""
    round_ = lock_round(session, round_id)
    ask_for_match(session, round_, staff=staff.id)
    return _show_review(session, round_)


@router.post("/v1/rounds/{round}/publish", dependencies=[Idempotent])
def publish_round(session: InTransaction, staff: PresentToPublish, round_id: RoundId) -> RoundOut:
    """Publish a matched round as a second administrator. Partners, schools and the public can see it at once."""
    locked = lock_round_and_cycle(session, round_id)
    publish_in_person(session, locked, staff=staff)
    return show_round(locked.round)


@router.post("/v1/rounds/{round}/void", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def void_round(session: InTransaction, staff: PresentToRunRounds, round_id: RoundId, body: VoidIn) -> RoundReviewOut:
    """Ask to void a running round. The round is void after a second administrator asks too."""
    locked = lock_round_and_cycle(session, round_id)
    void(session, locked, staff=staff, reason=body.reason)
    return _show_review(session, locked.round)


def _show_calendar(session: Session, calendar: RoundCalendar) -> RoundCalendarOut:
    return RoundCalendarOut(
        cycle=calendar.cycle_id,
        every="day" if calendar.every == "day" else "week",
        first_at=calendar.first_at,
        next_at=calendar.next_at,
        time_zone=read_cycle(session, calendar.cycle_id).cycle.time_zone,
        dice_in_minutes=calendar.dice_in_minutes,
        asked_by=calendar.asked_by,
        approved_by=calendar.approved_by,
        last_at=calendar.last_at,
        last_told=calendar.last_told,
    )


def show_round(round_: Round) -> RoundOut:
    """Show a round as everybody can see it."""
    return RoundOut(
        id=round_.id,
        cycle=round_.cycle_id,
        kind=cast("Literal['main', 'backfill']", round_.kind),
        attempt=round_.attempt,
        state=cast("Literal['open']", round_.state),
        made_at=round_.made_at,
        frozen_at=round_.frozen_at,
        seat=_show_seat(round_),
        by_calendar=round_.calendar_id is not None,
        draws=round_.draws,
        dice_at=round_.dice_at,
        drawn_at=round_.drawn_at,
        matched_at=round_.matched_at,
        published_at=round_.published_at,
        voided_at=round_.voided_at,
        void_reason=round_.void_reason if round_.voided_at else None,
        log_size=round_.log_size,
        snapshot_root=_hex(round_.snapshot_root),
        market_digest=round_.market_file_digest or round_.market_digest,
        freeze=_hex(round_.freeze_leaf),
        dice=round_.dice,
        seed=_hex(round_.seed),
        outcome_digest=round_.outcome_digest,
    )


def _show_seat(round_: Round) -> RoundSeatOut | None:
    if round_.only_program is None or round_.only_vacancy is None:
        return None
    return RoundSeatOut(program=round_.only_program, vacancy=round_.only_vacancy)


def _hex(raw: bytes | None) -> str | None:
    return None if raw is None else raw.hex()


def _show_review(session: Session, round_: Round) -> RoundReviewOut:
    return RoundReviewOut.model_validate(
        {
            "round": show_round(round_),
            "match_asked_by": round_.asked_by,
            "published_by": round_.published_by,
            "void_asked_by": round_.void_asked_by,
            "void_approved_by": round_.void_approved_by,
            "waiting": is_waiting(session, MATCH, round_.id),
            "complaint": round_.complaint,
            "gates": objects_of(round_.gates),
            "excluded": count_exclusions(session, round_),
            "report": fields_of(round_.report) if round_.report else None,
        }
    )


def _show_rehearsal(rehearsal: Rehearsal, programs: set[str] | None, reason: str | None) -> RehearsalOut:
    totals = fields_of(rehearsal.totals) if rehearsal.totals else None
    if totals is not None and programs is not None:
        totals = {"demand": [one for one in objects_of(totals.get("demand")) if str(one.get("program")) in programs]}
    return RehearsalOut.model_validate(
        {
            "id": rehearsal.id,
            "round": rehearsal.round_id,
            "state": rehearsal.state if reason is None else "failed",
            "at": rehearsal.at,
            "totals": totals,
            "reason": reason,
        }
    )
