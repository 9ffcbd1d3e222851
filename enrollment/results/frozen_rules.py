"""The rules of programs as a round froze them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from sqlalchemy import Select, select

from enrollment.database import Document
from enrollment.languages import in_language
from enrollment.rounds.models import FrozenProgram, Round
from enrollment.rules.backfill import WhyNot
from enrollment.rules.levels import read_stored_rules
from enrollment.rules.model import StoredRulesUnreadable
from enrollment.rules.models import ProgramRules
from enrollment.rules.sentences import WHY_NOT, rules_in_words
from enrollment.rules.to_market import read_back


@dataclass(frozen=True, slots=True)
class FrozenRules:
    """A program's frozen rules, in market form and in words."""

    program: str
    version: int
    market: Mapping[str, JsonValue]
    sentences: Sequence[str]
    why_not: str | None
    why_not_detail: str | None


def select_frozen_rules(round_: Round) -> Select[FrozenProgram, Document]:
    """Select the programs of a frozen round, each with the school's rules."""
    return (
        select(FrozenProgram, ProgramRules.rules)
        .join(
            ProgramRules,
            (ProgramRules.program_id == FrozenProgram.program_id)
            & (ProgramRules.version == FrozenProgram.rules_version),
        )
        .where(FrozenProgram.round_id == round_.id, ProgramRules.cycle_id == round_.cycle_id)
    )


def describe_frozen_rules(frozen: FrozenProgram, rules: Document, language: str) -> FrozenRules:
    """Return a program's frozen rules in the reader's language. Unreadable rules have no sentences."""
    market = json.loads(frozen.document)
    try:
        sentences = rules_in_words(read_stored_rules(rules), read_back(market), language)
    except StoredRulesUnreadable:
        sentences = []
    return FrozenRules(
        program=frozen.program_id,
        version=frozen.rules_version,
        market=market,
        sentences=sentences,
        why_not=frozen.why_not,
        why_not_detail=in_language(language)(WHY_NOT[WhyNot(frozen.why_not)]) if frozen.why_not else None,
    )
