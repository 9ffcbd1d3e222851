"""Small markets made of the rules of presets, matched and verified."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeAlias

import pytest

import lottery
from enrollment.cycles.models import Cycle
from enrollment.rules.backfill import for_backfill
from enrollment.rules.model import RulesInput, SeatsInput, resolve
from enrollment.rules.presets import (
    presets,
    read_preset,
)
from enrollment.rules.to_market import ProgramContext, program_document, read_back
from lottery.market.canonical import Json
from lottery.market.model import FORMAT
from lottery.market.model import program_document as whole_document
from lottery.market.outcome import Outcome, Placement
from lottery.market.rules import OPEN
from lottery.match.lottery_numbers import lottery_number

Document: TypeAlias = "dict[str, Json]"

SEED = bytes(32)
OWN = "own-zone"
DOCS = Path(__file__).parents[2] / "docs" / "presets.md"
NOBODY = re.compile(r"[{}]|“”|«»|„“|\(\)")
"""What a sentence has where a name or a number is missing."""

EVERY = [(preset, variant) for preset in presets().values() for variant in preset.variants]
each_variant = pytest.mark.parametrize(
    ("preset", "variant"), EVERY, ids=[f"{preset.id}/{variant.name}" for preset, variant in EVERY]
)
each_preset = pytest.mark.parametrize("preset", presets().values(), ids=list(presets()))


# ---- markets of a preset's own rules


def rules_of(preset: str, variant: str, *, seats: int | None = None, **reserved: int) -> RulesInput:
    """Return a rule set, resolved; its school may have edited its seats and those of reserves, and nothing else."""
    rules = resolve(operator=None, school=None, program=read_preset(preset).variant(variant).rules).rules
    if seats is None:
        return rules
    reserves = [
        reserve.model_copy(update={"seats": reserved.get(reserve.name.replace("-", "_"), reserve.seats)})
        for reserve in rules.reserves or []
    ]
    return rules.model_copy(update={"seats": SeatsInput(match=seats), "reserves": reserves})


def program(rules: RulesInput, school: str = "lincoln", grade: str = "KG", zones: Sequence[str] = (OWN,)) -> Document:
    return program_document(rules, ProgramContext(f"{school}-{grade}", school, grade, zones))


def child(ticket: str, *ranking: str, grade: str = "KG", **facts: Json) -> Document:
    return {
        "id": ticket,
        "grade": grade,
        "ranking": [f"{school}-{grade}" for school in ranking or ("lincoln",)],
        **facts,
    }


def at(fact: str, school: str = "lincoln") -> Json:
    return {school: [fact]}


def drawn(number: int, seed: bytes = SEED, scope: str = "*") -> list[str]:
    """Return so many tickets, best lottery number first."""
    tickets = [f"ticket-{place}" for place in range(number)]
    return sorted(tickets, key=lambda ticket: lottery_number(seed=seed, scope=scope, subject=ticket))


@dataclass(frozen=True, slots=True)
class Matched:
    outcome: Outcome

    def placements(self) -> dict[str, Placement]:
        return {placement.applicant: placement for placement in self.outcome.placements}

    def schools(self) -> dict[str, str]:
        return {ticket: placement.program.rpartition("-")[0] for ticket, placement in self.placements().items()}

    def group(self, name: str) -> set[str]:
        return {placement.applicant for placement in self.outcome.placements if placement.group == name}

    def waitlist(self, school: str = "lincoln", group: str = OPEN, grade: str = "KG") -> list[str]:
        lists = {(waitlist.program, waitlist.group): waitlist.applicants for waitlist in self.outcome.waitlists}
        return list(lists.get((f"{school}-{grade}", group), ()))


def matched(
    preset: str,
    programs: Sequence[Document],
    children: Sequence[Document],
    *,
    seed: bytes = SEED,
    kind: str = "main",
) -> Matched:
    """Match a market under the policy of the preset's cycle, and hold the verifier to have no complaint."""
    cycle = read_preset(preset).cycle
    market = lottery.read_market(
        {
            "format": FORMAT,
            "round": {"id": kind, "kind": kind},
            "policy": {
                "tie_break": cycle.tie_break,
                "late": cycle.late,
                "twins": cycle.twins,
                "grade_order": cycle.sibling_order or cycle.grades[::-1],
            },
            "programs": list(programs),
            "applicants": list(children),
        }
    )
    earlier = {"main": SEED}
    outcome = lottery.match_market(market, seed=seed, seeds={} if kind == "main" else earlier)
    assert lottery.verify(market, outcome, seeds={} if kind == "main" else earlier) == ()
    return Matched(outcome)


def backfilled(
    rules: Mapping[str, RulesInput], before: Matched, children: Sequence[Document], *, on: date
) -> list[Document]:
    """Return the schools' programs as a backfill round of a day has them, after the seats that are still held."""
    staying = {str(one["id"]) for one in children}
    held: dict[str, Counter[str]] = {}
    for placement in before.outcome.placements:
        if placement.applicant in staying:
            held.setdefault(placement.program, Counter())[placement.group] += 1
    grade = str(children[0]["grade"])
    documents: list[Document] = []
    for school, own in rules.items():
        made = read_back(program(own, school, grade))
        settled = for_backfill(made, own, on=on, held=held.get(made.id, Counter()))
        documents.append(json.loads(json.dumps(whole_document(settled.program))))
    return documents


def after(before: Matched, children: Sequence[Document], *, gone: str) -> list[Document]:
    """Return who is there in a backfill round: all but one, each with the seat that they were given."""
    placements = before.placements()
    return [
        {**one, "drawn_in": "main", "holds": held_by(placements.get(str(one["id"])))}
        for one in children
        if one["id"] != gone
    ]


def held_by(placement: Placement | None) -> Json:
    return None if placement is None else {"program": placement.program, "group": placement.group}


def free_seats(rules: RulesInput, *, on: date, held: Mapping[str, int]) -> int:
    settled = for_backfill(read_back(program(rules)), rules, on=on, held=held)
    return settled.program.seats - sum(held.values())


SUMMER = date(2027, 7, 1)


def season(deadline: date, **later: datetime) -> Cycle:
    """Return a cycle's calendar."""
    return Cycle(
        time_zone="America/New_York",
        deadline=datetime(deadline.year, deadline.month, deadline.day, 12, tzinfo=UTC),
        **later,
    )


# ---- all of them
