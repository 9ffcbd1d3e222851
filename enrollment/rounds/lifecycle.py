"""The steps of a round after its freeze: draw, have it matched, publish; or void. Each is one transaction."""

from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.two_people import refuse_second_person
from enrollment.audit.log import append, sequence_all
from enrollment.cycles.locks import rfc3339
from enrollment.database import clock
from enrollment.jobs import enqueue, is_waiting
from enrollment.problems import Conflict, Fault, Problem, sentence
from enrollment.rounds.locks import RUNNING, LockedRound, OtherState, refuse_other_state
from enrollment.rounds.models import Round
from enrollment.rounds.publish import give_seats_of
from lottery.market.model import Kind
from lottery.transparency_log.commitments import UnusableDice, dice_digits, seed_of

MATCH = "match"
"""The job that matches a round."""


class DiceToCome(Conflict):
    """The draw before the time of the dice."""

    title = sentence("The dice are still to be rolled")
    detail = sentence(
        "The freeze named {time} as the time of the dice. Roll them in public then, not before, and send their digits."
    )


class DiceRefused(Problem):
    """Digits that are none, or too few."""

    status = 422
    title = sentence("The dice cannot be used")
    detail = sentence("Type all digits again as they were rolled, at least 20; the round is as it was.")


class MatchUnderWay(Conflict):
    """The match was asked for and is not done yet."""

    title = sentence("The round is being matched")
    detail = sentence("Somebody asked for it already. GET /v1/rounds/{round} shows when it is done.")


class GateClosed(Conflict):
    """Something that must hold before publishing does not."""

    title = sentence("A gate before publishing is closed")
    detail = sentence("See to what is listed. If it cannot be mended, void the round and freeze a new one.")


class SecondPersonNeeded(Conflict):
    """The same administrator did the step that this one is to approve."""

    title = sentence("This needs a second administrator")
    detail = sentence("You asked for it yourself; another administrator has to look at it and do this step.")


def draw(session: Session, round_: Round, typed: str | None, *, actor: str) -> None:
    """Type in the dice: from now on every child has its number, and nobody has chosen it.

    A backfill round in which nobody is new and no order is fresh needs none: no number hangs on its seed.

    Args:
        session: the transaction in which the round is locked.
        round_: the round.
        typed: the digits of the dice, with spaces or hyphens between them if there are any.
        actor: who types them in, as the log names them.

    Raises:
        OtherState: if the round is not frozen, or drawn already.
        DiceToCome: if it is not yet the time that the freeze named.
        DiceRefused: if the digits are too few or no digits.
    """
    refuse_other_state(round_, "frozen")
    now = clock(session)
    if round_.dice_at is None or round_.freeze_leaf is None:
        raise ValueError("a frozen round has no time for its dice")
    if now < round_.dice_at:
        raise DiceToCome(time=rfc3339(round_.dice_at))
    digits = _digits(round_, typed)
    sequence_all(session)  # the freeze has its place in the log before anything is drawn from it
    seed = seed_of(freeze_leaf=round_.freeze_leaf, dice=digits)
    round_.dice, round_.seed, round_.drawn_at, round_.state = digits, seed, now, "drawn"
    append(
        session,
        "round.draw",
        cycle=round_.cycle_id,
        actor=actor,
        fields={"round": round_.id, "freeze": round_.freeze_leaf.hex(), "dice": digits},
    )
    session.flush()


def _digits(round_: Round, typed: str | None) -> str | None:
    if typed is None and round_.draws is False:
        return None
    if round_.draws is False:
        detail = sentence("no number hangs on the seed of this round; leave the dice out")
        raise DiceRefused(faults=[Fault("/dice", "no-dice-needed", detail)])
    if typed is None:
        detail = sentence("is missing; this round draws numbers, so roll at least 20 dice in public")
        raise DiceRefused(faults=[Fault("/dice", "dice-missing", detail)])
    try:
        return dice_digits(typed)
    except UnusableDice as refusal:
        fault = Fault("/dice", "unusable-dice", sentence("{problem}"), {"problem": str(refusal)})
        raise DiceRefused(faults=[fault]) from None


def ask_for_match(session: Session, round_: Round, *, staff: str) -> None:
    """Have a drawn round matched by a worker; who asks here cannot publish it.

    Raises:
        OtherState: if the round is not drawn, or matched already.
        MatchUnderWay: if it was asked for, and is not done yet.
    """
    refuse_other_state(round_, "drawn")
    if is_waiting(session, MATCH, round_.id):
        raise MatchUnderWay(round=round_.id)
    round_.asked_by, round_.asked_at, round_.complaint = staff, clock(session), None
    session.flush()
    enqueue(session, MATCH, round_.id)


def publish_in_person(session: Session, held: LockedRound, *, staff: Staff) -> None:
    """Publish a matched round, as the second administrator.

    Raises:
        AccountConfirmedLater, SponsorCannotApprove: to an account that may be the first administrator's.
        OtherState, SecondPersonNeeded, GateClosed: as `publish`.
    """
    round_ = held.round
    refuse_other_state(round_, "matched")
    begun_at = round_.asked_at or round_.matched_at
    refuse_second_person(session, staff.id, asked_by=round_.asked_by, begun_at=begun_at, same=SecondPersonNeeded)
    publish(session, held, staff=staff.id, actor=staff.actor_for(RoleKind.ADMINISTRATOR))


def publish(session: Session, held: LockedRound, *, staff: str, actor: str) -> None:
    """Publish a matched round, as the second administrator; from now on everybody sees their part of it.

    Its seats are offered in the same transaction, and the ledger of vacancies says what became of each.

    Raises:
        OtherState: if it is not matched, or published already.
        SecondPersonNeeded: to who had it matched.
        GateClosed: naming each gate that does not hold.
    """
    round_, cycle = held.round, held.cycle
    refuse_other_state(round_, "matched")
    if round_.asked_by == staff:
        raise SecondPersonNeeded
    refuse_closed_gates(round_)
    round_.state, round_.published_at, round_.published_by = "published", held.now, staff
    cycle.running_round = None
    append(
        session,
        "round.publish",
        cycle=cycle.id,
        actor=actor,
        fields={"round": round_.id, "asked": round_.asked_by, "approved": staff},
    )
    session.flush()
    give_seats_of(session, held)


def refuse_closed_gates(round_: Round) -> None:
    """Refuse to publish what a gate has something against.

    Raises:
        GateClosed: naming each.
    """
    faults = [
        Fault("", str(gate["gate"]), sentence("{problem}"), {"problem": str(gate["problem"])})
        for gate in round_.gates or ()
        if isinstance(gate, dict) and gate["problem"] is not None
    ]
    if faults:
        raise GateClosed(faults=faults)


def void(session: Session, held: LockedRound, *, staff: Staff, reason: str) -> None:
    """Ask for a running round to be void, or, as the second administrator, make it so. What was drawn stays visible.

    Raises:
        OtherState: if it is not running.
        SecondPersonNeeded: to who asked for it.
        AccountConfirmedLater, SponsorCannotApprove: to an account that may be the first administrator's.
    """
    round_, cycle = held.round, held.cycle
    # A backfill round that is only made stands in the way of others, and the seat that it is for may be taken.
    voidable = RUNNING if round_.kind == Kind.MAIN else ("open", *RUNNING)
    if round_.state not in voidable:
        raise OtherState(round=round_.id, state=round_.state, wanted=" or ".join(voidable))
    if round_.void_asked_by is None:
        round_.void_asked_by, round_.void_asked_at, round_.void_reason = staff.id, held.now, reason
        session.flush()
        return
    refuse_second_person(
        session, staff.id, asked_by=round_.void_asked_by, begun_at=round_.void_asked_at, same=SecondPersonNeeded
    )
    drawn = round_.dice_at is not None and held.now >= round_.dice_at
    round_.state, round_.voided_at, round_.void_approved_by = "void", held.now, staff.id
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
            "approval_reason": reason,
            # Dice that might have been rolled in private count as rolled.
            "after_draw": drawn,
        },
    )
    session.flush()
