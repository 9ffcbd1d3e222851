"""Settled facts: the data about an applicant that a match reads, and their commitments in the log."""

from typing import cast

import rfc8785
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Claim, Household
from enrollment.audit.log import append
from enrollment.audit.salts import new_salt
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed


def settled_facts(session: Session, applicant: Applicant) -> dict[str, Json]:
    """Return the facts that a match may read, in the form of a market. Only approved claims count."""
    flags: list[str] = []
    at: dict[str, list[str]] = {}
    approved = session.execute(
        select(Claim.fact, Claim.school_id)
        .where(Claim.applicant_id == applicant.id, Claim.status == "approved")
        .order_by(Claim.fact, Claim.school_id)
    )
    for fact, school in approved:
        (flags if school is None else at.setdefault(school, [])).append(fact)
    household = session.get(Household, applicant.household_id) if applicant.household_id else None
    return {
        "at": at,
        "attends": applicant.attends,
        "flags": flags,
        "grade": applicant.grade,
        "household": household.ticket if household else None,
        "together": applicant.together,
        "zones": sorted(applicant.zones),
    }


def commit_facts(session: Session, applicant: Applicant, child: Child, *, actor: str, basis: str, reason: str) -> None:
    """Append a commitment to an applicant's settled facts, with a new salt."""
    salt = new_salt()
    applicant.facts_salt = salt
    session.flush()
    facts = rfc8785.dumps(cast("dict[str, object]", settled_facts(session, applicant)))  # type: ignore[arg-type]
    append(
        session,
        "facts.set",
        cycle=applicant.cycle_id,
        actor=actor,
        reason=reason,
        fields={"tag": child.tag.hex(), "commit": keyed(salt, "facts", facts).hex(), "basis": basis},
    )
