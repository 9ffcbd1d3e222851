"""Results: for partners about their applicants, for schools about their programs, and for the public."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from enrollment.access.callers import RoleKind
from enrollment.access.guards import ReadsResults
from enrollment.access.security_log import record_names_read
from enrollment.api.schemas.results import (
    CutoffsOut,
    ExplanationOut,
    FrozenRulesOut,
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
from enrollment.paging import Page, Paging
from enrollment.results.family_results import FamilyResult, explain_result, family_result
from enrollment.results.frozen_rules import describe_frozen_rules, select_frozen_rules
from enrollment.results.program_applicants import ProgramApplicant, ProgramApplicants, placed_at, preview_at
from enrollment.results.public_results import ReportOut, public_cutoffs, public_report
from enrollment.results.published_rounds import published, published_round, published_time, refuse_other_program
from enrollment.rounds.locks import latest_published, read_round
from enrollment.rounds.models import FrozenProgram
from enrollment.seats.offer_stories import OfferStory
from lottery.explain.language import Language

router = APIRouter(tags=["results"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"
PROGRAM = "/v1/cycles/{cycle}/programs/{program}"

RoundId = Annotated[Id, Path(alias="round")]
OfRound = Annotated[
    Id | None, Query(alias="round", description="A published round. Leave it out for the last published round.")
]


def result_of_child(
    session: InTransaction,
    partner: ReadsResults,
    request: Request,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    round_id: OfRound = None,
) -> FamilyResult:
    """Find a partner's child and a published round, and return the result in the reader's language.

    Raises:
        NotFound: if the partner has no such child, or nothing is published.
    """
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    round_ = published(session, cycle, round_id)
    return family_result(session, read_cycle(session, cycle), applicant, round_, reader_language(request))


OfChild = Annotated[FamilyResult, Depends(result_of_child)]


@router.get(f"{APPLICANT}/result")
def read_result(reference: Annotated[Id, Path()], result: OfChild) -> ResultOut:
    """Read what a round gave your applicant, and what holds now."""
    return ResultOut.model_validate(
        {
            "round": result.round.id,
            "kind": result.round.kind,
            "published_at": published_time(result.round),
            "reference": reference,
            "ticket": result.ticket,
            "placement": result.placement and asdict(result.placement),
            "placement_status": result.placed and result.placed.offer.status,
            "excluded": result.excluded,
            "not_listed": [{"program": id_, "program_name": name} for id_, name in result.not_listed.items()],
            "round_detail": result.round_detail,
            "now": _show_now(result),
            "detail": f"{result.round_detail} {result.now_detail}",
        }
    )


@router.get(f"{APPLICANT}/explanation")
def read_explanation(
    session: InTransaction, request: Request, reference: Annotated[Id, Path()], result: OfChild
) -> ExplanationOut:
    """Read the reasons for a child's result, program by program, in the language of Accept-Language: en, es, ar."""
    language = Language(reader_language(request))
    lines, facts = explain_result(session, result, language.code)
    return ExplanationOut.model_validate(
        {
            "round": result.round.id,
            "published_at": published_time(result.round),
            "reference": reference,
            "ticket": result.ticket,
            "language": language.code,
            "direction": language.direction,
            "lines": lines,
            "facts": json.loads(json.dumps(facts)),
            "now": _show_now(result),
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
    """Read the children who got a seat at a program, and its status now. Before results, those who rank it."""
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


def _show_now(result: FamilyResult) -> Mapping[str, object]:
    now, last = result.now, result.now.last
    return {
        "at": now.at,
        "status": now.status,
        "since": last and (last.offer.closed_at or last.offer.made_at),
        "seat": now.seat and _show_seat(now.seat),
        "waits_at": sorted({place.program for place in now.places}),
        "detail": result.now_detail,
    }


def _show_seat(story: OfferStory) -> Mapping[str, object]:
    offer = story.offer
    return {
        "offer": offer.id,
        "program": offer.program_id,
        "program_name": story.seat.program_name,
        "school": story.seat.school,
        "school_name": story.seat.school_name,
        "group": offer.seat_group,
        "source": offer.source,
        "since": offer.made_at,
        "needs_answer": story.needs_answer,
        "answer_by": story.answer_by,
        "replaces": story.replaces and story.replaces.program_id,
    }


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
        {
            **asdict(applicant.standing),
            "child": child,
            "partner": applicant.partner,
            "listed": applicant.listed,
            "seat_status": applicant.seat_status,
        }
    )
