"""Transfers: a family moves its application from one partner to another with a code."""

import secrets

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.access.digests import digest_of
from enrollment.applicants.applications import lock_application
from enrollment.applicants.models import Applicant, Child
from enrollment.audit.log import append
from enrollment.problems import Conflict, sentence

CODE_BYTES = 10


class TransferRefused(Conflict):
    """The code does not match an application, or the partner already uses the reference."""

    title = sentence("Application not transferred")
    detail = sentence(
        "The code does not match an application, or you already use this reference in this cycle. Check the code with "
        "the family, and choose a reference that you do not use yet."
    )


def make_transfer_code(session: Session, applicant: Applicant) -> str:
    """Return a new transfer code for a locked application. The earlier code stops working."""
    code = secrets.token_hex(CODE_BYTES)
    applicant.transfer_digest = digest_of(code)
    session.flush()
    return code


def transfer_application(session: Session, partner: Partner, cycle: str, *, code: str, reference: str) -> Applicant:
    """Move the application of a code to a partner, with its ranking, claims and ticket.

    Args:
        session: a transaction that locks the cycle.
        partner: the partner that receives the application.
        cycle: the cycle of the application.
        code: the transfer code, from the family.
        reference: the new reference of the application.

    Raises:
        TransferRefused: if no active application has this code, or the partner already uses the reference.
    """
    applicant = lock_application(
        session,
        select(Applicant).where(
            Applicant.cycle_id == cycle,
            Applicant.transfer_digest == digest_of(code),
            Applicant.withdrawn_at.is_(None),
        ),
    )
    if applicant is None or _uses_reference(session, partner, applicant, reference):
        raise TransferRefused
    former = applicant.partner_id
    try:
        with session.begin_nested():
            applicant.partner_id, applicant.reference, applicant.transfer_digest = partner.id, reference, None
            applicant.version += 1
            session.flush()
    except IntegrityError:
        # Another request of the partner took the reference a moment ago.
        raise TransferRefused from None
    _log_transfer(session, applicant, former, partner)
    return applicant


def _uses_reference(session: Session, partner: Partner, applicant: Applicant, reference: str) -> bool:
    other = select(Applicant.id).where(
        Applicant.cycle_id == applicant.cycle_id,
        Applicant.partner_id == partner.id,
        Applicant.reference == reference,
        Applicant.id != applicant.id,
    )
    return session.execute(other).first() is not None


def _log_transfer(session: Session, applicant: Applicant, former: str, partner: Partner) -> None:
    child = session.get_one(Child, applicant.child_id)
    append(
        session,
        "contact.change",
        cycle=applicant.cycle_id,
        actor=partner.actor,
        reason="the family moved its application",
        fields={"tag": child.tag.hex(), "from": f"partner:{former}", "to": partner.actor},
    )
