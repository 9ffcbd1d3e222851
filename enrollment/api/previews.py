"""Routes of previews: what a proposed rule, or joining at all, would do."""

import uuid
from collections.abc import Mapping
from typing import Annotated, cast

from fastapi import APIRouter, Path, Request, Response, status
from pydantic import ValidationError
from sqlalchemy.orm import Session

from enrollment.access.guards import AnyStaff
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.api.schemas.previews import PreviewOut, PreviewResultOut
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.school_access import Acting, ActsForOperator, ActsForProgram, ActsForSchool
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import Say, in_language
from enrollment.previews.hiding import Hidden
from enrollment.previews.inputs import PreviewInput
from enrollment.previews.models import Preview
from enrollment.previews.requests import JOB_GONE, ask_for_preview, lost_its_job, read_preview, reason_in_words
from enrollment.problems import sentence
from enrollment.rules.levels import Subject
from enrollment.rules.model import Level
from enrollment.stored_values import fields_of, objects_of

router = APIRouter(route_class=IdempotentRoute, tags=["rules"])

HIDDEN: Mapping[str, str] = {
    Hidden.FEW_RANKINGS: sentence(
        "Fewer than 10 children apply here. A preview shows no numbers about so few children. Try the "
        "rankings of the last cycle, or wait for more rankings."
    ),
    Hidden.SMALL_GROUP: sentence(
        "Fewer than 10 of the children who apply here meet a new condition. A preview shows no numbers about "
        "so few children."
    ),
    Hidden.FEW_DIFFERENCES: sentence(
        "The proposal treats fewer than 10 children differently from the rules in force or from an earlier preview. A "
        "preview shows no numbers about so few children."
    ),
    Hidden.LIMIT: sentence(
        "Previews here have tried too many different conditions in this cycle. Now a preview shows numbers "
        "only for conditions from an earlier preview."
    ),
}
"""Why programs have no numbers, in words."""


@router.post(
    "/v1/cycles/{cycle}/operators/{operator}/rules/preview",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[Idempotent],
)
def preview_operator_rules(
    session: InTransaction,
    acting: ActsForOperator,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    operator: Annotated[Id, Path()],
    body: PreviewInput,
) -> PreviewOut:
    """Preview rules of an operator at all its programs."""
    return _ask(session, request, response, Subject(cycle, "operator", operator), acting, body)


@router.post(
    "/v1/cycles/{cycle}/schools/{school}/rules/preview",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[Idempotent],
)
def preview_school_rules(
    session: InTransaction,
    acting: ActsForSchool,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    school: Annotated[Id, Path()],
    body: PreviewInput,
) -> PreviewOut:
    """Preview rules of a school at all its programs."""
    return _ask(session, request, response, Subject(cycle, "school", school), acting, body)


@router.post(
    "/v1/cycles/{cycle}/programs/{program}/rules/preview",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[Idempotent],
)
def preview_program_rules(
    session: InTransaction,
    acting: ActsForProgram,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    body: PreviewInput,
) -> PreviewOut:
    """Preview rules of a program: who would come, by class, zone and flag, against the rules in force.

    A worker runs the preview over many simulated draws. Nothing changes, and no number tells about fewer than 10
    children. The header Location says where to look for the result.
    """
    return _ask(session, request, response, Subject(cycle, "program", program), acting, body)


@router.get("/v1/rules-previews/{preview}", operation_id="readPreview")
def read_one_preview(
    session: InTransaction, staff: AnyStaff, request: Request, preview: Annotated[uuid.UUID, Path()]
) -> PreviewOut:
    """Read a preview: its progress, then its result. For the school, its operator, administrators and auditors."""
    return _shown(session, request, read_preview(session, preview, staff=staff))


def _ask(
    session: Session, request: Request, response: Response, subject: Subject, acting: Acting, body: PreviewInput
) -> PreviewOut:
    cycle_now = read_cycle(session, subject.cycle)
    preview = ask_for_preview(session, cycle_now, subject, body, staff=acting.staff)
    response.headers["Location"] = f"/v1/rules-previews/{preview.id}"
    return _shown(session, request, preview)


def _shown(session: Session, request: Request, preview: Preview) -> PreviewOut:
    say = in_language(reader_language(request))
    reason = say(JOB_GONE) if lost_its_job(session, preview) else reason_in_words(preview, say)
    return PreviewOut(
        id=preview.id,
        cycle=preview.cycle_id,
        level=cast("Level", preview.level),
        subject=preview.subject_id,
        state="done" if preview.state == "done" else "waiting" if reason is None else "failed",
        at=preview.at,
        draws=preview.draws,
        drawn=preview.drawn,
        result=_result_shown(preview.result, say),
        reason=reason,
    )


def _result_shown(stored: object, say: Say) -> PreviewResultOut | None:
    """Show a stored result; null if its form is not known."""
    result = fields_of(stored)
    hidden = [
        {**one, "detail": say(HIDDEN.get(str(one.get("reason")), ""))} for one in objects_of(result.get("hidden"))
    ]
    try:
        return PreviewResultOut.model_validate({**result, "hidden": hidden})
    except ValidationError:
        return None
