"""Routes of lint: what rules would do, without saving them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from sqlalchemy.orm import Session

from enrollment.access.idempotency import IdempotentRoute
from enrollment.api.schemas.rules import RulesIn
from enrollment.api.schemas.rules_lint import RulesLintOut, findings_shown
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.school_access import ActsForOperator, ActsForProgram, ActsForSchool
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.rules.levels import Subject, programs_under
from enrollment.rules.lint import lint_level
from enrollment.rules.model import RulesInput
from enrollment.rules.proposals import refuse_unworkable_level, with_committed_seats

router = APIRouter(route_class=IdempotentRoute, tags=["rules"])


@router.post("/v1/cycles/{cycle}/operators/{operator}/rules/lint")
def lint_operator_rules(
    session: InTransaction,
    _: ActsForOperator,
    request: Request,
    *,
    cycle: Annotated[Id, Path()],
    operator: Annotated[Id, Path()],
    body: RulesIn,
) -> RulesLintOut:
    """Find rules of an operator that cannot do what they say, without saving. This request needs no Idempotency-Key.

    The body is the same as for saving. Faults are refused as they are when you save.
    """
    return _lint(session, request, Subject(cycle, "operator", operator), body.rules)


@router.post("/v1/cycles/{cycle}/schools/{school}/rules/lint")
def lint_school_rules(
    session: InTransaction,
    _: ActsForSchool,
    request: Request,
    *,
    cycle: Annotated[Id, Path()],
    school: Annotated[Id, Path()],
    body: RulesIn,
) -> RulesLintOut:
    """Find rules of a school that cannot do what they say, without saving. This request needs no Idempotency-Key."""
    return _lint(session, request, Subject(cycle, "school", school), body.rules)


@router.post("/v1/cycles/{cycle}/programs/{program}/rules/lint")
def lint_program_rules(
    session: InTransaction,
    _: ActsForProgram,
    request: Request,
    *,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    body: RulesIn,
) -> RulesLintOut:
    """Find rules of a program that cannot do what they say, without saving. This request needs no Idempotency-Key."""
    return _lint(session, request, Subject(cycle, "program", program), body.rules)


def _lint(session: Session, request: Request, subject: Subject, rules: RulesInput) -> RulesLintOut:
    cycle_now = read_cycle(session, subject.cycle)
    programs = programs_under(session, subject)
    rules = with_committed_seats(session, subject, rules, programs)
    refuse_unworkable_level(session, cycle_now.cycle, subject, rules, programs)
    found = lint_level(session, cycle_now.cycle, subject, rules, today=cycle_now.today)
    return RulesLintOut(findings=findings_shown(found, in_language(reader_language(request))))
