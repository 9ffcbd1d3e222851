"""Claims: facts that give priority, made by partners, decided by schools and administrators."""

import uuid

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.guards import refuse_stranger
from enrollment.applicants.applications import commit_facts, lock_application
from enrollment.applicants.models import Applicant, Child, Claim
from enrollment.applicants.schemas import ClaimDecision, ClaimIn
from enrollment.cycles.locks import lock_cycle_between_rounds
from enrollment.cycles.models import Cycle
from enrollment.database import clock
from enrollment.directory.models import School
from enrollment.preconditions import refuse_stale
from enrollment.problems import Conflict, Fault, Forbidden, NotFound, sentence


class ClaimRefused(Conflict):
    """A fact or a school that the cycle does not know."""

    title = sentence("The claim is not of this cycle")
    detail = sentence("GET /v1/cycles/{cycle} lists the facts that rules may name.")


class ClaimedAlready(Conflict):
    """The same claim is there."""

    title = sentence("The same claim is there already")
    detail = sentence("It is {claim}, and {status}.")


def make_claim(session: Session, cycle: Cycle, applicant: Applicant, body: ClaimIn, *, actor: str) -> Claim:
    """Make a claim that waits for its decision.

    Raises:
        ClaimRefused: if the fact or the school is not known.
        ClaimedAlready: if it was made before.
    """
    known = cycle.child_facts if body.school is None else cycle.school_facts
    faults = []
    if body.fact not in known:
        faults.append(Fault("/fact", "unknown-fact", sentence("{fact} is no such fact here"), {"fact": body.fact}))
    if body.school is not None and session.get(School, body.school) is None:
        detail = sentence("{school} is no school of the directory")
        faults.append(Fault("/school", "unknown-school", detail, {"school": body.school}))
    if faults:
        raise ClaimRefused(faults=faults, cycle=cycle.id)
    made = insert(Claim).values(
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
    claim = session.scalars(made.on_conflict_do_nothing().returning(Claim)).one_or_none()
    if claim is None:
        same = session.scalars(
            select(Claim).where(
                Claim.applicant_id == applicant.id,
                Claim.fact == body.fact,
                Claim.school_id.is_not_distinct_from(body.school),
            )
        ).one()
        raise ClaimedAlready(claim=str(same.id), status=same.status)
    return claim


def claims_for(staff: Staff, cycle: str, *, school: str | None, status: str | None) -> Select[Claim]:
    """Select the claims that a member of the staff may see: of their schools, or all for who runs or audits."""
    asked = select(Claim).where(Claim.cycle_id == cycle)
    if school is not None:
        asked = asked.where(Claim.school_id == school)
    if status is not None:
        asked = asked.where(Claim.status == status)
    if staff.sees_everything:
        return asked
    own = [role.school for role in staff.roles if role.kind is RoleKind.SCHOOL and role.school]
    operators = [role.operator for role in staff.roles if role.kind is RoleKind.OPERATOR and role.operator]
    theirs = select(School.id).where(School.id.in_(own) | School.operator_id.in_(operators))
    return asked.where(Claim.school_id.in_(theirs))


class ClaimDecided(Conflict):
    """A claim that was approved or denied already."""

    title = sentence("Claim already decided")
    detail = sentence(
        "The claim is {status}. To change the decision, look at the claim again, and send its version as If-Match."
    )


def lock_claim(session: Session, staff: Staff, claim_id: uuid.UUID, *, if_match: str | None) -> Claim:
    """Return a claim that a member of the staff may decide on now; its cycle and its child are locked.

    Args:
        session: a transaction.
        staff: who decides.
        claim_id: the claim.
        if_match: the version that is to be decided on anew, if it was decided before.

    Raises:
        NotFound: if there is none in their scope.
        Forbidden: to an auditor, who sees it but decides nothing.
        RoundRunning: if a round is frozen.
        ClaimDecided: if it was decided on, and no version is named.
        VersionStale: if another version is named than the newest.
    """
    claim = session.get(Claim, claim_id)
    if claim is None:
        raise NotFound
    _refuse_stranger(session, staff, claim)
    lock_cycle_between_rounds(session, claim.cycle_id)
    lock_application(session, select(Applicant).where(Applicant.id == claim.applicant_id))
    session.refresh(claim)  # it may have been decided on while its child was waited for
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


def decide_claim(session: Session, claim: Claim, status: str, decision: ClaimDecision, *, actor: str) -> None:
    """Approve or deny a claim, and commit to the child's settled facts anew."""
    now = clock(session)
    claim.status, claim.basis, claim.reason = status, decision.basis, decision.reason
    claim.decided_by, claim.decided_at = actor, now
    claim.version += 1
    session.flush()
    applicant = session.get_one(Applicant, claim.applicant_id)
    child = session.get_one(Child, applicant.child_id)
    commit_facts(session, applicant, child, actor=actor, basis=decision.basis, reason=f"claim-{status}")
