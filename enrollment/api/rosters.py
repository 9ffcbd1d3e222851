"""Rosters over HTTP: what schools say of who is there, beside the seats that the lottery gave."""

from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import ReadsRecords
from enrollment.access.idempotency import Idempotent
from enrollment.access.uploads import UploadRoute, upload_of
from enrollment.applicants.sis_ids import sis_digest
from enrollment.audit.reads import record_read
from enrollment.cycles.grades import refuse_other_grades
from enrollment.cycles.locks import CycleNow, read_cycle
from enrollment.cycles.models import Cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Program, School
from enrollment.exchange.oneroster import SisIdIn, read_package
from enrollment.exchange.reconciliation import reconcile
from enrollment.exchange.rosters import Known, read_csv_roster
from enrollment.exchange.schemas import Reconciliation
from enrollment.field_types import Id
from enrollment.problems import Problem, sentence
from enrollment.settings import Settings

CSV = "text/csv"
ZIPS = ("application/zip", "application/x-zip-compressed")


class UnknownRosterFormat(Problem):
    """A body that says that it is neither CSV nor a zip."""

    status = 415
    title = sentence("The roster is in no format that is read here")
    detail = sentence(
        "Send a CSV file with Content-Type: text/csv, or a OneRoster package with Content-Type: application/zip."
    )


router = APIRouter(route_class=UploadRoute, tags=["rosters"])


@router.post(
    "/v1/cycles/{cycle}/rosters:reconcile",
    dependencies=[Idempotent],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                CSV: {"schema": {"type": "string"}, "example": "sis_id,school,grade\n900112,lincoln,KG\n"},
                ZIPS[0]: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
def reconcile_roster(
    session: InTransaction,
    staff: ReadsRecords,
    *,
    request: Request,
    cycle: Annotated[Id, Path()],
    grade: Annotated[
        list[Id] | None, Query(max_length=50, description="Only seats and children of these grades, such as KG.")
    ] = None,
    sis_id_in: Annotated[
        SisIdIn, Query(description="OneRoster: the column of users.csv that has the SIS id that partners send.")
    ] = "identifier",
) -> Reconciliation:
    """Compare a roster with the cycle's seats: who is at a school without an offer, and who accepted and is not there.

    The roster is CSV with the columns `sis_id`, `school`, `grade` (and `enrolled_on`, if wanted), or a OneRoster 1.1 or
    1.2 package, up to 256 MiB. A child that is there since before the cycle opened, as `enrolled_on` or a role's
    `beginDate` says, stayed and needs no offer; without a date it is listed. Nothing of the roster is kept; the log
    tells that you compared one.
    """
    held = read_cycle(session, cycle)
    refuse_other_grades(held.cycle, *(grade or ()))
    raw = upload_of(request).read()
    known = _known(session, held, request.app.state.settings)
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == CSV:
        roster = read_csv_roster(raw, known)
    elif kind in ZIPS:
        roster = read_package(raw, known, sis_id_in=sis_id_in)
    else:
        raise UnknownRosterFormat
    told = reconcile(session, held.cycle, roster, grades=grade)
    actor = staff.actor_for(RoleKind.AUDITOR, RoleKind.ADMINISTRATOR)
    record_read(session, cycle=cycle, actor=actor, what="roster", reader=staff.id)
    return told


def _known(session: Session, held: CycleNow, settings: Settings) -> Known:
    schools = session.execute(select(School.id, School.nces_id)).all()
    labels = chain.from_iterable(session.scalars(select(Cycle.grades)))
    return Known(
        schools={nces: id_ for id_, nces in schools if nces is not None} | {id_: id_ for id_, _ in schools},
        grades=frozenset([*labels, *session.scalars(select(Program.grade).distinct())]),
        digest=lambda sis_id: sis_digest(settings, held.cycle, sis_id),
        today=held.now.date(),
    )
