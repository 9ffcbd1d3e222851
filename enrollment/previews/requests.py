"""Ask for a preview, read it, and delete old previews."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.callers import RoleKind, Staff
from enrollment.cycles.locks import CycleNow
from enrollment.database import clock, transaction
from enrollment.directory.models import Program, School
from enrollment.jobs import enqueue, is_waiting
from enrollment.languages import Say
from enrollment.previews.inputs import PreviewInput
from enrollment.previews.market import basis_cycle
from enrollment.previews.models import Preview
from enrollment.previews.proposal import proposed_rules, refuse_unworkable
from enrollment.problems import Conflict, NotFound, Problem, sentence
from enrollment.rules.levels import Subject, rules_document
from lottery.market.canonical import Json

PREVIEW = "preview"
"""The name of the job."""

OLD_PREVIEWS = "previews"
"""The name of the loop that deletes old previews."""

KEPT = timedelta(days=14)

MAX_A_DAY = 50
"""The most previews of a school or an operator in a cycle within a day."""

DAY = timedelta(days=1)

JOB_GONE = sentence("The preview was lost before it ran. Ask for another preview.")


class PreviewRunning(Conflict):
    """Another preview of the same school or operator runs."""

    title = sentence("Another preview is running")
    detail = sentence("One preview runs at a time for a school or an operator. Wait until it ends, then ask again.")


class TooManyPreviews(Problem):
    """The school or the operator asked for too many previews within a day."""

    status = 429
    title = sentence("Too many previews")
    detail = sentence(
        "A school or an operator can ask for at most {most} previews a day. Ask again after the number of "
        "seconds in the Retry-After header."
    )


def ask_for_preview(
    session: Session, cycle_now: CycleNow, subject: Subject, body: PreviewInput, *, staff: Staff
) -> Preview:
    """Have a worker compare a proposal with the rules in force.

    Raises:
        NotFound: if no preset has the id.
        NoLastCycle, NothingToPreview, PresetUnusable, PreviewNamesChildren, RulesCannotWork: if the proposal cannot be
            tried.
        PreviewRunning: if another preview of the school or operator runs.
        TooManyPreviews: if it asked for too many previews within a day.
    """
    cycle = cycle_now.cycle
    rules = proposed_rules(session, cycle, subject, body)
    refuse_unworkable(session, cycle, subject, rules, join=body.join)
    basis = basis_cycle(session, cycle, body.basis)
    owner = _owner(session, subject)
    _refuse_too_many(session, cycle.id, owner)
    _end_lost(session, cycle.id, owner)
    made = session.scalars(
        insert(Preview)
        .values(
            id=uuid.uuid4(),
            cycle_id=cycle.id,
            level=subject.level,
            subject_id=subject.id,
            owner=owner,
            basis=basis,
            proposal={"rules": rules_document(rules), "join": body.join},
            draws=body.draws,
            asked_by=staff.id,
        )
        .on_conflict_do_nothing()
        .returning(Preview)
    ).one_or_none()
    if made is None:
        raise PreviewRunning
    enqueue(session, PREVIEW, str(made.id))
    return made


def read_preview(session: Session, preview_id: uuid.UUID, *, staff: Staff) -> Preview:
    """Return a preview to the staff who may see it.

    Raises:
        NotFound: to everybody else, and if the preview does not exist.
    """
    preview = session.get(Preview, preview_id)
    if preview is None or not _may_see(session, preview, staff):
        raise NotFound
    return preview


def lost_its_job(session: Session, preview: Preview) -> bool:
    """Say whether a preview waits for a job that no longer exists, as after a restore."""
    return preview.state == "waiting" and not is_waiting(session, PREVIEW, str(preview.id))


def reason_in_words(preview: Preview, say: Say) -> str | None:
    """Return why a preview failed, in the reader's language. None: it did not fail."""
    if preview.reason is None:
        return None
    values = preview.reason.get("values")
    detail = str(preview.reason.get("detail"))
    return say(detail, **(cast("Mapping[str, str | int]", values) if isinstance(values, dict) else {}))


def reason_document(detail: str, values: Mapping[str, str | int]) -> dict[str, Json]:
    """Return a reason as it is stored."""
    return {"detail": detail, "values": dict(values)}


def delete_old_previews(sessions: "sessionmaker[Session]") -> None:
    """Delete previews some days after they were asked for. The groups of children that they showed are kept."""
    with transaction(sessions) as session:
        session.execute(delete(Preview).where(Preview.at < clock(session) - KEPT))


def _owner(session: Session, subject: Subject) -> str:
    if subject.level == "operator":
        return f"operator:{subject.id}"
    school = subject.id
    if subject.level == "program":
        school = session.get_one(Program, subject.id).school_id
    return f"school:{school}"


def _refuse_too_many(session: Session, cycle: str, owner: str) -> None:
    day_ago = clock(session) - DAY
    asked, first = session.execute(
        select(func.count(), func.min(Preview.at)).where(
            Preview.cycle_id == cycle, Preview.owner == owner, Preview.at > day_ago
        )
    ).one()
    if asked >= MAX_A_DAY:
        seconds = max(1, int((first - day_ago).total_seconds()))
        raise TooManyPreviews(headers={"Retry-After": str(seconds)}, most=MAX_A_DAY)


def _end_lost(session: Session, cycle: str, owner: str) -> None:
    """End a preview whose job is gone, so that it does not block the next preview."""
    waiting = session.scalars(
        select(Preview).where(Preview.cycle_id == cycle, Preview.owner == owner, Preview.state == "waiting")
    ).one_or_none()
    if waiting is not None and lost_its_job(session, waiting):
        session.execute(
            update(Preview)
            .where(Preview.id == waiting.id, Preview.state == "waiting")
            .values(state="failed", reason=reason_document(JOB_GONE, {}), ended_at=clock(session))
        )


def _may_see(session: Session, preview: Preview, staff: Staff) -> bool:
    if staff.is_administrator or staff.is_(RoleKind.AUDITOR):
        return True
    kind, _, name = preview.owner.partition(":")
    if kind == "operator":
        return staff.acts_for_operator(name)
    operator = session.scalar(select(School.operator_id).where(School.id == name))
    return operator is not None and staff.acts_for_school(name, operator=operator)
