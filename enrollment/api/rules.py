"""Routes of rules: each level sets its own, and everybody can read the rules in force."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import APIRouter, Path, Request, Response, status
from pydantic import JsonValue
from sqlalchemy.orm import Session

from enrollment.access.guards import refuse_absent
from enrollment.access.idempotency import IdempotentRoute
from enrollment.api.rules_changes import change_shown, findings_of
from enrollment.api.schemas.rules import (
    LevelRulesOut,
    ProgramRulesIn,
    ProgramRulesOut,
    RulesIn,
    RulesVersionOut,
)
from enrollment.api.schemas.rules_lint import findings_shown
from enrollment.cycles.locks import CycleNow, lock_cycle_between_rounds, read_cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Offering, Program
from enrollment.directory.school_access import Acting, ActsForOperator, ActsForProgram, ActsForSchool
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.preconditions import SHOWS_ETAG, IfMatch, refuse_stale, show_version
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.rules.in_force import Act
from enrollment.rules.levels import (
    Subject,
    count_changes,
    current_rules,
    last_change,
    lock_rules,
    program_versions,
    read_levels,
    refuse_unknown_subject,
    rules_document,
)
from enrollment.rules.lint import lint_level
from enrollment.rules.model import RulesInput
from enrollment.rules.models import ProgramRules, RulesVersion
from enrollment.rules.proposals import save_rules, says_nothing_new
from enrollment.rules.sentences import rules_in_words
from enrollment.rules.to_market import program_document, read_back


class ResolvedRulesChanged(Conflict):
    """The body has the program's own rules, and other resolved rules than the program has."""

    title = sentence("Resolved rules cannot be set")
    detail = sentence(
        "The body has both own and rules, but rules differs from the rules that GET shows now. Change only "
        "own and send rules unchanged, or send only rules, with the program's own rules."
    )

    def __init__(self) -> None:
        detail = sentence("differs from what GET shows; send rules unchanged, or leave own out")
        super().__init__(faults=[Fault("/rules", "resolved-rules", detail)])


router = APIRouter(route_class=IdempotentRoute, tags=["rules"])

Document = Mapping[str, JsonValue]


@router.get("/v1/cycles/{cycle}/operators/{operator}/rules", openapi_extra=SHOWS_ETAG)
def read_operator_rules(
    session: InTransaction,
    request: Request,
    response: Response,
    cycle: Annotated[Id, Path()],
    operator: Annotated[Id, Path()],
) -> LevelRulesOut:
    """Read the rules that an operator sets for all its schools. Open to everybody."""
    return _read(session, request, response, Subject(cycle, "operator", operator))


@router.put("/v1/cycles/{cycle}/operators/{operator}/rules", openapi_extra=SHOWS_ETAG)
def put_operator_rules(
    session: InTransaction,
    acting: ActsForOperator,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    operator: Annotated[Id, Path()],
    body: RulesIn,
    if_match: IfMatch = None,
) -> LevelRulesOut:
    """Set an operator's rules. Its schools inherit every part that they do not set themselves."""
    return _put(session, request, response, Subject(cycle, "operator", operator), acting, body, if_match)


@router.get("/v1/cycles/{cycle}/schools/{school}/rules", openapi_extra=SHOWS_ETAG)
def read_school_rules(
    session: InTransaction,
    request: Request,
    response: Response,
    cycle: Annotated[Id, Path()],
    school: Annotated[Id, Path()],
) -> LevelRulesOut:
    """Read the rules that a school sets for all its programs. Open to everybody."""
    return _read(session, request, response, Subject(cycle, "school", school))


@router.put("/v1/cycles/{cycle}/schools/{school}/rules", openapi_extra=SHOWS_ETAG)
def put_school_rules(
    session: InTransaction,
    acting: ActsForSchool,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    school: Annotated[Id, Path()],
    body: RulesIn,
    if_match: IfMatch = None,
) -> LevelRulesOut:
    """Set a school's rules. Its programs inherit every part that they do not set themselves."""
    return _put(session, request, response, Subject(cycle, "school", school), acting, body, if_match)


@router.get("/v1/cycles/{cycle}/programs/{program}/rules", openapi_extra=SHOWS_ETAG)
def read_program_rules(
    session: InTransaction,
    request: Request,
    response: Response,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
) -> ProgramRulesOut:
    """Read a program's resolved rules in market form and in words, with the origin of each part. Open to everybody."""
    read_cycle(session, cycle)
    return _program_shown(session, request, response, Subject(cycle, "program", program))


@router.put("/v1/cycles/{cycle}/programs/{program}/rules", openapi_extra=SHOWS_ETAG)
def put_program_rules(
    session: InTransaction,
    acting: ActsForProgram,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    body: ProgramRulesIn,
    if_match: IfMatch = None,
) -> ProgramRulesOut:
    """Set a program's own rules. Send all of them; the program inherits the parts that you leave out.

    Seats that the school committed when it took part stay, unless you send other seats or a level above sets them.

    Once the cycle is open, a change is a proposal (202) until an administrator approves it. A change of seats alone
    needs only a reason: it is in force at once, until the freeze.
    """
    subject = Subject(cycle, "program", program)
    _put(session, request, response, subject, acting, body, if_match)
    return _program_shown(session, request, response, subject)


@router.get("/v1/cycles/{cycle}/programs/{program}/rules/versions")
def list_rules_versions(
    session: InTransaction, paging: Paging, *, cycle: Annotated[Id, Path()], program: Annotated[Id, Path()]
) -> Page[RulesVersionOut]:
    """List the versions of a program's rules, newest first, with time, role and reason. Open to everybody."""
    read_cycle(session, cycle)
    refuse_unknown_subject(session, Subject(cycle, "program", program))
    return paging.read(session, program_versions(cycle, program), by=[ProgramRules.version], newest_first=True).show(
        _version_shown
    )


def _put(
    session: Session,
    request: Request,
    response: Response,
    subject: Subject,
    acting: Acting,
    body: RulesIn,
    if_match: str | None,
) -> LevelRulesOut:
    cycle_now = lock_cycle_between_rounds(session, subject.cycle)
    lock_rules(session, subject.cycle)
    refuse_stale(if_match, count_changes(session, subject))
    rules = _own_rules(session, subject, body) if isinstance(body, ProgramRulesIn) else body.rules
    if says_nothing_new(session, subject, rules):
        return _read(session, request, response, subject)
    act = Act(actor=acting.actor, staff=acting.staff.id, reason=body.reason)
    saved = save_rules(session, cycle_now, subject, rules, act)
    proposed = saved.status == "proposed"
    if proposed and acting.staff.is_administrator:
        # Otherwise one administrator could propose a change with another's personal token, and then approve it.
        refuse_absent(acting.staff)
    response.status_code = status.HTTP_202_ACCEPTED if proposed else status.HTTP_200_OK
    return _read(session, request, response, subject)


def _own_rules(session: Session, subject: Subject, body: ProgramRulesIn) -> RulesInput:
    """Return the rules to save: the `own` rules, if the body sends the answer of a GET back.

    Raises:
        ResolvedRulesChanged: if it sends `own` rules, and `rules` that are not the resolved rules.
    """
    if body.own is None:
        return body.rules
    program = session.get(Program, subject.id)
    if program is None:
        raise NotFound
    if read_levels(session, subject.cycle, [program]).resolved(program).rules != body.rules:
        raise ResolvedRulesChanged
    return body.own


@dataclass(frozen=True, slots=True)
class _Level:
    """A level's own rules, and the change of them that is shown."""

    cycle_now: CycleNow
    current: RulesVersion | None
    change: RulesVersion | None

    @property
    def rules(self) -> Document:
        """Return the level's own rules."""
        return cast("Document", self.current.said if self.current else {})


def _level(session: Session, response: Response, subject: Subject) -> _Level:
    cycle_now = read_cycle(session, subject.cycle)
    refuse_unknown_subject(session, subject)
    changes = count_changes(session, subject)
    if changes is not None:
        show_version(response, changes)
    return _Level(cycle_now, current_rules(session, subject), last_change(session, subject))


def _read(session: Session, request: Request, response: Response, subject: Subject) -> LevelRulesOut:
    level = _level(session, response, subject)
    return LevelRulesOut(
        cycle=subject.cycle,
        level=subject.level,
        subject=subject.id,
        rules=level.rules,
        status="in force" if level.current else "nothing said",
        change=change_shown(session, request, level.cycle_now, level.change) if level.change else None,
        findings=findings_of(session, request, level.cycle_now, level.current) if level.current else [],
    )


def _program_shown(session: Session, request: Request, response: Response, subject: Subject) -> ProgramRulesOut:
    level = _level(session, response, subject)
    program = session.get_one(Program, subject.id)
    levels = read_levels(session, subject.cycle, [program])
    resolved = levels.resolved(program)
    offering = session.get(Offering, (subject.cycle, program.id))
    language = reader_language(request)
    market, sentences = None, []
    if resolved.rules.seats is not None:
        market = program_document(resolved.rules, levels.context(program))
        sentences = rules_in_words(resolved.rules, read_back(market), language)
    found = lint_level(session, level.cycle_now.cycle, subject, None, today=level.cycle_now.today)
    response.headers["Content-Language"] = language
    return ProgramRulesOut(
        cycle=subject.cycle,
        program=program.id,
        own=level.rules,
        rules=cast("Document", rules_document(resolved.rules)),
        came_from=resolved.came_from,
        market=cast("Document | None", market),
        sentences=sentences,
        version=offering.rules_version if offering and offering.status == "in" else None,
        missing=[] if market else ["seats"],
        change=change_shown(session, request, level.cycle_now, level.change) if level.change else None,
        findings=findings_shown(found, in_language(language)),
    )


def _version_shown(row: ProgramRules) -> RulesVersionOut:
    return RulesVersionOut(
        version=row.version,
        rules=cast("Document", row.rules),
        came_from=row.came_from,
        market=cast("Document", row.market),
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        leaf_hash=row.leaf_hash.hex(),
    )
