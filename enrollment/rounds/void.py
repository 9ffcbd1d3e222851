"""Void a round. Two administrators are needed."""

from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.two_people import refuse_second_person
from enrollment.audit.log import append
from enrollment.rounds.locks import RUNNING, LockedRound, refuse_other_state
from enrollment.rounds.publication import SecondPersonNeeded
from enrollment.seats.offer_notices import notify_partners
from lottery.market.model import Kind


def void(session: Session, locked: LockedRound, *, staff: Staff, reason: str) -> None:
    """Ask to void a round, or void it as the second administrator. The dice and the log entries stay visible.

    Raises:
        OtherState: if the round cannot be void in its state.
        SecondPersonNeeded: if the same administrator asked for it.
        AccountConfirmedLater, SponsorCannotApprove: if the account may belong to the first administrator.
    """
    round_ = locked.round
    # An open backfill round blocks other rounds, and its seat may be taken by now. So it can be void too.
    refuse_other_state(round_, *(RUNNING if round_.kind == Kind.MAIN else ("open", *RUNNING)))
    if round_.void_asked_by is None:
        round_.void_asked_by, round_.void_asked_at, round_.void_reason = staff.id, locked.now, reason
        session.flush()
        return
    refuse_second_person(
        session, staff.id, asked_by=round_.void_asked_by, begun_at=round_.void_asked_at, same=SecondPersonNeeded
    )
    _void_now(session, locked, staff=staff, approval_reason=reason)


def _void_now(session: Session, locked: LockedRound, *, staff: Staff, approval_reason: str) -> None:
    round_, cycle = locked.round, locked.cycle
    # After the time for the dice, somebody may have rolled them in private. They count as rolled.
    after_draw = round_.dice_at is not None and locked.now >= round_.dice_at
    round_.state, round_.voided_at, round_.void_approved_by = "void", locked.now, staff.id
    cycle.running_round = None
    if cycle.main_round == round_.id:
        cycle.main_round = None
    append(
        session,
        "round.void",
        cycle=cycle.id,
        actor=staff.actor_for(RoleKind.ADMINISTRATOR),
        reason=round_.void_reason,
        fields={
            "round": round_.id,
            "asked": round_.void_asked_by,
            "approved": staff.id,
            "approval_reason": approval_reason,
            "after_draw": after_draw,
        },
    )
    if round_.frozen_at is not None:
        # Seats and waitlists stay as they are. What waited for the round, such as an unanswered offer, goes on now.
        notify_partners(session, cycle.id, "round.voided", round_.id, {"round": round_.id})
    session.flush()
