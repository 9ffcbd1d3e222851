"""Compare rosters of enrolled children with the cycle's seats."""

from collections import Counter
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
from enrollment.error_handlers import reader_language
from enrollment.exchange.csv_rosters import read_csv_roster
from enrollment.exchange.oneroster import read_package
from enrollment.exchange.oneroster_format import SisIdIn
from enrollment.exchange.reconciliation import reconcile
from enrollment.exchange.reconciliation_report import ReconciliationOut
from enrollment.exchange.rosters import MAX_DIGITS, Reference
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.problems import Problem, sentence
from enrollment.settings import Settings
from enrollment.time_zones import day_in

CSV = "text/csv"
ZIPS = ("application/zip", "application/x-zip-compressed")
OCTETS = "application/octet-stream"
ZIP_SIGNATURE = b"PK\x03\x04"
"""How every zip file begins (PKWARE APPNOTE, section 4.3.7)."""


class UnknownRosterFormat(Problem):
    """The Content-Type names another format."""

    status = 415
    title = sentence("Unknown roster format")
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
                OCTETS: {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "sis_id,school,grade\n900112,lincoln,KG\n",
                },
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
        list[Id] | None, Query(max_length=50, description="Only seats and children in these grades, such as KG.")
    ] = None,
    sis_id_in: Annotated[
        SisIdIn, Query(description="OneRoster: the column of users.csv with the SIS id that partners send.")
    ] = "identifier",
    sis_id_digits: Annotated[
        int | None,
        Query(
            ge=1,
            le=MAX_DIGITS,
            description="Read all-digit SIS ids with this many digits, with zeros added in front. If omitted, ids stay "
            "as the roster has them.",
        ),
    ] = None,
) -> ReconciliationOut:
    """Compare a roster with the cycle's seats: children enrolled without an offer, and accepted seats not enrolled.

    Send CSV with the columns `sis_id`, `school`, `grade` and optionally `enrolled_on`, or a OneRoster 1.1 or 1.2
    package, up to 256 MiB. A child whose `enrolled_on` or role's `beginDate` is before the cycle opened needs no offer.
    A child without a date is listed. Dates are days in the cycle's time zone. A date outside the school years of the
    child's grade, such as 1900-01-01, proves nothing and is listed. A row that cannot be read is left out and listed.
    The Content-Type may also be `text/csv` or `application/zip`. The service does not keep the roster. The log records
    that you compared a roster.
    """
    cycle_now = read_cycle(session, cycle)
    refuse_other_grades(cycle_now.cycle, *(grade or ()))
    raw = upload_of(request).read()
    reference = _reference(session, cycle_now, request.app.state.settings, digits=sis_id_digits)
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type == OCTETS:
        content_type = ZIPS[0] if raw.startswith(ZIP_SIGNATURE) else CSV
    if content_type == CSV:
        roster = read_csv_roster(raw, reference)
    elif content_type in ZIPS:
        roster = read_package(raw, reference, sis_id_in=sis_id_in)
    else:
        raise UnknownRosterFormat
    say = in_language(reader_language(request))
    report = reconcile(session, cycle_now.cycle, roster, grades=grade, say=say)
    actor = staff.actor_for(RoleKind.AUDITOR, RoleKind.ADMINISTRATOR)
    record_read(session, cycle=cycle, actor=actor, what="roster", reader=staff.id)
    return report


def _reference(session: Session, cycle_now: CycleNow, settings: Settings, *, digits: int | None) -> Reference:
    schools = session.execute(select(School.id, School.nces_id)).all()
    times = Counter(nces for _, nces in schools)  # schools that share an NCES id cannot be told apart by it
    labels = chain.from_iterable(session.scalars(select(Cycle.grades)))
    return Reference(
        schools={nces: id_ for id_, nces in schools if nces is not None and times[nces] == 1}
        | {id_: id_ for id_, _ in schools},
        grades=frozenset([*labels, *session.scalars(select(Program.grade).distinct())]),
        digest=lambda sis_id: sis_digest(settings, cycle_now.cycle, sis_id),
        opened=day_in(cycle_now.cycle.time_zone, cycle_now.cycle.opens_at),
        today=cycle_now.today,
        digits=digits,
    )
