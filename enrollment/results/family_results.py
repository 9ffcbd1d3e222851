"""What a family reads about a published round: what the round gave the child, why, and what holds now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import CycleNow
from enrollment.directory.names import names_of_programs
from enrollment.languages import CATALOGUES
from enrollment.moments import moments_of
from enrollment.results.child_now import ChildNow, child_now
from enrollment.results.child_results import (
    ChildPlacement,
    excluded_from,
    held_before,
    not_listed_at,
    placement_of,
    ticket_of,
)
from enrollment.results.explanations import explanation_for_family
from enrollment.results.published_rounds import published_time
from enrollment.results.sentences import ResultFacts, now_in_words, published_in_words, result_in_words
from enrollment.rounds.models import Round
from enrollment.seats.offer_stories import OfferStory
from enrollment.waitlists.sentences import place_in_words
from lottery.explain.language import Language
from lottery.explain.sentences import Setting, explanation_in_words
from lottery.market.canonical import Json


@dataclass(frozen=True, slots=True)
class FamilyResult:
    """What a round gave a child, and what holds now, in facts and in words."""

    round: Round
    ticket: str
    placement: ChildPlacement | None
    placed: OfferStory | None
    """The story of the seat that the round gave."""
    excluded: str | None
    """The code of why the child was not in the round."""
    not_listed: Mapping[str, str]
    """The names of the ranked programs whose own list misses the child, by id."""
    published_line: str
    round_detail: str
    now: ChildNow
    now_lines: Sequence[str]
    """What holds now, in sentences."""
    places: Sequence[str]
    """Each place on a live waitlist, in words."""

    @property
    def now_detail(self) -> str:
        """Return what holds now, in one text."""
        return " ".join(self.now_lines)


def family_result(
    session: Session, cycle_now: CycleNow, applicant: Applicant, round_: Round, code: str
) -> FamilyResult:
    """Return the result of a published round for a child, in the reader's language."""
    language = Language(code, CATALOGUES)
    moment = moments_of(cycle_now.cycle, language)
    ticket, at = ticket_of(session, applicant), published_time(round_)
    placement, excluded = placement_of(session, round_, ticket), excluded_from(session, round_, ticket)
    not_listed = _names(session, not_listed_at(session, round_, ticket)) if excluded is None else {}
    facts = ResultFacts(
        kind=round_.kind,
        published_at=at,
        excluded=excluded,
        seat=placement.name_for_families if placement else None,
        kept=placement is not None and held_before(session, round_, ticket) == placement.program,
        not_listed=list(not_listed.values()),
    )
    now = child_now(session, cycle_now, applicant)
    placed = now.offer_at(placement.program) if placement else None
    return FamilyResult(
        round=round_,
        ticket=ticket,
        placement=placement,
        placed=placed,
        excluded=excluded,
        not_listed=not_listed,
        published_line=published_in_words(round_.kind, at, moment, language),
        round_detail=result_in_words(facts, moment, language),
        now=now,
        now_lines=now_in_words(now, placed, moment, language),
        places=[place_in_words(place, language) for place in now.places],
    )


def explain_result(session: Session, result: FamilyResult, code: str) -> tuple[list[str], Mapping[str, Json]]:
    """Return the lines and the facts of the explanation of a result.

    Places on waitlists are told twice, each with its time: as the round left them, and as they are now.
    """
    now = [*result.now_lines, *result.places]
    if result.excluded is not None:
        return [result.round_detail, *now], {}
    explanation = explanation_for_family(session, result.round, result.ticket)
    programs = [*(at.program.id for at in explanation.programs), *(left.program for left in explanation.left_out)]
    names = _names(session, programs)
    setting = Setting(names=names, published=[result.published_line], now=now)
    return explanation_in_words(explanation, Language(code), setting), explanation.document()


def _names(session: Session, programs: Collection[str]) -> Mapping[str, str]:
    return {program: name.for_families for program, name in names_of_programs(session, programs).items()}
