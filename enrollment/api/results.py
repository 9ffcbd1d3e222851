"""Results over HTTP: partners see their applicants', schools their programs', everybody what is public."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import ReadsResults
from enrollment.access.security_log import record_names_read
from enrollment.applicants.applications import find_applicant
from enrollment.audit.reads import record_read
from enrollment.cycles.locks import read_cycle
from enrollment.database import Document, InTransaction
from enrollment.directory.school_access import ReadsProgram
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.results.extracts import explainer_of
from enrollment.results.results import (
    ResultsNotPublished,
    cutoffs_shown,
    excluded_from,
    in_a_sentence,
    placed_at,
    placement_of,
    places_of,
    previewed_at,
    published,
    published_round,
    published_time,
    report_shown,
    ticket_of,
    waiting_at,
    waiting_now_at,
)
from enrollment.results.schemas import (
    ApplicantsAt,
    CutoffsOut,
    ExplanationOut,
    FrozenRulesOut,
    ReportOut,
    ResultOut,
    WaitingOut,
    WaitlistAt,
    WaitlistsOut,
)
from enrollment.rounds.locks import latest_published, read_round
from enrollment.rounds.models import FrozenProgram, Round
from enrollment.rules.backfill import WhyNot
from enrollment.rules.levels import part_of
from enrollment.rules.model import StoredRulesUnreadable
from enrollment.rules.models import ProgramRules
from enrollment.rules.sentences import WHY_NOT, rules_in_words
from enrollment.rules.to_market import read_back
from enrollment.waitlists.waitlists import places_now
from lottery.explain.language import Language
from lottery.explain.sentences import explanation_in_words

router = APIRouter(tags=["results"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"
PROGRAM = "/v1/cycles/{cycle}/programs/{program}"

RoundId = Annotated[Id, Path(alias="round")]
OrNow = Annotated[Id | None, Query(alias="round", description="A published round; without it: now.")]
OfRound = Annotated[Id | None, Query(alias="round", description="A published round; without it, the last one.")]


@dataclass(frozen=True, slots=True)
class OfChild:
    """A partner's child in a published round."""

    reference: str
    ticket: str
    round: Round
    excluded: str | None
    """Why the child was not in the round, if it was not."""


def of_child(
    session: InTransaction,
    partner: ReadsResults,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    round_id: OfRound = None,
) -> OfChild:
    """Find a child that the partner brought, and the round that is asked for.

    Raises:
        NotFound: if the partner brought no such child, or nothing is published.
    """
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    round_ = published(session, cycle, round_id)
    ticket = ticket_of(session, applicant)
    return OfChild(reference, ticket, round_, excluded_from(session, round_, ticket))


Asked = Annotated[OfChild, Depends(of_child)]


@router.get(f"{APPLICANT}/result")
def read_result(session: InTransaction, request: Request, asked: Asked) -> ResultOut:
    """Read what a round gave a child that you brought."""
    placement = placement_of(session, asked.round, asked.ticket)
    return ResultOut(
        round=asked.round.id,
        kind="main" if asked.round.kind == "main" else "backfill",
        published_at=published_time(asked.round),
        reference=asked.reference,
        ticket=asked.ticket,
        placement=placement,
        excluded=asked.excluded,
        detail=in_a_sentence(placement, asked.excluded, in_language(reader_language(request))),
    )


@router.get(f"{APPLICANT}/waitlists")
def read_waitlists(
    session: InTransaction,
    partner: ReadsResults,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    round_id: OrNow = None,
) -> WaitlistsOut:
    """Read where a child that you brought waits: at every program ranked above the seat it has."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    round_ = published(session, cycle, round_id)
    if round_id is not None:
        places = places_of(session, round_, ticket_of(session, applicant))
    else:
        places = [WaitingOut(**asdict(place)) for place in places_now(session, applicant.child_id)]
    return WaitlistsOut(round=round_id, reference=reference, places=places)


@router.get(f"{APPLICANT}/explanation")
def read_explanation(session: InTransaction, request: Request, asked: Asked) -> ExplanationOut:
    """Read why a child got what it got, program by program, in the language of Accept-Language: en, es, ar."""
    language = Language(reader_language(request))
    if asked.excluded is not None:
        lines, facts = [in_a_sentence(None, asked.excluded, in_language(language.code))], {}
    else:
        explanation = explainer_of(session, asked.round, [asked.ticket]).explain(asked.ticket)
        lines, facts = explanation_in_words(explanation, language), explanation.document()
    return ExplanationOut.model_validate(
        {
            "round": asked.round.id,
            "reference": asked.reference,
            "ticket": asked.ticket,
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
) -> ApplicantsAt:
    """Read who has a seat at a program, in which class and why; before results, who ranks it and in which class."""
    held = read_cycle(session, cycle)
    code = reader_language(request)
    round_ = latest_published(session, cycle) if round_id is None else published(session, cycle, round_id)
    audits = staff.is_(RoleKind.AUDITOR)
    if audits:
        record_read(session, cycle=cycle, actor="staff:auditor", what="applicants", program=program, reader=staff.id)
    if round_ is None:
        return previewed_at(session, held.cycle, program, code)
    _refuse_program_not_in(session, round_.id, program)
    if not audits:
        record_names_read(session, staff, "applicants", cycle=cycle, program=program)
    return placed_at(session, round_, program, code, named=not audits)


@router.get(f"{PROGRAM}/waitlist")
def read_program_waitlist(
    session: InTransaction,
    staff: ReadsProgram,
    request: Request,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    round_id: OrNow = None,
) -> WaitlistAt:
    """Read a program's waitlists in their order, now or as a round left them, with each child's class and why."""
    read_cycle(session, cycle)
    round_ = published(session, cycle, round_id)
    _refuse_program_not_in(session, round_.id, program)
    if staff.is_(RoleKind.AUDITOR):
        record_read(session, cycle=cycle, actor="staff:auditor", what="waitlist", program=program, reader=staff.id)
    code = reader_language(request)
    if round_id is None:
        waiting = waiting_now_at(session, cycle, program, code)
    else:
        waiting = waiting_at(session, round_, program, code)
    return WaitlistAt(program=program, round=round_id, waiting=waiting)


def _refuse_program_not_in(session: Session, round_id: str, program: str) -> None:
    if session.get(FrozenProgram, (round_id, program)) is None:
        raise ResultsNotPublished


@router.get("/v1/rounds/{round}/cutoffs")
def read_cutoffs(session: InTransaction, round_id: RoundId) -> CutoffsOut:
    """Read where the last one admitted to each full seat group stood; small cells are hidden, numbers cut short."""
    round_ = published_round(session, round_id)
    return CutoffsOut(round=round_.id, cutoffs=cutoffs_shown(session, round_))


@router.get("/v1/rounds/{round}/report")
def read_report(session: InTransaction, round_id: RoundId) -> ReportOut:
    """Read a published round in numbers; small cells are hidden."""
    return report_shown(published_round(session, round_id))


@router.get("/v1/rounds/{round}/rules")
def read_rules_in_force(
    session: InTransaction,
    request: Request,
    paging: Paging,
    round_id: RoundId,
) -> Page[FrozenRulesOut]:
    """Read every program's rules as the round froze them: in market form, and in sentences."""
    round_ = read_round(session, round_id)
    code = reader_language(request)
    asked = (
        select(FrozenProgram, ProgramRules.rules)
        .join(
            ProgramRules,
            (ProgramRules.program_id == FrozenProgram.program_id)
            & (ProgramRules.version == FrozenProgram.rules_version),
        )
        .where(FrozenProgram.round_id == round_.id, ProgramRules.cycle_id == round_.cycle_id)
    )

    def show(frozen: FrozenProgram, rules: Document) -> FrozenRulesOut:
        market = json.loads(frozen.document)
        try:
            sentences = rules_in_words(part_of(rules), read_back(market), code)
        except StoredRulesUnreadable:
            sentences = []
        return FrozenRulesOut(
            program=frozen.program_id,
            version=frozen.rules_version,
            market=market,
            sentences=sentences,
            why_not=frozen.why_not,
            why_not_detail=in_language(code)(WHY_NOT[WhyNot(frozen.why_not)]) if frozen.why_not else None,
        )

    return paging.read(session, asked, by=[FrozenProgram.program_id]).show(show)
