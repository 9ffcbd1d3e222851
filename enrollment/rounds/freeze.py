"""Freeze a round: from then on its market is bytes, committed to in the log, and nothing of it can change."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

import lottery
from enrollment.audit.log import append, sequence_all, tree_head
from enrollment.cycles.locks import rfc3339
from enrollment.database import copy_rows
from enrollment.directory.models import Offering
from enrollment.problems import Conflict, Fault, sentence
from enrollment.rounds.locks import LockedRound, SeatNotFree, refuse_other_state
from enrollment.rounds.models import Exclusion, FrozenProgram, FrozenRow, Round
from enrollment.rounds.snapshot import Snapshot, count_rows, take_snapshot
from enrollment.rules.backfill import OneSeat
from enrollment.seats.models import Vacancy
from enrollment.seats.vacancies import FREE
from lottery.market.canonical import Json, canonical_line
from lottery.market.json_reader import UnusableInput, decode
from lottery.market.model import Kind, Market, program_document
from lottery.market.model import Round as MarketRound
from lottery.market.reader import Entries, MarketReader, read_market_in_parts
from lottery.market.rules import Order
from lottery.transparency_log.commitments import digest, keyed
from lottery.transparency_log.merkle import leaf_hash, root

SALT_BYTES = 32
MAX_NAMED = 20
ROWS_AT_ONCE = 5_000


class DeadlineToCome(Conflict):
    """A main round before its deadline."""

    title = sentence("The deadline is still to come")
    detail = sentence("Families may submit until {deadline}; freeze {round} after that.")


class CannotFreeze(Conflict):
    """Something stands in the way of the freeze."""

    title = sentence("The round cannot be frozen as things stand")
    detail = sentence(
        "See to what is listed and freeze it then; nothing was frozen. GET /v1/cycles/{cycle}/readiness says more."
    )


def freeze(session: Session, held: LockedRound, *, dice_after: timedelta, actor: str) -> None:
    """Freeze a held round: take the snapshot, commit to it in the log, and close the cycle to what a match reads.

    Args:
        session: a transaction that holds the round and its cycle, so nothing that the snapshot reads is in flight.
        held: the round, from `lock_round_and_cycle`.
        dice_after: how long after the freeze the dice are rolled in public.
        actor: who freezes it, as the log names them.

    Raises:
        OtherState: if it is frozen already, or void.
        DeadlineToCome: if it is a main round before the deadline.
        CannotFreeze: naming what stands in the way.
    """
    round_, cycle = held.round, held.cycle
    refuse_other_state(round_, "open")
    if round_.kind == Kind.MAIN and held.now < cycle.deadline:
        raise DeadlineToCome(deadline=rfc3339(cycle.deadline), round=round_.id)
    sequence_all(session)
    count_rows(session)
    market_round = MarketRound(round_.id, Kind(round_.kind))
    snapshot = take_snapshot(session, cycle, market_round, now=held.now, one=one_seat(session, round_))
    faults = [*faults_of(snapshot), *programs_without_rules(session, cycle.id)]
    if faults:
        raise CannotFreeze(faults=faults[:MAX_NAMED], cycle=cycle.id)
    _store(session, round_, snapshot)
    round_.draws = draws(snapshot.market)
    round_.log_size = tree_head(session).size
    round_.frozen_at = held.now
    round_.dice_at = held.now + dice_after if round_.draws else held.now
    round_.freeze_leaf = append(session, "round.freeze", cycle=cycle.id, actor=actor, fields=_told(round_, snapshot))
    round_.state = "frozen"
    cycle.running_round = round_.id
    if round_.kind == Kind.MAIN:
        cycle.main_round = round_.id
    session.flush()


def one_seat(session: Session, round_: Round) -> OneSeat | None:
    """Return the seat that a round is for, if it is for one.

    Raises:
        SeatNotFree: if somebody has it by now.
    """
    if round_.only_program is None:
        return None
    key = (round_.cycle_id, round_.only_program, round_.only_vacancy)
    vacancy = session.get_one(Vacancy, key, populate_existing=True)
    if vacancy.status not in FREE:
        raise SeatNotFree(cycle=round_.cycle_id)
    return OneSeat(vacancy.program_id, vacancy.seat_group)


def draws(market: Market) -> bool:
    """Say whether somebody's number hangs on the seed of a round: who is new, or ranks where the order is fresh."""
    fresh = any(program.backfill.fills and program.backfill.order is Order.FRESH for program in market.programs)
    return (market.is_backfill and fresh) or any(one.drawn_in == market.round.id for one in market.applicants)


def faults_of(snapshot: Snapshot) -> Iterator[Fault]:
    """Yield what in a snapshot stands in the way of a freeze."""
    if not snapshot.market.programs:
        yield Fault(
            "", "no-programs", sentence("no program takes part with rules of its own; there is nothing to fill")
        )
    if not snapshot.market.applicants:
        yield Fault("", "no-applicants", sentence("no ranking is in force; there is nobody to place"))
    for tag in snapshot.astray[:MAX_NAMED]:
        detail = sentence(
            "the tables and the log do not agree about the ticket {ticket}; restore the database from a copy of the "
            "time before, or have it looked into"
        )
        yield Fault("", "log-disagrees", detail, {"ticket": tag})


def programs_without_rules(session: Session, cycle: str) -> Iterator[Fault]:
    """Yield each program that takes part and has no rules that can be used."""
    asked = (
        select(Offering.program_id)
        .where(Offering.cycle_id == cycle, Offering.status == "in", Offering.rules_version.is_(None))
        .order_by(Offering.program_id)
    )
    for program in session.scalars(asked):
        detail = sentence("{program} takes part and has no rules that can be used; its school says its seats")
        yield Fault("", "program-without-rules", detail, {"program": program})


def _store(session: Session, round_: Round, snapshot: Snapshot) -> None:
    """Write the market's canonical bytes row by row, each with the salt of its leaf, and what they come to."""
    market = snapshot.market
    lines = market.canonical_lines()
    round_.head = next(lines)
    whole = hashlib.sha256(round_.head.encode())
    leaves: list[bytes] = []

    def rows() -> Iterator[Sequence[object]]:
        for applicant, line in zip(sorted(market.applicants, key=lambda one: one.id), lines, strict=True):
            salt = secrets.token_bytes(SALT_BYTES)
            whole.update(b"\n" + line.encode())
            leaves.append(row_leaf(salt, line))
            yield round_.id, applicant.id, applicant.household, applicant.late, applicant.drawn_in, salt, line

    copy_rows(session, FrozenRow, ["round_id", "tag", "household", "late", "drawn_in", "salt", "line"], rows())
    documents = {program.id: canonical_line(program_document(program)) for program in market.programs}
    copy_rows(
        session,
        FrozenProgram,
        ["round_id", "program_id", "rules_version", "document", "seats_said", "why_not"],
        [
            (round_.id, one.program, one.version, documents[one.program], settled.target, settled.why_not)
            for one in snapshot.rules
            for settled in [snapshot.settled[one.program]]
        ],
    )
    copy_rows(
        session, Exclusion, ["round_id", "tag", "reason"], [(round_.id, tag, why) for tag, why in snapshot.excluded]
    )
    round_.market_digest = f"sha256:{whole.hexdigest()}"
    round_.snapshot_root = root(leaves)
    _refuse_unreadable(session, round_)


def row_leaf(salt: bytes, line: str) -> bytes:
    """Return the hash of an applicant's leaf in the snapshot's tree: of M(salt, "row", line)."""
    return leaf_hash(keyed(salt, "row", line.encode()))


def _refuse_unreadable(session: Session, round_: Round) -> None:
    """Read back what was stored, as the match will: what cannot be matched is not to be frozen.

    Raises:
        CannotFreeze: with what the lottery has against it.
    """
    try:
        market = frozen_market(session, round_)
    except UnusableInput as refusal:
        raise CannotFreeze(
            faults=[
                Fault(
                    "",
                    "market",
                    sentence("{place}: {problem}; {remedy}"),
                    _values(fault.path, fault.problem, fault.remedy),
                )
                for fault in refusal.faults[:MAX_NAMED]
            ],
            cycle=round_.cycle_id,
        ) from None
    if market.digest() != round_.market_digest:
        raise ValueError("the market that was stored is not the one that was read")


def _values(place: str, problem: str, remedy: str) -> dict[str, str | int]:
    return {"place": place, "problem": problem, "remedy": remedy}


def frozen_market(session: Session, round_: Round) -> Market:
    """Return a frozen round's market, read strictly from its bytes.

    Raises:
        UnusableInput: if they are no market.
    """
    return read_market_in_parts(
        decode((round_.head or "").encode()), _entries(session, round_), file=round_.id, reader=MarketReader()
    )


def read_back_whole(market: Market) -> Market:
    """Return a market as a match would read it once it is frozen, so that a rehearsal is refused what a round would be.

    Raises:
        UnusableInput: if its bytes are no market.
    """
    head, *lines = market.canonical_lines()
    name = market.round.id
    entries = (((None, f"{name}:{number}"), decode(line.encode())) for number, line in enumerate(lines, start=1))
    return read_market_in_parts(decode(head.encode()), entries, file=name, reader=MarketReader())


def _entries(session: Session, round_: Round) -> Entries:
    for number, line in enumerate(frozen_lines(session, round_), start=1):
        yield (None, f"{round_.id}:{number}"), decode(line.encode())


def frozen_lines(session: Session, round_: Round) -> Iterator[str]:
    """Yield the canonical lines of a frozen round's applicants, by ticket."""
    asked = select(FrozenRow.line).where(FrozenRow.round_id == round_.id).order_by(FrozenRow.tag.collate("C"))
    yield from session.scalars(asked.execution_options(yield_per=ROWS_AT_ONCE))


def _told(round_: Round, snapshot: Snapshot) -> dict[str, Json]:
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
    """Return what the freeze says of everything but applicants: H("programs", the market's first canonical line)."""
    return digest("programs", head.encode()).hex()


@cache
def lottery_sources() -> str:
    """Return the SHA-256 over the files of `lottery/` that run here, so that nobody can say that others ran."""
    folder = Path(lottery.__file__).parent
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        whole.update(
            f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return whole.hexdigest()
