"""Rounds over HTTP: what an administrator does, step by step, and what anybody sees of it."""

import uuid
from datetime import timedelta
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Path, Query, Request, status
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import AnyStaff, PresentToPublish, PresentToRunRounds, Publishes, ReadsRecords, RunsRounds
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.own_programs import programs_seen
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.jobs import is_waiting
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.rounds.calendar import approve_calendar, ask_for_calendar, live_calendar, stop_calendar
from enrollment.rounds.freeze import freeze
from enrollment.rounds.lifecycle import MATCH, ask_for_match, draw, publish_in_person, void
from enrollment.rounds.locks import lock_round, lock_round_and_cycle, make_round, read_round
from enrollment.rounds.models import Exclusion, Rehearsal, Round, RoundCalendar
from enrollment.rounds.readiness import readiness
from enrollment.rounds.rehearsal import (
    ASK_ADMINISTRATOR,
    JOB_GONE,
    ask_for_rehearsal,
    lost_its_job,
    read_rehearsal,
    reason_in_words,
)
from enrollment.rounds.schemas import (
    CalendarIn,
    DrawIn,
    FreezeIn,
    Readiness,
    RehearsalOut,
    RoundCalendarOut,
    RoundIn,
    RoundOut,
    RoundReview,
    SeatOut,
    VoidIn,
)
from enrollment.stored_values import fields_of, objects_of
from lottery.market.model import Kind

router = APIRouter(route_class=IdempotentRoute, tags=["rounds"])

RoundId = Annotated[Id, Path(alias="round")]


@router.get("/v1/cycles/{cycle}/rounds")
def list_rounds(session: InTransaction, paging: Paging, cycle: Annotated[Id, Path()]) -> Page[RoundOut]:
    """List a cycle's rounds, by id; void ones too."""
    read_cycle(session, cycle)
    return paging.read(session, select(Round).where(Round.cycle_id == cycle), by=[Round.id]).show(show_round)


@router.post("/v1/cycles/{cycle}/rounds", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def add_round(session: InTransaction, _: RunsRounds, cycle: Annotated[Id, Path()], body: RoundIn) -> RoundOut:
    """Make a round: a cycle has one main round, and after it any number of backfill rounds, one at a time."""
    return show_round(make_round(session, cycle, Kind(body.kind), seat=body.seat))


@router.get("/v1/cycles/{cycle}/readiness")
def read_readiness(
    session: InTransaction,
    _: ReadsRecords,
    request: Request,
    cycle: Annotated[Id, Path()],
    kind: Annotated[Literal["main", "backfill"], Query()] = "main",
) -> Readiness:
    """Say what is to be seen to before the freeze: what blocks it, and what is only to be known."""
    return readiness(session, cycle, Kind(kind), say=in_language(reader_language(request)))


@router.post("/v1/cycles/{cycle}/round-calendar", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def add_calendar(
    session: InTransaction, staff: PresentToPublish, cycle: Annotated[Id, Path()], body: CalendarIn
) -> RoundCalendarOut:
    """Ask for nightly or weekly backfill rounds; they begin once a second administrator approves."""
    return _calendar_shown(ask_for_calendar(session, cycle, body, staff=staff))


@router.get("/v1/cycles/{cycle}/round-calendar")
def read_calendar(session: InTransaction, _: ReadsRecords, cycle: Annotated[Id, Path()]) -> RoundCalendarOut:
    """Read the cycle's calendar of backfill rounds, and what became of the last one."""
    return _calendar_shown(live_calendar(session, cycle))


@router.post("/v1/cycles/{cycle}/round-calendar/approve", dependencies=[Idempotent])
def approve_rounds_calendar(
    session: InTransaction, staff: PresentToPublish, cycle: Annotated[Id, Path()]
) -> RoundCalendarOut:
    """Approve the calendar, as a second administrator: its rounds are published in both names."""
    return _calendar_shown(approve_calendar(session, cycle, staff=staff))


@router.delete("/v1/cycles/{cycle}/round-calendar", status_code=status.HTTP_204_NO_CONTENT)
def delete_calendar(session: InTransaction, staff: Publishes, cycle: Annotated[Id, Path()]) -> None:
    """Stop the calendar; a round that it made goes on as any other."""
    stop_calendar(session, cycle, staff=staff)


@router.get("/v1/rounds/{round}")
def read_one_round(session: InTransaction, round_id: RoundId) -> RoundOut:
    """Read how far a round has come, and what it committed to."""
    return show_round(read_round(session, round_id))


@router.get("/v1/rounds/{round}/review")
def review_round(session: InTransaction, _: ReadsRecords, round_id: RoundId) -> RoundReview:
    """Read what there is to look at before publishing: the report in full, the gates, who did what."""
    return _review(session, read_round(session, round_id))


@router.post("/v1/rounds/{round}/rehearse", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def rehearse_round(session: InTransaction, staff: RunsRounds, round_id: RoundId) -> RehearsalOut:
    """Rehearse an open round: a match with a random seed, of which only totals are kept; any number of times."""
    return _rehearsal_shown(ask_for_rehearsal(session, lock_round(session, round_id), staff=staff), None, None)


@router.get("/v1/rounds/{round}/rehearsals/{rehearsal}")
def read_one_rehearsal(
    session: InTransaction, staff: AnyStaff, request: Request, round_id: RoundId, rehearsal: uuid.UUID
) -> RehearsalOut:
    """Read a rehearsal's totals, or why it failed; a school sees its own programs among them, and nobody else's."""
    found = read_rehearsal(session, round_id, rehearsal)
    seen = None if staff.sees_everything else programs_seen(session, staff)
    say = in_language(reader_language(request))
    reason = say(JOB_GONE) if lost_its_job(session, found) else reason_in_words(found, say)
    # What the lottery refuses may name other schools' programs.
    return _rehearsal_shown(found, seen, reason if seen is None or reason is None else say(ASK_ADMINISTRATOR))


@router.post("/v1/rounds/{round}/freeze", dependencies=[Idempotent])
def freeze_round(session: InTransaction, staff: PresentToRunRounds, round_id: RoundId, body: FreezeIn) -> RoundOut:
    """Freeze a round: take the snapshot, commit to it in the log, and take nothing more that a match reads."""
    held = lock_round_and_cycle(session, round_id)
    dice_after = timedelta(minutes=body.dice_in_minutes)
    freeze(session, held, dice_after=dice_after, actor=staff.actor_for(RoleKind.ADMINISTRATOR))
    return show_round(held.round)


@router.post("/v1/rounds/{round}/draw", dependencies=[Idempotent])
def draw_round(session: InTransaction, staff: PresentToRunRounds, round_id: RoundId, body: DrawIn) -> RoundOut:
    """Type in the dice that were rolled in public at the time that the freeze named."""
    round_ = lock_round(session, round_id)
    draw(session, round_, body.dice, actor=staff.actor_for(RoleKind.ADMINISTRATOR))
    return show_round(round_)


@router.post("/v1/rounds/{round}/match", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def match_drawn_round(session: InTransaction, staff: PresentToRunRounds, round_id: RoundId) -> RoundReview:
    """Have a drawn round matched and verified by a worker; another administrator then publishes it."""
    round_ = lock_round(session, round_id)
    ask_for_match(session, round_, staff=staff.id)
    return _review(session, round_)


@router.post("/v1/rounds/{round}/publish", dependencies=[Idempotent])
def publish_round(session: InTransaction, staff: PresentToPublish, round_id: RoundId) -> RoundOut:
    """Publish a matched round, as a second administrator: partners, schools and the public see it from now on."""
    held = lock_round_and_cycle(session, round_id)
    publish_in_person(session, held, staff=staff)
    return show_round(held.round)


@router.post("/v1/rounds/{round}/void", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def void_round(session: InTransaction, staff: PresentToRunRounds, round_id: RoundId, body: VoidIn) -> RoundReview:
    """Ask for a running round to be void; when a second administrator asks for it too, it is."""
    held = lock_round_and_cycle(session, round_id)
    void(session, held, staff=staff, reason=body.reason)
    return _review(session, held.round)


def _calendar_shown(calendar: RoundCalendar) -> RoundCalendarOut:
    return RoundCalendarOut(
        cycle=calendar.cycle_id,
        every="day" if calendar.every == "day" else "week",
        next_at=calendar.next_at,
        dice_in_minutes=calendar.dice_in_minutes,
        asked_by=calendar.asked_by,
        approved_by=calendar.approved_by,
        last_at=calendar.last_at,
        last_told=calendar.last_told,
    )


def show_round(round_: Round) -> RoundOut:
    """Show a round as anybody may see it."""
    return RoundOut(
        id=round_.id,
        cycle=round_.cycle_id,
        kind=cast("Literal['main', 'backfill']", round_.kind),
        attempt=round_.attempt,
        state=cast("Literal['open']", round_.state),
        made_at=round_.made_at,
        frozen_at=round_.frozen_at,
        seat=SeatOut(program=round_.only_program, vacancy=round_.only_vacancy)
        if round_.only_program is not None and round_.only_vacancy is not None
        else None,
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
        market_digest=round_.market_digest,
        freeze=_hex(round_.freeze_leaf),
        dice=round_.dice,
        seed=_hex(round_.seed),
        outcome_digest=round_.outcome_digest,
    )


def _hex(raw: bytes | None) -> str | None:
    return None if raw is None else raw.hex()


def _review(session: Session, round_: Round) -> RoundReview:
    excluded = session.execute(
        select(Exclusion.reason, func.count())
        .where(Exclusion.round_id == round_.id)
        .group_by(Exclusion.reason)
        .order_by(Exclusion.reason)
    )
    return RoundReview.model_validate(
        {
            "round": show_round(round_),
            "match_asked_by": round_.asked_by,
            "published_by": round_.published_by,
            "void_asked_by": round_.void_asked_by,
            "void_approved_by": round_.void_approved_by,
            "waiting": is_waiting(session, MATCH, round_.id),
            "complaint": round_.complaint,
            "gates": objects_of(round_.gates),
            "excluded": dict(excluded.all()),
            "report": fields_of(round_.report) if round_.report else None,
        }
    )


def _rehearsal_shown(rehearsal: Rehearsal, seen: set[str] | None, reason: str | None) -> RehearsalOut:
    totals = fields_of(rehearsal.totals) if rehearsal.totals else None
    if totals is not None and seen is not None:
        totals = {"demand": [at for at in objects_of(totals.get("demand")) if str(at.get("program")) in seen]}
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
