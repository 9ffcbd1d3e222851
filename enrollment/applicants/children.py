"""The child of an application. A child has one active application in a cycle."""

import secrets
import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.family_locks import TAG_BYTES
from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.models import Cycle
from enrollment.problems import Conflict, Fault, sentence


class SameChildTwice(Conflict):
    """The child already has an active application."""

    title = sentence("Child already has an application")
    detail = sentence(
        "A child can have one application in a cycle. To move the application to you, the family asks its present "
        "partner for a transfer code. Then send the code to POST /v1/cycles/{cycle}/transfers."
    )


class OtherChild(Conflict):
    """The application is for a child with another SIS id."""

    title = sentence("Application belongs to another child")
    detail = sentence(
        "This application has the claims and rankings of another child. Send the new child under a new reference. "
        "If the first sis_id was wrong, withdraw this application too."
    )


def child_of_application(session: Session, cycle: Cycle, former: Applicant | None, digest: bytes | None) -> Child:
    """Return the child of an application, or create the child with a new tag.

    Args:
        session: a transaction that locks the family (`lock_families`).
        cycle: the cycle of the application.
        former: the application as stored; None if it is new.
        digest: the digest of the SIS id; None if the partner sent no SIS id.

    Raises:
        OtherChild: if the stored application is for a child with another SIS id.
        SameChildTwice: if the child already has another active application.
    """
    if former is not None:
        child = _same_child(session, former, digest)
    elif digest is not None:
        child = _child_with_sis_id(session, cycle, digest)
    else:
        child = _new_child(session, cycle)
    _refuse_second_application(session, cycle, child, former)
    return child


def _same_child(session: Session, former: Applicant, digest: bytes | None) -> Child:
    child = session.get_one(Child, former.child_id)
    if digest is not None and child.sis_digest not in (None, digest):
        # The log has the ranking under this child's tag, and the claims were approved for this child.
        fault = Fault("/sis_id", "other-child", sentence("does not match the SIS id of this application"))
        raise OtherChild(faults=[fault])
    child.sis_digest = child.sis_digest or digest
    return child


def _child_with_sis_id(session: Session, cycle: Cycle, digest: bytes) -> Child:
    """Return the child of a SIS id, which `lock_families` locked or created.

    If another request created the child a moment ago, do not wait for it: that request is about the same child.
    """
    child = session.scalars(
        select(Child)
        .where(Child.cycle_id == cycle.id, Child.sis_digest == digest)
        .with_for_update(key_share=True, skip_locked=True)
    ).one_or_none()
    if child is None:
        raise SameChildTwice(cycle=cycle.id)
    return child


def _new_child(session: Session, cycle: Cycle) -> Child:
    child = Child(id=uuid.uuid4(), cycle_id=cycle.id, tag=secrets.token_bytes(TAG_BYTES), sis_digest=None)
    session.add(child)
    session.flush()
    return child


def _refuse_second_application(session: Session, cycle: Cycle, child: Child, former: Applicant | None) -> None:
    own = former.id if former else None
    active = select(Applicant.id).where(Applicant.child_id == child.id, Applicant.withdrawn_at.is_(None))
    if session.execute(active.where(Applicant.id.is_distinct_from(own))).first() is not None:
        raise SameChildTwice(cycle=cycle.id)
