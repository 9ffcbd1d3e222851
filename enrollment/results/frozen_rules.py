"""The rules of programs as a round froze them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue
from sqlalchemy import Select, select

from enrollment.languages import in_language
from enrollment.rounds.models import FrozenProgram, Round
from enrollment.rules.backfill import WhyNot
from enrollment.rules.levels import read_stored_rules
from enrollment.rules.model import StoredRulesUnreadable
from enrollment.rules.models import ProgramRules
from enrollment.rules.sentences import WHY_NOT, rules_in_words
from enrollment.rules.to_market import read_back
from enrollment.stored_values import fields_of
from lottery.market.canonical import Json
from lottery.market.model import Kind


@dataclass(frozen=True, slots=True)
class FrozenRules:
    """A program's frozen rules, in market form and in words."""

    program: str
    version: int
    market: Mapping[str, JsonValue]
    sentences: Sequence[str]
    why_not: str | None
    why_not_detail: str | None


def select_frozen_rules(round_: Round) -> Select[FrozenProgram, ProgramRules]:
    """Select the programs of a frozen round, each with the school's rules."""
    return (
        select(FrozenProgram, ProgramRules)
        .join(
            ProgramRules,
            (ProgramRules.program_id == FrozenProgram.program_id)
            & (ProgramRules.version == FrozenProgram.rules_version),
        )
        .where(FrozenProgram.round_id == round_.id, ProgramRules.cycle_id == round_.cycle_id)
    )


def describe_frozen_rules(round_: Round, frozen: FrozenProgram, rules: ProgramRules, language: str) -> FrozenRules:
    """Return a program's frozen rules in the reader's language. Unreadable rules have no sentences.

    In a backfill round, these are the rules as the school put them. The seats that the round froze, and that a program
    has no free seat, would say how many children hold one.
    """
    market = json.loads(frozen.document) if round_.kind == Kind.MAIN else fields_of(rules.market)
    why_not = None if frozen.why_not == WhyNot.OVER_TARGET else frozen.why_not
    try:
        sentences = rules_in_words(
            read_stored_rules(rules.rules), read_back(cast("Mapping[str, Json]", market)), language
        )
    except StoredRulesUnreadable:
        sentences = []
    return FrozenRules(
        program=frozen.program_id,
        version=frozen.rules_version,
        market=market,
        sentences=sentences,
        why_not=why_not,
        why_not_detail=in_language(language)(WHY_NOT[WhyNot(why_not)]) if why_not else None,
    )
