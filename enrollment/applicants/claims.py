"""Claims: facts that give priority. Partners make them, and schools and administrators decide."""

import uuid
from collections.abc import Iterator

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.guards import refuse_stranger
from enrollment.applicants.applications import lock_application
from enrollment.applicants.inputs import ClaimDecisionIn, ClaimIn
from enrollment.applicants.models import Applicant, Child, Claim
from enrollment.applicants.settled_facts import commit_facts
from enrollment.cycles.locks import lock_cycle_between_rounds
from enrollment.cycles.models import Cycle
from enrollment.database import clock
from enrollment.directory.models import School
from enrollment.preconditions import refuse_stale
from enrollment.problems import Conflict, Fault, Forbidden, NotFound, listed, sentence


class ClaimRefused(Conflict):
    """The fact or the school is unknown."""

    title = sentence("Unknown fact or school")
    detail = sentence("GET /v1/cycles/{cycle} lists the facts that you can claim. GET /v1/schools lists the schools.")


class ClaimedAlready(Conflict):
    """The application already has this claim."""

    title = sentence("Claim already exists")
    detail = sentence("The claim {claim} has the same fact and school. Its status is {status}. Use that claim.")


def make_claim(session: Session, cycle: Cycle, applicant: Applicant, body: ClaimIn, *, actor: str) -> Claim:
    """Make a claim, which then awaits a decision.

    Raises:
        ClaimRefused: if the fact or the school is unknown.
        ClaimedAlready: if the application already has this claim.
    """
    if faults := list(_unknown_names(session, cycle, body)):
        raise ClaimRefused(faults=faults, cycle=cycle.id)
    new = insert(Claim).values(
        id=uuid.uuid4(),
        cycle_id=cycle.id,
        applicant_id=applicant.id,
        fact=body.fact,
        school_id=body.school,
        status="pending",
        made_by=actor,
        made_at=clock(session),
        version=1,
    )
    claim = session.scalars(new.on_conflict_do_nothing().returning(Claim)).one_or_none()
    if claim is None:
        raise _claimed_already(session, applicant, body)
    return claim


def _unknown_names(session: Session, cycle: Cycle, body: ClaimIn) -> Iterator[Fault]:
    if body.school is None and body.fact not in cycle.child_facts:
        detail = sentence("names {fact}, but the child_facts of this cycle are: {allowed}")
        yield Fault("/fact", "unknown-fact", detail, {"fact": body.fact, "allowed": listed(cycle.child_facts)})
    if body.school is not None and body.fact not in cycle.school_facts:
        detail = sentence("names {fact}, but the school_facts of this cycle are: {allowed}")
        yield Fault("/fact", "unknown-fact", detail, {"fact": body.fact, "allowed": listed(cycle.school_facts)})
    if body.school is not None and session.get(School, body.school) is None:
        detail = sentence("{school} is not a school in the directory")
        yield Fault("/school", "unknown-school", detail, {"school": body.school})


def _claimed_already(session: Session, applicant: Applicant, body: ClaimIn) -> ClaimedAlready:
    same = session.scalars(
        select(Claim).where(
            Claim.applicant_id == applicant.id,
            Claim.fact == body.fact,
            Claim.school_id.is_not_distinct_from(body.school),
        )
    ).one()
    return ClaimedAlready(claim=str(same.id), status=same.status)


def claims_of(applicant: Applicant) -> Select[Claim]:
    """Select the claims of an application."""
    return select(Claim).where(Claim.applicant_id == applicant.id)


def claims_for(staff: Staff, cycle: str, *, school: str | None, status: str | None) -> Select[Claim]:
    """Select the claims that a staff member may see: of their own schools, or all for administrators and auditors."""
    query = select(Claim).where(Claim.cycle_id == cycle)
    if school is not None:
        query = query.where(Claim.school_id == school)
    if status is not None:
        query = query.where(Claim.status == status)
    if staff.sees_everything:
        return query
    schools = [role.school for role in staff.roles if role.kind is RoleKind.SCHOOL and role.school]
    operators = [role.operator for role in staff.roles if role.kind is RoleKind.OPERATOR and role.operator]
    own_schools = select(School.id).where(School.id.in_(schools) | School.operator_id.in_(operators))
    return query.where(Claim.school_id.in_(own_schools))


class ClaimDecided(Conflict):
    """The claim was already approved or denied."""

    title = sentence("Claim already decided")
    detail = sentence(
        "The claim is {status}. To change the decision, read the claim again and send its version as If-Match."
    )


def lock_claim(session: Session, staff: Staff, claim_id: uuid.UUID, *, if_match: str | None) -> Claim:
    """Lock and return a claim that a staff member may decide now, with its cycle and its child.

    Args:
        session: a transaction.
        staff: the staff member.
        claim_id: the id of the claim.
        if_match: the version of the claim, to change an earlier decision.

    Raises:
        NotFound: if the claim does not exist, or belongs to another school.
        Forbidden: to auditors, who see claims but do not decide them.
        RoundRunning: if a round is frozen.
        ClaimDecided: if the claim was already decided, and no version is given.
        VersionStale: if the version is not the newest.
    """
    claim = session.get(Claim, claim_id)
    if claim is None:
        raise NotFound
    _refuse_stranger(session, staff, claim)
    lock_cycle_between_rounds(session, claim.cycle_id)
    lock_application(session, select(Applicant).where(Applicant.id == claim.applicant_id))
    session.refresh(claim)  # another request may have decided the claim before this one got the lock
    if claim.status != "pending" and if_match is None:
        raise ClaimDecided(status=claim.status)
    if if_match is not None:
        refuse_stale(if_match, claim.version)
    return claim


def _refuse_stranger(session: Session, staff: Staff, claim: Claim) -> None:
    if claim.school_id is None:
        allowed = staff.is_administrator
    else:
        operator = session.scalar(select(School.operator_id).where(School.id == claim.school_id)) or ""
        allowed = staff.acts_for_school(claim.school_id, operator=operator)
    if not allowed and staff.sees_everything:
        raise Forbidden(needs="a role at the school")
    refuse_stranger(allowed=allowed)


def decide_claim(session: Session, claim: Claim, status: str, decision: ClaimDecisionIn, *, actor: str) -> None:
    """Approve or deny a claim, and append a new commitment to the child's settled facts."""
    now = clock(session)
    claim.status, claim.basis, claim.reason = status, decision.basis, decision.reason
    claim.decided_by, claim.decided_at = actor, now
    claim.version += 1
    session.flush()
    applicant = session.get_one(Applicant, claim.applicant_id)
    child = session.get_one(Child, applicant.child_id)
    commit_facts(session, applicant, child, actor=actor, basis=decision.basis, reason=f"claim-{status}")
