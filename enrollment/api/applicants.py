"""Routes of applications, their transfers, and the zones of their children."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import Administers, PresentToAdminister, ReadsApplications, WritesApplications
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.security_log import record_names_read
from enrollment.api.schemas.applicants import (
    AddressOut,
    ApplicantOut,
    ApplicantSummaryOut,
    ApplicantWarningOut,
    GradeCorrectionIn,
    GradeCorrectionOut,
    GuardianOut,
    TransferCodeOut,
    TransferIn,
    ZonesOverrideIn,
)
from enrollment.api.schemas.children import show_child
from enrollment.api.schemas.claims import show_claim
from enrollment.applicants import applications, transfers
from enrollment.applicants.ages import unlikely_age
from enrollment.applicants.claims import claims_of
from enrollment.applicants.family_locks import lock_families
from enrollment.applicants.inputs import ApplicantIn
from enrollment.applicants.models import Applicant, Child, Claim, Household, Person
from enrollment.applicants.zone_overrides import override_zones
from enrollment.cycles.locks import (
    CycleNow,
    OpenCycle,
    in_any_phase,
    lock_cycle_between_rounds,
    lock_open_cycle,
    read_cycle,
    require_open,
)
from enrollment.cycles.models import Cycle
from enrollment.cycles.school_years import school_year_of
from enrollment.database import InTransaction
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.preconditions import SHOWS_ETAG, IfMatch, IfMatchAlways, refuse_stale, show_version
from enrollment.problems import NotFound
from enrollment.rankings import changes
from enrollment.rankings.corrected_grades import correct_grade
from enrollment.rankings.versions import lock_ranker
from enrollment.seats.offers import withdraw_seat
from enrollment.stored_values import objects_of

router = APIRouter(route_class=IdempotentRoute, tags=["applicants"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"


@router.put(APPLICANT, openapi_extra=SHOWS_ETAG)
def put_applicant(
    session: InTransaction,
    partner: WritesApplications,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    body: ApplicantIn,
    if_match: IfMatch = None,
) -> ApplicantOut:
    """Create or change an application under your own reference, while the cycle accepts applications.

    A withdrawn child can start over and keeps the ticket. A child with a SIS id can have one application only, at one
    partner.
    """
    settings = request.app.state.settings
    open_cycle = lock_open_cycle(session, cycle).cycle
    lock_families(session, partner, [applications.keys_of_application(settings, open_cycle, reference, body)])
    former = applications.lock_applicant(session, partner, cycle=cycle, reference=reference)
    refuse_stale(if_match, former.version if former and former.withdrawn_at is None else None)
    applicant = applications.put_applicant(
        session, partner, open_cycle, reference, body, former=former, settings=settings
    )
    show_version(response, applicant.version)
    if former is None:
        response.status_code = status.HTTP_201_CREATED
    return _show_applicant(session, request, applicant)


@router.get(APPLICANT, openapi_extra=SHOWS_ETAG)
def read_applicant(
    session: InTransaction,
    partner: ReadsApplications,
    request: Request,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> ApplicantOut:
    """Read one of your applications."""
    applicant = applications.find_applicant(session, partner, cycle=cycle, reference=reference)
    record_names_read(session, partner, "application", cycle=cycle)
    show_version(response, applicant.version)
    return _show_applicant(session, request, applicant)


@router.delete(APPLICANT, status_code=status.HTTP_204_NO_CONTENT)
def withdraw_applicant(
    session: InTransaction,
    partner: WritesApplications,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    if_match: IfMatchAlways = None,
) -> None:
    """Withdraw an application, its ranking and the child's seat, and erase the family's personal data.

    The service erases names, birth date, guardians and addresses at once. The ticket, claims and rankings stay, without
    names. To come back, send the whole application again under the same reference. The child keeps the ticket.
    """
    cycle_now = lock_cycle_between_rounds(session, cycle)
    applicant = applications.lock_active_applicant(session, partner, cycle=cycle, reference=reference)
    refuse_stale(if_match, applicant.version)
    ranker = lock_ranker(session, partner, cycle=cycle, reference=reference)
    withdraw_seat(session, cycle_now, ranker, actor=partner.actor)
    changes.withdraw_applicant(session, partner.actor, _require_withdrawal(cycle_now), ranker)


def _require_withdrawal(cycle_now: CycleNow) -> OpenCycle:
    """Return a cycle in which families may withdraw: an open cycle, or any cycle after the main round is frozen.

    Raises:
        CycleNotOpenYet, CycleClosed: if the main round is not frozen, and the cycle does not accept applications now.
    """
    return require_open(cycle_now) if cycle_now.cycle.main_round is None else in_any_phase(cycle_now)


@router.get("/v1/cycles/{cycle}/applicants")
def list_applicants(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    cycle: Annotated[Id, Path()],
) -> Page[ApplicantSummaryOut]:
    """List your applications in a cycle, without names."""
    read_cycle(session, cycle)
    query = applications.applications_of(partner, cycle)
    return paging.read(session, query, by=[Applicant.reference]).show(_show_summary)


@router.post(f"{APPLICANT}/transfer-code", dependencies=[Idempotent])
def create_transfer_code(
    session: InTransaction,
    partner: WritesApplications,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> TransferCodeOut:
    """Make the code that moves this application to another partner. An earlier code stops working."""
    applicant = applications.lock_active_applicant(session, partner, cycle=cycle, reference=reference)
    return TransferCodeOut(transfer_code=transfers.make_transfer_code(session, applicant))


@router.post("/v1/cycles/{cycle}/transfers", dependencies=[Idempotent])
def transfer_application(
    session: InTransaction, partner: WritesApplications, cycle: Annotated[Id, Path()], body: TransferIn
) -> ApplicantSummaryOut:
    """Move an application to you with the family's code. Its ranking, claims and ticket move too.

    The answer has no names, because it is stored for its Idempotency-Key. Read the application to see them.
    """
    lock_cycle_between_rounds(session, cycle)
    applicant = transfers.transfer_application(session, partner, cycle, code=body.code, reference=body.reference)
    return _show_summary(applicant, session.get_one(Child, applicant.child_id).tag)


@router.put("/v1/cycles/{cycle}/children/{ticket}/zones", status_code=status.HTTP_204_NO_CONTENT)
def override_child_zones(
    session: InTransaction,
    staff: Administers,
    *,
    cycle: Annotated[Id, Path()],
    ticket: Annotated[Id, Path()],
    body: ZonesOverrideIn,
) -> None:
    """Set a child's zones in place of the zones of the address, with a reason.

    The next time the partner sends the application, the zones of the address replace them.
    """
    lock_cycle_between_rounds(session, cycle)
    actor = staff.actor_for(RoleKind.ADMINISTRATOR)
    override_zones(session, cycle, ticket, body.zones, actor=actor, reason=body.reason)


@router.put("/v1/cycles/{cycle}/children/{ticket}/grade")
def correct_child_grade(
    session: InTransaction,
    staff: PresentToAdminister,
    *,
    cycle: Annotated[Id, Path()],
    ticket: Annotated[Id, Path()],
    body: GradeCorrectionIn,
) -> GradeCorrectionOut:
    """Correct the grade of a child's application, with a reason, also after the deadline.

    A ranking in force has programs of the former grade. It is withdrawn and kept as a draft, and the partner is
    notified: the family needs a new ranking. A later application of the partner sets the grade again.
    """
    open_cycle = in_any_phase(lock_cycle_between_rounds(session, cycle))
    actor = staff.actor_for(RoleKind.ADMINISTRATOR)
    corrected = correct_grade(session, open_cycle, ticket, body.grade, actor=actor, reason=body.reason)
    return GradeCorrectionOut.model_validate(asdict(corrected))


def _show_summary(applicant: Applicant, tag: bytes) -> ApplicantSummaryOut:
    return ApplicantSummaryOut(
        reference=applicant.reference,
        ticket=tag.hex(),
        grade=applicant.grade,
        ranking_version=applicant.ranking_version,
        withdrawn=applicant.withdrawn_at is not None,
    )


def _show_warnings(
    session: Session, request: Request, applicant: Applicant, person: Person
) -> list[ApplicantWarningOut]:
    cycle = session.get_one(Cycle, applicant.cycle_id)
    fault = unlikely_age(person.birth_date, applicant.grade, school_year_of(cycle.deadline, cycle.time_zone))
    say = in_language(reader_language(request))
    faults = [] if fault is None else [fault]
    return [
        ApplicantWarningOut(pointer=fault.pointer, code=fault.code, detail=say(fault.detail, **fault.values))
        for fault in faults
    ]


def _show_applicant(session: Session, request: Request, applicant: Applicant) -> ApplicantOut:
    """Show an application to its partner.

    Raises:
        NotFound: if another request withdrew the application a moment ago.
    """
    person = session.get(Person, applicant.id)
    if person is None:
        raise NotFound
    household = session.get(Household, applicant.household_id) if applicant.household_id else None
    claims = session.scalars(claims_of(applicant).order_by(Claim.made_at, Claim.id))
    return ApplicantOut(
        cycle=applicant.cycle_id,
        reference=applicant.reference,
        ticket=session.get_one(Child, applicant.child_id).tag.hex(),
        grade=applicant.grade,
        child=show_child(person),
        attends=applicant.attends,
        guardians=[GuardianOut.model_validate(guardian) for guardian in objects_of(person.guardians)],
        addresses=[AddressOut.model_validate(address) for address in objects_of(person.addresses)],
        zones=applicant.zones,
        zone_method=applicant.zone_method,
        zone_vintage=applicant.zone_vintage,
        household_code=household.code if household else None,
        together=applicant.together,
        language=applicant.language,
        claims=[show_claim(claim) for claim in claims],
        ranking_version=applicant.ranking_version,
        warnings=_show_warnings(session, request, applicant, person),
        version=applicant.version,
    )
