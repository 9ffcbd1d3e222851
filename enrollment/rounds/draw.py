"""Draw a frozen round: enter the public dice, from which every lottery number follows."""

from sqlalchemy.orm import Session

from enrollment.audit.log import append, sequence_all
from enrollment.cycles.models import Cycle
from enrollment.database import clock
from enrollment.dates import ZonedTime
from enrollment.problems import Conflict, Fault, Problem, sentence
from enrollment.rounds.locks import refuse_other_state
from enrollment.rounds.models import Round
from lottery.transparency_log.commitments import UnusableDice, dice_digits, seed_of


class DiceToCome(Conflict):
    """The time for the dice has not come."""

    title = sentence("Too early for the dice")
    detail = sentence(
        "The freeze set {time} as the time for the dice. Roll the dice in public at that time, then send the digits."
    )


class DiceRefused(Problem):
    """The dice are missing, too few, not digits, or not needed."""

    status = 422
    title = sentence("Unusable dice")
    detail = sentence("Correct the dice as listed and send them again. The round did not change.")


def draw(session: Session, round_: Round, typed: str | None, *, actor: str) -> None:
    """Enter the dice of a locked round. They fix every child's lottery number, and nobody can choose one.

    A backfill round without new children and without a fresh order needs no dice.

    Args:
        session: the transaction in which the round is locked.
        round_: the round.
        typed: the digits of the dice. Spaces and hyphens between digits are allowed.
        actor: the name in the log.

    Raises:
        OtherState: if the round is not frozen, or is already drawn.
        DiceToCome: if the time for the dice has not come.
        DiceRefused: if the dice cannot be used.
    """
    refuse_other_state(round_, "frozen")
    now = clock(session)
    if round_.dice_at is None or round_.freeze_leaf is None:
        raise ValueError("a frozen round has no time for its dice")
    if now < round_.dice_at:
        zone = session.get_one(Cycle, round_.cycle_id).time_zone
        raise DiceToCome(time=ZonedTime(round_.dice_at, zone))
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
        detail = sentence("This round draws no lottery numbers. Leave the dice out.")
        raise DiceRefused(faults=[Fault("/dice", "no-dice-needed", detail)])
    if typed is None:
        detail = sentence("The dice are missing. This round draws lottery numbers: roll at least 20 dice in public.")
        raise DiceRefused(faults=[Fault("/dice", "dice-missing", detail)])
    try:
        return dice_digits(typed)
    except UnusableDice as refusal:
        fault = Fault("/dice", "unusable-dice", sentence("{problem}"), {"problem": str(refusal)})
        raise DiceRefused(faults=[fault]) from None
