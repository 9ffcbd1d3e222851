"""Rules over HTTP: each level says its part, and anybody can read what is in force."""

import uuid
from collections.abc import Mapping
from typing import Annotated, cast

from fastapi import APIRouter, Path, Query, Request, Response, status
from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.callers import Administers, ReadsRecords
from enrollment.access.once import Once, OnceRoute
from enrollment.answers import reader_language
from enrollment.cycles.service import hold_between_rounds, read_cycle
from enrollment.database import InTransaction
from enrollment.preconditions import IfMatch, refuse_stale, show_version
from enrollment.problems import NotFound
from enrollment.schools.market_form import program_document, read_back
from enrollment.schools.models import Offering, Program, ProgramRules, RulesSaid
from enrollment.schools.own_school import Acting, ActsForOperator, ActsForProgram, ActsForSchool
from enrollment.schools.rules_in_words import rules_in_words
from enrollment.schools.rules_store import (
    Subject,
    approve,
    document_of,
    hold_proposal,
    hold_rules,
    place_of,
    proposal_of,
    refuse,
    refuse_unknown_subject,
    resolved_rules,
    said_now,
    save_rules,
    version_of,
)
from enrollment.schools.school_schemas import (
    Decision,
    ProgramRulesShown,
    ProposalShown,
    RulesBody,
    RulesVersionShown,
    SaidShown,
)
from enrollment.wire import Id

router = APIRouter(route_class=OnceRoute, tags=["rules"])

Written = Mapping[str, JsonValue]


@router.get("/v1/cycles/{cycle}/operators/{operator}/rules")
def read_operator_rules(
    session: InTransaction, response: Response, cycle: Annotated[Id, Path()], operator: Annotated[Id, Path()]
) -> SaidShown:
    """Read what an operator says for all its schools. For anybody."""
    return _read(session, response, Subject(cycle, "operator", operator))


@router.put("/v1/cycles/{cycle}/operators/{operator}/rules")
def put_operator_rules(
    session: InTransaction,
    acting: ActsForOperator,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    operator: Annotated[Id, Path()],
    body: RulesBody,
    if_match: IfMatch = None,
) -> SaidShown:
    """Say an operator's rules; its schools inherit every part that they do not say themselves."""
    return _put(session, response, Subject(cycle, "operator", operator), acting, body, if_match)


@router.get("/v1/cycles/{cycle}/schools/{school}/rules")
def read_school_rules(
    session: InTransaction, response: Response, cycle: Annotated[Id, Path()], school: Annotated[Id, Path()]
) -> SaidShown:
    """Read what a school says for all its programs. For anybody."""
    return _read(session, response, Subject(cycle, "school", school))


@router.put("/v1/cycles/{cycle}/schools/{school}/rules")
def put_school_rules(
    session: InTransaction,
    acting: ActsForSchool,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    school: Annotated[Id, Path()],
    body: RulesBody,
    if_match: IfMatch = None,
) -> SaidShown:
    """Say a school's rules; its programs inherit every part that they do not say themselves."""
    return _put(session, response, Subject(cycle, "school", school), acting, body, if_match)


@router.get("/v1/cycles/{cycle}/programs/{program}/rules")
def read_program_rules(
    session: InTransaction,
    request: Request,
    response: Response,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
) -> ProgramRulesShown:
    """Read a program's rules, resolved, with where each part came from, in market form and in words. For anybody."""
    read_cycle(session, cycle)
    return _program_shown(session, request, response, Subject(cycle, "program", program))


@router.put("/v1/cycles/{cycle}/programs/{program}/rules")
def put_program_rules(
    session: InTransaction,
    acting: ActsForProgram,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    body: RulesBody,
    if_match: IfMatch = None,
) -> ProgramRulesShown:
    """Say a program's own rules, in full; parts left out are inherited.

    Once the cycle is open a change is proposed (202) and takes force when an administrator approves it; seats alone
    change at once, with a reason, until the freeze.
    """
    subject = Subject(cycle, "program", program)
    _put(session, response, subject, acting, body, if_match)
    return _program_shown(session, request, response, subject)


@router.get("/v1/cycles/{cycle}/programs/{program}/rules/versions")
def list_rules_versions(
    session: InTransaction,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Versions before this one.")] = None,
) -> list[RulesVersionShown]:
    """Read the versions of a program's rules in force, newest first, at most 100: when, by what role, and why."""
    asked = (
        select(ProgramRules)
        .where(ProgramRules.cycle_id == cycle, ProgramRules.program_id == program)
        .order_by(ProgramRules.version.desc())
        .limit(100)
    )
    if before is not None:
        asked = asked.where(ProgramRules.version < before)
    return [
        RulesVersionShown(
            version=row.version,
            rules=cast("Written", row.rules),
            came_from=row.came_from,
            market=cast("Written", row.market),
            actor=row.actor,
            reason=row.reason,
            at=row.at,
            leaf_hash=row.leaf_hash.hex(),
        )
        for row in session.scalars(asked)
    ]


@router.get("/v1/cycles/{cycle}/rules-changes")
def list_rules_changes(session: InTransaction, _: ReadsRecords, cycle: Annotated[Id, Path()]) -> list[ProposalShown]:
    """List the changes of rules that wait for an administrator, oldest first, at most 200."""
    waiting = session.scalars(
        select(RulesSaid)
        .where(RulesSaid.cycle_id == cycle, RulesSaid.status == "proposed")
        .order_by(RulesSaid.at)
        .limit(200)
    )
    return [_proposal_shown(row) for row in waiting]


@router.post("/v1/rules-changes/{change}/approve", dependencies=[Once])
def approve_change(session: InTransaction, staff: Administers, change: uuid.UUID, body: Decision) -> ProposalShown:
    """Put a proposed change in force; not by the one who proposed it."""
    proposed = hold_proposal(session, change)
    held = hold_between_rounds(session, proposed.cycle_id)
    hold_rules(session, proposed.cycle_id)
    approve(session, held, proposed, actor="staff:administrator", staff=staff.id, reason=body.reason)
    return _proposal_shown(proposed)


@router.post("/v1/rules-changes/{change}/refuse", dependencies=[Once])
def refuse_change(session: InTransaction, _: Administers, change: uuid.UUID, body: Decision) -> ProposalShown:  # noqa: ARG001
    """Refuse a proposed change; the former rules stand."""
    proposed = hold_proposal(session, change)
    refuse(session, proposed, actor="staff:administrator")
    return _proposal_shown(proposed)


def _put(
    session: Session, response: Response, subject: Subject, acting: Acting, body: RulesBody, if_match: str | None
) -> SaidShown:
    held = hold_between_rounds(session, subject.cycle)
    hold_rules(session, subject.cycle)
    refuse_stale(if_match, version_of(session, subject))
    saved = save_rules(
        session, held, subject, body.rules, actor=acting.actor, staff=acting.staff.id, reason=body.reason
    )
    response.status_code = status.HTTP_202_ACCEPTED if saved.status == "proposed" else status.HTTP_200_OK
    return _read(session, response, subject)


def _read(session: Session, response: Response, subject: Subject) -> SaidShown:
    read_cycle(session, subject.cycle)
    refuse_unknown_subject(session, subject)
    version = version_of(session, subject)
    if version is not None:
        show_version(response, version)
    found, proposal = said_now(session, subject), proposal_of(session, subject)
    return SaidShown(
        cycle=subject.cycle,
        level=subject.level,
        subject=subject.id,
        rules=cast("Written", found.said if found else {}),
        status="in force" if found else "proposed" if proposal else "nothing said",
        proposal=_proposal_shown(proposal) if proposal else None,
    )


def _program_shown(session: Session, request: Request, response: Response, subject: Subject) -> ProgramRulesShown:
    program = session.get(Program, subject.id)
    if program is None:
        raise NotFound
    said = _read(session, response, subject)
    resolved = resolved_rules(session, subject.cycle, program)
    offering = session.get(Offering, (subject.cycle, program.id))
    market, sentences = None, []
    if resolved.rules.seats is not None:
        market = program_document(resolved.rules, place_of(session, subject.cycle, program))
        sentences = rules_in_words(resolved.rules, read_back(market), reader_language(request))
    return ProgramRulesShown(
        cycle=subject.cycle,
        program=program.id,
        own=said.rules,
        rules=cast("Written", document_of(resolved.rules)),
        came_from=resolved.came_from,
        market=cast("Written | None", market),
        sentences=sentences,
        version=offering.rules_version if offering and offering.status == "in" else None,
        missing=[] if market else ["seats"],
        proposal=said.proposal,
    )


def _proposal_shown(row: RulesSaid) -> ProposalShown:
    return ProposalShown(
        id=row.id,
        level=row.level,
        subject=row.subject_id,
        rules=cast("Written", row.said),
        status=row.status,
        actor=row.actor,
        reason=row.reason,
        at=row.at,
    )
