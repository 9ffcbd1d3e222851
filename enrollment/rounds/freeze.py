"""Freeze a round: fix its market, commit to it in the log, and close the cycle to changes."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

import lottery
from enrollment.audit.log import append, sequence_all, tree_head
from enrollment.cycles.locks import in_zone, rfc3339
from enrollment.directory.models import Offering
from enrollment.fault_list import limited
from enrollment.problems import Conflict, Fault, sentence
from enrollment.rounds.audit_files import file_digest, market_file
from enrollment.rounds.creation import SeatNotFree
from enrollment.rounds.frozen_market import frozen_market, store_market
from enrollment.rounds.locks import LockedRound, refuse_other_state
from enrollment.rounds.models import Round
from enrollment.rounds.snapshot import Snapshot, count_rows, take_snapshot
from enrollment.rules.backfill import OneSeat
from enrollment.seats.models import Vacancy
from enrollment.seats.vacancies import FREE
from lottery.market.canonical import Json
from lottery.market.json_reader import UnusableInput
from lottery.market.model import Kind, Market
from lottery.market.model import Round as MarketRound
from lottery.market.rules import Order
from lottery.transparency_log.commitments import digest

MAX_NAMED = 20
"""The most problems that a refusal lists."""


class DeadlineToCome(Conflict):
    """The deadline of the main round has not passed."""

    title = sentence("Deadline not reached")
    detail = sentence("Families may submit until {deadline}. Freeze {round} after the deadline.")


class CannotFreeze(Conflict):
    """Something blocks the freeze."""

    title = sentence("The round cannot be frozen")
    detail = sentence(
        "Nothing was frozen. Fix each listed problem and freeze again. GET /v1/cycles/{cycle}/readiness lists all "
        "problems."
    )


def freeze(session: Session, locked: LockedRound, *, dice_after: timedelta, actor: str) -> None:
    """Freeze a locked round: take the snapshot, store it, commit to it in the log, and close the cycle to changes.

    Args:
        session: a transaction that locks the round and its cycle, so that no change is in flight.
        locked: the round, from `lock_round_and_cycle`.
        dice_after: the time from the freeze to the public roll of the dice.
        actor: the name in the log.

    Raises:
        OtherState: if the round is already frozen, or void.
        DeadlineToCome: if the deadline of a main round has not passed.
        SeatNotFree: if the round is for one seat and the seat is taken.
        CannotFreeze: with each problem that blocks the freeze.
    """
    round_, cycle = locked.round, locked.cycle
    refuse_other_state(round_, "open")
    if round_.kind == Kind.MAIN and locked.now < cycle.deadline:
        raise DeadlineToCome(deadline=in_zone(cycle, cycle.deadline), round=round_.id)
    snapshot = _usable_snapshot(session, locked)
    store_market(session, round_, snapshot)
    session.flush()
    round_.market_file_digest = file_digest(market_file(session, round_))
    _refuse_unreadable(session, round_)
    round_.draws = draws(snapshot.market)
    round_.log_size = tree_head(session).size
    round_.frozen_at = locked.now
    round_.dice_at = locked.now + dice_after if round_.draws else locked.now
    fields = _log_fields(round_, snapshot)
    round_.freeze_leaf = append(session, "round.freeze", cycle=cycle.id, actor=actor, fields=fields)
    round_.state = "frozen"
    cycle.running_round = round_.id
    if round_.kind == Kind.MAIN:
        cycle.main_round = round_.id
    session.flush()


def _usable_snapshot(session: Session, locked: LockedRound) -> Snapshot:
    round_, cycle = locked.round, locked.cycle
    sequence_all(session)
    count_rows(session)
    market_round = MarketRound(round_.id, Kind(round_.kind))
    snapshot = take_snapshot(session, cycle, market_round, now=locked.now, only_seat=only_seat(session, round_))
    faults = [*faults_of(snapshot), *programs_without_rules(session, cycle.id)]
    if faults:
        raise CannotFreeze(faults=limited(faults, MAX_NAMED), cycle=cycle.id)
    return snapshot


def only_seat(session: Session, round_: Round) -> OneSeat | None:
    """Return the only seat that a round fills, or None if the round fills every free seat.

    Raises:
        SeatNotFree: if the seat is taken by now.
    """
    if round_.only_program is None:
        return None
    key = (round_.cycle_id, round_.only_program, round_.only_vacancy)
    vacancy = session.get_one(Vacancy, key, populate_existing=True)
    if vacancy.status not in FREE:
        raise SeatNotFree(cycle=round_.cycle_id)
    return OneSeat(vacancy.program_id, vacancy.seat_group)


def draws(market: Market) -> bool:
    """Say whether the round draws lottery numbers: some child is new, or some program has a fresh order."""
    fresh = any(program.backfill.fills and program.backfill.order is Order.FRESH for program in market.programs)
    return (market.is_backfill and fresh) or any(
        applicant.drawn_in == market.round.id for applicant in market.applicants
    )


def faults_of(snapshot: Snapshot) -> Iterator[Fault]:
    """Yield the problems of a snapshot that block a freeze."""
    if not snapshot.market.programs:
        detail = sentence("No participating program has usable rules, so there are no seats to fill.")
        yield Fault("", "no-programs", detail)
    if not snapshot.market.applicants:
        yield Fault("", "no-applicants", sentence("No family has a submitted ranking, so no child can be placed."))
    for tag in snapshot.mismatched[:MAX_NAMED]:
        detail = sentence(
            "The tables and the log disagree about the ticket {ticket}. Restore the database from an earlier backup, "
            "or ask the people who run the service to look into it."
        )
        yield Fault("", "log-disagrees", detail, {"ticket": tag})


def programs_without_rules(session: Session, cycle: str) -> Iterator[Fault]:
    """Yield each participating program without usable rules."""
    query = (
        select(Offering.program_id)
        .where(Offering.cycle_id == cycle, Offering.status == "in", Offering.rules_version.is_(None))
        .order_by(Offering.program_id)
    )
    for program in session.scalars(query):
        detail = sentence("{program} takes part but has no usable rules. Ask the school to set its seats.")
        yield Fault("", "program-without-rules", detail, {"program": program})


def _refuse_unreadable(session: Session, round_: Round) -> None:
    """Read the stored market back, as the match will. A market that cannot be matched must not be frozen.

    Raises:
        CannotFreeze: with each problem of the market.
    """
    try:
        market = frozen_market(session, round_)
    except UnusableInput as refusal:
        detail = sentence("{place}: {problem}; {remedy}")
        faults = [
            Fault("", "market", detail, {"place": fault.path, "problem": fault.problem, "remedy": fault.remedy})
            for fault in refusal.faults[:MAX_NAMED]
        ]
        raise CannotFreeze(faults=faults, cycle=round_.cycle_id) from None
    if market.digest() != round_.market_digest:
        raise ValueError("the stored market differs from the snapshot")


def _log_fields(round_: Round, snapshot: Snapshot) -> dict[str, Json]:
    return {
        "round": round_.id,
        "attempt": round_.attempt,
        "log_size": cast("int", round_.log_size),
        "applicants": len(snapshot.market.applicants),
        "excluded": [[tag, reason] for tag, reason in snapshot.excluded],
        "snapshot_root": (round_.snapshot_root or b"").hex(),
        "programs_hash": programs_hash(round_.head or ""),
        "software": {"version": metadata.version("common-enrollment-lottery"), "lottery": lottery_sources()},
        "randomness": {"dice": bool(round_.draws), "not_before": rfc3339(round_.dice_at) if round_.dice_at else ""},
    }


def programs_hash(head: str) -> str:
    """Return the commitment to everything but applicants: H("programs", the market's first canonical line)."""
    return digest("programs", head.encode()).hex()


@cache
def lottery_sources() -> str:
    """Return the SHA-256 over the files of `lottery/` that run here. The log keeps the hash as proof."""
    folder = Path(lottery.__file__).parent
    sources = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        sources.update(
            f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return sources.hexdigest()
