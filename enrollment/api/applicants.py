"""Applicants, claims and transfers over HTTP."""

import secrets
import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response, status
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner, RoleKind, Staff
from enrollment.access.digests import digest_of
from enrollment.access.guards import Administers, AnyStaff, Decides, ReadsApplications, WritesApplications
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.security_log import record_names_read
from enrollment.api.filters import refuse_unknown_values
from enrollment.applicants import claims as deciding
from enrollment.applicants.applications import (
    bringing,
    find_applicant,
    lock_applicant,
    lock_application,
    override_zones,
    put_applicant,
)
from enrollment.applicants.family_locks import lock_families
from enrollment.applicants.models import Applicant, Child, Claim, Household, Person
from enrollment.applicants.schemas import (
    AddressOut,
    ApplicantIn,
    ApplicantListed,
    ApplicantOut,
    ChildOut,
    ClaimDecision,
    ClaimIn,
    ClaimOut,
    ClaimStatus,
    ClaimToDecide,
    GuardianOut,
    TransferCode,
    TransferIn,
    ZonesOverride,
)
from enrollment.audit.log import append
from enrollment.audit.reads import record_read
from enrollment.cycles.locks import lock_cycle_between_rounds, lock_open_cycle, read_cycle
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import IfMatch, refuse_stale, show_version
from enrollment.problems import Conflict, NotFound, sentence
from enrollment.stored_values import objects_of
from enrollment.zones.models import Zone

router = APIRouter(route_class=IdempotentRoute, tags=["applicants"])
claim_router = APIRouter(route_class=IdempotentRoute, tags=["claims"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"


class TransferRefused(Conflict):
    """A code that is none, or a reference that is taken."""

    title = sentence("The application was not moved")
    detail = sentence("Check the code with the family, and use a reference of yours that is not taken in this cycle.")


@router.put(APPLICANT)
def put(
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
    """Make or change an application under your own reference, while the cycle takes them.

    A child that was withdrawn starts over with the same ticket. The same child by its SIS id, brought by anybody
    else, is refused.
    """
    taking = lock_open_cycle(session, cycle)
    settings = request.app.state.settings
    lock_families(session, partner, [bringing(settings, taking.cycle, reference, body)])
    found = lock_applicant(session, partner, cycle=cycle, reference=reference)
    refuse_stale(if_match, found.version if found and found.withdrawn_at is None else None)
    made = put_applicant(session, partner, taking.cycle, reference, body, found=found, settings=settings)
    show_version(response, made.version)
    if found is None:
        response.status_code = status.HTTP_201_CREATED
    return applicant_shown(session, made)


@router.get(APPLICANT)
def read(
    session: InTransaction,
    partner: ReadsApplications,
    response: Response,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> ApplicantOut:
    """Read an application of yours."""
    found = find_applicant(session, partner, cycle=cycle, reference=reference)
    record_names_read(session, partner, "application", cycle=cycle)
    show_version(response, found.version)
    return applicant_shown(session, found)


@router.get("/v1/cycles/{cycle}/applicants")
def list_applicants(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    cycle: Annotated[Id, Path()],
) -> Page[ApplicantListed]:
    """List your applications in a cycle, without names."""
    read_cycle(session, cycle)
    asked = (
        select(Applicant, Child.tag)
        .join(Child, Child.id == Applicant.child_id)
        .where(Applicant.cycle_id == cycle, Applicant.partner_id == partner.id)
    )
    return paging.read(session, asked, by=[Applicant.reference]).show(_listed)


def _listed(applicant: Applicant, tag: bytes) -> ApplicantListed:
    return ApplicantListed(
        reference=applicant.reference,
        ticket=tag.hex(),
        grade=applicant.grade,
        ranking_version=applicant.ranking_version,
        withdrawn=applicant.withdrawn_at is not None,
    )


@router.post(f"{APPLICANT}/claims", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def make_claim(
    session: InTransaction,
    partner: WritesApplications,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    body: ClaimIn,
) -> ClaimOut:
    """Claim a fact that gives priority; it counts once the school, or for facts about the child the city, approves."""
    held = lock_cycle_between_rounds(session, cycle)
    applicant = lock_applicant(session, partner, cycle=cycle, reference=reference)
    if applicant is None or applicant.withdrawn_at is not None:
        raise NotFound
    return claim_shown(deciding.make_claim(session, held.cycle, applicant, body, actor=partner.actor))


@router.get(f"{APPLICANT}/claims")
def list_claims(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> Page[ClaimOut]:
    """List the claims of an application of yours."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    return paging.read(session, select(Claim).where(Claim.applicant_id == applicant.id), by=[Claim.id]).show(
        claim_shown
    )


@router.post(f"{APPLICANT}/transfer-code", dependencies=[Idempotent])
def make_transfer_code(
    session: InTransaction,
    partner: WritesApplications,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> TransferCode:
    """Make the code with which the family can move this application to another partner; the former one ends."""
    applicant = lock_applicant(session, partner, cycle=cycle, reference=reference)
    if applicant is None or applicant.withdrawn_at is not None:
        raise NotFound
    code = secrets.token_hex(10)
    applicant.transfer_digest = digest_of(code)
    session.flush()
    return TransferCode(transfer_code=code)


@router.post("/v1/cycles/{cycle}/transfers", dependencies=[Idempotent])
def transfer(
    session: InTransaction, partner: WritesApplications, cycle: Annotated[Id, Path()], body: TransferIn
) -> ApplicantListed:
    """Take over an application with the family's code: ranking, claims and ticket come with it.

    The answer names nobody, because it is kept for its Idempotency-Key; read the application for the rest.
    """
    lock_cycle_between_rounds(session, cycle)
    found = lock_application(
        session,
        select(Applicant).where(
            Applicant.cycle_id == cycle,
            Applicant.transfer_digest == digest_of(body.code),
            Applicant.withdrawn_at.is_(None),
        ),
    )
    if found is None:
        raise TransferRefused
    taken = select(Applicant.id).where(
        Applicant.cycle_id == cycle,
        Applicant.partner_id == partner.id,
        Applicant.reference == body.reference,
        Applicant.id != found.id,
    )
    if session.execute(taken).first() is not None:
        raise TransferRefused
    former = found.partner_id
    try:
        with session.begin_nested():
            found.partner_id, found.reference, found.transfer_digest = partner.id, body.reference, None
            found.version += 1
            session.flush()
    except IntegrityError:
        raise TransferRefused from None
    child = session.get_one(Child, found.child_id)
    _tell_transfer(session, found, child, former, partner)
    return _listed(found, child.tag)


def _tell_transfer(session: Session, moved: Applicant, child: Child, former: str, partner: Partner) -> None:
    append(
        session,
        "contact.change",
        cycle=moved.cycle_id,
        actor=partner.actor,
        reason="the family moved its application",
        fields={"tag": child.tag.hex(), "from": f"partner:{former}", "to": partner.actor},
    )


@claim_router.get("/v1/cycles/{cycle}/claims")
def list_claims_to_decide(
    session: InTransaction,
    staff: AnyStaff,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    school: Annotated[Id | None, Query(description="Only at this school.")] = None,
    status: Annotated[ClaimStatus | None, Query(description="Only of this status.")] = None,
) -> Page[ClaimToDecide]:
    """List claims at your schools, or all of them for administrators and auditors, with what is needed to decide."""
    read_cycle(session, cycle)
    if staff.is_(RoleKind.AUDITOR):
        record_read(session, cycle=cycle, actor="staff:auditor", what="claims", reader=staff.id)
    else:
        record_names_read(session, staff, "claims", cycle=cycle)
    refuse_unknown_values(session, cycle, school=school)
    asked = deciding.claims_for(staff, cycle, school=school, status=status)
    return paging.read(session, asked, by=[Claim.id]).show(lambda claim: _to_decide(session, claim, staff))


@claim_router.post("/v1/claims/{claim}/approve", dependencies=[Idempotent])
def approve_claim(
    session: InTransaction,
    staff: Decides,
    response: Response,
    *,
    claim: uuid.UUID,
    body: ClaimDecision,
    if_match: IfMatch = None,
) -> ClaimOut:
    """Approve a claim: from now on it counts.

    A claim is decided once. To change the decision, send the version of the claim that you have seen as If-Match.
    """
    return _decide(session, staff, response, claim, "approved", body, if_match)


@claim_router.post("/v1/claims/{claim}/deny", dependencies=[Idempotent])
def deny_claim(
    session: InTransaction,
    staff: Decides,
    response: Response,
    *,
    claim: uuid.UUID,
    body: ClaimDecision,
    if_match: IfMatch = None,
) -> ClaimOut:
    """Deny a claim: it does not count.

    A claim is decided once. To change the decision, send the version of the claim that you have seen as If-Match.
    """
    return _decide(session, staff, response, claim, "denied", body, if_match)


@claim_router.put("/v1/cycles/{cycle}/children/{ticket}/zones", status_code=status.HTTP_204_NO_CONTENT)
def put_zones(
    session: InTransaction,
    staff: Administers,
    *,
    cycle: Annotated[Id, Path()],
    ticket: Annotated[Id, Path()],
    body: ZonesOverride,
) -> None:
    """Set a child's zones against its address's, with a reason, until the partner sends the application anew."""
    lock_cycle_between_rounds(session, cycle)
    known = dict.fromkeys(session.scalars(select(Zone.id).where(Zone.cycle_id == cycle)), True)
    actor = staff.actor_for(RoleKind.ADMINISTRATOR)
    override_zones(session, cycle, ticket, body.zones, known=known, actor=actor, reason=body.reason)


def _decide(
    session: Session,
    staff: Staff,
    response: Response,
    claim_id: uuid.UUID,
    decided: str,
    body: ClaimDecision,
    if_match: str | None,
) -> ClaimOut:
    claim = deciding.lock_claim(session, staff, claim_id, if_match=if_match)
    actor = staff.actor_for(RoleKind.SCHOOL, RoleKind.OPERATOR, RoleKind.ADMINISTRATOR)
    deciding.decide_claim(session, claim, decided, body, actor=actor)
    show_version(response, claim.version)
    return claim_shown(claim)


def _to_decide(session: Session, claim: Claim, staff: Staff) -> ClaimToDecide:
    applicant = session.get_one(Applicant, claim.applicant_id)
    return ClaimToDecide(
        claim=claim_shown(claim),
        ticket=session.get_one(Child, applicant.child_id).tag.hex(),
        grade=applicant.grade,
        child=None if staff.is_(RoleKind.AUDITOR) else _child_if_kept(session, applicant),
    )


def _child_if_kept(session: Session, applicant: Applicant) -> ChildOut | None:
    """Show who the child is; None once the application was withdrawn."""
    person = session.get(Person, applicant.id)
    return child_shown(person) if person else None


def claim_shown(claim: Claim) -> ClaimOut:
    """Show a claim."""
    return ClaimOut(
        id=claim.id,
        fact=claim.fact,
        school=claim.school_id,
        status=claim.status,
        basis=claim.basis,
        decided_by=claim.decided_by,
        made_at=claim.made_at,
        decided_at=claim.decided_at,
        version=claim.version,
    )


def child_shown(person: Person) -> ChildOut:
    """Show who the child is, to those who may know."""
    return ChildOut(given_name=person.given_name, family_name=person.family_name, birth_date=person.birth_date)


def _claims(session: Session, applicant: Applicant) -> list[ClaimOut]:
    rows = session.scalars(select(Claim).where(Claim.applicant_id == applicant.id).order_by(Claim.made_at, Claim.id))
    return [claim_shown(claim) for claim in rows]


def applicant_shown(session: Session, applicant: Applicant) -> ApplicantOut:
    """Show an application to its partner.

    Raises:
        NotFound: if it was withdrawn since it was read.
    """
    person = session.get(Person, applicant.id)
    if person is None:
        raise NotFound
    household = session.get(Household, applicant.household_id) if applicant.household_id else None
    return ApplicantOut(
        cycle=applicant.cycle_id,
        reference=applicant.reference,
        ticket=session.execute(
            select(func.encode(Child.tag, "hex")).where(Child.id == applicant.child_id)
        ).scalar_one(),
        grade=applicant.grade,
        child=child_shown(person),
        attends=applicant.attends,
        guardians=[GuardianOut.model_validate(guardian) for guardian in objects_of(person.guardians)],
        addresses=[AddressOut.model_validate(address) for address in objects_of(person.addresses)],
        zones=applicant.zones,
        zone_method=applicant.zone_method,
        zone_vintage=applicant.zone_vintage,
        household_code=household.code if household else None,
        together=applicant.together,
        language=applicant.language,
        claims=_claims(session, applicant),
        ranking_version=applicant.ranking_version,
        version=applicant.version,
    )
