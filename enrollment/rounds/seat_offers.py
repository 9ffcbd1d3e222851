"""Offer the seats of a round that is being published, and begin its live waitlists."""

import json
from collections.abc import Mapping
from typing import cast

from sqlalchemy import func, insert, literal, null, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.directory.models import Program, School
from enrollment.rounds.locks import LockedRound
from enrollment.rounds.models import CutoffRow, FrozenProgram, Placed, Round, WaitingPlace
from enrollment.rules.levels import read_stored_rules
from enrollment.rules.model import BackfillInput
from enrollment.rules.models import ProgramRules
from enrollment.rules.to_market import read_back
from enrollment.seats.models import WaitlistPlace
from enrollment.seats.publish_offers import publish_offers
from enrollment.seats.published_round import Placement, ProgramInRound, PublishedRound
from enrollment.stored_values import fields_of
from lottery.market.canonical import Json
from lottery.market.model import Kind


def offer_seats(session: Session, locked: LockedRound) -> None:
    """Offer the seats of a round that is being published. A main round also begins the live waitlists."""
    round_ = locked.round
    published = PublishedRound(
        round=round_.id,
        kind=round_.kind,
        cycle=locked.cycle,
        now=locked.now,
        programs=_programs(session, round_),
        only_seat=_only_seat(round_),
    )
    publish_offers(session, published, _placements(session, round_))
    if round_.kind == Kind.MAIN:
        _begin_waitlists(session, round_)


def _only_seat(round_: Round) -> tuple[str, int] | None:
    if round_.only_program is None or round_.only_vacancy is None:
        return None
    return round_.only_program, round_.only_vacancy


def _placements(session: Session, round_: Round) -> list[Placement]:
    rows = session.execute(
        select(Placed.tag, Placed.program_id, Placed.seat_group, Placed.choice, Placed.priority_class)
        .where(Placed.round_id == round_.id)
        .order_by(Placed.tag)
    )
    return [
        Placement(tag, program, group, choice, priority_class or "")
        for tag, program, group, choice, priority_class in rows
    ]


def _programs(session: Session, round_: Round) -> dict[str, ProgramInRound]:
    rows = session.execute(
        select(FrozenProgram, ProgramRules, School)
        .join(
            ProgramRules,
            (ProgramRules.program_id == FrozenProgram.program_id)
            & (ProgramRules.version == FrozenProgram.rules_version),
        )
        .join(Program, Program.id == FrozenProgram.program_id)
        .join(School, School.id == Program.school_id)
        .where(FrozenProgram.round_id == round_.id, ProgramRules.cycle_id == round_.cycle_id)
        .order_by(FrozenProgram.program_id)
    )
    waiting = _waiting(session, round_)
    return {
        frozen.program_id: _program(round_, frozen, rules, school, waiting.get(frozen.program_id, {}))
        for frozen, rules, school in rows
    }


def _waiting(session: Session, round_: Round) -> dict[str, dict[str, int]]:
    """Return the number of children on each waitlist, by program and seat group."""
    waiting: dict[str, dict[str, int]] = {}
    for cutoff in session.scalars(select(CutoffRow).where(CutoffRow.round_id == round_.id)):
        waiting.setdefault(cutoff.program_id, {})[cutoff.seat_group] = cutoff.waiting
    return waiting


def _program(
    round_: Round, frozen: FrozenProgram, program_rules: ProgramRules, school: School, waiting: Mapping[str, int]
) -> ProgramInRound:
    rules, came_from = read_stored_rules(program_rules.rules), fields_of(program_rules.came_from)
    levels = {
        "operator": f"operator:{school.operator_id}",
        "school": f"school:{school.id}",
        "program": f"program:{frozen.program_id}",
    }
    backfill = rules.backfill or BackfillInput()
    # A main round may have more seats than the rules: seats that were given outside the lottery before it.
    document = json.loads(frozen.document) if round_.kind == Kind.MAIN else program_rules.market
    program = read_back(cast("Mapping[str, Json]", document))
    return ProgramInRound(
        rules_version=frozen.rules_version,
        groups=program.seats_as_written(),
        target=program.seats if frozen.seats_said is None else frozen.seats_said,
        over_offer=(rules.seats.over_offer if rules.seats else None) or 0,
        releases=backfill.vacated_reserved_seats == "release",
        waiting=waiting,
        why_not=frozen.why_not,
        hours_to_answer=backfill.hours_to_answer,
        backfill_of=levels.get(str(came_from.get("backfill")), "default"),
        seats_of=levels.get(str(came_from.get("seats")), "default"),
    )


def _begin_waitlists(session: Session, round_: Round) -> None:
    """Begin the live waitlists in the order of the main round."""
    waiting = (
        select(
            literal(round_.cycle_id),
            WaitingPlace.program_id,
            WaitingPlace.seat_group,
            Child.id,
            WaitingPlace.place,
            null(),
            literal(True),
        )
        .join(Child, func.encode(Child.tag, "hex") == WaitingPlace.tag)
        .where(WaitingPlace.round_id == round_.id, Child.cycle_id == round_.cycle_id)
    )
    columns = ["cycle_id", "program_id", "seat_group", "child_id", "place", "priority_class", "drawn"]
    session.execute(insert(WaitlistPlace).from_select(columns, waiting))
