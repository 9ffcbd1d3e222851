"""The checks before a round can be published (docs/reference/log-and-proofs.md)."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.directory.models import Offering
from enrollment.rounds.frozen_market import row_leaf
from enrollment.rounds.models import FrozenProgram, FrozenRow, Round
from enrollment.rounds.screened_lists import list_gaps
from enrollment.seats.models import LIVE, Offer
from lottery.explain.explainer import Explainer, Extract
from lottery.explain.facts import Decided
from lottery.explain.language import Language, languages
from lottery.explain.sentences import explanation_in_words
from lottery.market.canonical import Json
from lottery.market.model import Market
from lottery.market.outcome import Outcome
from lottery.match.seats import seats_this_round
from lottery.transparency_log.merkle import root


@dataclass(frozen=True, slots=True)
class Matched:
    """A matched round before it is stored."""

    round: Round
    market: Market
    outcome: Outcome
    seeds: Mapping[str, bytes]


_EMPTY = re.compile(r"[{}]|“”|«»")
"""A placeholder or empty quotation marks: the mark of a sentence with a missing value."""

Gate = Callable[[Session, Matched], str | None]
"""Returns the problem that it found, or None."""


def check_gates(session: Session, matched: Matched) -> list[dict[str, Json]]:
    """Return each check with the problem that it found. None: no problem.

    The last entry keeps nothing from being published: a school may leave children off its list on purpose.
    """
    checked: list[dict[str, Json]] = [{"gate": name, "problem": gate(session, matched)} for name, gate in GATES.items()]
    return [*checked, {"gate": "screened-lists", "problem": None, "note": _list_gaps_in_words(matched.market)}]


def _list_gaps_in_words(market: Market) -> str | None:
    """Name each program whose own list misses children who rank the program, with their number."""
    counts = [f"{gap.program}: {len(gap.tickets)}" for gap in list_gaps(market)]
    if not counts:
        return None
    return f"Children who rank a program and are not on the school's own list: {', '.join(counts)}."


def frozen_as_committed(session: Session, matched: Matched) -> str | None:
    """Compare the frozen rows and the market with the commitments of the freeze."""
    rows = session.execute(
        select(FrozenRow.salt, FrozenRow.line)
        .where(FrozenRow.round_id == matched.round.id)
        .order_by(FrozenRow.tag.collate("C"))
        .execution_options(yield_per=5_000)
    )
    if root([row_leaf(salt, line) for salt, line in rows]) != matched.round.snapshot_root:
        return "The frozen rows changed after the freeze."
    if matched.market.digest() != matched.round.market_digest:
        return "The matched market is not the frozen market."
    return None


def one_placement_a_child(_: Session, matched: Matched) -> str | None:
    """Find a child with two seats, or a child that the outcome forgot."""
    outcome = matched.outcome
    results = Counter([*(placement.applicant for placement in outcome.placements), *outcome.unplaced])
    known = {applicant.id for applicant in matched.market.applicants}
    wrong = sorted({ticket for ticket, times in results.items() if times > 1} | known ^ set(results))
    if not wrong:
        return None
    return f"{len(wrong)} tickets have no result or more than one result. The first ticket is {wrong[0]}."


def seats_kept(_: Session, matched: Matched) -> str | None:
    """Find a seat group with more children than seats."""
    placed = Counter((placement.program, placement.group) for placement in matched.outcome.placements)
    holders = matched.market.holders()
    for program in matched.market.programs:
        for group, seats in seats_this_round(matched.market.round.kind, program, holders).items():
            if placed[program.id, group] > seats:
                return f"{program.id} has {placed[program.id, group]} children for {seats} seats in the group {group}."
    return None


def held_seats_kept(session: Session, matched: Matched) -> str | None:
    """Find a child who holds a seat and would lose the seat without a placement at a higher choice."""
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
            return f"The ticket {tag.hex()} holds a seat at {program} and would lose the seat."
    return None


def rules_as_last_put(session: Session, matched: Matched) -> str | None:
    """Find a program whose frozen rules are older than the rules in force."""
    outdated = session.scalars(
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
    return f"The frozen rules of {outdated} are not the latest rules of the program." if outdated else None


def results_explained(_: Session, matched: Matched) -> str | None:
    """Explain a placed and a waiting child of each program and an unplaced child, each in the next language."""
    explainer = Explainer(Extract.whole(matched.market, matched.outcome), seeds=matched.seeds)
    in_turn = cycle([Language(code) for code in languages()])
    for ticket, language in zip(_sample(matched.outcome), in_turn, strict=False):
        explanation = explainer.explain(ticket)
        for program in explanation.programs:
            if any(group.decided is Decided.UNEXPLAINED for group in program.groups):
                return f"The result of the ticket {ticket} at {program.program.id} does not follow from the rules."
        if any(_EMPTY.search(line) for line in explanation_in_words(explanation, language)):
            return f"The explanation for the ticket {ticket} has a missing value."
    return None


def _sample(outcome: Outcome) -> Sequence[str]:
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
