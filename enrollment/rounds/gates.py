"""What must hold before a round may be published (audit.md, section 4), each looked at by itself."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.directory.models import Offering
from enrollment.rounds.freeze import row_leaf
from enrollment.rounds.models import FrozenProgram, FrozenRow, Round
from enrollment.seats.models import LIVE, Offer
from lottery.explain.facts import Decided, Explainer, Extract
from lottery.explain.language import Language, languages
from lottery.explain.sentences import explanation_in_words
from lottery.market.canonical import Json
from lottery.market.model import Market
from lottery.market.outcome import Outcome
from lottery.match.seats import seats_this_round
from lottery.transparency_log.merkle import root


@dataclass(frozen=True, slots=True)
class Matched:
    """A round as it was matched, before anything of it is stored."""

    round: Round
    market: Market
    outcome: Outcome
    seeds: Mapping[str, bytes]


_EMPTY = re.compile(r"[{}]|“”|«»")
"""What a sentence has where a value was not filled in."""

Gate = Callable[[Session, Matched], str | None]
"""Returns what it has against a round, or None."""


def look_at_gates(session: Session, matched: Matched) -> list[dict[str, Json]]:
    """Return each gate with what it has against the round, None if nothing."""
    return [{"gate": name, "problem": gate(session, matched)} for name, gate in GATES.items()]


def frozen_as_committed(session: Session, matched: Matched) -> str | None:
    """Hold the frozen rows against the root and the digest that the freeze committed to."""
    rows = session.execute(
        select(FrozenRow.salt, FrozenRow.line)
        .where(FrozenRow.round_id == matched.round.id)
        .order_by(FrozenRow.tag.collate("C"))
        .execution_options(yield_per=5_000)
    )
    if root([row_leaf(salt, line) for salt, line in rows]) != matched.round.snapshot_root:
        return "the frozen rows are not those that the freeze committed to"
    if matched.market.digest() != matched.round.market_digest:
        return "the market that was matched is not the frozen one"
    return None


def one_placement_a_child(_: Session, matched: Matched) -> str | None:
    """Look for a child with two seats, or one that is neither placed nor without a seat."""
    outcome = matched.outcome
    told = Counter([*(placement.applicant for placement in outcome.placements), *outcome.unplaced])
    known = {applicant.id for applicant in matched.market.applicants}
    wrong = sorted({ticket for ticket, times in told.items() if times > 1} | known ^ set(told))
    return f"{len(wrong)} tickets are not placed or left out exactly once, the first is {wrong[0]}" if wrong else None


def seats_kept(_: Session, matched: Matched) -> str | None:
    """Look for a seat group with more children than seats."""
    placed = Counter((placement.program, placement.group) for placement in matched.outcome.placements)
    holders = matched.market.holders()
    for program in matched.market.programs:
        for group, seats in seats_this_round(matched.market.round.kind, program, holders).items():
            if placed[program.id, group] > seats:
                return f"{program.id} has {placed[program.id, group]} children on {seats} seats of the group {group}"
    return None


def held_seats_kept(session: Session, matched: Matched) -> str | None:
    """Look for a child that holds a seat and would lose it: not placed there, and not where it ranks higher."""
    ranking = {applicant.id: applicant.ranking for applicant in matched.market.applicants}
    placed = {placement.applicant: placement.program for placement in matched.outcome.placements}
    held = session.execute(
        select(Child.tag, Offer.program_id)
        .join(Offer, Offer.child_id == Child.id)
        .where(Offer.cycle_id == matched.round.cycle_id, Offer.status.in_(LIVE))
        .order_by(Child.tag)
    )
    for tag, program in held:
        got, ranked = placed.get(tag.hex()), ranking.get(tag.hex(), ())
        above = ranked[: ranked.index(program)] if program in ranked else ranked
        if got != program and got not in above:
            return f"{tag.hex()} holds a seat at {program} and would lose it"
    return None


def rules_as_last_put(session: Session, matched: Matched) -> str | None:
    """Look for a program whose frozen rules are not the version that its school last put."""
    other = session.scalars(
        select(FrozenProgram.program_id)
        .outerjoin(
            Offering,
            (Offering.program_id == FrozenProgram.program_id) & (Offering.cycle_id == matched.round.cycle_id),
        )
        .where(
            FrozenProgram.round_id == matched.round.id,
            or_(Offering.rules_version.is_distinct_from(FrozenProgram.rules_version), Offering.status != "in"),
        )
        .order_by(FrozenProgram.program_id)
        .limit(1)
    ).one_or_none()
    return f"the rules of {other} are not those that its school last put" if other else None


def results_explained(_: Session, matched: Matched) -> str | None:
    """Explain one child placed and one waiting at each program, and one without a seat, the languages in turn."""
    explainer = Explainer(Extract.whole(matched.market, matched.outcome), seeds=matched.seeds)
    spoken = cycle([Language(code) for code in languages()])
    for ticket, language in zip(_worth_explaining(matched.outcome), spoken, strict=False):
        explanation = explainer.explain(ticket)
        for at in explanation.programs:
            if any(group.decided is Decided.UNEXPLAINED for group in at.groups):
                return f"what {ticket} got at {at.program.id} does not follow from the rules"
        if any(_EMPTY.search(line) for line in explanation_in_words(explanation, language)):
            return f"the explanation for {ticket} has an empty field"
    return None


def _worth_explaining(outcome: Outcome) -> Sequence[str]:
    placed = {placement.program: placement.applicant for placement in reversed(outcome.placements)}
    waiting = {waitlist.program: waitlist.applicants[0] for waitlist in outcome.waitlists}
    return sorted({*placed.values(), *waiting.values(), *outcome.unplaced[:1]})


GATES: dict[str, Gate] = {
    "frozen-as-committed": frozen_as_committed,
    "one-placement-a-child": one_placement_a_child,
    "seats-kept": seats_kept,
    "held-seats-kept": held_seats_kept,
    "rules-as-last-put": rules_as_last_put,
    "results-explained": results_explained,
}
