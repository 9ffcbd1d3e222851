"""Extracts of a round: the rows that explain the results of some children."""

import json
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from enrollment.rounds.frozen_market import submitted_rankings
from enrollment.rounds.models import CutoffRow, FrozenProgram, FrozenRow, Placed, Round, WaitingPlace
from enrollment.rounds.seeds import seeds_before
from enrollment.rules.to_market import read_back
from enrollment.stored_values import fields_of
from lottery.explain.explainer import Explainer, Extract
from lottery.market.model import Applicant, HeldSeat, Kind, Late, Market, Policy, Twins
from lottery.market.model import Round as MarketRound
from lottery.market.outcome import Cutoff, LastAdmitted, Placement
from lottery.market.rules import TieBreak


def explainer_of(session: Session, round_: Round, tickets: Collection[str]) -> Explainer:
    """Return an explainer for some children of a matched round."""
    return Explainer(extract_of(session, round_, tickets), seeds=seeds_before(session, round_))


def extract_of(session: Session, round_: Round, tickets: Collection[str], *, program: str | None = None) -> Extract:
    """Read the rows about some children of a matched round.

    Args:
        session: any transaction. The rows of a round do not change.
        round_: the round.
        tickets: the children.
        program: the only program to look at. None: all programs that the children rank or hold a seat at.
    """
    children = [_applicant(line) for line in _lines(session, round_, FrozenRow.tag.in_(tickets))]
    households = {child.household for child in children if child.household}
    of_households = FrozenRow.household.in_(households) & FrozenRow.tag.not_in(tickets)
    members = [_applicant(line) for line in _lines(session, round_, of_households)] if households else []
    placements = _placements(session, round_, [child.id for child in (*children, *members)])
    wanted = {placement.program for placement in placements}
    if program is None:
        wanted |= {ranked for child in children for ranked in child.ranking}
        wanted |= {child.holds.program for child in children if child.holds}
    else:
        wanted.add(program)
    market = _part(session, round_, wanted, [*children, *members])
    cutoffs, waiting = _cutoffs(session, round_, wanted)
    places = _places(session, round_, tickets)

    def waitlists(program: str, group: str, ticket: str) -> tuple[int | None, int]:
        return places.get((program, group, ticket)), waiting.get((program, group), 0)

    submitted = submitted_rankings(session, round_, tickets)
    given_up = _in_round(session, round_, {listed for programs in submitted.values() for listed in programs})
    return Extract(market, round_.seed or b"", placements, cutoffs, waitlists, submitted, given_up)


def _in_round(session: Session, round_: Round, programs: Collection[str]) -> frozenset[str]:
    """Return the programs that a round has."""
    if not programs:
        return frozenset()
    query = select(FrozenProgram.program_id).where(
        FrozenProgram.round_id == round_.id, FrozenProgram.program_id.in_(programs)
    )
    return frozenset(session.scalars(query))


def _lines(session: Session, round_: Round, which: ColumnElement[bool]) -> Sequence[str]:
    query = select(FrozenRow.line).where(FrozenRow.round_id == round_.id, which).order_by(FrozenRow.tag.collate("C"))
    return session.scalars(query).all()


def _applicant(line: str) -> Applicant:
    """Return an applicant from the canonical line, which has every field."""
    document = json.loads(line)
    holds = document["holds"]
    return Applicant(
        id=document["id"],
        grade=document["grade"],
        ranking=tuple(document["ranking"]),
        zones=frozenset(document["zones"]),
        flags=frozenset(document["flags"]),
        at={school: frozenset(facts) for school, facts in document["at"].items()},
        attends=document["attends"],
        household=document["household"],
        together=document["together"],
        late=document["late"],
        holds=HeldSeat(holds["program"], holds["group"]) if holds else None,
        drawn_in=document["drawn_in"],
    )


def _part(session: Session, round_: Round, programs: Collection[str], applicants: Sequence[Applicant]) -> Market:
    documents = session.scalars(
        select(FrozenProgram.document)
        .where(FrozenProgram.round_id == round_.id, FrozenProgram.program_id.in_(programs))
        .order_by(FrozenProgram.program_id.collate("C"))
    )
    head = json.loads(round_.head or "{}")
    policy, earlier = head["policy"], head["round"].get("earlier")
    return Market(
        MarketRound(round_.id, Kind(round_.kind), None if earlier is None else tuple(earlier)),
        Policy(
            TieBreak(policy["tie_break"]), Late(policy["late"]), tuple(policy["grade_order"]), Twins(policy["twins"])
        ),
        tuple(read_back(json.loads(document)) for document in documents),
        tuple(applicants),
    )


def _placements(session: Session, round_: Round, tickets: Collection[str]) -> list[Placement]:
    rows = session.execute(
        select(Placed.tag, Placed.program_id, Placed.seat_group, Placed.choice)
        .where(Placed.round_id == round_.id, Placed.tag.in_(tickets))
        .order_by(Placed.tag)
    )
    return [Placement(tag, program, group, choice) for tag, program, group, choice in rows]


def _cutoffs(
    session: Session, round_: Round, programs: Collection[str]
) -> tuple[list[Cutoff], Mapping[tuple[str, str], int]]:
    rows = session.scalars(
        select(CutoffRow).where(CutoffRow.round_id == round_.id, CutoffRow.program_id.in_(programs))
    ).all()
    return (
        [Cutoff(row.program_id, row.seat_group, row.seats, row.filled, last_of(row)) for row in rows],
        {(row.program_id, row.seat_group): row.waiting for row in rows},
    )


def last_of(row: CutoffRow) -> LastAdmitted | None:
    """Return the stored standing of the last child who got a seat."""
    fields = fields_of(row.last)
    if not fields:
        return None
    return LastAdmitted(
        holder=bool(fields.get("holder")),
        meets=bool(fields.get("meets")),
        late=bool(fields.get("late")),
        class_=str(fields.get("class")),
        number=_text(fields.get("number")),
        position=_number(fields.get("position")),
        drawn_in=_text(fields.get("drawn_in")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _places(session: Session, round_: Round, tickets: Collection[str]) -> dict[tuple[str, str, str], int]:
    rows = session.execute(
        select(WaitingPlace.program_id, WaitingPlace.seat_group, WaitingPlace.tag, WaitingPlace.place).where(
            WaitingPlace.round_id == round_.id, WaitingPlace.tag.in_(tickets)
        )
    )
    return {(program, group, tag): place for program, group, tag, place in rows}
