"""Rules over HTTP: each level says its part, and anybody can read what is in force."""

import uuid
from collections.abc import Mapping
from typing import Annotated, cast

from fastapi import APIRouter, Path, Request, Response, status
from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import Administers, PresentToAdminister, ReadsRecords, refuse_absent
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.cycles.locks import lock_cycle_between_rounds, read_cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Offering, Program
from enrollment.directory.school_access import Acting, ActsForOperator, ActsForProgram, ActsForSchool
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import IfMatch, refuse_stale, show_version
from enrollment.rules.in_force import Act, Approval
from enrollment.rules.levels import (
    Subject,
    changes_of,
    document_of,
    last_change,
    lock_rules,
    read_levels,
    refuse_unknown_subject,
    said_now,
)
from enrollment.rules.models import ProgramRules, RulesVersion
from enrollment.rules.proposals import approve, lock_proposal, refuse, save_rules
from enrollment.rules.schemas import (
    Decision,
    LevelRulesOut,
    ProgramRulesOut,
    RulesChangeOut,
    RulesIn,
    RulesVersionOut,
)
from enrollment.rules.sentences import rules_in_words
from enrollment.rules.to_market import program_document, read_back

router = APIRouter(route_class=IdempotentRoute, tags=["rules"])

Written = Mapping[str, JsonValue]


@router.get("/v1/cycles/{cycle}/operators/{operator}/rules")
def read_operator_rules(
    session: InTransaction, response: Response, cycle: Annotated[Id, Path()], operator: Annotated[Id, Path()]
) -> LevelRulesOut:
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
    body: RulesIn,
    if_match: IfMatch = None,
) -> LevelRulesOut:
    """Say an operator's rules; its schools inherit every part that they do not say themselves."""
    return _put(session, response, Subject(cycle, "operator", operator), acting, body, if_match)


@router.get("/v1/cycles/{cycle}/schools/{school}/rules")
def read_school_rules(
    session: InTransaction, response: Response, cycle: Annotated[Id, Path()], school: Annotated[Id, Path()]
) -> LevelRulesOut:
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
    body: RulesIn,
    if_match: IfMatch = None,
) -> LevelRulesOut:
    """Say a school's rules; its programs inherit every part that they do not say themselves."""
    return _put(session, response, Subject(cycle, "school", school), acting, body, if_match)


@router.get("/v1/cycles/{cycle}/programs/{program}/rules")
def read_program_rules(
    session: InTransaction,
    request: Request,
    response: Response,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
) -> ProgramRulesOut:
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
    body: RulesIn,
    if_match: IfMatch = None,
) -> ProgramRulesOut:
    """Say a program's own rules, in full; parts left out are inherited.

    Once the cycle is open a change is proposed (202) and takes force when an administrator approves it; seats alone
    change at once, with a reason, until the freeze.
    """
    subject = Subject(cycle, "program", program)
    _put(session, response, subject, acting, body, if_match)
    return _program_shown(session, request, response, subject)


@router.get("/v1/cycles/{cycle}/programs/{program}/rules/versions")
def list_rules_versions(
    session: InTransaction, paging: Paging, *, cycle: Annotated[Id, Path()], program: Annotated[Id, Path()]
) -> Page[RulesVersionOut]:
    """Read the versions of a program's rules in force, newest first: when, by what role, and why. For anybody."""
    read_cycle(session, cycle)
    refuse_unknown_subject(session, Subject(cycle, "program", program))
    asked = select(ProgramRules).where(ProgramRules.cycle_id == cycle, ProgramRules.program_id == program)
    return paging.read(session, asked, by=[ProgramRules.version], newest_first=True).show(_version_shown)


@router.get("/v1/cycles/{cycle}/rules-changes")
def list_rules_changes(
    session: InTransaction, _: ReadsRecords, paging: Paging, cycle: Annotated[Id, Path()]
) -> Page[RulesChangeOut]:
    """List the changes of rules that wait for an administrator, by level and whose they are."""
    read_cycle(session, cycle)
    asked = select(RulesVersion).where(RulesVersion.cycle_id == cycle, RulesVersion.status == "proposed")
    return paging.read(session, asked, by=[RulesVersion.level, RulesVersion.subject_id]).show(_change_shown)


@router.post("/v1/rules-changes/{change}/approve", dependencies=[Idempotent])
def approve_change(
    session: InTransaction, staff: PresentToAdminister, change: Annotated[uuid.UUID, Path()], body: Decision
) -> RulesChangeOut:
    """Put a proposed change in force; not by the one who proposed it.

    Every program that it reaches gets a new version of its rules, with the reasons of both.
    """
    held, proposed = lock_proposal(session, change)
    approval = Approval(actor=staff.actor_for(RoleKind.ADMINISTRATOR), reason=body.reason)
    approve(session, held, proposed, staff=staff.id, approval=approval)
    return _change_shown(proposed)


@router.post("/v1/rules-changes/{change}/refuse", dependencies=[Idempotent])
def refuse_change(
    session: InTransaction, staff: Administers, change: Annotated[uuid.UUID, Path()], body: Decision
) -> RulesChangeOut:
    """Refuse a proposed change; the former rules stand, and the reason is shown beside them."""
    _, proposed = lock_proposal(session, change)
    refuse(session, proposed, Approval(actor=staff.actor_for(RoleKind.ADMINISTRATOR), reason=body.reason))
    return _change_shown(proposed)


def _put(
    session: Session, response: Response, subject: Subject, acting: Acting, body: RulesIn, if_match: str | None
) -> LevelRulesOut:
    held = lock_cycle_between_rounds(session, subject.cycle)
    lock_rules(session, subject.cycle)
    refuse_stale(if_match, changes_of(session, subject))
    act = Act(actor=acting.actor, staff=acting.staff.id, reason=body.reason)
    saved = save_rules(session, held, subject, body.rules, act)
    proposed = saved.status == "proposed"
    if proposed and acting.staff.is_administrator:
        # Otherwise one administrator could propose it with another's personal token, and approve it.
        refuse_absent(acting.staff)
    response.status_code = status.HTTP_202_ACCEPTED if proposed else status.HTTP_200_OK
    return _read(session, response, subject)


def _read(session: Session, response: Response, subject: Subject) -> LevelRulesOut:
    read_cycle(session, subject.cycle)
    refuse_unknown_subject(session, subject)
    changes = changes_of(session, subject)
    if changes is not None:
        show_version(response, changes)
    found, change = said_now(session, subject), last_change(session, subject)
    return LevelRulesOut(
        cycle=subject.cycle,
        level=subject.level,
        subject=subject.id,
        rules=cast("Written", found.said if found else {}),
        status="in force" if found else "nothing said",
        change=_change_shown(change) if change else None,
    )


def _program_shown(session: Session, request: Request, response: Response, subject: Subject) -> ProgramRulesOut:
    said = _read(session, response, subject)
    program = session.get_one(Program, subject.id)
    levels = read_levels(session, subject.cycle, [program])
    resolved = levels.resolved(program)
    offering = session.get(Offering, (subject.cycle, program.id))
    language = reader_language(request)
    market, sentences = None, []
    if resolved.rules.seats is not None:
        market = program_document(resolved.rules, levels.place(program))
        sentences = rules_in_words(resolved.rules, read_back(market), language)
    response.headers["Content-Language"] = language
    return ProgramRulesOut(
        cycle=subject.cycle,
        program=program.id,
        own=said.rules,
        rules=cast("Written", document_of(resolved.rules)),
        came_from=resolved.came_from,
        market=cast("Written | None", market),
        sentences=sentences,
        version=offering.rules_version if offering and offering.status == "in" else None,
        missing=[] if market else ["seats"],
        change=said.change,
    )


def _version_shown(row: ProgramRules) -> RulesVersionOut:
    return RulesVersionOut(
        version=row.version,
        rules=cast("Written", row.rules),
        came_from=row.came_from,
        market=cast("Written", row.market),
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        leaf_hash=row.leaf_hash.hex(),
    )


def _change_shown(row: RulesVersion) -> RulesChangeOut:
    return RulesChangeOut(
        id=row.id,
        level=row.level,
        subject=row.subject_id,
        rules=cast("Written", row.said),
        status=row.status,
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )
