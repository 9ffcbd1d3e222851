"""Results: for partners about their applicants, for schools about their programs, and for the public."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from enrollment.access.callers import RoleKind
from enrollment.access.guards import ReadsResults
from enrollment.access.security_log import record_names_read
from enrollment.api.schemas.results import (
    CutoffsOut,
    ExplanationOut,
    FrozenRulesOut,
    PlacementOut,
    ProgramApplicantOut,
    ProgramApplicantsOut,
    ResultOut,
)
from enrollment.applicants.applications import find_applicant
from enrollment.audit.reads import record_read
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.school_access import ReadsProgram
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.results.child_results import excluded_from, placement_of, ticket_of
from enrollment.results.explanations import explanation_for_family
from enrollment.results.frozen_rules import describe_frozen_rules, select_frozen_rules
from enrollment.results.program_applicants import ProgramApplicant, ProgramApplicants, placed_at, preview_at
from enrollment.results.public_results import ReportOut, public_cutoffs, public_report
from enrollment.results.published_rounds import published, published_round, published_time, refuse_other_program
from enrollment.results.sentences import result_in_words
from enrollment.rounds.locks import latest_published, read_round
from enrollment.rounds.models import FrozenProgram, Round
from lottery.explain.language import Language
from lottery.explain.sentences import explanation_in_words

router = APIRouter(tags=["results"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"
PROGRAM = "/v1/cycles/{cycle}/programs/{program}"

RoundId = Annotated[Id, Path(alias="round")]
OfRound = Annotated[
    Id | None, Query(alias="round", description="A published round. Leave it out for the last published round.")
]


@dataclass(frozen=True, slots=True)
class ChildInRound:
    """A partner's child, and the published round that the request asks for."""

    reference: str
    ticket: str
    round: Round
    excluded: str | None
    """The code of why the child was not in the round. None: the child was in the round."""


def child_in_round(
    session: InTransaction,
    partner: ReadsResults,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    round_id: OfRound = None,
) -> ChildInRound:
    """Find a partner's child and a published round.

    Raises:
        NotFound: if the partner has no such child, or nothing is published.
    """
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    round_ = published(session, cycle, round_id)
    ticket = ticket_of(session, applicant)
    return ChildInRound(reference, ticket, round_, excluded_from(session, round_, ticket))


OfChild = Annotated[ChildInRound, Depends(child_in_round)]


@router.get(f"{APPLICANT}/result")
def read_result(session: InTransaction, request: Request, child: OfChild) -> ResultOut:
    """Read the result of a round for your applicant."""
    placement = placement_of(session, child.round, child.ticket)
    say = in_language(reader_language(request))
    return ResultOut(
        round=child.round.id,
        kind="main" if child.round.kind == "main" else "backfill",
        published_at=published_time(child.round),
        reference=child.reference,
        ticket=child.ticket,
        placement=PlacementOut(**asdict(placement)) if placement else None,
        excluded=child.excluded,
        detail=result_in_words(placement.program_name if placement else None, child.excluded, say),
    )


@router.get(f"{APPLICANT}/explanation")
def read_explanation(session: InTransaction, request: Request, child: OfChild) -> ExplanationOut:
    """Read the reasons for a child's result, program by program, in the language of Accept-Language: en, es, ar."""
    language = Language(reader_language(request))
    if child.excluded is not None:
        lines, facts = [result_in_words(None, child.excluded, in_language(language.code))], {}
    else:
        explanation = explanation_for_family(session, child.round, child.ticket)
        lines, facts = explanation_in_words(explanation, language), explanation.document()
    return ExplanationOut.model_validate(
        {
            "round": child.round.id,
            "reference": child.reference,
            "ticket": child.ticket,
            "language": language.code,
            "direction": language.direction,
            "lines": lines,
            "facts": json.loads(json.dumps(facts)),
        }
    )


@router.get(f"{PROGRAM}/applicants")
def read_program_applicants(
    session: InTransaction,
    staff: ReadsProgram,
    request: Request,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    round_id: OfRound = None,
) -> ProgramApplicantsOut:
    """Read the children with a seat at a program. Before results, read the children who rank it."""
    cycle_now = read_cycle(session, cycle)
    language = reader_language(request)
    round_ = latest_published(session, cycle) if round_id is None else published(session, cycle, round_id)
    audits = staff.is_(RoleKind.AUDITOR)
    if audits:
        record_read(session, cycle=cycle, actor="staff:auditor", what="applicants", program=program, reader=staff.id)
    if round_ is None:
        return _show_applicants(program, preview_at(session, cycle_now.cycle, program, language))
    refuse_other_program(session, round_, program)
    if not audits:
        record_names_read(session, staff, "applicants", cycle=cycle, program=program)
    return _show_applicants(program, placed_at(session, round_, program, language, named=not audits))


@router.get("/v1/rounds/{round}/cutoffs")
def read_cutoffs(session: InTransaction, round_id: RoundId) -> CutoffsOut:
    """Read the standing of the last child who got a seat in each full group, without small numbers."""
    round_ = published_round(session, round_id)
    return CutoffsOut(round=round_.id, cutoffs=public_cutoffs(session, round_))


@router.get("/v1/rounds/{round}/report")
def read_report(session: InTransaction, round_id: RoundId) -> ReportOut:
    """Read the counts of a published round, without small numbers."""
    return public_report(session, published_round(session, round_id))


@router.get("/v1/rounds/{round}/rules")
def read_rules_in_force(
    session: InTransaction, request: Request, paging: Paging, round_id: RoundId
) -> Page[FrozenRulesOut]:
    """Read the rules of every program as the round froze them, in market form and in sentences."""
    round_ = read_round(session, round_id)
    language = reader_language(request)
    found = paging.read(session, select_frozen_rules(round_), by=[FrozenProgram.program_id])
    return found.show(
        lambda frozen, rules: FrozenRulesOut.model_validate(
            describe_frozen_rules(round_, frozen, rules, language), from_attributes=True
        )
    )


def _show_applicants(program: str, found: ProgramApplicants) -> ProgramApplicantsOut:
    return ProgramApplicantsOut(
        program=program,
        round=found.round,
        by_class=found.by_class(),
        applicants=[_show_applicant(applicant) for applicant in found.applicants],
    )


def _show_applicant(applicant: ProgramApplicant) -> ProgramApplicantOut:
    child = asdict(applicant.child) if applicant.child else None
    return ProgramApplicantOut.model_validate(
        {**asdict(applicant.standing), "child": child, "partner": applicant.partner}
    )
