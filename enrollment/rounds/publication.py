"""Publish a matched round."""

from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.two_people import refuse_second_person
from enrollment.audit.log import append
from enrollment.problems import Conflict, Fault, sentence
from enrollment.rounds.locks import LockedRound, refuse_other_state
from enrollment.rounds.models import Round
from enrollment.rounds.public_numbers import decide_public_numbers
from enrollment.rounds.seat_offers import offer_seats


class GateClosed(Conflict):
    """A check before publishing failed."""

    title = sentence("The round cannot be published yet: a check failed")
    detail = sentence("Fix each listed problem. If a problem cannot be fixed, void the round and freeze a new round.")


class SecondPersonNeeded(Conflict):
    """The administrator who began the act tried to approve it too."""

    title = sentence("Second administrator needed")
    detail = sentence("You began this act. Ask another administrator to check it and to do this step.")


def publish_in_person(session: Session, locked: LockedRound, *, staff: Staff) -> None:
    """Publish a matched round as the second administrator.

    Raises:
        AccountConfirmedLater, SponsorCannotApprove: if the account may belong to the first administrator.
        OtherState, SecondPersonNeeded, GateClosed: as `publish`.
    """
    round_ = locked.round
    refuse_other_state(round_, "matched")
    begun_at = round_.asked_at or round_.matched_at
    refuse_second_person(session, staff.id, asked_by=round_.asked_by, begun_at=begun_at, same=SecondPersonNeeded)
    publish(session, locked, staff=staff.id, actor=staff.actor_for(RoleKind.ADMINISTRATOR))


def publish(session: Session, locked: LockedRound, *, staff: str, actor: str) -> None:
    """Publish a matched round and offer its seats, in one transaction.

    Raises:
        OtherState: if the round is not matched, or is already published.
        SecondPersonNeeded: if the same administrator asked for the match.
        GateClosed: with each check that failed.
    """
    round_, cycle = locked.round, locked.cycle
    refuse_other_state(round_, "matched")
    if round_.asked_by == staff:
        raise SecondPersonNeeded
    refuse_closed_gates(round_)
    append(
        session,
        "round.publish",
        cycle=cycle.id,
        actor=actor,
        fields={"round": round_.id, "asked": round_.asked_by, "approved": staff},
    )
    offer_seats(session, locked)
    decide_public_numbers(session, round_)
    round_.state, round_.published_at, round_.published_by = "published", locked.now, staff
    cycle.running_round = None
    session.flush()


def refuse_closed_gates(round_: Round) -> None:
    """Refuse to publish a round with a failed check.

    Raises:
        GateClosed: with each check that failed.
    """
    faults = [
        Fault("", str(gate["gate"]), sentence("{problem}"), {"problem": str(gate["problem"])})
        for gate in round_.gates or ()
        if isinstance(gate, dict) and gate["problem"] is not None
    ]
    if faults:
        raise GateClosed(faults=faults)
