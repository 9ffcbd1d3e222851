"""Explain a child's result to the family, without describing the few children of a small group."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from sqlalchemy.orm import Session

from enrollment.results.extracts import explainer_of
from enrollment.results.frozen_rules import select_frozen_rules
from enrollment.rounds.models import FrozenProgram, Round
from enrollment.rounds.public_numbers import public_numbers
from enrollment.rules.to_market import read_back
from lottery.explain.facts import AtProgram, Explanation
from lottery.explain.small_groups import without_small_groups
from lottery.market.canonical import Json
from lottery.market.model import Kind


def explanation_for_family(session: Session, round_: Round, ticket: str) -> Explanation:
    """Return the reasons for a child's result. About other children, it says only what the public sees too."""
    shown = public_numbers(session, round_).shown
    explanation = explainer_of(session, round_, [ticket]).explain(ticket)
    told = without_small_groups(explanation, large=shown.groups, waiting=shown.waiting)
    return told if round_.kind == Kind.MAIN else _with_seats_of_rules(session, round_, told)


def _with_seats_of_rules(session: Session, round_: Round, explanation: Explanation) -> Explanation:
    """Say the seats of the schools' rules. A backfill round's own seats would say how many children hold one."""
    programs = [at.program.id for at in explanation.programs]
    rows = session.execute(select_frozen_rules(round_).where(FrozenProgram.program_id.in_(programs)))
    seats = {
        frozen.program_id: read_back(cast("Mapping[str, Json]", rules.market)).seats_as_written()
        for frozen, rules in rows
    }
    return replace(explanation, programs=tuple(_with_seats(at, seats[at.program.id]) for at in explanation.programs))


def _with_seats(at: AtProgram, seats: Mapping[str, int]) -> AtProgram:
    return replace(at, groups=tuple(replace(group, seats=seats.get(group.name, 0)) for group in at.groups))
