"""Routes of zones: an administrator imports a file, and everybody can find the zones of a point."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status
from pydantic import StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.guards import Administers, refuse_absent
from enrollment.access.idempotency import Idempotent
from enrollment.access.uploads import UploadRoute, upload_of
from enrollment.api.schemas.zones import (
    Found,
    OutsideZonesOut,
    ZoneOut,
    ZonesAtPointOut,
    ZonesImportOut,
)
from enrollment.api.zones_changes import change_shown, effect_shown, faults_shown
from enrollment.applicants.points import children_outside
from enrollment.cycles.grades import refuse_other_grades
from enrollment.cycles.locks import CycleNotFound, lock_cycle, read_cycle
from enrollment.cycles.models import Cycle
from enrollment.database import InTransaction
from enrollment.error_handlers import reader_language
from enrollment.field_types import Flag, Id, Number, Reason
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.problems import sentence
from enrollment.rules.in_force import Act
from enrollment.rules.proposals import ReasonNeeded
from enrollment.rules.zone_changes import replace_zones
from enrollment.settings import Settings
from enrollment.zone_corrections.proposals import propose_zones, try_zones
from enrollment.zones.areas import AreaKey
from enrollment.zones.geojson import UnusableZones
from enrollment.zones.import_check import CheckedZones, check_zones
from enrollment.zones.models import Zone
from enrollment.zones.points import ZonesFound, city_of, refuse_fixed, zones_at
from enrollment.zones.properties import MAX_TEXT, PropertyNames

GEOJSON = "application/geo+json"

IN_WORDS: dict[Found, str] = {
    "point": sentence("The point is in the listed zones."),
    "border": sentence(
        "The point is on a border. The list has every zone that touches the point, and each of them counts."
    ),
    "no zone": sentence(
        "The point is outside all zones of {cycle}, so zone priority does not apply. If you expected a zone, check "
        "that longitude and latitude are not swapped."
    ),
    "no zones": sentence("{cycle} has no zones, so zone priority does not apply."),
}

router = APIRouter(tags=["zones"])
imports = APIRouter(route_class=UploadRoute, tags=["zones"])


PropertyName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]


def _names_in_file(
    *,
    zone_property: Annotated[
        PropertyName,
        Query(
            description="The property with the zone. If it is not `zone`, ids are made from its values.",
            examples=["ATT_AREA"],
        ),
    ] = "zone",
    name_property: Annotated[PropertyName, Query(description="The property with the zone's name.")] = "name",
    school_property: Annotated[
        PropertyName, Query(description="The property with the school: its id, or its NCES id.")
    ] = "school",
    grades_property: Annotated[
        PropertyName, Query(description="The property with the grades: a list, or text with commas.")
    ] = "grades",
    vintage_property: Annotated[PropertyName, Query(description="The property with the vintage.")] = "vintage",
    vintage: Annotated[
        PropertyName | None, Query(description="The vintage of features that have none.", examples=["2027-28"])
    ] = None,
) -> PropertyNames:
    return PropertyNames(zone_property, name_property, school_property, grades_property, vintage_property, vintage)


NamesInFile = Annotated[PropertyNames, Depends(_names_in_file)]


@imports.post(
    "/v1/cycles/{cycle}/imports/zones",
    dependencies=[Idempotent],
    openapi_extra={"requestBody": {"required": True, "content": {GEOJSON: {"schema": {"type": "object"}}}}},
)
def import_zones(
    session: InTransaction,
    staff: Administers,
    *,
    request: Request,
    response: Response,
    cycle: Annotated[Id, Path()],
    names: NamesInFile,
    apply: Annotated[bool, Query(description="False: a dry run that changes nothing."), Flag] = False,
    reason: Annotated[
        Reason | None, Query(description="Why the zones change. Required with `apply` once the cycle has opened.")
    ] = None,
) -> ZonesImportOut:
    """Import a cycle's zones as GeoJSON (RFC 7946, WGS84), up to 256 MiB. Without `apply=true` this is a dry run.

    Each feature is a Polygon or MultiPolygon with the properties `zone`, `name`, `school`, `grades`, `vintage`. If the
    file has other names for them, name its own properties in the query. The file replaces all zones of the cycle, or
    nothing if it has faults.

    Once the cycle has opened, the dry run says what the file changes for whom. With `apply=true` and a reason, the file
    is a proposal (202) until a second administrator approves it. After the freeze of the main round, zones are fixed.
    """
    cycle_now = read_cycle(session, cycle)
    refuse_fixed(cycle_now)
    if apply and cycle_now.has_opened:
        _refuse_lone(staff, reason)
    upload = upload_of(request)
    settings: Settings = request.app.state.settings
    say = in_language(reader_language(request))
    try:
        checked = check_zones(upload, city_of(session, cycle_now.cycle), names, seconds=settings.zone_seconds)
    except UnusableZones as unusable:
        if apply:
            raise
        faults = faults_shown(unusable.faults, say)
        return ZonesImportOut(cycle=cycle, applied=False, usable=False, zones=0, shapes=0, faults=faults, notes=[])
    tried = try_zones(session, cycle_now, checked.shapes) if cycle_now.has_opened else None
    act = Act(actor=staff.actor_for(RoleKind.ADMINISTRATOR), staff=staff.id, reason=reason)
    change = None
    if apply and tried:
        change = propose_zones(session, cycle, tried, sha256=upload.sha256, act=act)
        response.status_code = status.HTTP_202_ACCEPTED
    elif apply:
        _replace(session, cycle, checked, sha256=upload.sha256, act=act)
    return ZonesImportOut(
        cycle=cycle,
        applied=apply and change is None,
        usable=True,
        zones=len({shape.zone for shape in checked.shapes}),
        shapes=len(checked.shapes),
        faults=[],
        notes=faults_shown(checked.notes, say),
        outside=OutsideZonesOut(
            schools=list(checked.schools_outside), children=children_outside(session, cycle, checked.shapes)
        ),
        effect=effect_shown(tried.effect, say) if tried else None,
        change=change_shown(change) if change else None,
    )


def _refuse_lone(staff: Staff, reason: str | None) -> None:
    """Refuse a proposal without a reason, or with a token that another administrator could use."""
    if reason is None:
        raise _reason_needed()
    refuse_absent(staff)


def _reason_needed() -> ReasonNeeded:
    """Return the refusal of an import without a reason, which is in the query because the body is the file."""
    needed = ReasonNeeded()
    needed.faults = tuple(replace(fault, pointer="reason", place="query") for fault in needed.faults)
    return needed


def _replace(session: Session, cycle: str, checked: CheckedZones, *, sha256: bytes, act: Act) -> None:
    """Replace the zones of a cycle that has not opened."""
    cycle_now = lock_cycle(session, cycle)
    if cycle_now.has_opened:  # since the file was sent
        raise _reason_needed()
    replace_zones(session, cycle_now, checked.shapes, sha256=sha256, act=act)


@router.get("/v1/cycles/{cycle}/zones")
def list_zones(
    session: InTransaction,
    cycle: Annotated[Id, Path()],
    paging: Paging,
) -> Page[ZoneOut]:
    """List a cycle's zones. A zone with separate areas for different grades is listed once for each area."""
    read_cycle(session, cycle)
    query = select(Zone).options(defer(Zone.shape)).where(Zone.cycle_id == cycle)
    return paging.read(session, query, by=[Zone.id, Zone.part]).show(_zone_shown)


@router.get("/v1/zones")
def read_zones_at(
    session: InTransaction,
    *,
    request: Request,
    lon: Annotated[
        float, Query(ge=-180, le=180, allow_inf_nan=False, description="Longitude, WGS84, in degrees."), Number
    ],
    lat: Annotated[
        float, Query(ge=-90, le=90, allow_inf_nan=False, description="Latitude, WGS84, in degrees."), Number
    ],
    cycle: Annotated[Id | None, Query(description="Without this parameter: the cycle that opens last.")] = None,
    grade: Annotated[Id | None, Query(description="Only zones for this grade.")] = None,
) -> ZonesAtPointOut:
    """Find the zones of a point. The service does not store or log the point."""
    found = _newest(session) if cycle is None else read_cycle(session, cycle).cycle
    refuse_other_grades(found, grade)
    located = zones_at(session, found.id, [(lon, lat)], grade)
    how = _how(located)
    return ZonesAtPointOut(
        cycle=found.id,
        grade=grade,
        vintage=located.vintage,
        found=how,
        zones=[_zone_shown(row) for row in _rows_at(session, found, located.zones) if _area_of(row) in located.areas],
        detail=in_language(reader_language(request))(IN_WORDS[how], cycle=found.id),
    )


def _newest(session: Session) -> Cycle:
    cycle = session.scalars(select(Cycle).order_by(Cycle.opens_at.desc(), Cycle.id.desc()).limit(1)).one_or_none()
    if cycle is None:
        raise CycleNotFound
    return cycle


def _how(located: ZonesFound) -> Found:
    if located.vintage is None:
        return "no zones"
    if not located.zones:
        return "no zone"
    return "border" if located.on_border else "point"


def _rows_at(session: Session, cycle: Cycle, zones: Sequence[str]) -> Sequence[Zone]:
    query = select(Zone).options(defer(Zone.shape)).order_by(Zone.id, Zone.part)
    return session.scalars(query.where(Zone.cycle_id == cycle.id, Zone.id.in_(zones))).all()


def _area_of(row: Zone) -> AreaKey:
    return row.id, None if row.grades is None else tuple(row.grades)


def _zone_shown(row: Zone) -> ZoneOut:
    return ZoneOut(zone=row.id, name=row.name, school=row.school_id, grades=row.grades, vintage=row.vintage)
